#include "evaluation/quality.h"
#include "base/memory.h"
#include "base/order.h"
#include "body/body.h"
#include "evaluation/metrics.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { J = GV_MOTION_JOINTS, FEET = GV_FEET, KEYPOINTS = 17, SHOWN = 3 };

// Where doubt begins. Speeds and accelerations do not depend on the frame rate.
static const double contact = 0.5;
static const double unsure_confidence = 0.4;
static const double off_picture_share = 0.08; // of the box, whose side is somewhat more than a person's height
static const double sliding_speed = 0.3;      // m/s, 10 mm per 1/30 s
static const double jump_acceleration = 100;  // m/s^2, mean over all joints: 11 cm out of line at 30 frames/s
static const double floating_height = 0.4;    // m, lowest joint
static const double floating_time = 1.2;      // s, longer than any jump
static const double shortest_time = 0.15;     // s: shorter stretches are not worth a line (except unseen ones)
static const double bridge_time = 0.25;       // s: stretches so near to each other are one

typedef struct work {
    const gv_motion *m;
    double *time;  // [L] strictly increasing
    bool *flag;    // [L] of the kind in hand
    bool *doubted; // [L] of any kind
    bool *unknown; // [L] of any kind but sliding: the pose itself is in doubt
    float *value;  // [4 L]
} work;

static const float *joint(const gv_motion *m, int t, int j) {
    return m->joints_world + ((size_t)t * J + (size_t)j) * 3;
}

static double distance(const float *a, const float *b) {
    double x = (double)a[0] - b[0], y = (double)a[1] - b[1], z = (double)a[2] - b[2];
    return sqrt(x * x + y * y + z * z);
}

// Mean of the keypoints' confidence; 0 where nothing was observed.
static double confidence_at(const gv_motion *m, int t) {
    double sum = 0;
    for (int k = 0; k < KEYPOINTS; k++) sum += m->kp2d[((size_t)t * KEYPOINTS + k) * 3 + 2];
    return isfinite(sum) && sum > 0 ? sum / KEYPOINTS : 0;
}

static bool touches(const gv_motion *m, int t, int foot) {
    return m->static_prob[(size_t)t * GV_STATIC_JOINTS + foot] > contact;
}

static void fill_times(work *w) {
    double step = w->m->fps > 0 ? 1 / w->m->fps : 1.0 / 30;
    for (int t = 0; t < w->m->frames; t++) {
        w->time[t] = w->m->time_sec[t];
        if (t && !(w->time[t] > w->time[t - 1] + 1e-6)) w->time[t] = w->time[t - 1] + step;
    }
}

// Seconds from row a to row b, and what lies beyond the ends counts as a usual frame.
static double seconds(const work *w, int first, int last) {
    int L = w->m->frames;
    double step = L > 1 ? (w->time[L - 1] - w->time[0]) / (L - 1) : 1.0 / 30;
    return w->time[last] - w->time[first] + step;
}

// ---- per-frame tests, each sets flag

static void flag_unseen(work *w) {
    for (int t = 0; t < w->m->frames; t++) w->flag[t] = confidence_at(w->m, t) <= 0;
}

static void flag_unsure(work *w) {
    for (int t = 0; t < w->m->frames; t++) {
        double c = confidence_at(w->m, t);
        w->flag[t] = c > 0 && c < unsure_confidence;
    }
}

static void flag_off_picture(work *w, const float *reprojection_px) {
    for (int t = 0; t < w->m->frames; t++) {
        double side = w->m->bbx_xys[3 * (size_t)t + 2];
        w->flag[t] = reprojection_px && side > 0 && (double)reprojection_px[t] > off_picture_share * side;
    }
}

static void flag_sliding(work *w) {
    for (int t = 0; t + 1 < w->m->frames; t++)
        for (int f = 0; f < FEET; f++) {
            double way = distance(joint(w->m, t, gv_foot_joints[f]), joint(w->m, t + 1, gv_foot_joints[f]));
            if (touches(w->m, t, f) && touches(w->m, t + 1, f) && way > sliding_speed * (w->time[t + 1] - w->time[t]))
                w->flag[t] = w->flag[t + 1] = true;
        }
}

