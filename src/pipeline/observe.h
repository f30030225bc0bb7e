// observe.h - a video to observations: everybody in it, and the camera's rotation.
#pragma once
#include "base/error.h"
#include "base/progress.h"
#include "camera/choose_optics.h"
#include "camera/odometry.h"
#include "camera/outside.h"
#include "formats/observations.h"
#include "perception/people.h"
#include "nn/linear.h"
#include "pipeline/cache.h"
#include "pipeline/models.h"
#include "pipeline/repeats.h"

typedef struct gv_observe_options {
    gv_model_request want;   // what the user asks for
    const gv_models *models; // what does the work; NULL: chosen from `want`
    gv_precision precision;  // of the image networks
    gv_device_choice where;  // on what they run
    gv_device *device;       // that it is; NULL: opened as `where` says
    bool fast;               // image networks on part of the frames, none on mirror images (study.h, finder.h)
    bool low_memory;         // one image network at a time
    const char *cache;       // folder for results of perception (cache.h); NULL or "": none are kept,
                             // but gv_run keeps them in its output folder where this is NULL
    gv_note *note;           // takes remarks for the user; may be NULL
    void *note_user;
    int max_people;           // 0 = everybody
    double fps;               // > 0: overrides the container's frame rate
    gv_optics_request optics; // what the user says about the lens
    const char *gyro;         // file with the camera's rotation (camera/outside.h); NULL: none
    bool static_camera;       // known not to move: no visual odometry
    struct gv_jail *jail;     // videos are decoded there (video/video.h); NULL: in this process
    bool unconfined;          // gv_batch_run makes no jail for its own process
    bool quiet;
    const gv_listener *listener; // of this stage and, in gv_run, of all that follow; may be NULL
} gv_observe_options;

typedef struct gv_timing {
    char stage[24];
    double seconds; // wall clock
    long frames;
} gv_timing;
enum { GV_MAX_TIMINGS = 12 };

typedef struct gv_scene_observations {
    int width, height;
    long frames;
    double fps;       // mean rate over the video, Hz
    double *time_sec; // [frames]
    gv_picture_times pictures; // fewer than frames where the video repeats some (repeats.h)
    char repeats[160];         // and that in one line; empty where it repeats none
    long damaged;     // packets that could not be decoded
    char codec[32];
    gv_camera_path camera;     // one rotation per frame; all identity for a static camera
    gv_optics optics;          // the lens, as found at last
    gv_outside_report outside; // what became of the file with the rotation
    const char *focal_source;  // gv_focal_origin_text
    const char
        *rotation_source; // "static (given)", "static (measured)", "visual odometry", "gyroscope", "rotation file"
    int people;
    gv_observations *person; // [people], most prominent first, with f_imgseq where features were wanted
    gv_timing timing[GV_MAX_TIMINGS];
    int timings;
} gv_scene_observations;

// Nobody in the video: people = 0, and GV_OK.
gv_status gv_observe(gv_scene_observations *out, const char *video, const gv_observe_options *opt, gv_error *err);
void gv_scene_observations_free(gv_scene_observations *s);

// Opens what `where` says; *out is NULL for the processor. Where GV_DEVICE_AUTO comes to that, the note says why.
gv_status gv_observe_device(gv_device **out, const gv_observe_options *opt, gv_error *err);

// Notes how long a stage took; beyond GV_MAX_TIMINGS nothing is noted.
void gv_timing_add(gv_scene_observations *s, const char *stage, double seconds, long frames);
