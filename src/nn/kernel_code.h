// kernel_code.h - the bodies of the device's kernels (kernels.h), compiled for the GPU and, for tests, for the
// processor.
//
// A kernel's body is the code of one block of threads. What the threads do side by side stands in
//
//     EACH_THREAD { ... thread ... }         // then all wait for each other
//     EACH_WARP { ... warp ... }             // 32 threads together; only the tiles below know more than one warp's
//     work
//
// and between two of those everything is the same for all threads of the block. On the GPU EACH_THREAD is the thread's
// own part and a barrier; on the processor it is a loop over all threads. So a body never waits inside of such a part,
// and what a thread keeps from one part to the next is declared with PER_THREAD (PER_WARP) and read as MINE(name).
//
// Letters: T keys, d head size, D width. This header is C and C++; nothing in it is for other headers.
#pragma once
#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <mma.h>
#define GV_DEVICE_CODE            static __device__ __forceinline__
#define GV_BOTH_SIDES             static __host__ __device__ inline
#define EACH_THREAD               for (int thread = threadIdx.x, once_ = 1; once_; __syncthreads(), once_ = 0)
#define EACH_WARP                 for (int warp = threadIdx.x / 32, once_ = 1; once_; __syncthreads(), once_ = 0)
#define PER_THREAD(type, name, n) type name[n]
#define PER_WARP(type, name, n)   type name[n]
#define MINE(name)                name
#define WARPS(name)               name
#define UNROLL                    _Pragma("unroll")
#else
#define GV_DEVICE_CODE            static inline
#define GV_BOTH_SIDES             static inline
enum { GV_EMULATED_THREADS = 256 };
#define EACH_THREAD               for (int thread = 0; thread < at.threads; thread++)
#define EACH_WARP                 for (int warp = 0; warp < at.threads / 32; warp++)
#define PER_THREAD(type, name, n) type name[GV_EMULATED_THREADS][n]
#define PER_WARP(type, name, n)   type name[GV_EMULATED_THREADS / 32][n]
#define MINE(name)                name[thread]
#define WARPS(name)               name[warp]
#define UNROLL
#endif

#include "nn/body_losses.h"
#include "nn/box_overlap.h"
#include "nn/crop_pixel.h"
#include "nn/hash.h"
#include "nn/heatmap_peak.h"
#include "nn/kernels.h"
#include "nn/letterbox_pixel.h"
#include "nn/yolo_cell.h"

typedef struct gv_place { // of a block
    int64_t block;
    int threads;
} gv_place;

#define GV_GRID(name) GV_BOTH_SIDES gv_grid gv_##name##_grid(const gv_##name##_args *a)
#define GV_CODE(name) GV_DEVICE_CODE void gv_##name##_code(const gv_##name##_args *a, gv_place at, char *shared)

GV_BOTH_SIDES gv_grid gv_grid_of(int64_t blocks, int threads, size_t shared) {
    gv_grid g;
    g.blocks = blocks;
    g.threads = threads;
    g.shared = shared;
    return g;
}

enum { GV_ITEMS = 256 }; // threads of a block where every thread makes one number
GV_BOTH_SIDES gv_grid gv_grid_items(int64_t count) {
    return gv_grid_of((count + GV_ITEMS - 1) / GV_ITEMS, GV_ITEMS, 0);
}

// ---- numbers

