// The focal length: measured on rendered scenes, read from files, and lenses with distortion.
#include "folder.h"
#include "camera/choose_optics.h"
#include "camera/intrinsics_file.h"
#include "camera/metadata.h"
#include "camera/odometry.h"
#include "camera_check.h"
#include "camera_scene.h"
#include "formats/gpmf.h"
#include "formats/npz.h"

#include <string.h>

enum { W = 256, H = 144, FRAMES = 60 };
static const double FOCAL = 224; // the diagonal is 294

static scene small_scene(void) {
    scene s = scene_empty(W, H, FOCAL);
    s.samples = 2;
    return s;
}

static void pose_pan(double t, double R[9], double c[3]) {
    scene_rotation(R, scene_wobble(t, 50, 1), 0.6 * t, 0.4 * scene_wobble(t, 40, 2));
    c[0] = c[1] = c[2] = 0;
}

static void pose_tilt(double t, double R[9], double c[3]) {
    scene_rotation(R, -15 + 0.5 * t, scene_wobble(t, 50, 1), 0.4 * scene_wobble(t, 40, 2));
    c[0] = c[1] = c[2] = 0;
}

static void pose_walk_and_turn(double t, double R[9], double c[3]) {
    scene_rotation(R, scene_wobble(t, 15, 1), 14 * sin(t / 20), 0.8 * scene_wobble(t, 30, 3));
    c[0] = 0.3 * scene_wobble(t, 80, 2), c[1] = 0.03 * sin(t * 0.42), c[2] = 0.05 * t;
}

static void pose_straight(double t, double R[9], double c[3]) {
    scene_rotation(R, 0.2 * scene_wobble(t, 15, 1), 0.3 * scene_wobble(t, 33, 1), 0.2 * scene_wobble(t, 30, 3));
    c[0] = 0, c[1] = 0.03 * sin(t * 0.42), c[2] = 0.05 * t;
}

// The odometry's words on a scene whose focal length nobody told it.
static gv_camera_path find(scene *s, const gv_lens *real, const char *name, camera_errors *e) {
    gv_error err = {0};
    gv_odometry *o = NULL;
    gv_optics optics;
    gv_camera_path path;
    uint8_t *rgb = malloc((size_t)W * H * 3);
    double truth[9 * FRAMES], c[3];
    gv_status status =
        real ? gv_optics_pinhole(&optics, 1, W, H, GV_FOCAL_FILE, 0, &err)
             : gv_optics_pinhole(&optics, gv_focal_default(W, H), W, H, GV_FOCAL_DIAGONAL, GV_FOCAL_DEFAULT_SD, &err);
    assert_int_equal(status, GV_OK);
    if (real) optics.lens[0] = *real;
    assert_int_equal(gv_odometry_create(&o, W, H, &optics, &err), GV_OK);
    for (int f = 0; f < FRAMES; f++) {
        scene_render(s, f, rgb);
        s->pose(f, truth + 9 * f, c);
        assert_int_equal(gv_odometry_frame(o, rgb, 3 * W, NULL, 0, &err), GV_OK);
    }
    assert_int_equal(gv_odometry_finish(o, &path, &err), GV_OK);
    *e = camera_compare(&path, truth, name);
    printf("    focal %.1f px (true %.1f), %s, sd %.3f\n", path.focal_px, FOCAL,
           gv_focal_origin_text(path.focal_origin), path.focal_sd);
    gv_odometry_destroy(o);
    gv_optics_free(&optics);
    free(rgb);
    return path;
}

