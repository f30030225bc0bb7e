// decode.h - what the network says of one frame (SPEC.md 6 and 7), in double so that rounding does not add up.
//
// pred_x [151] is a row of the prediction; `first` is one of its columns (network/statistics.h).
#pragma once
#include "body/body.h"

void gv_decode_block(double *y, const float *pred_x, int first, int count);
void gv_decode_rotation(double R[9], const float *pred_x, int first); // six columns
void gv_decode_aa(double aa[3], const float *pred_x, int first);      // the same as an axis-angle

// Where the body is in the camera, m: pred_cam [3], box [3] centre and side in px, K [3, 3].
void gv_decode_place(double transl[3], const float *pred_cam, const float *box, const float *K);

// Joints of the rest pose, m.
void gv_decode_rest(double rest[66], const gv_body *body, const double betas[10]);

// The Gravity-View frame of a camera in which gravity points along the unit vector `down` (SPEC.md 14.1): rows x, y, z
// in the camera's axes, y along gravity.
void gv_gravity_view(double G[9], const double down[3]);
