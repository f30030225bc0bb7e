// Drawing a prediction towards keypoints: keypoints of a known other pose pull it there; its own keypoints, or none,
// leave it alone.
#include "body/body.h"
#include "geometry/rotation.h"
#include "network/statistics.h"
#include "pipeline/refine.h"
#include "pipeline/swing.h"
#include "test.h"

#include <string.h>

enum { FRAMES = 40 };

// A prediction: small smooth variations about the mean pose, facing the camera, 4 m away.
static void make_prediction(float *pred_x, float *pred_cam, const gv_observations *o, float amount) {
    const float facing[6] = {1, 0, 0, 0, -1, 0}; // rows of diag(1, -1, -1): upright in a camera with y down
    for (int t = 0; t < FRAMES; t++) {
        float *x = pred_x + GV_PRED_X * t;
        for (int i = 0; i < GV_PRED_X; i++) x[i] = amount * sinf(0.1f * (float)t + (float)i) * (i < GV_X_BETAS ? 1 : 0);
        for (int i = 0; i < 6; i++) {
            x[GV_X_ORIENT_C + i] = (facing[i] - gv_pred_x_mean[GV_X_ORIENT_C + i]) / gv_pred_x_std[GV_X_ORIENT_C + i];
            x[GV_X_ORIENT_GV + i] =
                (facing[i] - gv_pred_x_mean[GV_X_ORIENT_GV + i]) / gv_pred_x_std[GV_X_ORIENT_GV + i];
        }
        float side = o->bbx_xys[3 * t + 2], z = 4;
        pred_cam[3 * t] = 2 * o->K[9 * t] / (z * side);
        pred_cam[3 * t + 1] = 0;
        pred_cam[3 * t + 2] = 0.3f; // the pelvis lies below the rest body's origin
    }
}

static void make_observations(gv_observations *o) {
    gv_error err = {0};
    assert_int_equal(gv_observations_alloc(o, FRAMES, &err), GV_OK);
    o->fps = 30;
    for (int t = 0; t < FRAMES; t++) {
        float *K = o->K + 9 * t, *box = o->bbx_xys + 3 * t;
        K[0] = K[4] = 1000;
        K[2] = 640;
        K[5] = 360;
        box[0] = 640;
        box[1] = 360;
        box[2] = 520;
    }
}

// The keypoints that a prediction shows.
static void show(gv_observations *o, const float *pred_x, const float *pred_cam, const gv_body *body,
                 float confidence) {
    gv_points *p = gv_points_create(body, body->coco17, 17);
    assert_non_null(p);
    for (int t = 0; t < FRAMES; t++) {
        float y[GV_PRED_X], R[9], aa[66], points[51], transl[3];
        for (int i = 0; i < GV_PRED_X; i++) y[i] = pred_x[GV_PRED_X * t + i] * gv_pred_x_std[i] + gv_pred_x_mean[i];
        for (int j = 0; j < 22; j++) {
            gv_rot_from_6d(R, j ? y + 6 * (j - 1) : y + GV_X_ORIENT_C);
            gv_rot_to_aa(aa + 3 * j, R);
        }
        transl[0] = pred_cam[3 * t + 1];
        transl[1] = pred_cam[3 * t + 2];
        transl[2] = 2 * o->K[9 * t] / (o->bbx_xys[3 * t + 2] * pred_cam[3 * t]);
        gv_points_pose(p, y + GV_X_BETAS, aa + 3, aa, transl, points, NULL);
        for (int k = 0; k < 17; k++) {
            o->kp2d[51 * t + 3 * k] = 1000 * points[3 * k] / points[3 * k + 2] + 640;
            o->kp2d[51 * t + 3 * k + 1] = 1000 * points[3 * k + 1] / points[3 * k + 2] + 360;
            o->kp2d[51 * t + 3 * k + 2] = confidence;
        }
    }
    gv_points_destroy(p);
}

typedef struct fixture {
    gv_body *body;
    gv_observations o;
    float x[FRAMES * GV_PRED_X], cam[FRAMES * 3], x0[FRAMES * GV_PRED_X], cam0[FRAMES * 3];
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    gv_error err = {0};
    if (!f || gv_body_open(&f->body, NULL, &err) != GV_OK) {
        print_message("%s\n", err.text);
        return -1;
    }
    make_observations(&f->o);
    make_prediction(f->x0, f->cam0, &f->o, 0.3f);
    memcpy(f->x, f->x0, sizeof f->x);
    memcpy(f->cam, f->cam0, sizeof f->cam);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    gv_body_close(f->body);
    gv_observations_free(&f->o);
    free(f);
    return 0;
}