static void measured_where_the_camera_turns(void **state) {
    (void)state;
    static const struct {
        void (*pose)(double t, double R[9], double c[3]);
        bool street;
        const char *name;
    } cases[] = {{pose_pan, false, "pan"}, {pose_tilt, false, "tilt"}, {pose_walk_and_turn, true, "walk and turn"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scene s = small_scene();
        if (cases[i].street) scene_street(&s);
        s.pose = cases[i].pose;
        camera_errors e;
        gv_camera_path p = find(&s, NULL, cases[i].name, &e);
        assert_int_equal(p.focal_origin, GV_FOCAL_MEASURED);
        assert_true(fabs(p.focal_px / FOCAL - 1) < 0.03);
        assert_true(fabs(p.focal_px / FOCAL - 1) < 3 * p.focal_sd);
        assert_true(e.step_rmse < 0.03);
        gv_camera_path_free(&p);
    }
}

// Straight on, without a turn: nothing may be claimed that is wrong.
static void nothing_is_claimed_without_a_turn(void **state) {
    (void)state;
    scene s = small_scene();
    scene_street(&s);
    s.pose = pose_straight;
    camera_errors e;
    gv_camera_path p = find(&s, NULL, "straight on", &e);
    if (p.focal_origin == GV_FOCAL_MEASURED)
        assert_true(fabs(p.focal_px / FOCAL - 1) < 0.08);
    else
        assert_true(fabs(p.focal_px - gv_focal_default(W, H)) < 1e-3);
    gv_camera_path_free(&p);
}

static void pose_one_jerk(double t, double R[9], double c[3]) {
    pose_pan(3 * fmax(0, t - 48), R, c); // still, then 20 degrees within 12 frames
}

// A short motion is one measurement however many pairs of views show it.
static void a_single_jerk_tells_nothing(void **state) {
    (void)state;
    scene s = small_scene();
    s.pose = pose_one_jerk;
    camera_errors e;
    gv_camera_path p = find(&s, NULL, "one jerk", &e);
    assert_int_equal(p.focal_origin, GV_FOCAL_DIAGONAL);
    gv_camera_path_free(&p);
}

static void lenses_there_and_back(void **state) {
    (void)state;
    static const gv_lens lens[] = {
        {.model = GV_LENS_PINHOLE, .fx = 900, .fy = 905, .cx = 650, .cy = 350},
        {.model = GV_LENS_BROWN, .fx = 900, .fy = 905, .cx = 650, .cy = 350, .k = {-0.3, 0.1, 1e-3, -2e-3, -0.01}},
        {.model = GV_LENS_BROWN, .fx = 900, .fy = 905, .cx = 650, .cy = 350, .k = {0.2, 0.1, 0, 0, 0, 0.5, 0.02, 0}},
        {.model = GV_LENS_FISHEYE, .fx = 500, .fy = 500, .cx = 640, .cy = 360, .k = {0.03, -0.01, 0.002, -3e-4}},
    };
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++)
        for (double x = 0; x <= 1280; x += 80)
            for (double y = 0; y <= 720; y += 80) {
                double d[2], p[2];
                assert_true(gv_lens_direction(&lens[i], x, y, d));
                gv_lens_pixel(&lens[i], d[0], d[1], p);
                assert_true(hypot(p[0] - x, p[1] - y) < 1e-5);
            }
    // OpenCV's projectPoints of (0.3, -0.2, 1) and fisheye.projectPoints of (0.8, 0.5, 1) with these numbers
    double p[2];
    gv_lens_pixel(&lens[1], 0.3, -0.2, p);
    assert_true(fabs(p[0] - 909.2543681) < 1e-6 && fabs(p[1] - 176.1643366) < 1e-6);
    gv_lens_pixel(&lens[3], 0.8, 0.5, p);
    assert_true(fabs(p[0] - 965.2254655) < 1e-6 && fabs(p[1] - 563.2659159) < 1e-6);
    const gv_lens folding = {.model = GV_LENS_BROWN, .fx = 500, .fy = 500, .k = {-0.5}};
    double d[2];
    assert_false(gv_lens_direction(&folding, 600, 0, d)); // farther out than the model reaches
    assert_true(fabs(d[0] - 1.2) < 1e-12);
}

