// batch.c - batches of sequences, made by the processor's threads or by a device.
#include "base/memory.h"
#include "training/sample.h"

#include <stdlib.h>

enum { J = GV_RIG_JOINTS, C = GV_COCO };

gv_batch *gv_batch_create(int B, int L, int surface) {
    gv_batch *b = calloc(1, sizeof *b);
    if (!b) return NULL;
    b->B = b->y.B = B;
    b->L = b->y.L = L;
    b->y.surface = surface;
    struct {
        float **p;
        int n;
    } parts[] = {{&b->obs, C * 3},
                 {&b->cliff, 3},
                 {&b->angvel, 6},
                 {&b->kp2d, C * 3},
                 {&b->images, GV_IMAGE_FEATURE},
                 {&b->R_w2c, 9},
                 {&b->joints_w, J * 3},
                 {&b->y.x, GV_PRED_X},
                 {&b->y.joints, J * 3},
                 {&b->y.coco, C * 3},
                 {&b->y.verts, surface * 3},
                 {&b->y.transl_c, 3},
                 {&b->y.R_w, 9},
                 {&b->y.transl_w, 3},
                 {&b->y.still, 6},
                 {&b->y.box, 3},
                 {&b->y.K, 4}};
    size_t T = (size_t)B * (size_t)L, total = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) total += (size_t)parts[i].n;
    float *at = b->memory = gv_calloc2(total * T, sizeof(float));
    b->length = calloc((size_t)B, sizeof(int));
    b->incam_only = calloc((size_t)B, 1);
    if (!at || !b->length || !b->incam_only) {
        gv_batch_destroy(b);
        return NULL;
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i].p = at;
        at += T * (size_t)parts[i].n;
    }
    b->y.length = b->length;
    b->y.incam_only = b->incam_only;
    return b;
}

void gv_batch_destroy(gv_batch *b) {
    if (!b) return;
    free(b->memory);
    free(b->length);
    free(b->incam_only);
    free(b);
}

bool gv_batch_fill(gv_batch *b, const gv_sampler *s, uint64_t seed, uint64_t step) {
    int failed = 0;
#pragma omp parallel for schedule(dynamic) reduction(| : failed)
    for (int i = 0; i < b->B; i++) {
        gv_rng r = gv_rng_make(seed, step, (uint64_t)(b->first + i));
        gv_sequence *m = malloc(sizeof *m);
        if (m) gv_sequence_make(b, i, m, s, &r);
        failed |= !m;
        free(m);
    }
    return !failed;
}
