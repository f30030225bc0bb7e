// test_datasets.c - `gvhmr eval 3dpw|emdb1|emdb2|rich` on made packs whose figures are known, and the flip test.
//
// The bodies are made such that SMPL's surface is a part of SMPL-X's, so a truth with the predicted parameters is the
// prediction, and what the truth is moved by is the error.
#include "evaluation/metrics.h"
#include "folder.h"
#include "formats/npz.h"
#include "formats/tensors.h"
#include "geometry/rotation.h"
#include "network/network.h"
#include "pack.h"
#include "pipeline/mirror.h"
#include "pipeline/predict.h"
#include "pipeline/protocol.h"
#include "training/random.h"

#include <sys/stat.h>

static gv_error err;
enum { L = 100, X = GV_SMPLX_VERTICES, V = GV_SMPL_VERTICES, J = 22, MASKED = 10 };

// ---- bodies, regressors, a network

static const float rest[24][3] = {
    {0, 0, 0},       {.1f, -.1f, 0},     {-.1f, -.1f, 0},     {0, .1f, 0},      {.1f, -.5f, 0},    {-.1f, -.5f, 0},
    {0, .25f, 0},    {.1f, -.9f, -.02f}, {-.1f, -.9f, -.02f}, {0, .3f, 0},      {.1f, -.95f, .1f}, {-.1f, -.95f, .1f},
    {0, .5f, 0},     {.08f, .42f, 0},    {-.08f, .42f, 0},    {0, .6f, .02f},   {.18f, .42f, 0},   {-.18f, .42f, 0},
    {.43f, .42f, 0}, {-.43f, .42f, 0},   {.68f, .42f, 0},     {-.68f, .42f, 0}, {.78f, .42f, 0},   {-.78f, .42f, 0}};

// Vertex v hangs on joint v % 22 and lies near it; the first 24 are the joints themselves.
static void write_body(const char *name, int vertices, int joints) {
    float *v = calloc((size_t)vertices * 3, sizeof *v), *dirs = calloc((size_t)vertices * 30, sizeof *dirs),
          *regressor = calloc((size_t)vertices * (size_t)joints, sizeof *regressor),
          *weights = calloc((size_t)vertices * (size_t)joints, sizeof *weights);
    int32_t tree[2 * 55], faces[3] = {0, 1, 2};
    for (int i = 0; i < vertices; i++) {
        gv_rng r = gv_rng_make(5, 5, (uint64_t)i);
        for (int c = 0; c < 3; c++)
            v[3 * i + c] = rest[i < 24 ? i : i % 22][c] + (i < 24 ? 0 : 0.04f * (float)gv_normal(&r));
        dirs[30 * i] = 0.01f * v[3 * i]; // betas[0]: wider
        weights[(size_t)i * joints + (i < 24 ? i < 22 ? i : i - 2 : i % 22)] = 1;
    }
    for (int j = 0; j < joints; j++) {
        static const int smpl[24] = {-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21};
        tree[j] = joints == 24 ? smpl[j] : gv_parents55[j];
        tree[joints + j] = j;
        regressor[(size_t)j * vertices + (j < 22 ? j : joints == 24 ? j : 0)] = 1;
    }
    gv_npz_writer *w = NULL;
    assert_int_equal(gv_npz_create(&w, in_dir(name), &err), GV_OK);
    gv_npz_add_f32(w, "v_template", v, 2, vertices, 3);
    gv_npz_add_f32(w, "shapedirs", dirs, 3, vertices, 3, 10);
    gv_npz_add_f32(w, "J_regressor", regressor, 2, joints, vertices);
    gv_npz_add_f32(w, "weights", weights, 2, vertices, joints);
    gv_npz_add_i32(w, "kintree_table", tree, 2, 2, joints);
    gv_npz_add_i32(w, "f", faces, 2, 1, 3);
    float hands[45] = {0.3f};
    gv_npz_add_f32(w, "hands_meanl", hands, 1, 45);
    gv_npz_add_f32(w, "hands_meanr", hands, 1, 45);
    assert_int_equal(gv_npz_finish(w, &err), GV_OK);
    free(v);
    free(dirs);
    free(regressor);
    free(weights);
}

