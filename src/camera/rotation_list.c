#include "camera/rotation_list.h"

#include "base/memory.h"
#include "formats/npz.h"
#include "geometry/rotation.h"
#include "geometry/so3.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NUMBERS = 16, MOST_ROWS = 10000000 };

typedef struct row {
    int numbers;
    double v[MOST_NUMBERS];
    bool text;   // something that is no number stands at the end
    long digits; // the last number within that text, -1: none
} row;

// The last run of digits (of a long one the last nine); -1: there is none.
static long last_number(const char *at, const char *end) {
    long value = -1;
    for (bool inside = false; at < end; at++) {
        bool digit = isdigit((unsigned char)*at);
        if (digit) value = ((inside ? value : 0) * 10 + (*at - '0')) % 1000000000;
        inside = digit;
    }
    return value;
}

// Splits a line; false where it holds nothing (empty, comment).
static bool read_row(row *r, const char **at, const char *end) {
    const char *p = *at, *stop = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
    if (!stop) stop = end;
    *at = stop < end ? stop + 1 : end;
    *r = (row){.digits = -1};
    while (p < stop) {
        char token[64];
        size_t n = 0;
        while (p < stop && strchr(" \t,;[]()\r", *p)) p++;
        if (p < stop && *p == '#' && !r->numbers) return false;
        const char *first = p;
        while (p < stop && !strchr(" \t,;[]()\r", *p)) p++;
        if (p == first) break;
        for (const char *q = first; q < p && n + 1 < sizeof token; q++) token[n++] = *q;
        token[n] = 0;
        char *tail;
        double v = strtod(token, &tail);
        if (!*tail && r->numbers < MOST_NUMBERS && !r->text) {
            r->v[r->numbers++] = v;
        } else if (!*tail) {
            r->numbers = MOST_NUMBERS + 1; // too many: no list of rotations
            return true;
        } else {
            r->text = true;
            r->digits = last_number(first, p);
        }
    }
    return r->numbers > 0 || r->text;
}

static bool unit(const double q[4]) {
    return fabs(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3] - 1) < 0.01;
}

static bool orthonormal(const double R[9]) {
    double I[9];
    gv_so3_mul_nt(I, R, R);
    for (int i = 0; i < 9; i++)
        if (!(fabs(I[i] - (i % 4 == 0)) < 0.01)) return false;
    double c[3];
    gv_cross3(c, R, R + 3);
    return gv_dot3(c, R + 6) > 0;
}

typedef enum kind { NONE, TUM, COLMAP, ROWS9, ROWS3, ROWS12, ROWS16 } kind;

static void matrix_of(double R[9], const row *r, int stride) {
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++) R[3 * i + k] = r->v[stride * i + k];
}

static kind kind_of(const row *r) {
    double R[9];
    if (r->numbers == 9 && r->text && unit(r->v + 1)) return COLMAP;
    if (r->text) return NONE;
    if (r->numbers == 8 && unit(r->v + 4)) return TUM;
    if (r->numbers == 3) return fabs(gv_dot3(r->v, r->v) - 1) < 0.01 ? ROWS3 : NONE;
    int stride = r->numbers == 9 ? 3 : r->numbers == 12 || r->numbers == 16 ? 4 : 0;
    if (!stride) return NONE;
    matrix_of(R, r, stride);
    return !orthonormal(R) ? NONE : r->numbers == 9 ? ROWS9 : r->numbers == 12 ? ROWS12 : ROWS16;
}

bool gv_rotation_list_is(const char *text, size_t size) {
    const char *at = text, *end = text + size;
    row r;
    while (at < end)
        if (read_row(&r, &at, end)) return kind_of(&r) != NONE;
    return false;
}

void gv_rotation_list_free(gv_rotation_list *l) {
    free(l->R_w2c);
    free(l->time_sec);
    free(l->frame);
    *l = (gv_rotation_list){0};
}

static gv_status grow(gv_rotation_list *l, long *capacity, kind k, gv_error *err) {
    if (l->count < *capacity) return GV_OK;
    long want = 2 * *capacity + 256;
    double(*R)[9] = want <= MOST_ROWS ? realloc(l->R_w2c, (size_t)want * sizeof *R) : NULL;
    if (R) l->R_w2c = R;
    void *side = R ? realloc(k == TUM ? (void *)l->time_sec : (void *)l->frame, (size_t)want * sizeof(double)) : NULL;
    if (!side) return gv_fail(err, GV_ERR_MEMORY, "no memory for %ld rotations", want);
    if (k == TUM)
        l->time_sec = side;
    else
        l->frame = side;
    *capacity = want;
    return GV_OK;
}

