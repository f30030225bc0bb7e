// matrix_peak.h - what the processor or a device can do, for benchmarks that state a share of it.
#pragma once
#include "base/memory.h"
#include "base/progress.h"
#include "nn/linear.h"

#include <omp.h>
#include <stdlib.h>

// FLOP/s of a device multiplying [size, size] by itself, random numbers.
static inline double device_rate(gv_linear *l, gv_device *device, float *w, size_t size, size_t element,
                                 gv_error *err) {
    enum { REPEAT = 20 };
    float *x = gv_device_alloc(device, size, size * sizeof *x), *y = gv_device_alloc(device, size, size * sizeof *y);
    gv_device_upload(device, x, w, size * size * element); // as bfloat16: every other one is tiny
    gv_linear_queue(l, x, y, (int)size);
    gv_device_download(device, w, y, sizeof *w); // waits
    double start = gv_now();
    for (int i = 0; i < REPEAT; i++) gv_linear_queue(l, x, y, (int)size);
    if (gv_device_finish(device, err)) return 0;
    return 2.0 * REPEAT * (double)(size * size * size) / (gv_now() - start);
}

// FLOP/s of all threads multiplying [192, size] by [size, size] from their caches.
static inline double processor_rate(gv_linear *l, int threads, size_t size) {
    enum { ROWS = GV_NN_ROWS, REPEAT = 300 };
    double start = gv_now();
#pragma omp parallel num_threads(threads)
    {
        float *x = gv_calloc2(ROWS, size * sizeof *x), *y = gv_calloc2(ROWS, size * sizeof *y);
        for (int i = 0; i < REPEAT; i++) gv_linear_run(l, omp_get_thread_num(), x, y);
        free(x);
        free(y);
    }
    return 2.0 * ROWS * REPEAT * threads * (double)(size * size) / (gv_now() - start);
}

// The best of several runs: what the processor, or the device where there is one, can do. 0 on failure.
static inline double matrix_peak(gv_precision precision, gv_device *device, gv_error *err) {
    const int threads = device ? 1 : omp_get_max_threads(), bf16 = precision == GV_PRECISION_BF16;
    const size_t size = device ? 8192 : 512;
    const gv_linear_spec spec = {.in = (int)size, .out = (int)size, .bf16_in = bf16, .bf16_out = device && bf16};
    gv_nn *nn = NULL;
    gv_linear *l = NULL;
    double best = 0;
    unsigned state = 1;
    float *w = gv_calloc2(size, size * sizeof *w);
    for (size_t i = 0; device && w && i < size * size; i++)
        w[i] = (float)((state = state * 1664525u + 1013904223u) >> 8) / (float)(1 << 23) - 1;
    if (!w || gv_nn_create(&nn, threads, device, err) || gv_linear_create(&l, nn, &spec, w, NULL, err)) goto done;
    for (int run = 0; run < 7; run++) { // the first one plans
        double rate = device ? device_rate(l, device, w, size, bf16 ? 2 : 4, err) : processor_rate(l, threads, size);
        if (rate > best) best = rate;
    }
done:
    gv_linear_destroy(l);
    gv_nn_destroy(nn);
    free(w);
    return best;
}
