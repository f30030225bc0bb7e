// layers_device.c - matrix products as the device has them, everything else by the kernels of nn/kernel_training.h.
#include "training/layers_device.h"
#include "nn/kernels.h"

#include <math.h>

// What a product reads: x itself, or rounded to bfloat16 in `scratch`.
static const void *operand(gv_engine *e, uint16_t *scratch, const float *x, int64_t count) {
    if (!e->bf16) return x;
    if (count > e->room) {
        gv_device_fail(e->device, GV_ERR_INTERNAL, "an operand of %lld numbers, room for %lld", (long long)count,
                       (long long)e->room);
        return NULL;
    }
    gv_kernel(e->device, narrow, .y = scratch, .x = x, .count = count);
    return scratch;
}

static void multiply(gv_engine *e, gv_device_matmul m) {
    m.bf16_in = e->bf16;
    gv_device_matmul_queue(e->device, &m);
}

// y += sums over the rows of x [T, n], times `by` (normalised with `stats`) where there is one: in parts, then of them.
static void column_sums(gv_engine *e, float *y, const float *x, const float *by, const float *stats, int T, int n) {
    int parts = (T + 255) / 256 < GV_ENGINE_PARTS ? (T + 255) / 256 : GV_ENGINE_PARTS;
    if (n > e->sum_room) gv_device_fail(e->device, GV_ERR_INTERNAL, "sums of %d columns", n);
    gv_kernel(e->device, column_sums, .y = e->sums, .x = x, .by = by, .stats = stats, .rows = T, .width = n,
              .parts = parts, .each = (T + parts - 1) / parts);
    gv_kernel(e->device, column_sums, .y = y, .x = e->sums, .rows = parts, .width = n, .parts = 1, .each = parts,
              .accumulate = true);
}

void gv_queue_linear_forward(gv_engine *e, bool add, float *y, const float *x, const float *W, const float *b, int T,
                             int in, int out) {
    multiply(e, (gv_device_matmul){.rows = T,
                                   .in = in,
                                   .out = out,
                                   .accumulate = add,
                                   .epilogue = GV_EPILOGUE_BIAS,
                                   .x = operand(e, e->a, x, (int64_t)T * in),
                                   .weight = operand(e, e->b, W, (int64_t)out * in),
                                   .bias = b,
                                   .y = y});
}

void gv_queue_linear_backward(gv_engine *e, bool add, float *dx, float *dW, float *db, const float *dy, const float *x,
                              const float *W, int T, int in, int out) {
    const void *given = operand(e, e->a, dy, (int64_t)T * out);
    multiply(e, (gv_device_matmul){.rows = out, // dW += dy^T x
                                   .in = T,
                                   .out = in,
                                   .x_turned = true,
                                   .weight_turned = true,
                                   .accumulate = true,
                                   .x = given,
                                   .weight = operand(e, e->b, x, (int64_t)T * in),
                                   .y = dW});
    column_sums(e, db, dy, NULL, NULL, T, out);
    if (!dx) return;
    multiply(e, (gv_device_matmul){.rows = T, // dx = dy W
                                   .in = out,
                                   .out = in,
                                   .weight_turned = true,
                                   .accumulate = add,
                                   .x = given,
                                   .weight = operand(e, e->b, W, (int64_t)out * in),
                                   .y = dx});
}

void gv_queue_norm_forward(gv_engine *e, float *y, float *stats, const float *x, const float *w, const float *b, int T,
                           int n, float eps) {
    gv_kernel(e->device, layer_norm, .y = y, .x = x, .weight = w, .bias = b, .stats = stats, .rows = T, .width = n,
              .epsilon = eps);
}

void gv_queue_norm_backward(gv_engine *e, float *dx, float *dw, float *db, const float *dy, const float *x,
                            const float *stats, const float *w, int T, int n) {
    column_sums(e, db, dy, NULL, NULL, T, n);
    column_sums(e, dw, dy, x, stats, T, n);
    if (dx)
        gv_kernel(e->device, norm_backward, .dx = dx, .dy = dy, .x = x, .stats = stats, .weight = w, .rows = T,
                  .width = n);
}

