// sample.c - drawing clips, making new motions of them, putting our body into them.
#include "training/sample.h"
#include "training/poses.h"
#include "base/memory.h"
#include "geometry/rotation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { J = 22 };
#define PI 3.14159265358979

const gv_sample_options gv_sample_defaults = GV_SAMPLE_DEFAULTS;

// ---- which clip ----

// Shares of the categories; what is not named gets the last. Within one, sources share by the square root of their
// length, clips by their length: little things stay visible beside hours of waving.
static const struct {
    const char *name;
    double share;
} shares[] = {{"daily", 0.26},         {"locomotion", 0.24},   {"turning", 0.10},  {"dance", 0.09},
              {"sport", 0.09},         {"martial arts", 0.07}, {"climbing", 0.05}, {"sitting", 0.05},
              {"stairs/ladder", 0.02}, {"acrobatics", 0.015},  {"floor", 0.015},   {NULL, 0.02}};

static double share_of(const char *category) {
    int i = 0;
    while (shares[i].name && strcmp(shares[i].name, category)) i++;
    return shares[i].share;
}

static bool listed(const char *list, const char *name) {
    size_t n = strlen(name);
    for (const char *p = list; p && (p = strstr(p, name)); p += n)
        if ((p == list || p[-1] == ',') && (p[n] == 0 || p[n] == ',')) return true;
    return false;
}

typedef struct group { // clips of one category and source
    const gv_clip *like;
    double frames;
} group;

enum { GROUPS = 4096 }; // what comes after so many shares the last one's probability
static int group_of(const group *g, int count, const gv_clip *c) {
    int i = 0;
    while (i < count && (strcmp(g[i].like->category, c->category) || strcmp(g[i].like->source, c->source))) i++;
    return i;
}

static void set_probabilities(gv_sampler *s, group *g) {
    int groups = 0, last = -1;
    for (int i = 0; i < s->count; i++) {
        const gv_clip *c = &s->store->clips[s->clip[i]];
        int k = group_of(g, groups, c);
        if (k == GROUPS) k = GROUPS - 1;
        if (k == groups) g[groups++] = (group){.like = c};
        g[k].frames += c->frames;
    }
    double sum = 0, per_frame = 1;
    for (int i = 0; i < s->count; i++) {
        const gv_clip *c = &s->store->clips[s->clip[i]];
        int k = group_of(g, groups, c);
        if (k == groups) k = groups - 1;
        if (k != last && !s->options.plain) {
            double roots = 0;
            for (int e = 0; e < groups; e++)
                if (!strcmp(g[e].like->category, c->category)) roots += sqrt(g[e].frames);
            per_frame = share_of(c->category) * sqrt(g[k].frames) / roots / g[k].frames;
        }
        last = k;
        s->cumulative[i] = sum += per_frame * c->frames;
    }
    for (int i = 0; i < s->count; i++) s->cumulative[i] /= sum;
}

gv_status gv_sampler_init(gv_sampler *s, const gv_store *store, const gv_rig *rig, const gv_sample_options *o,
                          gv_error *err) {
    *s = (gv_sampler){.store = store, .rig = rig, .options = *o};
    s->clip = gv_calloc2((size_t)store->clip_count, sizeof(int));
    s->cumulative = gv_calloc2((size_t)store->clip_count, sizeof(double));
    group *groups = gv_calloc2(GROUPS, sizeof *groups);
    if (!s->clip || !s->cumulative || !groups) {
        gv_sampler_free(s);
        free(groups);
        return gv_fail(err, GV_ERR_MEMORY, "no memory for %d clips", store->clip_count);
    }
    for (int i = 0; i < store->clip_count; i++) {
        const char *subject = store->clips[i].subject;
        if (o->plain && store->clips[i].incam_only) continue; // there is no truth to hold against
        if ((!o->leave_out || !listed(o->leave_out, subject)) && (!o->only || listed(o->only, subject)))
            s->clip[s->count++] = i;
    }
    if (!s->count) {
        gv_sampler_free(s);
        free(groups);
        return gv_fail(err, GV_ERR_EMPTY, "no clip of the subjects asked for (%s)",
                       o->only ? o->only : "all but the left-out ones");
    }
    set_probabilities(s, groups);
    free(groups);
    return GV_OK;
}

void gv_sampler_free(gv_sampler *s) {
    free(s->clip);
    free(s->cumulative);
    s->clip = NULL;
    s->cumulative = NULL;
    s->count = 0;
}

