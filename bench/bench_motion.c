// What the motions of a run's folder look like, judged without knowing the truth:
//
//     bench_motion DIR...
//
// For each person: foot sliding and jitter (src/evaluation/quality.h); the fastest moments of the wrists in the picture
// beside those that were seen there, over two frames and over a tenth of a second; how fast the person goes over the
// ground; how high standing soles are. Then pairs of people who walk together: how far they are from each other, and
// how much that changes.
#include "base/memory.h"
#include "base/order.h"
#include "base/progress.h"
#include "evaluation/quality.h"
#include "pipeline/judge.h"
#include "pipeline/settle_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 256, J = GV_MOTION_JOINTS, LEFT_WRIST = 9 };

typedef struct list {
    double *value;
    int count, room;
} list;

static void add(list *l, double value) {
    if (!isfinite(value)) return;
    if (l->count == l->room) {
        l->room = l->room ? 2 * l->room : 256;
        l->value = realloc(l->value, (size_t)l->room * sizeof *l->value);
        if (!l->value) exit(1);
    }
    l->value[l->count++] = value;
}

static double share(const list *l, double part) { // of a sorted list
    return l->count ? l->value[(int)(part * (l->count - 1) + 0.5)] : NAN;
}

static void sort(list *l) {
    if (l->count) gv_sort_doubles(l->value, (size_t)l->count);
}

static double fastest(list *l) { // mean of the fastest fiftieth
    sort(l);
    int n = l->count / 50 + 1;
    double sum = 0;
    for (int i = l->count - n; i >= 0 && i < l->count; i++) sum += l->value[i];
    return l->count >= n ? sum / n : NAN;
}

static double flat(const float *a, const float *b) {
    return hypot((double)a[0] - b[0], (double)a[2] - b[2]);
}

enum { SPANS = 2 };
static const double least_span[SPANS] = {0, 0.1}; // s: two frames, or a tenth of a second if that is more

// Ways of both wrists over each span, px per second: observed, and those of the body.
static void wrists(list seen[SPANS], list has[SPANS], const gv_motion *m, const gv_body *body) {
    gv_points *points = gv_points_create(body, body->coco17, GV_COCO17);
    float(*at)[2][2] = gv_calloc2((size_t)m->frames, sizeof *at);
    if (!points || !at) exit(1);
    for (size_t t = 0; t < (size_t)m->frames; t++) {
        float p[3 * GV_COCO17];
        const float *K = m->K + 9 * t;
        gv_points_pose(points, m->betas, m->body_pose + 63 * t, m->global_orient_incam + 3 * t, m->transl_incam + 3 * t,
                       p, NULL);
        for (int w = 0; w < 2; w++) {
            const float *x = p + 3 * (LEFT_WRIST + w);
            at[t][w][0] = K[0] * x[0] / x[2] + K[2];
            at[t][w][1] = K[4] * x[1] / x[2] + K[5];
        }
    }
    for (int s = 0; s < SPANS; s++)
        for (int t = 0; t < 2 * m->frames; t++) {
            const int w = t % 2, from = t / 2;
            int to = from + 2, sure = 0;
            while (to < m->frames && m->time_sec[to] - m->time_sec[from] < least_span[s] - 0.005) to++;
            if (to >= m->frames) continue;
            const float *kp = m->kp2d + 3 * (17 * (ptrdiff_t)from + LEFT_WRIST + w), *end = kp + 51 * (to - from);
            for (int k = 0; k <= to - from; k++) sure += kp[51 * k + 2] > 0.5f;
            if (sure <= to - from) continue;
            const double dt = m->time_sec[to] - m->time_sec[from];
            add(&seen[s], hypot((double)end[0] - kp[0], (double)end[1] - kp[1]) / dt);
            const float *a = at[from][w], *b = at[to][w];
            add(&has[s], hypot((double)b[0] - a[0], (double)b[1] - a[1]) / dt);
        }
    gv_points_destroy(points);
    free(at);
}

// Of the pelvis along the ground, over half a second, m/s.
static void speeds(list *out, const gv_motion *m) {
    for (int t = 0, u = 0; t < m->frames; t++) {
        while (u < m->frames && m->time_sec[u] < m->time_sec[t] + 0.5 - 1e-6) u++;
        if (u == m->frames) break;
        add(out, flat(m->joints_world + 3 * J * (ptrdiff_t)t, m->joints_world + 3 * J * (ptrdiff_t)u) /
                     (m->time_sec[u] - m->time_sec[t]));
    }
}

static void soles(list *out, const gv_motion *m, const gv_body *body) {
    double sole[GV_FEET];
    if (gv_sole_heights(sole, body, m->betas, NULL) != GV_OK) exit(1);
    for (int t = 0; t < m->frames; t++)
        for (int f = 0; f < GV_FEET; f++)
            if ((double)m->static_prob[GV_STATIC_JOINTS * (ptrdiff_t)t + f] > gv_contact_probability)
                add(out, 1000 * (m->joints_world[3 * (J * (ptrdiff_t)t + gv_foot_joints[f]) + 1] - sole[f]));
}

