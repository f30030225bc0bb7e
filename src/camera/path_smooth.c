#include "camera/path_smooth.h"

#include "base/memory.h"
#include "geometry/linalg.h"
#include "geometry/so3.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    ORDER = 4,
    PIECE = 150,  // frames that share one idea of noise and motion
    OVERLAP = 40, // of pieces, over which one gives way to the next
    LEAST = 16,   // frames of a stretch that is smoothed
    FINEST = -24, // powers of two of the weight of smoothness that are tried
    COARSEST = 13,
};
// Root mean square change that can be error, in errors of a track: errors that all tracks share. Measured on rendered
// clips they are 0.25 to 0.45 of it, by day and by night.
static const double SHARED = 0.6;
static const double difference[ORDER + 1] = {1, -4, 6, -4, 1};

typedef struct work {
    double A[PIECE * (ORDER + 1)], penalty[PIECE * (ORDER + 1)]; // banded, as in linalg.h
    double x[PIECE], trial[PIECE], best[PIECE];
} work;

// The band of D^T D, D the fourth differences of n values.
static void fill_penalty(work *w, int n) {
    memset(w->penalty, 0, sizeof w->penalty);
    for (int i = 0; i + ORDER < n; i++)
        for (int a = 0; a <= ORDER; a++)
            for (int b = 0; b <= a; b++)
                w->penalty[(i + a) * (ORDER + 1) + ORDER - (a - b)] += difference[a] * difference[b];
}

// Smooths x at one weight into w->trial. Returns minus twice the logarithm of its likelihood, up to a constant.
static double try_weight(work *w, int n, double weight) {
    int m = n - ORDER;
    double logdet = 0, rss = 0;
    for (int i = 0; i < n * (ORDER + 1); i++) w->A[i] = weight * w->penalty[i];
    for (int i = 0; i < n; i++) w->A[i * (ORDER + 1) + ORDER] += 1;
    if (!gv_cholesky_banded(w->A, n, ORDER)) return INFINITY;
    memcpy(w->trial, w->x, n * sizeof *w->x);
    gv_cholesky_banded_solve(w->A, n, ORDER, w->trial);
    for (int i = 0; i < n; i++)
        logdet += 2 * log(w->A[i * (ORDER + 1) + ORDER]), rss += w->x[i] * (w->x[i] - w->trial[i]);
    return rss > 1e-24 * n ? m * log(rss / m) + logdet - m * log(weight) : INFINITY;
}

// The change of one axis that makes it most likely, into w->best; none where the most likely one is beyond `most`.
static void smooth_axis(work *w, int n, double most) {
    double least = INFINITY;
    bool beyond = true;
    for (int p = FINEST; p <= COARSEST; p++) {
        double l = try_weight(w, n, ldexp(1, p)), moved = 0;
        if (!(l < least)) continue;
        least = l;
        for (int i = 0; i < n; i++) w->best[i] = w->trial[i] - w->x[i], moved += w->best[i] * w->best[i];
        beyond = moved > n * most * most;
    }
    if (beyond) memset(w->best, 0, sizeof w->best);
}

// What frames first .. first + n - 1 should be turned by, in camera axes.
static void smooth_piece(work *w, double (*R)[9], const float *noise, double radius, long first, int n,
                         double (*turn)[3]) {
    double error = 0;
    for (int i = 0; i < n; i++) error += (double)noise[first + i] / n;
    double angle[PIECE][3] = {{0}};
    for (int i = 1; i < n; i++) {
        double step[9], v[3];
        gv_so3_mul_nt(step, R[first + i], R[first + i - 1]);
        gv_so3_log(v, step);
        for (int a = 0; a < 3; a++) angle[i][a] = angle[i - 1][a] + v[a];
    }
    fill_penalty(w, n);
    for (int a = 0; a < 3; a++) {
        double mean = angle[n / 2][a]; // small numbers: the likelihood takes differences
        for (int i = 0; i < n; i++) w->x[i] = angle[i][a] - mean;
        smooth_axis(w, n, SHARED * error / (a == 2 ? radius : 1)); // about the optical axis a pixel is a larger angle
        for (int i = 0; i < n; i++) turn[i][a] = w->best[i];
    }
}

// One stretch of frames that are all known, in pieces that overlap.
static void smooth_stretch(work *w, double (*R)[9], const float *noise, double radius, long first, long end,
                           double (*sum)[3]) {
    double turn[PIECE][3];
    for (long at = first;; at += PIECE - OVERLAP) {
        bool last = at + PIECE >= end;
        long from = last && end - PIECE > first ? end - PIECE : at; // the last piece is as long as the others
        int n = (int)((end < from + PIECE ? end : from + PIECE) - from);
        smooth_piece(w, R, noise, radius, from, n, turn);
        long blended = from == first ? first : at + OVERLAP; // from here on this piece counts alone
        for (int i = 0; i < n; i++) {
            long f = from + i;
            if (f < at) continue;
            double k = f >= blended ? 1 : (double)(f - at + 1) / (OVERLAP + 1);
            for (int a = 0; a < 3; a++) sum[f][a] += k * (turn[i][a] - sum[f][a]);
        }
        if (last) return;
    }
}

gv_status gv_path_smooth(double (*R)[9], const float *noise, double radius, long frames, gv_error *err) {
    work *w = gv_calloc2(1, sizeof *w);
    double(*turn)[3] = gv_calloc2((size_t)frames, sizeof *turn);
    gv_status s = w && turn ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory to smooth %ld rotations", frames);
    for (long f = 0, end; s == GV_OK && f < frames; f = end + 1) {
        for (end = f; end < frames && noise[end] >= 0; end++) {
        }
        if (end - f >= LEAST) smooth_stretch(w, R, noise, radius, f, end, turn);
    }
    for (long f = 0; s == GV_OK && f < frames; f++) gv_so3_update(R[f], turn[f]);
    free(w), free(turn);
    return s;
}
