#include "camera/window.h"

#include "base/memory.h"
#include "base/order.h"
#include "camera/plane.h"
#include "camera/relative.h"
#include "camera/window_fit.h"
#include "geometry/linalg.h"
#include "geometry/so3.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POSES = GV_WINDOW_POSES, POINTS = GV_WINDOW_POINTS, LEAST_POINTS = 6, DRAWS = 20 };
static const double KERNEL = 3;        // Geman-McClure scale in sigmas
static const double MOTION_GAIN = 1.2; // least mean saving per fitting point (sigma^2) for which motion is believed
static const double BULK = 1.8;     // least error of most points under rotation alone over that under motion, the same
static const double HOPELESS = 1.6; // cost of a start over the best one's after which it is given up

static const double PLANE_SHARE = 0.5; // of the points on one plane, for which its two motions are tried

typedef struct scratch {
    gv_motion rotation, best, other;
    gv_match match[POINTS];
    gv_fit fit;
} scratch;

static int gather(const gv_window *w, int j, gv_match *m) {
    int n = 0;
    const gv_window_pose *p = &w->pose[j];
    for (int i = 0; i < w->points; i++)
        if (!isnan(p->obs[0][i])) m[n++] = (gv_match){{w->a[0][i], w->a[1][i]}, {p->obs[0][i], p->obs[1][i]}};
    return n;
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

// Rotations once more with the error as measured. `again`: it is larger than the one they were searched with, so that
// few points may have agreed with whatever was found: the search is repeated from the chain of frames.
static void refit_rotations(const gv_window *w, scratch *s, bool again, unsigned seed) {
    for (int j = 0; j < w->poses; j++) {
        double R[9];
        int n = gather(w, j, s->match);
        if (n < LEAST_POINTS) continue;
        int fit = gv_relative_rotation(s->rotation.R[j], s->match, n, w->sigma, 0, seed + j);
        if (!again) continue;
        memcpy(R, w->pose[j].R, sizeof R);
        if (gv_relative_rotation(R, s->match, n, w->sigma, DRAWS, seed + j) > fit)
            memcpy(s->rotation.R[j], R, sizeof R);
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

// The other poses in proportion to the base's, whose motion is there, then each on the inverse depths.
static void extend_motion(const gv_window *w, gv_motion *m, const scratch *s, int base, double sigma) {
    double C[9], c[3];
    gv_so3_mul_nt(C, m->R[base], s->rotation.R[base]);
    gv_so3_log(c, C);
    for (int j = 0; j < w->poses; j++) {
        if (j == base) continue;
        double k = fmin(1.5, (j + 1.) / (base + 1.)), d[3] = {k * c[0], k * c[1], k * c[2]};
        gv_so3_update(m->R[j], d);
        for (int i = 0; i < 3; i++) m->t[j][i] = k * m->t[base][i];
        gv_fit_pose(w, m, j, 20 * sigma);
        gv_fit_pose(w, m, j, 4 * sigma);
    }
}

static void draw_motion(const gv_window *w, gv_motion *m, scratch *s, double sigma, unsigned seed) {
    *m = s->rotation;
    int base = base_pose(w), n = gather(w, base, s->match);
    const gv_window_pose *b = &w->pose[base];
    double *t = m->t[base];
    gv_relative_motion(m->R[base], t, b->predicted ? b->expected_R : NULL, s->match, n, sigma, seed);
    for (int i = 0; i < w->points; i++) {
        gv_match q = {{w->a[0][i], w->a[1][i]}, {b->obs[0][i], b->obs[1][i]}};
        bool fits = !isnan(q.b[0]) && gv_epipolar_error(m->R[base], t, &q) < 4 * sigma;
        m->rho[i] = fits ? fmax(0, gv_inverse_depth(m->R[base], t, &q)) : NAN;
    }
    extend_motion(w, m, s, base, sigma);
}

// The motion that the window before expects; false where it does not reach far enough, or did not move. Poses that
// it does not know start between their neighbours.
static bool expect_motion(const gv_window *w, gv_motion *m, const scratch *s, double sigma) {
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
    gv_fit_depths(w, m);
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
        gv_fit_pose(w, m, j, 20 * sigma);
        gv_fit_pose(w, m, j, 4 * sigma);
    }
    return true;
}

// The same picture motion with near and far exchanged: small translations seen in a narrow view fit nearly as well,
// with the turn that the translation's mean takes over. Whichever fits better is right.
static void reverse_depths(const gv_window *w, gv_motion *m) {
    double rho[POINTS];
    int n = 0;
    for (int i = 0; i < w->points; i++)
        if (m->rho[i] > 0) rho[n++] = m->rho[i];
    if (!n) return;
    gv_sort_doubles(rho, n);
    double c = rho[n * 9 / 10];
    for (int i = 0; i < w->points; i++) m->rho[i] = fmax(0, c - m->rho[i]);
    for (int j = 0; j < w->poses; j++) {
        double turn[3] = {-c * m->t[j][1], c * m->t[j][0], 0};
        gv_so3_update(m->R[j], turn);
        for (int k = 0; k < 3; k++) m->t[j][k] = -m->t[j][k];
    }
}

// The largest translation gets length 1 (the scale is free).
static void normalise_scale(const gv_window *w, gv_motion *m) {
    double longest = 0;
    for (int j = 0; j < w->poses; j++) longest = fmax(longest, sqrt(gv_dot3(m->t[j], m->t[j])));
    if (!(longest > 1e-9)) return;
    for (int j = 0; j < w->poses; j++)
        for (int k = 0; k < 3; k++) m->t[j][k] /= longest;
    for (int i = 0; i < w->points; i++) m->rho[i] *= longest;
}

// --- choice --------------------------------------------------------------------------------------------

// Error of one coordinate by the 40th percentile of the residuals' lengths: -2 ln 0.6 = 1.02; outliers lie above.
static double measured_sigma(const gv_window *w, const gv_motion *m, scratch *s, double floor) {
    gv_fit_errors(w, m, &s->fit);
    return fmax(floor, sqrt(gv_fit_quantile(w, &s->fit, 0.4) / 1.02));
}

// Sum over points of the mean robust cost of their observations, in sigma^2.
static double point_costs(const gv_window *w, const gv_motion *m, scratch *s, double sigma) {
    double c2 = KERNEL * KERNEL, total = 0;
    gv_fit_errors(w, m, &s->fit);
    for (int i = 0; i < w->points; i++) {
        double sum = 0;
        int seen = 0;
        for (int j = 0; j < w->poses; j++) {
            double e2 = s->fit.errors[j][i] / (sigma * sigma);
            if (!isnan(e2)) sum += isinf(e2) ? c2 : e2 * c2 / (c2 + e2), seen++;
        }
        if (seen) total += sum / seen;
    }
    return total;
}

static void rotation_information(gv_window *w, const gv_motion *m, scratch *s) {
    gv_fit *f = &s->fit;
    gv_fit_system(w, m, f, KERNEL * w->sigma, 0, w->sigma * w->sigma * 1e-2);
    int n = 6 * w->poses;
    memcpy(f->L, f->S, (size_t)n * n * sizeof(double));
    bool ok = w->moved && gv_cholesky(f->S, n);
    for (int j = 0; j < w->poses; j++) {
        double *info = w->pose[j].info, C[9];
        memset(info, 0, sizeof w->pose[j].info);
        if (w->pose[j].seen < LEAST_POINTS) continue;
        if (w->moved) {
            for (int k = 0; ok && k < 3; k++) {
                memset(f->step, 0, n * sizeof(double));
                f->step[6 * j + k] = 1;
                gv_cholesky_solve(f->S, n, f->step);
                for (int r = 0; r < 3; r++) C[3 * r + k] = f->step[6 * j + r];
            }
            if (!ok || !gv_inverse_sym3(info, C)) continue;
        } else {
            for (int r = 0; r < 3; r++)
                for (int k = 0; k < 3; k++)
                    info[3 * r + k] = f->S[(6 * j + (r > k ? r : k)) * n + 6 * j + (r > k ? k : r)];
        }
        for (int k = 0; k < 9; k++) info[k] /= w->sigma * w->sigma;
    }
}

// First, coarse adjustment of a start; false when it is given up, much worse than the best one so far.
static bool settle(const gv_window *w, gv_motion *m, scratch *s, double sigma, double best) {
    double prior = sigma * sigma * 1e-2;
    gv_fit_depths(w, m);
    normalise_scale(w, m);
    gv_fit_choose(w, m, 12 * sigma, &s->fit);
    gv_fit_adjust(w, m, &s->fit, 8 * sigma, prior, 5);
    if (point_costs(w, m, s, sigma) > HOPELESS * best) return false;
    gv_fit_choose(w, m, 5 * sigma, &s->fit);
    gv_fit_adjust(w, m, &s->fit, KERNEL * sigma, prior, 4);
    return true;
}

// Keeps `other` when it fits better; *cost is the best one's.
static void compete(const gv_window *w, scratch *s, double sigma, double *cost) {
    if (!settle(w, &s->other, s, sigma, *cost)) return;
    double c = point_costs(w, &s->other, s, sigma);
    if (c < *cost) s->best = s->other, *cost = c;
}

// Where one plane fills most of the picture: both motions that explain it.
static void try_plane(const gv_window *w, scratch *s, double sigma, double *cost) {
    int base = base_pose(w), n = gather(w, base, s->match);
    double H[9];
    gv_plane_motion plane[2];
    if (gv_plane_homography(H, s->rotation.R[base], s->match, n, sigma) < PLANE_SHARE * n) return;
    int motions = gv_plane_motions(plane, H, s->match, n);
    for (int k = 0; k < motions; k++) {
        const double *v = plane[k].n;
        s->other = s->rotation;
        memcpy(s->other.R[base], plane[k].R, sizeof plane[k].R),
            memcpy(s->other.t[base], plane[k].t, sizeof plane[k].t);
        for (int i = 0; i < w->points; i++) s->other.rho[i] = fmax(0, v[0] * w->a[0][i] + v[1] * w->a[1][i] + v[2]);
        extend_motion(w, &s->other, s, base, sigma);
        compete(w, s, sigma, cost);
    }
}

// Several starts, the best of them coarsely adjusted.
static void search(const gv_window *w, scratch *s, double sigma, unsigned seed) {
    double cost = INFINITY;
    if (w->warm && expect_motion(w, &s->other, s, sigma)) {
        compete(w, s, sigma, &cost);
        return;
    }
    draw_motion(w, &s->other, s, sigma, seed);
    compete(w, s, sigma, &cost);
    if (!expect_motion(w, &s->other, s, sigma)) draw_motion(w, &s->other, s, sigma, seed + 7919);
    compete(w, s, sigma, &cost);
    try_plane(w, s, sigma, &cost);
    s->other = s->best;
    reverse_depths(w, &s->other);
    compete(w, s, sigma, &cost);
}

// The motion model. Returns the error as measured.
static double fit_motion(const gv_window *w, scratch *s, double sigma, double noise, unsigned seed) {
    search(w, s, sigma, seed);
    for (int round = 0; round < 2; round++) {
        sigma = measured_sigma(w, &s->best, s, noise);
        gv_fit_choose(w, &s->best, 4 * sigma, &s->fit);
        gv_fit_adjust(w, &s->best, &s->fit, KERNEL * sigma, sigma * sigma * 1e-2, 10);
    }
    return sigma;
}

// Motion is chosen where it saves enough, and not for the sake of a few: where rotation alone explains most points
// nearly as well, the rest are somebody who moves, or pictures that a codec let lag. A depth for every
// point takes a share of the error in any case.
static bool motion_explains(const gv_window *w, scratch *s, double noise) {
    double fitting = w->points - w->cost_motion / (KERNEL * KERNEL); // points that the motion explains, about
    if (!(w->cost_rotation - w->cost_motion > MOTION_GAIN * fitting)) return false;
    double turned = measured_sigma(w, &s->rotation, s, noise), moved = measured_sigma(w, &s->best, s, noise);
    return turned > BULK * moved * sqrt(2. * w->poses / (2. * w->poses - 1));
}

static void choose(gv_window *w, scratch *s, const gv_motion *m) {
    gv_fit_choose(w, m, 4 * w->sigma, &s->fit);
    memcpy(w->rho, m->rho, sizeof w->rho);
    double limit2 = 9 * w->sigma * w->sigma;
    for (int j = 0; j < w->poses; j++) {
        gv_window_pose *p = &w->pose[j];
        memcpy(p->R, m->R[j], sizeof p->R), memcpy(p->t, m->t[j], sizeof p->t);
        p->inliers = 0;
        for (int i = 0; i < w->points; i++) p->inliers += s->fit.errors[j][i] < limit2;
    }
    rotation_information(w, m, s);
    w->focal_information = w->focal_step = 0;
    if (w->calibrate && gv_cholesky(s->fit.L, 6 * w->poses)) gv_fit_focal(w, m, &s->fit, KERNEL * w->sigma);
}

gv_status gv_window_solve(gv_window *w, double noise, unsigned seed, gv_error *err) {
    scratch *s = gv_calloc2(1, sizeof *s);
    if (!s) return gv_fail(err, GV_ERR_MEMORY, "no memory to adjust a window of frames");
    double sigma = 3 * noise; // while searching
    fit_rotations(w, s, sigma, seed);
    bool possible = w->poses && w->points > LEAST_POINTS && w->pose[base_pose(w)].seen > LEAST_POINTS;
    // Motion can only be chosen where rotation alone costs more than MOTION_GAIN a point.
    if (possible && point_costs(w, &s->rotation, s, noise) <= MOTION_GAIN * w->points) possible = false;
    w->sigma = possible ? fit_motion(w, s, sigma, noise, seed) : measured_sigma(w, &s->rotation, s, noise);
    refit_rotations(w, s, w->sigma > sigma, seed);
    w->cost_rotation = point_costs(w, &s->rotation, s, w->sigma);
    w->cost_motion = possible ? point_costs(w, &s->best, s, w->sigma) : INFINITY;
    w->moved = possible && motion_explains(w, s, noise);
    choose(w, s, w->moved ? &s->best : &s->rotation);
    free(s);
    return GV_OK;
}
