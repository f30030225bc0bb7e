// kernels.h - the device's own kernels: what each takes, and the list of all.
//
//     gv_kernel(d, layer_norm, .y = y, .x = x, .weight = w, .bias = b, .rows = n, .width = D, .epsilon = 1e-6f);
//
// Pointers are the device's. Matrices are row-major and contiguous, float32 unless said; bf16 is bfloat16. A kernel
// NAME has its arguments here, gv_NAME_grid and gv_NAME_code in kernel_code.h, and a line in GV_KERNELS: both sides of
// device_ops.h make their tables of that list. Whoever changes it changes GV_DEVICE_OPS_VERSION.
//
// This header is C and C++.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GV_KERNELS(KERNEL)                                                                                             \
    KERNEL(layer_norm)                                                                                                 \
    KERNEL(activate)                                                                                                   \
    KERNEL(narrow)                                                                                                     \
    KERNEL(repeat)                                                                                                     \
    KERNEL(patches)                                                                                                    \
    KERNEL(attention)                                                                                                  \
    KERNEL(tile_attention)                                                                                             \
    KERNEL(rope_table)                                                                                                 \
    KERNEL(embed_joints)                                                                                               \
    KERNEL(gather_taps)                                                                                                \
    KERNEL(scatter_phase)                                                                                              \
    KERNEL(average_mirrored)                                                                                           \
    KERNEL(crop)                                                                                                       \
    KERNEL(normalise_crops)                                                                                            \
    KERNEL(decode_heatmaps)                                                                                            \
    KERNEL(letterbox)                                                                                                  \
    KERNEL(windows)                                                                                                    \
    KERNEL(place_rows)                                                                                                 \
    KERNEL(upsample2)                                                                                                  \
    KERNEL(max5)                                                                                                       \
    KERNEL(yolo_cells)                                                                                                 \
    KERNEL(suppress)                                                                                                   \
    KERNEL(add)                                                                                                        \
    KERNEL(column_sums)                                                                                                \
    KERNEL(norm_backward)                                                                                              \
    KERNEL(activate_backward)                                                                                          \
    KERNEL(gate)                                                                                                       \
    KERNEL(dropout)                                                                                                    \
    KERNEL(rotate)                                                                                                     \
    KERNEL(softmax)                                                                                                    \
    KERNEL(softmax_backward)                                                                                           \
    KERNEL(embed_joints_backward)                                                                                      \
    KERNEL(heads_end)                                                                                                  \
    KERNEL(frame_losses)                                                                                               \
    KERNEL(rollout_loss)                                                                                               \
    KERNEL(make_sequences)                                                                                             \
    KERNEL(square_sum)                                                                                                 \
    KERNEL(adamw)

#define GV_KERNEL_ID(name) GV_KERNEL_##name,
typedef enum gv_kernel_id { GV_KERNELS(GV_KERNEL_ID) GV_KERNEL_COUNT } gv_kernel_id;

#define gv_kernel(device, name, ...) gv_device_launch(device, GV_KERNEL_##name, &(const gv_##name##_args){__VA_ARGS__})

// y = (x - mean) / sqrt(variance + epsilon) * weight + bias over each row. y may be x where it is float32.
typedef struct gv_layer_norm_args {
    void *y; // [rows, width], bfloat16 with bf16
    const float *x, *weight, *bias;
    float *stats; // [rows, 2] mean and 1 / deviation, or NULL
    int64_t rows;
    int width;
    float epsilon;
    bool bf16;
} gv_layer_norm_args;

// y = act(x + bias), or of y itself.
typedef enum gv_device_activation {
    GV_ACTIVATE_NONE,
    GV_ACTIVATE_GELU_ERF,
    GV_ACTIVATE_GELU_TANH,
    GV_ACTIVATE_SILU,
    GV_ACTIVATE_RELU,
} gv_device_activation;
typedef struct gv_activate_args {
    void *y;          // [rows, width], bfloat16 with bf16
    const void *x;    // the same type; NULL: y
    const void *bias; // [width] or NULL, bfloat16 with bf16_bias
    int64_t rows;
    int width;
    gv_device_activation activation;
    bool bf16, bf16_bias;
} gv_activate_args;

// float32 to bfloat16, rounded to nearest even.
typedef struct gv_narrow_args {
    uint16_t *y;
    const float *x;
    int64_t count;
} gv_narrow_args;

// y [rows, width]: row i is row i % period of x.
typedef struct gv_repeat_args {
    float *y;
    const float *x; // [period, width]
    int64_t rows;
    int period, width;
} gv_repeat_args;

