// Unknowns of a frame: the pelvis' shift in the world (3), a turn of the root (3) and of the joints of arms and legs
// (3 each, on the right of their rotations; the root's turns it in the world and in the camera alike), the pelvis'
// shift in the camera (3). Gauss-Newton on sums of squares over standard deviations:
//     feet      a foot that stands in two frames is in one place; its sole is on the ground; no sole is below
//     calm      the joints' accelerations are those of their own path smoothed a little: what trembles goes, what
//     swings
//               stays (fast moments weigh less besides)
//     picture   the body's COCO-17 points, heels and toes lie on the observed ones, weighted by confidence, robustly
//     prior     turns are small, shifts change slowly
// Where a wrist is seen to swing, that arm's keypoints weigh more and its turns may be larger.
// All couple three frames at most, so the normal equations are banded. Long motions are solved piece by piece: a piece
// with some frames beyond its end, what lies before it held fast.
#include "base/memory.h"
#include "body/feet.h"
#include "geometry/linalg.h"
#include "geometry/rotation.h"
#include "geometry/so3.h"
#include "pipeline/settle_internal.h"
#include "pipeline/swing.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    J = GV_MOTION_JOINTS,
    COCO = GV_COCO17,
    POINTS = COCO + GV_BODY_FEET,
    ROUNDS = 3,
    PIECE = 256,
    AHEAD = 40,
    BEFORE = 2,
    CALM = 14,
    FIRST_OF_ARMS = 16
};

// Joints that may turn and how far the motion is trusted, rad.
static const struct {
    int joint;
    double sigma;
} turns[] = {{0, 0.06}, {1, 0.10},  {2, 0.10},  {4, 0.12},  {5, 0.12}, {7, 0.25},
             {8, 0.25}, {16, 0.10}, {17, 0.10}, {18, 0.12}, {19, 0.12}};
enum { TURNS = sizeof turns / sizeof *turns, CAMERA = 3 + 3 * TURNS, N = CAMERA + 3, BAND = 3 * N - 1, COLUMNS = 18 };

static const int calm_joints[CALM] = {0, 4, 5, 7, 8, 10, 11, 9, 15, 16, 18, 19, 20, 21};
// The joint that moves with each COCO keypoint, heel and toes, for derivatives.
static const int point_joints[POINTS] = {15, 15, 15, 15, 15, 16, 17, 18, 19, 20, 21, 1, 2, 4, 5, 7, 8, 10, 10, 11, 11};

static const double slide_sigma = 0.0012, slide_huber = 0.010; // m
static const double height_sigma = 0.004, height_huber = 0.02; // m
static const double far_from_ground = 0.08;                    // m: who stands there stands on something
static const double pixel_sigma = 0.02, pixel_huber = 2.5;     // of the box side; sigmas
static const double calm_sigma = 7, swing = 14;                // m/s^2
static const double calm_sec = 0.0275, calm_per_m = 1.8;       // s, s/m: of the smoothed path
static const double arm_share = 0.35;                          // of that for elbows and wrists: fast ones stay
static const double swift_pull = 5, swift_free = 3; // an arm's keypoints' weight and turns' sigma there, times
static const double fine_pixel = 0.005, largest_pixel = 0.04;               // m: of persons of 350 and 45 px
static const double shift_sigma = 0.3, drift_sigma = 0.010;                 // m, m per 1/30 s: world
static const double seen_sigma[3] = {0.03, 0.03, 0.10}, seen_drift = 0.004; // m, m per 1/30 s: camera
static const double largest_step = 0.2;                                     // of any unknown, per round

typedef struct target { // of a joint's acceleration
    float pull[3], weight;
} target;

typedef struct frame {
    double local[J][9];      // [0]: root in the world
    double G[J][9], P[J][3]; // global in the world
    double root[3], seen[3]; // pelvis in the world and the camera
    double to_camera[9];     // rotation, world to camera
    double D[N];             // sum of the steps so far
    const target *target;    // [CALM]
    double swift[2];         // left and right arm: from 0 to 1 where it is seen to swing
} frame;

typedef struct column { // the derivative of a point by one unknown
    int at;
    double d[3];
} column;

typedef struct point {
    int n;
    column c[COLUMNS];
} point;

typedef struct piece {
    gv_motion *m;
    const gv_points *points; // [POINTS], or the first COCO where the body has no feet; NULL: none
    int npoints;
    const double *sole;
    int first, frames; // unknown frames; f[BEFORE] is the first of them
    frame *f;          // [BEFORE + frames]
    double *A, *b;     // [frames N, BAND + 1], [frames N]
    double S[J][3];    // rest joints
} piece;

