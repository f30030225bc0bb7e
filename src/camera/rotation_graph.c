#include "camera/rotation_graph.h"

#include "base/memory.h"
#include "geometry/linalg.h"
#include "geometry/so3.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BAND = 3 * GV_GRAPH_BAND + 2, ROW = BAND + 1, ITERATIONS = 16 };
static const double CAUCHY = 3, WIDEST = 1000; // scale of the kernel, standard deviations: last and first iteration

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

// With left increments w: r' = r + w_to - Q w_from, Q = R_to R_from^T (first order).
static void add_edge(double *A, double *g, const gv_graph_edge *e, double (*R)[9], double scale) {
    double r[3], Ir[3], Q[9], IQ[9], QtIQ[9];
    residual(r, e, R);
    gv_so3_apply(Ir, e->info, r);
    double k = 1 / (1 + gv_dot3(r, Ir) / (scale * scale));
    gv_so3_mul_nt(Q, R[e->to], R[e->from]);
    gv_so3_mul(IQ, e->info, Q);
    gv_so3_mul_tn(QtIQ, Q, IQ);
    add_block(A, e->to, e->to, e->info, k);
    add_block(A, e->from, e->from, QtIQ, k);
    add_block(A, e->to, e->from, IQ, -k);
    for (int i = 0; i < 3; i++) {
        g[3 * e->to + i] -= k * Ir[i];
        g[3 * e->from + i] += k * (Q[i] * Ir[0] + Q[3 + i] * Ir[1] + Q[6 + i] * Ir[2]);
    }
}

gv_status gv_rotation_graph_solve(double (*R)[9], int n, const gv_graph_edge *edges, long nedges, gv_error *err) {
    double *A = gv_calloc2((size_t)n * 3, ROW * sizeof(double)), *g = gv_calloc2((size_t)n * 3, sizeof(double));
    gv_status status = GV_OK;
    if (!A || !g) {
        status = gv_fail(err, GV_ERR_MEMORY, "no memory to average %d rotations", n);
        goto done;
    }
    double scale = WIDEST; // narrowed step by step, so that a wrong start does not throw out right edges
    for (int it = 0; it < ITERATIONS; it++) {
        memset(A, 0, (size_t)n * 3 * ROW * sizeof(double)), memset(g, 0, (size_t)n * 3 * sizeof(double));
        for (int i = 0; i < 3 * n; i++) A[(long)i * ROW + BAND] = i < 3 ? 1e14 : 1e-3; // node 0 is held
        for (long e = 0; e < nedges; e++) add_edge(A, g, &edges[e], R, scale);
        if (!gv_cholesky_banded(A, 3 * n, BAND)) {
            status = gv_fail(err, GV_ERR_INTERNAL, "the rotations of %d keyframes do not determine each other", n);
            goto done;
        }
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
    free(A);
    free(g);
    return status;
}
