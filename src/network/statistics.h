// statistics.h - the release's normalisation tables (SPEC.md 4.3, 5.3 and 6).
#pragma once
#include "base/team.h"
#include "network/network.h"

// The layout of the 151 values that the network predicts for a frame.
enum {
    GV_X_POSE = 0,        // 21 joints x 6D, joint 1..21, local to the parent
    GV_X_BETAS = 126,     // 10
    GV_X_ORIENT_C = 136,  // 6D, body to camera
    GV_X_ORIENT_GV = 142, // 6D, body to the frame's own gravity-view frame
    GV_X_VELOCITY = 148,  // 3, metres per frame in the body's root frame
};

#ifndef __CUDACC__                                                      // whose kernels include statistics.c
extern const float gv_pred_x_mean[GV_PRED_X], gv_pred_x_std[GV_PRED_X]; // y = pred_x * std + mean
extern const float gv_pred_cam_mean[3], gv_pred_cam_std[3];
extern const float gv_cam_angvel_mean[6], gv_cam_angvel_std[6]; // (A - mean) / std enters the network
#endif

// The rotation that six of the values stand for, from GV_X_ORIENT_C, GV_X_ORIENT_GV or GV_X_POSE + 6 (joint - 1) on.
void gv_pred_rotation(float R[9], const float *pred_x, int first);
void gv_pred_set_rotation(float *pred_x, int first, const float R[9]);
