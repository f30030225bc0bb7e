// The two clips with exact truth: errors within what issue 5 asks for, with a margin.
#include "camera/odometry.h"
#include "camera_check.h"
#include "formats/npz.h"
#include "video/video.h"

// *way: error of the way as a share of its length, -1 where none is known
static camera_errors run_clip(const char *video_path, const char *truth_path, const char *name, double *way) {
    gv_error err = {0};
    gv_npz *z = NULL;
    gv_video *v = NULL;
    gv_odometry *o = NULL;
    gv_camera_path path;
    gv_frame f;
    int64_t frames;
    if (gv_npz_open(&z, truth_path, &err) != GV_OK) fail_msg("%s", err.text);
    double *truth = gv_npz_read_f64(z, "R_w2c", (int64_t[]){-1, 3, 3}, 3, &frames, &err);
    double *K = gv_npz_read_f64(z, "K", (int64_t[]){3, 3}, 2, NULL, &err);
    double *t = gv_npz_read_f64(z, "t_w2c", (int64_t[]){-1, 3}, 2, &frames, &err);
    assert_non_null(truth);
    assert_non_null(K);
    assert_non_null(t);
    assert_int_equal(gv_video_open(&v, video_path, NULL, &err), GV_OK);
    const gv_video_info *info = gv_video_get_info(v);
    gv_optics optics;
    assert_int_equal(gv_optics_pinhole(&optics, K[0], info->width, info->height, GV_FOCAL_GIVEN, 0, &err), GV_OK);
    assert_int_equal(gv_odometry_create(&o, info->width, info->height, &optics, &err), GV_OK);
    while (gv_video_next(v, &f, &err) == GV_OK && f.rgb)
        assert_int_equal(gv_odometry_frame(o, f.rgb, f.stride, NULL, 0, &err), GV_OK);
    assert_int_equal(gv_odometry_finish(o, &path, &err), GV_OK);
    assert_int_equal(path.frames, frames);
    assert_false(path.is_static);
    for (int i = 0; i < path.frames; i++) assert_true(path.confidence[i] > 0.5f && path.confidence[i] <= 1);
    camera_errors e = camera_compare(&path, truth, name);
    for (int i = 0; i < path.frames; i++) { // to the camera's places
        double c[3];
        gv_so3_apply_t(c, truth + 9 * i, t + 3 * i);
        for (int k = 0; k < 3; k++) t[3 * i + k] = -c[k];
    }
    *way = camera_way_error(&path, t);
    gv_camera_path_free(&path);
    gv_odometry_destroy(o);
    gv_optics_free(&optics);
    gv_video_close(v);
    gv_npz_close(z);
    free(truth);
    free(K);
    free(t);
    return e;
}

static void hand_held_pan(void **state) {
    (void)state;
    const char *video = need_shared("data/camera/dev_handheld_pan.mp4"),
               *truth = need_shared("data/camera/dev_handheld_pan.npz");
    double way;
    camera_errors e = run_clip(video, truth, "hand-held pan", &way);
    assert_true(way == -1); // it only turns
    assert_true(e.step_rmse < 0.01);
    assert_true(e.drift_max < 0.05);
}

static void walk_behind_a_person(void **state) {
    (void)state;
    const char *video = need_shared("data/camera/dev_walk_person.mp4"),
               *truth = need_shared("data/camera/dev_walk_person.npz");
    double way;
    camera_errors e = run_clip(video, truth, "walk", &way);
    printf("walk: the way is off by %.3f %% of its length\n", 100 * way);
    assert_true(way >= 0 && way < 0.002);
    assert_true(e.step_rmse < 0.02);
    assert_true(e.drift_max < 0.2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(hand_held_pan), cmocka_unit_test(walk_behind_a_person)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
