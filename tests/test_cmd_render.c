// The render command as a user calls it: build/gvhmr beside this test's folder.
#include "formats/motion_file.h"
#include "folder.h"
#include "video/video.h"

#include <string.h>
#include <sys/wait.h>

// Somebody who stands at x, from video frame `first` on, `frames` frames at 25 fps, 3 m before the camera.
static void save_motion(const char *name, int first, int frames, float x) {
    gv_motion m;
    gv_error err = {0};
    assert_int_equal(gv_motion_alloc(&m, frames, &err), GV_OK);
    m.fps = 25, m.width = 320, m.height = 240;
    for (int t = 0; t < frames; t++) {
        m.transl[3 * t] = x, m.transl[3 * t + 1] = 1.3f;
        m.transl_incam[3 * t] = x, m.transl_incam[3 * t + 1] = 0.4f, m.transl_incam[3 * t + 2] = 3;
        m.global_orient_incam[3 * t] = (float)M_PI;
        m.frame_index[t] = first + t;
        m.time_sec[t] = (first + t) / 25.0;
        const float K[9] = {300, 0, 160, 0, 300, 120, 0, 0, 1};
        memcpy(m.K + 9 * t, K, sizeof K);
        for (int i = 0; i < 3; i++) m.R_w2c[9 * t + 4 * i] = 1;
        for (int j = 0; j < GV_MOTION_JOINTS; j++)
            m.joints_world[3 * (t * GV_MOTION_JOINTS + j)] = x, m.joints_world[3 * (t * GV_MOTION_JOINTS + j) + 1] =
                                                                    0.08f * (float)j;
    }
    assert_int_equal(gv_motion_save(&m, in_dir(name), &err), GV_OK);
    gv_motion_free(&m);
}

// Frames of a video, and how many pixels of frame `which` are bluish or reddish: the colours of persons 1
// and 2.
static long look(const char *name, long which, int *blue, int *red, int *width) {
    gv_video *v = NULL;
    gv_error err = {0};
    gv_frame f;
    long n = 0;
    assert_int_equal(gv_video_open(&v, in_dir(name), NULL, &err), GV_OK);
    *width = gv_video_get_info(v)->width;
    for (; gv_video_next(v, &f, &err) == GV_OK && f.rgb; n++) {
        if (n != which) continue;
        *blue = *red = 0;
        for (int y = 0; y < f.height; y++)
            for (int x = 0; x < f.width; x++) {
                const uint8_t *p = f.rgb + (ptrdiff_t)y * f.stride + 3 * x;
                *blue += p[2] > p[0] + 60, *red += p[0] > p[2] + 60;
            }
    }
    gv_video_close(v);
    return n;
}

static void people_come_and_go(void **state) {
    (void)state;
    char text[2048];
    int blue, red, width;
    save_motion("a.npz", 0, 8, -0.5f);
    save_motion("b.npz", 4, 8, 0.5f);
    assert_int_equal(program("render", "a.npz b.npz -o world.mp4 --size 320x180 --quiet", text), 0);
    assert_string_equal(text, "");
    assert_int_equal(look("world.mp4", 1, &blue, &red, &width), 12);
    assert_int_equal(width, 320);
    const int path = red; // only the second person's path is there yet
    assert_true(blue > 300);
    look("world.mp4", 6, &blue, &red, &width);
    assert_true(blue > 300 && red > path + 300);
    look("world.mp4", 11, &blue, &red, &width);
    assert_true(red > path + 300);
}

static void the_view_follows(void **state) {
    (void)state;
    char text[2048];
    int fixed, followed, red, width;
    gv_motion m;
    save_motion("far.npz", 0, 60, 0);
    assert_int_equal(gv_motion_load(&m, in_dir("far.npz"), NULL), GV_OK);
    for (int t = 0; t < 60; t++) { // 12 m in 2.4 s
        m.transl[3 * t] += 0.2f * (float)t;
        for (int j = 0; j < GV_MOTION_JOINTS; j++) m.joints_world[3 * (t * GV_MOTION_JOINTS + j)] += 0.2f * (float)t;
    }
    assert_int_equal(gv_motion_save(&m, in_dir("far.npz"), NULL), GV_OK);
    gv_motion_free(&m);
    assert_int_equal(program("render", "far.npz -o fixed.mp4 --size 320x180 --quiet", text), 0);
    assert_int_equal(program("render", "far.npz -o follow.mp4 --size 320x180 --view follow --quiet", text), 0);
    look("fixed.mp4", 30, &fixed, &red, &width);
    look("follow.mp4", 30, &followed, &red, &width);
    assert_true(followed > 2 * fixed && fixed > 10); // nearer, and in the picture
}

static void bodies_lie_over_the_video(void **state) {
    (void)state;
    char text[2048];
    int blue, red, width;
    uint8_t *grey = malloc(3 * 320 * 240);
    memset(grey, 120, 3 * 320 * 240);
    gv_video_writer *w = NULL;
    gv_error err = {0};
    assert_int_equal(gv_video_create(&w, in_dir("clip.mp4"), 320, 240, 25, &err), GV_OK);
    for (int i = 0; i < 10; i++) assert_int_equal(gv_video_write(w, grey, 960, i / 25.0, &err), GV_OK);
    assert_int_equal(gv_video_finish(w, &err), GV_OK);
    free(grey);
    save_motion("a.npz", 2, 5, 0);
    assert_int_equal(program("render", "a.npz --video clip.mp4 -o over.mp4 --quiet", text), 0);
    assert_int_equal(look("over.mp4", 4, &blue, &red, &width), 10);
    assert_int_equal(width, 320);
    assert_true(blue > 1500); // 1.7 m at 3 m is 170 px tall
    look("over.mp4", 8, &blue, &red, &width);
    assert_int_equal(blue, 0);
    assert_int_equal(program("render", "a.npz --video clip.mp4 -o both.mp4 --side-by-side --quiet", text), 0);
    assert_int_equal(look("both.mp4", 4, &blue, &red, &width), 10);
    assert_int_equal(width, 320 + 240 * 16 / 9);
}

static void wrong_calls_leave_nothing(void **state) {
    (void)state;
    char text[2048];
    assert_int_equal(program("render", "a.npz", text), 2);
    assert_int_equal(program("render", "-o x.mp4", text), 2);
    assert_int_equal(program("render", "a.npz -o x.mp4 --overlay", text), 2);
    assert_int_equal(program("render", "a.npz -o x.mp4 --size 3x", text), 2);
    assert_int_equal(program("render", "a.npz -o x.mp4 --view above", text), 2);
    assert_int_equal(program("render", "absent.npz -o x.mp4", text), 1);
    assert_non_null(strstr(text, "absent.npz"));
    assert_int_equal(program("render", "a.npz -o x.mp4 --video absent.mp4", text), 1);
    assert_int_equal(program("render", "a.npz -o no/such/x.mp4", text), 1);
    char left[600];
    snprintf(left, sizeof left, "ls -A %s | grep -q x.mp4", dir);
    assert_int_not_equal(system(left), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(people_come_and_go),
        cmocka_unit_test(the_view_follows),
        cmocka_unit_test(bodies_lie_over_the_video),
        cmocka_unit_test(wrong_calls_leave_nothing),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
