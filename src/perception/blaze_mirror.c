#include "perception/blaze_mirror.h"

#include <math.h>
#include <string.h>

static const float apart = 0.06f;    // of the region's side: at this distance a point counts half
static const double exchanged = 0.7; // of the distance as it is: from here on the sides are taken as exchanged

void gv_blaze_mirror_crop(float *crop, int size) {
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size / 2; x++) {
            float *a = crop + 3 * (y * size + x), *b = crop + 3 * (y * size + size - 1 - x), rgb[3];
            memcpy(rgb, a, sizeof rgb), memcpy(a, b, sizeof rgb), memcpy(b, rgb, sizeof rgb);
        }
}

// The same point of the other side: 1-3 are the left eye, 4-6 the right one, from 7 on they alternate; the nose and the
// auxiliary points have none.
static int other_side(int k) {
    if (k == 0 || k >= GV_BLAZE_POINTS) return k;
    return k < 4 ? k + 3 : k < 7 ? k - 3 : k % 2 ? k + 1 : k - 1;
}

static void turn(float out[2], float x, float y, const gv_region *r) {
    const float c = cosf(r->angle), s = sinf(r->angle);
    out[0] = x * c - y * s;
    out[1] = x * s + y * c;
}

// What the mirror showed, with its sides exchanged back, in the picture's axes.
static void bring_back(gv_landmarks *out, const gv_landmarks *m, const gv_region *r) {
    for (int k = 0; k < GV_BLAZE_ALL_POINTS; k++) {
        const float *p = m->point[other_side(k)];
        turn(out->point[k], -p[0], p[1], r);
        out->point[k][0] += r->cx, out->point[k][1] += r->cy;
        memcpy(out->point[k] + 2, p + 2, 3 * sizeof *p);
    }
    for (int k = 0; k < GV_BLAZE_POINTS; k++) {
        const float *p = m->world[other_side(k)];
        turn(out->world[k], -p[0], p[1], r);
        out->world[k][2] = p[2];
    }
}

static float distance(const float *a, const float *b) {
    return hypotf(a[0] - b[0], a[1] - b[1]);
}

// Whether points first .. end - 1 of the two readings fit better with the sides exchanged.
static bool sides_differ(const gv_landmarks *a, const gv_landmarks *b, int first, int end) {
    double same = 0, other = 0;
    for (int k = first; k < end; k++) {
        const double seen = (double)(a->point[k][3] * b->point[k][3]) + 1e-3;
        same += seen * (double)distance(a->point[k], b->point[k]);
        other += seen * (double)distance(a->point[k], b->point[other_side(k)]);
    }
    return other < exchanged * same;
}

static void average(gv_landmarks *l, const gv_landmarks *m, int k, float side) {
    const float d = distance(l->point[k], m->point[k]) / (apart * side), here = l->point[k][3] + 1e-3f,
                there = m->point[k][3] + 1e-3f, share = there * there / (here * here + there * there);
    for (int i = 0; i < 5; i++) l->point[k][i] += share * (m->point[k][i] - l->point[k][i]);
    l->point[k][3] /= 1 + d * d;
    for (int i = 0; i < 3 && k < GV_BLAZE_POINTS; i++) l->world[k][i] += share * (m->world[k][i] - l->world[k][i]);
}

void gv_blaze_merge_mirrored(gv_landmarks *l, const gv_landmarks *mirrored, const gv_region *r) {
    static const struct {
        int first, end;
        bool sided;
    } part[] = {
        {0, 1, false}, {1, 11, true}, {11, 23, true}, {23, 33, true}, {33, 35, false}}; // nose, face, arms, legs
    gv_landmarks m = {0};
    bring_back(&m, mirrored, r);
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        if (part[i].sided && sides_differ(l, &m, part[i].first, part[i].end)) continue;
        for (int k = part[i].first; k < part[i].end; k++) average(l, &m, k, r->width);
    }
}
