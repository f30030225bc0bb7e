#include "live/live.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/queue.h"
#include "live/follower.h"
#include "live/turn.h"
#include "perception/people.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PENDING = 256, LATENCIES = 20000, LARGE_NETWORK = 512, BATCH = 16 };
static const double RATE = 30;
static const double unseen_sec = 1; // how long somebody unseen is told of
static const float still[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};

typedef struct pending { // a frame that was looked at and not yet told
    long frame;
    double time_sec, came_sec;
} pending;

typedef struct known { // somebody
    int id;
    double seen_sec;
    bool present; // in this look
    gv_follower *follower;
    gv_step_output out[BATCH];
    int got;
} known;

enum { ITEMS = 2 };
typedef struct item { // what the looking thread hands to the solving one
    bool gap;
    char reason[256];
    pending frame;
    float R[9];
    int people, width, height;
    gv_presence there[GV_LIVE_PEOPLE];
} item;

// The calling thread looks: tracking, the camera. A second one solves and tells.
typedef struct live {
    const gv_live_options *opt;
    gv_live_take *take;
    void *user;
    gv_capture *capture;
    gv_people *people;
    gv_network *network;
    gv_body *body;
    gv_models models;
    gv_points *points;
    gv_optics optics;
    gv_turn *turn;
    float R[9];      // camera of the last look
    gv_queue *queue; // of item *, filled
    gv_queue *spare; // empty
    item items[ITEMS + 2];
    pthread_t solver;
    bool solving;
    _Atomic gv_status solver_status;
    gv_error solver_err;
    gv_world_view world;
    known *who[GV_LIVE_PEOPLE];
    int count, look_every, every, since;
    pending ring[PENDING];
    long first, last;  // pending [first, last)
    long *latency;     // [LATENCIES] of 1 ms each
    atomic_bool ended; // nobody listens any more
    double look_sec, solve_sec, start_sec;
    long solutions, counted; // counted: latencies
    gv_live_report report;
} live;

static void note(const live *l, const char *text) {
    if (l->opt->note) l->opt->note(l->opt->note_user, text);
}

static void forget(live *l, int i) {
    gv_follower_destroy(l->who[i]->follower);
    free(l->who[i]);
    memmove(l->who + i, l->who + i + 1, (size_t)(--l->count - i) * sizeof *l->who);
}

static gv_status meet(live *l, int id, int width, int height, gv_error *err) {
    int most = l->opt->max_people > 0 && l->opt->max_people < GV_LIVE_PEOPLE ? l->opt->max_people : GV_LIVE_PEOPLE;
    if (l->count == most) return GV_OK;
    known *k = gv_calloc2(1, sizeof *k);
    if (!k) return gv_fail(err, GV_ERR_MEMORY, "no memory for another person");
    k->id = id;
    const gv_follower_settings s = {.network = l->network,
                                    .body = l->body,
                                    .lens = *gv_optics_at(&l->optics, 0),
                                    .width = width,
                                    .height = height,
                                    .static_camera = !l->opt->moving_camera,
                                    .points = l->points};
    gv_status status = gv_follower_create(&k->follower, &s, err);
    if (status != GV_OK) {
        free(k);
        return status;
    }
    l->who[l->count++] = k;
    l->report.people++;
    return GV_OK;
}

static known *find(live *l, int id) {
    for (int i = 0; i < l->count; i++)
        if (l->who[i]->id == id) return l->who[i];
    return NULL;
}

// Everybody in view gets this look; who has been away too long is forgotten.
static gv_status hand_out(live *l, const item *it, gv_error *err) {
    gv_status status = GV_OK;
    for (int i = 0; i < l->count; i++) l->who[i]->present = false;
    for (int i = 0; i < it->people && status == GV_OK; i++) {
        const gv_presence *p = &it->there[i];
        if (!find(l, p->id)) status = meet(l, p->id, it->width, it->height, err);
        known *k = find(l, p->id);
        if (!k) continue;
        k->present = true;
        if (p->seen) k->seen_sec = it->frame.time_sec;
        gv_follower_look(k->follower, it->frame.time_sec, p, it->R);
    }
    for (int i = l->count - 1; i >= 0; i--)
        if (!l->who[i]->present) forget(l, i);
    return status;
}

