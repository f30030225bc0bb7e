// network.c - the forward pass. Letters: L frames, D width, B rows of a block of frames, d = D / heads.
//
// Frames are processed in blocks of B rows, the last one padded with empty rows. A block goes through all
// row-wise work of a stage while it is in the cache; threads take different blocks. Only attention looks at
// neighbouring frames, so each layer is two passes over the blocks:
//   1  q, k, v = rope(W norm1(x))
//   2  x += gate W_proj attention(q, k, v);  x += gate W_fc2 gelu(W_fc1 norm2(x))
// The gates are multiplied into W_proj and W_fc2 on loading. The hidden layer of the MLP is worked off in four
// chunks of D, so that every matrix is [D, D]: at D = 512 its megabyte and the block stay in the second-level
// cache, which is worth 15 percent over the plain [4D, D].
#include "network/network.h"

#include "base/memory.h"
#include "network/attention.h"
#include "network/inputs.h"
#include "network/statistics.h"
#include "network/weights.h"
#include "nn/linear.h"
#include "nn/vec8.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHUNKS = 4, JOINTS = 17, JOINT_EMBEDDING = 32, TOKEN = JOINTS * JOINT_EMBEDDING, MAX_HEAD_DIM = 512 };

typedef struct layer {
    float *norm1[2], *norm2[2]; // weight, bias [D]
    gv_linear *qkv[3], *proj, *fc1[CHUNKS], *fc2[CHUNKS];
} layer;

typedef struct head { // fc2(gelu(fc1(x)))
    gv_linear *fc1, *fc2;
} head;

struct gv_network {
    int width, layers, heads, with_images, with_points;
    gv_precision precision;
    gv_nn *nn;
    gv_arena *arena;
    float *joint_unseen, *joint_weight, *joint_bias; // [17, 32], [32, 2], [32]
    gv_linear *obs[2], *cliff[2], *angvel[2], *image;
    float *image_norm[2]; // [1024]
    layer *layer;
    head pred_x, pred_cam, static_conf;
};

int gv_network_width(const gv_network *n) {
    return n->width;
}
int gv_network_layers(const gv_network *n) {
    return n->layers;
}
int gv_network_heads(const gv_network *n) {
    return n->heads;
}
int gv_network_has_images(const gv_network *n) {
    return n->with_images && !n->with_points;
}

// ---- creation ------------------------------------------------------------------------------------------

// Weights arrive by name; the first failure is kept and everything after it does nothing.
typedef struct builder {
    gv_network *n;
    gv_weights *weights;
    gv_status status;
    gv_error *err;
} builder;

static float *take(builder *b, const char *format, int index) {
    if (b->status) return NULL;
    float *p = NULL;
    b->status = gv_weights_take(&p, b->weights, b->err, format, index);
    return p;
}

// Multiplies row r of weight [out, in] and bias [out] by gate[r].
static void apply_gate(float *weight, float *bias, const float *gate, int out, int in) {
    for (int r = 0; r < out; r++) {
        for (int c = 0; c < in; c++) weight[(size_t)r * in + c] *= gate[r];
        bias[r] *= gate[r];
    }
}

static gv_linear *pack(builder *b, gv_linear_spec spec, const float *weight, const float *bias) {
    gv_linear *l = NULL;
    if (!b->status) b->status = gv_linear_create(&l, b->n->nn, &spec, weight, bias, b->err);
    return l;
}

typedef struct matrix {   // a linear's parameters while it is being built
    float *weight, *bias; // [out, in], [out]
} matrix;

// The parameters of the linear `name` (may contain %d for index), rows multiplied by the vector `gate`.
static matrix take_matrix(builder *b, const char *name, int index, const char *gate, int out, int in) {
    char weight_name[64], bias_name[64];
    snprintf(weight_name, sizeof weight_name, "%s.weight", name);
    snprintf(bias_name, sizeof bias_name, "%s.bias", name);
    matrix m = {take(b, weight_name, index), take(b, bias_name, index)};
    float *g = gate ? take(b, gate, index) : NULL;
    if (!b->status && g) apply_gate(m.weight, m.bias, g, out, in);
    free(g);
    return m;
}

static void free_matrix(matrix m) {
    free(m.weight);
    free(m.bias);
}

