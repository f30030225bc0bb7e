// motion_export.h - the motion of one person in the formats that other programs read.
//
//   PT      the reference's result file: smpl_params_global, smpl_params_incam, K_fullimg, net_outputs
//           (source: GVHMR tools/demo/demo.py, hmr4d_results.pt); betas are repeated for every frame
//   MOTION  the motion contract again (motion_file.h)
//   CSV     one row per frame: frame, time_sec, then x, y, z of the 22 joints in the world [y up, m]
//   TRC     OpenSim marker file: the 22 joints as markers in the world [y up, mm]
//   BVH     the 22-joint skeleton, T-pose as rest pose, channels Z X Y; the rest offsets are those that the joints
//           and the pose of the motion imply [y up and facing +z, cm]
//   AMASS   .npz with the keys of AMASS, of its SMPL-H files (poses (L,156), trans, betas (16,), gender,
//           mocap_framerate) and of its SMPL-X files (root_orient, pose_body, pose_hand, pose_jaw, pose_eye,
//           mocap_frame_rate): z up, m, hands flat. What GMR's SMPL-X loader reads.
//           (source: AMASS' description of its files; GMR, general_motion_retargeting/utils/smpl.py)
//
// Files appear whole or not at all. BVH and AMASS know no times of single frames: resample uneven motion first
// (exports/resample.h).
#pragma once
#include "formats/motion_file.h"
#include <stdbool.h>

typedef enum gv_motion_format {
    GV_MOTION_PT,
    GV_MOTION_AGAIN,
    GV_MOTION_CSV,
    GV_MOTION_TRC,
    GV_MOTION_BVH,
    GV_MOTION_AMASS,
} gv_motion_format;

typedef struct gv_motion_axes { // of CSV, TRC and BVH; the others have but one way
    bool z_up;                  // (x, y, z) becomes (x, -z, y)
    double unit_m;              // length of the file's unit; 0 = the format's own
} gv_motion_axes;

// axes NULL: the format's own.
gv_status gv_motion_export(const gv_motion *m, gv_motion_format format, const gv_motion_axes *axes, const char *path,
                           gv_error *err);

// Frames per second that a format without times of its own is given: the mean over the motion. *even (may be NULL):
// all intervals are within 2 % of the mean.
double gv_motion_mean_rate(const gv_motion *m, bool *even);

// ---- the skeleton of a motion file

// Joint each hangs on, -1 for the pelvis; a parent comes before its children. Source: SMPL-X kintree_table.
extern const int gv_motion_parents[GV_MOTION_JOINTS];

// Rest offset of every joint from its parent, m: what joints_world and the pose imply, mean over the frames. Fails
// where the joints do not follow the pose. `name` serves the message.
gv_status gv_motion_bones(const gv_motion *m, double offsets[GV_MOTION_JOINTS][3], const char *name, gv_error *err);

// Local rotations [22, 9] of frame t in the world, and their products down the tree.
void gv_motion_rotations(const gv_motion *m, int t, double local[GV_MOTION_JOINTS][9],
                         double global[GV_MOTION_JOINTS][9]);
