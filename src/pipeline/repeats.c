#include "pipeline/repeats.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- which frames repeat

enum {
    SIDE = 640,   // px, to about so much the picture is thinned out
    CELL = 16,    // of these pixels; the cell that changed most tells a small person's move in a still picture
    WINDOW = 16,  // so many changes are remembered,
    BUSY = 3,     // of which the third largest says how much goes on
    MOST_RUN = 4, // repeats of one picture: 12 in 60
};
// Measured: repeats of tennis.mp4 and taiji.mp4 change a cell by 0.8 to 4.1 levels of 255, 0.01 to 0.07 of what goes on
// (the encoder's doing); new pictures of all clips by more than 0.15 of it where anything moves.
static const double most_levels = 5, share = 0.1;

struct gv_repeats {
    int width, height, step, columns, rows; // step: px from one looked at to the next; the picture thinned out
    uint8_t *luma;                          // [rows, columns] of the last new picture
    uint8_t *now;                           // of this one
    double change[WINDOW];
    long changes; // of new pictures; the last WINDOW are in `change`
    int run;
    bool begun;
};

gv_repeats *gv_repeats_create(int width, int height) {
    gv_repeats *r = gv_calloc2(1, sizeof *r);
    if (!r) return NULL;
    const int side = width > height ? width : height;
    r->step = side / SIDE > 2 ? side / SIDE : 2;
    r->width = width, r->height = height;
    r->columns = (width + r->step - 1) / r->step, r->rows = (height + r->step - 1) / r->step;
    r->luma = gv_calloc2((size_t)r->rows, (size_t)r->columns);
    r->now = gv_calloc2((size_t)r->rows, (size_t)r->columns);
    if (r->luma && r->now) return r;
    gv_repeats_destroy(r);
    return NULL;
}

void gv_repeats_destroy(gv_repeats *r) {
    if (!r) return;
    free(r->luma);
    free(r->now);
    free(r);
}

static void thin_out(gv_repeats *r, const gv_image *m) {
    for (int y = 0; y < r->rows; y++) {
        const uint8_t *row = m->rgb + (size_t)y * (size_t)r->step * (size_t)m->stride;
        uint8_t *out = r->now + (size_t)y * (size_t)r->columns;
        for (int x = 0; x < r->columns; x++, row += 3 * r->step)
            out[x] = (uint8_t)((77 * row[0] + 150 * row[1] + 29 * row[2]) >> 8);
    }
}

// Mean change within the cell that changed most, levels.
static double change_of(const gv_repeats *r) {
    double most = 0;
    for (int top = 0; top < r->rows; top += CELL)
        for (int left = 0; left < r->columns; left += CELL) {
            const int bottom = top + CELL < r->rows ? top + CELL : r->rows;
            const int right = left + CELL < r->columns ? left + CELL : r->columns;
            int sum = 0;
            for (int y = top; y < bottom; y++) {
                const uint8_t *a = r->luma + (size_t)y * (size_t)r->columns, *b = r->now + (size_t)y * (size_t)r->columns;
                for (int x = left; x < right; x++) sum += abs(a[x] - b[x]);
            }
            most = fmax(most, (double)sum / ((bottom - top) * (right - left)));
        }
    return most;
}

// How much changed in one of the busier new pictures of late; 0 before there are enough.
static double busy(const gv_repeats *r) {
    double top[BUSY] = {0};
    if (r->changes < WINDOW) return 0;
    for (int i = 0; i < WINDOW; i++) {
        double v = r->change[i];
        for (int k = 0; k < BUSY; k++)
            if (v > top[k]) {
                double swap = top[k];
                top[k] = v, v = swap;
            }
    }
    return top[BUSY - 1];
}

bool gv_repeats_look(gv_repeats *r, const gv_image *image) {
    if (image->width != r->width || image->height != r->height) return false;
    thin_out(r, image);
    const double change = r->begun ? change_of(r) : 0;
    if (r->begun && r->run < MOST_RUN && change < most_levels && change < share * busy(r)) {
        r->run++;
        return true;
    }
    if (r->begun) r->change[r->changes++ % WINDOW] = change;
    uint8_t *swap = r->luma;
    r->luma = r->now, r->now = swap;
    r->begun = true;
    r->run = 0;
    return false;
}

