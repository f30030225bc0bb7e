// bench_blazepose [--peer] [repetitions]: BlazePose's networks alone and whole calls, per image, in ms.
//
// Run from the project's root, threads by OMP_NUM_THREADS. With --peer the same networks, without the mask
// branch as here, are run by PyTorch (bench/peer_blazepose.py, needs Debian's python3-torch) in the same run,
// and the ratio is printed. Besides the time on the clock there is the processors' time of all threads, which
// also says something when others are running (with OMP_WAIT_POLICY=passive, so that waiting is free).
#include "base/file.h"
#include "base/order.h"
#include "base/progress.h"
#include "nn/convnet.h"
#include "perception/blaze_sample.h"
#include "perception/blazepose.h"
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_RUNS = 1000, W = 1280, H = 720, TILES = 8 };
static const char *const network[4] = {"detector", "lite", "full", "heavy"};
static const char *const file[4] = {"pose_solution_packed_assets.data", "pose_landmark_lite.tflite",
                                    "pose_landmark_full.tflite", "pose_landmark_heavy.tflite"};

typedef struct timing {
    double wall[MAX_RUNS], cpu[MAX_RUNS]; // s
    int runs;
} timing;

static double median(double *t, int n) {
    gv_sort_doubles(t, (size_t)n);
    return t[n / 2];
}

static double cpu_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Prints one case; `per` images were done in each run. peer [2]: medians, on the clock and of the processors.
static void report(const char *name, timing *t, int per, const double *peer) {
    double wall = 1e3 * median(t->wall, t->runs) / per, cpu = 1e3 * median(t->cpu, t->runs) / per;
    printf("%-38s min %7.2f  median %7.2f ms  cpu %7.2f ms", name, 1e3 * t->wall[0] / per, wall, cpu);
    if (peer && peer[0] > 0)
        printf("   peer %7.2f ms (%.1f times), cpu %7.2f (%.1f times)", peer[0], peer[0] / wall, peer[1],
               peer[1] / cpu);
    printf("\n");
}

#define measure(t, repetitions, what)                                                                                  \
    for ((t)->runs = 0; (t)->runs < (repetitions); (t)->runs++) {                                                      \
        double start = gv_now(), cpu_start = cpu_now();                                                                \
        what;                                                                                                          \
        (t)->wall[(t)->runs] = gv_now() - start;                                                                       \
        (t)->cpu[(t)->runs] = cpu_now() - cpu_start;                                                                   \
    }

static bool bench_network(int k, int runs, const double *peer, gv_error *err) {
    static const int detector[] = {0, 1}, landmarks[] = {0, 1, 3, 4};
    static timing t;
    char name[64], *path = gv_resource_find(file[k], err);
    gv_tflite *g = NULL;
    gv_convnet *net = NULL;
    gv_status s = path ? gv_tflite_open(&g, path, err) : GV_ERR_MISSING;
    if (s == GV_OK) s = gv_convnet_create(&net, g, k ? landmarks : detector, k ? 4 : 2, 1, err);
    if (s == GV_OK) {
        const int *shape = gv_convnet_input_shape(net);
        int n = shape[0] * shape[1] * shape[2];
        measure(&t, runs, {
            float *in = gv_convnet_input(net, 0);
            for (int i = 0; i < n; i++) in[i] = (float)(i * 7919LL % 255) / 255;
            s = gv_convnet_run(net, 0, err);
        });
        snprintf(name, sizeof name, "%s network, %.1f MB", network[k], (double)gv_convnet_bytes(net) / 1e6);
        report(name, &t, 1, peer);
    }
    gv_convnet_destroy(net);
    gv_tflite_close(g);
    free(path);
    return s == GV_OK;
}

static bool bench_calls(int model, int runs, const gv_image *image, gv_error *err) {
    static timing t;
    static gv_detection found[TILES][16];
    gv_blazepose *p = NULL;
    gv_landmarks l[TILES];
    gv_region r[TILES];
    gv_tile tile[TILES];
    char name[64];
    int count[TILES];
    if (gv_blazepose_open(&p, (gv_blaze_model)model, NULL, err) != GV_OK) return false;
    gv_status s = GV_OK;
    for (int i = 0; i < TILES; i++) {
        tile[i] = (gv_tile){(float)(i * 120), 100, 384, 384};
        r[i] = (gv_region){(float)(200 + 120 * i), 360, 500, 500, 0.2f};
    }
    for (int n = 1; n <= TILES; n += TILES - 1) {
        if (model == GV_BLAZE_LITE) {
            measure(&t, runs, s |= gv_blazepose_detect_tiles(p, image, tile, n, 0.5f, 0.3f, found[0], 16, count, err));
            snprintf(name, sizeof name, "detect, %d tile%s, per tile", n, n > 1 ? "s" : "");
            report(name, &t, n, NULL);
        }
        measure(&t, runs, s |= gv_blazepose_landmarks(p, image, r, n, l, err));
        snprintf(name, sizeof name, "%s landmarks, %d region%s, per region", network[model + 1], n, n > 1 ? "s" : "");
        report(name, &t, n, NULL);
    }
    gv_blazepose_close(p);
    return s == GV_OK;
}

static void bench_sampling(int runs, const gv_image *image) {
    static timing t;
    static float crop[256 * 256 * 3];
    gv_region r = {600, 350, 700, 700, 0.3f};
    measure(&t, runs, gv_blaze_sample(crop, 256, image, &r, 0, 1, true));
    report("sampling of a crop", &t, 1, NULL);
}

// The peer prints lines "name median_ms median_cpu_ms".
static void run_peer(double out[4][2]) {
    char line[128], name[64];
    double wall, cpu;
    char *path = gv_resource_find(file[0], NULL), command[2048];
    if (!path) return;
    *strrchr(path, '/') = 0;
    snprintf(command, sizeof command, "/usr/bin/python3 bench/peer_blazepose.py '%s' %d", path, omp_get_max_threads());
    FILE *f = popen(command, "r");
    while (f && fgets(line, sizeof line, f))
        for (int k = 0; k < 4; k++)
            if (sscanf(line, "%63s %lf %lf", name, &wall, &cpu) == 3 && strcmp(name, network[k]) == 0)
                out[k][0] = wall, out[k][1] = cpu;
    if (f) pclose(f);
    free(path);
}

int main(int argc, char **argv) {
    bool peer = argc > 1 && strcmp(argv[1], "--peer") == 0;
    int runs = argc > 1 + peer ? atoi(argv[1 + peer]) : 100;
    runs = runs < 1 ? 1 : runs > MAX_RUNS ? MAX_RUNS : runs;
    gv_error err = {0};
    double other[4][2] = {{0}};
    uint8_t *rgb = malloc((size_t)W * H * 3);
    if (!rgb) return 1;
    for (int i = 0; i < W * H * 3; i++) rgb[i] = (uint8_t)(128 + 90 * sin(i * 0.001));
    gv_image image = {rgb, W, H, 3 * W};
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("%d threads, %d runs\n", omp_get_max_threads(), runs);
    if (peer) run_peer(other);
    bool done = true;
    for (int k = 0; k < 4 && done; k++) done = bench_network(k, runs, other[k], &err);
    for (int m = 0; m < 3 && done; m++)
        done = bench_calls(m, m == GV_BLAZE_HEAVY ? (runs + 3) / 4 : runs, &image, &err);
    bench_sampling(runs, &image);
    free(rgb);
    if (!done) fprintf(stderr, "bench_blazepose: %s\n", err.text);
    return !done;
}
