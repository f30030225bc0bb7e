// Every recorded case of the reference, stage by stage, against its float64 evaluation.
//
// Tolerance: three times the reference's own float32 noise (float32_noise.json): net32_rest64 where it is
// given (float32 network, float64 geometry), or postproc32 where that is larger, else reference32 for the
// stages that are the network itself. Rotations are compared as rotations.
#include "on_device.h"
#include "formats/npz.h"
#include "geometry/rotation.h"
#include "pipeline/predict.h"

#include <jansson.h>
#include <omp.h>
#include <string.h>

static const char *const cases[] = {"L7_moving", "L30_static", "L100_len80", "L121_static", "L300_moving"};
enum { CASES = sizeof cases / sizeof *cases };

typedef struct fixtures {
    json_t *noise;
    gv_network *net;
    gv_body *body;
} fixtures;

static double noise_of(const fixtures *f, const char *key, const char *kind) {
    json_t *entry = json_object_get(json_object_get(f->noise, "max_over_cases"), key);
    if (!entry) {
        print_error("no noise recorded for %s\n", key);
        fail();
    }
    double worst = 0;
    const char *const modes[] = {"net32_rest64", "postproc32"};
    for (int i = 0; i < 2; i++) {
        json_t *v = json_object_get(json_object_get(entry, modes[i]), kind);
        if (v && json_number_value(v) > worst) worst = json_number_value(v);
    }
    if (worst == 0) worst = json_number_value(json_object_get(json_object_get(entry, "reference32"), kind));
    return worst;
}

static double max_angle(const float *a, const float *b, size_t count) {
    double worst = 0;
    for (size_t i = 0; i < count; i += 3) {
        float A[9], B[9];
        gv_rot_from_aa(A, a + i);
        gv_rot_from_aa(B, b + i);
        double d = gv_rot_angle(A, B);
        if (!(d <= worst)) worst = d;
    }
    return worst;
}

static void check(const fixtures *f, gv_npz *expected, const char *label, const char *key, const float *actual,
                  size_t count) {
    gv_error err = {0};
    const gv_array *a = gv_npz_find(expected, key);
    assert_non_null(a);
    assert_int_equal(a->count, count);
    float *e = gv_npz_read_f32(expected, key, NULL, -1, NULL, &err);
    assert_non_null(e);
    bool rotation = strstr(key, "body_pose") || strstr(key, "global_orient");
    double worst = rotation ? max_angle(e, actual, count) : max_abs_diff(e, actual, count);
    double limit = 3 * noise_of(f, key, rotation ? "rot" : "abs");
    if (!(worst <= limit)) {
        print_error("%s %s: %.3g, expected at most %.3g\n", label, key, worst, limit);
        fail();
    }
    free(e);
}

static const gv_named_array *extra(const gv_motion *m, const char *name) {
    for (int i = 0; i < m->extra_count; i++)
        if (!strcmp(m->extra[i].name + strlen("net/"), name)) return &m->extra[i];
    print_error("no net/%s\n", name);
    fail();
    return NULL;
}

static void check_stages(const fixtures *f, gv_npz *expected, const char *label, const gv_motion *m) {
    static const char *const keys[] = {"obs",      "visible",         "f_cliffcam",         "f_cam_angvel",
                                       "x_embed",  "x_block_00",      "x_block_01",         "pred_context",
                                       "pred_x",   "pred_cam",        "static_conf_logits", "body_pose",
                                       "betas",    "global_orient_c", "global_orient_gv",   "local_transl_vel",
                                       "transl_c", "global_orient_w", "transl_w",           "joints_w",
                                       "joints_c"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const gv_named_array *a = extra(m, keys[i]);
        size_t count = 1;
        for (int k = 0; k < a->ndim; k++) count *= (size_t)a->shape[k];
        check(f, expected, label, keys[i], a->data, count);
    }
}

static void check_final(const fixtures *f, gv_npz *expected, const char *label, const char *mode, const gv_motion *m) {
    size_t L = (size_t)m->frames;
    const struct {
        const char *key;
        const float *data;
        size_t width;
    } final[] = {{"ik_target", extra(m, "ik_target")->data, 18},
                 {"global_body_pose", m->body_pose, 63},
                 {"incam_body_pose", m->body_pose, 63},
                 {"global_global_orient", m->global_orient, 3},
                 {"incam_global_orient", m->global_orient_incam, 3},
                 {"global_transl", m->transl, 3},
                 {"incam_transl", m->transl_incam, 3},
                 {"global_joints", m->joints_world, 66}};
    for (size_t i = 0; i < sizeof final / sizeof *final; i++) {
        char key[64];
        snprintf(key, sizeof key, "%s_%s", mode, final[i].key);
        check(f, expected, label, key, final[i].data, L * final[i].width);
    }
    for (size_t i = 0; i < 6 * L; i++)
        assert_true(fabs(m->static_prob[i] - 1 / (1 + exp(-extra(m, "static_conf_logits")->data[i]))) < 1e-6);
}

