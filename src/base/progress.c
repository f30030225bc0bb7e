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

void gv_progress_begin(gv_progress *p, const char *stage, long total, bool quiet) {
    *p = (gv_progress){.on = !quiet && isatty(STDERR_FILENO), .total = total, .start = gv_now()};
    snprintf(p->stage, sizeof p->stage, "%s", stage);
}

void gv_progress_set(gv_progress *p, long done) {
    p->done = done;
    if (!p->on) return;
    double now = gv_now();
    if (now - p->last_draw < 0.1) return;
    p->last_draw = now;
    double speed = (double)done / (now - p->start + 1e-9);
    fprintf(stderr, "\r\033[K%-10s %ld", p->stage, done);
    if (p->total > 0) fprintf(stderr, "/%ld (%.0f %%)", p->total, 100.0 * (double)done / (double)p->total);
    fprintf(stderr, "  %.1f/s", speed);
    if (p->total > done && done > 0) {
        int left = (int)((double)(p->total - done) / speed + 0.5);
        fprintf(stderr, "  %d:%02d left", left / 60, left % 60);
    }
    fflush(stderr);
}

double gv_progress_end(gv_progress *p) {
    if (p->on) fprintf(stderr, "\r\033[K");
    p->on = false;
    return gv_now() - p->start;
}
