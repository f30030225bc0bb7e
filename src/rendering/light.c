// light.c - the light that bodies send to the eye, at their vertices: key, fill and rim light, sky and ground, a soft
// highlight. Vertices of a body are 1 to 3 cm apart and its normals are smooth, so that what lies between them can be
// interpolated.
#include "rendering/raster.h"

#include "nn/vec8.h"

static const float sky[3] = {0.24f, 0.275f, 0.33f}, ground[3] = {0.12f, 0.105f, 0.10f};
static const float key[3] = {1.00f, 0.95f, 0.88f}, fill[3] = {0.12f, 0.145f, 0.19f}, rim[3] = {0.55f, 0.60f, 0.66f};

static v8 positive(v8 x) {
    return (v8)((x > 0) & (v8i)x);
}

static v8 most1(v8 x) {
    return v8_min(v8_set(1), x);
}

static v8 along(const v8 n[3], const float d[3]) {
    return n[0] * d[0] + n[1] * d[1] + n[2] * d[2];
}

// Eight matt surfaces of one colour: places, unit normals, share of the key light that arrives, eye.
static void light8(v8 out[3], const gv_lights *l, const float colour[3], const v8 at[3], const v8 n[3], v8 lit,
                   const float eye[3]) {
    const float near_floor = l->floor > 0 ? 0.45f : 0, per_m = l->floor > 0 ? 1 / l->floor : 0;
    v8 v[3], h[3];
    for (int i = 0; i < 3; i++) v[i] = eye[i] - at[i];
    const v8 scale = 1 / v8_sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2] + 1e-12f);
    for (int i = 0; i < 3; i++) v[i] *= scale, h[i] = l->key[i] + v[i]; // half way between eye and light
    // close to the floor the sky is half hidden and the floor lies in shadow
    const v8 up = 0.5f + 0.5f * along(n, l->up), low = 1 - most1(positive(at[1] * per_m));
    const v8 open = 1 - near_floor * low * low;
    v8 d = positive((along(n, l->key) + 0.15f) * (1 / 1.15f));
    d *= (0.30f + 0.70f * d) * lit; // a soft edge between light and shade
    const v8 e = positive(along(n, l->fill)) * open;
    const v8 grazing = 1 - positive(n[0] * v[0] + n[1] * v[1] + n[2] * v[2]);
    const v8 r = grazing * grazing * grazing * positive(along(n, l->rim) + 0.35f) * open;
    v8 s =
        positive(n[0] * h[0] + n[1] * h[1] + n[2] * h[2]) / v8_sqrt(h[0] * h[0] + h[1] * h[1] + h[2] * h[2] + 1e-12f);
    s *= s, s *= s, s *= s, s *= s; // exponent 16
    s = 0.04f * (s + s * s) * lit;
    for (int i = 0; i < 3; i++) {
        const v8 ambient = (ground[i] + (sky[i] - ground[i]) * up) * open;
        const float c = colour[i];
        out[i] = most1(c * (ambient + key[i] * d + fill[i] * e) + rim[i] * (0.35f + 0.65f * c) * r + key[i] * s);
    }
}

void gv_light_vertices(float *shade, const gv_mesh *m, const gv_map *depth, const gv_lights *l, const float eye[3]) {
#pragma omp parallel for schedule(static)
    for (int first = 0; first < m->vertices; first += 8) {
        const int count = m->vertices - first < 8 ? m->vertices - first : 8;
        v8 at[3] = {0}, n[3] = {0}, lit = {0}, out[3];
        for (int k = 0; k < count; k++) {
            const float *p = m->position + 3 * (ptrdiff_t)(first + k), *q = m->normal + 3 * (ptrdiff_t)(first + k);
            for (int i = 0; i < 3; i++) at[i][k] = p[i], n[i][k] = q[i];
            const float facing = q[0] * l->key[0] + q[1] * l->key[1] + q[2] * l->key[2];
            lit[k] = facing > -0.15f ? gv_map_lit(depth, p, q) : 0;
        }
        light8(out, l, m->colour, at, n, lit, eye);
        float *to = shade + 4 * (ptrdiff_t)first;
        for (int k = 0; k < count; k++, to += 4)
            for (int i = 0; i < 3; i++) to[i] = out[i][k];
    }
}
