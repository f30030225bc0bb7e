// A journal: 8 bytes "gvcache1", the key's 64 digits; then records: 8 bytes length, 4 bytes CRC-32 of length and data,
// 4 bytes zero, data. All little-endian.
#include "pipeline/cache.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libavutil/crc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[] = "gvcache1", ending[] = ".journal";
enum { MAX_PATH = 4096, HEADER = 8 + 64 };
static const uint64_t MAX_RECORD = (uint64_t)1 << 32;

struct gv_cache {
    char *folder; // NULL: off
    gv_note *note;
    void *user;
};

struct gv_journal {
    gv_cache *cache;
    char path[MAX_PATH];
    gv_key key;
    int fd;         // -1: nothing is kept
    off_t size, at; // of the file; behind the last good record
    off_t record;   // where the record last read begins
    void *data;
    size_t room;
    bool writing;
};

gv_key gv_key_make(const gv_key_part *parts) {
    gv_sha256 h;
    gv_key key;
    gv_sha256_begin(&h);
    for (; parts->name; parts++) { // with their ends, so that no two lists look the same
        gv_sha256_add(&h, parts->name, strlen(parts->name) + 1);
        gv_sha256_add(&h, parts->value, strlen(parts->value) + 1);
    }
    gv_sha256_hex(&h, key.hex);
    return key;
}

gv_cache *gv_cache_create(const char *folder, gv_note *note, void *user) {
    gv_cache *c = gv_calloc2(1, sizeof *c);
    if (!c) return NULL;
    c->note = note;
    c->user = user;
    if (folder && *folder && strlen(folder) < MAX_PATH - 200 && !(c->folder = strdup(folder))) {
        free(c);
        return NULL;
    }
    return c;
}

void gv_cache_destroy(gv_cache *c) {
    if (!c) return;
    free(c->folder);
    free(c);
}

bool gv_cache_is_on(const gv_cache *c) {
    return c->folder != NULL;
}

static bool is_ours(const char *name) {
    size_t n = strlen(name), k = sizeof ending - 1;
    return n > k && !strcmp(name + n - k, ending);
}

void gv_cache_remove(const gv_cache *c) {
    DIR *d = c->folder ? opendir(c->folder) : NULL;
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));)
        if (is_ours(e->d_name)) unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    rmdir(c->folder);
}

__attribute__((format(printf, 2, 3))) static void note(const gv_cache *c, const char *format, ...) {
    if (!c->note) return;
    gv_error line;
    va_list ap;
    va_start(ap, format);
    vsnprintf(line.text, sizeof line.text, format, ap);
    va_end(ap);
    c->note(c->user, line.text);
}

// ---- journals

