// engine.h - where a network is trained: on the processor, or on a device (nn/device.h).
//
// The operations of layers.h are given an engine first. The numbers that they work on are the engine's memory: the
// program's own on the processor, the device's on a device, where operations are put into its queue. A device keeps its
// failures until gv_device_finish.
#pragma once
#include "nn/body_losses.h"
#include "nn/device.h"
#include <stdint.h>

typedef struct gv_engine {
    gv_device *device; // NULL: the processor
    int bf16;          // products round their operands to bfloat16; sums stay float32
    uint16_t *a, *b;   // [room] each, for the rounded operands of whole batches
    uint16_t *little;  // [threads, 2, little_room], for those of products within a thread (processor)
    int64_t room, little_room;
    gv_real *sums; // [GV_ENGINE_PARTS, sum_room] partial sums (device)
    int64_t sum_room;
} gv_engine;
enum { GV_ENGINE_PARTS = 64 };

int gv_engine_bf16_possible(gv_device *device); // a device always can; a processor with AVX512_BF16

// Zeros; NULL when memory is exhausted.
void *gv_engine_alloc(gv_engine *e, int64_t count, size_t size);
void gv_engine_free(gv_engine *e, void *memory); // accepts NULL
// Copies of n numbers: from the program's memory, to it (waits), and within the engine's. Nothing where to is from.
void gv_engine_put(gv_engine *e, gv_real *to, const gv_real *from, int64_t n);
void gv_engine_get(gv_engine *e, gv_real *to, const gv_real *from, int64_t n);
void gv_engine_copy(gv_engine *e, gv_real *to, const gv_real *from, int64_t n);
void gv_engine_clear(gv_engine *e, gv_real *x, int64_t n);
// On a device: waits for all that is queued; the first failure since the last such call.
gv_status gv_engine_finish(gv_engine *e, gv_error *err);
