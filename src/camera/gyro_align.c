#include "camera/gyro_align.h"

#include "base/memory.h"
#include "geometry/linalg.h"
#include "geometry/so3.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_STEPS = 20, COARSE_STEPS = 300, PEAKS = 6, GRID = 4000000 };
static const double COARSE = 0.008, FINE = 0.0005; // s, steps of the offset
static const double APART = 0.4; // s: offsets nearer to each other belong to one peak (slow turns have broad ones)
static const double LEAST_TURN = 0.01; // rad/s, spread of the picture's rate that can be correlated
static const double AGREES = 0.85;     // least correlation
// Where the camera hardly turns the picture's own error is most of what it shows: less is asked for where no more than that is left over,
// and the place in time is beyond doubt.
static const double AGREES_SMALL = 0.7, SMALL_STEP = 0.03 / 57.29577951308232; // rad per frame
static const double BETTER = 14;       // gain of n log-likelihoods for which a freer model is believed
static const double USUAL_BIAS = 0.07; // rad/s
static const double DEG = 57.29577951308232;

typedef struct step { // from one frame to the next
    double t0, t1;
    double v[3]; // rad/s, of the camera's axes
    double w;    // weight
} step;

typedef struct job {
    const gv_gyro *g;
    step *all, *few;
    int n, nfew;
    double (*integral)[3], start, grid; // of the rates, on an even grid
    long points;
} job;

// --- the log's integral --------------------------------------------------------------------------------

static gv_status integrate(job *j, gv_error *err) {
    const gv_gyro *g = j->g;
    double length = g->time_sec[g->count - 1] - g->time_sec[0];
    j->start = g->time_sec[0], j->grid = fmax(0.001, length / GRID);
    if (!(length < 1e6))
        return gv_fail(err, GV_ERR_FORMAT, "a gyroscope's log of %g s, expected a million at most: are its times right?", length);
    j->points = (long)(length / j->grid) + 2;
    j->integral = gv_calloc2((size_t)j->points, sizeof *j->integral);
    if (!j->integral) return gv_fail(err, GV_ERR_MEMORY, "no memory for a gyroscope's log of %g s", length);
    double sum[3] = {0};
    long p = 0;
    for (long i = 0; i + 1 < g->count; i++) {
        double a = g->time_sec[i], b = g->time_sec[i + 1], dt = b - a;
        for (; p < j->points && j->start + (double)p * j->grid <= b; p++) {
            double u = (j->start + (double)p * j->grid - a) / dt;
            for (int k = 0; k < 3; k++)
                j->integral[p][k] = sum[k] + dt * u * (g->rate[i][k] + 0.5 * u * (g->rate[i + 1][k] - g->rate[i][k]));
        }
        for (int k = 0; k < 3; k++) sum[k] += 0.5 * dt * (g->rate[i][k] + g->rate[i + 1][k]);
    }
    for (; p < j->points; p++) memcpy(j->integral[p], sum, sizeof sum);
    return GV_OK;
}

// Mean rate of the log from a to b; false beyond its ends. Gaps count as what their ends say: they are short or rare.
static bool mean_rate(const job *j, double a, double b, double w[3]) {
    double x = (a - j->start) / j->grid, y = (b - j->start) / j->grid;
    if (!(x >= 0) || !(y <= (double)(j->points - 2))) return false;
    long i = (long)x, k = (long)y;
    double u = x - (double)i, v = y - (double)k;
    for (int c = 0; c < 3; c++) {
        double from = j->integral[i][c] + u * (j->integral[i + 1][c] - j->integral[i][c]);
        double to = j->integral[k][c] + v * (j->integral[k + 1][c] - j->integral[k][c]);
        w[c] = (to - from) / (b - a);
    }
    return true;
}

// --- one offset ----------------------------------------------------------------------------------------

typedef struct sums { // weighted, of the steps that the log covers
    int n;
    double weight, v[3], w[3], A[9], vv, ww; // means; A = sum (v - mean)(w - mean)^T
} sums;

static sums correlate(const job *j, const step *s, int n, double offset) {
    sums q = {0};
    for (int i = 0; i < n; i++) {
        double w[3];
        if (!mean_rate(j, s[i].t0 + offset, s[i].t1 + offset, w)) continue;
        q.n++, q.weight += s[i].w;
        for (int a = 0; a < 3; a++) {
            q.v[a] += s[i].w * s[i].v[a], q.w[a] += s[i].w * w[a];
            q.vv += s[i].w * s[i].v[a] * s[i].v[a], q.ww += s[i].w * w[a] * w[a];
            for (int b = 0; b < 3; b++) q.A[3 * a + b] += s[i].w * s[i].v[a] * w[b];
        }
    }
    if (!(q.weight > 0)) return q;
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) q.A[3 * a + b] -= q.v[a] * q.w[b] / q.weight;
    for (int a = 0; a < 3; a++) {
        q.vv -= q.v[a] * q.v[a] / q.weight, q.ww -= q.w[a] * q.w[a] / q.weight;
        q.v[a] /= q.weight, q.w[a] /= q.weight;
    }
    return q;
}

