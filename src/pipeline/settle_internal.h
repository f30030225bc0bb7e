// settle_internal.h - what the two files of settle.h share.
#pragma once
#include "pipeline/settle.h"

extern const double gv_contact_probability; // from where on a foot is taken to stand

// Heights of the feet's joints over the sole, in the rest pose of this person.
gv_status gv_sole_heights(double out[GV_FEET], const gv_body *body, const float betas[GV_BETAS], gv_error *err);

// The sequence's Gauss-Newton. m: heights settled. calm: 1, or more to have paths smoothed over so much longer.
gv_status gv_settle_solve(gv_motion *m, const gv_body *body, const double sole[GV_FEET], double calm,
                          const gv_listener *listener, gv_error *err);

// By how many m a pixel at the body's distance in frame t is larger than one that shows fine motion; 0 where it is not.
double gv_settle_coarseness(const gv_motion *m, int t);
