// motion_lens.h - the lens that a motion was seen through, carried in the motion's own file.
//
// The extra array "lens" [1 or L, 9]: the model (1 = Brown, 2 = fisheye), then its eight coefficients in camera/lens.h's
// order; focal lengths and principal point are K's. There is none where the lens is a pinhole.
#pragma once
#include "camera/intrinsics.h"
#include "formats/motion_file.h"

gv_status gv_motion_lens_keep(gv_motion *m, const gv_optics *o, gv_error *err);

// The lens of row t. False: a pinhole; so is an array of another shape, or with values that are no lens.
bool gv_motion_lens(gv_lens *out, const gv_motion *m, int t);
