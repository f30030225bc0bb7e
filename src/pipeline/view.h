// view.h - viewer.html: a run's results as one page that any browser opens, without a network.
//
// The page is the built viewer (viewer/, found as "viewer-template.html") with three things put in: the text of
// scene.json; one NumPy archive with every motion, body surface and frame time; and a small copy of the video. Members
// of the archive, V vertices, F triangles, N frames of the video, L frames of person k = 1, 2, ...:
//
//   times        [N] float64   presentation time of every frame of the video, s
//   faces        [F, 3]        uint16 or int32
//   bones        [V, 4] uint8  the joints (0..21) that move a vertex; hands, jaw and eyes count to what they hang on
//   weights      [V, 4] uint8  their weights, sum 255
//   k/surface    [V, 3] int16  rest pose with the person's shape, hands at their mean pose, in units of
//   k/unit       float64       metres
//   k/rest       [22, 3]       rest joints, m
//   k/reprojection_px [L]      mean distance of the body's keypoints from the observed ones; NAN unknown
//   k/lens       [L, 10]       where the lens is not a pinhole: its model and coefficients (motion_lens.h), and the
//                              farthest direction that the picture shows
//   k/...                      the motion file's keys (motion_file.h) except joints_world, joints_incam, joint_names
//
// Pose correctives of a body model that has them are left out of the surface.
#pragma once
#include "base/progress.h"
#include "body/body.h"
#include "formats/motion_file.h"
#include <stdbool.h>
#include <stddef.h>

typedef struct gv_page {
    const char *scene; // text of scene.json
    int people;
    const gv_motion *motion; // [people]
    const gv_body *body;
    const char *video;   // source of the copy; NULL: none is made
    const char *copy;    // or the copy, made already (copy.h): read, or moved beside the page. NULL: none
    const double *times; // [frames] of such a copy
    long frames;
    double fps;           // > 0: overrides the container's frame rate, as for observing
    struct gv_jail *jail; // where it is decoded; may be NULL
    bool quiet;
    const gv_listener *listener; // asked whether to go on; may be NULL
    size_t embed_bytes;          // a larger copy of the video lies beside the page; 0 = 24 MiB
} gv_page;

// Writes the page, whole or not at all. A copy of the video that is too large to be put in lies beside the
// page instead, named after it: viewer.html, viewer.mp4. GV_ERR_MISSING where the viewer has not been built.
gv_status gv_page_write(const char *path, const gv_page *page, gv_error *err);

// GV_ERR_MISSING where the viewer has not been built.
gv_status gv_page_check(gv_error *err);

typedef struct gv_view_options {
    const char *video;      // NULL: looked for by scene.json's name in the folder, the one above it and the current one
    bool no_video;          // without
    const char *body_model; // NULL = the mannequin
    double fps;
    struct gv_jail *jail; // where the video is decoded; may be NULL
    bool quiet;
} gv_view_options;

// The page of a folder that gv_run wrote. out NULL: DIR/viewer.html. *without_video (may be NULL): none was found.
gv_status gv_view_folder(const char *folder, const char *out, const gv_view_options *opt, bool *without_video,
                         gv_error *err);

// What gv_view_folder needs from scene.json: names of the motion files and of the video, checked to be plain names.
typedef struct gv_scene_names {
    int people;
    char (*file)[256]; // [people]
    char video[256];   // "" where there is none
} gv_scene_names;
gv_status gv_scene_names_read(gv_scene_names *n, const char *text, gv_error *err);
void gv_scene_names_free(gv_scene_names *n);
