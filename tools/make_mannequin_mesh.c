// make_mannequin_mesh.c - the form's surface as triangles: marching tetrahedra on a grid of uneven spacing for a
// first mesh, then incremental remeshing (Botsch and Kobbelt 2004, "A remeshing approach to multiresolution
// modeling"): long edges are split, short ones collapsed, edges flipped towards six neighbours, and vertices moved
// along the surface. Only the left half is made; vertices in the middle plane stay there.
#include "make_mannequin.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ------------------------------------------------------------------------------------------------- mesh

static bool grow(void **array, int *room, int need, size_t size) {
    if (need <= *room) return true;
    int more = *room ? *room * 2 : 1024;
    void *p = realloc(*array, (size_t)more * size);
    if (!p) return false;
    *array = p;
    *room = more;
    return true;
}

int mesh_add_vertex(mesh *m, const double p[3]) {
    if (!grow((void **)&m->v, &m->vertex_room, m->vertices + 1, sizeof *m->v)) return -1;
    memcpy(m->v[m->vertices], p, sizeof *m->v);
    return m->vertices++;
}

int mesh_add_triangle(mesh *m, int a, int b, int c) {
    if (!grow((void **)&m->f, &m->triangle_room, m->triangles + 1, sizeof *m->f)) return -1;
    m->f[m->triangles][0] = a, m->f[m->triangles][1] = b, m->f[m->triangles][2] = c;
    return m->triangles++;
}

void mesh_free(mesh *m) {
    free(m->v);
    free(m->f);
    free(m->mirror);
    *m = (mesh){0};
}

static void cross_of(double n[3], const double *a, const double *b, const double *c) {
    double u[3] = {b[0] - a[0], b[1] - a[1], b[2] - a[2]}, w[3] = {c[0] - a[0], c[1] - a[1], c[2] - a[2]};
    n[0] = u[1] * w[2] - u[2] * w[1], n[1] = u[2] * w[0] - u[0] * w[2], n[2] = u[0] * w[1] - u[1] * w[0];
}

