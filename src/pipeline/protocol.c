#include "pipeline/protocol.h"
#include "base/memory.h"
#include "pipeline/predict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { V = GV_SMPL_VERTICES, FEET = 4 };
static const int foot_vertices[FEET] = {3216, 3387, 6617, 6787};

static bool in_camera(gv_dataset_kind k) {
    return k != GV_EMDB2;
}

static bool in_world(gv_dataset_kind k) {
    return k == GV_EMDB2 || k == GV_RICH;
}

// ---- opening

static gv_status open_body(gv_body **out, const char *folder, const char *family, const char *gender, int vertices,
                           gv_error *err) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s/%s_%s.npz", folder, !strcmp(family, "SMPL") ? "smpl" : "smplx", family, gender);
    size_t n = strlen(path);
    if (access(path, R_OK) && !strcmp(family, "SMPL")) memcpy(path + n - 3, "pkl", 3);
    gv_status s = gv_body_open(out, path, err);
    if (!s && (*out)->vertices != vertices) {
        s = gv_fail(err, GV_ERR_FORMAT, "%s: %d vertices, expected %d", path, (*out)->vertices, vertices);
        gv_body_close(*out);
        *out = NULL;
    }
    return s;
}

gv_status gv_protocol_open(gv_protocol *p, gv_dataset_kind kind, const char *bodies, const char *regressors,
                           gv_error *err) {
    bool of_14 = kind == GV_3DPW;
    char path[4096];
    *p = (gv_protocol){.kind = kind};
    gv_status s = open_body(&p->body, bodies, "SMPLX", "NEUTRAL", GV_SMPLX_VERTICES, err);
    for (int g = GV_MALE; g <= GV_FEMALE && !s; g++)
        s = open_body(&p->truth[g], bodies, kind == GV_RICH ? "SMPLX" : "SMPL", g == GV_MALE ? "MALE" : "FEMALE",
                      kind == GV_RICH ? GV_SMPLX_VERTICES : V, err);
    snprintf(path, sizeof path, "%s/smplx2smpl_sparse.pt", regressors);
    if (!s) s = gv_regressor_open(&p->to_smpl, path, V, GV_SMPLX_VERTICES, err);
    snprintf(path, sizeof path, "%s/%s", regressors,
             of_14 ? "smpl_3dpw14_J_regressor_sparse.pt" : "smpl_neutral_J_regressor.pt");
    if (!s) s = gv_regressor_open(&p->joints, path, of_14 ? 14 : 24, V, err);
    if (!s && of_14) memset(p->body->hands_mean, 0, sizeof p->body->hands_mean);
    if (s) gv_protocol_close(p);
    return s;
}

void gv_protocol_close(gv_protocol *p) {
    gv_body_close(p->body);
    for (int g = 0; g < GV_GENDERS; g++) gv_body_close(p->truth[g]);
    gv_regressor_close(&p->to_smpl);
    gv_regressor_close(&p->joints);
    *p = (gv_protocol){0};
}

// ---- one sequence

typedef struct points { // of the frames that count
    float *joints;      // [n, J, 3]
    float *surface;     // [n, 6890, 3], where it is wanted
    float *feet;        // [n, 4, 3]
} points;

typedef struct work {
    int n, J;
    points pred_c, true_c, pred_w, true_w;
    float *vertices, *smpl; // [10475, 3] and [6890, 3] of one frame
} work;

static void release(work *w) {
    points *all[] = {&w->pred_c, &w->true_c, &w->pred_w, &w->true_w};
    for (int i = 0; i < 4; i++) {
        free(all[i]->joints);
        free(all[i]->surface);
        free(all[i]->feet);
    }
    free(w->vertices);
    free(w->smpl);
}

static gv_status allocate(work *w, const gv_protocol *p, const gv_dataset_sequence *q, gv_error *err) {
    *w = (work){.J = p->joints.rows};
    for (int t = 0; t < q->frames; t++) w->n += q->counts[t];
    if (w->n < 4) return gv_fail(err, GV_ERR_EMPTY, "%s: %d frames count, expected 4 or more", q->name, w->n);
    size_t n = (size_t)w->n;
    points *all[] = {&w->pred_c, &w->true_c, &w->pred_w, &w->true_w};
    bool ok =
        (w->vertices = gv_calloc2(GV_SMPLX_VERTICES, sizeof(float[3]))) && (w->smpl = gv_calloc2(V, sizeof(float[3])));
    for (int i = 0; i < 4 && ok; i++) {
        if (!(i < 2 ? in_camera(p->kind) : in_world(p->kind))) continue;
        ok = (all[i]->joints = gv_calloc2(n, (size_t)w->J * sizeof(float[3]))) &&
             (i >= 2 || (all[i]->surface = gv_calloc2(n, sizeof(float[3 * V])))) &&
             (i < 2 || (all[i]->feet = gv_calloc2(n, sizeof(float[3 * FEET]))));
    }
    return ok ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %d frames", q->name, w->n);
}

