// video.c - the reader as everybody knows it: in this process, or in one without rights.
#include "video/video.h"
#include "video/confined.h"
#include "video/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct gv_video { // one of the two
    gv_reader *here;
    gv_confined *there;
    char *path;
    int fd; // of a file, -1: a live source
    gv_video_options opt;
};

static gv_status open_file(gv_video *v, const char *path, gv_error *err) {
    struct stat st;
    if (stat(path, &st) != 0) return gv_fail(err, GV_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode)) return gv_fail(err, GV_ERR_IO, "%s: is a folder, expected a video file", path);
    if (!S_ISREG(st.st_mode)) return gv_fail(err, GV_ERR_IO, "%s: not a regular file", path);
    if (st.st_size == 0) return gv_fail(err, GV_ERR_FORMAT, "%s: the file is empty, expected a video", path);
    v->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // not to wait, should it have become a pipe
    if (v->fd < 0) return gv_fail(err, GV_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    return GV_OK;
}

static gv_status start(gv_video *v, gv_error *err) {
    if (v->opt.jail) return gv_confined_open(&v->there, v->path, v->fd, &v->opt, err);
    return gv_reader_open(&v->here, v->path, &v->opt, &(gv_reader_source){.fd = v->fd}, err);
}

gv_status gv_video_open(gv_video **out, const char *path, const gv_video_options *opt, gv_error *err) {
    *out = NULL;
    gv_video *v = calloc(1, sizeof *v);
    if (!v) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    v->fd = -1;
    if (opt) v->opt = *opt;
    v->path = strdup(path);
    gv_status status = v->path ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    if (status == GV_OK && !v->opt.live) status = open_file(v, path, err);
    if (status == GV_OK) status = start(v, err);
    if (status != GV_OK)
        gv_video_close(v);
    else
        *out = v;
    return status;
}

void gv_video_close(gv_video *v) {
    if (!v) return;
    gv_reader_close(v->here);
    gv_confined_close(v->there);
    if (v->fd >= 0) close(v->fd);
    free(v->path);
    free(v);
}

const gv_video_info *gv_video_get_info(const gv_video *v) {
    return v->there ? gv_confined_info(v->there) : gv_reader_info(v->here);
}

gv_status gv_video_next(gv_video *v, gv_frame *frame, gv_error *err) {
    if (v->there) return gv_confined_next(v->there, frame, err);
    if (v->here) return gv_reader_next(v->here, frame, err);
    *frame = (gv_frame){0};
    return gv_fail(err, GV_ERR_IO, "%s: not open after a failed rewind", v->path);
}

gv_status gv_video_rewind(gv_video *v, gv_error *err) {
    if (v->here) return gv_reader_rewind(v->here, err);
    gv_confined_close(v->there);
    v->there = NULL;
    return start(v, err);
}

long gv_video_damaged(const gv_video *v) {
    return v->there ? gv_confined_damaged(v->there) : gv_reader_damaged(v->here);
}