static const gv_clip *draw_clip(const gv_sampler *s, gv_rng *r) {
    double u = gv_uniform01(r);
    int lo = 0, hi = s->count - 1;
    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (s->cumulative[mid] > u)
            hi = mid;
        else
            lo = mid + 1;
    }
    return &s->store->clips[s->clip[lo]];
}

// ---- reading with another speed ----

static const int mirror_joint[J] = {0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20};

static void read_pose(float q[J][4], const gv_store *s, uint64_t frame, bool mirror) {
    const int16_t *p = s->rotation + frame * J * 4;
    for (int j = 0; j < J; j++) {
        const int16_t *a = p + 4 * (mirror ? mirror_joint[j] : j);
        for (int c = 0; c < 4; c++) q[j][c] = (float)a[c] * (mirror && c >= 2 ? -1.0f : 1.0f);
    }
}

static void nlerp(float q[4], const float a[4], const float b[4], float w) {
    float d = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3], n = 0, s = d < 0 ? -w : w;
    for (int c = 0; c < 4; c++) {
        q[c] = a[c] * (1 - w) + b[c] * s;
        n += q[c] * q[c];
    }
    n = n > 0 ? 1 / sqrtf(n) : 0;
    for (int c = 0; c < 4; c++) q[c] *= n;
}

typedef struct excerpt { // frames start, start + speed, ... of a clip
    const gv_clip *clip;
    double start, speed;
    int frames;
    bool mirror;
} excerpt;

static excerpt draw_excerpt(const gv_sampler *s, gv_rng *r, int L) {
    excerpt e = {.clip = draw_clip(s, r), .mirror = gv_chance(r, 0.5)};
    double span = e.clip->frames - 1;
    if (s->options.plain)
        e.speed = 1;
    else if (gv_chance(r, s->options.slow)) // films are often made with twice the frames and more
        e.speed = exp(gv_uniform(r, log(0.33), log(0.67)));
    else
        e.speed = exp(gv_uniform(r, log(0.67), log(1.5)));
    if (!s->options.plain && span < (L - 1) * e.speed) e.speed = fmax(span / (L - 1), 0.6);
    e.frames = (int)fmin(L, floor(span / e.speed + 1e-6) + 1);
    e.start = gv_uniform01(r) * (span - (e.frames - 1) * e.speed);
    if (e.start < 0) e.start = 0;
    if (s->options.plain) e.mirror = false;
    return e;
}

static void read_excerpt(gv_sequence *m, const gv_store *s, const excerpt *e) {
    m->frames = e->frames;
    m->leg = e->clip->leg;
    m->incam_only = e->clip->incam_only;
    for (int t = 0; t < e->frames; t++) {
        double at = e->start + t * e->speed;
        uint64_t i = (uint64_t)at;
        if (i + 1 >= e->clip->frames) i = e->clip->frames - 2;
        float w = (float)fmin(at - (double)i, 1), a[J][4], b[J][4];
        uint64_t f = e->clip->first + i;
        read_pose(a, s, f, e->mirror);
        read_pose(b, s, f + 1, e->mirror);
        for (int j = 0; j < J; j++) nlerp(m->q[t][j], a[j], b[j], w);
        for (int c = 0; c < 3; c++) m->hips[t][c] = s->hips[3 * f + c] * (1 - w) + s->hips[3 * (f + 1) + c] * w;
        if (e->mirror) m->hips[t][0] = -m->hips[t][0];
        for (int c = 0; c < 4; c++) {
            int k = e->mirror ? (c + 2) % 4 : c;
            m->still[t][c] = (s->still[4 * f + k] * (1 - w) + s->still[4 * (f + 1) + k] * w) / 255;
        }
    }
}

// ---- new motions ----

enum { UPPER = 1, ARMS = 2, LEFT_ARM = 4, RIGHT_ARM = 8 };
static bool in_part(int joint, int part) {
    bool left = joint == 13 || joint == 16 || joint == 18 || joint == 20,
         right = joint == 14 || joint == 17 || joint == 19 || joint == 21;
    bool trunk = joint == 3 || joint == 6 || joint == 9 || joint == 12 || joint == 15;
    return (left && part & (UPPER | ARMS | LEFT_ARM)) || (right && part & (UPPER | ARMS | RIGHT_ARM)) ||
           (trunk && part & UPPER);
}

