// yolo_net.h - the network of YOLOv8, n to x, straight from its .pt file (SPEC-perception.md 6.2).
//
// All sizes are read off the tensors' shapes; batch norm is folded into the convolutions. Images between layers are
// blocked (nn/conv.h) and every concatenation is a place that its parts write to. The network is planned for one
// input size at a time; weights stay packed when the size changes. On a device images are [height, width, channels], a
// convolution is the device's own or its windows written out and a matrix product, and of the head only the people
// come back; from the second run of a size on what is done there is one recorded piece.
//
//     gv_yolo_net *net = NULL;
//     gv_yolo_net_open(&net, "yolov8x.pt", GV_PRECISION_F32, NULL, &err);
//     gv_yolo_net_resize(net, 384, 640, &err);
//     gv_yolo_net_run(net, letterbox, &image, &err);
//     gv_yolo_level level = gv_yolo_net_level(net, 0);
#pragma once
#include "nn/linear.h"
#include "nn/yolo_cell.h"
#include "perception/letterbox.h"
#include <stdint.h>

typedef struct gv_yolo_net gv_yolo_net;
// Anything but the weights of a YOLOv8 detector (another task, another version, numbers that are not finite) is an
// error that says what was found. The element type in the file does not matter.
// device NULL: the processor; else it outlives the network.
gv_status gv_yolo_net_open(gv_yolo_net **out, const char *path, gv_precision precision, gv_device *device,
                           gv_error *err);
void gv_yolo_net_close(gv_yolo_net *n); // accepts NULL
int gv_yolo_net_classes(const gv_yolo_net *n);

// Height and width of the input: multiples of 32, up to 4096. Does nothing where the size is the one it has. After an
// error the network has no size and must be given one.
gv_status gv_yolo_net_resize(gv_yolo_net *n, int height, int width, gv_error *err);
// On a picture, brought to that size by a letterbox of it.
gv_status gv_yolo_net_run(gv_yolo_net *n, gv_letterbox l, const gv_image *image, gv_error *err);
// On a device: `count` pictures of one size, GV_YOLO_BATCH at most. All are in the queue before the first answer is
// waited for, each goes over while the network works on the one before, and the room for them stays.
enum { GV_YOLO_BATCH = 4 };
gv_status gv_yolo_net_run_all(gv_yolo_net *n, gv_letterbox l, const gv_image *images, int count, gv_error *err);

// What the detection head says at one of the three scales, for cell (y, x):
// logit i of a list is at [i / 16, y, x, i % 16].
typedef struct gv_yolo_level {
    int stride;          // 8, 16, 32 px of the input
    int height, width;   // cells
    const float *sides;  // 64 logits: 16 bins for each of left, top, right, bottom
    const float *scores; // one logit per class
} gv_yolo_level;
gv_yolo_level gv_yolo_net_level(const gv_yolo_net *n, int level); // valid until the next run or resize; on the
                                                                  // processor alone
// On the processor: score of a person and the distances of left, top, right and bottom in cells, of cell `cell` (rows,
// columns) at one of the scales; the distances only where the score is above GV_YOLO_LEAST.
void gv_yolo_net_cell(const gv_yolo_net *n, int level, size_t cell, float score_and_sides[5]);
#define GV_YOLO_LEAST   0.5f
#define GV_YOLO_OVERLAP 0.7

// Of picture i of the last run on a device, else NULL: how many people, then x0, y0, x1, y1 (px of the input) and score
// of each, GV_YOLO_MAX at most, best first, of those above GV_YOLO_LEAST that overlap no better one by more than
// GV_YOLO_OVERLAP.
const float *gv_yolo_net_people(const gv_yolo_net *n, int i);

// A tensor inside, for tests: the output of model.N as [channels, height, width] of float32, to be freed. Only what no
// later layer has overwritten makes sense: all of them with keep_all set before resizing.
void gv_yolo_net_keep_all(gv_yolo_net *n);
float *gv_yolo_net_output_of(const gv_yolo_net *n, int layer, int *channels, int *height, int *width);
double gv_yolo_net_operations(const gv_yolo_net *n); // floating-point operations of the convolutions of a run
