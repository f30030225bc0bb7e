#include "body/model_file.h"
#include "base/file.h"
#include "base/memory.h"
#include "formats/elements.h"
#include "formats/pickle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gv_model_file {
    char *path;
    gv_npz *npz; // one of the two
    gv_pickle *pickle;
    unsigned char *bytes; // of the pickle
};

gv_status gv_model_file_open(gv_model_file **out, const char *path, gv_error *err) {
    *out = NULL;
    gv_model_file *m = gv_calloc2(1, sizeof *m);
    if (!m || !(m->path = strdup(path))) {
        gv_model_file_close(m);
        return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    }
    unsigned char first = 0;
    FILE *f = fopen(path, "rb");
    if (f && fread(&first, 1, 1, f) != 1) first = 0;
    if (f) fclose(f);
    gv_status status;
    if (first == 0x80) { // a pickle begins with the opcode PROTO
        size_t size;
        status = gv_file_read(path, 0, &m->bytes, &size, err);
        if (status == GV_OK) status = gv_pickle_parse(&m->pickle, m->bytes, size, NULL, path, err);
        if (status == GV_OK && gv_pickle_kind_of(m->pickle, gv_pickle_root(m->pickle)) != GV_PICKLE_DICT)
            status =
                gv_fail(err, GV_ERR_FORMAT, "%s: the pickle holds no dictionary, expected a body model's arrays", path);
    } else {
        status = gv_npz_open(&m->npz, path, err);
    }
    if (status == GV_OK)
        *out = m;
    else
        gv_model_file_close(m);
    return status;
}

void gv_model_file_close(gv_model_file *m) {
    if (!m) return;
    gv_npz_close(m->npz);
    gv_pickle_free(m->pickle);
    free(m->bytes);
    free(m->path);
    free(m);
}

const char *gv_model_file_path(const gv_model_file *m) {
    return m->path;
}

// ------------------------------------------------------------------------------------- arrays in pickles

// How NumPy pickles an array (numpy/core/src/multiarray/methods.c, array_reduce): a call of
// numpy.core.multiarray._reconstruct whose state is (version, shape, dtype, is Fortran, data), where dtype is a
// call of numpy.dtype("f8", ...) whose state's second item is the byte order, and data are bytes, or, written by
// Python 3 in protocol 2, _codecs.encode(text, "latin1").
typedef struct pickled {
    gv_array array;
    const unsigned char *data;
    size_t size;
    bool latin1; // data are UTF-8 text, one character per byte
} pickled;

static bool pickled_dtype(const gv_pickle *p, gv_value v, gv_dtype *out) {
    static const struct {
        const char *name;
        gv_dtype type;
    } types[] = {{"f2", GV_F16}, {"f4", GV_F32}, {"f8", GV_F64}, {"i1", GV_I8},  {"u1", GV_U8},  {"i2", GV_I16},
                 {"u2", GV_U16}, {"i4", GV_I32}, {"u4", GV_U32}, {"i8", GV_I64}, {"u8", GV_U64}, {"b1", GV_BOOL}};
    if (!gv_pickle_is_call(p, v, "numpy dtype")) return false;
    gv_value name = gv_pickle_at(p, gv_pickle_args(p, v), 0), order = gv_pickle_at(p, gv_pickle_state(p, v), 1);
    if (order && gv_pickle_is(p, order, ">")) return false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (gv_pickle_is(p, name, types[i].name)) return *out = types[i].type, true;
    return false;
}

static bool pickled_data(const gv_pickle *p, gv_value v, pickled *out) {
    if (gv_pickle_is_call(p, v, "_codecs encode")) {
        gv_value args = gv_pickle_args(p, v);
        if (!gv_pickle_is(p, gv_pickle_at(p, args, 1), "latin1")) return false;
        v = gv_pickle_at(p, args, 0);
        out->latin1 = true;
    }
    if (gv_pickle_kind_of(p, v) != GV_PICKLE_STRING) return false;
    out->data = (const unsigned char *)gv_pickle_string(p, v, &out->size);
    return out->data != NULL;
}

// Whether v is an instance of "module class", as any protocol writes it: the class called, or, by Python 2,
// copy_reg._reconstructor(class, object, None).
static bool is_instance(const gv_pickle *p, gv_value v, const char *class) {
    return gv_pickle_is_call(p, v, class) || (gv_pickle_is_call(p, v, "copy_reg _reconstructor") &&
                                              gv_pickle_is(p, gv_pickle_at(p, gv_pickle_args(p, v), 0), class));
}

// The published SMPL files hold arrays of the chumpy package, whose value is their member "x".
static gv_value unwrapped(const gv_pickle *p, gv_value v) {
    return is_instance(p, v, "chumpy.ch Ch") ? gv_pickle_get(p, gv_pickle_state(p, v), "x") : v;
}

