// confined.h - the same reader in a process without rights (base/jail.h), frames by shared memory.
//
// That process gets the open file, or opens the source and is confined before it looks at what comes out of it. It
// decodes ahead into a few frames' room. What it says is not believed: sizes, times and places are checked, and the
// memory cannot be made smaller under the reader. A process that falls over, is ended by the filter, or says nothing
// for minutes is an error that names the file.
#pragma once
#include "video/video.h"

typedef struct gv_confined gv_confined;
gv_status gv_confined_open(gv_confined **out, const char *path, int fd, const gv_video_options *opt, gv_error *err);
void gv_confined_close(gv_confined *c); // accepts NULL
const gv_video_info *gv_confined_info(const gv_confined *c);
gv_status gv_confined_next(gv_confined *c, gv_frame *frame, gv_error *err);
long gv_confined_damaged(const gv_confined *c);
