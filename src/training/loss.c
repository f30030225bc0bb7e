// loss.c - SPEC.md 14.2, one sequence per task.
#include "training/loss.h"
#include "network/statistics.h"

#include <math.h>
#include <string.h>

enum { J = GV_RIG_JOINTS, X = GV_PRED_X, MAX_SURFACE = 512 };

const char *const gv_loss_names[GV_LOSS_TERMS] = {"simple", "cr_j3d",  "transl_c", "cr_verts",
                                                  "j2d",    "verts2d", "transl_w", "static_conf"};
const gv_real gv_loss_weights[GV_LOSS_TERMS] = {1, 500, 1, 500, 1000, 1000, 1, 1};

typedef struct frame { // one frame of one sequence
    const gv_targets *y;
    const gv_rig *rig;
    const gv_real *w; // weights divided by the number of elements
    int64_t at;       // b L + t
    int world;        // has world labels
    gv_real transl[3], d_transl[3];
    double *term;
} frame;

// Squared error of points [n, 3] projected into box coordinates; adds to dpoints and to the translation's gradient.
static double projection(frame *f, gv_real *dpoints, const gv_real *points, const gv_real *truth, int n, gv_real w) {
    const gv_real *K = f->y->K + 4 * f->at, *box = f->y->box + 3 * f->at;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        gv_real g[3],
            p[3] = {points[3 * i] + f->transl[0], points[3 * i + 1] + f->transl[1], points[3 * i + 2] + f->transl[2]};
        sum += gv_projected(g, p, truth + 3 * i, box, K, w);
        for (int c = 0; c < 3; c++) {
            dpoints[3 * i + c] += g[c];
            f->d_transl[c] += g[c];
        }
    }
    return sum;
}

// Joints relative to the pelvis, and in the image.
static void joint_losses(frame *f, gv_rig_grad *g, const gv_rig_pose *p) {
    const gv_real *truth = f->y->joints + f->at * J * 3;
    gv_real d[J][3] = {{0}};
    double sum = 0;
    for (int j = 1; j < J; j++)
        for (int c = 0; c < 3; c++) {
            gv_real e = (p->t[j][c] - p->t[0][c]) - (truth[3 * j + c] - truth[c]);
            sum += (double)e * e;
            d[j][c] += 2 * f->w[GV_LOSS_CR_J3D] * e;
            d[0][c] -= 2 * f->w[GV_LOSS_CR_J3D] * e;
        }
    f->term[GV_LOSS_CR_J3D] += sum;
    if (f->world) f->term[GV_LOSS_J2D] += projection(f, d[0], p->t[0], truth, J, f->w[GV_LOSS_J2D]);
    for (int j = 0; j < J; j++)
        for (int c = 0; c < 3; c++) g->t[j][c] += d[j][c];
}

// Surface points relative to the middle of the hips (COCO 11 and 12), and in the image.
static void surface_losses(frame *f, gv_rig_grad *g, const gv_rig_pose *p) {
    int V = f->rig->surface.count;
    const gv_real *truth = f->y->verts + f->at * V * 3, *coco = f->y->coco + f->at * GV_COCO * 3;
    gv_real v[MAX_SURFACE * 3], d[MAX_SURFACE * 3] = {0}, k[GV_COCO * 3], dk[GV_COCO * 3] = {0};
    gv_rig_place(v, &f->rig->surface, p);
    gv_rig_place(k, &f->rig->coco, p);
    double sum = 0;
    for (int i = 0; i < V; i++)
        for (int c = 0; c < 3; c++) {
            gv_real mid = (k[33 + c] + k[36 + c]) / 2, mid_true = (coco[33 + c] + coco[36 + c]) / 2;
            gv_real e = (v[3 * i + c] - mid) - (truth[3 * i + c] - mid_true), h = 2 * f->w[GV_LOSS_CR_VERTS] * e;
            sum += (double)e * e;
            d[3 * i + c] += h;
            dk[33 + c] -= h / 2;
            dk[36 + c] -= h / 2;
        }
    f->term[GV_LOSS_CR_VERTS] += sum;
    if (f->world) f->term[GV_LOSS_VERTS2D] += projection(f, d, v, truth, V, f->w[GV_LOSS_VERTS2D]);
    gv_rig_place_backward(g, d, &f->rig->surface, p);
    gv_rig_place_backward(g, dk, &f->rig->coco, p);
}

