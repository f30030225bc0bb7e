#include "nn/conv.h"

#include "base/memory.h"
#include <assert.h>
#include <dnnl.h>
#include <stdlib.h>

struct gv_conv_engine {
    dnnl_engine_t engine;
    int workers;
    dnnl_stream_t *streams; // [workers]
};

enum { SRC, DST, ADDEND, SCRATCH, PLACES };

struct gv_conv {
    gv_conv_engine *e;
    gv_conv_spec spec; // without weights and bias, which the caller owns
    dnnl_primitive_t primitive;
    dnnl_memory_t weights, bias;
    dnnl_memory_t (*places)[PLACES]; // [workers]
    size_t scratch;
};

int gv_conv_extent(const gv_conv_spec *s, int d) {
    int size = (d ? s->w : s->h) + s->before[d] + s->after[d], window = s->dilation[d] * ((d ? s->kw : s->kh) - 1) + 1;
    return size < window ? 0 : (size - window) / s->stride[d] + 1;
}

gv_conv_engine *gv_conv_engine_create(int workers) {
    gv_conv_engine *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->workers = workers;
    e->streams = gv_calloc2((size_t)workers, sizeof(dnnl_stream_t));
    bool made = e->streams && dnnl_engine_create(&e->engine, dnnl_cpu, 0) == dnnl_success;
    for (int i = 0; i < workers && made; i++)
        made = dnnl_stream_create(&e->streams[i], e->engine, dnnl_stream_default_flags) == dnnl_success;
    if (made) return e;
    gv_conv_engine_destroy(e);
    return NULL;
}

void gv_conv_engine_destroy(gv_conv_engine *e) {
    if (!e) return;
    for (int i = 0; i < e->workers && e->streams; i++)
        if (e->streams[i]) dnnl_stream_destroy(e->streams[i]);
    if (e->engine) dnnl_engine_destroy(e->engine);
    free(e->streams);
    free(e);
}

static int post_ops_before_add(const gv_conv_spec *s) {
    return s->sum + (s->act != GV_ACT_NONE) + s->silu;
}

// Scratch is the caller's; sums and activation are done while the result is in registers.
static dnnl_status_t make_attributes(dnnl_primitive_attr_t *attr, const gv_conv_spec *s,
                                     const dnnl_memory_desc_t *dst) {
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t st = dnnl_primitive_attr_create(attr);
    if (!st) st = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
    if (!st) st = dnnl_post_ops_create(&ops);
    if (!st && s->sum) st = dnnl_post_ops_append_sum(ops, 1.0f);
    if (!st && s->act == GV_ACT_RELU) st = dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_relu, 0, 0);
    if (!st && s->act == GV_ACT_RELU6) st = dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_clip, 0, 6);
    if (!st && s->silu) st = dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_swish, 1, 0);
    if (!st && s->add) st = dnnl_post_ops_append_binary(ops, dnnl_binary_add, dst);
    if (!st) st = dnnl_primitive_attr_set_post_ops(*attr, ops);
    if (ops) dnnl_post_ops_destroy(ops);
    return st;
}

// The weights' extents and their layout in the model: [oc, kh, kw, c], depthwise [kh, kw, c].
static dnnl_status_t weights_desc(dnnl_memory_desc_t *md, const gv_conv_spec *s, bool any) {
    dnnl_dims_t full = {s->oc, s->c, s->kh, s->kw}, group = {s->c, 1, 1, s->kh, s->kw};
    dnnl_format_tag_t tag = any ? dnnl_format_tag_any : s->depthwise ? dnnl_hwigo : dnnl_ohwi;
    dnnl_data_type_t type = any && s->bf16_in ? dnnl_bf16 : dnnl_f32;
    return dnnl_memory_desc_init_by_tag(md, s->depthwise ? 5 : 4, s->depthwise ? group : full, type, tag);
}

static dnnl_status_t image_desc(dnnl_memory_desc_t *md, const gv_conv_spec *s, int c, int h, int w, bool bf16,
                                bool input) {
    dnnl_dims_t dims = {s->n, c, h, w};
    dnnl_format_tag_t tag = !s->blocked ? dnnl_nhwc : input && c < 16 ? dnnl_nchw : dnnl_nChw16c;
    return dnnl_memory_desc_init_by_tag(md, 4, dims, bf16 ? dnnl_bf16 : dnnl_f32, tag);
}

