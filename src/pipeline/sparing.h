// sparing.h - which frames of a person the image networks look at when speed counts, and what stands in the others.
//
// Of n consecutive frames every step-th and the last are key frames. Between two of them ViTPose looks at one frame
// where the keypoints moved much from one to the other, and at all where they moved very much; elsewhere results are
// interpolated linearly in time.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { GV_SPARING_BETWEEN, GV_SPARING_KEY, GV_SPARING_MOVING };

// How many frames of a video with `fps` frames a second (0 = not known) are from one look to the next, at least 1:
// of 30 fps every fourth frame for people's boxes and image features, every third for keypoints; of 12 fps every
// second and every one.
int gv_sparing_step(double fps, bool keypoints);

bool gv_sparing_is_key(int k, int n, int step);

// How many of the `between` frames that lie between two key frames are worth a look: 0, 1 (the middle one) or all, by
// how far somebody moved from a [17, 3] to b [17, 3], keypoints (px, confidence) in a square box of `side` px.
int gv_sparing_looks(const float *a, const float *b, float side, int between);

// Fills rows of values [.., width] that are GV_SPARING_BETWEEN. list [n]: the rows of one person's frames in order of
// time; want [..]: of rows. Keypoints get the smaller confidence of the two key frames.
void gv_sparing_fill(float *values, int width, const int *list, int n, const uint8_t *want, bool keypoints);
