// inputs.h - from what was observed to what the network sees (SPEC.md 4.1 to 4.3). L frames.
#pragma once
#include "base/team.h"
#include <stdbool.h>

// obs [L, 17, 3]: keypoints relative to the box in [-1, 1], confidence 0 outside the box (its border is
// inside). kp2d [L, 17, 3] px and confidence; bbx_xys [L, 3] px.
void gv_obs_from_keypoints(float *obs, const float *kp2d, const float *bbx_xys, int frames);

// A joint is visible where its confidence in obs is above 0.5.
GV_BOTH bool gv_obs_visible(const float joint[3]) {
    return joint[2] > 0.5f;
}

// cliff [L, 3]: box centre and size relative to the focal length K[0][0]. K [L, 3, 3].
void gv_cliff_from_boxes(float *cliff, const float *bbx_xys, const float *K, int frames);

// cam_angvel [L, 6]: first two rows of R_{t+1} R_t^T; the last frame repeats the one before. A single frame
// has no motion: identity (the reference cannot do L = 1).
void gv_angvel_from_rotations(float *cam_angvel, const float *R_w2c, int frames);

// The keypoint network's own guess in space, kp3d [17, 3] m (all 0: none), in the place of image features [1024]: the
// coordinates first, relative to the middle of the hips, the rest stays 0. The embedder's normalisation takes the
// scale out.
GV_BOTH void gv_features_from_points(float *features, const float *kp3d) {
    for (int c = 0; c < 3; c++) {
        float mid = 0.5f * (kp3d[33 + c] + kp3d[36 + c]);
        for (int j = 0; j < 17; j++) features[3 * j + c] = kp3d[3 * j + c] - mid;
    }
}

// (A - mean) / std of the release's tables, [L, 6].
void gv_angvel_normalise(float *out, const float *cam_angvel, int frames);
