// solver.h - from the network's output to a person's motion in the camera and in a world whose y is up
// (SPEC.md 6 to 9), in double: what enters is float32, nothing after it adds noise. The body is worked off in pieces of
// some hundred frames; what stays for all frames is the root's way, 450 bytes a frame (and 1 kB more with every stage).
//
//     gv_solution s;
//     gv_status st = gv_solve(&s, arena, &(gv_solver_input){.frames = L, ...}, &err);
//
// Frames: camera = OpenCV, x right, y down, z forward; gv = gravity-view, y along gravity; world = y up,
// ground at y = 0. Rotations are axis-angle, radians; translations in metres.
#pragma once
#include "base/error.h"
#include "base/memory.h"
#include "body/body.h"
#include <stdbool.h>

typedef struct gv_solver_input {
    int frames, length;              // L, of which `length` are valid (the rest is computed all the same)
    const float *pred_x;             // [L, 151]
    const float *pred_cam;           // [L, 3]
    const float *static_conf_logits; // [L, 6]
    const float *bbx_xys;            // [L, 3] px
    const float *K;                  // [L, 3, 3] px
    const float *cam_angvel;         // [L, 6] raw 6D of R_{t+1} R_t^T
    const gv_body *body;             // rest joints
    bool static_camera;              // post-processing for a camera that stands still, else a moving one
    bool keep_stages;                // the optional arrays of gv_solution
    float *final_pose; // [L, 63] receives the body pose after foot and hand locking: final, also for the camera
} gv_solver_input;

typedef struct gv_solution { // arrays live in the arena
    int frames;
    double betas[10], rest[22 * 3];
    double *orient_c;  // [L, 3] body to camera
    double *orient_gv; // [L, 3] body to the frame's own gravity-view frame
    double *velocity;  // [L, 3] metres per frame in the body's root frame
    double *transl_c;  // [L, 3] camera
    double *orient_w;  // [L, 3] world: final
    double *transl_w;  // [L, 3] world before post-processing
    double *transl;    // [L, 3] world: final
    // of the joints before post-processing
    double *still;           // [L, 6, 3] those that may stand still, world
    double *low;             // [L] the lowest one's height
    double *root_w, *root_c; // [L, 3] the pelvis in the world and the camera
    // where stages are kept, else NULL
    double *body_pose; // [L, 63] decoded
    double *joints_w;  // [L, 22, 3] world before post-processing
    double *joints_c;  // [L, 22, 3] camera before post-processing
    double *ik_target; // [L, 6, 3] of joints 7, 10, 8, 11, 20, 21
} gv_solution;

gv_status gv_solve(gv_solution *s, gv_arena *arena, const gv_solver_input *in, gv_error *err);

enum { GV_STILL_JOINTS = 6 };
extern const int gv_static_joint_ids[GV_STILL_JOINTS]; // 7, 10, 8, 11, 20, 21: ankle, foot (left, right), wrists
