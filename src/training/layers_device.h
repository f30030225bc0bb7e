// layers_device.h - the operations of layers.h in the queue of an engine's device (internal to layers.c).
//
// Each is what its namesake in layers.h says; the numbers are the device's.
#pragma once
#include "training/layers.h"

void gv_queue_linear_forward(gv_engine *e, bool add, float *y, const float *x, const float *W, const float *b, int T,
                             int in, int out);
void gv_queue_linear_backward(gv_engine *e, bool add, float *dx, float *dW, float *db, const float *dy, const float *x,
                              const float *W, int T, int in, int out);
void gv_queue_norm_forward(gv_engine *e, float *y, float *stats, const float *x, const float *w, const float *b, int T,
                           int n, float eps);
void gv_queue_norm_backward(gv_engine *e, float *dx, float *dw, float *db, const float *dy, const float *x,
                            const float *stats, const float *w, int T, int n);
void gv_queue_act_forward(gv_engine *e, float *y, const float *x, gv_activation a, int64_t n);
void gv_queue_act_backward(gv_engine *e, float *dx, const float *dy, const float *x, gv_activation a, int64_t n);
void gv_queue_dropout(gv_engine *e, float *x, float p, const uint64_t *seed, int64_t n);
void gv_queue_rope(gv_engine *e, float *x, const float *cosines, const float *sines, int B, int L, int H, int d,
                   int sign);
void gv_queue_attention_forward(gv_engine *e, float *y, float *P, float *Pd, const float *q, const float *k,
                                const float *v, const int *length, int B, int L, int H, int d, float p,
                                const uint64_t *seed);
void gv_queue_attention_backward(gv_engine *e, float *dq, float *dk, float *dv, const float *dy, const float *P,
                                 const float *Pd, const float *q, const float *k, const float *v, float *scratch, int B,
                                 int L, int H, int d, float p, const uint64_t *seed);
void gv_queue_gate_forward(gv_engine *e, float *out, const float *x, const float *y, const float *gate, int T, int n);
void gv_queue_gate_backward(gv_engine *e, float *dy, float *dgate, const float *dout, const float *y, const float *gate,
                            int T, int n);
void gv_queue_add(gv_engine *e, float *y, const float *x, int64_t n, int64_t period);
void gv_queue_joints_forward(gv_engine *e, float *y, const float *obs, const float *unseen, const float *W,
                             const float *b, int T, int joints, int size);
void gv_queue_joints_backward(gv_engine *e, float *dunseen, float *dW, float *db, const float *dy, const float *obs,
                              int T, int joints, int size);