// A barrel distortion that is told leaves the rotation right; the renderer has none, so the picture is warped here.
static gv_lens barrel;
static void pose_pan_slow(double t, double R[9], double c[3]) {
    pose_pan(0.8 * t, R, c);
}
// Drawing through the lens: inside of the picture exactly where the lens shows a direction, and farther out nothing
// comes back into it, however the polynomial runs.
static void bodies_are_bent_as_the_lens_bends(void **state) {
    (void)state;
    static const gv_lens wide = {.model = GV_LENS_BROWN, .fx = 900, .fy = 905, .cx = 650, .cy = 350, .k = {-0.3, 0.05}};
    double reach = gv_lens_reach(&wide, 1280, 720), d[2], p[2], q[2], last = 0;
    assert_true(gv_lens_direction(&wide, 1270, 30, d));
    assert_true(hypot(d[0], d[1]) < reach);
    gv_lens_pixel(&wide, d[0], d[1], p);
    gv_lens_bend(&wide, reach, d[0], d[1], q);
    assert_true(fabs(wide.fx * q[0] + wide.cx - p[0]) < 1e-9 && fabs(wide.fy * q[1] + wide.cy - p[1]) < 1e-9);
    for (double x = 0; x < 20; x += 0.01) {
        gv_lens_bend(&wide, reach, x, 0.1 * x, q);
        assert_true(x == 0 || hypot(q[0], q[1]) > last);
        last = hypot(q[0], q[1]);
    }
}

static void distortion_is_removed(void **state) {
    (void)state;
    enum { MARGIN = 40, BW = W + 2 * MARGIN, BH = H + 2 * MARGIN, N = 40 };
    scene s = scene_empty(BW, BH, FOCAL);
    s.samples = 2, s.pose = pose_pan_slow;
    barrel = gv_lens_pinhole(FOCAL, W, H);
    barrel.model = GV_LENS_BROWN, barrel.k[0] = -0.25, barrel.k[1] = 0.06;
    gv_error err = {0};
    uint8_t *big = malloc((size_t)BW * BH * 3), *rgb = malloc((size_t)W * H * 3);
    double truth[9 * N], c[3];
    camera_errors e[2];
    for (int told = 0; told < 2; told++) {
        gv_odometry *o = NULL;
        gv_lens lens = told ? barrel : gv_lens_pinhole(FOCAL, W, H);
        gv_optics optics = {.count = 1, .lens = &lens, .origin = GV_FOCAL_FILE};
        gv_camera_path path;
        assert_int_equal(gv_odometry_create(&o, W, H, &optics, &err), GV_OK);
        for (int f = 0; f < N; f++) {
            scene_render(&s, f, big);
            s.pose(f, truth + 9 * f, c);
            for (int y = 0; y < H; y++)
                for (int x = 0; x < W; x++) { // bilinear
                    double d[2];
                    gv_lens_direction(&barrel, x + 0.5, y + 0.5, d);
                    double u = FOCAL * d[0] + BW / 2. - 0.5, v = FOCAL * d[1] + BH / 2. - 0.5;
                    int iu = (int)floor(u), iv = (int)floor(v);
                    assert_true(iu >= 0 && iv >= 0 && iu < BW - 1 && iv < BH - 1);
                    const uint8_t *q = big + 3 * (iv * BW + iu);
                    for (int k = 0; k < 3; k++) {
                        double top = q[k] + (u - iu) * (q[3 + k] - q[k]),
                               low = q[3 * BW + k] + (u - iu) * (q[3 * BW + 3 + k] - q[3 * BW + k]);
                        rgb[3 * (y * W + x) + k] = (uint8_t)(top + (v - iv) * (low - top) + 0.5);
                    }
                }
            assert_int_equal(gv_odometry_frame(o, rgb, 3 * W, NULL, 0, &err), GV_OK);
        }
        assert_int_equal(gv_odometry_finish(o, &path, &err), GV_OK);
        e[told] = camera_compare(&path, truth, told ? "barrel, told" : "barrel, not told");
        gv_camera_path_free(&path);
        gv_odometry_destroy(o);
    }
    assert_true(e[1].step_rmse < 0.02 && e[1].drift_max < 0.1);
    assert_true(e[0].drift_max > 3 * e[1].drift_max); // the test can tell
    free(big), free(rgb);
}

