// The tflite reader and the executor on a small graph made here, whole and broken in every byte.
#include "test.h"

#include "base/file.h"
#include "formats/tflite.h"
#include "nn/convnet.h"
#include <stdbool.h>
#include <string.h>

// ---- A writer of FlatBuffers: every field takes four bytes ------------------------------------------

typedef struct writer {
    uint8_t bytes[8192];
    size_t n;
} writer;

static void put32(writer *w, size_t at, uint32_t v) {
    for (int i = 0; i < 4; i++) w->bytes[at + (size_t)i] = (uint8_t)(v >> (8 * i));
}

static void put16(writer *w, size_t at, uint32_t v) {
    w->bytes[at] = (uint8_t)v, w->bytes[at + 1] = (uint8_t)(v >> 8);
}

static size_t grow(writer *w, size_t n) {
    size_t at = w->n;
    w->n += (n + 3) & ~(size_t)3;
    assert_true(w->n <= sizeof w->bytes);
    return at;
}

// A table with fields 0 .. count-1, `present` as a bit mask; field k is at the result + 4 + 4 k.
static size_t table(writer *w, int count, unsigned present) {
    size_t vtable = grow(w, 4 + 2 * (size_t)count), at = grow(w, 4 + 4 * (size_t)count);
    put16(w, vtable, 4 + 2 * (unsigned)count);
    put16(w, vtable + 2, 4 + 4 * (unsigned)count);
    for (int k = 0; k < count; k++) put16(w, vtable + 4 + 2 * (size_t)k, present >> k & 1 ? 4 + 4 * (unsigned)k : 0);
    put32(w, at, (uint32_t)(at - vtable));
    return at;
}

static void set(writer *w, size_t t, int field, int value) {
    put32(w, t + 4 + 4 * (size_t)field, (uint32_t)value);
}
static void refer(writer *w, size_t at, size_t target) {
    put32(w, at, (uint32_t)(target - at));
}
static void link_field(writer *w, size_t t, int field, size_t target) {
    refer(w, t + 4 + 4 * (size_t)field, target);
}

static size_t vector(writer *w, const void *data, size_t count, size_t element) {
    size_t at = grow(w, 4 + count * element);
    put32(w, at, (uint32_t)count);
    if (data) memcpy(w->bytes + at + 4, data, count * element);
    return at;
}

static size_t ints(writer *w, const int32_t *v, size_t n) {
    return vector(w, v, n, 4);
}

// ---- The graph: [1, 4, 6, 2] -> 1x1 convolution with sparse half-float weights, ReLU6 -> PAD -> 2x2 pooling
// ----

enum { IN, VALUES, DENSE, WEIGHTS, BIAS, CONV, PADS, PADDED, OUT, TENSORS };

static size_t tensor(writer *w, const int32_t *shape, size_t ndim, int type, int buffer) {
    size_t t = table(w, 7, 0x07);
    set(w, t, 1, type);
    set(w, t, 2, buffer);
    link_field(w, t, 0, ints(w, shape, ndim));
    return t;
}

static size_t node(writer *w, int code, const int32_t *in, size_t inputs, int32_t out, bool options) {
    size_t t = table(w, 5, options ? 0x17 : 0x07);
    set(w, t, 0, code);
    link_field(w, t, 1, ints(w, in, inputs));
    link_field(w, t, 2, ints(w, &out, 1));
    return t;
}

// Three dense dimensions and a compressed one: 3 rows of 2 channels with the values 1; 2 and 0.5; none.
static size_t sparsity(writer *w) {
    static const uint8_t segments[4] = {0, 1, 3, 3}, indices[3] = {1, 0, 1};
    size_t s = table(w, 3, 0x05), dims = vector(w, NULL, 4, 4);
    link_field(w, s, 0, ints(w, (int32_t[]){0, 1, 2, 3}, 4));
    link_field(w, s, 2, dims);
    for (int d = 0; d < 4; d++) {
        size_t t = table(w, 6, d < 3 ? 0x03 : 0x3d);
        refer(w, dims + 4 + 4 * (size_t)d, t);
        set(w, t, 0, d == 3);
        if (d < 3) {
            set(w, t, 1, d == 0 ? 3 : 1);
            continue;
        }
        for (int k = 0; k < 2; k++) { // segments and indices, as bytes
            size_t v = table(w, 1, 1);
            set(w, t, 2 + 2 * k, 3);
            link_field(w, t, 3 + 2 * k, v);
            link_field(w, v, 0, k ? vector(w, indices, 3, 1) : vector(w, segments, 4, 1));
        }
    }
    return s;
}

