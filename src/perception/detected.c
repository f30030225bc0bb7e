#include "perception/detected.h"

#include "base/memory.h"
#include "perception/history.h"
#include "perception/tracker.h"
#include <stdlib.h>
#include <string.h>

enum { LARGEST_SIDE = 1 << 16, MOST_PER_FRAME = 1 << 12 };
static const float MIN_SCORE = 0.5f;

typedef struct frame { // what was found in it: boxes first .. first + count - 1
    size_t first;
    int count;
    double time_sec;
} frame;

struct gv_detected {
    gv_detected_options opt;
    int width, height;
    frame *frames;
    size_t nframes, frame_room;
    float (*boxes)[4];
    float *scores;
    size_t nboxes, box_room;
    gv_history *people; // [npeople] by id - 1; not all became active
    int npeople;
};

gv_status gv_detected_create(gv_detected **out, const gv_detected_options *opt, int width, int height, gv_error *err) {
    *out = NULL;
    if (width < 1 || height < 1 || width > LARGEST_SIDE || height > LARGEST_SIDE)
        return gv_fail(err, GV_ERR_ARGUMENT, "a picture of %d x %d cannot be searched for people", width, height);
    gv_detected *d = gv_calloc2(1, sizeof *d);
    if (!d) return gv_fail(err, GV_ERR_MEMORY, "no memory to follow people");
    if (opt) d->opt = *opt;
    if (!(d->opt.min_seconds > 0)) d->opt.min_seconds = 1;
    d->width = width;
    d->height = height;
    *out = d;
    return GV_OK;
}

void gv_detected_destroy(gv_detected *d) {
    if (!d) return;
    for (int i = 0; i < d->npeople; i++) gv_history_free(&d->people[i]);
    free(d->people);
    free(d->frames);
    free(d->boxes);
    free(d->scores);
    free(d);
}

// Room for `count` items of `size` bytes, of which `used` are kept.
static bool reserve(void *items, size_t *room, size_t used, size_t count, size_t size) {
    void **p = items;
    if (count <= *room) return true;
    size_t more = *room ? 2 * *room : 256;
    while (more < count) more *= 2;
    void *bigger = gv_calloc2(more, size);
    if (!bigger) return false;
    if (used) memcpy(bigger, *p, used * size);
    free(*p);
    *p = bigger;
    *room = more;
    return true;
}

gv_status gv_detected_frame(gv_detected *d, const float (*boxes)[4], const float *scores, int n, double time_sec,
                            gv_error *err) {
    if (n > MOST_PER_FRAME) n = MOST_PER_FRAME;
    size_t total = d->nboxes + (size_t)n, room = d->box_room;
    if (d->nframes >= INT32_MAX ||
        !reserve(&d->frames, &d->frame_room, d->nframes, d->nframes + 1, sizeof *d->frames) ||
        !reserve(&d->boxes, &room, d->nboxes, total, sizeof *d->boxes) ||
        !reserve(&d->scores, &d->box_room, d->nboxes, total, sizeof *d->scores))
        return gv_fail(err, GV_ERR_MEMORY, "no memory for the boxes of frame %zu", d->nframes);
    frame *f = &d->frames[d->nframes++];
    *f = (frame){.first = d->nboxes, .time_sec = time_sec};
    for (int i = 0; i < n; i++) {
        if (!(scores[i] > MIN_SCORE)) continue;
        memcpy(d->boxes[d->nboxes], boxes[i], sizeof boxes[i]);
        d->scores[d->nboxes++] = scores[i];
        f->count++;
    }
    return GV_OK;
}

int gv_detected_boxes(const gv_detected *d, float (*boxes)[4], int max) {
    if (!d->nframes) return 0;
    const frame *f = &d->frames[d->nframes - 1];
    int n = f->count < max ? f->count : max;
    if (n > 0) memcpy(boxes, d->boxes + f->first, (size_t)n * sizeof *boxes);
    return n;
}

static gv_status remember(gv_detected *d, const gv_track_box *b, int number, double time_sec, gv_error *err) {
    size_t room = (size_t)d->npeople;
    if (b->id > d->npeople) {
        if (!reserve(&d->people, &room, room, (size_t)b->id, sizeof *d->people))
            return gv_fail(err, GV_ERR_MEMORY, "no memory for %d persons", b->id);
        d->npeople = (int)room;
    }
    return gv_history_add(&d->people[b->id - 1], number, time_sec, NULL, b->box, err);
}

// The reference's tracker over all frames.
static gv_status follow(gv_detected *d, const double (*warps)[2][3], gv_error *err) {
    gv_tracker *tracker = gv_tracker_create();
    gv_track_box *out = gv_calloc2(MOST_PER_FRAME, sizeof *out);
    gv_status status = GV_OK;
    if (!tracker || !out) status = gv_fail(err, GV_ERR_MEMORY, "no memory to follow people");
    for (size_t t = 0; t < d->nframes && status == GV_OK; t++) {
        const frame *f = &d->frames[t];
        int count = 0;
        status = gv_tracker_step(tracker, (const float(*)[4])d->boxes + f->first, d->scores + f->first, f->count,
                                 warps ? warps[t] : NULL, out, &count, err);
        for (int i = 0; i < count && status == GV_OK; i++) status = remember(d, &out[i], (int)t, f->time_sec, err);
    }
    gv_tracker_destroy(tracker);
    free(out);
    return status;
}

// Drops short tracks and gives the others the extent that was asked for.
static gv_status select_people(gv_detected *d, gv_error *err) {
    int kept = 0;
    gv_status status = GV_OK;
    for (int i = 0; i < d->npeople; i++) {
        gv_history *h = &d->people[i];
        if (status != GV_OK || h->seen < 2 || gv_history_seconds(h) < d->opt.min_seconds - 1e-6) {
            gv_history_free(h);
            continue;
        }
        if (d->opt.whole_video) status = gv_history_extend(h, (int)d->nframes, err);
        gv_history moved = *h;
        *h = (gv_history){0};
        d->people[kept++] = moved;
    }
    d->npeople = kept;
    return status;
}

gv_status gv_detected_finish(gv_detected *d, const double (*warps)[2][3], gv_tracks *out, gv_error *err) {
    *out = (gv_tracks){.frames = (long)d->nframes};
    gv_status status = follow(d, warps, err);
    if (status == GV_OK) status = select_people(d, err);
    if (status == GV_OK) status = gv_histories_finish(d->people, d->npeople, d->width, d->height, out, err);
    while (status == GV_OK && d->opt.max_people > 0 && out->count > d->opt.max_people)
        gv_person_free(&out->person[--out->count]);
    return status;
}
