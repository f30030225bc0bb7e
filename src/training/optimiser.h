// optimiser.h - AdamW with global clipping of the gradient's norm, and a running average of the weights.
#pragma once
#include "training/engine.h"
#include <stdint.h>

typedef struct gv_adamw {
    double lr, beta1, beta2, eps, weight_decay, clip; // clip: largest norm of the gradient
    double average;                                   // decay of the running average
} gv_adamw;

enum { GV_ADAMW_SQUARES = 1 + 256 };

// One step number `step` (from 1) on n parameters; m, v are the moments, mean the running average (may be NULL). All
// arrays are the engine's memory; squares [GV_ADAMW_SQUARES] keeps the gradient's norm for gv_adamw_norm. Results do
// not depend on the thread count.
void gv_adamw_step(gv_engine *e, const gv_adamw *a, long step, float *params, const float *grads, float *m, float *v,
                   float *mean, int64_t n, double *squares);
double gv_adamw_norm(gv_engine *e, const double *squares); // before clipping; waits
