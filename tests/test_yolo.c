// YOLOv8 against what the reference gives (SPEC-perception 6 and 8), and files it must refuse.
#include "on_device.h"
#include "picture.h"

#include "formats/npz.h"
#include "formats/tensors.h"
#include "perception/boxes.h"
#include "perception/letterbox.h"
#include "perception/yolo.h"
#include "perception/yolo_net.h"
#include <omp.h>
#include <stdbool.h>
#include <string.h>

static const char *const RECORD = "reference/perception/yolov8n.npz";
static const char *const WEIGHTS = "reference/perception/ckpt/yolov8n.pt";

static gv_npz *open_npz(const char *path) {
    gv_npz *z = NULL;
    gv_error err = {0};
    ok(gv_npz_open(&z, path, &err), &err);
    return z;
}

static float *read_f32(gv_npz *z, const char *name, int64_t *rows) {
    gv_error err = {0};
    float *p = gv_npz_read_f32(z, name, NULL, -1, rows, &err);
    if (!p) fail_msg("%s", err.text);
    return p;
}

// ---- Parts ----------------------------------------------------------------------------------------------

static void sizes_of_the_letterbox(void **state) {
    (void)state;
    gv_npz *z = open_npz(need_shared("reference/perception/yolo-parts.npz"));
    gv_error err = {0};
    int64_t rows = 0;
    double *r = gv_npz_read_f64(z, "letterbox", NULL, -1, &rows, &err);
    assert_true(r && rows == 17);
    for (int i = 0; i < rows; i++, r += 7) {
        gv_letterbox l = gv_letterbox_for((int)r[1], (int)r[0]);
        assert_int_equal(l.height, r[2]);
        assert_int_equal(l.width, r[3]);
        assert_int_equal(l.left, r[4]);
        assert_int_equal(l.top, r[5]);
        assert_true(fabs(l.gain - r[6]) < 1e-9);
    }
    free(r - 7 * rows);
    gv_npz_close(z);
}

static void suppression(void **state) {
    (void)state;
    enum { N = 240 };
    gv_npz *z = open_npz(need_shared("reference/perception/yolo-parts.npz"));
    gv_error err = {0};
    int64_t n = 0;
    float *box = read_f32(z, "nms_boxes", &n), *score = read_f32(z, "nms_scores", &n);
    assert_int_equal(n, N);
    int order[N], kept[N];
    float sorted[N][4];
    for (int i = 0; i < N; i++) { // stable insertion
        int k = i;
        for (; k > 0 && score[order[k - 1]] < score[i]; k--) order[k] = order[k - 1];
        order[k] = i;
    }
    for (int i = 0; i < N; i++) memcpy(sorted[i], box + 4 * order[i], sizeof sorted[i]);
    static const struct {
        const char *name;
        double overlap;
    } cases[] = {{"nms_keep_0.30", 0.3}, {"nms_keep_0.45", 0.45}, {"nms_keep_0.70", 0.7}};
    for (int c = 0; c < 3; c++) {
        int64_t expected = 0;
        int32_t *keep = gv_npz_read_i32(z, cases[c].name, NULL, -1, &expected, &err);
        assert_non_null(keep);
        assert_int_equal(gv_box_suppress(kept, (const float(*)[4])sorted, N, cases[c].overlap, N), expected);
        for (int i = 0; i < expected; i++) assert_int_equal(order[kept[i]], keep[i]);
        assert_int_equal(gv_box_suppress(kept, (const float(*)[4])sorted, N, cases[c].overlap, 7), 7);
        free(keep);
    }
    free(box);
    free(score);
    gv_npz_close(z);
}

static void letterbox_pixels(void **state) {
    (void)state;
    gv_npz *z = open_npz(need_shared(RECORD));
    picture p = open_picture("messi5");
    gv_letterbox l = gv_letterbox_for(p.image.width, p.image.height);
    float *expected = read_f32(z, "letterbox", NULL);
    size_t plane = (size_t)l.width * l.height;
    uint8_t *mine = malloc(3 * plane);
    gv_letterbox_apply(mine, l, &p.image);
    for (size_t i = 0; i < 3 * plane; i++) assert_int_equal(mine[i % 3 * plane + i / 3], expected[i]);
    free(mine);
    free(expected);
    gv_video_close(p.video);
    gv_npz_close(z);
}

