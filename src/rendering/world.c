// world.c - the world around the bodies: sky, ground grid, soft shadows, paths.
//
// Lines of the grid are filtered analytically: a pixel's footprint on the ground is an interval in x and one in z, and the
// share of line in it is the difference of the integral of a pulse train, so that nothing flickers far away.
// A shadow is drawn into a small map on the ground per body (what hides the key light, and how close above the ground
// the body is), blurred, and laid over the picture.
#include "rendering/raster.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float near_m = 0.05f;
static const float ground_colour[3] = {0.52f, 0.54f, 0.56f}, line_colour[3] = {0.30f, 0.33f, 0.37f};
static const float horizon[3] = {0.72f, 0.76f, 0.80f}, zenith[3] = {0.30f, 0.42f, 0.58f};

// Integral from 0 to x of a train of pulses of width w and height 1 around each whole number.
static float pulses(float x, float w) {
    x += 0.5f * w;
    float whole = floorf(x);
    return w * whole + fminf(x - whole, w);
}

// Share of grid lines (every `period` m, `width` m wide) in the interval of size f around x.
static float line_share(float x, float f, float period, float width) {
    float h = 0.5f * f / period + 1e-5f;
    return (pulses(x / period + h, width / period) - pulses(x / period - h, width / period)) / (2 * h);
}

// Share of [lo, hi] in the interval of size f around x.
static float interval_share(float x, float f, float lo, float hi) {
    float share = (fminf(hi, x + 0.5f * f) - fmaxf(lo, x - 0.5f * f)) / f;
    return share > 0 ? share : 0;
}

static void mix(float out[3], const float to[3], float k) {
    for (int i = 0; i < 3; i++) out[i] += (to[i] - out[i]) * k;
}

static float either(float a, float b) { // share of the union of two independent line patterns
    return a + b - a * b;
}

static void sky_colour(float up, float out[3]) {
    float k = up < 0 ? 0 : up > 1 ? 1 : up;
    k = k * (2 - k);
    for (int i = 0; i < 3; i++) out[i] = horizon[i] + (zenith[i] - horizon[i]) * k;
}

// Ground at (x, z) with footprint (fx, fz), r metres from the camera's foot.
static void paint_ground(float x, float z, float fx, float fz, float r, float fog_m, float out[3]) {
    static const float red[3] = {0.62f, 0.10f, 0.08f}, blue[3] = {0.08f, 0.20f, 0.62f};
    for (int i = 0; i < 3; i++) out[i] = ground_colour[i];
    float minor = either(line_share(x, fx, 1, 0.018f), line_share(z, fz, 1, 0.018f));
    float major = either(line_share(x, fx, 5, 0.035f), line_share(z, fz, 5, 0.035f));
    mix(out, line_colour, 0.55f * minor);
    mix(out, line_colour, 0.80f * major);
    mix(out, red, interval_share(x, fx, 0, 1) * interval_share(z, fz, -0.02f, 0.02f));
    mix(out, blue, interval_share(z, fz, 0, 1) * interval_share(x, fx, -0.02f, 0.02f));
    float k = r / fog_m;
    mix(out, horizon, 1 - expf(-k * k));
}

static bool prepare_background(gv_canvas *c, const gv_view *view, const float ray[9], const float eye[3]) {
    if (c->background_valid && !memcmp(view, &c->background_view, sizeof *view)) return true;
    const int W = c->width, H = c->height;
    if (!gv_buffer_reserve(&c->background, (size_t)W * (size_t)H, 3)) return false;
    uint8_t *rgb = c->background.data;
    const float fog_m = fmaxf(22, 11 * eye[1]);
#pragma omp parallel for schedule(dynamic, 8)
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            float d[3], colour[3];
            for (int i = 0; i < 3; i++) d[i] = ray[3 * i] * (float)x + ray[3 * i + 1] * (float)y + ray[3 * i + 2];
            float t = -eye[1] / d[1];
            if (t > 0 && t < 1e5f) {
                float gx = eye[0] + t * d[0], gz = eye[2] + t * d[2], k = t / d[1];
                float fx = fabsf(k * (ray[0] * d[1] - d[0] * ray[3])) + fabsf(k * (ray[1] * d[1] - d[0] * ray[4]));
                float fz = fabsf(k * (ray[6] * d[1] - d[2] * ray[3])) + fabsf(k * (ray[7] * d[1] - d[2] * ray[4]));
                paint_ground(gx, gz, fx, fz, hypotf(gx - eye[0], gz - eye[2]), fog_m, colour);
            } else {
                sky_colour(d[1] / sqrtf(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]), colour);
            }
            for (int i = 0; i < 3; i++) rgb[3 * ((ptrdiff_t)y * W + x) + i] = gv_encode(c, colour[i]);
        }
    c->background_view = *view;
    c->background_valid = true;
    return true;
}

