#include "pipeline/feed.h"
#include "base/memory.h"
#include "base/queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct gv_feed {
    gv_video *video;
    gv_queue *empty, *full; // of gv_feed_frame *
    pthread_t thread;
    bool running;
    int buffers;
    gv_feed_frame *pictures;
    gv_status status; // of the decoder, valid once `full` has run dry
    gv_error err;
};

static void copy_rows(gv_feed_frame *p, const gv_frame *f) {
    size_t row = (size_t)f->width * 3;
    for (int y = 0; y < f->height; y++) memcpy(p->rgb + (size_t)y * row, f->rgb + (size_t)y * (size_t)f->stride, row);
    p->width = f->width;
    p->height = f->height;
    p->index = f->index;
    p->time_sec = f->time_sec;
    p->user = NULL;
}

static void *decode(void *arg) {
    gv_feed *feed = arg;
    gv_feed_frame *p;
    while (gv_queue_pop(feed->empty, &p)) {
        gv_frame f = {0};
        feed->status = gv_video_next(feed->video, &f, &feed->err);
        if (feed->status != GV_OK || !f.rgb) break;
        copy_rows(p, &f);
        if (!gv_queue_push(feed->full, &p)) break;
    }
    gv_queue_close(feed->full);
    return NULL;
}

gv_status gv_feed_open(gv_feed **out, const char *path, const gv_video_options *opt, int buffers, gv_error *err) {
    *out = NULL;
    gv_feed *feed = calloc(1, sizeof *feed);
    if (!feed) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    gv_status status = gv_video_open(&feed->video, path, opt, err);
    if (status != GV_OK) goto fail;
    const gv_video_info *info = gv_video_get_info(feed->video);
    feed->buffers = buffers;
    feed->empty = gv_queue_create((size_t)buffers, sizeof(gv_feed_frame *));
    feed->full = gv_queue_create((size_t)buffers, sizeof(gv_feed_frame *));
    feed->pictures = gv_calloc2((size_t)buffers, sizeof *feed->pictures);
    status = GV_ERR_MEMORY;
    if (!feed->empty || !feed->full || !feed->pictures) goto memory;
    for (int i = 0; i < buffers; i++) {
        gv_feed_frame *p = feed->pictures + i;
        p->rgb = gv_calloc2((size_t)info->width * (size_t)info->height, 3);
        if (!p->rgb) goto memory;
        gv_queue_push(feed->empty, &p);
    }
    if (pthread_create(&feed->thread, NULL, decode, feed) != 0) goto memory;
    feed->running = true;
    *out = feed;
    return GV_OK;
memory:
    gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %d frames of %d x %d", path, buffers, info->width, info->height);
fail:
    gv_feed_close(feed);
    return status;
}

void gv_feed_close(gv_feed *feed) {
    if (!feed) return;
    if (feed->running) {
        gv_queue_close(feed->empty);
        gv_queue_close(feed->full);
        pthread_join(feed->thread, NULL);
    }
    for (int i = 0; feed->pictures && i < feed->buffers; i++) free(feed->pictures[i].rgb);
    free(feed->pictures);
    gv_queue_destroy(feed->empty);
    gv_queue_destroy(feed->full);
    gv_video_close(feed->video);
    free(feed);
}

const gv_video_info *gv_feed_info(const gv_feed *feed) {
    return gv_video_get_info(feed->video);
}

long gv_feed_damaged(gv_feed *feed) {
    return gv_video_damaged(feed->video);
}

gv_status gv_feed_next(gv_feed *feed, gv_feed_frame **picture, gv_error *err) {
    *picture = NULL;
    if (gv_queue_pop(feed->full, picture)) return GV_OK;
    if (feed->status != GV_OK && err) *err = feed->err;
    return feed->status;
}

void gv_feed_release(gv_feed *feed, gv_feed_frame *picture) {
    gv_queue_push(feed->empty, &picture);
}
