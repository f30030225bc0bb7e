#include "network/attention.h"

#include "nn/vec8.h"

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

float gv_rope_power(int i, int head_dim) {
    float exponent = 2.0f * (float)i / (float)head_dim;
    float power = (float)pow(10000.0, exponent); // rounded twice, SPEC.md 5.2
    return 1.0f / power;
}

void gv_rope_table(float *cosine, float *sine, int first, int frames, int head_dim) {
    int half = head_dim / 2;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < half; i++) {
        float w = gv_rope_power(i, head_dim);
        for (int row = 0; row < frames; row++) {
            int t = first + row;
            double angle = t < GV_ROPE_ROUNDED ? (double)((float)t * w) : (double)t * (double)w;
            cosine[(size_t)row * half + i] = (float)cos(angle);
            sine[(size_t)row * half + i] = (float)sin(angle);
        }
    }
}

void gv_position_add(float *token, int t, int width) {
    for (int i = 0; 2 * i + 1 < width; i++) {
        double angle = t * pow(10000, -2.0 * i / width);
        token[2 * i] += (float)sin(angle);
        token[2 * i + 1] += (float)cos(angle);
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

// Nine neighbouring queries see 128 different keys at most. For each head of a block of queries, keys are
// gathered transposed, [d, keys], and values as they are, [keys, d]; then for nine queries at a time
//     scores [9, 128] = queries [9, d] keys [d, 128];  softmax in each one's window;  out [9, d] = p [9, 128] values
//     [128, d]
// Both products run in tiles of 3 x 32 numbers that stay in registers.
enum { GROUP = 9, REACH = GV_WINDOW + GROUP - 1, TILE_ROWS = 3, TILE_VECTORS = 4, TILE = 8 * TILE_VECTORS };

static int padded_keys(int rows) {
    return (rows + REACH + 7) & ~7;
}

static int padded_channels(int head_dim) {
    return (head_dim + TILE - 1) / TILE * TILE;
}

size_t gv_attention_scratch(int rows, int head_dim) {
    return (size_t)padded_keys(rows) * (size_t)(head_dim + padded_channels(head_dim));
}

// out[r] [32] = sum over k of a[r][k] b[k] [32], for three rows r
static void multiply_tile(float *const out[TILE_ROWS], const float *const a[TILE_ROWS], const float *b, size_t b_stride,
                          int count) {
    v8 sum[TILE_ROWS][TILE_VECTORS] = {0};
    for (int k = 0; k < count; k++, b += b_stride) {
        v8 a0 = v8_set(a[0][k]), a1 = v8_set(a[1][k]), a2 = v8_set(a[2][k]);
#pragma GCC unroll 4
        for (int i = 0; i < TILE_VECTORS; i++) {
            v8 v = v8_load(b + 8 * i);
            sum[0][i] = v8_fma(a0, v, sum[0][i]);
            sum[1][i] = v8_fma(a1, v, sum[1][i]);
            sum[2][i] = v8_fma(a2, v, sum[2][i]);
        }
    }
    for (int r = 0; r < TILE_ROWS; r++)
        for (int i = 0; i < TILE_VECTORS; i++) v8_store(out[r] + 8 * i, sum[r][i]);
}

// s [REACH] scores to probabilities exp(scale (s - max)), in place, 0 outside [lo, lo + count). Returns 1 / their sum.
static float softmax(float s[REACH], int lo, int count, float scale) {
    const v8i lanes = {0, 1, 2, 3, 4, 5, 6, 7};
    v8 top = v8_set(-INFINITY), total = v8_set(0);
    for (int j = 0; j < REACH; j += 8) {
        v8i inside = (lanes + j >= lo) & (lanes + j < lo + count);
        v8 x = (v8)((inside & (v8i)v8_load(s + j)) | (~inside & (v8i)v8_set(-INFINITY)));
        v8_store(s + j, x);
        top = v8_max(x, top);
    }
    v8 largest = v8_set(v8_largest(top));
    for (int j = 0; j < REACH; j += 8) {
        v8 p = v8_exp_negative((v8_load(s + j) - largest) * v8_set(scale));
        total += p;
        v8_store(s + j, p);
    }
    return 1 / v8_sum(total);
}

// One head's keys from..to-1, transposed to [d, stride], and its values [stride, channels]; zero beyond.
static void gather_head(float *keys, float *values, const gv_attention_input *in, int head, int from, int to,
                        int stride, int channels) {
    int width = in->heads * in->head_dim, d = in->head_dim, count = to - from;
    size_t row0 = (size_t)(from - in->first);
    const float *k = in->k + row0 * width + head * d, *v = in->v + row0 * width + head * d;
    for (int j = 0; j < stride; j += 8)
        for (int c = 0; c < d; c += 8) { // eight keys become eight neighbours in each channel's row
            v8 block[8] = {0};
            int channels_here = d - c < 8 ? d - c : 8;
            for (int i = 0; i < 8 && j + i < count; i++) {
                const float *row = k + (size_t)(j + i) * width + c;
                if (channels_here == 8)
                    block[i] = v8_load(row);
                else
                    memcpy(&block[i], row, (size_t)channels_here * sizeof *k);
            }
            v8_transpose(block);
            for (int i = 0; i < channels_here; i++) v8_store(keys + (size_t)(c + i) * stride + j, block[i]);
        }
    for (int j = 0; j < count; j++) {
        memcpy(values + (size_t)j * channels, v + (size_t)j * width, (size_t)d * sizeof *v);
        memset(values + (size_t)j * channels + d, 0, (size_t)(channels - d) * sizeof *v);
    }
    memset(values + (size_t)count * channels, 0, (size_t)(stride - count) * channels * sizeof *values);
}

// Queries first..last-1 (nine at most) of one head, whose keys and values begin with frame `from`.
static void attend_group(float *out, const gv_attention_input *in, int head, int first, int last, const float *keys,
                         const float *values, int from, int stride, int channels) {
    int d = in->head_dim, width = in->heads * d, base, lo, count;
    float scores[GROUP][REACH], mixed[GROUP][TILE], scale = 1 / sqrtf((float)d), inverse[GROUP];
    gv_attention_window(first, in->frames, in->length, &base, &count);
    keys += base - from;
    values += (size_t)(base - from) * channels;
    for (int r = 0; r < GROUP; r += TILE_ROWS) {
        const float *q[TILE_ROWS];
        for (int i = 0; i < TILE_ROWS; i++) // rows beyond the last repeat it and are not stored
            q[i] = in->q + (size_t)((first + r + i < last ? first + r + i : last - 1) - in->first) * width + head * d;
        for (int j = 0; j < REACH; j += TILE)
            multiply_tile((float *[]){scores[r] + j, scores[r + 1] + j, scores[r + 2] + j}, q, keys + j, (size_t)stride,
                          d);
    }
    for (int r = 0; r < GROUP; r++) {
        gv_attention_window(first + r < last ? first + r : last - 1, in->frames, in->length, &lo, &count);
        inverse[r] = softmax(scores[r], lo - base, count, scale);
    }
    for (int c = 0; c < channels; c += TILE) {
        for (int r = 0; r < GROUP; r += TILE_ROWS)
            multiply_tile((float *[]){mixed[r], mixed[r + 1], mixed[r + 2]},
                          (const float *[]){scores[r], scores[r + 1], scores[r + 2]}, values + c, (size_t)channels,
                          REACH);
        for (int i = first; i < last; i++) {
            float *target = out + (size_t)(i - first) * width + head * d + c;
            for (int k = 0; k < TILE && c + k < d; k++) target[k] = mixed[i - first][k] * inverse[i - first];
        }
    }
}

// Without a window: the plain formula, one query of one head after the other.
static void attend_all(float *out, const gv_attention_input *in, int first, int last) {
    int d = in->head_dim, width = in->heads * d;
    float *p = in->all, scale = 1 / sqrtf((float)d);
    for (int i = first; i < last; i++)
        for (int h = 0; h < in->heads; h++) {
            const float *q = in->q + (size_t)(i - in->first) * width + h * d;
            float *y = out + (size_t)(i - first) * width + h * d, top = -INFINITY, sum = 0;
            for (int j = 0; j < in->length; j++) {
                const float *k = in->k + (size_t)(j - in->first) * width + h * d;
                p[j] = 0;
                for (int c = 0; c < d; c++) p[j] += q[c] * k[c];
                top = fmaxf(top, p[j] *= scale);
            }
            memset(y, 0, (size_t)d * sizeof *y);
            for (int j = 0; j < in->length; j++) {
                const float *v = in->v + (size_t)(j - in->first) * width + h * d, e = expf(p[j] - top);
                sum += e;
                for (int c = 0; c < d; c++) y[c] += e * v[c];
            }
            for (int c = 0; c < d; c++) y[c] /= sum;
        }
}

void gv_attention_block(float *out, const gv_attention_input *in, int first, int last, float *scratch) {
    if (in->all) {
        attend_all(out, in, first, last);
        return;
    }
    int d = in->head_dim, stride = padded_keys(last - first), channels = padded_channels(d), from, to, count;
    gv_attention_window(first, in->frames, in->length, &from, &count);
    gv_attention_window(last - 1, in->frames, in->length, &to, &count);
    float *keys = scratch, *values = scratch + (size_t)stride * d;
    for (int h = 0; h < in->heads; h++) {
        gather_head(keys, values, in, h, from, to + count, stride, channels);
        for (int i = first; i < last; i += GROUP)
            attend_group(out + (size_t)(i - first) * in->heads * d, in, h, i, i + GROUP < last ? i + GROUP : last, keys,
                         values, from, stride, channels);
    }
}