// ---- The network ----------------------------------------------------------------------------------------

typedef struct deviation {
    double most, rms; // relative to the largest of the expected numbers, and to their root mean square
} deviation;

static void compare(deviation *d, const float *a, const float *b, size_t n) {
    double most = 0, sum = 0, apart = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)b[i]));
        sum += (double)b[i] * b[i];
        apart += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    }
    d->most = fmax(d->most, max_abs_diff(a, b, n) / most);
    d->rms = fmax(d->rms, sqrt(apart / sum));
}

// [144, h, w] of a level as the record has it.
static float *plain_level(const gv_yolo_net *net, int level, size_t *count) {
    gv_yolo_level l = gv_yolo_net_level(net, level);
    size_t cells = (size_t)l.height * l.width;
    size_t channels = 64 + (size_t)gv_yolo_net_classes(net);
    float *out = malloc(channels * cells * sizeof *out);
    for (size_t c = 0; c < channels; c++)
        for (size_t i = 0; i < cells; i++) {
            const float *from = c < 64 ? l.sides : l.scores;
            size_t k = c < 64 ? c : c - 64;
            out[c * cells + i] = from[(k / 16 * cells + i) * 16 + k % 16];
        }
    *count = channels * cells;
    return out;
}

static gv_yolo_net *open_net(const char *path, gv_precision precision) {
    gv_error err = {0};
    gv_yolo_net *net = NULL;
    ok(gv_yolo_net_open(&net, path, precision, on_device(), &err), &err);
    return net;
}

static void run_on(gv_yolo_net *net, const gv_image *image) {
    gv_error err = {0};
    gv_letterbox l = gv_letterbox_for(image->width, image->height);
    ok(gv_yolo_net_resize(net, l.height, l.width, &err), &err);
    ok(gv_yolo_net_run(net, l, image, &err), &err);
}

static void check_levels(deviation *d, const gv_yolo_net *net, gv_npz *z) {
    for (int i = 0; i < 3; i++) {
        char name[16];
        size_t n;
        snprintf(name, sizeof name, "raw%d", i);
        float *mine = plain_level(net, i, &n), *expected = read_f32(z, name, NULL);
        assert_int_equal(gv_npz_find(z, name)->count, n);
        compare(d, mine, expected, n);
        free(mine);
        free(expected);
    }
}

// The first channels of layers 2, 9 and 15.
static void check_layers(deviation *d, const gv_yolo_net *net, gv_npz *z) {
    for (int i = 0; i < 3; i++) {
        const int layer = (int[]){2, 9, 15}[i];
        char name[16];
        int c, h, w;
        snprintf(name, sizeof name, "mid_layer%d", layer);
        const gv_array *a = gv_npz_find(z, name);
        float *mine = gv_yolo_net_output_of(net, layer, &c, &h, &w), *expected = read_f32(z, name, NULL);
        assert_true(mine && a->shape[0] <= c && a->shape[1] == h && a->shape[2] == w);
        compare(d, mine, expected, (size_t)a->count);
        free(mine);
        free(expected);
    }
}

// Random weights amplify rounding (float32's 6e-8 becomes 1e-5), so bfloat16's 4e-3 is seen much enlarged.
static void network_outputs(void **state) {
    (void)state;
    gv_npz *z = open_npz(need_shared(RECORD));
    picture p = open_picture("messi5");
    for (int k = 0; k < 4; k++) { // on the emulated device also with convolutions of its own
        const bool bf16 = k % 2, own = k / 2;
        if ((bf16 && !on_device() && !gv_nn_has_bf16(NULL)) || (own && (!on_device() || on_gpu()))) continue;
        gv_emulated_convolutions(own);
        gv_yolo_net *net = open_net(need_shared(WEIGHTS), bf16 ? GV_PRECISION_BF16 : GV_PRECISION_F32);
        gv_yolo_net_keep_all(net);
        run_on(net, &p.image);
        deviation d = {0};
        if (!on_device()) check_levels(&d, net, z);
        check_layers(&d, net, z);
        assert_int_equal(gv_emulated_convolved(), own ? 39 : 0); // all windows of 3 x 3
        gv_emulated_convolutions(false);
        printf("%s%s: %.2g of the largest, %.2g rms\n", bf16 ? "bfloat16" : "float32",
               own ? ", convolutions of its own" : "", d.most, d.rms);
        assert_true(d.most < (bf16 ? 0.25 : 1e-4));
        assert_true(d.rms < (bf16 ? 0.1 : 3e-5));
        gv_yolo_net_close(net);
    }
    gv_video_close(p.video);
    gv_npz_close(z);
}

