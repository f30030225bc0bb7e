// A point X of the body (root-relative, turned into the camera) at translation t is seen at u = f (X.x + t.x) / (X.z + t.z)
// + cx. Multiplied out this is linear in t: f t.x - (u - cx) t.z = (u - cx) X.z - f X.x, and the same for y. Divided by
// the current depth it is a residual in pixels, so that a few reweighted linear solves give the robust fit.
#include "pipeline/placement.h"
#include "base/memory.h"
#include "motion/smoothing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POINTS = GV_COCO17, ENOUGH = 6, ROUNDS = 5 };
static const double pixel_sigma = 0.01; // of the box side: what a keypoint is trusted to
static const double huber = 2.5;        // sigmas, from where on a point counts less
static const double depth_sigma = 0.25; // of the depth: how far the network's is trusted
static const double shallowest = 0.2;   // m

// Solves the symmetric positive 3x3 system A x = b by Cholesky; false where it is not positive.
static bool solve3(const double A[9], const double b[3], double x[3]) {
    double l00 = sqrt(A[0]), l10 = A[3] / l00, l20 = A[6] / l00;
    double d1 = A[4] - l10 * l10;
    if (!(A[0] > 0) || !(d1 > 0)) return false;
    double l11 = sqrt(d1), l21 = (A[7] - l20 * l10) / l11, d2 = A[8] - l20 * l20 - l21 * l21;
    if (!(d2 > 0)) return false;
    double l22 = sqrt(d2), y0 = b[0] / l00, y1 = (b[1] - l10 * y0) / l11, y2 = (b[2] - l20 * y0 - l21 * y1) / l22;
    x[2] = y2 / l22;
    x[1] = (y1 - l21 * x[2]) / l11;
    x[0] = (y0 - l10 * x[1] - l20 * x[2]) / l00;
    return true;
}

// Adds the row a t = r with a weight to the normal equations.
static void add_row(double A[9], double b[3], const double a[3], double r, double w) {
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) A[3 * i + j] += w * a[i] * a[j];
        b[i] += w * a[i] * r;
    }
}

// One reweighted solve from t; X [17, 3] root-relative points, kp [17, 3] observed.
static bool refine(double t[3], double prior_z, const float *X, const float *kp, const float *K, double side) {
    double A[9] = {0}, b[3] = {0}, sigma = pixel_sigma * side;
    for (int j = 0; j < POINTS; j++) {
        const float *x = X + 3 * j, *p = kp + 3 * j;
        double z = fmax(x[2] + t[2], shallowest);
        if (!(p[2] > 0.5f)) continue;
        double f[2] = {K[0], K[4]}, d[2] = {(double)p[0] - K[2], (double)p[1] - K[5]}, error[2];
        for (int i = 0; i < 2; i++) error[i] = (f[i] * (x[i] + t[i]) / z - d[i]) / sigma;
        double far = hypot(error[0], error[1]), w = p[2] * (far > huber ? huber / far : 1) / (sigma * sigma * z * z);
        add_row(A, b, (const double[3]){f[0], 0, -d[0]}, d[0] * x[2] - f[0] * x[0], w);
        add_row(A, b, (const double[3]){0, f[1], -d[1]}, d[1] * x[2] - f[1] * x[1], w);
    }
    double weight = 1 / (depth_sigma * prior_z * depth_sigma * prior_z);
    add_row(A, b, (const double[3]){0, 0, 1}, prior_z, weight);
    double next[3];
    if (!solve3(A, b, next) || !(next[2] > shallowest) || !isfinite(next[0] + next[1] + next[2])) return false;
    memcpy(t, next, sizeof next);
    return true;
}

static int visible(const float *kp) {
    int n = 0;
    for (int j = 0; j < POINTS; j++) n += kp[3 * j + 2] > 0.5f;
    return n;
}

// q [L, 3] = (x / z, y / z, log z): what is smoothed.
static void to_rays(double q[3], const double t[3]) {
    q[0] = t[0] / t[2];
    q[1] = t[1] / t[2];
    q[2] = log(t[2]);
}

// Corrections of frames without a fit: linear between the neighbours that have one, constant at the ends.
static void bridge(double *correction, const bool *fitted, int frames) {
    int last = -1;
    for (int t = 0; t <= frames; t++) {
        if (t < frames && !fitted[t]) continue;
        for (int g = last + 1; g < t; g++)
            for (int i = 0; i < 3; i++) {
                double before = last >= 0 ? correction[3 * last + i] : t < frames ? correction[3 * t + i] : 0;
                double after = t < frames ? correction[3 * t + i] : before;
                double w = last >= 0 ? (double)(g - last) / (double)(t - last) : 1;
                correction[3 * g + i] = before + w * (after - before);
            }
        last = t;
    }
}

