#include "pipeline/study.h"
#include "base/memory.h"
#include "base/progress.h"
#include "perception/crop.h"
#include "perception/hmr2.h"
#include "perception/vitpose.h"
#include "pipeline/feed.h"
#include "pipeline/on_boxes.h"
#include "pipeline/sparing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYPOINTS = 51, FEATURE = 1024, BATCH = 8, DEVICE_BATCH = 64, BUFFERS = 3, MAX_WORKERS = 2 };
// Frames decoded ahead: more than a chunk, so that a device does not wait for the decoder. Frames that go to the device
// while it works on the chunk before.
enum { DEVICE_BUFFERS = 32, AHEAD = 24 };
// A chunk has at least so many frames and crops; where the picture is full of people it ends earlier. Where frames are
// spared it is longer, for its last frame is always looked at.
enum {
    CHUNK_FRAMES = 12,
    CHUNK_CROPS = 16,
    SPARING_FRAMES = 37,
    MOST_CROPS = 384,
    BYTES = GV_CROP_SIDE * GV_CROP_SIDE * 3
};
enum { CROP = 3 * GV_CROP_ROWS * GV_CROP_COLUMNS };

typedef struct item {  // one person in one frame of the chunk
    int person, frame; // frame within the person's
} item;

// One network and what it has made so far.
typedef struct worker {
    gv_role role;
    int width; // numbers per crop
    gv_journal *journal;
    float **out; // [people] [frames, width]
    long done;   // frames of the video before this one are finished
    gv_vitpose *vitpose;
    gv_hmr2 *hmr2;
    gv_on_boxes *on_boxes;
    double *seconds;
    long *crops;
} worker;

// A frame of the video: in a buffer of the feed, or on the device already.
typedef struct picture {
    gv_image image;
    long index;
    gv_feed_frame *buffer; // NULL: there
} picture;

// Frames that went to the device ahead, in their order: number n is in place n % AHEAD.
typedef struct in_advance {
    uint8_t *memory; // [AHEAD, bytes] there; NULL: none goes ahead
    size_t bytes;
    picture frame[AHEAD];
    long taken, used;
} in_advance;

typedef struct chunk {
    long first, end; // frames
    item *items;     // [room] in order of frame, then person
    int count;
    uint8_t *bytes; // [room, 256, 256, 3] crops, on the device where the networks are
} chunk;

typedef struct pass {
    const gv_study_options *opt;
    gv_feed *feed;
    in_advance ahead;
    worker *worker[MAX_WORKERS];
    int workers;
    float factor;    // size of the frames over full size
    int room;        // of a chunk
    chunk now, next; // next.bytes: where frames go ahead, its crops are cut while the networks are at work
    long cut;        // frames of the video that are behind: crops of those before it are cut
    void *squares;   // on a device: what gv_crop_queue works in
    int batch;       // crops at once
    float *crops;    // [batch, 3, 256, 192]
    float *out;      // [batch, FEATURE] results of one batch
    float *values;   // [room, FEATURE] results of one worker
    uint8_t *want;   // [room] crops that the networks shall see
} pass;

// ---- chunks

static bool is_there(const gv_person *p, long frame) {
    return frame >= p->first && frame < p->first + p->frames;
}

// Lists everybody in the frames from `first` on until the chunk is full.
static void plan_chunk(const pass *p, chunk *c, long first) {
    const gv_study_options *o = p->opt;
    c->first = c->end = first;
    c->count = 0;
    int frames = o->fast ? SPARING_FRAMES : CHUNK_FRAMES;
    while (c->end < o->frames) {
        int here = 0;
        for (int i = 0; i < o->people; i++) here += is_there(&o->person[i], c->end);
        bool full = c->end - first >= frames && c->count >= CHUNK_CROPS;
        if (c->count && (full || c->count + here > p->room)) break;
        for (int i = 0; i < o->people; i++)
            if (is_there(&o->person[i], c->end)) c->items[c->count++] = (item){i, (int)(c->end - o->person[i].first)};
        c->end++;
    }
}

