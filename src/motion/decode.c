#include "motion/decode.h"
#include "geometry/rotation.h"
#include "geometry/so3.h"
#include "network/statistics.h"

#include <math.h>
#include <string.h>

void gv_decode_block(double *y, const float *pred_x, int first, int count) {
    for (int i = 0; i < count; i++)
        y[i] = (double)pred_x[first + i] * gv_pred_x_std[first + i] + gv_pred_x_mean[first + i];
}

void gv_decode_rotation(double R[9], const float *pred_x, int first) {
    double d6[6];
    gv_decode_block(d6, pred_x, first, 6);
    gv_rotd_from_6d(R, d6);
}

void gv_decode_aa(double aa[3], const float *pred_x, int first) {
    double R[9];
    gv_decode_rotation(R, pred_x, first);
    gv_rotd_to_aa(aa, R);
}

void gv_decode_place(double transl[3], const float *pred_cam, const float *box, const float *K) {
    const double sb = (double)box[2] * pred_cam[0] + 1e-9;
    transl[0] = pred_cam[1] + 2 * ((double)box[0] - K[2]) / sb;
    transl[1] = pred_cam[2] + 2 * ((double)box[1] - K[5]) / sb;
    transl[2] = 2 * (double)K[0] / sb;
}

void gv_decode_rest(double rest[66], const gv_body *body, const double betas[10]) {
    for (int i = 0; i < 66; i++) {
        rest[i] = body->J_template[i];
        for (int k = 0; k < 10; k++) rest[i] += (double)body->J_shapedirs[10 * i + k] * betas[k];
    }
}

void gv_gravity_view(double G[9], const double down[3]) {
    const double n = hypot(down[0], down[1]);
    const double x[3] = {n > 1e-5 ? down[1] / n : 1, n > 1e-5 ? -down[0] / n : 0, 0};
    memcpy(G, x, sizeof x);
    memcpy(G + 3, down, sizeof x);
    gv_cross3(G + 6, x, down);
}
