// observations.h - what perception and camera saw of one person: the network's input, as a file.
//
// A person's frames are consecutive frames of the video, first to last appearance, gaps filled.
// Keys, shapes and units of the file are a contract (docs/architecture.md): bbx_xys, kp2d, K_fullimg,
// R_w2c or cam_angvel, f_imgseq, kp3d and feet2d (optional), fps, frame_index, width, height, time_sec (optional).
#pragma once
#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct gv_observations {
    int frames;           // L
    float *bbx_xys;       // [L, 3] centre x, y and side of the square box, px
    float *kp2d;          // [L, 17, 3] COCO-17 x, y (px), confidence
    float *K;             // [L, 3, 3] intrinsics, px (a single matrix in the file is repeated)
    float *R_w2c;         // [L, 3, 3] camera rotation, world to camera; NULL when the file has cam_angvel only
    float *cam_angvel;    // [L, 6] first two rows of R_{t+1} R_t^T; NULL when derived from R_w2c
    float *f_imgseq;      // [L, 1024] image features, or NULL
    float *kp3d;          // [L, 17, 3] the keypoints in space as the keypoint network guesses them, m, origin between
                          // the hips, camera axes, all 0 where nobody was seen; or NULL
    float *feet2d;        // [L, 4, 3] left heel, left toes, right heel, right toes: x, y (px), confidence; or NULL
    int32_t *frame_index; // [L] frame numbers in the video, from 0 (0..L-1 when the file has none)
    double *time_sec;     // [L] presentation times, s (frame_index / fps when the file has none)
    double fps;           // mean frame rate, Hz; 30 when the file has none
    int width, height;    // px; 0 when unknown
    int length;           // valid frames; L except in padded recordings
} gv_observations;

// Allocates every mandatory array for `frames` (frame_index 0.., K/R_w2c identity); optional ones stay NULL.
gv_status gv_observations_alloc(gv_observations *o, int frames, gv_error *err);
void gv_observations_free(gv_observations *o); // leaves a zeroed struct

// Requires finite numbers, positive focal length, L >= 1 and rotations that are rotations (1e-3).
gv_status gv_observations_load(gv_observations *o, const char *path, gv_error *err);
gv_status gv_observations_save(const gv_observations *o, const char *path, gv_error *err);
