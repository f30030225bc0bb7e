#include "exports/resample.h"
#include "formats/motion_export.h"
#include "geometry/rotation.h"
#include "geometry/so3.h"

#include <math.h>
#include <string.h>

enum { J = GV_MOTION_JOINTS, MOST_FRAMES = 10000000 };
static const double edge = 1e-6; // of a frame: a time that is the last frame's but for rounding counts as within

static void slerp(float *out, const float *a, const float *b, double s) {
    double qa[4], qb[4], q[4], aa[3];
    gv_quatd_from_aa(qa, (double[]){(double)a[0], (double)a[1], (double)a[2]});
    gv_quatd_from_aa(qb, (double[]){(double)b[0], (double)b[1], (double)b[2]});
    gv_quatd_slerp(q, qa, qb, s);
    gv_quatd_to_aa(aa, q);
    for (int i = 0; i < 3; i++) out[i] = (float)aa[i];
}

static void linear(float *out, const float *a, const float *b, double s, int n) {
    for (int i = 0; i < n; i++) out[i] = (float)((1 - s) * (double)a[i] + s * (double)b[i]);
}

static void slerp_matrix(float *out, const float *a, const float *b, double s) {
    float qa[4], qb[4], q[4];
    gv_rot_to_quat(qa, a);
    gv_rot_to_quat(qb, b);
    gv_quat_slerp(q, qa, qb, (float)s);
    gv_rot_from_quat(out, q);
}

// Frame k of out: between frames t and t + 1 of m, at fraction s.
static void blend(gv_motion *out, int k, const gv_motion *m, int t, double s) {
    size_t o = (size_t)k, a = (size_t)t, b = s > 0 ? a + 1 : a, near = s < 0.5 ? a : b;
    for (int j = 0; j < 21; j++)
        slerp(out->body_pose + 63 * o + 3 * j, m->body_pose + 63 * a + 3 * j, m->body_pose + 63 * b + 3 * j, s);
    slerp(out->global_orient + 3 * o, m->global_orient + 3 * a, m->global_orient + 3 * b, s);
    slerp(out->global_orient_incam + 3 * o, m->global_orient_incam + 3 * a, m->global_orient_incam + 3 * b, s);
    linear(out->transl + 3 * o, m->transl + 3 * a, m->transl + 3 * b, s, 3);
    linear(out->transl_incam + 3 * o, m->transl_incam + 3 * a, m->transl_incam + 3 * b, s, 3);
    linear(out->static_prob + 6 * o, m->static_prob + 6 * a, m->static_prob + 6 * b, s, 6);
    linear(out->K + 9 * o, m->K + 9 * a, m->K + 9 * b, s, 9);
    linear(out->bbx_xys + 3 * o, m->bbx_xys + 3 * a, m->bbx_xys + 3 * b, s, 3);
    memcpy(out->kp2d + 51 * o, m->kp2d + 51 * near, 51 * sizeof(float));
    slerp_matrix(out->R_w2c + 9 * o, m->R_w2c + 9 * a, m->R_w2c + 9 * b, s);
}

// Joints of frame k from its pose: root [3] is the place of the pelvis.
static void pose_joints(float *joints, const gv_motion *m, int k, const float *orient, const double root[3],
                        const double bones[J][3]) {
    double local[J][9], global[J][9], at[J][3], turned[3];
    gv_motion frame = {.body_pose = m->body_pose + 63 * (size_t)k, .global_orient = (float *)(uintptr_t)orient};
    gv_motion_rotations(&frame, 0, local, global);
    for (int j = 0; j < J; j++)
        for (int i = 0; i < 3; i++) {
            int p = gv_motion_parents[j];
            if (p >= 0 && i == 0) gv_so3_apply(turned, global[p], bones[j]);
            at[j][i] = p < 0 ? root[i] : at[p][i] + turned[i];
            joints[3 * j + i] = (float)at[j][i];
        }
}

// rest + transl: rest, the pelvis of the rest pose, is the same in every frame, in the world and in the camera.
static void place_joints(gv_motion *out, int k, const double rest[3], const double bones[J][3]) {
    double world[3], camera[3];
    for (int i = 0; i < 3; i++) {
        world[i] = rest[i] + (double)out->transl[3 * (size_t)k + i];
        camera[i] = rest[i] + (double)out->transl_incam[3 * (size_t)k + i];
    }
    pose_joints(out->joints_world + 3 * J * (size_t)k, out, k, out->global_orient + 3 * (size_t)k, world, bones);
    pose_joints(out->joints_incam + 3 * J * (size_t)k, out, k, out->global_orient_incam + 3 * (size_t)k, camera, bones);
}

static void rest_pelvis(double rest[3], const gv_motion *m) {
    memset(rest, 0, 3 * sizeof *rest);
    for (size_t t = 0; t < (size_t)m->frames; t++)
        for (int i = 0; i < 3; i++)
            rest[i] += ((double)m->joints_world[3 * J * t + i] - (double)m->transl[3 * t + i]) / m->frames;
}

gv_status gv_motion_resample(gv_motion *out, const gv_motion *m, double first_sec, double fps, const char *name,
                             gv_error *err) {
    double bones[J][3], rest[3];
    *out = (gv_motion){0};
    gv_status status = gv_motion_bones(m, bones, name, err);
    if (status != GV_OK) return status;
    double from = ceil((m->time_sec[0] - first_sec) * fps - edge);
    double to = floor((m->time_sec[m->frames - 1] - first_sec) * fps + edge);
    if (!(to - from < MOST_FRAMES && fabs(from) < 1e9))
        return gv_fail(err, GV_ERR_ARGUMENT, "%s: %.0f frames at %g per second, at most %d", name, to - from + 1, fps,
                       MOST_FRAMES);
    if (to < from) to = from; // shorter than a frame: its first moment, held
    if ((status = gv_motion_alloc(out, (int)(to - from) + 1, err)) != GV_OK) return status;
    memcpy(out->betas, m->betas, sizeof m->betas);
    out->fps = fps;
    out->width = m->width;
    out->height = m->height;
    rest_pelvis(rest, m);
    for (int k = 0, t = 0; k < out->frames; k++) {
        double at = first_sec + (from + k) / fps, s = 0;
        while (t + 2 < m->frames && m->time_sec[t + 1] <= at) t++;
        if (t + 1 < m->frames) s = (at - m->time_sec[t]) / (m->time_sec[t + 1] - m->time_sec[t]);
        out->frame_index[k] = (int32_t)from + k;
        out->time_sec[k] = at;
        blend(out, k, m, t, fmin(fmax(s, 0), 1));
        place_joints(out, k, rest, bones);
    }
    return GV_OK;
}
