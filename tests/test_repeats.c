// Frames that show a picture again: which they are, when pictures were true, and that people and the camera then move
// as they did before they were filmed so.
#include "base/memory.h"
#include "clip.h"
#include "folder.h"
#include "geometry/rotation.h"
#include "pipeline/observe.h"
#include "pipeline/timebase.h"
#include "test.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 320, HEIGHT = 200, WARM = 60, MOST = 400 };

// A bright square at x on a pattern, with noise of one level as an encoder leaves it.
static void paint(uint8_t *rgb, double x, unsigned noise) {
    for (int i = 0; i < HEIGHT; i++)
        for (int k = 0; k < WIDTH; k++) {
            noise = noise * 1664525u + 1013904223u;
            const bool in = k > x && k < x + 40 && i > 60 && i < 140;
            const int v = (in ? 220 : 60 + (i / 8 + k / 8) % 2 * 30) + (int)(noise >> 31);
            memset(rgb + 3 * ((size_t)i * WIDTH + (size_t)k), v, 3);
        }
}

typedef double place(int frame);

// How many of the frames from WARM on are called repeats; longest: of one picture; wrong: though the place is new.
static int count_repeats(place *x, bool noisy, int frames, int *longest, int *wrong) {
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    gv_repeats *r = gv_repeats_create(WIDTH, HEIGHT);
    int count = 0, run = 0;
    *longest = *wrong = 0;
    assert_non_null(r);
    for (int t = 0; t < frames; t++) {
        paint(rgb, x(t), noisy ? (unsigned)t * 77u : 1u);
        const bool again = gv_repeats_look(r, &(gv_image){rgb, WIDTH, HEIGHT, 3 * WIDTH});
        run = again ? run + 1 : 0;
        if (run > *longest) *longest = run;
        if (again && x(t) != x(t - 1)) ++*wrong;
        count += again && t >= WARM;
    }
    gv_repeats_destroy(r);
    return count;
}

static double all_new(int t) {
    return 2 * (t % 120);
}
static double of_24_in_30(int t) {
    return 3 * (int)(0.8 * (t % 100) + 1e-9);
}
static double of_12_in_60(int t) {
    return 9 * (t % 125 / 5);
}
static double still(int t) {
    (void)t;
    return 100;
}
static double stops(int t) {
    return t < 80 ? 2 * t : 160;
}
static double creeps(int t) { // quick, then a hundredth of it
    return t < 80 ? 2 * t : 160 + t / 50;
}

static void repeats_are_found(void **state) {
    (void)state;
    int longest, wrong;
    for (int noisy = 0; noisy < 2; noisy++) {
        assert_int_equal(count_repeats(all_new, noisy, WARM + 100, &longest, &wrong), 0);
        assert_int_equal(count_repeats(of_24_in_30, noisy, WARM + 100, &longest, &wrong), 20);
        assert_true(longest == 1 && wrong == 0);
        assert_int_equal(count_repeats(of_12_in_60, noisy, 2 * WARM + 100, &longest, &wrong), 128);
        assert_true(longest == 4 && wrong == 0);
    }
}

static void stillness_repeats_nothing(void **state) {
    (void)state;
    int longest, wrong;
    for (int noisy = 0; noisy < 2; noisy++) {
        assert_int_equal(count_repeats(still, noisy, WARM + 100, &longest, &wrong), 0);
        assert_in_range(count_repeats(stops, noisy, 400, &longest, &wrong), 0, 4 * 14); // until all is calm
        assert_true(longest <= 4);
        count_repeats(creeps, noisy, 400, &longest, &wrong);
        assert_int_equal(wrong, 0);
    }
}

// ---- times

static int made(uint8_t *repeated, double *times, double rate, double pictures, int frames) {
    int n = 0, last = -1;
    for (int t = 0; t < frames; t++) {
        const int k = (int)(t * pictures / rate + 1e-9);
        repeated[t] = k == last;
        n += k != last;
        last = k;
        times[t] = 3 + t / rate;
    }
    return n;
}

