#include "camera/gyro.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/order.h"
#include "camera/gopro.h"
#include "geometry/so3.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_SAMPLES = 8, MOST_SAMPLES = 1 << 27 };
static const size_t LARGEST_FILE = (size_t)1 << 30;
static const double FASTEST = 200; // rad/s: beyond what any gyroscope measures

void gv_gyro_free(gv_gyro *g) {
    free(g->time_sec);
    free(g->rate);
    *g = (gv_gyro){0};
}

gv_status gv_gyro_add(gv_gyro *g, long *capacity, double time_sec, const double rate[3], gv_error *err) {
    if (g->count == *capacity) {
        long want = *capacity ? 2 * *capacity : 4096;
        double *t = want <= MOST_SAMPLES ? realloc(g->time_sec, (size_t)want * sizeof *t) : NULL;
        if (t) g->time_sec = t;
        double(*r)[3] = t ? realloc(g->rate, (size_t)want * sizeof *r) : NULL;
        if (!r) return gv_fail(err, GV_ERR_MEMORY, "no memory for %ld samples of a gyroscope", want);
        g->rate = r, *capacity = want;
    }
    g->time_sec[g->count] = time_sec;
    memcpy(g->rate[g->count++], rate, sizeof *g->rate);
    return GV_OK;
}

// --- cleaning ------------------------------------------------------------------------------------------

typedef struct sample {
    double t, rate[3];
    long order;
} sample;

