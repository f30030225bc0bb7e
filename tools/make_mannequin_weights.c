// make_mannequin_weights.c - which bones move the skin, and which skin tells where the joints are.
//
// Weights by heat diffusion over the surface (Baran and Popovic 2007, "Automatic rigging and animation of 3D
// characters", section 4): every vertex is warmed by its nearest bone, inversely to the square of the distance, and
// heat spreads along the skin; the equilibrium of each bone's heat is its weight. A bone may warm only the parts of
// the form that it belongs to, so one leg never moves the other.
#include "make_mannequin.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ------------------------------------------------------------------------------------------------ bones

typedef struct segment {
    int joint;
    unsigned parts;
    double a[3], b[3];
} segment;
enum { MAX_SEGMENTS = 64 };

static void between(segment *out, int *n, int joint, unsigned parts, const double a[3], const double b[3]) {
    segment *s = &out[(*n)++];
    *s = (segment){.joint = joint, .parts = parts};
    memcpy(s->a, a, sizeof s->a);
    memcpy(s->b, b, sizeof s->b);
}

// Segments of the left and middle bones.
static int list_segments(segment *out, const skeleton *s) {
    const unsigned trunk = 1u << PART_TRUNK, head = 1u << PART_HEAD, leg = 1u << PART_LEG, arm = 1u << PART_ARM,
                   hand = 1u << PART_HAND;
    const unsigned fingers = 0x1fu << PART_FINGER;
    const double(*J)[3] = s->joint;
    double top[3] = {0, FLOOR + 1.66, -.005}, face[3] = {0, FLOOR + 1.56, .06}, heel[3] = {.0985, FLOOR + .03, -.062},
           toe[3] = {.117, FLOOR + .018, .150}, side[3];
    int n = 0;
    for (int c = 0; c < 3; c++) side[c] = .4 * J[0][c] + .6 * J[1][c];
    between(out, &n, 0, trunk, J[0], J[3]);
    between(out, &n, 0, trunk, J[0], side);
    between(out, &n, 3, trunk, J[3], J[6]);
    between(out, &n, 6, trunk, J[6], J[9]);
    between(out, &n, 9, trunk, J[9], J[12]);
    between(out, &n, 9, trunk, J[9], J[13]);
    between(out, &n, 13, trunk | arm, J[13], J[16]);
    between(out, &n, 12, trunk | head, J[12], J[15]);
    between(out, &n, 15, head, J[15], top);
    between(out, &n, 15, head, J[15], face);
    between(out, &n, 1, leg, J[1], J[4]);
    between(out, &n, 4, leg, J[4], J[7]);
    between(out, &n, 7, leg, J[7], J[10]);
    between(out, &n, 7, leg, J[7], heel);
    between(out, &n, 10, leg, J[10], toe);
    between(out, &n, 16, arm, J[16], J[18]);
    between(out, &n, 18, arm | hand, J[18], J[20]);
    for (int i = 0; i < 5; i++) {
        const double(*f)[3] = J + 25 + 3 * i;
        unsigned own = 1u << (PART_FINGER + i);
        double tip[3];
        for (int c = 0; c < 3; c++) tip[c] = 1.8 * f[2][c] - .8 * f[1][c];
        between(out, &n, 20, arm | hand | (i == 4 ? fingers : own), J[20], f[0]);
        between(out, &n, 25 + 3 * i, own | (i == 4 ? hand : 0), f[0], f[1]);
        between(out, &n, 26 + 3 * i, own, f[1], f[2]);
        between(out, &n, 27 + 3 * i, own, f[2], tip);
    }
    return n;
}

static double segment_distance(const segment *s, const double p[3]) {
    double ab = 0, ap = 0, d = 0;
    for (int i = 0; i < 3; i++) ab += pow(s->b[i] - s->a[i], 2), ap += (s->b[i] - s->a[i]) * (p[i] - s->a[i]);
    double t = fmin(fmax(ap / ab, 0), 1);
    for (int i = 0; i < 3; i++) d += pow(p[i] - s->a[i] - t * (s->b[i] - s->a[i]), 2);
    return sqrt(d);
}

static const int mirror_joint[JOINTS] = {0,  2,  1,  3,  5,  4,  6,  8,  7,  9,  11, 10, 12, 14, 13, 15, 17, 16, 19,
                                         18, 21, 20, 22, 24, 23, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
                                         53, 54, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39};

