#include "nn/convnet.h"

#include "base/memory.h"
#include "nn/conv.h"
#include "nn/conv_ops.h"
#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NUMBERS = 1 << 28 }; // that a worker's memory may have

// A computed tensor. Tensors that are the same numbers in the same place (a reshape, a sum written over its
// summand) share one value: `root` leads to it.
typedef struct value {
    int root;        // tensor whose place this is; itself where it has its own
    int uses;        // by operators that are needed and as an output
    int last_use;    // position of the last operator that reads it
    int made;        // position of the operator that writes it; -1 the graph's input, -2 nobody
    int pad_node;    // padding that its readers do themselves: the PAD operator, else -1
    bool kept;       // the input or an output
    bool aliased;    // a reshape of it or it is one: never written over
    int first, last; // steps between which the place is in use
    int64_t offset;  // of the place, in numbers
} value;

typedef struct step {
    const gv_tflite_node *node;
    gv_conv *conv;
    int src[GV_TFLITE_INPUTS], dst; // values
    int pads[4][2];                 // PAD
} step;

struct gv_convnet {
    int workers, noutputs, nsteps, nvalues;
    gv_tflite_tensor *tensors; // shapes; what their data was is not looked at after creating
    gv_tflite_node *nodes;
    value *values;
    step *steps;
    int *outputs, input;
    float **memory;  // [workers]
    int64_t numbers; // in one worker's memory, without scratch
    size_t scratch;  // bytes, behind the numbers
    gv_conv_engine *engine;
    gv_arena *arena;
};

typedef struct builder {
    gv_tflite copy;     // with the net's own nodes and tensors, simplified
    const gv_tflite *g; // the copy
    gv_convnet *net;
    bool *needed; // [nnodes]
    int *fused;   // [nnodes] ADD that is done by this convolution, or -1
    bool *done;   // [nnodes] has been fused into another
    gv_error *err;
} builder;

static gv_status bad_shape(builder *b, const gv_tflite_node *n, const char *expected) {
    const gv_tflite_tensor *i = &b->g->tensors[n->input[0]], *o = &b->g->tensors[n->output];
    return gv_fail(b->err, GV_ERR_FORMAT,
                   "operator %d (%s): input %d [%d, %d, %d, %d], output [%d, %d, %d, %d], expected %s", n->index,
                   gv_tflite_code_name(n->code), n->input[0], i->shape[0], i->shape[1], i->shape[2], i->shape[3],
                   o->shape[0], o->shape[1], o->shape[2], o->shape[3], expected);
}

static bool is_conv(const gv_tflite_node *n) {
    return n->code == GV_TFLITE_CONV_2D || n->code == GV_TFLITE_DEPTHWISE_CONV_2D;
}

static bool is_constant(const gv_tflite_tensor *t) {
    return t->f32 || t->i32;
}

static int root_of(const gv_convnet *net, int t) {
    while (net->values[t].root != t) t = net->values[t].root;
    return t;
}

// ---- What is needed -----------------------------------------------------------------------------------

static void mark_needed(builder *b) {
    value *v = b->net->values;
    for (int i = 0; i < b->net->noutputs; i++) {
        v[b->net->outputs[i]].uses++;
        v[b->net->outputs[i]].kept = true;
    }
    for (int i = b->g->nnodes - 1; i >= 0; i--) {
        const gv_tflite_node *n = &b->g->nodes[i];
        if (!v[n->output].uses) continue;
        b->needed[i] = true;
        v[n->output].made = i;
        for (int k = 0; k < n->inputs; k++) {
            if (n->input[k] < 0) continue;
            value *in = &v[n->input[k]];
            in->uses++;
            if (in->last_use < i) in->last_use = i;
        }
    }
}

// How many inputs of an operator are computed, the rest are its parameters.
static int computed_inputs(const gv_tflite_node *n) {
    return n->code == GV_TFLITE_ADD ? 2 : n->code == GV_TFLITE_CONCATENATION ? n->inputs : 1;
}

