// gravity.h - one direction of gravity for a whole clip.
//
// An addition to the reference, used by `gvhmr run`: the network says in every frame anew where down is, each time with
// an error of several degrees. Seen through the camera's known rotation all frames speak of the same direction; so
// their robust mean replaces them, and the gravity-view orientations are made anew from it and the orientation in the
// camera.
#pragma once
#include "base/error.h"
#include "formats/observations.h"
#include <stdbool.h>

// In place: pred_x [L, 151] as the network gives it. o: at 30 fps. Frames where hardly a keypoint was seen do not
// count.
gv_status gv_steady_gravity(float *pred_x, const gv_observations *o, gv_error *err);

// The robust mean of unit vectors down [n, 3] with weights w [n]: what is more than some 11 degrees from the others
// counts less. False where there is none.
bool gv_mean_direction(double mean[3], const float *down, const double *w, int n);
