// How the parts are joined. For person p and frame t the network gives the body's orientation in the camera
// and in p's own world, hence the rotation W_pt = R_world R_camera^T from camera to p's world; its transpose
// takes p's "up" into the camera. The odometry gives V_t, the rotation from its own world (that of
// frame 0) to camera t.
//   1. up = the mean over all p, t of V_t^T W_pt^T e_y: gravity in the odometry's world, from everybody.
//   2. The common world's y is up, its heading that of person 0's world; so S_t (common world -> camera) = V_t A.
//   3. Person p is turned about y by the mean difference between W_pt and S_t^T, and
//   4. moved along the ground so that the median of (seen from the camera) - (own world path) vanishes. For a
//      camera that moves, its own path follows from the persons placed before: c_t = x_world - S_t^T x_camera,
//      and from the way that the picture tells (camera_way.h).
#include "pipeline/scene.h"
#include "base/memory.h"
#include "base/order.h"
#include "geometry/rotation.h"
#include "geometry/so3.h"
#include "pipeline/camera_way.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float *joint0(const float *joints, int t) {
    return joints + (size_t)t * GV_MOTION_JOINTS * 3;
}

// The rotation from m's own world to the one in which the camera of m's frame t has the rotation V.
static void from_own_world(float M[9], const gv_motion *m, int t, const float V[9]) {
    float Rw[9], Rc[9], C[9];
    gv_rot_from_aa(Rw, m->global_orient + 3 * (size_t)t);
    gv_rot_from_aa(Rc, m->global_orient_incam + 3 * (size_t)t);
    gv_mat3_mul_nt(C, Rc, Rw);
    gv_mat3_mul_tn(M, V, C);
}

void gv_motion_to_odometry(double M[9], const gv_motion *m) {
    double sum[9] = {0};
    for (int t = 0; t < m->frames; t++) {
        float Q[9];
        from_own_world(Q, m, t, m->R_w2c + 9 * (size_t)t);
        for (int i = 0; i < 9; i++) sum[i] += Q[i];
    }
    for (int i = 0; i < 9; i++) M[i] = sum[i] / m->frames;
    for (int i = 0; i < 30; i++) gv_so3_orthonormalise(M);
}

// A [9]: common world -> odometry world. Columns: x, y = up, z.
static void world_axes(float A[9], const gv_motion *motions, int people, const gv_scene_observations *s) {
    double up[3] = {0}, heading[3] = {0};
    for (int p = 0; p < people; p++) {
        for (int t = 0; t < motions[p].frames; t++) {
            float M[9];
            from_own_world(M, motions + p, t, s->camera.R_w2c + 9 * (size_t)motions[p].frame_index[t]);
            for (int i = 0; i < 3; i++) up[i] += M[3 * i + 1];
            if (p == 0)
                for (int i = 0; i < 3; i++) heading[i] += M[3 * i + 2];
        }
    }
    gv_normalise3(up);
    const double along = gv_dot3(up, heading);
    for (int i = 0; i < 3; i++) heading[i] -= along * up[i];
    gv_normalise3(heading);
    double x[3];
    gv_cross3(x, up, heading);
    for (int i = 0; i < 3; i++) {
        A[3 * i] = (float)x[i];
        A[3 * i + 1] = (float)up[i];
        A[3 * i + 2] = (float)heading[i];
    }
}

// The turn about y, radians, that takes person m's own world to the common one.
static double heading_of(const gv_motion *m, const gv_scene *scene) {
    double c = 0, s = 0;
    for (int t = 0; t < m->frames; t++) {
        float M[9];
        from_own_world(M, m, t, scene->R_w2c + 9 * (size_t)m->frame_index[t]);
        c += M[0] + M[8]; // the turn about y nearest to M maximises c cos + s sin
        s += M[2] - M[6];
    }
    return atan2(s, c);
}

void gv_motion_turn(gv_motion *m, const float Q[9]) {
    for (int t = 0; t < m->frames; t++) {
        float R[9], QR[9], rest[3], moved[3];
        float *joints = m->joints_world + (size_t)t * GV_MOTION_JOINTS * 3;
        float *transl = m->transl + 3 * (size_t)t, *orient = m->global_orient + 3 * (size_t)t;
        gv_rot_from_aa(R, orient);
        gv_mat3_mul(QR, Q, R);
        gv_rot_to_aa(orient, QR);
        for (int i = 0; i < 3; i++) rest[i] = joints[i] - transl[i]; // rest pelvis: the root turns about it
        for (int j = 0; j < GV_MOTION_JOINTS; j++) {
            gv_mat3_apply(moved, Q, joints + 3 * j);
            memcpy(joints + 3 * j, moved, sizeof moved);
        }
        for (int i = 0; i < 3; i++) transl[i] = joints[i] - rest[i];
    }
}

