// BlazePose against what the reference executor and MediaPipe give (SPEC-perception 7 and 8).
#include "picture.h"

#include "base/file.h"
#include "formats/npz.h"
#include "formats/tflite.h"
#include "nn/convnet.h"
#include "perception/blaze_mirror.h"
#include "perception/blazepose.h"
#include <omp.h>
#include <stdbool.h>
#include <string.h>

static const char *const model_name[3] = {"lite", "full", "heavy"};

static bool models_present(void) {
    gv_error err = {0};
    char *path = gv_resource_find("pose_solution_packed_assets.data", &err);
    free(path);
    if (!path) printf("skipped: %s\n", err.text);
    return path != NULL;
}

#define need_models()                                                                                                  \
    do {                                                                                                               \
        if (!models_present()) skip();                                                                                 \
    } while (0)

static gv_npz *open_npz(const char *path) {
    gv_npz *z = NULL;
    gv_error err = {0};
    ok(gv_npz_open(&z, path, &err), &err);
    return z;
}

static float *read_f32(gv_npz *z, const char *name, int64_t count) {
    gv_error err = {0};
    const gv_array *a = gv_npz_find(z, name);
    float *p = gv_npz_read_f32(z, name, NULL, -1, NULL, &err);
    if (!p || !a || (count && a->count != count)) fail_msg("%s: %s", name, p ? "unexpected size" : err.text);
    return p;
}

// ---- Raw network outputs ----------------------------------------------------------------------------

static gv_convnet *open_net(const char *file, const int *outputs, int n, int workers) {
    gv_error err = {0};
    gv_tflite *g = NULL;
    gv_convnet *net = NULL;
    char *path = gv_resource_find(file, &err);
    assert_non_null(path);
    ok(gv_tflite_open(&g, path, &err), &err);
    ok(gv_convnet_create(&net, g, outputs, n, workers, &err), &err);
    gv_tflite_close(g);
    free(path);
    return net;
}

// Compares output o of a worker with one row of an array of the archive, relative to the array's range.
static void compare_output(gv_convnet *net, int worker, int o, gv_npz *z, const char *name, int row) {
    const gv_array *a = gv_npz_find(z, name);
    assert_non_null(a);
    int64_t n = gv_convnet_output_count(net, o), rows = a->shape[0];
    if (row >= rows) return;
    float *expected = read_f32(z, name, rows * n);
    double range = 0;
    for (int64_t i = 0; i < rows * n; i++) range = fmax(range, fabs((double)expected[i]));
    double e = max_abs_diff(expected + row * n, gv_convnet_output(net, worker, o), (size_t)n) / range;
    if (!(e < 1e-5)) fail_msg("%s, image %d: relative error %g", name, row, e);
    free(expected);
}

// Float32 noise of the reference itself is 3e-6 to 2e-5 of the range (noise.json). Workers take turns, and
// the results of one are looked at after the next has run: they must not share memory.
static void check_net(const char *file, const int *outputs, int n, const char *npz, const char *const *names,
                      float lo) {
    enum { IMAGES = 5, WORKERS = 2 };
    gv_npz *z = open_npz(npz);
    gv_convnet *net = open_net(file, outputs, n, WORKERS);
    gv_error err = {0};
    const int *shape = gv_convnet_input_shape(net);
    int64_t size = (int64_t)shape[0] * shape[1] * shape[2];
    float *input = read_f32(z, "input", IMAGES * size);
    for (int i = 0; i <= IMAGES; i++) {
        float *in = gv_convnet_input(net, i % WORKERS);
        for (int64_t k = 0; i < IMAGES && k < size; k++) in[k] = input[i * size + k] / 255 * (1 - lo) + lo;
        if (i < IMAGES) ok(gv_convnet_run(net, i % WORKERS, &err), &err);
        for (int o = 0; o < n && i > 0; o++) compare_output(net, (i - 1) % WORKERS, o, z, names[o], i - 1);
    }
    free(input);
    gv_convnet_destroy(net);
    gv_npz_close(z);
}

