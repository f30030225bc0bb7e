#include "camera/lens.h"

#include <math.h>
#include <string.h>

enum { ITERATIONS = 30 };
static const double WIDEST = 11.4; // tan 85 degrees: a plane cannot hold more
static const double CLOSE = 1e-9;  // remaining error, normalised

gv_lens gv_lens_pinhole(double focal_px, int width, int height) {
    return (gv_lens){.fx = focal_px, .fy = focal_px, .cx = width / 2., .cy = height / 2.};
}

// Brown's model and its derivatives J = d(x_d, y_d) / d(x, y), row-major.
static void brown(const double *k, double x, double y, double out[2], double J[4]) {
    double r = x * x + y * y, num = 1 + r * (k[0] + r * (k[1] + r * k[4])),
           den = 1 + r * (k[5] + r * (k[6] + r * k[7]));
    double dnum = k[0] + r * (2 * k[1] + r * 3 * k[4]), dden = k[5] + r * (2 * k[6] + r * 3 * k[7]);
    double L = num / den, dL = (dnum - L * dden) / den, p1 = k[2], p2 = k[3];
    out[0] = x * L + 2 * p1 * x * y + p2 * (r + 2 * x * x);
    out[1] = y * L + p1 * (r + 2 * y * y) + 2 * p2 * x * y;
    J[0] = L + 2 * x * x * dL + 2 * p1 * y + 6 * p2 * x;
    J[1] = J[2] = 2 * x * y * dL + 2 * p1 * x + 2 * p2 * y;
    J[3] = L + 2 * y * y * dL + 6 * p1 * y + 2 * p2 * x;
}

// Newton's iteration from the middle outwards; a determinant that is not positive is where the picture folds over.
static bool unbrown(const double *k, const double d[2], double out[2]) {
    double x = d[0], y = d[1], p[2], J[4];
    for (int it = 0; it < ITERATIONS; it++) {
        brown(k, x, y, p, J);
        double ex = d[0] - p[0], ey = d[1] - p[1], det = J[0] * J[3] - J[1] * J[2];
        if (!(det > 0.02) || !(J[0] + J[3] > 0)) {
            if (it == 0 || !(x * x + y * y > 1e-12)) return false;
            x *= 0.5, y *= 0.5; // started beyond the fold
            continue;
        }
        if (fabs(ex) + fabs(ey) < CLOSE) {
            out[0] = x, out[1] = y;
            return x * x + y * y < WIDEST * WIDEST;
        }
        x += (J[3] * ex - J[1] * ey) / det, y += (J[0] * ey - J[2] * ex) / det;
    }
    return false;
}

static double fisheye_angle(const double *k, double t, double *slope) {
    double s = t * t;
    *slope = 1 + s * (3 * k[0] + s * (5 * k[1] + s * (7 * k[2] + s * 9 * k[3])));
    return t * (1 + s * (k[0] + s * (k[1] + s * (k[2] + s * k[3]))));
}

static bool unfisheye(const double *k, const double d[2], double out[2]) {
    double r = hypot(d[0], d[1]), t = r, slope;
    if (r < 1e-12) {
        out[0] = d[0], out[1] = d[1];
        return true;
    }
    for (int it = 0; it < ITERATIONS; it++) {
        double e = r - fisheye_angle(k, t, &slope);
        if (!(slope > 0.02)) {
            t *= 0.5;
            continue;
        }
        if (fabs(e) < CLOSE) {
            double n = tan(t) / r;
            out[0] = n * d[0], out[1] = n * d[1];
            return t < atan(WIDEST);
        }
        t = fmin(1.6, t + e / slope);
    }
    return false;
}

bool gv_lens_direction(const gv_lens *l, double x, double y, double out[2]) {
    double d[2] = {(x - l->cx) / l->fx, (y - l->cy) / l->fy};
    out[0] = d[0], out[1] = d[1];
    if (l->model == GV_LENS_PINHOLE) return true;
    double u[2] = {d[0], d[1]};
    if (!(l->model == GV_LENS_BROWN ? unbrown(l->k, d, u) : unfisheye(l->k, d, u))) return false;
    out[0] = u[0], out[1] = u[1];
    return true;
}

void gv_lens_pixel(const gv_lens *l, double x, double y, double out[2]) {
    double d[2] = {x, y}, J[4], slope, r = hypot(x, y);
    if (l->model == GV_LENS_BROWN) brown(l->k, x, y, d, J);
    if (l->model == GV_LENS_FISHEYE && r > 1e-12) {
        double n = fisheye_angle(l->k, atan(r), &slope) / r;
        d[0] = n * x, d[1] = n * y;
    }
    out[0] = l->fx * d[0] + l->cx, out[1] = l->fy * d[1] + l->cy;
}

bool gv_lens_straighten(const gv_lens *l, double x, double y, double out[2]) {
    double d[2];
    if (l->model == GV_LENS_PINHOLE) {
        out[0] = x, out[1] = y;
        return true;
    }
    bool ok = gv_lens_direction(l, x, y, d);
    out[0] = l->fx * d[0] + l->cx, out[1] = l->fy * d[1] + l->cy;
    return ok;
}

void gv_lens_matrix(const gv_lens *l, float K[9]) {
    memset(K, 0, 9 * sizeof *K);
    K[0] = (float)l->fx, K[4] = (float)l->fy, K[2] = (float)l->cx, K[5] = (float)l->cy, K[8] = 1;
}

double gv_lens_reach(const gv_lens *l, int width, int height) {
    double reach = 0, d[2];
    for (int i = 0; i < 8; i++) { // corners and middles of the sides
        static const double at[8][2] = {{0, 0}, {0.5, 0}, {1, 0}, {1, 0.5}, {1, 1}, {0.5, 1}, {0, 1}, {0, 0.5}};
        if (gv_lens_direction(l, at[i][0] * width, at[i][1] * height, d)) reach = fmax(reach, hypot(d[0], d[1]));
    }
    return reach;
}

void gv_lens_bend(const gv_lens *l, double reach, double x, double y, double out[2]) {
    double r = hypot(x, y), beyond = reach > 0 && r > reach ? r / reach : 1;
    gv_lens_pixel(l, x / beyond, y / beyond, out);
    out[0] = beyond * (out[0] - l->cx) / l->fx, out[1] = beyond * (out[1] - l->cy) / l->fy;
}
