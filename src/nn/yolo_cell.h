// yolo_cell.h - what YOLOv8's head says of one cell, for processor and device alike (SPEC-perception.md 6).
//
// A list of a cell's logits begins at `list`; logit i is at [i / 16 * block + i % 16]. This header is C and C++.
#pragma once
#include <math.h>
#include <stdint.h>

#ifndef GV_DEVICE_CODE
#define GV_DEVICE_CODE static inline
#endif

enum { GV_YOLO_BINS = 16, GV_YOLO_PERSON = 0 };

// Score of the person where no class is better (the first of equal ones wins, and it is the first), else 0.
GV_DEVICE_CODE float gv_yolo_person_score(const float *list, int64_t block, int classes) {
    float best = list[GV_YOLO_PERSON];
    for (int c = 0; c < classes; c++)
        if (list[c / 16 * block + c % 16] > best) return 0;
    return 1 / (1 + expf(-best));
}

// Expected bin of one side's 16 logits.
GV_DEVICE_CODE float gv_yolo_distance(const float *list, int64_t block, int side) {
    const float *v = list + side * block;
    float most = v[0], sum = 0, mean = 0;
    for (int i = 1; i < GV_YOLO_BINS; i++) most = fmaxf(most, v[i]);
    for (int i = 0; i < GV_YOLO_BINS; i++) {
        float e = expf(v[i] - most);
        sum += e;
        mean += e * (float)i;
    }
    return mean / sum;
}
