// npz_pickle.c - arrays of a pickled dictionary as members of a gv_npz.
//
// What NumPy, scipy and chumpy leave in a pickle, by their __reduce__:
//   ndarray    multiarray._reconstruct(...), state (version, shape, dtype, fortran order, bytes)
//   dtype      numpy.dtype('f8', ...), state (version, '<', ...)
//   bytes      as they are, or in protocol 2 of Python 3 _codecs.encode(text, 'latin1')
//   sparse     class csc_matrix or csr_matrix, state {'data', 'indices', 'indptr', '_shape'}
//   chumpy.Ch  state {'x': ndarray}
#include "base/memory.h"
#include "formats/elements.h"
#include "formats/mapped_file.h"
#include "formats/npz_internal.h"
#include "formats/pickle.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_DENSE = 1 << 22 }; // elements of all sparse matrices of a file together, their indices included

typedef struct gv_pickle_source {
    const unsigned char *data; // the mapped file
    size_t size;
    gv_pickle *p;
    void **owned; // [owned_count] decoded bytes and dense matrices
    int owned_count;
    int64_t dense;  // elements so far
    size_t decoded; // bytes of text so far; one text is used once, so no more than the file has
} source;

static bool is_class(const gv_pickle *p, gv_value v, const char *name) {
    size_t n, m = strlen(name);
    const char *s = gv_pickle_kind_of(p, v) == GV_PICKLE_GLOBAL ? gv_pickle_string(p, v, &n) : NULL;
    return s && n > m && s[n - m - 1] == '\n' && !memcmp(s + n - m, name, m);
}

// The class of an object, also where copy_reg builds it.
static gv_value class_of(const gv_pickle *p, gv_value v) {
    if (gv_pickle_is_call(p, v, "copy_reg _reconstructor") || gv_pickle_is_call(p, v, "copyreg _reconstructor"))
        return gv_pickle_at(p, gv_pickle_args(p, v), 0);
    return gv_pickle_callable(p, v);
}

static bool keep(source *s, void *block) {
    void **grown = block ? realloc(s->owned, (size_t)(s->owned_count + 1) * sizeof *grown) : NULL;
    if (!grown) {
        free(block);
        return false;
    }
    s->owned = grown;
    s->owned[s->owned_count++] = block;
    return true;
}

// Text of code points below 256 back into bytes.
static unsigned char *latin1(source *s, const char *text, size_t n, size_t *size) {
    if (n > s->size - s->decoded) return NULL;
    s->decoded += n;
    unsigned char *out = malloc(n + 1);
    if (!keep(s, out)) return NULL;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x80) {
            if ((c & 0xfc) != 0xc0 || i + 1 >= n) return NULL;
            c = (unsigned char)(c << 6 | (text[++i] & 0x3f));
        }
        out[k++] = c;
    }
    *size = k;
    return out;
}

static const unsigned char *array_bytes(source *s, gv_value v, size_t *size) {
    const gv_pickle *p = s->p;
    if (gv_pickle_kind_of(p, v) == GV_PICKLE_STRING) return (const unsigned char *)gv_pickle_string(p, v, size);
    gv_value text = gv_pickle_is_call(p, v, "_codecs encode") ? gv_pickle_at(p, gv_pickle_args(p, v), 0) : 0;
    size_t n = 0;
    if (gv_pickle_kind_of(p, text) != GV_PICKLE_STRING) return NULL;
    const char *t = gv_pickle_string(p, text, &n);
    return latin1(s, t, n, size);
}

static bool array_type(const gv_pickle *p, gv_value v, gv_npz_member *m) {
    size_t n = 0, k = 0;
    if (!gv_pickle_is_call(p, v, "numpy dtype")) return false;
    gv_value code = gv_pickle_at(p, gv_pickle_args(p, v), 0), order = gv_pickle_at(p, gv_pickle_state(p, v), 1);
    if (gv_pickle_kind_of(p, code) != GV_PICKLE_STRING || gv_pickle_kind_of(p, order) != GV_PICKLE_STRING) return false;
    const char *c = gv_pickle_string(p, code, &n), *o = gv_pickle_string(p, order, &k);
    char descr[16] = {0};
    if (n < 2 || n > 10 || k != 1) return false;
    descr[0] = o[0];
    memcpy(descr + 1, c, n);
    return gv_npz_parse_descr(descr, &m->array.dtype, &m->width);
}