// ---- a frame and its derivatives

static void forward(frame *f, const double S[J][3]) {
    for (int j = 0; j < J; j++) {
        int p = gv_parents55[j];
        if (p < 0) {
            memcpy(f->G[0], f->local[0], sizeof f->G[0]);
            memcpy(f->P[0], f->root, sizeof f->root);
            continue;
        }
        double bone[3], turned[3];
        for (int i = 0; i < 3; i++) bone[i] = S[j][i] - S[p][i];
        gv_so3_mul(f->G[j], f->G[p], f->local[j]);
        gv_so3_apply(turned, f->G[p], bone);
        for (int i = 0; i < 3; i++) f->P[j][i] = f->P[p][i] + turned[i];
    }
}

static bool moves(int joint, int other) { // a turn of `joint` moves `other`
    do other = gv_parents55[other];
    while (other >= 0 && other != joint);
    return other == joint;
}

// Derivatives of the place `at` in the world of a point that moves as `joint` does.
static void differentiate_at(point *out, const frame *f, int joint, const double at[3]) {
    out->n = 0;
    for (int i = 0; i < 3; i++) {
        column *c = &out->c[out->n++];
        *c = (column){.at = i};
        c->d[i] = 1;
    }
    for (int k = 0; k < TURNS; k++) {
        int j = turns[k].joint;
        if (!moves(j, joint)) continue;
        double arm[3];
        for (int i = 0; i < 3; i++) arm[i] = at[i] - f->P[j][i];
        for (int i = 0; i < 3; i++) {
            double axis[3] = {f->G[j][i], f->G[j][3 + i], f->G[j][6 + i]};
            column *c = &out->c[out->n++];
            c->at = 3 + 3 * k + i;
            gv_cross3(c->d, axis, arm);
        }
    }
}

static void differentiate(point *out, const frame *f, int joint) {
    differentiate_at(out, f, joint, f->P[joint]);
}

// ---- the normal equations

// Adds w |r + sum_k scale_k d point_k|^2 of frames at[k].
static void add(piece *s, int n, const int *at, const point *const *points, const double *scale, const double r[3],
                double w) {
    for (int a = 0; a < n; a++) {
        if (at[a] < BEFORE) continue;
        for (int i = 0; i < points[a]->n; i++) {
            const column *p = &points[a]->c[i];
            long row = (long)(at[a] - BEFORE) * N + p->at;
            double d[3] = {w * scale[a] * p->d[0], w * scale[a] * p->d[1], w * scale[a] * p->d[2]};
            double *A = s->A + row * (BAND + 1) + BAND - row;
            s->b[row] -= gv_dot3(d, r);
            for (int c = 0; c <= a; c++) {
                if (at[c] < BEFORE) continue;
                long first = (long)(at[c] - BEFORE) * N;
                for (int k = 0; k < points[c]->n; k++) {
                    const column *q = &points[c]->c[k];
                    if (first + q->at <= row) A[first + q->at] += scale[c] * gv_dot3(d, q->d);
                }
            }
        }
    }
}

static double huber(double distance, double limit) {
    return distance > limit ? limit / distance : 1;
}

static double contact(const gv_motion *m, int t, int f) {
    return (double)m->static_prob[GV_STATIC_JOINTS * (size_t)t + f];
}

static double seconds(const piece *s, int at) { // from frame at - 1 to at
    int t = s->first + at - BEFORE;
    return t > 0 ? s->m->time_sec[t] - s->m->time_sec[t - 1] : 1;
}

static void add_feet(piece *s, int at, const point feet[2][GV_FEET]) {
    int t = s->first + at - BEFORE;
    const frame *now = &s->f[at], *before = &s->f[at - 1];
    for (int f = 0; f < GV_FEET; f++) {
        int j = gv_foot_joints[f];
        double c = contact(s->m, t, f), r[3], over = now->P[j][1] - s->sole[f];
        const point *both[2] = {&feet[0][f], &feet[1][f]};
        if (t > 0 && fmin(c, contact(s->m, t - 1, f)) > 0.4) {
            for (int i = 0; i < 3; i++) r[i] = now->P[j][i] - before->P[j][i];
            double trust = fmin(1, (fmin(c, contact(s->m, t - 1, f)) - 0.4) / 0.1);
            double w = trust * huber(sqrt(gv_dot3(r, r)), slide_huber) / (slide_sigma * slide_sigma);
            add(s, 2, (int[]){at - 1, at}, both, (double[]){-1, 1}, r, w);
        }
        if ((c > gv_contact_probability && fabs(over) < far_from_ground) || over < 0) {
            point up = feet[1][f];
            for (int i = 0; i < up.n; i++) up.c[i].d[0] = up.c[i].d[2] = 0;
            double w = huber(fabs(over), height_huber) / (height_sigma * height_sigma);
            add(s, 1, &at, (const point *[]){&up}, (double[]){1}, (double[]){0, over, 0}, w);
        }
    }
}

