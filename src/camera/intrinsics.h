// intrinsics.h - where the focal length comes from when nobody measured it.
//
// The camera is a pinhole with its principal point in the picture's middle and square pixels; what is left is
// one number, the focal length in pixels.
#pragma once
#include "base/error.h"
#include <stdbool.h>

// The last resort, as the reference does it: the picture's diagonal, sqrt(w^2 + h^2), a field of view of 53
// degrees along the diagonal. Phones see wider: theirs is 0.6 to 0.75 of it.
double gv_focal_default(int width, int height);

// Focal length of a full-frame (36 x 24 mm) lens with the same diagonal field of view, mm <-> px.
double gv_focal_from_mm(double mm, int width, int height);
double gv_focal_to_mm(double px, int width, int height);

// Reads "1468.6" (px) or "24mm" (35-mm equivalent) as --focal-length takes it. Errors: not a number, or a field of
// view that no lens has (focal length below 0.1 or above 100 diagonals).
gv_status gv_focal_parse(double *px, const char *text, int width, int height, gv_error *err);

// Pinhole matrix [3, 3], row-major, px.
void gv_intrinsics(float K[9], double focal_px, int width, int height);
