// attention.h - rotary position embedding and attention within a window of 120 keys (SPEC.md 5.2).
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { GV_WINDOW = 120 };

// The keys that query i of L frames attends to: first *lo, *count of them (<= GV_WINDOW).
// L <= 120: all `length` valid frames. Longer: exactly 120 (then length must be L).
void gv_attention_window(int i, int frames, int length, int *lo, int *count);

// cos and sin [frames, d/2] of the angles t / 10000^(2i/d), t = first, first + 1, ... Angles are rounded to float32 as
// in the reference up to GV_ROPE_ROUNDED frames, beyond which that rounding would be an error of its own (1e-3 rad and
// more).
enum { GV_ROPE_ROUNDED = 1 << 14 };
float gv_rope_power(int i, int head_dim); // 1 / 10000^(2i/d), rounded as there
void gv_rope_table(float *cosine, float *sine, int first, int frames, int head_dim);

// Ablation: adds to the token [width] of frame t sin(t w_i) at 2i and cos(t w_i) at 2i + 1, w_i = 10000^(-2i / width)
// (Vaswani et al. 2017, section 3.5).
void gv_position_add(float *token, int t, int width);

// Rotates one row of queries or keys [heads, d] in place. Within each head the pair (2i, 2i+1) of the
// reference lies at (i, d/2 + i): the network's rows of W_query and W_key are permuted so on loading.
void gv_rope_apply(float *row, const float *cosine, const float *sine, int heads, int head_dim);

// Floats of scratch that gv_attention_block needs for blocks of `rows` queries.
size_t gv_attention_scratch(int rows, int head_dim);

typedef struct gv_attention_input {
    const float *q, *k,
        *v; // rows of heads x d from frame `first` on, as many as the queries' windows reach; q, k rotated
    int first, frames, length, heads, head_dim; // frames, length: of the whole sequence
    float *all; // [frames] scratch: ablation, every query sees all valid frames, which must all be here; else NULL
} gv_attention_input;

// Queries first..last-1 of all heads: out [last - first, heads, d].
void gv_attention_block(float *out, const gv_attention_input *in, int first, int last, float *scratch);
