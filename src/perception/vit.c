// Letters: D width, B rows of a block of tokens, T = 192 tokens of a picture.
//
// Tokens of all pictures are rows of one matrix, worked off in blocks of B rows. Each layer is three passes:
//   1  qkv = W_qkv norm1(x)                                   blocks
//   2  a = attention(q, k, v)                                 heads of pictures
//   3  x += W_proj a;  x += W_fc2 gelu(W_fc1 norm2(x))        blocks
// Threads take different blocks; only attention looks at other tokens. On a device the blocks are the whole matrix.
#include "perception/vit.h"

#include "base/memory.h"
#include "nn/kernels.h"
#include "nn/vec8.h"
#include "perception/crop.h"
#include "perception/vit_attention.h"

#include <limits.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATCH = 16, PAD = 2, PIXELS = 3 * PATCH * PATCH, MAX_DEPTH = 128, MAX_WIDTH = 8192, MAX_BATCH = 64 };

typedef struct layer {
    float *norm1[2], *norm2[2]; // weight, bias [D]
    gv_linear *qkv, *proj, *fc1, *fc2;
} layer;

typedef struct buffers { // on a device; rows: n T
    float *x;            // [rows, D] tokens
    void *narrow;        // [rows, D] normed tokens, then attention's output, in the products' precision
    void *wide;          // [rows, max(4D, 768)] patches, qkv and the hidden layer in turn; qkv float32 without tiles
    void *head[GV_VIT_PIECES];
    int64_t rows;
} buffers;

struct gv_vit {
    gv_nn *nn;
    int width, depth, heads;
    bool bf16;
    bool tiles; // on a device: attention in bfloat16, on tiles
    gv_linear *embed;
    float *position;     // [T, D], slot 0 added in; this and the norms' lie where the engine is
    layer *layers;       // [depth]
    float *last_norm[2]; // [D]
    gv_arena *arena;
    // On a device: what batches of kept.rows share, and the rows of the last one.
    buffers kept;
    int64_t last_rows;
    gv_vit_head head; // queue NULL: none
    gv_device_again again;
};

int gv_vit_width(const gv_vit *v) {
    return v->width;
}
int gv_vit_depth(const gv_vit *v) {
    return v->depth;
}

// ---- creation

static gv_linear *make_linear(gv_vit *v, gv_checkpoint *c, gv_linear_spec spec, const float *weight,
                              const float *bias) {
    gv_linear *l = NULL;
    gv_error err = {0};
    if (gv_checkpoint_status(c) == GV_OK && gv_linear_create(&l, v->nn, &spec, weight, bias, &err) != GV_OK)
        gv_checkpoint_fail(c, err.status, "%s", err.text);
    return l;
}

static void take_norm(gv_vit *v, float *norm[2], gv_checkpoint *c, const char *name, int index) {
    int D = v->width;
    char full[96];
    for (int k = 0; k < 2; k++) {
        snprintf(full, sizeof full, "backbone.blocks.%d.%s.%s", index, name, k ? "bias" : "weight");
        norm[k] = gv_nn_place(v->nn, gv_checkpoint_copy(c, (int64_t[]){D}, 1, "%s", full), (size_t)D);
    }
}

static gv_linear *take_linear(gv_vit *v, gv_checkpoint *c, gv_linear_spec spec, const char *name, int index) {
    const float *w =
        gv_checkpoint_take(c, (int64_t[]){spec.out, spec.in}, 2, "backbone.blocks.%d.%s.weight", index, name);
    const float *b = gv_checkpoint_take(c, (int64_t[]){spec.out}, 1, "backbone.blocks.%d.%s.bias", index, name);
    spec.bf16_in = v->bf16;
    return make_linear(v, c, spec, w, b);
}

