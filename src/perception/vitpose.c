// Letters: D width of the backbone, F filters of the head, n pictures.
//
// A transposed convolution 4x4 with stride 2 and padding 1 writes each output pixel (2i + a, 2j + b) from four
// input pixels: rows i and i - 1 (a = 0, kernel rows 1 and 3) or i + 1 and i (a = 1, kernel rows 0 and 2), columns
// likewise. So it is four matrix products, one per phase (a, b), over rows of four gathered pixels. The batch norm is
// multiplied into the weights.
#include "perception/vitpose.h"

#include "base/memory.h"
#include "nn/kernels.h"
#include "perception/crop.h"
#include "perception/vit.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum {
    J = GV_VITPOSE_JOINTS,
    MAP = J * GV_HEATMAP_ROWS * GV_HEATMAP_COLUMNS,
    CROP = 3 * GV_CROP_ROWS * GV_CROP_COLUMNS,
    BATCH = 8, // pictures at once, mirrored ones included
    DEVICE_BATCH = 64,
    MAX_FILTERS = 4096,
};

typedef struct deconvolution {
    int in, out;
    gv_linear *phase[4]; // [4 in] -> [out], phase 2 a + b
} deconvolution;

struct gv_vitpose {
    gv_nn *nn;
    gv_vit *backbone;
    deconvolution deconv[2];
    gv_linear *final;
    gv_arena *arena;
    int batch; // pictures at once; halved where a device's memory is too small
};

int gv_vitpose_width(const gv_vitpose *v) {
    return gv_vit_width(v->backbone);
}
int gv_vitpose_depth(const gv_vitpose *v) {
    return gv_vit_depth(v->backbone);
}

// ---- creation

// Kernel row (or column) and shift of the input of tap 0 and 1 for phase a.
static const int tap_kernel[2][2] = {{1, 3}, {0, 2}}, tap_shift[2][2] = {{0, -1}, {1, 0}};

// weight [in, out, 4, 4] to [out, 4 taps, in], rows times scale [out].
static void fold_phase(float *to, const float *weight, const float *scale, const deconvolution *d, int phase) {
    int a = phase / 2, b = phase % 2;
#pragma omp parallel for schedule(static)
    for (int o = 0; o < d->out; o++)
        for (int tap = 0; tap < 4; tap++) {
            int k = 4 * tap_kernel[a][tap / 2] + tap_kernel[b][tap % 2];
            for (int c = 0; c < d->in; c++)
                to[((size_t)o * 4 + tap) * d->in + c] = weight[((size_t)c * d->out + o) * 16 + k] * scale[o];
        }
}

static gv_status take_deconvolution(gv_vitpose *v, deconvolution *d, gv_checkpoint *c, int index, gv_error *err) {
    static const char *const names[] = {"weight", "bias", "running_mean", "running_var"};
    const char *prefix = "keypoint_head.deconv_layers";
    const float *w = gv_checkpoint_take(c, (int64_t[]){d->in, d->out, 4, 4}, 4, "%s.%d.weight", prefix, index),
                *norm[4];
    for (int k = 0; k < 4; k++)
        norm[k] = gv_checkpoint_take(c, (int64_t[]){d->out}, 1, "%s.%d.%s", prefix, index + 1, names[k]);
    gv_status s = gv_checkpoint_status(c);
    if (s) return s;
    float *folded = gv_calloc2((size_t)d->out * 4, (size_t)d->in * sizeof *folded),
          *scale = gv_calloc2((size_t)d->out, 2 * sizeof *scale), *bias = scale + d->out;
    if (!folded || !scale) s = gv_fail(err, GV_ERR_MEMORY, "no memory for the keypoint head");
    for (int o = 0; o < d->out && !s; o++) {
        scale[o] = norm[0][o] / sqrtf(norm[3][o] + 1e-5f);
        bias[o] = norm[1][o] - norm[2][o] * scale[o];
        if (!(norm[3][o] >= 0))
            s = gv_checkpoint_fail(c, GV_ERR_FORMAT,
                                   "tensor \"%s.%d.running_var\" holds %g, expected no negative number", prefix,
                                   index + 1, norm[3][o]);
    }
    for (int p = 0; p < 4 && !s; p++) {
        fold_phase(folded, w, scale, d, p);
        s = gv_linear_create(&d->phase[p], v->nn,
                             &(gv_linear_spec){.in = 4 * d->in, .out = d->out, .activation = GV_LINEAR_RELU}, folded,
                             bias, err);
    }
    free(folded);
    free(scale);
    gv_checkpoint_forget(c);
    return s;
}

