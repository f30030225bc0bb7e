#include "body/body.h"
#include "test.h"

static gv_body *open_mannequin(void) {
    gv_body *b;
    gv_error err = {0};
    if (gv_body_open(&b, NULL, &err) != GV_OK) fail_msg("%s", err.text);
    return b;
}

static double length(const float *a, const float *b) {
    return sqrt(pow(a[0] - b[0], 2) + pow(a[1] - b[1], 2) + pow(a[2] - b[2], 2));
}

static void skeleton_is_a_person(void **state) {
    (void)state;
    gv_body *b = open_mannequin();
    const float *J = b->J_template;
    struct { int a, b; double length; } bones[] = {{1, 4, 0.391}, {4, 7, 0.429}, {16, 18, 0.275}, {18, 20, 0.264}, {1, 2, 0.166}};
    for (size_t i = 0; i < sizeof bones / sizeof *bones; i++)
        assert_true(fabs(length(J + 3 * bones[i].a, J + 3 * bones[i].b) - bones[i].length) < 1e-3);
    assert_true(J[3 * 15 + 1] > J[1] && J[1] > J[3 * 7 + 1]); // y up
    assert_true(J[3 * 10 + 2] > J[3 * 7 + 2] + 0.1);          // facing +z
    assert_true(J[3 * 1] > 0 && J[3 * 20] > 0.5);             // left on +x
    static const int pairs[][2] = {{1, 2}, {4, 5}, {7, 8}, {10, 11}, {13, 14}, {16, 17}, {18, 19}, {20, 21}, {25, 40}, {39, 54}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const float *l = J + 3 * pairs[i][0], *r = J + 3 * pairs[i][1];
        assert_true(fabsf(l[0] + r[0]) < 1e-4f && fabsf(l[1] - r[1]) < 1e-4f && fabsf(l[2] - r[2]) < 1e-4f);
    }
    gv_body_close(b);
}

static void shapes_mean_what_they_say(void **state) {
    (void)state;
    gv_body *b = open_mannequin();
    float S[165], T[165], zero[10] = {0};
    gv_body_rest_joints(S, b, zero, 55);
    float tall[10] = {1}, legs[10] = {0, 0, 1}, arms[10] = {0, 0, 0, 1}, shoulders[10] = {0, 0, 0, 0, 1};
    gv_body_rest_joints(T, b, tall, 55);
    assert_true(length(T + 45, T + 21) > length(S + 45, S + 21) + 0.05); // head to ankle
    gv_body_rest_joints(T, b, legs, 55);
    assert_true(length(T + 3, T + 21) > length(S + 3, S + 21) + 0.02);
    assert_true(fabs(T[46] - T[22] - S[46] + S[22]) < 0.01);
    gv_body_rest_joints(T, b, arms, 55);
    assert_true(length(T + 48, T + 60) > length(S + 48, S + 60) + 0.015);
    gv_body_rest_joints(T, b, shoulders, 55);
    assert_true(length(T + 48, T + 51) > length(S + 48, S + 51) + 0.01);
    gv_body_close(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(skeleton_is_a_person),
        cmocka_unit_test(shapes_mean_what_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