typedef struct shadow_map { // on the ground; cell (i, j) has its middle at x0 + (i + 0.5) cell, z0 + (j + 0.5) cell
    int nx, nz;
    float x0, z0, cell;
    float *hidden; // [nz, nx] 1 where the key light does not come
    float *close;  // [nz, nx] 1 where the body touches the ground, 0 from some 30 cm above
    float *scratch;
} shadow_map;

static const float shadow_margin = 0.35f, finest_cell = 0.012f, coarsest_count = 224;

// Where a point throws its shadow: along the light, or straight down for `light` NULL.
static void cast(const float *p, const float *light, float at[2]) {
    float k = light && p[1] > 0 ? p[1] / light[1] : 0;
    at[0] = p[0] - (light ? k * light[0] : 0);
    at[1] = p[2] - (light ? k * light[2] : 0);
}

static bool plan_map(shadow_map *m, gv_buffer *buffer, const gv_mesh *mesh, const float light[3]) {
    float lo[2] = {INFINITY, INFINITY}, hi[2] = {-INFINITY, -INFINITY};
    for (int v = 0; v < mesh->vertices; v++)
        for (int way = 0; way < 2; way++) {
            float at[2];
            cast(mesh->position + 3 * (ptrdiff_t)v, way ? light : NULL, at);
            for (int i = 0; i < 2; i++) lo[i] = fminf(lo[i], at[i]), hi[i] = fmaxf(hi[i], at[i]);
        }
    float ex = hi[0] - lo[0] + 2 * shadow_margin, ez = hi[1] - lo[1] + 2 * shadow_margin;
    if (!(ex < 1e4f && ez < 1e4f)) return false; // nothing there, or not finite
    m->cell = fmaxf(finest_cell, fmaxf(ex, ez) / coarsest_count);
    m->nx = (int)ceilf(ex / m->cell);
    m->nz = (int)ceilf(ez / m->cell);
    m->x0 = lo[0] - shadow_margin;
    m->z0 = lo[1] - shadow_margin;
    size_t cells = (size_t)m->nx * (size_t)m->nz;
    if (!gv_buffer_reserve(buffer, 3 * cells, sizeof(float))) return false;
    m->hidden = buffer->data;
    m->close = m->hidden + cells;
    m->scratch = m->close + cells;
    memset(m->hidden, 0, 2 * cells * sizeof(float));
    return true;
}

// Sets the cells whose middle lies in the triangle to the larger of what they are and `value`.
static void fill_triangle(const shadow_map *m, float *map, float p[3][2], float value) {
    float at[3][2];
    for (int i = 0; i < 3; i++) at[i][0] = (p[i][0] - m->x0) / m->cell - 0.5f, at[i][1] = (p[i][1] - m->z0) / m->cell - 0.5f;
    float area = (at[1][0] - at[0][0]) * (at[2][1] - at[0][1]) - (at[1][1] - at[0][1]) * (at[2][0] - at[0][0]);
    if (!(area < 0)) return; // seen from above a front side turns clockwise in (x, z)
    int i0 = (int)ceilf(fminf(fminf(at[0][0], at[1][0]), at[2][0])), i1 = (int)fmaxf(fmaxf(at[0][0], at[1][0]), at[2][0]);
    int j0 = (int)ceilf(fminf(fminf(at[0][1], at[1][1]), at[2][1])), j1 = (int)fmaxf(fmaxf(at[0][1], at[1][1]), at[2][1]);
    for (int j = j0 > 0 ? j0 : 0; j <= j1 && j < m->nz; j++)
        for (int i = i0 > 0 ? i0 : 0; i <= i1 && i < m->nx; i++) {
            bool in = true;
            for (int k = 0; k < 3; k++) {
                const float *a = at[k], *b = at[(k + 1) % 3];
                in = in && (b[0] - a[0]) * ((float)j - a[1]) - (b[1] - a[1]) * ((float)i - a[0]) <= 0;
            }
            float *cell = map + (ptrdiff_t)j * m->nx + i;
            if (in && *cell < value) *cell = value;
        }
}