static void test_detector_network(void **state) {
    (void)state;
    need_models();
    const char *npz = need_shared("reference/perception/blaze-detector.npz");
    check_net("pose_solution_packed_assets.data", (int[]){0, 1}, 2, npz, (const char *[]){"Identity", "Identity_1"},
              -1);
}

static void check_landmark_net(int m) {
    need_models();
    const char *npz = need_shared("reference/perception/blaze-landmarks.npz");
    char file[64], names[4][32];
    snprintf(file, sizeof file, "pose_landmark_%s.tflite", model_name[m]);
    const int outputs[4] = {0, 1, 3, 4};
    for (int o = 0; o < 4; o++)
        snprintf(names[o], sizeof names[o], outputs[o] ? "%s_Identity_%d" : "%s_Identity", model_name[m], outputs[o]);
    check_net(file, outputs, 4, npz, (const char *[]){names[0], names[1], names[2], names[3]}, 0);
}

static void test_lite_network(void **state) {
    (void)state, check_landmark_net(0);
}
static void test_full_network(void **state) {
    (void)state, check_landmark_net(1);
}
static void test_heavy_network(void **state) {
    (void)state, check_landmark_net(2);
}

// The mask branch, which nothing else asks for, and one output alone: other paths through the same graph.
static void test_other_outputs(void **state) {
    (void)state;
    need_models();
    gv_npz *z = open_npz(need_shared("reference/perception/blaze-landmarks.npz"));
    gv_convnet *net = open_net("pose_landmark_lite.tflite", (int[]){2}, 1, 1);
    gv_error err = {0};
    float *input = read_f32(z, "input", 5 * 256 * 256 * 3),
          *expected = read_f32(z, "lite_Identity_2_every8", 5 * 32 * 32);
    for (int i = 0; i < 256 * 256 * 3; i++) gv_convnet_input(net, 0)[i] = input[i] / 255;
    ok(gv_convnet_run(net, 0, &err), &err);
    assert_int_equal(gv_convnet_output_count(net, 0), 256 * 256);
    double worst = 0, range = 0;
    for (int y = 0; y < 32; y++)
        for (int x = 0; x < 32; x++) {
            float e = expected[y * 32 + x];
            worst = fmax(worst, fabs((double)gv_convnet_output(net, 0, 0)[y * 8 * 256 + x * 8] - e));
            range = fmax(range, fabs((double)e));
        }
    assert_true(worst < 1e-5 * range);
    free(input), free(expected);
    gv_convnet_destroy(net);
    gv_npz_close(z);
}

// ---- Pictures ---------------------------------------------------------------------------------------

// Largest difference of points (x, y, z in units of the image width and height) in px.
static double point_error(const gv_landmarks *l, const float *expected, int points, int width, int height, bool depth) {
    double worst = 0;
    for (int k = 0; k < points; k++) {
        const float *e = expected + 5 * k, *p = l->point[k];
        worst = fmax(worst, fabs(p[0] - (double)e[0] * width));
        worst = fmax(worst, fabs(p[1] - (double)e[1] * height));
        if (depth) worst = fmax(worst, fabs(p[2] - (double)e[2] * width));
        assert_true(isfinite(p[0]) && isfinite(p[1]) && isfinite(p[2]));
    }
    return worst;
}

static double logit_error(const gv_landmarks *l, const float *expected, int points) {
    double worst = 0;
    for (int k = 0; k < points; k++)
        for (int c = 3; c < 5; c++) worst = fmax(worst, fabs((double)l->point[k][c] - expected[5 * k + c]));
    return worst;
}

static double world_error(const gv_landmarks *l, const float *expected) {
    double worst = 0;
    for (int k = 0; k < GV_BLAZE_POINTS; k++)
        for (int c = 0; c < 3; c++) worst = fmax(worst, fabs((double)l->world[k][c] - expected[5 * k + c]));
    return worst;
}

static double region_error(const gv_region *r, const float *e, int width, int height) {
    double worst = fmax(fabs(r->cx - (double)e[0] * width), fabs(r->cy - (double)e[1] * height));
    worst = fmax(worst, fmax(fabs(r->width - (double)e[2] * width), fabs(r->height - (double)e[3] * height)));
    return fmax(worst, fabs((double)r->angle - e[4]) * r->width);
}

