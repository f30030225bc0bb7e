#include "perception/blaze_sample.h"

#include <math.h>
#include <string.h>

enum { MAX_SIZE = 256 };
typedef float vec4 __attribute__((vector_size(16)));
typedef uint32_t uint4 __attribute__((vector_size(16)));
typedef int32_t int4 __attribute__((vector_size(16)));

// Where the pixels of one output row lie in the image, counted between pixel centres and clamped to them.
typedef struct row {
    int x[MAX_SIZE], y[MAX_SIZE];     // upper left of the four neighbours
    float fx[MAX_SIZE], fy[MAX_SIZE]; // weights of the right and the lower ones
    int outside[MAX_SIZE];            // beyond the image
} row;

static inline double clamp(double v, double most) {
    v = v > 0 ? v : 0;
    return v < most ? v : most;
}

// (x, y) of the first pixel and the step to the next, in image coordinates with pixel (a, b) covering [a,
// a+1).
static void find_pixels(row *r, int size, double x, double y, double dx, double dy, int width, int height) {
    double right = width, bottom = height;
    for (int i = 0; i < size; i++) {
        double px = x + i * dx, py = y + i * dy;
        r->outside[i] = (px < 0) | (px > right) | (py < 0) | (py > bottom);
        px = clamp(px - 0.5, right - 1);
        py = clamp(py - 0.5, bottom - 1);
        r->x[i] = (int)px, r->y[i] = (int)py;
        r->fx[i] = (float)(px - (int)px), r->fy[i] = (float)(py - (int)py);
    }
}

static inline vec4 load_rgb(const uint8_t *p) {
    return (vec4){p[0], p[1], p[2], 0};
}

// Reads one byte more than the pixel has.
static inline vec4 load_rgb_fast(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v); // little-endian, as everywhere here
    uint4 b = (uint4){v, v, v, v} >> (uint4){0, 8, 16, 24} & 255;
    return __builtin_convertvector((int4)b, vec4);
}

static inline vec4 bilinear(const gv_image *m, const row *r, int i) {
    const uint8_t *p = m->rgb + (int64_t)r->y[i] * m->stride + 3 * (int64_t)r->x[i];
    int64_t down = r->y[i] + 1 < m->height ? m->stride : 0;
    vec4 a, b, c, d;
    if (r->x[i] + 2 < m->width) {
        a = load_rgb_fast(p), b = load_rgb_fast(p + 3), c = load_rgb_fast(p + down), d = load_rgb_fast(p + down + 3);
    } else {
        int64_t right = r->x[i] + 1 < m->width ? 3 : 0;
        a = load_rgb(p), b = load_rgb(p + right), c = load_rgb(p + down), d = load_rgb(p + down + right);
    }
    vec4 top = a + (b - a) * r->fx[i], bottom = c + (d - c) * r->fx[i];
    return top + (bottom - top) * r->fy[i];
}

void gv_blaze_sample(float *out, int size, const gv_image *m, const gv_region *r, float lo, float hi, bool repeat) {
    double c = cos(r->angle), s = sin(r->angle), w = r->width, h = r->height, u = 0.5 / size - 0.5;
    float scale = (hi - lo) / 255.0f;
#pragma omp parallel for
    for (int j = 0; j < size; j++) {
        row at;
        double v = (j + 0.5) / size - 0.5, x = r->cx + u * w * c - v * h * s, y = r->cy + u * w * s + v * h * c;
        float *o = out + (int64_t)j * size * 3;
        find_pixels(&at, size, x, y, w * c / size, w * s / size, m->width, m->height);
        for (int i = 0; i < size; i++, o += 3) {
            vec4 p = {0, 0, 0, 0};
            if (repeat || !at.outside[i]) p = bilinear(m, &at, i);
            p = p * scale + lo;
            o[0] = p[0], o[1] = p[1], o[2] = p[2];
        }
    }
}
