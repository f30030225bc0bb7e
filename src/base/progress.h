// progress.h - one line on stderr that tells where long work is: stage, frames, speed, time left.
//
// The line is drawn only when stderr is a terminal and quiet is off, at most ten times a second, and is
// replaced in place. In a pipe nothing is printed.
#pragma once
#include <stdbool.h>

typedef struct gv_progress {
    bool on;
    char stage[48];
    long done, total; // total 0 = unknown
    double start, last_draw;
} gv_progress;

double gv_now(void); // monotonic seconds

void gv_progress_begin(gv_progress *p, const char *stage, long total, bool quiet);
void gv_progress_set(gv_progress *p, long done);
double gv_progress_end(gv_progress *p); // clears the line; returns the seconds since begin
