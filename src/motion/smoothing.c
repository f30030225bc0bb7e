#include "motion/smoothing.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>

enum { MAX_RADIUS = 64 };

// The kernel's values are rounded to float32, as the reference keeps them.
static int make_kernel(double k[2 * MAX_RADIUS + 1], double sigma) {
    int r = (int)floor(4 * sigma + 0.5);
    assert(r <= MAX_RADIUS);
    double sum = 0;
    for (int i = -r; i <= r; i++) sum += k[i + r] = exp(-i * i / (2 * sigma * sigma));
    for (int i = 0; i <= 2 * r; i++) k[i] = (float)(k[i] / sum);
    return r;
}

void gv_gaussian_smooth(double *x, int frames, int stride, int first, int channels, double sigma, double *scratch) {
    double k[2 * MAX_RADIUS + 1];
    int r = make_kernel(k, sigma);
    for (int c = first; c < first + channels; c++) {
#pragma omp parallel for schedule(static) if (frames >= GV_PARALLEL_FROM)
        for (int t = 0; t < frames; t++) {
            double sum = 0;
            for (int i = -r; i <= r; i++) {
                int at = t + i < 0 ? 0 : t + i >= frames ? frames - 1 : t + i;
                sum += k[i + r] * x[(size_t)at * stride + c];
            }
            scratch[t] = sum;
        }
        for (int t = 0; t < frames; t++) x[(size_t)t * stride + c] = scratch[t];
    }
}
