// layers.h - the operations of the network forwards and backwards.
//
// gv_real is float in the library. The tests compile the same sources with GV_TRAIN_DOUBLE to hold every
// gradient against central differences. Shapes: T tokens (rows), row-major. A backward function adds to
// gradients of weights and overwrites gradients of inputs unless it says otherwise.
// Results do not depend on the thread count except through the matrix product's own blocking. On an engine's device
// they are put into its queue (layers_device.c).
#pragma once
#include "training/engine.h"

// y [T, out] = x [T, in] W^T + b, W [out, in]; or added to what is in y
void gv_linear_forward(gv_engine *e, gv_real *y, const gv_real *x, const gv_real *W, const gv_real *b, int T, int in,
                       int out);
void gv_linear_forward_add(gv_engine *e, gv_real *y, const gv_real *x, const gv_real *W, const gv_real *b, int T,
                           int in, int out);
// dW += dy^T x, db += column sums of dy, dx = dy W (dx may be NULL), or added to what is in dx
void gv_linear_backward(gv_engine *e, gv_real *dx, gv_real *dW, gv_real *db, const gv_real *dy, const gv_real *x,
                        const gv_real *W, int T, int in, int out);
void gv_linear_backward_add(gv_engine *e, gv_real *dx, gv_real *dW, gv_real *db, const gv_real *dy, const gv_real *x,
                            const gv_real *W, int T, int in, int out);

// y = (x - mean) rstd w + b over rows of n; stats [T, 2] keeps mean and rstd
void gv_norm_forward(gv_engine *e, gv_real *y, gv_real *stats, const gv_real *x, const gv_real *w, const gv_real *b,
                     int T, int n, gv_real eps);
// dx += the gradient (residual stream), dw, db +=; dx may be NULL
void gv_norm_backward(gv_engine *e, gv_real *dx, gv_real *dw, gv_real *db, const gv_real *dy, const gv_real *x,
                      const gv_real *stats, const gv_real *w, int T, int n);

typedef enum gv_activation { GV_ACT_GELU_ERF, GV_ACT_GELU_TANH, GV_ACT_SILU } gv_activation;
void gv_act_forward(gv_engine *e, gv_real *y, const gv_real *x, gv_activation a, int64_t n);
void gv_act_backward(gv_engine *e, gv_real *dx, const gv_real *dy, const gv_real *x, gv_activation a,
                     int64_t n); // may overlap exactly

// Multiplies element i by 0 with probability p, else by 1 / (1 - p), decided by hash(*seed, i) alone: calling it
// on the gradient with the same seed is the backward pass. The seed is the engine's memory.
void gv_dropout(gv_engine *e, gv_real *x, gv_real p, const uint64_t *seed, int64_t n);
uint32_t gv_dropout_limit(gv_real p);

// Rotary embedding in place, x [B L, H d], interleaved pairs, positions 0..L-1; sign -1 undoes it (backward).
// cosines, sines [L, d / 2]
void gv_rope(gv_engine *e, gv_real *x, const gv_real *cosines, const gv_real *sines, int B, int L, int H, int d,
             int sign);

// Attention of B sequences: q, k, v, y [B L, H d]; P [B, H, L, L] keeps the probabilities (after dropout: Pd,
// which may be P itself where p is 0). Keys at or beyond length[b] are masked.
void gv_attention_forward(gv_engine *e, gv_real *y, gv_real *P, gv_real *Pd, const gv_real *q, const gv_real *k,
                          const gv_real *v, const int *length, int B, int L, int H, int d, gv_real p,
                          const uint64_t *seed);
// scratch [threads, L, L], on a device [B, H, L, L]
void gv_attention_backward(gv_engine *e, gv_real *dq, gv_real *dk, gv_real *dv, const gv_real *dy, const gv_real *P,
                           const gv_real *Pd, const gv_real *q, const gv_real *k, const gv_real *v, gv_real *scratch,
                           int B, int L, int H, int d, gv_real p, const uint64_t *seed);

// out [T, n] = x + gate * y;  backward: dy = gate * dout, dgate += sum dout * y (dx is dout itself)
void gv_gate_forward(gv_engine *e, gv_real *out, const gv_real *x, const gv_real *y, const gv_real *gate, int T, int n);
void gv_gate_backward(gv_engine *e, gv_real *dy, gv_real *dgate, const gv_real *dout, const gv_real *y,
                      const gv_real *gate, int T, int n);

// y [n] += x [period], again and again; n is a multiple of period.
void gv_add(gv_engine *e, gv_real *y, const gv_real *x, int64_t n, int64_t period);

// Tokens of joints, y [T, joints, size]: W [size, 2] (x, y) + b where obs [T, joints, 3] is visible (third > 0.5), else
// the joint's row of unseen [joints, size]. Backward adds to all three gradients.
void gv_joints_forward(gv_engine *e, gv_real *y, const gv_real *obs, const gv_real *unseen, const gv_real *W,
                       const gv_real *b, int T, int joints, int size);
void gv_joints_backward(gv_engine *e, gv_real *dunseen, gv_real *dW, gv_real *db, const gv_real *dy, const gv_real *obs,
                        int T, int joints, int size);
