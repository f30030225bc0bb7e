// Letters: D width of the backbone, W of the decoder's single token, E = heads x head size, T = 192 tokens of context.
//
// Keys and values of all layers depend on the context alone and are computed first, by the packed linears. What is
// left is one vector per picture going through matrices of a few megabytes: each is read once for all pictures.
#include "perception/hmr2.h"

#include "base/memory.h"
#include "nn/kernels.h"
#include "nn/vec8.h"
#include "perception/crop.h"
#include "perception/vit.h"

#include <omp.h>
#include <stdlib.h>

enum {
    CROP = 3 * GV_CROP_ROWS * GV_CROP_COLUMNS,
    T = GV_VIT_TOKENS,
    HEADS = 8,
    BATCH = 8, // pictures at once
    DEVICE_BATCH = 64,
    MAX_LAYERS = 64,
    MAX_SIZE = 8192,
};

typedef struct matrix { // y = weight x + bias; where the engine is, like all that follow
    int in, out;
    float *weight, *bias; // [out, in], [out] or NULL
} matrix;

typedef struct layer {
    float *norm[3][2];                     // before self-attention, cross-attention, feed-forward: weight, bias [W]
    matrix self_value, self_out;           // W -> E -> W: over one token attention passes the values on
    matrix query, cross_out, wide, narrow; // W -> E, E -> W, W -> hidden -> W
    gv_linear *keys_values;                // D -> 2 E
} layer;

struct gv_hmr2 {
    gv_nn *nn;
    gv_vit *backbone;
    gv_arena *arena;
    bool bf16;
    int width, inner, hidden, depth; // W, E, of the feed-forward, layers
    float *start;                    // [W]
    layer *layers;                   // [depth]
    int batch;                       // pictures at once; halved where a device's memory is too small
};

int gv_hmr2_token_width(const gv_hmr2 *h) {
    return h->width;
}
int gv_hmr2_width(const gv_hmr2 *h) {
    return gv_vit_width(h->backbone);
}
int gv_hmr2_depth(const gv_hmr2 *h) {
    return gv_vit_depth(h->backbone);
}

// ---- creation

#define DECODER "smpl_head.transformer."
#define LAYER   DECODER "transformer.layers.%d."

static void take_norms(gv_hmr2 *h, layer *y, gv_checkpoint *c, int i) {
    int W = h->width;
    for (int k = 0; k < 3; k++) {
        float *weight = gv_checkpoint_copy(c, (int64_t[]){W}, 1, LAYER "%d.norm.weight", i, k);
        float *bias = gv_checkpoint_copy(c, (int64_t[]){W}, 1, LAYER "%d.norm.bias", i, k);
        y->norm[k][0] = gv_nn_place(h->nn, weight, (size_t)W);
        y->norm[k][1] = gv_nn_place(h->nn, bias, (size_t)W);
    }
}

static matrix place_matrix(gv_hmr2 *h, matrix m) {
    m.weight = gv_nn_place(h->nn, m.weight, (size_t)m.in * m.out);
    m.bias = gv_nn_place(h->nn, m.bias, (size_t)m.out);
    return m;
}

static matrix take_matrix(gv_hmr2 *h, gv_checkpoint *c, int out, int in, const char *name, int layer_index,
                          bool with_bias) {
    matrix m = {in, out, NULL, NULL};
    m.weight = gv_checkpoint_copy(c, (int64_t[]){out, in}, 2, LAYER "%s.weight", layer_index, name);
    if (with_bias) m.bias = gv_checkpoint_copy(c, (int64_t[]){out}, 1, LAYER "%s.bias", layer_index, name);
    return place_matrix(h, m);
}

// The last third of to_qkv's rows.
static matrix take_self_value(gv_hmr2 *h, gv_checkpoint *c, int i) {
    int E = h->inner, W = h->width;
    matrix m = {W, E, NULL, NULL};
    const float *w = gv_checkpoint_take(c, (int64_t[]){3 * E, W}, 2, LAYER "0.fn.to_qkv.weight", i);
    if (!w) return m;
    m.weight = gv_calloc2((size_t)E, (size_t)W * sizeof *w);
    if (!m.weight) gv_checkpoint_fail(c, GV_ERR_MEMORY, "no memory for the decoder");
    if (m.weight) memcpy(m.weight, w + (size_t)2 * E * W, (size_t)E * W * sizeof *w);
    return place_matrix(h, m);
}

