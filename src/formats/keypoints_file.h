// keypoints_file.h - 2D keypoints that another program found in the same video.
//
// By content, not by ending:
//   COCO JSON     a list of {"image_id", "keypoints": [51]}, or {"images": [...], "annotations": [...]} (MMPose 0.x,
//                 ViTPose, AlphaPose; image_id a number or a name with one, "000012.jpg")
//   MMPose 1.x    a list of {"frame_id", "instances": [{"keypoints": [[x, y], ...], "keypoint_scores": [...]}]}, alone
//                 or as "instance_info" beside "meta_info" (RTMPose too)
//   lists         one list of persons per frame; a person is as above or [[x, y, confidence], ...]
//   OpenPose      a folder of NAME_NUMBER_keypoints.json, BODY_25 or COCO-18
//   .npz          kp2d (L,17,3) or (L,P,17,3); frame_index (L,), width, height if there
// Sets that begin with COCO's 17 (26, 133 and 136 points) are cut to these. Frame numbers count from 0, or from 1
// where that alone fits the video's length or the file lists every frame from 1. Coordinates are px of the video,
// pixel centres at integers; confidences above 1 become 1.
//
//     gv_keypoints k;
//     gv_keypoints_read(&k, path, &(gv_keypoints_video){1280, 720, 247}, &err);
//     ... k.person[0 .. k.count - 1], by frames ...
//     gv_keypoints_free(&k);
#pragma once
#include "base/error.h"
#include <stdbool.h>

typedef struct gv_keypoints_person {
    int frame;          // from 0
    int id;             // identity as the file has it, numbered from 0; where has_ids
    float point[17][3]; // COCO-17 x, y px, confidence 0..1
} gv_keypoints_person;

typedef struct gv_keypoints {
    gv_keypoints_person *person; // by ascending frame, in the file's order within one
    int count;
    bool has_ids; // the file says who is who
    int ids;      // how many identities
} gv_keypoints;

typedef struct gv_keypoints_video { // what the points must fit
    int width, height;              // px
    long frames;                    // 0: not known yet
} gv_keypoints_video;

// Another size or length than the video's, other point sets, numbers that are not finite, fractions of the picture
// instead of pixels: an error that says what was found and what was expected.
gv_status gv_keypoints_read(gv_keypoints *out, const char *path, const gv_keypoints_video *video, gv_error *err);
void gv_keypoints_free(gv_keypoints *k); // leaves a zeroed struct