static const float *box_of(const pass *p, const chunk *c, int i) {
    const item *t = &c->items[i];
    return p->opt->person[t->person].bbx_xys + 3 * (size_t)t->frame;
}

static long frame_of(const pass *p, const chunk *c, int i) {
    return p->opt->person[c->items[i].person].first + c->items[i].frame;
}

// Whether an item shows what the one before does: nobody looks at it, and its values count for nothing.
static bool repeats(const pass *p, int i) {
    return p->opt->repeated && p->now.items[i].frame > 0 && p->opt->repeated[frame_of(p, &p->now, i)];
}

// ---- records: first frame, frames, crops, then the values of all crops

typedef struct record_head {
    int64_t first, frames, crops;
} record_head;

static void deliver(pass *p, worker *w, const float *values) {
    for (int i = 0; i < p->now.count; i++)
        memcpy(w->out[p->now.items[i].person] + (size_t)p->now.items[i].frame * w->width, values + (size_t)i * w->width,
               (size_t)w->width * sizeof *values);
    w->done = p->now.end;
}

static gv_status keep(pass *p, worker *w, const float *values, gv_error *err) {
    record_head head = {p->now.first, p->now.end - p->now.first, p->now.count};
    size_t size = (size_t)p->now.count * w->width * sizeof *values;
    char *record = malloc(sizeof head + size);
    if (!record) return gv_fail(err, GV_ERR_MEMORY, "no memory for the results of %d crops", p->now.count);
    memcpy(record, &head, sizeof head);
    memcpy(record + sizeof head, values, size);
    gv_journal_append(w->journal, record, sizeof head + size);
    free(record);
    deliver(p, w, values);
    return GV_OK;
}

// Takes over the chunks that an earlier run has finished.
static void recall(pass *p, worker *w) {
    const void *data;
    size_t size;
    while (w->done < p->opt->frames && gv_journal_next(w->journal, &data, &size)) {
        plan_chunk(p, &p->now, w->done);
        record_head head = {p->now.first, p->now.end - p->now.first, p->now.count};
        size_t values = (size_t)p->now.count * w->width * sizeof(float);
        if (size != sizeof head + values || memcmp(data, &head, sizeof head) != 0) {
            gv_journal_reject(w->journal, "not of these tracks");
            return;
        }
        memcpy(p->values, (const char *)data + sizeof head, values);
        deliver(p, w, p->values);
    }
}

// ---- work

static gv_status run_batch(pass *p, worker *w, const int *chosen, int n, gv_error *err) {
    float boxes[DEVICE_BATCH][3], *out = p->out;
    const gv_crops crops = p->opt->device ? (gv_crops){NULL, p->now.bytes, chosen} : (gv_crops){p->crops, NULL, NULL};
    for (int k = 0; k < n; k++) memcpy(boxes[k], box_of(p, &p->now, chosen[k]), sizeof boxes[k]);
#pragma omp parallel for schedule(static) if (!p->opt->device)
    for (int k = 0; k < (p->opt->device ? 0 : n); k++)
        gv_crop_normalise(p->crops + (size_t)k * CROP, p->now.bytes + (size_t)chosen[k] * BYTES);
    double start = gv_now();
    gv_status status = w->vitpose ? gv_vitpose_run(w->vitpose, &crops, boxes[0], n, !p->opt->fast, out, err)
                                  : gv_hmr2_run(w->hmr2, &crops, n, out, err);
    *w->seconds += gv_now() - start;
    *w->crops += n;
    if (status != GV_OK) return status;
    for (int k = 0; k < n; k++)
        memcpy(p->values + (size_t)chosen[k] * w->width, out + (size_t)k * w->width, (size_t)w->width * sizeof *out);
    return GV_OK;
}

// Runs the network on the crops whose `want` is `level`.
static gv_status run_wanted(pass *p, worker *w, int level, gv_error *err) {
    int chosen[DEVICE_BATCH], n = 0;
    gv_status status = GV_OK;
    for (int i = 0; i <= p->now.count && status == GV_OK; i++) {
        if (i < p->now.count && p->want[i] == level) chosen[n++] = i;
        if (n == p->batch || (i == p->now.count && n > 0)) {
            status = run_batch(p, w, chosen, n, err);
            n = 0;
        }
    }
    return status;
}

