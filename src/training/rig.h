// rig.h - what training needs of a body: 22 joints and a few points that ride on them, all linear in the shape.
//
// A skinned point without pose correctives is  sum_k R_k (Y_k - W_k S_k) + W_k t_k  over bones k, with Y_k linear in
// betas. So a point regressed from many vertices (a COCO keypoint) is as cheap as one vertex: its bones are summed
// beforehand. Bones beyond the 22 (face, fingers at their mean pose) are folded into head and wrists.
#pragma once
#include "body/body.h"
#include "training/layers.h"

enum { GV_RIG_JOINTS = 22, GV_COCO = 17 };

typedef struct gv_rig_part {
    int bone;
    gv_real W, Y[3], dirs[3][GV_BETAS]; // Y at rest in model space, metres
} gv_rig_part;

typedef struct gv_rig_points {
    int count;
    int *first; // [count + 1] into part
    gv_rig_part *part;
} gv_rig_points;

typedef struct gv_rig {
    gv_real S[GV_RIG_JOINTS][3], dirs[GV_RIG_JOINTS][3][GV_BETAS]; // rest joints
    gv_rig_points coco, surface;                                   // coco.count is 17 or 0
} gv_rig;

// surface: about so many vertices, evenly taken. A body without a COCO-17 regressor or mesh is an error.
gv_status gv_rig_from_body(gv_rig *r, const gv_body *b, int surface, gv_error *err);
void gv_rig_free(gv_rig *r);

typedef struct gv_rig_pose { // one frame: local and global rotations, joint positions without translation
    gv_real local[GV_RIG_JOINTS][9], R[GV_RIG_JOINTS][9], t[GV_RIG_JOINTS][3], S[GV_RIG_JOINTS][3], betas[GV_BETAS];
} gv_rig_pose;

GV_SHARED void gv_rig_shape(gv_rig_pose *p, const gv_rig *r, const gv_real betas[GV_BETAS]); // sets S and betas
GV_SHARED void gv_rig_fk(gv_rig_pose *p);                                                    // R and t from local and S
GV_SHARED void gv_rig_place(gv_real *out, const gv_rig_points *pts, const gv_rig_pose *p);   // [count, 3]
// Where bone q->bone has its part of a point, relative to its joint, times the part's weight.
GV_SHARED void gv_rig_offset(gv_real y[3], const gv_rig_part *q, const gv_rig_pose *p);

typedef struct gv_rig_grad { // gradients of a scalar; zeroed by the caller
    gv_real local[GV_RIG_JOINTS][9], R[GV_RIG_JOINTS][9], t[GV_RIG_JOINTS][3], S[GV_RIG_JOINTS][3], betas[GV_BETAS];
} gv_rig_grad;
// Adds the effect of dpoints [count, 3] to g->R, g->t, g->S and g->betas.
void gv_rig_place_backward(gv_rig_grad *g, const gv_real *dpoints, const gv_rig_points *pts, const gv_rig_pose *p);
// Carries g->R and g->t down the chain into g->local and g->betas (through S); consumes them.
void gv_rig_fk_backward(gv_rig_grad *g, const gv_rig *r, const gv_rig_pose *p);