static void take_layer(gv_vit *v, gv_checkpoint *c, int i) {
    int D = v->width;
    layer *y = &v->layers[i];
    take_norm(v, y->norm1, c, "norm1", i);
    take_norm(v, y->norm2, c, "norm2", i);
    y->qkv = take_linear(v, c, (gv_linear_spec){.in = D, .out = 3 * D, .bf16_out = v->tiles}, "attn.qkv", i);
    y->proj = take_linear(v, c, (gv_linear_spec){.in = D, .out = D, .accumulate = 1}, "attn.proj", i);
    // A device's products have GELU's tanh form themselves, 5e-4 from the other at most: taken where the result is
    // rounded to 8 bits anyway.
    const bool tanh_form = v->bf16 && gv_nn_device(v->nn);
    y->fc1 = take_linear(v, c,
                         (gv_linear_spec){.in = D,
                                          .out = 4 * D,
                                          .activation = tanh_form ? GV_LINEAR_GELU_TANH : GV_LINEAR_GELU_ERF,
                                          .bf16_out = v->bf16},
                         "mlp.fc1", i);
    y->fc2 = take_linear(v, c, (gv_linear_spec){.in = 4 * D, .out = D, .accumulate = 1}, "mlp.fc2", i);
    gv_checkpoint_forget(c);
}

static void take_position(gv_vit *v, gv_checkpoint *c) {
    int D = v->width;
    const float *p = gv_checkpoint_take(c, (int64_t[]){1, GV_VIT_TOKENS + 1, D}, 3, "backbone.pos_embed");
    if (!p) return;
    v->position = gv_calloc2(GV_VIT_TOKENS, (size_t)D * sizeof *p);
    if (!v->position) gv_checkpoint_fail(c, GV_ERR_MEMORY, "no memory for the network");
    for (int t = 0; t < GV_VIT_TOKENS && v->position; t++)
        for (int k = 0; k < D; k++) v->position[(size_t)t * D + k] = p[(size_t)(1 + t) * D + k] + p[k];
    v->position = gv_nn_place(v->nn, v->position, GV_VIT_TOKENS * (size_t)D);
}

static void read_sizes(gv_vit *v, gv_checkpoint *c) {
    const gv_tensor *t = gv_checkpoint_find(c, "backbone.patch_embed.proj.weight");
    if (!t || t->ndim != 4 || t->shape[0] < 1 || t->shape[0] > MAX_WIDTH) {
        gv_checkpoint_fail(c, t ? GV_ERR_FORMAT : GV_ERR_MISSING,
                           "tensor \"backbone.patch_embed.proj.weight\" is %s, expected [D, 3, 16, 16] with D up to %d",
                           t ? "something else" : "missing", MAX_WIDTH);
        return;
    }
    v->width = (int)t->shape[0];
    v->heads = v->width == 384 || v->width == 768 ? 12 : 16;
    while (v->depth < MAX_DEPTH && gv_checkpoint_find(c, "backbone.blocks.%d.norm1.weight", v->depth)) v->depth++;
    if (v->depth < 1) gv_checkpoint_fail(c, GV_ERR_MISSING, "has no tensor \"backbone.blocks.0.norm1.weight\"");
    if (v->width % 8 || v->width % v->heads)
        gv_checkpoint_fail(c, GV_ERR_FORMAT, "the network is %d wide, expected a multiple of 8 and of its %d heads",
                           v->width, v->heads);
}

static void check_device(gv_vit *v, gv_checkpoint *c) {
    if (!gv_nn_device(v->nn) || gv_checkpoint_status(c) != GV_OK) return;
    int d = v->width / v->heads;
    v->tiles = v->bf16 && d % 16 == 0 && d <= GV_TILE_HEAD;
    if (d > GV_ATTENTION_HEAD)
        gv_checkpoint_fail(c, GV_ERR_ARGUMENT, "its heads are %d wide, up to %d can be on a device", d,
                           GV_ATTENTION_HEAD);
}

