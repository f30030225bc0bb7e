#include "perception/yolo_net.h"

#include "base/memory.h"
#include "formats/elements.h"
#include "nn/blocked.h"
#include "nn/conv.h"
#include "nn/kernels.h"
#include "perception/checkpoint.h"
#include "perception/crop.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = GV_BLOCK,
    MAX_STEPS = 512,
    MAX_BUFFERS = 256,
    MAX_WIDTH = 8192,
    MAX_REPEAT = 64,
    LAYERS = 23,
    DETECT = 22,
    ANSWER = 1 + 5 * GV_YOLO_MAX, // numbers of a picture's people
};
static const float BATCH_NORM_EPS = 1e-3f;

// Pictures of `channels` at 1 / 2^level of the input's size, and the steps between which they are in use.
typedef struct buffer {
    int channels, level;
    bool f32; // even in bfloat16: what is read out
    int first, last;
    size_t offset, bytes;
} buffer;

typedef struct place { // channels of a buffer from `channel` (a multiple of 16) on
    int buffer, channel;
} place;

typedef enum operation { CONVOLVE, UPSAMPLE, POOL } operation;

typedef struct step {
    operation op;
    place in, out, addend;
    int channels; // UPSAMPLE, POOL; of the output of CONVOLVE
    gv_conv *conv;
    gv_linear *linear;            // on a device instead of it
    int channels_in, side, pitch; // CONVOLVE: pixels of the window and between windows
    bool add, silu;
    double work; // multiply-adds per output pixel
} step;

// On a device: where the largest convolution's windows [pixels, side side channels] and product [pixels, channels] have
// room, every cell's score and sides [cells, 5], and the people. The layers come again and again with the same
// addresses, picture after picture, whose people are put aside.
typedef struct room {
    void *windows;
    float *product, *cells, *people;
    float *answers;         // [GV_YOLO_BATCH, ANSWER]
    gv_device_again layers; // recorded in the second run of a size
} room;

// Where pictures lie until they have been shrunk.
typedef struct pictures {
    uint8_t *rgb; // [room, bytes]
    size_t bytes;
    int room;
} pictures;

struct gv_yolo_net {
    char *path;
    bool bf16, keep_all;
    int classes, height, width;
    gv_conv_engine *engine;
    gv_nn *nn;                           // on a device; else NULL, and nothing of it is used
    float people[GV_YOLO_BATCH][ANSWER]; // of the last run on a device
    buffer buffers[MAX_BUFFERS];
    step steps[MAX_STEPS];
    int nbuffers, nsteps;
    place layer[LAYERS]; // output of model.N
    int layer_channels[LAYERS];
    int input, sides[GV_YOLO_LEVELS], scores[GV_YOLO_LEVELS]; // buffers
    uint8_t *planes;                                          // [3, height, width]
    unsigned char *memory;                                    // the device's
    size_t scratch;                                           // offset in memory
    room room;
    pictures pictures;
};

typedef struct builder {
    gv_yolo_net *net;
    gv_checkpoint *file;
    gv_status status; // the first error; nothing is done after it
    gv_error *err;
} builder;

// ---- Shapes and weights ---------------------------------------------------------------------------------

static void refuse(builder *b, const char *found) {
    b->status = gv_checkpoint_fail(b->file, GV_ERR_FORMAT,
                                   "%s, expected the weights of a YOLOv8 detector (yolov8n.pt to yolov8x.pt)", found);
}

// Output channels of a convolution; 0 after an error.
static int width_of(builder *b, const char *prefix) {
    if (b->status != GV_OK) return 0;
    const gv_tensor *t = gv_checkpoint_find(b->file, "%s.conv.weight", prefix);
    if (t && t->ndim == 4 && t->shape[0] > 0 && t->shape[0] <= MAX_WIDTH) return (int)t->shape[0];
    char what[200];
    snprintf(what, sizeof what,
             t ? "tensor \"%s.conv.weight\" is no convolution of up to 8192 channels"
               : "has no tensor \"%s.conv.weight\"",
             prefix);
    refuse(b, what);
    return 0;
}

// To be freed; NULL after an error.
static float *take(builder *b, const char *prefix, const char *suffix, const int64_t *shape, int ndim) {
    if (b->status != GV_OK) return NULL;
    float *v = gv_checkpoint_copy(b->file, shape, ndim, "%s%s", prefix, suffix);
    if (!v) b->status = gv_checkpoint_status(b->file);
    return v;
}

// [o, i, k, k] -> [o, k, k, i], row o times scale[o] (NULL: 1).
static float *to_channels_last(const float *w, const float *scale, int oc, int ic, int k) {
    float *out = gv_calloc2((size_t)oc * ic, (size_t)k * k * sizeof *out);
    for (int o = 0; out && o < oc; o++)
        for (int i = 0; i < ic; i++)
            for (int j = 0; j < k * k; j++)
                out[((size_t)o * k * k + j) * ic + i] = w[((size_t)o * ic + i) * k * k + j] * (scale ? scale[o] : 1);
    return out;
}

