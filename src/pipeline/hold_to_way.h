// hold_to_way.h - somebody's path, held to where the camera saw him from a way that is known in metres.
//
// An addition to the reference, used by `gvhmr run` before motions are settled. A camera that stands has a way, too:
// none. The network tells how somebody moves from frame to frame, and takes feet that it believes to stand for the
// ground, also in a jump or on a chair. The camera sees where the body is: well across the line of sight, so also how
// high, and poorly along it. One least-squares problem a stretch weighs
//     sightings   the camera's place and what it saw from there, up to an origin, and up to the slope that a wrong
//                 direction of gravity makes of level ground
//     steps       the network's own way from frame to frame, along the ground surer while a foot stands
//     ground      the lowest foot that stands is on the ground, robustly: some stand on something else
#pragma once
#include "camera/odometry.h"
#include "formats/motion_file.h"

// Holds m (transl, joints_world) to the camera's way where that is in metres, and lowers static_prob of feet that then
// move with the body or are in the air. Somebody alone is turned besides (global_orient), so that the ground he walks
// on is level; several people have their gravity in common (common_gravity.h). Nothing changes where there is no way.
gv_status gv_hold_to_way(gv_motion *m, const gv_camera_path *camera, bool alone, gv_error *err);
