// shrink.h - smaller RGB pictures: every pixel is the mean of the area that it covers.
#pragma once
#include <stdint.h>

typedef struct gv_shrinker gv_shrinker;

// From width x height to to_width x to_height, each 1 to 16384 and none larger than before. NULL when memory is
// exhausted.
gv_shrinker *gv_shrinker_create(int width, int height, int to_width, int to_height);
void gv_shrinker_destroy(gv_shrinker *s);

// rgb [height, stride] to out [to_height, to_width, 3], rounded to the nearest but for weights of 1/256.
void gv_shrink_rgb(gv_shrinker *s, uint8_t *out, const uint8_t *rgb, int stride);
