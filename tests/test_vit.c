// Crop, ViTPose and HMR2.0 against recorded results of the reference (SPEC-perception.md 8), and bad checkpoints.
#include "on_device.h"

#include "base/memory.h"
#include "formats/npz.h"
#include "perception/crop.h"
#include "perception/hmr2.h"
#include "perception/vit.h"
#include "perception/vitpose.h"
#include "video/video.h"

#include <omp.h>
#include <string.h>

enum { CROPS = 9, CROP = 3 * GV_CROP_ROWS * GV_CROP_COLUMNS, BYTES = GV_CROP_SIDE * GV_CROP_SIDE * 3 };
enum { MAP = 17 * GV_HEATMAP_ROWS * GV_HEATMAP_COLUMNS };

static gv_npz *open_record(const char *name) {
    char path[256];
    gv_npz *z = NULL;
    gv_error err = {0};
    snprintf(path, sizeof path, "reference/perception/%s.npz", name);
    need_shared(path);
    if (gv_npz_open(&z, shared_path(path), &err) != GV_OK) fail_msg("%s", err.text);
    return z;
}

static float *read_floats(gv_npz *z, const char *key) {
    gv_error err = {0};
    float *p = gv_npz_read_f32(z, key, NULL, -1, NULL, &err);
    if (!p) fail_msg("%s", err.text);
    return p;
}

// Largest difference over the largest expected value.
static double relative_error(const float *found, const float *expected, size_t n) {
    double scale = 0;
    for (size_t i = 0; i < n; i++) scale = fmax(scale, fabs((double)expected[i]));
    return max_abs_diff(found, expected, n) / scale;
}

// ---- crop

typedef struct picture {
    gv_video *video;
    gv_image image;
    uint8_t *half; // owned
} picture;

static picture open_picture(const char *name, bool half) {
    char path[256];
    picture p = {0};
    gv_error err = {0};
    gv_frame f;
    snprintf(path, sizeof path, "reference/perception/images/%s.png", name);
    need_shared(path);
    if (gv_video_open(&p.video, shared_path(path), NULL, &err) || gv_video_next(p.video, &f, &err))
        fail_msg("%s", err.text);
    assert_non_null(f.rgb);
    p.image = (gv_image){f.rgb, f.width, f.height, f.stride};
    if (!half) return p;
    int w = f.width / 2, h = f.height / 2; // means of 2x2, rounded
    p.half = malloc((size_t)3 * w * h);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < 3 * w; x++) {
            const uint8_t *a = f.rgb + (size_t)2 * y * f.stride + 6 * (x / 3) + x % 3, *b = a + f.stride;
            p.half[(size_t)3 * w * y + x] = (uint8_t)((a[0] + a[3] + b[0] + b[3] + 2) / 4);
        }
    p.image = (gv_image){p.half, w, h, 3 * w};
    return p;
}

static void close_picture(picture *p) {
    gv_video_close(p->video);
    free(p->half);
}

static void test_crop(void **state) {
    (void)state;
    gv_npz *z = open_record("preproc");
    gv_error err = {0};
    int64_t count = 0;
    char **names = gv_npz_read_strings(z, "names", &count, &err), **how = gv_npz_read_strings(z, "how", &count, &err);
    float *boxes = read_floats(z, "boxes"), *crop = read_floats(z, "crop");
    assert_int_equal(count, CROPS);
    uint8_t *bytes = malloc(BYTES);
    for (int i = 0; i < CROPS; i++) {
        bool half = !strcmp(how[i], "half");
        picture p = open_picture(names[i], half);
        gv_crop_bytes(bytes, &p.image, boxes + 3 * i, half ? 0.5f : 1);
        close_picture(&p);
        int different = 0, worst = 0;
        for (int k = 0; k < BYTES; k++) {
            int d = abs((int)bytes[k] - (int)crop[(size_t)i * BYTES + k]);
            different += d > 0;
            worst = d > worst ? d : worst;
        }
        if (different) fail_msg("crop %d: %d of %d bytes differ, by up to %d", i, different, BYTES, worst);
    }
    float *norm = read_floats(z, "norm0"), *own = malloc(CROP * sizeof *own);
    for (int k = 0; k < BYTES; k++) bytes[k] = (uint8_t)crop[k];
    gv_crop_normalise(own, bytes);
    for (int r = 0; r < 3 * GV_CROP_ROWS; r++)
        assert_true(max_abs_diff(own + r * GV_CROP_COLUMNS, norm + r * GV_CROP_SIDE + GV_CROP_LEFT, GV_CROP_COLUMNS) <
                    1e-6);
    free(bytes), free(norm), free(own), free(boxes), free(crop), free(names), free(how);
    gv_npz_close(z);
}