static int by_time(const void *a, const void *b) {
    const sample *x = a, *y = b;
    if (x->t != y->t) return x->t < y->t ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static bool usable(const gv_gyro *g, long i) {
    for (int k = 0; k < 3; k++)
        if (!(fabs(g->rate[i][k]) < 1e9)) return false;
    return isfinite(g->time_sec[i]);
}

static gv_status sort_samples(gv_gyro *g, const char *name, gv_error *err) {
    sample *all = gv_calloc2((size_t)g->count, sizeof *all);
    if (!all) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory to sort %ld samples", name, g->count);
    long n = 0;
    double latest = -INFINITY;
    for (long i = 0; i < g->count; i++) {
        if (!usable(g, i)) {
            g->out_of_order++;
            continue;
        }
        g->out_of_order += g->time_sec[i] <= latest;
        latest = fmax(latest, g->time_sec[i]);
        all[n] = (sample){.t = g->time_sec[i], .order = i};
        memcpy(all[n++].rate, g->rate[i], sizeof *g->rate);
    }
    qsort(all, (size_t)n, sizeof *all, by_time);
    g->count = 0;
    for (long i = 0; i < n; i++) {
        if (g->count && all[i].t <= g->time_sec[g->count - 1]) continue;
        g->time_sec[g->count] = all[i].t;
        memcpy(g->rate[g->count++], all[i].rate, sizeof *g->rate);
    }
    free(all);
    return GV_OK;
}

gv_status gv_gyro_clean(gv_gyro *g, const char *name, gv_error *err) {
    long read = g->count;
    gv_status s = sort_samples(g, name, err);
    if (s != GV_OK) return s;
    if (g->count < LEAST_SAMPLES)
        return gv_fail(err, GV_ERR_FORMAT, "%s: %ld usable samples of a gyroscope, expected %d or more", name, g->count,
                       LEAST_SAMPLES);
    if (4 * g->out_of_order > read)
        return gv_fail(err, GV_ERR_FORMAT, "%s: the times of %ld of %ld samples do not increase", name, g->out_of_order,
                       read);
    double *gap = gv_calloc2((size_t)g->count - 1, sizeof *gap);
    if (!gap) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %ld samples", name, g->count);
    for (long i = 0; i + 1 < g->count; i++) gap[i] = g->time_sec[i + 1] - g->time_sec[i];
    gv_sort_doubles(gap, (size_t)g->count - 1);
    g->interval_sec = gap[(g->count - 1) / 2];
    free(gap);
    if (!(g->interval_sec > 1e-6 && g->interval_sec < 0.2))
        return gv_fail(err, GV_ERR_FORMAT, "%s: %g s between samples, expected 0.1 to 100 ms", name, g->interval_sec);
    return GV_OK;
}

// --- loading -------------------------------------------------------------------------------------------

static bool is_movie(const unsigned char *p, size_t n) {
    static const char *const first[] = {"ftyp", "moov", "mdat", "free", "wide", "skip"};
    for (size_t i = 0; n >= 8 && i < sizeof first / sizeof *first; i++)
        if (!memcmp(p + 4, first[i], 4)) return true;
    return false;
}

static gv_status limit(gv_gyro *g, gv_status s) {
    for (long i = 0; i < g->count && s == GV_OK; i++)
        for (int k = 0; k < 3; k++) g->rate[i][k] = fmax(-FASTEST, fmin(FASTEST, g->rate[i][k]));
    if (s != GV_OK) gv_gyro_free(g);
    return s;
}

gv_status gv_gyro_load(gv_gyro *g, const char *path, struct gv_jail *jail, gv_error *err) {
    *g = (gv_gyro){0};
    unsigned char head[8] = {0}, *text = NULL;
    size_t size;
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    if (f) fclose(f);
    gv_status s;
    if (is_movie(head, n)) {
        s = gv_gopro_gyroscope(g, path, jail, err);
        if (s == GV_OK) s = gv_gyro_clean(g, path, err);
    } else {
        s = gv_file_read(path, LARGEST_FILE, &text, &size, err);
        if (s == GV_OK) s = gv_gyro_parse(g, path, (const char *)text, size, err);
        free(text);
    }
    return limit(g, s);
}

gv_status gv_gyro_load_own(gv_gyro *g, const char *path, struct gv_jail *jail, gv_error *err) {
    *g = (gv_gyro){0};
    unsigned char head[8] = {0};
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    if (f) fclose(f);
    if (!is_movie(head, n)) return gv_fail(err, GV_ERR_MISSING, "%s: not a camera's own video", path);
    gv_status s = gv_gopro_orientation(g, path, jail, err);
    if (s == GV_OK) s = gv_gyro_clean(g, path, err);
    return limit(g, s);
}

// --- use -----------------------------------------------------------------------------------------------

// The last sample at or before t; -1: none.
static long before(const gv_gyro *g, double t) {
    long lo = -1, hi = g->count;
    while (hi - lo > 1) {
        long mid = lo + (hi - lo) / 2;
        if (g->time_sec[mid] <= t)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

bool gv_gyro_covers(const gv_gyro *g, double a, double b) {
    double widest = fmax(5 * g->interval_sec, 0.025);
    if (a < g->time_sec[0] - 0.5 * widest || b > g->time_sec[g->count - 1] + 0.5 * widest) return false;
    for (long i = before(g, a) < 0 ? 0 : before(g, a); i + 1 < g->count && g->time_sec[i] < b; i++)
        if (g->time_sec[i + 1] - g->time_sec[i] > widest && g->time_sec[i + 1] > a) return false;
    return true;
}

static void rate_at(double w[3], const gv_gyro *g, long i, double t) {
    long j = i + 1 < g->count ? i + 1 : i;
    if (i < 0) i = j = 0;
    double k = j > i ? (t - g->time_sec[i]) / (g->time_sec[j] - g->time_sec[i]) : 0;
    k = fmax(0, fmin(1, k));
    for (int a = 0; a < 3; a++) w[a] = g->rate[i][a] + k * (g->rate[j][a] - g->rate[i][a]);
}

void gv_gyro_integrate(double R[9], const gv_gyro *g, double a, double b, const double bias[3], const double M[9]) {
    gv_so3_identity(R);
    long i = before(g, a);
    for (double t = a; t < b;) {
        double next = i + 1 < g->count ? fmin(b, g->time_sec[i + 1]) : b;
        if (next > t) { // the rate in the middle of the piece: exact to third order in its length
            double w[3], v[3];
            rate_at(w, g, i, 0.5 * (t + next));
            for (int k = 0; k < 3; k++) w[k] = -(w[k] - bias[k]) * (next - t);
            gv_so3_apply(v, M, w);
            gv_so3_update(R, v);
        }
        t = next, i++;
    }
}