static void write_identity(const char *name, int rows, int step) { // row i takes column i * step
    static float at[2 * V], one[V];
    for (int i = 0; i < rows; i++) at[i] = (float)i, at[rows + i] = (float)(i * step), one[i] = 1;
    pack p = {0};
    pack_sparse(&p, at, one, rows);
    pack_store(&p, in_dir(name));
}

static void write_network(const char *name, int images) {
    enum { D = 16, N = 1 };
    int n = gv_network_weight_table(NULL, 0, D, N, images);
    gv_weight_spec *table = calloc((size_t)n, sizeof *table);
    gv_tensor_view *view = calloc((size_t)n, sizeof *view);
    gv_network_weight_table(table, n, D, N, images);
    for (int i = 0; i < n; i++) {
        int64_t count = 1;
        view[i] = (gv_tensor_view){.name = table[i].name, .ndim = table[i].ndim};
        for (int k = 0; k < table[i].ndim; k++) count *= view[i].shape[k] = table[i].shape[k];
        float *x = malloc(sizeof *x * (size_t)count);
        gv_rng r = gv_rng_make(9, 9, (uint64_t)i);
        for (int64_t k = 0; k < count; k++) x[k] = 0.15f * (float)gv_normal(&r);
        view[i].data = x;
    }
    const char *meta[] = {"num_heads", "2", NULL};
    assert_int_equal(gv_safetensors_write(in_dir(name), view, n, GV_F32, meta, &err), GV_OK);
    for (int i = 0; i < n; i++) free((float *)view[i].data);
    free(view);
    free(table);
}

static int make_all(void **state) {
    if (make_dir(state)) return -1;
    static const char *const folders[] = {"bodies",
                                          "bodies/smplx",
                                          "bodies/smpl",
                                          "regressors",
                                          "3dpw",
                                          "3dpw/imgfeats",
                                          "3dpw/imgfeats/3dpw_test",
                                          "3dpw/imgfeats/3dpw_test_flip",
                                          "emdb",
                                          "rich"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) mkdir(in_dir(folders[i]), 0777);
    static const char *const genders[] = {"NEUTRAL", "MALE", "FEMALE"};
    char name[64];
    for (int g = 0; g < 3; g++) {
        snprintf(name, sizeof name, "bodies/smplx/SMPLX_%s.npz", genders[g]);
        write_body(name, X, 55);
        snprintf(name, sizeof name, "bodies/smpl/SMPL_%s.npz", genders[g]);
        if (g) write_body(name, V, 24);
    }
    write_identity("regressors/smplx2smpl_sparse.pt", V, 1);
    write_identity("regressors/smpl_neutral_J_regressor.pt", 24, 1);
    write_identity("regressors/smpl_3dpw14_J_regressor_sparse.pt", 14, 1);
    write_network("plain.safetensors", 0);
    write_network("images.safetensors", 1);
    return 0;
}

// ---- what is seen

static void observe(gv_observations *o, int images) {
    assert_int_equal(gv_observations_alloc(o, L, &err), GV_OK);
    gv_rng r = gv_rng_make(1, 1, 1);
    o->width = 1440, o->height = 1920;
    float f = sqrtf(1440.0f * 1440 + 1920.0f * 1920);
    for (int t = 0; t < L; t++) {
        memcpy(o->K + 9 * t, (float[]){f, 0, 720, 0, f, 960, 0, 0, 1}, sizeof(float[9]));
        memcpy(o->bbx_xys + 3 * t, (float[]){700 + (float)t, 900, 800}, sizeof(float[3]));
        for (int k = 0; k < 17; k++) {
            float *p = o->kp2d + (17 * t + k) * 3;
            p[0] = 700 + (float)t + 150 * rest[k][0] + (float)(5 * gv_normal(&r));
            p[1] = 900 - 300 * rest[k][1];
            p[2] = 0.9f;
        }
    }
    if (!images) return;
    o->f_imgseq = malloc(sizeof(float[GV_IMAGE_FEATURE]) * L);
    for (int i = 0; i < L * GV_IMAGE_FEATURE; i++) o->f_imgseq[i] = (float)gv_normal(&r);
}

