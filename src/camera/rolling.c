#include "camera/rolling.h"

#include "base/order.h"
#include "geometry/linalg.h"
#include "geometry/so3.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 4, LEAST_MATCHES = 20, LEAST_PAIRS = 30, MOST_PAIRS = 300 };
static const double LEAST = 0.1, MOST = 1.1; // readouts that are believed; smaller ones do little harm
static const double CORRELATED = 30;         // tracks and frames whose errors are one: variance is larger by that

// How the camera turns at a frame: rotation vector per frame, and its change per frame.
typedef struct turning {
    double w[3], change[3];
} turning;

static bool step_to(const gv_tracks_store *tracks, long frame, double w[3]) {
    const gv_track_frame *f = gv_tracks_store_at(tracks, frame);
    if (!f || f->from != frame - 1) return false;
    gv_so3_log(w, f->chain);
    return true;
}

// From the steps around the frame; false where none is known.
static bool turning_at(turning *t, const gv_tracks_store *tracks, long frame) {
    double s[4][3];
    bool known[4];
    for (int k = 0; k < 4; k++) known[k] = step_to(tracks, frame - 1 + k, s[k]);
    for (int i = 0; i < 3; i++) {
        t->change[i] = known[1] && known[2] ? s[2][i] - s[1][i] : 0;
        if (known[0] && known[1] && known[2] && known[3]) // derivative of the quartic through five angles
            t->w[i] = (7 * (s[1][i] + s[2][i]) - s[0][i] - s[3][i]) / 12;
        else if (known[1] && known[2])
            t->w[i] = 0.5 * (s[1][i] + s[2][i]);
        else
            t->w[i] = known[1] ? s[1][i] : known[2] ? s[2][i] : 0;
    }
    return known[1] || known[2];
}

// How a direction (x, y, 1) moves while the camera turns: rows of the two derivatives.
static void flow_rows(double x, double y, double jx[3], double jy[3]) {
    jx[0] = -x * y, jx[1] = 1 + x * x, jx[2] = -y;
    jy[0] = -1 - y * y, jy[1] = x * y, jy[2] = x;
}

// What the shutter moved a direction by, and its derivative by the readout.
static void displacement(double rows, double readout, const turning *t, double x, double y, double out[2],
                         double by[2]) {
    double jx[3], jy[3], turn[3], rate[3], row = rows * y, late = readout * row;
    flow_rows(x, y, jx, jy);
    for (int i = 0; i < 3; i++) {
        turn[i] = late * (t->w[i] + 0.5 * late * t->change[i]);
        rate[i] = row * (t->w[i] + late * t->change[i]);
    }
    out[0] = gv_dot3(jx, turn), out[1] = gv_dot3(jy, turn);
    by[0] = gv_dot3(jx, rate), by[1] = gv_dot3(jy, rate);
}

typedef struct term { // one match: residual, its derivatives by the readout and by the rotation
    double r[2], l[2], jx[3], jy[3];
} term;

static bool term_of(term *t, double rows, double readout, const double R[9], const gv_match *m, const turning *ta,
                    const turning *tb) {
    double da[2], db[2], la[2], lb[2], p[3];
    displacement(rows, readout, ta, m->a[0], m->a[1], da, la),
        displacement(rows, readout, tb, m->b[0], m->b[1], db, lb);
    double v[3] = {m->a[0] - da[0], m->a[1] - da[1], 1};
    gv_so3_apply(p, R, v);
    if (!(p[2] > 0.05)) return false;
    double u = p[0] / p[2], w = p[1] / p[2];
    t->r[0] = u - (m->b[0] - db[0]), t->r[1] = w - (m->b[1] - db[1]);
    for (int i = 0; i < 2; i++) t->l[i] = lb[i] - la[i]; // the rotation between neighbours is small
    flow_rows(u, w, t->jx, t->jy);
    return true;
}

typedef struct sums {
    double information, gradient, energy, weight;
    int pairs;
} sums;

