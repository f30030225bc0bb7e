// path_smooth.h - the camera's path freed of what single pictures get wrong.
//
// Each frame's rotation is off by a little that is new in every frame: noise, and a codec that lets a whole picture
// lag or lead. A camera has inertia, so its path is smooth on a scale that the path itself tells. Per axis the
// angle's fourth differences are taken as white, and how white noise of the measurement compares with them is what
// makes the path most likely (restricted marginal likelihood). Where that asks for more than a share of the tracks'
// error, it is motion (a hand that shakes), and the path stays as it is.
// Sources: Whittaker 1923; Patterson & Thompson 1971; Wahba 1985.
#pragma once
#include "base/error.h"
#include <stdbool.h>

// R [frames, 9] in place. noise [frames]: error of one coordinate of a track, normalised; negative where the rotation
// is not known: nothing is smoothed across such frames. radius: mean distance of tracks from the axis, normalised.
gv_status gv_path_smooth(double (*R)[9], const float *noise, double radius, long frames, gv_error *err);
