#include "formats/tflite.h"

#include "base/file.h"
#include "base/memory.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 256 << 20, MAX_TENSORS = 1 << 16, MAX_NODES = 1 << 16, MAX_EXTENT = 1 << 24 };
enum { TYPE_F32 = 0, TYPE_F16 = 1, TYPE_I32 = 2 }; // TensorType of the schema

// ---- FlatBuffer cursor: no read can leave the file, a failed one is remembered ------------------------

typedef struct reader {
    const uint8_t *bytes;
    size_t size;
    const char *bad; // what was being read when it went wrong, or NULL
} reader;

typedef struct span { // a vector
    size_t at, count; // position of the first element
} span;

static bool inside(reader *r, size_t at, size_t n, const char *what) {
    if (at <= r->size && n <= r->size - at) return true;
    if (!r->bad) r->bad = what;
    return false;
}

static uint32_t read_u(reader *r, size_t at, size_t bytes, const char *what) {
    uint32_t v = 0;
    if (inside(r, at, bytes, what))
        for (size_t i = 0; i < bytes; i++) v |= (uint32_t)r->bytes[at + i] << (8 * i);
    return v;
}

static int32_t read_i32(reader *r, size_t at, const char *what) {
    return (int32_t)read_u(r, at, 4, what);
}

// A reference counts from where it stands.
static size_t follow(reader *r, size_t at, const char *what) {
    return at + read_u(r, at, 4, what);
}

// Position of field `number` of the table at `table`, 0 when it has its default.
// Table 0 is one that is absent: all its fields have their defaults.
static size_t field(reader *r, size_t table, int number, size_t bytes, const char *what) {
    if (!table) return 0;
    int64_t vtable = (int64_t)table - read_i32(r, table, what);
    if (vtable < 0 || !inside(r, (size_t)vtable, 4, what)) {
        if (!r->bad) r->bad = what;
        return 0;
    }
    size_t vsize = read_u(r, (size_t)vtable, 2, what), tsize = read_u(r, (size_t)vtable + 2, 2, what);
    size_t entry = 4 + 2 * (size_t)number;
    if (entry + 2 > vsize) return 0;
    size_t offset = read_u(r, (size_t)vtable + entry, 2, what);
    if (offset == 0) return 0;
    if (offset + bytes > tsize || !inside(r, table + offset, bytes, what)) {
        if (!r->bad) r->bad = what;
        return 0;
    }
    return table + offset;
}

static int32_t field_i32(reader *r, size_t table, int number, int32_t otherwise, const char *what) {
    size_t at = field(r, table, number, 4, what);
    return at ? read_i32(r, at, what) : otherwise;
}

static int field_u8(reader *r, size_t table, int number, const char *what) {
    size_t at = field(r, table, number, 1, what);
    return at ? (int)read_u(r, at, 1, what) : 0;
}

static size_t field_table(reader *r, size_t table, int number, const char *what) {
    size_t at = field(r, table, number, 4, what);
    return at ? follow(r, at, what) : 0;
}

static span field_vector(reader *r, size_t table, int number, size_t element, const char *what) {
    span v = {0, 0};
    size_t at = field_table(r, table, number, what);
    if (!at) return v;
    size_t count = read_u(r, at, 4, what);
    if (r->bad || !inside(r, at + 4, count * element, what)) return v;
    return (span){at + 4, count};
}

// ---- Constants --------------------------------------------------------------------------------------

static float half_to_float(uint32_t h) {
    uint32_t sign = (h & 0x8000u) << 16, exponent = (h >> 10) & 31, fraction = h & 1023;
    union {
        uint32_t u;
        float f;
    } v;
    if (exponent == 31) {
        v.u = sign | 0x7f800000u | fraction << 13;
    } else if (exponent) {
        v.u = sign | (exponent + 112) << 23 | fraction << 13;
    } else { // zero or subnormal: fraction * 2^-24
        v.f = (float)fraction * 0x1p-24f;
        v.u |= sign;
    }
    return v.f;
}

typedef struct loader {
    reader r;
    gv_tflite *g;
    gv_error *err;
    span buffers, tables; // of buffers and of tensors
    int64_t values;       // numbers allocated so far
    int *types;           // [ntensors]
    bool *written;        // [ntensors] by the graph's inputs or an operator seen so far
} loader;

static gv_status broken(loader *l) {
    return gv_fail(l->err, GV_ERR_FORMAT, "not a valid tflite file: %s lies outside the file of %zu bytes", l->r.bad,
                   l->r.size);
}

