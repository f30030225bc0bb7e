#include "body/body.h"
#include "base/file.h"
#include "base/memory.h"
#include "body/internal.h"
#include "body/model_file.h"
#include "body/regressor.h"
#include "geometry/rotation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// SPEC.md 3 and 13.
const double gv_soles_about[GV_FEET] = {0.08, 0.02, 0.08, 0.02};

const char *const gv_joint_names55[GV_SMPLX_JOINTS] = {
    "pelvis",       "left_hip",      "right_hip",     "spine1",         "left_knee",    "right_knee",   "spine2",
    "left_ankle",   "right_ankle",   "spine3",        "left_foot",      "right_foot",   "neck",         "left_collar",
    "right_collar", "head",          "left_shoulder", "right_shoulder", "left_elbow",   "right_elbow",  "left_wrist",
    "right_wrist",  "jaw",           "left_eye",      "right_eye",      "left_index1",  "left_index2",  "left_index3",
    "left_middle1", "left_middle2",  "left_middle3",  "left_pinky1",    "left_pinky2",  "left_pinky3",  "left_ring1",
    "left_ring2",   "left_ring3",    "left_thumb1",   "left_thumb2",    "left_thumb3",  "right_index1", "right_index2",
    "right_index3", "right_middle1", "right_middle2", "right_middle3",  "right_pinky1", "right_pinky2", "right_pinky3",
    "right_ring1",  "right_ring2",   "right_ring3",   "right_thumb1",   "right_thumb2", "right_thumb3"};

// The joint trees a file may have, and where their joints lie in SMPL-X's. SMPL ends in two hands (22, 23), which are
// taken for the middle fingers' first joints: like them children of the wrists, and never turned.
typedef struct tree {
    const char *name;
    int joints;
    signed char parent[GV_SMPLX_JOINTS]; // of joints 1 and up
    signed char place[GV_SMPLX_JOINTS];
} tree;

static const tree smpl = {
    "SMPL",
    24,
    {-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 28, 43},
};

static tree smplx_tree(void) {
    tree t = {.name = "SMPL-X", .joints = GV_SMPLX_JOINTS};
    for (int j = 0; j < GV_SMPLX_JOINTS; j++) t.parent[j] = (signed char)gv_parents55[j], t.place[j] = (signed char)j;
    return t;
}

// More than any published body of this family; bounds what a file can make us allocate (posedirs: 382 MB).
enum { MAX_VERTICES = 65536, MAX_TRIANGLES = 4 * MAX_VERTICES, MAX_SHAPES = 512 };

// ---------------------------------------------------------------------------------------------- the file

static gv_status check_finite(const gv_model_file *z, const char *name, const float *x, size_t n, gv_error *err) {
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(x[i]) <= 1e6f))
            return gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" holds %g at %zu, expected finite values",
                           gv_model_file_path(z), name, (double)x[i], i);
    return GV_OK;
}

static gv_status read_member(float **out, gv_model_file *z, const char *name, const int64_t *shape, int ndim,
                             gv_error *err) {
    *out = gv_model_file_f32(z, name, shape, ndim, err);
    if (!*out) return err ? err->status : GV_ERR_FORMAT;
    size_t n = 1;
    for (int i = 0; i < ndim; i++) n *= (size_t)shape[i];
    return check_finite(z, name, *out, n, err);
}

