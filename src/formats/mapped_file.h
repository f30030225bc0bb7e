// mapped_file.h - a whole file as read-only memory, its pages read when they are touched.
#pragma once
#include "base/error.h"
#include <stddef.h>

// Refuses what is not a regular file, and empty files. A file that somebody cuts short meanwhile ends the
// process with SIGBUS, as with every mapping.
gv_status gv_map_file(const unsigned char **data, size_t *size, const char *path, gv_error *err);
void gv_unmap_file(const unsigned char *data, size_t size); // accepts NULL

// The pages read so far no longer count as the process's memory; touching them fetches them again.
void gv_forget_pages(const unsigned char *data, size_t size);
