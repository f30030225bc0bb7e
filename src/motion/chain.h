// chain.h - ablation: orientations without Gravity-View frames.
//
// A network trained so tells, where others tell the orientation in the Gravity-View frame, how the root turns from this
// frame to the next, in the root's own axes (as TRACE and WHAM do). Chained, the turns give orientations in one world,
// whose errors add up. Where gravity is at the beginning nothing tells: the first camera is taken to be level.
#pragma once
#include "base/team.h"

enum { GV_CHAIN_SCALE = 10 }; // ten times the turn, so that it is about as large as what it replaces

// Columns 142..147 of a frame's targets, not normalised: the turn (axis-angle) from R [9] to next [9] times the scale,
// then three values whose normalised form is 0.
GV_SHARED void gv_chain_turn(float column[6], const float R[9], const float next[9]);

// Rewrites columns 142..147 of pred_x [L, 151] to the Gravity-View orientations that the turns amount to, and
// cam_angvel [L, 6] to the camera's rotation that agrees with them: what follows is the same for both kinds of
// networks.
void gv_chain_resolve(float *pred_x, float *cam_angvel, int frames);
