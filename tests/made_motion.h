// made_motion.h - a motion made by formula, with the mannequin's bones: somebody walks along an arc and waves.
#pragma once
#include "body/body.h"
#include "formats/motion_file.h"
#include "geometry/rotation.h"
#include "test.h"

#include <string.h>

// Frame t of somebody who begins at x = side; seen from 4 m by a camera that pans a little.
static inline void made_frame(gv_motion *m, const gv_body *body, int t, float side) {
    enum { J = GV_MOTION_JOINTS };
    float S[3 * J], G[12 * J], Rw[9], Rc[9], world[9];
    double s = m->time_sec[t];
    float *pose = m->body_pose + 63 * (size_t)t, *orient = m->global_orient + 3 * (size_t)t,
          *at = m->transl + 3 * (size_t)t;
    for (int j = 0; j < 21; j++)
        for (int c = 0; c < 3; c++) pose[3 * j + c] = (float)(0.12 * sin(3 * s + j + 2 * c));
    pose[0] = (float)(0.5 * sin(4 * s)), pose[3] = (float)(-0.5 * sin(4 * s));
    pose[3 * 15 + 2] = (float)(-1.1 + 0.3 * sin(7 * s)), pose[3 * 16 + 2] = 1.2f;
    orient[0] = 0.05f, orient[1] = (float)(0.6 * s + side), orient[2] = (float)(0.1 * sin(s));
    at[0] = side + (float)(0.5 * sin(0.6 * s)), at[1] = 1.25f, at[2] = (float)s;
    gv_body_rest_joints(S, body, m->betas, J);
    gv_body_fk22(G, S, pose, orient);
    float W[9] = {1, 0, 0, 0, -1, 0, 0, 0, -1}, pan[9], V[9]; // world to camera: y down, z forward
    gv_rot_from_aa(pan, (float[]){0, (float)(0.1 * sin(s)), 0});
    gv_mat3_mul(V, pan, W);
    memcpy(m->R_w2c + 9 * (size_t)t, V, sizeof V);
    gv_rot_from_aa(Rw, orient);
    gv_mat3_mul(Rc, V, Rw);
    gv_rot_to_aa(m->global_orient_incam + 3 * (size_t)t, Rc);
    memcpy(world, V, sizeof V);
    for (int j = 0; j < J; j++) {
        float x[3], c[3];
        for (int i = 0; i < 3; i++) x[i] = G[12 * j + 4 * i + 3] + at[i];
        memcpy(m->joints_world + 3 * (J * (size_t)t + j), x, sizeof x);
        x[1] -= 1.2f, x[2] -= 6; // the camera stands 6 m away, 1.2 m high
        gv_mat3_apply(c, world, x);
        memcpy(m->joints_incam + 3 * (J * (size_t)t + j), c, sizeof c);
    }
    for (int i = 0; i < 3; i++) m->transl_incam[3 * (size_t)t + i] = m->joints_incam[3 * J * (size_t)t + i] - S[i];
}

// frames at fps from video frame `first` on.
static inline gv_motion made_motion(const gv_body *body, int first, int frames, double fps, float side) {
    gv_motion m;
    assert_int_equal(gv_motion_alloc(&m, frames, NULL), GV_OK);
    m.fps = fps, m.width = 640, m.height = 480;
    m.betas[0] = side, m.betas[1] = -0.5f;
    for (int t = 0; t < frames; t++) {
        const float K[9] = {500, 0, 320, 0, 500, 240, 0, 0, 1};
        m.frame_index[t] = first + t;
        m.time_sec[t] = (first + t) / fps;
        memcpy(m.K + 9 * (size_t)t, K, sizeof K);
        made_frame(&m, body, t, side);
    }
    return m;
}
