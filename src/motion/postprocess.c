#include "motion/postprocess.h"

#include "geometry/rotation.h"
#include "geometry/so3.h"
#include "motion/smoothing.h"

#include <math.h>
#include <string.h>

enum { STATIC = GV_STILL_JOINTS };

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static const double *still(const gv_solution *s, int t, int k) {
    return s->still + 3 * ((size_t)STATIC * t + k);
}

// Adds to `drift` the weighted mean of the six joints' movements from frame t to t+1.
static void add_movement(double drift[3], const gv_solution *s, int t, const double weight[STATIC]) {
    for (int k = 0; k < STATIC; k++) {
        const double *p = still(s, t, k), *q = still(s, t + 1, k);
        for (int i = 0; i < 3; i++) drift[i] += weight[k] * (q[i] - p[i]);
    }
}

// Softmax over the joints whose logit is positive; all zero where there is none.
static void moving_weights(double weight[STATIC], const float logits[STATIC]) {
    double top = 0, sum = 0;
    for (int k = 0; k < STATIC; k++) top = logits[k] > top ? logits[k] : top;
    for (int k = 0; k < STATIC; k++) sum += weight[k] = logits[k] > 0 ? exp(logits[k] - top) : 0;
    for (int k = 0; k < STATIC && sum > 0; k++) weight[k] /= sum;
}

// Each joint that is static with more than 80 % takes an equal share.
static void static_weights(double weight[STATIC], const float logits[STATIC]) {
    int count = 0;
    for (int k = 0; k < STATIC; k++) count += sigmoid(logits[k]) > 0.8;
    for (int k = 0; k < STATIC; k++) weight[k] = sigmoid(logits[k]) > 0.8 ? 1.0 / count : 0;
}

// Lowest y of all joints when each frame is moved by transl - transl_w
static double lowest(const gv_solution *s) {
    double low = INFINITY;
    for (int t = 0; t < s->frames; t++) {
        double y = s->low[t] + s->transl[3 * (size_t)t + 1] - s->transl_w[3 * (size_t)t + 1];
        if (y < low) low = y;
    }
    return low;
}

static void put_on_ground(gv_solution *s) {
    double low = lowest(s);
    for (int t = 0; t < s->frames; t++) s->transl[3 * (size_t)t + 1] -= low;
}

void gv_correct_moving_camera(gv_solution *s, const float *logits, double *scratch) {
    double slip[3] = {0};
    for (int t = 0; t < s->frames; t++) {
        for (int i = 0; i < 3; i++) s->transl[3 * (size_t)t + i] = s->transl_w[3 * (size_t)t + i] - slip[i];
        if (t + 1 == s->frames) break;
        double weight[STATIC];
        moving_weights(weight, logits + STATIC * (size_t)t);
        add_movement(slip, s, t, weight);
    }
    gv_gaussian_smooth(s->transl, s->frames, 3, 0, 1, 3, scratch);
    gv_gaussian_smooth(s->transl, s->frames, 3, 2, 1, 3, scratch);
    put_on_ground(s);
}

// Root positions that the in-camera motion has in the world when the camera stands still (9.2 steps 1, 2):
// camera joints after smoothing the translation, placed by the first frame. roots [L, 3].
static void roots_seen_by_camera(double *roots, const gv_solution *s, double *scratch) {
    int L = s->frames;
    double *smooth = scratch, R_w[9], R_c[9], R[9];
    memcpy(smooth, s->transl_c, (size_t)L * 3 * sizeof *smooth);
    gv_gaussian_smooth(smooth, L, 3, 0, 3, 5, scratch + 3 * (size_t)L);
    gv_rotd_from_aa(R_w, s->orient_w);
    gv_rotd_from_aa(R_c, s->orient_c);
    gv_so3_mul_nt(R, R_w, R_c);
    for (int t = 0; t < L; t++) {
        double p[3];
        for (int i = 0; i < 3; i++)
            p[i] = s->root_c[3 * (size_t)t + i] - s->transl_c[3 * (size_t)t + i] + smooth[3 * (size_t)t + i];
        gv_so3_apply(roots + 3 * (size_t)t, R, p);
    }
    double shift[3];
    for (int i = 0; i < 3; i++) shift[i] = s->root_w[i] - roots[i];
    for (int t = 0; t < L; t++)
        for (int i = 0; i < 3; i++) roots[3 * (size_t)t + i] += shift[i];
}

// Where the root is more than 25 cm from where the camera sees it, it is pulled back by up to 2 cm a frame;
// a correction stays for all later frames (9.2 step 3). Also the amount by which each frame moved.
static void follow_camera(double *moved, const gv_solution *s, const double *roots) {
    double pulled[3] = {0};
    memset(moved, 0, 3 * sizeof *moved);
    for (int t = 1; t < s->frames; t++)
        for (int i = 0; i < 3; i++) {
            double e = s->root_w[3 * (size_t)t + i] - pulled[i] - roots[3 * (size_t)t + i];
            if (e > -0.25 && e < 0.25) e = 0;
            pulled[i] += fmin(fmax(e, -0.02), 0.02);
            moved[3 * (size_t)t + i] = -pulled[i];
        }
}

void gv_correct_static_camera(gv_solution *s, const float *logits, double *scratch) {
    size_t L = (size_t)s->frames;
    double *roots = scratch, *moved = scratch + 3 * L, slip[3] = {0};
    roots_seen_by_camera(roots, s, scratch + 6 * L);
    follow_camera(moved, s, roots);
    for (size_t t = 0; t < L; t++) {
        for (int i = 0; i < 3; i++) s->transl[3 * t + i] = s->transl_w[3 * t + i] + moved[3 * t + i] - slip[i];
        if (t + 1 == L) break;
        double weight[STATIC], drift[3] = {0}, total = 0;
        static_weights(weight, logits + STATIC * t);
        add_movement(drift, s, (int)t, weight);
        for (int k = 0; k < STATIC; k++) total += weight[k];
        // the joints have also followed the camera; the height is not corrected
        for (int i = 0; i < 3; i += 2) slip[i] += drift[i] + total * (moved[3 * t + 3 + i] - moved[3 * t + i]);
    }
    put_on_ground(s);
}

void gv_lock_targets(double *targets, double before[3 * STATIC], const gv_solution *s, const float *logits, int first,
                     int last) {
    for (int t = first; t < last; t++)
        for (int k = 0; k < STATIC; k++) {
            double *q = targets + 3 * ((size_t)STATIC * (t - first) + k), *b = before + 3 * k;
            const double *p = still(s, t, k);
            double c = t ? sigmoid(logits[STATIC * (size_t)(t - 1) + k]) : 0;
            for (int i = 0; i < 3; i++) {
                double here = p[i] - s->transl_w[3 * (size_t)t + i] + s->transl[3 * (size_t)t + i];
                b[i] = q[i] = t ? c * b[i] + (1 - c) * here : here;
            }
        }
}
