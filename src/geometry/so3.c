#include "geometry/so3.h"

#include <math.h>
#include <string.h>

void gv_so3_identity(double R[9]) {
    memset(R, 0, 9 * sizeof *R);
    R[0] = R[4] = R[8] = 1;
}

double gv_normalise3(double v[3]) {
    double n = sqrt(gv_dot3(v, v));
    if (n > 0)
        for (int i = 0; i < 3; i++) v[i] /= n;
    return n;
}

void gv_so3_exp(double R[9], const double w[3]) {
    double t2 = gv_dot3(w, w), a, b; // R = I + a [w] + b [w]^2
    if (t2 < 1e-8) {
        a = 1 - t2 / 6, b = 0.5 - t2 / 24;
    } else {
        double t = sqrt(t2);
        a = sin(t) / t, b = (1 - cos(t)) / t2;
    }
    double x = w[0], y = w[1], z = w[2];
    R[0] = 1 - b * (y * y + z * z), R[1] = b * x * y - a * z, R[2] = b * x * z + a * y;
    R[3] = b * x * y + a * z, R[4] = 1 - b * (x * x + z * z), R[5] = b * y * z - a * x;
    R[6] = b * x * z - a * y, R[7] = b * y * z + a * x, R[8] = 1 - b * (x * x + y * y);
}

// Near a half turn the antisymmetric part vanishes; the axis then comes from the symmetric part,
// R + R^T = 2 cos t I + 2 (1 - cos t) u u^T, by its largest column.
static void log_near_pi(double w[3], const double R[9], const double v[3], double angle) {
    int k = R[0] >= R[4] ? (R[0] >= R[8] ? 0 : 2) : (R[4] >= R[8] ? 1 : 2);
    double c = cos(angle), u[3];
    for (int i = 0; i < 3; i++) u[i] = (R[3 * i + k] + R[3 * k + i]) / 2 - (i == k ? c : 0);
    gv_normalise3(u);
    double sign = gv_dot3(u, v) < 0 ? -1 : 1;
    for (int i = 0; i < 3; i++) w[i] = sign * angle * u[i];
}

void gv_so3_log(double w[3], const double R[9]) {
    double v[3] = {(R[7] - R[5]) / 2, (R[2] - R[6]) / 2, (R[3] - R[1]) / 2};
    double s = sqrt(gv_dot3(v, v)), c = (R[0] + R[4] + R[8] - 1) / 2, angle = atan2(s, c);
    if (c < -0.9) {
        log_near_pi(w, R, v, angle);
        return;
    }
    double k = s < 1e-6 ? 1 + s * s / 6 : angle / s;
    for (int i = 0; i < 3; i++) w[i] = k * v[i];
}

void gv_so3_mul(double C[9], const double A[9], const double B[9]) {
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) C[3 * i + j] = A[3 * i] * B[j] + A[3 * i + 1] * B[3 + j] + A[3 * i + 2] * B[6 + j];
}

void gv_so3_mul_nt(double C[9], const double A[9], const double B[9]) {
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) C[3 * i + j] = gv_dot3(A + 3 * i, B + 3 * j);
}

void gv_so3_mul_tn(double C[9], const double A[9], const double B[9]) {
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) C[3 * i + j] = A[i] * B[j] + A[3 + i] * B[3 + j] + A[6 + i] * B[6 + j];
}

void gv_so3_apply(double y[3], const double A[9], const double x[3]) {
    for (int i = 0; i < 3; i++) y[i] = gv_dot3(A + 3 * i, x);
}

void gv_so3_apply_t(double y[3], const double A[9], const double x[3]) {
    for (int i = 0; i < 3; i++) y[i] = A[i] * x[0] + A[3 + i] * x[1] + A[6 + i] * x[2];
}

void gv_so3_orthonormalise(double R[9]) {
    for (int it = 0; it < 8; it++) { // Newton for the polar factor: R <- (R + R^-T) / 2
        double C[9], d = 0, step = 0;
        gv_cross3(C, R + 3, R + 6);
        gv_cross3(C + 3, R + 6, R);
        gv_cross3(C + 6, R, R + 3);
        d = gv_dot3(R, C);
        if (!(fabs(d) > 1e-12)) return;
        for (int i = 0; i < 9; i++) {
            double r = (R[i] + C[i] / d) / 2;
            step = fmax(step, fabs(r - R[i]));
            R[i] = r;
        }
        if (step < 1e-15) return;
    }
}

void gv_so3_update(double R[9], const double w[3]) {
    double E[9], T[9];
    gv_so3_exp(E, w);
    gv_so3_mul(T, E, R);
    gv_so3_orthonormalise(T);
    memcpy(R, T, sizeof T);
}

double gv_so3_angle(const double A[9], const double B[9]) {
    double C[9], w[3];
    gv_so3_mul_nt(C, A, B);
    gv_so3_log(w, C);
    return sqrt(gv_dot3(w, w));
}

void gv_so3_interpolate(double R[9], const double A[9], const double B[9], double s) {
    double C[9], w[3], E[9];
    gv_so3_mul_nt(C, B, A);
    gv_so3_log(w, C);
    for (int i = 0; i < 3; i++) w[i] *= s;
    gv_so3_exp(E, w);
    gv_so3_mul(R, E, A);
}