static gv_linear *linear(builder *b, const char *name, int index, const char *gate, gv_linear_spec spec) {
    matrix m = take_matrix(b, name, index, gate, spec.out, spec.in);
    gv_linear *l = pack(b, spec, m.weight, m.bias);
    free_matrix(m);
    return l;
}

// Rows of [D, D] and [D] reordered so that within each head row 2i comes to i and row 2i + 1 to d/2 + i. Both
// queries and keys are, so their products stay, and rotary pairs lie in two contiguous halves.
static gv_status split_pairs(matrix *m, int D, int heads, gv_error *err) {
    int d = D / heads;
    matrix from = *m, to = {gv_calloc2((size_t)D, (size_t)D * sizeof(float)), gv_calloc2((size_t)D, sizeof(float))};
    *m = to;
    for (int r = 0; r < D && to.weight && to.bias; r++) {
        int i = r % d, target = r - i + i / 2 + i % 2 * (d / 2);
        memcpy(to.weight + (size_t)target * D, from.weight + (size_t)r * D, (size_t)D * sizeof(float));
        to.bias[target] = from.bias[r];
    }
    free_matrix(from);
    return to.weight && to.bias ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "out of memory for the network");
}

static void build_qkv(builder *b, gv_linear *qkv[3], int index) {
    static const char *const names[3] = {"blocks.%d.attn.query", "blocks.%d.attn.key", "blocks.%d.attn.value"};
    int D = b->n->width;
    for (int k = 0; k < 3; k++) {
        matrix m = take_matrix(b, names[k], index, NULL, D, D);
        if (!b->status && k < 2) b->status = split_pairs(&m, D, b->n->heads, b->err);
        qkv[k] = pack(b, (gv_linear_spec){.in = D, .out = D, .bf16_in = b->n->precision == GV_PRECISION_BF16}, m.weight,
                      m.bias);
        free_matrix(m);
    }
}

// fc1's rows and fc2's columns in chunks of D; fc2's bias goes with its first chunk.
static void build_mlp(builder *b, layer *y, int index) {
    int D = b->n->width, H = CHUNKS * D, bf16 = b->n->precision == GV_PRECISION_BF16;
    matrix one = take_matrix(b, "blocks.%d.mlp.fc1", index, NULL, H, D);
    matrix two = take_matrix(b, "blocks.%d.mlp.fc2", index, "blocks.%d.gate_mlp", D, H);
    float *columns = gv_calloc2((size_t)D, (size_t)D * sizeof *columns);
    if (!b->status && !columns) b->status = gv_fail(b->err, GV_ERR_MEMORY, "out of memory for the network");
    for (int c = 0; c < CHUNKS && !b->status; c++) {
        y->fc1[c] = pack(
            b,
            (gv_linear_spec){.in = D, .out = D, .activation = GV_LINEAR_GELU_TANH, .bf16_in = bf16, .bf16_out = bf16},
            one.weight + (size_t)c * D * D, one.bias + (size_t)c * D);
        for (int r = 0; r < D; r++)
            memcpy(columns + (size_t)r * D, two.weight + (size_t)r * H + (size_t)c * D, (size_t)D * sizeof *columns);
        y->fc2[c] = pack(b, (gv_linear_spec){.in = D, .out = D, .accumulate = 1, .bf16_in = bf16}, columns,
                         c ? NULL : two.bias);
    }
    free(columns);
    free_matrix(one);
    free_matrix(two);
}

static void build_layer(builder *b, int i) {
    layer *y = &b->n->layer[i];
    int D = b->n->width, bf16 = b->n->precision == GV_PRECISION_BF16;
    y->norm1[0] = take(b, "blocks.%d.norm1.weight", i);
    y->norm1[1] = take(b, "blocks.%d.norm1.bias", i);
    y->norm2[0] = take(b, "blocks.%d.norm2.weight", i);
    y->norm2[1] = take(b, "blocks.%d.norm2.bias", i);
    build_qkv(b, y->qkv, i);
    y->proj = linear(b, "blocks.%d.attn.proj", i, "blocks.%d.gate_msa",
                     (gv_linear_spec){.in = D, .out = D, .accumulate = 1, .bf16_in = bf16});
    build_mlp(b, y, i);
}

