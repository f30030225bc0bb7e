// resample.h - a motion at other times.
#pragma once
#include "formats/motion_file.h"

// The motion at first_sec + k / fps for all k that lie within it; frame_index becomes k, time_sec the new times.
// Rotations by slerp, places linearly, and joints_world and joints_incam follow from them with the bones that the
// motion implies, so that they stay consistent and bones keep their length; what was observed (keypoints, boxes,
// contact) by the nearest or linearly. Extra arrays are left out. Refused: more than 10 million frames, joints that the
// pose does not explain, no time in common. *out is allocated, the caller frees it. `name` serves the messages.
gv_status gv_motion_resample(gv_motion *out, const gv_motion *m, double first_sec, double fps, const char *name,
                             gv_error *err);
