// What settling a motion promises: planted feet, soles on the ground, calm, fast motion kept, stairs kept.
#include "body/feet.h"
#include "evaluation/metrics.h"
#include "made_motion.h"
#include "pipeline/settle.h"

#include <omp.h>
#include <stdbool.h>

enum { J = GV_MOTION_JOINTS };
static gv_body *body;
static float sole; // of the balls of the feet over the ground, rest pose

// Joints of frame t in the world and the camera from its parameters. The camera stands 5 m before the person, upright.
static void follow(gv_motion *m, int t) {
    static const float W[9] = {1, 0, 0, 0, -1, 0, 0, 0, -1};
    float S[3 * J], G[12 * J], R[9], Rc[9];
    gv_body_rest_joints(S, body, m->betas, J);
    gv_body_fk22(G, S, m->body_pose + 63 * (size_t)t, m->global_orient + 3 * (size_t)t);
    gv_rot_from_aa(R, m->global_orient + 3 * (size_t)t);
    gv_mat3_mul(Rc, W, R);
    gv_rot_to_aa(m->global_orient_incam + 3 * (size_t)t, Rc);
    for (int j = 0; j < J; j++) {
        float x[3], *c = m->joints_incam + 3 * (J * (size_t)t + j);
        for (int i = 0; i < 3; i++) x[i] = G[12 * j + 4 * i + 3] + m->transl[3 * (size_t)t + i];
        memcpy(m->joints_world + 3 * (J * (size_t)t + j), x, sizeof x);
        x[1] -= 1, x[2] -= 5;
        gv_mat3_apply(c, W, x);
    }
    for (int i = 0; i < 3; i++) m->transl_incam[3 * (size_t)t + i] = m->joints_incam[3 * J * (size_t)t + i] - S[i];
}

static double noise(int *state) { // uniform, -1 .. 1
    *state = (int)((unsigned)*state * 1664525u + 1013904223u);
    return *state / 2147483648.0;
}

// Somebody who stands with the soles on the ground; pose and place tremble by `tremble`.
static gv_motion standing(int frames, double tremble) {
    gv_motion m;
    int state = 1;
    float S[3 * J];
    assert_int_equal(gv_motion_alloc(&m, frames, NULL), GV_OK);
    gv_body_rest_joints(S, body, m.betas, J);
    m.fps = 30;
    for (int t = 0; t < frames; t++) {
        m.time_sec[t] = t / 30.0;
        m.frame_index[t] = t;
        for (int i = 0; i < 63; i++) m.body_pose[63 * t + i] = (float)(tremble * noise(&state));
        for (int i = 0; i < 3; i++) m.global_orient[3 * t + i] = (float)(tremble * noise(&state));
        for (int i = 0; i < 3; i++) m.transl[3 * t + i] = (float)(0.3 * tremble * noise(&state));
        m.transl[3 * t + 1] += sole - S[3 * 10 + 1];
        for (int k = 0; k < 4; k++) m.static_prob[6 * t + k] = 1;
        follow(&m, t);
    }
    return m;
}

static double sliding(const gv_motion *m) { // mm per frame, mean over the feet's four joints
    double sum = 0;
    static const int feet[4] = {7, 10, 8, 11};
    for (int t = 1; t < m->frames; t++)
        for (int f = 0; f < 4; f++) {
            const float *a = m->joints_world + 3 * (J * (size_t)t + feet[f]), *b = a - 3 * J;
            sum += hypot(hypot((double)(a[0] - b[0]), (double)(a[1] - b[1])), (double)(a[2] - b[2]));
        }
    return 1000 * sum / (4 * (m->frames - 1));
}

static double jitter(const gv_motion *m) {
    float *e = calloc((size_t)m->frames, sizeof *e);
    double sum = 0;
    gv_jitter(e, m->joints_world, m->frames, J, 30);
    for (int t = 0; t < m->frames - 3; t++) sum += (double)e[t];
    free(e);
    return sum / (m->frames - 3);
}

