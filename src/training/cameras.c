// cameras.c - SPEC.md 14.6, and a surveillance camera.
#include "training/cameras.h"
#include "geometry/rotation.h"
#include "training/sequence.h"

#include <math.h>
#include <string.h>

GV_PART void axis_rotation(float R[9], int axis, double angle) {
    float aa[3] = {0};
    aa[axis] = (float)angle;
    gv_rot_from_aa(R, aa);
}

GV_PART double clip(double x, double lo, double hi) {
    return x < lo ? lo : x > hi ? hi : x;
}

// Rz(roll) Rx(pitch) Ry(yaw) diag(-1, -1, 1)
GV_PART void initial_rotation(float R[9], double yaw, double pitch, double roll) {
    float A[9], B[9], P[9];
    axis_rotation(A, 2, roll);
    axis_rotation(B, 0, pitch);
    gv_mat3_mul(P, A, B);
    axis_rotation(B, 1, yaw);
    gv_mat3_mul(R, P, B);
    for (int i = 0; i < 3; i++) {
        R[3 * i] = -R[3 * i];
        R[3 * i + 1] = -R[3 * i + 1];
    }
}

// The noisy parameter 0..1 of SPEC.md 14.6's interpolation at frame i of L.
GV_PART float noisy(gv_rng *r, int i, int L) {
    double step = 1.0 / (L - 1);
    return (float)(i * step + (i > 0 && i < L - 1 ? gv_uniform(r, -0.2, 0.2) * step : 0));
}

// The stream at frame i of L, and behind the last one: so many numbers for each but the first and last.
GV_PART gv_rng noisy_from(const gv_rng *r, int i, int each) {
    return gv_rng_after(r, i > 0 ? (i - 1) * each : 0);
}

GV_PART void noisy_drawn(gv_rng *r, int L, int each) {
    if (L > 2) *r = gv_rng_after(r, (L - 2) * each);
}

GV_PART void blend_6d(float R[9], const float A[9], const float B[9], const float w[6]) {
    float d6[6];
    for (int i = 0; i < 6; i++) d6[i] = A[i] + (B[i] - A[i]) * w[i];
    gv_rot_from_6d(R, d6);
}

GV_PART void rotate_path(float *R, gv_rng *r, const float R0[9], const float Rf[9], int L) {
    GV_EACH(i, L) {
        gv_rng mine = noisy_from(r, i, 6);
        float w[6];
        for (int c = 0; c < 6; c++) w[c] = noisy(&mine, i, L);
        blend_6d(R + 9 * i, R0, Rf, w);
    }
    noisy_drawn(r, L, 6);
    GV_MEET();
}

GV_PART void rotation_move(float *R, gv_rng *r, const float R0[9], int L, double scale) {
    const double std[3] = {PI / 6 * scale, PI / 3 * scale, PI / 6 * scale};
    float aa[3], D[9], Rf[9];
    for (int c = 0; c < 3; c++) aa[c] = (float)(gv_uniform(r, -1, 1) * std[c]);
    gv_rot_from_aa(D, aa);
    gv_mat3_mul(Rf, R0, D);
    rotate_path(R, r, R0, Rf, L);
}

// The camera keeps its first offset to the person; bias < 0 pushes in, > 0 pulls out.
GV_PART void follow(float *t, gv_rng *r, const float R0[9], const float t0[3], const float *joints, int L,
                    double bias) {
    float centre[3], end[3];
    double distance = 0;
    gv_mat3_apply_t(centre, R0, t0);
    for (int c = 0; c < 3; c++) distance += (-centre[c] - joints[c]) * (-centre[c] - joints[c]);
    distance = sqrt(distance) * bias * clip(1 + 0.1 * gv_normal(r), 0.67, 1.5);
    for (int c = 0; c < 3; c++) end[c] = (float)(0.5 * gv_normal(r) + (c == 2 ? distance : 0));
    GV_EACH(i, L) {
        gv_rng mine = noisy_from(r, i, 3);
        float move[3], w[3];
        for (int c = 0; c < 3; c++) move[c] = joints[66 * i + c] - joints[c];
        gv_mat3_apply(w, R0, move);
        for (int c = 0; c < 3; c++) t[3 * i + c] = t0[c] - w[c] + end[c] * noisy(&mine, i, L);
    }
    noisy_drawn(r, L, 3);
    GV_MEET();
}

