// motion_file.h - the recovered motion of one person, and its .npz (keys and units: docs/architecture.md).
#pragma once
#include "base/error.h"
#include "formats/npz.h"
#include <stdbool.h>
#include <stdint.h>

enum { GV_MOTION_JOINTS = 22, GV_STATIC_JOINTS = 6 };
extern const char *const gv_joint_names[GV_MOTION_JOINTS]; // SMPL-X order: "pelvis", "left_hip", ...

typedef struct gv_named_array { // an extra float32 array, stored as it is (network raw output: "net/pred_x")
    char name[48];
    int ndim, shape[4];
    float *data;
} gv_named_array;

typedef struct gv_motion {
    int frames; // L
    float betas[10];
    float *body_pose;           // [L, 63] axis-angle of joints 1..21, local
    float *global_orient;       // [L, 3] world (y up, ground y = 0), axis-angle
    float *transl;              // [L, 3] world, m; pelvis = rest-pelvis(betas) + transl
    float *global_orient_incam; // [L, 3] OpenCV camera
    float *transl_incam;        // [L, 3] m
    float *joints_world;        // [L, 22, 3] m
    float *joints_incam;        // [L, 22, 3] m
    float *static_prob;         // [L, 6] of joints 7, 10, 8, 11, 20, 21: probability of standing still
    float *K;                   // [L, 3, 3] px
    float *R_w2c;               // [L, 3, 3] camera rotation as observed
    float *bbx_xys, *kp2d;      // [L, 3], [L, 17, 3] as observed
    float *feet2d;              // [L, 4, 3] as observed; all 0 where nobody saw them
    int32_t *frame_index;       // [L]
    double *time_sec;           // [L]
    double fps;
    int width, height;     // px, 0 unknown
    gv_named_array *extra; // [extra_count] written after the rest
    int extra_count;
} gv_motion;

gv_status gv_motion_alloc(gv_motion *m, int frames, gv_error *err); // all arrays, zeroed
// The parameters only: body_pose, both orientations and translations, static_prob, time_sec; the others stay NULL until
// gv_motion_complete allocates them.
gv_status gv_motion_alloc_parameters(gv_motion *m, int frames, gv_error *err);
gv_status gv_motion_complete(gv_motion *m, gv_error *err);
void gv_motion_free(gv_motion *m);
gv_status gv_motion_load(gv_motion *m, const char *path, gv_error *err);
gv_status gv_motion_save(const gv_motion *m, const char *path, gv_error *err);

// Appends a zeroed extra array and returns its data, NULL when memory is exhausted.
float *gv_motion_extra(gv_motion *m, const char *name, int ndim, const int *shape);

// One of a motion's arrays, as its file has it.
typedef struct gv_motion_array {
    const char *name;
    gv_dtype dtype; // GV_F32, GV_F64, GV_I32
    const void *data;
    int ndim;
    int64_t shape[4];
} gv_motion_array;
// The i-th, i = 0, 1, ...; false after the last.
bool gv_motion_array_at(const gv_motion *m, int i, gv_motion_array *out);
