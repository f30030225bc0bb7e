// Which frames are looked at when speed counts, and what stands between them.
#include "pipeline/sparing.h"
#include "test.h"

#include <string.h>

static void key_frames(void **state) {
    (void)state;
    for (int n = 1; n < 20; n++) {
        int last = -1;
        for (int k = 0; k < n; k++) {
            if (!gv_sparing_is_key(k, n, 3)) continue;
            assert_true(k - last <= 3);
            last = k;
        }
        assert_int_equal(last, n - 1); // both ends, and no gap wider than two
        assert_true(gv_sparing_is_key(0, n, 3));
    }
}

static void steps_are_of_equal_time(void **state) {
    (void)state;
    const struct {
        double fps;
        int keypoints, others;
    } expected[] = {{0, 1, 1}, {10, 1, 1}, {12, 1, 2}, {15, 2, 2}, {24, 3, 3}, {25, 3, 3}, {30, 3, 4}, {60, 7, 8}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_int_equal(gv_sparing_step(expected[i].fps, true), expected[i].keypoints);
        assert_int_equal(gv_sparing_step(expected[i].fps, false), expected[i].others);
    }
}

static void only_sure_points_count_as_motion(void **state) {
    (void)state;
    float a[51] = {0}, b[51] = {0};
    for (int j = 0; j < 17; j++) a[3 * j + 2] = b[3 * j + 2] = 0.9f;
    assert_int_equal(gv_sparing_looks(a, b, 100, 2), 0);
    b[3 * 9] = 11;
    assert_int_equal(gv_sparing_looks(a, b, 100, 2), 0);
    b[3 * 9] = 13;
    assert_int_equal(gv_sparing_looks(a, b, 100, 2), 1);
    assert_int_equal(gv_sparing_looks(a, b, 100, 0), 0);
    b[3 * 9] = 25;
    assert_int_equal(gv_sparing_looks(a, b, 100, 2), 2);
    assert_int_equal(gv_sparing_looks(a, b, 250, 2), 0); // of a larger person
    b[3 * 9 + 2] = 0.1f;
    assert_int_equal(gv_sparing_looks(a, b, 100, 2), 0);
}

static void frames_between_are_linear(void **state) {
    (void)state;
    enum { N = 7 };
    float v[2 * N * 51];
    int list[N];
    uint8_t want[2 * N];
    for (int k = 0; k < N; k++) list[k] = 2 * k; // another person's rows lie between
    for (int i = 0; i < 2 * N; i++) {
        want[i] = i % 6 == 0 ? GV_SPARING_KEY : GV_SPARING_BETWEEN;
        for (int c = 0; c < 51; c++) v[51 * i + c] = want[i] ? (float)(i * (c % 3 == 2 ? -1 : 1)) : 1000;
    }
    want[8] = GV_SPARING_MOVING; // frame 4 was looked at, and keeps what was seen
    for (int c = 0; c < 51; c++) v[51 * 8 + c] = 77;
    gv_sparing_fill(v, 51, list, N, want, true);
    for (int j = 0; j < 17; j++) {
        assert_float_equal(v[51 * 2 + 3 * j], 2, 1e-5);      // frame 1 between rows 0 and 6
        assert_float_equal(v[51 * 4 + 3 * j + 1], 4, 1e-5);  // frame 2
        assert_float_equal(v[51 * 4 + 3 * j + 2], -6, 1e-5); // the smaller confidence
        assert_float_equal(v[51 * 8 + 3 * j], 77, 0);
        assert_float_equal(v[51 * 10 + 3 * j], 0.5f * (77 + 12), 1e-4); // frame 5 between rows 8 and 12
        assert_float_equal(v[51 * 1 + 3 * j], 1000, 0);                 // not of this person
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_frames),
        cmocka_unit_test(steps_are_of_equal_time),
        cmocka_unit_test(only_sure_points_count_as_motion),
        cmocka_unit_test(frames_between_are_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
