// validate.c - errors of pose, gravity, velocity and stillness on held-out sequences.
#include "training/validate.h"
#include "evaluation/metrics.h"
#include "geometry/rotation.h"
#include "motion/chain.h"
#include "motion/world.h"
#include "network/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { J = GV_RIG_JOINTS, X = GV_PRED_X };

typedef struct sums {
    double mpjpe, pa, wa, gravity, velocity, still, loss;
    long frames;
} sums;

static void decode(float raw[X], const float *x) {
    for (int i = 0; i < X; i++) raw[i] = x[i] * gv_pred_x_std[i] + gv_pred_x_mean[i];
}

// Joints [22, 3] of a prediction in the camera, pelvis at the rest pelvis.
static void camera_joints(float *joints, const gv_rig *rig, const float raw[X]) {
    gv_rig_pose p;
    gv_rig_shape(&p, rig, raw + GV_X_BETAS);
    for (int j = 0; j < J; j++) gv_real_from_6d(p.local[j], j ? raw + GV_X_POSE + 6 * (j - 1) : raw + GV_X_ORIENT_C);
    gv_rig_fk(&p);
    memcpy(joints, p.t, sizeof p.t);
}

// Angle between the directions of gravity as the body sees it: the second row of its orientation in a Gravity-View
// frame (y down), and of that in the true world (y up).
static double gravity_angle(const float *orient_gv, const float R_w[9]) {
    float A[9];
    double dot = 0, c[3];
    gv_real_from_6d(A, orient_gv);
    const float *u = A + 3, v[3] = {-R_w[3], -R_w[4], -R_w[5]};
    for (int i = 0; i < 3; i++) {
        int j = (i + 1) % 3, k = (i + 2) % 3;
        dot += (double)u[i] * v[i];
        c[i] = (double)u[j] * v[k] - (double)u[k] * v[j];
    }
    return atan2(sqrt(c[0] * c[0] + c[1] * c[1] + c[2] * c[2]), dot) * 57.29577951308232;
}

static void add_frame(sums *s, const gv_net *n, const gv_batch *b, const gv_rig *rig, long at) {
    static const int hips[2] = {1, 2};
    float pred[X], truth[X], joints[J * 3], e[1];
    decode(pred, n->pred_x + at * X);
    decode(truth, b->y.x + at * X);
    camera_joints(joints, rig, pred);
    gv_mpjpe(e, joints, b->y.joints + at * J * 3, 1, J, hips);
    s->mpjpe += e[0];
    gv_pa_mpjpe(e, joints, b->y.joints + at * J * 3, 1, J);
    s->pa += e[0];
    s->gravity += gravity_angle(pred + GV_X_ORIENT_GV, b->y.R_w + 9 * at);
    double v = 0;
    for (int c = 0; c < 3; c++) v += pow((double)pred[GV_X_VELOCITY + c] - truth[GV_X_VELOCITY + c], 2);
    s->velocity += 1000 * sqrt(v);
    for (int k = 0; k < 6; k++) s->still += ((n->logits[at * 6 + k] > 0) == (b->y.still[at * 6 + k] > 0.5f)) / 6.0;
    s->frames++;
}

typedef struct world { // scratch for one sequence
    double orient[GV_MAX_FRAMES * 3], transl[GV_MAX_FRAMES * 3], gv[GV_MAX_FRAMES * 3], c[GV_MAX_FRAMES * 3],
        velocity[GV_MAX_FRAMES * 3], more[GV_MAX_FRAMES * 2];
    float angvel[GV_MAX_FRAMES * 6], joints[GV_MAX_FRAMES * J * 3], error[GV_MAX_FRAMES];
    gv_rig_pose pose[GV_MAX_FRAMES];
} world;

static void axis_angle(double out[3], const float d6[6]) {
    float R[9], aa[3];
    gv_real_from_6d(R, d6);
    gv_rot_to_aa(aa, R);
    for (int c = 0; c < 3; c++) out[c] = aa[c];
}

