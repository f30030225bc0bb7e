#include "video/yuv.h"
#include "base/memory.h"

#include <stdlib.h>

// E'Y = 0.2126 R + 0.7152 G + 0.0722 B; C'b = (B - Y) / 1.8556; C'r = (R - Y) / 1.5748; 219 and 224 steps of 255.
#define KR      0.2126
#define KB      0.0722
#define KG      (1 - KR - KB)
#define ONE     65536
#define LUMA(k) ((int)((k)*219 / 255 * ONE + 0.5))
#define BLUE(k) ((int)((k) / (2 * (1 - KB)) * 224 / 255 * ONE + ((k) < 0 ? -0.5 : 0.5)))
#define RED(k)  ((int)((k) / (2 * (1 - KR)) * 224 / 255 * ONE + ((k) < 0 ? -0.5 : 0.5)))

typedef struct planar { // a row
    uint8_t *r, *g, *b; // [columns]
} planar;

static void split(planar p, const uint8_t *restrict rgb, int width, int columns) {
    uint8_t *restrict r = p.r, *restrict g = p.g, *restrict b = p.b;
    for (int x = 0; x < width; x++) r[x] = rgb[3 * x], g[x] = rgb[3 * x + 1], b[x] = rgb[3 * x + 2];
    if (columns > width) r[width] = r[width - 1], g[width] = g[width - 1], b[width] = b[width - 1];
}

static void luma_row(uint8_t *restrict out, planar p, int columns) {
    const uint8_t *restrict r = p.r, *restrict g = p.g, *restrict b = p.b;
    for (int x = 0; x < columns; x++)
        out[x] = (uint8_t)((LUMA(KR) * r[x] + LUMA(KG) * g[x] + LUMA(KB) * b[x] + 16 * ONE + ONE / 2) / ONE);
}

static void chroma_row(uint8_t *restrict blue, uint8_t *restrict red, planar p, planar q, int columns) {
    for (int x = 0; x < columns / 2; x++) { // sums of four pixels
        const int r = p.r[2 * x] + p.r[2 * x + 1] + q.r[2 * x] + q.r[2 * x + 1];
        const int g = p.g[2 * x] + p.g[2 * x + 1] + q.g[2 * x] + q.g[2 * x + 1];
        const int b = p.b[2 * x] + p.b[2 * x + 1] + q.b[2 * x] + q.b[2 * x + 1];
        const int zero = 4 * (128 * ONE + ONE / 2);
        blue[x] = (uint8_t)((BLUE(-KR) * r + BLUE(-KG) * g + BLUE(1 - KB) * b + zero) / (4 * ONE));
        red[x] = (uint8_t)((RED(1 - KR) * r + RED(-KG) * g + RED(-KB) * b + zero) / (4 * ONE));
    }
}

bool gv_yuv420_from_rgb(uint8_t *const plane[3], const int pitch[3], const uint8_t *rgb, int stride, int width,
                        int height) {
    enum { MOST = 16 }; // bands, each with its own rows
    const int columns = width + (width & 1), pairs = (height + 1) / 2, bands = pairs < MOST ? pairs : MOST;
    uint8_t *scratch = gv_calloc2((size_t)bands * 6, (size_t)columns);
    if (!scratch) return false;
#pragma omp parallel for schedule(dynamic, 1)
    for (int band = 0; band < bands; band++) {
        uint8_t *s = scratch + (size_t)band * 6 * (size_t)columns;
        planar row[2];
        for (int i = 0; i < 2; i++, s += 3 * (size_t)columns) row[i] = (planar){s, s + columns, s + 2 * columns};
        for (int j = pairs * band / bands; j < pairs * (band + 1) / bands; j++) {
            for (int i = 0; i < 2; i++) {
                const int y = 2 * j + i < height ? 2 * j + i : height - 1;
                split(row[i], rgb + (ptrdiff_t)y * stride, width, columns);
                luma_row(plane[0] + (ptrdiff_t)(2 * j + i) * pitch[0], row[i], columns);
            }
            chroma_row(plane[1] + (ptrdiff_t)j * pitch[1], plane[2] + (ptrdiff_t)j * pitch[2], row[0], row[1], columns);
        }
    }
    free(scratch);
    return true;
}
