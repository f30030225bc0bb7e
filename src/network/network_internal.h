// network_internal.h - what network.c and network_device.c share: the network itself.
#pragma once
#include "network/network.h"

#include "base/memory.h"
#include "nn/linear.h"

#include <stdbool.h>

enum { CHUNKS = 4, JOINTS = 17, JOINT_EMBEDDING = 32, TOKEN = JOINTS * JOINT_EMBEDDING };

typedef struct layer {
    float *norm1[2], *norm2[2]; // weight, bias [D]; where the engine is, like all vectors that follow
    gv_linear *qkv[3], *proj, *fc1[CHUNKS], *fc2[CHUNKS];
} layer;

typedef struct head { // fc2(gelu(fc1(x)))
    gv_linear *fc1, *fc2;
} head;

struct gv_network {
    int width, layers, heads, with_images, with_points;
    bool absolute, unlimited, chained; // ablations
    int mlp_chunks;                    // CHUNKS, on a device 1
    int chunk;                         // frames; what is longer than one and a half of it goes through in chunks
    gv_precision precision;
    gv_nn *nn;
    gv_arena *arena;
    float *joint_unseen, *joint_weight, *joint_bias; // [17, 32], [32, 2], [32]
    gv_linear *obs[2], *cliff[2], *angvel[2], *image;
    float *image_norm[2]; // [1024]
    layer *layer;
    head pred_x, pred_cam, static_conf;
    float *rope; // [d/2] powers of 10000, on a device
    struct again *again;
};

// On the network's device. The numbers of the heads are as the network gives them.
gv_status gv_network_run_on_device(gv_network *n, const gv_network_input *in, const gv_network_output *out,
                                   gv_error *err);
void gv_network_forget_again(gv_network *n); // what a device keeps of the last length