static gv_status read_tree(tree *t, gv_model_file *z, gv_error *err) {
    gv_array a;
    if (!gv_model_file_find(z, "kintree_table", &a))
        return gv_fail(err, GV_ERR_MISSING, "%s: no member \"kintree_table\"; is it a body model?",
                       gv_model_file_path(z));
    *t = a.ndim == 2 && a.shape[1] == smpl.joints ? smpl : smplx_tree();
    if (a.ndim != 2 || a.shape[0] != 2 || a.shape[1] != t->joints)
        return gv_fail(err, GV_ERR_FORMAT,
                       "%s: \"kintree_table\" has %lld joints, expected (2, 55): SMPL-X, or (2, 24): SMPL",
                       gv_model_file_path(z), a.ndim == 2 ? (long long)a.shape[1] : 0LL);
    // In float64, for the root's parent is 2^32 - 1 in one writer's integers and -1 in another's.
    double *table = gv_model_file_f64(z, "kintree_table", (int64_t[]){2, t->joints}, 2, err);
    if (!table) return err ? err->status : GV_ERR_FORMAT;
    gv_status status = GV_OK;
    for (int j = 1; j < t->joints && status == GV_OK; j++)
        if (table[j] != t->parent[j])
            status =
                gv_fail(err, GV_ERR_FORMAT, "%s: parent of joint %d is %g, expected %d: another joint tree than %s",
                        gv_model_file_path(z), j, table[j], t->parent[j], t->name);
    free(table);
    return status;
}

static gv_status read_sizes(gv_body *b, gv_model_file *z, gv_error *err) {
    gv_array v, f;
    const char *missing = !gv_model_file_find(z, "v_template", &v) ? "v_template"
                          : !gv_model_file_find(z, "f", &f)        ? "f"
                                                                   : NULL;
    if (missing)
        return gv_fail(err, GV_ERR_MISSING, "%s: no member \"%s\"; is it a body model?", gv_model_file_path(z),
                       missing);
    if (v.ndim != 2 || v.shape[1] != 3 || v.shape[0] < 1 || v.shape[0] > MAX_VERTICES)
        return gv_fail(err, GV_ERR_FORMAT, "%s: \"v_template\" is not (V, 3) with V from 1 to %d",
                       gv_model_file_path(z), MAX_VERTICES);
    if (f.ndim != 2 || f.shape[1] != 3 || f.shape[0] < 1 || f.shape[0] > MAX_TRIANGLES)
        return gv_fail(err, GV_ERR_FORMAT, "%s: \"f\" is not (F, 3) with F from 1 to %d", gv_model_file_path(z),
                       MAX_TRIANGLES);
    b->vertices = (int)v.shape[0];
    b->triangles = (int)f.shape[0];
    return GV_OK;
}

static gv_status read_shapedirs(gv_body *b, gv_model_file *z, gv_error *err) {
    gv_array a;
    if (!gv_model_file_find(z, "shapedirs", &a))
        return gv_fail(err, GV_ERR_MISSING, "%s: no member \"shapedirs\"", gv_model_file_path(z));
    int64_t columns = a.ndim == 3 ? a.shape[2] : 0;
    if (columns < GV_BETAS || columns > MAX_SHAPES)
        return gv_fail(err, GV_ERR_FORMAT, "%s: \"shapedirs\" has %lld shape columns, expected %d to %d",
                       gv_model_file_path(z), (long long)columns, GV_BETAS, MAX_SHAPES);
    float *all;
    gv_status status = read_member(&all, z, "shapedirs", (int64_t[]){b->vertices, 3, columns}, 3, err);
    size_t rows = (size_t)b->vertices * 3;
    if (status == GV_OK && !(b->shapedirs = gv_calloc2(rows, GV_BETAS * sizeof(float))))
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for \"shapedirs\"", gv_model_file_path(z));
    for (size_t i = 0; status == GV_OK && i < rows; i++)
        memcpy(b->shapedirs + i * GV_BETAS, all + i * columns, GV_BETAS * sizeof(float));
    free(all);
    return status;
}

