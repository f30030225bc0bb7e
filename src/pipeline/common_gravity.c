// "Down" is a unit vector in the odometry's world. With n the direction so far and e1, e2 across it, a place where a
// foot stands has the coordinates (h, y) = ((x e1, x e2), x n); on ground of slope s all of a person's have y = c + s
// h, and level ground would have n - s for its down. Each person's s comes with a 2 x 2 matrix of information H.
#include "pipeline/common_gravity.h"
#include "base/memory.h"
#include "body/body.h"
#include "geometry/rotation.h"
#include "geometry/so3.h"
#include "pipeline/gravity.h"
#include "pipeline/scene.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { J = GV_MOTION_JOINTS, ROUNDS = 12, FEWEST_STANDS = 4, BALL = 10, BALANCE_ROUNDS = 4 };
// Standard deviations of the network's direction, rad about each axis: of each person anew, of one second of one
// person, and of all people of a clip alike. Measured: people of vtest.avi differ by 3 degrees, a man before four
// calibrated cameras by 7 to 18 from the truth (bench/README.md).
static const double each_person = 0.06, each_second = 0.10, everybody = 0.09;
static const double fine_px = 60;                        // side of the box: smaller people are known worse
static const double stand_error = 0.15;                  // m, of a place in height, and
static const double alike = 4;                           // so many in a row have the same error
static const double slope_each = 0.07, slope_all = 0.07; // of level ground, rise over way: of one person's way, of all
static const double too_steep = 0.2;                     // from where on a slope counts less
static const double slope_known = 0.3; // to judge that, who hardly moves has a slope of 0 with this sd

// Who stands keeps the middle of his mass over his feet, a little ahead of half-way from ankle to ball: joint by joint
// shares of the mass (after de Leva 1996) make that middle. Standard deviations, rad, of one person's mean posture, and
// of one second of it.
static const double mass[J] = {0.12, 0.05, 0.05, 0.10, 0.075, 0.075, 0.12, 0.03, 0.03, 0.14,  0,
                               0,    0.02, 0,    0,    0.07,  0.02,  0.02, 0.02, 0.02, 0.012, 0.012};
static const double ahead = 0.035; // m
static const double balanced_each = 0.10, balanced_second = 0.15;
static const double balanced_seconds = 0.5; // fewer tell nothing
static const double lifted = 0.25,
                    rests = 0.35; // m over the lowest foot: of one that carries nothing; of what is not a foot

typedef struct witness {
    double world[9]; // own world to the odometry's
    float down[3];
    double weight;     // of the network's direction, 1 / rad^2
    float balanced[3]; // down, as his balance says,
    double balance;    // and what that counts; 0: does not say
    double (*stand)[3];
    int stands;
} witness;

typedef struct sums {  // information on the slope
    double H[3], r[2]; // H11, H12, H22
} sums;

// How surely the network's direction is known of one person.
static double trust(const gv_motion *m) {
    double points = 0, side = 0;
    for (size_t t = 0; t < (size_t)m->frames; t++) {
        for (int k = 0; k < 17; k++) points += m->kp2d[51 * t + 3 * k + 2] > 0.5f;
        side += (double)m->bbx_xys[3 * t + 2] / m->frames;
    }
    const double seconds = points / 17 / (m->fps > 0 ? m->fps : 30), coarse = fine_px / fmax(side, 1);
    if (!(seconds > 0)) return 0;
    return 1 / (each_person * each_person * (1 + coarse * coarse) + each_second * each_second / seconds);
}

// Where the balls of the feet stood, in the odometry's axes as the camera saw them: the mean of each stand.
static void find_stands(witness *w, const gv_motion *m) {
    for (int side = 0; side < 2; side++) {
        double sum[3] = {0};
        int n = 0;
        for (int t = 0; t <= m->frames; t++) {
            const bool on = t < m->frames && m->static_prob[GV_STATIC_JOINTS * (size_t)t + 2 * side + 1] > 0.5f;
            if (on) {
                float x[3];
                gv_mat3_apply_t(x, m->R_w2c + 9 * (size_t)t, m->joints_incam + 3 * (J * (size_t)t + BALL + side));
                for (int i = 0; i < 3; i++) sum[i] += (double)x[i];
                n++;
            } else if (n) {
                for (int i = 0; i < 3; i++) w->stand[w->stands][i] = sum[i] / n;
                w->stands++, n = 0;
                memset(sum, 0, sizeof sum);
            }
        }
    }
}