// A box far outside of the frame, or of no size, must not read beyond it.
static void test_crop_outside(void **state) {
    (void)state;
    uint8_t frame[4 * 4 * 3], *bytes = malloc(BYTES);
    memset(frame, 200, sizeof frame);
    const gv_image image = {frame, 4, 4, 12};
    const float boxes[][3] = {{1e9f, -1e9f, 10}, {1.5f, 1.5f, 0}, {1.5f, 1.5f, 1e30f}, {-3e38f, 2, 3}, {2, 2, 900}};
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++) gv_crop_bytes(bytes, &image, boxes[i], 1);
    gv_crop_bytes(bytes, &image, boxes[0], 1);
    for (int k = 0; k < BYTES; k++) assert_int_equal(bytes[k], 0);
    free(bytes);
}

// The recorded crops with these indices, normalised: [n, 3, 256, 192].
static float *recorded_crops(const int32_t *index, int n) {
    gv_npz *z = open_record("preproc");
    float *crop = read_floats(z, "crop"), *out = gv_calloc2((size_t)n, CROP * sizeof *out);
    uint8_t *bytes = malloc(BYTES);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < BYTES; k++) bytes[k] = (uint8_t)crop[(size_t)index[i] * BYTES + k];
        gv_crop_normalise(out + (size_t)i * CROP, bytes);
    }
    free(bytes), free(crop);
    gv_npz_close(z);
    return out;
}

static float *crops_of(gv_npz *z, int n) {
    gv_error err = {0};
    int32_t *index = gv_npz_read_i32(z, "crop_index", (int64_t[]){n}, 1, NULL, &err);
    if (!index) fail_msg("%s", err.text);
    float *crops = recorded_crops(index, n);
    free(index);
    return crops;
}

// ---- ViTPose

static gv_vitpose *open_vitpose(const char *name, gv_precision precision) {
    gv_error err = {0};
    gv_vitpose *v = NULL;
    char path[256];
    snprintf(path, sizeof path, "reference/perception/ckpt/%s", name);
    need_shared(path);
    if (gv_vitpose_open(&v, shared_path(path), precision, on_device(), &err)) fail_msg("%s", err.text);
    return v;
}

static void check_vitpose(const char *checkpoint) {
    gv_npz *z = open_record("vitpose-tiny");
    gv_error err = {0};
    float *crops = crops_of(z, 3), *boxes = read_floats(z, "boxes"), *maps = malloc(3 * MAP * sizeof *maps), kp[3 * 51];
    float *plain = read_floats(z, "heatmap_plain"), *both = read_floats(z, "heatmap"),
          *points = read_floats(z, "keypoints");
    gv_vitpose *v = open_vitpose(checkpoint, GV_PRECISION_F32);
    assert_int_equal(gv_vitpose_width(v), 128);
    assert_int_equal(gv_vitpose_depth(v), 2);
    assert_int_equal(gv_vitpose_heatmaps(v, crops, 3, false, maps, &err), GV_OK);
    assert_true(relative_error(maps, plain, 3 * MAP) < 1e-5);
    assert_int_equal(gv_vitpose_heatmaps(v, crops, 3, true, maps, &err), GV_OK);
    assert_true(relative_error(maps, both, 3 * MAP) < 1e-5);
    assert_int_equal(gv_vitpose_run(v, &(gv_crops){.numbers = crops}, boxes, 3, true, kp, &err), GV_OK);
    for (int i = 0; i < 51; i++)
        for (int k = 0; k < 3; k++)
            if (points[3 * i + 2] > 0 && fabsf(kp[3 * i + k] - points[3 * i + k]) > 0.02f)
                fail_msg("joint %d of crop %d: %g, expected %g", i % 17, i / 17, kp[3 * i + k], points[3 * i + k]);
    gv_vitpose_close(v);
    free(crops), free(boxes), free(maps), free(plain), free(both), free(points);
    gv_npz_close(z);
}

