#include "perception/blazepose.h"

#include "base/file.h"
#include "base/memory.h"
#include "formats/tflite.h"
#include "nn/convnet.h"
#include "perception/blaze_decode.h"
#include "perception/blaze_mirror.h"
#include "perception/blaze_sample.h"
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { DETECTOR_SIZE = 224, CROP_SIZE = 256 };

struct gv_blazepose {
    int workers;
    bool mirror;
    gv_convnet *detector, *landmarks;
    gv_detection *candidates; // [workers, GV_BLAZE_ANCHORS]
};

static char *model_path(const char *folder, const char *name, gv_error *err) {
    if (!folder) return gv_resource_find(name, err);
    size_t n = strlen(folder) + strlen(name) + 2;
    char *path = malloc(n);
    if (!path) {
        gv_fail(err, GV_ERR_MEMORY, "no memory for a path");
        return NULL;
    }
    snprintf(path, n, "%s/%s", folder, name);
    return path;
}

// What a network must look like: a square picture in, `n` outputs of these many numbers at these positions.
typedef struct interface {
    int size, n;
    int position[4];
    int64_t count[4];
} interface;

static gv_status check_interface(const gv_tflite *g, const interface *f, gv_error *err) {
    const int *in = g->tensors[g->inputs[0]].shape;
    if (in[1] != f->size || in[2] != f->size || in[3] != 3)
        return gv_fail(err, GV_ERR_FORMAT, "input [%d, %d, %d], expected [%d, %d, 3]", in[1], in[2], in[3], f->size,
                       f->size);
    for (int i = 0; i < f->n; i++) {
        int at = f->position[i];
        int64_t count = at < g->noutputs ? g->tensors[g->outputs[at]].count : 0;
        if (count != f->count[i])
            return gv_fail(err, GV_ERR_FORMAT, "output %d has %lld numbers, expected %lld", at, (long long)count,
                           (long long)f->count[i]);
    }
    return GV_OK;
}

static gv_status open_network(gv_convnet **out, const char *path, const interface *f, int workers, gv_error *err) {
    gv_tflite *g = NULL;
    gv_status s = gv_tflite_open(&g, path, err);
    if (s != GV_OK) return s;
    s = check_interface(g, f, err);
    if (s == GV_OK) s = gv_convnet_create(out, g, f->position, f->n, workers, err);
    if (s != GV_OK) gv_wrap(err, "%s", path);
    gv_tflite_close(g);
    return s;
}

gv_status gv_blazepose_open(gv_blazepose **out, gv_blaze_model model, const char *folder, gv_error *err) {
    static const char *const names[] = {"pose_landmark_lite.tflite", "pose_landmark_full.tflite",
                                        "pose_landmark_heavy.tflite"};
    static const interface detector = {DETECTOR_SIZE, 2, {0, 1}, {GV_BLAZE_ANCHORS * 12, GV_BLAZE_ANCHORS}};
    static const interface landmarks = {
        // landmarks, presence, heatmap, world; the mask (2) is not needed
        CROP_SIZE,
        4,
        {0, 1, 3, 4},
        {GV_BLAZE_RAW_POINTS * 5, 1, GV_BLAZE_HEATMAP * GV_BLAZE_HEATMAP * GV_BLAZE_RAW_POINTS,
         GV_BLAZE_RAW_POINTS * 3}};
    *out = NULL;
    gv_status s = GV_ERR_MISSING;
    char *first = model_path(folder, "pose_solution_packed_assets.data", err), *second = NULL;
    if (first) second = model_path(folder, names[model], err);
    gv_blazepose *p = calloc(1, sizeof *p);
    if (p) p->workers = omp_get_max_threads();
    if (p) p->candidates = gv_calloc2((size_t)p->workers * GV_BLAZE_ANCHORS, sizeof *p->candidates);
    if (!first || !second) goto done;
    if (!p || !p->candidates) {
        s = gv_fail(err, GV_ERR_MEMORY, "no memory for BlazePose");
        goto done;
    }
    omp_set_num_threads(1); // oneDNN plans for the number of threads it sees
    s = open_network(&p->detector, first, &detector, p->workers, err);
    if (s == GV_OK) s = open_network(&p->landmarks, second, &landmarks, p->workers, err);
    omp_set_num_threads(p->workers);
done:
    if (s == GV_OK)
        *out = p;
    else
        gv_blazepose_close(p);
    free(first);
    free(second);
    return s;
}

