#include "camera/calibrate.h"

#include "base/memory.h"
#include "base/order.h"
#include "camera/window.h"
#include "geometry/linalg.h"
#include "geometry/so3.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    REACH = 71,       // frames from the first to the second view at most
    PAIRS = 40,       // with the largest displacement
    CANDIDATES = 240, // first views that are looked at
    LEAST_SHARED = 25,
    WINDOWS = 14,
    WINDOW_POSES = 7,
    LEAST_WINDOWS = 3,
    ROUNDS = 9, // of windows
};
static const double LEAST_MOVED = 25;  // reduced px, median displacement of a pair that can tell anything
static const double SURE = 0.035;      // largest standard deviation with which a focal length is found
static const double TURNED = 0.08;     // rad, least rotation in the pair that turned most
static const double SETTLED = 2e-4;    // change of log_ratio after which pairs are not adjusted again
static const double CONVERGED = 0.002; // change of log_ratio after which windows are not adjusted again
// Reduced px, error of a track: up to the first, rotation alone explains the pairs; up to the second, about.
static const double ROTATION_EXPLAINS = 0.2, ROTATION_FITS = 0.6;
static const double FLOOR = 0.004; // what lenses and shutters leave however many tracks there are
static const double ONE_EVENT =
    25; // frames: a shorter motion is seen once, and its windows share whatever is wrong with it

typedef struct pair {
    long from, to;
    int n;
    double moved; // reduced px
    gv_match *m;  // [n]
    double R[9];
} pair;

typedef struct job {
    const gv_tracks_store *tracks;
    double unit;
    int pairs;
    pair pair[PAIRS];
    struct {
        gv_window *window; // NULL: not looked at yet
        bool ok;
    } view[WINDOWS];
    double errors[GV_CORNERS_MAX * PAIRS];
} job;

// --- pairs ---------------------------------------------------------------------------------------------

static double median_displacement(const gv_match *m, int n, double unit) {
    double d[GV_CORNERS_MAX];
    for (int i = 0; i < n; i++) d[i] = hypot(m[i].b[0] - m[i].a[0], m[i].b[1] - m[i].a[1]) / unit;
    gv_sort_doubles(d, (size_t)n);
    return d[n / 2];
}

// The last frame that still sees a good part of the first view's tracks.
static const gv_track_frame *farthest(const job *j, const gv_track_frame *a) {
    int least = a->count * 35 / 100 > LEAST_SHARED ? a->count * 35 / 100 : LEAST_SHARED;
    const gv_track_frame *best = NULL;
    for (long f = a->frame + 4; f <= a->frame + REACH; f += 4) {
        const gv_track_frame *b = gv_tracks_store_at(j->tracks, f);
        if (!b) break;
        if (gv_tracks_shared(a, b) >= least) best = b; // a covered frame in between does not matter
    }
    return best;
}

// Keeps the PAIRS candidates that moved most.
static gv_status offer(job *j, const gv_track_frame *a, const gv_track_frame *b, gv_error *err) {
    gv_match m[GV_CORNERS_MAX];
    int n = gv_tracks_match(a, b, 1, m), at = j->pairs;
    double moved = median_displacement(m, n, j->unit);
    if (moved < LEAST_MOVED) return GV_OK;
    if (at == PAIRS)
        for (int i = at = 0; i < PAIRS; i++)
            if (j->pair[i].moved < j->pair[at].moved) at = i;
    pair *p = &j->pair[at];
    if (j->pairs == PAIRS && p->moved >= moved) return GV_OK;
    gv_match *copy = gv_calloc2((size_t)n, sizeof *copy);
    if (!copy) return gv_fail(err, GV_ERR_MEMORY, "no memory to measure the focal length");
    memcpy(copy, m, (size_t)n * sizeof *copy);
    free(p->m);
    *p = (pair){.from = a->frame, .to = b->frame, .n = n, .moved = moved, .m = copy};
    if (at == j->pairs) j->pairs++;
    return GV_OK;
}

static gv_status choose_pairs(job *j, const long *frames, long n, gv_error *err) {
    long step = 1 + n / CANDIDATES;
    for (long k = 0; k < n; k += step) {
        const gv_track_frame *a = gv_tracks_store_at(j->tracks, frames[k]),
                             *b = a && a->count >= LEAST_SHARED ? farthest(j, a) : NULL;
        gv_status s = b ? offer(j, a, b, err) : GV_OK;
        if (s != GV_OK) return s;
    }
    return GV_OK;
}

// --- rotation alone ------------------------------------------------------------------------------------

typedef struct residual {
    double x, y;         // predicted minus observed, in units of the tracks
    double jx[3], jy[3]; // by the rotation (left increment)
    double lx, ly;       // by log_ratio
    bool valid;
} residual;