static double dot3(const double *a, const double *b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static double distance2(const double *a, const double *b) {
    return (a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) + (a[2] - b[2]) * (a[2] - b[2]);
}

void mesh_normals(double (*n)[3], const mesh *m) {
    memset(n, 0, (size_t)m->vertices * sizeof *n);
    for (int t = 0; t < m->triangles; t++) {
        double c[3];
        cross_of(c, m->v[m->f[t][0]], m->v[m->f[t][1]], m->v[m->f[t][2]]);
        for (int k = 0; k < 3; k++)
            for (int i = 0; i < 3; i++) n[m->f[t][k]][i] += c[i];
    }
    for (int v = 0; v < m->vertices; v++) {
        double l = sqrt(dot3(n[v], n[v]));
        for (int i = 0; i < 3; i++) n[v][i] = l > 0 ? n[v][i] / l : i == 1;
    }
}

// ------------------------------------------------------------------------------------------- first mesh

enum { MAX_LINES = 400 };
typedef struct grid {
    int n[3];
    double line[3][MAX_LINES];
    float *value; // [n2][n1][n0]
    int *edge;    // [grid point][7] vertex on the edge towards the neighbour with offset bits 1 .. 7
} grid;

static void lines(grid *g, int axis, double from, double to, double fine_from, double fine_to, double coarse,
                  double fine) {
    int n = 0;
    for (double x = from; x < to + coarse && n < MAX_LINES;) {
        g->line[axis][n++] = x;
        x += x >= fine_from - 1e-9 && x < fine_to ? fine : coarse;
    }
    g->n[axis] = n;
}

static size_t grid_index(const grid *g, int x, int y, int z) {
    return ((size_t)z * g->n[1] + y) * g->n[0] + x;
}

// Distances at the grid's points. Blocks of points farther from the surface than their size are filled at once.
enum { BLOCK = 6 };
static void sample_block(grid *g, int bx, int by, int bz) {
    int lo[3] = {bx * BLOCK, by * BLOCK, bz * BLOCK}, hi[3];
    double c[3], r = 0;
    for (int i = 0; i < 3; i++) {
        hi[i] = lo[i] + BLOCK < g->n[i] ? lo[i] + BLOCK : g->n[i];
        double a = g->line[i][lo[i]], b = g->line[i][hi[i] - 1];
        c[i] = (a + b) / 2;
        r += (b - a) * (b - a) / 4;
    }
    double d = form_distance(c);
    bool far = fabs(d) > 2.5 * sqrt(r) + .01;
    for (int z = lo[2]; z < hi[2]; z++)
        for (int y = lo[1]; y < hi[1]; y++)
            for (int x = lo[0]; x < hi[0]; x++) {
                double p[3] = {g->line[0][x], g->line[1][y], g->line[2][z]};
                double value = far ? d : form_distance(p);
                g->value[grid_index(g, x, y, z)] = (float)(fabs(value) < 1e-6 ? 1e-6 : value);
            }
}

static int edge_vertex(grid *g, mesh *m, const int a[3], const int b[3]) {
    int lo[3], bits = 0;
    for (int i = 0; i < 3; i++) lo[i] = a[i] < b[i] ? a[i] : b[i], bits |= (a[i] != b[i]) << i;
    int *slot = &g->edge[grid_index(g, lo[0], lo[1], lo[2]) * 7 + bits - 1];
    if (*slot) return *slot - 1;
    double va = g->value[grid_index(g, a[0], a[1], a[2])], vb = g->value[grid_index(g, b[0], b[1], b[2])];
    double t = va / (va - vb), p[3];
    for (int i = 0; i < 3; i++) p[i] = g->line[i][a[i]] * (1 - t) + g->line[i][b[i]] * t;
    int v = mesh_add_vertex(m, p);
    *slot = v + 1;
    return v;
}

// One tetrahedron: one or two triangles, turned so that they face the outside (positive values).
static void tetrahedron(grid *g, mesh *m, int corner[4][3]) {
    int in[4], out[4], ni = 0, no = 0, v[4];
    for (int i = 0; i < 4; i++) {
        bool inside = g->value[grid_index(g, corner[i][0], corner[i][1], corner[i][2])] < 0;
        if (inside)
            in[ni++] = i;
        else
            out[no++] = i;
    }
    if (!ni || !no) return;
    int n = 0;
    if (ni == 2) {
        static const int around[4][2] = {{0, 0}, {0, 1}, {1, 1}, {1, 0}};
        for (; n < 4; n++) v[n] = edge_vertex(g, m, corner[in[around[n][0]]], corner[out[around[n][1]]]);
    } else {
        for (int i = 0; i < ni; i++)
            for (int o = 0; o < no; o++) v[n++] = edge_vertex(g, m, corner[in[i]], corner[out[o]]);
    }
    double normal[3], outward[3];
    cross_of(normal, m->v[v[0]], m->v[v[1]], m->v[v[2]]);
    if (n == 4) { // the longer way round is safer where three points are nearly in line
        double second[3];
        cross_of(second, m->v[v[0]], m->v[v[2]], m->v[v[3]]);
        for (int i = 0; i < 3; i++) normal[i] += second[i];
    }
    for (int i = 0; i < 3; i++) outward[i] = g->line[i][corner[out[0]][i]] - g->line[i][corner[in[0]][i]];
    bool turn = dot3(normal, outward) < 0;
    for (int k = 2; k < n; k++) mesh_add_triangle(m, v[0], v[turn ? k : k - 1], v[turn ? k - 1 : k]);
}

static void cube(grid *g, mesh *m, int x, int y, int z) {
    // Kuhn's six tetrahedra along the diagonal: the same split on shared faces.
    static const int order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int k = 0; k < 6; k++) {
        int corner[4][3] = {{x, y, z}};
        for (int i = 0; i < 3; i++) {
            memcpy(corner[i + 1], corner[i], sizeof corner[i]);
            corner[i + 1][order[k][i]]++;
        }
        tetrahedron(g, m, corner);
    }
}

