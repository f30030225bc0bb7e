#include "pipeline/sparing.h"

#include <math.h>
#include <stddef.h>

static const double SLOW = 0.13, QUICK = 0.11; // s between two looks; keypoints, which move most: QUICK
static const float MUCH = 0.12f, SURE = 0.3f;  // share of the box's side; confidence of points that count

int gv_sparing_step(double fps, bool keypoints) {
    long step = lround((keypoints ? QUICK : SLOW) * fmin(fps, 1000));
    return step > 1 ? (int)step : 1;
}

bool gv_sparing_is_key(int k, int n, int step) {
    return k % step == 0 || k == n - 1;
}

int gv_sparing_looks(const float *a, const float *b, float side, int between) {
    float farthest = 0;
    for (int j = 0; j < 17; j++) {
        const float *p = a + 3 * j, *q = b + 3 * j;
        if (p[2] > SURE && q[2] > SURE) farthest = fmaxf(farthest, hypotf(p[0] - q[0], p[1] - q[1]));
    }
    return farthest > 2 * MUCH * side ? between : farthest > MUCH * side && between > 0;
}

void gv_sparing_fill(float *values, int width, const int *list, int n, const uint8_t *want, bool keypoints) {
    for (int k = 0, last = 0; k < n; k++) {
        if (want[list[k]] == GV_SPARING_BETWEEN) continue;
        const float *a = values + (size_t)list[last] * width, *b = values + (size_t)list[k] * width;
        for (int m = last + 1; m < k; m++) {
            float *v = values + (size_t)list[m] * width, f = (float)(m - last) / (float)(k - last);
            for (int c = 0; c < width; c++) v[c] = a[c] + f * (b[c] - a[c]);
            for (int c = 2; keypoints && c < width; c += 3) v[c] = fminf(a[c], b[c]);
        }
        last = k;
    }
}
