// test_ablation.c - networks without rotary embedding, without window, without Gravity-View orientations: training and
// inference agree, and the chain of turns leads where the motion went.
#include "base/file.h"
#include "folder.h"
#include "geometry/rotation.h"
#include "motion/chain.h"
#include "motion/world.h"
#include "network/statistics.h"
#include "trained.h"
#include "training/train.h"

static gv_error err;
enum { J = 22, T = 200, D = 32 };

// Somebody who turns about all axes, and comes along.
static void make_store(const char *path) {
    static float q[T * J * 4], hips[T * 3];
    static uint8_t still[T * 4];
    gv_store_builder *b = gv_store_builder_create();
    for (int t = 0; t < T; t++) {
        for (int j = 0; j < J; j++) {
            float aa[3] = {0.2f * sinf(0.05f * (float)t + (float)j), j ? 0 : 0.03f * (float)t,
                           0.1f * cosf(0.07f * (float)t)};
            gv_quat_from_aa(q + (t * J + j) * 4, aa);
        }
        hips[3 * t] = 0.03f * (float)t;
        hips[3 * t + 1] = 0.9f;
    }
    for (int i = 0; i < 3; i++) {
        gv_clip clip = {.category = "daily", .source = "x", .frames = T, .flat = 1, .leg = 0.82f};
        snprintf(clip.name, sizeof clip.name, "turn%d", i);
        snprintf(clip.subject, sizeof clip.subject, "s%d", i);
        assert_int_equal(gv_store_builder_add(b, &clip, q, hips, still, &err), GV_OK);
    }
    assert_int_equal(gv_store_builder_write(b, path, &err), GV_OK);
    gv_store_builder_destroy(b);
}

typedef struct stage {
    gv_store store;
    gv_body *body;
    gv_rig rig;
} stage;

static void set_up(stage *s) {
    make_store(in_dir("m.gvs"));
    assert_int_equal(gv_store_open(&s->store, in_dir("m.gvs"), &err), GV_OK);
    assert_int_equal(gv_body_open(&s->body, NULL, &err), GV_OK);
    assert_int_equal(gv_rig_from_body(&s->rig, s->body, 8, &err), GV_OK);
}

static void take_down(stage *s) {
    gv_rig_free(&s->rig);
    gv_body_close(s->body);
    gv_store_close(&s->store);
}

static void axis_angle(double out[3], const float *x, int column) {
    float d6[6], R[9], aa[3];
    for (int i = 0; i < 6; i++) d6[i] = x[column + i] * gv_pred_x_std[column + i] + gv_pred_x_mean[column + i];
    gv_rot_from_6d(R, d6);
    gv_rot_to_aa(aa, R);
    for (int c = 0; c < 3; c++) out[c] = aa[c];
}

