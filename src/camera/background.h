// background.h - how the picture's background moved from one frame to the next: a similarity, in pixels.
//
// For trackers that predict boxes in the picture (SPEC-perception.md 6.6). It needs no intrinsics and takes the
// background as flat: corners outside of the people are followed, and the turn, scale and shift that most of them
// agree with is fitted to those. Deterministic. About 8 ms per frame.
#pragma once
#include "base/error.h"
#include <stdint.h>

typedef struct gv_background gv_background;
gv_status gv_background_create(gv_background **out, int width, int height, gv_error *err);
void gv_background_destroy(gv_background *b); // accepts NULL

// rgb [height, stride]; boxes [n] x0, y0, x1, y1 px are people, left out. warp: where a point of the last frame is
// now, (x', y') = warp (x, y, 1), px counted from the picture's corner. The identity for the first frame, where too
// few corners agree, and where nothing moved by more than a third of a pixel.
void gv_background_frame(gv_background *b, const uint8_t *rgb, int stride, const float (*boxes)[4], int n,
                         double warp[2][3]);