static gv_status take_layer(gv_hmr2 *h, gv_checkpoint *c, int i, gv_error *err) {
    int W = h->width, E = h->inner, D = gv_vit_width(h->backbone);
    layer *y = &h->layers[i];
    take_norms(h, y, c, i);
    y->self_value = take_self_value(h, c, i);
    y->self_out = take_matrix(h, c, W, E, "0.fn.to_out.0", i, true);
    y->query = take_matrix(h, c, E, W, "1.fn.to_q", i, false);
    y->cross_out = take_matrix(h, c, W, E, "1.fn.to_out.0", i, true);
    y->wide = take_matrix(h, c, h->hidden, W, "2.fn.net.0", i, true);
    y->narrow = take_matrix(h, c, W, h->hidden, "2.fn.net.3", i, true);
    const float *kv = gv_checkpoint_take(c, (int64_t[]){2 * E, D}, 2, LAYER "1.fn.to_kv.weight", i);
    gv_status s = gv_checkpoint_status(c);
    if (!s)
        s = gv_linear_create(&y->keys_values, h->nn, &(gv_linear_spec){.in = D, .out = 2 * E, .bf16_in = h->bf16}, kv,
                             NULL, err);
    gv_checkpoint_forget(c);
    return s;
}

// An extent of a tensor, which decides over the sizes of others; the shape is checked when it is taken.
static int extent(gv_checkpoint *c, const char *name, int axis, int multiple) {
    const gv_tensor *t = gv_checkpoint_find(c, "%s", name);
    if (t && t->ndim > axis && t->shape[axis] > 0 && t->shape[axis] <= MAX_SIZE && t->shape[axis] % multiple == 0)
        return (int)t->shape[axis];
    if (!t)
        gv_checkpoint_fail(c, GV_ERR_MISSING, "has no tensor \"%s\"", name);
    else
        gv_checkpoint_fail(c, GV_ERR_FORMAT, "tensor \"%s\" has %lld along axis %d, expected a multiple of %d up to %d",
                           name, t->ndim > axis ? (long long)t->shape[axis] : 0LL, axis, multiple, MAX_SIZE);
    return 0;
}

static gv_status take_decoder(gv_hmr2 *h, gv_checkpoint *c, gv_error *err) {
    h->width = extent(c, DECODER "pos_embedding", 2, 8);
    h->inner = extent(c, DECODER "transformer.layers.0.1.fn.to_q.weight", 0, 8 * HEADS);
    h->hidden = extent(c, DECODER "transformer.layers.0.2.fn.net.0.weight", 0, 8);
    while (h->depth < MAX_LAYERS && gv_checkpoint_find(c, LAYER "0.norm.weight", h->depth)) h->depth++;
    const float *bias = gv_checkpoint_take(c, (int64_t[]){h->width}, 1, DECODER "to_token_embedding.bias");
    const float *position = gv_checkpoint_take(c, (int64_t[]){1, 1, h->width}, 3, DECODER "pos_embedding");
    gv_status s = gv_checkpoint_status(c);
    if (s) return s;
    h->start = gv_calloc2((size_t)h->width, sizeof *h->start);
    h->layers = gv_calloc2((size_t)h->depth, sizeof *h->layers);
    if (!h->start || !h->layers) return gv_fail(err, GV_ERR_MEMORY, "no memory for the decoder");
    for (int k = 0; k < h->width; k++) h->start[k] = bias[k] + position[k];
    h->start = gv_nn_place(h->nn, h->start, (size_t)h->width);
    if (gv_nn_device(h->nn) && h->inner / HEADS > GV_ATTENTION_HEAD)
        return gv_checkpoint_fail(c, GV_ERR_ARGUMENT, "its decoder's heads are %d wide, up to %d can be on a device",
                                  h->inner / HEADS, GV_ATTENTION_HEAD);
    for (int i = 0; i < h->depth && !s; i++) s = take_layer(h, c, i, err);
    return s;
}

static void set_head(gv_hmr2 *h);

gv_status gv_hmr2_open(gv_hmr2 **out, const char *path, gv_precision precision, gv_device *device, gv_error *err) {
    gv_checkpoint *c = NULL;
    gv_hmr2 *h = calloc(1, sizeof *h);
    *out = NULL;
    gv_status s = h ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory for HMR2.0");
    if (!s) s = gv_checkpoint_open(&c, path, "HMR2.0", DECODER "pos_embedding", err);
    if (!s) h->bf16 = precision == GV_PRECISION_BF16;
    if (!s && !(h->arena = gv_arena_create(0))) s = gv_fail(err, GV_ERR_MEMORY, "no memory for HMR2.0");
    if (!s) s = gv_nn_create(&h->nn, omp_get_max_threads(), device, err);
    if (!s) s = gv_nn_check(h->nn, precision, err);
    if (!s) s = gv_vit_create(&h->backbone, h->nn, c, precision, err);
    if (!s) s = take_decoder(h, c, err);
    if (!s) set_head(h);
    gv_checkpoint_close(c);
    if (h) h->batch = device ? DEVICE_BATCH : BATCH;
    if (device) s = gv_device_settle(device, s, err);
    if (s)
        gv_hmr2_close(h);
    else
        *out = h;
    return s;
}

