// raster.c - triangles to pixels, in tiles, one thread per tile.
//
// A vertex is kept as p = K (R x + t) = (u z, v z, z). For a triangle p0 p1 p2 the three functions
// e_i(u, v) = (p_j x p_k) . (u, v, 1) are linear in the pixel, e_i = b_i det / z with barycentric b_i and
// det = p0 . (p1 x p2), so a sample is inside where no e_i is negative, and sum e_i / det = 1 / z. This needs no
// clipping: a triangle that reaches behind the camera is right too (Olano and Greer, "Triangle Scan Conversion
// using 2D Homogeneous Coordinates", 1997).
//
// Each tile keeps for 4 samples a pixel the nearest 1 / z and its triangle; afterwards every triangle seen in a
// pixel is shaded once, at the middle of its samples. An edge shared by two triangles is computed to exactly
// opposite numbers, so there are no cracks.
#include "rendering/raster.h"

#include <math.h>
#include <string.h>

enum { TILE = 32 };
static const float near_m = 0.05f;
static const float sample_x[4] = {-0.125f, 0.375f, -0.375f, 0.125f}, sample_y[4] = {-0.375f, -0.125f, 0.125f, 0.375f};
static const float reach = 0.375f; // of the outermost sample from the pixel's centre

typedef float v8f __attribute__((vector_size(32)));
typedef int32_t v8i __attribute__((vector_size(32)));

typedef struct pass { // one call
    gv_canvas *c;
    const gv_mesh *meshes;
    const gv_lights *lights;
    float ray[9], eye[3], alpha;
    uint8_t *rgb;
    int stride, tiles_x, tiles_y;
} pass;

typedef struct plane { // a u + b v + c
    double a, b, c;
} plane;

typedef struct tile_samples {
    _Alignas(32) float inverse_z[TILE * TILE * 4];
    _Alignas(32) int32_t triangle[TILE * TILE * 4]; // -1: none
} tile_samples;

static plane edge(const float *p, const float *q) {
    return (plane){(double)p[1] * q[2] - (double)p[2] * q[1], (double)p[2] * q[0] - (double)p[0] * q[2],
                   (double)p[0] * q[1] - (double)p[1] * q[0]};
}

// The three edges so that the inside of a front side is positive; returns det, > 0 for a front side.
static double edges(plane e[3], const float *p0, const float *p1, const float *p2) {
    e[0] = edge(p2, p1);
    e[1] = edge(p0, p2);
    e[2] = edge(p1, p0);
    return p0[0] * e[0].a + p0[1] * e[0].b + p0[2] * e[0].c;
}

static void project(const gv_view *v, const gv_mesh *m, float *point, float *normal) {
    float P[12];
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++)
            P[4 * i + j] = v->K[3 * i] * v->R[j] + v->K[3 * i + 1] * v->R[3 + j] + v->K[3 * i + 2] * v->R[6 + j];
        P[4 * i + 3] = v->K[3 * i] * v->t[0] + v->K[3 * i + 1] * v->t[1] + v->K[3 * i + 2] * v->t[2];
    }
    memcpy(normal, m->normal, 3 * sizeof(float) * (size_t)m->vertices);
    for (int k = 0; k < m->vertices; k++) {
        const float *x = m->position + 3 * (ptrdiff_t)k;
        for (int i = 0; i < 3; i++)
            point[3 * k + i] = P[4 * i] * x[0] + P[4 * i + 1] * x[1] + P[4 * i + 2] * x[2] + P[4 * i + 3];
    }
}

// The pixels a triangle may touch; its part nearer than near_m is left out.
static void bound(const gv_canvas *c, gv_triangle *t, const float *const p[3]) {
    float x0 = INFINITY, y0 = INFINITY, x1 = -INFINITY, y1 = -INFINITY;
    for (int i = 0; i < 3; i++) {
        const float *a = p[i], *b = p[(i + 1) % 3];
        float at[2][2];
        int n = 0;
        if (a[2] >= near_m) at[n][0] = a[0] / a[2], at[n++][1] = a[1] / a[2];
        if ((a[2] >= near_m) != (b[2] >= near_m)) {
            float k = (near_m - a[2]) / (b[2] - a[2]);
            at[n][0] = (a[0] + k * (b[0] - a[0])) / near_m, at[n++][1] = (a[1] + k * (b[1] - a[1])) / near_m;
        }
        for (int k = 0; k < n; k++) {
            x0 = fminf(x0, at[k][0]), x1 = fmaxf(x1, at[k][0]);
            y0 = fminf(y0, at[k][1]), y1 = fmaxf(y1, at[k][1]);
        }
    }
    x0 = fmaxf(ceilf(x0 - reach), 0), x1 = fminf(floorf(x1 + reach), (float)(c->width - 1));
    y0 = fmaxf(ceilf(y0 - reach), 0), y1 = fminf(floorf(y1 + reach), (float)(c->height - 1));
    if (!(x0 <= x1 && y0 <= y1)) return;
    t->x0 = (int16_t)x0, t->x1 = (int16_t)x1, t->y0 = (int16_t)y0, t->y1 = (int16_t)y1;
}

