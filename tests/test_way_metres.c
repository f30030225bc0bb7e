// A camera that follows somebody who walks: the metre from the ground at the feet, and a walk of which the network
// makes half as much as there is, held to what the camera says.
#include "geometry/rotation.h"
#include "pipeline/hold_to_way.h"
#include "pipeline/way_metres.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { J = GV_MOTION_JOINTS, L = 240, STRIDE = 16 };
static const double UNIT = 0.31, STEP = 0.7, HEIGHT = 1.6; // m: of the way, of a foot, of the camera

typedef struct scene {
    gv_motion m;
    gv_camera_path c;
} scene;

static double noise(unsigned *seed) { // -1..1
    *seed = *seed * 1664525u + 1013904223u;
    return (double)(*seed >> 8) / (1 << 23) - 1;
}

// The foot `side` (0 left) of somebody who gets on by `pace` m a step, along his way, in frame t.
static double foot_at(double pace, int t, int side) {
    const int step = t / STRIDE, swings = step % 2 == side;
    const double share = (double)(t % STRIDE) / STRIDE;
    const int from = (step + 1 - side) / 2 * 2 + side - 1; // in steps
    return pace * (swings ? from + 2 * share - 1 : from);
}

// Camera: x right, y down, z ahead; it looks level along the way (world's z), right of which is -x.
static void to_camera(float out[3], double x, double y, double z) {
    out[0] = (float)-x, out[1] = (float)-y, out[2] = (float)z;
}

// Seen from 5 m behind; in the network's world the walk is `share` of what it is.
static scene walking(double share, bool follows, double outliers) {
    scene s = {0};
    gv_error err = {0};
    unsigned seed = 7;
    const float down[9] = {-1, 0, 0, 0, -1, 0, 0, 0, 1};
    if (gv_motion_alloc(&s.m, L, &err)) fail_msg("%s", err.text);
    s.m.fps = 30;
    s.c = (gv_camera_path){.frames = L, .is_static = !follows};
    s.c.position = calloc(1, L * 3 * sizeof(float)), s.c.stretch = calloc(1, L * sizeof(int32_t));
    s.c.position_metres_sd = calloc(1, L * sizeof(float)), s.c.ground = calloc(1, L * sizeof *s.c.ground * 2);
    for (int t = 0; t < L; t++) {
        const double way = STEP * t / STRIDE, from = follows ? way - 5 : -5;
        s.m.time_sec[t] = t / 30.0, s.m.frame_index[t] = t, s.m.bbx_xys[3 * t + 2] = 400;
        gv_rot_to_aa(s.m.global_orient_incam + 3 * t, down); // upright, seen from behind
        for (int i = 0; i < 9; i += 4) s.m.R_w2c[9 * t + i] = 1;
        for (int j = 0; j < J; j++) {
            const bool foot = j == 7 || j == 8 || j == 10 || j == 11;
            const double y = !foot    ? 0.95
                             : j < 10 ? 0.08
                                      : 0.02,
                         off = !foot   ? 0
                               : j % 2 ? 0.1
                                       : -0.1,
                         z = foot ? foot_at(STEP, t, j % 2 == 0) : way, own = share * way + (z - way) * share;
            to_camera(s.m.joints_incam + 3 * (J * t + j), off, y - HEIGHT, z - from);
            const float w[3] = {(float)off, (float)y, (float)own};
            memcpy(s.m.joints_world + 3 * (J * t + j), w, sizeof w);
        }
        memcpy(s.m.transl + 3 * t, s.m.joints_world + 3 * J * t, 3 * sizeof(float));
        for (int k = 0; k < 4; k++) s.m.static_prob[6 * t + k] = 0.9f;
        to_camera(s.c.position + 3 * t, 0, 0, (from + 5) / UNIT);
        for (int k = 0; k < 2 && t % 5 == 0; k++) {
            float p[3];
            const bool wrong = 0.5 + 0.5 * noise(&seed) < outliers;
            to_camera(p, noise(&seed), (wrong ? 0.9 : 0) - HEIGHT, way + noise(&seed) - from);
            s.c.ground[s.c.ground_count++] = (gv_ground_point){
                t, p[0] / p[2], p[1] / p[2], (float)((double)p[2] / UNIT * (1 + 0.05 * noise(&seed)))};
        }
    }
    return s;
}

