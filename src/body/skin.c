// skin.c - fast evaluation: one person's surface over many frames, and single points without the surface.
#include "base/memory.h"
#include "body/body.h"
#include "body/internal.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_FEATURES = 21 * 9 }; // of the 486 pose features, those of the body joints; the rest are constant here

struct gv_skin {
    const gv_body *body;
    float S[GV_SMPLX_JOINTS * 3];
    float *shaped;   // [V, 3] template with shape and the correctives of the mean hand pose
    float *posed;    // [V, 3] scratch: shaped with all correctives; NULL without correctives
    float *posedirs; // [189, V, 3] correctives of the body joints, one plane per feature; NULL without
};

// The correctives that do not change from frame to frame go into the shape; the others are stored plane by plane.
static void split_correctives(gv_skin *s) {
    const gv_body *b = s->body;
    float G[GV_SMPLX_JOINTS * 12], feature[GV_POSE_FEATURES], rest[63] = {0};
    gv_body_transforms(G, NULL, feature, s->S, b->hands_mean, rest, rest, NULL);
    size_t rows = (size_t)b->vertices * 3;
    for (size_t i = 0; i < rows; i++) {
        const float *p = b->posedirs + i * GV_POSE_FEATURES;
        for (int k = BODY_FEATURES; k < GV_POSE_FEATURES; k++) s->shaped[i] += p[k] * feature[k];
        for (int k = 0; k < BODY_FEATURES; k++) s->posedirs[k * rows + i] = p[k];
    }
}

gv_skin *gv_skin_create(const gv_body *b, const float betas[GV_BETAS]) {
    gv_skin *s = gv_calloc2(1, sizeof *s);
    if (!s) return NULL;
    size_t rows = (size_t)b->vertices * 3;
    s->body = b;
    s->shaped = gv_calloc2(rows, sizeof(float));
    if (b->posedirs) {
        s->posed = gv_calloc2(rows, sizeof(float));
        s->posedirs = gv_calloc2(rows * BODY_FEATURES, sizeof(float));
    }
    if (!s->shaped || (b->posedirs && (!s->posed || !s->posedirs))) {
        gv_skin_destroy(s);
        return NULL;
    }
    gv_body_rest_joints(s->S, b, betas, GV_SMPLX_JOINTS);
    gv_body_rest_surface(b, betas, s->shaped, NULL);
    if (b->posedirs) split_correctives(s);
    return s;
}

void gv_skin_destroy(gv_skin *s) {
    if (!s) return;
    free(s->shaped);
    free(s->posed);
    free(s->posedirs);
    free(s);
}

static const float *apply_correctives(gv_skin *s, const float *feature) {
    size_t rows = (size_t)s->body->vertices * 3;
    memcpy(s->posed, s->shaped, rows * sizeof(float));
    for (int k = 0; k < BODY_FEATURES; k++) {
        const float *plane = s->posedirs + k * rows;
        float f = feature[k], *restrict x = s->posed;
        for (size_t i = 0; f != 0 && i < rows; i++) x[i] += f * plane[i];
    }
    return s->posed;
}

// Unit normals: the sum of the triangles' cross products, so larger triangles count more.
static void vertex_normals(const gv_body *b, const float *x, float *n) {
    memset(n, 0, (size_t)b->vertices * 3 * sizeof(float));
    for (int t = 0; t < b->triangles; t++) {
        const int32_t *f = b->faces + 3 * t;
        const float *p = x + 3 * f[0], *q = x + 3 * f[1], *r = x + 3 * f[2];
        float a[3] = {q[0] - p[0], q[1] - p[1], q[2] - p[2]}, c[3] = {r[0] - p[0], r[1] - p[1], r[2] - p[2]};
        float cross[3] = {a[1] * c[2] - a[2] * c[1], a[2] * c[0] - a[0] * c[2], a[0] * c[1] - a[1] * c[0]};
        for (int k = 0; k < 3; k++)
            for (int i = 0; i < 3; i++) n[3 * f[k] + i] += cross[i];
    }
    for (int v = 0; v < b->vertices; v++) {
        float *m = n + 3 * v, length = sqrtf(m[0] * m[0] + m[1] * m[1] + m[2] * m[2]);
        if (length > 0)
            for (int i = 0; i < 3; i++) m[i] /= length;
        else
            m[1] = 1;
    }
}

void gv_body_rest_surface(const gv_body *b, const float betas[GV_BETAS], float *vertices, float *normals) {
    for (size_t i = 0; i < (size_t)b->vertices * 3; i++) {
        float x = 0;
        for (int k = 0; k < GV_BETAS; k++) x += b->shapedirs[i * GV_BETAS + k] * betas[k];
        vertices[i] = b->v_template[i] + x;
    }
    if (normals) vertex_normals(b, vertices, normals);
}