static bool take_part(gv_sequence *m, const gv_sampler *s, gv_rng *r, int part) {
    excerpt e = draw_excerpt(s, r, m->frames);
    gv_sequence *other = malloc(sizeof *other);
    if (!other) return false;
    read_excerpt(other, s->store, &e);
    for (int t = 0; t < m->frames; t++) {
        int k = t % (2 * other->frames); // short ones go back and forth
        if (k >= other->frames) k = 2 * other->frames - 1 - k;
        for (int j = 1; j < J; j++)
            if (in_part(j, part)) memcpy(m->q[t][j], other->q[k][j], sizeof(float[4]));
    }
    free(other);
    return true;
}

// Poses of random frames as key frames, half a second to two apart, joined by smooth steps.
static void key_frames(gv_sequence *m, const gv_sampler *s, gv_rng *r, int part) {
    float a[J][4], b[J][4];
    int from = 0, to = 0;
    for (int t = 0; t < m->frames; t++) {
        if (t == to) {
            memcpy(a, b, sizeof a);
            for (int k = t == 0 ? 0 : 1; k < 2; k++) {
                const gv_clip *c = draw_clip(s, r);
                read_pose(k ? b : a, s->store, c->first + (uint64_t)gv_randint(r, 0, (int)c->frames),
                          gv_chance(r, 0.5));
            }
            from = t;
            to = t + gv_randint(r, 12, 60);
        }
        float u = (float)(t - from) / (float)(to - from), w = u * u * (3 - 2 * u);
        for (int j = 1; j < J; j++) {
            if (!in_part(j, part)) continue;
            float qa[4], qb[4], one[4] = {0};
            nlerp(qa, a[j], one, 0); // to unit length
            nlerp(qb, b[j], one, 0);
            gv_quat_slerp(m->q[t][j], qa, qb, w);
        }
    }
}

static bool recombine(gv_sequence *m, const gv_sampler *s, gv_rng *r) {
    static const int one_arm[2] = {LEFT_ARM, RIGHT_ARM};
    double u = gv_uniform01(r);
    if (u < 0.30) return take_part(m, s, r, UPPER);
    if (u < 0.50) return take_part(m, s, r, ARMS);
    if (u < 0.60)
        key_frames(m, s, r, UPPER);
    else if (u < 0.75)
        key_frames(m, s, r, ARMS);
    else
        key_frames(m, s, r, one_arm[gv_randint(r, 0, 2)]);
    return true;
}

// Standard deviations of the shift of each joint's angles, rad.
static const float shift_std[J] = {0.06f, 0.10f, 0.10f, 0.10f, 0.12f, 0.12f, 0.06f, 0.10f, 0.10f, 0.06f, 0.08f,
                                   0.08f, 0.12f, 0.06f, 0.06f, 0.15f, 0.22f, 0.22f, 0.25f, 0.25f, 0.25f, 0.25f};

static void perturb(gv_sequence *m, gv_rng *r) {
    for (int j = 0; j < J; j++) {
        if (!gv_chance(r, 0.5)) continue;
        float constant[3], wave[3];
        double phase = gv_uniform(r, 0, 2 * PI), omega = 2 * PI * gv_uniform(r, 0.15, 1) / 30;
        for (int c = 0; c < 3; c++) {
            constant[c] = (float)gv_normal(r) * shift_std[j];
            wave[c] = (float)gv_normal(r) * shift_std[j] * 0.5f;
        }
        for (int t = 0; t < m->frames; t++) {
            float aa[3], q[4], s = (float)sin(phase + omega * t), *p = m->q[t][j], o[4];
            for (int c = 0; c < 3; c++) aa[c] = constant[c] + wave[c] * s;
            gv_quat_from_aa(q, aa);
            o[0] = p[0] * q[0] - p[1] * q[1] - p[2] * q[2] - p[3] * q[3];
            o[1] = p[0] * q[1] + p[1] * q[0] + p[2] * q[3] - p[3] * q[2];
            o[2] = p[0] * q[2] - p[1] * q[3] + p[2] * q[0] + p[3] * q[1];
            o[3] = p[0] * q[3] + p[1] * q[2] - p[2] * q[1] + p[3] * q[0];
            memcpy(p, o, sizeof o);
        }
    }
}

static void draw_shape(gv_sequence *m, gv_rng *r) {
    for (int k = 0; k < GV_BETAS; k++) {
        double b = gv_normal(r);
        m->betas[k] = (float)(b < -2.5 ? -2.5 : b > 2.5 ? 2.5 : b);
    }
}

