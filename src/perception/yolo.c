#include "perception/yolo.h"

#include "base/memory.h"
#include "perception/boxes.h"
#include "perception/letterbox.h"
#include "perception/yolo_net.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_SIDE = 1 << 16 };

typedef struct candidate {
    float box[4], score;
    int cell; // position in the reference's list: levels, rows, columns
} candidate;

struct gv_yolo {
    gv_yolo_net *net;
    candidate *candidates; // [cells]
    float (*boxes)[4];     // [cells], sorted
    int *kept;             // [cells]
    int cells;
    int batch; // pictures at once; halved where a device's memory is too small
    float people[1 + 5 * GV_YOLO_MAX];
};

gv_status gv_yolo_open(gv_yolo **out, const char *path, gv_precision precision, gv_device *device, gv_error *err) {
    *out = NULL;
    gv_yolo *y = gv_calloc2(1, sizeof *y);
    if (!y) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    y->batch = device ? GV_YOLO_BATCH : 1;
    gv_status status = gv_yolo_net_open(&y->net, path, precision, device, err);
    if (status == GV_OK)
        *out = y;
    else
        gv_yolo_close(y);
    return status;
}

static void free_lists(gv_yolo *y) {
    free(y->candidates);
    free(y->boxes);
    free(y->kept);
}

void gv_yolo_close(gv_yolo *y) {
    if (!y) return;
    gv_yolo_net_close(y->net);
    free_lists(y);
    free(y);
}

static gv_status prepare(gv_yolo *y, gv_letterbox l, gv_error *err) {
    gv_status status = gv_yolo_net_resize(y->net, l.height, l.width, err);
    int cells = gv_yolo_cells_of(l.height, l.width, GV_YOLO_LEVELS);
    if (status != GV_OK || cells == y->cells || gv_yolo_net_people(y->net, 0)) return status;
    free_lists(y);
    y->candidates = gv_calloc2((size_t)cells, sizeof *y->candidates);
    y->boxes = gv_calloc2((size_t)cells, sizeof *y->boxes);
    y->kept = gv_calloc2((size_t)cells, sizeof *y->kept);
    y->cells = y->candidates && y->boxes && y->kept ? cells : 0;
    return y->cells ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory for %d detections", cells);
}

// Candidates of all levels, boxes in px of the input.
static int find_candidates(gv_yolo *y, gv_letterbox l) {
    int n = 0, cell = 0;
    for (int i = 0; i < GV_YOLO_LEVELS; i++) {
        gv_yolo_level level = gv_yolo_net_level(y->net, i);
        size_t cells = (size_t)level.height * level.width;
        for (size_t k = 0; k < cells; k++, cell++) {
            float d[5];
            gv_yolo_net_cell(y->net, i, k, d);
            if (!(d[0] > GV_YOLO_LEAST)) continue;
            candidate *c = &y->candidates[n++];
            *c = (candidate){.score = d[0], .cell = cell};
            gv_yolo_box(c->box, d + 1, cell, l.height, l.width);
        }
    }
    return n;
}

static int best_first(const void *x, const void *y) {
    const candidate *a = x, *b = y;
    return a->score != b->score ? (a->score < b->score ? 1 : -1) : a->cell - b->cell;
}

// As gv_yolo_net_people has them.
static const float *find_people(gv_yolo *y, gv_letterbox l, int picture) {
    if (gv_yolo_net_people(y->net, picture)) return gv_yolo_net_people(y->net, picture);
    int found = find_candidates(y, l);
    qsort(y->candidates, (size_t)found, sizeof *y->candidates, best_first);
    for (int i = 0; i < found; i++) memcpy(y->boxes[i], y->candidates[i].box, sizeof y->boxes[i]);
    int n = gv_box_suppress(y->kept, (const float(*)[4])y->boxes, found, GV_YOLO_OVERLAP, GV_YOLO_MAX);
    y->people[0] = (float)n;
    for (int i = 0; i < n; i++) {
        const candidate *c = &y->candidates[y->kept[i]];
        memcpy(y->people + 1 + 5 * i, c->box, sizeof c->box);
        y->people[5 + 5 * i] = c->score;
    }
    return y->people;
}

// From the padded input to the picture, and cut at its border.
static void to_picture(float out[4], const float box[4], gv_letterbox l, const gv_image *image) {
    double left = nearbyint((l.width - image->width * l.gain) / 2 - 0.1);
    double top = nearbyint((l.height - image->height * l.gain) / 2 - 0.1);
    for (int c = 0; c < 4; c++) {
        float v = (box[c] - (float)(c % 2 ? top : left)) / (float)l.gain;
        out[c] = fminf(fmaxf(v, 0), (float)(c % 2 ? image->height : image->width));
    }
}

typedef struct task {
    gv_yolo *yolo;
    const gv_image *images;
    gv_yolo_people *out;
} task;

static gv_status detect_some(void *user, int first, int count, gv_error *err) {
    const task *t = user;
    gv_yolo *y = t->yolo;
    const gv_image *images = t->images + first;
    const gv_letterbox l = gv_letterbox_for(images->width, images->height);
    gv_status status = prepare(y, l, err);
    if (status == GV_OK)
        status =
            count > 1 ? gv_yolo_net_run_all(y->net, l, images, count, err) : gv_yolo_net_run(y->net, l, images, err);
    for (int i = 0; i < count && status == GV_OK; i++) {
        gv_yolo_people *out = &t->out[first + i];
        const float *people = find_people(y, l, i);
        out->count = (int64_t)people[0];
        for (int k = 0; k < out->count; k++) {
            to_picture(out->box[k], people + 1 + 5 * k, l, &images[i]);
            out->score[k] = people[5 + 5 * k];
        }
    }
    return status;
}

gv_status gv_yolo_detect(gv_yolo *y, const gv_image *images, int n, gv_yolo_people *out, gv_error *err) {
    for (int i = 0; i < n; i++) {
        const gv_image *m = &images[i];
        if (m->width < 1 || m->height < 1 || m->width > LARGEST_SIDE || m->height > LARGEST_SIDE)
            return gv_fail(err, GV_ERR_ARGUMENT, "a picture of %d x %d cannot be searched for people", m->width,
                           m->height);
        if (m->width != images->width || m->height != images->height)
            return gv_fail(err, GV_ERR_ARGUMENT, "pictures of %d x %d and %d x %d, expected one size", images->width,
                           images->height, m->width, m->height);
    }
    return gv_device_batches(n, &y->batch, detect_some, &(task){y, images, out}, err);
}