// n log-likelihoods gained over no relation at all, for a fit whose trace(M^T A) is `trace`.
static double gain(const sums *q, double trace) {
    double r = trace / sqrt(fmax(1e-30, q->vv * q->ww));
    return q->n >= LEAST_STEPS && r > 0 ? -q->n * log(1 - fmin(r, 0.999999) * fmin(r, 0.999999)) : 0;
}

// Sum of A's singular values: the best trace that any orthogonal matrix reaches.
static double nuclear(const double A[9]) {
    double B[9], value[3], V[9];
    gv_so3_mul_tn(B, A, A);
    gv_eigen_sym3(B, value, V);
    return sqrt(fmax(0, value[0])) + sqrt(fmax(0, value[1])) + sqrt(fmax(0, value[2]));
}

static double trace_of(const double M[9], const double A[9]) {
    double t = 0;
    for (int i = 0; i < 9; i++) t += M[i] * A[i];
    return t;
}

// Orthogonal M with determinant `sign` that maximises trace(M^T A).
static void procrustes(double M[9], const double A[9], double sign) {
    double B[9], value[3], V[9], U[9], v[3][3], u[3][3];
    gv_so3_mul_tn(B, A, A);
    gv_eigen_sym3(B, value, V);
    for (int k = 0; k < 3; k++) // ascending values: the last column is the strongest
        for (int i = 0; i < 3; i++) v[k][i] = V[3 * i + 2 - k];
    gv_cross3(v[2], v[0], v[1]);
    gv_so3_apply(u[0], A, v[0]);
    if (!(gv_normalise3(u[0]) > 0)) u[0][0] = 1, u[0][1] = u[0][2] = 0;
    gv_so3_apply(u[1], A, v[1]);
    double along = gv_dot3(u[0], u[1]);
    for (int i = 0; i < 3; i++) u[1][i] -= along * u[0][i];
    if (!(gv_normalise3(u[1]) > 1e-300)) {
        double e[3] = {fabs(u[0][0]) < 0.6, fabs(u[0][0]) >= 0.6, 0};
        gv_cross3(u[1], u[0], e);
        gv_normalise3(u[1]);
    }
    gv_cross3(u[2], u[0], u[1]);
    for (int i = 0; i < 3; i++) u[2][i] *= sign;
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++) U[3 * i + k] = u[0][i] * v[0][k] + u[1][i] * v[1][k] + u[2][i] * v[2][k];
    memcpy(M, U, sizeof U);
}

// The best of the 24 right-handed orders of axes (48 with mirrored ones).
static double best_order(double M[9], const double A[9], bool mirrored) {
    static const int order[6][3] = {{0, 1, 2}, {1, 2, 0}, {2, 0, 1}, {1, 0, 2}, {0, 2, 1}, {2, 1, 0}};
    double best = -INFINITY;
    for (int p = 0; p < 6; p++)
        for (int s = 0; s < 8; s++) {
            double P[9] = {0}, sign = p < 3 ? 1 : -1;
            for (int i = 0; i < 3; i++) P[3 * i + order[p][i]] = s >> i & 1 ? -1 : 1, sign *= s >> i & 1 ? -1 : 1;
            double t = trace_of(P, A) - (s ? 1e-9 * fabs(trace_of(P, A)) : 0);
            if ((sign > 0) == mirrored || t <= best) continue;
            best = t;
            memcpy(M, P, sizeof P);
        }
    return trace_of(M, A);
}

// From plain to free: an order of axes, any rotation, mirrored ones; each must gain enough over the one before.
static void choose_axes(double M[9], const sums *q, bool of_picture) {
    double T[9], best, g;
    if (of_picture) { // there only an order that is far better is believed
        gv_so3_identity(M);
        best = gain(q, trace_of(M, q->A));
        if ((g = gain(q, best_order(T, q->A, false))) > 2 * best) memcpy(M, T, sizeof T);
        return;
    }
    best = gain(q, best_order(M, q->A, false));
    double mixed[9], tie = 1e-3 * nuclear(q->A); // axes that A does not determine follow the order
    for (int i = 0; i < 9; i++) mixed[i] = q->A[i] + tie * M[i];
    procrustes(T, mixed, 1);
    if ((g = gain(q, trace_of(T, q->A))) > best + BETTER) best = g, memcpy(M, T, sizeof T);
    if ((g = gain(q, best_order(T, q->A, true))) > best + BETTER) best = g, memcpy(M, T, sizeof T);
    procrustes(T, q->A, -1);
    if (gain(q, trace_of(T, q->A)) > best + BETTER) memcpy(M, T, sizeof T);
}

