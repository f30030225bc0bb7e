// clip.h - a short clip of pedestrians for tests of the whole program.
#pragma once
#include "test.h"
#include "video/video.h"

// The first frames of OpenCV's vtest.avi (Debian package opencv-doc), 10 frames/s, written to `path` unless it is
// there; the test is skipped where the package is absent.
static inline void make_clip(const char *path, int frames) {
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
    assert_int_equal(gv_video_create(&w, path, info->width, info->height, 10, &err), GV_OK);
    for (int t = 0; t < frames; t++) {
        assert_int_equal(gv_video_next(v, &f, &err), GV_OK);
        assert_int_equal(gv_video_write(w, f.rgb, f.stride, t / 10.0, &err), GV_OK);
    }
    assert_int_equal(gv_video_finish(w, &err), GV_OK);
    gv_video_close(v);
}
