// network.h - GVHMR's relative transformer, inference (SPEC.md 4.1-4.3 and 5).
//
// B = 1, L frames at 30 fps. Sizes (D, N) come from the tensors' shapes; the number of heads is in no
// checkpoint (8 in the release; our own safetensors state it as metadata "num_heads").
// Time is linear in L; memory is not: beyond some thousand frames the sequence goes through in chunks, with the result
// of the whole to float32 rounding. The result is bit for bit the same on any number of threads.
#pragma once
#include "base/error.h"
#include "base/progress.h"
#include "formats/tensors.h"
#include "nn/linear.h"
#include <stdbool.h>

enum { GV_PRED_X = 151, GV_IMAGE_FEATURE = 1024 };

typedef struct gv_network gv_network;
// heads 0: from the file's metadata, else 8. Tensor names with and without the "pipeline.denoiser3d." prefix. device
// NULL: the processor; else it outlives the network, and sequences are run whole, whatever the chunk.
gv_status gv_network_open(gv_network **out, const char *path, int heads, gv_precision precision, gv_device *device,
                          gv_error *err);
// The same from weights in memory: one pointer per line of gv_network_weight_table; they are copied.
gv_status gv_network_create(gv_network **out, const float *const *weights, int width, int layers, int with_images,
                            int heads, gv_precision precision, gv_device *device, gv_error *err);
void gv_network_close(gv_network *n); // accepts NULL

typedef struct gv_network_input {
    int frames, length;          // L; valid frames (<= L; less than L only where L <= 120, SPEC.md 16.8)
    const float *obs;            // [L, 17, 3] SPEC.md 4.1
    const float *cliff;          // [L, 3] SPEC.md 4.2
    const float *cam_angvel;     // [L, 6] raw 6D; normalised inside
    const float *f_imgseq;       // [L, 1024] or NULL (= zeros); ignored by a network without image embedder
    const gv_listener *listener; // asked before every block; may be NULL
    const float *kp3d; // [L, 17, 3] or NULL; only for weights trained with points in space in the image features' place
} gv_network_input;

typedef struct gv_network_output { // caller's buffers; any may be NULL
    float *pred_context;           // [L, D]
    float *pred_x;                 // [L, 151] shape averaged
    float *pred_cam;               // [L, 3] clamped
    float *static_conf_logits;     // [L, 6]
    float *x_embed;                // [L, D] tokens before the first block
    float *x_blocks;               // [N, L, D] after each block
} gv_network_output;

int gv_network_width(const gv_network *n);  // D
int gv_network_layers(const gv_network *n); // N
int gv_network_has_images(const gv_network *n); // whether image features help it: an embedder, and not for kp3d
// Ablations. A file's metadata asks for them: "position" "absolute" (added to the tokens, no rotation), "window"
// "none", "orientation" "chained" (what stands in the place of the Gravity-View orientation is for motion/chain.h).
// Without its window a network sees the whole sequence at once, in time and memory that grow with it.
void gv_network_set_window(gv_network *n, bool window);
bool gv_network_is_chained(const gv_network *n);
// Frames of a chunk, 0 = default (3072, more where there are many layers); sequences up to one and a half of it are run
// whole. At least 60 (layers + 2).
gv_status gv_network_set_chunk(gv_network *n, int frames, gv_error *err);
gv_status gv_network_run(gv_network *n, const gv_network_input *in, const gv_network_output *out, gv_error *err);

// The names and shapes of all weights for given sizes, in the order of the released file: one table that
// drives loading, saving, counting and the gradients.
typedef struct gv_weight_spec {
    char name[64]; // without prefix
    int ndim;
    int64_t shape[4];
} gv_weight_spec;
int gv_network_weight_table(gv_weight_spec *table, int max, int width, int layers,
                            int with_images); // returns the count
