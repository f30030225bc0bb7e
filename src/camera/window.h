// window.h - the views of one window of frames, adjusted together.
//
// The anchor view sees n points in directions (a, 1); pose j sees point i at obs[j][i]. Every point has one
// inverse depth rho in the anchor view, every pose a rotation R and translation t (pose-from-anchor):
//     obs ~ R (a, 1) + rho t        in normalised picture coordinates, pixels / f
// Two models are fitted by robust least squares (Geman-McClure): rotation alone (rho t = 0) and motion.
// In a pure rotation the second would still fit, but worse determined; gv_window_solve chooses.
// Source of the elimination of depths: Triggs et al. 2000, section 6 (Schur complement).
#pragma once
#include "base/error.h"
#include <stdbool.h>

enum { GV_WINDOW_POSES = 24, GV_WINDOW_POINTS = 400 };

typedef struct gv_window_pose {
    double R[9], t[3];
    double info[9]; // information of the rotation (left increment), 1 / rad^2; zero where undetermined
    bool predicted; // an earlier window found this pose, up to scale:
    double expected_R[9], expected_t[3];
    int seen, inliers;               // points observed, and those that agree
    double obs[2][GV_WINDOW_POINTS]; // x, y; NaN where the point is not seen, and beyond the last point
} gv_window_pose;

typedef struct gv_window {
    int points, poses;
    double a[2][GV_WINDOW_POINTS]; // x, y
    double rho[GV_WINDOW_POINTS];  // 0 under the rotation model
    gv_window_pose pose[GV_WINDOW_POSES];
    bool moved;                        // chosen: the motion model
    double sigma;                      // error of one coordinate as found, normalised units
    double cost_rotation, cost_motion; // robust costs in units of sigma^2, for the record
    bool warm;                         // in: what is expected is nearly right, no other start is looked at
    bool calibrate;                    // in: also say what the window thinks of the focal length:
    double focal_step;                 // change of its logarithm that would fit better,
    double focal_information;          // and how much the window knows about it, 1 / variance
} gv_window;

// In: points, poses, a, obs, and R of every pose roughly (from the chain of frames), and what
// is expected where an earlier window knows. `noise` is the least error
// of one coordinate that is believed. Out: the rest. Poses with fewer than six points get zero information.
gv_status gv_window_solve(gv_window *w, double noise, unsigned seed, gv_error *err);
