#include "body/body.h"
#include "body/simplify.h"
#include "base/memory.h"
#include "test.h"

// The skeleton that the maker starts from: what the finished file must reproduce through its regressors.
#include "../tools/make_mannequin_skeleton.c"

static gv_body *body;

static int open_mannequin(void **state) {
    (void)state;
    gv_error err = {0};
    if (gv_body_open(&body, NULL, &err) != GV_OK) fail_msg("%s", err.text);
    return 0;
}

static int close_mannequin(void **state) {
    (void)state;
    gv_body_close(body);
    return 0;
}

static double length(const float *a, const float *b) {
    return sqrt(pow(a[0] - b[0], 2) + pow(a[1] - b[1], 2) + pow(a[2] - b[2], 2));
}

static double uniform(unsigned *seed, double a, double b) {
    *seed = *seed * 1664525u + 1013904223u;
    return a + (b - a) * (*seed >> 8) / 16777216.0;
}

// De Leva's segment lengths at 1.72 m (the maker's source), and the frame SMPL-X prescribes.
static void skeleton_is_a_person(void **state) {
    (void)state;
    const float *J = body->J_template;
    struct {
        int a, b;
        double length;
    } segments[] = {{1, 4, 0.391}, {4, 7, 0.429}, {16, 18, 0.275}, {18, 20, 0.264}, {1, 2, 0.166}};
    for (size_t i = 0; i < sizeof segments / sizeof *segments; i++)
        assert_true(fabs(length(J + 3 * segments[i].a, J + 3 * segments[i].b) - segments[i].length) < 1e-3);
    assert_true(J[3 * 15 + 1] > J[1] && J[1] > J[3 * 7 + 1]); // y up
    assert_true(J[3 * 10 + 2] > J[3 * 7 + 2] + 0.1);          // facing +z
    assert_true(J[3 * 1] > 0 && J[3 * 20] > 0.5);             // left on +x
}

static void joints_and_keypoints_come_from_the_surface(void **state) {
    (void)state;
    static skeleton s;
    make_skeleton(&s);
    double worst = 0, worst_shape = 0;
    for (int j = 0; j < 55; j++)
        for (int c = 0; c < 3; c++) {
            worst = fmax(worst, fabs(body->J_template[3 * j + c] - s.joint[j][c]));
            for (int k = 0; k < 10; k++)
                worst_shape = fmax(worst_shape, fabs(body->J_shapedirs[(3 * j + c) * 10 + k] - s.direction[j][k][c]));
        }
    printf("joints off by %.2g mm, by shape %.2g mm per standard deviation\n", worst * 1e3, worst_shape * 1e3);
    assert_true(worst < 1e-4);
    assert_true(worst_shape < 1e-3);
    assert_non_null(body->coco17);
    gv_points *p = gv_points_create(body, body->coco17, 17);
    float zero[63] = {0}, points[51];
    gv_points_pose(p, zero, zero, zero, NULL, points, NULL);
    for (int i = 0; i < 51; i++) assert_true(fabs(points[i] - s.keypoint[i / 3][i % 3]) < 1e-3);
    gv_points_destroy(p);
}

// Keypoints in the joints (elbows, wrists, knees, ankles) stay there when the joints bend.
static void keypoints_follow_the_joints(void **state) {
    (void)state;
    static const int at[8][2] = {{7, 18}, {8, 19}, {9, 20}, {10, 21}, {13, 4}, {14, 5}, {15, 7}, {16, 8}};
    gv_points *p = gv_points_create(body, body->coco17, 17);
    unsigned seed = 5;
    double worst = 0;
    for (int round = 0; round < 50; round++) {
        float pose[63], betas[10], root[3] = {0}, points[51], joints[165];
        for (int i = 0; i < 63; i++) pose[i] = (float)uniform(&seed, -.7, .7);
        for (int i = 0; i < 10; i++) betas[i] = (float)uniform(&seed, -1.5, 1.5);
        gv_points_pose(p, betas, pose, root, NULL, points, joints);
        for (int i = 0; i < 8; i++) worst = fmax(worst, length(points + 3 * at[i][0], joints + 3 * at[i][1]));
    }
    printf("keypoints off their joints by at most %.1f mm\n", worst * 1e3);
    assert_true(worst < 0.020); // ankles are seen 12 mm above theirs
    gv_points_destroy(p);
}

static int by_pair(const void *x, const void *y) {
    const int *a = x, *b = y;
    return a[0] != b[0] ? (a[0] > b[0]) - (a[0] < b[0]) : (a[1] > b[1]) - (a[1] < b[1]);
}

