#include "camera/revisits.h"

#include "base/memory.h"
#include "camera/relative.h"
#include "geometry/so3.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    VIEWS = 128,  // remembered at most
    APART = 75,   // frames between two looks that are worth comparing: tracks link what is nearer
    PATIENCE = 3, // looks that may fail before the view is a new one
    LEAST_PAIRS = 30,
    SHRINK = 8, // level-1 px of a thumbnail's
    THUMB_W = GV_PICTURE_SIDE / 2 / SHRINK,
    THUMB = THUMB_W * THUMB_W,
    SEARCHES = 60, // looks after a cut in which views from before are searched
    DRAWS = 200
};
static const double NEAR = 0.15;       // rad: views of one direction
static const double LEAST_SHARE = 0.4; // of the corners that should be in the picture
static const double ALIKE = 0.6;       // correlation of thumbnails
static const double OVERLAP = 0.35;    // of their areas, at least

typedef struct remembered {
    long keyframe, frame;
    int shot;
    double R[9];
    int failures, count;
    float at[GV_REVISIT_MATCHES][2]; // level-0 px
    float thumb[THUMB];              // [thumb_height, thumb_width]
    uint8_t *grey;                   // [height, width] of level 1
} remembered;

struct gv_revisits {
    gv_picture old;   // whose level 0 is level 1 of the pictures
    double middle[2]; // level-0 px
    int thumb_width, thumb_height;
    int shot, searches; // searches: left in this shot
    remembered view[VIEWS];
    int count;
};

gv_status gv_revisits_create(gv_revisits **out, int width, int height, gv_error *err) {
    *out = NULL;
    gv_revisits *r = gv_calloc2(1, sizeof *r);
    if (!r) return gv_fail(err, GV_ERR_MEMORY, "no memory for views of %d x %d", width, height);
    r->middle[0] = width / 2., r->middle[1] = height / 2.;
    gv_status s = gv_picture_alloc(&r->old, width / 2 > 0 ? width / 2 : 1, height / 2 > 0 ? height / 2 : 1, err);
    if (s != GV_OK) {
        gv_revisits_destroy(r);
        return s;
    }
    r->thumb_width = r->old.level[0].width / SHRINK, r->thumb_height = r->old.level[0].height / SHRINK;
    *out = r;
    return GV_OK;
}

void gv_revisits_destroy(gv_revisits *r) {
    if (!r) return;
    for (int i = 0; i < VIEWS; i++) free(r->view[i].grey);
    gv_picture_free(&r->old);
    free(r);
}

void gv_revisits_refocus_rotation(double R[9], double ratio) {
    double w[3];
    gv_so3_log(w, R);
    w[0] /= ratio, w[1] /= ratio; // turns about the line of sight are what they are
    gv_so3_exp(R, w);
}

void gv_revisits_refocus(gv_revisits *r, double ratio) {
    for (int i = 0; i < r->count; i++) gv_revisits_refocus_rotation(r->view[i].R, ratio);
}

static void shrink(const gv_revisits *r, const gv_plane *level1, float *out) {
    for (int y = 0; y < r->thumb_height; y++)
        for (int x = 0; x < r->thumb_width; x++) {
            float sum = 0;
            for (int i = 0; i < SHRINK * SHRINK; i++)
                sum += level1->data[(long)(SHRINK * y + i / SHRINK) * level1->stride + SHRINK * x + i % SHRINK];
            out[y * r->thumb_width + x] = sum / (SHRINK * SHRINK);
        }
}