void gv_blazepose_close(gv_blazepose *p) {
    if (!p) return;
    gv_convnet_destroy(p->detector);
    gv_convnet_destroy(p->landmarks);
    free(p->candidates);
    free(p);
}

static bool usable(const gv_region *r) {
    return isfinite(r->cx) && isfinite(r->cy) && isfinite(r->angle) && r->width > 0 && r->height > 0 &&
           r->width < 1e6f && r->height < 1e6f && fabsf(r->cx) < 1e6f && fabsf(r->cy) < 1e6f;
}

static void square_to_image(gv_detection *d, const gv_region *r) {
    float left = r->cx - r->width / 2, top = r->cy - r->height / 2;
    d->x0 = left + d->x0 * r->width, d->x1 = left + d->x1 * r->width;
    d->y0 = top + d->y0 * r->height, d->y1 = top + d->y1 * r->height;
    for (int k = 0; k < 4; k++) {
        d->keypoint[k][0] = left + d->keypoint[k][0] * r->width;
        d->keypoint[k][1] = top + d->keypoint[k][1] * r->height;
    }
}

void gv_blazepose_set_mirror(gv_blazepose *p, bool mirror) {
    p->mirror = mirror;
}

// ---- Work on several regions ------------------------------------------------------------------------

typedef gv_status job(void *context, int i, int worker, gv_error *err);

// Every job runs on one thread, several of them side by side: layers this small lose to waiting for one
// another what they gain by sharing, and the other cores decode, follow the camera and draw meanwhile.
static gv_status run_jobs(const gv_blazepose *p, int n, job *run, void *context, gv_error *err) {
    int threads = omp_get_max_threads();
    gv_status status = GV_OK;
    if (n == 1) omp_set_num_threads(1);
#pragma omp parallel for schedule(dynamic) num_threads(p->workers) if (n > 1)
    for (int i = 0; i < n; i++) {
        gv_error e = {0};
        gv_status s = run(context, i, omp_get_thread_num(), &e);
#pragma omp critical(gv_blazepose_error)
        if (s != GV_OK) status = gv_fail(err, s, "%s", e.text);
    }
    omp_set_num_threads(threads);
    return status;
}

typedef struct detect_context {
    gv_blazepose *p;
    const gv_image *image;
    const gv_tile *tiles;
    float min_score, overlap;
    gv_detection *out;
    int max, *count;
} detect_context;

static gv_status detect_tile(void *context, int i, int worker, gv_error *err) {
    detect_context *c = context;
    gv_convnet *net = c->p->detector;
    const gv_tile *t = &c->tiles[i];
    float side = fmaxf(t->width, t->height);
    gv_region square = {t->x + t->width / 2, t->y + t->height / 2, side, side, 0};
    c->count[i] = 0;
    if (!(t->width > 0 && t->height > 0) || !usable(&square))
        return gv_fail(err, GV_ERR_ARGUMENT, "detection in the rectangle %g, %g of %g x %g px", (double)t->x,
                       (double)t->y, (double)t->width, (double)t->height);
    gv_blaze_sample(gv_convnet_input(net, worker), DETECTOR_SIZE, c->image, &square, -1, 1, false);
    gv_status s = gv_convnet_run(net, worker, err);
    if (s != GV_OK) return s;
    gv_detection *found = c->p->candidates + (int64_t)worker * GV_BLAZE_ANCHORS, *out = c->out + (int64_t)i * c->max;
    int n = gv_blaze_decode_detections(found, gv_convnet_output(net, worker, 0), gv_convnet_output(net, worker, 1),
                                       c->min_score);
    n = gv_blaze_suppress(found, n, c->overlap);
    c->count[i] = n < c->max ? n : c->max;
    for (int k = 0; k < c->count[i]; k++) {
        out[k] = found[k];
        square_to_image(&out[k], &square);
    }
    return GV_OK;
}

gv_status gv_blazepose_detect_tiles(gv_blazepose *p, const gv_image *image, const gv_tile *tiles, int n,
                                    float min_score, float overlap, gv_detection *out, int max, int *count,
                                    gv_error *err) {
    detect_context c = {p, image, tiles, min_score, overlap, out, max, count};
    return run_jobs(p, n, detect_tile, &c, err);
}

