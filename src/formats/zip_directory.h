// zip_directory.h - where the stored entries of a zip archive lie in memory.
//
// PyTorch stores its entries uncompressed so that they can be used in place; libzip reads but does not tell
// positions. This finds them: end record, zip64 records, central directory, local headers. Everything is
// checked against the archive's size, entries that are compressed, encrypted or overlap are refused.
// Source: PKWARE APPNOTE 6.3.9, sections 4.3.7 to 4.3.16 and 4.5.3; SPEC-perception.md 2.1.
#pragma once
#include "base/error.h"
#include <stddef.h>

typedef struct gv_zip_entry {
    const char *name; // in the archive, not terminated
    size_t name_length;
    const unsigned char *data; // in the archive
    size_t size;
} gv_zip_entry;

typedef struct gv_zip_directory {
    gv_zip_entry *entries; // [count] sorted by name
    size_t count;
} gv_zip_directory;

// `data` must outlive the directory. `path` serves the messages.
gv_status gv_zip_directory_read(gv_zip_directory *out, const void *data, size_t size, const char *path, gv_error *err);
void gv_zip_directory_free(gv_zip_directory *d); // leaves a zeroed struct
const gv_zip_entry *gv_zip_directory_find(const gv_zip_directory *d, const char *name, size_t length); // or NULL