static void build_embedders(builder *b) {
    gv_network *n = b->n;
    int D = n->width;
    n->joint_unseen = take(b, "learned_pos_params", 0);
    n->joint_weight = take(b, "learned_pos_linear.weight", 0);
    n->joint_bias = take(b, "learned_pos_linear.bias", 0);
    n->obs[0] = linear(b, "embed_noisyobs.fc1", 0, NULL,
                       (gv_linear_spec){.in = TOKEN, .out = 2 * D, .activation = GV_LINEAR_GELU_ERF});
    n->obs[1] = linear(b, "embed_noisyobs.fc2", 0, NULL, (gv_linear_spec){.in = 2 * D, .out = D});
    n->cliff[0] =
        linear(b, "cliffcam_embedder.0", 0, NULL, (gv_linear_spec){.in = 3, .out = D, .activation = GV_LINEAR_SILU});
    n->cliff[1] = linear(b, "cliffcam_embedder.3", 0, NULL, (gv_linear_spec){.in = D, .out = D, .accumulate = 1});
    n->angvel[0] =
        linear(b, "cam_angvel_embedder.0", 0, NULL, (gv_linear_spec){.in = 6, .out = D, .activation = GV_LINEAR_SILU});
    n->angvel[1] = linear(b, "cam_angvel_embedder.3", 0, NULL, (gv_linear_spec){.in = D, .out = D, .accumulate = 1});
    if (!n->with_images) return;
    n->image_norm[0] = take(b, "imgseq_embedder.0.weight", 0);
    n->image_norm[1] = take(b, "imgseq_embedder.0.bias", 0);
    n->image =
        linear(b, "imgseq_embedder.1", 0, NULL, (gv_linear_spec){.in = GV_IMAGE_FEATURE, .out = D, .accumulate = 1});
}

static void build_head(builder *b, head *h, const char *fc1, const char *fc2, int out) {
    int D = b->n->width;
    h->fc1 = linear(b, fc1, 0, NULL, (gv_linear_spec){.in = D, .out = D, .activation = GV_LINEAR_GELU_ERF});
    h->fc2 = linear(b, fc2, 0, NULL, (gv_linear_spec){.in = D, .out = out});
}

static gv_status check_sizes(const gv_network *n, gv_error *err) {
    int D = n->width, H = n->heads;
    if (H < 1 || D % H || D / H % 2 || D / H > MAX_HEAD_DIM)
        return gv_fail(err, GV_ERR_ARGUMENT,
                       "a network of width %d cannot have %d heads: they must divide it into even parts of at most %d",
                       D, H, MAX_HEAD_DIM);
    if (D % 8) return gv_fail(err, GV_ERR_FORMAT, "network width %d is not a multiple of 8", D);
    return GV_OK;
}

static gv_status build(gv_network **out, gv_weights *weights, int heads, gv_precision precision, gv_error *err) {
    gv_network *n = calloc(1, sizeof *n);
    *out = n;
    if (!n) return gv_fail(err, GV_ERR_MEMORY, "out of memory for the network");
    n->width = gv_weights_width(weights);
    n->layers = gv_weights_layers(weights);
    n->with_images = gv_weights_with_images(weights);
    n->with_points = gv_weights_with_points(weights);
    n->heads = heads;
    n->precision = precision;
    builder b = {.n = n, .weights = weights, .err = err};
    b.status = check_sizes(n, err);
    if (!b.status) b.status = gv_nn_create(&n->nn, omp_get_max_threads(), err);
    if (!b.status) b.status = gv_nn_check(n->nn, precision, err);
    n->arena = gv_arena_create(0);
    n->layer = gv_calloc2((size_t)n->layers, sizeof *n->layer);
    if (!b.status && (!n->arena || !n->layer)) b.status = gv_fail(err, GV_ERR_MEMORY, "out of memory for the network");
    if (!b.status) build_embedders(&b);
    for (int i = 0; i < n->layers && !b.status; i++) build_layer(&b, i);
    if (!b.status) {
        build_head(&b, &n->pred_x, "final_layer.fc1", "final_layer.fc2", GV_PRED_X);
        build_head(&b, &n->pred_cam, "pred_cam_head.fc1", "pred_cam_head.fc2", 3);
        build_head(&b, &n->static_conf, "static_conf_head.fc1", "static_conf_head.fc2", 6);
    }
    if (b.status == GV_OK) return GV_OK;
    gv_network_close(n);
    *out = NULL;
    return b.status;
}