// e [13]: score, box, keypoints, as fractions of the image.
static void check_detection(const gv_detection *d, const float *e, int width, int height) {
    const float *point = d->keypoint[0], *box = &d->x0;
    assert_true(fabs((double)d->score - e[0]) < 1e-4);
    for (int k = 0; k < 4; k++) assert_true(fabs(box[k] - (double)e[1 + k] * (k % 2 ? height : width)) < 0.02);
    for (int k = 0; k < 8; k++) assert_true(fabs(point[k] - (double)e[5 + k] * (k % 2 ? height : width)) < 0.02);
}

static void check_landmarks(gv_npz *z, const gv_landmarks *l, int m, const char *image, int width, int height) {
    char name[64];
    snprintf(name, sizeof name, "%s_score_%s", model_name[m], image);
    float *score = read_f32(z, name, 1);
    snprintf(name, sizeof name, "%s_landmarks_%s", model_name[m], image);
    float *points = read_f32(z, name, 35 * 5);
    snprintf(name, sizeof name, "%s_world_%s", model_name[m], image);
    float *world = read_f32(z, name, 33 * 5);
    double p = point_error(l, points, 35, width, height, true), w = world_error(l, world);
    printf("%s %s: points %.5f px, world %.2g m\n", model_name[m], image, p, w);
    assert_true(fabs((double)l->presence - *score) < 1e-5);
    assert_true(p < 0.05);
    assert_true(w < 1e-4);
    assert_true(logit_error(l, points, 35) < 1e-4);
    free(score), free(points), free(world);
}

static void test_pictures(void **state) {
    (void)state;
    static const char *const images[] = {"tennis000", "tennis120", "messi5"};
    need_models();
    gv_npz *z = open_npz(need_shared("reference/perception/blaze-pipeline.npz"));
    gv_error err = {0};
    for (int m = 0; m < 3; m++) {
        gv_blazepose *p = NULL;
        ok(gv_blazepose_open(&p, (gv_blaze_model)m, NULL, &err), &err);
        for (int i = 0; i < 3; i++) {
            picture pic = open_picture(images[i]);
            int w = pic.image.width, h = pic.image.height, n;
            gv_detection d[8];
            gv_landmarks l;
            char name[64];
            ok(gv_blazepose_detect(p, &pic.image, 0, 0, (float)w, (float)h, 0.5f, 0.3f, d, 8, &n, &err), &err);
            snprintf(name, sizeof name, "detections_%s", images[i]);
            float *expected = read_f32(z, name, 13);
            assert_int_equal(n, 1);
            check_detection(&d[0], expected, w, h);
            gv_region r = gv_blaze_region_of_detection(&d[0]);
            snprintf(name, sizeof name, "roi_%s", images[i]);
            float *roi = read_f32(z, name, 5);
            assert_true(region_error(&r, roi, w, h) < 0.02);
            ok(gv_blazepose_landmarks(p, &pic.image, &r, 1, &l, &err), &err);
            check_landmarks(z, &l, m, images[i], w, h);
            free(expected), free(roi);
            gv_video_close(pic.video);
        }
        gv_blazepose_close(p);
    }
    gv_npz_close(z);
}

