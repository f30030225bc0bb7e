// random.h - counter-based random numbers: the same key gives the same stream on every machine.
//
// A stream is a 64-bit key and a counter; nothing else is kept, so the stream of (seed, step, sample)
// can be drawn on any thread and again after a restart. This header is C and C++.
#pragma once
#include "nn/hash.h"
#include <math.h>
#include <stdint.h>

typedef struct gv_rng {
    uint64_t key, counter;
} gv_rng;

GV_HASH gv_rng gv_rng_make(uint64_t seed, uint64_t a, uint64_t b) {
    gv_rng r;
    r.key = gv_mix64(gv_mix64(gv_mix64(seed + 0x9e3779b97f4a7c15ull) + a) + b);
    r.counter = 0;
    return r;
}

// The stream as it is after `drawn` numbers more; gv_normal takes two, all others one.
GV_HASH gv_rng gv_rng_after(const gv_rng *r, int drawn) {
    gv_rng next = *r;
    next.counter += (uint64_t)drawn;
    return next;
}

GV_HASH uint64_t gv_rng_next(gv_rng *r) {
    return gv_mix64(r->key + 0x9e3779b97f4a7c15ull * ++r->counter);
}

GV_HASH double gv_uniform01(gv_rng *r) {
    return (double)(gv_rng_next(r) >> 11) * 0x1p-53;
} // [0, 1)
GV_HASH double gv_uniform(gv_rng *r, double lo, double hi) {
    return lo + (hi - lo) * gv_uniform01(r);
}
GV_HASH int gv_randint(gv_rng *r, int lo, int hi) { // [lo, hi); lo where the range is empty
    return hi > lo ? lo + (int)(gv_uniform01(r) * (hi - lo)) : lo;
}
GV_HASH int gv_chance(gv_rng *r, double p) {
    return gv_uniform01(r) < p;
}
GV_HASH double gv_normal(gv_rng *r) { // Box and Muller, one of the pair
    double u = 1 - gv_uniform01(r), v = gv_uniform01(r);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}
