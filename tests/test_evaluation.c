// test_evaluation.c - totals of the measures, `eval motion`, the benchmark on held-out motion, and poses that are made.
#include "evaluation/metrics.h"
#include "evaluation/score.h"
#include "formats/motion_file.h"
#include "geometry/rotation.h"
#include "network/network.h"
#include "network/statistics.h"
#include "pipeline/benchmark.h"
#include "pipeline/gravity.h"
#include "pipeline/refine.h"
#include "test.h"
#include "training/poses.h"
#include "training/random.h"

#include <string.h>
#include <sys/wait.h>

static gv_error err;
enum { L = 130, J = 22 };

static float *random_points(uint64_t seed, int count) {
    gv_rng r = gv_rng_make(seed, 1, 2);
    float *x = malloc(sizeof(float) * (size_t)count);
    for (int i = 0; i < count; i++) x[i] = (float)gv_normal(&r);
    return x;
}

// Totals are over frames, not over sequences.
static void test_totals(void **state) {
    (void)state;
    static const int pelvis[2] = {1, 2};
    float *a = random_points(1, L * J * 3), *b = random_points(2, L * J * 3), *e = malloc(sizeof(float) * L);
    gv_score total = {0};
    double sum = 0;
    for (int part = 0; part < 2; part++) { // frames 0..9 and 10..L-1
        int from = part ? 10 : 0, n = part ? L - 10 : 10;
        gv_points_pair p = {a + from * J * 3, b + from * J * 3, J};
        gv_score one = {0};
        assert_int_equal(gv_score_camera(&one, n, p, (gv_points_pair){0}, pelvis, 30, &err), GV_OK);
        assert_int_equal(gv_score_world(&one, n, p, (gv_points_pair){0}, 30, &err), GV_OK);
        gv_score_add(&total, &one);
        gv_mpjpe(e, p.pred, p.target, n, J, pelvis);
        for (int t = 0; t < n; t++) sum += e[t];
    }
    assert_int_equal(total.count[GV_MPJPE], L);
    assert_int_equal(total.count[GV_ACCELERATION], L - 4);
    assert_int_equal(total.count[GV_JITTER], L - 6);
    assert_int_equal(total.count[GV_PVE], 0);
    assert_true(isnan(gv_score_mean(&total, GV_PVE)));
    assert_true(fabs(gv_score_mean(&total, GV_MPJPE) - sum / L) < 1e-6);
    free(a);
    free(b);
    free(e);
}

static void test_gravity(void **state) {
    (void)state;
    float R[9], S[9], Y[9], aa[3] = {0.3f, 0.2f, -0.5f}, tilt[3] = {0.1f, 0, 0}, yaw[3] = {0, 2, 0};
    gv_rot_from_aa(R, aa);
    gv_rot_from_aa(S, tilt);
    gv_rot_from_aa(Y, yaw);
    float turned[9], tilted[9];
    gv_mat3_mul(turned, Y, R); // another heading: gravity is the same
    gv_mat3_mul(tilted, S, R);
    gv_score s = {0};
    gv_score_gravity(&s, 1, (gv_orients){turned, R}, (gv_orients){R, R});
    assert_true(gv_score_mean(&s, GV_GRAVITY) < 1e-4 && gv_score_mean(&s, GV_TILT) < 1e-4);
    gv_score_gravity(&s, 1, (gv_orients){tilted, R},
                     (gv_orients){R, R}); // the world is wrong, the camera's view is not
    assert_true(fabs(s.sum[GV_GRAVITY] - 0.1 * 57.29578) < 1e-3 && fabs(s.sum[GV_TILT] - 0.1 * 57.29578) < 1e-3);
    float camera[9];
    gv_mat3_mul(camera, S, R);
    gv_score_gravity(&s, 1, (gv_orients){tilted, camera},
                     (gv_orients){R, R}); // the body leans in both: gravity is right
    assert_true(fabs(s.sum[GV_GRAVITY] - 0.1 * 57.29578) < 1e-3 && fabs(s.sum[GV_TILT] - 0.2 * 57.29578) < 1e-3);
    assert_true(gv_score_median_gravity(&s) < 0.1);
}

