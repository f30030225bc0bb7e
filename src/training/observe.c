// observe.c - a placed motion seen by a camera: targets, boxes, noisy keypoints, network inputs.
#include "geometry/rotation.h"
#include "motion/chain.h"
#include "network/inputs.h"
#include "network/statistics.h"
#include "training/cameras.h"
#include "training/sample.h"
#include "training/sequence.h"

#include <math.h>
#include <string.h>

// The keypoint estimator's errors, in the proportions that BlazePose (full) shows on ../shared/data/videos: what lasts
// the whole sequence (0.1 m times this, in space), what trembles from frame to frame and what drifts (parts of the box,
// in the picture), how often and how far a point is altogether elsewhere (SPEC.md 14.3.3's shape, a third as often).
GV_TABLE float bias[C] = {0.2f,  0.15f, 0.15f, 0.15f, 0.15f, 0.25f, 0.25f, 0.2f, 0.2f,
                          0.25f, 0.25f, 0.25f, 0.25f, 0.2f,  0.2f,  0.25f, 0.25f};
GV_TABLE float tremble[C] = {1, 0.9f, 0.9f, 0.8f, 0.8f, 1, 1, 1.7f, 1.7f, 3, 3, 1.2f, 1.2f, 1.3f, 1.3f, 1.6f, 1.6f};
GV_TABLE float drift[C] = {1, 1, 1, 1, 1, 1, 1, 1.3f, 1.3f, 1.7f, 1.7f, 1, 1, 1, 1, 1.4f, 1.4f};
GV_TABLE float peak[C] = {0.08f, 0.08f, 0.08f, 0.08f, 0.08f, 0.15f, 0.15f, 0.25f, 0.25f,
                          0.4f,  0.4f,  0.08f, 0.08f, 0.3f,  0.3f,  0.4f,  0.4f};
GV_TABLE float pmask[C] = {0.05f, 0.05f, 0.05f, 0.05f, 0.05f, 0.1f, 0.1f, 0.2f, 0.2f,
                           0.3f,  0.3f,  0.1f,  0.1f,  0.2f,  0.2f, 0.3f, 0.3f};
GV_TABLE int seen_with[C][2] = {{5, 6}, {0, 0}, {0, 0},   {1, 1},   {2, 2},   {5, 5},   {6, 6},   {5, 5},  {6, 6},
                                {7, 7}, {8, 8}, {11, 11}, {12, 12}, {11, 11}, {12, 12}, {13, 13}, {14, 14}};
GV_TABLE int other_side[C] = {0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15};

typedef struct view { // one sequence being observed
    gv_batch *b;
    gv_sequence *m;
    const gv_sampler *s;
    gv_rng *r;
    int64_t row;            // first frame's index in the batch
    int L;                  // valid frames
    float fx, cx, cy, told; // true focal length and the one that the network is told, px
} view;

GV_PART void place_camera(view *v) {
    const gv_sample_options *o = &v->s->options;
    double half = 500, f = 1415; // a 1000 px square image; the diagonal, which is also the default guess
    if (gv_chance(v->r, 0.5)) f *= exp(gv_uniform(v->r, log(0.5), log(1.6)));
    v->fx = (float)f;
    v->cx = v->cy = (float)half;
    v->told = v->fx;
    if (gv_chance(v->r, o->wrong_focal)) v->told *= (float)exp(fmax(-0.5, fmin(0.55, 0.25 * gv_normal(v->r))));
    gv_camera_kind kind = gv_chance(v->r, o->surveillance) ? GV_CAMERA_SURVEILLANCE : GV_CAMERA_MIXED;
    if (o->camera != GV_SAMPLE_ANY) kind = o->camera == GV_SAMPLE_MOVING ? GV_CAMERA_MOVING : GV_CAMERA_STATIC;
    double placed = gv_chance(v->r, 0.5) ? 784.46 : f; // SPEC.md 14.6 places with a 24 mm lens whatever K is
    double askew = !o->plain && gv_chance(v->r, o->askew) ? PI / 9 * gv_normal(v->r) : 0;
    gv_camera_path(v->m->R[0], v->m->t[0], v->r, kind, v->m->joints[0][0], v->L, (float)(placed / half), askew);
}

