// bench_sequences - how many training sequences a second are made, by the processor or on a device.
//
//     bench_sequences MOTIONS [batch runs device]       (a motion store, 64 20 cpu; device: cuda)
//
// As training makes them, 120 frames each, our built-in body with 96 points, nothing else beside it. Prints the median
// and the fastest of the runs.
#include "base/progress.h"
#include "body/body.h"
#include "training/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { L = 120, SURFACE = 96, MOST_RUNS = 1000 };

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static gv_status measure(double *seconds, int runs, int B, const char *path, gv_device *device, gv_error *err) {
    gv_store store = {0};
    gv_body *body = NULL;
    gv_rig rig = {0};
    gv_sampler sampler = {0};
    gv_engine engine = {.device = device};
    gv_batch *b = NULL;
    gv_status s = gv_store_open(&store, path, err);
    if (!s) s = gv_body_open(&body, NULL, err);
    if (!s) s = gv_rig_from_body(&rig, body, SURFACE, err);
    if (!s) s = gv_sampler_init(&sampler, &store, &rig, &gv_sample_defaults, err);
    if (!s && (!(b = gv_batch_create_on(&engine, B, L, rig.surface.count)) ||
               (device && !gv_sampler_put(&sampler, device)))) {
        s = gv_engine_finish(&engine, err);
        if (!s) s = gv_fail(err, GV_ERR_MEMORY, "no memory for %d sequences", B);
    }
    for (int r = -1; r < runs && !s; r++) { // the first warms up
        double start = gv_now();
        bool made = gv_batch_fill(b, &sampler, 1, (uint64_t)(r + 1));
        s = made ? gv_engine_finish(&engine, err) : gv_fail(err, GV_ERR_MEMORY, "no memory for a sequence");
        if (r >= 0) seconds[r] = gv_now() - start;
    }
    gv_batch_destroy(b);
    gv_sampler_free(&sampler);
    gv_rig_free(&rig);
    gv_body_close(body);
    gv_store_close(&store);
    return s;
}

int main(int argc, char **argv) {
    gv_error err = {0};
    gv_device *device = NULL;
    double seconds[MOST_RUNS];
    int B = argc > 2 ? atoi(argv[2]) : 64, runs = argc > 3 ? atoi(argv[3]) : 20;
    if (argc < 2 || B < 1 || runs < 1 || runs > MOST_RUNS)
        return fputs("usage: bench_sequences MOTIONS [batch runs device]\n", stderr), 2;
    if (argc > 4 && !strcmp(argv[4], "cuda") && gv_device_open(&device, GV_DEVICE_CUDA, &err))
        return fprintf(stderr, "bench_sequences: %s\n", err.text), 1;
    gv_status s = measure(seconds, runs, B, argv[1], device, &err);
    if (s)
        fprintf(stderr, "bench_sequences: %s\n", err.text);
    else {
        qsort(seconds, (size_t)runs, sizeof *seconds, ascending);
        printf("%s: batches of %d: %.0f sequences/s in the median, %.0f in the fastest of %d\n", gv_device_name(device),
               B, B / seconds[runs / 2], B / seconds[0], runs);
    }
    gv_device_close(device);
    return s != 0;
}
