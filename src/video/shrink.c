#include "video/shrink.h"
#include "base/memory.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { ONE = 256, BANDS = 16 }; // the sum of a line's weights; parts of the picture, each with rows of its own

// What of a line of pixels each new one covers.
typedef struct axis {
    int taps;
    int *first;       // [new]
    uint16_t *weight; // [new, taps], in sum ONE; what would lie beyond the end weighs nothing
} axis;

// The three colours of a pixel, and the one beside it that is not used.
typedef float four __attribute__((vector_size(16)));
typedef int32_t four32 __attribute__((vector_size(16)));
typedef uint8_t sixteen8 __attribute__((vector_size(16)));

struct gv_shrinker {
    int width, height, to_width, to_height;
    axis x, y;
    four *across;  // [to_width, x.taps]: the weights of x over ONE * ONE
    uint16_t *row; // [BANDS, room]: a row of the old width, ONE times as large
    float *wide;   // [BANDS, room]: the same
    size_t room;
};

static bool make_axis(axis *a, int from, int to) {
    const double scale = (double)from / to;
    a->taps = (int)ceil(scale) + 1 < from ? (int)ceil(scale) + 1 : from;
    a->first = gv_calloc2((size_t)to, sizeof *a->first);
    a->weight = gv_calloc2((size_t)to, (size_t)a->taps * sizeof *a->weight);
    if (!a->first || !a->weight) return false;
    for (int i = 0; i < to; i++) {
        const double begin = i * scale, end = begin + scale;
        const int first = (int)begin < from - a->taps ? (int)begin : from - a->taps;
        int given = 0;
        a->first[i] = first;
        for (int k = 0; k < a->taps; k++) { // from shares of the area up to here, so that the sum is exact
            const double covered = fmin(fmax(first + k + 1 - begin, 0), end - begin) / scale;
            const int so_far = k + 1 == a->taps ? ONE : (int)lround(ONE * covered);
            a->weight[(ptrdiff_t)i * a->taps + k] = (uint16_t)(so_far - given);
            given = so_far;
        }
    }
    return true;
}

gv_shrinker *gv_shrinker_create(int width, int height, int to_width, int to_height) {
    assert(to_width >= 1 && to_height >= 1 && to_width <= width && to_height <= height);
    gv_shrinker *s = gv_calloc2(1, sizeof *s);
    if (!s) return NULL;
    *s = (gv_shrinker){.width = width, .height = height, .to_width = to_width, .to_height = to_height};
    s->room = ((size_t)width * 3 + 1 + 31) & ~(size_t)31;
    s->row = gv_calloc2(BANDS * s->room, sizeof *s->row);
    s->wide = gv_calloc2(BANDS * s->room, sizeof *s->wide);
    bool good = s->row && s->wide && make_axis(&s->x, width, to_width) && make_axis(&s->y, height, to_height);
    const size_t weights = good ? (size_t)to_width * (size_t)s->x.taps : 0;
    if (good) good = (s->across = gv_calloc2(weights, sizeof *s->across)) != NULL;
    for (size_t i = 0; i < weights && good; i++)
        for (int c = 0; c < 3; c++) s->across[i][c] = (float)s->x.weight[i] / (ONE * ONE);
    if (good) return s;
    gv_shrinker_destroy(s);
    return NULL;
}

void gv_shrinker_destroy(gv_shrinker *s) {
    if (!s) return;
    free(s->x.first), free(s->x.weight), free(s->y.first), free(s->y.weight);
    free(s->across), free(s->row), free(s->wide);
    free(s);
}

static void add_row(uint16_t *restrict sum, const uint8_t *restrict rgb, unsigned weight, size_t n) {
    for (size_t i = 0; i < n; i++) sum[i] = (uint16_t)(sum[i] + weight * rgb[i]);
}

static void widen(float *restrict out, const uint16_t *restrict in, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = (float)in[i];
}

static void shrink_row(uint8_t *restrict out, const float *restrict row, const gv_shrinker *s) {
    const four *w = s->across;
    const int taps = s->x.taps;
    for (int x = 0; x < s->to_width; x++, w += taps) {
        const float *in = row + 3 * (ptrdiff_t)s->x.first[x];
        four sum = {0.5f, 0.5f, 0.5f, 0};
        for (int k = 0; k < taps; k++, in += 3) {
            four colours;
            memcpy(&colours, in, sizeof colours);
            sum += colours * w[k];
        }
        const sixteen8 whole = (sixteen8) __builtin_convertvector(sum, four32);
        const sixteen8 mean = // the lowest byte of each
            __builtin_shufflevector(whole, whole, 0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        memcpy(out + 3 * (ptrdiff_t)x, &mean, x + 1 < s->to_width ? 4 : 3); // the next pixel's first is written again
    }
}

void gv_shrink_rgb(gv_shrinker *s, uint8_t *out, const uint8_t *rgb, int stride) {
#pragma omp parallel for schedule(dynamic, 1)
    for (int band = 0; band < BANDS; band++) {
        uint16_t *row = s->row + (size_t)band * s->room;
        float *wide = s->wide + (size_t)band * s->room;
        for (int y = s->to_height * band / BANDS; y < s->to_height * (band + 1) / BANDS; y++) {
            memset(row, 0, s->room * sizeof *row);
            for (int k = 0; k < s->y.taps; k++) {
                const unsigned weight = s->y.weight[(ptrdiff_t)y * s->y.taps + k];
                if (weight) add_row(row, rgb + (ptrdiff_t)(s->y.first[y] + k) * stride, weight, (size_t)s->width * 3);
            }
            widen(wide, row, s->room);
            shrink_row(out + (ptrdiff_t)y * s->to_width * 3, wide, s);
        }
    }
}