// --- the offset ----------------------------------------------------------------------------------------

// How unlikely the bias is that an offset asks for, in units of gain: sensors are off by a few degrees a second at most.
static double strangeness(const job *j, double offset) {
    sums q = correlate(j, j->all, j->n, offset);
    double M[9], mv[3], b2 = 0, scale;
    choose_axes(M, &q, j->g->of_picture);
    scale = trace_of(M, q.A) / fmax(1e-30, q.ww);
    gv_so3_apply_t(mv, M, q.v);
    for (int k = 0; k < 3; k++) b2 += pow(q.w[k] * scale - mv[k], 2);
    return b2 / (USUAL_BIAS * USUAL_BIAS);
}

typedef struct peak {
    double offset, gain;
} peak;

static double score(const job *j, const step *s, int n, double offset) {
    sums q = correlate(j, s, n, offset);
    return gain(&q, nuclear(q.A));
}

static void keep_peak(peak *p, double offset, double value) {
    for (int i = 0; i < PEAKS; i++) // one peak per 50 ms
        if (fabs(p[i].offset - offset) < 0.05 && p[i].gain > 0) {
            if (value > p[i].gain) p[i] = (peak){offset, value};
            return;
        }
    int least = 0;
    for (int i = 1; i < PEAKS; i++)
        if (p[i].gain < p[least].gain) least = i;
    if (value > p[least].gain) p[least] = (peak){offset, value};
}

// Every offset at which at least a third of the shorter one, and half a second, is covered.
static double find_offset(const job *j, double *best_gain, double *rival) {
    double g0 = j->g->time_sec[0], g1 = j->g->time_sec[j->g->count - 1];
    double v0 = j->all[0].t0, v1 = j->all[j->n - 1].t1, overlap = fmax(0.5, fmin(v1 - v0, g1 - g0) / 3);
    double coarse = fmax(COARSE, (g1 - g0 + v1 - v0) / 400000);
    peak p[PEAKS] = {{0}};
    for (double o = g0 - v1 + overlap; o <= g1 - v0 - overlap; o += coarse) {
        double s = score(j, j->few, j->nfew, o);
        if (s > 0) keep_peak(p, o, s);
    }
    double best = 0, second = 0, at = 0;
    for (int i = 0; i < PEAKS; i++) {
        if (!(p[i].gain > 0)) continue;
        double o = p[i].offset, top = score(j, j->all, j->n, o);
        for (double h = coarse; h >= FINE / 2; h *= 0.5)
            for (int d = -1; d <= 1; d += 2)
                for (double s; (s = score(j, j->all, j->n, o + d * h)) > top;) top = s, o += d * h;
        double a = score(j, j->all, j->n, o - 2 * FINE), b = score(j, j->all, j->n, o + 2 * FINE),
               bend = a + b - 2 * top;
        if (bend < 0) o += fmax(-1, fmin(1, 0.5 * (a - b) / bend)) * 2 * FINE; // vertex of the parabola
        top -= strangeness(j, o);
        if (top > best) {
            if (fabs(o - at) > APART) second = best;
            best = top, at = o;
        } else if (top > second && fabs(o - at) > APART) {
            second = top;
        }
    }
    *best_gain = best, *rival = second;
    return at;
}

// --- putting together ----------------------------------------------------------------------------------

static int by_length(const void *a, const void *b) {
    const double *x = ((const step *)a)->v, *y = ((const step *)b)->v;
    double d = gv_dot3(y, y) * ((const step *)b)->w - gv_dot3(x, x) * ((const step *)a)->w;
    return (d > 0) - (d < 0);
}

