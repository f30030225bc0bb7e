// rig.c - the rig of a body, and its kinematics backwards.
#include "training/rig.h"
#include "base/memory.h"
#include "geometry/rotation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { J = GV_RIG_JOINTS, NB = GV_BETAS, BONES = GV_SMPLX_JOINTS };

void gv_rig_place_backward(gv_rig_grad *g, const gv_real *dpoints, const gv_rig_points *pts, const gv_rig_pose *p) {
    for (int i = 0; i < pts->count; i++) {
        const gv_real *d = dpoints + 3 * i;
        for (int k = pts->first[i]; k < pts->first[i + 1]; k++) {
            const gv_rig_part *q = &pts->part[k];
            gv_real y[3], dy[3];
            gv_rig_offset(y, q, p);
            for (int a = 0; a < 3; a++)
                for (int b = 0; b < 3; b++) g->R[q->bone][3 * a + b] += d[a] * y[b];
            gv_real_apply_t(dy, p->R[q->bone], d);
            for (int c = 0; c < 3; c++) {
                g->t[q->bone][c] += q->W * d[c];
                g->S[q->bone][c] -= q->W * dy[c];
                for (int m = 0; m < NB; m++) g->betas[m] += q->dirs[c][m] * dy[c];
            }
        }
    }
}

// R_j = R_k L_j and t_j = t_k + R_k (S_j - S_k), undone from the leaves to the root.
void gv_rig_fk_backward(gv_rig_grad *g, const gv_rig *r, const gv_rig_pose *p) {
    for (int j = J - 1; j >= 1; j--) {
        int k = gv_parents55[j];
        gv_real o[3] = {p->S[j][0] - p->S[k][0], p->S[j][1] - p->S[k][1], p->S[j][2] - p->S[k][2]}, d[3];
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++) {
                gv_real lo = 0, up = 0;
                for (int c = 0; c < 3; c++) {
                    lo += p->R[k][3 * c + a] * g->R[j][3 * c + b];     // R_k^T dR_j
                    up += g->R[j][3 * a + c] * p->local[j][3 * b + c]; // dR_j L_j^T
                }
                g->local[j][3 * a + b] += lo;
                g->R[k][3 * a + b] += up + g->t[j][a] * o[b];
            }
        gv_real_apply_t(d, p->R[k], g->t[j]);
        for (int c = 0; c < 3; c++) {
            g->t[k][c] += g->t[j][c];
            g->S[j][c] += d[c];
            g->S[k][c] -= d[c];
        }
    }
    for (int i = 0; i < 9; i++) g->local[0][i] += g->R[0][i];
    for (int c = 0; c < 3; c++) g->S[0][c] += g->t[0][c];
    for (int j = 0; j < J; j++)
        for (int c = 0; c < 3; c++)
            for (int k = 0; k < NB; k++) g->betas[k] += r->dirs[j][c][k] * g->S[j][c];
}

// ---- from a body ----

