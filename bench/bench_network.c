// bench_network - speed and memory of the motion network (released size, random weights) and of the solver.
//
//     bench_network [--frames 120,300,1430,5000] [--runs 5] [--threads N] [--bf16] [--device cpu|cuda] [--json]
//
// Per length: minimum and median seconds of network and solver, the share of the machine's matrix peak
// (measured here with the same library, all threads multiplying), and the peak memory of the process.
#include "base/memory.h"
#include "base/order.h"
#include "base/progress.h"
#include "matrix_peak.h"
#include "motion/solver.h"
#include "network/inputs.h"
#include "network/network.h"
#include "nn/linear.h"

#include <getopt.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { WIDTH = 512, LAYERS = 12, HEADS = 8, MAX_RUNS = 100, MAX_LENGTHS = 16 };

typedef struct settings {
    int lengths[MAX_LENGTHS], count, runs;
    gv_precision precision;
    gv_device_choice where;
    bool json;
} settings;

static float noise(unsigned long long *state) { // uniform in [-1, 1), xorshift64
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return (float)((double)(*state >> 11) / 4503599627370496.0 - 1);
}

// Weights of the size that keeps activations near 1, as after initialisation.
static gv_network *random_network(gv_precision precision, gv_device *device, double *parameters, gv_error *err) {
    int n = gv_network_weight_table(NULL, 0, WIDTH, LAYERS, 1);
    gv_weight_spec *table = gv_calloc2((size_t)n, sizeof *table);
    float **weights = gv_calloc2((size_t)n, sizeof *weights);
    unsigned long long state = 42;
    gv_network *net = NULL;
    gv_network_weight_table(table, n, WIDTH, LAYERS, 1);
    *parameters = 0;
    for (int i = 0; i < n; i++) {
        size_t count = 1;
        for (int k = 0; k < table[i].ndim; k++) count *= (size_t)table[i].shape[k];
        float scale = table[i].ndim == 2 ? 1 / sqrtf((float)table[i].shape[1]) : 0.1f;
        weights[i] = gv_calloc2(count, sizeof **weights);
        for (size_t k = 0; k < count; k++) weights[i][k] = scale * noise(&state);
        *parameters += (double)count;
    }
    gv_network_create(&net, (const float *const *)weights, WIDTH, LAYERS, 1, HEADS, precision, device, err);
    for (int i = 0; i < n; i++) free(weights[i]);
    free(weights);
    free(table);
    return net;
}

typedef struct clip { // one person walking about in front of a camera that turns
    int frames;
    float *obs, *cliff, *angvel, *images, *boxes, *K, *pred_x, *pred_cam, *logits, *pose;
} clip;

static float *floats(int frames, int width) {
    return gv_calloc2((size_t)frames, (size_t)width * sizeof(float));
}

static void make_clip(clip *c, int frames) {
    unsigned long long state = 7;
    *c = (clip){frames,
                floats(frames, 51),
                floats(frames, 3),
                floats(frames, 6),
                floats(frames, GV_IMAGE_FEATURE),
                floats(frames, 3),
                floats(frames, 9),
                floats(frames, GV_PRED_X),
                floats(frames, 3),
                floats(frames, 6),
                floats(frames, 63)};
    for (int t = 0; t < frames; t++) {
        for (int i = 0; i < 51; i++) c->obs[51 * t + i] = i % 3 == 2 ? 0.9f : noise(&state);
        for (int i = 0; i < 3; i++) c->cliff[3 * t + i] = 0.3f * noise(&state);
        float a = 0.01f * sinf(0.02f * (float)t);
        memcpy(c->angvel + 6 * (size_t)t, (float[6]){cosf(a), 0, sinf(a), 0, 1, 0}, 6 * sizeof(float));
        for (int i = 0; i < GV_IMAGE_FEATURE; i++) c->images[(size_t)GV_IMAGE_FEATURE * t + i] = noise(&state);
        memcpy(c->boxes + 3 * (size_t)t, (float[3]){960, 540, 400}, 3 * sizeof(float));
        memcpy(c->K + 9 * (size_t)t, (float[9]){2200, 0, 960, 0, 2200, 540, 0, 0, 1}, 9 * sizeof(float));
    }
}