// From the feet that he stands on to the middle of his mass in frame t, own world, in which `up` is up as far as is
// known; false where he does not just stand.
static bool posture(double d[3], const gv_motion *m, int t, const double up[3]) {
    static const int others[] = {0, 15, 20, 21};
    const float *standing = m->static_prob + GV_STATIC_JOINTS * (size_t)t;
    double p[J][3], low[2] = {INFINITY, INFINITY}, share[2], left[3], front[3], total = 0;
    if (!(fmaxf(fmaxf(standing[0], standing[1]), fmaxf(standing[2], standing[3])) > 0.4f)) return false;
    for (int j = 0; j < J; j++)
        for (int i = 0; i < 3; i++) p[j][i] = (double)m->joints_world[3 * (J * (size_t)t + (size_t)j) + i];
    for (int f = 0; f < GV_FEET; f++)
        low[f / 2] = fmin(low[f / 2], gv_dot3(p[gv_foot_joints[f]], up) - gv_soles_about[f]);
    const double lowest = fmin(low[0], low[1]);
    for (size_t k = 0; k < sizeof others / sizeof *others; k++)
        if (gv_dot3(p[others[k]], up) - lowest < rests) return false;
    for (int side = 0; side < 2; side++) share[side] = fmax(1 - (low[side] - lowest) / lifted, 0);
    for (int i = 0; i < 3; i++) left[i] = p[1][i] - p[2][i];
    gv_cross3(front, left, up);
    gv_normalise3(front);
    for (int i = 0; i < 3; i++) d[i] = -ahead * front[i];
    for (int j = 0; j < J; j++) total += mass[j];
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < J; j++) d[i] += mass[j] / total * p[j][i];
        for (int f = 0; f < GV_FEET; f++) d[i] -= 0.5 * share[f / 2] / (share[0] + share[1]) * p[gv_foot_joints[f]][i];
    }
    return true;
}

static void find_balance(witness *w, const gv_motion *m) {
    double up[3] = {0, 1, 0}, turned[3], seconds = 0;
    for (int round = 0; round < BALANCE_ROUNDS; round++) { // which foot is lifted depends on it
        double sum[3] = {0}, d[3];
        int n = 0;
        for (int t = 0; t < m->frames; t++) {
            if (!posture(d, m, t, up)) continue;
            for (int i = 0; i < 3; i++) sum[i] += d[i];
            n++;
        }
        seconds = n / (m->fps > 0 ? m->fps : 30);
        if (seconds < balanced_seconds || !(gv_normalise3(sum) > 0)) return;
        memcpy(up, sum, sizeof up);
    }
    gv_so3_apply(turned, w->world, up);
    for (int i = 0; i < 3; i++) w->balanced[i] = (float)-turned[i];
    w->balance = 1 / (balanced_each * balanced_each + balanced_second * balanced_second / seconds);
}

static gv_status listen(witness *w, const gv_motion *m, bool static_camera, gv_error *err) {
    gv_motion_to_odometry(w->world, m);
    for (int i = 0; i < 3; i++) w->down[i] = (float)-w->world[3 * i + 1];
    w->weight = trust(m);
    if (!static_camera) return GV_OK;
    w->stand = gv_calloc2((size_t)m->frames + 2, sizeof *w->stand);
    if (!w->stand) return gv_fail(err, GV_ERR_MEMORY, "no memory for the steps of %d frames", m->frames);
    find_stands(w, m);
    return GV_OK;
}

static void across(double e[2][3], const double n[3]) {
    const double x[3] = {fabs(n[0]) < 0.7, fabs(n[0]) >= 0.7, 0};
    gv_cross3(e[0], n, x);
    gv_normalise3(e[0]);
    gv_cross3(e[1], n, e[0]);
}

// x = (H + lambda)^-1 r
static void solve2(double x[2], const double H[3], double lambda, const double r[2]) {
    const double a = H[0] + lambda, c = H[2] + lambda, det = a * c - H[1] * H[1];
    x[0] = (c * r[0] - H[1] * r[1]) / det;
    x[1] = (a * r[1] - H[1] * r[0]) / det;
}

// The same knowledge, of something that also has an error of its own, sd along each axis: H becomes (H^-1 + sd^2)^-1.
static void loosen(sums *s, double sd) {
    const double v = sd * sd, M[3] = {v * s->H[0], v * s->H[1], v * s->H[2]};
    double out[3], first[2], second[2], r[2];
    solve2(first, M, 1, (double[]){s->H[0], s->H[1]});
    solve2(second, M, 1, (double[]){s->H[1], s->H[2]});
    solve2(r, M, 1, s->r);
    out[0] = first[0], out[1] = 0.5 * (first[1] + second[0]), out[2] = second[1];
    memcpy(s->H, out, sizeof out);
    memcpy(s->r, r, sizeof r);
}