gv_status gv_vit_create(gv_vit **out, gv_nn *nn, gv_checkpoint *c, gv_precision precision, gv_error *err) {
    gv_vit *v = calloc(1, sizeof *v);
    *out = v;
    if (!v) return gv_fail(err, GV_ERR_MEMORY, "no memory for the network");
    v->nn = nn;
    v->bf16 = precision == GV_PRECISION_BF16;
    read_sizes(v, c);
    check_device(v, c);
    v->arena = gv_arena_create(0);
    v->layers = gv_calloc2((size_t)v->depth, sizeof *v->layers);
    if (!v->arena || !v->layers) gv_checkpoint_fail(c, GV_ERR_MEMORY, "no memory for the network");
    int D = v->width;
    take_position(v, c);
    const float *w = gv_checkpoint_take(c, (int64_t[]){D, 3, PATCH, PATCH}, 4, "backbone.patch_embed.proj.weight");
    const float *b = gv_checkpoint_take(c, (int64_t[]){D}, 1, "backbone.patch_embed.proj.bias");
    v->embed = make_linear(v, c, (gv_linear_spec){.in = PIXELS, .out = D, .accumulate = 1}, w, b);
    float *last[2] = {gv_checkpoint_copy(c, (int64_t[]){D}, 1, "backbone.last_norm.weight"),
                      gv_checkpoint_copy(c, (int64_t[]){D}, 1, "backbone.last_norm.bias")};
    for (int k = 0; k < 2; k++) v->last_norm[k] = gv_nn_place(nn, last[k], (size_t)D);
    for (int i = 0; i < v->depth && gv_checkpoint_status(c) == GV_OK; i++) take_layer(v, c, i);
    gv_status s = gv_checkpoint_status(c);
    if (s == GV_OK) return GV_OK;
    gv_vit_destroy(v);
    *out = NULL;
    return s;
}

static void forget(gv_vit *v) {
    gv_device *d = gv_nn_device(v->nn);
    void *const memory[] = {v->kept.x, v->kept.narrow, v->kept.wide};
    gv_device_forget_again(d, &v->again);
    for (int i = 0; i < 3; i++) gv_device_drop(d, memory[i]);
    for (int i = 0; i < GV_VIT_PIECES; i++) gv_device_drop(d, v->kept.head[i]);
    v->kept = (buffers){0};
    v->last_rows = 0;
}

void gv_vit_destroy(gv_vit *v) {
    if (!v) return;
    if (gv_nn_device(v->nn)) forget(v);
    for (int i = 0; v->layers && i < v->depth; i++) {
        layer *y = &v->layers[i];
        for (int k = 0; k < 2; k++) gv_nn_drop(v->nn, y->norm1[k]), gv_nn_drop(v->nn, y->norm2[k]);
        gv_linear_destroy(y->qkv);
        gv_linear_destroy(y->proj);
        gv_linear_destroy(y->fc1);
        gv_linear_destroy(y->fc2);
    }
    free(v->layers);
    gv_nn_drop(v->nn, v->position);
    for (int k = 0; k < 2; k++) gv_nn_drop(v->nn, v->last_norm[k]);
    gv_linear_destroy(v->embed);
    gv_arena_destroy(v->arena);
    free(v);
}

// ---- running

typedef struct worker { // scratch of one thread
    float *wide;        // [B, max(4D, 768)]
    float *narrow;      // [B, D]
    float *attention;
} worker;

typedef struct run {
    gv_vit *v;
    const float *const *pictures;
    const bool *mirrored;
    int n, rows, blocks;
    float *x;        // [n T, D]
    float *qkv;      // [n T, 3D]
    void *mixed;     // [n T, D] output of attention, in the precision of the next product
    worker *workers; // [threads]
    int failed;
} run;

void gv_layer_norm(float *y, const float *x, const float *weight, const float *bias, int D, float eps) {
    v8 sum = v8_set(0), squares = v8_set(0);
    for (int i = 0; i < D; i += 8) sum += v8_load(x + i);
    v8 mean = v8_set(v8_sum(sum) / (float)D);
    for (int i = 0; i < D; i += 8) {
        v8 c = v8_load(x + i) - mean;
        squares = v8_fma(c, c, squares);
    }
    v8 scale = v8_set(1 / sqrtf(v8_sum(squares) / (float)D + eps));
    for (int i = 0; i < D; i += 8)
        v8_store(y + i, v8_fma((v8_load(x + i) - mean) * scale, v8_load(weight + i), v8_load(bias + i)));
}

// Normalised rows of x in the precision that the next product takes.
static void norm_rows(const gv_vit *v, int rows, float *out, const float *x, float *const norm[2]) {
    int D = v->width;
    for (int t = 0; t < rows; t++, x += D) {
        if (!v->bf16) {
            gv_layer_norm(out + (size_t)t * D, x, norm[0], norm[1], D, 1e-6f);
            continue;
        }
        float row[MAX_WIDTH];
        gv_layer_norm(row, x, norm[0], norm[1], D, 1e-6f);
        for (int k = 0; k < D; k += 8) v8_store_bf16((char *)out + 2 * ((size_t)t * D + k), v8_load(row + k));
    }
}

