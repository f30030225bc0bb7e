#include "camera/ground.h"

#include <math.h>
#include <string.h>

// Around the middle of a box's lower edge, heights of the box: sideways, up, down.
static const double BESIDE = 0.9, ABOVE = 0.15, BELOW = 0.5;

static float area(const float b[4]) {
    return (b[2] - b[0]) * (b[3] - b[1]);
}

int gv_ground_boxes(float (*out)[4], const float (*boxes)[4], int n) {
    int count = 0;
    for (int i = 0; i < n; i++) {
        int k = count < GV_GROUND_BOXES ? count++ : GV_GROUND_BOXES;
        for (; k > 0 && area(boxes[i]) > area(out[k - 1]); k--)
            if (k < GV_GROUND_BOXES) memcpy(out[k], out[k - 1], sizeof out[k]);
        if (k < GV_GROUND_BOXES) memcpy(out[k], boxes[i], sizeof out[k]);
    }
    return count;
}

// Distance from the nearest box's feet in heights of it; infinite where none is near.
static double distance(double x, double y, const float (*boxes)[4], int n) {
    double nearest = INFINITY;
    for (int i = 0; i < n; i++) {
        const float *b = boxes[i];
        double height = (double)b[3] - (double)b[1], dx = (x - ((double)b[0] + (double)b[2]) / 2) / height,
               dy = (y - (double)b[3]) / height;
        if (height > 0 && fabs(dx) < BESIDE && dy > -ABOVE && dy < BELOW) nearest = fmin(nearest, hypot(dx, dy));
    }
    return nearest;
}

int gv_ground_choose(int index[GV_GROUND_POINTS], const double *x, const double *y, const double *rho, int n,
                     const float (*boxes)[4], int nboxes) {
    double far[GV_GROUND_POINTS];
    int count = 0;
    for (int i = 0; i < n && nboxes > 0; i++) {
        double d = rho[i] > 0 ? distance(x[i], y[i], boxes, nboxes) : INFINITY;
        if (isinf(d)) continue;
        int k = count < GV_GROUND_POINTS ? count++ : GV_GROUND_POINTS;
        for (; k > 0 && d < far[k - 1]; k--)
            if (k < GV_GROUND_POINTS) far[k] = far[k - 1], index[k] = index[k - 1];
        if (k < GV_GROUND_POINTS) far[k] = d, index[k] = i;
    }
    return count;
}