typedef struct stage {
    gv_observations seen, mirrored;
    gv_body *body;
    gv_network *net;
    float camera_pose[L * 63];
    gv_motion flipped, once; // with the flip test and without
    unsigned char mask[L];
} stage;

// As gvhmr would see and predict it; frames 40 .. 49 are masked.
static void set_up(stage *s, int images) {
    memset(s, 0, sizeof *s);
    observe(&s->seen, images);
    for (int t = 0; t < L; t++) s->mask[t] = t < 40 || t >= 40 + MASKED;
    for (int t = 40; t < 40 + MASKED; t++)
        for (int k = 0; k < 17; k++) s->seen.kp2d[(17 * t + k) * 3 + 2] = 0;
    assert_int_equal(gv_mirror_observations(&s->mirrored, &s->seen, &err), GV_OK);
    if (images) { // other features and other boxes, as files of their own have them
        s->mirrored.f_imgseq = malloc(sizeof(float[GV_IMAGE_FEATURE]) * L);
        for (int i = 0; i < L * GV_IMAGE_FEATURE; i++) s->mirrored.f_imgseq[i] = -s->seen.f_imgseq[i];
        for (int t = 0; t < L; t++) s->mirrored.bbx_xys[3 * t] += 1;
    }
    assert_int_equal(gv_body_open(&s->body, in_dir("bodies/smplx/SMPLX_NEUTRAL.npz"), &err), GV_OK);
    assert_int_equal(gv_network_open(&s->net, in_dir(images ? "images.safetensors" : "plain.safetensors"), 0,
                                     GV_PRECISION_F32, NULL, &err),
                     GV_OK);
    gv_predict_options o = {.mirrored = &s->mirrored, .camera_pose = s->camera_pose};
    if (gv_predict(&s->flipped, s->net, s->body, &s->seen, &o, NULL, &err)) fail_msg("%s", err.text);
    o = (gv_predict_options){.verbose = true};
    assert_int_equal(gv_predict(&s->once, s->net, s->body, &s->seen, &o, NULL, &err), GV_OK);
}

static void take_down(stage *s) {
    gv_observations_free(&s->seen);
    gv_observations_free(&s->mirrored);
    gv_motion_free(&s->flipped);
    gv_motion_free(&s->once);
    gv_network_close(s->net);
    gv_body_close(s->body);
}

static const float *extra(const gv_motion *m, const char *name) {
    for (int i = 0; i < m->extra_count; i++)
        if (!strcmp(m->extra[i].name, name)) return m->extra[i].data;
    fail_msg("no %s", name);
    return NULL;
}

// Half way between a and the mirror image of b, as quaternions: what the mean of two matrices is nearest to.
static double off_the_middle(const float *aa, const float *a, const float *b) {
    float image[3] = {b[0], -b[1], -b[2]}, p[4], q[4], middle[4], R[9], S[9];
    gv_quat_from_aa(p, a);
    gv_quat_from_aa(q, image);
    gv_quat_slerp(middle, p, q, 0.5f);
    gv_rot_from_quat(R, middle);
    gv_rot_from_aa(S, aa);
    return gv_rot_angle(R, S);
}

