// import.h - motion capture clips into a motion store: BVH by a list, and motions of the SMPL family (motions.h).
//
// The list is a CSV file with a header line; columns used: file, skeleton, subject, category, ground and, where
// present, archive. The map (JSON) says, per skeleton, which joints' local rotations are multiplied to give
// each of the 22 SMPL-X body joints: { "skeletons": { NAME: { "left_hip": ["LeftUpLeg"], ... } } }.
// Clips must be y up, in centimetres, with a T-pose facing +z as rest pose; other frame rates are resampled to 30.
//
// A path is an AMASS .npz file, one of the packs of motions.h (.pt, .pth), or a folder of such files, which is searched
// to the bottom in alphabetical order (packs in it by the names that the reference gives them). Of a file in a folder
// the first folder on the way is source and, unless one is given, category; all folders together are the subject.
#pragma once
#include "base/error.h"
#include <stdbool.h>

typedef struct gv_import_options {
    const char *list, *map, *root; // the CSV, the JSON, the folder that `file` is relative to; list NULL: no BVH
    const char *const *paths;      // [path_count] files and folders
    int path_count;
    const char *bodies, *category, *licence;          // of the paths: folder of SMPLX_*.npz; texts; all may be NULL
    const char *sources;                              // comma separated values of column archive to take, NULL: all
    void (*dropped)(void *user, const char *message); // called for each clip left out; may be NULL
    void *user;
} gv_import_options;

typedef struct gv_import_report {
    int clips, dropped;
    double hours;
} gv_import_report;

gv_status gv_import_clips(const char *store_path, const gv_import_options *o, gv_import_report *report, gv_error *err);
