// Prediction before refinement is of both the frames and their mirror image: whoever is seen in a mirror moves as the
// mirror's image of what he does, whatever the network itself makes of left and right.
#include "base/file.h"
#include "body/body.h"
#include "pipeline/mirror.h"
#include "pipeline/predict.h"
#include "test.h"

#include <string.h>

enum { L = 60, J = GV_MOTION_JOINTS };

// Points that tremble about those of somebody who stands and raises one arm; guesses in space likewise.
static void somebody(gv_observations *o) {
    static const float at[17][2] = {{0, -8},    {1, -9}, {-1, -9}, {2, -8},  {-2, -8},  {4, -5},
                                    {-4, -5},   {6, -2}, {-7, -7}, {6, 1.5}, {-8, -10}, {2.5f, 2},
                                    {-2.5f, 2}, {3, 6},  {-2, 6},  {3, 10},  {-2, 10}};
    gv_error err = {0};
    assert_int_equal(gv_observations_alloc(o, L, &err), GV_OK);
    o->kp3d = calloc(L, sizeof(float[51]));
    assert_non_null(o->kp3d);
    o->fps = 30, o->width = 1280, o->height = 720;
    for (int t = 0; t < L; t++) {
        o->time_sec[t] = t / 30.0;
        float *K = o->K + 9 * t, *box = o->bbx_xys + 3 * t;
        K[0] = K[4] = 1100, K[2] = 640, K[5] = 360;
        box[0] = 500 + 3 * (float)t, box[1] = 380, box[2] = 400;
        for (int k = 0; k < 17; k++) {
            float *p = o->kp2d + 51 * t + 3 * k, *s = o->kp3d + 51 * t + 3 * k;
            double sway = sin(0.11 * t + k), stir = cos(0.23 * t - 2 * k);
            s[0] = (float)(0.085 * at[k][0] + 0.02 * sway), s[1] = (float)(0.085 * (at[k][1] - 2) + 0.02 * stir);
            s[2] = (float)(0.1 * sin(0.17 * t + 3 * k));
            p[0] = box[0] + 210 * s[0], p[1] = box[1] + 210 * s[1], p[2] = 0.9f;
        }
    }
}

// The largest distance of a motion's joints from the mirror image of another's, m.
static double apart(const float *a, const float *b) {
    static const int other[J] = {0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20};
    double worst = 0;
    for (int t = 0; t < L; t++)
        for (int j = 0; j < J; j++)
            for (int c = 0; c < 3; c++) {
                double d = (double)a[3 * (J * t + j) + c] - (c ? 1 : -1) * (double)b[3 * (J * t + other[j]) + c];
                worst = fmax(worst, fabs(d));
            }
    return worst;
}

static void left_and_right_are_treated_alike(void **state) {
    (void)state;
    gv_error err = {0};
    gv_body *body = NULL;
    gv_network *net = NULL;
    char *weights = gv_resource_find("gvhmr-compact.safetensors", &err);
    gv_observations o, m;
    assert_non_null(weights);
    assert_int_equal(gv_body_open(&body, NULL, &err), GV_OK);
    assert_int_equal(gv_network_open(&net, weights, 0, GV_PRECISION_F32, NULL, &err), GV_OK);
    somebody(&o);
    // principal point in the middle: the mirror's camera is the same
    assert_int_equal(gv_mirror_observations(&m, &o, &err), GV_OK);
    m.fps = o.fps;
    memcpy(m.time_sec, o.time_sec, L * sizeof *o.time_sec);
    double camera[2], world[2];
    for (int refine = 0; refine < 2; refine++) {
        gv_predict_options p = {.static_camera = true, .refine = refine};
        gv_motion a, b;
        if (gv_predict(&a, net, body, &o, &p, NULL, &err) || gv_predict(&b, net, body, &m, &p, NULL, &err))
            fail_msg("%s", err.text);
        camera[refine] = apart(a.joints_incam, b.joints_incam), world[refine] = apart(a.joints_world, b.joints_world);
        gv_motion_free(&a), gv_motion_free(&b);
    }
    print_message("a joint is apart from its mirror image by at most %.4f m in the camera, %.4f m in the world; the "
                  "network's own %.3f, %.3f\n",
                  camera[1], world[1], camera[0], world[0]);
    assert_true(camera[0] > 0.01 && world[0] > 0.01); // else nothing is tested
    assert_true(camera[1] < 0.002 && world[1] < 0.01);
    gv_observations_free(&o), gv_observations_free(&m);
    gv_network_close(net), gv_body_close(body);
    free(weights);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(left_and_right_are_treated_alike)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
