#include "base/progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double gv_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

gv_status gv_go_on(const gv_listener *l, gv_error *err) {
    if (!l || !l->stop || !atomic_load_explicit(l->stop, memory_order_relaxed)) return GV_OK;
    return gv_fail(err, GV_ERR_CANCELLED, "cancelled");
}

static void tell(const gv_progress *p) {
    const gv_listener *l = p->listener;
    if (l && l->report) l->report(l->user, p->stage, p->done, p->total, gv_now() - p->start);
}

void gv_progress_begin(gv_progress *p, const char *stage, long total, bool quiet, const gv_listener *listener) {
    *p = (gv_progress){.on = !quiet && isatty(STDERR_FILENO), .total = total, .start = gv_now(), .listener = listener};
    snprintf(p->stage, sizeof p->stage, "%s", stage);
    tell(p);
}

static void draw(const gv_progress *p, double now) {
    double speed = (double)p->done / (now - p->start + 1e-9);
    fprintf(stderr, "\r\033[K%-10s %ld", p->stage, p->done);
    if (p->total > 0) fprintf(stderr, "/%ld (%.0f %%)", p->total, 100.0 * (double)p->done / (double)p->total);
    fprintf(stderr, "  %.1f/s", speed);
    if (p->total > p->done && p->done > 0) {
        int left = (int)((double)(p->total - p->done) / speed + 0.5);
        fprintf(stderr, "  %d:%02d left", left / 60, left % 60);
    }
    fflush(stderr);
}

void gv_progress_set(gv_progress *p, long done) {
    p->done = done;
    if (!p->on && !p->listener) return;
    double now = gv_now();
    if (now - p->last_draw < 0.1) return;
    p->last_draw = now;
    if (p->on) draw(p, now);
    tell(p);
}

double gv_progress_end(gv_progress *p) {
    if (p->on) fprintf(stderr, "\r\033[K");
    p->on = false;
    tell(p);
    return gv_now() - p->start;
}
