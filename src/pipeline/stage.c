#include "pipeline/stage.h"
#include "base/memory.h"
#include "body/simplify.h"
#include "geometry/rotation.h"
#include "pipeline/motion_lens.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { J = GV_MOTION_JOINTS, RING = 13 };
static const float ring_radius = 0.08f, contact = 0.5f; // m; probability
#define LARGEST_STAGE 14.0f // m, diagonal of the ground that the outside view shows at most, unless person 1 needs more
#define FOLLOW_SIZE   1.1f  // m to each side of whom the view goes with
#define FOLLOW_SEC    1.0   // half the time over which that way is smoothed

enum { FINE, COARSE, DETAILS }; // two surfaces of everybody
#define COARSE_TRIANGLES 5200
#define COARSE_PX        300.0f // px a metre, under which the coarse one is drawn: off the fine outline by half a pixel

typedef struct surface { // of one person
    gv_skin *skin;
    float *world, *world_normal;   // [V, 3]
    float *camera, *camera_normal; // [V, 3]
    int row;                       // of the motion, as which it is posed; -1: none yet
} surface;

typedef struct actor {
    const gv_motion *m;
    surface surface[DETAILS];
    float colour[3], rest[3]; // linear RGB; pelvis of the rest pose, m
    int row;                  // of the frame posed last, -1: not there
} actor;

struct gv_stage {
    const gv_body *body[DETAILS];
    gv_body *simple; // the coarse one
    int people, there;
    actor *actor;
    gv_mesh *mesh;         // [2 people]: drawn, then what casts their shadows
    gv_path *path;         // [3 people]: ways, then rings
    float *points, *rings; // of the ways; [2 people, RING, 3]
};

static gv_status set_actor(gv_stage *s, int k, const gv_motion *m, gv_error *err) {
    actor *a = &s->actor[k];
    a->m = m;
    a->row = -1;
    gv_body_rest_joints(a->rest, s->body[FINE], m->betas, 1);
    memcpy(a->colour, gv_palette(k), sizeof a->colour);
    for (int d = 0; d < DETAILS; d++) {
        surface *f = &a->surface[d];
        size_t n = (size_t)s->body[d]->vertices;
        f->row = -1;
        f->skin = gv_skin_create(s->body[d], m->betas);
        f->world = gv_calloc2(n, 12);
        f->world_normal = gv_calloc2(n, 12);
        f->camera = gv_calloc2(n, 12);
        f->camera_normal = gv_calloc2(n, 12);
        if (!f->skin || !f->world || !f->world_normal || !f->camera || !f->camera_normal)
            return gv_fail(err, GV_ERR_MEMORY, "no memory for the body of person %d", k + 1);
    }
    return GV_OK;
}

// The pelvis' way over the ground.
static void trace(gv_stage *s) {
    float *p = s->points;
    for (int k = 0; k < s->people; k++) {
        const gv_motion *m = s->actor[k].m;
        s->path[k] = (gv_path){.points = p, .n = m->frames};
        memcpy(s->path[k].colour, s->actor[k].colour, sizeof s->path[k].colour);
        for (int t = 0; t < m->frames; t++, p += 3) {
            p[0] = m->joints_world[3 * J * (size_t)t];
            p[2] = m->joints_world[3 * J * (size_t)t + 2];
        }
    }
}

gv_status gv_stage_create(gv_stage **out, const gv_motion *motions, int people, const gv_body *body, gv_error *err) {
    gv_stage *s = *out = gv_calloc2(1, sizeof *s);
    size_t n = (size_t)people, points = 0;
    for (int k = 0; k < people; k++) points += (size_t)motions[k].frames;
    if (s) {
        s->simple = gv_body_simplify(body, COARSE_TRIANGLES);
        s->body[FINE] = body;
        s->body[COARSE] = s->simple;
        s->people = people;
        s->actor = gv_calloc2(n, sizeof *s->actor);
        s->mesh = gv_calloc2(2 * n, sizeof *s->mesh);
        s->path = gv_calloc2(3 * n, sizeof *s->path);
        s->points = gv_calloc2(points, 12);
        s->rings = gv_calloc2(2 * n, RING * 12);
    }
    gv_status status = GV_OK;
    if (!s || !s->simple || !s->actor || !s->mesh || !s->path || !s->points || !s->rings)
        status = gv_fail(err, GV_ERR_MEMORY, "no memory to draw %d people", people);
    for (int k = 0; k < people && status == GV_OK; k++) status = set_actor(s, k, &motions[k], err);
    if (status == GV_OK) {
        trace(s);
    } else {
        gv_stage_destroy(s);
        *out = NULL;
    }
    return status;
}

