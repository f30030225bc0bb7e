#include "perception/crop.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { TAPS = 5, RADIUS = TAPS / 2, ONE = 256 }; // of the blur; its weights are in 1/256

// The map from output pixel (i, j) to the frame: (x, y) = origin + i across + j down. It takes the three corners of
// the reference (corner, corner, centre), which it rounds to float32, to (0, 0), (255, 0), (127.5, 127.5).
typedef struct square {
    double origin[2], across[2], down[2];
} square;

static square find_square(const float c[2], float side) {
    float half = side / 2, corners[3][2] = {{c[0] - half, c[1] - half}, {c[0] + half, c[1] - half}, {c[0], c[1]}};
    square q;
    for (int k = 0; k < 2; k++) {
        double across = ((double)corners[1][k] - corners[0][k]) / (GV_CROP_SIDE - 1);
        q.origin[k] = corners[0][k];
        q.across[k] = across;
        q.down[k] = ((double)corners[2][k] - corners[0][k]) / (0.5 * (GV_CROP_SIDE - 1)) - across;
    }
    return q;
}

// A row of a Gaussian in 1/256, each rounded together with what the one before lost; the middle takes the rest
// (OpenCV's GaussianBlur for 8 bits).
static void blur_weights(int w[TAPS], double sigma) {
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

static int mirror(int i, int n) { // ... 2 1 | 0 1 2 ... n-1 | n-2 ...
    if (n == 1) return 0;
    while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
    return i;
}

static void blurred_pixel(int out[3], const gv_image *f, int x, int y, const int w[TAPS]) {
    int sum[3] = {0};
    for (int b = 0; b < TAPS; b++) {
        const uint8_t *row = f->rgb + (size_t)mirror(y + b - RADIUS, f->height) * f->stride;
        for (int a = 0; a < TAPS; a++) {
            const uint8_t *p = row + 3 * mirror(x + a - RADIUS, f->width);
            for (int k = 0; k < 3; k++) sum[k] += w[a] * w[b] * p[k];
        }
    }
    for (int k = 0; k < 3; k++) out[k] = (sum[k] + ONE * ONE / 2) / (ONE * ONE);
}

// Position in 1/32 pixels of output row or column contributions a + b, as warpAffine rounds them.
static int64_t position(double a, double b) {
    const double limit = 1e15; // far outside of any frame, and exact in 64 bits
    double p = rint(a * 1024) + 16 + rint(b * 1024);
    return (int64_t)fmin(fmax(p, -limit), limit) >> 5;
}

static void sample(uint8_t out[3], const gv_image *f, int64_t X, int64_t Y, const int *blur) {
    int64_t x = X >> 5, y = Y >> 5;
    int fx = (int)(X & 31), fy = (int)(Y & 31), sum[3] = {0};
    const int weights[2][2] = {{(32 - fx) * (32 - fy), fx * (32 - fy)}, {(32 - fx) * fy, fx * fy}};
    for (int b = 0; b < 2; b++)
        for (int a = 0; a < 2; a++) {
            if (x + a < 0 || x + a >= f->width || y + b < 0 || y + b >= f->height || !weights[b][a]) continue;
            int colour[3];
            const uint8_t *p = f->rgb + (size_t)(y + b) * f->stride + 3 * (size_t)(x + a);
            for (int k = 0; k < 3; k++) colour[k] = p[k];
            if (blur) blurred_pixel(colour, f, (int)(x + a), (int)(y + b), blur);
            for (int k = 0; k < 3; k++) sum[k] += weights[b][a] * 32 * colour[k];
        }
    for (int k = 0; k < 3; k++) out[k] = (uint8_t)((sum[k] + (1 << 14)) >> 15);
}

void gv_crop_bytes(uint8_t *bytes, const gv_image *frame, const float bbx_xys[3], float factor) {
    const float centre[2] = {factor * bbx_xys[0], factor * bbx_xys[1]}, side = factor * bbx_xys[2];
    const square q = find_square(centre, side);
    int weights[TAPS];
    float d = side / GV_CROP_SIDE / 2;
    if (d > 1.1f) blur_weights(weights, (d - 1) / 2);
    const int *blur = d > 1.1f && weights[RADIUS] != ONE ? weights : NULL; // below 1.57 the blur changes nothing
    for (int j = 0; j < GV_CROP_SIDE; j++)
        for (int i = 0; i < GV_CROP_SIDE; i++)
            sample(bytes + 3 * (j * GV_CROP_SIDE + i), frame, position(q.down[0] * j + q.origin[0], q.across[0] * i),
                   position(q.down[1] * j + q.origin[1], q.across[1] * i), blur);
}

void gv_crop_normalise(float *crop, const uint8_t *bytes) {
    static const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};
    for (int k = 0; k < 3; k++) {
        float table[256];
        for (int p = 0; p < 256; p++) table[p] = ((float)p / 255.0f - mean[k]) / deviation[k];
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
