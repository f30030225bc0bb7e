// npz.c - libzip knows the container; here are the .npy headers, the checks and the conversions.
//
// A member's claimed size is believed only as far as deflate could produce it from the bytes that are in
// the file (at most 1032 : 1), so memory stays within a constant factor of the file's size.
#include "formats/npz_internal.h"
#include "base/memory.h"
#include "formats/elements.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    MAX_HEADER = 65536,   // bytes of a .npy header; NumPy itself warns beyond 10000
    MAX_TEXT = 1 << 20,   // items of one text member
    DEFLATE_RATIO = 1032, // zlib's technical limit
    CHUNK = 1 << 16,
};

typedef gv_npz_member member;

// ---- the .npy header: a Python dictionary literal, read without evaluating anything

typedef struct text_cursor {
    const char *p, *end;
} text_cursor;

static void skip_space(text_cursor *c) {
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\t' || *c->p == '\r')) c->p++;
}

static bool take(text_cursor *c, char ch) {
    skip_space(c);
    if (c->p >= c->end || *c->p != ch) return false;
    c->p++;
    return true;
}

static bool take_word(text_cursor *c, const char *word) {
    skip_space(c);
    size_t n = strlen(word);
    if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n)) return false;
    c->p += n;
    return true;
}

static bool take_string(text_cursor *c, char *out, size_t capacity) {
    skip_space(c);
    if (c->p >= c->end || (*c->p != '\'' && *c->p != '"')) return false;
    char quote = *c->p++;
    size_t n = 0;
    for (; c->p < c->end && *c->p != quote; c->p++) {
        if (*c->p == '\\' || n + 1 >= capacity) return false;
        out[n++] = *c->p;
    }
    if (c->p >= c->end) return false;
    c->p++;
    out[n] = 0;
    return true;
}

static bool take_extent(text_cursor *c, int64_t *out) {
    skip_space(c);
    int64_t v = 0;
    const char *start = c->p;
    for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *c->p - '0', &v)) return false;
    if (c->p == start) return false;
    if (c->p < c->end && *c->p == 'L') c->p++; // Python 2 wrote long integers so
    *out = v;
    return true;
}

static bool take_shape(text_cursor *c, gv_array *a) {
    if (!take(c, '(')) return false;
    for (a->ndim = 0; !take(c, ')'); a->ndim++) {
        if (a->ndim == GV_MAX_DIMS || !take_extent(c, &a->shape[a->ndim])) return false;
        if (!take(c, ',')) {
            a->ndim++;
            return a->ndim > 1 && take(c, ')'); // "(3)" is a number, not a shape
        }
    }
    return true;
}

// Structured types are lists: stepped over, the member is then listed as unreadable.
static bool skip_list(text_cursor *c) {
    if (!take(c, '[')) return false;
    char quote = 0;
    for (int depth = 1; c->p < c->end; c->p++) {
        if (quote) {
            if (*c->p == quote) quote = 0;
        } else if (*c->p == '\'' || *c->p == '"') {
            quote = *c->p;
        } else if (*c->p == '[' || *c->p == '(') {
            depth++;
        } else if ((*c->p == ']' || *c->p == ')') && --depth == 0) {
            c->p++;
            return true;
        }
    }
    return false;
}

bool gv_npz_parse_descr(const char *text, gv_dtype *dtype, size_t *width) {
    static const struct {
        const char *text;
        gv_dtype dtype;
    } table[] = {{"f2", GV_F16}, {"f4", GV_F32}, {"f8", GV_F64}, {"i1", GV_I8},  {"u1", GV_U8},  {"i2", GV_I16},
                 {"u2", GV_U16}, {"i4", GV_I32}, {"u4", GV_U32}, {"i8", GV_I64}, {"u8", GV_U64}, {"b1", GV_BOOL}};
    char order = text[0];
    if (order != '<' && order != '|' && order != '=') return false;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(text + 1, table[i].text)) {
            *dtype = table[i].dtype;
            *width = gv_dtype_size(table[i].dtype);
            return true;
        }
    if (text[1] != 'U' && text[1] != 'S') return false;
    text_cursor c = {text + 2, text + strlen(text)};
    int64_t n;
    if (!take_extent(&c, &n) || c.p != c.end || n > INT32_MAX) return false;
    *dtype = text[1] == 'U' ? GV_UNICODE : GV_BYTES;
    *width = (size_t)n * (text[1] == 'U' ? 4 : 1);
    return true;
}

