#include "nn/linear.h"

#include "base/memory.h"

#include <dnnl.h>
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct gv_nn {
    dnnl_engine_t engine;
    int threads;
    dnnl_stream_t *streams; // [threads]
};

typedef struct slot { // what one thread needs to run a layer
    dnnl_memory_t x, y, scratchpad;
    void *scratch;
} slot;

struct gv_linear {
    gv_nn *nn;
    dnnl_primitive_t primitive;
    dnnl_memory_t weight, bias;
    void *weight_data, *bias_data;
    slot *slots; // [threads]
};

static gv_status failed(gv_error *err, const char *what, dnnl_status_t s) {
    return gv_fail(err, s == dnnl_out_of_memory ? GV_ERR_MEMORY : GV_ERR_INTERNAL, "oneDNN: %s failed (status %d)", what,
                   (int)s);
}

gv_status gv_nn_create(gv_nn **out, int threads, gv_error *err) {
    gv_nn *nn = calloc(1, sizeof *nn);
    *out = nn;
    if (!nn) return gv_fail(err, GV_ERR_MEMORY, "out of memory for the neural network engine");
    dnnl_status_t s = dnnl_engine_create(&nn->engine, dnnl_cpu, 0);
    nn->streams = gv_calloc2((size_t)threads, sizeof *nn->streams);
    nn->threads = nn->streams ? threads : 0;
    for (int i = 0; i < nn->threads && s == dnnl_success; i++)
        s = dnnl_stream_create(&nn->streams[i], nn->engine, dnnl_stream_default_flags);
    if (s == dnnl_success && nn->threads) return GV_OK;
    gv_nn_destroy(nn);
    *out = NULL;
    return failed(err, "creating the engine", nn->threads ? s : dnnl_out_of_memory);
}

void gv_nn_destroy(gv_nn *nn) {
    if (!nn) return;
    for (int i = 0; i < nn->threads; i++)
        if (nn->streams[i]) dnnl_stream_destroy(nn->streams[i]);
    free(nn->streams);
    if (nn->engine) dnnl_engine_destroy(nn->engine);
    free(nn);
}

int gv_nn_threads(const gv_nn *nn) {
    return nn->threads;
}

int gv_nn_has_bf16(const gv_nn *nn) {
    (void)nn;
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16; // sets of features
}

static dnnl_status_t append_activation(dnnl_post_ops_t ops, gv_activation a) {
    static const dnnl_alg_kind_t kinds[] = {[GV_GELU_ERF] = dnnl_eltwise_gelu_erf,
                                            [GV_GELU_TANH] = dnnl_eltwise_gelu_tanh,
                                            [GV_SILU] = dnnl_eltwise_swish};
    return a == GV_LINEAR_ONLY ? dnnl_success : dnnl_post_ops_append_eltwise(ops, 1, kinds[a], 1, 0);
}

static dnnl_status_t describe(dnnl_primitive_desc_t *pd, const gv_nn *nn, const gv_linear_spec *s) {
    dnnl_data_type_t in = s->bf16_in ? dnnl_bf16 : dnnl_f32, out = s->bf16_out ? dnnl_bf16 : dnnl_f32;
    dnnl_memory_desc_t x, w, b, y;
    dnnl_matmul_desc_t op;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t r = dnnl_memory_desc_init_by_tag(&x, 2, (dnnl_dims_t){s->rows, s->in}, in, dnnl_ab);
    if (!r) r = dnnl_memory_desc_init_by_tag(&w, 2, (dnnl_dims_t){s->in, s->out}, in, dnnl_format_tag_any);
    if (!r) r = dnnl_memory_desc_init_by_tag(&b, 2, (dnnl_dims_t){1, s->out}, dnnl_f32, dnnl_ab);
    if (!r) r = dnnl_memory_desc_init_by_tag(&y, 2, (dnnl_dims_t){s->rows, s->out}, out, dnnl_ab);
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

// oneDNN plans for the number of threads it sees on creation; a layer is planned for one.
static dnnl_status_t plan(dnnl_primitive_desc_t *pd, dnnl_primitive_t *primitive, const gv_nn *nn,
                          const gv_linear_spec *s) {
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    dnnl_status_t r = describe(pd, nn, s);
    if (!r) r = dnnl_primitive_create(primitive, *pd);
    omp_set_num_threads(threads);
    return r;
}

static dnnl_status_t pack_weight(gv_linear *l, dnnl_primitive_desc_t pd, const gv_linear_spec *s, const float *weight) {
    const dnnl_memory_desc_t *packed = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    dnnl_memory_desc_t given;
    dnnl_memory_t source = NULL;
    dnnl_primitive_desc_t rpd = NULL;
    dnnl_primitive_t reorder = NULL;
    l->weight_data = gv_calloc2(dnnl_memory_desc_get_size(packed), 1);
    if (!l->weight_data) return dnnl_out_of_memory;
    // [out, in] row-major is the transposed [in, out]
    dnnl_status_t r = dnnl_memory_desc_init_by_tag(&given, 2, (dnnl_dims_t){s->in, s->out}, dnnl_f32, dnnl_ba);
    if (!r) r = dnnl_memory_create(&source, &given, l->nn->engine, (void *)(uintptr_t)weight);
    if (!r) r = dnnl_memory_create(&l->weight, packed, l->nn->engine, l->weight_data);
    if (!r) r = dnnl_reorder_primitive_desc_create(&rpd, &given, l->nn->engine, packed, l->nn->engine, NULL);
    if (!r) r = dnnl_primitive_create(&reorder, rpd);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, l->weight}};
    if (!r) r = dnnl_primitive_execute(reorder, l->nn->streams[0], 2, args);
    if (!r) r = dnnl_stream_wait(l->nn->streams[0]);
    if (reorder) dnnl_primitive_destroy(reorder);
    if (rpd) dnnl_primitive_desc_destroy(rpd);
    if (source) dnnl_memory_destroy(source);
    return r;
}

