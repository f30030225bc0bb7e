// device_ops.h - what a back end offers: one table of operations on the memory of an accelerator.
//
// The program itself knows no accelerator's library. A back end is a shared module beside it (src/cuda makes
// libgvhmr-cuda.so), loaded when it is asked for, that exports one function which returns this table. Tests bring a
// table of their own that runs the same kernels on the processor (tests/emulated_device.c).
//
// Work is put into one queue and done in that order; nothing here waits unless it says so. An operation that cannot be
// put there returns false and leaves one line in the error. All calls come from one thread at a time.
//
// This header is C and C++.
#pragma once
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GV_DEVICE_OPS_VERSION = 10 }; // of this table and of the kernels' arguments: both sides must agree

// y = act(scale x W^T + bias), or added to what is in y. Row-major: x [rows, in], weight [out, in], y [rows, out]. Sums
// are float32, and float32 products are not rounded to fewer bits (no TF32).
typedef enum gv_device_epilogue {
    GV_EPILOGUE_NONE,      // no bias
    GV_EPILOGUE_BIAS,      // float32 bias, or bfloat16 where y is
    GV_EPILOGUE_BIAS_RELU, // max(z, 0)
    GV_EPILOGUE_BIAS_GELU, // the tanh form
    GV_EPILOGUES,
} gv_device_epilogue;

typedef struct gv_device_matmul {
    int64_t rows;
    int in, out;
    bool bf16_in, bf16_out, accumulate; // x and weight; y
    bool x_turned, weight_turned;       // x is [in, rows], weight [in, out] in memory
    gv_device_epilogue epilogue;
    int x_stride, weight_stride, y_stride; // numbers from one row in memory to the next; 0: no gaps
    int count;                             // so many such products, side by side; 0: one
    int64_t x_step, weight_step, y_step;   // numbers from one's matrix to the next one's
    float scale;                           // 0: 1
    const void *x, *weight, *bias;
    void *y;
} gv_device_matmul;

// y = x convolved with weight: [height, width, channels] and [out, side, side, channels] to [rows, columns, out], all
// without gaps. The middle of the window of (r, c) is at (r step, c step), side is odd, and beyond the picture is zero,
// so that rows = (height - 1) / step + 1, columns likewise. All numbers are float32 or, with bf16, bfloat16; sums are
// float32, and float32 products are not rounded to fewer bits.
typedef struct gv_device_convolution {
    const void *x, *weight;
    void *y;
    int height, width, channels, out, side, step;
    bool bf16;
} gv_device_convolution;

enum { GV_DEVICE_GROUP = 128 }; // bytes of a group's name

typedef struct gv_device_ops {
    int version;
    // *self is handed back to all others. Fails in one line where there is no driver or no device.
    gv_status (*open)(void **self, gv_error *err);
    void (*close)(void *self); // waits; accepts NULL
    const char *(*name)(const void *self);
    // Memory in the order of the queue, aligned to 256 bytes, not cleared. NULL: there is none left (GV_ERR_MEMORY) or
    // the device failed.
    void *(*alloc)(void *self, size_t bytes, gv_error *err);
    void (*release)(void *self, void *memory); // what is queued before may still use it; accepts NULL
    bool (*upload)(void *self, void *to, const void *from, size_t bytes, gv_error *err); // `from` is free at once
    // The same in a queue of its own, beside the other, and what comes after ahead_wait comes after all such copies.
    bool (*upload_ahead)(void *self, void *to, const void *from, size_t bytes, gv_error *err);
    bool (*ahead_wait)(void *self, gv_error *err);
    bool (*download)(void *self, void *to, const void *from, size_t bytes, gv_error *err); // waits
    bool (*matmul)(void *self, const gv_device_matmul *m, gv_error *err);
    // Whether it has convolutions of its own, and one for these sizes; if so, convolve queues it.
    bool (*convolves)(void *self, const gv_device_convolution *c);
    bool (*convolve)(void *self, const gv_device_convolution *c, gv_error *err);
    bool (*launch)(void *self, int kernel, const void *arguments, gv_error *err); // kernels.h
    bool (*wait)(void *self, gv_error *err); // until both queues are empty; false: something in it failed
    // What is queued between record and recorded, products, convolutions and kernels alone, is remembered and not done;
    // replay puts it into the queue as one piece, with the same addresses. recorded ends it whatever has failed; NULL
    // on failure.
    bool (*record)(void *self, gv_error *err);
    void *(*recorded)(void *self, gv_error *err);
    bool (*replay)(void *self, void *graph, gv_error *err);
    void (*forget)(void *self, void *graph); // when the queue is empty
    // Devices of several processes, one each. group makes a name, of which all take one process's; join waits for all
    // `count`. mean replaces x [n] by its mean over all, in a queue of its own: after what is queued so far, beside
    // what comes then; all processes ask for the same in the same order. After mean_wait the queue goes on when all
    // means are done.
    bool (*group)(void *self, char name[GV_DEVICE_GROUP], gv_error *err);
    bool (*join)(void *self, const char name[GV_DEVICE_GROUP], int count, int index, gv_error *err);
    void (*leave)(void *self);
    bool (*mean)(void *self, float *x, int64_t n, gv_error *err);
    bool (*mean_wait)(void *self, gv_error *err);
} gv_device_ops;

// What a module exports, as GV_DEVICE_OPS_SYMBOL.
typedef const gv_device_ops *gv_device_ops_function(void);
#define GV_DEVICE_OPS_SYMBOL "gv_device_ops_get"
