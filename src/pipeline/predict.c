#include "pipeline/gravity.h"
#include "pipeline/predict.h"

#include "base/memory.h"
#include "base/progress.h"
#include "motion/chain.h"
#include "motion/kinematics.h"
#include "motion/solver.h"
#include "network/inputs.h"
#include "pipeline/mirror.h"
#include "pipeline/refine.h"
#include "pipeline/timebase.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Everything between observations at 30 fps and the motion; arrays live in the arenas. Unless every stage is wanted the
// network's inputs go when it has run.
typedef struct stages {
    gv_arena *arena, *inputs;
    bool verbose;
    int frames, width, layers;
    float *obs, *cliff, *angvel; // network input
    gv_network_output net;
    gv_solution solution;
} stages;

static float *take(const stages *s, gv_arena *arena, size_t per_frame) {
    return gv_arena_alloc(arena, (size_t)s->frames, per_frame * sizeof(float));
}

static void free_stages(stages *s) {
    gv_arena_destroy(s->arena);
    gv_arena_destroy(s->inputs);
    s->arena = s->inputs = NULL;
}

static gv_status allocate_inputs(stages *s, const gv_network *net, int frames, bool verbose, gv_error *err) {
    *s = (stages){.arena = gv_arena_create(0),
                  .inputs = gv_arena_create(0),
                  .verbose = verbose,
                  .frames = frames,
                  .width = gv_network_width(net),
                  .layers = gv_network_layers(net)};
    if (!s->arena || !s->inputs)
        return gv_fail(err, GV_ERR_MEMORY, "out of memory for the prediction of %d frames", frames);
    s->obs = take(s, s->inputs, 51);
    s->cliff = take(s, s->inputs, 3);
    s->angvel = take(s, s->arena, 6);
    bool ok = s->obs && s->cliff && s->angvel;
    return ok ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "out of memory for the prediction of %d frames", frames);
}

static gv_status allocate_outputs(stages *s, gv_error *err) {
    size_t D = (size_t)s->width;
    s->net.pred_x = take(s, s->arena, GV_PRED_X);
    s->net.pred_cam = take(s, s->arena, 3);
    s->net.static_conf_logits = take(s, s->arena, 6);
    bool ok = s->net.pred_x && s->net.pred_cam && s->net.static_conf_logits;
    if (ok && s->verbose) {
        s->net.pred_context = take(s, s->arena, D);
        s->net.x_embed = take(s, s->arena, D);
        s->net.x_blocks = take(s, s->arena, D * (size_t)s->layers);
        ok = s->net.pred_context && s->net.x_embed && s->net.x_blocks;
    }
    return ok ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "out of memory for the prediction of %d frames", s->frames);
}

// A network's output that is not finite would poison every frame; weights with NaN are the likely cause.
static gv_status check_finite(const stages *s, gv_error *err) {
    for (size_t i = 0; i < (size_t)s->frames * GV_PRED_X; i++)
        if (!isfinite(s->net.pred_x[i]))
            return gv_fail(err, GV_ERR_FORMAT, "the network's output is not finite in frame %d: are its weights?",
                           (int)(i / GV_PRED_X));
    return GV_OK;
}

static void narrow(float *out, const double *in, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] = (float)in[i];
}

static void store_parameters(gv_motion *m, const stages *s) {
    const gv_solution *r = &s->solution;
    size_t L = (size_t)s->frames;
    narrow(m->betas, r->betas, 10);
    narrow(m->global_orient, r->orient_w, 3 * L);
    narrow(m->transl, r->transl, 3 * L);
    narrow(m->global_orient_incam, r->orient_c, 3 * L);
    narrow(m->transl_incam, r->transl_c, 3 * L);
    for (size_t i = 0; i < 6 * L; i++)
        m->static_prob[i] = (float)(1 / (1 + exp(-(double)s->net.static_conf_logits[i])));
}

static void prepare_inputs(stages *s, const gv_observations *o) {
    gv_obs_from_keypoints(s->obs, o->kp2d, o->bbx_xys, o->frames);
    gv_cliff_from_boxes(s->cliff, o->bbx_xys, o->K, o->frames);
    if (o->frames > 1 && o->cam_angvel)
        memcpy(s->angvel, o->cam_angvel, (size_t)o->frames * 6 * sizeof *s->angvel);
    else if (o->frames > 1)
        gv_angvel_from_rotations(s->angvel, o->R_w2c, o->frames);
    else
        gv_angvel_from_rotations(s->angvel, NULL, 1);
}