// The middle of three frames: acceleration minus that of the smoothed path.
static void add_calm(piece *s, int at, const point points[3][CALM]) {
    double h0 = seconds(s, at), h1 = seconds(s, at + 1), k = 2 / (h0 + h1);
    const double scale[3] = {k / h0, -k / h0 - k / h1, k / h1};
    const frame *f = &s->f[at];
    for (int c = 0; c < CALM; c++) {
        int j = calm_joints[c];
        double r[3];
        const point *three[3] = {&points[0][c], &points[1][c], &points[2][c]};
        for (int i = 0; i < 3; i++)
            r[i] = scale[0] * f[-1].P[j][i] + scale[1] * f->P[j][i] + scale[2] * f[1].P[j][i] -
                   (double)f->target[c].pull[i];
        add(s, 3, (int[]){at - 1, at, at + 1}, three, scale, r, (double)f->target[c].weight);
    }
}

// Keypoint k as the body has it, m in the camera, drawn to where it was seen, `pull` times as much as usual.
static void add_keypoint(piece *s, int at, int k, const float X[3], const float seen[3], const float *K, double side,
                         double pull) {
    const frame *f = &s->f[at];
    const double confidence = (double)seen[2], z = (double)X[2];
    if (!(confidence > 0.5) || !(z > 0.1)) return;
    const double unit = 1 / (pixel_sigma * side), x = (double)X[0] / z, y = (double)X[1] / z;
    const double r[3] = {(K[0] * x + K[2] - seen[0]) * unit, (K[4] * y + K[5] - seen[1]) * unit, 0};
    double world[3], from_pelvis[3];
    for (int i = 0; i < 3; i++) from_pelvis[i] = (double)X[i] - f->seen[i];
    for (int i = 0; i < 3; i++) {
        const double *R = f->to_camera;
        world[i] = f->root[i] + R[i] * from_pelvis[0] + R[3 + i] * from_pelvis[1] + R[6 + i] * from_pelvis[2];
    }
    point p;
    differentiate_at(&p, f, point_joints[k], world);
    for (int c = 0; c < p.n; c++) {
        double d[3];
        if (c < 3)
            d[0] = c == 0, d[1] = c == 1, d[2] = c == 2, p.c[c].at = CAMERA + c;
        else
            gv_so3_apply(d, f->to_camera, p.c[c].d);
        p.c[c].d[0] = unit * K[0] / z * (d[0] - x * d[2]);
        p.c[c].d[1] = unit * K[4] / z * (d[1] - y * d[2]);
        p.c[c].d[2] = 0;
    }
    // columns in ascending order: the camera's come last
    point sorted = {.n = p.n};
    for (int c = 0; c < p.n; c++) sorted.c[c] = p.c[(c + 3) % p.n];
    double w = pull * confidence * huber(sqrt(gv_dot3(r, r)), pixel_huber);
    add(s, 1, &at, (const point *[]){&sorted}, (double[]){1}, r, w);
}

static void add_picture(piece *s, int at) {
    const frame *f = &s->f[at];
    const double *swift = s->f[at].swift;
    size_t t = (size_t)(s->first + at - BEFORE);
    const float *K = s->m->K + 9 * t;
    double side = (double)s->m->bbx_xys[3 * t + 2], Rc[9], aa[3];
    float points[3 * POINTS], pose[63], root[3], transl[3];
    if (!s->points || !(side > 0) || !(K[0] > 0)) return;
    for (int j = 1; j < J; j++) {
        gv_so3_log(aa, f->local[j]);
        for (int i = 0; i < 3; i++) pose[3 * (j - 1) + i] = (float)aa[i];
    }
    gv_so3_mul(Rc, f->to_camera, f->local[0]);
    gv_so3_log(aa, Rc);
    for (int i = 0; i < 3; i++) root[i] = (float)aa[i], transl[i] = (float)(f->seen[i] - s->S[0][i]);
    gv_points_pose(s->points, s->m->betas, pose, root, transl, points, NULL);
    for (int k = 0; k < s->npoints; k++) {
        const float *seen = k < COCO ? s->m->kp2d + 51 * t + 3 * k : s->m->feet2d + 12 * t + 3 * (k - COCO);
        const bool arm = k >= 7 && k <= 10; // elbows and wrists, left and right in turn
        add_keypoint(s, at, k, points + 3 * k, seen, K, side, arm ? 1 + (swift_pull - 1) * swift[(k + 1) % 2] : 1);
    }
}

