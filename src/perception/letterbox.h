// letterbox.h - a picture brought to the detector's size: scaled, then padded (SPEC-perception.md 6.1).
#pragma once
#include "nn/device.h"
#include "perception/image.h"

typedef struct gv_letterbox {
    int width, height;             // of the result: 640 on the longer side, multiples of 32
    int inner_width, inner_height; // of the scaled picture in it
    int left, top;                 // where that begins
    double gain;                   // min(height / picture height, width / picture width)
} gv_letterbox;

// For a picture of up to 65536 pixels a side; a strip so thin that nothing is left of it keeps one pixel.
gv_letterbox gv_letterbox_for(int width, int height);

// Fills planes [3, l.height, l.width] (red, green, blue). Bilinear with half-pixel centres and 11-bit weights, each
// result an 8-bit number; exactly half the size: the mean of 2x2 pixels. Agrees with OpenCV 4's
// resize(INTER_LINEAR) bit for bit. The rest is 114.
void gv_letterbox_apply(uint8_t *planes, gv_letterbox l, const gv_image *image);
// The same on a device, as numbers from 0 to 1: y [l.height, l.width, 3] of a picture there (crop.h).
void gv_letterbox_queue(gv_device *d, float *y, gv_letterbox l, const gv_image *there);
