#include "nn/blocked.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

void gv_blocked_upsample2(void *out, const void *in, int blocks, int h, int w, bool bf16) {
    const size_t pixel = GV_BLOCK * (bf16 ? 2 : 4), row = (size_t)w * pixel;
#pragma omp parallel for
    for (int64_t y = 0; y < (int64_t)blocks * h; y++) {
        const unsigned char *from = (const unsigned char *)in + (size_t)y * row;
        unsigned char *to = (unsigned char *)out + (size_t)y * 4 * row;
        for (int x = 0; x < w; x++)
            for (int twice = 0; twice < 2; twice++)
                memcpy(to + (2 * (size_t)x + twice) * pixel, from + (size_t)x * pixel, pixel);
        memcpy(to + 2 * row, to, 2 * row);
    }
}

// bfloat16 is the upper half of a float32.
static inline void load(float v[GV_BLOCK], const void *image, size_t pixel, bool bf16) {
    if (!bf16) {
        memcpy(v, (const float *)image + pixel * GV_BLOCK, GV_BLOCK * sizeof *v);
        return;
    }
    const uint16_t *p = (const uint16_t *)image + pixel * GV_BLOCK;
    for (int i = 0; i < GV_BLOCK; i++) {
        uint32_t bits = (uint32_t)p[i] << 16;
        memcpy(v + i, &bits, sizeof bits);
    }
}

static inline void store(void *image, size_t pixel, const float v[GV_BLOCK], bool bf16) {
    if (!bf16) {
        memcpy((float *)image + pixel * GV_BLOCK, v, GV_BLOCK * sizeof *v);
        return;
    }
    uint16_t *p = (uint16_t *)image + pixel * GV_BLOCK;
    for (int i = 0; i < GV_BLOCK; i++) {
        uint32_t bits;
        memcpy(&bits, v + i, sizeof bits);
        p[i] = (uint16_t)(bits >> 16);
    }
}

static inline int least(int a, int b) {
    return a < b ? a : b;
}

static void max5_row(void *out, const void *in, int y, int h, int w, bool bf16) {
    int top = y < 2 ? 0 : y - 2, bottom = least(y + 2, h - 1);
    for (int x = 0; x < w; x++) {
        float most[GV_BLOCK], v[GV_BLOCK];
        int left = x < 2 ? 0 : x - 2, right = least(x + 2, w - 1);
        for (int k = 0; k < GV_BLOCK; k++) most[k] = -INFINITY;
        for (int j = top; j <= bottom; j++)
            for (int i = left; i <= right; i++) {
                load(v, in, (size_t)j * w + i, bf16);
                for (int k = 0; k < GV_BLOCK; k++) most[k] = v[k] > most[k] ? v[k] : most[k];
            }
        store(out, (size_t)y * w + x, most, bf16);
    }
}

void gv_blocked_max5(void *out, const void *in, int blocks, int h, int w, bool bf16) {
    const size_t block = (size_t)h * w * GV_BLOCK * (bf16 ? 2 : 4);
#pragma omp parallel for
    for (int64_t row = 0; row < (int64_t)blocks * h; row++) {
        size_t at = (size_t)(row / h) * block;
        max5_row((unsigned char *)out + at, (const unsigned char *)in + at, (int)(row % h), h, w, bf16);
    }
}
