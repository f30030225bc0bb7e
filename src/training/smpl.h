// smpl.h - motions given as parameters of a body model, into a motion store.
//
// Root and 21 body joints as SMPL, SMPL-H and SMPL-X have them: the same tree and local rotations. The world is
// turned to y up and put on the ground: the lowest point of the body, in all but the lowest twentieth of the frames, is
// at y = 0, so that only the body's proportions matter and not where its model has its origin.
#pragma once
#include "body/body.h"
#include "training/store.h"

typedef enum gv_smpl_axes {
    GV_SMPL_Y_UP,
    GV_SMPL_Z_UP,
    GV_SMPL_CAMERA, // y down, z forward: neither gravity nor the ground is known, the clip becomes incam_only
} gv_smpl_axes;

typedef struct gv_smpl_motion {
    int frames;
    double fps;
    const float *pose;          // [frames, 66] axis-angle, the root first
    const float *transl;        // [frames, 3] m
    float body_betas[GV_BETAS]; // shape of `body` below
    const gv_body *body;        // whose skeleton moves
    const float *neutral_betas; // [10] shape of the neutral SMPL-X, NULL where it is not known
    gv_smpl_axes axes;
} gv_smpl_motion;

enum { GV_SMPL_POSE = 66 };

// Adds it at 30 frames/s. Texts of `clip` are taken, everything else is set. `what` names it in messages. Refused are
// values that are not finite, fewer than 25 frames at 30 fps, a body that jumps, legs outside 0.45 to 1.5 m.
gv_status gv_smpl_add(gv_store_builder *out, const gv_clip *clip, const gv_smpl_motion *m, const char *what,
                      gv_error *err);