static void set_up(const gv_canvas *c, const gv_mesh *m, int mesh, int first_vertex, gv_triangle *out) {
    const float *point = c->point.data;
#pragma omp parallel for schedule(static)
    for (int f = 0; f < m->triangles; f++) {
        gv_triangle *t = out + f;
        *t = (gv_triangle){.mesh = mesh, .x0 = 1};
        const float *p[3];
        bool good = true;
        for (int i = 0; i < 3; i++) {
            int32_t v = m->face[3 * (ptrdiff_t)f + i];
            good = good && v >= 0 && v < m->vertices;
            t->vertex[i] = good ? first_vertex + v : 0;
            p[i] = point + 3 * (ptrdiff_t)t->vertex[i];
        }
        plane e[3];
        if (good && edges(e, p[0], p[1], p[2]) > 0) bound(c, t, p);
    }
}

// Sorts triangles into tiles, keeping their order.
static bool fill_bins(pass *s, int triangles) {
    gv_canvas *c = s->c;
    const gv_triangle *t = c->triangle.data;
    int tiles = s->tiles_x * s->tiles_y;
    if (!gv_buffer_reserve(&c->bin_start, (size_t)tiles + 2, sizeof(int))) return false;
    int *start = c->bin_start.data;
    memset(start, 0, sizeof(int) * ((size_t)tiles + 2));
    for (int i = 0; i < triangles; i++)
        if (t[i].x0 <= t[i].x1)
            for (int y = t[i].y0 / TILE; y <= t[i].y1 / TILE; y++)
                for (int x = t[i].x0 / TILE; x <= t[i].x1 / TILE; x++) start[y * s->tiles_x + x + 2]++;
    for (int i = 0; i < tiles; i++) start[i + 2] += start[i + 1];
    if (!gv_buffer_reserve(&c->bin, (size_t)start[tiles + 1] + 1, sizeof(int))) return false;
    int *bin = c->bin.data;
    for (int i = 0; i < triangles; i++)
        if (t[i].x0 <= t[i].x1)
            for (int y = t[i].y0 / TILE; y <= t[i].y1 / TILE; y++)
                for (int x = t[i].x0 / TILE; x <= t[i].x1 / TILE; x++) bin[start[y * s->tiles_x + x + 1]++] = i;
    return true;
}

// One triangle into the samples of the tile at (left, top): two pixels, eight samples at a time.
static void raster(const pass *s, tile_samples *out, int left, int top, int id) {
    const gv_triangle *t = (const gv_triangle *)s->c->triangle.data + id;
    const float *point = s->c->point.data;
    plane e[4];
    double det = edges(e, point + 3 * (ptrdiff_t)t->vertex[0], point + 3 * (ptrdiff_t)t->vertex[1],
                       point + 3 * (ptrdiff_t)t->vertex[2]);
    e[3] = (plane){(e[0].a + e[1].a + e[2].a) / det, (e[0].b + e[1].b + e[2].b) / det,
                   (e[0].c + e[1].c + e[2].c) / det};
    const int x0 = (t->x0 > left ? t->x0 - left : 0) & ~1, y0 = t->y0 > top ? t->y0 - top : 0;
    const int x1 = t->x1 < left + TILE - 1 ? t->x1 - left : TILE - 1, y1 = t->y1 < top + TILE - 1 ? t->y1 - top : TILE - 1;
    v8f a[4], start[4];
    float b[4];
    for (int i = 0; i < 4; i++) {
        float ai = (float)e[i].a, bi = (float)e[i].b, ci = (float)(e[i].a * (left + x0) + e[i].b * (top + y0) + e[i].c);
        for (int k = 0; k < 8; k++) start[i][k] = ai * (sample_x[k & 3] + (float)(k >> 2)) + bi * sample_y[k & 3] + ci;
        a[i] = (v8f){0} + 2 * ai;
        b[i] = bi;
    }
    const v8f zero = {0}, nearest = zero + 1 / near_m;
    const v8i id8 = (v8i){0} + id;
    for (int y = y0; y <= y1; y++) {
        v8f row[4];
        for (int i = 0; i < 4; i++) row[i] = start[i] + b[i] * (float)(y - y0);
        v8f *z = (v8f *)(out->inverse_z + 4 * (y * TILE + x0));
        v8i *who = (v8i *)(out->triangle + 4 * (y * TILE + x0));
        for (int x = x0; x <= x1; x += 2, z++, who++) {
            v8i in = (row[0] >= zero) & (row[1] >= zero) & (row[2] >= zero) & (row[3] > *z) & (row[3] <= nearest);
            *z = (v8f)((in & (v8i)row[3]) | (~in & (v8i)*z));
            *who = (in & id8) | (~in & *who);
            for (int i = 0; i < 4; i++) row[i] += a[i];
        }
    }
}

