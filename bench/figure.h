// figure.h - a person made of capsules, for tests and benchmarks of the renderer that need no body file.
#pragma once
#include "rendering/render.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct figure {
    gv_mesh mesh;
    float *position, *normal;
    int32_t *face;
} figure;

// A closed capsule from a to b with radius r, `round` points around and 2 `rings` rings; appended to the
// mesh.
static inline void figure_capsule(figure *f, const float a[3], const float b[3], float r, int round, int rings) {
    float axis[3], side[3] = {1, 0, 0}, third[3], length = 0;
    for (int i = 0; i < 3; i++) axis[i] = b[i] - a[i], length += axis[i] * axis[i];
    for (int i = 0; i < 3; i++) axis[i] /= sqrtf(length);
    if (fabsf(axis[0]) > 0.7f) side[0] = 0, side[2] = 1;
    for (int pass = 0; pass < 2; pass++) { // third = axis x side, then side = third x axis
        const float *p = pass ? third : axis, *q = pass ? axis : side;
        float c[3] = {p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]};
        float n = sqrtf(c[0] * c[0] + c[1] * c[1] + c[2] * c[2]);
        for (int i = 0; i < 3; i++) (pass ? side : third)[i] = c[i] / n;
    }
    const int first = f->mesh.vertices, rows = 2 * rings;
    for (int j = 0; j < rows; j++)
        for (int k = 0; k < round; k++) {
            const float pi = 3.14159265f;
            float lat = pi * ((float)(j < rings ? j : j - 1) / (float)(rows - 2) - 0.5f),
                  lon = 2 * pi * (float)k / (float)round;
            const float *end = j < rings ? a : b;
            for (int i = 0; i < 3; i++) {
                float n = sinf(lat) * axis[i] + cosf(lat) * (cosf(lon) * side[i] + sinf(lon) * third[i]);
                f->normal[3 * f->mesh.vertices + i] = n;
                f->position[3 * f->mesh.vertices + i] = end[i] + r * n;
            }
            f->mesh.vertices++;
        }
    for (int j = 0; j + 1 < rows; j++)
        for (int k = 0; k < round; k++) {
            int32_t at = first + j * round + k, next = first + j * round + (k + 1) % round;
            const int32_t six[6] = {at, at + round, next, next, at + round, next + round};
            memcpy(f->face + 3 * f->mesh.triangles, six, sizeof six);
            f->mesh.triangles += 2;
        }
}

// About 800 k vertices with round = 24 k, standing on y = 0 at (x, z).
static inline figure figure_create(float x, float z, int round, int rings, const float *colour) {
    static const float bones[12][7] = {// from, to, radius
                                       {0, 1.60f, 0, 0, 1.66f, 0.01f, 0.095f},
                                       {0, 0.98f, 0, 0, 1.36f, 0, 0.14f},
                                       {0.10f, 0.92f, 0, 0.12f, 0.52f, 0.06f, 0.08f},
                                       {0.12f, 0.50f, 0.06f, 0.12f, 0.09f, -0.02f, 0.055f},
                                       {-0.10f, 0.92f, 0, -0.12f, 0.52f, -0.02f, 0.08f},
                                       {-0.12f, 0.50f, -0.02f, -0.12f, 0.09f, -0.12f, 0.055f},
                                       {0.18f, 1.40f, 0, 0.30f, 1.14f, -0.04f, 0.05f},
                                       {0.30f, 1.12f, -0.04f, 0.36f, 0.92f, 0.10f, 0.04f},
                                       {-0.18f, 1.40f, 0, -0.44f, 1.36f, 0.06f, 0.05f},
                                       {-0.45f, 1.36f, 0.06f, -0.52f, 1.62f, 0.12f, 0.04f},
                                       {0.12f, 0.05f, -0.04f, 0.13f, 0.05f, 0.14f, 0.045f},
                                       {-0.12f, 0.05f, -0.14f, -0.13f, 0.05f, 0.04f, 0.045f}};
    const size_t vertices = 12 * 2 * (size_t)rings * (size_t)round;
    figure f = {.position = calloc(vertices, 12), .normal = calloc(vertices, 12), .face = calloc(2 * vertices, 12)};
    for (int i = 0; i < 12; i++) figure_capsule(&f, bones[i], bones[i] + 3, bones[i][6], round, rings);
    for (int i = 0; i < f.mesh.vertices; i++) f.position[3 * i] += x, f.position[3 * i + 2] += z;
    f.mesh.position = f.position;
    f.mesh.normal = f.normal;
    f.mesh.face = f.face;
    memcpy(f.mesh.colour, colour, sizeof f.mesh.colour);
    return f;
}

static inline void figure_destroy(figure *f) {
    free(f->position);
    free(f->normal);
    free(f->face);
}