static bool parse_dict(text_cursor c, member *m) {
    bool descr = false, order = false, shape = false;
    char key[32], value[64];
    if (!take(&c, '{')) return false;
    while (!take(&c, '}')) {
        if (!take_string(&c, key, sizeof key) || !take(&c, ':')) return false;
        if (!strcmp(key, "descr") && !descr) {
            descr = true;
            bool plain = take_string(&c, value, sizeof value);
            if (!plain && !skip_list(&c)) return false;
            if (!plain || !gv_npz_parse_descr(value, &m->array.dtype, &m->width))
                m->array.dtype = GV_OBJECT; // listed, never read
        } else if (!strcmp(key, "fortran_order") && !order) {
            order = true;
            m->array.fortran_order = take_word(&c, "True");
            if (!m->array.fortran_order && !take_word(&c, "False")) return false;
        } else if (!strcmp(key, "shape") && !shape) {
            shape = true;
            if (!take_shape(&c, &m->array)) return false;
        } else {
            return false;
        }
        if (!take(&c, ',')) {
            if (!take(&c, '}')) return false;
            break;
        }
    }
    skip_space(&c);
    return c.p == c.end && descr && order && shape;
}

bool gv_npz_count_elements(gv_array *a) {
    a->count = 1;
    for (int i = 0; i < a->ndim; i++)
        if (a->shape[i] == 0) return a->count = 0, true;
    for (int i = 0; i < a->ndim; i++)
        if (__builtin_mul_overflow(a->count, a->shape[i], &a->count)) return false;
    return true;
}

// ---- opening

static bool read_exact(zip_file_t *f, void *data, size_t n) {
    for (size_t done = 0; done < n;) {
        zip_int64_t r = zip_fread(f, (char *)data + done, n - done);
        if (r <= 0) return false;
        done += (size_t)r;
    }
    return true;
}

// Reads magic, version and dictionary of one member; on failure returns what is wrong.
static const char *read_header(zip_file_t *f, member *m, char *buffer) {
    unsigned char head[12];
    if (!read_exact(f, head, 10) || memcmp(head, "\x93NUMPY", 6)) return "is not a .npy array";
    size_t length = head[8] | (size_t)head[9] << 8;
    m->header = 10;
    if (head[6] == 2 || head[6] == 3) {
        if (!read_exact(f, head + 10, 2)) return "ends within its header";
        length |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
        m->header = 12;
    } else if (head[6] != 1) {
        return "has an unknown .npy version";
    }
    if (length > MAX_HEADER) return "has a header longer than 64 KiB";
    if (!read_exact(f, buffer, length)) return "ends within its header";
    m->header += length;
    if (!parse_dict((text_cursor){buffer, buffer + length}, m)) return "has a malformed .npy header";
    if (!gv_npz_count_elements(&m->array)) return "claims more elements than 64 bits can count";
    return NULL;
}

