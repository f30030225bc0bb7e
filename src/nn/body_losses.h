// body_losses.h - the arithmetic of training's kinematics (training/rig.c) and losses (training/loss.c), for processor
// and device alike.
//
// gv_real is float; the tests of gradients make it double. Matrices are [3, 3] row-major. Points are in the camera, m,
// boxes (x, y, size) and K (fx, fy, cx, cy) in px. This header is C and C++.
#pragma once
#include <math.h>
#include <stdbool.h>

#ifdef GV_TRAIN_DOUBLE
typedef double gv_real;
#else
typedef float gv_real;
#endif

#ifndef GV_DEVICE_CODE
#define GV_DEVICE_CODE static inline
#endif

#define GV_NEAR_Z ((gv_real)0.3) // what is nearer is in no picture, m

GV_DEVICE_CODE void gv_real_mul(gv_real C[9], const gv_real A[9], const gv_real B[9]) {
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) C[3 * i + j] = A[3 * i] * B[j] + A[3 * i + 1] * B[3 + j] + A[3 * i + 2] * B[6 + j];
}

GV_DEVICE_CODE void gv_real_apply(gv_real y[3], const gv_real A[9], const gv_real x[3]) {
    for (int i = 0; i < 3; i++) y[i] = A[3 * i] * x[0] + A[3 * i + 1] * x[1] + A[3 * i + 2] * x[2];
}

GV_DEVICE_CODE void gv_real_apply_t(gv_real y[3], const gv_real A[9], const gv_real x[3]) {
    for (int i = 0; i < 3; i++) y[i] = A[i] * x[0] + A[3 + i] * x[1] + A[6 + i] * x[2];
}

GV_DEVICE_CODE gv_real gv_real_dot(const gv_real a[3], const gv_real b[3]) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

GV_DEVICE_CODE void gv_real_cross(gv_real c[3], const gv_real a[3], const gv_real b[3]) {
    c[0] = a[1] * b[2] - a[2] * b[1];
    c[1] = a[2] * b[0] - a[0] * b[2];
    c[2] = a[0] * b[1] - a[1] * b[0];
}

GV_DEVICE_CODE gv_real gv_real_length(const gv_real a[3], double least) {
    gv_real n = (gv_real)sqrt((double)gv_real_dot(a, a));
    return n > (gv_real)least ? n : (gv_real)least;
}

// Rows r0 = a/|a|, r1 = u/|u| with u = b - (r0.b) r0, r2 = r0 x r1 (SPEC.md 1.1).
GV_DEVICE_CODE void gv_real_from_6d(gv_real R[9], const gv_real d6[6]) {
    const gv_real *b = d6 + 3;
    gv_real na = gv_real_length(d6, 1e-12), u[3];
    for (int i = 0; i < 3; i++) R[i] = d6[i] / na;
    gv_real s = gv_real_dot(R, b);
    for (int i = 0; i < 3; i++) u[i] = b[i] - s * R[i];
    gv_real nu = gv_real_length(u, 1e-12);
    for (int i = 0; i < 3; i++) R[3 + i] = u[i] / nu;
    gv_real_cross(R + 6, R, R + 3);
}

// Its backward pass: dd6 is overwritten with the gradient.
GV_DEVICE_CODE void gv_real_from_6d_backward(gv_real dd6[6], const gv_real dR[9], const gv_real d6[6]) {
    const gv_real *b = d6 + 3;
    gv_real R[9], g0[3], g1[3], c[3], du[3];
    gv_real_from_6d(R, d6);
    const gv_real *r0 = R, *r1 = R + 3;
    gv_real_cross(c, r1, dR + 6); // r2 = r0 x r1
    for (int i = 0; i < 3; i++) g0[i] = dR[i] + c[i];
    gv_real_cross(c, dR + 6, r0);
    for (int i = 0; i < 3; i++) g1[i] = dR[3 + i] + c[i];
    gv_real s = gv_real_dot(r0, b), u[3];
    for (int i = 0; i < 3; i++) u[i] = b[i] - s * r0[i];
    gv_real nu = gv_real_length(u, 1e-6), na = gv_real_length(d6, 1e-6); // bounded where the rows are parallel
    gv_real k = gv_real_dot(g1, r1);
    for (int i = 0; i < 3; i++) du[i] = (g1[i] - k * r1[i]) / nu;
    gv_real e = gv_real_dot(du, r0);
    for (int i = 0; i < 3; i++) dd6[3 + i] = du[i] - e * r0[i];
    for (int i = 0; i < 3; i++) g0[i] -= e * b[i] + s * du[i];
    gv_real h = gv_real_dot(g0, r0);
    for (int i = 0; i < 3; i++) dd6[i] = (g0[i] - h * r0[i]) / na;
}