static void test_flip(void **state) {
    (void)state;
    static const int other[22] = {0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20};
    static stage s;
    set_up(&s, 1);
    gv_motion mirrored = {0};
    gv_predict_options o = {.verbose = true};
    assert_int_equal(gv_predict(&mirrored, s.net, s.body, &s.mirrored, &o, NULL, &err), GV_OK);
    const float *a = extra(&s.once, "net/body_pose"), *b = extra(&mirrored, "net/body_pose"),
                *ca = extra(&s.once, "net/global_orient_c"), *cb = extra(&mirrored, "net/global_orient_c");
    double worst = 0, apart = 0;
    for (int t = 0; t < L; t++) {
        for (int j = 1; j < J; j++) {
            const float *pa = a + 63 * t + 3 * (j - 1), *pb = b + 63 * t + 3 * (other[j] - 1);
            worst = fmax(worst, off_the_middle(s.camera_pose + 63 * t + 3 * (j - 1), pa, pb));
            apart = fmax(apart, fabs(pa[0] - pb[0]));
        }
        worst = fmax(worst, off_the_middle(s.flipped.global_orient_incam + 3 * t, ca + 3 * t, cb + 3 * t));
    }
    print_message("off the middle by %.2g rad\n", worst);
    assert_true(worst < 1e-5 && apart > 0.01);
    for (int k = 0; k < 10; k++)
        assert_true(fabsf(s.flipped.betas[k] - 0.5f * (s.once.betas[k] + mirrored.betas[k])) < 1e-5f);
    assert_true(max_abs_diff(s.flipped.transl_incam, s.once.transl_incam, 3 * L) < 1e-6); // the first run's
    assert_true(max_abs_diff(s.flipped.global_orient, s.once.global_orient, 3 * L) < 1e-6);
    assert_true(max_abs_diff(s.flipped.body_pose, s.once.body_pose, 63 * L) > 1e-3);
    gv_motion_free(&mirrored);

    gv_observations twice; // a mirror's mirror
    assert_int_equal(gv_mirror_observations(&twice, &s.mirrored, &err), GV_OK);
    assert_true(max_abs_diff(twice.kp2d, s.seen.kp2d, L * 51) < 1e-3);
    assert_true(max_abs_diff(twice.R_w2c, s.seen.R_w2c, L * 9) == 0);
    assert_true(s.mirrored.kp2d[3 * 5] == 1440 - s.seen.kp2d[3 * 6]); // shoulders
    gv_observations_free(&twice);
    take_down(&s);
}

// ---- packs of it

// What the truth is: the prediction's parameters in a world that T [4, 4] takes to the camera, the root turned by
// `turn` about the pelvis, joints of frames from `from` on moved by 0.2 m.
typedef struct truth {
    float pose[L * 69], orient[L * 3], transl[L * 3], betas[L * 10], T[L * 16];
} truth;

static const float turn[3] = {0, 0.1f, 0};

static void make_truth(truth *y, const stage *s, const float *pose, const float *orient, const float *transl,
                       const float *betas, const float *T, const float *turned, int from) {
    float S[66], R[9], D[9];
    gv_body_rest_joints(S, s->body, betas, J);
    memset(y, 0, sizeof *y);
    gv_rot_from_aa(D, turned);
    for (int r = 0; r < 3; r++) memcpy(R + 3 * r, T + 4 * r, sizeof(float[3]));
    for (int t = 0; t < L; t++) {
        float O[9], DO[9], W[9], at[3], w[3];
        memcpy(y->pose + 69 * t, pose + 63 * t, sizeof(float[63]));
        memcpy(y->betas + 10 * t, betas, sizeof(float[10]));
        memcpy(y->T + 16 * t, T, sizeof(float[16]));
        gv_rot_from_aa(O, orient + 3 * t);
        gv_mat3_mul(DO, D, O);
        gv_mat3_mul_tn(W, R, DO); // world from camera
        gv_rot_to_aa(y->orient + 3 * t, W);
        for (int c = 0; c < 3; c++) at[c] = S[c] + transl[3 * t + c] - T[4 * c + 3];
        gv_mat3_apply_t(w, R, at);
        for (int c = 0; c < 3; c++) y->transl[3 * t + c] = w[c] - S[c];
        if (t >= from) y->transl[3 * t + 1] += 0.2f;
        if (!s->mask[t]) y->transl[3 * t] += 50, y->pose[69 * t + 5] += 2; // nobody looks there
    }
}

static void add_truth(pack *p, const char *group, const truth *y, int columns) {
    static float narrow[L * 63];
    for (int t = 0; t < L; t++) memcpy(narrow + 63 * t, y->pose + 69 * t, sizeof(float[63]));
    pack_open(p, group);
    pack_tensor(p, "body_pose", columns == 69 ? y->pose : narrow, 2, (int[]){L, columns});
    pack_tensor(p, "betas", y->betas, 2, (int[]){L, 10});
    pack_tensor(p, "global_orient", y->orient, 2, (int[]){L, 3});
    pack_tensor(p, "transl", y->transl, 2, (int[]){L, 3});
    pack_close(p);
}