// Writes at a place, whole or not at all.
static bool write_at(int fd, off_t at, const void *data, size_t size) {
    const char *p = data;
    for (size_t done = 0; done < size;) {
        ssize_t n = pwrite(fd, p + done, size - done, at + (off_t)done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

static bool read_at(int fd, off_t at, void *data, size_t size) {
    char *p = data;
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(fd, p + done, size - done, at + (off_t)done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

static void stop_keeping(gv_journal *j) {
    if (j->fd >= 0) close(j->fd);
    j->fd = -1;
}

static bool begin_file(gv_journal *j) {
    char header[HEADER];
    memcpy(header, magic, 8);
    memcpy(header + 8, j->key.hex, 64);
    j->size = j->at = HEADER;
    return ftruncate(j->fd, 0) == 0 && write_at(j->fd, 0, header, HEADER);
}

static void open_file(gv_journal *j) {
    if (mkdir(j->cache->folder, 0755) != 0 && errno != EEXIST) return;
    j->fd = open(j->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    struct stat st;
    if (j->fd < 0) return;
    if (flock(j->fd, LOCK_EX | LOCK_NB) != 0) {
        note(j->cache, "%s: another process is writing it: its results are not used", j->path);
        stop_keeping(j);
        return;
    }
    if (fstat(j->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        stop_keeping(j);
        return;
    }
    char header[HEADER];
    bool whole = st.st_size >= HEADER && read_at(j->fd, 0, header, HEADER) && !memcmp(header, magic, 8) &&
                 !memcmp(header + 8, j->key.hex, 64);
    j->size = st.st_size;
    j->at = HEADER;
    if (whole) return;
    if (st.st_size > 0) note(j->cache, "%s: damaged at its beginning: made again", j->path);
    if (!begin_file(j)) stop_keeping(j);
}

gv_journal *gv_journal_open(gv_cache *c, const char *stage, const gv_key *key) {
    gv_journal *j = gv_calloc2(1, sizeof *j);
    if (!j) return NULL;
    j->cache = c;
    j->key = *key;
    j->fd = -1;
    if (c->folder) {
        snprintf(j->path, sizeof j->path, "%.3800s/%.60s-%.16s%s", c->folder, stage, key->hex, ending);
        open_file(j);
    }
    return j;
}

void gv_journal_close(gv_journal *j) {
    if (!j) return;
    stop_keeping(j);
    free(j->data);
    free(j);
}

static uint32_t sum_of(uint64_t size, const void *data) {
    const AVCRC *table = av_crc_get_table(AV_CRC_32_IEEE_LE);
    uint32_t crc = av_crc(table, UINT32_MAX, (const uint8_t *)&size, sizeof size);
    return size ? av_crc(table, crc, data, (size_t)size) : crc;
}

static void put_head(uint8_t head[16], uint64_t size, const void *data) {
    uint32_t crc = sum_of(size, data), zero = 0;
    memcpy(head, &size, 8);
    memcpy(head + 8, &crc, 4);
    memcpy(head + 12, &zero, 4);
}

static bool reserve(gv_journal *j, size_t size) {
    if (size <= j->room) return true;
    free(j->data);
    j->room = size + size / 2;
    j->data = gv_calloc2(1, j->room);
    if (!j->data) j->room = 0;
    return j->data;
}

// Everything from `at` on is dropped, and writing begins there.
static void cut(gv_journal *j) {
    j->writing = true;
    if (j->fd < 0 || j->size == j->at) return;
    if (ftruncate(j->fd, j->at) != 0) stop_keeping(j);
    j->size = j->at;
}

// Reads the record at j->at; false where none is whole.
static bool read_record(gv_journal *j, uint64_t *size) {
    uint8_t head[16], expected[16];
    if (j->size - j->at < 16 || !read_at(j->fd, j->at, head, 16)) return false;
    memcpy(size, head, 8);
    if (*size > MAX_RECORD || *size > (uint64_t)(j->size - j->at - 16)) return false;
    if (!reserve(j, (size_t)*size) || !read_at(j->fd, j->at + 16, j->data, (size_t)*size)) return false;
    put_head(expected, *size, j->data);
    return !memcmp(head, expected, 16);
}

bool gv_journal_next(gv_journal *j, const void **data, size_t *size) {
    uint64_t n;
    if (j->fd < 0 || j->writing) return false;
    if (j->at == j->size) {
        j->writing = true;
        return false;
    }
    if (!read_record(j, &n)) {
        note(j->cache, "%s: damaged or cut short after %lld of %lld bytes: the rest is made again", j->path,
             (long long)j->at, (long long)j->size);
        cut(j);
        return false;
    }
    j->record = j->at;
    j->at += 16 + (off_t)n;
    *data = j->data;
    *size = (size_t)n;
    return true;
}

void gv_journal_reject(gv_journal *j, const char *why) {
    if (j->fd < 0 || j->writing) return;
    note(j->cache, "%s: %s: made again", j->path, why);
    j->at = j->record;
    cut(j);
}

void gv_journal_append(gv_journal *j, const void *data, size_t size) {
    uint8_t head[16];
    if (j->fd < 0 || size > MAX_RECORD) return;
    cut(j);
    if (j->fd < 0) return;
    put_head(head, size, data);
    if (write_at(j->fd, j->at, head, 16) && write_at(j->fd, j->at + 16, data, size)) {
        j->at = j->size = j->at + 16 + (off_t)size;
        return;
    }
    if (ftruncate(j->fd, j->at) != 0 || j->at == HEADER) unlink(j->path); // a full disk: what is whole stays
    stop_keeping(j);
}
