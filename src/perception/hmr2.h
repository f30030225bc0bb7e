// hmr2.h - HMR2.0's image feature: the last token of its transformer decoder (SPEC-perception.md 5).
//
//     gv_hmr2 *h = NULL;
//     gv_hmr2_open(&h, "hmr2/epoch=10-step=25000.ckpt", GV_PRECISION_BF16, NULL, &err);
//     gv_hmr2_run(h, &(gv_crops){crops}, n, tokens, &err);      // crop.h
//     gv_hmr2_close(h);
//
// Backbone and decoder of any size by the shapes of the tensors; the decoder has 8 heads. One caller at a time; a run
// uses the threads OpenMP had when the network was opened, and its result does not depend on how many those were.
#pragma once
#include "nn/linear.h"
#include "perception/crop.h"

typedef struct gv_hmr2 gv_hmr2;
// Lightning checkpoint. device NULL: the processor, where GV_PRECISION_BF16 fails without bfloat16 products; else it
// outlives the network.
gv_status gv_hmr2_open(gv_hmr2 **out, const char *path, gv_precision precision, gv_device *device, gv_error *err);
void gv_hmr2_close(gv_hmr2 *h);            // accepts NULL
int gv_hmr2_token_width(const gv_hmr2 *h); // W: 1024 in the released network
int gv_hmr2_width(const gv_hmr2 *h);       // of the backbone
int gv_hmr2_depth(const gv_hmr2 *h);

// tokens [n, W]. Larger n is faster; memory stays bounded.
gv_status gv_hmr2_run(gv_hmr2 *h, const gv_crops *crops, int n, float *tokens, gv_error *err);
