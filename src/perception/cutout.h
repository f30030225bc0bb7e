// cutout.h - people painted out of a picture, so that the networks see who is beside them.
//
// BlazePose was made for one person: its detector reports only the clearest of two who stand together, and its
// landmarks are drawn to whoever is nearest. Painting a known body over with the colour of its surroundings
// leaves the other one alone in the picture. A canvas is a copy of parts of one frame to paint on.
#pragma once
#include "perception/figure.h"

typedef struct gv_cutout gv_cutout;
gv_cutout *gv_cutout_create(int width, int height); // NULL: no memory
void gv_cutout_destroy(gv_cutout *c);               // accepts NULL
gv_image gv_cutout_image(const gv_cutout *c);

// Copies the part of the frame within x0, y0, x1, y1 (px, may reach beyond it).
void gv_cutout_copy(gv_cutout *c, const gv_image *frame, float x0, float y0, float x1, float y1);

// Paints over a figure moved by dx, dy, with the mean colour of the frame to the left and right of its box. Pixels
// of the body `keep` (NULL = none) stay.
typedef struct gv_moved_figure {
    const gv_figure *figure;
    float dx, dy;
} gv_moved_figure;
void gv_cutout_paint_over(gv_cutout *c, const gv_image *frame, gv_moved_figure body, const gv_moved_figure *keep);

// Share of f's 13 body points that lie where `body` would be painted over, 0..1: those it says it sees (visibility over
// one half), or all where these are fewer than four.
float gv_cutout_share(const gv_figure *f, const gv_figure *body);
