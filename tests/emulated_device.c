#include "emulated_device.h"

#include "base/memory.h"
#include "nn/vec8.h"

#include "nn/kernel_code.h"
#include "training/kernel_sequences.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 4096 };

typedef struct piece {
    char *data;
    size_t bytes;
} piece;

static struct {
    size_t limit, largest, refused, used, most;
    int refusals, starving, countdown, launches[GV_KERNEL_COUNT], pieces, replays, singles;
    bool replaying;
    struct graph *recording;
    bool convolves; // of its own
    int convolved;
    piece piece[MOST];
} own;

size_t gv_emulated_bytes(void) {
    return own.used;
}
size_t gv_emulated_most(void) {
    return own.most;
}
int gv_emulated_refusals(void) {
    return own.refusals;
}
int gv_emulated_launches(int kernel) {
    return own.launches[kernel];
}
void gv_emulated_refuse(size_t bytes) {
    own.refused = bytes;
}
void gv_emulated_starve(int after) {
    own.starving = after;
}
bool gv_emulated_starved(void) {
    return own.starving == 0;
}
void gv_emulated_break(int after) {
    own.countdown = after;
}

int gv_emulated_replays(void) {
    return own.replays;
}

int gv_emulated_singles(void) {
    return own.singles;
}

static bool is_ours(const void *p, size_t bytes) {
    for (int i = 0; i < own.pieces; i++)
        if ((const char *)p >= own.piece[i].data && (const char *)p + bytes <= own.piece[i].data + own.piece[i].bytes)
            return true;
    return false;
}

static bool breaks(gv_error *err) {
    if (!own.countdown || --own.countdown) return false;
    gv_fail(err, GV_ERR_INTERNAL, "the emulated device broke");
    return true;
}

static bool check(const void *p, size_t bytes, const char *what, gv_error *err) {
    if (is_ours(p, bytes)) return true;
    gv_fail(err, GV_ERR_INTERNAL, "%s: %zu bytes are not the device's", what, bytes);
    return false;
}

static gv_status open_device(void **self, gv_error *err) {
    (void)err;
    *self = &own;
    return GV_OK;
}
static void close_device(void *self) {
    (void)self;
}
static const char *name(const void *self) {
    (void)self;
    return "emulated";
}
static void *alloc(void *self, size_t bytes, gv_error *err) {
    (void)self;
    bool room = own.pieces < MOST && (!own.limit || own.used + bytes <= own.limit);
    room &= bytes != own.refused || !bytes;
    room &= !own.starving || --own.starving;
    char *data = room && (!own.largest || bytes <= own.largest) ? aligned_alloc(256, (bytes + 255) / 256 * 256) : NULL;
    if (!data) {
        own.refusals++;
        gv_fail(err, GV_ERR_MEMORY, "the device has no memory for %zu bytes", bytes);
        return NULL;
    }
    memset(data, 0xff, bytes);
    own.piece[own.pieces++] = (piece){data, bytes};
    own.used += bytes;
    if (own.used > own.most) own.most = own.used;
    return data;
}

// Copies that go ahead are done when they are asked for or, late, when the queue first waits for them.
enum { MOST_COPIES = 4096 };
static struct {
    bool late;
    int open, done;
    struct {
        void *to, *data;
        size_t bytes;
    } copy[MOST_COPIES];
    int places; // that were copied to since the program has waited for the queue
    piece place[MOST_COPIES];
} ahead;

void gv_emulated_late(bool late) {
    ahead.late = late;
    ahead.done = 0;
}

int gv_emulated_copies(void) {
    return ahead.done;
}

static bool ahead_wait(void *self, gv_error *err) {
    (void)self;
    for (int i = 0; i < ahead.open; i++) {
        memcpy(ahead.copy[i].to, ahead.copy[i].data, ahead.copy[i].bytes);
        free(ahead.copy[i].data);
    }
    (void)err;
    ahead.done += ahead.open;
    ahead.open = 0;
    return true;
}

static bool wait(void *self, gv_error *err) {
    (void)self, (void)err;
    ahead.places = 0;
    return true;
}

