// network_device.c - the forward pass as a queue of whole matrices on a device, in the order of network.c.
#include "network/network_internal.h"

#include "network/attention.h"
#include "network/inputs.h"
#include "nn/kernels.h"

#include <stdlib.h>
#include <string.h>

enum { PART = 8192 }; // frames whose hidden layers have room at once

typedef struct queue {
    gv_network *n;
    gv_device *d;
    const gv_network_input *in;
    int64_t L;
    float *x, *q, *k, *v; // [L, D]
    void *narrow;         // [L, D] in the products' precision
    float *rows, *wide;   // [PART, max(1024, D)], [PART, 4D]: wide is the hidden layer of anything
    float *cosine, *sine; // [L, d/2]
} queue;

static int64_t part_of(const queue *q, int64_t first) {
    return q->L - first < PART ? q->L - first : PART;
}

static void queue_norm(const queue *q, void *y, const float *x, int64_t rows, int width, float *const affine[2],
                       float epsilon, bool bf16) {
    gv_kernel(q->d, layer_norm, .y = y, .x = x, .weight = affine[0], .bias = affine[1], .rows = rows, .width = width,
              .epsilon = epsilon, .bf16 = bf16);
}

static void queue_two(const queue *q, gv_linear *const l[2], const float *in, float *out, int64_t rows) {
    gv_linear_queue(l[0], in, q->wide, rows);
    gv_linear_queue(l[1], q->wide, out, rows);
}

// What takes the place of image features for frames first ..., [rows, 1024] of the program's memory.
static void fill_features(float *to, const queue *q, int64_t first, int64_t rows) {
    const gv_network_input *in = q->in;
    memset(to, 0, (size_t)rows * GV_IMAGE_FEATURE * sizeof *to);
    if (q->n->with_points && in->kp3d)
        for (int64_t t = 0; t < rows; t++)
            gv_features_from_points(to + t * GV_IMAGE_FEATURE, in->kp3d + 51 * (first + t));
    else if (in->f_imgseq && !q->n->with_points)
        memcpy(to, in->f_imgseq + GV_IMAGE_FEATURE * first, (size_t)rows * GV_IMAGE_FEATURE * sizeof *to);
}

// Frames first ... of the tokens. `host` [PART, 1024], small [PART, 51] and below.
static void queue_embed(const queue *q, int64_t first, float *host, float *small) {
    const gv_network *n = q->n;
    int64_t rows = part_of(q, first);
    float *x = q->x + first * n->width;
    gv_device_upload(q->d, small, q->in->obs + first * JOINTS * 3, (size_t)rows * JOINTS * 3 * sizeof *small);
    gv_kernel(q->d, embed_joints, .y = q->rows, .obs = small, .unseen = n->joint_unseen, .weight = n->joint_weight,
              .bias = n->joint_bias, .frames = rows, .joints = JOINTS, .size = JOINT_EMBEDDING);
    queue_two(q, n->obs, q->rows, x, rows);
    gv_device_upload(q->d, small, q->in->cliff + 3 * first, (size_t)rows * 3 * sizeof *small);
    queue_two(q, n->cliff, small, x, rows);
    gv_angvel_normalise(host, q->in->cam_angvel + 6 * first, (int)rows);
    gv_device_upload(q->d, small, host, (size_t)rows * 6 * sizeof *small);
    queue_two(q, n->angvel, small, x, rows);
    if (!n->with_images) return;
    fill_features(host, q, first, rows);
    gv_device_upload(q->d, q->rows, host, (size_t)rows * GV_IMAGE_FEATURE * sizeof *host);
    queue_norm(q, q->rows, q->rows, rows, GV_IMAGE_FEATURE, n->image_norm, 1e-5f, false);
    gv_linear_queue(n->image, q->rows, x, rows);
}

static void queue_layer(const queue *q, const layer *y) {
    const gv_network *n = q->n;
    int D = n->width, L = (int)q->L;
    bool bf16 = n->precision == GV_PRECISION_BF16;
    float *to[3] = {q->q, q->k, q->v};
    queue_norm(q, q->narrow, q->x, L, D, y->norm1, 1e-6f, bf16);
    for (int k = 0; k < 3; k++) gv_linear_queue(y->qkv[k], q->narrow, to[k], L);
    gv_kernel(q->d, attention, .q = q->q, .k = q->k, .v = q->v, .out = q->narrow, .cosine = q->cosine, .sine = q->sine,
              .sequences = 1, .queries = L, .keys = L, .length = q->in->length, .window = GV_WINDOW, .heads = n->heads,
              .head_dim = D / n->heads, .q_stride = D, .kv_stride = D, .out_stride = D, .bf16 = bf16);
    gv_linear_queue(y->proj, q->narrow, q->x, L);
    for (int64_t first = 0; first < L; first += PART) {
        float *x = q->x + first * D;
        queue_norm(q, q->narrow, x, part_of(q, first), D, y->norm2, 1e-6f, bf16);
        gv_linear_queue(y->fc1[0], q->narrow, q->wide, part_of(q, first));
        gv_linear_queue(y->fc2[0], q->wide, x, part_of(q, first));
    }
}

static void queue_head(const queue *q, const head *h, float *out, int columns) {
    for (int64_t first = 0; first < q->L && out; first += PART) {
        gv_linear *const two[2] = {h->fc1, h->fc2};
        int64_t rows = part_of(q, first);
        queue_two(q, two, q->x + first * q->n->width, q->rows, rows);
        gv_device_download(q->d, out + first * columns, q->rows, (size_t)rows * columns * sizeof *out);
    }
}

