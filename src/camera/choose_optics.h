// choose_optics.h - the lens from the best of what is known before the pictures are looked at.
//
// In this order: the user's focal length, a file of intrinsics, the video file's metadata, the picture's diagonal.
// The last two are weak: gv_odometry measures better where the camera turns.
#pragma once
#include "camera/intrinsics.h"

struct gv_jail;

typedef struct gv_optics_request {
    const char *focal_length; // "1200" (px of the full picture) or "26mm" (35-mm equivalent); NULL: not given
    const char *intrinsics;   // file name; NULL: none
} gv_optics_request;

// width, height: of the upright frames of `video`, px; jail: who reads what that file says (base/jail.h), or NULL.
// Errors: a file that is none, both given.
gv_status gv_optics_choose(gv_optics *o, const gv_optics_request *request, const char *video, int width, int height,
                           struct gv_jail *jail, gv_error *err);