static void test_vitpose(void **state) {
    (void)state;
    check_vitpose("vitpose-tiny.pth");
    check_vitpose("vitpose-tiny.legacy.pth");
}

static bool has_bf16(void) {
    gv_nn *nn = NULL;
    gv_error err = {0};
    assert_int_equal(gv_nn_create(&nn, 1, on_device(), &err), GV_OK);
    bool has = gv_nn_has_bf16(nn);
    gv_nn_destroy(nn);
    return has;
}

// The same bits with one thread, two and five, and for a picture alone as among others.
static void check_threads(gv_precision precision) {
    enum { N = 3, W = 64 };
    static const int threads[] = {2, 1, 5, 2};
    gv_npz *z = open_record("vitpose-tiny");
    gv_error err = {0};
    char *path = strdup(need_shared("reference/perception/ckpt/hmr2-tiny.ckpt")); // its place is used again
    float *crops = crops_of(z, N), *maps[4], tokens[4][N * W];
    for (int k = 0; k < 4; k++) {
        maps[k] = malloc(N * MAP * sizeof **maps);
        omp_set_num_threads(threads[k]);
        gv_vitpose *v = open_vitpose("vitpose-tiny.pth", precision);
        gv_hmr2 *h = NULL;
        assert_int_equal(gv_hmr2_open(&h, path, precision, on_device(), &err), GV_OK);
        int step = k == 3 ? 1 : N;
        for (int i = 0; i < N; i += step) {
            assert_int_equal(gv_vitpose_heatmaps(v, crops + i * CROP, step, true, maps[k] + i * MAP, &err), GV_OK);
            assert_int_equal(gv_hmr2_run(h, &(gv_crops){.numbers = crops + i * CROP}, step, tokens[k] + i * W, &err),
                             GV_OK);
        }
        gv_vitpose_close(v);
        gv_hmr2_close(h);
    }
    omp_set_num_threads(2);
    for (int k = 1; k < 4; k++) {
        assert_memory_equal(maps[0], maps[k], N * MAP * sizeof **maps);
        assert_memory_equal(tokens[0], tokens[k], sizeof tokens[0]);
    }
    for (int k = 0; k < 4; k++) free(maps[k]);
    free(crops), free(path);
    gv_npz_close(z);
}

static void test_threads(void **state) {
    (void)state;
    if (on_device()) skip(); // threads are the processor's
    check_threads(GV_PRECISION_F32);
    if (has_bf16()) check_threads(GV_PRECISION_BF16);
}

static void test_vitpose_bf16(void **state) {
    (void)state;
    if (!has_bf16()) skip();
    gv_npz *z = open_record("vitpose-tiny");
    gv_error err = {0};
    float *crops = crops_of(z, 3), *both = read_floats(z, "heatmap"), *maps = malloc(3 * MAP * sizeof *maps);
    gv_vitpose *v = open_vitpose("vitpose-tiny.pth", GV_PRECISION_BF16);
    assert_int_equal(gv_vitpose_heatmaps(v, crops, 3, true, maps, &err), GV_OK);
    double error = relative_error(maps, both, 3 * MAP);
    print_message("bfloat16: heatmaps off by %.2g\n", error);
    assert_true(error < 2e-2 && error > 1e-6); // bfloat16 has 8 bits; 0 would mean that float32 was used
    gv_vitpose_close(v);
    free(crops), free(both), free(maps);
    gv_npz_close(z);
}