static gv_status read_posedirs(gv_body *b, const tree *t, gv_model_file *z, gv_error *err) {
    gv_array a;
    if (!gv_model_file_find(z, "posedirs", &a)) return GV_OK;
    int64_t features = 9 * (t->joints - 1);
    float *own;
    gv_status status = read_member(&own, z, "posedirs", (int64_t[]){b->vertices, 3, features}, 3, err);
    size_t rows = (size_t)b->vertices * 3, n = rows * (size_t)features, i = 0;
    while (status == GV_OK && i < n && own[i] == 0) i++;
    bool any = status == GV_OK && i < n;
    if (any && t->joints == GV_SMPLX_JOINTS) {
        b->posedirs = own;
        return GV_OK;
    }
    if (any && !(b->posedirs = gv_calloc2(rows, GV_POSE_FEATURES * sizeof(float))))
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for \"posedirs\"", gv_model_file_path(z));
    for (size_t r = 0; b->posedirs && r < rows; r++)
        for (int j = 1; j < t->joints; j++)
            memcpy(b->posedirs + r * GV_POSE_FEATURES + 9 * (t->place[j] - 1), own + r * (size_t)features + 9 * (j - 1),
                   9 * sizeof(float));
    free(own);
    return status;
}

static gv_status check_weights(const gv_body *b, const gv_model_file *z, gv_error *err) {
    for (int v = 0; v < b->vertices; v++) {
        float sum = 0, least = 0;
        for (int j = 0; j < GV_SMPLX_JOINTS; j++) {
            float w = b->weights[(size_t)v * GV_SMPLX_JOINTS + j];
            sum += w;
            least = fminf(least, w);
        }
        if (fabsf(sum - 1) > 1e-2f || least < -1e-3f)
            return gv_fail(err, GV_ERR_FORMAT,
                           "%s: \"weights\" of vertex %d sum to %g with a least of %g, expected 1 and 0",
                           gv_model_file_path(z), v, (double)sum, (double)least);
    }
    return GV_OK;
}

static gv_status read_weights(gv_body *b, const tree *t, gv_model_file *z, gv_error *err) {
    float *own;
    gv_status status = read_member(&own, z, "weights", (int64_t[]){b->vertices, t->joints}, 2, err);
    if (status == GV_OK && !(b->weights = gv_calloc2((size_t)b->vertices, GV_SMPLX_JOINTS * sizeof(float))))
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for \"weights\"", gv_model_file_path(z));
    for (int v = 0; status == GV_OK && v < b->vertices; v++)
        for (int j = 0; j < t->joints; j++)
            b->weights[(size_t)v * GV_SMPLX_JOINTS + t->place[j]] = own[(size_t)v * t->joints + j];
    free(own);
    return status == GV_OK ? check_weights(b, z, err) : status;
}

// A joint that the file's tree lacks (fingers, jaw, eyes) lies where its parent lies.
static gv_status read_regressor(gv_body *b, const tree *t, gv_model_file *z, gv_error *err) {
    size_t V = (size_t)b->vertices;
    float *own;
    gv_status status = read_member(&own, z, "J_regressor", (int64_t[]){t->joints, b->vertices}, 2, err);
    if (status == GV_OK && !(b->J_regressor = gv_calloc2(GV_SMPLX_JOINTS, V * sizeof(float))))
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for \"J_regressor\"", gv_model_file_path(z));
    bool given[GV_SMPLX_JOINTS] = {false};
    for (int j = 0; status == GV_OK && j < t->joints; j++) {
        given[t->place[j]] = true;
        memcpy(b->J_regressor + V * (size_t)t->place[j], own + V * (size_t)j, V * sizeof(float));
    }
    for (int j = 1; status == GV_OK && j < GV_SMPLX_JOINTS; j++)
        if (!given[j])
            memcpy(b->J_regressor + V * (size_t)j, b->J_regressor + V * (size_t)gv_parents55[j], V * sizeof(float));
    free(own);
    return status;
}

static gv_status read_faces(gv_body *b, gv_model_file *z, gv_error *err) {
    b->faces = gv_model_file_i32(z, "f", (int64_t[]){b->triangles, 3}, 2, err);
    if (!b->faces) return err ? err->status : GV_ERR_FORMAT;
    for (int i = 0; i < b->triangles * 3; i++)
        if (b->faces[i] < 0 || b->faces[i] >= b->vertices)
            return gv_fail(err, GV_ERR_FORMAT, "%s: triangle %d names vertex %d of %d", gv_model_file_path(z), i / 3,
                           b->faces[i], b->vertices);
    return GV_OK;
}

