// watch.h - the first pass over a video: everybody in it is found, and the camera's rotation followed.
//
// Three threads work on consecutive frames: decoding, people, camera. Memory holds a fixed number of
// frames; what grows with the video are the results themselves. Where the finder would like to see several frames at
// once (gv_finder_ahead), the next ones are taken from the decoder and those before are followed while it looks.
#pragma once
#include "base/progress.h"
#include "camera/odometry.h"
#include "perception/people.h"
#include "pipeline/finder.h"
#include "pipeline/repeats.h"

typedef struct gv_sightings {
    gv_tracks tracks; // everybody, most prominent first
    long frames;
    double *time_sec;  // [frames]
    int *masks;        // [frames] number of boxes in `mask` that belong to each frame
    float (*mask)[4];  // [sum of masks] x0, y0, x1, y1 px of those seen, frame after frame: left out by the camera
    uint8_t *repeated; // [frames] 1 where the frame shows the picture before again (repeats.h)
    long damaged;      // packets that could not be decoded
} gv_sightings;
void gv_sightings_free(gv_sightings *s); // leaves a zeroed struct

typedef struct gv_watch_options {
    const char *video;
    double fps;           // > 0: overrides the container's frame rate
    struct gv_jail *jail; // where it is decoded; may be NULL
    bool quiet;           // no progress line
    const gv_listener *listener;
    gv_finder *finder;     // NULL: *s is given, and only the camera is followed
    gv_odometry *odometry; // NULL: the camera is not followed; its frames are not finished here. It gets new pictures
                           // only, and gv_camera_hold is for afterwards
} gv_watch_options;

typedef struct gv_watch_times { // seconds
    double whole, people, camera;
} gv_watch_times;

gv_status gv_watch(gv_sightings *s, const gv_watch_options *opt, gv_watch_times *times, gv_error *err);
