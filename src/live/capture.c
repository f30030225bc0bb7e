#define _GNU_SOURCE
#include "live/capture.h"
#include "base/memory.h"
#include "base/progress.h"
#include "video/video.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WAITING = 3, SLOTS = WAITING + 2, ITEMS = 16, MAX_SIDE = 16384 };
static const double late_sec = 0.3; // a file's frame this late is not worth converting
static const double least_sec = 1;  // but one so often, where all are late: the machine is too slow even to decode
static const double hole_sec = 0.3; // a stream's frames so far apart, and
static const double hole = 2.5;     // so many times as far as is usual: some are lost
static const double retry_sec = 1;  // between two attempts to open a source again
static const double nap_sec = 0.05; // how often a sleeper looks whether all is to end

struct gv_capture {
    gv_capture_options opt;
    char *source;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    // under the lock
    gv_capture_frame item[ITEMS]; // first come first served
    int items, frames;            // of which frames
    bool taken[SLOTS];
    uint8_t *slot[SLOTS];
    long dropped;
    double fps;
    bool ended, closing;
    gv_status status;
    gv_error err;
    // the thread's own
    bool file;
    int width, height;
    long index;
    double start_sec, base_sec; // wall clock of a file's time 0; time at which this opening began
    double last_sec, last_came; // of the last frame
    double handed_sec;          // wall clock, when it was handed over
    long damaged;
    double decoded_sec,
        apart_sec; // of this opening: the last frame that was decoded, their usual distance; -1: none yet
    int source_width, source_height;
};

static bool is_over(gv_capture *c) {
    if (c->opt.stop && atomic_load(c->opt.stop)) return true;
    pthread_mutex_lock(&c->lock);
    bool closing = c->closing;
    pthread_mutex_unlock(&c->lock);
    return closing;
}

// False: everything is to end.
static bool sleep_until(gv_capture *c, double when) {
    for (double left; (left = when - gv_now()) > 0;) {
        if (is_over(c)) return false;
        double nap = left < nap_sec ? left : nap_sec;
        nanosleep(&(struct timespec){0, (long)(nap * 1e9)}, NULL);
    }
    return !is_over(c);
}

// ---- between the threads

static void remove_item(gv_capture *c, int i) {
    if (c->item[i].what == GV_CAPTURE_FRAME) c->frames--;
    memmove(c->item + i, c->item + i + 1, (size_t)(--c->items - i) * sizeof *c->item);
}

static void drop_oldest(gv_capture *c) {
    for (int i = 0; i < c->items; i++)
        if (c->item[i].what == GV_CAPTURE_FRAME) {
            c->taken[c->item[i].slot] = false;
            c->dropped++;
            remove_item(c, i);
            return;
        }
}

static void tell_gap(gv_capture *c, const char *reason) {
    pthread_mutex_lock(&c->lock);
    if (c->items < ITEMS - WAITING) { // more of them than anybody reads: the first tell enough
        gv_capture_frame *f = &c->item[c->items++];
        *f = (gv_capture_frame){
            .what = GV_CAPTURE_GAP, .index = c->index, .time_sec = c->last_sec, .came_sec = gv_now()};
        snprintf(f->reason, sizeof f->reason, "%.*s", (int)sizeof f->reason - 1, reason);
        pthread_cond_broadcast(&c->changed);
    }
    pthread_mutex_unlock(&c->lock);
}

// A slot to fill; -1 when everything is to end. With every_frame it waits until there is room.
static int free_slot(gv_capture *c) {
    int at = -1;
    pthread_mutex_lock(&c->lock);
    while (c->opt.every_frame && c->frames >= WAITING && !c->closing) pthread_cond_wait(&c->changed, &c->lock);
    if (c->frames >= WAITING) drop_oldest(c);
    for (int i = 0; i < SLOTS && !c->closing; i++)
        if (!c->taken[i]) at = i;
    if (at >= 0) c->taken[at] = true;
    pthread_mutex_unlock(&c->lock);
    return at;
}

