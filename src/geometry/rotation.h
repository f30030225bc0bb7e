// rotation.h - conversions between representations of 3D rotations.
//
// Matrices are row-major [9] and act on column vectors: y = R x. Axis-angle [3] in radians. Quaternions
// are (w, x, y, z). 6D is the first two ROWS of the matrix. Exactly PyTorch3D 0.7.6's semantics, including
// its behaviour for matrices that are not orthonormal (SPEC.md 1.1). Nothing allocates or keeps state.
//
// The float functions compute in double and round once. The gv_rotd_ family is the same in double, for
// chains of conversions (decoding, trajectory roll-out) whose rounding would otherwise add up; so3.h multiplies them.
#pragma once
#include "base/team.h"

GV_SHARED void gv_rot_from_6d(float R[9], const float d6[6]); // zero or parallel rows: as the formula, no NaN
GV_SHARED void gv_rot_to_6d(float d6[6], const float R[9]);
GV_SHARED void gv_rot_from_aa(float R[9], const float aa[3]);
GV_SHARED void gv_rot_to_aa(float aa[3], const float R[9]);    // |aa| <= pi; the sign at pi is arbitrary
GV_SHARED void gv_rot_from_quat(float R[9], const float q[4]); // q need not be normalised
GV_SHARED void gv_rot_to_quat(float q[4], const float R[9]);   // w >= 0
GV_SHARED void gv_quat_from_aa(float q[4], const float aa[3]);
GV_SHARED void gv_quat_to_aa(float aa[3], const float q[4]);
GV_SHARED void gv_quat_slerp(float q[4], const float a[4], const float b[4], float t); // shorter way, unit inputs

GV_SHARED void gv_mat3_mul(float C[9], const float A[9], const float B[9]);    // C = A B; C must not overlap
GV_SHARED void gv_mat3_mul_nt(float C[9], const float A[9], const float B[9]); // C = A B^T
GV_SHARED void gv_mat3_mul_tn(float C[9], const float A[9], const float B[9]); // C = A^T B
GV_SHARED void gv_mat3_apply(float y[3], const float A[9], const float x[3]);  // y must not overlap x
GV_SHARED void gv_mat3_apply_t(float y[3], const float A[9], const float x[3]);
float gv_rot_angle(const float A[9], const float B[9]); // geodesic angle of A^T B, accurate near 0 and pi
void gv_rot_orthonormalise(float R[9]);                 // nearest rotation (polar), det +1

GV_SHARED void gv_rotd_from_6d(double R[9], const double d6[6]);
GV_SHARED void gv_rotd_from_aa(double R[9], const double aa[3]);
GV_SHARED void gv_rotd_to_aa(double aa[3], const double R[9]);
GV_SHARED void gv_rotd_from_quat(double R[9], const double q[4]);
GV_SHARED void gv_rotd_to_quat(double q[4], const double R[9]);
GV_SHARED void gv_quatd_from_aa(double q[4], const double aa[3]);
GV_SHARED void gv_quatd_to_aa(double aa[3], const double q[4]);
GV_SHARED void gv_quatd_slerp(double q[4], const double a[4], const double b[4], double t);
