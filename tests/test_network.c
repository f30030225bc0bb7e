// The relative transformer: its table of weights against the released file's, and its forward pass.
#include "on_device.h"
#include "network/attention.h"
#include "network/inputs.h"
#include "network/network.h"
#include "pipeline/predict.h"

#include <jansson.h>
#include <math.h>
#include <omp.h>
#include <string.h>

static void weight_table_is_the_released_one(void **s) {
    (void)s;
    const char *path = need_shared("reference/motion/full_tensors.json");
    json_t *file = json_load_file(path, 0, NULL);
    assert_non_null(file);
    gv_weight_spec table[256];
    int n = gv_network_weight_table(table, 256, 512, 12, 1), i = 0;
    assert_int_equal(n, 247);
    assert_int_equal(json_object_size(file), n);
    int64_t parameters = 0;
    const char *key;
    json_t *shape;
    json_object_foreach(file, key, shape) { // jansson keeps the file's order
        assert_string_equal(key + strlen("pipeline.denoiser3d."), table[i].name);
        assert_int_equal(json_array_size(shape), table[i].ndim);
        int64_t count = 1;
        for (int d = 0; d < table[i].ndim; d++) {
            assert_int_equal(json_integer_value(json_array_get(shape, (size_t)d)), table[i].shape[d]);
            count *= table[i].shape[d];
        }
        parameters += count;
        i++;
    }
    assert_int_equal(parameters, 40852256);
    assert_int_equal(gv_network_weight_table(NULL, 0, 512, 12, 0), 243); // without the image embedder's four
    json_decref(file);
}

// The rotary angles are products of frame number and frequency rounded to float32 (SPEC.md 5.2).
static void check_rope(json_t *constants, const char *key, int head_dim) {
    enum { FRAMES = 5000 };
    json_t *frequency = json_object_get(constants, key);
    int half = head_dim / 2;
    assert_int_equal(json_array_size(frequency), half);
    float *cosine = malloc(sizeof(float) * FRAMES * (size_t)half),
          *sine = malloc(sizeof(float) * FRAMES * (size_t)half);
    gv_rope_table(cosine, sine, 0, FRAMES, head_dim);
    for (int t = 0; t < FRAMES; t += 7)
        for (int i = 0; i < half; i++) {
            float angle = (float)t * (float)json_real_value(json_array_get(frequency, (size_t)i));
            assert_true(fabs(cosine[half * t + i] - cos(angle)) < 1e-7);
            assert_true(fabs(sine[half * t + i] - sin(angle)) < 1e-7);
        }
    free(cosine);
    free(sine);
}

static void rotary_angles_are_rounded_as_in_the_reference(void **s) {
    (void)s;
    const char *path = need_shared("gvhmr_constants.json");
    json_t *constants = json_load_file(path, 0, NULL);
    assert_non_null(constants);
    check_rope(constants, "rope_inv_freq_head_dim_16", 16);
    check_rope(constants, "rope_inv_freq_head_dim_64", 64);
    json_decref(constants);
}

static void windows_hold_120_keys(void **s) {
    (void)s;
    int lo, count;
    for (int i = 0; i < 500; i++) {
        gv_attention_window(i, 500, 500, &lo, &count);
        assert_int_equal(count, 120);
        assert_int_equal(lo, i <= 60 ? 0 : i >= 440 ? 380 : i - 60);
    }
    gv_attention_window(3, 120, 120, &lo, &count);
    assert_true(lo == 0 && count == 120);
    gv_attention_window(90, 100, 80, &lo, &count); // padded: only valid keys, for padded queries too
    assert_true(lo == 0 && count == 80);
}

// One head, by the formula in double, for clips below, at and above the window.
static void attention_is_softmax_of_products(void **s) {
    (void)s;
    enum { D = 24, HEADS = 2, d = 12 };
    const int lengths[] = {1, 7, 120, 121, 200};
    for (int n = 0; n < 5; n++) {
        int L = lengths[n];
        float *qkv = malloc((size_t)L * 3 * D * sizeof *qkv), out[32 * D];
        const float *q = qkv, *k = q + L * D, *v = k + L * D;
        float *scratch = calloc(gv_attention_scratch(32, d), sizeof *scratch);
        for (int i = 0; i < L * 3 * D; i++) qkv[i] = (float)sin(i * 0.7 + i % 13);
        for (int first = 0; first < L; first += 32) {
            int last = first + 32 < L ? first + 32 : L;
            gv_attention_block(out, &(gv_attention_input){q, k, v, 0, L, L, HEADS, d, NULL}, first, last, scratch);
            for (int i = first; i < last; i++)
                for (int h = 0; h < HEADS; h++) {
                    int lo, count;
                    gv_attention_window(i, L, L, &lo, &count);
                    double p[120], total = 0;
                    for (int j = 0; j < count; j++) {
                        double dot = 0;
                        for (int c = 0; c < d; c++) dot += (double)q[i * D + h * d + c] * k[(lo + j) * D + h * d + c];
                        total += p[j] = exp(dot / sqrt(d));
                    }
                    for (int c = 0; c < d; c++) {
                        double mean = 0;
                        for (int j = 0; j < count; j++) mean += p[j] / total * v[(lo + j) * D + h * d + c];
                        assert_true(fabs(mean - out[(i - first) * D + h * d + c]) < 2e-6);
                    }
                }
        }
        free(qkv);
        free(scratch);
    }
}