static void settle(gv_motion *m) {
    gv_error err = {0};
    if (gv_settle(m, body, false, NULL, &err) != GV_OK) fail_msg("%s", err.text);
}

static void planted_feet_stay(void **state) {
    (void)state;
    gv_motion m = standing(200, 0.03), f;
    double slide = sliding(&m), tremble = jitter(&m);
    settle(&m);
    printf("sliding %.1f -> %.2f mm a frame, jitter %.0f -> %.1f\n", slide, sliding(&m), tremble, jitter(&m));
    assert_true(slide > 5 && sliding(&m) < 1 && jitter(&m) < tremble / 4);
    double worst = 0;
    for (int t = 0; t < 200; t++) {
        double low = fmin((double)m.joints_world[3 * (J * t + 10) + 1], (double)m.joints_world[3 * (J * t + 11) + 1]);
        worst = fmax(worst, fabs(low - (double)sole));
    }
    assert_true(worst < 0.005); // soles on the ground
    // joints are those of the parameters, in both frames
    assert_int_equal(gv_motion_alloc(&f, 200, NULL), GV_OK);
    memcpy(f.body_pose, m.body_pose, 200 * 63 * sizeof(float));
    for (int way = 0; way < 2; way++) {
        memcpy(f.global_orient, way ? m.global_orient_incam : m.global_orient, 600 * sizeof(float));
        memcpy(f.transl, way ? m.transl_incam : m.transl, 600 * sizeof(float));
        for (int t = 0; t < 200; t++) follow(&f, t);
        assert_true(max_abs_diff(f.joints_world, way ? m.joints_incam : m.joints_world, 200 * J * 3) < 1e-5);
    }
    gv_motion_free(&f);
    gv_motion_free(&m);
}

static double fastest(const gv_motion *m, int joint) {
    double best = 0;
    for (int t = 1; t < m->frames; t++) {
        const float *a = m->joints_world + 3 * (J * (size_t)t + joint), *b = a - 3 * J;
        best = fmax(best, 30 * hypot(hypot((double)(a[0] - b[0]), (double)(a[1] - b[1])), (double)(a[2] - b[2])));
    }
    return best;
}

// An arm swung through 2.4 rad in a third of a second, some 9 m/s at the wrist.
static void fast_arms_stay_fast(void **state) {
    (void)state;
    gv_motion m = standing(120, 0);
    for (int t = 0; t < 120; t++) {
        m.body_pose[63 * t + 3 * 15 + 2] = (float)(-1.2 * tanh((t - 60) / 2.5));
        follow(&m, t);
    }
    double before = fastest(&m, 20);
    settle(&m);
    printf("wrist %.2f -> %.2f m/s\n", before, fastest(&m, 20));
    assert_true(before > 5 && fastest(&m, 20) > 0.95 * before && fastest(&m, 20) < 1.1 * before);
    gv_motion_free(&m);
}

// A motion that has nothing to settle stays; a long one has no seams where its pieces meet.
static void pieces_leave_no_seams(void **state) {
    (void)state;
    gv_motion m = standing(700, 0.02);
    for (int t = 0; t < 700; t++) {
        m.body_pose[63 * t + 3 * 16 + 2] = (float)sin(t / 20.0);
        follow(&m, t);
    }
    settle(&m);
    double usual = 0, seam = 0;
    for (int t = 2; t < 700; t++) {
        double step = 0;
        for (int i = 0; i < 3 * J; i++) {
            const float *x = m.joints_world + 3 * J * (size_t)t + i;
            step = fmax(step, fabs((double)x[0] - 2 * (double)x[-3 * J] + (double)x[-6 * J]));
        }
        if (t % 256 < 2)
            seam = fmax(seam, step);
        else
            usual = fmax(usual, step);
    }
    assert_true(seam <= usual);
    assert_true(sliding(&m) < 1);
    gv_motion_free(&m);
}