static dnnl_status_t describe(dnnl_primitive_desc_t *pd, gv_conv_engine *e, const gv_conv_spec *s) {
    dnnl_dims_t bias = {s->oc};
    dnnl_dims_t stride = {s->stride[0], s->stride[1]}, dilation = {s->dilation[0] - 1, s->dilation[1] - 1};
    dnnl_dims_t before = {s->before[0], s->before[1]}, after = {s->after[0], s->after[1]};
    dnnl_memory_desc_t src, w, b, dst;
    dnnl_convolution_desc_t desc;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t st = image_desc(&src, s, s->c, s->h, s->w, s->bf16_in, true);
    if (!st) st = image_desc(&dst, s, s->oc, gv_conv_extent(s, 0), gv_conv_extent(s, 1), s->bf16_out, false);
    if (!st) st = dnnl_memory_desc_init_by_tag(&b, 1, bias, dnnl_f32, dnnl_x);
    if (!st) st = weights_desc(&w, s, true);
    if (!st)
        st = dnnl_dilated_convolution_forward_desc_init(&desc, dnnl_forward_inference, dnnl_convolution_direct, &src,
                                                        &w, &b, &dst, stride, dilation, before, after);
    if (!st) st = make_attributes(&attr, s, &dst);
    if (!st) st = dnnl_primitive_desc_create(pd, &desc, attr, e->engine, NULL);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return st;
}

static dnnl_status_t reorder(gv_conv_engine *e, dnnl_memory_t from, dnnl_memory_t to) {
    const dnnl_memory_desc_t *a, *b;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t p = NULL;
    dnnl_status_t st = dnnl_memory_get_memory_desc(from, &a);
    if (!st) st = dnnl_memory_get_memory_desc(to, &b);
    if (!st) st = dnnl_reorder_primitive_desc_create(&pd, a, e->engine, b, e->engine, NULL);
    if (!st) st = dnnl_primitive_create(&p, pd);
    if (!st)
        st = dnnl_primitive_execute(p, e->streams[0], 2, (dnnl_exec_arg_t[]){{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
    if (!st) st = dnnl_stream_wait(e->streams[0]);
    if (p) dnnl_primitive_destroy(p);
    if (pd) dnnl_primitive_desc_destroy(pd);
    return st;
}

// A copy of the model's weights in the layout that the primitive has chosen.
static dnnl_status_t load_weights(gv_conv *c, const gv_conv_spec *s, dnnl_primitive_desc_t pd) {
    dnnl_memory_desc_t plain;
    dnnl_memory_t from = NULL;
    const dnnl_memory_desc_t *chosen = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    dnnl_status_t st = weights_desc(&plain, s, false);
    if (!st) st = dnnl_memory_create(&from, &plain, c->e->engine, (void *)s->weights);
    if (!st) st = dnnl_memory_create(&c->weights, chosen, c->e->engine, DNNL_MEMORY_ALLOCATE);
    if (!st) st = reorder(c->e, from, c->weights);
    if (from) dnnl_memory_destroy(from);
    return st;
}

static dnnl_status_t load_bias(gv_conv *c, const gv_conv_spec *s, dnnl_primitive_desc_t pd) {
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 1);
    void *p = NULL;
    dnnl_status_t st = dnnl_memory_create(&c->bias, md, c->e->engine, DNNL_MEMORY_ALLOCATE);
    if (!st) st = dnnl_memory_get_data_handle(c->bias, &p);
    if (!st)
        for (int i = 0; i < s->oc; i++) ((float *)p)[i] = s->bias ? s->bias[i] : 0;
    return st;
}

// Each worker's handles of input, output, addend and scratch.
static dnnl_status_t make_places(gv_conv *c, dnnl_primitive_desc_t pd) {
    static const dnnl_query_t query[PLACES] = {dnnl_query_src_md, dnnl_query_dst_md, dnnl_query_dst_md,
                                               dnnl_query_scratchpad_md};
    c->places = gv_calloc2((size_t)c->e->workers, sizeof *c->places);
    if (!c->places) return dnnl_out_of_memory;
    dnnl_status_t st = dnnl_success;
    for (int w = 0; w < c->e->workers; w++)
        for (int i = 0; i < PLACES && !st; i++)
            st = dnnl_memory_create(&c->places[w][i], dnnl_primitive_desc_query_md(pd, query[i], 0), c->e->engine,
                                    DNNL_MEMORY_NONE);
    return st;
}

static void drop_places(gv_conv *c) {
    for (int w = 0; w < c->e->workers && c->places; w++)
        for (int i = 0; i < PLACES; i++)
            if (c->places[w][i]) dnnl_memory_destroy(c->places[w][i]);
    free(c->places);
    c->places = NULL;
}

// The primitive and what depends on the extents.
static dnnl_status_t plan(gv_conv *c, dnnl_primitive_desc_t pd) {
    dnnl_status_t st = dnnl_primitive_create(&c->primitive, pd);
    if (!st) st = make_places(c, pd);
    if (!st) c->scratch = dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0));
    return st;
}

static dnnl_status_t build(gv_conv *c, const gv_conv_spec *s) {
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t st = describe(&pd, c->e, s);
    if (!st) st = plan(c, pd);
    if (!st) st = load_weights(c, s, pd);
    if (!st) st = load_bias(c, s, pd);
    if (pd) dnnl_primitive_desc_destroy(pd);
    return st;
}

