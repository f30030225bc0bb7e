// yolo_cell.h - what YOLOv8's head says of one cell, for processor and device alike (SPEC-perception.md 6).
//
// A list of a cell's logits begins at `list`; logit i is at [i / 16 * block + i % 16]. This header is C and C++.
#pragma once
#include <math.h>
#include <stdint.h>

#ifndef GV_DEVICE_CODE
#define GV_DEVICE_CODE static inline
#endif

enum { GV_YOLO_BINS = 16, GV_YOLO_PERSON = 0, GV_YOLO_LEVELS = 3 };
enum { GV_YOLO_MAX = 300 }; // people at most in a picture

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

// Cells of the three scales, 8, 16 and 32 px of an input of height x width.
GV_DEVICE_CODE int gv_yolo_cells_of(int height, int width, int levels) {
    int cells = 0;
    for (int i = 0; i < levels; i++) cells += (height >> (3 + i)) * (width >> (3 + i));
    return cells;
}

// Box of a cell, numbered over all scales one after the other, from the distances of its sides: px of the input.
GV_DEVICE_CODE void gv_yolo_box(float *box, const float *sides, int cell, int height, int width) {
    int level = 0;
    while (level < GV_YOLO_LEVELS - 1 && cell >= gv_yolo_cells_of(height, width, level + 1)) level++;
    cell -= gv_yolo_cells_of(height, width, level);
    const int columns = width >> (3 + level);
    const float cx = (float)(cell % columns) + 0.5f, cy = (float)(cell / columns) + 0.5f, size = (float)(8 << level);
    box[0] = (cx - sides[0]) * size;
    box[1] = (cy - sides[1]) * size;
    box[2] = (cx + sides[2]) * size;
    box[3] = (cy + sides[3]) * size;
}
