// The time base: whatever the video's frame rate, the network sees 30 frames per second and the motion
// comes back at the video's own times with the speeds it had.
#include "test.h"
#include "base/memory.h"
#include "geometry/rotation.h"
#include "pipeline/predict.h"
#include "pipeline/timebase.h"

#include <string.h>

static const double SECONDS = 4;

// Frame times of a video of SECONDS; rate 0: variable, between 12 and 60 fps.
static int frame_times(double *times, int max, double rate) {
    int n = 0;
    for (double t = 0.4; t <= 0.4 + SECONDS + 1e-9 && n < max; n++) {
        times[n] = t;
        t += rate > 0 ? 1 / rate : n % 5 == 1 ? 1.0 / 12 : n % 5 == 3 ? 1.0 / 60 : 1.0 / 25;
    }
    return n;
}

// A person who sways slowly in front of a camera that pans at a constant 0.3 rad/s.
static void observe(gv_observations *o, double rate) {
    double times[400];
    int n = frame_times(times, 400, rate);
    gv_error err = {0};
    assert_int_equal(gv_observations_alloc(o, n, &err), GV_OK);
    o->fps = rate > 0 ? rate : 28;
    for (int t = 0; t < n; t++) {
        double s = o->time_sec[t] = times[t];
        const float box[3] = {(float)(640 + 80 * sin(s)), (float)(360 + 20 * cos(0.8 * s)),
                              (float)(300 + 30 * sin(0.5 * s))};
        const float K[9] = {1400, 0, 640, 0, 1400, 360, 0, 0, 1}, pan[3] = {0, (float)(0.3 * s), 0};
        memcpy(o->bbx_xys + 3 * t, box, sizeof box);
        memcpy(o->K + 9 * t, K, sizeof K);
        gv_rot_from_aa(o->R_w2c + 9 * t, pan);
        for (int j = 0; j < 17; j++) {
            float *k = o->kp2d + 3 * (17 * t + j);
            k[0] = box[0] + (float)(60 * sin(j + 0.7 * s));
            k[1] = box[1] + (float)(70 * cos(1.3 * j + 0.6 * s));
            k[2] = 0.9f;
        }
    }
}

static void rates_that_count_as_30(void **s) {
    (void)s;
    const struct {
        double rate;
        bool as_is;
    } cases[] = {{30, true},  {29.97, true}, {30000.0 / 1001, true}, {25, false}, {29.8, false},
                 {60, false}, {0, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gv_observations o;
        observe(&o, cases[i].rate);
        assert_int_equal(gv_timebase_is_30fps(&o), cases[i].as_is);
        gv_observations_free(&o);
    }
    gv_observations o;
    observe(&o, 30);
    for (int t = 0; t < o.frames; t++)
        o.time_sec[t] = round(o.time_sec[t] * 1000) / 1000; // milliseconds, as Matroska keeps them
    assert_true(gv_timebase_is_30fps(&o));
    for (int t = 60; t < o.frames; t++) o.time_sec[t] += 1.0 / 30; // one frame is missing
    assert_false(gv_timebase_is_30fps(&o));
    gv_observations_free(&o);
}

static void resampling_keeps_signals(void **s) {
    (void)s;
    const double rates[] = {10, 24, 25, 50, 60, 0};
    gv_observations at30, o, r;
    gv_error err = {0};
    observe(&at30, 30);
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        observe(&o, rates[i]);
        if (gv_timebase_resample(&r, &o, &err)) fail_msg("%s", err.text);
        assert_true(abs(r.frames - at30.frames) <= 1);
        int n = r.frames < at30.frames ? r.frames - 1 : at30.frames - 1; // the last frame may be held
        assert_true(fabs(r.time_sec[n - 1] - at30.time_sec[n - 1]) < 1e-9);
        assert_true(max_abs_diff(r.bbx_xys, at30.bbx_xys, 3 * (size_t)n) < 0.15); // px, of 160 px sway
        assert_true(max_abs_diff(r.kp2d, at30.kp2d, 51 * (size_t)n) < 0.2);
        assert_true(max_abs_diff(r.R_w2c, at30.R_w2c, 9 * (size_t)n) < 2e-6); // slerp is exact here
        gv_observations_free(&o);
        gv_observations_free(&r);
    }
    gv_observations_free(&at30);
}

