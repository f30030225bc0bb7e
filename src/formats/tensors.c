// tensors.c - the table of tensors of a mapped weight file: adding with checks, finding, converting.
#define _GNU_SOURCE // qsort_r
#include "formats/tensors.h"
#include "base/memory.h"
#include "formats/elements.h"
#include "formats/mapped_file.h"
#include "formats/tensor_table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_TENSORS = 1 << 20,
    MAX_TENSOR_NAME = 4096,
    EXPANSION = 64,  // a stride of 0 may repeat elements, but not without bound
    SMALL = 1 << 16, // elements that are always allowed
};

static gv_status read_container(gv_tensors *w, gv_error *err) {
    static const unsigned char legacy[15] = {0x80, 2,    0x8a, 10,   0x6c, 0xfc, 0x9c, 0x46,
                                             0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};
    const unsigned char *p = w->data;
    if (w->size >= 4 && !memcmp(p, "PK\3\4", 4)) return gv_torch_zip_read(w, err);
    if (w->size >= sizeof legacy && !memcmp(p, legacy, sizeof legacy)) return gv_torch_legacy_read(w, err);
    if (w->size >= 9 && p[8] == '{' && !memcmp(p + 5, "\0\0\0", 3)) return gv_safetensors_read(w, err);
    return gv_fail(err, GV_ERR_FORMAT, "%s: neither a PyTorch checkpoint nor a safetensors file", w->path);
}

static gv_status sort_by_name(gv_tensors *w, gv_error *err);

static gv_status open_file(gv_tensors **out, const char *path, bool tree, gv_error *err) {
    *out = NULL;
    gv_tensors *w = calloc(1, sizeof *w);
    if (!w || !(w->path = strdup(path))) {
        free(w);
        return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    }
    w->tree = tree;
    gv_status status = gv_map_file(&w->data, &w->size, path, err);
    if (status == GV_OK) status = read_container(w, err);
    if (status == GV_OK) status = sort_by_name(w, err);
    if (status != GV_OK) {
        gv_tensors_close(w);
        return status;
    }
    *out = w;
    return GV_OK;
}

gv_status gv_tensors_open(gv_tensors **out, const char *path, gv_error *err) {
    return open_file(out, path, false, err);
}

gv_status gv_tensors_open_tree(gv_tensors **out, const char *path, gv_error *err) {
    return open_file(out, path, true, err);
}

void gv_tensors_close(gv_tensors *w) {
    if (!w) return;
    gv_unmap_file(w->data, w->size);
    for (int i = 0; i < w->count; i++) free((char *)w->tensors[i].name);
    for (int i = 0; i < w->key_count; i++) free(w->keys[i]);
    for (int i = 0; i < 2 * w->metadata_count; i++) free(w->metadata[i]);
    free(w->metadata);
    free(w->keys);
    free(w->tensors);
    free(w->places);
    free(w->order);
    free(w->path);
    free(w);
}

// ---- building the table

static const char *check_place(gv_tensor *t, const gv_tensor_place *p) {
    int64_t last = p->offset, n;
    t->count = 1;
    if (t->ndim < 0 || t->ndim > 16) return "has more than 16 axes";
    if (p->offset < 0) return "has a negative offset";
    bool empty = false;
    for (int i = 0; i < t->ndim; i++) {
        if (t->shape[i] < 0) return "has a negative size";
        if (p->stride[i] < 0) return "has a negative stride";
        empty = empty || t->shape[i] == 0;
    }
    if (empty) return t->count = 0, NULL;
    for (int i = 0; i < t->ndim; i++)
        if (__builtin_mul_overflow(t->shape[i] - 1, p->stride[i], &n) || __builtin_add_overflow(last, n, &last) ||
            __builtin_mul_overflow(t->count, t->shape[i], &t->count))
            return "has a size that 64 bits cannot count";
    if (last >= p->elements) return "reaches beyond its storage";
    if (t->count > SMALL && t->count / EXPANSION > p->elements) return "claims far more elements than are stored";
    return NULL;
}

