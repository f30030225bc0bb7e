// odometry.h - the camera's rotation from the picture alone.
//
// Corners followed by pyramidal Lucas-Kanade on a reduced grey picture, people left out; robust relative
// rotations over short and long baselines; one consistent rotation per frame. Constant memory while frames
// come in (tracks and keyframes of a sliding window), a few numbers per frame kept for the end.
//
//     gv_odometry *o = NULL;
//     gv_odometry_create(&o, width, height, &optics, &err);
//     for each frame: gv_odometry_frame(o, rgb, stride, boxes, nboxes, &err);   // boxes: people, left out
//     gv_odometry_finish(o, &camera, &err);
#pragma once
#include "base/error.h"
#include "camera/ground.h"
#include "camera/intrinsics.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct gv_camera_path {
    int frames;
    float *R_w2c;      // [frames, 3, 3]; frame 0 is the identity
    float *confidence; // [frames] 0..1 of the rotation between this frame and the one before, the lens's error counted
    bool is_static;    // measured: the camera never moved; then every R_w2c is exactly the identity
    // Where the camera was, up to scale, while things near enough went by: axes of frame 0, origin and unit new in
    // every stretch of frames. All are NULL where nothing is known of it: a camera that stands or only turns.
    float *position;            // [frames, 3]; zero where not known
    float *position_confidence; // [frames] 0..1; 0 where not known
    int32_t *stretch;           // [frames] 0, 1 ... in order of time; -1 where not known
    float *position_metres_sd;  // [frames] not 0: positions are in metres, with this relative error (way_metres.h)
    gv_ground_point *ground;    // [ground_count] at people's feet, in order of time
    long ground_count;
    float focal_px; // the focal length used (of the first frame)
    gv_focal_origin focal_origin;
    float focal_sd; // its relative standard deviation
} gv_camera_path;
void gv_camera_path_free(gv_camera_path *c);
// The next stretch from frame `from` on where the rotation is not well known (confidence below 0.2): black, covered,
// without texture, or across a cut. False: there is none.
bool gv_camera_unsure(const gv_camera_path *c, int from, int *first, int *last);

typedef struct gv_odometry gv_odometry;
// width, height of the frames that will come; optics (borrowed until destroyed) in px of that size. A focal
// length that is no better than metadata is measured where the camera turns enough; at most 6000 frames wait for it.
gv_status gv_odometry_create(gv_odometry **out, int width, int height, const gv_optics *optics, gv_error *err);
void gv_odometry_destroy(gv_odometry *o); // accepts NULL
gv_status gv_odometry_frame(gv_odometry *o, const uint8_t *rgb, int stride, const float (*boxes)[4], int nboxes,
                            gv_error *err);
gv_status gv_odometry_finish(gv_odometry *o, gv_camera_path *out, gv_error *err);
