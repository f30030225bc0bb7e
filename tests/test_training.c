// test_training.c - reading clips, the store, the sampler, the network against inference, losses against the
// reference, and runs that resume to the bit.
#include "base/file.h"
#include "formats/tensors.h"
#include "geometry/rotation.h"
#include "on_device.h"
#include "network/statistics.h"
#include "trained.h"
#include "training/bvh.h"
#include "training/optimiser.h"
#include "training/sheet.h"
#include "training/store.h"
#include "training/train.h"
#include "training_runs.h"

#include <string.h>
#include <sys/stat.h>

// ---- clips ----

static const char good[] =
    "HIERARCHY\nROOT Hips\n{\n OFFSET 0 0 0\n CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation\n"
    " JOINT Leg\n {\n  OFFSET 0 -10 0\n  CHANNELS 3 Zrotation Xrotation Yrotation\n  End Site\n  {\n   OFFSET 0 -5 0\n "
    " }\n }\n}\n"
    "MOTION\nFrames: 2\nFrame Time: 0.0333333\n1 2 3 90 0 0 0 0 0\n1 2 3 0 0 90 0 30 0\n";

static void test_bvh(void **state) {
    (void)state;
    gv_bvh b;
    assert_int_equal(gv_bvh_parse(&b, "good", good, sizeof good - 1, &err), GV_OK);
    assert_int_equal(b.joint_count, 2);
    assert_int_equal(b.frames, 2);
    assert_int_equal(gv_bvh_find(&b, "Leg"), 1);
    float R[9], p[3];
    gv_bvh_local(&b, 0, 0, R, p);
    const float quarter[9] = {0, -1, 0, 1, 0, 0, 0, 0, 1};
    assert_true(max_abs_diff(R, quarter, 9) < 1e-6);
    assert_true(p[0] == 1 && p[1] == 2 && p[2] == 3);
    gv_bvh_local(&b, 1, 1, R, p);
    assert_true(p[1] == -10 && fabsf(R[7] - 0.5f) < 1e-6f); // R = Rz Rx Ry, 30 degrees about x
    gv_bvh_free(&b);
}

static void refuse(const char *text, const char *with) {
    gv_bvh b;
    err = (gv_error){0};
    assert_int_not_equal(gv_bvh_parse(&b, "bad.bvh", text, strlen(text), &err), GV_OK);
    if (!strstr(err.text, with)) print_message("\"%s\" lacks \"%s\"\n", err.text, with);
    assert_non_null(strstr(err.text, with));
    assert_null(b.joints);
}

static void test_broken_bvh(void **state) {
    (void)state;
    gv_bvh b;
    char text[sizeof good];
    for (size_t n = 0; n + 4 < sizeof good - 1; n++) { // every prefix
        memcpy(text, good, n);
        text[n] = 0;
        assert_int_not_equal(gv_bvh_parse(&b, "cut", text, n, &err), GV_OK);
    }
    for (size_t n = 0; n + 1 < sizeof good; n++) { // every byte changed: any result, no crash
        memcpy(text, good, sizeof good);
        text[n] ^= 0x15;
        if (!gv_bvh_parse(&b, "flipped", text, sizeof good - 1, &err)) gv_bvh_free(&b);
    }
    refuse("", "HIERARCHY");
    refuse("HIERARCHY ROOT a { CHANNELS 7", "7 channels");
    refuse("HIERARCHY ROOT a { CHANNELS 1 Wrotation }", "Wrotation");
    refuse("HIERARCHY ROOT a { OFFSET 0 nan 0 }", "nan");
    refuse("HIERARCHY ROOT a { CHANNELS 1 Xrotation } MOTION Frames: 3000000 Frame Time: 0.1 1 2", "3e+06 frames");
    refuse("HIERARCHY ROOT a { CHANNELS 1 Xrotation } MOTION Frames: 1 Frame Time: 0 1", "frame time");
    refuse("HIERARCHY ROOT a { } MOTION Frames: 1 Frame Time: 0.1 1", "no channels");
}

