// vec4d.h - four doubles at a time. Every lane is computed independently with the same operations.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __FMA__
#include <immintrin.h>
#endif

typedef double v4d __attribute__((vector_size(32)));
typedef int64_t v4m __attribute__((vector_size(32))); // what a comparison gives: all bits of a lane or none

static inline v4d v4d_load(const double *p) { // no alignment needed
    v4d v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void v4d_store(double *p, v4d v) {
    memcpy(p, &v, sizeof v);
}

static inline v4d v4d_set(double x) {
    return (v4d){x, x, x, x};
}

static inline v4d v4d_keep(v4m m, v4d v) { // 0 where not
    return (v4d)(m & (v4m)v);
}

static inline v4d v4d_select(v4m m, v4d yes, v4d no) {
    return (v4d)((m & (v4m)yes) | (~m & (v4m)no));
}

static inline v4d v4d_fma(v4d a, v4d b, v4d c) { // a b + c, rounded once
#ifdef __FMA__
    return (v4d)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
    for (int i = 0; i < 4; i++) c[i] = fma(a[i], b[i], c[i]);
    return c;
#endif
}

static inline double v4d_sum(v4d v) { // fixed order
    return (v[0] + v[2]) + (v[1] + v[3]);
}
