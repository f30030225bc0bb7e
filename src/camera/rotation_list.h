// rotation_list.h - camera rotations found by other programs.
//
// Told apart by what is in the file:
//   .npz with R_w2c (F, 3, 3)                 one per frame, world to camera
//   TUM: t tx ty tz qx qy qz qw               times in s, camera to world
//   COLMAP's images.txt                       world to camera; frames by the numbers in the file names, lowest = frame
//   0 9 numbers a line, or 3 lines of 3 each    3x3 matrices, world to camera, one per frame 12 or 16 numbers a line [R
//   t] of the camera in the world (KITTI), one per frame
// Camera axes are OpenCV's: x right, y down, z forward.
#pragma once
#include "base/error.h"
#include "camera/odometry.h"
#include <stddef.h>

typedef struct gv_rotation_list {
    long count;
    double (*R_w2c)[9];
    double *time_sec; // [count] increasing, or NULL: `frame` says
    long *frame;      // [count] increasing, or NULL
} gv_rotation_list;

// Whether this text looks like one of the above rather than a gyroscope's log.
bool gv_rotation_list_is(const char *text, size_t size);
gv_status gv_rotation_list_parse(gv_rotation_list *l, const char *name, const char *text, size_t size, gv_error *err);
gv_status gv_rotation_list_load_npz(gv_rotation_list *l, const char *path, gv_error *err);
void gv_rotation_list_free(gv_rotation_list *l);

// Rotations of all frames: those in between by interpolation, those beyond the ends as at the ends with confidence 0.
// Error: neither as many as frames, nor times or numbers within the video.
gv_status gv_rotation_list_apply(gv_camera_path *path, const gv_rotation_list *l, const char *name,
                                 const double *time_sec, gv_error *err);