gv_status gv_network_open(gv_network **out, const char *path, int heads, gv_precision precision, gv_error *err) {
    gv_weights *w = NULL;
    *out = NULL;
    gv_status s = gv_weights_open(&w, path, err);
    if (s == GV_OK) {
        s = build(out, w, heads ? heads : gv_weights_heads(w), precision, err);
        if (s) gv_wrap(err, "%s", path);
    }
    gv_weights_close(w);
    return s;
}

gv_status gv_network_create(gv_network **out, const float *const *weights, int width, int layers, int with_images,
                            int heads, gv_precision precision, gv_error *err) {
    gv_weights *w = NULL;
    *out = NULL;
    gv_status s = gv_weights_wrap(&w, weights, width, layers, with_images, err);
    if (s == GV_OK) s = build(out, w, heads, precision, err);
    gv_weights_close(w);
    return s;
}

static void close_head(head *h) {
    gv_linear_destroy(h->fc1);
    gv_linear_destroy(h->fc2);
}

void gv_network_close(gv_network *n) {
    if (!n) return;
    for (int i = 0; n->layer && i < n->layers; i++) {
        layer *y = &n->layer[i];
        for (int k = 0; k < 2; k++) free(y->norm1[k]), free(y->norm2[k]);
        for (int k = 0; k < 3; k++) gv_linear_destroy(y->qkv[k]);
        gv_linear_destroy(y->proj);
        for (int c = 0; c < CHUNKS; c++) gv_linear_destroy(y->fc1[c]), gv_linear_destroy(y->fc2[c]);
    }
    free(n->layer);
    for (int k = 0; k < 2; k++) {
        gv_linear_destroy(n->obs[k]);
        gv_linear_destroy(n->cliff[k]);
        gv_linear_destroy(n->angvel[k]);
        free(n->image_norm[k]);
    }
    gv_linear_destroy(n->image);
    close_head(&n->pred_x);
    close_head(&n->pred_cam);
    close_head(&n->static_conf);
    free(n->joint_unseen);
    free(n->joint_weight);
    free(n->joint_bias);
    gv_arena_destroy(n->arena);
    gv_nn_destroy(n->nn);
    free(n);
}

// ---- running -------------------------------------------------------------------------------------------

typedef struct worker {   // scratch of one thread
    float *wide, *narrow; // [rows, max(2D, 544, 1024)] each
    float *attention;
} worker;

typedef struct run {
    gv_network *n;
    const gv_network_input *in;
    int rows, blocks;     // frames of a block, number of blocks
    float *x;             // [blocks rows, D] tokens
    float *q, *k, *v;     // [blocks rows, D] each
    float *cosine, *sine; // [L, d/2]
    float *angvel;        // [L, 6] normalised
    worker *workers;      // [threads]
    int failed;           // of the last pass, set by any thread
} run;

// y = norm(x) over D values: (x - mean) / sqrt(var + eps) * weight + bias
static void layer_norm(float *y, const float *x, float *const affine[2], int D, float eps) {
    v8 sum = v8_set(0), squares = v8_set(0);
    for (int i = 0; i < D; i += 8) sum += v8_load(x + i);
    v8 mean = v8_set(v8_sum(sum) / (float)D);
    for (int i = 0; i < D; i += 8) {
        v8 c = v8_load(x + i) - mean;
        squares = v8_fma(c, c, squares);
    }
    v8 scale = v8_set(1 / sqrtf(v8_sum(squares) / (float)D + eps));
    for (int i = 0; i < D; i += 8)
        v8_store(y + i, v8_fma((v8_load(x + i) - mean) * scale, v8_load(affine[0] + i), v8_load(affine[1] + i)));
}

// In place, float32 to bfloat16 at the start of the same buffer, where the next layer wants it. count: multiple of 8.
static void to_input_precision(const gv_network *n, float *values, size_t count) {
    if (n->precision != GV_PRECISION_BF16) return;
    for (size_t i = 0; i < count; i += 8) v8_store_bf16((char *)values + 2 * i, v8_load(values + i));
}

