// tracks.h - where the corners of the last frames lay, as directions, for windows and calibration.
//
// A store remembers at most `capacity` frames; an older one gives its place to the next. Directions are the
// normalised coordinates of relative.h under the lens that was believed when the frame came; `scale`, the
// believed focal length over the one found since, turns them into today's.
#pragma once
#include "base/error.h"
#include "camera/corners.h"
#include "camera/lens.h"
#include "camera/relative.h"

typedef struct gv_track_frame { // one frame's tracks, ascending ids
    long frame;
    int count;
    int32_t id[GV_CORNERS_MAX];
    float x[GV_CORNERS_MAX], y[GV_CORNERS_MAX];         // not yet scaled
    float raw_x[GV_CORNERS_MAX], raw_y[GV_CORNERS_MAX]; // as seen; x, y may have the rolling shutter taken out
    long from;                                          // the frame that was linked before, -1: none
    double chain[9];                                    // rotation from there
} gv_track_frame;

typedef struct gv_tracks_store {
    gv_track_frame **slot; // [capacity], made when first needed
    long capacity, frames; // frames: how many were ever put
    double scale;
} gv_tracks_store;

gv_status gv_tracks_store_alloc(gv_tracks_store *s, long capacity, gv_error *err);
void gv_tracks_store_free(gv_tracks_store *s);
// Puts the next frame: corners (NULL: none) in reduced pixels, `scale_x`, `scale_y` frame pixels each. A corner of
// which the lens knows no direction is left out. `from` as above; the chain is left as the identity.
gv_status gv_tracks_store_put(gv_tracks_store *s, const gv_corners *corners, double scale_x, double scale_y,
                              const gv_lens *lens, long from, gv_error *err);
gv_track_frame *gv_tracks_store_at(const gv_tracks_store *s, long frame); // NULL: not remembered

int gv_tracks_shared(const gv_track_frame *a, const gv_track_frame *b); // number of tracks that both have
// Matches of the tracks that both have, at most GV_CORNERS_MAX; returns their number.
int gv_tracks_match(const gv_track_frame *a, const gv_track_frame *b, double scale, gv_match *m);
int gv_tracks_raw_match(const gv_track_frame *a, const gv_track_frame *b, double scale,
                        gv_match *m); // the same, as seen
