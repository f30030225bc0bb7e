#include "perception/detected.h"

#include "base/memory.h"
#include "perception/history.h"
#include "perception/tracker.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_SIDE = 1 << 16, MOST_PER_FRAME = 1 << 12 };
static const float MIN_SCORE = 0.5f, MIN_CONFIDENCE = 0.3f;
static const float POINTS_SCORE = 0.9f; // what the tracker is told of keypoints, enough to start a track

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
    float (*points)[17][3]; // NULL: boxes only
    int *ids;               // NULL: the tracker decides
    size_t nboxes, box_room;
    gv_spool *spool;    // of the histories
    gv_history *people; // [npeople] by id - 1; not all became active
    int npeople;
};

gv_status gv_detected_create(gv_detected **out, const gv_detected_options *opt, int width, int height, gv_error *err) {
    *out = NULL;
    if (width < 1 || height < 1 || width > LARGEST_SIDE || height > LARGEST_SIDE)
        return gv_fail(err, GV_ERR_ARGUMENT, "a picture of %d x %d cannot be searched for people", width, height);
    gv_detected *d = gv_calloc2(1, sizeof *d);
    if (d) d->spool = gv_spool_create();
    if (!d || !d->spool) {
        free(d);
        return gv_fail(err, GV_ERR_MEMORY, "no memory to follow people");
    }
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
    gv_spool_destroy(d->spool);
    free(d->people);
    free(d->frames);
    free(d->boxes);
    free(d->scores);
    free(d->points);
    free(d->ids);
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

// Begins a frame of up to n boxes; points and ids get room where they are wanted.
static gv_status new_frame(gv_detected *d, int n, bool points, bool ids, double time_sec, gv_error *err) {
    size_t total = d->nboxes + (size_t)n, used = d->nboxes, room[4];
    for (int i = 0; i < 4; i++) room[i] = d->box_room;
    assert(d->nboxes == 0 || ((d->points != NULL) == points && (d->ids != NULL) == ids));
    if (d->nframes >= INT32_MAX ||
        !reserve(&d->frames, &d->frame_room, d->nframes, d->nframes + 1, sizeof *d->frames) ||
        !reserve(&d->boxes, &room[0], used, total, sizeof *d->boxes) ||
        (points && !reserve(&d->points, &room[1], used, total, sizeof *d->points)) ||
        (ids && !reserve(&d->ids, &room[2], used, total, sizeof *d->ids)) ||
        !reserve(&d->scores, &room[3], used, total, sizeof *d->scores))
        return gv_fail(err, GV_ERR_MEMORY, "no memory for the boxes of frame %zu", d->nframes);
    d->box_room = room[0];
    d->frames[d->nframes++] = (frame){.first = d->nboxes, .time_sec = time_sec};
    return GV_OK;
}

gv_status gv_detected_frame(gv_detected *d, const float (*boxes)[4], const float *scores, int n, double time_sec,
                            gv_error *err) {
    if (n > MOST_PER_FRAME) n = MOST_PER_FRAME;
    gv_status status = new_frame(d, n, false, false, time_sec, err);
    for (int i = 0; i < n && status == GV_OK; i++) {
        if (!(scores[i] > MIN_SCORE)) continue;
        memcpy(d->boxes[d->nboxes], boxes[i], sizeof boxes[i]);
        d->scores[d->nboxes++] = scores[i];
        d->frames[d->nframes - 1].count++;
    }
    return status;
}

// The box around the points that count; false for less than three of them.
static bool box_around(float box[4], const float points[17][3]) {
    int seen = 0;
    box[0] = box[1] = INFINITY;
    box[2] = box[3] = -INFINITY;
    for (int j = 0; j < 17; j++) {
        if (!(points[j][2] > MIN_CONFIDENCE)) continue;
        seen++;
        for (int c = 0; c < 2; c++) {
            box[c] = fminf(box[c], points[j][c]);
            box[c + 2] = fmaxf(box[c + 2], points[j][c]);
        }
    }
    return seen >= 3 && box[2] > box[0] && box[3] > box[1];
}

gv_status gv_detected_points(gv_detected *d, const float (*kp2d)[17][3], const int *ids, int n, double time_sec,
                             gv_error *err) {
    if (n > MOST_PER_FRAME) n = MOST_PER_FRAME;
    gv_status status = new_frame(d, n, true, ids != NULL, time_sec, err);
    for (int i = 0; i < n && status == GV_OK; i++) {
        if (!box_around(d->boxes[d->nboxes], kp2d[i])) continue;
        memcpy(d->points[d->nboxes], kp2d[i], sizeof kp2d[i]);
        if (ids) d->ids[d->nboxes] = ids[i];
        d->scores[d->nboxes++] = POINTS_SCORE;
        d->frames[d->nframes - 1].count++;
    }
    return status;
}

int gv_detected_boxes(const gv_detected *d, float (*boxes)[4], int max) {
    if (!d->nframes) return 0;
    const frame *f = &d->frames[d->nframes - 1];
    int n = f->count < max ? f->count : max;
    if (n > 0) memcpy(boxes, d->boxes + f->first, (size_t)n * sizeof *boxes);
    return n;
}

// Adds box `i` to a person's history; `box`: where the tracker puts it, NULL: where it was found.
static gv_status remember(gv_detected *d, int person, size_t t, size_t i, const float *box, gv_error *err) {
    size_t room = (size_t)d->npeople;
    if (person >= d->npeople) {
        if (!reserve(&d->people, &room, room, (size_t)person + 1, sizeof *d->people))
            return gv_fail(err, GV_ERR_MEMORY, "no memory for %d persons", person + 1);
        d->npeople = (int)room;
    }
    gv_seen_points seen = {d->points ? (const float(*)[3])d->points[i] : NULL, NULL, NULL};
    d->people[person].list.spool = d->spool;
    return gv_history_add(&d->people[person], (int)t, d->frames[t].time_sec, &seen, box ? box : d->boxes[i], err);
}

static gv_status by_identity(gv_detected *d, gv_error *err) {
    gv_status status = GV_OK;
    for (size_t t = 0; t < d->nframes; t++)
        for (size_t i = d->frames[t].first; i < d->frames[t].first + (size_t)d->frames[t].count && status == GV_OK; i++)
            status = remember(d, d->ids[i], t, i, NULL, err);
    return status;
}

// The reference's tracker over all frames. Its boxes follow the Kalman filter, as the reference has them; a person's
// points keep the box around them.
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
        for (int i = 0; i < count && status == GV_OK; i++)
            status =
                remember(d, out[i].id - 1, t, f->first + (size_t)out[i].detection, d->points ? NULL : out[i].box, err);
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
    gv_status status = d->ids ? by_identity(d, err) : follow(d, warps, err);
    if (status == GV_OK) status = select_people(d, err);
    if (status == GV_OK) status = gv_histories_finish(d->people, d->npeople, d->width, d->height, out, err);
    while (status == GV_OK && d->opt.max_people > 0 && out->count > d->opt.max_people)
        gv_person_free(&out->person[--out->count]);
    return status;
}

