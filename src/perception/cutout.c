#include "perception/cutout.h"

#include "base/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct gv_cutout {
    uint8_t *rgb; // [height, width, 3]
    int width, height;
};

enum { CAPSULES = 12 };
typedef struct capsule { // all points within r of the segment a-b
    float a[2], b[2], r;
} capsule;

gv_cutout *gv_cutout_create(int width, int height) {
    gv_cutout *c = gv_calloc2(1, sizeof *c);
    if (!c) return NULL;
    *c = (gv_cutout){gv_calloc2((size_t)width * (size_t)height, 3), width, height};
    if (c->rgb) return c;
    free(c);
    return NULL;
}

void gv_cutout_destroy(gv_cutout *c) {
    if (!c) return;
    free(c->rgb);
    free(c);
}

gv_image gv_cutout_image(const gv_cutout *c) {
    return (gv_image){c->rgb, c->width, c->height, 3 * c->width};
}

typedef struct span { // pixels x0 .. x1 - 1, y0 .. y1 - 1, inside the picture
    int x0, y0, x1, y1;
} span;

static span inside(const gv_cutout *c, float x0, float y0, float x1, float y1) {
    double w = c->width, h = c->height;
    return (span){(int)fmin(fmax(floor(x0), 0), w), (int)fmin(fmax(floor(y0), 0), h), (int)fmin(fmax(ceil(x1), 0), w),
                  (int)fmin(fmax(ceil(y1), 0), h)};
}

void gv_cutout_copy(gv_cutout *c, const gv_image *frame, float x0, float y0, float x1, float y1) {
    span s = inside(c, x0, y0, x1, y1);
    if (s.x1 <= s.x0) return;
    for (int y = s.y0; y < s.y1; y++)
        memcpy(c->rgb + 3 * ((size_t)y * (size_t)c->width + (size_t)s.x0),
               frame->rgb + (size_t)y * (size_t)frame->stride + 3 * (size_t)s.x0, 3 * (size_t)(s.x1 - s.x0));
}

static void bone(capsule *c, const gv_moved_figure *m, const float *a, const float *b, float r) {
    *c = (capsule){{a[0] + m->dx, a[1] + m->dy}, {b[0] + m->dx, b[1] + m->dy}, r * m->figure->size};
}

// Trunk, head, thighs, shins, feet, upper and lower arms; radii as parts of the figure's size.
static void body(capsule c[CAPSULES], const gv_moved_figure *m) {
    const float(*p)[5] = m->figure->marks.point;
    float shoulders[2], hips[2], ears[2];
    for (int k = 0; k < 2; k++) {
        shoulders[k] = (p[11][k] + p[12][k]) / 2;
        hips[k] = (p[23][k] + p[24][k]) / 2;
        ears[k] = (p[7][k] + p[8][k]) / 2;
    }
    bone(&c[0], m, shoulders, hips, 0.11f);
    bone(&c[1], m, shoulders, ears, 0.09f);
    for (int s = 0; s < 2; s++) {
        capsule *q = c + 2 + 5 * s;
        bone(q, m, p[23 + s], p[25 + s], 0.06f);
        bone(q + 1, m, p[25 + s], p[27 + s], 0.05f);
        bone(q + 2, m, p[27 + s], p[31 + s], 0.04f);
        bone(q + 3, m, p[11 + s], p[13 + s], 0.045f);
        bone(q + 4, m, p[13 + s], p[15 + s], 0.045f);
    }
}

static bool covers(const capsule *c, int n, float x, float y) {
    for (int i = 0; i < n; i++) {
        float vx = c[i].b[0] - c[i].a[0], vy = c[i].b[1] - c[i].a[1], wx = x - c[i].a[0], wy = y - c[i].a[1];
        float t = (vx * wx + vy * wy) / (vx * vx + vy * vy + 1e-6f);
        t = t < 0 ? 0 : t > 1 ? 1 : t; // fminf, fmaxf are calls here
        wx -= t * vx;
        wy -= t * vy;
        if (wx * wx + wy * wy < c[i].r * c[i].r) return true;
    }
    return false;
}

