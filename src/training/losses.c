// losses.c - on a device: what the kernels want of the rig is put there once, targets with every batch.
#include "training/losses.h"
#include "base/memory.h"
#include "network/statistics.h"
#include "nn/kernels.h"

#include <stdlib.h>
#include <string.h>

enum { J = GV_RIG_JOINTS, X = GV_PRED_X, NB = GV_BETAS, TARGETS = 10 };
_Static_assert((int)GV_LOSSES == (int)GV_LOSS_TERMS && (int)GV_LOSSES_JOINTS == J && (int)GV_LOSSES_COCO == GV_COCO,
               "kernels.h and loss.h are about the same losses");

struct gv_losses_there { // the device's memory
    struct gv_losses_placed {
        float *target[TARGETS];
        int32_t *length;
        uint8_t *incam_only;
    } placed;           // of targets that were not there
    int width[TARGETS]; // numbers a frame
    float *statistics, *skeleton, *terms, *partial, *sum;
    gv_losses_part *parts;
    int32_t *first, *by_bone, *bone_first;
    int count;
};

static void *keep(gv_losses *l, const void *host, int64_t count, size_t size) {
    return gv_device_keep(l->engine->device, host, (size_t)(count ? count : 1), size);
}

// Parts in the order of points, as the kernels have them, and their numbers in the order of bones.
static bool place_parts(gv_losses *l) {
    struct gv_losses_there *t = l->there;
    const gv_rig_points *kinds[2] = {&l->rig->coco, &l->rig->surface};
    int points = GV_COCO + l->rig->surface.count, n = 0, of_bone[J + 1] = {0};
    for (int k = 0; k < 2; k++) t->count += kinds[k]->count ? kinds[k]->first[kinds[k]->count] : 0;
    gv_losses_part *part = gv_calloc2((size_t)t->count + 1, sizeof *part);
    int32_t *first = gv_calloc2((size_t)points + 1, sizeof *first), *by_bone = gv_calloc2((size_t)t->count + 1, 4);
    bool ok = part && first && by_bone;
    for (int k = 0, point = 0; k < 2 && ok; k++)
        for (int i = 0; i < kinds[k]->count; i++) {
            for (int m = kinds[k]->first[i]; m < kinds[k]->first[i + 1]; m++) {
                const gv_rig_part *q = &kinds[k]->part[m];
                part[n] = (gv_losses_part){.point = point, .bone = q->bone, .weight = q->W};
                memcpy(part[n].rest, q->Y, sizeof q->Y);
                memcpy(part[n++].dirs, q->dirs, sizeof q->dirs);
            }
            first[++point] = n;
        }
    for (int b = 0, at = 0; b < J && ok; b++) {
        for (int k = 0; k < n; k++)
            if (part[k].bone == b) by_bone[at++] = k;
        of_bone[b + 1] = at;
    }
    if (ok) {
        t->parts = keep(l, part, n + 1, sizeof *part);
        t->first = keep(l, first, points + 1, sizeof *first);
        t->by_bone = keep(l, by_bone, n + 1, sizeof *by_bone);
        t->bone_first = keep(l, of_bone, J + 1, sizeof *of_bone);
        ok = t->parts && t->first && t->by_bone && t->bone_first;
    }
    free(part), free(first), free(by_bone);
    return ok;
}

static bool create_there(gv_losses *l) {
    struct gv_losses_there *t = l->there = calloc(1, sizeof *t);
    if (!t) return false;
    const int width[TARGETS] = {X, J * 3, GV_COCO * 3, l->rig->surface.count * 3, 3, 9, 3, 6, 3, 4};
    const int64_t T = (int64_t)l->B * l->L;
    float statistics[2 * X], skeleton[J * 3 * (1 + NB)];
    memcpy(t->width, width, sizeof width);
    memcpy(statistics, gv_pred_x_std, sizeof(float[X]));
    memcpy(statistics + X, gv_pred_x_mean, sizeof(float[X]));
    memcpy(skeleton, l->rig->S, sizeof l->rig->S);
    memcpy(skeleton + J * 3, l->rig->dirs, sizeof l->rig->dirs);
    bool ok = place_parts(l);
    for (int i = 0; i < TARGETS && ok; i++) ok = (t->placed.target[i] = keep(l, NULL, T * width[i], sizeof(float)));
    ok = ok && (t->placed.length = keep(l, NULL, l->B, sizeof *t->placed.length)) &&
         (t->placed.incam_only = keep(l, NULL, l->B, 1)) &&
         (t->statistics = keep(l, statistics, 2 * X, sizeof(float))) &&
         (t->skeleton = keep(l, skeleton, J * 3 * (1 + NB), sizeof(float))) &&
         (t->terms = keep(l, NULL, T * GV_LOSS_TERMS, sizeof(float))) &&
         (t->partial = keep(l, NULL, GV_ENGINE_PARTS * GV_LOSS_TERMS, sizeof(float))) &&
         (t->sum = keep(l, NULL, GV_LOSS_TERMS, sizeof(float)));
    return ok;
}

gv_losses *gv_losses_create(gv_engine *e, const gv_rig *rig, int B, int L) {
    gv_losses *l = calloc(1, sizeof *l);
    const int64_t T = (int64_t)B * L;
    if (!l) return NULL;
    *l = (gv_losses){.engine = e, .rig = rig, .B = B, .L = L};
    l->dx = gv_engine_alloc(e, T * X, sizeof(float));
    l->dcam = gv_engine_alloc(e, T * 3, sizeof(float));
    l->dlogits = gv_engine_alloc(e, T * 6, sizeof(float));
    bool ok = l->dx && l->dcam && l->dlogits;
    if (ok)
        ok = e->device ? create_there(l) : (l->partial = gv_calloc2((size_t)B * GV_LOSS_TERMS, sizeof(double))) != NULL;
    if (ok) return l;
    gv_losses_destroy(l);
    return NULL;
}