static void add_scalar(piece *s, int at, int unknown, double residual, double sigma) {
    long row = (long)(at - BEFORE) * N + unknown;
    s->A[row * (BAND + 1) + BAND] += 1 / (sigma * sigma);
    s->b[row] -= residual / (sigma * sigma);
}

// The change of an unknown from the frame before.
static void add_change(piece *s, int at, int unknown, double sigma) {
    double w = 1 / (sigma * sigma), r = s->f[at].D[unknown] - s->f[at - 1].D[unknown];
    long row = (long)(at - BEFORE) * N + unknown;
    s->A[row * (BAND + 1) + BAND] += w;
    s->b[row] -= w * r;
    if (at == BEFORE) return;
    s->A[(row - N) * (BAND + 1) + BAND] += w;
    s->b[row - N] += w * r;
    s->A[row * (BAND + 1) + BAND - N] -= w;
}

// How far the motion is trusted about turn k, rad: less of an arm that is seen to swing.
static double turn_sigma(const frame *f, int k) {
    const int joint = turns[k].joint;
    return turns[k].sigma * (joint < FIRST_OF_ARMS ? 1 : 1 + (swift_free - 1) * f->swift[joint % 2]);
}

static void add_prior(piece *s, int at) {
    const double *D = s->f[at].D;
    double pace = fmax(30 * seconds(s, at), 1e-3);
    for (int i = 0; i < 3; i++) {
        add_scalar(s, at, i, D[i], shift_sigma);
        add_scalar(s, at, CAMERA + i, D[CAMERA + i], seen_sigma[i]);
        if (s->first + at - BEFORE == 0) continue;
        add_change(s, at, i, drift_sigma * pace);
        add_change(s, at, CAMERA + i, seen_drift * pace);
    }
    for (int k = 0; k < TURNS; k++)
        for (int i = 0; i < 3; i++) add_scalar(s, at, 3 + 3 * k + i, D[3 + 3 * k + i], turn_sigma(&s->f[at], k));
}

static void build(piece *s) {
    size_t rows = (size_t)s->frames * N;
    point calm[3][CALM] = {0}, feet[2][GV_FEET] = {0};
    memset(s->A, 0, rows * (BAND + 1) * sizeof *s->A);
    memset(s->b, 0, rows * sizeof *s->b);
    for (int at = BEFORE - 1; at < BEFORE + s->frames; at++) { // calm[2], feet[1] are of frame at
        memmove(calm[0], calm[1], 2 * sizeof calm[0]);
        memmove(feet[0], feet[1], sizeof feet[0]);
        if (s->first + at - BEFORE < 0) continue;
        for (int c = 0; c < CALM; c++) differentiate(&calm[2][c], &s->f[at], calm_joints[c]);
        for (int f = 0; f < GV_FEET; f++) differentiate(&feet[1][f], &s->f[at], gv_foot_joints[f]);
        if (at < BEFORE) continue;
        add_feet(s, at, feet);
        add_picture(s, at);
        add_prior(s, at);
        int t = s->first + at - BEFORE;
        if (t >= 2) add_calm(s, at - 1, calm); // frames that are held fast need no derivatives
    }
}

// ---- pieces

// Keypoints are known to about a pixel, so that who is small in the picture trembles more.
double gv_settle_coarseness(const gv_motion *m, int t) {
    const double z = m->joints_incam[3 * J * (size_t)t + 2], f = m->K[9 * (size_t)t];
    return f > 0 && z > 0 ? fmax(fmin(z / f, largest_pixel) - fine_pixel, 0) : 0;
}

