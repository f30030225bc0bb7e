#include "evaluation/score.h"
#include "base/memory.h"
#include "evaluation/metrics.h"

#include <math.h>
#include <stdlib.h>

enum { CHUNK = 100 };

const char *const gv_measure_names[GV_MEASURES] = {"wa_mpjpe", "w_mpjpe", "rte", "jitter",       "foot_sliding",
                                                   "pa_mpjpe", "mpjpe",   "pve", "acceleration", "gravity"};
const char *const gv_measure_units[GV_MEASURES] = {"mm", "mm", "%", "10 m/s^3", "mm", "mm", "mm", "mm", "m/s^2", "deg"};

double gv_score_mean(const gv_score *s, gv_measure m) {
    return s->count[m] ? s->sum[m] / (double)s->count[m] : NAN;
}

void gv_score_add(gv_score *total, const gv_score *s) {
    for (int m = 0; m < GV_MEASURES; m++) {
        total->sum[m] += s->sum[m];
        total->count[m] += s->count[m];
    }
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

void gv_score_gravity(gv_score *s, int frames, const float *pred, const float *target) {
    for (int t = 0; t < frames; t++) {
        const float *u = pred + 9 * (size_t)t + 3, *v = target + 9 * (size_t)t + 3; // R^T (0, 1, 0): the second row
        double dot = 0, across = 0;
        for (int i = 0; i < 3; i++) {
            int j = (i + 1) % 3, k = (i + 2) % 3;
            double c = (double)u[j] * v[k] - (double)u[k] * v[j];
            dot += (double)u[i] * v[i];
            across += c * c;
        }
        s->sum[GV_GRAVITY] += atan2(sqrt(across), dot) * 57.29577951308232;
        s->count[GV_GRAVITY]++;
    }
}