void gv_losses_destroy(gv_losses *l) {
    if (!l) return;
    struct gv_losses_there *t = l->there;
    if (t) {
        void *memory[] = {t->statistics, t->skeleton, t->terms,   t->partial,   t->sum,
                          t->parts,      t->first,    t->by_bone, t->bone_first};
        for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) gv_device_drop(l->engine->device, memory[i]);
        for (int i = 0; i < TARGETS; i++) gv_device_drop(l->engine->device, t->placed.target[i]);
        gv_device_drop(l->engine->device, t->placed.length);
        gv_device_drop(l->engine->device, t->placed.incam_only);
    }
    free(t);
    free(l->partial);
    if (l->dx) gv_engine_free(l->engine, l->dx);
    if (l->dcam) gv_engine_free(l->engine, l->dcam);
    if (l->dlogits) gv_engine_free(l->engine, l->dlogits);
    free(l);
}

// The targets where the kernels read them.
static struct gv_losses_placed place(gv_losses *l, const gv_targets *y) {
    gv_device *d = l->engine->device;
    struct gv_losses_there *t = l->there;
    const size_t T = (size_t)l->B * (size_t)l->L;
    gv_real *const from[TARGETS] = {y->x,   y->joints,   y->coco,  y->verts, y->transl_c,
                                    y->R_w, y->transl_w, y->still, y->box,   y->K};
    if (y->there) {
        struct gv_losses_placed p = {.length = (int32_t *)y->length, .incam_only = (uint8_t *)y->incam_only};
        memcpy(p.target, from, sizeof p.target);
        return p;
    }
    for (int i = 0; i < TARGETS; i++)
        if (t->width[i]) gv_device_upload(d, t->placed.target[i], from[i], T * (size_t)t->width[i] * sizeof(float));
    gv_device_upload(d, t->placed.length, y->length, (size_t)l->B * sizeof(int));
    gv_device_upload(d, t->placed.incam_only, y->incam_only, (size_t)l->B);
    return t->placed;
}

static void queue(gv_losses *l, const gv_net *n, const gv_targets *y) {
    struct gv_losses_there *t = l->there;
    gv_device *d = l->engine->device;
    const int64_t T = (int64_t)l->B * l->L;
    const struct gv_losses_placed p = place(l, y);
    gv_real count[GV_LOSS_TERMS];
    gv_loss_elements(count, &(gv_targets){.B = l->B, .L = l->L}, l->rig);
    float *const *target = p.target;
    gv_frame_losses_args a = {.dx = l->dx,
                              .dcam = l->dcam,
                              .dlogits = l->dlogits,
                              .terms = t->terms,
                              .x = n->out[0],
                              .cam = n->out[1],
                              .logits = n->out[2],
                              .true_x = target[0],
                              .joints = target[1],
                              .coco = target[2],
                              .verts = target[3],
                              .transl = target[4],
                              .still = target[7],
                              .box = target[8],
                              .K = target[9],
                              .length = p.length,
                              .incam_only = p.incam_only,
                              .statistics = t->statistics,
                              .skeleton = t->skeleton,
                              .parts = t->parts,
                              .first = t->first,
                              .by_bone = t->by_bone,
                              .bone_first = t->bone_first,
                              .sequences = l->B,
                              .frames = l->L,
                              .surface = l->rig->surface.count,
                              .count = t->count};
    for (int i = 0; i < GV_LOSS_TERMS; i++) a.w[i] = l->weights[i] / count[i];
    for (int j = 0; j < J; j++) a.parent[j] = (int8_t)gv_parents55[j];
    gv_device_launch(d, GV_KERNEL_frame_losses, &a);
    gv_kernel(d, rollout_loss, .dx = l->dx, .terms = t->terms, .x = n->out[0], .transl_w = target[6], .R_w = target[5],
              .statistics = t->statistics, .length = p.length, .incam_only = p.incam_only, .sequences = l->B,
              .frames = l->L, .w = a.w[GV_LOSS_TRANSL_W]);
    const int parts = T < GV_ENGINE_PARTS ? (int)T : GV_ENGINE_PARTS;
    gv_kernel(d, column_sums, .y = t->partial, .x = t->terms, .rows = T, .width = GV_LOSS_TERMS, .parts = parts,
              .each = (int)((T + parts - 1) / parts));
    gv_kernel(d, column_sums, .y = t->sum, .x = t->partial, .rows = parts, .width = GV_LOSS_TERMS, .parts = 1,
              .each = parts);
    l->last = (gv_loss){0};
    for (int i = 0; i < GV_LOSS_TERMS; i++) l->last.term[i] = 1 / (double)count[i]; // times the sums, in gv_losses_get
}

void gv_losses_run(gv_losses *l, const gv_net *n, const gv_targets *y, const gv_real weights[GV_LOSS_TERMS]) {
    memcpy(l->weights, weights, sizeof l->weights);
    if (l->there)
        queue(l, n, y);
    else
        gv_loss_run(&l->last, l->dx, l->dcam, l->dlogits, n->out[0], n->out[1], n->out[2], y, l->rig, weights,
                    l->partial);
}

void gv_losses_get(gv_losses *l, gv_loss *out) {
    float sum[GV_LOSS_TERMS] = {0};
    *out = l->last;
    if (!l->there) return;
    gv_device_download(l->engine->device, sum, l->there->sum, sizeof sum);
    for (int i = 0; i < GV_LOSS_TERMS; i++) {
        out->term[i] *= sum[i];
        out->total += out->term[i] * l->weights[i];
    }
}