static void test_store(void **state) {
    (void)state;
    char path[] = "/tmp/gv_store_XXXXXX";
    close(mkstemp(path));
    make_store(path);
    gv_store s;
    assert_int_equal(gv_store_open(&s, path, &err), GV_OK);
    assert_int_equal(s.clip_count, 4);
    assert_int_equal(s.frame_count, 280);
    assert_string_equal(s.clips[2].subject, "person2");
    assert_int_equal(s.clips[2].first, 140);
    assert_true(fabsf(s.hips[3 * 71] - 0.02f) < 1e-6f);
    gv_store_close(&s);
    unsigned char *data;
    size_t size;
    assert_int_equal(gv_file_read(path, 0, &data, &size, &err), GV_OK);
    for (size_t at = 0; at < 32 + 4 * 256; at += 7) { // damage in header and table: refused, or still consistent
        data[at] ^= 0x81;
        assert_int_equal(gv_file_write(path, data, size, &err), GV_OK);
        if (!gv_store_open(&s, path, &err)) {
            for (int i = 0; i < s.clip_count; i++) assert_true(s.clips[i].first + s.clips[i].frames <= s.frame_count);
            gv_store_close(&s);
        }
        data[at] ^= 0x81;
    }
    for (size_t n = 0; n < size; n += 997) {
        assert_int_equal(gv_file_write(path, data, n, &err), GV_OK);
        assert_int_not_equal(gv_store_open(&s, path, &err), GV_OK);
    }
    free(data);
    unlink(path);
}

// ---- sampling ----

// The parts of a sample belong together: the targets decode to the joints, seen from the camera.
static void check_row(const gv_batch *b, const gv_rig *rig, int64_t at) {
    float raw[GV_PRED_X], box[3];
    gv_rig_pose p;
    for (int i = 0; i < GV_PRED_X; i++) raw[i] = b->y.x[at * GV_PRED_X + i] * gv_pred_x_std[i] + gv_pred_x_mean[i];
    gv_rig_shape(&p, rig, raw + GV_X_BETAS);
    for (int j = 0; j < 22; j++) gv_real_from_6d(p.local[j], j ? raw + GV_X_POSE + 6 * (j - 1) : raw + GV_X_ORIENT_C);
    gv_rig_fk(&p);
    for (int j = 0; j < 22; j++)
        for (int c = 0; c < 3; c++)
            assert_true(fabsf(p.t[j][c] + b->y.transl_c[3 * at + c] - b->y.joints[(at * 22 + j) * 3 + c]) < 1e-4f);
    // world to camera: R maps world bones to camera bones
    for (int j = 1; j < 22; j++) {
        float w[3], c[3];
        for (int k = 0; k < 3; k++) w[k] = b->joints_w[(at * 22 + j) * 3 + k] - b->joints_w[at * 66 + k];
        gv_mat3_apply(c, b->R_w2c + 9 * at, w);
        for (int k = 0; k < 3; k++)
            assert_true(fabsf(c[k] - b->y.joints[(at * 22 + j) * 3 + k] + b->y.joints[at * 66 + k]) < 1e-4f);
    }
    // gravity in the gravity-view frame is +y: R_gv R_w^T (0, -1, 0) = (0, 1, 0)
    float gv[9], down[3], g[3];
    gv_real_from_6d(gv, raw + GV_X_ORIENT_GV);
    gv_mat3_apply_t(down, b->y.R_w + 9 * at, (float[3]){0, -1, 0});
    gv_mat3_apply(g, gv, down);
    assert_true(fabsf(g[0]) < 1e-3f && fabsf(g[1] - 1) < 1e-3f && fabsf(g[2]) < 1e-3f);
    memcpy(box, b->y.box + 3 * at, sizeof box);
    assert_true(box[2] > 0);
    for (int i = 0; i < 17; i++) {
        const float *o = b->obs + (at * 17 + i) * 3;
        assert_true(o[2] == 0 || (o[2] == 1 && fabsf(o[0]) <= 1 && fabsf(o[1]) <= 1));
    }
}

static void make_sampler(gv_sampler *s, gv_store *store, gv_rig *rig, const char *path) {
    make_store(path);
    make_rig(rig);
    assert_int_equal(gv_store_open(store, path, &err), GV_OK);
    assert_int_equal(gv_sampler_init(s, store, rig, &gv_sample_defaults, &err), GV_OK);
}

