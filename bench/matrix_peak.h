// matrix_peak.h - what the processor or a device can do, for benchmarks that state a share of it.
#pragma once
#include "base/memory.h"
#include "base/progress.h"
#include "nn/linear.h"

#include <omp.h>
#include <stdlib.h>

// FLOP/s of a device multiplying [8192, 8192] by itself, random numbers.
static inline double device_peak(gv_precision precision, gv_device *device, gv_error *err) {
    enum { SIZE = 8192, REPEAT = 20 };
    int bf16 = precision == GV_PRECISION_BF16;
    gv_nn *nn = NULL;
    gv_linear *l = NULL;
    double best = 0;
    float *w = gv_calloc2(SIZE, SIZE * sizeof *w);
    unsigned state = 1;
    for (size_t i = 0; w && i < (size_t)SIZE * SIZE; i++)
        w[i] = (float)((state = state * 1664525u + 1013904223u) >> 8) / (float)(1 << 23) - 1;
    const gv_linear_spec spec = {.in = SIZE, .out = SIZE, .bf16_in = bf16, .bf16_out = bf16};
    if (!w || gv_nn_create(&nn, 1, device, err) || gv_linear_create(&l, nn, &spec, w, NULL, err)) goto done;
    for (int run = 0; run < 4; run++) { // the first one plans
        float *x = gv_device_alloc(device, SIZE, SIZE * sizeof *x),
              *y = gv_device_alloc(device, SIZE, SIZE * sizeof *y);
        gv_device_upload(device, x, w, SIZE * (size_t)SIZE * (bf16 ? 2 : 4)); // as bfloat16: every other one is tiny
        gv_linear_queue(l, x, y, SIZE);
        gv_device_download(device, w, y, sizeof *w); // waits
        double start = gv_now();
        for (int i = 0; i < REPEAT; i++) gv_linear_queue(l, x, y, SIZE);
        if (gv_device_finish(device, err)) break;
        double rate = 2.0 * SIZE * SIZE * SIZE * REPEAT / (gv_now() - start);
        if (rate > best) best = rate;
    }
done:
    gv_linear_destroy(l);
    gv_nn_destroy(nn);
    free(w);
    return best;
}

// FLOP/s of all threads multiplying [192, 512] by [512, 512] from their caches: what the processor can do.
static inline double matrix_peak(gv_precision precision, gv_device *device, gv_error *err) {
    if (device) return device_peak(precision, device, err);
    enum { ROWS = GV_NN_ROWS, SIZE = 512, REPEAT = 300 };
    int threads = omp_get_max_threads(), bf16 = precision == GV_PRECISION_BF16;
    gv_nn *nn = NULL;
    gv_linear *l = NULL;
    double best = 0;
    float *w = gv_calloc2(SIZE, SIZE * sizeof *w);
    if (gv_nn_create(&nn, threads, NULL, err) ||
        gv_linear_create(&l, nn, &(gv_linear_spec){.in = SIZE, .out = SIZE, .bf16_in = bf16}, w, NULL, err))
        goto done;
    for (int run = 0; run < 7; run++) {
        double start = gv_now();
#pragma omp parallel num_threads(threads)
        {
            float *x = gv_calloc2(ROWS, SIZE * sizeof *x), *y = gv_calloc2(ROWS, SIZE * sizeof *y);
            for (int i = 0; i < REPEAT; i++) gv_linear_run(l, omp_get_thread_num(), x, y);
            free(x);
            free(y);
        }
        double rate = 2.0 * ROWS * SIZE * SIZE * REPEAT * threads / (gv_now() - start);
        if (rate > best) best = rate;
    }
done:
    gv_linear_destroy(l);
    gv_nn_destroy(nn);
    free(w);
    return best;
}
