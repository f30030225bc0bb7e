#include "pipeline/run.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/sha256.h"
#include "body/body.h"
#include "pipeline/camera_stage.h"
#include "pipeline/common_gravity.h"
#include "pipeline/focal_people.h"
#include "pipeline/hold_to_way.h"
#include "pipeline/judge.h"
#include "pipeline/motion_lens.h"
#include "pipeline/pictures.h"
#include "pipeline/predict.h"
#include "pipeline/scene_export.h"
#include "pipeline/scene_file.h"
#include "pipeline/settle.h"
#include "pipeline/view.h"
#include "pipeline/way_metres.h"
#include "video/video.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_PATH = 4096 };

struct gv_runner {
    const gv_run_options *opt;
    gv_device *device; // NULL: the processor
    gv_network *network;
    gv_body *body;
    gv_models models;
};

typedef struct job {
    gv_runner *runner;
    const gv_run_options *opt;
    const char *video, *folder;
    gv_model_used used[GV_ROLES];
    int used_count;
    gv_scene_observations observations;
    gv_motion *motions;
    gv_quality *quality; // [people]
    gv_scene scene;
    char *note; // of what was left out
} job;

// Everything that can be missing is looked for before the long work starts.
gv_status gv_runner_open(gv_runner **out, const gv_run_options *opt, gv_error *err) {
    *out = NULL;
    gv_status status = gv_scene_export_check(opt->exports, err);
    if (status != GV_OK) return status;
    gv_runner *r = gv_calloc2(1, sizeof *r);
    if (!r) return gv_fail(err, GV_ERR_MEMORY, "no memory for the models");
    r->opt = opt;
    status = gv_observe_device(&r->device, &opt->observe, err);
    if (status == GV_OK) status = gv_models_choose(&r->models, &opt->observe.want, err);
    const gv_model_choice *c = r->models.role;
    if (status == GV_OK)
        status = gv_network_open(&r->network, c[GV_ROLE_NETWORK].path, opt->heads, opt->precision, r->device, err);
    if (status == GV_OK) status = gv_body_open(&r->body, c[GV_ROLE_BODY].path, err);
    if (status == GV_OK && !gv_network_has_images(r->network)) gv_models_drop_features(&r->models);
    if (status == GV_OK)
        *out = r;
    else
        gv_runner_close(r);
    return status;
}

void gv_runner_close(gv_runner *r) {
    if (!r) return;
    gv_models_free(&r->models);
    gv_network_close(r->network);
    gv_device_close(r->device);
    gv_body_close(r->body);
    free(r);
}

// The files that did the work, with their sums.
static gv_status list_models(job *j, gv_error *err) {
    for (gv_role r = 0; r < GV_ROLES; r++) {
        const gv_model_choice *c = &j->runner->models.role[r];
        if (!c->path || (r == GV_ROLE_DETECTOR && c->method == GV_METHOD_FILE)) continue; // the keypoints' file
        gv_model_used *m = &j->used[j->used_count++];
        *m = (gv_model_used){.role = gv_role_name(r), .method = gv_method_name(c->method), .path = c->path};
        struct stat st;
        if (stat(c->path, &st) == 0 && S_ISDIR(st.st_mode)) continue;
        gv_status status = gv_sha256_file(m->sha256, c->path, err);
        if (status != GV_OK) return status;
    }
    return GV_OK;
}

// A focal length that is better told by how people walk before a standing camera than by what was believed takes
// its place: everybody is predicted once for that alone, as the reference does it.
static gv_status focal_from_people(job *j, gv_error *err) {
    enum { MOST = 8 };
    gv_scene_observations *s = &j->observations;
    gv_motion m[MOST];
    int people = s->people < MOST ? s->people : MOST, done = 0;
    bool open = s->optics.origin < GV_FOCAL_PEOPLE && s->optics.count == 1 && s->optics.lens->model == GV_LENS_PINHOLE;
    if (!open || !s->camera.is_static) return GV_OK;
    gv_predict_options popt = {.static_camera = true, .listener = j->opt->observe.listener};
    gv_status status = GV_OK;
    for (; status == GV_OK && done < people; done += status == GV_OK)
        status = gv_predict(&m[done], j->runner->network, j->runner->body, &s->person[done], &popt, NULL, err);
    gv_people_focal f = {0};
    if (status == GV_OK) gv_focal_from_people(&f, m, people, s->optics.sd);
    for (int k = 0; k < done; k++) gv_motion_free(&m[k]);
    if (!f.found) return status;
    gv_camera_adopt_focal(s, f.ratio, f.sd);
    return GV_OK;
}

