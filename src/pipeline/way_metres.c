#include "pipeline/way_metres.h"

#include "base/memory.h"
#include "body/body.h"
#include "geometry/linalg.h"
#include "geometry/so3.h"
#include "pipeline/scene.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { J = GV_MOTION_JOINTS };
static const double FARTHEST = 1.0;    // |log| of a point's distance over the feet's that is used
static const double LOOSE = 0.5;       // error of a ratio's logarithm by wrong gravity and uneven ground, per FARTHEST
static const double NOISE = 0.15;      // and of any
static const double KERNEL = 0.12;     // width in which ratios agree
static const double STATURE_SD = 0.05; // what all of them are wrong by
enum { MOST = 500000 };                // ratios that are looked at
static const int LEAST_PICTURES = 8;   // keyframes, and the share of the ratios, that agree
static const double LEAST_SHARE = 0.35;
static const double SURE = 0.2; // largest relative error of a unit that is used

// --- units by the ground ---------------------------------------------------------------------------------------------

typedef struct ratio { // metres per unit of the way, logarithm
    double value, weight;
    int32_t frame, stretch;
    bool agrees;
} ratio;

typedef struct witness { // somebody's ground as the camera sees it
    const gv_motion *m;
    double world[9]; // own world to odometry's
} witness;

// The index of video frame f in m; -1 where m has none. Frames are consecutive.
static int frame_of(const gv_motion *m, int32_t f) {
    long t = (long)f - m->frame_index[0];
    return t >= 0 && t < m->frames ? (int)t : -1;
}

// Metres along the camera's axis to the ground under m's feet in the direction (x, y, 1), over the unit's; false where
// the line of sight does not meet it near the feet.
static bool compare(ratio *out, const witness *w, const gv_ground_point *p) {
    int t = frame_of(w->m, p->frame);
    if (t < 0) return false;
    double V[9], up[3], y[3] = {w->world[1], w->world[4], w->world[7]}, ground = INFINITY, feet = 0;
    for (int i = 0; i < 9; i++) V[i] = w->m->R_w2c[9 * (size_t)t + i];
    gv_so3_apply(up, V, y);
    for (int f = 0; f < GV_FEET; f++) {
        const float *q = w->m->joints_incam + 3 * ((size_t)t * J + gv_foot_joints[f]);
        double x[3] = {q[0], q[1], q[2]}, height = gv_dot3(up, x) - gv_soles_about[f];
        if (height < ground) ground = height, feet = x[2];
    }
    const double sight[3] = {p->x, p->y, 1};
    double depth = ground / gv_dot3(up, sight), apart = log(depth / feet);
    if (!(depth > 0) || !(feet > 0) || !(fabs(apart) < FARTHEST)) return false;
    double sd = hypot(NOISE, LOOSE * apart);
    *out = (ratio){.value = log(depth / (double)p->depth), .weight = 1 / (sd * sd), .frame = p->frame};
    return isfinite(out->value);
}

static int by_stretch(const void *a, const void *b) {
    const ratio *p = a, *q = b;
    if (p->stretch != q->stretch) return (p->stretch > q->stretch) - (p->stretch < q->stretch);
    return p->value != q->value ? (p->value > q->value) - (p->value < q->value) : p->frame - q->frame;
}

static int by_frame(const void *a, const void *b) {
    const ratio *p = a, *q = b;
    return p->frame != q->frame ? p->frame - q->frame : q->agrees - p->agrees;
}

// How much of the n ratios (ascending) lies around `at`. *first: of those that may, moved on; `at` must ascend, too.
static double agreement(const ratio *r, long n, double at, long *first) {
    double sum = 0;
    while (*first < n && r[*first].value < at - 4 * KERNEL) ++*first;
    for (long i = *first; i < n && r[i].value < at + 4 * KERNEL; i++) {
        double d = (r[i].value - at) / KERNEL;
        sum += r[i].weight * exp(-0.5 * d * d);
    }
    return sum;
}

// What most of n ratios (ascending) agree on; its error, 0 where they do not agree.
static double mode_of(ratio *r, long n, double *sd) {
    double best = 0, at = 0, near = 0, all = 0;
    long first = 0;
    int pictures = 0;
    *sd = 0;
    if (n < LEAST_PICTURES) return 0;
    for (double v = r[0].value; v <= r[n - 1].value; v += KERNEL / 4) {
        double a = agreement(r, n, v, &first);
        if (a > best) best = a, at = v;
    }
    for (int round = 0; round < 10; round++) { // to the top
        double top = 0, bottom = 0;
        for (long i = 0; i < n; i++) {
            double d = (r[i].value - at) / KERNEL, k = r[i].weight * exp(-0.5 * d * d);
            top += k * r[i].value, bottom += k;
        }
        at = top / bottom;
    }
    for (long i = 0; i < n; i++) {
        r[i].agrees = fabs(r[i].value - at) < 2 * KERNEL;
        all += r[i].weight, near += r[i].agrees ? r[i].weight : 0;
    }
    qsort(r, (size_t)n, sizeof *r, by_frame);
    for (long i = 0; i < n; i++) pictures += r[i].agrees && (i == 0 || r[i].frame != r[i - 1].frame);
    if (pictures < LEAST_PICTURES || !(near > LEAST_SHARE * all)) return 0;
    *sd = hypot(STATURE_SD, NOISE / sqrt(pictures / 6. + 1));
    return at;
}

static void apply_unit(gv_camera_path *c, int32_t stretch, double log_unit, double sd) {
    float unit = (float)exp(log_unit);
    for (long f = 0; f < c->frames; f++) {
        if (c->stretch[f] != stretch) continue;
        for (int i = 0; i < 3; i++) c->position[3 * f + i] *= unit;
        c->position_metres_sd[f] = (float)sd;
    }
    for (long i = 0; i < c->ground_count; i++)
        if (c->stretch[c->ground[i].frame] == stretch) c->ground[i].depth *= unit;
}

gv_status gv_way_to_metres(gv_camera_path *c, const gv_motion *motions, int people, gv_error *err) {
    if (!c->position || !c->ground_count || people < 1) return GV_OK;
    const long every = 1 + c->ground_count / (MOST / people + 1); // of the points, where they are very many
    ratio *r = gv_calloc2((size_t)(c->ground_count / every + 1), (size_t)people * sizeof *r);
    witness *w = gv_calloc2((size_t)people, sizeof *w);
    gv_status s = GV_OK;
    long n = 0;
    if (!r || !w) s = gv_fail(err, GV_ERR_MEMORY, "no memory for %ld points of the ground", c->ground_count);
    for (int k = 0; s == GV_OK && k < people; k++) {
        w[k].m = &motions[k];
        gv_motion_to_odometry(w[k].world, w[k].m);
        for (long i = 0; i < c->ground_count; i += every) {
            int32_t stretch = c->stretch[c->ground[i].frame];
            if (stretch >= 0 && compare(&r[n], &w[k], &c->ground[i])) r[n++].stretch = stretch;
        }
    }
    if (s == GV_OK) qsort(r, (size_t)n, sizeof *r, by_stretch);
    for (long i = 0, end; s == GV_OK && i < n; i = end) {
        double sd;
        for (end = i; end < n && r[end].stretch == r[i].stretch;) end++;
        double unit = mode_of(r + i, end - i, &sd);
        if (sd > 0 && sd < SURE) apply_unit(c, r[i].stretch, unit, sd);
    }
    free(r), free(w);
    return s;
}
