// Unknowns of a frame: a turn d_j (axis-angle, on the right of the predicted rotation) of the root and of every joint
// that moves a COCO keypoint, and the body's place in the camera as a ray (x / z, y / z) and log z. Damped
// Gauss-Newton on
//     sum_k conf_k rho(|u_k - seen_k| / sigma)^2 + sum_j |d_j|^2 / s_j^2 + (log z - log z_predicted)^2 / s_z^2,
// rho after Huber, derivatives by differences. The turns are then smoothed in time and limited.
#include "pipeline/refine.h"
#include "base/memory.h"
#include "geometry/linalg.h"
#include "geometry/rotation.h"
#include "motion/smoothing.h"
#include "network/statistics.h"
#include "pipeline/swing.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { KEYPOINTS = GV_COCO17, ENOUGH = 6, ROUNDS = 3 };
enum { SHAPE_FRAMES = 48, SHAPE_POINTS = 12 }; // frames that the shape is taken from; keypoints that one must have
static const double pixel_sigma = 0.02;        // of the box side: what a keypoint is trusted to
static const double huber = 2.5;               // sigmas, from where on a point counts less
static const double depth_sigma = 0.12;        // of the depth: how far the network's is trusted
static const double largest_turn = 0.8;        // rad
static const double shape_sigma = 1, shape_seconds = 0.5; // of the betas; what counts as one frame
static const float largest_beta =
    2.5f; // standard deviations: one person in eighty is beyond; a guess beyond is an error
static const double prediction_smoothing = 1.5, velocity_smoothing = 2, pose_smoothing = 2, ray_smoothing = 1,
                    depth_smoothing = 5;   // frames at 30 fps
static const double swing_smoothing = 0.6; // of arms while they are seen to swing

// Joints that may turn, and how far about each of their axes the prediction is trusted, rad: twice the network's errors
// on motion capture (real pictures bring more). Ankles, feet and wrists move no keypoint.
static const struct {
    int joint;
    double sigma[3];
} turns[] = {{0, {0.25, 0.23, 0.16}},  {1, {0.29, 0.25, 0.19}},  {2, {0.29, 0.25, 0.19}},  {4, {0.33, 0.06, 0.05}},
             {5, {0.33, 0.06, 0.05}},  {3, {0.24, 0.06, 0.09}},  {6, {0.09, 0.06, 0.06}},  {9, {0.18, 0.08, 0.11}},
             {12, {0.26, 0.19, 0.20}}, {13, {0.04, 0.21, 0.15}}, {14, {0.04, 0.21, 0.15}}, {15, {0.35, 0.28, 0.29}},
             {16, {0.51, 0.36, 0.29}}, {17, {0.51, 0.36, 0.29}}, {18, {0.49, 0.49, 0.13}}, {19, {0.49, 0.49, 0.13}}};
enum { TURNS = sizeof turns / sizeof *turns, UNKNOWNS = 3 * TURNS + 3, ROWS = 2 * KEYPOINTS };

// One frame's prediction, decoded.
typedef struct figure {
    float R[22][9]; // [0] body to camera, [j] local
    float betas[GV_BETAS];
    double ray[3]; // x / z, y / z, log z
} figure;

static float *x_block(float *x, int joint) {
    return x + (joint == 0 ? GV_X_ORIENT_C : GV_X_POSE + 6 * (joint - 1));
}

static void denormalise(float y[GV_PRED_X], const float *x) {
    for (int i = 0; i < GV_PRED_X; i++) y[i] = x[i] * gv_pred_x_std[i] + gv_pred_x_mean[i];
}