static void write_tensors(writer *w, size_t list) {
    static const int32_t in[4] = {1, 4, 6, 2}, weights[4] = {3, 1, 1, 2}, bias[1] = {3}, conv[4] = {1, 4, 6, 3},
                         pads[2] = {4, 2}, padded[4] = {1, 4, 6, 4}, out[4] = {1, 2, 3, 4};
    size_t t[TENSORS];
    t[IN] = tensor(w, in, 4, 0, 0);
    t[VALUES] = tensor(w, weights, 4, 1, 1);
    t[DENSE] = tensor(w, weights, 4, 1, 0);
    t[WEIGHTS] = tensor(w, weights, 4, 0, 0);
    t[BIAS] = tensor(w, bias, 1, 0, 2);
    t[CONV] = tensor(w, conv, 4, 0, 0);
    t[PADS] = tensor(w, pads, 2, 2, 3);
    t[PADDED] = tensor(w, padded, 4, 0, 0);
    t[OUT] = tensor(w, out, 4, 0, 0);
    size_t s = sparsity(w);
    link_field(w, t[VALUES], 6, s);
    put16(w, t[VALUES] - 20 + 4 + 2 * 6, 4 + 4 * 6); // the vtable, 18 bytes in 20, stands before its table
    for (size_t i = 0; i < TENSORS; i++) refer(w, list + 4 + 4 * i, t[i]);
}

static void write_nodes(writer *w, size_t list) {
    const size_t t[5] = {
        node(w, 0, (int32_t[]){VALUES}, 1, DENSE, false), node(w, 1, (int32_t[]){DENSE}, 1, WEIGHTS, false),
        node(w, 2, (int32_t[]){IN, WEIGHTS, BIAS}, 3, CONV, true),
        node(w, 3, (int32_t[]){CONV, PADS}, 2, PADDED, false), node(w, 4, (int32_t[]){PADDED}, 1, OUT, true)};
    for (size_t i = 0; i < 5; i++) refer(w, list + 4 + 4 * i, t[i]);
    size_t conv = table(w, 4, 0x0e), pool = table(w, 6, 0x1f);             // references only lead forward
    set(w, conv, 1, 1), set(w, conv, 2, 1), set(w, conv, 3, GV_ACT_RELU6); // field 0 absent: SAME
    set(w, pool, 0, 1), set(w, pool, 1, 2), set(w, pool, 2, 2), set(w, pool, 3, 2), set(w, pool, 4, 2);
    link_field(w, t[2], 4, conv), link_field(w, t[4], 4, pool);
}

static void write_buffers(writer *w, size_t list) {
    static const uint16_t halves[3] = {0x3c00, 0x4000, 0x3800}; // 1, 2, 0.5
    static const float bias[3] = {0, 1, 7};
    static const int32_t pads[8] = {0, 0, 0, 0, 0, 0, 1, 0};
    const void *data[4] = {NULL, halves, bias, pads};
    const size_t size[4] = {0, sizeof halves, sizeof bias, sizeof pads};
    for (size_t i = 0; i < 4; i++) {
        size_t t = table(w, 1, i > 0);
        refer(w, list + 4 + 4 * i, t);
        if (i) link_field(w, t, 0, vector(w, data[i], size[i], 1));
    }
}

static void write_graph(writer *w) {
    static const int codes[5] = {GV_TFLITE_DENSIFY, GV_TFLITE_DEQUANTIZE, GV_TFLITE_CONV_2D, GV_TFLITE_PAD,
                                 GV_TFLITE_MAX_POOL_2D};
    memset(w, 0, sizeof *w);
    grow(w, 8);
    memcpy(w->bytes + 4, "TFL3", 4);
    size_t model = table(w, 5, 0x17), code_list = vector(w, NULL, 5, 4), graphs = vector(w, NULL, 1, 4);
    size_t graph = table(w, 4, 0x0f), buffers = vector(w, NULL, 4, 4);
    refer(w, 0, model);
    set(w, model, 0, 3);
    link_field(w, model, 1, code_list), link_field(w, model, 2, graphs), link_field(w, model, 4, buffers);
    refer(w, graphs + 4, graph);
    for (size_t i = 0; i < 5; i++) {
        size_t c = table(w, 4, 0x09);
        refer(w, code_list + 4 + 4 * i, c);
        set(w, c, 0, codes[i]), set(w, c, 3, codes[i]);
    }
    size_t tensors = vector(w, NULL, TENSORS, 4), nodes = vector(w, NULL, 5, 4);
    link_field(w, graph, 0, tensors), link_field(w, graph, 3, nodes);
    link_field(w, graph, 1, ints(w, (int32_t[]){IN}, 1)), link_field(w, graph, 2, ints(w, (int32_t[]){OUT}, 1));
    write_tensors(w, tensors);
    write_nodes(w, nodes);
    write_buffers(w, buffers);
}