bool make_half(mesh *m) {
    grid *g = calloc(1, sizeof *g);
    if (!g) return false;
    lines(g, 0, 0, .915, .690, 9, .009, .0028);
    lines(g, 1, FLOOR - .012, FLOOR + 1.735, FLOOR + 1.335, FLOOR + 1.405, .009, .0028);
    lines(g, 2, -.150, .190, -.075, .095, .009, .0028);
    size_t n = (size_t)g->n[0] * g->n[1] * g->n[2];
    g->value = malloc(n * sizeof *g->value);
    g->edge = calloc(n * 7, sizeof *g->edge);
    bool ok = g->value && g->edge;
    if (ok) {
#pragma omp parallel for schedule(dynamic)
        for (int z = 0; z < (g->n[2] + BLOCK - 1) / BLOCK; z++)
            for (int y = 0; y < (g->n[1] + BLOCK - 1) / BLOCK; y++)
                for (int x = 0; x < (g->n[0] + BLOCK - 1) / BLOCK; x++) sample_block(g, x, y, z);
        for (int z = 0; z < g->n[2] - 1; z++)
            for (int y = 0; y < g->n[1] - 1; y++)
                for (int x = 0; x < g->n[0] - 1; x++) cube(g, m, x, y, z);
    }
    free(g->value);
    free(g->edge);
    free(g);
    return ok && m->triangles > 0;
}

// ------------------------------------------------------------------------------------------- remeshing

// The edges of a mesh, sorted by their ends, each with its one or two triangles.
typedef struct edge {
    int a, b, face[2];
} edge; // a < b; face[1] = -1 at the border
typedef struct topology {
    int edges;
    edge *edge;
    int *start, *around; // triangles around vertex v: around[start[v]] .. around[start[v + 1] - 1]
    bool *border;        // [vertices]
} topology;

static int by_ends(const void *x, const void *y) {
    const edge *a = x, *b = y;
    return a->a != b->a   ? (a->a < b->a ? -1 : 1)
           : a->b != b->b ? (a->b < b->b ? -1 : 1)
                          : (a->face[0] > b->face[0]) - (a->face[0] < b->face[0]);
}

static void topology_free(topology *t) {
    free(t->edge);
    free(t->start);
    free(t->around);
    free(t->border);
    *t = (topology){0};
}

static bool find_topology(topology *t, const mesh *m) {
    *t = (topology){.edge = malloc(((size_t)m->triangles * 3 + 1) * sizeof *t->edge),
                    .start = calloc((size_t)m->vertices + 2, sizeof *t->start),
                    .around = malloc(((size_t)m->triangles * 3 + 1) * sizeof *t->around),
                    .border = calloc((size_t)m->vertices + 1, sizeof *t->border)};
    if (!t->edge || !t->start || !t->around || !t->border) return false;
    int n = 0;
    for (int f = 0; f < m->triangles; f++)
        for (int k = 0; k < 3; k++) {
            int a = m->f[f][k], b = m->f[f][(k + 1) % 3];
            t->edge[n++] = (edge){a < b ? a : b, a < b ? b : a, {f, -1}};
            t->start[a + 2]++;
        }
    qsort(t->edge, (size_t)n, sizeof *t->edge, by_ends);
    for (int i = 0; i < n; i++) {
        edge *last = t->edges ? &t->edge[t->edges - 1] : NULL;
        if (last && last->a == t->edge[i].a && last->b == t->edge[i].b)
            last->face[1] = t->edge[i].face[0];
        else
            t->edge[t->edges++] = t->edge[i];
    }
    for (int i = 0; i < t->edges; i++)
        if (t->edge[i].face[1] < 0) t->border[t->edge[i].a] = t->border[t->edge[i].b] = true;
    for (int v = 0; v < m->vertices; v++) t->start[v + 2] += t->start[v + 1];
    for (int f = 0; f < m->triangles; f++)
        for (int k = 0; k < 3; k++) t->around[t->start[m->f[f][k] + 1]++] = f;
    return true;
}

static int opposite(const mesh *m, int f, int a, int b) {
    for (int k = 0; k < 3; k++)
        if (m->f[f][k] != a && m->f[f][k] != b) return m->f[f][k];
    return -1;
}

static double wanted(const mesh *m, const edge *e) {
    double mid[3];
    for (int i = 0; i < 3; i++) mid[i] = (m->v[e->a][i] + m->v[e->b][i]) / 2;
    return form_edge(mid);
}

static void replace_in(int f[3], int from, int to) {
    for (int k = 0; k < 3; k++)
        if (f[k] == from) f[k] = to;
}