// Accelerations of the path smoothed over time, and how much each counts.
static void smooth_targets(target out[CALM], const gv_motion *m, int t, double calm) {
    int L = m->frames;
    if (t < 1 || t + 1 >= L) return;
    double h0 = m->time_sec[t] - m->time_sec[t - 1], h1 = m->time_sec[t + 1] - m->time_sec[t];
    const double coarse = calm_per_m * gv_settle_coarseness(m, t);
    for (int c = 0; c < CALM; c++) {
        const double sec = calm * (calm_sec + (calm_joints[c] < 18 ? coarse : arm_share * coarse));
        const double sigma = fmax(sec * 2 / (h0 + h1), 0.3); // frames
        const int radius = (int)ceil(3 * sigma);
        double mean[3][3] = {{0}};
        for (int k = -1; k <= 1; k++) {
            double total = 0;
            for (int u = -radius; u <= radius; u++) {
                int at_u = t + k + u < 0 ? 0 : t + k + u >= L ? L - 1 : t + k + u;
                double w = exp(-0.5 * u * u / (sigma * sigma));
                const float *p = m->joints_world + 3 * ((size_t)at_u * J + calm_joints[c]);
                for (int i = 0; i < 3; i++) mean[k + 1][i] += w * p[i];
                total += w;
            }
            for (int i = 0; i < 3; i++) mean[k + 1][i] /= total;
        }
        double pull[3];
        for (int i = 0; i < 3; i++) {
            pull[i] = 2 / (h0 + h1) * ((mean[2][i] - mean[1][i]) / h1 - (mean[1][i] - mean[0][i]) / h0);
            out[c].pull[i] = (float)pull[i];
        }
        double fast = sqrt(gv_dot3(pull, pull)) / swing, spread = calm_sigma * (1 + fast * fast);
        out[c].weight = (float)(1 / (spread * spread));
    }
}

static void load(piece *s, int at) {
    frame *f = &s->f[at];
    const gv_motion *m = s->m;
    size_t t = (size_t)(s->first + at - BEFORE);
    for (int side = 0; side < 2; side++)
        f->swift[side] = gv_swing(m->kp2d, m->bbx_xys, m->time_sec, m->frames, (int)t, side);
    double camera[9];
    memset(f->D, 0, sizeof f->D);
    for (int j = 0; j < J; j++) {
        const float *aa = j ? m->body_pose + 63 * t + 3 * (j - 1) : m->global_orient + 3 * t;
        gv_so3_exp(f->local[j], (double[]){(double)aa[0], (double)aa[1], (double)aa[2]});
    }
    const float *aa = m->global_orient_incam + 3 * t;
    gv_so3_exp(camera, (double[]){(double)aa[0], (double)aa[1], (double)aa[2]});
    gv_so3_mul_nt(f->to_camera, camera, f->local[0]);
    for (int i = 0; i < 3; i++) {
        f->root[i] = (double)m->transl[3 * t + i] + s->S[0][i];
        f->seen[i] = (double)m->transl_incam[3 * t + i] + s->S[0][i];
    }
    forward(f, s->S);
}

static void store(const piece *s, int at) {
    const frame *f = &s->f[at];
    gv_motion *m = s->m;
    size_t t = (size_t)(s->first + at - BEFORE);
    double aa[3], camera[9], in_camera[3], out[3];
    for (int j = 0; j < J; j++) {
        float *to = j ? m->body_pose + 63 * t + 3 * (j - 1) : m->global_orient + 3 * t;
        gv_so3_log(aa, f->local[j]);
        for (int i = 0; i < 3; i++) to[i] = (float)aa[i];
        for (int i = 0; i < 3; i++) in_camera[i] = f->P[j][i] - f->P[0][i];
        gv_so3_apply(out, f->to_camera, in_camera);
        for (int i = 0; i < 3; i++) {
            m->joints_world[3 * (t * J + j) + i] = (float)f->P[j][i];
            m->joints_incam[3 * (t * J + j) + i] = (float)(out[i] + f->seen[i]);
        }
    }
    gv_so3_mul(camera, f->to_camera, f->local[0]);
    gv_so3_log(aa, camera);
    for (int i = 0; i < 3; i++) {
        m->global_orient_incam[3 * t + i] = (float)aa[i];
        m->transl[3 * t + i] = (float)(f->root[i] - s->S[0][i]);
        m->transl_incam[3 * t + i] = (float)(f->seen[i] - s->S[0][i]);
    }
}