// What is queued may still be at work on a place that was copied to before.
static bool is_free(char *to, size_t bytes, gv_error *err) {
    for (int i = 0; i < ahead.places; i++)
        if (to < ahead.place[i].data + ahead.place[i].bytes && ahead.place[i].data < to + bytes) {
            gv_fail(err, GV_ERR_INTERNAL, "a copy goes ahead of what is queued on its place");
            return false;
        }
    if (ahead.places == MOST_COPIES) abort();
    ahead.place[ahead.places++] = (piece){to, bytes};
    return true;
}

static void release(void *self, void *memory) {
    ahead_wait(self, NULL); // gv_device_finish has waited for them
    for (int i = 0; i < own.pieces; i++)
        if (own.piece[i].data == memory) {
            own.used -= own.piece[i].bytes;
            own.piece[i] = own.piece[--own.pieces];
            free(memory);
            return;
        }
    if (memory) abort();
}

static bool upload(void *self, void *to, const void *from, size_t bytes, gv_error *err) {
    (void)self;
    if (breaks(err) || !check(to, bytes, "upload", err)) return false;
    memcpy(to, from, bytes);
    return true;
}

static bool upload_ahead(void *self, void *to, const void *from, size_t bytes, gv_error *err) {
    if (breaks(err) || !check(to, bytes, "upload", err) || !is_free(to, bytes, err)) return false;
    void *data = ahead.open < MOST_COPIES ? malloc(bytes ? bytes : 1) : NULL;
    if (!data) abort();
    memcpy(data, from, bytes);
    memset(to, 0xff, bytes); // not there yet, and not what it was
    ahead.copy[ahead.open].to = to;
    ahead.copy[ahead.open].data = data;
    ahead.copy[ahead.open++].bytes = bytes;
    return ahead.late || ahead_wait(self, err);
}

static bool download(void *self, void *to, const void *from, size_t bytes, gv_error *err) {
    if (breaks(err) || !check(from, bytes, "download", err)) return false;
    memcpy(to, from, bytes);
    return wait(self, err);
}

// ---- products

// Rows of a matrix in memory, or columns where it is turned, one after the other; each of `wide` numbers.
static float *widened(const void *x, int64_t high, int64_t wide, int64_t stride, bool turned, bool bf16) {
    float *y = gv_calloc2((size_t)(high * wide) + 8, sizeof *y);
    for (int64_t i = 0; i < high; i++)
        for (int64_t k = 0; k < wide; k++) {
            int64_t at = turned ? k * stride + i : i * stride + k;
            y[i * wide + k] = bf16 ? gv_widen(((const uint16_t *)x)[at]) : ((const float *)x)[at];
        }
    return y;
}

static float dot(const float *a, const float *b, int n) {
    v8 sum = v8_set(0);
    float rest = 0;
    int i = 0;
    for (; i + 8 <= n; i += 8) sum = v8_fma(v8_load(a + i), v8_load(b + i), sum);
    for (; i < n; i++) rest += a[i] * b[i];
    return v8_sum(sum) + rest;
}

static float finished(float z, const gv_device_matmul *m, int o) {
    if (m->epilogue == GV_EPILOGUE_NONE) return z;
    z += m->bf16_out ? gv_widen(((const uint16_t *)m->bias)[o]) : ((const float *)m->bias)[o];
    if (m->epilogue == GV_EPILOGUE_BIAS_RELU) return gv_activated(z, GV_ACTIVATE_RELU);
    if (m->epilogue == GV_EPILOGUE_BIAS_GELU) return gv_activated(z, GV_ACTIVATE_GELU_TANH);
    return z;
}

static void multiply(const gv_device_matmul *m, const void *from, const void *weight, void *y) {
    int64_t x_stride = m->x_stride ? m->x_stride : m->x_turned ? m->rows : m->in;
    int w_stride = m->weight_stride ? m->weight_stride : m->weight_turned ? m->out : m->in;
    int y_stride = m->y_stride ? m->y_stride : m->out;
    float *x = widened(from, m->rows, m->in, x_stride, m->x_turned, m->bf16_in);
    float *w = widened(weight, m->out, m->in, w_stride, m->weight_turned, m->bf16_in);
    float scale = m->scale != 0 ? m->scale : 1;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < m->rows; r++)
        for (int o = 0; o < m->out; o++) {
            int64_t at = r * y_stride + o;
            float z = scale * dot(x + r * m->in, w + (size_t)o * m->in, m->in);
            if (m->accumulate) z += m->bf16_out ? gv_widen(((uint16_t *)y)[at]) : ((float *)y)[at];
            gv_put(y, at, finished(z, m, o), m->bf16_out);
        }
    free(x);
    free(w);
}