static float dot(const float *a, const float *b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static float positive(float x) {
    return x > 0 ? x : 0;
}

// Light of a matt body with a soft highlight: n unit normal, v unit direction to the eye, height above the floor.
static void light(const gv_lights *l, const float *n, const float *v, float height, const float *colour, float *out) {
    static const float sky[3] = {0.36f, 0.40f, 0.46f}, ground[3] = {0.17f, 0.15f, 0.13f};
    static const float key[3] = {0.92f, 0.87f, 0.80f}, fill[3] = {0.16f, 0.19f, 0.24f}, rim[3] = {0.55f, 0.60f, 0.66f};
    float up = 0.5f + 0.5f * dot(n, l->up), shade = 1;
    if (l->floor > 0) { // close to the ground the sky is half hidden and the ground lies in shadow
        float h = height < 0 ? 0 : height < l->floor ? height / l->floor : 1;
        shade = 0.55f + 0.45f * h * (2 - h);
    }
    float k = positive((dot(n, l->key) + 0.18f) / 1.18f);
    k *= 0.35f + 0.65f * k; // a soft edge between light and shade
    float f = positive(dot(n, l->fill));
    float facing = positive(dot(n, v)), grazing = 1 - facing;
    float r = grazing * grazing * grazing * positive(dot(n, l->rim) + 0.35f);
    float h[3] = {l->key[0] + v[0], l->key[1] + v[1], l->key[2] + v[2]};
    float s = positive(dot(n, h)) / sqrtf(dot(h, h) + 1e-12f);
    s *= s, s *= s, s *= s, s *= s; // exponent 16
    s = 0.5f * s + 0.5f * s * s;
    for (int i = 0; i < 3; i++)
        out[i] = colour[i] * ((ground[i] + (sky[i] - ground[i]) * up) * shade + key[i] * k + fill[i] * f * shade) +
                 rim[i] * r * (0.35f + 0.65f * colour[i]) * shade + 0.09f * s * key[i];
}

// Colour of triangle `id` at pixel (x, y), linear.
static void shade(const pass *s, int id, float x, float y, float out[3]) {
    const gv_triangle *t = (const gv_triangle *)s->c->triangle.data + id;
    const float *point = s->c->point.data, *normal = s->c->normal.data;
    plane e[3];
    double det = edges(e, point + 3 * (ptrdiff_t)t->vertex[0], point + 3 * (ptrdiff_t)t->vertex[1],
                       point + 3 * (ptrdiff_t)t->vertex[2]);
    float n[3] = {0}, b[3], sum = 0;
    for (int i = 0; i < 3; i++) {
        b[i] = positive((float)(e[i].a * x + e[i].b * y + e[i].c));
        sum += b[i];
    }
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++) n[k] += b[i] * normal[3 * (ptrdiff_t)t->vertex[i] + k];
    float v[3];
    for (int i = 0; i < 3; i++) v[i] = -(s->ray[3 * i] * x + s->ray[3 * i + 1] * y + s->ray[3 * i + 2]);
    float height = sum > 0 ? s->eye[1] - v[1] * (float)(det / sum) : 0;
    float ln = 1 / sqrtf(dot(n, n) + 1e-30f), lv = 1 / sqrtf(dot(v, v));
    for (int i = 0; i < 3; i++) n[i] *= ln, v[i] *= lv;
    light(s->lights, n, v, height, s->meshes[t->mesh].colour, out);
}