static void between_frames_the_smaller_confidence_counts(void **s) {
    (void)s;
    gv_observations o, r;
    gv_error err = {0};
    observe(&o, 10);
    o.kp2d[51 + 2] = 0.2f; // joint 0 of frame 1, 0.1 s after the first
    assert_int_equal(gv_timebase_resample(&r, &o, &err), GV_OK);
    const float expected[7] = {0.9f, 0.2f, 0.2f, 0.2f, 0.2f, 0.2f, 0.9f};
    for (int t = 0; t < 7; t++) assert_true(fabs(r.kp2d[51 * t + 2] - expected[t]) < 1e-6);
    gv_observations_free(&o);
    gv_observations_free(&r);
}

static void camera_motion_alone_is_integrated(void **s) {
    (void)s;
    gv_observations o, r;
    gv_error err = {0};
    observe(&o, 60);
    const float step[3] = {0, 0.3f / 60, 0};
    float A[9];
    gv_rot_from_aa(A, step);
    free(o.R_w2c);
    o.R_w2c = NULL;
    o.cam_angvel = gv_calloc2((size_t)o.frames, 6 * sizeof(float));
    for (int t = 0; t < o.frames; t++) gv_rot_to_6d(o.cam_angvel + 6 * t, A);
    assert_int_equal(gv_timebase_resample(&r, &o, &err), GV_OK);
    for (int t = 0; t + 1 < r.frames; t++) // twice the motion from frame to frame at half the rate
        assert_true(fabs(gv_rot_angle(r.R_w2c + 9 * t, r.R_w2c + 9 * (t + 1)) - 0.01) < 1e-5);
    gv_observations_free(&o);
    gv_observations_free(&r);
}

// A walk of 1.2 m/s that turns at 1 rad/s, solved at 30 fps, has the same speeds at the video's own times.
static void restoring_keeps_speeds(void **s) {
    (void)s;
    const double rates[] = {10, 24, 25, 50, 60, 0};
    gv_error err = {0};
    gv_motion solved;
    int n = (int)(SECONDS * 30) + 1;
    assert_int_equal(gv_motion_alloc(&solved, n, &err), GV_OK);
    for (int t = 0; t < n; t++) {
        double at = solved.time_sec[t] = 0.4 + t / 30.0;
        solved.transl[3 * t] = (float)(1.2 * at);
        solved.global_orient[3 * t + 1] = (float)remainder(at + 1.5, 2 * M_PI); // passes pi, where the vector jumps
        solved.body_pose[63 * t + 5] = (float)(0.5 * at);
    }
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        gv_motion m;
        double times[400];
        int frames = frame_times(times, 400, rates[i]);
        assert_int_equal(gv_motion_alloc(&m, frames, &err), GV_OK);
        memcpy(m.time_sec, times, (size_t)frames * sizeof *times);
        gv_timebase_restore(&m, &solved);
        for (int t = 0; t + 1 < frames; t++) {
            double dt = times[t + 1] - times[t];
            float a[9], b[9];
            gv_rot_from_aa(a, m.global_orient + 3 * t);
            gv_rot_from_aa(b, m.global_orient + 3 * (t + 1));
            assert_true(fabs((m.transl[3 * (t + 1)] - m.transl[3 * t]) / dt - 1.2) < 2e-4);
            assert_true(fabs(gv_rot_angle(a, b) / dt - 1) < 2e-4);
            assert_true(fabs((m.body_pose[63 * (t + 1) + 5] - m.body_pose[63 * t + 5]) / dt - 0.5) < 2e-4);
        }
        gv_motion_free(&m);
    }
    gv_motion_free(&solved);
}

// ---- the whole, with a small network of random weights and a stick figure

