// finder.h - who is in the video: one interface to the ways of finding and following people.
//
//     gv_finder_create(&f, &options, width, height, &err);
//     for each frame: gv_finder_frame(f, &image, time_sec, &err);
//     gv_finder_finish(f, &tracks, &err);          // everybody, most prominent first
//
// YOLOv8 on a device would rather see some frames together, ahead of their turn (gv_finder_ahead); what it finds is the
// same.
//
// BlazePose is followed as people.h does. YOLOv8's detections are kept in the cache frame by frame, so that an
// interrupted search goes on where it stopped, and followed by the reference's tracker (detected.h) along with the
// background's motion. fast: YOLOv8 looks at a part of the frames (sparing.h), BlazePose at no mirror image. A file of
// keypoints says itself who is where.
#pragma once
#include "nn/linear.h"
#include "perception/people.h"
#include "pipeline/cache.h"
#include "pipeline/models.h"

typedef struct gv_finder_options {
    const gv_models *models;
    gv_precision precision; // of YOLOv8
    gv_device *device;      // of YOLOv8; NULL: the processor
    bool fast;
    double fps; // of the video, 0 = not known: see gv_people_look_every
    gv_cache *cache;
    const gv_key *key; // what the detections depend on
} gv_finder_options;

typedef struct gv_finder gv_finder;
gv_status gv_finder_create(gv_finder **out, const gv_finder_options *opt, int width, int height, gv_error *err);
void gv_finder_destroy(gv_finder *f); // accepts NULL
gv_status gv_finder_frame(gv_finder *f, const gv_image *image, double time_sec, gv_error *err);
// How many of the frames to come it would like to see together, GV_FINDER_BATCH at most; 1: gv_finder_ahead is not for
// it.
enum { GV_FINDER_BATCH = 4 };
int gv_finder_batch(const gv_finder *f);
// The next n frames that gv_finder_frame will get, behind those of the call before, are looked at now. Those of the
// call before may wait for their turn until work(user), which is done while the device is at work: it gives
// gv_finder_frame all of them and none of these. It may be called more often, or not at all, and then is the caller's
// to do.
gv_status gv_finder_ahead(gv_finder *f, const gv_image *images, int n, void (*work)(void *user), void *user,
                          gv_error *err);
// Boxes x0, y0, x1, y1 (px) of those seen last; returns their number, at most max.
int gv_finder_boxes(const gv_finder *f, float (*boxes)[4], int max);
// Whether frames that repeat a picture may be kept from it: it looks at every frame that it gets.
bool gv_finder_takes_pictures(const gv_finder *f);
long gv_finder_looked(const gv_finder *f); // frames that were looked at, not known from the cache
gv_status gv_finder_finish(gv_finder *f, gv_tracks *out, gv_error *err); // nobody is not an error