// The persons of frame t are k->person[at .. end - 1].
static gv_status add_keypoints_frame(gv_detected *d, const gv_keypoints *k, int at, int end, double time_sec,
                                     gv_error *err) {
    size_t n = (size_t)(end - at);
    float(*points)[17][3] = gv_calloc2(n, sizeof *points);
    int *ids = gv_calloc2(n, sizeof *ids);
    gv_status status = GV_OK;
    if (!points || !ids) status = gv_fail(err, GV_ERR_MEMORY, "no memory for %zu persons", n);
    for (size_t i = 0; i < n && status == GV_OK; i++) {
        memcpy(points[i], k->person[(size_t)at + i].point, sizeof points[i]);
        ids[i] = k->person[(size_t)at + i].id;
    }
    if (status == GV_OK)
        status = gv_detected_points(d, (const float(*)[17][3])points, k->has_ids ? ids : NULL, (int)n, time_sec, err);
    free(points);
    free(ids);
    return status;
}

gv_status gv_tracks_from_keypoints(gv_tracks *out, const gv_keypoints *k, const gv_keypoints_video *video,
                                   const double *time_sec, const double (*warps)[2][3], const gv_detected_options *opt,
                                   gv_error *err) {
    gv_detected *d = NULL;
    *out = (gv_tracks){0};
    gv_status status = gv_detected_create(&d, opt, video->width, video->height, err);
    int at = 0;
    for (long t = 0; t < video->frames && status == GV_OK; t++) {
        int end = at;
        while (end < k->count && k->person[end].frame == t) end++;
        status = add_keypoints_frame(d, k, at, end, time_sec[t], err);
        at = end;
    }
    if (status == GV_OK && at < k->count)
        status = gv_fail(err, GV_ERR_FORMAT, "keypoints for frame %d, the video has %ld frames", k->person[at].frame,
                         video->frames);
    if (status == GV_OK) status = gv_detected_finish(d, warps, out, err);
    gv_detected_destroy(d);
    return status;
}
