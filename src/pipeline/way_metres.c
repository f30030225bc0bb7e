#include "pipeline/way_metres.h"

#include "base/memory.h"
#include "geometry/linalg.h"
#include "geometry/so3.h"
#include "pipeline/scene.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { J = GV_MOTION_JOINTS, FEET = 4 };
static const int foot[FEET] = {7, 10, 8, 11};
static const double sole[FEET] = {0.08, 0.02, 0.08, 0.02}; // m, about, of ankles and balls over the ground
static const double FARTHEST = 1.0;                        // |log| of a point's distance over the feet's that is used
static const double LOOSE = 0.5;       // error of a ratio's logarithm by wrong gravity and uneven ground, per FARTHEST
static const double NOISE = 0.15;      // and of any
static const double KERNEL = 0.12;     // width in which ratios agree
static const double STATURE_SD = 0.05; // what all of them are wrong by
enum { MOST = 500000 };                // ratios that are looked at
static const int LEAST_PICTURES = 8;   // keyframes, and the share of the ratios, that agree
static const double LEAST_SHARE = 0.35;
static const double SURE = 0.2; // largest relative error of a unit that is used

// A camera that stands has a way of its own: none.
static bool in_metres(const gv_camera_path *c, long f) {
    return f < c->frames &&
           (c->is_static || (c->position_metres_sd && c->stretch[f] >= 0 && c->position_metres_sd[f] > 0));
}

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

// Where the camera stood, in m's own world but for the stretch's origin.
static void camera_at(const witness *w, const gv_camera_path *c, long f, double out[3]) {
    double at[3] = {0};
    for (int i = 0; i < 3 && !c->is_static; i++) at[i] = c->position[3 * f + i];
    gv_so3_apply_t(out, w->world, at);
}

// The pelvis of frame t as seen from there, same axes.
static void seen_from(const witness *w, int t, double out[3]) {
    const float *p = w->m->joints_incam + 3 * (size_t)t * J;
    double V[9], x[3] = {p[0], p[1], p[2]}, odometry[3];
    for (int i = 0; i < 9; i++) V[i] = w->m->R_w2c[9 * (size_t)t + i];
    gv_so3_apply_t(odometry, V, x);
    gv_so3_apply_t(out, w->world, odometry);
}

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
    for (int f = 0; f < FEET; f++) {
        const float *q = w->m->joints_incam + 3 * ((size_t)t * J + foot[f]);
        double x[3] = {q[0], q[1], q[2]}, height = gv_dot3(up, x) - sole[f];
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

// --- people held to it ---------------------------------------------------------------------------------

enum { BAND = 3, ROW = BAND + 1 };
static const double ACROSS = 0.04,
                    ALONG = 0.15;        // m, error of what the camera sees, across and along the line of sight,
static const double PIXELS = 4;          // px, error of a body's size in the picture, by which its distance is wrong
static const double LASTING = 0.25;      // s for which it stays the same
static const double DRIFT = 0.06;        // m after a second, squared: how far the network's way strays
enum { PATH_REACH = 8, FOOT_REACH = 2 }; // frames to each side, of a person's way and of a foot's
static const double WALKING = 0.5;       // m/s

typedef struct hold {
    witness w;
    const gv_camera_path *camera;
    double *A, *b; // [2 L, ROW], [2 L]: by how much m is to be moved along the ground, x and z in turn
} hold;

// Where the camera saw the pelvis of frame t, in m's own world but for the stretch's origin, and in which direction.
static void seen_place(const hold *h, int t, double place[3], double sight[3]) {
    camera_at(&h->w, h->camera, h->w.m->frame_index[t], place);
    seen_from(&h->w, t, sight);
    for (int i = 0; i < 3; i++) place[i] += sight[i];
}

static void add(hold *h, long row, long column, double k) {
    h->A[row * ROW + BAND - (row - column)] += k;
}

// The place that the camera saw, less where m is: how far it is to be moved, up to the stretch's origin.
static void add_sighting(hold *h, int t, const double origin[3], double fps) {
    double place[3], sight[3], M[2][2], d[2], r[2];
    seen_place(h, t, place, sight);
    double side = fmax((double)h->w.m->bbx_xys[3 * (size_t)t + 2], 1),
           blur = PIXELS / side * sqrt(gv_dot3(sight, sight)), across = 1 / (ACROSS * ACROSS),
           along = 1 / (ALONG * ALONG + blur * blur);
    double length = hypot(sight[0], sight[2]), share = 1 / (LASTING * fps);
    d[0] = sight[0] / fmax(length, 1e-9), d[1] = sight[2] / fmax(length, 1e-9);
    for (int i = 0; i < 2; i++) {
        r[i] = place[2 * i] - origin[2 * i] - (double)h->w.m->joints_world[3 * (size_t)t * J + 2 * i];
        for (int k = 0; k < 2; k++) M[i][k] = share * ((i == k ? across : 0) + (along - across) * d[i] * d[k]);
    }
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k <= i; k++) add(h, 2 * (long)t + i, 2 * (long)t + k, M[i][k]);
        h->b[2 * t + i] += M[i][0] * r[0] + M[i][1] * r[1];
    }
}

