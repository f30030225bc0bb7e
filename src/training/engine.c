#include "training/engine.h"
#include "base/memory.h"
#include "nn/kernels.h"

#include <stdlib.h>
#include <string.h>
#ifndef GV_TRAIN_DOUBLE
#include <dnnl.h>
#endif

int gv_engine_bf16_possible(gv_device *device) {
#ifdef GV_TRAIN_DOUBLE
    (void)device;
    return 0;
#else
    return device || (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
#endif
}

void *gv_engine_alloc(gv_engine *e, int64_t count, size_t size) {
    if (!e->device) return gv_calloc2((size_t)count, size);
    void *p = gv_device_keep(e->device, NULL, (size_t)count, size);
    int64_t floats = (int64_t)((size_t)count * size / sizeof(float)); // what is left over is scratch of bfloat16
    if (p) gv_kernel(e->device, add, .y = p, .count = floats, .period = floats);
    return p;
}

void gv_engine_free(gv_engine *e, void *memory) {
    if (e->device)
        gv_device_drop(e->device, memory);
    else
        free(memory);
}

void gv_engine_put(gv_engine *e, gv_real *to, const gv_real *from, int64_t n) {
    if (e->device)
        gv_device_upload(e->device, to, from, (size_t)n * sizeof *to);
    else if (to != from)
        memcpy(to, from, (size_t)n * sizeof *to);
}

void gv_engine_get(gv_engine *e, gv_real *to, const gv_real *from, int64_t n) {
    if (e->device)
        gv_device_download(e->device, to, from, (size_t)n * sizeof *to);
    else if (to != from)
        memcpy(to, from, (size_t)n * sizeof *to);
}

void gv_engine_copy(gv_engine *e, gv_real *to, const gv_real *from, int64_t n) {
    if (e->device)
        gv_kernel(e->device, add, .y = (float *)to, .x = (const float *)from, .count = n, .period = n);
    else if (to != from)
        memcpy(to, from, (size_t)n * sizeof *to);
}

void gv_engine_clear(gv_engine *e, gv_real *x, int64_t n) {
    if (e->device)
        gv_kernel(e->device, add, .y = (float *)x, .count = n, .period = n);
    else
        memset(x, 0, (size_t)n * sizeof *x);
}

gv_status gv_engine_finish(gv_engine *e, gv_error *err) {
    return e->device ? gv_device_finish(e->device, err) : GV_OK;
}
