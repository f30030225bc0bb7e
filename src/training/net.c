// net.c - SPEC.md 5 forwards and backwards. B sequences, L frames, T = B L, D width, H heads, d = D / H.
#include "training/net.h"
#include "base/memory.h"
#include "network/statistics.h"
#include "nn/kernels.h"
#include "training/random.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOINTS = 17, JE = 32, EMBED = JOINTS * JE, IMAGE = 1024, CAM = 3, STATIC = 6, BETAS_AT = 126, BETAS = 10 };
enum { JOINTS_ALL = EMBED + 3 * JE }; // numbers of the joints' embedding

typedef struct linear {
    gv_real *W, *b, *dW, *db;
} linear;

struct gv_net_block {
    gv_real *gate_msa, *gate_mlp, *d_gate_msa, *d_gate_mlp;
    int64_t begin, end; // of its parameters, which lie together
    linear norm1, query, key, value, proj, norm2, fc1, fc2;
    // saved: the residual stream before each half, normalised inputs, rotated q and k, probabilities, ...
    gv_real *x, *n1, *s1, *q, *k, *v, *P, *Pd, *att, *o, *x2, *n2, *s2, *f1, *g, *f2;
};

typedef struct head {
    linear fc1, fc2;
    gv_real *pre, *act; // [T, D]
    int out;
} head;

// On a device the passes of training are work that comes again: one piece forwards, and backwards the heads, each block
// and the tokens, so that gradients can be sent in between. What lies elsewhere than in the first pass is queued as
// ever.
typedef struct pieces {
    gv_device_again forward, heads, tokens, *block; // [layers]
    gv_net_input input;                             // of the first pass, and its gradients
    gv_real *given[3];
} pieces;

struct gv_net_state {
    gv_real *pos, *dpos;
    linear pos_linear, obs1, obs2, cliff0, cliff3, ang0, ang3, img_norm, img;
    gv_net_block *block;
    head heads[3]; // pred_x, pred_cam, static
    gv_net_input held;
    int *length;
    gv_real *embed, *a1, *a1g, *c1, *c1g, *v1, *v1g, *imgn, *imgs, *x; // x: after the last block
    gv_real *places;                                                   // [L, D], NULL with rotary embedding
    gv_real *cosines, *sines, *t1, *t2, *t3, *dx, *scratch, *cam_raw;
    gv_net_input there; // on a device: inputs that were not there, brought
    const int *placed;  // [B] lengths, where the engine reads them
    int training;
    uint64_t *seeds; // [places] one for each place where a pass drops, the engine's memory
    pieces again;
    gv_engine *engine;
    void *memory[1024];
    int allocations;
    int failed;
};

static void *room_of(struct gv_net_state *s, int64_t n, size_t size) {
    enum { MOST = sizeof s->memory / sizeof *s->memory };
    void *p = s->allocations < MOST ? gv_engine_alloc(s->engine, n, size) : NULL;
    if (p)
        s->memory[s->allocations++] = p;
    else
        s->failed = 1;
    return p;
}

static gv_real *room(struct gv_net_state *s, int64_t n) {
    return room_of(s, n, sizeof(gv_real));
}

static gv_real *tensor(gv_net *n, const char *name) {
    for (int i = 0; i < n->tensors; i++)
        if (!strcmp(n->table[i].name, name)) return n->params + n->offset[i];
    return NULL;
}

enum { DROP_OBS1 = 1, DROP_OBS2, DROP_CLIFF, DROP_ANG, DROP_BLOCK = 16 };

static int places(const gv_net *n) {
    return DROP_BLOCK + 4 * n->config.layers;
}

static linear bind(gv_net *n, const char *name) {
    char text[128];
    linear l;
    snprintf(text, sizeof text, "%s.weight", name);
    l.W = tensor(n, text);
    snprintf(text, sizeof text, "%s.bias", name);
    l.b = tensor(n, text);
    l.dW = n->grads + (l.W - n->params);
    l.db = n->grads + (l.b - n->params);
    return l;
}

static linear bind_in(gv_net *n, int block, const char *name) {
    char text[64];
    snprintf(text, sizeof text, "blocks.%d.%s", block, name);
    return bind(n, text);
}