static void test_samples(void **state) {
    (void)state;
    char path[] = "/tmp/gv_store_XXXXXX";
    close(mkstemp(path));
    gv_store store;
    gv_rig rig;
    gv_sampler s;
    make_sampler(&s, &store, &rig, path);
    enum { B = 12, L = 40 };
    gv_batch *a = gv_batch_create(B, L, 8), *b = gv_batch_create(B, L, 8);
    gv_batch_fill(a, &s, 1, 5);
    gv_batch_fill(b, &s, 1, 5);
    assert_memory_equal(a->obs, b->obs, sizeof(float) * B * L * 51);
    assert_memory_equal(a->y.x, b->y.x, sizeof(float) * B * L * 151);
    gv_batch_fill(b, &s, 1, 6);
    assert_memory_not_equal(a->y.x, b->y.x, sizeof(float) * B * L * 151);
    int seen = 0;
    for (int i = 0; i < B; i++)
        for (int t = 0; t < a->length[i]; t++) {
            check_row(a, &rig, (int64_t)i * L + t);
            seen += a->obs[((i * L + t) * 17 + 5) * 3 + 2] > 0;
        }
    assert_true(seen > B * L / 3);
    gv_sample_options o = gv_sample_defaults;
    o.only = "nobody";
    gv_sampler none;
    assert_int_equal(gv_sampler_init(&none, &store, &rig, &o, &err), GV_ERR_EMPTY);
    gv_batch_destroy(a);
    gv_batch_destroy(b);
    gv_sampler_free(&s);
    gv_rig_free(&rig);
    gv_store_close(&store);
    unlink(path);
}

// A contact sheet is a PNG with something on it, of clips and of made sequences; its checksums hold.
static void test_sheet(void **state) {
    (void)state;
    char path[] = "/tmp/gv_store_XXXXXX", png[] = "/tmp/gv_sheet_XXXXXX";
    close(mkstemp(path));
    close(mkstemp(png));
    gv_store store;
    gv_rig rig;
    gv_sampler s;
    make_sampler(&s, &store, &rig, path);
    for (int made = 0; made < 2; made++) {
        unsigned char *data;
        size_t n, colours[5] = {0};
        assert_int_equal(gv_sheet_write(png, &s, 24, made, 1, NULL, NULL, &err), GV_OK);
        assert_int_equal(gv_file_read(png, 0, &data, &n, &err), GV_OK);
        int rows = made ? 2 : 1, width = GV_SHEET_COLUMNS * GV_SHEET_CELL, height = rows * GV_SHEET_CELL;
        assert_memory_equal(data, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16);
        assert_int_equal(data[18] * 256 + data[19], width);
        assert_int_equal(data[22] * 256 + data[23], height);
        assert_memory_equal(data + n - 12, "\0\0\0\0IEND\xae\x42\x60\x82", 12);
        assert_true(n > (size_t)width * height && n < (size_t)width * height + 4000);
        for (size_t i = 8 + 25 + 780 + 8; i < n - 12; i++)
            if (data[i] < 5) colours[data[i]]++;
        assert_true(colours[2] > 200 && colours[3] > 200 && colours[0] > n / 2);
        free(data);
    }
    gv_sampler_free(&s);
    gv_rig_free(&rig);
    gv_store_close(&store);
    unlink(path);
    unlink(png);
}

// ---- training ----