GV_DEVICE_CODE uint16_t gv_narrow(float x) { // to bfloat16, nearest even; finite x
    uint32_t u;
#ifdef __CUDACC__
    u = __float_as_uint(x);
#else
    __builtin_memcpy(&u, &x, sizeof u);
#endif
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

GV_DEVICE_CODE float gv_widen(uint16_t h) {
    uint32_t u = (uint32_t)h << 16;
#ifdef __CUDACC__
    return __uint_as_float(u);
#else
    float x;
    __builtin_memcpy(&x, &u, sizeof x);
    return x;
#endif
}

GV_DEVICE_CODE void gv_put(void *y, int64_t i, float x, bool bf16) {
    if (bf16)
        ((uint16_t *)y)[i] = gv_narrow(x);
    else
        ((float *)y)[i] = x;
}

// Sum of partial[0 ... threads), in a fixed order, the same for all threads. Clobbers them; wait before their next use.
enum { GV_SUMS = 16 };
GV_DEVICE_CODE float gv_block_sum(gv_place at, float *partial) {
    EACH_THREAD {
        if (thread < GV_SUMS)
            for (int i = thread + GV_SUMS; i < at.threads; i += GV_SUMS) partial[thread] += partial[i];
    }
    float sum = 0;
    for (int i = 0; i < GV_SUMS; i++) sum += partial[i];
    return sum;
}

// ---- rows

enum { GV_NORM_THREADS = 128 };
GV_GRID(layer_norm) {
    return gv_grid_of(a->rows, GV_NORM_THREADS, 2 * GV_NORM_THREADS * sizeof(float));
}
GV_CODE(layer_norm) { // one row
    const float *x = a->x + at.block * a->width;
    float *partial = (float *)shared;
    EACH_THREAD {
        float sum = 0;
        for (int i = thread; i < a->width; i += at.threads) sum += x[i];
        partial[thread] = sum;
    }
    float mean = gv_block_sum(at, partial) / (float)a->width;
    EACH_THREAD {
        float sum = 0;
        for (int i = thread; i < a->width; i += at.threads) sum = fmaf(x[i] - mean, x[i] - mean, sum);
        partial[at.threads + thread] = sum;
    }
    float scale = 1 / sqrtf(gv_block_sum(at, partial + at.threads) / (float)a->width + a->epsilon);
    EACH_THREAD {
        if (a->stats && thread < 2) a->stats[2 * at.block + thread] = thread ? scale : mean;
        for (int i = thread; i < a->width; i += at.threads)
            gv_put(a->y, at.block * a->width + i, fmaf((x[i] - mean) * scale, a->weight[i], a->bias[i]), a->bf16);
    }
}

GV_DEVICE_CODE float gv_activated(float z, gv_device_activation f) {
    switch (f) {
    case GV_ACTIVATE_GELU_ERF:
        return 0.5f * z * (1 + erff(z * 0.70710678f));
    case GV_ACTIVATE_GELU_TANH:
        return 0.5f * z * (1 + tanhf(0.79788456f * (z + 0.044715f * z * z * z)));
    case GV_ACTIVATE_SILU:
        return z / (1 + expf(-z));
    case GV_ACTIVATE_RELU:
        return fmaxf(z, 0);
    default:
        return z;
    }
}

// A block has a part of one row, so that nobody divides by the width.
enum { GV_ACTIVATE_EACH = 4, GV_ACTIVATE_PART = GV_ACTIVATE_EACH * GV_ITEMS };
GV_GRID(activate) {
    return gv_grid_of(a->rows * ((a->width + GV_ACTIVATE_PART - 1) / GV_ACTIVATE_PART), GV_ITEMS, 0);
}
GV_CODE(activate) {
    (void)shared;
    const int parts = (a->width + GV_ACTIVATE_PART - 1) / GV_ACTIVATE_PART;
    const int64_t row = at.block / parts * a->width;
    const int begin = (int)(at.block % parts) * GV_ACTIVATE_PART;
    EACH_THREAD {
        UNROLL for (int j = 0; j < GV_ACTIVATE_EACH; j++) {
            int c = begin + j * GV_ITEMS + thread;
            if (c < a->width) {
                const void *x = a->x ? a->x : a->y;
                float z = a->bf16 ? gv_widen(((const uint16_t *)x)[row + c]) : ((const float *)x)[row + c];
                if (a->bias) z += a->bf16_bias ? gv_widen(((const uint16_t *)a->bias)[c]) : ((const float *)a->bias)[c];
                gv_put(a->y, row + c, gv_activated(z, a->activation), a->bf16);
            }
        }
    }
}

GV_GRID(narrow) {
    return gv_grid_items(a->count);
}
GV_CODE(narrow) {
    (void)shared;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread;
        if (i < a->count) a->y[i] = gv_narrow(a->x[i]);
    }
}