// The frames that count of m's 24 (or 14) joints, which are the first vertices, by the exact evaluation.
static int joints_of(float *out, const stage *s, int count, const float *pose, const float *orient, const float *transl,
                     const float *betas) {
    static float v[X * 3];
    int n = 0;
    for (int t = 0; t < L; t++) {
        if (!s->mask[t]) continue;
        gv_body_evaluate(s->body, betas, pose + 63 * t, orient + 3 * t, transl + 3 * t, v, NULL);
        memcpy(out + 3 * count * n++, v, sizeof(float[3]) * (size_t)count);
    }
    return n;
}

// Mean over frames and joints of how far a turn by 0.1 rad about y moves a joint around the pelvis, mm.
static double turned_by(const float *joints, int n, int count, int a, int b) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < count; j++) {
            const float *x = joints + 3 * count * i;
            double dx = x[3 * j] - 0.5 * (x[3 * a] + x[3 * b]), dz = x[3 * j + 2] - 0.5 * (x[3 * a + 2] + x[3 * b + 2]);
            sum += 2 * sin(0.05) * sqrt(dx * dx + dz * dz) * 1000;
        }
    return sum / n / count;
}

typedef struct figures {
    long frames;
    double wa, w, rte, jitter, slide, pa, mpjpe, pve, accel;
} figures;

static double number(const char **at) {
    char word[32];
    int used = 0;
    assert_int_equal(sscanf(*at, " %31s%n", word, &used), 1);
    *at += used;
    return strcmp(word, "-") ? atof(word) : NAN;
}

static figures evaluate(const char *arguments) {
    char text[2048];
    if (program("eval", arguments, text)) fail_msg("%s", text);
    const char *row = strstr(text, "\nall ");
    assert_non_null(row);
    row += 4;
    figures f;
    f.frames = (long)number(&row);
    double *all[] = {&f.wa, &f.w, &f.rte, &f.jitter, &f.slide, &f.pa, &f.mpjpe, &f.pve, &f.accel};
    for (int i = 0; i < 9; i++) *all[i] = number(&row);
    return f;
}

static const float T_some[16] = {0, -1, 0, 0.3f, 0, 0, -1, 1.2f, 1, 0, 0, 2.5f, 0, 0, 0, 1}; // z up, a turn

#define COMMON " --bodies bodies --regressors regressors "

