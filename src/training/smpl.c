// smpl.c - checks, resampling, kinematics, the ground.
#include "training/smpl.h"
#include "base/memory.h"
#include "base/order.h"
#include "geometry/rotation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { J = GV_STORE_JOINTS, FEET = GV_STORE_FEET };
static const double LARGEST_ANGLE = 100, LARGEST_PLACE = 1e3, LARGEST_STEP = 1; // rad, m, m within 1/30 s

// What of a body may touch the ground, and how far below the joint its skin ends, m.
static const struct {
    int joint;
    float thick;
} touching[] = {{7, 0.08f}, {8, 0.08f},  {10, 0.03f}, {11, 0.03f}, {4, 0.06f},
                {5, 0.06f}, {20, 0.03f}, {21, 0.03f}, {15, 0.10f}, {0, 0.12f}};

typedef struct work { // y up
    gv_clip_frames clip;
    float *low; // [frames] the lowest point
} work;

// At 30 frames/s.
static double frames_of(const gv_smpl_motion *m) {
    return m->frames < 2 ? m->frames : floor((m->frames - 1) / m->fps * 30 + 1e-6) + 1;
}

static gv_status check(const gv_smpl_motion *m, const char *what, gv_error *err) {
    if (!(m->fps >= 1 && m->fps <= 1e4))
        return gv_fail(err, GV_ERR_FORMAT, "%s: %g frames per second, expected 1 to 10000", what, m->fps);
    for (int64_t i = 0; i < (int64_t)m->frames * GV_SMPL_POSE; i++)
        if (!(fabsf(m->pose[i]) < LARGEST_ANGLE))
            return gv_fail(err, GV_ERR_FORMAT, "%s: frame %lld: %s is turned by %g rad", what,
                           (long long)(i / GV_SMPL_POSE), gv_joint_names55[i % GV_SMPL_POSE / 3], m->pose[i]);
    for (int64_t i = 0; i < (int64_t)m->frames * 3; i++)
        if (!(fabsf(m->transl[i]) < LARGEST_PLACE))
            return gv_fail(err, GV_ERR_FORMAT, "%s: frame %lld: the body is %g m away", what, (long long)(i / 3),
                           m->transl[i]);
    return GV_OK;
}

// The rotation that brings the file's axes to x, y up, z.
static void turn_of(float R[9], gv_smpl_axes axes) {
    static const float turns[][9] = {[GV_SMPL_Y_UP] = {1, 0, 0, 0, 1, 0, 0, 0, 1},
                                     [GV_SMPL_Z_UP] = {1, 0, 0, 0, 0, 1, 0, -1, 0},
                                     [GV_SMPL_CAMERA] = {1, 0, 0, 0, -1, 0, 0, 0, -1}};
    memcpy(R, turns[axes], sizeof turns[axes]);
}

// Frame t at 30 fps: rotations between those of the two nearest frames, then the skeleton.
static void convert_frame(work *w, const gv_smpl_motion *m, const float *S, const float turn[9], int t) {
    double at = t / 30.0 * m->fps;
    int i = (int)at < m->frames - 1 ? (int)at : m->frames - 2;
    float s = (float)fmin(at - i, 1), R[9], root[9], q[4], move[3], pose[63], orient[3], G[12 * J], x[J][3];
    for (int j = 0; j < J; j++) {
        float a[4], b[4], *out = w->clip.rotation + ((size_t)t * J + (size_t)j) * 4;
        gv_quat_from_aa(a, m->pose + (size_t)i * GV_SMPL_POSE + 3 * j);
        gv_quat_from_aa(b, m->pose + (size_t)(i + 1) * GV_SMPL_POSE + 3 * j);
        gv_quat_slerp(out, a, b, s);
        gv_quat_to_aa(j ? pose + 3 * (j - 1) : orient, out);
    }
    for (int c = 0; c < 3; c++)
        move[c] = m->transl[3 * (size_t)i + c] * (1 - s) + m->transl[3 * (size_t)(i + 1) + c] * s;
    gv_body_fk22(G, S, pose, orient);
    for (int j = 0; j < J; j++) {
        float p[3];
        for (int c = 0; c < 3; c++) p[c] = G[12 * j + 4 * c + 3] + move[c];
        gv_mat3_apply(x[j], turn, p);
    }
    gv_rot_from_quat(R, w->clip.rotation + (size_t)t * J * 4);
    gv_mat3_mul(root, turn, R);
    gv_rot_to_quat(q, root);
    memcpy(w->clip.rotation + (size_t)t * J * 4, q, sizeof q);
    for (int c = 0; c < 3; c++) w->clip.hips[3 * (size_t)t + c] = 0.5f * (x[1][c] + x[2][c]);
    for (int k = 0; k < FEET; k++) memcpy(w->clip.foot + ((size_t)t * FEET + k) * 3, x[gv_foot_joints[k]], sizeof x[0]);
    w->low[t] = INFINITY;
    for (size_t k = 0; k < sizeof touching / sizeof *touching; k++)
        w->low[t] = fminf(w->low[t], x[touching[k].joint][1] - touching[k].thick);
}

