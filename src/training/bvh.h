// bvh.h - reads Biovision hierarchy files: a skeleton and its channels, frame by frame.
//
// Text of the form HIERARCHY ... MOTION ... Joints are listed parents first. The file is untrusted: at most
// GV_BVH_JOINTS joints, 64 levels, GV_BVH_FRAMES frames; every number must be finite.
#pragma once
#include "base/error.h"

enum { GV_BVH_JOINTS = 256, GV_BVH_FRAMES = 4000000 };

typedef enum gv_bvh_channel {
    GV_BVH_XPOS,
    GV_BVH_YPOS,
    GV_BVH_ZPOS,
    GV_BVH_XROT,
    GV_BVH_YROT,
    GV_BVH_ZROT
} gv_bvh_channel;

typedef struct gv_bvh_joint {
    char name[64];
    int parent;      // -1: root
    float offset[3]; // from the parent, in the file's length unit
    int channels;    // 0..6
    unsigned char channel[6];
    int first; // index of its first value in a frame's row
} gv_bvh_joint;

typedef struct gv_bvh {
    gv_bvh_joint *joints; // [joint_count]
    int joint_count, width, frames;
    double frame_time; // s
    float *values;     // [frames, width]: positions in the file's unit, angles in degrees
} gv_bvh;

gv_status gv_bvh_load(gv_bvh *b, const char *path, gv_error *err);
gv_status gv_bvh_parse(gv_bvh *b, const char *name, const char *text, unsigned long size,
                       gv_error *err);              // name: for messages
void gv_bvh_free(gv_bvh *b);                        // leaves a zeroed struct
int gv_bvh_find(const gv_bvh *b, const char *name); // -1 when absent

// Local rotation [3, 3] (product of the channels in file order) and position of joint j in frame t. The
// position is the offset where the joint has no position channels.
void gv_bvh_local(const gv_bvh *b, int t, int j, float R[9], float position[3]);
