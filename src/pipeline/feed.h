// feed.h - frames decoded ahead of their use by a thread of its own, in a fixed number of buffers.
//
//     gv_feed *feed = NULL;
//     gv_feed_open(&feed, "clip.mp4", NULL, 6, &err);
//     gv_feed_frame *p;
//     while (gv_feed_next(feed, &p, &err) == GV_OK && p) { ...; gv_feed_release(feed, p); }
//     gv_feed_close(feed);
//
// A picture may be released by another thread than the one that took it, in any order; next blocks while
// all buffers are taken.
#pragma once
#include "base/error.h"
#include "video/video.h"

typedef struct gv_feed_frame {
    uint8_t *rgb; // [height, width, 3], rows without padding; may be drawn into
    int width, height;
    long index;
    double time_sec;
    void *user; // free for the pipeline; NULL when it comes from next
} gv_feed_frame;

typedef struct gv_feed gv_feed;
gv_status gv_feed_open(gv_feed **out, const char *path, const gv_video_options *opt, int buffers, gv_error *err);
void gv_feed_close(gv_feed *feed); // stops the thread; accepts NULL
const gv_video_info *gv_feed_info(const gv_feed *feed);
long gv_feed_damaged(gv_feed *feed); // packets that could not be decoded; after the end
gv_status gv_feed_next(gv_feed *feed, gv_feed_frame **picture, gv_error *err); // *picture NULL: the end
void gv_feed_release(gv_feed *feed, gv_feed_frame *picture);