GV_GRID(repeat) {
    return gv_grid_items(a->rows * a->width);
}
GV_CODE(repeat) {
    (void)shared;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread;
        if (i < a->rows * a->width) a->y[i] = a->x[i / a->width % a->period * a->width + i % a->width];
    }
}

// ---- pictures

GV_GRID(patches) {
    return gv_grid_items((int64_t)a->n * a->rows * a->columns * 3 * a->side * a->side);
}
GV_CODE(patches) {
    (void)shared;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread, rest = i / (a->side * a->side);
        int x = (int)(i % a->side), y = (int)(i / a->side % a->side), k = (int)(rest % 3);
        int c = (int)(rest / 3 % a->columns), r = (int)(rest / 3 / a->columns % a->rows);
        int64_t n = rest / 3 / a->columns / a->rows;
        if (n < a->n) {
            int picture = a->index[n], mirrored = picture < 0;
            int row = r * a->side - a->pad + y, column = c * a->side - a->pad + x;
            bool inside = row >= 0 && row < a->height && column >= 0 && column < a->width;
            if (mirrored) picture = -1 - picture;
            if (mirrored) column = a->width - 1 - column;
            a->y[i] = inside ? a->pictures[(((int64_t)picture * 3 + k) * a->height + row) * a->width + column] : 0.0f;
        }
    }
}

enum { GV_CROPPED = 256 }; // side of a crop
GV_GRID(crop) {
    return gv_grid_items((int64_t)a->n * GV_CROPPED * GV_CROPPED);
}
GV_CODE(crop) {
    (void)shared;
    gv_crop_frame f;
    f.rgb = a->rgb;
    f.width = a->width;
    f.height = a->height;
    f.stride = a->stride;
    EACH_THREAD {
        int64_t p = at.block * at.threads + thread, n = p / (GV_CROPPED * GV_CROPPED);
        if (n < a->n)
            gv_crop_pixel(a->bytes + 3 * p, &f, a->squares + n, (int)(p % GV_CROPPED),
                          (int)(p / GV_CROPPED % GV_CROPPED));
    }
}

enum { GV_CROPPED_COLUMNS = 192, GV_CROPPED_LEFT = 32 };
GV_GRID(normalise_crops) {
    return gv_grid_items((int64_t)a->n * GV_CROPPED * GV_CROPPED_COLUMNS);
}
GV_CODE(normalise_crops) { // a pixel's three channels
    (void)shared;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread, row = i / GV_CROPPED_COLUMNS, n = row / GV_CROPPED;
        const int64_t plane = GV_CROPPED * GV_CROPPED_COLUMNS;
        if (n < a->n) {
            int64_t from = ((int64_t)a->which[n] * GV_CROPPED + row % GV_CROPPED) * GV_CROPPED + GV_CROPPED_LEFT +
                           i % GV_CROPPED_COLUMNS;
            for (int k = 0; k < 3; k++)
                a->y[(3 * n + k) * plane + i % plane] = gv_crop_normalised(a->bytes[3 * from + k], k);
        }
    }
}

