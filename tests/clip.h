// clip.h - a short clip of pedestrians for tests of the whole program.
#pragma once
#include "test.h"
#include "video/video.h"

// The first frames of OpenCV's vtest.avi (Debian package opencv-doc, 768 x 576), 10 frames/s, or a part of them from
// (x, y) on, written to `path` unless it is there; the test is skipped where the package is absent.
static inline void make_part_of_clip(const char *path, int frames, int x, int y, int width, int height) {
    static const char source[] = "/usr/share/doc/opencv-doc/examples/data/vtest.avi";
    if (access(path, R_OK) == 0) return;
    if (access(source, R_OK) != 0) {
        printf("skipped: no %s\n", source);
        skip();
    }
    gv_error err = {0};
    gv_video *v = NULL;
    gv_video_writer *w = NULL;
    gv_frame f;
    assert_int_equal(gv_video_open(&v, source, NULL, &err), GV_OK);
    const gv_video_info *info = gv_video_get_info(v);
    assert_true(x + width <= info->width && y + height <= info->height);
    assert_int_equal(gv_video_create(&w, path, width, height, 10, &err), GV_OK);
    for (int t = 0; t < frames; t++) {
        assert_int_equal(gv_video_next(v, &f, &err), GV_OK);
        assert_int_equal(gv_video_write(w, f.rgb + y * f.stride + 3 * x, f.stride, t / 10.0, &err), GV_OK);
    }
    assert_int_equal(gv_video_finish(w, &err), GV_OK);
    gv_video_close(v);
}

static inline void make_clip(const char *path, int frames) {
    make_part_of_clip(path, frames, 0, 0, 768, 576);
}