static void test_3dpw(void **state) {
    (void)state;
    static stage s;
    static truth y;
    static float joints[L * 14 * 3];
    set_up(&s, 1);
    make_truth(&y, &s, s.camera_pose, s.flipped.global_orient_incam, s.flipped.transl_incam, s.flipped.betas, T_some,
               turn, L);
    pack p = pack_begin(), boxes = pack_begin(), keypoints = pack_begin(), features = pack_begin(), flip = pack_begin();
    pack_open(&p, "downtown_0");
    pack_text(&p, "gender", "male");
    pack_tensor(&p, "K_fullimg", s.seen.K, 2, (int[]){3, 3});
    pack_tensor(&p, "T_w2c", y.T, 3, (int[]){L, 4, 4});
    pack_mask(&p, "mask_wham", s.mask, L);
    pack_tensor(&p, "img_wh", (float[]){1440, 1920}, 1, (int[]){2});
    add_truth(&p, "smpl_params", &y, 69);
    pack_close(&p);
    pack_write(&p, in_dir("3dpw/test_3dpw_gt_labels.pt"));
    pack_open(&boxes, "downtown_0");
    pack_tensor(&boxes, "bbx_xys", s.seen.bbx_xys, 2, (int[]){L, 3});
    pack_close(&boxes);
    pack_write(&boxes, in_dir("3dpw/preproc_test_bbx.pt"));
    for (int i = 0; i < L * 17; i++) s.seen.kp2d[3 * i + 2] = 0.9f; // the mask alone says what does not count
    pack_tensor(&keypoints, "downtown_0", s.seen.kp2d, 3, (int[]){L, 17, 3});
    pack_write(&keypoints, in_dir("3dpw/preproc_test_kp2d_v0.pt"));
    pack_tensor(&features, "features", s.seen.f_imgseq, 2, (int[]){L, 1024});
    pack_write(&features, in_dir("3dpw/imgfeats/3dpw_test/downtown_0.pt"));
    pack_tensor(&flip, "features", s.mirrored.f_imgseq, 2, (int[]){L, 1024});
    pack_tensor(&flip, "bbx_xys", s.mirrored.bbx_xys, 2, (int[]){L, 3});
    pack_write(&flip, in_dir("3dpw/imgfeats/3dpw_test_flip/downtown_0.pt"));

    int n = joints_of(joints, &s, 14, s.camera_pose, s.flipped.global_orient_incam, s.flipped.transl_incam,
                      s.flipped.betas);
    double expected = turned_by(joints, n, 14, 2, 3);
    figures f = evaluate("3dpw --data 3dpw" COMMON "--model images.safetensors --json 3dpw.json");
    print_message("3DPW: MPJPE %.1f, expected %.1f; PA %.1f\n", f.mpjpe, expected, f.pa);
    assert_int_equal(f.frames, L - MASKED);
    assert_true(fabs(f.mpjpe - expected) < 0.051 + 1e-3 * expected && f.pa < 0.1 && f.pve > 1);
    assert_true(isnan(f.wa) && isnan(f.rte));
    f = evaluate("3dpw --data 3dpw" COMMON "--model images.safetensors --no-flip");
    assert_true(f.pa > 1); // without it the prediction is another one

    char text[2048];
    assert_int_equal(program("eval", "3dpw --data emdb" COMMON "--model images.safetensors", text), 1);
    assert_non_null(strstr(text, "test_3dpw_gt_labels.pt"));
    assert_int_equal(program("eval", "3dpw --data 3dpw", text), 2);
    assert_int_equal(program("eval", "3dpw --data 3dpw" COMMON "--model images.safetensors --only nobody", text), 1);
    unlink(in_dir("3dpw/imgfeats/3dpw_test_flip/downtown_0.pt"));
    assert_int_equal(program("eval", "3dpw --data 3dpw" COMMON "--model images.safetensors", text), 1);
    assert_non_null(strstr(text, "3dpw_test_flip/downtown_0.pt"));
    take_down(&s);
}

static void write_emdb(stage *s, const truth *y, const char *name) {
    pack p = pack_begin();
    for (int i = 0; i < 2; i++) { // another one that belongs to no split
        pack_open(&p, i ? "P9_99_nowhere" : name);
        pack_text(&p, "gender", "female");
        pack_tensor(&p, "T_w2c", y->T, 3, (int[]){L, 4, 4});
        pack_mask(&p, "mask", s->mask, L);
        pack_tensor(&p, "bbx_xys", s->seen.bbx_xys, 2, (int[]){L, 3});
        pack_tensor(&p, "kp2d", s->seen.kp2d, 3, (int[]){L, 17, 3});
        add_truth(&p, "smpl_params", y, 69);
        pack_close(&p);
    }
    pack_write(&p, in_dir("emdb/emdb_vit_v4.pt"));
}

static void test_emdb(void **state) {
    (void)state;
    static stage s;
    static truth y;
    static float joints[L * 24 * 3], jitter[L];
    static const float none[3] = {0};
    set_up(&s, 0);
    make_truth(&y, &s, s.camera_pose, s.flipped.global_orient_incam, s.flipped.transl_incam, s.flipped.betas, T_some,
               turn, L);
    write_emdb(&s, &y, "P1_14_outdoor_climb");
    int n = joints_of(joints, &s, 24, s.camera_pose, s.flipped.global_orient_incam, s.flipped.transl_incam,
                      s.flipped.betas);
    double expected = turned_by(joints, n, 24, 1, 2);
    figures f = evaluate("emdb1 --data emdb" COMMON "--model plain.safetensors");
    print_message("EMDB-1: MPJPE %.1f, expected %.1f; PA %.1f\n", f.mpjpe, expected, f.pa);
    assert_int_equal(f.frames, L - MASKED);
    assert_true(fabs(f.mpjpe - expected) < 0.051 + 1e-3 * expected && f.pa < 0.1 && isnan(f.wa));

    // in the world: 0.2 m off in frames 50 .. 99, 50 of the 90 that count
    make_truth(&y, &s, s.flipped.body_pose, s.flipped.global_orient, s.flipped.transl, s.flipped.betas, T_some, none,
               50);
    write_emdb(&s, &y, "P9_80_outdoor_walk_big_circle");
    n = joints_of(joints, &s, 24, s.flipped.body_pose, s.flipped.global_orient, s.flipped.transl, s.flipped.betas);
    gv_jitter(jitter, joints, n, 24, 30);
    double mean = 0;
    for (int i = 0; i < n - 3; i++) mean += (double)jitter[i] / (n - 3);
    f = evaluate("emdb2 --data emdb" COMMON "--model plain.safetensors");
    print_message("EMDB-2: W %.1f, expected %.1f; jitter %.1f, expected %.1f; WA %.1f\n", f.w, 200.0 * 50 / 90,
                  f.jitter, mean, f.wa);
    assert_true(fabs(f.w - 200.0 * 50 / 90) < 0.3 && fabs(f.jitter - mean) < 0.051 + 1e-3 * mean);
    assert_true(f.wa > 20 && f.wa < f.w && f.rte > 0 && isnan(f.mpjpe));
    char text[2048];
    assert_int_equal(program("eval", "emdb1 --data emdb" COMMON "--model plain.safetensors", text), 1);
    assert_non_null(strstr(text, "holds none of the data set's sequences"));
    take_down(&s);
}