static gv_status check_inputs(builder *b, const gv_tflite_node *n) {
    int computed = computed_inputs(n);
    for (int k = 0; k < computed; k++)
        if (n->inputs < computed || n->input[k] < 0 || is_constant(&b->g->tensors[n->input[k]]))
            return gv_fail(b->err, GV_ERR_FORMAT, "operator %d (%s): input %d must be computed", n->index,
                           gv_tflite_code_name(n->code), k);
    if (b->g->tensors[n->output].ndim && b->g->tensors[n->output].shape[0] != 1) return bad_shape(b, n, "one image");
    return GV_OK;
}

// ---- Shapes -------------------------------------------------------------------------------------------

static bool is_image(const gv_tflite_tensor *t) {
    return t->ndim == 4 && t->shape[0] == 1;
}

static bool has_shape(const gv_tflite_tensor *t, int h, int w, int c) {
    return is_image(t) && t->shape[1] == h && t->shape[2] == w && t->shape[3] == c;
}

static bool same_shape(const gv_tflite_tensor *a, const gv_tflite_tensor *b) {
    return a->ndim == b->ndim && memcmp(a->shape, b->shape, sizeof a->shape) == 0;
}

// The [4, 2] paddings of a PAD operator, NULL where they are not what is supported.
static const int32_t *paddings(const gv_tflite *g, const gv_tflite_node *n) {
    if (n->inputs != 2 || n->input[1] < 0) return NULL;
    const gv_tflite_tensor *p = &g->tensors[n->input[1]], *in = &g->tensors[n->input[0]];
    if (!p->i32 || p->count != 8 || !is_image(in) || p->i32[0] || p->i32[1]) return NULL;
    for (int d = 1; d < 4; d++) {
        if (p->i32[2 * d] < 0 || p->i32[2 * d] > 1 << 16 || p->i32[2 * d + 1] < 0 || p->i32[2 * d + 1] > 1 << 16)
            return NULL;
        if (g->tensors[n->output].ndim != 4 ||
            g->tensors[n->output].shape[d] != in->shape[d] + p->i32[2 * d] + p->i32[2 * d + 1])
            return NULL;
    }
    return p->i32;
}

static gv_status check_loop_shapes(builder *b, const gv_tflite_node *n) {
    const gv_tflite_tensor *i = &b->g->tensors[n->input[0]], *o = &b->g->tensors[n->output];
    int h = i->shape[1], w = i->shape[2], c = i->shape[3];
    switch (n->code) {
    case GV_TFLITE_ADD:
        if (!same_shape(i, o) || !same_shape(&b->g->tensors[n->input[1]], o)) return bad_shape(b, n, "equal shapes");
        break;
    case GV_TFLITE_LOGISTIC:
        if (!same_shape(i, o)) return bad_shape(b, n, "equal shapes");
        break;
    case GV_TFLITE_RESHAPE:
        if (i->count != o->count) return bad_shape(b, n, "equal counts");
        break;
    case GV_TFLITE_PAD:
        if (!paddings(b->g, n))
            return bad_shape(b, n, "constant paddings of height, width or channels that explain the output");
        break;
    case GV_TFLITE_MAX_POOL_2D:
        if (n->stride[0] != 2 || n->stride[1] != 2 || n->filter[0] != 2 || n->filter[1] != 2 || !is_image(i) ||
            (n->same && (h % 2 || w % 2)) || !has_shape(o, h / 2, w / 2, c))
            return bad_shape(b, n, "a 2x2 window with stride 2");
        break;
    case GV_TFLITE_RESIZE_BILINEAR:
        if (n->align_corners || !n->half_pixel || !is_image(i) || !has_shape(o, 2 * h, 2 * w, c))
            return bad_shape(b, n, "twice the size with half-pixel centres");
        break;
    case GV_TFLITE_DEPTH_TO_SPACE:
        if (n->block < 2 || n->block > 64 || !is_image(i) || c % (n->block * n->block) ||
            !has_shape(o, h * n->block, w * n->block, c / (n->block * n->block)))
            return bad_shape(b, n, "a block size that explains the output");
        break;
    default:
        break;
    }
    return GV_OK;
}