// ---- when pictures were true

enum { LONGEST_STRETCH = 256, LEAST_REPEATS = 4 };
static const double rounding = 1.1; // frames, the width in which an even rhythm's pictures are off the grid
static const double least_step = 0.25; // frames from one picture to the next

typedef struct stretch { // pictures first .. end - 1 at times start + step k, to within rounding
    int first, end;
    double low, high; // bounds of the step
} stretch;

// The longest stretch from `first` on: every two pictures bound its step.
static stretch even_from(const gv_picture_times *p, const double *shown, int first, double frame_sec) {
    stretch s = {first, first + 1, 0, INFINITY};
    while (s.end < p->pictures && s.end - first < LONGEST_STRETCH) {
        double low = s.low, high = s.high;
        for (int i = first; i < s.end; i++) {
            const double way = shown[s.end] - shown[i], wide = rounding * frame_sec;
            low = fmax(low, (way - wide) / (s.end - i));
            high = fmin(high, (way + wide) / (s.end - i));
        }
        if (low > high) break;
        s.low = low, s.high = high;
        s.end++;
    }
    return s;
}

// The frame behind the last that shows picture k.
static long end_of(const gv_picture_times *p, int k, long frames) {
    return k + 1 < p->pictures ? p->frame[k + 1] : frames;
}

// Even times for a stretch, in the middle of the frames that show its pictures.
static void set_even(gv_picture_times *p, const stretch *s, const double *time_sec, long frames) {
    const double step = (s->low + s->high) / 2;
    double off = 0;
    long n = 0;
    for (int k = s->first; k < s->end; k++)
        for (long t = p->frame[k]; t < end_of(p, k, frames); t++, n++) off += time_sec[t] - step * (k - s->first);
    for (int k = s->first; k < s->end; k++) p->time_sec[k] = off / (double)n + step * (k - s->first);
    p->even += s->end - s->first;
}

static void set_times(gv_picture_times *p, const double *shown, const double *time_sec, long frames) {
    const double frame_sec = (time_sec[frames - 1] - time_sec[0]) / (double)(frames > 1 ? frames - 1 : 1);
    int longest = 0;
    for (int k = 0; k < p->pictures;) {
        const stretch s = even_from(p, shown, k, frame_sec);
        const long repeats = end_of(p, s.end - 1, frames) - p->frame[k] - (s.end - k);
        if (repeats >= LEAST_REPEATS) {
            set_even(p, &s, time_sec, frames);
            if (s.end - k > longest) longest = s.end - k, p->rate = 2 / (s.low + s.high);
        }
        k = s.end;
    }
    for (int k = 1; k < p->pictures; k++)
        p->time_sec[k] = fmax(p->time_sec[k], p->time_sec[k - 1] + least_step * frame_sec);
}

gv_status gv_picture_times_find(gv_picture_times *out, const uint8_t *repeated, const double *time_sec, long frames,
                                gv_error *err) {
    *out = (gv_picture_times){.frame = gv_calloc2((size_t)frames, sizeof(int)),
                              .time_sec = gv_calloc2((size_t)frames, sizeof(double))};
    double *shown = gv_calloc2((size_t)frames, sizeof *shown);
    gv_status status = GV_OK;
    if (!out->frame || !out->time_sec || !shown)
        status = gv_fail(err, GV_ERR_MEMORY, "no memory for the pictures of %ld frames", frames);
    for (long t = 0; status == GV_OK && t < frames; t++) {
        if (repeated[t]) continue;
        out->frame[out->pictures] = (int)t;
        shown[out->pictures] = out->time_sec[out->pictures] = time_sec[t];
        out->pictures++;
    }
    if (status == GV_OK && out->pictures < frames) set_times(out, shown, time_sec, frames);
    if (status != GV_OK) gv_picture_times_free(out);
    free(shown);
    return status;
}