static void create_block(gv_net *n, gv_net_block *b, int i) {
    struct gv_net_state *s = n->state;
    int64_t T = (int64_t)n->B * n->L, D = n->config.width, PP = T * n->config.heads * n->L;
    char text[128];
    int length = snprintf(text, sizeof text, "blocks.%d.", i);
    b->begin = n->parameters;
    for (int k = 0; k < n->tensors; k++) {
        if (strncmp(n->table[k].name, text, (size_t)length)) continue;
        if (n->offset[k] < b->begin) b->begin = n->offset[k];
        b->end = k + 1 < n->tensors ? n->offset[k + 1] : n->parameters;
    }
    snprintf(text, sizeof text, "blocks.%d.gate_msa", i);
    b->gate_msa = tensor(n, text);
    snprintf(text, sizeof text, "blocks.%d.gate_mlp", i);
    b->gate_mlp = tensor(n, text);
    b->d_gate_msa = n->grads + (b->gate_msa - n->params);
    b->d_gate_mlp = n->grads + (b->gate_mlp - n->params);
    b->norm1 = bind_in(n, i, "norm1");
    b->query = bind_in(n, i, "attn.query");
    b->key = bind_in(n, i, "attn.key");
    b->value = bind_in(n, i, "attn.value");
    b->proj = bind_in(n, i, "attn.proj");
    b->norm2 = bind_in(n, i, "norm2");
    b->fc1 = bind_in(n, i, "mlp.fc1");
    b->fc2 = bind_in(n, i, "mlp.fc2");
    gv_real **td[] = {&b->x, &b->n1, &b->q, &b->k, &b->v, &b->att, &b->o, &b->x2, &b->n2, &b->f2};
    for (size_t j = 0; j < sizeof td / sizeof *td; j++) *td[j] = room(s, T * D);
    b->s1 = room(s, T * 2);
    b->s2 = room(s, T * 2);
    b->P = room(s, PP);
    b->Pd = n->config.dropout > 0 ? room(s, PP) : b->P;
    b->f1 = room(s, T * D * 4);
    b->g = room(s, T * D * 4);
}

// Scratch for operands that are rounded, and for sums on a device.
static void create_engine(gv_net *n, int64_t wide) {
    struct gv_net_state *s = n->state;
    gv_engine *e = &n->engine;
    int64_t T = (int64_t)n->B * n->L, D = n->config.width, squares = (int64_t)n->B * n->config.heads * n->L * n->L;
    if (wide < 4 * D) wide = 4 * D;
    if (e->device) {
        e->sum_room = wide > JOINTS_ALL ? wide : JOINTS_ALL;
        e->sums = room(s, GV_ENGINE_PARTS * e->sum_room);
    }
    if (!n->config.bf16 || !gv_engine_bf16_possible(e->device)) return;
    e->room = (T > 4 * D ? T : 4 * D) * wide;
    if (e->device && e->room < squares) e->room = squares;
    e->a = room_of(s, e->room, sizeof *e->a);
    e->b = room_of(s, e->room, sizeof *e->b);
    if (!e->device) {
        e->little_room = (int64_t)n->L * (n->L > D ? n->L : D);
        e->little = room_of(s, 2 * e->little_room * omp_get_max_threads(), sizeof *e->little);
    }
    e->bf16 = 1;
}

// On a device inputs, and outputs before the program's, have places of their own there.
static void create_ports(gv_net *n) {
    struct gv_net_state *s = n->state;
    int64_t T = (int64_t)n->B * n->L;
    const int64_t in[4] = {T * JOINTS * 3, T * 3, T * 6, n->config.images ? T * IMAGE : 0};
    const int64_t out[3] = {T * GV_PRED_X, T * CAM, T * STATIC};
    gv_real *host[3] = {n->pred_x, n->pred_cam, n->logits};
    s->placed = s->length;
    s->cam_raw = room(s, out[1]);
    for (int i = 0; i < 3; i++) n->out[i] = n->engine.device ? room(s, out[i]) : host[i];
    if (!n->engine.device) return;
    s->there = (gv_net_input){room(s, in[0]),
                              room(s, in[1]),
                              room(s, in[2]),
                              in[3] ? room(s, in[3]) : NULL,
                              room_of(s, n->B, sizeof(int)),
                              true};
}

// Memory of the program's own, whatever the engine.
static gv_real *host_room(struct gv_net_state *s, int64_t n) {
    gv_real *p = gv_calloc2((size_t)n, sizeof *p);
    if (!p) s->failed = 1;
    return p;
}