static void decode(figure *f, const float *pred_x, const float *cam, const float *box, const float *K) {
    float y[GV_PRED_X];
    denormalise(y, pred_x);
    for (int j = 0; j < 22; j++) gv_rot_from_6d(f->R[j], x_block(y, j));
    for (int i = 0; i < GV_BETAS; i++) f->betas[i] = fminf(fmaxf(y[GV_X_BETAS + i], -largest_beta), largest_beta);
    double sb = (double)box[2] * cam[0] + 1e-9, z = 2 * K[0] / sb; // SPEC.md 7
    f->ray[0] = (cam[1] + 2 * ((double)box[0] - K[2]) / sb) / z;
    f->ray[1] = (cam[2] + 2 * ((double)box[1] - K[5]) / sb) / z;
    f->ray[2] = log(z);
}

// Axis-angle of the joint that turn k moves, turned by d [3].
static void turned(float aa[3], const figure *f, int k, const double *d) {
    float turn[9], R[9], small[3] = {(float)d[0], (float)d[1], (float)d[2]};
    gv_rot_from_aa(turn, small);
    gv_mat3_mul(R, f->R[turns[k].joint], turn);
    gv_rot_to_aa(aa, R);
}

// Axis-angle of all joints with their turns d.
static void turned_all(float aa[66], const figure *f, const double *d) {
    for (int j = 0; j < 22; j++) gv_rot_to_aa(aa + 3 * j, f->R[j]);
    for (int k = 0; k < TURNS; k++) turned(aa + 3 * turns[k].joint, f, k, d + 3 * k);
}

// Points [17, 3] in the camera, the predicted ray moved by `ray`.
static void pose(float *points, const gv_points *regressor, const figure *f, const float aa[66], const double ray[3]) {
    double z = exp(f->ray[2] + ray[2]);
    float transl[3] = {(float)((f->ray[0] + ray[0]) * z), (float)((f->ray[1] + ray[1]) * z), (float)z};
    gv_points_pose(regressor, f->betas, aa + 3, aa, transl, points, NULL);
}

// Projected minus seen, in sigmas: r [34].
static void residuals(double *r, const float *points, const float *kp, const float *K, double side) {
    for (int k = 0; k < KEYPOINTS; k++) {
        const float *X = points + 3 * k;
        double z = fmax(X[2], 0.1);
        r[2 * k] = (K[0] * X[0] / z + K[2] - kp[3 * k]) / (pixel_sigma * side);
        r[2 * k + 1] = (K[4] * X[1] / z + K[5] - kp[3 * k + 1]) / (pixel_sigma * side);
    }
}

static double prior_precision(int unknown) {
    double s = unknown < 3 * TURNS ? turns[unknown / 3].sigma[unknown % 3] : unknown == 3 * TURNS + 2 ? depth_sigma : 1;
    return 1 / (s * s);
}

// The points' residuals at d, their derivatives J[u] by d and, where shape is asked for, by the betas, and weights.
typedef struct linearised {
    double r[ROWS], J[UNKNOWNS + GV_BETAS][ROWS], w[KEYPOINTS];
} linearised;

static void linearise(linearised *l, double *d, const gv_points *regressor, const figure *f, const float *kp,
                      const float *K, double side, bool shape) {
    const double h = 1e-3, h_shape = 0.1;
    double moved[ROWS];
    float points[3 * KEYPOINTS], aa[66];
    turned_all(aa, f, d);
    pose(points, regressor, f, aa, d + 3 * TURNS);
    residuals(l->r, points, kp, K, side);
    for (int u = 0; u < UNKNOWNS; u++) {
        int k = u / 3;
        float *joint = k < TURNS ? aa + 3 * turns[k].joint : NULL, unturned[3];
        double keep = d[u];
        d[u] += h;
        if (joint) {
            memcpy(unturned, joint, sizeof unturned);
            turned(joint, f, k, d + 3 * k);
        }
        pose(points, regressor, f, aa, d + 3 * TURNS);
        d[u] = keep;
        if (joint) memcpy(joint, unturned, sizeof unturned);
        residuals(moved, points, kp, K, side);
        for (int i = 0; i < ROWS; i++) l->J[u][i] = (moved[i] - l->r[i]) / h;
    }
    for (int b = 0; shape && b < GV_BETAS; b++) {
        figure other = *f;
        other.betas[b] += (float)h_shape;
        pose(points, regressor, &other, aa, d + 3 * TURNS);
        residuals(moved, points, kp, K, side);
        for (int i = 0; i < ROWS; i++) l->J[UNKNOWNS + b][i] = (moved[i] - l->r[i]) / h_shape;
    }
    for (int k = 0; k < KEYPOINTS; k++) {
        double far = hypot(l->r[2 * k], l->r[2 * k + 1]);
        l->w[k] = kp[3 * k + 2] > 0.5f ? (double)kp[3 * k + 2] * (far > huber ? huber / far : 1) : 0;
    }
}

