// npz_write.c - .npy headers and members into a zip archive by libzip.
#include "base/file.h"
#include "base/memory.h"
#include "formats/npz_internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// "(300, 17, 3)"; -1 is written as "any".
void gv_npz_shape_text(char *text, size_t capacity, const int64_t *shape, int ndim) {
    size_t n = (size_t)snprintf(text, capacity, "(");
    for (int i = 0; i < ndim && n < capacity; i++) {
        if (shape[i] < 0)
            n += (size_t)snprintf(text + n, capacity - n, "%sany", i ? ", " : "");
        else
            n += (size_t)snprintf(text + n, capacity - n, "%s%lld", i ? ", " : "", (long long)shape[i]);
    }
    if (n < capacity) snprintf(text + n, capacity - n, ndim == 1 ? ",)" : ")");
}

enum { HEADER = 512 };
typedef struct held { // the header of a member, and its elements unless they are the caller's
    struct held *next;
    unsigned char bytes[];
} held;

struct gv_npz_writer {
    gv_outfile file;
    zip_t *zip;
    int members;
    bool borrow;
    held *held;   // what members need until the end
    gv_error err; // the first failure
};

gv_status gv_npz_create(gv_npz_writer **out, const char *path, gv_error *err) {
    *out = NULL;
    gv_npz_writer *w = calloc(1, sizeof *w);
    if (!w) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    gv_status status = gv_outfile_begin(&w->file, path, err);
    if (status == GV_OK) {
        int code = 0;
        w->zip = zip_open(w->file.temporary, ZIP_CREATE | ZIP_TRUNCATE, &code);
        if (!w->zip) status = gv_fail(err, GV_ERR_IO, "%s: cannot write: libzip error %d", path, code);
    }
    if (status != GV_OK) {
        gv_npz_abandon(w);
        return status;
    }
    *out = w;
    return GV_OK;
}

static void descr_text(char *text, size_t capacity, gv_dtype t, size_t width) {
    static const char *const code[] = {
        [GV_F16] = "<f2", [GV_F32] = "<f4", [GV_F64] = "<f8", [GV_I8] = "|i1",  [GV_U8] = "|u1",  [GV_I16] = "<i2",
        [GV_U16] = "<u2", [GV_I32] = "<i4", [GV_U32] = "<u4", [GV_I64] = "<i8", [GV_U64] = "<u8", [GV_BOOL] = "|b1"};
    if (t == GV_UNICODE)
        snprintf(text, capacity, "<U%zu", width / 4);
    else
        snprintf(text, capacity, "%s", code[t]);
}

// Version 1.0 header, padded with spaces so that the elements start at a multiple of 64 (NumPy NEP 1).
static size_t make_header(unsigned char *out, size_t capacity, gv_dtype t, size_t width, const int64_t *shape,
                          int ndim) {
    char descr[32], extents[240];
    descr_text(descr, sizeof descr, t, width);
    gv_npz_shape_text(extents, sizeof extents, shape, ndim);
    int n = snprintf((char *)out + 10, capacity - 10, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr,
                     extents);
    size_t total = ((size_t)n + 10 + 1 + 63) & ~(size_t)63;
    assert(total <= capacity);
    memset(out + 10 + n, ' ', total - 10 - (size_t)n);
    out[total - 1] = '\n';
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (unsigned char)((total - 10) & 0xff);
    out[9] = (unsigned char)((total - 10) >> 8);
    return total;
}

void gv_npz_borrow(gv_npz_writer *w, bool borrow) {
    w->borrow = borrow;
}

// Elements are copied, or only the header is and the caller's array must stay until the end. What is copied belongs to
// the writer: where zip_source_buffer fails, libzip 1.7 has released a buffer that was given to it, or has not.
static zip_source_t *make_source(gv_npz_writer *w, const unsigned char *header, size_t head, const void *data,
                                 size_t bytes, bool borrow) {
    size_t own = borrow ? head : head + bytes;
    held *h = own < head || own > SIZE_MAX - sizeof *h ? NULL : malloc(sizeof *h + own);
    if (!h) return NULL;
    memcpy(h->bytes, header, head);
    if (own > head) memcpy(h->bytes + head, data, bytes);
    h->next = w->held;
    w->held = h;
    if (!borrow) return zip_source_buffer(w->zip, h->bytes, own, 0);
    // libzip keeps a copy of the list of parts, not of what they point to
    const zip_buffer_fragment_t parts[2] = {{h->bytes, head}, {(zip_uint8_t *)(uintptr_t)data, bytes}};
    return zip_source_buffer_fragment(w->zip, parts, bytes ? 2 : 1, 0);
}

static void add(gv_npz_writer *w, const char *name, gv_dtype t, size_t width, const void *data, const int64_t *shape,
                int ndim, bool borrow) {
    unsigned char header[HEADER];
    char member_name[GV_NPZ_MAX_NAME + 8];
    size_t count = 1, bytes = 0;
    assert(ndim >= 0 && ndim <= GV_MAX_DIMS && strlen(name) <= GV_NPZ_MAX_NAME);
    if (w->err.status != GV_OK) return;
    for (int i = 0; i < ndim; i++) count *= (size_t)shape[i];
    size_t head = make_header(header, sizeof header, t, width, shape, ndim);
    if (__builtin_mul_overflow(count, width, &bytes)) {
        gv_fail(&w->err, GV_ERR_MEMORY, "%s: no memory for \"%s\"", w->file.path, name);
        return;
    }
    snprintf(member_name, sizeof member_name, "%s.npy", name);
    zip_source_t *source = make_source(w, header, head, data, bytes, borrow);
    if (!source) {
        gv_fail(&w->err, GV_ERR_MEMORY, "%s: no memory for \"%s\"", w->file.path, name);
        return;
    }
    zip_int64_t index = zip_file_add(w->zip, member_name, source, ZIP_FL_ENC_UTF_8);
    if (index < 0 || zip_set_file_compression(w->zip, (zip_uint64_t)index, ZIP_CM_DEFLATE, 1) != 0 ||
        zip_file_set_dostime(w->zip, (zip_uint64_t)index, 0, 0x21, 0) != 0) { // 1980-01-01: same input, same bytes
        gv_fail(&w->err, GV_ERR_INTERNAL, "%s: cannot add \"%s\": %s", w->file.path, name, zip_strerror(w->zip));
        if (index < 0) zip_source_free(source);
        return;
    }
    w->members++;
}

