#include "camera/rotation_graph.h"

#include "base/memory.h"
#include "geometry/linalg.h"
#include "geometry/so3.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BAND = 3 * GV_GRAPH_BAND + 2, ROW = BAND + 1, ITERATIONS = 16, STEPS = 200 };
static const double CAUCHY = 3, WIDEST = 1000; // scale of the kernel, standard deviations: last and first iteration
static const double HELD = 1e14, LEAST = 1e-3; // information of node 0, and of every other by itself
static const double SMALL = 1e-16;             // of the conjugate gradients' first residual, squared

static void residual(double r[3], const gv_graph_edge *e, double (*R)[9]) {
    double relative[9], D[9]; // log(R_to R_from^T R_edge^T)
    gv_so3_mul_nt(relative, R[e->to], R[e->from]);
    gv_so3_mul_nt(D, relative, e->R);
    gv_so3_log(r, D);
}

static void add_block(double *A, int bi, int bj, const double M[9], double k) { // block row bi >= block column bj
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++) {
            int i = 3 * bi + r, j = 3 * bj + c;
            if (j <= i) A[(long)i * ROW + j - i + BAND] += k * M[3 * r + c];
        }
}

static bool is_near(const gv_graph_edge *e) {
    return e->to - e->from <= GV_GRAPH_BAND;
}

// With left increments w: r' = r + w_to - Q w_from, Q = R_to R_from^T (first order). Returns the edge's weight.
static double add_edge(double *A, double *g, const gv_graph_edge *e, double (*R)[9], double scale) {
    double r[3], Ir[3], Q[9], IQ[9], QtIQ[9];
    residual(r, e, R);
    gv_so3_apply(Ir, e->info, r);
    const double k = 1 / (1 + gv_dot3(r, Ir) / (scale * scale));
    gv_so3_mul_nt(Q, R[e->to], R[e->from]);
    for (int i = 0; i < 3; i++) {
        g[3L * e->to + i] -= k * Ir[i];
        g[3L * e->from + i] += k * (Q[i] * Ir[0] + Q[3 + i] * Ir[1] + Q[6 + i] * Ir[2]);
    }
    if (!is_near(e)) return k;
    gv_so3_mul(IQ, e->info, Q);
    gv_so3_mul_tn(QtIQ, Q, IQ);
    add_block(A, e->to, e->to, e->info, k);
    add_block(A, e->from, e->from, QtIQ, k);
    add_block(A, e->to, e->from, IQ, -k);
    return k;
}

typedef struct problem { // one round's: sums of k |r + w_to - Q w_from|^2
    const gv_graph_edge *edges;
    long nedges;
    int n;
    double (*R)[9], *k; // k [nedges]
} problem;

// y = (the whole matrix) x, edge by edge.
static void multiply(double *y, const double *x, const problem *p) {
    for (int i = 0; i < 3 * p->n; i++) y[i] = (i < 3 ? HELD : LEAST) * x[i];
    for (long e = 0; e < p->nedges; e++) {
        const gv_graph_edge *q = &p->edges[e];
        double Q[9], moved[3], d[3], Id[3];
        gv_so3_mul_nt(Q, p->R[q->to], p->R[q->from]);
        gv_so3_apply(moved, Q, x + 3L * q->from);
        for (int i = 0; i < 3; i++) d[i] = x[3L * q->to + i] - moved[i];
        gv_so3_apply(Id, q->info, d);
        gv_so3_apply_t(moved, Q, Id);
        for (int i = 0; i < 3; i++) y[3L * q->to + i] += p->k[e] * Id[i], y[3L * q->from + i] -= p->k[e] * moved[i];
    }
}

static double dot(const double *a, const double *b, long n) {
    double s = 0;
    for (long i = 0; i < n; i++) s += a[i] * b[i];
    return s;
}

// Solves (the whole matrix) x = g, x in place of g. A: the banded part's factor. work [3, 3 n].
static void conjugate_gradients(double *g, const double *A, double *work, const problem *whole) {
    const long N = 3L * whole->n;
    double *x = work, *p = work + N, *Ap = work + 2 * N, *r = g, *z = Ap; // z and Ap are never needed at once
    memset(x, 0, (size_t)N * sizeof *x);
    memcpy(z, r, (size_t)N * sizeof *z);
    gv_cholesky_banded_solve(A, (int)N, BAND, z);
    memcpy(p, z, (size_t)N * sizeof *p);
    double rz = dot(r, z, N), first = rz;
    for (int it = 0; it < STEPS && rz > SMALL * first; it++) {
        multiply(Ap, p, whole);
        const double a = rz / dot(p, Ap, N);
        for (long i = 0; i < N; i++) x[i] += a * p[i], r[i] -= a * Ap[i];
        memcpy(z, r, (size_t)N * sizeof *z);
        gv_cholesky_banded_solve(A, (int)N, BAND, z);
        const double next = dot(r, z, N), b = next / rz;
        for (long i = 0; i < N; i++) p[i] = z[i] + b * p[i];
        rz = next;
    }
    memcpy(g, x, (size_t)N * sizeof *g);
}

gv_status gv_rotation_graph_solve(double (*R)[9], int n, const gv_graph_edge *edges, long nedges, gv_error *err) {
    bool far = false;
    for (long e = 0; e < nedges && !far; e++) far = !is_near(&edges[e]);
    double *A = gv_calloc2((size_t)n * 3, ROW * sizeof(double)), *g = gv_calloc2((size_t)n * 3, sizeof(double));
    double *work = far ? gv_calloc2((size_t)n * 3, 3 * sizeof *work) : NULL;
    problem whole = {edges, nedges, n, R, gv_calloc2((size_t)nedges + 1, sizeof(double))};
    gv_status status = GV_OK;
    if (!A || !g || !whole.k || (far && !work)) {
        status = gv_fail(err, GV_ERR_MEMORY, "no memory to average %d rotations", n);
        goto done;
    }
    double scale = WIDEST; // narrowed step by step, so that a wrong start does not throw out right edges
    for (int it = 0; it < ITERATIONS; it++) {
        memset(A, 0, (size_t)n * 3 * ROW * sizeof(double)), memset(g, 0, (size_t)n * 3 * sizeof(double));
        for (int i = 0; i < 3 * n; i++) A[(long)i * ROW + BAND] = i < 3 ? HELD : LEAST;
        for (long e = 0; e < nedges; e++) whole.k[e] = add_edge(A, g, &edges[e], R, scale);
        if (!gv_cholesky_banded(A, 3 * n, BAND)) {
            status = gv_fail(err, GV_ERR_INTERNAL, "the rotations of %d keyframes do not determine each other", n);
            goto done;
        }
        if (far)
            conjugate_gradients(g, A, work, &whole);
        else
            gv_cholesky_banded_solve(A, 3 * n, BAND, g);
        double largest = 0;
        for (int i = 1; i < n; i++) {
            gv_so3_update(R[i], g + 3 * i);
            largest = fmax(largest, gv_dot3(g + 3 * i, g + 3 * i));
        }
        if (scale == CAUCHY && largest < 1e-20) break;
        scale = fmax(CAUCHY, scale / 3);
    }
done:
    free(A), free(g), free(work), free(whole.k);
    return status;
}