enum { GV_PEAK_THREADS = 128 };
GV_GRID(decode_heatmaps) {
    return gv_grid_of((int64_t)a->n * a->joints, GV_PEAK_THREADS, (GV_PEAK_THREADS + 9) * sizeof(float));
}
GV_CODE(decode_heatmaps) { // one map; of equal peaks the first
    const float *map = a->maps + at.block * GV_HEATMAP_PIXELS;
    int *best = (int *)shared;
    float *around = (float *)(best + GV_PEAK_THREADS);
    EACH_THREAD {
        int peak = thread;
        for (int i = thread; i < GV_HEATMAP_PIXELS; i += at.threads)
            if (map[i] > map[peak]) peak = i;
        best[thread] = peak;
    }
    int peak = best[0];
    for (int i = 1; i < at.threads; i++)
        if (map[best[i]] > map[peak] || (map[best[i]] == map[peak] && best[i] < peak)) peak = best[i];
    const int x = peak % GV_HEATMAP_COLUMNS, y = peak / GV_HEATMAP_COLUMNS;
    EACH_THREAD {
        if (thread < 9 && map[peak] > 0)
            around[thread] = gv_heatmap_log_blurred(map, x + thread % 3 - 1, y + thread / 3 - 1);
    }
    EACH_THREAD {
        if (thread == 0) {
            float place[2] = {(float)x, (float)y};
            if (map[peak] > 0) gv_heatmap_refine(place, around);
            gv_heatmap_place(a->kp2d + 3 * at.block, place, map[peak], a->boxes + at.block / a->joints * 3);
        }
    }
}

// ---- attention

// The keys that query i sees: gv_attention_window of network/attention.h, for a window of any size or none.
GV_BOTH_SIDES void gv_window_of(const gv_attention_args *a, int i, int *lo, int *count) {
    *lo = 0;
    *count = a->length;
    if (!a->window || a->keys <= a->window) return;
    *lo = i - a->window / 2;
    if (*lo < 0) *lo = 0;
    if (*lo > a->keys - a->window) *lo = a->keys - a->window;
    *count = a->window;
}

// 128 threads take 32 queries of one head: lane and warp of a thread are a key (or channel) and eight queries. Scores
// of all keys in reach stay in shared memory; keys and values come through it 32 at a time.
enum { GV_Q = 32, GV_K = 32, GV_Q_EACH = 8, GV_C_EACH = GV_ATTENTION_HEAD / 32, GV_ATTENTION_THREADS = 128 };

GV_BOTH_SIDES int gv_score_stride(const gv_attention_args *a) { // + 4: rows begin in different banks
    int span = a->window && a->keys > a->window ? a->window + GV_Q - 1 : a->length;
    return (span + GV_K - 1) / GV_K * GV_K + 4;
}

GV_GRID(attention) {
    int64_t tiles = (a->queries + GV_Q - 1) / GV_Q;
    size_t floats = (size_t)GV_Q * a->head_dim + (size_t)GV_K * (a->head_dim + 1) + (size_t)GV_Q * gv_score_stride(a) +
                    2 * GV_ATTENTION_THREADS;
    return gv_grid_of(tiles * a->heads * a->sequences, GV_ATTENTION_THREADS, floats * sizeof(float));
}

// Channel c of a row of queries or keys, rotated by the angles of position `t` where there are any.
GV_DEVICE_CODE float gv_rotated(const gv_attention_args *a, const float *row, int t, int c) {
    if (!a->cosine) return row[c];
    int half = a->head_dim / 2, i = c < half ? c : c - half;
    float x = row[i], y = row[half + i], cosine = a->cosine[(int64_t)t * half + i],
          sine = a->sine[(int64_t)t * half + i];
    return c < half ? x * cosine - y * sine : y * cosine + x * sine;
}

