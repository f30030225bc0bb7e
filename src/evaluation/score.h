// score.h - all of the field's measures of one recovered motion, and their totals over many (SPEC.md 15.3, 15.4).
//
// A total is what papers print: the per-frame values of all sequences together, averaged.
#pragma once
#include "base/error.h"
#include <stdbool.h>

typedef enum gv_measure {
    GV_WA_MPJPE,     // mm, world, chunks of 100 frames aligned by a similarity
    GV_W_MPJPE,      // mm, world, chunks aligned by their first two frames
    GV_RTE,          // % of the path, world
    GV_JITTER,       // 10 m/s^3, of the prediction
    GV_FOOT_SLIDING, // mm
    GV_PA_MPJPE,     // mm, camera
    GV_MPJPE,        // mm, camera, relative to the pelvis
    GV_PVE,          // mm, camera
    GV_ACCELERATION, // m/s^2, camera
    GV_GRAVITY,      // degrees between the directions of gravity in the camera
    GV_TILT,         // degrees between the directions of gravity as the body's root sees them
    GV_MEASURES
} gv_measure;
extern const char *const gv_measure_names[GV_MEASURES], *const gv_measure_units[GV_MEASURES];

typedef struct gv_score { // sums and numbers of per-frame values; a measure without values was not asked for
    double sum[GV_MEASURES];
    long count[GV_MEASURES];
    long gravity_tenths[1801]; // values of GV_GRAVITY by tenths of a degree
} gv_score;
double gv_score_mean(const gv_score *s, gv_measure m); // NAN where there is no value
double gv_score_median_gravity(const gv_score *s);     // degrees, to 0.1; NAN where there is no value
void gv_score_add(gv_score *total, const gv_score *s);

typedef struct gv_points_pair { // [frames, n, 3] m
    const float *pred, *target;
    int n;
} gv_points_pair;

// In the camera. vertices may have n 0. pelvis: the two joints whose middle is subtracted.
gv_status gv_score_camera(gv_score *s, int frames, gv_points_pair joints, gv_points_pair vertices, const int pelvis[2],
                          double fps, gv_error *err);
// joints [frames, 22, 3] to feet [frames, 4, 3]: ankles and balls.
void gv_score_feet(float *feet, const float *joints, int frames);
// In the world. feet: points on the feet, n 0 for none.
gv_status gv_score_world(gv_score *s, int frames, gv_points_pair joints, gv_points_pair feet, double fps,
                         gv_error *err);
// Orientations of the root [frames, 9]: in worlds whose y is up, and in the camera.
typedef struct gv_orients {
    const float *world, *camera;
} gv_orients;
void gv_score_gravity(gv_score *s, int frames, gv_orients pred, gv_orients target);
