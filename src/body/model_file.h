// model_file.h - the arrays of a body model file, whichever container holds them.
//
// Two containers, told apart by their first bytes: NumPy's .npz, and a Python pickle (.pkl, protocols 2 to 4)
// of a dictionary of NumPy arrays, as the SMPL family was first published. A pickle is walked by the machine
// of formats/pickle.h, which executes nothing; only contiguous arrays of plain little-endian types are read
// from it, everything else in it is stepped over. The file is untrusted.
#pragma once
#include "formats/npz.h"

typedef struct gv_model_file gv_model_file;
gv_status gv_model_file_open(gv_model_file **out, const char *path, gv_error *err);
void gv_model_file_close(gv_model_file *m); // accepts NULL
const char *gv_model_file_path(const gv_model_file *m);

// What a member is; false where there is none. out->name is not set for pickles.
bool gv_model_file_find(const gv_model_file *m, const char *name, gv_array *out);

// A member in C order, 64-byte aligned; free() it. shape [ndim] is exactly what is expected. NULL with an error.
float *gv_model_file_f32(gv_model_file *m, const char *name, const int64_t *shape, int ndim, gv_error *err);
double *gv_model_file_f64(gv_model_file *m, const char *name, const int64_t *shape, int ndim, gv_error *err);
int32_t *gv_model_file_i32(gv_model_file *m, const char *name, const int64_t *shape, int ndim, gv_error *err);
