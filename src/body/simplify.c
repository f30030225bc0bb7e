#include "body/simplify.h"
#include "base/memory.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const double regular = 0.02;   // weight of an edge's length: keeps triangles alike, as flat places bend, too
static const double worst_turn = 0.3; // cosine by which a triangle that stays may turn

typedef struct quadric { // x' A x + 2 b x + c, summed squares of the distances from planes
    double a[6], b[3], c;
} quadric;

typedef struct wish { // a vertex to take out
    double cost;
    int vertex;
} wish;

typedef struct surface {
    int vertices, triangles; // of the original; those still there
    const float *x;          // [V, 3]
    int32_t (*face)[3];      // [triangles]
    quadric *q;              // [V]
    int *start, *around;     // triangles around each vertex
    int *target;             // [V] whom a vertex would best become, -1: it stays
    double *cost;            // [V]
    wish *wish;              // [V]
    int *kept;               // [V]
    char *touched, *border;  // [V]
} surface;

static void cross_of(const surface *s, const int32_t f[3], double n[3]) {
    const float *p = s->x + 3 * (size_t)f[0], *q = s->x + 3 * (size_t)f[1], *r = s->x + 3 * (size_t)f[2];
    double a[3], b[3];
    for (int i = 0; i < 3; i++) a[i] = (double)q[i] - p[i], b[i] = (double)r[i] - p[i];
    for (int i = 0; i < 3; i++) n[i] = a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3];
}

static void add_planes(surface *s) {
    for (int t = 0; t < s->triangles; t++) {
        double n[3], area, d = 0;
        cross_of(s, s->face[t], n);
        area = sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);
        if (!(area > 0)) continue;
        for (int i = 0; i < 3; i++) n[i] /= area, d -= n[i] * s->x[3 * (size_t)s->face[t][0] + i];
        const double a[6] = {n[0] * n[0], n[0] * n[1], n[0] * n[2], n[1] * n[1], n[1] * n[2], n[2] * n[2]};
        for (int k = 0; k < 3; k++) {
            quadric *q = &s->q[s->face[t][k]];
            for (int i = 0; i < 6; i++) q->a[i] += area * a[i];
            for (int i = 0; i < 3; i++) q->b[i] += area * d * n[i];
            q->c += area * d * d;
        }
    }
}

static double distance(const quadric *q, const float *x) {
    const double *a = q->a;
    return a[0] * x[0] * x[0] + a[3] * x[1] * x[1] + a[5] * x[2] * x[2] +
           2 * (a[1] * x[0] * x[1] + a[2] * x[0] * x[2] + a[4] * x[1] * x[2]) +
           2 * (q->b[0] * x[0] + q->b[1] * x[1] + q->b[2] * x[2]) + q->c;
}

// Lists the triangles around each vertex; marks the vertices on an open edge.
static void list_neighbours(surface *s) {
    memset(s->start, 0, ((size_t)s->vertices + 2) * sizeof *s->start);
    for (int t = 0; t < s->triangles; t++)
        for (int k = 0; k < 3; k++) s->start[s->face[t][k] + 2]++;
    for (int v = 0; v < s->vertices; v++) s->start[v + 2] += s->start[v + 1];
    for (int t = 0; t < s->triangles; t++)
        for (int k = 0; k < 3; k++) s->around[s->start[s->face[t][k] + 1]++] = t;
}

static bool has(const int32_t f[3], int v) {
    return f[0] == v || f[1] == v || f[2] == v;
}

// Every edge of u must have two triangles, of which exactly u's and v's common ones hold both; none may turn over.
static bool may_become(const surface *s, int u, int v) {
    int both = 0;
    for (int k = s->start[u]; k < s->start[u + 1]; k++) {
        const int32_t *f = s->face[s->around[k]];
        if (has(f, v)) {
            both++;
            continue;
        }
        int32_t moved[3];
        double before[3], after[3], dot = 0, n2 = 0, m2 = 0;
        for (int i = 0; i < 3; i++) moved[i] = f[i] == u ? v : f[i];
        cross_of(s, f, before);
        cross_of(s, moved, after);
        for (int i = 0; i < 3; i++) dot += before[i] * after[i], n2 += before[i] * before[i], m2 += after[i] * after[i];
        if (!(dot > worst_turn * sqrt(n2 * m2))) return false;
    }
    if (both != 2) return false;
    int common = 0; // neighbours of both: the tips of the two triangles and no others
    for (int k = s->start[u]; k < s->start[u + 1]; k++)
        for (int i = 0; i < 3; i++) {
            const int w = s->face[s->around[k]][i];
            if (w == u || w == v) continue;
            for (int l = s->start[v]; l < s->start[v + 1]; l++)
                if (has(s->face[s->around[l]], w)) {
                    common++;
                    break;
                }
        }
    return common == 4; // each seen from two triangles around u
}