static void flag_jump(work *w) {
    for (int t = 1; t + 1 < w->m->frames; t++) {
        double before = w->time[t] - w->time[t - 1], after = w->time[t + 1] - w->time[t], sum = 0;
        for (int j = 0; j < J; j++) {
            double square = 0;
            for (int i = 0; i < 3; i++) {
                double p = joint(w->m, t - 1, j)[i], q = joint(w->m, t, j)[i], r = joint(w->m, t + 1, j)[i];
                double a = 2 * ((r - q) / after - (q - p) / before) / (before + after);
                square += a * a;
            }
            sum += sqrt(square);
        }
        if (!(sum / J <= jump_acceleration)) w->flag[t] = true;
    }
}

static void flag_floating(work *w) {
    int start = -1;
    for (int t = 0; t <= w->m->frames; t++) {
        double lowest = INFINITY;
        for (int j = 0; t < w->m->frames && j < J; j++) lowest = fmin(lowest, (double)joint(w->m, t, j)[1]);
        bool high = t < w->m->frames && lowest > floating_height;
        if (high && start < 0) start = t;
        if (high || start < 0) continue;
        if (seconds(w, start, t - 1) > floating_time)
            for (int u = start; u < t; u++) w->flag[u] = true;
        start = -1;
    }
}

// ---- from flags to stretches

static gv_status add_stretch(gv_quality *q, int first, int last, gv_doubt why, gv_error *err) {
    gv_stretch *grown = realloc(q->stretch, (size_t)(q->stretches + 1) * sizeof *grown);
    if (!grown) return gv_fail(err, GV_ERR_MEMORY, "no memory for %d stretches of frames", q->stretches + 1);
    q->stretch = grown;
    q->stretch[q->stretches++] = (gv_stretch){first, last, why};
    return GV_OK;
}

// Turns flag into stretches of one kind and clears it.
static gv_status collect(gv_quality *q, work *w, gv_doubt why, gv_error *err) {
    gv_status status = GV_OK;
    int L = w->m->frames;
    for (int t = 0; status == GV_OK && t < L; t++) {
        if (!w->flag[t]) continue;
        int first = t, last = t;
        for (int u = t + 1; u < L; u++) {
            if (w->time[u] - w->time[last] > bridge_time + 1e-9 && u > last + 1) break;
            if (w->flag[u]) last = u;
        }
        t = last;
        bool brief = last - first < 1 || seconds(w, first, last) < shortest_time;
        if (brief && why != GV_DOUBT_UNSEEN && why != GV_DOUBT_JUMP) continue;
        for (int u = first; u <= last; u++) {
            w->doubted[u] = true;
            w->unknown[u] |= why != GV_DOUBT_SLIDING;
        }
        status = add_stretch(q, first, last, why, err);
    }
    for (int t = 0; t < L; t++) w->flag[t] = false;
    return status;
}

// ---- figures over the whole motion

static void measure_seen(gv_quality *q, const gv_motion *m) {
    double sum = 0;
    int run = 0;
    for (int t = 0; t < m->frames; t++) {
        double c = confidence_at(m, t);
        sum += c;
        q->seen += c > 0;
        run = c > 0 ? 0 : run + 1;
        q->gaps += run == 1;
        if (run > q->longest_gap) q->longest_gap = run;
    }
    q->confidence = q->seen ? sum / q->seen : 0;
}

static void measure_feet(gv_quality *q, work *w) {
    int n = 0, contacts = 0;
    double sum = 0;
    for (int t = 0; t < w->m->frames; t++) {
        bool any = false;
        for (int f = 0; f < FEET; f++) {
            if (!touches(w->m, t, f)) continue;
            any = true;
            if (t + 1 == w->m->frames || !touches(w->m, t + 1, f)) continue;
            double way = distance(joint(w->m, t, gv_foot_joints[f]), joint(w->m, t + 1, gv_foot_joints[f]));
            double mm = 1000.0 / 30 * way / (w->time[t + 1] - w->time[t]);
            if (!isfinite(mm)) continue;
            w->value[n++] = (float)mm;
            sum += mm;
        }
        contacts += any;
    }
    q->contact_share = (double)contacts / w->m->frames;
    if (!n) return;
    gv_sort_floats(w->value, (size_t)n);
    q->sliding_mm = sum / n;
    q->worst_sliding_mm = w->value[(int)(0.95 * (n - 1))];
}

