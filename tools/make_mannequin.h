// make_mannequin.h - what the parts of the mannequin's maker share.
//
// The built-in body is made, not measured: a skeleton from published anthropometry (make_mannequin_skeleton.c),
// a form around it as a signed distance field (make_mannequin_form.c), a triangle mesh of that form
// (make_mannequin_mesh.c), skinning weights (make_mannequin_weights.c), and the file in SMPL-X's schema
// (make_mannequin.c). Metres; y up, facing +z, the left side on +x; T-pose. FLOOR is the height of the ground:
// as in SMPL-X the origin lies in the chest.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { JOINTS = 55, SHAPES = 10, KEYPOINTS = 17 };
#define FLOOR (-1.308)

typedef struct skeleton {
    double joint[JOINTS][3];
    double direction[JOINTS][SHAPES][3]; // how each joint moves with one standard deviation of each shape
    double keypoint[KEYPOINTS][3];       // COCO-17, in the rest pose
    int keypoint_bone[KEYPOINTS];        // the joint whose frame it moves with
} skeleton;

void make_skeleton(skeleton *s);

// How a point that belongs to the bone of joint j moves with shape k: d = direction_j + strain_jk (p - joint_j).
void bone_direction(double d[3], const skeleton *s, int j, int k, const double p[3]);

// How much the skin over bone j swells outward with shape k, metres.
double bone_swelling(int j, int k);