static void drift_goes_and_jumps_stay(void **state) {
    (void)state;
    for (int seen = 0; seen < 2; seen++) { // contacts known, or none at all
        gv_motion m = standing(300, 0);
        gv_error err = {0};
        const bool common = false;
        for (int t = 0; t < 300; t++) {
            bool jump = t >= 150 && t < 165;
            m.transl[3 * t + 1] += 0.004f * (float)t + (jump ? 0.4f : 0); // 1.2 m in ten seconds
            for (int k = 0; k < 4; k++) m.static_prob[6 * t + k] = seen && !jump;
            follow(&m, t);
        }
        assert_int_equal(gv_settle_height(&m, body, common, &err), GV_OK);
        for (int t = 0; t < 300; t++) {
            double low = (double)m.joints_world[3 * (J * t + 10) + 1] - (double)sole,
                   jump = t >= 150 && t < 165 ? 0.4 : 0;
            if (fabs(low - jump) > 0.09) fail_msg("%d, frame %d: sole at %g, expected %g", seen, t, low, jump);
        }
        gv_motion_free(&m);
    }
}

// Feet in turn, each 20 frames, every one `rise` above the one before and `way` further, m.
static double climbed(double rise, double way, bool common) {
    gv_motion m = standing(200, 0);
    gv_error err = {0};
    for (int t = 0; t < 200; t++) {
        int step = t / 20;
        m.transl[3 * t + 1] += (float)(rise * step);
        m.transl[3 * t + 2] += (float)(way * step);
        for (int k = 0; k < 4; k++) m.static_prob[6 * t + k] = t % 20 > 4 && k / 2 == step % 2;
        follow(&m, t);
    }
    assert_int_equal(gv_settle_height(&m, body, common, &err), GV_OK);
    double height = (double)m.joints_world[3 * (J * 198 + 10) + 1] - (double)m.joints_world[3 * (J * 10 + 10) + 1];
    gv_motion_free(&m);
    return height;
}

static void stairs_are_climbed(void **state) {
    (void)state;
    for (int common = 0; common < 2; common++) {
        assert_true(fabs(climbed(0.17, 0.3, common) - 9 * 0.17) < 0.03);
        assert_true(fabs(climbed(-0.17, 0.3, common) + 9 * 0.17) < 0.03);
        assert_true(fabs(climbed(0.03, 0, common)) < 0.03);    // drift
        assert_true(fabs(climbed(0.13, 0.65, common)) < 0.03); // a walk whose direction of gravity is off by 11 degrees
    }
    assert_true(fabs(climbed(0.18, 0.6, false)) < 0.03);            // by 17: one person's may be
    assert_true(fabs(climbed(0.12, 0.38, true) - 9 * 0.12) < 0.03); // steps of a garden
}

static void threads_do_not_matter(void **state) {
    (void)state;
    gv_motion a = standing(300, 0.03), b = standing(300, 0.03);
    omp_set_num_threads(1);
    settle(&a);
    omp_set_num_threads(2);
    settle(&b);
    assert_memory_equal(a.joints_world, b.joints_world, 300 * J * 3 * sizeof(float));
    assert_memory_equal(a.body_pose, b.body_pose, 300 * 63 * sizeof(float));
    gv_motion_free(&a);
    gv_motion_free(&b);
}

static void short_motions(void **state) {
    (void)state;
    for (int frames = 1; frames < 6; frames++) {
        gv_motion m = standing(frames, 0.01);
        settle(&m);
        for (int i = 0; i < frames * J * 3; i++) assert_true(isfinite(m.joints_world[i]));
        gv_motion_free(&m);
    }
}