static gv_status check_steps(const work *w, const char *what, gv_error *err) {
    for (int t = 1; t < w->clip.count; t++) {
        const float *a = w->clip.hips + 3 * (size_t)(t - 1), *b = a + 3;
        double d = sqrt(pow(b[0] - a[0], 2) + pow(b[1] - a[1], 2) + pow(b[2] - a[2], 2));
        if (d > LARGEST_STEP)
            return gv_fail(err, GV_ERR_FORMAT, "%s: the body jumps %.1f m at %.2f s; is the unit metres?", what, d,
                           t / 30.0);
    }
    return GV_OK;
}

// Puts the ground at y = 0. Returns whether feet that stand still all stand on about that height.
static int put_on_ground(work *w) {
    float *sorted = w->low; // not needed any more
    gv_sort_floats(sorted, (size_t)w->clip.count);
    float ground = sorted[w->clip.count / 20];
    int standing = 0, high = 0;
    for (int t = 0; t < w->clip.count; t++) {
        w->clip.hips[3 * (size_t)t + 1] -= ground;
        for (int k = 0; k < FEET; k++) {
            float *y = w->clip.foot + ((size_t)t * FEET + k) * 3 + 1;
            *y -= ground;
            if (w->clip.still[(size_t)t * FEET + k] < 128) continue;
            standing++;
            high += *y > 0.3f;
        }
    }
    return high * 10 <= standing;
}

static float leg_length(const float S[J * 3]) { // thigh and shin, mean of both sides
    double sum = 0;
    for (int j = 4; j <= 8; j++) {
        if (j == 6) continue;
        const float *a = S + 3 * gv_parents55[j], *b = S + 3 * j;
        sum += 0.5 * sqrt(pow(b[0] - a[0], 2) + pow(b[1] - a[1], 2) + pow(b[2] - a[2], 2));
    }
    return (float)sum;
}

gv_status gv_smpl_add(gv_store_builder *out, const gv_clip *clip, const gv_smpl_motion *m, const char *what,
                      gv_error *err) {
    float S[J * 3], turn[9];
    work w = {0};
    gv_clip c = *clip;
    gv_status s = check(m, what, err);
    if (s) return s;
    gv_body_rest_joints(S, m->body, m->body_betas, J);
    c.leg = leg_length(S);
    if ((s = gv_clip_frames_alloc(&w.clip, frames_of(m), c.leg, what, err))) return s;
    if (!(w.low = gv_calloc2((size_t)w.clip.count, sizeof *w.low))) {
        s = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %d frames", what, w.clip.count);
        goto done;
    }
    turn_of(turn, m->axes);
    for (int t = 0; t < w.clip.count; t++) convert_frame(&w, m, S, turn, t);
    if ((s = check_steps(&w, what, err))) goto done;
    c.frames = (uint32_t)w.clip.count;
    c.incam_only = m->axes == GV_SMPL_CAMERA;
    gv_store_stillness(w.clip.still, w.clip.foot, w.clip.count);
    c.flat = (uint32_t)put_on_ground(&w) & !c.incam_only;
    if (c.incam_only) memset(w.clip.still, 0, (size_t)w.clip.count * FEET); // what stands still is not known
    c.shaped = m->neutral_betas != NULL;
    for (int k = 0; k < GV_BETAS && m->neutral_betas; k++) {
        c.betas[k] = m->neutral_betas[k];
        if (!(fabsf(c.betas[k]) < 30)) {
            s = gv_fail(err, GV_ERR_FORMAT, "%s: shape parameter %d is %g", what, k, c.betas[k]);
            goto done;
        }
    }
    s = gv_store_builder_add(out, &c, w.clip.rotation, w.clip.hips, w.clip.still, err);
done:
    gv_clip_frames_free(&w.clip);
    free(w.low);
    return s;
}