static void open_fixtures(fixtures *f) {
    gv_error err = {0};
    const char *noise = need_shared("reference/motion/float32_noise.json");
    f->noise = json_load_file(noise, 0, NULL);
    assert_non_null(f->noise);
    if (gv_network_open(&f->net, shared_path("reference/motion/tiny.ckpt"), 4, GV_PRECISION_F32, on_device(), &err))
        fail_msg("%s", err.text);
    if (gv_body_open(&f->body, shared_path("reference/motion/SMPLX_NEUTRAL.npz"), &err)) fail_msg("%s", err.text);
}

static void close_fixtures(fixtures *f) {
    json_decref(f->noise);
    gv_network_close(f->net);
    gv_body_close(f->body);
}

static void load_case(gv_observations *obs, const char *name) {
    char path[128];
    gv_error err = {0};
    snprintf(path, sizeof path, "reference/motion/in_%s.npz", name);
    if (gv_observations_load(obs, shared_path(path), &err)) fail_msg("%s", err.text);
}

static void recorded_cases(void **s) {
    (void)s;
    fixtures f = {0};
    open_fixtures(&f);
    for (int i = 0; i < CASES; i++) {
        gv_error err = {0};
        gv_observations obs;
        gv_npz *expected = NULL;
        char path[128];
        load_case(&obs, cases[i]);
        snprintf(path, sizeof path, "reference/motion/exp64_tiny_%s.npz", cases[i]);
        assert_int_equal(gv_npz_open(&expected, shared_path(path), &err), GV_OK);
        for (int fixed = 0; fixed < 2; fixed++) {
            gv_motion m;
            const gv_predict_options opt = {.static_camera = fixed, .verbose = true};
            if (gv_predict(&m, f.net, f.body, &obs, &opt, NULL, &err)) fail_msg("%s", err.text);
            check_stages(&f, expected, cases[i], &m);
            check_final(&f, expected, cases[i], fixed ? "st" : "mv", &m);
            gv_motion_free(&m);
        }
        gv_npz_close(expected);
        gv_observations_free(&obs);
    }
    close_fixtures(&f);
}

// The same bits with one thread and with two, for lengths with and without whole blocks of rows.
static void threads_do_not_matter(void **s) {
    (void)s;
    fixtures f = {0};
    open_fixtures(&f);
    int threads = omp_get_max_threads();
    for (int i = 0; i < CASES; i++) {
        gv_error err = {0};
        gv_observations obs;
        gv_motion m[2];
        load_case(&obs, cases[i]);
        for (int k = 0; k < 2; k++) {
            gv_network *net = NULL;
            omp_set_num_threads(k + 1);
            if (gv_network_open(&net, shared_path("reference/motion/tiny.ckpt"), 4, GV_PRECISION_F32, on_device(),
                                &err))
                fail_msg("%s", err.text);
            if (gv_predict(&m[k], net, f.body, &obs, &(gv_predict_options){.verbose = true}, NULL, &err))
                fail_msg("%s", err.text);
            gv_network_close(net);
        }
        size_t L = (size_t)obs.frames;
        for (int k = 0; k < m[0].extra_count; k++) {
            const gv_named_array *a = &m[0].extra[k];
            size_t count = 1;
            for (int d = 0; d < a->ndim; d++) count *= (size_t)a->shape[d];
            assert_memory_equal(a->data, m[1].extra[k].data, count * sizeof *a->data);
        }
        assert_memory_equal(m[0].body_pose, m[1].body_pose, L * 63 * sizeof(float));
        assert_memory_equal(m[0].transl, m[1].transl, L * 3 * sizeof(float));
        assert_memory_equal(m[0].joints_world, m[1].joints_world, L * 66 * sizeof(float));
        gv_motion_free(&m[0]);
        gv_motion_free(&m[1]);
        gv_observations_free(&obs);
    }
    omp_set_num_threads(threads);
    close_fixtures(&f);
}

// A checkpoint's tensors with the release's prefix in a Lightning file: the same network.
static void lightning_checkpoint_is_the_same_network(void **s) {
    (void)s;
    const char *model = need_shared("reference/motion/tiny_lightning.ckpt");
    fixtures f = {0};
    gv_error err = {0};
    gv_observations obs;
    gv_network *net = NULL;
    gv_motion a, b;
    open_fixtures(&f);
    load_case(&obs, "L30_static");
    if (gv_network_open(&net, model, 4, GV_PRECISION_F32, on_device(), &err)) fail_msg("%s", err.text);
    assert_int_equal(gv_predict(&a, f.net, f.body, &obs, &(gv_predict_options){0}, NULL, &err), GV_OK);
    assert_int_equal(gv_predict(&b, net, f.body, &obs, &(gv_predict_options){0}, NULL, &err), GV_OK);
    assert_memory_equal(a.body_pose, b.body_pose, (size_t)a.frames * 63 * sizeof(float));
    gv_motion_free(&a);
    gv_motion_free(&b);
    gv_network_close(net);
    gv_observations_free(&obs);
    close_fixtures(&f);
}

