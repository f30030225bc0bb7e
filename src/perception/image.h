// image.h - a picture as the perception networks take it.
#pragma once
#include <stdint.h>

typedef struct gv_image { // RGB, 8 bits, borrowed
    const uint8_t *rgb;
    int width, height, stride; // px, px, bytes from row to row
} gv_image;
