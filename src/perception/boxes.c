#include "perception/boxes.h"

#include "base/memory.h"
#include "nn/box_overlap.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

float gv_box_iou(const float a[4], const float b[4]) {
    return gv_box_overlap(a, b);
}

int gv_box_suppress(int *kept, const float (*boxes)[4], int n, double overlap, int max) {
    int count = 0;
    for (int i = 0; i < n && count < max; i++) {
        bool covered = false;
        for (int k = 0; k < count && !covered; k++) covered = gv_box_iou(boxes[kept[k]], boxes[i]) > overlap;
        if (!covered) kept[count++] = i;
    }
    return count;
}

void gv_box_fill_gaps(float *xyxy, const uint8_t *observed, int n) {
    int last = -1; // last observed frame so far
    for (int i = 0; i < n; i++) {
        if (!observed[i]) continue;
        const float *b = xyxy + 4 * (size_t)i;
        const float *a = last >= 0 ? xyxy + 4 * (size_t)last : b;
        for (int k = last + 1; k < i; k++) {
            float f = (float)(k - last) / (float)(i - last);
            for (int c = 0; c < 4; c++) xyxy[4 * (size_t)k + c] = a[c] + f * (b[c] - a[c]);
        }
        last = i;
    }
    for (int i = last + 1; i < n; i++)
        for (int c = 0; c < 4; c++) xyxy[4 * (size_t)i + c] = last >= 0 ? xyxy[4 * (size_t)last + c] : 0;
}

static void average5(float *out, const float *in, int n) {
    for (int i = 0; i < n; i++)
        for (int c = 0; c < 4; c++) {
            float sum = 0;
            for (int k = i - 2; k <= i + 2; k++) sum += in[4 * (size_t)(k < 0 ? 0 : k >= n ? n - 1 : k) + c];
            out[4 * (size_t)i + c] = sum / 5;
        }
}

gv_status gv_box_smooth(float *xyxy, int n, gv_error *err) {
    float *once = gv_calloc2((size_t)n, 4 * sizeof(float));
    if (!once) return gv_fail(err, GV_ERR_MEMORY, "no memory to smooth %d boxes", n);
    average5(once, xyxy, n);
    average5(xyxy, once, n);
    free(once);
    return GV_OK;
}

void gv_box_square(float xys[3], const float xyxy[4]) {
    float w = xyxy[2] - xyxy[0], h = xyxy[3] - xyxy[1];
    xys[0] = (xyxy[0] + xyxy[2]) * 0.5f;
    xys[1] = (xyxy[1] + xyxy[3]) * 0.5f;
    if (w > 0.75f * h) h = w / 0.75f;
    if (w < 0.75f * h) w = 0.75f * h;
    xys[2] = 1.2f * fmaxf(h, w);
}
