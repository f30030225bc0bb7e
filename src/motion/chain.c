#include "motion/chain.h"
#include "geometry/rotation.h"
#include "geometry/so3.h"
#include "motion/decode.h"
#include "network/statistics.h"

#include <string.h>

enum { X = GV_PRED_X, AT = GV_X_ORIENT_GV };

void gv_chain_resolve(float *pred_x, float *cam_angvel, int frames) {
    double W[9], before[9], D[9];
    for (int t = 0; t < frames; t++) {
        float *x = pred_x + (size_t)t * X;
        double R_c[9], C[9], G[9], R_gv[9], turn[3], product[9];
        gv_decode_rotation(R_c, x, GV_X_ORIENT_C);
        if (t == 0) memcpy(W, R_c, sizeof W); // a level camera: its axes are the world's, y down
        gv_so3_mul_nt(C, R_c, W);             // camera from world
        if (t > 0) {
            gv_so3_mul_nt(D, C, before);
            for (int i = 0; i < 6; i++) cam_angvel[6 * (size_t)(t - 1) + i] = (float)D[i];
        }
        memcpy(before, C, sizeof before);
        gv_decode_block(turn, x, AT, 3);
        for (int c = 0; c < 3; c++) turn[c] /= GV_CHAIN_SCALE;
        gv_gravity_view(G, (double[]){C[1], C[4], C[7]});
        gv_so3_mul(R_gv, G, R_c);
        for (int i = 0; i < 6; i++) x[AT + i] = (float)((R_gv[i] - gv_pred_x_mean[AT + i]) / gv_pred_x_std[AT + i]);
        gv_rotd_from_aa(D, turn);
        gv_so3_mul(product, W, D);
        memcpy(W, product, sizeof W);
    }
    if (frames > 1)
        memcpy(cam_angvel + 6 * (size_t)(frames - 1), cam_angvel + 6 * (size_t)(frames - 2), sizeof(float[6]));
}