// Places in model space of one vertex's contribution by each of the 55 bones, for one shape: the bone's share of
// the skinned vertex at rest with the hands at their mean pose, in the frame of its body joint (aligned with
// model space there). A [55][12]: skinning transforms of that pose.
static void hand_pose(const gv_body *b, const double S[BONES][3], double A[BONES][12]) {
    double R[BONES][9], t[BONES][3];
    for (int j = 0; j < BONES; j++) {
        float local[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
        if (j >= 25) gv_rot_from_aa(local, b->hands_mean + 3 * (j - 25));
        int k = gv_parents55[j];
        for (int i = 0; i < 9; i++) R[j][i] = local[i];
        for (int c = 0; c < 3; c++) t[j][c] = S[j][c];
        if (k < 0) continue;
        for (int a = 0; a < 3; a++) {
            t[j][a] = t[k][a];
            for (int c = 0; c < 3; c++) {
                R[j][3 * a + c] =
                    R[k][3 * a] * local[c] + R[k][3 * a + 1] * local[3 + c] + R[k][3 * a + 2] * local[6 + c];
                t[j][a] += R[k][3 * a + c] * (S[j][c] - S[k][c]);
            }
        }
    }
    for (int j = 0; j < BONES; j++)
        for (int a = 0; a < 3; a++) {
            A[j][4 * a + 3] = t[j][a];
            for (int c = 0; c < 3; c++) {
                A[j][4 * a + c] = R[j][3 * a + c];
                A[j][4 * a + 3] -= R[j][3 * a + c] * S[j][c];
            }
        }
}

static int body_bone(int j) {
    while (j >= J) j = gv_parents55[j];
    return j;
}

typedef struct rest { // the affine dependence on betas: index 0 is betas = 0, 1 + k is betas = e_k
    double A[1 + NB][BONES][12];
} rest;

// acc [22][1 + 11 * 3]: weight, then the place for each shape
static void add_vertex(double acc[J][1 + 3 * (1 + NB)], const gv_body *b, const rest *r, int v, double w) {
    for (int j = 0; j < BONES; j++) {
        double s = w * b->weights[(size_t)v * BONES + j];
        if (s == 0) continue;
        double *a = acc[body_bone(j)];
        a[0] += s;
        for (int k = 0; k <= NB; k++) {
            double x[3];
            for (int c = 0; c < 3; c++)
                x[c] = b->v_template[3 * v + c] + (k ? b->shapedirs[((size_t)v * 3 + c) * NB + k - 1] : 0);
            for (int c = 0; c < 3; c++) {
                const double *M = r->A[k][j] + 4 * c;
                a[1 + 3 * k + c] += s * (M[0] * x[0] + M[1] * x[1] + M[2] * x[2] + M[3]);
            }
        }
    }
}

static int store_point(gv_rig_points *pts, int *room, double acc[J][1 + 3 * (1 + NB)]) {
    int n = pts->first[pts->count];
    if (n + J > *room) {
        void *p = realloc(pts->part, sizeof *pts->part * (size_t)(*room = 2 * (n + J)));
        if (!p) return 0;
        pts->part = p;
    }
    for (int j = 0; j < J; j++) {
        if (acc[j][0] == 0) continue;
        gv_rig_part *q = &pts->part[n++];
        q->bone = j;
        q->W = (gv_real)acc[j][0];
        for (int c = 0; c < 3; c++) {
            q->Y[c] = (gv_real)acc[j][1 + c];
            for (int k = 0; k < NB; k++) q->dirs[c][k] = (gv_real)(acc[j][1 + 3 * (k + 1) + c] - acc[j][1 + c]);
        }
    }
    pts->first[++pts->count] = n;
    return 1;
}

gv_status gv_rig_from_body(gv_rig *r, const gv_body *b, int surface, gv_error *err) {
    *r = (gv_rig){0};
    if (!b->vertices || !b->coco17)
        return gv_fail(err, GV_ERR_MISSING, "the body has no COCO-17 keypoints; training needs them");
    for (int j = 0; j < J; j++)
        for (int c = 0; c < 3; c++) {
            r->S[j][c] = b->J_template[3 * j + c];
            for (int k = 0; k < NB; k++) r->dirs[j][c][k] = b->J_shapedirs[(3 * j + c) * NB + k];
        }
    rest *rs = malloc(sizeof *rs);
    surface = surface < b->vertices ? surface : b->vertices;
    r->coco.first = calloc(GV_COCO + 1, sizeof(int));
    r->surface.first = calloc((size_t)surface + 1, sizeof(int));
    int ok = rs && r->coco.first && r->surface.first, coco_room = 0, surface_room = 0;
    for (int k = 0; k <= NB && ok; k++) {
        double S[BONES][3];
        for (int j = 0; j < BONES; j++)
            for (int c = 0; c < 3; c++)
                S[j][c] = b->J_template[3 * j + c] + (k ? b->J_shapedirs[(3 * j + c) * NB + k - 1] : 0);
        hand_pose(b, S, rs->A[k]);
    }
    double acc[J][1 + 3 * (1 + NB)];
    for (int i = 0; i < GV_COCO && ok; i++) {
        memset(acc, 0, sizeof acc);
        for (int v = 0; v < b->vertices; v++) {
            float w = b->coco17[(size_t)i * (size_t)b->vertices + v];
            if (w != 0) add_vertex(acc, b, rs, v, w);
        }
        ok = store_point(&r->coco, &coco_room, acc);
    }
    for (int i = 0; i < surface && ok; i++) {
        memset(acc, 0, sizeof acc);
        add_vertex(acc, b, rs, (int)((int64_t)i * b->vertices / surface), 1);
        ok = store_point(&r->surface, &surface_room, acc);
    }
    free(rs);
    if (ok) return GV_OK;
    gv_rig_free(r);
    return gv_fail(err, GV_ERR_MEMORY, "no memory for the body's points");
}

void gv_rig_free(gv_rig *r) {
    free(r->coco.first);
    free(r->coco.part);
    free(r->surface.first);
    free(r->surface.part);
    *r = (gv_rig){0};
}
