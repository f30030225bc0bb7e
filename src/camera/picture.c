#include "camera/picture.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PAD = GV_PICTURE_PAD, SMALLEST_LEVEL = 20 };

gv_status gv_reducer_init(gv_reducer *r, int width, int height, gv_error *err) {
    *r = (gv_reducer){.width = width, .height = height};
    int longest = width > height ? width : height;
    double s = longest > GV_PICTURE_SIDE ? (double)longest / GV_PICTURE_SIDE : 1;
    r->reduced_width = (int)fmax(1, floor(width / s + 0.5));
    r->reduced_height = (int)fmax(1, floor(height / s + 0.5));
    r->scale_x = (double)width / r->reduced_width;
    r->scale_y = (double)height / r->reduced_height;
    r->columns = gv_calloc2((size_t)width * 3, sizeof(float));
    return r->columns ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory for a row of %d pixels", width);
}

void gv_reducer_free(gv_reducer *r) {
    free(r->columns);
    *r = (gv_reducer){0};
}

gv_status gv_picture_alloc(gv_picture *p, int width, int height, gv_error *err) {
    *p = (gv_picture){0};
    size_t total = 0, offset[GV_PICTURE_LEVELS];
    int w = width, h = height;
    while (p->levels < GV_PICTURE_LEVELS && (p->levels == 0 || (w >= SMALLEST_LEVEL && h >= SMALLEST_LEVEL))) {
        gv_plane *l = &p->level[p->levels];
        *l = (gv_plane){.width = w, .height = h, .stride = (w + 2 * PAD + 7) / 8 * 8};
        offset[p->levels++] = total + (size_t)PAD * l->stride + PAD;
        total += (size_t)l->stride * (h + 2 * PAD);
        w = (w + 1) / 2, h = (h + 1) / 2;
    }
    p->memory = gv_calloc2(total, sizeof(float));
    if (!p->memory) return gv_fail(err, GV_ERR_MEMORY, "no memory for a picture of %d x %d", width, height);
    for (int i = 0; i < p->levels; i++) p->level[i].data = p->memory + offset[i];
    return GV_OK;
}

void gv_picture_free(gv_picture *p) {
    free(p->memory);
    *p = (gv_picture){0};
}

static void replicate_border(const gv_plane *l) {
    for (int y = 0; y < l->height; y++) {
        float *row = l->data + (long)y * l->stride;
        for (int i = 1; i <= PAD; i++) row[-i] = row[0], row[l->width - 1 + i] = row[l->width - 1];
    }
    size_t bytes = (size_t)(l->width + 2 * PAD) * sizeof(float);
    float *first = l->data - PAD, *last = l->data + (long)(l->height - 1) * l->stride - PAD;
    for (int i = 1; i <= PAD; i++) {
        memcpy(first - (long)i * l->stride, first, bytes);
        memcpy(last + (long)i * l->stride, last, bytes);
    }
}

static void add_row(float *restrict acc, const uint8_t *restrict rgb, float weight, int n) {
    for (int i = 0; i < n; i++) acc[i] += weight * (float)rgb[i];
}

// Luma of the weighted columns x0 .. x1 (fractions at both ends).
static float column_sum(const float *acc, double from, double to, int width) {
    float sum = 0;
    for (int x = (int)from; x < width && x < to; x++) {
        float w = (float)(fmin(to, x + 1) - fmax(from, x));
        const float *c = acc + 3 * (long)x;
        sum += w * (0.299f * c[0] + 0.587f * c[1] + 0.114f * c[2]);
    }
    return sum;
}

static void fill_base(const gv_plane *l, const gv_reducer *r, const uint8_t *rgb, int stride) {
    for (int y = 0; y < l->height; y++) {
        double from = y * r->scale_y, to = from + r->scale_y;
        memset(r->columns, 0, (size_t)r->width * 3 * sizeof(float));
        for (int s = (int)from; s < r->height && s < to; s++)
            add_row(r->columns, rgb + (long)s * stride,
                    (float)((fmin(to, s + 1) - fmax(from, s)) / (r->scale_x * r->scale_y)), 3 * r->width);
        float *out = l->data + (long)y * l->stride;
        for (int x = 0; x < l->width; x++)
            out[x] = column_sum(r->columns, x * r->scale_x, (x + 1) * r->scale_x, r->width);
    }
    replicate_border(l);
}

// Each pixel of the next level is a 4 x 4 binomial (1 3 3 1) mean around its four parents.
static void halve(const gv_plane *from, const gv_plane *to) {
    float column[GV_PICTURE_SIDE + 2 * PAD];
    for (int y = 0; y < to->height; y++) {
        const float *s = from->data + (long)(2 * y) * from->stride;
        const float *a = s - from->stride, *b = s, *c = s + from->stride, *d = c + from->stride;
        for (int x = -1; x < 2 * to->width + 2; x++) column[x + 1] = (a[x] + d[x]) + 3 * (b[x] + c[x]);
        float *out = to->data + (long)y * to->stride;
        for (int x = 0; x < to->width; x++) {
            const float *p = column + 2 * x;
            out[x] = ((p[0] + p[3]) + 3 * (p[1] + p[2])) * (1 / 64.f);
        }
    }
    replicate_border(to);
}

void gv_picture_fill(gv_picture *p, const gv_reducer *r, const uint8_t *rgb, int stride) {
    fill_base(&p->level[0], r, rgb, stride);
    for (int i = 1; i < p->levels; i++) halve(&p->level[i - 1], &p->level[i]);
}
