// One world for everybody: a made-up scene is taken apart into what the network gives for each person (own
// heading, own origin, view from the camera) and must come together again.
#include "base/order.h"
#include "geometry/rotation.h"
#include "pipeline/scene.h"
#include "test.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { FRAMES = 90, PEOPLE = 3 };
typedef struct truth {
    float camera_R[FRAMES][9], camera_c[FRAMES][3]; // world -> camera, centre in the world
    float root_R[PEOPLE][FRAMES][9], root[PEOPLE][FRAMES][3];
} truth;

static void euler(float R[9], float yaw, float pitch) {
    float a[3] = {0, yaw, 0}, b[3] = {pitch, 0, 0}, Y[9], X[9];
    gv_rot_from_aa(Y, a);
    gv_rot_from_aa(X, b);
    gv_mat3_mul(R, Y, X);
}

static void make_truth(truth *w, int moving) {
    const float flip[9] = {-1, 0, 0, 0, -1, 0, 0, 0, 1}; // camera axes: y down
    for (int t = 0; t < FRAMES; t++) {
        float turn[9], s = moving ? (float)t / FRAMES : 0;
        euler(turn, 0.1f - 0.5f * s, 0.2f + 0.1f * s);
        gv_mat3_mul_nt(w->camera_R[t], flip, turn); // looks along +z, downwards
        w->camera_c[t][0] = 0.5f * s;
        w->camera_c[t][1] = 2.5f;
        w->camera_c[t][2] = -6 + s;
        for (int p = 0; p < PEOPLE; p++) {
            euler(w->root_R[p][t], 0.3f * (float)p + 0.01f * (float)t, 0.05f);
            w->root[p][t][0] = (float)p - 1 + 0.02f * (float)t;
            w->root[p][t][1] = 0.95f;
            w->root[p][t][2] = 1.5f * (float)p + 0.01f * (float)t * (float)(p - 1);
        }
    }
}

// Person p as the network sees it: first frame `first`, own world turned by yaw and moved by (dx, dz).
static void make_motion(gv_motion *m, const truth *w, int p, int first, int frames, float yaw, float dx, float dz) {
    gv_error err = {0};
    assert_int_equal(gv_motion_alloc(m, frames, &err), GV_OK);
    float aa[3] = {0, yaw, 0}, Y[9];
    gv_rot_from_aa(Y, aa);
    for (int t = 0; t < frames; t++) {
        int f = first + t;
        float R[9], x[3], shifted[3];
        m->frame_index[t] = f;
        gv_mat3_mul(R, Y, w->root_R[p][f]);
        gv_rot_to_aa(m->global_orient + 3 * t, R);
        gv_mat3_mul(R, w->camera_R[f], w->root_R[p][f]);
        gv_rot_to_aa(m->global_orient_incam + 3 * t, R);
        gv_mat3_apply(x, Y, w->root[p][f]);
        x[0] += dx;
        x[2] += dz;
        for (int i = 0; i < 3; i++) shifted[i] = w->root[p][f][i] - w->camera_c[f][i];
        float c[3];
        gv_mat3_apply(c, w->camera_R[f], shifted);
        for (int i = 0; i < 3; i++) {
            float rest = i == 1 ? -0.35f : 0.01f;
            for (int j = 0; j < GV_MOTION_JOINTS; j++) {
                m->joints_world[(t * GV_MOTION_JOINTS + j) * 3 + i] = x[i];
                m->joints_incam[(t * GV_MOTION_JOINTS + j) * 3 + i] = c[i];
            }
            m->transl[3 * t + i] = x[i] - rest;
            m->transl_incam[3 * t + i] = c[i] - rest;
        }
    }
}

static void comes_together(int moving) {
    static truth w;
    static double times[FRAMES];
    make_truth(&w, moving);
    gv_motion m[PEOPLE] = {0};
    make_motion(&m[0], &w, 0, 0, 60, 0, 0, 0);
    make_motion(&m[1], &w, 1, 20, 70, 1.2f, 3, -2);
    make_motion(&m[2], &w, 2, 65, 25, -2.5f, -1, 7); // never with person 1, only with person 2
    gv_scene_observations s = {.frames = FRAMES, .time_sec = times, .people = PEOPLE};
    static float V[FRAMES * 9];
    for (int t = 0; t < FRAMES; t++) gv_mat3_mul_nt(V + 9 * t, w.camera_R[t], w.camera_R[0]);
    s.camera = (gv_camera_path){.frames = FRAMES, .R_w2c = V, .is_static = !moving};
    gv_scene scene;
    gv_error err = {0};
    assert_int_equal(gv_scene_compose(&scene, m, PEOPLE, &s, &err), GV_OK);
    for (int p = 0; p < PEOPLE; p++)
        for (int t = 0; t < m[p].frames; t++) {
            int f = m[p].frame_index[t];
            float R[9];
            gv_rot_from_aa(R, m[p].global_orient + 3 * t);
            assert_true(gv_rot_angle(R, w.root_R[p][f]) < 2e-3);
            for (int i = 0; i < 3; i++) {
                assert_float_equal(m[p].joints_world[t * GV_MOTION_JOINTS * 3 + i], w.root[p][f][i], 5e-3);
                assert_float_equal(m[p].transl[3 * t + i] + (i == 1 ? -0.35f : 0.01f), w.root[p][f][i], 5e-3);
            }
        }
    for (int t = 0; t < FRAMES; t++) {
        float c[3];
        gv_mat3_apply_t(c, scene.R_w2c + 9 * t, scene.t_w2c + 3 * t);
        assert_true(scene.camera_known[t]);
        assert_true(gv_rot_angle(scene.R_w2c + 9 * t, w.camera_R[t]) < 2e-3);
        for (int i = 0; i < 3; i++) assert_float_equal(-c[i], w.camera_c[t][i], 1e-2);
    }
    gv_scene_free(&scene);
    for (int p = 0; p < PEOPLE; p++) gv_motion_free(&m[p]);
}

