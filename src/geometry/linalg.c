#include "geometry/linalg.h"

#include "geometry/so3.h"

#include <math.h>
#include <string.h>

static double dot(const double *a, const double *b, int n) {
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    int i = 0;
    for (; i + 4 <= n; i += 4)
        s0 += a[i] * b[i], s1 += a[i + 1] * b[i + 1], s2 += a[i + 2] * b[i + 2], s3 += a[i + 3] * b[i + 3];
    for (; i < n; i++) s0 += a[i] * b[i];
    return (s0 + s1) + (s2 + s3);
}

bool gv_cholesky(double *A, int n) {
    for (int i = 0; i < n; i++) {
        double *ai = A + (long)i * n;
        for (int j = 0; j < i; j++) {
            const double *aj = A + (long)j * n;
            ai[j] = (ai[j] - dot(ai, aj, j)) / aj[j];
        }
        double d = ai[i] - dot(ai, ai, i);
        if (!(d > 0)) return false;
        ai[i] = sqrt(d);
    }
    return true;
}

void gv_cholesky_solve(const double *L, int n, double *b) {
    for (int i = 0; i < n; i++) b[i] = (b[i] - dot(L + (long)i * n, b, i)) / L[(long)i * n + i];
    for (int i = n - 1; i >= 0; i--) {
        b[i] /= L[(long)i * n + i];
        for (int j = 0; j < i; j++) b[j] -= L[(long)i * n + j] * b[i];
    }
}

bool gv_cholesky_banded(double *A, int n, int band) {
    for (int i = 0; i < n; i++) {
        double *ai = A + (long)i * (band + 1);
        int lo = i > band ? i - band : 0; // first column that is stored
        for (int j = lo; j <= i; j++) {
            const double *aj = A + (long)j * (band + 1);
            int from = j - band > lo ? j - band : lo; // both rows have columns from .. j - 1
            double s = ai[j - i + band] - dot(ai + from - i + band, aj + from - j + band, j - from);
            if (j < i) {
                ai[j - i + band] = s / aj[band];
            } else {
                if (!(s > 0)) return false;
                ai[band] = sqrt(s);
            }
        }
    }
    return true;
}

void gv_cholesky_banded_solve(const double *L, int n, int band, double *b) {
    for (int i = 0; i < n; i++) {
        const double *li = L + (long)i * (band + 1);
        int lo = i > band ? i - band : 0;
        b[i] = (b[i] - dot(li + lo - i + band, b + lo, i - lo)) / li[band];
    }
    for (int i = n - 1; i >= 0; i--) {
        const double *li = L + (long)i * (band + 1);
        int lo = i > band ? i - band : 0;
        b[i] /= li[band];
        for (int j = lo; j < i; j++) b[j] -= li[j - i + band] * b[i];
    }
}

static void jacobi_rotate(double A[9], double V[9], int p, int q) {
    if (A[3 * p + q] == 0) return;
    double theta = (A[3 * q + q] - A[3 * p + p]) / (2 * A[3 * p + q]);
    double t = copysign(1, theta) / (fabs(theta) + sqrt(theta * theta + 1)), c = 1 / sqrt(t * t + 1), s = t * c;
    for (int k = 0; k < 3; k++) {
        double a = A[3 * k + p], b = A[3 * k + q];
        A[3 * k + p] = c * a - s * b, A[3 * k + q] = s * a + c * b;
    }
    for (int k = 0; k < 3; k++) {
        double a = A[3 * p + k], b = A[3 * q + k];
        A[3 * p + k] = c * a - s * b, A[3 * q + k] = s * a + c * b;
        a = V[3 * k + p], b = V[3 * k + q];
        V[3 * k + p] = c * a - s * b, V[3 * k + q] = s * a + c * b;
    }
}

void gv_eigen_sym3(const double A[9], double values[3], double V[9]) {
    double M[9];
    memcpy(M, A, sizeof M);
    gv_so3_identity(V);
    for (int sweep = 0; sweep < 20; sweep++) {
        double off = fabs(M[1]) + fabs(M[2]) + fabs(M[5]);
        if (off <= 1e-300 || off < 1e-17 * (fabs(M[0]) + fabs(M[4]) + fabs(M[8]))) break;
        jacobi_rotate(M, V, 0, 1);
        jacobi_rotate(M, V, 0, 2);
        jacobi_rotate(M, V, 1, 2);
    }
    for (int i = 0; i < 3; i++) values[i] = M[4 * i];
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2 - i; j++)
            if (values[j] > values[j + 1]) {
                double t = values[j];
                values[j] = values[j + 1], values[j + 1] = t;
                for (int k = 0; k < 3; k++) t = V[3 * k + j], V[3 * k + j] = V[3 * k + j + 1], V[3 * k + j + 1] = t;
            }
}

bool gv_inverse_sym3(double inv[9], const double A[9]) {
    double C[9]; // cofactors; symmetric
    gv_cross3(C, A + 3, A + 6);
    gv_cross3(C + 3, A + 6, A);
    gv_cross3(C + 6, A, A + 3);
    double d = gv_dot3(A, C), scale = A[0] + A[4] + A[8];
    if (!(d > 1e-18 * scale * scale * scale)) return false;
    for (int i = 0; i < 9; i++) inv[i] = C[i] / d;
    return true;
}