// e_j of SPEC.md 5.1, [17, 32]
static void embed_joints(float *e, const float *obs, const gv_network *n) {
    for (int j = 0; j < JOINTS; j++, e += JOINT_EMBEDDING) {
        const float *o = obs + 3 * j;
        if (!gv_obs_visible(o)) {
            memcpy(e, n->joint_unseen + j * JOINT_EMBEDDING, JOINT_EMBEDDING * sizeof *e);
            continue;
        }
        for (int c = 0; c < JOINT_EMBEDDING; c++)
            e[c] = n->joint_weight[2 * c] * o[0] + n->joint_weight[2 * c + 1] * o[1] + n->joint_bias[c];
    }
}

// Copies `count` rows of `width` values and clears the rest of the block.
static void fill_rows(float *block, int rows, const float *from, int count, int width) {
    memcpy(block, from, (size_t)count * width * sizeof *block);
    memset(block + (size_t)count * width, 0, (size_t)(rows - count) * width * sizeof *block);
}

static int two_layers(gv_linear *const l[2], int thread, const float *in, float *hidden, float *out) {
    return gv_linear_run(l[0], thread, in, hidden) || gv_linear_run(l[1], thread, hidden, out);
}

static int embed_block(const run *r, int block, int thread) {
    const gv_network *n = r->n;
    const worker *w = &r->workers[thread];
    int D = n->width, first = block * r->rows,
        count = r->in->frames - first < r->rows ? r->in->frames - first : r->rows;
    float *x = r->x + (size_t)first * D;
    memset(w->narrow, 0, (size_t)r->rows * TOKEN * sizeof *w->narrow);
    for (int t = 0; t < count; t++)
        embed_joints(w->narrow + t * TOKEN, r->in->obs + (size_t)(first + t) * JOINTS * 3, n);
    int bad = two_layers(n->obs, thread, w->narrow, w->wide, x);
    fill_rows(w->narrow, r->rows, r->in->cliff + 3 * (size_t)first, count, 3);
    bad |= two_layers(n->cliff, thread, w->narrow, w->wide, x);
    fill_rows(w->narrow, r->rows, r->angvel + 6 * (size_t)first, count, 6);
    bad |= two_layers(n->angvel, thread, w->narrow, w->wide, x);
    if (!n->with_images) return bad;
    memset(w->narrow, 0, (size_t)r->rows * GV_IMAGE_FEATURE * sizeof *w->narrow);
    if (n->with_points && r->in->kp3d)
        for (int t = 0; t < count; t++)
            gv_features_from_points(w->narrow + (size_t)t * GV_IMAGE_FEATURE, r->in->kp3d + 51 * (size_t)(first + t));
    else if (r->in->f_imgseq && !n->with_points)
        fill_rows(w->narrow, r->rows, r->in->f_imgseq + GV_IMAGE_FEATURE * (size_t)first, count, GV_IMAGE_FEATURE);
    for (int t = 0; t < r->rows; t++) {
        float *f = w->narrow + t * GV_IMAGE_FEATURE;
        layer_norm(f, f, n->image_norm, GV_IMAGE_FEATURE, 1e-5f);
    }
    return bad | gv_linear_run(n->image, thread, w->narrow, x);
}

static void norm_rows(const gv_network *n, int rows, float *out, const float *x, float *const affine[2]) {
    for (int t = 0; t < rows; t++)
        layer_norm(out + (size_t)t * n->width, x + (size_t)t * n->width, affine, n->width, 1e-6f);
    to_input_precision(n, out, (size_t)rows * n->width);
}

static int qkv_block(const run *r, const layer *y, int block, int thread) {
    const gv_network *n = r->n;
    int D = n->width, d = D / n->heads, first = block * r->rows, bad = 0;
    float *normed = r->workers[thread].narrow,
          *out[3] = {r->q + (size_t)first * D, r->k + (size_t)first * D, r->v + (size_t)first * D};
    norm_rows(n, r->rows, normed, r->x + (size_t)first * D, y->norm1);
    for (int k = 0; k < 3; k++) bad |= gv_linear_run(y->qkv[k], thread, normed, out[k]);
    for (int t = 0; t < r->rows && first + t < r->in->frames; t++) {
        const float *cosine = r->cosine + (size_t)(first + t) * (d / 2),
                    *sine = r->sine + (size_t)(first + t) * (d / 2);
        for (int k = 0; k < 2; k++) gv_rope_apply(out[k] + (size_t)t * D, cosine, sine, n->heads, d);
    }
    return bad;
}