GV_PART void gravity_view(float R_gv[9], const float R_w2c[9], const float R_c[9]) {
    float y[3] = {-R_w2c[1], -R_w2c[4], -R_w2c[7]}, G[9]; // gravity (0, -1, 0) in the camera
    float x[3] = {y[1], -y[0], 0}, n = sqrtf(x[0] * x[0] + x[1] * x[1]);
    for (int c = 0; c < 3; c++) x[c] = n < 1e-5f ? (c == 0) : x[c] / (n + 1e-5f);
    float z[3] = {x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]};
    memcpy(G, x, sizeof x);
    memcpy(G + 3, y, sizeof y);
    memcpy(G + 6, z, sizeof z);
    gv_mat3_mul(R_gv, G, R_c);
}

GV_PART void still_labels(view *v, int t) {
    static const int joint[6] = {7, 10, 8, 11, 20, 21};
    int a = t + 1 < v->L ? t : v->L - 2;
    for (int k = 0; k < 6; k++) {
        float d = 0;
        for (int c = 0; c < 3 && a >= 0; c++) {
            float e = v->m->joints[a + 1][joint[k]][c] - v->m->joints[a][joint[k]][c];
            d += e * e;
        }
        v->b->y.still[(v->row + t) * 6 + k] = sqrtf(d) / 0.033f < 0.15f;
    }
}

// The 151 targets, SPEC.md 14.1, and every point in the camera.
GV_PART void targets(view *v, int t, const gv_rig_pose *rest) {
    gv_targets *y = &v->b->y;
    gv_sequence *m = v->m;
    int64_t at = v->row + t;
    gv_rig_pose p = *rest;
    float x[GV_PRED_X], R_gv[9], o[3], move[3];
    for (int j = 1; j < J; j++) {
        gv_rot_from_quat(p.local[j], m->q[t][j]);
        gv_rot_to_6d(x + GV_X_POSE + 6 * (j - 1), p.local[j]);
    }
    gv_mat3_mul(p.local[0], v->m->R[t], m->R_w[t]);
    gv_rig_fk(&p);
    memcpy(x + GV_X_BETAS, m->betas, sizeof m->betas);
    gv_rot_to_6d(x + GV_X_ORIENT_C, p.local[0]);
    gravity_view(R_gv, v->m->R[t], p.local[0]);
    gv_rot_to_6d(x + GV_X_ORIENT_GV, R_gv);
    int k = t + 1 < v->L ? t : v->L - 2;
    if (v->s->options.chained) gv_chain_turn(x + GV_X_ORIENT_GV, m->R_w[k < 0 ? 0 : k], m->R_w[k + 1]);
    for (int c = 0; c < 3; c++) move[c] = k >= 0 ? m->transl[k + 1][c] - m->transl[k][c] : 0;
    gv_mat3_apply_t(x + GV_X_VELOCITY, m->R_w[t], move);
    for (int i = 0; i < GV_PRED_X; i++) y->x[at * GV_PRED_X + i] = (x[i] - gv_pred_x_mean[i]) / gv_pred_x_std[i];

    float *transl = y->transl_c + 3 * at; // t_c = R (t_w + o) + t - o
    for (int c = 0; c < 3; c++) o[c] = m->transl[t][c] + p.S[0][c];
    gv_mat3_apply(transl, v->m->R[t], o);
    for (int c = 0; c < 3; c++) transl[c] += v->m->t[t][c] - p.S[0][c];
    gv_rig_place(y->coco + at * C * 3, &v->s->rig->coco, &p);
    gv_rig_place(y->verts + at * y->surface * 3, &v->s->rig->surface, &p);
    memcpy(y->joints + at * J * 3, p.t, sizeof p.t);
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < C; i++) y->coco[(at * C + i) * 3 + c] += transl[c];
        for (int i = 0; i < y->surface; i++) y->verts[(at * y->surface + i) * 3 + c] += transl[c];
        for (int j = 0; j < J; j++) y->joints[(at * J + j) * 3 + c] += transl[c];
    }
    memcpy(y->R_w + 9 * at, m->R_w[t], sizeof(float[9]));
    memcpy(y->transl_w + 3 * at, m->transl[t], sizeof(float[3]));
    memcpy(v->b->joints_w + at * J * 3, m->joints[t], sizeof m->joints[t]);
    memcpy(v->b->R_w2c + 9 * at, v->m->R[t], sizeof(float[9]));
    const float K[4] = {v->fx, v->fx, v->cx, v->cy};
    memcpy(y->K + 4 * at, K, sizeof K);
    still_labels(v, t);
}

