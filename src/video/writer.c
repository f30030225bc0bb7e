// writer.c - H.264 in MP4 through libavcodec, atomically. A thread of its own encodes, so that the caller only converts
// colours.
#include "base/file.h"
#include "base/memory.h"
#include "base/queue.h"
#include "video/video.h"
#include "video/yuv.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { TIME_BASE = 90000, MAX_SIDE = 16384, FRAMES = 3 };

struct gv_video_writer {
    gv_outfile file;
    AVFormatContext *format;
    AVCodecContext *encoder;
    AVStream *stream;
    AVPacket *packet;
    AVFrame *frame[FRAMES];
    gv_queue *empty, *full; // of AVFrame *
    pthread_t thread;
    bool running;
    gv_status status; // of the thread, valid when it has ended or `empty` is closed
    gv_error err;
    int width, height;
    int64_t last_pts, step;
    double last_sec;
};

static gv_status fail_av(const gv_video_writer *w, gv_error *err, const char *what, int code) {
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(code, text, sizeof text);
    return gv_fail(err, code == AVERROR(ENOMEM) ? GV_ERR_MEMORY : GV_ERR_IO, "%s: %s: %s", w->file.path, what, text);
}

static AVCodecContext *try_encoder(const gv_video_writer *w, const AVCodec *codec, double fps, double factor) {
    AVCodecContext *c = avcodec_alloc_context3(codec);
    if (!c) return NULL;
    c->width = w->width + (w->width & 1);
    c->height = w->height + (w->height & 1);
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->time_base = (AVRational){1, TIME_BASE};
    c->framerate = av_d2q(fps, 100000);
    c->gop_size = fps * 2 > 12 ? (int)(fps * 2) : 12; // a key frame at least every two seconds: quick seeking
    c->sample_aspect_ratio = (AVRational){1, 1};
    c->color_range = AVCOL_RANGE_MPEG;
    c->colorspace = AVCOL_SPC_BT709;
    c->color_primaries = AVCOL_PRI_BT709;
    c->color_trc = AVCOL_TRC_BT709;
    c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    c->thread_count = 0;
    AVDictionary *options = NULL;
    if (!strcmp(codec->name, "libx264")) {
        char crf[16];
        snprintf(crf, sizeof crf, "%.1f", factor);
        av_dict_set(&options, "preset", "superfast", 0);
        av_dict_set(&options, "crf", crf, 0);
        av_dict_set(&options, "b_strategy", "0", 0); // always three B frames: searching for their places takes longer
    } else {
        double bits_per_pixel =
            0.15 * exp2((20.5 - factor) / 6); // 0.15: a good picture; 6 steps of the factor halve it
        c->bit_rate = (int64_t)(bits_per_pixel * c->width * c->height * fps);
    }
    if (avcodec_open2(c, codec, &options) < 0) avcodec_free_context(&c);
    av_dict_free(&options);
    return c;
}

// libx264 first, then whatever other H.264 encoder this FFmpeg has.
static gv_status open_encoder(gv_video_writer *w, double fps, double factor, gv_error *err) {
    const AVCodec *codec = avcodec_find_encoder_by_name("libx264");
    if (codec) w->encoder = try_encoder(w, codec, fps, factor);
    void *cursor = NULL;
    while (!w->encoder && (codec = av_codec_iterate(&cursor)))
        if (av_codec_is_encoder(codec) && codec->id == AV_CODEC_ID_H264)
            w->encoder = try_encoder(w, codec, fps, factor);
    if (!w->encoder)
        return gv_fail(err, GV_ERR_MISSING, "%s: no H.264 encoder of this FFmpeg takes %d x %d pictures", w->file.path,
                       w->width, w->height);
    return GV_OK;
}

static gv_status open_container(gv_video_writer *w, gv_error *err) {
    size_t n = strlen(w->file.temporary) + 8;
    char *url = malloc(n);
    if (!url) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", w->file.path);
    snprintf(url, n, "file:%s", w->file.temporary);
    int code = avformat_alloc_output_context2(&w->format, NULL, "mp4", url);
    if (code >= 0) code = avio_open(&w->format->pb, url, AVIO_FLAG_WRITE);
    free(url);
    if (code < 0) return fail_av(w, err, "cannot write", code);
    w->stream = avformat_new_stream(w->format, NULL);
    if (!w->stream) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", w->file.path);
    w->stream->time_base = w->encoder->time_base;
    w->stream->avg_frame_rate = w->encoder->framerate;
    code = avcodec_parameters_from_context(w->stream->codecpar, w->encoder);
    if (code < 0) return fail_av(w, err, "cannot set up the video stream", code);
    AVDictionary *options = NULL;
    av_dict_set(&options, "movflags", "+faststart", 0);
    code = avformat_write_header(w->format, &options);
    av_dict_free(&options);
    return code < 0 ? fail_av(w, err, "cannot write", code) : GV_OK;
}

static gv_status encode(gv_video_writer *w, AVFrame *frame, gv_error *err) {
    int code = avcodec_send_frame(w->encoder, frame);
    if (code < 0) return fail_av(w, err, "cannot encode", code);
    while ((code = avcodec_receive_packet(w->encoder, w->packet)) == 0) {
        w->packet->stream_index = w->stream->index;
        if (w->packet->duration <= 0) w->packet->duration = w->step;
        av_packet_rescale_ts(w->packet, w->encoder->time_base, w->stream->time_base);
        code = av_interleaved_write_frame(w->format, w->packet);
        if (code >= 0 && w->format->pb->error < 0) code = w->format->pb->error;
        if (code < 0) return fail_av(w, err, "cannot write", code);
    }
    return code == AVERROR(EAGAIN) || code == AVERROR_EOF ? GV_OK : fail_av(w, err, "cannot encode", code);
}