// Of the weighted sum of squares: J_u' W J_v, or J_u' W r for v < 0.
static double product(const linearised *l, int u, int v) {
    const double *other = v < 0 ? l->r : l->J[v];
    double sum = 0;
    for (int i = 0; i < ROWS; i++) sum += l->w[i / 2] * l->J[u][i] * other[i];
    return sum;
}

// The normal equations of d: A [UNKNOWNS, UNKNOWNS], b = minus the gradient.
static void normal_equations(double *A, double *b, const linearised *l, const double *d) {
    for (int u = 0; u < UNKNOWNS; u++) {
        b[u] = -product(l, u, -1) - prior_precision(u) * d[u];
        for (int v = 0; v <= u; v++)
            A[u * UNKNOWNS + v] = A[v * UNKNOWNS + u] = product(l, u, v) + (u == v ? prior_precision(u) : 0);
    }
}

// One Gauss-Newton step on d [UNKNOWNS].
static bool step(double *d, const gv_points *regressor, const figure *f, const float *kp, const float *K, double side) {
    double A[UNKNOWNS * UNKNOWNS], b[UNKNOWNS];
    linearised l;
    linearise(&l, d, regressor, f, kp, K, side, false);
    normal_equations(A, b, &l, d);
    if (!gv_cholesky(A, UNKNOWNS)) return false;
    gv_cholesky_solve(A, UNKNOWNS, b);
    for (int u = 0; u < UNKNOWNS; u++) {
        double limit = u < 3 * TURNS ? 0.3 : 0.5; // of one step: the problem is only locally linear
        d[u] += fmin(fmax(b[u], -limit), limit);
    }
    return true;
}

static int visible(const float *kp) {
    int n = 0;
    for (int k = 0; k < KEYPOINTS; k++) n += kp[3 * k + 2] > 0.5f;
    return n;
}

// True where the frame was fitted; otherwise d is zero.
static bool fit(double *d, const gv_points *regressor, const figure *f, const float *kp, const float *K, double side) {
    memset(d, 0, UNKNOWNS * sizeof *d);
    bool ok = visible(kp) >= ENOUGH;
    for (int round = 0; ok && round < ROUNDS; round++) ok = step(d, regressor, f, kp, K, side);
    for (int u = 0; u < UNKNOWNS && ok; u++) ok = isfinite(d[u]);
    if (!ok) memset(d, 0, UNKNOWNS * sizeof *d);
    for (int u = 0; u < 3 * TURNS; u++) d[u] = fmin(fmax(d[u], -largest_turn), largest_turn);
    return ok;
}

// ---- shape

typedef struct shape_equations {
    double A[GV_BETAS * GV_BETAS], b[GV_BETAS];
} shape_equations;