// Angles of the rotary embedding, or positions.
static void put_tables(gv_net *n) {
    struct gv_net_state *s = n->state;
    int64_t D = n->config.width, half = D / n->config.heads / 2;
    gv_real *table = host_room(s, n->L * D); // 2 half is D at most
    gv_real *cosines = table, *sines = table + n->L * half;
    if (!table) return;
    for (int t = 0; t < n->L; t++)
        for (int64_t i = 0; i < half; i++) { // SPEC.md 5.2: frequencies and angles are rounded to float32
            float w = 1.0f / powf(10000.0f, (float)(2 * i) / (float)(2 * half)), angle = (float)t * w;
            cosines[t * half + i] = (gv_real)cos((double)angle);
            sines[t * half + i] = (gv_real)sin((double)angle);
        }
    gv_engine_put(&n->engine, s->cosines, cosines, n->L * half);
    gv_engine_put(&n->engine, s->sines, sines, n->L * half);
    for (int t = 0; t < n->L && s->places; t++) // as gv_position_add
        for (int i = 0; i < D; i++) {
            double angle = t * pow(10000, -2.0 * (double)(i / 2) / (double)D);
            table[t * D + i] = (gv_real)(i % 2 ? cos(angle) : sin(angle));
        }
    if (s->places) gv_engine_put(&n->engine, s->places, table, n->L * D);
    free(table);
}

static void create_state(gv_net *n) {
    struct gv_net_state *s = n->state;
    int64_t T = (int64_t)n->B * n->L, D = n->config.width;
    s->pos = tensor(n, "learned_pos_params");
    s->dpos = n->grads + (s->pos - n->params);
    s->pos_linear = bind(n, "learned_pos_linear");
    s->obs1 = bind(n, "embed_noisyobs.fc1");
    s->obs2 = bind(n, "embed_noisyobs.fc2");
    s->cliff0 = bind(n, "cliffcam_embedder.0");
    s->cliff3 = bind(n, "cliffcam_embedder.3");
    s->ang0 = bind(n, "cam_angvel_embedder.0");
    s->ang3 = bind(n, "cam_angvel_embedder.3");
    if (n->config.images) {
        s->img_norm = bind(n, "imgseq_embedder.0");
        s->img = bind(n, "imgseq_embedder.1");
        s->imgn = room(s, T * IMAGE);
        s->imgs = room(s, T * 2);
    }
    static const char *const names[3][2] = {{"final_layer.fc1", "final_layer.fc2"},
                                            {"pred_cam_head.fc1", "pred_cam_head.fc2"},
                                            {"static_conf_head.fc1", "static_conf_head.fc2"}};
    for (int i = 0; i < 3; i++)
        s->heads[i] = (head){bind(n, names[i][0]), bind(n, names[i][1]), room(s, T * D), room(s, T * D),
                             i == 0   ? GV_PRED_X
                             : i == 1 ? CAM
                                      : STATIC};
    s->embed = room(s, T * EMBED);
    s->a1 = room(s, T * 2 * D);
    s->a1g = room(s, T * 2 * D);
    gv_real **td[] = {&s->c1, &s->c1g, &s->v1, &s->v1g, &s->x, &s->dx, &s->t3};
    for (size_t j = 0; j < sizeof td / sizeof *td; j++) *td[j] = room(s, T * D);
    int64_t wide = 4 * D > EMBED ? 4 * D : EMBED;
    if (n->config.images && wide < IMAGE) wide = IMAGE;
    s->t1 = room(s, T * wide);
    s->t2 = room(s, T * wide);
    create_engine(n, wide);
    int64_t squares = n->engine.device ? (int64_t)n->B * n->config.heads : omp_get_max_threads();
    s->scratch = room(s, squares * n->L * n->L);
    int h = n->config.width / n->config.heads / 2;
    s->cosines = room(s, (int64_t)n->L * h);
    s->sines = room(s, (int64_t)n->L * h);
    if (n->config.absolute) s->places = room(s, n->L * D);
    n->pred_x = host_room(s, T * GV_PRED_X);
    n->pred_cam = host_room(s, T * CAM);
    n->logits = host_room(s, T * STATIC);
    s->length = calloc((size_t)n->B, sizeof(int));
    s->block = calloc((size_t)n->config.layers, sizeof *s->block);
    s->again.block = calloc((size_t)n->config.layers, sizeof *s->again.block);
    s->seeds = room_of(s, places(n), sizeof *s->seeds);
    if (!s->block || !s->again.block || !s->length) s->failed = 1;
    create_ports(n);
    if (s->failed) return;
    put_tables(n);
    for (int i = 0; i < n->config.layers; i++) create_block(n, &s->block[i], i);
}

