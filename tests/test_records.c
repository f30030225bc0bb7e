#include "formats/motion_file.h"
#include "formats/npz.h"
#include "formats/observations.h"
#include "folder.h"

#include <string.h>

static void reference_inputs_load(void **state) {
    (void)state;
    static const struct {
        const char *path;
        int frames, length;
    } cases[] = {
        {"reference/motion/in_L7_moving.npz", 7, 7},       {"reference/motion/in_L30_static.npz", 30, 30},
        {"reference/motion/in_L100_len80.npz", 100, 80},   {"reference/motion/in_L121_static.npz", 121, 121},
        {"reference/motion/in_L300_moving.npz", 300, 300},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gv_error err = {0};
        gv_observations o;
        const char *path = need_shared(cases[i].path);
        if (gv_observations_load(&o, path, &err) != GV_OK) fail_msg("%s", err.text);
        assert_int_equal(o.frames, cases[i].frames);
        assert_int_equal(o.length, cases[i].length);
        assert_true(o.R_w2c && o.cam_angvel && o.f_imgseq && o.fps == 30 && o.width == 0);
        int last = o.frames - 1;
        assert_int_equal(o.frame_index[last], last);
        assert_true(fabs(o.time_sec[last] - last / 30.0) < 1e-12);
        assert_memory_equal(o.K, o.K + 9 * (size_t)last, 9 * sizeof(float));
        gv_observations_free(&o);
        assert_null(o.kp2d);
    }
}

static gv_observations some_observations(void) {
    gv_observations o;
    assert_int_equal(gv_observations_alloc(&o, 4, NULL), GV_OK);
    for (int t = 0; t < 4; t++) {
        o.K[9 * t] = o.K[9 * t + 4] = 1000 + (float)t;
        o.bbx_xys[3 * t + 2] = 200;
        o.frame_index[t] = 10 + 2 * t;
        o.time_sec[t] = 0.5 + 0.04 * t + 0.001 * (t == 2);
        for (int i = 0; i < 51; i++) o.kp2d[51 * t + i] = (float)(i + t);
    }
    o.fps = 25;
    o.width = 640;
    o.height = 480;
    return o;
}

static void observations_survive_a_file(void **state) {
    (void)state;
    const char *path = in_dir("o.npz");
    gv_observations o = some_observations(), b;
    gv_error err = {0};
    assert_int_equal(gv_observations_save(&o, path, &err), GV_OK);
    if (gv_observations_load(&b, path, &err) != GV_OK) fail_msg("%s", err.text);
    assert_true(b.frames == 4 && b.length == 4 && b.fps == 25 && b.width == 640 && b.height == 480);
    assert_true(b.R_w2c && !b.cam_angvel && !b.f_imgseq && !b.feet2d);
    assert_memory_equal(o.kp2d, b.kp2d, 4 * 51 * sizeof(float));
    assert_memory_equal(o.K, b.K, 4 * 9 * sizeof(float));
    assert_memory_equal(o.bbx_xys, b.bbx_xys, 4 * 3 * sizeof(float));
    assert_memory_equal(o.R_w2c, b.R_w2c, 4 * 9 * sizeof(float));
    assert_memory_equal(o.frame_index, b.frame_index, 4 * sizeof(int32_t));
    assert_memory_equal(o.time_sec, b.time_sec, 4 * sizeof(double));
    gv_observations_free(&b);
    o.feet2d = calloc(4, 12 * sizeof(float)); // heels and toes are optional
    for (int i = 0; i < 48; i++) o.feet2d[i] = (float)i / 48;
    assert_int_equal(gv_observations_save(&o, path, &err), GV_OK);
    if (gv_observations_load(&b, path, &err) != GV_OK) fail_msg("%s", err.text);
    assert_memory_equal(o.feet2d, b.feet2d, 48 * sizeof(float));
    gv_observations_free(&b);
    o.feet2d[13] = INFINITY;
    assert_int_equal(gv_observations_save(&o, path, &err), GV_OK);
    assert_int_equal(gv_observations_load(&b, path, &err), GV_ERR_FORMAT);
    assert_non_null(strstr(err.text, "feet2d"));
    gv_observations_free(&o);
    unlink(path);
}

static void bad_observations_are_named(void **state) {
    (void)state;
    static const char *const expected[] = {"kp2d",  "bbx_xys",  "K_fullimg", "R_w2c",
                                           "R_w2c", "increase", "increase",  "fps"};
    for (int i = 0; i < 8; i++) {
        const char *path = in_dir("bad.npz");
        gv_observations o = some_observations(), b;
        gv_error err = {0};
        if (i == 0) o.kp2d[100] = NAN;
        if (i == 1) o.bbx_xys[5] = 0;
        if (i == 2) o.K[9] = -1000;
        if (i == 3) o.R_w2c[9] = 1.01f;
        if (i == 4) o.R_w2c[9] = -1; // a reflection
        if (i == 5) o.time_sec[2] = o.time_sec[1];
        if (i == 6) o.frame_index[3] = 0;
        if (i == 7) o.fps = 0;
        assert_int_equal(gv_observations_save(&o, path, &err), GV_OK);
        assert_int_equal(gv_observations_load(&b, path, &err), GV_ERR_FORMAT);
        if (!strstr(err.text, expected[i]) || !strstr(err.text, "bad.npz")) fail_msg("case %d: %s", i, err.text);
        assert_null(b.kp2d);
        gv_observations_free(&o);
        unlink(path);
    }
}