static double cost_of(const surface *s, int u, int v) {
    const float *p = s->x + 3 * (size_t)u, *q = s->x + 3 * (size_t)v;
    double length2 = 0, cost = distance(&s->q[u], q);
    for (int j = 0; j < 3; j++) length2 += ((double)p[j] - q[j]) * ((double)p[j] - q[j]);
    return (cost > 0 ? cost : 0) + regular * length2 * length2;
}

// The cheapest of the neighbours that u may become, looked for among the cheapest four.
static void find_target(surface *s, int u) {
    double tried = -1;
    s->target[u] = -1;
    if (s->border[u]) return;
    for (int attempt = 0; attempt < 4; attempt++) {
        int best = -1;
        double least = INFINITY;
        for (int k = s->start[u]; k < s->start[u + 1]; k++)
            for (int i = 0; i < 3; i++) {
                const int v = s->face[s->around[k]][i];
                double cost = v == u ? INFINITY : cost_of(s, u, v);
                if (cost > tried && cost < least) least = cost, best = v;
            }
        if (best < 0) return;
        if (may_become(s, u, best)) {
            s->target[u] = best;
            s->cost[u] = least;
            return;
        }
        tried = least;
    }
}

static void mark_borders(surface *s) {
    list_neighbours(s);
    for (int u = 0; u < s->vertices; u++)
        for (int k = s->start[u]; k < s->start[u + 1] && !s->border[u]; k++)
            for (int i = 0; i < 3; i++) {
                const int v = s->face[s->around[k]][i];
                int edges = 0;
                for (int l = s->start[u]; v != u && l < s->start[u + 1]; l++) edges += has(s->face[s->around[l]], v);
                if (v != u && edges != 2) s->border[u] = 1;
            }
}

static int by_cost(const void *a, const void *b) {
    const wish *p = a, *q = b;
    return p->cost != q->cost ? (p->cost > q->cost) - (p->cost < q->cost) : p->vertex - q->vertex;
}

// u becomes its target unless something around it has already changed in this round.
static bool collapse(surface *s, int u) {
    const int v = s->target[u];
    if (s->touched[u]) return false; // some of its triangles may be gone
    for (int k = s->start[u]; k < s->start[u + 1]; k++)
        for (int i = 0; i < 3; i++)
            if (s->touched[s->face[s->around[k]][i]]) return false;
    for (int k = s->start[u]; k < s->start[u + 1]; k++) {
        int32_t *f = s->face[s->around[k]];
        for (int i = 0; i < 3; i++) s->touched[f[i]] = 1;
        if (has(f, v))
            f[0] = f[1] = f[2] = -1;
        else
            for (int i = 0; i < 3; i++) f[i] = f[i] == u ? v : f[i];
    }
    for (int i = 0; i < 6; i++) s->q[v].a[i] += s->q[u].a[i];
    for (int i = 0; i < 3; i++) s->q[v].b[i] += s->q[u].b[i];
    s->q[v].c += s->q[u].c;
    return true;
}

// One round takes out the cheapest vertices that are not beside each other; false: nothing more to be done.
static bool thin_out(surface *s, int wanted) {
    list_neighbours(s);
    memset(s->touched, 0, (size_t)s->vertices);
    int n = 0;
#pragma omp parallel for schedule(dynamic, 256)
    for (int v = 0; v < s->vertices; v++) find_target(s, v);
    for (int v = 0; v < s->vertices; v++)
        if (s->target[v] >= 0) s->wish[n++] = (wish){s->cost[v], v};
    qsort(s->wish, (size_t)n, sizeof *s->wish, by_cost);
    int excess = (s->triangles - wanted) / 2, taken = 0;
    for (int i = 0; i < (n + 1) / 2 && taken < excess; i++) taken += collapse(s, s->wish[i].vertex);
    int left = 0;
    for (int t = 0; t < s->triangles; t++)
        if (s->face[t][0] >= 0) memmove(s->face[left++], s->face[t], sizeof s->face[t]);
    s->triangles = left;
    return taken > 0 && left > wanted + 1;
}