static gv_status take_head(gv_vitpose *v, gv_checkpoint *c, gv_error *err) {
    int filters[2] = {0};
    for (int k = 0; k < 2; k++) {
        const gv_tensor *t = gv_checkpoint_find(c, "keypoint_head.deconv_layers.%d.weight", 3 * k);
        if (!t || t->ndim != 4 || t->shape[1] < 1 || t->shape[1] > MAX_FILTERS)
            return gv_checkpoint_fail(
                c, GV_ERR_FORMAT, "tensor \"keypoint_head.deconv_layers.%d.weight\" is %s, expected [in, out, 4, 4]",
                3 * k, t ? "something else" : "missing");
        filters[k] = (int)t->shape[1];
    }
    v->deconv[0] = (deconvolution){.in = gv_vit_width(v->backbone), .out = filters[0]};
    v->deconv[1] = (deconvolution){.in = filters[0], .out = filters[1]};
    gv_status s = take_deconvolution(v, &v->deconv[0], c, 0, err);
    if (!s) s = take_deconvolution(v, &v->deconv[1], c, 3, err);
    if (s) return s;
    const float *w = gv_checkpoint_take(c, (int64_t[]){J, filters[1], 1, 1}, 4, "keypoint_head.final_layer.weight");
    const float *b = gv_checkpoint_take(c, (int64_t[]){J}, 1, "keypoint_head.final_layer.bias");
    s = gv_checkpoint_status(c);
    return s ? s : gv_linear_create(&v->final, v->nn, &(gv_linear_spec){.in = filters[1], .out = J}, w, b, err);
}

static void set_head(gv_vitpose *v);

gv_status gv_vitpose_open(gv_vitpose **out, const char *path, gv_precision precision, gv_device *device,
                          gv_error *err) {
    gv_checkpoint *c = NULL;
    gv_vitpose *v = calloc(1, sizeof *v);
    *out = NULL;
    gv_status s = v ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory for ViTPose");
    if (!s) s = gv_checkpoint_open(&c, path, "ViTPose", "keypoint_head.final_layer.weight", err);
    if (!s && !(v->arena = gv_arena_create(0))) s = gv_fail(err, GV_ERR_MEMORY, "no memory for ViTPose");
    if (!s) s = gv_nn_create(&v->nn, omp_get_max_threads(), device, err);
    if (!s) s = gv_nn_check(v->nn, precision, err);
    if (!s) s = gv_vit_create(&v->backbone, v->nn, c, precision, err);
    if (!s) s = take_head(v, c, err);
    if (!s) set_head(v);
    gv_checkpoint_close(c);
    if (v) v->batch = device ? DEVICE_BATCH : BATCH;
    if (device) s = gv_device_settle(device, s, err);
    if (s)
        gv_vitpose_close(v);
    else
        *out = v;
    return s;
}

void gv_vitpose_close(gv_vitpose *v) {
    if (!v) return;
    gv_vit_destroy(v->backbone);
    for (int k = 0; k < 2; k++)
        for (int p = 0; p < 4; p++) gv_linear_destroy(v->deconv[k].phase[p]);
    gv_linear_destroy(v->final);
    gv_nn_destroy(v->nn);
    gv_arena_destroy(v->arena);
    free(v);
}

// ---- running

typedef struct head_run {
    gv_vitpose *v;
    int n, rows;             // pictures; rows of a block
    const float *tokens;     // [n, 16, 12, D]
    float *middle;           // [n, 32, 24, F]
    float *maps;             // [n, 17, 64, 48]
    float **gathered, **out; // [threads]: [rows, 4 in], [rows, F] twice
} head_run;

// Row (i, j) of the product of this phase: its four input pixels, zero beyond the picture [h, w, in].
static void gather(float *to, const float *picture, int h, int w, int in, int phase, int i, int j) {
    for (int tap = 0; tap < 4; tap++, to += in) {
        int y = i + tap_shift[phase / 2][tap / 2], x = j + tap_shift[phase % 2][tap % 2];
        if (y < 0 || y >= h || x < 0 || x >= w)
            memset(to, 0, (size_t)in * sizeof *to);
        else
            memcpy(to, picture + ((size_t)y * w + x) * in, (size_t)in * sizeof *to);
    }
}

