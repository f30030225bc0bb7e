#include "perception/crop.h"

#include "base/memory.h"
#include "nn/crop_pixel.h"
#include "nn/kernels.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { TAPS = GV_BLUR_TAPS, RADIUS = TAPS / 2, ONE = GV_BLUR_ONE };
enum { SQUARES = 16, BYTES = GV_CROP_SIDE * GV_CROP_SIDE * 3 }; // squares that go over at once

// A row of a Gaussian in 1/256, each rounded together with what the one before lost; the middle takes the rest
// (OpenCV's GaussianBlur for 8 bits).
static void blur_weights(int32_t w[TAPS], double sigma) {
    double g[TAPS], sum = 0, lost = 0;
    for (int i = 0; i < TAPS; i++) sum += g[i] = exp(-(i - RADIUS) * (i - RADIUS) / (2 * sigma * sigma));
    w[RADIUS] = ONE;
    for (int i = 0; i < RADIUS; i++) {
        double exact = g[i] / sum * ONE + lost;
        w[i] = w[TAPS - 1 - i] = (int)rint(exact);
        lost = exact - w[i];
        w[RADIUS] -= 2 * w[i];
    }
}

// The map from output pixel to the frame takes the three corners of the reference (corner, corner, centre), which it
// rounds to float32, to (0, 0), (255, 0), (127.5, 127.5).
static gv_crop_square square_of(const float bbx_xys[3], float factor) {
    const float c[2] = {factor * bbx_xys[0], factor * bbx_xys[1]}, side = factor * bbx_xys[2], half = side / 2;
    const float corners[3][2] = {{c[0] - half, c[1] - half}, {c[0] + half, c[1] - half}, {c[0], c[1]}};
    gv_crop_square q;
    for (int k = 0; k < 2; k++) {
        double across = ((double)corners[1][k] - corners[0][k]) / (GV_CROP_SIDE - 1);
        q.origin[k] = corners[0][k];
        q.across[k] = across;
        q.down[k] = ((double)corners[2][k] - corners[0][k]) / (0.5 * (GV_CROP_SIDE - 1)) - across;
    }
    float d = side / GV_CROP_SIDE / 2;
    memset(q.blur, 0, sizeof q.blur);
    if (d > 1.1f) blur_weights(q.blur, (d - 1) / 2);
    q.blurred = d > 1.1f && q.blur[RADIUS] != ONE; // below 1.57 the blur changes nothing
    return q;
}

void gv_crop_bytes(uint8_t *bytes, const gv_image *frame, const float bbx_xys[3], float factor) {
    const gv_crop_square q = square_of(bbx_xys, factor);
    const gv_crop_frame f = {frame->rgb, frame->width, frame->height, frame->stride};
    for (int j = 0; j < GV_CROP_SIDE; j++)
        for (int i = 0; i < GV_CROP_SIDE; i++) gv_crop_pixel(bytes + 3 * (j * GV_CROP_SIDE + i), &f, &q, i, j);
}

typedef void upload(gv_device *d, void *to, const void *from, size_t bytes);

static gv_image place(gv_device *d, uint8_t *rgb, const gv_image *frame, upload *copy) {
    const size_t row = 3 * (size_t)frame->width;
    const bool whole = (size_t)frame->stride == row;
    for (int y = 0; rgb && y < (whole ? 1 : frame->height); y++)
        copy(d, rgb + y * row, frame->rgb + (size_t)y * frame->stride, whole ? row * frame->height : row);
    return (gv_image){rgb, frame->width, frame->height, (int)row};
}

gv_image gv_frame_place(gv_device *d, const gv_image *frame) {
    return place(d, gv_device_alloc(d, (size_t)frame->height, 3 * (size_t)frame->width), frame, gv_device_upload);
}

gv_image gv_frame_ahead(gv_device *d, uint8_t *rgb, const gv_image *frame) {
    return place(d, rgb, frame, gv_device_upload_ahead);
}

void *gv_crop_squares(gv_device *d, gv_device_room *room) {
    return room(d, SQUARES, sizeof(gv_crop_square));
}

void gv_crop_queue(gv_device *d, uint8_t *bytes, const gv_image *there, const float *boxes, int n, float factor,
                   void *squares) {
    gv_crop_square here[SQUARES];
    for (int first = 0; first < n; first += SQUARES) {
        const int count = n - first < SQUARES ? n - first : SQUARES;
        for (int i = 0; i < count; i++) here[i] = square_of(boxes + 3 * (size_t)(first + i), factor);
        gv_device_upload(d, squares, here, (size_t)count * sizeof *here);
        gv_kernel(d, crop, .bytes = bytes + (size_t)first * BYTES, .rgb = there->rgb, .squares = squares, .n = count,
                  .width = there->width, .height = there->height, .stride = there->stride);
    }
}

float *gv_crops_place(gv_device *d, const gv_crops *c, int first, int n) {
    const size_t count = (size_t)n * 3 * GV_CROP_ROWS * GV_CROP_COLUMNS;
    float *placed = gv_device_alloc(d, count, sizeof *placed);
    if (c->numbers) {
        gv_device_upload(d, placed, c->numbers + count / n * first, count * sizeof *placed);
        return placed;
    }
    int32_t *which = gv_device_alloc(d, (size_t)n, sizeof *which);
    gv_device_upload(d, which, c->which + first, (size_t)n * sizeof *which);
    gv_kernel(d, normalise_crops, .y = placed, .bytes = c->bytes, .which = which, .n = n);
    return placed;
}

void gv_crop_normalise(float *crop, const uint8_t *bytes) {
    for (int k = 0; k < 3; k++) {
        float table[256];
        for (int p = 0; p < 256; p++) table[p] = gv_crop_normalised(p, k);
        for (int j = 0; j < GV_CROP_ROWS; j++)
            for (int i = 0; i < GV_CROP_COLUMNS; i++)
                *crop++ = table[bytes[3 * (j * GV_CROP_SIDE + GV_CROP_LEFT + i) + k]];
    }
}

void gv_crop_person(float *crop, const gv_image *frame, const float bbx_xys[3], float factor) {
    uint8_t bytes[GV_CROP_SIDE * GV_CROP_SIDE * 3];
    gv_crop_bytes(bytes, frame, bbx_xys, factor);
    gv_crop_normalise(crop, bytes);
}
