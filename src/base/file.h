// file.h - whole files in, whole files out, and where the program's own data lie.
#pragma once
#include "base/error.h"
#include <stddef.h>
#include <stdio.h>

// Reads a whole regular file. *data is malloc'ed (free it), one NUL beyond size. Files over `limit` bytes
// (0 = 1 GiB), directories and devices are refused.
gv_status gv_file_read(const char *path, size_t limit, unsigned char **data, size_t *size, gv_error *err);

// A file that appears whole or not at all: write to `temporary` (same folder, same ending), then commit
// renames it to `path`; abandon removes it. begin fails where the folder cannot be written, and removes what processes
// that were killed while writing the same file left behind.
// commit and abandon release the strings; abandon accepts a zeroed struct.
typedef struct gv_outfile {
    char *path, *temporary;
} gv_outfile;
gv_status gv_outfile_begin(gv_outfile *out, const char *path, gv_error *err);
gv_status gv_outfile_commit(gv_outfile *out, gv_error *err); // flushes to disk, renames
void gv_outfile_abandon(gv_outfile *out);

// Removes all that interrupted writers left in a folder in which nobody writes now; of one file where `name` is given.
void gv_folder_clean(const char *folder, const char *name);

// The names in a folder but "." and "..", in the order of their bytes; NULL after the last. One block: free it.
gv_status gv_folder_list(char ***names, const char *folder, gv_error *err);

// Writes bytes to a file, whole or not at all.
gv_status gv_file_write(const char *path, const void *data, size_t size, gv_error *err);

// Makes a folder and those above it where they are missing; fails where files cannot be made in it.
gv_status gv_folder_prepare(const char *folder, gv_error *err);

// Finds a data file of the program (model, weights, body) by name. Looked at in order: $GVHMR_DATA; the
// folder of the shared library or else of the executable and the one above it, ../models and
// ../models/node_modules/@mediapipe/pose beside it, ../share/gvhmr; the data folder of the installation. Returns a
// malloc'ed path, or NULL with an error that lists the folders tried.
char *gv_resource_find(const char *name, gv_error *err);