gv_net *gv_net_create(const gv_net_config *c, int B, int L) {
    gv_net *n = calloc(1, sizeof *n);
    if (!n) return NULL;
    n->config = *c;
    n->B = B;
    n->L = L;
    n->engine.device = c->device;
    n->tensors = gv_network_weight_table(NULL, 0, c->width, c->layers, c->images);
    n->table = calloc((size_t)n->tensors, sizeof *n->table);
    n->offset = calloc((size_t)n->tensors, sizeof *n->offset);
    n->state = calloc(1, sizeof *n->state);
    if (n->table && n->offset && n->state) {
        n->state->engine = &n->engine;
        gv_network_weight_table(n->table, n->tensors, c->width, c->layers, c->images);
        for (int i = 0; i < n->tensors; i++) {
            int64_t count = 1;
            for (int k = 0; k < n->table[i].ndim; k++) count *= n->table[i].shape[k];
            n->offset[i] = n->parameters;
            n->parameters += count;
        }
        n->params = room(n->state, n->parameters);
        n->grads = room(n->state, n->parameters);
        if (!n->state->failed) create_state(n);
        if (!n->state->failed) return n;
    }
    gv_net_destroy(n);
    return NULL;
}

static void forget(gv_net *n) {
    pieces *a = &n->state->again;
    gv_device *d = n->engine.device;
    if (!a->block) return;
    gv_device_forget_again(d, &a->forward);
    gv_device_forget_again(d, &a->heads);
    gv_device_forget_again(d, &a->tokens);
    for (int i = 0; i < n->config.layers; i++) gv_device_forget_again(d, &a->block[i]);
    free(a->block);
}

void gv_net_destroy(gv_net *n) {
    if (!n) return;
    if (n->state) {
        forget(n);
        for (int i = 0; i < n->state->allocations; i++) gv_engine_free(&n->engine, n->state->memory[i]);
        free(n->state->block);
        free(n->state->length);
    }
    free(n->state);
    free(n->pred_x);
    free(n->pred_cam);
    free(n->logits);
    free(n->table);
    free(n->offset);
    free(n);
}

// Linear weights and biases U(-1/sqrt(in), 1/sqrt(in)), norms (1, 0), learned_pos_params N(0, 1); the second linears
// of the two condition embedders and the image embedder's are zero.
static void initialise(gv_real *params, const gv_net *n, uint64_t seed, gv_real gate) {
    for (int i = 0; i < n->tensors; i++) {
        const gv_weight_spec *w = &n->table[i];
        gv_real *p = params + n->offset[i];
        int64_t count = (i + 1 < n->tensors ? n->offset[i + 1] : n->parameters) - n->offset[i];
        gv_rng r = gv_rng_make(seed, 0x77656967, (uint64_t)i);
        int weight = w->ndim == 2;
        int64_t in = weight ? w->shape[1] : i > 0 && n->table[i - 1].ndim == 2 ? n->table[i - 1].shape[1] : 1;
        int zero = strstr(w->name, "embedder.3") || strstr(w->name, "imgseq_embedder.1");
        int norm = strstr(w->name, "norm") && !strstr(w->name, "noisyobs");
        norm |= strstr(w->name, "imgseq_embedder.0") != NULL;
        double bound = 1 / sqrt((double)in);
        for (int64_t k = 0; k < count; k++) {
            if (strstr(w->name, "gate_"))
                p[k] = gate;
            else if (!strcmp(w->name, "learned_pos_params"))
                p[k] = (gv_real)gv_normal(&r);
            else if (norm)
                p[k] = strstr(w->name, "weight") ? 1 : 0;
            else
                p[k] = zero ? 0 : (gv_real)gv_uniform(&r, -bound, bound);
        }
    }
}

void gv_net_initialise(gv_net *n, uint64_t seed, gv_real gate) {
    gv_device *d = n->engine.device;
    gv_real *params = d ? gv_calloc2((size_t)n->parameters, sizeof *params) : n->params;
    if (params) {
        initialise(params, n, seed, gate);
        gv_engine_put(&n->engine, n->params, params, n->parameters);
    } else
        gv_device_fail(d, GV_ERR_MEMORY, "no memory for the first weights");
    if (d) free(params);
}

static void put_seeds(gv_net *n, uint64_t seed) {
    const size_t count = (size_t)places(n);
    gv_device *d = n->engine.device;
    uint64_t *to = d ? gv_calloc2(count, sizeof *to) : n->state->seeds;
    for (size_t i = 0; to && i < count; i++) to[i] = gv_mix64(seed + 0x9e3779b97f4a7c15ull * i);
    if (!d) return;
    if (to)
        gv_device_upload(d, n->state->seeds, to, count * sizeof *to);
    else
        gv_device_fail(d, GV_ERR_MEMORY, "no memory for the seeds of a pass");
    free(to);
}