static float *keep_rows(const float *from, size_t row, const int *kept, int n) {
    float *out = from ? gv_calloc2((size_t)n, row * sizeof(float)) : NULL;
    for (int i = 0; out && i < n; i++) memcpy(out + (size_t)i * row, from + (size_t)kept[i] * row, row * sizeof(float));
    return out;
}

// The body of the vertices that still have triangles; s->kept becomes the list of them.
static gv_body *gather(surface *s, const gv_body *b) {
    gv_body *out = gv_calloc2(1, sizeof *out);
    if (!out) return NULL;
    int n = 0;
    list_neighbours(s);
    for (int v = 0; v < s->vertices; v++)
        if (s->start[v + 1] > s->start[v]) s->target[v] = n, s->kept[n++] = v;
    out->vertices = n;
    out->triangles = s->triangles;
    out->v_template = keep_rows(b->v_template, 3, s->kept, n);
    out->shapedirs = keep_rows(b->shapedirs, 3 * GV_BETAS, s->kept, n);
    out->posedirs = keep_rows(b->posedirs, 3 * GV_POSE_FEATURES, s->kept, n);
    out->weights = keep_rows(b->weights, GV_SMPLX_JOINTS, s->kept, n);
    out->bone_weight = keep_rows(b->bone_weight, 4, s->kept, n);
    out->bone_index = gv_calloc2((size_t)n, 4 * sizeof *out->bone_index);
    out->faces = gv_calloc2((size_t)s->triangles, 3 * sizeof *out->faces);
    const int joints[1] = {0};
    out->J_template = keep_rows(b->J_template, (size_t)3 * GV_SMPLX_JOINTS, joints, 1);
    out->J_shapedirs = keep_rows(b->J_shapedirs, (size_t)3 * GV_SMPLX_JOINTS * GV_BETAS, joints, 1);
    memcpy(out->hands_mean, b->hands_mean, sizeof out->hands_mean);
    if (!out->v_template || !out->shapedirs || (b->posedirs && !out->posedirs) || !out->weights || !out->bone_weight ||
        !out->bone_index || !out->faces || !out->J_template || !out->J_shapedirs) {
        gv_body_close(out);
        return NULL;
    }
    for (int i = 0; i < n; i++)
        memcpy(out->bone_index + 4 * (size_t)i, b->bone_index + 4 * (size_t)s->kept[i], 4 * sizeof *out->bone_index);
    for (int t = 0; t < s->triangles; t++)
        for (int k = 0; k < 3; k++) out->faces[3 * (size_t)t + k] = s->target[s->face[t][k]];
    return out;
}

gv_body *gv_body_simplify(const gv_body *b, int triangles) {
    const size_t n = (size_t)b->vertices, faces = (size_t)b->triangles;
    surface s = {.vertices = b->vertices, .triangles = b->triangles, .x = b->v_template};
    gv_body *out = NULL;
    s.face = gv_calloc2(faces, sizeof *s.face);
    s.q = gv_calloc2(n, sizeof *s.q);
    s.start = gv_calloc2(n + 2, sizeof *s.start);
    s.around = gv_calloc2(faces, 3 * sizeof *s.around);
    s.target = gv_calloc2(n, sizeof *s.target);
    s.cost = gv_calloc2(n, sizeof *s.cost);
    s.wish = gv_calloc2(n, sizeof *s.wish);
    s.kept = gv_calloc2(n, sizeof *s.kept);
    s.touched = gv_calloc2(n, 1);
    s.border = gv_calloc2(n, 1);
    if (s.face && s.q && s.start && s.around && s.target && s.cost && s.wish && s.kept && s.touched && s.border) {
        memcpy(s.face, b->faces, faces * sizeof *s.face);
        add_planes(&s);
        mark_borders(&s);
        while (s.triangles > triangles + 1 && thin_out(&s, triangles)) continue;
        out = gather(&s, b);
    }
    free(s.face), free(s.q), free(s.start), free(s.around), free(s.target);
    free(s.cost), free(s.wish), free(s.kept), free(s.touched), free(s.border);
    return out;
}
