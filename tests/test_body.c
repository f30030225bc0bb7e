#include "body/body.h"
#include "body/regressor.h"
#include "base/file.h"
#include "base/memory.h"
#include "formats/npz.h"
#include "test.h"

#include <string.h>
#include <sys/stat.h>

// The reference's joints and vertices are float32 as recorded; float32 moves its joints by up to 5.5e-5 in
// longer chains of operations (float32_noise.json: joints_c), plain evaluation by far less: coordinates of up
// to 2.6 m are rounded to 1.2e-7, and about twenty roundings add up on the way.
#define TOLERANCE 2e-6

static float *need(gv_npz *z, const char *name) {
    gv_error err = {0};
    float *x = gv_npz_read_f32(z, name, NULL, -1, NULL, &err);
    if (!x) fail_msg("%s", err.text);
    return x;
}

typedef struct recorded {
    gv_body *body;
    float *pose, *betas, *orient, *transl, *skeleton, *joints, *verts;
} recorded;

static recorded r; // read once for all tests
static bool have_recorded;

static void load_recorded(void) {
    gv_error err = {0};
    need_shared("reference/motion/SMPLX_NEUTRAL.npz");
    if (have_recorded) return;
    if (gv_body_open(&r.body, need_shared("reference/motion/SMPLX_NEUTRAL.npz"), &err) != GV_OK)
        fail_msg("%s", err.text);
    gv_npz *z;
    assert_int_equal(gv_npz_open(&z, need_shared("reference/motion/exp_body_model.npz"), &err), GV_OK);
    r.pose = need(z, "in_body_pose"), r.betas = need(z, "in_betas"), r.orient = need(z, "in_global_orient");
    r.transl = need(z, "in_transl"), r.skeleton = need(z, "skeleton55"), r.joints = need(z, "joints55");
    r.verts = need(z, "verts");
    gv_npz_close(z);
    have_recorded = true;
}

static int free_recorded(void **state) {
    (void)state;
    float *all[] = {r.pose, r.betas, r.orient, r.transl, r.skeleton, r.joints, r.verts};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    gv_body_close(r.body);
    return 0;
}

static void agrees_with_the_reference(void **state) {
    (void)state;
    load_recorded();
    int V = r.body->vertices;
    assert_int_equal(V, 10475);
    assert_int_equal(r.body->triangles, 20908);
    assert_non_null(r.body->posedirs);
    float *verts = gv_calloc2((size_t)V * 3, sizeof *verts), S[55 * 3], joints[55 * 3], G[22 * 12];
    for (int i = 0; i < 4; i++) {
        const float *pose = r.pose + 63 * i, *betas = r.betas + 10 * i, *orient = r.orient + 3 * i,
                    *transl = r.transl + 3 * i;
        gv_body_rest_joints(S, r.body, betas, 55);
        assert_true(max_abs_diff(S, r.skeleton + 165 * i, 165) < TOLERANCE);
        gv_body_evaluate(r.body, betas, pose, orient, transl, verts, joints);
        double ej = max_abs_diff(joints, r.joints + 165 * i, 165);
        double ev = max_abs_diff(verts, r.verts + (size_t)V * 3 * i, (size_t)V * 3);
        printf("pose %d: joints %.2g m, vertices %.2g m\n", i, ej, ev);
        assert_true(ej < TOLERANCE);
        assert_true(ev < TOLERANCE);
        gv_body_fk22(G, S, pose, orient);
        for (int j = 0; j < 22; j++)
            for (int c = 0; c < 3; c++)
                assert_true(fabsf(G[12 * j + 4 * c + 3] + transl[c] - joints[3 * j + c]) < 1e-6f);
    }
    free(verts);
}

// The fast way keeps four bones and folds the hands' correctives into the shape: on this body, whose vertices
// have at most four bones, it is the exact evaluation.
static void fast_skinning_agrees_with_the_exact(void **state) {
    (void)state;
    load_recorded();
    gv_body *b = r.body;
    int V = b->vertices;
    float *exact = gv_calloc2((size_t)V * 3, sizeof(float)), *fast = gv_calloc2((size_t)V * 3, sizeof(float));
    float *normals = gv_calloc2((size_t)V * 3, sizeof(float));
    int few = 0;
    for (int i = 0; i < 4; i++) {
        const float *pose = r.pose + 63 * i, *betas = r.betas + 10 * i, *orient = r.orient + 3 * i,
                    *transl = r.transl + 3 * i;
        gv_skin *s = gv_skin_create(b, betas);
        gv_body_evaluate(b, betas, pose, orient, transl, exact, NULL);
        gv_skin_pose(s, pose, orient, transl, fast, normals);
        for (int v = 0; v < V; v++) {
            int bones = 0;
            for (int j = 0; j < 55; j++) bones += b->weights[55 * v + j] != 0;
            if (bones <= 4) {
                few++;
                assert_true(max_abs_diff(exact + 3 * v, fast + 3 * v, 3) < 5e-6);
            }
            const float *n = normals + 3 * v;
            assert_true(fabsf(n[0] * n[0] + n[1] * n[1] + n[2] * n[2] - 1) < 1e-5f);
        }
        gv_skin_destroy(s);
    }
    assert_true(few > V);
    free(exact);
    free(fast);
    free(normals);
}

