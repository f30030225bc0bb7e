// The quality report on motions made by hand: each fault is put in at known frames and must be found there, alone.
#include "evaluation/quality.h"
#include "test.h"

#include <string.h>

enum { L = 120, J = GV_MOTION_JOINTS };

// Somebody who stands for L frames at `fps`, seen clearly, feet down and still.
static void stand(gv_motion *m, int frames, double fps) {
    gv_error err = {0};
    assert_int_equal(gv_motion_alloc(m, frames, &err), GV_OK);
    m->fps = fps;
    for (int t = 0; t < frames; t++) {
        m->frame_index[t] = 100 + t;
        m->time_sec[t] = 3 + t / fps;
        m->bbx_xys[3 * t + 2] = 200;
        for (int k = 0; k < 17; k++) m->kp2d[(t * 17 + k) * 3 + 2] = 0.9f;
        for (int f = 0; f < 4; f++) m->static_prob[t * GV_STATIC_JOINTS + f] = 0.95f;
        for (int j = 0; j < J; j++)
            m->joints_world[(t * J + j) * 3 + 1] = j == 10 || j == 11 ? 0.05f : 0.1f + 0.07f * (float)j;
    }
}

static void shift(gv_motion *m, int t, float x, float y) {
    for (int j = 0; j < J; j++) {
        m->joints_world[(t * J + j) * 3] += x;
        m->joints_world[(t * J + j) * 3 + 1] += y;
    }
}

static void fill(float *v, int n, float value) {
    for (int i = 0; i < n; i++) v[i] = value;
}

static gv_quality measure(const gv_motion *m, const float *px) {
    gv_quality q;
    gv_error err = {0};
    assert_int_equal(gv_quality_measure(&q, m, px, &err), GV_OK);
    return q;
}

static void expect_one(const gv_quality *q, gv_doubt why, int first, int last) {
    if (q->stretches != 1) fail_msg("%d stretches, expected one of %s", q->stretches, gv_doubt_name(why));
    assert_int_equal(q->stretch[0].why, why);
    assert_int_equal(q->stretch[0].first, first);
    assert_int_equal(q->stretch[0].last, last);
    assert_float_equal(q->distrust_share, (last - first + 1) / (double)L, 1e-9);
}

static void nothing_wrong(void **state) {
    (void)state;
    gv_motion m;
    float px[L];
    stand(&m, L, 30);
    fill(px, L, 4);
    gv_quality q = measure(&m, px);
    assert_int_equal(q.verdict, GV_VERDICT_GOOD);
    assert_int_equal(q.stretches, 0);
    assert_int_equal(q.seen, L);
    assert_int_equal(q.gaps, 0);
    assert_float_equal(q.jitter, 0, 1e-3);
    assert_float_equal(q.sliding_mm, 0, 1e-6);
    assert_float_equal(q.contact_share, 1, 1e-9);
    assert_float_equal(q.reprojection_px, 4, 1e-6);
    assert_float_equal(q.reprojection_share, 0.02, 1e-6);
    assert_float_equal(q.confidence, 0.9, 1e-6);
    gv_quality_free(&q);
    gv_motion_free(&m);
}

static void a_gap(void **state) {
    (void)state;
    gv_motion m;
    stand(&m, L, 30);
    for (int t = 40; t < 50; t++)
        for (int k = 0; k < 17; k++) m.kp2d[(t * 17 + k) * 3 + 2] = 0;
    gv_quality q = measure(&m, NULL);
    expect_one(&q, GV_DOUBT_UNSEEN, 40, 49);
    assert_int_equal(q.seen, L - 10);
    assert_int_equal(q.gaps, 1);
    assert_int_equal(q.longest_gap, 10);
    assert_float_equal(q.confidence, 0.9, 1e-6); // of what was seen
    assert_true(q.reprojection_px < 0);
    assert_int_equal(q.verdict, GV_VERDICT_FAIR);
    gv_quality_free(&q);
    gv_motion_free(&m);
}

static void hardly_seen_and_off_the_picture(void **state) {
    (void)state;
    gv_motion m;
    float px[L];
    stand(&m, L, 30);
    for (int t = 20; t < 45; t++)
        for (int k = 0; k < 17; k++) m.kp2d[(t * 17 + k) * 3 + 2] = 0.2f;
    gv_quality q = measure(&m, NULL);
    expect_one(&q, GV_DOUBT_UNSURE, 20, 44);
    gv_quality_free(&q);
    gv_motion_free(&m);

    stand(&m, L, 30);
    fill(px, L, 4);
    fill(px + 60, 30, 40); // a fifth of the box
    px[3] = NAN;
    px[7] = 100; // a single frame is no stretch
    q = measure(&m, px);
    expect_one(&q, GV_DOUBT_OFF_PICTURE, 60, 89);
    assert_float_equal(q.reprojection_px, (4.0 * (L - 32) + 40.0 * 30 + 100) / (L - 1), 1e-3);
    gv_quality_free(&q);
    gv_motion_free(&m);
}

