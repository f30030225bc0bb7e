// bench_live VIDEO [LOOK_AHEAD] [FPS]: a file played at its own speed (or FPS) through `gvhmr live`, with the lite and
// the full landmarks: frames per second, dropped frames, latency. With a long file a line a minute says how memory and
// the source's time against the clock behave.
#include "base/progress.h"
#include "live/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static double resident_mb(void) {
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*s %ld", &pages) != 1) pages = 0;
    if (f) fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

typedef struct watch {
    double start, next, first_offset; // clock minus source's time, of the first frame after loading
    long people;
} watch;

static bool take(void *user, const gv_live_frame *f) {
    watch *w = user;
    double now = gv_now(), offset = now - f->latency_sec - f->time_sec; // when the frame came, minus when it should
    if (f->gap) return true;
    if (f->frame == 2) w->first_offset = offset;
    if (w->start == 0) w->start = now, w->next = now + 60;
    w->people += f->people;
    if (now < w->next) return true;
    printf("  after %4.0f s: frame %6ld, %6.1f MB, clock and source %+.0f ms apart, last latency %.0f ms\n",
           now - w->start, f->frame, resident_mb(), 1000 * (offset - w->first_offset), 1000 * f->latency_sec);
    fflush(stdout);
    w->next += 60;
    return true;
}

int main(int argc, char **argv) {
    int ahead = argc > 2 ? atoi(argv[2]) : 10;
    double fps = argc > 3 ? atof(argv[3]) : 0;
    if (argc < 2 || ahead < 0 || ahead > GV_LOOK_AHEAD_MAX || fps < 0) {
        fprintf(stderr, "usage: bench_live VIDEO [LOOK_AHEAD 0..%d] [FPS]\n", GV_LOOK_AHEAD_MAX);
        return 2;
    }
    printf("%s, look-ahead %d frames (%.0f ms)\n", argv[1], ahead, ahead * 1000 / 30.0);
    for (int full = 0; full < 2; full++) {
        gv_live_options opt = {.look_ahead = ahead,
                               .want.landmarks = full ? GV_BLAZE_FULL : GV_BLAZE_LITE,
                               .capture = {.source = argv[1], .fps = fps, .patience_sec = 5}};
        gv_live_report r = {0};
        gv_error err = {0};
        watch w = {0};
        if (gv_live(&opt, take, &w, &r, &err) != GV_OK) {
            fprintf(stderr, "bench_live: %s\n", err.text);
            return 1;
        }
        printf("%s: %ld frames looked at, %ld dropped, %.1f frames/s of %.1f s; %.2f people a frame, %d numbers\n"
               "  latency ms: median %.0f, 95 %% %.0f, 99 %% %.0f, largest %.0f; a look %.1f ms, a solution %.1f ms; "
               "%.1f MB\n",
               full ? "full" : "lite", r.frames, r.dropped, r.seconds > 0 ? (double)r.frames / r.seconds : 0,
               r.source_sec, r.told ? (double)w.people / (double)r.told : 0, r.people, r.latency_ms[0], r.latency_ms[1],
               r.latency_ms[2], r.latency_ms[3], r.look_ms, r.solve_ms, resident_mb());
    }
    return 0;
}