// What one frame says of the shape when its own unknowns, the turns and the place, are free to follow (Schur
// complement). False where it says nothing.
static bool shape_of_frame(shape_equations *e, const gv_points *regressor, const figure *f, const float *kp,
                           const float *K, double side) {
    double d[UNKNOWNS], A[UNKNOWNS * UNKNOWNS], b[UNKNOWNS], X[GV_BETAS][UNKNOWNS];
    linearised l;
    if (!fit(d, regressor, f, kp, K, side)) return false;
    linearise(&l, d, regressor, f, kp, K, side, true);
    normal_equations(A, b, &l, d);
    if (!gv_cholesky(A, UNKNOWNS)) return false;
    gv_cholesky_solve(A, UNKNOWNS, b);
    for (int p = 0; p < GV_BETAS; p++) {
        for (int u = 0; u < UNKNOWNS; u++) X[p][u] = product(&l, u, UNKNOWNS + p);
        gv_cholesky_solve(A, UNKNOWNS, X[p]);
    }
    for (int p = 0; p < GV_BETAS; p++) {
        e->b[p] = -product(&l, UNKNOWNS + p, -1);
        for (int u = 0; u < UNKNOWNS; u++) e->b[p] -= product(&l, u, UNKNOWNS + p) * b[u];
        for (int q = 0; q < GV_BETAS; q++) {
            double sum = product(&l, UNKNOWNS + p, UNKNOWNS + q);
            for (int u = 0; u < UNKNOWNS; u++) sum -= product(&l, u, UNKNOWNS + p) * X[q][u];
            e->A[p * GV_BETAS + q] = sum;
        }
    }
    return true;
}

// The person's proportions: one change of the betas for all frames, so that the points lie on the keypoints with less
// turning. Frames near each other have the same errors: half a second counts as one frame.
static gv_status fit_shape(double change[GV_BETAS], const gv_points *regressor, const float *pred_x,
                           const float *pred_cam, const gv_observations *o, gv_error *err) {
    int every = o->frames > SHAPE_FRAMES ? o->frames / SHAPE_FRAMES : 1, n = (o->frames + every - 1) / every;
    shape_equations *frame = gv_calloc2((size_t)n, sizeof *frame);
    if (!frame) return gv_fail(err, GV_ERR_MEMORY, "no memory for a person's shape");
    memset(change, 0, GV_BETAS * sizeof *change);
    for (int round = 0; round < ROUNDS; round++) {
        double A[GV_BETAS * GV_BETAS] = {0}, b[GV_BETAS] = {0};
        int used = 0;
#pragma omp parallel for schedule(dynamic, 1) reduction(+ : used)
        for (int i = 0; i < n; i++) {
            size_t t = (size_t)i * (size_t)every;
            const float *kp = o->kp2d + 51 * t, *box = o->bbx_xys + 3 * t, *K = o->K + 9 * t;
            figure f;
            decode(&f, pred_x + GV_PRED_X * t, pred_cam + 3 * t, box, K);
            for (int p = 0; p < GV_BETAS; p++) f.betas[p] += (float)change[p];
            bool tells = visible(kp) >= SHAPE_POINTS && shape_of_frame(&frame[i], regressor, &f, kp, K, (double)box[2]);
            if (!tells) memset(&frame[i], 0, sizeof frame[i]);
            used += tells;
        }
        if (used == 0) break;
        double independent = fmin(1, o->frames / (shape_seconds * 30) / n);
        for (int p = 0; p < GV_BETAS; p++) {
            double precision = 1 / (shape_sigma * shape_sigma);
            for (int i = 0; i < n; i++) {
                b[p] += independent * frame[i].b[p];
                for (int q = 0; q < GV_BETAS; q++) A[p * GV_BETAS + q] += independent * frame[i].A[p * GV_BETAS + q];
            }
            A[p * GV_BETAS + p] += precision;
            b[p] -= precision * change[p];
        }
        if (!gv_cholesky(A, GV_BETAS)) break;
        gv_cholesky_solve(A, GV_BETAS, b);
        for (int p = 0; p < GV_BETAS; p++) change[p] += fmin(fmax(b[p], -1), 1);
    }
    free(frame);
    return GV_OK;
}

