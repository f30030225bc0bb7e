// make_mannequin.c - makes the built-in body: make_mannequin OUT.npz
//
// The file has SMPL-X's members: v_template, shapedirs (ten shapes, each a standard deviation for 1), J_regressor,
// weights, kintree_table, f, hands_meanl, hands_meanr, and coco17_regressor (17, V) besides. posedirs is left
// out. The shapes, positive for more:
//   0 stature   1 girth   2 legs against trunk   3 arms   4 shoulders   5 hips   6 head   7 strength of the limbs
//   8 belly     9 hands and feet
#include "make_mannequin.h"

#include "body/body.h"
#include "formats/npz.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct mannequin {
    skeleton bones;
    mesh skin;
    double (*weights)[JOINTS];
    double (*shape)[SHAPES][3];
    float *regressor, *keypoints; // [JOINTS][V], [KEYPOINTS][V]
} mannequin;

// Bones carry the skin with them as they grow: weights smoothed over the surface blend their directions.
static bool smooth_weights(double (*smooth)[JOINTS], const mannequin *b, int rounds) {
    const mesh *m = &b->skin;
    double(*sum)[JOINTS] = malloc((size_t)m->vertices * sizeof *sum),
    *count = malloc((size_t)m->vertices * sizeof *count);
    bool ok = sum && count;
    if (ok) memcpy(smooth, b->weights, (size_t)m->vertices * sizeof *smooth);
    for (int round = 0; ok && round < rounds; round++) {
        memset(sum, 0, (size_t)m->vertices * sizeof *sum);
        memset(count, 0, (size_t)m->vertices * sizeof *count);
        for (int t = 0; t < m->triangles; t++)
            for (int k = 0; k < 3; k++) {
                int a = m->f[t][k], c = m->f[t][(k + 1) % 3];
                count[a]++;
                for (int j = 0; j < JOINTS; j++) sum[a][j] += smooth[c][j];
            }
        for (int v = 0; v < m->vertices; v++)
            for (int j = 0; j < JOINTS; j++) smooth[v][j] = .4 * smooth[v][j] + .6 * sum[v][j] / count[v];
    }
    free(sum);
    free(count);
    return ok;
}

// Shape 8: the belly forward, the lower chest with it a little.
static double belly(const double p[3], const double n[3]) {
    double x = p[0] / .12, y = (p[1] - FLOOR - 1.055) / (p[1] > FLOOR + 1.055 ? .11 : .08);
    double front = fmax(n[2] + .2, 0) / 1.2;
    return .022 * exp(-.5 * (x * x + y * y)) * front;
}

static bool make_shapes(mannequin *b) {
    const mesh *m = &b->skin;
    double(*smooth)[JOINTS] = malloc((size_t)m->vertices * sizeof *smooth),
    (*normal)[3] = malloc((size_t)m->vertices * sizeof *normal);
    bool ok = smooth && normal && smooth_weights(smooth, b, 12);
    if (ok) mesh_normals(normal, m);
    for (int v = 0; ok && v < m->vertices; v++)
        for (int k = 0; k < SHAPES; k++) {
            double *d = b->shape[v][k];
            memset(d, 0, sizeof b->shape[v][k]);
            for (int j = 0; j < JOINTS; j++) {
                double one[3], w = smooth[v][j];
                if (w == 0) continue;
                bone_direction(one, &b->bones, j, k, m->v[v]);
                for (int c = 0; c < 3; c++) d[c] += w * (one[c] + bone_swelling(j, k) * normal[v][c]);
            }
            if (k == 8) d[2] += belly(m->v[v], normal[v]);
        }
    free(smooth);
    free(normal);
    return ok;
}

static bool make_regressors(mannequin *b) {
    const mesh *m = &b->skin;
    const skeleton *s = &b->bones;
    double *bone = malloc((size_t)m->vertices * sizeof *bone);
    bool ok = bone;
    for (int j = 0; ok && j < JOINTS; j++)
        ok = make_regressor(b->regressor + (size_t)j * m->vertices, m, b->shape, s->joint[j], s->direction[j], NULL);
    for (int i = 0; ok && i < KEYPOINTS; i++) {
        double direction[SHAPES][3];
        for (int k = 0; k < SHAPES; k++) bone_direction(direction[k], s, s->keypoint_bone[i], k, s->keypoint[i]);
        for (int v = 0; v < m->vertices; v++) bone[v] = b->weights[v][s->keypoint_bone[i]];
        ok = make_regressor(b->keypoints + (size_t)i * m->vertices, m, b->shape, s->keypoint[i], direction, bone);
    }
    free(bone);
    return ok;
}