// ---------------------------------------------------------------------------------------- heat on the skin

// The stiffness matrix of the cotangent Laplacian and the vertices' areas, by rows.
typedef struct laplacian {
    int n, *start, *column;
    double *value, *diagonal, *area;
} laplacian;

static void laplacian_free(laplacian *l) {
    free(l->start);
    free(l->column);
    free(l->value);
    free(l->diagonal);
    free(l->area);
}

static double cotangent(const double *p, const double *a, const double *b) { // of the angle at p
    double u[3], v[3], dot = 0, uu = 0, vv = 0;
    for (int i = 0; i < 3; i++) {
        u[i] = a[i] - p[i], v[i] = b[i] - p[i];
        dot += u[i] * v[i], uu += u[i] * u[i], vv += v[i] * v[i];
    }
    return dot / sqrt(fmax(uu * vv - dot * dot, 1e-24));
}

static void add_entry(laplacian *l, int row, int column, double value) {
    for (int i = l->start[row]; i < l->start[row + 1]; i++)
        if (l->column[i] == column || l->column[i] < 0) {
            l->column[i] = column;
            l->value[i] += value;
            return;
        }
}

static bool make_laplacian(laplacian *l, const mesh *m) {
    int n = m->vertices;
    *l = (laplacian){.n = n,
                     .start = calloc((size_t)n + 1, sizeof(int)),
                     .column = malloc((size_t)m->triangles * 6 * sizeof(int)),
                     .value = calloc((size_t)m->triangles * 6, sizeof(double)),
                     .diagonal = calloc((size_t)n, sizeof(double)),
                     .area = calloc((size_t)n, sizeof(double))};
    if (!l->start || !l->column || !l->value || !l->diagonal || !l->area) return false;
    for (int t = 0; t < m->triangles; t++)
        for (int k = 0; k < 3; k++) l->start[m->f[t][k] + 1] += 2;
    for (int v = 0; v < n; v++) l->start[v + 1] += l->start[v];
    for (int i = 0; i < m->triangles * 6; i++) l->column[i] = -1;
    for (int t = 0; t < m->triangles; t++)
        for (int k = 0; k < 3; k++) {
            int a = m->f[t][k], b = m->f[t][(k + 1) % 3], c = m->f[t][(k + 2) % 3];
            double w = fmax(.5 * cotangent(m->v[a], m->v[b], m->v[c]), 1e-3);
            add_entry(l, b, c, -w);
            add_entry(l, c, b, -w);
            l->diagonal[b] += w, l->diagonal[c] += w;
            double u = 0; // a third of the triangle's area
            double x[3] = {m->v[b][0] - m->v[a][0], m->v[b][1] - m->v[a][1], m->v[b][2] - m->v[a][2]};
            double y[3] = {m->v[c][0] - m->v[a][0], m->v[c][1] - m->v[a][1], m->v[c][2] - m->v[a][2]};
            for (int i = 0; i < 3; i++) u += pow(x[(i + 1) % 3] * y[(i + 2) % 3] - x[(i + 2) % 3] * y[(i + 1) % 3], 2);
            l->area[a] += sqrt(u) / 6;
        }
    return true;
}

// (L + diag(extra)) x = b by conjugate gradients with the diagonal as preconditioner; x holds the first guess.
static bool solve_heat(const laplacian *l, const double *extra, const double *b, double *x) {
    int n = l->n;
    double *r = malloc((size_t)n * 4 * sizeof(double));
    if (!r) return false;
    double *z = r + n, *p = z + n, *q = p + n, rz = 0, first = 0;
    for (int i = 0; i < n; i++)
        x[i] = 0, r[i] = b[i], p[i] = z[i] = r[i] / (l->diagonal[i] + extra[i]), rz += r[i] * z[i];
    first = rz;
    for (int step = 0; step < 800 && rz > 1e-14 * first; step++) {
        double pq = 0, next = 0;
        for (int i = 0; i < n; i++) {
            double s = (l->diagonal[i] + extra[i]) * p[i];
            for (int k = l->start[i]; k < l->start[i + 1] && l->column[k] >= 0; k++) s += l->value[k] * p[l->column[k]];
            q[i] = s;
            pq += s * p[i];
        }
        double alpha = rz / pq;
        for (int i = 0; i < n; i++) {
            x[i] += alpha * p[i];
            r[i] -= alpha * q[i];
            z[i] = r[i] / (l->diagonal[i] + extra[i]);
            next += r[i] * z[i];
        }
        for (int i = 0; i < n; i++) p[i] = z[i] + next / rz * p[i];
        rz = next;
    }
    free(r);
    return true;
}