// Evenly chosen corners and the picture.
static void remember(const gv_revisits *r, remembered *v, long keyframe, long frame, const double R[9],
                     const gv_plane *level1, const gv_corners *corners) {
    const int w = level1->width, h = level1->height;
    if (!v->grey) v->grey = gv_calloc2((size_t)w, (size_t)h);
    if (!v->grey) return; // without memory it is not remembered
    v->keyframe = keyframe, v->frame = frame, v->failures = 0, v->shot = r->shot;
    shrink(r, level1, v->thumb);
    memcpy(v->R, R, sizeof v->R);
    v->count = corners->count < GV_REVISIT_MATCHES ? corners->count : GV_REVISIT_MATCHES;
    for (int i = 0; i < v->count; i++) {
        const gv_corner *k = &corners->track[(long)i * corners->count / v->count];
        v->at[i][0] = k->x, v->at[i][1] = k->y;
    }
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            v->grey[(long)y * w + x] = (uint8_t)lrintf(level1->data[(long)y * level1->stride + x]);
}

static int nearest(const gv_revisits *r, const double R[9], double *angle) {
    int best = -1;
    *angle = NEAR;
    for (int i = 0; i < r->count; i++) {
        double a = gv_so3_angle(r->view[i].R, R);
        if (r->view[i].grey && a < *angle) *angle = a, best = i;
    }
    return best;
}

// Where level-0 pixel `at` of the view should be now; false where it is out of sight.
static bool predict(const gv_revisits *r, const double D[9], double focal, const float at[2], float out[2]) {
    const double a[3] = {((double)at[0] - r->middle[0]) / focal, ((double)at[1] - r->middle[1]) / focal, 1};
    double b[3];
    gv_so3_apply(b, D, a);
    if (!(b[2] > 0.1)) return false;
    for (int i = 0; i < 2; i++) out[i] = (float)(focal * b[i] / b[2] + r->middle[i]);
    return out[0] > 4 && out[1] > 4 && (double)out[0] < 2 * r->middle[0] - 4 && (double)out[1] < 2 * r->middle[1] - 4;
}

// Level `finest` of a picture and those above as a picture of their own; borrowed.
static gv_picture from_level(const gv_picture *p, int finest) {
    gv_picture out = {.levels = p->levels - finest};
    for (int i = 0; i < out.levels; i++) out.level[i] = p->level[i + finest];
    return out;
}

// D: rotation from the view to now, roughly.
static bool match(gv_revisits *r, const remembered *v, const double D[9], double focal, const gv_picture *picture,
                  gv_revisit *found) {
    const gv_picture now = from_level(picture, 1);
    int expected = 0;
    gv_picture_fill_grey(&r->old, v->grey);
    found->count = 0;
    for (int i = 0; i < v->count; i++) {
        float to[2], at[2] = {v->at[i][0] / 2, v->at[i][1] / 2};
        if (!predict(r, D, focal, v->at[i], to)) continue;
        expected++;
        to[0] /= 2, to[1] /= 2;
        if (!gv_corner_search(&r->old, at[0], at[1], &now, &to[0], &to[1])) continue;
        for (int c = 0; c < 2; c++) found->a[found->count][c] = v->at[i][c], found->b[found->count][c] = 2 * to[c];
        found->count++;
    }
    return found->count >= LEAST_PAIRS && found->count > LEAST_SHARE * expected;
}

// Correlation of two thumbnails, b moved by (dx, dy) against a, where they overlap.
static double correlation(const gv_revisits *r, const float *a, const float *b, int dx, int dy) {
    const int w = r->thumb_width, h = r->thumb_height, x0 = dx < 0 ? -dx : 0, x1 = dx < 0 ? w : w - dx,
              y0 = dy < 0 ? -dy : 0, y1 = dy < 0 ? h : h - dy, n = (x1 - x0) * (y1 - y0);
    double sum[5] = {0};
    if (x1 <= x0 || y1 <= y0 || n < OVERLAP * w * h) return -1;
    for (int y = y0; y < y1; y++) {
        const float *p = a + y * w, *q = b + (y + dy) * w + dx;
        float s[5] = {0};
        for (int x = x0; x < x1; x++)
            s[0] += p[x], s[1] += q[x], s[2] += p[x] * p[x], s[3] += q[x] * q[x], s[4] += p[x] * q[x];
        for (int k = 0; k < 5; k++) sum[k] += (double)s[k];
    }
    const double aa = sum[2] - sum[0] * sum[0] / n, bb = sum[3] - sum[1] * sum[1] / n;
    return aa > n && bb > n ? (sum[4] - sum[0] * sum[1] / n) / sqrt(aa * bb) : -1; // n: one grey level of contrast
}

