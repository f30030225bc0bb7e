#include "camera/corners.h"

#include "base/memory.h"
#include "base/order.h"
#include "nn/vec8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    P = GV_PATCH,
    S = GV_PATCH_STRIDE,
    R = P / 2,
    CELL = 32,
    PER_CELL = 2,
    SPACING = 10,
    ITERATIONS = 15,
    BACKWARD_LEVELS = 2
};
static const float CONVERGED = 0.003f; // px, the last step of an alignment
static const float BACKWARD = 0.7f;    // px, largest forward-backward difference
static const float SIMILAR = 0.75f;    // least correlation with the template at birth
static const float NOISE_FACTOR = 6;   // a corner's eigenvalue against what noise alone gives

gv_status gv_corners_alloc(gv_corners *t, int width, int height, gv_error *err) {
    *t = (gv_corners){.width = width, .height = height};
    t->anchor = gv_calloc2(GV_CORNERS_MAX, sizeof *t->anchor);
    t->response = gv_calloc2((size_t)width * height, sizeof(float));
    t->work = gv_calloc2((size_t)(width + 2 * GV_PICTURE_PAD) * 3 * (2 * 3 + 1), sizeof(float));
    if (t->anchor && t->response && t->work) return GV_OK;
    gv_corners_free(t);
    return gv_fail(err, GV_ERR_MEMORY, "no memory for tracks on %d x %d", width, height);
}

void gv_corners_free(gv_corners *t) {
    free(t->anchor);
    free(t->response);
    free(t->work);
    *t = (gv_corners){0};
}

// --- patches -------------------------------------------------------------------------------------------

static bool inside(const gv_plane *l, float x, float y) { // also false for NaN
    return x >= 0 && y >= 0 && x <= (float)l->width && y <= (float)l->height;
}

static inline float total(v8 s) {
    return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
}

// Bilinear samples of n rows around (x, y), `stride` (a multiple of 8, at least n) columns each.
static inline void sample(const gv_plane *l, float x, float y, int n, float *out, int stride) {
    float fx = x - 0.5f - (float)(n / 2), fy = y - 0.5f - (float)(n / 2);
    int ix = (int)floorf(fx), iy = (int)floorf(fy);
    fx -= (float)ix, fy -= (float)iy;
    const float *row = l->data + (long)iy * l->stride + ix;
    for (int c = 0; c < stride; c += 8) {
        const float *a = row + c;
        v8 top = v8_load(a) + fx * (v8_load(a + 1) - v8_load(a));
        for (int r = 0; r < n; r++) {
            a += l->stride;
            v8 bottom = v8_load(a) + fx * (v8_load(a + 1) - v8_load(a));
            v8_store(out + r * stride + c, top + fy * (bottom - top));
            top = bottom;
        }
    }
}

// A smooth round window, 1 in the middle, 0.1 in the corners; last column 0.
static float window_weight(int r, int c) {
    if (c >= P) return 0;
    float d2 = (float)((r - R) * (r - R) + (c - R) * (c - R)) / (float)(R * R);
    return expf(-1.15f * d2);
}

static const float *window(void) {
    static _Thread_local float w[P * S];
    if (w[0] == 0)
        for (int i = 0; i < P * S; i++) w[i] = window_weight(i / S, i % S);
    return w;
}

static float window_sum(void) {
    static _Thread_local float sum;
    if (sum == 0)
        for (int i = 0; i < P * S; i++) sum += window()[i];
    return sum;
}

