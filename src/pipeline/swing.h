// swing.h - arms that are seen to swing: what moves fast in the picture, and on, is motion and not noise.
#pragma once
#include "base/error.h"

// How much the wrist of `side` (0 left, 1 right) is seen to swing in frame t: 0, rising to 1 from 1.1 to 2.1 sides of
// the box a second over three frames, if their way is straight. kp2d [frames, 17, 3], bbx_xys [frames, 3], time_sec
// [frames].
double gv_swing(const float *kp2d, const float *bbx_xys, const double *time_sec, int frames, int t, int side);

// The same for all frames, swing [frames] for one side, spread over the frames around a swing and smooth in time, for
// mixing. scratch [2 frames].
void gv_swing_shares(double *swing, const float *kp2d, const float *bbx_xys, const double *time_sec, int frames,
                     int side, double *scratch);
