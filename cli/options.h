// options.h - options shared by the subcommands that watch a video (run, batch, observe).
#pragma once
#include "pipeline/run.h"
#include <getopt.h>
#include <stdbool.h>

enum {
    GV_OPT_STATIC = 256,
    GV_OPT_FOCAL,
    GV_OPT_INTRINSICS,
    GV_OPT_GYRO,
    GV_OPT_FPS,
    GV_OPT_PEOPLE,
    GV_OPT_LANDMARKS,
    GV_OPT_THREADS,
    GV_OPT_WEIGHTS,
    GV_OPT_DETECTOR,
    GV_OPT_KEYPOINTS,
    GV_OPT_FEATURES,
    GV_OPT_DEVICE,
    GV_OPT_FAST,
    GV_OPT_LOW_MEMORY,
    GV_OPT_CACHE,
    GV_OPT_NO_CACHE,
    GV_OPT_NO_CONFINEMENT,
    GV_OPT_SIDE, // from here on: run, batch
    GV_OPT_NO_VIDEO,
    GV_OPT_MODEL,
    GV_OPT_HEADS,
    GV_OPT_BODY,
    GV_OPT_BF16,
    GV_OPT_VERBOSE,
    GV_OPT_REFINE,
    GV_OPT_NO_REFINE,
    GV_OPT_EXPORT,
};
#define GV_OBSERVE_OPTIONS                                                                                             \
    {"static-camera", no_argument, NULL, GV_OPT_STATIC}, {"focal-length", required_argument, NULL, GV_OPT_FOCAL},      \
        {"intrinsics", required_argument, NULL, GV_OPT_INTRINSICS}, {"gyro", required_argument, NULL, GV_OPT_GYRO},    \
        {"fps", required_argument, NULL, GV_OPT_FPS}, {"people", required_argument, NULL, GV_OPT_PEOPLE},              \
        {"landmarks", required_argument, NULL, GV_OPT_LANDMARKS},                                                      \
        {"weights", required_argument, NULL, GV_OPT_WEIGHTS}, {"detector", required_argument, NULL, GV_OPT_DETECTOR},  \
        {"keypoints", required_argument, NULL, GV_OPT_KEYPOINTS},                                                      \
        {"features", required_argument, NULL, GV_OPT_FEATURES}, {"device", required_argument, NULL, GV_OPT_DEVICE},    \
        {"fast", no_argument, NULL, GV_OPT_FAST}, {"low-memory", no_argument, NULL, GV_OPT_LOW_MEMORY},                \
        {"cache", required_argument, NULL, GV_OPT_CACHE}, {"no-cache", no_argument, NULL, GV_OPT_NO_CACHE},            \
        {"threads", required_argument, NULL, GV_OPT_THREADS},                                                          \
        {"no-confinement", no_argument, NULL, GV_OPT_NO_CONFINEMENT}, {"quiet", no_argument, NULL, 'q'}, {             \
        "help", no_argument, NULL, 'h'                                                                                 \
    }

// Prints the help lines of --static-camera, --focal-length, --intrinsics, --gyro and --fps.
void gv_observe_help(void);

// A remark on stderr, unless `user` points at options with `quiet`.
void gv_observe_note(void *user, const char *text);

// Takes one option of the above, or reports an unknown or incomplete one. False: the command line is wrong
// and the message has been printed.
bool gv_observe_option(const char *command, int c, char **argv, gv_observe_options *o);

#define GV_RUN_OPTIONS                                                                                                 \
    {"side-by-side", no_argument, NULL, GV_OPT_SIDE}, {"no-video", no_argument, NULL, GV_OPT_NO_VIDEO},                \
        {"model", required_argument, NULL, GV_OPT_MODEL}, {"heads", required_argument, NULL, GV_OPT_HEADS},            \
        {"body-model", required_argument, NULL, GV_OPT_BODY}, {"bf16", no_argument, NULL, GV_OPT_BF16},                \
        {"verbose", no_argument, NULL, GV_OPT_VERBOSE}, {"refine", no_argument, NULL, GV_OPT_REFINE},                  \
        {"no-refinement", no_argument, NULL, GV_OPT_NO_REFINE}, {                                                      \
        "export", required_argument, NULL, GV_OPT_EXPORT                                                               \
    }

// Prints the help lines of all options of a run but those of the output folder.
void gv_run_help(void);

// As gv_observe_option, for these and those of observing.
bool gv_run_option(const char *command, int c, char **argv, gv_run_options *o);