// On prepared inputs; of the observations only the image features and the points in space are read.
static gv_status run_prepared(stages *s, gv_network *net, const gv_observations *o, const gv_listener *listener,
                              gv_error *err) {
    const gv_network_input in = {.frames = o->frames,
                                 .length = o->length,
                                 .obs = s->obs,
                                 .cliff = s->cliff,
                                 .cam_angvel = s->angvel,
                                 .f_imgseq = o->f_imgseq,
                                 .kp3d = o->kp3d,
                                 .listener = listener};
    gv_status status = gv_network_run(net, &in, &s->net, err);
    if (!status && gv_network_is_chained(net)) gv_chain_resolve(s->net.pred_x, s->angvel, o->frames);
    if (s->verbose) return status ? status : check_finite(s, err);
    gv_arena_destroy(s->inputs);
    s->inputs = NULL;
    return status ? status : check_finite(s, err);
}

// What the network makes of the frames and of their mirror image, both in s: the mean of everything; or, as the flip
// test of SPEC.md 15.1 has it, with opt->mirrored and camera_orient [L, 3], the mean of pose and shape, the root as it
// was, and the mean orientation in the camera in camera_orient.
static gv_status average_mirrored(stages *s, gv_network *net, const gv_observations *o, const gv_predict_options *opt,
                                  float *camera_orient, gv_error *err) {
    gv_observations made = {0};
    const gv_observations *seen = opt->mirrored ? opt->mirrored : &made;
    stages other = {0};
    gv_status status = opt->mirrored ? GV_OK : gv_mirror_observations(&made, o, err);
    if (!status) status = allocate_inputs(&other, net, s->frames, false, err);
    if (!status) prepare_inputs(&other, seen);
    float **done[] = {&made.bbx_xys, &made.kp2d, &made.K, &made.R_w2c}; // two hours of them are 60 MB
    for (int i = 0; i < 4; i++) free(*done[i]), *done[i] = NULL;
    if (!status) status = allocate_outputs(&other, err); // not before: the copies took the memory
    if (!status) status = run_prepared(&other, net, seen, opt->listener, err);
    if (!status && camera_orient)
        gv_mirror_average(s->net.pred_x, other.net.pred_x, s->frames, opt->camera_pose, camera_orient);
    else if (!status)
        gv_mirror_merge(&s->net, &other.net, s->frames);
    free_stages(&other);
    gv_observations_free(&made);
    return status;
}

// The motion's parameters, in `out`, which is made here.
static gv_status run_stages(gv_motion *out, stages *s, gv_network *net, const gv_body *body, const gv_observations *o,
                            const gv_predict_options *opt, gv_predict_times *times, gv_error *err) {
    double start = gv_now();
    prepare_inputs(s, o);
    gv_status status = run_prepared(s, net, o, opt->listener, err);
    float *camera_orient = opt->mirrored ? take(s, s->arena, 3) : NULL;
    if (!status && opt->mirrored && !camera_orient)
        status = gv_fail(err, GV_ERR_MEMORY, "out of memory for the flip test");
    bool mirrors = opt->mirrored || (opt->refine && o->R_w2c && o->width > 0 && !gv_network_has_images(net));
    if (!status && mirrors) status = average_mirrored(s, net, o, opt, camera_orient, err);
    if (!status && opt->refine) status = gv_smooth_prediction(s->net.pred_x, o->frames, o, err);
    if (!status) status = gv_go_on(opt->listener, err);
    if (!status && opt->refine) status = gv_refine_prediction(s->net.pred_x, s->net.pred_cam, o, body, err);
    if (!status && opt->refine) status = gv_steady_gravity(s->net.pred_x, o, err);
    if (!status) status = gv_go_on(opt->listener, err);
    double middle = gv_now();
    if (!status) status = gv_motion_alloc_parameters(out, o->frames, err); // not before: the network needs the memory
    const gv_solver_input solve = {.frames = o->frames,
                                   .length = o->length,
                                   .pred_x = s->net.pred_x,
                                   .pred_cam = s->net.pred_cam,
                                   .static_conf_logits = s->net.static_conf_logits,
                                   .bbx_xys = o->bbx_xys,
                                   .K = o->K,
                                   .cam_angvel = s->angvel,
                                   .body = body,
                                   .static_camera = opt->static_camera,
                                   .keep_stages = opt->verbose,
                                   .final_pose = out->body_pose};
    if (!status) status = gv_solve(&s->solution, s->arena, &solve, err);
    if (!status) store_parameters(out, s);
    if (!status && camera_orient)
        memcpy(out->global_orient_incam, camera_orient, (size_t)o->frames * 3 * sizeof *camera_orient);
    if (times) *times = (gv_predict_times){middle - start, gv_now() - middle};
    return status;
}

