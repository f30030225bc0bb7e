#include "geometry/rotation.h"
#include "geometry/so3.h"

#include <math.h>
#include <string.h>

GV_PART void widen(double *out, const float *in, int n) {
    for (int i = 0; i < n; i++) out[i] = in[i];
}

GV_PART void narrow(float *out, const double *in, int n) {
    for (int i = 0; i < n; i++) out[i] = (float)in[i];
}

// v / max(|v|, 1e-12)
GV_PART void normalise3(double v[3]) {
    double n = sqrt(gv_dot3(v, v));
    if (n < 1e-12) n = 1e-12;
    for (int i = 0; i < 3; i++) v[i] /= n;
}

GV_SHARED void gv_rotd_from_6d(double R[9], const double d6[6]) {
    memcpy(R, d6, 6 * sizeof *R);
    normalise3(R);
    double along = gv_dot3(d6 + 3, R);
    for (int i = 0; i < 3; i++) R[3 + i] = d6[3 + i] - along * R[i];
    normalise3(R + 3);
    gv_cross3(R + 6, R, R + 3);
}

// sin(h)/th with h = th/2; the series 1/2 - th^2/48 near zero
GV_PART double half_sinc(double th) {
    return fabs(th) < 1e-6 ? 0.5 - th * th / 48 : sin(th / 2) / th;
}

GV_SHARED void gv_quatd_from_aa(double q[4], const double aa[3]) {
    double th = sqrt(gv_dot3(aa, aa)), k = half_sinc(th);
    q[0] = cos(th / 2);
    for (int i = 0; i < 3; i++) q[1 + i] = k * aa[i];
}

GV_SHARED void gv_quatd_to_aa(double aa[3], const double q[4]) {
    double n = sqrt(gv_dot3(q + 1, q + 1)), k = half_sinc(2 * atan2(n, q[0]));
    for (int i = 0; i < 3; i++) aa[i] = q[1 + i] / k;
}

GV_SHARED void gv_rotd_from_quat(double R[9], const double q[4]) {
    double w = q[0], x = q[1], y = q[2], z = q[3];
    double s = 2 / (w * w + x * x + y * y + z * z);
    R[0] = 1 - s * (y * y + z * z), R[1] = s * (x * y - z * w), R[2] = s * (x * z + y * w);
    R[3] = s * (x * y + z * w), R[4] = 1 - s * (x * x + z * z), R[5] = s * (y * z - x * w);
    R[6] = s * (x * z - y * w), R[7] = s * (y * z + x * w), R[8] = 1 - s * (x * x + y * y);
}

GV_SHARED void gv_rotd_to_quat(double q[4], const double R[9]) {
    double t[4] = {1 + R[0] + R[4] + R[8], 1 + R[0] - R[4] - R[8], 1 - R[0] + R[4] - R[8], 1 - R[0] - R[4] + R[8]};
    double a = R[7] - R[5], b = R[2] - R[6], c = R[3] - R[1]; // antisymmetric part: 4 w (x, y, z)
    double d = R[3] + R[1], e = R[2] + R[6], f = R[5] + R[7]; // symmetric part: 4 xy, 4 xz, 4 yz
    int best = 0;
    for (int i = 1; i < 4; i++)
        if (t[i] > t[best]) best = i;
    double r2 = t[best] > 0 ? t[best] : 0, r = sqrt(r2);
    const double candidates[4][4] = {{r2, a, b, c}, {a, r2, d, e}, {b, d, r2, f}, {c, e, f, r2}};
    double scale = 0.5 / (r > 0.1 ? r : 0.1);
    if (candidates[best][0] < 0) scale = -scale;
    for (int i = 0; i < 4; i++) q[i] = candidates[best][i] * scale;
}

GV_SHARED void gv_rotd_from_aa(double R[9], const double aa[3]) {
    double q[4];
    gv_quatd_from_aa(q, aa);
    gv_rotd_from_quat(R, q);
}

GV_SHARED void gv_rotd_to_aa(double aa[3], const double R[9]) {
    double q[4];
    gv_rotd_to_quat(q, R);
    gv_quatd_to_aa(aa, q);
}

GV_SHARED void gv_quatd_slerp(double q[4], const double a[4], const double b[4], double t) {
    double c = a[0] * b[0] + gv_dot3(a + 1, b + 1), sign = c < 0 ? -1 : 1;
    // |a - b| and |a + b| give the angle between the quaternions without acos's loss near 0
    double minus = 0, plus = 0;
    for (int i = 0; i < 4; i++) {
        minus += (a[i] - sign * b[i]) * (a[i] - sign * b[i]);
        plus += (a[i] + sign * b[i]) * (a[i] + sign * b[i]);
    }
    double h = 2 * atan2(sqrt(minus), sqrt(plus)), s = sin(h);
    double ka = s < 1e-9 ? 1 - t : sin((1 - t) * h) / s, kb = s < 1e-9 ? t : sin(t * h) / s;
    double n = 0, out[4];
    for (int i = 0; i < 4; i++) {
        out[i] = ka * a[i] + sign * kb * b[i];
        n += out[i] * out[i];
    }
    n = sqrt(n);
    for (int i = 0; i < 4; i++) q[i] = out[i] / (n > 1e-12 ? n : 1e-12);
}

GV_SHARED void gv_rot_from_6d(float R[9], const float d6[6]) {
    double in[6], out[9];
    widen(in, d6, 6);
    gv_rotd_from_6d(out, in);
    narrow(R, out, 9);
}

GV_SHARED void gv_rot_to_6d(float d6[6], const float R[9]) {
    const float rows[6] = {R[0], R[1], R[2], R[3], R[4], R[5]}; // d6 may be R
    memcpy(d6, rows, sizeof rows);
}