void gv_stage_destroy(gv_stage *s) {
    if (!s) return;
    for (int k = 0; s->actor && k < s->people; k++) {
        for (int d = 0; d < DETAILS; d++) {
            surface *f = &s->actor[k].surface[d];
            gv_skin_destroy(f->skin);
            free(f->world);
            free(f->world_normal);
            free(f->camera);
            free(f->camera_normal);
        }
    }
    gv_body_close(s->simple);
    free(s->actor);
    free(s->mesh);
    free(s->path);
    free(s->points);
    free(s->rings);
    free(s);
}

// Row of a motion for a frame of the video: the first that is not before it.
static int row_from(const gv_motion *m, long frame) {
    int lo = 0, hi = m->frames;
    while (lo < hi) {
        int middle = (lo + hi) / 2;
        if (m->frame_index[middle] < frame)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

int gv_stage_pose(gv_stage *s, long frame) {
    s->there = 0;
    for (int k = 0; k < s->people; k++) {
        actor *a = &s->actor[k];
        const gv_motion *m = a->m;
        int t = row_from(m, frame);
        a->row = t < m->frames && m->frame_index[t] == frame ? t : -1;
        s->there += a->row >= 0;
    }
    return s->there;
}

// The world mesh moved rigidly into the camera, pelvis to pelvis: x_cam = R (x - rest - transl) + rest + transl_incam.
static void to_camera(const actor *a, const surface *f, int vertices) {
    float Rw[9], Rc[9], R[9], pelvis[3], shift[3], turned[3];
    size_t t = (size_t)a->row;
    gv_rot_from_aa(Rw, a->m->global_orient + 3 * t);
    gv_rot_from_aa(Rc, a->m->global_orient_incam + 3 * t);
    gv_mat3_mul_nt(R, Rc, Rw);
    for (int i = 0; i < 3; i++) pelvis[i] = a->rest[i] + a->m->transl[3 * t + i];
    gv_mat3_apply(turned, R, pelvis);
    for (int i = 0; i < 3; i++) shift[i] = a->rest[i] + a->m->transl_incam[3 * t + i] - turned[i];
#pragma omp parallel for schedule(static)
    for (int v = 0; v < vertices; v++) {
        gv_mat3_apply(f->camera + 3 * v, R, f->world + 3 * v);
        for (int i = 0; i < 3; i++) f->camera[3 * v + i] += shift[i];
        gv_mat3_apply(f->camera_normal + 3 * v, R, f->world_normal + 3 * v);
    }
}

// Bends a surface in the camera so that a pinhole shows it where the lens does.
static void bend(const actor *a, const surface *f, int vertices) {
    gv_lens l;
    if (!gv_motion_lens(&l, a->m, a->row)) return;
    const double reach = gv_lens_reach(&l, a->m->width, a->m->height);
#pragma omp parallel for schedule(static)
    for (int v = 0; v < vertices; v++) {
        float *p = f->camera + 3 * v;
        double q[2];
        if (!(p[2] > 0)) continue;
        gv_lens_bend(&l, reach, (double)(p[0] / p[2]), (double)(p[1] / p[2]), q);
        p[0] = (float)q[0] * p[2], p[1] = (float)q[1] * p[2];
    }
}

// One of a person's surfaces, posed.
static gv_mesh mesh_of(gv_stage *s, actor *a, int detail, bool camera) {
    surface *f = &a->surface[detail];
    const gv_body *b = s->body[detail];
    const size_t t = (size_t)a->row;
    if (f->row != a->row)
        gv_skin_pose(f->skin, a->m->body_pose + 63 * t, a->m->global_orient + 3 * t, a->m->transl + 3 * t, f->world,
                     f->world_normal);
    f->row = a->row;
    if (camera) to_camera(a, f, b->vertices);
    if (camera) bend(a, f, b->vertices);
    gv_mesh mesh = {.vertices = b->vertices,
                    .triangles = b->triangles,
                    .position = camera ? f->camera : f->world,
                    .normal = camera ? f->camera_normal : f->world_normal,
                    .face = b->faces};
    memcpy(mesh.colour, a->colour, sizeof mesh.colour);
    return mesh;
}

static int fill_meshes(gv_stage *s, bool camera, const gv_view *view) {
    int n = 0;
    for (int k = 0; k < s->people; k++) {
        actor *a = &s->actor[k];
        if (a->row < 0) continue;
        const float *pelvis = (camera ? a->m->joints_incam : a->m->joints_world) + 3 * J * (size_t)a->row;
        float depth = view->t[2];
        for (int i = 0; i < 3; i++) depth += view->R[6 + i] * pelvis[i];
        gv_mesh *caster = &s->mesh[s->people + n];
        *caster = s->mesh[n] = mesh_of(s, a, COARSE, camera);
        if (!(view->K[0] < COARSE_PX * depth)) s->mesh[n] = mesh_of(s, a, FINE, camera);
        s->mesh[n++].caster = caster;
    }
    return n;
}

bool gv_stage_draw_over(gv_stage *s, gv_canvas *c, uint8_t *rgb, int width, int stride, float alpha) {
    const actor *seen = NULL; // whose intrinsics are used: all are of one camera
    for (int k = s->people - 1; k >= 0; k--)
        if (s->actor[k].row >= 0) seen = &s->actor[k];
    if (!seen) return true;
    gv_view view = {.R = {1, 0, 0, 0, 1, 0, 0, 0, 1}};
    float scale = seen->m->width > 0 ? (float)width / (float)seen->m->width : 1;
    for (int i = 0; i < 9; i++) view.K[i] = seen->m->K[9 * (size_t)seen->row + i] * (i < 6 ? scale : 1);
    int n = fill_meshes(s, true, &view);
    return gv_render_over(c, rgb, stride, &view, s->mesh, n, alpha);
}

// A ring on the ground around the ball of a foot that stands.
static int add_rings(gv_stage *s) {
    int n = 0;
    for (int k = 0; k < s->people; k++)
        for (int side = 0; side < 2; side++) {
            const actor *a = &s->actor[k];
            if (a->row < 0) continue;
            const float *still = a->m->static_prob + GV_STATIC_JOINTS * (size_t)a->row + 2 * side;
            const float *ball = a->m->joints_world + 3 * (J * (size_t)a->row + 10 + side);
            if (!(still[0] > contact || still[1] > contact)) continue;
            float *p = s->rings + (size_t)n * RING * 3;
            gv_path *path = &s->path[s->people + n++];
            *path = (gv_path){.points = p, .n = RING};
            for (int i = 0; i < 3; i++) path->colour[i] = 0.3f * a->colour[i];
            for (int i = 0; i < RING; i++) {
                float angle = 2 * (float)M_PI * (float)i / (RING - 1);
                p[3 * i] = ball[0] + ring_radius * cosf(angle);
                p[3 * i + 2] = ball[2] + ring_radius * sinf(angle);
            }
        }
    return n;
}

bool gv_stage_draw_world(gv_stage *s, gv_canvas *c, uint8_t *rgb, int stride, const gv_view *view) {
    int rings = add_rings(s), n = fill_meshes(s, false, view);
    return gv_render_world(c, rgb, stride, view, s->mesh, n, s->path, s->people + rings);
}

// ---- views

static void include(const gv_motion *m, float lo[3], float hi[3]) {
    for (size_t j = 0; j < (size_t)m->frames * J; j++)
        for (int i = 0; i < 3; i++) {
            lo[i] = fminf(lo[i], m->joints_world[3 * j + i]);
            hi[i] = fmaxf(hi[i], m->joints_world[3 * j + i]);
        }
}

gv_view gv_stage_view(const gv_stage *s, int width, int height) {
    float lo[3], hi[3];
    for (int i = 0; i < 3; i++) lo[i] = 1e9f, hi[i] = -1e9f;
    include(s->actor[0].m, lo, hi);
    float limit = fmaxf(LARGEST_STAGE, 1.5f * hypotf(hi[0] - lo[0], hi[2] - lo[2]));
    for (int k = 1; k < s->people; k++) {
        float l[3], h[3];
        memcpy(l, lo, sizeof l);
        memcpy(h, hi, sizeof h);
        include(s->actor[k].m, l, h);
        if (hypotf(h[0] - l[0], h[2] - l[2]) > limit) continue;
        memcpy(lo, l, sizeof l);
        memcpy(hi, h, sizeof h);
    }
    return gv_view_outside(lo, hi, width, height);
}

gv_view gv_stage_follow(const gv_stage *s, long frame, int width, int height) {
    const gv_motion *m = s->actor[0].m;
    int t = row_from(m, frame);
    if (t == m->frames) t--;
    double mean[3] = {0}, total = 0;
    for (int u = 0; u < m->frames; u++) {
        double away = (m->time_sec[u] - m->time_sec[t]) / FOLLOW_SEC, w = 1 - away * away;
        if (w <= 0) continue;
        for (int i = 0; i < 3; i++) mean[i] += w * (double)m->joints_world[3 * J * (size_t)u + i];
        total += w;
    }
    float lo[3], hi[3];
    for (int i = 0; i < 3; i++) {
        lo[i] = (float)(mean[i] / total) - FOLLOW_SIZE;
        hi[i] = (float)(mean[i] / total) + FOLLOW_SIZE;
    }
    lo[1] = 0, hi[1] = 1.8f;
    return gv_view_outside(lo, hi, width, height);
}