// Tokens on the way through the backbone.
static void test_backbone(void **state) {
    (void)state;
    enum { D = 128, N = GV_VIT_TOKENS * D };
    gv_npz *z = open_record("vitpose-tiny");
    gv_error err = {0};
    float *crops = crops_of(z, 3), *embed = read_floats(z, "mid_patch_embed"), *row = malloc(N * sizeof *row);
    float *expected[] = {read_floats(z, "mid_block0_attn"), read_floats(z, "mid_block0"),
                         read_floats(z, "mid_last_norm")};
    float *found[4];
    for (int k = 0; k < 4; k++) found[k] = gv_calloc2(N, sizeof **found);
    gv_checkpoint *c = NULL;
    gv_nn *nn = NULL;
    gv_vit *v = NULL;
    const char *path = need_shared("reference/perception/ckpt/vitpose-tiny.pth");
    assert_int_equal(gv_checkpoint_open(&c, path, "ViTPose", "backbone.pos_embed", &err), GV_OK);
    assert_int_equal(gv_nn_create(&nn, 2, on_device(), &err), GV_OK);
    if (gv_vit_create(&v, nn, c, GV_PRECISION_F32, &err)) fail_msg("%s", err.text);
    const float *position = gv_checkpoint_take(c, (int64_t[]){1, 193, D}, 3, "backbone.pos_embed");
    const gv_vit_trace trace = {found[0], found[1], found[2]};
    assert_int_equal(gv_vit_run(v, (const float *[]){crops}, NULL, 1, found[3], &trace, &err), GV_OK);
    for (int t = 0; t < GV_VIT_TOKENS; t++) // the record is before the position is added, channel by channel
        for (int k = 0; k < D; k++)
            row[t * D + k] = embed[k * GV_VIT_TOKENS + t] + position[(1 + t) * D + k] + position[k];
    assert_true(relative_error(found[0], row, N) < 1e-5);
    for (int k = 0; k < 3; k++) assert_true(relative_error(found[1 + k], expected[k], N) < 1e-5);
    for (int k = 0; k < 4; k++) free(found[k]);
    for (int k = 0; k < 3; k++) free(expected[k]);
    gv_vit_destroy(v);
    gv_nn_destroy(nn);
    gv_checkpoint_close(c);
    free(crops), free(embed), free(row);
    gv_npz_close(z);
}

static void test_decode(void **state) {
    (void)state;
    gv_npz *z = open_record("decode");
    gv_error err = {0};
    float *maps = read_floats(z, "heatmap"), *boxes = read_floats(z, "boxes"), *expected = read_floats(z, "keypoints");
    int32_t *defined = gv_npz_read_i32(z, "defined", (int64_t[]){2, 17}, 2, NULL, &err);
    int compared = 0;
    for (int i = 0; i < 2; i++) {
        float kp[51], tolerance = 1e-3f * boxes[3 * i + 2] / 63;
        gv_vitpose_decode(kp, maps + (size_t)i * MAP, boxes + 3 * i);
        for (int j = 0; j < 17; j++) {
            const float *e = expected + 51 * i + 3 * j;
            assert_true(isfinite(kp[3 * j]) && isfinite(kp[3 * j + 1]));
            if (!defined[17 * i + j]) continue;
            compared++;
            for (int k = 0; k < 2; k++)
                if (!(fabsf(kp[3 * j + k] - e[k]) < tolerance))
                    fail_msg("map %d of %d: %g, expected %g", j, i, kp[3 * j + k], e[k]);
            assert_float_equal(kp[3 * j + 2], e[2], 1e-6);
        }
    }
    assert_true(compared > 20);
    free(maps), free(boxes), free(expected), free(defined);
    gv_npz_close(z);
}

// ---- HMR2.0

static void check_hmr2(gv_precision precision, double tolerance) {
    enum { N = 4, W = 64 };
    gv_npz *z = open_record("hmr2-tiny");
    gv_error err = {0};
    float *crops = crops_of(z, N), *expected = read_floats(z, "token"), found[N * W];
    const char *path = need_shared("reference/perception/ckpt/hmr2-tiny.ckpt");
    gv_hmr2 *h = NULL;
    if (gv_hmr2_open(&h, path, precision, on_device(), &err)) fail_msg("%s", err.text);
    assert_int_equal(gv_hmr2_token_width(h), W);
    assert_int_equal(gv_hmr2_width(h), 96);
    assert_int_equal(gv_hmr2_depth(h), 2);
    for (int n = N; n > 0; n -= 3) { // all at once, and one alone
        memset(found, 0, sizeof found);
        assert_int_equal(gv_hmr2_run(h, &(gv_crops){.numbers = crops}, n, found, &err), GV_OK);
        assert_true(relative_error(found, expected, (size_t)n * W) < tolerance);
        for (int i = 0; i < n; i++) {
            double ab = 0, aa = 0, bb = 0;
            for (int k = i * W; k < (i + 1) * W; k++)
                ab += found[k] * expected[k], aa += found[k] * found[k], bb += expected[k] * expected[k];
            assert_true(ab / sqrt(aa * bb) > 0.9995);
        }
    }
    gv_hmr2_close(h);
    free(crops), free(expected);
    gv_npz_close(z);
}