void gv_hmr2_close(gv_hmr2 *h) {
    if (!h) return;
    for (int i = 0; h->layers && i < h->depth; i++) {
        layer *y = &h->layers[i];
        matrix *all[] = {&y->self_value, &y->self_out, &y->query, &y->cross_out, &y->wide, &y->narrow};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++)
            gv_nn_drop(h->nn, all[k]->weight), gv_nn_drop(h->nn, all[k]->bias);
        for (int k = 0; k < 3; k++) gv_nn_drop(h->nn, y->norm[k][0]), gv_nn_drop(h->nn, y->norm[k][1]);
        gv_linear_destroy(y->keys_values);
    }
    free(h->layers);
    gv_nn_drop(h->nn, h->start);
    gv_vit_destroy(h->backbone);
    gv_nn_destroy(h->nn);
    gv_arena_destroy(h->arena);
    free(h);
}

// ---- running

static float dot(const float *a, const float *b, int n) { // n: multiple of 8
    v8 sum[2] = {v8_set(0), v8_set(0)};
    for (int i = 0; i < n; i += 8) sum[i / 8 & 1] = v8_fma(v8_load(a + i), v8_load(b + i), sum[i / 8 & 1]);
    return v8_sum(sum[0] + sum[1]);
}

// y [n, out] = x [n, in] W^T + b, or added to what is in y. Each row of W is read once.
static void multiply(float *y, const float *x, const matrix *m, int n, bool add) {
#pragma omp parallel for schedule(static)
    for (int o = 0; o < m->out; o++)
        for (int i = 0; i < n; i++) {
            float *to = y + (size_t)i * m->out + o;
            float value = dot(m->weight + (size_t)o * m->in, x + (size_t)i * m->in, m->in) + (m->bias ? m->bias[o] : 0);
            *to = add ? *to + value : value;
        }
}

// out [E] of one picture: its queries over keys and values kv [T, 2 E].
static void cross_attend(float *out, const float *query, const float *kv, int E) {
    int d = E / HEADS;
    float scale = 1 / sqrtf((float)d);
    for (int h = 0; h < HEADS; h++) {
        float p[T], top = -INFINITY, sum = 0;
        for (int t = 0; t < T; t++) {
            p[t] = dot(query + h * d, kv + (size_t)t * 2 * E + h * d, d) * scale;
            top = fmaxf(top, p[t]);
        }
        for (int t = 0; t < T; t++) sum += p[t] = expf(p[t] - top);
        memset(out + h * d, 0, (size_t)d * sizeof *out);
        for (int t = 0; t < T; t++)
            for (int c = 0; c < d; c++) out[h * d + c] += p[t] / sum * kv[(size_t)t * 2 * E + E + h * d + c];
    }
}

typedef struct run {
    gv_hmr2 *h;
    int n, rows;
    float *context;               // [n T, D]
    float *kv;                    // [depth, n T, 2 E]
    float *normed, *wide, *token; // [n, W], [n, max(E, hidden)] twice, [n, W]
    void **block;                 // [threads]: [rows, D] bfloat16
} run;

static int keys_values_block(const run *r, int block, int thread) {
    gv_hmr2 *h = r->h;
    size_t D = (size_t)gv_vit_width(h->backbone), first = (size_t)block * r->rows, count = (size_t)r->rows * D;
    const void *rows = r->context + first * D;
    int failed = 0;
    if (h->bf16) {
        for (size_t i = 0; i < count; i += 8)
            v8_store_bf16((char *)r->block[thread] + 2 * i, v8_load(r->context + first * D + i));
        rows = r->block[thread];
    }
    for (int i = 0; i < h->depth; i++) {
        float *out = r->kv + ((size_t)i * r->n * T + first) * 2 * h->inner;
        failed |= gv_linear_run(h->layers[i].keys_values, thread, rows, out);
    }
    return failed;
}

static gv_status keys_values(const run *r, gv_error *err) {
    int failed = 0;
#pragma omp parallel for schedule(static) reduction(| : failed) num_threads(gv_nn_threads(r->h->nn))
    for (int b = 0; b < r->n * T / r->rows; b++) failed |= keys_values_block(r, b, omp_get_thread_num());
    return failed ? gv_fail(err, GV_ERR_INTERNAL, "oneDNN failed to run a layer of HMR2.0's decoder") : GV_OK;
}