static void test_rich(void **state) {
    (void)state;
    static stage s;
    static truth y;
    static float joints[L * 24 * 3];
    set_up(&s, 0);
    for (int t = 40; t < 40 + MASKED; t++) // everything counts
        for (int k = 0; k < 17; k++) s.seen.kp2d[(17 * t + k) * 3 + 2] = 0.9f;
    memset(s.mask, 1, L);
    gv_motion m = {0};
    gv_predict_options o = {0};
    assert_int_equal(gv_predict(&m, s.net, s.body, &s.seen, &o, NULL, &err), GV_OK);
    make_truth(&y, &s, m.body_pose, m.global_orient_incam, m.transl_incam, m.betas, T_some, turn, L);
    pack p = pack_begin(), seen = pack_begin(), cameras = pack_begin();
    pack_open(&p, "test/Gym_013_burpee4/cam_06");
    pack_text(&p, "gender", "male");
    add_truth(&p, "gt_smplx_params", &y, 63);
    pack_close(&p);
    pack_write(&p, in_dir("rich/rich_test_labels.pt"));
    pack_open(&seen, "test/Gym_013_burpee4/cam_06");
    pack_tensor(&seen, "bbx_xys", s.seen.bbx_xys, 2, (int[]){L, 3});
    pack_tensor(&seen, "kp2d", s.seen.kp2d, 3, (int[]){L, 17, 3});
    pack_pairs(&seen, "img_wh", (const int32_t[]){1440, 1920}, 1);
    pack_close(&seen);
    pack_write(&seen, in_dir("rich/rich_test_preproc.pt"));
    pack_string(&cameras, "Gym_6"); // a tuple of pose and intrinsics
    pack_ascii(&cameras, "(");
    pack_value(&cameras, T_some, 4, 2, (int[]){4, 4});
    pack_value(&cameras, s.seen.K, 4, 2, (int[]){3, 3});
    pack_ascii(&cameras, "t");
    pack_write(&cameras, in_dir("rich/cam2params.pt"));
    int n = joints_of(joints, &s, 24, m.body_pose, m.global_orient_incam, m.transl_incam, m.betas);
    double expected = turned_by(joints, n, 24, 1, 2);
    figures f = evaluate("rich --data rich" COMMON "--model plain.safetensors");
    print_message("RICH: MPJPE %.1f, expected %.1f\n", f.mpjpe, expected);
    assert_int_equal(f.frames, L);
    assert_true(fabs(f.mpjpe - expected) < 0.051 + 1e-3 * expected && f.pa < 0.1 && f.pve > 1 && f.wa >= 0 &&
                f.jitter > 0);
    gv_motion_free(&m);
    take_down(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_flip), cmocka_unit_test(test_3dpw),
                                       cmocka_unit_test(test_emdb), cmocka_unit_test(test_rich)};
    return cmocka_run_group_tests(tests, make_all, remove_dir);
}
