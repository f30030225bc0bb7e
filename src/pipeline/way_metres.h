// way_metres.h - the way of a camera that moves, in metres.
//
// An addition to the reference, used by `gvhmr run` before people are held to that way (hold_to_way.h).
//
// How far somebody goes whom the camera follows is told by the
// network from the gait alone: from how the legs swing. The picture knows better. Points of the ground at somebody's
// feet (camera/ground.h) have a distance in the unit of the camera's way; they have another in metres, where the line
// of sight meets the ground on which that body stands. What most of these ratios agree on is the unit in metres: it
// needs a stature, and no gait.
#pragma once
#include "camera/odometry.h"
#include "formats/motion_file.h"

// Turns the positions (and the ground's depths) of the stretches of `camera` whose unit the motions tell into metres
// and notes how surely (position_metres_sd). Motions as gv_common_gravity leaves them.
gv_status gv_way_to_metres(gv_camera_path *camera, const gv_motion *motions, int people, gv_error *err);
