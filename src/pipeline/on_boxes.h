// on_boxes.h - BlazePose's landmarks for people whose boxes are known from elsewhere.
//
// Every frame stands for itself: the region is taken from the box, then once more from the landmarks found in it.
#pragma once
#include "perception/blazepose.h"

typedef struct gv_on_boxes gv_on_boxes;
gv_status gv_on_boxes_open(gv_on_boxes **out, gv_blaze_model model, bool mirror, gv_error *err);
void gv_on_boxes_close(gv_on_boxes *b); // accepts NULL

// bbx_xys [n]: centre and side of the square box, px of the image; kp2d [n, 17, 3]: x, y px, confidence, which is 0
// where the box shows nobody. n <= 8.
gv_status gv_on_boxes_run(gv_on_boxes *b, const gv_image *image, const float (*bbx_xys)[3], int n, float *kp2d,
                          gv_error *err);
