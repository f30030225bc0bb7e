#define _GNU_SOURCE // memfd_create
#include "video/confined.h"
#include "base/confine.h"
#include "base/jail.h"
#include "base/progress.h"
#include "video/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLOTS = 3, LARGE_SLOTS = 2, MAX_PATH = 4096 };
static const size_t large = (size_t)1 << 26;       // bytes of a frame
static const size_t most_memory = (size_t)4 << 30; // 8K with 16 references and 16 threads needs 1.6 GB
static const double silence_sec = 300,
                    longer_sec = 8; // until a file's decoder hangs; a live one's, beyond its patience
static const double end_sec = 1e9;  // no video is longer

typedef struct request {
    gv_video_options opt;
    bool live;
    char path[MAX_PATH];
} request;

typedef enum what { OPENED = 1, FRAME, END, FAILED } what;

typedef struct packet { // from the process
    what what;
    union {
        struct {
            gv_video_info info; // without its strings
            int stride;
            char codec[32], container[64];
        } opened;
        struct {
            int slot, source_width, source_height;
            long damaged;
            double time_sec;
        } frame; // and END
        gv_error failed;
    };
} packet;

typedef struct go { // to the process: where frames go
    int slots;
    size_t slot_bytes;
} go;

typedef struct done { // to the process: a frame has been used
    int slot;
} done;

// ---- in the process

static unsigned rights(const request *r) {
    if (!r->opt.live) return 0;
    if (!strncmp(r->path, "/dev/", 5)) return GV_RIGHT_CAMERA;
    if (!strncmp(r->path, "http", 4)) return GV_RIGHT_STREAM | GV_RIGHT_CONNECT; // seeking there is a new connection
    return strstr(r->path, "://") ? GV_RIGHT_STREAM : 0;
}

static void confine(void *user) {
    gv_confine(rights(user), most_memory);
}

static bool say(int socket, const packet *p, size_t bytes) {
    return gv_jail_send(socket, p, offsetof(packet, opened) + bytes);
}

static bool say_failed(int socket, const gv_error *err) {
    packet p = {.what = FAILED, .failed = *err};
    return say(socket, &p, sizeof p.failed);
}

