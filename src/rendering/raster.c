// raster.c - triangles to pixels, in tiles, one thread per tile.
//
// A vertex is kept as p = K (R x + t) = (u z, v z, z). For a triangle p0 p1 p2 the three functions
// e_i(u, v) = (p_j x p_k) . (u, v, 1) are linear in the pixel, e_i = b_i det / z with barycentric b_i and
// det = p0 . (p1 x p2), so a sample is inside where no e_i is negative, and sum e_i / det = 1 / z. This needs
// no clipping: a triangle that reaches behind the camera is right too (Olano and Greer, "Triangle Scan
// Conversion using 2D Homogeneous Coordinates", 1997).
//
// Each tile keeps for 4 samples a pixel the nearest 1 / z and its triangle; afterwards every triangle seen in
// a pixel is shaded once, at the middle of its samples. An edge shared by two triangles is computed to
// exactly opposite numbers, so there are no cracks.
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
    int left, top, first; // the tile: its corner, its first entry in the bins
} pass;

typedef struct plane { // a u + b v + c
    double a, b, c;
} plane;

typedef struct tile_samples {
    _Alignas(32) float inverse_z[TILE * TILE * 4];
    _Alignas(32) int32_t entry[TILE * TILE * 4]; // into the tile's bin, -1: none
} tile_samples;

static float least(float a, float b) {
    return a < b ? a : b;
}

static float most(float a, float b) {
    return a > b ? a : b;
}

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
#pragma omp parallel for schedule(static)
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
            x0 = least(x0, at[k][0]), x1 = most(x1, at[k][0]);
            y0 = least(y0, at[k][1]), y1 = most(y1, at[k][1]);
        }
    }
    x0 = most(ceilf(x0 - reach), 0), x1 = least(floorf(x1 + reach), (float)(c->width - 1));
    y0 = most(ceilf(y0 - reach), 0), y1 = least(floorf(y1 + reach), (float)(c->height - 1));
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
    if (!gv_buffer_reserve(&c->bin, (size_t)start[tiles + 1] + 1, sizeof(int)) ||
        !gv_buffer_reserve(&c->plane, (size_t)start[tiles + 1] + 1, sizeof(gv_planes)))
        return false;
    int *bin = c->bin.data;
    for (int i = 0; i < triangles; i++)
        if (t[i].x0 <= t[i].x1)
            for (int y = t[i].y0 / TILE; y <= t[i].y1 / TILE; y++)
                for (int x = t[i].x0 / TILE; x <= t[i].x1 / TILE; x++) bin[start[y * s->tiles_x + x + 1]++] = i;
    return true;
}

static gv_planes tile_planes(const pass *s, const gv_triangle *t) {
    const float *point = s->c->point.data;
    plane e[4];
    double det = edges(e, point + 3 * (ptrdiff_t)t->vertex[0], point + 3 * (ptrdiff_t)t->vertex[1],
                       point + 3 * (ptrdiff_t)t->vertex[2]);
    e[3] =
        (plane){(e[0].a + e[1].a + e[2].a) / det, (e[0].b + e[1].b + e[2].b) / det, (e[0].c + e[1].c + e[2].c) / det};
    gv_planes out;
    for (int i = 0; i < 4; i++) {
        out.a[i] = (float)e[i].a;
        out.b[i] = (float)e[i].b;
        out.c[i] = (float)(e[i].a * s->left + e[i].b * s->top + e[i].c);
    }
    return out;
}

