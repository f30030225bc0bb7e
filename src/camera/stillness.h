// stillness.h - whether the camera stands still, by measurement.
//
// Patches of a reference frame are looked for at their own place in every later frame, minutes later too.
// While most of them stay within a fraction of a pixel the camera has not moved; patches that people cover or
// that the light changes no longer resemble themselves and do not vote, and new ones replace them in time.
#pragma once
#include "camera/corners.h"

enum { GV_STILL_PATCHES = 160 };

typedef struct gv_stillness {
    int count;
    gv_patch *patch; // [GV_STILL_PATCHES]
    float x[GV_STILL_PATCHES], y[GV_STILL_PATCHES];
    int misses[GV_STILL_PATCHES]; // frames in a row without resemblance
    long frames, measured, still; // frames seen, frames with enough votes, frames that vote for "still"
    int moving_run, longest_run;  // consecutive frames that vote for "moving"
} gv_stillness;

gv_status gv_stillness_alloc(gv_stillness *s, gv_error *err);
void gv_stillness_free(gv_stillness *s);
// One frame; corners: tracks of this frame, from which patches are taken.
void gv_stillness_frame(gv_stillness *s, const gv_picture *picture, const gv_corners *corners, const float (*boxes)[4],
                        int nboxes);
bool gv_stillness_verdict(const gv_stillness *s);
// After a cut: what was seen so far keeps its verdict, the reference starts anew.
void gv_stillness_restart(gv_stillness *s);
