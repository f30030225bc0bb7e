#include "pipeline/watch.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/queue.h"
#include "pipeline/feed.h"

#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFERS = 6, MAX_BOXES = 64, LOTS = 3 }; // a lot before, one that is looked at and one to come

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

static gv_status start_camera(camera_stage *c, gv_feed *feed, gv_odometry *odometry, gv_error *err) {
    if (!odometry) return GV_OK;
    c->feed = feed;
    c->odometry = odometry;
    c->queue = gv_queue_create(BUFFERS, sizeof(gv_feed_frame *));
    if (!c->queue) return gv_fail(err, GV_ERR_MEMORY, "no memory for the camera stage");
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

// ---- what is noted of every frame

typedef struct notes { // of one pass
    gv_sightings *s;
    long room, mask_room, mask_count; // allocated frames and boxes; boxes so far
    long repeat_room;
    long frame;          // next one
    gv_repeats *repeats; // NULL: known from an earlier pass
} notes;

static bool grow(void **p, long *room, long need, size_t size) {
    if (need <= *room) return true;
    long bigger = *room ? 2 * *room : 1024;
    while (bigger < need) bigger *= 2;
    void *q = realloc(*p, (size_t)bigger * size);
    if (!q) return false;
    *p = q;
    *room = bigger;
    return true;
}

static gv_status note_frame(notes *n, double time_sec, bool repeated, const boxes *b, gv_error *err) {
    gv_sightings *s = n->s;
    long room = n->room;
    if (!grow((void **)&s->time_sec, &room, s->frames + 1, sizeof *s->time_sec) ||
        !grow((void **)&s->repeated, &n->repeat_room, s->frames + 1, sizeof *s->repeated) ||
        !grow((void **)&s->masks, &n->room, s->frames + 1, sizeof *s->masks) ||
        !grow((void **)&s->mask, &n->mask_room, n->mask_count + b->count, sizeof *s->mask))
        return gv_fail(err, GV_ERR_MEMORY, "no memory for the people of %ld frames", s->frames + 1);
    if (b->count) memcpy(s->mask + n->mask_count, b->box, (size_t)b->count * sizeof *s->mask);
    n->mask_count += b->count;
    s->masks[s->frames] = b->count;
    s->repeated[s->frames] = repeated;
    s->time_sec[s->frames++] = time_sec;
    return GV_OK;
}

// The boxes of a frame that an earlier pass has seen.
static void recall_frame(notes *n, boxes *b) {
    if (n->frame >= n->s->frames) return;
    int count = n->s->masks[n->frame];
    b->count = count < MAX_BOXES ? count : MAX_BOXES;
    if (b->count) memcpy(b->box, n->s->mask + n->mask_count, (size_t)b->count * sizeof *b->box);
    n->mask_count += count;
}

static gv_image image_of(const gv_feed_frame *p) {
    return (gv_image){p->rgb, p->width, p->height, p->width * 3};
}

// Whether the finder gets this frame.
static bool is_for_finder(const gv_watch_options *opt, bool repeated) {
    return opt->finder && (!repeated || !gv_finder_takes_pictures(opt->finder));
}

static gv_status take_frame(notes *n, gv_feed_frame *p, bool repeated, const gv_watch_options *opt, boxes *b,
                            gv_error *err) {
    gv_status status = GV_OK;
    const gv_image image = image_of(p);
    b->count = 0;
    if (is_for_finder(opt, repeated)) status = gv_finder_frame(opt->finder, &image, p->time_sec, err);
    if (opt->finder && status == GV_OK) b->count = gv_finder_boxes(opt->finder, b->box, MAX_BOXES);
    if (opt->finder && status == GV_OK) status = note_frame(n, p->time_sec, repeated, b, err);
    if (!opt->finder) recall_frame(n, b);
    n->frame++;
    return status;
}

static gv_status hand_to_camera(camera_stage *c, gv_feed_frame *p, const boxes *b, gv_error *err) {
    boxes *copy = malloc(sizeof *copy);
    if (!copy) return gv_fail(err, GV_ERR_MEMORY, "no memory for the boxes of frame %ld", p->index);
    *copy = *b;
    p->user = copy;
    gv_queue_push(c->queue, &p);
    return GV_OK;
}

// ---- frames, lot by lot

typedef struct lot { // frames that are looked at together
    struct {
        gv_feed_frame *frame;
        bool repeated;
    } of[GV_FINDER_BATCH];
    int count;
} lot;

typedef struct watching { // one pass
    notes *n;
    gv_feed *feed;
    camera_stage *camera;
    const gv_watch_options *opt;
    gv_watch_times *times;
    gv_progress progress;
    int each;         // frames of a lot
    lot before, next; // looked at and to be followed; to be looked at
    long taken;       // frames from the feed
    bool ended;
    double meanwhile_sec;
    gv_status status; // the first failure, also of what was done while the device was at work
    gv_error err;
} watching;

static void fill_next(watching *w) {
    const gv_watch_options *opt = w->opt;
    gv_feed_frame *p;
    while (w->status == GV_OK && !w->ended && w->next.count < w->each) {
        w->status = gv_feed_next(w->feed, &p, &w->err);
        w->ended = !p;
        if (w->status != GV_OK || !p) return;
        const double start = gv_now();
        const gv_image image = image_of(p);
        const bool repeated = opt->finder ? gv_repeats_look(w->n->repeats, &image)
                                          : w->taken < w->n->s->frames && w->n->s->repeated[w->taken];
        w->times->people += gv_now() - start;
        w->next.of[w->next.count].frame = p;
        w->next.of[w->next.count++].repeated = repeated;
        w->taken++;
    }
}

static gv_status follow_frame(watching *w, gv_feed_frame *p, bool repeated, gv_error *err) {
    boxes b;
    const double start = gv_now();
    gv_status status = take_frame(w->n, p, repeated, w->opt, &b, err);
    w->times->people += gv_now() - start;
    if (status != GV_OK) return status;
    if (w->camera->running && !repeated)
        status = hand_to_camera(w->camera, p, &b, err);
    else
        gv_feed_release(w->feed, p);
    if (status != GV_OK) return status;
    gv_progress_set(&w->progress, w->n->frame);
    return gv_go_on(w->opt->listener, err);
}

static void follow_before(watching *w) {
    for (int i = 0; i < w->before.count && w->status == GV_OK; i++)
        w->status = follow_frame(w, w->before.of[i].frame, w->before.of[i].repeated, &w->err);
    w->before.count = 0;
}

// The second time there is nothing left to do.
static void work_meanwhile(void *user) {
    watching *w = user;
    const double start = gv_now();
    follow_before(w);
    fill_next(w);
    w->meanwhile_sec += gv_now() - start;
}

// What was found before is not lost where this fails.
static void look_ahead(watching *w, const lot *now) {
    gv_image images[GV_FINDER_BATCH];
    gv_error why = {0};
    int n = 0;
    const double start = gv_now(), apart = w->meanwhile_sec;
    for (int i = 0; i < now->count; i++)
        if (is_for_finder(w->opt, now->of[i].repeated)) images[n++] = image_of(now->of[i].frame);
    gv_status status = gv_finder_ahead(w->opt->finder, images, n, work_meanwhile, w, &why);
    w->times->people += gv_now() - start - (w->meanwhile_sec - apart);
    follow_before(w);
    if (status == GV_OK || w->status != GV_OK) return;
    w->status = status;
    w->err = why;
}

static gv_status watch(watching *w, gv_error *err) {
    gv_progress_begin(&w->progress, w->opt->finder ? "observe" : "camera", gv_feed_info(w->feed)->frames, w->opt->quiet,
                      w->opt->listener);
    for (fill_next(w); w->status == GV_OK && w->next.count; fill_next(w)) {
        const lot now = w->next;
        w->next.count = 0;
        if (w->each > 1) look_ahead(w, &now);
        w->before = now;
        if (w->each == 1) follow_before(w);
    }
    follow_before(w);
    join_camera(w->camera);
    w->times->whole = gv_progress_end(&w->progress);
    w->times->camera = w->camera->busy_sec;
    if (w->status == GV_OK && w->camera->status != GV_OK) {
        w->status = w->camera->status;
        w->err = w->camera->err;
    }
    if (w->status != GV_OK && err) *err = w->err;
    return w->status;
}

gv_status gv_watch(gv_sightings *s, const gv_watch_options *opt, gv_watch_times *times, gv_error *err) {
    *times = (gv_watch_times){0};
    notes n = {.s = s};
    camera_stage camera = {0};
    gv_feed *feed = NULL;
    watching w = {.n = &n, .camera = &camera, .opt = opt, .times = times};
    w.each = opt->finder ? gv_finder_batch(opt->finder) : 1;
    const int buffers = BUFFERS + (w.each > 1 ? LOTS * w.each : 0);
    gv_status status =
        gv_feed_open(&feed, opt->video, &(gv_video_options){.fps = opt->fps, .jail = opt->jail}, buffers, err);
    if (status != GV_OK) return status;
    const gv_video_info *info = gv_feed_info(feed);
    if (opt->finder && !(n.repeats = gv_repeats_create(info->width, info->height)))
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for its pictures", opt->video);
    if (status == GV_OK) status = start_camera(&camera, feed, opt->odometry, err);
    w.feed = feed;
    if (status == GV_OK) status = watch(&w, err);
    if (status == GV_OK && n.frame == 0) status = gv_fail(err, GV_ERR_EMPTY, "%s: no frame could be read", opt->video);
    if (status == GV_OK && !opt->finder && n.frame != s->frames)
        status = gv_fail(err, GV_ERR_IO, "%s: %ld frames, expected %ld as in the pass before", opt->video, n.frame,
                         s->frames);
    if (status == GV_OK && opt->finder) {
        s->damaged = gv_feed_damaged(feed);
        status = gv_finder_finish(opt->finder, &s->tracks, err);
        if (status == GV_OK && gv_finder_takes_pictures(opt->finder))
            status = gv_tracks_hold(&s->tracks, s->repeated, s->frames, err);
    }
    join_camera(&camera);
    gv_queue_destroy(camera.queue);
    gv_repeats_destroy(n.repeats);
    gv_feed_close(feed);
    return status;
}

void gv_sightings_free(gv_sightings *s) {
    gv_tracks_free(&s->tracks);
    free(s->time_sec);
    free(s->masks);
    free(s->repeated);
    free(s->mask);
    *s = (gv_sightings){0};
}