float gv_cutout_share(const gv_figure *f, const gv_figure *other) {
    capsule c[CAPSULES];
    body(c, &(gv_moved_figure){other, 0, 0});
    int seen = 0, seen_on = 0, on = 0;
    for (int i = 0; i < GV_BODY_POINTS; i++) {
        const float *p = f->marks.point[GV_BODY_POINT[i]];
        bool covered = covers(c, CAPSULES, p[0], p[1]);
        on += covered;
        if (p[3] <= 0.5f) continue;
        seen++;
        seen_on += covered;
    }
    return seen >= 4 ? (float)seen_on / (float)seen : (float)on / GV_BODY_POINTS;
}

// Those of the capsules that row y meets; returns their number.
static int in_row(capsule *out, const capsule *c, float y) {
    int n = 0;
    for (int i = 0; i < CAPSULES; i++) {
        float top = c[i].a[1] < c[i].b[1] ? c[i].a[1] : c[i].b[1], bottom = c[i].a[1] + c[i].b[1] - top;
        if (y > top - c[i].r && y < bottom + c[i].r) out[n++] = c[i];
    }
    return n;
}

// Mean colour of the frame in two strips beside the box.
static void surroundings(const gv_cutout *c, const gv_image *frame, const gv_moved_figure *m, uint8_t colour[3]) {
    const float *b = m->figure->box, strip = 0.2f * m->figure->size;
    span all = inside(c, b[0] + m->dx - strip, b[1] + m->dy, b[2] + m->dx + strip, b[3] + m->dy);
    span own = inside(c, b[0] + m->dx, b[1] + m->dy, b[2] + m->dx, b[3] + m->dy);
    uint64_t sum[3] = {0}, n = 0;
    for (int y = all.y0; y < all.y1; y++)
        for (int x = all.x0; x < all.x1; x++) {
            if (x >= own.x0 && x < own.x1) continue;
            const uint8_t *p = frame->rgb + (size_t)y * (size_t)frame->stride + 3 * (size_t)x;
            for (int k = 0; k < 3; k++) sum[k] += p[k];
            n++;
        }
    for (int k = 0; k < 3; k++) colour[k] = n ? (uint8_t)(sum[k] / n) : 128;
}

void gv_cutout_paint_over(gv_cutout *c, const gv_image *frame, gv_moved_figure m, const gv_moved_figure *keep) {
    capsule painted[CAPSULES], kept[CAPSULES];
    uint8_t colour[3];
    body(painted, &m);
    if (keep) body(kept, keep);
    surroundings(c, frame, &m, colour);
    float reach[4] = {INFINITY, INFINITY, -INFINITY, -INFINITY};
    for (int i = 0; i < CAPSULES; i++)
        for (int k = 0; k < 2; k++) {
            reach[k] = fminf(reach[k], fminf(painted[i].a[k], painted[i].b[k]) - painted[i].r);
            reach[k + 2] = fmaxf(reach[k + 2], fmaxf(painted[i].a[k], painted[i].b[k]) + painted[i].r);
        }
    span s = inside(c, reach[0], reach[1], reach[2], reach[3]);
#pragma omp parallel for schedule(static)
    for (int y = s.y0; y < s.y1; y++) {
        capsule over[CAPSULES], spared[CAPSULES];
        float py = (float)y + 0.5f;
        int n = in_row(over, painted, py), kept_n = keep ? in_row(spared, kept, py) : 0;
        for (int x = s.x0; x < s.x1; x++) {
            float px = (float)x + 0.5f;
            if (!covers(over, n, px, py) || covers(spared, kept_n, px, py)) continue;
            memcpy(c->rgb + 3 * ((size_t)y * (size_t)c->width + (size_t)x), colour, 3);
        }
    }
}