GV_PART void project(float uv[2], const view *v, const float x[3]) {
    float z = x[2] > 0.3f ? x[2] : 0.3f;
    uv[0] = v->fx * x[0] / z + v->cx;
    uv[1] = v->fx * x[1] / z + v->cy;
}

GV_PART void extents(view *v, int t) {
    const gv_targets *y = &v->b->y;
    const int64_t at = v->row + t;
    float lo[2] = {1e9f, 1e9f}, hi[2] = {-1e9f, -1e9f}, uv[2];
    for (int i = 0; i < y->surface + C; i++) {
        project(uv, v, i < C ? y->coco + (at * C + i) * 3 : y->verts + (at * y->surface + i - C) * 3);
        for (int c = 0; c < 2; c++) {
            lo[c] = fminf(lo[c], uv[c]);
            hi[c] = fmaxf(hi[c], uv[c]);
        }
    }
    for (int c = 0; c < 2; c++) {
        v->m->extent[t][c] = lo[c];
        v->m->extent[t][2 + c] = hi[c];
    }
}

// Box of the surface points, squared up to the 1.2 of SPEC.md 12.1 (the raw size), loosened and shifted. Mostly as the
// project's own tracker draws it (measured: 1.31 times the raw size, its centre within 2 % of it, both smooth); for the
// rest as 14.3.2 says, for the whole sequence with a slow drift or afresh in every frame.
GV_PART void boxes(view *v) {
    double way = gv_uniform01(v->r), spread = way < 0.65 ? 0.06 : 0.8, k = gv_uniform(v->r, 1.05, 1.35);
    if (way < 0.65) k = 1.31 + 0.05 * gv_normal(v->r);
    double ax = gv_uniform(v->r, -spread, spread), ay = gv_uniform(v->r, -spread, spread);
    for (int t = 0; t < v->L; t++) {
        if (way < 0.9) {
            double step = way < 0.65 ? 0.003 : 0.01;
            k = fmax(1.0, fmin(1.45, k + step * gv_normal(v->r)));
            ax = fmax(-0.8, fmin(0.8, ax + 3 * step * gv_normal(v->r)));
            ay = fmax(-0.8, fmin(0.8, ay + 3 * step * gv_normal(v->r)));
        } else {
            k = gv_uniform(v->r, 1.05, 1.35);
            ax = gv_uniform(v->r, -0.8, 0.8);
            ay = gv_uniform(v->r, -0.8, 0.8);
        }
        if (!gv_team_has(t)) continue;
        const float *lo = v->m->extent[t], *hi = lo + 2;
        double w = hi[0] - lo[0], h = hi[1] - lo[1], side = fmax(h, w / 0.75);
        float *box = v->b->y.box + 3 * (v->row + t);
        box[0] = (float)((lo[0] + hi[0]) / 2 + side / 2 * (k - 1) * ax);
        box[1] = (float)((lo[1] + hi[1]) / 2 + side / 2 * (k - 1) * ay);
        box[2] = (float)(k * side);
    }
    GV_MEET();
}

typedef struct noise {            // one sequence's
    double tremble, drift, rho;   // parts of the box; correlation of the drift from frame to frame
    float fixed[C][3], peaked[3]; // m
    int guessed, from, to;        // a joint and those beyond it that are out of sight, yet reported as seen
} noise;

