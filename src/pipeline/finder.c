#include "pipeline/finder.h"
#include "base/memory.h"
#include "pipeline/detections.h"
#include "pipeline/points.h"

#include <stdlib.h>

struct gv_finder { // one of the three
    gv_people *people;
    gv_detections *detections;
    gv_points_finder *points;
    long frames;
    bool every; // looks at every frame
};

gv_status gv_finder_create(gv_finder **out, const gv_finder_options *opt, int width, int height, gv_error *err) {
    *out = NULL;
    gv_finder *f = gv_calloc2(1, sizeof *f);
    if (!f) return gv_fail(err, GV_ERR_MEMORY, "no memory to look for people");
    gv_people_options people = {
        .model = opt->models->landmarks, .look_every = gv_people_look_every(opt->fps), .mirror = !opt->fast};
    const gv_model_choice *c = &opt->models->role[GV_ROLE_DETECTOR];
    f->every = c->method != GV_METHOD_FILE && (c->method == GV_METHOD_YOLOV8 || people.look_every == 1);
    gv_status status;
    if (c->method == GV_METHOD_YOLOV8)
        status = gv_detections_create(&f->detections, opt, width, height, err);
    else if (c->method == GV_METHOD_FILE)
        status = gv_points_finder_create(&f->points, c->path, width, height, err);
    else
        status = gv_people_create(&f->people, &people, width, height, err);
    if (status != GV_OK) {
        gv_finder_destroy(f);
        return status;
    }
    *out = f;
    return GV_OK;
}

void gv_finder_destroy(gv_finder *f) {
    if (!f) return;
    gv_people_destroy(f->people);
    gv_detections_destroy(f->detections);
    gv_points_finder_destroy(f->points);
    free(f);
}

gv_status gv_finder_frame(gv_finder *f, const gv_image *image, double time_sec, gv_error *err) {
    f->frames++;
    if (f->points) return gv_points_finder_frame(f->points, image, time_sec, err);
    return f->people ? gv_people_frame(f->people, image, time_sec, err)
                     : gv_detections_frame(f->detections, image, time_sec, err);
}

int gv_finder_batch(const gv_finder *f) {
    return f->detections ? gv_detections_batch(f->detections) : 1;
}

gv_status gv_finder_ahead(gv_finder *f, const gv_image *images, int n, void (*work)(void *user), void *user,
                          gv_error *err) {
    return f->detections ? gv_detections_ahead(f->detections, images, n, work, user, err) : GV_OK;
}

int gv_finder_boxes(const gv_finder *f, float (*boxes)[4], int max) {
    if (f->points) return gv_points_finder_boxes(f->points, boxes, max);
    return f->people ? gv_people_boxes(f->people, boxes, max) : gv_detections_boxes(f->detections, boxes, max);
}

gv_status gv_finder_finish(gv_finder *f, gv_tracks *out, gv_error *err) {
    if (f->points) return gv_points_finder_finish(f->points, out, err);
    return f->people ? gv_people_finish(f->people, out, err) : gv_detections_finish(f->detections, out, err);
}

bool gv_finder_takes_pictures(const gv_finder *f) {
    return f->every;
}

long gv_finder_looked(const gv_finder *f) {
    return f->detections == NULL ? f->frames : gv_detections_looked(f->detections);
}
