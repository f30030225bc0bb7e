#include "nn/linear.h"

#include "base/memory.h"
#include "nn/kernels.h"
#include "nn/vec8.h"

#include <dnnl.h>
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef struct slot { // what one thread needs to run a plan
    dnnl_memory_t x, y, scratchpad;
    void *scratch;
} slot;

// What layers of the same kind share: the compiled kernel for the present number of rows.
typedef struct plan {
    struct plan *next;
    gv_linear_spec spec;
    dnnl_primitive_t primitive;
    dnnl_memory_desc_t weight, bias; // the packed layouts; chosen once, kept for other numbers of rows
    slot *slots;                     // [threads]
} plan;

typedef struct pool { // memory of the packed weights, in huge pages where the system has them
    struct pool *next;
    size_t size, used;
    unsigned char *data;
} pool;

struct gv_nn {
    gv_device *device; // NULL: the processor; else nothing below is used
    dnnl_engine_t engine;
    int threads, rows;
    dnnl_stream_t *streams; // [threads]
    plan *plans;
    pool *pools;
};

struct gv_linear {
    const gv_nn *nn;
    const plan *plan;
    dnnl_memory_t weight, bias;
    gv_linear_spec spec;                             // on a device
    void *placed_weight, *placed_bias, *narrow_bias; // [out, in], [out] float32, [out] bfloat16 or NULL
};

static gv_status failed(gv_error *err, const char *what, dnnl_status_t s) {
    return gv_fail(err, s == dnnl_out_of_memory ? GV_ERR_MEMORY : GV_ERR_INTERNAL, "oneDNN: %s failed (status %d)",
                   what, (int)s);
}

// ---- the engine

gv_status gv_nn_create(gv_nn **out, int threads, gv_device *device, gv_error *err) {
    gv_nn *nn = calloc(1, sizeof *nn);
    *out = nn;
    if (!nn) return gv_fail(err, GV_ERR_MEMORY, "out of memory for the neural network engine");
    nn->device = device;
    if (device) return GV_OK;
    nn->rows = GV_NN_ROWS;
    nn->streams = gv_calloc2((size_t)threads, sizeof *nn->streams);
    nn->threads = nn->streams ? threads : 0;
    dnnl_status_t s = nn->streams ? dnnl_engine_create(&nn->engine, dnnl_cpu, 0) : dnnl_out_of_memory;
    for (int i = 0; i < nn->threads && s == dnnl_success; i++)
        s = dnnl_stream_create(&nn->streams[i], nn->engine, dnnl_stream_default_flags);
    if (s == dnnl_success) return GV_OK;
    gv_nn_destroy(nn);
    *out = NULL;
    return failed(err, "creating the engine", s);
}

static void empty_plan(plan *p, int threads) {
    for (int i = 0; p->slots && i < threads; i++) {
        slot *t = &p->slots[i];
        if (t->x) dnnl_memory_destroy(t->x);
        if (t->y) dnnl_memory_destroy(t->y);
        if (t->scratchpad) dnnl_memory_destroy(t->scratchpad);
        free(t->scratch);
        *t = (slot){0};
    }
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    p->primitive = NULL;
}

void gv_nn_destroy(gv_nn *nn) {
    if (!nn) return;
    for (plan *p = nn->plans, *next; p; p = next) {
        next = p->next;
        empty_plan(p, nn->threads);
        free(p->slots);
        free(p);
    }
    for (pool *p = nn->pools, *next; p; p = next) {
        next = p->next;
        free(p->data);
        free(p);
    }
    for (int i = 0; i < nn->threads; i++)
        if (nn->streams[i]) dnnl_stream_destroy(nn->streams[i]);
    free(nn->streams);
    if (nn->engine) dnnl_engine_destroy(nn->engine);
    free(nn);
}

int gv_nn_threads(const gv_nn *nn) {
    return nn->threads;
}

gv_device *gv_nn_device(const gv_nn *nn) {
    return nn->device;
}

