#include "../bench/figure.h"
#include "test.h"

#include <omp.h>
#include <string.h>

enum { W = 200, H = 150 };

static gv_view camera(float distance) { // looks along -z at the origin, y up
    return (gv_view){
        .K = {180, 0, 100, 0, 180, 75, 0, 0, 1}, .R = {1, 0, 0, 0, -1, 0, 0, 0, -1}, .t = {0, 0, distance}};
}

static uint8_t *grey(int w, int h) {
    uint8_t *rgb = malloc(3 * (size_t)w * (size_t)h);
    memset(rgb, 100, 3 * (size_t)w * (size_t)h);
    return rgb;
}

static figure sphere(float y, float r, const float *colour) { // a capsule of almost no length
    const float a[3] = {0, y - 1e-5f, 0}, b[3] = {0, y + 1e-5f, 0};
    figure f = {.position = calloc(64 * 64, 12), .normal = calloc(64 * 64, 12), .face = calloc(2 * 64 * 64, 12)};
    figure_capsule(&f, a, b, r, 64, 32);
    f.mesh.position = f.position, f.mesh.normal = f.normal, f.mesh.face = f.face;
    memcpy(f.mesh.colour, colour, sizeof f.mesh.colour);
    return f;
}

// A rectangle in the plane z, facing the camera.
static gv_mesh sheet(float position[12], float x0, float x1, float y0, float y1, float z, const float *colour) {
    static const float normal[12] = {0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1};
    static const int32_t face[6] = {0, 1, 2, 0, 2, 3};
    const float p[12] = {x0, y0, z, x1, y0, z, x1, y1, z, x0, y1, z};
    memcpy(position, p, sizeof p);
    gv_mesh m = {4, 2, position, normal, face, {0}, NULL};
    memcpy(m.colour, colour, sizeof m.colour);
    return m;
}

static const float black[3] = {0, 0, 0}, red[3] = {0.6f, 0.05f, 0.05f}, blue[3] = {0.05f, 0.05f, 0.6f};

static void a_sheet_covers_its_pixels_and_no_others(void **state) {
    (void)state;
    gv_canvas *c = gv_canvas_create(W, H);
    uint8_t *rgb = grey(W, H);
    gv_view v = camera(2);
    float p[12];
    // 180 px / 2 m = 90 px a metre: x from 55.25 to 140.5, y from 30 to 119.5
    gv_mesh m = sheet(p, -44.75f / 90, 40.5f / 90, -44.5f / 90, 45.0f / 90, 0, red);
    assert_true(gv_render_over(c, rgb, 3 * W, &v, &m, 1, 1));
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            const uint8_t *q = rgb + 3 * (y * W + x);
            bool outside = x < 55 || x > 141 || y < 29 || y > 120, inside = x > 56 && x < 140 && y > 30 && y < 119;
            if (outside) assert_true(q[0] == 100 && q[1] == 100 && q[2] == 100);
            if (inside) assert_true(q[0] > q[1] + 50);
        }
    free(rgb);
    gv_canvas_destroy(c);
}

// A black ball's coverage, summed over the anti-aliased edge, is the area of its outline.
static void outline_has_the_right_area(void **state) {
    (void)state;
    gv_canvas *c = gv_canvas_create(W, H);
    uint8_t *full = grey(W, H), *picture = grey(W, H);
    figure f = sphere(0, 0.4f, black);
    gv_view v = camera(2);
    assert_true(gv_render_over(c, picture, 3 * W, &v, &f.mesh, 1, 1));
    int changed = 0, partly = 0;
    for (int i = 0; i < W * H; i++) {
        changed += memcmp(picture + 3 * i, full + 3 * i, 3) != 0;
        partly += picture[3 * i] > 70 && picture[3 * i] < 100;
    }
    // outline radius f r / sqrt(d^2 - r^2) = 36.74 px; the outermost pixels count whole, half of them on
    // average
    const double radius = 180 * 0.4 / sqrt(4 - 0.16), area = M_PI * radius * radius, rim = 2 * M_PI * radius;
    assert_true(changed > area && changed < area + 1.1 * rim);
    assert_true(partly > 0.3 * rim);
    figure_destroy(&f);
    free(full);
    free(picture);
    gv_canvas_destroy(c);
}