GV_CODE(attention) {
    const int d = a->head_dim, stride = gv_score_stride(a), tiles = (a->queries + GV_Q - 1) / GV_Q;
    const int head = (int)(at.block / tiles % a->heads), first = (int)(at.block % tiles) * GV_Q;
    const int64_t sequence = at.block / tiles / a->heads;
    const int last = first + GV_Q < a->queries ? first + GV_Q - 1 : a->queries - 1; // queries beyond repeat it
    const float *q = a->q + sequence * a->queries * a->q_stride + head * d;
    const float *k = a->k + sequence * a->keys * a->kv_stride + head * d;
    const float *v = a->v + sequence * a->keys * a->kv_stride + head * d;
    const float scale = 1 / sqrtf((float)d);
    float *queries = (float *)shared, *rows = queries + GV_Q * d, *scores = rows + GV_K * (d + 1);
    float *largest = scores + GV_Q * stride, *sums = largest + GV_ATTENTION_THREADS;
    int from, to, count;
    gv_window_of(a, last, &to, &count);
    to += count;
    gv_window_of(a, first, &from, &count);
    const int padded = (to - from + GV_K - 1) / GV_K * GV_K;
    EACH_THREAD {
        for (int i = thread; i < GV_Q * d; i += at.threads) {
            int t = first + i / d < last ? first + i / d : last;
            queries[i] = gv_rotated(a, q + (int64_t)t * a->q_stride, t, i % d);
        }
    }
    for (int begin = 0; begin < padded; begin += GV_K) {
        EACH_THREAD {
            for (int i = thread; i < GV_K * d; i += at.threads) {
                int t = from + begin + i / d;
                rows[i / d * (d + 1) + i % d] = t < to ? gv_rotated(a, k + (int64_t)t * a->kv_stride, t, i % d) : 0.0f;
            }
        }
        EACH_THREAD {
            const float *key = rows + thread % 32 * (d + 1), *query = queries + thread / 32 * GV_Q_EACH * d;
            float sum[GV_Q_EACH] = {0};
            for (int c = 0; c < d; c++) {
                float x = key[c];
                UNROLL for (int r = 0; r < GV_Q_EACH; r++) sum[r] = fmaf(query[r * d + c], x, sum[r]);
            }
            for (int r = 0; r < GV_Q_EACH; r++) {
                int row = thread / 32 * GV_Q_EACH + r, t = from + begin + thread % 32, lo, n;
                gv_window_of(a, first + row < last ? first + row : last, &lo, &n);
                scores[row * stride + begin + thread % 32] = t >= lo && t < lo + n ? sum[r] * scale : -INFINITY;
            }
        }
    }
    EACH_THREAD { // four threads a row
        const float *s = scores + thread / 4 * stride;
        float top = -INFINITY;
        for (int t = thread % 4; t < padded; t += 4) top = fmaxf(top, s[t]);
        largest[thread] = top;
    }
    EACH_THREAD {
        float *s = scores + thread / 4 * stride, *four = largest + thread / 4 * 4, sum = 0;
        float top = fmaxf(fmaxf(four[0], four[1]), fmaxf(four[2], four[3]));
        for (int t = thread % 4; t < padded; t += 4) sum += s[t] = expf(s[t] - top);
        sums[thread] = sum;
    }
    PER_THREAD(float, mixed, GV_Q_EACH *GV_C_EACH);
    for (int begin = 0; begin < padded; begin += GV_K) {
        EACH_THREAD {
            for (int i = thread; i < GV_K * d; i += at.threads) {
                int t = from + begin + i / d;
                rows[i / d * (d + 1) + i % d] = t < to ? v[(int64_t)t * a->kv_stride + i % d] : 0.0f;
            }
        }
        EACH_THREAD {
            const float *p = scores + thread / 32 * GV_Q_EACH * stride + begin;
            UNROLL for (int i = 0; i < GV_Q_EACH * GV_C_EACH; i++) MINE(mixed)[i] = begin ? MINE(mixed)[i] : 0;
            for (int t = 0; t < GV_K; t++) {
                UNROLL for (int j = 0; j < GV_C_EACH; j++) {
                    int c = thread % 32 + 32 * j;
                    float x = c < d ? rows[t * (d + 1) + c] : 0;
                    UNROLL for (int r = 0; r < GV_Q_EACH; r++) MINE(mixed)[r * GV_C_EACH + j] =
                        fmaf(p[r * stride + t], x, MINE(mixed)[r * GV_C_EACH + j]);
                }
            }
        }
    }
    EACH_THREAD {
        UNROLL for (int r = 0; r < GV_Q_EACH; r++) {
            int row = thread / 32 * GV_Q_EACH + r;
            const float *four = sums + 4 * row;
            float inverse = 1 / (four[0] + four[1] + four[2] + four[3]);
            int64_t to_row = (sequence * a->queries + first + row) * a->out_stride + head * d;
            UNROLL for (int j = 0; j < GV_C_EACH; j++) {
                int c = thread % 32 + 32 * j;
                if (first + row <= last && c < d)
                    gv_put(a->out, to_row + c, MINE(mixed)[r * GV_C_EACH + j] * inverse, a->bf16);
            }
        }
    }
}

