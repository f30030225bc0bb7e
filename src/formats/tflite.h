// tflite.h - TensorFlow Lite graphs, read into plain structs.
//
//     gv_tflite *g = NULL;
//     if (gv_tflite_open(&g, "pose_landmark_full.tflite", &err) != GV_OK) ...
//     const gv_tflite_tensor *in = &g->tensors[g->inputs[0]];      // in->shape = 1, 256, 256, 3
//     gv_tflite_close(g);
//
// A .tflite file is a FlatBuffer: tables of optional fields, found through offsets. What MediaPipe's pose
// package contains is read: one subgraph, tensors of float32, float16 and int32 with up to four dimensions,
// the operators below, sparse constants whose last dimension is compressed. Constants come out dense and as
// float32 (float16 to float32 is exact); DEQUANTIZE and DENSIFY of constants are folded and appear nowhere.
//
// The file is untrusted. Every position, count, shape and buffer size is checked; memory is at most
// GV_TFLITE_MAX_VALUES numbers. Guaranteed of a graph that opens: indices are inside their arrays, extents
// are positive, a constant has exactly `count` values, every operator's inputs are constants, graph inputs
// or outputs of EARLIER operators, no tensor is written twice, graph outputs are written or constant.
// Not checked here: that shapes fit the operators (convnet.h does).
// Source of the field numbers: the TensorFlow Lite schema, version 3.
#pragma once
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GV_TFLITE_DIMS = 4, GV_TFLITE_INPUTS = 8, GV_TFLITE_MAX_VALUES = 1 << 26 };

typedef enum gv_tflite_code { // BuiltinOperator of the schema
    GV_TFLITE_ADD = 0,
    GV_TFLITE_CONCATENATION = 2,
    GV_TFLITE_CONV_2D = 3,
    GV_TFLITE_DEPTHWISE_CONV_2D = 4,
    GV_TFLITE_DEPTH_TO_SPACE = 5,
    GV_TFLITE_DEQUANTIZE = 6,
    GV_TFLITE_LOGISTIC = 14,
    GV_TFLITE_MAX_POOL_2D = 17,
    GV_TFLITE_RESHAPE = 22,
    GV_TFLITE_RESIZE_BILINEAR = 23,
    GV_TFLITE_PAD = 34,
    GV_TFLITE_DENSIFY = 124,
} gv_tflite_code;

typedef enum gv_tflite_activation { GV_ACT_NONE = 0, GV_ACT_RELU = 1, GV_ACT_RELU6 = 3 } gv_tflite_activation;

typedef struct gv_tflite_tensor {
    int ndim;                  // 0..4
    int shape[GV_TFLITE_DIMS]; // each > 0; images are [1, height, width, channels]
    int64_t count;             // product of shape
    const float *f32;          // [count] a float constant, else NULL
    const int32_t *i32;        // [count] an integer constant, else NULL; both NULL: computed
} gv_tflite_tensor;

typedef struct gv_tflite_node {
    gv_tflite_code code;
    int index;                           // position in the file's list, for messages
    int inputs, input[GV_TFLITE_INPUTS]; // tensors; -1 = left out
    int output;
    // Options; pairs are height, width. Only what the operator has is set.
    bool same; // padding SAME (else VALID)
    int stride[2], dilation[2], filter[2];
    gv_tflite_activation activation; // comes last
    int axis;                        // CONCATENATION
    int block;                       // DEPTH_TO_SPACE
    bool align_corners, half_pixel;  // RESIZE_BILINEAR
} gv_tflite_node;

typedef struct gv_tflite {
    int ntensors, nnodes, ninputs, noutputs;
    gv_tflite_tensor *tensors;
    gv_tflite_node *nodes; // in execution order
    int *inputs, *outputs; // tensor indices
    struct gv_arena *memory;
} gv_tflite;

gv_status gv_tflite_open(gv_tflite **out, const char *path, gv_error *err);
// From bytes in memory, which are not needed afterwards.
gv_status gv_tflite_parse(gv_tflite **out, const void *bytes, size_t size, gv_error *err);
void gv_tflite_close(gv_tflite *g); // accepts NULL

const char *gv_tflite_code_name(gv_tflite_code code); // "CONV_2D"; NULL for operators that are not read
