// png.h - small pictures with a palette, written without compression.
#pragma once
#include "base/error.h"
#include <stdint.h>

// pixels [height, width]: indices into palette [256][3] (RGB). The file appears whole or not at all.
gv_status gv_png_write(const char *path, const uint8_t *pixels, int width, int height, const uint8_t (*palette)[3],
                       gv_error *err);