// The pixels that token (r, c) sees: [3, 16, 16] from row 16 r - 2 and column 16 c - 2 on, zero beyond the picture.
static void cut_patch(float *out, const float *picture, bool mirrored, int r, int c) {
    for (int k = 0; k < 3; k++)
        for (int y = 16 * r - PAD; y < 16 * r - PAD + PATCH; y++)
            for (int x = 16 * c - PAD; x < 16 * c - PAD + PATCH; x++) {
                bool inside = x >= 0 && y >= 0; // the right and lower edge are never reached
                int column = mirrored ? GV_CROP_COLUMNS - 1 - x : x;
                *out++ = inside ? picture[((size_t)k * GV_CROP_ROWS + y) * GV_CROP_COLUMNS + column] : 0;
            }
}

static int embed_block(const run *r, int block, int thread) {
    int D = r->v->width, first = block * r->rows;
    float *pixels = r->workers[thread].wide, *x = r->x + (size_t)first * D;
    for (int i = 0; i < r->rows; i++) {
        int picture = (first + i) / GV_VIT_TOKENS, t = (first + i) % GV_VIT_TOKENS;
        cut_patch(pixels + (size_t)i * PIXELS, r->pictures[picture], r->mirrored && r->mirrored[picture],
                  t / GV_VIT_COLUMNS, t % GV_VIT_COLUMNS);
        memcpy(x + (size_t)i * D, r->v->position + (size_t)t * D, (size_t)D * sizeof *x);
    }
    return gv_linear_run(r->v->embed, thread, pixels, x);
}

static int qkv_block(const run *r, const layer *y, int block, int thread) {
    int D = r->v->width;
    float *normed = r->workers[thread].narrow;
    norm_rows(r->v, r->rows, normed, r->x + (size_t)block * r->rows * D, y->norm1);
    return gv_linear_run(y->qkv, thread, normed, r->qkv + (size_t)block * r->rows * 3 * D);
}

static void attend(const run *r, int picture, int head, int thread) {
    int D = r->v->width;
    size_t first = (size_t)picture * GV_VIT_TOKENS;
    const float *qkv = r->qkv + first * 3 * D;
    const gv_vit_attention a = {.q = qkv,
                                .k = qkv + D,
                                .v = qkv + 2 * D,
                                .tokens = GV_VIT_TOKENS,
                                .head_dim = D / r->v->heads,
                                .stride = 3 * D,
                                .out = (char *)r->mixed + first * D * (r->v->bf16 ? 2 : 4),
                                .out_stride = D,
                                .bf16 = r->v->bf16};
    gv_vit_attention_head(&a, head, r->workers[thread].attention);
}

static int project_block(const run *r, const layer *y, int block, int thread) {
    size_t first = (size_t)block * r->rows * r->v->width;
    return gv_linear_run(y->proj, thread, (char *)r->mixed + first * (r->v->bf16 ? 2 : 4), r->x + first);
}

static int mlp_block(const run *r, const layer *y, int block, int thread) {
    const worker *w = &r->workers[thread];
    float *x = r->x + (size_t)block * r->rows * r->v->width;
    norm_rows(r->v, r->rows, w->narrow, x, y->norm2);
    return gv_linear_run(y->fc1, thread, w->narrow, w->wide) | gv_linear_run(y->fc2, thread, w->wide, x);
}

static void run_layer(run *r, const layer *y, float *attention) {
    int failed = 0, heads = r->v->heads;
#pragma omp parallel reduction(| : failed) num_threads(gv_nn_threads(r->v->nn))
    {
        int thread = omp_get_thread_num();
#pragma omp for schedule(static)
        for (int b = 0; b < r->blocks; b++) failed |= qkv_block(r, y, b, thread);
#pragma omp for schedule(static)
        for (int i = 0; i < r->n * heads; i++) attend(r, i / heads, i % heads, thread);
#pragma omp for schedule(static)
        for (int b = 0; b < r->blocks; b++) {
            size_t first = (size_t)b * r->rows * r->v->width, count = (size_t)r->rows * r->v->width;
            if (attention) memcpy(attention + first, r->x + first, count * sizeof *attention);
            failed |= project_block(r, y, b, thread);
            for (size_t i = 0; i < count && attention; i++)
                attention[first + i] = r->x[first + i] - attention[first + i];
            failed |= mlp_block(r, y, b, thread);
        }
    }
    r->failed |= failed;
}