static void body_losses(frame *f, gv_real *dx, gv_real *dcam, const gv_real *x, const gv_real *cam) {
    gv_real raw[X];
    gv_rig_pose p;
    gv_rig_grad g = {0};
    for (int i = 0; i < GV_X_ORIENT_GV; i++) raw[i] = x[i] * gv_pred_x_std[i] + gv_pred_x_mean[i];
    gv_rig_shape(&p, f->rig, raw + GV_X_BETAS);
    for (int j = 0; j < J; j++) gv_real_from_6d(p.local[j], j ? raw + GV_X_POSE + 6 * (j - 1) : raw + GV_X_ORIENT_C);
    gv_rig_fk(&p);
    gv_cam_decode(f->transl, cam, f->y->box + 3 * f->at, f->y->K + 4 * f->at);
    memset(f->d_transl, 0, sizeof f->d_transl);
    joint_losses(f, &g, &p);
    if (f->rig->surface.count) surface_losses(f, &g, &p);
    gv_rig_fk_backward(&g, f->rig, &p);
    for (int j = 0; j < J; j++) {
        int at = j ? GV_X_POSE + 6 * (j - 1) : GV_X_ORIENT_C;
        gv_real d6[6];
        gv_real_from_6d_backward(d6, g.local[j], raw + at);
        for (int i = 0; i < 6; i++) dx[at + i] += d6[i] * gv_pred_x_std[at + i];
    }
    for (int k = 0; k < GV_BETAS; k++) dx[GV_X_BETAS + k] += g.betas[k] * gv_pred_x_std[GV_X_BETAS + k];
    gv_cam_decode_backward(dcam, f->d_transl, cam, f->y->box + 3 * f->at, f->y->K + 4 * f->at);
}

static void simple_loss(frame *f, gv_real *dx, const gv_real *x) {
    const gv_real *truth = f->y->x + f->at * X;
    int n = f->world ? X : GV_X_ORIENT_GV;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        gv_real e = x[i] - truth[i];
        sum += (double)e * e;
        dx[i] += 2 * f->w[GV_LOSS_SIMPLE] * e;
    }
    f->term[GV_LOSS_SIMPLE] += sum;
}

static void camera_loss(frame *f, gv_real *dcam, const gv_real *cam) {
    const gv_real *box = f->y->box + 3 * f->at, *K = f->y->K + 4 * f->at, *t = f->y->transl_c + 3 * f->at,
                  *coco = f->y->coco + f->at * GV_COCO * 3;
    gv_real g[3];
    if (!gv_cam_target(g, t, coco, box, K)) return;
    for (int c = 0; c < 3; c++) {
        gv_real e = cam[c] - g[c];
        f->term[GV_LOSS_TRANSL_C] += (double)e * e;
        dcam[c] += 2 * f->w[GV_LOSS_TRANSL_C] * e;
    }
}

static void static_loss(frame *f, gv_real *dlogits, const gv_real *logits) {
    for (int k = 0; k < 6; k++) {
        gv_real slope;
        f->term[GV_LOSS_STATIC] += gv_still_loss(&slope, logits[k], f->y->still[f->at * 6 + k]);
        dlogits[k] += f->w[GV_LOSS_STATIC] * slope;
    }
}