// Pictures cut into overlapping or touching squares: y [n rows columns, 3, side, side] from pictures
// [.., 3, height, width]. Square (r, c) begins at row r side - pad and column c side - pad; zero beyond the picture.
typedef struct gv_patches_args {
    float *y;
    const float *pictures;
    const int32_t *index; // [n] which picture; -1 - i: picture i with its columns in reverse order
    int n, height, width, side, pad, rows, columns;
} gv_patches_args;

// out = softmax(q k^T / sqrt(head_dim)) v, head by head, float32 (out: bfloat16 with bf16).
//
// q [sequences * queries, ..], k and v [sequences * keys, ..]: rows are `q_stride` and `kv_stride` floats apart, head h
// begins at column h * head_dim. Query i sees keys 0 .. length - 1; with `window` and more keys than it, the `window`
// keys around it as gv_attention_window has them (then queries = keys). With cosine and sine [keys, head_dim / 2] q and
// k are rotated first, pairs (i, head_dim / 2 + i).
typedef struct gv_attention_args {
    const float *q, *k, *v;
    void *out; // rows `out_stride` numbers apart
    const float *cosine, *sine;
    int sequences, queries, keys, length, window, heads, head_dim; // head_dim: GV_ATTENTION_HEAD at most
    int q_stride, kv_stride, out_stride;
    bool bf16;
} gv_attention_args;
enum { GV_ATTENTION_HEAD = 128 };

// The same with all keys of a sequence, in bfloat16 on tiles of 16 x 16; sums and softmax are float32. tokens and
// head_dim are multiples of 16.
typedef struct gv_tile_attention_args {
    const uint16_t *q, *k, *v; // [sequences * tokens, ..], rows `stride` numbers apart; a multiple of 8
    uint16_t *out;             // rows `out_stride` numbers apart
    int sequences, tokens, heads, head_dim, stride, out_stride;
} gv_tile_attention_args;
enum { GV_TILE_HEAD = 128, GV_TILE_TOKENS = 256 }; // at most

// cos and sin [frames, head_dim / 2] of t / 10000^(2i / head_dim), rounded as gv_rope_table rounds them. w [head_dim /
// 2] are those powers; angles of frames before `rounded` are float32.
typedef struct gv_rope_table_args {
    float *cosine, *sine;
    const float *w;
    int frames, half, rounded;
} gv_rope_table_args;

// y [frames, joints, size]: joints whose confidence is above one half are W (x, y) + b, others row j of `unseen`.
typedef struct gv_embed_joints_args {
    float *y;
    const float *obs;                    // [frames, joints, 3] x, y, confidence
    const float *unseen, *weight, *bias; // [joints, size], [size, 2], [size]
    int64_t frames;
    int joints, size;
} gv_embed_joints_args;

// One phase (2 a + b) of a transposed convolution 4x4, stride 2, padding 1, as perception/vitpose.c has it: rows
// [n height width, 4, channels] of the four input pixels, zero beyond the picture.
typedef struct gv_gather_taps_args {
    float *y;
    const float *x; // [n, height, width, channels]
    int n, height, width, channels, phase;
} gv_gather_taps_args;

// The rows [n height width, channels] of a phase to their places in y [n, 2 height, 2 width, channels], or with
// `planes` in y [n, channels, 2 height, 2 width].
typedef struct gv_scatter_phase_args {
    float *y;
    const float *x;
    int n, height, width, channels, phase;
    bool planes;
} gv_scatter_phase_args;

// y = (a + b with columns reversed and left and right joints exchanged) / 2, [n, joints, height, width] each. Joint 0
// has no other side; 1 and 2, 3 and 4 ... are pairs.
typedef struct gv_average_mirrored_args {
    float *y;
    const float *a, *b;
    int n, joints, height, width;
} gv_average_mirrored_args;

// Squares cut out of a frame of 8 bits (nn/crop_pixel.h), bytes [n, 256, 256, 3].
struct gv_crop_square;
typedef struct gv_crop_args {
    uint8_t *bytes;
    const uint8_t *rgb;
    const struct gv_crop_square *squares; // [n]
    int n, width, height, stride;
} gv_crop_args;

// Columns 32 ... 223 of crops, (p / 255 - mean) / deviation per channel: y [n, 3, 256, 192].
typedef struct gv_normalise_crops_args {
    float *y;
    const uint8_t *bytes; // [.., 256, 256, 3]
    const int32_t *which; // [n]
    int n;
} gv_normalise_crops_args;

// Peaks of heatmaps, refined (nn/heatmap_peak.h): kp2d [n, joints, 3].
typedef struct gv_decode_heatmaps_args {
    float *kp2d;
    const float *maps, *boxes; // [n, joints, 64, 48], [n, 3]
    int n, joints;
} gv_decode_heatmaps_args;