static gv_status read_hands(gv_body *b, gv_model_file *z, gv_error *err) {
    static const char *const names[2] = {"hands_meanl", "hands_meanr"};
    for (int side = 0; side < 2; side++) {
        float *mean;
        gv_status status = read_member(&mean, z, names[side], (int64_t[]){45}, 1, err);
        if (status == GV_OK) memcpy(b->hands_mean + 45 * side, mean, 45 * sizeof(float));
        free(mean);
        if (status != GV_OK) return status;
    }
    return GV_OK;
}

// J_template = J_regressor v_template and J_shapedirs = J_regressor shapedirs, summed in float64.
static gv_status regress_joints(gv_body *b, gv_error *err) {
    b->J_template = gv_calloc2(GV_SMPLX_JOINTS * 3, sizeof(float));
    b->J_shapedirs = gv_calloc2(GV_SMPLX_JOINTS * 3 * GV_BETAS, sizeof(float));
    if (!b->J_template || !b->J_shapedirs) return gv_fail(err, GV_ERR_MEMORY, "no memory for a body's joints");
    for (int j = 0; j < GV_SMPLX_JOINTS; j++) {
        double J[3] = {0}, D[3 * GV_BETAS] = {0};
        for (int v = 0; v < b->vertices; v++) {
            double r = b->J_regressor[(size_t)j * b->vertices + v];
            if (r == 0) continue;
            for (int c = 0; c < 3; c++) J[c] += r * b->v_template[3 * v + c];
            for (int k = 0; k < 3 * GV_BETAS; k++) D[k] += r * b->shapedirs[(size_t)3 * GV_BETAS * v + k];
        }
        for (int c = 0; c < 3; c++) b->J_template[3 * j + c] = (float)J[c];
        for (int k = 0; k < 3 * GV_BETAS; k++) b->J_shapedirs[3 * GV_BETAS * j + k] = (float)D[k];
    }
    return GV_OK;
}

static gv_status strongest_bones(gv_body *b, gv_error *err) {
    b->bone_index = gv_calloc2((size_t)b->vertices * 4, sizeof(int));
    b->bone_weight = gv_calloc2((size_t)b->vertices * 4, sizeof(float));
    if (!b->bone_index || !b->bone_weight) return gv_fail(err, GV_ERR_MEMORY, "no memory for a body's weights");
    for (int v = 0; v < b->vertices; v++) {
        const float *w = b->weights + (size_t)v * GV_SMPLX_JOINTS;
        int *index = b->bone_index + 4 * v;
        float *best = b->bone_weight + 4 * v, sum = 0;
        for (int j = 0; j < GV_SMPLX_JOINTS; j++) {
            if (w[j] <= best[3]) continue;
            int k = 3;
            for (; k > 0 && w[j] > best[k - 1]; k--) best[k] = best[k - 1], index[k] = index[k - 1];
            best[k] = w[j];
            index[k] = j;
        }
        for (int k = 0; k < 4; k++) sum += best[k];
        for (int k = 0; k < 4; k++) best[k] /= sum;
    }
    return GV_OK;
}