static int root_of(int *parent, int v) {
    while (parent[v] != v) v = parent[v] = parent[parent[v]];
    return v;
}

// Every directed edge once and its opposite once, one piece, no handles, turned outwards.
static void surface_is_closed(void **state) {
    (void)state;
    int F = body->triangles, V = body->vertices, pieces = 0;
    assert_in_range(V, 5000, 12000);
    int(*edges)[2] = gv_calloc2((size_t)F * 3, sizeof *edges), *parent = gv_calloc2((size_t)V, sizeof *parent);
    for (int v = 0; v < V; v++) parent[v] = v;
    double volume = 0;
    for (int t = 0; t < F; t++) {
        const int *f = body->faces + 3 * t;
        const float *a = body->v_template + 3 * f[0], *b = body->v_template + 3 * f[1],
                    *c = body->v_template + 3 * f[2];
        for (int k = 0; k < 3; k++) {
            edges[3 * t + k][0] = f[k], edges[3 * t + k][1] = f[(k + 1) % 3];
            parent[root_of(parent, f[k])] = root_of(parent, f[(k + 1) % 3]);
        }
        volume += (a[0] * (b[1] * c[2] - b[2] * c[1]) + a[1] * (b[2] * c[0] - b[0] * c[2]) +
                   a[2] * (b[0] * c[1] - b[1] * c[0])) /
                  6.0;
    }
    qsort(edges, (size_t)F * 3, sizeof *edges, by_pair);
    for (int i = 0; i < 3 * F; i++) {
        int back[2] = {edges[i][1], edges[i][0]};
        if (i) assert_int_not_equal(by_pair(edges[i], edges[i - 1]), 0);
        assert_non_null(bsearch(back, edges, (size_t)F * 3, sizeof *edges, by_pair));
    }
    for (int v = 0; v < V; v++) pieces += root_of(parent, v) == v;
    assert_int_equal(pieces, 1);
    assert_int_equal(V - F * 3 / 2 + F, 2);
    printf("%d vertices, %d triangles, volume %.1f litres\n", V, F, volume * 1e3);
    assert_true(volume > 0.055 && volume < 0.085);
    free(edges);
    free(parent);
}

static int nearest_vertex(const float p[3]) {
    int best = 0;
    double d = 1e9;
    for (int v = 0; v < body->vertices; v++) {
        if (fabsf(body->v_template[3 * v + 1] - p[1]) > 1e-5f) continue;
        double e = length(body->v_template + 3 * v, p);
        if (e < d) d = e, best = v;
    }
    return best;
}

static void left_is_right_mirrored(void **state) {
    (void)state;
    static const int left[] = {1, 4, 7, 10, 13, 16, 18, 20, 25, 33, 39},
                     right[] = {2, 5, 8, 11, 14, 17, 19, 21, 40, 48, 54};
    for (int v = 0; v < body->vertices; v += 7) {
        const float *p = body->v_template + 3 * v;
        float q[3] = {-p[0], p[1], p[2]};
        int m = nearest_vertex(q);
        assert_true(length(body->v_template + 3 * m, q) < 1e-6);
        for (size_t i = 0; i < sizeof left / sizeof *left; i++)
            assert_true(fabsf(body->weights[v * 55 + left[i]] - body->weights[m * 55 + right[i]]) < 1e-5f);
    }
}

static void weights_are_smooth_and_local(void **state) {
    (void)state;
    for (int v = 0; v < body->vertices; v++) {
        const float *w = body->weights + 55 * v, *p = body->v_template + 3 * v;
        float sum = 0;
        int count = 0;
        for (int j = 0; j < 55; j++) sum += w[j], count += w[j] > 0;
        assert_true(fabsf(sum - 1) < 1e-5f);
        assert_in_range(count, 1, 4);
        // no cross-talk: a leg's or an arm's bones end where the other side begins
        for (int j = 1; j < 11; j += 3) assert_true(p[0] > -0.045f || w[j] == 0);
        for (int j = 16; j < 21; j += 2) assert_true(p[0] > 0 || w[j] == 0);
        if (p[1] < -0.68f) assert_true(w[0] < 0.02f); // from half the thigh down nothing holds to the pelvis
        if (p[1] < -0.15f) assert_true(w[16] < 0.02f && w[17] < 0.02f); // nor the waist to the arms
    }
    double worst = 0;
    for (int t = 0; t < body->triangles; t++)
        for (int j = 0; j < 22; j++) {
            const int *f = body->faces + 3 * t;
            worst = fmax(worst, fabsf(body->weights[55 * f[0] + j] - body->weights[55 * f[1] + j]));
        }
    printf("largest step of a weight along an edge %.2f\n", worst);
    assert_true(worst < 0.45);
}