int gv_nn_has_bf16(const gv_nn *nn) {
    if (nn && nn->device) return 1;
    // the value is a set of features
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

gv_status gv_nn_check(const gv_nn *nn, gv_precision precision, gv_error *err) {
    if (precision != GV_PRECISION_BF16 || gv_nn_has_bf16(nn)) return GV_OK;
    return gv_fail(err, GV_ERR_ARGUMENT, "this processor does not multiply bfloat16 (no AVX512_BF16): use float32");
}

// 64-byte aligned, for the engine's life. Weights are read front to back for every block of rows; in pages
// of 4 KiB that costs 6 percent of the network's time in address translation.
static void *pool_alloc(gv_nn *nn, size_t bytes) {
    enum { HUGE = 2 << 20, POOL = 16 * HUGE };
    bytes = (bytes + 63) & ~(size_t)63;
    if (!nn->pools || nn->pools->size - nn->pools->used < bytes) {
        pool *p = calloc(1, sizeof *p);
        if (!p) return NULL;
        p->size = bytes > POOL ? (bytes + HUGE - 1) & ~(size_t)(HUGE - 1) : POOL;
        p->data = aligned_alloc(HUGE, p->size);
        if (!p->data) {
            free(p);
            return NULL;
        }
        madvise(p->data, p->size, MADV_HUGEPAGE); // a wish; refusal is no error
        p->next = nn->pools;
        nn->pools = p;
    }
    void *memory = nn->pools->data + nn->pools->used;
    nn->pools->used += bytes;
    return memory;
}

// ---- plans

static dnnl_status_t append_activation(dnnl_post_ops_t ops, gv_linear_activation a) {
    static const dnnl_alg_kind_t kinds[] = {[GV_LINEAR_GELU_ERF] = dnnl_eltwise_gelu_erf,
                                            [GV_LINEAR_GELU_TANH] = dnnl_eltwise_gelu_tanh,
                                            [GV_LINEAR_SILU] = dnnl_eltwise_swish,
                                            [GV_LINEAR_RELU] = dnnl_eltwise_relu};
    float alpha = a == GV_LINEAR_RELU ? 0 : 1; // relu: slope below zero; swish: factor of z in exp
    return a == GV_LINEAR_ONLY ? dnnl_success : dnnl_post_ops_append_eltwise(ops, 1, kinds[a], alpha, 0);
}

// Weights in the layout that p->weight already has, else in the one that oneDNN likes best.
static dnnl_status_t describe(dnnl_primitive_desc_t *pd, const gv_nn *nn, const plan *p) {
    const gv_linear_spec *s = &p->spec;
    dnnl_data_type_t in = s->bf16_in ? dnnl_bf16 : dnnl_f32, out = s->bf16_out ? dnnl_bf16 : dnnl_f32;
    dnnl_memory_desc_t x, w = p->weight, b, y;
    dnnl_matmul_desc_t op;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t r = dnnl_memory_desc_init_by_tag(&x, 2, (dnnl_dims_t){nn->rows, s->in}, in, dnnl_ab);
    if (!r && !w.ndims) r = dnnl_memory_desc_init_by_tag(&w, 2, (dnnl_dims_t){s->in, s->out}, in, dnnl_format_tag_any);
    if (!r) r = dnnl_memory_desc_init_by_tag(&b, 2, (dnnl_dims_t){1, s->out}, dnnl_f32, dnnl_ab);
    if (!r) r = dnnl_memory_desc_init_by_tag(&y, 2, (dnnl_dims_t){nn->rows, s->out}, out, dnnl_ab);
    if (!r) r = dnnl_matmul_desc_init(&op, &x, &w, &b, &y);
    if (!r) r = dnnl_primitive_attr_create(&attr);
    // a scratchpad of our own per thread: oneDNN's belongs to the thread that created the primitive
    if (!r) r = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (!r) r = dnnl_post_ops_create(&ops);
    if (!r && s->accumulate) r = dnnl_post_ops_append_sum(ops, 1);
    if (!r) r = append_activation(ops, s->activation);
    if (!r) r = dnnl_primitive_attr_set_post_ops(attr, ops);
    if (!r) r = dnnl_primitive_desc_create(pd, &op, attr, nn->engine, NULL);
    if (ops) dnnl_post_ops_destroy(ops);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return r;
}

static dnnl_status_t fill_slots(plan *p, const gv_nn *nn, dnnl_primitive_desc_t pd) {
    const dnnl_memory_desc_t *x = dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0);
    const dnnl_memory_desc_t *y = dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0);
    const dnnl_memory_desc_t *scratch = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    dnnl_status_t r = dnnl_success;
    for (int i = 0; i < nn->threads && !r; i++) {
        slot *t = &p->slots[i];
        t->scratch = gv_calloc2(dnnl_memory_desc_get_size(scratch), 1);
        if (!t->scratch) return dnnl_out_of_memory;
        r = dnnl_memory_create(&t->x, x, nn->engine, DNNL_MEMORY_NONE);
        if (!r) r = dnnl_memory_create(&t->y, y, nn->engine, DNNL_MEMORY_NONE);
        if (!r) r = dnnl_memory_create(&t->scratchpad, scratch, nn->engine, t->scratch);
    }
    return r;
}

// Compiles the kernel. oneDNN plans for the number of threads it sees; a layer runs on one.
static dnnl_status_t compile(plan *p, const gv_nn *nn) {
    dnnl_primitive_desc_t pd = NULL;
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    dnnl_status_t r = describe(&pd, nn, p);
    if (!r) r = dnnl_primitive_create(&p->primitive, pd);
    omp_set_num_threads(threads);
    if (!r) p->weight = *dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    if (!r) p->bias = *dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 1);
    if (!r) r = fill_slots(p, nn, pd);
    if (pd) dnnl_primitive_desc_destroy(pd);
    return r;
}