GV_PART void draw_noise(noise *n, const view *v) {
    double scale = v->s->options.noise * exp(gv_uniform(v->r, log(0.5), log(2.0)));
    n->tremble = scale * 0.0018;
    n->drift = scale * exp(gv_uniform(v->r, log(0.002), log(0.009)));
    n->rho = gv_uniform(v->r, 0.7, 0.97);
    for (int i = 0; i < C; i++)
        for (int c = 0; c < 3; c++) n->fixed[i][c] = (float)(v->s->options.noise * 0.1 * bias[i] * gv_normal(v->r));
    for (int c = 0; c < 3; c++) n->peaked[c] = (float)(scale * 0.3 * gv_normal(v->r));
    static const int limb[6] = {7, 8, 9, 10, 13, 14};
    n->guessed = limb[gv_randint(v->r, 0, 6)];
    n->from = gv_chance(v->r, 0.4) ? gv_randint(v->r, 0, v->L) : v->L;
    n->to = n->from + gv_randint(v->r, 8, 70);
}

// One keypoint in all frames: what drifts goes on from frame to frame.
GV_PART void keypoint(view *v, const noise *n, int i) {
    const gv_targets *y = &v->b->y;
    float lasting[2] = {0, 0}; // unit variance
    for (int t = 0; t < v->L; t++) {
        gv_rng r = gv_rng_after(v->r, 9 * (t * C + i));
        const float *x = y->coco + ((v->row + t) * C + i) * 3;
        float p[3], side = y->box[3 * (v->row + t) + 2];
        bool far_off = gv_uniform01(&r) * pmask[i] < 0.0017,
             guessed = t >= n->from && t < n->to && (i == n->guessed || (i == n->guessed + 2 && i != 15 && i != 16));
        for (int c = 0; c < 3; c++) p[c] = x[c] + n->fixed[i][c] + (far_off ? peak[i] * n->peaked[c] : 0);
        project(v->m->kp[t][i], v, p);
        v->m->seen[t][i] = p[2] > 0.3f;
        for (int c = 0; c < 2; c++) {
            double a = gv_normal(&r), e = n->tremble * tremble[i] * gv_normal(&r);
            lasting[c] = (float)(t ? n->rho * lasting[c] + sqrt(1 - n->rho * n->rho) * a : a);
            e += (n->drift * drift[i] + (guessed ? 0.03 * v->s->options.noise : 0)) * lasting[c];
            v->m->kp[t][i][c] += (float)e * side;
        }
    }
}

GV_PART void keypoints(view *v) {
    noise n;
    draw_noise(&n, v);
    GV_EACH(i, C) keypoint(v, &n, i);
    *v->r = gv_rng_after(v->r, 9 * v->L * C);
    GV_MEET();
}

GV_PART void hide_span(view *v, const int *joints, int n, int from, int count) {
    for (int t = from; t < from + count && t < v->L; t++)
        for (int k = 0; k < n && gv_team_has(t); k++) v->m->seen[t][joints[k]] = false;
}

// For a burst of frames the estimator takes left for right: the legs, or everything.
GV_PART void swap_sides(view *v, int first_joint, int from, int count) {
    for (int t = from; t < from + count && t < v->L; t++) {
        if (!gv_team_has(t)) continue;
        if (first_joint == 1) v->m->turned[t] ^= true;
        for (int i = first_joint; i < C; i++) {
            int k = other_side[i];
            if (k <= i) continue;
            for (int c = 0; c < 2; c++) {
                float u = v->m->kp[t][i][c];
                v->m->kp[t][i][c] = v->m->kp[t][k][c];
                v->m->kp[t][k][c] = u;
            }
            bool s = v->m->seen[t][i];
            v->m->seen[t][i] = v->m->seen[t][k];
            v->m->seen[t][k] = s;
        }
    }
}

// ---- the estimator's guess in space ----

// The rotation that carries the direction to the person a share of the way onto the camera's axis: the estimator sees
// a crop and does not know where in the picture it was.
GV_PART void towards_axis(float R[9], const float hip[3], double share) {
    double n = sqrt((double)hip[0] * hip[0] + (double)hip[1] * hip[1]), angle = atan2(n, (double)hip[2]) * share;
    float aa[3] = {0};
    if (n > 1e-6) { // axis: hip x (0, 0, 1)
        aa[0] = (float)(hip[1] / n * angle);
        aa[1] = (float)(-hip[0] / n * angle);
    }
    gv_rot_from_aa(R, aa);
}

