#include "perception/history.h"

#include "base/memory.h"
#include "perception/boxes.h"
#include "perception/sides.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float DISTRUST = 0.3f;

void gv_history_free(gv_history *h) {
    gv_long_list_free(&h->list);
    free(h->item);
    *h = (gv_history){0};
}

gv_status gv_history_add(gv_history *h, int frame, double time_sec, const gv_seen_points *points, const float box[4],
                         gv_error *err) {
    if (h->count == 0) {
        h->first = frame;
        h->first_sec = time_sec;
        h->list.item = sizeof(gv_sighting);
        gv_long_list_clear(&h->list);
    }
    const int gap = frame - h->first - h->count;
    assert(gap >= 0 && !h->item);
    gv_sighting s = {.observed = 1};
    if (points->kp2d) memcpy(s.kp2d, points->kp2d, sizeof s.kp2d);
    if (points->kp3d) memcpy(s.kp3d, points->kp3d, sizeof s.kp3d);
    if (points->feet) memcpy(s.feet, points->feet, sizeof s.feet);
    memcpy(s.box, box, sizeof s.box);
    if (!gv_long_list_add(&h->list, NULL, gap) || !gv_long_list_add(&h->list, &s, 1))
        return gv_fail(err, GV_ERR_MEMORY, "no memory for %d frames of a person", h->count + gap + 1);
    h->count += gap + 1;
    h->last_sec = time_sec;
    h->seen++;
    return GV_OK;
}

gv_status gv_history_gather(gv_history *h, gv_error *err) {
    return h->item ? GV_OK : gv_long_list_gather(&h->list, (void **)&h->item, err);
}

gv_status gv_history_extend(gv_history *h, int frames, gv_error *err) {
    assert(frames >= h->first + h->count);
    gv_status status = gv_history_gather(h, err);
    if (status != GV_OK) return status;
    gv_sighting *item = gv_calloc2((size_t)frames, sizeof *item);
    if (!item) return gv_fail(err, GV_ERR_MEMORY, "no memory for %d frames of a person", frames);
    if (h->count) memcpy(item + h->first, h->item, (size_t)h->count * sizeof *item);
    free(h->item);
    h->item = item;
    h->count = frames;
    h->first = 0;
    return GV_OK;
}

double gv_history_seconds(const gv_history *h) {
    double span = h->last_sec - h->first_sec;
    return h->count > 1 ? span * h->count / (h->count - 1) : 0;
}

static float apart(const float *a, const float *b) {
    return hypotf(a[0] - b[0], a[1] - b[1]);
}

// A joint leaves the middle of its neighbours in time by much more than these differ from each other.
static bool jumps(const float *before, const float *now, const float *after, float height) {
    float middle[2] = {(before[0] + after[0]) / 2, (before[1] + after[1]) / 2};
    return apart(now, middle) > 0.25f * height && apart(before, after) < 0.5f * apart(now, middle);
}

static void distrust(float point[3]) {
    point[2] = fminf(point[2], DISTRUST);
}

void gv_history_distrust_glitches(gv_history *h) {
    for (int i = 1; i + 1 < h->count; i++) {
        gv_sighting *s = &h->item[i];
        if (!s[-1].observed || !s->observed || !s[1].observed) continue;
        float height = s->box[3] - s->box[1];
        for (int j = 0; j < 17; j++)
            if (jumps(s[-1].kp2d[j], s->kp2d[j], s[1].kp2d[j], height)) distrust(s->kp2d[j]);
        for (int j = 0; j < GV_FEET_POINTS; j++)
            if (jumps(s[-1].feet[j], s->feet[j], s[1].feet[j], height)) distrust(s->feet[j]);
    }
}

// Points of unseen frames: linear between the sightings around them, the nearest ones at the ends; confidence 0.
static void fill_points(gv_history *h) {
    int last = -1;
    for (int i = 0; i <= h->count; i++) {
        if (i < h->count && !h->item[i].observed) continue;
        const gv_sighting *a = last < 0 ? h->item + i : h->item + last, *b = i == h->count ? a : h->item + i;
        if (last < 0 && i == h->count) return; // never seen
        for (int k = last + 1; k < i; k++) {
            float f = (float)(k - last) / (float)(i - last);
            for (int j = 0; j < 17; j++)
                for (int c = 0; c < 2; c++) h->item[k].kp2d[j][c] = a->kp2d[j][c] + f * (b->kp2d[j][c] - a->kp2d[j][c]);
        }
        last = i;
    }
}

gv_status gv_history_finish(gv_history *h, int width, int height, gv_person *out, gv_error *err) {
    size_t n = (size_t)h->count;
    *out = (gv_person){.first = h->first, .frames = h->count};
    gv_status status = gv_history_gather(h, err);
    if (status != GV_OK) return status;
    out->kp2d = gv_calloc2(n, 17 * 3 * sizeof(float));
    out->kp3d = gv_calloc2(n, 17 * 3 * sizeof(float));
    out->feet2d = gv_calloc2(n, GV_FEET_POINTS * 3 * sizeof(float));
    out->bbx_xyxy = gv_calloc2(n, 4 * sizeof(float));
    out->bbx_xys = gv_calloc2(n, 3 * sizeof(float));
    out->observed = gv_calloc2(n, 1);
    if (!out->kp2d || !out->kp3d || !out->feet2d || !out->bbx_xyxy || !out->bbx_xys || !out->observed)
        return gv_fail(err, GV_ERR_MEMORY, "no memory for a person of %d frames", h->count);
    if (gv_history_mend_sides(h) < 0)
        return gv_fail(err, GV_ERR_MEMORY, "no memory for a person of %d frames", h->count);
    gv_history_distrust_glitches(h);
    fill_points(h);
    double picture = (double)width * height;
    for (size_t i = 0; i < n; i++) {
        const gv_sighting *s = &h->item[i];
        memcpy(out->kp2d + i * 51, s->kp2d, sizeof s->kp2d);
        memcpy(out->kp3d + i * 51, s->kp3d, sizeof s->kp3d);
        memcpy(out->feet2d + i * 3 * GV_FEET_POINTS, s->feet, sizeof s->feet); // a gap's confidence is 0
        memcpy(out->bbx_xyxy + i * 4, s->box, sizeof s->box);
        out->observed[i] = s->observed;
        if (s->observed) out->prominence += (double)(s->box[2] - s->box[0]) * (s->box[3] - s->box[1]) / picture;
    }
    gv_box_fill_gaps(out->bbx_xyxy, out->observed, h->count);
    status = gv_box_smooth(out->bbx_xyxy, h->count, err);
    for (size_t i = 0; i < n; i++) gv_box_square(out->bbx_xys + 3 * i, out->bbx_xyxy + 4 * i);
    return status;
}

