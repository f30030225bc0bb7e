#include "formats/zip_directory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { END_SIZE = 22, LOCATOR_SIZE = 20, END64_SIZE = 56, CENTRAL_SIZE = 46, LOCAL_SIZE = 30, MAX_COMMENT = 65535 };

typedef struct archive {
    const unsigned char *data;
    size_t size;
    uint64_t entries, directory, directory_size; // from the end record
} archive;

static uint64_t little(const unsigned char *p, int bytes) {
    uint64_t u = 0;
    for (int i = 0; i < bytes; i++) u |= (uint64_t)p[i] << 8 * i;
    return u;
}

static bool inside(const archive *a, uint64_t offset, uint64_t length) {
    return offset <= a->size && length <= a->size - offset;
}

static const char *find_end(archive *a) {
    if (a->size < END_SIZE) return "is cut off: no end record";
    size_t lowest = a->size - END_SIZE > MAX_COMMENT ? a->size - END_SIZE - MAX_COMMENT : 0;
    size_t at = a->size - END_SIZE;
    while (memcmp(a->data + at, "PK\5\6", 4) || at + END_SIZE + little(a->data + at + 20, 2) != a->size) {
        if (at == lowest) return "is cut off: no end record";
        at--;
    }
    a->entries = little(a->data + at + 10, 2);
    a->directory_size = little(a->data + at + 12, 4);
    a->directory = little(a->data + at + 16, 4);
    if (at < LOCATOR_SIZE || memcmp(a->data + at - LOCATOR_SIZE, "PK\6\7", 4)) return NULL;
    uint64_t end64 = little(a->data + at - LOCATOR_SIZE + 8, 8);
    if (!inside(a, end64, END64_SIZE) || memcmp(a->data + end64, "PK\6\6", 4)) return "has a misplaced zip64 record";
    a->entries = little(a->data + end64 + 32, 8);
    a->directory_size = little(a->data + end64 + 40, 8);
    a->directory = little(a->data + end64 + 48, 8);
    return NULL;
}

// Sizes and offset that do not fit 32 bits are in an extra field with id 1, in this order.
static bool read_zip64(const unsigned char *extra, size_t length, uint64_t *values[3]) {
    while (length >= 4) {
        uint64_t id = little(extra, 2), n = little(extra + 2, 2);
        if (n > length - 4) return false;
        if (id == 1) {
            const unsigned char *p = extra + 4;
            for (int i = 0; i < 3; i++) {
                if (*values[i] != UINT32_MAX) continue;
                if (n < 8) return false;
                *values[i] = little(p, 8);
                p += 8;
                n -= 8;
            }
            return true;
        }
        extra += 4 + n;
        length -= 4 + n;
    }
    return true;
}

// Reads one central header at *at and moves behind it.
static const char *read_entry(const archive *a, uint64_t *at, uint64_t end, gv_zip_entry *e) {
    const unsigned char *h = a->data + *at;
    if (end - *at < CENTRAL_SIZE || memcmp(h, "PK\1\2", 4)) return "has a damaged directory";
    uint64_t flags = little(h + 8, 2), method = little(h + 10, 2), packed = little(h + 20, 4), size = little(h + 24, 4);
    uint64_t name = little(h + 28, 2), extra = little(h + 30, 2), comment = little(h + 32, 2),
             local = little(h + 42, 4);
    if (end - *at - CENTRAL_SIZE < name + extra + comment) return "has a damaged directory";
    if (!read_zip64(h + CENTRAL_SIZE + name, extra, (uint64_t *[]){&size, &packed, &local}))
        return "has a damaged zip64 field";
    *at += CENTRAL_SIZE + name + extra + comment;
    if (flags & 1) return "has an encrypted entry";
    if (method != 0) return "has a compressed entry, which PyTorch never writes";
    if (packed != size) return "has an entry with two different sizes";
    if (!inside(a, local, LOCAL_SIZE) || memcmp(a->data + local, "PK\3\4", 4))
        return "has an entry without local header";
    uint64_t begin = local + LOCAL_SIZE + little(a->data + local + 26, 2) + little(a->data + local + 28, 2);
    if (!inside(a, begin, size)) return "has an entry that is larger than the file";
    *e = (gv_zip_entry){(const char *)h + CENTRAL_SIZE, name, a->data + begin, size};
    return NULL;
}

static int by_name(const void *x, const void *y) {
    const gv_zip_entry *a = x, *b = y;
    size_t n = a->name_length < b->name_length ? a->name_length : b->name_length;
    int order = memcmp(a->name, b->name, n);
    return order ? order : (a->name_length > b->name_length) - (a->name_length < b->name_length);
}

static int by_position(const void *x, const void *y) {
    const gv_zip_entry *a = x, *b = y;
    return (a->data > b->data) - (a->data < b->data);
}

static const char *check_and_sort(gv_zip_directory *d) {
    qsort(d->entries, d->count, sizeof *d->entries, by_position);
    for (size_t i = 1; i < d->count; i++)
        if (d->entries[i - 1].data + d->entries[i - 1].size > d->entries[i].data) return "has overlapping entries";
    qsort(d->entries, d->count, sizeof *d->entries, by_name);
    for (size_t i = 1; i < d->count; i++)
        if (by_name(&d->entries[i - 1], &d->entries[i]) == 0) return "has two entries of the same name";
    return NULL;
}

gv_status gv_zip_directory_read(gv_zip_directory *out, const void *data, size_t size, const char *path, gv_error *err) {
    *out = (gv_zip_directory){0};
    archive a = {.data = data, .size = size};
    const char *wrong = find_end(&a);
    if (!wrong && (!inside(&a, a.directory, a.directory_size) || a.entries > a.directory_size / CENTRAL_SIZE))
        wrong = "has a directory outside the file";
    if (!wrong && !(out->entries = calloc((size_t)a.entries + 1, sizeof *out->entries)))
        return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %llu entries", path, (unsigned long long)a.entries);
    uint64_t at = a.directory, end = a.directory + a.directory_size;
    for (uint64_t i = 0; !wrong && i < a.entries; i++) {
        wrong = read_entry(&a, &at, end, &out->entries[i]);
        out->count++;
    }
    if (!wrong) wrong = check_and_sort(out);
    if (!wrong) return GV_OK;
    gv_zip_directory_free(out);
    return gv_fail(err, GV_ERR_FORMAT, "%s: the zip archive %s", path, wrong);
}

void gv_zip_directory_free(gv_zip_directory *d) {
    free(d->entries);
    *d = (gv_zip_directory){0};
}

const gv_zip_entry *gv_zip_directory_find(const gv_zip_directory *d, const char *name, size_t length) {
    gv_zip_entry key = {.name = name, .name_length = length};
    return d->count ? bsearch(&key, d->entries, d->count, sizeof *d->entries, by_name) : NULL;
}