// Rotational error of each joint's limb, rad: the estimator keeps limbs' lengths, and errs in how far they point
// towards the camera or away from it.
GV_TABLE float misjudged[J] = {0,     0.16f, 0.16f, 0.06f, 0.20f, 0.20f, 0.05f, 0.20f, 0.20f, 0.05f, 0.10f,
                               0.10f, 0.15f, 0.08f, 0.08f, 0.15f, 0.26f, 0.26f, 0.34f, 0.34f, 0.20f, 0.20f};

typedef struct guess {                                   // one sequence's habits of the estimator
    double share, depth, rho, tremble, error, arm, shin; // arm, shin: lengths, of the true ones
    float fixed[J][3], lean[3], offset[C][3];
    int limb, flip_from, flip_to; // a forearm or shin whose depth is mirrored at elbow or knee
} guess;

GV_PART void draw_guess(guess *g, gv_rng *r, double scale, int L) {
    static const double lean[3] = {0.13, 0.14, 0.04}; // rad: forwards, about the vertical, sideways
    g->share = gv_uniform(r, 0, 1);
    g->depth = gv_uniform(r, 0.75, 1.1);
    g->rho = gv_uniform(r, 0.9, 0.985);
    g->tremble = scale * 0.003 * exp(gv_uniform(r, log(0.5), log(2.0)));
    g->error = scale * exp(gv_uniform(r, log(0.5), log(1.6)));
    g->arm = gv_uniform(r, 0.78, 1.02);
    g->shin = gv_uniform(r, 0.85, 1.02);
    g->limb = gv_randint(r, 0, 4);
    for (int c = 0; c < 3; c++) g->lean[c] = (float)(g->error * lean[c] * gv_normal(r));
    for (int j = 0; j < J; j++)
        for (int c = 0; c < 3; c++) g->fixed[j][c] = (float)gv_normal(r);
    for (int i = 0; i < C; i++)
        for (int c = 0; c < 3; c++) g->offset[i][c] = (float)(0.015 * g->error * gv_normal(r));
    g->flip_from = gv_chance(r, 0.25) ? gv_randint(r, 0, L) : L;
    g->flip_to = g->flip_from + gv_randint(r, 5, 60);
}

// Numbers drawn in a frame: for the errors of 21 joints, for the whole body's, for the points.
enum { GUESS_SWAY = 21 * 3 * 2, GUESS_POINTS = GUESS_SWAY + 3 * 2, GUESS_DRAWN = GUESS_POINTS + C * 3 * 2 };

// Axis c of a joint's error, or with joint 0 the body's, in all frames.
GV_PART void wander(view *v, const guess *g, int joint, int c) {
    double rho = joint ? g->rho : 0.97;
    float x = 0;
    for (int t = 0; t < v->L; t++) {
        gv_rng r = gv_rng_after(v->r, t * GUESS_DRAWN + 2 * c + (joint ? 6 * (joint - 1) : GUESS_SWAY));
        double n = gv_normal(&r);
        x = (float)(t ? rho * x + sqrt(1 - rho * rho) * n : n);
        v->m->wander[t][joint][c] = x;
    }
}

// The pose p with every limb turned away from where it is, in the camera's axes; less within the picture.
GV_PART void misjudge(gv_rig_pose *p, const guess *g, const float lasting[J][3]) {
    for (int j = 1; j < J; j++) {
        int k = gv_parents55[j];
        float aa[3], E[9], M[9], o[3];
        for (int c = 0; c < 3; c++) {
            aa[c] =
                (float)g->error * misjudged[j] * (c == 2 ? 0.3f : 1) * (0.7f * g->fixed[j][c] + 0.7f * lasting[j][c]);
        }
        gv_rot_from_aa(E, aa);
        gv_mat3_mul(M, p->R[k], p->local[j]);
        gv_mat3_mul(p->R[j], E, M);
        float length = (float)(j >= 18 ? g->arm : j == 7 || j == 8 ? g->shin : 1);
        for (int c = 0; c < 3; c++) o[c] = length * (p->S[j][c] - p->S[k][c]);
        gv_mat3_apply(p->t[j], p->R[k], o);
        for (int c = 0; c < 3; c++) p->t[j][c] += p->t[k][c];
    }
}