static void drop(const gv_net *n, gv_real *x, int place, int64_t count) {
    if (n->state->training) gv_dropout(n->state->engine, x, n->config.dropout, n->state->seeds + place, count);
}

// Adds to the tokens.
static void condition_forward(gv_net *n, gv_real *tokens, const gv_real *x, int in, linear l0, linear l3, gv_real *pre,
                              gv_real *act, int place) {
    struct gv_net_state *s = n->state;
    int T = n->B * n->L, D = n->config.width;
    gv_linear_forward(s->engine, pre, x, l0.W, l0.b, T, in, D);
    gv_act_forward(s->engine, act, pre, GV_ACT_SILU, (int64_t)T * D);
    drop(n, act, place, (int64_t)T * D);
    gv_linear_forward_add(s->engine, tokens, act, l3.W, l3.b, T, D, D);
}

static void tokens_forward(gv_net *n, const gv_net_input *in, gv_real *x) {
    struct gv_net_state *s = n->state;
    int T = n->B * n->L, D = n->config.width;
    int64_t TD = (int64_t)T * D;
    gv_joints_forward(s->engine, s->embed, in->obs, s->pos, s->pos_linear.W, s->pos_linear.b, T, JOINTS, JE);
    gv_linear_forward(s->engine, s->a1, s->embed, s->obs1.W, s->obs1.b, T, EMBED, 2 * D);
    gv_act_forward(s->engine, s->a1g, s->a1, GV_ACT_GELU_ERF, 2 * TD);
    drop(n, s->a1g, DROP_OBS1, 2 * TD);
    gv_linear_forward(s->engine, x, s->a1g, s->obs2.W, s->obs2.b, T, 2 * D, D);
    drop(n, x, DROP_OBS2, TD);
    condition_forward(n, x, in->cliff, 3, s->cliff0, s->cliff3, s->c1, s->c1g, DROP_CLIFF);
    condition_forward(n, x, in->angvel, 6, s->ang0, s->ang3, s->v1, s->v1g, DROP_ANG);
    if (s->places) gv_add(s->engine, x, s->places, TD, (int64_t)n->L * D);
    if (n->config.images) {
        gv_norm_forward(s->engine, s->imgn, s->imgs, in->images, s->img_norm.W, s->img_norm.b, T, IMAGE, (gv_real)1e-5);
        gv_linear_forward_add(s->engine, x, s->imgn, s->img.W, s->img.b, T, IMAGE, D);
    }
}

static void condition_backward(gv_net *n, const gv_real *dy, const gv_real *x, int in, linear l0, linear l3,
                               const gv_real *pre, const gv_real *act, int place) {
    struct gv_net_state *s = n->state;
    int T = n->B * n->L, D = n->config.width;
    gv_linear_backward(s->engine, s->t1, l3.dW, l3.db, dy, act, l3.W, T, D, D);
    drop(n, s->t1, place, (int64_t)T * D);
    gv_act_backward(s->engine, s->t1, s->t1, pre, GV_ACT_SILU, (int64_t)T * D);
    gv_linear_backward(s->engine, NULL, l0.dW, l0.db, s->t1, x, l0.W, T, in, D);
}

static void tokens_backward(gv_net *n, gv_real *dx) {
    struct gv_net_state *s = n->state;
    int T = n->B * n->L, D = n->config.width;
    int64_t TD = (int64_t)T * D;
    condition_backward(n, dx, s->held.cliff, 3, s->cliff0, s->cliff3, s->c1, s->c1g, DROP_CLIFF);
    condition_backward(n, dx, s->held.angvel, 6, s->ang0, s->ang3, s->v1, s->v1g, DROP_ANG);
    if (n->config.images) {
        gv_linear_backward(s->engine, s->t1, s->img.dW, s->img.db, dx, s->imgn, s->img.W, T, IMAGE, D);
        gv_norm_backward(s->engine, NULL, s->img_norm.dW, s->img_norm.db, s->t1, s->held.images, s->imgs, s->img_norm.W,
                         T, IMAGE);
    }
    drop(n, dx, DROP_OBS2, TD);
    gv_linear_backward(s->engine, s->t1, s->obs2.dW, s->obs2.db, dx, s->a1g, s->obs2.W, T, 2 * D, D);
    drop(n, s->t1, DROP_OBS1, 2 * TD);
    gv_act_backward(s->engine, s->t1, s->t1, s->a1, GV_ACT_GELU_ERF, 2 * TD);
    gv_linear_backward(s->engine, s->t2, s->obs1.dW, s->obs1.db, s->t1, s->embed, s->obs1.W, T, EMBED, 2 * D);
    gv_joints_backward(s->engine, s->dpos, s->pos_linear.dW, s->pos_linear.db, s->t2, s->held.obs, T, JOINTS, JE);
}

