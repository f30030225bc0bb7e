// timebase.h - between a video's own times and the uniform 30 frames per second of the network.
//
// The network has learnt metres per 30th of a second. Footage at other rates, or with jumping timestamps,
// is resampled: boxes, keypoints, intrinsics and image features linearly, camera rotations by slerp. A
// keypoint between two frames has the smaller of their confidences: it is no surer than either.
#pragma once
#include "formats/motion_file.h"
#include "formats/observations.h"
#include "pipeline/repeats.h"
#include <stdbool.h>

// Whether the frames can be taken as 30 fps as they are: mean rate within 0.2 % (29.97 is) and no time
// further than 10 % of a frame from a uniform grid.
bool gv_timebase_is_30fps(const gv_observations *o);

// The observations at first time + k/30 s, k = 0.. until the last time is reached; allocated, the caller
// frees them. Beyond the last time the last frame is held.
gv_status gv_timebase_resample(gv_observations *out, const gv_observations *in, gv_error *err);

// The motion parameters, solved at the times of `solved`, at the times of `m` (both allocated, m->time_sec
// filled): rotations by slerp, the rest linearly. Joints are not touched.
void gv_timebase_restore(gv_motion *m, const gv_motion *solved);

// Camera rotations [L, 3, 3]: R_w2c as observed, or integrated from cam_angvel beginning with the identity.
void gv_timebase_camera(float *R_w2c, const gv_observations *o);

// From frames as the pictures that they show (repeats.h) to frames at their own times. Bitwise unchanged where every
// frame shows a new picture.
gv_status gv_timebase_retime(gv_observations *o, const gv_picture_times *p, gv_error *err);
// time_sec [c->frames] of the frames. A place is only interpolated within a stretch.
gv_status gv_timebase_retime_camera(gv_camera_path *c, const gv_picture_times *p, const double *time_sec,
                                    gv_error *err);