// 20 mm per 1/30 s along x while the feet are said to stand; the same speed at every frame rate.
static void sliding(void **state) {
    (void)state;
    for (int rate = 15; rate <= 60; rate *= 2) {
        gv_motion m;
        stand(&m, L, rate);
        float step = 0.6f / (float)rate;
        for (int t = 0; t < L; t++) shift(&m, t, step * (float)(t < 30 ? 0 : t < 60 ? t - 30 : 30), 0);
        gv_quality q = measure(&m, NULL);
        if (q.stretches != 1) fail_msg("%d stretches at %d fps", q.stretches, rate);
        expect_one(&q, GV_DOUBT_SLIDING, 30, 60);
        assert_float_equal(q.sliding_mm, 20.0 * 30 / (L - 1), 0.05);
        assert_float_equal(q.worst_sliding_mm, 20, 0.05);
        for (int i = 0; i < L * GV_STATIC_JOINTS; i++) m.static_prob[i] = 0.1f; // nothing is said to stand: no sliding
        gv_quality_free(&q);
        q = measure(&m, NULL);
        assert_int_equal(q.stretches, 0);
        assert_float_equal(q.contact_share, 0, 1e-9);
        assert_float_equal(q.sliding_mm, 0, 1e-9);
        gv_quality_free(&q);
        gv_motion_free(&m);
    }
}

static void a_jump_of_identity(void **state) {
    (void)state;
    gv_motion m;
    stand(&m, L, 30);
    for (int i = 0; i < L * GV_STATIC_JOINTS; i++) m.static_prob[i] = 0;
    for (int t = 70; t < L; t++) shift(&m, t, 2, 0); // two metres between two frames
    gv_quality q = measure(&m, NULL);
    expect_one(&q, GV_DOUBT_JUMP, 69, 70);
    assert_true(q.jitter > 100);
    gv_quality_free(&q);
    gv_motion_free(&m);
}

static void in_the_air(void **state) {
    (void)state;
    gv_motion m;
    stand(&m, L, 30);
    for (int i = 0; i < L * GV_STATIC_JOINTS; i++) m.static_prob[i] = 0;
    for (int t = 0; t < L; t++) { // up slowly, two seconds there, down slowly; before it a jump of half a second
        float up = fminf(fmaxf(fminf((float)(t - 30) / 30, (float)(L - 1 - t) / 30), 0), 1);
        float hop = t > 5 && t < 21 ? sinf((float)(t - 5) * 3.14159f / 16) : 0;
        shift(&m, t, 0, up + 0.45f * hop * hop);
    }
    gv_quality q = measure(&m, NULL);
    expect_one(&q, GV_DOUBT_FLOATING, 41, 108); // 0.05 + 11/30 > 0.4
    gv_quality_free(&q);
    gv_motion_free(&m);
}

// Hostile or odd input: few frames, times that stand still, numbers that are none.
static void odd_motions(void **state) {
    (void)state;
    for (int frames = 1; frames <= 5; frames++) {
        gv_motion m;
        stand(&m, frames, 30);
        for (int t = 0; t < frames; t++) m.time_sec[t] = 0;
        m.kp2d[2] = NAN;
        gv_quality q = measure(&m, NULL);
        assert_true(isfinite(q.jitter) && isfinite(q.sliding_mm) && isfinite(q.confidence));
        assert_int_equal(q.seen, frames - 1);
        gv_quality_free(&q);
        m.joints_world[J * 3 * (frames / 2)] = NAN;
        q = measure(&m, NULL);
        assert_true(isfinite(q.jitter) && isfinite(q.sliding_mm) && isfinite(q.worst_sliding_mm));
        gv_quality_free(&q);
        gv_motion_free(&m);
    }
}

static void words(void **state) {
    (void)state;
    gv_motion m;
    char text[GV_QUALITY_TEXT];
    stand(&m, L, 30);
    for (int t = 0; t < L; t += 30)
        for (int k = 0; k < 17; k++) m.kp2d[(t * 17 + k) * 3 + 2] = 0;
    for (int t = 0; t < L; t++) shift(&m, t, 0.02f * (float)(t < 50 ? t : 50), 0);
    gv_quality q = measure(&m, NULL);
    gv_quality_describe(text, sizeof text, &q, &m);
    assert_non_null(strstr(text, "seen in 116 of 120 frames"));
    assert_non_null(strstr(text, "frames 100, 130, 160 and 1 more: not seen")); // the video's numbers
    assert_non_null(strstr(text, "frames 100-150: feet slide"));
    assert_true(strlen(text) + 1 < sizeof text);
    char small[20];
    memset(small, 'x', sizeof small);
    gv_quality_describe(small, 19, &q, &m);
    assert_int_equal(strlen(small), 18);
    assert_int_equal(small[19], 'x');
    for (int d = 0; d < GV_DOUBTS; d++)
        assert_true(strlen(gv_doubt_name((gv_doubt)d)) && strlen(gv_doubt_words((gv_doubt)d)));
    gv_quality_free(&q);
    gv_motion_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_wrong),
        cmocka_unit_test(a_gap),
        cmocka_unit_test(hardly_seen_and_off_the_picture),
        cmocka_unit_test(sliding),
        cmocka_unit_test(a_jump_of_identity),
        cmocka_unit_test(in_the_air),
        cmocka_unit_test(odd_motions),
        cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
