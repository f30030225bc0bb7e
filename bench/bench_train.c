// bench_train - the network forwards and backwards as in training: sequences of 120 frames per second.
//
//     bench_train [width layers heads batch runs bf16 device]     (512 12 8 8 3 0 cpu: the released network's size)
//
// Random weights and inputs, image features included, dropout 0.1, gradients of all parameters. Losses, data and
// optimiser are left out; on a device (cuda) the inputs' way there is not. Prints the median and
// the fastest of the runs, and the latter's share of the matrix peak (measured here with the same library, all threads
// multiplying); peer_train.py compares it with PyTorch. Counted are 6 operations a weight and token, and attention's
// products over all frames.
#include "base/memory.h"
#include "base/order.h"
#include "base/progress.h"
#include "matrix_peak.h"
#include "training/net.h"
#include "training/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { L = 120, MOST_RUNS = 100 };

static float *noise(uint64_t seed, size_t n) {
    float *x = gv_calloc2(n, sizeof *x);
    gv_rng r = gv_rng_make(seed, 0, 0);
    for (size_t i = 0; x && i < n; i++) x[i] = (float)gv_normal(&r);
    return x;
}

int main(int argc, char **argv) {
    int number[6] = {512, 12, 8, 8, 3, 0};
    gv_error err = {0};
    gv_device *device = NULL;
    for (int i = 1; i < argc && i <= 6; i++) number[i - 1] = atoi(argv[i]);
    if (argc > 7 && !strcmp(argv[7], "cuda") && gv_device_open(&device, GV_DEVICE_CUDA, &err))
        return fprintf(stderr, "bench_train: %s\n", err.text), 1;
    int B = number[3], runs = number[4] < MOST_RUNS ? number[4] : MOST_RUNS;
    gv_net_config c = {number[0], number[1], number[2], 1, 0.1f, 0, number[5], device};
    size_t T = (size_t)B * L;
    gv_net *n = gv_net_create(&c, B, L);
    float *in[4] = {noise(1, T * 51), noise(2, T * 3), noise(3, T * 6), noise(4, T * GV_IMAGE_FEATURE)},
          *out[3] = {noise(5, T * GV_PRED_X), noise(6, T * 3), noise(7, T * 6)}, *d[3];
    const size_t size[3] = {T * GV_PRED_X, T * 3, T * 6};
    int *length = gv_calloc2((size_t)B, sizeof *length), ok = n && length;
    for (int i = 0; i < 4; i++) ok = ok && in[i];
    for (int i = 0; i < 3; i++) ok = ok && out[i];
    for (int i = 0; i < 3 && ok; i++)
        ok = (d[i] = gv_engine_alloc(&n->engine, (int64_t)size[i], sizeof(float))) != NULL;
    if (!ok) return fputs("bench_train: no memory\n", stderr), 1;
    for (int b = 0; b < B; b++) length[b] = L;
    gv_net_initialise(n, 42, 0.5f);
    double seconds[MOST_RUNS];
    for (int r = -1; r < runs; r++) { // the first warms up
        gv_net_input input = {in[0], in[1], in[2], in[3], length, false};
        for (int i = 0; i < 3; i++) gv_engine_put(&n->engine, d[i], out[i], (int64_t)size[i]); // consumed
        double start = gv_now();
        gv_net_forward(n, &input, 1, 7);
        gv_engine_clear(&n->engine, n->grads, n->parameters);
        gv_net_backward(n, d[0], d[1], d[2]);
        if (gv_engine_finish(&n->engine, &err)) return fprintf(stderr, "bench_train: %s\n", err.text), 1;
        if (r >= 0) seconds[r] = gv_now() - start;
    }
    gv_sort_doubles(seconds, (size_t)runs);
    double work = (double)T * (6.0 * (double)n->parameters + 12.0 * c.layers * L * c.width), best = work / seconds[0];
    double peak = matrix_peak(c.bf16 ? GV_PRECISION_BF16 : GV_PRECISION_F32, device, &err);
    printf("{\"width\": %d, \"layers\": %d, \"parameters\": %lld, \"bf16\": %d, \"device\": \"%s\", \"median\": %.3f, "
           "\"best\": %.3f, \"gflops\": %.1f, \"peak_share\": %.3f}\n",
           c.width, c.layers, (long long)n->parameters, c.bf16, gv_device_name(device), B / seconds[runs / 2],
           B / seconds[0], 1e-9 * best, peak > 0 ? best / peak : 0);
    for (int i = 0; i < 3; i++) gv_engine_free(&n->engine, d[i]);
    gv_net_destroy(n);
    gv_device_close(device);
    for (int i = 0; i < 4; i++) free(in[i]);
    for (int i = 0; i < 3; i++) free(out[i]);
    free(length);
    return 0;
}