static void test_hmr2(void **state) {
    (void)state;
    check_hmr2(GV_PRECISION_F32, 1e-5);
}

static void test_hmr2_bf16(void **state) {
    (void)state;
    if (!has_bf16()) skip();
    check_hmr2(GV_PRECISION_BF16, 2e-2);
}

// ---- bad checkpoints

static void expect_refusal(gv_status (*open)(const char *path, gv_error *err), const char *path, const char *words[3]) {
    gv_error err = {0};
    assert_int_not_equal(open(path, &err), GV_OK);
    for (int i = 0; i < 3 && words[i]; i++)
        if (!strstr(err.text, words[i])) fail_msg("\"%s\" does not say \"%s\"", err.text, words[i]);
}

static gv_status try_vitpose(const char *path, gv_error *err) {
    gv_vitpose *v = NULL;
    gv_status s = gv_vitpose_open(&v, path, GV_PRECISION_F32, on_device(), err);
    gv_vitpose_close(v);
    return s;
}

static gv_status try_hmr2(const char *path, gv_error *err) {
    gv_hmr2 *h = NULL;
    gv_status s = gv_hmr2_open(&h, path, GV_PRECISION_F32, on_device(), err);
    gv_hmr2_close(h);
    return s;
}

static void test_wrong_network(void **state) {
    (void)state;
    const char *pose = need_shared("reference/perception/ckpt/vitpose-tiny.pth");
    const char *hmr2 = need_shared("reference/perception/ckpt/hmr2-tiny.ckpt");
    const char *yolo = need_shared("reference/perception/ckpt/yolov8n.pt");
    const char *motion = need_shared("reference/motion/tiny.ckpt");
    expect_refusal(try_vitpose, hmr2, (const char *[3]){"is an HMR2.0 checkpoint", "expected one of ViTPose"});
    expect_refusal(try_vitpose, yolo, (const char *[3]){"is a YOLO checkpoint", "expected one of ViTPose"});
    expect_refusal(try_vitpose, motion, (const char *[3]){"is a GVHMR motion network", "expected one of ViTPose"});
    expect_refusal(try_hmr2, pose, (const char *[3]){"is a ViTPose checkpoint", "expected one of HMR2.0"});
    expect_refusal(try_hmr2, "/nonexistent/file", (const char *[3]){"cannot open"});
}

// ---- copies of the small checkpoint with something wrong

typedef struct copy {
    gv_tensor_view views[64];
    int count;
} copy;

// The tensors of a file as float32, counters left out.
static copy read_copy(const char *path) {
    copy c = {0};
    gv_tensors *w = NULL;
    gv_error err = {0};
    if (gv_tensors_open(&w, path, &err)) fail_msg("%s", err.text);
    for (int i = 0; i < gv_tensors_count(w); i++) {
        const gv_tensor *t = gv_tensors_at(w, i);
        if (t->dtype != GV_F32) continue;
        assert_true(c.count < 64);
        gv_tensor_view *v = &c.views[c.count++];
        *v = (gv_tensor_view){.name = strdup(t->name), .ndim = t->ndim};
        memcpy(v->shape, t->shape, sizeof v->shape);
        v->data = gv_tensors_read_f32(w, t->name, NULL, -1, &err);
        assert_non_null(v->data);
    }
    gv_tensors_close(w);
    return c;
}

