// world.c - the world around the bodies: soft shadows and paths on the ground of ground.c.
//
// Shadows come from the maps of shadow.c and are laid over the ground before bodies are drawn.
#include "rendering/raster.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float near_m = 0.05f;

static float least(float a, float b) {
    return a < b ? a : b;
}

static float most(float a, float b) {
    return a > b ? a : b;
}

// Where a ground shadow may be seen: the columns and rows of the picture; false for none.
static bool shadow_on_screen(const gv_canvas *c, const gv_view *view, const gv_body_shadow *b, int box[4]) {
    float x0 = INFINITY, y0 = INFINITY, x1 = -INFINITY, y1 = -INFINITY;
    int behind = 0;
    for (int k = 0; k < 8; k++) { // the corners of both maps, taken along their directions to the ground
        const gv_map *m = k & 4 ? &b->close : &b->hidden;
        const float u = m->u0 + (k & 1 ? (float)m->nx * m->cell : 0), v = m->v0 + (k & 2 ? (float)m->ny * m->cell : 0);
        const float d = -(m->s[1] * u + m->q[1] * v) / m->l[1];
        float p[3], q[3];
        for (int i = 0; i < 3; i++) p[i] = m->s[i] * u + m->q[i] * v + m->l[i] * d;
        for (int i = 0; i < 3; i++) q[i] = view->R[3 * i] * p[0] + view->R[3 * i + 2] * p[2] + view->t[i];
        behind += q[2] < near_m;
        float px = (view->K[0] * q[0] + view->K[1] * q[1]) / q[2] + view->K[2],
              py = view->K[4] * q[1] / q[2] + view->K[5];
        x0 = least(x0, px), x1 = most(x1, px), y0 = least(y0, py), y1 = most(y1, py);
    }
    if (behind == 8) return false;
    if (behind) x0 = y0 = 0, x1 = y1 = INFINITY;
    box[0] = (int)most(x0, 0), box[1] = (int)most(y0, 0);
    box[2] = (int)least(x1 + 1, (float)(c->width - 1)), box[3] = (int)least(y1 + 1, (float)(c->height - 1));
    return x0 < (float)c->width && y0 < (float)c->height && x1 >= 0 && y1 >= 0;
}

// A row of the picture sees the ground along a line. On it a map's coordinates are (p + q x) / (r + s x) of the column
// x, so that the columns within the map are an interval: [*x0, *x1] becomes what at least one of two maps may cover.
static void clip_row(const gv_map *m0, const gv_map *m1, const float ray[9], const float eye[3], float y, float *x0,
                     float *x1) {
    const gv_map *maps[2] = {m0, m1};
    float a[3], lo = *x1, hi = *x0;
    for (int i = 0; i < 3; i++) a[i] = ray[3 * i + 1] * y + ray[3 * i + 2];
    if (!(a[1] + ray[3] * *x0 < 0 && a[1] + ray[3] * *x1 < 0)) return; // the horizon crosses it: no clipping
    for (int k = 0; k < 2; k++) {
        const gv_map *m = maps[k];
        float from = *x0, to = *x1;
        for (int side = 0; side < 4; side++) { // u >= u0, u <= u1, v >= v0, v <= v1, each times -(r + s x) > 0
            const float *axis = side < 2 ? m->s : m->q, sign = side & 1 ? 1 : -1;
            float edge = side < 2 ? m->u0 + (side & 1 ? (float)m->nx * m->cell : 0)
                                  : m->v0 + (side & 1 ? (float)m->ny * m->cell : 0);
            float at_eye = axis[0] * eye[0] + axis[2] * eye[2] - edge;
            float p = at_eye * -a[1] + eye[1] * (axis[0] * a[0] + axis[2] * a[2]);
            float q = at_eye * -ray[3] + eye[1] * (axis[0] * ray[0] + axis[2] * ray[6]);
            p *= sign, q *= sign; // inside where p + q x <= 0
            if (q > 0) to = least(to, -p / q);
            if (q < 0) from = most(from, -p / q);
            if (q == 0 && p > 0) to = from - 1;
        }
        if (from <= to) lo = least(lo, from), hi = most(hi, to);
    }
    *x0 = most(*x0, lo - 1);
    *x1 = least(*x1, hi + 1);
}

