// test_training_device.c - training on a device against the processor: gradients, steps, and runs that are broken off.
//
// The device is the emulated one, or with GVHMR_TEST_DEVICE=cuda a GPU. test_training_gradients.c holds the processor's
// gradients against central differences in double; test_training.c's runs that resume are run on a device, too.
#include "on_device.h"

#include "nn/kernels.h"
#include "training/losses.h"
#include "training/net.h"
#include "training/random.h"
#include "training/train.h"
#include "training_runs.h"

#include <math.h>

enum { B = 3, L = 20, D = 32, N = 2, H = 4, T = B * L, OUTPUTS = 3 };
static const int out_size[OUTPUTS] = {T * GV_PRED_X, T * 3, T * 6};

static gv_device *the_device(void) {
    static gv_device *d;
    if (!d) d = on_device();
    if (!d && gv_device_wrap(&d, gv_emulated_ops(0, 0), &err)) fail_msg("%s", err.text);
    return d;
}

static float *noise(int n, uint64_t seed, float scale) {
    float *x = calloc((size_t)n, sizeof *x);
    gv_rng r = gv_rng_make(seed, 1, 1);
    for (int i = 0; i < n; i++) x[i] = scale * (float)gv_normal(&r);
    return x;
}

// A network of any size of its own, its inputs, and weights of its outputs: the loss is their sum so weighted.
typedef struct problem {
    gv_net *net;
    float *in[4], *weight[OUTPUTS], *d[OUTPUTS], *grads;
} problem;

static problem begin(gv_device *d, int absolute, int bf16) {
    problem p = {0};
    static const int in_size[4] = {T * 51, T * 3, T * 6, T * GV_IMAGE_FEATURE};
    gv_net_config c = {D, N, H, 1, 0.2f, absolute, bf16, d};
    p.net = gv_net_create(&c, B, L);
    assert_non_null(p.net);
    gv_net_initialise(p.net, 5, 0.7f);
    for (int i = 0; i < 4; i++) p.in[i] = noise(in_size[i], 10 + (uint64_t)i, 0.5f);
    for (int t = 0; t < T * 17; t++) p.in[0][3 * t + 2] = (float)(t % 3 > 0); // a third of the joints unseen
    for (int i = 0; i < OUTPUTS; i++) p.weight[i] = noise(out_size[i], 20 + (uint64_t)i, 1);
    for (int i = 0; i < OUTPUTS; i++) p.d[i] = gv_engine_alloc(&p.net->engine, out_size[i], sizeof(float));
    // the zero second layers of the embedders would hide what lies before them
    int64_t n = p.net->parameters;
    p.grads = calloc((size_t)n, sizeof *p.grads);
    float *more = noise((int)n, 30, 0.05f);
    gv_engine_get(&p.net->engine, p.grads, p.net->params, n);
    for (int64_t i = 0; i < n; i++) p.grads[i] += more[i];
    gv_engine_put(&p.net->engine, p.net->params, p.grads, n);
    free(more);
    return p;
}

static void end(problem *p) {
    for (int i = 0; i < OUTPUTS; i++) free(p->weight[i]), gv_engine_free(&p->net->engine, p->d[i]);
    gv_net_destroy(p->net);
    for (int i = 0; i < 4; i++) free(p->in[i]);
    free(p->grads);
}

static double forward(problem *p) {
    static const int length[B] = {L, L - 7, 1};
    gv_net *n = p->net;
    gv_net_forward(n, &(gv_net_input){p->in[0], p->in[1], p->in[2], p->in[3], length, false}, 1, 7);
    gv_net_outputs(n);
    if (gv_engine_finish(&n->engine, &err)) fail_msg("%s", err.text);
    const float *out[OUTPUTS] = {n->pred_x, n->pred_cam, n->logits};
    double sum = 0;
    for (int i = 0; i < OUTPUTS; i++)
        for (int k = 0; k < out_size[i]; k++) sum += (double)out[i][k] * p->weight[i][k];
    return sum;
}