static void person(int number, const gv_motion *m, const gv_body *body) {
    gv_quality q;
    list seen[SPANS] = {0}, has[SPANS] = {0}, speed = {0}, height = {0};
    double wanted[SPANS];
    if (gv_judge(&q, m, body, NULL) != GV_OK) exit(1);
    wrists(seen, has, m, body);
    speeds(&speed, m);
    soles(&height, m, body);
    sort(&speed);
    sort(&height);
    for (int s = 0; s < SPANS; s++) wanted[s] = fastest(&seen[s]);
    printf("%6d %6d %4.0f%% | %5.2f %5.2f %4.0f%% %6.2f %6.2f%% | %6.0f %4.0f%% %4.0f%% | %5.2f %5.2f %5.2f | %5.0f "
           "%5.0f %5.0f\n",
           number, m->frames, 100.0 * q.seen / m->frames, q.sliding_mm, q.worst_sliding_mm, 100 * q.contact_share,
           q.jitter, 100 * q.reprojection_share, wanted[0], 100 * fastest(&has[0]) / wanted[0],
           100 * fastest(&has[1]) / wanted[1], share(&speed, 0.5), share(&speed, 0.95), share(&speed, 1),
           share(&height, 0.02), share(&height, 0.5), share(&height, 0.98));
    for (int s = 0; s < SPANS; s++) free(seen[s].value), free(has[s].value);
    free(speed.value);
    free(height.value);
    gv_quality_free(&q);
}

// Two people, at most 2 m apart most of the time for 3 s, who both go at least 2 m.
static void pair(int i, int k, const gv_motion *a, const gv_motion *b) {
    list apart = {0}, change = {0};
    const float *first[2] = {NULL, NULL}, *last[2] = {NULL, NULL};
    double from = 0, to = 0;
    for (int t = 0, u = 0; t < a->frames; t++) {
        while (u < b->frames && b->frame_index[u] < a->frame_index[t]) u++;
        if (u == b->frames || b->frame_index[u] != a->frame_index[t]) continue;
        last[0] = a->joints_world + 3 * J * (ptrdiff_t)t, last[1] = b->joints_world + 3 * J * (ptrdiff_t)u;
        if (!first[0]) first[0] = last[0], first[1] = last[1], from = a->time_sec[t];
        to = a->time_sec[t];
        add(&apart, flat(last[0], last[1]));
    }
    sort(&apart);
    if (apart.count && to - from >= 3 && share(&apart, 0.8) < 2 && flat(first[0], last[0]) > 2 &&
        flat(first[1], last[1]) > 2)
        printf(
            "%6d and %2d together for %4.1f s, %5.2f and %5.2f m of way: apart %.2f m in the median, %.2f to %.2f in "
            "nine of ten frames\n",
            i, k, to - from, flat(first[0], last[0]), flat(first[1], last[1]), share(&apart, 0.5), share(&apart, 0.05),
            share(&apart, 0.95));
    free(apart.value);
    free(change.value);
}

int main(int argc, char **argv) {
    if (argc < 2) return fprintf(stderr, "usage: bench_motion DIR...\n"), 2;
    gv_error err = {0};
    gv_body *body = NULL;
    if (gv_body_open(&body, NULL, &err)) return fprintf(stderr, "%s\n", err.text), 1;
    static gv_motion m[MOST];
    for (int d = 1; d < argc; d++) {
        int n = 0;
        for (char path[4096]; n < MOST; n++) {
            snprintf(path, sizeof path, "%s/person-%d.npz", argv[d], n + 1);
            if (access(path, R_OK) != 0) break;
            if (gv_motion_load(&m[n], path, &err)) return fprintf(stderr, "%s\n", err.text), 1;
        }
        printf("%s\n%6s %6s %5s | %5s %5s %5s %6s %7s | %12s %5s | %17s | %17s\n%6s %6s %5s | %11s %5s %6s %7s | %18s "
               "| %17s "
               "| %17s\n",
               argv[d], "person", "frames", "seen", "slide", "95%", "stand", "jitter", "off", "wrists", "body", "going",
               "soles", "", "", "", "mm a frame", "", "m/s^3", "of box", "px/s  kept 0.1 s", "m/s  50 95 100%",
               "mm   2 50 98%");
        for (int i = 0; i < n; i++) person(i + 1, &m[i], body);
        for (int i = 0; i < n; i++)
            for (int k = i + 1; k < n; k++) pair(i + 1, k + 1, &m[i], &m[k]);
        for (int i = 0; i < n; i++) gv_motion_free(&m[i]);
    }
    gv_body_close(body);
    return 0;
}
