// points.h - people from a file of 2D keypoints that another program found in the same video.
//
// The functions are those of finder.h. The file is read when the search begins, so that a wrong one is told of at once,
// and again at the end, when the number of frames is known.
#pragma once
#include "pipeline/finder.h"

typedef struct gv_points_finder gv_points_finder;
gv_status gv_points_finder_create(gv_points_finder **out, const char *path, int width, int height, gv_error *err);
void gv_points_finder_destroy(gv_points_finder *p); // accepts NULL
gv_status gv_points_finder_frame(gv_points_finder *p, const gv_image *image, double time_sec, gv_error *err);
int gv_points_finder_boxes(const gv_points_finder *p, float (*boxes)[4], int max);
gv_status gv_points_finder_finish(gv_points_finder *p, gv_tracks *out, gv_error *err);
