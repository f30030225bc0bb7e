// matrix_peak.h - what the processor can do, for benchmarks that state a share of it.
#pragma once
#include "base/memory.h"
#include "base/progress.h"
#include "nn/linear.h"

#include <omp.h>
#include <stdlib.h>

// FLOP/s of all threads multiplying [192, 512] by [512, 512] from their caches: what the processor can do.
static inline double matrix_peak(gv_precision precision, gv_error *err) {
    enum { ROWS = GV_NN_ROWS, SIZE = 512, REPEAT = 300 };
    int threads = omp_get_max_threads(), bf16 = precision == GV_PRECISION_BF16;
    gv_nn *nn = NULL;
    gv_linear *l = NULL;
    double best = 0;
    float *w = gv_calloc2(SIZE, SIZE * sizeof *w);
    if (gv_nn_create(&nn, threads, err) ||
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