static void copy_observed(gv_motion *m, const gv_observations *o) {
    size_t L = (size_t)o->frames;
    memcpy(m->K, o->K, 9 * L * sizeof *m->K);
    memcpy(m->bbx_xys, o->bbx_xys, 3 * L * sizeof *m->bbx_xys);
    memcpy(m->kp2d, o->kp2d, 51 * L * sizeof *m->kp2d);
    if (o->feet2d) memcpy(m->feet2d, o->feet2d, 12 * L * sizeof *m->feet2d);
    memcpy(m->frame_index, o->frame_index, L * sizeof *m->frame_index);
    memcpy(m->time_sec, o->time_sec, L * sizeof *m->time_sec);
    gv_timebase_camera(m->R_w2c, o);
    m->fps = o->fps;
    m->width = o->width;
    m->height = o->height;
}

// Joints of the stored parameters, in the world and in the camera.
static gv_status fill_joints(gv_motion *m, const gv_body *body, gv_error *err) {
    enum { PIECE = 512 };
    float rest_f[66];
    double rest[66], *pose = gv_calloc2(PIECE, (63 + 3 + 3 + 66) * sizeof *pose);
    if (!pose) return gv_fail(err, GV_ERR_MEMORY, "out of memory for the joints of %d frames", m->frames);
    double *orient = pose + 63 * PIECE, *transl = orient + 3 * PIECE, *joints = transl + 3 * PIECE;
    gv_body_rest_joints(rest_f, body, m->betas, 22);
    for (int i = 0; i < 66; i++) rest[i] = rest_f[i];
    for (int camera = 0; camera < 2; camera++) {
        const float *o = camera ? m->global_orient_incam : m->global_orient, *t = camera ? m->transl_incam : m->transl;
        for (int first = 0; first < m->frames; first += PIECE) {
            size_t at = (size_t)first, n = m->frames - first < PIECE ? (size_t)(m->frames - first) : PIECE;
            for (size_t i = 0; i < 63 * n; i++) pose[i] = m->body_pose[63 * at + i];
            for (size_t i = 0; i < 3 * n; i++) orient[i] = o[3 * at + i], transl[i] = t[3 * at + i];
            gv_fk_joints(joints, rest, pose, orient, transl, (int)n);
            narrow((camera ? m->joints_incam : m->joints_world) + 66 * at, joints, 66 * n);
        }
    }
    free(pose);
    return GV_OK;
}

// ---- --verbose: every stage by the name it has in the recorded reference data -----------------------------

static float *extra(gv_motion *m, const char *name, int ndim, const int shape[3]) {
    char full[48];
    snprintf(full, sizeof full, "net/%s", name);
    return gv_motion_extra(m, full, ndim, shape);
}

static bool add_floats(gv_motion *m, const char *name, const float *data, int frames, int b, int c) {
    float *p = extra(m, name, c ? 3 : 2, (int[3]){frames, b, c});
    if (p) memcpy(p, data, (size_t)frames * b * (c ? c : 1) * sizeof *p);
    return p;
}

static bool add_doubles(gv_motion *m, const char *name, const double *data, int frames, int b, int c) {
    float *p = extra(m, name, c ? 3 : 2, (int[3]){frames, b, c});
    if (p) narrow(p, data, (size_t)frames * b * (c ? c : 1));
    return p;
}

static bool add_inputs(gv_motion *m, const stages *s) {
    int L = s->frames;
    float *visible = extra(m, "visible", 2, (int[3]){L, 17}), *angvel = extra(m, "f_cam_angvel", 2, (int[3]){L, 6});
    if (!visible || !angvel) return false;
    for (size_t i = 0; i < 17 * (size_t)L; i++) visible[i] = gv_obs_visible(s->obs + 3 * i);
    gv_angvel_normalise(angvel, s->angvel, L);
    return add_floats(m, "obs", s->obs, L, 17, 3) && add_floats(m, "f_cliffcam", s->cliff, L, 3, 0);
}