static int by_id(const void *a, const void *b) {
    return ((const gv_live_person *)a)->id - ((const gv_live_person *)b)->id;
}

static void count_latency(live *l, double seconds) {
    long ms = lrint(seconds * 1000);
    l->counted++;
    l->latency[ms < 0 ? 0 : ms < LATENCIES ? ms : LATENCIES - 1]++;
}

// Tells frames pending [first, first + n), whose motion is in `out` of those who have it.
static void tell(live *l, int n) {
    gv_live_person there[GV_LIVE_PEOPLE];
    for (int i = 0; i < n && !l->ended; i++) {
        const pending *p = &l->ring[(l->first + i) % PENDING];
        gv_live_frame f = {.frame = p->frame, .time_sec = p->time_sec, .person = there};
        for (int k = 0; k < l->count; k++) {
            const known *w = l->who[k];
            if (i < n - w->got || p->time_sec - w->seen_sec > unseen_sec) continue;
            there[f.people++] = (gv_live_person){w->id, w->seen_sec >= p->time_sec - 1e-9, w->out[i]};
        }
        qsort(there, (size_t)f.people, sizeof *there, by_id);
        f.latency_sec = gv_now() - p->came_sec;
        if (p->came_sec >= l->start_sec) count_latency(l, f.latency_sec); // earlier ones waited for the models
        if (!l->take(l->user, &f)) l->ended = true;
        l->report.told++;
    }
    l->first += n;
}

// Solves and tells every frame that is at least `ahead` seconds before the last look.
static gv_status solve(live *l, double ahead, gv_error *err) {
    double times[BATCH], until = l->ring[(l->last - 1) % PENDING].time_sec - ahead + 1e-6;
    while (l->first < l->last && l->ring[l->first % PENDING].time_sec <= until && !l->ended) {
        int n = 0;
        double start = gv_now();
        while (n < BATCH && l->first + n < l->last && l->ring[(l->first + n) % PENDING].time_sec <= until) {
            times[n] = l->ring[(l->first + n) % PENDING].time_sec;
            n++;
        }
        for (int k = 0; k < l->count; k++) {
            known *w = l->who[k];
            gv_status status = gv_follower_solve(w->follower, &l->world, times, n, w->out, &w->got, err);
            if (status != GV_OK) return status;
        }
        l->solve_sec += gv_now() - start;
        l->solutions++;
        tell(l, n);
        for (int k = 0; k < l->count; k++) // the shape goes on from the last one
            memcpy(l->who[k]->out[0].betas, l->who[k]->out[n - 1].betas, sizeof l->who[k]->out[0].betas);
    }
    return GV_OK;
}

// The first frame tells the size that tracking and lens need.
static gv_status begin(live *l, const gv_capture_frame *f, gv_error *err) {
    const char *source = l->opt->capture.source;
    gv_status status =
        gv_optics_choose(&l->optics, &l->opt->optics, source, f->width, f->height, l->opt->capture.jail, err);
    double fps = gv_capture_fps(l->capture);
    l->look_every = gv_people_look_every(fps);
    const gv_people_options people = {
        .model = l->models.landmarks, .live = true, .min_height_px = f->height / 8 > 50 ? f->height / 8 : 50};
    if (status == GV_OK) status = gv_people_create(&l->people, &people, f->width, f->height, err);
    if (status == GV_OK && l->opt->moving_camera)
        status = gv_turn_create(&l->turn, f->width, f->height, &l->optics, err);
    l->start_sec = gv_now();
    return status;
}