static dnnl_status_t fill_slots(gv_linear *l, dnnl_primitive_desc_t pd) {
    const dnnl_memory_desc_t *x = dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0);
    const dnnl_memory_desc_t *y = dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0);
    const dnnl_memory_desc_t *scratch = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    l->slots = gv_calloc2((size_t)l->nn->threads, sizeof *l->slots);
    if (!l->slots) return dnnl_out_of_memory;
    dnnl_status_t r = dnnl_success;
    for (int i = 0; i < l->nn->threads && !r; i++) {
        slot *t = &l->slots[i];
        t->scratch = gv_calloc2(dnnl_memory_desc_get_size(scratch), 1);
        if (!t->scratch) return dnnl_out_of_memory;
        r = dnnl_memory_create(&t->x, x, l->nn->engine, DNNL_MEMORY_NONE);
        if (!r) r = dnnl_memory_create(&t->y, y, l->nn->engine, DNNL_MEMORY_NONE);
        if (!r) r = dnnl_memory_create(&t->scratchpad, scratch, l->nn->engine, t->scratch);
    }
    return r;
}

gv_status gv_linear_create(gv_linear **out, gv_nn *nn, const gv_linear_spec *spec, const float *weight,
                           const float *bias, gv_error *err) {
    gv_linear *l = calloc(1, sizeof *l);
    *out = l;
    if (!l) return gv_fail(err, GV_ERR_MEMORY, "out of memory for a linear layer");
    l->nn = nn;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t r = plan(&pd, &l->primitive, nn, spec);
    if (!r) r = pack_weight(l, pd, spec, weight);
    if (!r) {
        l->bias_data = gv_calloc2((size_t)spec->out, sizeof(float));
        if (l->bias_data && bias) memcpy(l->bias_data, bias, (size_t)spec->out * sizeof(float));
        r = l->bias_data ? dnnl_memory_create(&l->bias, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 1),
                                              nn->engine, l->bias_data)
                         : dnnl_out_of_memory;
    }
    if (!r) r = fill_slots(l, pd);
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (!r) return GV_OK;
    gv_linear_destroy(l);
    *out = NULL;
    return failed(err, "creating a linear layer", r);
}

void gv_linear_destroy(gv_linear *l) {
    if (!l) return;
    for (int i = 0; l->slots && i < l->nn->threads; i++) {
        slot *t = &l->slots[i];
        if (t->x) dnnl_memory_destroy(t->x);
        if (t->y) dnnl_memory_destroy(t->y);
        if (t->scratchpad) dnnl_memory_destroy(t->scratchpad);
        free(t->scratch);
    }
    free(l->slots);
    if (l->weight) dnnl_memory_destroy(l->weight);
    if (l->bias) dnnl_memory_destroy(l->bias);
    free(l->weight_data);
    free(l->bias_data);
    if (l->primitive) dnnl_primitive_destroy(l->primitive);
    free(l);
}

gv_status gv_linear_run(const gv_linear *l, int thread, const void *x, void *y) {
    const slot *t = &l->slots[thread];
    dnnl_memory_set_data_handle(t->x, (void *)(uintptr_t)x);
    dnnl_memory_set_data_handle(t->y, y);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, t->x},
                                    {DNNL_ARG_WEIGHTS, l->weight},
                                    {DNNL_ARG_BIAS, l->bias},
                                    {DNNL_ARG_DST, t->y},
                                    {DNNL_ARG_SCRATCHPAD, t->scratchpad}};
    return dnnl_primitive_execute(l->primitive, l->nn->streams[thread], 5, args) ? GV_ERR_INTERNAL : GV_OK;
}