static void norm(const run *r, float *const affine[2]) {
    int W = r->h->width;
    for (int i = 0; i < r->n; i++)
        gv_layer_norm(r->normed + (size_t)i * W, r->token + (size_t)i * W, affine[0], affine[1], W, 1e-5f);
}

static void decode_layer(const run *r, int index) {
    gv_hmr2 *h = r->h;
    const layer *y = &h->layers[index];
    int n = r->n, E = h->inner;
    float *query = r->wide, *mixed = r->wide + (size_t)n * E;
    norm(r, y->norm[0]);
    multiply(query, r->normed, &y->self_value, n, false);
    multiply(r->token, query, &y->self_out, n, true);
    norm(r, y->norm[1]);
    multiply(query, r->normed, &y->query, n, false);
    for (int i = 0; i < n; i++)
        cross_attend(mixed + (size_t)i * E, query + (size_t)i * E, r->kv + ((size_t)index * n + i) * T * 2 * E, E);
    multiply(r->token, mixed, &y->cross_out, n, true);
    norm(r, y->norm[2]);
    multiply(r->wide, r->normed, &y->wide, n, false);
    for (int i = 0; i < n * h->hidden; i++) r->wide[i] *= 0.5f * (1 + erff(r->wide[i] * 0.70710678f)); // GELU
    multiply(r->token, r->wide, &y->narrow, n, true);
}

static gv_status allocate(run *r, gv_error *err) {
    gv_hmr2 *h = r->h;
    size_t n = (size_t)r->n, D = (size_t)gv_vit_width(h->backbone), W = (size_t)h->width;
    size_t wide = (size_t)(2 * h->inner > h->hidden ? 2 * h->inner : h->hidden);
    int threads = gv_nn_threads(h->nn);
    gv_arena_reset(h->arena);
    r->context = gv_arena_alloc(h->arena, n * T, D * sizeof(float));
    r->kv = gv_arena_alloc(h->arena, (size_t)h->depth * n * T, (size_t)2 * h->inner * sizeof(float));
    r->normed = gv_arena_alloc(h->arena, n, W * sizeof(float));
    r->wide = gv_arena_alloc(h->arena, n, wide * sizeof(float));
    r->block = gv_arena_alloc(h->arena, (size_t)threads, sizeof *r->block);
    bool ok = r->context && r->kv && r->normed && r->wide && r->block;
    for (int i = 0; i < threads && ok; i++) {
        r->block[i] = gv_arena_alloc(h->arena, (size_t)r->rows, D * 2);
        ok = r->block[i] != NULL;
    }
    return ok ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory for %d pictures at once", r->n);
}

static gv_status run_on_processor(gv_hmr2 *h, const float *crops, int n, float *tokens, gv_error *err) {
    const float *pictures[BATCH];
    run r = {.h = h, .n = n, .rows = gv_vit_rows(n, gv_nn_threads(h->nn)), .token = tokens};
    for (int i = 0; i < n; i++) {
        pictures[i] = crops + (size_t)i * CROP;
        memcpy(tokens + (size_t)i * h->width, h->start, (size_t)h->width * sizeof *tokens);
    }
    gv_status s = allocate(&r, err);
    if (!s) s = gv_vit_run(h->backbone, pictures, NULL, n, r.context, NULL, err);
    if (!s) s = keys_values(&r, err);
    for (int i = 0; i < h->depth && !s; i++) decode_layer(&r, i);
    return s;
}

// ---- running on a device

typedef struct queue {
    const gv_hmr2 *h;
    gv_device *d;
    int n;
    const void *context;                          // [n T, D] in the precision of keys_values
    float *kv;                                    // [n T, 2 E] of the present layer
    float *token, *normed, *query, *mixed, *wide; // [n, W] twice, [n, E] twice, [n, hidden]
} queue;

static void queue_multiply(const queue *q, float *y, const float *x, const matrix *m, bool add) {
    const gv_device_matmul product = {.rows = q->n,
                                      .in = m->in,
                                      .out = m->out,
                                      .accumulate = add,
                                      .epilogue = m->bias ? GV_EPILOGUE_BIAS : GV_EPILOGUE_NONE,
                                      .x = x,
                                      .weight = m->weight,
                                      .bias = m->bias,
                                      .y = y};
    gv_device_matmul_queue(q->d, &product);
}