// y = (x - mean) / sqrt(var + eps) * weight + bias of batch norm: scale [n] and shift [n].
static void read_batch_norm(builder *b, const char *prefix, int n, float **scale, float **shift) {
    const int64_t shape[1] = {n};
    *scale = take(b, prefix, ".bn.weight", shape, 1);
    *shift = take(b, prefix, ".bn.bias", shape, 1);
    float *mean = take(b, prefix, ".bn.running_mean", shape, 1);
    float *var = take(b, prefix, ".bn.running_var", shape, 1);
    for (int i = 0; b->status == GV_OK && i < n; i++) {
        float spread = var[i] + BATCH_NORM_EPS;
        if (!(spread > 0)) {
            b->status =
                gv_checkpoint_fail(b->file, GV_ERR_FORMAT, "tensor \"%s.bn.running_var\" is negative (%g at %d)",
                                   prefix, (double)var[i], i);
            break;
        }
        (*scale)[i] /= sqrtf(spread);
        (*shift)[i] -= mean[i] * (*scale)[i];
    }
    free(mean);
    free(var);
}

// ---- The network as a list of steps ---------------------------------------------------------------------

static int new_buffer(builder *b, int channels, int level) {
    gv_yolo_net *n = b->net;
    if (b->status != GV_OK) return 0;
    if (n->nbuffers == MAX_BUFFERS || channels > MAX_WIDTH * 8) {
        refuse(b, "too many layers or channels");
        return 0;
    }
    n->buffers[n->nbuffers] = (buffer){.channels = channels, .level = level};
    return n->nbuffers++;
}

static place at(place p, int channels) {
    return (place){p.buffer, p.channel + channels};
}

static step *new_step(builder *b, operation op, place in, place out) {
    gv_yolo_net *n = b->net;
    if (b->status == GV_OK && n->nsteps == MAX_STEPS) refuse(b, "too many layers");
    if (b->status == GV_OK && in.channel % BLOCK + out.channel % BLOCK)
        refuse(b, "layer widths are no multiples of 16");
    if (b->status != GV_OK) return NULL;
    step *s = &n->steps[n->nsteps++];
    *s = (step){.op = op, .in = in, .out = out};
    return s;
}

typedef struct kernel {
    int size, stride;
    bool norm; // batch norm and SiLU follow; else it has a bias
    const place *addend;
} kernel;

// Adds a convolution of `ic` channels and returns the channels it gives. Planned for a small picture at first.
static int convolve(builder *b, const char *prefix, kernel k, place in, int ic, place out) {
    char bare[100];
    snprintf(bare, sizeof bare, "%s%s", prefix, k.norm ? ".conv" : "");
    const gv_tensor *t = gv_checkpoint_find(b->file, "%s.weight", bare);
    int oc = t && t->ndim == 4 && t->shape[0] > 0 && t->shape[0] <= MAX_WIDTH ? (int)t->shape[0] : 1;
    float *w = take(b, bare, ".weight", (int64_t[]){oc, ic, k.size, k.size}, 4), *scale = NULL, *shift = NULL;
    if (k.norm)
        read_batch_norm(b, prefix, oc, &scale, &shift);
    else
        shift = take(b, bare, ".bias", (int64_t[]){oc}, 1);
    if (ic < BLOCK && in.buffer != b->net->input) refuse(b, "layer widths are below 16");
    step *s = new_step(b, CONVOLVE, in, out);
    float *packed = s ? to_channels_last(w, scale, oc, ic, k.size) : NULL;
    if (s && !packed) b->status = gv_checkpoint_fail(b->file, GV_ERR_MEMORY, "no memory");
    if (packed) {
        gv_yolo_net *n = b->net;
        const buffer *target = &n->buffers[out.buffer];
        int edge = 8 * k.stride, pad = k.size / 2;
        gv_conv_spec spec = {.n = 1,
                             .h = edge,
                             .w = edge,
                             .c = ic,
                             .oc = oc,
                             .kh = k.size,
                             .kw = k.size,
                             .stride = {k.stride, k.stride},
                             .dilation = {1, 1},
                             .before = {pad, pad},
                             .after = {pad, pad},
                             .blocked = true,
                             .bf16_in = n->bf16,
                             .bf16_out = n->bf16 && !target->f32,
                             .silu = k.norm,
                             .add = k.addend,
                             .weights = packed,
                             .bias = shift};
        s->add = k.addend;
        if (k.addend) s->addend = *k.addend;
        s->work = (double)oc * ic * k.size * k.size;
        s->channels_in = ic, s->channels = oc, s->side = k.size, s->pitch = k.stride, s->silu = k.norm;
        const gv_linear_spec product = {
            .in = ic * k.size * k.size, .out = oc, .bf16_in = n->bf16 && in.buffer != n->input};
        b->status = n->nn ? gv_linear_create(&s->linear, n->nn, &product, packed, shift, b->err)
                          : gv_conv_create(&s->conv, n->engine, &spec, b->err);
    }
    free(w);
    free(scale);
    free(shift);
    free(packed);
    return oc;
}