// From the quaternion (w, x, y, z).
static void from_quaternion(double R[9], double w, double x, double y, double z) {
    double q[4] = {w, x, y, z};
    gv_rotd_from_quat(R, q);
}

static void transpose(double R[9]) {
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < i; k++) {
            double t = R[3 * i + k];
            R[3 * i + k] = R[3 * k + i], R[3 * k + i] = t;
        }
}

// One row's (or three rows') rotation; false where it is none.
static bool take(double R[9], const row *r, kind k, const char **at, const char *end) {
    switch (k) {
    case TUM:
        from_quaternion(R, r->v[7], r->v[4], r->v[5], r->v[6]);
        transpose(R);
        return true;
    case COLMAP:
        from_quaternion(R, r->v[1], r->v[2], r->v[3], r->v[4]);
        return true;
    case ROWS3:
        memcpy(R, r->v, 3 * sizeof(double));
        for (int i = 1; i < 3; i++) {
            row next;
            do
                if (*at >= end) return false;
            while (!read_row(&next, at, end));
            if (next.numbers != 3 || next.text) return false;
            memcpy(R + 3 * i, next.v, 3 * sizeof(double));
        }
        return orthonormal(R);
    default:
        matrix_of(R, r, k == ROWS9 ? 3 : 4);
        if (!orthonormal(R)) return false;
        if (k != ROWS9) transpose(R); // the camera in the world
        return true;
    }
}

typedef struct entry {
    long frame;
    double R[9];
} entry;

static int by_frame(const void *a, const void *b) {
    const entry *x = a, *y = b;
    return (x->frame > y->frame) - (x->frame < y->frame);
}

// COLMAP lists images in any order.
static gv_status sort_frames(gv_rotation_list *l, const char *name, gv_error *err) {
    entry *e = gv_calloc2((size_t)l->count, sizeof *e);
    if (!e) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %ld rotations", name, l->count);
    for (long i = 0; i < l->count; i++) {
        e[i].frame = l->frame[i];
        memcpy(e[i].R, l->R_w2c[i], sizeof e[i].R);
    }
    qsort(e, (size_t)l->count, sizeof *e, by_frame);
    gv_status s = GV_OK;
    for (long i = 0; i < l->count; i++) {
        l->frame[i] = e[i].frame - e[0].frame;
        memcpy(l->R_w2c[i], e[i].R, sizeof e[i].R);
        if (i && e[i].frame == e[i - 1].frame)
            s = gv_fail(err, GV_ERR_FORMAT, "%s: two images with the number %ld", name, e[i].frame);
    }
    free(e);
    return s;
}

gv_status gv_rotation_list_parse(gv_rotation_list *l, const char *name, const char *text, size_t size, gv_error *err) {
    *l = (gv_rotation_list){0};
    const char *at = text, *end = text + size;
    gv_status s = GV_OK;
    kind k = NONE;
    long capacity = 0;
    row r;
    while (s == GV_OK && at < end) {
        if (!read_row(&r, &at, end)) continue;
        if (k == NONE) k = kind_of(&r);
        bool fits = k != NONE && kind_of(&r) == k;
        if (k == COLMAP && !fits) continue; // the line of its points
        if ((s = grow(l, &capacity, k, err)) != GV_OK) break;
        if (!fits || !take(l->R_w2c[l->count], &r, k, &at, end) || (k == COLMAP && r.digits < 0)) {
            s = gv_fail(err, GV_ERR_FORMAT, "%s: entry %ld is no rotation of a camera", name, l->count + 1);
            break;
        }
        if (k == TUM)
            l->time_sec[l->count] = r.v[0];
        else
            l->frame[l->count] = k == COLMAP ? r.digits : l->count;
        gv_so3_orthonormalise(l->R_w2c[l->count]);
        bool later = k != TUM || (isfinite(r.v[0]) && (!l->count || r.v[0] > l->time_sec[l->count - 1]));
        if (!later) s = gv_fail(err, GV_ERR_FORMAT, "%s: the times do not increase at entry %ld", name, l->count + 1);
        l->count++;
    }
    if (s == GV_OK && !l->count) s = gv_fail(err, GV_ERR_EMPTY, "%s: no rotation in it", name);
    if (s == GV_OK && k == COLMAP) s = sort_frames(l, name, err);
    if (s != GV_OK) gv_rotation_list_free(l);
    return s;
}