static bool add_network(gv_motion *m, const stages *s) {
    int L = s->frames;
    bool ok = add_floats(m, "x_embed", s->net.x_embed, L, s->width, 0);
    for (int i = 0; i < s->layers && ok; i++) {
        char name[32];
        snprintf(name, sizeof name, "x_block_%02d", i);
        ok = add_floats(m, name, s->net.x_blocks + (size_t)i * L * s->width, L, s->width, 0);
    }
    return ok && add_floats(m, "pred_context", s->net.pred_context, L, s->width, 0) &&
           add_floats(m, "pred_x", s->net.pred_x, L, GV_PRED_X, 0) &&
           add_floats(m, "pred_cam", s->net.pred_cam, L, 3, 0) &&
           add_floats(m, "static_conf_logits", s->net.static_conf_logits, L, 6, 0);
}

static bool add_solution(gv_motion *m, const stages *s) {
    const gv_solution *r = &s->solution;
    int L = s->frames;
    float *betas = extra(m, "betas", 2, (int[3]){L, 10});
    if (!betas) return false;
    for (int t = 0; t < L; t++) narrow(betas + 10 * (size_t)t, r->betas, 10);
    return add_doubles(m, "body_pose", r->body_pose, L, 63, 0) &&
           add_doubles(m, "global_orient_c", r->orient_c, L, 3, 0) &&
           add_doubles(m, "global_orient_gv", r->orient_gv, L, 3, 0) &&
           add_doubles(m, "local_transl_vel", r->velocity, L, 3, 0) &&
           add_doubles(m, "transl_c", r->transl_c, L, 3, 0) &&
           add_doubles(m, "global_orient_w", r->orient_w, L, 3, 0) &&
           add_doubles(m, "transl_w", r->transl_w, L, 3, 0) && add_doubles(m, "joints_w", r->joints_w, L, 22, 3) &&
           add_doubles(m, "joints_c", r->joints_c, L, 22, 3) && add_doubles(m, "ik_target", r->ik_target, L, 6, 3);
}

// ---- the whole ---------------------------------------------------------------------------------------------

// The motion as solved at 30 fps, at the observations' own times; takes `solved`.
static gv_status at_own_times(gv_motion *out, gv_motion *solved, const gv_observations *obs, gv_observations *at30,
                              gv_error *err) {
    gv_status status = GV_OK;
    if (!at30->frames) {
        *out = *solved;
        *solved = (gv_motion){0};
        status = gv_motion_complete(out, err);
        if (!status) copy_observed(out, obs);
        return status;
    }
    memcpy(solved->time_sec, at30->time_sec, (size_t)solved->frames * sizeof *solved->time_sec);
    gv_observations_free(at30);
    status = gv_motion_alloc(out, obs->frames, err);
    if (status) return status;
    copy_observed(out, obs);
    gv_timebase_restore(out, solved);
    gv_motion_free(solved);
    return GV_OK;
}

gv_status gv_predict(gv_motion *out, gv_network *net, const gv_body *body, const gv_observations *obs,
                     const gv_predict_options *opt, gv_predict_times *times, gv_error *err) {
    bool as_is = gv_timebase_is_30fps(obs);
    gv_observations resampled = {0};
    gv_motion solved = {0};
    stages s = {0};
    *out = (gv_motion){0};
    if (opt->mirrored && (!as_is || opt->mirrored->frames != obs->frames))
        return gv_fail(err, GV_ERR_ARGUMENT, "the flip test needs the same frames in both views, at 30 fps");
    gv_status status = as_is ? GV_OK : gv_timebase_resample(&resampled, obs, err);
    const gv_observations *at30 = as_is ? obs : &resampled;
    if (!status) status = allocate_inputs(&s, net, at30->frames, opt->verbose, err);
    if (!status) status = allocate_outputs(&s, err);
    if (!status) status = run_stages(&solved, &s, net, body, at30, opt, times, err);
    if (!opt->verbose) free_stages(&s);
    if (!status) status = at_own_times(out, &solved, obs, &resampled, err);
    if (!status) status = fill_joints(out, body, err);
    if (!status && opt->verbose && !(add_inputs(out, &s) && add_network(out, &s) && add_solution(out, &s)))
        status = gv_fail(err, GV_ERR_MEMORY, "out of memory for the network's stages of %d frames", s.frames);
    if (status) gv_motion_free(out);
    gv_motion_free(&solved);
    free_stages(&s);
    gv_observations_free(&resampled);
    return status;
}
