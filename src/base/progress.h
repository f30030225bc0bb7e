// progress.h - where long work is: one line on stderr, and a listener that is told and may end the work.
//
// The line (stage, frames, speed, time left) is drawn only when stderr is a terminal and quiet is off, at most ten
// times a second, and is replaced in place. In a pipe nothing is printed.
#pragma once
#include "base/error.h"
#include <stdatomic.h>
#include <stdbool.h>

// Follows work from outside. Stages borrow it; it may be NULL everywhere.
typedef struct gv_listener {
    // At a stage's begin, at most ten times a second, and at its end; from the thread that does the stage. total 0 =
    // unknown, seconds since the stage began. May be NULL.
    void (*report)(void *user, const char *stage, long done, long total, double seconds);
    void *user;
    const atomic_bool *stop; // once true, every stage ends soon with GV_ERR_CANCELLED; may be NULL
} gv_listener;

// GV_OK, or GV_ERR_CANCELLED where the work is to end. Stages ask between frames, blocks of the network, pieces.
gv_status gv_go_on(const gv_listener *l, gv_error *err);

typedef struct gv_progress {
    bool on;
    char stage[48];
    long done, total; // total 0 = unknown
    double start, last_draw;
    const gv_listener *listener;
} gv_progress;

double gv_now(void); // monotonic seconds

void gv_progress_begin(gv_progress *p, const char *stage, long total, bool quiet, const gv_listener *listener);
void gv_progress_set(gv_progress *p, long done);
double gv_progress_end(gv_progress *p); // clears the line; returns the seconds since begin