static void fit_frame(gv_motion *m, const gv_points *points, int t, double *rays, double *correction, bool *fitted) {
    float X[3 * POINTS];
    const float *kp = m->kp2d + 51 * (size_t)t, *K = m->K + 9 * (size_t)t, *side = m->bbx_xys + 3 * (size_t)t + 2;
    double x[3], start[3];
    for (int i = 0; i < 3; i++) x[i] = start[i] = m->transl_incam[3 * (size_t)t + i];
    if (!(x[2] > shallowest)) x[2] = start[2] = shallowest;
    to_rays(rays + 3 * t, start);
    if (visible(kp) < ENOUGH) return;
    gv_points_pose(points, m->betas, m->body_pose + 63 * (size_t)t, m->global_orient_incam + 3 * (size_t)t, NULL, X, NULL);
    bool ok = true;
    for (int r = 0; r < ROUNDS && ok; r++) ok = refine(x, start[2], X, kp, K, (double)*side);
    if (!ok) return;
    to_rays(correction + 3 * t, x);
    for (int i = 0; i < 3; i++) correction[3 * t + i] -= rays[3 * t + i];
    fitted[t] = true;
}

static void move_frame(gv_motion *m, int t, const double q[3]) {
    double z = exp(q[2]), to[3] = {q[0] * z, q[1] * z, z};
    for (int i = 0; i < 3; i++) {
        float *x = m->transl_incam + 3 * (size_t)t + i, shift = (float)(to[i] - *x);
        *x += shift;
        for (int j = 0; j < GV_MOTION_JOINTS; j++) m->joints_incam[((size_t)t * GV_MOTION_JOINTS + j) * 3 + i] += shift;
    }
}

gv_status gv_place_in_camera(gv_motion *m, const gv_body *body, gv_error *err) {
    if (!body->coco17) return GV_OK;
    size_t L = (size_t)m->frames;
    gv_points *points = gv_points_create(body, body->coco17, POINTS);
    double *rays = gv_calloc2(L, 3 * sizeof *rays), *correction = gv_calloc2(L, 3 * sizeof *correction);
    double *scratch = gv_calloc2(L + 64, 3 * sizeof *scratch);
    bool *fitted = gv_calloc2(L, sizeof *fitted);
    gv_status status = GV_OK;
    if (!points || !rays || !correction || !scratch || !fitted) {
        status = gv_fail(err, GV_ERR_MEMORY, "no memory to place a body in %d frames", m->frames);
        goto done;
    }
    for (int t = 0; t < m->frames; t++) fit_frame(m, points, t, rays, correction, fitted);
    bridge(correction, fitted, m->frames);
    for (size_t i = 0; i < 3 * L; i++) rays[i] += correction[i];
    double frames_per_30th = m->fps > 0 ? fmax(m->fps / 30, 0.34) : 1; // the reference smooths depths with 5 frames at 30 fps
    gv_gaussian_smooth(rays, m->frames, 3, 0, 2, frames_per_30th, scratch);
    gv_gaussian_smooth(rays, m->frames, 3, 2, 1, 5 * frames_per_30th, scratch);
    for (int t = 0; t < m->frames; t++) move_frame(m, t, rays + 3 * t);
done:
    gv_points_destroy(points);
    free(rays);
    free(correction);
    free(scratch);
    free(fitted);
    return status;
}

double gv_reprojection_error(const gv_motion *m, const gv_body *body) {
    gv_points *points = body->coco17 ? gv_points_create(body, body->coco17, POINTS) : NULL;
    double sum = 0, n = 0;
    for (int t = 0; points && t < m->frames; t++) {
        float X[3 * POINTS];
        const float *kp = m->kp2d + 51 * (size_t)t, *K = m->K + 9 * (size_t)t;
        gv_points_pose(points, m->betas, m->body_pose + 63 * (size_t)t, m->global_orient_incam + 3 * (size_t)t,
                       m->transl_incam + 3 * (size_t)t, X, NULL);
        for (int j = 0; j < POINTS; j++) {
            const float *x = X + 3 * j, *p = kp + 3 * j;
            if (!(p[2] > 0.5f) || !(x[2] > 0)) continue;
            sum += hypot(K[0] * x[0] / x[2] + K[2] - p[0], K[4] * x[1] / x[2] + K[5] - p[1]) / m->bbx_xys[3 * (size_t)t + 2];
            n++;
        }
    }
    gv_points_destroy(points);
    return n > 0 ? sum / n : -1;
}
