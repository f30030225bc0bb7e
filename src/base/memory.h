// memory.h - checked allocation and arenas.
//
// Sizes that come from files are checked before they are multiplied: gv_calloc2 returns NULL where
// count * size overflows or exceeds GV_ALLOC_LIMIT. An arena hands out zeroed, 64-byte aligned pieces
// of a few large blocks and frees them all at once; it is reset per clip or per training step.
#pragma once
#include <stddef.h>

#define GV_ALLOC_LIMIT ((size_t)1 << 36) // 64 GiB: beyond any legitimate single buffer

// Zeroed memory for count items of size bytes, aligned to 64; NULL on overflow or exhaustion, and for
// count 0 a unique pointer. Release with free().
void *gv_calloc2(size_t count, size_t size);

typedef struct gv_arena gv_arena;
gv_arena *gv_arena_create(size_t block_bytes); // NULL when memory is exhausted; 0 = 1 MiB blocks
void gv_arena_destroy(gv_arena *arena);        // accepts NULL
void gv_arena_reset(gv_arena *arena);          // everything handed out becomes invalid; memory is kept
void *gv_arena_alloc(gv_arena *arena, size_t count, size_t size); // zeroed, 64-byte aligned; NULL as gv_calloc2
size_t gv_arena_high_water(const gv_arena *arena);                // most bytes ever in use between resets
