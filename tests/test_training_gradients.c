// test_training_gradients.c - every gradient of network and losses against central differences, in double.
//
// The sources are compiled once more with gv_real = double; nothing of the library's float versions is linked.
#define GV_TRAIN_DOUBLE
#include "../src/training/engine.c"
#include "../src/training/layers.c"
#include "../src/training/net.c"
#undef J
#include "../src/training/rig.c"
#include "../src/training/rig_pose.c"
#define frame loss_frame
#define J     LOSS_J
#include "../src/training/loss.c"
#undef J
#include "test.h"

enum { B = 2, L = 5, D = 16, N = 2, H = 2, V = 3, T = B * L };

static gv_rng rng;
static double normal(double scale) {
    return scale * gv_normal(&rng);
}

static void random_points(gv_rig_points *p, int count) {
    p->count = count;
    p->first = calloc((size_t)count + 1, sizeof(int));
    p->part = calloc((size_t)count * 2, sizeof *p->part);
    for (int i = 0; i < count; i++) {
        p->first[i + 1] = 2 * (i + 1);
        for (int k = 0; k < 2; k++) {
            gv_rig_part *q = &p->part[2 * i + k];
            q->bone = (5 * i + 7 * k) % 22;
            q->W = k ? 0.3 : 0.7;
            for (int c = 0; c < 3; c++) {
                q->Y[c] = normal(0.2);
                for (int b = 0; b < 10; b++) q->dirs[c][b] = normal(0.01);
            }
        }
    }
}

typedef struct problem {
    gv_net *net;
    gv_rig rig;
    gv_net_input in;
    gv_targets y;
    gv_real *dx, *dcam, *dlogits;
    double partial[B * GV_LOSS_TERMS];
    gv_real weights[GV_LOSS_TERMS];
    gv_loss loss;
} problem;

static gv_real *numbers(int n, double scale, double mean) {
    gv_real *p = calloc((size_t)n, sizeof *p);
    for (int i = 0; i < n; i++) p[i] = mean + normal(scale);
    return p;
}

static double evaluate(problem *p) {
    gv_net_forward(p->net, &p->in, 1, 7);
    gv_loss_run(&p->loss, p->dx, p->dcam, p->dlogits, p->net->pred_x, p->net->pred_cam, p->net->logits, &p->y, &p->rig,
                p->weights, p->partial);
    return p->loss.total;
}

static void build(problem *p, int absolute) {
    static const int length[B] = {L, L - 2};
    static const unsigned char incam[B] = {0, 1};
    rng = gv_rng_make(3, 1, 4);
    gv_net_config c = {D, N, H, 1, 0.2, absolute, 0, NULL};
    p->net = gv_net_create(&c, B, L);
    assert_non_null(p->net);
    gv_net_initialise(p->net, 5, 0.7);
    for (int64_t i = 0; i < p->net->parameters; i++) p->net->params[i] += normal(0.05);
    for (int j = 0; j < 22; j++)
        for (int k = 0; k < 3; k++) {
            p->rig.S[j][k] = normal(0.3);
            for (int b = 0; b < 10; b++) p->rig.dirs[j][k][b] = normal(0.01);
        }
    random_points(&p->rig.coco, 17);
    random_points(&p->rig.surface, V);
    gv_real *obs = numbers(T * 51, 0.5, 0);
    for (int i = 0; i < T * 17; i++) obs[3 * i + 2] = i % 5 != 0;
    p->in = (gv_net_input){obs, numbers(T * 3, 0.3, 0), numbers(T * 6, 0.5, 0), numbers(T * 1024, 1, 0), length, false};
    p->y = (gv_targets){B,
                        L,
                        V,
                        length,
                        incam,
                        numbers(T * 151, 1, 0),
                        numbers(T * 66, 0.3, 0),
                        numbers(T * 51, 0.3, 0),
                        numbers(T * V * 3, 0.3, 0),
                        numbers(T * 3, 0.3, 0),
                        calloc(T * 9, sizeof(gv_real)),
                        numbers(T * 3, 0.1, 0),
                        numbers(T * 6, 0, 1),
                        numbers(T * 3, 10, 500),
                        numbers(T * 4, 5, 500),
                        false};
    for (int t = 0; t < T; t++) {
        p->y.transl_c[3 * t + 2] += 4;
        p->y.box[3 * t + 2] = 400;
        for (int i = 0; i < 22; i++) p->y.joints[(t * 22 + i) * 3 + 2] += 4;
        for (int i = 0; i < 17; i++) p->y.coco[(t * 17 + i) * 3 + 2] += 4;
        for (int i = 0; i < V; i++) p->y.verts[(t * V + i) * 3 + 2] += 4;
        gv_real d6[6];
        for (int i = 0; i < 6; i++) d6[i] = normal(1);
        gv_real_from_6d(p->y.R_w + 9 * t, d6);
    }
    p->dx = numbers(T * 151, 0, 0);
    p->dcam = numbers(T * 3, 0, 0);
    p->dlogits = numbers(T * 6, 0, 0);
}

