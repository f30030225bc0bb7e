// keypoints_file.c - checks that all kinds of keypoint files share, and the .npz kind.
#define _GNU_SOURCE // qsort
#include "formats/keypoints_file.h"

#include "base/memory.h"
#include "formats/keypoints_internal.h"
#include "formats/npz.h"
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_PEOPLE = 1 << 24 };
static const float FARTHEST_PX = 1e6f, CLEAR = 0.5f;

void gv_keypoints_free(gv_keypoints *k) {
    free(k->person);
    *k = (gv_keypoints){0};
}

void gv_keypoints_list_frame(gv_keypoints_builder *b, int frame) {
    if (b->listed == 0 || frame < b->lowest) b->lowest = frame;
    if (b->listed == 0 || frame > b->highest) b->highest = frame;
    b->listed++;
}

static gv_status make_room(gv_keypoints_builder *b) {
    if (b->count < b->room) return GV_OK;
    int room = b->room ? 2 * b->room : 256;
    gv_keypoints_person *more = room <= MAX_PEOPLE ? gv_calloc2((size_t)room, sizeof *more) : NULL;
    if (!more) return gv_fail(b->err, GV_ERR_MEMORY, "%s: no memory for %d persons", b->path, room);
    if (b->count) memcpy(more, b->person, (size_t)b->count * sizeof *more);
    free(b->person);
    b->person = more;
    b->room = room;
    return GV_OK;
}

gv_status gv_keypoints_add(gv_keypoints_builder *b, int frame, int id, const float point[17][3]) {
    bool anything = false;
    gv_keypoints_person p = {.frame = frame, .id = id};
    for (int j = 0; j < 17; j++) {
        for (int c = 0; c < 3; c++) {
            float v = point[j][c];
            if (!isfinite(v) || fabsf(v) > FARTHEST_PX)
                return gv_fail(b->err, GV_ERR_FORMAT, "%s: frame %d, keypoint %d: %c is %g, expected a number", b->path,
                               frame, j, "xyc"[c], (double)v);
            p.point[j][c] = c < 2 ? v : v < 0 ? 0 : v > 1 ? 1 : v;
        }
        anything = anything || p.point[j][2] > 0;
    }
    if (!anything) return GV_OK;
    gv_status status = make_room(b);
    if (status != GV_OK) return status;
    b->person[b->count++] = p;
    b->some_without_id = b->some_without_id || id < 0;
    return GV_OK;
}

gv_status gv_keypoints_check_size(gv_keypoints_builder *b, double width, double height) {
    if (width == b->video.width && height == b->video.height) return GV_OK;
    return gv_fail(b->err, GV_ERR_FORMAT, "%s: made for pictures of %g x %g, the video has %d x %d", b->path, width,
                   height, b->video.width, b->video.height);
}

// ---- .npz ------------------------------------------------------------------------------------------------

static gv_status npz_size(gv_keypoints_builder *b, gv_npz *z) {
    double width = b->video.width, height = b->video.height;
    gv_status status = gv_npz_read_number(z, "width", 1, INT_MAX, &width, b->err);
    if (status == GV_OK) status = gv_npz_read_number(z, "height", 1, INT_MAX, &height, b->err);
    return status == GV_OK ? gv_keypoints_check_size(b, width, height) : status;
}

static gv_status npz_people(gv_keypoints_builder *b, gv_npz *z) {
    const gv_array *a = gv_npz_find(z, "kp2d");
    gv_status status = GV_OK;
    if (!a || a->ndim < 3 || a->ndim > 4 || a->shape[a->ndim - 2] != 17 || a->shape[a->ndim - 1] != 3)
        return gv_fail(b->err, GV_ERR_FORMAT,
                       a ? "%s: kp2d is not (frames, 17, 3) or (frames, people, 17, 3)" : "%s: has no array kp2d",
                       b->path);
    int64_t frames = a->shape[0], people = a->ndim == 4 ? a->shape[1] : 1;
    if (a->count / 51 > MAX_PEOPLE)
        return gv_fail(b->err, GV_ERR_FORMAT, "%s: kp2d has more than %d rows", b->path, MAX_PEOPLE);
    float *kp = gv_npz_read_f32(z, "kp2d", NULL, -1, NULL, b->err);
    int32_t *index = NULL;
    if (kp && gv_npz_find(z, "frame_index"))
        index = gv_npz_read_i32(z, "frame_index", (int64_t[]){frames}, 1, NULL, b->err);
    if (!kp || (!index && gv_npz_find(z, "frame_index"))) {
        free(kp);
        return b->err ? b->err->status : GV_ERR_FORMAT;
    }
    b->complete = !index;
    for (int64_t t = 0; t < frames && status == GV_OK; t++) {
        int frame = index ? index[t] : (int)t;
        if (frame < 0)
            status = gv_fail(b->err, GV_ERR_FORMAT, "%s: frame_index is %d, expected 0 or more", b->path, frame);
        gv_keypoints_list_frame(b, frame);
        for (int64_t p = 0; p < people && status == GV_OK; p++)
            status = gv_keypoints_add(b, frame, a->ndim == 3 ? 0 : GV_NO_IDENTITY,
                                      (const float(*)[3])(kp + 51 * (t * people + p)));
    }
    if (b->lowest == 1) b->lowest = 0; // ours count from 0
    free(kp);
    free(index);
    return status;
}