static gv_status read_body(gv_body *b, gv_model_file *z, bool correctives, gv_error *err) {
    gv_status status;
    tree t;
    if ((status = read_tree(&t, z, err)) != GV_OK) return status;
    if ((status = read_sizes(b, z, err)) != GV_OK) return status;
    int64_t V = b->vertices;
    if ((status = read_member(&b->v_template, z, "v_template", (int64_t[]){V, 3}, 2, err)) != GV_OK) return status;
    if ((status = read_regressor(b, &t, z, err)) != GV_OK) return status;
    if ((status = read_weights(b, &t, z, err)) != GV_OK) return status;
    if ((status = read_faces(b, z, err)) != GV_OK) return status;
    if (t.joints == GV_SMPLX_JOINTS && (status = read_hands(b, z, err)) != GV_OK) return status;
    if ((status = read_shapedirs(b, z, err)) != GV_OK) return status;
    if (correctives && (status = read_posedirs(b, &t, z, err)) != GV_OK) return status;
    gv_array coco17;
    if (gv_model_file_find(z, "coco17_regressor", &coco17) &&
        (status = read_member(&b->coco17, z, "coco17_regressor", (int64_t[]){GV_COCO17, V}, 2, err)) != GV_OK)
        return status;
    if ((status = regress_joints(b, err)) != GV_OK) return status;
    return strongest_bones(b, err);
}

// What the reference keeps in files of its own, where the user has put them beside the body model.
static gv_status read_neighbours(gv_body *b, const char *path, gv_error *err) {
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (!folder) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    gv_status status = gv_body_find_coco17(b, folder, err);
    free(folder);
    return status;
}

static gv_status open_body(gv_body **out, const char *path, bool correctives, gv_error *err) {
    gv_error own = {0};
    if (!err) err = &own;
    *out = NULL;
    char *found = path ? NULL : gv_resource_find("mannequin.npz", err);
    if (!path && !found) return GV_ERR_MISSING;
    gv_model_file *z = NULL;
    gv_body *b = NULL;
    gv_status status = gv_model_file_open(&z, path ? path : found, err);
    if (status != GV_OK) goto done;
    if (!(b = gv_calloc2(1, sizeof *b))) {
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory", gv_model_file_path(z));
        goto done;
    }
    status = read_body(b, z, correctives, err);
    if (status == GV_OK) status = read_neighbours(b, path ? path : found, err);
    if (status == GV_OK) *out = b, b = NULL;
done:
    gv_body_close(b);
    gv_model_file_close(z);
    free(found);
    return status;
}

gv_status gv_body_open(gv_body **out, const char *path, gv_error *err) {
    return open_body(out, path, true, err);
}

gv_status gv_body_open_skeleton(gv_body **out, const char *path, gv_error *err) {
    return open_body(out, path, false, err);
}

void gv_body_close(gv_body *b) {
    if (!b) return;
    free(b->v_template);
    free(b->shapedirs);
    free(b->posedirs);
    free(b->weights);
    free(b->J_regressor);
    free(b->faces);
    free(b->J_template);
    free(b->J_shapedirs);
    free(b->coco17);
    free(b->bone_index);
    free(b->bone_weight);
    free(b);
}

// ---------------------------------------------------------------------------------------- the evaluation

void gv_body_rest_joints(float *S, const gv_body *b, const float betas[GV_BETAS], int n) {
    for (int i = 0; i < 3 * n; i++) {
        float s = 0;
        for (int k = 0; k < GV_BETAS; k++) s += b->J_shapedirs[i * GV_BETAS + k] * betas[k];
        S[i] = b->J_template[i] + s;
    }
}

// G_j = G_parent [R | S_j - S_parent]; the root: [R | S_0].
static void chain(float *G, const float *S, int j, const float R[9]) {
    float *g = G + 12 * j;
    if (j == 0) {
        for (int r = 0; r < 3; r++) {
            for (int c = 0; c < 3; c++) g[4 * r + c] = R[3 * r + c];
            g[4 * r + 3] = S[r];
        }
        return;
    }
    const float *p = G + 12 * gv_parents55[j], *s = S + 3 * j, *sp = S + 3 * gv_parents55[j];
    float o[3] = {s[0] - sp[0], s[1] - sp[1], s[2] - sp[2]};
    for (int r = 0; r < 3; r++) {
        const float *q = p + 4 * r;
        for (int c = 0; c < 3; c++) g[4 * r + c] = q[0] * R[c] + q[1] * R[3 + c] + q[2] * R[6 + c];
        g[4 * r + 3] = q[0] * o[0] + q[1] * o[1] + q[2] * o[2] + q[3];
    }
}

