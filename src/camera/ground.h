// ground.h - points of the ground at people's feet, as the camera's way sees them.
//
// Where somebody stands the ground's distance follows from the size of the body; where the camera moves it follows
// from the tracks, in the unit of the way. Both together say how long that unit is, whatever the gait
// (pipeline/way_metres.h).
#pragma once
#include <stdint.h>

typedef struct gv_ground_point {
    int32_t frame;
    float x, y;  // direction (x, y, 1) in the camera of that frame
    float depth; // along the camera's axis, in the unit of the frame's stretch
} gv_ground_point;

enum { GV_GROUND_BOXES = 4, GV_GROUND_POINTS = 16 }; // of one picture

// Keeps the largest GV_GROUND_BOXES of n boxes x0, y0, x1, y1; returns how many there are.
int gv_ground_boxes(float (*out)[4], const float (*boxes)[4], int n);

// Indices of those of n points that lie at the feet of people's boxes (in the points' units), the nearest first; points
// whose inverse depth rho is not positive are passed over. Returns how many, GV_GROUND_POINTS at most.
int gv_ground_choose(int index[GV_GROUND_POINTS], const double *x, const double *y, const double *rho, int n,
                     const float (*boxes)[4], int nboxes);
