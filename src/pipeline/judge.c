#include "pipeline/judge.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

enum { KEYPOINTS = GV_COCO17, ENOUGH = 4 };
static const float sure = 0.5f;

// Mean over the sure keypoints of one frame; points [17, 3] m in the camera.
static float distance_px(const float *points, const float *kp, const float K[9]) {
    double sum = 0;
    int n = 0;
    for (int k = 0; k < KEYPOINTS; k++) {
        const float *p = points + 3 * k, *q = kp + 3 * k;
        if (!(q[2] > sure) || !(p[2] > 0.05f)) continue;
        double x = (K[0] * p[0] + K[1] * p[1]) / p[2] + K[2], y = K[4] * p[1] / p[2] + K[5];
        sum += hypot(x - q[0], y - q[1]);
        n++;
    }
    return n >= ENOUGH ? (float)(sum / n) : NAN;
}

gv_status gv_reprojection_px(float *px, const gv_motion *m, const gv_body *body, gv_error *err) {
    gv_points *regressor = body->coco17 ? gv_points_create(body, body->coco17, KEYPOINTS) : NULL;
    if (body->coco17 && !regressor) return gv_fail(err, GV_ERR_MEMORY, "no memory for the keypoints of the body");
    for (size_t t = 0; t < (size_t)m->frames; t++) {
        float points[3 * KEYPOINTS];
        px[t] = NAN;
        if (!regressor) continue;
        gv_points_pose(regressor, m->betas, m->body_pose + 63 * t, m->global_orient_incam + 3 * t,
                       m->transl_incam + 3 * t, points, NULL);
        px[t] = distance_px(points, m->kp2d + 3 * KEYPOINTS * t, m->K + 9 * t);
    }
    gv_points_destroy(regressor);
    return GV_OK;
}

gv_status gv_judge(gv_quality *q, const gv_motion *m, const gv_body *body, gv_error *err) {
    *q = (gv_quality){0};
    float *px = gv_calloc2((size_t)m->frames, sizeof *px);
    if (!px) return gv_fail(err, GV_ERR_MEMORY, "no memory for %d frames", m->frames);
    gv_status status = gv_reprojection_px(px, m, body, err);
    if (status == GV_OK) status = gv_quality_measure(q, m, px, err);
    free(px);
    return status;
}
