// capture.h - frames of a source as they come, by a thread of its own: the newest win, nothing queues up.
//
//     gv_capture_open(&c, &options, &err);
//     while (gv_capture_next(c, &f, &err) == GV_OK && f.what != GV_CAPTURE_END)
//         if (f.what == GV_CAPTURE_FRAME) { ...; gv_capture_release(c, &f); } else ...   // a gap: f.reason
//     gv_capture_close(c);
//
// Sources: a video file, played at its own speed; "-", raw RGB frames on standard input; /dev/videoN; a URL (rtsp, udp,
// ...). At most three frames wait; when a fourth comes the oldest is dropped and counted. A source that falls silent,
// goes away, loses packets or changes its size is told of by a gap, in place; cameras and URLs are opened again every
// second until that has failed for long enough; one that cannot be opened at all is an error at once, unless it is only
// silent. A size that changes is scaled to the first one.
#pragma once
#include "base/error.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct gv_capture_options {
    const char *source;
    int width, height;       // of raw frames
    double fps;              // of raw frames (0: 30), or of a file instead of its own times
    double patience_sec;     // of silence, until it is a gap
    double give_up_sec;      // a source that cannot be had again for so long has ended
    bool every_frame;        // as fast as the frames are taken, dropping none
    struct gv_jail *jail;    // where it is decoded (video/video.h); NULL: in this process
    const atomic_bool *stop; // ends everything, without an error; may be NULL
} gv_capture_options;

typedef enum gv_capture_what { GV_CAPTURE_END, GV_CAPTURE_FRAME, GV_CAPTURE_GAP } gv_capture_what;

typedef struct gv_capture_frame {
    gv_capture_what what;
    uint8_t *rgb; // [height, 3 width]; until released
    int width, height, slot;
    long index;       // of the source, from 0: dropped frames leave holes
    double time_sec;  // of the source, from 0; goes on through gaps
    double came_sec;  // gv_now when it was there; a file's: when it was due
    char reason[256]; // of a gap
} gv_capture_frame;

typedef struct gv_capture gv_capture;
gv_status gv_capture_open(gv_capture **out, const gv_capture_options *opt, gv_error *err);
void gv_capture_close(gv_capture *c); // accepts NULL
// Blocks. An error only when the source could not be opened in the first place, and nobody wanted to stop.
gv_status gv_capture_next(gv_capture *c, gv_capture_frame *f, gv_error *err);
void gv_capture_release(gv_capture *c, const gv_capture_frame *f);
long gv_capture_dropped(gv_capture *c);
double gv_capture_fps(gv_capture *c); // as the source says, 0: not known; once a frame has come