static gv_status add_member(gv_npz *z, const zip_stat_t *st, zip_uint64_t file_size, char *buffer, gv_error *err) {
    member *m = &z->members[z->count];
    *m = (member){.index = st->index, .size = st->size};
    size_t n = strlen(st->name);
    if (n > GV_NPZ_MAX_NAME)
        return gv_fail(err, GV_ERR_FORMAT, "%s: member name of %zu bytes, expected at most %d", z->path, n,
                       GV_NPZ_MAX_NAME);
    char *name = strndup(st->name, n - 4); // without ".npy"
    if (!name) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", z->path);
    m->array.name = name;
    z->count++;
    if (st->comp_size > file_size || st->size / DEFLATE_RATIO > st->comp_size)
        return gv_fail(err, GV_ERR_FORMAT,
                       "%s: member \"%s\" claims %llu bytes, more than its %llu packed bytes can hold", z->path, name,
                       (unsigned long long)st->size, (unsigned long long)st->comp_size);
    zip_file_t *f = zip_fopen_index(z->zip, st->index, 0);
    if (!f)
        return gv_fail(err, GV_ERR_FORMAT, "%s: cannot read member \"%s\": %s", z->path, name, zip_strerror(z->zip));
    const char *wrong = read_header(f, m, buffer);
    zip_fclose(f);
    if (wrong) return gv_fail(err, GV_ERR_FORMAT, "%s: member \"%s\" %s", z->path, name, wrong);
    int64_t bytes;
    if (m->array.dtype == GV_OBJECT) return GV_OK;
    if (__builtin_mul_overflow(m->array.count, (int64_t)m->width, &bytes) || (zip_uint64_t)bytes + m->header != m->size)
        return gv_fail(err, GV_ERR_FORMAT,
                       "%s: member \"%s\" has %llu bytes of data, expected %lld elements of %zu bytes", z->path, name,
                       (unsigned long long)(m->size - m->header), (long long)m->array.count, m->width);
    return GV_OK;
}

static gv_status list_members(gv_npz *z, zip_uint64_t file_size, gv_error *err) {
    zip_int64_t n = zip_get_num_entries(z->zip, 0);
    if (n > GV_NPZ_MAX_MEMBERS)
        return gv_fail(err, GV_ERR_FORMAT, "%s: %lld members, expected at most %d", z->path, (long long)n,
                       GV_NPZ_MAX_MEMBERS);
    z->members = gv_calloc2((size_t)n, sizeof *z->members);
    char *buffer = malloc(MAX_HEADER);
    gv_status status = z->members && buffer ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "%s: no memory", z->path);
    for (zip_int64_t i = 0; status == GV_OK && i < n; i++) {
        zip_stat_t st;
        if (zip_stat_index(z->zip, (zip_uint64_t)i, 0, &st) != 0 || !(st.valid & ZIP_STAT_NAME) ||
            !(st.valid & ZIP_STAT_SIZE) || !(st.valid & ZIP_STAT_COMP_SIZE)) {
            status = gv_fail(err, GV_ERR_FORMAT, "%s: member %lld has no size or name", z->path, (long long)i);
            break;
        }
        size_t length = strlen(st.name);
        if (length > 4 && !strcmp(st.name + length - 4, ".npy")) status = add_member(z, &st, file_size, buffer, err);
    }
    free(buffer);
    return status;
}

static gv_status open_zip(gv_npz *z, zip_uint64_t file_size, gv_error *err) {
    int code = 0;
    z->zip = zip_open(z->path, ZIP_RDONLY, &code);
    if (z->zip) return list_members(z, file_size, err);
    zip_error_t e;
    zip_error_init_with_code(&e, code);
    bool io = code == ZIP_ER_OPEN || code == ZIP_ER_READ || code == ZIP_ER_SEEK;
    gv_status status = gv_fail(err, io ? GV_ERR_IO : GV_ERR_FORMAT, "%s: not a readable .npz archive: %s", z->path,
                               zip_error_strerror(&e));
    zip_error_fini(&e);
    return status;
}

// A pickle begins with its protocol, or in the text protocol with a mark and a dictionary.
static bool looks_like_pickle(const char *path) {
    unsigned char head[2] = {0};
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(head, 1, 2, f) : 0;
    if (f) fclose(f);
    return n == 2 && ((head[0] == 0x80 && head[1] <= 5) || (head[0] == '(' && head[1] == 'd'));
}

