// detected.h - everybody in a video, from a detector's boxes or from keypoints found elsewhere: the reference's tracker
// and box law.
//
//     gv_detected *d = NULL;
//     gv_detected_create(&d, &(gv_detected_options){0}, width, height, &err);
//     for each frame: gv_detected_frame(d, boxes, scores, n, time_sec, &err);
//     gv_detected_finish(d, warps, &tracks, &err);       // persons, most prominent first
//
// Boxes are kept (20 bytes each) and followed at the end, when the camera's motion is known. Tracks of boxes carry no
// keypoints; whoever looks for keypoints on them fills in kp2d.
#pragma once
#include "formats/keypoints_file.h"
#include "perception/people.h"

typedef struct gv_detected_options {
    int max_people;    // persons returned, most prominent first; 0 = all
    float min_seconds; // shorter tracks are dropped (default 1.0; never below 2 frames)
    bool whole_video;  // every person from the first frame to the last, the nearest box where there is none, as the
                       // reference has it; else from the first sighting to the last
} gv_detected_options;

typedef struct gv_detected gv_detected;
gv_status gv_detected_create(gv_detected **out, const gv_detected_options *opt, int width, int height, gv_error *err);
void gv_detected_destroy(gv_detected *d); // accepts NULL

//   boxes   [n, 4]  x0, y0, x1, y1 px: people only, each score above 0.5 (lower ones are left out)
//   scores  [n]
gv_status gv_detected_frame(gv_detected *d, const float (*boxes)[4], const float *scores, int n, double time_sec,
                            gv_error *err);
// The same from keypoints, instead of boxes throughout: each person's box is that of the points of confidence above
// 0.3.
//
//   kp2d  [n, 17, 3]  COCO-17 x, y px, confidence
//   ids   [n]         who it is, from 0 on; NULL: left to the tracker
gv_status gv_detected_points(gv_detected *d, const float (*kp2d)[17][3], const int *ids, int n, double time_sec,
                             gv_error *err);
// Boxes x0, y0, x1, y1 (px) of the last frame; returns their number, at most max.
int gv_detected_boxes(const gv_detected *d, float (*boxes)[4], int max);

// warps [frames, 2, 3]: where a point of the background is in frame t, from where it was in frame t - 1, px; NULL: the
// camera stood still. kp2d of the result is zero, confidence included, unless points were given. Nobody: count 0 and
// GV_OK.
gv_status gv_detected_finish(gv_detected *d, const double (*warps)[2][3], gv_tracks *out, gv_error *err);

// All of it at once for a file of keypoints: time_sec [frames] of the video's frames.
gv_status gv_tracks_from_keypoints(gv_tracks *out, const gv_keypoints *k, const gv_keypoints_video *video,
                                   const double *time_sec, const double (*warps)[2][3], const gv_detected_options *opt,
                                   gv_error *err);
