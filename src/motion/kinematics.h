// kinematics.h - forward kinematics of the 22 body joints over many frames, and the CCD solver on top of it.
//
// Arrays are double, row-major over L frames: body_pose [L, 63], orient [L, 3], transl [L, 3], joints
// [L, 22, 3]; axis-angle, radians, metres. `rest` [22, 3]: rest joints S(betas). Frames are independent
// and shared out to all cores; nothing allocates.
#pragma once

// Positions of the joints (SPEC.md 9).
void gv_fk_joints(double *joints, const double *rest, const double *body_pose, const double *orient,
                  const double *transl, int frames);

// The reference's foot and hand locking (SPEC.md 9.3 and 10): four chains are bent so that joints
// 7, 10, 8, 11, 20, 21 approach their targets [L, 6, 3]. solved [L, 63] receives the new body pose, whose
// vectors are the reference's also where its matrices are not orthonormal. Must not overlap body_pose.
void gv_ik_solve(double *solved, const double *rest, const double *body_pose, const double *orient,
                 const double *transl, const double *targets, int frames);