// ---------------------------------------------------------------------------------------------- weights

// A side's bones let go across the middle plane: x is the distance into their own side.
static double own_side(double x) {
    double t = fmin(fmax((x + .045) / .065, 0), 1);
    return t * t * (3 - 2 * t);
}

// Keeps the four largest of a row, the small ones faded out softly so that neighbours do not jump.
static void prune(double w[JOINTS]) {
    double fourth[5] = {0}, sum = 0;
    for (int j = 0; j < JOINTS; j++) {
        double x = w[j];
        for (int k = 0; k < 5; k++)
            if (x > fourth[k]) {
                double t = fourth[k];
                fourth[k] = x;
                x = t;
            }
    }
    double floor = fmax(fourth[4], .004);
    for (int j = 0; j < JOINTS; j++) w[j] = w[j] > floor ? w[j] - floor : 0, sum += w[j];
    for (int j = 0; j < JOINTS; j++) w[j] /= sum;
}

bool make_weights(double (*w)[JOINTS], const mesh *m, const skeleton *s) {
    segment segments[MAX_SEGMENTS];
    int n = m->vertices, count = list_segments(segments, s);
    laplacian l = {0};
    int *nearest = malloc((size_t)n * sizeof *nearest);
    double *heat = malloc((size_t)n * sizeof *heat), *source = malloc((size_t)n * sizeof *source),
           *x = malloc((size_t)n * sizeof *x);
    bool ok = nearest && heat && source && x && make_laplacian(&l, m);
    for (int v = 0; ok && v < n; v++) {
        double p[3] = {fabs(m->v[v][0]), m->v[v][1], m->v[v][2]}, best = 1;
        unsigned own = 1u << form_part(p);
        for (int i = 0; i < count; i++) {
            double d = segment_distance(&segments[i], p);
            if ((segments[i].parts & own) && d < best) best = d, nearest[v] = segments[i].joint;
        }
        if (m->v[v][0] < 0) nearest[v] = mirror_joint[nearest[v]];
        // The chest's deep bones warm as if nearer: else an arm's heat would flow far down the flank.
        double high = fmin(fmax((p[1] - FLOOR - 1.08) / .12, 0), 1), d = fmin(best, .115 - .050 * high);
        heat[v] = l.area[v] / (d * d);
    }
    if (ok) memset(w, 0, (size_t)n * sizeof *w);
    for (int j = 0; ok && j < JOINTS; j++) {
        bool used = false;
        if (mirror_joint[j] < j) continue; // the right side is copied from the left
        for (int v = 0; v < n; v++) {
            source[v] = nearest[v] == j ? heat[v] : 0;
            used = used || nearest[v] == j;
        }
        if (!used) continue;
        ok = solve_heat(&l, heat, source, x);
        for (int v = 0; v < n; v++) {
            if (mirror_joint[j] == j) {
                w[v][j] = fmax((x[v] + x[m->mirror[v]]) / 2, 0);
            } else {
                w[v][j] = fmax(x[v], 0) * own_side(m->v[v][0]);
                w[m->mirror[v]][mirror_joint[j]] = w[v][j];
            }
        }
    }
    for (int v = 0; ok && v < n; v++) prune(w[v]);
    laplacian_free(&l);
    free(nearest);
    free(heat);
    free(source);
    free(x);
    return ok;
}

// ------------------------------------------------------------------------------------------- regressors

enum { ROWS = 1 + 3 + 3 * SHAPES + 3 };

