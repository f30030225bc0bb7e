// on_device.h - lets a test's networks run where GVHMR_TEST_DEVICE says: cpu (default), emulated, cuda.
#pragma once
#include "emulated_device.h"
#include "test.h"

#include <string.h>

// Opened once; NULL is the processor. Where there is no GPU the whole program is skipped with a message.
static inline gv_device *on_device(void) {
    static gv_device *device;
    static bool asked;
    const char *name = getenv("GVHMR_TEST_DEVICE");
    gv_error err = {0};
    if (asked || !name || !strcmp(name, "cpu")) return device;
    asked = true;
    if (!strcmp(name, "emulated")) {
        if (gv_device_wrap(&device, gv_emulated_ops(0, 0), &err)) fail_msg("%s", err.text);
    } else if (gv_device_open(&device, GV_DEVICE_CUDA, &err)) {
        printf("skipped: %s\n", err.text);
        exit(77);
    }
    return device;
}

// The GPU chooses its products by their sizes: there a picture alone differs from the same among others by rounding.
static inline bool on_gpu(void) {
    const char *name = getenv("GVHMR_TEST_DEVICE");
    return name && !strcmp(name, "cuda");
}