static gv_status check_concatenation(builder *b, const gv_tflite_node *n) {
    const gv_tflite_tensor *o = &b->g->tensors[n->output];
    int total = 0;
    if (n->axis < 1 || n->axis >= o->ndim || n->activation)
        return bad_shape(b, n, "an axis inside the image and no activation");
    for (int k = 0; k < n->inputs; k++) {
        const gv_tflite_tensor *i = &b->g->tensors[n->input[k]];
        for (int d = 0; d < GV_TFLITE_DIMS; d++)
            if (i->ndim != o->ndim || (d != n->axis && i->shape[d] != o->shape[d]))
                return bad_shape(b, n, "inputs that differ in the axis only");
        total += i->shape[n->axis];
    }
    return total == o->shape[n->axis] ? GV_OK : bad_shape(b, n, "inputs that add up to the output");
}

static gv_status conv_spec(builder *b, int index, gv_conv_spec *s) {
    const gv_tflite *g = b->g;
    const gv_tflite_node *n = &g->nodes[index];
    int pad = b->net->values[n->input[0]].pad_node;
    const gv_tflite_tensor *in = &g->tensors[pad < 0 ? n->input[0] : g->nodes[pad].input[0]],
                           *out = &g->tensors[n->output];
    bool depthwise = n->code == GV_TFLITE_DEPTHWISE_CONV_2D;
    if (n->inputs < 2 || n->input[1] < 0 || !is_image(in) || !is_image(out))
        return bad_shape(b, n, "an image and weights");
    const gv_tflite_tensor *w = &g->tensors[n->input[1]],
                           *bias = n->inputs > 2 && n->input[2] >= 0 ? &g->tensors[n->input[2]] : NULL;
    int c = in->shape[3], oc = depthwise ? c : w->shape[0];
    if (!w->f32 || w->ndim != 4 || w->shape[3] != c || (depthwise && w->shape[0] != 1) ||
        (bias && (!bias->f32 || bias->count != oc)))
        return bad_shape(b, n, "constant weights and bias that fit the channels");
    *s = (gv_conv_spec){.n = 1,
                        .h = in->shape[1],
                        .w = in->shape[2],
                        .c = c,
                        .oc = oc,
                        .kh = w->shape[1],
                        .kw = w->shape[2],
                        .stride = {n->stride[0], n->stride[1]},
                        .dilation = {n->dilation[0], n->dilation[1]},
                        .depthwise = depthwise,
                        .act = n->activation,
                        .weights = w->f32,
                        .bias = bias ? bias->f32 : NULL};
    const int32_t *p = pad < 0 ? NULL : paddings(g, &g->nodes[pad]);
    for (int d = 0; d < 2; d++) {
        int size = in->shape[1 + d] + (p ? p[2 + 2 * d] + p[3 + 2 * d] : 0), k = w->shape[1 + d];
        int64_t want = n->same ? (int64_t)((size + n->stride[d] - 1) / n->stride[d] - 1) * n->stride[d] +
                                     (int64_t)n->dilation[d] * (k - 1) + 1
                               : 0;
        int total = want > size ? (int)(want - size) : 0; // SAME: the odd pixel comes last
        s->before[d] = total / 2 + (p ? p[2 + 2 * d] : 0);
        s->after[d] = total - total / 2 + (p ? p[3 + 2 * d] : 0);
    }
    bool fits = has_shape(out, gv_conv_extent(s, 0), gv_conv_extent(s, 1), oc);
    return fits ? GV_OK : bad_shape(b, n, "the output that window, stride and padding give");
}

// ---- Simplifications ----------------------------------------------------------------------------------

// Zero padding of height and width that only convolutions read is left to them.
static void absorb_padding(builder *b) {
    for (int i = 0; i < b->g->nnodes; i++) {
        const gv_tflite_node *n = &b->g->nodes[i];
        if (!b->needed[i] || n->code != GV_TFLITE_PAD || b->net->values[n->output].kept) continue;
        const int32_t *p = paddings(b->g, n);
        bool absorb = p && !p[6] && !p[7];
        for (int j = i + 1; j < b->g->nnodes && absorb; j++)
            for (int k = 0; k < b->g->nodes[j].inputs; k++)
                if (b->needed[j] && b->g->nodes[j].input[k] == n->output && !(is_conv(&b->g->nodes[j]) && k == 0))
                    absorb = false;
        if (!absorb) continue;
        b->net->values[n->output].pad_node = i;
        value *src = &b->net->values[n->input[0]], *dst = &b->net->values[n->output];
        if (src->last_use < dst->last_use) src->last_use = dst->last_use; // its readers read the source
        b->done[i] = true;
    }
}

