#include "perception/blaze_decode.h"

#include <math.h>
#include <stdlib.h>

static float sigmoid(float x) {
    return 1.0f / (1.0f + expf(-x));
}

// ---- Detector ---------------------------------------------------------------------------------------

// Adds one anchor's 12 numbers to its centre (ax, ay). False where the box has a negative size.
static bool decode_box(gv_detection *d, const float *b, float ax, float ay) {
    const float unit = 1.0f / 224;
    float x = b[0] * unit + ax, y = b[1] * unit + ay, w = b[2] * unit, h = b[3] * unit;
    d->x0 = x - w / 2, d->x1 = x + w / 2;
    d->y0 = y - h / 2, d->y1 = y + h / 2;
    for (int k = 0; k < 4; k++) {
        d->keypoint[k][0] = b[4 + 2 * k] * unit + ax;
        d->keypoint[k][1] = b[5 + 2 * k] * unit + ay;
    }
    return w >= 0 && h >= 0 && isfinite(x) && isfinite(y);
}

int gv_blaze_decode_detections(gv_detection *out, const float *boxes, const float *logits, float min_score) {
    static const int cells[3] = {28, 14, 7}, anchors[3] = {2, 2, 6}; // anchors of a cell are adjacent
    int n = 0, a = 0;
    for (int level = 0; level < 3; level++)
        for (int cell = 0; cell < cells[level] * cells[level]; cell++)
            for (int k = 0; k < anchors[level]; k++, a++) {
                float score = sigmoid(fminf(fmaxf(logits[a], -100), 100));
                if (!(score >= min_score)) continue;
                float x = (float)(cell % cells[level]) + 0.5f, y = (float)(cell / cells[level]) + 0.5f;
                out[n].score = score;
                if (decode_box(&out[n], boxes + 12 * (int64_t)a, x / (float)cells[level], y / (float)cells[level])) n++;
            }
    return n;
}

static float iou(const gv_detection *a, const gv_detection *b) {
    float w = fminf(a->x1, b->x1) - fmaxf(a->x0, b->x0), h = fminf(a->y1, b->y1) - fmaxf(a->y0, b->y0);
    if (!(w > 0 && h > 0)) return 0;
    return w * h / ((a->x1 - a->x0) * (a->y1 - a->y0) + (b->x1 - b->x0) * (b->y1 - b->y0) - w * h);
}

static void accumulate(double sum[13], const gv_detection *d) {
    const float *number = &d->x0, *point = d->keypoint[0];
    for (int k = 0; k < 4; k++) sum[k] += (double)number[k] * d->score;
    for (int k = 0; k < 8; k++) sum[4 + k] += (double)point[k] * d->score;
    sum[12] += d->score;
}

static int by_score(const void *a, const void *b) {
    float x = ((const gv_detection *)a)->score, y = ((const gv_detection *)b)->score;
    return x > y ? -1 : x < y;
}

int gv_blaze_suppress(gv_detection *d, int n, float overlap) {
    int found = 0;
    qsort(d, (size_t)n, sizeof *d, by_score);
    while (n > found) { // d[0 .. found) are results, d[found .. n) remain
        gv_detection best = d[found];
        double sum[13] = {0};
        int left = found + 1;
        accumulate(sum, &best);
        for (int i = found + 1; i < n; i++) {
            if (iou(&best, &d[i]) > overlap)
                accumulate(sum, &d[i]);
            else
                d[left++] = d[i];
        }
        float *box = &best.x0, *point = best.keypoint[0];
        for (int k = 0; k < 4; k++) box[k] = (float)(sum[k] / sum[12]);
        for (int k = 0; k < 8; k++) point[k] = (float)(sum[4 + k] / sum[12]);
        d[found++] = best;
        n = left;
    }
    return found;
}

// ---- Landmarks --------------------------------------------------------------------------------------

// (int)(64 v), towards zero; what is no number or far outside comes out as -1 or 1 << 20.
static int heat_cell(float v) {
    float c = v * GV_BLAZE_HEATMAP;
    return !(c > -1) ? -1 : c > 1 << 20 ? 1 << 20 : (int)c;
}

// Moves a point (fractions of the crop) to the centre of mass of its 7x7 window of the heatmap, where the
// window has anything of 0.5 or more. Columns and rows are counted as they are, without half a cell.
static void refine(float *x, float *y, const float *heatmap, int k) {
    enum { N = GV_BLAZE_HEATMAP };
    int col = heat_cell(*x), row = heat_cell(*y);
    if (col < 0 || col >= N || row < 0) return; // rows beyond the last are not tested: their window is cut
    float most = 0, sum = 0, sum_x = 0, sum_y = 0;
    for (int r = row < 3 ? 0 : row - 3; r <= row + 3 && r < N; r++)
        for (int c = col < 3 ? 0 : col - 3; c <= col + 3 && c < N; c++) {
            float p = sigmoid(heatmap[((int64_t)r * N + c) * GV_BLAZE_RAW_POINTS + k]);
            most = fmaxf(most, p);
            sum += p;
            sum_x += p * (float)c;
            sum_y += p * (float)r;
        }
    if (!(most >= 0.5f)) return;
    *x = sum_x / N / sum;
    *y = sum_y / N / sum;
}

void gv_blaze_decode_landmarks(gv_landmarks *out, const float *raw, const float *heatmap, const float *world,
                               const gv_region *region) {
    float c = cosf(region->angle), s = sinf(region->angle);
    for (int k = 0; k < GV_BLAZE_ALL_POINTS; k++) {
        const float *p = raw + 5 * k;
        float x = p[0] / 256, y = p[1] / 256, *o = out->point[k];
        refine(&x, &y, heatmap, k);
        x = (x - 0.5f) * region->width;
        y = (y - 0.5f) * region->height;
        o[0] = x * c - y * s + region->cx;
        o[1] = x * s + y * c + region->cy;
        o[2] = p[2] / 256 * region->width;
        o[3] = sigmoid(p[3]);
        o[4] = sigmoid(p[4]);
    }
    for (int k = 0; k < GV_BLAZE_POINTS; k++) {
        const float *p = world + 3 * k;
        out->world[k][0] = p[0] * c - p[1] * s;
        out->world[k][1] = p[0] * s + p[1] * c;
        out->world[k][2] = p[2];
    }
}