// Splits edges longer than 4/3 of the wanted length, every triangle at most once. Returns how many, -1 on failure.
static int split_long(mesh *m) {
    topology t;
    int done = 0;
    bool *touched = calloc((size_t)m->triangles + 1, 1), ok = find_topology(&t, m) && touched;
    for (int i = 0; ok && i < t.edges; i++) {
        edge *e = &t.edge[i];
        double l = 4 / 3.0 * wanted(m, e);
        if (distance2(m->v[e->a], m->v[e->b]) <= l * l) continue;
        if (touched[e->face[0]] || (e->face[1] >= 0 && touched[e->face[1]])) continue;
        double mid[3];
        for (int c = 0; c < 3; c++) mid[c] = (m->v[e->a][c] + m->v[e->b][c]) / 2;
        int v = mesh_add_vertex(m, mid);
        for (int s = 0; s < 2 && e->face[s] >= 0; s++) {
            int *f = m->f[e->face[s]], copy[3] = {f[0], f[1], f[2]};
            touched[e->face[s]] = true;
            replace_in(copy, e->a, v);
            replace_in(f, e->b, v);
            ok = ok && v >= 0 && mesh_add_triangle(m, copy[0], copy[1], copy[2]) >= 0;
        }
        done++;
    }
    topology_free(&t);
    free(touched);
    return ok ? done : -1;
}

// Would moving vertex v to p turn a triangle over, or make an edge too long? Triangles with `other` vanish.
static bool spoils(const mesh *m, const topology *t, int v, int other, const double p[3]) {
    for (int i = t->start[v]; i < t->start[v + 1]; i++) {
        const int *f = m->f[t->around[i]];
        if (f[0] == other || f[1] == other || f[2] == other) continue;
        double before[3], after[3];
        const double *q[3];
        for (int k = 0; k < 3; k++) q[k] = f[k] == v ? p : m->v[f[k]];
        cross_of(before, m->v[f[0]], m->v[f[1]], m->v[f[2]]);
        cross_of(after, q[0], q[1], q[2]);
        double d = dot3(before, after);
        if (d <= 0 || d * d < .25 * dot3(before, before) * dot3(after, after)) return true;
        for (int k = 0; k < 3; k++) {
            if (f[k] == v) continue;
            double l = 4 / 3.0 * form_edge(p);
            if (distance2(m->v[f[k]], p) > l * l) return true;
        }
    }
    return false;
}

// Exactly the vertices opposite the edge are neighbours of both its ends; else the surface would pinch.
static bool pinches(const mesh *m, const topology *t, const edge *e) {
    int common = 0, expected = e->face[1] >= 0 ? 2 : 1;
    for (int i = t->start[e->a]; i < t->start[e->a + 1]; i++)
        for (int k = 0; k < 3; k++) {
            int n = m->f[t->around[i]][k], seen = 0;
            if (n == e->a || n == e->b) continue;
            for (int j = t->start[e->b]; j < t->start[e->b + 1] && !seen; j++) {
                const int *f = m->f[t->around[j]];
                seen = f[0] == n || f[1] == n || f[2] == n;
            }
            common += seen;
        }
    // Around an interior vertex every neighbour is seen twice; at the border its two end neighbours once.
    int twice = 2 * expected;
    return t->border[e->a] ? common > twice : common != twice;
}

static bool untouched(const mesh *m, const topology *t, const bool *touched, int v) {
    (void)m;
    for (int i = t->start[v]; i < t->start[v + 1]; i++)
        if (touched[t->around[i]]) return false;
    return true;
}

static void compact(mesh *m, const bool *dead_face, int *map) {
    int faces = 0, vertices = 0;
    for (int v = 0; v < m->vertices; v++) map[v] = -1;
    for (int f = 0; f < m->triangles; f++) {
        if (dead_face[f]) continue;
        memcpy(m->f[faces], m->f[f], sizeof *m->f);
        for (int k = 0; k < 3; k++) map[m->f[faces][k]] = 0;
        faces++;
    }
    for (int v = 0; v < m->vertices; v++) {
        if (map[v] < 0) continue;
        memcpy(m->v[vertices], m->v[v], sizeof *m->v);
        map[v] = vertices++;
    }
    for (int f = 0; f < faces; f++)
        for (int k = 0; k < 3; k++) m->f[f][k] = map[m->f[f][k]];
    m->triangles = faces;
    m->vertices = vertices;
}