// Everybody in one world, on his feet.
static gv_status settle_all(job *j, gv_error *err) {
    gv_scene_observations *s = &j->observations;
    gv_status status = gv_common_gravity(j->motions, s->people, s->camera.is_static, err);
    if (status == GV_OK) status = gv_way_to_metres(&s->camera, j->motions, s->people, err);
    for (int k = 0; status == GV_OK && k < s->people; k++) {
        status = gv_hold_to_way(&j->motions[k], &s->camera, s->people == 1, err);
        if (status == GV_OK)
            status = gv_settle(&j->motions[k], j->runner->body, s->people > 1, j->opt->observe.listener, err);
    }
    return status;
}

static gv_status predict_all(job *j, gv_error *err) {
    gv_scene_observations *s = &j->observations;
    j->motions = gv_calloc2((size_t)s->people, sizeof *j->motions);
    if (!j->motions) return gv_fail(err, GV_ERR_MEMORY, "no memory for %d motions", s->people);
    gv_refinement wish = j->opt->refinement;
    bool refine =
        wish == GV_REFINE_ON || (wish == GV_REFINE_AUTO && !j->runner->models.role[GV_ROLE_NETWORK].from_folder);
    const gv_listener *listener = j->opt->observe.listener;
    gv_predict_options popt = {
        .static_camera = s->camera.is_static, .refine = refine, .verbose = j->opt->verbose, .listener = listener};
    gv_progress progress;
    gv_progress_begin(&progress, "predict", s->people, j->opt->observe.quiet, listener);
    long frames = 0;
    for (int k = 0; k < s->people; k++) {
        gv_status status =
            gv_predict(&j->motions[k], j->runner->network, j->runner->body, &s->person[k], &popt, NULL, err);
        frames += s->person[k].frames;
        gv_observations_free(&s->person[k]); // all that is needed of it is in the motion
        if (status == GV_OK) status = gv_motion_lens_keep(&j->motions[k], &s->optics, err);
        if (status == GV_OK) status = gv_go_on(listener, err);
        if (status != GV_OK) return status;
        gv_progress_set(&progress, k + 1);
    }
    gv_status status = refine ? settle_all(j, err) : GV_OK;
    if (status != GV_OK) return status;
    gv_timing_add(s, "predict", gv_progress_end(&progress), frames);
    return GV_OK;
}

static gv_status judge_all(job *j, gv_error *err) {
    int people = j->observations.people;
    j->quality = gv_calloc2((size_t)people, sizeof *j->quality);
    if (!j->quality) return gv_fail(err, GV_ERR_MEMORY, "no memory for %d persons", people);
    gv_status status = GV_OK;
    for (int k = 0; status == GV_OK && k < people; k++)
        status = gv_judge(&j->quality[k], &j->motions[k], j->runner->body, err);
    return status;
}

// "person 1: good: ..." for everybody; NULL when memory is exhausted.
static char *report(const job *j) {
    int people = j->observations.people;
    size_t used = 0, bytes = (size_t)people * (GV_QUALITY_TEXT + 24) + 1;
    char *text = gv_calloc2(bytes, 1);
    for (int k = 0; text && k < people; k++) {
        char words[GV_QUALITY_TEXT];
        gv_quality_describe(words, sizeof words, &j->quality[k], &j->motions[k]);
        int n = snprintf(text + used, bytes - used, "person %d: %s\n", k + 1, words);
        used += n > 0 ? (size_t)n : 0;
    }
    return text;
}

static gv_status save_motions(job *j, gv_error *err) {
    for (int k = 0; k < j->observations.people; k++) {
        char path[MAX_PATH];
        snprintf(path, sizeof path, "%s/person-%d.npz", j->folder, k + 1);
        gv_status status = gv_motion_save(&j->motions[k], path, err);
        if (status != GV_OK) return status;
    }
    return GV_OK;
}

