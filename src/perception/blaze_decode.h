// blaze_decode.h - from BlazePose's raw network outputs to detections and landmarks (SPEC-perception 7.5
// to 7.7).
#pragma once
#include "perception/blazepose.h"

enum { GV_BLAZE_ANCHORS = 2254, GV_BLAZE_RAW_POINTS = 39, GV_BLAZE_HEATMAP = 64 };

// Detections of score >= min_score, before suppression, in fractions of the detector's square picture.
//   boxes  [2254, 12]  offsets from the anchor in 224ths: centre x, y, size w, h, four keypoints x, y
//   logits [2254]
// out has room for 2254; returns the number.
int gv_blaze_decode_detections(gv_detection *out, const float *boxes, const float *logits, float min_score);

// Weighted suppression: the best and everything that overlaps it by IoU > overlap become one detection with
// the best's score and their score-weighted mean of box and keypoints; repeated on the rest. In place;
// returns the number left, best first.
int gv_blaze_suppress(gv_detection *d, int n, float overlap);

// Landmarks of one region.
//   raw     [39, 5]         x, y, z in pixels of the 256-px crop, visibility and presence as logits
//   heatmap [64, 64, 39]    logits
//   world   [39, 3]         metres
// Fills points (with heatmap refinement, in the image) and world (turned with the region), not presence.
void gv_blaze_decode_landmarks(gv_landmarks *out, const float *raw, const float *heatmap, const float *world,
                               const gv_region *region);
