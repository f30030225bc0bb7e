// camera_way.h - error of a camera's way, which is known up to scale, against the truth.
#pragma once
#include "camera/odometry.h"
#include "geometry/so3.h"
#include <math.h>

// Error of the way after the best similarity, as a share of its length; centre [frames, 3] true places, world axes.
// Frames whose place is not known are left out; -1 where none is known.
static inline double camera_way_error(const gv_camera_path *p, const double *centre) {
    double ma[3] = {0}, mb[3] = {0}, C[9] = {0}, aa = 0, bb = 0, length = 0, best = 0, R[9];
    int n = 0;
    for (int f = 0; p->position && f < p->frames; f++)
        for (int i = 0, in = p->stretch[f] == 0; in && i < 3; i++)
            n += i == 0, ma[i] += p->position[3 * f + i], mb[i] += centre[3 * f + i];
    if (n < 3) return -1;
    for (int f = 0, last = -1; f < p->frames; f++) {
        if (p->stretch[f] != 0) continue;
        double a[3], b[3], d[3] = {0};
        for (int i = 0; i < 3; i++) {
            a[i] = p->position[3 * f + i] - ma[i] / n, b[i] = centre[3 * f + i] - mb[i] / n;
            if (last >= 0) d[i] = centre[3 * f + i] - centre[3 * last + i];
        }
        for (int i = 0; i < 9; i++) C[i] += b[i / 3] * a[i % 3];
        aa += gv_dot3(a, a), bb += gv_dot3(b, b), length += sqrt(gv_dot3(d, d)), last = f;
    }
    gv_so3_identity(R); // the rotation that maximises trace(R^T C), by small turns
    for (int it = 0; it < 200; it++) {
        double M[9], w[3];
        gv_so3_mul_nt(M, C, R);
        for (int i = 0; i < 3; i++) w[i] = (M[3 * ((i + 2) % 3) + (i + 1) % 3] - M[3 * ((i + 1) % 3) + (i + 2) % 3]);
        double k = 0.5 / (fabs(M[0]) + fabs(M[4]) + fabs(M[8]) + sqrt(gv_dot3(w, w)) + 1e-30);
        for (int i = 0; i < 3; i++) w[i] *= k;
        gv_so3_update(R, w);
        best = 0;
        for (int i = 0; i < 9; i++) best += R[i] * C[i];
    }
    return sqrt(fmax(0, bb - best * best / aa) / n) / length;
}
