// predict.h - observations of one person to motion: the reference's method exactly, plus the time base.
#pragma once
#include "base/progress.h"
#include "body/body.h"
#include "formats/motion_file.h"
#include "formats/observations.h"
#include "network/network.h"
#include <stdbool.h>

typedef struct gv_predict_options {
    bool static_camera;          // post-processing for a static camera (SPEC.md 9.2), else 9.1
    bool refine;                 // draw the prediction towards the keypoints (refine.h); off = the reference's method
    const gv_listener *listener; // asked whether to go on; may be NULL
    const gv_observations *mirrored; // flip test (mirror.h): the same frames seen in a mirror, at 30 fps; may be NULL
    float *camera_pose; // with it [L, 63] receives the pose for the camera, which keeps what feet and hands do there
    bool verbose;       // store every stage as extra arrays "net/...", at the network's rate
} gv_predict_options;

typedef struct gv_predict_times { // seconds spent
    double network, solver;
} gv_predict_times;

// Observations at any frame rate: resampled to 30 fps (uniform), solved, and given back at their own times.
// At 30 fps (timebase.h says what counts as such) nothing is resampled. `times` may be NULL.
// On success *out is allocated and the caller's to free.
gv_status gv_predict(gv_motion *out, gv_network *net, const gv_body *body, const gv_observations *obs,
                     const gv_predict_options *opt, gv_predict_times *times, gv_error *err);
