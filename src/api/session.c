// The public interface: a handle with its options, callbacks and models.
#include "gvhmr.h"
#include "api/result.h"
#include "base/memory.h"
#include "pipeline/run_options.h"
#include "video/video.h"

#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPTIONS = 64 };

struct gvhmr {
    atomic_flag busy;
    atomic_bool stop;
    gv_error err;
    gv_run_options run; // its texts are those of `text`
    char *text[MAX_OPTIONS];
    int threads; // 0 = as OpenMP has it
    gv_runner *runner;
    gv_listener listener;
    pthread_mutex_t callbacks; // one at a time
    gvhmr_progress_fn *progress;
    gvhmr_log_fn *log;
    void *progress_user, *log_user;
};

// ---- callbacks

static void report(void *user, const char *stage, long done, long total, double seconds) {
    gvhmr *g = user;
    if (!g->progress) return;
    const gvhmr_progress p = {.stage = stage,
                              .done = done,
                              .total = total,
                              .seconds = seconds,
                              .per_second = seconds > 0 ? (double)done / seconds : 0};
    pthread_mutex_lock(&g->callbacks);
    if (g->progress(g->progress_user, &p) != 0) gvhmr_cancel(g);
    pthread_mutex_unlock(&g->callbacks);
}

static void note(void *user, const char *line) {
    gvhmr *g = user;
    if (!g->log) return;
    pthread_mutex_lock(&g->callbacks);
    g->log(g->log_user, line);
    pthread_mutex_unlock(&g->callbacks);
}

// ---- the handle

const char *gvhmr_version(void) {
    return GVHMR_VERSION;
}

gvhmr *gvhmr_create(void) {
    gvhmr *g = gv_calloc2(1, sizeof *g);
    if (!g) return NULL;
    if (pthread_mutex_init(&g->callbacks, NULL) != 0) {
        free(g);
        return NULL;
    }
    atomic_flag_clear(&g->busy);
    atomic_init(&g->stop, false);
    g->listener = (gv_listener){.report = report, .user = g, .stop = &g->stop};
    g->run = gv_run_options_default();
    g->run.observe.quiet = true;
    g->run.observe.listener = &g->listener;
    g->run.observe.note = note;
    g->run.observe.note_user = g;
    return g;
}

void gvhmr_destroy(gvhmr *g) {
    if (!g) return;
    gv_runner_close(g->runner);
    for (int i = 0; i < MAX_OPTIONS; i++) free(g->text[i]);
    pthread_mutex_destroy(&g->callbacks);
    free(g);
}

const char *gvhmr_error(const gvhmr *g) {
    return g ? g->err.text : "no handle: gvhmr_create found no memory, or was not called";
}

void gvhmr_cancel(gvhmr *g) {
    if (g) atomic_store(&g->stop, true);
}

// A call begins: false where the handle is at work already.
static bool enter(gvhmr *g) {
    if (!g || atomic_flag_test_and_set(&g->busy)) return false;
    return true;
}

static gvhmr_status leave(gvhmr *g, gv_status status) {
    atomic_flag_clear(&g->busy);
    return (gvhmr_status)status;
}

_Static_assert((int)GVHMR_ERR_CANCELLED == (int)GV_ERR_CANCELLED && (int)GVHMR_ERR_EMPTY == (int)GV_ERR_EMPTY &&
                   (int)GVHMR_ERR_IO == (int)GV_ERR_IO,
               "the public status values are those inside");

// ---- options

// "threads" comes after those of the table.
const char *gvhmr_option_name(int i) {
    const gv_option *o = gv_run_option_at(i);
    if (o) return o->name;
    return i > 0 && gv_run_option_at(i - 1) ? "threads" : NULL;
}

static int option_index(const char *name) {
    for (int i = 0; i < MAX_OPTIONS; i++) {
        const char *known = gvhmr_option_name(i);
        if (!known) break;
        if (!strcmp(known, name)) return i;
    }
    return -1;
}