// The weights in the layout that another size asks for, mostly the one they have.
static dnnl_status_t adapt_weights(gv_conv *c, dnnl_primitive_desc_t pd) {
    const dnnl_memory_desc_t *now, *wanted = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    dnnl_memory_t packed = NULL;
    dnnl_status_t st = dnnl_memory_get_memory_desc(c->weights, &now);
    if (st || dnnl_memory_desc_equal(now, wanted)) return st;
    st = dnnl_memory_create(&packed, wanted, c->e->engine, DNNL_MEMORY_ALLOCATE);
    if (!st) st = reorder(c->e, c->weights, packed);
    if (st) {
        if (packed) dnnl_memory_destroy(packed);
        return st;
    }
    dnnl_memory_destroy(c->weights);
    c->weights = packed;
    return st;
}

static gv_status cannot_make(const gv_conv_spec *s, dnnl_status_t st, gv_error *err) {
    return gv_fail(err, st == dnnl_out_of_memory ? GV_ERR_MEMORY : GV_ERR_INTERNAL,
                   "oneDNN cannot make a %dx%d convolution of %dx%dx%d to %d channels (status %d)", s->kh, s->kw, s->h,
                   s->w, s->c, s->oc, (int)st);
}

gv_status gv_conv_create(gv_conv **out, gv_conv_engine *e, const gv_conv_spec *s, gv_error *err) {
    *out = NULL;
    gv_conv *c = calloc(1, sizeof *c);
    if (!c) return gv_fail(err, GV_ERR_MEMORY, "no memory for a convolution");
    c->e = e;
    c->spec = *s;
    c->spec.weights = c->spec.bias = NULL;
    dnnl_status_t st = build(c, s);
    if (st) {
        gv_conv_destroy(c);
        return cannot_make(s, st, err);
    }
    *out = c;
    return GV_OK;
}

gv_status gv_conv_resize(gv_conv *c, int h, int w, gv_error *err) {
    if (h == c->spec.h && w == c->spec.w) return GV_OK;
    dnnl_primitive_desc_t pd = NULL;
    c->spec.h = h;
    c->spec.w = w;
    drop_places(c);
    dnnl_primitive_destroy(c->primitive);
    c->primitive = NULL;
    dnnl_status_t st = describe(&pd, c->e, &c->spec);
    if (!st) st = adapt_weights(c, pd);
    if (!st) st = plan(c, pd);
    if (pd) dnnl_primitive_desc_destroy(pd);
    return st ? cannot_make(&c->spec, st, err) : GV_OK;
}

void gv_conv_destroy(gv_conv *c) {
    if (!c) return;
    drop_places(c);
    if (c->weights) dnnl_memory_destroy(c->weights);
    if (c->bias) dnnl_memory_destroy(c->bias);
    if (c->primitive) dnnl_primitive_destroy(c->primitive);
    free(c);
}

size_t gv_conv_scratch(const gv_conv *c) {
    return c->scratch;
}

gv_status gv_conv_run_add(gv_conv *c, int worker, const void *in, const void *addend, void *out, void *scratch,
                          gv_error *err) {
    dnnl_memory_t *p = c->places[worker];
    dnnl_stream_t stream = c->e->streams[worker];
    dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, p[SRC]},
        {DNNL_ARG_WEIGHTS, c->weights},
        {DNNL_ARG_BIAS, c->bias},
        {DNNL_ARG_DST, p[DST]},
        {DNNL_ARG_SCRATCHPAD, p[SCRATCH]},
        {DNNL_ARG_ATTR_MULTIPLE_POST_OP(post_ops_before_add(&c->spec)) | DNNL_ARG_SRC_1, p[ADDEND]}};
    int count = (int)(sizeof args / sizeof *args) - (c->spec.add ? 0 : 1);
    assert(c->spec.add == (addend != NULL));
    dnnl_status_t st = dnnl_memory_set_data_handle(p[SRC], (void *)in);
    if (!st) st = dnnl_memory_set_data_handle(p[DST], out);
    if (!st && addend) st = dnnl_memory_set_data_handle(p[ADDEND], (void *)addend);
    if (!st) st = dnnl_memory_set_data_handle(p[SCRATCH], c->scratch ? scratch : NULL);
    if (!st) st = dnnl_primitive_execute(c->primitive, stream, count, args);
    if (!st) st = dnnl_stream_wait(stream);
    return st ? gv_fail(err, GV_ERR_INTERNAL, "oneDNN: a convolution failed (status %d)", (int)st) : GV_OK;
}

gv_status gv_conv_run(gv_conv *c, int worker, const void *in, void *out, void *scratch, gv_error *err) {
    return gv_conv_run_add(c, worker, in, NULL, out, scratch, err);
}
