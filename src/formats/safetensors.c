// safetensors.c - reading and writing: 8 bytes of length, a JSON header, the data.
// Source: the format's description, https://github.com/huggingface/safetensors (README, "Format").
#include "base/file.h"
#include "base/json_build.h"
#include "base/memory.h"
#include "formats/elements.h"
#include "formats/tensor_table.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER = 100 << 20, PIECE = 1 << 16 }; // the format's own limit is 100 MB

static const struct {
    const char *name;
    gv_dtype dtype;
} types[] = {{"F32", GV_F32}, {"F16", GV_F16}, {"BF16", GV_BF16}, {"F64", GV_F64}, {"I8", GV_I8},
             {"U8", GV_U8},   {"I16", GV_I16}, {"U16", GV_U16},   {"I32", GV_I32}, {"U32", GV_U32},
             {"I64", GV_I64}, {"U64", GV_U64}, {"BOOL", GV_BOOL}};

static const char *parse_type(const json_t *j, gv_dtype *out) {
    for (size_t i = 0; json_is_string(j) && i < sizeof types / sizeof *types; i++)
        if (!strcmp(json_string_value(j), types[i].name)) return *out = types[i].dtype, NULL;
    return "has a type that is not supported";
}

static const char *parse_tensor(const json_t *j, const unsigned char *data, size_t size, gv_tensor *t,
                                gv_tensor_place *p) {
    const json_t *shape = json_object_get(j, "shape"), *offsets = json_object_get(j, "data_offsets");
    if (!json_is_array(shape) || !json_is_array(offsets) || json_array_size(offsets) != 2)
        return "has no shape or data_offsets";
    const char *wrong = parse_type(json_object_get(j, "dtype"), &t->dtype);
    if (wrong) return wrong;
    if (json_array_size(shape) > 16) return "has more than 16 axes";
    t->ndim = (int)json_array_size(shape);
    int64_t elements = 1, bytes, from, to;
    for (int i = t->ndim - 1; i >= 0; i--) {
        const json_t *extent = json_array_get(shape, (size_t)i);
        t->shape[i] = json_is_integer(extent) ? json_integer_value(extent) : -1;
        p->stride[i] = elements;
        if (t->shape[i] < 0 || __builtin_mul_overflow(elements, t->shape[i], &elements)) return "has a malformed shape";
    }
    if (!json_is_integer(json_array_get(offsets, 0)) || !json_is_integer(json_array_get(offsets, 1)))
        return "has malformed data_offsets";
    from = json_integer_value(json_array_get(offsets, 0));
    to = json_integer_value(json_array_get(offsets, 1));
    if (from < 0 || to < from || (uint64_t)to > size) return "lies outside the file";
    if (__builtin_mul_overflow(elements, (int64_t)gv_dtype_size(t->dtype), &bytes) || bytes != to - from)
        return "has a shape that does not fit its data_offsets";
    p->data = data + from;
    p->elements = elements;
    return NULL;
}

static gv_status keep_metadata(gv_tensors *w, json_t *object, gv_error *err) {
    const char *key;
    json_t *value;
    if (!json_is_object(object)) return gv_fail(err, GV_ERR_FORMAT, "%s: \"__metadata__\" is no object", w->path);
    if (!(w->metadata = calloc(2 * json_object_size(object) + 1, sizeof *w->metadata)))
        return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", w->path);
    json_object_foreach(object, key, value) {
        if (!json_is_string(value))
            return gv_fail(err, GV_ERR_FORMAT, "%s: metadata \"%.100s\" is no text", w->path, key);
        char *k = strdup(key), *v = strdup(json_string_value(value));
        w->metadata[2 * w->metadata_count] = k;
        w->metadata[2 * w->metadata_count++ + 1] = v;
        if (!k || !v) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", w->path);
    }
    return GV_OK;
}

gv_status gv_safetensors_read(gv_tensors *w, gv_error *err) {
    uint64_t length = 0;
    w->container = "safetensors";
    for (int i = 0; i < 8; i++) length |= (uint64_t)w->data[i] << 8 * i;
    if (length > MAX_HEADER || length > w->size - 8)
        return gv_fail(err, GV_ERR_FORMAT, "%s: header of %llu bytes in a file of %zu", w->path,
                       (unsigned long long)length, w->size);
    json_error_t wrong_json;
    json_t *header = json_loadb((const char *)w->data + 8, (size_t)length, JSON_REJECT_DUPLICATES, &wrong_json);
    if (!json_is_object(header)) {
        json_decref(header);
        return gv_fail(err, GV_ERR_FORMAT, "%s: its header is no JSON object: %s", w->path,
                       header ? "another value" : wrong_json.text);
    }
    const unsigned char *data = w->data + 8 + length;
    size_t size = w->size - 8 - (size_t)length;
    const char *name;
    json_t *value;
    gv_status status = GV_OK;
    size_t used = 0; // tensors do not overlap, so together they cannot hold more than the file
    json_object_foreach(header, name, value) {
        if (!strcmp(name, "__metadata__")) {
            status = keep_metadata(w, value, err);
        } else {
            gv_tensor t = {0};
            gv_tensor_place p = {0};
            const char *wrong = parse_tensor(value, data, size, &t, &p);
            if (!wrong && (used += (size_t)p.elements * gv_dtype_size(t.dtype)) > size) wrong = "overlaps others";
            status = wrong ? gv_fail(err, GV_ERR_FORMAT, "%s: tensor \"%.200s\" %s", w->path, name, wrong)
                           : gv_tensor_table_add(w, name, strlen(name), &t, &p, err);
        }
        if (status != GV_OK) break;
    }
    json_decref(header);
    return status;
}

