#include "pipeline/gravity.h"
#include "base/memory.h"
#include "geometry/rotation.h"
#include "geometry/so3.h"
#include "motion/decode.h"
#include "network/network.h"
#include "network/statistics.h"
#include "pipeline/timebase.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 5, ENOUGH = 6 };
static const double trusted = 0.2; // rad: frames that differ more from the mean count less

static double seen(const float *kp2d) {
    int n = 0;
    for (int k = 0; k < 17; k++) n += kp2d[3 * k + 2] > 0.5f;
    return n >= ENOUGH ? n : 0;
}

bool gv_mean_direction(double mean[3], const float *down, const double *w, int frames) {
    double before[3] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        double sum[3] = {0};
        for (int t = 0; t < frames; t++) {
            double dot = 0, k = w[t];
            for (int c = 0; c < 3; c++) dot += down[3 * t + c] * before[c];
            if (round) k /= 1 + 2 * (1 - dot) / (trusted * trusted); // 2 (1 - cos a) is about a^2
            for (int c = 0; c < 3; c++) sum[c] += k * down[3 * t + c];
        }
        double n = sqrt(sum[0] * sum[0] + sum[1] * sum[1] + sum[2] * sum[2]);
        if (!(n > 1e-6)) return false;
        for (int c = 0; c < 3; c++) before[c] = mean[c] = sum[c] / n;
    }
    return true;
}

gv_status gv_steady_gravity(float *pred_x, const gv_observations *o, gv_error *err) {
    size_t L = (size_t)o->frames;
    float *camera = gv_calloc2(L, 9 * sizeof *camera), *down = gv_calloc2(L, 3 * sizeof *down);
    double *weight = gv_calloc2(L, sizeof *weight), mean[3];
    gv_status status =
        camera && down && weight ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory for gravity in %d frames", o->frames);
    if (status) goto done;
    gv_timebase_camera(camera, o);
    for (size_t t = 0; t < L; t++) { // down in the odometry's world
        float C[9], V[9], M[9];
        gv_pred_rotation(C, pred_x + GV_PRED_X * t, GV_X_ORIENT_C);
        gv_pred_rotation(V, pred_x + GV_PRED_X * t, GV_X_ORIENT_GV);
        gv_mat3_mul_nt(M, C, V); // gravity-view to camera
        const float in_camera[3] = {M[1], M[4], M[7]};
        gv_mat3_apply_t(down + 3 * t, camera + 9 * t, in_camera);
        weight[t] = (int)t < o->length ? seen(o->kp2d + 51 * t) : 0;
    }
    if (!gv_mean_direction(mean, down, weight, o->frames)) goto done;
    for (size_t t = 0; t < L; t++) {
        double view[9], V[9], here[3];
        float C[9], G[9], R[9];
        for (int i = 0; i < 9; i++) V[i] = camera[9 * t + i];
        gv_so3_apply(here, V, mean);
        gv_gravity_view(view, here);
        for (int i = 0; i < 9; i++) G[i] = (float)view[i];
        gv_pred_rotation(C, pred_x + GV_PRED_X * t, GV_X_ORIENT_C);
        gv_mat3_mul(R, G, C);
        gv_pred_set_rotation(pred_x + GV_PRED_X * t, GV_X_ORIENT_GV, R);
    }
done:
    free(camera);
    free(down);
    free(weight);
    return status;
}
