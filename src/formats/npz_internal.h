// npz_internal.h - inside of gv_npz, shared by npz.c, npz_pickle.c and npz_write.c.
#pragma once
#include "formats/npz.h"
#include <zip.h>

enum { GV_NPZ_MAX_MEMBERS = 10000, GV_NPZ_MAX_NAME = 512 };

typedef struct gv_npz_member {
    gv_array array;             // its name is owned
    size_t width;               // bytes per element, text types too
    zip_uint64_t index, size;   // in the zip archive; size: uncompressed bytes, the header's included
    size_t header;              // bytes before the elements
    const unsigned char *bytes; // the elements, where they lie in memory (pickles)
} gv_npz_member;

struct gv_npz {
    char *path;
    gv_npz_member *members;
    int count;
    zip_t *zip;                      // NULL for a pickle
    struct gv_pickle_source *pickle; // NULL for a zip archive
};

// "<f4" -> dtype and width; false for what is no plain little-endian type.
bool gv_npz_parse_descr(const char *text, gv_dtype *dtype, size_t *width);

// Fills array->count; false where 64 bits cannot count the elements.
bool gv_npz_count_elements(gv_array *a);

// "(300, 17, 3)"; -1 is written as "any".
void gv_npz_shape_text(char *text, size_t capacity, const int64_t *shape, int ndim);

// Lists the arrays of a pickled dictionary (SMPL and SMPL-X .pkl files) as members.
gv_status gv_npz_open_pickle(gv_npz *z, gv_error *err);
void gv_npz_close_pickle(struct gv_pickle_source *s); // accepts NULL
