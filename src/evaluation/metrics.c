// metrics.c - alignment by the singular value decomposition of a 3x3 matrix, and means of distances.
#include "evaluation/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// A = U diag(d) V^T by one-sided Jacobi rotations on the columns, d descending; U and V row-major.
static void svd3(double U[9], double d[3], double V[9], const double A[9]) {
    double M[9];
    memcpy(M, A, sizeof M);
    for (int i = 0; i < 9; i++) V[i] = i % 4 == 0;
    for (int sweep = 0; sweep < 30; sweep++)
        for (int p = 0; p < 2; p++)
            for (int q = p + 1; q < 3; q++) {
                double a = 0, b = 0, c = 0;
                for (int i = 0; i < 3; i++) {
                    a += M[3 * i + p] * M[3 * i + p];
                    b += M[3 * i + q] * M[3 * i + q];
                    c += M[3 * i + p] * M[3 * i + q];
                }
                if (fabs(c) <= 1e-17 * sqrt(a * b) || c == 0) continue;
                double z = (b - a) / (2 * c), t = (z >= 0 ? 1 : -1) / (fabs(z) + sqrt(1 + z * z)),
                       cs = 1 / sqrt(1 + t * t), sn = cs * t;
                for (int i = 0; i < 3; i++) {
                    double x = M[3 * i + p], y = M[3 * i + q];
                    M[3 * i + p] = cs * x - sn * y;
                    M[3 * i + q] = sn * x + cs * y;
                    x = V[3 * i + p], y = V[3 * i + q];
                    V[3 * i + p] = cs * x - sn * y;
                    V[3 * i + q] = sn * x + cs * y;
                }
            }
    for (int k = 0; k < 3; k++) d[k] = sqrt(M[k] * M[k] + M[3 + k] * M[3 + k] + M[6 + k] * M[6 + k]);
    for (int a = 0; a < 2; a++) // sort the three columns
        for (int k = 0; k < 2; k++)
            if (d[k] < d[k + 1]) {
                double t = d[k];
                d[k] = d[k + 1];
                d[k + 1] = t;
                for (int i = 0; i < 3; i++) {
                    t = M[3 * i + k], M[3 * i + k] = M[3 * i + k + 1], M[3 * i + k + 1] = t;
                    t = V[3 * i + k], V[3 * i + k] = V[3 * i + k + 1], V[3 * i + k + 1] = t;
                }
            }
    double tiny = 1e-12 * d[0] + 1e-300;
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 3; i++) U[3 * i + k] = d[k] > tiny ? M[3 * i + k] / d[k] : 0;
    if (d[0] <= tiny)
        for (int i = 0; i < 9; i++) U[i] = i % 4 == 0;
    else {
        if (d[1] <= tiny) { // any unit vector across the first
            int least = fabs(U[0]) < fabs(U[3]) ? (fabs(U[0]) < fabs(U[6]) ? 0 : 2) : (fabs(U[3]) < fabs(U[6]) ? 1 : 2);
            double e[3] = {0}, dot = U[3 * least], n = 0;
            e[least] = 1;
            for (int i = 0; i < 3; i++) {
                U[3 * i + 1] = e[i] - dot * U[3 * i];
                n += U[3 * i + 1] * U[3 * i + 1];
            }
            for (int i = 0; i < 3; i++) U[3 * i + 1] /= sqrt(n);
        }
        if (d[2] <= tiny)
            for (int i = 0; i < 3; i++) {
                int j = (i + 1) % 3, k = (i + 2) % 3;
                U[3 * i + 2] = U[3 * j] * U[3 * k + 1] - U[3 * k] * U[3 * j + 1];
            }
    }
}

static double det3(const double M[9]) {
    return M[0] * (M[4] * M[8] - M[5] * M[7]) - M[1] * (M[3] * M[8] - M[5] * M[6]) + M[2] * (M[3] * M[7] - M[4] * M[6]);
}