static void rhythms_become_even(void **state) {
    (void)state;
    const double rhythm[][2] = {{30, 24}, {30, 25}, {60, 24}, {60, 30}, {24, 12}, {30, 15}, {29.97, 23.976}, {60, 25}};
    uint8_t repeated[MOST];
    double times[MOST];
    gv_error err = {0};
    for (size_t i = 0; i < sizeof rhythm / sizeof *rhythm; i++) {
        gv_picture_times p;
        const int n = made(repeated, times, rhythm[i][0], rhythm[i][1], 300);
        assert_int_equal(gv_picture_times_find(&p, repeated, times, 300, &err), GV_OK);
        assert_true(p.pictures == n && p.even == n);
        assert_true(fabs(p.rate / rhythm[i][1] - 1) < 0.004);
        for (int k = 1; k < n; k++) {
            assert_true(fabs((p.time_sec[k] - p.time_sec[k - 1]) * rhythm[i][1] - 1) < 0.02);
            assert_true(fabs(p.time_sec[k] - times[p.frame[k]]) < 1.3 / rhythm[i][0]);
        }
        gv_picture_times_free(&p);
    }
}

// What is lost now and then was not seen; the others were true when they were shown.
static void losses_are_no_rhythm(void **state) {
    (void)state;
    uint8_t repeated[MOST] = {0};
    double times[MOST];
    gv_error err = {0};
    gv_picture_times p;
    for (int t = 0; t < MOST; t++) times[t] = t / 30.0;
    repeated[40] = repeated[140] = repeated[141] = repeated[143] = repeated[300] = 1;
    assert_int_equal(gv_picture_times_find(&p, repeated, times, MOST, &err), GV_OK);
    assert_true(p.pictures == MOST - 5 && p.even == 0 && p.rate == 0);
    for (int k = 0; k < p.pictures; k++) assert_true(p.time_sec[k] == times[p.frame[k]]);
    char text[200];
    gv_picture_times_describe(text, sizeof text, &p, MOST);
    assert_string_equal(text, "5 of 400 frames repeat the picture before: motion goes by the pictures' true times");
    gv_picture_times_free(&p);
    unsigned dice = 5; // and of anything, times are in order
    for (int t = 1; t < MOST; t++) dice = dice * 1664525u + 1013904223u, repeated[t] = dice >> 30 == 0;
    assert_int_equal(gv_picture_times_find(&p, repeated, times, MOST, &err), GV_OK);
    for (int k = 1; k < p.pictures; k++) assert_true(p.time_sec[k] > p.time_sec[k - 1] + 0.005);
    for (int k = 0; k < p.pictures; k++) assert_true(fabs(p.time_sec[k] - times[p.frame[k]]) < 4 / 30.0);
    gv_picture_times_free(&p);
}

// ---- people and the camera

enum { FRAMES = 100, FIRST = 7 };

static void track(gv_person *q, int first, int frames, double second_per_picture) {
    size_t n = (size_t)frames;
    *q = (gv_person){.first = first, .frames = frames, .prominence = 1};
    q->kp2d = gv_calloc2(n, 51 * sizeof(float));
    q->kp3d = gv_calloc2(n, 51 * sizeof(float));
    q->feet2d = gv_calloc2(n, 3 * GV_FEET_POINTS * sizeof(float));
    q->bbx_xyxy = gv_calloc2(n, 4 * sizeof(float));
    q->bbx_xys = gv_calloc2(n, 3 * sizeof(float));
    q->observed = gv_calloc2(n, 1);
    for (int k = 0; k < frames; k++) q->kp2d[51 * k] = (float)(1000 * second_per_picture * (first + k));
}

