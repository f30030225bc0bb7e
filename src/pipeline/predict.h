// predict.h - observations of one person to motion: the reference's method exactly, plus the time base.
#pragma once
#include "body/body.h"
#include "formats/motion_file.h"
#include "formats/observations.h"
#include "network/network.h"
#include <stdbool.h>

typedef struct gv_predict_options {
    bool static_camera; // post-processing for a static camera (SPEC.md 9.2), else 9.1
    bool verbose;       // store every stage as extra arrays "net/..."
} gv_predict_options;

// Observations at any frame rate: resampled to 30 fps (uniform), solved, and given back at their own times.
// At 30 fps nothing is resampled.
gv_status gv_predict(gv_motion *out, gv_network *net, const gv_body *body, const gv_observations *obs,
                     const gv_predict_options *opt, gv_error *err);
