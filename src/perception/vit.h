// vit.h - the vision transformer under ViTPose and HMR2.0 (SPEC-perception.md 4.1), of any width and depth.
//
// A picture is [3, 256, 192], normalised (crop.h); it becomes 16 x 12 = 192 tokens of D numbers. Width and depth are
// read off the tensors. The number of heads is in no file: 12 for D = 384 and 768 (the published ViTPose-S and -B),
// 16 else.
//
// Weights are packed once. With GV_PRECISION_BF16 the products of the blocks take bfloat16 inputs and weights;
// their sums, the residual stream, norms, softmax and the patch embedding are float32 always. The result does not
// depend on the number of threads.
//
// On an engine that is on a device all pictures go through a layer at once. There queries, keys, values and the shares
// of attention are bfloat16 too with GV_PRECISION_BF16, where the sizes allow tiles; the sums and the softmax are
// float32.
#pragma once
#include "nn/linear.h"
#include "perception/checkpoint.h"

enum { GV_VIT_ROWS = 16, GV_VIT_COLUMNS = 12, GV_VIT_TOKENS = GV_VIT_ROWS * GV_VIT_COLUMNS };

typedef struct gv_vit gv_vit;
// Takes the tensors "backbone.*". The engine is the caller's and outlives the network.
gv_status gv_vit_create(gv_vit **out, gv_nn *nn, gv_checkpoint *c, gv_precision precision, gv_error *err);
void gv_vit_destroy(gv_vit *v); // accepts NULL
int gv_vit_width(const gv_vit *v);
int gv_vit_depth(const gv_vit *v);
int gv_vit_rows(int n, int threads); // rows of the blocks for n pictures: what gv_vit_run gives gv_nn_set_rows

typedef struct gv_vit_trace {         // what happens on the way, each [n, 192, D] or NULL
    float *embed, *attention, *block; // tokens before block 0; the output of its attention; tokens after it
} gv_vit_trace;

// tokens [n, 192, D] after the last norm, 64-byte aligned. Of pictures i with mirrored[i] the columns are taken in
// reverse order; mirrored NULL: none. trace may be NULL.
gv_status gv_vit_run(gv_vit *v, const float *const *pictures, const bool *mirrored, int n, float *tokens,
                     const gv_vit_trace *trace, gv_error *err);

// What follows the tokens on a device, as a part of the same piece in the queue: products, convolutions and kernels
// alone, in memory of so many bytes a picture, each piece of it aligned to 256 bytes.
enum { GV_VIT_PIECES = 8 };
typedef struct gv_vit_head {
    void (*queue)(const void *user, const float *tokens, int n, void *const memory[GV_VIT_PIECES]);
    const void *user;
    size_t bytes[GV_VIT_PIECES]; // 0: no such piece
} gv_vit_head;
void gv_vit_set_head(gv_vit *v, const gv_vit_head *head); // before the first picture

// The same on a device, where the tokens stay, until gv_vit_finish: [n, 192, D], or piece 0 of a head's memory, or NULL
// after a failure. crops are the pictures there, [.., 3, 256, 192]; index [n], of the program's memory, says which of
// them, or -1 - i for picture i mirrored.
// A number of pictures that comes twice in a row, the largest of those, keeps its memory, and from then on all behind
// the patches, the head included, is one piece in the queue; fewer pictures use the same memory.
float *gv_vit_queue(gv_vit *v, const float *crops, const int32_t *index, int n, const gv_vit_trace *trace);
// gv_device_finish, which after a failure gives back what was kept.
gv_status gv_vit_finish(gv_vit *v, gv_error *err);

// y = (x - mean) / sqrt(variance + eps) * weight + bias over D values.
void gv_layer_norm(float *y, const float *x, const float *weight, const float *bias, int D, float eps);