static void rotate(const gv_net *n, gv_real *x, int sign) {
    const struct gv_net_state *s = n->state;
    int H = n->config.heads;
    if (!s->places) gv_rope(s->engine, x, s->cosines, s->sines, n->B, n->L, H, n->config.width / H, sign);
}

static void block_forward(gv_net *n, int i, gv_real *out) {
    struct gv_net_state *s = n->state;
    gv_net_block *b = &s->block[i];
    int B = n->B, L = n->L, T = B * L, D = n->config.width, H = n->config.heads, d = D / H, place = DROP_BLOCK + 4 * i;
    gv_norm_forward(s->engine, b->n1, b->s1, b->x, b->norm1.W, b->norm1.b, T, D, (gv_real)1e-6);
    gv_linear_forward(s->engine, b->q, b->n1, b->query.W, b->query.b, T, D, D);
    gv_linear_forward(s->engine, b->k, b->n1, b->key.W, b->key.b, T, D, D);
    gv_linear_forward(s->engine, b->v, b->n1, b->value.W, b->value.b, T, D, D);
    rotate(n, b->q, 1);
    rotate(n, b->k, 1);
    gv_real p = s->training ? n->config.dropout : 0;
    gv_attention_forward(s->engine, b->att, b->P, p > 0 ? b->Pd : b->P, b->q, b->k, b->v, s->placed, B, L, H, d, p,
                         s->seeds + place);
    gv_linear_forward(s->engine, b->o, b->att, b->proj.W, b->proj.b, T, D, D);
    gv_gate_forward(s->engine, b->x2, b->x, b->o, b->gate_msa, T, D);
    gv_norm_forward(s->engine, b->n2, b->s2, b->x2, b->norm2.W, b->norm2.b, T, D, (gv_real)1e-6);
    gv_linear_forward(s->engine, b->f1, b->n2, b->fc1.W, b->fc1.b, T, D, 4 * D);
    gv_act_forward(s->engine, b->g, b->f1, GV_ACT_GELU_TANH, (int64_t)T * 4 * D);
    drop(n, b->g, place + 1, (int64_t)T * 4 * D);
    gv_linear_forward(s->engine, b->f2, b->g, b->fc2.W, b->fc2.b, T, 4 * D, D);
    drop(n, b->f2, place + 2, (int64_t)T * D);
    gv_gate_forward(s->engine, out, b->x2, b->f2, b->gate_mlp, T, D);
}

// dx: gradient of the block's output on entry, of its input on return
static void block_backward(gv_net *n, int i, gv_real *dx) {
    struct gv_net_state *s = n->state;
    gv_net_block *b = &s->block[i];
    int B = n->B, L = n->L, T = B * L, D = n->config.width, H = n->config.heads, d = D / H, place = DROP_BLOCK + 4 * i;
    gv_gate_backward(s->engine, s->t3, b->d_gate_mlp, dx, b->f2, b->gate_mlp, T, D);
    drop(n, s->t3, place + 2, (int64_t)T * D);
    gv_linear_backward(s->engine, s->t1, b->fc2.dW, b->fc2.db, s->t3, b->g, b->fc2.W, T, 4 * D, D);
    drop(n, s->t1, place + 1, (int64_t)T * 4 * D);
    gv_act_backward(s->engine, s->t1, s->t1, b->f1, GV_ACT_GELU_TANH, (int64_t)T * 4 * D);
    gv_linear_backward(s->engine, s->t3, b->fc1.dW, b->fc1.db, s->t1, b->n2, b->fc1.W, T, D, 4 * D);
    gv_norm_backward(s->engine, dx, b->norm2.dW, b->norm2.db, s->t3, b->x2, b->s2, b->norm2.W, T, D);

    gv_gate_backward(s->engine, s->t3, b->d_gate_msa, dx, b->o, b->gate_msa, T, D);
    gv_linear_backward(s->engine, s->t1, b->proj.dW, b->proj.db, s->t3, b->att, b->proj.W, T, D, D);
    gv_real p = s->training ? n->config.dropout : 0;
    gv_real *dq = s->t2, *dk = s->t2 + (int64_t)T * D, *dv = s->t2 + (int64_t)2 * T * D;
    gv_attention_backward(s->engine, dq, dk, dv, s->t1, b->P, p > 0 ? b->Pd : b->P, b->q, b->k, b->v, s->scratch, B, L,
                          H, d, p, s->seeds + place);
    rotate(n, dq, -1);
    rotate(n, dk, -1);
    gv_linear_backward(s->engine, s->t3, b->query.dW, b->query.db, dq, b->n1, b->query.W, T, D, D);
    gv_linear_backward_add(s->engine, s->t3, b->key.dW, b->key.db, dk, b->n1, b->key.W, T, D, D);
    gv_linear_backward_add(s->engine, s->t3, b->value.dW, b->value.db, dv, b->n1, b->value.W, T, D, D);
    gv_norm_backward(s->engine, dx, b->norm1.dW, b->norm1.db, s->t3, b->x, b->s1, b->norm1.W, T, D);
}