// A 1x1 convolution of an enlarged image is the enlarged image of the convolution (the weights of the
// interpolation add up to 1): done in this order it costs a quarter.
static void convolve_before_resizing(gv_tflite *g) {
    for (int i = 0; i < g->nnodes; i++) {
        gv_tflite_node *resize = &g->nodes[i], *conv = NULL;
        int readers = 0;
        if (resize->code != GV_TFLITE_RESIZE_BILINEAR) continue;
        for (int j = i + 1; j < g->nnodes; j++)
            for (int k = 0; k < g->nodes[j].inputs; k++)
                if (g->nodes[j].input[k] == resize->output) readers++, conv = &g->nodes[j];
        for (int k = 0; k < g->noutputs; k++) readers += g->outputs[k] == resize->output;
        if (readers != 1 || !conv || conv->code != GV_TFLITE_CONV_2D || conv->input[0] != resize->output) continue;
        if (conv->inputs < 2 || conv->input[1] < 0 || conv->stride[0] != 1 || conv->stride[1] != 1) continue;
        const gv_tflite_tensor *in = &g->tensors[resize->input[0]], *w = &g->tensors[conv->input[1]];
        gv_tflite_tensor *middle = &g->tensors[resize->output], *out = &g->tensors[conv->output];
        bool plain = w->ndim == 4 && w->shape[1] == 1 && w->shape[2] == 1 && is_image(in) && is_image(middle) &&
                     is_image(out) && out->shape[1] == middle->shape[1] && out->shape[2] == middle->shape[2];
        if (!plain || out->shape[3] > middle->shape[3]) continue;
        gv_tflite_node first = *conv, second = *resize;
        first.input[0] = resize->input[0], first.output = second.input[0] = resize->output;
        second.output = conv->output, second.activation = conv->activation, first.activation = GV_ACT_NONE;
        *resize = first, *conv = second;
        middle->shape[1] = in->shape[1], middle->shape[2] = in->shape[2], middle->shape[3] = out->shape[3];
        middle->count = (int64_t)in->shape[1] * in->shape[2] * out->shape[3];
    }
}

static bool reads(const builder *b, int node, int tensor) {
    const gv_tflite_node *n = &b->g->nodes[node];
    for (int k = 0; k < n->inputs; k++) {
        int t = n->input[k];
        if (t < 0) continue;
        if (b->net->values[t].pad_node >= 0) t = b->g->nodes[b->net->values[t].pad_node].input[0];
        if (t == tensor) return true;
    }
    return false;
}

// A convolution whose result is only added to an older tensor writes the sum over that one, if nobody
// reads the old one after the convolution has begun.
static void fuse_additions(builder *b) {
    for (int j = 0; j < b->g->nnodes; j++) {
        const gv_tflite_node *add = &b->g->nodes[j];
        if (!b->needed[j] || add->code != GV_TFLITE_ADD) continue;
        for (int k = 0; k < 2 && !b->done[j]; k++) {
            value *conv = &b->net->values[add->input[k]], *old = &b->net->values[add->input[1 - k]];
            int i = conv->made;
            if (i < 0 || !is_conv(&b->g->nodes[i]) || b->g->nodes[i].activation || conv->uses != 1 || conv->kept)
                continue;
            if (old->made >= i || old->kept || old->last_use != j) continue;
            bool read = false;
            for (int m = i; m < j && !read; m++) read = b->needed[m] && reads(b, m, add->input[1 - k]);
            if (read || old->aliased) continue;
            b->fused[i] = j;
            b->done[j] = true;
            b->net->values[add->output].root = add->input[1 - k];
        }
    }
}

static void alias_reshapes(builder *b) {
    for (int i = 0; i < b->g->nnodes; i++) {
        const gv_tflite_node *n = &b->g->nodes[i];
        if (!b->needed[i] || n->code != GV_TFLITE_RESHAPE) continue;
        b->net->values[n->output].root = n->input[0];
        b->net->values[n->output].aliased = b->net->values[n->input[0]].aliased = true;
        b->done[i] = true;
    }
}

