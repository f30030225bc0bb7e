#include "motion/stepwise.h"

#include "geometry/rotation.h"
#include "geometry/so3.h"
#include "motion/decode.h"
#include "motion/kinematics.h"
#include "network/statistics.h"

#include <math.h>
#include <string.h>

enum { J = 22, STILL = GV_STILL_JOINTS, FEET = 4 };
static const double RATE = 30;                       // the network's frames per second
static const double trusted = 0.2;                   // rad: directions further from the mean count less
static const double longest_memory = 900;            // frames of gravity that count
static const double near_enough = 0.03, pull = 0.02; // m; m per 1/30 s
static const double pull_share = 0.05;               // of what is beyond, per 1/30 s
static const double seen_share = 0.2;                // of a new sighting in the smoothed place
static const double standing = 0.8;                  // probability from where on a joint stands
static const double on_ground = 0.5;                 // probability from where on a foot tells where the ground is
static const double ground_share = 0.1, ground_speed = 0.004, fall_speed = 0.0015,
                    fall_share = 0.015; // of the error; m per 1/30 s

// The Gravity-View frame of the first camera, made y up by half a turn about z.
static void turn_from_down(double R[9], const double down[3]) {
    gv_gravity_view(R, down);
    for (int i = 0; i < 6; i++) R[i] = -R[i];
}

void gv_world_look(gv_world_view *w, const double down[3], double weight) {
    double mean[3] = {w->down[0], w->down[1], w->down[2]};
    if (w->weight > 0) {
        gv_normalise3(mean);
        weight /= 1 + 2 * (1 - gv_dot3(mean, down)) / (trusted * trusted); // 2 (1 - cos a) is about a^2
    }
    double keep = w->weight > longest_memory ? longest_memory / w->weight : 1;
    for (int i = 0; i < 3; i++) w->down[i] = keep * w->down[i] + weight * down[i];
    w->weight = keep * w->weight + weight;
    memcpy(mean, w->down, sizeof mean);
    gv_normalise3(mean);
    if (w->weight > 0) turn_from_down(w->turn, mean);
}

static void narrow(float *out, const double *in, int n) {
    for (int i = 0; i < n; i++) out[i] = (float)in[i];
}

void gv_step_down(double down[3], const float *pred_x, const float R_w2c[9]) {
    double C[9], V[9], M[9];
    gv_decode_rotation(C, pred_x, GV_X_ORIENT_C);
    gv_decode_rotation(V, pred_x, GV_X_ORIENT_GV);
    gv_so3_mul_nt(M, C, V); // gravity-view to camera
    const double g[3] = {M[1], M[4], M[7]};
    for (int i = 0; i < 3; i++) down[i] = R_w2c[i] * g[0] + R_w2c[3 + i] * g[1] + R_w2c[6 + i] * g[2];
}

// What a frame's prediction says, decoded.
typedef struct figure {
    double pose[63], rest[3 * J];
    double R_w[9], R_c[9], orient_w[3], orient_c[3];
    double velocity[3]; // world, m per 1/30 s
    double transl_c[3];
    double root_c[3];
} figure;

static void mean_shape(figure *f, gv_stepper *s, const gv_step_input *in, float betas[10]) {
    double now[10];
    gv_decode_block(now, in->pred_x, GV_X_BETAS, 10);
    for (int i = 0; i < 10; i++) {
        s->betas[i] += now[i];
        now[i] = betas[i] = (float)(s->betas[i] / (double)(s->frames + 1));
    }
    gv_decode_rest(f->rest, in->body, now);
}

