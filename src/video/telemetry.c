#define _GNU_SOURCE // strcasestr
#include "video/telemetry.h"

#include "base/confine.h"
#include "base/jail.h"
#include "base/memory.h"
#include "video/file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <libavformat/avformat.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_BOXES = 4096, MOST_PACKETS = 1 << 20, PIECE = 32768 };
static const size_t MOST_SETTINGS = 1 << 20, MOST_BYTES = (size_t)1 << 28; // 256 MiB: many hours of it
static const size_t MOST_MEMORY = (size_t)4 << 30;                         // of the process that reads it
static const double SILENCE_SEC = 300;                                     // then that process hangs

static int open_file(const char *path) { // -1: none, or not a regular one
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))) return fd;
    close(fd);
    return -1;
}

// --- boxes ---------------------------------------------------------------------------------------------

typedef struct box {
    long long start, end; // of its content, in the file
} box;

static bool read_at(int fd, void *to, size_t bytes, long long at) {
    for (size_t got = 0; got < bytes;) {
        ssize_t n = pread(fd, (char *)to + got, bytes - got, at + (long long)got);
        if (n == 0 || (n < 0 && errno != EINTR)) return false;
        got += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static unsigned long long big_endian(const unsigned char *p, int n) {
    unsigned long long v = 0;
    for (int i = 0; i < n; i++) v = v << 8 | p[i];
    return v;
}

// The first box of this type inside `in`.
static bool find_box(int fd, box in, const char *type, box *out) {
    for (int n = 0; n < MOST_BOXES && in.end - in.start >= 8; n++) {
        unsigned char h[16];
        if (!read_at(fd, h, 8, in.start)) return false;
        unsigned long long size = big_endian(h, 4), head = 8;
        if (size == 1) {
            if (!read_at(fd, h + 8, 8, in.start + 8)) return false;
            size = big_endian(h + 8, 8), head = 16;
        }
        if (size == 0) size = (unsigned long long)(in.end - in.start); // to the end of the file
        if (size < head || size > (unsigned long long)(in.end - in.start)) return false;
        if (!memcmp(h + 4, type, 4)) {
            *out = (box){in.start + (long long)head, in.start + (long long)size};
            return true;
        }
        in.start += (long long)size;
    }
    return false;
}

// GoPro's settings.
static gv_status read_settings(gv_video_tags *t, int fd, box moov, const char *path, gv_error *err) {
    box udta, gpmf;
    if (!find_box(fd, moov, "udta", &udta) || !find_box(fd, udta, "GPMF", &gpmf)) return GV_OK;
    size_t size = (size_t)(gpmf.end - gpmf.start);
    if (size > MOST_SETTINGS) return GV_OK;
    t->settings = gv_calloc2(size + 1, 1);
    if (!t->settings) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for the camera's settings", path);
    if (read_at(fd, t->settings, size, gpmf.start)) t->settings_size = size;
    return GV_OK;
}

// --- FFmpeg: here, or in a process without rights ------------------------------------------------------

static int open_nothing(AVFormatContext *format, AVIOContext **io, const char *url, int flags, AVDictionary **options) {
    (void)format, (void)url, (void)flags, (void)options;
    *io = NULL;
    return AVERROR(EACCES); // a file that names another one
}

static void close_format(AVFormatContext **format) {
    AVIOContext *io = *format ? (*format)->pb : NULL;
    avformat_close_input(format);
    gv_file_io_close(io);
}

static gv_status open_format(AVFormatContext **format, int fd, const char *path, gv_error *err) {
    av_log_set_level(AV_LOG_QUIET);
    AVIOContext *io = gv_file_io_open(fd, NULL);
    *format = io ? avformat_alloc_context() : NULL;
    if (!*format) {
        gv_file_io_close(io);
        return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    }
    (*format)->pb = io;
    (*format)->flags |= AVFMT_FLAG_CUSTOM_IO;
    (*format)->io_open = open_nothing;
    AVDictionary *options = NULL;
    av_dict_set(&options, "export_all", "1", 0);
    int code = avformat_open_input(format, path, av_find_input_format("mov"), &options);
    av_dict_free(&options);
    if (code >= 0) return GV_OK;
    gv_file_io_close(io); // the rest is gone
    return gv_fail(err, code == AVERROR(ENOMEM) ? GV_ERR_MEMORY : GV_ERR_FORMAT, "%s: not an MP4 or QuickTime file",
                   path);
}

// What that process tells, asked with a path for its messages.
typedef enum what { TAGS = 1, PACKET, MORE, END } what;

typedef struct message {
    what what;
    gv_status status; // END
    size_t size;      // of `data`
    double time_sec, duration_sec;
    union {
        gv_video_tags tags; // without settings
        unsigned char data[PIECE];
        gv_error error; // END
    };
} message;

static bool say(int socket, message *m, size_t size) {
    m->size = size;
    return gv_jail_send(socket, m, offsetof(message, tags) + size);
}

static void say_end(int socket, message *m, gv_status status, const gv_error *err) {
    *m = (message){.what = END, .status = status, .error = *err};
    say(socket, m, sizeof m->error);
}

static gv_status start(int *socket, gv_jail *jail, gv_jail_work *work, int fd, const char *path, gv_error *err) {
    size_t n = strlen(path) + 1;
    if (n > GV_JAIL_REQUEST) return gv_fail(err, GV_ERR_IO, "%.200s: too long a name", path);
    return gv_jail_start(jail, work, path, n, &fd, 1, socket, err);
}

// The next message. What is no message is an error, as an END with one is.
static gv_status hear(int socket, message *m, const char *path, gv_error *err) {
    gv_error why = {0};
    size_t bytes = sizeof *m, head = offsetof(message, tags);
    *m = (message){0};
    gv_jail_answer a = gv_jail_receive(socket, m, &bytes, SILENCE_SEC, NULL, &why);
    if (a == GV_JAIL_ENDED) return gv_fail(err, why.status, "%s: %s", path, why.text);
    if (a != GV_JAIL_PACKET) return gv_fail(err, GV_ERR_FORMAT, "%s: the process that decodes it hangs", path);
    bool whole = bytes >= head && m->size == bytes - head && m->what >= TAGS && m->what <= END &&
                 m->size >= (m->what == END    ? sizeof m->error
                             : m->what == TAGS ? sizeof m->tags
                                               : 1);
    if (!whole)
        return gv_fail(err, GV_ERR_FORMAT,
                       "%s: the process that decodes it tells nonsense (damaged, or made to do harm)", path);
    if (m->what != END || m->status == GV_OK) return GV_OK;
    return gv_fail(err, m->status < GV_ERR_ARGUMENT || m->status > GV_ERR_CANCELLED ? GV_ERR_FORMAT : m->status, "%.*s",
                   (int)sizeof m->error.text - 1, m->error.text);
}

// --- tags ----------------------------------------------------------------------------------------------

static void take_text(char *out, size_t capacity, const AVDictionary *d, const char *const *keys) {
    for (; !*out && *keys; keys++) {
        const AVDictionaryEntry *e = av_dict_get(d, *keys, NULL, 0);
        if (e) snprintf(out, capacity, "%s", e->value);
    }
}

// Keys as phones and cameras write them.
static void take_tags(gv_video_tags *t, const AVDictionary *d) {
    static const char *const make[] = {"com.apple.quicktime.make", "com.android.manufacturer", "make", NULL},
                             *const model[] = {"com.apple.quicktime.model", "com.android.model", "model", NULL};
    take_text(t->make, sizeof t->make, d, make);
    take_text(t->model, sizeof t->model, d, model);
    const AVDictionaryEntry *e = NULL;
    while (!(t->focal_35mm > 0) && (e = av_dict_get(d, "", e, AV_DICT_IGNORE_SUFFIX))) {
        if (!strcasestr(e->key, "focal") || !strcasestr(e->key, "35mm")) continue;
        double mm = strtod(e->value, NULL);
        if (mm >= 4 && mm <= 4000) t->focal_35mm = mm;
    }
}

static gv_status read_tags(gv_video_tags *t, int fd, const char *path, gv_error *err) {
    AVFormatContext *format;
    gv_status status = open_format(&format, fd, path, err);
    if (status != GV_OK) return status;
    take_tags(t, format->metadata);
    for (unsigned i = 0; i < format->nb_streams; i++) take_tags(t, format->streams[i]->metadata);
    close_format(&format);
    return GV_OK;
}

static void tell_tags(int socket, const void *asked, const int *fds) {
    gv_error err = {0};
    message m = {.what = TAGS};
    gv_confine(0, MOST_MEMORY);
    gv_status status = read_tags(&m.tags, fds[0], asked, &err);
    if (status != GV_OK)
        say_end(socket, &m, status, &err);
    else
        say(socket, &m, sizeof m.tags);
}

static gv_status ask_tags(gv_video_tags *t, int fd, const char *path, gv_jail *jail, gv_error *err) {
    int socket;
    message m;
    gv_status status = start(&socket, jail, tell_tags, fd, path, err);
    if (status != GV_OK) return status;
    status = hear(socket, &m, path, err);
    gv_jail_end(socket);
    if (status != GV_OK || m.what != TAGS) return status;
    snprintf(t->make, sizeof t->make, "%.*s", (int)sizeof t->make - 1, m.tags.make);
    snprintf(t->model, sizeof t->model, "%.*s", (int)sizeof t->model - 1, m.tags.model);
    if (m.tags.focal_35mm >= 4 && m.tags.focal_35mm <= 4000) t->focal_35mm = m.tags.focal_35mm;
    return GV_OK;
}

gv_status gv_video_tags_read(gv_video_tags *t, const char *path, gv_jail *jail, gv_error *err) {
    *t = (gv_video_tags){0};
    box moov;
    struct stat st;
    int fd = open_file(path);
    if (fd < 0) return GV_OK;
    gv_status status = GV_OK;
    if (fstat(fd, &st) == 0 && find_box(fd, (box){0, st.st_size}, "moov", &moov)) {
        status = read_settings(t, fd, moov, path, err);
        if (status == GV_OK) status = jail ? ask_tags(t, fd, path, jail, err) : read_tags(t, fd, path, err);
        if (status != GV_ERR_MEMORY) status = GV_OK; // a file that is none says nothing
    }
    close(fd);
    if (status != GV_OK) gv_video_tags_free(t);
    return status;
}

void gv_video_tags_free(gv_video_tags *t) {
    free(t->settings);
    *t = (gv_video_tags){0};
}

// --- the metadata track --------------------------------------------------------------------------------

typedef struct growing {
    gv_telemetry *t;
    const char *path;
    size_t size, capacity;
    long packet_capacity;
} growing;

// Part of a packet, its first or one after that.
typedef struct part {
    bool first;
    const unsigned char *data;
    size_t size;
    double time_sec, duration_sec;
} part;

typedef gv_status taker(void *user, const part *p, gv_error *err);

static gv_status keep(void *user, const part *p, gv_error *err) {
    growing *g = user;
    gv_telemetry *t = g->t;
    if (p->size > MOST_BYTES - g->size || t->packets >= MOST_PACKETS)
        return gv_fail(err, GV_ERR_FORMAT, "%s: its metadata track is larger than %zu bytes", g->path, MOST_BYTES);
    if (g->size + p->size > g->capacity) {
        size_t want = 2 * g->capacity + p->size + 65536;
        unsigned char *bytes = realloc(t->bytes, want);
        if (!bytes) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for its metadata track", g->path);
        t->bytes = bytes, g->capacity = want;
    }
    if (p->first && t->packets == g->packet_capacity) {
        long want = 2 * g->packet_capacity + 64;
        gv_telemetry_packet *packet = realloc(t->packet, (size_t)want * sizeof *packet);
        if (!packet) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for its metadata track", g->path);
        t->packet = packet, g->packet_capacity = want;
    }
    memcpy(t->bytes + g->size, p->data, p->size);
    if (p->first) t->packet[t->packets++] = (gv_telemetry_packet){g->size, 0, p->time_sec, p->duration_sec};
    t->packet[t->packets - 1].size += p->size;
    g->size += p->size;
    return GV_OK;
}

static int metadata_stream(const AVFormatContext *format) {
    for (unsigned i = 0; i < format->nb_streams; i++)
        if (format->streams[i]->codecpar->codec_tag == MKTAG('g', 'p', 'm', 'd')) return (int)i;
    return -1;
}

static gv_status read_packets(AVFormatContext *format, AVPacket *packet, taker *take, void *user, gv_error *err) {
    gv_status status = GV_OK;
    int stream = metadata_stream(format), video = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (stream < 0) return GV_OK;
    for (unsigned i = 0; i < format->nb_streams; i++)
        format->streams[i]->discard = (int)i == stream ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    const AVStream *st = format->streams[stream];
    double start = 0, unit = av_q2d(st->time_base);
    if (video >= 0 && format->streams[video]->start_time != AV_NOPTS_VALUE)
        start = (double)format->streams[video]->start_time * av_q2d(format->streams[video]->time_base);
    while (status == GV_OK && av_read_frame(format, packet) >= 0) {
        if (packet->stream_index == stream && packet->pts != AV_NOPTS_VALUE && packet->size > 0)
            status = take(user,
                          &(part){true, packet->data, (size_t)packet->size, (double)packet->pts * unit - start,
                                  (double)packet->duration * unit},
                          err);
        av_packet_unref(packet);
    }
    return status;
}

static gv_status read_track(int fd, const char *path, taker *take, void *user, gv_error *err) {
    AVFormatContext *format;
    gv_status status = open_format(&format, fd, path, err);
    if (status != GV_OK) return status;
    AVPacket *packet = av_packet_alloc();
    status =
        packet ? read_packets(format, packet, take, user, err) : gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    av_packet_free(&packet);
    close_format(&format);
    return status;
}

typedef struct teller {
    int socket;
    message m;
} teller;

static gv_status tell_packet(void *user, const part *p, gv_error *err) {
    teller *t = user;
    t->m.what = PACKET, t->m.time_sec = p->time_sec, t->m.duration_sec = p->duration_sec;
    for (size_t at = 0, n; at < p->size; at += n, t->m.what = MORE) {
        n = p->size - at < PIECE ? p->size - at : PIECE;
        memcpy(t->m.data, p->data + at, n);
        if (!say(t->socket, &t->m, n)) return gv_fail(err, GV_ERR_CANCELLED, "nobody listens");
    }
    return GV_OK;
}

static void tell_track(int socket, const void *asked, const int *fds) {
    gv_error err = {0};
    teller t = {.socket = socket};
    gv_confine(0, MOST_MEMORY);
    gv_status status = read_track(fds[0], asked, tell_packet, &t, &err);
    say_end(socket, &t.m, status, &err);
}

static gv_status ask_track(growing *g, int fd, gv_jail *jail, gv_error *err) {
    int socket;
    message m;
    gv_status status = start(&socket, jail, tell_track, fd, g->path, err);
    if (status != GV_OK) return status;
    while ((status = hear(socket, &m, g->path, err)) == GV_OK && m.what != END) {
        bool first = m.what == PACKET;
        if (m.what == TAGS || (!first && !g->t->packets) || !isfinite(m.time_sec) || !isfinite(m.duration_sec))
            status = gv_fail(err, GV_ERR_FORMAT, "%s: the process that reads its metadata tells nonsense", g->path);
        else
            status = keep(g, &(part){first, m.data, m.size, m.time_sec, m.duration_sec}, err);
        if (status != GV_OK) break;
    }
    gv_jail_end(socket);
    return status;
}

gv_status gv_telemetry_read(gv_telemetry *t, const char *path, gv_jail *jail, gv_error *err) {
    *t = (gv_telemetry){0};
    growing g = {.t = t, .path = path};
    int fd = open_file(path);
    if (fd < 0) return gv_fail(err, GV_ERR_FORMAT, "%s: not an MP4 or QuickTime file", path);
    gv_status status = jail ? ask_track(&g, fd, jail, err) : read_track(fd, path, keep, &g, err);
    close(fd);
    if (status != GV_OK) gv_telemetry_free(t);
    return status;
}

void gv_telemetry_free(gv_telemetry *t) {
    free(t->bytes);
    free(t->packet);
    *t = (gv_telemetry){0};
}
