// vitpose.h - ViTPose: 17 COCO keypoints of a person in a crop (SPEC-perception.md 4).
//
//     gv_vitpose *v = NULL;
//     gv_vitpose_open(&v, "vitpose/vitpose-h-multi-coco.pth", GV_PRECISION_BF16, NULL, &err);
//     gv_crop_person(crop, &frame, bbx_xys, factor);                        // crop.h
//     gv_vitpose_run(v, &(gv_crops){crop}, bbx_xys, 1, true, kp2d, &err);
//     gv_vitpose_close(v);
//
// Any size of the network (S, B, L, H and others) by the shapes of its tensors. One caller at a time; a run uses the
// threads OpenMP had when the network was opened, and its result does not depend on how many those were.
#pragma once
#include "nn/heatmap_peak.h"
#include "nn/linear.h"
#include "perception/crop.h"
#include <stdbool.h>

enum { GV_VITPOSE_JOINTS = 17 };

typedef struct gv_vitpose gv_vitpose;
// PyTorch checkpoint, zip or legacy. device NULL: the processor, where GV_PRECISION_BF16 fails without bfloat16
// products; else it outlives the network.
gv_status gv_vitpose_open(gv_vitpose **out, const char *path, gv_precision precision, gv_device *device, gv_error *err);
void gv_vitpose_close(gv_vitpose *v); // accepts NULL
int gv_vitpose_width(const gv_vitpose *v);
int gv_vitpose_depth(const gv_vitpose *v);

// n crops, bbx_xys [n, 3] their boxes, full-size px. kp2d [n, 17, 3]: x, y in px of
// the full-size frame, confidence (the heatmap's peak: may exceed 1 or be negative). `flip`: average with the
// mirrored crop, as the reference does; without it half the work. Larger n is faster; memory stays bounded. From a
// device only the keypoints come back.
gv_status gv_vitpose_run(gv_vitpose *v, const gv_crops *crops, const float *bbx_xys, int n, bool flip, float *kp2d,
                         gv_error *err);

// The same up to the heatmaps [n, 17, 64, 48]; crops [n, 3, 256, 192] of gv_crop_person.
gv_status gv_vitpose_heatmaps(gv_vitpose *v, const float *crops, int n, bool flip, float *heatmaps, gv_error *err);

// One picture's heatmaps [17, 64, 48] to kp2d [17, 3] by the refinement of UDP-Pose. Where the peak is not positive
// it is not refined.
void gv_vitpose_decode(float *kp2d, const float *heatmaps, const float bbx_xys[3]);
