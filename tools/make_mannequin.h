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

// ------------------------------------------------------------------------------------------------- form

// The parts of the left half a point of the surface may belong to: which bones may move it.
typedef enum part { PART_TRUNK, PART_HEAD, PART_LEG, PART_ARM, PART_HAND, PART_FINGER } part; // PART_FINGER + 0 .. 4

void form_use(const skeleton *s); // before all others; s must stay

// Signed distance (about: exact on the surface, within a factor of two near it) to the mannequin's skin,
// negative inside. Symmetric in x.
double form_distance(const double p[3]);
void form_gradient(double g[3], const double p[3]); // unit; x = 0 in the middle plane
bool form_project(double p[3]);                     // onto the skin; false where that failed
part form_part(const double p[3]);                  // p with x >= 0
double form_edge(const double p[3]);                // wanted length of the mesh's edges there

// ------------------------------------------------------------------------------------------------- mesh

typedef struct mesh {
    int vertices, triangles, vertex_room, triangle_room;
    double (*v)[3];
    int (*f)[3]; // counter-clockwise seen from outside
    int *mirror; // [vertices] the vertex across the middle plane; itself there. NULL for a half
} mesh;

bool make_half(mesh *m);   // the left half of the form, open in the plane x = 0
bool remesh_half(mesh *m); // even triangles with edges of form_edge, on the skin
bool mirror_half(mesh *whole, const mesh *half);
void mesh_normals(double (*n)[3], const mesh *m);
void mesh_free(mesh *m);
int mesh_add_vertex(mesh *m, const double p[3]); // -1 when memory is exhausted
int mesh_add_triangle(mesh *m, int a, int b, int c);

// ---------------------------------------------------------------------------------------------- weights

// Skinning weights [vertices][JOINTS]: each row sums to 1 and has at most four entries; mirror images match.
bool make_weights(double (*w)[JOINTS], const mesh *m, const skeleton *s);

// Weights that say how much a vertex counts for a point near it: a row of a regressor, r [vertices], with
// sum r = 1, sum r v = point, and for every shape k sum r shape_vk = direction_k, so that the point found on a
// shaped surface is the shaped point. Among all such the one nearest to a smooth ring of vertices.
//   bone_weight [vertices]  NULL, or the skin's share in the point's bone: prefers its vertices and balances
//                           them, so that the point also stays in place when neighbouring bones turn
bool make_regressor(float *r, const mesh *m, const double (*shape)[SHAPES][3], const double point[3],
                    const double direction[SHAPES][3], const double *bone_weight);
