// Letters: T tokens, d head size. Keys are packed in panels of 16 tokens, [panel][d][16], values in panels of 16
// channels, [panel][T][16], both filled up with zeros. Both products run in tiles of 6 x 16 numbers that stay in
// registers: six rows of the left factor times one panel.
#include "perception/vit_attention.h"

#include "nn/vec8.h"

enum { ROWS = 6, GROUP = 4 * ROWS, PANEL = 16 };

static int panels(int n) {
    return (n + PANEL - 1) / PANEL;
}

size_t gv_vit_attention_scratch(int tokens, int head_dim) {
    size_t T = (size_t)panels(tokens) * PANEL, d = (size_t)panels(head_dim) * PANEL;
    return T * d + T * d + GROUP * d + GROUP * T + GROUP * d; // keys, values, queries, scores, mixed
}

// out[r][0..15] = sum over k < count of a[r][k] panel[k][0..15] for six rows r
static void multiply_tile(float *out, size_t out_stride, const float *a, size_t a_stride, const float *panel,
                          int count) {
    v8 sum[ROWS][2] = {0};
    for (int k = 0; k < count; k++, panel += PANEL) {
        v8 left = v8_load(panel), right = v8_load(panel + 8);
#pragma GCC unroll 6
        for (int r = 0; r < ROWS; r++) {
            v8 x = v8_set(a[(size_t)r * a_stride + k]);
            sum[r][0] = v8_fma(x, left, sum[r][0]);
            sum[r][1] = v8_fma(x, right, sum[r][1]);
        }
    }
    for (int r = 0; r < ROWS; r++) {
        v8_store(out + (size_t)r * out_stride, sum[r][0]);
        v8_store(out + (size_t)r * out_stride + 8, sum[r][1]);
    }
}

// s [padded], scores of T keys: exp(s - max) in place, 0 beyond T. Returns 1 / their sum.
static float softmax(float *s, int T, int padded) {
    v8 top = v8_set(-INFINITY), total = v8_set(0);
    for (int i = T; i < padded; i++) s[i] = -INFINITY;
    for (int i = 0; i < padded; i += 8) top = v8_max(v8_load(s + i), top);
    v8 largest = v8_set(v8_largest(top));
    for (int i = 0; i < padded; i += 8) {
        v8 p = v8_exp_negative(v8_load(s + i) - largest);
        total += p;
        v8_store(s + i, p);
    }
    return 1 / v8_sum(total);
}

static void pack_keys(float *keys, const float *k, int T, int d, size_t stride) {
    for (int p = 0; p < panels(T); p++, keys += d * PANEL)
        for (int i = 0; i < PANEL; i++) {
            int t = p * PANEL + i;
            for (int c = 0; c < d; c++) keys[c * PANEL + i] = t < T ? k[(size_t)t * stride + c] : 0;
        }
}

static void pack_values(float *values, const float *v, int T, int d, size_t stride) {
    for (int p = 0; p < panels(d); p++) {
        int first = p * PANEL, count = d - first < PANEL ? d - first : PANEL;
        for (int t = 0; t < T; t++, values += PANEL) {
            memcpy(values, v + (size_t)t * stride + first, (size_t)count * sizeof *values);
            memset(values + count, 0, (size_t)(PANEL - count) * sizeof *values);
        }
    }
}

// Row t of one head, times `scale`, to where it belongs.
static void store_row(const gv_vit_attention *a, int head, int t, const float *row, float scale) {
    size_t at = (size_t)t * a->out_stride + (size_t)head * a->head_dim;
    int d = a->head_dim, c = 0;
    if (!a->bf16)
        for (float *out = (float *)a->out + at; c < d; c++) out[c] = row[c] * scale;
    for (unsigned char *out = (unsigned char *)a->out + 2 * at; c < d; c += 8) {
        unsigned char eight[16];
        v8_store_bf16(eight, v8_load(row + c) * v8_set(scale));
        memcpy(out + 2 * (size_t)c, eight, d - c < 8 ? 2 * (size_t)(d - c) : sizeof eight);
    }
}

void gv_vit_attention_head(const gv_vit_attention *a, int head, float *scratch) {
    int T = a->tokens, d = a->head_dim, width = panels(T) * PANEL, channels = panels(d) * PANEL;
    size_t stride = (size_t)a->stride, at = (size_t)head * d;
    float *keys = scratch, *values = keys + (size_t)width * channels, *queries = values + (size_t)width * channels,
          *scores = queries + GROUP * channels, *mixed = scores + GROUP * width, scale = 1 / sqrtf((float)d);
    pack_keys(keys, a->k + at, T, d, stride);
    pack_values(values, a->v + at, T, d, stride);
    for (int first = 0; first < T; first += GROUP) {
        int count = T - first < GROUP ? T - first : GROUP;
        for (int r = 0; r < GROUP; r++) // rows beyond the last repeat it and are not stored
            for (int c = 0; c < d; c++)
                queries[r * d + c] = a->q[at + (size_t)(first + (r < count ? r : count - 1)) * stride + c] * scale;
        for (int p = 0; p < panels(T); p++)
            for (int r = 0; r < GROUP; r += ROWS)
                multiply_tile(scores + r * width + p * PANEL, (size_t)width, queries + r * d, (size_t)d,
                              keys + (size_t)p * d * PANEL, d);
        float inverse[GROUP];
        for (int r = 0; r < GROUP; r++) inverse[r] = softmax(scores + r * width, T, width);
        for (int p = 0; p < panels(d); p++)
            for (int r = 0; r < GROUP; r += ROWS)
                multiply_tile(mixed + r * channels + p * PANEL, (size_t)channels, scores + r * width, (size_t)width,
                              values + (size_t)p * T * PANEL, T);
        for (int r = 0; r < count; r++) store_row(a, head, first + r, mixed + r * channels, inverse[r]);
    }
}