static double measure(const float *v, int axis, double at_height, double half_band, bool width) {
    double lo = 1e9, hi = -1e9;
    for (int i = 0; i < body->vertices; i++) {
        const float *p = v + 3 * i, *r = body->v_template + 3 * i;
        if (width && (fabs(r[1] - at_height) > half_band || fabsf(r[0]) > 0.25f)) continue;
        lo = fmin(lo, p[axis]), hi = fmax(hi, p[axis]);
    }
    return hi - lo;
}

static void shapes_mean_what_they_say(void **state) {
    (void)state;
    float *v = gv_calloc2((size_t)body->vertices * 3, sizeof *v), zero[63] = {0};
    double stature = 0, waist = 0, belly = 0;
    for (int i = -3; i <= 3; i++) {
        float tall[10] = {(float)i}, full[10] = {0, (float)i}, round[10] = {[8] = (float)i};
        gv_body_evaluate(body, tall, zero, zero, NULL, v, NULL);
        double s = measure(v, 1, 0, 0, false);
        gv_body_evaluate(body, full, zero, zero, NULL, v, NULL);
        double w = measure(v, 0, -0.21, 0.02, true);
        gv_body_evaluate(body, round, zero, zero, NULL, v, NULL);
        double b = measure(v, 2, -0.25, 0.02, true);
        if (i > -3) {
            assert_true(s - stature > 0.065 && s - stature < 0.075);
            assert_true(w > waist + 0.02);
            assert_true(b > belly + 0.01);
        }
        if (i == 0) assert_true(fabs(s - 1.72) < 0.005);
        stature = s, waist = w, belly = b;
    }
    float S[165], T[165], none[10] = {0}, legs[10] = {[2] = 1}, arms[10] = {[3] = 1}, shoulders[10] = {[4] = 1};
    gv_body_rest_joints(S, body, none, 55);
    gv_body_rest_joints(T, body, legs, 55);
    assert_true(length(T + 3, T + 21) > length(S + 3, S + 21) + 0.02);
    assert_true(fabs(T[46] - T[22] - S[46] + S[22]) < 0.01);
    gv_body_rest_joints(T, body, arms, 55);
    assert_true(length(T + 48, T + 60) > length(S + 48, S + 60) + 0.015);
    gv_body_rest_joints(T, body, shoulders, 55);
    assert_true(length(T + 48, T + 51) > length(S + 48, S + 51) + 0.01);
    free(v);
}

static double to_segment(const float *p, const float *a, const float *b) {
    double ab = 0, ap = 0, d = 0;
    for (int i = 0; i < 3; i++) ab += (b[i] - a[i]) * (b[i] - a[i]), ap += (p[i] - a[i]) * (b[i] - a[i]);
    double t = ab > 0 ? fmin(fmax(ap / ab, 0), 1) : 0;
    for (int i = 0; i < 3; i++) d += pow(p[i] - a[i] - t * (b[i] - a[i]), 2);
    return sqrt(d);
}

// In poses within the joints' reach and bodies within two standard deviations no vertex leaves its bones.
static void skin_stays_near_its_bones(void **state) {
    (void)state;
    float *v = gv_calloc2((size_t)body->vertices * 3, sizeof *v),
          *fast = gv_calloc2((size_t)body->vertices * 3, sizeof *v);
    unsigned seed = 11;
    double worst = 0;
    for (int round = 0; round < 12; round++) {
        float pose[63] = {0}, betas[10], root[3], joints[165];
        for (int i = 0; i < 63; i++) pose[i] = (float)uniform(&seed, -.5, .5);
        for (int side = 0; side < 2; side++) {
            pose[3 * (side + 0)] = (float)uniform(&seed, -1.8, .4);                              // hips
            pose[3 * (side + 3)] = (float)uniform(&seed, 0, 2.2);                                // knees
            pose[3 * (side + 17) + 1] = (float)(side ? 1 : -1) * (float)uniform(&seed, 0, 2.2);  // elbows
            pose[3 * (side + 15) + 2] = (float)(side ? 1 : -1) * (float)uniform(&seed, -1, 1.4); // shoulders
        }
        for (int i = 0; i < 10; i++) betas[i] = (float)uniform(&seed, -2, 2);
        for (int i = 0; i < 3; i++) root[i] = (float)uniform(&seed, -2, 2);
        gv_body_evaluate(body, betas, pose, root, NULL, v, joints);
        gv_skin *s = gv_skin_create(body, betas);
        gv_skin_pose(s, pose, root, NULL, fast, NULL);
        gv_skin_destroy(s);
        assert_true(max_abs_diff(v, fast, (size_t)body->vertices * 3) < 5e-6); // at most four bones: the same
        for (int i = 0; i < body->vertices; i++) {
            double d = 1e9;
            for (int j = 1; j < 55; j++)
                d = fmin(d, to_segment(v + 3 * i, joints + 3 * j, joints + 3 * gv_parents55[j]));
            worst = fmax(worst, d);
        }
    }
    printf("skin at most %.0f mm from the nearest bone\n", worst * 1e3);
    assert_true(worst < 0.22);
    free(v);
    free(fast);
}