// ---- around convolutions (kernel_convolutions.h). Pictures are [height, width, channels], pixels `stride` numbers
// apart, float32 or with bf16 bfloat16.

// A picture of bytes scaled and padded (nn/letterbox_pixel.h), as numbers from 0 to 1.
typedef struct gv_letterbox_args {
    float *y;           // [height, width, 3]
    const uint8_t *rgb; // rows `stride` bytes apart
    int picture_width, picture_height, stride;
    int width, height, inner_width, inner_height, left, top;
} gv_letterbox_args;

// The window of every output pixel (r, c), whose middle is at (r step, c step): y [rows columns, side, side, channels],
// zero beyond the picture.
typedef struct gv_windows_args {
    void *y;
    const void *x;
    int height, width, channels, stride, side, step, rows, columns;
    bool bf16;
} gv_windows_args;

// y = act(x + bias) + addend.
typedef struct gv_place_rows_args {
    void *y;            // [rows, width], rows y_stride apart
    const void *x;      // [rows, width], float32 or with bf16_x bfloat16
    const void *addend; // rows addend_stride apart, or NULL
    const float *bias;  // [width] or NULL
    int64_t rows;
    int width, y_stride, addend_stride;
    gv_device_activation activation;
    bool bf16, bf16_x; // y and addend; x
} gv_place_rows_args;

// Each pixel four times; the largest of the 5x5 pixels around each, as far as they are in the picture.
typedef struct gv_upsample2_args {
    void *y;
    const void *x;
    int height, width, channels, y_stride, x_stride; // of x
    bool bf16;
} gv_upsample2_args;
typedef gv_upsample2_args gv_max5_args;

// y [cells, 5]: score of a person and, where it is above `least`, the distances of the four sides (nn/yolo_cell.h).
typedef struct gv_yolo_cells_args {
    float *y;
    const float *sides, *scores; // rows side_stride and score_stride numbers apart
    int64_t cells;
    int classes, side_stride, score_stride;
    float least;
} gv_yolo_cells_args;

// Boxes of people, the best first, that overlap no better one by more than `overlap`.
typedef struct gv_suppress_args {
    float *kept;        // [1 + 5 max]: how many, then x0, y0, x1, y1 (px of the input) and score of each
    const float *cells; // [cells, 5] of yolo_cells, all scales of an input of height x width one after the other
    int height, width, max;
    float least;
    double overlap;
} gv_suppress_args;

// ---- training (kernel_training.h); all numbers are float32

// y = x, or added to y: element i of y and i % period of x; x NULL: zero.
typedef struct gv_add_args {
    float *y;
    const float *x; // [period]
    int64_t count, period;
    bool accumulate;
} gv_add_args;

// y [parts, width]: sums of x over `each` rows a part, in a fixed order, or added to y. With `by` of x times by; with
// `stats` too of x times (by - mean) / deviation.
typedef struct gv_column_sums_args {
    float *y;
    const float *x, *by, *stats; // [rows, width], [rows, width] or NULL, [rows, 2] or NULL
    int64_t rows;
    int width, parts, each;
    bool accumulate;
} gv_column_sums_args;

// dx += the gradient of layer_norm's x, given dy and the stats it kept.
typedef struct gv_norm_backward_args {
    float *dx;
    const float *dy, *x, *stats, *weight;
    int64_t rows;
    int width;
} gv_norm_backward_args;

// dx = dy act'(x); dx may be dy. A device activation of kernels.h that is smooth.
typedef struct gv_activate_backward_args {
    float *dx;
    const float *dy, *x;
    int64_t count;
    gv_device_activation activation;
} gv_activate_backward_args;

// out = x + gate y, column by column; x NULL: gate y.
typedef struct gv_gate_args {
    float *out; // [rows, width]
    const float *x, *y, *gate;
    int64_t rows;
    int width;
} gv_gate_args;

// x times 0 where nn/hash.h drops element i under gv_element_key(*seed, i), else times `keep`; in place.
typedef struct gv_dropout_args {
    float *x;
    const uint64_t *seed; // on the device: a pass that comes again has another one
    int64_t count;
    uint32_t limit;
    float keep;
} gv_dropout_args;

// Rotary embedding of interleaved pairs in place: row r stands at position r % frames; sign -1 undoes it.
typedef struct gv_rotate_args {
    float *x;                   // [rows, heads, head_dim]
    const float *cosine, *sine; // [frames, head_dim / 2]
    int64_t rows;
    int frames, heads, head_dim, sign;
} gv_rotate_args;

