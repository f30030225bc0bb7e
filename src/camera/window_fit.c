#include "camera/window_fit.h"

#include "geometry/linalg.h"
#include "geometry/so3.h"
#include "geometry/vec4d.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POSES = GV_WINDOW_POSES, POINTS = GV_WINDOW_POINTS, STEP = 4 };
static const double NEAREST = 0.05; // depth before the camera from which a projection counts

// --- four at a time ------------------------------------------------------------------------------------

static inline int padded(const gv_window *w) { // points in whole fours; what is beyond the last is not seen
    return (w->points + STEP - 1) / STEP * STEP;
}

typedef struct ray { // a point in a view before the division
    v4d q[3], p[3];  // R (a, 1), and with rho t
} ray;

static inline ray ray_of(const double R[9], const double t[3], v4d rho, v4d ax, v4d ay) {
    ray r;
    for (int i = 0; i < 3; i++) {
        r.q[i] = v4d_fma(v4d_set(R[3 * i]), ax, v4d_fma(v4d_set(R[3 * i + 1]), ay, v4d_set(R[3 * i + 2])));
        r.p[i] = v4d_fma(rho, v4d_set(t[i]), r.q[i]);
    }
    return r;
}

typedef struct projection {
    v4d rx, ry;               // predicted minus observed; 0 where not valid, like everything here
    v4d jx[6], jy[6], dx, dy; // derivatives: rotation, translation (jx[4], jy[3] are 0); inverse depth
    v4d k;                    // weight
} projection;

// c: scale of the kernel. ok: which of the four count.
static inline projection project(const gv_window *w, const gv_motion *m, int j, int i, v4m ok, double c) {
    const double *t = m->t[j];
    v4d ox = v4d_load(w->pose[j].obs[0] + i), oy = v4d_load(w->pose[j].obs[1] + i), rho = v4d_load(m->rho + i);
    ok &= (ox == ox) & (rho == rho);
    rho = v4d_keep(ok, rho);
    ray r = ray_of(m->R[j], t, rho, v4d_load(w->a[0] + i), v4d_load(w->a[1] + i));
    ok &= r.p[2] > v4d_set(NEAREST);
    projection o;
    v4d z = v4d_keep(ok, 1 / v4d_select(ok, r.p[2], v4d_set(1))), u = r.p[0] * z, v = r.p[1] * z;
    o.rx = v4d_keep(ok, u - ox), o.ry = v4d_keep(ok, v - oy);
    v4d e2 = o.rx * o.rx + o.ry * o.ry, s = 1 / (1 + e2 * v4d_set(1 / (c * c)));
    o.k = v4d_keep(ok, s * s);
    o.jx[0] = -u * r.q[1] * z, o.jx[1] = (r.q[2] + u * r.q[0]) * z, o.jx[2] = -r.q[1] * z;
    o.jy[0] = -(r.q[2] + v * r.q[1]) * z, o.jy[1] = v * r.q[0] * z, o.jy[2] = r.q[0] * z;
    v4d rz = v4d_keep(ok, rho) * z;
    o.jx[3] = rz, o.jx[4] = v4d_set(0), o.jx[5] = -u * rz;
    o.jy[3] = v4d_set(0), o.jy[4] = rz, o.jy[5] = -v * rz;
    o.dx = (t[0] - u * t[2]) * z, o.dy = (t[1] - v * t[2]) * z;
    return o;
}

// --- errors --------------------------------------------------------------------------------------------

void gv_fit_errors(const gv_window *w, const gv_motion *m, gv_fit *f) {
    for (int j = 0; j < w->poses; j++)
        for (int i = 0; i < padded(w); i += STEP) {
            ray r = ray_of(m->R[j], m->t[j], v4d_load(m->rho + i), v4d_load(w->a[0] + i), v4d_load(w->a[1] + i));
            v4d ox = v4d_load(w->pose[j].obs[0] + i), oy = v4d_load(w->pose[j].obs[1] + i), z = 1 / r.p[2];
            v4d x = r.p[0] * z - ox, y = r.p[1] * z - oy,
                e2 = v4d_select(r.p[2] > v4d_set(NEAREST), x * x + y * y, v4d_set(INFINITY));
            v4d_store(f->errors[j] + i, v4d_select(ox == ox, e2, v4d_set(NAN)));
        }
}