static void the_nearest_is_seen_and_alpha_blends(void **state) {
    (void)state;
    gv_canvas *c = gv_canvas_create(W, H);
    gv_view v = camera(2);
    float p[2][12];
    gv_mesh near_red = sheet(p[0], -0.3f, 0.3f, -0.3f, 0.3f, 0.2f, red),
            far_blue = sheet(p[1], -0.5f, 0.5f, -0.5f, 0.5f, -0.2f, blue);
    const gv_mesh order[2][2] = {{near_red, far_blue}, {far_blue, near_red}};
    uint8_t *a = grey(W, H), *b = grey(W, H), *half = grey(W, H), *none = grey(W, H);
    assert_true(gv_render_over(c, a, 3 * W, &v, order[0], 2, 1));
    assert_true(gv_render_over(c, b, 3 * W, &v, order[1], 2, 1));
    assert_memory_equal(a, b, 3 * W * H);
    const uint8_t *middle = a + 3 * (75 * W + 100), *side = a + 3 * (75 * W + 64);
    assert_true(middle[0] > 100 && middle[2] < 90);
    assert_true(side[2] > 100 && side[0] < 90);
    assert_true(gv_render_over(c, half, 3 * W, &v, order[0], 2, 0.5f));
    assert_true(gv_render_over(c, none, 3 * W, &v, order[0], 2, 0));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(none[3 * (75 * W + 100) + i], 100);
        int h = half[3 * (75 * W + 100) + i], lo = middle[i] < 100 ? middle[i] : 100,
            hi = middle[i] < 100 ? 100 : middle[i];
        assert_true(h > lo && h < hi);
    }
    free(a), free(b), free(half), free(none);
    gv_canvas_destroy(c);
}

// A floor that runs from before to behind the camera fills the lower half of the picture to its edge.
static void what_is_behind_the_camera_is_cut_off(void **state) {
    (void)state;
    gv_canvas *c = gv_canvas_create(W, H);
    uint8_t *rgb = grey(W, H);
    gv_view v = camera(0);
    const float p[12] = {-500, -1, 50, 500, -1, 50, 500, -1, -500, -500, -1, -500},
                n[12] = {0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0};
    const int32_t face[6] = {0, 1, 2, 0, 2, 3};
    gv_mesh m = {4, 2, p, n, face, {0.6f, 0.05f, 0.05f}, NULL};
    assert_true(gv_render_over(c, rgb, 3 * W, &v, &m, 1, 1));
    for (int x = 0; x < W; x++) {
        assert_int_equal(rgb[3 * (74 * W + x)], 100);
        for (int y = 77; y < H; y++) assert_true(rgb[3 * (y * W + x)] != 100);
    }
    v.t[2] = -600; // all of it behind
    uint8_t *same = grey(W, H);
    memset(rgb, 100, 3 * W * H);
    assert_true(gv_render_over(c, rgb, 3 * W, &v, &m, 1, 1));
    assert_memory_equal(rgb, same, 3 * W * H);
    free(rgb), free(same);
    gv_canvas_destroy(c);
}

static void broken_meshes_do_no_harm(void **state) {
    (void)state;
    gv_canvas *c = gv_canvas_create(W, H);
    uint8_t *rgb = grey(W, H), *same = grey(W, H);
    gv_view v = camera(2);
    const float p[9] = {NAN, 0, 0, 1, INFINITY, 0, 0, 1e30f, 0}, n[9] = {0};
    const int32_t face[9] = {0, 1, 2, -1, 0, 1, 0, 1, 3};
    gv_mesh m = {3, 3, p, n, face, {1, 1, 1}, NULL};
    assert_true(gv_render_over(c, rgb, 3 * W, &v, &m, 1, 1));
    assert_memory_equal(rgb, same, 3 * W * H);
    assert_true(gv_render_over(c, rgb, 3 * W, &v, NULL, 0, 1));
    assert_true(gv_render_world(c, rgb, 3 * W, &v, &m, 1, NULL, 0));
    gv_view nowhere = v;
    nowhere.t[0] = NAN;
    nowhere.K[0] = 0;
    assert_true(gv_render_world(c, rgb, 3 * W, &nowhere, &m, 1, NULL, 0));
    assert_true(gv_render_over(c, rgb, 3 * W, &nowhere, &m, 1, 1));
    assert_null(gv_canvas_create(0, 10));
    assert_null(gv_canvas_create(10, 20000));
    free(rgb), free(same);
    gv_canvas_destroy(c);
}

static void world_has_sky_ground_and_shadow(void **state) {
    (void)state;
    enum { BW = 640, BH = 360 };
    gv_canvas *c = gv_canvas_create(BW, BH);
    uint8_t *empty = grey(BW, BH), *rgb = grey(BW, BH), *again = grey(BW, BH);
    figure f = sphere(0.5f, 0.5f, red);
    const float lo[3] = {-1, 0, -1}, hi[3] = {1, 1.5f, 1}, trace[6] = {-1, 0, 0.9f, 1, 0, 0.9f};
    gv_view v = gv_view_outside(lo, hi, BW, BH);
    assert_true(gv_render_world(c, empty, 3 * BW, &v, NULL, 0, NULL, 0));
    assert_true(gv_render_world(c, rgb, 3 * BW, &v, &f.mesh, 1, NULL, 0));
    assert_true(gv_render_world(c, again, 3 * BW, &v, &f.mesh, 1, NULL, 0));
    assert_memory_equal(rgb, again, 3 * BW * BH);
    assert_true(empty[2] > empty[0]); // the sky is bluish
    int darker = 0, redder = 0;
    for (int i = 0; i < BW * BH; i++) {
        bool is_red = rgb[3 * i] > rgb[3 * i + 2] + 30;
        redder += is_red;
        darker += !is_red && rgb[3 * i] + 20 < empty[3 * i];
    }
    assert_true(redder > 2000);
    assert_true(darker > 500);
    gv_path path = {trace, 2, {0, 0, 0}};
    assert_true(gv_render_world(c, again, 3 * BW, &v, NULL, 0, &path, 1));
    int line = 0;
    for (int i = 0; i < BW * BH; i++) line += again[3 * i] + 30 < empty[3 * i];
    assert_true(line > 200 && line < 3000);
    assert_true(gv_render_world(c, again, 3 * BW, &v, NULL, 0, NULL, 0)); // the path leaves nothing behind
    assert_memory_equal(again, empty, 3 * BW * BH);
    v.t[0] += 0.2f; // another view is another background
    assert_true(gv_render_world(c, again, 3 * BW, &v, NULL, 0, NULL, 0));
    assert_true(memcmp(again, empty, 3 * BW * BH) != 0);
    figure_destroy(&f);
    free(empty), free(rgb), free(again);
    gv_canvas_destroy(c);
}

