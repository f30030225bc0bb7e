// bench_yolo - seconds a frame of YOLOv8 with random weights, beside PyTorch with the same weights in the same run.
//
//     build/bench/bench_yolo [--scale x] [--size 384x640] [--runs 5] [--threads N] [--no-peer] [--device cpu|cuda]
//
// Ours (float32 and bfloat16) and the peer (peer_yolo.py by $PYTHON, float32, on the same device) take turns, twice;
// the smallest time of each counts. Prints the share of the machine's matrix peak (measured here with the same library)
// and how far the raw outputs are from the peer's, on the processor.
#include "base/order.h"
#include "formats/tensors.h"
#include "matrix_peak.h"
#include "perception/yolo_net.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_TENSORS = 1024, MAX_RUNS = 100, ROUNDS = 2, CLASSES = 80 };

typedef struct settings {
    char scale;
    int height, width, runs;
    bool peer;
    const char *python;
    gv_device_choice where;
    gv_device *device; // NULL: the processor
} settings;

typedef struct model {
    gv_tensor_view tensor[MAX_TENSORS];
    int count;
    unsigned long long state;
    double width, depth;
    int max;
} model;

static float noise(unsigned long long *state) { // uniform in [-1, 1), xorshift64
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return (float)((double)(*state >> 11) / 4503599627370496.0 - 1);
}

// A tensor of numbers around `middle`.
static void add(model *m, const char *prefix, const char *suffix, const int64_t *shape, int ndim, float middle,
                float spread) {
    gv_tensor_view *t = &m->tensor[m->count++];
    size_t n = 1;
    for (int i = 0; i < ndim; i++) n *= (size_t)(t->shape[i] = shape[i]);
    char *name = malloc(96);
    float *v = gv_calloc2(n, sizeof *v);
    snprintf(name, 96, "%s%s", prefix, suffix);
    for (size_t i = 0; i < n; i++) v[i] = middle + spread * noise(&m->state);
    t->name = name, t->data = v, t->ndim = ndim;
}

static int conv(model *m, const char *prefix, int ic, int oc, int k) {
    add(m, prefix, ".conv.weight", (int64_t[]){oc, ic, k, k}, 4, 0, 2.5f / sqrtf((float)(ic * k * k)));
    add(m, prefix, ".bn.weight", (int64_t[]){oc}, 1, 1, 0.2f);
    add(m, prefix, ".bn.bias", (int64_t[]){oc}, 1, 0, 0.2f);
    add(m, prefix, ".bn.running_mean", (int64_t[]){oc}, 1, 0, 0.2f);
    add(m, prefix, ".bn.running_var", (int64_t[]){oc}, 1, 1, 0.2f);
    return oc;
}

static int scaled(const model *m, int width) {
    return (int)(ceil(fmin(width, m->max) * m->width / 8) * 8);
}

static int layer(model *m, int i, int ic, int width) {
    char name[64];
    snprintf(name, sizeof name, "model.%d", i);
    return conv(m, name, ic, scaled(m, width), 3);
}

static int c2f(model *m, int i, int ic, int width, int repeats) {
    char name[64];
    int oc = scaled(m, width), n = (int)fmax(1, nearbyint(repeats * m->depth));
    snprintf(name, sizeof name, "model.%d.cv1", i);
    conv(m, name, ic, oc, 1);
    for (int k = 0; k < 2 * n; k++) {
        snprintf(name, sizeof name, "model.%d.m.%d.cv%d", i, k / 2, k % 2 + 1);
        conv(m, name, oc / 2, oc / 2, 3);
    }
    snprintf(name, sizeof name, "model.%d.cv2", i);
    return conv(m, name, (2 + n) * oc / 2, oc, 1);
}

