// box_overlap.h - how much two boxes overlap, for processor and device alike. This header is C and C++.
#pragma once
#include <math.h>

#ifndef GV_DEVICE_CODE
#define GV_DEVICE_CODE static inline
#endif

// Intersection over union of boxes x0, y0, x1, y1; 0 where either is empty.
GV_DEVICE_CODE float gv_box_overlap(const float *a, const float *b) {
    float w = fminf(a[2], b[2]) - fmaxf(a[0], b[0]), h = fminf(a[3], b[3]) - fmaxf(a[1], b[1]);
    if (!(w > 0 && h > 0)) return 0;
    float both = w * h;
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both);
}
