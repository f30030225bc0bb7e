// settle.h - a person's whole motion, drawn together: feet that stand do not slide, soles rest on the ground, and what
// trembles is calmed, while the body stays on its keypoints.
//
// An addition to the reference, used by `gvhmr run` after the solver, at the video's own times. First the height:
// planted feet say where the ground is, drift between them is taken out (a staircase, five or more steps of 10 to 25
// cm in one direction, is kept, if it is steeper than the errors of gravity make level ground). Then Gauss-Newton over
// all frames (settle_solve.c says what on).
#pragma once
#include "base/progress.h"
#include "body/body.h"
#include "formats/motion_file.h"
#include <stdbool.h>

// Lowers static_prob where the picture shows a foot moving. Changes body_pose, global_orient, transl,
// global_orient_incam, transl_incam and both sets of joints. The ground is at y = 0, under the soles of `body`, whose
// joints m has. common_gravity: y is up by what several people say (common_gravity.h), so that stairs need not be as
// steep. Memory: 40 MB and half a kilobyte a frame.
// The listener (may be NULL) is asked between pieces; where it ends the work the motion is of no use.
gv_status gv_settle(gv_motion *m, const gv_body *body, bool common_gravity, const gv_listener *listener, gv_error *err);

// The first part alone: heights (transl, joints_world). Somebody whose feet are never planted stands on the lowest
// joint.
gv_status gv_settle_height(gv_motion *m, const gv_body *body, bool common_gravity, gv_error *err);
