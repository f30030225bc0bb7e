// travel.h - the camera's way, up to scale, from what windows of views saw.
//
// A window tells where its views stood relative to its first one, in a unit of its own (window.h). Windows that saw
// the same views tell the ratio of their units; with those known, places are averaged over all windows. Keyframes that
// no chain of windows connects belong to different stretches: between those neither unit nor place is known.
// Time and memory grow linearly with the number of keyframes.
#pragma once
#include "base/error.h"

enum { GV_TRAVEL_BAND = 14 };

typedef struct gv_travel_edge {
    int from, to;  // keyframes, from < to <= from + GV_TRAVEL_BAND
    double way[3]; // place of `to` relative to that of `from`, world axes, in the unit of window `from`
    double sd;     // of each coordinate
} gv_travel_edge;

typedef struct gv_travel_node {
    int stretch;     // 0, 1 ... in order of time; -1: not known
    double place[3]; // world axes; origin: the stretch's first keyframe; unit: its mean step between keyframes
    double unit;     // the unit of this keyframe's own window; 0: that window tells nothing
} gv_travel_node;

// edges [nedges]: those of one window follow each other, windows ascend. node [n]: one for each keyframe.
gv_status gv_travel_solve(gv_travel_node *node, int n, const gv_travel_edge *edges, long nedges, gv_error *err);