static void hand_over(gv_capture *c, int slot, double time_sec, double came_sec) {
    pthread_mutex_lock(&c->lock);
    c->item[c->items++] = (gv_capture_frame){.what = GV_CAPTURE_FRAME,
                                             .rgb = c->slot[slot],
                                             .width = c->width,
                                             .height = c->height,
                                             .slot = slot,
                                             .index = c->index,
                                             .time_sec = time_sec,
                                             .came_sec = came_sec};
    c->frames++;
    c->index++;
    c->last_sec = time_sec;
    c->last_came = came_sec;
    c->handed_sec = gv_now();
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static void finish(gv_capture *c, gv_status status, const gv_error *err) {
    pthread_mutex_lock(&c->lock);
    c->ended = true;
    if (c->index == 0 && status != GV_OK && status != GV_ERR_CANCELLED) {
        c->status = status;
        c->err = *err;
    }
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static gv_status make_slots(gv_capture *c, int width, int height, gv_error *err) {
    if (c->slot[0]) return GV_OK;
    c->width = width;
    c->height = height;
    for (int i = 0; i < SLOTS; i++)
        if (!(c->slot[i] = gv_calloc2((size_t)width * (size_t)height, 3)))
            return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for frames of %d x %d", c->source, width, height);
    return GV_OK;
}

static void set_fps(gv_capture *c, double fps) {
    pthread_mutex_lock(&c->lock);
    c->fps = fps;
    pthread_mutex_unlock(&c->lock);
}

// ---- raw frames

// Reads n bytes. The number that came: less at the end, or when everything is to end.
static size_t read_fully(gv_capture *c, int fd, uint8_t *p, size_t n) {
    size_t got = 0;
    double since = gv_now();
    bool told = false;
    while (got < n && !is_over(c)) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int code = poll(&ready, 1, (int)(nap_sec * 1000));
        if (code == 0 || (code < 0 && errno == EINTR)) {
            if (told || gv_now() - since < c->opt.patience_sec) continue;
            char text[80];
            snprintf(text, sizeof text, "no data for %.1f s", c->opt.patience_sec);
            tell_gap(c, text);
            told = true;
            continue;
        }
        ssize_t r = code < 0 ? -1 : read(fd, p + got, n - got);
        if (r < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (r <= 0) break;
        got += (size_t)r;
        since = gv_now();
        told = false;
    }
    return got;
}

static gv_status read_raw(gv_capture *c, gv_error *err) {
    gv_status status = make_slots(c, c->opt.width, c->opt.height, err);
    size_t bytes = (size_t)c->opt.width * (size_t)c->opt.height * 3;
    double fps = c->opt.fps > 0 ? c->opt.fps : 30;
    set_fps(c, fps);
    while (status == GV_OK) {
        int slot = free_slot(c);
        if (slot < 0) return GV_OK;
        size_t got = read_fully(c, STDIN_FILENO, c->slot[slot], bytes);
        if (got == bytes) {
            hand_over(c, slot, (double)c->index / fps, gv_now());
            continue;
        }
        char text[160];
        snprintf(text, sizeof text, "the last frame has %zu of %zu bytes: are the frames %d x %d RGB?", got, bytes,
                 c->width, c->height);
        if (is_over(c)) break;
        if (c->index == 0)
            status = gv_fail(err, GV_ERR_EMPTY, "standard input: %s", got ? text : "no frame came");
        else if (got > 0)
            tell_gap(c, text);
        break;
    }
    return status;
}

// ---- everything that FFmpeg reads

static void notice_damage(gv_capture *c, const gv_video *v, const gv_frame *f) {
    char text[120];
    long damaged = gv_video_damaged(v);
    if (damaged > c->damaged) {
        snprintf(text, sizeof text, "%ld damaged or lost packets", damaged - c->damaged);
        tell_gap(c, text);
    }
    c->damaged = damaged;
    if (c->source_width && (f->source_width != c->source_width || f->source_height != c->source_height)) {
        snprintf(text, sizeof text, "the picture's size changed from %d x %d to %d x %d", c->source_width,
                 c->source_height, f->source_width, f->source_height);
        tell_gap(c, text);
    }
    c->source_width = f->source_width;
    c->source_height = f->source_height;
    double apart = c->decoded_sec >= 0 ? f->time_sec - c->decoded_sec : -1;
    if (!c->file && c->apart_sec > 0 && apart > hole_sec && apart > hole * c->apart_sec) {
        snprintf(text, sizeof text, "%.2f s without a frame: damaged or lost packets", apart);
        tell_gap(c, text);
    }
    c->decoded_sec = f->time_sec;
    c->apart_sec = c->apart_sec > 0 ? c->apart_sec + 0.1 * (apart - c->apart_sec) : apart;
}

// Copies into the slot; a source that came back in another size is scaled to the first by its nearest pixels.
static void copy_frame(gv_capture *c, uint8_t *to, const gv_frame *f) {
    for (int y = 0; y < c->height; y++) {
        const uint8_t *row = f->rgb + (ptrdiff_t)f->stride * ((int64_t)y * f->height / c->height);
        uint8_t *out = to + (size_t)y * (size_t)c->width * 3;
        if (f->width == c->width) {
            memcpy(out, row, (size_t)c->width * 3);
            continue;
        }
        for (int x = 0; x < c->width; x++) memcpy(out + 3 * x, row + 3 * ((int64_t)x * f->width / c->width), 3);
    }
}

// A file's clock starts when its first frame has been worked off: models are loaded then.
static void start_clock(gv_capture *c) {
    pthread_mutex_lock(&c->lock);
    for (bool busy = true; busy && !c->closing;) {
        busy = c->items > 0;
        for (int i = 0; i < SLOTS; i++) busy = busy || c->taken[i];
        if (busy) pthread_cond_wait(&c->changed, &c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    c->start_sec = gv_now() - c->last_sec;
}

// A file's frame waits until it is due. False: everything is to end.
static bool wait_until_due(gv_capture *c, double time_sec, double *came_sec) {
    *came_sec = gv_now();
    if (!c->file || c->opt.every_frame) return true;
    if (c->index == 0) return true;
    if (c->start_sec == 0) start_clock(c);
    *came_sec = c->start_sec + time_sec;
    return sleep_until(c, *came_sec);
}

static gv_status take_frame(gv_capture *c, const gv_video *v, const gv_frame *f, bool *go_on, gv_error *err) {
    gv_status status = make_slots(c, f->width, f->height, err);
    double time_sec = c->base_sec + f->time_sec, came_sec;
    *go_on = status == GV_OK && wait_until_due(c, time_sec, &came_sec);
    if (!*go_on) return status;
    notice_damage(c, v, f);
    double now = gv_now();
    if (c->file && !c->opt.every_frame && now - came_sec > late_sec && now - c->handed_sec < least_sec) {
        pthread_mutex_lock(&c->lock);
        c->dropped++;
        c->index++;
        pthread_mutex_unlock(&c->lock);
        return GV_OK;
    }
    int slot = free_slot(c);
    *go_on = slot >= 0;
    if (slot < 0) return GV_OK;
    copy_frame(c, c->slot[slot], f);
    hand_over(c, slot, time_sec, came_sec);
    return GV_OK;
}

// From opening to the end, or to what breaks it off.
static gv_status play(gv_capture *c, gv_error *err) {
    gv_video *v = NULL;
    gv_status status = gv_video_open(&v, c->source,
                                     &(gv_video_options){.fps = c->file ? c->opt.fps : 0,
                                                         .live = !c->file,
                                                         .threads = c->file ? 0 : 1, // more threads hold frames back
                                                         .patience_sec = c->opt.patience_sec,
                                                         .jail = c->opt.jail,
                                                         .stop = c->opt.stop},
                                     err);
    if (status != GV_OK) return status;
    c->damaged = 0;
    c->decoded_sec = c->apart_sec = -1;
    set_fps(c, gv_video_get_info(v)->fps);
    if (c->index > 0) c->base_sec = c->last_sec + fmax(gv_now() - c->last_came, 0.001);
    for (bool go_on = true; go_on && status == GV_OK && !is_over(c);) {
        gv_frame f;
        status = gv_video_next(v, &f, err);
        if (status == GV_OK && !f.rgb) break;
        if (status == GV_OK) status = take_frame(c, v, &f, &go_on, err);
    }
    gv_video_close(v);
    return status;
}

static gv_status play_again_and_again(gv_capture *c, gv_error *err) {
    gv_status status = play(c, err);
    while (!c->file && (c->index > 0 || status == GV_ERR_EMPTY) && status != GV_ERR_CANCELLED &&
           status != GV_ERR_MEMORY && !is_over(c)) {
        long before = c->index;
        double lost = gv_now();
        tell_gap(c, status == GV_OK ? "the source has ended" : err->text);
        while (c->index == before && gv_now() - lost < c->opt.give_up_sec && sleep_until(c, gv_now() + retry_sec))
            status = play(c, err);
        if (c->index == before) break;
    }
    return status;
}

static void *work(void *context) {
    gv_capture *c = context;
    gv_error err = {0};
    gv_status status = strcmp(c->source, "-") ? play_again_and_again(c, &err) : read_raw(c, &err);
    if (status != GV_OK && status != GV_ERR_CANCELLED && c->index > 0 && !is_over(c)) tell_gap(c, err.text);
    finish(c, status, &err);
    return NULL;
}

// ---- life

gv_status gv_capture_open(gv_capture **out, const gv_capture_options *opt, gv_error *err) {
    *out = NULL;
    bool raw = !strcmp(opt->source, "-");
    if (raw && (opt->width < 1 || opt->height < 1 || opt->width > MAX_SIDE || opt->height > MAX_SIDE))
        return gv_fail(err, GV_ERR_ARGUMENT, "raw frames need their size, 1x1 to %dx%d", MAX_SIDE, MAX_SIDE);
    gv_capture *c = gv_calloc2(1, sizeof *c);
    if (!c || !(c->source = strdup(opt->source))) {
        free(c);
        return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", opt->source);
    }
    c->opt = *opt;
    struct stat st;
    bool special = strstr(opt->source, "://") || !strncmp(opt->source, "/dev/", 5);
    c->file = !raw && !special && (stat(opt->source, &st) != 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
    c->running = pthread_create(&c->thread, NULL, work, c) == 0;
    if (!c->running) {
        gv_capture_close(c);
        return gv_fail(err, GV_ERR_MEMORY, "%s: no thread to read it", opt->source);
    }
    *out = c;
    return GV_OK;
}

void gv_capture_close(gv_capture *c) {
    if (!c) return;
    if (c->running) {
        pthread_mutex_lock(&c->lock);
        c->closing = true;
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
        pthread_join(c->thread, NULL);
    }
    for (int i = 0; i < SLOTS; i++) free(c->slot[i]);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->changed);
    free(c->source);
    free(c);
}

gv_status gv_capture_next(gv_capture *c, gv_capture_frame *f, gv_error *err) {
    *f = (gv_capture_frame){.what = GV_CAPTURE_END};
    pthread_mutex_lock(&c->lock);
    while (c->items == 0 && !c->ended) pthread_cond_wait(&c->changed, &c->lock);
    gv_status status = GV_OK;
    if (c->items > 0) {
        *f = c->item[0];
        remove_item(c, 0);
        pthread_cond_broadcast(&c->changed);
    } else if (c->status != GV_OK && !(c->opt.stop && atomic_load(c->opt.stop))) {
        status = c->status;
        if (err) *err = c->err;
    }
    pthread_mutex_unlock(&c->lock);
    return status;
}

void gv_capture_release(gv_capture *c, const gv_capture_frame *f) {
    pthread_mutex_lock(&c->lock);
    if (f->what == GV_CAPTURE_FRAME) c->taken[f->slot] = false;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

long gv_capture_dropped(gv_capture *c) {
    pthread_mutex_lock(&c->lock);
    long n = c->dropped;
    pthread_mutex_unlock(&c->lock);
    return n;
}

double gv_capture_fps(gv_capture *c) {
    pthread_mutex_lock(&c->lock);
    double fps = c->fps;
    pthread_mutex_unlock(&c->lock);
    return fps;
}
