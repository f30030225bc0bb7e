#include "motion/kinematics.h"

#include "body/body.h"
#include "geometry/rotation.h"
#include "motion/lanes.h"
#include "motion/smoothing.h"

enum { BODY = 22, CHAIN = 5, SWEEPS = 2 };

static void offsets(lane3 offset[BODY], const double *rest) {
    for (int j = 0; j < BODY; j++) {
        const double zero[3] = {0}, *r = rest + 3 * j, *p = j ? rest + 3 * gv_parents55[j] : zero;
        offset[j] = (lane3){v4d_set(r[0] - p[0]), v4d_set(r[1] - p[1]), v4d_set(r[2] - p[2])};
    }
}

// Local and global transforms of four frames from `first`.
static void forward(lane_pose local[BODY], lane_pose global[BODY], const lane3 offset[BODY], const double *body_pose,
                    const double *orient, const double *transl, int first, int frames) {
    for (int j = 0; j < BODY; j++) {
        lane3 aa =
            j ? lane3_gather(body_pose + 3 * (j - 1), first, frames, 63) : lane3_gather(orient, first, frames, 3);
        lane_mat3 r = lane_mat3_from_aa(aa);
        local[j] = (lane_pose){lane_mat3_unit_columns(&r), offset[j]};
    }
    local[0].pos = lane3_add(local[0].pos, lane3_gather(transl, first, frames, 3));
    global[0] = local[0];
    for (int j = 1; j < BODY; j++) global[j] = lane_pose_chain(&global[gv_parents55[j]], &local[j]);
}

void gv_fk_joints(double *joints, const double *rest, const double *body_pose, const double *orient,
                  const double *transl, int frames) {
    lane3 offset[BODY];
    offsets(offset, rest);
#pragma omp parallel for schedule(static) if (frames >= GV_PARALLEL_FROM)
    for (int t = 0; t < frames; t += GV_LANES) {
        lane_pose local[BODY], global[BODY];
        forward(local, global, offset, body_pose, orient, transl, t, frames);
        for (int j = 0; j < BODY; j++) lane3_scatter(joints + 3 * j, global[j].pos, t, frames, 3 * BODY);
    }
}

// ---- CCD inverse kinematics (SPEC.md 10) -----------------------------------------------------------------

typedef struct chain {
    int joint[CHAIN];
    int targets, at[2], from[2]; // position in the chain and index among the six targets
} chain;

// Their fixed starts (0 and 9) are no other chain's inner joints, so the order of the chains does not matter.
static const chain chains[4] = {
    {{0, 1, 4, 7, 10}, 2, {3, 4}, {0, 1}},
    {{0, 2, 5, 8, 11}, 2, {3, 4}, {2, 3}},
    {{9, 13, 16, 18, 20}, 1, {4}, {4}},
    {{9, 14, 17, 19, 21}, 1, {4}, {5}},
};

static lane_quat quat_mul(lane_quat a, lane_quat b) {
    return (lane_quat){a.w * b.w - lane3_dot(a.v, b.v),
                       lane3_add(lane3_add(lane3_scale(b.v, a.w), lane3_scale(a.v, b.w)), lane3_cross(a.v, b.v))};
}

static lane_quat quat_unit(lane_quat q) {
    v4d s = 1 / lane_max(lane_sqrt(q.w * q.w + lane3_dot(q.v, q.v)), 1e-8);
    return (lane_quat){q.w * s, lane3_scale(q.v, s)};
}

static lane_quat quat_select(v4m m, lane_quat a, lane_quat b) {
    return (lane_quat){v4d_select(m, a.w, b.w),
                       {v4d_select(m, a.v.x, b.v.x), v4d_select(m, a.v.y, b.v.y), v4d_select(m, a.v.z, b.v.z)}};
}

