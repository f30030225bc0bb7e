// blaze_sample.h - cuts a rotated rectangle out of an image, as input of BlazePose's networks
// (SPEC-perception 7.4).
#pragma once
#include "perception/blazepose.h"

// size at most 256. out [size, size, 3] RGB, value p / 255 * (hi - lo) + lo. Output pixel (i, j) has its
// centre at the fraction
// ((i + 0.5) / size, (j + 0.5) / size) of the region; bilinear between pixel centres, no antialiasing.
// Beyond the image: black, or with `repeat` the nearest edge pixel. The region must be finite.
void gv_blaze_sample(float *out, int size, const gv_image *image, const gv_region *region, float lo, float hi,
                     bool repeat);