static void static_camera(void **state) {
    (void)state;
    comes_together(0);
}

static void moving_camera(void **state) {
    (void)state;
    comes_together(1);
}

// One person leaves before the other comes: only the picture's way, in a unit of its own, joins what both say.
// `unit` 0: the picture tells no way.
static float second_person_off(float unit, gv_scene *scene) {
    static truth w;
    static double times[FRAMES];
    static float V[FRAMES * 9], position[FRAMES * 3], sure[FRAMES];
    static int32_t stretch[FRAMES];
    make_truth(&w, 1);
    gv_motion m[2] = {0};
    for (int t = 0; t < FRAMES; t++) w.camera_c[t][0] = 3 * (float)t / FRAMES; // sideways, steadily
    make_motion(&m[0], &w, 0, 0, 50, 0, 0, 0);
    make_motion(&m[1], &w, 2, 60, 30, -2.5f, -1, 7);
    for (int t = 0; t < 50; t++) // how far away people are is not well known
        for (int i = 0; i < 3 * GV_MOTION_JOINTS; i++)
            m[0].joints_incam[3 * GV_MOTION_JOINTS * t + i] *= 1 + 0.02f * sinf(0.3f * (float)t);
    for (int t = 0; t < FRAMES; t++) {
        float went[3];
        gv_mat3_mul_nt(V + 9 * t, w.camera_R[t], w.camera_R[0]);
        for (int i = 0; i < 3; i++) went[i] = (w.camera_c[t][i] - w.camera_c[0][i]) / (unit > 0 ? unit : 1);
        gv_mat3_apply(position + 3 * t, w.camera_R[0], went);
        sure[t] = 0.9f;
    }
    gv_scene_observations s = {.frames = FRAMES, .time_sec = times, .people = 2};
    s.camera = (gv_camera_path){.frames = FRAMES, .R_w2c = V};
    if (unit > 0) s.camera.position = position, s.camera.position_confidence = sure, s.camera.stretch = stretch;
    gv_error err = {0};
    assert_int_equal(gv_scene_compose(scene, m, 2, &s, &err), GV_OK);
    float off = 0;
    for (int t = 0; t < 30; t++)
        for (int i = 0; i < 3; i++)
            off = fmaxf(off, fabsf(m[1].joints_world[t * GV_MOTION_JOINTS * 3 + i] - w.root[2][60 + t][i]));
    for (int p = 0; p < 2; p++) gv_motion_free(&m[p]);
    return off;
}

static void the_way_goes_on_while_nobody_is_seen(void **state) {
    (void)state;
    gv_scene scene;
    float without = second_person_off(0, &scene);
    assert_false(scene.camera_known[55]);
    assert_true(scene.unit_sd == 0 && scene.way_confidence[30] == 0);
    gv_scene_free(&scene);
    for (int k = 0; k < 2; k++) {
        float with = second_person_off(k ? 0.2f : 7, &scene);
        printf("the second person is off by %.2f m, without the picture's way by %.2f m\n", with, without);
        assert_true(with < 0.12f);
        assert_true(without > 3 * with);
        assert_true(scene.camera_known[55]);
        assert_true(scene.way_confidence[55] > 0.8f);
        assert_true(scene.unit_sd > 0 && scene.unit_sd < 0.2);
        gv_scene_free(&scene);
    }
}

// ---- two who walk together

enum { WALK = 300 };             // frames at 30 per second
static const double apart = 0.8; // m

// Where walker p truly is: in step along +x at 1.2 m/s, the other to the left of him.
static void walker(float x[3], int p, int f) {
    x[0] = 0.04f * (float)f - 6;
    x[1] = 0.93f;
    x[2] = (float)apart * (float)p;
}

static float noise(uint32_t *state) { // -1 .. 1
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 8388608.0f - 1;
}

