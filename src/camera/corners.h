// corners.h - corners found on a picture and followed from frame to frame.
//
// Corners are Shi-Tomasi (smallest eigenvalue of the gradient matrix), spread evenly by a grid, moved to
// the Foerstner point of their patch so that a change of scale does not shift them. They are followed by
// pyramidal Lucas-Kanade that ignores brightness and contrast, checked backwards, and refined against the patch of
// the frame where they were born so that small errors do not add up.
// Sources: Shi & Tomasi 1994; Foerstner & Guelch 1987; Lucas & Kanade 1981, Bouguet 2001; Baker & Matthews 2004.
#pragma once
#include "base/error.h"
#include "camera/picture.h"
#include <stdbool.h>
#include <stdint.h>

enum { GV_CORNERS_MAX = 400, GV_PATCH = 15, GV_PATCH_STRIDE = 16 };

typedef struct gv_patch { // a template and its steepest-descent weights, [15, 16] with a zero last column
    float value[GV_PATCH * GV_PATCH_STRIDE];
    float gx[GV_PATCH * GV_PATCH_STRIDE], gy[GV_PATCH * GV_PATCH_STRIDE];
    float inv[3];     // inverse of the 2x2 matrix: xx, xy, yy
    float mean, norm; // weighted mean and root sum of squares around it
} gv_patch;

// Builds the template around (x, y) of the plane; false where the patch has too little texture.
bool gv_patch_make(gv_patch *p, const gv_plane *plane, float x, float y);
// Moves (x, y) on the plane to where the template fits best; false when it leaves the picture or diverges.
bool gv_patch_align(const gv_patch *p, const gv_plane *plane, float *x, float *y);
// Normalised correlation of the template with the plane around (x, y), -1..1.
float gv_patch_similarity(const gv_patch *p, const gv_plane *plane, float x, float y);

typedef struct gv_corner {
    int32_t id;   // increasing in the order of birth
    float x, y;   // level-0 px
    int age;      // frames since birth
    int anchored; // frames since its template was taken
} gv_corner;

typedef struct gv_corners {
    int count;
    int32_t next_id;
    gv_corner track[GV_CORNERS_MAX]; // ascending ids
    gv_patch *anchor;                // [GV_CORNERS_MAX]
    float *response;                 // [height, width] corner strength, scratch
    float *work;                     // [6, width + 2 PAD] scratch
    int width, height;
} gv_corners;

gv_status gv_corners_alloc(gv_corners *t, int width, int height, gv_error *err);
void gv_corners_free(gv_corners *t);
// Fills empty cells of the grid with new corners outside of the boxes [nboxes, 4] (x1, y1, x2, y2, level-0 px).
void gv_corners_detect(gv_corners *t, const gv_picture *picture, const float (*boxes)[4], int nboxes);
// Follows every track of `t` from one picture to another; `out` (allocated for the same size) receives those that
// survive outside of the boxes.
void gv_corners_follow(const gv_corners *t, const gv_picture *from, const gv_picture *to, const float (*boxes)[4],
                       int nboxes, gv_corners *out);
// Searches what is at (x0, y0) of one picture in another, from (*x, *y) on, and checks it backwards. Pictures from the
// same lens, turned against each other by no more than a few degrees about the line of sight.
bool gv_corner_search(const gv_picture *from, float x0, float y0, const gv_picture *to, float *x, float *y);
