#include "pipeline/finder.h"
#include "base/memory.h"

#include <stdlib.h>

struct gv_finder {
    gv_people *people; // BlazePose's detector and landmarks, followed
};

gv_status gv_finder_create(gv_finder **out, const gv_finder_options *opt, int width, int height, gv_error *err) {
    *out = NULL;
    gv_finder *f = gv_calloc2(1, sizeof *f);
    if (!f) return gv_fail(err, GV_ERR_MEMORY, "no memory to look for people");
    gv_status status = gv_people_create(&f->people, &(gv_people_options){.model = opt->landmarks}, width, height, err);
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
    free(f);
}

gv_status gv_finder_frame(gv_finder *f, const gv_image *image, double time_sec, gv_error *err) {
    return gv_people_frame(f->people, image, time_sec, err);
}

int gv_finder_boxes(const gv_finder *f, float (*boxes)[4], int max) {
    return gv_people_boxes(f->people, boxes, max);
}

gv_status gv_finder_finish(gv_finder *f, gv_tracks *out, gv_error *err) {
    return gv_people_finish(f->people, out, err);
}