// The chunk's items of one person, in order of time.
static int items_of(const pass *p, int person, int *list) {
    int n = 0;
    for (int i = 0; i < p->now.count; i++)
        if (p->now.items[i].person == person) list[n++] = i;
    return n;
}

// Marks the frames between key frames that ViTPose shall see, by its keypoints in those.
static void choose_moving(pass *p, const int *list, int n) {
    for (int k = 1, last = 0; k < n; k++) {
        if (p->want[list[k]] != GV_SPARING_KEY) continue;
        const float *a = p->values + (size_t)list[last] * KEYPOINTS, *b = p->values + (size_t)list[k] * KEYPOINTS;
        int between = k - last - 1, looks = gv_sparing_looks(a, b, box_of(p, &p->now, list[k])[2], between);
        for (int i = 0; i < looks; i++)
            p->want[list[looks < between ? (last + k + 1) / 2 : last + 1 + i]] = GV_SPARING_MOVING;
        last = k;
    }
}

static gv_status run_sparingly(pass *p, worker *w, gv_error *err) {
    bool keypoints = w->role == GV_ROLE_KEYPOINTS;
    int *list = gv_calloc2((size_t)p->now.count, sizeof *list);
    if (!list) return gv_fail(err, GV_ERR_MEMORY, "no memory for %d crops", p->now.count);
    int step = gv_sparing_step(p->opt->fps, keypoints);
    for (int q = 0; q < p->opt->people; q++) {
        int n = items_of(p, q, list);
        for (int k = 0; k < n; k++)
            p->want[list[k]] = gv_sparing_is_key(k, n, step) ? GV_SPARING_KEY : GV_SPARING_BETWEEN;
    }
    gv_status status = run_wanted(p, w, GV_SPARING_KEY, err);
    for (int q = 0; keypoints && q < p->opt->people && status == GV_OK; q++)
        choose_moving(p, list, items_of(p, q, list));
    if (keypoints && status == GV_OK) status = run_wanted(p, w, GV_SPARING_MOVING, err);
    for (int q = 0; q < p->opt->people && status == GV_OK; q++)
        gv_sparing_fill(p->values, w->width, list, items_of(p, q, list), p->want, keypoints);
    free(list);
    return status;
}

static void leave_out(pass *p, const worker *w) {
    for (int i = 0; i < p->now.count; i++) {
        p->want[i] = repeats(p, i) ? GV_SPARING_BETWEEN : GV_SPARING_KEY;
        if (repeats(p, i)) memset(p->values + (size_t)i * w->width, 0, (size_t)w->width * sizeof *p->values);
    }
}

// ---- frames

// The items of a frame: first ... return value - 1.
static int items_in(const pass *p, const chunk *c, long frame, int *first) {
    int end;
    for (*first = 0; *first < c->count && frame_of(p, c, *first) < frame;) ++*first;
    for (end = *first; end < c->count && frame_of(p, c, end) == frame;) end++;
    return end;
}

static void crop_on_device(const pass *p, const chunk *c, const picture *f) {
    gv_device *d = p->opt->device;
    int first, end = items_in(p, c, f->index, &first);
    if (first == end) return;
    const gv_image image = f->buffer ? gv_frame_place(d, &f->image) : f->image;
    float boxes[BATCH][3];
    for (int i = first; i < end; i += BATCH) {
        int n = end - i < BATCH ? end - i : BATCH;
        for (int k = 0; k < n; k++) memcpy(boxes[k], box_of(p, c, i + k), sizeof boxes[k]);
        gv_crop_queue(d, c->bytes + (size_t)i * BYTES, &image, boxes[0], n, p->factor, p->squares);
    }
}

static bool anybody_in(const pass *p, long frame) {
    for (int i = 0; i < p->opt->people; i++)
        if (is_there(&p->opt->person[i], frame)) return true;
    return false;
}