// ---- tiles of 16 x 16 for the tensor cores, each of one warp

#ifdef __CUDACC__
typedef nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, 16, 16, 16, __nv_bfloat16, nvcuda::wmma::row_major> gv_tile_left;
typedef nvcuda::wmma::fragment<nvcuda::wmma::matrix_b, 16, 16, 16, __nv_bfloat16, nvcuda::wmma::row_major>
    gv_tile_right;
typedef nvcuda::wmma::fragment<nvcuda::wmma::matrix_b, 16, 16, 16, __nv_bfloat16, nvcuda::wmma::col_major>
    gv_tile_turned;
typedef nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float> gv_tile_sum;
#define gv_tile_load(tile, from, stride)                                                                               \
    nvcuda::wmma::load_matrix_sync(*(tile), (const __nv_bfloat16 *)(from), (unsigned)(stride))
#define gv_tile_load_turned                gv_tile_load
#define gv_tile_clear(tile)                nvcuda::wmma::fill_fragment(*(tile), 0.0f)
#define gv_tile_multiply(sum, left, right) nvcuda::wmma::mma_sync(*(sum), *(left), *(right), *(sum))
#define gv_tile_multiply_turned            gv_tile_multiply
#define gv_tile_store(to, tile, stride)                                                                                \
    nvcuda::wmma::store_matrix_sync(to, *(tile), (unsigned)(stride), nvcuda::wmma::mem_row_major)
#else
typedef struct gv_tile_sum {
    float at[16][16];
} gv_tile_sum;
typedef gv_tile_sum gv_tile_left, gv_tile_right, gv_tile_turned;

static inline void gv_tile_load(gv_tile_sum *tile, const uint16_t *from, int stride) {
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) tile->at[i][j] = gv_widen(from[i * stride + j]);
}
static inline void gv_tile_load_turned(gv_tile_sum *tile, const uint16_t *from, int stride) { // rows become columns
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) tile->at[j][i] = gv_widen(from[i * stride + j]);
}
static inline void gv_tile_clear(gv_tile_sum *tile) {
    __builtin_memset(tile, 0, sizeof *tile);
}
static inline void gv_tile_multiply(gv_tile_sum *sum, const gv_tile_sum *left, const gv_tile_sum *right) {
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < 16; k++)
            for (int j = 0; j < 16; j++) sum->at[i][j] += left->at[i][k] * right->at[k][j];
}
#define gv_tile_multiply_turned gv_tile_multiply
static inline void gv_tile_store(float *to, const gv_tile_sum *tile, int stride) {
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) to[i * stride + j] = tile->at[i][j];
}
#endif

// 4 warps, each with 16 queries of one head: scores of all T keys, softmax, values.
enum { GV_TILE_WARPS = 4, GV_TILE_THREADS = 32 * GV_TILE_WARPS, GV_TILE_STEPS = GV_TILE_HEAD / 16 };

// Strides in shared memory: rows begin in different banks, and where tiles may be stored. The scores' place holds the
// mixed values in the end.
GV_BOTH_SIDES int gv_tile_score_stride(const gv_tile_attention_args *a) {
    return (a->tokens > a->head_dim ? a->tokens : a->head_dim) + 4;
}
GV_BOTH_SIDES int gv_tile_share_stride(const gv_tile_attention_args *a) {
    return a->tokens + 8;
}

