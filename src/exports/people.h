// people.h - what is exported: one or more motions of one world, and the camera that saw them.
#pragma once
#include "formats/motion_file.h"
#include <stdbool.h>

typedef struct gv_export_camera { // poses in the common world, x_cam = R x + t, OpenCV axes
    int frames;                   // 0 = no camera; 1 = it stands still
    double *time_sec;             // [frames]
    float *R_w2c, *t_w2c;         // [frames, 3, 3], [frames, 3]
    double fx, fy;                // px
    int width, height;            // px, 0 = unknown
} gv_export_camera;

typedef struct gv_export_people {
    int people;
    gv_motion *motion; // [people]
    int *number;       // [people] as people count: 1 = most prominent
    gv_export_camera camera;
} gv_export_people;

// paths [n]: motion files, or one folder that `gvhmr run` wrote (its scene.json names the people's files and has the
// camera's path). Without scene.json the camera is where the first motion saw it from. person > 0: only that one. On
// success the caller frees *out.
gv_status gv_export_load(gv_export_people *out, char *const *paths, int n, int person, gv_error *err);
void gv_export_free(gv_export_people *p);

// The camera of one motion: from its orientations and places in the world and in the camera.
gv_status gv_export_camera_of(gv_export_camera *c, const gv_motion *m, gv_error *err);

// Everybody and the camera at one uniform rate, times counted from the earliest motion's begin.
gv_status gv_export_resample(gv_export_people *p, double fps, gv_error *err);