// The picture J around the current place is modelled as a T(shifted by d) + b. With gradients made
// orthogonal (under the window) to 1 and to T, the sums of gradient times J see neither a nor b, so each
// iteration needs J alone: d = H^-1 sum(g J).
bool gv_patch_make(gv_patch *p, const gv_plane *plane, float x, float y) {
    if (!inside(plane, x, y)) return false;
    float big[(P + 2) * 24];
    sample(plane, x, y, P + 2, big, 24);
    const float *w = window();
    v8 sv = {0}, sx = {0}, sy = {0}, tt = {0}, tx = {0}, ty = {0}, xx = {0}, xy = {0}, yy = {0};
    for (int i = 0; i < P * S; i += 8) {
        const float *b = big + (i / S + 1) * 24 + i % S + 1;
        v8 v = v8_load(b), gx = 0.5f * (v8_load(b + 1) - v8_load(b - 1)),
           gy = 0.5f * (v8_load(b + 24) - v8_load(b - 24)), k = v8_load(w + i);
        v8_store(p->value + i, v), v8_store(p->gx + i, gx), v8_store(p->gy + i, gy);
        sv += k * v, sx += k * gx, sy += k * gy;
    }
    float sw = window_sum(), mx = total(sx) / sw, my = total(sy) / sw;
    p->mean = total(sv) / sw;
    for (int i = 0; i < P * S; i += 8) {
        v8 t = v8_load(p->value + i) - p->mean, wt = v8_load(w + i) * t;
        tt += wt * t, tx += wt * v8_load(p->gx + i), ty += wt * v8_load(p->gy + i);
    }
    float t2 = total(tt), ax = total(tx) / t2, ay = total(ty) / t2;
    p->norm = sqrtf(t2);
    if (!(t2 > 1)) return false;
    for (int i = 0; i < P * S; i += 8) {
        v8 t = v8_load(p->value + i) - p->mean, k = v8_load(w + i);
        v8 gx = v8_load(p->gx + i) - mx - ax * t, gy = v8_load(p->gy + i) - my - ay * t, wx = k * gx, wy = k * gy;
        xx += wx * gx, xy += wx * gy, yy += wy * gy;
        v8_store(p->gx + i, wx), v8_store(p->gy + i, wy);
    }
    float hxx = total(xx), hxy = total(xy), hyy = total(yy), det = hxx * hyy - hxy * hxy;
    if (!(det > 1e-3f * hxx * hyy) || !(det > 1)) return false;
    p->inv[0] = hyy / det, p->inv[1] = -hxy / det, p->inv[2] = hxx / det;
    return true;
}

bool gv_patch_align(const gv_patch *p, const gv_plane *plane, float *x, float *y) {
    float j[P * S], px = *x, py = *y, last = 1e9f;
    for (int it = 0; it < ITERATIONS; it++) {
        if (!inside(plane, px, py)) return false;
        sample(plane, px, py, P, j, S);
        v8 sx = {0}, sy = {0};
        for (int i = 0; i < P * S; i += 8)
            sx += v8_load(p->gx + i) * v8_load(j + i), sy += v8_load(p->gy + i) * v8_load(j + i);
        float bx = total(sx), by = total(sy);
        float dx = -(p->inv[0] * bx + p->inv[1] * by), dy = -(p->inv[1] * bx + p->inv[2] * by);
        float step = sqrtf(dx * dx + dy * dy);
        if (!(step < 2 * (float)R)) return false;
        if (it > 2 && step > 0.9f * last) dx *= 0.5f, dy *= 0.5f; // oscillation
        px += dx, py += dy, last = step;
        if (step < CONVERGED) break;
    }
    if (!(last < 0.3f) || !inside(plane, px, py)) return false;
    *x = px, *y = py;
    return true;
}

float gv_patch_similarity(const gv_patch *p, const gv_plane *plane, float x, float y) {
    if (!inside(plane, x, y)) return -1;
    float j[P * S];
    const float *w = window();
    v8 sj = {0}, jj = {0}, jt = {0};
    sample(plane, x, y, P, j, S);
    for (int i = 0; i < P * S; i += 8) sj += v8_load(w + i) * v8_load(j + i);
    float mean = total(sj) / window_sum();
    for (int i = 0; i < P * S; i += 8) {
        v8 d = v8_load(j + i) - mean, wd = v8_load(w + i) * d;
        jj += wd * d, jt += wd * v8_load(p->value + i); // d has no mean: the template's does not count
    }
    float norm = sqrtf(total(jj)) * p->norm;
    return norm > 0 ? total(jt) / norm : -1;
}

// Follows a point through the `levels` finest levels of the pyramids, starting at *x, *y; false when it is lost.
static bool follow_point(const gv_picture *from, float x0, float y0, const gv_picture *to, int levels, float *x,
                         float *y) {
    int top = (levels < from->levels ? levels : from->levels) - 1;
    if (top >= to->levels) top = to->levels - 1;
    float dx = *x - x0, dy = *y - y0; // level-0 px
    gv_patch p;
    for (int level = top; level >= 0; level--) {
        float k = 1.f / (float)(1 << level), qx = (x0 + dx) * k, qy = (y0 + dy) * k;
        bool ok =
            gv_patch_make(&p, &from->level[level], x0 * k, y0 * k) && gv_patch_align(&p, &to->level[level], &qx, &qy);
        if (!ok && level == 0) return false; // coarse levels may lack texture or diverge; the finest must not
        if (ok) dx = qx / k - x0, dy = qy / k - y0;
    }
    *x = x0 + dx, *y = y0 + dy;
    return true;
}

// --- corners -------------------------------------------------------------------------------------------

static bool in_boxes(float x, float y, const float (*boxes)[4], int n) {
    for (int i = 0; i < n; i++)
        if (x >= boxes[i][0] && x <= boxes[i][2] && y >= boxes[i][1] && y <= boxes[i][3]) return true;
    return false;
}