// Results do not depend on it: every row of a product is summed by itself. Large blocks are a little faster, but the
// threads should end together.
int gv_vit_rows(int n, int threads) {
    int best = GV_VIT_TOKENS, least = INT_MAX;
    for (int rows = GV_VIT_TOKENS; rows >= 2 * GV_VIT_COLUMNS; rows /= 2) {
        int blocks = n * (GV_VIT_TOKENS / rows), longest = (blocks + threads - 1) / threads * rows;
        if (longest < least) least = longest, best = rows;
    }
    return best;
}

static gv_status allocate(run *r, gv_error *err) {
    gv_vit *v = r->v;
    size_t D = (size_t)v->width, rows = (size_t)r->n * GV_VIT_TOKENS, B = (size_t)r->rows;
    size_t wide = 4 * D > PIXELS ? 4 * D : PIXELS;
    int threads = gv_nn_threads(v->nn);
    gv_arena_reset(v->arena);
    r->qkv = gv_arena_alloc(v->arena, rows, 3 * D * sizeof(float));
    r->mixed = gv_arena_alloc(v->arena, rows, D * (v->bf16 ? 2 : 4));
    r->workers = gv_arena_alloc(v->arena, (size_t)threads, sizeof *r->workers);
    bool ok = r->qkv && r->mixed && r->workers;
    for (int i = 0; i < threads && ok; i++) {
        worker *w = &r->workers[i];
        w->wide = gv_arena_alloc(v->arena, B, wide * sizeof(float));
        w->narrow = gv_arena_alloc(v->arena, B, D * sizeof(float));
        w->attention =
            gv_arena_alloc(v->arena, gv_vit_attention_scratch(GV_VIT_TOKENS, v->width / v->heads), sizeof(float));
        ok = w->wide && w->narrow && w->attention;
    }
    return ok ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory for %d pictures at once", r->n);
}

static void run_embed(run *r) {
    int failed = 0;
#pragma omp parallel for schedule(static) reduction(| : failed) num_threads(gv_nn_threads(r->v->nn))
    for (int b = 0; b < r->blocks; b++) failed |= embed_block(r, b, omp_get_thread_num());
    r->failed |= failed;
}

// ---- on a device

static void queue_norm(gv_vit *v, const buffers *b, void *y, float *const norm[2], bool bf16) {
    gv_kernel(gv_nn_device(v->nn), layer_norm, .y = y, .x = b->x, .weight = norm[0], .bias = norm[1], .rows = b->rows,
              .width = v->width, .epsilon = 1e-6f, .bf16 = bf16);
}

static void queue_attention(gv_vit *v, const buffers *b) {
    gv_device *d = gv_nn_device(v->nn);
    int D = v->width, n = (int)(b->rows / GV_VIT_TOKENS);
    const float *q = b->wide;
    const uint16_t *narrow = b->wide;
    if (v->tiles)
        gv_kernel(d, tile_attention, .q = narrow, .k = narrow + D, .v = narrow + 2 * D, .out = b->narrow,
                  .sequences = n, .tokens = GV_VIT_TOKENS, .heads = v->heads, .head_dim = D / v->heads, .stride = 3 * D,
                  .out_stride = D);
    else
        gv_kernel(d, attention, .q = q, .k = q + D, .v = q + 2 * D, .out = b->narrow, .sequences = n,
                  .queries = GV_VIT_TOKENS, .keys = GV_VIT_TOKENS, .length = GV_VIT_TOKENS, .heads = v->heads,
                  .head_dim = D / v->heads, .q_stride = 3 * D, .kv_stride = 3 * D, .out_stride = D, .bf16 = v->bf16);
}

void gv_vit_set_head(gv_vit *v, const gv_vit_head *head) {
    v->head = *head;
}