static void between(float *out, const float *a, const float *b, int n, float f) {
    for (int i = 0; i < n; i++) out[i] = a[i] + f * (b[i] - a[i]);
}

// Points with confidences: f < 0: a itself; f = 1: beyond the last look, where nothing is known.
static void points_between(float *out, const float *a, const float *b, int n, float f) {
    between(out, a, b, 3 * n, f > 0 && f < 1 ? f : 0);
    for (int j = 0; j < n && f >= 0; j++) out[3 * j + 2] = f < 1 ? fminf(a[3 * j + 2], b[3 * j + 2]) : 0;
}

gv_status gv_person_spread(gv_person *p, int every, long frames, gv_error *err) {
    if (every == 1) return GV_OK;
    long first = (long)p->first * every, n = (long)p->frames * every; // the last look's successors belong to it
    if (first + n > frames) n = frames - first;
    gv_person out = {.first = (int)first, .frames = (int)n, .prominence = p->prominence * every};
    out.kp2d = gv_calloc2((size_t)n, 51 * sizeof(float));
    out.kp3d = gv_calloc2((size_t)n, 51 * sizeof(float)); // stays 0 where one of the looks has none
    out.feet2d = gv_calloc2((size_t)n, GV_FEET_POINTS * 3 * sizeof(float));
    out.bbx_xyxy = gv_calloc2((size_t)n, 4 * sizeof(float));
    out.bbx_xys = gv_calloc2((size_t)n, 3 * sizeof(float));
    out.observed = gv_calloc2((size_t)n, 1);
    if (!out.kp2d || !out.kp3d || !out.feet2d || !out.bbx_xyxy || !out.bbx_xys || !out.observed) {
        gv_person_free(&out);
        return gv_fail(err, GV_ERR_MEMORY, "no memory for a person of %ld frames", n);
    }
    for (long t = 0; t < n; t++) {
        size_t a = (size_t)(t / every), b = a + 1 < (size_t)p->frames ? a + 1 : a;
        float f = (float)(t % every) / (float)every;
        bool on_look = t % every == 0, beyond = b == a && !on_look;
        const float g = on_look ? -1 : beyond ? 1 : f;
        points_between(out.kp2d + 51 * t, p->kp2d + 51 * a, p->kp2d + 51 * b, 17, g);
        const size_t row = 3 * GV_FEET_POINTS;
        points_between(out.feet2d + row * (size_t)t, p->feet2d + row * a, p->feet2d + row * b, GV_FEET_POINTS, g);
        if (on_look || (p->observed[a] && p->observed[b] && !beyond))
            between(out.kp3d + 51 * t, p->kp3d + 51 * a, p->kp3d + 51 * b, 51, f);
        between(out.bbx_xyxy + 4 * t, p->bbx_xyxy + 4 * a, p->bbx_xyxy + 4 * b, 4, f);
        between(out.bbx_xys + 3 * t, p->bbx_xys + 3 * a, p->bbx_xys + 3 * b, 3, f);
        out.observed[t] = p->observed[a] && (on_look || (p->observed[b] && !beyond));
    }
    gv_person_free(p);
    *p = out;
    return GV_OK;
}

void gv_person_free(gv_person *p) {
    free(p->kp2d);
    free(p->kp3d);
    free(p->feet2d);
    free(p->bbx_xyxy);
    free(p->bbx_xys);
    free(p->observed);
    *p = (gv_person){0};
}

static int by_prominence(const void *x, const void *y) {
    const gv_person *a = x, *b = y;
    if (a->prominence != b->prominence) return a->prominence < b->prominence ? 1 : -1;
    return a->first - b->first;
}

gv_status gv_histories_finish(gv_history *h, int n, int width, int height, gv_tracks *out, gv_error *err) {
    out->count = 0;
    out->person = gv_calloc2((size_t)n, sizeof *out->person);
    if (!out->person) return gv_fail(err, GV_ERR_MEMORY, "no memory for %d persons", n);
    gv_status status = GV_OK;
    for (int i = 0; i < n && status == GV_OK; i++) {
        status = gv_history_finish(&h[i], width, height, &out->person[i], err);
        gv_history_free(&h[i]);
        out->count++;
    }
    if (status != GV_OK)
        gv_tracks_free(out);
    else
        qsort(out->person, (size_t)n, sizeof *out->person, by_prominence);
    return status;
}

void gv_tracks_free(gv_tracks *t) {
    for (int i = 0; i < t->count; i++) gv_person_free(&t->person[i]);
    free(t->person);
    *t = (gv_tracks){0};
}
