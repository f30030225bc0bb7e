// Unknowns of a frame: the root's place (3), a turn of the root (3, rotation vector in the world, on the left), the
// joints. Every task is three residuals over a standard deviation; their derivatives are geometric: a hinge with axis a
// through c moves point p by a x (p - c) and turns its link by a.
#include "exports/retarget.h"
#include "base/memory.h"
#include "base/order.h"
#include "formats/motion_export.h"
#include "geometry/linalg.h"
#include "geometry/rotation.h"
#include "geometry/so3.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { J = GV_MOTION_JOINTS, FIRST_ROUNDS = 60, ROUNDS = 6 };
// Joints of the person, see gv_joint_names.
enum { HIP = 1, KNEE = 4, ANKLE = 7, TORSO = 9, SHOULDER = 16, ELBOW = 18, WRIST = 20 }; // left; right is one more

// To what the tasks are to hold: m and rad.
static const double ankle_sigma = 0.005, foot_sigma = 0.15, root_sigma = 0.03, pelvis_sigma = 0.15, torso_sigma = 0.15,
                    knee_sigma = 0.1, limb_sigma = 0.02, hand_sigma = 0.6;
static const double rest_sigma = 1.5, step_sigma = 0.4; // of a joint, from 0 and from the frame before
static const double default_sole = 0.04;                // m under the ankle, where the description has no sole

static const double world_from_motion[9] = {1, 0, 0, 0, 0, -1, 0, 1, 0}; // y up to z up
static const double robot_from_person[9] = {0, 0, 1, 1, 0,
                                            0, 0, 1, 0}; // rest poses: left, up, front to front, left, up

enum {
    ROOT,
    BACK,
    LEFT_HIP,
    LEFT_KNEE,
    LEFT_ANKLE,
    LEFT_SHOULDER,
    LEFT_ELBOW,
    LEFT_HAND,
    RIGHT_HIP,
    PARTS = 14,
    SIDE = 6
};

typedef struct solver {
    const gv_robot *r;
    const char *name;
    int part[PARTS], unknowns;
    double (*p)[3], (*R)[9];   // links now
    double (*p0)[3], (*R0)[9]; // links with all joints at 0, the root at the origin
    double *q, *before, *A, *b, *row;
    double place[3], turn[9];
    double scale, sole, ankle_height;
    double length[PARTS]; // of the limb that ends there
} solver;

// ---- which link is what

static bool has_word(const char *name, const char *word) {
    size_t n = strlen(word);
    for (; *name; name++)
        if (!strncasecmp(name, word, n)) return true;
    return false;
}

static bool on_side(const char *name, int side) {
    size_t n = strlen(name);
    char letter = side ? 'r' : 'l';
    return has_word(name, side ? "right" : "left") ||
           (n > 2 &&
            ((tolower(name[0]) == letter && name[1] == '_') || (tolower(name[n - 1]) == letter && name[n - 2] == '_')));
}

static bool link_is(const gv_robot *r, int l, int side, const char *word) {
    const gv_robot_link *k = &r->link[l];
    if (on_side(k->name, side) && has_word(k->name, word)) return true;
    for (int j = k->first_joint; j < k->first_joint + k->joints; j++)
        if (on_side(r->joint[j].name, side) && has_word(r->joint[j].name, word)) return true;
    return false;
}

// The first or the last such link, parents first; -1: none.
static int find(const gv_robot *r, int side, const char *word, bool last) {
    int found = -1;
    for (int l = 0; l < r->links; l++)
        if (link_is(r, l, side, word)) {
            found = l;
            if (!last) break;
        }
    return found;
}

static gv_status find_parts(solver *s, gv_error *err) {
    static const struct {
        const char *word, *other, *third;
        bool last;
    } limbs[SIDE] = {{"hip", "thigh", "leg", false},           {"knee", "shin", "calf", false},
                     {"ankle", "foot", "foot", true},          {"shoulder_roll", "shoulder", "upper_arm", false},
                     {"elbow", "forearm", "lower_arm", false}, {"wrist", "hand", "gripper", true}};
    s->part[ROOT] = s->part[BACK] = 0;
    for (int l = s->r->links - 1; l >= 0; l--)
        if (has_word(s->r->link[l].name, "torso")) s->part[BACK] = l;
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < SIDE; i++) {
            int l = find(s->r, side, limbs[i].word, limbs[i].last);
            if (l < 0) l = find(s->r, side, limbs[i].other, limbs[i].last);
            if (l < 0) l = find(s->r, side, limbs[i].third, limbs[i].last);
            if (l < 0)
                return gv_fail(err, GV_ERR_FORMAT, "%s: has no %s %s: no link or joint is named so", s->name,
                               side ? "right" : "left", i == 3 ? "shoulder" : limbs[i].word);
            s->part[LEFT_HIP + SIDE * side + i] = l;
        }
    return GV_OK;
}