static void queue_patches(gv_vit *v, const buffers *b, const float *crops, const int32_t *index) {
    gv_kernel(gv_nn_device(v->nn), patches, .y = b->wide, .pictures = crops, .index = index,
              .n = (int)(b->rows / GV_VIT_TOKENS), .height = GV_CROP_ROWS, .width = GV_CROP_COLUMNS, .side = PATCH,
              .pad = PAD, .rows = GV_VIT_ROWS, .columns = GV_VIT_COLUMNS);
}

static void queue_embed(gv_vit *v, const buffers *b) {
    gv_kernel(gv_nn_device(v->nn), repeat, .y = b->x, .x = v->position, .rows = b->rows, .period = GV_VIT_TOKENS,
              .width = v->width);
    gv_linear_queue(v->embed, b->wide, b->x, b->rows);
}

static void queue_layer(gv_vit *v, const layer *y, const buffers *b, float *attention) {
    size_t count = (size_t)b->rows * v->width, bytes = count * sizeof(float);
    float *before = attention ? gv_calloc2(count, sizeof *before) : NULL;
    queue_norm(v, b, b->narrow, y->norm1, v->bf16);
    gv_linear_queue(y->qkv, b->narrow, b->wide, b->rows);
    queue_attention(v, b);
    if (before) gv_device_download(gv_nn_device(v->nn), before, b->x, bytes);
    gv_linear_queue(y->proj, b->narrow, b->x, b->rows);
    if (before) gv_device_download(gv_nn_device(v->nn), attention, b->x, bytes);
    for (size_t i = 0; before && i < count; i++) attention[i] -= before[i];
    free(before);
    queue_norm(v, b, b->narrow, y->norm2, v->bf16);
    gv_linear_queue(y->fc1, b->narrow, b->wide, b->rows);
    gv_linear_queue(y->fc2, b->wide, b->x, b->rows);
}

// `wide` is the last: with it all are there.
static void allocate_there(const gv_vit *v, buffers *b, int64_t rows, gv_device_room *room) {
    gv_device *d = gv_nn_device(v->nn);
    size_t D = (size_t)v->width, hidden = 4 * D * (v->bf16 ? 2 : 4), qkv = 3 * D * (v->tiles ? 2 : 4);
    size_t wide = hidden > qkv ? hidden : qkv, pixels = PIXELS * sizeof(float);
    b->rows = rows;
    b->x = room(d, (size_t)rows, D * sizeof *b->x);
    b->narrow = room(d, (size_t)rows, D * (v->bf16 ? 2 : 4));
    for (int i = 0; i < GV_VIT_PIECES; i++)
        if (v->head.bytes[i]) b->head[i] = room(d, (size_t)rows / GV_VIT_TOKENS, v->head.bytes[i]);
    b->wide = room(d, (size_t)rows, wide > pixels ? wide : pixels);
}

// Whether v->kept is for so many rows. Those that came just before keep theirs: nothing is planned any more.
static bool is_kept(gv_vit *v, int64_t rows) {
    const bool again = rows == v->last_rows;
    if (again && rows > v->kept.rows) {
        forget(v);
        allocate_there(v, &v->kept, rows, gv_device_hold);
    }
    v->last_rows = rows;
    return rows == v->kept.rows;
}

// All behind the patches.
static void queue_rest(gv_vit *v, const buffers *b, const gv_vit_trace *trace) {
    gv_device *d = gv_nn_device(v->nn);
    const size_t bytes = (size_t)b->rows * v->width * sizeof *b->x;
    queue_embed(v, b);
    if (trace && trace->embed) gv_device_download(d, trace->embed, b->x, bytes);
    for (int i = 0; i < v->depth; i++) {
        queue_layer(v, &v->layers[i], b, trace && !i ? trace->attention : NULL);
        if (trace && !i && trace->block) gv_device_download(d, trace->block, b->x, bytes);
    }
    queue_norm(v, b, b->x, v->last_norm, false);
    if (v->head.queue) v->head.queue(v->head.user, b->x, (int)(b->rows / GV_VIT_TOKENS), b->head);
}

static void queue_kept(const void *user) {
    gv_vit *const *v = user;
    queue_rest(*v, &(*v)->kept, NULL);
}