static void observation_borders_are_inside(void **s) {
    (void)s;
    float kp[17 * 3] = {0}, obs[17 * 3], box[3] = {100, 200, 50};
    const float at[4][3] = {{75, 175, 0.9f}, {125, 225, 0.5f}, {74.9f, 200, 0.9f}, {100, 226, 0.9f}};
    memcpy(kp, at, sizeof at);
    gv_obs_from_keypoints(obs, kp, box, 1);
    assert_true(obs[0] == -1 && obs[1] == -1 && obs[2] == 0.9f && gv_obs_visible(obs));
    assert_true(obs[3] == 1 && obs[4] == 1 && obs[5] == 0.5f && !gv_obs_visible(obs + 3)); // 0.5 is invisible
    assert_true(obs[8] == 0 && obs[11] == 0 && obs[10] == 1.04f);                          // kept, not clamped
}

static void camera_motion_of_short_clips(void **s) {
    (void)s;
    const float turn[9] = {0, 0, 1, 0, 1, 0, -1, 0, 0}, still[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    float R[18], A[12];
    memcpy(R, still, sizeof still);
    memcpy(R + 9, turn, sizeof turn);
    gv_angvel_from_rotations(A, R, 2);
    assert_true(max_abs_diff(A, turn, 6) == 0 && max_abs_diff(A + 6, turn, 6) == 0); // the last repeats
    gv_angvel_from_rotations(A, turn, 1);
    assert_true(max_abs_diff(A, still, 6) == 0);
}

// A small network of random weights, as after initialisation.
static gv_network *random_network(int width, int layers, int threads) {
    gv_weight_spec table[256];
    float *weights[256];
    int n = gv_network_weight_table(table, 256, width, layers, 0);
    unsigned state = 12345;
    for (int i = 0; i < n; i++) {
        size_t count = 1;
        for (int k = 0; k < table[i].ndim; k++) count *= (size_t)table[i].shape[k];
        double scale = table[i].ndim == 2 ? 1 / sqrt((double)table[i].shape[1]) : 0.1;
        weights[i] = malloc(count * sizeof *weights[i]);
        for (size_t k = 0; k < count; k++) {
            state = state * 1664525u + 1013904223u;
            weights[i][k] = (float)(scale * ((double)(state >> 8) / (1 << 23) - 1));
        }
    }
    gv_network *net = NULL;
    gv_error err = {0};
    int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    if (gv_network_create(&net, (const float *const *)weights, width, layers, 0, 4, GV_PRECISION_F32, on_device(),
                          &err))
        fail_msg("%s", err.text);
    omp_set_num_threads(before);
    for (int i = 0; i < n; i++) free(weights[i]);
    return net;
}

typedef struct whole_output {
    float *pred_x, *pred_cam, *logits, *embed, *blocks, *context;
} whole_output;

static whole_output run_in_chunks(gv_network *net, int frames, int chunk) {
    size_t L = (size_t)frames, D = (size_t)gv_network_width(net), N = (size_t)gv_network_layers(net);
    float *obs = malloc(L * 51 * sizeof *obs), *cliff = malloc(L * 3 * sizeof *cliff),
          *angvel = malloc(L * 6 * sizeof *angvel);
    for (size_t i = 0; i < L * 51; i++)
        obs[i] = i % 3 == 2 ? 0.9f : (float)sin(0.37 * (double)i + 1e-5 * (double)(i * i % 997));
    for (size_t i = 0; i < L * 3; i++) cliff[i] = (float)(0.3 * sin(0.011 * (double)i));
    for (size_t t = 0; t < L; t++)
        memcpy(angvel + 6 * t, (float[6]){1, 0, (float)(0.01 * sin(0.02 * (double)t)), 0, 1, 0}, 6 * sizeof *angvel);
    whole_output o = {malloc(L * GV_PRED_X * 4), malloc(L * 12),        malloc(L * 24),
                      malloc(L * D * 4),         malloc(N * L * D * 4), malloc(L * D * 4)};
    gv_error err = {0};
    if (gv_network_set_chunk(net, chunk, &err) ||
        gv_network_run(
            net,
            &(gv_network_input){.frames = frames, .length = frames, .obs = obs, .cliff = cliff, .cam_angvel = angvel},
            &(gv_network_output){o.context, o.pred_x, o.pred_cam, o.logits, o.embed, o.blocks}, &err))
        fail_msg("%s", err.text);
    free(obs);
    free(cliff);
    free(angvel);
    return o;
}

static void free_output(whole_output *o) {
    float *all[] = {o->pred_x, o->pred_cam, o->logits, o->embed, o->blocks, o->context};
    for (int i = 0; i < 6; i++) free(all[i]);
}

// Three minutes (5400 frames): whatever the chunks, every stage is that of the whole, to float32 rounding.
static void chunks_give_the_whole(void **s) {
    (void)s;
    if (on_device()) skip(); // which has no chunks
    enum { WIDTH = 64, LAYERS = 3, LEAST = 60 * (LAYERS + 2) };
    const int lengths[] = {5400, 5401, 700, 481}, chunks[] = {0, 1000, LEAST + 1, LEAST};
    gv_network *net = random_network(WIDTH, LAYERS, 2), *three = random_network(WIDTH, LAYERS, 3);
    for (int n = 0; n < 4; n++) {
        size_t L = (size_t)lengths[n];
        whole_output a = run_in_chunks(net, lengths[n], 10000), b = run_in_chunks(net, lengths[n], chunks[n]),
                     c = run_in_chunks(three, lengths[n], chunks[n]);
        assert_true(max_abs_diff(a.embed, b.embed, L * WIDTH) < 1e-5);
        assert_true(max_abs_diff(a.blocks, b.blocks, L * WIDTH * LAYERS) < 1e-5);
        assert_true(max_abs_diff(a.context, b.context, L * WIDTH) < 1e-5);
        assert_true(max_abs_diff(a.pred_x, b.pred_x, L * GV_PRED_X) < 1e-5);
        assert_true(max_abs_diff(a.pred_cam, b.pred_cam, L * 3) < 1e-5);
        assert_true(max_abs_diff(a.logits, b.logits, L * 6) < 1e-5);
        assert_memory_equal(b.pred_x, c.pred_x, L * GV_PRED_X * 4); // and on any number of threads the same bits
        assert_memory_equal(b.logits, c.logits, L * 24);
        free_output(&a);
        free_output(&b);
        free_output(&c);
    }
    gv_error err = {0};
    assert_int_equal(gv_network_set_chunk(net, LEAST - 1, &err), GV_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "too short"));
    gv_network_close(net);
    gv_network_close(three);
}

