// raster.c - triangles to pixels, in tiles, one thread per tile.
//
// A vertex is kept as p = K (R x + t) = (u z, v z, z). For a triangle p0 p1 p2 the three functions
// e_i(u, v) = (p_j x p_k) . (u, v, 1) are linear in the pixel, e_i = b_i det / z with barycentric b_i and
// det = p0 . (p1 x p2), so a sample is inside where no e_i is negative, and sum e_i / det = 1 / z. This needs
// no clipping: a triangle that reaches behind the camera is right too (Olano and Greer, "Triangle Scan
// Conversion using 2D Homogeneous Coordinates", 1997).
//
// Each tile keeps for 4 samples a pixel the nearest 1 / z and its triangle; afterwards every triangle seen in
// a pixel is shaded once, at the middle of its samples, with its vertices' light (light.c). An edge shared by two
// triangles is computed to exactly opposite numbers, so there are no cracks.
#include "nn/vec8.h"
#include "rendering/raster.h"

#include <math.h>
#include <string.h>

enum { TILE = 32 };
static const float near_m = 0.05f;
static const float sample_x[4] = {-0.125f, 0.375f, -0.375f, 0.125f}, sample_y[4] = {-0.375f, -0.125f, 0.125f, 0.375f};
static const float reach = 0.375f; // of the outermost sample from the pixel's centre

typedef float v4f __attribute__((vector_size(16)));
typedef int32_t v4i __attribute__((vector_size(16)));

typedef struct pass { // one call
    gv_canvas *c;
    float alpha;
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

static void project(const gv_view *v, const gv_mesh *m, float *point) {
    float P[12];
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++)
            P[4 * i + j] = v->K[3 * i] * v->R[j] + v->K[3 * i + 1] * v->R[3 + j] + v->K[3 * i + 2] * v->R[6 + j];
        P[4 * i + 3] = v->K[3 * i] * v->t[0] + v->K[3 * i + 1] * v->t[1] + v->K[3 * i + 2] * v->t[2];
    }
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
    const v8 zero = {0}, nearest = zero + 1 / near_m;
    const v8 dx = {sample_x[0],     sample_x[1],     sample_x[2],     sample_x[3],
                   sample_x[0] + 1, sample_x[1] + 1, sample_x[2] + 1, sample_x[3] + 1};
    const v8 dy = {sample_y[0], sample_y[1], sample_y[2], sample_y[3],
                   sample_y[0], sample_y[1], sample_y[2], sample_y[3]};
    v8 step[4], start[4];
    for (int i = 0; i < 4; i++) {
        start[i] = p->a[i] * (dx + (float)x0) + p->b[i] * dy + p->c[i];
        step[i] = zero + 2 * p->a[i];
    }
    const v8i id = (v8i){0} + entry;
    for (int y = y0; y <= y1; y++) {
        v8 row[4];
        for (int i = 0; i < 4; i++) row[i] = start[i] + p->b[i] * (float)y;
        v8 *z = (v8 *)(out->inverse_z + 4 * (y * TILE + x0));
        v8i *who = (v8i *)(out->entry + 4 * (y * TILE + x0));
        for (int x = x0; x <= x1; x += 2, z++, who++) {
            v8i in = (row[0] >= zero) & (row[1] >= zero) & (row[2] >= zero) & (row[3] > *z) & (row[3] <= nearest);
            *z = v8_select(in, row[3], *z);
            *who = (in & id) | (~in & *who);
            for (int i = 0; i < 4; i++) row[i] += step[i];
        }
    }
}