// Collapses edges shorter than 4/5 of the wanted length; neighbourhoods do not overlap within one pass.
static int collapse_short(mesh *m) {
    topology t;
    int done = 0;
    bool *touched = calloc((size_t)m->triangles + 1, 1), *dead = calloc((size_t)m->triangles + 1, 1);
    int *map = malloc(((size_t)m->vertices + 1) * sizeof *map);
    bool ok = find_topology(&t, m) && touched && dead && map;
    for (int i = 0; ok && i < t.edges; i++) {
        edge *e = &t.edge[i];
        double l = .8 * wanted(m, e), p[3];
        if (distance2(m->v[e->a], m->v[e->b]) >= l * l) continue;
        bool ba = t.border[e->a], bb = t.border[e->b];
        if (ba && bb && e->face[1] >= 0) continue; // would close the border
        for (int c = 0; c < 3; c++) p[c] = ba == bb ? (m->v[e->a][c] + m->v[e->b][c]) / 2 : m->v[ba ? e->a : e->b][c];
        if (!untouched(m, &t, touched, e->a) || !untouched(m, &t, touched, e->b)) continue;
        if (pinches(m, &t, e) || spoils(m, &t, e->a, e->b, p) || spoils(m, &t, e->b, e->a, p)) continue;
        for (int s = 0; s < 2; s++)
            for (int v = s ? e->a : e->b, j = t.start[v]; j < t.start[v + 1]; j++) touched[t.around[j]] = true;
        for (int s = 0; s < 2 && e->face[s] >= 0; s++) dead[e->face[s]] = true;
        memcpy(m->v[e->a], p, sizeof p);
        for (int j = t.start[e->b]; j < t.start[e->b + 1]; j++) replace_in(m->f[t.around[j]], e->b, e->a);
        done++;
    }
    if (ok) compact(m, dead, map);
    topology_free(&t);
    free(touched);
    free(dead);
    free(map);
    return ok ? done : -1;
}

static bool connected(const mesh *m, const topology *t, int a, int b) {
    for (int i = t->start[a]; i < t->start[a + 1]; i++) {
        const int *f = m->f[t->around[i]];
        if (f[0] == b || f[1] == b || f[2] == b) return true;
    }
    return false;
}

static int excess(int valence, bool border) {
    int d = valence - (border ? 3 : 6); // triangles around: three in a half, six in the whole
    return d * d;
}

// Flips edges where that brings the numbers of neighbours nearer to six.
static int flip_edges(mesh *m) {
    topology t;
    int done = 0;
    bool *touched = calloc((size_t)m->triangles + 1, 1), ok = find_topology(&t, m) && touched;
    for (int i = 0; ok && i < t.edges; i++) {
        const edge *e = &t.edge[i];
        if (e->face[1] < 0 || touched[e->face[0]] || touched[e->face[1]]) continue;
        int c = opposite(m, e->face[0], e->a, e->b), d = opposite(m, e->face[1], e->a, e->b);
        if ((t.border[c] && t.border[d]) || connected(m, &t, c, d)) continue;
        int n[4], v[4] = {e->a, e->b, c, d}, before = 0, after = 0;
        for (int k = 0; k < 4; k++) {
            n[k] = t.start[v[k] + 1] - t.start[v[k]];
            before += excess(n[k], t.border[v[k]]);
            after += excess(n[k] + (k < 2 ? -1 : 1), t.border[v[k]]);
        }
        if (after >= before) continue;
        int *f = m->f[e->face[0]], *g = m->f[e->face[1]], nf[3], ng[3];
        memcpy(nf, f, sizeof nf), memcpy(ng, g, sizeof ng);
        replace_in(nf, e->b, d);
        replace_in(ng, e->a, c);
        double old[3], x[3], y[3];
        cross_of(old, m->v[f[0]], m->v[f[1]], m->v[f[2]]);
        cross_of(x, m->v[nf[0]], m->v[nf[1]], m->v[nf[2]]);
        cross_of(y, m->v[ng[0]], m->v[ng[1]], m->v[ng[2]]);
        double s = dot3(x, y), ll = sqrt(dot3(x, x) * dot3(y, y));
        if (s < .8 * ll || dot3(old, x) <= 0 || dot3(old, y) <= 0) continue;
        // A flip changes the counts around four vertices: leave their other triangles alone in this pass.
        bool near = false;
        for (int k = 0; k < 4 && !near; k++) near = !untouched(m, &t, touched, v[k]);
        if (near) continue;
        memcpy(f, nf, sizeof nf), memcpy(g, ng, sizeof ng);
        touched[e->face[0]] = touched[e->face[1]] = true;
        done++;
    }
    topology_free(&t);
    free(touched);
    return ok ? done : -1;
}