// PyTorch3D's choice among four candidates by the largest divisor; not normalised (SPEC.md 1.1)
static lane_quat quat_from_mat(const lane_mat3 *m) {
    const lane3 *c = m->col;
    v4d r00 = c[0].x, r11 = c[1].y, r22 = c[2].z;
    v4d t[4] = {1 + r00 + r11 + r22, 1 + r00 - r11 - r22, 1 - r00 + r11 - r22, 1 - r00 - r11 + r22};
    v4d a = c[1].z - c[2].y, b = c[2].x - c[0].z, e = c[0].y - c[1].x; // R21-R12, R02-R20, R10-R01
    v4d xy = c[0].y + c[1].x, xz = c[2].x + c[0].z, yz = c[2].y + c[1].z;
    lane_quat q = {t[0], {a, b, e}};
    const lane_quat other[3] = {{a, {t[1], xy, xz}}, {b, {xy, t[2], yz}}, {e, {xz, yz, t[3]}}};
    v4d best = t[0];
    for (int i = 0; i < 3; i++) {
        v4m better = t[i + 1] > best;
        q = quat_select(better, other[i], q);
        best = v4d_select(better, t[i + 1], best);
    }
    v4d scale = 0.5 / lane_max(lane_sqrt(lane_max(best, 0)), 0.1); // the sum of t is 4: best is at least 1
    scale = v4d_select(q.w < v4d_set(0), -scale, scale);
    return (lane_quat){q.w * scale, lane3_scale(q.v, scale)};
}

// The shortest rotation from direction a to direction b
static lane_quat quat_between(lane3 a, lane3 b) {
    lane3 v = lane3_cross(a, b);
    v4d w = lane_sqrt(lane3_dot(a, a) * lane3_dot(b, b)) + lane3_dot(a, b);
    v4d size = v4d_select(w < v4d_set(0), -w, w);
    v4m opposite = (lane3_norm(v) == v4d_set(0)) & (size <= v4d_set(1e-4));
    v.x = v4d_select(opposite, v4d_set(0), v.x);
    v.y = v4d_select(opposite, v4d_set(1), v.y);
    v.z = v4d_select(opposite, v4d_set(0), v.z);
    return quat_unit((lane_quat){w, v});
}

// q^t of a unit quaternion. The half angle by atan2 where the reference takes acos(w): the same number
// without its loss of digits near w = 1.
static lane_quat quat_pow(lane_quat q, double t) {
    v4d n = lane3_norm(q.v), c, k;
    for (int i = 0; i < GV_LANES; i++) {
        double h = fmax(atan2(n[i], q.w[i]), 1e-9);
        c[i] = cos(t * h);
        k[i] = sin(t * h) / sin(h);
    }
    return (lane_quat){c, lane3_scale(q.v, k)};
}

// slerp(a, b a, t) = unit(b a unit(a)^-1)^t unit(a)
static lane_quat quat_slerp(lane_quat a, lane_quat b, double t) {
    a = quat_unit(a);
    b = quat_unit(b);
    lane_quat inverse = {a.w, lane3_scale(a.v, v4d_set(-1))};
    return quat_mul(quat_pow(quat_unit(quat_mul(b, inverse)), t), a);
}

static lane3 quat_rotate(lane_quat q, lane3 v) {
    lane3 uv = lane3_cross(q.v, v), uuv = lane3_cross(q.v, uv);
    return lane3_add(v, lane3_scale(lane3_add(lane3_scale(uv, q.w), uuv), v4d_set(2)));
}

static lane3 unit3(lane3 v) {
    return lane3_scale(v, 1 / lane_max(lane3_norm(v), 1e-9));
}

// N(inverse of a general 3x3): rows of the inverse are cross products of the columns over the determinant
static lane_mat3 inverse_unit_columns(const lane_mat3 *m) {
    const lane3 *c = m->col;
    lane3 r[3] = {lane3_cross(c[1], c[2]), lane3_cross(c[2], c[0]), lane3_cross(c[0], c[1])};
    v4d s = 1 / lane3_dot(c[0], r[0]);
    lane_mat3 inverse = {{{r[0].x * s, r[1].x * s, r[2].x * s},
                          {r[0].y * s, r[1].y * s, r[2].y * s},
                          {r[0].z * s, r[1].z * s, r[2].z * s}}};
    return lane_mat3_unit_columns(&inverse);
}

