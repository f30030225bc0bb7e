#include "motion/chain.h"
#include "geometry/rotation.h"
#include "network/statistics.h"

#include <math.h>
#include <string.h>

enum { X = GV_PRED_X, AT = GV_X_ORIENT_GV };

void gv_chain_turn(float column[6], const float R[9], const float next[9]) {
    float D[9], aa[3];
    gv_mat3_mul_tn(D, R, next);
    gv_rot_to_aa(aa, D);
    for (int c = 0; c < 3; c++) {
        column[c] = GV_CHAIN_SCALE * aa[c];
        column[3 + c] = gv_pred_x_mean[AT + 3 + c];
    }
}

static void read_6d(double R[9], const float *x, int column) {
    double d6[6];
    for (int i = 0; i < 6; i++) d6[i] = (double)x[column + i] * gv_pred_x_std[column + i] + gv_pred_x_mean[column + i];
    gv_rotd_from_6d(R, d6);
}

// The Gravity-View frame of a camera that sees gravity along y (SPEC.md 14.1): rows x, y, z.
static void gravity_view(double G[9], const double y[3]) {
    double n = sqrt(y[0] * y[0] + y[1] * y[1]);
    double x[3] = {n < 1e-5 ? 1 : y[1] / n, n < 1e-5 ? 0 : -y[0] / n, 0};
    double z[3] = {x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]};
    memcpy(G, x, sizeof x);
    memcpy(G + 3, y, sizeof z);
    memcpy(G + 6, z, sizeof z);
}

void gv_chain_resolve(float *pred_x, float *cam_angvel, int frames) {
    double W[9], before[9], D[9];
    for (int t = 0; t < frames; t++) {
        float *x = pred_x + (size_t)t * X;
        double R_c[9], C[9], G[9], R_gv[9], turn[3], product[9];
        read_6d(R_c, x, GV_X_ORIENT_C);
        if (t == 0) memcpy(W, R_c, sizeof W); // a level camera: its axes are the world's, y down
        gv_mat3d_mul_nt(C, R_c, W);           // camera from world
        if (t > 0) {
            gv_mat3d_mul_nt(D, C, before);
            for (int i = 0; i < 6; i++) cam_angvel[6 * (size_t)(t - 1) + i] = (float)D[i];
        }
        memcpy(before, C, sizeof before);
        for (int c = 0; c < 3; c++)
            turn[c] = ((double)x[AT + c] * gv_pred_x_std[AT + c] + gv_pred_x_mean[AT + c]) / GV_CHAIN_SCALE;
        gravity_view(G, (double[]){C[1], C[4], C[7]});
        gv_mat3d_mul(R_gv, G, R_c);
        for (int i = 0; i < 6; i++) x[AT + i] = (float)((R_gv[i] - gv_pred_x_mean[AT + i]) / gv_pred_x_std[AT + i]);
        gv_rotd_from_aa(D, turn);
        gv_mat3d_mul(product, W, D);
        memcpy(W, product, sizeof W);
    }
    if (frames > 1)
        memcpy(cam_angvel + 6 * (size_t)(frames - 1), cam_angvel + 6 * (size_t)(frames - 2), sizeof(float[6]));
}