// True turns of a motion seen by a static camera, resolved and composed, turn the root as it really turned.
static void test_chain(void **state) {
    (void)state;
    enum { L = 60 };
    stage s;
    set_up(&s);
    gv_sampler sampler;
    gv_sample_options how = {.plain = true, .camera = GV_SAMPLE_STATIC, .chained = 1};
    assert_int_equal(gv_sampler_init(&sampler, &s.store, &s.rig, &how, &err), GV_OK);
    gv_batch *b = gv_batch_create(1, L, 8);
    gv_batch_fill(b, &sampler, 3, 4);
    assert_int_equal(b->length[0], L);
    for (int t = 0; t < L; t++) // half of what the place holds is empty
        for (int i = 3; i < 6; i++) assert_true(fabsf(b->y.x[t * GV_PRED_X + GV_X_ORIENT_GV + i]) < 1e-5f);
    float angvel[L * 6];
    double gv[L * 3], c[L * 3], velocity[L * 3], orient[L * 3], transl[L * 3], scratch[2 * L];
    memset(angvel, 0, sizeof angvel);
    gv_chain_resolve(b->y.x, angvel, L);
    for (int t = 0; t < L; t++) {
        const float *x = b->y.x + t * GV_PRED_X;
        axis_angle(gv + 3 * t, x, GV_X_ORIENT_GV);
        axis_angle(c + 3 * t, x, GV_X_ORIENT_C);
        for (int i = 0; i < 3; i++)
            velocity[3 * t + i] =
                x[GV_X_VELOCITY + i] * gv_pred_x_std[GV_X_VELOCITY + i] + gv_pred_x_mean[GV_X_VELOCITY + i];
        for (int i = 0; i < 6; i++)
            assert_true(fabsf(angvel[6 * t + i] - (i == 0 || i == 4)) < 1e-4f); // it stands still
    }
    gv_compose_world(orient, transl, gv, c, velocity, angvel, L, scratch);
    double worst = 0, off = 0;
    float R0[9];
    for (int t = 0; t < L; t++) {
        float aa[3], R[9], turned[9], truth[9];
        for (int i = 0; i < 3; i++) aa[i] = (float)orient[3 * t + i];
        gv_rot_from_aa(R, aa);
        if (t == 0) memcpy(R0, R, sizeof R);
        gv_mat3_mul_tn(turned, R0, R);
        gv_mat3_mul_tn(truth, b->y.R_w, b->y.R_w + 9 * t);
        worst = fmax(worst, gv_rot_angle(turned, truth));
        float way[3], went[3], d[3], e[3];
        for (int i = 0; i < 3; i++) d[i] = (float)transl[3 * t + i], e[i] = b->y.transl_w[3 * t + i] - b->y.transl_w[i];
        gv_mat3_apply_t(way, R0, d);
        gv_mat3_apply_t(went, b->y.R_w, e);
        for (int i = 0; i < 3; i++) off = fmax(off, fabs(way[i] - went[i]));
    }
    print_message("chained turns: %.2g rad, %.2g m\n", worst, off);
    assert_true(worst < 2e-4 && off < 1e-3);
    gv_batch_destroy(b);
    gv_sampler_free(&sampler);
    take_down(&s);
}

// Outputs of the training network and of inference for the same random observations of L frames.
static double difference(const char *model, int L, int absolute, int window) {
    gv_net_config config = {D, 2, 4, 0, 0, absolute, 0, NULL};
    gv_net *net = gv_net_create(&config, 1, L);
    gv_network *inference = NULL;
    load_into(net, model);
    assert_int_equal(gv_network_open(&inference, model, 0, GV_PRECISION_F32, NULL, &err), GV_OK);
    if (window >= 0) gv_network_set_window(inference, window);
    float *obs = malloc(sizeof(float[51]) * (size_t)L), *cliff = malloc(sizeof(float[3]) * (size_t)L),
          *normal = malloc(sizeof(float[6]) * (size_t)L), *angvel = malloc(sizeof(float[6]) * (size_t)L),
          *x = malloc(sizeof(float[GV_PRED_X]) * (size_t)L);
    gv_rng r = gv_rng_make(1, 2, 3);
    for (int i = 0; i < 51 * L; i++) obs[i] = i % 3 == 2 ? (float)gv_uniform01(&r) : (float)gv_normal(&r);
    for (int i = 0; i < 3 * L; i++) cliff[i] = (float)gv_normal(&r);
    for (int i = 0; i < 6 * L; i++) {
        normal[i] = (float)gv_normal(&r);
        angvel[i] = normal[i] * gv_cam_angvel_std[i % 6] + gv_cam_angvel_mean[i % 6];
    }
    gv_net_forward(net, &(gv_net_input){obs, cliff, normal, NULL, &L, false}, 0, 0);
    gv_net_outputs(net);
    const gv_network_input in = {.frames = L, .length = L, .obs = obs, .cliff = cliff, .cam_angvel = angvel};
    const gv_network_output out = {.pred_x = x};
    assert_int_equal(gv_network_run(inference, &in, &out, &err), GV_OK);
    double d = max_abs_diff(x, net->pred_x, (size_t)L * GV_PRED_X);
    void *blocks[] = {obs, cliff, normal, angvel, x};
    for (int i = 0; i < 5; i++) free(blocks[i]);
    gv_network_close(inference);
    gv_net_destroy(net);
    return d;
}