static void *take(loader *l, int64_t count) {
    if (count > GV_TFLITE_MAX_VALUES - l->values) {
        gv_fail(l->err, GV_ERR_MEMORY, "the constants have more than %d numbers", GV_TFLITE_MAX_VALUES);
        return NULL;
    }
    l->values += count;
    void *p = gv_arena_alloc(l->g->memory, (size_t)count, 4);
    if (!p) gv_fail(l->err, GV_ERR_MEMORY, "no memory for a constant of %lld numbers", (long long)count);
    return p;
}

static float float_at(loader *l, span data, int type, size_t i) {
    if (type == TYPE_F16) return half_to_float(read_u(&l->r, data.at + 2 * i, 2, "a constant"));
    union {
        uint32_t u;
        float f;
    } v = {read_u(&l->r, data.at + 4 * i, 4, "a constant")};
    return v.f;
}

// One of the three vector types that hold segments and indices: 1 i32, 2 u16, 3 u8.
typedef struct numbers {
    span v;
    size_t bytes;
} numbers;

static numbers sparse_numbers(loader *l, size_t dimension, int type_field) {
    numbers n = {{0, 0}, 0};
    int type = field_u8(&l->r, dimension, type_field, "sparsity");
    size_t table = field_table(&l->r, dimension, type_field + 1, "sparsity");
    if (type < 1 || type > 3 || !table) return n;
    n.bytes = type == 1 ? 4 : type == 2 ? 2 : 1;
    n.v = field_vector(&l->r, table, 0, n.bytes, "sparsity");
    return n;
}

static uint32_t number_at(loader *l, numbers n, size_t i) {
    return read_u(&l->r, n.v.at + n.bytes * i, n.bytes, "sparsity");
}

// Finds segments and indices of the compressed last dimension; false where the scheme is another one.
static bool sparse_scheme(loader *l, size_t sparsity, const gv_tflite_tensor *t, numbers *segments, numbers *indices) {
    reader *r = &l->r;
    span order = field_vector(r, sparsity, 0, 4, "sparsity"), blocks = field_vector(r, sparsity, 1, 4, "sparsity");
    span dims = field_vector(r, sparsity, 2, 4, "sparsity");
    if (t->ndim < 1 || order.count != (size_t)t->ndim || blocks.count || dims.count != (size_t)t->ndim) return false;
    for (int d = 0; d < t->ndim; d++) {
        size_t table = follow(r, dims.at + 4 * (size_t)d, "sparsity");
        int compressed = field_u8(r, table, 0, "sparsity");
        if (read_i32(r, order.at + 4 * (size_t)d, "sparsity") != d || compressed != (d == t->ndim - 1)) return false;
        if (!compressed && field_i32(r, table, 1, 0, "sparsity") != t->shape[d]) return false;
        if (compressed) {
            *segments = sparse_numbers(l, table, 2);
            *indices = sparse_numbers(l, table, 4);
        }
    }
    return !r->bad;
}

// Row n (all dimensions but the last) has values segments[n] ... segments[n+1]-1 at these channels.
static gv_status load_sparse(loader *l, int index, size_t sparsity, span data, int type) {
    gv_tflite_tensor *t = &l->g->tensors[index];
    numbers segments = {{0, 0}, 0}, indices = {{0, 0}, 0};
    bool known = sparse_scheme(l, sparsity, t, &segments, &indices);
    if (l->r.bad) return broken(l);
    size_t columns = known ? (size_t)t->shape[t->ndim - 1] : 1, rows = (size_t)t->count / columns;
    if (!known || segments.v.count != rows + 1 || indices.v.count != data.count / (type == TYPE_F16 ? 2 : 4))
        return gv_fail(l->err, GV_ERR_FORMAT, "tensor %d: unknown kind of sparse constant", index);
    float *out = take(l, t->count);
    if (!out) return GV_ERR_MEMORY;
    size_t k = 0;
    for (size_t n = 0; n < rows; n++) {
        size_t from = number_at(l, segments, n), to = number_at(l, segments, n + 1);
        if (from != k || to < from || to > indices.v.count)
            return gv_fail(l->err, GV_ERR_FORMAT,
                           "tensor %d: segments of row %zu are %zu to %zu, expected %zu to at most %zu", index, n, from,
                           to, k, indices.v.count);
        for (; k < to; k++) {
            size_t c = number_at(l, indices, k);
            if (c >= columns)
                return gv_fail(l->err, GV_ERR_FORMAT, "tensor %d: sparse index %zu, expected less than %zu", index, c,
                               columns);
            out[n * columns + c] = float_at(l, data, type, k);
        }
    }
    t->f32 = out;
    return GV_OK;
}