// The pose of frame t in the camera.
GV_PART void pose_of(gv_rig_pose *p, const view *v, const gv_rig_pose *rest, int t) {
    *p = *rest;
    for (int j = 1; j < J; j++) gv_rot_from_quat(p->local[j], v->m->q[t][j]);
    gv_mat3_mul(p->local[0], v->m->R[t], v->m->R_w[t]);
    memcpy(p->R[0], p->local[0], sizeof p->R[0]);
    memcpy(p->t[0], p->S[0], sizeof p->t[0]);
}

GV_PART void guess_frame(view *v, const guess *g, const gv_rig_pose *rest, int t) {
    static const int limbs[4][3] = {{7, 9, 9}, {8, 10, 10}, {13, 15, 15}, {14, 16, 16}};
    const float *x = v->b->y.coco + (v->row + t) * C * 3;
    gv_rig_pose p;
    gv_rng r = gv_rng_after(v->r, t * GUESS_DRAWN + GUESS_POINTS);
    float hip[3], R[9], T[9], M[9], aa[3], points[C * 3];
    pose_of(&p, v, rest, t);
    misjudge(&p, g, v->m->wander[t]);
    gv_rig_place(points, &v->s->rig->coco, &p);
    for (int c = 0; c < 3; c++) {
        hip[c] = 0.5f * (x[33 + c] + x[36 + c]);
        aa[c] = g->lean[c] + 0.05f * (float)g->error * (c == 2 ? 0.3f : 1) * v->m->wander[t][0][c];
    }
    towards_axis(R, hip, g->share);
    gv_rot_from_aa(T, aa);
    gv_mat3_mul(M, T, R);
    for (int i = 0; i < C; i++) {
        float at[3], *d = v->m->space[t][i];
        for (int c = 0; c < 3; c++) at[c] = points[3 * i + c] - 0.5f * (points[33 + c] + points[36 + c]);
        gv_mat3_apply(d, M, at);
        d[2] *= (float)g->depth;
        for (int c = 0; c < 3; c++)
            d[c] += g->offset[i][c] + (float)(g->tremble * fmin((double)tremble[i], 2.2) * (c == 2 ? 2.7 : 1) * gv_normal(&r));
    }
    if (t >= g->flip_from && t < g->flip_to) {
        const int *l = limbs[g->limb];
        v->m->space[t][l[1]][2] = 2 * v->m->space[t][l[0]][2] - v->m->space[t][l[1]][2];
    }
}

GV_PART void guess_points(view *v, const gv_rig_pose *rest) {
    const gv_sample_options *o = &v->s->options;
    guess g;
    bool any = gv_chance(v->r, o->points);
    GV_EACH(t, v->L) {
        memset(v->m->space[t], 0, sizeof v->m->space[t]);
        v->m->turned[t] = false;
    }
    if (!any) return;
    draw_guess(&g, v->r, o->noise, v->L);
    GV_EACH(k, 3 * J) wander(v, &g, k / 3, k % 3);
    GV_MEET();
    GV_EACH(t, v->L) guess_frame(v, &g, rest, t);
    *v->r = gv_rng_after(v->r, v->L * GUESS_DRAWN);
}

// Left for right, and what was near is far: the guess of somebody who faces the other way.
GV_PART void turn_guess(float p[C][3]) {
    float q[C][3];
    memcpy(q, p, sizeof q);
    for (int i = 0; i < C; i++) {
        memcpy(p[i], q[other_side[i]], sizeof p[i]);
        p[i][2] = -p[i][2];
    }
}

GV_PART void features(view *v, int t, bool dropped) {
    int64_t at = v->row + t;
    bool anybody = false;
    for (int i = 0; i < C; i++) anybody |= v->m->seen[t][i];
    float *f = v->b->images + at * GV_IMAGE_FEATURE;
    memset(f, 0, sizeof(float[3 * C]));
    if (dropped || !anybody) return;
    if (v->m->turned[t]) turn_guess(v->m->space[t]);
    gv_features_from_points(f, v->m->space[t][0]);
}