// ---- Steps --------------------------------------------------------------------------------------------

static gv_status add_step(builder *b, int i) {
    gv_convnet *net = b->net;
    const gv_tflite_node *n = &b->g->nodes[i];
    step *s = &net->steps[net->nsteps++];
    s->node = &net->nodes[i];
    s->dst = b->fused[i] < 0 ? n->output : b->g->nodes[b->fused[i]].output;
    for (int k = 0; k < computed_inputs(n); k++) s->src[k] = n->input[k];
    if (!is_conv(n)) {
        gv_status checked = n->code == GV_TFLITE_CONCATENATION ? check_concatenation(b, n) : check_loop_shapes(b, n);
        if (checked == GV_OK && n->code == GV_TFLITE_PAD) memcpy(s->pads, paddings(b->g, n), sizeof s->pads);
        return checked;
    }
    gv_conv_spec spec;
    gv_status st = conv_spec(b, i, &spec);
    if (st != GV_OK) return st;
    if (net->values[n->input[0]].pad_node >= 0) s->src[0] = b->g->nodes[net->values[n->input[0]].pad_node].input[0];
    if (b->fused[i] >= 0) {
        st = check_loop_shapes(b, &b->g->nodes[b->fused[i]]);
        spec.sum = true;
        spec.act = b->g->nodes[b->fused[i]].activation;
    }
    if (st == GV_OK) st = gv_conv_create(&s->conv, net->engine, &spec, b->err);
    if (st == GV_OK && gv_conv_scratch(s->conv) > net->scratch) net->scratch = gv_conv_scratch(s->conv);
    return st;
}

static gv_status build_steps(builder *b) {
    gv_status s = GV_OK;
    mark_needed(b);
    for (int i = 0; i < b->g->nnodes && s == GV_OK; i++)
        if (b->needed[i]) s = check_inputs(b, &b->g->nodes[i]);
    if (s != GV_OK) return s;
    absorb_padding(b);
    alias_reshapes(b);
    fuse_additions(b);
    for (int i = 0; i < b->g->nnodes && s == GV_OK; i++) {
        if (!b->needed[i]) continue;
        if (!b->done[i])
            s = add_step(b, i);
        else if (b->g->nodes[i].code != GV_TFLITE_ADD)
            s = check_loop_shapes(b, &b->g->nodes[i]);
    }
    return s;
}

// ---- Memory -------------------------------------------------------------------------------------------

static void find_lifetimes(gv_convnet *net) {
    for (int t = 0; t < net->nvalues; t++) net->values[t].first = INT_MAX, net->values[t].last = -1;
    for (int i = 0; i < net->nsteps; i++) {
        step *s = &net->steps[i];
        value *d = &net->values[root_of(net, s->dst)];
        if (d->first > i) d->first = i;
        if (d->last < i) d->last = i;
        for (int k = 0; k < computed_inputs(s->node); k++) {
            value *v = &net->values[root_of(net, s->src[k])];
            if (v->last < i) v->last = i;
        }
    }
    net->values[root_of(net, net->input)].first = -1;
    for (int i = 0; i < net->noutputs; i++) net->values[root_of(net, net->outputs[i])].last = INT_MAX;
}

static int64_t place_size(const gv_convnet *net, int t) {
    return (net->tensors[t].count + 15) & ~(int64_t)15; // whole cache lines
}

// The lowest place where value t fits among those placed already that are alive with it.
static int64_t find_place(const gv_convnet *net, const int *placed, int nplaced, int t) {
    int64_t at = 0, size = place_size(net, t);
    for (bool moved = true; moved;) {
        moved = false;
        for (int k = 0; k < nplaced; k++) {
            const value *o = &net->values[placed[k]];
            bool together = o->first <= net->values[t].last && net->values[t].first <= o->last;
            if (together && at < o->offset + place_size(net, placed[k]) && o->offset < at + size) {
                at = o->offset + place_size(net, placed[k]);
                moved = true;
            }
        }
    }
    return at;
}

