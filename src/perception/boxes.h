// boxes.h - the box law: from a person's boxes, with gaps, to the square crop (SPEC.md 12.1).
//
// Boxes are x0, y0, x1, y1 in px. Nothing here keeps state. Float32 throughout, as the reference.
#pragma once
#include "base/error.h"
#include <stdint.h>

// Intersection over union; 0 where either box is empty.
float gv_box_iou(const float a[4], const float b[4]);

// Greedy suppression among boxes [n] sorted best first: keeps those that overlap no kept one by more than `overlap`.
// kept [n] receives their indices; returns their number, at most max.
int gv_box_suppress(int *kept, const float (*boxes)[4], int n, double overlap, int max);

// Fills the rows of xyxy [n, 4] whose `observed` [n] is 0: a gap of g frames between two boxes linearly,
// fractions k/(g+1); before the first and after the last box the nearest one. Nothing observed: all zeros.
void gv_box_fill_gaps(float *xyxy, const uint8_t *observed, int n);

// Moving average over 5 frames with repeated ends, twice, in place.
gv_status gv_box_smooth(float *xyxy, int n, gv_error *err);

// xys: centre and side = 1.2 max(h, w / 0.75).
void gv_box_square(float xys[3], const float xyxy[4]);
