// One direction of gravity for everybody: people who walk on level ground or climb stairs, each in a world of his own
// that is tilted as the network's directions are, seen by one camera.
#include "geometry/rotation.h"
#include "pipeline/common_gravity.h"
#include "pipeline/settle.h"
#include "test.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { J = GV_MOTION_JOINTS, L = 300, STRIDE = 20, MOST = 6 };
static gv_body *body;

typedef struct walker {
    float from[2], heading;        // m, radians: 0 goes away from the camera
    float rise, way;               // of a step, m
    float pitch_error, roll_error; // of what the network says, degrees
} walker;

static void turn(float R[9], float x, float y, float z) { // degrees, about one axis
    float aa[3] = {x * (float)M_PI / 180, y * (float)M_PI / 180, z * (float)M_PI / 180};
    gv_rot_from_aa(R, aa);
}

// World (y up) to the camera of frame t: it looks along z, down by `pitch` degrees, and turns by `pan` a frame.
static void camera_of(float V[9], float pitch, float pan, int t) {
    const float flip[9] = {-1, 0, 0, 0, -1, 0, 0, 0, 1};
    float P[9], Y[9], FY[9];
    turn(Y, 0, pan * (float)t, 0);
    turn(P, pitch, 0, 0); // what is straight ahead comes to lie above the picture's middle
    gv_mat3_mul(FY, flip, Y);
    gv_mat3_mul(V, P, FY);
}

static void set(gv_motion *m, int t, int joint, const float x[3], const float V[9], const float centre[3],
                const float T[9]) {
    float d[3];
    for (int i = 0; i < 3; i++) d[i] = x[i] - centre[i];
    gv_mat3_apply(m->joints_incam + 3 * (J * t + joint), V, d);
    gv_mat3_apply(m->joints_world + 3 * (J * t + joint), T, x);
}

// The feet stand in turn, STRIDE frames each; odometry's world is the first camera's.
static gv_motion walking(const walker *w, float pitch, float pan) {
    gv_motion m;
    const float centre[3] = {0, 7, 0};
    float T[9], A[9], B[9], first[9];
    assert_int_equal(gv_motion_alloc(&m, L, NULL), GV_OK);
    turn(A, w->pitch_error, 0, 0);
    turn(B, 0, 0, w->roll_error);
    gv_mat3_mul(T, A, B); // the truth to the person's own world
    camera_of(first, pitch, pan, 0);
    m.fps = 30;
    for (int t = 0; t < L; t++) {
        float V[9], R[9], own[9], yaw[9];
        const int step = t / STRIDE;
        const float along = w->way * (float)t / STRIDE, s = sinf(w->heading), c = cosf(w->heading);
        camera_of(V, pitch, pan, t);
        turn(yaw, 0, w->heading * 180 / (float)M_PI, 0);
        gv_mat3_mul(R, V, yaw);
        gv_rot_to_aa(m.global_orient_incam + 3 * t, R);
        gv_mat3_mul(own, T, yaw);
        gv_rot_to_aa(m.global_orient + 3 * t, own);
        gv_mat3_mul_nt(m.R_w2c + 9 * t, V, first);
        for (int j = 0; j < J; j++) {
            const bool foot = j == 7 || j == 8 || j == 10 || j == 11;
            const int side = j == 8 || j == 11, stand = step + ((step + side) % 2); // where this foot is or goes
            const float at = foot ? w->way * (float)stand : along;
            const float x[3] = {w->from[0] + s * at, (foot ? 0.02f : 0.95f) + w->rise * (float)(foot ? stand : step),
                                w->from[1] + c * at};
            set(&m, t, j, x, V, centre, T);
        }
        memcpy(m.transl + 3 * t, m.joints_world + 3 * J * t, 3 * sizeof(float));
        for (int k = 0; k < 4; k++)
            m.static_prob[6 * t + k] = t % STRIDE > 1 && t % STRIDE < STRIDE - 1 && k / 2 == step % 2;
        for (int k = 0; k < 17; k++) m.kp2d[51 * t + 3 * k + 2] = 0.9f;
        m.bbx_xys[3 * t + 2] = 150;
        m.time_sec[t] = t / 30.0;
        m.frame_index[t] = t;
    }
    return m;
}

// Down in the odometry's world as m says in frame t.
static void down_of(double n[3], const gv_motion *m, int t) {
    float Rw[9], Rc[9], C[9], M[9];
    gv_rot_from_aa(Rw, m->global_orient + 3 * t);
    gv_rot_from_aa(Rc, m->global_orient_incam + 3 * t);
    gv_mat3_mul_nt(C, Rc, Rw);
    gv_mat3_mul_tn(M, m->R_w2c + 9 * t, C);
    for (int i = 0; i < 3; i++) n[i] = -(double)M[3 * i + 1];
}

