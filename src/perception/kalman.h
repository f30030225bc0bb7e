// kalman.h - constant-velocity Kalman filter of a box (SPEC-perception.md 6.5).
//
// State: centre x, y, width, height in px and their change per frame. All noise grows with the box:
// standard deviations are w/20, h/20, w/20, h/20 for the box and w/160, h/160, ... for the velocities.
// Source: the filter of BoT-SORT (Aharon et al. 2022, equations 1-8), which is DeepSORT's with w for the aspect ratio.
#pragma once

typedef struct gv_kalman {
    double x[8];    // cx, cy, w, h, then velocities per frame
    double P[8][8]; // covariance
} gv_kalman;

void gv_kalman_start(gv_kalman *k, const double xywh[4]); // velocities 0
void gv_kalman_predict(gv_kalman *k);                     // one frame on
void gv_kalman_update(gv_kalman *k, const double xywh[4]);
// Camera motion: `warp` [2, 3] maps points of the last frame to this one. Its linear part acts on the four
// pairs of the state, its translation on the centre.
void gv_kalman_warp(gv_kalman *k, const double warp[2][3]);
