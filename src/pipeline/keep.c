// Records are the structs' numbers in the order of their fields, little-endian, counts as int64 before the arrays.
#include "pipeline/keep.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// One walk over the fields serves measuring, writing and reading.
typedef struct walk {
    enum { MEASURE, WRITE, READ } mode;
    unsigned char *p;
    size_t left, size; // bytes behind p; bytes so far
    bool ok;
} walk;

static void bytes(walk *w, void *data, size_t n) {
    w->size += n;
    if (w->mode == MEASURE || !w->ok) return;
    if (n > w->left) {
        w->ok = false;
        return;
    }
    if (n && w->mode == WRITE)
        memcpy(w->p, data, n);
    else if (n)
        memcpy(data, w->p, n);
    w->p += n;
    w->left -= n;
}

static int64_t number(walk *w, int64_t value, int64_t lo, int64_t hi) {
    bytes(w, &value, sizeof value);
    if (value >= lo && value <= hi) return value;
    w->ok = false;
    return 0;
}

// An array of count elements; read into new memory, which must be no more than what the record still holds.
static void array(walk *w, void **data, int64_t count, size_t element) {
    if (!w->ok) return;
    if (w->mode == READ) {
        if (count < 0 || (uint64_t)count > w->left / element || !(*data = gv_calloc2((size_t)count, element))) {
            w->ok = false;
            return;
        }
    }
    bytes(w, *data, (size_t)count * element);
}

static void floats(walk *w, float **data, int64_t count) {
    array(w, (void **)data, count, sizeof **data);
    for (int64_t i = 0; w->mode == READ && w->ok && i < count; i++) w->ok = isfinite((*data)[i]);
}

static void walk_person(walk *w, gv_person *p, long frames) {
    p->first = (int)number(w, p->first, 0, frames - 1);
    p->frames = (int)number(w, p->frames, 1, frames - p->first);
    int64_t n = p->frames;
    floats(w, &p->kp2d, 51 * n);
    floats(w, &p->kp3d, 51 * n);
    floats(w, &p->feet2d, 3 * GV_FEET_POINTS * n);
    floats(w, &p->bbx_xyxy, 4 * n);
    floats(w, &p->bbx_xys, 3 * n);
    array(w, (void **)&p->observed, n, 1);
    bytes(w, &p->prominence, sizeof p->prominence);
}

static void walk_sightings(walk *w, gv_sightings *s) {
    enum { MOST = INT32_MAX / 2 };
    s->frames = number(w, s->frames, 1, MOST);
    s->damaged = number(w, s->damaged, 0, INT64_MAX);
    s->tracks.frames = s->frames;
    array(w, (void **)&s->time_sec, s->frames, sizeof *s->time_sec);
    array(w, (void **)&s->masks, s->frames, sizeof *s->masks);
    array(w, (void **)&s->repeated, s->frames, sizeof *s->repeated);
    if (w->ok && w->mode == READ) w->ok = s->repeated[0] == 0;
    int64_t boxes = 0;
    for (long t = 0; w->ok && t < s->frames; t++) {
        w->ok = s->masks[t] >= 0 && isfinite(s->time_sec[t]) && s->repeated[t] <= 1;
        boxes += s->masks[t];
    }
    array(w, (void **)&s->mask, boxes, sizeof *s->mask);
    int64_t people = number(w, s->tracks.count, 0, MOST);
    if (w->mode == READ) {
        s->tracks.count = 0;
        if (!w->ok || (uint64_t)people > w->left) w->ok = false;
        if (w->ok && !(s->tracks.person = gv_calloc2((size_t)people, sizeof *s->tracks.person))) w->ok = false;
    }
    for (int64_t i = 0; i < people && w->ok; i++) {
        if (w->mode == READ) s->tracks.count = (int)i + 1;
        walk_person(w, &s->tracks.person[i], s->frames);
    }
}

static void walk_camera(walk *w, gv_camera_path *c) {
    c->frames = (int)number(w, c->frames, 1, INT32_MAX / 9);
    c->is_static = number(w, c->is_static, 0, 1);
    bytes(w, &c->focal_px, sizeof c->focal_px);
    bytes(w, &c->focal_sd, sizeof c->focal_sd);
    c->focal_origin = (gv_focal_origin)number(w, c->focal_origin, 0, GV_FOCAL_GIVEN);
    floats(w, &c->R_w2c, 9 * (int64_t)c->frames);
    floats(w, &c->confidence, c->frames);
    if (number(w, c->position != NULL, 0, 1)) {
        floats(w, &c->position, 3 * (int64_t)c->frames);
        floats(w, &c->position_confidence, c->frames);
        array(w, (void **)&c->stretch, c->frames, sizeof *c->stretch);
        floats(w, &c->position_metres_sd, c->frames);
        c->ground_count = number(w, c->ground_count, 0, INT32_MAX);
        array(w, (void **)&c->ground, c->ground_count, sizeof *c->ground);
        for (long i = 0; w->ok && w->mode == READ && i < c->ground_count; i++)
            w->ok = c->ground[i].frame >= 0 && c->ground[i].frame < c->frames;
    }
    if (w->mode == READ && !(isfinite(c->focal_px) && c->focal_px > 0)) w->ok = false;
}

typedef void walker(walk *w, void *object);

static gv_status pack(void **data, size_t *size, walker *fields, void *object, gv_error *err) {
    walk measure = {.mode = MEASURE, .ok = true};
    fields(&measure, object);
    *data = NULL;
    if (!measure.ok) return gv_fail(err, GV_ERR_INTERNAL, "results out of range cannot be kept");
    *size = measure.size;
    *data = malloc(measure.size + 1);
    if (!*data) return gv_fail(err, GV_ERR_MEMORY, "no memory for %zu bytes of results", measure.size);
    walk write = {.mode = WRITE, .p = *data, .left = measure.size, .ok = true};
    fields(&write, object);
    return GV_OK;
}

static bool unpack(walker *fields, void *object, const void *data, size_t size) {
    walk read = {.mode = READ, .p = (unsigned char *)data, .left = size, .ok = true}; // only read from
    fields(&read, object);
    return read.ok && read.left == 0;
}

static void sightings_fields(walk *w, void *object) {
    walk_sightings(w, object);
}

static void camera_fields(walk *w, void *object) {
    walk_camera(w, object);
}

gv_status gv_sightings_pack(void **data, size_t *size, const gv_sightings *s, gv_error *err) {
    gv_sightings copy = *s;
    return pack(data, size, sightings_fields, &copy, err);
}

bool gv_sightings_unpack(gv_sightings *s, const void *data, size_t size) {
    *s = (gv_sightings){0};
    if (unpack(sightings_fields, s, data, size)) return true;
    gv_sightings_free(s);
    return false;
}

gv_status gv_camera_pack(void **data, size_t *size, const gv_camera_path *c, gv_error *err) {
    gv_camera_path copy = *c;
    return pack(data, size, camera_fields, &copy, err);
}

bool gv_camera_unpack(gv_camera_path *c, const void *data, size_t size) {
    *c = (gv_camera_path){0};
    if (unpack(camera_fields, c, data, size)) return true;
    gv_camera_path_free(c);
    return false;
}
