#include "pipeline/camera_way.h"

#include "base/memory.h"
#include "geometry/linalg.h"
#include "geometry/so3.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BAND = 5, ROW = BAND + 1, LAG = 30, LEAST_PAIRS = 15, ROUNDS = 8 };
static const double ACROSS = 0.04, ALONG = 0.2; // m, error of what one person says across and along the line of sight
static const double LASTING = 15;               // frames for which such an error stays the same
static const double STEP_SHARE = 0.05, STEP_FLOOR = 0.001; // error of the picture's step: share; m
static const double LEAP = 0.05;      // m, a step of which the picture says nothing, where it leaves its stretch
static const double PEOPLE_SD = 0.05; // what people's steps are wrong by as a whole, relative
static const double SURE = 0.2;       // largest relative error of a unit that is used

gv_status gv_place_votes_alloc(gv_place_votes *v, long frames, gv_error *err) {
    size_t n = (size_t)frames;
    *v = (gv_place_votes){.information = gv_calloc2(n, 9 * sizeof(double)),
                          .weighted = gv_calloc2(n, 3 * sizeof(double)),
                          .count = gv_calloc2(n, sizeof(int))};
    if (v->information && v->weighted && v->count) return GV_OK;
    gv_place_votes_free(v);
    return gv_fail(err, GV_ERR_MEMORY, "no memory for the camera's places in %ld frames", frames);
}

void gv_place_votes_free(gv_place_votes *v) {
    free(v->information), free(v->weighted), free(v->count);
    *v = (gv_place_votes){0};
}

void gv_place_votes_add(gv_place_votes *v, long frame, const double place[3], const double sight[3]) {
    double d[3] = {sight[0], sight[1], sight[2]}, across = 1 / (ACROSS * ACROSS), along = 1 / (ALONG * ALONG);
    gv_normalise3(d);
    double dp = gv_dot3(d, place);
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++)
            v->information[9 * frame + 3 * i + k] += (i == k ? across : 0) + (along - across) * d[i] * d[k];
        v->weighted[3 * frame + i] += across * place[i] + (along - across) * d[i] * dp;
    }
    v->count[frame]++;
}

void gv_camera_way_free(gv_camera_way *way) {
    free(way->place), free(way->known);
    *way = (gv_camera_way){0};
}

typedef struct work {
    const gv_camera_path *camera;
    const gv_place_votes *votes;
    double *went; // [frames, 3] the picture's places in the common world, unit of the stretch
    double *said; // [frames, 3] mean of the people's
    double *unit; // [frames] m, of the stretch; 0: not known
    double *A;    // [3 frames, ROW]
    double *rhs;  // [3 frames]
} work;

// --- units ---------------------------------------------------------------------------------------------

typedef struct sums {
    double top, bottom, energy, weight;
    int pairs;
} sums;

// Frames f and g of one stretch: what both say about the way between them.
static void add_pair(sums *s, const work *w, long f, long g, double unit, bool first) {
    const double *H = w->votes->information + 9 * f;
    double people[3], picture[3], e[3], Hp[3], He[3];
    for (int i = 0; i < 3; i++) {
        people[i] = w->said[3 * g + i] - w->said[3 * f + i], picture[i] = w->went[3 * g + i] - w->went[3 * f + i];
        e[i] = people[i] - unit * picture[i];
    }
    gv_so3_apply(Hp, H, picture), gv_so3_apply(He, H, e); // of any matrix
    double r2 = gv_dot3(e, He), k = first ? 1 : 1 / (1 + r2 / 18);
    s->top += k * gv_dot3(Hp, people), s->bottom += k * gv_dot3(Hp, picture);
    s->energy += k * r2, s->weight += k, s->pairs++;
}

// The unit of frames first .. end - 1; 0 where people do not tell it surely. *sd: relative.
static double unit_of(const work *w, long first, long end, double *sd) {
    long lag = (end - first) / 3 < LAG ? (end - first) / 3 : LAG;
    double unit = 0;
    sums s = {0};
    if (lag < 3) return 0;
    for (int round = 0; round < ROUNDS; round++) {
        s = (sums){0};
        for (long f = first; f + lag < end; f++)
            if (w->votes->count[f] && w->votes->count[f + lag]) add_pair(&s, w, f, f + lag, unit, round == 0);
        if (s.pairs < LEAST_PAIRS || !(s.bottom > 0)) return 0;
        unit = s.top / s.bottom;
    }
    double scatter = fmax(1, s.energy / s.weight); // overlapping pairs within a lag are one
    *sd = hypot(sqrt(scatter * (double)lag / s.bottom) / fabs(unit), PEOPLE_SD);
    return unit > 0 && *sd < SURE ? unit : 0;
}

