// With d (3 a frame) what m is moved by, and q what all of a stretch share (the origin, and the rise of the ground
// along world x and z), a sighting says d = r + B q with information M. Eliminating d = A^-1 (b + M B q), A banded,
// leaves a problem of five unknowns. The ground's weights follow from the residuals, so a few rounds are made.
#include "pipeline/hold_to_way.h"

#include "base/memory.h"
#include "body/body.h"
#include "geometry/linalg.h"
#include "geometry/so3.h"
#include "pipeline/scene.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { J = GV_MOTION_JOINTS, BAND = 5, ROW = BAND + 1, SHARED = 5, ROUNDS = 10 };
static const double ACROSS = 0.02, ALONG = 0.2;  // m, error of what the camera sees, across and along the line of sight
static const double PIXELS = 5;                  // px, error of a body's size in the picture, by which distance is off
static const double LASTING = 0.25;              // s for which it stays the same
static const double STANDING = 0.06, FREE = 0.2; // m^2 after a second: how far the network's way along the ground
static const double HEIGHT = 0.36;               // strays, while a foot stands and not; and its height
static const double SLOPE = 0.06;                // rise over way that false gravity makes of level ground, sd
static const double GROUND = 0.02;               // m, error of a foot that stands on the ground, and
static const double ELSEWHERE = 0.03;            // from where on it rather stands on something else
static const double STANDS = 0.5;                // probability
static const double IN_THE_AIR = 0.12;           // m over the ground: as likely as not
static const double WALKING = 0.5;               // m/s
enum { PATH_REACH = 8, FOOT_REACH = 2 };         // frames to each side, of a person's way and of a foot's

typedef struct hold {
    gv_motion *m;
    const gv_camera_path *camera;
    double world[9], fps; // own world to odometry's
    double *A;            // [3 L, ROW]
    double *x;            // [1 + SHARED, 3 L] right sides, then solutions: of b, and of the columns of M B
    double *M;            // [L, 3, 3] information of the sightings
    double *r;            // [L, 3]
    double *moved;        // [L, 3]
    double slope[2];      // of the ground, rise along world x and z: the mean of all stretches by their frames,
    int held;             // of which there were so many
} hold;

static bool in_metres(const gv_camera_path *c, long f) {
    return f < c->frames &&
           (c->is_static || (c->position_metres_sd && c->stretch[f] >= 0 && c->position_metres_sd[f] > 0));
}

static bool goes_on(const gv_camera_path *c, long f, long g) {
    return in_metres(c, f) && in_metres(c, g) && (c->is_static || c->stretch[f] == c->stretch[g]);
}

static const float *joint(const hold *h, int t, int j) {
    return h->m->joints_world + 3 * ((size_t)t * J + j);
}

static double standing(const hold *h, int t, int f) {
    return (double)h->m->static_prob[GV_STATIC_JOINTS * (size_t)t + f];
}

// How far the pelvis of frame t is to be moved by what the camera saw, up to the stretch's origin, and how surely.
static void look(hold *h, int t) {
    const gv_camera_path *c = h->camera;
    const float *p = h->m->joints_incam + 3 * (size_t)t * J;
    double V[9], seen[3] = {p[0], p[1], p[2]}, odometry[3], at[3] = {0}, place[3], sight[3], *M = h->M + 9 * (size_t)t;
    for (int i = 0; i < 9; i++) V[i] = h->m->R_w2c[9 * (size_t)t + i];
    for (int i = 0; i < 3 && !c->is_static; i++) at[i] = c->position[3 * (size_t)h->m->frame_index[t] + i];
    gv_so3_apply_t(odometry, V, seen);
    gv_so3_apply_t(sight, h->world, odometry), gv_so3_apply_t(place, h->world, at);
    const double far = fmax(sqrt(gv_dot3(sight, sight)), 1e-9),
                 side = fmax((double)h->m->bbx_xys[3 * (size_t)t + 2], 1), blur = PIXELS / side * far,
                 share = 1 / (LASTING * h->fps), across = share / (ACROSS * ACROSS),
                 along = share / (ALONG * ALONG + blur * blur);
    for (int i = 0; i < 3; i++) {
        h->r[3 * (size_t)t + i] = place[i] + sight[i] - (double)joint(h, t, 0)[i];
        for (int k = 0; k < 3; k++)
            M[3 * i + k] = (i == k ? across : 0) + (along - across) * sight[i] * sight[k] / (far * far);
    }
}

