// detections.h - YOLOv8 over a video, its detections kept in the cache, and the tracks that follow from them.
//
// The functions are those of finder.h.
#pragma once
#include "pipeline/finder.h"

typedef struct gv_detections gv_detections;
gv_status gv_detections_create(gv_detections **out, const gv_finder_options *opt, int width, int height, gv_error *err);
void gv_detections_destroy(gv_detections *d); // accepts NULL
gv_status gv_detections_frame(gv_detections *d, const gv_image *image, double time_sec, gv_error *err);
int gv_detections_batch(const gv_detections *d);
gv_status gv_detections_ahead(gv_detections *d, const gv_image *images, int n, void (*work)(void *user), void *user,
                              gv_error *err);
int gv_detections_boxes(const gv_detections *d, float (*boxes)[4], int max);
long gv_detections_looked(const gv_detections *d);
gv_status gv_detections_finish(gv_detections *d, gv_tracks *out, gv_error *err);
