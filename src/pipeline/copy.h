// copy.h - the small copy of a video that the viewer shows: H.264, at most 854 pixels a side, every frame at its time.
#pragma once
#include "base/error.h"
#include <stdint.h>

enum { GV_COPY_SIDE = 854 };

typedef struct gv_copy gv_copy;

// Begins the file `path`, which appears when the copy is finished, for frames of width x height.
gv_status gv_copy_create(gv_copy **out, const char *path, int width, int height, double fps, gv_error *err);

// rgb [height, stride] of the frame that is shown at time_sec; times grow.
gv_status gv_copy_add(gv_copy *c, const uint8_t *rgb, int stride, double time_sec, gv_error *err);

// Writes the end and destroys the copy, whatever it returns. *times [*frames], s, is to be freed by the caller.
gv_status gv_copy_finish(gv_copy *c, double **times, long *frames, gv_error *err);

void gv_copy_abandon(gv_copy *c); // accepts NULL