// Heels and toes in the picture, px.
static void project_feet(float out[12], const gv_points *feet, const gv_motion *m, int t) {
    float X[12];
    const float *K = m->K + 9 * (size_t)t;
    gv_points_pose(feet, m->betas, m->body_pose + 63 * (size_t)t, m->global_orient_incam + 3 * (size_t)t,
                   m->transl_incam + 3 * (size_t)t, X, NULL);
    for (int k = 0; k < 4; k++) {
        out[3 * k] = K[0] * X[3 * k] / X[3 * k + 2] + K[2];
        out[3 * k + 1] = K[4] * X[3 * k + 1] / X[3 * k + 2] + K[5];
        out[3 * k + 2] = 0.9f;
    }
}

static double feet_off_px(const gv_points *feet, const gv_motion *m) {
    double sum = 0;
    for (int t = 0; t < m->frames; t++) {
        float at[12];
        project_feet(at, feet, m, t);
        for (int k = 0; k < 4; k++)
            sum += hypot((double)(at[3 * k] - m->feet2d[12 * t + 3 * k]),
                         (double)(at[3 * k + 1] - m->feet2d[12 * t + 3 * k + 1]));
    }
    return sum / (4 * m->frames);
}

// Feet that point elsewhere than heels and toes in the picture turn towards them; what is not seen changes nothing.
static void feet_turn_to_heels_and_toes(void **state) {
    (void)state;
    enum { L = 40 };
    float *rows = calloc((size_t)(4 * body->vertices), sizeof *rows), S[3 * J];
    assert_true(gv_body_feet_rows(rows, body));
    gv_points *feet = gv_points_create(body, rows, 4);
    gv_body_rest_joints(S, body, (float[GV_BETAS]){0}, J);
    float X[12];
    gv_points_pose(feet, (float[GV_BETAS]){0}, (float[63]){0}, (float[3]){0}, (float[3]){0}, X, NULL);
    for (int side = 0; side < 2; side++) { // behind and below the ankle; before the ball
        const float *heel = X + 6 * side, *toes = heel + 3, *ankle = S + 3 * (7 + side), *ball = S + 3 * (10 + side);
        assert_true(heel[2] < ankle[2] - 0.02f && heel[1] < ankle[1] - 0.02f && fabsf(heel[0] - ankle[0]) < 0.04f);
        assert_true(toes[2] > ball[2] + 0.02f && toes[2] < ball[2] + 0.15f && (side ? toes[0] < 0 : toes[0] > 0));
    }
    gv_motion m = standing(L, 0), unseen = standing(L, 0), blind = standing(L, 0);
    for (int t = 0; t < L; t++) {
        gv_motion *all[3] = {&m, &unseen, &blind};
        for (int i = 0; i < 3; i++) {
            float *K = all[i]->K + 9 * t;
            K[0] = K[4] = 1000, K[2] = 500, K[5] = 500, K[8] = 1;
            all[i]->bbx_xys[3 * t + 2] = 420;
        }
        m.body_pose[63 * t + 3 * 6 + 1] = 0.25f; // left ankle: toes outwards
        follow(&m, t);
        project_feet(m.feet2d + 12 * t, feet, &m, t);
        m.body_pose[63 * t + 3 * 6 + 1] = 0;
        follow(&m, t);
        memcpy(unseen.feet2d + 12 * t, m.feet2d + 12 * t, 12 * sizeof(float));
        for (int k = 0; k < 4; k++) unseen.feet2d[12 * t + 3 * k + 2] = 0.3f;
    }
    double before = feet_off_px(feet, &m);
    settle(&m), settle(&unseen), settle(&blind);
    printf("heels and toes off by %.1f -> %.1f px\n", before, feet_off_px(feet, &m));
    assert_true(before > 2 && feet_off_px(feet, &m) < 0.65 * before);
    assert_memory_equal(unseen.body_pose, blind.body_pose, L * 63 * sizeof(float));
    gv_points_destroy(feet);
    free(rows);
    gv_motion_free(&m), gv_motion_free(&unseen), gv_motion_free(&blind);
}

