// poses.c - angles are rad; a turn about +X of the rest pose (facing +z, y up) bends forwards at the waist, backwards
// at the hip, and is flexion at the knee.
#include "training/poses.h"
#include "geometry/rotation.h"
#include "training/sequence.h"

#include <math.h>
#include <string.h>

enum { HIP_L, HIP_R, KNEE_L, KNEE_R, WAIST, TILT, SIDE, ANGLES }; // of a key pose; hips' flexion is positive here

GV_PART void quat_mul(float out[4], const float p[4], const float q[4]) {
    const float o[4] = {
        p[0] * q[0] - p[1] * q[1] - p[2] * q[2] - p[3] * q[3], p[0] * q[1] + p[1] * q[0] + p[2] * q[3] - p[3] * q[2],
        p[0] * q[2] - p[1] * q[3] + p[2] * q[0] + p[3] * q[1], p[0] * q[3] + p[1] * q[2] - p[2] * q[1] + p[3] * q[0]};
    memcpy(out, o, sizeof o);
}

// q turned by `angle` about an axis of its parent (before) or of itself (after).
GV_PART void turn(float q[4], int axis, double angle, bool before) {
    float t[4] = {(float)cos(angle / 2), 0, 0, 0};
    t[1 + axis] = (float)sin(angle / 2);
    if (before)
        quat_mul(q, t, q);
    else
        quat_mul(q, q, t);
}

// The lowest of feet, knees, wrists, head and hips, above the middle of the hip joints, for the body of mean shape; a
// point's own thickness is taken off. Also that body's leg length.
GV_PART float lowest(const gv_sequence *m, int t, const gv_rig *rig, float *leg) {
    static const struct {
        int joint;
        float thick;
    } touching[] = {{7, 0.08f},  {8, 0.08f},  {10, 0.03f}, {11, 0.03f}, {4, 0.06f}, {5, 0.06f},
                    {20, 0.03f}, {21, 0.03f}, {15, 0.10f}, {0, 0.12f},  {9, 0.12f}};
    gv_rig_pose p;
    gv_real betas[GV_BETAS] = {0};
    gv_rig_shape(&p, rig, betas);
    for (int j = 0; j < J; j++) gv_rot_from_quat(p.local[j], m->q[t][j]);
    gv_rig_fk(&p);
    float low = 1e9f, length = 0;
    for (unsigned i = 0; i < sizeof touching / sizeof *touching; i++)
        low = fminf(low, p.t[touching[i].joint][1] - touching[i].thick);
    for (int k = 1; k < 7; k += 3) // hip to knee, knee to ankle
        length += sqrtf(powf(p.S[k][0] - p.S[k + 3][0], 2) + powf(p.S[k][1] - p.S[k + 3][1], 2) +
                        powf(p.S[k][2] - p.S[k + 3][2], 2));
    *leg = length;
    return low - 0.5f * (p.t[1][1] + p.t[2][1]);
}

GV_PART void draw_key(double key[ANGLES], gv_rng *r) {
    double kind = gv_uniform01(r);
    memset(key, 0, sizeof(double[ANGLES]));
    if (kind < 0.25) return; // as it was
    if (kind < 0.50) {       // squat, by degrees
        key[HIP_L] = gv_uniform(r, 0.1, 1.7);
        key[KNEE_L] = key[HIP_L] * gv_uniform(r, 1, 1.5);
        key[WAIST] = gv_uniform(r, 0, 0.5);
        key[TILT] = key[HIP_L] * gv_uniform(r, 0, 0.5);
    } else if (kind < 0.65) { // sit
        key[HIP_L] = gv_uniform(r, 1.2, 1.7);
        key[KNEE_L] = gv_uniform(r, 0.7, 1.8);
        key[WAIST] = gv_uniform(r, -0.1, 0.6);
        key[TILT] = gv_uniform(r, -0.35, 0.3);
    } else if (kind < 0.90) { // bend over
        key[HIP_L] = gv_uniform(r, 0, 0.4);
        key[KNEE_L] = key[HIP_L] * gv_uniform(r, 1, 2);
        key[WAIST] = gv_uniform(r, 0, 1.0);
        key[TILT] = gv_uniform(r, 0, 1.2);
        key[SIDE] = 0.25 * gv_normal(r);
    } else { // kneel
        key[HIP_L] = gv_uniform(r, -0.2, 1.0);
        key[KNEE_L] = gv_uniform(r, 1.4, 2.3);
        key[TILT] = gv_uniform(r, 0, 0.4);
    }
    bool even = gv_chance(r, 0.6);
    key[HIP_R] = even ? key[HIP_L] : key[HIP_L] * gv_uniform(r, 0.1, 1);
    key[KNEE_R] = even ? key[KNEE_L] : key[KNEE_L] * gv_uniform(r, 0.1, 1);
    if (gv_chance(r, 0.5))
        for (int k = HIP_L; k <= KNEE_L; k += 2) {
            double x = key[k];
            key[k] = key[k + 1];
            key[k + 1] = x;
        }
}