static gv_status make_steps(job *j, const double *time_sec, const gv_camera_path *c, gv_error *err) {
    j->all = gv_calloc2((size_t)c->frames, sizeof *j->all), j->few = gv_calloc2((size_t)c->frames, sizeof *j->few);
    if (!j->all || !j->few) return gv_fail(err, GV_ERR_MEMORY, "no memory for the steps of %d frames", c->frames);
    double mean[3] = {0};
    for (int f = 1; f < c->frames; f++) {
        double A[9], B[9], D[9], dt = time_sec[f] - time_sec[f - 1];
        if (!(dt > 1e-4) || c->confidence[f] < 0.2f) continue;
        for (int i = 0; i < 9; i++) A[i] = c->R_w2c[9 * f + i], B[i] = c->R_w2c[9 * f - 9 + i];
        gv_so3_mul_nt(D, A, B);
        step *s = &j->all[j->n++];
        *s = (step){.t0 = time_sec[f - 1], .t1 = time_sec[f], .w = c->confidence[f]};
        gv_so3_log(s->v, D);
        for (int i = 0; i < 3; i++) s->v[i] /= -dt, mean[i] += s->v[i];
    }
    memcpy(j->few, j->all, (size_t)j->n * sizeof *j->few);
    for (int i = 0; i < j->n; i++)
        for (int k = 0; k < 3; k++) j->few[i].v[k] -= mean[k] / j->n;
    qsort(j->few, (size_t)j->n, sizeof *j->few, by_length); // those that tell most
    j->nfew = j->n < COARSE_STEPS ? j->n : COARSE_STEPS;
    return GV_OK;
}

static double spread(const job *j) {
    double mean[3] = {0}, sum = 0;
    for (int i = 0; i < j->n; i++)
        for (int k = 0; k < 3; k++) mean[k] += j->all[i].v[k] / j->n;
    for (int i = 0; i < j->n; i++)
        for (int k = 0; k < 3; k++) sum += (j->all[i].v[k] - mean[k]) * (j->all[i].v[k] - mean[k]) / j->n;
    return sqrt(sum);
}

// Steps that do not fit lose weight (Cauchy), so that moving things in the picture do not bend the answer.
static void reweigh(job *j, const gv_gyro_alignment *a) {
    double *e = gv_calloc2((size_t)j->n, sizeof *e), sum = 0;
    int n = 0;
    for (int pass = 0; e && pass < 2; pass++)
        for (int i = 0; i < j->n; i++) {
            double w[3], p[3], d2 = 0;
            if (!mean_rate(j, j->all[i].t0 + a->offset_sec, j->all[i].t1 + a->offset_sec, w)) continue;
            for (int k = 0; k < 3; k++) w[k] = a->scale * (w[k] - a->bias[k]);
            gv_so3_apply(p, a->M, w);
            for (int k = 0; k < 3; k++) d2 += (p[k] - j->all[i].v[k]) * (p[k] - j->all[i].v[k]);
            if (pass == 0)
                sum += fmin(sqrt(d2), 1), n++;
            else
                j->all[i].w /= 1 + d2 / pow(2 * sum / n + 1e-9, 2);
        }
    free(e);
}

static void fit(gv_gyro_alignment *a, const job *j) {
    sums q = correlate(j, j->all, j->n, a->offset_sec);
    choose_axes(a->M, &q, j->g->of_picture);
    double t = trace_of(a->M, q.A), mv[3];
    a->agreement = t / sqrt(fmax(1e-30, q.vv * q.ww));
    a->scale = t / fmax(1e-30, q.ww);
    double MA[9], over[2] = {0}; // covariance of the picture's rate and the sensor's in the camera's axes
    gv_so3_mul_nt(MA, q.A, a->M);
    for (int i = 0; i < j->n; i++) {
        double w[3], c[3];
        if (!mean_rate(j, j->all[i].t0 + a->offset_sec, j->all[i].t1 + a->offset_sec, w)) continue;
        for (int k = 0; k < 3; k++) w[k] -= q.w[k];
        gv_so3_apply(c, a->M, w);
        for (int k = 0; k < 2; k++) over[k] += j->all[i].w * c[k] * c[k];
    }
    a->tilt_scale = (MA[0] + MA[4]) / fmax(1e-30, over[0] + over[1]);
    gv_so3_apply_t(mv, a->M, q.v);
    for (int k = 0; k < 3; k++) a->bias[k] = j->g->of_picture ? 0 : q.w[k] - mv[k] / a->scale;
}

// A log whose numbers are deg/s although they were taken for rad/s, or the other way round.
static bool correct_unit(gv_gyro_alignment *a, gv_gyro *g) {
    double k = 1;
    if (a->scale > 0.4 / DEG && a->scale < 2.5 / DEG) k = 1 / DEG;
    if (a->scale > 0.4 * DEG && a->scale < 2.5 * DEG) k = DEG;
    if (k == 1 || g->unit_known) return false;
    for (long i = 0; i < g->count; i++)
        for (int c = 0; c < 3; c++) g->rate[i][c] *= k;
    return true;
}