// Scores to probabilities in place, keys beyond a sequence's length 0; `dropped` is the same after dropout (heads have
// keys of their own, gv_head_key of nn/hash.h), or NULL. keep 0: no dropout.
typedef struct gv_softmax_args {
    float *p, *dropped;    // [sequences, heads, frames, frames]
    const int32_t *length; // [sequences]
    const uint64_t *seed;  // on the device
    int sequences, heads, frames;
    uint32_t limit;
    float keep;
} gv_softmax_args;

// g = p (h - sum over the row of h p), h = g after the same dropout.
typedef struct gv_softmax_backward_args {
    float *g;       // [sequences, heads, frames, frames]
    const float *p; // as it was before dropout
    const uint64_t *seed;
    int sequences, heads, frames;
    uint32_t limit;
    float keep;
} gv_softmax_backward_args;

// Gradients of embed_joints: y [parts, joints size + 3 size], each of `each` frames: the unseen joints' vectors, weight
// [size, 2], bias [size].
typedef struct gv_embed_joints_backward_args {
    float *y;
    const float *dy, *obs; // [frames, joints, size], [frames, joints, 3]
    int64_t frames;
    int joints, size, parts, each;
} gv_embed_joints_backward_args;

// ---- losses (kernel_losses.h). Arrays of frames are [sequences, frames, ..]; frames from a sequence's length on count
// as nothing.

// What follows the network's heads, in place: the ten shape values of x [.., 151] become their mean over the valid
// frames, cam [.., 3] is scaled and shifted and its first number held at `least` or more. Backward: their gradients,
// with `raw` what cam was before.
typedef struct gv_heads_end_args {
    float *x, *cam;
    const float *raw; // NULL: forward
    const int32_t *length;
    int sequences, frames;
    float std[3], mean[3], least;
} gv_heads_end_args;

// A bone's share of a point that rides on the body (training/rig.h), places at rest in model space, m.
typedef struct gv_losses_part {
    int32_t point, bone;
    float weight, rest[3], dirs[3][10];
} gv_losses_part;
enum { GV_LOSSES_JOINTS = 22, GV_LOSSES_COCO = 17, GV_LOSSES = 8 };

// All losses of training/loss.h but the world translation's, in its order, and their gradients. Terms are sums over a
// frame, before weights and means; column 6 is left alone.
typedef struct gv_frame_losses_args {
    float *dx, *dcam, *dlogits, *terms;                                     // [.., 151], [.., 3], [.., 6], [.., 8]
    const float *x, *cam, *logits;                                          // the network's
    const float *true_x, *joints, *coco, *verts, *transl, *still, *box, *K; // as gv_targets has them
    const int32_t *length;
    const uint8_t *incam_only;
    const float *statistics;               // [2, 151] deviation and mean of x
    const float *skeleton;                 // [22, 3] joints at rest, [22, 3, 10] what the shape moves them by
    const gv_losses_part *parts;           // in the order of their points: 17 keypoints, then `surface` others
    const int32_t *first;                  // [17 + surface + 1] of a point's parts
    const int32_t *by_bone;                // [parts] their numbers in the order of bones
    const int32_t *bone_first;             // [23] into by_bone
    int sequences, frames, surface, count; // count: of parts
    float w[GV_LOSSES];                    // weight over number of elements
    int8_t parent[GV_LOSSES_JOINTS];
} gv_frame_losses_args;

// The roll-out of predicted velocities, column 6 of terms; its gradient is added to dx.
typedef struct gv_rollout_loss_args {
    float *dx, *terms;
    const float *x, *transl_w, *R_w, *statistics;
    const int32_t *length;
    const uint8_t *incam_only;
    int sequences, frames;
    float w;
} gv_rollout_loss_args;

// Sums of squares in double: y [parts] of x, or with x NULL y [1] of what is in `partial` [parts].
typedef struct gv_square_sum_args {
    double *y;
    const float *x;
    const double *partial;
    int64_t count;
    int parts;
} gv_square_sum_args;

// A step of training/optimiser.h. The gradient is scaled so that the root of *square is `clip` at most (0: not).
typedef struct gv_adamw_args {
    float *params, *m, *v, *mean; // mean may be NULL
    const float *grads;
    const double *square;
    int64_t count;
    double clip;
    float beta1, beta2, rate, root, epsilon, keep, slow;
} gv_adamw_args;

// Rows of a batch: block i makes sequence first + i of (seed, step) with training/sample.h's functions.
typedef struct gv_make_sequences_args {
    void *batch;         // gv_batch, its arrays the device's too
    const void *sampler; // gv_sampler, and all that it points to
    void *work;          // [sequences] gv_sequence
    uint64_t seed, step;
    int sequences, first;
} gv_make_sequences_args;

// ---- how a kernel is laid out

typedef struct gv_grid {
    int64_t blocks;
    int threads;   // a multiple of 32
    size_t shared; // bytes
} gv_grid;