static void intrinsics_are_read(void **state) {
    (void)state;
    gv_error err = {0};
    gv_optics o;
    const char *path = in_dir("focal.json");
    write_text("focal.json", "{\"K\": [[1000,0,960],[0,1001,540],[0,0,1]], \"distortion\": [-0.1,0.01,0,0,0],"
                             " \"width\": 1920, \"height\": 1080}");
    assert_int_equal(gv_optics_load(&o, path, 960, 540, &err), GV_OK);
    assert_int_equal(o.count, 1);
    assert_true(o.lens->fx == 500 && o.lens->fy == 500.5 && o.lens->cx == 480 && o.lens->cy == 270);
    assert_true(o.lens->model == GV_LENS_BROWN && o.lens->k[0] == -0.1);
    gv_optics_free(&o);
    write_text("focal.json", "{\"fx\": 1000, \"fy\": 1000, \"cx\": 640, \"cy\": 360, \"model\": \"fisheye\","
                             " \"dist_coeffs\": {\"rows\": 4, \"data\": [0.1, 0, 0, 0]}}");
    assert_int_equal(gv_optics_load(&o, path, 1280, 720, &err), GV_OK);
    assert_true(o.lens->model == GV_LENS_FISHEYE && o.lens->k[0] == 0.1);
    gv_optics_free(&o);
    write_text("focal.json", "{\"K\": [[1000,0,640],[0,1000,360],[0,0,1], [1100,0,640],[0,1100,360],[0,0,1]]}");
    assert_int_equal(gv_optics_load(&o, path, 1280, 720, &err), GV_OK);
    assert_true(o.count == 2 && o.lens[1].fx == 1100 && gv_optics_at(&o, 7)->fx == 1100);
    gv_optics_free(&o);
    gv_npz_writer *w = NULL;
    assert_int_equal(gv_npz_create(&w, in_dir("focal.npz"), &err), GV_OK);
    gv_npz_add_f32(w, "K_fullimg", (float[]){700, 0, 320, 0, 700, 180, 0, 0, 1}, 2, 3, 3);
    gv_npz_add_f32(w, "dist", (float[]){-0.5f, 0, 0, 0}, 2, 4, 1);
    assert_int_equal(gv_npz_finish(w, &err), GV_OK);
    assert_int_equal(gv_optics_load(&o, in_dir("focal.npz"), 640, 360, &err), GV_OK);
    assert_true(o.lens->fx == 700 && o.lens->k[0] == -0.5 && o.lens->model == GV_LENS_BROWN);
    gv_optics_free(&o);
}

static void broken_intrinsics_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"K\": 3}",
        "{\"K\": [[1,2],[3,4]]}",
        "{\"K\": \"K\"}",
        "{\"K\": [[1000,5,640],[0,1000,360],[0,0,1]]}", // skew
        "{\"K\": [[-1000,0,640],[0,1000,360],[0,0,1]]}",
        "{\"K\": [[1e300,0,640],[0,1000,360],[0,0,1]]}",
        "{\"K\": [[1000,0,640],[0,1000,360],[0,0,2]]}",
        "{\"K\": [[1000,0,9640],[0,1000,360],[0,0,1]]}",
        "{\"K\": [[1000,0,640],[0,1000,360],[0,0,1]], \"distortion\": [1,2,3]}",
        "{\"K\": [[1000,0,640],[0,1000,360],[0,0,1]], \"distortion\": [1,2,3,[4,[5]]]}",
        "{\"K\": [[1000,0,640],[0,1000,360],[0,0,1]], \"distortion\": [[1,2,3,4],[1,2,3,4]]}",
        "{\"K\": [[1000,0,640],[0,1000,360],[0,0,1]], \"model\": \"magic\"}",
        "{\"K\": [[1000,0,640],[0,1000,360],[0,0,1]], \"model\": \"pinhole\", \"distortion\": [1,0,0,0]}",
        "{\"K\": [[1000,0,640],[0,1000,360],[0,0,1]], \"width\": 640, \"height\": 480}", // another shape
        "{\"fx\": 1000, \"fy\": 1000, \"cx\": 640}",
        "{\"K\": [[[[[[1]]]]]]}",
        "{\"K\": []}",
    };
    gv_optics o;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gv_error err = {0};
        write_text("bad.json", bad[i]);
        assert_int_not_equal(gv_optics_load(&o, in_dir("bad.json"), 1280, 720, &err), GV_OK);
        assert_non_null(strstr(err.text, "bad.json"));
        assert_null(o.lens);
    }
    gv_error err = {0};
    assert_int_equal(gv_optics_load(&o, "nowhere.json", 10, 10, &err), GV_ERR_IO);
    gv_optics_request both = {.focal_length = "26mm", .intrinsics = "x.json"};
    assert_int_equal(gv_optics_choose(&o, &both, "nowhere.mp4", 10, 10, NULL, &err), GV_ERR_ARGUMENT);
}

