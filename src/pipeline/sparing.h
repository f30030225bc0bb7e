// sparing.h - which frames of a person the image networks look at when speed counts, and what stands in the others.
//
// Of n consecutive frames every third and the last are key frames. Between two of them the networks look only
// where the keypoints moved much from one to the other; elsewhere results are interpolated linearly in time.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { GV_SPARING_BETWEEN, GV_SPARING_KEY, GV_SPARING_MOVING };

bool gv_sparing_is_key(int k, int n);

// Whether somebody moved much between two key frames: a [17, 3] and b [17, 3] keypoints (px, confidence), `side` of
// the square box, px.
bool gv_sparing_moves(const float *a, const float *b, float side);

// Fills rows of values [.., width] that are GV_SPARING_BETWEEN. list [n]: the rows of one person's frames in order of
// time; want [..]: of rows. Keypoints get the smaller confidence of the two key frames.
void gv_sparing_fill(float *values, int width, const int *list, int n, const uint8_t *want, bool keypoints);