static gv_train_options small(const char *out) {
    gv_train_options o = gv_train_defaults;
    o.width = D, o.layers = 2, o.heads = 4, o.batch = 2, o.frames = 40, o.steps = 3, o.gate = 1;
    o.validation_batches = 1, o.decay = 0, o.warmup = 0, o.bf16 = 0;
    o.leave_out = "s2";
    o.out = out;
    return o;
}

static void test_networks(void **state) {
    (void)state;
    stage s;
    set_up(&s);
    gv_train_options o = small(in_dir("plain"));
    assert_int_equal(gv_train_run(&o, &s.store, &s.rig, NULL, &err), GV_OK);
    const char *plain = in_dir("plain/model.safetensors"), *without = in_dir("without/model.safetensors");
    assert_true(difference(plain, 100, 0, -1) < 1e-4);
    assert_true(difference(plain, 100, 0, 0) < 1e-4); // the window holds everything: so does its absence
    assert_true(difference(plain, 180, 0, 0) < 1e-4); // training has no window
    assert_true(difference(plain, 180, 0, -1) > 1e-4);

    o = small(in_dir("without"));
    o.rope = o.window = o.gravity_view = 0;
    assert_int_equal(gv_train_run(&o, &s.store, &s.rig, NULL, &err), GV_OK);
    assert_true(difference(without, 100, 1, -1) < 1e-4);
    assert_true(difference(without, 180, 1, -1) < 1e-4); // the file says that there is no window
    assert_true(difference(without, 180, 1, 1) > 1e-4);
    assert_true(difference(without, 100, 0, -1) > 1e-4);
    gv_network *n = NULL;
    assert_int_equal(gv_network_open(&n, without, 0, GV_PRECISION_F32, NULL, &err), GV_OK);
    assert_true(gv_network_is_chained(n));
    gv_network_close(n);
    assert_int_equal(gv_network_open(&n, plain, 0, GV_PRECISION_F32, NULL, &err), GV_OK);
    assert_false(gv_network_is_chained(n));
    gv_network_close(n);

    o.rope = 1; // goes on only as it began
    o.steps = 5;
    assert_int_equal(gv_train_run(&o, &s.store, &s.rig, NULL, &err), GV_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "--rope"));

    char text[2048];
    assert_int_equal(program("train",
                             "--data m.gvs -o drawn --width 32 --layers 1 --heads 4 --batch 2 --frames 20 --steps 4 "
                             "--log-every 1 --validate-every 2 --validation-batches 1 --leave-out s2 --quiet",
                             text),
                     0);
    unsigned char *png = NULL;
    size_t size;
    assert_int_equal(gv_file_read(in_dir("drawn/curves.png"), 0, &png, &size, &err), GV_OK);
    assert_memory_equal(png, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16);
    assert_int_equal(png[18] * 256 + png[19], 1500); // 19 panels in rows of five
    assert_int_equal(png[22] * 256 + png[23], 4 * 190);
    long colours[5] = {0};
    for (size_t i = 8 + 25 + 780 + 8; i < size - 12; i++)
        if (png[i] < 5) colours[png[i]]++;
    assert_true(colours[2] > 1000 && colours[3] > 1000 && colours[4] > 500); // text, training, held out
    free(png);
    assert_int_equal(program("train", "--curves drawn", text), 0);
    write_text("drawn/log.jsonl", "{\"step\":1,\"loss\":2}\nnonsense\n");
    assert_int_equal(program("train", "--curves drawn", text), 1);
    assert_non_null(strstr(text, "line 2"));
    write_text("drawn/log.jsonl", "{\"step\":1,\"loss\":2}\n{\"step\":2,\"lo"); // cut off
    assert_int_equal(program("train", "--curves drawn", text), 0);
    write_text("drawn/log.jsonl", "");
    assert_int_equal(program("train", "--curves drawn", text), 1);
    assert_int_equal(program("eval", "mocap --data m.gvs --only s2 --pieces 1 --model without/model.safetensors", text),
                     0);
    assert_int_equal(
        program("eval", "mocap --data m.gvs --only s2 --pieces 1 --no-window --model plain/model.safetensors", text),
        0);
    take_down(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chain), cmocka_unit_test(test_networks)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