static const kernel POINT = {1, 1, true, NULL}, WINDOW = {3, 1, true, NULL}, HALVE = {3, 2, true, NULL};

// Records where the output of model.N is.
static place output(builder *b, int layer, place p, int channels) {
    b->net->layer[layer] = p;
    b->net->layer_channels[layer] = channels;
    return p;
}

static int layer_width(builder *b, int layer, const char *last) {
    char name[64];
    snprintf(name, sizeof name, "model.%d%s", layer, last);
    return width_of(b, name);
}

static place downsample(builder *b, int layer, place in, int ic, place out) {
    char name[64];
    snprintf(name, sizeof name, "model.%d", layer);
    int oc = convolve(b, name, HALVE, in, ic, out);
    return output(b, layer, out, oc);
}

// C2f: halves a, b of a 1x1 convolution, then repeated pairs of 3x3 convolutions; everything concatenated, then 1x1.
static place split_and_join(builder *b, int layer, place in, int ic, bool shortcut, place out) {
    char name[64], inner[96];
    snprintf(name, sizeof name, "model.%d.cv1", layer);
    int both = width_of(b, name), half = both / 2, repeats = 0, level = b->net->buffers[out.buffer].level;
    if (both % (2 * BLOCK)) refuse(b, "layer widths are no multiples of 16");
    for (; repeats < MAX_REPEAT; repeats++) {
        snprintf(inner, sizeof inner, "model.%d.m.%d.cv1", layer, repeats);
        if (!gv_checkpoint_find(b->file, "%s.conv.weight", inner)) break;
    }
    place parts = {new_buffer(b, (2 + repeats) * half, level), 0}, middle = {new_buffer(b, half, level), 0};
    convolve(b, name, POINT, in, ic, parts);
    for (int i = 0; i < repeats; i++) {
        place from = at(parts, (1 + i) * half), to = at(parts, (2 + i) * half);
        snprintf(inner, sizeof inner, "model.%d.m.%d.cv1", layer, i);
        if (width_of(b, inner) != half) refuse(b, "a layer inside C2f has another width");
        convolve(b, inner, WINDOW, from, half, middle);
        snprintf(inner, sizeof inner, "model.%d.m.%d.cv2", layer, i);
        if (width_of(b, inner) != half) refuse(b, "a layer inside C2f has another width");
        convolve(b, inner, (kernel){3, 1, true, shortcut ? &from : NULL}, middle, half, to);
    }
    snprintf(name, sizeof name, "model.%d.cv2", layer);
    int oc = convolve(b, name, POINT, parts, (2 + repeats) * half, out);
    return output(b, layer, out, oc);
}

// SPPF: 1x1, three max-poolings in a row, the four concatenated, 1x1.
static place pool_pyramid(builder *b, place in, int ic, place out) {
    int half = width_of(b, "model.9.cv1");
    if (half % BLOCK) refuse(b, "layer widths are no multiples of 16");
    place parts = {new_buffer(b, 4 * half, 5), 0};
    convolve(b, "model.9.cv1", POINT, in, ic, parts);
    for (int i = 0; i < 3; i++) {
        step *s = new_step(b, POOL, at(parts, i * half), at(parts, (i + 1) * half));
        if (s) s->channels = half;
    }
    int oc = convolve(b, "model.9.cv2", POINT, parts, 4 * half, out);
    return output(b, 9, out, oc);
}

static void upsample(builder *b, place in, int channels, place out) {
    step *s = new_step(b, UPSAMPLE, in, out);
    if (s) s->channels = channels;
}

static int head_branch(builder *b, const char *branch, int level, place in, int ic) {
    char name[64];
    gv_yolo_net *n = b->net;
    snprintf(name, sizeof name, "model.22.%s.%d.0", branch, level);
    int middle = width_of(b, name);
    place first = {new_buffer(b, middle, level + 3), 0};
    convolve(b, name, WINDOW, in, ic, first);
    snprintf(name, sizeof name, "model.22.%s.%d.1", branch, level);
    int inner = width_of(b, name);
    place second = {new_buffer(b, inner, level + 3), 0};
    convolve(b, name, WINDOW, first, middle, second);
    snprintf(name, sizeof name, "model.22.%s.%d.2", branch, level);
    const gv_tensor *t = gv_checkpoint_find(b->file, "%s.weight", name);
    int oc = branch[2] == '2'                                                   ? 4 * GV_YOLO_BINS
             : t && t->ndim == 4 && t->shape[0] > 0 && t->shape[0] <= MAX_WIDTH ? (int)t->shape[0]
                                                                                : 1;
    if (branch[2] == '3' && level > 0 && oc != n->classes)
        refuse(b, "its three scales differ in their number of classes");
    if (branch[2] == '3') n->classes = oc;
    int last = new_buffer(b, oc, level + 3);
    n->buffers[last].f32 = true;
    if (convolve(b, name, (kernel){1, 1, false, NULL}, second, inner, (place){last, 0}) != oc && b->status == GV_OK)
        refuse(b, "its boxes have another number of bins than 16");
    return last;
}