static bool say_opened(int socket, const gv_reader *v, go *g, int memory, uint8_t **pixels) {
    packet p = {.what = OPENED, .opened.info = *gv_reader_info(v)};
    size_t need = gv_reader_frame_bytes(v, &p.opened.stride), bytes = sizeof *g;
    snprintf(p.opened.codec, sizeof p.opened.codec, "%s", p.opened.info.codec);
    snprintf(p.opened.container, sizeof p.opened.container, "%s", p.opened.info.container);
    p.opened.info.codec = p.opened.info.container = NULL;
    if (!say(socket, &p, sizeof p.opened)) return false;
    if (gv_jail_receive(socket, g, &bytes, 0, NULL, NULL) != GV_JAIL_PACKET || bytes != sizeof *g) return false;
    *pixels = mmap(NULL, (size_t)g->slots * g->slot_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (*pixels == MAP_FAILED || need > g->slot_bytes) {
        gv_error err;
        gv_fail(&err, GV_ERR_MEMORY, "no memory for %d frames of %zu bytes", g->slots, g->slot_bytes);
        say_failed(socket, &err);
        return false;
    }
    return true;
}

static bool say_frame(int socket, const gv_reader *v, int slot, const gv_frame *f) {
    packet p = {.what = f->rgb ? FRAME : END};
    p.frame.slot = slot;
    p.frame.source_width = f->source_width;
    p.frame.source_height = f->source_height;
    p.frame.damaged = gv_reader_damaged(v);
    p.frame.time_sec = f->time_sec;
    return say(socket, &p, sizeof p.frame) && f->rgb;
}

// A slot to write to; -1: nobody is there any more.
static int free_slot(int socket, bool taken[SLOTS], int slots) {
    for (;;) {
        for (int i = 0; i < slots; i++)
            if (!taken[i]) return i;
        done d;
        size_t bytes = sizeof d;
        if (gv_jail_receive(socket, &d, &bytes, 0, NULL, NULL) != GV_JAIL_PACKET || bytes != sizeof d) return -1;
        if (d.slot >= 0 && d.slot < slots) taken[d.slot] = false;
    }
}

static void decode(int socket, const void *asked, const int *fds) {
    request r = *(const request *)asked;
    gv_reader_source source = {r.opt.live ? -1 : fds[1], r.opt.live ? confine : NULL, &r};
    gv_error err = {0};
    gv_reader *v = NULL;
    go g;
    uint8_t *pixels;
    if (!r.opt.live) confine(&r);
    if (gv_reader_open(&v, r.path, &r.opt, &source, &err) != GV_OK) {
        say_failed(socket, &err);
        return;
    }
    bool taken[SLOTS] = {0};
    bool more = say_opened(socket, v, &g, fds[0], &pixels);
    for (int slot; more && (slot = free_slot(socket, taken, g.slots)) >= 0;) {
        gv_frame f;
        gv_reader_write_to(v, pixels + (size_t)slot * g.slot_bytes);
        if (gv_reader_next(v, &f, &err) != GV_OK) {
            say_failed(socket, &err);
            return;
        }
        taken[slot] = true;
        more = say_frame(socket, v, slot, &f);
    }
}

// ---- in the program

struct gv_confined {
    char *path;
    gv_video_options opt;
    gv_video_info info;
    char codec[32], container[64];
    int socket, memory, stride, slot; // slot: of the frame that is out, -1: none
    go go;
    uint8_t *pixels;
    long index, damaged;
    double last_sec;
    gv_status over; // of the last next, where there is no further one; GV_OK: the end
    bool ended;
    gv_error error;
};

static gv_status fail(gv_confined *c, gv_error *err, gv_status status, const char *text) {
    c->ended = true;
    c->over = gv_fail(&c->error, status, "%s: %s", c->path, text);
    if (err) *err = c->error;
    return status;
}

// The next packet of the process, or why there is none.
static gv_status receive(gv_confined *c, packet *p, gv_error *err) {
    gv_error why = {0};
    size_t bytes = sizeof *p;
    double patience = !c->opt.live ? silence_sec : c->opt.patience_sec > 0 ? c->opt.patience_sec + longer_sec : 0;
    *p = (packet){0};
    switch (gv_jail_receive(c->socket, p, &bytes, patience, c->opt.stop, &why)) {
    case GV_JAIL_STOPPED:
        return fail(c, err, GV_ERR_CANCELLED, "cancelled");
    case GV_JAIL_SILENT:
        return fail(c, err, c->opt.live ? GV_ERR_EMPTY : GV_ERR_FORMAT, "the process that decodes it hangs");
    case GV_JAIL_ENDED:
        return fail(c, err, why.status, why.text);
    default:
        break;
    }
    if (p->what != FAILED || bytes != offsetof(packet, opened) + sizeof p->failed) return GV_OK;
    if (p->failed.status < GV_ERR_ARGUMENT || p->failed.status > GV_ERR_CANCELLED) p->failed.status = GV_ERR_INTERNAL;
    c->ended = true;
    c->over = gv_fail(&c->error, p->failed.status, "%.*s", (int)sizeof p->failed.text - 1, p->failed.text);
    if (err) *err = c->error;
    return c->over;
}

static gv_status nonsense(gv_confined *c, gv_error *err) {
    return fail(c, err, GV_ERR_FORMAT, "the process that decodes it tells nonsense (damaged, or made to do harm)");
}

static bool believable(const packet *p) {
    const gv_video_info *i = &p->opened.info;
    return p->what == OPENED && gv_frame_fits(i->width, i->height) && p->opened.stride >= 3 * i->width &&
           p->opened.stride <= 3 * i->width + 256 && i->fps >= 0 && i->fps <= 1e6 && i->frames >= 0 &&
           i->duration_sec >= 0 && i->duration_sec < INFINITY &&
           (i->rotation == 0 || i->rotation == 90 || i->rotation == 180 || i->rotation == 270);
}

// Memory for the frames: made to size here and fixed, so that it cannot be taken away while it is read.
static gv_status share_memory(gv_confined *c, gv_error *err) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    c->go.slot_bytes = (((size_t)c->info.height + 1) * (size_t)c->stride + page - 1) / page * page;
    c->go.slots = c->go.slot_bytes > large ? LARGE_SLOTS : SLOTS;
    size_t all = (size_t)c->go.slots * c->go.slot_bytes;
    struct stat st;
    if (ftruncate(c->memory, (off_t)all) == 0 &&
        fcntl(c->memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0 && fstat(c->memory, &st) == 0 &&
        st.st_size == (off_t)all)
        c->pixels = mmap(NULL, all, PROT_READ, MAP_SHARED, c->memory, 0);
    if (!c->pixels || c->pixels == MAP_FAILED) {
        c->pixels = NULL;
        return fail(c, err, GV_ERR_MEMORY, "no memory for its frames");
    }
    gv_jail_send(c->socket, &c->go, sizeof c->go); // where that fails the process is gone, and that is told next
    return GV_OK;
}

gv_status gv_confined_open(gv_confined **out, const char *path, int fd, const gv_video_options *opt, gv_error *err) {
    *out = NULL;
    gv_status status = GV_ERR_MEMORY;
    static const size_t most = MAX_PATH - 1;
    request *r = calloc(1, sizeof *r);
    gv_confined *c = calloc(1, sizeof *c);
    packet p;
    if (!r || !c || !(c->path = strdup(path))) {
        gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
        goto done;
    }
    c->opt = *opt;
    c->socket = c->slot = -1;
    c->memory = memfd_create("gvhmr-frames", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (c->memory < 0 || strlen(path) > most) {
        status = gv_fail(err, GV_ERR_IO, "%.200s: %s", path, c->memory < 0 ? strerror(errno) : "too long a name");
        goto done;
    }
    r->opt = *opt;
    r->opt.jail = NULL;
    r->opt.stop = NULL;
    memcpy(r->path, path, strlen(path) + 1);
    status = gv_jail_start(opt->jail, decode, r, sizeof *r, (int[]){c->memory, fd}, fd < 0 ? 1 : 2, &c->socket, err);
    if (status != GV_OK) goto done;
    if ((status = receive(c, &p, err)) != GV_OK) goto done;
    if (!believable(&p)) {
        status = nonsense(c, err);
        goto done;
    }
    c->info = p.opened.info;
    c->stride = p.opened.stride;
    snprintf(c->codec, sizeof c->codec, "%.*s", (int)sizeof p.opened.codec - 1, p.opened.codec);
    snprintf(c->container, sizeof c->container, "%.*s", (int)sizeof p.opened.container - 1, p.opened.container);
    c->info.codec = c->codec;
    c->info.container = c->container;
    status = share_memory(c, err);
done:
    free(r);
    if (status != GV_OK)
        gv_confined_close(c);
    else
        *out = c;
    return status;
}

void gv_confined_close(gv_confined *c) {
    if (!c) return;
    if (c->pixels) munmap(c->pixels, (size_t)c->go.slots * c->go.slot_bytes);
    if (c->socket >= 0) gv_jail_end(c->socket);
    if (c->memory >= 0) close(c->memory);
    free(c->path);
    free(c);
}

const gv_video_info *gv_confined_info(const gv_confined *c) {
    return &c->info;
}

long gv_confined_damaged(const gv_confined *c) {
    return c->damaged;
}

static gv_status over(const gv_confined *c, gv_error *err) {
    if (c->over != GV_OK && err) *err = c->error;
    return c->over;
}

gv_status gv_confined_next(gv_confined *c, gv_frame *frame, gv_error *err) {
    packet p;
    *frame = (gv_frame){0};
    if (c->ended) return over(c, err);
    if (c->slot >= 0) gv_jail_send(c->socket, &(done){c->slot}, sizeof(done));
    c->slot = -1;
    gv_status status = receive(c, &p, err);
    if (status != GV_OK) return status;
    if ((p.what != FRAME && p.what != END) || p.frame.damaged < c->damaged) return nonsense(c, err);
    c->damaged = p.frame.damaged;
    if (p.what == END) {
        c->ended = true;
        return GV_OK;
    }
    bool later = c->index == 0 ? p.frame.time_sec >= 0 : p.frame.time_sec > c->last_sec;
    if (p.frame.slot < 0 || p.frame.slot >= c->go.slots || !later || !(p.frame.time_sec < end_sec) ||
        !gv_frame_fits(p.frame.source_width, p.frame.source_height))
        return nonsense(c, err);
    c->slot = p.frame.slot;
    c->last_sec = p.frame.time_sec;
    *frame = (gv_frame){c->pixels + (size_t)c->slot * c->go.slot_bytes,
                        c->info.width,
                        c->info.height,
                        c->stride,
                        c->index++,
                        c->last_sec,
                        p.frame.source_width,
                        p.frame.source_height};
    return GV_OK;
}