gv_status gv_tensor_table_add(gv_tensors *w, const char *name, size_t length, const gv_tensor *t,
                              const gv_tensor_place *place, gv_error *err) {
    gv_tensor checked = *t;
    int shown = length < 200 ? (int)length : 200;
    const char *wrong = length > MAX_TENSOR_NAME  ? "has a name longer than 4096 bytes"
                        : memchr(name, 0, length) ? "has a name with a zero byte"
                                                  : check_place(&checked, place);
    if (wrong) return gv_fail(err, GV_ERR_FORMAT, "%s: tensor \"%.*s\" %s", w->path, shown, name, wrong);
    if (w->count == w->capacity) {
        int capacity = w->capacity ? 2 * w->capacity : 256;
        if (capacity > MAX_TENSORS)
            return gv_fail(err, GV_ERR_FORMAT, "%s: more than %d tensors", w->path, MAX_TENSORS);
        void *tensors = realloc(w->tensors, (size_t)capacity * sizeof *w->tensors);
        if (tensors) w->tensors = tensors;
        void *places = realloc(w->places, (size_t)capacity * sizeof *w->places);
        if (places) w->places = places;
        if (!tensors || !places) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %d tensors", w->path, capacity);
        w->capacity = capacity;
    }
    if (!(checked.name = strndup(name, length))) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", w->path);
    w->tensors[w->count] = checked;
    w->places[w->count++] = *place;
    return GV_OK;
}

static int compare_names(const void *x, const void *y, void *tensors) {
    const gv_tensor *t = tensors;
    return strcmp(t[*(const int *)x].name, t[*(const int *)y].name);
}

static gv_status sort_by_name(gv_tensors *w, gv_error *err) {
    if (!(w->order = gv_calloc2((size_t)w->count, sizeof *w->order)))
        return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", w->path);
    for (int i = 0; i < w->count; i++) w->order[i] = i;
    qsort_r(w->order, (size_t)w->count, sizeof *w->order, compare_names, w->tensors);
    for (int i = 1; i < w->count; i++)
        if (!strcmp(w->tensors[w->order[i - 1]].name, w->tensors[w->order[i]].name))
            return gv_fail(err, GV_ERR_FORMAT, "%s: tensor \"%.200s\" is there twice", w->path,
                           w->tensors[w->order[i]].name);
    return GV_OK;
}

// ---- looking

const char *gv_tensors_path(const gv_tensors *w) {
    return w->path;
}

const char *gv_tensors_container(const gv_tensors *w) {
    return w->container;
}

int gv_tensors_count(const gv_tensors *w) {
    return w->count;
}

const gv_tensor *gv_tensors_at(const gv_tensors *w, int i) {
    assert(i >= 0 && i < w->count);
    return &w->tensors[i];
}

static int find_index(const gv_tensors *w, const char *name) {
    for (int lo = 0, hi = w->count; lo < hi;) {
        int middle = lo + (hi - lo) / 2, order = strcmp(name, w->tensors[w->order[middle]].name);
        if (order == 0) return w->order[middle];
        if (order < 0)
            hi = middle;
        else
            lo = middle + 1;
    }
    return -1;
}

const gv_tensor *gv_tensors_find(const gv_tensors *w, const char *name) {
    int i = find_index(w, name);
    return i < 0 ? NULL : &w->tensors[i];
}

const char *gv_tensors_metadata(const gv_tensors *w, const char *key) {
    for (int i = 0; i < w->metadata_count; i++)
        if (!strcmp(w->metadata[2 * i], key)) return w->metadata[2 * i + 1];
    return NULL;
}

int gv_tensors_key_count(const gv_tensors *w) {
    return w->key_count;
}

const char *gv_tensors_key(const gv_tensors *w, int i) {
    assert(i >= 0 && i < w->key_count);
    return w->keys[i];
}