// The table of SPEC-perception 6.2. Concatenations: 11 = [10, 6], 14 = [13, 4], 17 = [16, 12], 20 = [19, 9].
static void build(builder *b) {
    gv_yolo_net *n = b->net;
    int c[LAYERS] = {0};
    static const char *const last[LAYERS] = {"",     "",     ".cv2", "",   ".cv2", "",     ".cv2", "",
                                             ".cv2", ".cv2", NULL,   NULL, ".cv2", NULL,   NULL,   ".cv2",
                                             "",     NULL,   ".cv2", "",   NULL,   ".cv2", NULL};
    for (int i = 0; i < DETECT; i++)
        if (last[i]) c[i] = layer_width(b, i, last[i]);
    if (b->status != GV_OK) return;
    int cat11 = new_buffer(b, c[9] + c[6], 4), cat14 = new_buffer(b, c[12] + c[4], 3);
    int cat17 = new_buffer(b, c[16] + c[12], 4), cat20 = new_buffer(b, c[19] + c[9], 5);
    n->input = new_buffer(b, 3, 0);
    n->buffers[n->input].f32 = n->nn;
    place p = downsample(b, 0, (place){n->input, 0}, 3, (place){new_buffer(b, c[0], 1), 0});
    p = downsample(b, 1, p, c[0], (place){new_buffer(b, c[1], 2), 0});
    p = split_and_join(b, 2, p, c[1], true, (place){new_buffer(b, c[2], 2), 0});
    p = downsample(b, 3, p, c[2], (place){new_buffer(b, c[3], 3), 0});
    p = split_and_join(b, 4, p, c[3], true, (place){cat14, c[12]});
    p = downsample(b, 5, p, c[4], (place){new_buffer(b, c[5], 4), 0});
    p = split_and_join(b, 6, p, c[5], true, (place){cat11, c[9]});
    p = downsample(b, 7, p, c[6], (place){new_buffer(b, c[7], 5), 0});
    p = split_and_join(b, 8, p, c[7], true, (place){new_buffer(b, c[8], 5), 0});
    p = pool_pyramid(b, p, c[8], (place){cat20, c[19]});
    upsample(b, p, c[9], (place){cat11, 0});
    p = split_and_join(b, 12, (place){cat11, 0}, c[9] + c[6], false, (place){cat17, c[16]});
    upsample(b, p, c[12], (place){cat14, 0});
    place fine = split_and_join(b, 15, (place){cat14, 0}, c[12] + c[4], false, (place){new_buffer(b, c[15], 3), 0});
    downsample(b, 16, fine, c[15], (place){cat17, 0});
    place mid = split_and_join(b, 18, (place){cat17, 0}, c[16] + c[12], false, (place){new_buffer(b, c[18], 4), 0});
    downsample(b, 19, mid, c[18], (place){cat20, 0});
    place coarse = split_and_join(b, 21, (place){cat20, 0}, c[19] + c[9], false, (place){new_buffer(b, c[21], 5), 0});
    const place from[GV_YOLO_LEVELS] = {fine, mid, coarse};
    const int channels[GV_YOLO_LEVELS] = {c[15], c[18], c[21]};
    for (int i = 0; i < GV_YOLO_LEVELS && b->status == GV_OK; i++) {
        n->sides[i] = head_branch(b, "cv2", i, from[i], channels[i]);
        n->scores[i] = head_branch(b, "cv3", i, from[i], channels[i]);
    }
}

// Layer of the detection head, -1 where there is none.
static int head_layer(const builder *b) {
    for (int i = 0; i < 64; i++)
        if (gv_checkpoint_find(b->file, "model.%d.dfl.conv.weight", i)) return i;
    return -1;
}

// Other YOLOs, by what only they have.
static void check_kind(builder *b) {
    char other[100];
    const char *found = NULL;
    if (gv_checkpoint_find(b->file, "model.9.linear.weight")) {
        found = "is a YOLO for classification";
    } else if (gv_checkpoint_find(b->file, "model.22.proto.cv1.conv.weight")) {
        found = "is a YOLOv8 for segmentation";
    } else if (gv_checkpoint_find(b->file, "model.22.cv4.0.0.conv.weight")) {
        found = "is a YOLOv8 for poses or rotated boxes";
    } else if (!gv_checkpoint_find(b->file, "model.22.cv2.0.0.conv.weight")) {
        snprintf(other, sizeof other, "is another version of YOLO (its head is layer %d, not 22)", head_layer(b));
        found = head_layer(b) < 0 ? "is another version of YOLO (no detection head at layer 22)" : other;
    }
    if (found) refuse(b, found);
}

