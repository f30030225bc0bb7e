// blazepose.h - MediaPipe's BlazePose: person detector and 33-point landmark networks (SPEC-perception.md 7).
//
// One gv_blazepose holds the two networks; it is used by one thread at a time. Regions of interest are
// rotated squares in pixels of the frame (pixel (a, b) covers [a, a+1) x [b, b+1)). Everything here is for
// one image at a time and keeps no track: following people over time is people.h's business.
#pragma once
#include "base/error.h"
#include "perception/image.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum gv_blaze_model { GV_BLAZE_LITE, GV_BLAZE_FULL, GV_BLAZE_HEAVY } gv_blaze_model;

typedef struct gv_region {
    float cx, cy, width, height; // px
    float angle;                 // rad, clockwise on screen
} gv_region;

typedef struct gv_detection {
    float score;          // 0..1
    float x0, y0, x1, y1; // the detector's box (the face), px
    float keypoint[4][2]; // px: 0 middle of the hips, 1 size and rotation of the whole body, 2, 3 upper body
} gv_detection;

enum { GV_BLAZE_POINTS = 33, GV_BLAZE_ALL_POINTS = 35 };
typedef struct gv_landmarks {
    float presence;                      // probability that the region shows a person
    float point[GV_BLAZE_ALL_POINTS][5]; // x, y (px), z (px, smaller = nearer, 0 at the hips), visibility, presence
    float world[GV_BLAZE_POINTS][3];     // m, origin between the hips, image axes (y down)
} gv_landmarks;

typedef struct gv_blazepose gv_blazepose;
// Reads the detector (pose_solution_packed_assets.data, which is a tflite file) and one landmark network from
// `folder`; NULL: the pinned package (gv_resource_find). The threads used are OpenMP's, as many as when it is
// opened.
gv_status gv_blazepose_open(gv_blazepose **out, gv_blaze_model model, const char *folder, gv_error *err);
void gv_blazepose_close(gv_blazepose *p); // accepts NULL

// Runs the detector on n rectangles (tiles) of one image, each by itself. A rectangle is padded to a square
// about its centre; the padding shows the image where there is image, and black beyond it. Weighted
// suppression at IoU > overlap (0.3 in MediaPipe; 1 = none). Tile i gives count[i] detections at out[i *
// max], best first, at most max. A rectangle that is not finite or not positive is GV_ERR_ARGUMENT. Cost per
// tile: see bench/bench_blazepose; two tiles and more are shared out among the threads, which is faster than
// one call each.
typedef struct gv_tile {
    float x, y, width, height; // px; the whole image: 0, 0, width, height
} gv_tile;
gv_status gv_blazepose_detect_tiles(gv_blazepose *p, const gv_image *image, const gv_tile *tiles, int n,
                                    float min_score, float overlap, gv_detection *out, int max, int *count,
                                    gv_error *err);
gv_status gv_blazepose_detect(gv_blazepose *p, const gv_image *image, float x, float y, float width, float height,
                              float min_score, float overlap, gv_detection *out, int max, int *count, gv_error *err);

gv_region gv_blaze_region(const float centre[2], const float top[2]); // SPEC-perception 7.6, times 1.25
gv_region gv_blaze_region_of_detection(const gv_detection *d);
gv_region gv_blaze_region_of_landmarks(const gv_landmarks *l); // from the auxiliary points: for the next frame

// Runs the landmark network on n regions of one image, several at a time; beyond the image its edge is
// repeated. A region that is not finite or not positive shows nobody: all zeros.
gv_status gv_blazepose_landmarks(gv_blazepose *p, const gv_image *image, const gv_region *regions, int n,
                                 gv_landmarks *out, gv_error *err);

// The same where every region has a picture of its own: view(context, i, worker) makes or names the one for region i,
// for use until the same worker's next call. Workers 0 .. gv_blazepose_workers - 1 call it at the same time.
typedef gv_image gv_blaze_view(void *context, int i, int worker);
gv_status gv_blazepose_landmarks_in(gv_blazepose *p, gv_blaze_view *view, void *context, const gv_region *regions,
                                    int n, gv_landmarks *out, gv_error *err);
int gv_blazepose_workers(const gv_blazepose *p);

// From now on both read every region a second time as a mirror shows it and give the mean (blaze_mirror.h): twice the
// work, shared out among the threads; better points, full's most of all.
void gv_blazepose_set_mirror(gv_blazepose *p, bool mirror);

// One-euro filters of one person (SPEC-perception 7.8).
typedef struct gv_blaze_smoother gv_blaze_smoother;
gv_blaze_smoother *gv_blaze_smoother_create(void); // NULL: out of memory
void gv_blaze_smoother_destroy(gv_blaze_smoother *s);
void gv_blaze_smoother_reset(gv_blaze_smoother *s);
// Filters in place. time_us must be > 0 and increase; a time that does not leaves the coordinates as they
// are. body false: only the auxiliary points 33, 34 (they always are). Presence is not filtered.
void gv_blaze_smoother_apply(gv_blaze_smoother *s, gv_landmarks *l, int64_t time_us, bool body);

// COCO-17 x, y (px, pixel CENTRES at integers), confidence: how far the point may be relied on, 0..1, comparable
// between the models. It is the visibility, but for heavy its power of 0.4.
void gv_blaze_to_coco17(float out[17][3], const gv_landmarks *l, gv_blaze_model model);
// Left heel, left toes, right heel, right toes: x, y, confidence as above. COCO-17 has no points on the feet.
enum { GV_FEET_POINTS = 4 };
void gv_blaze_feet(float out[GV_FEET_POINTS][3], const gv_landmarks *l, gv_blaze_model model);
// The network's own guess of the COCO-17 points in space: m, origin between the hips, image axes (y down, z away).
void gv_blaze_world_coco17(float out[17][3], const gv_landmarks *l);
