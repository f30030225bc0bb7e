// refine.h - the network's prediction drawn towards the keypoints that were seen.
//
// An addition to the reference, used by `gvhmr run`: frame by frame, body pose, orientation and place in the camera
// are moved so that the body's COCO-17 points lie on the observed ones, with the network's prediction as the prior.
// The body's proportions are those that fit the keypoints of all frames (one change of the betas, half a second counted
// as one frame, with one standard deviation of freedom); betas are limited to 2.5 standard deviations. What comes out is again a prediction in the network's own form, so that
// everything after it (world composition, foot locking) follows.
#pragma once
#include "body/body.h"
#include "formats/observations.h"
#include <stdbool.h>

// The network's answer trembles with the keypoints: rotations and velocities of pred_x [L, 151] smoothed in time
// (Gaussian, 1.5 and 2 frames; the shape stays), in place. In the 6D form that is a mean of rotations' rows, made
// orthonormal again where it is read. o, at 30 fps, may be NULL: arms that it shows swinging are smoothed less.
gv_status gv_smooth_prediction(float *pred_x, int frames, const gv_observations *o, gv_error *err);

// In place: pred_x [L, 151] and pred_cam [L, 3] as the network gives them. o: at 30 fps. Frames in which too little
// was seen follow their neighbours. Nothing is changed where the body has no keypoint regressor.
gv_status gv_refine_prediction(float *pred_x, float *pred_cam, const gv_observations *o, const gv_body *body,
                               gv_error *err);

// The same for a single frame, for those who smooth in their own way. d: turns of the joints, and the change of the
// place in the camera (x / z, y / z, log z). Fit returns false, and zeros, where too little was seen. points:
// body->coco17's.
enum { GV_CORRECTION_TURNS = 48, GV_CORRECTION = GV_CORRECTION_TURNS + 3 };
bool gv_correction_fit(float d[GV_CORRECTION], const gv_points *points, const float *pred_x, const float *pred_cam,
                       const float *kp2d, const float *box, const float *K);
void gv_correction_apply(float *pred_x, float *pred_cam, const float d[GV_CORRECTION], const float *box,
                         const float *K);

// Mean distance between projected and observed keypoints (confidence over 0.5) in sides of the box; negative where
// there is none: how well a prediction lies on its picture.
double gv_reprojection_error(const float *pred_x, const float *pred_cam, const gv_observations *o, const gv_body *body);