// Six steps in one run and 3 + 3 with a restart between leave the same model; the loss falls; inference agrees.
static void test_resume(void **state) {
    (void)state;
    char model[128];
    runs r;
    runs_begin(&r);
    gv_train_options o = gv_train_defaults;
    o.width = 32, o.layers = 2, o.heads = 4, o.batch = 2, o.frames = 16, o.steps = 6, o.gate = 1,
    o.validation_batches = 1, o.decay = 0, o.warmup = 0;
    o.leave_out = "person3";
    o.device = on_device();
    o.out = r.one;
    assert_int_equal(gv_train_run(&o, &r.store, &r.rig, NULL, &err), GV_OK);
    o.out = r.two;
    o.steps = 3;
    assert_int_equal(gv_train_run(&o, &r.store, &r.rig, NULL, &err), GV_OK);
    o.steps = 6;
    assert_int_equal(gv_train_run(&o, &r.store, &r.rig, NULL, &err), GV_OK);
    unsigned char *a, *b;
    size_t n, m;
    read_whole(r.one, "model.safetensors", &a, &n);
    read_whole(r.two, "model.safetensors", &b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
    o.width = 64;
    assert_int_equal(gv_train_run(&o, &r.store, &r.rig, NULL, &err), GV_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "width 32"));

    // the inference network on the saved file equals the training network's forward pass
    enum { L = 16 };
    gv_net_config c = {32, 2, 4, 0, 0, 0, 0, on_device()};
    gv_net *net = gv_net_create(&c, 1, L);
    gv_network *inference;
    snprintf(model, sizeof model, "%s/model.safetensors", r.one);
    load_into(net, model);
    assert_int_equal(gv_network_open(&inference, model, 0, GV_PRECISION_F32, on_device(), &err), GV_OK);
    gv_sampler s;
    assert_int_equal(gv_sampler_init(&s, &r.store, &r.rig, &gv_sample_defaults, &err), GV_OK);
    gv_batch *batch = gv_batch_create(1, L, 8);
    gv_batch_fill(batch, &s, 9, 9);
    gv_net_input in = {batch->obs, batch->cliff, batch->angvel, NULL, batch->length, false};
    gv_net_forward(net, &in, 0, 0);
    gv_net_outputs(net);
    float angvel[L * 6], x[L * 151], cam[L * 3], still[L * 6];
    for (int i = 0; i < L * 6; i++) angvel[i] = batch->angvel[i] * gv_cam_angvel_std[i % 6] + gv_cam_angvel_mean[i % 6];
    gv_network_input ni = {
        .frames = L, .length = batch->length[0], .obs = batch->obs, .cliff = batch->cliff, .cam_angvel = angvel};
    gv_network_output no = {.pred_x = x, .pred_cam = cam, .static_conf_logits = still};
    assert_int_equal(gv_network_run(inference, &ni, &no, &err), GV_OK);
    print_message("training against inference: %.2g %.2g %.2g\n", max_abs_diff(x, net->pred_x, L * 151),
                  max_abs_diff(cam, net->pred_cam, L * 3), max_abs_diff(still, net->logits, L * 6));
    assert_true(max_abs_diff(x, net->pred_x, L * 151) < 1e-5);
    assert_true(max_abs_diff(cam, net->pred_cam, L * 3) < 1e-5);
    assert_true(max_abs_diff(still, net->logits, L * 6) < 1e-5);
    gv_network_close(inference);
    gv_net_destroy(net);
    gv_batch_destroy(batch);
    gv_sampler_free(&s);
    runs_end(&r);
}

// Two steps of AdamW on two numbers, worked out by hand from the formulas (lr 0.1, decay 0.01, no clipping).
static void test_adamw(void **state) {
    (void)state;
    gv_adamw a = {0.1, 0.9, 0.999, 1e-8, 0.01, 0, 0.5};
    float p[2] = {1, -2}, g[2] = {0.5f, -4}, m[2] = {0}, v[2] = {0}, mean[2] = {1, -2};
    double squares[GV_ADAMW_SQUARES];
    gv_engine e = {0};
    gv_adamw_step(&e, &a, 1, p, g, m, v, mean, 2, squares);
    double norm = gv_adamw_norm(&e, squares);
    assert_true(fabs(norm - sqrt(16.25)) < 1e-6);
    assert_true(fabs(p[0] - (1 * 0.999 - 0.1)) < 1e-6 &&
                fabs(p[1] - (-2 * 0.999 + 0.1)) < 1e-6);                  // first step: sign times lr
    assert_true(fabs(mean[0] - (2.0 / 11 * 1 + 9.0 / 11 * p[0])) < 1e-6); // the average starts fast
    a.clip = 1;
    float g2[2] = {3, 4};
    float before = m[0];
    gv_adamw_step(&e, &a, 2, p, g2, m, v, NULL, 2, squares);
    assert_true(fabs(gv_adamw_norm(&e, squares) - 5) < 1e-6);
    assert_true(fabs(m[0] - (0.9 * before + 0.1 * 0.6)) < 1e-6);
}

// ---- the reference's recorded losses ----

static gv_npz *record;
static float *take(const char *name) {
    float *p = gv_npz_read_f32(record, name, NULL, -1, NULL, &err);
    if (!p) print_message("%s\n", err.text);
    assert_non_null(p);
    return p;
}

enum { RB = 2, RL = 120, RT = RB * RL };