// p->grads: all gradients. The second pass of two adds to the first.
static double run(problem *p) {
    gv_net *n = p->net;
    double loss = 0;
    gv_engine_clear(&n->engine, n->grads, n->parameters);
    for (int k = 0; k < 2; k++) {
        loss = forward(p);
        for (int i = 0; i < OUTPUTS; i++) gv_engine_put(&n->engine, p->d[i], p->weight[i], out_size[i]);
        gv_net_backward(n, p->d[0], p->d[1], p->d[2]);
    }
    gv_engine_get(&n->engine, p->grads, n->grads, n->parameters);
    if (gv_engine_finish(&n->engine, &err)) fail_msg("%s", err.text);
    return loss;
}

// The largest difference within a tensor, as a share of its largest gradient; of all tensors.
static double worst_tensor(const gv_net *n, const float *found, const float *expected) {
    double worst = 0;
    for (int i = 0; i < n->tensors; i++) {
        int64_t from = n->offset[i], to = i + 1 < n->tensors ? n->offset[i + 1] : n->parameters;
        double top = 0, off = 0;
        for (int64_t k = from; k < to; k++) {
            top = fmax(top, fabs(expected[k]));
            off = fmax(off, fabs((double)found[k] - expected[k]));
        }
        assert_true(top > 0);
        if (strstr(n->table[i].name, "key.bias")) top = fmax(top, 1); // 0 but for rounding where nothing is turned
        if (off > 1e-3 * top) print_message("%s: off by %g of %g\n", n->table[i].name, off, top);
        worst = fmax(worst, off / top);
    }
    return worst;
}

static void check_gradients(int absolute, double outputs, double gradients) {
    problem p = begin(NULL, absolute, 0), q = begin(the_device(), absolute, 0);
    run(&p);
    run(&q);
    double off = max_abs_diff(p.net->pred_x, q.net->pred_x, T * GV_PRED_X);
    off = fmax(off, max_abs_diff(p.net->pred_cam, q.net->pred_cam, T * 3));
    off = fmax(off, max_abs_diff(p.net->logits, q.net->logits, T * 6));
    double worst = worst_tensor(p.net, q.grads, p.grads);
    print_message("positions %s: outputs off by %.2g, gradients by %.2g\n", absolute ? "added" : "turned", off, worst);
    assert_true(off < outputs && worst < gradients);
    end(&p);
    end(&q);
}

static void test_gradients(void **state) {
    (void)state;
    check_gradients(0, 1e-5, 2e-5);
    check_gradients(1, 1e-5, 2e-5);
}

// Operands rounded to 8 bits: far more than float32's rounding, and no more than that.
static void test_bf16(void **state) {
    (void)state;
    problem p = begin(NULL, 0, 0), q = begin(the_device(), 0, 1);
    run(&p);
    run(&q);
    double dot = 0, a = 0, b = 0;
    for (int64_t i = 0; i < p.net->parameters; i++) {
        dot += (double)p.grads[i] * q.grads[i];
        a += (double)p.grads[i] * p.grads[i];
        b += (double)q.grads[i] * q.grads[i];
    }
    double cosine = dot / sqrt(a * b), length = sqrt(b / a);
    double off = max_abs_diff(p.net->pred_x, q.net->pred_x, T * GV_PRED_X);
    print_message("bfloat16: outputs off by %.2g, gradient %.6f along the right one, %.4f as long\n", off, cosine,
                  length);
    assert_true(off > 1e-5 && off < 0.1 && cosine > 0.999 && fabs(length - 1) < 0.02);
    end(&p);
    end(&q);
}

