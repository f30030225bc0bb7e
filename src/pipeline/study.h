// study.h - the second pass over a video: the image networks on everybody's crop, frame by frame.
//
// Networks that want the half-size frames (ViTPose, HMR2.0) share one crop per person and frame; BlazePose on
// given boxes takes full-size ones. Frames are worked off in chunks, and every chunk's results go into the cache as
// one record: an interrupted pass goes on with the first chunk that is missing, and its results are the same to the
// last bit. Chunks depend on the tracks alone.
//
// fast: ViTPose and BlazePose without the mirrored copy; the networks see a part of the frames (sparing.h), ViTPose more
// where somebody's keypoints move much; the rest is interpolated linearly.
#pragma once
#include "base/progress.h"
#include "nn/linear.h"
#include "perception/people.h"
#include "pipeline/cache.h"
#include "pipeline/models.h"

typedef struct gv_study_options {
    const char *video;
    long frames; // of the video
    double fps;
    const gv_person *person; // [people]
    int people;
    const uint8_t *repeated; // [frames] 1: shows the picture before again, and is not looked at; or NULL
    const gv_models *models;
    gv_precision precision;
    gv_device *device;     // of ViTPose and HMR2.0; NULL: the processor
    bool fast, low_memory; // low_memory: one network at a time, each in a pass of its own
    struct gv_jail *jail;  // where the video is decoded; may be NULL
    bool quiet;
    const gv_listener *listener; // may be NULL
    gv_cache *cache;
    const gv_key *tracks; // what the tracks depend on
} gv_study_options;

typedef struct gv_studied {
    int people;
    float **kp2d; // [people] [frames of the person, 17, 3]: x, y px, confidence; NULL: keypoints came with the tracks
    float **features;                 // [people] [frames of the person, 1024]; NULL: none wanted
    double keypoint_sec, feature_sec; // spent in the networks, and on how many crops
    long keypoint_crops, feature_crops;
} gv_studied;
void gv_studied_free(gv_studied *s); // leaves a zeroed struct

gv_status gv_study(gv_studied *out, const gv_study_options *opt, gv_error *err);