static void decode(figure *f, const gv_world_view *world, const gv_step_input *in) {
    double from_camera[9], v[3];
    for (int j = 0; j < 21; j++) gv_decode_aa(f->pose + 3 * j, in->pred_x, GV_X_POSE + 6 * j);
    gv_decode_rotation(f->R_c, in->pred_x, GV_X_ORIENT_C);
    for (int i = 0; i < 3; i++) // turn R_w2c^T
        for (int k = 0; k < 3; k++)
            from_camera[3 * i + k] = world->turn[3 * i] * in->R_w2c[3 * k] +
                                     world->turn[3 * i + 1] * in->R_w2c[3 * k + 1] +
                                     world->turn[3 * i + 2] * in->R_w2c[3 * k + 2];
    gv_so3_mul(f->R_w, from_camera, f->R_c);
    gv_rotd_to_aa(f->orient_w, f->R_w);
    gv_rotd_to_aa(f->orient_c, f->R_c);
    gv_decode_block(v, in->pred_x, GV_X_VELOCITY, 3);
    gv_so3_apply(f->velocity, f->R_w, v);
    gv_decode_place(f->transl_c, in->pred_cam, in->box, in->K);
    for (int i = 0; i < 3; i++) f->root_c[i] = f->rest[i] + f->transl_c[i];
}

// Where the camera sees the root, in the common world; `first`: the origin is put under it.
static void place_seen(double seen[3], gv_world_view *world, const figure *f, const gv_step_input *in) {
    double odometry[3];
    for (int i = 0; i < 3; i++)
        odometry[i] = in->R_w2c[i] * f->root_c[0] + in->R_w2c[3 + i] * f->root_c[1] + in->R_w2c[6 + i] * f->root_c[2];
    gv_so3_apply(seen, world->turn, odometry);
    if (!world->placed)
        for (int i = 0; i < 3; i++) world->origin[i] = -seen[i];
    world->placed = true;
    for (int i = 0; i < 3; i++) seen[i] += world->origin[i];
}

// Static joints relative to the root, orientation and shape as now.
static void still_joints(double still[STILL][3], const figure *f, double low[1]) {
    double joints[3 * J], none[3] = {0};
    gv_fk_joints(joints, f->rest, f->pose, f->orient_w, none, 1);
    *low = INFINITY;
    for (int j = 0; j < J; j++) low[0] = fmin(low[0], joints[3 * j + 1] - joints[1]);
    for (int k = 0; k < STILL; k++)
        for (int i = 0; i < 3; i++) still[k][i] = joints[3 * gv_static_joint_ids[k] + i] - joints[i];
}

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

// How the root moves: as predicted, but so that the joints that stand do not.
static void roll_out(gv_stepper *s, double still[STILL][3], double frames) {
    double step[3], slip[3] = {0};
    int standing_joints = 0;
    for (int i = 0; i < 3; i++) step[i] = s->velocity[i] * frames;
    for (int k = 0; k < STILL; k++) standing_joints += sigmoid(s->logits[k]) > standing;
    for (int k = 0; k < STILL; k++)
        for (int i = 0; i < 3 && sigmoid(s->logits[k]) > standing; i++)
            slip[i] += (step[i] + still[k][i] - s->still[k][i]) / standing_joints;
    for (int i = 0; i < 3; i++) s->root[i] += step[i] - (i == 1 ? 0 : slip[i]); // heights are the ground's business
}

// After SPEC.md 9.2, step 3, with a place smoothed over the past. The reference lets the root be 25 cm off and then
// pulls it by 2 cm a frame; there the whole clip is fitted afterwards, here this is all that keeps the path from
// drifting.
static void follow_camera(gv_stepper *s, const double seen[3], double frames) {
    double share = 1 - pow(1 - seen_share, frames);
    for (int i = 0; i < 3; i++) {
        s->seen[i] += share * (seen[i] - s->seen[i]);
        double e = s->root[i] - s->seen[i], beyond = fmax(fabs(e) - near_enough, 0);
        s->root[i] -= copysign(fmin(pull_share * beyond, pull) * frames, e);
    }
}

// Height of the lowest foot's sole over the ground, of those that stand if any does; negative where anything is below.
static double above_ground(const gv_stepper *s, double still[STILL][3], double low, const gv_step_input *in,
                           bool *stands) {
    double height[2] = {INFINITY, INFINITY}; // of all, of those that stand
    for (int f = 0; f < FEET; f++) {
        double h = s->root[1] + still[f][1] - in->sole[f];
        height[0] = fmin(height[0], h);
        if (sigmoid(in->logits[f]) > on_ground) height[1] = fmin(height[1], h);
    }
    *stands = isfinite(height[1]);
    return fmin(height[*stands], *stands ? INFINITY : s->root[1] + low);
}