static void lay_shadow(const gv_canvas *c, uint8_t *rgb, int stride, const gv_view *view, const gv_body_shadow *b,
                       const float ray[9], const float eye[3]) {
    int box[4];
    if (!b->hidden.nx || !b->close.nx || !shadow_on_screen(c, view, b, box)) return;
#pragma omp parallel for schedule(dynamic, 8)
    for (int y = box[1]; y <= box[3]; y++) {
        float x0 = (float)box[0], x1 = (float)box[2];
        clip_row(&b->hidden, &b->close, ray, eye, (float)y, &x0, &x1);
        for (int x = (int)x0; x <= (int)x1; x++) {
            float d[3], ground[3] = {0};
            for (int i = 0; i < 3; i++) d[i] = ray[3 * i] * (float)x + ray[3 * i + 1] * (float)y + ray[3 * i + 2];
            float t = -eye[1] / d[1];
            if (!(t > 0 && t < 1e5f)) continue;
            ground[0] = eye[0] + t * d[0], ground[2] = eye[2] + t * d[2];
            float hidden = gv_map_at(&b->hidden, ground), close = gv_map_at(&b->close, ground);
            if (hidden + close < 0.004f) continue;
            float k = (1 - 0.58f * hidden) * (1 - 0.60f * least(close, 1));
            uint8_t *p = rgb + (ptrdiff_t)y * stride + 3 * (ptrdiff_t)x; // the sky's light in it is bluish
            for (int i = 0; i < 3; i++) p[i] = gv_encode(c, c->linear[p[i]] * (k + 0.04f * (1 - k) * (float)(i - 1)));
        }
    }
}

// Coverage of a thick line from a to b, added to the mask as the larger of both.
static void draw_segment(const gv_canvas *c, uint8_t *mask, const float a[2], const float b[2], float half,
                         int box[4]) {
    const float edge = half + 0.5f;
    float x0 = most(least(a[0], b[0]) - edge, 0), x1 = least(most(a[0], b[0]) + edge, (float)(c->width - 1));
    float y0 = most(least(a[1], b[1]) - edge, 0), y1 = least(most(a[1], b[1]) + edge, (float)(c->height - 1));
    if (!(x0 <= x1 && y0 <= y1)) return;
    if ((int)x0 < box[0]) box[0] = (int)x0;
    if ((int)y0 < box[1]) box[1] = (int)y0;
    if ((int)x1 > box[2]) box[2] = (int)x1;
    if ((int)y1 > box[3]) box[3] = (int)y1;
    const float dx = b[0] - a[0], dy = b[1] - a[1], length2 = dx * dx + dy * dy + 1e-12f;
    for (int y = (int)y0; y <= (int)y1; y++)
        for (int x = (int)x0; x <= (int)x1; x++) {
            float px = (float)x - a[0], py = (float)y - a[1], k = (px * dx + py * dy) / length2;
            k = k < 0 ? 0 : k > 1 ? 1 : k;
            float ox = px - k * dx, oy = py - k * dy, cover = edge - sqrtf(ox * ox + oy * oy);
            int code = cover <= 0 ? 0 : cover >= 1 ? 255 : (int)(255 * cover);
            uint8_t *m = mask + (ptrdiff_t)y * c->width + x;
            if (code > *m) *m = (uint8_t)code;
        }
}