gv_status gv_yolo_net_open(gv_yolo_net **out, const char *path, gv_precision precision, gv_device *device,
                           gv_error *err) {
    *out = NULL;
    if (precision == GV_PRECISION_BF16 && !device && !gv_nn_has_bf16(NULL))
        return gv_fail(err, GV_ERR_ARGUMENT, "this processor does not multiply bfloat16 (no AVX512_BF16): use float32");
    gv_error own = {0};
    builder b = {.err = err ? err : &own};
    b.status = gv_checkpoint_open(&b.file, path, "YOLOv8", "model.0.conv.weight", b.err);
    if (b.status != GV_OK) return b.status;
    gv_checkpoint_allow_types(b.file); // float16 as released, anything else as well
    gv_yolo_net *n = b.net = gv_calloc2(1, sizeof *n);
    if (n) n->path = strdup(path);
    if (n && n->path && device) b.status = gv_nn_create(&n->nn, 1, device, b.err);
    if (n && n->path && !device) n->engine = gv_conv_engine_create(1);
    if (n && (n->engine || n->nn)) {
        n->bf16 = precision == GV_PRECISION_BF16;
        check_kind(&b);
        if (b.status == GV_OK) build(&b);
        if (device) b.status = gv_device_settle(device, b.status, b.err);
    } else {
        b.status = gv_checkpoint_fail(b.file, GV_ERR_MEMORY, "no memory");
    }
    gv_checkpoint_close(b.file);
    if (b.status != GV_OK)
        gv_yolo_net_close(n);
    else
        *out = n;
    return b.status;
}

static void free_pictures(gv_yolo_net *n) {
    if (n->nn) gv_device_drop(gv_nn_device(n->nn), n->pictures.rgb);
    n->pictures = (pictures){0};
}

static void free_memory(gv_yolo_net *n) {
    if (n->nn) {
        gv_device *d = gv_nn_device(n->nn);
        gv_device_forget_again(d, &n->room.layers);
        gv_device_drop(d, n->room.windows);
        gv_device_drop(d, n->room.product);
        gv_device_drop(d, n->room.cells);
        gv_device_drop(d, n->room.people);
        gv_device_drop(d, n->room.answers);
        n->room = (room){0};
    }
    if (n->nn)
        gv_device_drop(gv_nn_device(n->nn), n->memory);
    else
        free(n->memory);
}

void gv_yolo_net_close(gv_yolo_net *n) {
    if (!n) return;
    for (int i = 0; i < n->nsteps; i++) {
        gv_conv_destroy(n->steps[i].conv);
        gv_linear_destroy(n->steps[i].linear);
    }
    gv_conv_engine_destroy(n->engine);
    free_memory(n);
    free_pictures(n);
    gv_nn_destroy(n->nn);
    free(n->planes);
    free(n->path);
    free(n);
}

int gv_yolo_net_classes(const gv_yolo_net *n) {
    return n->classes;
}

// ---- Planning for a size --------------------------------------------------------------------------------

static int rows(const gv_yolo_net *n, const buffer *b) {
    return n->height >> b->level;
}

static int columns(const gv_yolo_net *n, const buffer *b) {
    return n->width >> b->level;
}

static size_t element(const gv_yolo_net *n, const buffer *b) {
    return n->bf16 && !b->f32 ? 2 : 4;
}

// Channels of a buffer in memory: whole blocks. On a device, numbers from one pixel to the next.
static int stride_of(const gv_yolo_net *n, int k) {
    return k == n->input ? 3 : (n->buffers[k].channels + BLOCK - 1) / BLOCK * BLOCK;
}

static void touch(buffer *b, int when) {
    if (b->last < 0) b->first = when;
    b->last = when;
}

// Lifetimes in steps; outputs live to the end.
static void find_lifetimes(gv_yolo_net *n) {
    for (int i = 0; i < n->nbuffers; i++) n->buffers[i].last = -1;
    touch(&n->buffers[n->input], 0);
    for (int i = 0; i < n->nsteps; i++) {
        step *s = &n->steps[i];
        touch(&n->buffers[s->in.buffer], i);
        touch(&n->buffers[s->out.buffer], i);
    }
    for (int i = 0; i < GV_YOLO_LEVELS; i++)
        touch(&n->buffers[n->sides[i]], n->nsteps), touch(&n->buffers[n->scores[i]], n->nsteps);
    for (int i = 0; i < n->nbuffers && n->keep_all; i++) n->buffers[i].first = 0, n->buffers[i].last = n->nsteps;
}

static bool overlap_in_time(const buffer *a, const buffer *b) {
    return a->first <= b->last && b->first <= a->last;
}

// First fit, buffers in the order of their making: the lowest offset at which no placed buffer of the same time lies.
static size_t place_buffer(gv_yolo_net *n, int k) {
    buffer *b = &n->buffers[k];
    b->offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < k; i++) {
            const buffer *o = &n->buffers[i];
            if (!overlap_in_time(b, o) || b->offset >= o->offset + o->bytes || o->offset >= b->offset + b->bytes)
                continue;
            b->offset = o->offset + o->bytes;
            moved = true;
        }
    }
    return b->offset + b->bytes;
}

static size_t place_buffers(gv_yolo_net *n) {
    size_t total = 0;
    find_lifetimes(n);
    for (int i = 0; i < n->nbuffers; i++) {
        buffer *b = &n->buffers[i];
        size_t grain = n->nn ? 256 : 64;
        b->bytes = ((size_t)stride_of(n, i) * rows(n, b) * columns(n, b) * element(n, b) + grain - 1) / grain * grain;
        size_t end = place_buffer(n, i);
        if (end > total) total = end;
    }
    return total;
}

