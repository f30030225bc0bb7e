// conv_ops.h - the operators of convolutional graphs that are loops rather than primitives.
//
// Images are [height, width, channels], float32. Outputs do not overlap inputs unless said. All are
// parallel over independent rows and give the same bits for any number of threads.
#pragma once
#include "formats/tflite.h"

// out = activation(a + b), n numbers; out may be a or b.
void gv_op_add(float *out, const float *a, const float *b, int64_t n, gv_tflite_activation act);
void gv_op_logistic(float *out, const float *in, int64_t n); // 1 / (1 + exp(-x)); out may be in
// Zeros around: pads[d] = before and after; d = 1 height, 2 width, 3 channels. in [h, w, c].
void gv_op_pad(float *out, const float *in, int h, int w, int c, const int pads[4][2]);
// Window 2x2, stride 2, no padding. in [h, w, c], out [h / 2, w / 2, c].
void gv_op_max_pool2(float *out, const float *in, int h, int w, int c, gv_tflite_activation act);
// Bilinear to twice the size with half-pixel centres: source = (i + 0.5) / 2 - 0.5, edges repeated, so the
// weights are 1/4 and 3/4. in [h, w, c], out [2h, 2w, c].
void gv_op_resize2(float *out, const float *in, int h, int w, int c, gv_tflite_activation act);
// out[2y + a, 2x + b, k] = in[y, x, (2a + b) C + k] for block 2. in [h, w, c], out [h B, w B, C = c / B^2].
void gv_op_depth_to_space(float *out, const float *in, int h, int w, int c, int block);
// Joins `parts` blocks of size[i] numbers in each of `outer` rows: out [outer, sum of sizes].
void gv_op_concatenate(float *out, const float *const *in, const int64_t *size, int parts, int64_t outer);
