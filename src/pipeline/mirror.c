#include "pipeline/mirror.h"
#include "base/memory.h"
#include "geometry/rotation.h"
#include "network/statistics.h"

#include <stdlib.h>
#include <string.h>

static const int other_point[17] = {0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15};
static const int other_joint[22] = {0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20};

gv_status gv_mirror_observations(gv_observations *out, const gv_observations *o, gv_error *err) {
    *out = (gv_observations){0};
    if (o->width < 1 || !o->R_w2c)
        return gv_fail(err, GV_ERR_ARGUMENT, "the flip test needs the picture's width and the camera's rotation");
    gv_status s = gv_observations_alloc(out, o->frames, err);
    if (s) return s;
    size_t L = (size_t)o->frames;
    memcpy(out->bbx_xys, o->bbx_xys, L * sizeof(float[3]));
    memcpy(out->K, o->K, L * sizeof(float[9]));
    memcpy(out->R_w2c, o->R_w2c, L * sizeof(float[9]));
    if (o->kp3d && !(out->kp3d = gv_calloc2(L, sizeof(float[51])))) {
        gv_observations_free(out);
        return gv_fail(err, GV_ERR_MEMORY, "out of memory for the flip test of %d frames", o->frames);
    }
    for (size_t t = 0; t < L; t++) {
        out->bbx_xys[3 * t] = (float)o->width - out->bbx_xys[3 * t];
        for (int c = 0; c < 3; c++) out->R_w2c[9 * t + c] = -out->R_w2c[9 * t + c];
        for (int k = 0; k < 17; k++) {
            float *to = out->kp2d + (17 * t + k) * 3;
            memcpy(to, o->kp2d + (17 * t + other_point[k]) * 3, sizeof(float[3]));
            to[0] = (float)o->width - to[0];
            if (!o->kp3d) continue;
            to = out->kp3d + (17 * t + k) * 3;
            memcpy(to, o->kp3d + (17 * t + other_point[k]) * 3, sizeof(float[3]));
            to[0] = -to[0];
        }
    }
    out->width = o->width;
    out->height = o->height;
    out->length = o->length;
    return GV_OK;
}

// The mean of the rotation in `column` of x and of the mirror image of that in `other` of m.
static void mean_rotation(float R[9], const float *x, int column, const float *m, int other) {
    float B[9];
    gv_pred_rotation(R, x, column);
    gv_pred_rotation(B, m, other);
    for (int i = 0; i < 9; i++) R[i] = 0.5f * (R[i] + ((i / 3 == 0) != (i % 3 == 0) ? -B[i] : B[i]));
    gv_rot_orthonormalise(R);
}

// The mean becomes the rotation in `column` of y, which may be x.
static void write_mean(float *y, const float *x, int column, const float *m, int other) {
    float R[9];
    mean_rotation(R, x, column, m, other);
    gv_pred_set_rotation(y, column, R);
}

// Pose and shape of one frame.
static void mean_pose(float *x, const float *m) {
    float y[GV_X_BETAS];
    for (int j = 1; j < 22; j++) {
        int at = GV_X_POSE + 6 * (j - 1);
        write_mean(y, x, at, m, GV_X_POSE + 6 * (other_joint[j] - 1));
    }
    memcpy(x + GV_X_POSE, y, sizeof y);
    for (int k = GV_X_BETAS; k < GV_X_ORIENT_C; k++) x[k] = 0.5f * (x[k] + m[k]);
}

void gv_mirror_average(float *pred_x, const float *mirrored_x, int frames, float *camera_pose, float *camera_orient) {
#pragma omp parallel for schedule(static)
    for (int t = 0; t < frames; t++) {
        float *x = pred_x + (size_t)t * GV_PRED_X, R[9];
        const float *m = mirrored_x + (size_t)t * GV_PRED_X;
        mean_pose(x, m);
        for (int j = 1; j < 22; j++) {
            gv_pred_rotation(R, x, GV_X_POSE + 6 * (j - 1));
            gv_rot_to_aa(camera_pose + 63 * (size_t)t + 3 * (j - 1), R);
        }
        mean_rotation(R, x, GV_X_ORIENT_C, m, GV_X_ORIENT_C);
        gv_rot_to_aa(camera_orient + 3 * (size_t)t, R);
    }
}

void gv_mirror_merge(const gv_network_output *out, const gv_network_output *mirrored, int frames) {
    static const int other_still[6] = {2, 3, 0, 1, 5, 4}; // of ankles, feet and wrists
    enum { VX = GV_X_VELOCITY };
#pragma omp parallel for schedule(static)
    for (int t = 0; t < frames; t++) {
        float *x = out->pred_x + (size_t)t * GV_PRED_X, *cam = out->pred_cam + 3 * (size_t)t;
        const float *m = mirrored->pred_x + (size_t)t * GV_PRED_X, *other = mirrored->pred_cam + 3 * (size_t)t;
        mean_pose(x, m);
        write_mean(x, x, GV_X_ORIENT_C, m, GV_X_ORIENT_C);
        write_mean(x, x, GV_X_ORIENT_GV, m, GV_X_ORIENT_GV);
        float back = -m[VX] - 2 * gv_pred_x_mean[VX] / gv_pred_x_std[VX]; // sideways, normalised
        x[VX] = 0.5f * (x[VX] + back);
        for (int k = VX + 1; k < VX + 3; k++) x[k] = 0.5f * (x[k] + m[k]);
        for (int k = 0; k < 3; k++) cam[k] = 0.5f * (cam[k] + (k == 1 ? -other[k] : other[k]));
        for (int k = 0; k < 6; k++) {
            float *logit = out->static_conf_logits + 6 * (size_t)t + k;
            *logit = 0.5f * (*logit + mirrored->static_conf_logits[6 * (size_t)t + (size_t)other_still[k]]);
        }
    }
}
