// hash.h - the mixes of bits behind random numbers and dropout, for processor and device alike.
//
// Whether dropout drops an element depends on a key and the element's number alone: the backward pass asks again
// instead of keeping it. This header is C and C++.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#ifdef __CUDACC__
#define GV_HASH static __host__ __device__ inline
#else
#define GV_HASH static inline
#endif

// SplitMix64's finaliser (Steele et al. 2014): a bijection of 64-bit words with good avalanche.
GV_HASH uint64_t gv_mix64(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

// A 32-bit mix (the "lowbias32" constants of C. Wellons).
GV_HASH uint32_t gv_mix32(uint32_t x) {
    x = (x ^ (x >> 16)) * 0x21f0aaadu;
    x = (x ^ (x >> 15)) * 0xd35a2d97u;
    return x ^ (x >> 15);
}

// True with a probability of limit / 2^32.
GV_HASH bool gv_dropped(uint32_t key, uint32_t element, uint32_t limit) {
    return gv_mix32(key ^ gv_mix32(element)) < limit;
}

// The key of the 2^31 elements that `element` is one of.
GV_HASH uint32_t gv_element_key(uint64_t seed, int64_t element) {
    return (uint32_t)gv_mix64(seed + (uint64_t)(element >> 31));
}

// The key of head `bh` of all sequences' heads, whose elements are counted from 0.
GV_HASH uint32_t gv_head_key(uint64_t seed, int64_t bh) {
    return (uint32_t)gv_mix64(seed + 0x9e3779b97f4a7c15ull * (uint64_t)(bh + 1));
}
