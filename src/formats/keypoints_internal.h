// keypoints_internal.h - what the readers of keypoint files share.
#pragma once
#include "formats/keypoints_file.h"
#include <jansson.h>
#include <stdint.h>

enum { GV_NO_IDENTITY = -1 };

typedef struct gv_keypoints_builder {
    const char *path;
    gv_keypoints_video video;
    gv_error *err;
    gv_keypoints_person *person; // frame as the file counts, id as it says
    int count, room;
    bool complete;        // the file lists every frame, those without people too
    long listed;          // frames that it listed
    int lowest, highest;  // of these numbers
    bool some_without_id; // then identities count for nothing
} gv_keypoints_builder;

// A frame that the file mentions.
void gv_keypoints_list_frame(gv_keypoints_builder *b, int frame);
// One person with COCO's points; all of confidence 0: nobody, left out.
gv_status gv_keypoints_add(gv_keypoints_builder *b, int frame, int id, const float point[17][3]);
// The file's own statement of the picture's size.
gv_status gv_keypoints_check_size(gv_keypoints_builder *b, double width, double height);

gv_status gv_keypoints_read_json(gv_keypoints_builder *b);
gv_status gv_keypoints_read_openpose(gv_keypoints_builder *b); // path is a folder
