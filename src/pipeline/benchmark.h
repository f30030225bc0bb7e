// benchmark.h - how well `predict` does on motion capture that it has not seen, with synthetic cameras and the
// perception's measured errors.
//
// Every clip is cut into pieces of at most 10 s; each is seen by a static and by a moving camera. Focal length and
// camera rotation are told rightly, and of a moving camera's way what a picture tells: all but its unit, with points of
// the ground around the feet (depths with an error of 5 %, one in ten half a metre high). The measures of score.h, with
// the 22 joints; the feet's points are ankles and toe joints.
#pragma once
#include "body/body.h"
#include "evaluation/score.h"
#include "network/network.h"
#include "training/sample.h"

typedef enum gv_benchmark_stage {
    GV_STAGE_NETWORK, // before post-processing
    GV_STAGE_SOLVED,  // after the reference's post-processing: `predict`
    GV_STAGE_REFINED, // drawn to the keypoints before that
    GV_STAGE_SETTLED, // and settled after it: `run` where nothing is known of the camera's way
    GV_STAGE_HELD,    // and held to the camera's way before that: `run`
    GV_STAGES
} gv_benchmark_stage;
extern const char *const gv_stage_names[GV_STAGES];

typedef struct gv_benchmark_piece {
    const gv_clip *clip;
    int first, frames;
    bool moving; // camera
    gv_score score[GV_STAGES];
} gv_benchmark_piece;

typedef struct gv_benchmark_options {
    const char *only;   // subjects, comma separated; NULL = all
    const char *source; // only this source's clips; NULL = all
    double noise;       // 1 = as measured
    bool points;        // with the keypoint network's points in space
    int most;           // pieces at most, evenly chosen; 0 = all
    uint64_t seed;
} gv_benchmark_options;

// Calls `done` after every piece, in order.
gv_status gv_benchmark_run(gv_network *net, const gv_body *body, const gv_store *store, const gv_rig *rig,
                           const gv_benchmark_options *o, void (*done)(void *user, const gv_benchmark_piece *piece),
                           void *user, gv_error *err);