// ---- sizes

static double apart(const double a[3], const double b[3]) {
    return sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) + (a[2] - b[2]) * (a[2] - b[2]));
}

static bool hangs_on(const gv_robot *r, int link, int on) {
    while (link >= 0 && link != on) link = r->link[link].parent;
    return link == on;
}

// How far the sole lies under the ankle: collision points of the foot, else as the file puts the robot on the ground.
static double sole_depth(const solver *s) {
    int ankle = s->part[LEFT_ANKLE];
    double lowest = INFINITY, top = s->p0[ankle][2];
    for (int i = 0; i < s->r->points; i++) {
        const gv_robot_point *point = &s->r->point[i];
        double turned[3];
        if (!hangs_on(s->r, point->link, ankle)) continue;
        gv_so3_apply(turned, s->R0[point->link], point->at);
        lowest = fmin(lowest, s->p0[point->link][2] + turned[2] - point->radius);
    }
    if (top - lowest > 0 && top - lowest < 0.3) return top - lowest;
    double standing = s->r->root_height + top;
    return s->r->root_height > 0 && standing > 0 && standing < 0.3 ? standing : default_sole;
}

// The height of the person's ankles while they stand: the middle of the lowest tenth.
static gv_status standing_ankle(double *height, const gv_motion *m, gv_error *err) {
    size_t n = 2 * (size_t)m->frames;
    double *v = gv_calloc2(n, sizeof *v);
    if (!v) return gv_fail(err, GV_ERR_MEMORY, "no memory for %zu heights", n);
    for (size_t t = 0; t < (size_t)m->frames; t++)
        for (int side = 0; side < 2; side++) v[2 * t + side] = (double)m->joints_world[3 * (J * t + ANKLE + side) + 1];
    gv_sort_doubles(v, n);
    *height = v[n / 20];
    free(v);
    return GV_OK;
}

