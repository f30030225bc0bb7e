// In chunks or whole, three minutes of motion are the same: network output to 1e-5, the path in the world within 1 mm
// per metre walked. With the weights that are shipped, of somebody who walks as made_motion.h has it.
#include "made_motion.h"
#include "network/network.h"
#include "pipeline/predict.h"
#include "pipeline/settle.h"

#include <stdio.h>
#include <string.h>

enum { FRAMES = 5400, WHOLE = FRAMES, J = GV_MOTION_JOINTS };

typedef struct fixture {
    gv_network *net;
    gv_body *body;
    gv_observations o;
} fixture;

// Frame t of somebody who walks about and back: along a slow lissajous, turned the way of it.
static void walk(gv_observations *o, const gv_points *points, int t) {
    double s = t / 30.0, x = 1.5 * sin(0.31 * s), z = 6 + 2 * sin(0.23 * s);
    double vx = 1.5 * 0.31 * cos(0.31 * s), vz = 2 * 0.23 * cos(0.23 * s), step = sin(5.5 * s);
    float pose[63] = {0}, betas[GV_BETAS] = {0.5f, -0.5f}, p[51], R[9], turn[9],
          upright[9] = {1, 0, 0, 0, -1, 0, 0, 0, -1};
    const float pan[3] = {0, (float)(0.05 * sin(0.2 * s)), 0};
    float orient[3], transl[3] = {(float)x, (float)(0.25 + 0.02 * cos(11 * s)), (float)z}, low[2] = {1e9f, 1e9f},
                     high[2] = {-1e9f, -1e9f};
    pose[0] = (float)(0.45 * step), pose[3] = (float)(-0.45 * step);                // hips
    pose[9] = (float)(0.4 - 0.35 * step), pose[12] = (float)(0.4 + 0.35 * step);    // knees
    pose[3 * 15 + 2] = -1.1f, pose[3 * 16 + 2] = 1.1f;                              // arms down
    pose[3 * 15 + 1] = (float)(0.4 * step), pose[3 * 16 + 1] = (float)(0.4 * step); // and swinging
    gv_rot_from_aa(turn, (float[]){0, (float)atan2(-vx, vz) + 3.14159265f, 0});
    gv_rot_from_aa(o->R_w2c + 9 * (size_t)t, pan);
    gv_mat3_mul(R, upright, turn);
    gv_rot_to_aa(orient, R);
    gv_points_pose(points, betas, pose, orient, transl, p, NULL);
    float *kp = o->kp2d + 51 * (size_t)t, *box = o->bbx_xys + 3 * (size_t)t, *K = o->K + 9 * (size_t)t;
    memcpy(K, (float[9]){1000, 0, 640, 0, 1000, 360, 0, 0, 1}, 9 * sizeof *K);
    for (int k = 0; k < 17; k++) {
        float c[3];
        gv_mat3_apply(c, o->R_w2c + 9 * (size_t)t, p + 3 * k);
        kp[3 * k] = 1000 * c[0] / c[2] + 640 + (float)(1.5 * sin(12.9898 * t + 78.233 * k)); // px: they tremble
        kp[3 * k + 1] = 1000 * c[1] / c[2] + 360 + (float)(1.5 * sin(39.346 * t + 11.135 * k));
        kp[3 * k + 2] = t % 900 > 860 ? 0.1f : 0.9f; // out of sight for a second and more, now and then
        for (int i = 0; i < 2; i++) {
            low[i] = fminf(low[i], kp[3 * k + i]);
            high[i] = fmaxf(high[i], kp[3 * k + i]);
        }
    }
    box[0] = (low[0] + high[0]) / 2, box[1] = (low[1] + high[1]) / 2;
    box[2] = 1.2f * fmaxf(high[0] - low[0], high[1] - low[1]);
    o->time_sec[t] = s;
}

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    gv_error err = {0};
    if (!f ||
        gv_network_open(&f->net, GV_TEST_DATA "/../../models/gvhmr-compact.safetensors", 0, GV_PRECISION_F32, NULL,
                        &err) ||
        gv_body_open(&f->body, NULL, &err) || gv_observations_alloc(&f->o, FRAMES, &err)) {
        print_message("%s\n", err.text);
        return -1;
    }
    f->o.fps = 30, f->o.width = 1280, f->o.height = 720, f->o.length = FRAMES;
    gv_points *points = gv_points_create(f->body, f->body->coco17, 17);
    assert_non_null(points);
    for (int t = 0; t < FRAMES; t++) walk(&f->o, points, t);
    gv_points_destroy(points);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    gv_observations_free(&f->o);
    gv_body_close(f->body);
    gv_network_close(f->net);
    free(f);
    return 0;
}