// One entry of the bin into the samples of its tile: two pixels, eight samples at a time.
static void raster(const pass *s, tile_samples *out, int entry) {
    const gv_canvas *c = s->c;
    const gv_triangle *t = (const gv_triangle *)c->triangle.data + ((const int *)c->bin.data)[s->first + entry];
    gv_planes *p = (gv_planes *)c->plane.data + s->first + entry;
    *p = tile_planes(s, t);
    const int x0 = (t->x0 > s->left ? t->x0 - s->left : 0) & ~1, y0 = t->y0 > s->top ? t->y0 - s->top : 0;
    const int x1 = t->x1 < s->left + TILE - 1 ? t->x1 - s->left : TILE - 1;
    const int y1 = t->y1 < s->top + TILE - 1 ? t->y1 - s->top : TILE - 1;
    const v8f zero = {0}, nearest = zero + 1 / near_m;
    const v8f dx = {sample_x[0],     sample_x[1],     sample_x[2],     sample_x[3],
                    sample_x[0] + 1, sample_x[1] + 1, sample_x[2] + 1, sample_x[3] + 1};
    const v8f dy = {sample_y[0], sample_y[1], sample_y[2], sample_y[3],
                    sample_y[0], sample_y[1], sample_y[2], sample_y[3]};
    v8f step[4], start[4];
    for (int i = 0; i < 4; i++) {
        start[i] = p->a[i] * (dx + (float)x0) + p->b[i] * dy + p->c[i];
        step[i] = zero + 2 * p->a[i];
    }
    const v8i id = (v8i){0} + entry;
    for (int y = y0; y <= y1; y++) {
        v8f row[4];
        for (int i = 0; i < 4; i++) row[i] = start[i] + p->b[i] * (float)y;
        v8f *z = (v8f *)(out->inverse_z + 4 * (y * TILE + x0));
        v8i *who = (v8i *)(out->entry + 4 * (y * TILE + x0));
        for (int x = x0; x <= x1; x += 2, z++, who++) {
            v8i in = (row[0] >= zero) & (row[1] >= zero) & (row[2] >= zero) & (row[3] > *z) & (row[3] <= nearest);
            *z = (v8f)((in & (v8i)row[3]) | (~in & (v8i)*z));
            *who = (in & id) | (~in & *who);
            for (int i = 0; i < 4; i++) row[i] += step[i];
        }
    }
}

