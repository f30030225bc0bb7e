// judge.h - the quality report of a motion (evaluation/quality.h) with the body projected onto the keypoints.
#pragma once
#include "body/body.h"
#include "evaluation/quality.h"

// px [L]: mean distance between the body's COCO-17 points in the camera and the observed ones of confidence over
// one half; NAN in frames with fewer than four of them, everywhere where the body has no keypoint regressor.
gv_status gv_reprojection_px(float *px, const gv_motion *m, const gv_body *body, gv_error *err);

// On success *q is the caller's to free.
gv_status gv_judge(gv_quality *q, const gv_motion *m, const gv_body *body, gv_error *err);