// An ndarray; false for anything else, for unreadable types and for shapes that do not fit the bytes.
static bool read_array(source *s, gv_value v, gv_npz_member *m) {
    const gv_pickle *p = s->p;
    if (!gv_pickle_is_call(p, v, "numpy.core.multiarray _reconstruct") &&
        !gv_pickle_is_call(p, v, "numpy._core.multiarray _reconstruct"))
        return false;
    gv_value state = gv_pickle_state(p, v), shape = gv_pickle_at(p, state, 1);
    int64_t fortran = 0, bytes;
    size_t size = 0;
    if (gv_pickle_kind_of(p, shape) != GV_PICKLE_TUPLE || gv_pickle_count(p, shape) > GV_MAX_DIMS) return false;
    for (gv_cell c = gv_pickle_first(p, shape); c; c = gv_pickle_next(p, c)) {
        int64_t *extent = &m->array.shape[m->array.ndim++];
        if (!gv_pickle_int(p, gv_pickle_item(p, c), extent) || *extent < 0) return false;
    }
    if (!array_type(p, gv_pickle_at(p, state, 2), m) || !gv_pickle_int(p, gv_pickle_at(p, state, 3), &fortran))
        return false;
    m->array.fortran_order = fortran != 0;
    m->bytes = array_bytes(s, gv_pickle_at(p, state, 4), &size);
    return m->bytes && gv_npz_count_elements(&m->array) &&
           !__builtin_mul_overflow(m->array.count, (int64_t)m->width, &bytes) && (uint64_t)bytes == size;
}

static bool read_indices(source *s, gv_value v, int32_t **out, int64_t *count) {
    gv_npz_member m = {0};
    if (!read_array(s, v, &m) || (*count >= 0 && m.array.count != *count) || m.array.count > MAX_DENSE - s->dense)
        return false;
    *count = m.array.count;
    s->dense += *count;
    *out = gv_calloc2((size_t)m.array.count, sizeof **out);
    return keep(s, *out) &&
           gv_elements_to_i32(*out, m.bytes, m.array.dtype, (size_t)m.array.count) == (size_t)m.array.count;
}

// Compressed columns (or rows): entries indptr[k] .. indptr[k + 1] belong to column k.
static bool scatter(double *dense, const double *data, const int32_t *indices, const int32_t *indptr, int64_t count,
                    int64_t major, int64_t minor, int64_t major_stride, int64_t minor_stride) {
    for (int64_t k = 0; k < major; k++) {
        if (indptr[k] < 0 || indptr[k] > indptr[k + 1] || indptr[k + 1] > count) return false;
        for (int32_t i = indptr[k]; i < indptr[k + 1]; i++) {
            if (indices[i] < 0 || indices[i] >= minor) return false;
            dense[k * major_stride + indices[i] * minor_stride] += data[i];
        }
    }
    return true;
}