// Blends the shaded triangles of one pixel into it, each by its share of the four samples.
static void resolve(const pass *s, const int32_t who[4], int x, int y, uint8_t *pixel) {
    const gv_canvas *c = s->c;
    float sum[3] = {0};
    int covered = 0, left = 15;
    for (int i = 0; i < 4; i++) {
        if (who[i] < 0 || !(left >> i & 1)) continue;
        float dx = 0, dy = 0, colour[3];
        int k = 0;
        for (int j = i; j < 4; j++)
            if (who[j] == who[i]) dx += sample_x[j], dy += sample_y[j], k++, left &= ~(1 << j);
        shade(s, who[i], (float)x + dx / (float)k, (float)y + dy / (float)k, colour);
        for (int j = 0; j < 3; j++) sum[j] += fminf(colour[j], 1) * (float)k;
        covered += k;
    }
    float keep = 1 - s->alpha * 0.25f * (float)covered;
    for (int j = 0; j < 3; j++)
        pixel[j] = gv_encode(c, c->linear[pixel[j]] * keep + sum[j] * 0.25f * s->alpha);
}

static void draw_tile(const pass *s, int tile, tile_samples *samples) {
    const gv_canvas *c = s->c;
    const int *start = c->bin_start.data, *bin = c->bin.data;
    const int first = start[tile], last = start[tile + 1];
    if (first == last) return;
    const int left = tile % s->tiles_x * TILE, top = tile / s->tiles_x * TILE;
    memset(samples->inverse_z, 0, sizeof samples->inverse_z);
    memset(samples->triangle, 0xff, sizeof samples->triangle);
    for (int i = first; i < last; i++) raster(s, samples, left, top, bin[i]);
    const int right = left + TILE < c->width ? left + TILE : c->width;
    const int bottom = top + TILE < c->height ? top + TILE : c->height;
    for (int y = top; y < bottom; y++) {
        const int32_t *who = samples->triangle + 4 * (y - top) * TILE;
        for (int x = left; x < right; x++, who += 4)
            if ((who[0] & who[1] & who[2] & who[3]) != -1)
                resolve(s, who, x, y, s->rgb + (ptrdiff_t)y * s->stride + 3 * (ptrdiff_t)x);
    }
}

bool gv_draw_meshes(gv_canvas *c, uint8_t *rgb, int stride, const gv_view *view, const gv_mesh *meshes, int n,
                    float alpha, const gv_lights *lights) {
    size_t vertices = 0, triangles = 0;
    for (int i = 0; i < n; i++) vertices += (size_t)meshes[i].vertices, triangles += (size_t)meshes[i].triangles;
    if (vertices > INT32_MAX / 3 || triangles > INT32_MAX / 3) return false;
    if (!gv_buffer_reserve(&c->point, vertices, 3 * sizeof(float)) ||
        !gv_buffer_reserve(&c->normal, vertices, 3 * sizeof(float)) ||
        !gv_buffer_reserve(&c->triangle, triangles, sizeof(gv_triangle)))
        return false;
    pass s = {.c = c, .meshes = meshes, .lights = lights, .alpha = alpha, .rgb = rgb, .stride = stride};
    s.tiles_x = (c->width + TILE - 1) / TILE;
    s.tiles_y = (c->height + TILE - 1) / TILE;
    gv_view_rays(view, s.ray, s.eye);
    int v = 0, t = 0;
    for (int i = 0; i < n; i++) {
        project(view, &meshes[i], (float *)c->point.data + 3 * (ptrdiff_t)v, (float *)c->normal.data + 3 * (ptrdiff_t)v);
        set_up(c, &meshes[i], i, v, (gv_triangle *)c->triangle.data + t);
        v += meshes[i].vertices;
        t += meshes[i].triangles;
    }
    if (!fill_bins(&s, t)) return false;
#pragma omp parallel
    {
        tile_samples samples;
#pragma omp for schedule(dynamic, 1)
        for (int tile = 0; tile < s.tiles_x * s.tiles_y; tile++) draw_tile(&s, tile, &samples);
    }
    return true;
}

bool gv_render_over(gv_canvas *c, uint8_t *rgb, int stride, const gv_view *view, const gv_mesh *meshes, int n,
                    float alpha) {
    static const float key[3] = {-0.45f, -0.72f, -0.53f}, fill[3] = {0.86f, -0.10f, -0.50f};
    static const float rim[3] = {0.38f, -0.55f, 0.74f}, up[3] = {0, -1, 0};
    gv_lights l = {.floor = 0};
    for (int i = 0; i < 3; i++) // camera to world: R'
        for (int j = 0; j < 3; j++) {
            l.key[i] += view->R[3 * j + i] * key[j];
            l.fill[i] += view->R[3 * j + i] * fill[j];
            l.rim[i] += view->R[3 * j + i] * rim[j];
            l.up[i] += view->R[3 * j + i] * up[j];
        }
    return gv_draw_meshes(c, rgb, stride, view, meshes, n, alpha, &l);
}