// Three minutes of somebody who walks about, as gv_predict takes them.
static void make_observations(gv_observations *o, int frames) {
    gv_error err = {0};
    assert_int_equal(gv_observations_alloc(o, frames, &err), GV_OK);
    o->fps = 30;
    o->length = frames;
    for (int t = 0; t < frames; t++) {
        float x = 900 + 300 * (float)sin(0.01 * t), *box = o->bbx_xys + 3 * (size_t)t, *K = o->K + 9 * (size_t)t;
        memcpy(box, (float[3]){x, 540, 400 + 40 * (float)sin(0.007 * t)}, 3 * sizeof *box);
        memcpy(K, (float[9]){1500, 0, 960, 0, 1500, 540, 0, 0, 1}, 9 * sizeof *K);
        for (int j = 0; j < 17; j++) {
            float *k = o->kp2d + 3 * ((size_t)17 * t + j);
            k[0] = x + 120 * (float)sin(0.3 * j + 0.05 * t), k[1] = 400 + 18 * (float)j, k[2] = 0.9f;
        }
        o->time_sec[t] = t / 30.0;
    }
}

// The path in the world, which adds up over all frames, is that of the whole clip to a millimetre per metre walked.
static void the_path_is_that_of_the_whole(void **s) {
    (void)s;
    enum { FRAMES = 5400, WIDTH = 64, LAYERS = 3 };
    gv_network *net = random_network(WIDTH, LAYERS, 2);
    gv_body *body = NULL;
    gv_error err = {0};
    gv_observations o;
    gv_motion m[2];
    if (gv_body_open_skeleton(&body, NULL, &err)) fail_msg("%s", err.text);
    make_observations(&o, FRAMES);
    for (int moving = 0; moving < 2; moving++) {
        for (int i = 0; i < 2; i++) {
            const gv_predict_options opt = {.static_camera = !moving};
            assert_int_equal(gv_network_set_chunk(net, i ? 60 * (LAYERS + 2) : 10000, &err), GV_OK);
            if (gv_predict(&m[i], net, body, &o, &opt, NULL, &err)) fail_msg("%s", err.text);
        }
        double walked = 0, off = 0;
        for (int t = 1; t < FRAMES; t++) {
            const float *p = m[0].transl + 3 * t, *q = m[1].transl + 3 * t;
            walked += hypot((double)p[0] - (double)p[-3], (double)p[2] - (double)p[-1]);
            for (int i = 0; i < 3; i++) off = fmax(off, fabs((double)p[i] - (double)q[i]));
        }
        assert_true(walked > 1);
        if (!(off < 1e-3 * walked)) fail_msg("%.2f mm off after %.1f m", 1000 * off, walked);
        gv_motion_free(&m[0]);
        gv_motion_free(&m[1]);
    }
    gv_observations_free(&o);
    gv_body_close(body);
    gv_network_close(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotary_angles_are_rounded_as_in_the_reference),
        cmocka_unit_test(windows_hold_120_keys),
        cmocka_unit_test(attention_is_softmax_of_products),
        cmocka_unit_test(observation_borders_are_inside),
        cmocka_unit_test(camera_motion_of_short_clips),
        cmocka_unit_test(chunks_give_the_whole),
        cmocka_unit_test(the_path_is_that_of_the_whole),
        cmocka_unit_test(weight_table_is_the_released_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