// ---- writing

static size_t count_elements(const gv_tensor_view *t) {
    size_t n = 1;
    for (int i = 0; i < t->ndim; i++) n *= (size_t)t->shape[i];
    return n;
}

static char *make_header(const gv_tensor_view *tensors, int n, gv_dtype dtype, const char *const *metadata) {
    json_t *header = json_object(), *meta = json_object();
    const char *type = dtype == GV_F32 ? "F32" : dtype == GV_F16 ? "F16" : "BF16";
    size_t at = 0;
    for (; metadata && *metadata; metadata += 2) gv_json_set(&meta, metadata[0], json_string(metadata[1]));
    if (!meta || json_object_size(meta)) gv_json_set(&header, "__metadata__", json_incref(meta));
    json_decref(meta);
    for (int i = 0; i < n; i++) {
        json_t *shape = json_array();
        for (int d = 0; d < tensors[i].ndim; d++) gv_json_append(&shape, json_integer(tensors[i].shape[d]));
        size_t end = at + count_elements(&tensors[i]) * gv_dtype_size(dtype);
        gv_json_set(&header, tensors[i].name,
                    json_pack("{s:s, s:o, s:[I, I]}", "dtype", type, "shape", shape, "data_offsets", (json_int_t)at,
                              (json_int_t)end));
        at = end;
    }
    char *text = gv_json_dump(header, JSON_COMPACT);
    json_decref(header);
    return text;
}

static int write_data(FILE *f, const gv_tensor_view *t, gv_dtype dtype) {
    size_t n = count_elements(t), width = gv_dtype_size(dtype);
    uint16_t half[PIECE];
    for (size_t at = 0; at < n; at += PIECE) {
        size_t k = n - at < PIECE ? n - at : PIECE;
        const void *p = half;
        if (dtype == GV_F16)
            gv_elements_f16_from_f32(half, t->data + at, k);
        else if (dtype == GV_BF16)
            gv_elements_bf16_from_f32(half, t->data + at, k);
        else
            p = t->data + at;
        if (fwrite(p, width, k, f) != k) return -1;
    }
    return 0;
}

static int write_all(FILE *f, const char *header, const gv_tensor_view *tensors, int n, gv_dtype dtype) {
    size_t length = strlen(header), padded = (length + 7) & ~(size_t)7;
    unsigned char size[8];
    for (int i = 0; i < 8; i++) size[i] = (unsigned char)((uint64_t)padded >> 8 * i);
    if (fwrite(size, 1, 8, f) != 8 || fwrite(header, 1, length, f) != length) return -1;
    for (size_t i = length; i < padded; i++)
        if (fputc(' ', f) == EOF) return -1;
    for (int i = 0; i < n; i++)
        if (write_data(f, &tensors[i], dtype) != 0) return -1;
    return 0;
}

gv_status gv_safetensors_write(const char *path, const gv_tensor_view *tensors, int n, gv_dtype dtype,
                               const char *const *metadata, gv_error *err) {
    assert(dtype == GV_F32 || dtype == GV_F16 || dtype == GV_BF16);
    gv_outfile out;
    gv_status status = gv_outfile_begin(&out, path, err);
    if (status != GV_OK) return status;
    char *header = make_header(tensors, n, dtype, metadata);
    FILE *f = header ? fopen(out.temporary, "wb") : NULL;
    int failed = !f || write_all(f, header, tensors, n, dtype) != 0, saved = errno;
    if (f && fclose(f) != 0 && !failed) failed = 1, saved = errno;
    free(header);
    if (!failed) return gv_outfile_commit(&out, err);
    status = header ? gv_fail(err, GV_ERR_IO, "%s: cannot write: %s", path, strerror(saved))
                    : gv_fail(err, GV_ERR_MEMORY, "%s: no memory for the header", path);
    gv_outfile_abandon(&out);
    return status;
}