// Overlay, world, and the copy of the video for the page: `copy` may be NULL.
static gv_status draw(gv_pictures *pictures, job *j, const char *copy, gv_error *err) {
    char overlay[MAX_PATH], world[MAX_PATH], side[MAX_PATH];
    snprintf(overlay, sizeof overlay, "%s/overlay.mp4", j->folder);
    snprintf(world, sizeof world, "%s/world.mp4", j->folder);
    snprintf(side, sizeof side, "%s/side-by-side.mp4", j->folder);
    const gv_run_options *o = j->opt;
    gv_pictures_options popt = {.overlay = o->pictures ? overlay : NULL,
                                .world = o->pictures ? world : NULL,
                                .side_by_side = o->side_by_side ? side : NULL,
                                .copy = copy,
                                .fps = o->observe.fps,
                                .jail = o->observe.jail,
                                .quiet = o->observe.quiet,
                                .listener = o->observe.listener};
    gv_status status = gv_draw_pictures(pictures, &j->scene, j->video, j->runner->body, &popt, err);
    gv_timing_add(&j->observations, "draw", pictures->seconds, j->observations.frames);
    return status;
}

static gv_status make_page(job *j, const char *path, const char *scene, const char *copy, const gv_pictures *pictures,
                           gv_error *err) {
    const gv_page page = {.scene = scene,
                          .people = j->observations.people,
                          .motion = j->motions,
                          .body = j->runner->body,
                          .copy = copy,
                          .times = pictures->times,
                          .frames = pictures->frames,
                          .quiet = true};
    double start = gv_now();
    gv_status status = gv_page_write(path, &page, err);
    gv_timing_add(&j->observations, "viewer", gv_now() - start, j->observations.frames);
    return status;
}

// Overlay, world and page. The video is decoded once for all of them. Without the built viewer the run is whole all the
// same, and says so.
static gv_status show(job *j, const char *scene, gv_error *err) {
    const gv_run_options *o = j->opt;
    char page[MAX_PATH], beside[MAX_PATH];
    gv_outfile copy = {0};
    gv_pictures pictures = {0};
    gv_error missing = {0};
    gv_status status = GV_OK;
    if (!o->pictures && !o->side_by_side) return GV_OK;
    snprintf(page, sizeof page, "%s/viewer.html", j->folder);
    snprintf(beside, sizeof beside, "%s/viewer.mp4", j->folder);
    const bool paged = o->pictures && gv_page_check(&missing) == GV_OK;
    if (o->pictures && !paged) j->note = strdup(missing.text);
    if (paged) status = gv_outfile_begin(&copy, beside, err); // its temporary name is what is needed
    if (status == GV_OK) status = draw(&pictures, j, copy.temporary, err);
    if (status == GV_OK && paged) status = make_page(j, page, scene, copy.temporary, &pictures, err);
    gv_outfile_abandon(&copy);
    gv_pictures_free(&pictures);
    return status;
}

static gv_status write_scene(job *j, char **text, gv_error *err) {
    char path[MAX_PATH];
    snprintf(path, sizeof path, "%s/scene.json", j->folder ? j->folder : "");
    free(*text);
    *text = NULL;
    gv_status status =
        gv_scene_json(text, &j->scene, &j->observations, j->quality, j->video, j->used, j->used_count, err);
    return status == GV_OK && j->folder ? gv_file_write(path, *text, strlen(*text), err) : status;
}

static gv_status write_all(job *j, char **text, gv_error *err) {
    gv_status status = save_motions(j, err);
    if (status == GV_OK) status = write_scene(j, text, err); // the results are safe before the pictures are drawn
    if (status == GV_OK)
        status = gv_scene_export(&j->scene, &j->observations, j->runner->body, j->opt->exports, j->folder, err);
    return status == GV_OK ? show(j, *text, err) : status;
}

