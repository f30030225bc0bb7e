// torch_write.c - the layout is SPEC-perception.md 2.1 and 2.3 read backwards: entries archive/data.pkl,
// archive/version and archive/data/K, stored, with sizes and checksums in both headers.
#include "formats/torch_write.h"
#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, MAX_ENTRY_NAME = 64 };

typedef struct entry {
    char name[MAX_ENTRY_NAME];
    uint32_t crc, size, offset;
} entry;

typedef struct zip_out {
    FILE *f;
    entry *entries;
    uint32_t count, position;
    uint32_t table[256]; // of CRC-32
    bool too_large;
} zip_out;

// CRC-32 of ISO 3309, reflected polynomial 0xedb88320.
static void make_table(uint32_t table[256]) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
        table[i] = c;
    }
}

static uint32_t checksum(const zip_out *z, const unsigned char *p, size_t n) {
    uint32_t c = ~0u;
    for (size_t i = 0; i < n; i++) c = z->table[(c ^ p[i]) & 0xff] ^ c >> 8;
    return ~c;
}

static void put(zip_out *z, const void *data, size_t n) {
    if (n > UINT32_MAX - z->position) z->too_large = true;
    if (z->too_large) return;
    fwrite(data, 1, n, z->f);
    z->position += (uint32_t)n;
}

static void put_uint(zip_out *z, uint64_t u, int bytes) {
    unsigned char b[8];
    for (int i = 0; i < bytes; i++) b[i] = (unsigned char)(u >> 8 * i);
    put(z, b, (size_t)bytes);
}

// What local and central header share: version needed, flags, method, time, date, checksum, sizes, name length.
static void put_common(zip_out *z, const entry *e) {
    put_uint(z, 20, 2);
    put_uint(z, 0x0800, 2); // names are UTF-8
    put_uint(z, 0, 2);      // stored
    put_uint(z, 0, 2);
    put_uint(z, 0x21, 2); // 1980-01-01
    put_uint(z, e->crc, 4);
    put_uint(z, e->size, 4);
    put_uint(z, e->size, 4);
    put_uint(z, strlen(e->name), 2);
}

static void add_entry(zip_out *z, const char *name, const void *data, size_t size) {
    static const char padding[ALIGN] = {0};
    entry *e = &z->entries[z->count++];
    snprintf(e->name, sizeof e->name, "%s", name);
    e->crc = checksum(z, data, size);
    e->size = (uint32_t)size;
    e->offset = z->position;
    if (size > UINT32_MAX) z->too_large = true;
    size_t begin = (size_t)z->position + 30 + strlen(name) + 4; // after the head of an extra field
    size_t pad = (ALIGN - begin % ALIGN) % ALIGN;
    put(z, "PK\3\4", 4);
    put_common(z, e);
    put_uint(z, 4 + pad, 2);
    put(z, name, strlen(name));
    put(z, "FB", 2); // PyTorch's name for padding
    put_uint(z, pad, 2);
    put(z, padding, pad);
    put(z, data, size);
}

static void finish_zip(zip_out *z) {
    uint32_t directory = z->position;
    for (uint32_t i = 0; i < z->count; i++) {
        const entry *e = &z->entries[i];
        put(z, "PK\1\2", 4);
        put_uint(z, 20, 2);
        put_common(z, e);
        put_uint(z, 0, 2 + 2 + 2 + 2); // extra, comment, disk, internal attributes
        put_uint(z, 0, 4);
        put_uint(z, e->offset, 4);
        put(z, e->name, strlen(e->name));
    }
    uint32_t size = z->position - directory;
    put(z, "PK\5\6", 4);
    put_uint(z, 0, 4);
    put_uint(z, z->count, 2);
    put_uint(z, z->count, 2);
    put_uint(z, size, 4);
    put_uint(z, directory, 4);
    put_uint(z, 0, 2);
}

// ---- the pickle

static void pickle_text(FILE *f, const char *s) {
    uint32_t n = (uint32_t)strlen(s);
    fputc('X', f);
    for (int i = 0; i < 4; i++) fputc((int)(n >> 8 * i & 0xff), f);
    fputs(s, f);
}

static void pickle_int(FILE *f, int64_t v) {
    fputs("\x8a\x08", f); // LONG1 of 8 bytes
    for (int i = 0; i < 8; i++) fputc((int)((uint64_t)v >> 8 * i & 0xff), f);
}

static int64_t element_count(const gv_torch_item *t) {
    int64_t n = 1;
    for (int i = 0; i < t->ndim; i++) n *= t->shape[i];
    return n;
}

