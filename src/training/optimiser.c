// optimiser.c - Loshchilov and Hutter 2019, as PyTorch's AdamW: decay first, then the bias-corrected step.
#include "training/optimiser.h"
#include "nn/kernels.h"

#include <math.h>

enum { CHUNK = 1 << 16, MAX_CHUNKS = 1 << 14 };

static double chunk_norm(const float *g, int64_t n) {
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += (double)g[i] * g[i];
    return s;
}

static double squared_norm(const float *g, int64_t n) {
    static _Thread_local double part[MAX_CHUNKS];
    double *p = part; // one array for all threads of the team
    int64_t chunks = (n + CHUNK - 1) / CHUNK, used = chunks < MAX_CHUNKS ? chunks : MAX_CHUNKS;
    double sum = 0;
#pragma omp parallel for schedule(static)
    for (int64_t c = 0; c < used; c++) {
        int64_t to = c + 1 < used ? (c + 1) * CHUNK : n;
        p[c] = chunk_norm(g + c * CHUNK, to - c * CHUNK);
    }
    for (int64_t c = 0; c < used; c++) sum += p[c];
    return sum;
}

static void queue_step(gv_engine *e, const gv_adamw_args *step, double *squares) {
    gv_kernel(e->device, square_sum, .y = squares + 1, .x = step->grads, .count = step->count,
              .parts = GV_ADAMW_SQUARES - 1);
    gv_kernel(e->device, square_sum, .y = squares, .partial = squares + 1, .parts = GV_ADAMW_SQUARES - 1);
    gv_device_launch(e->device, GV_KERNEL_adamw, step);
}

void gv_adamw_step(gv_engine *e, const gv_adamw *a, long step, float *params, const float *grads, float *m, float *v,
                   float *mean, int64_t n, double *squares) {
    float b1 = (float)a->beta1, b2 = (float)a->beta2;
    double c1 = 1 - pow(a->beta1, (double)step), c2 = 1 - pow(a->beta2, (double)step);
    float rate = (float)(a->lr / c1), root = (float)(1 / sqrt(c2)), eps = (float)a->eps,
          keep = (float)(1 - a->lr * a->weight_decay);
    float slow = (float)fmin(a->average, (1.0 + (double)step) / (10.0 + (double)step));
    if (e->device) {
        queue_step(
            e, &(gv_adamw_args){params, m, v, mean, grads, squares, n, a->clip, b1, b2, rate, root, eps, keep, slow},
            squares);
        return;
    }
    squares[0] = squared_norm(grads, n);
    // PyTorch's clip_grad_norm_: coefficient clip / (norm + 1e-6), at most 1
    float scale = a->clip > 0 ? (float)fmin(1, a->clip / (sqrt(squares[0]) + 1e-6)) : 1;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        float g = grads[i] * scale;
        m[i] = b1 * m[i] + (1 - b1) * g;
        v[i] = b2 * v[i] + (1 - b2) * g * g;
        params[i] = params[i] * keep - rate * m[i] / (sqrtf(v[i]) * root + eps);
        if (mean) mean[i] = slow * mean[i] + (1 - slow) * params[i];
    }
}

double gv_adamw_norm(gv_engine *e, const double *squares) {
    double square = 0;
    if (e->device)
        gv_device_download(e->device, &square, squares, sizeof square);
    else
        square = squares[0];
    return sqrt(square);
}
