// gyro_align.h - how a gyroscope's log lies against the picture: when, which way round, with what bias.
//
// The rate that the picture shows between two frames, v, and the mean rate of the sensor over the same time, w, obey
// v = scale M (w - bias). For every time offset the best orthogonal M follows from the covariance of v and w
// (orthogonal Procrustes); the offset with the best agreement wins. Axes may be in any order and of any sign, mirrored
// ones too, or turned by any rotation. Axes about which the camera does not turn cannot be seen: there the
// nearest order of axes is taken.
// Turns of an orientation that the camera worked out (g->of_picture) have no bias, the picture's axes and its frames' clock.
#pragma once
#include "camera/gyro.h"
#include "camera/odometry.h"

typedef struct gv_gyro_alignment {
    bool found;
    double offset_sec; // log time = video time + offset
    double M[9];       // sensor's axes to the camera's (OpenCV)
    double bias[3];    // rad/s, sensor's axes
    double scale;      // picture over sensor, about 1
    double tilt_scale; // the same for turns about the camera's x and y alone: true focal length over the one used
    double agreement;  // correlation of both, 0..1
    char why[160];     // where not found: a reason in words
} gv_gyro_alignment;

// time_sec [visual->frames]: of the video's frames. A log in the wrong unit (deg/s for rad/s) is corrected in place
// where the file did not state it. Not agreeing is no error: found is false and `why` says it.
gv_status gv_gyro_align(gv_gyro_alignment *a, gv_gyro *g, const double *time_sec, const gv_camera_path *visual,
                        gv_error *err);
// Replaces the rotation of every frame that the log covers; the others keep the picture's step. Where the path's focal
// length was given or measured, the sensor's scale is the picture's. Returns the number of steps that come from the
// log.
int gv_gyro_apply(gv_camera_path *path, const gv_gyro *g, const gv_gyro_alignment *a, const double *time_sec);
