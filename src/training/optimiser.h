// optimiser.h - AdamW with global clipping of the gradient's norm, and a running average of the weights.
#pragma once
#include <stdint.h>

typedef struct gv_adamw {
    double lr, beta1, beta2, eps, weight_decay, clip; // clip: largest norm of the gradient
    double average;                                   // decay of the running average
} gv_adamw;

// One step number `step` (from 1) on n parameters; m, v are the moments, mean the running average (may be NULL).
// Returns the gradient's norm before clipping. Results do not depend on the thread count.
double gv_adamw_step(const gv_adamw *a, long step, float *params, const float *grads, float *m, float *v, float *mean,
                     int64_t n);
