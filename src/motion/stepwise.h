// stepwise.h - the motion solver one frame at a time: nothing of the future is known, nothing of the past changes.
//
//     gv_world_view world = {0};  gv_stepper person = {0};
//     for each frame: gv_world_look(&world, down, weight);  gv_step(&out, &person, &world, &in);
//
// The parts are solver.h's (decoding, roll-out of the root, joints that stand still, foot and hand locking), with what
// is global there made causal here:
//   gravity   the robust mean of what everybody in view has said until now, instead of each frame's own
//   heading   carried by the camera's rotation instead of summed from frame to frame
//   ground    under the feet that stand: heights move towards it by a few millimetres a frame, never at once
//   shape     the mean of all frames until now
// The world is y-up, its heading that of the first camera, its origin under the first person's first pelvis. Memory is
// constant. Frames may be unevenly spaced.
#pragma once
#include "body/body.h"
#include "motion/solver.h"
#include <stdbool.h>

typedef struct gv_world_view { // one for all people of one camera; zeroed to begin with
    double down[3], weight;    // sum of directions in the odometry's world (that of the first camera)
    double turn[9];            // odometry's world to the common one
    double origin[3];          // of the odometry's world in the common one (a static camera's place)
    bool placed;               // origin is known
} gv_world_view;

// One frame's gravity in the odometry's world, as one person's prediction says; weight 0: does not count.
void gv_world_look(gv_world_view *w, const double down[3], double weight);
// That direction from a row of the prediction [151] and the camera's rotation, world to camera.
void gv_step_down(double down[3], const float *pred_x, const float R_w2c[9]);

typedef struct gv_step_input {
    const float *pred_x;    // [151]
    const float *pred_cam;  // [3]
    const float *logits;    // [6]
    const float *box;       // [3] centre and side, px
    const float *K, *R_w2c; // [3, 3]
    double time_sec;
    const gv_body *body;
    const double *sole; // [4] heights of ankles and feet over the ground, standing; left, right
    bool static_camera;
} gv_step_input;

typedef struct gv_stepper { // one person; zeroed to begin with
    long frames;
    double time_sec;
    double betas[10];                    // sum
    double root[3];                      // rolled out, and corrected
    double velocity[3];                  // of the last frame, m per 1/30 s in the world
    double seen[3];                      // the root as the camera sees it, smoothed, in the common world
    double still[GV_STILL_JOINTS][3];    // of the last frame, relative to the root
    double targets[3 * GV_STILL_JOINTS]; // locked joints
    float logits[GV_STILL_JOINTS];       // of the last frame
} gv_stepper;

typedef struct gv_step_output {
    float betas[10], body_pose[63];
    float global_orient[3], transl[3];             // world
    float global_orient_incam[3], transl_incam[3]; // camera
    float joints_world[22 * 3], joints_incam[22 * 3];
    float static_prob[GV_STILL_JOINTS];
} gv_step_output;

void gv_step(gv_step_output *out, gv_stepper *s, gv_world_view *world, const gv_step_input *in);
