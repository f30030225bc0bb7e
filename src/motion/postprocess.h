// postprocess.h - standing feet and the ground (SPEC.md 9). Internal to src/motion.
#pragma once
#include "motion/solver.h"

// Both fill s->transl from s->transl_w and what is kept of the joints. logits [L, 6]; scratch [10 L] numbers.
void gv_correct_moving_camera(gv_solution *s, const float *logits, double *scratch); // 9.1
void gv_correct_static_camera(gv_solution *s, const float *logits, double *scratch); // 9.2

// Targets [last - first, 6, 3] of frames first .. last-1 from s->transl (9.3, step 2); before [6, 3]: those of frame
// first - 1, which become those of last - 1.
void gv_lock_targets(double *targets, double before[18], const gv_solution *s, const float *logits, int first,
                     int last);
