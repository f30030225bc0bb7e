// body.h - the parametric body: an SMPL-X file, or the built-in mannequin in the same schema.
//
// Rest pose: T-pose, y up, facing +z, the person's left on +x; metres. Joint tree: SMPL-X's 55, of which
// the first 22 are the body. Evaluation after SPEC.md 3 and 13.
#pragma once
#include "base/error.h"
#include <stdint.h>

enum { GV_SMPLX_JOINTS = 55, GV_BETAS = 10 };
extern const int gv_parents55[GV_SMPLX_JOINTS]; // -1 for the root; the first 22 are the body's

typedef struct gv_body {
    int vertices, triangles;
    float *v_template;   // [V, 3]
    float *shapedirs;    // [V, 3, 10]
    float *posedirs;     // [V, 3, 486] or NULL where all zero (mannequin)
    float *weights;      // [V, 55] skinning, rows sum to 1
    float *J_regressor;  // [55, V]
    int32_t *faces;      // [F, 3]
    float *J_template;   // [55, 3]
    float *J_shapedirs;  // [55, 3, 10]
    float hands_mean[90]; // 30 hand joints, axis-angle, left then right
    float *coco17;       // [17, V] regressor of COCO-17 keypoints (mannequin: in its file), or NULL
    int *bone_index;     // [V, 4] the four largest weights, sorted, renormalised: for fast skinning
    float *bone_weight;  // [V, 4]
} gv_body;

// Accepts SMPL-X .npz files and the mannequin's. path NULL: the built-in mannequin.
gv_status gv_body_open(gv_body **out, const char *path, gv_error *err);
void gv_body_close(gv_body *b); // accepts NULL

// Rest joints S(betas) [n, 3], n <= 55: J_template + J_shapedirs betas.
void gv_body_rest_joints(float *S, const gv_body *b, const float betas[GV_BETAS], int n);

// Forward kinematics of the 22 body joints, one frame: G [22, 3x4] row-major global transforms without
// transl; joint positions are the last column. S [22, 3] rest joints.
void gv_body_fk22(float *G, const float *S, const float body_pose[63], const float global_orient[3]);

// Vertices [V, 3] and joints [55, 3] (either may be NULL) of one pose, hands at their mean pose, all
// weights and pose correctives: the exact evaluation.
gv_status gv_body_evaluate(const gv_body *b, const float betas[GV_BETAS], const float body_pose[63],
                           const float global_orient[3], const float transl[3], float *vertices, float *joints,
                           gv_error *err);

// The same for many frames of one person, for pictures: shape is applied once, four bones per vertex.
typedef struct gv_skin gv_skin;
gv_skin *gv_skin_create(const gv_body *b, const float betas[GV_BETAS]); // NULL when memory is exhausted
void gv_skin_destroy(gv_skin *s);
// vertices [V, 3] and normals [V, 3] (unit, area weighted; may be NULL) in the frame of the given root pose.
void gv_skin_pose(gv_skin *s, const float body_pose[63], const float global_orient[3], const float transl[3],
                  float *vertices, float *normals);
