#include "perception/tracker.h"

#include "base/memory.h"
#include "perception/assignment.h"
#include "perception/kalman.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const double MATCH_LIMIT = 0.8, NEW_LIMIT = 0.7, DUPLICATE = 0.15;
static const float NEW_SCORE = 0.6f;
enum { BUFFER = 30 };

typedef enum state { TRACKED, LOST, REMOVED } state;

typedef struct track {
    gv_kalman kalman;
    state state;
    bool active;
    bool doomed; // outlived its buffer: the next time it is lost is its end
    bool duplicate;
    int id, born, matched, detection;
    float score;
} track;

typedef struct list {
    track *item;
    int count, room;
} list;

struct gv_tracker {
    list tracked, lost;
    int frame, next_id;
};

gv_tracker *gv_tracker_create(void) {
    gv_tracker *t = gv_calloc2(1, sizeof *t);
    if (t) t->next_id = 1;
    return t;
}

void gv_tracker_destroy(gv_tracker *t) {
    if (!t) return;
    free(t->tracked.item);
    free(t->lost.item);
    free(t);
}

static bool push(list *l, const track *t) {
    if (l->count == l->room) {
        int room = l->room ? 2 * l->room : 16;
        track *item = gv_calloc2((size_t)room, sizeof *item);
        if (!item) return false;
        if (l->count) memcpy(item, l->item, (size_t)l->count * sizeof *item);
        free(l->item);
        l->item = item;
        l->room = room;
    }
    l->item[l->count++] = *t;
    return true;
}

static void box_of(const gv_kalman *k, float box[4]) {
    for (int i = 0; i < 2; i++) {
        box[i] = (float)(k->x[i] - k->x[i + 2] / 2);
        box[i + 2] = (float)(k->x[i] + k->x[i + 2] / 2);
    }
}

// As the reference: float32, 1e-7 in the denominator.
static float overlap(const float a[4], const float b[4]) {
    float w = fmaxf(0, fminf(a[2], b[2]) - fmaxf(a[0], b[0])), h = fmaxf(0, fminf(a[3], b[3]) - fmaxf(a[1], b[1]));
    float both = w * h;
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both + 1e-7f);
}

static void to_xywh(const float b[4], double out[4]) {
    for (int i = 0; i < 2; i++) {
        out[i] = ((double)b[i] + b[i + 2]) / 2;
        out[i + 2] = (double)b[i + 2] - b[i];
    }
}

typedef struct frame_input {
    const float (*boxes)[4];
    const float *scores;
    int n;
    bool *taken; // [n]
} frame_input;

// Pairs the tracks with the detections that are still free; match [count] receives detection indices or -1.
static gv_status pair(track **pool, int count, const frame_input *in, double limit, int *match, gv_error *err) {
    int *open = gv_calloc2((size_t)in->n, sizeof *open), n = 0;
    double *cost = gv_calloc2((size_t)count * (size_t)in->n, sizeof *cost);
    gv_status status = GV_OK;
    if (!open || !cost) {
        status = gv_fail(err, GV_ERR_MEMORY, "no memory to match %d tracks", count);
        goto done;
    }
    for (int j = 0; j < in->n; j++)
        if (!in->taken[j]) open[n++] = j;
    for (int i = 0; i < count; i++) {
        float box[4];
        box_of(&pool[i]->kalman, box);
        for (int j = 0; j < n; j++)
            cost[(size_t)i * n + j] = 1.0f - overlap(box, in->boxes[open[j]]) * in->scores[open[j]];
    }
    status = gv_assign(cost, count, n, limit, match, err);
    if (status != GV_OK) goto done;
    for (int i = 0; i < count; i++) {
        if (match[i] < 0) continue;
        match[i] = open[match[i]];
        in->taken[match[i]] = true;
    }
done:
    free(open);
    free(cost);
    return status;
}

static void take(track *k, const frame_input *in, int detection, int frame) {
    double xywh[4];
    to_xywh(in->boxes[detection], xywh);
    gv_kalman_update(&k->kalman, xywh);
    k->score = in->scores[detection];
    k->detection = detection;
    k->matched = frame;
    k->active = true;
    k->state = TRACKED;
}