static void queue_norm(const queue *q, float *const affine[2]) {
    gv_kernel(q->d, layer_norm, .y = q->normed, .x = q->token, .weight = affine[0], .bias = affine[1], .rows = q->n,
              .width = q->h->width, .epsilon = 1e-5f);
}

static void queue_decoder_layer(const queue *q, const layer *y) {
    int E = q->h->inner;
    queue_norm(q, y->norm[0]);
    queue_multiply(q, q->query, q->normed, &y->self_value, false);
    queue_multiply(q, q->token, q->query, &y->self_out, true);
    queue_norm(q, y->norm[1]);
    queue_multiply(q, q->query, q->normed, &y->query, false);
    gv_linear_queue(y->keys_values, q->context, q->kv, (int64_t)q->n * T);
    gv_kernel(q->d, attention, .q = q->query, .k = q->kv, .v = q->kv + E, .out = q->mixed, .sequences = q->n,
              .queries = 1, .keys = T, .length = T, .heads = HEADS, .head_dim = E / HEADS, .q_stride = E,
              .kv_stride = 2 * E, .out_stride = E);
    queue_multiply(q, q->token, q->mixed, &y->cross_out, true);
    queue_norm(q, y->norm[2]);
    queue_multiply(q, q->wide, q->normed, &y->wide, false);
    gv_kernel(q->d, activate, .y = q->wide, .rows = q->n, .width = q->h->hidden, .activation = GV_ACTIVATE_GELU_ERF);
    queue_multiply(q, q->token, q->wide, &y->narrow, true);
}

enum { TOKEN, NORMED, QUERY, MIXED, WIDE, KV, NARROW }; // pieces of the decoder's memory

static void queue_decoder(const void *user, const float *tokens, int n, void *const memory[GV_VIT_PIECES]) {
    const gv_hmr2 *h = user;
    const queue q = {.h = h,
                     .d = gv_nn_device(h->nn),
                     .n = n,
                     .context = h->bf16 ? memory[NARROW] : tokens,
                     .kv = memory[KV],
                     .token = memory[TOKEN],
                     .normed = memory[NORMED],
                     .query = memory[QUERY],
                     .mixed = memory[MIXED],
                     .wide = memory[WIDE]};
    if (h->bf16)
        gv_kernel(q.d, narrow, .y = memory[NARROW], .x = tokens, .count = (int64_t)n * T * gv_vit_width(h->backbone));
    gv_kernel(q.d, repeat, .y = q.token, .x = h->start, .rows = n, .period = 1, .width = h->width);
    for (int i = 0; i < h->depth; i++) queue_decoder_layer(&q, &h->layers[i]);
}

static void set_head(gv_hmr2 *h) {
    const size_t W = (size_t)h->width, E = (size_t)h->inner, size = sizeof(float);
    gv_vit_head head = {.queue = queue_decoder, .user = h};
    head.bytes[TOKEN] = head.bytes[NORMED] = W * size;
    head.bytes[QUERY] = head.bytes[MIXED] = E * size;
    head.bytes[WIDE] = (size_t)h->hidden * size;
    head.bytes[KV] = T * 2 * E * size;
    head.bytes[NARROW] = h->bf16 ? T * (size_t)gv_vit_width(h->backbone) * sizeof(uint16_t) : 0;
    gv_vit_set_head(h->backbone, &head);
}

typedef struct task {
    gv_hmr2 *h;
    const gv_crops *crops;
    float *tokens;
} task;

static gv_status run_on_device(const task *t, int first, int n, gv_error *err) {
    gv_hmr2 *h = t->h;
    gv_device *d = gv_nn_device(h->nn);
    const size_t W = (size_t)h->width;
    int32_t index[DEVICE_BATCH];
    for (int i = 0; i < n; i++) index[i] = i;
    const float *token = gv_vit_queue(h->backbone, gv_crops_place(d, t->crops, first, n), index, n, NULL);
    gv_device_download(d, t->tokens + (size_t)first * W, token, (size_t)n * W * sizeof *token);
    return gv_vit_finish(h->backbone, err);
}

static gv_status run_batch(void *user, int first, int n, gv_error *err) {
    const task *t = user;
    if (gv_nn_device(t->h->nn)) return run_on_device(t, first, n, err);
    return run_on_processor(t->h, t->crops->numbers + (size_t)first * CROP, n, t->tokens + (size_t)first * t->h->width,
                            err);
}

gv_status gv_hmr2_run(gv_hmr2 *h, const gv_crops *crops, int n, float *tokens, gv_error *err) {
    task t = {h, crops, tokens};
    return gv_device_batches(n, &h->batch, run_batch, &t, err);
}