static void pickle_tensor(FILE *f, const gv_torch_item *t, int key) {
    char text[16];
    int64_t stride[4], s = 1;
    for (int i = t->ndim - 1; i >= 0; s *= t->shape[i], i--) stride[i] = s;
    snprintf(text, sizeof text, "%d", key);
    fputs("ctorch._utils\n_rebuild_tensor_v2\n((", f);
    pickle_text(f, "storage");
    fputs("ctorch\nFloatStorage\n", f);
    pickle_text(f, text);
    pickle_text(f, "cpu");
    pickle_int(f, element_count(t));
    fputs("tQ", f);
    pickle_int(f, 0);
    fputc('(', f);
    for (int i = 0; i < t->ndim; i++) pickle_int(f, t->shape[i]);
    fputs("t(", f);
    for (int i = 0; i < t->ndim; i++) pickle_int(f, stride[i]);
    fputs("t\x89"
          "ccollections\nOrderedDict\n)RtR",
          f);
}

static bool same_group(const char *a, const char *b) {
    return a && b ? !strcmp(a, b) : a == b;
}

static void pickle_items(FILE *f, const gv_torch_item *items, int n) {
    const char *group = NULL;
    fputs("\x80\x02}(", f);
    for (int i = 0; i < n; i++) {
        const gv_torch_item *t = &items[i];
        if (!same_group(group, t->group)) {
            if (group) fputc('u', f);
            group = t->group;
            if (group) {
                pickle_text(f, group);
                fputs("}(", f);
            }
        }
        if (!t->name) continue;
        pickle_text(f, t->name);
        pickle_tensor(f, t, i);
    }
    fputs(group ? "uu." : "u.", f);
}

// Into memory of our own, with room to spare: a tensor takes less than 300 bytes and its name.
static bool build_pickle(char **pickle, size_t *size, const gv_torch_item *items, int n) {
    size_t room = 512;
    for (int i = 0; i < n; i++)
        room += 512 + (items[i].name ? strlen(items[i].name) : 0) + (items[i].group ? strlen(items[i].group) : 0);
    *pickle = malloc(room);
    FILE *f = *pickle ? fmemopen(*pickle, room, "wb") : NULL;
    if (!f) return false;
    pickle_items(f, items, n);
    bool good = fflush(f) == 0 && !ferror(f);
    long end = ftell(f);
    *size = end > 0 ? (size_t)end : 0;
    return fclose(f) == 0 && good && end > 0 && *size < room;
}

static gv_status write_archive(zip_out *z, const char *pickle, size_t pickle_size, const gv_torch_item *items, int n,
                               const char *path, gv_error *err) {
    char name[MAX_ENTRY_NAME];
    add_entry(z, "archive/data.pkl", pickle, pickle_size);
    for (int i = 0; i < n; i++) {
        if (!items[i].name) continue;
        snprintf(name, sizeof name, "archive/data/%d", i);
        add_entry(z, name, items[i].data, (size_t)element_count(&items[i]) * sizeof(float));
    }
    add_entry(z, "archive/version", "3\n", 2);
    finish_zip(z);
    if (z->too_large) return gv_fail(err, GV_ERR_MEMORY, "%s: more than 4 GiB of tensors", path);
    if (fflush(z->f) != 0 || ferror(z->f))
        return gv_fail(err, GV_ERR_IO, "%s: cannot write: %s", path, strerror(errno ? errno : EIO));
    return GV_OK;
}

gv_status gv_torch_write(const char *path, const gv_torch_item *items, int n, gv_error *err) {
    zip_out z = {0};
    gv_outfile out = {0};
    char *pickle = NULL;
    size_t pickle_size = 0;
    assert(n >= 0 && n < 60000);
    gv_status status = gv_outfile_begin(&out, path, err);
    if (status != GV_OK) return status;
    make_table(z.table);
    bool built = build_pickle(&pickle, &pickle_size, items, n);
    z.entries = calloc((size_t)n + 2, sizeof *z.entries);
    if (!built || !z.entries)
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    else if (!(z.f = fopen(out.temporary, "wb")))
        status = gv_fail(err, GV_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    else
        status = write_archive(&z, pickle, pickle_size, items, n, path, err);
    if (z.f && fclose(z.f) != 0 && status == GV_OK)
        status = gv_fail(err, GV_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    free(pickle);
    free(z.entries);
    if (status == GV_OK) return gv_outfile_commit(&out, err);
    gv_outfile_abandon(&out);
    return status;
}