// The device's own forward pass, moved along a direction, against its own gradient.
static void test_differences(void **state) {
    (void)state;
    problem p = begin(the_device(), 0, 0);
    gv_engine *e = &p.net->engine;
    int64_t n = p.net->parameters;
    run(&p);
    float *at = calloc((size_t)n, sizeof *at), *to = calloc((size_t)n, sizeof *to), *way = noise((int)n, 77, 1);
    gv_engine_get(e, at, p.net->params, n);
    double loss[2], slope = 0, h = 2e-4;
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < n; i++) to[i] = at[i] + (float)(k ? h : -h) * way[i];
        gv_engine_put(e, p.net->params, to, n);
        loss[k] = forward(&p);
        for (int64_t i = 0; i < n; i++) slope += (k ? 0.25 / h : -0.25 / h) * to[i] * p.grads[i] * 2;
    }
    slope /= 2; // two passes were added up
    double found = (loss[1] - loss[0]) / (2 * h);
    print_message("slope %g, differences %g\n", slope, found);
    assert_true(fabs(found - slope) < 3e-3 * fabs(slope));
    free(at), free(to), free(way);
    end(&p);
}

// Passes of training that come again with other numbers in the same places, are interrupted by one that is not
// training's and by one whose gradients lie elsewhere: each as on the processor, and all but the first of a kind
// recorded.
static void test_passes_again(void **state) {
    (void)state;
    problem p[2] = {begin(NULL, 0, 0), begin(the_device(), 0, 0)};
    const int64_t n = p[0].net->parameters;
    const int before = on_gpu() ? 0 : gv_emulated_replays();
    float *elsewhere = gv_engine_alloc(&p[1].net->engine, out_size[0], sizeof *elsewhere);
    for (int pass = 0; pass < 6; pass++) {
        const int length[B] = {L - pass, 3 + pass, L}, training = pass != 3;
        for (int k = 0; k < 2; k++) {
            gv_net *net = p[k].net;
            gv_engine *e = &net->engine;
            for (int i = 0; i < T * 51; i++) p[k].in[0][i] += i % 3 < 2 ? 0.1f * (float)(i % 7 - 3) : 0;
            gv_net_forward(net, &(gv_net_input){p[k].in[0], p[k].in[1], p[k].in[2], p[k].in[3], length, false},
                           training, 100 + (uint64_t)pass);
            gv_net_outputs(net);
            gv_engine_clear(e, net->grads, n);
            gv_real *d[OUTPUTS] = {k && pass == 4 ? elsewhere : p[k].d[0], p[k].d[1], p[k].d[2]};
            for (int i = 0; i < OUTPUTS; i++) gv_engine_put(e, d[i], p[k].weight[i], out_size[i]);
            gv_net_backward(net, d[0], d[1], d[2]);
            gv_engine_get(e, p[k].grads, net->grads, n);
            if (gv_engine_finish(e, &err)) fail_msg("%s", err.text);
        }
        double off = max_abs_diff(p[0].net->pred_x, p[1].net->pred_x, T * GV_PRED_X);
        double worst = worst_tensor(p[0].net, p[1].grads, p[0].grads);
        print_message("pass %d: outputs off by %.2g, gradients by %.2g\n", pass, off, worst);
        assert_true(off < 1e-5 && worst < 2e-5);
    }
    // forwards passes 1, 2, 4 and 5; backwards 1, 2 and 5
    if (!on_gpu()) assert_int_equal(gv_emulated_replays() - before, 4 + 3 * (N + 2));
    gv_engine_free(&p[1].net->engine, elsewhere);
    for (int k = 0; k < 2; k++) end(&p[k]);
}

// ---- losses

enum { LB = 4, LL = 20, LT = LB * LL, SURFACE = 40, EACH = 3 };

// Points that ride on three bones each, and move with the shape, as does the skeleton.
static void ride(gv_rig_points *p, int count, gv_rng *r) {
    free(p->first), free(p->part);
    p->count = count;
    p->first = calloc((size_t)count + 1, sizeof(int));
    p->part = calloc((size_t)count * EACH, sizeof *p->part);
    for (int i = 0; i < count * EACH; i++) {
        gv_rig_part *q = &p->part[i];
        p->first[i / EACH + 1] = i + 1;
        *q = (gv_rig_part){.bone = (i * 5 + 1) % 22, .W = 1.0f / EACH};
        for (int c = 0; c < 3; c++) q->Y[c] = 0.1f * (float)gv_normal(r);
        for (int k = 0; k < 30; k++) q->dirs[k / 10][k % 10] = 0.01f * (float)gv_normal(r);
    }
}

