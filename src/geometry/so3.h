// so3.h - rotations and 3-vectors in double precision, for estimation.
//
// Matrices are row-major [9] and act on column vectors: y = R x. Rotation vectors [3] are axis times
// angle, radians. rotation.h is the float32 counterpart with the reference's exact semantics; this one
// is for solvers, accurate at every angle. Outputs must not overlap inputs unless a comment says so.
// Nothing allocates or keeps state.
#pragma once
#include "base/team.h"

void gv_so3_identity(double R[9]);
void gv_so3_exp(double R[9], const double w[3]);                        // Rodrigues; series near 0
void gv_so3_log(double w[3], const double R[9]);                        // |w| <= pi; accurate near 0 and near pi
void gv_so3_mul(double C[9], const double A[9], const double B[9]);     // C = A B
void gv_so3_mul_nt(double C[9], const double A[9], const double B[9]);  // C = A B^T
void gv_so3_mul_tn(double C[9], const double A[9], const double B[9]);  // C = A^T B
void gv_so3_apply(double y[3], const double A[9], const double x[3]);   // y = A x
void gv_so3_apply_t(double y[3], const double A[9], const double x[3]); // y = A^T x
void gv_so3_update(double R[9], const double w[3]);                     // R = exp(w) R, kept orthonormal
double gv_so3_angle(const double A[9], const double B[9]);              // geodesic angle between A and B, radians
// exp(s log(B A^T)) A: the rotation at fraction s of the shortest way from A to B.
void gv_so3_interpolate(double R[9], const double A[9], const double B[9], double s);
// Nearest rotation to a 3x3 matrix that is already close to one (Newton iteration of the polar decomposition).
void gv_so3_orthonormalise(double R[9]);

GV_BOTH double gv_dot3(const double a[3], const double b[3]) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
GV_BOTH void gv_cross3(double c[3], const double a[3], const double b[3]) {
    c[0] = a[1] * b[2] - a[2] * b[1];
    c[1] = a[2] * b[0] - a[0] * b[2];
    c[2] = a[0] * b[1] - a[1] * b[0];
}
double gv_normalise3(double v[3]); // returns the length; a zero vector stays as it is
