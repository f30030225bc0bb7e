// postprocess.h - standing feet and the ground (SPEC.md 9). Internal to src/motion.
#pragma once
#include "motion/solver.h"

// Both fill s->transl from s->transl_w and the joints. logits [L, 6]; scratch [10 L] numbers.
void gv_correct_moving_camera(gv_solution *s, const float *logits, double *scratch); // 9.1
void gv_correct_static_camera(gv_solution *s, const float *logits, double *scratch); // 9.2

// Fills s->ik_target from s->transl (9.3, step 2).
void gv_lock_targets(gv_solution *s, const float *logits);
