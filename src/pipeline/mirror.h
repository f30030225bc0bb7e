// mirror.h - the flip test: what is seen in a mirror, predicted as well and brought back (SPEC.md 15.1).
#pragma once
#include "formats/observations.h"
#include "network/network.h"

// What a mirror in the plane x = width / 2 shows: keypoints with left and right exchanged, boxes, camera rotations
// F R_w2c with F = diag(-1, 1, 1), kp3d where there is one. Image features cannot be mirrored: those of the mirrored
// pictures are the caller's to add; feet2d is left out. `o` needs its width and R_w2c.
gv_status gv_mirror_observations(gv_observations *out, const gv_observations *o, gv_error *err);

// Pose and shape in pred_x [L, 151] become the means of those of pred_x and of mirrored_x brought back; the root stays.
// camera_pose [L, 63] and camera_orient [L, 3] (axis-angle) receive the mean pose and the mean orientation in the
// camera. The mean of two rotations is the rotation nearest to the mean of their matrices.
void gv_mirror_average(float *pred_x, const float *mirrored_x, int frames, float *camera_pose, float *camera_orient);

// All of pred_x, pred_cam and static_conf_logits become the means of themselves and of the mirror's, brought back: what
// `run` does before refinement, where the reference's flip test leaves the root as it is.
void gv_mirror_merge(const gv_network_output *out, const gv_network_output *mirrored, int frames);