// Degrees between the truth and the direction that all agree on now.
static double off(const gv_motion *m, int people, float pitch) {
    double n[3], other[3];
    float V[9];
    camera_of(V, pitch, 0, 0);
    down_of(n, m, 0);
    for (int k = 0; k < people; k++)
        for (int t = 0; t < L; t += 50) {
            down_of(other, m + k, t);
            for (int i = 0; i < 3; i++) assert_true(fabs(other[i] - n[i]) < 1e-3);
        }
    return 180 / M_PI * acos(fmin(1, -(n[0] * (double)V[1] + n[1] * (double)V[4] + n[2] * (double)V[7])));
}

static void make(gv_motion *m, const walker *w, int people, float pitch, float pan) {
    for (int k = 0; k < people; k++) m[k] = walking(w + k, pitch, pan);
}

static void join(gv_motion *m, int people, bool still) {
    gv_error err = {0};
    if (gv_common_gravity(m, people, still, &err)) fail_msg("%s", err.text);
}

static double climbed(gv_motion *m, bool common) {
    assert_int_equal(gv_settle_height(m, body, common, NULL), GV_OK);
    return (double)m->joints_world[3 * (J * (L - 1)) + 1] - (double)m->joints_world[1];
}

static void let_go(gv_motion *m, int people) {
    for (int k = 0; k < people; k++) gv_motion_free(m + k);
}

// Seen from 7 m up everybody's direction is wrong alike, by 12 degrees and some: level ground is a staircase to two of
// them.
static void steep_views_have_no_stairs(void **state) {
    (void)state;
    const walker w[5] = {{{0, 8}, 0.2f, 0, 0.65f, -14, 1},
                         {{3, 18}, 2.8f, 0, 0.65f, -10, -2},
                         {{-6, 14}, 1.6f, 0, 0.6f, -12, 0},
                         {{6, 12}, -1.2f, 0, 0.65f, -9, 1},
                         {{-2, 9}, 0.4f, 0, 0.7f, -16, -1}};
    gv_motion m[MOST];
    make(m, w, 5, 22, 0);
    assert_true(fabs(climbed(&m[4], true)) > 1);
    let_go(m, 5);
    make(m, w, 5, 22, 0);
    const float *start = m[2].joints_world;
    const float before[3] = {start[0], start[1], start[2]};
    join(m, 5, true);
    for (int i = 0; i < 3; i++) assert_float_equal(start[i], before[i], 1e-5);
    printf("steep view: off by %.1f degrees\n", off(m, 5, 22));
    assert_true(off(m, 5, 22) < 6.5);
    for (int k = 0; k < 5; k++) {
        for (int t = 0; t < L; t++) // the parameters go with the joints
            for (int i = 0; i < 3; i++)
                assert_float_equal(m[k].transl[3 * t + i], m[k].joints_world[3 * J * t + i], 1e-4);
        assert_true(fabs(climbed(&m[k], true)) < 0.15);
    }
    let_go(m, 5);
}

// Of somebody alone his balance counts as much as the network: he who seems to lean is half upright again. Of who lies
// nothing is to be had.
static void who_is_alone_keeps_his_balance(void **state) {
    (void)state;
    for (int climbs = 0; climbs < 2; climbs++) {
        const walker w = {{0, 8}, 0.2f, climbs ? 0.17f : 0, climbs ? 0.29f : 0.65f, -14, 1};
        gv_motion m = walking(&w, 20, 0);
        assert_true(off(&m, 1, 20) > 13);
        join(&m, 1, true);
        printf("alone: off by %.1f degrees\n", off(&m, 1, 20));
        assert_true(off(&m, 1, 20) < (climbs ? 12 : 9)); // on stairs the lower foot carries more
        gv_motion_free(&m);
    }
    const walker lies = {{0, 8}, 0, 0, 0, 80, 0};
    gv_motion a = walking(&lies, 20, 0), b = walking(&lies, 20, 0);
    join(&a, 1, true);
    for (int i = 0; i < L * J * 3; i++) assert_float_equal(a.joints_world[i], b.joints_world[i], 1e-4);
    gv_motion_free(&a), gv_motion_free(&b);
}