static void add_step(hold *h, int t) { // from t to t + 1
    double seconds = h->w.m->time_sec[t + 1] - h->w.m->time_sec[t], k = 1 / (DRIFT * fmax(seconds, 1e-4));
    for (long i = 0; i < 2; i++) {
        long a = 2 * (long)t + i, b = a + 2;
        add(h, a, a, k), add(h, b, b, k), add(h, b, a, -k);
    }
}

// Where a stretch begins nothing is to be moved.
static void add_stretch(hold *h, int first, int end, double fps) {
    double place[3], sight[3], origin[3];
    seen_place(h, first, place, sight);
    for (int i = 0; i < 3; i++) origin[i] = place[i] - (double)h->w.m->joints_world[3 * (size_t)first * J + i];
    for (int t = first; t < end; t++) add_sighting(h, t, origin, fps);
}

static bool goes_on(const gv_camera_path *c, long f, long g) {
    return in_metres(c, f) && in_metres(c, g) && (c->is_static || c->stretch[f] == c->stretch[g]);
}

// Frame t has nothing to do with the one before: neither has the camera a way there, or it is another stretch.
static bool begins(const hold *h, int t) {
    const int32_t *f = h->w.m->frame_index;
    return t == 0 || !goes_on(h->camera, f[t - 1], f[t]);
}

// Every stretch begins where the one before it ended.
static void join_stretches(const hold *h) {
    double base[2] = {0};
    for (int t = 1; t < h->w.m->frames; t++) {
        const bool anew = begins(h, t);
        for (int i = 0; i < 2; i++) {
            if (anew) base[i] = h->b[2 * t - 2 + i] - h->b[2 * t + i];
            h->b[2 * t + i] += base[i];
        }
    }
}

static void move_along_ground(gv_motion *m, const double *moved) {
    for (int t = 0; t < m->frames; t++)
        for (int i = 0; i < 3; i += 2) {
            float d = (float)moved[2 * t + i / 2];
            m->transl[3 * (size_t)t + i] += d;
            for (int j = 0; j < J; j++) m->joints_world[3 * ((size_t)t * J + j) + i] += d;
        }
}

static double foot_speed(const gv_motion *m, int t, int f) {
    int a = t < FOOT_REACH ? 0 : t - FOOT_REACH, b = t + FOOT_REACH < m->frames ? t + FOOT_REACH : m->frames - 1;
    const float *p = m->joints_world + 3 * ((size_t)a * J + foot[f]),
                *q = m->joints_world + 3 * ((size_t)b * J + foot[f]);
    return a == b ? 0 : hypot((double)q[0] - p[0], (double)q[2] - p[2]) / (m->time_sec[b] - m->time_sec[a]);
}

static double own_speed(const gv_motion *m, int t) {
    int a = t < PATH_REACH ? 0 : t - PATH_REACH, b = t + PATH_REACH < m->frames ? t + PATH_REACH : m->frames - 1;
    const float *p = m->joints_world + 3 * (size_t)a * J, *q = m->joints_world + 3 * (size_t)b * J;
    return hypot((double)q[0] - p[0], (double)q[2] - p[2]) / (m->time_sec[b] - m->time_sec[a]);
}

// While somebody walks, a foot as fast as the body swings: it does not stand.
static void doubt_feet(gv_motion *m, const gv_camera_path *c) {
    for (int t = 0; t < m->frames; t++) {
        double speed = own_speed(m, t);
        if (!in_metres(c, m->frame_index[t]) || !(speed > WALKING)) continue;
        for (int f = 0; f < FEET; f++)
            m->static_prob[GV_STATIC_JOINTS * (size_t)t + f] *= (float)(1 / (1 + pow(foot_speed(m, t, f) / speed, 8)));
    }
}

gv_status gv_hold_to_way(gv_motion *m, const gv_camera_path *camera, gv_error *err) {
    bool any = false;
    if (m->frames < 2) return GV_OK;
    for (int t = 0; t < m->frames && !any; t++) any = in_metres(camera, m->frame_index[t]);
    if (!any) return GV_OK;
    hold h = {.w = {.m = m}, .camera = camera};
    gv_motion_to_odometry(h.w.world, m);
    h.A = gv_calloc2((size_t)m->frames, 2 * ROW * sizeof *h.A), h.b = gv_calloc2((size_t)m->frames, 2 * sizeof *h.b);
    gv_status s = GV_OK;
    if (!h.A || !h.b) {
        s = gv_fail(err, GV_ERR_MEMORY, "no memory for a way of %d frames", m->frames);
        goto done;
    }
    for (int t = 0; t + 1 < m->frames; t++)
        if (!begins(&h, t + 1)) add_step(&h, t);
    for (int t = 0; t < 2 * m->frames; t++) h.A[(long)t * ROW + BAND] += 1e-9;
    for (int t = 0, end; t < m->frames; t = end) {
        for (end = t + 1; end < m->frames && !begins(&h, end); end++) {
        }
        if (in_metres(camera, m->frame_index[t])) add_stretch(&h, t, end, m->fps > 0 ? m->fps : 30);
    }
    if (gv_cholesky_banded(h.A, 2 * m->frames, BAND)) {
        gv_cholesky_banded_solve(h.A, 2 * m->frames, BAND, h.b);
        join_stretches(&h);
        move_along_ground(m, h.b);
        doubt_feet(m, camera);
    } else {
        s = gv_fail(err, GV_ERR_INTERNAL, "a way of %d frames is not determined", m->frames);
    }
done:
    free(h.A), free(h.b);
    return s;
}
