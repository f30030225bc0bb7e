// motions.h - motion files of the SMPL family, into a motion store.
//
//   AMASS       .npz with `poses` (T, 66 or more) or `root_orient` and `pose_body`, `trans`, `mocap_framerate` or
//               `mocap_frame_rate`, `betas`, `gender`: SMPL, SMPL-H and SMPL-X, z up
//   GVHMR's     PyTorch files of its data sets' *_hmr4d_support folders (SPEC.md 14.5), decided by the layout of each
//               sequence: AMASS's smplxpose_v2.pth (z up), BEDLAM's smplpose_v2.pth (y up), H36M's smplxpose_v1.pt
//               (z up, 25 frames/s) and 3DPW's train_refit_smplx.pt (in the camera). Sequences that repeat another
//               one's poses, such as other cameras' views, are taken once.
#pragma once
#include "training/smpl.h"

// Bodies by gender, opened when first asked for.
typedef struct gv_motion_bodies {
    const char *folder; // with SMPLX_MALE.npz, SMPLX_FEMALE.npz, SMPLX_NEUTRAL.npz; NULL: the mannequin stands for all
    gv_body *body[3];
} gv_motion_bodies;
void gv_motion_bodies_close(gv_motion_bodies *b);

typedef struct gv_motion_reader {
    gv_store_builder *out;
    gv_motion_bodies *bodies;
    gv_clip texts; // category (empty: the pack's own), subject, source, licence of what comes
    // Called with every clip: `why` is NULL where it was taken (frames at 30 fps), else says what is wrong with it.
    void (*done)(void *user, int frames, const char *why);
    void *user;
} gv_motion_reader;

// One AMASS file is one clip; its name is the file's. Errors of the clip go to `done`; what is returned is an error of
// the whole (no memory, no body).
gv_status gv_motion_read_npz(gv_motion_reader *r, const char *path, gv_error *err);
gv_status gv_motion_read_pack(gv_motion_reader *r, const char *path, gv_error *err);
