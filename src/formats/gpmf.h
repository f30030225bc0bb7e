// gpmf.h - GoPro's metadata format: nested items of key, type, length and big-endian values.
//
//     gv_gpmf_reader r = gv_gpmf_open(bytes, size);
//     gv_gpmf_item item;
//     while (gv_gpmf_next(&r, &item)) { ... gv_gpmf_open(item.data, item.size) where item.type is 0 ... }
//
// The bytes are untrusted: an item that reaches beyond them ends the reading. Nothing is allocated or copied.
// Source: GoPro's description of the format (github.com/gopro/gpmf-parser, README).
#pragma once
#include <stdbool.h>
#include <stddef.h>

typedef struct gv_gpmf_reader {
    const unsigned char *at, *end;
} gv_gpmf_reader;

typedef struct gv_gpmf_item {
    char key[5]; // four characters
    char type;   // 0: `data` holds items itself
    int sample;  // bytes per sample
    int count;   // samples
    const unsigned char *data;
    size_t size; // sample * count
} gv_gpmf_item;

gv_gpmf_reader gv_gpmf_open(const void *bytes, size_t size);
bool gv_gpmf_next(gv_gpmf_reader *r, gv_gpmf_item *item);
// Numbers per sample: 3 for x, y, z; 0 where the type is no plain number.
int gv_gpmf_values(const gv_gpmf_item *item);
// Value i of sample s; 0 where there is none.
double gv_gpmf_value(const gv_gpmf_item *item, int s, int i);
