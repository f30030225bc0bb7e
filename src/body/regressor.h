// regressor.h - matrices that take a body's vertices to other points, from the reference's data files (SPEC.md 13).
//
// The files are single PyTorch tensors, dense or sparse, which GVHMR's repository keeps beside its body model code:
// smplx2smpl_sparse.pt, smpl_coco17_J_regressor.pt, smpl_neutral_J_regressor.pt, smpl_3dpw14_J_regressor_sparse.pt.
#pragma once
#include "body/body.h"

enum { GV_SMPL_VERTICES = 6890, GV_SMPLX_VERTICES = 10475 };

// Dense [rows, columns], free() it; NULL with an error where the file holds another shape or indices beyond it.
float *gv_regressor_load(const char *path, int rows, int columns, gv_error *err);

// The same by rows, where most of it is 0. A zeroed struct may be closed.
typedef struct gv_regressor {
    int rows, columns;
    int *first;    // [rows + 1] of each row's entries
    int *column;   // [entries]
    float *weight; // [entries]
} gv_regressor;
gv_status gv_regressor_open(gv_regressor *r, const char *path, int rows, int columns, gv_error *err);
void gv_regressor_close(gv_regressor *r);
void gv_regressor_apply(float *out, const gv_regressor *r, const float *points); // [rows, 3] from [columns, 3]

// Fills b->coco17 of an SMPL or SMPL-X body from the files in `folder`, where they are; leaves it NULL where they are
// not. Files that are there and damaged are an error.
gv_status gv_body_find_coco17(gv_body *b, const char *folder, gv_error *err);