static gv_net *load_tiny(const char *path) {
    gv_net_config c = {64, 2, 4, 1, 0, 0, 0, on_device()};
    gv_net *n = gv_net_create(&c, RB, RL);
    gv_tensors *t;
    assert_non_null(n);
    assert_int_equal(gv_tensors_open(&t, path, &err), GV_OK);
    for (int i = 0; i < n->tensors; i++) {
        char name[128];
        snprintf(name, sizeof name, "pipeline.denoiser3d.%s", n->table[i].name);
        float *w = gv_tensors_read_f32(t, name, n->table[i].shape, n->table[i].ndim, &err);
        if (!w) print_message("%s\n", err.text);
        assert_non_null(w);
        int64_t count = (i + 1 < n->tensors ? n->offset[i + 1] : n->parameters) - n->offset[i];
        gv_engine_put(&n->engine, n->params + n->offset[i], w, count);
        free(w);
    }
    gv_tensors_close(t);
    return n;
}

static void test_reference(void **state) {
    (void)state;
    const char *path = need_shared("reference/motion/exp_training.npz"),
               *ckpt = need_shared("reference/motion/tiny.ckpt"),
               *body = need_shared("reference/motion/exp_body_model.npz");
    gv_rig rig = {0};
    assert_int_equal(gv_npz_open(&record, body, &err), GV_OK);
    float *S = take("J_template"), *dirs = take("J_shapedirs");
    memcpy(rig.S, S, sizeof rig.S);
    memcpy(rig.dirs, dirs, sizeof rig.dirs);
    gv_npz_close(record);
    assert_int_equal(gv_npz_open(&record, path, &err), GV_OK);
    gv_net *n = load_tiny(ckpt);
    float *K9 = take("in_K_fullimg"), *box = take("in_bbx_xys"), *angvel = take("in_cam_angvel"), *obs = take("in_obs"),
          *img = take("in_f_imgseq"), *orient_w = take("in_smpl_params_w.global_orient"),
          *transl_w = take("in_smpl_params_w.transl"), *betas = take("in_smpl_params_c.betas"),
          *pose = take("in_smpl_params_c.body_pose"), *orient_c = take("in_smpl_params_c.global_orient"),
          *transl_c = take("in_smpl_params_c.transl"), *j17 = take("in_gt_j3d"), *x = take("target_x"),
          *pred_x = take("pred_x"), *betas_w = take("in_smpl_params_w.betas"),
          *pose_w = take("in_smpl_params_w.body_pose");
    static float cliff[RT * 3], K[RT * 4], R_w[RT * 9], joints[RT * 66], world[RT * 66], still[RT * 6];
    static const int length[RB] = {120, 80}, ids[6] = {7, 10, 8, 11, 20, 21};
    static const unsigned char incam[RB] = {0, 1};
    for (int t = 0; t < RT; t++) {
        const float *k = K9 + 9 * t, *b = box + 3 * t;
        memcpy(K + 4 * t, (float[4]){k[0], k[4], k[2], k[5]}, sizeof(float[4]));
        memcpy(cliff + 3 * t, (float[3]){(b[0] - k[2]) / k[0], (b[1] - k[5]) / k[0], b[2] / k[0]}, sizeof(float[3]));
        for (int i = 0; i < 6; i++)
            angvel[6 * t + i] = (angvel[6 * t + i] - gv_cam_angvel_mean[i]) / gv_cam_angvel_std[i];
        gv_rig_pose p;
        for (int pass = 0; pass < 2; pass++) {
            gv_rig_shape(&p, &rig, (pass ? betas_w : betas) + 10 * t);
            for (int j = 1; j < 22; j++) gv_rot_from_aa(p.local[j], (pass ? pose_w : pose) + 63 * t + 3 * (j - 1));
            gv_rot_from_aa(p.local[0], (pass ? orient_w : orient_c) + 3 * t);
            if (pass) memcpy(R_w + 9 * t, p.local[0], sizeof(float[9]));
            gv_rig_fk(&p);
            for (int j = 0; j < 66; j++)
                (pass ? world : joints)[66 * t + j] = p.t[j / 3][j % 3] + (pass ? transl_w : transl_c)[3 * t + j % 3];
        }
    }
    for (int t = 0; t < RT; t++)
        for (int i = 0; i < 6; i++) {
            int a = t % RL + 1 < RL ? t : t - 1;
            float d = 0;
            for (int c = 0; c < 3; c++)
                d += powf(world[66 * (a + 1) + 3 * ids[i] + c] - world[66 * a + 3 * ids[i] + c], 2);
            still[6 * t + i] = sqrtf(d) / 0.033f < 0.15f;
        }
    gv_net_input in = {obs, cliff, angvel, img, length, false};
    gv_net_forward(n, &in, 0, 0);
    gv_net_outputs(n);
    double worst = max_abs_diff(n->pred_x, pred_x, 120 * 151); // the first sample has no padding
    print_message("pred_x: %.2g\n", worst);
    assert_true(worst < 2e-4);
    gv_targets y = {.B = RB,
                    .L = RL,
                    .length = length,
                    .incam_only = incam,
                    .x = x,
                    .joints = joints,
                    .coco = j17,
                    .transl_c = transl_c,
                    .R_w = R_w,
                    .transl_w = transl_w,
                    .still = still,
                    .box = box,
                    .K = K};
    static float dx[RT * 151], dcam[RT * 3], dl[RT * 6];
    double partial[RB * GV_LOSS_TERMS];
    gv_loss loss;
    gv_loss_run(&loss, dx, dcam, dl, n->pred_x, n->pred_cam, n->logits, &y, &rig, gv_loss_weights, partial);
    static const struct {
        const char *name;
        int term;
    } want[] = {{"simple_loss", GV_LOSS_SIMPLE},     {"cr_j3d_loss", GV_LOSS_CR_J3D},
                {"transl_c_loss", GV_LOSS_TRANSL_C}, {"j2d_loss", GV_LOSS_J2D},
                {"transl_w_loss", GV_LOSS_TRANSL_W}, {"static_conf_loss", GV_LOSS_STATIC}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        double *v = gv_npz_read_f64(record, want[i].name, NULL, -1, NULL, &err);
        assert_non_null(v);
        double e = fabs(loss.term[want[i].term] / v[0] - 1);
        print_message("%s: %.9g, reference %.9g, relative %.2g\n", want[i].name, loss.term[want[i].term], v[0], e);
        assert_true(e < 1e-5);
        free(v);
    }
    void *blocks[] = {S,     dirs, K9,       box,      angvel, obs, img,    orient_w, transl_w,
                      betas, pose, orient_c, transl_c, j17,    x,   pred_x, betas_w,  pose_w};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) free(blocks[i]);
    gv_net_destroy(n);
    gv_npz_close(record);
}

