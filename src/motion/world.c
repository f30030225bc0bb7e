#include "motion/world.h"

#include "geometry/rotation.h"
#include "geometry/so3.h"
#include "motion/smoothing.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

// A turn below this counts as none (the reference's "as identity").
static const double NO_TURN = 1e-5;

// Steps 1 to 5: the yaw that takes the view of camera t+1 back to that of camera t, both seen in gv_t.
static double view_yaw(const double orient_gv[3], const double orient_c[3], const float angvel[6]) {
    double A[9], aa[3], R_gv[9], R_c[9], C[9], d6[6], b[3];
    for (int i = 0; i < 6; i++) d6[i] = angvel[i];
    gv_rotd_from_6d(A, d6);
    gv_rotd_to_aa(aa, A);
    if (sqrt(aa[0] * aa[0] + aa[1] * aa[1] + aa[2] * aa[2]) < NO_TURN)
        memcpy(A, (double[9]){1, 0, 0, 0, 1, 0, 0, 0, 1}, sizeof A);
    gv_rotd_from_aa(R_gv, orient_gv);
    gv_rotd_from_aa(R_c, orient_c);
    gv_so3_mul_nt(C, R_gv, R_c);
    gv_so3_apply(b, C, A + 6); // third column of C A^T = C times the third row of A
    double ax = C[2], az = C[8];
    return atan2(b[2] * ax - b[0] * az, ax * b[0] + az * b[2]);
}

// log(Ry(yaw) exp(aa))
static void turn_about_y(double out[3], double yaw, const double aa[3]) {
    double R[9], Y[9] = {cos(yaw), 0, sin(yaw), 0, 1, 0, -sin(yaw), 0, cos(yaw)}, product[9];
    gv_rotd_from_aa(R, aa);
    gv_so3_mul(product, Y, R);
    gv_rotd_to_aa(out, product);
}

// Steps 9 to 11 for one frame: orientation in the y-up world and this frame's step.
static void place_frame(double orient_w[3], double step[3], double yaw, const double orient_gv[3],
                        const double velocity[3]) {
    static const double Z[9] = {-1, 0, 0, 0, -1, 0, 0, 0, 1}; // y down to y up: half a turn about z
    double in_gv0[3], R[9], u[3], product[9];
    turn_about_y(in_gv0, yaw, orient_gv);
    gv_rotd_from_aa(R, in_gv0);
    gv_so3_apply(u, R, velocity);
    gv_so3_apply(step, Z, u);
    gv_so3_mul(product, Z, R);
    gv_rotd_to_aa(orient_w, product);
}

void gv_compose_world(double *orient_w, double *transl_w, const double *orient_gv, const double *orient_c,
                      const double *velocity, const float *cam_angvel, int frames, double *scratch) {
    double *yaw = scratch;
#pragma omp parallel for schedule(static) if (frames >= GV_PARALLEL_FROM)
    for (int t = 0; t < frames; t++)
        yaw[t] = view_yaw(orient_gv + 3 * (size_t)t, orient_c + 3 * (size_t)t, cam_angvel + 6 * (size_t)t);
    gv_gaussian_smooth(yaw, frames, 1, 0, 1, 3, scratch + frames);
    // Q_t = Q_{t-1} Y_t, Y_t = exp(w_t)^T; the yaw of index t, not t-1, as in the reference (SPEC.md 16.2)
    double sum = 0;
    for (int t = 0; t < frames; t++) {
        if (t > 0) sum -= yaw[t];
        yaw[t] = fabs(remainder(sum, 2 * M_PI)) < NO_TURN ? 0 : sum;
    }
#pragma omp parallel for schedule(static) if (frames >= GV_PARALLEL_FROM)
    for (int t = 0; t < frames; t++)
        place_frame(orient_w + 3 * (size_t)t, transl_w + 3 * (size_t)t, yaw[t], orient_gv + 3 * (size_t)t,
                    velocity + 3 * (size_t)t);
    double at[3] = {0};
    for (int t = 0; t < frames; t++) // steps to positions; the last step is unused
        for (int i = 0; i < 3; i++) {
            double step = transl_w[3 * (size_t)t + i];
            transl_w[3 * (size_t)t + i] = at[i];
            at[i] += step;
        }
}