static void points_follow_the_surface(void **state) {
    (void)state;
    load_recorded();
    gv_body *b = r.body;
    float *posedirs = b->posedirs; // points leave the correctives out
    b->posedirs = NULL;
    int V = b->vertices;
    float *regressor = gv_calloc2((size_t)V * 3, sizeof(float)), *verts = gv_calloc2((size_t)V * 3, sizeof(float));
    regressor[17] = 1;
    regressor[V + 9000] = 0.25f, regressor[V + 123] = 0.75f;
    for (int v = 0; v < V; v++) regressor[2 * V + v] = 1.0f / (float)V;
    gv_points *p = gv_points_create(b, regressor, 3);
    for (int i = 0; i < 4; i++) {
        const float *pose = r.pose + 63 * i, *betas = r.betas + 10 * i, *orient = r.orient + 3 * i,
                    *transl = r.transl + 3 * i;
        float got[9], joints[165], want[9] = {0};
        gv_points_pose(p, betas, pose, orient, transl, got, joints);
        assert_true(max_abs_diff(joints, r.joints + 165 * i, 165) < TOLERANCE);
        gv_body_evaluate(b, betas, pose, orient, transl, verts, NULL);
        for (int c = 0; c < 3; c++) {
            double mean = 0;
            for (int v = 0; v < V; v++) mean += verts[3 * v + c];
            want[c] = verts[3 * 17 + c];
            want[3 + c] = 0.25f * verts[3 * 9000 + c] + 0.75f * verts[3 * 123 + c];
            want[6 + c] = (float)(mean / V);
        }
        assert_true(max_abs_diff(got, want, 9) < 1e-5);
    }
    b->posedirs = posedirs;
    gv_points_destroy(p);
    free(regressor);
    free(verts);
}

// ------------------------------------------------------------------------------------------ broken files

enum { MINI = 8 };
typedef struct mini { // a body of eight vertices, of which a test breaks one thing
    int joints, columns;
    const char *leave_out;
    int bad_parent, bad_face;
    float bad_value, bad_weight;
    bool tree_unsigned, zero_posedirs;
} mini;

static void write_mini(const char *path, mini m) {
    gv_error err = {0};
    gv_npz_writer *w;
    assert_int_equal(gv_npz_create(&w, path, &err), GV_OK);
    int J = m.joints ? m.joints : 55, K = m.columns ? m.columns : 10;
    const char *skip_name = m.leave_out ? m.leave_out : "";
#define ADD(name, ...)                                                                                                 \
    if (strcmp(skip_name, name) != 0) gv_npz_add_f32(w, name, __VA_ARGS__)
    float v[MINI * 3] = {0}, *shape = gv_calloc2((size_t)MINI * 3 * K, sizeof(float)), hands[45] = {0};
    float *weights = gv_calloc2((size_t)MINI * J, sizeof(float)),
          *regressor = gv_calloc2((size_t)MINI * J, sizeof(float));
    float *pose = gv_calloc2(MINI * 3 * 486, sizeof(float));
    for (int i = 0; i < MINI; i++) v[3 * i] = (float)i, weights[i * J] = 1;
    for (int j = 0; j < J; j++) regressor[j * MINI + j % MINI] = 1;
    v[4] = m.bad_value;
    weights[J + 1] = m.bad_weight;
    ADD("v_template", v, 2, MINI, 3);
    ADD("shapedirs", shape, 3, MINI, 3, K);
    ADD("weights", weights, 2, MINI, J);
    ADD("J_regressor", regressor, 2, J, MINI);
    ADD("hands_meanl", hands, 1, 45);
    ADD("hands_meanr", hands, 1, 45);
    if (m.zero_posedirs) ADD("posedirs", pose, 3, MINI, 3, 486);
    int64_t tree[2 * 55];
    for (int j = 0; j < J; j++) tree[j] = gv_parents55[j], tree[J + j] = j;
    if (m.tree_unsigned) tree[0] = 4294967295;
    if (m.bad_parent) tree[m.bad_parent] = 0;
    if (strcmp(skip_name, "kintree_table") != 0) gv_npz_add(w, "kintree_table", GV_I64, tree, (int64_t[]){2, J}, 2);
    int32_t faces[6] = {0, 1, 2, 0, 2, 3};
    if (m.bad_face) faces[4] = m.bad_face;
    if (strcmp(skip_name, "f") != 0) gv_npz_add_i32(w, "f", faces, 2, 2, 3);
    assert_int_equal(gv_npz_finish(w, &err), GV_OK);
    free(shape);
    free(weights);
    free(regressor);
    free(pose);
}

