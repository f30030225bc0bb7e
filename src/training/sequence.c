// sequence.c - making new motions of clips, putting our body into them.
#include "training/sequence.h"
#include "geometry/rotation.h"
#include "training/poses.h"
#include "training/sample.h"

#include <math.h>
#include <string.h>

GV_PART const gv_clip *draw_clip(const gv_sampler *s, gv_rng *r) {
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

GV_TABLE int mirror_joint[J] = {0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20};

GV_PART void read_pose(float q[J][4], const gv_store *s, uint64_t frame, bool mirror) {
    const int16_t *p = s->rotation + frame * J * 4;
    for (int j = 0; j < J; j++) {
        const int16_t *a = p + 4 * (mirror ? mirror_joint[j] : j);
        for (int c = 0; c < 4; c++) q[j][c] = (float)a[c] * (mirror && c >= 2 ? -1.0f : 1.0f);
    }
}

GV_PART void nlerp(float q[4], const float a[4], const float b[4], float w) {
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

GV_PART excerpt draw_excerpt(const gv_sampler *s, gv_rng *r, int L) {
    excerpt e;
    e.clip = draw_clip(s, r);
    e.mirror = gv_chance(r, 0.5);
    double span = e.clip->frames - 1;
    if (s->options.plain)
        e.speed = 1;
    else if (gv_chance(r, s->options.slow)) // films are often made with twice the frames and more
        e.speed = exp(gv_uniform(r, log(0.33), log(0.67)));
    else
        e.speed = exp(gv_uniform(r, log(0.67), log(1.5)));
    if (!s->options.plain && span < (L - 1) * e.speed) e.speed = fmax(span / (L - 1), 0.6);
    e.frames = (int)fmin((double)L, floor(span / e.speed + 1e-6) + 1);
    e.start = gv_uniform01(r) * (span - (e.frames - 1) * e.speed);
    if (e.start < 0) e.start = 0;
    if (s->options.plain) e.mirror = false;
    return e;
}

// The clip's frame before frame t of the excerpt, and how far t is from there to the next.
GV_PART uint64_t frame_of(float *w, const excerpt *e, int t) {
    double at = e->start + t * e->speed;
    uint64_t i = (uint64_t)at;
    if (i + 1 >= e->clip->frames) i = e->clip->frames - 2;
    *w = (float)fmin(at - (double)i, 1.0);
    return e->clip->first + i;
}

GV_PART void pose_between(float q[J][4], const gv_store *s, uint64_t frame, float w, bool mirror) {
    float a[J][4], b[J][4];
    read_pose(a, s, frame, mirror);
    read_pose(b, s, frame + 1, mirror);
    for (int j = 0; j < J; j++) nlerp(q[j], a[j], b[j], w);
}

GV_PART void read_excerpt(gv_sequence *m, const gv_store *s, const excerpt *e) {
    GV_EACH(once, 1) {
        m->frames = e->frames + once;
        m->leg = e->clip->leg;
        m->incam_only = e->clip->incam_only;
    }
    GV_EACH(t, e->frames) {
        float w;
        uint64_t f = frame_of(&w, e, t);
        pose_between(m->q[t], s, f, w, e->mirror);
        for (int c = 0; c < 3; c++) m->hips[t][c] = s->hips[3 * f + c] * (1 - w) + s->hips[3 * (f + 1) + c] * w;
        if (e->mirror) m->hips[t][0] = -m->hips[t][0];
        for (int c = 0; c < 4; c++) {
            int k = e->mirror ? (c + 2) % 4 : c;
            m->still[t][c] = (s->still[4 * f + k] * (1 - w) + s->still[4 * (f + 1) + k] * w) / 255;
        }
    }
    GV_MEET();
}

// ---- new motions ----

enum { UPPER = 1, ARMS = 2, LEFT_ARM = 4, RIGHT_ARM = 8 };
GV_PART bool in_part(int joint, int part) {
    bool left = joint == 13 || joint == 16 || joint == 18 || joint == 20,
         right = joint == 14 || joint == 17 || joint == 19 || joint == 21;
    bool trunk = joint == 3 || joint == 6 || joint == 9 || joint == 12 || joint == 15;
    return (left && part & (UPPER | ARMS | LEFT_ARM)) || (right && part & (UPPER | ARMS | RIGHT_ARM)) ||
           (trunk && part & UPPER);
}

GV_PART void take_part(gv_sequence *m, const gv_sampler *s, gv_rng *r, int part) {
    excerpt e = draw_excerpt(s, r, m->frames);
    GV_EACH(t, m->frames) {
        int k = t % (2 * e.frames); // short ones go back and forth
        if (k >= e.frames) k = 2 * e.frames - 1 - k;
        float w, q[J][4];
        uint64_t f = frame_of(&w, &e, k);
        pose_between(q, s->store, f, w, e.mirror);
        for (int j = 1; j < J; j++)
            if (in_part(j, part)) memcpy(m->q[t][j], q[j], sizeof(float[4]));
    }
}

// Poses of random frames as key frames, half a second to two apart, joined by smooth steps.
GV_PART void key_frames(gv_sequence *m, const gv_sampler *s, gv_rng *r, int part) {
    float a[J][4], b[J][4];
    int from = 0, to = 0;
    for (int t = 0; t < m->frames; t++) {
        if (t == to) {
            memcpy(a, b, sizeof a);
            for (int k = t == 0 ? 0 : 1; k < 2; k++) {
                const gv_clip *c = draw_clip(s, r);
                bool mirror = gv_chance(r, 0.5);
                read_pose(k ? b : a, s->store, c->first + (uint64_t)gv_randint(r, 0, (int)c->frames), mirror);
            }
            from = t;
            to = t + gv_randint(r, 12, 60);
        }
        if (!gv_team_has(t)) continue;
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

GV_PART void recombine(gv_sequence *m, const gv_sampler *s, gv_rng *r) {
    double u = gv_uniform01(r);
    if (u < 0.50)
        take_part(m, s, r, u < 0.30 ? UPPER : ARMS);
    else if (u < 0.60)
        key_frames(m, s, r, UPPER);
    else if (u < 0.75)
        key_frames(m, s, r, ARMS);
    else
        key_frames(m, s, r, gv_randint(r, 0, 2) ? RIGHT_ARM : LEFT_ARM);
    GV_MEET();
}

// Standard deviations of the shift of each joint's angles, rad.
GV_TABLE float shift_std[J] = {0.06f, 0.10f, 0.10f, 0.10f, 0.12f, 0.12f, 0.06f, 0.10f, 0.10f, 0.06f, 0.08f,
                               0.08f, 0.12f, 0.06f, 0.06f, 0.15f, 0.22f, 0.22f, 0.25f, 0.25f, 0.25f, 0.25f};

GV_PART void perturb(gv_sequence *m, gv_rng *r) {
    for (int j = 0; j < J; j++) {
        if (!gv_chance(r, 0.5)) continue;
        float constant[3], wave[3];
        double phase = gv_uniform(r, 0, 2 * PI), omega = 2 * PI * gv_uniform(r, 0.15, 1) / 30;
        for (int c = 0; c < 3; c++) {
            constant[c] = (float)gv_normal(r) * shift_std[j];
            wave[c] = (float)gv_normal(r) * shift_std[j] * 0.5f;
        }
        GV_EACH(t, m->frames) {
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

GV_PART void draw_shape(gv_sequence *m, gv_rng *r) {
    GV_EACH(k, GV_BETAS) {
        gv_rng mine = gv_rng_after(r, 2 * k);
        double b = gv_normal(&mine);
        m->betas[k] = (float)(b < -2.5 ? -2.5 : b > 2.5 ? 2.5 : b);
    }
    *r = gv_rng_after(r, 2 * GV_BETAS);
    GV_MEET();
}

// The clip's own shape and a little more (SPEC.md 14.5), where it has one.
GV_PART void take_shape(gv_sequence *m, const gv_clip *c, gv_rng *r) {
    GV_EACH(k, GV_BETAS) {
        gv_rng mine = gv_rng_after(r, 2 * k);
        m->betas[k] = c->betas[k] + 0.1f * (float)gv_normal(&mine);
    }
    *r = gv_rng_after(r, 2 * GV_BETAS);
    GV_MEET();
}

GV_SHARED void gv_sequence_read(gv_sequence *m, const gv_store *s, const gv_clip *c, int first, int frames, gv_rng *r) {
    excerpt e;
    e.clip = c;
    e.start = first;
    e.speed = 1;
    e.frames = frames;
    e.mirror = false;
    read_excerpt(m, s, &e);
    draw_shape(m, r);
}

GV_SHARED void gv_sequence_draw(gv_sequence *m, const gv_sampler *s, gv_rng *r, int L) {
    excerpt e = draw_excerpt(s, r, L);
    read_excerpt(m, s->store, &e);
    if (gv_chance(r, s->options.recombine)) recombine(m, s, r);
    if (gv_chance(r, s->options.bend)) gv_sequence_bend(m, s->rig, r);
    if (gv_chance(r, s->options.lay)) gv_sequence_lay(m, s->rig, r);
    if (gv_chance(r, s->options.perturb)) perturb(m, r);
    if (e.clip->shaped && gv_chance(r, s->options.shapes))
        take_shape(m, e.clip, r);
    else
        draw_shape(m, r);
}

// ---- our body in it ----

GV_PART float length(const float a[3], const float b[3]) {
    return sqrtf((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) + (a[2] - b[2]) * (a[2] - b[2]));
}

// A foot that stood still in the capture stands still on our body: what it moves is taken from the translation
// (on the ground plane), each foot joint with its stillness as weight. Joints follow afterwards: here they are read.
GV_PART void hold_feet(gv_sequence *m) {
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
        if (!gv_team_has(t + 1)) continue;
        for (int c = 0; c < 2; c++) {
            float before = m->transl[t + 1][2 * c];
            m->transl[t + 1][2 * c] += shift[c];
            m->held[t + 1][c] = m->transl[t + 1][2 * c] - before;
        }
    }
    GV_MEET();
    GV_EACH(t, m->frames)
    for (int j = 0; j < J && t > 0; j++)
        for (int c = 0; c < 2; c++) m->joints[t][j][2 * c] += m->held[t][c];
    GV_MEET();
}

GV_SHARED void gv_sequence_place(gv_sequence *m, const gv_rig *rig, gv_rng *r) {
    gv_rig_pose p;
    gv_rig_shape(&p, rig, m->betas);
    float ratio = 0.5f *
                  (length(p.S[1], p.S[4]) + length(p.S[4], p.S[7]) + length(p.S[2], p.S[5]) + length(p.S[5], p.S[8])) /
                  m->leg;
    float yaw[9], aa[3] = {0, (float)gv_uniform(r, -PI, PI), 0}, mid[3];
    for (int c = 0; c < 3; c++) mid[c] = 0.5f * (p.S[1][c] + p.S[2][c]) - p.S[0][c];
    gv_rot_from_aa(yaw, aa);
    float first[3] = {m->hips[0][0], 0, m->hips[0][2]};
    GV_EACH(t, m->frames) {
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
    GV_MEET();
    hold_feet(m);
}
