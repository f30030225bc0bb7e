// test_metrics.c - the measures against the reference's recorded values, and properties of the alignment.
#include "evaluation/metrics.h"
#include "formats/npz.h"
#include "test.h"

#include <string.h>

enum { F = 257, J = 24, VERTS = 64, ALL_VERTS = 6890 };

static gv_npz *z;
static gv_error err;

static float *take(const char *name, int64_t *n) {
    float *p = gv_npz_read_f32(z, name, NULL, -1, n, &err);
    if (!p) print_message("%s\n", err.text);
    assert_non_null(p);
    return p;
}

static void compare(const char *name, const float *got, int64_t count) {
    int64_t n;
    float *want = take(name, &n);
    assert_int_equal(n, count);
    double worst = 0;
    for (int64_t i = 0; i < n; i++) worst = fmax(worst, fabs((double)want[i] - got[i]) / fmax(1, fabs(want[i])));
    print_message("%s: worst relative difference %.2g\n", name, worst);
    assert_true(worst < 1e-4);
    free(want);
}

// Frames where the mask holds, moved together.
static int compact(float *x, const int32_t *mask, int width) {
    int n = 0;
    for (int t = 0; t < F; t++)
        if (mask[t]) memmove(x + (size_t)n++ * width, x + (size_t)t * width, sizeof(float) * width);
    return n;
}

// Vertices that are not listed are zero on both sides, so they lie at minus the pelvis.
static float *all_vertices(const float *sub) {
    float *v = calloc((size_t)F * ALL_VERTS * 3, sizeof *v);
    int64_t n;
    int32_t *id = gv_npz_read_i32(z, "in_vert_ids", NULL, -1, &n, &err);
    assert_non_null(id);
    for (int t = 0; t < F; t++)
        for (int i = 0; i < VERTS; i++)
            memcpy(v + ((size_t)t * ALL_VERTS + id[i]) * 3, sub + ((size_t)t * VERTS + i) * 3, sizeof(float[3]));
    free(id);
    return v;
}

static float *feet_of(const float *verts, int frames) {
    static const int id[4] = {3216, 3387, 6617, 6787};
    float *f = calloc((size_t)frames * 12, sizeof *f);
    for (int t = 0; t < frames; t++)
        for (int i = 0; i < 4; i++)
            memcpy(f + (t * 4 + i) * 3, verts + ((size_t)t * ALL_VERTS + id[i]) * 3, sizeof(float[3]));
    return f;
}

static void in_camera(const char *prefix, const float *p, const float *q, const float *pv, const float *qv, int n,
                      const int pelvis[2]) {
    float *out = calloc(F, sizeof *out);
    char name[64];
#define CHECK(what, count) (snprintf(name, sizeof name, "%s_" what, prefix), compare(name, out, count))
    gv_mpjpe(out, p, q, n, J, pelvis);
    CHECK("mpjpe", n);
    gv_pa_mpjpe(out, p, q, n, J);
    CHECK("pa_mpjpe", n);
    gv_pve(out, pv, qv, ALL_VERTS, p, q, n, J, pelvis);
    CHECK("pve", n);
    gv_accel_error(out, p, q, n, J, pelvis, 30);
    CHECK("accel", n - 2);
    free(out);
}

static void test_reference(void **state) {
    (void)state;
    const char *path = need_shared("reference/motion/exp_metrics.npz");
    assert_int_equal(gv_npz_open(&z, path, &err), GV_OK);
    int64_t n;
    float *p = take("in_pred_j3d", &n), *q = take("in_target_j3d", &n), *ps = take("in_pred_verts_sub", &n),
          *qs = take("in_target_verts_sub", &n);
    float *pv = all_vertices(ps), *qv = all_vertices(qs), *m = take("in_mask", &n);
    int32_t mask[F];
    for (int t = 0; t < F; t++) mask[t] = m[t] != 0;
    in_camera("cam_pelvis23", p, q, pv, qv, F, (int[]){2, 3});
    int k = compact(p, mask, J * 3);
    compact(q, mask, J * 3);
    compact(pv, mask, ALL_VERTS * 3);
    compact(qv, mask, ALL_VERTS * 3);
    in_camera("cam_masked", p, q, pv, qv, k, (int[]){1, 2});
    float *out = calloc(F * 4, sizeof *out), *rp = calloc(F * 3, sizeof *rp), *rq = calloc(F * 3, sizeof *rq);
    gv_w_mpjpe(out, p, q, k, J, 100);
    compare("glob_masked_wa2_mpjpe", out, k);
    gv_wa_mpjpe(out, p, q, k, J, 100);
    compare("glob_masked_waa_mpjpe", out, k);
    for (int t = 0; t < k; t++)
        memcpy(rp + 3 * t, p + t * J * 3, sizeof(float[3])), memcpy(rq + 3 * t, q + t * J * 3, sizeof(float[3]));
    gv_rte(out, rp, rq, k);
    compare("glob_masked_rte", out, k);
    gv_jitter(out, p, k, J, 30);
    compare("glob_masked_jitter", out, k - 3);
    float *fp = feet_of(pv, k), *fq = feet_of(qv, k);
    compare("glob_masked_fs", out, gv_foot_sliding(out, fp, fq, k, 4));
    void *blocks[] = {p, q, ps, qs, pv, qv, m, out, rp, rq, fp, fq};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) free(blocks[i]);
    gv_npz_close(z);
}

// A known similarity is found again, also for points in a plane, on a line and for a mirrored set (no reflection).
static void test_alignment(void **state) {
    (void)state;
    const double R[9] = {0.36, 0.48, -0.8, -0.8, 0.6, 0, 0.48, 0.64, 0.6};
    for (int rank = 1; rank <= 3; rank++) {
        float x[30], y[30], back[30];
        for (int i = 0; i < 10; i++) {
            const double p[3] = {0.1 * i, rank > 1 ? 0.03 * (i * i % 7) : 0, rank > 2 ? 0.05 * (i * 3 % 5) : 0};
            for (int c = 0; c < 3; c++) {
                x[3 * i + c] = (float)p[c];
                y[3 * i + c] = (float)(1.7 * (R[3 * c] * p[0] + R[3 * c + 1] * p[1] + R[3 * c + 2] * p[2]) + c - 0.5);
            }
        }
        gv_similarity a = gv_align(x, y, 10, 0);
        gv_align_apply(back, &a, x, 10);
        assert_true(max_abs_diff(back, y, 30) < 1e-5);
        assert_true(fabs(a.s - 1.7) < 1e-5);
        const double *m = a.R;
        double det = m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) +
                     m[2] * (m[3] * m[7] - m[4] * m[6]);
        assert_true(fabs(det - 1) < 1e-9);
        for (int i = 0; i < 10; i++) y[3 * i] = -y[3 * i];
        a = gv_align(x, y, 10, 1);
        m = a.R;
        det = m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) +
              m[2] * (m[3] * m[7] - m[4] * m[6]);
        assert_true(fabs(det - 1) < 1e-9);
        assert_true(a.s == 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_alignment), cmocka_unit_test(test_reference)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