// Corner strength: smallest eigenvalue of the gradient matrix over 7 x 7 pixels, per pixel squared grey.
static void corner_response(gv_corners *t, const gv_plane *l) {
    enum { HALF = 3, ROWS = 2 * HALF + 1 };
    int w = l->width, wide = w + 2 * GV_PICTURE_PAD;
    float *ring = t->work; // [ROWS][3][wide]: xx, xy, yy of one row each
    for (int y = -HALF; y < l->height + HALF; y++) {
        float *restrict xx = ring + (long)((y + HALF) % ROWS) * 3 * wide, *restrict xy = xx + wide,
                        *restrict yy = xy + wide;
        const float *a = l->data + (long)(y - 1) * l->stride, *b = a + l->stride, *c = b + l->stride;
        for (int x = -HALF; x < w + HALF; x++) {
            float gx = 0.125f * ((a[x + 1] - a[x - 1]) + 2 * (b[x + 1] - b[x - 1]) + (c[x + 1] - c[x - 1]));
            float gy = 0.125f * ((c[x - 1] - a[x - 1]) + 2 * (c[x] - a[x]) + (c[x + 1] - a[x + 1]));
            xx[x + HALF] = gx * gx, xy[x + HALF] = gx * gy, yy[x + HALF] = gy * gy;
        }
        if (y < HALF) continue;
        float *out = t->response + (long)(y - HALF) * w;
        float sum[3][GV_PICTURE_SIDE + 2 * GV_PICTURE_PAD] = {{0}};
        for (int k = 0; k < ROWS; k++)
            for (int q = 0; q < 3; q++)
                for (int x = 0; x < w + 2 * HALF; x++) sum[q][x] += ring[((long)k * 3 + q) * wide + x];
        for (int x = 0; x < w; x++) {
            float s[3] = {0};
            for (int q = 0; q < 3; q++)
                for (int k = 0; k < ROWS; k++) s[q] += sum[q][x + k];
            float m = 0.5f * (s[0] + s[2]), d = 0.5f * (s[0] - s[2]);
            out[x] = (m - sqrtf(d * d + s[1] * s[1])) * (1.f / (ROWS * ROWS));
        }
    }
}

// Least strength of a corner: above what the picture's own noise gives (a low percentile of the responses
// over a coarse lattice), yet not so high that a picture full of texture loses its weaker half.
static float least_response(const gv_corners *t) {
    float v[1024];
    int n = 0, step = 1 + (int)sqrt((double)t->width * t->height / 1000);
    for (int y = step / 2; y < t->height && n < 1024; y += step)
        for (int x = step / 2; x < t->width && n < 1024; x += step) v[n++] = t->response[(long)y * t->width + x];
    if (!n) return 1;
    gv_sort_floats(v, n);
    return fmaxf(fminf(NOISE_FACTOR * v[n / 20], 0.03f * v[n * 9 / 10]), 0.1f);
}

// Foerstner point: where the gradient lines of the patch meet; stays within 3 px or where it was.
static void foerstner_point(const gv_plane *l, float *x, float *y) {
    for (int it = 0; it < 2; it++) {
        float big[(P + 2) * 24], xx = 0, xy = 0, yy = 0, bx = 0, by = 0;
        const float *w = window();
        sample(l, *x, *y, P + 2, big, 24);
        for (int r = 0; r < P; r++)
            for (int c = 0; c < P; c++) {
                const float *b = big + (r + 1) * 24 + c + 1;
                float gx = b[1] - b[-1], gy = b[24] - b[-24], k = w[r * S + c], u = (float)(c - R), v = (float)(r - R);
                xx += k * gx * gx, xy += k * gx * gy, yy += k * gy * gy;
                bx += k * (gx * gx * u + gx * gy * v), by += k * (gx * gy * u + gy * gy * v);
            }
        float det = xx * yy - xy * xy;
        if (!(det > 1e-3f * xx * yy)) return;
        float dx = (yy * bx - xy * by) / det, dy = (xx * by - xy * bx) / det;
        if (dx * dx + dy * dy > 9 || !inside(l, *x + dx, *y + dy)) return;
        *x += dx, *y += dy;
    }
}

static bool free_place(const gv_corners *t, float x, float y) {
    for (int i = 0; i < t->count; i++) {
        float dx = t->track[i].x - x, dy = t->track[i].y - y;
        if (dx * dx + dy * dy < SPACING * SPACING) return false;
    }
    return true;
}

