// live.h - everybody's motion while the source runs: capture, tracking, and one follower a person.
//
//     gv_live(&options, take, user, &report, &err);    // until the source ends or *stop
//
// A frame is told `look_ahead` 30ths of a second after it came, in the order of the source, with everybody who is
// there. All people share one world: y up, the ground at y = 0 under standing feet, the first person's first pelvis
// over the origin, the heading that of the camera. What was told is never changed.
#pragma once
#include "camera/choose_optics.h"
#include "live/capture.h"
#include "motion/stepwise.h"
#include "nn/linear.h"
#include "pipeline/cache.h"
#include "pipeline/models.h"

enum { GV_LIVE_PEOPLE = 32, GV_LOOK_AHEAD_MAX = 60 };

typedef struct gv_live_options {
    gv_capture_options capture;
    gv_model_request want; // network, body, weights, landmarks; people are found by BlazePose
    int heads;
    gv_precision precision;
    gv_optics_request optics;
    int look_ahead;     // 30ths of a second, 0..GV_LOOK_AHEAD_MAX
    int every;          // looks from one pass through the network to the next; 0: 1, or 3 for a large network
    int max_people;     // 0 = GV_LIVE_PEOPLE
    bool moving_camera; // followed from frame to frame; else it stands still
    bool no_refinement;
    gv_note *note; // takes remarks for the user; may be NULL
    void *note_user;
} gv_live_options;

typedef struct gv_live_person {
    int id;    // 1, 2, 3 ... never given twice
    bool seen; // in this frame; else the motion goes on from before, for a second at most
    gv_step_output motion;
} gv_live_person;

typedef struct gv_live_frame {
    long frame;                   // of the source
    double time_sec, latency_sec; // latency: from when the frame was there to now
    int people;
    gv_live_person *person; // [people], by id
    const char *gap;        // not NULL: no frame but a gap here, and why
} gv_live_frame;

// Returns false to end everything quietly.
typedef bool gv_live_take(void *user, const gv_live_frame *f);

typedef struct gv_live_report {
    long frames, dropped, told, gaps; // looked at; never looked at; lines
    int people;                       // ids given
    double seconds;                   // from the first frame to the last
    double latency_ms[4];     // median, 95th and 99th percentile, largest; without those that waited for the models to
                              // be loaded
    double look_ms, solve_ms; // mean of a look; of a solution for everybody
    double source_sec;        // time of the last frame
} gv_live_report;

gv_status gv_live(const gv_live_options *opt, gv_live_take *take, void *user, gv_live_report *report, gv_error *err);
