// history.h - what was seen of one identity, frame by frame, and its final form.
//
// Frames without a sighting between two sightings are kept as gaps, so a history is consecutive frames from
// the first sighting to the last, 472 bytes each: in a file, where one is given, until all have been seen (spool.h).
#pragma once
#include "base/spool.h"
#include "perception/people.h"

typedef struct gv_sighting {
    float kp2d[17][3];             // COCO-17 x, y px, confidence
    float kp3d[17][3];             // the same points in space as the landmark network guesses them, m
    float feet[GV_FEET_POINTS][3]; // as gv_person.feet2d
    float box[4];                  // x0, y0, x1, y1 px
    uint8_t observed;
} gv_sighting;

typedef struct gv_history {
    int first, count; // frames first .. first + count - 1
    int seen;         // of which observed
    double first_sec, last_sec;
    gv_long_list list; // of sightings, while they are added; its spool is the caller's to set before, or none
    gv_sighting *item; // [count] afterwards: gv_history_gather
} gv_history;

void gv_history_free(gv_history *h); // leaves a zeroed struct

typedef struct gv_seen_points { // of one frame; each may be NULL: without them
    const float (*kp2d)[3], (*kp3d)[3], (*feet)[3];
} gv_seen_points;

// `frame` must lie beyond the last one added.
gv_status gv_history_add(gv_history *h, int frame, double time_sec, const gv_seen_points *points, const float box[4],
                         gv_error *err);

// All sightings are in `item`; no more is added. What follows needs it, finish and extend do it themselves.
gv_status gv_history_gather(gv_history *h, gv_error *err);

// Unseen frames before and after, so that the history is frames 0 .. frames - 1.
gv_status gv_history_extend(gv_history *h, int frames, gv_error *err);

// Seconds from the first sighting to the last; each lasts until the next one.
double gv_history_seconds(const gv_history *h);

// Confidences of obvious glitches become at most 0.3: a joint that jumps by more than a quarter of the body's height
// for one frame and comes back.
void gv_history_distrust_glitches(gv_history *h);

// Sides mended (sides.h), glitches distrusted, gaps filled (boxes and points linearly, confidence 0), boxes smoothed
// and squared (SPEC.md 12.1), prominence relative to a picture of width x height.
gv_status gv_history_finish(gv_history *h, int width, int height, gv_person *out, gv_error *err);

// From one entry per look to one per frame, `every` frames a look, in a video of `frames`: what lies between two looks
// is interpolated, with the smaller confidence of the two; after the last look the person stays, unseen, until the
// next would have been due.
gv_status gv_person_spread(gv_person *p, int every, long frames, gv_error *err);
void gv_person_free(gv_person *p); // leaves a zeroed struct

// The final form of n histories, which are freed, most prominent first. On error nothing is left in `out`.
gv_status gv_histories_finish(gv_history *h, int n, int width, int height, gv_tracks *out, gv_error *err);
