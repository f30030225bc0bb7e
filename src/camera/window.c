#include "camera/window.h"

#include "base/memory.h"
#include "camera/relative.h"
#include "geometry/linalg.h"
#include "geometry/so3.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POSES = GV_WINDOW_POSES, POINTS = GV_WINDOW_POINTS, LEAST_POINTS = 6, DRAWS = 20 };
static const double KERNEL = 3;        // Geman-McClure scale in sigmas
static const double MOTION_GAIN = 1.2; // least mean saving per fitting point (sigma^2) for which motion is believed

typedef struct motion {
    double R[POSES][9], t[POSES][3], rho[POINTS];
} motion;

typedef struct scratch {
    motion rotation, best, other, trial;
    gv_match match[POINTS];
    double W[POINTS][POSES][6], V[POINTS], g_rho[POINTS];
    double S[36 * POSES * POSES], L[36 * POSES * POSES], g[6 * POSES], step[6 * POSES];
    double errors[2 * POINTS * POSES];
    bool use[POINTS]; // points that take part in the adjustment
} scratch;

typedef struct projection {
    double rx, ry;               // predicted minus observed
    double jx[6], jy[6], dx, dy; // derivatives: rotation, translation; inverse depth
    double lx, ly;               // by the logarithm of the focal length, in pixels of today's
    bool valid;
} projection;

static projection project(const double R[9], const double t[3], double rho, const double a[2], const double obs[2]) {
    double v[3] = {a[0], a[1], 1}, q[3], p[3];
    gv_so3_apply(q, R, v);
    for (int i = 0; i < 3; i++) p[i] = q[i] + rho * t[i];
    projection o = {.valid = p[2] > 0.05 && !isnan(obs[0])};
    if (!o.valid) return o;
    double z = 1 / p[2], u = p[0] * z, w = p[1] * z;
    o.rx = u - obs[0], o.ry = w - obs[1];
    o.jx[0] = -u * q[1] * z, o.jx[1] = (q[2] + u * q[0]) * z, o.jx[2] = -q[1] * z;
    o.jy[0] = -(q[2] + w * q[1]) * z, o.jy[1] = w * q[0] * z, o.jy[2] = q[0] * z;
    o.jx[3] = rho * z, o.jx[4] = 0, o.jx[5] = -u * rho * z;
    o.jy[3] = 0, o.jy[4] = rho * z, o.jy[5] = -w * rho * z;
    o.dx = (t[0] - u * t[2]) * z, o.dy = (t[1] - w * t[2]) * z;
    // a longer focal length brings `a` nearer to the axis, and what is predicted farther from it
    o.lx = u - ((R[0] - u * R[6]) * a[0] + (R[1] - u * R[7]) * a[1]) * z;
    o.ly = w - ((R[3] - w * R[6]) * a[0] + (R[4] - w * R[7]) * a[1]) * z;
    return o;
}

static double error2(const gv_window *w, const motion *m, int j, int i) {
    double v[3] = {w->a[i][0], w->a[i][1], 1}, p[3];
    gv_so3_apply(p, m->R[j], v);
    for (int k = 0; k < 3; k++) p[k] += m->rho[i] * m->t[j][k];
    if (!(p[2] > 0.05)) return INFINITY;
    double x = p[0] / p[2] - w->pose[j].obs[i][0], y = p[1] / p[2] - w->pose[j].obs[i][1];
    return x * x + y * y;
}

