// conv.h - 2D convolutions, plain and depthwise, with bias, sum and activation in one pass (oneDNN).
//
//     gv_conv_engine *e = gv_conv_engine_create(1);                  // one worker
//     gv_conv_spec s = {.n = 1, .h = 56, .w = 56, .c = 24, .oc = 144, .kh = 1, .kw = 1, .stride = {1, 1},
//                       .dilation = {1, 1}, .weights = w, .bias = b, .act = GV_ACT_RELU6};
//     gv_conv *c = NULL;
//     gv_conv_create(&c, e, &s, &err);
//     gv_conv_run(c, 0, in, out, scratch, &err);       // scratch: gv_conv_scratch(c) bytes
//
// Images are [n, height, width, channels], float32, or blocked: [n, ceil(channels / 16), height, width, 16], of which
// any range of whole blocks is an image by itself (n = 1), so that concatenations need no copy. A blocked
// convolution of fewer than 16 input channels reads planes, [n, channels, height, width]. Channels that fill up the
// last block are zero. Weights are shared by all workers of an engine. Calls of different workers may run at the same
// time: inside a parallel region each runs on its own thread alone, outside of one a call uses the threads that OpenMP
// has, as many as when the convolution was created. Each number is summed by one thread in an order that does not
// depend on how many there are.
#pragma once
#include "formats/tflite.h"

typedef struct gv_conv_spec {
    int n, h, w, c; // input
    int oc;         // output channels; depthwise: c
    int kh, kw;
    int stride[2], dilation[2]; // height, width; 1 = dense
    int before[2], after[2];    // zeros around the input: top, left; bottom, right
    bool depthwise;
    bool blocked;
    bool bf16_in, bf16_out; // images are bfloat16, and with bf16_in the weights are rounded to it; sums are float32
    bool sum;               // out = act(conv + what is in out already)
    gv_tflite_activation act;
    bool silu;            // act is x / (1 + exp(-x))
    bool add;             // out = act(conv) + addend of gv_conv_run_add
    const float *weights; // [oc, kh, kw, c], depthwise [kh, kw, c]; copied
    const float *bias;    // [oc] or NULL; copied
} gv_conv_spec;

// Output extent along d (0 height, 1 width); < 1 where the window does not fit.
int gv_conv_extent(const gv_conv_spec *s, int d);

typedef struct gv_conv_engine gv_conv_engine;
gv_conv_engine *gv_conv_engine_create(int workers); // NULL: out of memory
void gv_conv_engine_destroy(gv_conv_engine *e); // after its convolutions; accepts NULL

typedef struct gv_conv gv_conv;
gv_status gv_conv_create(gv_conv **out, gv_conv_engine *e, const gv_conv_spec *s, gv_error *err);
void gv_conv_destroy(gv_conv *c);         // accepts NULL
size_t gv_conv_scratch(const gv_conv *c); // bytes, 64-byte aligned, may be shared between convolutions
// in [n, h, w, c], out [n, oh, ow, oc]; they do not overlap.
gv_status gv_conv_run(gv_conv *c, int worker, const void *in, void *out, void *scratch, gv_error *err);
// Of a convolution with `add`: addend has the extents and the type of out and does not overlap it.
gv_status gv_conv_run_add(gv_conv *c, int worker, const void *in, const void *addend, void *out, void *scratch,
                          gv_error *err);
// Another input height and width, the same weights. After an error only gv_conv_destroy is allowed.
gv_status gv_conv_resize(gv_conv *c, int h, int w, gv_error *err);
