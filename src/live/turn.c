#include "live/turn.h"
#include "base/memory.h"
#include "camera/corners.h"
#include "camera/relative.h"
#include "geometry/so3.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BOXES = 64, LEAST = 12, DRAWS = 60 };
static const double NOISE_PX = 0.3;     // of a corner, reduced px
static const float MARGIN = 0.06f;      // of a box
static const double TRANSLATION = 1.15; // so many times more corners make a translation worth having
static const double STILL_PX = 0.15;    // mean way of the corners from the keyframe below which nothing has moved

struct gv_turn {
    gv_reducer reducer;
    const gv_optics *optics;
    gv_picture picture[2];
    gv_corners tracks[2];
    int now; // which of the two
    bool begun;
    int key_count;
    struct {
        int32_t id;
        float x, y; // level-0 px
    } key[GV_CORNERS_MAX];
    double key_R[9], R[9]; // world to camera: of the keyframe, of the last frame
    uint32_t seed;
};

gv_status gv_turn_create(gv_turn **out, int width, int height, const gv_optics *optics, gv_error *err) {
    gv_turn *t = *out = gv_calloc2(1, sizeof *t);
    if (!t) return gv_fail(err, GV_ERR_MEMORY, "no memory to follow the camera");
    t->optics = optics;
    gv_so3_identity(t->R);
    gv_status status = gv_reducer_init(&t->reducer, width, height, err);
    for (int i = 0; i < 2 && status == GV_OK; i++) {
        status = gv_picture_alloc(&t->picture[i], t->reducer.reduced_width, t->reducer.reduced_height, err);
        if (status == GV_OK)
            status = gv_corners_alloc(&t->tracks[i], t->reducer.reduced_width, t->reducer.reduced_height, err);
    }
    if (status == GV_OK) return GV_OK;
    gv_turn_destroy(t);
    *out = NULL;
    return status;
}

void gv_turn_destroy(gv_turn *t) {
    if (!t) return;
    for (int i = 0; i < 2; i++) {
        gv_picture_free(&t->picture[i]);
        gv_corners_free(&t->tracks[i]);
    }
    gv_reducer_free(&t->reducer);
    free(t);
}

static int reduce_boxes(float (*out)[4], const gv_turn *t, const float (*boxes)[4], int n) {
    n = n < MAX_BOXES ? n : MAX_BOXES;
    for (int i = 0; i < n; i++) {
        float w = MARGIN * (boxes[i][2] - boxes[i][0]), h = MARGIN * (boxes[i][3] - boxes[i][1]);
        for (int c = 0; c < 4; c++) {
            float grow = (c < 2 ? -1 : 1) * (c % 2 ? h : w);
            out[i][c] = (boxes[i][c] + grow) / (float)(c % 2 ? t->reducer.scale_y : t->reducer.scale_x);
        }
    }
    return n;
}

static void take_keyframe(gv_turn *t, const float (*boxes)[4], int n) {
    gv_corners *c = &t->tracks[t->now];
    gv_corners_detect(c, &t->picture[t->now], boxes, n);
    t->key_count = c->count;
    for (int i = 0; i < c->count; i++) {
        t->key[i].id = c->track[i].id;
        t->key[i].x = c->track[i].x;
        t->key[i].y = c->track[i].y;
    }
    memcpy(t->key_R, t->R, sizeof t->R);
}

static bool direction(const gv_turn *t, float x, float y, double out[2]) {
    return gv_lens_direction(gv_optics_at(t->optics, 0), x * t->reducer.scale_x, y * t->reducer.scale_y, out);
}

// Corners that the keyframe has, too; *moved: their mean way since, px.
static int match(gv_match *m, double *moved, const gv_turn *t) {
    const gv_corners *c = &t->tracks[t->now];
    int n = 0;
    *moved = 0;
    for (int i = 0, k = 0; i < c->count && k < t->key_count; i++) {
        while (k < t->key_count && t->key[k].id < c->track[i].id) k++;
        if (k == t->key_count || t->key[k].id != c->track[i].id) continue;
        if (!direction(t, t->key[k].x, t->key[k].y, m[n].a) || !direction(t, c->track[i].x, c->track[i].y, m[n].b))
            continue;
        *moved += hypot((double)c->track[i].x - t->key[k].x, (double)c->track[i].y - t->key[k].y);
        n++;
    }
    *moved /= n > 0 ? n : 1;
    return n;
}

// The rotation since the keyframe; false where too few corners tell.
static bool solve(double R[9], gv_turn *t, int *shared) {
    gv_match m[GV_CORNERS_MAX];
    double moved, along[3], with[9];
    int n = *shared = match(m, &moved, t);
    double sigma = NOISE_PX * t->reducer.scale_x / gv_optics_at(t->optics, 0)->fx;
    if (n < LEAST) return false;
    gv_so3_identity(R);
    if (moved < STILL_PX) return true;
    gv_so3_mul_nt(R, t->R, t->key_R);
    memcpy(with, R, sizeof with);
    int plain = gv_relative_rotation(R, m, n, sigma, DRAWS, ++t->seed);
    memcpy(with, R, sizeof with);
    int moving = gv_relative_motion(with, along, NULL, m, n, sigma, ++t->seed);
    if (moving > TRANSLATION * plain && moving >= LEAST) {
        memcpy(R, with, sizeof with);
        return true;
    }
    return plain >= LEAST;
}

void gv_turn_frame(gv_turn *t, const uint8_t *rgb, int stride, const float (*boxes)[4], int n, float R_w2c[9]) {
    float small[MAX_BOXES][4];
    int count = reduce_boxes(small, t, boxes, n), shared = 0, last = t->now;
    t->now = !t->now;
    gv_picture_fill(&t->picture[t->now], &t->reducer, rgb, stride);
    if (!t->begun) {
        t->begun = true;
        take_keyframe(t, (const float(*)[4])small, count);
    } else {
        double R[9];
        gv_corners_follow(&t->tracks[last], &t->picture[last], &t->picture[t->now], (const float(*)[4])small, count,
                          &t->tracks[t->now]);
        if (solve(R, t, &shared)) gv_so3_mul(t->R, R, t->key_R);
        if (2 * shared < t->key_count || shared < 2 * LEAST) take_keyframe(t, (const float(*)[4])small, count);
    }
    for (int i = 0; i < 9; i++) R_w2c[i] = (float)t->R[i];
}
