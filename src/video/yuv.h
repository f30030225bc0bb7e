// yuv.h - RGB pictures to what encoders take: planar Y'CbCr of BT.709, limited range, one chroma sample for 2 x 2
// pixels.
#pragma once
#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

// Converts [height, stride] RGB, 3 bytes a pixel; odd sizes are padded by one column or row, the last one repeated.
// Planes: luma [height', pitch[0]], chroma blue and red [height' / 2, pitch[1]], [height' / 2, pitch[2]] with height'
// rounded up to even; chroma is the mean of its 2 x 2 pixels. Each value is the nearest whole number but for one in
// some hundred (half a unit + 0.01). False when memory is exhausted. Source of the constants: ITU-R BT.709, 3.2 to 3.5.
bool gv_yuv420_from_rgb(uint8_t *const plane[3], const int pitch[3], const uint8_t *rgb, int stride, int width,
                        int height);