static void fill_map(shadow_map *m, const gv_mesh *mesh, const float light[3]) {
    for (int f = 0; f < mesh->triangles; f++) {
        float lit[3][2], down[3][2], height = 0;
        const int32_t *face = mesh->face + 3 * (ptrdiff_t)f;
        if (face[0] < 0 || face[1] < 0 || face[2] < 0 || face[0] >= mesh->vertices || face[1] >= mesh->vertices ||
            face[2] >= mesh->vertices)
            continue;
        for (int i = 0; i < 3; i++) {
            const float *p = mesh->position + 3 * (ptrdiff_t)face[i];
            cast(p, light, lit[i]);
            cast(p, NULL, down[i]);
            height += p[1] / 3;
        }
        fill_triangle(m, m->hidden, lit, 1);
        if (height > 0.36f) continue;
        for (int i = 0; i < 2; i++) { // the underside: turned over, so that it fills
            float swap = down[1][i];
            down[1][i] = down[2][i];
            down[2][i] = swap;
        }
        float h = height > 0 ? height : 0;
        fill_triangle(m, m->close, down, expf(-h * h / (2 * 0.11f * 0.11f)));
    }
}

// One pass of a running mean over 2 radius + 1 cells, n cells `step` apart; zero outside.
static void running_mean(const float *in, float *out, int n, ptrdiff_t step, int radius) {
    double sum = 0;
    const float k = 1 / (float)(2 * radius + 1);
    for (int i = 0; i < radius && i < n; i++) sum += in[i * step];
    for (int i = 0; i < n; i++) {
        if (i + radius < n) sum += in[(i + radius) * step];
        out[i * step] = (float)sum * k;
        if (i - radius >= 0) sum -= in[(i - radius) * step];
    }
}

// Three running means each way: close to a Gaussian of deviation radius_m.
static void blur(const shadow_map *m, float *map, float radius_m) {
    int radius = (int)lroundf(radius_m / m->cell);
    if (radius < 1) radius = 1;
    float *from = map, *to = m->scratch;
    for (int i = 0; i < 6; i++) {
        bool rows = i < 3;
        for (int k = 0; k < (rows ? m->nz : m->nx); k++) {
            ptrdiff_t first = rows ? (ptrdiff_t)k * m->nx : k;
            running_mean(from + first, to + first, rows ? m->nx : m->nz, rows ? 1 : m->nx, radius);
        }
        float *swap = from;
        from = to;
        to = swap;
    }
}

static float bilinear(const shadow_map *m, const float *map, float u, float v) {
    int i = (int)u, j = (int)v;
    const float *p = map + (ptrdiff_t)j * m->nx + i, a = u - (float)i, b = v - (float)j;
    return (p[0] * (1 - a) + p[1] * a) * (1 - b) + (p[m->nx] * (1 - a) + p[m->nx + 1] * a) * b;
}

