#include "base/memory.h"
#include "evaluation/metrics.h"
#include "geometry/rotation.h"
#include "motion/smoothing.h"
#include "pipeline/settle_internal.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { J = GV_MOTION_JOINTS };
const double gv_contact_probability = 0.5;
static const double smoothing_sec = 0.15, window_sec = 0.6;
static const double least_step = 0.10, largest_step = 0.25; // m, of a stair
static const double moving_speed = 0.5;                     // m/s, from where on a foot is seen to move
// Of stairs, rise over way: false directions of gravity make slopes of 0.3 out of level ground, and if they are
// everybody's, of 0.1.
static const double least_slope[2] = {0.4, 0.25};
static const double largest_jitter = 14; // 10 m/s^3; walking has 3 to 8, and what is above 15 is seen
enum { STAIRS = 5 };

gv_status gv_sole_heights(double out[GV_FEET], const gv_body *body, const float betas[GV_BETAS], gv_error *err) {
    float S[3 * J], *v = gv_calloc2((size_t)body->vertices, 12);
    double ground = INFINITY;
    if (!v) return gv_fail(err, GV_ERR_MEMORY, "no memory for the %d vertices of a body", body->vertices);
    gv_body_rest_joints(S, body, betas, J);
    gv_body_rest_surface(body, betas, v, NULL);
    for (int i = 0; i < body->vertices; i++) ground = fmin(ground, (double)v[3 * i + 1]);
    for (int f = 0; f < GV_FEET; f++) {
        out[f] = isfinite(ground) ? (double)S[3 * gv_foot_joints[f] + 1] - ground : 0.02;
        if (!(out[f] > 0 && out[f] < 0.3)) out[f] = 0.02; // no foot under this joint: not a body to go by
    }
    free(v);
    return GV_OK;
}

// The seen point that goes with a foot's joint: heel and toes where they were seen, else the ankle.
static const float *seen_foot(const gv_motion *m, int t, int f, bool feet) {
    return feet ? m->feet2d + 3 * (GV_FEET * (size_t)t + (size_t)f) : m->kp2d + 3 * (17 * (size_t)t + 15 + f / 2);
}

// How fast a foot moves as the picture tells, m/s at the body's distance, the camera's rotation taken out: over two
// frames to each side. NAN where it is not seen.
static double speed_of(const gv_motion *m, int t, int f, bool feet) {
    int a = t < 2 ? 0 : t - 2, b = t + 2 < m->frames ? t + 2 : m->frames - 1;
    const int ends[2] = {a, b};
    double at[2][3];
    if (a == b) return NAN;
    for (int e = 0; e < 2; e++) {
        size_t u = (size_t)ends[e];
        const float *kp = seen_foot(m, ends[e], f, feet), *K = m->K + 9 * u;
        double z = (double)m->joints_incam[3 * ((size_t)t * J + gv_foot_joints[f]) + 2];
        if (!(kp[2] > 0.5f) || !(K[0] > 0) || !(K[4] > 0) || !(z > 0)) return NAN;
        const float ray[3] = {(float)(z * (kp[0] - K[2]) / K[0]), (float)(z * (kp[1] - K[5]) / K[4]), (float)z};
        float world[3];
        gv_mat3_apply_t(world, m->R_w2c + 9 * u, ray);
        for (int i = 0; i < 3; i++) at[e][i] = (double)world[i];
    }
    return sqrt(pow(at[1][0] - at[0][0], 2) + pow(at[1][1] - at[0][1], 2) + pow(at[1][2] - at[0][2], 2)) /
           (m->time_sec[b] - m->time_sec[a]);
}

// The network tells standing feet from its own motion. Where the picture shows one foot moving and the other not, what
// moves does not stand: its probabilities are lowered.
static void doubt_contacts(gv_motion *m) {
    for (int t = 0; t < m->frames; t++) {
        double speed[GV_FEET];
        for (int f = 0; f < GV_FEET; f++) {
            speed[f] = speed_of(m, t, f, true);
            if (isnan(speed[f])) speed[f] = speed_of(m, t, f, false);
        }
        for (int f = 0; f < GV_FEET; f++) {
            int other = 2 - 2 * (f / 2);
            double faster = fmax(speed[f] - fmin(speed[other], speed[other + 1]), 0) / moving_speed;
            if (isnan(speed[f]) || isnan(speed[other])) continue;
            m->static_prob[GV_STATIC_JOINTS * (size_t)t + f] *= (float)(1 / (1 + pow(faster, 4)));
        }
    }
}

