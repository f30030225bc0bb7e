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
//
// Long sequences go through in chunks, and nothing is computed twice: what a layer cannot finish at the end of a chunk,
// because the keys it needs have not come yet, waits for the next one, with the last queries, keys and values of every
// layer. So each layer is REACH frames behind the one before it, memory does not grow with the sequence, and the result
// is that of the whole up to the order of sums.
#include "network/network_internal.h"

#include "network/attention.h"
#include "network/inputs.h"
#include "network/statistics.h"
#include "network/weights.h"
#include "nn/kernels.h"
#include "nn/vec8.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_HEAD_DIM = 512 };
// A query looks REACH frames back and ahead, KEEP at the ends of the sequence; frames of a chunk: 16 full blocks.
enum { REACH = GV_WINDOW / 2, KEEP = GV_WINDOW, LONG_CHUNK = 16 * GV_NN_ROWS };

int gv_network_width(const gv_network *n) {
    return n->width;
}
int gv_network_layers(const gv_network *n) {
    return n->layers;
}
int gv_network_has_images(const gv_network *n) {
    return n->with_images && !n->with_points;
}

void gv_network_set_window(gv_network *n, bool window) {
    n->unlimited = !window;
}
bool gv_network_is_chained(const gv_network *n) {
    return n->chained;
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

// The same, where the engine is.
static float *take_vector(builder *b, const char *format, int index, int count) {
    return gv_nn_place(b->n->nn, take(b, format, index), (size_t)count);
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

// fc1's rows and fc2's columns in chunks; fc2's bias goes with its first chunk.
static void build_mlp(builder *b, layer *y, int index) {
    int D = b->n->width, H = 4 * D, part = H / b->n->mlp_chunks, bf16 = b->n->precision == GV_PRECISION_BF16;
    matrix one = take_matrix(b, "blocks.%d.mlp.fc1", index, NULL, H, D);
    matrix two = take_matrix(b, "blocks.%d.mlp.fc2", index, "blocks.%d.gate_mlp", D, H);
    float *columns = gv_calloc2((size_t)D, (size_t)part * sizeof *columns);
    if (!b->status && !columns) b->status = gv_fail(b->err, GV_ERR_MEMORY, "out of memory for the network");
    for (int c = 0; c < b->n->mlp_chunks && !b->status; c++) {
        y->fc1[c] =
            pack(b,
                 (gv_linear_spec){
                     .in = D, .out = part, .activation = GV_LINEAR_GELU_TANH, .bf16_in = bf16, .bf16_out = bf16},
                 one.weight + (size_t)c * part * D, one.bias + (size_t)c * part);
        for (int r = 0; r < D; r++)
            memcpy(columns + (size_t)r * part, two.weight + (size_t)r * H + (size_t)c * part,
                   (size_t)part * sizeof *columns);
        y->fc2[c] = pack(b, (gv_linear_spec){.in = part, .out = D, .accumulate = 1, .bf16_in = bf16}, columns,
                         c ? NULL : two.bias);
    }
    free(columns);
    free_matrix(one);
    free_matrix(two);
}

static void build_layer(builder *b, int i) {
    layer *y = &b->n->layer[i];
    int D = b->n->width, bf16 = b->n->precision == GV_PRECISION_BF16;
    y->norm1[0] = take_vector(b, "blocks.%d.norm1.weight", i, D);
    y->norm1[1] = take_vector(b, "blocks.%d.norm1.bias", i, D);
    y->norm2[0] = take_vector(b, "blocks.%d.norm2.weight", i, D);
    y->norm2[1] = take_vector(b, "blocks.%d.norm2.bias", i, D);
    build_qkv(b, y->qkv, i);
    y->proj = linear(b, "blocks.%d.attn.proj", i, "blocks.%d.gate_msa",
                     (gv_linear_spec){.in = D, .out = D, .accumulate = 1, .bf16_in = bf16});
    build_mlp(b, y, i);
}

static void build_embedders(builder *b) {
    gv_network *n = b->n;
    int D = n->width;
    n->joint_unseen = take_vector(b, "learned_pos_params", 0, TOKEN);
    n->joint_weight = take_vector(b, "learned_pos_linear.weight", 0, 2 * JOINT_EMBEDDING);
    n->joint_bias = take_vector(b, "learned_pos_linear.bias", 0, JOINT_EMBEDDING);
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
    n->image_norm[0] = take_vector(b, "imgseq_embedder.0.weight", 0, GV_IMAGE_FEATURE);
    n->image_norm[1] = take_vector(b, "imgseq_embedder.0.bias", 0, GV_IMAGE_FEATURE);
    n->image =
        linear(b, "imgseq_embedder.1", 0, NULL, (gv_linear_spec){.in = GV_IMAGE_FEATURE, .out = D, .accumulate = 1});
}

static void build_head(builder *b, head *h, const char *fc1, const char *fc2, int out) {
    int D = b->n->width;
    h->fc1 = linear(b, fc1, 0, NULL, (gv_linear_spec){.in = D, .out = D, .activation = GV_LINEAR_GELU_ERF});
    h->fc2 = linear(b, fc2, 0, NULL, (gv_linear_spec){.in = D, .out = out});
}

static gv_status place_rope(gv_network *n, gv_error *err) {
    size_t half = (size_t)(n->width / n->heads / 2);
    float *w = gv_calloc2(half, sizeof *w);
    if (!w) return gv_fail(err, GV_ERR_MEMORY, "out of memory for the network");
    for (size_t i = 0; i < half; i++) w[i] = gv_rope_power((int)i, n->width / n->heads);
    n->rope = gv_nn_place(n->nn, w, half);
    return GV_OK;
}

static gv_status check_sizes(const gv_network *n, gv_error *err) {
    int D = n->width, H = n->heads;
    if (H < 1 || D % H || D / H % 2 || D / H > MAX_HEAD_DIM)
        return gv_fail(err, GV_ERR_ARGUMENT,
                       "a network of width %d cannot have %d heads: they must divide it into even parts of at most %d",
                       D, H, MAX_HEAD_DIM);
    if (D % 8) return gv_fail(err, GV_ERR_FORMAT, "network width %d is not a multiple of 8", D);
    if (n->mlp_chunks == 1 && D / H > GV_ATTENTION_HEAD)
        return gv_fail(err, GV_ERR_ARGUMENT, "the network's heads are %d wide, up to %d can be on a device", D / H,
                       GV_ATTENTION_HEAD);
    if (n->mlp_chunks == 1 && (n->absolute || n->unlimited))
        return gv_fail(err, GV_ERR_ARGUMENT, "a network without rotary embedding or window runs on the processor only");
    return GV_OK;
}

static gv_status build(gv_network **out, gv_weights *weights, int heads, gv_precision precision, gv_device *device,
                       gv_error *err) {
    gv_network *n = calloc(1, sizeof *n);
    *out = n;
    if (!n) return gv_fail(err, GV_ERR_MEMORY, "out of memory for the network");
    n->width = gv_weights_width(weights);
    n->layers = gv_weights_layers(weights);
    n->with_images = gv_weights_with_images(weights);
    n->with_points = gv_weights_with_points(weights);
    n->absolute = gv_weights_says(weights, "position", "absolute");
    n->unlimited = gv_weights_says(weights, "window", "none");
    n->chained = gv_weights_says(weights, "orientation", "chained");
    n->heads = heads;
    n->precision = precision;
    n->mlp_chunks = device ? 1 : CHUNKS;
    builder b = {.n = n, .weights = weights, .err = err};
    b.status = check_sizes(n, err);
    if (!b.status) b.status = gv_nn_create(&n->nn, omp_get_max_threads(), device, err);
    if (!b.status) b.status = gv_nn_check(n->nn, precision, err);
    n->arena = gv_arena_create(0);
    n->layer = gv_calloc2((size_t)n->layers, sizeof *n->layer);
    if (!b.status && (!n->arena || !n->layer)) b.status = gv_fail(err, GV_ERR_MEMORY, "out of memory for the network");
    if (!b.status) b.status = gv_network_set_chunk(n, 0, err);
    if (!b.status) build_embedders(&b);
    for (int i = 0; i < n->layers && !b.status; i++) build_layer(&b, i);
    if (!b.status) {
        build_head(&b, &n->pred_x, "final_layer.fc1", "final_layer.fc2", GV_PRED_X);
        build_head(&b, &n->pred_cam, "pred_cam_head.fc1", "pred_cam_head.fc2", 3);
        build_head(&b, &n->static_conf, "static_conf_head.fc1", "static_conf_head.fc2", 6);
    }
    if (device && !b.status) b.status = place_rope(n, err);
    if (device) b.status = gv_device_settle(device, b.status, err);
    if (b.status == GV_OK) return GV_OK;
    gv_network_close(n);
    *out = NULL;
    return b.status;
}

gv_status gv_network_open(gv_network **out, const char *path, int heads, gv_precision precision, gv_device *device,
                          gv_error *err) {
    gv_weights *w = NULL;
    *out = NULL;
    gv_status s = gv_weights_open(&w, path, err);
    if (s == GV_OK) {
        s = build(out, w, heads ? heads : gv_weights_heads(w), precision, device, err);
        if (s) gv_wrap(err, "%s", path);
    }
    gv_weights_close(w);
    return s;
}

gv_status gv_network_create(gv_network **out, const float *const *weights, int width, int layers, int with_images,
                            int heads, gv_precision precision, gv_device *device, gv_error *err) {
    gv_weights *w = NULL;
    *out = NULL;
    gv_status s = gv_weights_wrap(&w, weights, width, layers, with_images, err);
    if (s == GV_OK) s = build(out, w, heads, precision, device, err);
    gv_weights_close(w);
    return s;
}

static void close_head(head *h) {
    gv_linear_destroy(h->fc1);
    gv_linear_destroy(h->fc2);
}

void gv_network_close(gv_network *n) {
    if (!n) return;
    gv_network_forget_again(n);
    for (int i = 0; n->layer && i < n->layers; i++) {
        layer *y = &n->layer[i];
        for (int k = 0; k < 2; k++) gv_nn_drop(n->nn, y->norm1[k]), gv_nn_drop(n->nn, y->norm2[k]);
        for (int k = 0; k < 3; k++) gv_linear_destroy(y->qkv[k]);
        gv_linear_destroy(y->proj);
        for (int c = 0; c < CHUNKS; c++) gv_linear_destroy(y->fc1[c]), gv_linear_destroy(y->fc2[c]);
    }
    free(n->layer);
    for (int k = 0; k < 2; k++) {
        gv_linear_destroy(n->obs[k]);
        gv_linear_destroy(n->cliff[k]);
        gv_linear_destroy(n->angvel[k]);
        gv_nn_drop(n->nn, n->image_norm[k]);
    }
    gv_linear_destroy(n->image);
    close_head(&n->pred_x);
    close_head(&n->pred_cam);
    close_head(&n->static_conf);
    gv_nn_drop(n->nn, n->joint_unseen);
    gv_nn_drop(n->nn, n->joint_weight);
    gv_nn_drop(n->nn, n->joint_bias);
    gv_nn_drop(n->nn, n->rope);
    gv_arena_destroy(n->arena);
    gv_nn_destroy(n->nn);
    free(n);
}

// ---- running -------------------------------------------------------------------------------------------

typedef struct worker {   // scratch of one thread
    float *wide, *narrow; // [rows, max(2D, 544, 1024)] each
    float *tokens;        // [rows, D]
    float *attention;
    float *all; // [frames] scratch of attention without a window, else NULL
} worker;

typedef struct carry { // what a layer needs of the chunk before
    float *q, *k, *v;  // [REACH, D], [KEEP, D], [KEEP, D]: its last frames
} carry;

// Frames [begin, end) come in at the embedders. Layer i cannot finish the last REACH frames that it sees, so what is
// new to it lags by i REACH frames: see fresh_frames.
typedef struct run {
    gv_network *n;
    const gv_network_input *in;
    int rows, chunk;      // frames of a block of rows, of a chunk
    int begin, end;       // this chunk
    int x_first;          // frame of the first row of x, cosine and sine
    float *x;             // [kept + chunk, D] tokens
    float *q, *k, *v;     // [KEEP + kept + chunk, D] of one layer
    float *cosine, *sine; // [kept + chunk, d/2]
    float *angvel;        // [chunk, 6] normalised
    carry *carry;         // [layers]; NULL where everything is one chunk
    worker *workers;      // [threads]
    int failed;           // set by any thread
} run;

typedef struct span {
    int first, last; // frames, last not included
} span;

// The frames that this chunk brings to layer i (i = layers: to the heads).
static span fresh_frames(const run *r, int i) {
    int lag = i * REACH;
    return (span){r->begin > 0 ? r->begin - lag : 0, r->end == r->in->frames ? r->end : r->end - lag};
}

static int blocks_in(const run *r, span s) {
    return (s.last - s.first + r->rows - 1) / r->rows;
}

static span block_of(const run *r, span s, int block) {
    int first = s.first + block * r->rows;
    return (span){first, first + r->rows < s.last ? first + r->rows : s.last};
}

static float *tokens_of(const run *r, int frame) {
    return r->x + (size_t)(frame - r->x_first) * r->n->width;
}

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

static int embed_block(const run *r, span s, int thread) {
    const gv_network *n = r->n;
    const worker *w = &r->workers[thread];
    int first = s.first, count = s.last - s.first;
    float *x = tokens_of(r, first);
    memset(w->narrow, 0, (size_t)r->rows * TOKEN * sizeof *w->narrow);
    for (int t = 0; t < count; t++)
        embed_joints(w->narrow + t * TOKEN, r->in->obs + (size_t)(first + t) * JOINTS * 3, n);
    int bad = two_layers(n->obs, thread, w->narrow, w->wide, x);
    fill_rows(w->narrow, r->rows, r->in->cliff + 3 * (size_t)first, count, 3);
    bad |= two_layers(n->cliff, thread, w->narrow, w->wide, x);
    fill_rows(w->narrow, r->rows, r->angvel + 6 * (size_t)(first - r->begin), count, 6);
    bad |= two_layers(n->angvel, thread, w->narrow, w->wide, x);
    for (int t = 0; t < count && n->absolute; t++) gv_position_add(x + (size_t)t * n->width, first + t, n->width);
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

// Row of q, k and v in which the fresh frames of a layer begin: those before are of the last chunk.
static int kept_rows(const run *r) {
    return r->begin > 0 ? KEEP : 0;
}

static int qkv_block(const run *r, const layer *y, span fresh, span s, int thread) {
    const gv_network *n = r->n;
    int D = n->width, d = D / n->heads, bad = 0;
    size_t row = (size_t)(s.first - fresh.first + kept_rows(r)), angle = (size_t)(s.first - r->x_first) * (d / 2);
    float *normed = r->workers[thread].narrow, *out[3] = {r->q + row * D, r->k + row * D, r->v + row * D};
    norm_rows(n, r->rows, normed, tokens_of(r, s.first), y->norm1);
    for (int k = 0; k < 3; k++) bad |= gv_linear_run(y->qkv[k], thread, normed, out[k]);
    for (int t = 0; t < s.last - s.first && !n->absolute; t++, angle += (size_t)d / 2)
        for (int k = 0; k < 2; k++)
            gv_rope_apply(out[k] + (size_t)t * D, r->cosine + angle, r->sine + angle, n->heads, d);
    return bad;
}

// A block that is not full works on a copy: the rows behind it are frames that have come less far.
static int mix_block(const run *r, const layer *y, span fresh, span s, int thread) {
    const gv_network *n = r->n;
    const worker *w = &r->workers[thread];
    int D = n->width, count = s.last - s.first;
    size_t used = (size_t)count * D;
    float *tokens = tokens_of(r, s.first), *x = tokens;
    if (count < r->rows) fill_rows(x = w->tokens, r->rows, tokens, count, D);
    const gv_attention_input in = {
        r->q, r->k, r->v, fresh.first - kept_rows(r), r->in->frames, r->in->length, n->heads, D / n->heads, w->all};
    gv_attention_block(w->narrow, &in, s.first, s.last, w->attention);
    memset(w->narrow + used, 0, ((size_t)r->rows * D - used) * sizeof *w->narrow);
    to_input_precision(n, w->narrow, (size_t)r->rows * D);
    int bad = gv_linear_run(y->proj, thread, w->narrow, x);
    norm_rows(n, r->rows, w->narrow, x, y->norm2);
    for (int c = 0; c < n->mlp_chunks; c++)
        bad |= gv_linear_run(y->fc1[c], thread, w->narrow, w->wide) | gv_linear_run(y->fc2[c], thread, w->wide, x);
    if (x != tokens) memcpy(tokens, x, used * sizeof *x);
    return bad;
}

// fc2(gelu(fc1(x))) of one block into out [L, width]; nothing where out is NULL
static int head_block(const run *r, const head *h, float *out, int width, span s, int thread) {
    if (!out) return 0;
    const worker *w = &r->workers[thread];
    int bad = gv_linear_run(h->fc1, thread, tokens_of(r, s.first), w->wide) ||
              gv_linear_run(h->fc2, thread, w->wide, w->narrow);
    memcpy(out + (size_t)s.first * width, w->narrow, (size_t)(s.last - s.first) * width * sizeof *out);
    return bad;
}

static void run_embedders(run *r) {
    span fresh = fresh_frames(r, 0);
    int failed = 0, blocks = blocks_in(r, fresh);
#pragma omp parallel for schedule(dynamic, 1) reduction(| : failed) num_threads(gv_nn_threads(r->n->nn))
    for (int b = 0; b < blocks; b++) failed |= embed_block(r, block_of(r, fresh, b), omp_get_thread_num());
    r->failed |= failed;
}

static void copy_rows(float *to, const float *from, int count, int width) {
    memcpy(to, from, (size_t)count * width * sizeof *to);
}

// Before a layer's turn: its queries, keys and values of the last chunk's end come back to the first rows.
static void recall_layer(run *r, int i) {
    const carry *c = &r->carry[i];
    int D = r->n->width;
    copy_rows(r->q + (size_t)(KEEP - REACH) * D, c->q, REACH, D);
    copy_rows(r->k, c->k, KEEP, D);
    copy_rows(r->v, c->v, KEEP, D);
}

static void keep_layer(run *r, int i) {
    const carry *c = &r->carry[i];
    span fresh = fresh_frames(r, i);
    size_t D = (size_t)r->n->width, end = (size_t)(fresh.last - fresh.first + kept_rows(r));
    copy_rows(c->q, r->q + (end - REACH) * D, REACH, (int)D);
    copy_rows(c->k, r->k + (end - KEEP) * D, KEEP, (int)D);
    copy_rows(c->v, r->v + (end - KEEP) * D, KEEP, (int)D);
}

static void run_layer(run *r, int i) {
    const layer *y = &r->n->layer[i];
    span fresh = fresh_frames(r, i), done = fresh_frames(r, i + 1);
    int failed = 0, blocks = blocks_in(r, fresh), done_blocks = blocks_in(r, done);
    if (r->begin > 0) recall_layer(r, i);
#pragma omp parallel reduction(| : failed) num_threads(gv_nn_threads(r->n->nn))
    {
#pragma omp for schedule(dynamic, 1)
        for (int b = 0; b < blocks; b++) failed |= qkv_block(r, y, fresh, block_of(r, fresh, b), omp_get_thread_num());
#pragma omp for schedule(dynamic, 1)
        for (int b = 0; b < done_blocks; b++)
            failed |= mix_block(r, y, fresh, block_of(r, done, b), omp_get_thread_num());
    }
    if (r->end < r->in->frames) keep_layer(r, i);
    r->failed |= failed;
}

static void run_heads(run *r, const gv_network_output *out) {
    span fresh = fresh_frames(r, r->n->layers);
    int failed = 0, blocks = blocks_in(r, fresh);
#pragma omp parallel for schedule(dynamic, 1) reduction(| : failed) num_threads(gv_nn_threads(r->n->nn))
    for (int b = 0; b < blocks; b++) {
        int thread = omp_get_thread_num();
        span s = block_of(r, fresh, b);
        failed |= head_block(r, &r->n->pred_x, out->pred_x, GV_PRED_X, s, thread);
        failed |= head_block(r, &r->n->pred_cam, out->pred_cam, 3, s, thread);
        failed |= head_block(r, &r->n->static_conf, out->static_conf_logits, 6, s, thread);
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

// Frames by which the heads lag behind the embedders.
static int lag_of(const gv_network *n) {
    return n->layers * REACH;
}

// An even number of blocks of nearly the same size, at most GV_NN_ROWS: two threads finish together. At least
// four where that leaves 48 rows, for machines with more cores. Nothing depends on the number of threads.
// What is longer than `whole` frames goes through in chunks.
static void choose_blocks(run *r) {
    int frames = r->in->frames, whole = r->n->unlimited ? frames : r->n->chunk + r->n->chunk / 2;
    if (frames > whole) {
        r->rows = GV_NN_ROWS;
        r->chunk = r->n->chunk;
        return;
    }
    int blocks = 2 * ((frames + 2 * GV_NN_ROWS - 1) / (2 * GV_NN_ROWS));
    if (blocks < 4 && frames >= 4 * 48) blocks = 4;
    r->rows = (frames + blocks - 1) / blocks;
    r->chunk = frames;
}

static gv_status allocate(run *r, gv_error *err) {
    gv_network *n = r->n;
    gv_arena *a = n->arena;
    bool chunked = r->chunk < r->in->frames;
    int D = n->width, d = D / n->heads, threads = gv_nn_threads(n->nn);
    size_t row = (size_t)D * sizeof(float), wide = (size_t)2 * D > GV_IMAGE_FEATURE ? (size_t)2 * D : GV_IMAGE_FEATURE;
    size_t rows = (size_t)r->chunk + (size_t)r->rows + (chunked ? (size_t)lag_of(n) : 0); // blocks may reach beyond
    gv_arena_reset(a);
    r->x = gv_arena_alloc(a, rows, row);
    r->q = gv_arena_alloc(a, rows + KEEP, row);
    r->k = gv_arena_alloc(a, rows + KEEP, row);
    r->v = gv_arena_alloc(a, rows + KEEP, row);
    r->cosine = gv_arena_alloc(a, rows, (size_t)d / 2 * sizeof(float));
    r->sine = gv_arena_alloc(a, rows, (size_t)d / 2 * sizeof(float));
    r->angvel = gv_arena_alloc(a, (size_t)r->chunk, 6 * sizeof(float));
    r->workers = gv_arena_alloc(a, (size_t)threads, sizeof *r->workers);
    bool ok = r->x && r->q && r->k && r->v && r->cosine && r->sine && r->angvel && r->workers;
    for (int i = 0; i < threads && ok; i++) {
        worker *w = &r->workers[i];
        w->wide = gv_arena_alloc(a, (size_t)r->rows, wide * sizeof(float)); // holds TOKEN values too
        w->narrow = gv_arena_alloc(a, (size_t)r->rows, wide * sizeof(float));
        w->tokens = gv_arena_alloc(a, (size_t)r->rows, row);
        w->attention = gv_arena_alloc(a, gv_attention_scratch(r->rows, d), sizeof(float));
        if (n->unlimited) w->all = gv_arena_alloc(a, (size_t)r->in->frames, sizeof(float));
        ok = w->wide && w->narrow && w->tokens && w->attention && (!n->unlimited || w->all);
    }
    if (ok && chunked) r->carry = gv_arena_alloc(a, (size_t)n->layers, sizeof *r->carry);
    ok = ok && (!chunked || r->carry);
    for (int i = 0; i < n->layers && ok && chunked; i++) {
        carry *c = &r->carry[i];
        c->q = gv_arena_alloc(a, REACH, row);
        c->k = gv_arena_alloc(a, KEEP, row);
        c->v = gv_arena_alloc(a, KEEP, row);
        ok = c->q && c->k && c->v;
    }
    return ok ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "out of memory for the network at %d frames", r->in->frames);
}

// Makes room in x for frames begin .. end-1 behind those that have not reached the heads, and their angles.
static void begin_chunk(run *r, int begin) {
    const gv_network *n = r->n;
    int D = n->width, kept = begin > 0 ? lag_of(n) : 0;
    if (kept) memmove(r->x, tokens_of(r, begin - kept), (size_t)kept * D * sizeof *r->x);
    r->x_first = begin - kept;
    r->begin = begin;
    r->end = begin + r->chunk < r->in->frames ? begin + r->chunk : r->in->frames;
    gv_rope_table(r->cosine, r->sine, r->x_first, r->end - r->x_first, D / n->heads);
    gv_angvel_normalise(r->angvel, r->in->cam_angvel + 6 * (size_t)begin, r->end - begin);
}

static void copy_tokens(const run *r, float *out, int i) {
    span s = fresh_frames(r, i);
    if (out) copy_rows(out + (size_t)s.first * r->n->width, tokens_of(r, s.first), s.last - s.first, r->n->width);
}

static gv_status run_chunk(run *r, const gv_network_output *out, gv_error *err) {
    gv_status s;
    size_t tokens = (size_t)r->in->frames * r->n->width;
    run_embedders(r);
    copy_tokens(r, out->x_embed, 0);
    for (int i = 0; i < r->n->layers; i++) {
        if ((s = gv_go_on(r->in->listener, err)) != GV_OK) return s;
        run_layer(r, i);
        if (out->x_blocks) copy_tokens(r, out->x_blocks + (size_t)i * tokens, i + 1);
    }
    run_heads(r, out);
    copy_tokens(r, out->pred_context, r->n->layers);
    return GV_OK;
}

gv_status gv_network_set_chunk(gv_network *n, int frames, gv_error *err) {
    int least = lag_of(n) + KEEP;
    if (frames < 1) frames = LONG_CHUNK > least ? LONG_CHUNK : least;
    if (frames < least)
        return gv_fail(err, GV_ERR_ARGUMENT, "chunks of %d frames are too short for %d layers: %d at least", frames,
                       n->layers, least);
    n->chunk = frames;
    return GV_OK;
}

static gv_status run_on_processor(gv_network *n, const gv_network_input *in, const gv_network_output *out,
                                  gv_error *err) {
    run r = {.n = n, .in = in};
    choose_blocks(&r);
    gv_status s = gv_nn_set_rows(n->nn, r.rows, err);
    if (!s) s = allocate(&r, err);
    if (s) return s;
    for (int begin = 0; begin < in->frames; begin += r.chunk) {
        begin_chunk(&r, begin);
        if ((s = run_chunk(&r, out, err)) != GV_OK) return s;
    }
    return r.failed ? gv_fail(err, GV_ERR_INTERNAL, "oneDNN failed to run a layer of the network") : GV_OK;
}

gv_status gv_network_run(gv_network *n, const gv_network_input *in, const gv_network_output *out, gv_error *err) {
    if (in->frames < 1 || in->frames > 1 << 24 || in->length < 1 || in->length > in->frames)
        return gv_fail(err, GV_ERR_ARGUMENT, "the network cannot run on %d frames of which %d are valid", in->frames,
                       in->length);
    if (in->frames > GV_WINDOW && in->length < in->frames)
        return gv_fail(err, GV_ERR_ARGUMENT,
                       "%d frames of which only %d are valid: sequences longer than %d cannot be padded", in->frames,
                       in->length, GV_WINDOW);
    gv_status s = (gv_nn_device(n->nn) ? gv_network_run_on_device : run_on_processor)(n, in, out, err);
    if (s) return s;
    if (out->pred_x) average_shape(out->pred_x, in->frames, in->length);
    if (out->pred_cam) scale_camera(out->pred_cam, in->frames);
    return GV_OK;
}
