// outside.h - the camera's rotation from a file beside the video: a gyroscope's log or another tracker's rotations.
#pragma once
#include "camera/odometry.h"

struct gv_jail;

typedef struct gv_outside_report {
    const char *source; // "gyroscope", "rotation file", or NULL: the file could not be used and `note` says why
    char note[256];     // one line in words; "" where there is nothing to say
    double offset_sec;  // of a gyroscope: log time = video time + offset
    double agreement;   // with the picture's rotation, 0..1
    int frames;         // whose rotation comes from the file
} gv_outside_report;

// Replaces the rotations of `path` (and turns its way with them), which the picture gave, by the file's. time_sec
// [path->frames]. A gyroscope also corrects path->focal_px where that was no better than metadata. A video (a GoPro's
// own) is read by the jail (base/jail.h), or here where that is NULL. Errors: a file that is neither, or broken. A
// gyroscope that does not fit the picture is no error: the path stays.
gv_status gv_outside_rotation(gv_camera_path *path, gv_outside_report *report, const char *file, const double *time_sec,
                              struct gv_jail *jail, gv_error *err);