// One whole track is wrong: lying, or upside down. Nobody walks, so that the directions alone are asked.
static void a_wrong_track_is_outvoted(void **state) {
    (void)state;
    for (int still = 0; still < 2; still++)
        for (int k = 0; k < 2; k++) {
            const walker w[4] = {{{0, 8}, 0, 0, 0, 2, 1},
                                 {{3, 9}, 1, 0, 0, -2, -2},
                                 {{-1, 7}, 2, 0, 0, 0, 2},
                                 {{2, 6}, 3, 0, 0, k ? 175 : 80, 0}};
            gv_motion m[MOST];
            make(m, w, 4, 10, still ? 0 : 0.2f);
            join(m, 4, still);
            printf("one wrong by %.0f: off by %.1f degrees\n", (double)w[3].pitch_error, off(m, 4, 10));
            assert_true(off(m, 4, 10) < 3);
            let_go(m, 4);
        }
}

// Two people go up stairs, one after the other: their steps say nothing of gravity, and they are climbed.
static void stairs_stay_stairs(void **state) {
    (void)state;
    const walker w[2] = {{{0, 8}, 0.3f, 0.17f, 0.29f, 3, 1}, {{0.6f, 6}, 0.3f, 0.17f, 0.29f, -2, -2}};
    for (int down = 0; down < 2; down++) {
        walker both[2] = {w[0], w[1]};
        for (int k = 0; k < 2 && down; k++) both[k].rise = -0.17f;
        gv_motion m[MOST];
        make(m, both, 2, 10, 0);
        join(m, 2, true);
        const double angle = off(m, 2, 10), height = climbed(&m[0], true),
                     truth = (down ? -0.17 : 0.17) * (L / STRIDE - 1);
        printf("stairs: off by %.1f degrees, %.2f of %.2f m climbed\n", angle, height, truth);
        assert_true(angle < 4 && height / truth > 0.8 && height / truth < 1.2);
        let_go(m, 2);
    }
}

// Shallow stairs among people on level ground, whose steps say where down is.
static void shallow_stairs_among_others(void **state) {
    (void)state;
    const walker w[4] = {{{0, 8}, 0.3f, 0.13f, 0.36f, -3, 1},
                         {{3, 18}, 2.8f, 0, 0.65f, -8, -2},
                         {{-6, 14}, 1.6f, 0, 0.6f, -5, 0},
                         {{6, 12}, -1.2f, 0, 0.65f, -7, 1}};
    gv_motion m[MOST];
    make(m, w, 4, 15, 0);
    join(m, 4, true);
    const double truth = 0.13 * (L / STRIDE - 1), height = climbed(&m[0], true);
    printf("stairs of 20 degrees: %.2f of %.2f m climbed\n", height, truth);
    assert_true(height / truth > 0.7 && height / truth < 1.3);
    for (int k = 1; k < 4; k++) assert_true(fabs(climbed(&m[k], true)) < 0.15);
    let_go(m, 4);
}

// A camera that pans: directions are compared in one world, whatever it looks at.
static void moving_cameras(void **state) {
    (void)state;
    const walker w[3] = {{{0, 8}, 0, 0, 0.6f, 6, 0}, {{3, 9}, 1, 0, 0.6f, -2, -6}, {{-1, 7}, 2, 0, 0.6f, -4, 6}};
    gv_motion m[MOST];
    make(m, w, 3, 10, 0.3f);
    join(m, 3, false);
    assert_true(off(m, 3, 10) < 1.5);
    let_go(m, 3);
}

// What cannot be made sense of changes nothing and breaks nothing: nobody seen, one frame.
static void little_to_go_by(void **state) {
    (void)state;
    const walker w[2] = {{{0, 8}, 0, 0, 0.6f, 6, 0}, {{3, 9}, 1, 0, 0.6f, -2, 0}};
    gv_motion m[MOST];
    make(m, w, 2, 10, 0);
    for (int k = 0; k < 2; k++) memset(m[k].kp2d, 0, L * 51 * sizeof(float));
    const float before = m[0].joints_world[3 * J * 200];
    join(m, 2, true);
    assert_float_equal(m[0].joints_world[3 * J * 200], before, 0);
    for (int k = 0; k < 51; k++) m[0].kp2d[k] = 1;
    m[0].frames = 1;
    join(m, 2, true);
    for (int i = 0; i < 3; i++) assert_true(isfinite(m[0].joints_world[i]) && isfinite(m[1].joints_world[i]));
    m[0].frames = L;
    let_go(m, 2);
}

static int set_up(void **state) {
    (void)state;
    return gv_body_open(&body, NULL, NULL) == GV_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    gv_body_close(body);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steep_views_have_no_stairs),
        cmocka_unit_test(who_is_alone_keeps_his_balance),
        cmocka_unit_test(a_wrong_track_is_outvoted),
        cmocka_unit_test(stairs_stay_stairs),
        cmocka_unit_test(shallow_stairs_among_others),
        cmocka_unit_test(moving_cameras),
        cmocka_unit_test(little_to_go_by),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