// Tiles at once, one per thread, are the same bit for bit as one by one with all threads.
static void test_tiles(void **state) {
    (void)state;
    enum { N = 5, MAX = 4 };
    need_models();
    need_shared("reference/perception/images/tennis000.png");
    picture pic = open_picture("tennis000");
    gv_error err = {0};
    gv_blazepose *p = NULL;
    ok(gv_blazepose_open(&p, GV_BLAZE_LITE, NULL, &err), &err);
    gv_tile t[N] = {{0, 0, 812, 720}, {100, 100, 600, 600}, {-50, 0, 700, 720}, {600, 500, 200, 200}, {0, 0, 812, 300}};
    gv_detection all[N][MAX], one[MAX];
    int counts[N], count, total = 0;
    ok(gv_blazepose_detect_tiles(p, &pic.image, t, N, 0.2f, 0.3f, all[0], MAX, counts, &err), &err);
    for (int i = 0; i < N; i++) {
        ok(gv_blazepose_detect(p, &pic.image, t[i].x, t[i].y, t[i].width, t[i].height, 0.2f, 0.3f, one, MAX, &count,
                               &err),
           &err);
        assert_int_equal(count, counts[i]);
        assert_memory_equal(one, all[i], (size_t)count * sizeof *one);
        total += count;
    }
    assert_true(counts[0] >= 1 && counts[1] >= 1 && total >= 3);
    // The same person at the same place whatever the tile.
    for (int k = 0; k < 2; k++) assert_true(fabsf(all[0][0].keypoint[0][k] - all[1][0].keypoint[0][k]) < 20);
    t[3].width = NAN;
    assert_int_equal(gv_blazepose_detect_tiles(p, &pic.image, t, N, 0.2f, 0.3f, all[0], MAX, counts, &err),
                     GV_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "rectangle"));
    gv_blazepose_close(p);
    gv_video_close(pic.video);
}

// Several regions at once are the same as one by one, a region without area shows nobody, and a picture
// without people has none.
static void test_regions(void **state) {
    (void)state;
    need_models();
    need_shared("reference/perception/images/tennis000.png");
    picture pic = open_picture("tennis000");
    gv_error err = {0};
    gv_blazepose *p = NULL;
    ok(gv_blazepose_open(&p, GV_BLAZE_LITE, NULL, &err), &err);
    gv_region r[4] = {
        {389, 398, 520, 520, -0.08f}, {389, 398, 0, 0, 0}, {NAN, 398, 520, 520, 0}, {780, 700, 300, 300, 0.5f}};
    gv_landmarks all[4], one;
    ok(gv_blazepose_landmarks(p, &pic.image, r, 4, all, &err), &err);
    for (int i = 0; i < 4; i++) {
        ok(gv_blazepose_landmarks(p, &pic.image, &r[i], 1, &one, &err), &err);
        assert_memory_equal(&one, &all[i], sizeof one);
    }
    assert_true(all[0].presence > 0.9f && all[1].presence == 0 && all[2].presence == 0 && all[3].presence < 0.5f);
    int n = -1;
    gv_detection d[4];
    assert_int_equal(gv_blazepose_detect(p, &pic.image, 0, 0, 0, 10, 0.5f, 0.3f, d, 4, &n, &err), GV_ERR_ARGUMENT);
    assert_int_equal(n, 0);
    uint8_t grey[7 * 5 * 3];
    memset(grey, 128, sizeof grey);
    gv_image tiny = {grey, 7, 5, 21}, dot = {grey, 1, 1, 3};
    ok(gv_blazepose_detect(p, &tiny, 0, 0, 7, 5, 0.5f, 0.3f, d, 4, &n, &err), &err);
    assert_int_equal(n, 0);
    ok(gv_blazepose_detect(p, &dot, -5, -5, 30, 30, 0.5f, 0.3f, d, 4, &n, &err), &err);
    assert_int_equal(n, 0);
    ok(gv_blazepose_landmarks(p, &dot, r, 1, &one, &err), &err);
    gv_blazepose_close(p);
    gv_video_close(pic.video);
}

static int other_side(int k) {
    return k == 0 || k > 32 ? k : k < 4 ? k + 3 : k < 7 ? k - 3 : k % 2 ? k + 1 : k - 1;
}

// The farthest that a picture's landmarks lie from those of its mirror image brought back: px, and m in space.
static void mirror_error(gv_blazepose *p, const gv_image *image, const gv_image *mirrored, double *px, double *m) {
    const gv_region r = {389, 398, 520, 520, -0.08f}, there = {(float)image->width - 389, 398, 520, 520, 0.08f};
    gv_landmarks a, b;
    gv_error err = {0};
    *px = *m = 0;
    ok(gv_blazepose_landmarks(p, image, &r, 1, &a, &err), &err);
    ok(gv_blazepose_landmarks(p, mirrored, &there, 1, &b, &err), &err);
    for (int k = 0; k < 35; k++) {
        const float *u = a.point[k], *v = b.point[other_side(k)];
        *px = fmax(*px, hypot((double)(u[0] + v[0]) - image->width, (double)(u[1] - v[1])));
        if (k >= 33) continue;
        const float *x = a.world[k], *y = b.world[other_side(k)];
        *m = fmax(*m, hypot((double)(x[0] + y[0]), hypot((double)(x[1] - y[1]), (double)(x[2] - y[2]))));
    }
}

