// crop.h - the person's square cut out of a frame, as ViTPose and HMR2.0 take it (SPEC-perception.md 3).
//
// Boxes bbx_xys are centre x, centre y and side in pixels of the FULL-SIZE frame, pixel centres at integers.
// `factor` is the size of the frame given here over the full size: 0.5 for frames decoded at half size, as the
// reference does for videos, 1 for single pictures. Pixels beyond the frame are black. A frame that is much
// larger than the crop is blurred a little first.
#pragma once
#include "nn/crop_pixel.h"
#include "perception/image.h"

enum { GV_CROP_SIDE = 256, GV_CROP_ROWS = 256, GV_CROP_COLUMNS = 192, GV_CROP_LEFT = 32 };

// bytes [256, 256, 3] RGB: output pixel (i, j) reads the frame at centre - side/2 + (i, j) side/255, bilinear with
// weights of 1/32, rounded to 8 bits. Bit for bit OpenCV 4.6's warpAffine. The box must be finite.
void gv_crop_bytes(uint8_t *bytes, const gv_image *frame, const float bbx_xys[3], float factor);

// crop [3, 256, 192]: columns 32 ... 223 of those bytes, (p / 255 - mean) / std per channel.
void gv_crop_person(float *crop, const gv_image *frame, const float bbx_xys[3], float factor);

// The second half of gv_crop_person alone.
void gv_crop_normalise(float *crop, const uint8_t *bytes);

// What gv_crop_bytes does for each pixel of its output, for those who do it elsewhere.
gv_crop_square gv_crop_square_of(const float bbx_xys[3], float factor);
extern const float gv_crop_mean[3], gv_crop_deviation[3]; // of gv_crop_normalise