// Block `block` of this phase of picture [h, w, in]: its rows of output, [rows, out].
static int deconvolve(const head_run *r, const deconvolution *d, const float *picture, int h, int w, int phase,
                      int block, int thread, float *out) {
    float *rows = r->gathered[thread];
    for (int i = 0; i < r->rows; i++) {
        int at = block * r->rows + i;
        gather(rows + (size_t)i * 4 * d->in, picture, h, w, d->in, phase, at / w, at % w);
    }
    return gv_linear_run(d->phase[phase], thread, rows, out);
}

static int first_block(const head_run *r, int picture, int phase, int block, int thread) {
    const deconvolution *d = &r->v->deconv[0];
    enum { H = GV_VIT_ROWS, W = GV_VIT_COLUMNS };
    float *out = r->out[thread], *to = r->middle + (size_t)picture * 4 * H * W * d->out;
    int bad = deconvolve(r, d, r->tokens + (size_t)picture * H * W * d->in, H, W, phase, block, thread, out);
    for (int i = 0; i < r->rows; i++) {
        int at = block * r->rows + i, y = 2 * (at / W) + phase / 2, x = 2 * (at % W) + phase % 2;
        memcpy(to + ((size_t)y * 2 * W + x) * d->out, out + (size_t)i * d->out, (size_t)d->out * sizeof *to);
    }
    return bad;
}

static int second_block(const head_run *r, int picture, int phase, int block, int thread) {
    const deconvolution *d = &r->v->deconv[1];
    enum { H = 2 * GV_VIT_ROWS, W = 2 * GV_VIT_COLUMNS };
    float *out = r->out[thread], *joints = out + (size_t)r->rows * d->out, *maps = r->maps + (size_t)picture * MAP;
    int bad = deconvolve(r, d, r->middle + (size_t)picture * H * W * d->in, H, W, phase, block, thread, out);
    bad |= gv_linear_run(r->v->final, thread, out, joints);
    for (int i = 0; i < r->rows; i++) {
        int at = block * r->rows + i, y = 2 * (at / W) + phase / 2, x = 2 * (at % W) + phase % 2;
        for (int j = 0; j < J; j++) maps[(j * 2 * H + y) * 2 * W + x] = joints[i * J + j];
    }
    return bad;
}

static gv_status run_head(head_run *r, gv_error *err) {
    int blocks = GV_VIT_TOKENS / r->rows, failed = 0;
#pragma omp parallel reduction(| : failed) num_threads(gv_nn_threads(r->v->nn))
    {
        int thread = omp_get_thread_num();
#pragma omp for schedule(static)
        for (int i = 0; i < r->n * 4 * blocks; i++)
            failed |= first_block(r, i / (4 * blocks), i / blocks % 4, i % blocks, thread);
#pragma omp for schedule(static)
        for (int i = 0; i < r->n * 16 * blocks; i++)
            failed |= second_block(r, i / (16 * blocks), i / (4 * blocks) % 4, i % (4 * blocks), thread);
    }
    return failed ? gv_fail(err, GV_ERR_INTERNAL, "oneDNN failed to run a layer of the keypoint head") : GV_OK;
}

static gv_status allocate(head_run *r, gv_vitpose *v, float **tokens, gv_error *err) {
    const deconvolution *d = v->deconv;
    size_t n = (size_t)r->n, rows = (size_t)r->rows, in = (size_t)(d[0].in > d[1].in ? d[0].in : d[1].in),
           out = (size_t)(d[0].out > d[1].out ? d[0].out : d[1].out);
    int threads = gv_nn_threads(v->nn);
    gv_arena_reset(v->arena);
    *tokens = gv_arena_alloc(v->arena, n * GV_VIT_TOKENS, (size_t)d[0].in * sizeof(float));
    r->middle = gv_arena_alloc(v->arena, n * 4 * GV_VIT_TOKENS, (size_t)d[1].in * sizeof(float));
    r->maps = gv_arena_alloc(v->arena, n, MAP * sizeof(float));
    r->gathered = gv_arena_alloc(v->arena, (size_t)threads, sizeof *r->gathered);
    r->out = gv_arena_alloc(v->arena, (size_t)threads, sizeof *r->out);
    bool ok = *tokens && r->middle && r->maps && r->gathered && r->out;
    for (int i = 0; i < threads && ok; i++) {
        r->gathered[i] = gv_arena_alloc(v->arena, rows, 4 * in * sizeof(float));
        r->out[i] = gv_arena_alloc(v->arena, rows, (out + out + J) * sizeof(float));
        ok = r->gathered[i] && r->out[i];
    }
    return ok ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory for %d pictures at once", r->n);
}

