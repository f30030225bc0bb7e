// One-euro filters of BlazePose's landmarks (SPEC-perception 7.8) and their mapping to COCO-17 (7.10).
#include "perception/blazepose.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = GV_BLAZE_POINTS * 3, AUXILIARY = GV_BLAZE_ALL_POINTS - GV_BLAZE_POINTS };

// The filters of one group of coordinates; all of a group see the same times.
typedef struct group {
    double min_cutoff, beta; // Hz; Hz per unit of speed
    int64_t last_us;         // 0 before the first value
    float raw[MOST], speed[MOST], value[MOST];
} group;

struct gv_blaze_smoother {
    group body, auxiliary, world;
    bool seen_body, seen_auxiliary; // their visibilities have a first value
    float visibility[GV_BLAZE_ALL_POINTS];
};

gv_blaze_smoother *gv_blaze_smoother_create(void) {
    gv_blaze_smoother *s = malloc(sizeof *s);
    if (s) gv_blaze_smoother_reset(s);
    return s;
}

void gv_blaze_smoother_destroy(gv_blaze_smoother *s) {
    free(s);
}

void gv_blaze_smoother_reset(gv_blaze_smoother *s) {
    memset(s, 0, sizeof *s);
    s->body.min_cutoff = 0.05, s->body.beta = 80;
    s->auxiliary.min_cutoff = 0.01, s->auxiliary.beta = 10;
    s->world.min_cutoff = 0.1, s->world.beta = 40;
}

static double smoothing(double rate_hz, double cutoff_hz) {
    return 1 / (1 + rate_hz / (2 * M_PI * cutoff_hz));
}

// Filters n coordinates x[i * stride + 0 .. 2] of one frame. scale: what one unit of x is for the speed.
static void filter(group *g, float *x, int points, int stride, int64_t time_us, double scale) {
    if (time_us <= g->last_us) return;
    bool first = g->last_us == 0;
    double rate = first ? 30 : 1e6 / (double)(time_us - g->last_us), derivative = smoothing(rate, 1.0);
    for (int i = 0; i < 3 * points; i++) {
        float *v = &x[i / 3 * stride + i % 3];
        double d = first ? 0 : ((double)*v - g->raw[i]) * scale * rate;
        g->raw[i] = *v;
        g->speed[i] = (float)(first ? d : g->speed[i] + derivative * (d - g->speed[i]));
        double a = smoothing(rate, g->min_cutoff + g->beta * fabs((double)g->speed[i]));
        g->value[i] = first ? *v : (float)(g->value[i] + a * ((double)*v - g->value[i]));
        *v = g->value[i];
    }
    g->last_us = time_us;
}

static void filter_visibility(gv_blaze_smoother *s, gv_landmarks *l, int from, int to, bool *seen) {
    for (int k = from; k < to; k++) {
        float *v = &l->point[k][3];
        s->visibility[k] = *seen ? 0.1f * *v + 0.9f * s->visibility[k] : *v;
        *v = s->visibility[k];
    }
    *seen = true;
}

void gv_blaze_smoother_apply(gv_blaze_smoother *s, gv_landmarks *l, int64_t time_us, bool body) {
    const float *p = l->point[GV_BLAZE_POINTS], *q = l->point[GV_BLAZE_POINTS + 1];
    double side = 2 * hypot((double)q[0] - p[0], (double)q[1] - p[1]); // of the unfiltered points
    bool sized = side >= 1e-6;
    if (body) {
        if (sized) filter(&s->body, l->point[0], GV_BLAZE_POINTS, 5, time_us, 1 / side);
        filter(&s->world, l->world[0], GV_BLAZE_POINTS, 3, time_us, 1);
        filter_visibility(s, l, 0, GV_BLAZE_POINTS, &s->seen_body);
    }
    if (sized) filter(&s->auxiliary, l->point[GV_BLAZE_POINTS], AUXILIARY, 5, time_us, 1 / side);
    filter_visibility(s, l, GV_BLAZE_POINTS, GV_BLAZE_ALL_POINTS, &s->seen_auxiliary);
}

// nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles; left before right
static const int from[17] = {0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28};

// The share of heavy's points that are off by a tenth of the body and more is, at visibilities of 0.2 to 0.5, what it
// is with full at 0.5 to 0.9 (bench/README.md, four calibrated cameras): what it calls hidden is seldom wrong.
static float confidence(float visibility, gv_blaze_model model) {
    return model == GV_BLAZE_HEAVY ? powf(fmaxf(visibility, 0), 0.4f) : visibility;
}

static void pick(float (*out)[3], const gv_landmarks *l, gv_blaze_model model, const int *which, int n) {
    for (int k = 0; k < n; k++) {
        const float *p = l->point[which[k]];
        out[k][0] = p[0] - 0.5f; // BlazePose counts from the corner of a pixel, COCO from its centre
        out[k][1] = p[1] - 0.5f;
        out[k][2] = confidence(p[3], model);
    }
}

void gv_blaze_to_coco17(float out[17][3], const gv_landmarks *l, gv_blaze_model model) {
    pick(out, l, model, from, 17);
}

void gv_blaze_feet(float out[GV_FEET_POINTS][3], const gv_landmarks *l, gv_blaze_model model) {
    pick(out, l, model, (const int[GV_FEET_POINTS]){29, 31, 30, 32}, GV_FEET_POINTS);
}

void gv_blaze_world_coco17(float out[17][3], const gv_landmarks *l) {
    for (int k = 0; k < 17; k++) memcpy(out[k], l->world[from[k]], sizeof out[k]);
}