// What the sensor does not explain of a frame's turn, rad, root mean square.
static double left_over(const job *j, const gv_gyro_alignment *a) {
    sums q = correlate(j, j->all, j->n, a->offset_sec);
    double dt = 0;
    for (int i = 0; i < j->n; i++) dt += (j->all[i].t1 - j->all[i].t0) / j->n;
    return dt * sqrt(fmax(0, (1 - a->agreement * a->agreement) * q.vv) / fmax(1e-30, q.weight));
}

static void judge(gv_gyro_alignment *a, const job *j, double top, double rival) {
    bool small = a->agreement > AGREES_SMALL && top > 6 * BETTER && rival < 0.7 * top && left_over(j, a) < SMALL_STEP &&
                 fabs(log(fmax(1e-30, a->scale))) < 0.35; // a stabilised picture keeps a part of what the sensor turns
    if ((a->agreement < AGREES && !small) || top < 3 * BETTER)
        snprintf(
            a->why, sizeof a->why,
            "its turns and the picture's do not agree at any time (correlation %.2f): another clip's, or a picture "
            "stabilised afterwards",
            a->agreement);
    else if (rival > 0.9 * top)
        snprintf(a->why, sizeof a->why, "it fits the picture equally well at different times");
    else if (a->scale < 0.4 || a->scale > 2.5)
        snprintf(a->why, sizeof a->why, "the picture turns %.3g times as fast: a wrong unit or focal length", a->scale);
    else
        a->found = true;
}

gv_status gv_gyro_align(gv_gyro_alignment *a, gv_gyro *g, const double *time_sec, const gv_camera_path *visual,
                        gv_error *err) {
    *a = (gv_gyro_alignment){.scale = 1};
    job j = {.g = g};
    gv_status s = make_steps(&j, time_sec, visual, err);
    if (s != GV_OK) goto done;
    if (visual->is_static || j.n < LEAST_STEPS || spread(&j) < LEAST_TURN) {
        snprintf(a->why, sizeof a->why, "the picture turns too little to find when and how the sensor was mounted");
        goto done;
    }
    for (int attempt = 0; attempt < 2; attempt++) {
        if ((s = integrate(&j, err)) != GV_OK) goto done;
        double rival, top;
        a->offset_sec = find_offset(&j, &top, &rival);
        fit(a, &j);
        for (int round = 0; round < 2; round++) {
            reweigh(&j, a);
            double o = a->offset_sec, best = score(&j, j.all, j.n, o);
            for (double h = 0.004; h >= 1e-5; h *= 0.5)
                for (int d = -1; d <= 1; d += 2)
                    for (double v; (v = score(&j, j.all, j.n, o + d * h)) > best && fabs(o - a->offset_sec) < 0.05;)
                        best = v, o += d * h;
            a->offset_sec = o;
            fit(a, &j);
        }
        if (g->of_picture && score(&j, j.all, j.n, 0) > score(&j, j.all, j.n, a->offset_sec) - BETTER)
            a->offset_sec = 0, fit(a, &j); // frames of the video itself
        judge(a, &j, top, rival);
        free(j.integral);
        j.integral = NULL;
        if (a->found || !correct_unit(a, g)) break;
        a->why[0] = 0;
    }
done:
    free(j.all), free(j.few), free(j.integral);
    return s;
}

int gv_gyro_apply(gv_camera_path *path, const gv_gyro *g, const gv_gyro_alignment *a, const double *time_sec) {
    int used = 0;
    double M[9], k = !g->of_picture && path->focal_origin >= GV_FOCAL_MEASURED && fabs(a->scale - 1) < 0.05 ? a->scale : 1;
    for (int i = 0; i < 9; i++) M[i] = k * a->M[i];
    double R[9], before[9], now[9], D[9], N[9];
    gv_so3_identity(R), gv_so3_identity(before);
    for (int f = 1; f < path->frames; f++) {
        double t0 = time_sec[f - 1] + a->offset_sec, t1 = time_sec[f] + a->offset_sec;
        for (int i = 0; i < 9; i++) now[i] = path->R_w2c[9 * f + i];
        if (gv_gyro_covers(g, t0, t1)) {
            gv_gyro_integrate(D, g, t0, t1, a->bias, M);
            path->confidence[f] = fmaxf(path->confidence[f], (float)a->agreement), used++;
        } else {
            gv_so3_mul_nt(D, now, before);
        }
        gv_so3_mul(N, D, R);
        gv_so3_orthonormalise(N);
        memcpy(R, N, sizeof R), memcpy(before, now, sizeof now);
        for (int i = 0; i < 9; i++) path->R_w2c[9 * f + i] = (float)R[i];
    }
    if (path->frames > 1) path->confidence[0] = path->confidence[1];
    return used;
}
