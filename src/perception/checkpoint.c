#include "perception/checkpoint.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 160, MAX_COPIES = 64 };

struct gv_checkpoint {
    gv_tensors *file;
    gv_status status;
    gv_error *err;
    bool any_type;
    float *copies[MAX_COPIES]; // of what could not be read in place, until forgotten
    int count;
};

// What a file seems to be, by a tensor that only its kind has.
static const char *guess_network(const gv_tensors *w) {
    static const char *const kinds[][2] = {{"keypoint_head.final_layer.weight", "a ViTPose checkpoint"},
                                           {"smpl_head.transformer.pos_embedding", "an HMR2.0 checkpoint"},
                                           {"model.0.conv.weight", "a YOLO checkpoint"},
                                           {"pipeline.denoiser3d.embed_noisyobs.fc2.weight", "a GVHMR motion network"},
                                           {"embed_noisyobs.fc2.weight", "a motion network of gvhmr"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (gv_tensors_find(w, kinds[i][0])) return kinds[i][1];
    return "another network";
}

gv_status gv_checkpoint_open(gv_checkpoint **out, const char *path, const char *network, const char *landmark,
                             gv_error *err) {
    gv_checkpoint *c = calloc(1, sizeof *c);
    *out = c;
    if (!c) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    c->err = err;
    c->status = gv_tensors_open(&c->file, path, err);
    if (!c->status && !gv_tensors_find(c->file, landmark))
        c->status = gv_fail(err, GV_ERR_FORMAT, "%s: is %s of %d tensors, expected one of %s with \"%s\"", path,
                            guess_network(c->file), gv_tensors_count(c->file), network, landmark);
    if (!c->status) return GV_OK;
    gv_status s = c->status;
    gv_checkpoint_close(c);
    *out = NULL;
    return s;
}

void gv_checkpoint_close(gv_checkpoint *c) {
    if (!c) return;
    if (c->file) gv_checkpoint_forget(c);
    gv_tensors_close(c->file);
    free(c);
}

void gv_checkpoint_allow_types(gv_checkpoint *c) {
    c->any_type = true;
}

gv_status gv_checkpoint_status(const gv_checkpoint *c) {
    return c->status;
}

gv_status gv_checkpoint_fail(gv_checkpoint *c, gv_status status, const char *format, ...) {
    if (c->status) return c->status;
    char text[800];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return c->status = gv_fail(c->err, status, "%s: %s", gv_tensors_path(c->file), text);
}

const gv_tensor *gv_checkpoint_find(const gv_checkpoint *c, const char *format, ...) {
    char name[MAX_NAME];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return gv_tensors_find(c->file, name);
}

// Index of the first value that is not finite, count where all are. Eight exponents at a time.
static size_t first_not_finite(const float *x, size_t count) {
    size_t i = 0, wrong = 0;
    for (size_t step = 4096; i < count && !wrong; i += step) {
        size_t end = i + step < count ? i + step : count;
        for (size_t k = i; k < end; k++) {
            uint32_t bits;
            memcpy(&bits, x + k, sizeof bits);
            wrong += (bits & 0x7f800000) == 0x7f800000;
        }
    }
    if (!wrong) return count;
    for (i -= 4096;; i++)
        if (x[i] - x[i] != 0) return i;
}

static size_t first_not_finite_parallel(const float *x, size_t count) {
    const size_t part = 1 << 18;
    size_t first = count;
#pragma omp parallel for reduction(min : first) schedule(static) if (count > 4 * part)
    for (size_t at = 0; at < count; at += part) {
        size_t n = at + part < count ? part : count - at, i = first_not_finite(x + at, n);
        if (i < n && at + i < first) first = at + i;
    }
    return first;
}

// The weight in place, or a copy of the caller's in *copy.
static const float *take(gv_checkpoint *c, float **copy, bool in_place, const int64_t *shape, int ndim,
                         const char *format, va_list args) {
    char name[MAX_NAME];
    *copy = NULL;
    if (c->status) return NULL;
    vsnprintf(name, sizeof name, format, args);
    const gv_tensor *t = gv_tensors_find(c->file, name);
    if (t && t->dtype != GV_F32 && !c->any_type) {
        gv_checkpoint_fail(c, GV_ERR_FORMAT, "tensor \"%s\" is %s, expected float32", name, gv_dtype_name(t->dtype));
        return NULL;
    }
    bool same = t && t->ndim == ndim;
    for (int i = 0; i < ndim && same; i++) same = shape[i] < 0 || t->shape[i] == shape[i];
    const float *data = same && in_place && t->dtype == GV_F32 ? gv_tensors_in_place(c->file, name) : NULL;
    if (!data) data = *copy = gv_tensors_read_f32(c->file, name, shape, ndim, c->err);
    if (!data) {
        c->status = c->err ? c->err->status : GV_ERR_FORMAT;
        return NULL;
    }
    size_t wrong = first_not_finite_parallel(data, (size_t)t->count);
    if (wrong == (size_t)t->count) return data;
    gv_checkpoint_fail(c, GV_ERR_FORMAT, "tensor \"%s\" holds %g at element %zu, expected finite numbers", name,
                       data[wrong], wrong);
    free(*copy);
    *copy = NULL;
    return NULL;
}

const float *gv_checkpoint_take(gv_checkpoint *c, const int64_t *shape, int ndim, const char *format, ...) {
    float *copy;
    va_list args;
    va_start(args, format);
    const float *data = take(c, &copy, true, shape, ndim, format, args);
    va_end(args);
    if (copy && c->count == MAX_COPIES) {
        gv_checkpoint_fail(c, GV_ERR_INTERNAL, "more than %d weights taken at once", MAX_COPIES);
        free(copy);
        return NULL;
    }
    if (copy) c->copies[c->count++] = copy;
    return data;
}

float *gv_checkpoint_copy(gv_checkpoint *c, const int64_t *shape, int ndim, const char *format, ...) {
    float *copy;
    va_list args;
    va_start(args, format);
    take(c, &copy, false, shape, ndim, format, args);
    va_end(args);
    return copy;
}

void gv_checkpoint_forget(gv_checkpoint *c) {
    while (c->count > 0) free(c->copies[--c->count]);
    gv_tensors_forget(c->file);
}