static void expect(const char *path, mini m, gv_status status, const char *says) {
    write_mini(path, m);
    gv_error err = {0};
    gv_body *b;
    gv_status got = gv_body_open(&b, path, &err);
    if (got != status) fail_msg("status %d (%s), expected %d", got, err.text, status);
    if (status == GV_OK) {
        assert_int_equal(b->vertices, MINI);
        assert_null(b->posedirs);
        gv_body_close(b);
    } else {
        assert_null(b);
        if (!strstr(err.text, says) || !strstr(err.text, path)) fail_msg("\"%s\" does not say \"%s\"", err.text, says);
    }
}

static void broken_files_are_refused(void **state) {
    (void)state;
    char dir[] = "/tmp/gvhmr-test-XXXXXX", path[256];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/body.npz", dir);
    expect(path, (mini){0}, GV_OK, "");
    expect(path, (mini){.columns = 400, .tree_unsigned = true, .zero_posedirs = true}, GV_OK, "");
    expect(path, (mini){.columns = 9}, GV_ERR_FORMAT, "9 shape columns");
    expect(path, (mini){.joints = 23}, GV_ERR_FORMAT, "23 joints");
    expect(path, (mini){.bad_parent = 21}, GV_ERR_FORMAT, "joint tree");
    expect(path, (mini){.bad_face = 8}, GV_ERR_FORMAT, "vertex 8 of 8");
    expect(path, (mini){.bad_face = -1}, GV_ERR_FORMAT, "vertex -1");
    expect(path, (mini){.bad_value = NAN}, GV_ERR_FORMAT, "v_template");
    expect(path, (mini){.bad_weight = 0.5f}, GV_ERR_FORMAT, "weights");
    const char *names[] = {"v_template", "shapedirs", "weights", "J_regressor", "kintree_table", "f", "hands_meanr"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        expect(path, (mini){.leave_out = names[i]}, GV_ERR_MISSING, names[i]);
    unlink(path);
    gv_error err = {0};
    gv_body *b;
    assert_int_equal(gv_body_open(&b, path, &err), GV_ERR_IO);
    rmdir(dir);
    gv_body_close(NULL);
    gv_skin_destroy(NULL);
    gv_points_destroy(NULL);
}

// One body in three dialects of pickle (data/make_body_pickles.py).
static void pickled_bodies_are_read(void **state) {
    (void)state;
    static const char *const names[] = {"body_protocol2.pkl", "body_protocol4.pkl", "body_python2.pkl"};
    for (size_t i = 0; i < 3; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", GV_TEST_DATA, names[i]);
        gv_error err = {0};
        gv_body *b;
        if (gv_body_open(&b, path, &err) != GV_OK) fail_msg("%s", err.text);
        assert_int_equal(b->vertices, 8);
        assert_int_equal(b->triangles, 2);
        assert_int_equal(b->faces[5], 7);
        for (int v = 0; v < 8; v++)
            for (int c = 0; c < 3; c++) {
                assert_true(b->v_template[3 * v + c] == (float)v + 0.25f * (float)c);
                for (int k = 0; k < 10; k++)
                    assert_true(b->shapedirs[(3 * v + c) * 10 + k] == (float)v + 0.5f * (float)c + (float)k / 64);
            }
        for (int j = 0; j < 55; j++) assert_true(b->J_template[3 * j + 1] == (float)(j % 8) + 0.25f); // Fortran order
        for (int v = 0; v < 8; v++) assert_int_equal(b->bone_index[4 * v], 5 * v);
        assert_true(b->hands_mean[44] == 44 / 128.0f && b->hands_mean[89] == -44 / 128.0f);
        gv_body_close(b);
    }
}

// SMPL's 24 joints in SMPL-X's tree: hands at the middle fingers, the rest of the fingers, jaw and eyes without length.
static void smpl_is_read(void **state) {
    (void)state;
    gv_error err = {0};
    gv_body *b;
    if (gv_body_open(&b, GV_TEST_DATA "/body_smpl.pkl", &err) != GV_OK) fail_msg("%s", err.text);
    assert_int_equal(b->vertices, 8);
    for (int v = 0; v < 8; v++) {
        int joint = 3 * v + 2; // of SMPL
        assert_int_equal(b->bone_index[4 * v], joint == 23 ? 43 : joint);
        const float *p = b->posedirs + (size_t)3 * v * GV_POSE_FEATURES;
        for (int i = 0; i < GV_POSE_FEATURES; i++) assert_true(p[i] == (i == 0 ? 1 : i == 9 * 27 ? 2 : 0));
    }
    for (int j = 0; j < 55; j++) {
        int from = j < 22                          ? j
                   : j == 28 || j == 29 || j == 30 ? 22
                   : j >= 43 && j <= 45            ? 23
                   : j < 25                        ? 15
                   : j < 40                        ? 20
                                                   : 21;
        assert_true(b->J_template[3 * j] == (float)(from % 8));
        assert_true(b->J_shapedirs[30 * j + 9] == (float)(from % 8) + 9 / 64.0f);
    }
    for (int i = 0; i < 90; i++) assert_true(b->hands_mean[i] == 0);
    float betas[10] = {0}, pose[63] = {0}, orient[3] = {0}, vertices[24];
    gv_body_evaluate(b, betas, pose, orient, NULL, vertices, NULL);
    for (int i = 0; i < 24; i++) assert_true(fabsf(vertices[i] - b->v_template[i]) < 1e-6f);
    gv_body_close(b);
    if (gv_body_open_skeleton(&b, GV_TEST_DATA "/body_smpl.pkl", &err) != GV_OK) fail_msg("%s", err.text);
    assert_null(b->posedirs);
    gv_body_close(b);
}

static void regressors_are_read(void **state) {
    (void)state;
    static const char *const files[] = {GV_TEST_DATA "/regressor-sparse.pt", GV_TEST_DATA "/regressor-dense.pt"};
    static const float expected[15] = {[4] = 1.5f, [5] = 0.25f, [7] = 0.75f, [13] = -2};
    for (int i = 0; i < 2; i++) {
        gv_error err = {0};
        float *m = gv_regressor_load(files[i], 3, 5, &err);
        if (!m) fail_msg("%s", err.text);
        assert_memory_equal(m, expected, sizeof expected);
        free(m);
        assert_null(gv_regressor_load(files[i], 3, 4, &err));
        assert_non_null(strstr(err.text, "regressor-"));
    }
    gv_error err = {0};
    assert_null(gv_regressor_load(GV_TEST_DATA "/body_smpl.pkl", 3, 5, &err));
    assert_true(strlen(err.text) > 0);
}

static void write_bytes(const char *path, const void *data, size_t size) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
}