// The strongest free local maximum of a cell, or false.
static bool best_in_cell(const gv_corners *t, int cx, int cy, float least, const float (*boxes)[4], int nboxes,
                         float *bx, float *by) {
    float best = least;
    int x1 = cx * CELL, y1 = cy * CELL, margin = 4;
    int x2 = x1 + CELL < t->width - margin ? x1 + CELL : t->width - margin;
    int y2 = y1 + CELL < t->height - margin ? y1 + CELL : t->height - margin;
    bool found = false;
    for (int y = y1 < margin ? margin : y1; y < y2; y++)
        for (int x = x1 < margin ? margin : x1; x < x2; x++) {
            const float *q = t->response + (long)y * t->width + x;
            if (*q <= best || q[-1] > *q || q[1] > *q || q[-t->width] > *q || q[t->width] > *q) continue;
            float px = (float)x + 0.5f, py = (float)y + 0.5f;
            if (in_boxes(px, py, boxes, nboxes) || !free_place(t, px, py)) continue;
            best = *q, *bx = px, *by = py, found = true;
        }
    return found;
}

static void add_track(gv_corners *t, const gv_plane *l, float x, float y) {
    foerstner_point(l, &x, &y);
    if (!free_place(t, x, y) || !gv_patch_make(&t->anchor[t->count], l, x, y)) return;
    t->track[t->count++] = (gv_corner){.id = t->next_id++, .x = x, .y = y};
}

void gv_corners_detect(gv_corners *t, const gv_picture *picture, const float (*boxes)[4], int nboxes) {
    const gv_plane *l = &picture->level[0];
    corner_response(t, l);
    float least = least_response(t);
    int nx = (t->width + CELL - 1) / CELL, ny = (t->height + CELL - 1) / CELL;
    for (int round = 1; round <= PER_CELL; round++)
        for (int c = 0; c < nx * ny; c++) {
            int cx = c % nx, cy = c / nx, held = 0;
            for (int i = 0; i < t->count; i++)
                held += (int)t->track[i].x / CELL == cx && (int)t->track[i].y / CELL == cy;
            float x, y;
            if (held < round && t->count < GV_CORNERS_MAX && best_in_cell(t, cx, cy, least, boxes, nboxes, &x, &y))
                add_track(t, l, x, y);
        }
}

// --- following -----------------------------------------------------------------------------------------

// The new place agrees with the template at birth, or the template is taken anew from the last frame.
static bool refine_on_anchor(gv_corner *k, gv_patch *anchor, const gv_picture *from, const gv_picture *to, float *x,
                             float *y) {
    float ax = *x, ay = *y;
    if (gv_patch_align(anchor, &to->level[0], &ax, &ay) && hypotf(ax - *x, ay - *y) < 0.8f &&
        gv_patch_similarity(anchor, &to->level[0], ax, ay) > SIMILAR) {
        *x = ax, *y = ay, k->anchored++;
        return true;
    }
    k->anchored = 0;
    return gv_patch_make(anchor, &from->level[0], k->x, k->y) &&
           gv_patch_similarity(anchor, &to->level[0], *x, *y) > SIMILAR;
}

// The way back starts at the goal: enough to see a wrong match move away.
static bool comes_back(const gv_picture *from, float x0, float y0, const gv_picture *to, float x, float y) {
    float bx = x0, by = y0;
    return follow_point(to, x, y, from, BACKWARD_LEVELS, &bx, &by) && hypotf(bx - x0, by - y0) <= BACKWARD;
}

bool gv_corner_search(const gv_picture *from, float x0, float y0, const gv_picture *to, float *x, float *y) {
    gv_patch p;
    return follow_point(from, x0, y0, to, GV_PICTURE_LEVELS, x, y) && comes_back(from, x0, y0, to, *x, *y) &&
           gv_patch_make(&p, &from->level[0], x0, y0) && gv_patch_similarity(&p, &to->level[0], *x, *y) > SIMILAR;
}

void gv_corners_follow(const gv_corners *t, const gv_picture *from, const gv_picture *to, const float (*boxes)[4],
                       int nboxes, gv_corners *out) {
    out->count = 0, out->next_id = t->next_id;
    for (int i = 0; i < t->count; i++) {
        gv_corner k = t->track[i];
        gv_patch *anchor = &out->anchor[out->count];
        float x = k.x, y = k.y;
        if (!follow_point(from, k.x, k.y, to, GV_PICTURE_LEVELS, &x, &y)) continue;
        if (!comes_back(from, k.x, k.y, to, x, y)) continue;
        *anchor = t->anchor[i];
        if (!refine_on_anchor(&k, anchor, from, to, &x, &y)) continue;
        if (x < 3 || y < 3 || x > (float)t->width - 3 || y > (float)t->height - 3 || in_boxes(x, y, boxes, nboxes))
            continue;
        k.x = x, k.y = y, k.age++;
        out->track[out->count++] = k;
    }
}