static void motion_is_even_again(void **state) {
    (void)state;
    uint8_t repeated[MOST];
    double times[MOST];
    gv_error err = {0};
    const int n = made(repeated, times, 30, 24, FRAMES);
    gv_tracks tracks = {.person = gv_calloc2(1, sizeof(gv_person)), .count = 1, .frames = n};
    track(&tracks.person[0], FIRST, n - FIRST, 1 / 24.0);
    assert_int_equal(gv_tracks_hold(&tracks, repeated, FRAMES, &err), GV_OK);
    gv_person *q = &tracks.person[0];
    assert_int_equal(q->first + q->frames, FRAMES);
    assert_true(!repeated[q->first]);
    for (int t = 1; t < q->frames; t++)
        assert_true((q->kp2d[51 * t] == q->kp2d[51 * (t - 1)]) == repeated[q->first + t]);

    gv_picture_times p;
    gv_observations o;
    gv_camera_path c = {.frames = FRAMES, .R_w2c = gv_calloc2(FRAMES, 9 * sizeof(float))};
    assert_int_equal(gv_picture_times_find(&p, repeated, times, FRAMES, &err), GV_OK);
    assert_int_equal(gv_observations_alloc(&o, q->frames, &err), GV_OK);
    for (int t = 0; t < q->frames; t++) {
        o.frame_index[t] = q->first + t, o.time_sec[t] = times[q->first + t];
        memcpy(o.kp2d + 51 * t, q->kp2d + 51 * t, 51 * sizeof(float));
    }
    for (int t = 0, k = -1; t < FRAMES; t++) {
        k += !repeated[t];
        gv_rot_from_aa(c.R_w2c + 9 * t, (float[]){0, (float)(k / 24.0), 0});
    }
    assert_int_equal(gv_timebase_retime(&o, &p, &err), GV_OK);
    assert_int_equal(gv_timebase_retime_camera(&c, &p, times, &err), GV_OK);
    for (int t = 3; t < q->frames - 3; t++) // 1000 px and 1 rad a second
        assert_true(fabs((o.kp2d[51 * t] - o.kp2d[51 * (t - 1)]) * 30 - 1000) < 25);
    for (int t = 3; t < FRAMES - 3; t++) {
        float D[9], aa[3];
        gv_mat3_mul_nt(D, c.R_w2c + 9 * t, c.R_w2c + 9 * (t - 1));
        gv_rot_to_aa(aa, D);
        assert_true(fabs(aa[1] * 30 - 1) < 0.025);
    }
    gv_observations_free(&o);
    gv_camera_path_free(&c);
    gv_picture_times_free(&p);
    gv_tracks_free(&tracks);
}

static void new_pictures_change_nothing(void **state) {
    (void)state;
    uint8_t repeated[MOST] = {0};
    double times[MOST];
    gv_error err = {0};
    gv_picture_times p;
    gv_observations o;
    float before[51 * 50];
    for (int t = 0; t < 50; t++) times[t] = t / 23.0 + 0.01 * (t % 3);
    assert_int_equal(gv_picture_times_find(&p, repeated, times, 50, &err), GV_OK);
    assert_int_equal(gv_observations_alloc(&o, 50, &err), GV_OK);
    for (int i = 0; i < 51 * 50; i++) before[i] = o.kp2d[i] = (float)sin(i);
    memcpy(o.time_sec, times, 50 * sizeof *times);
    assert_int_equal(gv_timebase_retime(&o, &p, &err), GV_OK);
    assert_memory_equal(o.kp2d, before, sizeof before);
    char text[200];
    gv_picture_times_describe(text, sizeof text, &p, 50);
    assert_string_equal(text, "");
    gv_observations_free(&o);
    gv_picture_times_free(&p);
}

// ---- a whole video

enum { PICTURES = 48 };

// `from` with every picture shown `times` times.
static void show_again(const char *to, const char *from, int times, double fps) {
    gv_error err = {0};
    gv_video *v = NULL;
    gv_video_writer *w = NULL;
    gv_frame f;
    assert_int_equal(gv_video_open(&v, from, NULL, &err), GV_OK);
    const gv_video_info *info = gv_video_get_info(v);
    assert_int_equal(gv_video_create(&w, to, info->width, info->height, fps, &err), GV_OK);
    for (int t = 0; t < PICTURES * times; t++) {
        if (t % times == 0) assert_int_equal(gv_video_next(v, &f, &err), GV_OK);
        assert_int_equal(gv_video_write(w, f.rgb, f.stride, t / fps, &err), GV_OK);
    }
    assert_int_equal(gv_video_finish(w, &err), GV_OK);
    gv_video_close(v);
}

static void take_note(void *user, const char *text) {
    snprintf(user, 200, "%s", text);
}