static void *encode_all(void *context) {
    gv_video_writer *w = context;
    AVFrame *frame;
    while (w->status == GV_OK && gv_queue_pop(w->full, &frame)) {
        w->status = encode(w, frame, &w->err);
        gv_queue_push(w->empty, &frame);
    }
    if (w->status == GV_OK) w->status = encode(w, NULL, &w->err);
    gv_queue_close(w->empty);
    gv_queue_close(w->full);
    return NULL;
}

static gv_status open_frames(gv_video_writer *w, gv_error *err) {
    const int W = w->encoder->width, H = w->encoder->height;
    w->packet = av_packet_alloc();
    w->empty = gv_queue_create(FRAMES, sizeof(AVFrame *));
    w->full = gv_queue_create(FRAMES, sizeof(AVFrame *));
    bool good = w->packet && w->empty && w->full;
    for (int i = 0; i < FRAMES && good; i++) {
        AVFrame *f = w->frame[i] = av_frame_alloc();
        if (!(good = f != NULL)) break;
        f->format = AV_PIX_FMT_YUV420P;
        f->width = W;
        f->height = H;
        f->color_range = AVCOL_RANGE_MPEG;
        f->colorspace = AVCOL_SPC_BT709;
        good = av_frame_get_buffer(f, 0) >= 0 && gv_queue_push(w->empty, &f);
    }
    if (good) good = w->running = pthread_create(&w->thread, NULL, encode_all, w) == 0;
    return good ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "%s: no memory for pictures of %d x %d", w->file.path, W, H);
}

gv_status gv_video_create(gv_video_writer **out, const char *path, int width, int height, double fps, gv_error *err) {
    return gv_video_create_at(out, path, width, height, fps, 20.5, err);
}

gv_status gv_video_create_at(gv_video_writer **out, const char *path, int width, int height, double fps, double factor,
                             gv_error *err) {
    *out = NULL;
    av_log_set_level(AV_LOG_QUIET);
    if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE)
        return gv_fail(err, GV_ERR_ARGUMENT, "%s: pictures of %d x %d, expected 1 to %d a side", path, width, height,
                       MAX_SIDE);
    if (!(fps > 0 && fps <= 10000)) fps = 30;
    gv_video_writer *w = calloc(1, sizeof *w);
    if (!w) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    w->width = width;
    w->height = height;
    w->step = llround(TIME_BASE / fps) > 0 ? llround(TIME_BASE / fps) : 1;
    w->last_pts = -1;
    w->last_sec = -INFINITY;
    gv_status status = gv_outfile_begin(&w->file, path, err);
    if (status == GV_OK) status = open_encoder(w, fps, factor, err);
    if (status == GV_OK) status = open_container(w, err);
    if (status == GV_OK) status = open_frames(w, err);
    if (status != GV_OK)
        gv_video_abandon(w);
    else
        *out = w;
    return status;
}

// Waits for the thread to encode what it has been given.
static gv_status join(gv_video_writer *w, gv_error *err) {
    if (w->running) {
        gv_queue_close(w->full);
        pthread_join(w->thread, NULL);
    }
    w->running = false;
    if (w->status != GV_OK && err) *err = w->err;
    return w->status;
}

gv_status gv_video_write(gv_video_writer *w, const uint8_t *rgb, int stride, double time_sec, gv_error *err) {
    if (!(time_sec > w->last_sec) || !(time_sec >= 0 && time_sec < 1e9))
        return gv_fail(err, GV_ERR_ARGUMENT, "%s: a frame at %g s after one at %g s, expected increasing times from 0",
                       w->file.path, time_sec, w->last_sec);
    AVFrame *frame;
    if (!gv_queue_pop(w->empty, &frame)) return join(w, err);
    int code = av_frame_make_writable(frame);
    if (code < 0) return fail_av(w, err, "cannot encode", code);
    if (!gv_yuv420_from_rgb(frame->data, frame->linesize, rgb, stride, w->width, w->height))
        return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", w->file.path);
    int64_t pts = llround(time_sec * TIME_BASE);
    frame->pts = pts > w->last_pts ? pts : w->last_pts + 1;
    w->last_pts = frame->pts;
    w->last_sec = time_sec;
    return gv_queue_push(w->full, &frame) ? GV_OK : join(w, err);
}

// Closes libav's side; the temporary file stays. Returns libav's code of the final writes.
static int release(gv_video_writer *w) {
    int code = 0;
    join(w, NULL);
    if (w->format && w->format->pb) code = avio_closep(&w->format->pb);
    avformat_free_context(w->format);
    avcodec_free_context(&w->encoder);
    av_packet_free(&w->packet);
    for (int i = 0; i < FRAMES; i++) av_frame_free(&w->frame[i]);
    gv_queue_destroy(w->empty);
    gv_queue_destroy(w->full);
    return code;
}

gv_status gv_video_finish(gv_video_writer *w, gv_error *err) {
    gv_status status =
        w->last_pts < 0 ? gv_fail(err, GV_ERR_EMPTY, "%s: not a single frame to write", w->file.path) : join(w, err);
    if (status == GV_OK) {
        int code = av_write_trailer(w->format);
        if (code >= 0 && w->format->pb->error < 0) code = w->format->pb->error;
        if (code < 0) status = fail_av(w, err, "cannot write", code);
    }
    int code = release(w);
    w->format = NULL;
    if (status == GV_OK && code < 0) status = fail_av(w, err, "cannot write", code);
    if (status == GV_OK)
        status = gv_outfile_commit(&w->file, err);
    else
        gv_outfile_abandon(&w->file);
    free(w);
    return status;
}

void gv_video_abandon(gv_video_writer *w) {
    if (!w) return;
    release(w);
    gv_outfile_abandon(&w->file);
    free(w);
}
