// internal.h - what the files of src/body share.
#pragma once
#include "body/body.h"

// Global transforms G [55, 3x4] of all joints and, where A is not NULL, A [55, 3x4]: G with the rest position
// taken out, so that A_j maps a rest-pose point to its posed place. feature [486] (may be NULL): R_j - I of
// joints 1..54. S [55, 3] rest joints; hands [90] axis-angle; transl NULL = 0.
void gv_body_transforms(float *G, float *A, float *feature, const float *S, const float hands[90],
                        const float body_pose[63], const float global_orient[3], const float transl[3]);