// Volume that the surface encloses, in the pose given.
static double volume(const gv_body *b, const float *x) {
    double sum = 0;
    for (int t = 0; t < b->triangles; t++) {
        const float *p = x + 3 * b->faces[3 * t], *q = x + 3 * b->faces[3 * t + 1], *r = x + 3 * b->faces[3 * t + 2];
        sum +=
            (p[0] * ((double)q[1] * r[2] - (double)q[2] * r[1]) + p[1] * ((double)q[2] * r[0] - (double)q[0] * r[2]) +
             p[2] * ((double)q[0] * r[1] - (double)q[1] * r[0])) /
            6;
    }
    return sum;
}

// Fewer triangles, still closed, as large, and near the fine surface in a bent pose, too.
static void a_simpler_surface_is_the_same_body(void **state) {
    (void)state;
    gv_body *simple = gv_body_simplify(body, 5200);
    assert_non_null(simple);
    assert_in_range(simple->triangles, 5000, 5202);
    assert_int_equal(simple->triangles, 2 * simple->vertices - 4); // a closed surface without handles
    float pose[63], betas[GV_BETAS] = {0.7f, -1}, root[3] = {0.3f, 0.2f, 0};
    unsigned seed = 5;
    for (int i = 0; i < 63; i++) pose[i] = (float)uniform(&seed, -0.5, 0.5);
    float *fine = gv_calloc2((size_t)body->vertices, 12), *coarse = gv_calloc2((size_t)simple->vertices, 12);
    float joints[2][GV_SMPLX_JOINTS * 3];
    gv_body_evaluate(body, betas, pose, root, NULL, fine, joints[0]);
    gv_body_evaluate(simple, betas, pose, root, NULL, coarse, joints[1]);
    assert_memory_equal(joints[0], joints[1], sizeof joints[0]);
    const double share = volume(simple, coarse) / volume(body, fine);
    double worst = 0, mean = 0;
    for (int v = 0; v < simple->vertices; v++) { // its vertices are some of the fine surface's
        double nearest = 1;
        for (int w = 0; w < body->vertices && nearest > 1e-6; w++)
            nearest = fmin(nearest, length(coarse + 3 * v, fine + 3 * w));
        assert_true(nearest < 1e-6);
    }
    for (int w = 0; w < body->vertices; w += 7) { // and every fine vertex has one of them near
        double nearest = 1;
        for (int v = 0; v < simple->vertices; v++) nearest = fmin(nearest, length(coarse + 3 * v, fine + 3 * w));
        worst = fmax(worst, nearest);
        mean += nearest / ((body->vertices + 6) / 7);
    }
    printf("%d of %d triangles: %.4f of the volume, nearest vertex %.1f mm away, %.1f mm at most\n", simple->triangles,
           body->triangles, share, 1e3 * mean, 1e3 * worst);
    assert_true(fabs(share - 1) < 0.02);
    assert_true(worst < 0.06);
    free(fine), free(coarse);
    gv_body_close(simple);
    simple = gv_body_simplify(body, body->triangles);
    assert_true(simple && simple->vertices == body->vertices && simple->triangles == body->triangles);
    gv_body_close(simple);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_simpler_surface_is_the_same_body),
        cmocka_unit_test(skeleton_is_a_person),
        cmocka_unit_test(joints_and_keypoints_come_from_the_surface),
        cmocka_unit_test(keypoints_follow_the_joints),
        cmocka_unit_test(surface_is_closed),
        cmocka_unit_test(left_is_right_mirrored),
        cmocka_unit_test(weights_are_smooth_and_local),
        cmocka_unit_test(shapes_mean_what_they_say),
        cmocka_unit_test(skin_stays_near_its_bones),
    };
    return cmocka_run_group_tests(tests, open_mannequin, close_mannequin);
}
