#include "camera/plane.h"

#include "geometry/linalg.h"
#include "geometry/so3.h"

#include <math.h>
#include <string.h>

static const double STARTS_AT = 60;     // sigmas, scale of the kernel; each step narrows it
static const double ALMOST_TURN = 1e-5; // spread of the squared singular values below which H is a rotation

static double homography_error2(const double H[9], const gv_match *m) {
    double v[3] = {m->a[0], m->a[1], 1}, p[3];
    gv_so3_apply(p, H, v);
    if (!(p[2] > 0.05)) return INFINITY;
    double x = p[0] / p[2] - m->b[0], y = p[1] / p[2] - m->b[1];
    return x * x + y * y;
}

// One Gauss-Newton step of the first eight elements, Geman-McClure weights of scale c.
static bool homography_step(double H[9], const gv_match *m, int n, double c) {
    double A[64] = {0}, g[8] = {0};
    for (int i = 0; i < n; i++) {
        double v[3] = {m[i].a[0], m[i].a[1], 1}, p[3];
        gv_so3_apply(p, H, v);
        if (!(p[2] > 0.05)) continue;
        double z = 1 / p[2], x = p[0] * z, y = p[1] * z, rx = x - m[i].b[0], ry = y - m[i].b[1];
        double k = 1 / (1 + (rx * rx + ry * ry) / (c * c)), jx[8] = {0}, jy[8] = {0};
        k *= k;
        for (int a = 0; a < 3; a++) jx[a] = jy[3 + a] = v[a] * z;
        for (int a = 0; a < 2; a++) jx[6 + a] = -x * v[a] * z, jy[6 + a] = -y * v[a] * z;
        for (int r = 0; r < 8; r++) {
            g[r] -= k * (jx[r] * rx + jy[r] * ry);
            for (int q = 0; q <= r; q++) A[8 * r + q] += k * (jx[r] * jx[q] + jy[r] * jy[q]);
        }
    }
    for (int r = 0; r < 8; r++) A[9 * r] += 1e-9;
    if (!gv_cholesky(A, 8)) return false;
    gv_cholesky_solve(A, 8, g);
    for (int r = 0; r < 8; r++) H[r] += g[r];
    return true;
}

int gv_plane_homography(double H[9], const double R[9], const gv_match *m, int n, double sigma) {
    for (int i = 0; i < 9; i++) H[i] = R[i] / R[8];
    for (double c = STARTS_AT * sigma; c > 2 * sigma; c *= 0.6)
        for (int it = 0; it < 2; it++)
            if (!homography_step(H, m, n, c)) return 0;
    int inliers = 0;
    for (int i = 0; i < n; i++) inliers += homography_error2(H, m + i) < 16 * sigma * sigma;
    return inliers;
}

// The motion whose plane is spanned by v2 and u, on the side where most points are in front.
static void take_apart(gv_plane_motion *o, const double H[9], const double v2[3], const double u[3], const gv_match *m,
                       int n) {
    double U[9], W[9], Hv[3], Hu[3], HuHv[3], T[9];
    int front = 0;
    gv_cross3(o->n, v2, u);
    gv_so3_apply(Hv, H, v2), gv_so3_apply(Hu, H, u);
    gv_cross3(HuHv, Hv, Hu);
    for (int i = 0; i < 3; i++) U[3 * i] = v2[i], U[3 * i + 1] = u[i], U[3 * i + 2] = o->n[i];
    for (int i = 0; i < 3; i++) W[3 * i] = Hv[i], W[3 * i + 1] = Hu[i], W[3 * i + 2] = HuHv[i];
    gv_so3_mul_nt(o->R, W, U);
    gv_so3_orthonormalise(o->R);
    for (int i = 0; i < 9; i++) T[i] = H[i] - o->R[i];
    gv_so3_apply(o->t, T, o->n);
    for (int i = 0; i < n; i++) front += o->n[0] * m[i].a[0] + o->n[1] * m[i].a[1] + o->n[2] > 0;
    bool turned = 2 * front < n; // the other side of the plane
    for (int i = 0; i < 3 && turned; i++) o->n[i] = -o->n[i], o->t[i] = -o->t[i];
}

int gv_plane_motions(gv_plane_motion out[2], const double H[9], const gv_match *m, int n) {
    double HtH[9], value[3], V[9], G[9], v[3][3], u[3];
    gv_so3_mul_tn(HtH, H, H);
    gv_eigen_sym3(HtH, value, V);
    if (!(value[0] > 0)) return 0;
    double det = H[0] * (H[4] * H[8] - H[5] * H[7]) - H[1] * (H[3] * H[8] - H[5] * H[6]) +
                 H[2] * (H[3] * H[7] - H[4] * H[6]),
           k = (det < 0 ? -1 : 1) / sqrt(value[1]);
    for (int i = 0; i < 9; i++) G[i] = k * H[i];
    double most = value[2] / value[1], least = value[0] / value[1];
    if (!(most - least > ALMOST_TURN)) return 0;
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 3; i++) v[c][i] = V[3 * i + 2 - c]; // descending
    double s = sqrt(fmax(0, 1 - least)), q = sqrt(fmax(0, most - 1)), length = sqrt(most - least);
    for (int c = 0; c < 2; c++) {
        for (int i = 0; i < 3; i++) u[i] = (s * v[0][i] + (c ? -q : q) * v[2][i]) / length;
        take_apart(&out[c], G, v[1], u, m, n);
    }
    return 2;
}
