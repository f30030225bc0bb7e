#include "pipeline/swing.h"
#include "motion/smoothing.h"

#include <math.h>
#include <stddef.h>

enum { LEFT_WRIST = 9, SPREAD = 2 };
static const double from = 1.1, over = 1; // sides of the box a second
static const double straight = 0.8;       // way over path of three frames, from where on it is a swing
static const double spread_smoothing = 1; // frames

double gv_swing(const float *kp2d, const float *bbx_xys, const double *time_sec, int frames, int t, int side) {
    if (t < 1 || t + 1 >= frames) return 0;
    const float *a = kp2d + 51 * (size_t)(t - 1) + 3 * (LEFT_WRIST + side), *b = a + 51, *c = b + 51;
    const double box = (double)bbx_xys[3 * (size_t)t + 2];
    if (!(a[2] > 0.5f && b[2] > 0.5f && c[2] > 0.5f) || !(box > 0)) return 0;
    const double way = hypot((double)c[0] - a[0], (double)c[1] - a[1]);
    const double path =
        hypot((double)c[0] - b[0], (double)c[1] - b[1]) + hypot((double)b[0] - a[0], (double)b[1] - a[1]);
    const double speed = way / (time_sec[t + 1] - time_sec[t - 1]) / box;
    const double fast = fmin(fmax((speed - from) / over, 0), 1);
    return path > 0 ? fast * fmin(fmax((way / path - straight) / 0.1, 0), 1) : 0;
}

void gv_swing_shares(double *swing, const float *kp2d, const float *bbx_xys, const double *time_sec, int frames,
                     int side, double *scratch) {
    double *raw = scratch + frames;
    for (int t = 0; t < frames; t++) raw[t] = gv_swing(kp2d, bbx_xys, time_sec, frames, t, side);
    for (int t = 0; t < frames; t++) {
        swing[t] = 0;
        for (int u = t - SPREAD; u <= t + SPREAD; u++)
            if (u >= 0 && u < frames) swing[t] = fmax(swing[t], raw[u]);
    }
    gv_gaussian_smooth(swing, frames, 1, 0, 1, spread_smoothing, scratch);
}