// The ten shape values of all frames become their mean over the valid ones. Its own transpose up to where
// it sums and writes: `from` all frames in the backward direction.
static void average_shape(const gv_net *n, gv_real *x, int backward) {
    for (int b = 0; b < n->B; b++) {
        gv_real *s = x + (int64_t)b * n->L * GV_PRED_X + BETAS_AT, mean[BETAS] = {0};
        int valid = n->state->length[b], from = backward ? n->L : valid;
        for (int t = 0; t < from; t++)
            for (int c = 0; c < BETAS; c++) mean[c] += s[(int64_t)t * GV_PRED_X + c] / (gv_real)valid;
        for (int t = 0; t < n->L; t++)
            for (int c = 0; c < BETAS; c++) s[(int64_t)t * GV_PRED_X + c] = backward && t >= valid ? 0 : mean[c];
    }
}

// The shape averaged, the camera decoded; or their gradients brought back to the heads' own outputs.
static void end_heads(gv_net *n, gv_real *x, gv_real *cam, int backward) {
    struct gv_net_state *s = n->state;
    const int T = n->B * n->L;
    const gv_real least = (gv_real)0.25;
#ifndef GV_TRAIN_DOUBLE
    if (n->engine.device) {
        gv_heads_end_args a = {.x = x, .cam = cam, .raw = backward ? s->cam_raw : NULL, .length = s->placed};
        a.sequences = n->B, a.frames = n->L, a.least = least;
        memcpy(a.std, gv_pred_cam_std, sizeof a.std);
        memcpy(a.mean, gv_pred_cam_mean, sizeof a.mean);
        gv_device_launch(n->engine.device, GV_KERNEL_heads_end, &a);
        return;
    }
#endif
    average_shape(n, x, backward);
    for (int i = 0; i < T * CAM; i++) {
        int c = i % CAM;
        gv_real v = s->cam_raw[i] * gv_pred_cam_std[c] + gv_pred_cam_mean[c];
        int low = c == 0 && v < least;
        cam[i] = backward ? cam[i] * (low ? 0 : gv_pred_cam_std[c]) : low ? least : v;
    }
}

static void heads_forward(gv_net *n) {
    struct gv_net_state *s = n->state;
    int T = n->B * n->L, D = n->config.width;
    for (int i = 0; i < 3; i++) {
        head *h = &s->heads[i];
        gv_linear_forward(s->engine, h->pre, s->x, h->fc1.W, h->fc1.b, T, D, D);
        gv_act_forward(s->engine, h->act, h->pre, GV_ACT_GELU_ERF, (int64_t)T * D);
        gv_linear_forward(s->engine, n->out[i], h->act, h->fc2.W, h->fc2.b, T, D, h->out);
    }
    gv_engine_copy(s->engine, s->cam_raw, n->out[1], (int64_t)T * CAM);
    end_heads(n, n->out[0], n->out[1], 0);
}

void gv_net_outputs(gv_net *n) {
    gv_real *host[3] = {n->pred_x, n->pred_cam, n->logits};
    for (int i = 0; i < 3; i++)
        gv_engine_get(&n->engine, host[i], n->out[i], (int64_t)n->B * n->L * n->state->heads[i].out);
}

static void heads_backward(gv_net *n, gv_real *const dout[3]) {
    struct gv_net_state *s = n->state;
    int T = n->B * n->L, D = n->config.width;
    end_heads(n, dout[0], dout[1], 1);
    gv_engine_clear(s->engine, s->dx, (int64_t)T * D);
    for (int i = 0; i < 3; i++) {
        head *h = &s->heads[i];
        gv_linear_backward(s->engine, s->t1, h->fc2.dW, h->fc2.db, dout[i], h->act, h->fc2.W, T, D, h->out);
        gv_act_backward(s->engine, s->t1, s->t1, h->pre, GV_ACT_GELU_ERF, (int64_t)T * D);
        gv_linear_backward_add(s->engine, s->dx, h->fc1.dW, h->fc1.db, s->t1, s->x, h->fc1.W, T, D, D);
    }
}