static gv_status measure(solver *s, const gv_motion *m, gv_error *err) {
    double bones[J][3];
    const double zero[3] = {0}, identity[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    gv_status status = gv_motion_bones(m, bones, "the motion", err);
    if (status == GV_OK) status = standing_ankle(&s->ankle_height, m, err);
    if (status != GV_OK) return status;
    memset(s->q, 0, (size_t)s->r->joints * sizeof *s->q);
    gv_robot_pose(s->r, zero, identity, s->q, s->p0, s->R0);
    for (int side = 0; side < 2; side++)
        for (int i = 1; i < SIDE; i++) {
            int part = LEFT_HIP + SIDE * side + i;
            s->length[part] = i == 3 ? 0 : apart(s->p0[s->part[part]], s->p0[s->part[part - 1]]);
        }
    double person = gv_normalise3(bones[KNEE]) + gv_normalise3(bones[ANKLE]);
    s->scale = person > 0.05 ? (s->length[LEFT_KNEE] + s->length[LEFT_ANKLE]) / person : 0;
    if (!(s->scale > 0.05 && s->scale < 20))
        return gv_fail(err, GV_ERR_FORMAT, "%s: legs of %.3f m cannot follow a person's of %.3f m", s->name,
                       s->length[LEFT_KNEE] + s->length[LEFT_ANKLE], person);
    s->sole = sole_depth(s);
    return GV_OK;
}

// ---- tasks

static void to_world(double out[3], const float *joint) {
    out[0] = (double)joint[0];
    out[1] = -(double)joint[2];
    out[2] = (double)joint[1];
}

// Where a point of the person's legs is for the robot.
static void scaled(const solver *s, double out[3], const float *joint) {
    to_world(out, joint);
    out[0] *= s->scale;
    out[1] *= s->scale;
    out[2] = s->sole + s->scale * (out[2] - s->ankle_height);
}

// Derivatives of link's point p (turn = false) or of its rotation (turn = true), added to J [3, unknowns] times sign.
static void derivatives(const solver *s, double *Jac, int link, const double p[3], bool turn, double sign) {
    int n = s->unknowns;
    for (int i = 0; i < 3; i++) {
        double axis[3] = {0}, arm[3], moved[3];
        axis[i] = 1;
        if (!turn) Jac[i * n + i] += sign;
        for (int k = 0; k < 3; k++) arm[k] = p[k] - s->p[0][k];
        gv_cross3(moved, axis, arm);
        for (int k = 0; k < 3; k++) Jac[k * n + 3 + i] += sign * (turn ? axis[k] : moved[k]);
    }
    for (int l = link; l >= 0; l = s->r->link[l].parent)
        for (int j = s->r->link[l].first_joint; j < s->r->link[l].first_joint + s->r->link[l].joints; j++) {
            const gv_robot_joint *joint = &s->r->joint[j];
            double axis[3], centre[3], arm[3], moved[3];
            gv_so3_apply(axis, s->R[l], joint->axis);
            gv_so3_apply(centre, s->R[l], joint->anchor);
            for (int k = 0; k < 3; k++) arm[k] = p[k] - s->p[l][k] - centre[k];
            gv_cross3(moved, axis, arm);
            for (int k = 0; k < 3; k++)
                Jac[k * n + 6 + j] += sign * (joint->slide ? (turn ? 0 : axis[k]) : turn ? axis[k] : moved[k]);
        }
}

// Adds three residuals (what is wanted minus what is) to the normal equations.
static void add_rows(solver *s, const double *Jac, const double residual[3], double sigma) {
    int n = s->unknowns;
    double w = 1 / (sigma * sigma);
    for (int k = 0; k < 3; k++) {
        const double *row = Jac + k * n;
        for (int u = 0; u < n; u++) {
            if (row[u] == 0) continue;
            s->b[u] += w * row[u] * residual[k];
            for (int v = 0; v <= u; v++) s->A[u * n + v] += w * row[u] * row[v];
        }
    }
}

static double *clear_rows(solver *s) {
    return memset(s->row, 0, 3 * (size_t)s->unknowns * sizeof *s->row);
}

static void want_place(solver *s, int part, const double target[3], double sigma) {
    int l = s->part[part];
    double residual[3], *Jac = clear_rows(s);
    for (int i = 0; i < 3; i++) residual[i] = target[i] - s->p[l][i];
    derivatives(s, Jac, l, s->p[l], false, 1);
    add_rows(s, Jac, residual, sigma);
}

// The limb that ends at `part` in the direction from one of the person's joints to another; returns the angle off.
static double want_limb(solver *s, int part, const float *from, const float *to, double sigma) {
    int end = s->part[part], begin = s->part[part - 1];
    double a[3], b[3], residual[3], along[3], *Jac = clear_rows(s);
    to_world(a, from);
    to_world(b, to);
    for (int i = 0; i < 3; i++) b[i] -= a[i], along[i] = s->p[end][i] - s->p[begin][i];
    gv_normalise3(b);
    for (int i = 0; i < 3; i++) residual[i] = s->length[part] * b[i] - along[i];
    derivatives(s, Jac, end, s->p[end], false, 1);
    derivatives(s, Jac, begin, s->p[begin], false, -1);
    add_rows(s, Jac, residual, sigma);
    gv_normalise3(along);
    return acos(fmin(fmax(gv_dot3(along, b), -1), 1));
}

static void want_turn(solver *s, int part, const double target[9], double sigma) {
    int l = s->part[part];
    double off[9], residual[3], *Jac = clear_rows(s);
    gv_so3_mul_nt(off, target, s->R[l]);
    gv_so3_log(residual, off);
    derivatives(s, Jac, l, s->p[l], true, 1);
    add_rows(s, Jac, residual, sigma);
}

// Rotation of a link that is turned as the person's joint is from the rest pose.
static void turned_like(const solver *s, double out[9], int part, const double person[9]) {
    double a[9], b[9];
    gv_so3_mul(a, world_from_motion, person);
    gv_so3_mul_nt(b, a, robot_from_person);
    gv_so3_mul(out, b, s->R0[s->part[part]]);
}

// In the rest pose the person's fingers point to the side (-+x) and palms down (-y); a robot's hand with joints at 0
// has its fingers along x and the palm facing inwards.
static void hand_turn(double out[9], int side, const double person[9]) {
    double to[9] = {0}, a[9];
    double outward = side ? -1 : 1; // of the person's x
    to[0] = outward;                // fingers: robot x
    to[3 + 1] = side ? -1 : 1;      // back of the hand, person's +y: robot +y on the left, -y on the right
    to[6 + 2] = to[0] * to[3 + 1];  // right-handed
    gv_so3_mul(a, world_from_motion, person);
    gv_so3_mul_nt(out, a, to);
}

typedef struct wanted { // of one frame
    const float *joint; // [22, 3]
    double global[J][9];
    double root[3], turn[9];
} wanted;

// Root: turned like the pelvis; the middle of the hips where the person's is.
static void prepare(const solver *s, wanted *w, const gv_motion *m, int t) {
    double local[J][9], middle[3], hip[3], turned[3], left[3], right[3];
    w->joint = m->joints_world + (size_t)t * J * 3;
    gv_motion_rotations(m, t, local, w->global);
    turned_like(s, w->turn, ROOT, w->global[0]);
    scaled(s, left, w->joint + 3 * HIP);
    scaled(s, right, w->joint + 3 * (HIP + 1));
    for (int i = 0; i < 3; i++) {
        middle[i] = (left[i] + right[i]) / 2;
        hip[i] = (s->p0[s->part[LEFT_HIP]][i] + s->p0[s->part[RIGHT_HIP]][i]) / 2;
    }
    gv_so3_apply(turned, w->turn, hip);
    for (int i = 0; i < 3; i++) w->root[i] = middle[i] - turned[i];
}

static double build(solver *s, const wanted *w) {
    int n = s->unknowns;
    double target[9], place[3], off = 0;
    memset(s->A, 0, (size_t)n * (size_t)n * sizeof *s->A);
    memset(s->b, 0, (size_t)n * sizeof *s->b);
    want_place(s, ROOT, w->root, root_sigma);
    want_turn(s, ROOT, w->turn, pelvis_sigma);
    if (s->part[BACK] != s->part[ROOT]) {
        turned_like(s, target, BACK, w->global[TORSO]);
        want_turn(s, BACK, target, torso_sigma);
    }
    for (int side = 0; side < 2; side++) {
        int first = LEFT_HIP + SIDE * side;
        const float *j = w->joint + 3 * side;
        scaled(s, place, j + 3 * ANKLE);
        want_place(s, first + 2, place, ankle_sigma);
        turned_like(s, target, first + 2, w->global[ANKLE + side]);
        want_turn(s, first + 2, target, foot_sigma);
        want_limb(s, first + 1, j + 3 * HIP, j + 3 * KNEE, knee_sigma);
        off += want_limb(s, first + 4, j + 3 * SHOULDER, j + 3 * ELBOW, limb_sigma) / 4;
        off += want_limb(s, first + 5, j + 3 * ELBOW, j + 3 * WRIST, limb_sigma) / 4;
        hand_turn(target, side, w->global[WRIST + side]);
        want_turn(s, first + 5, target, hand_sigma);
    }
    return off;
}

// ---- the solution

static void pose(solver *s) {
    gv_robot_pose(s->r, s->place, s->turn, s->q, s->p, s->R);
}

// One step; joints that stand at a limit and would go beyond are held and the rest is solved once more.
static bool step(solver *s, double damping) {
    int n = s->unknowns;
    for (int u = 0; u < n; u++) s->A[u * n + u] += u < 6 ? 1e-9 : damping;
    for (int j = 0; j < s->r->joints; j++) {
        double rest = 1 / (rest_sigma * rest_sigma), still = s->before ? 1 / (step_sigma * step_sigma) : 0;
        s->A[(6 + j) * (n + 1)] += rest + still;
        s->b[6 + j] -= rest * s->q[j] + (s->before ? still * (s->q[j] - s->before[j]) : 0);
        const gv_robot_joint *joint = &s->r->joint[j];
        if ((s->q[j] <= joint->lo && s->b[6 + j] < 0) || (s->q[j] >= joint->hi && s->b[6 + j] > 0))
            s->A[(6 + j) * (n + 1)] += 1e12;
    }
    if (!gv_cholesky(s->A, n)) return false;
    gv_cholesky_solve(s->A, n, s->b);
    for (int u = 0; u < n; u++)
        if (!isfinite(s->b[u])) return false;
    double turn = sqrt(gv_dot3(s->b + 3, s->b + 3)), limit = turn > 0.5 ? 0.5 / turn : 1;
    for (int i = 0; i < 3; i++) s->place[i] += s->b[i], s->b[3 + i] *= limit;
    gv_so3_update(s->turn, s->b + 3);
    for (int j = 0; j < s->r->joints; j++) {
        const gv_robot_joint *joint = &s->r->joint[j];
        s->q[j] += fmin(fmax(s->b[6 + j], -0.5), 0.5);
        s->q[j] = fmin(fmax(s->q[j], joint->lo), joint->hi);
    }
    return true;
}

static void solve_frame(solver *s, gv_robot_motion *out, const gv_motion *m, int t) {
    wanted w;
    prepare(s, &w, m, t);
    if (t == 0) {
        memcpy(s->place, w.root, sizeof w.root);
        memcpy(s->turn, w.turn, sizeof w.turn);
        for (int j = 0; j < s->r->joints; j++) s->q[j] = fmin(fmax(0, s->r->joint[j].lo), s->r->joint[j].hi);
        s->before = NULL;
    } else {
        s->before = out->q + (size_t)(t - 1) * (size_t)s->r->joints;
    }
    for (int round = 0; round < (t ? ROUNDS : FIRST_ROUNDS); round++) {
        pose(s);
        build(s, &w);
        if (!step(s, 1e-3)) break;
    }
    pose(s);
    out->limb_error_rad += build(s, &w) / m->frames;
    for (int side = 0; side < 2; side++) {
        double place[3];
        scaled(s, place, w.joint + 3 * (ANKLE + side));
        out->ankle_error_m += apart(place, s->p[s->part[LEFT_ANKLE + SIDE * side]]) / (2 * m->frames);
    }
}

static void store(const solver *s, gv_robot_motion *out, int t) {
    double quat[4], *to = out->turn + 4 * (size_t)t;
    gv_rotd_to_quat(quat, s->turn);
    for (int i = 0; i < 4; i++) to[i] = quat[(i + 1) % 4];
    double dot = 0;
    for (int i = 0; t && i < 4; i++) dot += to[i] * to[i - 4];
    for (int i = 0; dot < 0 && i < 4; i++) to[i] = -to[i]; // the side of the one before
    memcpy(out->place + 3 * (size_t)t, s->place, sizeof s->place);
    memcpy(out->q + (size_t)t * (size_t)s->r->joints, s->q, (size_t)s->r->joints * sizeof *s->q);
}

static gv_status alloc(solver *s, gv_robot_motion *out, const gv_motion *m, gv_error *err) {
    size_t links = (size_t)s->r->links, n = (size_t)s->unknowns, L = (size_t)m->frames, joints = (size_t)s->r->joints;
    s->p = gv_calloc2(links, sizeof *s->p);
    s->R = gv_calloc2(links, sizeof *s->R);
    s->p0 = gv_calloc2(links, sizeof *s->p0);
    s->R0 = gv_calloc2(links, sizeof *s->R0);
    s->q = gv_calloc2(joints, sizeof *s->q);
    s->A = gv_calloc2(n * n, sizeof *s->A);
    s->b = gv_calloc2(n, sizeof *s->b);
    s->row = gv_calloc2(n, 3 * sizeof *s->row);
    *out = (gv_robot_motion){.frames = m->frames, .joints = s->r->joints, .fps = gv_motion_mean_rate(m, NULL)};
    out->place = gv_calloc2(L, 3 * sizeof *out->place);
    out->turn = gv_calloc2(L, 4 * sizeof *out->turn);
    out->q = gv_calloc2(L * joints, sizeof *out->q);
    if (s->p && s->R && s->p0 && s->R0 && s->q && s->A && s->b && s->row && out->place && out->turn && out->q)
        return GV_OK;
    return gv_fail(err, GV_ERR_MEMORY, "no memory for %d frames of a robot with %d joints", m->frames, s->r->joints);
}

gv_status gv_robot_retarget(gv_robot_motion *out, const gv_robot *r, const gv_motion *m, const char *robot_name,
                            gv_error *err) {
    solver s = {.r = r, .name = robot_name, .unknowns = 6 + r->joints};
    *out = (gv_robot_motion){0};
    gv_status status = find_parts(&s, err);
    if (status == GV_OK) status = alloc(&s, out, m, err);
    if (status == GV_OK) status = measure(&s, m, err);
    for (int t = 0; t < m->frames && status == GV_OK; t++) {
        solve_frame(&s, out, m, t);
        store(&s, out, t);
    }
    free(s.p);
    free(s.R);
    free(s.p0);
    free(s.R0);
    free(s.q);
    free(s.A);
    free(s.b);
    free(s.row);
    if (status != GV_OK) gv_robot_motion_free(out);
    return status;
}