// Bytes from the first to the last number of all matrices.
static size_t extent(const gv_device_matmul *m, int64_t high, int64_t wide, int64_t stride, int64_t step, bool bf16) {
    int64_t count = m->count > 1 ? m->count : 1;
    return (size_t)((count - 1) * step + (high - 1) * (stride ? stride : wide) + wide) * (bf16 ? 2 : 4);
}

// ---- graphs: the operations one after the other

enum { MOST_STEPS = 4096, PRODUCT = -1, CONVOLUTION = -2, ARGUMENTS = 256 };

typedef struct graph {
    int steps;
    struct {
        int kernel; // or PRODUCT, CONVOLUTION
        _Alignas(16) char arguments[ARGUMENTS];
    } step[MOST_STEPS];
} graph;

static bool remember(int kernel, const void *arguments, size_t size) {
    graph *g = own.recording;
    if (size > ARGUMENTS || g->steps == MOST_STEPS) abort();
    g->step[g->steps].kernel = kernel;
    memcpy(g->step[g->steps++].arguments, arguments, size);
    return true;
}

static bool matmul(void *self, const gv_device_matmul *m, gv_error *err) {
    if (own.recording) return !breaks(err) && remember(PRODUCT, m, sizeof *m);
    (void)self;
    own.singles += !own.replaying;
    size_t in = m->bf16_in ? 2 : 4, out = m->bf16_out ? 2 : 4;
    size_t x = extent(m, m->x_turned ? m->in : m->rows, m->x_turned ? m->rows : m->in, m->x_stride, m->x_step, in == 2);
    size_t w = extent(m, m->weight_turned ? m->in : m->out, m->weight_turned ? m->out : m->in, m->weight_stride,
                      m->weight_step, in == 2);
    if (m->rows < 1) return true;
    if (breaks(err) || !check(m->x, x, "x", err) || !check(m->weight, w, "weight", err) ||
        !check(m->y, extent(m, m->rows, m->out, m->y_stride, m->y_step, out == 2), "y", err) ||
        (m->epilogue != GV_EPILOGUE_NONE && !check(m->bias, (size_t)m->out * out, "bias", err)))
        return false;
    for (int i = 0; i < (m->count > 1 ? m->count : 1); i++)
        multiply(m, (const char *)m->x + i * m->x_step * (int64_t)in,
                 (const char *)m->weight + i * m->weight_step * (int64_t)in,
                 (char *)m->y + i * m->y_step * (int64_t)out);
    return true;
}

// ---- convolutions: all windows written out, and a product

void gv_emulated_convolutions(bool own_ones) {
    own.convolves = own_ones;
    own.convolved = 0;
}

int gv_emulated_convolved(void) {
    return own.convolved;
}

static bool convolves(void *self, const gv_device_convolution *c) {
    (void)self, (void)c;
    return own.convolves;
}