static double relative(const char *what, const float *found, const float *expected, int n) {
    double off = 0, top = 0;
    for (int i = 0; i < n; i++) {
        off = fmax(off, fabs((double)found[i] - expected[i]));
        top = fmax(top, fabs(expected[i]));
    }
    print_message("%s: off by %.2g of at most %.3g\n", what, off, top);
    assert_true(top > 0);
    return off / top;
}

// Outputs near the truth, of a batch as training has it; one sequence is short, one without labels in the world. The
// sums are float32's: their gradients are the same but for rounding.
static void check_losses(int surface) {
    runs r;
    runs_begin(&r);
    gv_rng g = gv_rng_make(4, 5, 6);
    ride(&r.rig.coco, GV_COCO, &g);
    ride(&r.rig.surface, SURFACE, &g);
    for (int i = 0; i < 22 * 30; i++) r.rig.dirs[i / 30][i / 10 % 3][i % 10] = 0.01f * (float)gv_normal(&g);
    gv_sampler s;
    assert_int_equal(gv_sampler_init(&s, &r.store, &r.rig, &gv_sample_defaults, &err), GV_OK);
    gv_batch *b = gv_batch_create(LB, LL, SURFACE);
    assert_true(gv_batch_fill(b, &s, 3, 1));
    b->length[1] = LL - 6, b->length[2] = 1, b->incam_only[3] = 1;
    if (!surface) r.rig.surface.count = 0;
    gv_net_config c = {D, 1, H, 1, 0, 0, 0, NULL}, there = c;
    there.device = the_device();
    gv_net *n[2] = {gv_net_create(&c, LB, LL), gv_net_create(&there, LB, LL)};
    static const int size[OUTPUTS] = {LT * GV_PRED_X, LT * 3, LT * 6};
    for (int i = 0; i < OUTPUTS; i++) {
        float *x = noise(size[i], 40 + (uint64_t)i, i == 0 ? 0.2f : i == 1 ? 0.05f : 2);
        for (int t = 0; t < LT * GV_PRED_X && i == 0; t++) x[t] += b->y.x[t];
        for (int t = 0; t < LT && i == 1; t++) {
            float goal[3];
            gv_cam_target(goal, b->y.transl_c + 3 * t, b->y.coco + 51 * t, b->y.box + 3 * t, b->y.K + 4 * t);
            for (int k = 0; k < 3; k++) x[3 * t + k] += goal[k];
        }
        for (int k = 0; k < 2; k++) gv_engine_put(&n[k]->engine, n[k]->out[i], x, size[i]);
        free(x);
    }
    gv_loss loss[2];
    float *d[2][OUTPUTS];
    for (int k = 0; k < 2; k++) {
        gv_losses *l = gv_losses_create(&n[k]->engine, &r.rig, LB, LL);
        assert_non_null(l);
        gv_losses_run(l, n[k], &b->y, gv_loss_weights);
        gv_losses_get(l, &loss[k]);
        const float *from[OUTPUTS] = {l->dx, l->dcam, l->dlogits};
        for (int i = 0; i < OUTPUTS; i++) {
            d[k][i] = calloc((size_t)size[i], sizeof(float));
            gv_engine_get(&n[k]->engine, d[k][i], from[i], size[i]);
        }
        if (gv_engine_finish(&n[k]->engine, &err)) fail_msg("%s", err.text);
        gv_losses_destroy(l);
    }
    double worst = fabs(loss[1].total / loss[0].total - 1);
    for (int i = 0; i < GV_LOSS_TERMS; i++) {
        bool none = !surface && (i == GV_LOSS_CR_VERTS || i == GV_LOSS_VERTS2D);
        assert_true(none ? loss[0].term[i] == 0 && loss[1].term[i] == 0 : loss[0].term[i] > 0);
        if (!none) worst = fmax(worst, fabs(loss[1].term[i] / loss[0].term[i] - 1));
    }
    print_message("losses with %d surface points: relative %.2g\n", r.rig.surface.count, worst);
    assert_true(worst < 2e-6);
    assert_true(relative("gradient of x", d[1][0], d[0][0], size[0]) < 5e-6);
    assert_true(relative("gradient of the camera", d[1][1], d[0][1], size[1]) < 5e-6);
    assert_true(relative("gradient of the logits", d[1][2], d[0][2], size[2]) < 5e-6);
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < OUTPUTS; i++) free(d[k][i]);
        gv_net_destroy(n[k]);
    }
    gv_sampler_free(&s);
    gv_batch_destroy(b);
    r.rig.surface.count = SURFACE;
    runs_end(&r);
}

