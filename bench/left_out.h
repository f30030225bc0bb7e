// left_out.h - motion capture before synthetic cameras, for benchmarks: subjects left out of training, noisy keypoints
// as the trainer makes them, the project's own network and body.
//
//     left_out_open(&l, "motions.gvs", "cmu_85,cmu_07", GV_SAMPLE_STATIC);
//     gv_batch_fill(l.batch, &l.sampler, seed, k);
//     gv_observations o = left_out_observed(&l, row, 0);
//     left_out_close(&l);
//
// What fails ends the program with one line.
#ifndef GVHMR_BENCH_LEFT_OUT_H
#define GVHMR_BENCH_LEFT_OUT_H

#include "base/file.h"
#include "pipeline/predict.h"
#include "training/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEFT_OUT_ROWS = 8 }; // sequences of a batch

typedef struct left_out {
    gv_store store;
    gv_body *body;
    gv_network *net;
    gv_rig rig;
    gv_sampler sampler;
    gv_batch *batch;
} left_out;

static inline void left_out_open(left_out *l, const char *store, const char *subjects, int camera) {
    gv_error err = {0};
    gv_sample_options o = gv_sample_defaults;
    o.plain = true, o.only = subjects, o.recombine = o.perturb = o.wrong_focal = 0, o.camera = camera;
    char *weights = gv_resource_find("gvhmr-compact.safetensors", &err);
    *l = (left_out){0};
    if (!weights || gv_store_open(&l->store, store, &err) || gv_body_open(&l->body, NULL, &err) ||
        gv_network_open(&l->net, weights, 0, GV_PRECISION_F32, NULL, &err) ||
        gv_rig_from_body(&l->rig, l->body, 48, &err) || gv_sampler_init(&l->sampler, &l->store, &l->rig, &o, &err))
        exit((fprintf(stderr, "%s\n", err.text), 1));
    l->batch = gv_batch_create(LEFT_OUT_ROWS, GV_MAX_FRAMES, l->rig.surface.count);
    if (!l->batch) exit((fprintf(stderr, "out of memory\n"), 1));
    free(weights);
}

// Row `row` of the batch as perception would hand it on, with a focal length in pixels told (0: the true one).
static inline gv_observations left_out_observed(const left_out *l, int row, double focal) {
    const gv_batch *b = l->batch;
    gv_observations o;
    if (gv_observations_alloc(&o, b->length[row], NULL) != GV_OK) exit((fprintf(stderr, "out of memory\n"), 1));
    long first = (long)row * b->L;
    for (int t = 0; t < o.frames; t++) {
        const float *k = b->y.K + 4 * (first + t);
        float fx = focal > 0 ? (float)focal : k[0], fy = focal > 0 ? (float)focal : k[1];
        memcpy(o.bbx_xys + 3 * t, b->y.box + 3 * (first + t), 3 * sizeof(float));
        memcpy(o.kp2d + 51 * t, b->kp2d + 51 * (first + t), 51 * sizeof(float));
        memcpy(o.R_w2c + 9 * t, b->R_w2c + 9 * (first + t), 9 * sizeof(float));
        memcpy(o.K + 9 * t, (float[9]){fx, 0, k[2], 0, fy, k[3], 0, 0, 1}, 9 * sizeof(float));
        o.time_sec[t] = t / 30.0;
    }
    o.kp3d = malloc((size_t)o.frames * sizeof(float[51]));
    if (!o.kp3d) exit((fprintf(stderr, "out of memory\n"), 1));
    for (int t = 0; t < o.frames; t++)
        memcpy(o.kp3d + 51 * t, b->images + (first + t) * GV_IMAGE_FEATURE, sizeof(float[51]));
    o.fps = 30;
    o.width = (int)(2 * b->y.K[4 * first + 2]), o.height = (int)(2 * b->y.K[4 * first + 3]);
    return o;
}

static inline void left_out_close(left_out *l) {
    gv_batch_destroy(l->batch), gv_sampler_free(&l->sampler), gv_rig_free(&l->rig);
    gv_network_close(l->net), gv_body_close(l->body), gv_store_close(&l->store);
}

#endif