gv_status gv_npz_open(gv_npz **out, const char *path, gv_error *err) {
    *out = NULL;
    struct stat file;
    if (stat(path, &file) != 0) return gv_fail(err, GV_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    if (!S_ISREG(file.st_mode)) return gv_fail(err, GV_ERR_IO, "%s: not a regular file", path);
    gv_npz *z = calloc(1, sizeof *z);
    if (!z || !(z->path = strdup(path))) {
        free(z);
        return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    }
    gv_status status =
        looks_like_pickle(path) ? gv_npz_open_pickle(z, err) : open_zip(z, (zip_uint64_t)file.st_size, err);
    if (status != GV_OK) {
        gv_npz_close(z);
        return status;
    }
    *out = z;
    return GV_OK;
}

void gv_npz_close(gv_npz *z) {
    if (!z) return;
    if (z->zip) zip_discard(z->zip);
    gv_npz_close_pickle(z->pickle);
    for (int i = 0; i < z->count; i++) free((char *)z->members[i].array.name);
    free(z->members);
    free(z->path);
    free(z);
}

int gv_npz_count(const gv_npz *z) {
    return z->count;
}

const gv_array *gv_npz_at(const gv_npz *z, int i) {
    assert(i >= 0 && i < z->count);
    return &z->members[i].array;
}

static const member *find_member(const gv_npz *z, const char *name) {
    for (int i = 0; i < z->count; i++)
        if (!strcmp(z->members[i].array.name, name)) return &z->members[i];
    return NULL;
}

const gv_array *gv_npz_find(const gv_npz *z, const char *name) {
    const member *m = find_member(z, name);
    return m ? &m->array : NULL;
}

const char *gv_npz_path(const gv_npz *z) {
    return z->path;
}

// ---- reading members

static bool shape_matches(const gv_array *a, const int64_t *shape, int ndim) {
    if (ndim < 0) return true;
    if (a->ndim != ndim) return false;
    for (int i = 0; i < ndim; i++)
        if (shape[i] >= 0 && shape[i] != a->shape[i]) return false;
    return true;
}

static const member *find_checked(gv_npz *z, const char *name, const int64_t *shape, int ndim, gv_error *err) {
    const member *m = find_member(z, name);
    if (!m) {
        gv_fail(err, GV_ERR_MISSING, "%s: has no member \"%s\"", z->path, name);
        return NULL;
    }
    if (!shape_matches(&m->array, shape, ndim)) {
        char found[160], expected[160];
        gv_npz_shape_text(found, sizeof found, m->array.shape, m->array.ndim);
        gv_npz_shape_text(expected, sizeof expected, shape, ndim);
        gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" is %s %s, expected %s", z->path, name, gv_dtype_name(m->array.dtype),
                found, expected);
        return NULL;
    }
    return m;
}

// Rows (C order) from columns (Fortran order): element by element with a counter over the indices.
static void reorder(unsigned char *dst, const unsigned char *src, const gv_array *a, size_t width) {
    int64_t stride[GV_MAX_DIMS], index[GV_MAX_DIMS] = {0}, at = 0, s = 1;
    for (int d = 0; d < a->ndim; s *= a->shape[d], d++) stride[d] = s;
    for (int64_t i = 0; i < a->count; i++) {
        memcpy(dst + (size_t)i * width, src + (size_t)at * width, width);
        for (int d = a->ndim - 1; d >= 0; d--) {
            at += stride[d];
            if (++index[d] < a->shape[d]) break;
            at -= stride[d] * a->shape[d];
            index[d] = 0;
        }
    }
}

static bool is_floating(gv_dtype t) {
    return t == GV_F16 || t == GV_BF16 || t == GV_F32 || t == GV_F64;
}

static const char no_memory[] = "needs more memory than there is";

// The elements of one member, from the archive or from memory.
typedef struct stream {
    zip_file_t *f;
    const unsigned char *at;
} stream;