static void free_clip(clip *c) {
    float *all[] = {c->obs, c->cliff, c->angvel, c->images, c->boxes, c->K, c->pred_x, c->pred_cam, c->logits, c->pose};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

typedef struct timing {
    double min, median;
} timing;

static timing summarise(double *seconds, int runs) {
    gv_sort_doubles(seconds, (size_t)runs);
    return (timing){seconds[0], runs % 2 ? seconds[runs / 2] : (seconds[runs / 2 - 1] + seconds[runs / 2]) / 2};
}

static double user_seconds(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + 1e-6 * (double)u.ru_utime.tv_usec;
}

static gv_status measure(gv_network *net, const gv_body *body, int frames, const settings *s, double parameters,
                         double peak, gv_error *err) {
    clip c;
    double network[MAX_RUNS], moving[MAX_RUNS], fixed[MAX_RUNS], cpu = 0;
    gv_status status = GV_OK;
    make_clip(&c, frames);
    const gv_network_input in = {.frames = frames,
                                 .length = frames,
                                 .obs = c.obs,
                                 .cliff = c.cliff,
                                 .cam_angvel = c.angvel,
                                 .f_imgseq = c.images};
    const gv_network_output out = {.pred_x = c.pred_x, .pred_cam = c.pred_cam, .static_conf_logits = c.logits};
    gv_arena *arena = gv_arena_create(0);
    for (int r = -1; r < s->runs && !status; r++) { // the first run warms up
        double t0 = gv_now(), u0 = user_seconds(), elapsed[2];
        status = gv_network_run(net, &in, &out, err);
        double t1 = gv_now(), u1 = user_seconds();
        for (int mode = 0; mode < 2 && !status; mode++) {
            gv_solution solution;
            gv_arena_reset(arena);
            double start = gv_now();
            status = gv_solve(&solution, arena,
                              &(gv_solver_input){.frames = frames,
                                                 .length = frames,
                                                 .pred_x = c.pred_x,
                                                 .pred_cam = c.pred_cam,
                                                 .static_conf_logits = c.logits,
                                                 .bbx_xys = c.boxes,
                                                 .K = c.K,
                                                 .cam_angvel = c.angvel,
                                                 .body = body,
                                                 .static_camera = mode,
                                                 .final_pose = c.pose},
                              err);
            elapsed[mode] = gv_now() - start;
        }
        if (r < 0 || status) continue;
        network[r] = t1 - t0, moving[r] = elapsed[0], fixed[r] = elapsed[1], cpu += (u1 - u0) / s->runs;
    }
    gv_arena_destroy(arena);
    free_clip(&c);
    if (status) return status;
    timing n = summarise(network, s->runs), m = summarise(moving, s->runs), f = summarise(fixed, s->runs);
    double flop = 2 * parameters * frames; // matrix products alone; attention adds 4 percent
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    const char *format = s->json ? "{\"frames\": %d, \"network_min\": %.6f, \"network_median\": %.6f, \"network_cpu\": "
                                   "%.6f, \"moving_min\": %.6f, "
                                   "\"moving_median\": %.6f, \"static_min\": %.6f, \"static_median\": %.6f, "
                                   "\"gflops\": %.1f, \"peak_share\": %.3f, \"peak_mib\": %.0f}\n"
                                 : "%7d  %8.4f %8.4f %8.4f   %8.4f %8.4f   %8.4f %8.4f   %7.1f %6.3f   %7.0f\n";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    printf(format, frames, n.min, n.median, cpu, m.min, m.median, f.min, f.median, flop / n.min * 1e-9,
           flop / n.min / peak, (double)usage.ru_maxrss / 1024);
#pragma GCC diagnostic pop
    fflush(stdout);
    return GV_OK;
}

static void parse(settings *s, int argc, char **argv) {
    static const struct option table[] = {{"frames", 1, NULL, 'f'},
                                          {"runs", 1, NULL, 'r'},
                                          {"threads", 1, NULL, 't'},
                                          {"bf16", 0, NULL, 'b'},
                                          {"json", 0, NULL, 'j'},
                                          {"device", 1, NULL, 'd'},
                                          {0}};
    *s = (settings){.lengths = {120, 300, 1430, 5000}, .count = 4, .runs = 5};
    for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;) switch (c) {
        case 'f':
            s->count = 0;
            for (char *p = strtok(optarg, ","); p && s->count < MAX_LENGTHS; p = strtok(NULL, ","))
                s->lengths[s->count++] = atoi(p);
            break;
        case 'r':
            s->runs = atoi(optarg) < 1 ? 1 : atoi(optarg) > MAX_RUNS ? MAX_RUNS : atoi(optarg);
            break;
        case 't':
            omp_set_num_threads(atoi(optarg) < 1 ? 1 : atoi(optarg));
            break;
        case 'b':
            s->precision = GV_PRECISION_BF16;
            break;
        case 'd':
            s->where = strcmp(optarg, "cuda") ? GV_DEVICE_CPU : GV_DEVICE_CUDA;
            break;
        case 'j':
            s->json = true;
            break;
        default:
            exit(2);
        }
}

int main(int argc, char **argv) {
    settings s;
    gv_error err = {0};
    gv_body *body = NULL;
    double parameters = 0;
    parse(&s, argc, argv);
    gv_device *device = NULL;
    gv_network *net = NULL;
    gv_status status = gv_device_open(&device, s.where, &err);
    if (!status) net = random_network(s.precision, device, &parameters, &err);
    if (!status) status = net ? gv_body_open(&body, NULL, &err) : err.status;
    double peak = status ? 0 : matrix_peak(s.precision, device, &err);
    if (!status && !s.json)
        printf(
            "%s on %s, %d threads, matrix peak %.0f GFLOP/s, %.1f M parameters\n%7s  %8s %8s %8s   %8s %8s   %8s %8s   "
            "%7s %6s   %7s\n",
            s.precision ? "bfloat16" : "float32", gv_device_name(device), omp_get_max_threads(), peak * 1e-9,
            parameters * 1e-6, "frames", "net min", "median", "cpu s", "moving", "median", "static", "median",
            "GFLOP/s", "share", "MiB");
    for (int i = 0; i < s.count && !status; i++) status = measure(net, body, s.lengths[i], &s, parameters, peak, &err);
    if (status) fprintf(stderr, "bench_network: %s\n", err.text);
    gv_body_close(body);
    gv_network_close(net);
    gv_device_close(device);
    return status != GV_OK;
}