void gv_picture_times_free(gv_picture_times *p) {
    free(p->frame);
    free(p->time_sec);
    *p = (gv_picture_times){0};
}

void gv_picture_times_describe(char *text, size_t size, const gv_picture_times *p, long frames) {
    char rate[64] = "";
    *text = 0;
    if (p->pictures == frames) return;
    if (p->rate > 0) snprintf(rate, sizeof rate, ", mostly of %.3g pictures a second", p->rate);
    snprintf(text, size, "%ld of %ld frames repeat the picture before%s: motion goes by the pictures' true times",
             frames - p->pictures, frames, rate);
}

// ---- results of pictures for all frames

static bool hold(void **rows, size_t row, const int *from, long n) {
    char *out;
    if (!*rows) return true;
    if (!(out = gv_calloc2((size_t)n, row))) return false;
    for (long t = 0; t < n; t++) memcpy(out + (size_t)t * row, (char *)*rows + (size_t)from[t] * row, row);
    free(*rows);
    *rows = out;
    return true;
}

// from [frames]: the picture that each frame shows.
static int *shown_pictures(const uint8_t *repeated, long frames) {
    int *from = gv_calloc2((size_t)frames, sizeof *from), n = -1;
    for (long t = 0; from && t < frames; t++) from[t] = n += !repeated[t];
    return from;
}

// at, from: as hold, for the frames of this person, counted from its first picture.
static bool hold_person(gv_person *p, const int *shown, int *from, long frames) {
    long first = p->first; // no picture is before its own number
    while (shown[first] < p->first) first++;
    long n = 0;
    while (first + n < frames && shown[first + n] < p->first + p->frames) from[n] = shown[first + n] - p->first, n++;
    const size_t f = sizeof(float);
    bool ok = hold((void **)&p->kp2d, 51 * f, from, n) && hold((void **)&p->kp3d, 51 * f, from, n) &&
              hold((void **)&p->feet2d, 3 * GV_FEET_POINTS * f, from, n) &&
              hold((void **)&p->bbx_xyxy, 4 * f, from, n) && hold((void **)&p->bbx_xys, 3 * f, from, n) &&
              hold((void **)&p->observed, 1, from, n);
    p->prominence *= (double)n / p->frames;
    p->first = (int)first;
    p->frames = (int)n;
    return ok;
}

gv_status gv_tracks_hold(gv_tracks *t, const uint8_t *repeated, long frames, gv_error *err) {
    if (t->frames == frames) return GV_OK;
    int *shown = shown_pictures(repeated, frames), *from = gv_calloc2((size_t)frames, sizeof *from);
    bool ok = shown && from;
    for (int i = 0; i < t->count && ok; i++) ok = hold_person(&t->person[i], shown, from, frames);
    t->frames = frames;
    free(shown);
    free(from);
    return ok ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory for people in %ld frames", frames);
}

gv_status gv_camera_hold(gv_camera_path *c, const uint8_t *repeated, long frames, gv_error *err) {
    if (c->frames == frames) return GV_OK;
    int *shown = shown_pictures(repeated, frames);
    const size_t f = sizeof(float);
    bool ok = shown && hold((void **)&c->R_w2c, 9 * f, shown, frames) &&
              hold((void **)&c->confidence, f, shown, frames) && hold((void **)&c->position, 3 * f, shown, frames) &&
              hold((void **)&c->position_confidence, f, shown, frames) &&
              hold((void **)&c->position_metres_sd, f, shown, frames) &&
              hold((void **)&c->stretch, sizeof *c->stretch, shown, frames);
    c->frames = (int)frames;
    for (long i = 0, t = 0; ok && i < c->ground_count; i++) { // to the first frame that shows the picture
        while (t + 1 < frames && shown[t] < c->ground[i].frame) t++;
        c->ground[i].frame = (int32_t)t;
    }
    free(shown);
    return ok ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory for the camera in %ld frames", frames);
}