// C = (1/N) sum (y - my)(x - mx)^T = U D V^T;  R = U S V^T with S = diag(1, 1, sign);  s = tr(D S) / var(x)
// (SPEC.md 15.4)
gv_similarity gv_align(const float *x, const float *y, int n, int rigid) {
    gv_similarity a = {.s = 1};
    double mx[3] = {0}, my[3] = {0}, C[9] = {0}, var = 0, U[9], d[3], V[9];
    for (int i = 0; i < n; i++)
        for (int c = 0; c < 3; c++) {
            mx[c] += x[3 * i + c] / (double)n;
            my[c] += y[3 * i + c] / (double)n;
        }
    for (int i = 0; i < n; i++)
        for (int c = 0; c < 3; c++) {
            double dy = y[3 * i + c] - my[c], dx = x[3 * i + c] - mx[c];
            var += dx * dx / n;
            for (int k = 0; k < 3; k++) C[3 * c + k] += dy * (x[3 * i + k] - mx[k]) / n;
        }
    svd3(U, d, V, C);
    double sign = det3(U) * det3(V) < 0 ? -1 : 1;
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            a.R[3 * i + k] = U[3 * i] * V[3 * k] + U[3 * i + 1] * V[3 * k + 1] + sign * U[3 * i + 2] * V[3 * k + 2];
    if (!rigid && var > 0) a.s = (d[0] + d[1] + sign * d[2]) / var;
    for (int i = 0; i < 3; i++)
        a.t[i] = my[i] - a.s * (a.R[3 * i] * mx[0] + a.R[3 * i + 1] * mx[1] + a.R[3 * i + 2] * mx[2]);
    return a;
}

void gv_align_apply(float *out, const gv_similarity *a, const float *x, int n) {
    for (int i = 0; i < n; i++) {
        const double p[3] = {x[3 * i], x[3 * i + 1], x[3 * i + 2]};
        for (int c = 0; c < 3; c++)
            out[3 * i + c] =
                (float)(a->s * (a->R[3 * c] * p[0] + a->R[3 * c + 1] * p[1] + a->R[3 * c + 2] * p[2]) + a->t[c]);
    }
}

static double distance(const float *a, const float *b) {
    double x = (double)a[0] - b[0], y = (double)a[1] - b[1], z = (double)a[2] - b[2];
    return sqrt(x * x + y * y + z * z);
}

static double mean_aligned(const gv_similarity *a, const float *x, const float *y, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) {
        float p[3];
        gv_align_apply(p, a, x + 3 * i, 1);
        sum += distance(p, y + 3 * i);
    }
    return sum / n;
}

static void middle(float m[3], const float *joints, const int pelvis[2]) {
    for (int c = 0; c < 3; c++) m[c] = (joints[3 * pelvis[0] + c] + joints[3 * pelvis[1] + c]) / 2;
}

void gv_pve(float *out, const float *pp, const float *tp, int points, const float *pj, const float *tj, int frames,
            int joints, const int pelvis[2]) {
    for (int t = 0; t < frames; t++) {
        float a[3], b[3];
        double sum = 0;
        middle(a, pj + (long)t * joints * 3, pelvis);
        middle(b, tj + (long)t * joints * 3, pelvis);
        for (int i = 0; i < points; i++) {
            const float *p = pp + ((long)t * points + i) * 3, *q = tp + ((long)t * points + i) * 3;
            float x[3] = {p[0] - a[0], p[1] - a[1], p[2] - a[2]}, y[3] = {q[0] - b[0], q[1] - b[1], q[2] - b[2]};
            sum += distance(x, y);
        }
        out[t] = (float)(1000 * sum / points);
    }
}

void gv_mpjpe(float *out, const float *pred, const float *target, int frames, int joints, const int pelvis[2]) {
    gv_pve(out, pred, target, joints, pred, target, frames, joints, pelvis);
}

