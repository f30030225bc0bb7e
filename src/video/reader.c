// reader.c - demuxes, decodes, converts and turns upright one frame at a time.
//
// The first frame is decoded by open already: only then is the true size known, and a file without any
// readable frame fails where a caller expects it. Colour conversion follows FFmpeg's own `scale` filter
// (bicubic flags, BT.601 where the stream names no matrix), so frames equal `ffmpeg -pix_fmt rgb24`.
#include "video/reader.h"
#include "base/memory.h"
#include "base/progress.h"
#include "video/file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#ifdef GV_HAVE_DEVICES
#include <libavdevice/avdevice.h>
#endif
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_SIDE = 16384, MAX_PIXELS = 1 << 28, MAX_DRAIN_ERRORS = 1024 };
static const double probing_sec = 3;        // live: what finding out about a stream may take besides
static const int look_ms = 50;              // how often who waits at a pipe looks whether to wait on
static const double longest_gap_sec = 3600; // a longer silence between two frames is a damaged timestamp

typedef struct orientation { // upright pixel (x, y) comes from (x', y'), after an optional swap of the axes
    bool transpose, flip_x, flip_y;
} orientation;

typedef struct picture_kind { // what the colour converter was built for
    int width, height, format, colour_space, range;
} picture_kind;

struct gv_reader {
    char *path, *url;
    gv_reader_source source;
    AVIOContext *io; // of a file or a named pipe
    int pipe;        // the latter, where io is one's
    int read_errno;  // of reading it: FFmpeg makes do with what it has got, but a disk's error is none of the video's
    int (*open_usual)(AVFormatContext *, AVIOContext **, const char *, int, AVDictionary **);
    gv_video_options opt;
    gv_video_info info;
    AVFormatContext *format;
    AVCodecContext *decoder;
    AVPacket *packet;
    AVFrame *frame;
    bool pending; // `frame` holds the first frame, decoded by open
    bool draining;
    int stream, drain_errors;
    struct SwsContext *sws;
    picture_kind sws_kind;
    struct SwsContext *halver; // to `half`, in the frame's own format; NULL where that format cannot be written
    AVFrame *half;
    orientation turn;
    uint8_t *out, *own; // [rows + 1, stride]; where frames go: to `own` unless told otherwise
    uint8_t *stored;    // [rows + 1, rgb_stride]; before it is turned, NULL where it is not
    int rgb_width, rgb_height, rgb_stride, stride;
    long index, damaged;
    double step_sec; // nominal time between frames
    double first_sec, last_sec;
    double asked_sec; // live: since when data is waited for
};

static gv_status fail_av(const gv_reader *v, gv_error *err, gv_status status, const char *what, int code) {
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(code, text, sizeof text);
    if (code == AVERROR(ENOMEM)) status = GV_ERR_MEMORY;
    return gv_fail(err, status, "%s: %s: %s", v->path, what, text);
}