GV_PART void occlusions(view *v) {
    static const int legs[6] = {11, 12, 13, 14, 15, 16},
                     limbs[4][3] = {{7, 9, 9}, {8, 10, 10}, {13, 15, 15}, {14, 16, 16}};
    GV_EACH(t, v->L) {
        gv_rng mine = gv_rng_after(v->r, t * C);
        for (int i = 0; i < C; i++) {
            if (gv_chance(&mine, 0.02)) v->m->seen[t][i] = false;
            if (seen_with[i][0] != i && i != 5 && i != 6 && i != 11 && i != 12)
                v->m->seen[t][i] = v->m->seen[t][i] && v->m->seen[t][seen_with[i][0]] && v->m->seen[t][seen_with[i][1]];
        }
    }
    *v->r = gv_rng_after(v->r, v->L * C);
    if (gv_chance(v->r, 0.05)) {
        int n = gv_randint(v->r, 30, 90), from = gv_randint(v->r, 0, v->L - 90);
        hide_span(v, legs, 6, from, n);
    }
    if (gv_chance(v->r, 0.03)) hide_span(v, legs + 2, 4, 0, v->L); // cut at the knees all the time
    for (int k = 0; k < 3; k++)
        if (gv_chance(v->r, 0.2)) {
            int n = gv_randint(v->r, 4, 50), from = gv_randint(v->r, 0, v->L);
            hide_span(v, limbs[gv_randint(v->r, 0, 4)], 3, from, n);
        }
    if (gv_chance(v->r, 0.04)) { // nobody found for a while
        int from = gv_randint(v->r, 0, v->L), n = gv_randint(v->r, 2, 15);
        for (int t = from; t < from + n && t < v->L; t++)
            if (gv_team_has(t)) memset(v->m->seen[t], 0, sizeof v->m->seen[t]);
    }
    if (gv_chance(v->r, 0.12)) {
        int n = gv_randint(v->r, 1, 12);
        swap_sides(v, 11, gv_randint(v->r, 0, v->L), n);
    }
    if (gv_chance(v->r, 0.08)) {
        int n = gv_randint(v->r, 1, 40);
        swap_sides(v, 1, gv_randint(v->r, 0, v->L), n);
    }
}

// The picture's edge cuts the person: points beyond it are unseen, and the box is that of what is left.
GV_PART void cut_off(view *v) {
    gv_targets *y = &v->b->y;
    int side = gv_randint(v->r, 0, 4), axis = side & 1;
    const float *mid = y->box + 3 * (v->row + v->L / 2);
    float edge = mid[axis] + (side < 2 ? 1.0f : -1.0f) * mid[2] * (float)gv_uniform(v->r, 0.05, 0.4);
    GV_MEET(); // the box is read
    GV_EACH(t, v->L) {
        float *box = y->box + 3 * (v->row + t), lo = box[axis] - box[2] / 2, hi = box[axis] + box[2] / 2, rest[2],
              whole = box[2];
        for (int i = 0; i < C; i++)
            if (side < 2 ? v->m->kp[t][i][axis] > edge : v->m->kp[t][i][axis] < edge) v->m->seen[t][i] = false;
        if (side < 2)
            hi = fminf(hi, fmaxf(edge, lo + 0.3f * whole));
        else
            lo = fmaxf(lo, fminf(edge, hi - 0.3f * whole));
        rest[axis] = hi - lo;
        rest[1 - axis] = axis == 0 ? whole : 0.75f * whole; // a standing person's box is narrow
        box[axis] = (lo + hi) / 2;
        box[2] = fmaxf(rest[1], rest[0] / 0.75f);
        if (box[2] > whole) box[2] = whole;
    }
}