static void head(model *m, const int channels[3]) {
    const int width[2] = {(int)fmax(fmax(16, channels[0] / 4), 64), (int)fmax(channels[0], CLASSES)};
    const int outputs[2] = {4 * GV_YOLO_BINS, CLASSES};
    for (int k = 0; k < 6; k++) {
        char name[64];
        int branch = k / 3, level = k % 3, w = width[branch];
        snprintf(name, sizeof name, "model.22.cv%d.%d.0", 2 + branch, level);
        conv(m, name, channels[level], w, 3);
        snprintf(name, sizeof name, "model.22.cv%d.%d.1", 2 + branch, level);
        conv(m, name, w, w, 3);
        snprintf(name, sizeof name, "model.22.cv%d.%d.2", 2 + branch, level);
        add(m, name, ".weight", (int64_t[]){outputs[branch], w, 1, 1}, 4, 0, 2 / sqrtf((float)w));
        add(m, name, ".bias", (int64_t[]){outputs[branch]}, 1, 0, 1);
    }
}

// SPEC-perception 6.2.
static void make_model(model *m, char scale) {
    static const struct {
        char name;
        double depth, width;
        int max;
    } table[] = {
        {'n', 0.33, 0.25, 1024}, {'s', 0.33, 0.5, 1024}, {'m', 0.67, 0.75, 768}, {'l', 1, 1, 512}, {'x', 1, 1.25, 512}};
    m->state = 42;
    for (int i = 0; i < 5; i++)
        if (table[i].name == scale) m->depth = table[i].depth, m->width = table[i].width, m->max = table[i].max;
    int c = c2f(m, 2, layer(m, 1, layer(m, 0, 3, 64), 128), 128, 3);
    int c4 = c2f(m, 4, layer(m, 3, c, 256), 256, 6), c6 = c2f(m, 6, layer(m, 5, c4, 512), 512, 6);
    int c8 = c2f(m, 8, layer(m, 7, c6, 1024), 1024, 3), half = conv(m, "model.9.cv1", c8, c8 / 2, 1);
    int c9 = conv(m, "model.9.cv2", 4 * half, c8, 1);
    int c12 = c2f(m, 12, c9 + c6, 512, 3), c15 = c2f(m, 15, c12 + c4, 256, 3);
    int c18 = c2f(m, 18, layer(m, 16, c15, 256) + c12, 512, 3);
    int c21 = c2f(m, 21, layer(m, 19, c18, 512) + c9, 1024, 3);
    head(m, (int[3]){c15, c18, c21});
}

static gv_status write_model(const char *path, char scale, double *parameters, gv_error *err) {
    model *m = gv_calloc2(1, sizeof *m);
    make_model(m, scale);
    gv_status status = gv_safetensors_write(path, m->tensor, m->count, GV_F16, NULL, err);
    *parameters = 0;
    for (int i = 0; i < m->count; i++) {
        const gv_tensor_view *t = &m->tensor[i];
        double n = 1;
        for (int k = 0; k < t->ndim; k++) n *= (double)t->shape[k];
        *parameters += strstr(t->name, "running") ? 0 : n;
        free((void *)t->data);
        free((void *)t->name);
    }
    free(m);
    return status;
}

// ---- Measuring ------------------------------------------------------------------------------------------

typedef struct timing {
    double min, median, apart; // apart: rms of the difference to the peer, relative to the peer's rms
} timing;

static gv_status measure(gv_yolo_net *net, const gv_image *image, int runs, timing *t, gv_error *err) {
    double seconds[MAX_RUNS];
    const gv_letterbox l = {image->width, image->height, image->width, image->height, 0, 0, 1};
    gv_status status = gv_yolo_net_run(net, l, image, err);
    for (int i = 0; i < runs && status == GV_OK; i++) {
        double start = gv_now();
        status = gv_yolo_net_run(net, l, image, err);
        seconds[i] = gv_now() - start;
    }
    gv_sort_doubles(seconds, (size_t)runs);
    if (!(t->min <= seconds[0])) *t = (timing){seconds[0], seconds[runs / 2], t->apart};
    return status;
}

