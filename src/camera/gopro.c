#include "camera/gopro.h"

#include "base/memory.h"
#include "formats/gpmf.h"
#include "geometry/so3.h"
#include "video/telemetry.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SAMPLES = 1 << 26, MOST_ORIENTATIONS = 1 << 22 };
static const double UNEVEN = 0.1; // s: payloads that begin farther from an even rate than this are taken one by one

typedef struct payload {
    long first, count; // in `value`
    double index;      // of the first sample, dropped ones counted
    double time_sec, duration_sec;
    double stamp_sec; // of the camera's own clock; NAN: not stated
} payload;

typedef struct series { // one key's samples, of one device
    const char *key;
    int width; // numbers per sample
    double device;
    long packet; // the last one in which the key was found
    long count, capacity, payloads, room;
    double (*value)[4];
    payload *payload;
} series;

typedef struct stream_words { // what stands before a stream's samples
    gv_gpmf_item scale, matrix, in, out, total, stamp;
} stream_words;

static void free_series(series *s) {
    free(s->value), free(s->payload);
    *s = (series){0};
}

// --- reading -------------------------------------------------------------------------------------------

static bool make_room(series *s, long more) {
    if (s->count + more > (s->width == 4 ? MOST_ORIENTATIONS : MOST_SAMPLES)) return false;
    if (s->count + more > s->capacity) {
        long want = 2 * s->capacity + more + 1024;
        double(*v)[4] = realloc(s->value, (size_t)want * sizeof *v);
        if (!v) return false;
        s->value = v, s->capacity = want;
    }
    if (s->payloads == s->room) {
        long want = 2 * s->room + 64;
        payload *p = realloc(s->payload, (size_t)want * sizeof *p);
        if (!p) return false;
        s->payload = p, s->room = want;
    }
    return true;
}

// SCAL is one divisor, or one for each number.
static double divisor(const gv_gpmf_item *scale, int axis) {
    int per = scale->data ? gv_gpmf_values(scale) : 0, all = per * scale->count;
    double d = all > axis && all > 1 ? gv_gpmf_value(scale, axis / per, axis % per)
               : all == 1            ? gv_gpmf_value(scale, 0, 0)
                                     : 1;
    return d != 0 ? d : 1;
}

// How stored axes become those of ORIO: MTRX says it, or the letters (lower case: the other way round). False: not
// stated, or no change of axes.
static bool mounting(double M[9], const stream_words *w) {
    int per = w->matrix.data ? gv_gpmf_values(&w->matrix) : 0;
    memset(M, 0, 9 * sizeof *M);
    if (per > 0 && per * w->matrix.count == 9) {
        for (int i = 0; i < 9; i++) M[i] = gv_gpmf_value(&w->matrix, i / per, i % per);
    } else if (w->in.size == 3 && w->out.size == 3) {
        for (int i = 0; i < 3; i++)
            for (int k = 0; k < 3; k++)
                if (toupper(w->in.data[k]) == toupper(w->out.data[i]))
                    M[3 * i + k] = w->in.data[k] == w->out.data[i] ? 1 : -1;
    }
    for (int i = 0; i < 9; i++) { // orthogonal?
        double dot = 0;
        for (int k = 0; k < 3; k++) dot += M[i / 3 * 3 + k] * M[i % 3 * 3 + k];
        if (!(fabs(dot - (i / 3 == i % 3)) < 0.01)) return false;
    }
    return true;
}

static gv_status take(series *s, const gv_gpmf_item *item, const stream_words *w, const gv_telemetry_packet *p,
                      gv_error *err) {
    if (!make_room(s, item->count))
        return gv_fail(err, GV_ERR_MEMORY, "no memory for %s of %d samples", s->key, item->count);
    double M[9],
        running = s->payloads ? s->payload[s->payloads - 1].index + (double)s->payload[s->payloads - 1].count : 0;
    double total = w->total.data ? gv_gpmf_value(&w->total, 0, 0) - item->count : running;
    if (!s->payloads) running = total;
    s->payload[s->payloads++] = (payload){s->count,
                                          item->count,
                                          total >= running && total < running + MOST_SAMPLES ? total : running,
                                          p->time_sec,
                                          p->duration_sec > 0 && p->duration_sec < 60 ? p->duration_sec : 1,
                                          w->stamp.data ? gv_gpmf_value(&w->stamp, 0, 0) * 1e-6 : NAN};
    bool turn = s->width == 3 && mounting(M, w);
    for (int i = 0; i < item->count; i++) {
        double v[3], *out = s->value[s->count++];
        for (int a = 0; a < s->width; a++) out[a] = gv_gpmf_value(item, i, a) / divisor(&w->scale, a);
        if (turn) memcpy(v, out, sizeof v), gv_so3_apply(out, M, v);
    }
    return GV_OK;
}