// Joints in the world as SPEC.md 8 composes them, nothing corrected afterwards, against the true ones: WA-MPJPE.
// Chained turns in pred_x become orientations.
static void add_world(sums *s, world *w, const gv_net *n, const gv_batch *b, const gv_rig *rig, int row, bool chained) {
    int L = b->length[row];
    long first = (long)row * b->L;
    for (int t = 0; t < 6 * L; t++)
        w->angvel[t] = b->angvel[first * 6 + t] * gv_cam_angvel_std[t % 6] + gv_cam_angvel_mean[t % 6];
    if (chained) gv_chain_resolve(n->pred_x + first * X, w->angvel, L);
    for (int t = 0; t < L; t++) {
        float raw[X];
        gv_rig_pose *p = &w->pose[t];
        decode(raw, n->pred_x + (first + t) * X);
        axis_angle(w->gv + 3 * t, raw + GV_X_ORIENT_GV);
        axis_angle(w->c + 3 * t, raw + GV_X_ORIENT_C);
        for (int c = 0; c < 3; c++) w->velocity[3 * t + c] = raw[GV_X_VELOCITY + c];
        gv_rig_shape(p, rig, raw + GV_X_BETAS);
        for (int j = 1; j < J; j++) gv_real_from_6d(p->local[j], raw + GV_X_POSE + 6 * (j - 1));
    }
    gv_compose_world(w->orient, w->transl, w->gv, w->c, w->velocity, w->angvel, L, w->more);
    for (int t = 0; t < L; t++) {
        gv_rig_pose *p = &w->pose[t];
        float aa[3];
        for (int c = 0; c < 3; c++) aa[c] = (float)w->orient[3 * t + c];
        gv_rot_from_aa(p->local[0], aa);
        gv_rig_fk(p);
        for (int j = 0; j < J; j++)
            for (int c = 0; c < 3; c++) w->joints[(t * J + j) * 3 + c] = p->t[j][c] + (float)w->transl[3 * t + c];
    }
    gv_wa_mpjpe(w->error, w->joints, b->joints_w + first * J * 3, L, J, 100);
    for (int t = 0; t < L; t++) s->wa += w->error[t];
}

gv_status gv_validate(gv_validation *out, gv_net *n, gv_batch *b, const gv_sampler *s, int batches, gv_losses *losses,
                      gv_error *err) {
    sums sum = {0};
    world *w = malloc(sizeof *w);
    bool ok = w;
    for (int k = 0; k < batches && ok; k++) {
        gv_loss loss;
        if (!(ok = gv_batch_fill(b, s, 0x76616c6964, (uint64_t)k))) break;
        gv_net_input in = gv_batch_input(b);
        gv_net_forward(n, &in, 0, 0);
        gv_losses_run(losses, n, &b->y, gv_loss_weights);
        gv_losses_get(losses, &loss);
        gv_net_outputs(n);
        sum.loss += loss.total / batches;
        for (int i = 0; i < b->B; i++) add_world(&sum, w, n, b, s->rig, i, s->options.chained);
        for (int i = 0; i < b->B; i++)
            for (int t = 0; t < b->length[i]; t++) add_frame(&sum, n, b, s->rig, (long)i * b->L + t);
    }
    free(w);
    if (!ok) return gv_fail(err, GV_ERR_MEMORY, "no memory to see how good the network is");
    double f = (double)sum.frames;
    *out = (gv_validation){.wa_mpjpe_mm = sum.wa / f,
                           .mpjpe_mm = sum.mpjpe / f,
                           .pa_mpjpe_mm = sum.pa / f,
                           .gravity_deg = sum.gravity / f,
                           .velocity_mm = sum.velocity / f,
                           .still_accuracy = sum.still / f,
                           .loss = sum.loss};
    return GV_OK;
}