// As a network gets walker p: steps too long or too short, a path that bends, distances from the camera that breathe,
// a world of his own.
static void make_walker(gv_motion *m, const float (*R)[9], const float (*c)[3], int p) {
    gv_error err = {0};
    uint32_t state = 7u + (uint32_t)p;
    const float stretch = p ? 1.03f : 0.97f, bend = p ? 0.05f : -0.05f, yaw = p ? 2 : 0; // rad over the way; rad
    float at[3] = {0};
    assert_int_equal(gv_motion_alloc(m, WALK, &err), GV_OK);
    for (int f = 0; f < WALK; f++) {
        const float turn[3] = {0, yaw + bend * ((float)f / WALK - 0.5f), 0};
        float x[3], before[3], step[3], turned[3], Y[9], seen[3];
        m->frame_index[f] = f;
        m->time_sec[f] = f / 30.0;
        walker(x, p, f);
        walker(before, p, f ? f - 1 : 0);
        gv_rot_from_aa(Y, turn);
        gv_rot_to_aa(m->global_orient + 3 * f, Y);
        gv_rot_to_aa(m->global_orient_incam + 3 * f, R[f]); // he does not turn
        for (int i = 0; i < 3; i++) step[i] = stretch * (x[i] - before[i]) + 0.004f * noise(&state) * (float)(i != 1);
        gv_mat3_apply(turned, Y, step);
        for (int i = 0; i < 3; i++) at[i] = i == 1 ? x[1] : at[i] + turned[i], x[i] -= c[f][i];
        gv_mat3_apply(seen, R[f], x);
        const float depth = 1 + 0.03f * sinf(0.05f * (float)f + 2 * (float)p) + 0.02f * noise(&state);
        for (int j = 0; j < GV_MOTION_JOINTS; j++)
            for (int i = 0; i < 3; i++) {
                m->joints_world[(f * GV_MOTION_JOINTS + j) * 3 + i] = at[i];
                m->joints_incam[(f * GV_MOTION_JOINTS + j) * 3 + i] = depth * seen[i];
            }
        memcpy(m->transl + 3 * f, at, sizeof at);
    }
}

static void walks_together(bool moving) {
    static float R[WALK][9], c[WALK][3], V[9 * WALK];
    static double beside[WALK], ahead[WALK], times[WALK];
    const float flip[9] = {-1, 0, 0, 0, -1, 0, 0, 0, 1};
    for (int f = 0; f < WALK; f++) { // a camera that stands, or that goes along and turns to and fro
        float turn[9];
        euler(turn, moving ? 0.3f * sinf(0.02f * (float)f) : 0, 0.15f);
        gv_mat3_mul_nt(R[f], flip, turn);
        c[f][0] = moving ? 0.036f * (float)f - 5 : 0, c[f][1] = 1.6f, c[f][2] = -7;
        gv_mat3_mul_nt(V + 9 * f, R[f], R[0]);
        times[f] = f / 30.0;
    }
    gv_motion m[2] = {0};
    for (int p = 0; p < 2; p++) make_walker(&m[p], (const float(*)[9])R, (const float(*)[3])c, p);
    gv_scene_observations s = {.frames = WALK, .time_sec = times, .people = 2};
    s.camera = (gv_camera_path){.frames = WALK, .R_w2c = V, .is_static = !moving};
    gv_scene scene;
    gv_error err = {0};
    assert_int_equal(gv_scene_compose(&scene, m, 2, &s, &err), GV_OK);
    for (int f = 0; f < WALK; f++) { // in the direction in which the first one walks, and across
        const float *a = m[0].joints_world, *b = m[1].joints_world + 3 * GV_MOTION_JOINTS * f;
        const int last = 3 * GV_MOTION_JOINTS * (WALK - 1);
        double x = (double)a[last] - a[0], z = (double)a[last + 2] - a[2], n = hypot(x, z);
        a += 3 * GV_MOTION_JOINTS * f;
        double dx = (double)b[0] - a[0], dz = (double)b[2] - a[2];
        ahead[f] = fabs((x * dx + z * dz) / n);
        beside[f] = (x * dz - z * dx) / n;
    }
    gv_sort_doubles(ahead, WALK);
    gv_sort_doubles(beside, WALK);
    print_message("%s camera: %.2f m beside each other in the median (true %.2f), %.2f to %.2f over the whole way; in "
                  "step to %.2f m in the median, %.2f at most\n",
                  moving ? "moving" : "static", beside[WALK / 2], apart, beside[0], beside[WALK - 1], ahead[WALK / 2],
                  ahead[WALK - 1]);
    assert_true(fabs(beside[WALK / 2] - apart) < 0.15);
    assert_true(beside[0] > 0.5 * apart && beside[WALK - 1] < 1.5 * apart);
    assert_true(ahead[WALK / 2] < 0.25 && ahead[WALK - 1] < 0.5);
    gv_scene_free(&scene);
    for (int p = 0; p < 2; p++) gv_motion_free(&m[p]);
}

static void together_before_a_static_camera(void **state) {
    (void)state;
    walks_together(false);
}

static void together_before_a_moving_camera(void **state) {
    (void)state;
    walks_together(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(static_camera), cmocka_unit_test(moving_camera),
                                       cmocka_unit_test(the_way_goes_on_while_nobody_is_seen),
                                       cmocka_unit_test(together_before_a_static_camera),
                                       cmocka_unit_test(together_before_a_moving_camera)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
