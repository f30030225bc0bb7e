// metrics.h - the field's measures of recovered motion (SPEC.md 15).
//
// Joints are [frames, n, 3] in metres. Results are per frame (or fewer, as said), mm unless said; what a paper
// prints is the mean over all frames of all sequences.
#pragma once

// Similarity transform y ~ s R x + t of n points (rigid with scale 1 where `rigid`): least squares, proper rotation.
typedef struct gv_similarity {
    double s, R[9], t[3];
} gv_similarity;
gv_similarity gv_align(const float *x, const float *y, int n, int rigid);
void gv_align_apply(float *out, const gv_similarity *a, const float *x, int n); // may overlap

// In camera. pelvis: the two joints whose middle is subtracted from each side (1 and 2; 3DPW: 2 and 3).
void gv_mpjpe(float *out, const float *pred, const float *target, int frames, int joints, const int pelvis[2]);
void gv_pa_mpjpe(float *out, const float *pred, const float *target, int frames, int joints);
// Points (vertices) relative to the pelvis of the joints: out [frames] mm.
void gv_pve(float *out, const float *pred_points, const float *target_points, int points, const float *pred_joints,
            const float *target_joints, int frames, int joints, const int pelvis[2]);
void gv_accel_error(float *out, const float *pred, const float *target, int frames, int joints, const int pelvis[2],
                    double fps); // [frames - 2], m/s^2

// In the world.
void gv_wa_mpjpe(float *out, const float *pred, const float *target, int frames, int joints, int chunk);
void gv_w_mpjpe(float *out, const float *pred, const float *target, int frames, int joints, int chunk);
void gv_rte(float *out, const float *pred_root, const float *target_root, int frames); // %, roots [frames, 3]
void gv_jitter(float *out, const float *pred, int frames, int joints, double fps);     // [frames - 3], 10 m/s^3
// Points on the feet [frames, n, 3]: movement of the prediction, mm, wherever the target's point moves less than 1 cm
// between two frames. Returns how many values were written, at most (frames - 1) n.
int gv_foot_sliding(float *out, const float *pred, const float *target, int frames, int n);