// Who also looks into the mirror sees the same in the mirror; who does not sees something else.
static void test_mirror(void **state) {
    (void)state;
    need_models();
    need_shared("reference/perception/images/tennis000.png");
    picture pic = open_picture("tennis000");
    const int w = pic.image.width, h = pic.image.height;
    uint8_t *pixels = calloc((size_t)w * (size_t)h, 3);
    const gv_image mirrored = {pixels, w, h, 3 * w};
    gv_error err = {0};
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            memcpy(pixels + 3 * ((size_t)y * w + x), pic.image.rgb + (size_t)y * pic.image.stride + 3 * (w - 1 - x), 3);
    for (int m = 0; m < 3; m++) {
        gv_blazepose *p = NULL;
        double px, metres, px_alone, metres_alone;
        ok(gv_blazepose_open(&p, (gv_blaze_model)m, NULL, &err), &err);
        mirror_error(p, &pic.image, &mirrored, &px_alone, &metres_alone);
        gv_blazepose_set_mirror(p, true);
        mirror_error(p, &pic.image, &mirrored, &px, &metres);
        print_message("%s: %.1f px and %.3f m between a picture and its mirror image, with the mirror %.4f and %.1g\n",
                      model_name[m], px_alone, metres_alone, px, metres);
        assert_true(px < 0.05 && metres < 1e-4);
        assert_true(px_alone > 20 * px && metres_alone > 20 * metres);
        gv_blazepose_close(p);
    }
    free(pixels);
    gv_video_close(pic.video);
}

// Two readings 60 px wide of the mark: their mean, each weighed by its visibility, and half the confidence. Arms that
// the mirror shows the other way round stay.
static void test_mirrored_readings(void **state) {
    (void)state;
    const gv_region r = {500, 400, 1000, 1000, 0};
    gv_landmarks l = {.presence = 0.75f}, m = {0};
    for (int k = 0; k < 35; k++) {
        const float x = 400 + 10 * (float)k, y = 300 + 3 * (float)k;
        l.point[k][0] = x, l.point[k][1] = y, l.point[k][3] = 0.9f;
        m.point[other_side(k)][0] = -(x - 500), m.point[other_side(k)][1] = y - 400, m.point[other_side(k)][3] = 0.9f;
    }
    for (int k = 11; k < 23; k += 2) { // arms
        l.point[k][0] = 300, l.point[k + 1][0] = 700;
        m.point[k][0] = 200, m.point[k + 1][0] = -200; // x = 300 and 700 with the sides not exchanged
    }
    m.point[other_side(25)][1] += 60; // a knee
    m.point[other_side(27)][1] += 60, m.point[other_side(27)][3] = 0;
    l.world[16][2] = 0.5f, m.world[16][2] = m.world[15][2] = 9; // an arm's
    l.world[25][0] = 0.2f, m.world[26][0] = -0.4f;
    gv_landmarks before = l;
    gv_blaze_merge_mirrored(&l, &m, &r);
    for (int k = 0; k < 35; k++) {
        if (k == 25 || k == 27) continue;
        assert_float_equal(l.point[k][0], before.point[k][0], 1e-3);
        assert_float_equal(l.point[k][1], before.point[k][1], 1e-3);
        assert_float_equal(l.point[k][3], 0.9f, 1e-6);
    }
    assert_float_equal(l.world[16][2], 0.5f, 0);
    assert_float_equal(l.point[25][1], before.point[25][1] + 30, 1e-3);
    assert_float_equal(l.point[25][3], 0.45f, 1e-3);
    assert_float_equal(l.world[25][0], 0.3f, 1e-6);
    assert_float_equal(l.point[27][1], before.point[27][1], 0.01);
    assert_float_equal(l.point[27][3], 0.45f, 0.01);
    assert_float_equal(l.presence, 0.75f, 0);
}