// An arm that swings less than its keypoints do: where the wrist is seen to swing, most of what is missing comes back.
static void damped_swings_come_back(void **state) {
    (void)state;
    enum { L = 80 };
    gv_points *coco = gv_points_create(body, body->coco17, GV_COCO17);
    gv_motion m = standing(L, 0);
    float *seen = calloc(L, sizeof(float[GV_COCO17 * 3]));
    double speed[2];
    for (int way = 0; way < 2; way++) { // the truth, then the damped motion
        for (int t = 0; t < L; t++) {
            float *K = m.K + 9 * t, X[3 * GV_COCO17];
            K[0] = K[4] = 1000, K[2] = 500, K[5] = 500, K[8] = 1;
            m.bbx_xys[3 * t + 2] = 420;
            m.body_pose[63 * t + 3 * 15 + 2] = (float)((way ? -0.8 : -1.2) * tanh((t - 40) / 2.5));
            follow(&m, t);
            gv_points_pose(coco, m.betas, m.body_pose + 63 * t, m.global_orient_incam + 3 * t, m.transl_incam + 3 * t,
                           X, NULL);
            for (int k = 0; k < GV_COCO17 && !way; k++) {
                float *at = seen + 3 * (GV_COCO17 * t + k);
                at[0] = K[0] * X[3 * k] / X[3 * k + 2] + K[2], at[1] = K[4] * X[3 * k + 1] / X[3 * k + 2] + K[5];
                at[2] = 0.9f;
            }
        }
        speed[way] = fastest(&m, 20);
    }
    memcpy(m.kp2d, seen, L * sizeof(float[GV_COCO17 * 3]));
    settle(&m);
    printf("wrist %.2f of %.2f -> %.2f m/s\n", speed[1], speed[0], fastest(&m, 20));
    assert_true(speed[1] < 0.72 * speed[0] && fastest(&m, 20) > 0.92 * speed[0] && fastest(&m, 20) < 1.1 * speed[0]);
    gv_points_destroy(coco);
    free(seen);
    gv_motion_free(&m);
}

// The same trembling, seen from near and as somebody of 90 px: keypoints of small people are worth less.
static void small_people_are_calmed_more(void **state) {
    (void)state;
    gv_motion near = standing(150, 0.02), far = standing(150, 0.02);
    for (int t = 0; t < 150; t++) {
        near.K[9 * t] = near.K[9 * t + 4] = 2000;
        far.K[9 * t] = far.K[9 * t + 4] = 250;
    }
    settle(&near), settle(&far);
    printf("jitter %.1f near, %.1f far\n", jitter(&near), jitter(&far));
    assert_true(jitter(&far) < 0.8 * jitter(&near));
    gv_motion_free(&near), gv_motion_free(&far);
}

static int set_up(void **state) {
    (void)state;
    float S[3 * J], betas[GV_BETAS] = {0};
    if (gv_body_open(&body, NULL, NULL) != GV_OK) return -1;
    float *v = malloc((size_t)body->vertices * 12), ground = 10;
    gv_body_rest_surface(body, betas, v, NULL);
    for (int i = 0; i < body->vertices; i++) ground = fminf(ground, v[3 * i + 1]);
    gv_body_rest_joints(S, body, betas, J);
    sole = S[3 * 10 + 1] - ground;
    free(v);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    gv_body_close(body);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planted_feet_stay),           cmocka_unit_test(fast_arms_stay_fast),
        cmocka_unit_test(damped_swings_come_back),     cmocka_unit_test(pieces_leave_no_seams),
        cmocka_unit_test(drift_goes_and_jumps_stay),   cmocka_unit_test(stairs_are_climbed),
        cmocka_unit_test(threads_do_not_matter),       cmocka_unit_test(short_motions),
        cmocka_unit_test(feet_turn_to_heels_and_toes), cmocka_unit_test(small_people_are_calmed_more),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
