// quality.h - how far a recovered motion can be trusted, without knowing the truth: figures, frames to distrust, words.
//
//     gv_quality q;
//     if (gv_quality_measure(&q, &motion, reprojection_px, &err) == GV_OK) {
//         char text[GV_QUALITY_TEXT];
//         gv_quality_describe(text, sizeof text, &q, &motion);
//     }
//     gv_quality_free(&q);
//
// A foot's joint (ankle or ball) is in contact where its static_prob is over one half. Thresholds: quality.c, top.
#pragma once
#include "formats/motion_file.h"
#include <stddef.h>

typedef enum gv_doubt {
    GV_DOUBT_UNSEEN,      // nothing was observed: the motion is a guess between its neighbours
    GV_DOUBT_UNSURE,      // keypoints of low confidence
    GV_DOUBT_OFF_PICTURE, // the body does not lie on the keypoints
    GV_DOUBT_SLIDING,     // a foot in contact moves
    GV_DOUBT_JUMP,        // accelerations that bodies do not have
    GV_DOUBT_FLOATING,    // far above the ground for longer than a jump
    GV_DOUBTS
} gv_doubt;

typedef struct gv_stretch {
    int first, last; // rows of the motion, both inside
    gv_doubt why;
} gv_stretch;

typedef enum gv_verdict { GV_VERDICT_GOOD, GV_VERDICT_FAIR, GV_VERDICT_POOR } gv_verdict;

typedef struct gv_quality {
    double jitter;             // mean third derivative of the joints in the world, 10 m/s^3; 0 for fewer than 4 frames
    double sliding_mm;         // mean way of feet in contact per 1/30 s, mm; 0 without contact
    double worst_sliding_mm;   // its 95th percentile
    double contact_share;      // of the frames: at least one foot in contact
    double reprojection_px;    // mean distance of the body's keypoints from those observed; < 0 unknown
    double reprojection_share; // the same in sides of the person's box; < 0 unknown
    double confidence;         // mean of the keypoints' over the frames that were seen
    int seen;                  // frames with anything observed
    int gaps, longest_gap;     // stretches without, and the longest in frames
    double distrust_share;     // of the frames: in at least one stretch
    gv_stretch *stretch;       // [stretches] by kind, then by time
    int stretches;
    gv_verdict verdict;
} gv_quality;

// reprojection_px [L] mean distance per frame, px, NAN where unknown; NULL: unknown in all frames.
// L >= 1; values that are not finite count as unseen or are left out. On success *q is the caller's to free.
gv_status gv_quality_measure(gv_quality *q, const gv_motion *m, const float *reprojection_px, gv_error *err);
void gv_quality_free(gv_quality *q);

const char *gv_verdict_name(gv_verdict v); // "good", "fair", "poor"
const char *gv_doubt_name(gv_doubt d);     // "unseen", "unsure", "off_picture", "sliding", "jump", "floating"
const char *gv_doubt_words(gv_doubt d);    // what it means and what to try, one line

// The verdict in plain words: one line, then one indented line for each kind of doubt with its frames (numbers of the
// video). Cut where the buffer ends; GV_QUALITY_TEXT bytes always suffice.
enum { GV_QUALITY_TEXT = 2048 };
void gv_quality_describe(char *text, size_t bytes, const gv_quality *q, const gv_motion *m);