static gv_status load_constant(loader *l, int index, size_t table, span data) {
    gv_tflite_tensor *t = &l->g->tensors[index];
    int type = l->types[index];
    size_t sparsity = field_table(&l->r, table, 6, "sparsity"), width = type == TYPE_F16 ? 2 : 4;
    if (sparsity && type != TYPE_I32) return load_sparse(l, index, sparsity, data, type);
    if (data.count != (size_t)t->count * width)
        return gv_fail(l->err, GV_ERR_FORMAT, "tensor %d: constant of %zu bytes, expected %lld numbers of %zu bytes",
                       index, data.count, (long long)t->count, width);
    void *out = take(l, t->count);
    if (!out) return GV_ERR_MEMORY;
    if (type == TYPE_I32) {
        int32_t *p = out;
        for (size_t i = 0; i < (size_t)t->count; i++) p[i] = read_i32(&l->r, data.at + 4 * i, "a constant");
        t->i32 = p;
    } else {
        float *p = out;
        for (size_t i = 0; i < (size_t)t->count; i++) p[i] = float_at(l, data, type, i);
        t->f32 = p;
    }
    return GV_OK;
}

static gv_status load_tensor(loader *l, int index) {
    reader *r = &l->r;
    gv_tflite_tensor *t = &l->g->tensors[index];
    size_t table = follow(r, l->tables.at + 4 * (size_t)index, "the tensor list");
    span shape = field_vector(r, table, 0, 4, "a tensor's shape");
    int type = field_u8(r, table, 1, "a tensor");
    size_t buffer = (uint32_t)field_i32(r, table, 2, 0, "a tensor");
    if (r->bad) return broken(l);
    if (type != TYPE_F32 && type != TYPE_F16 && type != TYPE_I32)
        return gv_fail(l->err, GV_ERR_FORMAT, "tensor %d has type %d, expected float32, float16 or int32", index, type);
    if (shape.count > GV_TFLITE_DIMS)
        return gv_fail(l->err, GV_ERR_FORMAT, "tensor %d has %zu dimensions, expected at most %d", index, shape.count,
                       GV_TFLITE_DIMS);
    if (buffer >= l->buffers.count)
        return gv_fail(l->err, GV_ERR_FORMAT, "tensor %d: buffer %zu, expected less than %zu", index, buffer,
                       l->buffers.count);
    l->types[index] = type;
    t->ndim = (int)shape.count;
    t->count = 1;
    for (int d = 0; d < t->ndim; d++) {
        t->shape[d] = read_i32(r, shape.at + 4 * (size_t)d, "a tensor's shape");
        if (t->shape[d] < 1 || t->shape[d] > MAX_EXTENT || (t->count *= t->shape[d]) > GV_TFLITE_MAX_VALUES)
            return gv_fail(l->err, GV_ERR_FORMAT,
                           "tensor %d: extent %d of dimension %d, expected 1 or more and at most %d numbers", index,
                           t->shape[d], d, GV_TFLITE_MAX_VALUES);
    }
    span data = field_vector(r, follow(r, l->buffers.at + 4 * buffer, "a buffer"), 0, 1, "a buffer");
    if (r->bad) return broken(l);
    return data.count ? load_constant(l, index, table, data) : GV_OK;
}

// ---- Operators --------------------------------------------------------------------------------------

const char *gv_tflite_code_name(gv_tflite_code code) {
    switch (code) {
    case GV_TFLITE_ADD:
        return "ADD";
    case GV_TFLITE_CONCATENATION:
        return "CONCATENATION";
    case GV_TFLITE_CONV_2D:
        return "CONV_2D";
    case GV_TFLITE_DEPTHWISE_CONV_2D:
        return "DEPTHWISE_CONV_2D";
    case GV_TFLITE_DEPTH_TO_SPACE:
        return "DEPTH_TO_SPACE";
    case GV_TFLITE_DEQUANTIZE:
        return "DEQUANTIZE";
    case GV_TFLITE_LOGISTIC:
        return "LOGISTIC";
    case GV_TFLITE_MAX_POOL_2D:
        return "MAX_POOL_2D";
    case GV_TFLITE_RESHAPE:
        return "RESHAPE";
    case GV_TFLITE_RESIZE_BILINEAR:
        return "RESIZE_BILINEAR";
    case GV_TFLITE_PAD:
        return "PAD";
    case GV_TFLITE_DENSIFY:
        return "DENSIFY";
    }
    return NULL;
}