gv_status gv_nn_set_rows(gv_nn *nn, int rows, gv_error *err) {
    if (rows == nn->rows) return GV_OK;
    nn->rows = rows;
    for (plan *p = nn->plans; p; p = p->next) {
        empty_plan(p, nn->threads);
        dnnl_status_t r = compile(p, nn);
        if (!r) continue;
        nn->rows = 0; // plan again next time
        return failed(err, "planning a linear layer", r);
    }
    return GV_OK;
}

static dnnl_status_t find_plan(const plan **out, gv_nn *nn, const gv_linear_spec *spec) {
    for (*out = nn->plans; *out; *out = (*out)->next)
        if (!memcmp(&(*out)->spec, spec, sizeof *spec)) return dnnl_success;
    plan *p = calloc(1, sizeof *p);
    if (!p) return dnnl_out_of_memory;
    p->spec = *spec;
    p->slots = gv_calloc2((size_t)nn->threads, sizeof *p->slots);
    p->next = nn->plans;
    nn->plans = p;
    *out = p;
    return p->slots ? compile(p, nn) : dnnl_out_of_memory;
}

// ---- layers

static dnnl_status_t pack_weight(gv_linear *l, gv_nn *nn, const float *weight) {
    const gv_linear_spec *s = &l->plan->spec;
    dnnl_memory_desc_t given;
    dnnl_memory_t source = NULL;
    dnnl_primitive_desc_t rpd = NULL;
    dnnl_primitive_t reorder = NULL;
    void *data = pool_alloc(nn, dnnl_memory_desc_get_size(&l->plan->weight));
    if (!data) return dnnl_out_of_memory;
    // [out, in] row-major is the transposed [in, out]
    dnnl_status_t r = dnnl_memory_desc_init_by_tag(&given, 2, (dnnl_dims_t){s->in, s->out}, dnnl_f32, dnnl_ba);
    if (!r) r = dnnl_memory_create(&source, &given, nn->engine, (void *)(uintptr_t)weight);
    if (!r) r = dnnl_memory_create(&l->weight, &l->plan->weight, nn->engine, data);
    if (!r) r = dnnl_reorder_primitive_desc_create(&rpd, &given, nn->engine, &l->plan->weight, nn->engine, NULL);
    if (!r) r = dnnl_primitive_create(&reorder, rpd);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, l->weight}};
    if (!r) r = dnnl_primitive_execute(reorder, nn->streams[0], 2, args);
    if (!r) r = dnnl_stream_wait(nn->streams[0]);
    if (reorder) dnnl_primitive_destroy(reorder);
    if (rpd) dnnl_primitive_desc_destroy(rpd);
    if (source) dnnl_memory_destroy(source);
    return r;
}

static dnnl_status_t copy_bias(gv_linear *l, gv_nn *nn, const float *bias) {
    size_t bytes = (size_t)l->plan->spec.out * sizeof(float);
    void *data = pool_alloc(nn, bytes);
    if (!data) return dnnl_out_of_memory;
    if (bias)
        memcpy(data, bias, bytes);
    else
        memset(data, 0, bytes);
    return dnnl_memory_create(&l->bias, &l->plan->bias, nn->engine, data);
}

static gv_status place_linear(gv_linear *l, const gv_linear_spec *spec, const float *weight, const float *bias,
                              gv_error *err);

gv_status gv_linear_create(gv_linear **out, gv_nn *nn, const gv_linear_spec *spec, const float *weight,
                           const float *bias, gv_error *err) {
    gv_linear *l = calloc(1, sizeof *l);
    *out = l;
    if (!l) return gv_fail(err, GV_ERR_MEMORY, "out of memory for a linear layer");
    l->nn = nn;
    if (nn->device) return place_linear(l, spec, weight, bias, err);
    dnnl_status_t r = find_plan(&l->plan, nn, spec);
    if (!r) r = pack_weight(l, nn, weight);
    if (!r) r = copy_bias(l, nn, bias);
    if (!r) return GV_OK;
    gv_linear_destroy(l);
    *out = NULL;
    return failed(err, "creating a linear layer", r);
}

void gv_linear_destroy(gv_linear *l) {
    if (!l) return;
    if (l->weight) dnnl_memory_destroy(l->weight);
    if (l->bias) dnnl_memory_destroy(l->bias);
    if (l->nn->device) {
        gv_device_drop(l->nn->device, l->placed_weight);
        gv_device_drop(l->nn->device, l->placed_bias);
        gv_device_drop(l->nn->device, l->narrow_bias);
    }
    free(l);
}