static void make_room(gv_yolo_net *n) {
    size_t windows = 1, product = 1, cells = (size_t)gv_yolo_cells_of(n->height, n->width, GV_YOLO_LEVELS);
    gv_device *d = gv_nn_device(n->nn);
    for (int i = 0; i < n->nsteps; i++) {
        const step *s = &n->steps[i];
        const buffer *out = &n->buffers[s->out.buffer];
        if (s->op != CONVOLVE) continue;
        size_t pixels = (size_t)rows(n, out) * columns(n, out), area = (size_t)s->side * s->side;
        size_t one = pixels * area * s->channels_in * element(n, &n->buffers[s->in.buffer]);
        if (one > windows) windows = one;
        if (pixels * s->channels > product) product = pixels * s->channels;
    }
    n->room.windows = gv_device_keep(d, NULL, windows, 1);
    n->room.product = gv_device_keep(d, NULL, product, sizeof(float));
    n->room.cells = gv_device_keep(d, NULL, cells, 5 * sizeof(float));
    n->room.people = gv_device_keep(d, NULL, ANSWER, sizeof(float));
    n->room.answers = gv_device_keep(d, NULL, GV_YOLO_BATCH * ANSWER, sizeof(float));
}

gv_status gv_yolo_net_resize(gv_yolo_net *n, int height, int width, gv_error *err) {
    if (height == n->height && width == n->width) return GV_OK;
    if (height < 32 || width < 32 || height > 4096 || width > 4096 || height % 32 || width % 32)
        return gv_fail(err, GV_ERR_ARGUMENT, "%s: input of %d x %d, expected multiples of 32 up to 4096", n->path,
                       width, height);
    n->height = height;
    n->width = width;
    size_t scratch = 0, bytes = place_buffers(n);
    gv_status status = GV_OK;
    for (int i = 0; i < n->nsteps && status == GV_OK; i++) {
        step *s = &n->steps[i];
        const buffer *in = &n->buffers[s->in.buffer];
        if (s->op != CONVOLVE || n->nn) continue;
        status = gv_conv_resize(s->conv, rows(n, in), columns(n, in), err);
        if (status == GV_OK && gv_conv_scratch(s->conv) > scratch) scratch = gv_conv_scratch(s->conv);
    }
    free_memory(n);
    free(n->planes);
    n->scratch = bytes;
    gv_device *d = n->nn ? gv_nn_device(n->nn) : NULL;
    n->memory = d ? gv_device_keep(d, NULL, 1, bytes) : gv_calloc2(1, bytes + scratch);
    n->planes = d ? NULL : gv_calloc2((size_t)height * width, 3);
    if (d) make_room(n);
    if (d && status == GV_OK) status = gv_device_finish(d, err);
    if (status == GV_OK && (!n->memory || (!d && !n->planes)))
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for an input of %d x %d", n->path, width, height);
    if (status != GV_OK) n->height = n->width = 0;
    return status;
}

// ---- Running --------------------------------------------------------------------------------------------

static void *address(const gv_yolo_net *n, place p) {
    const buffer *b = &n->buffers[p.buffer];
    size_t apart = n->nn ? 1 : (size_t)rows(n, b) * columns(n, b); // numbers from one channel to the next
    return n->memory + b->offset + p.channel * apart * element(n, b);
}

// Bytes to numbers from 0 to 1.
static void convert_input(gv_yolo_net *n) {
    float value[256];
    uint16_t half[256];
    for (int i = 0; i < 256; i++) value[i] = (float)i / 255;
    gv_elements_bf16_from_f32(half, value, 256);
    int64_t count = 3 * (int64_t)n->height * n->width;
    float *f32 = address(n, (place){n->input, 0});
    uint16_t *bf16 = address(n, (place){n->input, 0});
    if (n->bf16)
        for (int64_t i = 0; i < count; i++) bf16[i] = half[n->planes[i]];
    else
        for (int64_t i = 0; i < count; i++) f32[i] = value[n->planes[i]];
}

static gv_status run_on_processor(gv_yolo_net *n, gv_letterbox l, const gv_image *image, gv_error *err) {
    gv_status status = GV_OK;
    gv_letterbox_apply(n->planes, l, image);
    convert_input(n);
    for (int i = 0; i < n->nsteps && status == GV_OK; i++) {
        const step *s = &n->steps[i];
        const buffer *b = &n->buffers[s->in.buffer];
        const void *in = address(n, s->in);
        void *out = address(n, s->out);
        int blocks = s->channels / BLOCK;
        if (s->op == CONVOLVE)
            status = gv_conv_run_add(s->conv, 0, in, s->add ? address(n, s->addend) : NULL, out, n->memory + n->scratch,
                                     err);
        else if (s->op == UPSAMPLE)
            gv_blocked_upsample2(out, in, blocks, rows(n, b), columns(n, b), n->bf16);
        else
            gv_blocked_max5(out, in, blocks, rows(n, b), columns(n, b), n->bf16);
    }
    return status;
}

// ---- On a device: its own convolutions, or windows written out and products; and what lies between