static gv_status set_threads(gvhmr *g, const char *value, gv_error *err) {
    long n = 0;
    gv_status status = value ? gv_parse_int(&n, "threads", value, 1, 1024, err) : GV_OK;
    if (status == GV_OK) g->threads = (int)n;
    return status;
}

static gv_status set(gvhmr *g, const char *name, const char *value) {
    gv_error *err = &g->err;
    *err = (gv_error){0};
    if (!name) return gv_fail(err, GV_ERR_ARGUMENT, "the option's name is NULL");
    int i = option_index(name);
    if (i < 0) return gv_fail(err, GV_ERR_ARGUMENT, "\"%.100s\" is not an option; see gvhmr_option_name", name);
    char *copy = value ? strdup(value) : NULL;
    if (value && !copy) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for its value", name);
    gv_status status = gv_run_option_at(i) ? gv_run_option_set(&g->run, name, copy, err) : set_threads(g, copy, err);
    if (status != GV_OK) {
        free(copy);
        return status;
    }
    free(g->text[i]);
    g->text[i] = copy;
    gv_runner_close(g->runner);
    g->runner = NULL;
    return GV_OK;
}

gvhmr_status gvhmr_set(gvhmr *g, const char *name, const char *value) {
    return enter(g) ? leave(g, set(g, name, value)) : GVHMR_ERR_ARGUMENT;
}

gvhmr_status gvhmr_on_progress(gvhmr *g, gvhmr_progress_fn *fn, void *user) {
    if (!enter(g)) return GVHMR_ERR_ARGUMENT;
    g->progress = fn;
    g->progress_user = user;
    return leave(g, GV_OK);
}

gvhmr_status gvhmr_on_log(gvhmr *g, gvhmr_log_fn *fn, void *user) {
    if (!enter(g)) return GVHMR_ERR_ARGUMENT;
    g->log = fn;
    g->log_user = user;
    return leave(g, GV_OK);
}

// ---- work

static gv_status work(gvhmr *g, const char *video, const char *folder, gv_run_result *out) {
    gv_error *err = &g->err;
    gv_video *probe = NULL; // the video first: its name is what people get wrong
    gv_status status = gv_video_open(&probe, video, NULL, err);
    gv_video_close(probe);
    if (status == GV_OK && !g->runner) status = gv_runner_open(&g->runner, &g->run, err);
    if (status == GV_OK) status = gv_go_on(&g->listener, err);
    if (status == GV_OK) status = gv_runner_run(g->runner, video, folder, out, err);
    if (status == GV_OK && out->note) note(g, out->note);
    return status;
}

static gv_status run(gvhmr *g, const char *video, const char *folder, gvhmr_result **result) {
    g->err = (gv_error){0};
    if (!video || !*video) return gv_fail(&g->err, GV_ERR_ARGUMENT, "no video given");
    if (!folder && !result) return gv_fail(&g->err, GV_ERR_ARGUMENT, "neither a folder nor a result is asked for");
    gv_run_result out = {0};
    atomic_store(&g->stop, false);
    int threads = omp_get_max_threads(); // of the caller's thread, which is given back as it was
    if (g->threads) omp_set_num_threads(g->threads);
    gv_status status = work(g, video, folder, &out);
    omp_set_num_threads(threads);
    if (status == GV_OK && result) status = gv_result_take(result, &out, &g->err);
    gv_run_result_free(&out);
    return status;
}

gvhmr_status gvhmr_run(gvhmr *g, const char *video, const char *folder, gvhmr_result **result) {
    if (result) *result = NULL;
    return enter(g) ? leave(g, run(g, video, folder, result)) : GVHMR_ERR_ARGUMENT;
}

gvhmr_status gvhmr_open(gvhmr *g, const char *path, gvhmr_result **result) {
    if (result) *result = NULL;
    if (!enter(g)) return GVHMR_ERR_ARGUMENT;
    g->err = (gv_error){0};
    if (!path || !*path || !result)
        return leave(g, gv_fail(&g->err, GV_ERR_ARGUMENT, !result ? "no place for the result" : "no path given"));
    return leave(g, gv_result_load(result, path, &g->err));
}
