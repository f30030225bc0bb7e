// picture.h - the recorded pictures of the perception tests.
#pragma once
#include "perception/image.h"
#include "test.h"
#include "video/video.h"

static inline void ok(gv_status s, const gv_error *err) {
    if (s != GV_OK) fail_msg("%s", err->text);
}

typedef struct picture {
    gv_video *video; // to be closed
    gv_image image;
} picture;

// ../shared/reference/perception/images/NAME.png
static inline picture open_picture(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "reference/perception/images/%s.png", name);
    const char *file = shared_path(path);
    picture p = {0};
    gv_error err = {0};
    gv_frame f;
    if (!file) fail_msg("%s is missing", path);
    ok(gv_video_open(&p.video, file, NULL, &err), &err);
    ok(gv_video_next(p.video, &f, &err), &err);
    assert_non_null(f.rgb);
    p.image = (gv_image){f.rgb, f.width, f.height, f.stride};
    return p;
}
