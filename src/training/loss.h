// loss.h - the eight losses of SPEC.md 14.2 and their gradients with respect to the network's three outputs.
//
// B sequences of L frames. Every loss is a mean over all elements, masked ones counted as zero.
#pragma once
#include "training/rig.h"

typedef enum gv_loss_term {
    GV_LOSS_SIMPLE,
    GV_LOSS_CR_J3D,
    GV_LOSS_TRANSL_C,
    GV_LOSS_CR_VERTS,
    GV_LOSS_J2D,
    GV_LOSS_VERTS2D,
    GV_LOSS_TRANSL_W,
    GV_LOSS_STATIC,
    GV_LOSS_TERMS
} gv_loss_term;
extern const char *const gv_loss_names[GV_LOSS_TERMS];
extern const gv_real gv_loss_weights[GV_LOSS_TERMS]; // the reference's: 1 500 1 500 1000 1000 1 1

typedef struct gv_targets {          // arrays [B, L, ...]
    int B, L, surface;               // surface: number V of surface points
    const int *length;               // [B]
    const unsigned char *incam_only; // [B] without world labels
    gv_real *x;                      // [.., 151] normalised
    gv_real *joints;                 // [.., 22, 3] in camera, m
    gv_real *coco;                   // [.., 17, 3] in camera, m
    gv_real *verts;                  // [.., V, 3] in camera, m
    gv_real *transl_c;               // [.., 3] m
    gv_real *R_w, *transl_w;         // [.., 9] world orientation, [.., 3] m
    gv_real *still;                  // [.., 6] labels 0 or 1
    gv_real *box;                    // [.., 3] px
    gv_real *K;                      // [.., 4] fx, fy, cx, cy px
    bool there;                      // arrays are those of the device that the losses are on
} gv_targets;

typedef struct gv_loss {
    double total, term[GV_LOSS_TERMS]; // terms before their weights
} gv_loss;

// The number of elements of each mean.
void gv_loss_elements(gv_real count[GV_LOSS_TERMS], const gv_targets *y, const gv_rig *rig);

// Outputs pred_x (shape averaged), pred_cam, logits; gradients are overwritten. partial [B, GV_LOSS_TERMS] is
// scratch. Where the rig has no points of a kind, that loss is left out.
void gv_loss_run(gv_loss *out, gv_real *dx, gv_real *dcam, gv_real *dlogits, const gv_real *pred_x,
                 const gv_real *pred_cam, const gv_real *logits, const gv_targets *y, const gv_rig *rig,
                 const gv_real weights[GV_LOSS_TERMS], double *partial);