// Called while the networks are at work on the chunk before: their crops are cut, so that places whose frames were used
// are free. Where the feed ends or fails, it does so again when next_picture asks.
static void take_in_advance(pass *p) {
    in_advance *a = &p->ahead;
    gv_feed_frame *f;
    while (a->taken - a->used < AHEAD && gv_feed_next(p->feed, &f, NULL) == GV_OK && f) {
        picture *to = &a->frame[a->taken % AHEAD];
        uint8_t *there = a->memory + (size_t)(a->taken % AHEAD) * a->bytes;
        *to = (picture){{there, f->width, f->height, 3 * f->width}, f->index, NULL};
        if (anybody_in(p, f->index))
            gv_device_upload_ahead(p->opt->device, there, f->rgb, (size_t)f->height * f->width * 3);
        a->taken++;
        gv_feed_release(p->feed, f);
    }
}

// And what is there of the next chunk is cut behind their work. Nothing of this asks for memory: a network that takes
// fewer crops at once for want of it has nothing to do with these.
static void work_ahead(void *user) {
    pass *p = user;
    in_advance *a = &p->ahead;
    take_in_advance(p);
    gv_device_ahead_wait(p->opt->device);
    while (a->used < a->taken && a->frame[a->used % AHEAD].index < p->next.end) {
        const picture *f = &a->frame[a->used++ % AHEAD];
        crop_on_device(p, &p->next, f);
        p->cut = f->index + 1;
    }
}

// Where the device has no memory for that, nothing goes ahead.
static gv_status make_room_ahead(pass *p, gv_error *err) {
    const gv_video_info *v = gv_feed_info(p->feed);
    gv_device *d = p->opt->device;
    in_advance *a = &p->ahead;
    gv_error why = {0};
    *a = (in_advance){.bytes = (size_t)v->width * (size_t)v->height * 3};
    a->memory = gv_device_hold(d, AHEAD, a->bytes);
    if (!p->next.bytes) p->next.bytes = gv_device_hold(d, (size_t)p->room, BYTES);
    gv_status status = gv_device_finish(d, &why);
    if (status == GV_OK) return GV_OK;
    gv_device_drop(d, a->memory);
    a->memory = NULL;
    if (status == GV_ERR_MEMORY) return GV_OK;
    if (err) *err = why;
    return status;
}

// out->image.rgb NULL: the end.
static gv_status next_picture(pass *p, picture *out, gv_error *err) {
    in_advance *a = &p->ahead;
    gv_feed_frame *f;
    *out = (picture){0};
    if (a->used < a->taken) {
        *out = a->frame[a->used++ % AHEAD];
        return GV_OK;
    }
    gv_status status = gv_feed_next(p->feed, &f, err);
    if (status == GV_OK && f) *out = (picture){{f->rgb, f->width, f->height, 3 * f->width}, f->index, f};
    return status;
}

// ---- the networks

static gv_status run_networks(pass *p, gv_error *err) {
    gv_status status = GV_OK;
    for (int k = 0; k < p->workers && status == GV_OK; k++) {
        worker *w = p->worker[k];
        if (w->done >= p->now.end) continue;
        if (w->on_boxes) {
            // its values were made frame by frame
        } else if (p->opt->fast) {
            status = run_sparingly(p, w, err);
        } else {
            leave_out(p, w);
            status = run_wanted(p, w, GV_SPARING_KEY, err);
        }
        if (status == GV_OK) status = keep(p, w, p->values, err);
    }
    return status;
}

static gv_status finish_chunk(pass *p, gv_error *err) {
    gv_device *d = p->opt->device;
    if (!d) return run_networks(p, err);
    gv_status status = gv_device_finish(d, err); // of crops that were not cut ahead
    if (p->ahead.memory) gv_device_meanwhile(d, work_ahead, p);
    if (status == GV_OK) status = run_networks(p, err);
    gv_device_meanwhile(d, NULL, NULL);
    return status;
}

// ---- the pass

