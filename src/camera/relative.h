// relative.h - robust relative rotation of two views from point matches.
//
// Points are normalised picture coordinates: a = ((x - cx) / f, (y - cy) / f) of the first view, b of the
// second. A direction is (a, 1). R is second-from-first: b ~ R a for far points, b ~ R a + rho t in general,
// rho the inverse depth in the first view in units of 1 / |t|. Errors are in the same normalised units (pixels / f).
// Hypotheses are drawn by a small generator seeded by the caller, so results repeat exactly.
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef struct gv_match {
    double a[2], b[2];
} gv_match;

// Rotation that most matches agree with, all taken as infinitely far. `sigma` is the expected error of one
// coordinate. *R and the identity compete with `draws` drawn hypotheses. Returns the number of matches within 3 sigma.
int gv_relative_rotation(double R[9], const gv_match *m, int n, double sigma, int draws, uint32_t seed);

// Rotation and direction of translation (unit t) that most matches agree with, by their epipolar distance.
// Depths are non-negative. Starts from the rotation in *R, and from `other` where that is not NULL (one of them within
// about 20 degrees of the truth). Returns the number of matches
// within 3 sigma; 0 when there are fewer than six matches.
int gv_relative_motion(double R[9], double t[3], const double other[9], const gv_match *m, int n, double sigma,
                       uint32_t seed);

// Epipolar (Sampson) distance of a match under (R, t).
double gv_epipolar_error(const double R[9], const double t[3], const gv_match *m);
// Inverse depth in the first view (units of 1 / |t|, negative behind) by least squares.
double gv_inverse_depth(const double R[9], const double t[3], const gv_match *m);
