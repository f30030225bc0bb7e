// tensors.h - named tensors from any weight file: PyTorch checkpoints (zip and legacy) and safetensors.
//
//     gv_tensors *w = NULL;
//     gv_tensors_open(&w, "gvhmr_siga24_release.ckpt", &err);       // decided by content, not by ending
//     float *m = gv_tensors_read_f32(w, "pipeline.denoiser3d.blocks.0.norm1.weight", (int64_t[]){512}, 1, &err);
//
// Opening parses the directory only (a PyTorch pickle is walked by a small machine that builds plain
// values and never executes anything); data are mapped and converted on demand. The file is untrusted.
//
// Where the names come from in a checkpoint (SPEC-perception.md 2.5): the keys of its "state_dict"; else the
// paths of the torch.nn object under "ema" or "model"; else, for a result file of the reference
// (hmr4d_results.pt), "smpl_params_global.transl" and the like; a file that is one tensor has "tensor", or where that is
// sparse "indices" (dims, n) and "values" (n).
#pragma once
#include "formats/npz.h"

typedef struct gv_tensor {
    const char *name; // lives as long as the file is open
    gv_dtype dtype;   // as stored
    int ndim;
    int64_t shape[16];
    int64_t count; // product of shape
} gv_tensor;

typedef struct gv_tensors gv_tensors;
gv_status gv_tensors_open(gv_tensors **out, const char *path, gv_error *err);
// Data sets: a PyTorch file of nested dictionaries, lists and tuples (not deeper than GV_TREE_DEPTH). Tensors are named
// by their path, "sequence|smpl_params|transl", positions in lists and tuples counting from 0; texts, numbers and short
// lists of numbers (separated by commas) are metadata by path; all keys of the top level are kept. Whatever else is in
// the file is stepped over.
enum { GV_TREE_DEPTH = 8 };
gv_status gv_tensors_open_tree(gv_tensors **out, const char *path, gv_error *err);
void gv_tensors_close(gv_tensors *w); // accepts NULL
const char *gv_tensors_path(const gv_tensors *w);
const char *gv_tensors_container(const gv_tensors *w); // "PyTorch zip", "PyTorch legacy", "safetensors"
int gv_tensors_count(const gv_tensors *w);
const gv_tensor *gv_tensors_at(const gv_tensors *w, int i); // in file order
const gv_tensor *gv_tensors_find(const gv_tensors *w, const char *name);

// Contiguous float32 copy, 64-byte aligned, free() it. shape [ndim] is what is expected, -1 any extent;
// ndim < 0: any shape. A missing tensor or another shape is an error that says which, found and expected.
float *gv_tensors_read_f32(gv_tensors *w, const char *name, const int64_t *shape, int ndim, gv_error *err);

// The tensor where it lies in the mapped file: contiguous float32 that is read without a copy, until the file is
// closed. NULL where it is missing, of another type, strided or not aligned (legacy checkpoints align nothing).
const float *gv_tensors_in_place(const gv_tensors *w, const char *name);
// Lets go of the memory of everything read so far (it counts as the process's); what is touched again is
// fetched again.
void gv_tensors_forget(const gv_tensors *w);

// Keys of a checkpoint's top level ("state_dict", "epoch", ...), at most 64 unless it is a tree; none for safetensors.
int gv_tensors_key_count(const gv_tensors *w);
const char *gv_tensors_key(const gv_tensors *w, int i);

// A string of safetensors' __metadata__, or a tree's text or numbers; NULL where there is none.
const char *gv_tensors_metadata(const gv_tensors *w, const char *key);

// Writes a safetensors file. dtype is GV_F32, GV_F16 or GV_BF16 (round to nearest even) for all tensors.
// metadata: pairs key, value, ..., NULL; may be NULL.
typedef struct gv_tensor_view {
    const char *name;
    const float *data;
    int ndim;
    int64_t shape[16];
} gv_tensor_view;
gv_status gv_safetensors_write(const char *path, const gv_tensor_view *tensors, int n, gv_dtype dtype,
                               const char *const *metadata, gv_error *err);