// Planned for one size, then for another and back: the same bits, as with one thread or two, or with all tensors kept.
static void same_bits_again(void **state) {
    (void)state;
    if (on_device()) skip(); // of the GPU's library that is not promised
    const char *weights = need_shared(WEIGHTS);
    picture p = open_picture("messi5"), other = open_picture("basketball1");
    size_t n, m;
    gv_yolo_net *net = open_net(weights, GV_PRECISION_F32), *kept = open_net(weights, GV_PRECISION_F32);
    omp_set_num_threads(2);
    run_on(net, &p.image);
    float *first = plain_level(net, 0, &n);
    run_on(net, &other.image);
    omp_set_num_threads(1);
    run_on(net, &p.image);
    float *again = plain_level(net, 0, &m);
    assert_true(n == m && !memcmp(first, again, n * sizeof *first));
    free(again);
    gv_yolo_net_keep_all(kept);
    run_on(kept, &p.image);
    again = plain_level(kept, 0, &m);
    assert_true(n == m && !memcmp(first, again, n * sizeof *first));
    omp_set_num_threads(2);
    free(first);
    free(again);
    gv_yolo_net_close(net);
    gv_yolo_net_close(kept);
    gv_video_close(p.video);
    gv_video_close(other.video);
}

// ---- Detections -----------------------------------------------------------------------------------------

static void detect(gv_yolo_people *d, const char *path, gv_precision precision, const gv_image *image) {
    gv_yolo *y = NULL;
    gv_error err = {0};
    ok(gv_yolo_open(&y, path, precision, on_device(), &err), &err);
    ok(gv_yolo_detect(y, image, 1, d, &err), &err);
    gv_yolo_close(y);
}

// Random weights: hundreds of boxes, many decisions within 1e-4 of tipping. The reference itself moves by 9e-6 and
// 0.002 px between float32 and float64 (noise.json).
static void recorded_detections(void **state) {
    (void)state;
    static const char *const names[] = {"basketball1", "messi5", "tennis000", "tennis120", "tennis250"};
    const char *weights = need_shared(WEIGHTS);
    gv_npz *z = open_npz(need_shared(RECORD));
    static gv_yolo_people d;
    for (int i = 0; i < (on_device() && !on_gpu() ? 2 : 5); i++) { // all take the emulated device 20 s
        char name[32];
        int64_t rows = 0;
        picture p = open_picture(names[i]);
        snprintf(name, sizeof name, "dets_%s", names[i]);
        float *expected = read_f32(z, name, &rows);
        detect(&d, weights, GV_PRECISION_F32, &p.image);
        assert_int_equal(d.count, rows);
        double box = 0, score = 0;
        for (int k = 0; k < rows; k++) {
            box = fmax(box, max_abs_diff(d.box[k], expected + 6 * k, 4));
            score = fmax(score, fabs(d.score[k] - expected[6 * k + 4]));
        }
        printf("%s: %d people, boxes %.2g px, scores %.2g\n", names[i], (int)d.count, box, score);
        assert_true(box < 0.05 && score < 1e-4);
        free(expected);
        gv_video_close(p.video);
    }
    gv_npz_close(z);
}

