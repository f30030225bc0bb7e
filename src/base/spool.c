#define _GNU_SOURCE // O_TMPFILE
#include "base/spool.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_ROOM = 16 };

struct gv_spool {
    int fd;      // -1: not made yet
    bool unable; // it cannot be made, or is full
    int64_t end;
};

gv_spool *gv_spool_create(void) {
    gv_spool *s = gv_calloc2(1, sizeof *s);
    if (s) s->fd = -1;
    return s;
}

void gv_spool_destroy(gv_spool *s) {
    if (!s) return;
    if (s->fd >= 0) close(s->fd);
    free(s);
}

static bool make_file(gv_spool *s) {
    const char *folders[] = {getenv("TMPDIR"), "/var/tmp", "/tmp"};
    for (size_t i = 0; s->fd < 0 && i < sizeof folders / sizeof *folders; i++)
        if (folders[i] && *folders[i]) s->fd = open(folders[i], O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    return s->fd >= 0;
}

// All of it; where that fails errno says why, 0: the file ends.
static bool transfer(int fd, char *p, size_t n, int64_t at, bool to_file) {
    while (n > 0) {
        errno = 0;
        ssize_t k = to_file ? pwrite(fd, p, n, at) : pread(fd, p, n, at);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        p += k, at += k, n -= (size_t)k;
    }
    return true;
}

static long items_per_block(const gv_long_list *l) {
    return l->item < GV_SPOOL_BLOCK ? (long)(GV_SPOOL_BLOCK / l->item) : 1;
}

static bool grow(void **p, long *room, size_t size) {
    long more = *room ? 2 * *room : FIRST_ROOM;
    void *q = (size_t)more > GV_ALLOC_LIMIT / size ? NULL : realloc(*p, (size_t)more * size);
    if (!q) return false;
    *p = q, *room = more;
    return true;
}

// Moves the tail, a full block, into the file; false where it has to stay in memory.
static bool store(gv_long_list *l) {
    gv_spool *s = l->spool;
    long blocks = l->stored / items_per_block(l);
    size_t bytes = (size_t)items_per_block(l) * l->item;
    if (!s || s->unable) return false;
    s->unable = (s->fd < 0 && !make_file(s)) || !transfer(s->fd, l->tail, bytes, s->end, true);
    if (blocks == l->blocks_room) s->unable |= !grow((void **)&l->block, &l->blocks_room, sizeof *l->block);
    if (s->unable) return false;
    l->block[blocks] = s->end;
    s->end += (int64_t)bytes;
    l->stored += items_per_block(l);
    return true;
}

bool gv_long_list_add(gv_long_list *l, const void *items, long n) {
    const long full = items_per_block(l);
    for (const char *from = items; n > 0;) {
        long tail = l->count - l->stored;
        if (tail == full && store(l)) tail = 0;
        if (tail == l->room && !grow((void **)&l->tail, &l->room, l->item)) return false;
        long end = tail < full && full < l->room ? full : l->room; // a full block has its chance to go
        long k = end - tail < n ? end - tail : n;
        size_t bytes = (size_t)k * l->item;
        char *to = l->tail + (size_t)tail * l->item;
        if (from)
            memcpy(to, from, bytes), from += bytes;
        else
            memset(to, 0, bytes);
        l->count += k, n -= k;
    }
    return true;
}

gv_status gv_long_list_gather(gv_long_list *l, void **items, gv_error *err) {
    const long full = items_per_block(l);
    const size_t bytes = (size_t)full * l->item, tail = (size_t)(l->count - l->stored) * l->item;
    char *to = *items = gv_calloc2((size_t)l->count, l->item);
    if (!to) return gv_fail(err, GV_ERR_MEMORY, "no memory for %ld items of %zu bytes", l->count, l->item);
    for (long b = 0; b < l->stored / full; b++, to += bytes)
        if (!transfer(l->spool->fd, to, bytes, l->block[b], false)) {
            gv_status s = gv_fail(err, GV_ERR_IO, "what was put aside in a temporary file cannot be read: %s",
                                  errno ? strerror(errno) : "it has become shorter");
            free(*items);
            *items = NULL;
            return s;
        }
    if (tail) memcpy(to, l->tail, tail);
    gv_long_list_free(l);
    return GV_OK;
}

void gv_long_list_clear(gv_long_list *l) {
    l->count = l->stored = 0;
}

void gv_long_list_free(gv_long_list *l) {
    free(l->block);
    free(l->tail);
    *l = (gv_long_list){.spool = l->spool, .item = l->item};
}