static void let_go(scene *s) {
    gv_motion_free(&s->m);
    gv_camera_path_free(&s->c);
}

static double went(const gv_motion *m, int joint) {
    const float *a = m->joints_world + 3 * joint, *b = a + 3 * J * (L - 1);
    return hypot((double)b[0] - (double)a[0], (double)b[2] - (double)a[2]);
}

static void hold(scene *s) {
    gv_error err = {0};
    if (gv_way_to_metres(&s->c, &s->m, 1, &err) || gv_hold_to_way(&s->m, &s->c, true, &err)) fail_msg("%s", err.text);
}

static void the_ground_tells_the_metre(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        scene s = walking(1, true, k ? 0.3 : 0);
        hold(&s);
        assert_true(s.c.position_metres_sd[0] > 0 && s.c.position_metres_sd[0] < 0.2f);
        const double unit = went(&s.m, 0) / (STEP * (L - 1) / STRIDE);
        const double metres = (double)s.c.position[3 * (L - 1) + 2] / (STEP * (L - 1) / STRIDE);
        if (fabs(metres - 1) > 0.05 || fabs(unit - 1) > 0.05)
            fail_msg("a metre of the way is %g, of the walk %g", metres, unit);
        let_go(&s);
    }
}

static void half_a_gait_becomes_a_whole_one(void **state) {
    (void)state;
    for (int follows = 0; follows < 2; follows++) {
        scene s = walking(0.5, follows, 0.1);
        const double truth = STEP * (L - 1) / STRIDE;
        assert_true(fabs(went(&s.m, 0) - truth / 2) < 0.01);
        hold(&s);
        if (fabs(went(&s.m, 0) - truth) > 0.12 * truth) fail_msg("%d: went %g m of %g", follows, went(&s.m, 0), truth);
        for (int t = 0; t < L; t++) // transl and joints go together, upright
            for (int i = 0; i < 3; i++)
                assert_true(fabs((double)s.m.transl[3 * t + i] - (double)s.m.joints_world[3 * J * t + i]) < 1e-4);
        let_go(&s);
    }
}

// Of two feet said to stand the one that swings does not; the other does.
static void the_foot_that_swings_does_not_stand(void **state) {
    (void)state;
    scene s = walking(1, true, 0);
    hold(&s);
    for (int t = 4 * STRIDE + 5; t < L - 2 * STRIDE; t++) {
        const int at = t % STRIDE, swings = t / STRIDE % 2; // left swings in even steps
        if (at < 4 || at > STRIDE - 4) continue;
        const float *p = s.m.static_prob + 6 * t;
        if (!(p[2 * swings] < 0.3f) || !(p[2 - 2 * swings] > 0.7f)) fail_msg("frame %d: %g and %g", t, p[0], p[2]);
    }
    let_go(&s);
}

// The network keeps somebody on his feet who jumps; the camera, which stands, sees him in the air.
static void a_jump_is_seen(void **state) {
    (void)state;
    enum { UP = 100, DOWN = 115 };
    const double high = 0.4;
    scene s = walking(1, false, 0);
    for (int t = UP; t < DOWN; t++)
        for (int j = 0; j < J; j++) s.m.joints_incam[3 * (J * t + j) + 1] -= (float)high;
    hold(&s);
    for (int t = 0; t < L; t++) {
        const double truth = 0.95 + (t >= UP && t < DOWN ? high : 0), y = (double)s.m.joints_world[3 * J * t + 1];
        const bool between = abs(t - UP) < 4 || abs(t - DOWN) < 4;
        if (!between && fabs(y - truth) > 0.08) fail_msg("frame %d: the pelvis is at %g m, expected %g", t, y, truth);
        for (int f = 0; f < 4 && !between && t > UP && t < DOWN; f++) assert_true(s.m.static_prob[6 * t + f] < 0.2f);
    }
    let_go(&s);
}

