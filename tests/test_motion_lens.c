// The lens that a motion carries: kept in its file, and drawn through.
#include "folder.h"
#include "made_motion.h"
#include "pipeline/motion_lens.h"
#include "pipeline/stage.h"

enum { W = 640, H = 480 };

static void survives_a_file(void **state) {
    (void)state;
    gv_error err = {0};
    gv_lens found;
    gv_body *body;
    assert_int_equal(gv_body_open(&body, NULL, &err), GV_OK);
    gv_motion m = made_motion(body, 7, 3, 30, 0), back;
    gv_lens lens = {.model = GV_LENS_FISHEYE, .fx = 500, .fy = 500, .k = {0.1, -0.02, 0.003, 0.5}};
    gv_optics straight = {.count = 1, .lens = &(gv_lens){.fx = 500, .fy = 500}}, bent = {.count = 1, .lens = &lens};
    assert_int_equal(gv_motion_lens_keep(&m, &straight, &err), GV_OK);
    assert_int_equal(m.extra_count, 0); // a pinhole leaves no trace
    assert_false(gv_motion_lens(&found, &m, 0));
    assert_int_equal(gv_motion_lens_keep(&m, &bent, &err), GV_OK);
    assert_int_equal(gv_motion_save(&m, in_dir("m.npz"), &err), GV_OK);
    if (gv_motion_load(&back, in_dir("m.npz"), &err) != GV_OK) fail_msg("%s", err.text);
    assert_true(gv_motion_lens(&found, &back, 2));
    assert_int_equal(found.model, GV_LENS_FISHEYE);
    for (int i = 0; i < GV_LENS_COEFFICIENTS; i++) assert_true(found.k[i] == (double)(float)lens.k[i]);
    back.extra[0].data[3] = NAN; // what is no lens is none
    assert_false(gv_motion_lens(&found, &back, 0));
    back.extra[0].data[3] = 0, back.extra[0].data[0] = 7;
    assert_false(gv_motion_lens(&found, &back, 0));
    back.extra[0].data[0] = 1, back.extra[0].shape[0] = 2;
    assert_false(gv_motion_lens(&found, &back, 0));
    gv_motion_free(&m);
    gv_motion_free(&back);
    gv_body_close(body);
}

// Left and right end of what is drawn over a black picture, px.
static void ends(int end[2], const gv_motion *m, const gv_body *body) {
    static uint8_t rgb[3 * W * H];
    gv_error err = {0};
    gv_stage *s = NULL;
    gv_canvas *c = gv_canvas_create(W, H);
    memset(rgb, 0, sizeof rgb);
    assert_int_equal(gv_stage_create(&s, m, 1, body, &err), GV_OK);
    assert_int_equal(gv_stage_pose(s, m->frame_index[0]), 1);
    assert_true(gv_stage_draw_over(s, c, rgb, W, 3 * W, 1));
    end[0] = W, end[1] = -1;
    for (int i = 0; i < W * H; i++)
        if (rgb[3 * i] + rgb[3 * i + 1] + rgb[3 * i + 2] > 30) {
            end[0] = i % W < end[0] ? i % W : end[0];
            end[1] = i % W > end[1] ? i % W : end[1];
        }
    gv_stage_destroy(s);
    gv_canvas_destroy(c);
}

// Brown's k1 moves a direction at r from the axis to r (1 + k1 r^2).
static void bodies_are_bent(void **state) {
    (void)state;
    const double k1 = -0.15;
    gv_error err = {0};
    gv_body *body;
    assert_int_equal(gv_body_open(&body, NULL, &err), GV_OK);
    gv_motion m = made_motion(body, 0, 1, 30, 2.2f); // at the right
    int plain[2], bent[2];
    ends(plain, &m, body);
    gv_lens lens = {.model = GV_LENS_BROWN, .fx = 500, .fy = 500, .cx = 320, .cy = 240, .k = {k1}};
    assert_int_equal(gv_motion_lens_keep(&m, &(gv_optics){.count = 1, .lens = &lens}, &err), GV_OK);
    ends(bent, &m, body);
    double r = (plain[1] - 320) / 500.0, expected = 320 + 500 * r * (1 + k1 * r * r);
    assert_true(plain[1] < W - 1 && plain[0] > 320);
    assert_true(plain[1] - bent[1] >= 5);
    if (fabs(bent[1] - expected) > 4) fail_msg("right end at %d, expected %g (straight: %d)", bent[1], expected, plain[1]);
    gv_motion_free(&m);
    gv_body_close(body);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(survives_a_file), cmocka_unit_test(bodies_are_bent)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