gv_status gv_rotation_list_load_npz(gv_rotation_list *l, const char *path, gv_error *err) {
    *l = (gv_rotation_list){0};
    gv_npz *z = NULL;
    int64_t n = 0;
    gv_status s = gv_npz_open(&z, path, err);
    if (s != GV_OK) return s;
    double *R = gv_npz_read_f64(z, "R_w2c", (int64_t[]){-1, 3, 3}, 3, &n, err);
    gv_npz_close(z);
    if (!R) return err ? err->status : GV_ERR_FORMAT;
    l->R_w2c = (double(*)[9])R, l->count = (long)n;
    l->frame = gv_calloc2((size_t)n, sizeof *l->frame);
    if (!l->frame) s = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %ld rotations", path, (long)n);
    if (!n) s = gv_fail(err, GV_ERR_EMPTY, "%s: \"R_w2c\" is empty", path);
    for (long i = 0; i < n && s == GV_OK; i++) {
        l->frame[i] = i;
        if (!orthonormal(l->R_w2c[i]))
            s = gv_fail(err, GV_ERR_FORMAT, "%s: \"R_w2c\" is no rotation in frame %ld", path, i);
        else
            gv_so3_orthonormalise(l->R_w2c[i]);
    }
    if (s != GV_OK) gv_rotation_list_free(l);
    return s;
}

// --- use -----------------------------------------------------------------------------------------------

// Where entry i lies: its time, or the number of its frame; `each`: there is one for every frame, whatever their times.
static double place(const gv_rotation_list *l, bool each, long i) {
    return each ? (double)i : l->time_sec ? l->time_sec[i] : (double)l->frame[i];
}

static gv_status check(const gv_rotation_list *l, const char *name, const double *t, int frames, double step,
                       gv_error *err) {
    long last = l->count - 1;
    if (l->time_sec && (l->time_sec[0] < t[0] - 2 * step || l->time_sec[last] > t[frames - 1] + 2 * step))
        return gv_fail(err, GV_ERR_FORMAT, "%s: times from %.9g to %.9g s do not lie within the video's 0 to %g s",
                       name, l->time_sec[0], l->time_sec[last], t[frames - 1]);
    if (!l->time_sec && (l->frame[last] >= frames || l->frame[last] == last))
        return gv_fail(err, GV_ERR_FORMAT, "%s: %ld rotations, up to frame %ld, for the video's %d frames", name,
                       l->count, l->frame[last], frames);
    return GV_OK;
}

gv_status gv_rotation_list_apply(gv_camera_path *path, const gv_rotation_list *l, const char *name,
                                 const double *time_sec, gv_error *err) {
    bool each = l->count == path->frames, timed = l->time_sec && !each;
    double step = timed && path->frames > 1 ? (time_sec[path->frames - 1] - time_sec[0]) / (path->frames - 1) : 1;
    gv_status s = each ? GV_OK : check(l, name, time_sec, path->frames, step, err);
    if (s != GV_OK) return s;
    double first[9], R[9], Q[9];
    long i = 0;
    for (int f = 0; f < path->frames; f++) {
        double at = timed ? time_sec[f] : f;
        while (i + 1 < l->count && place(l, each, i + 1) <= at) i++;
        long next = i + 1 < l->count ? i + 1 : i;
        double a = place(l, each, i), b = place(l, each, next), k = b > a ? (at - a) / (b - a) : 0;
        gv_so3_interpolate(R, l->R_w2c[i], l->R_w2c[next], fmax(0, fmin(1, k)));
        if (f == 0) memcpy(first, R, sizeof R);
        gv_so3_mul_nt(Q, R, first);
        for (int q = 0; q < 9; q++) path->R_w2c[9 * f + q] = (float)Q[q];
        path->confidence[f] = at > a - 0.6 * step && at < b + 0.6 * step; // not beyond an end
    }
    path->is_static = false;
    return GV_OK;
}
