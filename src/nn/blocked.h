// blocked.h - operators on blocked images that are loops rather than primitives.
//
// Images are [blocks, height, width, 16] as nn/conv.h has them, float32 or (bf16) bfloat16. Outputs do not overlap
// inputs. All are parallel over independent rows and give the same bits for any number of threads.
#pragma once
#include <stdbool.h>

enum { GV_BLOCK = 16 };

// Each pixel four times: in [blocks, h, w, 16], out [blocks, 2h, 2w, 16].
void gv_blocked_upsample2(void *out, const void *in, int blocks, int h, int w, bool bf16);
// Largest of the 5x5 pixels around each, as far as they are in the picture.
void gv_blocked_max5(void *out, const void *in, int blocks, int h, int w, bool bf16);