// The sum of colour x samples of a row's pixels, and how many samples of four are covered.
static v4f shade(const pass *s, int entry, float x, float y) {
    const gv_canvas *c = s->c;
    const gv_planes *e = (const gv_planes *)c->plane.data + s->first + entry;
    const gv_triangle *t = (const gv_triangle *)c->triangle.data + ((const int *)c->bin.data)[s->first + entry];
    const v4f *colour = c->shade.data;
    v4f w = *(const v4f *)e->a * x + *(const v4f *)e->b * y + *(const v4f *)e->c;
    w = (v4f)((w > 0) & (v4i)w);
    const float scale = 1 / (w[0] + w[1] + w[2] + 1e-30f);
    return (w[0] * colour[t->vertex[0]] + w[1] * colour[t->vertex[1]] + w[2] * colour[t->vertex[2]]) * scale;
}

// A pixel of which `who` are the samples' triangles, each shaded at the middle of its samples.
static v4f shade_edge(const pass *s, const int32_t *who, int x, int y, float *covered) {
    v4f sum = {0};
    int left = (who[0] >= 0) | (who[1] >= 0) << 1 | (who[2] >= 0) << 2 | (who[3] >= 0) << 3;
    *covered = (float)__builtin_popcount((unsigned)left);
    for (int i = 0; left; i++) {
        if (!(left >> i & 1)) continue;
        float dx = 0, dy = 0, k = 0;
        for (int j = i; j < 4; j++)
            if (who[j] == who[i]) dx += sample_x[j], dy += sample_y[j], k += 1, left &= ~(1 << j);
        sum += k * shade(s, who[i], (float)x + dx / k, (float)y + dy / k);
    }
    return sum;
}

static void blend_row(const pass *s, const int32_t *who, uint8_t *pixel, int columns, int y) {
    const gv_canvas *c = s->c;
    for (int x = 0; x < columns; x++, who += 4, pixel += 3) {
        const v4i id = *(const v4i *)who;
        v4f sum;
        float covered = 4;
        if ((id[0] & id[1] & id[2] & id[3]) == -1) continue;
        if (id[0] == id[1] && id[0] == id[2] && id[0] == id[3]) // most pixels: one triangle
            sum = 4 * shade(s, id[0], (float)x, (float)y);
        else
            sum = shade_edge(s, who, x, y, &covered);
        const float share = 0.25f * s->alpha, keep = 1 - share * covered;
        for (int i = 0; i < 3; i++) pixel[i] = gv_encode(c, c->linear[pixel[i]] * keep + sum[i] * share);
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
    for (int y = s.top; y < bottom; y++)
        blend_row(&s, samples->entry + 4 * (y - s.top) * TILE, s.rgb + (ptrdiff_t)y * s.stride + 3 * (ptrdiff_t)s.left,
                  right - s.left, y - s.top);
}

bool gv_draw_meshes(gv_canvas *c, uint8_t *rgb, int stride, const gv_view *view, const gv_mesh *meshes, int n,
                    float alpha, const gv_lights *lights) {
    size_t vertices = 0, triangles = 0;
    for (int i = 0; i < n; i++) vertices += (size_t)meshes[i].vertices, triangles += (size_t)meshes[i].triangles;
    if (vertices > INT32_MAX / 3 || triangles > INT32_MAX / 3) return false;
    if (!gv_buffer_reserve(&c->point, vertices, 3 * sizeof(float)) ||
        !gv_buffer_reserve(&c->shade, vertices, 4 * sizeof(float)) ||
        !gv_buffer_reserve(&c->triangle, triangles, sizeof(gv_triangle)))
        return false;
    pass s = {.c = c, .alpha = alpha, .rgb = rgb, .stride = stride};
    float ray[9], eye[3];
    s.tiles_x = (c->width + TILE - 1) / TILE;
    s.tiles_y = (c->height + TILE - 1) / TILE;
    gv_view_rays(view, ray, eye);
    int v = 0, t = 0;
    for (int i = 0; i < n; i++) {
        project(view, &meshes[i], (float *)c->point.data + 3 * (ptrdiff_t)v);
        gv_light_vertices((float *)c->shade.data + 4 * (ptrdiff_t)v, &meshes[i],
                          &((const gv_body_shadow *)c->body.data)[i].depth, lights, eye);
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
