// blaze_mirror.h - BlazePose's landmarks from a region and from its mirror image.
//
// Two readings of one picture that a network makes with its left and right exchanged: they differ by what it is unsure
// of, `full`'s by 1.7 % of the region in the mean, `heavy`'s by 0.5. Their mean is nearer to the truth than either, and
// a point on which they differ may be relied on less (bench/README.md, "A real person, calibrated cameras").
#pragma once
#include "perception/blazepose.h"

void gv_blaze_mirror_crop(float *crop, int size); // [size, size, 3], in place

// mirrored: the landmarks of the mirrored crop of region r, decoded as if r lay upright about (0, 0). l becomes the
// mean of both, each weighed by its visibility; the visibility falls with the distance between them. Where face, arms
// or legs fit better with left and right exchanged, one reading takes the back for the front: they stay as they were.
// The presence stays.
void gv_blaze_merge_mirrored(gv_landmarks *l, const gv_landmarks *mirrored, const gv_region *r);
