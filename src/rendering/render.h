// render.h - a small software renderer for shaded bodies: over a video frame, or in a world with a ground grid.
//
// Triangles with a z-buffer, per-pixel lighting from interpolated normals, anti-aliased edges, soft contact shadow on the
// ground. Cameras are pinholes, OpenCV axes (x right, y down, z forward), K in px with pixel centres at integers.
#pragma once
#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct gv_view { // x_cam = R x_world + t
    float K[9], R[9], t[3];
} gv_view;

typedef struct gv_mesh { // borrowed
    int vertices, triangles;
    const float *position; // [V, 3] m, world
    const float *normal;   // [V, 3] unit
    const int32_t *face;   // [F, 3] counter-clockwise seen from outside
    float colour[3];       // linear RGB 0..1
} gv_mesh;

typedef struct gv_canvas gv_canvas;
gv_canvas *gv_canvas_create(int width, int height); // NULL when memory is exhausted
void gv_canvas_destroy(gv_canvas *c);

// Draws meshes over an RGB picture (in place). alpha 0..1 is the opacity of the bodies.
void gv_render_over(gv_canvas *c, uint8_t *rgb, int stride, const gv_view *view, const gv_mesh *meshes, int n, float alpha);

// Draws a picture of the world: sky, ground grid at y = 0 (1 m squares), shadows, meshes, optional paths on the ground.
typedef struct gv_path { const float *points; int n; float colour[3]; } gv_path; // [n, 3] world, drawn as a thin line
void gv_render_world(gv_canvas *c, uint8_t *rgb, int stride, const gv_view *view, const gv_mesh *meshes, int n,
                     const gv_path *paths, int npaths);

// A fixed outside view that keeps the axis-aligned box lo .. hi (m, world) in the picture.
gv_view gv_view_outside(const float lo[3], const float hi[3], int width, int height);
const float *gv_palette(int person); // [3] linear RGB, distinct per person