// On a device the layers of a size are recorded in its second run, and what was recorded does the same; other sizes
// between them, and the way back.
static void recorded_runs(void **state) {
    (void)state;
    if (!on_device()) skip();
    enum { RUNS = 7, W = 160, H = 96 };
    static const int turned[RUNS] = {0, 0, 0, 1, 1, 0, 0}, replays[RUNS] = {0, 1, 2, 2, 3, 3, 4};
    uint8_t *rgb = malloc(3 * W * H);
    gv_yolo *y = NULL;
    gv_error err = {0};
    static gv_yolo_people d[RUNS];
    uint32_t seed = 3;
    for (int i = 0; i < 3 * W * H; i++) rgb[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
    ok(gv_yolo_open(&y, need_shared(WEIGHTS), GV_PRECISION_F32, on_device(), &err), &err);
    int before = gv_emulated_replays();
    for (int r = 0; r < RUNS; r++) {
        const gv_image image = {rgb, turned[r] ? H : W, turned[r] ? W : H, 3 * (turned[r] ? H : W)};
        gv_emulated_convolutions(r > 4);
        ok(gv_yolo_detect(y, &image, 1, &d[r], &err), &err);
        if (!on_gpu()) assert_int_equal(gv_emulated_replays() - before, replays[r]);
        if (r == 0) assert_true(d[r].count > 0);
        const gv_yolo_people *same = &d[r == 4 ? 3 : turned[r] ? r : 0];
        assert_int_equal(d[r].count, same->count);
        for (int k = 0; k < d[r].count; k++)
            assert_true(max_abs_diff(d[r].box[k], same->box[k], 4) < 0.05 &&
                        fabs(d[r].score[k] - same->score[k]) < 1e-4);
    }
    gv_emulated_convolutions(false);
    gv_yolo_close(y);
    free(rgb);
}

// Pictures that are in the queue together have the answers of one by one, each its own, to the last bit: however many,
// copied early or late, when memory is short, and when the device breaks in between and goes on.
static void several_at_once(void **state) {
    (void)state;
    if (!on_device()) skip();
    enum { N = 7, W = 320, H = 32 };
    gv_yolo *y = NULL;
    gv_error err = {0};
    static gv_yolo_people one[N], all[N];
    gv_image images[N];
    uint32_t seed = 3;
    int different = 0;
    for (int i = 0; i < N; i++) {
        uint8_t *rgb = malloc(3 * W * H);
        for (int k = 0; k < 3 * W * H; k++) rgb[k] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
        images[i] = (gv_image){rgb, W, H, 3 * W};
    }
    ok(gv_yolo_open(&y, need_shared(WEIGHTS), GV_PRECISION_F32, on_device(), &err), &err);
    for (int i = 0; i < N; i++) ok(gv_yolo_detect(y, &images[i], 1, &one[i], &err), &err);
    for (int i = 1; i < N; i++)
        different += one[i].count != one[0].count || memcmp(one[i].score, one[0].score, sizeof *one[0].score);
    assert_int_equal(different, N - 1);
    for (int late = 0; late < 2; late++) {
        const int replays = gv_emulated_replays();
        memset(all, 0, sizeof all);
        gv_emulated_late(late);
        ok(gv_yolo_detect(y, images, N, all, &err), &err);
        assert_memory_equal(all, one, sizeof all);
        if (on_gpu()) continue;
        assert_int_equal(gv_emulated_replays() - replays, N);
        assert_int_equal(gv_emulated_copies(), N);
    }
    gv_emulated_late(false);
    int broken = 0;
    for (int after = 5; !on_gpu(); after += 211) {
        gv_emulated_break(after);
        gv_status status = gv_yolo_detect(y, images, N, all, &err);
        gv_emulated_break(0);
        if (status == GV_OK) break;
        assert_string_equal(err.text, "the emulated device broke");
        memset(all, 0, sizeof all);
        broken++;
    }
    assert_true(on_gpu() || broken > 2);
    assert_memory_equal(all, one, sizeof all);
    gv_yolo_close(y);
    for (size_t more = 0; more < 4 && !on_gpu(); more++) { // memory for 1 + more pictures
        ok(gv_yolo_open(&y, need_shared(WEIGHTS), GV_PRECISION_F32, on_device(), &err), &err);
        ok(gv_yolo_detect(y, images, 1, all, &err), &err);
        memset(all, 0, sizeof all);
        gv_emulated_ops(gv_emulated_bytes() + more * 3 * W * H, 0);
        ok(gv_yolo_detect(y, images, N, all, &err), &err);
        assert_int_equal(gv_emulated_refusals(), ((const int[]){2, 1, 1, 0})[more]);
        gv_emulated_ops(0, 0);
        assert_memory_equal(all, one, sizeof all);
        gv_yolo_close(y);
    }
    images[3].width--;
    ok(gv_yolo_open(&y, need_shared(WEIGHTS), GV_PRECISION_F32, on_device(), &err), &err);
    assert_int_equal(gv_yolo_detect(y, images, N, all, &err), GV_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "320 x 32 and 319 x 32"));
    gv_yolo_close(y);
    for (int i = 0; i < N; i++) free((void *)images[i].rgb);
}