GV_PART void network_inputs(view *v) {
    static const float still[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    gv_batch *b = v->b;
    double drop = v->s->options.plain ? 0 : v->s->options.drop,
           wobble = gv_chance(v->r, 0.3) ? exp(gv_uniform(v->r, log(2e-4), log(4e-3))) : 0;
    GV_EACH(t, v->L) {
        gv_rng mine = gv_rng_after(v->r, t * 10);
        int64_t at = v->row + t;
        const float *box = b->y.box + 3 * at;
        float *obs = b->obs + at * C * 3, *cliff = b->cliff + at * 3, *a = b->angvel + at * 6, A[9], N[9], aa[3], d6[6];
        bool no_obs = gv_chance(&mine, drop), no_cliff = gv_chance(&mine, drop), no_camera = gv_chance(&mine, drop);
        features(v, t, gv_chance(&mine, drop));
        for (int i = 0; i < C; i++) {
            float u = 2 * (v->m->kp[t][i][0] - box[0]) / box[2], w = 2 * (v->m->kp[t][i][1] - box[1]) / box[2];
            bool on = v->m->seen[t][i] && fabsf(u) <= 1 && fabsf(w) <= 1 && !no_obs;
            float *kp = b->kp2d + (at * C + i) * 3;
            kp[0] = v->m->kp[t][i][0];
            kp[1] = v->m->kp[t][i][1];
            kp[2] = v->m->seen[t][i];
            obs[3 * i] = on ? u : 0;
            obs[3 * i + 1] = on ? w : 0;
            obs[3 * i + 2] = on;
        }
        const float c[3] = {(box[0] - v->cx) / v->told, (box[1] - v->cy) / v->told, box[2] / v->told};
        for (int k = 0; k < 3; k++) cliff[k] = no_cliff ? 0 : c[k];
        int from = t + 1 < v->L ? t : v->L - 2;
        if (from >= 0)
            gv_mat3_mul_nt(A, v->m->R[from + 1], v->m->R[from]);
        else
            memcpy(A, still, sizeof A);
        for (int k = 0; k < 3; k++) aa[k] = (float)(wobble * gv_normal(&mine));
        gv_rot_from_aa(N, aa);
        float M[9];
        gv_mat3_mul(M, N, A);
        gv_rot_to_6d(d6, M);
        for (int k = 0; k < 6; k++) a[k] = no_camera ? 0 : (d6[k] - gv_cam_angvel_mean[k]) / gv_cam_angvel_std[k];
    }
    *v->r = gv_rng_after(v->r, v->L * 10);
    GV_MEET();
}

// Rows beyond the valid frames repeat the last one's truth and see nothing.
GV_PART void pad(view *v) {
    gv_batch *b = v->b;
    struct {
        float *p;
        int n;
    } parts[] = {{b->kp2d, C * 3},
                 {b->R_w2c, 9},
                 {b->joints_w, J * 3},
                 {b->y.x, GV_PRED_X},
                 {b->y.joints, J * 3},
                 {b->y.coco, C * 3},
                 {b->y.verts, b->y.surface * 3},
                 {b->y.transl_c, 3},
                 {b->y.R_w, 9},
                 {b->y.transl_w, 3},
                 {b->y.still, 6},
                 {b->y.box, 3},
                 {b->y.K, 4},
                 {b->cliff, 3},
                 {b->angvel, 6}};
    const int64_t last = v->row + v->L - 1;
    GV_EACH(k, b->L - v->L) {
        const int64_t t = last + 1 + k;
        for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++)
            memcpy(parts[i].p + t * parts[i].n, parts[i].p + last * parts[i].n, sizeof(float) * (size_t)parts[i].n);
        memset(b->obs + t * C * 3, 0, sizeof(float[C * 3]));
        memset(b->images + t * GV_IMAGE_FEATURE, 0, sizeof(float[C * 3]));
    }
}

GV_SHARED void gv_sequence_observe(gv_batch *b, int row, gv_sequence *m, const gv_sampler *s, gv_rng *r) {
    view w, *v = &w;
    v->b = b;
    v->m = m;
    v->s = s;
    v->r = r;
    v->row = (int64_t)row * b->L;
    v->L = m->frames;
    GV_EACH(at, 1) {
        b->length[row + at] = m->frames;
        b->incam_only[row + at] = m->incam_only != 0;
    }
    gv_rig_pose rest;
    gv_rig_shape(&rest, s->rig, m->betas);
    place_camera(v);
    GV_EACH(t, v->L) {
        targets(v, t, &rest);
        extents(v, t);
    }
    GV_MEET();
    boxes(v);
    keypoints(v);
    guess_points(v, &rest);
    occlusions(v);
    if (gv_chance(r, 0.10)) cut_off(v);
    network_inputs(v);
    pad(v);
}

GV_SHARED void gv_sequence_make(gv_batch *b, int row, gv_sequence *m, const gv_sampler *s, gv_rng *r) {
    gv_sequence_draw(m, s, r, b->L);
    gv_sequence_place(m, s->rig, r);
    gv_sequence_observe(b, row, m, s, r);
}