static void test_threads(void **state) {
    (void)state;
    need_models();
    need_shared("reference/perception/images/tennis120.png");
    picture pic = open_picture("tennis120");
    gv_error err = {0};
    gv_region region = {310, 451, 895, 895, -0.35f};
    int before = omp_get_max_threads();
    for (int m = 0; m < 3; m++) {
        gv_landmarks l[2];
        gv_detection d[2][8];
        int n[2];
        memset(d, 0, sizeof d);
        for (int t = 0; t < 2; t++) {
            gv_blazepose *p = NULL;
            omp_set_num_threads(t + 1);
            ok(gv_blazepose_open(&p, (gv_blaze_model)m, NULL, &err), &err);
            ok(gv_blazepose_landmarks(p, &pic.image, &region, 1, &l[t], &err), &err);
            ok(gv_blazepose_detect(p, &pic.image, 0, 0, 812, 720, 0.1f, 0.3f, d[t], 8, &n[t], &err), &err);
            gv_blazepose_close(p);
        }
        assert_true(n[0] > 0);
        assert_int_equal(n[0], n[1]);
        assert_memory_equal(d[0], d[1], sizeof d[0]);
        assert_memory_equal(&l[0], &l[1], sizeof l[0]);
    }
    omp_set_num_threads(before);
    gv_video_close(pic.video);
}

// ---- Smoothing and the loop -------------------------------------------------------------------------

static void fill_landmarks(gv_landmarks *l, const float *points, const float *world, int width, int height) {
    for (int k = 0; k < GV_BLAZE_ALL_POINTS; k++) {
        memcpy(l->point[k], points + 5 * k, sizeof l->point[k]);
        l->point[k][0] *= (float)width, l->point[k][1] *= (float)height, l->point[k][2] *= (float)width;
    }
    for (int k = 0; k < GV_BLAZE_POINTS; k++) memcpy(l->world[k], world + 5 * k, sizeof l->world[k]);
}

static void test_smoothing(void **state) {
    (void)state;
    gv_npz *z = open_npz(need_shared("reference/perception/blaze-smoothing.npz"));
    gv_error err = {0};
    enum { N = 60, W = 1280, H = 720 };
    float *raw = read_f32(z, "raw", N * 35 * 5), *raw_world = read_f32(z, "raw_world", N * 33 * 5);
    float *body = read_f32(z, "landmarks", N * 33 * 5), *aux = read_f32(z, "aux", N * 2 * 5);
    float *world = read_f32(z, "world", N * 33 * 5), *roi = read_f32(z, "next_roi", N * 5);
    int32_t *t = gv_npz_read_i32(z, "t_us", NULL, -1, NULL, &err),
            *present = gv_npz_read_i32(z, "present", NULL, -1, NULL, &err);
    assert_non_null(t);
    assert_non_null(present);
    gv_blaze_smoother *s = gv_blaze_smoother_create();
    double worst[4] = {0};
    for (int i = 0; i < N; i++) {
        gv_landmarks l = {0};
        if (!present[i]) {
            gv_blaze_smoother_reset(s);
            continue;
        }
        fill_landmarks(&l, raw + i * 35 * 5, raw_world + i * 33 * 5, W, H);
        gv_blaze_smoother_apply(s, &l, t[i], true);
        gv_landmarks tail = {0};
        memcpy(tail.point, l.point[33], 2 * sizeof l.point[0]);
        worst[0] = fmax(worst[0], point_error(&l, body + i * 33 * 5, 33, W, H, true));
        worst[1] = fmax(worst[1], point_error(&tail, aux + i * 2 * 5, 2, W, H, true));
        worst[2] = fmax(worst[2], world_error(&l, world + i * 33 * 5));
        gv_region r = gv_blaze_region_of_landmarks(&l);
        worst[3] = fmax(worst[3], region_error(&r, roi + i * 5, W, H));
        assert_true(logit_error(&l, body + i * 33 * 5, 33) < 1e-6);
        assert_true(logit_error(&tail, aux + i * 2 * 5, 2) < 1e-6);
    }
    printf("smoothing: body %.2g px, auxiliary %.2g px, world %.2g m, region %.2g px\n", worst[0], worst[1], worst[2],
           worst[3]);
    assert_true(worst[0] < 1e-3 && worst[1] < 1e-3 && worst[2] < 1e-6 && worst[3] < 2e-3);
    gv_blaze_smoother_destroy(s);
    free(raw), free(raw_world), free(body), free(aux), free(world), free(roi), free(t), free(present);
    gv_npz_close(z);
}

