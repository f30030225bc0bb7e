#include "evaluation/score.h"
#include "base/memory.h"
#include "body/body.h"
#include "evaluation/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 100, MOST_TENTHS = 1800 };

const char *const gv_measure_names[GV_MEASURES] = {"wa_mpjpe",     "w_mpjpe",  "rte",   "jitter",
                                                   "foot_sliding", "pa_mpjpe", "mpjpe", "pve",
                                                   "acceleration", "gravity",  "tilt"};
const char *const gv_measure_units[GV_MEASURES] = {"mm", "mm", "%",     "10 m/s^3", "mm", "mm",
                                                   "mm", "mm", "m/s^2", "deg",      "deg"};

double gv_score_mean(const gv_score *s, gv_measure m) {
    return s->count[m] ? s->sum[m] / (double)s->count[m] : NAN;
}

void gv_score_add(gv_score *total, const gv_score *s) {
    for (int m = 0; m < GV_MEASURES; m++) {
        total->sum[m] += s->sum[m];
        total->count[m] += s->count[m];
    }
    for (int i = 0; i <= MOST_TENTHS; i++) total->gravity_tenths[i] += s->gravity_tenths[i];
}

double gv_score_median_gravity(const gv_score *s) {
    long below = 0;
    for (int i = 0; i <= MOST_TENTHS; i++)
        if ((below += s->gravity_tenths[i]) * 2 > s->count[GV_GRAVITY]) return (i + 0.5) / 10;
    return NAN;
}

static void take(gv_score *s, gv_measure m, const float *values, int count) {
    for (int i = 0; i < count; i++) s->sum[m] += values[i];
    if (count > 0) s->count[m] += count;
}

gv_status gv_score_camera(gv_score *s, int frames, gv_points_pair joints, gv_points_pair vertices, const int pelvis[2],
                          double fps, gv_error *err) {
    float *out = gv_calloc2((size_t)frames, sizeof *out);
    if (!out) return gv_fail(err, GV_ERR_MEMORY, "no memory for the measures of %d frames", frames);
    gv_pa_mpjpe(out, joints.pred, joints.target, frames, joints.n);
    take(s, GV_PA_MPJPE, out, frames);
    gv_mpjpe(out, joints.pred, joints.target, frames, joints.n, pelvis);
    take(s, GV_MPJPE, out, frames);
    if (frames > 2) {
        gv_accel_error(out, joints.pred, joints.target, frames, joints.n, pelvis, fps);
        take(s, GV_ACCELERATION, out, frames - 2);
    }
    if (vertices.n) {
        gv_pve(out, vertices.pred, vertices.target, vertices.n, joints.pred, joints.target, frames, joints.n, pelvis);
        take(s, GV_PVE, out, frames);
    }
    free(out);
    return GV_OK;
}

static void roots(float *out, const float *joints, int frames, int n) {
    for (int t = 0; t < frames; t++)
        for (int c = 0; c < 3; c++) out[3 * t + c] = joints[(size_t)t * n * 3 + c];
}

void gv_score_feet(float *feet, const float *joints, int frames) {
    for (int t = 0; t < frames; t++)
        for (int k = 0; k < GV_FEET; k++)
            memcpy(feet + (t * GV_FEET + k) * 3, joints + (t * GV_BODY_JOINTS + gv_foot_joints[k]) * 3,
                   sizeof(float[3]));
}

gv_status gv_score_world(gv_score *s, int frames, gv_points_pair joints, gv_points_pair feet, double fps,
                         gv_error *err) {
    int values = feet.n > 1 ? feet.n : 1;
    float *out = gv_calloc2((size_t)frames, ((size_t)values + 6) * sizeof *out);
    if (!out) return gv_fail(err, GV_ERR_MEMORY, "no memory for the measures of %d frames", frames);
    float *root = out + (size_t)frames * values, *true_root = root + 3 * (size_t)frames;
    gv_wa_mpjpe(out, joints.pred, joints.target, frames, joints.n, CHUNK);
    take(s, GV_WA_MPJPE, out, frames);
    gv_w_mpjpe(out, joints.pred, joints.target, frames, joints.n, CHUNK);
    take(s, GV_W_MPJPE, out, frames);
    roots(root, joints.pred, frames, joints.n);
    roots(true_root, joints.target, frames, joints.n);
    gv_rte(out, root, true_root, frames);
    take(s, GV_RTE, out, frames);
    if (frames > 3) {
        gv_jitter(out, joints.pred, frames, joints.n, fps);
        take(s, GV_JITTER, out, frames - 3);
    }
    if (feet.n && frames > 1)
        take(s, GV_FOOT_SLIDING, out, gv_foot_sliding(out, feet.pred, feet.target, frames, feet.n));
    free(out);
    return GV_OK;
}

static double degrees_between(const double u[3], const double v[3]) {
    double dot = 0, across = 0;
    for (int i = 0; i < 3; i++) {
        int j = (i + 1) % 3, k = (i + 2) % 3;
        double c = u[j] * v[k] - u[k] * v[j];
        dot += u[i] * v[i];
        across += c * c;
    }
    return atan2(sqrt(across), dot) * 57.29577951308232;
}

void gv_score_gravity(gv_score *s, int frames, gv_orients pred, gv_orients target) {
    for (int t = 0; t < frames; t++) {
        double root[2][3], camera[2][3]; // "up" as the root sees it, R_w^T (0, 1, 0): the second row; and the camera
        for (int k = 0; k < 2; k++) {
            const gv_orients *o = k ? &target : &pred;
            for (int i = 0; i < 3; i++) root[k][i] = o->world[9 * (size_t)t + 3 + i];
            for (int i = 0; i < 3; i++) {
                const float *row = o->camera + 9 * (size_t)t + 3 * i;
                camera[k][i] = row[0] * root[k][0] + row[1] * root[k][1] + row[2] * root[k][2];
            }
        }
        double gravity = degrees_between(camera[0], camera[1]), tilt = degrees_between(root[0], root[1]);
        if (!(gravity >= 0)) continue; // not a number
        s->sum[GV_GRAVITY] += gravity;
        s->sum[GV_TILT] += tilt;
        s->count[GV_GRAVITY]++;
        s->count[GV_TILT]++;
        s->gravity_tenths[(int)(10 * gravity)]++;
    }
}