static void write_motion(const char *path, uint64_t seed, double scale, int first) {
    gv_motion m;
    assert_int_equal(gv_motion_alloc(&m, L, &err), GV_OK);
    float *x = random_points(seed, L * 66);
    for (int i = 0; i < L * 66; i++) m.joints_world[i] = m.joints_incam[i] = (float)scale * x[i];
    for (int t = 0; t < L; t++) {
        m.frame_index[t] = first + t;
        m.time_sec[t] = (first + t) / 30.0;
        for (int i = 0; i < 3; i++) m.K[9 * t + 4 * i] = m.R_w2c[9 * t + 4 * i] = 1;
        m.bbx_xys[3 * t + 2] = 100;
    }
    m.fps = 30;
    assert_int_equal(gv_motion_save(&m, path, &err), GV_OK);
    gv_motion_free(&m);
    free(x);
}

static int run(const char *arguments, char *out, size_t size) {
    char command[1024];
    snprintf(command, sizeof command, "%s %s 2>&1", GV_TEST_PROGRAM, arguments);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    size_t n = fread(out, 1, size - 1, p);
    out[n] = 0;
    int status = pclose(p);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_command(void **state) {
    (void)state;
    char dir[] = "/tmp/gv_eval_XXXXXX", a[64], b[64], c[64], text[8192], line[512];
    assert_non_null(mkdtemp(dir));
    snprintf(a, sizeof a, "%s/a.npz", dir);
    snprintf(b, sizeof b, "%s/b.npz", dir);
    snprintf(c, sizeof c, "%s/c.npz", dir);
    write_motion(a, 1, 1, 0);
    write_motion(b, 1, 2, 0);      // the same, twice as large: a similarity away
    write_motion(c, 1, 1, 100000); // no frame in common
    snprintf(line, sizeof line, "eval motion %s %s", b, a);
    assert_int_equal(run(line, text, sizeof text), 0);
    const char *row = strstr(text, "all ");
    assert_non_null(row);
    long frames;
    double wa, w, rte, jitter, slide, pa, mpjpe;
    char foot[16];
    assert_int_equal(
        sscanf(row, "all %ld %lf %lf %lf %lf %15s %lf %lf", &frames, &wa, &w, &rte, &jitter, foot, &pa, &mpjpe), 8);
    slide = atof(foot);
    assert_int_equal(frames, L);
    assert_true(wa < 0.1 && w < 0.1 && pa < 0.1);
    assert_true(mpjpe > 100 && rte > 0.1 && jitter > 1 && slide >= 0);
    snprintf(line, sizeof line, "eval motion %s %s", a, c);
    assert_int_equal(run(line, text, sizeof text), 1);
    assert_non_null(strstr(text, "no frame_index in common"));
    assert_int_equal(run("eval motion x.npz", text, sizeof text), 2);
    assert_int_equal(run("eval mocap --data /nowhere/x.gvs", text, sizeof text), 1);
    assert_non_null(strstr(text, "/nowhere/x.gvs"));
    assert_int_equal(run("eval --help", text, sizeof text), 0);
    unlink(a);
    unlink(b);
    unlink(c);
    rmdir(dir);
}

// ---- held-out motion

static void make_store(const char *path) {
    gv_store_builder *b = gv_store_builder_create();
    static float q[L * J * 4], hips[L * 3];
    static uint8_t still[L * 4];
    for (int t = 0; t < L; t++) {
        for (int j = 0; j < J; j++) {
            float aa[3] = {0, 0, j == 16 ? -1 + 0.4f * sinf(0.2f * (float)t) : j == 17 ? 1 : 0};
            gv_quat_from_aa(q + (t * J + j) * 4, aa);
        }
        hips[3 * t] = 0.002f * (float)t; // they hardly move: the error of the path is relative to its length
        hips[3 * t + 1] = 0.9f;
        memset(still + 4 * t, 255, 4);
    }
    gv_clip clip = {
        .name = "wave", .subject = "s", .category = "daily", .source = "x", .frames = L, .flat = 1, .leg = 0.82f};
    assert_int_equal(gv_store_builder_add(b, &clip, q, hips, still, &err), GV_OK);
    assert_int_equal(gv_store_builder_write(b, path, &err), GV_OK);
    gv_store_builder_destroy(b);
}

typedef struct stage {
    char path[32];
    gv_store store;
    gv_body *body;
    gv_rig rig;
} stage;

static void set_up(stage *s) {
    strcpy(s->path, "/tmp/gv_store_XXXXXX");
    close(mkstemp(s->path));
    make_store(s->path);
    assert_int_equal(gv_store_open(&s->store, s->path, &err), GV_OK);
    if (gv_body_open(&s->body, NULL, &err)) print_message("%s\n", err.text);
    assert_non_null(s->body);
    assert_int_equal(gv_rig_from_body(&s->rig, s->body, 16, &err), GV_OK);
}

static void take_down(stage *s) {
    gv_rig_free(&s->rig);
    gv_body_close(s->body);
    gv_store_close(&s->store);
    unlink(s->path);
}

typedef struct seen {
    int pieces;
    gv_score total[2][GV_STAGES];
} seen;

static void keep(void *user, const gv_benchmark_piece *p) {
    seen *s = user;
    s->pieces++;
    for (int k = 0; k < GV_STAGES; k++) gv_score_add(&s->total[p->moving][k], &p->score[k]);
}

static void test_benchmark(void **state) {
    (void)state;
    enum { D = 16, N = 1 };
    stage s;
    set_up(&s);
    int n = gv_network_weight_table(NULL, 0, D, N, 1);
    gv_weight_spec *table = calloc((size_t)n, sizeof *table);
    float **weights = calloc((size_t)n, sizeof *weights);
    gv_network_weight_table(table, n, D, N, 1);
    for (int i = 0; i < n; i++) {
        int64_t count = 1;
        for (int k = 0; k < table[i].ndim; k++) count *= table[i].shape[k];
        weights[i] = random_points((uint64_t)i, (int)count);
        for (int64_t k = 0; k < count; k++) weights[i][k] *= 0.1f;
    }
    gv_network *net = NULL;
    assert_int_equal(gv_network_create(&net, (const float *const *)weights, D, N, 1, 2, GV_PRECISION_F32, NULL, &err), GV_OK);
    gv_benchmark_options o = {.noise = 1, .points = true, .seed = 3};
    seen a = {0}, b = {0};
    assert_int_equal(gv_benchmark_run(net, s.body, &s.store, &s.rig, &o, keep, &a, &err), GV_OK);
    assert_int_equal(gv_benchmark_run(net, s.body, &s.store, &s.rig, &o, keep, &b, &err), GV_OK);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(a.pieces, 2);
    for (int moving = 0; moving < 2; moving++)
        for (int k = 0; k < GV_STAGES; k++) {
            const gv_score *t = &a.total[moving][k];
            assert_int_equal(t->count[GV_WA_MPJPE], L);
            assert_true(t->count[GV_FOOT_SLIDING] > 3 * L); // they stand still in truth
            for (int m = 0; m < GV_MEASURES; m++)
                if (m != GV_PVE) assert_true(isfinite(gv_score_mean(t, (gv_measure)m)));
        }
    o.only = "nobody";
    assert_int_equal(gv_benchmark_run(net, s.body, &s.store, &s.rig, &o, keep, &b, &err), GV_ERR_EMPTY);
    gv_network_close(net);
    for (int i = 0; i < n; i++) free(weights[i]);
    free(weights);
    free(table);
    take_down(&s);
}

// What is lowest stays as low, for the body of mean shape; rotations stay unit quaternions.
static void test_poses(void **state) {
    (void)state;
    stage s;
    set_up(&s);
    gv_sequence *m = malloc(sizeof *m);
    double bent = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        gv_rng r = gv_rng_make(seed, 0, 0);
        gv_sequence_read(m, &s.store, &s.store.clips[0], 0, L, &r);
        memset(m->betas, 0, sizeof m->betas);
        if (seed < 15)
            gv_sequence_bend(m, &s.rig, &r);
        else
            gv_sequence_lay(m, &s.rig, &r);
        gv_sequence_place(m, &s.rig, &r);
        for (int t = 0; t < L; t++) {
            float low = 9;
            for (int j = 0; j < J; j++) {
                float q2 = 0;
                for (int c = 0; c < 4; c++) q2 += m->q[t][j][c] * m->q[t][j][c];
                assert_true(fabsf(q2 - 1) < 1e-4f);
                low = fminf(low, m->joints[t][j][1]);
            }
            assert_true(low > -0.15f && low < 0.25f); // hips at 0.9 m, legs of 0.82 m
            bent = fmax(bent, 0.9 - m->joints[t][0][1]);
        }
    }
    assert_true(bent > 0.4); // somebody squats or lies
    free(m);
    take_down(&s);
}