// Formats that are not one self-contained video: text turned into pictures, and lists that open other files.
static bool is_refused(const char *name) {
    static const char *const refused[] = {"tty", "hls",     "dash", "concat", "sdp", "rtsp",   "rpl",       "lavfi",
                                          "bin", "bintext", "xbin", "adf",    "idf", "vobsub", "ffmetadata"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (!strcmp(name, refused[i])) return true;
    return false;
}

// ---- the file, read through a descriptor, or a named pipe

static int is_tired(void *context);

static int open_file(gv_reader *v, AVFormatContext *format, AVIOContext **out, const char *url, int flags) {
    if (flags & AVIO_FLAG_WRITE || strcmp(url, v->url) != 0) return AVERROR(EACCES); // a file that names another one
    *out = gv_file_io_open(v->source.fd, &v->read_errno);
    if (!*out) return AVERROR(ENOMEM);
    if (!v->io) {
        v->io = *out;
        format->flags |= AVFMT_FLAG_CUSTOM_IO; // not to be closed by FFmpeg, which takes it for its own kind
    }
    return 0;
}

// A named pipe. FFmpeg would wait for its writer in open and for data in read, where nothing ends that.
static bool is_pipe(const gv_reader *v, const char *url) {
    struct stat st;
    return v->opt.live && !v->io && !strcmp(url, v->url) && stat(v->path, &st) == 0 && S_ISFIFO(st.st_mode);
}

static int read_pipe(void *context, uint8_t *to, int bytes) {
    gv_reader *v = context;
    while (!is_tired(v)) {
        struct pollfd ready = {v->pipe, POLLIN, 0}; // says nothing before the first writer comes
        int code = poll(&ready, 1, look_ms);
        ssize_t n = code > 0 ? read(v->pipe, to, (size_t)bytes) : code;
        if (n > 0) return (int)n;
        if (n == 0 && code > 0) return AVERROR_EOF;
        if (n < 0 && errno != EINTR && errno != EAGAIN) return AVERROR(v->read_errno = errno);
    }
    return AVERROR_EXIT;
}

static int open_pipe(gv_reader *v, AVFormatContext *format, AVIOContext **out) {
    enum { BUFFER = 32768 };
    v->pipe = open(v->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (v->pipe < 0) return AVERROR(errno);
    uint8_t *buffer = av_malloc(BUFFER);
    *out = buffer ? avio_alloc_context(buffer, BUFFER, 0, v, read_pipe, NULL, NULL) : NULL;
    if (*out) {
        v->io = *out;
        format->flags |= AVFMT_FLAG_CUSTOM_IO;
        return 0;
    }
    av_free(buffer);
    close(v->pipe);
    return AVERROR(ENOMEM);
}

static void close_own(const gv_reader *v, AVIOContext *io) {
    if (v->source.fd >= 0) {
        gv_file_io_close(io);
        return;
    }
    close(v->pipe);
    av_freep(&io->buffer);
    avio_context_free(&io);
}

static void connected(gv_reader *v) {
    if (v->source.connected) v->source.connected(v->source.user);
    v->source.connected = NULL;
}

// What FFmpeg opens a source with, and whatever the source names.
static int open_io(AVFormatContext *format, AVIOContext **out, const char *url, int flags, AVDictionary **options) {
    gv_reader *v = format->opaque;
    if (v->source.fd >= 0) return open_file(v, format, out, url, flags);
    int code = is_pipe(v, url) ? open_pipe(v, format, out) : v->open_usual(format, out, url, flags, options);
    if (code >= 0) connected(v);
    return code;
}

static int close_io(AVFormatContext *format, AVIOContext *io) {
    gv_reader *v = format->opaque;
    if (v->source.fd < 0 && io != v->io) return avio_close(io);
    if (io == v->io) v->io = NULL;
    close_own(v, io);
    return 0;
}

// FFmpeg asks while it waits; 1: wait no longer.
static int is_tired(void *context) {
    const gv_reader *v = context;
    return (v->opt.stop && atomic_load(v->opt.stop)) ||
           (v->opt.patience_sec > 0 && gv_now() - v->asked_sec > v->opt.patience_sec + (v->frame ? 0 : probing_sec));
}

static gv_status cannot_read(const gv_reader *v, gv_error *err) {
    return gv_fail(err, GV_ERR_IO, "%s: cannot read: %s", v->path, strerror(v->read_errno));
}

static gv_status gave_up(const gv_reader *v, gv_error *err) {
    if (v->opt.stop && atomic_load(v->opt.stop)) return gv_fail(err, GV_ERR_CANCELLED, "%s: cancelled", v->path);
    return gv_fail(err, GV_ERR_EMPTY, "%s: no data for %.1f s", v->path, v->opt.patience_sec);
}

static gv_status prepare_live(gv_reader *v, const AVInputFormat **format, AVDictionary **options, gv_error *err) {
    v->asked_sec = gv_now();
    v->format->interrupt_callback = (AVIOInterruptCB){is_tired, v};
    v->format->max_analyze_duration = 1000000; // us of stream
    v->format->fps_probe_size = 3;
    v->format->flags |= AVFMT_FLAG_DISCARD_CORRUPT;
    av_dict_set(options, "protocol_whitelist", "file,pipe,tcp,udp,rtp,rtsp,srt,tls,http,https,crypto", 0);
    av_dict_set(options, "rtsp_transport", "tcp", 0); // packets lost in between are worse than late ones
    av_dict_set(options, "rw_timeout", "5000000", 0); // us
    av_dict_set(options, "overrun_nonfatal", "1", 0); // udp: what comes too fast is lost, not an end
    if (strncmp(v->path, "/dev/", 5) != 0) return GV_OK;
#ifdef GV_HAVE_DEVICES
    avdevice_register_all();
    *format = av_find_input_format("v4l2");
#endif
    if (!*format)
        return gv_fail(err, GV_ERR_MISSING, "%s: this program was built without cameras (libavdevice-dev)", v->path);
    return GV_OK;
}

static gv_status open_container(gv_reader *v, gv_error *err) {
    AVDictionary *options = NULL;
    const AVInputFormat *format = NULL;
    v->format = avformat_alloc_context();
    if (!v->format) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", v->path);
    v->format->opaque = v;
    v->open_usual = v->format->io_open;
    v->format->io_open = open_io;
    v->format->io_close2 = close_io;
    if (v->opt.live) {
        gv_status status = prepare_live(v, &format, &options, err);
        if (status != GV_OK) {
            av_dict_free(&options);
            return status;
        }
    }
    av_dict_set(&options, "pattern_type", "none", 0); // a picture's name is a name, not a pattern
    int code = avformat_open_input(&v->format, v->url, format, &options);
    av_dict_free(&options);
    if (v->read_errno) return cannot_read(v, err);
    if (code == AVERROR_EXIT) return gave_up(v, err);
    if (code >= 0) connected(v); // by a format that opens its source itself
    if (code < 0 && v->opt.live) return fail_av(v, err, GV_ERR_IO, "cannot open", code);
    if (code < 0)
        return fail_av(v, err, GV_ERR_FORMAT,
                       "not a video that FFmpeg can read, or damaged or cut short where it tells what it holds", code);
    if (is_refused(v->format->iformat->name) && !(v->opt.live && !strcmp(v->format->iformat->name, "rtsp")))
        return gv_fail(err, GV_ERR_FORMAT, "%s: looks like \"%s\", expected a video file", v->path,
                       v->format->iformat->long_name ? v->format->iformat->long_name : v->format->iformat->name);
    code = avformat_find_stream_info(v->format, NULL);
    if (v->opt.live && is_tired(v)) return gave_up(v, err);
    if (v->read_errno) return cannot_read(v, err);
    if (code < 0) return fail_av(v, err, GV_ERR_FORMAT, "cannot find out what is inside", code);
    v->stream = av_find_best_stream(v->format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (v->stream < 0 || v->format->streams[v->stream]->disposition & AV_DISPOSITION_ATTACHED_PIC) {
        bool audio = av_find_best_stream(v->format, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0) >= 0;
        return gv_fail(err, GV_ERR_FORMAT, "%s: %s, expected a video stream", v->path,
                       audio ? "holds sound but no video" : "holds no video");
    }
    for (unsigned i = 0; i < v->format->nb_streams; i++)
        v->format->streams[i]->discard = (int)i == v->stream ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    return GV_OK;
}

bool gv_frame_fits(int width, int height) {
    return width >= 1 && height >= 1 && width <= MAX_SIDE && height <= MAX_SIDE &&
           (int64_t)width * height <= MAX_PIXELS;
}

static gv_status check_size(const gv_reader *v, int width, int height, gv_error *err) {
    if (!gv_frame_fits(width, height))
        return gv_fail(err, GV_ERR_FORMAT, "%s: frames are %d x %d, expected 1 to %d a side and at most %d pixels",
                       v->path, width, height, MAX_SIDE, MAX_PIXELS);
    return GV_OK;
}

static gv_status open_decoder(gv_reader *v, gv_error *err) {
    const AVStream *st = v->format->streams[v->stream];
    const char *name = avcodec_get_name(st->codecpar->codec_id);
    const AVCodec *codec = avcodec_find_decoder(st->codecpar->codec_id);
    if (!codec)
        return gv_fail(err, GV_ERR_FORMAT, "%s: no decoder for its video codec \"%s\" in this FFmpeg", v->path, name);
    if (st->codecpar->width > 0 && st->codecpar->height > 0) {
        gv_status status = check_size(v, st->codecpar->width, st->codecpar->height, err);
        if (status != GV_OK) return status;
    }
    v->decoder = avcodec_alloc_context3(codec);
    if (!v->decoder) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for the decoder", v->path);
    int code = avcodec_parameters_to_context(v->decoder, st->codecpar);
    if (code < 0) return fail_av(v, err, GV_ERR_FORMAT, "cannot set up the decoder", code);
    v->decoder->pkt_timebase = st->time_base;
    v->decoder->thread_count = v->opt.threads;
    v->decoder->max_pixels = MAX_PIXELS;
    code = avcodec_open2(v->decoder, codec, NULL);
    if (code < 0) return fail_av(v, err, GV_ERR_FORMAT, "cannot open the decoder", code);
    v->info.codec = name;
    v->info.container = v->format->iformat->name;
    return GV_OK;
}

// Feeds one packet, or the flush at the end of the file. Unreadable packets are counted and passed over.
static gv_status feed(gv_reader *v, gv_error *err) {
    for (;;) {
        int code = av_read_frame(v->format, v->packet);
        if (v->read_errno) {
            av_packet_unref(v->packet); // the beginning of one may have come
            return cannot_read(v, err);
        }
        if (code == AVERROR(ENOMEM)) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for a packet", v->path);
        if (v->opt.live && (code == AVERROR_EXIT || (code < 0 && is_tired(v)))) return gave_up(v, err);
        if (code == AVERROR(EAGAIN)) continue;
        if (code < 0) { // the end, or bytes beyond which nothing can be read
            if (code != AVERROR_EOF) v->damaged++;
            v->draining = true;
            avcodec_send_packet(v->decoder, NULL);
            return GV_OK;
        }
        bool ours = v->packet->stream_index == v->stream;
        if (ours) code = avcodec_send_packet(v->decoder, v->packet);
        av_packet_unref(v->packet);
        if (!ours) continue;
        if (code == AVERROR(ENOMEM)) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for a frame", v->path);
        if (code < 0) v->damaged++;
        return GV_OK;
    }
}

// Decodes the next frame into v->frame; *got is false at the end.
static gv_status decode(gv_reader *v, bool *got, gv_error *err) {
    *got = false;
    for (;;) {
        int code = avcodec_receive_frame(v->decoder, v->frame);
        if (code == 0) {
            if (v->frame->width > 0 && v->frame->height > 0 && v->frame->width <= MAX_SIDE &&
                v->frame->height <= MAX_SIDE && v->frame->data[0]) {
                *got = true;
                return GV_OK;
            }
            v->damaged++;
            continue;
        }
        if (code == AVERROR_EOF) return GV_OK;
        if (code == AVERROR(ENOMEM)) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for a frame", v->path);
        if (code != AVERROR(EAGAIN)) {
            v->damaged++;
            if (!v->draining) continue;
            if (++v->drain_errors > MAX_DRAIN_ERRORS) return GV_OK;
        } else if (v->draining) {
            return GV_OK;
        } else {
            gv_status status = feed(v, err);
            if (status != GV_OK) return status;
        }
    }
}

// The display matrix maps stored to shown points: x' = a x + c y, y' = b x + d y (FFmpeg,
// libavutil/display.h).
static void find_orientation(gv_reader *v) {
    const AVFrameSideData *side = av_frame_get_side_data(v->frame, AV_FRAME_DATA_DISPLAYMATRIX);
    size_t size = 0;
    const void *data = av_stream_get_side_data(v->format->streams[v->stream], AV_PKT_DATA_DISPLAYMATRIX, &size);
    if (side) data = side->data, size = side->size;
    int32_t m[9] = {1, 0, 0, 0, 1};
    if (data && size >= sizeof m) memcpy(m, data, sizeof m);
    const int64_t a = m[0], b = m[1], c = m[3], d = m[4];
    v->turn.transpose = llabs(b) > llabs(a);
    v->turn.flip_x = v->turn.transpose ? c < 0 : a < 0;
    v->turn.flip_y = v->turn.transpose ? b < 0 : d < 0;
    v->info.rotation = v->turn.transpose ? (b < 0 ? 270 : 90) : (v->turn.flip_x ? 180 : 0);
}

static void find_rates(gv_reader *v) {
    const AVStream *st = v->format->streams[v->stream];
    double rate = st->avg_frame_rate.num > 0 && st->avg_frame_rate.den > 0 ? av_q2d(st->avg_frame_rate) : 0;
    if (!(rate > 0) && st->r_frame_rate.num > 0 && st->r_frame_rate.den > 0) rate = av_q2d(st->r_frame_rate);
    v->info.fps = rate > 0 && rate <= 10000 ? rate : 0;
    if (v->opt.fps > 0) v->info.fps = v->opt.fps;
    v->step_sec = v->info.fps > 0 ? 1 / v->info.fps : 1.0 / 30;
    v->info.frames = st->nb_frames > 0 ? (long)st->nb_frames : 0;
    v->info.duration_sec = 0;
    if (st->duration != AV_NOPTS_VALUE && st->duration > 0)
        v->info.duration_sec = (double)st->duration * av_q2d(st->time_base);
    else if (v->format->duration != AV_NOPTS_VALUE && v->format->duration > 0)
        v->info.duration_sec = (double)v->format->duration / AV_TIME_BASE;
    if (v->opt.fps > 0 && v->info.frames > 0) v->info.duration_sec = (double)v->info.frames / v->opt.fps;
}

// Fixes the output size by the first frame and allocates the one or two pictures of it.
static gv_status plan_output(gv_reader *v, gv_error *err) {
    gv_status status = check_size(v, v->frame->width, v->frame->height, err);
    if (status != GV_OK) return status;
    find_orientation(v);
    int w = v->frame->width, h = v->frame->height, longer = w > h ? w : h;
    if (v->opt.half) {
        w = w > 1 ? w / 2 : 1;
        h = h > 1 ? h / 2 : 1;
    } else if (v->opt.max_side > 0 && longer > v->opt.max_side) {
        double k = (double)v->opt.max_side / longer;
        w = (int)lround(w * k) > 1 ? (int)lround(w * k) : 1;
        h = (int)lround(h * k) > 1 ? (int)lround(h * k) : 1;
    }
    v->rgb_width = w, v->rgb_height = h;
    v->info.width = v->turn.transpose ? h : w;
    v->info.height = v->turn.transpose ? w : h;
    v->rgb_stride = (3 * w + 63 + 64) & ~63; // the converter's vector code may write past the row
    v->stride = v->rgb_stride;
    bool turned = v->turn.transpose || v->turn.flip_x || v->turn.flip_y;
    if (turned) {
        v->stride = (3 * v->info.width + 63) & ~63;
        v->stored = gv_calloc2((size_t)h + 1, (size_t)v->rgb_stride);
    }
    v->out = v->own = gv_calloc2((size_t)v->info.height + 1, (size_t)v->stride);
    if (!v->own || (turned && !v->stored))
        return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for a frame of %d x %d", v->path, w, h);
    return GV_OK;
}

// A bicubic converter between two sizes and pixel formats; NULL where FFmpeg has none.
static struct SwsContext *make_converter(int w, int h, int format, int to_w, int to_h, int to_format) {
    struct SwsContext *c = sws_alloc_context();
    if (!c) return NULL;
    av_opt_set_int(c, "srcw", w, 0);
    av_opt_set_int(c, "srch", h, 0);
    av_opt_set_int(c, "src_format", format, 0);
    av_opt_set_int(c, "dstw", to_w, 0);
    av_opt_set_int(c, "dsth", to_h, 0);
    av_opt_set_int(c, "dst_format", to_format, 0);
    av_opt_set_int(c, "sws_flags", SWS_BICUBIC, 0);
    if (format == AV_PIX_FMT_YUV420P) av_opt_set_int(c, "src_v_chr_pos", 128, 0); // MPEG-2 siting
    if (to_format == AV_PIX_FMT_YUV420P) av_opt_set_int(c, "dst_v_chr_pos", 128, 0);
    if (sws_init_context(c, NULL, NULL) < 0) {
        sws_freeContext(c);
        return NULL;
    }
    return c;
}

// What halves frames in their own format. Without it (palettes, odd formats) halving is left to the conversion.
static gv_status prepare_halver(gv_reader *v, gv_error *err) {
    const AVFrame *f = v->frame;
    sws_freeContext(v->halver);
    v->halver = NULL;
    av_frame_free(&v->half);
    if (!v->opt.half || !sws_isSupportedOutput(f->format)) return GV_OK;
    v->halver = make_converter(f->width, f->height, f->format, v->rgb_width, v->rgb_height, f->format);
    v->half = av_frame_alloc();
    if (v->half) {
        v->half->width = v->rgb_width;
        v->half->height = v->rgb_height;
        v->half->format = f->format;
    }
    if (!v->half || av_frame_get_buffer(v->half, 0) < 0)
        return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for a frame of half size", v->path);
    return GV_OK;
}

// The colour converter for frames like v->frame; rebuilt where a stream changes size or format under way.
static gv_status prepare_converter(gv_reader *v, gv_error *err) {
    const AVFrame *f = v->frame;
    picture_kind kind = {f->width, f->height, f->format, f->colorspace, f->color_range};
    if (v->sws && !memcmp(&kind, &v->sws_kind, sizeof kind)) return GV_OK;
    gv_status status = prepare_halver(v, err);
    if (status != GV_OK) return status;
    sws_freeContext(v->sws);
    v->sws = make_converter(v->halver ? v->rgb_width : f->width, v->halver ? v->rgb_height : f->height, f->format,
                            v->rgb_width, v->rgb_height, AV_PIX_FMT_RGB24);
    if (!v->sws)
        return gv_fail(err, GV_ERR_FORMAT, "%s: cannot convert its pixel format %s to RGB", v->path,
                       av_get_pix_fmt_name(f->format) ? av_get_pix_fmt_name(f->format) : "(unknown)");
    int *from, *to, from_full, to_full, brightness, contrast, saturation;
    if (sws_getColorspaceDetails(v->sws, &from, &from_full, &to, &to_full, &brightness, &contrast, &saturation) >= 0) {
        bool known = f->colorspace >= 1 && f->colorspace <= 10 && f->colorspace != 8;
        const int *table = sws_getCoefficients(known ? (int)f->colorspace : AVCOL_SPC_BT470BG);
        if (f->color_range != AVCOL_RANGE_UNSPECIFIED) from_full = f->color_range == AVCOL_RANGE_JPEG;
        sws_setColorspaceDetails(v->sws, table, from_full, table, to_full, brightness, contrast, saturation);
    }
    v->sws_kind = kind;
    return GV_OK;
}

static void turn_upright(gv_reader *v) {
    const int W = v->info.width, H = v->info.height;
    const orientation o = v->turn;
    // upright (x, y) from stored (sx, sy), where along a row of the upright picture the source moves by
    // `step`
    for (int y = 0; y < H; y++) {
        int along0 = o.flip_x ? W - 1 : 0, across = o.flip_y ? H - 1 - y : y;
        ptrdiff_t along_bytes = o.transpose ? v->rgb_stride : 3, across_bytes = o.transpose ? 3 : v->rgb_stride;
        const uint8_t *p = v->stored + across * across_bytes + along0 * along_bytes;
        ptrdiff_t step = o.flip_x ? -along_bytes : along_bytes;
        uint8_t *out = v->out + (ptrdiff_t)y * v->stride;
        for (int x = 0; x < W; x++, p += step, out += 3) out[0] = p[0], out[1] = p[1], out[2] = p[2];
    }
}

// Time of v->frame. A missing time is one nominal step after the last one; a time that does not increase is
// pushed half a step beyond it; after a jump (a joined or damaged stream) the clock goes on from there.
static double frame_time(gv_reader *v) {
    if (v->opt.fps > 0) return (double)v->index / v->opt.fps;
    const double last = v->last_sec, step = v->step_sec;
    int64_t pts = v->frame->best_effort_timestamp;
    bool known = pts != AV_NOPTS_VALUE;
    double t = known ? (double)pts * av_q2d(v->format->streams[v->stream]->time_base) : 0;
    if (!isfinite(t)) known = false;
    if (v->index == 0) {
        v->first_sec = known ? t : 0;
        return 0;
    }
    if (!known) return last + step;
    t -= v->first_sec;
    if (t < last - 1 || t > last + longest_gap_sec) {
        v->first_sec += t - (last + step);
        return last + step;
    }
    return t > last ? t : last + 0.5 * step;
}

static gv_status start(gv_reader *v, gv_error *err) {
    gv_status status = open_container(v, err);
    if (status == GV_OK) status = open_decoder(v, err);
    if (status != GV_OK) return status;
    v->packet = av_packet_alloc();
    v->frame = av_frame_alloc();
    if (!v->packet || !v->frame) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", v->path);
    status = decode(v, &v->pending, err);
    if (status != GV_OK) return status;
    if (!v->pending)
        return gv_fail(err, GV_ERR_EMPTY, "%s: no readable frame in its %s video%s", v->path, v->info.codec,
                       v->damaged ? ", its packets are damaged" : "");
    return GV_OK;
}

static void stop(gv_reader *v) {
    av_packet_free(&v->packet);
    av_frame_free(&v->frame);
    avcodec_free_context(&v->decoder);
    avformat_close_input(&v->format);
    if (v->io) close_own(v, v->io);
    v->io = NULL;
    v->pending = v->draining = false;
    v->read_errno = 0;
    v->index = v->damaged = v->drain_errors = 0;
    v->first_sec = v->last_sec = 0;
}

gv_status gv_reader_open(gv_reader **out, const char *path, const gv_video_options *opt, const gv_reader_source *source,
                         gv_error *err) {
    *out = NULL;
    av_log_set_level(AV_LOG_QUIET); // what goes wrong is told through gv_error
    gv_reader *v = calloc(1, sizeof *v);
    if (!v) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    v->opt = *opt;
    v->source = *source;
    size_t n = strlen(path) + 8;
    v->path = strdup(path);
    v->url = malloc(n);
    gv_status status = GV_OK;
    if (!v->path || !v->url) {
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
        goto done;
    }
    bool url = opt->live && (strstr(path, "://") || !strncmp(path, "/dev/", 5) || !strncmp(path, "pipe:", 5));
    snprintf(v->url, n, "%s%s", url ? "" : "file:", path); // a colon in a file's name is not a protocol
    if ((status = start(v, err)) != GV_OK) goto done;
    find_rates(v);
    if ((status = plan_output(v, err)) != GV_OK) goto done;
    status = prepare_converter(v, err);
done:
    if (status != GV_OK)
        gv_reader_close(v);
    else
        *out = v;
    return status;
}

void gv_reader_close(gv_reader *v) {
    if (!v) return;
    stop(v);
    sws_freeContext(v->sws);
    sws_freeContext(v->halver);
    av_frame_free(&v->half);
    free(v->own);
    free(v->stored);
    free(v->path);
    free(v->url);
    free(v);
}

const gv_video_info *gv_reader_info(const gv_reader *v) {
    return &v->info;
}

gv_status gv_reader_next(gv_reader *v, gv_frame *frame, gv_error *err) {
    *frame = (gv_frame){0};
    if (!v->frame) return gv_fail(err, GV_ERR_IO, "%s: not open after a failed rewind", v->path);
    bool got = v->pending;
    v->pending = false;
    v->asked_sec = gv_now();
    if (!got) {
        gv_status status = decode(v, &got, err);
        if (status != GV_OK || !got) return status;
    }
    gv_status status = prepare_converter(v, err);
    if (status != GV_OK) return status;
    const AVFrame *f = v->frame;
    uint8_t *const planes[4] = {v->stored ? v->stored : v->out};
    const int strides[4] = {v->rgb_stride};
    int rows = 0;
    if (v->halver) {
        rows = sws_scale(v->halver, (const uint8_t *const *)f->data, f->linesize, 0, f->height, v->half->data,
                         v->half->linesize);
        f = v->half;
    }
    if (rows >= 0)
        rows = sws_scale(v->sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height, planes, strides);
    if (rows < 0) return fail_av(v, err, GV_ERR_INTERNAL, "cannot convert a frame to RGB", rows);
    if (v->stored) turn_upright(v);
    double t = frame_time(v);
    *frame = (gv_frame){v->out, v->info.width,     v->info.height,    v->stride, v->index,
                        t,      v->sws_kind.width, v->sws_kind.height};
    v->last_sec = t;
    v->index++;
    av_frame_unref(v->frame);
    return GV_OK;
}

gv_status gv_reader_rewind(gv_reader *v, gv_error *err) {
    stop(v);
    return start(v, err);
}

long gv_reader_damaged(const gv_reader *v) {
    return v->damaged;
}

size_t gv_reader_frame_bytes(const gv_reader *v, int *stride) {
    *stride = v->stride;
    return ((size_t)v->info.height + 1) * (size_t)v->stride;
}

void gv_reader_write_to(gv_reader *v, uint8_t *pixels) {
    free(v->own);
    v->own = NULL;
    v->out = pixels;
}
