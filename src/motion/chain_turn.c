// chain_turn.c - for processor and device alike.
#include "geometry/rotation.h"
#include "motion/chain.h"
#include "network/statistics.h"

GV_SHARED void gv_chain_turn(float column[6], const float R[9], const float next[9]) {
    float D[9], aa[3];
    gv_mat3_mul_tn(D, R, next);
    gv_rot_to_aa(aa, D);
    for (int c = 0; c < 3; c++) {
        column[c] = GV_CHAIN_SCALE * aa[c];
        column[3 + c] = gv_pred_x_mean[GV_X_ORIENT_GV + 3 + c];
    }
}
