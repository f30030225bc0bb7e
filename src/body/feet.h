// feet.h - the points of the feet that keypoint networks look for and COCO-17 lacks.
#pragma once
#include "body/body.h"
#include <stdbool.h>

enum { GV_BODY_FEET = 4 }; // left heel, left toes, right heel, right toes

// Rows of a regressor [4, V] for gv_points_create: a heel is the middle of what is rearmost of a foot in the rest pose,
// toes are the middle of what is foremost. A body without a surface at its feet gets rows of zeros: points at the
// origin of no use; then false.
bool gv_body_feet_rows(float *rows, const gv_body *b);
