// heatmap_peak.h - where between the pixels of a heatmap its peak is, for processor and device alike
// (SPEC-perception.md 4.4).
//
// This header is C and C++.
#pragma once
#include "nn/crop_pixel.h"

#include <math.h>

enum { GV_HEATMAP_ROWS = 64, GV_HEATMAP_COLUMNS = 48, GV_HEATMAP_PIXELS = GV_HEATMAP_ROWS * GV_HEATMAP_COLUMNS };
enum { GV_BLUR_RADIUS = 5 };

// Logarithm of the blurred map (Gaussian, sigma 2) in [0.001, 50]; beyond the edge its nearest value.
GV_DEVICE_CODE float gv_heatmap_log_blurred(const float *map, int x, int y) {
    double sum = 0, total = 0;
    x = x < 0 ? 0 : x >= GV_HEATMAP_COLUMNS ? GV_HEATMAP_COLUMNS - 1 : x;
    y = y < 0 ? 0 : y >= GV_HEATMAP_ROWS ? GV_HEATMAP_ROWS - 1 : y;
    for (int b = -GV_BLUR_RADIUS; b <= GV_BLUR_RADIUS; b++)
        for (int a = -GV_BLUR_RADIUS; a <= GV_BLUR_RADIUS; a++) {
            double weight = exp(-(a * a + b * b) / 8.0);
            int row = gv_crop_mirror(y + b, GV_HEATMAP_ROWS), column = gv_crop_mirror(x + a, GV_HEATMAP_COLUMNS);
            sum += weight * map[row * GV_HEATMAP_COLUMNS + column];
            total += weight;
        }
    return logf(fminf(fmaxf((float)(sum / total), 0.001f), 50));
}

// One Newton step from the peak to the maximum of the logarithm's paraboloid. L [dy + 1][dx + 1]: the logarithms around
// it.
GV_DEVICE_CODE void gv_heatmap_refine(float at[2], const float *L) {
    const float eps = 1.1920929e-7f; // 2^-23
    float gx = (L[5] - L[3]) / 2, gy = (L[7] - L[1]) / 2;
    float gxx = L[5] - 2 * L[4] + L[3] + eps, gyy = L[7] - 2 * L[4] + L[1] + eps;
    float gxy = (L[8] - L[5] - L[7] + 2 * L[4] - L[3] - L[1] + L[0]) / 2;
    double det = (double)gxx * gyy - (double)gxy * gxy;
    if (det == 0) return;
    at[0] -= (float)(((double)gyy * gx - (double)gxy * gy) / det);
    at[1] -= (float)(((double)gxx * gy - (double)gxy * gx) / det);
}

// From the map's pixels to the frame's, in the square that the crop is the middle of.
GV_DEVICE_CODE void gv_heatmap_place(float *kp2d, const float at[2], float peak, const float *bbx_xys) {
    const float cx = bbx_xys[0], cy = bbx_xys[1], side = bbx_xys[2];
    kp2d[0] = at[0] * (0.75f * side / (GV_HEATMAP_COLUMNS - 1)) + cx - 0.375f * side;
    kp2d[1] = at[1] * (side / (GV_HEATMAP_ROWS - 1)) + cy - side / 2;
    kp2d[2] = peak;
}