// Somebody who does not stand comes down by and by, slowly enough for a jump to be one.
static void find_ground(gv_stepper *s, double still[STILL][3], double low, const gv_step_input *in, double frames) {
    bool stands;
    double error = above_ground(s, still, low, in, &stands);
    double most = error < 0 ? fmax(ground_speed, -ground_share * error)
                  : stands  ? ground_speed
                            : fmax(fall_speed, fall_share * error);
    double by = -fmin(fmax(ground_share * error, -most), most) * frames;
    s->root[1] += by;
    for (int k = 0; k < STILL; k++) s->targets[3 * k + 1] += by; // the world has moved, not the foot
}

static void begin(gv_stepper *s, double still[STILL][3], double low, const double seen[3], const gv_step_input *in) {
    double sole = INFINITY;
    for (int f = 0; f < FEET; f++) sole = fmin(sole, still[f][1] - in->sole[f]);
    memcpy(s->root, seen, sizeof s->root);
    memcpy(s->seen, seen, sizeof s->seen);
    s->root[1] = s->seen[1] = fmax(-sole, -low);
    for (int k = 0; k < STILL; k++)
        for (int i = 0; i < 3; i++) s->targets[3 * k + i] = s->root[i] + still[k][i];
}

static void lock(double targets[3 * STILL], const gv_stepper *s, double still[STILL][3]) {
    for (int k = 0; k < STILL; k++)
        for (int i = 0; i < 3; i++) {
            double c = sigmoid(s->logits[k]), here = s->root[i] + still[k][i];
            targets[3 * k + i] = c * targets[3 * k + i] + (1 - c) * here;
        }
}

static void write_out(gv_step_output *out, const gv_stepper *s, const figure *f, const gv_step_input *in) {
    double transl[3], solved[63], joints[3 * J];
    for (int i = 0; i < 3; i++) transl[i] = s->root[i] - f->rest[i];
    gv_ik_solve(solved, f->rest, f->pose, f->orient_w, transl, s->targets, 1);
    narrow(out->body_pose, solved, 63);
    narrow(out->global_orient, f->orient_w, 3);
    narrow(out->transl, transl, 3);
    narrow(out->global_orient_incam, f->orient_c, 3);
    narrow(out->transl_incam, f->transl_c, 3);
    gv_fk_joints(joints, f->rest, solved, f->orient_w, transl, 1);
    narrow(out->joints_world, joints, 3 * J);
    gv_fk_joints(joints, f->rest, solved, f->orient_c, f->transl_c, 1);
    narrow(out->joints_incam, joints, 3 * J);
    for (int k = 0; k < STILL; k++) out->static_prob[k] = (float)sigmoid(in->logits[k]);
}

void gv_step(gv_step_output *out, gv_stepper *s, gv_world_view *world, const gv_step_input *in) {
    figure f;
    double seen[3], still[STILL][3], low;
    mean_shape(&f, s, in, out->betas);
    decode(&f, world, in);
    place_seen(seen, world, &f, in);
    still_joints(still, &f, &low);
    if (s->frames == 0) {
        begin(s, still, low, seen, in);
    } else {
        double frames = fmin(fmax((in->time_sec - s->time_sec) * RATE, 0), RATE);
        roll_out(s, still, frames);
        if (in->static_camera) follow_camera(s, (double[3]){seen[0], s->root[1], seen[2]}, frames);
        find_ground(s, still, low, in, frames);
        lock(s->targets, s, still);
    }
    write_out(out, s, &f, in);
    memcpy(s->velocity, f.velocity, sizeof s->velocity);
    memcpy(s->still, still, sizeof s->still);
    memcpy(s->logits, in->logits, sizeof s->logits);
    s->time_sec = in->time_sec;
    s->frames++;
}