static double difference(const gv_yolo_net *net, FILE *f) {
    double apart = 0, sum = 0;
    for (int level = 0; level < GV_YOLO_LEVELS; level++) {
        gv_yolo_level l = gv_yolo_net_level(net, level);
        size_t cells = (size_t)l.height * l.width;
        for (size_t c = 0; c < 64 + CLASSES; c++)
            for (size_t i = 0; i < cells; i++) {
                const float *list = c < 64 ? l.sides : l.scores;
                size_t k = c < 64 ? c : c - 64;
                float theirs;
                if (fread(&theirs, sizeof theirs, 1, f) != 1) return NAN;
                double d = (double)list[(k / 16 * cells + i) * 16 + k % 16] - theirs;
                apart += d * d;
                sum += (double)theirs * theirs;
            }
    }
    return sqrt(apart / sum);
}

// Runs peer_yolo.py; false where that is impossible.
static bool measure_peer(const settings *s, const char *folder, timing *t) {
    char command[1024], line[256];
    double min, median;
    snprintf(command, sizeof command,
             "OMP_NUM_THREADS=%d %s '%s/peer_yolo.py' %s/w.safetensors %s/in.u8 %d %d %d %d %s/out.f32 %s",
             omp_get_max_threads(), s->python, GV_BENCH_DIR, folder, folder, s->height, s->width, omp_get_max_threads(),
             s->runs, folder, s->device ? "cuda" : "cpu");
    FILE *f = popen(command, "r");
    bool done = f && fgets(line, sizeof line, f) && sscanf(line, "peer %lf %lf", &min, &median) == 2;
    if (f) pclose(f);
    if (done && !(t->min <= min)) *t = (timing){min, median, 0};
    return done;
}

static void report(const char *name, timing t, double peer, double work, double peak) {
    printf("%-10s %8.3f %8.3f %8.0f", name, t.min, t.median, work / t.min * 1e-9);
    if (peak > 0) printf(" %6.2f", work / t.min / peak);
    if (peer > 0) printf(" %8.2f   %.1e", peer / t.min, t.apart);
    printf("\n");
}

static gv_status compare(const settings *s, const char *folder, const gv_image *image, gv_yolo_net *net[2], int nets,
                         gv_error *err) {
    static const char *const names[2] = {"float32", "bfloat16"};
    timing ours[2] = {{.min = NAN}, {.min = NAN}}, peer = {.min = NAN};
    char path[256];
    double work = gv_yolo_net_operations(net[0]), peak[2] = {0};
    gv_status status = GV_OK;
    bool beside = s->peer;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < nets && status == GV_OK; i++) {
            peak[i] = fmax(peak[i], matrix_peak(i ? GV_PRECISION_BF16 : GV_PRECISION_F32, s->device, err));
            status = measure(net[i], image, s->runs, &ours[i], err);
        }
        beside = beside && measure_peer(s, folder, &peer);
    }
    for (int i = 0; i < nets && status == GV_OK; i++) {
        snprintf(path, sizeof path, "%s/out.f32", folder);
        FILE *f = beside && !s->device ? fopen(path, "rb") : NULL; // a device's lists stay there
        ours[i].apart = f ? difference(net[i], f) : NAN;
        if (f) fclose(f);
    }
    if (status != GV_OK) return status;
    printf("%s, matrix peak %.0f GFLOP/s", gv_device_name(s->device), peak[0] * 1e-9);
    if (nets > 1) printf(", bfloat16 %.0f", peak[1] * 1e-9);
    const gv_device_convolution usual = {
        .height = 48, .width = 80, .channels = 64, .out = 64, .side = 3, .step = 1, .bf16 = nets > 1};
    if (s->device)
        printf(", convolutions %s", gv_device_convolves(s->device, &usual) ? "by cuDNN" : "as windows and products");
    printf("; %.1f GFLOP a frame\n%-10s %8s %8s %8s %6s %8s   %s\n", work * 1e-9, "", "min s", "median", "GFLOP/s",
           "share", "ratio", "rms off the peer");
    for (int i = 0; i < nets; i++) report(names[i], ours[i], beside ? peer.min : 0, work, peak[i]);
    if (beside)
        report("PyTorch", peer, 0, work, peak[0]);
    else if (s->peer)
        printf("peer: not run (needs python3 with torch)\n");
    return GV_OK;
}

