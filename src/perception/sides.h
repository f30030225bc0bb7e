// sides.h - left and right that were taken for each other in some frames.
//
// BlazePose labels the sides anew in every frame, and for a body seen from an unusual side, or half turned, it now and
// then takes one for the other, all of a sudden and for both arms, both legs or all. A body cannot do that: of all
// ways to exchange the sides of trunk, arms and legs in some of the frames the one is taken with the smoothest points
// and the fewest exchanges (Viterbi over eight states a frame).
#pragma once
#include "perception/history.h"

// Exchanges the sides of kp2d and feet where that is so, before any smoothing or filling of gaps. kp3d of such a frame
// becomes 0, not known: it was guessed for a body that faces the other way. Returns the number of frames changed, or
// -1 where memory runs out (nothing is changed).
int gv_history_mend_sides(gv_history *h);