static void test_losses(void **state) {
    (void)state;
    check_losses(1);
    check_losses(0);
}

// ---- sequences

enum { MADE = 6, MADE_LENGTH = 100 };

// Options under which each of the ways to make a sequence is taken by many.
static int variants(gv_sample_options o[12]) {
    for (int i = 0; i < 12; i++) o[i] = gv_sample_defaults;
    o[1].recombine = o[1].perturb = 1;
    o[2].bend = o[2].slow = 1;
    o[3].lay = o[3].shapes = 1;
    o[4].camera = GV_SAMPLE_STATIC, o[4].askew = 1;
    o[5].camera = GV_SAMPLE_MOVING, o[5].wrong_focal = 1;
    o[6].surveillance = 1, o[6].points = 1;
    o[7].drop = 0.5, o[7].points = 0;
    o[8].chained = 1;
    o[9].noise = 3, o[9].points = 1;
    o[10].plain = true, o[10].recombine = o[10].perturb = o[10].bend = o[10].lay = 0;
    o[11].recombine = 0;
    return 12;
}

// The largest difference between numbers of a batch here and there, of the largest there are.
static double differs(gv_engine *e, const float *here, float *there, int width) {
    const int n = MADE * MADE_LENGTH * width;
    float *copy = calloc((size_t)n, sizeof *copy);
    double off = 0, top = 1e-9;
    gv_engine_get(e, copy, there, n);
    for (int i = 0; i < n; i++) {
        off = fmax(off, isfinite(copy[i]) ? fabs((double)copy[i] - here[i]) : INFINITY);
        top = fmax(top, fabs(here[i]));
    }
    free(copy);
    return off / top;
}