// The layers of a length that comes again and again are one piece in the queue: with short clips it takes longer to
// launch their kernels than to run them. The first runs are as any other, for most lengths come but twice, with and
// without the mirror image.
enum { AGAIN_FRAMES = 1024, AGAIN_FROM = 2 };

typedef struct again {
    queue q; // its memory stays
    int length;
    gv_device_again layers;
} again;

void gv_network_forget_again(gv_network *n) {
    again *g = n->again;
    if (!g) return;
    gv_device *d = g->q.d;
    void *const kept[] = {g->q.x, g->q.q, g->q.k, g->q.v, g->q.narrow, g->q.rows, g->q.wide, g->q.cosine, g->q.sine};
    gv_device_forget_again(d, &g->layers);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) gv_device_drop(d, kept[i]);
    free(g);
    n->again = NULL;
}

static bool queue_allocate(queue *q, gv_device_room *room) {
    const gv_network *n = q->n;
    size_t L = (size_t)q->L, D = (size_t)n->width, half = D / (size_t)n->heads / 2, part = L < PART ? L : PART;
    size_t row = D * sizeof(float), wide = GV_IMAGE_FEATURE;
    q->x = room(q->d, L, row);
    q->q = room(q->d, L, row);
    q->k = room(q->d, L, row);
    q->v = room(q->d, L, row);
    q->narrow = room(q->d, L, row);
    q->rows = room(q->d, part, (wide > D ? wide : D) * sizeof(float)); // TOKEN is less
    q->wide = room(q->d, part, 4 * row);
    q->cosine = room(q->d, L, half * sizeof(float));
    q->sine = room(q->d, L, half * sizeof(float));
    return q->sine != NULL;
}

static gv_status queue_layers(const queue *q, const gv_network_output *out, gv_error *err) {
    size_t tokens = (size_t)q->L * q->n->width;
    for (int i = 0; i < q->n->layers; i++) {
        gv_status s = gv_go_on(q->in->listener, err);
        if (s) return s;
        queue_layer(q, &q->n->layer[i]);
        if (out->x_blocks) gv_device_download(q->d, out->x_blocks + i * tokens, q->x, tokens * sizeof(float));
    }
    return GV_OK;
}

static void queue_piece(const void *user) {
    const queue *q = user;
    for (int i = 0; i < q->n->layers; i++) queue_layer(q, &q->n->layer[i]);
}

// Everything up to the heads' numbers, which are as the network gives them. g: NULL, or where the length is kept.
static gv_status queue_all(queue *q, again *g, const gv_network_output *out, gv_error *err) {
    gv_network *n = q->n;
    size_t L = (size_t)q->L, tokens = L * n->width, part = L < PART ? L : PART;
    float *host = gv_calloc2(part, GV_IMAGE_FEATURE * sizeof *host);
    float *small = gv_device_alloc(q->d, part, JOINTS * 3 * sizeof *small);
    gv_status s =
        host ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "out of memory for the network at %lld frames", (long long)q->L);
    gv_kernel(q->d, rope_table, .cosine = q->cosine, .sine = q->sine, .w = n->rope, .frames = (int)q->L,
              .half = n->width / n->heads / 2, .rounded = GV_ROPE_ROUNDED);
    for (int64_t first = 0; first < q->L && !s; first += PART) queue_embed(q, first, host, small);
    if (out->x_embed && !s) gv_device_download(q->d, out->x_embed, q->x, tokens * sizeof(float));
    if (!s && g) {
        s = gv_go_on(q->in->listener, err);
        if (!s) gv_device_run_again(q->d, &g->layers, AGAIN_FROM, queue_piece, q);
    } else if (!s) {
        s = queue_layers(q, out, err);
    }
    if (out->pred_context && !s) gv_device_download(q->d, out->pred_context, q->x, tokens * sizeof(float));
    if (!s) {
        queue_head(q, &n->pred_x, out->pred_x, GV_PRED_X);
        queue_head(q, &n->pred_cam, out->pred_cam, 3);
        queue_head(q, &n->static_conf, out->static_conf_logits, 6);
    }
    free(host);
    return s;
}

// The memory of a length that may come again; n->again is NULL where it is not to be had.
static void find_again(gv_network *n, const queue *q, const gv_network_output *out) {
    if (n->again && n->again->q.L == q->L && n->again->length == q->in->length && !out->x_blocks) return;
    gv_network_forget_again(n);
    if (q->L > AGAIN_FRAMES || out->x_blocks || !(n->again = calloc(1, sizeof *n->again))) return;
    n->again->q = *q;
    n->again->length = q->in->length;
    queue_allocate(&n->again->q, gv_device_hold);
}

gv_status gv_network_run_on_device(gv_network *n, const gv_network_input *in, const gv_network_output *out,
                                   gv_error *err) {
    queue q = {.n = n, .d = gv_nn_device(n->nn), .in = in, .L = in->frames};
    find_again(n, &q, out);
    bool room = n->again || queue_allocate(&q, gv_device_alloc);
    if (n->again) q = n->again->q, q.in = in;
    gv_status s = room ? queue_all(&q, n->again, out, err) : GV_OK;
    s = gv_device_settle(q.d, s, err);
    if (s) gv_network_forget_again(n);
    if (s == GV_ERR_MEMORY) gv_wrap(err, "the network at %d frames", in->frames);
    return s;
}