static void without_a_way_nothing_changes(void **state) {
    (void)state;
    for (int k = 0; k < 3; k++) {
        scene s = walking(0.5, true, 0), same = walking(0.5, true, 0);
        if (k == 0) s.c.ground_count = 3; // too little is seen of the ground
        if (k == 1) s.c.ground_count = 0;
        if (k == 2)
            for (long i = 0; i < s.c.ground_count; i++)
                s.c.ground[i].depth *= expf(4 * sinf((float)i)); // nothing agrees
        hold(&s);
        assert_true(s.c.position_metres_sd[0] == 0);
        assert_memory_equal(s.m.joints_world, same.m.joints_world, sizeof(float) * 3 * J * L);
        assert_memory_equal(s.m.static_prob, same.m.static_prob, sizeof(float) * 6 * L);
        assert_memory_equal(s.c.position, same.c.position, sizeof(float) * 3 * L);
        let_go(&s), let_go(&same);
    }
}

// A lost picture: the way goes on in another unit, from another origin. Nobody is carried back, nobody jumps.
static void stretches_are_joined(void **state) {
    (void)state;
    scene s = walking(0.5, true, 0.1);
    const int cut = L / 2, gap = 6;
    for (int t = cut; t < L; t++) {
        s.c.stretch[t] = t < cut + gap ? -1 : 1;
        for (int i = 0; i < 3; i++) s.c.position[3 * t + i] = 3 * s.c.position[3 * t + i] - 20;
    }
    for (long i = 0; i < s.c.ground_count; i++)
        if (s.c.ground[i].frame >= cut) s.c.ground[i].depth *= 3;
    hold(&s);
    const double truth = STEP * (L - 1 - gap) / STRIDE;
    if (fabs(went(&s.m, 0) - truth) > 0.15 * truth) fail_msg("went %g m of %g", went(&s.m, 0), truth);
    for (int t = 1; t < L; t++) {
        const float *a = s.m.joints_world + 3 * J * (t - 1), *b = a + 3 * J;
        if (!(b[2] - a[2] > -0.03f) || !(b[2] - a[2] < 0.12f)) fail_msg("frame %d: %g m", t, b[2] - a[2]);
    }
    let_go(&s);
}

static void points_at_the_feet_are_chosen(void **state) {
    (void)state;
    const float boxes[6][4] = {{0, 0, 1, 1}, {0, 0, 2, 2}, {0, 0, 3, 3},
                               {0, 0, 4, 4}, {0, 0, 5, 5}, {0, 0, 0.5f, 0.5f}};
    float kept[GV_GROUND_BOXES][4];
    assert_int_equal(gv_ground_boxes(kept, boxes, 6), GV_GROUND_BOXES);
    for (int i = 0; i < GV_GROUND_BOXES; i++) assert_true(kept[i][2] == (float)(5 - i));
    assert_int_equal(gv_ground_boxes(kept, boxes, 0), 0);
    enum { N = 60 };
    double x[N], y[N], rho[N];
    int index[GV_GROUND_POINTS];
    for (int i = 0; i < N; i++) x[i] = 0.5 + 0.01 * i, y[i] = 1.05, rho[i] = 1;
    rho[0] = 0, rho[1] = -1, y[2] = 0.5, y[3] = 1.6; // not known, behind, on the body, far below
    assert_int_equal(gv_ground_choose(index, x, y, rho, N, boxes, 1), GV_GROUND_POINTS);
    for (int i = 0; i < GV_GROUND_POINTS; i++) assert_int_equal(index[i], 4 + i);
    assert_int_equal(gv_ground_choose(index, x, y, rho, N, boxes, 0), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ground_tells_the_metre),          cmocka_unit_test(half_a_gait_becomes_a_whole_one),
        cmocka_unit_test(the_foot_that_swings_does_not_stand), cmocka_unit_test(a_jump_is_seen),
        cmocka_unit_test(without_a_way_nothing_changes),       cmocka_unit_test(stretches_are_joined),
        cmocka_unit_test(points_at_the_feet_are_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
