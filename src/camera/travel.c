#include "camera/travel.h"

#include "base/memory.h"
#include "geometry/linalg.h"
#include "geometry/so3.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BAND = GV_TRAVEL_BAND, ROW = BAND + 1, ROUNDS = 10, LEAST_WINDOWS = 3 };
static const double CAUCHY = 3, WIDEST = 300; // scale of the kernel, standard deviations: last and first round
static const double CERTAIN = 0.2;            // largest error of a ratio of units that is used
static const double FLOOR = 0.005;            // what no number of tracks averages out of a ratio
static const double ALONG = 0.7;              // cosine between two opinions on the same way, at least

typedef struct link { // what two windows say about the ratio of their units
    int a, b;
    double ratio, sd; // log(unit of b / unit of a)
} link;

typedef struct work {
    int n;
    const gv_travel_edge *edges;
    long *first; // [n + 1] edges of window k: first[k] .. first[k + 1] - 1
    link *links; // [nedges]
    long nlinks;
    int *parent;     // [n] of sets of windows
    double *A, *rhs; // [n, ROW], [3, n]
    double *unit;    // [n] logarithm
    double (*place)[3];
    gv_travel_node *node;
} work;

static int root_of(work *w, int k) {
    while (w->parent[k] != k) k = w->parent[k] = w->parent[w->parent[k]];
    return k;
}

static bool has_window(const work *w, int k) {
    return w->first[k + 1] > w->first[k];
}

static const gv_travel_edge *edge_to(const work *w, int from, int to) {
    for (long e = w->first[from]; e < w->first[from + 1]; e++)
        if (w->edges[e].to == to) return &w->edges[e];
    return NULL;
}

// --- units ---------------------------------------------------------------------------------------------

// Window b stands where window a saw it: every view that both saw gives a ratio.
static bool compare_windows(const work *w, const gv_travel_edge *ab, link *out) {
    double sum = 0, weight = 0;
    for (long e = w->first[ab->from]; e < w->first[ab->from + 1]; e++) {
        const gv_travel_edge *a = &w->edges[e], *b = edge_to(w, ab->to, a->to);
        if (a->to <= ab->to || !b) continue;
        double way[3] = {a->way[0] - ab->way[0], a->way[1] - ab->way[1], a->way[2] - ab->way[2]};
        double la = sqrt(gv_dot3(way, way)), lb = sqrt(gv_dot3(b->way, b->way));
        if (!(la > 0 && lb > 0) || gv_dot3(way, b->way) < ALONG * la * lb) continue;
        double sd = hypot(hypot(a->sd, ab->sd) / la, b->sd / lb), k = 1 / (sd * sd);
        sum += k * log(la / lb), weight += k;
    }
    if (!(weight > 0)) return false;
    *out = (link){ab->from, ab->to, sum / weight, FLOOR + 1 / sqrt(weight)};
    return out->sd < CERTAIN;
}

static void find_links(work *w) {
    for (int k = 0; k < w->n; k++)
        for (long e = w->first[k]; e < w->first[k + 1]; e++) {
            link *l = &w->links[w->nlinks];
            if (!compare_windows(w, &w->edges[e], l)) continue;
            w->nlinks++;
            w->parent[root_of(w, l->b)] = root_of(w, l->a);
        }
}

static void add(work *w, int a, int b, double k) { // (x_b - x_a)^2 k, a < b
    w->A[(long)a * ROW + BAND] += k, w->A[(long)b * ROW + BAND] += k, w->A[(long)b * ROW + BAND - (b - a)] -= k;
}

static void begin(work *w, double prior) {
    memset(w->A, 0, (size_t)w->n * ROW * sizeof *w->A), memset(w->rhs, 0, (size_t)w->n * 3 * sizeof *w->rhs);
    for (int i = 0; i < w->n; i++) w->A[(long)i * ROW + BAND] = prior;
}

static gv_status factor(work *w, gv_error *err) {
    if (gv_cholesky_banded(w->A, w->n, BAND)) return GV_OK;
    return gv_fail(err, GV_ERR_INTERNAL, "the places of %d keyframes do not determine each other", w->n);
}

static double kernel(double r2, int round) {
    double scale = fmax(CAUCHY, WIDEST * pow(0.3, round));
    return 1 / (1 + r2 / (scale * scale));
}

static gv_status solve_units(work *w, gv_error *err) {
    for (int round = 0; round < ROUNDS; round++) {
        begin(w, 1e-6);
        for (long i = 0; i < w->nlinks; i++) {
            const link *l = &w->links[i];
            double r = (w->unit[l->b] - w->unit[l->a] - l->ratio) / l->sd, k = kernel(r * r, round) / (l->sd * l->sd);
            add(w, l->a, l->b, k);
            w->rhs[l->b] += k * l->ratio, w->rhs[l->a] -= k * l->ratio;
        }
        gv_status s = factor(w, err);
        if (s != GV_OK) return s;
        gv_cholesky_banded_solve(w->A, w->n, BAND, w->rhs);
        memcpy(w->unit, w->rhs, (size_t)w->n * sizeof *w->unit);
    }
    return GV_OK;
}

// --- stretches -----------------------------------------------------------------------------------------

