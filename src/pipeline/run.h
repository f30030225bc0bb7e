// run.h - the main job: a video to a folder with everybody's motion in one world, and pictures of it.
#pragma once
#include "formats/motion_file.h"
#include "network/network.h"
#include "pipeline/observe.h"

// Whether the motion is drawn towards the keypoints and settled (refine.h, settle.h).
typedef enum gv_refinement {
    GV_REFINE_AUTO, // unless the network comes from a weights folder: then the reference's method as it is
    GV_REFINE_ON,
    GV_REFINE_OFF,
} gv_refinement;

typedef struct gv_run_options {
    gv_observe_options observe; // with `want`: which models
    int heads;                  // 0 = as the file says, else 8
    gv_precision precision;
    gv_refinement refinement;
    bool pictures;       // overlay.mp4 and world.mp4
    bool side_by_side;   // side-by-side.mp4
    bool verbose;        // raw network outputs in the motion files
    const char *exports; // files for other programs, see scene_export.h; NULL = scene.glb and person-N.bvh
} gv_run_options;

typedef struct gv_run_result { // to be freed with gv_run_result_free
    char *scene;               // scene.json
    char *report;              // the quality of each person in plain words, lines
    char *note;                // what was left out and why, one line; NULL: nothing
    gv_motion *motion;         // [people]
    int people;
    long frames; // of the video
} gv_run_result;

// The models, loaded once for any number of videos. opt is borrowed and must outlive the runner.
typedef struct gv_runner gv_runner;
gv_status gv_runner_open(gv_runner **out, const gv_run_options *opt, gv_error *err);
void gv_runner_close(gv_runner *r); // accepts NULL

// Writes person-1.npz .. person-N.npz and scene.json, the exports, then the videos and (with pictures) viewer.html,
// into `folder` (created if needed). Nobody in the video is GV_ERR_EMPTY. result may be NULL. folder NULL: nothing is
// written, no pictures are drawn, and perception's results are kept only where the options name a cache.
// Where opt->observe.listener ends the work, what is in the folder is whole: a cache, or some of the results.
gv_status gv_runner_run(gv_runner *r, const char *video, const char *folder, gv_run_result *result, gv_error *err);
// The same for a single video, which is looked at before the models are.
gv_status gv_run(const char *video, const char *folder, const gv_run_options *opt, gv_run_result *result,
                 gv_error *err);
void gv_run_result_free(gv_run_result *r); // leaves a zeroed struct