static gv_tensor_view *view_of(copy *c, const char *name) {
    for (int i = 0; i < c->count; i++)
        if (!strcmp(c->views[i].name, name)) return &c->views[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static void free_copy(copy *c) {
    for (int i = 0; i < c->count; i++) free((char *)c->views[i].name), free((float *)c->views[i].data);
}

static void write_copy(const copy *c, const char *path, gv_dtype dtype) {
    gv_error err = {0};
    if (gv_safetensors_write(path, c->views, c->count, dtype, NULL, &err)) fail_msg("%s", err.text);
}

static void test_bad_weights(void **state) {
    (void)state;
    const char *fc1 = "backbone.blocks.1.mlp.fc1.weight", *variance = "keypoint_head.deconv_layers.4.running_var";
    char path[] = "/tmp/gv_test_vit_XXXXXX";
    assert_int_not_equal(close(mkstemp(path)), -1);
    copy c = read_copy(need_shared("reference/perception/ckpt/vitpose-tiny.pth"));
    write_copy(&c, path, GV_F32);
    gv_error err = {0};
    if (try_vitpose(path, &err)) fail_msg("%s", err.text); // nothing is wrong yet
    write_copy(&c, path, GV_F16);
    expect_refusal(try_vitpose, path, (const char *[3]){"is float16", "expected float32", path});
    gv_tensor_view *v = view_of(&c, fc1);
    float *value = (float *)v->data + 12345, kept = *value;
    *value = NAN;
    write_copy(&c, path, GV_F32);
    expect_refusal(try_vitpose, path, (const char *[3]){fc1, "nan at element 12345", "expected finite"});
    *value = -INFINITY;
    write_copy(&c, path, GV_F32);
    expect_refusal(try_vitpose, path, (const char *[3]){fc1, "inf at element 12345", "expected finite"});
    *value = kept;
    v->shape[0] = 256, v->shape[1] = 256;
    write_copy(&c, path, GV_F32);
    expect_refusal(try_vitpose, path, (const char *[3]){fc1, "is [256, 256]", "expected [512, 128]"});
    v->shape[0] = 512, v->shape[1] = 128;
    value = (float *)view_of(&c, variance)->data, kept = *value;
    *value = -1;
    write_copy(&c, path, GV_F32);
    expect_refusal(try_vitpose, path, (const char *[3]){variance, "holds -1"});
    *value = kept;
    v = view_of(&c, "backbone.pos_embed");
    v->shape[1] = 96 + 1, v->shape[2] = 128;
    write_copy(&c, path, GV_F32);
    expect_refusal(try_vitpose, path, (const char *[3]){"pos_embed", "is [1, 97, 128]", "expected [1, 193, 128]"});
    v->shape[1] = 193;
    strcpy((char *)view_of(&c, "backbone.last_norm.bias")->name, "gone");
    write_copy(&c, path, GV_F32);
    expect_refusal(try_vitpose, path, (const char *[3]){"has no tensor \"backbone.last_norm.bias\""});
    free_copy(&c);
    unlink(path);
}

// Cut short anywhere, a checkpoint is refused.
static void test_truncated(void **state) {
    (void)state;
    const char *names[] = {"vitpose-tiny.pth", "vitpose-tiny.legacy.pth", "hmr2-tiny.ckpt"};
    char path[] = "/tmp/gv_test_vit_XXXXXX", from[256];
    assert_int_not_equal(close(mkstemp(path)), -1);
    for (int i = 0; i < 3; i++) {
        snprintf(from, sizeof from, "reference/perception/ckpt/%s", names[i]);
        FILE *f = fopen(need_shared(from), "rb");
        fseek(f, 0, SEEK_END);
        long size = ftell(f);
        char *bytes = malloc((size_t)size);
        rewind(f);
        assert_int_equal(fread(bytes, 1, (size_t)size, f), size);
        fclose(f);
        for (int part = 1; part < 8; part++) {
            FILE *to = fopen(path, "wb");
            assert_int_equal(fwrite(bytes, 1, (size_t)(size / 8 * part), to), size / 8 * part);
            fclose(to);
            expect_refusal(i < 2 ? try_vitpose : try_hmr2, path, (const char *[3]){path});
        }
        free(bytes);
    }
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crop),      cmocka_unit_test(test_crop_outside), cmocka_unit_test(test_backbone),
        cmocka_unit_test(test_vitpose),   cmocka_unit_test(test_threads),      cmocka_unit_test(test_vitpose_bf16),
        cmocka_unit_test(test_decode),    cmocka_unit_test(test_hmr2),         cmocka_unit_test(test_bad_weights),
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_hmr2_bf16),    cmocka_unit_test(test_wrong_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
