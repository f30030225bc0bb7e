// calibrate.h - the focal length from the tracks of a camera that turns.
//
// Two views of a camera that only turned are related by K R K^-1; among all focal lengths the right one lets
// every track agree (Hartley 1994). Where the camera also moves, whole windows are adjusted and say how the focal
// length would have to change for a better fit. Nothing is found where the camera does not turn enough, or about
// its optical axis only, or where all its motion is one event of less than a second.
#pragma once
#include "camera/tracks.h"
#include <stdbool.h>

typedef struct gv_calibration {
    bool found;       // sure enough to be used
    double log_ratio; // logarithm of the focal length over the one behind the tracks
    double sd;        // its standard deviation: relative error of the focal length
    double turn;      // rad, largest rotation within one pair of views
} gv_calibration;

// frames [n]: numbers of frames, ascending, from which tracks are followed (keyframes). `unit`: one reduced pixel in
// the tracks' coordinates. lo, hi: range of log_ratio that is thinkable.
gv_status gv_calibrate(gv_calibration *out, const gv_tracks_store *tracks, const long *frames, long n, double unit,
                       double lo, double hi, gv_error *err);