static gv_device_activation activation_of(gv_activation a) {
    return a == GV_ACT_GELU_ERF ? GV_ACTIVATE_GELU_ERF : a == GV_ACT_SILU ? GV_ACTIVATE_SILU : GV_ACTIVATE_GELU_TANH;
}

enum { RUN = 1024 }; // numbers that one block of the kernel has; all as rows of so many, and what is left over

void gv_queue_act_forward(gv_engine *e, float *y, const float *x, gv_activation a, int64_t n) {
    int64_t rows = n / RUN, done = rows * RUN;
    gv_kernel(e->device, activate, .y = y, .x = x, .rows = rows, .width = RUN, .activation = activation_of(a));
    if (done < n)
        gv_kernel(e->device, activate, .y = y + done, .x = x + done, .rows = 1, .width = (int)(n - done),
                  .activation = activation_of(a));
}

void gv_queue_act_backward(gv_engine *e, float *dx, const float *dy, const float *x, gv_activation a, int64_t n) {
    gv_kernel(e->device, activate_backward, .dx = dx, .dy = dy, .x = x, .count = n, .activation = activation_of(a));
}

void gv_queue_dropout(gv_engine *e, float *x, float p, const uint64_t *seed, int64_t n) {
    gv_kernel(e->device, dropout, .x = x, .count = n, .seed = seed, .limit = gv_dropout_limit(p), .keep = 1 / (1 - p));
}

void gv_queue_rope(gv_engine *e, float *x, const float *cosines, const float *sines, int B, int L, int H, int d,
                   int sign) {
    gv_kernel(e->device, rotate, .x = x, .cosine = cosines, .sine = sines, .rows = (int64_t)B * L, .frames = L,
              .heads = H, .head_dim = d, .sign = sign);
}

// One product for every sequence and head: a matrix of a head is [L, d] in rows of D = H d numbers, or [L, L] without
// gaps. What `turned` says is whether the first or second is turned in memory.
typedef struct heads {
    int B, L, H, d;
} heads;

typedef struct side {
    const void *at;
    bool square, turned; // [L, L], else [L, d]
} side;

static const void *beyond(const void *at, int64_t count, bool bf16) {
    return (const char *)at + count * (bf16 ? 2 : 4);
}

static void multiply_heads(gv_engine *e, const heads *s, float *y, bool y_square, side x, side w, float scale) {
    const int D = s->H * s->d, L = s->L;
    const int64_t square = (int64_t)L * L, apart[2] = {(int64_t)L * D, s->H * square}; // one sequence from the next
    for (int h = 0; h < s->H; h++)
        multiply(e, (gv_device_matmul){.rows = L,
                                       .in = x.square ? L : s->d,
                                       .out = y_square ? L : s->d,
                                       .x_turned = x.turned,
                                       .weight_turned = w.turned,
                                       .x_stride = x.square ? L : D,
                                       .weight_stride = w.square ? L : D,
                                       .y_stride = y_square ? L : D,
                                       .count = s->B,
                                       .x_step = apart[x.square],
                                       .weight_step = apart[w.square],
                                       .y_step = apart[y_square],
                                       .scale = scale,
                                       .x = beyond(x.at, x.square ? h * square : h * s->d, e->bf16),
                                       .weight = beyond(w.at, w.square ? h * square : h * s->d, e->bf16),
                                       .y = y + (y_square ? h * square : h * s->d)});
}

void gv_queue_attention_forward(gv_engine *e, float *y, float *P, float *Pd, const float *q, const float *k,
                                const float *v, const int *length, int B, int L, int H, int d, float p,
                                const uint64_t *seed) {
    const heads s = {B, L, H, d};
    const int64_t rows = (int64_t)B * L * H * d, squares = (int64_t)B * H * L * L;
    side left = {operand(e, e->a, q, rows), false, false}, right = {operand(e, e->b, k, rows), false, false};
    multiply_heads(e, &s, P, true, left, right, (float)(1 / sqrt((double)d)));
    gv_kernel(e->device, softmax, .p = P, .dropped = p > 0 ? Pd : NULL, .length = length, .sequences = B, .heads = H,
              .frames = L, .seed = seed, .limit = gv_dropout_limit(p), .keep = 1 / (1 - p));
    left = (side){operand(e, e->a, p > 0 ? Pd : P, squares), true, false};
    right = (side){operand(e, e->b, v, rows), false, true};
    multiply_heads(e, &s, y, false, left, right, 1);
}