static void measure_jitter(gv_quality *q, work *w) {
    int L = w->m->frames, n = 0;
    if (L < 4) return;
    double fps = (L - 1) / (w->time[L - 1] - w->time[0]), sum = 0;
    gv_jitter(w->value, w->m->joints_world, L, J, fps);
    for (int t = 0; t + 3 < L; t++)
        if (isfinite(w->value[t])) sum += w->value[t], n++;
    q->jitter = n ? sum / n : 0;
}

static void measure_reprojection(gv_quality *q, const gv_motion *m, const float *px) {
    double sum = 0, share = 0;
    int n = 0;
    for (int t = 0; px && t < m->frames; t++) {
        double side = m->bbx_xys[3 * (size_t)t + 2];
        if (!isfinite(px[t]) || !(side > 0)) continue;
        sum += px[t];
        share += px[t] / side;
        n++;
    }
    q->reprojection_px = n ? sum / n : -1;
    q->reprojection_share = n ? share / n : -1;
}

// unknown: share of the frames in which the pose itself is in doubt.
static gv_verdict judge(const gv_quality *q, const gv_motion *m, double unknown) {
    double seen = (double)q->seen / m->frames;
    if (unknown > 0.4 || seen < 0.6 || q->confidence < unsure_confidence) return GV_VERDICT_POOR;
    bool good = q->distrust_share <= 0.1 && seen >= 0.95 && q->confidence >= 0.6 && q->jitter <= 40 &&
                q->sliding_mm <= 5 && q->reprojection_share <= 0.05;
    return good ? GV_VERDICT_GOOD : GV_VERDICT_FAIR;
}

static gv_status find_stretches(gv_quality *q, work *w, const float *reprojection_px, gv_error *err) {
    gv_status status = GV_OK;
    for (int why = 0; status == GV_OK && why < GV_DOUBTS; why++) {
        if (why == GV_DOUBT_UNSEEN) flag_unseen(w);
        if (why == GV_DOUBT_UNSURE) flag_unsure(w);
        if (why == GV_DOUBT_OFF_PICTURE) flag_off_picture(w, reprojection_px);
        if (why == GV_DOUBT_SLIDING) flag_sliding(w);
        if (why == GV_DOUBT_JUMP) flag_jump(w);
        if (why == GV_DOUBT_FLOATING) flag_floating(w);
        status = collect(q, w, (gv_doubt)why, err);
    }
    int doubted = 0, unknown = 0;
    for (int t = 0; t < w->m->frames; t++) doubted += w->doubted[t], unknown += w->unknown[t];
    q->distrust_share = (double)doubted / w->m->frames;
    q->verdict = judge(q, w->m, (double)unknown / w->m->frames);
    return status;
}

gv_status gv_quality_measure(gv_quality *q, const gv_motion *m, const float *reprojection_px, gv_error *err) {
    *q = (gv_quality){0};
    size_t L = (size_t)m->frames;
    work w = {.m = m,
              .time = gv_calloc2(L, sizeof *w.time),
              .flag = gv_calloc2(L, sizeof *w.flag),
              .doubted = gv_calloc2(L, sizeof *w.doubted),
              .unknown = gv_calloc2(L, sizeof *w.unknown),
              .value = gv_calloc2(L, FEET * sizeof *w.value)};
    gv_status status = GV_OK;
    if (!w.time || !w.flag || !w.doubted || !w.unknown || !w.value) {
        status = gv_fail(err, GV_ERR_MEMORY, "no memory for the quality of %d frames", m->frames);
        goto done;
    }
    fill_times(&w);
    measure_seen(q, m);
    measure_feet(q, &w);
    measure_jitter(q, &w);
    measure_reprojection(q, m, reprojection_px);
    status = find_stretches(q, &w, reprojection_px, err);
done:
    free(w.time);
    free(w.flag);
    free(w.doubted);
    free(w.unknown);
    free(w.value);
    if (status != GV_OK) gv_quality_free(q);
    return status;
}