static bool make_mannequin(mannequin *b) {
    make_skeleton(&b->bones);
    form_use(&b->bones);
    mesh half = {0};
    bool ok = make_half(&half) && remesh_half(&half) && mirror_half(&b->skin, &half);
    mesh_free(&half);
    if (!ok) return false;
    size_t n = (size_t)b->skin.vertices;
    b->weights = malloc(n * sizeof *b->weights);
    b->shape = malloc(n * sizeof *b->shape);
    b->regressor = calloc(n * JOINTS, sizeof(float));
    b->keypoints = calloc(n * KEYPOINTS, sizeof(float));
    return b->weights && b->shape && b->regressor && b->keypoints && make_weights(b->weights, &b->skin, &b->bones) &&
           make_shapes(b) && make_regressors(b);
}

// A relaxed hand, axis-angle: the left fingers bend about -z; the right hand is the mirror image.
static void relaxed_hands(float left[45], float right[45]) {
    static const float bend[4][3] = {{.22f, .40f, .22f}, {.30f, .45f, .25f}, {.42f, .48f, .28f}, {.36f, .46f, .26f}};
    static const float thumb[9] = {.25f, .30f, -.05f, .05f, .16f, -.12f, .05f, .20f, -.12f};
    memset(left, 0, 45 * sizeof(float));
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 3; k++) left[9 * i + 3 * k + 2] = -bend[i][k];
    memcpy(left + 36, thumb, sizeof thumb);
    for (int k = 0; k < 45; k++) right[k] = k % 3 ? -left[k] : left[k];
}

static bool pack(float **out, const double *in, size_t n) {
    *out = malloc(n * sizeof(float));
    for (size_t i = 0; *out && i < n; i++) (*out)[i] = (float)in[i];
    return *out;
}

static gv_status write_mannequin(const mannequin *b, const char *path, gv_error *err) {
    int n = b->skin.vertices;
    float *v = NULL, *w = NULL, *shape = malloc((size_t)n * 3 * SHAPES * sizeof(float)), left[45], right[45];
    int32_t tree[2][JOINTS];
    gv_status status = GV_OK;
    gv_npz_writer *z = NULL;
    if (!shape || !pack(&v, &b->skin.v[0][0], (size_t)n * 3) || !pack(&w, &b->weights[0][0], (size_t)n * JOINTS))
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    for (int i = 0; status == GV_OK && i < n; i++)
        for (int c = 0; c < 3; c++)
            for (int k = 0; k < SHAPES; k++) shape[(3 * i + c) * SHAPES + k] = (float)b->shape[i][k][c];
    for (int j = 0; j < JOINTS; j++) tree[0][j] = gv_parents55[j], tree[1][j] = j;
    relaxed_hands(left, right);
    if (status == GV_OK) status = gv_npz_create(&z, path, err);
    if (status == GV_OK) {
        gv_npz_add_f32(z, "v_template", v, 2, n, 3);
        gv_npz_add_f32(z, "shapedirs", shape, 3, n, 3, SHAPES);
        gv_npz_add_f32(z, "J_regressor", b->regressor, 2, JOINTS, n);
        gv_npz_add_f32(z, "weights", w, 2, n, JOINTS);
        gv_npz_add_i32(z, "kintree_table", &tree[0][0], 2, 2, JOINTS);
        gv_npz_add_i32(z, "f", &b->skin.f[0][0], 2, b->skin.triangles, 3);
        gv_npz_add_f32(z, "hands_meanl", left, 1, 45);
        gv_npz_add_f32(z, "hands_meanr", right, 1, 45);
        gv_npz_add_f32(z, "coco17_regressor", b->keypoints, 2, KEYPOINTS, n);
        status = gv_npz_finish(z, err);
    }
    free(v);
    free(w);
    free(shape);
    return status;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: make_mannequin OUT.npz\n");
        return 1;
    }
    static mannequin b;
    gv_error err = {0};
    bool ok = make_mannequin(&b);
    if (!ok) gv_fail(&err, GV_ERR_MEMORY, "no memory");
    ok = ok && write_mannequin(&b, argv[1], &err) == GV_OK;
    if (!ok) fprintf(stderr, "make_mannequin: %s\n", err.text);
    mesh_free(&b.skin);
    free(b.weights);
    free(b.shape);
    free(b.regressor);
    free(b.keypoints);
    return !ok;
}