// Cuts everybody out of one frame, or lets BlazePose look at it.
static gv_status take_frame(pass *p, const picture *f, gv_error *err) {
    const gv_image image = f->image;
    worker *w = p->worker[0];
    if (!w->on_boxes && p->opt->device) {
        crop_on_device(p, &p->now, f);
        return GV_OK;
    }
    int first, end = items_in(p, &p->now, f->index, &first);
    if (!w->on_boxes) {
#pragma omp parallel for schedule(dynamic)
        for (int i = first; i < end; i++)
            gv_crop_bytes(p->now.bytes + (size_t)i * BYTES, &image, box_of(p, &p->now, i), p->factor);
        return GV_OK;
    }
    for (; first < end && repeats(p, first); first++)
        memset(p->values + (size_t)first * KEYPOINTS, 0, KEYPOINTS * sizeof *p->values);
    double start = gv_now();
    gv_status status = GV_OK;
    for (int i = first; i < end && status == GV_OK; i += BATCH) {
        int n = end - i < BATCH ? end - i : BATCH;
        float boxes[BATCH][3];
        for (int k = 0; k < n; k++) memcpy(boxes[k], box_of(p, &p->now, i + k), sizeof boxes[k]);
        status =
            gv_on_boxes_run(w->on_boxes, &image, (const float(*)[3])boxes, n, p->values + (size_t)i * KEYPOINTS, err);
    }
    *w->seconds += gv_now() - start;
    *w->crops += end - first;
    return status;
}

static long first_missing(const pass *p) {
    long first = p->opt->frames;
    for (int k = 0; k < p->workers; k++)
        if (p->worker[k]->done < first) first = p->worker[k]->done;
    return first;
}

static void next_chunk(pass *p) {
    const chunk done = p->now;
    p->now = p->next;
    p->next = done;
    if (!p->now.bytes) p->now.bytes = done.bytes, p->next.bytes = NULL; // nothing goes ahead
    plan_chunk(p, &p->next, p->now.end);
}

static gv_status look(pass *p, gv_error *err) {
    gv_progress progress;
    gv_progress_begin(&progress, p->workers > 1 ? "keypoints, features" : gv_role_name(p->worker[0]->role),
                      p->opt->frames, p->opt->quiet, p->opt->listener);
    gv_status status = GV_OK;
    picture f;
    p->cut = 0;
    plan_chunk(p, &p->now, first_missing(p));
    plan_chunk(p, &p->next, p->now.end);
    while (p->now.first < p->opt->frames) {
        if (p->cut >= p->now.end) {
            if ((status = finish_chunk(p, err)) != GV_OK) break;
            next_chunk(p);
            gv_progress_set(&progress, p->now.first);
        } else {
            if ((status = next_picture(p, &f, err)) != GV_OK || !f.image.rgb) break;
            if (f.index >= p->now.first) status = take_frame(p, &f, err);
            p->cut = f.index + 1;
            if (f.buffer) gv_feed_release(p->feed, f.buffer);
            if (status != GV_OK) break;
            gv_progress_set(&progress, p->cut);
        }
        if (p->now.first < p->opt->frames && (status = gv_go_on(p->opt->listener, err)) != GV_OK) break;
    }
    gv_progress_end(&progress);
    if (status == GV_OK && first_missing(p) < p->opt->frames)
        status =
            gv_fail(err, GV_ERR_IO, "%s: fewer frames than the %ld of the pass before", p->opt->video, p->opt->frames);
    return status;
}

static gv_status open_network(const pass *p, worker *w, gv_error *err) {
    const gv_model_choice *c = &p->opt->models->role[w->role];
    gv_status status = GV_OK;
    if (c->method == GV_METHOD_BLAZEPOSE)
        return gv_on_boxes_open(&w->on_boxes, p->opt->models->landmarks, !p->opt->fast, err);
    if (c->method == GV_METHOD_VITPOSE)
        return gv_vitpose_open(&w->vitpose, c->path, p->opt->precision, p->opt->device, err);
    status = gv_hmr2_open(&w->hmr2, c->path, p->opt->precision, p->opt->device, err);
    if (status == GV_OK && gv_hmr2_token_width(w->hmr2) != FEATURE)
        status = gv_fail(err, GV_ERR_FORMAT, "%s: its features have %d numbers, expected %d", c->path,
                         gv_hmr2_token_width(w->hmr2), FEATURE);
    return status;
}