static bool stream_read(stream *s, void *data, size_t n) {
    if (s->f) return read_exact(s->f, data, n);
    memcpy(data, s->at, n);
    s->at += n;
    return true;
}

static bool stream_open(stream *s, gv_npz *z, const member *m) {
    char skipped[1024];
    *s = (stream){.at = m->bytes};
    if (!z->zip) return m->bytes != NULL;
    s->f = zip_fopen_index(z->zip, m->index, 0);
    for (size_t left = m->header, n; s->f && left; left -= n) {
        n = left < sizeof skipped ? left : sizeof skipped;
        if (!read_exact(s->f, skipped, n)) return false;
    }
    return s->f != NULL;
}

// Whether the member ended where it should; libzip compares the checksum at the end.
static bool stream_ended(stream *s) {
    char extra;
    return !s->f || zip_fread(s->f, &extra, 1) == 0;
}

static void stream_close(stream *s) {
    if (s->f) zip_fclose(s->f);
}

// All elements to dst of type `to`, chunk by chunk; NULL or what is wrong.
static const char *read_elements(stream *s, const member *m, void *dst, gv_dtype to) {
    unsigned char chunk[CHUNK];
    size_t size = gv_dtype_size(to), left = (size_t)m->array.count, per_chunk = CHUNK / m->width;
    for (unsigned char *p = dst; left;) {
        size_t n = left < per_chunk ? left : per_chunk;
        if (!stream_read(s, chunk, n * m->width)) return "ends early or is damaged";
        if (to == GV_F32)
            gv_elements_to_f32((float *)(void *)p, chunk, m->array.dtype, n);
        else if (to == GV_F64)
            gv_elements_to_f64((double *)(void *)p, chunk, m->array.dtype, n);
        else if (to == GV_I32 && gv_elements_to_i32((int32_t *)(void *)p, chunk, m->array.dtype, n) < n)
            return "has values beyond the range of int32";
        else if (to == m->array.dtype)
            memcpy(p, chunk, n * size);
        p += n * size;
        left -= n;
    }
    return stream_ended(s) ? NULL : "is damaged (checksum)";
}

static void *read_as(gv_npz *z, const char *name, const int64_t *shape, int ndim, int64_t *extent, gv_dtype to,
                     gv_error *err) {
    const member *m = find_checked(z, name, shape, ndim, err);
    if (!m) return NULL;
    const gv_array *a = &m->array;
    if (!gv_dtype_size(a->dtype) || (to == GV_I32 && is_floating(a->dtype))) {
        gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" is %s, expected %s", z->path, name, gv_dtype_name(a->dtype),
                to == GV_I32 ? "integers" : "numbers");
        return NULL;
    }
    bool fortran = a->fortran_order && a->ndim > 1;
    void *data = gv_calloc2((size_t)a->count, gv_dtype_size(to));
    void *ordered = fortran ? gv_calloc2((size_t)a->count, gv_dtype_size(to)) : NULL;
    const char *wrong = data && (ordered || !fortran) ? NULL : no_memory;
    stream s = {0};
    if (!wrong) wrong = stream_open(&s, z, m) ? read_elements(&s, m, data, to) : "cannot be read";
    stream_close(&s);
    if (wrong) {
        gv_fail(err, wrong == no_memory ? GV_ERR_MEMORY : GV_ERR_FORMAT, "%s: member \"%s\" %s", z->path, name, wrong);
        free(data);
        free(ordered);
        return NULL;
    }
    if (fortran) {
        reorder(ordered, data, a, gv_dtype_size(to));
        free(data);
        data = ordered;
    }
    if (extent) *extent = a->ndim ? a->shape[0] : 1;
    return data;
}

float *gv_npz_read_f32(gv_npz *z, const char *name, const int64_t *shape, int ndim, int64_t *extent, gv_error *err) {
    return read_as(z, name, shape, ndim, extent, GV_F32, err);
}

double *gv_npz_read_f64(gv_npz *z, const char *name, const int64_t *shape, int ndim, int64_t *extent, gv_error *err) {
    return read_as(z, name, shape, ndim, extent, GV_F64, err);
}

