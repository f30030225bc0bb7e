// net.h - the network of SPEC.md 5 for training: saved activations, hand-written backward pass.
//
//     gv_net *n = gv_net_create(&config, B, L);        // parameters zero; gv_net_initialise or load them
//     gv_net_forward(n, &input, training, seed);
//     gv_net_outputs(n);                               // n->pred_x, n->pred_cam, n->logits
//     gv_net_backward(n, dx, dcam, dlogits);           // adds to n->grads
//
// On a device the passes are queued and wait for nothing; what goes wrong is told by gv_engine_finish(&n->engine, err).
// Inputs are the program's memory; outputs and their gradients are the engine's, and gv_net_outputs brings the former.
//
// B sequences of L frames (no window: L <= 120 sees everything), T = B L rows. Parameters and gradients are one
// block each; gv_network_weight_table gives names, shapes and order.
#pragma once
#include "network/network.h"
#include "training/layers.h"

typedef struct gv_net_config {
    int width, layers, heads; // D, N, H
    int images;               // with the image embedder
    gv_real dropout;
    int absolute;      // ablation: positions are added to the tokens instead of rotating queries and keys
    int bf16;          // products of matrices round their operands to bfloat16 where the machine has that
    gv_device *device; // where parameters, gradients and what is kept between the passes lie; NULL: the processor
} gv_net_config;

typedef struct gv_net_input { // every array [B, L, ...]
    const gv_real *obs;       // [.., 17, 3] normalised keypoints; visible where the third is > 0.5
    const gv_real *cliff;     // [.., 3]
    const gv_real *angvel;    // [.., 6] normalised
    const gv_real *images;    // [.., 1024]; NULL unless config.images
    const int *length;        // [B] valid frames
    bool there; // all of these are the engine's memory already, and stay until the backward pass is queued
} gv_net_input;

typedef struct gv_net_block gv_net_block;

typedef struct gv_net {
    gv_net_config config;
    int B, L;
    int tensors;
    gv_weight_spec *table; // [tensors]
    int64_t *offset;       // [tensors] of each tensor in the blocks below
    int64_t parameters;
    gv_engine engine;
    gv_real *params, *grads; // [parameters], the engine's memory
    gv_real *out[3];         // outputs of the last forward pass as below, the engine's memory
    // the same in the program's memory, on a device since the last gv_net_outputs
    gv_real *pred_x;   // [B, L, 151] shape averaged over valid frames
    gv_real *pred_cam; // [B, L, 3] decoded, clamped
    gv_real *logits;   // [B, L, 6]
    // Called, where set, in the backward pass: gradients first .. first + count - 1 are complete.
    void (*ready)(void *user, int64_t first, int64_t count);
    void *user;
    struct gv_net_state *state;
} gv_net;

gv_net *gv_net_create(const gv_net_config *c, int B, int L); // NULL when memory is exhausted
void gv_net_destroy(gv_net *n);                              // accepts NULL
void gv_net_initialise(gv_net *n, uint64_t seed,
                       gv_real gate); // SPEC.md 14.3: PyTorch's defaults; gates as given there 0

void gv_net_forward(gv_net *n, const gv_net_input *in, int training, uint64_t seed);
void gv_net_outputs(gv_net *n); // waits; on the processor they are there already
// Gradients with respect to the three outputs, the engine's memory; consumed (overwritten). Adds to n->grads.
void gv_net_backward(gv_net *n, gv_real *dpred_x, gv_real *dpred_cam, gv_real *dlogits);