// Values are placed largest first.
static gv_status plan_memory(gv_convnet *net, gv_error *err) {
    int *order = gv_calloc2((size_t)net->nvalues, sizeof *order), n = 0;
    if (!order) return gv_fail(err, GV_ERR_MEMORY, "no memory for a network");
    find_lifetimes(net);
    for (int t = 0; t < net->nvalues; t++) {
        if (net->values[t].root != t || net->values[t].last < net->values[t].first) continue;
        int k = n++;
        for (; k > 0 && place_size(net, order[k - 1]) < place_size(net, t); k--) order[k] = order[k - 1];
        order[k] = t;
    }
    for (int k = 0; k < n; k++) {
        int64_t at = find_place(net, order, k, order[k]), end = at + place_size(net, order[k]);
        net->values[order[k]].offset = at;
        if (end > net->numbers) net->numbers = end;
    }
    free(order);
    if (net->numbers > MAX_NUMBERS)
        return gv_fail(err, GV_ERR_MEMORY, "the network needs memory for %lld numbers, expected at most %d",
                       (long long)net->numbers, MAX_NUMBERS);
    for (int w = 0; w < net->workers; w++)
        if (!(net->memory[w] = gv_calloc2(gv_convnet_bytes(net), 1)))
            return gv_fail(err, GV_ERR_MEMORY, "no memory for a network's %lld numbers", (long long)net->numbers);
    return GV_OK;
}

static float *place(const gv_convnet *net, int worker, int t) {
    return net->memory[worker] + net->values[root_of(net, t)].offset;
}

// ---- Creating and running -----------------------------------------------------------------------------

static gv_status copy_graph(gv_convnet *net, builder *b, const gv_tflite *g, const int *outputs, int noutputs) {
    size_t t = (size_t)g->ntensors, n = (size_t)g->nnodes;
    net->arena = gv_arena_create(0);
    net->engine = gv_conv_engine_create(net->workers);
    if (!net->arena || !net->engine) return gv_fail(b->err, GV_ERR_MEMORY, "no memory for a network");
    net->tensors = gv_arena_alloc(net->arena, t, sizeof *net->tensors);
    net->nodes = gv_arena_alloc(net->arena, n, sizeof *net->nodes);
    net->values = gv_arena_alloc(net->arena, t, sizeof *net->values);
    net->steps = gv_arena_alloc(net->arena, n, sizeof *net->steps);
    net->outputs = gv_arena_alloc(net->arena, (size_t)noutputs, sizeof *net->outputs);
    net->memory = gv_arena_alloc(net->arena, (size_t)net->workers, sizeof *net->memory);
    b->needed = gv_arena_alloc(net->arena, n, sizeof *b->needed);
    b->done = gv_arena_alloc(net->arena, n, sizeof *b->done);
    b->fused = gv_arena_alloc(net->arena, n, sizeof *b->fused);
    if (!net->tensors || !net->nodes || !net->values || !net->steps || !net->outputs || !net->memory || !b->needed ||
        !b->done || !b->fused)
        return gv_fail(b->err, GV_ERR_MEMORY, "no memory for a network");
    memcpy(net->tensors, g->tensors, t * sizeof *net->tensors);
    memcpy(net->nodes, g->nodes, n * sizeof *net->nodes);
    b->copy = *g;
    b->copy.tensors = net->tensors, b->copy.nodes = net->nodes;
    b->g = &b->copy;
    net->nvalues = g->ntensors;
    for (int i = 0; i < g->ntensors; i++)
        net->values[i] = (value){.root = i, .last_use = -1, .made = -2, .pad_node = -1};
    for (int i = 0; i < g->nnodes; i++) b->fused[i] = -1;
    net->noutputs = noutputs;
    for (int i = 0; i < noutputs; i++) net->outputs[i] = g->outputs[outputs[i]];
    net->input = g->inputs[0];
    net->values[net->input].made = -1;
    net->values[net->input].kept = true;
    return GV_OK;
}