// The camera turns about the person.
GV_PART void orbit(float *R, float *t, gv_rng *r, const float R0[9], const float *joints, int L) {
    float A[9], B[9], P[9], back[9], Rf[9], end[9];
    axis_rotation(A, 2, gv_normal(r) * PI / 16);
    axis_rotation(B, 0, gv_normal(r) * PI / 16);
    gv_mat3_mul(P, A, B);
    axis_rotation(B, 1, gv_normal(r) * PI);
    gv_mat3_mul(A, P, B);
    gv_mat3_mul_nt(end, A, R0); // camera to world at the end
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < 3; c++) {
            back[3 * i + c] = R0[3 * c + i];
            Rf[3 * i + c] = end[3 * i + c];
        }
    GV_EACH(i, L) {
        gv_rng mine = noisy_from(r, i, 6);
        float w[6], M[9], before[3], after[3];
        for (int c = 0; c < 6; c++) w[c] = noisy(&mine, i, L);
        blend_6d(M, back, Rf, w);
        for (int a = 0; a < 3; a++)
            for (int c = 0; c < 3; c++) R[9 * i + 3 * a + c] = M[3 * c + a];
        // t was made for R0: keep the person's place in the camera
        gv_mat3_apply(before, R0, joints + 66 * i);
        gv_mat3_apply(after, R + 9 * i, joints + 66 * i);
        for (int c = 0; c < 3; c++) t[3 * i + c] += before[c] - after[c];
    }
    noisy_drawn(r, L, 6);
    GV_MEET();
}

// A knock at one frame that swells and fades over twenty, then a little trembling.
GV_PART void step_noise(float *R, float *t, gv_rng *r, int L) {
    double what = gv_uniform01(r);
    int shift = what < 0.2 || (what >= 0.4 && what < 0.5), turn = what >= 0.2 && what < 0.5;
    int n = gv_randint(r, 10, L - 20);
    if ((shift || turn) && L >= 40) {
        float aa[3], D[9], target[9], back[9], by[3];
        for (int c = 0; c < 3; c++) {
            aa[c] = turn ? (float)(gv_normal(r) * PI / 36) : 0;
            by[c] = shift ? (float)(gv_normal(r) * 0.15) : 0;
        }
        gv_rot_from_aa(D, aa);
        for (int a = 0; a < 9; a++) back[a] = R[9 * n + 3 * (a % 3) + a / 3];
        gv_mat3_mul(target, D, back); // camera to world
        GV_MEET();                    // `back` is read
        GV_EACH(e, 20) {
            const int i = n - 10 + e;
            gv_rng mine = gv_rng_after(r, 6 * e);
            float w[6], M[9], c2w[9], centre[3];
            double k = i < n ? (i - n + 10) / 10.0 : (n + 10 - i) / 10.0;
            for (int c = 0; c < 6; c++) {
                w[c] = (float)clip(k + gv_uniform(&mine, -0.02, 0.02), 0, 1);
                if (!turn) w[c] = 0;
            }
            for (int a = 0; a < 9; a++) c2w[a] = R[9 * i + 3 * (a % 3) + a / 3];
            gv_mat3_apply_t(centre, R + 9 * i, t + 3 * i); // minus the camera's centre
            blend_6d(M, c2w, target, w);
            for (int a = 0; a < 9; a++) R[9 * i + a] = M[3 * (a % 3) + a / 3];
            for (int c = 0; c < 3; c++) centre[c] -= by[c] * (float)k;
            gv_mat3_apply(t + 3 * i, R + 9 * i, centre);
        }
        *r = gv_rng_after(r, 6 * 20);
        GV_MEET();
    }
    GV_EACH(i, 3 * L) {
        gv_rng mine = gv_rng_after(r, 2 * i);
        t[i] += (float)(0.0025 * gv_normal(&mine));
    }
    *r = gv_rng_after(r, 2 * 3 * L);
    GV_MEET();
}

GV_PART void start(float R0[9], float t0[3], gv_rng *r, const float root[3], double focal) {
    double yaw = gv_uniform(r, 0, 2 * PI), pitch = clip(PI / 36 + gv_normal(r) * PI / 8, -PI / 2, PI / 2),
           roll = clip(gv_normal(r) * PI / 24, -PI / 2, PI / 2), x, y, z;
    initial_rotation(R0, yaw, pitch, roll);
    if (gv_chance(r, 0.4)) {
        z = gv_uniform(r, 1, 6);
        x = gv_uniform(r, -1, 1) * 0.7 * z / focal;
        y = gv_uniform(r, -1, 1) * 0.5 * z / focal;
    } else {
        z = gv_uniform(r, 4, 12);
        double m = 0.9 * z / focal;
        x = clip(1.6 * gv_normal(r), -m, m);
        y = clip(0.8 * gv_normal(r), -m, m);
    }
    float w[3];
    gv_mat3_apply(w, R0, root);
    t0[0] = (float)x - w[0];
    t0[1] = (float)y - w[1];
    t0[2] = (float)z - w[2];
}

GV_PART void hold(float *R, float *t, const float R0[9], const float t0[3], int L) {
    GV_EACH(i, L) {
        memcpy(R + 9 * i, R0, sizeof(float[9]));
        memcpy(t + 3 * i, t0, sizeof(float[3]));
    }
    GV_MEET();
}