static void break_pickle(const char *name) {
    char dir[] = "/tmp/gvhmr-test-XXXXXX", path[512];
    snprintf(path, sizeof path, "%s/%s", GV_TEST_DATA, name);
    gv_error err = {0};
    unsigned char *data;
    size_t size;
    assert_int_equal(gv_file_read(path, 0, &data, &size, &err), GV_OK);
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/broken.pkl", dir);
    gv_body *b;
    for (size_t cut = 1; cut < size; cut += 331) { // truncated anywhere
        write_bytes(path, data, cut);
        err.text[0] = 0;
        assert_int_not_equal(gv_body_open(&b, path, &err), GV_OK);
        assert_true(strlen(err.text) > 0);
    }
    unsigned seed = 3;
    for (int round = 0; round < 300; round++) { // one byte changed: read or refused, never a crash
        seed = seed * 1664525u + 1013904223u;
        size_t at = (seed >> 4) % size;
        unsigned char was = data[at];
        data[at] = (unsigned char)(seed >> 24);
        write_bytes(path, data, size);
        if (gv_body_open(&b, path, &err) == GV_OK) gv_body_close(b);
        data[at] = was;
    }
    write_bytes(path, "\x80\x02]q\x00.", 6);
    assert_int_equal(gv_body_open(&b, path, &err), GV_ERR_FORMAT);
    assert_non_null(strstr(err.text, "dictionary"));
    free(data);
    unlink(path);
    rmdir(dir);
}

static void broken_pickles_are_refused(void **state) {
    (void)state;
    break_pickle("body_protocol2.pkl");
    break_pickle("body_smpl.pkl");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_reference), cmocka_unit_test(fast_skinning_agrees_with_the_exact),
        cmocka_unit_test(points_follow_the_surface), cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(pickled_bodies_are_read),   cmocka_unit_test(smpl_is_read),
        cmocka_unit_test(regressors_are_read),       cmocka_unit_test(broken_pickles_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, free_recorded);
}
