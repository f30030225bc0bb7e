// placement.h - the body's place in front of the camera, refined by where its keypoints were seen.
#pragma once
#include "body/body.h"
#include "formats/motion_file.h"

// Replaces transl_incam (and joints_incam accordingly) by the translation that brings the body's COCO-17 points,
// projected with K, closest to the observed ones: robust least squares per frame, the network's depth as a weak
// prior, depth smoothed in time. Orientation, pose and the world trajectory stay. Frames in which too little was
// seen follow their neighbours. Without a keypoint regressor in the body, nothing is changed.
gv_status gv_place_in_camera(gv_motion *m, const gv_body *body, gv_error *err);

// Mean distance in px between projected and observed points with confidence over 0.5, relative to the side of the
// box: a measure of how well a motion lies on its picture. Negative where there is no regressor or no such point.
double gv_reprojection_error(const gv_motion *m, const gv_body *body);
