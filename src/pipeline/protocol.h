// protocol.h - the field's protocol on a data set (SPEC.md 15): predict a sequence, hold it against the truth.
//
//   3DPW     camera: MPJPE, PA-MPJPE, PVE, acceleration; 14 joints of SMPL's surface, flat hands, flip test
//   EMDB-1   camera; 24 joints, flip test
//   EMDB-2   world: WA-MPJPE100, W-MPJPE100, RTE, jitter, foot sliding; 24 joints, flip test
//   RICH     camera and world; 24 joints, no flip test
// The prediction is the reference's method with the post-processing for a moving camera. Its surface (SMPL-X) is
// brought to SMPL's by smplx2smpl; the truth is SMPL of the person's gender, for RICH SMPL-X.
#pragma once
#include "body/regressor.h"
#include "evaluation/score.h"
#include "network/network.h"
#include "pipeline/datasets.h"

typedef struct gv_protocol {
    gv_dataset_kind kind;
    gv_body *body;                // SMPL-X neutral
    gv_body *truth[GV_GENDERS];   // those that there are
    gv_regressor to_smpl, joints; // SMPL's surface from SMPL-X's, joints from SMPL's
} gv_protocol;

// bodies: a folder laid out like GVHMR's inputs/checkpoints/body_models (smplx/SMPLX_NEUTRAL.npz ...,
// smpl/SMPL_MALE.pkl ...; .npz as well). regressors: smplx2smpl_sparse.pt, smpl_neutral_J_regressor.pt,
// smpl_3dpw14_J_regressor_sparse.pt of GVHMR's hmr4d/utils/body_model.
gv_status gv_protocol_open(gv_protocol *p, gv_dataset_kind kind, const char *bodies, const char *regressors,
                           gv_error *err);
void gv_protocol_close(gv_protocol *p);

// Adds the sequence's values to *s. The flip test where q->mirrored has frames.
gv_status gv_protocol_run(gv_score *s, const gv_protocol *p, gv_network *net, const gv_dataset_sequence *q,
                          gv_error *err);
