// emulated_device.h - a device for tests: the kernels of nn/kernel_code.h run on the processor, block by block.
//
// Memory is filled with NaN when it is handed out. Every pointer that a product, a copy or a kernel is given must lie
// in that memory, else the queue fails: what works here by reading the program's own memory would not on a GPU.
#pragma once
#include "nn/device.h"

// At most `limit` bytes at once (0: any number), at most `largest` in one piece. One such device at a time.
const gv_device_ops *gv_emulated_ops(size_t limit, size_t largest);
void gv_emulated_refuse(size_t bytes); // there is no memory for pieces of just so many; 0: for all
void gv_emulated_starve(int after);    // there is none for just the piece that comes after so many - 1; 0: for all
bool gv_emulated_starved(void);        // whether that piece has been asked for
size_t gv_emulated_bytes(void);        // in use
size_t gv_emulated_most(void);         // in use at the same time, since gv_emulated_ops
int gv_emulated_refusals(void);        // allocations that were over the limit, since gv_emulated_ops
int gv_emulated_launches(int kernel);  // since gv_emulated_ops
int gv_emulated_replays(void);         // of recorded work, since gv_emulated_ops
int gv_emulated_singles(void);         // products, convolutions and kernels outside of it, since gv_emulated_ops
// Copies that go ahead are done as late as they may be (until then their places are NaN), or as early. The second one
// to a place fails where nobody has waited for the queue in between.
void gv_emulated_late(bool late);
int gv_emulated_copies(void); // that went ahead and were done, since gv_emulated_late
// How x [n] becomes its mean over `count` processes, for groups of such devices; NULL: they cannot be joined.
typedef void gv_emulated_mean(float *x, int64_t n, int count);
void gv_emulated_group(gv_emulated_mean *mean);
int gv_emulated_means(void); // that were done, since gv_emulated_group
// Whether it has convolutions of its own (at first it has none), and how many it has done since.
void gv_emulated_convolutions(bool own);
int gv_emulated_convolved(void);
void gv_emulated_break(int after); // the queue fails after so many operations; 0: it does not