// 0 absent, 1 a plain array, -1 something else.
static int read_array(const gv_pickle *p, gv_value v, pickled *out) {
    *out = (pickled){.array.count = 1};
    if (!(v = unwrapped(p, v))) return 0;
    if (!gv_pickle_is_call(p, v, "numpy.core.multiarray _reconstruct") &&
        !gv_pickle_is_call(p, v, "numpy._core.multiarray _reconstruct")) // since NumPy 2
        return -1;
    gv_value state = gv_pickle_state(p, v), shape = gv_pickle_at(p, state, 1);
    uint32_t ndim = gv_pickle_count(p, shape);
    int64_t fortran = 0;
    if (gv_pickle_kind_of(p, shape) != GV_PICKLE_TUPLE || ndim > GV_MAX_DIMS) return -1;
    out->array.ndim = (int)ndim;
    for (uint32_t i = 0; i < ndim; i++) {
        int64_t n;
        if (!gv_pickle_int(p, gv_pickle_at(p, shape, i), &n) || n < 0) return -1;
        if (__builtin_mul_overflow(out->array.count, n, &out->array.count)) return -1;
        out->array.shape[i] = n;
    }
    if (!pickled_dtype(p, gv_pickle_at(p, state, 2), &out->array.dtype)) return -1;
    if (!gv_pickle_int(p, gv_pickle_at(p, state, 3), &fortran)) return -1;
    out->array.fortran_order = fortran != 0;
    return pickled_data(p, gv_pickle_at(p, state, 4), out) ? 1 : -1;
}

static int find_pickled(const gv_pickle *p, const char *name, pickled *out) {
    return read_array(p, gv_pickle_get(p, gv_pickle_root(p), name), out);
}

// The state of a scipy.sparse.csc_matrix under that name, or 0; its shape.
static gv_value find_sparse(const gv_pickle *p, const char *name, int64_t shape[2]) {
    gv_value v = gv_pickle_get(p, gv_pickle_root(p), name);
    if (!is_instance(p, v, "scipy.sparse.csc csc_matrix") && !is_instance(p, v, "scipy.sparse._csc csc_matrix"))
        return 0;
    gv_value state = gv_pickle_state(p, v), size = gv_pickle_get(p, state, "_shape");
    bool fine = gv_pickle_count(p, size) == 2;
    for (uint32_t i = 0; fine && i < 2; i++)
        fine = gv_pickle_int(p, gv_pickle_at(p, size, i), &shape[i]) && shape[i] >= 0 && shape[i] < 1 << 20;
    return fine ? state : 0;
}

bool gv_model_file_find(const gv_model_file *m, const char *name, gv_array *out) {
    if (m->npz) {
        const gv_array *a = gv_npz_find(m->npz, name);
        if (a) *out = *a;
        return a;
    }
    int64_t shape[2];
    if (find_sparse(m->pickle, name, shape)) {
        *out = (gv_array){.ndim = 2, .shape = {shape[0], shape[1]}, .count = shape[0] * shape[1], .dtype = GV_F64};
        return true;
    }
    pickled p;
    if (find_pickled(m->pickle, name, &p) == 0) return false;
    *out = p.array;
    return true;
}

// UTF-8 of characters below 256 back to bytes: exactly n of them, or NULL.
static unsigned char *from_latin1(const unsigned char *text, size_t size, size_t n) {
    unsigned char *out = size >= n ? gv_calloc2(n, 1) : NULL;
    size_t used = 0, i = 0;
    while (out && i < size && used < n) {
        if (text[i] < 0x80) {
            out[used++] = text[i++];
        } else if ((text[i] == 0xc2 || text[i] == 0xc3) && i + 1 < size && (text[i + 1] & 0xc0) == 0x80) {
            out[used++] = (unsigned char)(text[i] << 6 | (text[i + 1] & 63));
            i += 2;
        } else {
            break;
        }
    }
    if (used == n && i == size) return out;
    free(out);
    return NULL;
}

// Elements of `width` bytes from Fortran to C order.
static void to_c_order(unsigned char *dst, const unsigned char *src, const gv_array *a, size_t width) {
    int64_t index[GV_MAX_DIMS] = {0};
    for (int64_t i = 0; i < a->count; i++) {
        int64_t at = 0;
        for (int d = a->ndim - 1; d >= 0; d--) at = at * a->shape[d] + index[d];
        memcpy(dst + (size_t)i * width, src + (size_t)at * width, width);
        for (int d = a->ndim - 1; d >= 0 && ++index[d] == a->shape[d]; d--) index[d] = 0;
    }
}

