#include "perception/letterbox.h"

#include "nn/kernels.h"
#include "nn/letterbox_pixel.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { SIDE = 640, STEP = 32 };

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

// One row of three planes from two rows of the picture.
static void scale_row(uint8_t *const out[3], const uint8_t *a, const uint8_t *b, const gv_letterbox_tap *y,
                      const gv_letterbox_tap *columns, int n) {
    for (int x = 0; x < n; x++) {
        const gv_letterbox_tap *t = &columns[x];
        const uint8_t *p = a + 3 * (size_t)t->at[0], *q = a + 3 * (size_t)t->at[1];
        const uint8_t *r = b + 3 * (size_t)t->at[0], *s = b + 3 * (size_t)t->at[1];
        for (int c = 0; c < 3; c++) out[c][x] = gv_letterbox_mixed(p[c], q[c], r[c], s[c], t, y);
    }
}

static void halve_row(uint8_t *const out[3], const uint8_t *a, const uint8_t *b, int n) {
    for (int x = 0; x < n; x++, a += 6, b += 6)
        for (int c = 0; c < 3; c++) out[c][x] = gv_letterbox_halved(a[c], a[3 + c], b[c], b[3 + c]);
}

static void copy_row(uint8_t *const out[3], const uint8_t *a, int n) {
    for (int x = 0; x < n; x++)
        for (int c = 0; c < 3; c++) out[c][x] = a[3 * (size_t)x + c];
}

void gv_letterbox_apply(uint8_t *planes, gv_letterbox l, const gv_image *image) {
    const size_t plane = (size_t)l.width * l.height;
    const bool same = l.inner_width == image->width && l.inner_height == image->height;
    const bool half = 2 * l.inner_width == image->width && 2 * l.inner_height == image->height;
    gv_letterbox_tap columns[SIDE];
    memset(planes, GV_LETTERBOX_PADDING, 3 * plane);
    for (int x = 0; x < l.inner_width; x++) columns[x] = gv_letterbox_tap_of(x, image->width, l.inner_width, true);
#pragma omp parallel for
    for (int y = 0; y < l.inner_height; y++) {
        const gv_letterbox_tap t = half ? (gv_letterbox_tap){{2 * y, 2 * y + 1}, {0, 0}}
                                        : gv_letterbox_tap_of(y, image->height, l.inner_height, false);
        const uint8_t *a = image->rgb + (size_t)t.at[0] * image->stride,
                      *b = image->rgb + (size_t)t.at[1] * image->stride;
        size_t first = (size_t)(l.top + y) * l.width + l.left;
        uint8_t *const out[3] = {planes + first, planes + plane + first, planes + 2 * plane + first};
        if (same)
            copy_row(out, image->rgb + (size_t)y * image->stride, l.inner_width);
        else if (half)
            halve_row(out, a, b, l.inner_width);
        else
            scale_row(out, a, b, &t, columns, l.inner_width);
    }
}

void gv_letterbox_queue(gv_device *d, float *y, gv_letterbox l, const gv_image *there) {
    gv_kernel(d, letterbox, .y = y, .rgb = there->rgb, .picture_width = there->width, .picture_height = there->height,
              .stride = there->stride, .width = l.width, .height = l.height, .inner_width = l.inner_width,
              .inner_height = l.inner_height, .left = l.left, .top = l.top);
}