// Frames in which the picture did not tell the camera's rotation join what is to be said at the end.
static void note_camera(job *j) {
    enum { RANGES = 6 };
    const gv_camera_path *c = &j->observations.camera;
    char text[512];
    int n = 0, first, last, ranges = 0;
    for (int f = 0; gv_camera_unsure(c, f, &first, &last) && ++ranges <= RANGES; f = last + 1)
        n += snprintf(text + n, sizeof text - (size_t)n, first < last ? "%s%d to %d" : "%s%d", n ? ", " : "", first,
                      last);
    if (!ranges) return;
    size_t size = sizeof text + 128 + (j->note ? strlen(j->note) : 0);
    char *joined = gv_calloc2(size, 1);
    if (!joined) return;
    snprintf(joined, size,
             "%s%sthe picture does not tell the camera's rotation in frames %s%s (a cut, no texture, or covered)",
             j->note ? j->note : "", j->note ? "; " : "", text, ranges > RANGES ? " and more" : "");
    free(j->note);
    j->note = joined;
}

gv_status gv_run(const char *video, const char *folder, const gv_run_options *opt, gv_run_result *result,
                 gv_error *err) {
    // the video first: its name is what people get wrong; then what the program needs; then the long work
    gv_video *probe = NULL;
    gv_runner *r = NULL;
    gv_status status = gv_video_open(&probe, video, &(gv_video_options){.jail = opt->observe.jail}, err);
    gv_video_close(probe);
    if (status == GV_OK) status = gv_runner_open(&r, opt, err);
    if (status == GV_OK) status = gv_runner_run(r, video, folder, result, err);
    gv_runner_close(r);
    return status;
}

gv_status gv_runner_run(gv_runner *r, const char *video, const char *folder, gv_run_result *result, gv_error *err) {
    const gv_run_options *opt = r->opt;
    job j = {.runner = r, .opt = opt, .video = video, .folder = folder};
    char *text = NULL;
    double start = gv_now();
    gv_video *probe = NULL;
    gv_status status = gv_video_open(&probe, video, &(gv_video_options){.jail = opt->observe.jail}, err);
    gv_video_close(probe);
    if (status == GV_OK && folder) status = gv_folder_prepare(folder, err);
    gv_observe_options observe = opt->observe;
    observe.models = &r->models;
    observe.where = r->device ? observe.where : GV_DEVICE_CPU; // what could not be had is not looked for again
    observe.device = r->device;
    observe.precision = opt->precision;
    char cache[MAX_PATH + 8];
    snprintf(cache, sizeof cache, "%s/cache", folder ? folder : "");
    if (!observe.cache && folder) observe.cache = cache;
    if (status == GV_OK) status = gv_observe(&j.observations, video, &observe, err);
    if (status == GV_OK && j.observations.people == 0)
        status = gv_fail(err, GV_ERR_EMPTY, "%s: no person found in %ld frames", video, j.observations.frames);
    if (status == GV_OK) status = focal_from_people(&j, err);
    if (status == GV_OK) status = predict_all(&j, err);
    if (status == GV_OK) status = list_models(&j, err);
    if (status == GV_OK) status = gv_scene_compose(&j.scene, j.motions, j.observations.people, &j.observations, err);
    if (status == GV_OK) status = judge_all(&j, err);
    if (status == GV_OK) status = gv_go_on(observe.listener, err);
    if (status == GV_OK && folder) status = write_all(&j, &text, err);
    gv_timing_add(&j.observations, "whole", gv_now() - start, j.observations.frames);
    if (status == GV_OK) status = write_scene(&j, &text, err); // again, with all timings
    if (status == GV_OK) note_camera(&j);
    if (status == GV_OK && result) {
        *result = (gv_run_result){.scene = text, .report = report(&j), .note = j.note};
        result->motion = j.motions;
        result->people = j.observations.people;
        result->frames = j.observations.frames;
        text = j.note = NULL;
        j.motions = NULL;
    }
    free(text);
    free(j.note);
    gv_scene_free(&j.scene);
    for (int k = 0; j.motions && k < j.observations.people; k++) gv_motion_free(&j.motions[k]);
    free(j.motions);
    for (int k = 0; j.quality && k < j.observations.people; k++) gv_quality_free(&j.quality[k]);
    free(j.quality);
    gv_scene_observations_free(&j.observations);
    return status;
}

void gv_run_result_free(gv_run_result *r) {
    free(r->scene);
    free(r->report);
    free(r->note);
    for (int k = 0; r->motion && k < r->people; k++) gv_motion_free(&r->motion[k]);
    free(r->motion);
    *r = (gv_run_result){0};
}
