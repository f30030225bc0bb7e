// convnet.h - runs a convolutional graph, or the part of it that some outputs need.
//
//     gv_convnet *net = NULL;
//     gv_convnet_create(&net, graph, (int[]){0, 1}, 2, 1, &err);      // outputs 0 and 1, batches of 1
//     memcpy(gv_convnet_input(net), image, ...);                      // [batch, height, width, channels]
//     gv_convnet_run(net, &err);
//     const float *boxes = gv_convnet_output(net, 0);                 // [batch, ...] of outputs[0]
//
// Creating works backwards from the outputs, so branches that only others need are skipped; checks every
// shape against its operator; puts zero padding into the convolutions, and additions into the convolution
// before them where the other summand is not needed any more; makes the primitives and plans one block of
// memory in which values that are never alive together share their place. Running allocates nothing.
//
// Everything is float32, [batch, height, width, channels]. The graph may be closed after creating. One net is
// used by one thread at a time; inside, operators use the threads OpenMP has, as many as when it was created.
#pragma once
#include "formats/tflite.h"

typedef struct gv_convnet gv_convnet;

// outputs [noutputs]: positions in graph->outputs. The graph must have one input, of shape [1, h, w, c].
gv_status gv_convnet_create(gv_convnet **out, const gv_tflite *graph, const int *outputs, int noutputs, int batch,
                            gv_error *err);
void gv_convnet_destroy(gv_convnet *net); // accepts NULL

int gv_convnet_batch(const gv_convnet *net);
const int *gv_convnet_input_shape(const gv_convnet *net); // [3] height, width, channels
float *gv_convnet_input(gv_convnet *net);                 // to be filled before EVERY run: its place is reused
gv_status gv_convnet_run(gv_convnet *net, gv_error *err);
const float *gv_convnet_output(const gv_convnet *net, int i); // valid until the next run
int64_t gv_convnet_output_count(const gv_convnet *net, int i); // numbers per image
size_t gv_convnet_bytes(const gv_convnet *net);               // memory of all values and scratch
