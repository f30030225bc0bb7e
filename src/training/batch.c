// batch.c - batches of sequences, made by the processor's threads or by a device.
#include "base/memory.h"
#include "nn/kernels.h"
#include "training/sample.h"

#include <stdlib.h>

enum { J = GV_RIG_JOINTS, C = GV_COCO };

// ---- a sampler on a device

enum { PIECES = 13 };
struct gv_sampler_place {
    gv_device *device;
    void *piece[PIECES];
    int pieces;
};

static void *put(struct gv_sampler_place *p, const void *host, size_t count, size_t size) {
    return p->piece[p->pieces++] = gv_device_keep(p->device, host, count, size);
}

static void put_points(struct gv_sampler_place *p, gv_rig_points *points) {
    int parts = points->count ? points->first[points->count] : 0;
    if (!points->count) return;
    points->first = put(p, points->first, (size_t)points->count + 1, sizeof *points->first);
    points->part = put(p, points->part, (size_t)parts, sizeof *points->part);
}

// The last piece is the sampler itself.
bool gv_sampler_put(gv_sampler *s, gv_device *d) {
    struct gv_sampler_place *p = s->place = gv_calloc2(1, sizeof *p);
    if (!p) return false;
    p->device = d;
    gv_sampler there = *s;
    gv_store store = *s->store;
    gv_rig rig = *s->rig;
    const size_t frames = (size_t)store.frame_count;
    put_points(p, &rig.coco);
    put_points(p, &rig.surface);
    store.clips = put(p, store.clips, (size_t)store.clip_count, sizeof *store.clips);
    store.rotation = put(p, store.rotation, frames * GV_STORE_JOINTS * 4, sizeof *store.rotation);
    store.hips = put(p, store.hips, frames * 3, sizeof *store.hips);
    store.still = put(p, store.still, frames * GV_STORE_FEET, sizeof *store.still);
    there.clip = put(p, s->clip, (size_t)s->count, sizeof *s->clip);
    there.cumulative = put(p, s->cumulative, (size_t)s->count, sizeof *s->cumulative);
    there.store = put(p, &store, 1, sizeof store);
    there.rig = put(p, &rig, 1, sizeof rig);
    return put(p, &there, 1, sizeof there) != NULL; // a failure fails what comes after it
}

void gv_sampler_free(gv_sampler *s) {
    struct gv_sampler_place *p = s->place;
    for (int i = 0; p && i < p->pieces; i++) gv_device_drop(p->device, p->piece[i]);
    free(p);
    free(s->clip);
    free(s->cumulative);
    s->place = NULL;
    s->clip = NULL;
    s->cumulative = NULL;
    s->count = 0;
}

// ---- batches

gv_batch *gv_batch_create(int B, int L, int surface) {
    return gv_batch_create_on(NULL, B, L, surface);
}

static void *room(gv_engine *e, size_t count, size_t size) {
    return e ? gv_engine_alloc(e, (int64_t)count, size) : gv_calloc2(count, size);
}

gv_batch *gv_batch_create_on(gv_engine *e, int B, int L, int surface) {
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
    b->engine = e;
    b->y.there = e && e->device;
    float *at = b->memory = room(e, total * T, sizeof(float));
    b->length = room(e, (size_t)B, sizeof(int));
    b->incam_only = room(e, (size_t)B, 1);
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
    if (!b->y.there) return b;
    b->there = gv_device_keep(e->device, b, 1, sizeof *b);
    b->sequences = gv_device_keep(e->device, NULL, (size_t)B, sizeof *b->sequences);
    if (b->there && b->sequences) return b;
    gv_batch_destroy(b);
    return NULL;
}

void gv_batch_destroy(gv_batch *b) {
    if (!b) return;
    void *const arrays[] = {b->memory, b->length, b->incam_only, b->there, b->sequences};
    for (int i = 0; i < 5; i++)
        if (b->engine)
            gv_engine_free(b->engine, arrays[i]);
        else
            free(arrays[i]);
    free(b);
}

gv_net_input gv_batch_input(const gv_batch *b) {
    return (gv_net_input){b->obs, b->cliff, b->angvel, b->images, b->length, b->y.there};
}

bool gv_batch_fill(gv_batch *b, const gv_sampler *s, uint64_t seed, uint64_t step) {
    int failed = 0;
    if (b->y.there) { // what fails there is told by gv_engine_finish
        gv_kernel(b->engine->device, make_sequences, .batch = b->there,
                  .sampler = s->place->piece[s->place->pieces - 1], .work = b->sequences, .seed = seed, .step = step,
                  .sequences = b->B, .first = b->first);
        return true;
    }
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
