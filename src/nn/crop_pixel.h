// crop_pixel.h - one pixel of a square that is cut out of a frame, for processor and device alike (SPEC-perception.md
// 3).
//
// The arithmetic of OpenCV 4.6's warpAffine, bit for bit: positions in 1/32 pixels, whole weights; see
// perception/crop.h. This header is C and C++.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#ifndef GV_DEVICE_CODE
#define GV_DEVICE_CODE static inline
#endif

enum { GV_BLUR_TAPS = 5, GV_BLUR_ONE = 256 }; // weights of the blur are in 1/256

// Output pixel (i, j) reads the frame at (x, y) = origin + i across + j down.
typedef struct gv_crop_square {
    double origin[2], across[2], down[2];
    int32_t blur[GV_BLUR_TAPS]; // a row of the Gaussian
    int32_t blurred;            // whether it is used
} gv_crop_square;

typedef struct gv_crop_frame {
    const uint8_t *rgb;
    int width, height, stride;
} gv_crop_frame;

GV_DEVICE_CODE int gv_crop_mirror(int i, int n) { // ... 2 1 | 0 1 2 ... n-1 | n-2 ...
    if (n == 1) return 0;
    while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
    return i;
}

GV_DEVICE_CODE void gv_crop_blurred(int out[3], const gv_crop_frame *f, int x, int y, const int32_t *w) {
    int sum[3] = {0, 0, 0};
    for (int b = 0; b < GV_BLUR_TAPS; b++) {
        const uint8_t *row = f->rgb + (size_t)gv_crop_mirror(y + b - GV_BLUR_TAPS / 2, f->height) * f->stride;
        for (int a = 0; a < GV_BLUR_TAPS; a++) {
            const uint8_t *p = row + 3 * gv_crop_mirror(x + a - GV_BLUR_TAPS / 2, f->width);
            for (int k = 0; k < 3; k++) sum[k] += w[a] * w[b] * p[k];
        }
    }
    for (int k = 0; k < 3; k++) out[k] = (sum[k] + GV_BLUR_ONE * GV_BLUR_ONE / 2) / (GV_BLUR_ONE * GV_BLUR_ONE);
}

// Position in 1/32 pixels of output row or column contributions a + b, as warpAffine rounds them.
GV_DEVICE_CODE int64_t gv_crop_position(double a, double b) {
    const double limit = 1e15; // far outside of any frame, and exact in 64 bits
    double p = rint(a * 1024) + 16 + rint(b * 1024);
    return (int64_t)fmin(fmax(p, -limit), limit) >> 5;
}

// Output pixel (i, j): RGB.
GV_DEVICE_CODE void gv_crop_pixel(uint8_t out[3], const gv_crop_frame *f, const gv_crop_square *q, int i, int j) {
    int64_t X = gv_crop_position(q->down[0] * j + q->origin[0], q->across[0] * i);
    int64_t Y = gv_crop_position(q->down[1] * j + q->origin[1], q->across[1] * i);
    int64_t x = X >> 5, y = Y >> 5;
    int fx = (int)(X & 31), fy = (int)(Y & 31), sum[3] = {0, 0, 0};
    const int weights[2][2] = {{(32 - fx) * (32 - fy), fx * (32 - fy)}, {(32 - fx) * fy, fx * fy}};
    for (int b = 0; b < 2; b++)
        for (int a = 0; a < 2; a++) {
            if (x + a < 0 || x + a >= f->width || y + b < 0 || y + b >= f->height || !weights[b][a]) continue;
            int colour[3];
            const uint8_t *p = f->rgb + (size_t)(y + b) * f->stride + 3 * (size_t)(x + a);
            for (int k = 0; k < 3; k++) colour[k] = p[k];
            if (q->blurred) gv_crop_blurred(colour, f, (int)(x + a), (int)(y + b), q->blur);
            for (int k = 0; k < 3; k++) sum[k] += weights[b][a] * 32 * colour[k];
        }
    for (int k = 0; k < 3; k++) out[k] = (uint8_t)((sum[k] + (1 << 14)) >> 15);
}

// A byte of channel k as the networks take it: red, green, blue.
GV_DEVICE_CODE float gv_crop_normalised(int byte, int k) {
    const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};
    return ((float)byte / 255.0f - mean[k]) / deviation[k];
}