gv_status gv_convnet_create(gv_convnet **out, const gv_tflite *g, const int *outputs, int noutputs, int workers,
                            gv_error *err) {
    *out = NULL;
    assert(noutputs > 0 && workers > 0);
    if (g->ninputs != 1 || !is_image(&g->tensors[g->inputs[0]]))
        return gv_fail(err, GV_ERR_FORMAT, "the graph has %d inputs, expected one image", g->ninputs);
    for (int i = 0; i < noutputs; i++)
        if (outputs[i] < 0 || outputs[i] >= g->noutputs || is_constant(&g->tensors[g->outputs[outputs[i]]]))
            return gv_fail(err, GV_ERR_FORMAT, "the graph has %d outputs, expected a computed one at %d", g->noutputs,
                           outputs[i]);
    gv_convnet *net = calloc(1, sizeof *net);
    if (!net) return gv_fail(err, GV_ERR_MEMORY, "no memory for a network");
    net->workers = workers;
    builder b = {.net = net, .err = err};
    gv_status s = copy_graph(net, &b, g, outputs, noutputs);
    if (s == GV_OK) convolve_before_resizing(&b.copy);
    if (s == GV_OK) s = build_steps(&b);
    if (s == GV_OK) s = plan_memory(net, err);
    if (s == GV_OK)
        *out = net;
    else
        gv_convnet_destroy(net);
    return s;
}

void gv_convnet_destroy(gv_convnet *net) {
    if (!net) return;
    for (int i = 0; net->steps && i < net->nsteps; i++) gv_conv_destroy(net->steps[i].conv);
    for (int w = 0; net->memory && w < net->workers; w++) free(net->memory[w]);
    gv_conv_engine_destroy(net->engine);
    gv_arena_destroy(net->arena);
    free(net);
}

static void run_concatenation(gv_convnet *net, int worker, const step *s) {
    const float *in[GV_TFLITE_INPUTS];
    int64_t size[GV_TFLITE_INPUTS], outer = 1;
    for (int d = 0; d < s->node->axis; d++) outer *= net->tensors[s->dst].shape[d];
    for (int k = 0; k < s->node->inputs; k++) {
        in[k] = place(net, worker, s->src[k]);
        size[k] = net->tensors[s->src[k]].count / outer;
    }
    gv_op_concatenate(place(net, worker, s->dst), in, size, s->node->inputs, outer);
}

static gv_status run_step(gv_convnet *net, int worker, const step *s, gv_error *err) {
    const gv_tflite_node *n = s->node;
    const gv_tflite_tensor *i = &net->tensors[s->src[0]];
    int h = i->shape[1], w = i->shape[2], c = i->shape[3];
    float *out = place(net, worker, s->dst);
    const float *in = place(net, worker, s->src[0]);
    switch (n->code) {
    case GV_TFLITE_ADD:
        gv_op_add(out, in, place(net, worker, s->src[1]), i->count, n->activation);
        break;
    case GV_TFLITE_LOGISTIC:
        gv_op_logistic(out, in, i->count);
        break;
    case GV_TFLITE_MAX_POOL_2D:
        gv_op_max_pool2(out, in, h, w, c, n->activation);
        break;
    case GV_TFLITE_RESIZE_BILINEAR:
        gv_op_resize2(out, in, h, w, c, n->activation);
        break;
    case GV_TFLITE_DEPTH_TO_SPACE:
        gv_op_depth_to_space(out, in, h, w, c, n->block);
        break;
    case GV_TFLITE_PAD:
        gv_op_pad(out, in, h, w, c, s->pads);
        break;
    case GV_TFLITE_CONCATENATION:
        run_concatenation(net, worker, s);
        break;
    default:
        return gv_conv_run(s->conv, worker, in, out, net->memory[worker] + net->numbers, err);
    }
    return GV_OK;
}

gv_status gv_convnet_run(gv_convnet *net, int worker, gv_error *err) {
    gv_status s = GV_OK;
    for (int i = 0; i < net->nsteps && s == GV_OK; i++) s = run_step(net, worker, &net->steps[i], err);
    return s;
}

const int *gv_convnet_input_shape(const gv_convnet *net) {
    return net->tensors[net->input].shape + 1;
}
int64_t gv_convnet_output_count(const gv_convnet *net, int i) {
    return net->tensors[net->outputs[i]].count;
}
size_t gv_convnet_bytes(const gv_convnet *net) {
    return (size_t)net->numbers * sizeof(float) + net->scratch;
}
float *gv_convnet_input(gv_convnet *net, int worker) {
    return place(net, worker, net->input);
}
const float *gv_convnet_output(const gv_convnet *net, int worker, int i) {
    return place(net, worker, net->outputs[i]);
}