static void close_network(worker *w) {
    gv_on_boxes_close(w->on_boxes);
    gv_vitpose_close(w->vitpose);
    gv_hmr2_close(w->hmr2);
    w->on_boxes = NULL;
    w->vitpose = NULL;
    w->hmr2 = NULL;
}

static gv_status allocate(pass *p, const gv_study_options *opt, gv_error *err) {
    *p = (pass){.opt = opt, .room = MOST_CROPS > opt->people ? MOST_CROPS : opt->people};
    size_t n = (size_t)p->room;
    p->now.items = gv_calloc2(n, sizeof *p->now.items);
    p->next.items = gv_calloc2(n, sizeof *p->next.items);
    gv_device *d = opt->device;
    p->squares = d ? gv_crop_squares(d, gv_device_hold) : NULL;
    p->now.bytes = d ? gv_device_hold(d, n, BYTES) : gv_calloc2(n, BYTES); // pages never touched cost nothing
    p->batch = opt->device ? DEVICE_BATCH : BATCH;
    p->crops = gv_calloc2((size_t)p->batch, CROP * sizeof(float));
    p->out = gv_calloc2((size_t)p->batch, FEATURE * sizeof(float));
    p->values = gv_calloc2(n, FEATURE * sizeof(float));
    p->want = gv_calloc2(n, 1);
    if (p->now.items && p->next.items && (p->squares || !d) && p->now.bytes && p->crops && p->out && p->values &&
        p->want)
        return GV_OK;
    if (d && gv_device_finish(d, err)) return err->status;
    return gv_fail(err, GV_ERR_MEMORY, "no memory for the crops of %d people", p->room);
}

static void release(pass *p) {
    gv_device *d = p->opt ? p->opt->device : NULL;
    void *const there[] = {p->now.bytes, p->next.bytes, p->squares};
    for (int i = 0; i < 3; i++) {
        if (d)
            gv_device_drop(d, there[i]);
        else
            free(there[i]);
    }
    free(p->now.items);
    free(p->next.items);
    free(p->crops);
    free(p->out);
    free(p->values);
    free(p->want);
}

// One pass over the video with the workers that have something left to do.
static gv_status run_pass(pass *p, worker *const *workers, int n, gv_error *err) {
    gv_status status = GV_OK;
    p->feed = NULL;
    p->ahead = (in_advance){0};
    p->workers = 0;
    for (int k = 0; k < n; k++)
        if (workers[k]->done < p->opt->frames) p->worker[p->workers++] = workers[k];
    if (p->workers == 0) return GV_OK;
    for (int k = 0; k < p->workers && status == GV_OK; k++) status = open_network(p, p->worker[k], err);
    bool half = !p->worker[0]->on_boxes;
    p->factor = half ? 0.5f : 1;
    const int ahead = half && p->opt->device ? DEVICE_BUFFERS : BUFFERS;
    if (status == GV_OK)
        status =
            gv_feed_open(&p->feed, p->opt->video, &(gv_video_options){.half = half, .jail = p->opt->jail}, ahead, err);
    if (status == GV_OK && half && p->opt->device) status = make_room_ahead(p, err);
    if (status == GV_OK) status = look(p, err);
    gv_feed_close(p->feed);
    if (p->opt->device) gv_device_finish(p->opt->device, NULL); // crops of a chunk that was broken off
    if (p->opt->device) gv_device_drop(p->opt->device, p->ahead.memory);
    for (int k = 0; k < p->workers; k++) close_network(p->worker[k]);
    return status;
}

// ---- the whole