void gv_queue_attention_backward(gv_engine *e, float *dq, float *dk, float *dv, const float *dy, const float *P,
                                 const float *Pd, const float *q, const float *k, const float *v, float *scratch, int B,
                                 int L, int H, int d, float p, const uint64_t *seed) {
    const heads s = {B, L, H, d};
    const int64_t rows = (int64_t)B * L * H * d, squares = (int64_t)B * H * L * L;
    const float scale = (float)(1 / sqrt((double)d));
    side shares = {operand(e, e->a, Pd, squares), true, true}, given = {operand(e, e->b, dy, rows), false, true};
    multiply_heads(e, &s, dv, false, shares, given, 1);
    given.turned = false;
    multiply_heads(e, &s, scratch, true, given, (side){operand(e, e->a, v, rows), false, false}, 1);
    gv_kernel(e->device, softmax_backward, .g = scratch, .p = P, .sequences = B, .heads = H, .frames = L, .seed = seed,
              .limit = gv_dropout_limit(p), .keep = p > 0 ? 1 / (1 - p) : 0);
    shares = (side){operand(e, e->a, scratch, squares), true, false};
    multiply_heads(e, &s, dq, false, shares, (side){operand(e, e->b, k, rows), false, true}, scale);
    shares.turned = true;
    multiply_heads(e, &s, dk, false, shares, (side){operand(e, e->b, q, rows), false, true}, scale);
}

void gv_queue_gate_forward(gv_engine *e, float *out, const float *x, const float *y, const float *gate, int T, int n) {
    gv_kernel(e->device, gate, .out = out, .x = x, .y = y, .gate = gate, .rows = T, .width = n);
}

void gv_queue_gate_backward(gv_engine *e, float *dy, float *dgate, const float *dout, const float *y, const float *gate,
                            int T, int n) {
    column_sums(e, dgate, dout, y, NULL, T, n);
    gv_kernel(e->device, gate, .out = dy, .y = dout, .gate = gate, .rows = T, .width = n);
}

void gv_queue_add(gv_engine *e, float *y, const float *x, int64_t n, int64_t period) {
    gv_kernel(e->device, add, .y = y, .x = x, .count = n, .period = period, .accumulate = true);
}

void gv_queue_joints_forward(gv_engine *e, float *y, const float *obs, const float *unseen, const float *W,
                             const float *b, int T, int joints, int size) {
    gv_kernel(e->device, embed_joints, .y = y, .obs = obs, .unseen = unseen, .weight = W, .bias = b, .frames = T,
              .joints = joints, .size = size);
}

// The three gradients lie one behind the other, as do their parts.
void gv_queue_joints_backward(gv_engine *e, float *dunseen, float *dW, float *db, const float *dy, const float *obs,
                              int T, int joints, int size) {
    int parts = T < GV_ENGINE_PARTS ? T : GV_ENGINE_PARTS, all = joints * size + 3 * size;
    if (dW != dunseen + joints * size || db != dW + 2 * size || all > e->sum_room)
        gv_device_fail(e->device, GV_ERR_INTERNAL, "the joints' gradients lie apart");
    gv_kernel(e->device, embed_joints_backward, .y = e->sums, .dy = dy, .obs = obs, .frames = T, .joints = joints,
              .size = size, .parts = parts, .each = (T + parts - 1) / parts);
    gv_kernel(e->device, column_sums, .y = dunseen, .x = e->sums, .rows = parts, .width = all, .parts = 1,
              .each = parts, .accumulate = true);
}