// h = (a + mirror(b)) / 2, left and right joints exchanged in b.
static void average_mirrored(float *h, const float *a, const float *b) {
    enum { W = GV_HEATMAP_COLUMNS };
    for (int j = 0; j < J; j++) {
        int other = j == 0 ? 0 : j % 2 ? j + 1 : j - 1;
        for (int y = 0; y < GV_HEATMAP_ROWS; y++) {
            int row = (j * GV_HEATMAP_ROWS + y) * W, mirrored = (other * GV_HEATMAP_ROWS + y) * W;
            for (int x = 0; x < W; x++) h[row + x] = (a[row + x] + b[mirrored + W - 1 - x]) * 0.5f;
        }
    }
}

// n people, BATCH pictures at most.
static gv_status run_on_processor(gv_vitpose *v, const float *crops, int n, bool flip, float *heatmaps, gv_error *err) {
    const float *pictures[BATCH];
    bool mirrored[BATCH];
    float *tokens;
    head_run r = {.v = v, .n = flip ? 2 * n : n};
    r.rows = gv_vit_rows(r.n, gv_nn_threads(v->nn));
    for (int i = 0; i < r.n; i++) {
        pictures[i] = crops + (size_t)(i % n) * CROP;
        mirrored[i] = i >= n;
    }
    gv_status s = allocate(&r, v, &tokens, err);
    if (!s) s = gv_vit_run(v->backbone, pictures, mirrored, r.n, tokens, NULL, err);
    r.tokens = tokens;
    if (!s) s = run_head(&r, err);
    for (int i = 0; i < n && !s; i++) {
        const float *map = r.maps + (size_t)i * MAP;
        if (flip)
            average_mirrored(heatmaps + (size_t)i * MAP, map, map + (size_t)n * MAP);
        else
            memcpy(heatmaps + (size_t)i * MAP, map, MAP * sizeof *map);
    }
    return s;
}

// ---- running on a device: the head's four phases are products of all pictures' rows

typedef struct image { // channels last, there
    const float *data;
    int n, height, width, channels;
} image;

enum { MAPS, GATHERED, PRODUCT, MIDDLE, LAST }; // pieces of the head's memory

// The deconvolution of `in`, or with `final` that and the last layer behind it: planes [n, J, 2 height, 2 width].
static image queue_deconvolution(const gv_vitpose *v, const deconvolution *c, const image *in, const gv_linear *final,
                                 float *data, void *const *memory) {
    gv_device *d = gv_nn_device(v->nn);
    const int64_t rows = (int64_t)in->n * in->height * in->width;
    const image out = {data, in->n, 2 * in->height, 2 * in->width, final ? J : c->out};
    float *gathered = memory[GATHERED], *product = memory[PRODUCT], *last = final ? memory[LAST] : product;
    for (int p = 0; p < 4; p++) {
        gv_kernel(d, gather_taps, .y = gathered, .x = in->data, .n = in->n, .height = in->height, .width = in->width,
                  .channels = in->channels, .phase = p);
        gv_linear_queue(c->phase[p], gathered, product, rows);
        if (final) gv_linear_queue(final, product, last, rows);
        gv_kernel(d, scatter_phase, .y = data, .x = last, .n = in->n, .height = in->height, .width = in->width,
                  .channels = out.channels, .phase = p, .planes = final != NULL);
    }
    return out;
}

// Tokens to heatmaps.
static void queue_head(const void *user, const float *tokens, int n, void *const memory[GV_VIT_PIECES]) {
    const gv_vitpose *v = user;
    const image first = {tokens, n, GV_VIT_ROWS, GV_VIT_COLUMNS, v->deconv[0].in};
    const image middle = queue_deconvolution(v, &v->deconv[0], &first, NULL, memory[MIDDLE], memory);
    queue_deconvolution(v, &v->deconv[1], &middle, v->final, memory[MAPS], memory);
}

