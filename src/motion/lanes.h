// lanes.h - four frames at a time: small vector algebra whose scalars hold one value per frame.
//
// The solver treats every frame alike, so it runs in structure-of-arrays form: a v4d is one number of
// four consecutive frames in one AVX2 register. Double, because the reference's float32 noise is what the
// solver must not add to (SPEC.md 16). Internal to src/motion.
#pragma once
#include "geometry/vec4d.h"

enum { GV_LANES = 4 };

typedef struct lane3 {
    v4d x, y, z;
} lane3;
typedef struct lane_mat3 {
    lane3 col[3];
} lane_mat3; // columns
typedef struct lane_quat {
    v4d w;
    lane3 v;
} lane_quat;
typedef struct lane_pose {
    lane_mat3 rot;
    lane3 pos;
} lane_pose; // a rigid transform, or nearly so

static inline v4d lane_max(v4d a, double b) {
    return v4d_select(a > v4d_set(b), a, v4d_set(b));
}

static inline v4d lane_sqrt(v4d a) {
    for (int i = 0; i < GV_LANES; i++) a[i] = sqrt(a[i]);
    return a;
}

static inline lane3 lane3_add(lane3 a, lane3 b) {
    return (lane3){a.x + b.x, a.y + b.y, a.z + b.z};
}
static inline lane3 lane3_sub(lane3 a, lane3 b) {
    return (lane3){a.x - b.x, a.y - b.y, a.z - b.z};
}
static inline lane3 lane3_scale(lane3 a, v4d s) {
    return (lane3){a.x * s, a.y * s, a.z * s};
}
static inline v4d lane3_dot(lane3 a, lane3 b) {
    return a.x * b.x + a.y * b.y + a.z * b.z;
}
static inline v4d lane3_norm(lane3 a) {
    return lane_sqrt(lane3_dot(a, a));
}
static inline lane3 lane3_cross(lane3 a, lane3 b) {
    return (lane3){a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

static inline lane3 lane_mat3_apply(const lane_mat3 *m, lane3 v) {
    return lane3_add(lane3_add(lane3_scale(m->col[0], v.x), lane3_scale(m->col[1], v.y)), lane3_scale(m->col[2], v.z));
}

static inline lane_mat3 lane_mat3_mul(const lane_mat3 *a, const lane_mat3 *b) {
    return (lane_mat3){{lane_mat3_apply(a, b->col[0]), lane_mat3_apply(a, b->col[1]), lane_mat3_apply(a, b->col[2])}};
}

// N of SPEC.md 9 and 10: every column divided by (its norm + 1e-9)
static inline lane_mat3 lane_mat3_unit_columns(const lane_mat3 *m) {
    lane_mat3 r;
    for (int i = 0; i < 3; i++) r.col[i] = lane3_scale(m->col[i], 1 / (lane3_norm(m->col[i]) + 1e-9));
    return r;
}

// Parent's transform times a local one, columns normalised as in the reference
static inline lane_pose lane_pose_chain(const lane_pose *parent, const lane_pose *local) {
    lane_mat3 product = lane_mat3_mul(&parent->rot, &local->rot);
    return (lane_pose){lane_mat3_unit_columns(&product),
                       lane3_add(lane_mat3_apply(&parent->rot, local->pos), parent->pos)};
}

// PyTorch3D's axis-angle to matrix (SPEC.md 1.1)
static inline lane_mat3 lane_mat3_from_aa(lane3 a) {
    v4d th = lane3_norm(a), s, c;
    for (int i = 0; i < GV_LANES; i++) s[i] = sin(th[i] / 2), c[i] = cos(th[i] / 2);
    v4m small = th < v4d_set(1e-6);
    v4d k = v4d_select(small, 0.5 - th * th / 48, s / v4d_select(small, v4d_set(1), th));
    v4d w = c, x = k * a.x, y = k * a.y, z = k * a.z, f = 2 / (w * w + x * x + y * y + z * z);
    return (lane_mat3){{{1 - f * (y * y + z * z), f * (x * y + z * w), f * (x * z - y * w)},
                        {f * (x * y - z * w), 1 - f * (x * x + z * z), f * (y * z + x * w)},
                        {f * (x * z + y * w), f * (y * z - x * w), 1 - f * (x * x + y * y)}}};
}

// Three consecutive numbers of four frames, `stride` numbers apart; frames beyond the last repeat it.
static inline lane3 lane3_gather(const double *p, int64_t first, int64_t frames, int64_t stride) {
    lane3 r;
    for (int i = 0; i < GV_LANES; i++) {
        const double *q = p + (first + i < frames ? first + i : frames - 1) * stride;
        r.x[i] = q[0], r.y[i] = q[1], r.z[i] = q[2];
    }
    return r;
}

static inline void lane3_scatter(double *p, lane3 v, int64_t first, int64_t frames, int64_t stride) {
    for (int i = 0; i < GV_LANES && first + i < frames; i++) {
        double *q = p + (first + i) * stride;
        q[0] = v.x[i], q[1] = v.y[i], q[2] = v.z[i];
    }
}