static gv_motion some_motion(void) {
    gv_motion m;
    assert_int_equal(gv_motion_alloc(&m, 5, NULL), GV_OK);
    for (int t = 0; t < 5; t++) {
        m.frame_index[t] = t + 3;
        m.time_sec[t] = (t + 3) / 24.0;
        for (int i = 0; i < 63; i++) m.body_pose[63 * t + i] = (float)(i * t) * 0.001f;
        for (int i = 0; i < 66; i++)
            m.joints_world[66 * t + i] = (float)(i + t), m.joints_incam[66 * t + i] = (float)(i - t);
        for (int i = 0; i < 3; i++) m.R_w2c[9 * t + 4 * i] = 1;
    }
    for (int i = 0; i < 10; i++) m.betas[i] = 0.1f * (float)i;
    m.fps = 24;
    m.width = 1920;
    m.height = 1080;
    float *x = gv_motion_extra(&m, "net/pred_x", 2, (int[]){5, 151});
    assert_non_null(x);
    for (int i = 0; i < 5 * 151; i++) x[i] = (float)i;
    return m;
}

static void motion_survives_a_file(void **state) {
    (void)state;
    const char *path = in_dir("m.npz");
    gv_motion m = some_motion(), b;
    gv_error err = {0};
    assert_int_equal(gv_motion_save(&m, path, &err), GV_OK);
    if (gv_motion_load(&b, path, &err) != GV_OK) fail_msg("%s", err.text);
    assert_true(b.frames == 5 && b.fps == 24 && b.width == 1920 && b.height == 1080);
    assert_memory_equal(m.betas, b.betas, sizeof m.betas);
    assert_memory_equal(m.body_pose, b.body_pose, 5 * 63 * sizeof(float));
    assert_memory_equal(m.joints_world, b.joints_world, 5 * 66 * sizeof(float));
    assert_memory_equal(m.joints_incam, b.joints_incam, 5 * 66 * sizeof(float));
    assert_memory_equal(m.time_sec, b.time_sec, 5 * sizeof(double));
    assert_memory_equal(m.frame_index, b.frame_index, 5 * sizeof(int32_t));
    assert_int_equal(b.extra_count, 1);
    assert_string_equal(b.extra[0].name, "net/pred_x");
    assert_true(b.extra[0].ndim == 2 && b.extra[0].shape[1] == 151 && b.extra[0].data[754] == 754);
    gv_motion_free(&m);
    gv_motion_free(&b);
    unlink(path);
}

static void bad_motions_are_named(void **state) {
    (void)state;
    gv_error err = {0};
    gv_motion b;
    gv_observations o = some_observations();
    assert_int_equal(gv_observations_save(&o, in_dir("o.npz"), &err), GV_OK);
    assert_int_equal(gv_motion_load(&b, in_dir("o.npz"), &err), GV_ERR_MISSING);
    assert_non_null(strstr(err.text, "body_pose"));
    gv_observations_free(&o);
    unlink(in_dir("o.npz"));
    gv_motion m = some_motion();
    m.transl[4] = INFINITY;
    assert_int_equal(gv_motion_save(&m, in_dir("m.npz"), &err), GV_OK);
    assert_int_equal(gv_motion_load(&b, in_dir("m.npz"), &err), GV_ERR_FORMAT);
    assert_non_null(strstr(err.text, "\"transl\" is not finite in frame 1"));
    gv_motion_free(&m);
    unlink(in_dir("m.npz"));
    gv_npz_writer *w; // a wrong shape
    assert_int_equal(gv_npz_create(&w, in_dir("m.npz"), &err), GV_OK);
    float zero[63] = {0};
    gv_npz_add_f32(w, "body_pose", zero, 2, 1, 63);
    gv_npz_add_f32(w, "global_orient", zero, 2, 2, 3);
    assert_int_equal(gv_npz_finish(w, &err), GV_OK);
    assert_int_equal(gv_motion_load(&b, in_dir("m.npz"), &err), GV_ERR_FORMAT);
    assert_non_null(strstr(err.text, "\"global_orient\" is float32 (2, 3), expected (1, 3)"));
    unlink(in_dir("m.npz"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_inputs_load),      cmocka_unit_test(observations_survive_a_file),
        cmocka_unit_test(bad_observations_are_named), cmocka_unit_test(motion_survives_a_file),
        cmocka_unit_test(bad_motions_are_named),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_empty_dir);
}
