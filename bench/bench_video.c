// bench_video.c - frames per second of reading and writing video.
//
//     build/bench/bench_video VIDEO [THREADS]
//
// Reads it whole and reduced, then writes its first 120 frames. "cpu" is the processor time of all threads,
// which a busy machine does not spoil; "peak" the largest resident memory so far.
#include "base/progress.h"
#include "video/video.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { KEPT = 120 };

static double cpu_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void report(const char *what, long frames, double wall, double cpu) {
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    printf("%-34s %6ld frames %7.1f frames/s   cpu %6.2f ms/frame   peak %5.1f MB\n", what, frames,
           (double)frames / wall, 1e3 * cpu / (double)frames, (double)use.ru_maxrss / 1024);
}

static int read_all(const char *path, gv_video_options opt, const char *what, uint8_t *keep, gv_error *err) {
    double wall = gv_now(), cpu = cpu_now();
    gv_video *v = NULL;
    gv_frame f;
    long n = 0;
    if (gv_video_open(&v, path, &opt, err) != GV_OK) return 1;
    while (gv_video_next(v, &f, err) == GV_OK && f.rgb) {
        for (int y = 0; keep && n < KEPT && y < f.height; y++)
            memcpy(keep + ((size_t)n * (size_t)f.height + (size_t)y) * 3 * (size_t)f.width,
                   f.rgb + (ptrdiff_t)y * f.stride, 3 * (size_t)f.width);
        n++;
    }
    gv_video_close(v);
    report(what, n, gv_now() - wall, cpu_now() - cpu);
    return 0;
}

static int write_some(const uint8_t *rgb, int w, int h, long n, gv_error *err) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/bench_video_%ld.mp4", (long)getpid());
    double wall = gv_now(), cpu = cpu_now();
    gv_video_writer *out = NULL;
    if (gv_video_create(&out, path, w, h, 30, err) != GV_OK) return 1;
    gv_status status = GV_OK;
    for (long i = 0; i < n && status == GV_OK; i++)
        status = gv_video_write(out, rgb + (size_t)i * 3 * (size_t)w * (size_t)h, 3 * w, (double)i / 30, err);
    if (status != GV_OK) {
        gv_video_abandon(out);
        return 1;
    }
    if (gv_video_finish(out, err) != GV_OK) return 1;
    report("write H.264", n, gv_now() - wall, cpu_now() - cpu);
    unlink(path);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: bench_video VIDEO [THREADS]\n");
        return 2;
    }
    gv_error err = {0};
    gv_video *v = NULL;
    int threads = argc > 2 ? atoi(argv[2]) : 0, failed = 1;
    uint8_t *keep = NULL;
    if (gv_video_open(&v, argv[1], NULL, &err) == GV_OK) {
        const gv_video_info info = *gv_video_get_info(v);
        gv_video_close(v);
        printf("%s: %d x %d, %s in %s, %ld frames by the container\n", argv[1], info.width, info.height, info.codec,
               info.container, info.frames);
        failed = read_all(argv[1], (gv_video_options){.threads = threads}, "read", NULL, &err) ||
                 read_all(argv[1], (gv_video_options){.threads = threads, .max_side = 640}, "read, longer side 640",
                          NULL, &err);
        keep = calloc(KEPT, 3 * (size_t)info.width * (size_t)info.height);
        long n = info.frames > 0 && info.frames < KEPT ? info.frames : KEPT;
        if (!failed && keep)
            failed =
                read_all(argv[1], (gv_video_options){.threads = threads}, "read and kept for writing", keep, &err) ||
                write_some(keep, info.width, info.height, n, &err);
    }
    free(keep);
    if (failed) fprintf(stderr, "bench_video: %s\n", err.text);
    return failed;
}