// Windows of x written out: [rows columns, side side channels]. With a side and a step of 1 pixels without gaps.
static void queue_windows(const gv_yolo_net *n, const step *s, int side, int pitch) {
    const buffer *in = &n->buffers[s->in.buffer];
    gv_kernel(gv_nn_device(n->nn), windows, .y = n->room.windows, .x = address(n, s->in), .height = rows(n, in),
              .width = columns(n, in), .channels = s->channels_in, .stride = stride_of(n, s->in.buffer), .side = side,
              .step = pitch, .rows = rows(n, in) / pitch, .columns = columns(n, in) / pitch,
              .bf16 = element(n, in) == 2);
}

// By the device's own convolution, which gives the type it takes and no bias; false where it has none. A product it
// would not do better.
static bool queue_own(const gv_yolo_net *n, const step *s) {
    gv_device *d = gv_nn_device(n->nn);
    const buffer *in = &n->buffers[s->in.buffer];
    gv_device_convolution c = {.x = address(n, s->in),
                               .weight = gv_linear_weight(s->linear),
                               .y = n->room.product,
                               .height = rows(n, in),
                               .width = columns(n, in),
                               .channels = s->channels_in,
                               .out = s->channels,
                               .side = s->side,
                               .step = s->pitch,
                               .bf16 = element(n, in) == 2};
    if (s->side == 1 || !gv_device_convolves(d, &c)) return false;
    if (s->channels_in != stride_of(n, s->in.buffer)) {
        queue_windows(n, s, 1, 1);
        c.x = n->room.windows;
    }
    gv_device_convolve(d, &c);
    return true;
}

static void queue_convolution(const gv_yolo_net *n, const step *s) {
    const buffer *in = &n->buffers[s->in.buffer], *out = &n->buffers[s->out.buffer];
    const int64_t pixels = (int64_t)rows(n, out) * columns(n, out);
    const bool own = queue_own(n, s);
    if (!own) {
        const bool written = s->side > 1 || s->channels_in != stride_of(n, s->in.buffer);
        if (written) queue_windows(n, s, s->side, s->pitch);
        gv_linear_queue(s->linear, written ? n->room.windows : address(n, s->in), n->room.product, pixels);
    }
    gv_kernel(gv_nn_device(n->nn), place_rows, .y = address(n, s->out), .x = n->room.product,
              .bias = own ? gv_linear_bias(s->linear) : NULL, .addend = s->add ? address(n, s->addend) : NULL,
              .rows = pixels, .width = s->channels, .y_stride = stride_of(n, s->out.buffer),
              .addend_stride = s->add ? stride_of(n, s->addend.buffer) : 0,
              .activation = s->silu ? GV_ACTIVATE_SILU : GV_ACTIVATE_NONE, .bf16 = element(n, out) == 2,
              .bf16_x = own && element(n, in) == 2);
}

static void queue_step(const gv_yolo_net *n, const step *s) {
    gv_device *d = gv_nn_device(n->nn);
    const buffer *b = &n->buffers[s->in.buffer];
    const gv_upsample2_args a = {.y = address(n, s->out),
                                 .x = address(n, s->in),
                                 .height = rows(n, b),
                                 .width = columns(n, b),
                                 .channels = s->channels,
                                 .y_stride = stride_of(n, s->out.buffer),
                                 .x_stride = stride_of(n, s->in.buffer),
                                 .bf16 = n->bf16};
    if (s->op == CONVOLVE)
        queue_convolution(n, s);
    else
        gv_device_launch(d, s->op == UPSAMPLE ? GV_KERNEL_upsample2 : GV_KERNEL_max5, &a);
}

static void queue_layers(const void *user) {
    const gv_yolo_net *n = user;
    gv_device *d = gv_nn_device(n->nn);
    size_t first = 0;
    for (int i = 0; i < n->nsteps; i++) queue_step(n, &n->steps[i]);
    for (int i = 0; i < GV_YOLO_LEVELS; i++) {
        size_t here = (size_t)(n->height >> (3 + i)) * (n->width >> (3 + i));
        gv_kernel(d, yolo_cells, .y = n->room.cells + 5 * first, .sides = address(n, (place){n->sides[i], 0}),
                  .scores = address(n, (place){n->scores[i], 0}), .cells = (int64_t)here, .classes = n->classes,
                  .side_stride = stride_of(n, n->sides[i]), .score_stride = stride_of(n, n->scores[i]),
                  .least = GV_YOLO_LEAST);
        first += here;
    }
    gv_kernel(d, suppress, .kept = n->room.people, .cells = n->room.cells, .height = n->height, .width = n->width,
              .max = GV_YOLO_MAX, .least = GV_YOLO_LEAST, .overlap = GV_YOLO_OVERLAP);
}

