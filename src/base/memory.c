#include "base/memory.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64 };

static int checked_bytes(size_t count, size_t size, size_t *bytes) {
    if (__builtin_mul_overflow(count, size, bytes) || *bytes > GV_ALLOC_LIMIT) return 0;
    *bytes = (*bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (*bytes == 0) *bytes = ALIGN;
    return 1;
}

void *gv_calloc2(size_t count, size_t size) {
    size_t bytes;
    if (!checked_bytes(count, size, &bytes)) return NULL;
    void *p = aligned_alloc(ALIGN, bytes);
    if (p) memset(p, 0, bytes);
    return p;
}

typedef struct block {
    struct block *next;
    size_t capacity, used;
    unsigned char *data;
} block;

struct gv_arena {
    block *first, *current;
    size_t block_bytes, in_use, high_water;
};

gv_arena *gv_arena_create(size_t block_bytes) {
    gv_arena *a = calloc(1, sizeof *a);
    if (a) a->block_bytes = block_bytes ? block_bytes : (size_t)1 << 20;
    return a;
}

void gv_arena_destroy(gv_arena *a) {
    if (!a) return;
    for (block *b = a->first, *next; b; b = next) {
        next = b->next;
        free(b->data);
        free(b);
    }
    free(a);
}

void gv_arena_reset(gv_arena *a) {
    for (block *b = a->first; b; b = b->next) b->used = 0;
    a->current = a->first;
    a->in_use = 0;
}

void *gv_arena_alloc(gv_arena *a, size_t count, size_t size) {
    size_t bytes;
    if (!checked_bytes(count, size, &bytes)) return NULL;
    while (a->current && a->current->capacity - a->current->used < bytes && a->current->next)
        a->current = a->current->next;
    if (!a->current || a->current->capacity - a->current->used < bytes) {
        size_t capacity = bytes > a->block_bytes ? bytes : a->block_bytes;
        block *b = calloc(1, sizeof *b);
        if (!b) return NULL;
        b->data = aligned_alloc(ALIGN, (capacity + ALIGN - 1) & ~(size_t)(ALIGN - 1));
        if (!b->data) {
            free(b);
            return NULL;
        }
        b->capacity = capacity;
        if (a->current) {
            b->next = a->current->next;
            a->current->next = b;
        } else {
            a->first = b;
        }
        a->current = b;
    }
    void *p = a->current->data + a->current->used;
    a->current->used += bytes;
    a->in_use += bytes;
    if (a->in_use > a->high_water) a->high_water = a->in_use;
    return memset(p, 0, bytes);
}

size_t gv_arena_high_water(const gv_arena *a) {
    return a->high_water;
}
