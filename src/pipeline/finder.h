// finder.h - who is in the video: one interface to the ways of finding and following people.
//
//     gv_finder_create(&f, &(gv_finder_options){.landmarks = GV_BLAZE_FULL}, width, height, &err);
//     for each frame: gv_finder_frame(f, &image, time_sec, &err);
//     gv_finder_finish(f, &tracks, &err);          // everybody, most prominent first
#pragma once
#include "perception/people.h"

typedef struct gv_finder_options {
    gv_blaze_model landmarks; // of BlazePose
} gv_finder_options;

typedef struct gv_finder gv_finder;
gv_status gv_finder_create(gv_finder **out, const gv_finder_options *opt, int width, int height, gv_error *err);
void gv_finder_destroy(gv_finder *f); // accepts NULL
gv_status gv_finder_frame(gv_finder *f, const gv_image *image, double time_sec, gv_error *err);
// Boxes x0, y0, x1, y1 (px) of those seen in the last frame; returns their number, at most max.
int gv_finder_boxes(const gv_finder *f, float (*boxes)[4], int max);
gv_status gv_finder_finish(gv_finder *f, gv_tracks *out, gv_error *err); // nobody is not an error
