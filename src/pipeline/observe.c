#include "pipeline/observe.h"
#include "base/memory.h"
#include "pipeline/camera_stage.h"
#include "pipeline/watch.h"
#include "video/video.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gv_timing_add(gv_scene_observations *s, const char *stage, double seconds, long frames) {
    if (s->timings >= GV_MAX_TIMINGS) return;
    gv_timing *t = &s->timing[s->timings++];
    snprintf(t->stage, sizeof t->stage, "%s", stage);
    t->seconds = seconds;
    t->frames = frames;
}

static gv_status to_observations(gv_scene_observations *s, const gv_person *p, gv_observations *o, gv_error *err) {
    gv_status status = gv_observations_alloc(o, p->frames, err);
    if (status != GV_OK) return status;
    o->fps = s->fps;
    o->width = s->width;
    o->height = s->height;
    memcpy(o->bbx_xys, p->bbx_xys, (size_t)p->frames * 3 * sizeof(float));
    memcpy(o->kp2d, p->kp2d, (size_t)p->frames * 51 * sizeof(float));
    memcpy(o->R_w2c, s->camera.R_w2c + 9 * (size_t)p->first, (size_t)p->frames * 9 * sizeof(float));
    for (int t = 0; t < p->frames; t++) {
        const gv_lens *lens = gv_optics_at(&s->optics, p->first + t);
        gv_lens_matrix(lens, o->K + 9 * (size_t)t);
        if (lens->model != GV_LENS_PINHOLE)
            gv_camera_straighten(lens, o->bbx_xys + 3 * (size_t)t, o->kp2d + 51 * (size_t)t);
        o->frame_index[t] = p->first + t;
        o->time_sec[t] = s->time_sec[p->first + t];
    }
    return GV_OK;
}

static gv_status collect(gv_scene_observations *s, const gv_tracks *tracks, int max_people, gv_error *err) {
    int people = max_people > 0 && max_people < tracks->count ? max_people : tracks->count;
    s->person = gv_calloc2((size_t)people, sizeof *s->person);
    if (!s->person) return gv_fail(err, GV_ERR_MEMORY, "no memory for %d persons", people);
    gv_status status = GV_OK;
    for (int i = 0; i < people && status == GV_OK; i++) {
        status = to_observations(s, &tracks->person[i], &s->person[i], err);
        s->people = i + 1;
    }
    return status;
}

// Size, codec and nominal rate.
static gv_status look_at_video(gv_scene_observations *s, const char *video, double fps, gv_error *err) {
    gv_video *v = NULL;
    gv_status status = gv_video_open(&v, video, &(gv_video_options){.fps = fps}, err);
    if (status != GV_OK) return status;
    const gv_video_info *info = gv_video_get_info(v);
    s->width = info->width;
    s->height = info->height;
    s->fps = info->fps;
    snprintf(s->codec, sizeof s->codec, "%s", info->codec ? info->codec : "");
    gv_video_close(v);
    return GV_OK;
}

static void mean_rate(gv_scene_observations *s, double given) {
    if (given > 0)
        s->fps = given;
    else if (s->frames > 1)
        s->fps = (double)(s->frames - 1) / (s->time_sec[s->frames - 1] - s->time_sec[0]);
    if (!(s->fps > 0)) s->fps = 30;
}

// The first pass: fills `seen` and s->camera.
static gv_status first_pass(gv_scene_observations *s, gv_sightings *seen, const char *video,
                            const gv_observe_options *opt, gv_error *err) {
    const gv_model_choice *c = opt->models->role;
    if (c[GV_ROLE_DETECTOR].method != GV_METHOD_BLAZEPOSE || c[GV_ROLE_KEYPOINTS].method != GV_METHOD_BLAZEPOSE ||
        c[GV_ROLE_FEATURES].method != GV_METHOD_NONE)
        return gv_fail(err, GV_ERR_ARGUMENT, "detector %s, keypoints %s, features %s: not available in this version",
                       gv_method_name(c[GV_ROLE_DETECTOR].method), gv_method_name(c[GV_ROLE_KEYPOINTS].method),
                       gv_method_name(c[GV_ROLE_FEATURES].method));
    gv_watch_times times;
    gv_watch_options watch = {.video = video, .fps = opt->fps, .quiet = opt->quiet};
    gv_status status = gv_optics_choose(&s->optics, &opt->optics, video, s->width, s->height, err);
    if (status == GV_OK)
        status = gv_finder_create(&watch.finder, &(gv_finder_options){.landmarks = opt->models->landmarks}, s->width,
                                  s->height, err);
    if (status == GV_OK && !opt->static_camera)
        status = gv_odometry_create(&watch.odometry, s->width, s->height, &s->optics, err);
    if (status == GV_OK) status = gv_watch(seen, &watch, &times, err);
    if (status != GV_OK) goto done;
    gv_timing_add(s, "observe", times.whole, seen->frames);
    gv_timing_add(s, "people", times.people, seen->frames);
    if (watch.odometry) gv_timing_add(s, "camera", times.camera, seen->frames);
    status = gv_camera_conclude(s, watch.odometry, seen->frames, err);
done:
    gv_odometry_destroy(watch.odometry);
    gv_finder_destroy(watch.finder);
    return status;
}

static gv_status observe(gv_scene_observations *s, const char *video, const gv_observe_options *opt, gv_error *err) {
    gv_sightings seen = {0};
    gv_status status = look_at_video(s, video, opt->fps, err);
    if (status == GV_OK) status = first_pass(s, &seen, video, opt, err);
    if (status == GV_OK) {
        s->frames = seen.frames;
        s->damaged = seen.damaged;
        s->time_sec = seen.time_sec;
        seen.time_sec = NULL;
        mean_rate(s, opt->fps);
        status = collect(s, &seen.tracks, opt->max_people, err);
    }
    gv_sightings_free(&seen);
    return status;
}

gv_status gv_observe(gv_scene_observations *s, const char *video, const gv_observe_options *opt, gv_error *err) {
    *s = (gv_scene_observations){0};
    gv_models own = {0};
    gv_observe_options complete = *opt;
    gv_status status = opt->models ? GV_OK : gv_models_choose(&own, &opt->want, err);
    if (!opt->models) complete.models = &own;
    if (status == GV_OK) status = observe(s, video, &complete, err);
    gv_models_free(&own);
    if (status != GV_OK) gv_scene_observations_free(s);
    return status;
}

void gv_scene_observations_free(gv_scene_observations *s) {
    for (int i = 0; i < s->people; i++) gv_observations_free(&s->person[i]);
    free(s->person);
    free(s->time_sec);
    gv_camera_path_free(&s->camera);
    gv_optics_free(&s->optics);
    *s = (gv_scene_observations){0};
}