// Emulated the numbers are the same to the bit, however the items of a sequence are shared out: it is the same
// machine's arithmetic. On a GPU functions of its library round differently, and rarely a point that is just about
// visible, or a foot that is just about still, is told otherwise.
static void test_sequences(void **state) {
    (void)state;
    runs r;
    runs_begin(&r);
    gv_rng g = gv_rng_make(4, 5, 6);
    ride(&r.rig.coco, GV_COCO, &g);
    ride(&r.rig.surface, SURFACE, &g);
    for (int i = 0; i < 22 * 30; i++) r.rig.dirs[i / 30][i / 10 % 3][i % 10] = 0.01f * (float)gv_normal(&g);
    gv_engine e = {.device = the_device()};
    gv_batch *here = gv_batch_create(MADE, MADE_LENGTH, SURFACE);
    gv_batch *there = gv_batch_create_on(&e, MADE, MADE_LENGTH, SURFACE);
    assert_non_null(there);
    gv_sample_options o[12];
    double worst[16] = {0};
    for (int k = 0, n = variants(o); k < n; k++) {
        gv_sampler s;
        assert_int_equal(gv_sampler_init(&s, &r.store, &r.rig, &o[k], &err), GV_OK);
        assert_true(gv_sampler_put(&s, e.device));
        for (uint64_t step = 0; step < 6; step++) {
            int length[MADE];
            unsigned char incam_only[MADE];
            here->first = there->first = 3 * (int)step;
            assert_true(gv_batch_fill(here, &s, 7, step) && gv_batch_fill(there, &s, 7, step));
            gv_device_download(e.device, length, there->length, sizeof length);
            gv_device_download(e.device, incam_only, there->incam_only, sizeof incam_only);
            const gv_targets *x = &here->y, *y = &there->y;
            const struct {
                float *here, *there;
                int width;
            } parts[16] = {{x->x, y->x, GV_PRED_X},
                           {x->joints, y->joints, 66},
                           {x->coco, y->coco, 51},
                           {x->verts, y->verts, SURFACE * 3},
                           {x->transl_c, y->transl_c, 3},
                           {x->R_w, y->R_w, 9},
                           {x->transl_w, y->transl_w, 3},
                           {x->box, y->box, 3},
                           {x->K, y->K, 4},
                           {here->R_w2c, there->R_w2c, 9},
                           {here->joints_w, there->joints_w, 66},
                           {here->cliff, there->cliff, 3},
                           {here->angvel, there->angvel, 6},
                           {here->images, there->images, GV_IMAGE_FEATURE},
                           {here->kp2d, there->kp2d, 51},
                           {here->obs, there->obs, 51}};
            for (int i = 0; i < 16; i++)
                worst[i] = fmax(worst[i], differs(&e, parts[i].here, parts[i].there, parts[i].width));
            if (gv_engine_finish(&e, &err)) fail_msg("%s", err.text);
            assert_memory_equal(length, here->length, sizeof length);
            assert_memory_equal(incam_only, here->incam_only, sizeof incam_only);
        }
        gv_sampler_free(&s);
    }
    for (int i = 0; i < 16; i++) {
        print_message("sequences, array %d: relative %.2g\n", i, worst[i]);
        assert_true(on_gpu() ? i >= 13 || worst[i] < 1e-3 : worst[i] == 0);
    }
    gv_batch_destroy(here);
    gv_batch_destroy(there);
    if (!on_gpu()) assert_int_equal(gv_emulated_bytes(), 0);
    runs_end(&r);
}

// A device without room for the sequences, or for the clips.
static void test_no_room_to_make(void **state) {
    (void)state;
    if (on_gpu()) skip();
    runs r;
    runs_begin(&r);
    gv_engine e = {.device = the_device()};
    gv_sampler s;
    assert_int_equal(gv_sampler_init(&s, &r.store, &r.rig, &gv_sample_defaults, &err), GV_OK);
    for (size_t room = 1000; room < 1 << 21; room *= 2) { // each in turn is what does not fit
        gv_emulated_ops(room, 0);
        gv_batch *b = gv_batch_create_on(&e, 2, 20, SURFACE);
        bool put = b && gv_sampler_put(&s, e.device);
        assert_false(put && gv_engine_finish(&e, &err) == GV_OK && room < 400000);
        if (!put) assert_int_equal(gv_engine_finish(&e, &err), GV_ERR_MEMORY);
        gv_batch_destroy(b);
        gv_sampler_free(&s);
        assert_int_equal(gv_emulated_bytes(), 0);
        assert_int_equal(gv_sampler_init(&s, &r.store, &r.rig, &gv_sample_defaults, &err), GV_OK);
    }
    gv_emulated_ops(0, 0);
    gv_sampler_free(&s);
    runs_end(&r);
}

// ---- runs

static gv_train_options options(gv_device *d, const char *out) {
    gv_train_options o = gv_train_defaults;
    o.width = 32, o.layers = 2, o.heads = 4, o.batch = 2, o.frames = 16, o.steps = 6, o.gate = 1;
    o.validation_batches = 1, o.decay = 0, o.warmup = 0, o.bf16 = 0;
    o.leave_out = "person3";
    o.validate_every = 3, o.save_every = 2, o.log_every = 1;
    o.out = out;
    o.device = d;
    return o;
}

