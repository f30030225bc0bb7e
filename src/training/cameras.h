// cameras.h - synthetic camera paths around a moving person.
//
// Made by a team (base/team.h), as all of a sequence. World y up; R [L, 9] and t [L, 3] map world to camera (OpenCV axes), metres.
#pragma once
#include "base/team.h"
#include "training/random.h"

typedef enum gv_camera_kind {
    GV_CAMERA_MIXED,        // SPEC.md 14.6: static, random, tracking, pushing, pulling, orbiting
    GV_CAMERA_SURVEILLANCE, // static, looking down at people far away
    GV_CAMERA_STATIC,       // static, at 14.6's initial pose
    GV_CAMERA_MOVING,       // GV_CAMERA_MIXED without its static part
} gv_camera_kind;

// joints [L, 22, 3] of the person in the world; the path keeps all of them in front of the camera.
// focal: f / half the image side, which bounds how far off the axis the person may be; askew: rad about the optical
// axis, on top of all else.
GV_SHARED void gv_camera_path(float *R, float *t, gv_rng *rng, gv_camera_kind kind, const float *joints, int L, float focal,
                    double askew);
