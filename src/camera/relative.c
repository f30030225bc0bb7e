#include "camera/relative.h"

#include "geometry/linalg.h"
#include "geometry/so3.h"

#include <math.h>
#include <string.h>

enum { MOTION_DRAWS = 800, MOTION_LEAST_DRAWS = 100, MOTION_POINTS = 5, MOTION_STEPS = 6 };
static const double SETTLED = 1e-8; // rad, a step after which a rotation is not refined any more

static uint32_t draw(uint32_t *state, uint32_t n) { // xorshift32
    uint32_t x = *state;
    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    *state = x;
    return (uint32_t)(((uint64_t)x * n) >> 32);
}

static const double AGREED = 0.25; // share of the worst cost at which a start needs no competition

static inline double smaller(double a, double b) { // fmin is a call
    return a < b ? a : b;
}

static void direction(double v[3], const double a[2]) {
    v[0] = a[0], v[1] = a[1], v[2] = 1;
}

// --- rotation alone ------------------------------------------------------------------------------------

static double rotation_error2(const double R[9], const gv_match *m) {
    double v[3], p[3];
    direction(v, m->a);
    gv_so3_apply(p, R, v);
    if (!(p[2] > 0.05)) return INFINITY;
    double dx = p[0] / p[2] - m->b[0], dy = p[1] / p[2] - m->b[1];
    return dx * dx + dy * dy;
}

static double rotation_cost(const double R[9], const gv_match *m, int n, double limit2, double best) {
    double cost = 0;
    for (int i = 0; i < n && cost < best; i++) cost += smaller(rotation_error2(R, m + i), limit2);
    return cost;
}

// Right-handed frame from two directions: columns e1 = v, e2 = normal of (v, w), e3 = e1 x e2.
static bool frame_of_two(double F[9], const double a[2], const double b[2]) {
    double v[3], w[3], n[3], k[3];
    direction(v, a), direction(w, b);
    gv_normalise3(v), gv_normalise3(w);
    gv_cross3(n, v, w);
    if (!(gv_normalise3(n) > 1e-3)) return false;
    gv_cross3(k, v, n);
    for (int i = 0; i < 3; i++) F[3 * i] = v[i], F[3 * i + 1] = n[i], F[3 * i + 2] = k[i];
    return true;
}

// Gauss-Newton on every match with Geman-McClure weights.
static void refine_rotation(double R[9], const gv_match *m, int n, double scale) {
    for (int it = 0; it < 8; it++) {
        double H[9] = {0}, g[3] = {0};
        for (int i = 0; i < n; i++) {
            double v[3], p[3];
            direction(v, m[i].a);
            gv_so3_apply(p, R, v);
            if (!(p[2] > 0.05)) continue;
            double u = p[0] / p[2], w = p[1] / p[2], rx = u - m[i].b[0], ry = w - m[i].b[1];
            double k = 1 / (1 + (rx * rx + ry * ry) / (scale * scale));
            k *= k;
            double jx[3] = {-u * w, 1 + u * u, -w}, jy[3] = {-1 - w * w, u * w, u}; // d(u, w) / d(rotation vector)
            for (int r = 0; r < 3; r++) {
                g[r] -= k * (jx[r] * rx + jy[r] * ry);
                for (int c = 0; c < 3; c++) H[3 * r + c] += k * (jx[r] * jx[c] + jy[r] * jy[c]);
            }
        }
        for (int r = 0; r < 3; r++) H[4 * r] += 1e-12;
        if (!gv_cholesky(H, 3)) return;
        gv_cholesky_solve(H, 3, g);
        gv_so3_update(R, g);
        if (gv_dot3(g, g) < SETTLED * SETTLED) return;
    }
}

int gv_relative_rotation(double R[9], const gv_match *m, int n, double sigma, int draws, uint32_t seed) {
    uint32_t state = seed * 2654435761u + 12345u;
    if (!state) state = 1;
    double limit2 = 9 * sigma * sigma, best = INFINITY, identity[9];
    best = rotation_cost(R, m, n, limit2, best);
    gv_so3_identity(identity);
    double c = rotation_cost(identity, m, n, limit2, best);
    if (c < best) best = c, memcpy(R, identity, sizeof identity);
    if (best < AGREED * n * limit2) draws = 0;
    for (int d = 0; n >= 2 && d < draws; d++) {
        int i = (int)draw(&state, n), j = (int)draw(&state, n);
        double A[9], B[9], C[9];
        if (i == j || !frame_of_two(A, m[i].a, m[j].a) || !frame_of_two(B, m[i].b, m[j].b)) continue;
        gv_so3_mul_nt(C, B, A);
        c = rotation_cost(C, m, n, limit2, best);
        if (c < best) best = c, memcpy(R, C, sizeof C);
    }
    if (n >= 3) {
        refine_rotation(R, m, n, 6 * sigma);
        refine_rotation(R, m, n, 3 * sigma);
    }
    int inliers = 0;
    for (int i = 0; i < n; i++) inliers += rotation_error2(R, m + i) < limit2;
    return inliers;
}