// The k-th smallest of n numbers (Hoare's selection); moves them about.
static double select_kth(double *v, int n, int k) {
    int lo = 0, hi = n - 1;
    while (lo < hi) {
        double pivot = v[lo + (hi - lo) / 2];
        int i = lo, j = hi;
        while (i <= j) {
            while (v[i] < pivot) i++;
            while (v[j] > pivot) j--;
            if (i > j) break;
            double t = v[i];
            v[i++] = v[j], v[j--] = t;
        }
        if (k <= j)
            hi = j;
        else if (k >= i)
            lo = i;
        else
            break;
    }
    return v[k];
}

double gv_fit_quantile(const gv_window *w, gv_fit *f, double q) {
    int n = 0;
    for (int j = 0; j < w->poses; j++)
        for (int i = 0; i < w->points; i++)
            if (!isnan(f->errors[j][i])) f->sorted[n++] = f->errors[j][i];
    return n ? select_kth(f->sorted, n, (int)(q * n)) : 0;
}

void gv_fit_choose(const gv_window *w, const gv_motion *m, double limit, gv_fit *f) {
    gv_fit_errors(w, m, f);
    double limit2 = limit * limit;
    for (int i = 0; i < padded(w); i++) {
        int seen = 0, good = 0;
        for (int j = 0; j < w->poses; j++) seen += !isnan(f->errors[j][i]), good += f->errors[j][i] < limit2;
        f->use[i] = seen > 0 && 2 * good >= seen;
    }
}

static inline v4m taking_part(const gv_fit *f, int i) {
    return (v4m){-(int64_t)f->use[i], -(int64_t)f->use[i + 1], -(int64_t)f->use[i + 2], -(int64_t)f->use[i + 3]};
}

static double robust_cost(const gv_window *w, const gv_motion *m, gv_fit *f, double c) {
    v4d sum = {0}, c2 = v4d_set(c * c);
    for (int i = 0; i < padded(w); i += STEP) {
        v4m use = taking_part(f, i);
        v4d rho = v4d_load(m->rho + i), ax = v4d_load(w->a[0] + i), ay = v4d_load(w->a[1] + i);
        for (int j = 0; j < w->poses; j++) {
            ray r = ray_of(m->R[j], m->t[j], rho, ax, ay);
            v4d ox = v4d_load(w->pose[j].obs[0] + i), oy = v4d_load(w->pose[j].obs[1] + i), z = 1 / r.p[2];
            v4d x = r.p[0] * z - ox, y = r.p[1] * z - oy, e2 = x * x + y * y;
            sum += v4d_keep(use & (ox == ox), v4d_select(r.p[2] > v4d_set(NEAREST), e2 * c2 / (c2 + e2), c2));
        }
    }
    return v4d_sum(sum);
}

// --- one pose, or depths alone -------------------------------------------------------------------------

void gv_fit_pose(const gv_window *w, gv_motion *m, int j, double c) {
    for (int it = 0; it < 6; it++) {
        v4d H[21] = {{0}}, g[6] = {{0}};
        double A[36], b[6];
        for (int i = 0; i < padded(w); i += STEP) {
            projection o = project(w, m, j, i, (v4m){-1, -1, -1, -1}, c);
            for (int r = 0, at = 0; r < 6; r++) {
                v4d kx = o.k * o.jx[r], ky = o.k * o.jy[r];
                g[r] -= kx * o.rx + ky * o.ry;
                for (int q = 0; q <= r; q++, at++) H[at] = v4d_fma(kx, o.jx[q], v4d_fma(ky, o.jy[q], H[at]));
            }
        }
        for (int r = 0, at = 0; r < 6; r++) {
            b[r] = v4d_sum(g[r]);
            for (int q = 0; q <= r; q++, at++) A[6 * r + q] = v4d_sum(H[at]);
            A[7 * r] += 1e-9 + (r >= 3 ? 1e-6 : 0);
        }
        if (!gv_cholesky(A, 6)) return;
        gv_cholesky_solve(A, 6, b);
        gv_so3_update(m->R[j], b);
        double moved = gv_dot3(b, b) + gv_dot3(b + 3, b + 3);
        for (int k = 0; k < 3; k++) m->t[j][k] += b[3 + k];
        if (moved < 1e-14) return;
    }
}

