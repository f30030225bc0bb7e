#include "pipeline/observe.h"
#include "base/memory.h"
#include "pipeline/camera_stage.h"
#include "pipeline/keep.h"
#include "pipeline/study.h"
#include "pipeline/timebase.h"
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
    o->kp3d = gv_calloc2((size_t)p->frames, 51 * sizeof(float));
    o->feet2d = gv_calloc2((size_t)p->frames, GV_FEET_POINTS * 3 * sizeof(float));
    if (!o->kp3d || !o->feet2d) return gv_fail(err, GV_ERR_MEMORY, "no memory for a person of %d frames", p->frames);
    o->fps = s->fps;
    o->width = s->width;
    o->height = s->height;
    memcpy(o->bbx_xys, p->bbx_xys, (size_t)p->frames * 3 * sizeof(float));
    memcpy(o->kp2d, p->kp2d, (size_t)p->frames * 51 * sizeof(float));
    memcpy(o->kp3d, p->kp3d, (size_t)p->frames * 51 * sizeof(float));
    memcpy(o->feet2d, p->feet2d, (size_t)p->frames * GV_FEET_POINTS * 3 * sizeof(float));
    memcpy(o->R_w2c, s->camera.R_w2c + 9 * (size_t)p->first, (size_t)p->frames * 9 * sizeof(float));
    for (int t = 0; t < p->frames; t++) {
        const gv_lens *lens = gv_optics_at(&s->optics, p->first + t);
        gv_lens_matrix(lens, o->K + 9 * (size_t)t);
        if (lens->model != GV_LENS_PINHOLE)
            gv_camera_straighten(lens, o->bbx_xys + 3 * (size_t)t, o->kp2d + 51 * (size_t)t,
                                 o->feet2d + 3 * GV_FEET_POINTS * (size_t)t);
        o->frame_index[t] = p->first + t;
        o->time_sec[t] = s->time_sec[p->first + t];
    }
    return GV_OK;
}

static gv_status collect(gv_scene_observations *s, const gv_tracks *tracks, gv_studied *studied, int max_people,
                         gv_error *err) {
    int people = max_people > 0 && max_people < tracks->count ? max_people : tracks->count;
    s->person = gv_calloc2((size_t)people, sizeof *s->person);
    if (!s->person) return gv_fail(err, GV_ERR_MEMORY, "no memory for %d persons", people);
    gv_status status = GV_OK;
    for (int i = 0; i < people && status == GV_OK; i++) {
        gv_person *p = &tracks->person[i];
        if (studied->kp2d) memcpy(p->kp2d, studied->kp2d[i], (size_t)p->frames * 51 * sizeof(float));
        status = to_observations(s, p, &s->person[i], err);
        s->people = i + 1;
        if (status != GV_OK || !studied->features) continue;
        s->person[i].f_imgseq = studied->features[i];
        studied->features[i] = NULL;
    }
    for (int i = 0; i < s->people && status == GV_OK; i++)
        status = gv_timebase_retime(&s->person[i], &s->pictures, err);
    return status;
}