// csc_matrix and csr_matrix, made dense.
static bool read_sparse(source *s, gv_value v, gv_npz_member *m) {
    const gv_pickle *p = s->p;
    bool by_column = is_class(p, class_of(p, v), "csc_matrix");
    gv_value state = gv_pickle_state(p, v), shape = gv_pickle_get(p, state, "_shape");
    int64_t rows = 0, columns = 0, elements, count = -1;
    if ((!by_column && !is_class(p, class_of(p, v), "csr_matrix")) || gv_pickle_count(p, shape) != 2) return false;
    if (!gv_pickle_int(p, gv_pickle_at(p, shape, 0), &rows) || !gv_pickle_int(p, gv_pickle_at(p, shape, 1), &columns))
        return false;
    if (rows < 0 || columns < 0 || rows > MAX_DENSE || columns > MAX_DENSE || rows * columns > MAX_DENSE - s->dense)
        return false;
    elements = rows * columns;
    int64_t major = by_column ? columns : rows, minor = by_column ? rows : columns, pointers = major + 1;
    int32_t *indices, *indptr;
    gv_npz_member data = {0};
    if (!read_indices(s, gv_pickle_get(p, state, "indices"), &indices, &count) ||
        !read_indices(s, gv_pickle_get(p, state, "indptr"), &indptr, &pointers) ||
        !read_array(s, gv_pickle_get(p, state, "data"), &data) || data.array.count != count ||
        !gv_dtype_size(data.array.dtype))
        return false;
    double *values = gv_calloc2((size_t)count, sizeof *values), *dense = gv_calloc2((size_t)elements, sizeof *dense);
    bool ok = values && dense;
    if (ok) gv_elements_to_f64(values, data.bytes, data.array.dtype, (size_t)count);
    ok = ok &&
         scatter(dense, values, indices, indptr, count, major, minor, by_column ? 1 : columns, by_column ? columns : 1);
    free(values);
    if (!keep(s, dense) || !ok) return false;
    s->dense += elements;
    m->array = (gv_array){.dtype = GV_F64, .ndim = 2, .shape = {rows, columns}, .count = elements};
    m->width = sizeof(double);
    m->bytes = (const unsigned char *)dense;
    return true;
}

static bool read_value(source *s, gv_value v, gv_npz_member *m) {
    if (gv_pickle_kind_of(s->p, v) != GV_PICKLE_OBJECT) return false;
    if (read_array(s, v, m)) return true;
    *m = (gv_npz_member){0};
    if (read_sparse(s, v, m)) return true;
    *m = (gv_npz_member){0};
    gv_value x = gv_pickle_get(s->p, gv_pickle_state(s->p, v), "x");
    return is_class(s->p, class_of(s->p, v), "Ch") && read_array(s, x, m);
}

gv_status gv_npz_open_pickle(gv_npz *z, gv_error *err) {
    source *s = z->pickle = calloc(1, sizeof *s);
    if (!s) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", z->path);
    gv_status status = gv_map_file(&s->data, &s->size, z->path, err);
    if (status == GV_OK) status = gv_pickle_parse(&s->p, s->data, s->size, NULL, z->path, err);
    if (status != GV_OK) return status;
    gv_value top = gv_pickle_root(s->p);
    if (gv_pickle_kind_of(s->p, top) != GV_PICKLE_DICT || gv_pickle_count(s->p, top) > GV_NPZ_MAX_MEMBERS)
        return gv_fail(err, GV_ERR_FORMAT, "%s: its pickle is no dictionary of arrays", z->path);
    if (!(z->members = gv_calloc2(gv_pickle_count(s->p, top), sizeof *z->members)))
        return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", z->path);
    for (gv_cell c = gv_pickle_first(s->p, top); c; c = gv_pickle_next(s->p, c)) {
        gv_npz_member *m = &z->members[z->count];
        gv_value key = gv_pickle_key(s->p, c);
        size_t n = 0;
        *m = (gv_npz_member){0};
        const char *name = gv_pickle_kind_of(s->p, key) == GV_PICKLE_STRING ? gv_pickle_string(s->p, key, &n) : NULL;
        if (!name || n > GV_NPZ_MAX_NAME || !read_value(s, gv_pickle_item(s->p, c), m)) continue;
        if (!(m->array.name = strndup(name, n))) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", z->path);
        z->count++;
    }
    if (!z->count) return gv_fail(err, GV_ERR_FORMAT, "%s: its pickle holds no arrays", z->path);
    return GV_OK;
}

void gv_npz_close_pickle(struct gv_pickle_source *s) {
    if (!s) return;
    for (int i = 0; i < s->owned_count; i++) free(s->owned[i]);
    free(s->owned);
    gv_pickle_free(s->p);
    gv_unmap_file(s->data, s->size);
    free(s);
}