gv_status gv_blazepose_detect(gv_blazepose *p, const gv_image *image, float x, float y, float width, float height,
                              float min_score, float overlap, gv_detection *out, int max, int *count, gv_error *err) {
    return gv_blazepose_detect_tiles(p, image, &(gv_tile){x, y, width, height}, 1, min_score, overlap, out, max, count,
                                     err);
}

typedef struct landmark_context {
    gv_blazepose *p;
    gv_blaze_view *view;
    void *view_context;
    const gv_region *regions;
    gv_landmarks *out, *mirrored;
    int n;
} landmark_context;

// Jobs n .. 2n - 1 are the regions' mirror images.
static gv_status find_landmarks(void *context, int number, int worker, gv_error *err) {
    landmark_context *c = context;
    gv_convnet *net = c->p->landmarks;
    const bool mirrored = number >= c->n;
    const int i = mirrored ? number - c->n : number;
    const gv_region *r = &c->regions[i], upright = {0, 0, r->width, r->height, 0};
    gv_landmarks *out = mirrored ? &c->mirrored[i] : &c->out[i];
    memset(out, 0, sizeof *out);
    if (!usable(r)) return GV_OK;
    gv_image image = c->view(c->view_context, i, worker);
    gv_blaze_sample(gv_convnet_input(net, worker), CROP_SIZE, &image, r, 0, 1, true);
    if (mirrored) gv_blaze_mirror_crop(gv_convnet_input(net, worker), CROP_SIZE);
    gv_status s = gv_convnet_run(net, worker, err);
    if (s != GV_OK) return s;
    const float *output[4];
    for (int k = 0; k < 4; k++) output[k] = gv_convnet_output(net, worker, k);
    gv_blaze_decode_landmarks(out, output[0], output[2], output[3], mirrored ? &upright : r);
    out->presence = output[1][0];
    return GV_OK;
}

gv_status gv_blazepose_landmarks_in(gv_blazepose *p, gv_blaze_view *view, void *context, const gv_region *regions,
                                    int n, gv_landmarks *out, gv_error *err) {
    landmark_context c = {p, view, context, regions, out, .n = n};
    if (!p->mirror || n < 1) return run_jobs(p, n, find_landmarks, &c, err);
    c.mirrored = gv_calloc2((size_t)n, sizeof *c.mirrored);
    if (!c.mirrored) return gv_fail(err, GV_ERR_MEMORY, "no memory for the landmarks of %d persons", n);
    gv_status s = run_jobs(p, 2 * n, find_landmarks, &c, err);
    for (int i = 0; i < n && s == GV_OK; i++)
        if (usable(&regions[i])) gv_blaze_merge_mirrored(&out[i], &c.mirrored[i], &regions[i]);
    free(c.mirrored);
    return s;
}

static gv_image one_image(void *context, int i, int worker) {
    (void)i, (void)worker;
    return *(const gv_image *)context;
}

gv_status gv_blazepose_landmarks(gv_blazepose *p, const gv_image *image, const gv_region *regions, int n,
                                 gv_landmarks *out, gv_error *err) {
    gv_image copy = *image;
    return gv_blazepose_landmarks_in(p, one_image, &copy, regions, n, out, err);
}

int gv_blazepose_workers(const gv_blazepose *p) {
    return p->workers;
}

// ---- Regions ----------------------------------------------------------------------------------------

gv_region gv_blaze_region(const float centre[2], const float top[2]) {
    double dx = (double)top[0] - centre[0], dy = (double)top[1] - centre[1];
    double angle = M_PI / 2 - atan2(-dy, dx);
    angle -= 2 * M_PI * floor((angle + M_PI) / (2 * M_PI));
    float side = (float)(1.25 * 2 * hypot(dx, dy));
    return (gv_region){centre[0], centre[1], side, side, (float)angle};
}

gv_region gv_blaze_region_of_detection(const gv_detection *d) {
    return gv_blaze_region(d->keypoint[0], d->keypoint[1]);
}

gv_region gv_blaze_region_of_landmarks(const gv_landmarks *l) {
    return gv_blaze_region(l->point[GV_BLAZE_POINTS], l->point[GV_BLAZE_POINTS + 1]);
}
