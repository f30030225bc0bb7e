// window_fit.h - least squares over one window of views (window.h), four points at a time.
//
// Everything here is about one motion: rotations, translations and inverse depths that explain a window's
// observations. Errors are squared distances in normalised picture units. Internal to src/camera.
#pragma once
#include "camera/window.h"

typedef struct gv_motion {
    double R[GV_WINDOW_POSES][9], t[GV_WINDOW_POSES][3]; // t[j][0] NaN: not known yet
    double rho[GV_WINDOW_POINTS];                        // NaN: not known yet
} gv_motion;

typedef struct gv_fit { // scratch, large
    // Normal equations with the inverse depths eliminated, n = 6 poses: S [n, n] (lower triangle) step = g.
    double S[36 * GV_WINDOW_POSES * GV_WINDOW_POSES], L[36 * GV_WINDOW_POSES * GV_WINDOW_POSES];
    double g[6 * GV_WINDOW_POSES], step[6 * GV_WINDOW_POSES];
    // What the way back needs: coupling of pose unknowns and depths over sqrt(V), gradient over sqrt(V), 1 / sqrt(V).
    double W[6 * GV_WINDOW_POSES][GV_WINDOW_POINTS], g_rho[GV_WINDOW_POINTS], root[GV_WINDOW_POINTS];
    bool use[GV_WINDOW_POINTS]; // points that take part
    gv_motion trial;
    double errors[GV_WINDOW_POSES][GV_WINDOW_POINTS], sorted[GV_WINDOW_POSES * GV_WINDOW_POINTS];
} gv_fit;

// Squared error of every observation into f->errors: NaN where unseen, infinite where behind the camera.
void gv_fit_errors(const gv_window *w, const gv_motion *m, gv_fit *f);
// The quantile q (0..1) of those that are seen, 0 without any. Needs gv_fit_errors.
double gv_fit_quantile(const gv_window *w, gv_fit *f, double q);
// A point takes part when at least half of its observations agree within `limit`.
void gv_fit_choose(const gv_window *w, const gv_motion *m, double limit, gv_fit *f);
// Robust (Geman-McClure, scale c) Gauss-Newton of one pose against the known inverse depths.
void gv_fit_pose(const gv_window *w, gv_motion *m, int j, double c);
// Inverse depths that are not known yet, from all poses that are: linear least squares, not negative.
void gv_fit_depths(const gv_window *w, gv_motion *m);
// Normal equations at m. `damp` and `prior`: Levenberg's share, and information that holds the free scale.
void gv_fit_system(const gv_window *w, const gv_motion *m, gv_fit *f, double c, double damp, double prior);
// Levenberg-Marquardt over the points that take part.
void gv_fit_adjust(const gv_window *w, gv_motion *m, gv_fit *f, double c, double prior, int iterations);
// What the window thinks of the focal length: w->focal_step, focal_information. Needs gv_fit_system without damping,
// and the factor of S in f->L.
void gv_fit_focal(gv_window *w, const gv_motion *m, gv_fit *f, double c);
