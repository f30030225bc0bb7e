// options.h - options shared by the subcommands that watch a video (run, observe).
#pragma once
#include "pipeline/observe.h"
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
    GV_OPT_FAST,
    GV_OPT_LOW_MEMORY,
    GV_OPT_CACHE,
    GV_OPT_NO_CACHE,
};
#define GV_OBSERVE_OPTIONS                                                                                             \
    {"static-camera", no_argument, NULL, GV_OPT_STATIC}, {"focal-length", required_argument, NULL, GV_OPT_FOCAL},      \
        {"intrinsics", required_argument, NULL, GV_OPT_INTRINSICS}, {"gyro", required_argument, NULL, GV_OPT_GYRO},    \
        {"fps", required_argument, NULL, GV_OPT_FPS}, {"people", required_argument, NULL, GV_OPT_PEOPLE},              \
        {"landmarks", required_argument, NULL, GV_OPT_LANDMARKS},                                                      \
        {"weights", required_argument, NULL, GV_OPT_WEIGHTS}, {"detector", required_argument, NULL, GV_OPT_DETECTOR},  \
        {"keypoints", required_argument, NULL, GV_OPT_KEYPOINTS},                                                      \
        {"features", required_argument, NULL, GV_OPT_FEATURES}, {"fast", no_argument, NULL, GV_OPT_FAST},              \
        {"low-memory", no_argument, NULL, GV_OPT_LOW_MEMORY}, {"cache", required_argument, NULL, GV_OPT_CACHE},        \
        {"no-cache", no_argument, NULL, GV_OPT_NO_CACHE}, {"threads", required_argument, NULL, GV_OPT_THREADS},        \
        {"quiet", no_argument, NULL, 'q'}, {                                                                           \
        "help", no_argument, NULL, 'h'                                                                                 \
    }

// Prints the help lines of --static-camera, --focal-length, --intrinsics, --gyro and --fps.
void gv_observe_help(void);

// A remark on stderr, unless `user` points at options with `quiet`.
void gv_observe_note(void *user, const char *text);

// Takes one option of the above, or reports an unknown or incomplete one. False: the command line is wrong
// and the message has been printed.
bool gv_observe_option(const char *command, int c, char **argv, gv_observe_options *o);