static bool step(piece *s) {
    int n = s->frames * N;
    build(s);
    if (!gv_cholesky_banded(s->A, n, BAND)) return false;
    gv_cholesky_banded_solve(s->A, n, BAND, s->b);
    for (int i = 0; i < n; i++)
        if (!isfinite(s->b[i])) return false;
    for (int at = BEFORE; at < BEFORE + s->frames; at++) {
        frame *f = &s->f[at];
        double *d = s->b + (long)(at - BEFORE) * N;
        for (int u = 0; u < N; u++) {
            d[u] = fmin(fmax(d[u], -largest_step), largest_step);
            f->D[u] += d[u];
        }
        for (int i = 0; i < 3; i++) f->root[i] += d[i], f->seen[i] += d[CAMERA + i];
        for (int k = 0; k < TURNS; k++) {
            double turn[9], R[9];
            gv_so3_exp(turn, d + 3 + 3 * k);
            gv_so3_mul(R, f->local[turns[k].joint], turn);
            memcpy(f->local[turns[k].joint], R, sizeof R);
        }
        forward(f, s->S);
    }
    return true;
}

// COCO-17, and where the body has feet their heels and toes.
static gv_points *points_of(const gv_body *body, int *n) {
    *n = COCO;
    if (!body->coco17) return NULL;
    const size_t V = (size_t)body->vertices;
    float *rows = gv_calloc2(V, POINTS * sizeof *rows);
    if (!rows) return NULL;
    memcpy(rows, body->coco17, COCO * V * sizeof *rows);
    if (gv_body_feet_rows(rows + COCO * V, body)) *n = POINTS;
    gv_points *p = gv_points_create(body, rows, *n);
    free(rows);
    return p;
}

gv_status gv_settle_solve(gv_motion *m, const gv_body *body, const double sole[GV_FEET], double calm,
                          const gv_listener *listener, gv_error *err) {
    int most = m->frames < PIECE + AHEAD ? m->frames : PIECE + AHEAD;
    piece s = {.m = m, .sole = sole};
    float S[3 * J];
    gv_body_rest_joints(S, body, m->betas, J);
    for (int i = 0; i < 3 * J; i++) s.S[i / 3][i % 3] = (double)S[i];
    gv_points *points = points_of(body, &s.npoints);
    s.points = points;
    s.f = gv_calloc2((size_t)(BEFORE + most), sizeof *s.f);
    s.A = gv_calloc2((size_t)most * N, (BAND + 1) * sizeof *s.A);
    s.b = gv_calloc2((size_t)most * N, sizeof *s.b);
    target *targets = gv_calloc2((size_t)m->frames, CALM * sizeof *targets);
    gv_status status = GV_OK;
    if (!targets || !s.f || !s.A || !s.b || (body->coco17 && !points)) {
        status = gv_fail(err, GV_ERR_MEMORY, "no memory to settle %d frames", m->frames);
        goto done;
    }
#pragma omp parallel for schedule(static)
    for (int t = 0; t < m->frames; t++) smooth_targets(targets + (size_t)CALM * t, m, t, calm);
    for (s.first = 0; s.first < m->frames; s.first += PIECE) {
        if ((status = gv_go_on(listener, err)) != GV_OK) break;
        s.frames = m->frames - s.first < most ? m->frames - s.first : most;
        bool whole = s.first + s.frames == m->frames;
        double last[N] = {0}; // shifts go on from the piece before
        if (s.first > 0) memcpy(last, s.f[BEFORE + PIECE - 1].D, sizeof last);
        for (int at = 0; at < BEFORE + s.frames; at++) {
            if (s.first + at < BEFORE) continue;
            load(&s, at);
            s.f[at].target = targets + (size_t)CALM * (s.first + at - BEFORE);
            for (int u = 0; u < N; u++) {
                bool shift = u < 3 || u >= CAMERA;
                if (!shift || s.first == 0) continue;
                s.f[at].D[u] = last[u];
                if (at >= BEFORE && u < 3) s.f[at].root[u] += last[u];
                if (at >= BEFORE && u >= CAMERA) s.f[at].seen[u - CAMERA] += last[u];
            }
            forward(&s.f[at], s.S);
        }
        for (int round = 0; round < ROUNDS; round++)
            if (!step(&s)) break;
        int keep = whole ? s.frames : PIECE;
        for (int at = BEFORE; at < BEFORE + keep; at++) store(&s, at);
        if (whole) break;
    }
done:
    gv_points_destroy(points);
    free(targets);
    free(s.f);
    free(s.A);
    free(s.b);
    return status;
}