// --- rotation and translation --------------------------------------------------------------------------

typedef struct epipolar {
    double r, grad_w[3], grad_t[3]; // normalised residual b . (t x R a) / s, its derivatives with s held fixed
} epipolar;

static epipolar epipolar_of(const double R[9], const double t[3], const gv_match *m) {
    double a[3], b[3], p[3], lb[3], bt[3], la[3];
    direction(a, m->a), direction(b, m->b);
    gv_so3_apply(p, R, a);
    gv_cross3(lb, t, p);
    gv_cross3(bt, b, t);
    gv_so3_apply_t(la, R, bt);
    double s = 1 / sqrt(lb[0] * lb[0] + lb[1] * lb[1] + la[0] * la[0] + la[1] * la[1] + 1e-18);
    double tp = gv_dot3(t, p), bp = gv_dot3(b, p);
    epipolar e = {.r = gv_dot3(b, lb) * s};
    gv_cross3(e.grad_t, p, b);
    for (int i = 0; i < 3; i++) e.grad_w[i] = s * (b[i] * tp - t[i] * bp), e.grad_t[i] *= s;
    return e;
}

double gv_epipolar_error(const double R[9], const double t[3], const gv_match *m) {
    return fabs(epipolar_of(R, t, m).r);
}

double gv_inverse_depth(const double R[9], const double t[3], const gv_match *m) {
    double a[3], p[3];
    direction(a, m->a);
    gv_so3_apply(p, R, a);
    // (p + rho t) ~ (b, 1): two linear equations in rho
    double cx = t[0] - m->b[0] * t[2], cy = t[1] - m->b[1] * t[2], ex = m->b[0] * p[2] - p[0],
           ey = m->b[1] * p[2] - p[1];
    return (cx * ex + cy * ey) / (cx * cx + cy * cy + 1e-12);
}

static void tangent_basis(const double t[3], double u[3], double v[3]) {
    double a[3] = {fabs(t[0]) < 0.6, fabs(t[0]) >= 0.6, 0};
    gv_cross3(u, t, a);
    gv_normalise3(u);
    gv_cross3(v, t, u);
}

// One damped Gauss-Newton step of (R, unit t) over the listed matches; scale > 0: Geman-McClure weights.
static bool motion_step(double R[9], double t[3], const gv_match *m, const int *pick, int n, double scale,
                        double damp) {
    double H[25] = {0}, g[5] = {0}, u[3], v[3];
    tangent_basis(t, u, v);
    for (int k = 0; k < n; k++) {
        epipolar e = epipolar_of(R, t, m + (pick ? pick[k] : k));
        double j[5] = {e.grad_w[0], e.grad_w[1], e.grad_w[2], gv_dot3(e.grad_t, u), gv_dot3(e.grad_t, v)};
        double w = scale > 0 ? 1 / (1 + e.r * e.r / (scale * scale)) : 1;
        w *= w;
        for (int r = 0; r < 5; r++) {
            g[r] -= w * j[r] * e.r;
            for (int c = 0; c <= r; c++) H[5 * r + c] += w * j[r] * j[c];
        }
    }
    double trace = H[0] + H[6] + H[12] + H[18] + H[24];
    for (int r = 0; r < 5; r++) H[6 * r] += damp * trace + 1e-14;
    if (!gv_cholesky(H, 5)) return false;
    gv_cholesky_solve(H, 5, g);
    double turn = sqrt(gv_dot3(g, g)), shift = hypot(g[3], g[4]), k = 1;
    if (turn > 0.2) k = 0.2 / turn;
    if (k * shift > 0.7) k = 0.7 / shift;
    double w[3] = {k * g[0], k * g[1], k * g[2]};
    gv_so3_update(R, w);
    for (int i = 0; i < 3; i++) t[i] += k * (g[3] * u[i] + g[4] * v[i]);
    gv_normalise3(t);
    return true;
}

