// keep.h - the first pass's results as records of a journal (cache.h), and back.
//
// Packing allocates *data (free() it). Unpacking checks everything: a record that is not what this program writes
// gives false and leaves the output zeroed.
#pragma once
#include "pipeline/watch.h"
#include <stddef.h>

gv_status gv_sightings_pack(void **data, size_t *size, const gv_sightings *s, gv_error *err);
bool gv_sightings_unpack(gv_sightings *s, const void *data, size_t size);

gv_status gv_camera_pack(void **data, size_t *size, const gv_camera_path *c, gv_error *err);
bool gv_camera_unpack(gv_camera_path *c, const void *data, size_t size);