static gv_status bench(const settings *s, const char *folder, gv_error *err) {
    char weights[256], input[256];
    double parameters;
    gv_yolo_net *net[2] = {0};
    int nets = s->device || gv_nn_has_bf16(NULL) ? 2 : 1;
    snprintf(weights, sizeof weights, "%s/w.safetensors", folder);
    snprintf(input, sizeof input, "%s/in.u8", folder);
    gv_status status = write_model(weights, s->scale, &parameters, err);
    size_t bytes = 3 * (size_t)s->height * s->width;
    double start = gv_now();
    for (int i = 0; i < nets && status == GV_OK; i++) {
        status = gv_yolo_net_open(&net[i], weights, i ? GV_PRECISION_BF16 : GV_PRECISION_F32, s->device, err);
        if (status == GV_OK) status = gv_yolo_net_resize(net[i], s->height, s->width, err);
        if (status == GV_OK && i == 0)
            printf("YOLOv8%c, %.1f M parameters, %d threads, input %d x %d, ready after %.2f s\n", s->scale,
                   parameters * 1e-6, omp_get_max_threads(), s->width, s->height, gv_now() - start);
    }
    uint8_t *rgb = malloc(2 * bytes), *planes = rgb + bytes;
    unsigned long long state = 7;
    if (!rgb && status == GV_OK) status = gv_fail(err, GV_ERR_MEMORY, "no memory for a picture");
    for (size_t k = 0; k < bytes && status == GV_OK; k++)
        rgb[k] = planes[k % 3 * (bytes / 3) + k / 3] = (uint8_t)(127.5f + 127.5f * noise(&state));
    const gv_image image = {rgb, s->width, s->height, 3 * s->width};
    FILE *f = status == GV_OK ? fopen(input, "wb") : NULL;
    if (f && fwrite(planes, 1, bytes, f) + (size_t)fclose(f) == bytes)
        status = compare(s, folder, &image, net, nets, err);
    else if (status == GV_OK)
        status = gv_fail(err, GV_ERR_IO, "%s: cannot write", input);
    for (int i = 0; i < nets; i++) gv_yolo_net_close(net[i]);
    free(rgb);
    return status;
}

static void parse(settings *s, int argc, char **argv) {
    static const struct option table[] = {{"scale", 1, NULL, 's'},
                                          {"size", 1, NULL, 'z'},
                                          {"runs", 1, NULL, 'r'},
                                          {"threads", 1, NULL, 't'},
                                          {"no-peer", 0, NULL, 'n'},
                                          {"device", 1, NULL, 'd'},
                                          {0}};
    const char *python = getenv("PYTHON");
    *s = (settings){'x', 384, 640, 5, true, .python = python ? python : "/usr/bin/python3"};
    for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;)
        if (c == 's' && strchr("nsmlx", optarg[0]) && optarg[0])
            s->scale = optarg[0];
        else if (c == 'z' && sscanf(optarg, "%dx%d", &s->height, &s->width) == 2)
            continue;
        else if (c == 'r')
            s->runs = atoi(optarg) < 1 ? 1 : atoi(optarg) > MAX_RUNS ? MAX_RUNS : atoi(optarg);
        else if (c == 't')
            omp_set_num_threads(atoi(optarg) < 1 ? 1 : atoi(optarg));
        else if (c == 'n')
            s->peer = false;
        else if (c == 'd')
            s->where = strcmp(optarg, "cuda") ? GV_DEVICE_CPU : GV_DEVICE_CUDA;
        else
            exit(2);
}

int main(int argc, char **argv) {
    settings s;
    gv_error err = {0};
    char folder[] = "/tmp/bench-yolo-XXXXXX", path[256];
    parse(&s, argc, argv);
    if (!mkdtemp(folder)) return 1;
    gv_status status = gv_device_open(&s.device, s.where, &err);
    if (!status) status = bench(&s, folder, &err);
    if (status) fprintf(stderr, "bench_yolo: %s\n", err.text);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, (const char *[]){"w.safetensors", "in.u8", "out.f32"}[i]);
        unlink(path);
    }
    rmdir(folder);
    gv_device_close(s.device);
    return status != GV_OK;
}
