#include "pipeline/focal_people.h"

#include "geometry/linalg.h"
#include "geometry/so3.h"
#include "pipeline/scene.h"

#include <math.h>

enum { ROUNDS = 8 };
static const double LAG = 1.5;     // s, over which ways are compared
static const double ERROR = 0.12;  // m, of a way over that time
static const double STRIDE = 0.08; // relative error of all of a person's ways, prior
static const double FLOOR = 0.08;  // what everybody's ways are wrong by towards the camera alike, relative
static const double LEAST_SIZE = 160; // px, of a box: too little is seen of smaller people's steps
static const double HONEST = 1.3;     // errors over standard deviations, as measured (bench_focal_people)
static const double SURE = 0.22;

typedef struct sums { // normal equations of (a, b): way = a sideways + b towards, in the world
    double H[4], g[2], energy, weight;
} sums;

// Frames t and u of one person. M: from the person's world to the camera, which is the odometry's where it stands still.
static void add_way(sums *s, const gv_motion *m, const double M[9], int t, int u, const double x[2]) {
    size_t stride = 3 * GV_MOTION_JOINTS;
    const float *wt = m->joints_world + stride * (size_t)t, *wu = m->joints_world + stride * (size_t)u,
                *ct = m->joints_incam + stride * (size_t)t, *cu = m->joints_incam + stride * (size_t)u;
    double side[3] = {cu[0] - ct[0], cu[1] - ct[1], 0}, near[3] = {0, 0, cu[2] - ct[2]}, S[3], N[3], e[3], r2 = 0;
    gv_so3_apply_t(S, M, side), gv_so3_apply_t(N, M, near);
    for (int i = 0; i < 3; i++) e[i] = (double)(wu[i] - wt[i]) - x[0] * S[i] - x[1] * N[i];
    e[1] = 0, S[1] = 0, N[1] = 0; // heights are the ground's
    for (int i = 0; i < 3; i++) r2 += e[i] * e[i];
    double k = 1 / (1 + r2 / (9 * ERROR * ERROR));
    double w[3] = {wu[0] - wt[0], 0, wu[2] - wt[2]};
    s->H[0] += k * gv_dot3(S, S), s->H[1] += k * gv_dot3(S, N), s->H[3] += k * gv_dot3(N, N);
    s->g[0] += k * gv_dot3(S, w), s->g[1] += k * gv_dot3(N, w), s->energy += k * r2, s->weight += 2 * k;
}

static int later(const gv_motion *m, int t) { // the frame LAG later, -1 beyond the end
    int u = t;
    while (u < m->frames && m->time_sec[u] < m->time_sec[t] + LAG) u++;
    return u < m->frames ? u : -1;
}

// What one person says: ratio and its variance.
static bool one_person(const gv_motion *m, double *ratio, double *variance) {
    double M[9], x[2] = {1, 1}, H[4] = {0};
    int lag = later(m, 0);
    sums s;
    if (lag < 2) return false;
    gv_motion_to_odometry(M, m);
    for (int round = 0; round < ROUNDS; round++) {
        s = (sums){0};
        for (int t = 0, u; t < m->frames && (u = later(m, t)) >= 0; t++) add_way(&s, m, M, t, u, x);
        double sigma2 = fmax(ERROR * ERROR, s.energy / fmax(1, s.weight)) * lag; // ways that overlap are one
        H[0] = s.H[0] / sigma2 + 1 / (STRIDE * STRIDE), H[2] = s.H[1] / sigma2, H[3] = s.H[3] / sigma2 + 1e-6;
        x[0] = s.g[0] / sigma2 + 1 / (STRIDE * STRIDE), x[1] = s.g[1] / sigma2;
        if (!gv_cholesky(H, 2)) return false;
        gv_cholesky_solve(H, 2, x);
    }
    double j[2] = {-x[1] / (x[0] * x[0]), 1 / x[0]}, v[2] = {j[0], j[1]}; // of x[1] / x[0]
    gv_cholesky_solve(H, 2, v);
    *ratio = x[1] / x[0], *variance = j[0] * v[0] + j[1] * v[1];
    return x[0] > 0.5 && x[0] < 2 && *ratio > 0.1;
}

static double mean_size(const gv_motion *m) {
    double sum = 0;
    for (int t = 0; t < m->frames; t++) sum += m->bbx_xys[3 * (size_t)t + 2];
    return sum / m->frames;
}

void gv_focal_from_people(gv_people_focal *out, const gv_motion *motions, int people, double prior_sd) {
    double top = 0, bottom = 0;
    for (int k = 0; k < people; k++) {
        double ratio, variance;
        if (mean_size(motions + k) < LEAST_SIZE || !one_person(motions + k, &ratio, &variance)) continue;
        double weight = ratio * ratio / (HONEST * HONEST * variance); // of the logarithm
        top += weight * log(ratio), bottom += weight;
    }
    *out = (gv_people_focal){.ratio = 1, .sd = prior_sd};
    if (!(bottom > 0)) return;
    double said = top / bottom, sure = 1 / (1 / bottom + FLOOR * FLOOR), before = 1 / (prior_sd * prior_sd);
    out->found = sure * SURE * SURE > 1;
    out->ratio = exp(said * sure / (sure + before)), out->sd = 1 / sqrt(sure + before);
}