void gv_fit_depths(const gv_window *w, gv_motion *m) {
    for (int i = 0; i < padded(w); i += STEP) {
        v4d rho = v4d_load(m->rho + i), ax = v4d_load(w->a[0] + i), ay = v4d_load(w->a[1] + i), top = {0},
            bottom = v4d_set(1e-12);
        for (int j = 0; j < w->poses; j++) {
            const double *t = m->t[j];
            if (isnan(t[0])) continue;
            ray r = ray_of(m->R[j], t, v4d_set(0), ax, ay);
            v4d ox = v4d_load(w->pose[j].obs[0] + i), oy = v4d_load(w->pose[j].obs[1] + i);
            v4m ok = (r.p[2] > v4d_set(NEAREST)) & (ox == ox);
            v4d z = 1 / r.p[2], u = r.p[0] * z, v = r.p[1] * z, dx = (t[0] - u * t[2]) * z, dy = (t[1] - v * t[2]) * z;
            top -= v4d_keep(ok, dx * (u - ox) + dy * (v - oy)), bottom += v4d_keep(ok, dx * dx + dy * dy);
        }
        v4d found = top / bottom;
        v4d_store(m->rho + i, v4d_select(rho == rho, rho, v4d_keep(found > v4d_set(0), found)));
    }
}

// --- all at once ---------------------------------------------------------------------------------------

// Sums of one pose: its block of S and its part of g.
typedef struct pose_sums {
    v4d H[21], g[6];
} pose_sums;

static void keep_sums(const pose_sums *s, double *S, double *g, int n, int j) {
    for (int r = 0, at = 0; r < 6; r++) {
        g[6 * j + r] = v4d_sum(s->g[r]);
        for (int q = 0; q <= r; q++, at++) S[(long)(6 * j + r) * n + 6 * j + q] = v4d_sum(s->H[at]);
    }
}

// S -= W W^T (lower triangle, in 3 x 3 tiles), g -= W g_rho.
static void eliminate_depths(gv_fit *f, int n, int points) {
    for (int r = 0; r < n; r += 3)
        for (int q = 0; q <= r; q += 3) {
            v4d sum[9] = {{0}};
            for (int i = 0; i < points; i += STEP) {
                v4d a[3], b[3];
                for (int k = 0; k < 3; k++) a[k] = v4d_load(f->W[r + k] + i), b[k] = v4d_load(f->W[q + k] + i);
                for (int k = 0; k < 9; k++) sum[k] = v4d_fma(a[k / 3], b[k % 3], sum[k]);
            }
            for (int k = 0; k < 9; k++) f->S[(long)(r + k / 3) * n + q + k % 3] -= v4d_sum(sum[k]);
        }
    for (int r = 0; r < n; r++) {
        v4d sum = {0};
        for (int i = 0; i < points; i += STEP) sum = v4d_fma(v4d_load(f->W[r] + i), v4d_load(f->g_rho + i), sum);
        f->g[r] -= v4d_sum(sum);
    }
}

void gv_fit_system(const gv_window *w, const gv_motion *m, gv_fit *f, double c, double damp, double prior) {
    int n = 6 * w->poses, points = padded(w);
    double *V = f->root; // until its root is taken
    memset(f->S, 0, (size_t)n * n * sizeof(double));
    for (int i = 0; i < points; i++) V[i] = prior, f->g_rho[i] = 0;
    for (int j = 0; j < w->poses; j++) {
        pose_sums s = {0};
        for (int i = 0; i < points; i += STEP) {
            projection o = project(w, m, j, i, taking_part(f, i), c);
            v4d kdx = o.k * o.dx, kdy = o.k * o.dy;
            v4d_store(V + i, v4d_load(V + i) + kdx * o.dx + kdy * o.dy);
            v4d_store(f->g_rho + i, v4d_load(f->g_rho + i) - kdx * o.rx - kdy * o.ry);
            for (int r = 0, at = 0; r < 6; r++) {
                v4d kx = o.k * o.jx[r], ky = o.k * o.jy[r];
                v4d_store(f->W[6 * j + r] + i, o.jx[r] * kdx + o.jy[r] * kdy);
                s.g[r] -= kx * o.rx + ky * o.ry;
                for (int q = 0; q <= r; q++, at++) s.H[at] = v4d_fma(kx, o.jx[q], v4d_fma(ky, o.jy[q], s.H[at]));
            }
        }
        keep_sums(&s, f->S, f->g, n, j);
    }
    for (int r = 0; r < n; r++) f->S[(long)r * n + r] = f->S[(long)r * n + r] * (1 + damp) + prior;
    double scale[POINTS];
    for (int i = 0; i < points; i++) {
        bool held = m->rho[i] <= 0 && f->g_rho[i] < 0; // at infinity, and would go beyond
        f->root[i] = 1 / sqrt(V[i] * (1 + damp)), scale[i] = held ? 0 : f->root[i], f->g_rho[i] *= scale[i];
    }
    for (int r = 0; r < n; r++)
        for (int i = 0; i < points; i += STEP) v4d_store(f->W[r] + i, v4d_load(f->W[r] + i) * v4d_load(scale + i));
    eliminate_depths(f, n, points);
}