static int mix_block(const run *r, const layer *y, int block, int thread) {
    const gv_network *n = r->n;
    const worker *w = &r->workers[thread];
    int D = n->width, first = block * r->rows, last = first + r->rows < r->in->frames ? first + r->rows : r->in->frames;
    float *x = r->x + (size_t)first * D;
    const gv_attention_input in = {r->q, r->k, r->v, r->in->frames, r->in->length, n->heads, D / n->heads};
    gv_attention_block(w->narrow, &in, first, last, w->attention);
    memset(w->narrow + (size_t)(last - first) * D, 0, (size_t)(r->rows - (last - first)) * D * sizeof *w->narrow);
    to_input_precision(n, w->narrow, (size_t)r->rows * D);
    int bad = gv_linear_run(y->proj, thread, w->narrow, x);
    norm_rows(n, r->rows, w->narrow, x, y->norm2);
    for (int c = 0; c < CHUNKS; c++)
        bad |= gv_linear_run(y->fc1[c], thread, w->narrow, w->wide) | gv_linear_run(y->fc2[c], thread, w->wide, x);
    return bad;
}

// fc2(gelu(fc1(x))) of one block into out [L, width]; nothing where out is NULL
static int head_block(const run *r, const head *h, float *out, int width, int block, int thread) {
    if (!out) return 0;
    const worker *w = &r->workers[thread];
    int D = r->n->width, first = block * r->rows,
        count = r->in->frames - first < r->rows ? r->in->frames - first : r->rows;
    int bad = gv_linear_run(h->fc1, thread, r->x + (size_t)first * D, w->wide) ||
              gv_linear_run(h->fc2, thread, w->wide, w->narrow);
    memcpy(out + (size_t)first * width, w->narrow, (size_t)count * width * sizeof *out);
    return bad;
}

static void run_embedders(run *r) {
    int failed = 0;
#pragma omp parallel for schedule(dynamic, 1) reduction(| : failed) num_threads(gv_nn_threads(r->n->nn))
    for (int b = 0; b < r->blocks; b++) failed |= embed_block(r, b, omp_get_thread_num());
    r->failed |= failed;
}

static void run_layer(run *r, const layer *y) {
    int failed = 0;
#pragma omp parallel reduction(| : failed) num_threads(gv_nn_threads(r->n->nn))
    {
#pragma omp for schedule(dynamic, 1)
        for (int b = 0; b < r->blocks; b++) failed |= qkv_block(r, y, b, omp_get_thread_num());
#pragma omp for schedule(dynamic, 1)
        for (int b = 0; b < r->blocks; b++) failed |= mix_block(r, y, b, omp_get_thread_num());
    }
    r->failed |= failed;
}

static void run_heads(run *r, const gv_network_output *out) {
    int failed = 0;
#pragma omp parallel for schedule(dynamic, 1) reduction(| : failed) num_threads(gv_nn_threads(r->n->nn))
    for (int b = 0; b < r->blocks; b++) {
        int thread = omp_get_thread_num();
        failed |= head_block(r, &r->n->pred_x, out->pred_x, GV_PRED_X, b, thread);
        failed |= head_block(r, &r->n->pred_cam, out->pred_cam, 3, b, thread);
        failed |= head_block(r, &r->n->static_conf, out->static_conf_logits, 6, b, thread);
    }
    r->failed |= failed;
}

// Every frame gets the mean shape of the valid ones (SPEC.md 5.3).
static void average_shape(float *pred_x, int frames, int length) {
    for (int k = GV_X_BETAS; k < GV_X_ORIENT_C; k++) {
        double sum = 0;
        for (int t = 0; t < length; t++) sum += pred_x[(size_t)t * GV_PRED_X + k];
        float mean = (float)(sum / length);
        for (int t = 0; t < frames; t++) pred_x[(size_t)t * GV_PRED_X + k] = mean;
    }
}

static void scale_camera(float *pred_cam, int frames) {
    for (int t = 0; t < frames; t++, pred_cam += 3) {
        for (int k = 0; k < 3; k++) pred_cam[k] = pred_cam[k] * gv_pred_cam_std[k] + gv_pred_cam_mean[k];
        if (pred_cam[0] < 0.25f) pred_cam[0] = 0.25f;
    }
}

