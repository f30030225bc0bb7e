// reader.h - video.h's reader as it works in one process: demuxes, decodes, converts and turns upright.
#pragma once
#include "video/video.h"
#include <stddef.h>

// How a reader comes to its bytes.
typedef struct gv_reader_source {
    int fd; // >= 0: the open file (borrowed; its position is not used); `path` is for messages only
    void (*connected)(void *user); // live: the source is open, nothing of it has been looked at; may be NULL
    void *user;
} gv_reader_source;

typedef struct gv_reader gv_reader;
gv_status gv_reader_open(gv_reader **out, const char *path, const gv_video_options *opt, const gv_reader_source *source,
                         gv_error *err);
void gv_reader_close(gv_reader *v); // accepts NULL
const gv_video_info *gv_reader_info(const gv_reader *v);
gv_status gv_reader_next(gv_reader *v, gv_frame *frame, gv_error *err);
gv_status gv_reader_rewind(gv_reader *v, gv_error *err);
long gv_reader_damaged(const gv_reader *v);

// Bytes of a frame: rows, and what a converter may write beyond them. A frame goes to `pixels` from now on, 64-byte
// aligned and as large.
size_t gv_reader_frame_bytes(const gv_reader *v, int *stride);
void gv_reader_write_to(gv_reader *v, uint8_t *pixels);

// The largest frames.
bool gv_frame_fits(int width, int height);