static gv_motion predict(const fixture *f, int chunk, const gv_predict_options *opt, bool settled) {
    gv_motion m;
    gv_error err = {0};
    if (gv_network_set_chunk(f->net, chunk, &err) || gv_predict(&m, f->net, f->body, &f->o, opt, NULL, &err) ||
        (settled && gv_settle(&m, f->body, false, NULL, &err)))
        fail_msg("%s", err.text);
    return m;
}

static const float *array(const gv_motion *m, const char *name) {
    for (int i = 0; i < m->extra_count; i++)
        if (!strcmp(m->extra[i].name, name)) return m->extra[i].data;
    fail_msg("no %s", name);
    return NULL;
}

// The largest distance between two paths of the pelvis in the world, m, for every metre walked until then (for the
// first metre: as if one had been walked); *walked: the whole way on the ground.
static double off_path(const gv_motion *a, const gv_motion *b, double *walked, double *most) {
    double share = 0;
    *walked = *most = 0;
    for (int t = 0; t < FRAMES; t++) {
        const float *p = a->joints_world + 3 * J * (size_t)t, *q = b->joints_world + 3 * J * (size_t)t;
        const float *was = t ? p - 3 * J : p;
        *walked += hypot((double)p[0] - (double)was[0], (double)p[2] - (double)was[2]);
        double off = sqrt(pow((double)p[0] - (double)q[0], 2) + pow((double)p[1] - (double)q[1], 2) +
                          pow((double)p[2] - (double)q[2], 2));
        *most = fmax(*most, off);
        share = fmax(share, off / fmax(*walked, 1));
    }
    return share;
}

static void compare(const fixture *f, int chunk, const gv_predict_options *opt, bool settled, const char *how) {
    gv_motion whole = predict(f, WHOLE, opt, settled), parts = predict(f, chunk, opt, settled);
    double walked, most, share = off_path(&whole, &parts, &walked, &most), x = 0;
    assert_int_equal(parts.frames, FRAMES);
    if (opt->verbose) {
        x = fmax(max_abs_diff(array(&whole, "net/pred_x"), array(&parts, "net/pred_x"), (size_t)FRAMES * GV_PRED_X),
                 fmax(max_abs_diff(array(&whole, "net/pred_cam"), array(&parts, "net/pred_cam"), (size_t)FRAMES * 3),
                      max_abs_diff(array(&whole, "net/static_conf_logits"), array(&parts, "net/static_conf_logits"),
                                   (size_t)FRAMES * 6)));
        printf("chunks of %d, %s: network output off by %.2g\n", chunk, how, x);
    }
    printf("chunks of %d, %s: path off by %.4f mm at most, %.5f mm per metre of %.1f m; joints in the world %.4f mm\n",
           chunk, how, 1000 * most, 1000 * share, walked,
           1000 * max_abs_diff(whole.joints_world, parts.joints_world, (size_t)FRAMES * 3 * J));
    assert_true(x < 1e-5);
    assert_true(walked > 20);
    assert_true(share < 1e-3);
    gv_motion_free(&whole);
    gv_motion_free(&parts);
}

// As `predict` does: the network's own output, then the roll-out, which adds up over all frames.
static void the_method_in_chunks(void **state) {
    const fixture *f = *state;
    int least = 60 * (gv_network_layers(f->net) + 2);
    const int chunks[] = {0, least, 1000}; // 0: the default
    for (int i = 0; i < 3; i++)
        compare(f, chunks[i], &(gv_predict_options){.static_camera = i == 1, .verbose = true}, false,
                i == 1 ? "static camera" : "moving camera");
}

// As `run` does: with what is drawn towards the keypoints and settled afterwards.
static void with_refinement(void **state) {
    const fixture *f = *state;
    compare(f, 60 * (gv_network_layers(f->net) + 2), &(gv_predict_options){.refine = true}, true,
            "refined and settled");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_method_in_chunks), cmocka_unit_test(with_refinement)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
