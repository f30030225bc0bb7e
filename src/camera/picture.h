// picture.h - the reduced grey picture and its pyramid, on which corners are found and followed.
//
// A frame is turned grey and area-averaged so that its longer side is at most GV_PICTURE_SIDE; each
// further level halves it. Values are 0..255 in float, with a replicated border of GV_PICTURE_PAD pixels so that
// patches may stick out. Coordinates count from the picture's corner (centre of the first pixel 0.5), so a
// point (x, y) of the frame lies at (x / scale_x, y / scale_y) in level 0 and at half of that in level 1.
#pragma once
#include "base/error.h"
#include <stdint.h>

enum { GV_PICTURE_SIDE = 640, GV_PICTURE_PAD = 24, GV_PICTURE_LEVELS = 5 };

typedef struct gv_plane {
    int width, height, stride;
    float *data; // pixel (0, 0); pixels from -PAD to width + PAD - 1 are readable, rows alike
} gv_plane;

typedef struct gv_picture {
    int levels;
    gv_plane level[GV_PICTURE_LEVELS];
    float *memory;
} gv_picture;

typedef struct gv_reducer { // how a frame becomes level 0
    int width, height;      // the frame's, px
    int reduced_width, reduced_height;
    double scale_x, scale_y; // frame px per reduced px, >= 1
    float *columns;          // [3 width] one output row's vertical sums
    float *luma;             // [width + taps] the same, grey
    float *weights;          // [reduced_width, taps] share of each column from `first` on
    int *first, taps;        // [reduced_width]
} gv_reducer;

gv_status gv_reducer_init(gv_reducer *r, int width, int height, gv_error *err);
void gv_reducer_free(gv_reducer *r);
gv_status gv_picture_alloc(gv_picture *p, int width, int height, gv_error *err); // of level 0
void gv_picture_free(gv_picture *p);
// rgb [height, stride] bytes; fills every level.
void gv_picture_fill(gv_picture *p, const gv_reducer *r, const uint8_t *rgb, int stride);
// The same from grey [height, width] of level 0.
void gv_picture_fill_grey(gv_picture *p, const uint8_t *grey);