// A network that also sees the keypoint network's points in space, started from one that does not: the file says so,
// the new embedder changes nothing at first, and inference sees the points as training does.
static void test_points(void **state) {
    (void)state;
    enum { L = 16 };
    char model[128];
    runs r;
    runs_begin(&r);
    gv_train_options o = gv_train_defaults;
    o.width = 32, o.layers = 1, o.heads = 4, o.batch = 2, o.frames = L, o.steps = 2, o.gate = 1, o.warmup = 0;
    o.average = 0;
    o.out = r.one;
    assert_int_equal(gv_train_run(&o, &r.store, &r.rig, NULL, &err), GV_OK);
    snprintf(model, sizeof model, "%s/model.safetensors", r.one);
    gv_sampler s;
    gv_sample_options guessed = gv_sample_defaults;
    guessed.points = 1, guessed.drop = 0; // in every frame
    assert_int_equal(gv_sampler_init(&s, &r.store, &r.rig, &guessed, &err), GV_OK);
    gv_batch *batch = gv_batch_create(1, L, 8);
    gv_batch_fill(batch, &s, 9, 4);
    gv_net_config c = {32, 1, 4, 0, 0, 0, 0, on_device()}, with = {32, 1, 4, 1, 0, 0, 0, on_device()};
    gv_net *plain = gv_net_create(&c, 1, L), *seeing = gv_net_create(&with, 1, L);
    gv_net_input in = {batch->obs, batch->cliff, batch->angvel, batch->images, batch->length, false};
    load_into(plain, model);
    gv_net_forward(plain, &in, 0, 0);
    gv_net_outputs(plain);

    o.init = model;
    o.points = 1;
    o.out = r.two;
    o.lr = 0; // the start itself
    assert_int_equal(gv_train_run(&o, &r.store, &r.rig, NULL, &err), GV_OK);
    char second[128];
    snprintf(second, sizeof second, "%s/model.safetensors", r.two);
    load_into(seeing, second);
    gv_net_forward(seeing, &in, 0, 0);
    gv_net_outputs(seeing);
    assert_true(max_abs_diff(plain->pred_x, seeing->pred_x, L * GV_PRED_X) < 1e-5);
    o.lr = 1e-2;
    o.steps = 8;
    assert_int_equal(gv_train_run(&o, &r.store, &r.rig, NULL, &err), GV_OK);
    load_into(seeing, second);
    gv_net_forward(seeing, &in, 0, 0);
    gv_net_outputs(seeing);

    float angvel[L * 6], kp3d[L * 51], x[L * 151], blind[L * 151];
    for (int i = 0; i < L * 6; i++) angvel[i] = batch->angvel[i] * gv_cam_angvel_std[i % 6] + gv_cam_angvel_mean[i % 6];
    for (int t = 0; t < L; t++) memcpy(kp3d + 51 * t, batch->images + GV_IMAGE_FEATURE * t, sizeof(float[51]));
    gv_network *net;
    assert_int_equal(gv_network_open(&net, second, 0, GV_PRECISION_F32, on_device(), &err), GV_OK);
    gv_network_input ni = {.frames = L,
                           .length = batch->length[0],
                           .obs = batch->obs,
                           .cliff = batch->cliff,
                           .cam_angvel = angvel,
                           .kp3d = kp3d};
    assert_int_equal(gv_network_run(net, &ni, &(gv_network_output){.pred_x = x}, &err), GV_OK);
    ni.kp3d = NULL;
    assert_int_equal(gv_network_run(net, &ni, &(gv_network_output){.pred_x = blind}, &err), GV_OK);
    assert_true(max_abs_diff(x, seeing->pred_x, L * 151) < 1e-4);
    assert_true(max_abs_diff(x, blind, L * 151) > 1e-3); // the points matter by now
    gv_network_close(net);
    gv_net_destroy(plain);
    gv_net_destroy(seeing);
    gv_batch_destroy(batch);
    gv_sampler_free(&s);
    runs_end(&r);
}