// Steps 1 to 4 of SPEC.md 10.2 for position i of the chain: the new local rotation of C_i.
static lane_mat3 turn_joint(const chain *k, const lane_pose H[CHAIN], const lane3 target[2], int i) {
    lane_quat q = quat_from_mat(&H[i].rot);
    lane3 zero = {v4d_set(0), v4d_set(0), v4d_set(0)}, one_x = zero, one_y = zero, X = zero, Y = zero;
    one_x.x = one_y.y = v4d_set(1);
    int used = 0;
    for (int m = 0; m < k->targets; m++) {
        if (k->at[m] <= i) continue;
        lane_quat b = quat_between(lane3_sub(H[k->at[m]].pos, H[i].pos), lane3_sub(target[m], H[i].pos));
        lane_quat s = quat_slerp(q, quat_mul(b, q), (i + 1) / 5.0);
        X = lane3_add(X, quat_rotate(s, one_x));
        Y = lane3_add(Y, quat_rotate(s, one_y));
        used++;
    }
    X = unit3(lane3_scale(X, v4d_set(1.0 / used)));
    Y = unit3(lane3_scale(Y, v4d_set(1.0 / used)));
    lane_mat3 M = {{X, Y, lane3_cross(X, Y)}}, inverse = inverse_unit_columns(&H[i - 1].rot);
    M = lane_mat3_mul(&inverse, &M);
    return lane_mat3_unit_columns(&M);
}

static void solve_chain(const chain *k, lane_pose local[BODY], const lane_pose global[BODY], const lane3 target[2]) {
    lane_pose H[CHAIN];
    H[0] = global[k->joint[0]];
    for (int i = 1; i < CHAIN; i++) H[i] = lane_pose_chain(&H[i - 1], &local[k->joint[i]]);
    for (int sweep = 0; sweep < SWEEPS; sweep++)
        for (int i = 1; i < CHAIN - 1; i++) {
            local[k->joint[i]].rot = turn_joint(k, H, target, i);
            for (int n = i; n < CHAIN; n++) H[n] = lane_pose_chain(&H[n - 1], &local[k->joint[n]]);
        }
}

// Matrix to axis-angle as it is, orthonormal or not
static lane3 aa_from_mat(const lane_mat3 *m) {
    lane_quat q = quat_from_mat(m);
    v4d n = lane3_norm(q.v), k;
    for (int i = 0; i < GV_LANES; i++) {
        double h = atan2(n[i], q.w[i]), th = 2 * h;
        k[i] = fabs(th) < 1e-6 ? 0.5 - th * th / 48 : sin(h) / th;
    }
    return lane3_scale(q.v, 1 / k);
}

void gv_ik_solve(double *solved, const double *rest, const double *body_pose, const double *orient,
                 const double *transl, const double *targets, int frames) {
    lane3 offset[BODY];
    offsets(offset, rest);
    memcpy(solved, body_pose, (size_t)frames * 63 * sizeof *solved);
#pragma omp parallel for schedule(static) if (frames >= GV_PARALLEL_FROM)
    for (int t = 0; t < frames; t += GV_LANES) {
        lane_pose local[BODY], global[BODY];
        forward(local, global, offset, body_pose, orient, transl, t, frames);
        for (int n = 0; n < 4; n++) {
            const chain *k = &chains[n];
            lane3 target[2] = {0};
            for (int m = 0; m < k->targets; m++) target[m] = lane3_gather(targets + 3 * k->from[m], t, frames, 18);
            solve_chain(k, local, global, target);
            for (int i = 1; i < CHAIN - 1; i++) // the others keep their pose
                lane3_scatter(solved + 3 * (k->joint[i] - 1), aa_from_mat(&local[k->joint[i]].rot), t, frames, 63);
        }
    }
}
