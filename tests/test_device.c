// The device layer, its kernels against the processor's own functions, and the networks on an emulated device.
//
// The kernels' code is that of the GPU (nn/kernel_code.h), run by emulated_device.c; what only a GPU can show is not
// tested here: cuBLASLt, the tensor cores' own rounding, races between threads. tests/on_device.h runs the networks'
// tests there.
#include "emulated_device.h"
#include "folder.h"
#include "weights_folder.h"

#include "network/attention.h"
#include "network/network.h"
#include "nn/kernels.h"
#include "nn/vec8.h"
#include "nn/yolo_cell.h"
#include "perception/boxes.h"
#include "perception/crop.h"
#include "perception/hmr2.h"
#include "perception/letterbox.h"
#include "perception/vit.h"
#include "perception/vit_attention.h"
#include "perception/vitpose.h"

enum { CROP = 3 * GV_CROP_ROWS * GV_CROP_COLUMNS, BYTES = GV_CROP_SIDE * GV_CROP_SIDE * 3 };
enum { MAP = 17 * GV_HEATMAP_ROWS * GV_HEATMAP_COLUMNS };

static float *noise(size_t count, uint32_t seed, float scale) {
    float *p = gv_calloc2(count + 8, sizeof *p);
    for (size_t i = 0; i < count; i++)
        p[i] = scale * ((float)((seed = seed * 1664525u + 1013904223u) >> 8) / (float)(1 << 23) - 1);
    return p;
}

static gv_device *emulated(size_t limit, size_t largest) {
    gv_device *d = NULL;
    gv_error err = {0};
    if (gv_device_wrap(&d, gv_emulated_ops(limit, largest), &err)) fail_msg("%s", err.text);
    return d;
}

// Everything that was handed out has come back.
static void close_empty(gv_device *d) {
    assert_int_equal(gv_emulated_bytes(), 0);
    gv_device_close(d);
}

static void *placed(gv_device *d, const void *host, size_t count, size_t size) {
    void *p = gv_device_alloc(d, count, size);
    gv_device_upload(d, p, host, count * size);
    return p;
}

static void finish(gv_device *d) {
    gv_error err = {0};
    if (gv_device_finish(d, &err)) fail_msg("%s", err.text);
}

