// motion_export.h - a motion in the formats that other programs read, chosen by the file's ending.
//
//   .pt   the reference's result file: smpl_params_global, smpl_params_incam, K_fullimg, net_outputs
//         (source: GVHMR tools/demo/demo.py, hmr4d_results.pt); betas are repeated for every frame
//   .npz  the motion contract again (motion_file.h)
//   .csv  one row per frame: frame, time_sec, then x, y, z of the 22 joints in the world, m
//   .trc  OpenSim marker file: the 22 joints as markers in the world, mm, y up
//   .bvh  the 22-joint skeleton, y up, cm, T-pose facing +z as rest pose, channels Z X Y; the rest offsets
//         are those that the joints and the pose of the motion imply
//
// Files appear whole or not at all.
#pragma once
#include "formats/motion_file.h"
#include <stdbool.h>

// Joint each hangs on, -1 for the pelvis; a parent comes before its children. Source: SMPL-X kintree_table.
extern const int gv_motion_parents[GV_MOTION_JOINTS];

gv_status gv_motion_export(const gv_motion *m, const char *path, gv_error *err);

// Frames per second that a format without times of its own (.bvh, .trc's header) is given: the mean over the
// motion. *even (may be NULL): all intervals are within 2 % of the mean.
double gv_motion_mean_rate(const gv_motion *m, bool *even);