// ---- Tests ------------------------------------------------------------------------------------------

static void test_small_graph(void **state) {
    (void)state;
    writer w;
    gv_error err = {0};
    gv_tflite *g = NULL;
    gv_convnet *net = NULL;
    write_graph(&w);
    if (gv_tflite_parse(&g, w.bytes, w.n, &err)) fail_msg("%s", err.text);
    assert_int_equal(g->nnodes, 3); // DENSIFY and DEQUANTIZE are folded
    const float dense[6] = {0, 1, 2, 0.5f, 0, 0};
    assert_memory_equal(g->tensors[WEIGHTS].f32, dense, sizeof dense);
    if (gv_convnet_create(&net, g, (int[]){0}, 1, 1, &err)) fail_msg("%s", err.text);
    gv_tflite_close(g);
    assert_int_equal(gv_convnet_output_count(net, 0), 2 * 3 * 4);
    for (int run = 0; run < 2; run++) {
        float *in = gv_convnet_input(net, 0);
        for (int i = 0; i < 48; i++) in[i] = (float)(i / 2) * (i % 2 ? 0.25f : -0.125f);
        if (gv_convnet_run(net, 0, &err)) fail_msg("%s", err.text);
        for (int i = 0; i < 6; i++) {
            // pixel (y, x) has channels -p/8 and p/4: rows 0 1, 2 0.5, 0 0 plus bias give p/4, 1 - p/8, 7;
            // padded in front
            int p = (i / 3 * 2 + 1) * 6 + i % 3 * 2 + 1, first = p - 7;
            const float *o = gv_convnet_output(net, 0, 0) + 4 * i;
            assert_true(o[0] == 0 && o[1] == fminf((float)p / 4, 6) && o[2] == fmaxf(1 - (float)first / 8, 0) &&
                        o[3] == 6);
        }
    }
    gv_convnet_destroy(net);
}

static void must_fail(const uint8_t *bytes, size_t n, const char *words) {
    gv_error err = {0};
    gv_tflite *g = NULL;
    gv_status s = gv_tflite_parse(&g, bytes, n, &err);
    if (s == GV_OK) fail_msg("accepted, expected: %s", words);
    assert_null(g);
    if (!strstr(err.text, words)) fail_msg("\"%s\", expected: %s", err.text, words);
}

static void test_truncated(void **state) {
    (void)state;
    writer w;
    write_graph(&w);
    must_fail(w.bytes, 0, "not a tflite file");
    must_fail(w.bytes, 7, "not a tflite file");
    for (size_t n = 8; n < w.n; n += 4) {
        uint8_t *exact = malloc(n); // so that the sanitizer sees one byte too many
        memcpy(exact, w.bytes, n);
        must_fail(exact, n, "outside the file");
        free(exact);
    }
}

// Every bit of the file flipped, and every byte set to some values: an error or a graph, which the executor
// accepts or not.
static void test_flipped(void **state) {
    (void)state;
    writer w;
    gv_error err;
    int accepted = 0, refused = 0;
    write_graph(&w);
    for (size_t at = 0; at < w.n; at++)
        for (int k = 0; k < 11; k++) {
            static const uint8_t set_to[3] = {0, 0x7f, 0xff};
            uint8_t was = w.bytes[at];
            w.bytes[at] = k < 8 ? (uint8_t)(was ^ 1 << k) : set_to[k - 8];
            gv_tflite *g = NULL;
            gv_convnet *net = NULL;
            gv_status s = gv_tflite_parse(&g, w.bytes, w.n, &err);
            assert_true((s == GV_OK) == (g != NULL));
            if (g && (at + (size_t)k) % 16 == 0 && gv_convnet_create(&net, g, (int[]){0}, 1, 1, &err) == GV_OK)
                gv_convnet_destroy(net);
            accepted += s == GV_OK, refused += s != GV_OK;
            gv_tflite_close(g);
            w.bytes[at] = was;
        }
    assert_true(accepted > 100 && refused > 1000);
}

static size_t find_bytes(const writer *w, const void *what, size_t n) {
    for (size_t i = 0; i + n <= w->n; i++)
        if (memcmp(w->bytes + i, what, n) == 0) return i;
    fail_msg("the sample has no such bytes");
    return 0;
}