// The solution of the equations applied to m, into f->trial; false where there is none.
static bool take_step(const gv_window *w, const gv_motion *m, gv_fit *f) {
    int n = 6 * w->poses;
    memcpy(f->L, f->S, (size_t)n * n * sizeof(double));
    memcpy(f->step, f->g, n * sizeof(double));
    if (!gv_cholesky(f->L, n)) return false;
    gv_cholesky_solve(f->L, n, f->step);
    f->trial = *m;
    for (int j = 0; j < w->poses; j++) {
        gv_so3_update(f->trial.R[j], f->step + 6 * j);
        for (int k = 0; k < 3; k++) f->trial.t[j][k] += f->step[6 * j + 3 + k];
    }
    for (int i = 0; i < padded(w); i += STEP) {
        v4d r = v4d_load(f->g_rho + i), rho = v4d_load(m->rho + i);
        for (int k = 0; k < n; k++) r -= v4d_load(f->W[k] + i) * f->step[k];
        r = rho + r * v4d_load(f->root + i);
        v4d_store(f->trial.rho + i,
                  v4d_select(taking_part(f, i), v4d_keep(r > v4d_set(0), r), rho)); // nothing beyond infinity
    }
    return true;
}

void gv_fit_adjust(const gv_window *w, gv_motion *m, gv_fit *f, double c, double prior, int iterations) {
    double damp = 1e-3, cost = robust_cost(w, m, f, c);
    for (int it = 0; it < iterations && damp < 1e6; it++) {
        gv_fit_system(w, m, f, c, damp, prior);
        if (!take_step(w, m, f)) {
            damp *= 10;
            continue;
        }
        double now = robust_cost(w, &f->trial, f, c);
        if (now < cost) {
            bool done = cost - now < 3e-4 * cost;
            *m = f->trial, cost = now, damp = fmax(1e-7, damp * 0.2);
            if (done) break;
        } else {
            damp *= 8;
        }
    }
}

// A longer focal length brings `a` nearer to the axis, and what is predicted farther from it: one Gauss-Newton step
// of its logarithm with everything else eliminated.
void gv_fit_focal(gv_window *w, const gv_motion *m, gv_fit *f, double c) {
    double h[6 * POSES], H = 0, g = 0;
    int n = 6 * w->poses, points = padded(w);
    double v[POINTS] = {0}; // coupling of each depth and the focal length
    for (int j = 0; j < w->poses; j++) {
        const double *R = m->R[j];
        v4d hj[6] = {{0}}, Hj = {0}, gj = {0};
        for (int i = 0; i < points; i += STEP) {
            projection o = project(w, m, j, i, taking_part(f, i), c);
            v4d ax = v4d_load(w->a[0] + i), ay = v4d_load(w->a[1] + i), rho = v4d_load(m->rho + i);
            ray r = ray_of(R, m->t[j], rho, ax, ay);
            v4m ok = o.k > v4d_set(0);
            v4d z = v4d_keep(ok, 1 / r.p[2]), x = v4d_keep(ok, r.p[0]) * z, y = v4d_keep(ok, r.p[1]) * z;
            v4d lx = x - ((R[0] - x * R[6]) * ax + (R[1] - x * R[7]) * ay) * z,
                ly = y - ((R[3] - y * R[6]) * ax + (R[4] - y * R[7]) * ay) * z;
            v4d kx = o.k * lx, ky = o.k * ly;
            Hj += kx * lx + ky * ly, gj -= kx * o.rx + ky * o.ry;
            v4d_store(v + i, v4d_load(v + i) + kx * o.dx + ky * o.dy);
            for (int k = 0; k < 6; k++) hj[k] += kx * o.jx[k] + ky * o.jy[k];
        }
        H += v4d_sum(Hj), g += v4d_sum(gj);
        for (int k = 0; k < 6; k++) h[6 * j + k] = v4d_sum(hj[k]);
    }
    for (int i = 0; i < points; i++) {
        bool held = m->rho[i] <= 0 && f->g_rho[i] == 0;
        v[i] *= held ? 0 : f->root[i];
        H -= v[i] * v[i], g -= v[i] * f->g_rho[i];
    }
    for (int k = 0; k < n; k++)
        for (int i = 0; i < points; i++) h[k] -= f->W[k][i] * v[i];
    memcpy(f->step, h, n * sizeof(double));
    gv_cholesky_solve(f->L, n, f->step);
    for (int k = 0; k < n; k++) H -= h[k] * f->step[k], g -= f->step[k] * f->g[k];
    w->focal_information = H > 0 ? H / (w->sigma * w->sigma) : 0;
    w->focal_step = H > 0 ? g / H : 0;
}