static void test_smoothing_border_cases(void **state) {
    (void)state;
    gv_blaze_smoother *s = gv_blaze_smoother_create();
    gv_landmarks l = {0}, was;
    l.point[34][1] = -100, l.point[0][0] = 10, l.point[0][3] = 1;
    gv_blaze_smoother_apply(s, &l, 1000000, true);
    l.point[0][0] = 20, l.point[0][3] = 0;
    was = l;
    gv_blaze_smoother_apply(s, &l, 1000000, true); // the same time again: coordinates pass
    assert_true(l.point[0][0] == was.point[0][0] && fabs(l.point[0][3] - 0.9) < 1e-6);
    gv_blaze_smoother_apply(s, &l, 1033333, false); // auxiliary points only
    assert_true(l.point[0][0] == was.point[0][0]);
    gv_blaze_smoother_apply(s, &l, 1033333, true);
    assert_true(l.point[0][0] > 10 && l.point[0][0] < 20);
    l.point[34][1] = l.point[33][1], l.point[34][0] = l.point[33][0], l.point[0][0] = 77;
    gv_blaze_smoother_apply(s, &l, 1066666, true); // no size: passes
    assert_true(l.point[0][0] == 77);
    gv_blaze_smoother_destroy(s);
    gv_blaze_smoother_destroy(NULL);
}

// MediaPipe's loop (SPEC-perception 7.9) over frames as `ffmpeg -pix_fmt rgba` gives them.
static void test_video(void **state) {
    (void)state;
    need_models();
    gv_npz *z = open_npz(need_shared("reference/perception/blaze-video-tennis.npz"));
    char command[1200];
    enum { N = 90, W = 812, H = 720 };
    snprintf(command, sizeof command,
             "ffmpeg -v error -i '%s' -vsync passthrough -frames:v %d -pix_fmt rgba -f rawvideo - 2>/dev/null",
             need_shared("data/videos/tennis.mp4"), N);
    uint8_t *rgba = malloc(W * H * 4), *rgb = malloc(W * H * 3);
    FILE *pipe = popen(command, "r");
    float *expected = read_f32(z, "landmarks", N * 33 * 5), *world = read_f32(z, "world", N * 33 * 5);
    float *fps = read_f32(z, "fps", 1);
    gv_blazepose *p = NULL;
    gv_blaze_smoother *s = gv_blaze_smoother_create();
    gv_error err = {0};
    ok(gv_blazepose_open(&p, GV_BLAZE_FULL, NULL, &err), &err);
    bool tracking = false;
    gv_region region = {0};
    double worst = 0, worst_depth = 0, worst_world = 0;
    int frames = 0;
    for (; frames < N && pipe && fread(rgba, 4, W * H, pipe) == W * H; frames++) {
        for (int i = 0; i < W * H; i++) memcpy(rgb + 3 * i, rgba + 4 * i, 3);
        gv_image image = {rgb, W, H, 3 * W};
        gv_landmarks l;
        if (!tracking) {
            gv_detection d;
            int n;
            ok(gv_blazepose_detect(p, &image, 0, 0, W, H, 0.5f, 0.3f, &d, 1, &n, &err), &err);
            assert_int_equal(n, 1);
            region = gv_blaze_region_of_detection(&d);
        }
        ok(gv_blazepose_landmarks(p, &image, &region, 1, &l, &err), &err);
        assert_true(l.presence > 0.5f);
        gv_blaze_smoother_apply(s, &l, 1000000 + (int64_t)(frames * 1e6 / fps[0]), true);
        region = gv_blaze_region_of_landmarks(&l);
        tracking = true;
        worst = fmax(worst, point_error(&l, expected + frames * 33 * 5, 33, W, H, false));
        worst_depth = fmax(worst_depth, point_error(&l, expected + frames * 33 * 5, 33, W, H, true));
        worst_world = fmax(worst_world, world_error(&l, world + frames * 33 * 5));
    }
    if (pipe) pclose(pipe);
    gv_blazepose_close(p);
    gv_blaze_smoother_destroy(s);
    free(rgba), free(rgb), free(expected), free(world), free(fps);
    gv_npz_close(z);
    if (!frames) {
        printf("skipped: no ffmpeg program\n");
        skip();
    }
    printf("tennis.mp4, %d frames: points %.4f px, depth %.3f px, world %.2g m\n", frames, worst, worst_depth,
           worst_world);
    assert_int_equal(frames, N);
    // Each frame's region comes from the last one's landmarks, so rounding is fed back: more than one picture
    // has.
    assert_true(worst < 0.05 && worst_depth < 0.25 && worst_world < 3e-4);
}