// Roll-out of the predicted velocities with the true orientations from the true start: L1.
static double rollout_loss(gv_real *dx, const gv_real *x, const gv_targets *y, int64_t first, int valid, gv_real w) {
    gv_real sign[512][3], p[3], sum_sign[3] = {0};
    double sum = 0;
    memcpy(p, y->transl_w + 3 * first, sizeof p);
    for (int t = 0; t < valid; t++) {
        const gv_real *truth = y->transl_w + 3 * (first + t), *R = y->R_w + 9 * (first + t);
        gv_real v[3];
        for (int c = 0; c < 3; c++) {
            gv_real e = p[c] - truth[c];
            sum += e < 0 ? -e : e;
            sign[t][c] = (gv_real)((e > 0) - (e < 0));
            v[c] = x[t * X + GV_X_VELOCITY + c] * gv_pred_x_std[GV_X_VELOCITY + c] + gv_pred_x_mean[GV_X_VELOCITY + c];
        }
        for (int c = 0; c < 3; c++) p[c] += R[3 * c] * v[0] + R[3 * c + 1] * v[1] + R[3 * c + 2] * v[2];
    }
    for (int t = valid - 2; t >= 0; t--) { // velocity t moves every later frame
        const gv_real *R = y->R_w + 9 * (first + t);
        for (int c = 0; c < 3; c++) sum_sign[c] += sign[t + 1][c];
        for (int c = 0; c < 3; c++)
            dx[t * X + GV_X_VELOCITY + c] += w * gv_pred_x_std[GV_X_VELOCITY + c] *
                                             (R[c] * sum_sign[0] + R[3 + c] * sum_sign[1] + R[6 + c] * sum_sign[2]);
    }
    return sum;
}

void gv_loss_elements(gv_real count[GV_LOSS_TERMS], const gv_targets *y, const gv_rig *rig) {
    gv_real T = (gv_real)y->B * (gv_real)y->L, V = (gv_real)(rig->surface.count ? rig->surface.count : 1);
    const gv_real n[GV_LOSS_TERMS] = {T * X, T * J * 3, T * 3, T * V * 3, T * J * 2, T * V * 2, T * 3, T * 6};
    memcpy(count, n, sizeof n);
}

void gv_loss_run(gv_loss *out, gv_real *dx, gv_real *dcam, gv_real *dlogits, const gv_real *pred_x,
                 const gv_real *pred_cam, const gv_real *logits, const gv_targets *y, const gv_rig *rig,
                 const gv_real weights[GV_LOSS_TERMS], double *partial) {
    int L = y->L;
    int64_t T = (int64_t)y->B * L;
    gv_real count[GV_LOSS_TERMS], w[GV_LOSS_TERMS];
    gv_loss_elements(count, y, rig);
    for (int i = 0; i < GV_LOSS_TERMS; i++) w[i] = weights[i] / count[i];
    memset(dx, 0, sizeof(gv_real) * (size_t)(T * X));
    memset(dcam, 0, sizeof(gv_real) * (size_t)(T * 3));
    memset(dlogits, 0, sizeof(gv_real) * (size_t)(T * 6));
    memset(partial, 0, sizeof(double) * (size_t)y->B * GV_LOSS_TERMS);
#pragma omp parallel for schedule(dynamic)
    for (int b = 0; b < y->B; b++) {
        frame f = {.y = y, .rig = rig, .w = w, .world = !y->incam_only[b], .term = partial + b * GV_LOSS_TERMS};
        for (int t = 0; t < y->length[b]; t++) {
            int64_t a = f.at = (int64_t)b * L + t;
            simple_loss(&f, dx + a * X, pred_x + a * X);
            camera_loss(&f, dcam + a * 3, pred_cam + a * 3);
            body_losses(&f, dx + a * X, dcam + a * 3, pred_x + a * X, pred_cam + a * 3);
            if (f.world) static_loss(&f, dlogits + a * 6, logits + a * 6);
        }
        int64_t first = (int64_t)b * L;
        if (f.world)
            f.term[GV_LOSS_TRANSL_W] +=
                rollout_loss(dx + first * X, pred_x + first * X, y, first, y->length[b], w[GV_LOSS_TRANSL_W]);
    }
    *out = (gv_loss){0};
    for (int b = 0; b < y->B; b++)
        for (int i = 0; i < GV_LOSS_TERMS; i++) out->term[i] += partial[b * GV_LOSS_TERMS + i];
    for (int i = 0; i < GV_LOSS_TERMS; i++) {
        out->term[i] /= count[i];
        out->total += out->term[i] * weights[i];
    }
}