static void outside_view_holds_the_box(void **state) {
    (void)state;
    const float boxes[4][6] = {
        {0, 0, 0, 0, 0, 0}, {-3, 0, -1, 9, 2, 1}, {0, 0, -20, 1, 2, 5}, {-40, 0, -40, 40, 3, 40}};
    for (int b = 0; b < 4; b++)
        for (int portrait = 0; portrait < 2; portrait++) {
            int w = portrait ? 360 : 640, h = portrait ? 640 : 360;
            gv_view v = gv_view_outside(boxes[b], boxes[b] + 3, w, h);
            for (int k = 0; k < 8; k++) {
                float q[3];
                for (int i = 0; i < 3; i++) {
                    q[i] = v.t[i];
                    for (int j = 0; j < 3; j++) q[i] += v.R[3 * i + j] * boxes[b][(k >> j & 1 ? 3 : 0) + j];
                }
                float x = v.K[0] * q[0] / q[2] + v.K[2], y = v.K[4] * q[1] / q[2] + v.K[5];
                assert_true(q[2] > 0.05f && x > 0 && y > 0 && x < (float)w && y < (float)h);
            }
            assert_true(v.R[4] < 0); // y of the world points up in the picture
        }
}

static void threads_do_not_change_the_picture(void **state) {
    (void)state;
    figure f = figure_create(0, 0, 20, 8, gv_palette(0));
    const float lo[3] = {-1, 0, -1}, hi[3] = {1, 1.8f, 1};
    gv_view v = gv_view_outside(lo, hi, 320, 240);
    uint8_t *out[2];
    for (int i = 0; i < 2; i++) {
        omp_set_num_threads(i ? 3 : 1);
        gv_canvas *c = gv_canvas_create(320, 240);
        out[i] = grey(320, 240);
        assert_true(gv_render_world(c, out[i], 960, &v, &f.mesh, 1, NULL, 0));
        gv_canvas_destroy(c);
    }
    omp_set_num_threads(2);
    assert_memory_equal(out[0], out[1], 320 * 240 * 3);
    free(out[0]), free(out[1]);
    figure_destroy(&f);
}

static void text_and_pairs_of_pictures(void **state) {
    (void)state;
    const uint8_t white[3] = {255, 255, 255};
    uint8_t *rgb = grey(W, H);
    gv_draw_text(rgb, W, H, 3 * W, 10, 10, 1, white, 1, "1i");
    int dots = 0;
    for (int i = 0; i < W * H; i++) dots += rgb[3 * i] == 255;
    assert_int_equal(dots, 10 + 11);
    assert_int_equal(gv_text_width(2, "1i"), 22);
    gv_draw_text(rgb, W, H, 3 * W, -3, -4, 3, white, 0.5f, "AZ\xff 09"); // over the border
    gv_draw_text(rgb, W, H, 3 * W, W - 5, H - 5, 3, white, 0.5f, "#%");
    uint8_t *left = grey(4, 2), right[2 * 9], out[2 * 24] = {0};
    memset(right, 7, sizeof right);
    gv_compose_side_by_side(out, 24, left, 4, 12, right, 3, 9, 2);
    for (int y = 0; y < 2; y++)
        for (int x = 0; x < 24; x++) assert_int_equal(out[24 * y + x], x < 12 ? 100 : x < 21 ? 7 : 0);
    free(rgb), free(left);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sheet_covers_its_pixels_and_no_others),
        cmocka_unit_test(outline_has_the_right_area),
        cmocka_unit_test(the_nearest_is_seen_and_alpha_blends),
        cmocka_unit_test(what_is_behind_the_camera_is_cut_off),
        cmocka_unit_test(broken_meshes_do_no_harm),
        cmocka_unit_test(world_has_sky_ground_and_shadow),
        cmocka_unit_test(outside_view_holds_the_box),
        cmocka_unit_test(threads_do_not_change_the_picture),
        cmocka_unit_test(text_and_pairs_of_pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