static float **room_for(const gv_study_options *o, int width) {
    float **out = gv_calloc2((size_t)o->people, sizeof *out);
    for (int i = 0; out && i < o->people; i++)
        if (!(out[i] = gv_calloc2((size_t)o->person[i].frames * (size_t)width, sizeof **out))) {
            while (i-- > 0) free(out[i]);
            free(out);
            return NULL;
        }
    return out;
}

// What this network's results depend on.
static gv_status make_key(gv_key *key, const gv_study_options *o, gv_role role, gv_error *err) {
    const gv_model_choice *c = &o->models->role[role];
    char print[65], people[16];
    gv_status status = gv_cache_is_on(o->cache) ? gv_file_fingerprint(print, c->path, err) : GV_OK;
    if (status != GV_OK || !gv_cache_is_on(o->cache)) return status;
    snprintf(people, sizeof people, "%d", o->people);
    *key = gv_key_make((gv_key_part[]){{"tracks", o->tracks->hex},
                                       {"people", people},
                                       {"method", gv_method_name(c->method)},
                                       {"model", print},
                                       {"precision", o->precision == GV_PRECISION_BF16 ? "bf16" : "f32"},
                                       {"fast", o->fast ? "spare 3" : "no"},
                                       {o->device ? "device" : NULL, gv_device_name(o->device)},
                                       {0}});
    return status;
}

static gv_status set_up(worker *w, float ***out, const gv_study_options *o, gv_role role, int width, gv_error *err) {
    gv_key key = {0};
    gv_status status = make_key(&key, o, role, err);
    if (status != GV_OK) return status;
    *w = (worker){.role = role, .width = width, .out = *out = room_for(o, width)};
    w->journal = gv_journal_open(o->cache, gv_role_name(role), &key);
    if (*out && w->journal) return GV_OK;
    return gv_fail(err, GV_ERR_MEMORY, "no memory for the %s of %d people", gv_role_name(role), o->people);
}

gv_status gv_study(gv_studied *s, const gv_study_options *o, gv_error *err) {
    *s = (gv_studied){.people = o->people};
    const gv_model_choice *c = o->models->role;
    bool points =
        c[GV_ROLE_KEYPOINTS].method == GV_METHOD_VITPOSE ||
        (c[GV_ROLE_KEYPOINTS].method == GV_METHOD_BLAZEPOSE && c[GV_ROLE_DETECTOR].method != GV_METHOD_BLAZEPOSE);
    bool together = c[GV_ROLE_KEYPOINTS].method == GV_METHOD_VITPOSE && !o->low_memory;
    worker keypoints = {.done = o->frames}, features = {.done = o->frames};
    worker *const both[] = {&keypoints, &features};
    pass p = {0};
    gv_status status = GV_OK;
    if (o->people == 0) return GV_OK;
    if (points) status = set_up(&keypoints, &s->kp2d, o, GV_ROLE_KEYPOINTS, KEYPOINTS, err);
    if (status == GV_OK && c[GV_ROLE_FEATURES].method == GV_METHOD_HMR2)
        status = set_up(&features, &s->features, o, GV_ROLE_FEATURES, FEATURE, err);
    keypoints.seconds = &s->keypoint_sec, keypoints.crops = &s->keypoint_crops;
    features.seconds = &s->feature_sec, features.crops = &s->feature_crops;
    if (status == GV_OK) status = allocate(&p, o, err);
    if (status == GV_OK && keypoints.out) recall(&p, &keypoints);
    if (status == GV_OK && features.out) recall(&p, &features);
    if (status == GV_OK) status = run_pass(&p, both, together ? 2 : 1, err);
    if (status == GV_OK && !together) status = run_pass(&p, both + 1, 1, err);
    release(&p);
    gv_journal_close(keypoints.journal);
    gv_journal_close(features.journal);
    if (status != GV_OK) gv_studied_free(s);
    return status;
}

void gv_studied_free(gv_studied *s) {
    for (int i = 0; i < s->people; i++) {
        if (s->kp2d) free(s->kp2d[i]);
        if (s->features) free(s->features[i]);
    }
    free(s->kp2d);
    free(s->features);
    *s = (gv_studied){0};
}