GV_SHARED void gv_rot_from_aa(float R[9], const float aa[3]) {
    double in[3], out[9];
    widen(in, aa, 3);
    gv_rotd_from_aa(out, in);
    narrow(R, out, 9);
}

GV_SHARED void gv_rot_to_aa(float aa[3], const float R[9]) {
    double in[9], out[3];
    widen(in, R, 9);
    gv_rotd_to_aa(out, in);
    narrow(aa, out, 3);
}

GV_SHARED void gv_rot_from_quat(float R[9], const float q[4]) {
    double in[4], out[9];
    widen(in, q, 4);
    gv_rotd_from_quat(out, in);
    narrow(R, out, 9);
}

GV_SHARED void gv_rot_to_quat(float q[4], const float R[9]) {
    double in[9], out[4];
    widen(in, R, 9);
    gv_rotd_to_quat(out, in);
    narrow(q, out, 4);
}

GV_SHARED void gv_quat_from_aa(float q[4], const float aa[3]) {
    double in[3], out[4];
    widen(in, aa, 3);
    gv_quatd_from_aa(out, in);
    narrow(q, out, 4);
}

GV_SHARED void gv_quat_to_aa(float aa[3], const float q[4]) {
    double in[4], out[3];
    widen(in, q, 4);
    gv_quatd_to_aa(out, in);
    narrow(aa, out, 3);
}

GV_SHARED void gv_quat_slerp(float q[4], const float a[4], const float b[4], float t) {
    double da[4], db[4], out[4];
    widen(da, a, 4);
    widen(db, b, 4);
    gv_quatd_slerp(out, da, db, t);
    narrow(q, out, 4);
}

GV_SHARED void gv_mat3_mul(float C[9], const float A[9], const float B[9]) {
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) C[3 * i + j] = A[3 * i] * B[j] + A[3 * i + 1] * B[3 + j] + A[3 * i + 2] * B[6 + j];
}

GV_SHARED void gv_mat3_mul_nt(float C[9], const float A[9], const float B[9]) {
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            C[3 * i + j] = A[3 * i] * B[3 * j] + A[3 * i + 1] * B[3 * j + 1] + A[3 * i + 2] * B[3 * j + 2];
}

GV_SHARED void gv_mat3_mul_tn(float C[9], const float A[9], const float B[9]) {
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) C[3 * i + j] = A[i] * B[j] + A[3 + i] * B[3 + j] + A[6 + i] * B[6 + j];
}

GV_SHARED void gv_mat3_apply(float y[3], const float A[9], const float x[3]) {
    for (int i = 0; i < 3; i++) y[i] = A[3 * i] * x[0] + A[3 * i + 1] * x[1] + A[3 * i + 2] * x[2];
}

GV_SHARED void gv_mat3_apply_t(float y[3], const float A[9], const float x[3]) {
    for (int i = 0; i < 3; i++) y[i] = A[i] * x[0] + A[3 + i] * x[1] + A[6 + i] * x[2];
}

#ifndef __CUDACC__ // no kernel needs these
float gv_rot_angle(const float A[9], const float B[9]) {
    double a[9], b[9], D[9];
    widen(a, A, 9);
    widen(b, B, 9);
    gv_so3_mul_nt(D, a, b); // A B^T turns by the same angle as A^T B
    double v[3] = {D[7] - D[5], D[2] - D[6], D[3] - D[1]};
    return (float)atan2(sqrt(gv_dot3(v, v)), D[0] + D[4] + D[8] - 1);
}

// One Jacobi rotation that zeroes S[p][q]; V collects the eigenvectors in its columns.
static void jacobi_rotate(double S[4][4], double V[4][4], int p, int q) {
    if (S[p][q] == 0) return;
    double theta = (S[q][q] - S[p][p]) / (2 * S[p][q]);
    double t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1)), c = 1 / sqrt(t * t + 1), s = t * c;
    for (int i = 0; i < 4; i++) {
        double a = S[i][p], b = S[i][q];
        S[i][p] = c * a - s * b, S[i][q] = s * a + c * b;
    }
    for (int i = 0; i < 4; i++) {
        double a = S[p][i], b = S[q][i];
        S[p][i] = c * a - s * b, S[q][i] = s * a + c * b;
    }
    for (int i = 0; i < 4; i++) {
        double a = V[i][p], b = V[i][q];
        V[i][p] = c * a - s * b, V[i][q] = s * a + c * b;
    }
}

// The rotation nearest to M in the Frobenius norm maximises trace(R^T M) = q^T S q: q is the eigenvector
// of the largest eigenvalue of a symmetric 4x4 matrix (Davenport's q method). Unlike a polar iteration it
// also serves singular and reflecting M.
void gv_rot_orthonormalise(float R[9]) {
    double m[9];
    widen(m, R, 9);
    double a = m[7] - m[5], b = m[2] - m[6], c = m[3] - m[1], d = m[1] + m[3], e = m[2] + m[6], f = m[5] + m[7];
    double S[4][4] = {{m[0] + m[4] + m[8], a, b, c},
                      {a, m[0] - m[4] - m[8], d, e},
                      {b, d, m[4] - m[0] - m[8], f},
                      {c, e, f, m[8] - m[0] - m[4]}};
    double V[4][4] = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}};
    for (int sweep = 0; sweep < 12; sweep++)
        for (int p = 0; p < 3; p++)
            for (int q = p + 1; q < 4; q++) jacobi_rotate(S, V, p, q);
    int best = 0;
    for (int i = 1; i < 4; i++)
        if (S[i][i] > S[best][best]) best = i;
    double q[4] = {V[0][best], V[1][best], V[2][best], V[3][best]}, out[9];
    gv_rotd_from_quat(out, q);
    narrow(R, out, 9);
}
#endif