// B of frame t: x, y, z move by the origin (columns 0 to 2), y also with the place (columns 3 and 4).
static void shared_columns(const hold *h, int t, const double middle[2], double B[3][SHARED]) {
    memset(B, 0, 3 * sizeof *B);
    for (int i = 0; i < 3; i++) B[i][i] = 1;
    for (int i = 0; i < 2; i++) B[1][3 + i] = (double)joint(h, t, 0)[2 * i] - middle[i];
}

static void add(hold *h, long row, long column, double k) {
    h->A[row * ROW + BAND - (row - column)] += k;
}

// Both ends of a step move alike.
static void add_step(hold *h, int first, int t) { // from t to t + 1
    double stood = 0, seconds = fmax(h->m->time_sec[t + 1] - h->m->time_sec[t], 1e-4);
    for (int f = 0; f < GV_FEET; f++) stood = fmax(stood, fmin(standing(h, t, f), standing(h, t + 1, f)));
    for (int i = 0; i < 3; i++) {
        double k = 1 / (seconds * (i == 1 ? HEIGHT : stood > STANDS ? STANDING : FREE));
        long a = 3L * (t - first) + i, b = a + 3;
        add(h, a, a, k), add(h, b, b, k), add(h, b, a, -k);
    }
}

// The lowest foot that stands is on the ground, or so much over it that it does not matter.
static void add_ground(hold *h, int first, int t, double elsewhere) {
    double low = INFINITY, sure = 0;
    for (int f = 0; f < GV_FEET; f++) {
        double height = (double)joint(h, t, gv_foot_joints[f])[1] - gv_soles_about[f];
        if (standing(h, t, f) > STANDS && height < low) low = height, sure = standing(h, t, f);
    }
    if (!(sure > 0)) return;
    const double over = (low + h->moved[3 * (size_t)t + 1]) / elsewhere,
                 k = sure / (LASTING * h->fps * GROUND * GROUND * (1 + over * over));
    long row = 3L * (t - first) + 1;
    add(h, row, row, k), h->x[row] -= k * low;
}