// ---- The rest ---------------------------------------------------------------------------------------

static void test_coco(void **state) {
    (void)state;
    gv_landmarks l = {0};
    float k[17][3];
    for (int i = 0; i < GV_BLAZE_ALL_POINTS; i++)
        l.point[i][0] = (float)i, l.point[i][1] = (float)(100 + i), l.point[i][3] = (float)i / 100;
    gv_blaze_to_coco17(k, &l, GV_BLAZE_HEAVY); // surer of what it calls hidden, and 0 and 1 stay
    assert_true(k[0][2] == 0 && fabsf(k[9][2] - powf(0.15f, 0.4f)) < 1e-6f && k[16][0] == 27.5f);
    gv_blaze_to_coco17(k, &l, GV_BLAZE_FULL);
    assert_true(k[0][0] == -0.5f && k[5][0] == 10.5f && k[16][0] == 27.5f && k[16][1] == 127.5f && k[9][2] == 0.15f);
}

static void test_missing_model(void **state) {
    (void)state;
    gv_blazepose *p = NULL;
    gv_error err = {0};
    assert_int_equal(gv_blazepose_open(&p, GV_BLAZE_FULL, "/no/such/folder", &err), GV_ERR_IO);
    assert_null(p);
    assert_non_null(strstr(err.text, "/no/such/folder/pose_solution_packed_assets.data"));
    gv_blazepose_close(NULL);
}

// A landmark model where the detector should be is refused by its shape.
static void test_wrong_model(void **state) {
    (void)state;
    need_models();
    char folder[] = "/tmp/gvhmr-blaze-XXXXXX", link[64];
    gv_error err = {0};
    gv_blazepose *p = NULL;
    char *path = gv_resource_find("pose_landmark_lite.tflite", &err);
    assert_non_null(mkdtemp(folder));
    snprintf(link, sizeof link, "%s/pose_solution_packed_assets.data", folder);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(gv_blazepose_open(&p, GV_BLAZE_LITE, folder, &err), GV_ERR_FORMAT);
    assert_non_null(strstr(err.text, "expected [224, 224, 3]"));
    unlink(link);
    rmdir(folder);
    free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_detector_network),
        cmocka_unit_test(test_lite_network),
        cmocka_unit_test(test_full_network),
        cmocka_unit_test(test_heavy_network),
        cmocka_unit_test(test_other_outputs),
        cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_tiles),
        cmocka_unit_test(test_regions),
        cmocka_unit_test(test_mirror),
        cmocka_unit_test(test_mirrored_readings),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_smoothing),
        cmocka_unit_test(test_smoothing_border_cases),
        cmocka_unit_test(test_video),
        cmocka_unit_test(test_coco),
        cmocka_unit_test(test_missing_model),
        cmocka_unit_test(test_wrong_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
