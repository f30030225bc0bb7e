#include "perception/letterbox.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { SIDE = 640, STEP = 32, PADDING = 114, WEIGHT_BITS = 11 };

// Padding of one axis: to the next multiple of 32 counted from 640, the odd pixel last.
static int pad(int inner, int *before) {
    int missing = ((SIDE - inner) % STEP + STEP) % STEP;
    *before = (int)nearbyint(missing / 2.0 - 0.1);
    return inner + missing;
}

gv_letterbox gv_letterbox_for(int width, int height) {
    gv_letterbox l;
    double r = fmin((double)SIDE / height, (double)SIDE / width);
    l.inner_width = (int)fmax(1, nearbyint(width * r));
    l.inner_height = (int)fmax(1, nearbyint(height * r));
    l.width = pad(l.inner_width, &l.left);
    l.height = pad(l.inner_height, &l.top);
    l.gain = fmin((double)l.height / height, (double)l.width / width);
    return l;
}

typedef struct tap { // two neighbours along one axis and their weights, 2048 in sum
    int at[2];
    int weight[2];
} tap;

// `edge`: at the border all weight goes to the border's pixel; else both neighbours become it.
static tap make_tap(int i, int from, int to, bool edge) {
    double scale = 1 / ((double)to / from);
    float f = (float)((i + 0.5) * scale - 0.5);
    int s = (int)floorf(f);
    f -= (float)s;
    if (edge && s < 0) s = 0, f = 0;
    if (edge && s >= from - 1) s = from - 1, f = 0;
    const float unit = 1 << WEIGHT_BITS;
    tap t = {.weight = {(int)nearbyintf((1 - f) * unit), (int)nearbyintf(f * unit)}};
    for (int k = 0; k < 2; k++) t.at[k] = s + k < 0 ? 0 : s + k >= from ? from - 1 : s + k;
    return t;
}

// One row of three planes from two rows of the picture.
static void scale_row(uint8_t *const out[3], const uint8_t *a, const uint8_t *b, tap y, const tap *columns, int n) {
    for (int x = 0; x < n; x++) {
        tap t = columns[x];
        const uint8_t *p = a + 3 * (size_t)t.at[0], *q = a + 3 * (size_t)t.at[1];
        const uint8_t *r = b + 3 * (size_t)t.at[0], *s = b + 3 * (size_t)t.at[1];
        for (int c = 0; c < 3; c++) {
            int upper = (p[c] * t.weight[0] + q[c] * t.weight[1]) >> 4;
            int lower = (r[c] * t.weight[0] + s[c] * t.weight[1]) >> 4;
            int sum = ((upper * y.weight[0]) >> 16) + ((lower * y.weight[1]) >> 16);
            out[c][x] = (uint8_t)((sum + 2) >> 2);
        }
    }
}

static void halve_row(uint8_t *const out[3], const uint8_t *a, const uint8_t *b, int n) {
    for (int x = 0; x < n; x++)
        for (int c = 0; c < 3; c++)
            out[c][x] = (uint8_t)((a[6 * (size_t)x + c] + a[6 * (size_t)x + 3 + c] + b[6 * (size_t)x + c] +
                                   b[6 * (size_t)x + 3 + c] + 2) >>
                                  2);
}

static void copy_row(uint8_t *const out[3], const uint8_t *a, int n) {
    for (int x = 0; x < n; x++)
        for (int c = 0; c < 3; c++) out[c][x] = a[3 * (size_t)x + c];
}

void gv_letterbox_apply(uint8_t *planes, gv_letterbox l, const gv_image *image) {
    const size_t plane = (size_t)l.width * l.height;
    const bool same = l.inner_width == image->width && l.inner_height == image->height;
    const bool half = 2 * l.inner_width == image->width && 2 * l.inner_height == image->height;
    tap columns[SIDE];
    memset(planes, PADDING, 3 * plane);
    for (int x = 0; x < l.inner_width; x++) columns[x] = make_tap(x, image->width, l.inner_width, true);
#pragma omp parallel for
    for (int y = 0; y < l.inner_height; y++) {
        tap t = half ? (tap){{2 * y, 2 * y + 1}, {0, 0}} : make_tap(y, image->height, l.inner_height, false);
        const uint8_t *a = image->rgb + (size_t)t.at[0] * image->stride,
                      *b = image->rgb + (size_t)t.at[1] * image->stride;
        size_t first = (size_t)(l.top + y) * l.width + l.left;
        uint8_t *const out[3] = {planes + first, planes + plane + first, planes + 2 * plane + first};
        if (same)
            copy_row(out, image->rgb + (size_t)y * image->stride, l.inner_width);
        else if (half)
            halve_row(out, a, b, l.inner_width);
        else
            scale_row(out, a, b, t, columns, l.inner_width);
    }
}
