// pictures.h - a scene as videos: the bodies over the original picture, and the world from a fixed outside view.
#pragma once
#include "base/progress.h"
#include "body/body.h"
#include "pipeline/scene.h"

typedef struct gv_pictures_options {
    const char *overlay, *world, *side_by_side; // files to write; NULL = not this one
    double fps;                                 // as for observing: > 0 overrides the container's
    struct gv_jail *jail;                       // where the video is decoded; may be NULL
    bool quiet;
    const gv_listener *listener; // may be NULL
} gv_pictures_options;

// Reads the video once more and writes the pictures asked for; times and frame count are the video's own.
// *seconds receives the wall clock time.
gv_status gv_draw_pictures(const gv_scene *scene, const char *video, const gv_body *body,
                           const gv_pictures_options *opt, double *seconds, gv_error *err);
