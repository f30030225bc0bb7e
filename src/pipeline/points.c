#include "pipeline/points.h"
#include "base/memory.h"
#include "camera/background.h"
#include "perception/detected.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BOXES = 64 };
static const float SURE = 0.3f; // points that count for a box

struct gv_points_finder {
    char *path;
    gv_keypoints_video video;
    gv_keypoints points; // as first read
    int next;            // first person of the next frame
    gv_background *background;
    float box[MOST_BOXES][4]; // of the last frame
    int boxes;
    double *time_sec, (*warps)[2][3]; // [video.frames]
    long room;
};

gv_status gv_points_finder_create(gv_points_finder **out, const char *path, int width, int height, gv_error *err) {
    *out = NULL;
    gv_points_finder *p = gv_calloc2(1, sizeof *p);
    if (!p || !(p->path = strdup(path))) {
        free(p);
        return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    }
    p->video = (gv_keypoints_video){width, height, 0};
    gv_status status = gv_keypoints_read(&p->points, path, &p->video, err);
    if (status == GV_OK) status = gv_background_create(&p->background, width, height, err);
    if (status == GV_OK)
        *out = p;
    else
        gv_points_finder_destroy(p);
    return status;
}

void gv_points_finder_destroy(gv_points_finder *p) {
    if (!p) return;
    gv_keypoints_free(&p->points);
    gv_background_destroy(p->background);
    free(p->time_sec);
    free(p->warps);
    free(p->path);
    free(p);
}

static bool box_of(float box[4], const gv_keypoints_person *q) {
    box[0] = box[1] = INFINITY, box[2] = box[3] = -INFINITY;
    for (int j = 0; j < 17; j++) {
        const float *at = q->point[j];
        if (!(at[2] > SURE)) continue;
        box[0] = fminf(box[0], at[0]), box[1] = fminf(box[1], at[1]);
        box[2] = fmaxf(box[2], at[0]), box[3] = fmaxf(box[3], at[1]);
    }
    return box[2] > box[0];
}

static bool reserve(gv_points_finder *p) {
    if (p->video.frames < p->room) return true;
    long room = p->room ? 2 * p->room : 1024;
    double *t = realloc(p->time_sec, (size_t)room * sizeof *t);
    if (t) p->time_sec = t;
    void *w = t ? realloc(p->warps, (size_t)room * sizeof *p->warps) : NULL;
    if (!w) return false;
    p->warps = w;
    p->room = room;
    return true;
}

gv_status gv_points_finder_frame(gv_points_finder *p, const gv_image *image, double time_sec, gv_error *err) {
    const gv_keypoints *k = &p->points;
    if (!reserve(p)) return gv_fail(err, GV_ERR_MEMORY, "no memory for %ld frames", p->video.frames);
    p->boxes = 0;
    for (; p->next < k->count && k->person[p->next].frame <= p->video.frames; p->next++)
        if (p->boxes < MOST_BOXES && box_of(p->box[p->boxes], &k->person[p->next])) p->boxes++;
    double(*warp)[3] = p->warps[p->video.frames];
    const double identity[2][3] = {{1, 0, 0}, {0, 1, 0}};
    memcpy(warp, identity, sizeof identity);
    if (p->boxes)
        gv_background_frame(p->background, image->rgb, image->stride, (const float(*)[4])p->box, p->boxes, warp);
    p->time_sec[p->video.frames++] = time_sec;
    return GV_OK;
}

int gv_points_finder_boxes(const gv_points_finder *p, float (*boxes)[4], int max) {
    int n = p->boxes < max ? p->boxes : max;
    if (n > 0) memcpy(boxes, p->box, (size_t)n * sizeof *boxes);
    return n;
}

gv_status gv_points_finder_finish(gv_points_finder *p, gv_tracks *out, gv_error *err) {
    gv_keypoints k;
    *out = (gv_tracks){0};
    gv_status status = gv_keypoints_read(&k, p->path, &p->video, err);
    if (status != GV_OK) return status;
    status = gv_tracks_from_keypoints(out, &k, &p->video, p->time_sec, (const double(*)[2][3])p->warps, NULL, err);
    gv_keypoints_free(&k);
    return status;
}
