#include "pipeline/batch_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PATH = 4096, ATTEMPTS = 20 };
static const struct timespec nap = {0, 50000000}; // between attempts

static gv_status open_lock(int *fd, const char *folder, const char *part, gv_error *err) {
    char path[MAX_PATH];
    snprintf(path, sizeof path, "%s/.batch%s.lock", folder, part);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    return *fd >= 0 ? GV_OK : gv_fail(err, GV_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
}

static bool take(int fd, int how) {
    return flock(fd, how | LOCK_NB) == 0;
}

static void write_number(int fd, int shards) {
    char text[16];
    int n = snprintf(text, sizeof text, "%d", shards);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n) return; // read as 0: nobody shares it
}

static int read_number(int fd) {
    char text[16] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    return n > 0 ? atoi(text) : 0;
}

// The first of the shards says how many there are. Taken alone for a moment only: who finds it so tries again.
static bool share(int fd, int shards) {
    for (int i = 0; i < ATTEMPTS; i++) {
        if (take(fd, LOCK_EX)) write_number(fd, shards);
        if (take(fd, LOCK_SH)) return read_number(fd) == shards;
        nanosleep(&nap, NULL);
    }
    return false;
}

gv_status gv_batch_lock_take(gv_batch_lock *out, const char *folder, int shard, int shards, bool *busy, gv_error *err) {
    char part[48];
    *out = GV_BATCH_UNLOCKED;
    gv_status status = open_lock(&out->folder, folder, "", err);
    if (status == GV_OK && shards > 1) {
        snprintf(part, sizeof part, "-%d-of-%d", shard, shards);
        status = open_lock(&out->part, folder, part, err);
    }
    if (status != GV_OK) return status;
    *busy = shards > 1 ? !share(out->folder, shards) || !take(out->part, LOCK_EX) : !take(out->folder, LOCK_EX);
    if (!*busy) return GV_OK;
    gv_batch_unlock(out);
    return gv_fail(err, GV_ERR_ARGUMENT, "%s: another batch is at work in this folder", folder);
}

void gv_batch_unlock(gv_batch_lock *l) {
    if (l->folder >= 0) close(l->folder);
    if (l->part >= 0) close(l->part);
    *l = GV_BATCH_UNLOCKED;
}