static void draw_path(const gv_canvas *c, uint8_t *rgb, int stride, const gv_view *view, const gv_path *path) {
    uint8_t *mask = c->mask.data;
    int box[4] = {c->width, c->height, -1, -1};
    float last[2] = {0};
    bool joined = false;
    for (int n = 0; n < path->n; n++) {
        const float *p = path->points + 3 * (ptrdiff_t)n;
        float q[3], at[2];
        for (int i = 0; i < 3; i++) q[i] = view->R[3 * i] * p[0] + view->R[3 * i + 2] * p[2] + view->t[i];
        if (!(q[2] >= 4 * near_m)) {
            joined = false;
            continue;
        }
        at[0] = (view->K[0] * q[0] + view->K[1] * q[1]) / q[2] + view->K[2];
        at[1] = view->K[4] * q[1] / q[2] + view->K[5];
        if (joined && n + 1 < path->n && hypotf(at[0] - last[0], at[1] - last[1]) < 1) continue;
        if (joined) draw_segment(c, mask, last, at, most(0.6f, least(0.011f * view->K[0] / q[2], 12)), box);
        joined = true;
        last[0] = at[0], last[1] = at[1];
    }
    for (int y = box[1]; y <= box[3]; y++) {
        uint8_t *m = mask + (ptrdiff_t)y * c->width, *out = rgb + (ptrdiff_t)y * stride;
        for (int x = box[0]; x <= box[2]; x++)
            if (m[x])
                for (int i = 0; i < 3; i++) {
                    float below = c->linear[out[3 * x + i]];
                    out[3 * x + i] = gv_encode(c, below + (path->colour[i] - below) * (0.8f / 255) * (float)m[x]);
                }
        if (box[2] >= box[0]) memset(m + box[0], 0, (size_t)(box[2] - box[0] + 1));
    }
}

// Light from the front left of the camera, above; shadows fall away from the viewer.
static void place_lights(const gv_view *view, gv_lights *l) {
    float right[3] = {view->R[0], 0, view->R[2]}, back[3] = {-view->R[6], 0, -view->R[8]};
    float nr = hypotf(right[0], right[2]) + 1e-9f, nb = hypotf(back[0], back[2]) + 1e-9f;
    static const float along_right[3] = {-0.50f, 0.80f, 0.35f}, along_back[3] = {0.30f, 0.55f, -0.75f};
    static const float upward[3] = {0.81f, 0.20f, 0.55f};
    float *to[3] = {l->key, l->fill, l->rim};
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 3; i++)
            to[k][i] = along_right[k] * right[i] / nr + along_back[k] * back[i] / nb + (i == 1 ? upward[k] : 0);
        float n = sqrtf(to[k][0] * to[k][0] + to[k][1] * to[k][1] + to[k][2] * to[k][2]);
        for (int i = 0; i < 3; i++) to[k][i] /= n;
    }
    l->up[0] = l->up[2] = 0;
    l->up[1] = 1;
    l->floor = 0.5f;
}

bool gv_render_world(gv_canvas *c, uint8_t *rgb, int stride, const gv_view *view, const gv_mesh *meshes, int n,
                     const gv_path *paths, int npaths) {
    float ray[9], eye[3];
    gv_lights lights;
    gv_view_rays(view, ray, eye);
    place_lights(view, &lights);
    if (!gv_prepare_background(c, view, ray, eye)) return false;
    for (int y = 0; y < c->height; y++)
        memcpy(rgb + (ptrdiff_t)y * stride, (uint8_t *)c->background.data + (size_t)y * c->width * 3,
               3 * (size_t)c->width);
    if (npaths > 0 && !gv_buffer_reserve(&c->mask, (size_t)c->width * (size_t)c->height, 1)) return false;
    for (int i = 0; i < npaths; i++) draw_path(c, rgb, stride, view, &paths[i]);
    if (!gv_cast_shadows(c, meshes, n, lights.key, true)) return false;
    for (int i = 0; i < n; i++) lay_shadow(c, rgb, stride, view, (const gv_body_shadow *)c->body.data + i, ray, eye);
    return gv_draw_meshes(c, rgb, stride, view, meshes, n, 1, &lights);
}
