// raster.h - what the files of the renderer share: the canvas, the lights, the triangle pass.
#pragma once
#include "rendering/render.h"
#include <stddef.h>

typedef struct gv_triangle { // in the picture
    int32_t vertex[3];       // into gv_canvas.point
    int32_t mesh;
    int16_t x0, y0, x1, y1; // px it may touch, inclusive; x0 > x1: nothing
} gv_triangle;

typedef struct gv_buffer { // memory that only grows
    void *data;
    size_t bytes;
} gv_buffer;

struct gv_canvas {
    int width, height;
    float linear[256];    // sRGB code -> linear light
    uint8_t srgb[4097];   // linear light * 4096 -> sRGB code
    gv_buffer point;      // [vertices, 3] float: K (R x + t), that is pixel x depth, pixel y depth, depth
    gv_buffer shade;      // [vertices, 4] float: linear RGB that leaves a vertex towards the eye
    gv_buffer triangle;   // gv_triangle
    gv_buffer bin_start;  // [tiles + 1] int
    gv_buffer bin;        // int: triangles of tile 0, tile 1, ... in their order
    gv_buffer background; // [height, width, 3] the world without people, seen from background_view
    gv_buffer shades;     // uint32: colours of the empty world, by what a pixel sees (ground.c)
    gv_buffer mask;       // [height, width] coverage of a path, zero between calls
    gv_buffer plane;      // gv_planes of each entry of bin
    gv_buffer body;       // gv_body_shadow of each mesh
    gv_buffer shadow;     // float: their maps
    gv_view background_view;
    bool background_valid;
};

typedef struct gv_planes { // of a triangle in a tile: a x + b y + c from the tile's corner; 0..2 edges, 3: 1
                           // / depth
    _Alignas(16) float a[4], b[4], c[4];
} gv_planes;

typedef struct gv_lights { // directions are unit, world, towards the light
    float key[3], fill[3], rim[3], up[3];
    float floor; // > 0: bodies stand on y = 0 and take less light within this many metres of it
} gv_lights;

// A map of one body on a grid across a direction l: cell (i, j) has its middle at (i, j) cell + (u0, v0)
// along s and q.
typedef struct gv_map {
    int nx, ny;             // 0: nothing there
    float s[3], q[3], l[3]; // unit, right-handed: s x q = l
    float u0, v0, cell;     // m
    float per_cell;         // 1 / cell
    float *value;           // [ny, nx]
} gv_map;

typedef struct gv_body_shadow {
    gv_map depth;  // along the key light: the highest p . l of the body, -1e30 where it is not
    gv_map hidden; // the same grid: share of the key light that the body takes from what lies beyond, softened
    gv_map close;  // seen from below: 1 where the body touches the ground, 0 from some 30 cm above, softened
} gv_body_shadow;

bool gv_buffer_reserve(gv_buffer *b, size_t count, size_t size);

// [3, 3]: pixel (x, y, 1) -> world direction with depth 1, that is R' K^-1; and the camera's place.
void gv_view_rays(const gv_view *v, float ray[9], float eye[3]);

// Fills canvas->background for the view, unless it has it.
bool gv_prepare_background(gv_canvas *c, const gv_view *view, const float ray[9], const float eye[3]);

// Linear light to an sRGB code; not a number is black.
static inline uint8_t gv_encode(const gv_canvas *c, float light) {
    return c->srgb[(int)((light > 0 ? light < 1 ? light : 1 : 0) * 4096 + 0.5f)];
}

// Light that leaves each vertex towards the eye: shade [V, 4], linear RGB 0..1. depth: of the key light's shadow.
void gv_light_vertices(float *shade, const gv_mesh *m, const gv_map *depth, const gv_lights *l, const float eye[3]);

// Draws the meshes into the picture with opacity alpha.
bool gv_draw_meshes(gv_canvas *c, uint8_t *rgb, int stride, const gv_view *view, const gv_mesh *meshes, int n,
                    float alpha, const gv_lights *lights);

// Fills canvas->body with the shadows of each mesh; those on the ground only where asked for.
bool gv_cast_shadows(gv_canvas *c, const gv_mesh *meshes, int n, const float light[3], bool on_ground);

// Bilinear value at world point p; 0 outside.
float gv_map_at(const gv_map *m, const float p[3]);

// Share 0..1 of the key light that reaches p on the body itself, n its normal.
float gv_map_lit(const gv_map *depth, const float p[3], const float n[3]);