// One round for the frames first .. end - 1; false where it is not determined.
static bool solve(hold *h, int first, int end, const double middle[2], double elsewhere, double slope[2]) {
    const long n = 3L * (end - first);
    double H[SHARED * SHARED] = {0}, q[SHARED] = {0}, B[3][SHARED];
    memset(h->A, 0, (size_t)n * ROW * sizeof *h->A), memset(h->x, 0, (size_t)n * (1 + SHARED) * sizeof *h->x);
    for (int t = first; t < end; t++) {
        const double *M = h->M + 9 * (size_t)t, *r = h->r + 3 * (size_t)t;
        shared_columns(h, t, middle, B);
        for (int i = 0; i < 3; i++) {
            const long row = 3L * (t - first) + i;
            for (int k = 0; k <= i; k++) add(h, row, row - i + k, M[3 * i + k]);
            for (int k = 0; k < 3; k++) {
                h->x[row] += M[3 * i + k] * r[k];
                for (int c = 0; c < SHARED; c++) h->x[(1 + c) * n + row] += M[3 * i + k] * B[k][c];
            }
        }
        if (t + 1 < end) add_step(h, first, t);
        add_ground(h, first, t, elsewhere);
    }
    if (!gv_cholesky_banded(h->A, (int)n, BAND)) return false;
    for (int c = 0; c <= SHARED; c++) gv_cholesky_banded_solve(h->A, (int)n, BAND, h->x + c * n);
    for (int t = first; t < end; t++) { // of B' M (B q + r - d) = 0
        const double *M = h->M + 9 * (size_t)t, *r = h->r + 3 * (size_t)t;
        shared_columns(h, t, middle, B);
        for (int i = 0; i < 3; i++)
            for (int k = 0; k < 3; k++) {
                const long row = 3L * (t - first) + k;
                for (int a = 0; a < SHARED; a++) {
                    const double m = B[i][a] * M[3 * i + k];
                    q[a] += m * (h->x[row] - r[k]);
                    for (int b = 0; b < SHARED; b++) H[SHARED * a + b] += m * (B[k][b] - h->x[(1 + b) * n + row]);
                }
            }
    }
    for (int a = 0; a < SHARED; a++) H[(SHARED + 1) * a] += a < 3 ? 1e-6 : 1 / (SLOPE * SLOPE);
    if (!gv_cholesky(H, SHARED)) return false;
    gv_cholesky_solve(H, SHARED, q);
    for (int i = 0; i < 2; i++) slope[i] = q[3 + i];
    for (long row = 0; row < n; row++) {
        double d = h->x[row];
        for (int c = 0; c < SHARED; c++) d += q[c] * h->x[(1 + c) * n + row];
        h->moved[3L * first + row] = d;
    }
    return true;
}

static bool hold_stretch(hold *h, int first, int end) {
    double middle[2] = {0}, slope[2], elsewhere = 1;
    for (int t = first; t < end; t++) {
        look(h, t);
        for (int i = 0; i < 2; i++) middle[i] += (double)joint(h, t, 0)[2 * i] / (end - first);
    }
    for (int round = 0; round < ROUNDS; round++, elsewhere = fmax(0.6 * elsewhere, ELSEWHERE))
        if (!solve(h, first, end, middle, elsewhere, slope)) return false;
    for (int i = 0; i < 2; i++) h->slope[i] += (end - first) * slope[i];
    h->held += end - first;
    return true;
}

// Frame t has nothing to do with the one before: neither has the camera a way there, or it is another stretch.
static bool begins(const hold *h, int t) {
    const int32_t *f = h->m->frame_index;
    return t == 0 || !goes_on(h->camera, f[t - 1], f[t]);
}

// Along the ground every stretch begins where the one before it ended; heights between two stretches lie between
// theirs.
static void join_stretches(hold *h) {
    const int L = h->m->frames;
    double base[3] = {0}, *d = h->moved;
    int last = -1;
    for (int t = 0; t < L; t++) {
        const bool anew = t > 0 && begins(h, t);
        for (int i = 0; i < 3; i += 2) {
            if (anew) base[i] = d[3 * t - 3 + i] - d[3 * t + i];
            d[3 * t + i] += base[i];
        }
        if (!in_metres(h->camera, h->m->frame_index[t])) continue;
        for (int u = last + 1; u < t; u++)
            d[3 * u + 1] =
                last < 0 ? d[3 * t + 1] : d[3 * last + 1] + (d[3 * t + 1] - d[3 * last + 1]) * (u - last) / (t - last);
        last = t;
    }
    for (int u = last + 1; u < L; u++) d[3 * u + 1] = d[3 * last + 1];
}

static void move(gv_motion *m, const double *moved) {
    for (int t = 0; t < m->frames; t++)
        for (int i = 0; i < 3; i++) {
            float d = (float)moved[3 * (size_t)t + i];
            m->transl[3 * (size_t)t + i] += d;
            for (int j = 0; j < J; j++) m->joints_world[3 * ((size_t)t * J + j) + i] += d;
        }
}