static double foot_height(const gv_motion *m, int t, int f) {
    return (double)m->joints_world[3 * ((size_t)t * J + gv_foot_joints[f]) + 1];
}

static bool stands(const gv_motion *m, int t, int f) {
    return (double)m->static_prob[GV_STATIC_JOINTS * (size_t)t + f] > gv_contact_probability;
}

// Ground under each frame as the lowest standing foot says; NAN where none stands. Returns the number that do.
static int ground_seen(double *ground, const gv_motion *m, const double sole[GV_FEET]) {
    int n = 0;
    for (int t = 0; t < m->frames; t++) {
        ground[t] = NAN;
        for (int f = 0; f < GV_FEET; f++)
            if (stands(m, t, f))
                ground[t] = fmin(isnan(ground[t]) ? INFINITY : ground[t], foot_height(m, t, f) - sole[f]);
        n += !isnan(ground[t]);
    }
    return n;
}

// Without planted feet: an opening of the lowest foot; what rises for less than the window is a jump and stays.
static void ground_guessed(double *ground, const gv_motion *m, const double sole[GV_FEET], double *low, double *least) {
    for (int t = 0; t < m->frames; t++) {
        low[t] = INFINITY;
        for (int f = 0; f < GV_FEET; f++) low[t] = fmin(low[t], foot_height(m, t, f) - sole[f]);
    }
    for (int pass = 0; pass < 2; pass++) {
        const double *in = pass ? least : low;
        double *out = pass ? ground : least;
        for (int t = 0, first = 0, last = 0; t < m->frames; t++) {
            while (m->time_sec[first] < m->time_sec[t] - window_sec) first++;
            while (last + 1 < m->frames && m->time_sec[last + 1] <= m->time_sec[t] + window_sec) last++;
            out[t] = in[first];
            for (int u = first + 1; u <= last; u++) out[t] = pass ? fmax(out[t], in[u]) : fmin(out[t], in[u]);
        }
    }
}

// Frames without a value: linear between their neighbours.
static void bridge(double *x, int frames) {
    int last = -1;
    for (int t = 0; t <= frames; t++) {
        if (t < frames && isnan(x[t])) continue;
        for (int g = last + 1; g < t && (last >= 0 || t < frames); g++)
            x[g] = last < 0 ? x[t] : t == frames ? x[last] : x[last] + (x[t] - x[last]) * (g - last) / (t - last);
        last = t;
    }
}

typedef struct stand { // one side's foot standing from one frame to another
    int first, last, side;
    double height; // of the ground under it, where it begins to stand and where it ends: the mean
    double x, z;   // where, the mean, m
} stand;

static int find_stands(stand *out, const gv_motion *m, const double sole[GV_FEET]) {
    int n = 0;
    for (int side = 0; side < 2; side++)
        for (int t = 0, first = -1; t <= m->frames; t++) {
            bool on = t < m->frames && stands(m, t, 2 * side + 1);
            if (on && first < 0) first = t;
            if (on || first < 0) continue;
            double sum[3] = {0};
            for (int u = first; u < t; u++)
                for (int i = 0; i < 3; i++)
                    sum[i] += (double)m->joints_world[3 * ((size_t)u * J + gv_foot_joints[2 * side + 1]) + i];
            for (int i = 0; i < 3; i++) sum[i] /= t - first;
            out[n++] = (stand){first, t - 1, side, sum[1] - sole[2 * side + 1], sum[0], sum[2]};
            first = -1;
        }
    return n;
}

static int by_time(const void *a, const void *b) {
    const stand *p = a, *q = b;
    return p->first != q->first ? (p->first > q->first) - (p->first < q->first) : p->side - q->side;
}

