// The double-precision rotations and the small solvers, by their defining properties.
#include "geometry/linalg.h"
#include "geometry/so3.h"
#include "test.h"

#include <string.h>

static double uniform(void) {
    static uint32_t s = 12345;
    s = s * 1664525u + 1013904223u;
    return (double)(s >> 8) / 8388608. - 1;
}

static void exp_and_log_are_inverse_at_every_angle(void **state) {
    (void)state;
    const double angles[] = {0, 1e-12, 1e-7, 1e-4, 0.1, 1, 2, 3, 3.1, 3.14, 3.141592, 3.14159265358};
    for (size_t a = 0; a < sizeof angles / sizeof *angles; a++)
        for (int k = 0; k < 50; k++) {
            double w[3] = {uniform(), uniform(), uniform()}, R[9], back[3], I[9];
            gv_normalise3(w);
            for (int i = 0; i < 3; i++) w[i] *= angles[a];
            gv_so3_exp(R, w);
            gv_so3_mul_nt(I, R, R);
            for (int i = 0; i < 9; i++) assert_true(fabs(I[i] - (i % 4 == 0)) < 1e-14);
            gv_so3_log(back, R);
            for (int i = 0; i < 3; i++) assert_true(fabs(back[i] - w[i]) < 1e-9 * (1 + angles[a]));
        }
    double half[9] = {-1, 0, 0, 0, -1, 0, 0, 0, 1}, w[3]; // exactly a half turn: either sign
    gv_so3_log(w, half);
    assert_true(fabs(fabs(w[2]) - M_PI) < 1e-12 && fabs(w[0]) < 1e-12);
}

static void interpolation_and_orthonormalisation(void **state) {
    (void)state;
    double A[9], B[9], R[9], w[3] = {0.3, -0.2, 0.9};
    gv_so3_exp(A, (double[]){0.1, 0.2, 0.3});
    gv_so3_exp(R, w);
    gv_so3_mul(B, R, A);
    gv_so3_interpolate(R, A, B, 0.25);
    assert_true(fabs(gv_so3_angle(A, R) - 0.25 * sqrt(gv_dot3(w, w))) < 1e-12);
    for (int i = 0; i < 9; i++) R[i] += 0.01 * uniform();
    gv_so3_orthonormalise(R);
    double I[9];
    gv_so3_mul_nt(I, R, R);
    for (int i = 0; i < 9; i++) assert_true(fabs(I[i] - (i % 4 == 0)) < 1e-13);
}

static void random_spd(double *A, int n, int band) {
    double M[32 * 32] = {0};
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            if (abs(i - j) <= band / 2) M[i * n + j] = uniform();
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double s = i == j ? 0.5 : 0;
            for (int k = 0; k < n; k++) s += M[i * n + k] * M[j * n + k];
            A[i * n + j] = s;
        }
}

static void cholesky_dense_and_banded_solve(void **state) {
    (void)state;
    enum { N = 30, BAND = 8 };
    double A[N * N], L[N * N], D[N * (BAND + 1)], x[N], b[N], c[N];
    random_spd(A, N, BAND);
    for (int i = 0; i < N; i++) x[i] = uniform(), b[i] = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) b[i] += A[i * N + j] * x[j];
    memcpy(L, A, sizeof A), memcpy(c, b, sizeof b);
    assert_true(gv_cholesky(L, N));
    gv_cholesky_solve(L, N, c);
    for (int i = 0; i < N; i++) assert_true(fabs(c[i] - x[i]) < 1e-9);
    for (int i = 0; i < N; i++)
        for (int j = 0; j <= BAND; j++) D[i * (BAND + 1) + j] = i - BAND + j >= 0 ? A[i * N + i - BAND + j] : NAN;
    assert_true(gv_cholesky_banded(D, N, BAND));
    gv_cholesky_banded_solve(D, N, BAND, b);
    for (int i = 0; i < N; i++) assert_true(fabs(b[i] - x[i]) < 1e-9);
    A[0] = -1;
    assert_false(gv_cholesky(A, N));
}

static void eigen_and_inverse_of_symmetric_matrices(void **state) {
    (void)state;
    for (int t = 0; t < 100; t++) {
        double A[9], e[3], V[9], inv[9], I[9];
        random_spd(A, 3, 9);
        gv_eigen_sym3(A, e, V);
        assert_true(e[0] <= e[1] && e[1] <= e[2]);
        for (int k = 0; k < 3; k++) {
            double v[3] = {V[k], V[3 + k], V[6 + k]}, Av[3];
            gv_so3_apply(Av, A, v);
            for (int i = 0; i < 3; i++) assert_true(fabs(Av[i] - e[k] * v[i]) < 1e-12);
        }
        assert_true(gv_inverse_sym3(inv, A));
        gv_so3_mul(I, inv, A);
        for (int i = 0; i < 9; i++) assert_true(fabs(I[i] - (i % 4 == 0)) < 1e-10);
    }
    double singular[9] = {1, 1, 0, 1, 1, 0, 0, 0, 1}, inv[9];
    assert_false(gv_inverse_sym3(inv, singular));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_and_log_are_inverse_at_every_angle),
        cmocka_unit_test(interpolation_and_orthonormalisation),
        cmocka_unit_test(cholesky_dense_and_banded_solve),
        cmocka_unit_test(eigen_and_inverse_of_symmetric_matrices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
