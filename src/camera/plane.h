// plane.h - relative motion of two views of one plane.
//
// A wall, a facade or a floor that fills the picture lets points move by a homography b ~ H (a, 1), and exactly two
// motions explain that. A search that draws motions from points falls for either; taking H apart gives both.
// Source of the decomposition: Ma, Soatto, Kosecka & Sastry, An Invitation to 3-D Vision, 2004, section 5.3.3.
#pragma once
#include "camera/relative.h"

typedef struct gv_plane_motion {
    double R[9], t[3]; // second-from-first; in units of the plane's distance
    double n[3];       // the plane in the first view: a point's inverse depth is n (a, 1)
} gv_plane_motion;

// Homography that most matches agree with, by robust least squares from the rotation R on. Returns the number of
// matches within 4 sigma.
int gv_plane_homography(double H[9], const double R[9], const gv_match *m, int n, double sigma);
// Both motions with the points in front of the first camera; returns their number, 0 for a rotation alone.
int gv_plane_motions(gv_plane_motion out[2], const double H[9], const gv_match *m, int n);
