#include "perception/blaze_sample.h"

#include <math.h>

typedef float vec4 __attribute__((vector_size(16)));
typedef int32_t int4 __attribute__((vector_size(16)));

static inline vec4 load_rgb(const uint8_t *p) { return __builtin_convertvector((int4){p[0], p[1], p[2], 0}, vec4); }

// Image point (x, y) counted between pixel centres, already clamped to them.
static inline vec4 bilinear(const gv_image *m, double x, double y) {
    int i = (int)x, j = (int)y;
    float fx = (float)(x - i), fy = (float)(y - j);
    const uint8_t *p = m->rgb + (int64_t)j * m->stride + 3 * (int64_t)i;
    int64_t right = i + 1 < m->width ? 3 : 0, down = j + 1 < m->height ? m->stride : 0;
    vec4 a = load_rgb(p), b = load_rgb(p + right), c = load_rgb(p + down), d = load_rgb(p + down + right);
    vec4 top = a + (b - a) * fx, bottom = c + (d - c) * fx;
    return top + (bottom - top) * fy;
}

static inline double clamp(double x, double most) { return x < 0 ? 0 : x > most ? most : x; }

void gv_blaze_sample(float *out, int size, const gv_image *m, const gv_region *r, float lo, float hi, bool repeat) {
    double c = cos(r->angle), s = sin(r->angle), w = r->width, h = r->height;
    double dx = w * c / size, dy = w * s / size, right = m->width, bottom = m->height;
    float scale = (hi - lo) / 255.0f;
#pragma omp parallel for
    for (int j = 0; j < size; j++) {
        double u = 0.5 / size - 0.5, v = (j + 0.5) / size - 0.5;
        double x0 = r->cx + u * w * c - v * h * s, y0 = r->cy + u * w * s + v * h * c;
        float *o = out + (int64_t)j * size * 3;
        for (int i = 0; i < size; i++, o += 3) {
            double x = x0 + i * dx, y = y0 + i * dy;
            vec4 p = {0, 0, 0, 0};
            if (repeat || (x >= 0 && x <= right && y >= 0 && y <= bottom))
                p = bilinear(m, clamp(x - 0.5, right - 1), clamp(y - 0.5, bottom - 1));
            p = p * scale + lo;
            o[0] = p[0], o[1] = p[1], o[2] = p[2];
        }
    }
}
