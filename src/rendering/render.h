// render.h - a small software renderer for shaded bodies: over a video frame, or in a world with a ground grid.
//
// Triangles against a z-buffer of four samples per pixel, lit at their vertices (key, fill and rim light, a
// sky-and-ground term, a soft highlight), blended in linear light. Cameras are pinholes, OpenCV axes (x right,
// y down, z forward), K in px with pixel centres at integers. Parts nearer than 5 cm or behind the camera are cut off.
// Pictures are RGB, 8 bits sRGB, rows of `stride` bytes. The same picture on any number of threads.
#pragma once
#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct gv_view { // x_cam = R x_world + t
    float K[9], R[9], t[3];
} gv_view;

typedef struct gv_mesh { // borrowed
    int vertices, triangles;
    const float *position;        // [V, 3] m, world
    const float *normal;          // [V, 3] unit
    const int32_t *face;          // [F, 3] counter-clockwise seen from outside; only front sides are drawn
    float colour[3];              // linear RGB 0..1
    const struct gv_mesh *caster; // a simpler surface of the same body that casts its shadows; NULL: it does so itself
} gv_mesh;

// Holds the picture's size and the buffers that are kept from frame to frame. One thread at a time.
typedef struct gv_canvas gv_canvas;
gv_canvas *gv_canvas_create(int width, int height); // px, 1 .. 16384; NULL when memory is exhausted
void gv_canvas_destroy(gv_canvas *c);               // accepts NULL

// Draws meshes over an RGB picture (in place). alpha 0..1 is the opacity of the bodies; where bodies overlap only the
// nearest is seen. Light comes with the camera. False when memory is exhausted (the picture is then unchanged).
bool gv_render_over(gv_canvas *c, uint8_t *rgb, int stride, const gv_view *view, const gv_mesh *meshes, int n,
                    float alpha);

// Draws a picture of the world (y up): sky, ground grid at y = 0 (1 m squares, every fifth line stronger, the first
// metre of +x red and of +z blue), shadows, paths on the ground, meshes. The empty world is kept in the canvas while
// the view stays. False when memory is exhausted.
typedef struct gv_path { // borrowed
    const float *points; // [n, 3] m, world; drawn at y = 0
    int n;
    float colour[3]; // linear RGB
} gv_path;
bool gv_render_world(gv_canvas *c, uint8_t *rgb, int stride, const gv_view *view, const gv_mesh *meshes, int n,
                     const gv_path *paths, int npaths);

// A fixed outside view that keeps the axis-aligned box lo .. hi (m, world) in the picture: from somewhat above, from
// the side on which the box is wide.
gv_view gv_view_outside(const float lo[3], const float hi[3], int width, int height);

const float *gv_palette(int person); // [3] linear RGB, distinct for 12 persons, then again from the start

// Writes one line of text with its top left corner at (x, y): a 5 x 7 font of capitals, digits and . , : - + / % ( ) =
// #, `scale` px per dot, 6 dots per letter, `opacity` 0..1. Small letters become capitals, others a blank.
void gv_draw_text(uint8_t *rgb, int width, int height, int stride, int x, int y, int scale, const uint8_t colour[3],
                  float opacity, const char *text);
int gv_text_width(int scale, const char *text); // px

// Puts two pictures of one height beside each other: out is [height, out_stride] with left_width + right_width pixels.
void gv_compose_side_by_side(uint8_t *out, int out_stride, const uint8_t *left, int left_width, int left_stride,
                             const uint8_t *right, int right_width, int right_stride, int height);