// Padding and strides are the first three fields of all operators with a window.
static void window_options(reader *r, size_t o, gv_tflite_node *n) {
    n->same = field_u8(r, o, 0, "options") == 0;
    n->stride[1] = field_i32(r, o, 1, 0, "options");
    n->stride[0] = field_i32(r, o, 2, 0, "options");
}

// Options table at o. False where something is asked for that is not read here.
static bool node_options(reader *r, size_t o, gv_tflite_node *n) {
    int activation = 0;
    bool known = true;
    switch (n->code) {
    case GV_TFLITE_CONV_2D:
        window_options(r, o, n);
        activation = field_u8(r, o, 3, "options");
        n->dilation[1] = field_i32(r, o, 4, 1, "options");
        n->dilation[0] = field_i32(r, o, 5, 1, "options");
        break;
    case GV_TFLITE_DEPTHWISE_CONV_2D:
        window_options(r, o, n);
        known = field_i32(r, o, 3, 0, "options") == 1; // depth multiplier
        activation = field_u8(r, o, 4, "options");
        n->dilation[1] = field_i32(r, o, 5, 1, "options");
        n->dilation[0] = field_i32(r, o, 6, 1, "options");
        break;
    case GV_TFLITE_MAX_POOL_2D:
        window_options(r, o, n);
        n->filter[1] = field_i32(r, o, 3, 0, "options");
        n->filter[0] = field_i32(r, o, 4, 0, "options");
        activation = field_u8(r, o, 5, "options");
        break;
    case GV_TFLITE_ADD:
        activation = field_u8(r, o, 0, "options");
        break;
    case GV_TFLITE_CONCATENATION:
        n->axis = field_i32(r, o, 0, 0, "options");
        activation = field_u8(r, o, 1, "options");
        break;
    case GV_TFLITE_RESIZE_BILINEAR:
        n->align_corners = field_u8(r, o, 2, "options") != 0;
        n->half_pixel = field_u8(r, o, 3, "options") != 0;
        break;
    case GV_TFLITE_DEPTH_TO_SPACE:
        n->block = field_i32(r, o, 0, 0, "options");
        break;
    default:
        break;
    }
    n->activation = (gv_tflite_activation)activation;
    return known && (activation == GV_ACT_NONE || activation == GV_ACT_RELU || activation == GV_ACT_RELU6);
}

static gv_status check_window(loader *l, const gv_tflite_node *n) {
    bool pool = n->code == GV_TFLITE_MAX_POOL_2D;
    if (!pool && n->code != GV_TFLITE_CONV_2D && n->code != GV_TFLITE_DEPTHWISE_CONV_2D) return GV_OK;
    const int *size = pool ? n->filter : n->dilation;
    for (int d = 0; d < 2; d++)
        if (n->stride[d] < 1 || n->stride[d] > 64 || size[d] < 1 || size[d] > 64)
            return gv_fail(l->err, GV_ERR_FORMAT, "operator %d (%s): stride %d, %s %d, expected 1 to 64", n->index,
                           gv_tflite_code_name(n->code), n->stride[d], pool ? "window" : "dilation", size[d]);
    return GV_OK;
}

static gv_status node_tensors(loader *l, gv_tflite_node *n, span inputs, span outputs) {
    const char *name = gv_tflite_code_name(n->code);
    if (inputs.count < 1 || inputs.count > GV_TFLITE_INPUTS || outputs.count != 1)
        return gv_fail(l->err, GV_ERR_FORMAT, "operator %d (%s) has %zu inputs and %zu outputs, expected 1 to %d and 1",
                       n->index, name, inputs.count, outputs.count, GV_TFLITE_INPUTS);
    n->inputs = (int)inputs.count;
    for (int i = 0; i < n->inputs; i++) {
        int t = read_i32(&l->r, inputs.at + 4 * (size_t)i, "an operator");
        if (t < -1 || t >= l->g->ntensors || (t < 0 && i == 0))
            return gv_fail(l->err, GV_ERR_FORMAT, "operator %d (%s): input tensor %d, expected 0 to %d", n->index, name,
                           t, l->g->ntensors - 1);
        if (t >= 0 && !l->written[t] && !l->g->tensors[t].f32 && !l->g->tensors[t].i32)
            return gv_fail(l->err, GV_ERR_FORMAT, "operator %d (%s) reads tensor %d before it is computed", n->index,
                           name, t);
        n->input[i] = t;
    }
    int t = n->output = read_i32(&l->r, outputs.at, "an operator");
    if (t < 0 || t >= l->g->ntensors || l->types[t] == TYPE_I32 || l->written[t] || l->g->tensors[t].f32 ||
        l->g->tensors[t].i32)
        return gv_fail(l->err, GV_ERR_FORMAT, "operator %d (%s) writes tensor %d, which %s", n->index, name, t,
                       t < 0 || t >= l->g->ntensors ? "does not exist" : "is an integer or has a value already");
    return GV_OK;
}