// wide NULL: the device knows why.
static buffers queue_pictures(gv_vit *v, const float *crops, const int32_t *index, int n, const gv_vit_trace *trace) {
    gv_device *d = gv_nn_device(v->nn);
    const int64_t rows = (int64_t)n * GV_VIT_TOKENS;
    const bool kept = !trace && is_kept(v, rows);
    buffers b = v->kept;
    int32_t *placed = gv_device_alloc(d, (size_t)n, sizeof *placed);
    gv_device_upload(d, placed, index, (size_t)n * sizeof *placed);
    if (!trace && rows <= b.rows)
        b.rows = rows; // fewer than kept: there is room
    else
        allocate_there(v, &b, rows, gv_device_alloc);
    if (!b.wide) return b;
    queue_patches(v, &b, crops, placed);
    if (kept)
        gv_device_run_again(d, &v->again, 0, queue_kept, &v);
    else
        queue_rest(v, &b, trace);
    return b;
}

float *gv_vit_queue(gv_vit *v, const float *crops, const int32_t *index, int n, const gv_vit_trace *trace) {
    const buffers b = queue_pictures(v, crops, index, n, trace);
    return !b.wide ? NULL : v->head.queue ? b.head[0] : b.x;
}

gv_status gv_vit_finish(gv_vit *v, gv_error *err) {
    gv_status s = gv_device_finish(gv_nn_device(v->nn), err);
    if (s) forget(v);
    return s;
}

static gv_status run_on_device(gv_vit *v, const float *const *pictures, const bool *mirrored, int n, float *tokens,
                               const gv_vit_trace *trace, gv_error *err) {
    enum { CROP = 3 * GV_CROP_ROWS * GV_CROP_COLUMNS };
    gv_device *d = gv_nn_device(v->nn);
    int32_t index[MAX_BATCH];
    float *crops = gv_device_alloc(d, (size_t)n, CROP * sizeof *crops);
    for (int i = 0; i < n; i++) {
        index[i] = mirrored && mirrored[i] ? -1 - i : i;
        if (crops) gv_device_upload(d, crops + (size_t)i * CROP, pictures[i], CROP * sizeof *crops);
    }
    const buffers b = queue_pictures(v, crops, index, n, trace);
    gv_device_download(d, tokens, b.x, (size_t)n * GV_VIT_TOKENS * v->width * sizeof *tokens);
    return gv_vit_finish(v, err);
}

gv_status gv_vit_run(gv_vit *v, const float *const *pictures, const bool *mirrored, int n, float *tokens,
                     const gv_vit_trace *trace, gv_error *err) {
    if (n < 1 || n > MAX_BATCH)
        return gv_fail(err, GV_ERR_ARGUMENT, "%d pictures at once, expected 1 to %d", n, MAX_BATCH);
    if (gv_nn_device(v->nn)) return run_on_device(v, pictures, mirrored, n, tokens, trace, err);
    run r = {.v = v,
             .pictures = pictures,
             .mirrored = mirrored,
             .n = n,
             .rows = gv_vit_rows(n, gv_nn_threads(v->nn)),
             .x = tokens};
    r.blocks = n * GV_VIT_TOKENS / r.rows;
    gv_status s = gv_nn_set_rows(v->nn, r.rows, err);
    if (!s) s = allocate(&r, err);
    if (s) return s;
    int D = v->width;
    size_t bytes = (size_t)n * GV_VIT_TOKENS * D * sizeof *tokens;
    run_embed(&r);
    if (trace && trace->embed) memcpy(trace->embed, r.x, bytes);
    for (int i = 0; i < v->depth; i++) {
        run_layer(&r, &v->layers[i], trace && !i ? trace->attention : NULL);
        if (trace && !i && trace->block) memcpy(trace->block, r.x, bytes);
    }
    if (r.failed) return gv_fail(err, GV_ERR_INTERNAL, "oneDNN failed to run a layer of the vision transformer");
#pragma omp parallel for schedule(static)
    for (int t = 0; t < n * GV_VIT_TOKENS; t++) {
        float *x = tokens + (size_t)t * D;
        gv_layer_norm(x, x, v->last_norm[0], v->last_norm[1], D, 1e-6f);
    }
    return GV_OK;
}