GV_GRID(tile_attention) {
    int64_t groups = (a->tokens + 16 * GV_TILE_WARPS - 1) / (16 * GV_TILE_WARPS);
    size_t row = (size_t)gv_tile_score_stride(a) * sizeof(float) + (size_t)gv_tile_share_stride(a) * sizeof(uint16_t);
    return gv_grid_of(groups * a->heads * a->sequences, GV_TILE_THREADS,
                      16 * GV_TILE_WARPS * row + 2 * GV_TILE_THREADS * sizeof(float));
}

GV_CODE(tile_attention) {
    const int T = a->tokens, d = a->head_dim, steps = d / 16, stride = a->stride;
    const int score_stride = gv_tile_score_stride(a), share_stride = gv_tile_share_stride(a);
    const int groups = (T + 16 * GV_TILE_WARPS - 1) / (16 * GV_TILE_WARPS);
    const int head = (int)(at.block / groups % a->heads), first = (int)(at.block % groups) * 16 * GV_TILE_WARPS;
    const int64_t sequence = at.block / groups / a->heads, origin = sequence * T * stride + head * d;
    const float scale = 1 / sqrtf((float)d);
    float *scores = (float *)shared;                                             // [64, score_stride]
    uint16_t *shares = (uint16_t *)(scores + 16 * GV_TILE_WARPS * score_stride); // [64, share_stride]
    float *largest = (float *)(shares + 16 * GV_TILE_WARPS * share_stride), *sums = largest + GV_TILE_THREADS;
    EACH_WARP {
        int row = first + 16 * warp;
        if (row < T) {
            gv_tile_left queries[GV_TILE_STEPS];
            UNROLL for (int s = 0; s < GV_TILE_STEPS; s++) if (s < steps)
                gv_tile_load(&queries[s], a->q + origin + (int64_t)row * stride + 16 * s, stride);
            for (int t = 0; t < T; t += 16) {
                gv_tile_sum sum;
                gv_tile_clear(&sum);
                UNROLL for (int s = 0; s < GV_TILE_STEPS; s++) if (s < steps) {
                    gv_tile_turned keys;
                    gv_tile_load_turned(&keys, a->k + origin + (int64_t)t * stride + 16 * s, stride);
                    gv_tile_multiply_turned(&sum, &queries[s], &keys);
                }
                gv_tile_store(scores + 16 * warp * score_stride + t, &sum, score_stride);
            }
        }
    }
    EACH_THREAD { // two threads a row, which take turns at its columns
        const float *s = scores + thread / 2 * score_stride;
        float top = -INFINITY;
        if (first + thread / 2 < T)
            for (int t = thread % 2; t < T; t += 2) top = fmaxf(top, s[t]);
        largest[thread] = top;
    }
    EACH_THREAD {
        const float *s = scores + thread / 2 * score_stride;
        float top = fmaxf(largest[thread], largest[thread ^ 1]), sum = 0;
        if (first + thread / 2 < T)
            for (int t = thread % 2; t < T; t += 2) {
                float p = expf((s[t] - top) * scale);
                sum += p;
                shares[thread / 2 * share_stride + t] = gv_narrow(p);
            }
        sums[thread] = sum;
    }
    EACH_WARP {
        if (first + 16 * warp < T) {
            gv_tile_sum mixed[GV_TILE_STEPS];
            UNROLL for (int s = 0; s < GV_TILE_STEPS; s++) gv_tile_clear(&mixed[s]);
            for (int t = 0; t < T; t += 16) {
                gv_tile_left p;
                gv_tile_load(&p, shares + 16 * warp * share_stride + t, share_stride);
                UNROLL for (int s = 0; s < GV_TILE_STEPS; s++) if (s < steps) {
                    gv_tile_right values;
                    gv_tile_load(&values, a->v + origin + (int64_t)t * stride + 16 * s, stride);
                    gv_tile_multiply(&mixed[s], &p, &values);
                }
            }
            UNROLL for (int s = 0; s < GV_TILE_STEPS; s++) if (s < steps)
                gv_tile_store(scores + 16 * warp * score_stride + 16 * s, &mixed[s], score_stride);
        }
    }
    EACH_THREAD {
        for (int i = thread; i < 16 * GV_TILE_WARPS * d; i += at.threads) {
            int row = i / d, c = i % d;
            if (first + row < T)
                a->out[(sequence * T + first + row) * a->out_stride + head * d + c] =
                    gv_narrow(scores[row * score_stride + c] / (sums[2 * row] + sums[2 * row + 1]));
        }
    }
}