static int gather(const gv_window *w, int j, gv_match *m) {
    int n = 0;
    for (int i = 0; i < w->points; i++)
        if (!isnan(w->pose[j].obs[i][0])) {
            memcpy(m[n].a, w->a[i], sizeof m[n].a);
            memcpy(m[n++].b, w->pose[j].obs[i], sizeof m[n].b);
        }
    return n;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// --- starting points -----------------------------------------------------------------------------------

static void fit_rotations(gv_window *w, scratch *s, double sigma, unsigned seed) {
    memset(&s->rotation, 0, sizeof s->rotation);
    for (int j = 0; j < w->poses; j++) {
        memcpy(s->rotation.R[j], w->pose[j].R, sizeof w->pose[j].R);
        int n = gather(w, j, s->match);
        w->pose[j].seen = n;
        if (n >= LEAST_POINTS) gv_relative_rotation(s->rotation.R[j], s->match, n, sigma, DRAWS, seed + j);
    }
}

// Robust Gauss-Newton of one pose against known inverse depths.
static void fit_pose(const gv_window *w, motion *m, int j, double scale) {
    for (int it = 0; it < 6; it++) {
        double H[36] = {0}, g[6] = {0};
        for (int i = 0; i < w->points; i++) {
            if (isnan(m->rho[i])) continue;
            projection o = project(m->R[j], m->t[j], m->rho[i], w->a[i], w->pose[j].obs[i]);
            if (!o.valid) continue;
            double k = 1 / (1 + (o.rx * o.rx + o.ry * o.ry) / (scale * scale));
            k *= k;
            for (int r = 0; r < 6; r++) {
                g[r] -= k * (o.jx[r] * o.rx + o.jy[r] * o.ry);
                for (int c = 0; c <= r; c++) H[6 * r + c] += k * (o.jx[r] * o.jx[c] + o.jy[r] * o.jy[c]);
            }
        }
        for (int r = 0; r < 6; r++) H[7 * r] += 1e-9 + (r >= 3 ? 1e-6 : 0);
        if (!gv_cholesky(H, 6)) return;
        gv_cholesky_solve(H, 6, g);
        gv_so3_update(m->R[j], g);
        for (int k = 0; k < 3; k++) m->t[j][k] += g[3 + k];
    }
}

// The pose from which a motion is drawn: the last one that still sees most of the points.
static int base_pose(const gv_window *w) {
    int best = 0, most = 0;
    for (int j = 0; j < w->poses; j++)
        if (w->pose[j].seen > most) most = w->pose[j].seen;
    for (int j = 0; j < w->poses; j++)
        if (w->pose[j].seen >= 0.6 * most) best = j;
    return best;
}

static void draw_motion(const gv_window *w, motion *m, scratch *s, double sigma, unsigned seed) {
    *m = s->rotation;
    int base = base_pose(w), n = gather(w, base, s->match);
    double C[9], c[3], t[3];
    gv_relative_motion(m->R[base], t, w->pose[base].predicted ? w->pose[base].expected_R : NULL, s->match, n, sigma,
                       seed);
    memcpy(m->t[base], t, sizeof t);
    gv_so3_mul_nt(C, m->R[base], s->rotation.R[base]);
    gv_so3_log(c, C);
    for (int i = 0; i < w->points; i++) {
        gv_match q = {{w->a[i][0], w->a[i][1]}, {w->pose[base].obs[i][0], w->pose[base].obs[i][1]}};
        bool fits = !isnan(q.b[0]) && gv_epipolar_error(m->R[base], t, &q) < 4 * sigma;
        m->rho[i] = fits ? fmax(0, gv_inverse_depth(m->R[base], t, &q)) : NAN;
    }
    for (int j = 0; j < w->poses; j++) {
        if (j == base) continue;
        double k = fmin(1.5, (j + 1.) / (base + 1.)), d[3] = {k * c[0], k * c[1], k * c[2]};
        gv_so3_update(m->R[j], d);
        for (int i = 0; i < 3; i++) m->t[j][i] = k * t[i];
        fit_pose(w, m, j, 20 * sigma);
        fit_pose(w, m, j, 4 * sigma);
    }
}

// Inverse depths that a motion leaves open, from all poses that are known: linear least squares, then bounded.
static void complete_depths(const gv_window *w, motion *m) {
    for (int i = 0; i < w->points; i++) {
        if (!isnan(m->rho[i])) continue;
        double top = 0, bottom = 1e-12;
        for (int j = 0; j < w->poses; j++) {
            projection o = project(m->R[j], m->t[j], 0, w->a[i], w->pose[j].obs[i]);
            if (!o.valid || isnan(m->t[j][0])) continue;
            top -= o.dx * o.rx + o.dy * o.ry, bottom += o.dx * o.dx + o.dy * o.dy;
        }
        m->rho[i] = fmax(0, top / bottom);
    }
}

// The motion that the window before expects; false where it does not reach far enough, or did not move. Poses that
// it does not know start between their neighbours.
static bool expect_motion(const gv_window *w, motion *m, const scratch *s, double sigma) {
    int known = 0, last = -1;
    double longest = 0;
    *m = s->rotation;
    for (int j = 0; j < w->poses; j++) {
        const gv_window_pose *p = &w->pose[j];
        if (p->predicted)
            memcpy(m->R[j], p->expected_R, sizeof m->R[j]), memcpy(m->t[j], p->expected_t, sizeof m->t[j]), known++;
        else
            m->t[j][0] = NAN;
        if (p->predicted) longest = fmax(longest, gv_dot3(p->expected_t, p->expected_t));
    }
    if (known < 2 || !(longest > 0)) return false;
    for (int i = 0; i < w->points; i++) m->rho[i] = NAN;
    complete_depths(w, m);
    for (int j = 0; j < w->poses; j++) {
        if (w->pose[j].predicted) {
            last = j;
            continue;
        }
        int next = j + 1;
        while (next < w->poses && !w->pose[next].predicted) next++;
        double k = next < w->poses ? (j - last) / (double)(next - last) : 1;
        for (int i = 0; i < 3; i++) {
            double a = last >= 0 ? m->t[last][i] : 0, b = next < w->poses ? m->t[next][i] : a;
            m->t[j][i] = a + k * (b - a);
        }
        fit_pose(w, m, j, 20 * sigma);
        fit_pose(w, m, j, 4 * sigma);
    }
    return true;
}

// The same picture motion with near and far exchanged: small translations seen in a narrow view fit nearly as well,
// with the turn that the translation's mean takes over. Whichever fits better is right.
static void reverse_depths(const gv_window *w, motion *m, scratch *s) {
    int n = 0;
    for (int i = 0; i < w->points; i++)
        if (m->rho[i] > 0) s->errors[n++] = m->rho[i];
    if (!n) return;
    qsort(s->errors, n, sizeof(double), compare_doubles);
    double c = s->errors[n * 9 / 10];
    for (int i = 0; i < w->points; i++) m->rho[i] = fmax(0, c - m->rho[i]);
    for (int j = 0; j < w->poses; j++) {
        double turn[3] = {-c * m->t[j][1], c * m->t[j][0], 0};
        gv_so3_update(m->R[j], turn);
        for (int k = 0; k < 3; k++) m->t[j][k] = -m->t[j][k];
    }
}

// The largest translation gets length 1 (the scale is free).
static void normalise_scale(const gv_window *w, motion *m) {
    double longest = 0;
    for (int j = 0; j < w->poses; j++) longest = fmax(longest, sqrt(gv_dot3(m->t[j], m->t[j])));
    if (!(longest > 1e-9)) return;
    for (int j = 0; j < w->poses; j++)
        for (int k = 0; k < 3; k++) m->t[j][k] /= longest;
    for (int i = 0; i < w->points; i++) m->rho[i] *= longest;
}

// --- adjustment ----------------------------------------------------------------------------------------

// A point takes part when at least half of its observations agree within `limit`.
static void choose_points(const gv_window *w, const motion *m, double limit, bool *use) {
    for (int i = 0; i < w->points; i++) {
        int seen = 0, good = 0;
        for (int j = 0; j < w->poses; j++)
            if (!isnan(w->pose[j].obs[i][0])) seen++, good += error2(w, m, j, i) < limit * limit;
        use[i] = seen > 0 && 2 * good >= seen;
    }
}

static double robust_cost(const gv_window *w, const motion *m, const bool *use, double c) {
    double sum = 0;
    for (int j = 0; j < w->poses; j++)
        for (int i = 0; i < w->points; i++)
            if (use[i] && !isnan(w->pose[j].obs[i][0])) {
                double e2 = error2(w, m, j, i);
                sum += isinf(e2) ? c * c : e2 * c * c / (c * c + e2);
            }
    return sum;
}

// Takes point i's inverse depth out of the equations: S -= W W^T / V, g -= W g_rho / V.
static void eliminate_depth(const gv_window *w, scratch *s, int i, int n) {
    const double(*W)[6] = s->W[i];
    double v = 1 / s->V[i];
    for (int j = 0; j < w->poses; j++) {
        if (isnan(w->pose[j].obs[i][0])) continue; // W is zero
        for (int r = 0; r < 6; r++) {
            double k = W[j][r] * v, *row = s->S + (6 * j + r) * n;
            const double *all = (const double *)W; // [6 poses]
            s->g[6 * j + r] -= k * s->g_rho[i];
            for (int q = 0; q < 6 * j + 6; q++) row[q] -= k * all[q]; // beyond the diagonal: never looked at
        }
    }
}

// Normal equations with the inverse depths eliminated: s->S (lower triangle), s->g; s->W, V, g_rho kept for
// the way back. prior: information that holds the free scale.
static void build_system(const gv_window *w, const motion *m, scratch *s, double c, double damp, double prior) {
    int n = 6 * w->poses;
    memset(s->S, 0, (size_t)n * n * sizeof(double));
    memset(s->g, 0, n * sizeof(double));
    for (int i = 0; i < w->points; i++) {
        if (!s->use[i]) continue;
        double V = prior, gr = 0, (*W)[6] = s->W[i];
        for (int j = 0; j < w->poses; j++) {
            projection o = project(m->R[j], m->t[j], m->rho[i], w->a[i], w->pose[j].obs[i]);
            memset(W[j], 0, sizeof W[j]);
            if (!o.valid) continue;
            double k = 1 / (1 + (o.rx * o.rx + o.ry * o.ry) / (c * c));
            k *= k;
            V += k * (o.dx * o.dx + o.dy * o.dy), gr -= k * (o.dx * o.rx + o.dy * o.ry);
            for (int r = 0; r < 6; r++) {
                W[j][r] = k * (o.jx[r] * o.dx + o.jy[r] * o.dy);
                s->g[6 * j + r] -= k * (o.jx[r] * o.rx + o.jy[r] * o.ry);
                for (int q = 0; q <= r; q++)
                    s->S[(6 * j + r) * n + 6 * j + q] += k * (o.jx[r] * o.jx[q] + o.jy[r] * o.jy[q]);
            }
        }
        s->V[i] = V * (1 + damp), s->g_rho[i] = gr;
        if (m->rho[i] <= 0 && gr < 0) memset(W, 0, w->poses * sizeof *W), s->g_rho[i] = 0; // held at infinity
    }
    for (int r = 0; r < n; r++) s->S[r * n + r] = s->S[r * n + r] * (1 + damp) + prior;
    for (int i = 0; i < w->points; i++)
        if (s->use[i]) eliminate_depth(w, s, i, n);
}

static bool take_step(const gv_window *w, const motion *m, scratch *s) {
    int n = 6 * w->poses;
    memcpy(s->L, s->S, (size_t)n * n * sizeof(double));
    memcpy(s->step, s->g, n * sizeof(double));
    if (!gv_cholesky(s->L, n)) return false;
    gv_cholesky_solve(s->L, n, s->step);
    s->trial = *m;
    for (int j = 0; j < w->poses; j++) {
        gv_so3_update(s->trial.R[j], s->step + 6 * j);
        for (int k = 0; k < 3; k++) s->trial.t[j][k] += s->step[6 * j + 3 + k];
    }
    for (int i = 0; i < w->points; i++) {
        if (!s->use[i]) continue;
        double r = s->g_rho[i];
        for (int j = 0; j < w->poses; j++)
            for (int k = 0; k < 6; k++) r -= s->W[i][j][k] * s->step[6 * j + k];
        s->trial.rho[i] = fmax(0, s->trial.rho[i] + r / s->V[i]); // nothing is farther than infinity
    }
    return true;
}

// Levenberg-Marquardt at one kernel scale.
static void adjust(const gv_window *w, motion *m, scratch *s, double c, double prior, int iterations) {
    double damp = 1e-3, cost = robust_cost(w, m, s->use, c);
    for (int it = 0; it < iterations && damp < 1e6; it++) {
        build_system(w, m, s, c, damp, prior);
        if (!take_step(w, m, s)) {
            damp *= 10;
            continue;
        }
        double now = robust_cost(w, &s->trial, s->use, c);
        if (now < cost) {
            bool done = cost - now < 1e-5 * cost;
            *m = s->trial, cost = now, damp = fmax(1e-7, damp * 0.2);
            if (done) break;
        } else {
            damp *= 8;
        }
    }
}

// First, coarse adjustment of a start.
static void settle(const gv_window *w, motion *m, scratch *s, double sigma) {
    double prior = sigma * sigma * 1e-2;
    complete_depths(w, m);
    normalise_scale(w, m);
    choose_points(w, m, 12 * sigma, s->use);
    adjust(w, m, s, 8 * sigma, prior, 5);
    choose_points(w, m, 5 * sigma, s->use);
    adjust(w, m, s, KERNEL * sigma, prior, 4);
}

// --- choice --------------------------------------------------------------------------------------------

// Error of one coordinate: from the median length of the residuals (2D, so median^2 = 2 ln 2 sigma^2).
static double measured_sigma(const gv_window *w, const motion *m, scratch *s, double floor) {
    int n = 0;
    for (int j = 0; j < w->poses; j++)
        for (int i = 0; i < w->points; i++)
            if (!isnan(w->pose[j].obs[i][0])) s->errors[n++] = error2(w, m, j, i);
    if (!n) return floor;
    qsort(s->errors, n, sizeof(double), compare_doubles);
    return fmax(floor, sqrt(s->errors[n * 2 / 5] / 1.02)); // 40th percentile: -2 ln 0.6 = 1.02; outliers lie above
}

// Sum over points of the mean robust cost of their observations, in sigma^2.
static double point_costs(const gv_window *w, const motion *m, double sigma) {
    double c2 = KERNEL * KERNEL, total = 0;
    for (int i = 0; i < w->points; i++) {
        double sum = 0;
        int seen = 0;
        for (int j = 0; j < w->poses; j++)
            if (!isnan(w->pose[j].obs[i][0])) {
                double e2 = error2(w, m, j, i) / (sigma * sigma);
                sum += isinf(e2) ? c2 : e2 * c2 / (c2 + e2), seen++;
            }
        if (seen) total += sum / seen;
    }
    return total;
}

static void rotation_information(gv_window *w, const motion *m, scratch *s) {
    double c = KERNEL * w->sigma;
    build_system(w, m, s, c, 0, w->sigma * w->sigma * 1e-2);
    int n = 6 * w->poses;
    memcpy(s->L, s->S, (size_t)n * n * sizeof(double));
    bool ok = w->moved && gv_cholesky(s->S, n);
    for (int j = 0; j < w->poses; j++) {
        double *info = w->pose[j].info, C[9];
        memset(info, 0, sizeof w->pose[j].info);
        if (w->pose[j].seen < LEAST_POINTS) continue;
        if (w->moved) {
            for (int k = 0; ok && k < 3; k++) {
                memset(s->step, 0, n * sizeof(double));
                s->step[6 * j + k] = 1;
                gv_cholesky_solve(s->S, n, s->step);
                for (int r = 0; r < 3; r++) C[3 * r + k] = s->step[6 * j + r];
            }
            if (!ok || !gv_inverse_sym3(info, C)) continue;
        } else {
            for (int r = 0; r < 3; r++)
                for (int k = 0; k < 3; k++)
                    info[3 * r + k] = s->S[(6 * j + (r > k ? r : k)) * n + 6 * j + (r > k ? k : r)];
        }
        for (int k = 0; k < 9; k++) info[k] /= w->sigma * w->sigma;
    }
}

// One Gauss-Newton step of the focal length's logarithm with everything else eliminated; s->S, W, V, g, g_rho are as
// rotation_information left them, s->L holds the factor of S.
static void focal_information(gv_window *w, const motion *m, scratch *s) {
    double c = KERNEL * w->sigma, h[6 * POSES] = {0}, H = 0, g = 0;
    int n = 6 * w->poses;
    for (int i = 0; i < w->points; i++) {
        if (!s->use[i]) continue;
        double v = 0; // coupling of this depth and the focal length
        for (int j = 0; j < w->poses; j++) {
            projection o = project(m->R[j], m->t[j], m->rho[i], w->a[i], w->pose[j].obs[i]);
            if (!o.valid) continue;
            double k = 1 / (1 + (o.rx * o.rx + o.ry * o.ry) / (c * c));
            k *= k;
            H += k * (o.lx * o.lx + o.ly * o.ly), g -= k * (o.lx * o.rx + o.ly * o.ry);
            v += k * (o.lx * o.dx + o.ly * o.dy);
            for (int r = 0; r < 6; r++) h[6 * j + r] += k * (o.jx[r] * o.lx + o.jy[r] * o.ly);
        }
        if (m->rho[i] <= 0 && s->g_rho[i] == 0) v = 0; // held at infinity
        H -= v * v / s->V[i], g -= v * s->g_rho[i] / s->V[i];
        for (int j = 0; j < w->poses; j++)
            if (!isnan(w->pose[j].obs[i][0]))
                for (int r = 0; r < 6; r++) h[6 * j + r] -= s->W[i][j][r] * v / s->V[i];
    }
    memcpy(s->step, h, (size_t)n * sizeof(double));
    gv_cholesky_solve(s->L, n, s->step);
    for (int r = 0; r < n; r++) H -= h[r] * s->step[r], g -= s->step[r] * s->g[r];
    w->focal_information = H > 0 ? H / (w->sigma * w->sigma) : 0;
    w->focal_step = H > 0 ? g / H : 0;
}

// Keeps `other` when it fits better.
static void compete(const gv_window *w, scratch *s, double sigma) {
    settle(w, &s->other, s, sigma);
    if (point_costs(w, &s->other, sigma) < point_costs(w, &s->best, sigma)) s->best = s->other;
}

// The motion model: several starts, the best adjusted to the end. Returns the error as measured.
static double fit_motion(const gv_window *w, scratch *s, double sigma, double noise, unsigned seed) {
    draw_motion(w, &s->best, s, sigma, seed);
    settle(w, &s->best, s, sigma);
    if (expect_motion(w, &s->other, s, sigma)) {
        compete(w, s, sigma);
    } else {
        draw_motion(w, &s->other, s, sigma, seed + 7919);
        compete(w, s, sigma);
    }
    s->other = s->best;
    reverse_depths(w, &s->other, s);
    compete(w, s, sigma);
    for (int round = 0; round < 2; round++) {
        sigma = measured_sigma(w, &s->best, s, noise);
        choose_points(w, &s->best, 4 * sigma, s->use);
        adjust(w, &s->best, s, KERNEL * sigma, sigma * sigma * 1e-2, 10);
    }
    return sigma;
}

static void choose(gv_window *w, scratch *s, const motion *m) {
    choose_points(w, m, 4 * w->sigma, s->use);
    memcpy(w->rho, m->rho, sizeof w->rho);
    for (int j = 0; j < w->poses; j++) {
        gv_window_pose *p = &w->pose[j];
        memcpy(p->R, m->R[j], sizeof p->R), memcpy(p->t, m->t[j], sizeof p->t);
        p->inliers = 0;
        for (int i = 0; i < w->points; i++)
            p->inliers += !isnan(p->obs[i][0]) && error2(w, m, j, i) < 9 * w->sigma * w->sigma;
    }
    rotation_information(w, m, s);
    w->focal_information = w->focal_step = 0;
    if (w->calibrate && gv_cholesky(s->L, 6 * w->poses)) focal_information(w, m, s);
}

gv_status gv_window_solve(gv_window *w, double noise, unsigned seed, gv_error *err) {
    scratch *s = gv_calloc2(1, sizeof *s);
    if (!s) return gv_fail(err, GV_ERR_MEMORY, "no memory to adjust a window of frames");
    double sigma = 3 * noise; // while searching
    fit_rotations(w, s, sigma, seed);
    bool possible = w->poses && w->points > LEAST_POINTS && w->pose[base_pose(w)].seen > LEAST_POINTS;
    w->sigma = possible ? fit_motion(w, s, sigma, noise, seed) : measured_sigma(w, &s->rotation, s, noise);
    for (int j = 0; j < w->poses; j++) { // rotations once more with the error as measured
        int n = gather(w, j, s->match);
        if (n >= LEAST_POINTS) gv_relative_rotation(s->rotation.R[j], s->match, n, w->sigma, 0, seed + j);
    }
    w->cost_rotation = point_costs(w, &s->rotation, w->sigma);
    w->cost_motion = possible ? point_costs(w, &s->best, w->sigma) : INFINITY;
    double fitting = w->points - w->cost_motion / (KERNEL * KERNEL); // points that the motion explains, about
    w->moved = possible && w->cost_rotation - w->cost_motion > MOTION_GAIN * fitting;
    choose(w, s, w->moved ? &s->best : &s->rotation);
    free(s);
    return GV_OK;
}
