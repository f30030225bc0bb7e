// npz.h - NumPy's .npz archives (zip of .npy members), read and written.
//
//     gv_npz *z = NULL;
//     gv_npz_open(&z, "obs.npz", &err);
//     const gv_array *a = gv_npz_find(z, "kp2d");                  // NULL when absent
//     float *kp = gv_npz_read_f32(z, "kp2d", (int64_t[]){-1, 17, 3}, 3, &rows, &err);   // -1: any
//
// Reading: format versions 1-3, C and Fortran order, every plain little-endian type below; stored and
// deflated members. Opening reads headers only. Members with pickled objects ('|O') are listed with
// GV_OBJECT and never read. The file is untrusted: shapes are checked against the member's size before
// anything is allocated.
//
// gv_npz_open also takes a pickled dictionary of arrays (SMPL and SMPL-X .pkl files), through the machine of
// pickle.h that executes nothing: NumPy arrays and those inside chumpy objects are listed as they are,
// scipy's sparse matrices as dense float64, everything else is stepped over.
#pragma once
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum gv_dtype {
    GV_F16,
    GV_BF16,
    GV_F32,
    GV_F64,
    GV_I8,
    GV_U8,
    GV_I16,
    GV_U16,
    GV_I32,
    GV_U32,
    GV_I64,
    GV_U64,
    GV_BOOL,
    GV_UNICODE, // '<Un': n UCS-4 characters
    GV_BYTES,   // '|Sn'
    GV_OBJECT,  // pickled, structured, complex or big-endian; not readable
} gv_dtype;

size_t gv_dtype_size(gv_dtype t);      // bytes per element; 0 for the last three
const char *gv_dtype_name(gv_dtype t); // "float32", ...

enum { GV_MAX_DIMS = 8 };
typedef struct gv_array { // what the header of one member says
    const char *name;     // without ".npy"; lives as long as the archive
    gv_dtype dtype;
    bool fortran_order;
    int ndim;
    int64_t shape[GV_MAX_DIMS];
    int64_t count; // product of shape
} gv_array;

typedef struct gv_npz gv_npz;
gv_status gv_npz_open(gv_npz **out, const char *path, gv_error *err);
void gv_npz_close(gv_npz *z); // accepts NULL
int gv_npz_count(const gv_npz *z);
const gv_array *gv_npz_at(const gv_npz *z, int i);
const gv_array *gv_npz_find(const gv_npz *z, const char *name);
const char *gv_npz_path(const gv_npz *z);

// Read a member, converted to the type asked for, in C order, 64-byte aligned; release with free().
// `shape` [ndim] is what is expected, -1 for any extent; ndim < 0: any shape. *extent (may be NULL)
// receives the member's first extent (1 for scalars). NULL with an error otherwise. Integers are range
// checked; floating values are not converted to integers.
float *gv_npz_read_f32(gv_npz *z, const char *name, const int64_t *shape, int ndim, int64_t *extent, gv_error *err);
double *gv_npz_read_f64(gv_npz *z, const char *name, const int64_t *shape, int ndim, int64_t *extent, gv_error *err);
int32_t *gv_npz_read_i32(gv_npz *z, const char *name, const int64_t *shape, int ndim, int64_t *extent, gv_error *err);
// One number (a scalar or an array of one) from lo to hi; *value stays as it is where the file has none.
gv_status gv_npz_read_number(gv_npz *z, const char *name, double lo, double hi, double *value, gv_error *err);
char **gv_npz_read_strings(gv_npz *z, const char *name, int64_t *count, gv_error *err); // one block; free() it

// Writing: deflated; elements are copied by add. The file has no time stamps (same input, same bytes) and
// appears whole or not at all. Errors are remembered and reported by finish.
typedef struct gv_npz_writer gv_npz_writer;
gv_status gv_npz_create(gv_npz_writer **out, const char *path, gv_error *err);
void gv_npz_add(gv_npz_writer *w, const char *name, gv_dtype dtype, const void *data, const int64_t *shape, int ndim);
// Whether arrays added from now on are taken as they are instead of copied: then they must stay until the writer is
// finished or abandoned. Strings and scalars are always copied.
void gv_npz_borrow(gv_npz_writer *w, bool borrow);
void gv_npz_add_f32(gv_npz_writer *w, const char *name, const float *data, int ndim, ...);   // extents as int
void gv_npz_add_i32(gv_npz_writer *w, const char *name, const int32_t *data, int ndim, ...); // extents as int
void gv_npz_add_f64_scalar(gv_npz_writer *w, const char *name, double value);
void gv_npz_add_i32_scalar(gv_npz_writer *w, const char *name, int32_t value);
void gv_npz_add_strings(gv_npz_writer *w, const char *name, const char *const *strings, int n);
void gv_npz_add_string(gv_npz_writer *w, const char *name, const char *string); // a scalar
gv_status gv_npz_finish(gv_npz_writer *w, gv_error *err);                       // writes, renames, frees the writer
void gv_npz_abandon(gv_npz_writer *w);                                          // accepts NULL