// ---- the motion network

GV_GRID(rope_table) {
    return gv_grid_items((int64_t)a->frames * a->half);
}
GV_CODE(rope_table) {
    (void)shared;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread;
        if (i < (int64_t)a->frames * a->half) {
            int t = (int)(i / a->half);
            float w = a->w[i % a->half];
            double angle = t < a->rounded ? (double)((float)t * w) : (double)t * (double)w;
            a->cosine[i] = (float)cos(angle);
            a->sine[i] = (float)sin(angle);
        }
    }
}

GV_GRID(embed_joints) {
    return gv_grid_items(a->frames * a->joints * a->size);
}
GV_CODE(embed_joints) {
    (void)shared;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread;
        if (i < a->frames * a->joints * a->size) {
            int c = (int)(i % a->size), j = (int)(i / a->size % a->joints);
            const float *o = a->obs + i / a->size * 3;
            a->y[i] = o[2] > 0.5f ? a->weight[2 * c] * o[0] + a->weight[2 * c + 1] * o[1] + a->bias[c]
                                  : a->unseen[j * a->size + c];
        }
    }
}

// ---- the keypoint head

GV_GRID(gather_taps) {
    return gv_grid_items((int64_t)a->n * a->height * a->width * 4 * a->channels);
}
GV_CODE(gather_taps) {
    (void)shared;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread, pixel = i / a->channels / 4;
        int c = (int)(i % a->channels), tap = (int)(i / a->channels % 4), x = (int)(pixel % a->width);
        int y = (int)(pixel / a->width % a->height);
        int64_t n = pixel / a->width / a->height;
        if (n < a->n) { // phase 0 reads shifts 0 and -1, phase 1 shifts 1 and 0
            y += a->phase / 2 - tap / 2;
            x += a->phase % 2 - tap % 2;
            bool inside = y >= 0 && y < a->height && x >= 0 && x < a->width;
            a->y[i] = inside ? a->x[((n * a->height + y) * a->width + x) * a->channels + c] : 0.0f;
        }
    }
}

GV_GRID(scatter_phase) {
    return gv_grid_items((int64_t)a->n * a->height * a->width * a->channels);
}
GV_CODE(scatter_phase) {
    (void)shared;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread, pixel = i / a->channels;
        int c = (int)(i % a->channels);
        int64_t x = pixel % a->width * 2 + a->phase % 2, y = pixel / a->width % a->height * 2 + a->phase / 2;
        int64_t n = pixel / a->width / a->height, H = 2 * a->height, W = 2 * a->width;
        if (n < a->n)
            a->y[a->planes ? ((n * a->channels + c) * H + y) * W + x : ((n * H + y) * W + x) * a->channels + c] =
                a->x[i];
    }
}

GV_GRID(average_mirrored) {
    return gv_grid_items((int64_t)a->n * a->joints * a->height * a->width);
}
GV_CODE(average_mirrored) {
    (void)shared;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread, row = i / a->width, n = row / a->height / a->joints;
        if (n < a->n) {
            int j = (int)(row / a->height % a->joints), other = j == 0 ? 0 : j % 2 ? j + 1 : j - 1;
            int64_t from = (n * a->joints + other) * a->height + row % a->height;
            a->y[i] = (a->a[i] + a->b[from * a->width + a->width - 1 - i % a->width]) * 0.5f;
        }
    }
}

#include "nn/kernel_convolutions.h"
#include "nn/kernel_training.h"

#include "nn/kernel_losses.h"
