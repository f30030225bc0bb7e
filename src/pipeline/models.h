// models.h - which file and which method does each job, chosen from what the user gave and what is there.
//
//     gv_models m;
//     gv_models_choose(&m, &(gv_model_request){.weights = "inputs/checkpoints"}, &err);
//     m.role[GV_ROLE_KEYPOINTS].method      // GV_METHOD_VITPOSE if DIR/vitpose/vitpose-h-multi-coco.pth is there
//     gv_models_free(&m);
//
// A weights folder is laid out like GVHMR's inputs/checkpoints (models.c has the table). What it lacks comes
// from the program's own models; a folder that has none of the files is an error that lists them.
#pragma once
#include "base/error.h"
#include "perception/blazepose.h"
#include <stdbool.h>
#include <stddef.h>

typedef enum gv_role {
    GV_ROLE_NETWORK,   // motion
    GV_ROLE_BODY,      // SMPL-X
    GV_ROLE_DETECTOR,  // who is where
    GV_ROLE_KEYPOINTS, // 17 points per person and frame
    GV_ROLE_FEATURES,  // 1024 numbers per person and frame
    GV_ROLES
} gv_role;

typedef enum gv_method {
    GV_METHOD_NONE,
    GV_METHOD_FILE,      // network, body: a file of weights; keypoints, detector: points made elsewhere
    GV_METHOD_BLAZEPOSE, // detector, keypoints
    GV_METHOD_YOLOV8,    // detector
    GV_METHOD_VITPOSE,   // keypoints
    GV_METHOD_HMR2,      // features
} gv_method;

typedef struct gv_model_request { // all may be NULL: the best that is there
    const char *weights;          // folder
    const char *network, *body;   // files
    const char *detector;         // "auto", "blazepose", "yolov8", or a YOLOv8 checkpoint
    const char *keypoints;        // "auto", "blazepose", "vitpose", a ViTPose checkpoint, or a file of keypoints
    const char *features;         // "auto", "none", "hmr2", or an HMR2.0 checkpoint
    gv_blaze_model landmarks;     // which of BlazePose's three
    bool motion_only;             // only network and body: nothing is looked for in a video
} gv_model_request;

typedef struct gv_model_choice {
    gv_method method;
    char *path;       // its file; NULL for GV_METHOD_NONE
    bool from_folder; // found in the weights folder
    bool automatic;   // not asked for by name
} gv_model_choice;

typedef struct gv_models {
    gv_model_choice role[GV_ROLES];
    gv_blaze_model landmarks;
} gv_models;

// The path of a motion network's weights, the caller's to free, or NULL: NULL stands for the program's own, a bare name that
// is no file here for one of those that come with the program ("gvhmr-compact-free.safetensors").
char *gv_network_find(const char *given, gv_error *err);

gv_status gv_models_choose(gv_models *out, const gv_model_request *request, gv_error *err);
void gv_models_free(gv_models *m); // leaves a zeroed struct

// Looks into the checkpoints of keypoints and features far enough to see that they are whole and of the right network,
// so that a wrong one is told of before the long work.
gv_status gv_models_check(const gv_models *m, gv_error *err);

// Takes the image features back where they were chosen automatically: the network has no use for them.
void gv_models_drop_features(gv_models *m);

const char *gv_role_name(gv_role role);       // "network", "body", "detector", "keypoints", "features"
const char *gv_method_name(gv_method method); // "none", "file", "blazepose", ...

// Perception's choice in one line: "detector yolov8 (yolov8x.pt), keypoints vitpose (...), features none, ...".
void gv_models_describe(const gv_models *m, char *text, size_t size);
