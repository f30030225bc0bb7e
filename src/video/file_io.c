#include "video/file_io.h"

#include <errno.h>
#include <libavutil/mem.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct cursor {
    int fd, *read_errno;
    int64_t at, size;
} cursor;

static int read_file(void *context, uint8_t *to, int bytes) {
    cursor *c = context;
    ssize_t n;
    while ((n = pread(c->fd, to, (size_t)bytes, c->at)) < 0 && errno == EINTR) continue;
    if (n < 0) {
        if (c->read_errno) *c->read_errno = errno;
        return AVERROR(errno);
    }
    if (n == 0) return AVERROR_EOF;
    c->at += n;
    return (int)n;
}

static int64_t seek_file(void *context, int64_t offset, int whence) {
    cursor *c = context;
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE) return c->size;
    int64_t base = whence == SEEK_CUR ? c->at : whence == SEEK_END ? c->size : 0;
    if (whence < SEEK_SET || whence > SEEK_END || offset < -base || offset > INT64_MAX - base) return AVERROR(EINVAL);
    return c->at = base + offset;
}

AVIOContext *gv_file_io_open(int fd, int *read_errno) {
    enum { BUFFER = 32768 };
    struct stat st;
    if (fstat(fd, &st) != 0) return NULL;
    cursor *c = calloc(1, sizeof *c);
    uint8_t *buffer = av_malloc(BUFFER);
    if (c) *c = (cursor){fd, read_errno, 0, st.st_size};
    AVIOContext *io = c && buffer ? avio_alloc_context(buffer, BUFFER, 0, c, read_file, NULL, seek_file) : NULL;
    if (io) return io;
    free(c);
    av_free(buffer);
    return NULL;
}

void gv_file_io_close(AVIOContext *io) {
    if (!io) return;
    free(io->opaque);
    av_freep(&io->buffer);
    avio_context_free(&io);
}
