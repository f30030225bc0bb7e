#include "formats/elements.h"

#include <string.h>

size_t gv_dtype_size(gv_dtype t) {
    static const unsigned char size[] = {
        [GV_F16] = 2, [GV_BF16] = 2, [GV_F32] = 4, [GV_F64] = 8, [GV_I8] = 1,  [GV_U8] = 1,  [GV_I16] = 2,
        [GV_U16] = 2, [GV_I32] = 4,  [GV_U32] = 4, [GV_I64] = 8, [GV_U64] = 8, [GV_BOOL] = 1};
    return (size_t)t < sizeof size ? size[t] : 0;
}

const char *gv_dtype_name(gv_dtype t) {
    static const char *const name[] = {
        [GV_F16] = "float16", [GV_BF16] = "bfloat16", [GV_F32] = "float32", [GV_F64] = "float64",
        [GV_I8] = "int8",     [GV_U8] = "uint8",      [GV_I16] = "int16",   [GV_U16] = "uint16",
        [GV_I32] = "int32",   [GV_U32] = "uint32",    [GV_I64] = "int64",   [GV_U64] = "uint64",
        [GV_BOOL] = "bool",   [GV_UNICODE] = "text",  [GV_BYTES] = "bytes", [GV_OBJECT] = "object",
    };
    return (size_t)t < sizeof name / sizeof *name ? name[t] : "unknown";
}

static float float_of_bits(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static uint32_t bits_of_float(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

// A binary16 read as binary32 fields is too small by 2^112; multiplying normalises subnormals as well.
static float float_of_half(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = (uint32_t)(h & 0x7fff) << 13;
    uint32_t special = rest | 0x7f800000u;
    uint32_t finite = bits_of_float(float_of_bits(rest) * 0x1p112f);
    return float_of_bits(sign | ((h & 0x7c00) == 0x7c00 ? special : finite));
}

static uint16_t half_of_float(float f) {
    uint32_t u = bits_of_float(f), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000) return (uint16_t)(sign | 0x7e00);  // NaN
    if (a >= 0x477ff000) return (uint16_t)(sign | 0x7c00); // 65520 and above round to infinity
    if (a < 0x38800000) {                                  // below 2^-14: subnormal, in steps of 2^-24
        float scaled = float_of_bits(a) + 0.5f;            // one unit of 0.5f's last place is 2^-24
        return (uint16_t)(sign | (bits_of_float(scaled) - 0x3f000000u));
    }
    a += 0xfff + (a >> 13 & 1); // to nearest even in the 13 bits that are dropped
    return (uint16_t)(sign | ((a - 0x38000000u) >> 13));
}

static uint16_t bf16_of_float(float f) {
    uint32_t u = bits_of_float(f);
    if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

void gv_elements_f16_from_f32(uint16_t *dst, const float *src, size_t n) {
    for (size_t i = 0; i < n; i++) dst[i] = half_of_float(src[i]);
}

void gv_elements_bf16_from_f32(uint16_t *dst, const float *src, size_t n) {
    for (size_t i = 0; i < n; i++) dst[i] = bf16_of_float(src[i]);
}

// One loop per source type; `value` is an expression of x. memcpy because sources are unaligned.
#define EACH(ctype, value)                                                                                             \
    for (size_t i = 0; i < n; i++) {                                                                                   \
        ctype x;                                                                                                       \
        memcpy(&x, s + i * sizeof x, sizeof x);                                                                        \
        dst[i] = value;                                                                                                \
    }                                                                                                                  \
    break

#define ALL_TYPES(target)                                                                                              \
    switch (type) {                                                                                                    \
    case GV_F16:                                                                                                       \
        EACH(uint16_t, (target)float_of_half(x));                                                                      \
    case GV_BF16:                                                                                                      \
        EACH(uint16_t, (target)float_of_bits((uint32_t)x << 16));                                                      \
    case GV_F32:                                                                                                       \
        EACH(float, (target)x);                                                                                        \
    case GV_F64:                                                                                                       \
        EACH(double, (target)x);                                                                                       \
    case GV_I8:                                                                                                        \
        EACH(int8_t, (target)x);                                                                                       \
    case GV_U8:                                                                                                        \
        EACH(uint8_t, (target)x);                                                                                      \
    case GV_I16:                                                                                                       \
        EACH(int16_t, (target)x);                                                                                      \
    case GV_U16:                                                                                                       \
        EACH(uint16_t, (target)x);                                                                                     \
    case GV_I32:                                                                                                       \
        EACH(int32_t, (target)x);                                                                                      \
    case GV_U32:                                                                                                       \
        EACH(uint32_t, (target)x);                                                                                     \
    case GV_I64:                                                                                                       \
        EACH(int64_t, (target)x);                                                                                      \
    case GV_U64:                                                                                                       \
        EACH(uint64_t, (target)x);                                                                                     \
    case GV_BOOL:                                                                                                      \
        EACH(uint8_t, (target)(x != 0));                                                                               \
    default:                                                                                                           \
        break;                                                                                                         \
    }

void gv_elements_to_f32(float *dst, const void *src, gv_dtype type, size_t n) {
    const unsigned char *s = src;
    if (type == GV_F32)
        memcpy(dst, src, n * sizeof *dst);
    else
        ALL_TYPES(float)
}

void gv_elements_to_f64(double *dst, const void *src, gv_dtype type, size_t n) {
    const unsigned char *s = src;
    if (type == GV_F64)
        memcpy(dst, src, n * sizeof *dst);
    else
        ALL_TYPES(double)
}

#define EACH_CHECKED(ctype)                                                                                            \
    for (size_t i = 0; i < n; i++) {                                                                                   \
        ctype x;                                                                                                       \
        memcpy(&x, s + i * sizeof x, sizeof x);                                                                        \
        if (__builtin_add_overflow(x, (ctype)0, &dst[i])) return i;                                                    \
    }                                                                                                                  \
    return n

size_t gv_elements_to_i32(int32_t *dst, const void *src, gv_dtype type, size_t n) {
    const unsigned char *s = src;
    switch (type) {
    case GV_I8:
        EACH_CHECKED(int8_t);
    case GV_U8:
        EACH_CHECKED(uint8_t);
    case GV_I16:
        EACH_CHECKED(int16_t);
    case GV_U16:
        EACH_CHECKED(uint16_t);
    case GV_I32:
        EACH_CHECKED(int32_t);
    case GV_U32:
        EACH_CHECKED(uint32_t);
    case GV_I64:
        EACH_CHECKED(int64_t);
    case GV_U64:
        EACH_CHECKED(uint64_t);
    case GV_BOOL:
        for (size_t i = 0; i < n; i++) dst[i] = s[i] != 0;
        return n;
    default:
        return 0;
    }
}