static gv_status look(live *l, item *it, const gv_capture_frame *f, gv_error *err) {
    double start = gv_now();
    float boxes[GV_LIVE_PEOPLE][4];
    int n = gv_people_boxes(l->people, boxes, GV_LIVE_PEOPLE);
    if (l->turn) gv_turn_frame(l->turn, f->rgb, 3 * f->width, (const float(*)[4])boxes, n, l->R);
    const gv_image image = {.rgb = f->rgb, .width = f->width, .height = f->height, .stride = 3 * f->width};
    gv_status status = gv_people_frame(l->people, &image, f->time_sec, err);
    it->gap = false;
    it->frame = (pending){f->index, f->time_sec, f->came_sec};
    it->width = f->width;
    it->height = f->height;
    it->people = gv_people_present(l->people, it->there, GV_LIVE_PEOPLE);
    memcpy(it->R, l->R, sizeof it->R);
    l->look_sec += gv_now() - start;
    l->report.frames++;
    l->report.source_sec = f->time_sec;
    return status;
}

// ---- the second thread

static gv_status take_look(live *l, const item *it, gv_error *err) {
    gv_status status = hand_out(l, it, err);
    if (status != GV_OK) return status;
    if (l->last - l->first == PENDING) l->first++; // not reached: the look-ahead is shorter than the ring
    l->ring[l->last++ % PENDING] = it->frame;
    if (++l->since < l->every) return GV_OK;
    l->since = 0;
    return solve(l, l->opt->look_ahead / RATE, err);
}

static void tell_gap(live *l, const item *it) {
    char text[400];
    snprintf(text, sizeof text, "at %.2f s: %s", it->frame.time_sec, it->reason);
    note(l, text);
    l->report.gaps++;
    if (!l->take(l->user,
                 &(gv_live_frame){.frame = it->frame.frame, .time_sec = it->frame.time_sec, .gap = it->reason}))
        l->ended = true;
}

static void *work(void *context) {
    live *l = context;
    item *it;
    gv_status status = GV_OK;
    while (status == GV_OK && !l->ended && gv_queue_pop(l->queue, &it)) {
        if (it->gap)
            tell_gap(l, it);
        else
            status = take_look(l, it, &l->solver_err);
        gv_queue_push(l->spare, &it);
    }
    if (status == GV_OK && l->last > l->first && !l->ended) // what waited for its look-ahead
        status = solve(l, 0, &l->solver_err);
    l->solver_status = status;
    gv_queue_close(l->queue);
    gv_queue_close(l->spare);
    return NULL;
}

// ---- the first

static gv_status take_item(live *l, const gv_capture_frame *f, gv_error *err) {
    item *it;
    gv_status status = f->what == GV_CAPTURE_FRAME && !l->people ? begin(l, f, err) : GV_OK;
    if (status != GV_OK || (f->what == GV_CAPTURE_FRAME && f->index % l->look_every != 0)) return status;
    if (!gv_queue_pop(l->spare, &it)) return GV_OK; // the solver has ended
    if (f->what == GV_CAPTURE_FRAME) {
        status = look(l, it, f, err);
    } else {
        it->gap = true;
        it->frame = (pending){f->index, f->time_sec, f->came_sec};
        memcpy(it->reason, f->reason, sizeof it->reason);
    }
    if (status == GV_OK) gv_queue_push(l->queue, &it);
    return status;
}

static gv_status look_on(live *l, gv_error *err) {
    const atomic_bool *stop = l->opt->capture.stop;
    gv_status status = GV_OK;
    while (status == GV_OK && !l->ended && l->solver_status == GV_OK && !(stop && atomic_load(stop))) {
        gv_capture_frame f;
        status = gv_capture_next(l->capture, &f, err);
        if (status != GV_OK || f.what == GV_CAPTURE_END) break;
        status = take_item(l, &f, err);
        gv_capture_release(l->capture, &f);
    }
    return status;
}