static void *convert(const pickled *p, const unsigned char *src, gv_dtype to) {
    size_t n = (size_t)p->array.count, width = gv_dtype_size(to);
    void *out = gv_calloc2(n, width), *ordered;
    if (!out) return NULL;
    if (to == GV_F32)
        gv_elements_to_f32(out, src, p->array.dtype, n);
    else if (to == GV_F64)
        gv_elements_to_f64(out, src, p->array.dtype, n);
    else if (gv_elements_to_i32(out, src, p->array.dtype, n) < n) {
        free(out);
        return NULL;
    }
    if (!p->array.fortran_order || p->array.ndim < 2) return out;
    if ((ordered = gv_calloc2(n, width))) to_c_order(ordered, out, &p->array, width);
    free(out);
    return ordered;
}

// The whole of an array as `to`; NULL with an error. `what` names it in messages.
static void *take(const pickled *p, const char *path, const char *what, gv_dtype to, gv_error *err) {
    size_t bytes = 0;
    if (__builtin_mul_overflow((size_t)p->array.count, gv_dtype_size(p->array.dtype), &bytes) ||
        (!p->latin1 && bytes != p->size))
        return gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" has %zu bytes of data, expected %zu", path, what, p->size,
                       bytes),
               NULL;
    unsigned char *decoded = p->latin1 ? from_latin1(p->data, p->size, bytes) : NULL;
    void *out = p->latin1 && !decoded ? NULL : convert(p, decoded ? decoded : p->data, to);
    free(decoded);
    if (!out) gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" has damaged data, or values out of range", path, what);
    return out;
}

// Rows, columns and values of a matrix stored by columns: column c holds entries start[c] .. start[c + 1] - 1.
static float *read_sparse(gv_model_file *m, const char *name, gv_value state, const int64_t shape[2], gv_error *err) {
    pickled data, row, start;
    float *values = NULL, *out = NULL;
    int32_t *rows = NULL, *starts = NULL;
    const gv_pickle *p = m->pickle;
    if (read_array(p, gv_pickle_get(p, state, "data"), &data) == 1 &&
        read_array(p, gv_pickle_get(p, state, "indices"), &row) == 1 &&
        read_array(p, gv_pickle_get(p, state, "indptr"), &start) == 1 && start.array.count == shape[1] + 1 &&
        data.array.count == row.array.count) {
        values = take(&data, m->path, name, GV_F32, err);
        rows = values ? take(&row, m->path, name, GV_I32, err) : NULL;
        starts = rows ? take(&start, m->path, name, GV_I32, err) : NULL;
        out = starts ? gv_calloc2((size_t)(shape[0] * shape[1]), sizeof *out) : NULL;
        if (!starts) goto done;
    }
    bool sound = out;
    for (int64_t c = 0; sound && c < shape[1]; c++) {
        sound = starts[c] >= 0 && starts[c] <= starts[c + 1] && starts[c + 1] <= data.array.count;
        for (int32_t i = starts[c]; sound && i < starts[c + 1]; i++)
            if ((sound = rows[i] >= 0 && rows[i] < shape[0])) out[rows[i] * shape[1] + c] += values[i];
    }
    if (!sound) {
        gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" is not a sound sparse matrix", m->path, name);
        free(out);
        out = NULL;
    }
done:
    free(values);
    free(rows);
    free(starts);
    return out;
}

static void *read_pickled(gv_model_file *m, const char *name, const int64_t *shape, int ndim, gv_dtype to,
                          gv_error *err) {
    int64_t size[2];
    gv_value sparse = find_sparse(m->pickle, name, size);
    if (sparse && to == GV_F32 && ndim == 2 && size[0] == shape[0] && size[1] == shape[1])
        return read_sparse(m, name, sparse, size, err);
    pickled p;
    int found = find_pickled(m->pickle, name, &p);
    if (!found) return gv_fail(err, GV_ERR_MISSING, "%s: no member \"%s\"", m->path, name), NULL;
    if (found < 0) return gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" is not a plain NumPy array", m->path, name), NULL;
    bool same = p.array.ndim == ndim;
    for (int i = 0; same && i < ndim; i++) same = p.array.shape[i] == shape[i];
    if (!same) return gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" has an unexpected shape", m->path, name), NULL;
    return take(&p, m->path, name, to, err);
}

float *gv_model_file_f32(gv_model_file *m, const char *name, const int64_t *shape, int ndim, gv_error *err) {
    return m->npz ? gv_npz_read_f32(m->npz, name, shape, ndim, NULL, err)
                  : read_pickled(m, name, shape, ndim, GV_F32, err);
}

double *gv_model_file_f64(gv_model_file *m, const char *name, const int64_t *shape, int ndim, gv_error *err) {
    return m->npz ? gv_npz_read_f64(m->npz, name, shape, ndim, NULL, err)
                  : read_pickled(m, name, shape, ndim, GV_F64, err);
}

int32_t *gv_model_file_i32(gv_model_file *m, const char *name, const int64_t *shape, int ndim, gv_error *err) {
    return m->npz ? gv_npz_read_i32(m->npz, name, shape, ndim, NULL, err)
                  : read_pickled(m, name, shape, ndim, GV_I32, err);
}
