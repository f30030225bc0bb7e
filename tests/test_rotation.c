// Rotations by their properties: no conversion may lose the rotation, at the half turn and near zero included.
#include "test.h"
#include "geometry/rotation.h"

#include <string.h>

static unsigned long long state = 88172645463325252ull;

static double uniform(double lo, double hi) { // xorshift64
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return lo + (hi - lo) * (double)(state >> 11) / 9007199254740992.0;
}

static void random_aa(float aa[3], double angle) {
    double v[3], n = 0;
    do {
        n = 0;
        for (int i = 0; i < 3; i++) v[i] = uniform(-1, 1), n += v[i] * v[i];
    } while (n < 0.01 || n > 1);
    for (int i = 0; i < 3; i++) aa[i] = (float)(angle * v[i] / sqrt(n));
}

static void assert_rotation(const float R[9], double tolerance) {
    float RRt[9];
    gv_mat3_mul_nt(RRt, R, R);
    for (int i = 0; i < 9; i++) assert_true(fabs(RRt[i] - (i % 4 == 0)) < tolerance);
    double det =
        R[0] * (R[4] * R[8] - R[5] * R[7]) - R[1] * (R[3] * R[8] - R[5] * R[6]) + R[2] * (R[3] * R[7] - R[4] * R[6]);
    assert_true(fabs(det - 1) < tolerance);
}