void gv_npz_add(gv_npz_writer *w, const char *name, gv_dtype dtype, const void *data, const int64_t *shape, int ndim) {
    assert(gv_dtype_size(dtype) && dtype != GV_BF16); // NumPy has no bfloat16
    add(w, name, dtype, gv_dtype_size(dtype), data, shape, ndim, w->borrow && ndim > 0);
}

static void take_extents(int64_t *shape, int ndim, va_list ap) {
    assert(ndim >= 0 && ndim <= GV_MAX_DIMS);
    for (int i = 0; i < ndim; i++) shape[i] = va_arg(ap, int);
}

void gv_npz_add_f32(gv_npz_writer *w, const char *name, const float *data, int ndim, ...) {
    int64_t shape[GV_MAX_DIMS];
    va_list ap;
    va_start(ap, ndim);
    take_extents(shape, ndim, ap);
    va_end(ap);
    gv_npz_add(w, name, GV_F32, data, shape, ndim);
}

void gv_npz_add_i32(gv_npz_writer *w, const char *name, const int32_t *data, int ndim, ...) {
    int64_t shape[GV_MAX_DIMS];
    va_list ap;
    va_start(ap, ndim);
    take_extents(shape, ndim, ap);
    va_end(ap);
    gv_npz_add(w, name, GV_I32, data, shape, ndim);
}

void gv_npz_add_f64_scalar(gv_npz_writer *w, const char *name, double value) {
    gv_npz_add(w, name, GV_F64, &value, NULL, 0);
}

void gv_npz_add_i32_scalar(gv_npz_writer *w, const char *name, int32_t value) {
    gv_npz_add(w, name, GV_I32, &value, NULL, 0);
}

// One code point of UTF-8; a byte that starts none is taken as Latin-1. Advances *p.
static uint32_t decode_utf8(const unsigned char **p) {
    const unsigned char *s = *p;
    int more = s[0] >= 0xf0 && s[0] < 0xf8 ? 3 : s[0] >= 0xe0 && s[0] < 0xf0 ? 2 : s[0] >= 0xc0 && s[0] < 0xe0 ? 1 : 0;
    uint32_t c = more ? s[0] & (0x3fu >> more) : s[0];
    for (int i = 1; i <= more; i++) {
        if ((s[i] & 0xc0) != 0x80) return *p = s + 1, s[0];
        c = c << 6 | (s[i] & 63u);
    }
    *p = s + 1 + more;
    return c;
}

static void add_strings(gv_npz_writer *w, const char *name, const char *const *strings, int n, int ndim) {
    size_t longest = 1;
    for (int i = 0; i < n; i++)
        if (strlen(strings[i]) > longest) longest = strlen(strings[i]);
    uint32_t *text = gv_calloc2((size_t)n * longest, sizeof *text);
    if (!text) {
        if (w->err.status == GV_OK) gv_fail(&w->err, GV_ERR_MEMORY, "%s: no memory for \"%s\"", w->file.path, name);
        return;
    }
    for (int i = 0; i < n; i++) {
        const unsigned char *s = (const unsigned char *)strings[i];
        for (uint32_t *c = text + (size_t)i * longest; *s;) *c++ = decode_utf8(&s);
    }
    add(w, name, GV_UNICODE, longest * 4, text, (int64_t[]){n}, ndim, false);
    free(text);
}

void gv_npz_add_strings(gv_npz_writer *w, const char *name, const char *const *strings, int n) {
    add_strings(w, name, strings, n, 1);
}

void gv_npz_add_string(gv_npz_writer *w, const char *name, const char *string) {
    add_strings(w, name, &string, 1, 0);
}

gv_status gv_npz_finish(gv_npz_writer *w, gv_error *err) {
    gv_status status = w->err.status;
    if (status == GV_OK && w->members == 0)
        status = gv_fail(&w->err, GV_ERR_ARGUMENT, "%s: nothing to write", w->file.path);
    if (status == GV_OK) {
        if (zip_close(w->zip) == 0)
            w->zip = NULL;
        else
            status = gv_fail(&w->err, GV_ERR_IO, "%s: cannot write: %s", w->file.path, zip_strerror(w->zip));
    }
    if (status == GV_OK) {
        status = gv_outfile_commit(&w->file, err);
    } else if (err) {
        *err = w->err;
    }
    gv_npz_abandon(w);
    return status;
}

void gv_npz_abandon(gv_npz_writer *w) {
    if (!w) return;
    if (w->zip) zip_discard(w->zip);
    gv_outfile_abandon(&w->file);
    for (held *h = w->held, *next; h; h = next) {
        next = h->next;
        free(h);
    }
    free(w);
}
