// People stay on the ground: a drift in height goes, a jump stays.
#include "pipeline/ground.h"
#include "test.h"

enum { FRAMES = 300 };

static void drift_goes_and_jumps_stay(void **state) {
    (void)state;
    gv_motion m;
    gv_error err = {0};
    assert_int_equal(gv_motion_alloc(&m, FRAMES, &err), GV_OK);
    m.fps = 30;
    for (int t = 0; t < FRAMES; t++) {
        float drift = 0.004f * (float)t, jump = t >= 150 && t < 165 ? 0.4f : 0; // 1.2 m in ten seconds
        m.time_sec[t] = t / 30.0;
        m.transl[3 * t + 1] = drift + jump;
        for (int j = 0; j < GV_MOTION_JOINTS; j++)
            m.joints_world[(t * GV_MOTION_JOINTS + j) * 3 + 1] = drift + jump + 0.08f * (float)j;
    }
    assert_int_equal(gv_ground_motion(&m, &err), GV_OK);
    for (int t = 0; t < FRAMES; t++) {
        float low = m.joints_world[t * GV_MOTION_JOINTS * 3 + 1], jump = t >= 150 && t < 165 ? 0.4f : 0;
        if (fabsf(low - jump) > 0.08f)
            fail_msg("frame %d: lowest joint at %g, expected %g", t, (double)low, (double)jump);
        assert_float_equal(m.transl[3 * t + 1], low, 1e-5);
    }
    gv_motion_free(&m);
}

static void one_frame(void **state) {
    (void)state;
    gv_motion m;
    gv_error err = {0};
    assert_int_equal(gv_motion_alloc(&m, 1, &err), GV_OK);
    for (int j = 0; j < GV_MOTION_JOINTS; j++) m.joints_world[3 * j + 1] = 2 + 0.05f * (float)j;
    assert_int_equal(gv_ground_motion(&m, &err), GV_OK);
    assert_float_equal(m.joints_world[1], 0, 1e-6);
    gv_motion_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(drift_goes_and_jumps_stay), cmocka_unit_test(one_frame)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