// k = exp(-log_ratio) takes the tracks to today's focal length; the residual is taken back to theirs.
static residual residual_of(const double R[9], double k, const gv_match *m) {
    double v[3] = {k * m->a[0], k * m->a[1], 1}, p[3];
    gv_so3_apply(p, R, v);
    residual r = {.valid = p[2] > 0.05};
    if (!r.valid) return r;
    double z = 1 / p[2], u = p[0] * z, w = p[1] * z;
    r.x = u / k - m->b[0], r.y = w / k - m->b[1];
    double jx[3] = {-u * w, 1 + u * u, -w}, jy[3] = {-1 - w * w, u * w, u};
    for (int i = 0; i < 3; i++) r.jx[i] = jx[i] / k, r.jy[i] = jy[i] / k;
    double du = ((R[0] - u * R[6]) * v[0] + (R[1] - u * R[7]) * v[1]) * z,
           dw = ((R[3] - w * R[6]) * v[0] + (R[4] - w * R[7]) * v[1]) * z;
    r.lx = (u - du) / k, r.ly = (w - dw) / k;
    return r;
}

typedef struct step { // what one pair says about log_ratio once its rotation is eliminated
    double information, gradient, cost;
} step;

// One Gauss-Newton step of the pair's rotation at a fixed focal length; c: scale of the Geman-McClure kernel.
static step turn_pair(pair *p, double k, double c, bool move) {
    double H[9] = {0}, g[3] = {0}, h[3] = {0}, L[9], Hh[3];
    step s = {0};
    for (int i = 0; i < p->n; i++) {
        residual r = residual_of(p->R, k, p->m + i);
        if (!r.valid) {
            s.cost += c * c;
            continue;
        }
        double e2 = r.x * r.x + r.y * r.y, q = 1 / (1 + e2 / (c * c));
        s.cost += e2 * q, q *= q;
        for (int a = 0; a < 3; a++) {
            g[a] -= q * (r.jx[a] * r.x + r.jy[a] * r.y), h[a] += q * (r.jx[a] * r.lx + r.jy[a] * r.ly);
            for (int b = 0; b <= a; b++) H[3 * a + b] += q * (r.jx[a] * r.jx[b] + r.jy[a] * r.jy[b]);
        }
        s.information += q * (r.lx * r.lx + r.ly * r.ly), s.gradient -= q * (r.lx * r.x + r.ly * r.y);
    }
    for (int a = 0; a < 3; a++) H[4 * a] += 1e-9;
    memcpy(L, H, sizeof L), memcpy(Hh, h, sizeof h);
    if (!gv_cholesky(L, 3)) return (step){.cost = s.cost};
    gv_cholesky_solve(L, 3, Hh);
    s.information = fmax(0, s.information - gv_dot3(h, Hh)), s.gradient -= gv_dot3(g, Hh);
    if (move) gv_cholesky_solve(L, 3, g), gv_so3_update(p->R, g);
    return s;
}

static double cost_at(job *j, double log_ratio, double c, int iterations) {
    double sum = 0, k = exp(-log_ratio), cost[PAIRS];
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < j->pairs; i++) {
        pair *p = &j->pair[i];
        for (int it = 0; it < iterations; it++) turn_pair(p, k, c, true);
        cost[i] = turn_pair(p, k, c, false).cost / p->n;
    }
    for (int i = 0; i < j->pairs; i++) sum += cost[i];
    return sum;
}

static void first_rotations(job *j, double log_ratio) {
    double k = exp(-log_ratio);
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < j->pairs; i++) {
        pair *p = &j->pair[i];
        gv_match scaled[GV_CORNERS_MAX];
        for (int q = 0; q < p->n; q++)
            for (int a = 0; a < 2; a++) scaled[q].a[a] = k * p->m[q].a[a], scaled[q].b[a] = k * p->m[q].b[a];
        gv_so3_identity(p->R);
        gv_relative_rotation(p->R, scaled, p->n, 4 * j->unit * k, 60, (uint32_t)p->from + 1);
    }
}

// The best of a range of focal lengths.
static double search(job *j, double lo, double hi) {
    enum { STEPS = 24 };
    double best = INFINITY, at = lo;
    for (int s = 0; s <= STEPS; s++) {
        double l = lo + (hi - lo) * s / STEPS;
        if (s % 6 == 0) first_rotations(j, l);
        double c = cost_at(j, l, 5 * j->unit, 4);
        if (c < best) best = c, at = l;
    }
    first_rotations(j, at);
    cost_at(j, at, 5 * j->unit, 4);
    return at;
}

