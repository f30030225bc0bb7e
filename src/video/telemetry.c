#define _GNU_SOURCE // strcasestr
#include "video/telemetry.h"

#include "base/memory.h"

#include <errno.h>
#include <libavformat/avformat.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_BOXES = 4096, MOST_PACKETS = 1 << 20 };
static const size_t MOST_SETTINGS = 1 << 20, MOST_BYTES = (size_t)1 << 28; // 256 MiB: many hours of it

// --- boxes ---------------------------------------------------------------------------------------------

typedef struct box {
    long long start, end; // of its content, in the file
} box;

static unsigned long long big_endian(const unsigned char *p, int n) {
    unsigned long long v = 0;
    for (int i = 0; i < n; i++) v = v << 8 | p[i];
    return v;
}

// The first box of this type inside `in`.
static bool find_box(FILE *f, box in, const char *type, box *out) {
    for (int n = 0; n < MOST_BOXES && in.end - in.start >= 8; n++) {
        unsigned char h[16];
        if (fseeko(f, in.start, SEEK_SET) != 0 || fread(h, 1, 8, f) != 8) return false;
        unsigned long long size = big_endian(h, 4), head = 8;
        if (size == 1) {
            if (fread(h + 8, 1, 8, f) != 8) return false;
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

static bool open_movie(FILE **f, box *moov, const char *path) {
    *f = fopen(path, "rb");
    if (!*f || fseeko(*f, 0, SEEK_END) != 0) return false;
    box all = {0, ftello(*f)};
    return find_box(*f, all, "moov", moov);
}

static gv_status read_settings(gv_video_tags *t, FILE *f, box moov, const char *path, gv_error *err) {
    box udta, gpmf;
    if (!find_box(f, moov, "udta", &udta) || !find_box(f, udta, "GPMF", &gpmf)) return GV_OK;
    size_t size = (size_t)(gpmf.end - gpmf.start);
    if (size > MOST_SETTINGS) return GV_OK;
    t->settings = gv_calloc2(size + 1, 1);
    if (!t->settings) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for the camera's settings", path);
    if (fseeko(f, gpmf.start, SEEK_SET) == 0) t->settings_size = fread(t->settings, 1, size, f);
    return GV_OK;
}

// --- FFmpeg --------------------------------------------------------------------------------------------

static gv_status open_format(AVFormatContext **format, const char *path, gv_error *err) {
    *format = NULL;
    av_log_set_level(AV_LOG_QUIET);
    size_t n = strlen(path) + 8;
    char *url = malloc(n);
    if (!url) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    snprintf(url, n, "file:%s", path);
    AVDictionary *options = NULL;
    av_dict_set(&options, "protocol_whitelist", "file", 0);
    av_dict_set(&options, "export_all", "1", 0);
    int code = avformat_open_input(format, url, av_find_input_format("mov"), &options);
    av_dict_free(&options);
    free(url);
    return code < 0 ? gv_fail(err, GV_ERR_FORMAT, "%s: not an MP4 or QuickTime file", path) : GV_OK;
}

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

gv_status gv_video_tags_read(gv_video_tags *t, const char *path, gv_error *err) {
    *t = (gv_video_tags){0};
    FILE *f = NULL;
    box moov;
    AVFormatContext *format = NULL;
    gv_status s = GV_OK;
    if (!open_movie(&f, &moov, path)) goto done;
    if ((s = read_settings(t, f, moov, path, err)) != GV_OK) goto done;
    if (open_format(&format, path, NULL) != GV_OK) goto done;
    take_tags(t, format->metadata);
    for (unsigned i = 0; i < format->nb_streams; i++) take_tags(t, format->streams[i]->metadata);
done:
    avformat_close_input(&format);
    if (f) fclose(f);
    if (s != GV_OK) gv_video_tags_free(t);
    return s;
}

void gv_video_tags_free(gv_video_tags *t) {
    free(t->settings);
    *t = (gv_video_tags){0};
}

// --- the metadata track --------------------------------------------------------------------------------

typedef struct growing {
    size_t size, capacity;
    long packet_capacity;
} growing;

static gv_status keep(gv_telemetry *t, growing *g, const AVPacket *p, double time, double duration, const char *path,
                      gv_error *err) {
    if (g->size + (size_t)p->size > MOST_BYTES || t->packets >= MOST_PACKETS)
        return gv_fail(err, GV_ERR_FORMAT, "%s: its metadata track is larger than %zu bytes", path, MOST_BYTES);
    if (g->size + (size_t)p->size > g->capacity) {
        size_t want = 2 * g->capacity + (size_t)p->size + 65536;
        unsigned char *bytes = realloc(t->bytes, want);
        if (!bytes) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for its metadata track", path);
        t->bytes = bytes, g->capacity = want;
    }
    if (t->packets == g->packet_capacity) {
        long want = 2 * g->packet_capacity + 64;
        gv_telemetry_packet *packet = realloc(t->packet, (size_t)want * sizeof *packet);
        if (!packet) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for its metadata track", path);
        t->packet = packet, g->packet_capacity = want;
    }
    memcpy(t->bytes + g->size, p->data, (size_t)p->size);
    t->packet[t->packets++] = (gv_telemetry_packet){g->size, (size_t)p->size, time, duration};
    g->size += (size_t)p->size;
    return GV_OK;
}

static int metadata_stream(const AVFormatContext *format) {
    for (unsigned i = 0; i < format->nb_streams; i++)
        if (format->streams[i]->codecpar->codec_tag == MKTAG('g', 'p', 'm', 'd')) return (int)i;
    return -1;
}

gv_status gv_telemetry_read(gv_telemetry *t, const char *path, gv_error *err) {
    *t = (gv_telemetry){0};
    growing g = {0};
    AVFormatContext *format = NULL;
    AVPacket *packet = av_packet_alloc();
    gv_status s = packet ? open_format(&format, path, err) : gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    if (s != GV_OK) goto done;
    int stream = metadata_stream(format), video = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (stream < 0) goto done;
    for (unsigned i = 0; i < format->nb_streams; i++)
        format->streams[i]->discard = (int)i == stream ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    const AVStream *st = format->streams[stream];
    double start = 0, unit = av_q2d(st->time_base);
    if (video >= 0 && format->streams[video]->start_time != AV_NOPTS_VALUE)
        start = (double)format->streams[video]->start_time * av_q2d(format->streams[video]->time_base);
    while (s == GV_OK && av_read_frame(format, packet) >= 0) {
        if (packet->stream_index == stream && packet->pts != AV_NOPTS_VALUE && packet->size > 0)
            s = keep(t, &g, packet, (double)packet->pts * unit - start, (double)packet->duration * unit, path, err);
        av_packet_unref(packet);
    }
done:
    av_packet_free(&packet);
    avformat_close_input(&format);
    if (s != GV_OK) gv_telemetry_free(t);
    return s;
}

void gv_telemetry_free(gv_telemetry *t) {
    free(t->bytes);
    free(t->packet);
    *t = (gv_telemetry){0};
}
