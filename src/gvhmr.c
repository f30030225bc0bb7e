// The public interface: options translated, one call into the pipeline.
#include "gvhmr.h"
#include "pipeline/run.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

gvhmr_options gvhmr_default_options(void) {
    return (gvhmr_options){.landmarks = "full"};
}

const char *gvhmr_version(void) {
    return GVHMR_VERSION;
}

int gvhmr_run(const char *video, const char *out_folder, const gvhmr_options *o, char *message, size_t message_bytes) {
    gv_error err = {0};
    gv_run_options run = {
        .observe = {.want = {.network = o->model,
                             .body = o->body_model,
                             .weights = o->weights,
                             .detector = o->detector,
                             .keypoints = o->keypoints,
                             .features = o->features,
                             .landmarks = GV_BLAZE_FULL},
                    .max_people = o->people,
                    .fps = o->fps,
                    .optics.focal_length = o->focal_length,
                    .static_camera = o->static_camera != 0,
                    .quiet = o->quiet != 0},
        .heads = o->heads,
        .pictures = !o->no_video,
        .side_by_side = o->side_by_side != 0,
    };
    gv_status status = GV_OK;
    if (o->landmarks && !strcmp(o->landmarks, "lite"))
        run.observe.want.landmarks = GV_BLAZE_LITE;
    else if (o->landmarks && !strcmp(o->landmarks, "heavy"))
        run.observe.want.landmarks = GV_BLAZE_HEAVY;
    else if (o->landmarks && strcmp(o->landmarks, "full"))
        status = gv_fail(&err, GV_ERR_ARGUMENT, "landmarks: \"%s\", expected lite, full or heavy", o->landmarks);
    if (o->threads > 0) omp_set_num_threads(o->threads);
    if (status == GV_OK) status = gv_run(video, out_folder, &run, NULL, &err);
    if (message_bytes) snprintf(message, message_bytes, "%s", status == GV_OK ? "" : err.text);
    return (int)status;
}
