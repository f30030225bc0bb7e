// turn.h - the camera's rotation while it happens, for cameras that move.
//
// Corners outside of the people are followed, and the rotation from a keyframe to now is the one that most of them
// agree with, with or without a translation (camera/relative.h). A new keyframe is taken when half of the corners are
// lost. Without the future there are no windows to solve: errors add up from keyframe to keyframe
// (docs/live.md has figures). Constant memory.
#pragma once
#include "camera/intrinsics.h"
#include <stdint.h>

typedef struct gv_turn gv_turn;
gv_status gv_turn_create(gv_turn **out, int width, int height, const gv_optics *optics, gv_error *err);
void gv_turn_destroy(gv_turn *t); // accepts NULL
// rgb [height, stride]; boxes [n] x0, y0, x1, y1 px are people, left out. R_w2c: of this frame, the identity for the
// first; where the picture does not tell, as before.
void gv_turn_frame(gv_turn *t, const uint8_t *rgb, int stride, const float (*boxes)[4], int n, float R_w2c[9]);
