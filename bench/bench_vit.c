// bench_vit - speed, loading time and memory of ViTPose and HMR2.0.
//
//     bench_vit [--network vitpose|hmr2] [--batch 4] [--runs 3] [--threads N] [--bf16] [--device cpu|cuda] [--no-flip]
//               [--json] [--crops CROPS.npz] [--dump OUT.npz] CHECKPOINT
//
// Crops are "crops" [n, 3, 256, 192] of CROPS.npz, taken in turn, or noise. Printed: seconds until the network is
// ready, seconds of the first crop, least seconds per frame of the runs, the share of the machine's matrix peak
// (measured here with the same library, all threads multiplying), peak memory of the process. --dump keeps the heatmaps
// or tokens of the batch as "out". bench/peer_vit.py makes checkpoints and compares with PyTorch.
#include "formats/npz.h"
#include "matrix_peak.h"
#include "perception/crop.h"
#include "perception/hmr2.h"
#include "perception/vit.h"
#include "perception/vitpose.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { CROP = 3 * GV_CROP_ROWS * GV_CROP_COLUMNS, MAP = 17 * GV_HEATMAP_ROWS * GV_HEATMAP_COLUMNS, MAX_BATCH = 64 };

typedef struct settings {
    const char *network, *checkpoint, *crops, *dump;
    int batch, runs;
    gv_precision precision;
    gv_device_choice where;
    bool flip, json;
} settings;

typedef struct net {
    gv_device *device;
    gv_vitpose *vitpose;
    gv_hmr2 *hmr2;
} net;

static gv_status open_net(net *n, const settings *s, gv_error *err) {
    gv_status status = gv_device_open(&n->device, s->where, err);
    if (status) return status;
    return strcmp(s->network, "hmr2") ? gv_vitpose_open(&n->vitpose, s->checkpoint, s->precision, n->device, err)
                                      : gv_hmr2_open(&n->hmr2, s->checkpoint, s->precision, n->device, err);
}

static gv_status run_net(const net *n, const settings *s, const float *crops, int count, float *out, gv_error *err) {
    return n->vitpose ? gv_vitpose_heatmaps(n->vitpose, crops, count, s->flip, out, err)
                      : gv_hmr2_run(n->hmr2, &(gv_crops){.numbers = crops}, count, out, err);
}

// Floating point operations of matrix products per frame (a multiplication and an addition are two).
static double operations(const net *n, const settings *s) {
    double T = GV_VIT_TOKENS, D = n->vitpose ? gv_vitpose_width(n->vitpose) : gv_hmr2_width(n->hmr2),
           depth = n->vitpose ? gv_vitpose_depth(n->vitpose) : gv_hmr2_depth(n->hmr2);
    double pass = 2 * (T * D * 768 + depth * (12 * T * D * D + 2 * T * T * D));
    if (n->hmr2) return pass + 2 * 6 * T * D * 1024;
    pass += 2 * T * 256 * 16 * (D + 4 * 256) + 2 * 16 * T * 256 * 17;
    return s->flip ? 2 * pass : pass;
}

static float *make_crops(const settings *s, gv_error *err) {
    float *all = gv_calloc2((size_t)s->batch, CROP * sizeof *all), *given = NULL;
    int64_t count = 0;
    gv_npz *z = NULL;
    unsigned state = 1;
    for (size_t i = 0; i < (size_t)s->batch * CROP; i++)
        all[i] = (float)((state = state * 1664525u + 1013904223u) >> 8) / (float)(1 << 23) - 1;
    if (!s->crops) return all;
    if (gv_npz_open(&z, s->crops, err) == GV_OK)
        given = gv_npz_read_f32(z, "crops", (int64_t[]){-1, 3, GV_CROP_ROWS, GV_CROP_COLUMNS}, 4, &count, err);
    for (int i = 0; i < s->batch && given; i++)
        memcpy(all + (size_t)i * CROP, given + (size_t)(i % (int)count) * CROP, CROP * sizeof *all);
    gv_npz_close(z);
    if (!given) free(all);
    free(given);
    return given ? all : NULL;
}

static gv_status dump(const settings *s, const net *n, const float *out, gv_error *err) {
    gv_npz_writer *w = NULL;
    gv_status status = gv_npz_create(&w, s->dump, err);
    if (status) return status;
    if (n->vitpose)
        gv_npz_add_f32(w, "out", out, 4, s->batch, 17, GV_HEATMAP_ROWS, GV_HEATMAP_COLUMNS);
    else
        gv_npz_add_f32(w, "out", out, 2, s->batch, gv_hmr2_token_width(n->hmr2));
    return gv_npz_finish(w, err);
}

