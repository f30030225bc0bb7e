#include "pipeline/observe.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/queue.h"
#include "camera/intrinsics.h"
#include "pipeline/feed.h"

#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFERS = 6, MAX_BOXES = 64 };

typedef struct boxes {
    float box[MAX_BOXES][4];
    int count;
} boxes;

// The camera's thread: takes pictures with the boxes of the people in them, gives the buffers back.
typedef struct camera_stage {
    gv_odometry *odometry;
    gv_queue *queue; // of gv_feed_frame *; picture->user is a boxes struct, owned by the queue's item
    gv_feed *feed;
    pthread_t thread;
    bool running;
    double busy_sec;
    gv_status status;
    gv_error err;
} camera_stage;

static void *follow_camera(void *arg) {
    camera_stage *c = arg;
    gv_feed_frame *p;
    omp_set_num_threads(1); // of this thread only: the cores belong to the networks
    while (gv_queue_pop(c->queue, &p)) {
        boxes *b = p->user;
        double start = gv_now();
        if (c->status == GV_OK)
            c->status =
                gv_odometry_frame(c->odometry, p->rgb, p->width * 3, (const float(*)[4])b->box, b->count, &c->err);
        c->busy_sec += gv_now() - start;
        free(b);
        gv_feed_release(c->feed, p);
    }
    return NULL;
}

static gv_status start_camera(camera_stage *c, gv_feed *feed, double focal_px, gv_error *err) {
    const gv_video_info *info = gv_feed_info(feed);
    c->feed = feed;
    c->queue = gv_queue_create(BUFFERS, sizeof(gv_feed_frame *));
    if (!c->queue) return gv_fail(err, GV_ERR_MEMORY, "no memory for the camera stage");
    gv_status status = gv_odometry_create(&c->odometry, info->width, info->height, focal_px, err);
    if (status != GV_OK) return status;
    if (pthread_create(&c->thread, NULL, follow_camera, c) != 0)
        return gv_fail(err, GV_ERR_MEMORY, "cannot start the camera thread");
    c->running = true;
    return GV_OK;
}

static void join_camera(camera_stage *c) {
    if (!c->running) return;
    gv_queue_close(c->queue);
    pthread_join(c->thread, NULL);
    c->running = false;
}

static gv_status hand_to_camera(camera_stage *c, gv_feed_frame *p, const gv_people *people, gv_error *err) {
    boxes *b = calloc(1, sizeof *b);
    if (!b) return gv_fail(err, GV_ERR_MEMORY, "no memory for the boxes of frame %ld", p->index);
    b->count = gv_people_boxes(people, b->box, MAX_BOXES);
    p->user = b;
    gv_queue_push(c->queue, &p);
    return GV_OK;
}

static void add_timing(gv_scene_observations *s, const char *stage, double seconds, long frames) {
    gv_timing *t = &s->timing[s->timings++];
    snprintf(t->stage, sizeof t->stage, "%s", stage);
    t->seconds = seconds;
    t->frames = frames;
}

static gv_status push_time(gv_scene_observations *s, long *capacity, double t, gv_error *err) {
    if (s->frames == *capacity) {
        long bigger = *capacity ? 2 * *capacity : 1024;
        double *p = realloc(s->time_sec, (size_t)bigger * sizeof *p);
        if (!p) return gv_fail(err, GV_ERR_MEMORY, "no memory for %ld time stamps", bigger);
        s->time_sec = p;
        *capacity = bigger;
    }
    s->time_sec[s->frames++] = t;
    return GV_OK;
}

static gv_status choose_focal(double *px, gv_scene_observations *s, const char *given, gv_error *err) {
    s->focal_source = given ? "given" : "image diagonal";
    if (given) return gv_focal_parse(px, given, s->width, s->height, err);
    *px = gv_focal_default(s->width, s->height);
    return GV_OK;
}

// The whole pass over the video.
static gv_status watch(gv_scene_observations *s, gv_feed *feed, gv_people *people, camera_stage *camera,
                       const gv_observe_options *opt, gv_error *err) {
    long capacity = 0;
    double people_sec = 0;
    gv_progress progress;
    gv_progress_begin(&progress, "observe", gv_feed_info(feed)->frames, opt->quiet);
    gv_status status;
    gv_feed_frame *p;
    while ((status = gv_feed_next(feed, &p, err)) == GV_OK && p) {
        double start = gv_now();
        gv_image image = {p->rgb, p->width, p->height, p->width * 3};
        status = push_time(s, &capacity, p->time_sec, err);
        if (status == GV_OK) status = gv_people_frame(people, &image, p->time_sec, err);
        people_sec += gv_now() - start;
        if (status != GV_OK) break;
        if (camera->running)
            status = hand_to_camera(camera, p, people, err);
        else
            gv_feed_release(feed, p);
        if (status != GV_OK) break;
        gv_progress_set(&progress, s->frames);
    }
    join_camera(camera);
    double total = gv_progress_end(&progress);
    add_timing(s, "observe", total, s->frames);
    add_timing(s, "people", people_sec, s->frames);
    if (camera->odometry) add_timing(s, "camera", camera->busy_sec, s->frames);
    if (status == GV_OK && camera->status != GV_OK) {
        if (err) *err = camera->err;
        status = camera->status;
    }
    s->damaged = gv_feed_damaged(feed);
    return status;
}

