// camera_scene.h - small renderer for camera tests: rectangles and a far surrounding with procedural texture,
// seen by a pinhole camera with known pose, motion blur, rolling shutter and noise.
//
// World: x right, y down, z forward, metres; x_cam = R (x_world - c). The texture is value noise in three
// octaves; octaves finer than a pixel fade out, so nothing flickers.
#pragma once
#include "geometry/so3.h"
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SCENE_RECTS = 48 };

typedef struct scene_rect {
    double o[3], u[3], v[3]; // corner and the two edges
    double cell;             // m, size of the coarsest texture cell
    float bright, contrast;  // grey = bright + contrast * noise (-1..1)
    uint32_t seed;
    bool ellipse; // the inscribed ellipse only
} scene_rect;

typedef struct scene {
    int rects;
    scene_rect rect[SCENE_RECTS];
    float sky_bright, sky_contrast;
    double sky_cell; // of a far cube with half side 1
    int width, height;
    double focal;
    double shutter; // fraction of a frame that the exposure lasts
    double readout; // fraction of a frame between the first and the last row (rolling shutter)
    float noise;    // grey levels
    int samples;    // per pixel, spread over the exposure: 1, 2 or 4
    void (*pose)(double t, double R[9], double c[3]); // t in frames
    void (*animate)(struct scene *s, double t);       // moves the foreground; may be NULL
} scene;

static inline uint32_t scene_hash(uint32_t x) {
    x ^= x >> 16, x *= 0x7feb352du, x ^= x >> 15, x *= 0x846ca68bu, x ^= x >> 16;
    return x;
}

static inline float scene_lattice(int x, int y, int z, uint32_t seed) {
    uint32_t h = scene_hash((uint32_t)x * 73856093u ^ (uint32_t)y * 19349663u ^ (uint32_t)z * 83492791u ^ seed);
    return (float)(h >> 8) * (2.f / 16777216.f) - 1;
}

// Smooth noise with unit cells on a plane; slices z of the same seed are different planes.
static inline float scene_noise2(float x, float y, int z, uint32_t seed) {
    float fx = floorf(x), fy = floorf(y), a = x - fx, b = y - fy;
    int ix = (int)fx, iy = (int)fy;
    a = a * a * (3 - 2 * a), b = b * b * (3 - 2 * b);
    float top = scene_lattice(ix, iy, z, seed) * (1 - a) + scene_lattice(ix + 1, iy, z, seed) * a;
    float bottom = scene_lattice(ix, iy + 1, z, seed) * (1 - a) + scene_lattice(ix + 1, iy + 1, z, seed) * a;
    return top + b * (bottom - top);
}

// footprint: size of a pixel in units of the coarsest cell
static inline float scene_texture(double x, double y, int z, double footprint, uint32_t seed) {
    float sum = 0, k = 1, amplitude = 0.5f;
    for (int o = 0; o < 3; o++, k *= 2.3f, amplitude *= 0.8f) {
        float fade = 1.6f - 2 * (float)footprint * k;
        if (fade <= 0) break;
        sum += amplitude * fminf(1, fade) * scene_noise2((float)x * k, (float)y * k, z, seed + (uint32_t)o);
    }
    return tanhf(2.5f * sum); // edges, as real things have them
}

static inline float scene_ray(const scene *s, const double c[3], const double d[3]) {
    double nearest = 1e9, hu = 0, hv = 0;
    const scene_rect *hit = NULL;
    for (int i = 0; i < s->rects; i++) {
        const scene_rect *r = &s->rect[i];
        double n[3], oc[3], p[3];
        gv_cross3(n, r->u, r->v);
        double nd = gv_dot3(n, d);
        if (fabs(nd) < 1e-12) continue;
        for (int k = 0; k < 3; k++) oc[k] = r->o[k] - c[k];
        double t = gv_dot3(n, oc) / nd;
        if (t < 0.05 || t >= nearest) continue;
        for (int k = 0; k < 3; k++) p[k] = t * d[k] - oc[k];
        double a = gv_dot3(p, r->u) / gv_dot3(r->u, r->u), b = gv_dot3(p, r->v) / gv_dot3(r->v, r->v);
        if (a < 0 || b < 0 || a > 1 || b > 1) continue;
        if (r->ellipse && (a - 0.5) * (a - 0.5) + (b - 0.5) * (b - 0.5) > 0.25) continue;
        nearest = t, hit = r, hu = a, hv = b;
    }
    if (!hit) {
        int k = fabs(d[1]) > fmax(fabs(d[0]), fabs(d[2])) ? 1 : fabs(d[0]) > fabs(d[2]) ? 0 : 2; // a face of a far cube
        double n = fabs(d[k]) * s->sky_cell;
        return s->sky_bright + s->sky_contrast * scene_texture(d[(k + 1) % 3] / n, d[(k + 2) % 3] / n,
                                                               2 * k + (d[k] > 0), 1 / (s->focal * s->sky_cell), 7);
    }
    double lu = sqrt(gv_dot3(hit->u, hit->u)) / hit->cell, lv = sqrt(gv_dot3(hit->v, hit->v)) / hit->cell;
    return hit->bright +
           hit->contrast * scene_texture(hu * lu, hv * lv, 0, nearest / (s->focal * hit->cell), hit->seed);
}

