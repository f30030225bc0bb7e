// file_io.h - an open file as FFmpeg reads it: a process without rights can open none.
#pragma once
#include <libavformat/avio.h>

// The descriptor is borrowed, its position not used. *read_errno (may be NULL) is set where the disk fails, of which FFmpeg
// says nothing: it makes do with what it has got. NULL: no memory, or no file.
AVIOContext *gv_file_io_open(int fd, int *read_errno);
void gv_file_io_close(AVIOContext *io); // accepts NULL