static void smallest_pictures(void **state) {
    (void)state;
    static gv_yolo_people d;
    gv_yolo *y = NULL;
    gv_error err = {0};
    ok(gv_yolo_open(&y, need_shared(WEIGHTS), GV_PRECISION_F32, on_device(), &err), &err);
    uint8_t grey[3] = {114, 114, 114}; // one pixel
    gv_image tiny = {grey, 1, 1, 3}, none = {grey, 0, 1, 3};
    ok(gv_yolo_detect(y, &tiny, 1, &d, &err), &err);
    for (int i = 0; i < d.count; i++)
        for (int c = 0; c < 4; c++) assert_true(d.box[i][c] >= 0 && d.box[i][c] <= 1);
    assert_int_equal(gv_yolo_detect(y, &none, 1, &d, &err), GV_ERR_ARGUMENT);
    gv_yolo_close(y);
}

// ---- Files that are something else ----------------------------------------------------------------------

// A copy of the recorded network in float32, where `change` may spoil or rename tensors (false: left out).
static void write_changed(const char *path, bool (*change)(gv_tensor_view *)) {
    gv_error err = {0};
    gv_tensors *w = NULL;
    ok(gv_tensors_open(&w, shared_path(WEIGHTS), &err), &err);
    int n = 0, count = gv_tensors_count(w);
    gv_tensor_view *v = calloc((size_t)count, sizeof *v);
    for (int i = 0; i < count; i++) {
        const gv_tensor *t = gv_tensors_at(w, i);
        v[n] = (gv_tensor_view){.name = t->name, .ndim = t->ndim};
        memcpy(v[n].shape, t->shape, sizeof t->shape);
        v[n].data = gv_tensors_read_f32(w, t->name, NULL, -1, &err);
        assert_non_null(v[n].data);
        if (!change || change(&v[n]))
            n++;
        else
            free((void *)v[n].data);
    }
    ok(gv_safetensors_write(path, v, n, GV_F32, NULL, &err), &err);
    for (int i = 0; i < n; i++) free((void *)v[i].data);
    free(v);
    gv_tensors_close(w);
}

static bool spoil_weight(gv_tensor_view *v) {
    if (!strcmp(v->name, "model.6.m.1.cv2.conv.weight")) ((float *)v->data)[77] = NAN;
    return true;
}

static bool spoil_variance(gv_tensor_view *v) {
    if (!strcmp(v->name, "model.9.cv1.bn.running_var")) ((float *)v->data)[3] = -1;
    return true;
}

static bool leave_out(gv_tensor_view *v) {
    return strcmp(v->name, "model.21.cv2.bn.bias") != 0;
}

static bool to_segmentation(gv_tensor_view *v) {
    if (!strcmp(v->name, "model.22.dfl.conv.weight")) v->name = "model.22.proto.cv1.conv.weight";
    return true;
}

static bool to_pose(gv_tensor_view *v) {
    if (!strcmp(v->name, "model.22.dfl.conv.weight")) v->name = "model.22.cv4.0.0.conv.weight";
    return true;
}

static bool to_version(gv_tensor_view *v) { // as if the head were layer 23
    if (!strcmp(v->name, "model.22.dfl.conv.weight")) v->name = "model.23.dfl.conv.weight";
    if (!strcmp(v->name, "model.22.cv2.0.0.conv.weight")) v->name = "model.23.cv2.0.0.conv.weight";
    return true;
}

static bool drop_channels(gv_tensor_view *v) {
    if (!strcmp(v->name, "model.12.m.0.cv1.conv.weight")) v->shape[0] -= 16;
    return true;
}

// The head of a detector that was trained for people only.
static bool to_one_class(gv_tensor_view *v) {
    if (!strncmp(v->name, "model.22.cv3.", 13) && !strncmp(v->name + 14, ".2.", 3)) v->shape[0] = 1;
    return true;
}