static void destroy(problem *p) {
    void *blocks[] = {(void *)p->in.obs,
                      (void *)p->in.cliff,
                      (void *)p->in.angvel,
                      (void *)p->in.images,
                      p->y.x,
                      p->y.joints,
                      p->y.coco,
                      p->y.verts,
                      p->y.transl_c,
                      p->y.R_w,
                      p->y.transl_w,
                      p->y.still,
                      p->y.box,
                      p->y.K,
                      p->dx,
                      p->dcam,
                      p->dlogits};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) free(blocks[i]);
    gv_rig_free(&p->rig);
    gv_net_destroy(p->net);
}

// Every tensor: a few entries each. The error is measured against the tensor's largest gradient.
static void check(problem *p, const char *what, int entries) {
    gv_net *n = p->net;
    evaluate(p);
    memset(n->grads, 0, sizeof(gv_real) * (size_t)n->parameters);
    gv_net_backward(n, p->dx, p->dcam, p->dlogits);
    double worst = 0;
    int moved = 0;
    for (int i = 0; i < n->tensors; i++) {
        int64_t from = n->offset[i], to = i + 1 < n->tensors ? n->offset[i + 1] : n->parameters;
        double top = 0;
        for (int64_t k = from; k < to; k++) top = fmax(top, fabs(n->grads[k]));
        for (int k = 0; k < entries; k++) {
            int64_t at = from + gv_randint(&rng, 0, (int)(to - from));
            double keep = n->params[at], h = 1e-6, a, b;
            n->params[at] = keep + h;
            a = evaluate(p);
            n->params[at] = keep - h;
            b = evaluate(p);
            n->params[at] = keep;
            double e = fabs((a - b) / (2 * h) - n->grads[at]), scale = fmax(top, 1e-3 * fabs(p->loss.total));
            if (e / scale > 1e-6)
                printf("%s: %s[%lld]: %g, differences %g\n", what, n->table[i].name, (long long)(at - from),
                       n->grads[at], (a - b) / (2 * h));
            worst = fmax(worst, e / scale);
            moved += n->grads[at] != 0;
        }
    }
    printf("%s: worst relative error %.2g, loss %g\n", what, worst, p->loss.total);
    assert_true(moved > 0 || !entries);
    assert_true(worst < 1e-6);
}

static void test_each_loss(void **state) {
    (void)state;
    problem p = {0};
    build(&p, 0);
    for (int i = 0; i < GV_LOSS_TERMS; i++) {
        memset(p.weights, 0, sizeof p.weights);
        p.weights[i] = 1;
        check(&p, gv_loss_names[i], 1);
        assert_true(p.loss.term[i] > 0);
    }
    memcpy(p.weights, gv_loss_weights, sizeof p.weights);
    check(&p, "total", 2);
    destroy(&p);
}

// Without rotary embedding, positions in the tokens.
static void test_absolute(void **state) {
    (void)state;
    problem p = {0}, rotary = {0};
    build(&p, 1);
    build(&rotary, 0);
    memcpy(p.weights, gv_loss_weights, sizeof p.weights);
    memcpy(rotary.weights, gv_loss_weights, sizeof p.weights);
    check(&p, "absolute positions", 2);
    evaluate(&rotary);
    assert_true(fabs(p.loss.total - rotary.loss.total) > 1e-6 * rotary.loss.total);
    destroy(&p);
    destroy(&rotary);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_loss), cmocka_unit_test(test_absolute)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