// What rose was level ground: each frame's body is turned about its pelvis so that the ground's normal is up.
static void level(hold *h) {
    const double w[3] = {-h->slope[1] / h->held, 0, h->slope[0] / h->held};
    double turn[9];
    gv_so3_exp(turn, w);
    for (int t = 0; t < h->m->frames; t++) {
        float *aa = h->m->global_orient + 3 * (size_t)t, *p = h->m->joints_world + 3 * (size_t)t * J;
        double R[9], turned[9], a[3] = {aa[0], aa[1], aa[2]};
        gv_so3_exp(R, a), gv_so3_mul(turned, turn, R), gv_so3_log(a, turned);
        for (int i = 0; i < 3; i++) aa[i] = (float)a[i];
        for (int j = 1; j < J; j++) {
            const double d[3] = {(double)p[3 * j] - p[0], (double)p[3 * j + 1] - p[1], (double)p[3 * j + 2] - p[2]};
            gv_so3_apply(a, turn, d);
            for (int i = 0; i < 3; i++) p[3 * j + i] = p[i] + (float)a[i];
        }
    }
}

static double speed(const hold *h, int t, int j, int reach) { // along the ground
    const gv_motion *m = h->m;
    int a = t < reach ? 0 : t - reach, b = t + reach < m->frames ? t + reach : m->frames - 1;
    const float *p = joint(h, a, j), *q = joint(h, b, j);
    return a == b ? 0 : hypot((double)q[0] - p[0], (double)q[2] - p[2]) / (m->time_sec[b] - m->time_sec[a]);
}

// While somebody walks, a foot as fast as the body swings; and one high over the ground is in the air.
static void doubt_feet(hold *h) {
    for (int t = 0; t < h->m->frames; t++) {
        if (!in_metres(h->camera, h->m->frame_index[t])) continue;
        double own = speed(h, t, 0, PATH_REACH);
        for (int f = 0; f < GV_FEET; f++) {
            float *p = &h->m->static_prob[GV_STATIC_JOINTS * (size_t)t + f];
            double height = fmax((double)joint(h, t, gv_foot_joints[f])[1] - gv_soles_about[f], 0);
            *p *= (float)(1 / (1 + pow(height / IN_THE_AIR, 4)));
            if (own > WALKING) *p *= (float)(1 / (1 + pow(speed(h, t, gv_foot_joints[f], FOOT_REACH) / own, 8)));
        }
    }
}

gv_status gv_hold_to_way(gv_motion *m, const gv_camera_path *camera, bool alone, gv_error *err) {
    bool any = false;
    if (m->frames < 2) return GV_OK;
    for (int t = 0; t < m->frames && !any; t++) any = in_metres(camera, m->frame_index[t]);
    if (!any) return GV_OK;
    const size_t L = (size_t)m->frames;
    hold h = {.m = m, .camera = camera, .fps = m->fps > 0 ? m->fps : 30};
    gv_motion_to_odometry(h.world, m);
    h.A = gv_calloc2(L, 3 * ROW * sizeof *h.A), h.x = gv_calloc2(L, 3 * (1 + SHARED) * sizeof *h.x);
    h.M = gv_calloc2(L, 9 * sizeof *h.M), h.r = gv_calloc2(L, 3 * sizeof *h.r);
    h.moved = gv_calloc2(L, 3 * sizeof *h.moved);
    gv_status s = GV_OK;
    if (!h.A || !h.x || !h.M || !h.r || !h.moved)
        s = gv_fail(err, GV_ERR_MEMORY, "no memory for a way of %d frames", m->frames);
    for (int t = 0, end; s == GV_OK && t < m->frames; t = end) {
        for (end = t + 1; end < m->frames && !begins(&h, end); end++) {
        }
        if (in_metres(camera, m->frame_index[t]) && !hold_stretch(&h, t, end))
            s = gv_fail(err, GV_ERR_INTERNAL, "a way of %d frames is not determined", end - t);
    }
    if (s == GV_OK) {
        join_stretches(&h);
        move(m, h.moved);
        if (alone) level(&h);
        doubt_feet(&h);
    }
    free(h.A), free(h.x), free(h.M), free(h.r), free(h.moved);
    return s;
}
