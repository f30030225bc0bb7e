// vit_attention.h - attention of every token of a picture to every other (SPEC-perception.md 4.1), head by head.
//
// The score matrix is never in memory as a whole: 24 queries at a time meet all keys, go through the softmax and
// mix the values while their scores are in the first-level cache.
#pragma once
#include <stdbool.h>
#include <stddef.h>

// Floats of scratch for pictures of so many tokens; 64-byte aligned, one per thread.
size_t gv_vit_attention_scratch(int tokens, int head_dim);

typedef struct gv_vit_attention {
    const float *q, *k, *v; // [tokens, heads, head_dim] each, rows `stride` floats apart
    int tokens, head_dim, stride;
    void *out; // [tokens, out_stride] float32 or bfloat16; every head writes its own columns
    int out_stride;
    bool bf16; // out
} gv_vit_attention;

// Columns head * head_dim ... of out = softmax(q k^T / sqrt(head_dim)) v. One thread.
void gv_vit_attention_head(const gv_vit_attention *a, int head, float *scratch);