static void find_units(work *w, gv_camera_way *way) {
    const int32_t *stretch = w->camera->stretch;
    long n = w->camera->frames;
    for (long f = 0, end; f < n; f = end) {
        double sd = 0;
        for (end = f + 1; end < n && stretch[end] == stretch[f]; end++) {
        }
        double unit = stretch[f] >= 0 ? unit_of(w, f, end, &sd) : 0;
        if (!(unit > 0) && stretch[f] >= 0 && w->camera->position_metres_sd && w->camera->position_metres_sd[f] > 0)
            unit = 1, sd = (double)w->camera->position_metres_sd[f];
        for (long g = f; g < end; g++) w->unit[g] = unit, way->known[g] = unit > 0;
        if (unit > 0) way->any = true, way->unit_sd = fmax(way->unit_sd, sd);
    }
}

// --- the way -------------------------------------------------------------------------------------------

static void add_block(work *w, long a, long b, const double M[9]) { // a >= b
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++) {
            long row = 3 * a + i, column = 3 * b + k;
            if (column <= row) w->A[row * ROW + BAND - (row - column)] += M[3 * i + k];
        }
}

static void add_step(work *w, long f, const double step[3], double sd) {
    double k = 1 / (sd * sd), M[9] = {k, 0, 0, 0, k, 0, 0, 0, k}, N[9] = {-k, 0, 0, 0, -k, 0, 0, 0, -k};
    add_block(w, f, f, M), add_block(w, f + 1, f + 1, M), add_block(w, f + 1, f, N);
    for (int i = 0; i < 3; i++) w->rhs[3 * f + i] -= k * step[i], w->rhs[3 * f + 3 + i] += k * step[i];
}

static gv_status weigh(work *w, gv_camera_way *way, gv_error *err) {
    long n = w->camera->frames;
    for (long f = 0; f < n; f++) {
        double M[9];
        for (int i = 0; i < 9; i++) M[i] = w->votes->information[9 * f + i] / LASTING + (i % 4 ? 0 : 1e-9);
        add_block(w, f, f, M);
        for (int i = 0; i < 3; i++) w->rhs[3 * f + i] += w->votes->weighted[3 * f + i] / LASTING;
        if (f + 1 == n) break;
        double step[3] = {0}, length;
        bool one = w->unit[f] > 0 && w->camera->stretch[f] == w->camera->stretch[f + 1];
        for (int i = 0; one && i < 3; i++) step[i] = w->unit[f] * (w->went[3 * f + 3 + i] - w->went[3 * f + i]);
        length = sqrt(gv_dot3(step, step));
        add_step(w, f, step, one ? STEP_FLOOR + STEP_SHARE * length : LEAP);
    }
    if (!gv_cholesky_banded(w->A, 3 * (int)n, BAND))
        return gv_fail(err, GV_ERR_INTERNAL, "the camera's way over %ld frames is not determined", n);
    gv_cholesky_banded_solve(w->A, 3 * (int)n, BAND, w->rhs);
    memcpy(way->place, w->rhs, (size_t)n * 3 * sizeof *way->place);
    return GV_OK;
}

static void prepare(work *w, const float A[9]) {
    double B[9], inverse[9];
    for (int i = 0; i < 9; i++) B[i] = A[i];
    for (long f = 0; f < w->camera->frames; f++) {
        double p[3];
        for (int i = 0; i < 3; i++) p[i] = w->camera->position[3 * f + i];
        gv_so3_apply_t(w->went + 3 * f, B, p);
        if (w->votes->count[f] && gv_inverse_sym3(inverse, w->votes->information + 9 * f))
            gv_so3_apply(w->said + 3 * f, inverse, w->votes->weighted + 3 * f);
    }
}

gv_status gv_camera_way_find(gv_camera_way *way, const gv_camera_path *camera, const float A[9],
                             const gv_place_votes *votes, gv_error *err) {
    *way = (gv_camera_way){0};
    if (!camera->position) return GV_OK;
    size_t n = (size_t)camera->frames;
    work w = {.camera = camera, .votes = votes};
    w.went = gv_calloc2(n, 3 * sizeof(double)), w.said = gv_calloc2(n, 3 * sizeof(double));
    w.unit = gv_calloc2(n, sizeof(double)), w.A = gv_calloc2(n, 3 * ROW * sizeof(double));
    w.rhs = gv_calloc2(n, 3 * sizeof(double));
    way->place = gv_calloc2(n, 3 * sizeof(double)), way->known = gv_calloc2(n, sizeof(bool));
    gv_status s = GV_OK;
    if (!w.went || !w.said || !w.unit || !w.A || !w.rhs || !way->place || !way->known)
        s = gv_fail(err, GV_ERR_MEMORY, "no memory for the camera's way over %d frames", camera->frames);
    if (s == GV_OK) prepare(&w, A), find_units(&w, way);
    if (s == GV_OK && way->any) s = weigh(&w, way, err);
    free(w.went), free(w.said), free(w.unit), free(w.A), free(w.rhs);
    if (s != GV_OK) gv_camera_way_free(way);
    return s;
}