// A MOV file of three empty boxes with GoPro's settings in the third: the field of view of a wide and a linear lens.
static size_t put(unsigned char *p, const char *key, char type, int size, int count, const void *data) {
    memcpy(p, key, 4), p[4] = (unsigned char)type, p[5] = (unsigned char)size, p[6] = (unsigned char)(count >> 8),
                       p[7] = (unsigned char)count;
    size_t n = (size_t)size * (size_t)count;
    memcpy(p + 8, data, n);
    return 8 + (n + 3) / 4 * 4;
}
static size_t put_box(unsigned char *out, const char *type, const unsigned char *data, size_t n) {
    unsigned char head[8] = {(unsigned char)((n + 8) >> 24), (unsigned char)((n + 8) >> 16),
                             (unsigned char)((n + 8) >> 8), (unsigned char)(n + 8)};
    memcpy(head + 4, type, 4);
    memmove(out + 8, data, n);
    memcpy(out, head, 8);
    return n + 8;
}
static bool lens_of_file(gv_lens *lens, double *sd, const char *path) {
    bool found;
    gv_error err = {0};
    assert_int_equal(gv_lens_from_metadata(&found, lens, sd, path, 1600, 1200, NULL, &err), GV_OK);
    return found;
}
static void metadata_tells_the_field_of_view(void **state) {
    (void)state;
    for (int linear = 0; linear < 2; linear++) {
        unsigned char items[128] = {0}, nest[256] = {0}, file[512] = {0};
        const unsigned char ninety[4] = {0x42, 0xb4, 0, 0}; // 90.0f
        size_t n = put(items, "VFOV", 'c', 1, 1, linear ? "L" : "W");
        n += put(items + n, "ZFOV", 'f', 4, 1, ninety);
        n = put(nest, "DEVC", 0, 1, (int)n, items);
        n = put_box(file, "GPMF", nest, n);
        n = put_box(file, "udta", file, n);
        n = put_box(file, "moov", file, n);
        FILE *f = fopen(in_dir("gopro.mov"), "wb");
        fwrite(file, 1, n, f);
        fclose(f);
        gv_lens lens;
        double sd;
        assert_true(lens_of_file(&lens, &sd, in_dir("gopro.mov")));
        assert_true(fabs(lens.fx - (linear ? 1000 : 1000 / 0.78539816)) < 1e-3);
        assert_int_equal(lens.model, linear ? GV_LENS_PINHOLE : GV_LENS_FISHEYE);
        for (size_t cut = 0; cut < n; cut++) { // any shorter file says nothing, and nothing bad happens
            assert_int_equal(truncate(in_dir("gopro.mov"), (long)(n - 1 - cut)), 0);
            assert_false(lens_of_file(&lens, &sd, in_dir("gopro.mov")));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measured_where_the_camera_turns), cmocka_unit_test(nothing_is_claimed_without_a_turn),
        cmocka_unit_test(a_single_jerk_tells_nothing),
        cmocka_unit_test(lenses_there_and_back),           cmocka_unit_test(bodies_are_bent_as_the_lens_bends),
        cmocka_unit_test(distortion_is_removed),           cmocka_unit_test(intrinsics_are_read),
        cmocka_unit_test(broken_intrinsics_are_refused),   cmocka_unit_test(metadata_tells_the_field_of_view),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
