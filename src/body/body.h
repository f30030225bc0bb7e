// body.h - the parametric body: an SMPL-X file, or the built-in mannequin in the same schema.
//
//     gv_body *b = NULL;
//     if (gv_body_open(&b, "SMPLX_NEUTRAL.npz", &err) != GV_OK) ...      // NULL instead of a path: the mannequin
//     gv_body_rest_joints(S, b, betas, 22);
//     gv_body_fk22(G, S, body_pose, global_orient);                      // skeleton alone
//     gv_skin *s = gv_skin_create(b, betas);                             // surface, many frames
//     gv_skin_pose(s, body_pose, global_orient, transl, vertices, normals);
//
// Rest pose: T-pose, y up, facing +z, the person's left on +x; metres. Joint tree: SMPL-X's 55, of which
// the first 22 are the body. Evaluation after SPEC.md 3 and 13. A body is read-only once opened: any number
// of threads may evaluate it.
#pragma once
#include "base/error.h"
#include "base/team.h"
#include <stdint.h>

enum { GV_SMPLX_JOINTS = 55, GV_BODY_JOINTS = 22, GV_BETAS = 10, GV_POSE_FEATURES = 54 * 9, GV_COCO17 = 17 };
#ifndef __CUDACC__
extern const int gv_parents55[GV_SMPLX_JOINTS]; // -1 for the root; the first 22 are the body's
#endif
extern const char *const gv_joint_names55[GV_SMPLX_JOINTS]; // "pelvis", "left_hip", ...
enum { GV_FEET = 4 };
#ifndef __CUDACC__
extern const int gv_foot_joints[GV_FEET]; // left ankle, left ball, right ankle, right ball
#endif
extern const double gv_soles_about[GV_FEET]; // m over the ground when they stand, of anybody

typedef struct gv_body {
    int vertices, triangles;
    float *v_template;    // [V, 3]
    float *shapedirs;     // [V, 3, 10]
    float *posedirs;      // [V, 3, 486] or NULL where the file has none or all are zero
    float *weights;       // [V, 55] skinning, rows sum to 1
    float *J_regressor;   // [55, V]
    int32_t *faces;       // [F, 3] counter-clockwise seen from outside
    float *J_template;    // [55, 3]
    float *J_shapedirs;   // [55, 3, 10]
    float hands_mean[90]; // 30 hand joints, axis-angle, left then right
    float *coco17;        // [17, V] regressor of COCO-17 keypoints (in its file, or beside it: regressor.h), or NULL
    int *bone_index;      // [V, 4] the four largest weights, sorted, renormalised: for fast skinning
    float *bone_weight;   // [V, 4]
} gv_body;

// Accepts SMPL-X and SMPL .npz and .pkl files and the mannequin's (the same members; coco17_regressor (17, V)
// besides). SMPL's 24 joints take their places in SMPL-X's tree, hands flat (no hands_mean), fingers without length.
// path NULL: the built-in mannequin. Read: v_template, shapedirs (10 or more columns, the first 10 count),
// posedirs (may be absent), J_regressor, weights, kintree_table, f, hands_meanl, hands_meanr; pickled and
// other members are stepped over. A file with another joint tree, a missing or misshapen member, values that
// are not finite or faces beyond the vertices is refused with one line.
gv_status gv_body_open(gv_body **out, const char *path, gv_error *err);
// The same without posedirs, nine tenths of a file: enough for joints and keypoints, and several times faster.
gv_status gv_body_open_skeleton(gv_body **out, const char *path, gv_error *err);
void gv_body_close(gv_body *b); // accepts NULL

// Rest joints S(betas) [n, 3], n <= 55: J_template + J_shapedirs betas.
void gv_body_rest_joints(float *S, const gv_body *b, const float betas[GV_BETAS], int n);

// Surface in the rest pose, hands flat, without pose correctives: vertices [V, 3] = v_template + shapedirs betas, and
// unit normals [V, 3] (may be NULL).
void gv_body_rest_surface(const gv_body *b, const float betas[GV_BETAS], float *vertices, float *normals);

// Forward kinematics of the 22 body joints, one frame: G [22, 3x4] row-major global transforms without
// transl; joint positions are the last column. S [22, 3] rest joints.
void gv_body_fk22(float *G, const float *S, const float body_pose[63], const float global_orient[3]);

// Vertices [V, 3] and joints [55, 3] (either may be NULL) of one pose, hands at their mean pose, all
// weights and pose correctives: the exact evaluation. transl NULL = 0.
void gv_body_evaluate(const gv_body *b, const float betas[GV_BETAS], const float body_pose[63],
                      const float global_orient[3], const float transl[3], float *vertices, float *joints);

// The same for many frames of one person, for pictures: shape and hands are applied once, four bones per
// vertex, pose correctives of the 21 body joints. One skin per thread (it holds scratch).
typedef struct gv_skin gv_skin;
gv_skin *gv_skin_create(const gv_body *b, const float betas[GV_BETAS]); // NULL when memory is exhausted
void gv_skin_destroy(gv_skin *s);                                       // accepts NULL; the body must outlive the skin
// vertices [V, 3] and normals [V, 3] (unit, area weighted; may be NULL) in the frame of the given root pose.
// transl NULL = 0.
void gv_skin_pose(gv_skin *s, const float body_pose[63], const float global_orient[3], const float transl[3],
                  float *vertices, float *normals);

// A few points that are linear in the vertices (keypoints, markers), evaluated without touching the mesh:
// each is a fixed point in the frames of the few joints that move its vertices. Pose correctives are left out.
//
//   regressor [n, V]   rows need not sum to 1 (b->coco17 for the 17 COCO keypoints)
typedef struct gv_points gv_points;
gv_points *gv_points_create(const gv_body *b, const float *regressor, int n); // NULL when memory is exhausted
void gv_points_destroy(gv_points *p);                                         // accepts NULL
// points [n, 3] and joints [55, 3] (either may be NULL) of one pose; transl NULL = 0. Cost: about 10 us.
void gv_points_pose(const gv_points *p, const float betas[GV_BETAS], const float body_pose[63],
                    const float global_orient[3], const float transl[3], float *points, float *joints);