static gv_network *small_network(void) {
    enum { WIDTH = 32, LAYERS = 2, MAX = 64 };
    gv_weight_spec table[MAX];
    float *weights[MAX];
    unsigned long long state = 99;
    int n = gv_network_weight_table(table, MAX, WIDTH, LAYERS, 0);
    assert_true(n <= MAX);
    for (int i = 0; i < n; i++) {
        size_t count = 1;
        for (int k = 0; k < table[i].ndim; k++) count *= (size_t)table[i].shape[k];
        weights[i] = gv_calloc2(count, sizeof(float));
        for (size_t k = 0; k < count; k++) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            weights[i][k] =
                (float)((double)(state >> 11) / 4503599627370496.0 - 1) * (table[i].ndim == 2 ? 0.2f : 0.1f);
        }
    }
    gv_network *net = NULL;
    gv_error err = {0};
    if (gv_network_create(&net, (const float *const *)weights, WIDTH, LAYERS, 0, 4, GV_PRECISION_F32, NULL, &err))
        fail_msg("%s", err.text);
    for (int i = 0; i < n; i++) free(weights[i]);
    return net;
}

static void stick_figure(gv_body *b, float J_template[55 * 3], float J_shapedirs[55 * 30]) {
    memset(J_template, 0, 55 * 3 * sizeof *J_template);
    memset(J_shapedirs, 0, 55 * 30 * sizeof *J_shapedirs);
    for (int j = 1; j < 22; j++) {
        J_template[3 * j] = J_template[3 * gv_parents55[j]] + (float)(j % 3 - 1) * 0.1f;
        J_template[3 * j + 1] = J_template[3 * gv_parents55[j] + 1] + (j < 12 ? -0.2f : 0.2f);
    }
    *b = (gv_body){.J_template = J_template, .J_shapedirs = J_shapedirs};
}

// Root position at a time, linear between frames.
static void root_at(double p[3], const gv_motion *m, double time) {
    int t = 0;
    while (t + 2 < m->frames && m->time_sec[t + 1] < time) t++;
    double f = (time - m->time_sec[t]) / (m->time_sec[t + 1] - m->time_sec[t]);
    for (int i = 0; i < 3; i++) p[i] = m->joints_world[66 * t + i] * (1 - f) + m->joints_world[66 * (t + 1) + i] * f;
}

static double path_length(const gv_motion *m) {
    double length = 0, a[3], b[3];
    root_at(a, m, 0.5);
    for (double t = 0.6; t < 4.2; t += 0.1) {
        root_at(b, m, t);
        length += sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[2] - b[2]) * (a[2] - b[2]));
        memcpy(a, b, sizeof a);
    }
    return length;
}

static void same_speed_at_every_frame_rate(void **s) {
    (void)s;
    const double rates[] = {10, 24, 25, 50, 60, 0};
    float J_template[55 * 3], J_shapedirs[55 * 30];
    gv_body body;
    gv_error err = {0};
    gv_network *net = small_network();
    gv_observations o;
    gv_motion at30, m;
    stick_figure(&body, J_template, J_shapedirs);
    observe(&o, 30);
    assert_int_equal(gv_predict(&at30, net, &body, &o, &(gv_predict_options){0}, NULL, &err), GV_OK);
    gv_observations_free(&o);
    double expected = path_length(&at30);
    assert_true(expected > 0.05);
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        observe(&o, rates[i]);
        if (gv_predict(&m, net, &body, &o, &(gv_predict_options){0}, NULL, &err)) fail_msg("%s", err.text);
        assert_int_equal(m.frames, o.frames);
        assert_memory_equal(m.time_sec, o.time_sec, (size_t)o.frames * sizeof *o.time_sec);
        double length = path_length(&m);
        if (!(fabs(length / expected - 1) < 0.02)) fail_msg("%g fps: %g m, at 30 fps %g m", rates[i], length, expected);
        gv_motion_free(&m);
        gv_observations_free(&o);
    }
    gv_motion_free(&at30);
    gv_network_close(net);
}

static void hostile_times_are_refused(void **s) {
    (void)s;
    gv_observations o, r;
    gv_error err = {0};
    observe(&o, 25);
    o.time_sec[o.frames - 1] = 1e12;
    assert_int_equal(gv_timebase_resample(&r, &o, &err), GV_ERR_FORMAT);
    assert_non_null(strstr(err.text, "less than a frame every 2 s"));
    gv_observations_free(&o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_that_count_as_30),
        cmocka_unit_test(resampling_keeps_signals),
        cmocka_unit_test(between_frames_the_smaller_confidence_counts),
        cmocka_unit_test(camera_motion_alone_is_integrated),
        cmocka_unit_test(restoring_keeps_speeds),
        cmocka_unit_test(same_speed_at_every_frame_rate),
        cmocka_unit_test(hostile_times_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
