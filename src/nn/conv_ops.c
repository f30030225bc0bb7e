#include "nn/conv_ops.h"

#include <math.h>
#include <string.h>

static inline float activate(float v, gv_tflite_activation act) {
    if (act == GV_ACT_NONE) return v;
    v = v > 0 ? v : 0;
    return act == GV_ACT_RELU6 && v > 6 ? 6 : v;
}

static void add_range(float *out, const float *a, const float *b, int64_t n, gv_tflite_activation act) {
    if (act == GV_ACT_NONE)
        for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
    else
        for (int64_t i = 0; i < n; i++) out[i] = activate(a[i] + b[i], act);
}

void gv_op_add(float *out, const float *a, const float *b, int64_t n, gv_tflite_activation act) {
    enum { CHUNK = 8192 };
    int64_t chunks = (n + CHUNK - 1) / CHUNK;
#pragma omp parallel for if (chunks > 2)
    for (int64_t k = 0; k < chunks; k++) {
        int64_t i = k * CHUNK, m = n - i < CHUNK ? n - i : CHUNK;
        add_range(out + i, a + i, b + i, m, act);
    }
}

void gv_op_logistic(float *out, const float *in, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = 1.0f / (1.0f + expf(-in[i]));
}

void gv_op_pad(float *out, const float *in, int h, int w, int c, const int pads[4][2]) {
    int oh = h + pads[1][0] + pads[1][1], ow = w + pads[2][0] + pads[2][1], oc = c + pads[3][0] + pads[3][1];
#pragma omp parallel for
    for (int64_t row = 0; row < oh; row++) {
        int64_t y = row - pads[1][0];
        float *o = out + row * ow * oc;
        memset(o, 0, (size_t)ow * (size_t)oc * sizeof *o);
        if (y < 0 || y >= h) continue;
        const float *i = in + y * w * c;
        for (int x = 0; x < w; x++)
            memcpy(o + (int64_t)(x + pads[2][0]) * oc + pads[3][0], i + (int64_t)x * c, (size_t)c * sizeof *o);
    }
}

void gv_op_max_pool2(float *out, const float *in, int h, int w, int c, gv_tflite_activation act) {
    int oh = h / 2, ow = w / 2;
#pragma omp parallel for
    for (int64_t row = 0; row < oh; row++) {
        const float *top = in + row * 2 * w * c, *bottom = top + (int64_t)w * c;
        for (int x = 0; x < ow; x++) {
            const float *a = top + 2 * (int64_t)x * c, *b = bottom + 2 * (int64_t)x * c;
            float *o = out + (row * ow + x) * c;
            for (int k = 0; k < c; k++) {
                float p = a[k] > a[k + c] ? a[k] : a[k + c], q = b[k] > b[k + c] ? b[k] : b[k + c];
                o[k] = activate(p > q ? p : q, act);
            }
        }
    }
}

// One output row: `near` has weight 3/4, `far` 1/4.
static void resize2_row(float *out, const float *near, const float *far, int w, int c, gv_tflite_activation act) {
    for (int x = 0; x < 2 * w; x++) {
        int64_t i = x / 2, j = x & 1 ? i + 1 : i - 1; // 3/4 and 1/4 columns
        j = j < 0 ? 0 : j >= w ? w - 1 : j;
        const float *n0 = near + i * c, *n1 = near + j * c, *f0 = far + i * c, *f1 = far + j * c;
        float *o = out + (int64_t)x * c;
        for (int k = 0; k < c; k++)
            o[k] = activate(0.75f * (0.75f * n0[k] + 0.25f * f0[k]) + 0.25f * (0.75f * n1[k] + 0.25f * f1[k]), act);
    }
}

void gv_op_resize2(float *out, const float *in, int h, int w, int c, gv_tflite_activation act) {
    int64_t row_in = (int64_t)w * c, row_out = 2 * row_in;
#pragma omp parallel for
    for (int y = 0; y < 2 * h; y++) {
        int i = y / 2, j = y & 1 ? i + 1 : i - 1; // 3/4 and 1/4 rows
        j = j < 0 ? 0 : j >= h ? h - 1 : j;
        resize2_row(out + y * row_out, in + i * row_in, in + j * row_in, w, c, act);
    }
}

void gv_op_depth_to_space(float *out, const float *in, int h, int w, int c, int block) {
    int oc = c / (block * block);
#pragma omp parallel for
    for (int64_t row = 0; row < h; row++)
        for (int a = 0; a < block; a++)
            for (int x = 0; x < w; x++) {
                const float *i = in + (row * w + x) * c + (int64_t)a * block * oc;
                memcpy(out + ((row * block + a) * w + x) * block * oc, i, (size_t)block * (size_t)oc * sizeof *i);
            }
}

void gv_op_concatenate(float *out, const float *const *in, const int64_t *size, int parts, int64_t outer) {
    for (int64_t r = 0; r < outer; r++)
        for (int p = 0; p < parts; p++) {
            memcpy(out, in[p] + r * size[p], (size_t)size[p] * sizeof *out);
            out += size[p];
        }
}