void gv_pa_mpjpe(float *out, const float *pred, const float *target, int frames, int joints) {
    for (int t = 0; t < frames; t++) {
        const float *x = pred + (long)t * joints * 3, *y = target + (long)t * joints * 3;
        gv_similarity a = gv_align(x, y, joints, 0);
        out[t] = (float)(1000 * mean_aligned(&a, x, y, joints));
    }
}

void gv_accel_error(float *out, const float *pred, const float *target, int frames, int joints, const int pelvis[2],
                    double fps) {
    for (int t = 1; t + 1 < frames; t++) {
        float a[3][3], b[3][3];
        double sum = 0;
        for (int k = 0; k < 3; k++) {
            middle(a[k], pred + (long)(t - 1 + k) * joints * 3, pelvis);
            middle(b[k], target + (long)(t - 1 + k) * joints * 3, pelvis);
        }
        for (int j = 0; j < joints; j++) {
            float x[3], y[3];
            for (int c = 0; c < 3; c++) {
                const float *p = pred + ((long)(t - 1) * joints + j) * 3 + c,
                            *q = target + ((long)(t - 1) * joints + j) * 3 + c;
                x[c] = (p[0] - a[0][c]) - 2 * (p[3 * joints] - a[1][c]) + (p[6 * joints] - a[2][c]);
                y[c] = (q[0] - b[0][c]) - 2 * (q[3 * joints] - b[1][c]) + (q[6 * joints] - b[2][c]);
            }
            sum += distance(x, y);
        }
        out[t - 1] = (float)(sum / joints * fps * fps);
    }
}

static void chunked(float *out, const float *pred, const float *target, int frames, int joints, int chunk,
                    int align_frames) {
    for (int from = 0; from < frames; from += chunk) {
        int n = frames - from < chunk ? frames - from : chunk, m = align_frames && align_frames < n ? align_frames : n;
        const float *x = pred + (long)from * joints * 3, *y = target + (long)from * joints * 3;
        gv_similarity a = gv_align(x, y, m * joints, 0);
        for (int t = 0; t < n; t++)
            out[from + t] =
                (float)(1000 * mean_aligned(&a, x + (long)t * joints * 3, y + (long)t * joints * 3, joints));
    }
}

void gv_wa_mpjpe(float *out, const float *pred, const float *target, int frames, int joints, int chunk) {
    chunked(out, pred, target, frames, joints, chunk, 0);
}

void gv_w_mpjpe(float *out, const float *pred, const float *target, int frames, int joints, int chunk) {
    chunked(out, pred, target, frames, joints, chunk, 2);
}

void gv_rte(float *out, const float *pred, const float *target, int frames) {
    gv_similarity a = gv_align(pred, target, frames, 1);
    double path = 0;
    for (int t = 0; t + 1 < frames; t++) path += distance(target + 3 * t, target + 3 * (t + 1));
    for (int t = 0; t < frames; t++) {
        float p[3];
        gv_align_apply(p, &a, pred + 3 * t, 1);
        out[t] = (float)(distance(p, target + 3 * t) / path * 100);
    }
}

void gv_jitter(float *out, const float *pred, int frames, int joints, double fps) {
    static const float zero[3];
    for (int t = 0; t + 3 < frames; t++) {
        double sum = 0;
        for (int j = 0; j < joints; j++) {
            const float *p = pred + ((long)t * joints + j) * 3;
            float x[3];
            for (int c = 0; c < 3; c++) x[c] = p[9 * joints + c] - 3 * p[6 * joints + c] + 3 * p[3 * joints + c] - p[c];
            sum += distance(x, zero);
        }
        out[t] = (float)(sum / joints * fps * fps * fps / 10);
    }
}

int gv_foot_sliding(float *out, const float *pred, const float *target, int frames, int n) {
    int count = 0;
    for (int t = 0; t + 1 < frames; t++)
        for (int i = 0; i < n; i++) {
            long a = ((long)t * n + i) * 3, b = a + 3L * n;
            if (distance(target + a, target + b) < 0.01) out[count++] = (float)(1000 * distance(pred + a, pred + b));
        }
    return count;
}