GV_PART void apply(float q[J][4], const double a[ANGLES]) {
    for (int s = 0; s < 2; s++) { // the tilt of the pelvis is taken back at the hips
        turn(q[1 + s], 0, -(a[HIP_L + s] + a[TILT]), true);
        turn(q[4 + s], 0, a[KNEE_L + s], false);
        turn(q[7 + s], 0, a[HIP_L + s] - a[KNEE_L + s], true);
    }
    turn(q[0], 0, a[TILT], false);
    static const int spine[3] = {3, 6, 9};
    for (int k = 0; k < 3; k++) {
        turn(q[spine[k]], 0, a[WAIST] / 3, true);
        turn(q[spine[k]], 2, a[SIDE] / 3, true);
    }
}

GV_SHARED void gv_sequence_bend(gv_sequence *m, const gv_rig *rig, gv_rng *r) {
    double from[ANGLES] = {0}, to[ANGLES];
    int begin = 0, arrive = 0, leave = 0;
    bool steady = gv_chance(r, 0.35);
    draw_key(to, r);
    if (steady)
        while (to[HIP_L] == 0 && to[HIP_R] == 0) draw_key(to, r);
    for (int t = 0; t < m->frames; t++) {
        if (t == leave && !steady) {
            memcpy(from, to, sizeof from);
            draw_key(to, r);
            begin = t;
            arrive = t + gv_randint(r, 10, 45);
            leave = arrive + gv_randint(r, 0, 40);
        }
        double a[ANGLES], u = t < arrive ? (double)(t - begin) / (arrive - begin) : 1, w = u * u * (3 - 2 * u);
        for (int k = 0; k < ANGLES; k++) a[k] = steady ? to[k] : from[k] + w * (to[k] - from[k]);
        if (!gv_team_has(t)) continue;
        float leg, before = lowest(m, t, rig, &leg);
        apply(m->q[t], a);
        m->hips[t][1] += (before - lowest(m, t, rig, &leg)) * m->leg / leg;
    }
    GV_MEET();
}

GV_SHARED void gv_sequence_lay(gv_sequence *m, const gv_rig *rig, gv_rng *r) {
    const double quarter = 1.5707963267948966;
    double pitch = gv_chance(r, 0.7) ? -quarter : quarter, roll;
    pitch += 0.15 * gv_normal(r);
    roll = 0.5 * gv_normal(r);
    if (gv_chance(r, 0.25)) roll = gv_chance(r, 0.5) ? quarter : -quarter; // on a side
    float first[4], hips[3];
    memcpy(first, m->q[0][0], sizeof first);
    for (int c = 1; c < 4; c++) first[c] = -first[c];
    memcpy(hips, m->hips[0], sizeof hips);
    GV_MEET(); // they are read
    GV_EACH(t, m->frames) {
        quat_mul(m->q[t][0], first, m->q[t][0]); // facing as at the start, upright
        turn(m->q[t][0], 1, roll, true);
        turn(m->q[t][0], 0, pitch, true);
        float leg, low = lowest(m, t, rig, &leg);
        m->hips[t][1] = -low * m->leg / leg;
        for (int c = 0; c < 3; c += 2) m->hips[t][c] = hips[c] + 0.1f * (m->hips[t][c] - hips[c]);
        memset(m->still[t], 0, sizeof m->still[t]);
    }
    GV_MEET();
}
