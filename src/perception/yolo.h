// yolo.h - YOLOv8, n to x: the people in a picture, with the reference's settings (SPEC-perception.md 6).
//
//     gv_yolo *y = NULL;
//     gv_yolo_open(&y, "yolov8x.pt", GV_PRECISION_F32, NULL, &err);
//     gv_yolo_people people;
//     gv_yolo_detect(y, &image, 1, &people, &err);
//
// Used by one thread at a time; inside, the threads are OpenMP's, and results do not depend on how many. The network
// is planned for the size of the first picture and again when the size changes (a few milliseconds per layer).
#pragma once
#include "base/error.h"
#include "nn/linear.h"
#include "nn/yolo_cell.h"
#include "perception/image.h"
#include <stdint.h>

typedef struct gv_yolo gv_yolo;
// device NULL: the processor; else all is there, from the decoded picture to the boxes.
gv_status gv_yolo_open(gv_yolo **out, const char *path, gv_precision precision, gv_device *device, gv_error *err);
void gv_yolo_close(gv_yolo *y); // accepts NULL

// The people in a picture: score above 0.5, person the best of all classes, boxes of one another overlapping by at
// most 0.7. Best first; nobody is no error.
typedef struct gv_yolo_people {
    int64_t count;
    float box[GV_YOLO_MAX][4]; // x0, y0, x1, y1 in px of the picture, which covers [0, width] x [0, height]
    float score[GV_YOLO_MAX];
} gv_yolo_people;
// Those in each of n pictures of one size. On a device as many as it has room for, GV_YOLO_BATCH at most, are in its
// queue before the first answer is waited for (what gv_device_meanwhile was given is done then); the answers are those
// of one by one to the last bit.
gv_status gv_yolo_detect(gv_yolo *y, const gv_image *images, int n, gv_yolo_people *out, gv_error *err);
