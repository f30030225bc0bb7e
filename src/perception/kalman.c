#include "perception/kalman.h"

#include <math.h>
#include <string.h>

static const double BOX_NOISE = 1.0 / 20, VELOCITY_NOISE = 1.0 / 160;

static double square(double a) {
    return a * a;
}

static double side(const double *xywh, int i) { // the length that scales the noise of component i
    return xywh[i & 1 ? 3 : 2];
}

void gv_kalman_start(gv_kalman *k, const double xywh[4]) {
    memset(k, 0, sizeof *k);
    for (int i = 0; i < 4; i++) {
        k->x[i] = xywh[i];
        k->P[i][i] = square(2 * BOX_NOISE * side(xywh, i));
        k->P[i + 4][i + 4] = square(10 * VELOCITY_NOISE * side(xywh, i));
    }
}

// x = F x, P = F P F' + Q with F = [I I; 0 I], Q from the size before the step.
void gv_kalman_predict(gv_kalman *k) {
    double q[8];
    for (int i = 0; i < 4; i++) {
        q[i] = square(BOX_NOISE * side(k->x, i));
        q[i + 4] = square(VELOCITY_NOISE * side(k->x, i));
    }
    for (int i = 0; i < 4; i++) k->x[i] += k->x[i + 4];
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 8; j++) k->P[i][j] += k->P[i + 4][j];
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 4; j++) k->P[i][j] += k->P[i][j + 4];
    for (int i = 0; i < 8; i++) k->P[i][i] += q[i];
}

// Lower Cholesky factor of a 4x4 matrix. Sizes of 0 px would make it singular: the floor keeps it regular.
static void cholesky4(double L[4][4], double S[4][4]) {
    memset(L, 0, 16 * sizeof(double));
    for (int i = 0; i < 4; i++)
        for (int j = 0; j <= i; j++) {
            double s = S[i][j];
            for (int m = 0; m < j; m++) s -= L[i][m] * L[j][m];
            L[i][j] = i == j ? sqrt(s > 1e-12 ? s : 1e-12) : s / L[j][j];
        }
}

static void solve4(double L[4][4], double b[4]) { // b = (L L')^-1 b
    for (int i = 0; i < 4; i++) {
        for (int m = 0; m < i; m++) b[i] -= L[i][m] * b[m];
        b[i] /= L[i][i];
    }
    for (int i = 3; i >= 0; i--) {
        for (int m = i + 1; m < 4; m++) b[i] -= L[m][i] * b[m];
        b[i] /= L[i][i];
    }
}

// S = H P H' + R, K = P H' S^-1, x += K (z - H x), P -= K S K'; H takes the first four components.
void gv_kalman_update(gv_kalman *k, const double xywh[4]) {
    double S[4][4], L[4][4], K[8][4], PHt[8][4];
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 4; j++) PHt[i][j] = k->P[i][j];
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++) S[i][j] = k->P[i][j];
        S[i][i] += square(BOX_NOISE * side(k->x, i));
    }
    cholesky4(L, S);
    double innovation[4];
    for (int i = 0; i < 4; i++) innovation[i] = xywh[i] - k->x[i];
    for (int i = 0; i < 8; i++) {
        memcpy(K[i], PHt[i], sizeof K[i]);
        solve4(L, K[i]);
        for (int j = 0; j < 4; j++) k->x[i] += K[i][j] * innovation[j];
    }
    for (int i = 0; i < 8; i++) // K S K' = K (P H')'
        for (int j = 0; j < 8; j++)
            for (int m = 0; m < 4; m++) k->P[i][j] -= K[i][m] * PHt[j][m];
}

void gv_kalman_warp(gv_kalman *k, const double warp[2][3]) {
    double M[8][8] = {{0}}, T[8][8];
    for (int b = 0; b < 8; b += 2)
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 2; j++) M[b + i][b + j] = warp[i][j];
    double x[8] = {0};
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) x[i] += M[i][j] * k->x[j];
    memcpy(k->x, x, sizeof x);
    k->x[0] += warp[0][2];
    k->x[1] += warp[1][2];
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) {
            T[i][j] = 0;
            for (int m = 0; m < 8; m++) T[i][j] += M[i][m] * k->P[m][j];
        }
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) {
            k->P[i][j] = 0;
            for (int m = 0; m < 8; m++) k->P[i][j] += T[i][m] * M[j][m];
        }
}
