// poses.h - poses that the clips lack, made of those that they have: bent, squatting, sitting, kneeling, lying.
#pragma once
#include "base/team.h"
#include "training/sample.h"

// Bends hips, knees and waist of a drawn sequence by key poses that come and go, each leg by itself, the feet parallel
// to the ground as before; the height of the hips follows so that what was lowest stays as low.
GV_SHARED void gv_sequence_bend(gv_sequence *m, const gv_rig *rig, gv_rng *r);

// Lays the sequence on the ground: on its back, its front or a side, hardly travelling.
GV_SHARED void gv_sequence_lay(gv_sequence *m, const gv_rig *rig, gv_rng *r);
