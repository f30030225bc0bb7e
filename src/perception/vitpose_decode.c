// vitpose_decode.c - from heatmaps to keypoints (SPEC-perception.md 4.4).
#include "perception/vitpose.h"

#include <math.h>

enum { H = GV_HEATMAP_ROWS, W = GV_HEATMAP_COLUMNS, TAPS = 11, RADIUS = TAPS / 2 };

static int mirror(int i, int n) { // ... 2 1 | 0 1 2 ...
    if (i < 0) i = -i;
    return i < n ? i : 2 * (n - 1) - i;
}

// Logarithm of the blurred map (Gaussian, sigma 2) in [0.001, 50]; beyond the edge its nearest value.
static float log_blurred(const float *map, int x, int y) {
    double sum = 0, total = 0;
    x = x < 0 ? 0 : x >= W ? W - 1 : x;
    y = y < 0 ? 0 : y >= H ? H - 1 : y;
    for (int b = -RADIUS; b <= RADIUS; b++)
        for (int a = -RADIUS; a <= RADIUS; a++) {
            double weight = exp(-(a * a + b * b) / 8.0);
            sum += weight * map[mirror(y + b, H) * W + mirror(x + a, W)];
            total += weight;
        }
    return logf(fminf(fmaxf((float)(sum / total), 0.001f), 50));
}

// One Newton step from the peak (x, y) of `map` to the maximum of the logarithm's paraboloid.
static void refine(float at[2], const float *map, int x, int y) {
    float L[3][3]; // [dy + 1][dx + 1]
    for (int b = 0; b < 3; b++)
        for (int a = 0; a < 3; a++) L[b][a] = log_blurred(map, x + a - 1, y + b - 1);
    const float eps = 1.1920929e-7f; // 2^-23
    float gx = (L[1][2] - L[1][0]) / 2, gy = (L[2][1] - L[0][1]) / 2;
    float gxx = L[1][2] - 2 * L[1][1] + L[1][0] + eps, gyy = L[2][1] - 2 * L[1][1] + L[0][1] + eps;
    float gxy = (L[2][2] - L[1][2] - L[2][1] + 2 * L[1][1] - L[1][0] - L[0][1] + L[0][0]) / 2;
    double det = (double)gxx * gyy - (double)gxy * gxy;
    if (det == 0) return;
    at[0] -= (float)(((double)gyy * gx - (double)gxy * gy) / det);
    at[1] -= (float)(((double)gxx * gy - (double)gxy * gx) / det);
}

void gv_vitpose_decode(float *kp2d, const float *heatmaps, const float bbx_xys[3]) {
    const float cx = bbx_xys[0], cy = bbx_xys[1], side = bbx_xys[2];
    for (int j = 0; j < GV_VITPOSE_JOINTS; j++, heatmaps += H * W, kp2d += 3) {
        int peak = 0;
        for (int i = 1; i < H * W; i++)
            if (heatmaps[i] > heatmaps[peak]) peak = i;
        float at[2] = {(float)(peak % W), (float)(peak / W)};
        if (heatmaps[peak] > 0) refine(at, heatmaps, peak % W, peak / W);
        kp2d[0] = at[0] * (0.75f * side / (W - 1)) + cx - 0.375f * side;
        kp2d[1] = at[1] * (side / (H - 1)) + cy - side / 2;
        kp2d[2] = heatmaps[peak];
    }
}
