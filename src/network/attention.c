#include "network/attention.h"

#include "nn/vec8.h"

enum { VECTORS = GV_WINDOW / 8 };

void gv_attention_window(int i, int frames, int length, int *lo, int *count) {
    if (frames <= GV_WINDOW) {
        *lo = 0;
        *count = length;
        return;
    }
    *lo = i - GV_WINDOW / 2;
    if (*lo < 0) *lo = 0;
    if (*lo > frames - GV_WINDOW) *lo = frames - GV_WINDOW;
    *count = GV_WINDOW;
}

void gv_rope_table(float *cosine, float *sine, int frames, int head_dim) {
    int half = head_dim / 2;
#pragma omp parallel for schedule(static)
    for (int t = 0; t < frames; t++)
        for (int i = 0; i < half; i++) {
            float exponent = 2.0f * (float)i / (float)head_dim;
            float power = (float)pow(10000.0, exponent), w = 1.0f / power; // rounded twice, SPEC.md 5.2
            float angle = (float)t * w;
            cosine[(size_t)t * half + i] = (float)cos((double)angle);
            sine[(size_t)t * half + i] = (float)sin((double)angle);
        }
}

void gv_rope_apply(float *row, const float *cosine, const float *sine, int heads, int head_dim) {
    int half = head_dim / 2;
    for (int h = 0; h < heads; h++) {
        float *a = row + h * head_dim, *b = a + half;
        for (int i = 0; i < half; i++) {
            float x = a[i], y = b[i];
            a[i] = x * cosine[i] - y * sine[i];
            b[i] = y * cosine[i] + x * sine[i];
        }
    }
}

static int padded_keys(int rows) {
    return (GV_WINDOW + rows + 7) & ~7;
}

static int padded_channels(int head_dim) {
    return (head_dim + 7) & ~7;
}

size_t gv_attention_scratch(int rows, int head_dim) {
    return (size_t)padded_keys(rows) * (size_t)(head_dim + padded_channels(head_dim));
}

// probability[j] = exp(q.k_j / sqrt(d) - max), j < GV_WINDOW; zero from count on. Returns their sum.
// keys: [d, stride], one channel of consecutive keys per row.
static float score(float probability[GV_WINDOW], const float *q, const float *keys, int stride, int d, int count,
                   float scale) {
    v8 s[VECTORS] = {0};
    for (int c = 0; c < d; c++) {
        v8 qc = v8_set(q[c]);
#pragma GCC unroll 15
        for (int j = 0; j < VECTORS; j++) s[j] = v8_fma(qc, v8_load(keys + (size_t)c * stride + 8 * j), s[j]);
    }
    if (count < GV_WINDOW)
        for (int j = count; j < GV_WINDOW; j++) s[j / 8][j % 8] = -INFINITY;
    v8 top = s[0], total = v8_set(0);
    for (int j = 1; j < VECTORS; j++) top = v8_max(s[j], top);
    v8 largest = v8_set(v8_largest(top));
    for (int j = 0; j < VECTORS; j++) {
        v8 p = v8_exp_negative((s[j] - largest) * v8_set(scale));
        total += p;
        v8_store(probability + 8 * j, p);
    }
    return v8_sum(total);
}

// out[0 .. 8 n) = sum_j probability[j] values[j] / total
static inline __attribute__((always_inline)) void mix(float *out, const float *probability, const float *values,
                                                      int stride, int count, float total, const int n) {
    v8 sum[8] = {0};
    for (int j = 0; j < count; j++) {
        v8 p = v8_set(probability[j]);
#pragma GCC unroll 8
        for (int i = 0; i < n; i++) sum[i] = v8_fma(p, v8_load(values + (size_t)j * stride + 8 * i), sum[i]);
    }
    v8 inverse = v8_set(1 / total);
    for (int i = 0; i < n; i++) v8_store(out + 8 * i, sum[i] * inverse);
}

static void mix_channels(float *out, const float *probability, const float *values, int channels, int count,
                         float total) {
    int c = 0;
    for (; c + 64 <= channels; c += 64) mix(out + c, probability, values + c, channels, count, total, 8);
    for (; c + 32 <= channels; c += 32) mix(out + c, probability, values + c, channels, count, total, 4);
    for (; c < channels; c += 8) mix(out + c, probability, values + c, channels, count, total, 1);
}

void gv_attention_block(float *out, const float *qkv, int first, int last, int frames, int length, int heads,
                        int head_dim, float *scratch) {
    int width = heads * head_dim, stride = padded_keys(last - first), channels = padded_channels(head_dim);
    int from, to, count, lo;
    gv_attention_window(first, frames, length, &from, &count);
    gv_attention_window(last - 1, frames, length, &to, &count);
    to += count;
    float *keys = scratch, *values = scratch + (size_t)stride * head_dim, scale = 1 / sqrtf((float)head_dim);
    if (to - from < GV_WINDOW) // short clips: the columns without a key are computed, then masked
        memset(scratch, 0, gv_attention_scratch(last - first, head_dim) * sizeof *scratch);
    for (int h = 0; h < heads; h++) {
        for (int j = from; j < to; j++) { // this head's keys, transposed, and its values, side by side
            const float *k = qkv + (size_t)j * 3 * width + width + h * head_dim, *v = k + width;
            for (int c = 0; c < head_dim; c++) keys[(size_t)c * stride + (j - from)] = k[c];
            memcpy(values + (size_t)(j - from) * channels, v, (size_t)head_dim * sizeof *v);
        }
        for (int i = first; i < last; i++) {
            float probability[GV_WINDOW], mixed[GV_WINDOW * 8];
            gv_attention_window(i, frames, length, &lo, &count);
            const float *q = qkv + (size_t)i * 3 * width + h * head_dim;
            float total = score(probability, q, keys + (lo - from), stride, head_dim, count, scale);
            float *target = out + (size_t)(i - first) * width + h * head_dim;
            float *direct = channels == head_dim ? target : mixed; // padded channels must not reach the next head
            mix_channels(direct, probability, values + (size_t)(lo - from) * channels, channels, count, total);
            if (direct != target) memcpy(target, mixed, (size_t)head_dim * sizeof *mixed);
        }
    }
}