static void place(gv_net *n, const gv_net_input *to, const gv_net_input *in) {
    const size_t T = (size_t)n->B * (size_t)n->L, size = sizeof(gv_real);
    gv_device *d = n->engine.device;
    gv_device_upload(d, (void *)to->obs, in->obs, T * JOINTS * 3 * size);
    gv_device_upload(d, (void *)to->cliff, in->cliff, T * 3 * size);
    gv_device_upload(d, (void *)to->angvel, in->angvel, T * 6 * size);
    if (n->config.images) gv_device_upload(d, (void *)to->images, in->images, T * IMAGE * size);
    gv_device_upload(d, (void *)to->length, in->length, sizeof(int) * (size_t)n->B);
}

// The inputs as the engine has them, kept for the backward pass.
static void hold(gv_net *n, const gv_net_input *in) {
    struct gv_net_state *s = n->state;
    if (!n->engine.device) {
        s->held = *in;
        memcpy(s->length, in->length, sizeof(int) * (size_t)n->B);
        return;
    }
    if (!in->there) place(n, &s->there, in);
    s->held = in->there ? *in : s->there;
    s->placed = s->held.length;
}

// ---- passes

typedef struct piece { // what one is about
    gv_net *net;
    gv_real *const *given; // heads
    int block;
} piece;

static void queue_forward(const void *user) {
    gv_net *n = ((const piece *)user)->net;
    struct gv_net_state *s = n->state;
    int N = n->config.layers;
    tokens_forward(n, &s->held, N ? s->block[0].x : s->x);
    for (int i = 0; i < N; i++) block_forward(n, i, i + 1 < N ? s->block[i + 1].x : s->x);
    heads_forward(n);
}

static void queue_heads(const void *user) {
    const piece *p = user;
    heads_backward(p->net, p->given);
}

static void queue_block(const void *user) {
    const piece *p = user;
    block_backward(p->net, p->block, p->net->state->dx);
}

static void queue_tokens(const void *user) {
    gv_net *n = ((const piece *)user)->net;
    tokens_backward(n, n->state->dx);
}

static void run(gv_device_again *again, gv_device_piece *queue, const piece *p) {
    if (again)
        gv_device_run_again(p->net->engine.device, again, 1, queue, p);
    else
        queue(p);
}

// Whether the pass is one of training on a device, and its inputs lie where those of the first such pass lay.
static bool forward_again(gv_net *n) {
    pieces *a = &n->state->again;
    const gv_net_input *in = &n->state->held;
    if (!n->engine.device || !n->state->training) return false;
    if (!a->input.obs) a->input = *in;
    return a->input.obs == in->obs && a->input.cliff == in->cliff && a->input.angvel == in->angvel &&
           a->input.images == in->images && a->input.length == in->length;
}

static bool backward_again(gv_net *n, gv_real *const given[3]) {
    pieces *a = &n->state->again;
    if (!forward_again(n)) return false;
    if (!a->given[0]) memcpy(a->given, given, sizeof a->given);
    return !memcmp(a->given, given, sizeof a->given);
}

void gv_net_forward(gv_net *n, const gv_net_input *in, int training, uint64_t seed) {
    hold(n, in);
    n->state->training = training;
    if (training) put_seeds(n, seed);
    run(forward_again(n) ? &n->state->again.forward : NULL, queue_forward, &(piece){.net = n});
}

static void tell(const gv_net *n, int64_t first, int64_t *done) {
    if (n->ready && first < *done) n->ready(n->user, first, *done - first);
    *done = first;
}

void gv_net_backward(gv_net *n, gv_real *dpred_x, gv_real *dpred_cam, gv_real *dlogits) {
    gv_real *const given[3] = {dpred_x, dpred_cam, dlogits};
    pieces *a = backward_again(n, given) ? &n->state->again : NULL;
    int64_t done =
        n->parameters; // the table's order is embedders, blocks, heads: gradients become complete from its end
    run(a ? &a->heads : NULL, queue_heads, &(piece){.net = n, .given = given});
    for (int i = n->config.layers - 1; i >= 0; i--) {
        tell(n, n->state->block[i].end, &done); // what lies behind the block: the heads, or the next block
        run(a ? &a->block[i] : NULL, queue_block, &(piece){.net = n, .block = i});
    }
    if (n->config.layers) tell(n, n->state->block[0].begin, &done);
    run(a ? &a->tokens : NULL, queue_tokens, &(piece){.net = n});
    tell(n, 0, &done);
}