// It is there before anything is queued: copies that go ahead do not wait for the queue.
static gv_status make_room_for(gv_yolo_net *n, const gv_image *image, int count, gv_error *err) {
    gv_device *d = gv_nn_device(n->nn);
    const size_t bytes = (size_t)image->height * (size_t)image->width * 3;
    if (bytes == n->pictures.bytes && count <= n->pictures.room) return GV_OK;
    free_pictures(n);
    uint8_t *rgb = gv_device_hold(d, (size_t)count, bytes);
    gv_status status = gv_device_finish(d, err);
    if (status)
        gv_device_drop(d, rgb);
    else
        n->pictures = (pictures){rgb, bytes, count};
    return status;
}

// A picture is hundreds of small kernels. The first run of a size plans the products; the second is recorded.
static void queue_picture(gv_yolo_net *n, gv_letterbox l, const gv_image *image, int i) {
    gv_device *d = gv_nn_device(n->nn);
    room *r = &n->room;
    const gv_image there = gv_frame_ahead(d, n->pictures.rgb + (size_t)i * n->pictures.bytes, image);
    gv_device_ahead_wait(d);
    gv_letterbox_queue(d, address(n, (place){n->input, 0}), l, &there);
    gv_device_run_again(d, &r->layers, 1, queue_layers, n);
    gv_kernel(d, add, .y = r->answers + (size_t)i * ANSWER, .x = r->people, .count = ANSWER, .period = ANSWER);
}

gv_status gv_yolo_net_run_all(gv_yolo_net *n, gv_letterbox l, const gv_image *images, int count, gv_error *err) {
    assert(n->nn && l.width == n->width && l.height == n->height && count >= 1 && count <= GV_YOLO_BATCH);
    gv_device *d = gv_nn_device(n->nn);
    gv_status status = make_room_for(n, images, count, err);
    if (status) return status;
    for (int i = 0; i < count; i++) {
        assert(images[i].width == images->width && images[i].height == images->height);
        queue_picture(n, l, &images[i], i);
    }
    gv_device_download(d, n->people, n->room.answers, (size_t)count * sizeof *n->people);
    status = gv_device_finish(d, err);
    if (status) gv_device_forget_again(d, &n->room.layers);
    return status;
}

gv_status gv_yolo_net_run(gv_yolo_net *n, gv_letterbox l, const gv_image *image, gv_error *err) {
    assert(l.width == n->width && l.height == n->height);
    return n->nn ? gv_yolo_net_run_all(n, l, image, 1, err) : run_on_processor(n, l, image, err);
}

const float *gv_yolo_net_people(const gv_yolo_net *n, int i) {
    return n->nn ? n->people[i] : NULL;
}

void gv_yolo_net_cell(const gv_yolo_net *n, int level, size_t cell, float score_and_sides[5]) {
    const gv_yolo_level l = gv_yolo_net_level(n, level);
    int64_t block = (int64_t)l.height * l.width * BLOCK;
    score_and_sides[0] = gv_yolo_person_score(l.scores + cell * BLOCK, block, n->classes);
    for (int i = 0; i < 4; i++)
        score_and_sides[1 + i] =
            score_and_sides[0] > GV_YOLO_LEAST ? gv_yolo_distance(l.sides + cell * BLOCK, block, i) : 0;
}

gv_yolo_level gv_yolo_net_level(const gv_yolo_net *n, int level) {
    int stride = 8 << level;
    return (gv_yolo_level){.stride = stride,
                           .height = n->height / stride,
                           .width = n->width / stride,
                           .sides = address(n, (place){n->sides[level], 0}),
                           .scores = address(n, (place){n->scores[level], 0})};
}

void gv_yolo_net_keep_all(gv_yolo_net *n) {
    n->keep_all = true;
}

float *gv_yolo_net_output_of(const gv_yolo_net *n, int layer, int *channels, int *height, int *width) {
    place p = n->layer[layer];
    const buffer *b = &n->buffers[p.buffer];
    size_t pixels = (size_t)rows(n, b) * columns(n, b);
    *channels = n->layer_channels[layer], *height = rows(n, b), *width = columns(n, b);
    float *out = *channels ? gv_calloc2((size_t)*channels, pixels * sizeof *out) : NULL;
    const unsigned char *data = n->memory + b->offset;
    unsigned char *copy = n->nn ? gv_calloc2(b->bytes, 1) : NULL;
    if (copy) gv_device_download(gv_nn_device(n->nn), copy, data, b->bytes);
    if (n->nn) data = copy;
    gv_dtype type = n->bf16 ? GV_BF16 : GV_F32;
    for (int c = 0; out && data && c < *channels; c++)
        for (size_t i = 0; i < pixels; i++) {
            int k = p.channel + c;
            size_t from =
                n->nn ? i * stride_of(n, p.buffer) + k : ((size_t)(k / BLOCK) * pixels + i) * BLOCK + k % BLOCK;
            gv_elements_to_f32(out + c * pixels + i, data + from * element(n, b), type, 1);
        }
    free(copy);
    return out;
}

double gv_yolo_net_operations(const gv_yolo_net *n) {
    double sum = 0;
    for (int i = 0; i < n->nsteps; i++) {
        const buffer *b = &n->buffers[n->steps[i].out.buffer];
        sum += 2 * n->steps[i].work * rows(n, b) * columns(n, b);
    }
    return sum;
}