gv_status gv_linear_run(const gv_linear *l, int thread, const void *x, void *y) {
    const slot *t = &l->plan->slots[thread];
    dnnl_memory_set_data_handle(t->x, (void *)(uintptr_t)x);
    dnnl_memory_set_data_handle(t->y, y);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, t->x},
                                    {DNNL_ARG_WEIGHTS, l->weight},
                                    {DNNL_ARG_BIAS, l->bias},
                                    {DNNL_ARG_DST, t->y},
                                    {DNNL_ARG_SCRATCHPAD, t->scratchpad}};
    return dnnl_primitive_execute(l->plan->primitive, l->nn->streams[thread], 5, args) ? GV_ERR_INTERNAL : GV_OK;
}

// ---- on a device

// What the product does at once. The device's own GELU is the tanh form; the others are a kernel behind it.
static gv_device_epilogue epilogue_of(gv_linear_activation a) {
    return a == GV_LINEAR_ONLY        ? GV_EPILOGUE_BIAS
           : a == GV_LINEAR_RELU      ? GV_EPILOGUE_BIAS_RELU
           : a == GV_LINEAR_GELU_TANH ? GV_EPILOGUE_BIAS_GELU
                                      : GV_EPILOGUE_NONE;
}

// A copy on the device, in bfloat16 if wished.
static void *place(gv_device *d, const float *values, size_t count, bool bf16) {
    if (!bf16) return gv_device_keep(d, values, count, sizeof *values);
    size_t whole = count / 8 * 8;
    uint16_t *narrow = gv_calloc2(count + 8, sizeof *narrow);
    if (!narrow) {
        gv_device_fail(d, GV_ERR_MEMORY, "out of memory for a linear layer");
        return NULL;
    }
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < whole; i += 8) v8_store_bf16(narrow + i, v8_load(values + i));
    float rest[8] = {0};
    memcpy(rest, values + whole, (count - whole) * sizeof *rest);
    v8_store_bf16(narrow + whole, v8_load(rest));
    void *placed = gv_device_keep(d, narrow, count, sizeof *narrow);
    free(narrow);
    return placed;
}

// The device keeps what goes wrong until its network is whole and asks with gv_device_finish.
static gv_status place_linear(gv_linear *l, const gv_linear_spec *spec, const float *weight, const float *bias,
                              gv_error *err) {
    gv_device *d = l->nn->device;
    size_t out = (size_t)spec->out;
    float *zero = bias ? NULL : gv_calloc2(out, sizeof *zero);
    if (!bias && !zero) gv_device_fail(d, GV_ERR_MEMORY, "out of memory for a linear layer");
    (void)err;
    l->spec = *spec;
    l->placed_weight = place(d, weight, out * (size_t)spec->in, spec->bf16_in);
    if (bias || zero) l->placed_bias = place(d, bias ? bias : zero, out, false);
    if ((bias || zero) && spec->bf16_out) l->narrow_bias = place(d, bias ? bias : zero, out, true);
    free(zero);
    return GV_OK;
}

void gv_linear_queue(const gv_linear *l, const void *x, void *y, int64_t rows) {
    const gv_linear_spec *s = &l->spec;
    gv_device *d = l->nn->device;
    gv_device_epilogue epilogue = epilogue_of(s->activation);
    const gv_device_matmul m = {.rows = rows,
                                .in = s->in,
                                .out = s->out,
                                .bf16_in = s->bf16_in,
                                .bf16_out = s->bf16_out,
                                .accumulate = s->accumulate,
                                .epilogue = epilogue,
                                .x = x,
                                .weight = l->placed_weight,
                                .bias = s->bf16_out ? l->narrow_bias : l->placed_bias,
                                .y = y};
    gv_device_matmul_queue(d, &m);
    if (epilogue == GV_EPILOGUE_NONE)
        gv_kernel(d, activate, .y = y, .bias = l->placed_bias, .rows = rows, .width = s->out, .bf16 = s->bf16_out,
                  .activation = s->activation == GV_LINEAR_SILU ? GV_ACTIVATE_SILU : GV_ACTIVATE_GELU_ERF);
}

const void *gv_linear_weight(const gv_linear *l) {
    return l->placed_weight;
}

const float *gv_linear_bias(const gv_linear *l) {
    return l->placed_bias;
}

float *gv_nn_place(gv_nn *nn, float *values, size_t count) {
    if (!nn->device || !values) return values;
    float *placed = gv_device_keep(nn->device, values, count, sizeof *values);
    free(values);
    return placed;
}

void gv_nn_drop(gv_nn *nn, float *placed) {
    if (nn && nn->device)
        gv_device_drop(nn->device, placed);
    else
        free(placed);
}