static gv_status run(live *l, gv_error *err) {
    l->queue = gv_queue_create(ITEMS + 2, sizeof(item *));
    l->spare = gv_queue_create(ITEMS + 2, sizeof(item *));
    if (!l->queue || !l->spare) return gv_fail(err, GV_ERR_MEMORY, "no memory for a queue");
    for (int i = 0; i < ITEMS + 2; i++) {
        item *it = &l->items[i];
        gv_queue_push(l->spare, &it);
    }
    l->solving = pthread_create(&l->solver, NULL, work, l) == 0;
    if (!l->solving) return gv_fail(err, GV_ERR_MEMORY, "no thread to solve the motion");
    gv_status status = look_on(l, err);
    gv_queue_close(l->queue);
    pthread_join(l->solver, NULL);
    if (status == GV_OK && l->solver_status != GV_OK) {
        status = l->solver_status;
        if (err) *err = l->solver_err;
    }
    return status;
}

static double percentile(const long *counts, long total, double share) {
    long sum = 0;
    for (int i = 0; i < LATENCIES; i++)
        if ((sum += counts[i]) >= (long)ceil(share * (double)total) && sum > 0) return i;
    return 0;
}

static void finish_report(live *l, gv_live_report *out) {
    static const double shares[4] = {0.5, 0.95, 0.99, 1};
    gv_live_report *r = &l->report;
    for (int i = 0; i < 4; i++) r->latency_ms[i] = percentile(l->latency, l->counted, shares[i]);
    r->dropped = gv_capture_dropped(l->capture);
    r->seconds = l->start_sec > 0 ? gv_now() - l->start_sec : 0;
    r->look_ms = r->frames ? 1000 * l->look_sec / (double)r->frames : 0;
    r->solve_ms = l->solutions ? 1000 * l->solve_sec / (double)l->solutions : 0;
    if (out) *out = *r;
}

static gv_status open_models(live *l, gv_error *err) {
    gv_model_request want = l->opt->want;
    want.detector = want.keypoints = "blazepose";
    want.features = "none";
    gv_status status = gv_models_choose(&l->models, &want, err);
    const gv_model_choice *c = l->models.role;
    if (status == GV_OK)
        status = gv_network_open(&l->network, c[GV_ROLE_NETWORK].path, l->opt->heads, l->opt->precision, NULL, err);
    if (status == GV_OK) status = gv_body_open_skeleton(&l->body, c[GV_ROLE_BODY].path, err);
    if (status == GV_OK)
        l->every = l->opt->every ? l->opt->every : gv_network_width(l->network) < LARGE_NETWORK ? 1 : 3;
    return status;
}

gv_status gv_live(const gv_live_options *opt, gv_live_take *take, void *user, gv_live_report *report, gv_error *err) {
    live *l = gv_calloc2(1, sizeof *l);
    if (l) l->latency = gv_calloc2(LATENCIES, sizeof *l->latency);
    gv_status status = l && l->latency ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "%s: no memory", opt->capture.source);
    if (status != GV_OK) goto done;
    l->opt = opt;
    l->take = take;
    l->user = user;
    memcpy(l->R, still, sizeof still);
    status = gv_capture_open(&l->capture, &opt->capture, err); // cameras and streams take their time: so do models
    if (status == GV_OK) status = open_models(l, err);
    if (status == GV_OK) {
        status = run(l, err);
        finish_report(l, report);
    }
done:
    if (!l) return status;
    gv_capture_close(l->capture);
    while (l->count) forget(l, l->count - 1);
    gv_queue_destroy(l->queue);
    gv_queue_destroy(l->spare);
    gv_points_destroy(l->points);
    gv_turn_destroy(l->turn);
    gv_people_destroy(l->people);
    gv_network_close(l->network);
    gv_body_close(l->body);
    gv_models_free(&l->models);
    gv_optics_free(&l->optics);
    free(l->latency);
    free(l);
    return status;
}