// Adds to keep [L] the height of staircases: runs of stands, left and right in turn, each a stair above (or below) the
// one before, and at least so steep.
static void keep_stairs(double *keep, const gv_motion *m, const stand *s, int n, double steep) {
    double level = 0;
    int at = 0;
    for (int i = 0; i + 1 < n;) {
        int run = 0;
        double first = s[i + 1].height - s[i].height, way = 0;
        while (i + run + 1 < n) {
            double step = s[i + run + 1].height - s[i + run].height;
            if (s[i + run + 1].side == s[i + run].side || step * first <= 0 || !(fabs(step) >= least_step) ||
                fabs(step) > largest_step)
                break;
            way += hypot(s[i + run + 1].x - s[i + run].x, s[i + run + 1].z - s[i + run].z);
            run++;
        }
        bool stairs = run >= STAIRS && fabs(s[i + run].height - s[i].height) > steep * way;
        for (int k = 1; stairs && k <= run; k++) {
            for (; at < s[i + k].first; at++) keep[at] = level;
            level += s[i + k].height - s[i + k - 1].height;
        }
        i += run > 0 ? run : 1;
    }
    for (; at < m->frames; at++) keep[at] = level;
}

gv_status gv_settle_height(gv_motion *m, const gv_body *body, bool common_gravity, gv_error *err) {
    size_t L = (size_t)m->frames;
    double *ground = gv_calloc2(L, sizeof *ground), *keep = gv_calloc2(L, sizeof *keep),
           *scratch = gv_calloc2(L, sizeof *scratch), sole[GV_FEET];
    stand *stands_of = gv_calloc2(L + 2, sizeof *stands_of);
    gv_status status = GV_OK;
    if (!ground || !keep || !scratch || !stands_of) {
        status = gv_fail(err, GV_ERR_MEMORY, "no memory for the ground under %d frames", m->frames);
        goto done;
    }
    if ((status = gv_sole_heights(sole, body, m->betas, err)) != GV_OK) goto done;
    if (ground_seen(ground, m, sole) == 0) {
        ground_guessed(ground, m, sole, keep, scratch);
        for (size_t t = 0; t < L; t++) keep[t] = 0;
    } else {
        bridge(ground, m->frames);
        int n = find_stands(stands_of, m, sole);
        qsort(stands_of, (size_t)n, sizeof *stands_of, by_time);
        keep_stairs(keep, m, stands_of, n, least_slope[common_gravity]);
    }
    double fps = m->fps > 0 ? m->fps : 30;
    for (size_t t = 0; t < L; t++) ground[t] -= keep[t];
    gv_gaussian_smooth(ground, m->frames, 1, 0, 1, fmax(smoothing_sec * fps, 0.25), scratch);
    for (size_t t = 0; t < L; t++) {
        m->transl[3 * t + 1] -= (float)ground[t];
        for (int j = 0; j < J; j++) m->joints_world[3 * (t * J + j) + 1] -= (float)ground[t];
    }
done:
    free(ground);
    free(keep);
    free(scratch);
    free(stands_of);
    return status;
}

// Small in the picture, and trembling more than people do.
static gv_status find_trembling(bool *trembles, const gv_motion *m, gv_error *err) {
    double sum = 0, coarse = 0;
    int n = m->frames - 3;
    *trembles = false;
    if (n < 1 || !(m->fps > 0)) return GV_OK;
    float *jitter = gv_calloc2((size_t)m->frames, sizeof *jitter);
    if (!jitter) return gv_fail(err, GV_ERR_MEMORY, "no memory to settle %d frames", m->frames);
    gv_jitter(jitter, m->joints_world, m->frames, J, m->fps);
    for (int t = 0; t < n; t++) sum += (double)jitter[t], coarse += gv_settle_coarseness(m, t);
    free(jitter);
    *trembles = coarse > 0 && sum / n > largest_jitter;
    return GV_OK;
}

gv_status gv_settle(gv_motion *m, const gv_body *body, bool common_gravity, const gv_listener *listener,
                    gv_error *err) {
    double sole[GV_FEET];
    doubt_contacts(m);
    gv_status status = gv_settle_height(m, body, common_gravity, err);
    if (status != GV_OK || m->frames < 3) return status;
    status = gv_sole_heights(sole, body, m->betas, err);
    bool again = true;
    for (double calm = 1; status == GV_OK && again && calm < 4; calm *= 1.5) {
        status = gv_settle_solve(m, body, sole, calm, listener, err);
        if (status == GV_OK) status = find_trembling(&again, m, err);
    }
    return status;
}