static void read_losses(double loss[6], const char *dir) {
    unsigned char *text;
    size_t n;
    read_whole(dir, "log.jsonl", &text, &n);
    const char *p = (char *)text;
    for (int i = 0; i < 6; i++) {
        p = strstr(p, "\"loss\":");
        assert_non_null(p);
        loss[i] = atof(p + 7);
        p = strchr(p, '\n');
    }
    free(text);
}

// Sequences made on the processor or on the device: the same losses.
static void test_steps(void **state) {
    (void)state;
    double loss[2][6];
    for (int k = 0; k < 2; k++) {
        runs r;
        runs_begin(&r);
        gv_train_options o = options(k ? the_device() : NULL, r.one);
        if (k && !on_gpu()) gv_emulated_ops(0, 0); // counts from 0
        if (gv_train_run(&o, &r.store, &r.rig, NULL, &err)) fail_msg("%s", err.text);
        if (k && !on_gpu()) assert_int_equal(gv_emulated_launches(GV_KERNEL_make_sequences), 6);
        read_losses(loss[k], o.out);
        runs_end(&r);
    }
    for (int i = 0; i < 6; i++) {
        print_message("step %d: loss %.6g, on the device %.6g\n", i + 1, loss[0][i], loss[1][i]);
        assert_true(fabs(loss[1][i] / loss[0][i] - 1) < 1e-3);
    }
}

// The device fails in the middle of a run: one error, the last checkpoint stays, nothing is left on the device, and the
// next run goes on from there to the same model.
static void test_broken_off(void **state) {
    (void)state;
    if (on_gpu()) skip();
    runs r;
    runs_begin(&r);
    gv_device *d = the_device();
    gv_train_options o = options(d, r.one);
    o.bf16 = 1;
    gv_emulated_break(1 << 28);
    assert_int_equal(gv_train_run(&o, &r.store, &r.rig, NULL, &err), GV_OK);
    assert_int_equal(gv_emulated_bytes(), 0);
    o.out = r.two;
    gv_emulated_break(2000);
    assert_int_equal(gv_train_run(&o, &r.store, &r.rig, NULL, &err), GV_ERR_INTERNAL);
    assert_string_equal(err.text, "the emulated device broke");
    gv_emulated_break(0);
    assert_int_equal(gv_emulated_bytes(), 0);
    char path[64];
    snprintf(path, sizeof path, "%s/checkpoint.gvt", r.two);
    assert_int_equal(access(path, R_OK), 0);
    assert_int_equal(gv_train_run(&o, &r.store, &r.rig, NULL, &err), GV_OK);
    unsigned char *a, *b;
    size_t n, m;
    read_whole(r.one, "model.safetensors", &a, &n);
    read_whole(r.two, "model.safetensors", &b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    free(a), free(b);
    runs_end(&r);
}

static void test_no_room(void **state) {
    (void)state;
    if (on_gpu()) skip();
    runs r;
    runs_begin(&r);
    gv_device *d = the_device();
    gv_emulated_ops(1 << 20, 0);
    gv_train_options o = options(d, r.one);
    assert_int_equal(gv_train_run(&o, &r.store, &r.rig, NULL, &err), GV_ERR_MEMORY);
    assert_string_equal(err.text, "no memory to train batches of 2");
    assert_int_equal(gv_emulated_bytes(), 0);
    gv_emulated_ops(0, 0);
    runs_end(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gradients),       cmocka_unit_test(test_bf16),
                                       cmocka_unit_test(test_differences),     cmocka_unit_test(test_passes_again),
                                       cmocka_unit_test(test_losses),          cmocka_unit_test(test_sequences),
                                       cmocka_unit_test(test_no_room_to_make), cmocka_unit_test(test_steps),
                                       cmocka_unit_test(test_broken_off),      cmocka_unit_test(test_no_room)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