static bool convolve(void *self, const gv_device_convolution *c, gv_error *err) {
    (void)self;
    if (own.recording) return !breaks(err) && remember(CONVOLUTION, c, sizeof *c);
    own.singles += !own.replaying;
    const int rows = (c->height - 1) / c->step + 1, columns = (c->width - 1) / c->step + 1;
    const size_t size = c->bf16 ? 2 : 4, one = (size_t)c->channels * size, area = (size_t)c->side * c->side;
    if (!own.convolves || c->side % 2 == 0) abort();
    if (breaks(err) || !check(c->x, (size_t)c->height * c->width * one, "x", err) ||
        !check(c->weight, (size_t)c->out * area * one, "weight", err) ||
        !check(c->y, (size_t)rows * columns * c->out * size, "y", err))
        return false;
    char *windows = gv_calloc2((size_t)rows * columns, area * one);
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < columns; k++)
            for (size_t tap = 0; tap < area; tap++) {
                int y = r * c->step + (int)tap / c->side - c->side / 2,
                    x = k * c->step + (int)tap % c->side - c->side / 2;
                if (y >= 0 && y < c->height && x >= 0 && x < c->width)
                    memcpy(windows + (((size_t)r * columns + k) * area + tap) * one,
                           (const char *)c->x + ((size_t)y * c->width + x) * one, one);
            }
    const gv_device_matmul m = {.rows = (int64_t)rows * columns,
                                .in = (int)area * c->channels,
                                .out = c->out,
                                .bf16_in = c->bf16,
                                .bf16_out = c->bf16};
    multiply(&m, windows, c->weight, c->y);
    free(windows);
    own.convolved++;
    return true;
}

// ---- kernels

// Arguments begin with their pointers: so many.
enum {
    POINTERS_layer_norm = 5,
    POINTERS_activate = 3,
    POINTERS_narrow = 2,
    POINTERS_repeat = 2,
    POINTERS_patches = 3,
    POINTERS_attention = 6,
    POINTERS_tile_attention = 4,
    POINTERS_rope_table = 3,
    POINTERS_embed_joints = 5,
    POINTERS_gather_taps = 2,
    POINTERS_scatter_phase = 2,
    POINTERS_average_mirrored = 3,
    POINTERS_crop = 3,
    POINTERS_normalise_crops = 3,
    POINTERS_decode_heatmaps = 3,
    POINTERS_letterbox = 2,
    POINTERS_windows = 2,
    POINTERS_place_rows = 4,
    POINTERS_upsample2 = 2,
    POINTERS_max5 = 2,
    POINTERS_yolo_cells = 3,
    POINTERS_suppress = 2,
    POINTERS_add = 2,
    POINTERS_column_sums = 4,
    POINTERS_norm_backward = 5,
    POINTERS_activate_backward = 3,
    POINTERS_gate = 4,
    POINTERS_dropout = 2,
    POINTERS_rotate = 3,
    POINTERS_softmax = 4,
    POINTERS_softmax_backward = 3,
    POINTERS_embed_joints_backward = 3,
    POINTERS_heads_end = 4,
    POINTERS_frame_losses = 23,
    POINTERS_rollout_loss = 8,
    POINTERS_make_sequences = 3,
    POINTERS_square_sum = 3,
    POINTERS_adamw = 6,
};

static bool check_arguments(const void *arguments, int pointers, const char *kernel, gv_error *err) {
    const void *p;
    for (int i = 0; i < pointers; i++) {
        memcpy(&p, (const char *)arguments + i * sizeof p, sizeof p);
        if (p && !check(p, 1, kernel, err)) return false;
    }
    return true;
}

