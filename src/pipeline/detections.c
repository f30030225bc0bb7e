#include "pipeline/detections.h"
#include "base/memory.h"
#include "camera/background.h"
#include "perception/detected.h"
#include "perception/yolo.h"
#include "pipeline/sparing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct found { // the people of one frame that was looked at
    int64_t frame;
    gv_yolo_people people;
} found;

// What frames ahead of their turn showed, in their order: number n is in place n % ROOM.
enum { ROOM = 2 * GV_FINDER_BATCH };
typedef struct in_advance {
    found of[ROOM];
    long taken, used;
    long announced; // frames given to gv_detections_ahead
    long alone;     // those before it are looked at when it is their turn
    gv_yolo_people people[GV_FINDER_BATCH];
} in_advance;

struct gv_detections {
    gv_finder_options opt;
    int width, height, step; // every step-th frame is looked at
    gv_yolo *yolo;
    gv_detected *tracks;
    gv_background *background;
    gv_journal *journal;
    bool replaying; // detections come from the journal
    found last;     // seen last
    in_advance ahead;
    long frames, looked;
    double (*warps)[2][3]; // [frames]
    long warp_room;
    uint8_t *skipped; // fast: the frame that was passed over last, [height, width, 3]; looked at if it is the end
    double skipped_sec;
    bool is_skipped;
};

gv_status gv_detections_create(gv_detections **out, const gv_finder_options *opt, int width, int height,
                               gv_error *err) {
    *out = NULL;
    gv_detections *d = gv_calloc2(1, sizeof *d);
    if (!d) return gv_fail(err, GV_ERR_MEMORY, "no memory to look for people");
    d->opt = *opt;
    d->width = width;
    d->height = height;
    d->step = opt->fast ? gv_sparing_step(opt->fps, false) : 1;
    // a wrong file is told of now, not after hours of work
    gv_status status =
        gv_yolo_open(&d->yolo, opt->models->role[GV_ROLE_DETECTOR].path, opt->precision, opt->device, err);
    if (status == GV_OK) status = gv_detected_create(&d->tracks, NULL, width, height, err);
    if (status == GV_OK) status = gv_background_create(&d->background, width, height, err);
    if (status == GV_OK) {
        d->journal = gv_journal_open(opt->cache, "detections", opt->key);
        if (opt->fast) d->skipped = gv_calloc2((size_t)width * (size_t)height, 3);
        if (!d->journal || (opt->fast && !d->skipped))
            status = gv_fail(err, GV_ERR_MEMORY, "no memory to look for people");
        d->replaying = true;
    }
    if (status != GV_OK) {
        gv_detections_destroy(d);
        return status;
    }
    *out = d;
    return GV_OK;
}

void gv_detections_destroy(gv_detections *d) {
    if (!d) return;
    gv_yolo_close(d->yolo);
    gv_detected_destroy(d->tracks);
    gv_background_destroy(d->background);
    gv_journal_close(d->journal);
    free(d->warps);
    free(d->skipped);
    free(d);
}

// ---- records: frame, count, boxes, scores

static bool take_record(found *f, const void *data, size_t size, long frame, int width, int height) {
    int64_t head[2];
    if (size < sizeof head) return false;
    memcpy(head, data, sizeof head);
    if (head[0] != frame || head[1] < 0 || head[1] > GV_YOLO_MAX || size != sizeof head + (size_t)head[1] * 20)
        return false;
    const char *p = (const char *)data + sizeof head;
    gv_yolo_people *q = &f->people;
    f->frame = head[0];
    q->count = head[1];
    memcpy(q->box, p, (size_t)q->count * 16);
    memcpy(q->score, p + q->count * 16, (size_t)q->count * 4);
    for (int i = 0; i < q->count; i++) {
        const float *b = q->box[i];
        if (!(b[0] >= 0 && b[1] >= 0 && b[2] >= b[0] && b[3] >= b[1] && b[2] <= (float)width && b[3] <= (float)height))
            return false;
        if (!(q->score[i] >= 0 && q->score[i] <= 1)) return false;
    }
    return true;
}

static void keep_record(gv_journal *j, const found *f) {
    char record[sizeof(int64_t[2]) + GV_YOLO_MAX * 20];
    const gv_yolo_people *q = &f->people;
    size_t n = (size_t)q->count;
    memcpy(record, &f->frame, 8);
    memcpy(record + 8, &q->count, 8);
    memcpy(record + 16, q->box, n * 16);
    memcpy(record + 16 + n * 16, q->score, n * 4);
    gv_journal_append(j, record, 16 + n * 20);
}

static bool replay(gv_detections *d, long frame) {
    const void *data;
    size_t size;
    if (!d->replaying) return false;
    d->replaying = gv_journal_next(d->journal, &data, &size);
    if (!d->replaying) return false;
    if (take_record(&d->last, data, size, frame, d->width, d->height)) return true;
    gv_journal_reject(d->journal, "not of this video");
    return d->replaying = false;
}

// ---- frames

