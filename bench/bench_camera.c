// bench_camera.c - speed and error of the camera's rotation, beside OpenCV's KLT and a rotation RANSAC.
//
//     build/bench/bench_camera VIDEO [FOCAL_PX [TRUTH.npz]]        FOCAL_PX 0: found from the video
//
// Frames are decoded first and not counted. "cpu" is this thread's processor time, which a busy machine does not
// spoil. The peer (peer_camera.py, one thread) runs on the same frames where /usr/bin/python3 has cv2.
#include "base/progress.h"
#include "camera/intrinsics.h"
#include "camera/odometry.h"
#include "formats/npz.h"
#include "geometry/so3.h"
#include "video/video.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FRAMES = 240, RUNS = 3 };

static double cpu_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint8_t *read_frames(const char *path, int *w, int *h, int *n, gv_error *err) {
    gv_video *v = NULL;
    gv_frame f;
    if (gv_video_open(&v, path, NULL, err) != GV_OK) return NULL;
    *w = gv_video_get_info(v)->width, *h = gv_video_get_info(v)->height, *n = 0;
    size_t row = (size_t)*w * 3, size = row * (size_t)*h;
    uint8_t *rgb = malloc(size * FRAMES);
    while (rgb && *n < FRAMES && gv_video_next(v, &f, err) == GV_OK && f.rgb) {
        for (int y = 0; y < *h; y++)
            memcpy(rgb + (size_t)*n * size + (size_t)y * row, f.rgb + (ptrdiff_t)y * f.stride, row);
        ++*n;
    }
    gv_video_close(v);
    return rgb;
}

// Seconds of processor time for one whole run.
static double run(const uint8_t *rgb, int w, int h, int n, double focal, gv_camera_path *path, gv_error *err) {
    gv_odometry *o = NULL;
    double start = cpu_now();
    gv_optics optics;
    gv_status s = gv_optics_pinhole(&optics, focal > 0 ? focal : gv_focal_default(w, h), w, h,
                                    focal > 0 ? GV_FOCAL_GIVEN : GV_FOCAL_DIAGONAL,
                                    focal > 0 ? 0 : GV_FOCAL_DEFAULT_SD, err);
    if (s == GV_OK) s = gv_odometry_create(&o, w, h, &optics, err);
    for (int f = 0; s == GV_OK && f < n; f++)
        s = gv_odometry_frame(o, rgb + (size_t)f * 3 * (size_t)w * (size_t)h, 3 * w, NULL, 0, err);
    if (s == GV_OK) s = gv_odometry_finish(o, path, err);
    gv_odometry_destroy(o);
    gv_optics_free(&optics);
    return s == GV_OK ? cpu_now() - start : -1;
}

// Frame-to-frame RMSE and largest drift, degrees.
static void errors(const gv_camera_path *p, const double *truth, double *step, double *drift) {
    *step = *drift = 0;
    for (int f = 1; f < p->frames; f++) {
        double P[9], Q[9], A[9], B[9];
        for (int i = 0; i < 9; i++) P[i] = p->R_w2c[9 * f + i], Q[i] = p->R_w2c[9 * f - 9 + i];
        gv_so3_mul_nt(A, P, Q), gv_so3_mul_nt(B, truth + 9 * f, truth + 9 * f - 9);
        *step += pow(gv_so3_angle(A, B) * 57.29577951, 2);
        gv_so3_mul_nt(B, truth + 9 * f, truth);
        *drift = fmax(*drift, gv_so3_angle(P, B) * 57.29577951);
    }
    *step = sqrt(*step / fmax(1, p->frames - 1));
}

static void peer(const char *video, double focal, const char *truth, double ours) {
    char command[4096];
    snprintf(command, sizeof command,
             "OMP_NUM_THREADS=1 /usr/bin/python3 '%s/peer_camera.py' '%s' %.6f %d '%s' 2>/dev/null", GV_BENCH_DIR,
             video, focal, FRAMES, truth ? truth : "");
    FILE *f = popen(command, "r");
    char line[256];
    double ms;
    if (f && fgets(line, sizeof line, f) && sscanf(line, "peer cpu %lf", &ms) == 1)
        printf("%sratio of time, peer to ours      %.2f\n", line, ms / ours);
    else
        printf("peer: not run (needs python3 with cv2 and numpy)\n");
    if (f) pclose(f);
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: bench_camera VIDEO [FOCAL_PX [TRUTH.npz]]\n");
        return 2;
    }
    gv_error err = {0};
    int w, h, n;
    uint8_t *rgb = read_frames(argv[1], &w, &h, &n, &err);
    if (!rgb || !n) {
        fprintf(stderr, "bench_camera: %s\n", err.text[0] ? err.text : "no frames");
        return 1;
    }
    double focal = argc > 2 ? atof(argv[2]) : 0, least = INFINITY, most = 0;
    gv_camera_path path = {0};
    for (int r = 0; r < RUNS; r++) {
        gv_camera_path_free(&path);
        double t = run(rgb, w, h, n, focal, &path, &err);
        if (t < 0) {
            fprintf(stderr, "bench_camera: %s\n", err.text);
            return 1;
        }
        least = fmin(least, t), most = fmax(most, t);
    }
    double ms = 1e3 * least / n;
    printf("ours cpu %6.2f ms/frame  (%dx%d, %d frames, slowest of %d runs %.2f) = %.1f frames/s on one core%s\n", ms,
           w, h, n, RUNS, 1e3 * most / n, 1e3 / ms, path.is_static ? ", camera stands still" : "");
    printf("focal length %.1f px, %s, relative error about %.3f\n", path.focal_px,
           gv_focal_origin_text(path.focal_origin), path.focal_sd);
    gv_npz *z = NULL;
    double *truth = NULL, step, drift;
    int64_t frames = 0;
    if (argc > 3 && gv_npz_open(&z, argv[3], &err) == GV_OK)
        truth = gv_npz_read_f64(z, "R_w2c", (int64_t[]){-1, 3, 3}, 3, &frames, &err);
    if (truth && frames >= path.frames) {
        errors(&path, truth, &step, &drift);
        printf("ours error: frame to frame %.4f deg RMS, drift at most %.3f deg\n", step, drift);
    }
    peer(argv[1], focal > 0 ? focal : path.focal_px, argc > 3 ? argv[3] : NULL, ms);
    gv_npz_close(z);
    gv_camera_path_free(&path);
    free(truth), free(rgb);
    return 0;
}