static gv_status fixed_camera(gv_camera_path *c, long frames, double focal, gv_error *err) {
    c->frames = (int)frames;
    c->is_static = true;
    c->focal_px = (float)focal;
    c->R_w2c = gv_calloc2((size_t)frames * 9, sizeof(float));
    c->confidence = gv_calloc2((size_t)frames, sizeof(float));
    if (!c->R_w2c || !c->confidence) return gv_fail(err, GV_ERR_MEMORY, "no memory for %ld camera rotations", frames);
    for (long t = 0; t < frames; t++) {
        for (int i = 0; i < 3; i++) c->R_w2c[9 * t + 4 * i] = 1;
        c->confidence[t] = 1;
    }
    return GV_OK;
}

static gv_status to_observations(gv_scene_observations *s, const gv_person *p, gv_observations *o, gv_error *err) {
    gv_status status = gv_observations_alloc(o, p->frames, err);
    if (status != GV_OK) return status;
    o->fps = s->fps;
    o->width = s->width;
    o->height = s->height;
    float K[9];
    gv_intrinsics(K, (double)s->camera.focal_px, s->width, s->height);
    memcpy(o->bbx_xys, p->bbx_xys, (size_t)p->frames * 3 * sizeof(float));
    memcpy(o->kp2d, p->kp2d, (size_t)p->frames * 51 * sizeof(float));
    memcpy(o->R_w2c, s->camera.R_w2c + 9 * (size_t)p->first, (size_t)p->frames * 9 * sizeof(float));
    for (int t = 0; t < p->frames; t++) {
        memcpy(o->K + 9 * (size_t)t, K, sizeof K);
        o->frame_index[t] = p->first + t;
        o->time_sec[t] = s->time_sec[p->first + t];
    }
    return GV_OK;
}

static gv_status collect(gv_scene_observations *s, gv_tracks *tracks, gv_error *err) {
    s->person = gv_calloc2((size_t)tracks->count, sizeof *s->person);
    if (!s->person) return gv_fail(err, GV_ERR_MEMORY, "no memory for %d persons", tracks->count);
    gv_status status = GV_OK;
    for (int i = 0; i < tracks->count && status == GV_OK; i++) {
        status = to_observations(s, &tracks->person[i], &s->person[i], err);
        s->people = i + 1;
    }
    return status;
}

gv_status gv_observe(gv_scene_observations *s, const char *video, const gv_observe_options *opt, gv_error *err) {
    *s = (gv_scene_observations){0};
    gv_feed *feed = NULL;
    gv_people *people = NULL;
    gv_tracks tracks = {0};
    camera_stage camera = {0};
    gv_people_options people_options = {.model = opt->model, .max_people = opt->max_people};
    gv_status status = gv_feed_open(&feed, video, &(gv_video_options){.fps = opt->fps}, BUFFERS, err);
    if (status != GV_OK) return status;
    const gv_video_info *info = gv_feed_info(feed);
    s->width = info->width;
    s->height = info->height;
    snprintf(s->codec, sizeof s->codec, "%s", info->codec ? info->codec : "");
    double focal;
    if ((status = choose_focal(&focal, s, opt->focal_length, err)) != GV_OK) goto done;
    if ((status = gv_people_create(&people, &people_options, s->width, s->height, err)) != GV_OK) goto done;
    if (!opt->static_camera && (status = start_camera(&camera, feed, focal, err)) != GV_OK) goto done;
    if ((status = watch(s, feed, people, &camera, opt, err)) != GV_OK) goto done;
    if (s->frames == 0) {
        status = gv_fail(err, GV_ERR_EMPTY, "%s: no frame could be read", video);
        goto done;
    }
    s->fps = opt->fps > 0 ? opt->fps : info->fps;
    if (opt->fps <= 0 && s->frames > 1)
        s->fps = (double)(s->frames - 1) / (s->time_sec[s->frames - 1] - s->time_sec[0]);
    if (!(s->fps > 0)) s->fps = 30;
    if (camera.odometry) {
        status = gv_odometry_finish(camera.odometry, &s->camera, err);
        s->rotation_source = s->camera.is_static ? "static (measured)" : "visual odometry";
    } else {
        status = fixed_camera(&s->camera, s->frames, focal, err);
        s->rotation_source = "static (given)";
    }
    if (status == GV_OK) status = gv_people_finish(people, &tracks, err);
    if (status == GV_OK) status = collect(s, &tracks, err);
done:
    join_camera(&camera);
    gv_tracks_free(&tracks);
    gv_people_destroy(people);
    gv_odometry_destroy(camera.odometry);
    gv_queue_destroy(camera.queue);
    gv_feed_close(feed);
    if (status != GV_OK) gv_scene_observations_free(s);
    return status;
}

void gv_scene_observations_free(gv_scene_observations *s) {
    for (int i = 0; i < s->people; i++) gv_observations_free(&s->person[i]);
    free(s->person);
    free(s->time_sec);
    gv_camera_path_free(&s->camera);
    *s = (gv_scene_observations){0};
}