static gv_status read_stream(series *s, gv_gpmf_reader r, double device, const gv_telemetry_packet *p, long packet,
                             gv_error *err) {
    gv_gpmf_item item;
    stream_words w = {0};
    const struct {
        const char *key;
        gv_gpmf_item *item;
    } word[] = {{"SCAL", &w.scale}, {"MTRX", &w.matrix}, {"ORIN", &w.in},
                {"ORIO", &w.out},   {"TSMP", &w.total},  {"STMP", &w.stamp}};
    while (gv_gpmf_next(&r, &item)) {
        for (size_t i = 0; i < sizeof word / sizeof *word; i++)
            if (!strcmp(item.key, word[i].key)) *word[i].item = item;
        if (strcmp(item.key, s->key) != 0 || gv_gpmf_values(&item) < s->width || item.count < 1) continue;
        if (s->count && (s->device != device || s->packet == packet)) continue; // another device's, or a second stream
        s->device = device, s->packet = packet;
        return take(s, &item, &w, p, err);
    }
    return GV_OK;
}

static gv_status read_packet(series *s, const gv_telemetry *t, long packet, gv_error *err) {
    const gv_telemetry_packet *p = &t->packet[packet];
    gv_gpmf_reader devices = gv_gpmf_open(t->bytes + p->offset, p->size);
    gv_gpmf_item item;
    gv_status status = GV_OK;
    while (status == GV_OK && gv_gpmf_next(&devices, &item)) {
        if (item.type != 0 || strcmp(item.key, "DEVC") != 0) continue;
        double device = -1;
        gv_gpmf_reader r = gv_gpmf_open(item.data, item.size);
        while (status == GV_OK && gv_gpmf_next(&r, &item)) {
            if (!strcmp(item.key, "DVID")) device = gv_gpmf_value(&item, 0, 0);
            if (item.type == 0 && !strcmp(item.key, "STRM"))
                status = read_stream(s, gv_gpmf_open(item.data, item.size), device, p, packet, err);
        }
    }
    return status;
}

static gv_status read_series(series *s, const gv_telemetry *t, const char *key, int width, gv_error *err) {
    *s = (series){.key = key, .width = width};
    gv_status status = GV_OK;
    for (long i = 0; i < t->packets && status == GV_OK; i++) status = read_packet(s, t, i, err);
    return status;
}

// --- times ---------------------------------------------------------------------------------------------

typedef struct line { // time of sample `index`: start + index * interval
    double start, interval;
    bool even;
} line;

static double begins(const series *s, long p, bool stamps) {
    const payload *q = &s->payload[p], *first = s->payload;
    return stamps ? first->time_sec + q->stamp_sec - first->stamp_sec : q->time_sec;
}

static line through(const series *s, bool stamps) {
    double n = (double)s->payloads, mx = 0, my = 0, xx = 0, xy = 0;
    for (long p = 0; p < s->payloads; p++) mx += s->payload[p].index / n, my += begins(s, p, stamps) / n;
    for (long p = 0; p < s->payloads; p++) {
        double x = s->payload[p].index - mx;
        xx += x * x, xy += x * (begins(s, p, stamps) - my);
    }
    line l = {.interval = xx > 0 ? xy / xx : 0, .even = xx > 0 && s->payloads > 2};
    l.start = my - l.interval * mx;
    for (long p = 0; p < s->payloads; p++)
        if (!(fabs(l.start + l.interval * s->payload[p].index - begins(s, p, stamps)) < UNEVEN)) l.even = false;
    l.even = l.even && l.interval > 0;
    return l;
}

static line find_line(const series *s) {
    bool stamps = true;
    for (long p = 0; p < s->payloads; p++) stamps = stamps && isfinite(s->payload[p].stamp_sec);
    line l = {0};
    if (stamps) l = through(s, true);
    return l.even ? l : through(s, false);
}

// Interval of the samples of payload p where the rate is not even: its duration's share; the last one may not be full.
static double own_interval(const series *s, long p) {
    double d = s->payload[p].duration_sec / (double)s->payload[p].count;
    if (p == 0) return d;
    double before = s->payload[p - 1].duration_sec / (double)s->payload[p - 1].count;
    return d > 1.3 * before ? before : d;
}

