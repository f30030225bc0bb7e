// vec8.h - eight floats at a time, for kernels that the compiler does not vectorise well by itself.
//
// GCC's vector types: + - * / work on them. Every lane is computed independently with the same operations
// whatever instructions the target has, so results do not depend on it.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __FMA__
#include <immintrin.h>
#endif

typedef float v8 __attribute__((vector_size(32)));
typedef int32_t v8i __attribute__((vector_size(32)));

static inline v8 v8_load(const float *p) { // no alignment needed
    v8 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void v8_store(float *p, v8 v) {
    memcpy(p, &v, sizeof v);
}

static inline v8 v8_set(float x) {
    return (v8){x, x, x, x, x, x, x, x};
}

static inline v8 v8_fma(v8 a, v8 b, v8 c) { // a b + c, rounded once
#ifdef __FMA__
    return (v8)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    for (int i = 0; i < 8; i++) c[i] = fmaf(a[i], b[i], c[i]);
    return c;
#endif
}

static inline v8 v8_select(v8i mask, v8 yes, v8 no) {
    return (v8)((mask & (v8i)yes) | (~mask & (v8i)no));
}

static inline v8 v8_max(v8 a, v8 b) {
    return v8_select(a > b, a, b);
}

static inline v8 v8_min(v8 a, v8 b) {
    return v8_select(a < b, a, b);
}

static inline v8 v8_abs(v8 a) {
    return (v8)((v8i)a & 0x7fffffff);
}

static inline v8 v8_floor(v8 x) {
#ifdef __FMA__
    return (v8)_mm256_floor_ps((__m256)x);
#else
    for (int i = 0; i < 8; i++) x[i] = floorf(x[i]);
    return x;
#endif
}

static inline v8 v8_sqrt(v8 x) {
#ifdef __FMA__
    return (v8)_mm256_sqrt_ps((__m256)x);
#else
    for (int i = 0; i < 8; i++) x[i] = sqrtf(x[i]);
    return x;
#endif
}

static inline float v8_sum(v8 v) { // fixed order
    return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

static inline float v8_largest(v8 v) {
    float m = v[0];
    for (int i = 1; i < 8; i++) m = v[i] > m ? v[i] : m;
    return m;
}

// Rows become columns.
static inline void v8_transpose(v8 x[8]) {
    v8 a[8];
    for (int i = 0; i < 8; i += 2) { // pairs of neighbours, 2 x 2 blocks turned
        a[i] = __builtin_shufflevector(x[i], x[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        a[i + 1] = __builtin_shufflevector(x[i], x[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (int i = 0; i < 8; i += i % 4 ? 3 : 1) { // then 4 x 4
        x[i] = __builtin_shufflevector(a[i], a[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        x[i + 2] = __builtin_shufflevector(a[i], a[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    for (int i = 0; i < 4; i++) { // then the halves
        v8 low = __builtin_shufflevector(x[i], x[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        x[i + 4] = __builtin_shufflevector(x[i], x[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
        x[i] = low;
    }
}

// exp(x) for x <= 0, within 1.5 ulp; 0 below -87 (softmax has no use for denormals). x = n ln 2 + r with
// |r| <= ln 2 / 2, Taylor series of exp(r) to the seventh power (remainder 5e-9), 2^n by its exponent bits.
static inline v8 v8_exp_negative(v8 x) {
    v8i tiny = x < v8_set(-87);
    x = v8_max(x, v8_set(-87));
    const float shift = 12582912; // 1.5 * 2^23: adding it rounds to the nearest whole number
    v8 n = v8_fma(x, v8_set(1.44269504f), v8_set(shift)) - v8_set(shift);
    v8 r = v8_fma(n, v8_set(-0.693359375f), x); // ln 2 in two pieces, the first exact in 9 bits
    r = v8_fma(n, v8_set(2.12194440e-4f), r);
    v8 e = v8_set(1.0f / 5040);
    e = v8_fma(e, r, v8_set(1.0f / 720));
    e = v8_fma(e, r, v8_set(1.0f / 120));
    e = v8_fma(e, r, v8_set(1.0f / 24));
    e = v8_fma(e, r, v8_set(1.0f / 6));
    e = v8_fma(e, r, v8_set(0.5f));
    e = v8_fma(e, r, v8_set(1));
    e = v8_fma(e, r, v8_set(1));
    v8i bits = (__builtin_convertvector(n, v8i) + 127) << 23;
    return (v8)(~tiny & (v8i)(e * (v8)bits));
}

// bfloat16 is the upper half of a float32; rounded to nearest even (finite input). 16 bytes are written.
static inline void v8_store_bf16(void *p, v8 x) {
    typedef uint32_t v8u __attribute__((vector_size(32)));
    typedef uint16_t v8h __attribute__((vector_size(16)));
    v8u u = (v8u)x;
    v8h h = __builtin_convertvector((u + 0x7fff + (u >> 16 & 1)) >> 16, v8h);
    memcpy(p, &h, sizeof h);
}
