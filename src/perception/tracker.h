// tracker.h - BoT-SORT without appearance features: detections in, boxes with identities out (SPEC-perception.md 6.5).
//
// Exactly what the reference's tracker does (its constants, list orders and quirks), for use with its own
// detector. Feed each frame in order; a frame without detections leaves everything as it is.
#pragma once
#include "base/error.h"

typedef struct gv_track_box {
    float box[4]; // x0, y0, x1, y1 px, from the Kalman mean after the update
    int id;       // from 1; numbers are also spent on tracks that never become active
    float score;
    int detection; // index into the frame's detections
} gv_track_box;

typedef struct gv_tracker gv_tracker;
gv_tracker *gv_tracker_create(void); // NULL when memory is exhausted
void gv_tracker_destroy(gv_tracker *t);

//   boxes   [n, 4]  x0, y0, x1, y1 px
//   scores  [n]     all above 0.5 (lower ones would need a second round that the reference never reaches)
//   warp    [2, 3]  camera motion since the last frame, NULL = none
//   out     [n]     receives the active tracks; *count of them
gv_status gv_tracker_step(gv_tracker *t, const float (*boxes)[4], const float *scores, int n, const double warp[2][3],
                          gv_track_box *out, int *count, gv_error *err);