// Two ranks with half a batch each: the loss curve of one rank with the whole batch. Open MPI itself leaks at its end,
// so under the address sanitizer leaks are not looked for here.
static void test_ranks(void **state) {
    (void)state;
    if (system("mpirun --version > /dev/null 2>&1")) {
        print_message("skipped: no mpirun\n");
        skip();
    }
    char path[] = "/tmp/gv_store_XXXXXX", dir[2][32] = {"/tmp/gv_run_XXXXXX", "/tmp/gv_run_XXXXXX"}, line[1024];
    close(mkstemp(path));
    make_store(path);
    double loss[2][6];
    for (int k = 0; k < 2; k++) {
        assert_non_null(mkdtemp(dir[k]));
        snprintf(
            line, sizeof line,
            "ASAN_OPTIONS=detect_leaks=0 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1 "
            "%s %s train --data %s -o %s "
            "--width 32 --layers 2 --heads 4 --batch 4 --frames 16 --surface 8 --steps 6 --log-every 1 --dropout 0 "
            "--bf16 0 --gate 1 --warmup 1 --quiet > %s/said 2>&1",
            k ? "mpirun --oversubscribe -n 2" : "", GV_TEST_PROGRAM, path, dir[k], dir[k]);
        int status = system(line);
        char name[64];
        unsigned char *text;
        size_t n;
        snprintf(name, sizeof name, "%s/said", dir[k]);
        assert_int_equal(gv_file_read(name, 0, &text, &n, &err), GV_OK);
        unlink(name);
        int without = strstr((char *)text, "built without MPI") != NULL;
        if (status && !without) print_message("%s\n", (char *)text);
        free(text);
        if (without) {
            print_message("skipped: built without MPI\n");
            remove_run(dir[0]);
            remove_run(dir[1]);
            unlink(path);
            skip();
        }
        assert_int_equal(status, 0);
        read_whole(dir[k], "log.jsonl", &text, &n);
        const char *p = (char *)text;
        for (int i = 0; i < 6; i++) {
            p = strstr(p, "\"loss\":");
            assert_non_null(p);
            loss[k][i] = atof(p + 7);
            p += 7;
        }
        assert_null(strstr(p, "\"loss\":")); // one rank writes
        free(text);
        remove_run(dir[k]);
    }
    for (int i = 0; i < 6; i++) assert_true(fabs(loss[0][i] / loss[1][i] - 1) < 1e-4);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bvh),    cmocka_unit_test(test_broken_bvh),
                                       cmocka_unit_test(test_store),  cmocka_unit_test(test_samples),
                                       cmocka_unit_test(test_sheet),  cmocka_unit_test(test_resume),
                                       cmocka_unit_test(test_points), cmocka_unit_test(test_ranks),
                                       cmocka_unit_test(test_adamw),  cmocka_unit_test(test_reference)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
