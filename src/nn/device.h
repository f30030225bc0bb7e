// device.h - an accelerator on which networks can run, and the memory that they have there.
//
//     gv_device *d = NULL;
//     gv_device_open(&d, GV_DEVICE_CUDA, &err);           // or NULL: everything below means the processor
//     gv_vitpose_open(&v, path, GV_PRECISION_BF16, d, &err);
//
// and inside of a network
//
//     float *x = gv_device_alloc(d, rows, width * sizeof *x);       // lives until gv_device_finish
//     gv_device_upload(d, x, host, rows * width * sizeof *x);
//     gv_kernel(d, layer_norm, .y = y, .x = x, ...);                // kernels.h
//     gv_linear_queue(fc1, y, z, rows);                             // linear.h
//     gv_device_download(d, out, z, bytes);
//     gv_status s = gv_device_finish(d, err);
//
// What is queued is done in that order. The first failure is kept, everything after it does nothing, and
// gv_device_finish returns it: GV_ERR_MEMORY where the device's memory is exhausted, so that the caller can take fewer
// pictures at once (gv_device_batches does). One caller at a time.
#pragma once
#include "base/error.h"
#include "nn/device_ops.h"

typedef struct gv_device gv_device;

typedef enum gv_device_choice {
    GV_DEVICE_CPU,
    GV_DEVICE_AUTO, // CUDA where it can be had
    GV_DEVICE_CUDA,
} gv_device_choice;

// GV_DEVICE_CPU: *out is NULL. GV_DEVICE_CUDA: an error where the module, the driver or a GPU is missing.
// GV_DEVICE_AUTO: *out is NULL there, and err->text says why in one line although GV_OK is returned.
gv_status gv_device_open(gv_device **out, gv_device_choice choice, gv_error *err);
// The same with a back end that is here already.
gv_status gv_device_wrap(gv_device **out, const gv_device_ops *ops, gv_error *err);
void gv_device_close(gv_device *d);             // after the networks on it; accepts NULL
const char *gv_device_name(const gv_device *d); // "NVIDIA H200 (compute capability 9.0)"; NULL: "processor"

// ---- memory. NULL after a failure, also an earlier one.
void *gv_device_alloc(gv_device *d, size_t count, size_t size); // scratch, until gv_device_finish
// Until gv_device_drop: a copy of host's, or with NULL numbers of any value.
void *gv_device_keep(gv_device *d, const void *host, size_t count, size_t size);
void gv_device_drop(gv_device *d, void *memory); // accepts NULL
// gv_device_alloc is one, and gv_device_hold another: numbers of any value until gv_device_drop.
typedef void *gv_device_room(gv_device *d, size_t count, size_t size);
void *gv_device_hold(gv_device *d, size_t count, size_t size);

// ---- the queue
void gv_device_upload(gv_device *d, void *to, const void *from, size_t bytes); // `from` may change at once
// The same beside what is queued, which must have nothing to do with `to`: what is queued after gv_device_ahead_wait
// may.
void gv_device_upload_ahead(gv_device *d, void *to, const void *from, size_t bytes);
void gv_device_ahead_wait(gv_device *d);
void gv_device_download(gv_device *d, void *to, const void *from, size_t bytes); // waits
// Something for the processor to do while the device works: called once, by the next of gv_device_download and
// gv_device_finish that has to wait and nothing has failed before. It may copy ahead and queue; NULL: nothing after
// all.
void gv_device_meanwhile(gv_device *d, void (*work)(void *user), void *user);
void gv_device_matmul_queue(gv_device *d, const gv_device_matmul *m);
// Whether the device has convolutions of its own, and one for these sizes (pointers do not matter); else they are
// windows written out (kernels.h) and a product.
bool gv_device_convolves(gv_device *d, const gv_device_convolution *c);
void gv_device_convolve(gv_device *d, const gv_device_convolution *c);
void gv_device_launch(gv_device *d, int kernel, const void *arguments);
// What comes again and again with the same addresses and sizes is remembered once, and then queued as one piece:
//     gv_device_record(d);  gv_kernel(d, ...);  gv_linear_queue(...);  void *graph = gv_device_recorded(d);
//     gv_device_replay(d, graph);
// Products, convolutions and kernels alone, all of which were queued before, so that they are planned: memory and
// copies in between are a failure. recorded gives NULL after a failure.
void gv_device_record(gv_device *d);
void *gv_device_recorded(gv_device *d);
void gv_device_replay(gv_device *d, void *graph);
void gv_device_forget(gv_device *d, void *graph); // after gv_device_finish; accepts NULL
// The same of what `queue` queues: the first `plain` times as it is, then recorded, from then on replayed.
typedef struct gv_device_again {
    int runs;
    void *graph;
} gv_device_again;
typedef void gv_device_piece(const void *user);
void gv_device_run_again(gv_device *d, gv_device_again *a, int plain, gv_device_piece *queue, const void *user);
void gv_device_forget_again(gv_device *d, gv_device_again *a); // after gv_device_finish; it begins anew
void gv_device_fail(gv_device *d, gv_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
// Waits, for copies that go ahead as well, frees all scratch, returns the first failure and forgets it.
gv_status gv_device_finish(gv_device *d, gv_error *err);
// The same where work of the processor beside it came to `status`, which goes first.
gv_status gv_device_settle(gv_device *d, gv_status status, gv_error *err);

// One device of each of several processes, together (NCCL): group makes a name of GV_DEVICE_GROUP bytes, all join with
// the same one, and wait for each other. x [n] becomes its mean over all beside what is queued after it; what is queued
// after gv_device_mean_wait sees it. All ask for the same means in the same order.
gv_status gv_device_group(gv_device *d, char *name, gv_error *err);
gv_status gv_device_join(gv_device *d, const char *name, int count, int index, gv_error *err);
void gv_device_leave(gv_device *d); // after gv_device_finish; also where join failed
void gv_device_mean(gv_device *d, float *x, int64_t n);
void gv_device_mean_wait(gv_device *d);

// work(user, first, count) on 0 ... n-1 in batches of *batch items at most. Where one returns GV_ERR_MEMORY, *batch is
// halved, stays so for the calls to come, and the same items are tried again.
typedef gv_status gv_device_work(void *user, int first, int count, gv_error *err);
gv_status gv_device_batches(int n, int *batch, gv_device_work *work, void *user, gv_error *err);