static void expect_refusal(const char *path, const char *says) {
    gv_yolo *y = NULL;
    gv_error err = {0};
    assert_int_not_equal(gv_yolo_open(&y, path, GV_PRECISION_F32, on_device(), &err), GV_OK);
    assert_null(y);
    if (!strstr(err.text, says) || strchr(err.text, '\n')) fail_msg("\"%s\" does not say \"%s\"", err.text, says);
    printf("%s\n", strrchr(err.text, '/') ? strrchr(err.text, '/') + 1 : err.text);
}

static void other_files_are_refused(void **state) {
    (void)state;
    need_shared(WEIGHTS);
    char path[64];
    snprintf(path, sizeof path, "/tmp/gv-test-yolo-%d.safetensors", (int)getpid());
    static const struct {
        bool (*change)(gv_tensor_view *);
        const char *says;
    } cases[] = {
        {spoil_weight, "\"model.6.m.1.cv2.conv.weight\" holds nan at element 77"},
        {spoil_variance, "\"model.9.cv1.bn.running_var\" is negative"},
        {leave_out, "has no tensor \"model.21.cv2.bn.bias\""},
        {to_segmentation, "segmentation"},
        {to_pose, "poses"},
        {to_version, "its head is layer 23"},
        {drop_channels, "another width"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_changed(path, cases[i].change);
        expect_refusal(path, cases[i].says);
    }
    unlink(path);
    expect_refusal(need_shared("reference/perception/ckpt/vitpose-tiny.pth"), "is a ViTPose checkpoint of");
    expect_refusal("/nonexistent.pt", "/nonexistent.pt");
}

static void truncated_file_is_refused(void **state) {
    (void)state;
    FILE *f = fopen(need_shared(WEIGHTS), "rb");
    char path[64];
    snprintf(path, sizeof path, "/tmp/gv-test-yolo-%d.pt", (int)getpid());
    FILE *out = fopen(path, "wb");
    static char half[3000000];
    assert_int_equal(fread(half, 1, sizeof half, f), sizeof half);
    assert_int_equal(fwrite(half, 1, sizeof half, out), sizeof half);
    fclose(f);
    fclose(out);
    expect_refusal(path, path + 5);
    unlink(path);
}

// float32 instead of float16, another container: the same numbers.
static void element_type_does_not_matter(void **state) {
    (void)state;
    if (on_device()) skip(); // the file's reader is the same
    const char *weights = need_shared(WEIGHTS);
    char path[64];
    snprintf(path, sizeof path, "/tmp/gv-test-yolo-f32-%d.safetensors", (int)getpid());
    write_changed(path, NULL);
    picture p = open_picture("messi5");
    static gv_yolo_people a, b;
    detect(&a, weights, GV_PRECISION_F32, &p.image);
    detect(&b, path, GV_PRECISION_F32, &p.image);
    assert_true(a.count == b.count && !memcmp(a.box, b.box, sizeof a.box) && !memcmp(a.score, b.score, sizeof a.score));
    unlink(path);
    gv_video_close(p.video);
}

// What is a person of 80 classes is one of one class, with the same score and box, among others.
static void one_class(void **state) {
    (void)state;
    const char *weights = need_shared(WEIGHTS);
    char path[64];
    snprintf(path, sizeof path, "/tmp/gv-test-yolo-one-%d.safetensors", (int)getpid());
    write_changed(path, to_one_class);
    picture p = open_picture("basketball1");
    static gv_yolo_people a, b;
    detect(&a, weights, GV_PRECISION_F32, &p.image);
    detect(&b, path, GV_PRECISION_F32, &p.image);
    assert_true(a.count > 0 && b.count >= a.count);
    int found = 0;
    for (int i = 0; i < a.count; i++)
        for (int k = 0; k < b.count; k++)
            found += fabsf(a.score[i] - b.score[k]) < 1e-5f && max_abs_diff(a.box[i], b.box[k], 4) < 0.01;
    assert_int_equal(found, a.count);
    unlink(path);
    gv_video_close(p.video);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_of_the_letterbox),
        cmocka_unit_test(suppression),
        cmocka_unit_test(letterbox_pixels),
        cmocka_unit_test(network_outputs),
        cmocka_unit_test(same_bits_again),
        cmocka_unit_test(recorded_detections),
        cmocka_unit_test(recorded_runs),
        cmocka_unit_test(several_at_once),
        cmocka_unit_test(smallest_pictures),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(truncated_file_is_refused),
        cmocka_unit_test(one_class),
        cmocka_unit_test(element_type_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
