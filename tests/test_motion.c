// The motion solver's parts: smoothing and roll-out against the reference's records, kinematics by properties.
#include "test.h"
#include "formats/npz.h"
#include "motion/smoothing.h"

#include <string.h>

static void check_smoothing(gv_npz *z, const char *key, double sigma) {
    gv_error err = {0};
    int64_t frames;
    double *x = gv_npz_read_f64(z, "in_signal", (int64_t[]){-1, 5}, 2, &frames, &err);
    float *expected = gv_npz_read_f32(z, key, (int64_t[]){frames, 5}, 2, NULL, &err);
    assert_non_null(x);
    assert_non_null(expected);
    double *scratch = calloc((size_t)frames, sizeof *scratch);
    gv_gaussian_smooth(x, (int)frames, 5, 0, 5, sigma, scratch);
    for (int64_t i = 0; i < frames * 5; i++) assert_true(fabs(x[i] - expected[i]) < 2e-6 * (1 + fabs(expected[i])));
    free(x);
    free(expected);
    free(scratch);
}

static void smoothing_is_the_references(void **s) {
    (void)s;
    const char *path = need_shared("reference/motion/exp_geometry.npz");
    gv_error err = {0};
    gv_npz *z = NULL;
    assert_int_equal(gv_npz_open(&z, path, &err), GV_OK);
    check_smoothing(z, "gauss3", 3);
    check_smoothing(z, "gauss5", 5);
    gv_npz_close(z);
}

static void smoothing_keeps_constants_and_single_frames(void **s) {
    (void)s;
    double x[3] = {4, 4, 4}, one[1] = {7}, scratch[3];
    gv_gaussian_smooth(x, 3, 1, 0, 1, 5, scratch);
    for (int i = 0; i < 3; i++) assert_true(fabs(x[i] - 4) < 1e-6);
    gv_gaussian_smooth(one, 1, 1, 0, 1, 3, scratch);
    assert_true(fabs(one[0] - 7) < 1e-6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smoothing_is_the_references),
        cmocka_unit_test(smoothing_keeps_constants_and_single_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