// Frames without a fit: linear between the neighbours that have one, fading out over a second at the ends.
static void bridge(float *d, const bool *fitted, int frames) {
    int last = -1;
    for (int t = 0; t <= frames; t++) {
        if (t < frames && !fitted[t]) continue;
        for (int g = last + 1; g < t; g++) {
            double before = last < 0 ? 0 : t < frames ? (double)(t - g) / (t - last) : fmax(0, 1 - (g - last) / 30.0);
            double after = t == frames ? 0 : last < 0 ? fmax(0, 1 - (t - g) / 30.0) : 1 - before;
            for (int u = 0; u < UNKNOWNS; u++)
                d[(size_t)g * UNKNOWNS + u] =
                    (float)((before > 0 ? before * (double)d[(size_t)last * UNKNOWNS + u] : 0) +
                            (after > 0 ? after * (double)d[(size_t)t * UNKNOWNS + u] : 0));
        }
        last = t;
    }
}

static void normalise_block(float *pred_x, int first, int count, const float *y) {
    for (int i = 0; i < count; i++) pred_x[first + i] = (y[i] - gv_pred_x_mean[first + i]) / gv_pred_x_std[first + i];
}

// The turns d written back into the prediction. The gravity-view orientation turns with the one in the camera, and the
// velocity in the root's frame turns against it, so that gravity and the path in the world stay.
static void encode_turns(float *pred_x, const figure *f, const float *d) {
    float y[GV_PRED_X], turn[9], R[9], gv[9], velocity[3];
    denormalise(y, pred_x);
    for (int k = 0; k < TURNS; k++) {
        int j = turns[k].joint;
        gv_rot_from_aa(turn, d + 3 * k);
        gv_mat3_mul(R, f->R[j], turn);
        gv_pred_set_rotation(pred_x, j == 0 ? GV_X_ORIENT_C : GV_X_POSE + 6 * (j - 1), R);
        if (j != 0) continue;
        gv_rot_from_6d(gv, y + GV_X_ORIENT_GV);
        gv_mat3_mul(R, gv, turn);
        gv_pred_set_rotation(pred_x, GV_X_ORIENT_GV, R);
        gv_mat3_apply_t(velocity, turn, y + GV_X_VELOCITY);
        normalise_block(pred_x, GV_X_VELOCITY, 3, velocity);
    }
}

static void encode_betas(float *pred_x, const figure *f) {
    float y[GV_PRED_X];
    denormalise(y, pred_x);
    for (int i = 0; i < GV_BETAS; i++)
        if (f->betas[i] != y[GV_X_BETAS + i]) normalise_block(pred_x, GV_X_BETAS + i, 1, f->betas + i);
}

static void change_shape(float *pred_x, int frames, const double change[GV_BETAS]) {
    for (size_t t = 0; t < (size_t)frames; t++) {
        float y[GV_PRED_X];
        denormalise(y, pred_x + GV_PRED_X * t);
        for (int i = 0; i < GV_BETAS; i++) y[GV_X_BETAS + i] += (float)change[i];
        normalise_block(pred_x + GV_PRED_X * t, GV_X_BETAS, GV_BETAS, y + GV_X_BETAS);
    }
}

// The inverse of SPEC.md 7.
static void encode_ray(float *cam, const double ray[3], const float *box, const float *K) {
    double z = exp(ray[2]), sb = 2 * K[0] / z;
    cam[0] = (float)(sb / box[2]);
    cam[1] = (float)(ray[0] * z - 2 * ((double)box[0] - K[2]) / sb);
    cam[2] = (float)(ray[1] * z - 2 * ((double)box[1] - K[5]) / sb);
}

// What swings with the left wrist: 0, the right one: 1, neither: -1.
static int arm_of(int joint) {
    if (joint == 13 || joint == 14) return joint - 13;
    return joint >= 16 ? joint % 2 : -1;
}

// swing [2, L], left and right; zero where there are no observations. scratch [2 L].
static void find_swings(double *swing, int frames, const gv_observations *o, double *scratch) {
    memset(swing, 0, 2 * (size_t)frames * sizeof *swing);
    for (int side = 0; side < 2 && o; side++)
        gv_swing_shares(swing + side * (size_t)frames, o->kp2d, o->bbx_xys, o->time_sec, frames, side, scratch);
}