static double *sample_times(const series *s, gv_error *err) {
    double *t = gv_calloc2((size_t)s->count, sizeof *t);
    if (!t) {
        gv_fail(err, GV_ERR_MEMORY, "no memory for the times of %ld samples", s->count);
        return NULL;
    }
    line l = find_line(s);
    for (long p = 0; p < s->payloads; p++) {
        const payload *q = &s->payload[p];
        double interval = l.even ? l.interval : own_interval(s, p);
        double start = l.even ? l.start + l.interval * q->index : q->time_sec;
        for (long i = 0; i < q->count; i++) t[q->first + i] = start + interval * (double)i;
    }
    return t;
}

// --- the gyroscope -------------------------------------------------------------------------------------

gv_status gv_gopro_gyroscope(gv_gyro *g, const char *path, struct gv_jail *jail, gv_error *err) {
    gv_telemetry t;
    gv_status status = gv_telemetry_read(&t, path, jail, err);
    if (status != GV_OK) return status;
    series s;
    double *time = NULL;
    long capacity = 0;
    status = read_series(&s, &t, "GYRO", 3, err);
    if (status == GV_OK && !s.count)
        status = gv_fail(err, GV_ERR_MISSING, "%s: a video without a gyroscope's track (GoPro's gpmd)", path);
    if (status == GV_OK && !(time = sample_times(&s, err))) status = GV_ERR_MEMORY;
    for (long i = 0; i < s.count && status == GV_OK; i++) status = gv_gyro_add(g, &capacity, time[i], s.value[i], err);
    g->unit_known = true; // GYRO is rad/s
    free(time);
    free_series(&s);
    gv_telemetry_free(&t);
    return status;
}

// --- the camera's own orientation ----------------------------------------------------------------------

// w x y z of unit length to a matrix; false: not nearly of unit length.
static bool matrix_of(double R[9], const double q[4]) {
    double n = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
    if (!(n > 0.9 && n < 1.1)) return false;
    double w = q[0] / n, x = q[1] / n, y = q[2] / n, z = q[3] / n;
    double M[9] = {1 - 2 * (y * y + z * z), 2 * (x * y - w * z),     2 * (x * z + w * y),
                   2 * (x * y + w * z),     1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
                   2 * (x * z - w * y),     2 * (y * z + w * x),     1 - 2 * (x * x + y * y)};
    memcpy(R, M, sizeof M);
    return true;
}

static bool picture_orientation(double R[9], const series *camera, const series *image, long i) {
    double C[9], I[9];
    if (!matrix_of(C, camera->value[i])) return false;
    if (!image->count) return memcpy(R, C, sizeof C), true;
    if (!matrix_of(I, image->value[i])) return false;
    gv_so3_mul(R, I, C);
    return true;
}

// From one known orientation to the next, over samples that hold none.
static gv_status add_turns(gv_gyro *g, const series *camera, const series *image, const double *time, gv_error *err) {
    double R[9], before[9], D[9], rate[3], at = 0;
    long capacity = 0;
    bool any = false;
    gv_status status = GV_OK;
    for (long i = 0; i < camera->count && status == GV_OK; i++) {
        if ((any && !(time[i] - at > 1e-4)) || !picture_orientation(R, camera, image, i)) continue;
        double dt = time[i] - at;
        if (any) {
            gv_so3_mul_nt(D, R, before);
            gv_so3_log(rate, D);
            for (int k = 0; k < 3; k++) rate[k] /= -dt;
        }
        for (int k = 0; any && k < GV_GOPRO_DENSE && status == GV_OK; k++)
            status = gv_gyro_add(g, &capacity, at + dt * (k + 0.5) / GV_GOPRO_DENSE, rate, err);
        memcpy(before, R, sizeof R), at = time[i], any = true;
    }
    return status;
}

gv_status gv_gopro_orientation(gv_gyro *g, const char *path, struct gv_jail *jail, gv_error *err) {
    gv_telemetry t;
    gv_status status = gv_telemetry_read(&t, path, jail, err);
    if (status != GV_OK) return status;
    series camera = {0}, image = {0};
    double *time = NULL;
    status = read_series(&camera, &t, "CORI", 4, err);
    if (status == GV_OK) status = read_series(&image, &t, "IORI", 4, err);
    if (status == GV_OK && !camera.count)
        status = gv_fail(err, GV_ERR_MISSING, "%s: the camera did not store its orientation", path);
    if (status == GV_OK && image.count && image.count != camera.count)
        status = gv_fail(err, GV_ERR_FORMAT, "%s: %ld orientations of the camera, %ld of the picture", path,
                         camera.count, image.count);
    if (status == GV_OK && !(time = sample_times(&camera, err))) status = GV_ERR_MEMORY;
    if (status == GV_OK) status = add_turns(g, &camera, &image, time, err);
    g->unit_known = g->of_picture = true;
    free(time);
    free_series(&camera), free_series(&image);
    gv_telemetry_free(&t);
    return status;
}