static gv_status note_warp(gv_detections *d, const double warp[2][3], gv_error *err) {
    if (d->frames >= d->warp_room) {
        long room = d->warp_room ? 2 * d->warp_room : 1024;
        void *p = realloc(d->warps, (size_t)room * sizeof *d->warps);
        if (!p) return gv_fail(err, GV_ERR_MEMORY, "no memory for the background of %ld frames", room);
        d->warps = p;
        d->warp_room = room;
    }
    memcpy(d->warps[d->frames], warp, sizeof *d->warps);
    return GV_OK;
}

static gv_status detect(gv_detections *d, const gv_image *image, gv_error *err) {
    in_advance *a = &d->ahead;
    gv_status status = GV_OK;
    if (a->used < a->taken && a->of[a->used % ROOM].frame == d->frames) {
        d->last = a->of[a->used++ % ROOM];
    } else {
        status = gv_yolo_detect(d->yolo, image, 1, &d->last.people, err);
        d->last.frame = d->frames;
    }
    if (status != GV_OK) return status;
    d->looked++;
    keep_record(d->journal, &d->last);
    return GV_OK;
}

// A frame that is looked at. As in the reference, the background is followed over frames with detections only.
static gv_status look(gv_detections *d, const gv_image *image, double time_sec, gv_error *err) {
    double warp[2][3] = {{1, 0, 0}, {0, 1, 0}};
    const gv_yolo_people *q = &d->last.people;
    gv_status status = replay(d, d->frames) ? GV_OK : detect(d, image, err);
    if (status != GV_OK) return status;
    const float(*boxes)[4] = (const float(*)[4])q->box;
    if (q->count > 0) gv_background_frame(d->background, image->rgb, image->stride, boxes, (int)q->count, warp);
    status = note_warp(d, (const double(*)[3])warp, err);
    if (status == GV_OK) status = gv_detected_frame(d->tracks, boxes, q->score, (int)q->count, time_sec, err);
    d->frames++;
    return status;
}

// A frame that is passed over, once it is known not to be the last.
static gv_status pass_over(gv_detections *d, gv_error *err) {
    const double identity[2][3] = {{1, 0, 0}, {0, 1, 0}};
    d->is_skipped = false;
    gv_status status = note_warp(d, identity, err);
    if (status == GV_OK) status = gv_detected_frame(d->tracks, NULL, NULL, 0, d->skipped_sec, err);
    d->frames++;
    return status;
}

gv_status gv_detections_frame(gv_detections *d, const gv_image *image, double time_sec, gv_error *err) {
    gv_status status = d->is_skipped ? pass_over(d, err) : GV_OK;
    if (status != GV_OK) return status;
    if (d->frames % d->step == 0) return look(d, image, time_sec, err);
    for (int y = 0; y < d->height; y++)
        memcpy(d->skipped + (size_t)y * d->width * 3, image->rgb + (size_t)y * image->stride, (size_t)d->width * 3);
    d->skipped_sec = time_sec;
    d->is_skipped = true;
    return GV_OK;
}

// ---- frames ahead of their turn

int gv_detections_batch(const gv_detections *d) {
    return d->opt.device ? GV_FINDER_BATCH : 1;
}

// Frames that it was their turn for.
static long frames_given(const gv_detections *d) {
    return d->frames + d->is_skipped;
}

gv_status gv_detections_ahead(gv_detections *d, const gv_image *images, int n, void (*work)(void *user), void *user,
                              gv_error *err) {
    in_advance *a = &d->ahead;
    gv_image chosen[GV_FINDER_BATCH];
    long number[GV_FINDER_BATCH];
    const long first = a->announced;
    int count = 0;
    a->announced += n;
    if (d->replaying || frames_given(d) < a->alone) work(user); // not beside the device, which they may need themselves
    if (d->replaying || frames_given(d) < a->alone) {
        a->alone = a->announced;
        return GV_OK;
    }
    for (int i = 0; i < n; i++)
        if ((first + i) % d->step == 0) chosen[count] = images[i], number[count++] = first + i;
    gv_device_meanwhile(d->opt.device, work, user);
    gv_status status = gv_yolo_detect(d->yolo, chosen, count, a->people, err);
    gv_device_meanwhile(d->opt.device, NULL, NULL);
    for (int i = 0; i < count && status == GV_OK; i++) a->of[a->taken++ % ROOM] = (found){number[i], a->people[i]};
    return status;
}

int gv_detections_boxes(const gv_detections *d, float (*boxes)[4], int max) {
    const gv_yolo_people *q = &d->last.people;
    int n = q->count < max ? (int)q->count : max;
    if (n > 0) memcpy(boxes, q->box, (size_t)n * sizeof *boxes);
    return n;
}

gv_status gv_detections_finish(gv_detections *d, gv_tracks *out, gv_error *err) {
    gv_image image = {d->skipped, d->width, d->height, 3 * d->width};
    gv_status status = d->is_skipped ? look(d, &image, d->skipped_sec, err) : GV_OK;
    return status == GV_OK ? gv_detected_finish(d->tracks, (const double(*)[2][3])d->warps, out, err) : status;
}

long gv_detections_looked(const gv_detections *d) {
    return d->looked;
}