static void one_frame_works(void **s) { // the reference cannot do this: its list of camera motions is empty
    (void)s;
    fixtures f = {0};
    gv_error err = {0};
    gv_observations obs;
    open_fixtures(&f);
    load_case(&obs, "L30_static");
    obs.frames = obs.length = 1;
    for (int fixed = 0; fixed < 2; fixed++) {
        gv_motion m;
        if (gv_predict(&m, f.net, f.body, &obs, &(gv_predict_options){.static_camera = fixed}, NULL, &err))
            fail_msg("%s", err.text);
        assert_int_equal(m.frames, 1);
        double low = INFINITY;
        for (int j = 0; j < 22; j++) {
            assert_true(isfinite(m.joints_incam[3 * j + 2]));
            if (m.joints_world[3 * j + 1] < low) low = m.joints_world[3 * j + 1];
        }
        assert_true(fabs(low) < 0.05); // on the ground but for what foot locking changed: nothing in one frame
        gv_motion_free(&m);
    }
    gv_observations_free(&obs);
    close_fixtures(&f);
}

static void padded_clips_beyond_the_window_are_refused(void **s) {
    (void)s;
    fixtures f = {0};
    gv_error err = {0};
    gv_observations obs;
    gv_motion m;
    open_fixtures(&f);
    load_case(&obs, "L121_static");
    obs.length = 100;
    assert_int_equal(gv_predict(&m, f.net, f.body, &obs, &(gv_predict_options){0}, NULL, &err), GV_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "121 frames of which only 100 are valid"));
    gv_observations_free(&obs);
    close_fixtures(&f);
}

static void wrong_networks_are_named(void **s) {
    (void)s;
    const char *tiny = need_shared("reference/motion/tiny.ckpt");
    gv_network *net = NULL;
    gv_error err = {0};
    assert_int_not_equal(gv_network_open(&net, tiny, 5, GV_PRECISION_F32, on_device(), &err), GV_OK);
    assert_non_null(strstr(err.text, "width 64 cannot have 5 heads"));
    assert_null(net);
    assert_int_not_equal(gv_network_open(&net, "/nonexistent/x.ckpt", 0, GV_PRECISION_F32, on_device(), &err), GV_OK);
    assert_non_null(strstr(err.text, "/nonexistent/x.ckpt"));
    assert_null(net);
}

// Copies the tiny checkpoint to a safetensors file, without one tensor or with one of another shape.
static void write_damaged(const char *path, const char *leave_out, const char *reshape) {
    gv_tensors *t = NULL;
    gv_error err = {0};
    assert_int_equal(gv_tensors_open(&t, shared_path("reference/motion/tiny.ckpt"), &err), GV_OK);
    int n = gv_tensors_count(t), kept = 0;
    gv_tensor_view *views = calloc((size_t)n, sizeof *views);
    float **data = calloc((size_t)n, sizeof *data);
    for (int i = 0; i < n; i++) {
        const gv_tensor *x = gv_tensors_at(t, i);
        if (strstr(x->name, leave_out)) continue;
        gv_tensor_view *v = &views[kept];
        *v = (gv_tensor_view){.name = x->name, .ndim = x->ndim};
        memcpy(v->shape, x->shape, sizeof v->shape);
        v->data = data[kept] = gv_tensors_read_f32(t, x->name, x->shape, x->ndim, &err);
        if (strstr(x->name, reshape)) v->shape[0] /= 2;
        kept++;
    }
    if (gv_safetensors_write(path, views, kept, GV_F32, NULL, &err)) fail_msg("%s", err.text);
    for (int i = 0; i < kept; i++) free(data[i]);
    free(data);
    free(views);
    gv_tensors_close(t);
}

static void damaged_networks_say_which_tensor(void **s) {
    (void)s;
    need_shared("reference/motion/tiny.ckpt");
    char path[] = "/tmp/gvhmr-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    gv_network *net = NULL;
    gv_error err = {0};
    write_damaged(path, "blocks.1.attn.proj.bias", "nothing");
    assert_int_equal(gv_network_open(&net, path, 4, GV_PRECISION_F32, on_device(), &err), GV_ERR_MISSING);
    assert_non_null(strstr(err.text, "blocks.1.attn.proj.bias"));
    write_damaged(path, "nothing", "final_layer.fc1.weight");
    assert_int_not_equal(gv_network_open(&net, path, 4, GV_PRECISION_F32, on_device(), &err), GV_OK);
    assert_non_null(strstr(err.text, "final_layer.fc1.weight"));
    write_damaged(path, "embed_noisyobs", "nothing");
    assert_int_equal(gv_network_open(&net, path, 4, GV_PRECISION_F32, on_device(), &err), GV_ERR_MISSING);
    assert_non_null(strstr(err.text, "not a GVHMR motion network"));
    assert_null(net);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_cases),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(lightning_checkpoint_is_the_same_network),
        cmocka_unit_test(one_frame_works),
        cmocka_unit_test(padded_clips_beyond_the_window_are_refused),
        cmocka_unit_test(wrong_networks_are_named),
        cmocka_unit_test(damaged_networks_say_which_tensor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