// Pedestrians of 10 pictures a second, once as 10 frames and once as 20.
static void a_video_of_pictures_shown_twice(void **state) {
    (void)state;
    const char *once = in_dir("once.mp4"), *twice = in_dir("twice.mp4");
    char note[200] = "";
    gv_error err = {0};
    gv_scene_observations a, b;
    make_part_of_clip(once, PICTURES, 192, 144, 384, 288);
    show_again(twice, once, 2, 20);
    gv_observe_options o = {.quiet = true, .static_camera = true, .note = take_note, .note_user = note};
    if (gv_observe(&a, once, &o, &err)) fail_msg("%s", err.text);
    assert_string_equal(note, "");
    assert_true(a.people > 0 && a.pictures.pictures == PICTURES);
    o.static_camera = false;
    if (gv_observe(&b, twice, &o, &err)) fail_msg("%s", err.text);
    print_message("%s\n", note);
    assert_string_equal(note, b.repeats);
    assert_non_null(strstr(note, "repeat the picture before, mostly of 10 pictures a second"));
    assert_true(b.people > 0 && b.frames == 2 * PICTURES && b.camera.frames == 2 * PICTURES && b.camera.is_static);
    assert_in_range(b.pictures.pictures, PICTURES, PICTURES + 10); // before it is known what goes on, all counts as new
    const gv_observations *p = &a.person[0], *q = &b.person[0];
    int steps = 0, even = 0;
    for (int t = 40; t + 2 < q->frames; t++) { // hips go on in the frames between; held pictures give none
        const float *x = q->kp2d + 51 * t + 3 * 11;
        const float before = x[0] - x[-51], after = x[51] - x[0];
        steps++;
        even += fabsf(before - after) < 0.8f * (fabsf(before) + fabsf(after)) + 0.05f;
    }
    print_message("%d of %d steps like the next, %d and %d frames\n", even, steps, p->frames, q->frames);
    assert_true(steps > 30 && even > 0.6 * steps);
    assert_in_range(q->frames, 2 * p->frames - 8, 2 * p->frames + 8);
    gv_scene_observations_free(&a);
    gv_scene_observations_free(&b);
}

// What is known of four pictures, for the six frames that show them.
static void a_camera_goes_from_pictures_to_frames(void **state) {
    (void)state;
    const uint8_t repeated[6] = {0, 1, 0, 0, 1, 0};
    const int shown[6] = {0, 0, 1, 2, 2, 3};
    gv_camera_path c = {.frames = 4, .ground_count = 4};
    c.R_w2c = calloc(4, 9 * sizeof(float)), c.confidence = calloc(4, sizeof(float));
    c.position = calloc(4, 3 * sizeof(float)), c.position_confidence = calloc(4, sizeof(float));
    c.position_metres_sd = calloc(4, sizeof(float)), c.stretch = calloc(4, sizeof(int32_t));
    c.ground = calloc(4, sizeof *c.ground);
    for (int t = 0; t < 4; t++) {
        c.R_w2c[9 * t] = c.confidence[t] = c.position[3 * t + 2] = c.position_confidence[t] = (float)t;
        c.position_metres_sd[t] = (float)t, c.stretch[t] = t;
        c.ground[t].frame = t < 2 ? t : t - (t == 2);
    }
    gv_error err = {0};
    assert_int_equal(gv_camera_hold(&c, repeated, 6, &err), GV_OK);
    assert_int_equal(c.frames, 6);
    for (int t = 0; t < 6; t++) {
        const float p = (float)shown[t];
        assert_true(c.R_w2c[9 * t] == p && c.confidence[t] == p && c.position[3 * t + 2] == p);
        assert_true(c.position_confidence[t] == p && c.position_metres_sd[t] == p && c.stretch[t] == shown[t]);
    }
    const int32_t first[4] = {0, 2, 2, 5}; // of the pictures 0, 1, 1, 3
    for (int i = 0; i < 4; i++) assert_int_equal(c.ground[i].frame, first[i]);
    gv_camera_path_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeats_are_found),
        cmocka_unit_test(stillness_repeats_nothing),
        cmocka_unit_test(rhythms_become_even),
        cmocka_unit_test(losses_are_no_rhythm),
        cmocka_unit_test(motion_is_even_again),
        cmocka_unit_test(new_pictures_change_nothing),
        cmocka_unit_test(a_video_of_pictures_shown_twice),
        cmocka_unit_test(a_camera_goes_from_pictures_to_frames),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