// Frames b - 1 and b.
static void add_pair(sums *s, const gv_rolling *r, double readout, const gv_tracks_store *tracks, long b) {
    const gv_track_frame *fa = gv_tracks_store_at(tracks, b - 1), *fb = gv_tracks_store_at(tracks, b);
    turning ta, tb;
    if (!fa || !fb || fb->from != b - 1 || !turning_at(&ta, tracks, b - 1) || !turning_at(&tb, tracks, b)) return;
    gv_match m[GV_CORNERS_MAX];
    term t[GV_CORNERS_MAX];
    double length[GV_CORNERS_MAX], H[9] = {0}, h[3] = {0}, g[3] = {0}, Hh[3], I = 0, G = 0, E = 0, K = 0;
    int n = gv_tracks_raw_match(fa, fb, tracks->scale, m), count = 0;
    for (int i = 0; i < n; i++)
        count += term_of(&t[count], r->rows / tracks->scale, readout, fb->chain, m + i, &ta, &tb);
    if (count < LEAST_MATCHES) return;
    for (int i = 0; i < count; i++) length[i] = t[i].r[0] * t[i].r[0] + t[i].r[1] * t[i].r[1];
    gv_sort_doubles(length, (size_t)count);
    double c2 = 9 * length[count / 2] + 1e-14;
    for (int i = 0; i < count; i++) {
        const term *q = &t[i];
        double e2 = q->r[0] * q->r[0] + q->r[1] * q->r[1], k = 1 / ((1 + e2 / c2) * (1 + e2 / c2));
        for (int a = 0; a < 3; a++) {
            g[a] -= k * (q->jx[a] * q->r[0] + q->jy[a] * q->r[1]),
                h[a] += k * (q->jx[a] * q->l[0] + q->jy[a] * q->l[1]);
            for (int b2 = 0; b2 <= a; b2++) H[3 * a + b2] += k * (q->jx[a] * q->jx[b2] + q->jy[a] * q->jy[b2]);
        }
        I += k * (q->l[0] * q->l[0] + q->l[1] * q->l[1]), G -= k * (q->l[0] * q->r[0] + q->l[1] * q->r[1]);
        E += k * e2, K += 2 * k;
    }
    memcpy(Hh, h, sizeof h);
    if (!gv_cholesky(H, 3)) return;
    gv_cholesky_solve(H, 3, Hh); // the rotation eliminated
    s->information += fmax(0, I - gv_dot3(h, Hh)), s->gradient += G - gv_dot3(g, Hh);
    s->energy += E, s->weight += K, s->pairs++;
}

void gv_rolling_measure(gv_rolling *r, const gv_tracks_store *tracks, long first, long last) {
    double readout = r->measured;
    sums s;
    long step = 1 + (last - first) / MOST_PAIRS;
    for (int round = 0; round < ROUNDS; round++) {
        s = (sums){0};
        for (long b = first + 1; b <= last; b += step) add_pair(&s, r, readout, tracks, b);
        if (s.pairs < LEAST_PAIRS || !(s.information > 0)) return;
        readout = fmax(-0.5, fmin(1.5, readout + s.gradient / s.information));
    }
    double information = s.information * s.weight / (CORRELATED * s.energy + 1e-14), all = information + r->information;
    r->measured = (information * readout + r->information * r->measured) / all, r->information = all;
    bool sure = r->measured > LEAST + 2 / sqrt(all) && r->measured < MOST;
    r->readout = sure ? r->measured : 0;
}

void gv_rolling_undo(const gv_rolling *r, const gv_tracks_store *tracks, long frame) {
    gv_track_frame *f = gv_tracks_store_at(tracks, frame);
    turning t;
    double k = tracks->scale;
    bool turns = f && turning_at(&t, tracks, frame);
    for (int i = 0; f && i < f->count; i++) {
        double d[2] = {0}, by[2];
        if (turns) displacement(r->rows / k, r->readout, &t, k * f->raw_x[i], k * f->raw_y[i], d, by);
        f->x[i] = f->raw_x[i] - (float)(d[0] / k), f->y[i] = f->raw_y[i] - (float)(d[1] / k);
    }
}