// Steps 1-4: prediction, camera motion, first the active and lost tracks, then those of one frame's age.
static gv_status match_all(gv_tracker *t, const frame_input *in, const double warp[2][3], gv_error *err) {
    int total = t->tracked.count + t->lost.count, n = 0, fresh = 0;
    track **pool = gv_calloc2((size_t)total, sizeof *pool), **young = gv_calloc2((size_t)total, sizeof *young);
    int *match = gv_calloc2((size_t)total, sizeof *match);
    gv_status status = GV_ERR_MEMORY;
    if (!pool || !young || !match) {
        gv_fail(err, GV_ERR_MEMORY, "no memory for %d tracks", total);
        goto done;
    }
    for (int i = 0; i < t->tracked.count; i++) {
        track *k = &t->tracked.item[i];
        if (k->active)
            pool[n++] = k;
        else
            young[fresh++] = k;
    }
    for (int i = 0; i < t->lost.count; i++) {
        track *k = &t->lost.item[i];
        k->kalman.x[6] = k->kalman.x[7] = 0;
        pool[n++] = k;
    }
    for (int i = 0; i < n; i++) gv_kalman_predict(&pool[i]->kalman);
    if (warp) {
        for (int i = 0; i < n; i++) gv_kalman_warp(&pool[i]->kalman, warp);
        for (int i = 0; i < fresh; i++) gv_kalman_warp(&young[i]->kalman, warp);
    }
    if ((status = pair(pool, n, in, MATCH_LIMIT, match, err)) != GV_OK) goto done;
    for (int i = 0; i < n; i++) {
        if (match[i] >= 0)
            take(pool[i], in, match[i], t->frame);
        else if (pool[i]->state == TRACKED)
            pool[i]->state = pool[i]->doomed ? REMOVED : LOST;
    }
    if ((status = pair(young, fresh, in, NEW_LIMIT, match, err)) != GV_OK) goto done;
    for (int i = 0; i < fresh; i++) {
        if (match[i] >= 0)
            take(young[i], in, match[i], t->frame);
        else
            young[i]->state = REMOVED;
    }
done:
    free(pool);
    free(young);
    free(match);
    return status;
}

// Steps 5-7: new tracks, removal of old ones, the two lists in the reference's order.
static gv_status relist(gv_tracker *t, const frame_input *in, gv_error *err) {
    list tracked = {0}, lost = {0};
    bool ok = true;
    for (int i = 0; i < t->tracked.count; i++)
        if (t->tracked.item[i].state == TRACKED) ok &= push(&tracked, &t->tracked.item[i]);
    for (int j = 0; j < in->n; j++) {
        if (in->taken[j] || in->scores[j] < NEW_SCORE) continue;
        track k = {.id = t->next_id++,
                   .born = t->frame,
                   .matched = t->frame,
                   .detection = j,
                   .score = in->scores[j],
                   .active = t->frame == 1};
        double xywh[4];
        to_xywh(in->boxes[j], xywh);
        gv_kalman_start(&k.kalman, xywh);
        ok &= push(&tracked, &k);
    }
    for (int i = 0; i < t->lost.count; i++) {
        track *k = &t->lost.item[i];
        if (k->state == TRACKED) {
            ok &= push(&tracked, k);
        } else if (!k->doomed) { // one that was doomed already has had its last frame
            k->doomed = t->frame - k->matched > BUFFER;
            ok &= push(&lost, k);
        }
    }
    for (int i = 0; i < t->tracked.count; i++)
        if (t->tracked.item[i].state == LOST) ok &= push(&lost, &t->tracked.item[i]);
    free(t->tracked.item);
    free(t->lost.item);
    t->tracked = tracked;
    t->lost = lost;
    return ok ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory for %d tracks", tracked.count + lost.count);
}

static void drop_marked(list *l) {
    int n = 0;
    for (int i = 0; i < l->count; i++)
        if (!l->item[i].duplicate) l->item[n++] = l->item[i];
    l->count = n;
}

static void drop_duplicates(gv_tracker *t) {
    bool any = false;
    for (int i = 0; i < t->tracked.count; i++)
        for (int j = 0; j < t->lost.count; j++) {
            track *a = &t->tracked.item[i], *b = &t->lost.item[j];
            float box_a[4], box_b[4];
            box_of(&a->kalman, box_a);
            box_of(&b->kalman, box_b);
            if (1 - overlap(box_a, box_b) >= DUPLICATE) continue;
            track *worse = a->matched - a->born > b->matched - b->born ? b : a;
            worse->duplicate = any = true; // all pairs are judged before any is dropped
        }
    if (!any) return;
    drop_marked(&t->tracked);
    drop_marked(&t->lost);
}

gv_status gv_tracker_step(gv_tracker *t, const float (*boxes)[4], const float *scores, int n, const double warp[2][3],
                          gv_track_box *out, int *count, gv_error *err) {
    *count = 0;
    if (n == 0) return GV_OK;
    frame_input in = {boxes, scores, n, gv_calloc2((size_t)n, sizeof(bool))};
    if (!in.taken) return gv_fail(err, GV_ERR_MEMORY, "no memory for %d detections", n);
    t->frame++;
    gv_status status = match_all(t, &in, warp, err);
    if (status == GV_OK) status = relist(t, &in, err);
    free(in.taken);
    if (status != GV_OK) return status;
    drop_duplicates(t);
    for (int i = 0; i < t->tracked.count && *count < n; i++) {
        const track *k = &t->tracked.item[i];
        if (!k->active || k->matched != t->frame) continue;
        gv_track_box *o = &out[(*count)++];
        box_of(&k->kalman, o->box);
        o->id = k->id;
        o->score = k->score;
        o->detection = k->detection;
    }
    return GV_OK;
}