// The slope under one person's steps, and what it counts.
static sums slope_under(const witness *w, const double n[3], const double e[2][3]) {
    sums s = {0};
    double mean[3] = {0}, slope[2];
    if (w->stands < FEWEST_STANDS) return s;
    for (int k = 0; k < w->stands; k++)
        for (int i = 0; i < 3; i++) mean[i] += w->stand[k][i] / w->stands;
    for (int k = 0; k < w->stands; k++) {
        double d[3];
        for (int i = 0; i < 3; i++) d[i] = w->stand[k][i] - mean[i];
        const double a = gv_dot3(d, e[0]), b = gv_dot3(d, e[1]), y = gv_dot3(d, n);
        const double weight = 1 / (alike * stand_error * stand_error);
        s.H[0] += weight * a * a, s.H[1] += weight * a * b, s.H[2] += weight * b * b;
        s.r[0] += weight * a * y, s.r[1] += weight * b * y;
    }
    solve2(slope, s.H, 1 / (slope_known * slope_known), s.r);
    loosen(&s, slope_each);
    const double steep = hypot(slope[0], slope[1]) / too_steep,
                 weight = 1 / ((1 + steep * steep) * (1 + steep * steep));
    for (int i = 0; i < 3; i++) s.H[i] *= weight;
    for (int i = 0; i < 2; i++) s.r[i] *= weight;
    return s;
}

// Between what the network says (direction `said`, information `sure`) and the ground under everybody's steps.
static void join(double n[3], const witness *w, int people, const double said[3], double sure) {
    memcpy(n, said, 3 * sizeof *n);
    for (int round = 0; round < ROUNDS; round++) {
        sums all = {0};
        double e[2][3], x[2];
        across(e, n);
        for (int k = 0; k < people; k++) {
            const sums one = slope_under(w + k, n, e);
            for (int i = 0; i < 3; i++) all.H[i] += one.H[i];
            for (int i = 0; i < 2; i++) all.r[i] += one.r[i];
        }
        loosen(&all, slope_all);
        const double along = fmax(gv_dot3(said, n), 0.1);
        for (int i = 0; i < 2; i++) all.r[i] = sure * gv_dot3(said, e[i]) / along - all.r[i];
        solve2(x, all.H, sure, all.r);
        for (int i = 0; i < 3; i++) n[i] += x[0] * e[0][i] + x[1] * e[1][i];
        gv_normalise3(n);
    }
}

// The shortest turn of m's world that makes n its down.
static void level(gv_motion *m, const witness *w, const double n[3]) {
    double up[3], axis[3], Q[9];
    gv_so3_apply_t(up, w->world, n);
    for (int i = 0; i < 3; i++) up[i] = -up[i];
    gv_cross3(axis, up, (double[]){0, 1, 0});
    const double sine = gv_normalise3(axis), angle = atan2(sine, up[1]);
    if (sine < 1e-9 && up[1] < 0) axis[0] = 1; // upside down
    for (int i = 0; i < 3; i++) axis[i] *= angle;
    gv_so3_exp(Q, axis);
    float turn[9], first[3], d[3];
    for (int i = 0; i < 9; i++) turn[i] = (float)Q[i];
    memcpy(first, m->joints_world, sizeof first);
    gv_motion_turn(m, turn);
    for (int i = 0; i < 3; i++) d[i] = first[i] - m->joints_world[i];
    gv_motion_move(m, d);
}

// What the network says of all people, and what their balance says: *sure is of the network's.
static void weigh_balance(double said[3], double *sure, const witness *w, int people) {
    double sum[3];
    for (int i = 0; i < 3; i++) sum[i] = *sure * said[i];
    for (int k = 0; k < people; k++) {
        *sure += w[k].balance;
        for (int i = 0; i < 3; i++) sum[i] += w[k].balance * (double)w[k].balanced[i];
    }
    if (gv_normalise3(sum) > 0) memcpy(said, sum, sizeof sum);
}

gv_status gv_common_gravity(gv_motion *motions, int people, bool static_camera, gv_error *err) {
    if (people < 1) return GV_OK;
    witness *w = gv_calloc2((size_t)people, sizeof *w);
    float *down = gv_calloc2((size_t)people, 3 * sizeof *down);
    double *weight = gv_calloc2((size_t)people, sizeof *weight), said[3], n[3], sure = 0;
    gv_status status =
        w && down && weight ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory for the gravity of %d persons", people);
    for (int k = 0; status == GV_OK && k < people; k++) {
        status = listen(w + k, motions + k, static_camera && people > 1, err);
        find_balance(w + k, motions + k);
        memcpy(down + 3 * k, w[k].down, 3 * sizeof *down);
        sure += weight[k] = w[k].weight;
    }
    if (status == GV_OK && gv_mean_direction(said, down, weight, people)) {
        sure = 1 / (everybody * everybody + 1 / sure);
        weigh_balance(said, &sure, w, people);
        join(n, w, people, said, sure);
        for (int k = 0; k < people; k++) level(motions + k, w + k, n);
    }
    for (int k = 0; w && k < people; k++) free(w[k].stand);
    free(w);
    free(down);
    free(weight);
    return status;
}