int32_t *gv_npz_read_i32(gv_npz *z, const char *name, const int64_t *shape, int ndim, int64_t *extent, gv_error *err) {
    return read_as(z, name, shape, ndim, extent, GV_I32, err);
}

gv_status gv_npz_read_number(gv_npz *z, const char *name, double lo, double hi, double *value, gv_error *err) {
    const gv_array *a = gv_npz_find(z, name);
    if (!a) return GV_OK;
    if (a->count != 1 || !gv_dtype_size(a->dtype))
        return gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" is %s with %lld values, expected one number", z->path, name,
                       gv_dtype_name(a->dtype), (long long)a->count);
    double *x = gv_npz_read_f64(z, name, NULL, -1, NULL, err);
    if (!x) return err ? err->status : GV_ERR_FORMAT;
    *value = *x;
    free(x);
    if (*value >= lo && *value <= hi) return GV_OK;
    return gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" is %g, expected %g to %g", z->path, name, *value, lo, hi);
}

// UTF-8 of one code point; what is none becomes '?'. Returns the bytes written, at most 4.
static size_t utf8(char *out, uint32_t c) {
    if (c < 0x80) return *out = (char)c, 1;
    if (c < 0x800) return out[0] = (char)(0xc0 | c >> 6), out[1] = (char)(0x80 | (c & 63)), 2;
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return *out = '?', 1;
    if (c < 0x10000)
        return out[0] = (char)(0xe0 | c >> 12), out[1] = (char)(0x80 | (c >> 6 & 63)), out[2] = (char)(0x80 | (c & 63)),
               3;
    out[0] = (char)(0xf0 | c >> 18), out[1] = (char)(0x80 | (c >> 12 & 63));
    return out[2] = (char)(0x80 | (c >> 6 & 63)), out[3] = (char)(0x80 | (c & 63)), 4;
}

static size_t item_text(char *out, const unsigned char *item, const member *m) {
    size_t n = 0;
    if (m->array.dtype == GV_BYTES) {
        n = strnlen((const char *)item, m->width);
        memcpy(out, item, n);
    } else {
        for (size_t i = 0; i < m->width; i += 4) {
            uint32_t c;
            memcpy(&c, item + i, 4);
            if (!c) break;
            n += utf8(out + n, c);
        }
    }
    out[n] = 0;
    return n + 1;
}

char **gv_npz_read_strings(gv_npz *z, const char *name, int64_t *count, gv_error *err) {
    const member *m = find_checked(z, name, NULL, -1, err);
    if (!m) return NULL;
    const gv_array *a = &m->array;
    if ((a->dtype != GV_UNICODE && a->dtype != GV_BYTES) || a->count > MAX_TEXT || (a->fortran_order && a->ndim > 1)) {
        gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" is %s, expected a list of text", z->path, name,
                gv_dtype_name(a->dtype));
        return NULL;
    }
    size_t n = (size_t)a->count, bytes = n * m->width;
    char **strings = gv_calloc2(n * (sizeof(char *) + 1) + bytes, 1); // UTF-8 is never longer than UCS-4
    unsigned char *raw = gv_calloc2(bytes, 1);
    stream s = {0};
    if (!strings || !raw || !stream_open(&s, z, m) || !stream_read(&s, raw, bytes)) {
        bool none = !strings || !raw;
        gv_fail(err, none ? GV_ERR_MEMORY : GV_ERR_FORMAT, "%s: member \"%s\" %s", z->path, name,
                none ? no_memory : "cannot be read");
        free(strings);
        strings = NULL;
    } else {
        char *text = (char *)(strings + n);
        for (size_t i = 0; i < n; i++) {
            strings[i] = text;
            text += item_text(text, raw + i * m->width, m);
        }
        *count = a->count;
    }
    stream_close(&s);
    free(raw);
    return strings;
}