// Not getrusage's figure, which a process inherits from the one that started it.
static double peak_mib(void) {
    char line[128];
    double kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "VmHWM:", 6)) kib = atof(line + 6);
    if (f) fclose(f);
    return kib / 1024;
}

static void report(const settings *s, const net *n, double open, double first, double seconds, double peak) {
    double rate = operations(n, s) / seconds;
    if (s->json)
        printf("{\"open\": %.3f, \"first\": %.3f, \"seconds\": %.5f, \"gflops\": %.1f, \"share\": %.4f, "
               "\"peak_gflops\": %.1f, \"peak_mib\": %.0f}\n",
               open, first, seconds, 1e-9 * rate, rate / peak, 1e-9 * peak, peak_mib());
    else
        printf("%s, %s on %s, %d threads, %d frames at once%s\nready after %.2f s, first frame %.2f s\n%.3f s per "
               "frame, %.0f "
               "GFLOP/s, %.0f %% of the matrix peak of %.0f GFLOP/s\npeak memory %.0f MiB\n",
               s->network, s->precision ? "bfloat16" : "float32", gv_device_name(n->device), omp_get_max_threads(),
               s->batch, n->vitpose && s->flip ? ", each with its mirrored copy" : "", open, first, seconds,
               1e-9 * rate, 100 * rate / peak, 1e-9 * peak, peak_mib());
}

static void parse(settings *s, int argc, char **argv) {
    static const struct option table[] = {{"network", 1, NULL, 'n'},
                                          {"batch", 1, NULL, 'b'},
                                          {"runs", 1, NULL, 'r'},
                                          {"threads", 1, NULL, 't'},
                                          {"bf16", 0, NULL, 'h'},
                                          {"json", 0, NULL, 'j'},
                                          {"crops", 1, NULL, 'c'},
                                          {"dump", 1, NULL, 'd'},
                                          {"no-flip", 0, NULL, 'f'},
                                          {"device", 1, NULL, 'w'},
                                          {0}};
    *s = (settings){.network = "vitpose", .batch = 4, .runs = 3, .flip = true};
    for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;) switch (c) {
        case 'n':
            s->network = optarg;
            break;
        case 'b':
            s->batch = atoi(optarg) < 1 ? 1 : atoi(optarg) > MAX_BATCH ? MAX_BATCH : atoi(optarg);
            break;
        case 'r':
            s->runs = atoi(optarg) < 1 ? 1 : atoi(optarg);
            break;
        case 't':
            omp_set_num_threads(atoi(optarg) < 1 ? 1 : atoi(optarg));
            break;
        case 'h':
            s->precision = GV_PRECISION_BF16;
            break;
        case 'w':
            s->where = strcmp(optarg, "cuda") ? GV_DEVICE_CPU : GV_DEVICE_CUDA;
            break;
        case 'f':
            s->flip = false;
            break;
        case 'j':
            s->json = true;
            break;
        case 'c':
            s->crops = optarg;
            break;
        case 'd':
            s->dump = optarg;
            break;
        default:
            exit(2);
        }
    if (optind + 1 != argc) {
        fprintf(stderr, "bench_vit: one checkpoint, please\n");
        exit(2);
    }
    s->checkpoint = argv[optind];
}

int main(int argc, char **argv) {
    settings s;
    net n = {0};
    gv_error err = {0};
    float *out = NULL;
    parse(&s, argc, argv);
    double start = gv_now(), open = 0, first = 0, best = 1e9;
    float *crops = make_crops(&s, &err);
    gv_status status = crops ? GV_OK : err.status;
    start = gv_now();
    if (!status) status = open_net(&n, &s, &err);
    open = gv_now() - start;
    if (!status)
        out = gv_calloc2((size_t)s.batch, (n.vitpose ? MAP : (size_t)gv_hmr2_token_width(n.hmr2)) * sizeof *out);
    start = gv_now();
    if (!status) status = run_net(&n, &s, crops, 1, out, &err);
    first = gv_now() - start;
    for (int r = 0; r < s.runs && !status; r++) {
        start = gv_now();
        status = run_net(&n, &s, crops, s.batch, out, &err);
        if (gv_now() - start < best) best = gv_now() - start;
    }
    if (!status && s.dump) status = dump(&s, &n, out, &err);
    if (!status) report(&s, &n, open, first, best / s.batch, matrix_peak(s.precision, n.device, &err));
    if (status) fprintf(stderr, "bench_vit: %s\n", err.text);
    gv_vitpose_close(n.vitpose);
    gv_hmr2_close(n.hmr2);
    gv_device_close(n.device);
    free(crops);
    free(out);
    return status != GV_OK;
}
