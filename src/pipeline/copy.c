#include "pipeline/copy.h"
#include "base/memory.h"
#include "video/shrink.h"
#include "video/video.h"

#include <math.h>
#include <stdlib.h>

static const double quality = 26; // of the encoder: fine at the size of a pane

struct gv_copy {
    gv_video_writer *writer;
    gv_shrinker *shrinker; // NULL: frames are small enough
    uint8_t *small;        // [width, height, 3] of the copy
    int width;
    double *times; // [frames]
    long frames, room;
};

gv_status gv_copy_create(gv_copy **out, const char *path, int width, int height, double fps, gv_error *err) {
    const int longer = width > height ? width : height;
    const double k = longer > GV_COPY_SIDE ? (double)GV_COPY_SIDE / longer : 1;
    const int w = (int)fmax(round(width * k), 1), h = (int)fmax(round(height * k), 1);
    gv_status status = GV_OK;
    gv_copy *c = *out = gv_calloc2(1, sizeof *c);
    if (c) c->width = w;
    if (c && k < 1) {
        c->shrinker = gv_shrinker_create(width, height, w, h);
        c->small = gv_calloc2((size_t)w * (size_t)h, 3);
    }
    if (!c || (k < 1 && (!c->shrinker || !c->small)))
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for pictures of %d x %d", path, width, height);
    if (status == GV_OK) status = gv_video_create_at(&c->writer, path, w, h, fps, quality, err);
    if (status == GV_OK) return GV_OK;
    gv_copy_abandon(c);
    *out = NULL;
    return status;
}

static gv_status keep_time(gv_copy *c, double time_sec, gv_error *err) {
    if (c->frames == c->room) {
        const long room = c->room ? 2 * c->room : 1024;
        double *grown = realloc(c->times, (size_t)room * sizeof *grown);
        if (!grown) return gv_fail(err, GV_ERR_MEMORY, "no memory for the times of %ld frames", room);
        c->times = grown;
        c->room = room;
    }
    c->times[c->frames++] = time_sec;
    return GV_OK;
}

gv_status gv_copy_add(gv_copy *c, const uint8_t *rgb, int stride, double time_sec, gv_error *err) {
    gv_status status = keep_time(c, time_sec, err);
    if (status != GV_OK) return status;
    if (!c->shrinker) return gv_video_write(c->writer, rgb, stride, time_sec, err);
    gv_shrink_rgb(c->shrinker, c->small, rgb, stride);
    return gv_video_write(c->writer, c->small, c->width * 3, time_sec, err);
}

gv_status gv_copy_finish(gv_copy *c, double **times, long *frames, gv_error *err) {
    gv_status status = gv_video_finish(c->writer, err);
    c->writer = NULL;
    *times = NULL;
    *frames = 0;
    if (status == GV_OK) {
        *times = c->times;
        *frames = c->frames;
        c->times = NULL;
    }
    gv_copy_abandon(c);
    return status;
}

void gv_copy_abandon(gv_copy *c) {
    if (!c) return;
    gv_video_abandon(c->writer);
    gv_shrinker_destroy(c->shrinker);
    free(c->small);
    free(c->times);
    free(c);
}