// Error of one coordinate by the 40th percentile of the residuals, in units of the tracks.
static double measured_error(job *j, double log_ratio) {
    int n = 0;
    double k = exp(-log_ratio);
    for (int i = 0; i < j->pairs; i++)
        for (int q = 0; q < j->pair[i].n; q++) {
            residual r = residual_of(j->pair[i].R, k, j->pair[i].m + q);
            j->errors[n++] = r.valid ? r.x * r.x + r.y * r.y : INFINITY;
        }
    gv_sort_doubles(j->errors, (size_t)n);
    return sqrt(j->errors[n * 2 / 5] / 1.02);
}

// What many estimates with their information (1 / variance) say together; the spread decides where it is larger
// than they claim.
static void combine(const double *value, const double *information, int n, double *mean, double *sd) {
    double top = 0, bottom = 0, chi2 = 0;
    for (int i = 0; i < n; i++) top += information[i] * value[i], bottom += information[i];
    *mean = bottom > 0 ? top / bottom : 0;
    for (int i = 0; i < n; i++) chi2 += information[i] * (value[i] - *mean) * (value[i] - *mean);
    // neighbouring views share tracks: a third of them counts as independent
    double ratio = n > 1 ? fmax(1, 3 * chi2 / (n - 1)) : 9;
    *sd = bottom > 0 ? sqrt(ratio / bottom) + FLOOR : INFINITY;
}

// Gauss-Newton over all pairs. Returns the error of a coordinate, reduced px.
static double refine(job *j, double *log_ratio, double *sd) {
    double sigma = 2 * j->unit, value[PAIRS], information[PAIRS];
    for (int it = 0; it < 14; it++) {
        double k = exp(-*log_ratio), move;
        if (it >= 4) sigma = fmax(0.05 * j->unit, measured_error(j, *log_ratio));
#pragma omp parallel for schedule(dynamic, 1)
        for (int i = 0; i < j->pairs; i++) {
            turn_pair(&j->pair[i], k, 3 * sigma, true);
            step s = turn_pair(&j->pair[i], k, 3 * sigma, false);
            information[i] = s.information / (sigma * sigma);
            value[i] = s.information > 0 ? s.gradient / s.information : 0;
        }
        combine(value, information, j->pairs, &move, sd);
        *log_ratio += fmax(-0.1, fmin(0.1, move));
        if (it > 5 && fabs(move) < SETTLED) break;
    }
    return sigma / j->unit;
}

static double largest_turn(const job *j) {
    double turn = 0, I[9];
    gv_so3_identity(I);
    for (int i = 0; i < j->pairs; i++) turn = fmax(turn, gv_so3_angle(I, j->pair[i].R));
    return turn;
}

static bool within_a_pair(const job *j, long from, long to) {
    for (int i = 0; i < j->pairs; i++)
        if (from >= j->pair[i].from && to <= j->pair[i].to) return true;
    return false;
}

// Over how many of the pairs' frames the motion is spread: their number where it is even (participation ratio).
static double moving_frames(const job *j) {
    enum { STEP = 4 };
    double sum = 0, squares = 0;
    long first = j->pair[0].from, last = j->pair[0].to;
    for (int i = 1; i < j->pairs; i++) {
        if (j->pair[i].from < first) first = j->pair[i].from;
        if (j->pair[i].to > last) last = j->pair[i].to;
    }
    for (long f = first; f + STEP <= last; f++) {
        const gv_track_frame *a = gv_tracks_store_at(j->tracks, f), *b = gv_tracks_store_at(j->tracks, f + STEP);
        if (!a || !b || !within_a_pair(j, f, f + STEP)) continue;
        gv_match m[GV_CORNERS_MAX];
        int n = gv_tracks_match(a, b, 1, m);
        if (n < LEAST_SHARED) continue;
        double moved = median_displacement(m, n, j->unit);
        sum += moved, squares += moved * moved;
    }
    return squares > 0 ? sum * sum / squares : 0;
}

// --- windows -------------------------------------------------------------------------------------------

static void observe(gv_window_pose *o, const gv_track_frame *a, const gv_track_frame *b, double k) {
    for (int i = 0; i < GV_WINDOW_POINTS; i++) o->obs[0][i] = o->obs[1][i] = NAN;
    for (int i = 0, r = 0; i < a->count && r < b->count;)
        if (a->id[i] == b->id[r])
            o->obs[0][i] = k * b->x[r], o->obs[1][i++] = k * b->y[r++];
        else if (a->id[i] < b->id[r])
            i++;
        else
            r++;
}