// DEQUANTIZE and DENSIFY of a constant: constants are dense float32 already, so the output is the input.
static gv_status fold(loader *l, const gv_tflite_node *n) {
    const gv_tflite_tensor *in = &l->g->tensors[n->input[0]];
    gv_tflite_tensor *out = &l->g->tensors[n->output];
    bool same = in->f32 && in->ndim == out->ndim && memcmp(in->shape, out->shape, sizeof in->shape) == 0;
    if (!same)
        return gv_fail(l->err, GV_ERR_FORMAT, "operator %d (%s): expected a float constant of the output's shape",
                       n->index, gv_tflite_code_name(n->code));
    out->f32 = in->f32;
    return GV_OK;
}

static gv_status load_node(loader *l, int index, span codes, size_t table) {
    reader *r = &l->r;
    size_t which = (uint32_t)field_i32(r, table, 0, 0, "an operator");
    span inputs = field_vector(r, table, 1, 4, "an operator"), outputs = field_vector(r, table, 2, 4, "an operator");
    if (r->bad) return broken(l);
    if (which >= codes.count)
        return gv_fail(l->err, GV_ERR_FORMAT, "operator %d: code %zu, expected less than %zu", index, which,
                       codes.count);
    size_t code_table = follow(r, codes.at + 4 * which, "the operator codes");
    int old = field_u8(r, code_table, 0, "the operator codes"),
        code = field_i32(r, code_table, 3, 0, "the operator codes");
    if (old < 128 && old > code) code = old; // the old field is signed
    gv_tflite_node n = {.code = (gv_tflite_code)code, .index = index};
    if (!gv_tflite_code_name(n.code))
        return gv_fail(l->err, GV_ERR_FORMAT, "operator %d has code %d, which is not supported", index, code);
    size_t options = field_table(r, table, 4, "options");
    bool known = node_options(r, options, &n);
    if (r->bad) return broken(l);
    if (!known)
        return gv_fail(l->err, GV_ERR_FORMAT, "operator %d (%s): options that are not supported", index,
                       gv_tflite_code_name(n.code));
    gv_status s = node_tensors(l, &n, inputs, outputs);
    if (s == GV_OK) s = check_window(l, &n);
    if (s != GV_OK) return s;
    if (n.code == GV_TFLITE_DEQUANTIZE || n.code == GV_TFLITE_DENSIFY) return fold(l, &n);
    l->written[n.output] = true;
    l->g->nodes[l->g->nnodes++] = n;
    return GV_OK;
}

// ---- The file ---------------------------------------------------------------------------------------

// Graph inputs or outputs; both lists must be in range, outputs must have a value.
static gv_status load_list(loader *l, span v, bool outputs, int **list, int *count) {
    const char *what = outputs ? "output" : "input";
    if (v.count < 1 || v.count > (size_t)l->g->ntensors)
        return gv_fail(l->err, GV_ERR_FORMAT, "the graph has %zu %ss, expected 1 to %d", v.count, what, l->g->ntensors);
    if (!(*list = gv_arena_alloc(l->g->memory, v.count, sizeof **list)))
        return gv_fail(l->err, GV_ERR_MEMORY, "no memory");
    *count = (int)v.count;
    for (int i = 0; i < *count; i++) {
        int t = read_i32(&l->r, v.at + 4 * (size_t)i, "the graph");
        if (t < 0 || t >= l->g->ntensors || l->types[t] == TYPE_I32)
            return gv_fail(l->err, GV_ERR_FORMAT, "graph %s %d is tensor %d, expected a float tensor, 0 to %d", what, i,
                           t, l->g->ntensors - 1);
        bool constant = l->g->tensors[t].f32 != NULL;
        if (outputs ? !(l->written[t] || constant) : constant || l->written[t])
            return gv_fail(l->err, GV_ERR_FORMAT, "graph %s %d: tensor %d %s", what, i, t,
                           outputs ? "is never computed" : "has a value already");
        (*list)[i] = t;
        l->written[t] = true;
    }
    return GV_OK;
}