static void axis_angle_survives(void **s) {
    (void)s;
    const double angles[] = {0, 1e-9, 1e-7, 1e-6, 1e-3, 0.5, 1.5, 3.0, 3.14, 3.1415926, M_PI};
    for (int k = 0; k < 11; k++)
        for (int n = 0; n < 200; n++) {
            float aa[3], R[9], back[3], R2[9], q[4], R3[9];
            random_aa(aa, angles[k]);
            gv_rot_from_aa(R, aa);
            assert_rotation(R, 5e-7);
            gv_rot_to_aa(back, R);
            assert_true(sqrt(back[0] * back[0] + back[1] * back[1] + back[2] * back[2]) < M_PI + 1e-5);
            gv_rot_from_aa(R2, back);
            assert_true(gv_rot_angle(R, R2) < 1e-6);
            gv_quat_from_aa(q, aa);
            gv_rot_from_quat(R3, q);
            assert_true(gv_rot_angle(R, R3) < 1e-6);
            float identity[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
            assert_true(fabs(gv_rot_angle(R, identity) - angles[k]) < 1e-6);
        }
}

static void known_rotation(void **s) { // a quarter turn about z takes x to y: the sign convention
    (void)s;
    float R[9], y[3], d6[6], aa[3] = {0, 0, (float)M_PI_2};
    gv_rot_from_aa(R, aa);
    gv_mat3_apply(y, R, (float[3]){1, 0, 0});
    assert_true(max_abs_diff(y, (float[3]){0, 1, 0}, 3) < 1e-7);
    gv_rot_to_6d(d6, R); // rows, not columns
    assert_true(max_abs_diff(d6, (float[6]){0, -1, 0, 1, 0, 0}, 6) < 1e-7);
}

static void six_numbers_rebuild_a_rotation(void **s) {
    (void)s;
    for (int n = 0; n < 1000; n++) {
        float d6[6], R[9], again[9], d[6];
        for (int i = 0; i < 6; i++) d6[i] = (float)uniform(-2, 2);
        gv_rot_from_6d(R, d6);
        assert_rotation(R, 2e-6);
        gv_rot_to_6d(d, R);
        gv_rot_from_6d(again, d);
        assert_true(max_abs_diff(R, again, 9) < 5e-7);
    }
    float R[9], zero[6] = {0}, parallel[6] = {1, 2, 3, 2, 4, 6};
    gv_rot_from_6d(R, zero);
    for (int i = 0; i < 9; i++) assert_true(R[i] == 0);
    gv_rot_from_6d(R, parallel);
    for (int i = 0; i < 9; i++) assert_true(isfinite(R[i]));
}

// SPEC.md 1.1: a quaternion that is not of unit norm gives a vector of length angle * |q|
static void quaternion_of_other_norm(void **s) {
    (void)s;
    float q[4] = {1.5f * cosf(0.4f), 1.5f * sinf(0.4f), 0, 0}, aa[3];
    gv_quat_to_aa(aa, q);
    assert_true(fabs(aa[0] - 1.5f * 0.8f) < 1e-6 && aa[1] == 0 && aa[2] == 0);
}

static void slerp_goes_the_shorter_way(void **s) {
    (void)s;
    for (int n = 0; n < 500; n++) {
        float a[3], b[3], qa[4], qb[4], q[4], Ra[9], Rb[9], R[9], t = (float)uniform(0, 1);
        random_aa(a, uniform(0, M_PI));
        random_aa(b, uniform(0, M_PI));
        gv_quat_from_aa(qa, a);
        gv_quat_from_aa(qb, b);
        gv_quat_slerp(q, qa, qb, t);
        gv_rot_from_aa(Ra, a);
        gv_rot_from_aa(Rb, b);
        gv_rot_from_quat(R, q);
        float whole = gv_rot_angle(Ra, Rb);
        assert_true(fabs(gv_rot_angle(Ra, R) - t * whole) < 2e-6);
        assert_true(fabs(gv_rot_angle(R, Rb) - (1 - t) * whole) < 2e-6);
    }
    float q[4], same[4] = {0.6f, 0.8f, 0, 0}, opposite[4] = {-0.6f, -0.8f, 0, 0};
    gv_quat_slerp(q, same, opposite, 0.3f);
    assert_true(max_abs_diff(q, same, 4) < 1e-7);
}

static void nearest_rotation(void **s) {
    (void)s;
    for (int n = 0; n < 500; n++) {
        float aa[3], R[9], noisy[9], M[9];
        random_aa(aa, uniform(0, M_PI));
        gv_rot_from_aa(R, aa);
        for (int i = 0; i < 9; i++) noisy[i] = 1.7f * R[i] + (float)uniform(-1e-4, 1e-4);
        memcpy(M, noisy, sizeof M);
        gv_rot_orthonormalise(M);
        assert_rotation(M, 1e-6);
        assert_true(gv_rot_angle(M, R) < 3e-4);
        // optimal: R^T M symmetric for the polar factor
        float P[9];
        gv_mat3_mul_tn(P, M, noisy);
        assert_true(fabs(P[1] - P[3]) < 2e-6 && fabs(P[2] - P[6]) < 2e-6 && fabs(P[5] - P[7]) < 2e-6);
    }
    float mirror[9] = {1, 0, 0, 0, 1, 0, 0, 0, -0.5f}, singular[9] = {0, 0, 0, 0, 0, 0, 0, 0, 2};
    gv_rot_orthonormalise(mirror);
    assert_rotation(mirror, 1e-6);
    gv_rot_orthonormalise(singular);
    assert_rotation(singular, 1e-6);
}

static void products(void **s) {
    (void)s;
    float a[9], b[9], bt[9], at[9], x[9], y[9], v[3] = {1, -2, 3}, u[3], w[3];
    for (int i = 0; i < 9; i++) a[i] = (float)uniform(-1, 1), b[i] = (float)uniform(-1, 1);
    for (int i = 0; i < 9; i++) bt[i] = b[i % 3 * 3 + i / 3], at[i] = a[i % 3 * 3 + i / 3];
    gv_mat3_mul(x, a, b);
    assert_true(fabs(x[1] - (a[0] * b[1] + a[1] * b[4] + a[2] * b[7])) < 1e-6);
    gv_mat3_mul_nt(y, a, bt);
    assert_true(max_abs_diff(x, y, 9) < 1e-6);
    gv_mat3_mul_tn(y, at, b);
    assert_true(max_abs_diff(x, y, 9) < 1e-6);
    gv_mat3_apply(u, a, v);
    gv_mat3_apply_t(w, at, v);
    assert_true(max_abs_diff(u, w, 3) < 1e-6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axis_angle_survives),
        cmocka_unit_test(known_rotation),
        cmocka_unit_test(six_numbers_rebuild_a_rotation),
        cmocka_unit_test(quaternion_of_other_norm),
        cmocka_unit_test(slerp_goes_the_shorter_way),
        cmocka_unit_test(nearest_rotation),
        cmocka_unit_test(products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