static void test_broken(void **state) {
    (void)state;
    static const uint8_t segments[8] = {4, 0, 0, 0, 0, 1, 3, 3}, indices[7] = {3, 0, 0, 0, 1, 0, 1};
    static const int32_t in_shape[5] = {4, 1, 4, 6, 2}, conv_in[4] = {3, IN, WEIGHTS, BIAS};
    writer w;
    size_t at;
    write_graph(&w);
    at = find_bytes(&w, segments, sizeof segments);
    w.bytes[at + 5] = 3, w.bytes[at + 6] = 1; // decreasing
    must_fail(w.bytes, w.n, "segments of row 1");
    w.bytes[at + 5] = 1, w.bytes[at + 6] = 200;
    must_fail(w.bytes, w.n, "segments of row 1");
    write_graph(&w);
    w.bytes[find_bytes(&w, indices, sizeof indices) + 4] = 2;
    must_fail(w.bytes, w.n, "sparse index 2, expected less than 2");
    write_graph(&w);
    at = find_bytes(&w, in_shape, sizeof in_shape);
    put32(&w, at + 8, 0x7fffffff);
    must_fail(w.bytes, w.n, "extent 2147483647 of dimension 1");
    put32(&w, at + 8, 1 << 14), put32(&w, at + 12, 1 << 14);
    must_fail(w.bytes, w.n, "of dimension 2");
    write_graph(&w);
    at = find_bytes(&w, conv_in, sizeof conv_in);
    put32(&w, at + 4, 99);
    must_fail(w.bytes, w.n, "input tensor 99");
    put32(&w, at + 4, OUT);
    must_fail(w.bytes, w.n, "before it is computed");
    write_graph(&w);
    memcpy(w.bytes + 4, "TFL9", 4);
    must_fail(w.bytes, w.n, "not a tflite file");
}

// A graph that opens but whose shapes do not fit is refused by the executor.
static void test_wrong_shapes(void **state) {
    (void)state;
    static const int32_t out_shape[5] = {4, 1, 2, 3, 4}, conv_shape[5] = {4, 1, 4, 6, 3};
    gv_error err = {0};
    for (int k = 0; k < 2; k++) {
        writer w;
        gv_tflite *g = NULL;
        gv_convnet *net = NULL;
        write_graph(&w);
        put32(&w, find_bytes(&w, k ? out_shape : conv_shape, sizeof out_shape) + 8, 5);
        if (gv_tflite_parse(&g, w.bytes, w.n, &err)) fail_msg("%s", err.text);
        assert_int_equal(gv_convnet_create(&net, g, (int[]){0}, 1, 1, &err), GV_ERR_FORMAT);
        assert_null(net);
        assert_non_null(strstr(err.text, k ? "operator 4 (MAX_POOL_2D)" : "operator 2 (CONV_2D)"));
        gv_tflite_close(g);
    }
}

static void test_files(void **state) {
    (void)state;
    gv_error err = {0};
    gv_tflite *g = NULL;
    assert_int_equal(gv_tflite_open(&g, "/no/such/model.tflite", &err), GV_ERR_IO);
    assert_non_null(strstr(err.text, "/no/such/model.tflite"));
    assert_int_equal(gv_tflite_open(&g, "/etc/passwd", &err), GV_ERR_FORMAT);
    assert_non_null(strstr(err.text, "/etc/passwd: not a tflite file"));
    assert_null(g);
    gv_tflite_close(NULL);
    gv_convnet_destroy(NULL);
}

// Whole models of the pinned package, damaged in their tables, which lie behind and between the weights.
static void test_damaged_model(void **state) {
    (void)state;
    gv_error err = {0};
    unsigned char *bytes;
    size_t size;
    char *path = gv_resource_find("pose_solution_packed_assets.data", &err);
    if (!path) {
        printf("skipped: %s\n", err.text);
        skip();
    }
    assert_int_equal(gv_file_read(path, 0, &bytes, &size, &err), GV_OK);
    uint32_t random = 1;
    for (int k = 0; k < 60; k++) {
        random = random * 1664525u + 1013904223u;
        size_t at = k % 2 ? size - 1 - random % 60000 : random % size, n = k % 3 ? size : at;
        uint8_t was = bytes[at];
        gv_tflite *g = NULL;
        bytes[at] ^= (uint8_t)(1u << random % 8 | 1);
        gv_status s = gv_tflite_parse(&g, bytes, n, &err);
        assert_true((s == GV_OK) == (g != NULL));
        gv_tflite_close(g);
        bytes[at] = was;
    }
    free(bytes);
    free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_graph),   cmocka_unit_test(test_truncated),    cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_broken),        cmocka_unit_test(test_wrong_shapes), cmocka_unit_test(test_files),
        cmocka_unit_test(test_damaged_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
