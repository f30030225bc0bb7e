// rolling.h - the rolling shutter: how long a picture takes to be read out, and its rows brought to one time.
//
// Row y of a picture that is h rows high is taken at (y / h - 1/2) of the readout, counted from the picture's middle.
// While the camera turns, a direction seen there is displaced by as much of the turn. The readout, as a share of the
// time between frames, is what lets rotations from frame to frame fit best; it shows where the turning changes, as
// when a hand shakes.
#pragma once
#include "camera/tracks.h"

typedef struct gv_rolling {
    double rows;        // rows in units of the picture's height per unit of the tracks' y
    double information; // of `measured`, 1 / variance
    double measured;    // share of the frame time
    double readout;     // what is used: 0 unless it is sure that rows are late
} gv_rolling;

// Learns from the frames first .. last that are remembered, together with what was known before.
void gv_rolling_measure(gv_rolling *r, const gv_tracks_store *tracks, long first, long last);
// Puts a frame's directions to where they were in the middle of the readout, as now known.
void gv_rolling_undo(const gv_rolling *r, const gv_tracks_store *tracks, long frame);