static gv_status read_npz(gv_keypoints_builder *b) {
    gv_npz *z = NULL;
    gv_status status = gv_npz_open(&z, b->path, b->err);
    if (status == GV_OK) status = npz_size(b, z);
    if (status == GV_OK) status = npz_people(b, z);
    gv_npz_close(z);
    return status;
}

// ---- What all must fulfil --------------------------------------------------------------------------------

static gv_status check_length(gv_keypoints_builder *b) {
    long frames = b->video.frames;
    bool from_one = b->lowest == 1 && ((frames && b->highest == frames) || (b->complete && b->listed == b->highest));
    for (int i = 0; i < b->count; i++) b->person[i].frame -= from_one;
    if (!frames) return GV_OK;
    if (b->complete && b->listed != frames)
        return gv_fail(b->err, GV_ERR_FORMAT, "%s: has %ld frames, the video has %ld", b->path, b->listed, frames);
    if (b->listed && b->highest - from_one >= frames)
        return gv_fail(b->err, GV_ERR_FORMAT, "%s: has frame %d, the video has %ld frames (0 to %ld)", b->path,
                       b->highest - from_one, frames, frames - 1);
    return GV_OK;
}

// Few formats say what picture they are for, but points give it away: one in twenty clear ones may lie outside.
static gv_status check_points(gv_keypoints_builder *b) {
    long clear = 0, outside = 0;
    float most[2] = {0, 0}, size[2] = {(float)b->video.width, (float)b->video.height};
    float margin = 0.05f * (size[0] + size[1]);
    for (int i = 0; i < b->count; i++)
        for (int j = 0; j < 17; j++) {
            const float *p = b->person[i].point[j];
            if (p[2] < CLEAR) continue;
            bool far = false;
            clear++;
            for (int c = 0; c < 2; c++) far |= p[c] < -margin || p[c] > size[c] + margin;
            outside += far;
            for (int c = 0; c < 2; c++) most[c] = fmaxf(most[c], fabsf(p[c]));
        }
    if (outside * 20 > clear)
        return gv_fail(b->err, GV_ERR_FORMAT,
                       "%s: points reach %.0f, %.0f; the video has %d x %d: made for another size?", b->path,
                       (double)most[0], (double)most[1], b->video.width, b->video.height);
    if (clear && most[0] <= 1.5f && most[1] <= 1.5f && b->video.width > 16)
        return gv_fail(b->err, GV_ERR_FORMAT, "%s: points are fractions (up to %.3g, %.3g), expected pixels", b->path,
                       (double)most[0], (double)most[1]);
    return GV_OK;
}

typedef struct entry {
    int key, position;
} entry;

static int by_key(const void *x, const void *y) {
    const entry *a = x, *b = y;
    return a->key != b->key ? (a->key < b->key ? -1 : 1) : a->position - b->position;
}

// Identities become 0, 1, 2, ...; twice the same in one frame makes them worthless.
static void number_identities(gv_keypoints *k, entry *e) {
    for (int i = 0; i < k->count; i++) e[i] = (entry){k->person[i].id, i};
    qsort(e, (size_t)k->count, sizeof *e, by_key);
    k->ids = 0;
    for (int i = 0; i < k->count; i++) {
        bool same = i > 0 && e[i].key == e[i - 1].key;
        if (same && k->person[e[i].position].frame == k->person[e[i - 1].position].frame) k->has_ids = false;
        k->ids += !same;
        k->person[e[i].position].id = k->ids - 1;
    }
}

static gv_status finish(gv_keypoints_builder *b, gv_keypoints *out) {
    size_t n = (size_t)b->count;
    gv_keypoints_person *sorted = gv_calloc2(n, sizeof *sorted);
    entry *e = gv_calloc2(n, sizeof *e);
    gv_status status = check_length(b);
    if (status == GV_OK) status = check_points(b);
    if (status == GV_OK && (!sorted || !e))
        status = gv_fail(b->err, GV_ERR_MEMORY, "%s: no memory for %d persons", b->path, b->count);
    if (status == GV_OK) {
        for (int i = 0; i < b->count; i++) e[i] = (entry){b->person[i].frame, i};
        qsort(e, n, sizeof *e, by_key);
        for (int i = 0; i < b->count; i++) sorted[i] = b->person[e[i].position];
        *out = (gv_keypoints){sorted, b->count, n > 0 && !b->some_without_id, 0};
        if (out->has_ids) number_identities(out, e);
        sorted = NULL;
    }
    free(sorted);
    free(e);
    return status;
}

gv_status gv_keypoints_read(gv_keypoints *out, const char *path, const gv_keypoints_video *video, gv_error *err) {
    *out = (gv_keypoints){0};
    gv_keypoints_builder b = {.path = path, .video = *video, .err = err};
    struct stat st;
    unsigned char start[2] = {0};
    gv_status status;
    if (stat(path, &st) != 0) return gv_fail(err, GV_ERR_IO, "%s: no such file or folder", path);
    FILE *f = S_ISDIR(st.st_mode) ? NULL : fopen(path, "rb");
    if (f && fread(start, 1, 2, f) != 2) start[0] = 0;
    if (f) fclose(f);
    if (S_ISDIR(st.st_mode))
        status = gv_keypoints_read_openpose(&b);
    else if (start[0] == 'P' && start[1] == 'K')
        status = read_npz(&b);
    else
        status = gv_keypoints_read_json(&b);
    if (status == GV_OK) status = finish(&b, out);
    free(b.person);
    return status;
}