// Truncated squared error of every match under (R, t) and (R, -t) at once, depths held non-negative: a match that
// would lie behind the camera counts as infinitely far. Returns the smaller sum; *sign is +1 or -1 for t or -t.
static double motion_cost(const double R[9], const double t[3], const gv_match *m, int n, double limit2, double best,
                          double *sign) {
    double plus = 0, minus = 0;
    for (int i = 0; i < n && (plus < best || minus < best); i++) {
        double e = epipolar_of(R, t, m + i).r, near = smaller(e * e, limit2), far = near, turned;
        if (near < limit2 && (turned = rotation_error2(R, m + i)) > near) far = smaller(turned, limit2);
        bool front = gv_inverse_depth(R, t, m + i) >= 0;
        plus += front ? near : far, minus += front ? far : near;
    }
    *sign = plus <= minus ? 1 : -1;
    return fmin(plus, minus);
}

// Direction of translation from two matches once the rotation is known.
static bool translation_of_two(double t[3], const double R[9], const gv_match *m, int i, int j) {
    double n[2][3];
    const gv_match *q[2] = {m + i, m + j};
    for (int k = 0; k < 2; k++) {
        double a[3], b[3], p[3];
        direction(a, q[k]->a), direction(b, q[k]->b);
        gv_so3_apply(p, R, a);
        gv_cross3(n[k], b, p);
    }
    gv_cross3(t, n[0], n[1]);
    return gv_normalise3(t) > 0;
}

// Draws that make it 99 % sure that one of them has no outlier, for a share of inliers as now estimated.
static int draws_needed(double cost, int n, double limit2) {
    double share = fmax(0.05, 1 - cost / (n * limit2)), all = pow(share, MOTION_POINTS);
    return (int)fmin(MOTION_DRAWS, fmax(MOTION_LEAST_DRAWS, log(0.01) / log(1 - fmin(all, 0.999))));
}

// One hypothesis from a few matches; false when they do not determine it.
static bool draw_motion(double R[9], double t[3], bool any_direction, const gv_match *m, int n, uint32_t *state) {
    int pick[MOTION_POINTS];
    for (int k = 0; k < MOTION_POINTS; k++) {
        pick[k] = (int)draw(state, n);
        for (int l = 0; l < k; l++)
            if (pick[l] == pick[k]) k--, l = k; // drawn before: again
    }
    if (any_direction) {
        for (int i = 0; i < 3; i++) t[i] = (double)draw(state, 2001) - 1000;
        if (!(gv_normalise3(t) > 0)) return false;
    } else if (!translation_of_two(t, R, m, pick[0], pick[1])) {
        return false;
    }
    for (int s = 0; s < MOTION_STEPS; s++)
        if (!motion_step(R, t, m, pick, MOTION_POINTS, 0, 1e-7)) return false;
    return true;
}

int gv_relative_motion(double R[9], double t[3], const double other[9], const gv_match *m, int n, double sigma,
                       uint32_t seed) {
    t[0] = t[1] = 0, t[2] = 1;
    if (n <= MOTION_POINTS) return 0;
    uint32_t state = seed * 2654435761u + 54321u;
    if (!state) state = 1;
    double limit2 = 9 * sigma * sigma, best = INFINITY, bestR[9], bestt[3] = {0, 0, 1}, sign;
    memcpy(bestR, R, sizeof bestR);
    for (int d = 0, needed = MOTION_DRAWS; d < needed; d++) {
        double Q[9], q[3];
        memcpy(Q, d % 4 == 3 ? bestR : other && d % 2 ? other : R, sizeof Q);
        if (!draw_motion(Q, q, d % 3 == 1, m, n, &state)) continue;
        double c = motion_cost(Q, q, m, n, limit2, best, &sign);
        if (!(c < best)) continue;
        best = c, memcpy(bestR, Q, sizeof Q);
        for (int i = 0; i < 3; i++) bestt[i] = sign * q[i];
        needed = draws_needed(best, n, limit2);
    }
    for (int s = 0; s < 10; s++)
        if (!motion_step(bestR, bestt, m, NULL, n, (s < 5 ? 6 : 3) * sigma, 1e-9)) break;
    motion_cost(bestR, bestt, m, n, limit2, INFINITY, &sign);
    memcpy(R, bestR, sizeof bestR);
    for (int i = 0; i < 3; i++) t[i] = sign * bestt[i];
    int inliers = 0;
    for (int i = 0; i < n; i++) inliers += gv_epipolar_error(R, t, m + i) < 3 * sigma;
    return inliers;
}
