// convnet.h - runs a convolutional graph, or the part of it that some outputs need.
//
//     gv_convnet *net = NULL;
//     gv_convnet_create(&net, graph, (int[]){0, 1}, 2, 1, &err);      // outputs 0 and 1, one worker
//     memcpy(gv_convnet_input(net, 0), image, ...);                   // [height, width, channels]
//     gv_convnet_run(net, 0, &err);
//     const float *boxes = gv_convnet_output(net, 0, 0);              // outputs[0] of worker 0
//
// Creating works backwards from the outputs, so branches that only others need are skipped; checks every
// shape against its operator; puts zero padding into the convolutions, and additions into the convolution
// before them where the other summand is not needed any more; makes the primitives and plans one block of
// memory in which values that are never alive together share their place. Running allocates nothing.
//
// Everything is float32, [height, width, channels]; one image at a time (several in one pass are not faster:
// the layers are large enough). The graph may be closed after creating. Workers share the weights, each has
// its own memory; different ones may run at the same time. In a parallel region each runs on its own
// thread, which for two images and more is the fastest way; outside of one a run uses the threads that OpenMP
// has, as many as when the net was created. The result is the same, bit for bit.
#pragma once
#include "formats/tflite.h"

typedef struct gv_convnet gv_convnet;

// outputs [noutputs]: positions in graph->outputs. The graph must have one input, of shape [1, h, w, c].
gv_status gv_convnet_create(gv_convnet **out, const gv_tflite *graph, const int *outputs, int noutputs, int workers,
                            gv_error *err);
void gv_convnet_destroy(gv_convnet *net); // accepts NULL

const int *gv_convnet_input_shape(const gv_convnet *net);      // [3] height, width, channels
int64_t gv_convnet_output_count(const gv_convnet *net, int i); // numbers
size_t gv_convnet_bytes(const gv_convnet *net);                // memory of one worker

float *gv_convnet_input(gv_convnet *net, int worker); // to be filled before EVERY run: its place is reused
gv_status gv_convnet_run(gv_convnet *net, int worker, gv_error *err);
const float *gv_convnet_output(const gv_convnet *net, int worker, int i); // valid until the worker's next run