// x [L] smoothed by sigma, and where swing [L] says so (may be NULL) by the lesser one instead.
static void smooth_but_swings(double *x, int frames, double sigma, double less, const double *swing, double *copy,
                              double *scratch) {
    if (swing) memcpy(copy, x, (size_t)frames * sizeof *copy);
    gv_gaussian_smooth(x, frames, 1, 0, 1, sigma, scratch);
    if (!swing) return;
    gv_gaussian_smooth(copy, frames, 1, 0, 1, less, scratch);
    for (int t = 0; t < frames; t++) x[t] += swing[t] * (copy[t] - x[t]);
}

// One column of pred_x at a time.
gv_status gv_smooth_prediction(float *pred_x, int frames, const gv_observations *o, gv_error *err) {
    size_t L = (size_t)frames;
    double *x = gv_calloc2(L, 5 * sizeof *x), *swing = x + L, *scratch = x + 3 * L;
    if (!x) return gv_fail(err, GV_ERR_MEMORY, "no memory to smooth %d frames", frames);
    find_swings(swing, frames, o, scratch);
    for (int c = 0; c < GV_PRED_X; c++) {
        if (c >= GV_X_BETAS && c < GV_X_ORIENT_C) continue;
        const int arm = c < GV_X_BETAS ? arm_of(c / 6 + 1) : -1;
        const double sigma = c < GV_X_VELOCITY ? prediction_smoothing : velocity_smoothing;
        for (size_t t = 0; t < L; t++) x[t] = pred_x[t * GV_PRED_X + c];
        smooth_but_swings(x, frames, sigma, swing_smoothing, arm < 0 ? NULL : swing + (size_t)arm * L, scratch + L,
                          scratch);
        for (size_t t = 0; t < L; t++) pred_x[t * GV_PRED_X + c] = (float)x[t];
    }
    free(x);
    return GV_OK;
}

// x, swing: [L], [2, L]
static void smooth_turns(float *d, int frames, double *x, const double *swing, double *scratch) {
    const size_t L = (size_t)frames;
    for (int u = 0; u < 3 * TURNS; u++) {
        const int arm = arm_of(turns[u / 3].joint);
        for (size_t t = 0; t < L; t++) x[t] = d[t * UNKNOWNS + u];
        smooth_but_swings(x, frames, pose_smoothing, swing_smoothing, arm < 0 ? NULL : swing + (size_t)arm * L,
                          scratch + L, scratch);
        for (size_t t = 0; t < L; t++) d[t * UNKNOWNS + u] = (float)x[t];
    }
}