// The views of a pair and between them; `again`: what an earlier round found is expected.
static bool fill_window(const job *j, gv_window *w, const pair *p, double k, bool again) {
    const gv_track_frame *a = gv_tracks_store_at(j->tracks, p->from);
    w->points = a->count, w->poses = 0, w->calibrate = true, w->warm = again && w->moved;
    for (int i = 0; i < a->count; i++) w->a[0][i] = k * a->x[i], w->a[1][i] = k * a->y[i];
    double I[9];
    gv_so3_identity(I);
    for (int q = 1; q <= WINDOW_POSES; q++) {
        const gv_track_frame *b = gv_tracks_store_at(j->tracks, p->from + (p->to - p->from) * q / WINDOW_POSES);
        if (!b || gv_tracks_shared(a, b) < LEAST_SHARED) continue;
        gv_window_pose *o = &w->pose[w->poses++];
        o->predicted = w->warm;
        if (w->warm) memcpy(o->expected_R, o->R, sizeof o->R), memcpy(o->expected_t, o->t, sizeof o->t);
        if (!again) gv_so3_interpolate(o->R, I, p->R, (double)q / WINDOW_POSES);
        observe(o, a, b, k);
    }
    return w->poses > 1;
}

// Window i at today's focal length.
static gv_status adjust_window(job *j, int i, int at, double k, gv_error *err) {
    bool again = j->view[i].window;
    if (!again) j->view[i].window = gv_calloc2(1, sizeof(gv_window));
    if (!j->view[i].window) return gv_fail(err, GV_ERR_MEMORY, "no memory to measure the focal length");
    j->view[i].ok = fill_window(j, j->view[i].window, &j->pair[at], k, again);
    if (!j->view[i].ok) return GV_OK;
    return gv_window_solve(j->view[i].window, 0.05 * j->unit * k, (unsigned)at + 1, err);
}

// All windows once: what each says, n of them.
static gv_status adjust_round(job *j, double k, double *value, double *information, int *n, double *turn,
                              gv_error *err) {
    gv_error errors[WINDOWS] = {{0}};
    gv_status status[WINDOWS] = {GV_OK};
    int stride = 1 + (j->pairs - 1) / WINDOWS, windows = (j->pairs + stride - 1) / stride;
    double I[9];
    gv_so3_identity(I);
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < windows; i++) status[i] = adjust_window(j, i, i * stride, k, &errors[i]);
    *n = 0;
    for (int i = 0; i < windows; i++) {
        if (status[i] != GV_OK) return *err = errors[i], status[i];
        const gv_window *w = j->view[i].window;
        if (!j->view[i].ok) continue;
        value[*n] = w->focal_step, information[(*n)++] = w->focal_information;
        *turn = fmax(*turn, gv_so3_angle(I, w->pose[w->poses - 1].R));
    }
    return GV_OK;
}

// From windows with translation, starting at *log_ratio. Returns how far the camera turns in *turn.
static gv_status adjust_windows(job *j, double *log_ratio, double *sd, double *turn, double lo, double hi,
                                gv_error *err) {
    *sd = INFINITY, *turn = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double value[WINDOWS], information[WINDOWS], move;
        int n;
        gv_status s = adjust_round(j, exp(-*log_ratio), value, information, &n, turn, err);
        if (s != GV_OK) return s;
        combine(value, information, n, &move, sd);
        *log_ratio = fmax(lo, fmin(hi, *log_ratio + fmax(-0.25, fmin(0.25, move))));
        if (n < LEAST_WINDOWS) *sd = INFINITY;
        if (n < LEAST_WINDOWS || fabs(move) < CONVERGED) break;
        if (round == ROUNDS - 1) *sd += fabs(move); // still on its way
    }
    return GV_OK;
}

gv_status gv_calibrate(gv_calibration *out, const gv_tracks_store *tracks, const long *frames, long n, double unit,
                       double lo, double hi, gv_error *err) {
    *out = (gv_calibration){0};
    job *j = gv_calloc2(1, sizeof *j);
    if (!j) return gv_fail(err, GV_ERR_MEMORY, "no memory to measure the focal length");
    j->tracks = tracks, j->unit = unit;
    gv_status s = choose_pairs(j, frames, n, err);
    if (s != GV_OK || j->pairs < 2 || moving_frames(j) < ONE_EVENT) goto done;
    double l = search(j, lo, hi), error = refine(j, &l, &out->sd);
    bool inside = l > lo && l < hi;
    out->turn = largest_turn(j);
    if (!(error < ROTATION_EXPLAINS) || !inside) { // the camera moves, too
        bool near = error < ROTATION_FITS && inside;
        double start = near ? l : 0.5 * (lo + hi), moved = start, sd,
               turn; // a bad fit is no better a start than the middle
        s = adjust_windows(j, &moved, &sd, &turn, lo, hi, err);
        if (s == GV_OK && (!near || sd < SURE)) l = moved, out->sd = sd, out->turn = fmax(turn, near ? out->turn : 0);
    }
    out->log_ratio = l;
    out->found = s == GV_OK && out->sd < SURE && out->turn > TURNED && l > lo + 0.01 && l < hi - 0.01;
done:
    for (int i = 0; i < j->pairs; i++) free(j->pair[i].m);
    for (int i = 0; i < WINDOWS; i++) free(j->view[i].window);
    free(j);
    return s;
}