static float dot(const float *a, const float *b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static float positive(float x) {
    return x > 0 ? x : 0;
}

// The pieces of triangles seen in one row of a tile, by field so that the lighting runs in vectors.
enum { MOST = TILE * 4 };
typedef struct fragments {
    int count, entry[MOST], pixel[MOST]; // the pixel's column in the tile
    _Alignas(32) float x[MOST], y[MOST],
        weight[MOST]; // px in the tile, the middle of its samples; how many samples
    float normal[3][MOST], view[3][MOST], at[3][MOST], depth[MOST], lit[MOST], colour[3][MOST];
} fragments;

static void collect(fragments *f, const int32_t *who, int columns, int y) {
    f->count = 0;
    for (int x = 0; x < columns; x++, who += 4) {
        if (who[0] >= 0 && who[0] == who[1] && who[0] == who[2] && who[0] == who[3]) { // most pixels: one triangle
            const int n = f->count++;
            f->entry[n] = who[0], f->pixel[n] = x, f->weight[n] = 4;
            f->x[n] = (float)x, f->y[n] = (float)y;
            continue;
        }
        int left = (who[0] >= 0) | (who[1] >= 0) << 1 | (who[2] >= 0) << 2 | (who[3] >= 0) << 3;
        for (int i = 0; left; i++) {
            if (!(left >> i & 1)) continue;
            float dx = 0, dy = 0, k = 0;
            for (int j = i; j < 4; j++)
                if (who[j] == who[i]) dx += sample_x[j], dy += sample_y[j], k += 1, left &= ~(1 << j);
            const int n = f->count++;
            f->entry[n] = who[i];
            f->pixel[n] = x;
            f->weight[n] = k;
            f->x[n] = (float)x + dx / k;
            f->y[n] = (float)y + dy / k;
        }
    }
}

// Normals, places, and what of the key light arrives.
static void interpolate(const pass *s, fragments *f) {
    const gv_canvas *c = s->c;
    const gv_planes *planes = (const gv_planes *)c->plane.data + s->first;
    const gv_triangle *triangles = c->triangle.data;
    const int *bin = (const int *)c->bin.data + s->first;
    const float *normals = c->normal.data;
    for (int k = 0; k < f->count; k++) {
        const gv_planes *e = &planes[f->entry[k]];
        const gv_triangle *t = &triangles[bin[f->entry[k]]];
        float w[3];
        for (int i = 0; i < 3; i++) w[i] = positive(e->a[i] * f->x[k] + e->b[i] * f->y[k] + e->c[i]);
        const float *p = normals + 3 * (ptrdiff_t)t->vertex[0], *q = normals + 3 * (ptrdiff_t)t->vertex[1];
        const float *r = normals + 3 * (ptrdiff_t)t->vertex[2];
        for (int i = 0; i < 3; i++)
            f->normal[i][k] = w[0] * p[i] + w[1] * q[i] + w[2] * r[i]; // the scale goes out below
        f->depth[k] = e->a[3] * f->x[k] + e->b[3] * f->y[k] + e->c[3];
        for (int i = 0; i < 3; i++) f->colour[i][k] = s->meshes[t->mesh].colour[i];
    }
    for (int k = 0; k < f->count; k++) {
        const float x = f->normal[0][k], y = f->normal[1][k], z = f->normal[2][k];
        const float scale = 1 / sqrtf(x * x + y * y + z * z + 1e-30f);
        f->normal[0][k] = x * scale, f->normal[1][k] = y * scale, f->normal[2][k] = z * scale;
        f->depth[k] = 1 / f->depth[k];
    }
    const float *ray = s->ray;
    for (int i = 0; i < 3; i++) {
        const float base = ray[3 * i] * (float)s->left + ray[3 * i + 1] * (float)s->top + ray[3 * i + 2];
        for (int k = 0; k < f->count; k++) {
            float d = base + ray[3 * i] * f->x[k] + ray[3 * i + 1] * f->y[k];
            f->view[i][k] = -d;
            f->at[i][k] = s->eye[i] + f->depth[k] * d;
        }
    }
    const gv_body_shadow *shadow = c->body.data;
    for (int k = 0; k < f->count; k++) {
        const float at[3] = {f->at[0][k], f->at[1][k], f->at[2][k]};
        const float n[3] = {f->normal[0][k], f->normal[1][k], f->normal[2][k]};
        f->lit[k] =
            dot(n, s->lights->key) > -0.15f ? gv_map_lit(&shadow[triangles[bin[f->entry[k]]].mesh].depth, at, n) : 0;
    }
}

static v8f positive8(v8f x) {
    return (v8f)((x > 0) & (v8i)x);
}

static v8f most1(v8f x) {
    const v8f one = x * 0 + 1;
    const v8i over = x > one;
    return (v8f)((over & (v8i)one) | (~over & (v8i)x));
}

static v8f root8(v8f x) {
    v8f out;
    for (int i = 0; i < 8; i++) out[i] = sqrtf(x[i]);
    return out;
}

// Light of a matt body with a soft highlight, linear, into f->colour; eight fragments at a time.
static void light(const gv_lights *l, fragments *f) {
    static const float sky[3] = {0.24f, 0.275f, 0.33f}, ground[3] = {0.12f, 0.105f, 0.10f};
    static const float key[3] = {1.00f, 0.95f, 0.88f}, fill[3] = {0.12f, 0.145f, 0.19f}, rim[3] = {0.55f, 0.60f, 0.66f};
    const float near_floor = l->floor > 0 ? 0.45f : 0, per_m = l->floor > 0 ? 1 / l->floor : 0;
    for (int k = 0; k < f->count; k += 8) {
#define EIGHT(field) (*(v8f *)&(field)[k])
        const v8f n0 = EIGHT(f->normal[0]), n1 = EIGHT(f->normal[1]), n2 = EIGHT(f->normal[2]), lit = EIGHT(f->lit);
        v8f v0 = EIGHT(f->view[0]), v1 = EIGHT(f->view[1]), v2 = EIGHT(f->view[2]);
        const v8f lv = 1 / root8(v0 * v0 + v1 * v1 + v2 * v2);
        v0 *= lv, v1 *= lv, v2 *= lv;
        const v8f up = 0.5f + 0.5f * (n0 * l->up[0] + n1 * l->up[1] + n2 * l->up[2]);
        // close to the floor the sky is half hidden and the floor lies in shadow
        const v8f low = 1 - most1(positive8(EIGHT(f->at[1]) * per_m)), open = 1 - near_floor * low * low;
        v8f d = positive8((n0 * l->key[0] + n1 * l->key[1] + n2 * l->key[2] + 0.15f) * (1 / 1.15f));
        d *= (0.30f + 0.70f * d) * lit; // a soft edge between light and shade
        const v8f e = positive8(n0 * l->fill[0] + n1 * l->fill[1] + n2 * l->fill[2]) * open;
        const v8f grazing = 1 - positive8(n0 * v0 + n1 * v1 + n2 * v2);
        const v8f back = positive8(n0 * l->rim[0] + n1 * l->rim[1] + n2 * l->rim[2] + 0.35f);
        const v8f r = grazing * grazing * grazing * back * open;
        const v8f h0 = l->key[0] + v0, h1 = l->key[1] + v1,
                  h2 = l->key[2] + v2; // half way between eye and light
        v8f s = positive8(n0 * h0 + n1 * h1 + n2 * h2) / root8(h0 * h0 + h1 * h1 + h2 * h2 + 1e-12f);
        s *= s, s *= s, s *= s, s *= s; // exponent 16
        s = 0.04f * (s + s * s) * lit;
        for (int i = 0; i < 3; i++) {
            const v8f c = EIGHT(f->colour[i]), ambient = (ground[i] + (sky[i] - ground[i]) * up) * open;
            const v8f sum = c * (ambient + key[i] * d + fill[i] * e) + rim[i] * r * (0.35f + 0.65f * c) + key[i] * s;
            EIGHT(f->colour[i]) = most1(sum);
        }
#undef EIGHT
    }
}

// Blends the fragments into a row of pixels, each by its share of the four samples.
static void blend(const pass *s, const fragments *f, uint8_t *row) {
    for (int k = 0; k < f->count;) {
        uint8_t *pixel = row + 3 * f->pixel[k];
        float sum[3] = {0}, covered = 0;
        const int here = f->pixel[k];
        for (; k < f->count && f->pixel[k] == here; k++) {
            for (int i = 0; i < 3; i++) sum[i] += f->colour[i][k] * f->weight[k];
            covered += f->weight[k];
        }
        const float share = 0.25f * s->alpha, keep = 1 - share * covered;
        for (int i = 0; i < 3; i++) pixel[i] = gv_encode(s->c, s->c->linear[pixel[i]] * keep + sum[i] * share);
    }
}

static void draw_tile(const pass *all, int tile, tile_samples *samples) {
    const gv_canvas *c = all->c;
    const int *start = c->bin_start.data, entries = start[tile + 1] - start[tile];
    if (!entries) return;
    pass s = *all;
    s.first = start[tile];
    s.left = tile % s.tiles_x * TILE, s.top = tile / s.tiles_x * TILE;
    memset(samples->inverse_z, 0, sizeof samples->inverse_z);
    memset(samples->entry, 0xff, sizeof samples->entry);
    for (int i = 0; i < entries; i++) raster(&s, samples, i);
    const int right = s.left + TILE < c->width ? s.left + TILE : c->width;
    const int bottom = s.top + TILE < c->height ? s.top + TILE : c->height;
    fragments f = {0};
    for (int y = s.top; y < bottom; y++) {
        collect(&f, samples->entry + 4 * (y - s.top) * TILE, right - s.left, y - s.top);
        if (!f.count) continue;
        interpolate(&s, &f);
        light(s.lights, &f);
        blend(&s, &f, s.rgb + (ptrdiff_t)y * s.stride + 3 * (ptrdiff_t)s.left);
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
        project(view, &meshes[i], (float *)c->point.data + 3 * (ptrdiff_t)v,
                (float *)c->normal.data + 3 * (ptrdiff_t)v);
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
    return gv_cast_shadows(c, meshes, n, l.key, false) && gv_draw_meshes(c, rgb, stride, view, meshes, n, alpha, &l);
}
