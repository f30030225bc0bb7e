// The focal length from people before a standing camera: made-up walks, seen with a focal length that is wrong.
#include "geometry/rotation.h"
#include "pipeline/focal_people.h"
#include "test.h"

enum { FRAMES = 150 };

// Somebody goes around a point 5 m before the camera, `radius` away from it; the camera looks down by 10 degrees. What
// the camera is said to see is as far as a lens told `wrong` times too long says.
static gv_motion walk(float radius, float wrong) {
    gv_error err = {0};
    gv_motion m = {0};
    assert_int_equal(gv_motion_alloc(&m, FRAMES, &err), GV_OK);
    const float level[9] = {1, 0, 0, 0, -1, 0, 0, 0, -1}; // world (y up) to a camera that looks along -z
    float down[3] = {0.17f, 0, 0}, T[9], S[9];
    gv_rot_from_aa(T, down);
    gv_mat3_mul(S, T, level);
    for (int t = 0; t < FRAMES; t++) {
        float angle = 0.05f * (float)t, yaw[3] = {0, -angle, 0}, Rw[9], Rc[9], c[3];
        float w[3] = {radius * cosf(angle), 1, radius * sinf(angle)}, from[3] = {w[0], w[1] - 1.6f, w[2] - 5};
        gv_rot_from_aa(Rw, yaw);
        gv_mat3_mul(Rc, S, Rw);
        gv_rot_to_aa(m.global_orient + 3 * t, Rw);
        gv_rot_to_aa(m.global_orient_incam + 3 * t, Rc);
        gv_mat3_apply(c, S, from);
        c[2] *= wrong;
        for (int i = 0; i < 3; i++) {
            float error = 0.02f * sinf(0.7f * (float)t + (float)i); // the network's
            m.joints_world[3 * GV_MOTION_JOINTS * t + i] = w[i] + error;
            m.joints_incam[3 * GV_MOTION_JOINTS * t + i] = c[i];
        }
        m.bbx_xys[3 * t + 2] = 300;
        m.time_sec[t] = t / 30.0;
        for (int i = 0; i < 9; i += 4) m.R_w2c[9 * t + i] = 1;
    }
    return m;
}

static void walking_to_and_fro_tells(void **state) {
    (void)state;
    for (int k = 0; k < 4; k++) {
        float wrong = (float[]){0.6f, 1, 1.5f, 2}[k];
        gv_motion m = walk(1.2f, wrong);
        gv_people_focal f;
        gv_focal_from_people(&f, &m, 1, 0.35);
        printf("told %.2f of the truth: found %.3f, sd %.3f\n", (double)wrong, f.ratio * (double)wrong, f.sd);
        assert_true(f.found);
        assert_true(fabs(log(f.ratio * (double)wrong)) < 0.1);
        assert_true(f.sd < 0.15);
        gv_motion_free(&m);
    }
}

static void standing_tells_nothing(void **state) {
    (void)state;
    gv_motion m[2] = {walk(0.05f, 1.6f), walk(0, 1.6f)};
    gv_people_focal f;
    gv_focal_from_people(&f, m, 2, 0.35);
    assert_false(f.found);
    assert_true(f.sd > 0.25);
    gv_focal_from_people(&f, m, 0, 0.35);
    assert_false(f.found);
    assert_float_equal(f.ratio, 1, 1e-9);
    for (int i = 0; i < 2; i++) gv_motion_free(&m[i]);
    m[0] = walk(1.2f, 1.6f);
    m[0].frames = 1; // too short
    gv_focal_from_people(&f, m, 1, 0.35);
    assert_false(f.found);
    m[0].frames = FRAMES;
    gv_motion_free(&m[0]);
}

// What the network makes of everybody's steps alike no number of people averages out, and of small ones it makes less.
static void a_crowd_is_no_surer_than_all_are_wrong(void **state) {
    (void)state;
    enum { PEOPLE = 8 };
    gv_motion m[PEOPLE];
    gv_people_focal one, all, small;
    for (int i = 0; i < PEOPLE; i++) m[i] = walk(1.2f, 1.5f);
    gv_focal_from_people(&one, m, 1, 0.35);
    gv_focal_from_people(&all, m, PEOPLE, 0.35);
    assert_true(all.sd < one.sd && all.sd > 0.07);
    for (int i = 0; i < PEOPLE; i++)
        for (int t = 0; t < FRAMES; t++) m[i].bbx_xys[3 * t + 2] = 100;
    gv_focal_from_people(&small, m, PEOPLE, 0.35);
    assert_false(small.found);
    for (int i = 0; i < PEOPLE; i++) gv_motion_free(&m[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(walking_to_and_fro_tells),
                                       cmocka_unit_test(standing_tells_nothing),
                                       cmocka_unit_test(a_crowd_is_no_surer_than_all_are_wrong)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