static inline void scene_render(scene *s, int frame, uint8_t *rgb) {
    static const double jx[] = {0.125, 0.625, 0.375, 0.875}, jy[] = {0.375, 0.125, 0.875, 0.625};
    float *row = malloc(sizeof *row * s->width);
    uint32_t state = scene_hash((uint32_t)frame + 99);
    for (int y = 0; y < s->height; y++) {
        memset(row, 0, sizeof *row * s->width);
        for (int k = 0; k < s->samples; k++) {
            double t =
                frame + s->readout * (y - s->height / 2.) / s->height + s->shutter * ((k + 0.5) / s->samples - 0.5);
            double R[9], c[3], v[3], d[3];
            s->pose(t, R, c);
            if (s->animate) s->animate(s, t);
            for (int x = 0; x < s->width; x++) {
                v[0] = (x + jx[k] - s->width / 2.) / s->focal, v[1] = (y + jy[k] - s->height / 2.) / s->focal, v[2] = 1;
                gv_so3_apply_t(d, R, v);
                row[x] += scene_ray(s, c, d) * (1.f / (float)s->samples);
            }
        }
        for (int x = 0; x < s->width; x++) {
            float g = -2;
            for (int k = 0; k < 4; k++) state = state * 1664525u + 1013904223u, g += (float)(state >> 8) / 16777216.f;
            g = row[x] + g * s->noise * 1.73f;
            uint8_t b = (uint8_t)(g < 0 ? 0 : g > 255 ? 255 : g);
            uint8_t *p = rgb + 3 * ((long)y * s->width + x);
            p[0] = b, p[1] = b, p[2] = (uint8_t)(b * 7 / 8);
        }
    }
    free(row);
}

static inline scene_rect *scene_add(scene *s, double x, double y, double z, double ux, double uy, double uz, double vx,
                                    double vy, double vz, double cell, float bright) {
    scene_rect *r = &s->rect[s->rects++];
    *r = (scene_rect){.o = {x, y, z},
                      .u = {ux, uy, uz},
                      .v = {vx, vy, vz},
                      .cell = cell,
                      .bright = bright,
                      .contrast = 70,
                      .seed = 1000u + (uint32_t)s->rects * 77u};
    return r;
}

static inline scene scene_empty(int width, int height, double focal) {
    return (scene){.width = width,
                   .height = height,
                   .focal = focal,
                   .shutter = 0.3,
                   .noise = 2,
                   .sky_bright = 120,
                   .sky_contrast = 90,
                   .sky_cell = 0.06,
                   .samples = 4};
}

// Floor, two walls, an end wall and boxes at many depths: a street 60 m long, 7 m wide, camera 1.6 m high.
static inline void scene_street(scene *s) {
    scene_add(s, -3.5, 1.6, -5, 7, 0, 0, 0, 0, 65, 0.25, 100);
    scene_add(s, -3.5, -4, -5, 0, 0, 65, 0, 5.6, 0, 0.5, 80);
    scene_add(s, 3.5, -4, -5, 0, 0, 65, 0, 5.6, 0, 0.5, 140);
    for (int i = 0; i < 12; i++) {
        double side = i % 2 ? 1.2 + 0.1 * i : -2.2 - 0.08 * i, z = 2.5 + 2.1 * i;
        scene_add(s, side, 0.6 - 0.05 * i, z, 0.8, 0, 0.2, 0, 1.0 + 0.05 * i, 0, 0.08, 60.f + 12.f * (float)i);
    }
}

// Sum of sines: smooth, irregular, repeatable.
static inline double scene_wobble(double t, double period, double phase) {
    return 0.6 * sin(6.2831853 * t / period + phase) + 0.4 * sin(6.2831853 * t / (period * 0.437) + 2.1 * phase);
}

static inline void scene_rotation(double R[9], double pitch, double yaw, double roll) { // degrees; Rz Rx Ry
    double k = 0.017453292519943295, Y[9], X[9], Z[9], T[9];
    gv_so3_exp(Y, (double[]){0, -k * yaw, 0}), gv_so3_exp(X, (double[]){-k * pitch, 0, 0}),
        gv_so3_exp(Z, (double[]){0, 0, k * roll});
    gv_so3_mul(T, X, Y), gv_so3_mul(R, Z, T);
}