// Where the body is, of what the network says of the camera: x = 2f/(sb) etc., SPEC.md 7.
GV_DEVICE_CODE void gv_cam_decode(gv_real t[3], const gv_real cam[3], const gv_real box[3], const gv_real K[4]) {
    gv_real sb = cam[0] * box[2] + (gv_real)1e-9;
    t[0] = cam[1] + 2 * (box[0] - K[2]) / sb;
    t[1] = cam[2] + 2 * (box[1] - K[3]) / sb;
    t[2] = 2 * K[0] / sb;
}

GV_DEVICE_CODE void gv_cam_decode_backward(gv_real dcam[3], const gv_real dt[3], const gv_real cam[3],
                                           const gv_real box[3], const gv_real K[4]) {
    gv_real sb = cam[0] * box[2] + (gv_real)1e-9, k = -2 * box[2] / (sb * sb);
    dcam[0] += k * (dt[0] * (box[0] - K[2]) + dt[1] * (box[1] - K[3]) + dt[2] * K[0]);
    dcam[1] += dt[0];
    dcam[2] += dt[1];
}

// The other way, of the true translation t and keypoints coco [17, 3]; false where it is no target: somebody at or
// behind the camera, or far out of the picture.
GV_DEVICE_CODE bool gv_cam_target(gv_real cam[3], const gv_real t[3], const gv_real *coco, const gv_real box[3],
                                  const gv_real K[4]) {
    for (int i = 0; i < 17; i++)
        if (!(coco[3 * i + 2] > GV_NEAR_Z)) return false;
    cam[0] = 2 * K[0] / (t[2] * box[2]);
    cam[1] = t[0] - t[2] * (box[0] - K[2]) / K[0];
    cam[2] = t[1] - t[2] * (box[1] - K[3]) / K[0];
    return cam[0] > GV_NEAR_Z && cam[0] < 5 && cam[1] > -3 && cam[1] < 3 && cam[2] > -3 && cam[2] < 3 && box[2] > 0;
}

// Squared error of p, in box coordinates of the picture, against the true point q, and w times its gradient; 0 where
// one of them is too near or the true one is beyond the box.
GV_DEVICE_CODE double gv_projected(gv_real g[3], const gv_real p[3], const gv_real q[3], const gv_real box[3],
                                   const gv_real K[4], gv_real w) {
    gv_real left = box[0] - box[2] / 2, top = box[1] - box[2] / 2, s = box[2];
    g[0] = g[1] = g[2] = 0;
    if (q[2] <= GV_NEAR_Z || p[2] <= GV_NEAR_Z) return 0;
    gv_real u = (K[0] * q[0] / q[2] + K[2] - left) / s, v = (K[1] * q[1] / q[2] + K[3] - top) / s;
    if (!(u > 0 && u < 1 && v > 0 && v < 1)) return 0;
    gv_real du = (K[0] * p[0] / p[2] + K[2] - left) / s - u, dv = (K[1] * p[1] / p[2] + K[3] - top) / s - v;
    g[0] = 2 * w * du * K[0] / (s * p[2]);
    g[1] = 2 * w * dv * K[1] / (s * p[2]);
    g[2] = -(g[0] * p[0] + g[1] * p[1]) / p[2];
    return (double)du * du + (double)dv * dv;
}

// Cross-entropy of a logit against the label y, 0 to 1, and its slope.
GV_DEVICE_CODE double gv_still_loss(gv_real *slope, gv_real logit, gv_real y) {
    gv_real a = logit < 0 ? -logit : logit;
    *slope = (gv_real)(1 / (1 + exp(-(double)logit))) - y;
    return (double)((logit > 0 ? logit : 0) - logit * y) + log1p(exp(-(double)a));
}