// Keyframes of windows that hang together; those without a window belong to the last one that saw them.
static void number_stretches(work *w, int *count) {
    for (int k = 0; k < w->n; k++) count[k] = 0;
    for (int k = 0; k < w->n; k++)
        if (has_window(w, k)) count[root_of(w, k)]++;
    for (int k = 0; k < w->n; k++) {
        bool own = has_window(w, k) && count[root_of(w, k)] >= LEAST_WINDOWS;
        w->node[k].stretch = own ? root_of(w, k) : -1;
        w->node[k].unit = own ? exp(w->unit[k]) : 0;
    }
    for (int k = 0; k < w->n; k++)
        for (long e = w->first[k]; w->node[k].unit > 0 && e < w->first[k + 1]; e++) {
            gv_travel_node *to = &w->node[w->edges[e].to];
            if (!(to->unit > 0)) to->stretch = w->node[k].stretch;
        }
    int next = 0;
    for (int k = 0; k < w->n; k++) count[k] = -1;
    for (int k = 0; k < w->n; k++) { // roots to numbers
        int *s = &w->node[k].stretch;
        if (*s < 0) continue;
        if (count[*s] < 0) count[*s] = next++;
        *s = count[*s];
    }
}

static bool counts(const work *w, const gv_travel_edge *e) {
    return w->node[e->from].unit > 0 && w->node[e->from].stretch == w->node[e->to].stretch;
}

// --- places --------------------------------------------------------------------------------------------

static gv_status solve_places(work *w, long nedges, gv_error *err) {
    for (int round = 0; round < ROUNDS; round++) {
        begin(w, 1e-9);
        for (long i = 0; i < nedges; i++) {
            const gv_travel_edge *e = &w->edges[i];
            if (!counts(w, e)) continue;
            double unit = w->node[e->from].unit, sd = unit * e->sd, r2 = 0;
            for (int c = 0; c < 3; c++) {
                double r = (w->place[e->to][c] - w->place[e->from][c] - unit * e->way[c]) / sd;
                r2 += r * r;
            }
            double k = (round ? kernel(r2, round) : 1) / (sd * sd);
            add(w, e->from, e->to, k);
            for (int c = 0; c < 3; c++) {
                w->rhs[(long)c * w->n + e->to] += k * unit * e->way[c];
                w->rhs[(long)c * w->n + e->from] -= k * unit * e->way[c];
            }
        }
        gv_status s = factor(w, err);
        if (s != GV_OK) return s;
        for (int c = 0; c < 3; c++) {
            gv_cholesky_banded_solve(w->A, w->n, BAND, w->rhs + (long)c * w->n);
            for (int k = 0; k < w->n; k++) w->place[k][c] = w->rhs[(long)c * w->n + k];
        }
    }
    return GV_OK;
}

// Every stretch begins at its origin, in units of its mean step.
static void normalise(work *w, double *length, int *steps, int *before) {
    for (int k = 0; k < w->n; k++) length[k] = 0, steps[k] = 0, before[k] = -1;
    for (int k = 0; k < w->n; k++) {
        int s = w->node[k].stretch;
        if (s < 0) continue;
        if (before[s] >= 0) {
            double d[3];
            for (int c = 0; c < 3; c++) d[c] = w->place[k][c] - w->place[before[s]][c];
            length[s] += sqrt(gv_dot3(d, d)), steps[s]++;
        }
        before[s] = k;
    }
    for (int k = 0; k < w->n; k++) before[k] = -1;
    for (int k = 0; k < w->n; k++) {
        int s = w->node[k].stretch;
        if (s < 0) continue;
        if (before[s] < 0) before[s] = k;
        double unit = length[s] > 0 ? length[s] / steps[s] : 1;
        for (int c = 0; c < 3; c++) w->node[k].place[c] = (w->place[k][c] - w->place[before[s]][c]) / unit;
        w->node[k].unit /= unit;
    }
}

static gv_status solve(work *w, long nedges, gv_error *err) {
    for (int k = 0; k < w->n; k++) w->parent[k] = k;
    for (long i = 0; i < nedges; i++) w->first[w->edges[i].from + 1]++;
    for (int k = 0; k < w->n; k++) w->first[k + 1] += w->first[k];
    find_links(w);
    gv_status s = solve_units(w, err);
    if (s != GV_OK) return s;
    int *count = gv_calloc2((size_t)w->n, 2 * sizeof *count);
    if (!count) return gv_fail(err, GV_ERR_MEMORY, "no memory for the camera's way over %d keyframes", w->n);
    number_stretches(w, count);
    s = solve_places(w, nedges, err);
    if (s == GV_OK) normalise(w, w->rhs, count, count + w->n);
    free(count);
    return s;
}

gv_status gv_travel_solve(gv_travel_node *node, int n, const gv_travel_edge *edges, long nedges, gv_error *err) {
    for (int k = 0; k < n; k++) node[k] = (gv_travel_node){.stretch = -1};
    if (!nedges) return GV_OK;
    size_t N = (size_t)n;
    work w = {.n = n, .edges = edges, .node = node};
    w.first = gv_calloc2(N + 1, sizeof *w.first), w.links = gv_calloc2((size_t)nedges, sizeof *w.links);
    w.parent = gv_calloc2(N, sizeof *w.parent), w.A = gv_calloc2(N, ROW * sizeof *w.A);
    w.rhs = gv_calloc2(N, 3 * sizeof *w.rhs), w.unit = gv_calloc2(N, sizeof *w.unit);
    w.place = gv_calloc2(N, sizeof *w.place);
    gv_status s = GV_OK;
    if (!w.first || !w.links || !w.parent || !w.A || !w.rhs || !w.unit || !w.place)
        s = gv_fail(err, GV_ERR_MEMORY, "no memory for the camera's way over %d keyframes", n);
    else
        s = solve(&w, nedges, err);
    free(w.first), free(w.links), free(w.parent), free(w.A), free(w.rhs), free(w.unit), free(w.place);
    return s;
}