// Rotation from the view to now by the pairs that were found.
static bool fit(const gv_revisits *r, double D[9], const gv_revisit *found, double focal) {
    gv_match m[GV_REVISIT_MATCHES];
    for (int i = 0; i < found->count; i++)
        for (int c = 0; c < 2; c++) {
            m[i].a[c] = ((double)found->a[i][c] - r->middle[c]) / focal;
            m[i].b[c] = ((double)found->b[i][c] - r->middle[c]) / focal;
        }
    return gv_relative_rotation(D, m, found->count, 1 / focal, DRAWS, 1) >= LEAST_PAIRS;
}

// After a cut: the view from before that looks most like this one, at the best shift.
static bool recognise(gv_revisits *r, double R[9], double focal, const gv_picture *picture, gv_revisit *found) {
    float thumb[THUMB];
    double best = ALIKE, D[9], fitted[9], w[3] = {0};
    remembered *like = NULL;
    shrink(r, &picture->level[1], thumb);
    for (int i = 0; i < r->count; i++) {
        remembered *v = &r->view[i];
        if (!v->grey || v->shot == r->shot) continue;
        for (int dy = -r->thumb_height; dy < r->thumb_height; dy++)
            for (int dx = -r->thumb_width; dx < r->thumb_width; dx++) {
                const double c = correlation(r, v->thumb, thumb, dx, dy);
                if (c <= best) continue;
                best = c, like = v;
                w[0] = -atan(2 * SHRINK * dy / focal), w[1] = atan(2 * SHRINK * dx / focal);
            }
    }
    if (!like) return false;
    gv_so3_exp(D, w);
    found->from = like->keyframe;
    if (!match(r, like, D, focal, picture, found) || !fit(r, D, found, focal)) return false;
    gv_so3_mul(fitted, D, like->R);
    for (int i = 0; i < r->count; i++) { // what this shot has remembered turns along: R_i R^-1 stays
        double step[9];
        if (r->view[i].shot != r->shot) continue;
        gv_so3_mul_nt(step, r->view[i].R, R), gv_so3_mul(r->view[i].R, step, fitted);
    }
    memcpy(R, fitted, sizeof fitted);
    return true;
}

void gv_revisits_cut(gv_revisits *r) {
    if (r->count) r->shot++, r->searches = SEARCHES;
}

bool gv_revisits_look(gv_revisits *r, long keyframe, long frame, double R[9], double focal, const gv_picture *picture,
                      const gv_corners *corners, gv_revisit *found) {
    double angle, D[9];
    if (picture->levels < 2 || corners->count < LEAST_PAIRS) return false;
    *found = (gv_revisit){.to = keyframe};
    if (r->searches > 0 && r->searches-- && recognise(r, R, focal, picture, found)) {
        r->searches = 0;
        return true;
    }
    int i = nearest(r, R, &angle);
    if (i < 0) { // a new direction; where there is no room it takes the place of the one that was seen longest ago
        i = r->count < VIEWS ? r->count++ : 0;
        for (int k = 0; r->count == VIEWS && r->view[i].grey && k < VIEWS; k++)
            if (r->view[k].frame < r->view[i].frame) i = k;
        remember(r, &r->view[i], keyframe, frame, R, &picture->level[1], corners);
        return false;
    }
    remembered *v = &r->view[i];
    if (frame - v->frame < APART) return false;
    found->from = v->keyframe;
    gv_so3_mul_nt(D, R, v->R);
    if (match(r, v, D, focal, picture, found)) {
        v->failures = 0;
        return true;
    }
    if (++v->failures >= PATIENCE) remember(r, v, keyframe, frame, R, &picture->level[1], corners);
    return false;
}
