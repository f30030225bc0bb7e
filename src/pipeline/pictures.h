// pictures.h - a scene as videos: the bodies over the original picture, and the world from a fixed outside view.
#pragma once
#include "base/progress.h"
#include "body/body.h"
#include "pipeline/scene.h"

typedef struct gv_pictures_options {
    const char *overlay, *world, *side_by_side; // files to write; NULL = not this one
    const char *copy;                           // and a small copy of the video for the viewer (copy.h)
    double fps;                                 // as for observing: > 0 overrides the container's
    struct gv_jail *jail;                       // where the video is decoded; may be NULL
    bool quiet;
    const gv_listener *listener; // may be NULL
} gv_pictures_options;

// Reads the video once more and writes the pictures asked for; times and frame count are the video's own.
typedef struct gv_pictures {
    double seconds; // wall clock time
    double *times;  // [frames] of the copy, s; NULL without one
    long frames;
} gv_pictures;
gv_status gv_draw_pictures(gv_pictures *out, const gv_scene *scene, const char *video, const gv_body *body,
                           const gv_pictures_options *opt, gv_error *err);
void gv_pictures_free(gv_pictures *p);