GV_PART void mixed(float *R, float *t, gv_rng *r, const float R0[9], const float t0[3], const float *joints, int L,
                   double first_kind) {
    double kind = gv_uniform(r, first_kind, 1);
    if (kind < 0.40) return; // static
    if (kind < 0.65) {
        rotation_move(R, r, R0, L, 1);
        float end[3], w[3];
        for (int c = 0; c < 3; c++) end[c] = (float)(gv_normal(r) * (c == 1 ? 0.25 : 1));
        gv_mat3_apply(w, R0, end);
        GV_EACH(i, L) {
            gv_rng mine = noisy_from(r, i, 3);
            for (int c = 0; c < 3; c++) t[3 * i + c] += w[c] * noisy(&mine, i, L);
        }
        noisy_drawn(r, L, 3);
        GV_MEET();
    } else if (kind < 0.90) {
        follow(t, r, R0, t0, joints, L, kind < 0.80 ? 0 : kind < 0.85 ? -0.5 : 1);
        rotation_move(R, r, R0, L, 0.5);
    } else {
        follow(t, r, R0, t0, joints, L, 0);
        orbit(R, t, r, R0, joints, L);
    }
    step_noise(R, t, r, L);
}

GV_PART void in_camera(float p[3], const float *R, const float *t, const float *x) {
    gv_mat3_apply(p, R, x);
    for (int c = 0; c < 3; c++) p[c] += t[c];
}

// z of all frames plus d, when everybody has read what is there.
GV_PART void move_away(float *t, int L, float d) {
    GV_MEET();
    GV_EACH(i, L) t[3 * i + 2] += d;
    GV_MEET();
}

// SPEC.md 14.6, final push: no joint nearer than 0.5 m, the root inside the image.
GV_PART void push(const float *R, float *t, const float *joints, int L, float focal) {
    float nearest = 1e9f, ratio = 0, add = 0, p[3];
    for (int i = 0; i < L; i++)
        for (int j = 0; j < 22; j++) {
            in_camera(p, R + 9 * i, t + 3 * i, joints + 66 * i + 3 * j);
            if (p[2] < nearest) nearest = p[2];
        }
    if (nearest < 0.5f) move_away(t, L, 0.5f - nearest);
    for (int i = 0; i < L; i++) {
        in_camera(p, R + 9 * i, t + 3 * i, joints + 66 * i);
        for (int c = 0; c < 2; c++) {
            float a = fabsf(p[c]);
            if (a / p[2] > ratio) {
                ratio = a / p[2];
                add = a * focal - p[2];
            }
        }
    }
    if (ratio * focal > 1) move_away(t, L, add);
}

GV_PART void surveillance(float *R, float *t, gv_rng *r, const float *joints, int L, float focal) {
    float R0[9], t0[3], w[3];
    double distance = exp(gv_uniform(r, log(5.0), log(40.0))), roll = gv_normal(r) * PI / 60;
    double pitch = gv_uniform(r, PI / 18, PI / 4), yaw = gv_uniform(r, 0, 2 * PI);
    initial_rotation(R0, yaw, pitch, roll);
    gv_mat3_apply(w, R0, joints + 66 * (L / 2)); // the person's place half way
    for (int c = 0; c < 2; c++) t0[c] = (float)(distance * gv_uniform(r, -0.8, 0.8) / focal) - w[c];
    t0[2] = (float)distance - w[2];
    hold(R, t, R0, t0, L);
}

// The camera turned about its own axis, in every frame by the same angle.
GV_PART void roll_all(float *R, float *t, int L, double askew) {
    float Z[9], A[9], b[3];
    axis_rotation(Z, 2, askew);
    GV_EACH(i, L) {
        gv_mat3_mul(A, Z, R + 9 * i);
        gv_mat3_apply(b, Z, t + 3 * i);
        memcpy(R + 9 * i, A, sizeof A);
        memcpy(t + 3 * i, b, sizeof b);
    }
    GV_MEET();
}

GV_SHARED void gv_camera_path(float *R, float *t, gv_rng *r, gv_camera_kind kind, const float *joints, int L,
                              float focal, double askew) {
    if (kind == GV_CAMERA_SURVEILLANCE)
        surveillance(R, t, r, joints, L, focal);
    else {
        float R0[9], t0[3];
        start(R0, t0, r, joints, focal);
        hold(R, t, R0, t0, L);
        if (kind != GV_CAMERA_STATIC && L > 1) mixed(R, t, r, R0, t0, joints, L, kind == GV_CAMERA_MOVING ? 0.4 : 0);
    }
    if (askew != 0) roll_all(R, t, L, askew);
    push(R, t, joints, L, focal);
}