// SMPL's surface in w->smpl as frame k of `out`, T [4, 4] applied where there is one.
static void keep(points *out, const work *w, const gv_protocol *p, int k, const float *T) {
    if (!out->joints) return;
    float *joints = out->joints + (size_t)k * (size_t)w->J * 3, *x = w->smpl;
    for (int v = 0; v < V && T; v++) {
        float a[3] = {x[3 * v], x[3 * v + 1], x[3 * v + 2]};
        for (int r = 0; r < 3; r++)
            x[3 * v + r] = T[4 * r] * a[0] + T[4 * r + 1] * a[1] + T[4 * r + 2] * a[2] + T[4 * r + 3];
    }
    gv_regressor_apply(joints, &p->joints, x);
    if (out->surface) memcpy(out->surface + (size_t)k * 3 * V, x, sizeof(float[3 * V]));
    for (int i = 0; i < FEET && out->feet; i++)
        memcpy(out->feet + ((size_t)k * FEET + (size_t)i) * 3, x + 3 * foot_vertices[i], sizeof(float[3]));
}

static void place_predicted(points *out, work *w, const gv_protocol *p, int k, const float *betas, const float *pose,
                            const float *orient, const float *transl) {
    if (!out->joints) return;
    gv_body_evaluate(p->body, betas, pose, orient, transl, w->vertices, NULL);
    gv_regressor_apply(w->smpl, &p->to_smpl, w->vertices);
    keep(out, w, p, k, NULL);
}

// SMPL's hands (joints 22 and 23) turn, too; they lie where SMPL-X's middle fingers begin (body.c).
static void place_true(work *w, const gv_protocol *p, const gv_dataset_sequence *q, int t, int k) {
    gv_body body = *p->truth[q->gender]; // the arrays stay the original's
    const float *pose = q->pose + GV_TARGET_POSE * (size_t)t;
    bool smpl = body.vertices == V;
    if (smpl) {
        memcpy(body.hands_mean + 3 * (28 - 25), pose + 63, sizeof(float[3]));
        memcpy(body.hands_mean + 3 * (43 - 25), pose + 66, sizeof(float[3]));
    }
    gv_body_evaluate(&body, q->betas + 10 * (size_t)t, pose, q->orient + 3 * (size_t)t, q->transl + 3 * (size_t)t,
                     smpl ? w->smpl : w->vertices, NULL);
    if (!smpl) gv_regressor_apply(w->smpl, &p->to_smpl, w->vertices);
    keep(&w->true_w, w, p, k, NULL);
    keep(&w->true_c, w, p, k, q->T_w2c + 16 * (size_t)t);
}

static gv_status score(gv_score *s, const work *w, const gv_protocol *p, gv_error *err) {
    static const int of_24[2] = {1, 2}, of_14[2] = {2, 3};
    gv_status status = GV_OK;
    if (in_camera(p->kind))
        status = gv_score_camera(s, w->n, (gv_points_pair){w->pred_c.joints, w->true_c.joints, w->J},
                                 (gv_points_pair){w->pred_c.surface, w->true_c.surface, V},
                                 p->kind == GV_3DPW ? of_14 : of_24, 30, err);
    if (!status && in_world(p->kind))
        status = gv_score_world(s, w->n, (gv_points_pair){w->pred_w.joints, w->true_w.joints, w->J},
                                (gv_points_pair){w->pred_w.feet, w->true_w.feet, FEET}, 30, err);
    return status;
}

gv_status gv_protocol_run(gv_score *s, const gv_protocol *p, gv_network *net, const gv_dataset_sequence *q,
                          gv_error *err) {
    work w;
    gv_motion m = {0};
    float *pose_c = NULL;
    if (!p->truth[q->gender]) return gv_fail(err, GV_ERR_FORMAT, "%s: its body is neither male nor female", q->name);
    gv_status status = allocate(&w, p, q, err);
    if (!status && !(pose_c = gv_calloc2((size_t)q->frames, sizeof(float[63]))))
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %d frames", q->name, q->frames);
    bool flip = q->mirrored.frames > 0;
    const gv_predict_options how = {.mirrored = flip ? &q->mirrored : NULL, .camera_pose = flip ? pose_c : NULL};
    if (!status) status = gv_predict(&m, net, p->body, &q->seen, &how, NULL, err);
    for (int t = 0, k = 0; t < q->frames && !status; t++) {
        if (!q->counts[t]) continue;
        size_t at = (size_t)t;
        place_predicted(&w.pred_c, &w, p, k, m.betas, (flip ? pose_c : m.body_pose) + 63 * at,
                        m.global_orient_incam + 3 * at, m.transl_incam + 3 * at);
        place_predicted(&w.pred_w, &w, p, k, m.betas, m.body_pose + 63 * at, m.global_orient + 3 * at,
                        m.transl + 3 * at);
        place_true(&w, p, q, t, k++);
    }
    if (!status) status = score(s, &w, p, err);
    gv_motion_free(&m);
    free(pose_c);
    release(&w);
    return status;
}
