#include "formats/gpmf.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

gv_gpmf_reader gv_gpmf_open(const void *bytes, size_t size) {
    const unsigned char *p = bytes;
    return (gv_gpmf_reader){p, p ? p + size : p};
}

bool gv_gpmf_next(gv_gpmf_reader *r, gv_gpmf_item *item) {
    if (r->end - r->at < 8) return false;
    const unsigned char *p = r->at;
    if (!p[0]) return false; // padding
    *item = (gv_gpmf_item){.type = (char)p[4], .sample = p[5], .count = p[6] << 8 | p[7], .data = p + 8};
    memcpy(item->key, p, 4);
    item->size = (size_t)item->sample * (size_t)item->count;
    size_t stored = (item->size + 3) / 4 * 4, left = (size_t)(r->end - p) - 8;
    if (item->size > left) return false;
    r->at = p + 8 + (stored < left ? stored : left);
    return true;
}

static int width(char type) {
    switch (type) {
    case 'b':
    case 'B':
        return 1;
    case 's':
    case 'S':
        return 2;
    case 'l':
    case 'L':
    case 'f':
    case 'q':
        return 4;
    case 'j':
    case 'J':
    case 'd':
    case 'Q':
        return 8;
    default:
        return 0;
    }
}

int gv_gpmf_values(const gv_gpmf_item *item) {
    int w = width(item->type);
    return w ? item->sample / w : 0;
}

double gv_gpmf_value(const gv_gpmf_item *item, int s, int i) {
    int w = width(item->type);
    if (s < 0 || s >= item->count || i < 0 || i >= gv_gpmf_values(item)) return 0;
    const unsigned char *p = item->data + (size_t)s * (size_t)item->sample + (size_t)i * (size_t)w;
    uint64_t u = 0;
    for (int k = 0; k < w; k++) u = u << 8 | p[k];
    float f;
    double d;
    uint32_t u32 = (uint32_t)u;
    switch (item->type) {
    case 'b':
        return (int8_t)u;
    case 's':
        return (int16_t)u;
    case 'l':
        return (int32_t)u;
    case 'j':
        return (double)(int64_t)u;
    case 'q':
        return (int32_t)u / 65536.0;
    case 'Q':
        return (double)(int64_t)u / 4294967296.0;
    case 'f':
        memcpy(&f, &u32, 4);
        return isfinite(f) ? f : 0;
    case 'd':
        memcpy(&d, &u, 8);
        return isfinite(d) ? d : 0;
    default: // B S L J
        return (double)u;
    }
}