static bool solve_dense(int n, double *A, double *b) { // Gauss with pivoting; b becomes the solution
    for (int c = 0; c < n; c++) {
        int pivot = c;
        for (int r = c + 1; r < n; r++)
            if (fabs(A[r * n + c]) > fabs(A[pivot * n + c])) pivot = r;
        if (fabs(A[pivot * n + c]) < 1e-300) return false;
        for (int k = 0; k < n && pivot != c; k++) {
            double t = A[c * n + k];
            A[c * n + k] = A[pivot * n + k], A[pivot * n + k] = t;
        }
        double t = b[c];
        b[c] = b[pivot], b[pivot] = t;
        for (int r = c + 1; r < n; r++) {
            double f = A[r * n + c] / A[c * n + c];
            for (int k = c; k < n && f != 0; k++) A[r * n + k] -= f * A[c * n + k];
            b[r] -= f * b[c];
        }
    }
    for (int r = n - 1; r >= 0; r--) {
        for (int k = r + 1; k < n; k++) b[r] -= A[r * n + k] * b[k];
        b[r] /= A[r * n + r];
    }
    return true;
}

// The constraints' coefficients for one vertex, relative to the point: sums of r times them must be 1, 0, 0, ...
static void coefficients(double a[ROWS], const double *v, const double shape[SHAPES][3], const double *point,
                         const double direction[SHAPES][3], double bone) {
    int n = 0;
    a[n++] = .1;
    for (int c = 0; c < 3; c++) a[n++] = v[c] - point[c];
    for (int k = 0; k < SHAPES; k++)
        for (int c = 0; c < 3; c++) a[n++] = 3 * (shape[k][c] - direction[k][c]);
    for (int c = 0; c < 3; c++) a[n++] = bone * (v[c] - point[c]);
}

// What a constraint may miss by where meeting it would take large weights of both signs, squared: next to nothing
// for the sum and the place, tenths of a millimetre for shapes and balance. Points on the skin swell with it, which
// their bone's direction does not say: they are held less tightly.
static double tolerance2(int row, bool on_skin) {
    return row == 0 ? 1e-14 : row < 4 ? 1e-11 : row < 4 + 3 * SHAPES ? (on_skin ? 1e-6 : 2e-8) : 1e-6;
}

// Minimises sum (r - o)^2 / o + sum (misses / tolerance)^2: r = o + O A' (A O A' + T)^-1 (b - A o), where o is a
// Gaussian of the distance.
bool make_regressor(float *r, const mesh *m, const double (*shape)[SHAPES][3], const double point[3],
                    const double direction[SHAPES][3], const double *bone_weight) {
    int n = m->vertices;
    double *o = calloc((size_t)n, sizeof *o), *M = calloc((size_t)ROWS * ROWS, sizeof *M), nearest = 1, sum = 0;
    double b[ROWS] = {.1}, a[ROWS]; // b: what the constraints still miss
    bool ok = o && M;
    for (int v = 0; ok && v < n; v++) {
        double d = sqrt(pow(m->v[v][0] - point[0], 2) + pow(m->v[v][1] - point[1], 2) + pow(m->v[v][2] - point[2], 2));
        o[v] = d;
        nearest = fmin(nearest, d);
    }
    double sigma = .7 * nearest + .006;
    for (int v = 0; ok && v < n; v++) {
        double d = (o[v] - nearest) / sigma;
        o[v] = d < 3 ? exp(-.5 * d * d) : 0;
        if (bone_weight) o[v] *= .02 + bone_weight[v];
        sum += o[v];
    }
    for (int v = 0; ok && v < n; v++) {
        o[v] /= sum;
        if (o[v] == 0) continue;
        coefficients(a, m->v[v], shape[v], point, direction, bone_weight ? bone_weight[v] : 0);
        for (int i = 0; i < ROWS; i++) {
            b[i] -= a[i] * o[v];
            for (int k = 0; k < ROWS; k++) M[i * ROWS + k] += a[i] * a[k] * o[v];
        }
    }
    for (int i = 0; ok && i < ROWS; i++) M[i * ROWS + i] += tolerance2(i, bone_weight);
    ok = ok && solve_dense(ROWS, M, b);
    for (int v = 0; ok && v < n; v++) {
        r[v] = 0;
        if (o[v] == 0) continue;
        coefficients(a, m->v[v], shape[v], point, direction, bone_weight ? bone_weight[v] : 0);
        double s = 1;
        for (int i = 0; i < ROWS; i++) s += a[i] * b[i];
        r[v] = (float)(o[v] * s);
    }
    free(o);
    free(M);
    return ok;
}
