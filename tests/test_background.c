// The background's motion on made pictures whose motion is known.
#include "camera/background.h"
#include "test.h"

#include <string.h>

enum { W = 320, H = 240 };

static float texture(float x, float y) { // smooth, with structure of some pixels everywhere
    return 128 + 40 * sinf(0.21f * x + 0.4f * sinf(0.13f * y)) + 40 * sinf(0.17f * y + 0.5f * sinf(0.11f * x)) +
           30 * sinf(0.33f * x - 0.27f * y);
}

// What a camera sees after the background has moved by q = s R p + t.
static void draw(uint8_t *rgb, float angle, float scale, float tx, float ty) {
    float c = cosf(angle) / scale, s = sinf(angle) / scale;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            float u = (float)x + 0.5f - tx, v = (float)y + 0.5f - ty;
            float g = texture(c * u + s * v, -s * u + c * v);
            memset(rgb + 3 * (y * W + x), (int)fmaxf(0, fminf(255, g)), 3);
        }
}

static void similarities_are_found(void **state) {
    (void)state;
    static const float motion[][4] = {{0, 1, 4, -3}, {0.02f, 1, 1, 2}, {0, 1.02f, -3, -2}, {-0.01f, 0.99f, 5, 1}};
    uint8_t *rgb = malloc(3 * W * H);
    const float person[1][4] = {{100, 60, 180, 220}};
    for (size_t i = 0; i < sizeof motion / sizeof *motion; i++) {
        const float *m = motion[i];
        gv_background *b = NULL;
        gv_error err = {0};
        double warp[2][3];
        assert_int_equal(gv_background_create(&b, W, H, &err), GV_OK);
        draw(rgb, 0, 1, 0, 0);
        gv_background_frame(b, rgb, 3 * W, person, 1, warp);
        assert_true(warp[0][0] == 1 && warp[0][2] == 0 && warp[1][1] == 1); // nothing before
        draw(rgb, m[0], m[1], m[2], m[3]);
        gv_background_frame(b, rgb, 3 * W, person, 1, warp);
        for (int corner = 0; corner < 4; corner++) {
            double x = corner & 1 ? W : 0, y = corner & 2 ? H : 0;
            double c = m[1] * cosf(m[0]), s = m[1] * sinf(m[0]);
            double dx = warp[0][0] * x + warp[0][1] * y + warp[0][2] - (c * x - s * y + m[2]);
            double dy = warp[1][0] * x + warp[1][1] * y + warp[1][2] - (s * x + c * y + m[3]);
            if (hypot(dx, dy) > 0.3) fail_msg("motion %zu: %.3f px off", i, hypot(dx, dy));
        }
        gv_background_destroy(b);
    }
    free(rgb);
}

static void still_and_empty_pictures_are_the_identity(void **state) {
    (void)state;
    uint8_t *rgb = malloc(3 * W * H);
    gv_background *b = NULL;
    gv_error err = {0};
    assert_int_equal(gv_background_create(&b, W, H, &err), GV_OK);
    for (int t = 0; t < 6; t++) {
        double warp[2][3];
        if (t < 3)
            draw(rgb, 0, 1, 0, 0);
        else
            memset(rgb, t, 3 * W * H);
        gv_background_frame(b, rgb, 3 * W, NULL, 0, warp);
        for (int r = 0; r < 2; r++)
            for (int c = 0; c < 3; c++) assert_true(warp[r][c] == (r == c));
    }
    gv_background_destroy(b);
    gv_background_destroy(NULL);
    free(rgb);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(similarities_are_found),
        cmocka_unit_test(still_and_empty_pictures_are_the_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
