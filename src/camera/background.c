#include "camera/background.h"
#include "base/memory.h"
#include "camera/corners.h"
#include "camera/picture.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#ifndef CMPLX // the C library has it for GCC only
#define CMPLX(re, im) ((re) + I * (im))
#endif

enum { DRAWS = 200, FEWEST = 8, MOST_BOXES = 64 };
static const double NEAR_PX = 1.0, STILL_PX = 1.0 / 3, SHARE = 0.3; // on the reduced picture, but STILL_PX

struct gv_background {
    int width, height;
    gv_reducer reducer;
    gv_picture picture[2];
    gv_corners corners[2];
    int now; // which of the two is the last frame's
    bool started;
};

gv_status gv_background_create(gv_background **out, int width, int height, gv_error *err) {
    *out = NULL;
    gv_background *b = gv_calloc2(1, sizeof *b);
    if (!b) return gv_fail(err, GV_ERR_MEMORY, "no memory to follow the background");
    b->width = width;
    b->height = height;
    gv_status status = gv_reducer_init(&b->reducer, width, height, err);
    for (int i = 0; i < 2 && status == GV_OK; i++) {
        status = gv_picture_alloc(&b->picture[i], b->reducer.reduced_width, b->reducer.reduced_height, err);
        if (status == GV_OK)
            status = gv_corners_alloc(&b->corners[i], b->reducer.reduced_width, b->reducer.reduced_height, err);
    }
    if (status != GV_OK) {
        gv_background_destroy(b);
        return status;
    }
    *out = b;
    return GV_OK;
}

void gv_background_destroy(gv_background *b) {
    if (!b) return;
    for (int i = 0; i < 2; i++) {
        gv_picture_free(&b->picture[i]);
        gv_corners_free(&b->corners[i]);
    }
    gv_reducer_free(&b->reducer);
    free(b);
}

// A similarity of the plane as complex numbers: z' = a z + t.
typedef struct similarity {
    double complex a, t;
} similarity;

typedef struct pairs {
    double complex from[GV_CORNERS_MAX], to[GV_CORNERS_MAX];
    int n;
} pairs;

static bool agrees(const pairs *p, int i, similarity s) {
    return cabs(s.a * p->from[i] + s.t - p->to[i]) < NEAR_PX;
}

static int count_agreeing(const pairs *p, similarity s) {
    int n = 0;
    for (int i = 0; i < p->n; i++) n += agrees(p, i, s);
    return n;
}

// Least squares over the pairs that agree with s.
static similarity refine(const pairs *p, similarity s) {
    double complex from = 0, to = 0, cross = 0;
    double n = 0, square = 0;
    for (int i = 0; i < p->n; i++)
        if (agrees(p, i, s)) from += p->from[i], to += p->to[i], n++;
    from /= n, to /= n;
    for (int i = 0; i < p->n; i++) {
        if (!agrees(p, i, s)) continue;
        double complex u = p->from[i] - from;
        cross += conj(u) * (p->to[i] - to);
        square += creal(u * conj(u));
    }
    if (!(square > 0)) return s;
    double complex a = cross / square;
    return (similarity){a, to - a * from};
}

// The similarity that most pairs agree with; false where too few do.
static bool fit(similarity *best, const pairs *p) {
    uint32_t seed = 12345; // the same draws for the same pairs
    int most = 0;
    if (p->n < FEWEST) return false;
    for (int k = 0; k < DRAWS; k++) {
        int pick[2];
        for (int i = 0; i < 2; i++) pick[i] = (int)((seed = seed * 1664525u + 1013904223u) >> 8) % p->n;
        double complex u = p->from[pick[1]] - p->from[pick[0]], v = p->to[pick[1]] - p->to[pick[0]];
        if (cabs(u) < 10) continue;
        similarity s = {v / u, p->to[pick[0]] - v / u * p->from[pick[0]]};
        int n = count_agreeing(p, s);
        if (n > most) most = n, *best = s;
    }
    if (most < FEWEST || most < SHARE * p->n) return false;
    for (int i = 0; i < 3; i++) *best = refine(p, *best);
    return true;
}

static void pair_up(pairs *p, const gv_corners *before, const gv_corners *now) { // both in order of their ids
    p->n = 0;
    for (int i = 0, j = 0; i < before->count && j < now->count;) {
        const gv_corner *a = &before->track[i], *b = &now->track[j];
        if (a->id == b->id) {
            p->from[p->n] = CMPLX(a->x, a->y);
            p->to[p->n++] = CMPLX(b->x, b->y);
        }
        i += a->id <= b->id;
        j += b->id <= a->id;
    }
}

// The reduced picture's similarity in pixels of the frame.
static void to_warp(const gv_background *b, similarity s, double warp[2][3]) {
    double sx = b->reducer.scale_x, sy = b->reducer.scale_y, worst = 0;
    const double w[2][3] = {{creal(s.a), -cimag(s.a) * sx / sy, creal(s.t) * sx},
                            {cimag(s.a) * sy / sx, creal(s.a), cimag(s.t) * sy}};
    for (int corner = 0; corner < 4; corner++) {
        double x = corner & 1 ? b->width : 0, y = corner & 2 ? b->height : 0;
        worst = fmax(worst, hypot(w[0][0] * x + w[0][1] * y + w[0][2] - x, w[1][0] * x + w[1][1] * y + w[1][2] - y));
    }
    if (worst > STILL_PX) memcpy(warp, w, sizeof w);
}

void gv_background_frame(gv_background *b, const uint8_t *rgb, int stride, const float (*boxes)[4], int n,
                         double warp[2][3]) {
    const double identity[2][3] = {{1, 0, 0}, {0, 1, 0}};
    memcpy(warp, identity, sizeof identity);
    float reduced[MOST_BOXES][4];
    n = n < MOST_BOXES ? n : MOST_BOXES;
    for (int i = 0; i < n; i++)
        for (int c = 0; c < 4; c++)
            reduced[i][c] = boxes[i][c] / (float)(c & 1 ? b->reducer.scale_y : b->reducer.scale_x);
    int last = b->now, now = 1 - last;
    gv_picture_fill(&b->picture[now], &b->reducer, rgb, stride);
    if (b->started) {
        pairs p;
        similarity s;
        gv_corners_follow(&b->corners[last], &b->picture[last], &b->picture[now], (const float(*)[4])reduced, n,
                          &b->corners[now]);
        pair_up(&p, &b->corners[last], &b->corners[now]);
        if (fit(&s, &p)) to_warp(b, s, warp);
    }
    gv_corners_detect(&b->corners[now], &b->picture[now], (const float(*)[4])reduced, n);
    b->started = true;
    b->now = now;
}
