// camera_check.h - errors of a camera path against the truth, as ../shared/data/camera/eval_camera.py counts them.
#pragma once
#include "camera_way.h"
#include "geometry/so3.h"
#include "test.h"

typedef struct camera_errors {
    double step_rmse, step_max;    // degrees, frame to frame
    double drift_final, drift_max; // degrees, accumulated from frame 0
} camera_errors;

static inline void camera_relative(double out[9], const double A[9], const double B[9]) {
    gv_so3_mul_nt(out, A, B);
}

// truth [frames, 9]
static inline camera_errors camera_compare(const gv_camera_path *p, const double *truth, const char *name) {
    camera_errors e = {0};
    const double deg = 57.29577951308232;
    for (int f = 1; f < p->frames; f++) {
        double P[9], P1[9], P0[9], a[9], b[9];
        for (int i = 0; i < 9; i++) P[i] = p->R_w2c[9 * f + i], P1[i] = p->R_w2c[9 * (f - 1) + i], P0[i] = p->R_w2c[i];
        camera_relative(a, P, P1), camera_relative(b, truth + 9 * f, truth + 9 * (f - 1));
        double step = gv_so3_angle(a, b) * deg;
        camera_relative(a, P, P0), camera_relative(b, truth + 9 * f, truth);
        double drift = gv_so3_angle(a, b) * deg;
        e.step_rmse += step * step, e.step_max = fmax(e.step_max, step);
        e.drift_final = drift, e.drift_max = fmax(e.drift_max, drift);
    }
    e.step_rmse = sqrt(e.step_rmse / (p->frames > 1 ? p->frames - 1 : 1));
    printf("%-18s step RMSE %.4f max %.4f, drift final %.3f max %.3f deg, static %d\n", name, e.step_rmse, e.step_max,
           e.drift_final, e.drift_max, p->is_static);
    return e;
}
