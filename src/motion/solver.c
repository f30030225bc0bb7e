#include "motion/solver.h"

#include "motion/decode.h"
#include "motion/kinematics.h"
#include "motion/postprocess.h"
#include "motion/smoothing.h"
#include "motion/world.h"
#include "network/statistics.h"

#include <math.h>
#include <string.h>

const int gv_static_joint_ids[6] = {7, 10, 8, 11, 20, 21};

enum { PIECE = 512, J = 22 }; // frames whose bodies are worked off at once

typedef struct piece { // of frames first .. last-1
    int first, last;
    double *pose, *solved;              // [PIECE, 63]
    double *joints_w, *joints_c;        // [PIECE, 22, 3]
    double *targets;                    // [PIECE, 6, 3]
    double before[3 * GV_STILL_JOINTS]; // targets of the frame before
} piece;

typedef struct wanted { // an array of some doubles a frame
    double **array;
    size_t width;
} wanted;

static bool take(gv_arena *a, const wanted *w, size_t count, int frames) {
    for (size_t i = 0; i < count; i++)
        if (!(*w[i].array = gv_arena_alloc(a, (size_t)frames, w[i].width * sizeof(double)))) return false;
    return true;
}

#define TAKE(arena, list, frames) take(arena, list, sizeof(list) / sizeof *(list), frames)

static gv_status allocate(gv_solution *s, piece *p, double **scratch, gv_arena *a, const gv_solver_input *in,
                          gv_error *err) {
    const wanted always[] = {{&s->orient_c, 3}, {&s->orient_gv, 3}, {&s->velocity, 3}, {&s->transl_c, 3},
                             {&s->orient_w, 3}, {&s->transl_w, 3},  {&s->transl, 3},   {&s->still, 3 * GV_STILL_JOINTS},
                             {&s->low, 1},      {&s->root_w, 3},    {&s->root_c, 3},   {scratch, 10}};
    const wanted stages[] = {{&s->body_pose, 63}, {&s->joints_w, 66}, {&s->joints_c, 66}, {&s->ik_target, 18}};
    const wanted work[] = {{&p->pose, 63}, {&p->solved, 63}, {&p->joints_w, 66}, {&p->joints_c, 66}, {&p->targets, 18}};
    *s = (gv_solution){.frames = in->frames};
    *p = (piece){0};
    if (TAKE(a, always, in->frames) && (!in->keep_stages || TAKE(a, stages, in->frames)) && TAKE(a, work, PIECE))
        return GV_OK;
    return gv_fail(err, GV_ERR_MEMORY, "out of memory for the motion of %d frames", in->frames);
}

// The root, and the body's shape, which is the same in every frame.
static void decode(gv_solution *s, const gv_solver_input *in) {
#pragma omp parallel for schedule(static) if (s->frames >= GV_PARALLEL_FROM)
    for (int t = 0; t < s->frames; t++) {
        const float *x = in->pred_x + (size_t)t * GV_PRED_X;
        gv_decode_aa(s->orient_c + 3 * (size_t)t, x, GV_X_ORIENT_C);
        gv_decode_aa(s->orient_gv + 3 * (size_t)t, x, GV_X_ORIENT_GV);
        gv_decode_block(s->velocity + 3 * (size_t)t, x, GV_X_VELOCITY, 3);
        gv_decode_place(s->transl_c + 3 * (size_t)t, in->pred_cam + 3 * (size_t)t, in->bbx_xys + 3 * (size_t)t,
                        in->K + 9 * (size_t)t);
    }
    gv_decode_block(s->betas, in->pred_x, GV_X_BETAS, 10);
    gv_decode_rest(s->rest, in->body, s->betas);
}

static void decode_pose(piece *p, const float *pred_x) {
#pragma omp parallel for schedule(static) if (p->last - p->first >= GV_PARALLEL_FROM)
    for (int t = p->first; t < p->last; t++)
        for (int j = 0; j < 21; j++)
            gv_decode_aa(p->pose + 63 * (size_t)(t - p->first) + 3 * j, pred_x + (size_t)t * GV_PRED_X,
                         GV_X_POSE + 6 * j);
}

static bool next_piece(piece *p, int frames) {
    p->first = p->last;
    p->last = p->first + PIECE < frames ? p->first + PIECE : frames;
    return p->first < frames;
}

static void keep(double *stage, const piece *p, const double *values, size_t width) {
    if (stage) memcpy(stage + width * (size_t)p->first, values, width * (size_t)(p->last - p->first) * sizeof *stage);
}

// What the post-processing needs of a piece's joints.
static void note_joints(gv_solution *s, const piece *p) {
    for (int t = p->first; t < p->last; t++) {
        size_t at = (size_t)(t - p->first) * 3 * J, u = (size_t)t;
        for (int k = 0; k < GV_STILL_JOINTS; k++)
            memcpy(s->still + 3 * (GV_STILL_JOINTS * u + k), p->joints_w + at + 3 * gv_static_joint_ids[k],
                   3 * sizeof *s->still);
        s->low[t] = INFINITY;
        for (int j = 0; j < J; j++) s->low[t] = fmin(s->low[t], p->joints_w[at + 3 * j + 1]);
        memcpy(s->root_w + 3 * u, p->joints_w + at, 3 * sizeof *s->root_w);
        memcpy(s->root_c + 3 * u, p->joints_c + at, 3 * sizeof *s->root_c);
    }
}

static void pose_pieces(gv_solution *s, piece *p, const float *pred_x) {
    for (p->last = 0; next_piece(p, s->frames);) {
        size_t at = 3 * (size_t)p->first;
        int n = p->last - p->first;
        decode_pose(p, pred_x);
        gv_fk_joints(p->joints_w, s->rest, p->pose, s->orient_w + at, s->transl_w + at, n);
        gv_fk_joints(p->joints_c, s->rest, p->pose, s->orient_c + at, s->transl_c + at, n);
        note_joints(s, p);
        keep(s->body_pose, p, p->pose, 63);
        keep(s->joints_w, p, p->joints_w, 66);
        keep(s->joints_c, p, p->joints_c, 66);
    }
}

static void lock_pieces(gv_solution *s, piece *p, const gv_solver_input *in) {
    for (p->last = 0; next_piece(p, s->frames);) {
        size_t at = 3 * (size_t)p->first;
        int n = p->last - p->first;
        decode_pose(p, in->pred_x);
        gv_lock_targets(p->targets, p->before, s, in->static_conf_logits, p->first, p->last);
        keep(s->ik_target, p, p->targets, 3 * GV_STILL_JOINTS);
        gv_ik_solve(p->solved, s->rest, p->pose, s->orient_w + at, s->transl + at, p->targets, n);
        for (int i = 0; i < 63 * n; i++) in->final_pose[21 * at + i] = (float)p->solved[i];
    }
}

gv_status gv_solve(gv_solution *s, gv_arena *arena, const gv_solver_input *in, gv_error *err) {
    piece p;
    double *scratch;
    gv_status status = allocate(s, &p, &scratch, arena, in, err);
    if (status) return status;
    decode(s, in);
    gv_compose_world(s->orient_w, s->transl_w, s->orient_gv, s->orient_c, s->velocity, in->cam_angvel, in->frames,
                     scratch);
    pose_pieces(s, &p, in->pred_x);
    if (in->static_camera)
        gv_correct_static_camera(s, in->static_conf_logits, scratch);
    else
        gv_correct_moving_camera(s, in->static_conf_logits, scratch);
    lock_pieces(s, &p, in);
    return GV_OK;
}