static double beta(const float *x, int t, int i) {
    return x[GV_PRED_X * t + GV_X_BETAS + i] * gv_pred_x_std[GV_X_BETAS + i] + gv_pred_x_mean[GV_X_BETAS + i];
}

static void another_pose_pulls(void **state) {
    fixture *f = *state;
    gv_error err = {0};
    float other[FRAMES * GV_PRED_X], cam[FRAMES * 3];
    make_prediction(other, cam, &f->o, 1.0f);
    for (int t = 0; t < FRAMES; t++) cam[3 * t + 1] += 0.15f;
    show(&f->o, other, cam, f->body, 0.9f);
    double before = gv_reprojection_error(f->x, f->cam, &f->o, f->body);
    assert_int_equal(gv_refine_prediction(f->x, f->cam, &f->o, f->body, &err), GV_OK);
    double after = gv_reprojection_error(f->x, f->cam, &f->o, f->body);
    assert_true(before > 0.03);
    if (!(after < before / 4)) fail_msg("error %.4f before, %.4f after", before, after);
    for (int i = 0; i < FRAMES * GV_PRED_X; i++) assert_true(isfinite(f->x[i]));
    for (int t = 0; t < FRAMES; t++) // another pose is no other shape
        for (int i = 0; i < 10; i++) assert_true(fabs(beta(f->x, t, i) - beta(f->x0, t, i)) < 0.7);
}

// Long legs and short arms show in the keypoints (hanging arms less: turning does the same); one change for all frames.
static void proportions_follow_the_keypoints(void **state) {
    fixture *f = *state;
    gv_error err = {0};
    enum { LEGS = 2, ARMS = 3 };
    float other[FRAMES * GV_PRED_X];
    memcpy(other, f->x0, sizeof other);
    for (int t = 0; t < FRAMES; t++) {
        float *x = other + GV_PRED_X * t + GV_X_BETAS;
        x[LEGS] += 2 / gv_pred_x_std[GV_X_BETAS + LEGS];
        x[ARMS] -= 2 / gv_pred_x_std[GV_X_BETAS + ARMS];
    }
    show(&f->o, other, f->cam0, f->body, 0.9f);
    assert_int_equal(gv_refine_prediction(f->x, f->cam, &f->o, f->body, &err), GV_OK);
    double change[10];
    for (int i = 0; i < 10; i++) change[i] = beta(f->x, 0, i) - beta(f->x0, 0, i);
    if (!(change[LEGS] > 0.8 && change[LEGS] < 2.5 && change[ARMS] < -0.3 && change[ARMS] > -2.5))
        fail_msg("legs %+.2f, arms %+.2f, shown were +2 and -2", change[LEGS], change[ARMS]);
    for (int t = 1; t < FRAMES; t++)
        for (int i = 0; i < 10; i++) assert_true(fabs(beta(f->x, t, i) - beta(f->x0, t, i) - change[i]) < 1e-4);
}

static void own_keypoints_change_nothing(void **state) {
    fixture *f = *state;
    gv_error err = {0};
    show(&f->o, f->x0, f->cam0, f->body, 0.9f);
    assert_true(gv_reprojection_error(f->x0, f->cam0, &f->o, f->body) < 1e-5);
    assert_int_equal(gv_refine_prediction(f->x, f->cam, &f->o, f->body, &err), GV_OK);
    for (int t = 0; t < FRAMES; t++)
        for (int j = 0; j < 22; j++) {
            float A[9], B[9], a[6], b[6];
            int first = j ? 6 * (j - 1) : GV_X_ORIENT_C;
            for (int i = 0; i < 6; i++) {
                a[i] = f->x[GV_PRED_X * t + first + i] * gv_pred_x_std[first + i] + gv_pred_x_mean[first + i];
                b[i] = f->x0[GV_PRED_X * t + first + i] * gv_pred_x_std[first + i] + gv_pred_x_mean[first + i];
            }
            gv_rot_from_6d(A, a);
            gv_rot_from_6d(B, b);
            assert_true(gv_rot_angle(A, B) < 2e-3);
        }
}