// The rows and columns of the picture that may show the map; false for none.
static bool map_on_screen(const gv_canvas *c, const gv_view *view, const shadow_map *m, int box[4]) {
    float x0 = INFINITY, y0 = INFINITY, x1 = -INFINITY, y1 = -INFINITY;
    int behind = 0;
    for (int k = 0; k < 4; k++) {
        float p[3] = {m->x0 + (k & 1 ? (float)m->nx * m->cell : 0), 0, m->z0 + (k & 2 ? (float)m->nz * m->cell : 0)}, q[3];
        for (int i = 0; i < 3; i++) q[i] = view->R[3 * i] * p[0] + view->R[3 * i + 2] * p[2] + view->t[i];
        behind += q[2] < near_m;
        float u = (view->K[0] * q[0] + view->K[1] * q[1]) / q[2] + view->K[2], v = view->K[4] * q[1] / q[2] + view->K[5];
        x0 = fminf(x0, u), x1 = fmaxf(x1, u), y0 = fminf(y0, v), y1 = fmaxf(y1, v);
    }
    if (behind == 4) return false;
    if (behind) x0 = y0 = 0, x1 = y1 = INFINITY;
    box[0] = (int)fmaxf(x0, 0), box[1] = (int)fmaxf(y0, 0);
    box[2] = (int)fminf(x1 + 1, (float)(c->width - 1)), box[3] = (int)fminf(y1 + 1, (float)(c->height - 1));
    return x0 < (float)c->width && y0 < (float)c->height && x1 >= 0 && y1 >= 0;
}

static void lay_shadow(const gv_canvas *c, uint8_t *rgb, int stride, const gv_view *view, const shadow_map *m,
                       const float ray[9], const float eye[3]) {
    int box[4];
    if (!map_on_screen(c, view, m, box)) return;
#pragma omp parallel for schedule(dynamic, 8)
    for (int y = box[1]; y <= box[3]; y++)
        for (int x = box[0]; x <= box[2]; x++) {
            float d[3];
            for (int i = 0; i < 3; i++) d[i] = ray[3 * i] * (float)x + ray[3 * i + 1] * (float)y + ray[3 * i + 2];
            float t = -eye[1] / d[1];
            float u = (eye[0] + t * d[0] - m->x0) / m->cell - 0.5f, v = (eye[2] + t * d[2] - m->z0) / m->cell - 0.5f;
            if (!(t > 0 && u >= 0 && v >= 0 && u < (float)(m->nx - 1) && v < (float)(m->nz - 1))) continue;
            float hidden = bilinear(m, m->hidden, u, v), close = bilinear(m, m->close, u, v);
            if (hidden + close < 0.004f) continue;
            float k = (1 - 0.55f * hidden) * (1 - 0.60f * fminf(close, 1));
            uint8_t *p = rgb + (ptrdiff_t)y * stride + 3 * (ptrdiff_t)x;
            for (int i = 0; i < 3; i++) p[i] = gv_encode(c, c->linear[p[i]] * (k + 0.04f * (1 - k) * (float)(i - 1)));
        }
}

// Coverage of a thick line from a to b, added to the mask as the larger of both.
static void draw_segment(const gv_canvas *c, uint8_t *mask, const float a[2], const float b[2], float half, int box[4]) {
    const float edge = half + 0.5f;
    float x0 = fmaxf(fminf(a[0], b[0]) - edge, 0), x1 = fminf(fmaxf(a[0], b[0]) + edge, (float)(c->width - 1));
    float y0 = fmaxf(fminf(a[1], b[1]) - edge, 0), y1 = fminf(fmaxf(a[1], b[1]) + edge, (float)(c->height - 1));
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
            float cover = edge - hypotf(px - k * dx, py - k * dy);
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
        if (joined) draw_segment(c, mask, last, at, fmaxf(0.6f, fminf(0.011f * view->K[0] / q[2], 12)), box);
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
    if (!prepare_background(c, view, ray, eye)) return false;
    for (int y = 0; y < c->height; y++)
        memcpy(rgb + (ptrdiff_t)y * stride, (uint8_t *)c->background.data + (size_t)y * c->width * 3, 3 * (size_t)c->width);
    if (npaths > 0 && !gv_buffer_reserve(&c->mask, (size_t)c->width * (size_t)c->height, 1)) return false;
    for (int i = 0; i < npaths; i++) draw_path(c, rgb, stride, view, &paths[i]);
    for (int i = 0; i < n; i++) {
        shadow_map m;
        if (!plan_map(&m, &c->shadow, &meshes[i], lights.key)) continue;
        fill_map(&m, &meshes[i], lights.key);
        blur(&m, m.hidden, 0.022f);
        blur(&m, m.close, 0.030f);
        lay_shadow(c, rgb, stride, view, &m, ray, eye);
    }
    return gv_draw_meshes(c, rgb, stride, view, meshes, n, 1, &lights);
}