void gv_quality_free(gv_quality *q) {
    free(q->stretch);
    *q = (gv_quality){0};
}

// ---- words

const char *gv_verdict_name(gv_verdict v) {
    static const char *const names[] = {"good", "fair", "poor"};
    return names[v];
}

const char *gv_doubt_name(gv_doubt d) {
    static const char *const names[] = {"unseen", "unsure", "off_picture", "sliding", "jump", "floating"};
    return names[d];
}

const char *gv_doubt_words(gv_doubt d) {
    static const char *const words[] = {
        "not seen: the motion there is a guess between its neighbours",
        "hardly recognised: hidden, dark, blurred or small? try --landmarks heavy, or film closer",
        "the body lies beside the picture: an unusual pose, or a wrong --focal-length?",
        "feet slide: does the person stand on something that moves? a camera that stood still needs --static-camera",
        "sudden jumps: two people taken for one, or a cut in the video?",
        "high above the ground: stairs, a climb, or somebody who is carried?",
    };
    return words[d];
}

typedef struct line {
    char *text;
    size_t bytes, used;
} line;

static void put(line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(line *l, const char *format, ...) {
    va_list ap;
    if (l->used + 1 >= l->bytes) return;
    va_start(ap, format);
    int n = vsnprintf(l->text + l->used, l->bytes - l->used, format, ap);
    va_end(ap);
    l->used += n > 0 ? (size_t)n : 0;
    if (l->used >= l->bytes) l->used = l->bytes - 1;
}

static int longer_first(const void *a, const void *b) {
    const gv_stretch *x = a, *y = b;
    int d = (y->last - y->first) - (x->last - x->first);
    return d ? d : (x->first > y->first) - (x->first < y->first);
}

static int earlier_first(const void *a, const void *b) {
    const gv_stretch *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

// "  frames 12-30, 41-44 and 3 more: words"
static void put_doubt(line *l, const gv_quality *q, const gv_motion *m, gv_doubt why) {
    gv_stretch longest[SHOWN + 1];
    int n = 0, all = 0;
    for (int i = 0; i < q->stretches; i++) {
        if (q->stretch[i].why != why) continue;
        longest[n++] = q->stretch[i];
        all++;
        qsort(longest, (size_t)n, sizeof *longest, longer_first);
        if (n > SHOWN) n = SHOWN;
    }
    if (!all) return;
    qsort(longest, (size_t)n, sizeof *longest, earlier_first);
    put(l, "\n  frames ");
    for (int i = 0; i < n; i++) {
        put(l, "%s%d", i ? ", " : "", m->frame_index[longest[i].first]);
        if (longest[i].last > longest[i].first) put(l, "-%d", m->frame_index[longest[i].last]);
    }
    if (all > n) put(l, " and %d more", all - n);
    put(l, ": %s", gv_doubt_words(why));
}

void gv_quality_describe(char *text, size_t bytes, const gv_quality *q, const gv_motion *m) {
    line l = {text, bytes, 0};
    if (bytes) *text = 0;
    put(&l, "%s: seen in ", gv_verdict_name(q->verdict));
    if (q->seen == m->frames)
        put(&l, "all %d frames", m->frames);
    else
        put(&l, "%d of %d frames", q->seen, m->frames);
    put(&l, " (confidence %.2f)", q->confidence);
    if (q->reprojection_px >= 0)
        put(&l, ", %.1f px from the keypoints (%.1f %% of the box)", q->reprojection_px, 100 * q->reprojection_share);
    if (q->contact_share > 0)
        put(&l, ", feet down in %.0f %%, sliding %.1f mm per 1/30 s", 100 * q->contact_share, q->sliding_mm);
    else
        put(&l, ", no foot ever at rest");
    put(&l, ", jitter %.0f", q->jitter);
    if (q->distrust_share > 0) put(&l, "; distrust %.0f %% of the frames", ceil(100 * q->distrust_share));
    for (int why = 0; why < GV_DOUBTS; why++) put_doubt(&l, q, m, (gv_doubt)why);
}
