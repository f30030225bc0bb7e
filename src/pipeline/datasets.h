// datasets.h - the test sequences of GVHMR's 3DPW, EMDB and RICH packs (their *_hmr4d_support folders; SPEC.md 15).
//
//   3DPW   test_3dpw_gt_labels.pt, preproc_test_bbx.pt, preproc_test_kp2d_v0.pt; imgfeats/3dpw_test/NAME.pt and, for
//          the flip test, imgfeats/3dpw_test_flip/NAME.pt
//   EMDB   emdb_vit_v4.pt; imgfeats/emdb_flip/NAME.pt
//   RICH   rich_test_labels.pt, rich_test_preproc.pt, and cam2params.pt (the cameras; in GVHMR's repository under
//          hmr4d/dataset/rich/resource), in the same folder
// Image features are read where the network wants them. Everything counts as 30 frames/s.
#pragma once
#include "formats/observations.h"

typedef enum gv_dataset_kind { GV_3DPW, GV_EMDB1, GV_EMDB2, GV_RICH } gv_dataset_kind;
typedef enum gv_gender { GV_NEUTRAL, GV_MALE, GV_FEMALE, GV_GENDERS } gv_gender;

enum { GV_TARGET_POSE = 69 };
typedef struct gv_dataset_sequence {
    char name[200];
    int frames; // L
    gv_observations seen,
        mirrored;          // frames that do not count have no visible keypoint; mirrored.frames 0: no flip test
    unsigned char *counts; // [L]
    // the truth: parameters of SMPL (RICH: SMPL-X) in the data set's world
    gv_gender gender;
    float *pose;                    // [L, 69] joints 1..23, those that the file lacks 0
    float *orient, *transl, *betas; // [L, 3], [L, 3] m, [L, 10]
    float *T_w2c;                   // [L, 4, 4]
} gv_dataset_sequence;
void gv_dataset_sequence_free(gv_dataset_sequence *q);

typedef struct gv_dataset gv_dataset;
gv_status gv_dataset_open(gv_dataset **out, gv_dataset_kind kind, const char *folder, gv_error *err);
void gv_dataset_close(gv_dataset *d); // accepts NULL
int gv_dataset_count(const gv_dataset *d);
const char *gv_dataset_name(const gv_dataset *d, int i);
// flip: with what the flip test needs; images: with image features, which are then needed.
gv_status gv_dataset_read(gv_dataset_sequence *q, gv_dataset *d, int i, bool flip, bool images, gv_error *err);