// An even number of blocks of nearly the same size, at most GV_NN_ROWS: two threads finish together. At least
// four where that leaves 48 rows, for machines with more cores. Nothing depends on the number of threads.
static void choose_blocks(run *r) {
    int frames = r->in->frames;
    r->blocks = 2 * ((frames + 2 * GV_NN_ROWS - 1) / (2 * GV_NN_ROWS));
    if (r->blocks < 4 && frames >= 4 * 48) r->blocks = 4;
    r->rows = (frames + r->blocks - 1) / r->blocks;
    r->blocks = (frames + r->rows - 1) / r->rows;
}

static gv_status allocate(run *r, gv_error *err) {
    gv_network *n = r->n;
    int D = n->width, d = D / n->heads, threads = gv_nn_threads(n->nn);
    size_t L = (size_t)r->in->frames, rows = (size_t)r->blocks * r->rows;
    size_t wide = (size_t)2 * D > GV_IMAGE_FEATURE ? (size_t)2 * D : GV_IMAGE_FEATURE; // holds TOKEN values too
    gv_arena_reset(n->arena);
    r->x = gv_arena_alloc(n->arena, rows, (size_t)D * sizeof(float));
    r->q = gv_arena_alloc(n->arena, rows, (size_t)D * sizeof(float));
    r->k = gv_arena_alloc(n->arena, rows, (size_t)D * sizeof(float));
    r->v = gv_arena_alloc(n->arena, rows, (size_t)D * sizeof(float));
    r->cosine = gv_arena_alloc(n->arena, L, (size_t)d / 2 * sizeof(float));
    r->sine = gv_arena_alloc(n->arena, L, (size_t)d / 2 * sizeof(float));
    r->angvel = gv_arena_alloc(n->arena, L, 6 * sizeof(float));
    r->workers = gv_arena_alloc(n->arena, (size_t)threads, sizeof *r->workers);
    int ok = r->x && r->q && r->k && r->v && r->cosine && r->sine && r->angvel && r->workers;
    for (int i = 0; i < threads && ok; i++) {
        worker *w = &r->workers[i];
        w->wide = gv_arena_alloc(n->arena, (size_t)r->rows, wide * sizeof(float));
        w->narrow = gv_arena_alloc(n->arena, (size_t)r->rows, wide * sizeof(float));
        w->attention = gv_arena_alloc(n->arena, gv_attention_scratch(r->rows, d), sizeof(float));
        ok = w->wide && w->narrow && w->attention;
    }
    return ok ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "out of memory for the network at %d frames", r->in->frames);
}

gv_status gv_network_run(gv_network *n, const gv_network_input *in, const gv_network_output *out, gv_error *err) {
    if (in->frames < 1 || in->frames > 1 << 24 || in->length < 1 || in->length > in->frames)
        return gv_fail(err, GV_ERR_ARGUMENT, "the network cannot run on %d frames of which %d are valid", in->frames,
                       in->length);
    if (in->frames > GV_WINDOW && in->length < in->frames)
        return gv_fail(err, GV_ERR_ARGUMENT,
                       "%d frames of which only %d are valid: sequences longer than %d cannot be padded", in->frames,
                       in->length, GV_WINDOW);
    run r = {.n = n, .in = in};
    choose_blocks(&r);
    gv_status s = gv_nn_set_rows(n->nn, r.rows, err);
    if (!s) s = allocate(&r, err);
    if (s) return s;
    size_t tokens = (size_t)in->frames * n->width;
    gv_rope_table(r.cosine, r.sine, in->frames, n->width / n->heads);
    gv_angvel_normalise(r.angvel, in->cam_angvel, in->frames);
    run_embedders(&r);
    if (out->x_embed) memcpy(out->x_embed, r.x, tokens * sizeof *r.x);
    for (int i = 0; i < n->layers; i++) {
        if ((s = gv_go_on(in->listener, err)) != GV_OK) return s;
        run_layer(&r, &n->layer[i]);
        if (out->x_blocks) memcpy(out->x_blocks + (size_t)i * tokens, r.x, tokens * sizeof *r.x);
    }
    run_heads(&r, out);
    if (r.failed) return gv_fail(err, GV_ERR_INTERNAL, "oneDNN failed to run a layer of the network");
    if (out->pred_context) memcpy(out->pred_context, r.x, tokens * sizeof *r.x);
    if (out->pred_x) average_shape(out->pred_x, in->frames, in->length);
    if (out->pred_cam) scale_camera(out->pred_cam, in->frames);
    return GV_OK;
}