// Size, codec and nominal rate.
static gv_status look_at_video(gv_scene_observations *s, const char *video, double fps, struct gv_jail *jail,
                               gv_error *err) {
    gv_video *v = NULL;
    gv_status status = gv_video_open(&v, video, &(gv_video_options){.fps = fps, .jail = jail}, err);
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

// ---- what is kept from run to run, and what it depends on

// Everything of one call, beside the result.
typedef struct job {
    gv_scene_observations *s;
    const char *video;
    const gv_observe_options *opt;
    gv_cache *cache;
    gv_key tracks, camera; // what they depend on
    gv_sightings seen;
    gv_studied studied;
} job;

static gv_status tracks_key(job *j, gv_error *err) {
    const gv_observe_options *o = j->opt;
    const gv_model_choice *c = &o->models->role[GV_ROLE_DETECTOR];
    char video[65], model[65], landmarks[8], fps[40];
    bool own = c->method == GV_METHOD_BLAZEPOSE; // its detector is one; which landmarks counts
    if (!gv_cache_is_on(j->cache)) return GV_OK;
    gv_status status = gv_file_fingerprint(video, j->video, err);
    if (status == GV_OK) status = gv_path_fingerprint(model, c->path, err);
    if (status != GV_OK) return status;
    snprintf(landmarks, sizeof landmarks, "%d", own ? (int)o->models->landmarks : -1);
    snprintf(fps, sizeof fps, "%.17g", o->fps);
    j->tracks = gv_key_make((gv_key_part[]){{"version", "8"},
                                            {"video", video},
                                            {"fps", fps},
                                            {"detector", gv_method_name(c->method)},
                                            {"model", model},
                                            {"landmarks", landmarks},
                                            {"precision", !own && o->precision ? "bf16" : "f32"},
                                            {"fast", o->fast ? "spare 3" : "no"},
                                            {!own && o->device ? "device" : NULL, gv_device_name(o->device)},
                                            {0}});
    return GV_OK;
}

static void camera_key(job *j) {
    const gv_optics *o = &j->s->optics;
    gv_sha256 h;
    char optics[65], origin[60];
    gv_sha256_begin(&h);
    for (long i = 0; i < o->count; i++) {
        const gv_lens *l = &o->lens[i];
        const double numbers[] = {l->model, l->fx, l->fy, l->cx, l->cy};
        gv_sha256_add(&h, numbers, sizeof numbers);
        gv_sha256_add(&h, l->k, sizeof l->k);
    }
    gv_sha256_hex(&h, optics);
    snprintf(origin, sizeof origin, "%d %.17g", (int)o->origin, o->sd);
    j->camera = gv_key_make(
        (gv_key_part[]){{"version", "5"}, {"tracks", j->tracks.hex}, {"optics", optics}, {"origin", origin}, {0}});
}

// The one record of a stage, if there is one that makes sense.
static gv_journal *recall(job *j, const char *stage, const gv_key *key, bool take(job *, const void *, size_t)) {
    const void *data;
    size_t size;
    gv_journal *journal = gv_journal_open(j->cache, stage, key);
    if (journal && gv_journal_next(journal, &data, &size) && !take(j, data, size))
        gv_journal_reject(journal, "not readable");
    return journal;
}

static bool take_sightings(job *j, const void *data, size_t size) {
    return gv_sightings_unpack(&j->seen, data, size);
}

static bool take_camera(job *j, const void *data, size_t size) {
    gv_camera_path *c = &j->s->camera;
    if (!gv_camera_unpack(c, data, size)) return false;
    if (c->frames == j->seen.frames) return true;
    gv_camera_path_free(c);
    return false;
}

static void keep(gv_journal *journal, void *data, size_t size) {
    if (data) gv_journal_append(journal, data, size);
    free(data);
}

// ---- the passes

// The first pass: fills j->seen and s->camera with what is not known of them.
static gv_status watch(job *j, bool people_known, bool camera_known, gv_error *err) {
    gv_scene_observations *s = j->s;
    const gv_observe_options *o = j->opt;
    gv_watch_times times;
    gv_watch_options watch = {
        .video = j->video, .fps = o->fps, .jail = o->jail, .quiet = o->quiet, .listener = o->listener};
    gv_finder_options finder = {.models = o->models,
                                .precision = o->precision,
                                .device = o->device,
                                .fast = o->fast,
                                .fps = s->fps,
                                .cache = j->cache,
                                .key = &j->tracks};
    gv_status status = GV_OK;
    if (!people_known) status = gv_finder_create(&watch.finder, &finder, s->width, s->height, err);
    if (status == GV_OK && !camera_known)
        status = gv_odometry_create(&watch.odometry, s->width, s->height, &s->optics, err);
    if (status == GV_OK) status = gv_watch(&j->seen, &watch, &times, err);
    if (status == GV_OK) {
        gv_timing_add(s, "observe", times.whole, j->seen.frames);
        if (watch.finder) gv_timing_add(s, "people", times.people, gv_finder_looked(watch.finder));
        if (watch.odometry) gv_timing_add(s, "camera", times.camera, j->seen.frames);
        if (watch.odometry) status = gv_camera_conclude(s, watch.odometry, false, j->seen.frames, err);
        if (watch.odometry && status == GV_OK)
            status = gv_camera_hold(&s->camera, j->seen.repeated, j->seen.frames, err);
    }
    gv_odometry_destroy(watch.odometry);
    gv_finder_destroy(watch.finder);
    return status;
}

// Which frames show which pictures, and the camera between them; a camera's rotation from a file comes later, and is
// that of the frames' own times.
static gv_status find_pictures(job *j, gv_error *err) {
    gv_scene_observations *s = j->s;
    const gv_sightings *seen = &j->seen;
    gv_status status = gv_picture_times_find(&s->pictures, seen->repeated, seen->time_sec, seen->frames, err);
    if (status == GV_OK) status = gv_timebase_retime_camera(&s->camera, &s->pictures, seen->time_sec, err);
    if (status != GV_OK) return status;
    gv_picture_times_describe(s->repeats, sizeof s->repeats, &s->pictures, seen->frames);
    if (*s->repeats && j->opt->note) j->opt->note(j->opt->note_user, s->repeats);
    return GV_OK;
}

static gv_status first_pass(job *j, gv_error *err) {
    gv_scene_observations *s = j->s;
    bool given = j->opt->static_camera;
    void *data = NULL;
    size_t size = 0;
    if (given && j->opt->gyro)
        return gv_fail(err, GV_ERR_ARGUMENT, "a static camera and a file with its rotation: expected one of them");
    gv_status status = gv_optics_choose(&s->optics, &j->opt->optics, j->video, s->width, s->height, j->opt->jail, err);
    if (status == GV_OK) status = tracks_key(j, err);
    if (status != GV_OK) return status;
    camera_key(j);
    gv_journal *tracks = recall(j, "tracks", &j->tracks, take_sightings);
    gv_journal *camera = given ? NULL : recall(j, "camera", &j->camera, take_camera);
    bool tracks_known = j->seen.frames > 0, camera_known = given || s->camera.frames > 0;
    if (!tracks || (!given && !camera)) {
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for the cache", j->video);
        goto done;
    }
    if (!tracks_known || !camera_known) status = watch(j, tracks_known, camera_known, err);
    if (status == GV_OK && !tracks_known) {
        status = gv_sightings_pack(&data, &size, &j->seen, err);
        if (status == GV_OK) keep(tracks, data, size);
    }
    if (status == GV_OK && !camera_known) {
        status = gv_camera_pack(&data, &size, &s->camera, err);
        if (status == GV_OK) keep(camera, data, size);
    }
    if (status == GV_OK) status = gv_camera_conclude(s, NULL, given, j->seen.frames, err);
    if (status == GV_OK) status = find_pictures(j, err);
    if (status == GV_OK) status = gv_camera_from_file(s, j->opt->gyro, j->seen.time_sec, j->opt->jail, err);
done:
    gv_journal_close(tracks);
    gv_journal_close(camera);
    return status;
}

static gv_status second_pass(job *j, gv_error *err) {
    const gv_observe_options *o = j->opt;
    gv_study_options study = {.video = j->video,
                              .jail = o->jail,
                              .frames = j->seen.frames,
                              .fps = j->s->fps,
                              .person = j->seen.tracks.person,
                              .people = j->seen.tracks.count,
                              .repeated = j->seen.repeated,
                              .models = o->models,
                              .precision = o->precision,
                              .device = o->device,
                              .fast = o->fast,
                              .low_memory = o->low_memory,
                              .quiet = o->quiet,
                              .listener = o->listener,
                              .cache = j->cache,
                              .tracks = &j->tracks};
    if (o->max_people > 0 && o->max_people < study.people) study.people = o->max_people;
    gv_status status = gv_study(&j->studied, &study, err);
    if (status != GV_OK) return status;
    if (j->studied.keypoint_crops) gv_timing_add(j->s, "keypoints", j->studied.keypoint_sec, j->studied.keypoint_crops);
    if (j->studied.feature_crops) gv_timing_add(j->s, "features", j->studied.feature_sec, j->studied.feature_crops);
    return GV_OK;
}

static gv_status observe(job *j, gv_error *err) {
    gv_scene_observations *s = j->s;
    gv_status status = look_at_video(s, j->video, j->opt->fps, j->opt->jail, err);
    if (status == GV_OK) status = first_pass(j, err);
    if (status == GV_OK) status = second_pass(j, err);
    if (status != GV_OK) return status;
    s->frames = j->seen.frames;
    s->damaged = j->seen.damaged;
    s->time_sec = j->seen.time_sec;
    j->seen.time_sec = NULL;
    mean_rate(s, j->opt->fps);
    if (j->seen.tracks.count == 0) gv_cache_remove(j->cache); // of no use to anybody
    return collect(s, &j->seen.tracks, &j->studied, j->opt->max_people, err);
}

// Who asks for models, or leaves the choice of many to the program, is told what does the work.
static void tell_choice(const gv_observe_options *o) {
    const gv_model_request *q = &o->want;
    if (!o->note || !(q->weights || q->detector || q->keypoints || q->features)) return;
    gv_error line;
    gv_models_describe(o->models, line.text, sizeof line.text);
    o->note(o->note_user, line.text);
}

static void tell_device(const gv_observe_options *o) {
    const gv_model_choice *c = o->models->role;
    bool blaze =
        c[GV_ROLE_DETECTOR].method == GV_METHOD_BLAZEPOSE || c[GV_ROLE_KEYPOINTS].method == GV_METHOD_BLAZEPOSE;
    gv_error line;
    if (!o->note || !o->device || !blaze) return;
    snprintf(line.text, sizeof line.text, "BlazePose stays on the processor; the other networks are on %s",
             gv_device_name(o->device));
    o->note(o->note_user, line.text);
}

gv_status gv_observe_device(gv_device **out, const gv_observe_options *o, gv_error *err) {
    gv_error why = {0};
    gv_status status = gv_device_open(out, o->where, &why);
    if (status != GV_OK && err) *err = why;
    if (status == GV_OK && !*out && *why.text && o->note) o->note(o->note_user, why.text);
    return status;
}

gv_status gv_observe(gv_scene_observations *s, const char *video, const gv_observe_options *opt, gv_error *err) {
    *s = (gv_scene_observations){0};
    gv_models own = {0};
    gv_device *device = NULL;
    gv_observe_options complete = *opt;
    gv_status status = opt->models ? GV_OK : gv_models_choose(&own, &opt->want, err);
    if (status == GV_OK && !opt->device) status = gv_observe_device(&device, opt, err);
    if (device) complete.device = device;
    if (!opt->models) complete.models = &own;
    if (status == GV_OK) status = gv_models_check(complete.models, err);
    if (status == GV_OK) tell_choice(&complete);
    if (status == GV_OK) tell_device(&complete);
    job j = {.s = s, .video = video, .opt = &complete};
    j.cache = gv_cache_create(opt->cache, opt->note, opt->note_user);
    if (status == GV_OK && !j.cache) status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory", video);
    if (status == GV_OK) status = observe(&j, err);
    gv_sightings_free(&j.seen);
    gv_studied_free(&j.studied);
    gv_cache_destroy(j.cache);
    gv_device_close(device);
    gv_models_free(&own);
    if (status != GV_OK) gv_scene_observations_free(s);
    return status;
}

void gv_scene_observations_free(gv_scene_observations *s) {
    for (int i = 0; i < s->people; i++) gv_observations_free(&s->person[i]);
    free(s->person);
    free(s->time_sec);
    gv_camera_path_free(&s->camera);
    gv_picture_times_free(&s->pictures);
    gv_optics_free(&s->optics);
    *s = (gv_scene_observations){0};
}