// Smoothing keeps what is constant and the shape, and takes most of a tremble away; gravity becomes one direction.
static void test_steady(void **state) {
    (void)state;
    float *x = random_points(5, L * GV_PRED_X), *y = malloc(sizeof(float) * L * GV_PRED_X);
    for (int t = 0; t < L; t++) x[t * GV_PRED_X] = 0.25f;
    memcpy(y, x, sizeof(float) * L * GV_PRED_X);
    assert_int_equal(gv_smooth_prediction(y, L, NULL, &err), GV_OK);
    double before = 0, after = 0;
    for (int t = 0; t < L; t++) {
        assert_true(fabsf(y[t * GV_PRED_X] - 0.25f) < 1e-6f);
        assert_memory_equal(y + t * GV_PRED_X + 126, x + t * GV_PRED_X + 126, sizeof(float[10]));
        for (int i = 136; i < GV_PRED_X; i++) {
            before += x[t * GV_PRED_X + i] * x[t * GV_PRED_X + i];
            after += y[t * GV_PRED_X + i] * y[t * GV_PRED_X + i];
        }
    }
    assert_true(after < before / 4);
    gv_observations o;
    assert_int_equal(gv_observations_alloc(&o, L, &err), GV_OK);
    for (int t = 0; t < L; t++)
        for (int k = 0; k < 17; k++) o.kp2d[51 * t + 3 * k + 2] = 1;
    assert_int_equal(gv_steady_gravity(y, &o, &err), GV_OK);
    float first[3];
    for (int t = 0; t < L; t++) { // the camera stands still: C V^T e_y is the same in all frames
        float C[9], V[9], M[9], d6[2][6];
        for (int i = 0; i < 12; i++)
            d6[i / 6][i % 6] = y[t * GV_PRED_X + 136 + i] * gv_pred_x_std[136 + i] + gv_pred_x_mean[136 + i];
        gv_rot_from_6d(C, d6[0]);
        gv_rot_from_6d(V, d6[1]);
        gv_mat3_mul_nt(M, C, V);
        for (int c = 0; c < 3; c++) {
            if (t == 0) first[c] = M[3 * c + 1];
            assert_true(fabsf(M[3 * c + 1] - first[c]) < 1e-4f);
        }
        assert_true(fabsf(M[0] * first[0] + M[3] * first[1] + M[6] * first[2]) < 1e-4f);
        assert_true(fabsf(M[6]) < 1e-4f); // x of the gravity-view frame is level in the picture: no z in the camera
    }
    gv_observations_free(&o);
    free(x);
    free(y);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_totals),  cmocka_unit_test(test_gravity),
                                       cmocka_unit_test(test_command), cmocka_unit_test(test_benchmark),
                                       cmocka_unit_test(test_poses),   cmocka_unit_test(test_steady)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
