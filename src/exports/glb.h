// glb.h - a scene as binary glTF 2.0: every person a skinned, animated body, and the camera.
//
// y up, metres, seconds from the earliest moment of the scene, as glTF demands. Per person: a node "person-N" with the
// skeleton of SMPL-X's 55 joints below it (hands at their mean pose), a mesh with normals and four bones per vertex,
// linearly interpolated rotations of the 22 body joints and places of the pelvis. Pose correctives are left out: glTF
// has no such thing but morph targets. Somebody who is not there all the time is scaled to nothing outside.
// The camera is a node "camera" that moves where it moved.
// Source: Khronos Group, glTF 2.0 Specification.
#pragma once
#include "body/body.h"
#include "exports/people.h"

// The body must be the one that the motions were made with: bones that differ by more than 5 mm are refused. Appears
// whole or not at all; 4 GiB is the limit.
gv_status gv_glb_write(const gv_export_people *p, const gv_body *body, const char *path, gv_error *err);
