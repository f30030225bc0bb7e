// letterbox_pixel.h - one pixel of a picture scaled to the detector's size, for processor and device alike; what a
// letterbox is, perception/letterbox.h says.
//
// The arithmetic of OpenCV 4's resize(INTER_LINEAR) of 8-bit pictures, bit for bit: half-pixel centres, weights of 11
// bits. This header is C and C++.
#pragma once
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#ifndef GV_DEVICE_CODE
#define GV_DEVICE_CODE static inline
#endif

enum { GV_LETTERBOX_PADDING = 114, GV_LETTERBOX_BITS = 11 };

typedef struct gv_letterbox_tap { // two neighbours along one axis and their weights, 2048 in sum
    int at[2];
    int weight[2];
} gv_letterbox_tap;

// Pixel i of `to`, scaled from `from`. `edge`: at the border all weight goes to the border's pixel; else both
// neighbours become it.
GV_DEVICE_CODE gv_letterbox_tap gv_letterbox_tap_of(int i, int from, int to, bool edge) {
    double scale = 1 / ((double)to / from);
    float f = (float)((i + 0.5) * scale - 0.5);
    int s = (int)floorf(f);
    f -= (float)s;
    if (edge && s < 0) s = 0, f = 0;
    if (edge && s >= from - 1) s = from - 1, f = 0;
    const float unit = 1 << GV_LETTERBOX_BITS;
    gv_letterbox_tap t;
    t.weight[0] = (int)nearbyintf((1 - f) * unit);
    t.weight[1] = (int)nearbyintf(f * unit);
    for (int k = 0; k < 2; k++) t.at[k] = s + k < 0 ? 0 : s + k >= from ? from - 1 : s + k;
    return t;
}

// One channel: p and q of the upper row, r and s of the lower one.
GV_DEVICE_CODE uint8_t gv_letterbox_mixed(int p, int q, int r, int s, const gv_letterbox_tap *x,
                                          const gv_letterbox_tap *y) {
    int upper = (p * x->weight[0] + q * x->weight[1]) >> 4, lower = (r * x->weight[0] + s * x->weight[1]) >> 4;
    int sum = ((upper * y->weight[0]) >> 16) + ((lower * y->weight[1]) >> 16);
    return (uint8_t)((sum + 2) >> 2);
}

GV_DEVICE_CODE uint8_t gv_letterbox_halved(int p, int q, int r, int s) {
    return (uint8_t)((p + q + r + s + 2) >> 2);
}
