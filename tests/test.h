// test.h - what the tests share: where fixtures lie, skipping, error measures.
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// Path of a file in the shared data folder beside the project (../shared), or NULL where it is absent.
// Returns one of a few static buffers.
static inline const char *shared_path(const char *name) {
    static char buffer[8][1024];
    static int next;
    char *p = buffer[next++ & 7];
    snprintf(p, 1024, "%s/%s", GV_TEST_SHARED, name);
    return access(p, R_OK) == 0 ? p : NULL;
}

// At the start of a test that needs shared data: `const char *p = need_shared("reference/motion/tiny.ckpt");`
#define need_shared(name)                                                                                              \
    (shared_path(name) ? shared_path(name)                                                                             \
                       : (printf("skipped: no %s beside the project\n", name), skip(), (char *)NULL))

// Largest absolute difference; infinity where either is NaN and the other is not.
static inline double max_abs_diff(const float *a, const float *b, size_t n) {
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (isnan(a[i]) && isnan(b[i])) continue;
        if (isnan(d)) return INFINITY;
        if (d > worst) worst = d;
    }
    return worst;
}
