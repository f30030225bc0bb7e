// linear.h - linear layers y = act(x W^T + b) on oneDNN, applied to blocks of rows.
//
//     gv_nn *nn = NULL;
//     gv_nn_create(&nn, omp_get_max_threads(), NULL, &err);
//     gv_linear *fc1 = NULL;
//     gv_linear_create(&fc1, nn, &(gv_linear_spec){.in = 512, .out = 2048, .activation = GV_GELU_TANH}, weight, bias,
//     &err); gv_nn_set_rows(nn, 64, &err); #pragma omp parallel for                            // rows are shared out
//     by the caller in blocks for (int b = 0; b < blocks; b++)
//         gv_linear_run(fc1, omp_get_thread_num(), x + b * 64 * 512, y + b * 64 * 2048);
//
// A layer runs on one thread; threads work on different blocks of rows. So the order of every sum is the
// same whatever the number of threads, and the result is bit for bit the same.
// Weights are repacked once, on creation. Running allocates nothing.
//
// An engine may be on a device (device.h) instead. Then layers are made by the same calls, their weights lie there in
// the type of the product, and they are queued on matrices of any number of rows:
//
//     gv_linear_queue(fc1, x, y, rows);               // x, y on the device
#pragma once
#include "base/error.h"
#include "nn/device.h"
#include <stdint.h>

// What a network's large matrix products take; sums, norms and attention's softmax are float32 always.
typedef enum gv_precision {
    GV_PRECISION_F32,
    GV_PRECISION_BF16, // only where gv_nn_has_bf16
} gv_precision;

typedef enum gv_linear_activation {
    GV_LINEAR_ONLY,
    GV_LINEAR_GELU_ERF,  // z/2 (1 + erf(z/sqrt 2))
    GV_LINEAR_GELU_TANH, // z/2 (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3)))
    GV_LINEAR_SILU,      // z / (1 + exp(-z))
    GV_LINEAR_RELU,      // max(z, 0)
} gv_linear_activation;

typedef struct gv_linear_spec {
    int in, out;
    gv_linear_activation activation;
    int accumulate; // add to what is in y (float32 y, no activation)
    int bf16_in;    // x and W are bfloat16; sums are float32 all the same
    int bf16_out;   // y is bfloat16
} gv_linear_spec;

enum { GV_NN_ROWS = 192 }; // rows of a block until gv_nn_set_rows: fills the second-level cache

// The engine: one stream per thread, the memory of all packed weights, and what is planned for the layers.
typedef struct gv_nn gv_nn;
gv_status gv_nn_create(gv_nn **out, int threads, gv_device *device, gv_error *err); // device NULL: the processor
void gv_nn_destroy(gv_nn *nn);                                                      // after its layers; accepts NULL
gv_status gv_nn_set_rows(gv_nn *nn, int rows, gv_error *err); // of the blocks of all layers; not while one runs
int gv_nn_threads(const gv_nn *nn);
int gv_nn_has_bf16(const gv_nn *nn);      // whether the processor (nn NULL: too) or device multiplies bfloat16 natively
gv_device *gv_nn_device(const gv_nn *nn); // NULL: the processor
gv_status gv_nn_check(const gv_nn *nn, gv_precision precision, gv_error *err); // an error where it cannot be had

// Vectors that a network needs beside its layers, where it runs: values [count] as they are, or on a device, in which
// case values is freed. The failure of a device is told by gv_device_finish. NULL stays NULL.
float *gv_nn_place(gv_nn *nn, float *values, size_t count);
void gv_nn_drop(gv_nn *nn, float *placed); // frees either; accepts NULL

typedef struct gv_linear gv_linear;
// weight [out, in] and bias [out] are copied (bias NULL: zero) into the engine's memory.
gv_status gv_linear_create(gv_linear **out, gv_nn *nn, const gv_linear_spec *spec, const float *weight,
                           const float *bias, gv_error *err);
void gv_linear_destroy(gv_linear *l); // accepts NULL

// x [rows, in], y [rows, out], contiguous, 64-byte aligned, not overlapping. `thread` < gv_nn_threads is the
// caller's: no two concurrent calls may pass the same. Returns GV_OK or GV_ERR_INTERNAL.
gv_status gv_linear_run(const gv_linear *l, int thread, const void *x, void *y);
// On a device: x [rows, in], y [rows, out] there, not overlapping.
void gv_linear_queue(const gv_linear *l, const void *x, void *y, int64_t rows);
// There: the weights [out, in], in the type of x, and the bias [out].
const void *gv_linear_weight(const gv_linear *l);
const float *gv_linear_bias(const gv_linear *l);
