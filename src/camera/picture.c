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
    r->taps = (int)ceil(r->scale_x) + 1;
    r->columns = gv_calloc2((size_t)width * 3, sizeof(float));
    r->luma = gv_calloc2((size_t)width + (size_t)r->taps, sizeof(float));
    r->weights = gv_calloc2((size_t)r->reduced_width * (size_t)r->taps, sizeof(float));
    r->first = gv_calloc2((size_t)r->reduced_width, sizeof(int));
    if (!r->columns || !r->luma || !r->weights || !r->first) {
        gv_reducer_free(r);
        return gv_fail(err, GV_ERR_MEMORY, "no memory for a row of %d pixels", width);
    }
    for (int x = 0; x < r->reduced_width; x++) {
        double from = x * r->scale_x, to = from + r->scale_x;
        r->first[x] = (int)from;
        for (int k = 0; k < r->taps && r->first[x] + k < width; k++) {
            int c = r->first[x] + k;
            r->weights[x * r->taps + k] = (float)fmax(0, fmin(to, c + 1) - fmax(from, c));
        }
    }
    return GV_OK;
}

void gv_reducer_free(gv_reducer *r) {
    free(r->columns), free(r->luma), free(r->weights), free(r->first);
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

static void fill_row(const gv_reducer *r, float *restrict out) {
    const float *restrict c = r->columns;
    float *restrict luma = r->luma;
    for (int x = 0; x < r->width; x++) luma[x] = 0.299f * c[3 * x] + 0.587f * c[3 * x + 1] + 0.114f * c[3 * x + 2];
    for (int x = 0; x < r->reduced_width; x++) {
        const float *w = r->weights + (long)x * r->taps, *l = luma + r->first[x];
        float sum = 0;
        for (int k = 0; k < r->taps; k++) sum += w[k] * l[k];
        out[x] = sum;
    }
}

static void fill_base(const gv_plane *l, const gv_reducer *r, const uint8_t *rgb, int stride) {
    for (int y = 0; y < l->height; y++) {
        double from = y * r->scale_y, to = from + r->scale_y;
        memset(r->columns, 0, (size_t)r->width * 3 * sizeof(float));
        for (int s = (int)from; s < r->height && s < to; s++)
            add_row(r->columns, rgb + (long)s * stride,
                    (float)((fmin(to, s + 1) - fmax(from, s)) / (r->scale_x * r->scale_y)), 3 * r->width);
        fill_row(r, l->data + (long)y * l->stride);
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

void gv_picture_fill_grey(gv_picture *p, const uint8_t *grey) {
    const gv_plane *l = &p->level[0];
    for (int y = 0; y < l->height; y++)
        for (int x = 0; x < l->width; x++) l->data[(long)y * l->stride + x] = grey[(long)y * l->width + x];
    replicate_border(l);
    for (int i = 1; i < p->levels; i++) halve(&p->level[i - 1], &p->level[i]);
}