void gv_motion_move(gv_motion *m, const float d[3]) {
    for (int t = 0; t < m->frames; t++)
        for (int i = 0; i < 3; i++) {
            for (int j = 0; j < GV_MOTION_JOINTS; j++)
                m->joints_world[3 * ((size_t)t * GV_MOTION_JOINTS + j) + i] += d[i];
            m->transl[3 * (size_t)t + i] += d[i];
        }
}

static void turn_about_y(gv_motion *m, double angle) {
    float aa[3] = {0, (float)angle, 0}, Y[9];
    gv_rot_from_aa(Y, aa);
    gv_motion_turn(m, Y);
}

static double median(double *v, int n) {
    gv_sort_doubles(v, (size_t)n);
    return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

// Where the camera must stand so that the pelvis of frame t is where m's world says: x_world - S^T x_camera.
static void camera_centre(double c[3], const gv_scene *scene, const gv_motion *m, int t) {
    float seen[3];
    gv_mat3_apply_t(seen, scene->R_w2c + 9 * (size_t)m->frame_index[t], joint0(m->joints_incam, t));
    for (int i = 0; i < 3; i++) c[i] = (double)joint0(m->joints_world, t)[i] - seen[i];
}

// Camera path while people are placed one after another.
typedef struct path {
    double *c;  // [frames, 3] sum of the centres, world
    int *votes; // [frames]
    bool fixed; // a static camera: one centre for all frames
    double centre[3];
    double *work; // [frames]
    gv_place_votes said;
    gv_camera_way way; // what they and the picture say together
} path;

static double path_at(const path *p, long frame, int axis) {
    if (p->fixed) return p->centre[axis];
    return p->way.any && p->way.known[frame] ? p->way.place[3 * frame + axis]
                                             : p->c[3 * frame + axis] / p->votes[frame];
}

static bool is_known(const path *p, long frame) {
    return p->fixed || p->votes[frame] > 0 || (p->way.any && p->way.known[frame]);
}

static gv_status add_to_path(path *p, const gv_scene *scene, const gv_motion *m, const gv_camera_path *camera,
                             const float A[9], gv_error *err) {
    for (int t = 0; t < m->frames; t++) {
        double c[3], sight[3];
        camera_centre(c, scene, m, t);
        for (int i = 0; i < 3; i++) {
            p->c[3 * (long)m->frame_index[t] + i] += c[i];
            sight[i] = joint0(m->joints_world, t)[i] - c[i];
        }
        p->votes[m->frame_index[t]]++;
        gv_place_votes_add(&p->said, m->frame_index[t], c, sight);
    }
    gv_camera_way_free(&p->way);
    return gv_camera_way_find(&p->way, camera, A, &p->said, err);
}

// Frames of m in which the camera's place is known.
static int common_frames(const path *p, const gv_motion *m) {
    int n = 0;
    for (int t = 0; t < m->frames; t++) n += is_known(p, m->frame_index[t]);
    return n;
}

// Without common frames: the place is that of the known frame nearest in time.
static void fill_path(path *p, long frames) {
    long last = -1;
    for (long f = 0; f < frames; f++) {
        if (!p->votes[f]) continue;
        for (long g = last + 1; g < f; g++)
            for (int i = 0; i < 3; i++) {
                double after = p->c[3 * f + i] / p->votes[f];
                double before = last >= 0 ? p->c[3 * last + i] / p->votes[last] : after;
                double w = last >= 0 ? (double)(g - last) / (double)(f - last) : 1;
                p->c[3 * g + i] = before + w * (after - before);
            }
        for (long g = last + 1; g < f; g++) p->votes[g] = 1;
        last = f;
    }
    for (long g = last + 1; last >= 0 && g < frames; g++) {
        for (int i = 0; i < 3; i++) p->c[3 * g + i] = p->c[3 * last + i] / p->votes[last];
        p->votes[g] = 1;
    }
}

static void place(path *p, const gv_scene *scene, gv_motion *m) {
    double shift[3] = {0};
    for (int axis = 0; axis < 3; axis += 2) {
        int n = 0;
        for (int t = 0; t < m->frames; t++) {
            double c[3];
            if (!is_known(p, m->frame_index[t])) continue;
            camera_centre(c, scene, m, t);
            p->work[n++] = path_at(p, m->frame_index[t], axis) - c[axis];
        }
        shift[axis] = median(p->work, n);
    }
    gv_motion_move(m, (float[]){(float)shift[0], 0, (float)shift[2]});
}

// A static camera stands still: its height from everybody, its place on the ground from person 0.
static void fix_centre(path *p, const gv_scene *scene, const gv_motion *motions, int people) {
    for (int axis = 0; axis < 3; axis++) {
        double sum = 0, weight = 0;
        for (int k = 0; k < (axis == 1 ? people : 1); k++) {
            for (int t = 0; t < motions[k].frames; t++) {
                double c[3];
                camera_centre(c, scene, motions + k, t);
                p->work[t] = c[axis];
            }
            sum += motions[k].frames * median(p->work, motions[k].frames);
            weight += motions[k].frames;
        }
        p->centre[axis] = sum / weight;
    }
    p->fixed = true;
}

static gv_status place_everybody(path *p, const gv_scene *scene, gv_motion *motions, int people, bool *placed,
                                 const gv_camera_path *camera, const float A[9], gv_error *err) {
    gv_status status = GV_OK;
    placed[0] = true;
    for (int round = 1; status == GV_OK && round < people; round++) {
        int best = -1, best_common = -1;
        for (int k = 1; k < people; k++) {
            int n = placed[k] ? -1 : common_frames(p, motions + k);
            if (n > best_common) best = k, best_common = n;
        }
        if (best_common == 0) fill_path(p, scene->frames);
        place(p, scene, motions + best);
        if (!p->fixed) status = add_to_path(p, scene, motions + best, camera, A, err);
        placed[best] = true;
    }
    return status;
}

static void write_camera(gv_scene *scene, path *p, const gv_camera_path *camera) {
    for (long f = 0; f < scene->frames; f++) // what was carried over to place somebody is not known
        scene->camera_known[f] = p->fixed || p->said.count[f] > 0 || (p->way.any && p->way.known[f]);
    for (long f = 0; p->way.any && f < scene->frames; f++) {
        scene->way_confidence[f] = p->way.known[f] ? camera->position_confidence[f] : 0;
        if (!p->way.known[f] || p->votes[f]) continue;
        for (int i = 0; i < 3; i++) p->c[3 * f + i] = p->way.place[3 * f + i];
        p->votes[f] = 1; // known: frames beside a stretch are carried over from here
    }
    scene->unit_sd = p->way.unit_sd;
    if (!p->fixed) fill_path(p, scene->frames);
    for (long f = 0; f < scene->frames; f++) {
        float c[3], t[3];
        for (int i = 0; i < 3; i++) c[i] = (float)path_at(p, f, i);
        gv_mat3_apply(t, scene->R_w2c + 9 * f, c);
        for (int i = 0; i < 3; i++) scene->t_w2c[3 * f + i] = -t[i];
    }
}

gv_status gv_scene_compose(gv_scene *scene, gv_motion *motions, int people, const gv_scene_observations *s,
                           gv_error *err) {
    size_t frames = (size_t)s->frames;
    *scene = (gv_scene){.people = people, .motion = motions, .frames = s->frames};
    path p = {.c = gv_calloc2(frames, 3 * sizeof(double)),
              .votes = gv_calloc2(frames, sizeof(int)),
              .work = gv_calloc2(frames, sizeof(double))};
    bool *placed = gv_calloc2((size_t)people, sizeof *placed);
    gv_status status = gv_place_votes_alloc(&p.said, s->frames, err);
    scene->R_w2c = gv_calloc2(frames, 9 * sizeof(float));
    scene->t_w2c = gv_calloc2(frames, 3 * sizeof(float));
    scene->camera_known = gv_calloc2(frames, sizeof(bool));
    scene->way_confidence = gv_calloc2(frames, sizeof(float));
    if (status == GV_OK && (!p.c || !p.votes || !p.work || !placed || !scene->R_w2c || !scene->t_w2c ||
                            !scene->camera_known || !scene->way_confidence))
        status = gv_fail(err, GV_ERR_MEMORY, "no memory for a scene of %ld frames", s->frames);
    if (status != GV_OK) goto done;
    float A[9];
    world_axes(A, motions, people, s);
    for (size_t f = 0; f < frames; f++) gv_mat3_mul(scene->R_w2c + 9 * f, s->camera.R_w2c + 9 * f, A);
    for (int k = 1; k < people; k++) turn_about_y(motions + k, heading_of(motions + k, scene));
    if (s->camera.is_static)
        fix_centre(&p, scene, motions, people);
    else
        status = add_to_path(&p, scene, motions, &s->camera, A, err);
    if (status == GV_OK) status = place_everybody(&p, scene, motions, people, placed, &s->camera, A, err);
    if (status == GV_OK) write_camera(scene, &p, &s->camera);
done:
    if (status != GV_OK) gv_scene_free(scene);
    gv_place_votes_free(&p.said);
    gv_camera_way_free(&p.way);
    free(p.c);
    free(p.votes);
    free(p.work);
    free(placed);
    return status;
}

void gv_scene_free(gv_scene *scene) {
    free(scene->R_w2c);
    free(scene->t_w2c);
    free(scene->camera_known);
    free(scene->way_confidence);
    *scene = (gv_scene){0};
}
