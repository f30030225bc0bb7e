#include "network/inputs.h"

#include "geometry/rotation.h"
#include "network/statistics.h"

#include <stddef.h>
#include <string.h>

void gv_obs_from_keypoints(float *obs, const float *kp2d, const float *bbx_xys, int frames) {
    for (int t = 0; t < frames; t++) {
        float bx = bbx_xys[3 * t], by = bbx_xys[3 * t + 1], s = bbx_xys[3 * t + 2], half = s / 2;
        for (int j = 0; j < 17; j++) {
            const float *k = kp2d + 3 * ((size_t)17 * t + j);
            float *o = obs + 3 * ((size_t)17 * t + j);
            bool outside = k[0] < bx - half || k[0] > bx + half || k[1] < by - half || k[1] > by + half;
            o[0] = 2 * (k[0] - bx) / s;
            o[1] = 2 * (k[1] - by) / s;
            o[2] = outside ? 0 : k[2];
        }
    }
}

void gv_cliff_from_boxes(float *cliff, const float *bbx_xys, const float *K, int frames) {
    for (int t = 0; t < frames; t++) {
        const float *b = bbx_xys + 3 * t, *k = K + 9 * (size_t)t;
        cliff[3 * t] = (b[0] - k[2]) / k[0];
        cliff[3 * t + 1] = (b[1] - k[5]) / k[0];
        cliff[3 * t + 2] = b[2] / k[0];
    }
}

void gv_angvel_from_rotations(float *cam_angvel, const float *R_w2c, int frames) {
    for (int t = 0; t + 1 < frames; t++) {
        float A[9];
        gv_mat3_mul_nt(A, R_w2c + 9 * ((size_t)t + 1), R_w2c + 9 * (size_t)t);
        gv_rot_to_6d(cam_angvel + 6 * (size_t)t, A);
    }
    float *last = cam_angvel + 6 * ((size_t)frames - 1);
    memcpy(last, frames > 1 ? last - 6 : (float[6]){1, 0, 0, 0, 1, 0}, 6 * sizeof *last);
}

void gv_angvel_normalise(float *out, const float *cam_angvel, int frames) {
    for (int t = 0; t < frames; t++)
        for (int i = 0; i < 6; i++) {
            size_t k = 6 * (size_t)t + i;
            out[k] = (cam_angvel[k] - gv_cam_angvel_mean[i]) / gv_cam_angvel_std[i];
        }
}