void gv_body_fk22(float *G, const float *S, const float body_pose[63], const float global_orient[3]) {
    for (int j = 0; j < GV_BODY_JOINTS; j++) {
        float R[9];
        gv_rot_from_aa(R, j ? body_pose + 3 * (j - 1) : global_orient);
        chain(G, S, j, R);
    }
}

void gv_body_transforms(float *G, float *A, float *feature, const float *S, const float hands[90],
                        const float body_pose[63], const float global_orient[3], const float transl[3]) {
    static const float none[3] = {0, 0, 0};
    for (int j = 0; j < GV_SMPLX_JOINTS; j++) {
        const float *aa = j == 0   ? global_orient
                          : j < 22 ? body_pose + 3 * (j - 1)
                          : j < 25 ? none
                                   : hands + 3 * (j - 25);
        float R[9];
        gv_rot_from_aa(R, aa);
        chain(G, S, j, R);
        if (feature && j)
            for (int i = 0; i < 9; i++) feature[9 * (j - 1) + i] = R[i] - (i % 4 == 0);
    }
    if (transl)
        for (int j = 0; j < GV_SMPLX_JOINTS; j++)
            for (int r = 0; r < 3; r++) G[12 * j + 4 * r + 3] += transl[r];
    if (!A) return;
    for (int j = 0; j < GV_SMPLX_JOINTS; j++) {
        const float *g = G + 12 * j, *s = S + 3 * j;
        for (int r = 0; r < 3; r++) {
            memcpy(A + 12 * j + 4 * r, g + 4 * r, 3 * sizeof(float));
            A[12 * j + 4 * r + 3] = g[4 * r + 3] - (g[4 * r] * s[0] + g[4 * r + 1] * s[1] + g[4 * r + 2] * s[2]);
        }
    }
}

static float dot(const float *a, const float *b, int n) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void evaluate_vertex(float out[3], const gv_body *b, int v, const float *betas, const float *feature,
                            const float *A) {
    float x[3], T[12] = {0};
    for (int c = 0; c < 3; c++) {
        size_t row = (size_t)3 * v + c;
        x[c] = b->v_template[row] + dot(b->shapedirs + row * GV_BETAS, betas, GV_BETAS);
        if (b->posedirs) x[c] += dot(b->posedirs + row * GV_POSE_FEATURES, feature, GV_POSE_FEATURES);
    }
    for (int j = 0; j < GV_SMPLX_JOINTS; j++) {
        float w = b->weights[(size_t)v * GV_SMPLX_JOINTS + j];
        if (w == 0) continue;
        for (int i = 0; i < 12; i++) T[i] += w * A[12 * j + i];
    }
    for (int r = 0; r < 3; r++) out[r] = T[4 * r] * x[0] + T[4 * r + 1] * x[1] + T[4 * r + 2] * x[2] + T[4 * r + 3];
}

void gv_body_evaluate(const gv_body *b, const float betas[GV_BETAS], const float body_pose[63],
                      const float global_orient[3], const float transl[3], float *vertices, float *joints) {
    float S[GV_SMPLX_JOINTS * 3], G[GV_SMPLX_JOINTS * 12], A[GV_SMPLX_JOINTS * 12], feature[GV_POSE_FEATURES];
    gv_body_rest_joints(S, b, betas, GV_SMPLX_JOINTS);
    gv_body_transforms(G, A, feature, S, b->hands_mean, body_pose, global_orient, transl);
    for (int j = 0; joints && j < GV_SMPLX_JOINTS; j++)
        for (int r = 0; r < 3; r++) joints[3 * j + r] = G[12 * j + 4 * r + 3];
    if (!vertices) return;
#pragma omp parallel for schedule(static)
    for (int v = 0; v < b->vertices; v++) evaluate_vertex(vertices + 3 * v, b, v, betas, feature, A);
}
