// Letters: D width, B rows of a block of tokens, T = 192 tokens of a picture.
//
// Tokens of all pictures are rows of one matrix, worked off in blocks of B rows. Each layer is three passes:
//   1  qkv = W_qkv norm1(x)                                   blocks
//   2  a = attention(q, k, v)                                 heads of pictures
//   3  x += W_proj a;  x += W_fc2 gelu(W_fc1 norm2(x))        blocks
// Threads take different blocks; only attention looks at other tokens.
#include "perception/vit.h"

#include "base/memory.h"
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

struct gv_vit {
    gv_nn *nn;
    int width, depth, heads;
    bool bf16;
    gv_linear *embed;
    float *position;     // [T, D], slot 0 added in
    layer *layers;       // [depth]
    float *last_norm[2]; // [D]
    gv_arena *arena;
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

static void take_norm(float *norm[2], gv_checkpoint *c, int D, const char *name, int index) {
    char full[96];
    for (int k = 0; k < 2; k++) {
        snprintf(full, sizeof full, "backbone.blocks.%d.%s.%s", index, name, k ? "bias" : "weight");
        norm[k] = gv_checkpoint_copy(c, (int64_t[]){D}, 1, "%s", full);
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
    take_norm(y->norm1, c, D, "norm1", i);
    take_norm(y->norm2, c, D, "norm2", i);
    y->qkv = take_linear(v, c, (gv_linear_spec){.in = D, .out = 3 * D}, "attn.qkv", i);
    y->proj = take_linear(v, c, (gv_linear_spec){.in = D, .out = D, .accumulate = 1}, "attn.proj", i);
    y->fc1 = take_linear(v, c,
                         (gv_linear_spec){.in = D, .out = 4 * D, .activation = GV_LINEAR_GELU_ERF, .bf16_out = v->bf16},
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

gv_status gv_vit_create(gv_vit **out, gv_nn *nn, gv_checkpoint *c, gv_precision precision, gv_error *err) {
    gv_vit *v = calloc(1, sizeof *v);
    *out = v;
    if (!v) return gv_fail(err, GV_ERR_MEMORY, "no memory for the network");
    v->nn = nn;
    v->bf16 = precision == GV_PRECISION_BF16;
    read_sizes(v, c);
    v->arena = gv_arena_create(0);
    v->layers = gv_calloc2((size_t)v->depth, sizeof *v->layers);
    if (!v->arena || !v->layers) gv_checkpoint_fail(c, GV_ERR_MEMORY, "no memory for the network");
    int D = v->width;
    take_position(v, c);
    const float *w = gv_checkpoint_take(c, (int64_t[]){D, 3, PATCH, PATCH}, 4, "backbone.patch_embed.proj.weight");
    const float *b = gv_checkpoint_take(c, (int64_t[]){D}, 1, "backbone.patch_embed.proj.bias");
    v->embed = make_linear(v, c, (gv_linear_spec){.in = PIXELS, .out = D, .accumulate = 1}, w, b);
    v->last_norm[0] = gv_checkpoint_copy(c, (int64_t[]){D}, 1, "backbone.last_norm.weight");
    v->last_norm[1] = gv_checkpoint_copy(c, (int64_t[]){D}, 1, "backbone.last_norm.bias");
    for (int i = 0; i < v->depth && gv_checkpoint_status(c) == GV_OK; i++) take_layer(v, c, i);
    gv_status s = gv_checkpoint_status(c);
    if (s == GV_OK) return GV_OK;
    gv_vit_destroy(v);
    *out = NULL;
    return s;
}

void gv_vit_destroy(gv_vit *v) {
    if (!v) return;
    for (int i = 0; v->layers && i < v->depth; i++) {
        layer *y = &v->layers[i];
        for (int k = 0; k < 2; k++) free(y->norm1[k]), free(y->norm2[k]);
        gv_linear_destroy(y->qkv);
        gv_linear_destroy(y->proj);
        gv_linear_destroy(y->fc1);
        gv_linear_destroy(y->fc2);
    }
    free(v->layers);
    free(v->position);
    free(v->last_norm[0]);
    free(v->last_norm[1]);
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

gv_status gv_vit_run(gv_vit *v, const float *const *pictures, const bool *mirrored, int n, float *tokens,
                     const gv_vit_trace *trace, gv_error *err) {
    if (n < 1 || n > MAX_BATCH)
        return gv_fail(err, GV_ERR_ARGUMENT, "%d pictures at once, expected 1 to %d", n, MAX_BATCH);
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