static void set_head(gv_vitpose *v) {
    enum { T = GV_VIT_TOKENS };
    const size_t in[2] = {4 * (size_t)v->deconv[0].in, 4 * 4 * (size_t)v->deconv[1].in},
                 out[2] = {(size_t)v->deconv[0].out, 4 * (size_t)v->deconv[1].out};
    gv_vit_head head = {.queue = queue_head, .user = v};
    head.bytes[MAPS] = MAP * sizeof(float);
    head.bytes[GATHERED] = T * (in[0] > in[1] ? in[0] : in[1]) * sizeof(float);
    head.bytes[PRODUCT] = T * (out[0] > out[1] ? out[0] : out[1]) * sizeof(float);
    head.bytes[MIDDLE] = T * 4 * out[0] * sizeof(float);
    head.bytes[LAST] = T * 4 * J * sizeof(float);
    gv_vit_set_head(v->backbone, &head);
}

typedef struct task {
    gv_vitpose *v;
    const gv_crops *crops;
    const float *boxes; // [n, 3]
    float *heatmaps;    // [n, 17, 64, 48], or NULL:
    float *kp2d;        // [n, 17, 3]
    bool flip;
} task;

static gv_status run_on_device(const task *t, int first, int n, gv_error *err) {
    gv_vitpose *v = t->v;
    gv_device *d = gv_nn_device(v->nn);
    int pictures = t->flip ? 2 * n : n;
    int32_t index[DEVICE_BATCH];
    for (int i = 0; i < pictures; i++) index[i] = i < n ? i : -1 - (i - n);
    const float *crops = gv_crops_place(d, t->crops, first, n);
    float *maps = gv_vit_queue(v->backbone, crops, index, pictures, NULL);
    if (t->flip && maps)
        gv_kernel(d, average_mirrored, .y = maps, .a = maps, .b = maps + (size_t)n * MAP, .n = n, .joints = J,
                  .height = GV_HEATMAP_ROWS, .width = GV_HEATMAP_COLUMNS);
    if (t->heatmaps) {
        gv_device_download(d, t->heatmaps + (size_t)first * MAP, maps, (size_t)n * MAP * sizeof *maps);
        return gv_vit_finish(v->backbone, err);
    }
    float *boxes = gv_device_alloc(d, (size_t)n, 3 * sizeof *boxes),
          *kp2d = gv_device_alloc(d, (size_t)n, 3 * J * sizeof *kp2d);
    gv_device_upload(d, boxes, t->boxes + 3 * (size_t)first, (size_t)n * 3 * sizeof *boxes);
    gv_kernel(d, decode_heatmaps, .kp2d = kp2d, .maps = maps, .boxes = boxes, .n = n, .joints = J);
    gv_device_download(d, t->kp2d + (size_t)first * 3 * J, kp2d, (size_t)n * 3 * J * sizeof *kp2d);
    return gv_vit_finish(v->backbone, err);
}

static gv_status run_batch(void *user, int first, int n, gv_error *err) {
    const task *t = user;
    if (gv_nn_device(t->v->nn)) return run_on_device(t, first, n, err);
    return run_on_processor(t->v, t->crops->numbers + (size_t)first * CROP, n, t->flip,
                            t->heatmaps + (size_t)first * MAP, err);
}

static gv_status run_batches(task *t, int n, gv_error *err) {
    gv_vitpose *v = t->v;
    int each = t->flip ? 2 : 1, people = v->batch > each ? v->batch / each : 1;
    gv_status s = gv_device_batches(n, &people, run_batch, t, err);
    v->batch = people * each;
    return s;
}

gv_status gv_vitpose_heatmaps(gv_vitpose *v, const float *crops, int n, bool flip, float *heatmaps, gv_error *err) {
    return run_batches(&(task){v, &(gv_crops){.numbers = crops}, NULL, heatmaps, NULL, flip}, n, err);
}

gv_status gv_vitpose_run(gv_vitpose *v, const gv_crops *crops, const float *bbx_xys, int n, bool flip, float *kp2d,
                         gv_error *err) {
    task t = {v, crops, bbx_xys, NULL, kp2d, flip};
    if (gv_nn_device(v->nn)) return run_batches(&t, n, err);
    t.heatmaps = gv_calloc2((size_t)n, MAP * sizeof *t.heatmaps);
    if (!t.heatmaps) return gv_fail(err, GV_ERR_MEMORY, "no memory for the heatmaps of %d people", n);
    gv_status s = run_batches(&t, n, err);
    for (int i = 0; i < n && !s; i++)
        gv_vitpose_decode(kp2d + 3 * J * i, t.heatmaps + (size_t)i * MAP, bbx_xys + 3 * i);
    free(t.heatmaps);
    return s;
}
