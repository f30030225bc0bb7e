#include "motion/solver.h"

#include "geometry/rotation.h"
#include "motion/kinematics.h"
#include "motion/postprocess.h"
#include "motion/smoothing.h"
#include "motion/world.h"
#include "network/statistics.h"

const int gv_static_joint_ids[6] = {7, 10, 8, 11, 20, 21};

static gv_status allocate(gv_solution *s, gv_arena *a, int frames, gv_error *err) {
    struct {
        double **array;
        size_t width;
    } const arrays[] = {{&s->body_pose, 63}, {&s->orient_c, 3}, {&s->orient_gv, 3},  {&s->velocity, 3},
                        {&s->transl_c, 3},   {&s->orient_w, 3}, {&s->transl_w, 3},   {&s->joints_w, 66},
                        {&s->joints_c, 66},  {&s->transl, 3},   {&s->ik_target, 18}, {&s->final_pose, 63}};
    *s = (gv_solution){.frames = frames};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i].array = gv_arena_alloc(a, (size_t)frames, arrays[i].width * sizeof(double));
        if (!*arrays[i].array) return gv_fail(err, GV_ERR_MEMORY, "out of memory for the motion of %d frames", frames);
    }
    return GV_OK;
}

static void aa_from_6d(double aa[3], const double d6[6]) {
    double R[9];
    gv_rotd_from_6d(R, d6);
    gv_rotd_to_aa(aa, R);
}

// SPEC.md 6
static void decode(gv_solution *s, const float *pred_x) {
#pragma omp parallel for schedule(static) if (s->frames >= GV_PARALLEL_FROM)
    for (int t = 0; t < s->frames; t++) {
        double y[GV_PRED_X];
        for (int i = 0; i < GV_PRED_X; i++)
            y[i] = (double)pred_x[(size_t)t * GV_PRED_X + i] * gv_pred_x_std[i] + gv_pred_x_mean[i];
        for (int j = 0; j < 21; j++) aa_from_6d(s->body_pose + 63 * (size_t)t + 3 * j, y + GV_X_POSE + 6 * j);
        aa_from_6d(s->orient_c + 3 * (size_t)t, y + GV_X_ORIENT_C);
        aa_from_6d(s->orient_gv + 3 * (size_t)t, y + GV_X_ORIENT_GV);
        for (int i = 0; i < 3; i++) s->velocity[3 * (size_t)t + i] = y[GV_X_VELOCITY + i];
    }
    for (int i = 0; i < 10; i++) // the same in every frame
        s->betas[i] = (double)pred_x[GV_X_BETAS + i] * gv_pred_x_std[GV_X_BETAS + i] + gv_pred_x_mean[GV_X_BETAS + i];
}

static void rest_joints(gv_solution *s, const gv_body *body) {
    for (int i = 0; i < 66; i++) {
        s->rest[i] = body->J_template[i];
        for (int k = 0; k < 10; k++) s->rest[i] += (double)body->J_shapedirs[10 * i + k] * s->betas[k];
    }
}

// SPEC.md 7
static void camera_translation(gv_solution *s, const gv_solver_input *in) {
    for (int t = 0; t < s->frames; t++) {
        const float *cam = in->pred_cam + 3 * (size_t)t, *box = in->bbx_xys + 3 * (size_t)t, *K = in->K + 9 * (size_t)t;
        double *out = s->transl_c + 3 * (size_t)t, sb = (double)box[2] * cam[0] + 1e-9;
        out[0] = cam[1] + 2 * ((double)box[0] - K[2]) / sb;
        out[1] = cam[2] + 2 * ((double)box[1] - K[5]) / sb;
        out[2] = 2 * (double)K[0] / sb;
    }
}

gv_status gv_solve(gv_solution *s, gv_arena *arena, const gv_solver_input *in, gv_error *err) {
    gv_status status = allocate(s, arena, in->frames, err);
    double *scratch = gv_arena_alloc(arena, (size_t)in->frames, 10 * sizeof *scratch);
    if (!status && !scratch)
        status = gv_fail(err, GV_ERR_MEMORY, "out of memory for the motion of %d frames", in->frames);
    if (status) return status;
    decode(s, in->pred_x);
    rest_joints(s, in->body);
    camera_translation(s, in);
    gv_compose_world(s->orient_w, s->transl_w, s->orient_gv, s->orient_c, s->velocity, in->cam_angvel, in->frames,
                     scratch);
    gv_fk_joints(s->joints_w, s->rest, s->body_pose, s->orient_w, s->transl_w, in->frames);
    gv_fk_joints(s->joints_c, s->rest, s->body_pose, s->orient_c, s->transl_c, in->frames);
    if (in->static_camera)
        gv_correct_static_camera(s, in->static_conf_logits, scratch);
    else
        gv_correct_moving_camera(s, in->static_conf_logits, scratch);
    gv_lock_targets(s, in->static_conf_logits);
    gv_ik_solve(s->final_pose, s->rest, s->body_pose, s->orient_w, s->transl, s->ik_target, in->frames);
    return GV_OK;
}
