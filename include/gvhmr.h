// gvhmr.h - the public interface of gvhmr.c: world-grounded human motion from one ordinary video.
//
//     gvhmr_options opt = gvhmr_default_options();
//     opt.threads = 4;
//     char message[1024];
//     if (gvhmr_run("walk.mp4", "out", &opt, message, sizeof message) != 0) { fprintf(stderr, "%s\n", message); return
//     1; }
//
// writes out/person-1.npz, out/scene.json, out/overlay.mp4, out/world.mp4, out/viewer.html, ... The files' keys and units
// are described in docs/architecture.md. The library prints nothing except a progress line on a terminal
// when `quiet` is 0, never exits, and has no global state.
#pragma once
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gvhmr_options {
    int static_camera;        // 1: the camera is known not to move; 0: measured (default)
    int people;               // at most so many persons, most prominent first; 0 = everybody (default)
    int threads;              // 0 = all cores (default)
    int quiet;                // 1: no progress line
    int no_video;             // 1: neither overlay.mp4 and world.mp4 nor viewer.html
    int side_by_side;         // 1: also side-by-side.mp4
    double fps;               // > 0: overrides the container's frame rate
    const char *focal_length; // "1200" (px of the full picture) or "26mm" (35-mm equivalent); NULL = image diagonal
    const char *landmarks;    // "lite", "full" (default), "heavy"
    const char *weights;      // folder laid out like GVHMR's inputs/checkpoints; NULL = none
    const char *detector;     // NULL or "auto" = the best that is there; "blazepose", "yolov8", or a checkpoint
    const char *keypoints;    // the same: "blazepose", "vitpose", a checkpoint, or a file of 2D points
    const char *features;     // the same: "none", "hmr2", or a checkpoint
    const char *model;        // network weights; NULL = the built-in ones
    const char *body_model;   // SMPL-X .npz; NULL = the built-in mannequin
    int heads;                // attention heads of `model`; 0 = as the file says, else 8
} gvhmr_options;

gvhmr_options gvhmr_default_options(void);

// 0 on success. Otherwise one line in `message` that names what is wrong, and nothing half-written remains.
int gvhmr_run(const char *video, const char *out_folder, const gvhmr_options *opt, char *message, size_t message_bytes);

const char *gvhmr_version(void);

#ifdef __cplusplus
}
#endif