void gv_skin_pose(gv_skin *s, const float body_pose[63], const float global_orient[3], const float transl[3],
                  float *vertices, float *normals) {
    const gv_body *b = s->body;
    float G[GV_SMPLX_JOINTS * 12], A[GV_SMPLX_JOINTS * 12], feature[GV_POSE_FEATURES];
    gv_body_transforms(G, A, feature, s->S, b->hands_mean, body_pose, global_orient, transl);
    const float *rest = b->posedirs ? apply_correctives(s, feature) : s->shaped;
    for (int v = 0; v < b->vertices; v++) {
        const float *x = rest + 3 * v, *w = b->bone_weight + 4 * v;
        const int *index = b->bone_index + 4 * v;
        float T[12];
        for (int i = 0; i < 12; i++) T[i] = w[0] * A[12 * index[0] + i];
        for (int k = 1; k < 4 && w[k] > 0; k++)
            for (int i = 0; i < 12; i++) T[i] += w[k] * A[12 * index[k] + i];
        for (int r = 0; r < 3; r++)
            vertices[3 * v + r] = T[4 * r] * x[0] + T[4 * r + 1] * x[1] + T[4 * r + 2] * x[2] + T[4 * r + 3];
    }
    if (normals) vertex_normals(b, vertices, normals);
}

// With skinning x'_v = sum_j w_vj A_j [x_v; 1] and a point p = sum_v r_v x'_v,
// p = sum_j A_j [q_j; m_j] with q_j = sum_v r_v w_vj x_v and m_j = sum_v r_v w_vj: one term per joint,
// and q_j is linear in betas as x_v is.
typedef struct gv_term {
    int point, joint;
    float mass, q[3], dq[3 * GV_BETAS];
} gv_term;

struct gv_points {
    const gv_body *body;
    int points, terms;
    gv_term *term;
};

static bool point_term(gv_term *t, const gv_body *b, const float *row, int point, int joint) {
    double mass = 0, weight = 0, q[3] = {0}, dq[3 * GV_BETAS] = {0};
    for (int v = 0; v < b->vertices; v++) {
        double r = (double)row[v] * b->weights[(size_t)v * GV_SMPLX_JOINTS + joint];
        if (r == 0) continue;
        weight += fabs(r);
        mass += r;
        for (int c = 0; c < 3; c++) q[c] += r * b->v_template[3 * v + c];
        for (int k = 0; k < 3 * GV_BETAS; k++) dq[k] += r * b->shapedirs[(size_t)3 * GV_BETAS * v + k];
    }
    *t = (gv_term){.point = point, .joint = joint, .mass = (float)mass};
    for (int c = 0; c < 3; c++) t->q[c] = (float)q[c];
    for (int k = 0; k < 3 * GV_BETAS; k++) t->dq[k] = (float)dq[k];
    return weight > 0;
}

gv_points *gv_points_create(const gv_body *b, const float *regressor, int n) {
    gv_points *p = gv_calloc2(1, sizeof *p);
    gv_term *all = gv_calloc2((size_t)n * GV_SMPLX_JOINTS, sizeof *all);
    if (!p || !all) {
        free(p);
        free(all);
        return NULL;
    }
    *p = (gv_points){.body = b, .points = n, .term = all};
    for (int i = 0; i < n; i++)
        for (int j = 0; j < GV_SMPLX_JOINTS; j++)
            p->terms += point_term(all + p->terms, b, regressor + (size_t)i * b->vertices, i, j);
    gv_term *fit = realloc(all, (size_t)(p->terms ? p->terms : 1) * sizeof *all);
    if (fit) p->term = fit;
    return p;
}

void gv_points_destroy(gv_points *p) {
    if (!p) return;
    free(p->term);
    free(p);
}

void gv_points_pose(const gv_points *p, const float betas[GV_BETAS], const float body_pose[63],
                    const float global_orient[3], const float transl[3], float *points, float *joints) {
    float S[GV_SMPLX_JOINTS * 3], G[GV_SMPLX_JOINTS * 12], A[GV_SMPLX_JOINTS * 12];
    gv_body_rest_joints(S, p->body, betas, GV_SMPLX_JOINTS);
    gv_body_transforms(G, A, NULL, S, p->body->hands_mean, body_pose, global_orient, transl);
    for (int j = 0; joints && j < GV_SMPLX_JOINTS; j++)
        for (int r = 0; r < 3; r++) joints[3 * j + r] = G[12 * j + 4 * r + 3];
    if (!points) return;
    memset(points, 0, (size_t)p->points * 3 * sizeof(float));
    for (int i = 0; i < p->terms; i++) {
        const gv_term *t = p->term + i;
        const float *a = A + 12 * t->joint;
        float q[3];
        for (int c = 0; c < 3; c++) {
            q[c] = t->q[c];
            for (int k = 0; k < GV_BETAS; k++) q[c] += t->dq[GV_BETAS * c + k] * betas[k];
        }
        for (int r = 0; r < 3; r++)
            points[3 * t->point + r] +=
                a[4 * r] * q[0] + a[4 * r + 1] * q[1] + a[4 * r + 2] * q[2] + a[4 * r + 3] * t->mass;
    }
}