gv_status gv_refine_prediction(float *pred_x, float *pred_cam, const gv_observations *o, const gv_body *body,
                               gv_error *err) {
    if (!body->coco17) return GV_OK;
    size_t L = (size_t)o->frames;
    gv_points *regressor = gv_points_create(body, body->coco17, KEYPOINTS);
    float *d = gv_calloc2(L, UNKNOWNS * sizeof *d);
    double *rays = gv_calloc2(L, 3 * sizeof *rays), *scratch = gv_calloc2(L, 5 * sizeof *scratch);
    bool *fitted = gv_calloc2(L, sizeof *fitted);
    double change[GV_BETAS];
    gv_status status = GV_OK;
    if (!regressor || !d || !rays || !scratch || !fitted) {
        status = gv_fail(err, GV_ERR_MEMORY, "no memory to refine %d frames", o->frames);
        goto done;
    }
    status = fit_shape(change, regressor, pred_x, pred_cam, o, err);
    if (status != GV_OK) goto done;
    change_shape(pred_x, o->frames, change);
#pragma omp parallel for schedule(dynamic, 8)
    for (size_t t = 0; t < L; t++) {
        figure f;
        double turn[UNKNOWNS];
        decode(&f, pred_x + GV_PRED_X * t, pred_cam + 3 * t, o->bbx_xys + 3 * t, o->K + 9 * t);
        fitted[t] = fit(turn, regressor, &f, o->kp2d + 51 * t, o->K + 9 * t, (double)o->bbx_xys[3 * t + 2]);
        for (int u = 0; u < UNKNOWNS; u++) d[UNKNOWNS * t + (size_t)u] = (float)turn[u];
        for (int i = 0; i < 3; i++) rays[3 * t + (size_t)i] = f.ray[i];
    }
    bridge(d, fitted, o->frames);
    find_swings(scratch + L, o->frames, o, scratch + 3 * L);
    smooth_turns(d, o->frames, scratch, scratch + L, scratch + 3 * L);
    for (size_t t = 0; t < L; t++)
        for (size_t i = 0; i < 3; i++) rays[3 * t + i] += (double)d[t * UNKNOWNS + 3 * TURNS + i];
    gv_gaussian_smooth(rays, o->frames, 3, 0, 2, ray_smoothing, scratch);
    gv_gaussian_smooth(rays, o->frames, 3, 2, 1, depth_smoothing, scratch);
    for (size_t t = 0; t < L; t++) {
        figure f;
        decode(&f, pred_x + GV_PRED_X * t, pred_cam + 3 * t, o->bbx_xys + 3 * t, o->K + 9 * t);
        encode_turns(pred_x + GV_PRED_X * t, &f, d + UNKNOWNS * t);
        encode_betas(pred_x + GV_PRED_X * t, &f);
        encode_ray(pred_cam + 3 * t, rays + 3 * t, o->bbx_xys + 3 * t, o->K + 9 * t);
    }
done:
    gv_points_destroy(regressor);
    free(d);
    free(rays);
    free(scratch);
    free(fitted);
    return status;
}

_Static_assert(GV_CORRECTION_TURNS == 3 * TURNS, "the header's number of turns");

bool gv_correction_fit(float d[GV_CORRECTION], const gv_points *points, const float *pred_x, const float *pred_cam,
                       const float *kp2d, const float *box, const float *K) {
    figure f;
    double turn[UNKNOWNS];
    decode(&f, pred_x, pred_cam, box, K);
    bool fitted = fit(turn, points, &f, kp2d, K, (double)box[2]);
    for (int u = 0; u < UNKNOWNS; u++) d[u] = (float)turn[u];
    return fitted;
}

void gv_correction_apply(float *pred_x, float *pred_cam, const float d[GV_CORRECTION], const float *box,
                         const float *K) {
    figure f;
    decode(&f, pred_x, pred_cam, box, K);
    for (int i = 0; i < 3; i++) f.ray[i] += (double)d[GV_CORRECTION_TURNS + i];
    encode_turns(pred_x, &f, d);
    encode_betas(pred_x, &f);
    encode_ray(pred_cam, f.ray, box, K);
}

double gv_reprojection_error(const float *pred_x, const float *pred_cam, const gv_observations *o,
                             const gv_body *body) {
    gv_points *regressor = body->coco17 ? gv_points_create(body, body->coco17, KEYPOINTS) : NULL;
    const double still[UNKNOWNS] = {0};
    double sum = 0, n = 0;
    for (size_t t = 0; regressor && t < (size_t)o->frames; t++) {
        const float *K = o->K + 9 * t, *kp = o->kp2d + 51 * t, *box = o->bbx_xys + 3 * t;
        figure f;
        float points[3 * KEYPOINTS], aa[66];
        double r[ROWS];
        decode(&f, pred_x + GV_PRED_X * t, pred_cam + 3 * t, box, K);
        turned_all(aa, &f, still);
        pose(points, regressor, &f, aa, still + 3 * TURNS);
        residuals(r, points, kp, K, (double)box[2]);
        for (int k = 0; k < KEYPOINTS; k++)
            if (kp[3 * k + 2] > 0.5f) sum += pixel_sigma * hypot(r[2 * k], r[2 * k + 1]), n++;
    }
    gv_points_destroy(regressor);
    return n > 0 ? sum / n : -1;
}
