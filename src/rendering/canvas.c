#include "rendering/raster.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool gv_buffer_reserve(gv_buffer *b, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return false;
    if (bytes <= b->bytes && b->data) return true;
    bytes += bytes / 4;
    void *p = gv_calloc2(bytes, 1);
    if (!p) return false;
    free(b->data);
    b->data = p;
    b->bytes = bytes;
    return true;
}

// sRGB transfer function, IEC 61966-2-1.
static double srgb_from_linear(double l) {
    return l <= 0.0031308 ? 12.92 * l : 1.055 * pow(l, 1 / 2.4) - 0.055;
}

static double linear_from_srgb(double s) {
    return s <= 0.04045 ? s / 12.92 : pow((s + 0.055) / 1.055, 2.4);
}

gv_canvas *gv_canvas_create(int width, int height) {
    if (width < 1 || height < 1 || width > 16384 || height > 16384) return NULL;
    gv_canvas *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->width = width;
    c->height = height;
    for (int i = 0; i < 256; i++) c->linear[i] = (float)linear_from_srgb(i / 255.0);
    for (int i = 0; i <= 4096; i++) c->srgb[i] = (uint8_t)lround(255 * srgb_from_linear(i / 4096.0));
    return c;
}

void gv_canvas_destroy(gv_canvas *c) {
    if (!c) return;
    gv_buffer *all[] = {&c->point,  &c->shade, &c->triangle, &c->bin_start, &c->bin,   &c->background,
                        &c->shades, &c->mask,  &c->plane,    &c->body,      &c->shadow};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]->data);
    free(c);
}

void gv_view_rays(const gv_view *v, float ray[9], float eye[3]) {
    const float *K = v->K, *R = v->R;
    const double fx = K[0], s = K[1], cx = K[2], fy = K[4], cy = K[5];
    const double inv[9] = {1 / fx, -s / (fx * fy), (s * cy - cx * fy) / (fx * fy), 0, 1 / fy, -cy / fy, 0, 0, 1};
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++)
            ray[3 * i + j] = (float)(R[i] * inv[j] + R[3 + i] * inv[3 + j] + R[6 + i] * inv[6 + j]);
        eye[i] = -(R[i] * v->t[0] + R[3 + i] * v->t[1] + R[6 + i] * v->t[2]);
    }
}

const float *gv_palette(int person) {
    static const float colours[12][3] = {
        {0.20f, 0.42f, 0.72f}, {0.80f, 0.30f, 0.12f}, {0.18f, 0.52f, 0.26f}, {0.72f, 0.50f, 0.08f},
        {0.46f, 0.22f, 0.60f}, {0.10f, 0.54f, 0.56f}, {0.74f, 0.18f, 0.30f}, {0.42f, 0.46f, 0.10f},
        {0.30f, 0.30f, 0.66f}, {0.64f, 0.38f, 0.26f}, {0.66f, 0.28f, 0.52f}, {0.36f, 0.40f, 0.44f},
    };
    return colours[((person % 12) + 12) % 12];
}

static void unit(float v[3]) {
    float k = 1 / sqrtf(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    for (int i = 0; i < 3; i++) v[i] *= k;
}

static void cross(float out[3], const float a[3], const float b[3]) {
    for (int i = 0; i < 3; i++) out[i] = a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3];
}

gv_view gv_view_outside(const float lo[3], const float hi[3], int width, int height) {
    const float fov = 34 * 3.14159265f / 180, elevation = 17 * 3.14159265f / 180, used = 0.84f;
    float low[3], high[3];
    for (int i = 0; i < 3; i++) { // room around a person who stands still
        float least = i == 1 ? 1.8f : 1.6f, grow = least - (hi[i] - lo[i]) > 0 ? (least - (hi[i] - lo[i])) / 2 : 0;
        low[i] = lo[i] - grow;
        high[i] = hi[i] + grow;
    }
    bool deep = high[2] - low[2] > 1.3f * (high[0] - low[0]);
    const float azimuth = (deep ? 62 : 24) * 3.14159265f / 180;
    float back[3] = {cosf(elevation) * sinf(azimuth), sinf(elevation), cosf(elevation) * cosf(azimuth)};
    gv_view v = {0};
    const float f = 0.5f * (float)(height < width ? height : width) / tanf(fov / 2);
    v.K[0] = v.K[4] = f;
    v.K[2] = 0.5f * (float)(width - 1);
    v.K[5] = 0.5f * (float)(height - 1);
    v.K[8] = 1;
    float *right = v.R, *down = v.R + 3, *forward = v.R + 6;
    const float up[3] = {0, 1, 0};
    for (int i = 0; i < 3; i++) forward[i] = -back[i];
    cross(right, forward, up);
    unit(right);
    cross(down, forward, right);
    float centre[3], distance = 0.5f;
    for (int i = 0; i < 3; i++) centre[i] = 0.5f * (low[i] + high[i]);
    for (int corner = 0; corner < 8; corner++) { // |x| f / (z + d) <= half the used picture, the same for y
        float d[3], at[3];
        for (int i = 0; i < 3; i++) d[i] = (corner >> i & 1 ? high[i] : low[i]) - centre[i];
        for (int i = 0; i < 3; i++) at[i] = v.R[3 * i] * d[0] + v.R[3 * i + 1] * d[1] + v.R[3 * i + 2] * d[2];
        float need_x = fabsf(at[0]) * f / (0.5f * used * (float)width) - at[2];
        float need_y = fabsf(at[1]) * f / (0.5f * used * (float)height) - at[2];
        distance = fmaxf(distance, fmaxf(need_x, need_y));
    }
    for (int i = 0; i < 3; i++) centre[i] += back[i] * distance;
    for (int i = 0; i < 3; i++)
        v.t[i] = -(v.R[3 * i] * centre[0] + v.R[3 * i + 1] * centre[1] + v.R[3 * i + 2] * centre[2]);
    return v;
}

void gv_compose_side_by_side(uint8_t *out, int out_stride, const uint8_t *left, int left_width, int left_stride,
                             const uint8_t *right, int right_width, int right_stride, int height) {
    for (int y = 0; y < height; y++) {
        uint8_t *row = out + (ptrdiff_t)y * out_stride;
        memcpy(row, left + (ptrdiff_t)y * left_stride, 3 * (size_t)left_width);
        memcpy(row + 3 * (ptrdiff_t)left_width, right + (ptrdiff_t)y * right_stride, 3 * (size_t)right_width);
    }
}