// ---- reading

static void shape_text(char *text, size_t capacity, const int64_t *shape, int ndim) {
    size_t n = (size_t)snprintf(text, capacity, "[");
    for (int i = 0; i < ndim && n < capacity; i++) {
        if (shape[i] < 0)
            n += (size_t)snprintf(text + n, capacity - n, "%sany", i ? ", " : "");
        else
            n += (size_t)snprintf(text + n, capacity - n, "%s%lld", i ? ", " : "", (long long)shape[i]);
    }
    if (n < capacity) snprintf(text + n, capacity - n, "]");
}

static bool is_contiguous(const gv_tensor *t, const gv_tensor_place *p) {
    int64_t expected = 1;
    for (int i = t->ndim - 1; i >= 0; i--) {
        if (t->shape[i] != 1 && p->stride[i] != expected) return false;
        expected *= t->shape[i];
    }
    return true;
}

// Any strides: a counter over the indices walks along the storage.
static void read_strided(float *dst, const unsigned char *src, const gv_tensor *t, const gv_tensor_place *p) {
    int64_t index[16] = {0}, at = p->offset;
    size_t width = gv_dtype_size(t->dtype);
    for (int64_t i = 0; i < t->count; i++) {
        gv_elements_to_f32(dst + i, src + (size_t)at * width, t->dtype, 1);
        for (int d = t->ndim - 1; d >= 0; d--) {
            at += p->stride[d];
            if (++index[d] < t->shape[d]) break;
            at -= p->stride[d] * t->shape[d];
            index[d] = 0;
        }
    }
}

float *gv_tensors_read_f32(gv_tensors *w, const char *name, const int64_t *shape, int ndim, gv_error *err) {
    int i = find_index(w, name);
    if (i < 0) {
        gv_fail(err, GV_ERR_MISSING, "%s: has no tensor \"%s\"", w->path, name);
        return NULL;
    }
    const gv_tensor *t = &w->tensors[i];
    const gv_tensor_place *p = &w->places[i];
    bool same = ndim < 0 || t->ndim == ndim;
    for (int d = 0; d < ndim && same; d++) same = shape[d] < 0 || shape[d] == t->shape[d];
    if (!same) {
        char found[400], expected[400];
        shape_text(found, sizeof found, t->shape, t->ndim);
        shape_text(expected, sizeof expected, shape, ndim);
        gv_fail(err, GV_ERR_FORMAT, "%s: tensor \"%s\" is %s, expected %s", w->path, name, found, expected);
        return NULL;
    }
    float *data = NULL; // not zeroed first: every element is written
    if ((size_t)t->count <= GV_ALLOC_LIMIT / sizeof *data)
        data = aligned_alloc(64, ((size_t)t->count * sizeof *data + 64) & ~(size_t)63);
    if (!data) {
        gv_fail(err, GV_ERR_MEMORY, "%s: no memory for tensor \"%s\" of %lld elements", w->path, name,
                (long long)t->count);
        return NULL;
    }
    if (t->count && is_contiguous(t, p))
        gv_elements_to_f32(data, p->data + (size_t)p->offset * gv_dtype_size(t->dtype), t->dtype, (size_t)t->count);
    else
        read_strided(data, p->data, t, p);
    return data;
}

const float *gv_tensors_in_place(const gv_tensors *w, const char *name) {
    int i = find_index(w, name);
    if (i < 0 || w->tensors[i].dtype != GV_F32 || !w->tensors[i].count || !is_contiguous(&w->tensors[i], &w->places[i]))
        return NULL;
    const unsigned char *data = w->places[i].data + (size_t)w->places[i].offset * sizeof(float);
    if ((uintptr_t)data % sizeof(float)) return NULL;
    return (const float *)(const void *)data;
}

void gv_tensors_forget(const gv_tensors *w) {
    gv_forget_pages(w->data, w->size);
}