static gv_status load_graph(loader *l, span codes, size_t graph) {
    reader *r = &l->r;
    gv_tflite *g = l->g;
    l->tables = field_vector(r, graph, 0, 4, "the tensor list");
    span nodes = field_vector(r, graph, 3, 4, "the operator list");
    span inputs = field_vector(r, graph, 1, 4, "the graph"), outputs = field_vector(r, graph, 2, 4, "the graph");
    if (r->bad) return broken(l);
    if (l->tables.count < 1 || l->tables.count > MAX_TENSORS || nodes.count > MAX_NODES)
        return gv_fail(l->err, GV_ERR_FORMAT, "%zu tensors and %zu operators, expected 1 to %d and at most %d",
                       l->tables.count, nodes.count, MAX_TENSORS, MAX_NODES);
    g->ntensors = (int)l->tables.count;
    g->tensors = gv_arena_alloc(g->memory, l->tables.count, sizeof *g->tensors);
    g->nodes = gv_arena_alloc(g->memory, nodes.count, sizeof *g->nodes);
    l->types = gv_arena_alloc(g->memory, l->tables.count, sizeof *l->types);
    l->written = gv_arena_alloc(g->memory, l->tables.count, sizeof *l->written);
    if (!g->tensors || !g->nodes || !l->types || !l->written) return gv_fail(l->err, GV_ERR_MEMORY, "no memory");
    gv_status s = GV_OK;
    for (int i = 0; i < g->ntensors && s == GV_OK; i++) s = load_tensor(l, i);
    if (s == GV_OK) s = load_list(l, inputs, false, &g->inputs, &g->ninputs);
    for (size_t i = 0; i < nodes.count && s == GV_OK; i++)
        s = load_node(l, (int)i, codes, follow(r, nodes.at + 4 * i, "the operator list"));
    if (s == GV_OK) s = load_list(l, outputs, true, &g->outputs, &g->noutputs);
    return s;
}

static gv_status load_file(loader *l) {
    reader *r = &l->r;
    if (r->size < 8 || memcmp(r->bytes + 4, "TFL3", 4) != 0)
        return gv_fail(l->err, GV_ERR_FORMAT, "not a tflite file: no TFL3 in its first 8 bytes");
    size_t model = follow(r, 0, "the root");
    int version = field_i32(r, model, 0, 0, "the root");
    span codes = field_vector(r, model, 1, 4, "the operator codes"), graphs = field_vector(r, model, 2, 4, "the root");
    l->buffers = field_vector(r, model, 4, 4, "the buffers");
    if (r->bad) return broken(l);
    if (version != 3 || graphs.count != 1)
        return gv_fail(l->err, GV_ERR_FORMAT, "tflite version %d with %zu graphs, expected version 3 with 1", version,
                       graphs.count);
    gv_status s = load_graph(l, codes, follow(r, graphs.at, "the root"));
    return s == GV_OK && r->bad ? broken(l) : s;
}

gv_status gv_tflite_parse(gv_tflite **out, const void *bytes, size_t size, gv_error *err) {
    *out = NULL;
    gv_tflite *g = calloc(1, sizeof *g);
    if (g) g->memory = gv_arena_create(0);
    if (!g || !g->memory) {
        free(g);
        return gv_fail(err, GV_ERR_MEMORY, "no memory for a tflite graph");
    }
    loader l = {.r = {bytes, size, NULL}, .g = g, .err = err};
    gv_status s = load_file(&l);
    if (s == GV_OK)
        *out = g;
    else
        gv_tflite_close(g);
    return s;
}

gv_status gv_tflite_open(gv_tflite **out, const char *path, gv_error *err) {
    *out = NULL;
    unsigned char *bytes;
    size_t size;
    gv_status s = gv_file_read(path, MAX_FILE, &bytes, &size, err);
    if (s != GV_OK) return s;
    s = gv_tflite_parse(out, bytes, size, err);
    free(bytes);
    if (s != GV_OK) gv_wrap(err, "%s", path);
    return s;
}

void gv_tflite_close(gv_tflite *g) {
    if (!g) return;
    gv_arena_destroy(g->memory);
    free(g);
}