// One frame's turn of both upper arms: where the left wrist is seen to swing, the left one is hardly smoothed; the
// right one, the legs, and all frames far away are smoothed as ever. What flies to and fro is no swing.
static void swinging_arms_are_smoothed_less(void **state) {
    (void)state;
    gv_error err = {0};
    enum { L = 60, AT = 30, LEFT = 6 * 15, RIGHT = 6 * 16, LEG = 0 };
    float *x = calloc(2 * L, GV_PRED_X * sizeof *x), *y = x + L * GV_PRED_X;
    gv_observations o = {0};
    assert_int_equal(gv_observations_alloc(&o, L, &err), GV_OK);
    for (int shaking = 0; shaking < 2; shaking++) {
        for (int t = 0; t < L; t++) {
            for (int i = 0; i < GV_PRED_X; i++) x[GV_PRED_X * t + i] = t == AT;
            for (int k = 0; k < 17; k++) o.kp2d[51 * t + 3 * k + 2] = 0.9f;
            o.bbx_xys[3 * t + 2] = 300;
            o.time_sec[t] = t / 30.0;
            const float wrist = shaking ? 30 * (float)(t % 2) : 200 * tanhf((float)(t - AT) / 3); // px
            o.kp2d[51 * t + 3 * 9] = wrist;
        }
        memcpy(y, x, L * GV_PRED_X * sizeof *y);
        const double seen = gv_swing(o.kp2d, o.bbx_xys, o.time_sec, L, AT, 0);
        assert_true(shaking ? seen == 0 : seen > 0.9);
        assert_true(gv_swing(o.kp2d, o.bbx_xys, o.time_sec, L, AT, 1) == 0);
        assert_int_equal(gv_smooth_prediction(x, L, NULL, &err), GV_OK);
        assert_int_equal(gv_smooth_prediction(y, L, &o, &err), GV_OK);
        const float *plain = x + GV_PRED_X * AT, *swung = y + GV_PRED_X * AT;
        if (shaking)
            assert_memory_equal(x, y, L * GV_PRED_X * sizeof *x);
        else
            assert_true(swung[LEFT] > 0.6f && plain[LEFT] < 0.3f);
        assert_float_equal(swung[RIGHT], plain[RIGHT], 0);
        assert_float_equal(swung[LEG], plain[LEG], 0);
        assert_float_equal(y[GV_PRED_X * (AT + 9) + LEFT], x[GV_PRED_X * (AT + 9) + LEFT], 1e-6);
    }
    gv_observations_free(&o);
    free(x);
}

static void nothing_seen_changes_little(void **state) {
    fixture *f = *state;
    gv_error err = {0};
    show(&f->o, f->x0, f->cam0, f->body, 0.0f);
    assert_true(gv_reprojection_error(f->x0, f->cam0, &f->o, f->body) < 0);
    assert_int_equal(gv_refine_prediction(f->x, f->cam, &f->o, f->body, &err), GV_OK);
    assert_true(max_abs_diff(f->cam, f->cam0, FRAMES * 3) < 1e-5);
    for (int i = 0; i < FRAMES * GV_PRED_X; i++) assert_true(isfinite(f->x[i]));
}

static void absurd_keypoints_do_no_harm(void **state) {
    fixture *f = *state;
    gv_error err = {0};
    show(&f->o, f->x0, f->cam0, f->body, 0.9f);
    for (int i = 0; i < FRAMES * 17; i++) f->o.kp2d[3 * i] = (float)(i * 7919 % 100003) * 1e3f;
    assert_int_equal(gv_refine_prediction(f->x, f->cam, &f->o, f->body, &err), GV_OK);
    for (int i = 0; i < FRAMES * GV_PRED_X; i++) assert_true(isfinite(f->x[i]));
    for (int i = 0; i < FRAMES * 3; i++) assert_true(isfinite(f->cam[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(another_pose_pulls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(proportions_follow_the_keypoints, set_up, tear_down),
        cmocka_unit_test_setup_teardown(own_keypoints_change_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_seen_changes_little, set_up, tear_down),
        cmocka_unit_test_setup_teardown(absurd_keypoints_do_no_harm, set_up, tear_down),
        cmocka_unit_test(swinging_arms_are_smoothed_less),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
