// video.h - video files in and out through FFmpeg's libraries.
//
//     gv_video *v = NULL;
//     gv_video_open(&v, "clip.mp4", NULL, &err);
//     gv_frame f;
//     while ((status = gv_video_next(v, &f, &err)) == GV_OK && f.rgb) { ... }   // f.rgb NULL: the end
//     gv_video_close(v);
//
// Frames come upright (rotation metadata applied), in presentation order, each with its true timestamp,
// one at a time in constant memory. Colours are converted as the stream's own colour space and range say.
// Every decoded frame counts; nothing is duplicated or dropped. A damaged packet inside the file is skipped
// and counted in `damaged`; a file without a single readable frame is an error.
#pragma once
#include "base/error.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct gv_video_info {
    int width, height;   // px, upright, square pixels are assumed
    double fps;          // mean rate by the container, Hz; 0 when it does not say
    long frames;         // the container's claim, 0 when it makes none; the true count is what comes out
    double duration_sec; // 0 unknown
    int rotation;        // degrees clockwise that were applied: 0, 90, 180, 270
    const char *codec, *container;
} gv_video_info;

typedef struct gv_frame {
    const uint8_t *rgb; // [height, stride] 3 bytes per pixel, valid until the next call; NULL at the end
    int width, height, stride;
    long index;      // 0, 1, 2, ...
    double time_sec; // presentation time, first frame = 0; strictly increasing (repaired where a stream is not)
    int source_width, source_height; // as coded, before any reduction: a stream may change it under way
} gv_frame;

typedef struct gv_video_options {
    double fps;   // > 0: ignore the container's times, frame i is at i / fps
    int max_side; // > 0: deliver frames reduced so that the longer side is at most this
    int threads;  // decoder threads, 0 = automatic
    bool half;    // frames of half the size (rounded down), as FFmpeg's scale=iw*0.5:ih*0.5 makes them: bicubic, in
                  // the video's own pixel format, before the conversion to RGB. max_side then counts for nothing.
    // For sources that are not files: a URL (rtsp, rtp, udp, tcp, srt, http), a camera (/dev/videoN) or a pipe.
    bool live;
    double patience_sec;     // live: longest wait for data, then GV_ERR_EMPTY; 0: for ever
    const atomic_bool *stop; // live: once true, waiting ends with GV_ERR_CANCELLED; may be NULL
    struct gv_jail *jail; // frames are decoded by a process without rights (base/jail.h), with the same result; NULL:
                          // by this one
} gv_video_options;

typedef struct gv_video gv_video;
gv_status gv_video_open(gv_video **out, const char *path, const gv_video_options *opt, gv_error *err);
void gv_video_close(gv_video *v); // accepts NULL
const gv_video_info *gv_video_get_info(const gv_video *v);
gv_status gv_video_next(gv_video *v, gv_frame *frame, gv_error *err);
gv_status gv_video_rewind(gv_video *v, gv_error *err); // back to frame 0; the same frames come again
long gv_video_damaged(const gv_video *v);              // packets that could not be decoded so far

// Writes H.264 in MP4, yuv420p BT.709 limited range, playable while downloading; the file appears whole or not at all.
// Odd sizes are padded by one row or column. Times must increase; frames are RGB as above.
typedef struct gv_video_writer gv_video_writer;
gv_status gv_video_create(gv_video_writer **out, const char *path, int width, int height, double fps, gv_error *err);
// The same at another quality: x264's rate factor, 20.5 above, 28 a third of the size. Other encoders take a bit rate by
// it.
gv_status gv_video_create_at(gv_video_writer **out, const char *path, int width, int height, double fps, double factor,
                             gv_error *err);
gv_status gv_video_write(gv_video_writer *w, const uint8_t *rgb, int stride, double time_sec, gv_error *err);
gv_status gv_video_finish(gv_video_writer *w, gv_error *err); // flushes, renames, frees
void gv_video_abandon(gv_video_writer *w);                    // accepts NULL
