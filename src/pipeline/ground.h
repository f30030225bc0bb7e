// ground.h - people stay on the ground.
//
// The height of a predicted trajectory is a sum of small steps and drifts over a long clip, and the reference puts
// only the lowest moment of the whole sequence on the ground. An addition to the reference, used by `gvhmr run`.
#pragma once
#include "formats/motion_file.h"

// Moves every frame vertically (transl, joints_world) so that the lowest joint stands at y = 0, except where it rises
// for less than 1.2 s: drift goes, jumps stay. Takes the ground as level: stairs are climbed without gaining height.
gv_status gv_ground_motion(gv_motion *m, gv_error *err);