#define RUN(kernel)                                                                                                    \
    static bool run_##kernel(const void *arguments, gv_error *err) {                                                   \
        const gv_##kernel##_args *a = arguments;                                                                       \
        if (!check_arguments(a, POINTERS_##kernel, #kernel, err)) return false;                                        \
        gv_grid g = gv_##kernel##_grid(a);                                                                             \
        if (g.threads > GV_EMULATED_THREADS || g.threads % 32) abort();                                                \
        _Pragma("omp parallel for schedule(dynamic, 4)") for (int64_t b = 0; b < g.blocks; b++) {                      \
            char *shared = aligned_alloc(128, (g.shared + 128) / 128 * 128);                                           \
            memset(shared, 0xff, g.shared);                                                                            \
            gv_##kernel##_code(a, (gv_place){b, g.threads}, shared);                                                   \
            free(shared);                                                                                              \
        }                                                                                                              \
        return true;                                                                                                   \
    }
GV_KERNELS(RUN)
#define ENTRY(kernel) run_##kernel,
#define SIZE(kernel)  sizeof(gv_##kernel##_args),

static bool launch(void *self, int kernel, const void *arguments, gv_error *err) {
    static bool (*const table[])(const void *, gv_error *) = {GV_KERNELS(ENTRY)};
    static const size_t sizes[] = {GV_KERNELS(SIZE)};
    (void)self;
    if (own.recording) return !breaks(err) && remember(kernel, arguments, sizes[kernel]);
    own.launches[kernel]++;
    own.singles += !own.replaying;
    return !breaks(err) && table[kernel](arguments, err);
}

static bool record(void *self, gv_error *err) {
    (void)self;
    return !breaks(err) && (own.recording = gv_calloc2(1, sizeof(graph)));
}

static void *recorded(void *self, gv_error *err) {
    (void)self, (void)err;
    graph *g = own.recording;
    own.recording = NULL;
    return g;
}

static bool replay(void *self, void *recorded, gv_error *err) {
    const graph *g = recorded;
    bool well = true;
    own.replays++;
    own.replaying = true;
    for (int i = 0; i < g->steps && well; i++) {
        const void *arguments = g->step[i].arguments;
        const int kernel = g->step[i].kernel;
        well = kernel == PRODUCT       ? matmul(self, arguments, err)
               : kernel == CONVOLUTION ? convolve(self, arguments, err)
                                       : launch(self, kernel, arguments, err);
    }
    own.replaying = false;
    return well;
}

static void forget(void *self, void *recorded) {
    (void)self;
    free(recorded);
}

// ---- several: means are left undone for as long as a queue of their own may take

enum { MOST_MEANS = 64 };
static struct {
    gv_emulated_mean *mean;
    struct {
        float *x;
        int64_t n;
    } open[MOST_MEANS];
    int opened, done, count;
} ours;

void gv_emulated_group(gv_emulated_mean *mean) {
    ours.mean = mean;
    ours.done = 0;
}

int gv_emulated_means(void) {
    return ours.done;
}

static bool group(void *self, char name[GV_DEVICE_GROUP], gv_error *err) {
    (void)self;
    memset(name, 0, GV_DEVICE_GROUP);
    memcpy(name, "emulated", 8);
    if (!ours.mean) gv_fail(err, GV_ERR_MISSING, "the emulated device is alone");
    return ours.mean != NULL;
}

static bool join(void *self, const char name[GV_DEVICE_GROUP], int count, int index, gv_error *err) {
    (void)self, (void)err;
    if (strcmp(name, "emulated") || index < 0 || index >= count) abort();
    ours.count = count;
    return true;
}

static void leave(void *self) {
    (void)self;
    ours.count = 0;
}

static bool mean(void *self, float *x, int64_t n, gv_error *err) {
    (void)self;
    if (!ours.count || ours.opened == MOST_MEANS) abort();
    if (breaks(err) || !check(x, (size_t)n * sizeof *x, "mean", err)) return false;
    ours.open[ours.opened].x = x;
    ours.open[ours.opened++].n = n;
    return true;
}

static bool mean_wait(void *self, gv_error *err) {
    (void)self;
    for (int i = 0; i < ours.opened; i++) ours.mean(ours.open[i].x, ours.open[i].n, ours.count);
    ours.done += ours.opened;
    ours.opened = 0;
    return !breaks(err);
}

const gv_device_ops *gv_emulated_ops(size_t limit, size_t largest) {
    static const gv_device_ops ops = {.version = GV_DEVICE_OPS_VERSION,
                                      .open = open_device,
                                      .close = close_device,
                                      .name = name,
                                      .alloc = alloc,
                                      .release = release,
                                      .upload = upload,
                                      .upload_ahead = upload_ahead,
                                      .ahead_wait = ahead_wait,
                                      .download = download,
                                      .matmul = matmul,
                                      .convolves = convolves,
                                      .convolve = convolve,
                                      .launch = launch,
                                      .wait = wait,
                                      .record = record,
                                      .recorded = recorded,
                                      .replay = replay,
                                      .forget = forget,
                                      .group = group,
                                      .join = join,
                                      .leave = leave,
                                      .mean = mean,
                                      .mean_wait = mean_wait};
    omp_set_max_active_levels(2); // threads of a block within those that have blocks
    own.limit = limit;
    own.largest = largest;
    own.most = own.used;
    own.refusals = own.countdown = own.replays = own.singles = 0;
    memset(own.launches, 0, sizeof own.launches);
    return &ops;
}