static float widen(uint16_t h) {
    uint32_t u = (uint32_t)h << 16;
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static uint16_t *narrowed(const float *x, size_t count) { // and x is rounded to it
    uint16_t *y = gv_calloc2(count + 8, sizeof *y);
    for (size_t i = 0; i < count; i += 8) v8_store_bf16(y + i, v8_load(x + i));
    return y;
}

// ---- kernels

static void test_layer_norm(void **state) {
    (void)state;
    static const int widths[] = {8, 96, 1280};
    for (int k = 0; k < 3; k++) {
        int D = widths[k], rows = 5;
        size_t n = (size_t)rows * D;
        float *x = noise(n, 1, 3), *w = noise((size_t)D, 2, 1), *b = noise((size_t)D, 3, 1), *y = noise(n, 4, 0),
              *e = noise(n, 4, 0);
        uint16_t *half = gv_calloc2(n, sizeof *half);
        for (int i = 0; i < rows; i++) gv_layer_norm(e + i * D, x + i * D, w, b, D, 1e-6f);
        gv_device *d = emulated(0, 0);
        float *dx = placed(d, x, n, 4), *dw = placed(d, w, (size_t)D, 4), *db = placed(d, b, (size_t)D, 4);
        uint16_t *dh = gv_device_alloc(d, n, 2);
        gv_kernel(d, layer_norm, .y = dh, .x = dx, .weight = dw, .bias = db, .rows = rows, .width = D, .epsilon = 1e-6f,
                  .bf16 = true);
        gv_kernel(d, layer_norm, .y = dx, .x = dx, .weight = dw, .bias = db, .rows = rows, .width = D,
                  .epsilon = 1e-6f); // in place
        gv_device_download(d, y, dx, n * 4);
        gv_device_download(d, half, dh, n * 2);
        finish(d);
        close_empty(d);
        assert_true(max_abs_diff(y, e, n) < 2e-6);
        for (size_t i = 0; i < n; i++) assert_true(fabsf(widen(half[i]) - e[i]) <= fabsf(e[i]) / 256 + 2e-6f);
        free(x), free(w), free(b), free(y), free(e), free(half);
    }
}

static double activated(double z, gv_device_activation a) {
    return a == GV_ACTIVATE_GELU_ERF    ? z / 2 * (1 + erf(z / sqrt(2)))
           : a == GV_ACTIVATE_GELU_TANH ? z / 2 * (1 + tanh(sqrt(2 / M_PI) * (z + 0.044715 * z * z * z)))
           : a == GV_ACTIVATE_SILU      ? z / (1 + exp(-z))
           : a == GV_ACTIVATE_RELU      ? fmax(z, 0)
                                        : z;
}

static void test_activate(void **state) {
    (void)state;
    enum { ROWS = 3, WIDTH = 1500, N = ROWS * WIDTH }; // more than one part of a row, the last one not full
    float *x = noise(N, 1, 6), *b = noise(WIDTH, 2, 1), *y = noise(N, 1, 0);
    uint16_t *half = gv_calloc2(N, sizeof *half);
    for (gv_device_activation a = GV_ACTIVATE_NONE; a <= GV_ACTIVATE_RELU; a++)
        for (int bias = 0; bias < 3; bias++) {
            gv_device *d = emulated(0, 0);
            float *dx = placed(d, x, N, 4);
            uint16_t *x16 = narrowed(x, N), *b16 = narrowed(b, WIDTH), *dh = placed(d, x16, N, 2);
            const void *db = bias == 2 ? placed(d, b16, WIDTH, 2) : bias ? placed(d, b, WIDTH, 4) : NULL;
            gv_kernel(d, activate, .y = dx, .bias = db, .rows = ROWS, .width = WIDTH, .activation = a,
                      .bf16_bias = bias == 2);
            gv_kernel(d, activate, .y = dh, .bias = db, .rows = ROWS, .width = WIDTH, .activation = a, .bf16 = true,
                      .bf16_bias = bias == 2);
            gv_device_download(d, y, dx, N * 4);
            gv_device_download(d, half, dh, N * 2);
            finish(d);
            close_empty(d);
            for (int i = 0; i < N; i++) {
                double add = bias == 2 ? widen(b16[i % WIDTH]) : bias ? b[i % WIDTH] : 0;
                double e = activated(x[i] + add, a), e16 = activated(widen(x16[i]) + add, a);
                assert_true(fabs(y[i] - e) < 2e-6);
                assert_true(fabs(widen(half[i]) - e16) <= fabs(e16) / 256 + 2e-6);
            }
            free(x16), free(b16);
        }
    free(x), free(b), free(y), free(half);
}

// Full attention against the processor's, in float32 and on tiles.
static void check_full(int n, int T, int heads, int d, bool tiles) {
    int D = heads * d;
    size_t rows = (size_t)n * T, count = rows * 3 * D;
    float *qkv = noise(count, 9, 2), *e = noise(rows * D, 1, 0), *y = noise(rows * D, 1, 0);
    uint16_t *qkv16 = narrowed(qkv, count), *y16 = gv_calloc2(rows * D, sizeof *y16);
    for (size_t i = 0; i < count && tiles; i++) qkv[i] = widen(qkv16[i]);
    float *scratch = gv_calloc2(gv_vit_attention_scratch(T, d), sizeof *scratch);
    for (int i = 0; i < n; i++)
        for (int h = 0; h < heads; h++) {
            const float *q = qkv + (size_t)i * T * 3 * D;
            gv_vit_attention_head(&(gv_vit_attention){.q = q,
                                                      .k = q + D,
                                                      .v = q + 2 * D,
                                                      .tokens = T,
                                                      .head_dim = d,
                                                      .stride = 3 * D,
                                                      .out = e + (size_t)i * T * D,
                                                      .out_stride = D},
                                  h, scratch);
        }
    gv_device *dev = emulated(0, 0);
    void *to = gv_device_alloc(dev, rows * D, 4);
    if (tiles) {
        uint16_t *q = placed(dev, qkv16, count, 2);
        gv_kernel(dev, tile_attention, .q = q, .k = q + D, .v = q + 2 * D, .out = to, .sequences = n, .tokens = T,
                  .heads = heads, .head_dim = d, .stride = 3 * D, .out_stride = D);
        gv_device_download(dev, y16, to, rows * D * 2);
    } else {
        float *q = placed(dev, qkv, count, 4);
        gv_kernel(dev, attention, .q = q, .k = q + D, .v = q + 2 * D, .out = to, .sequences = n, .queries = T,
                  .keys = T, .length = T, .heads = heads, .head_dim = d, .q_stride = 3 * D, .kv_stride = 3 * D,
                  .out_stride = D);
        gv_device_download(dev, y, to, rows * D * 4);
    }
    finish(dev);
    close_empty(dev);
    for (size_t i = 0; i < rows * D && tiles; i++) y[i] = widen(y16[i]);
    double error = max_abs_diff(y, e, rows * D); // values up to 2; shares and results are rounded to 8 bits on tiles
    if (!(error < (tiles ? 1.2e-2 : 3e-6))) fail_msg("%d tokens, heads of %d: off by %g", T, d, error);
    free(qkv), free(e), free(y), free(qkv16), free(y16), free(scratch);
}

static void test_full_attention(void **state) {
    (void)state;
    check_full(2, 192, 2, 80, false);
    check_full(1, 192, 3, 6, false);
    check_full(1, 1, 1, 128, false);
    check_full(3, 33, 1, 64, false);
    check_full(2, 192, 2, 80, true);
    check_full(1, 192, 3, 64, true);
    check_full(2, 32, 1, 16, true);
    check_full(1, 80, 2, 128, true); // a group of queries that is not full, and more channels than keys
}

// One query a picture over its keys, which are half of a row.
static void test_single_query(void **state) {
    (void)state;
    enum { N = 3, T = 192, H = 8, HEAD = 8, E = H * HEAD };
    float *q = noise(N * E, 1, 1), *kv = noise((size_t)N * T * 2 * E, 2, 1), y[N * E];
    gv_device *d = emulated(0, 0);
    float *dq = placed(d, q, N * E, 4), *dkv = placed(d, kv, (size_t)N * T * 2 * E, 4);
    float *to = gv_device_alloc(d, N * E, 4);
    gv_kernel(d, attention, .q = dq, .k = dkv, .v = dkv + E, .out = to, .sequences = N, .queries = 1, .keys = T,
              .length = T, .heads = H, .head_dim = HEAD, .q_stride = E, .kv_stride = 2 * E, .out_stride = E);
    gv_device_download(d, y, to, sizeof y);
    finish(d);
    close_empty(d);
    for (int i = 0; i < N; i++)
        for (int h = 0; h < H; h++) {
            double p[T], total = 0, out[HEAD] = {0};
            for (int t = 0; t < T; t++) {
                double s = 0;
                for (int c = 0; c < HEAD; c++)
                    s += (double)q[i * E + h * HEAD + c] * kv[((size_t)i * T + t) * 2 * E + h * HEAD + c];
                total += p[t] = exp(s / sqrt(HEAD));
            }
            for (int t = 0; t < T; t++)
                for (int c = 0; c < HEAD; c++)
                    out[c] += p[t] / total * kv[((size_t)i * T + t) * 2 * E + E + h * HEAD + c];
            for (int c = 0; c < HEAD; c++) assert_true(fabs(y[i * E + h * HEAD + c] - out[c]) < 1e-6);
        }
    free(q), free(kv);
}

// Rotation and window against gv_rope_apply and gv_attention_block.
static void check_band(int L, int length, int heads, int d) {
    int D = heads * d, half = d / 2;
    size_t count = (size_t)L * D, angles = (size_t)L * half;
    float *q = noise(count, 1, 2), *k = noise(count, 2, 2), *v = noise(count, 3, 1), *e = noise(count, 1, 0),
          *y = noise(count, 1, 0), *c = noise(angles, 1, 0), *s = noise(angles, 1, 0), *w = noise((size_t)half, 1, 0),
          *found = noise(angles, 1, 0);
    for (int i = 0; i < half; i++) w[i] = gv_rope_power(i, d);
    gv_rope_table(c, s, 0, L, d);
    gv_device *dev = emulated(0, 0);
    float *dq = placed(dev, q, count, 4), *dk = placed(dev, k, count, 4), *dv = placed(dev, v, count, 4);
    float *dc = gv_device_alloc(dev, angles, 4), *ds = gv_device_alloc(dev, angles, 4);
    float *to = gv_device_alloc(dev, count, 4), *dw = placed(dev, w, (size_t)half, 4);
    gv_kernel(dev, rope_table, .cosine = dc, .sine = ds, .w = dw, .frames = L, .half = half,
              .rounded = GV_ROPE_ROUNDED);
    gv_kernel(dev, attention, .q = dq, .k = dk, .v = dv, .out = to, .cosine = dc, .sine = ds, .sequences = 1,
              .queries = L, .keys = L, .length = length, .window = GV_WINDOW, .heads = heads, .head_dim = d,
              .q_stride = D, .kv_stride = D, .out_stride = D);
    gv_device_download(dev, y, to, count * 4);
    gv_device_download(dev, found, dc, angles * 4);
    assert_memory_equal(found, c, angles * 4);
    gv_device_download(dev, found, ds, angles * 4);
    assert_memory_equal(found, s, angles * 4);
    finish(dev);
    close_empty(dev);
    for (int t = 0; t < L; t++) {
        gv_rope_apply(q + (size_t)t * D, c + (size_t)t * half, s + (size_t)t * half, heads, d);
        gv_rope_apply(k + (size_t)t * D, c + (size_t)t * half, s + (size_t)t * half, heads, d);
    }
    float *scratch = gv_calloc2(gv_attention_scratch(L, d), sizeof *scratch);
    gv_attention_block(e, &(gv_attention_input){q, k, v, 0, L, length, heads, d, NULL}, 0, L, scratch);
    double error = max_abs_diff(y, e, count);
    if (!(error < 3e-6)) fail_msg("%d frames, %d valid, heads of %d: off by %g", L, length, d, error);
    free(q), free(k), free(v), free(e), free(y), free(c), free(s), free(w), free(found), free(scratch);
}

static void test_banded_attention(void **state) {
    (void)state;
    check_band(1, 1, 2, 64);
    check_band(50, 30, 2, 64);
    check_band(120, 120, 1, 16);
    check_band(121, 121, 2, 64);
    check_band(333, 333, 3, 10);
    check_band(1000, 1000, 1, 64);
}

static void test_crops(void **state) {
    (void)state;
    enum { W = 200, H = 150, N = 5, STRIDE = 3 * W + 7 };
    static const float boxes[N][3] = {
        {100, 80, 90}, {20.5f, 130.25f, 300}, {90, 70, 900}, {1e6f, -1e6f, 50}, {60, 60, 1}}; // the third is blurred
    uint8_t *frame = malloc(STRIDE * H), *e = malloc((size_t)N * BYTES), *y = malloc((size_t)N * BYTES);
    uint32_t seed = 5;
    for (int i = 0; i < STRIDE * H; i++) frame[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
    for (int padded = 0; padded < 2; padded++) {
        const gv_image image = {frame, W, H, padded ? STRIDE : 3 * W};
        for (int i = 0; i < N; i++) gv_crop_bytes(e + (size_t)i * BYTES, &image, boxes[i], 1);
        gv_device *d = emulated(0, 0);
        uint8_t *placed = gv_device_alloc(d, N, BYTES);
        const gv_image there = gv_frame_place(d, &image);
        gv_crop_queue(d, placed, &there, boxes[0], N, 1, gv_crop_squares(d, gv_device_alloc));
        gv_device_download(d, y, placed, (size_t)N * BYTES);
        finish(d);
        close_empty(d);
        assert_memory_equal(y, e, (size_t)N * BYTES);
    }
    free(frame), free(e), free(y);
}

// Sizes that are kept, halved, shrunk, grown, padded on either axis; rows with gaps.
static void test_letterbox(void **state) {
    (void)state;
    static const int sizes[][2] = {{640, 384}, {1280, 720}, {768, 576}, {99, 33}, {300, 811}, {1, 1}, {1500, 2}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const int w = sizes[k][0], h = sizes[k][1], stride = 3 * w + (k % 2 ? 5 : 0);
        const gv_letterbox l = gv_letterbox_for(w, h);
        const size_t pixels = (size_t)l.width * l.height;
        uint8_t *rgb = malloc((size_t)stride * h), *planes = malloc(3 * pixels);
        uint32_t seed = 5;
        for (int i = 0; i < stride * h; i++) rgb[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
        const gv_image image = {rgb, w, h, stride};
        float *y = gv_calloc2(pixels, 3 * sizeof *y);
        gv_device *d = emulated(0, 0);
        float *there = gv_device_alloc(d, pixels, 3 * sizeof *y);
        const gv_image frame = gv_frame_place(d, &image);
        gv_letterbox_queue(d, there, l, &frame);
        gv_device_download(d, y, there, pixels * 3 * sizeof *y);
        finish(d);
        close_empty(d);
        gv_letterbox_apply(planes, l, &image);
        for (size_t i = 0; i < 3 * pixels; i++)
            if (y[i] != (float)planes[i % 3 * pixels + i / 3] / 255) fail_msg("%d x %d: number %zu is off", w, h, i);
        free(rgb), free(planes), free(y);
    }
}

typedef struct scored {
    float box[4], score;
    int cell;
} scored;

static int best_first(const void *x, const void *y) {
    const scored *a = x, *b = y;
    return a->score != b->score ? (a->score < b->score ? 1 : -1) : a->cell - b->cell;
}

// Against sorting and gv_box_suppress: many boxes over one another, scores that are the same, boxes that are empty.
static void check_suppression(int height, int width, int max, float share) {
    int cells = gv_yolo_cells_of(height, width, GV_YOLO_LEVELS), n = 0;
    float *cell = noise((size_t)cells * 5, 7, 1), found[1 + 5 * GV_YOLO_MAX];
    scored *all = gv_calloc2((size_t)cells, sizeof *all);
    float(*boxes)[4] = gv_calloc2((size_t)cells, sizeof *boxes);
    int *kept = gv_calloc2((size_t)cells, sizeof *kept);
    for (int i = 0; i < cells; i++) {
        float *c = cell + 5 * i;
        c[0] = c[0] < 2 * share - 1 ? 0.5f + floorf(40 * (c[1] + 1)) / 160 : 0.4f; // a half itself is no person
        for (int k = 1; k < 5; k++) c[k] = 2 + 2 * c[k];                           // from 0 to 4 cells, some empty
        if (i % 50 == 7) c[3] = -c[1];
        if (!(c[0] > 0.5f)) continue;
        all[n] = (scored){.score = c[0], .cell = i};
        gv_yolo_box(all[n++].box, c + 1, i, height, width);
    }
    qsort(all, (size_t)n, sizeof *all, best_first);
    for (int i = 0; i < n; i++) memcpy(boxes[i], all[i].box, sizeof *boxes);
    int count = gv_box_suppress(kept, (const float(*)[4])boxes, n, 0.7, max);
    gv_device *d = emulated(0, 0);
    float *dc = placed(d, cell, (size_t)cells, 20), *dk = placed(d, found, 1, sizeof found);
    gv_kernel(d, suppress, .kept = dk, .cells = dc, .height = height, .width = width, .max = max, .least = 0.5f,
              .overlap = 0.7);
    gv_device_download(d, found, dk, sizeof found);
    finish(d);
    close_empty(d);
    assert_int_equal(found[0], count);
    assert_true(share == 0 ? count == 0 : count > 3);
    for (int i = 0; i < count; i++) {
        assert_memory_equal(found + 1 + 5 * i, all[kept[i]].box, sizeof all->box);
        assert_float_equal(found[5 + 5 * i], all[kept[i]].score, 0);
    }
    free(cell), free(all), free(boxes), free(kept);
}

static void test_suppression(void **state) {
    (void)state;
    check_suppression(384, 640, GV_YOLO_MAX, 0.02f);
    check_suppression(384, 640, GV_YOLO_MAX, 0.6f);
    check_suppression(640, 640, 5, 0.6f);
    check_suppression(32, 64, GV_YOLO_MAX, 0.9f); // fewer cells than threads
    check_suppression(384, 640, GV_YOLO_MAX, 0);
}

// ---- products of layers

static void check_linear(gv_linear_activation activation, bool bf16_in, bool bf16_out, bool accumulate,
                         bool with_bias) {
    enum { ROWS = 5, IN = 48, OUT = 24 };
    float *x = noise(ROWS * IN, 1, 1), *w = noise(OUT * IN, 2, 0.5f), *b = noise(OUT, 3, 1),
          *y = noise(ROWS * OUT, 4, 1);
    uint16_t *x16 = narrowed(x, ROWS * IN), *w16 = narrowed(w, OUT * IN), *y16 = gv_calloc2(ROWS * OUT, 2);
    static const gv_device_activation same[] = {[GV_LINEAR_ONLY] = GV_ACTIVATE_NONE,
                                                [GV_LINEAR_GELU_ERF] = GV_ACTIVATE_GELU_ERF,
                                                [GV_LINEAR_GELU_TANH] = GV_ACTIVATE_GELU_TANH,
                                                [GV_LINEAR_SILU] = GV_ACTIVATE_SILU,
                                                [GV_LINEAR_RELU] = GV_ACTIVATE_RELU};
    double e[ROWS * OUT];
    for (int i = 0; i < ROWS * OUT; i++) {
        double z = (with_bias ? b[i % OUT] : 0) + (accumulate ? y[i] : 0);
        for (int k = 0; k < IN; k++)
            z += bf16_in ? (double)widen(x16[i / OUT * IN + k]) * widen(w16[i % OUT * IN + k])
                         : (double)x[i / OUT * IN + k] * w[i % OUT * IN + k];
        e[i] = activated(z, same[activation]);
    }
    gv_error err = {0};
    gv_nn *nn = NULL;
    gv_linear *l = NULL;
    gv_device *d = emulated(0, 0);
    const gv_linear_spec spec = {IN, OUT, activation, accumulate, bf16_in, bf16_out};
    assert_int_equal(gv_nn_create(&nn, 1, d, &err), GV_OK);
    assert_int_equal(gv_linear_create(&l, nn, &spec, w, with_bias ? b : NULL, &err), GV_OK);
    void *dx = bf16_in ? placed(d, x16, ROWS * IN, 2) : placed(d, x, ROWS * IN, 4), *dy = placed(d, y, ROWS * OUT, 4);
    gv_linear_queue(l, dx, dy, ROWS);
    gv_device_download(d, bf16_out ? (void *)y16 : y, dy, ROWS * OUT * (bf16_out ? 2 : 4));
    finish(d);
    gv_linear_destroy(l);
    gv_nn_destroy(nn);
    close_empty(d);
    for (int i = 0; i < ROWS * OUT; i++) {
        // bfloat16 twice where the activation is behind the product, and the bias once
        double found = bf16_out ? widen(y16[i]) : y[i], limit = bf16_out ? fabs(e[i]) / 64 + 0.02 : 1e-5;
        if (!(fabs(found - e[i]) < limit)) fail_msg("activation %d, %d: %g, expected %g", activation, i, found, e[i]);
    }
    free(x), free(w), free(b), free(y), free(x16), free(w16), free(y16);
}

static void test_linear(void **state) {
    (void)state;
    for (gv_linear_activation a = GV_LINEAR_ONLY; a <= GV_LINEAR_RELU; a++)
        for (int types = 0; types < 4; types++)
            for (int bias = 0; bias < 2; bias++) check_linear(a, types & 1, types & 2, false, bias);
    check_linear(GV_LINEAR_ONLY, false, false, true, true);
    check_linear(GV_LINEAR_ONLY, true, false, true, true);
}

// ---- networks

static gv_vitpose *small_vitpose(gv_precision precision, gv_device *d) {
    gv_vitpose *v = NULL;
    gv_error err = {0};
    const char *path = in_dir("vitpose.safetensors");
    if (access(path, R_OK)) write_small_vitpose(path);
    if (gv_vitpose_open(&v, path, precision, d, &err)) fail_msg("%s", err.text);
    return v;
}

static float *heatmaps(gv_precision precision, gv_device *d, const float *crops, int n, bool flip) {
    gv_vitpose *v = small_vitpose(precision, d);
    gv_error err = {0};
    float *maps = gv_calloc2((size_t)n, MAP * sizeof *maps);
    if (gv_vitpose_heatmaps(v, crops, n, flip, maps, &err)) fail_msg("%s", err.text);
    gv_vitpose_close(v);
    return maps;
}

static double relative(const float *found, const float *expected, size_t n) {
    double scale = 0;
    for (size_t i = 0; i < n; i++) scale = fmax(scale, fabs((double)expected[i]));
    return max_abs_diff(found, expected, n) / scale;
}

static void test_vitpose(void **state) {
    (void)state;
    enum { N = 2 };
    float *crops = noise(N * CROP, 1, 2), *expected[2];
    for (int flip = 0; flip < 2; flip++) {
        expected[flip] = heatmaps(GV_PRECISION_F32, NULL, crops, N, flip);
        gv_device *d = emulated(0, 0);
        float *f32 = heatmaps(GV_PRECISION_F32, d, crops, N, flip);
        assert_int_equal(gv_emulated_launches(GV_KERNEL_tile_attention), 0);
        assert_true(relative(f32, expected[flip], N * MAP) < 1e-5);
        float *bf16 = heatmaps(GV_PRECISION_BF16, d, crops, N, flip);
        close_empty(d);
        assert_int_equal(gv_emulated_launches(GV_KERNEL_tile_attention), 2);
        double error = relative(bf16, expected[flip], N * MAP);
        if (!(error < 5e-2 && error > 1e-6)) fail_msg("bfloat16 is off by %g", error);
        free(f32), free(bf16), free(expected[flip]);
    }
    free(crops);
}

static void test_hmr2(void **state) {
    (void)state;
    enum { N = 3, W = 1024 };
    const char *path = in_dir("hmr2.safetensors");
    float *crops = noise(N * CROP, 2, 2), *found = noise(N * W, 1, 0), *expected = noise(N * W, 1, 0);
    gv_error err = {0};
    write_small_hmr2(path);
    for (int k = 0; k < 3; k++) { // processor, float32, bfloat16
        gv_device *d = k ? emulated(0, 0) : NULL;
        gv_hmr2 *h = NULL;
        if (gv_hmr2_open(&h, path, k == 2 ? GV_PRECISION_BF16 : GV_PRECISION_F32, d, &err)) fail_msg("%s", err.text);
        assert_int_equal(gv_hmr2_run(h, &(gv_crops){.numbers = crops}, N, k ? found : expected, &err), GV_OK);
        gv_hmr2_close(h);
        if (k) close_empty(d);
        if (k) assert_true(relative(found, expected, N * W) < (k == 2 ? 2e-2 : 1e-5));
    }
    free(crops), free(found), free(expected);
}

// Crops that stay on the device and peaks that are found there give what the processor's crops and decoding give.
static void test_staying(void **state) {
    (void)state;
    enum { N = 5, W = 300, H = 200, TOKEN = 1024 };
    static const float boxes[N][3] = {{100, 80, 90}, {20, 130, 300}, {190, 70, 150}, {250, 100, 60}, {60, 60, 40}};
    static const int32_t which[N] = {3, 0, 4, 2, 1};
    uint8_t *frame = malloc(3 * W * H);
    uint32_t seed = 5;
    for (int i = 0; i < 3 * W * H; i++) frame[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
    const gv_image image = {frame, W, H, 3 * W};
    float *numbers = gv_calloc2(N, CROP * sizeof *numbers), order[N][3], kp[3][N * 51], tokens[2][N * TOKEN];
    for (int i = 0; i < N; i++) {
        memcpy(order[i], boxes[which[i]], sizeof order[i]);
        gv_crop_person(numbers + (size_t)i * CROP, &image, order[i], 1);
    }
    gv_error err = {0};
    gv_device *d = emulated(0, 0);
    uint8_t *placed = gv_device_keep(d, NULL, N, BYTES);
    const gv_image there = gv_frame_place(d, &image);
    gv_crop_queue(d, placed, &there, boxes[0], N, 1, gv_crop_squares(d, gv_device_alloc));
    finish(d);
    gv_vitpose *v = small_vitpose(GV_PRECISION_F32, d);
    float *maps = gv_calloc2(N, MAP * sizeof *maps);
    assert_int_equal(gv_vitpose_heatmaps(v, numbers, N, true, maps, &err), GV_OK);
    for (int i = 0; i < N; i++) gv_vitpose_decode(kp[0] + 51 * i, maps + (size_t)i * MAP, order[i]);
    assert_int_equal(gv_vitpose_run(v, &(gv_crops){.numbers = numbers}, order[0], N, true, kp[1], &err), GV_OK);
    assert_int_equal(gv_vitpose_run(v, &(gv_crops){NULL, placed, which}, order[0], N, true, kp[2], &err), GV_OK);
    gv_vitpose_close(v);
    assert_memory_equal(kp[0], kp[1], sizeof kp[0]);
    assert_memory_equal(kp[0], kp[2], sizeof kp[0]);
    assert_true(fabsf(kp[0][0] - kp[0][51]) > 1);
    const char *path = in_dir("hmr2.safetensors");
    gv_hmr2 *h = NULL;
    write_small_hmr2(path);
    assert_int_equal(gv_hmr2_open(&h, path, GV_PRECISION_F32, d, &err), GV_OK);
    assert_int_equal(gv_hmr2_run(h, &(gv_crops){.numbers = numbers}, N, tokens[0], &err), GV_OK);
    assert_int_equal(gv_hmr2_run(h, &(gv_crops){NULL, placed, which}, N, tokens[1], &err), GV_OK);
    assert_memory_equal(tokens[0], tokens[1], sizeof tokens[0]);
    gv_hmr2_close(h);
    gv_device_drop(d, placed);
    close_empty(d);
    free(frame), free(numbers), free(maps);
}

// Peaks at the edge, in the corner, twice the same, and nowhere.
static void test_peaks(void **state) {
    (void)state;
    enum { N = 2, J = 17, PIXELS = GV_HEATMAP_PIXELS };
    static const float boxes[N][3] = {{500, 400, 300}, {-20, 1000.5f, 77}};
    float *maps = gv_calloc2(N, MAP * sizeof *maps), expected[N * 51], found[N * 51];
    for (int i = 0; i < N * J; i++) {
        float *map = maps + (size_t)i * PIXELS, cx = (float)(i * 13 % 60) - 4, cy = (float)(i * 29 % 70) - 3;
        for (int k = 0; k < PIXELS; k++) {
            float x = (float)(k % GV_HEATMAP_COLUMNS) - cx, y = (float)(k / GV_HEATMAP_COLUMNS) - cy;
            map[k] = i == 5 ? -1 - (float)k : i == 6 ? 0 : 0.9f * expf(-(x * x + 0.7f * y * y + 0.3f * x * y) / 8);
        }
        if (i == 7) map[100] = map[2000] = map[3000] = 2;
    }
    for (int i = 0; i < N; i++) gv_vitpose_decode(expected + 51 * i, maps + (size_t)i * MAP, boxes[i]);
    gv_device *d = emulated(0, 0);
    float *dm = placed(d, maps, N, MAP * sizeof *maps), *db = placed(d, boxes, N, 12), *dk = placed(d, found, N, 204);
    gv_kernel(d, decode_heatmaps, .kp2d = dk, .maps = dm, .boxes = db, .n = N, .joints = J);
    gv_device_download(d, found, dk, sizeof found);
    finish(d);
    close_empty(d);
    assert_memory_equal(found, expected, sizeof found);
    free(maps);
}

typedef struct motion_output {
    float *x, *cam, *logits;
} motion_output;

static gv_network *small_motion(gv_device *d, gv_precision precision) {
    enum { D = 64 };
    int n = gv_network_weight_table(NULL, 0, D, 1, 1);
    gv_weight_spec *table = gv_calloc2((size_t)n, sizeof *table);
    float **weights = gv_calloc2((size_t)n, sizeof *weights);
    gv_network_weight_table(table, n, D, 1, 1);
    for (int i = 0; i < n; i++) {
        size_t count = 1;
        for (int k = 0; k < table[i].ndim; k++) count *= (size_t)table[i].shape[k];
        weights[i] = noise(count, (uint32_t)i, 0.2f);
    }
    gv_network *net = NULL;
    gv_error err = {0};
    if (gv_network_create(&net, (const float *const *)weights, D, 1, 1, 4, precision, d, &err))
        fail_msg("%s", err.text);
    for (int i = 0; i < n; i++) free(weights[i]);
    free(weights), free(table);
    return net;
}

static motion_output run_small_motion(gv_network *net, int L, uint32_t seed) {
    gv_error err = {0};
    size_t frames = (size_t)L;
    float *obs = noise(frames * 51, seed + 1, 1), *cliff = noise(frames * 3, seed + 2, 1),
          *angvel = noise(frames * 6, seed + 3, 1), *images = noise(frames * 1024, seed + 4, 1);
    motion_output out = {noise(frames * GV_PRED_X, 1, 0), noise(frames * 3, 1, 0), noise(frames * 6, 1, 0)};
    gv_status s = gv_network_run(
        net,
        &(gv_network_input){
            .frames = L, .length = L, .obs = obs, .cliff = cliff, .cam_angvel = angvel, .f_imgseq = images},
        &(gv_network_output){.pred_x = out.x, .pred_cam = out.cam, .static_conf_logits = out.logits}, &err);
    if (s) fail_msg("%s", err.text);
    free(obs), free(cliff), free(angvel), free(images);
    return out;
}

static motion_output run_motion(gv_device *d, gv_precision precision, int L) {
    gv_network *net = small_motion(d, precision);
    motion_output out = run_small_motion(net, L, 0);
    gv_network_close(net);
    return out;
}

// More frames than the hidden layer has room for at once.
static void test_motion(void **state) {
    (void)state;
    const int L = 8192 + 100;
    motion_output e = run_motion(NULL, GV_PRECISION_F32, L);
    for (int bf16 = 0; bf16 < 2; bf16++) {
        gv_device *d = emulated(0, 0);
        motion_output y = run_motion(d, bf16 ? GV_PRECISION_BF16 : GV_PRECISION_F32, L);
        close_empty(d);
        double limit = bf16 ? 3e-2 : 1e-5;
        assert_true(relative(y.x, e.x, (size_t)L * GV_PRED_X) < limit);
        assert_true(relative(y.cam, e.cam, (size_t)L * 3) < limit);
        assert_true(relative(y.logits, e.logits, (size_t)L * 6) < limit);
        free(y.x), free(y.cam), free(y.logits);
    }
    free(e.x), free(e.cam), free(e.logits);
}

// ---- what comes again and again

static void test_recorded(void **state) {
    (void)state;
    float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, zero[8] = {0}, y[8];
    gv_error err = {0};
    gv_device *d = emulated(0, 0);
    float *dx = gv_device_keep(d, x, 8, sizeof *x), *dy = gv_device_keep(d, zero, 8, sizeof *x);
    gv_device_record(d);
    gv_kernel(d, add, .y = dy, .x = dx, .count = 8, .period = 8, .accumulate = true);
    void *graph = gv_device_recorded(d);
    gv_device_download(d, y, dy, sizeof y);
    assert_memory_equal(y, zero, sizeof y); // nothing is done yet
    for (int i = 0; i < 3; i++) gv_device_replay(d, graph);
    gv_device_download(d, y, dy, sizeof y);
    finish(d);
    for (int i = 0; i < 8; i++) assert_float_equal(y[i], 3 * x[i], 0);
    gv_device_forget(d, graph);
    gv_device_record(d);
    assert_null(gv_device_alloc(d, 1, 1)); // memory would have another address the next time
    assert_null(gv_device_recorded(d));
    assert_int_equal(gv_device_finish(d, &err), GV_ERR_INTERNAL);
    assert_non_null(strstr(err.text, "recorded"));
    gv_device_record(d); // and one that nobody ends
    assert_int_equal(gv_device_finish(d, &err), GV_OK);
    gv_device_download(d, y, dy, sizeof y);
    finish(d);
    gv_device_drop(d, dx);
    gv_device_drop(d, dy);
    close_empty(d);
}

// Lengths that come and go give the same numbers whether their layers are queued one by one or as a recorded piece.
static void test_motion_again(void **state) {
    (void)state;
    enum { RUNS = 10 };
    static const int lengths[RUNS] = {40, 40, 40, 40, 57, 57, 57, 40, 40, 40};
    static const int replays[RUNS] = {0, 0, 1, 2, 2, 2, 3, 3, 3, 4};
    gv_device *d = emulated(0, 0);
    gv_network *net = small_motion(d, GV_PRECISION_BF16);
    for (int r = 0; r < RUNS; r++) {
        motion_output y = run_small_motion(net, lengths[r], (uint32_t)r), e;
        assert_int_equal(gv_emulated_replays(), replays[r]);
        gv_network *other = small_motion(d, GV_PRECISION_BF16);
        e = run_small_motion(other, lengths[r], (uint32_t)r);
        gv_network_close(other);
        assert_memory_equal(y.x, e.x, (size_t)lengths[r] * GV_PRED_X * sizeof *y.x);
        assert_memory_equal(y.logits, e.logits, (size_t)lengths[r] * 6 * sizeof *y.x);
        free(y.x), free(y.cam), free(y.logits), free(e.x), free(e.cam), free(e.logits);
    }
    gv_network_close(net);
    close_empty(d);
}

static gv_hmr2 *small_hmr2(gv_precision precision, gv_device *d) {
    const char *path = in_dir("hmr2.safetensors");
    gv_hmr2 *h = NULL;
    gv_error err = {0};
    write_small_hmr2(path);
    if (gv_hmr2_open(&h, path, precision, d, &err)) fail_msg("%s", err.text);
    return h;
}

// One of the two networks on n people: numbers of each, and what lies outside of the recorded piece.
typedef struct network {
    gv_vitpose *vitpose;
    gv_hmr2 *hmr2;
    size_t each;
    int outside;
} network;

static network open_one(bool hmr2, gv_device *d) {
    return hmr2 ? (network){NULL, small_hmr2(GV_PRECISION_BF16, d), 1024, 1}    // patches
                : (network){small_vitpose(GV_PRECISION_BF16, d), NULL, MAP, 2}; // and the mean with the mirrored ones
}

static void run_one(const network *w, const float *crops, int n, float *y) {
    gv_error err = {0};
    if (w->vitpose ? gv_vitpose_heatmaps(w->vitpose, crops, n, true, y, &err)
                   : gv_hmr2_run(w->hmr2, &(gv_crops){.numbers = crops}, n, y, &err))
        fail_msg("%s", err.text);
}

static void close_one(network *w) {
    gv_vitpose_close(w->vitpose);
    gv_hmr2_close(w->hmr2);
}

// As many pictures as before are a recorded piece with all that follows, the largest number of those; the numbers stay
// the same, those of fewer pictures in between as well.
static void test_pictures_again(void **state) {
    (void)state;
    enum { RUNS = 9, MOST_PEOPLE = 3 };
    static const int people[RUNS] = {2, 2, 2, 1, 2, 3, 3, 2, 3}, replays[RUNS] = {0, 1, 2, 2, 3, 3, 4, 4, 5};
    float *crops = noise(MOST_PEOPLE * CROP, 1, 2);
    float *y = gv_calloc2(MOST_PEOPLE, MAP * sizeof *y), *e = gv_calloc2(MOST_PEOPLE, MAP * sizeof *e);
    for (int hmr2 = 0; hmr2 < 2; hmr2++) {
        gv_device *d = emulated(0, 0);
        network w = open_one(hmr2, d);
        size_t most = 0;
        for (int r = 0; r < RUNS; r++) {
            const float *from = crops + (size_t)(r % 2 && people[r] < MOST_PEOPLE) * CROP; // not those recorded
            const int before = gv_emulated_replays(), singles = gv_emulated_singles();
            run_one(&w, from, people[r], y);
            assert_int_equal(gv_emulated_replays(), replays[r]);
            if (gv_emulated_replays() > before) assert_int_equal(gv_emulated_singles() - singles, w.outside);
            if (r == 2) most = gv_emulated_bytes();
            if (r == 3 || r == 4) assert_int_equal(gv_emulated_bytes(), most);
            network other = open_one(hmr2, d);
            run_one(&other, from, people[r], e);
            assert_memory_equal(y, e, (size_t)people[r] * w.each * sizeof *y);
            close_one(&other);
        }
        close_one(&w);
        close_empty(d);
    }
    free(crops), free(y), free(e);
}

// Where memory runs out at any size in the second batch, which would keep its own, it is halved, and the numbers are
// the same.
static void test_no_room_again(void **state) {
    (void)state;
    enum { N = 2 };
    float *crops = noise(N * CROP, 1, 2);
    float *y = gv_calloc2(N, MAP * sizeof *y), *e = gv_calloc2(N, MAP * sizeof *e);
    for (int hmr2 = 0; hmr2 < 2; hmr2++) {
        gv_device *d = emulated(0, 0);
        network w = open_one(hmr2, d);
        run_one(&w, crops, N, e);
        run_one(&w, crops, N, y);
        const size_t need = gv_emulated_most();
        close_one(&w);
        int halved = 0;
        for (size_t less = 1; less < need / 3; less = 8 * less + 1000) {
            gv_emulated_ops(0, 0);
            w = open_one(hmr2, d);
            run_one(&w, crops, N, y);
            gv_emulated_ops(need - less, 0);
            for (int r = 0; r < 2; r++) {
                memset(y, 0, N * w.each * sizeof *y);
                run_one(&w, crops, N, y);
                assert_memory_equal(y, e, N * w.each * sizeof *y);
            }
            halved += gv_emulated_refusals() > 0;
            close_one(&w);
            assert_int_equal(gv_emulated_bytes(), 0);
        }
        assert_true(halved > 1);
        close_empty(d);
    }
    free(crops), free(y), free(e);
}

// ---- when memory is short, or the device breaks

static void test_halving(void **state) {
    (void)state;
    enum { N = 5 };
    float *crops = noise(N * CROP, 1, 2);
    gv_error err = {0};
    gv_device *d = emulated(0, 0);
    float *e = heatmaps(GV_PRECISION_F32, d, crops, N, true), *y = gv_calloc2(N, MAP * sizeof *y);
    close_empty(d);
    d = emulated(0, (size_t)4 << 20); // in one piece: the weights, and rows of at most two people
    gv_vitpose *v = small_vitpose(GV_PRECISION_F32, d);
    assert_int_equal(gv_emulated_refusals(), 0);
    assert_int_equal(gv_vitpose_heatmaps(v, crops, N, true, y, &err), GV_OK);
    int refusals = gv_emulated_refusals();
    assert_true(refusals > 0);
    assert_true(relative(y, e, N * MAP) < 1e-6);
    memset(y, 0, N * MAP * sizeof *y); // what it has learnt stays
    assert_int_equal(gv_vitpose_heatmaps(v, crops, N, true, y, &err), GV_OK);
    assert_int_equal(gv_emulated_refusals(), refusals);
    assert_true(relative(y, e, N * MAP) < 1e-6);
    gv_vitpose_close(v);
    close_empty(d);
    free(crops), free(e), free(y);
}

// How often memory of `limit` bytes was too small for batches of so many people, one after the other.
static int refusals_in(size_t limit, const float *crops, const int *people, int batches) {
    float *maps = gv_calloc2((size_t)people[0], MAP * sizeof *maps);
    gv_error err = {0};
    gv_device *d = emulated(limit, 0);
    gv_vitpose *v = NULL;
    gv_status s = gv_vitpose_open(&v, in_dir("vitpose.safetensors"), GV_PRECISION_BF16, d, &err);
    for (int i = 0; i < batches && !s; i++) s = gv_vitpose_heatmaps(v, crops, people[i], false, maps, &err);
    const int refusals = s ? 1 : gv_emulated_refusals();
    gv_vitpose_close(v);
    close_empty(d);
    free(maps);
    return refusals;
}

// A last, smaller batch, and the next after it, need no more memory than those before.
static void test_smaller_batch(void **state) {
    (void)state;
    enum { MOST = 6 };
    static const int people[] = {MOST, MOST, MOST, MOST - 1, MOST};
    float *crops = noise(MOST * CROP, 1, 2);
    assert_int_equal(refusals_in(0, crops, people, 3), 0);
    const size_t enough = gv_emulated_most();
    assert_true(refusals_in(enough - 1, crops, people, 3) > 0);
    assert_int_equal(refusals_in(enough, crops, people, 5), 0);
    free(crops);
}

static void test_too_little(void **state) {
    (void)state;
    float *crops = noise(CROP, 1, 2), *y = gv_calloc2(1, MAP * sizeof *y);
    gv_error err = {0};
    gv_device *d = emulated(0, 0);
    gv_vitpose *v = small_vitpose(GV_PRECISION_F32, d);
    size_t weights = gv_emulated_bytes();
    gv_emulated_ops(weights + (1 << 20), 0); // hardly more than the weights
    assert_int_equal(gv_vitpose_heatmaps(v, crops, 1, false, y, &err), GV_ERR_MEMORY);
    assert_non_null(strstr(err.text, "no memory"));
    assert_int_equal(gv_emulated_bytes(), weights);
    gv_emulated_ops(0, 0); // and it goes on when there is more
    assert_int_equal(gv_vitpose_heatmaps(v, crops, 1, false, y, &err), GV_OK);
    gv_vitpose_close(v);
    close_empty(d);
    d = emulated(weights / 2, 0); // less than the weights
    assert_int_equal(gv_vitpose_open(&v, in_dir("vitpose.safetensors"), GV_PRECISION_F32, d, &err), GV_ERR_MEMORY);
    assert_null(v);
    close_empty(d);
    free(crops), free(y);
}

// Whatever operation fails, the error is told, nothing is kept, and the next run is as before.
static void test_breaking(void **state) {
    (void)state;
    float *crops = noise(CROP, 1, 2), *e = gv_calloc2(1, MAP * sizeof *e), *y = gv_calloc2(1, MAP * sizeof *y);
    gv_error err = {0};
    gv_device *d = emulated(0, 0);
    gv_vitpose *v = small_vitpose(GV_PRECISION_BF16, d);
    size_t weights = gv_emulated_bytes();
    assert_int_equal(gv_vitpose_heatmaps(v, crops, 1, true, e, &err), GV_OK);
    int broken = 0;
    for (int after = 1;; after += 17) {
        gv_emulated_break(after);
        gv_status s = gv_vitpose_heatmaps(v, crops, 1, true, y, &err);
        gv_emulated_break(0);
        if (s == GV_OK) break;
        assert_int_equal(gv_emulated_bytes(), weights);
        assert_int_equal(s, GV_ERR_INTERNAL);
        assert_string_equal(err.text, "the emulated device broke");
        broken++;
    }
    assert_true(broken > 2);
    assert_memory_equal(y, e, MAP * sizeof *y);
    gv_vitpose_close(v);
    close_empty(d);
    free(crops), free(e), free(y);
}

typedef struct plan {
    int most, calls, done;
} plan;

static gv_status work(void *user, int first, int count, gv_error *err) {
    plan *p = user;
    p->calls++;
    if (count > p->most) return gv_fail(err, GV_ERR_MEMORY, "too many");
    assert_int_equal(first, p->done);
    p->done += count;
    return GV_OK;
}

static void test_batches(void **state) {
    (void)state;
    gv_error err = {0};
    plan p = {.most = 3};
    int batch = 64;
    assert_int_equal(gv_device_batches(20, &batch, work, &p, &err), GV_OK); // 20, 10, 5, then twos
    assert_int_equal(p.done, 20);
    assert_int_equal(batch, 2);
    assert_int_equal(p.calls, 3 + 10);
    p = (plan){.most = 0};
    batch = 8;
    assert_int_equal(gv_device_batches(20, &batch, work, &p, &err), GV_ERR_MEMORY);
    assert_int_equal(p.calls, 4); // 8, 4, 2, 1
    p = (plan){.most = 100};
    assert_int_equal(gv_device_batches(0, &batch, work, &p, &err), GV_OK);
    assert_int_equal(p.calls, 0);
}

// ---- where there is none

static void test_choice(void **state) {
    (void)state;
    gv_device *d = NULL;
    gv_error err = {0};
    assert_int_equal(gv_device_open(&d, GV_DEVICE_CPU, &err), GV_OK);
    assert_null(d);
    assert_string_equal(gv_device_name(NULL), "processor");
    gv_device_ops other = *gv_emulated_ops(0, 0);
    other.version++;
    assert_int_equal(gv_device_wrap(&d, &other, &err), GV_ERR_MISSING);
    assert_non_null(strstr(err.text, "another build"));
    assert_null(d);
    if (gv_device_open(&d, GV_DEVICE_CUDA, &err) == GV_OK) {
        printf("there is a GPU: %s\n", gv_device_name(d));
        gv_device_close(d);
        skip();
    }
    assert_null(d);
    assert_int_equal(err.status, GV_ERR_MISSING);
    assert_int_equal(strncmp(err.text, "CUDA cannot be used: ", 21), 0);
    assert_null(strchr(err.text, '\n'));
    err = (gv_error){0};
    assert_int_equal(gv_device_open(&d, GV_DEVICE_AUTO, &err), GV_OK);
    assert_null(d);
    assert_non_null(strstr(err.text, "on the processor: CUDA cannot be used: "));
}

static int lines(const char *text) {
    int n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

static void test_command_line(void **state) {
    (void)state;
    char text[2048];
    gv_device *d = NULL;
    assert_int_equal(program("predict", "none.npz -o out.npz --device gpu", text), 2);
    assert_non_null(strstr(text, "--device: \"gpu\", expected cpu, auto or cuda"));
    assert_int_equal(program("observe", "none.mp4 -o out.npz --device 1", text), 2);
    assert_non_null(strstr(text, "--device: \"1\", expected cpu, auto or cuda"));
    if (gv_device_open(&d, GV_DEVICE_CUDA, NULL) == GV_OK) {
        gv_device_close(d);
        skip();
    }
    assert_int_equal(program("predict", "none.npz -o out.npz --device cuda", text), 1);
    assert_int_equal(strncmp(text, "gvhmr: CUDA cannot be used: ", 28), 0);
    assert_int_equal(lines(text), 1);
    assert_int_equal(program("train", "--data none.gvs -o out --device gpu", text), 2);
    assert_int_equal(program("train", "--data none.gvs -o out --device cuda", text), 1);
    assert_int_equal(lines(text), 1);
    assert_int_equal(program("run", "none.mp4 -o out --device cuda", text), 1);
    assert_int_equal(lines(text), 1);
    assert_int_equal(program("predict", "none.npz -o out.npz --device auto", text), 1);
    assert_non_null(strstr(text, "gvhmr: on the processor: CUDA cannot be used: "));
    assert_non_null(strstr(text, "none.npz")); // it went on
    assert_int_equal(program("predict", "none.npz -o out.npz --device auto --quiet", text), 1);
    assert_null(strstr(text, "processor"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_activate),
        cmocka_unit_test(test_full_attention),
        cmocka_unit_test(test_single_query),
        cmocka_unit_test(test_banded_attention),
        cmocka_unit_test(test_crops),
        cmocka_unit_test(test_letterbox),
        cmocka_unit_test(test_suppression),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_vitpose),
        cmocka_unit_test(test_hmr2),
        cmocka_unit_test(test_staying),
        cmocka_unit_test(test_peaks),
        cmocka_unit_test(test_motion),
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_motion_again),
        cmocka_unit_test(test_pictures_again),
        cmocka_unit_test(test_no_room_again),
        cmocka_unit_test(test_halving),
        cmocka_unit_test(test_smaller_batch),
        cmocka_unit_test(test_too_little),
        cmocka_unit_test(test_breaking),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_command_line),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