// The clip's own shape and a little more (SPEC.md 14.5), where it has one.
static void take_shape(gv_sequence *m, const gv_clip *c, gv_rng *r) {
    for (int k = 0; k < GV_BETAS; k++) m->betas[k] = c->betas[k] + 0.1f * (float)gv_normal(r);
}

void gv_sequence_read(gv_sequence *m, const gv_store *s, const gv_clip *c, int first, int frames, gv_rng *r) {
    const excerpt e = {.clip = c, .start = first, .speed = 1, .frames = frames};
    read_excerpt(m, s, &e);
    draw_shape(m, r);
}

bool gv_sequence_draw(gv_sequence *m, const gv_sampler *s, gv_rng *r, int L) {
    excerpt e = draw_excerpt(s, r, L);
    read_excerpt(m, s->store, &e);
    if (gv_chance(r, s->options.recombine) && !recombine(m, s, r)) return false;
    if (gv_chance(r, s->options.bend)) gv_sequence_bend(m, s->rig, r);
    if (gv_chance(r, s->options.lay)) gv_sequence_lay(m, s->rig, r);
    if (gv_chance(r, s->options.perturb)) perturb(m, r);
    if (e.clip->shaped && gv_chance(r, s->options.shapes))
        take_shape(m, e.clip, r);
    else
        draw_shape(m, r);
    return true;
}

// ---- our body in it ----

static float length(const float a[3], const float b[3]) {
    return sqrtf((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) + (a[2] - b[2]) * (a[2] - b[2]));
}

// A foot that stood still in the capture stands still on our body: what it moves is taken from the translation
// (on the ground plane), each foot joint with its stillness as weight.
static void hold_feet(gv_sequence *m) {
    float shift[2] = {0};
    for (int t = 0; t + 1 < m->frames; t++) { // joints are those before the correction, so is every difference
        float sum = 0, move[2] = {0};
        for (int k = 0; k < 4; k++) {
            float w = fminf(m->still[t][k], m->still[t + 1][k]);
            const float *a = m->joints[t][gv_foot_joints[k]], *b = m->joints[t + 1][gv_foot_joints[k]];
            sum += w;
            move[0] += w * (b[0] - a[0]);
            move[1] += w * (b[2] - a[2]);
        }
        for (int c = 0; c < 2; c++) shift[c] -= move[c] / fmaxf(sum, 1);
        m->transl[t + 1][0] += shift[0];
        m->transl[t + 1][2] += shift[1];
    }
}

void gv_sequence_place(gv_sequence *m, const gv_rig *rig, gv_rng *r) {
    gv_rig_pose p;
    gv_rig_shape(&p, rig, m->betas);
    float ratio = 0.5f *
                  (length(p.S[1], p.S[4]) + length(p.S[4], p.S[7]) + length(p.S[2], p.S[5]) + length(p.S[5], p.S[8])) /
                  m->leg;
    float yaw[9], aa[3] = {0, (float)gv_uniform(r, -PI, PI), 0}, mid[3];
    for (int c = 0; c < 3; c++) mid[c] = 0.5f * (p.S[1][c] + p.S[2][c]) - p.S[0][c];
    gv_rot_from_aa(yaw, aa);
    float first[3] = {m->hips[0][0], 0, m->hips[0][2]};
    for (int t = 0; t < m->frames; t++) {
        float R[9], hips[3], d[3];
        for (int j = 0; j < J; j++) gv_rot_from_quat(j ? p.local[j] : R, m->q[t][j]);
        gv_mat3_mul(p.local[0], yaw, R);
        memcpy(m->R_w[t], p.local[0], sizeof m->R_w[t]);
        for (int c = 0; c < 3; c++) d[c] = ratio * (m->hips[t][c] - first[c]);
        gv_mat3_apply(hips, yaw, d);
        gv_mat3_apply(d, p.local[0], mid);
        gv_rig_fk(&p);
        for (int c = 0; c < 3; c++) m->transl[t][c] = hips[c] - d[c] - p.S[0][c];
        for (int j = 0; j < J; j++)
            for (int c = 0; c < 3; c++) m->joints[t][j][c] = p.t[j][c] + m->transl[t][c];
    }
    float before[GV_MAX_FRAMES][3];
    memcpy(before, m->transl, sizeof(float[3]) * (size_t)m->frames);
    hold_feet(m);
    for (int t = 0; t < m->frames; t++)
        for (int j = 0; j < J; j++)
            for (int c = 0; c < 3; c++) m->joints[t][j][c] += m->transl[t][c] - before[t][c];
}
