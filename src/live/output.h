// output.h - a frame of live motion as text or as numbers.
//
// JSON: one object a line,
//   {"frame": 12, "time_sec": 0.4, "latency_ms": 41.2, "people": [{"id": 1, "seen": true, "transl": [3],
//    "global_orient": [3], "transl_incam": [3], "global_orient_incam": [3], "body_pose": [63], "betas": [10],
//    "contacts": [6], "joints_world": [22 x [3]]}]}
//   {"gap": "no data for 5.0 s", "frame": 13, "time_sec": 0.43}
// Units and axes are the motion file's (docs/architecture.md); contacts are probabilities as static_prob.
//
// Floats: little-endian float32, one record of GV_LIVE_FLOATS a person and frame, and one without a person for a frame
// without anybody and for a gap; what does not apply is 0:
//   0 kind (1 person, 0 nobody, -1 gap)   1 frame   2 time_sec   3 latency_ms   4 people in this frame   5 id   6 seen
//   7 transl (3)   10 global_orient (3)   13 transl_incam (3)   16 global_orient_incam (3)   19 body_pose (63)
//   82 betas (10)   92 contacts (6)   98 joints_world (66)
// Frame numbers are exact up to 16777216.
#pragma once
#include "live/live.h"
#include <stddef.h>

enum { GV_LIVE_FLOATS = 164 };

// Text and numbers grow in `buffer`, which is reused and freed by the caller with gv_live_buffer_free.
typedef struct gv_live_buffer {
    char *data;
    size_t size, room;
    bool failed; // memory is exhausted
} gv_live_buffer;
void gv_live_buffer_free(gv_live_buffer *b);

bool gv_live_json(gv_live_buffer *b, const gv_live_frame *f);   // replaces what is there; ends with a newline
bool gv_live_floats(gv_live_buffer *b, const gv_live_frame *f); // the same, records
