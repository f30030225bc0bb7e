// validate.c - errors of pose, gravity, velocity and stillness on held-out sequences.
#include "training/validate.h"
#include "evaluation/metrics.h"
#include "network/statistics.h"

#include <math.h>
#include <string.h>

enum { J = GV_RIG_JOINTS, X = GV_PRED_X };

typedef struct sums {
    double mpjpe, pa, gravity, velocity, still, loss;
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

// Angle between the two directions of gravity as the body sees it: second rows of the orientations.
static double gravity_angle(const float *a, const float *b) {
    float A[9], B[9];
    double dot = 0, c[3];
    gv_real_from_6d(A, a);
    gv_real_from_6d(B, b);
    const float *u = A + 3, *v = B + 3;
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
    s->gravity += gravity_angle(pred + GV_X_ORIENT_GV, truth + GV_X_ORIENT_GV);
    double v = 0;
    for (int c = 0; c < 3; c++) v += pow((double)pred[GV_X_VELOCITY + c] - truth[GV_X_VELOCITY + c], 2);
    s->velocity += 1000 * sqrt(v);
    for (int k = 0; k < 6; k++) s->still += ((n->logits[at * 6 + k] > 0) == (b->y.still[at * 6 + k] > 0.5f)) / 6.0;
    s->frames++;
}

gv_validation gv_validate(gv_net *n, gv_batch *b, const gv_sampler *s, int batches, float *dx, float *dcam, float *dlogits, double *partial) {
    sums sum = {0};
    for (int k = 0; k < batches; k++) {
        gv_loss loss;
        gv_batch_fill(b, s, 0x76616c6964, (uint64_t)k);
        gv_net_input in = {b->obs, b->cliff, b->angvel, NULL, b->length};
        gv_net_forward(n, &in, 0, 0);
        gv_loss_run(&loss, dx, dcam, dlogits, n->pred_x, n->pred_cam, n->logits, &b->y, s->rig, gv_loss_weights, partial);
        sum.loss += loss.total / batches;
        for (int i = 0; i < b->B; i++)
            for (int t = 0; t < b->length[i]; t++) add_frame(&sum, n, b, s->rig, (long)i * b->L + t);
    }
    double f = (double)sum.frames;
    return (gv_validation){.mpjpe_mm = sum.mpjpe / f, .pa_mpjpe_mm = sum.pa / f, .gravity_deg = sum.gravity / f, .velocity_mm = sum.velocity / f,
                           .still_accuracy = sum.still / f, .loss = sum.loss};
}