// Every vertex to the mean of its triangles' centres, weighted by area over the wanted area, along the surface.
static bool relax(mesh *m) {
    topology t;
    double(*next)[3] = malloc(((size_t)m->vertices + 1) * sizeof *next);
    bool ok = find_topology(&t, m) && next;
#pragma omp parallel for schedule(dynamic, 64)
    for (int v = 0; v < (ok ? m->vertices : 0); v++) {
        double sum[3] = {0}, weight = 0, g[3], move[3];
        for (int i = t.start[v]; i < t.start[v + 1]; i++) {
            const int *f = m->f[t.around[i]];
            double n[3], c[3];
            for (int k = 0; k < 3; k++) c[k] = (m->v[f[0]][k] + m->v[f[1]][k] + m->v[f[2]][k]) / 3;
            cross_of(n, m->v[f[0]], m->v[f[1]], m->v[f[2]]);
            double e = form_edge(c), w = sqrt(dot3(n, n)) / (e * e);
            for (int k = 0; k < 3; k++) sum[k] += w * c[k];
            weight += w;
        }
        double p[3] = {m->v[v][0], m->v[v][1], m->v[v][2]};
        form_gradient(g, p);
        for (int k = 0; k < 3; k++) move[k] = weight > 0 ? sum[k] / weight - p[k] : 0;
        if (t.border[v]) move[0] = 0, g[0] = 0;
        double along = dot3(move, g);
        for (int k = 0; k < 3; k++) p[k] += .7 * (move[k] - along * g[k]);
        if (!form_project(p)) memcpy(p, m->v[v], sizeof p);
        if (t.border[v])
            p[0] = 0;
        else if (p[0] < 1e-4)
            p[0] = 1e-4;
        memcpy(next[v], p, sizeof p);
    }
    if (ok) memcpy(m->v, next, (size_t)m->vertices * sizeof *next);
    topology_free(&t);
    free(next);
    return ok;
}

bool remesh_half(mesh *m) {
    for (int round = 0; round < 9; round++) {
        int n;
        for (int k = 0; k < 20 && (n = collapse_short(m)) != 0; k++)
            if (n < 0) return false;
        for (int k = 0; k < 8 && (n = split_long(m)) != 0; k++)
            if (n < 0) return false;
        for (int k = 0; k < 6 && (n = flip_edges(m)) != 0; k++)
            if (n < 0) return false;
        for (int k = 0; k < 2; k++)
            if (!relax(m)) return false;
    }
    return true;
}

bool mirror_half(mesh *whole, const mesh *half) {
    int *other = malloc(((size_t)half->vertices + 1) * sizeof *other);
    whole->mirror = malloc(((size_t)half->vertices * 2 + 1) * sizeof *whole->mirror);
    bool ok = other && whole->mirror;
    for (int v = 0; ok && v < half->vertices; v++) ok = mesh_add_vertex(whole, half->v[v]) >= 0;
    for (int v = 0; ok && v < half->vertices; v++) {
        double p[3] = {-half->v[v][0], half->v[v][1], half->v[v][2]};
        ok = (other[v] = half->v[v][0] == 0 ? v : mesh_add_vertex(whole, p)) >= 0;
        if (!ok) break;
        whole->mirror[v] = other[v];
        whole->mirror[other[v]] = v;
    }
    for (int f = 0; ok && f < half->triangles; f++) {
        const int *t = half->f[f];
        ok = mesh_add_triangle(whole, t[0], t[1], t[2]) >= 0 &&
             mesh_add_triangle(whole, other[t[0]], other[t[2]], other[t[1]]) >= 0;
    }
    free(other);
    return ok;
}
