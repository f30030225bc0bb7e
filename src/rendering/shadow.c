// shadow.c - small maps of a body as a far light sees it: what is hidden on the body itself and on the
// ground.
#include "nn/vec8.h"
#include "rendering/raster.h"

#include <math.h>
#include <string.h>

enum { MOST_CELLS = 208 }; // a side
static const float finest_m = 0.010f, margin_m = 0.15f, nothing = -1e30f;
static const float contact_m = 0.11f; // height at which the body's closeness has fallen to exp(-1/2)

static float dot(const float *a, const float *b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void aim(gv_map *m, const float l[3]) {
    *m = (gv_map){0};
    const float *x = fabsf(l[0]) < 0.8f ? (const float[3]){1, 0, 0} : (const float[3]){0, 0, 1};
    float k = dot(x, l), n = sqrtf(1 - k * k);
    for (int i = 0; i < 3; i++) m->l[i] = l[i], m->s[i] = (x[i] - k * l[i]) / n;
    for (int i = 0; i < 3; i++) // l x s = q
        m->q[i] = l[(i + 1) % 3] * m->s[(i + 2) % 3] - l[(i + 2) % 3] * m->s[(i + 1) % 3];
}

// Size and place of the grid; none where the mesh is empty, not finite or without end.
static void plan(gv_map *m, const gv_mesh *mesh) {
    float lo[2] = {INFINITY, INFINITY}, hi[2] = {-INFINITY, -INFINITY};
    for (int v = 0; v < mesh->vertices; v++) {
        const float *p = mesh->position + 3 * (ptrdiff_t)v, at[2] = {dot(p, m->s), dot(p, m->q)};
        if (!(fabsf(at[0]) < 1e6f && fabsf(at[1]) < 1e6f)) return;
        for (int i = 0; i < 2; i++) lo[i] = at[i] < lo[i] ? at[i] : lo[i], hi[i] = at[i] > hi[i] ? at[i] : hi[i];
    }
    float eu = hi[0] - lo[0] + 2 * margin_m, ev = hi[1] - lo[1] + 2 * margin_m;
    if (!(eu < 1e4f && ev < 1e4f)) return;
    m->cell = (eu > ev ? eu : ev) / (MOST_CELLS - 2);
    if (m->cell < finest_m) m->cell = finest_m;
    m->per_cell = 1 / m->cell;
    m->nx = (int)ceilf(eu / m->cell) + 1;
    m->ny = (int)ceilf(ev / m->cell) + 1;
    m->u0 = lo[0] - margin_m;
    m->v0 = lo[1] - margin_m;
}

// A triangle facing the light, corners (u, v, value) with u and v in cells; a cell keeps the largest value.
static void fill(const gv_map *m, const float *a, const float *b, const float *c) {
    const float ux = b[0] - a[0], uy = b[1] - a[1], vx = c[0] - a[0], vy = c[1] - a[1], area = ux * vy - uy * vx;
    if (!(area > 0)) return;
    float x0 = a[0], x1 = a[0], y0 = a[1], y1 = a[1];
    for (int k = 0; k < 2; k++) {
        const float *p = k ? c : b;
        x0 = p[0] < x0 ? p[0] : x0, x1 = p[0] > x1 ? p[0] : x1, y0 = p[1] < y0 ? p[1] : y0, y1 = p[1] > y1 ? p[1] : y1;
    }
    const int i0 = x0 > 0 ? (int)ceilf(x0) : 0, j0 = y0 > 0 ? (int)ceilf(y0) : 0;
    const int i1 = x1 < (float)(m->nx - 1) ? (int)x1 : m->nx - 1, j1 = y1 < (float)(m->ny - 1) ? (int)y1 : m->ny - 1;
    for (int j = j0; j <= j1; j++)
        for (int i = i0; i <= i1; i++) {
            const float px = (float)i - a[0], py = (float)j - a[1];
            const float s = px * vy - py * vx, t = ux * py - uy * px; // barycentric x area
            if (s < 0 || t < 0 || s + t > area) continue;
            const float value = a[2] + (s * (b[2] - a[2]) + t * (c[2] - a[2])) / area;
            float *cell = m->value + (ptrdiff_t)j * m->nx + i;
            *cell = value > *cell ? value : *cell;
        }
}

// Draws the mesh; `at` is scratch [V, 3]. Contact: the value is the closeness to the ground instead of p . l.
static void draw(const gv_map *m, const gv_mesh *mesh, float *at, bool contact) {
    const size_t cells = (size_t)m->nx * (size_t)m->ny;
    for (size_t i = 0; i < cells; i++) m->value[i] = contact ? 0 : nothing;
    for (int v = 0; v < mesh->vertices; v++) {
        const float *p = mesh->position + 3 * (ptrdiff_t)v, h = p[1] > 0 ? p[1] / contact_m : 0;
        at[3 * v] = (dot(p, m->s) - m->u0) * m->per_cell;
        at[3 * v + 1] = (dot(p, m->q) - m->v0) * m->per_cell;
        at[3 * v + 2] = !contact ? dot(p, m->l) : h < 3.3f ? expf(-0.5f * h * h) : 0;
    }
    for (int f = 0; f < mesh->triangles; f++) {
        const int32_t *face = mesh->face + 3 * (ptrdiff_t)f;
        bool good = true;
        for (int i = 0; i < 3; i++) good = good && face[i] >= 0 && face[i] < mesh->vertices;
        if (!good || (contact && at[3 * face[0] + 2] <= 0)) continue;
        fill(m, at + 3 * (ptrdiff_t)face[0], at + 3 * (ptrdiff_t)face[1], at + 3 * (ptrdiff_t)face[2]);
    }
}

// Running mean over 2 r + 1 cells along each row; zero outside.
static void mean_rows(const gv_map *m, const float *in, float *out, int r) {
    const float k = 1 / (float)(2 * r + 1);
    for (int j = 0; j < m->ny; j++) {
        const float *a = in + (ptrdiff_t)j * m->nx;
        float *b = out + (ptrdiff_t)j * m->nx, sum = 0;
        for (int i = 0; i < r && i < m->nx; i++) sum += a[i];
        for (int i = 0; i < m->nx; i++) {
            sum += (i + r < m->nx ? a[i + r] : 0) - (i > r ? a[i - r - 1] : 0);
            b[i] = sum * k;
        }
    }
}

// The same along columns, a whole row of sums at a time.
static void mean_columns(const gv_map *m, const float *in, float *out, int r) {
    float sum[MOST_CELLS + 2] = {0};
    const float k = 1 / (float)(2 * r + 1);
    for (int j = -r; j < m->ny; j++) {
        const float *add = in + (ptrdiff_t)(j + r) * m->nx, *drop = in + (ptrdiff_t)(j - r - 1) * m->nx;
        float *b = out + (ptrdiff_t)j * m->nx;
        if (j + r < m->ny)
            for (int i = 0; i < m->nx; i++) sum[i] += add[i];
        if (j > r)
            for (int i = 0; i < m->nx; i++) sum[i] -= drop[i];
        if (j >= 0)
            for (int i = 0; i < m->nx; i++) b[i] = sum[i] * k;
    }
}

// Three running means each way, near a Gaussian; `scratch` is as large as the map.
static void blur(const gv_map *m, float *scratch, float radius_m) {
    int r = (int)lroundf(radius_m / m->cell);
    if (r < 1) r = 1;
    for (int i = 0; i < 3; i++) {
        mean_rows(m, m->value, scratch, r);
        mean_columns(m, scratch, m->value, r);
    }
}

static void cast_one(gv_body_shadow *b, const gv_mesh *mesh, float *cells, float *at, bool contact) {
    const size_t most = (size_t)MOST_CELLS * MOST_CELLS;
    if (contact) {
        b->close.value = cells;
        draw(&b->close, mesh, at, true);
        blur(&b->close, cells + most, 0.028f);
        return;
    }
    b->depth.value = cells;
    draw(&b->depth, mesh, at, false);
    if (!b->hidden.nx) return;
    b->hidden.value = cells + most;
    for (int i = 0; i < b->depth.nx * b->depth.ny; i++) b->hidden.value[i] = cells[i] > nothing;
    blur(&b->hidden, cells + 2 * most, 0.022f);
}

static const gv_mesh *caster(const gv_mesh *m) {
    return m->caster ? m->caster : m;
}

bool gv_cast_shadows(gv_canvas *c, const gv_mesh *meshes, int n, const float light[3], bool on_ground) {
    static const float below[3] = {0, -1, 0};
    const size_t most = (size_t)MOST_CELLS * MOST_CELLS;
    size_t each = 0; // floats: three maps for the light, two for the contact, and scratch for the vertices of both
    for (int i = 0; i < n; i++)
        each = (size_t)caster(&meshes[i])->vertices > each ? (size_t)caster(&meshes[i])->vertices : each;
    each = 5 * most + 6 * each;
    if (!gv_buffer_reserve(&c->body, (size_t)n, sizeof(gv_body_shadow)) ||
        !gv_buffer_reserve(&c->shadow, (size_t)n * each, sizeof(float)))
        return false;
    gv_body_shadow *body = c->body.data;
    const int kinds = on_ground ? 2 : 1;
#pragma omp parallel for schedule(dynamic, 1)
    for (int k = 0; k < kinds * n; k++) {
        const gv_mesh *mesh = caster(&meshes[k / kinds]);
        gv_body_shadow *b = &body[k / kinds];
        float *cells = (float *)c->shadow.data + (size_t)(k / kinds) * each, *at = cells + 5 * most;
        if (k % kinds) {
            aim(&b->close, below);
            plan(&b->close, mesh);
            if (b->close.nx) cast_one(b, mesh, cells + 3 * most, at + 3 * (ptrdiff_t)mesh->vertices, true);
            continue;
        }
        aim(&b->depth, light);
        plan(&b->depth, mesh);
        b->hidden = on_ground ? b->depth : (gv_map){0};
        if (!on_ground) b->close = (gv_map){0};
        if (b->depth.nx) cast_one(b, mesh, cells, at, false);
    }
    return true;
}

// Cell and fractions of a point; false outside.
static bool find(const gv_map *m, const float p[3], ptrdiff_t *at, float *a, float *b) {
    float u = (dot(p, m->s) - m->u0) * m->per_cell, v = (dot(p, m->q) - m->v0) * m->per_cell;
    if (!(u >= 0 && v >= 0 && u < (float)(m->nx - 1) && v < (float)(m->ny - 1))) return false;
    int i = (int)u, j = (int)v;
    *at = (ptrdiff_t)j * m->nx + i;
    *a = u - (float)i;
    *b = v - (float)j;
    return true;
}

float gv_map_at(const gv_map *m, const float p[3]) {
    ptrdiff_t at;
    float a, b;
    if (!find(m, p, &at, &a, &b)) return 0;
    const float *v = m->value + at;
    return (v[0] * (1 - a) + v[1] * a) * (1 - b) + (v[m->nx] * (1 - a) + v[m->nx + 1] * a) * b;
}

float gv_map_lit(const gv_map *m, const float p[3], const float n[3]) {
    const float lift = 0.012f, slack = 0.008f,
                soft = 0.022f; // m: off the surface, ignored, from lit to hidden
    const float d = dot(p, m->l) + lift * dot(n, m->l) + slack + soft;
    const float u = (dot(p, m->s) + lift * dot(n, m->s) - m->u0) * m->per_cell - 1.5f;
    const float v = (dot(p, m->q) + lift * dot(n, m->q) - m->v0) * m->per_cell - 1.5f;
    if (!(u >= 0 && v >= 0 && u < (float)(m->nx - 5) && v < (float)(m->ny - 5))) return 1;
    const int i = (int)u, j = (int)v;
    const float *at = m->value + (ptrdiff_t)j * m->nx + i, a = u - (float)i, b = v - (float)j;
    // a box of 4 x 4 cells with soft borders: 5 x 5 cells; the three beyond in each row have no weight
    const v8 across = {1 - a, 1, 1, 1, a, 0, 0, 0};
    v8 sum = {0};
    for (int y = 0; y < 5; y++) {
        const v8 k = (d - v8_load(at + y * m->nx)) * (1 / soft);
        sum += v8_min(v8_max(k, v8_set(0)), v8_set(1)) * (y == 0 ? 1 - b : y == 4 ? b : 1);
    }
    sum *= across;
    return (sum[0] + sum[1] + sum[2] + sum[3] + sum[4]) * (1.0f / 16);
}
