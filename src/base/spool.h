// spool.h - long lists of equal items that lie in a file rather than in memory.
//
//     gv_spool *s = gv_spool_create();
//     gv_long_list l = {.spool = s, .item = sizeof(thing)};    // as many lists as wanted
//     gv_long_list_add(&l, &things, n);                         // at the end, as often as wanted
//     thing *all = NULL;
//     gv_long_list_gather(&l, (void **)&all, &err);             // and the list is empty again
//     gv_spool_destroy(s);                                      // after its lists
//
// Of each list one block of GV_SPOOL_BLOCK bytes at most is in memory (and 8 bytes for each block that is not). The
// file has no name, in $TMPDIR or else in /var/tmp or /tmp, and is gone with the process however that ends; it is made
// for the first full block, so that short lists never need it. Where it cannot be made or has no room, lists go on in
// memory. One thread at a time.
#pragma once
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GV_SPOOL_BLOCK = 1 << 16 };

typedef struct gv_spool gv_spool;
gv_spool *gv_spool_create(void);    // NULL when memory is exhausted
void gv_spool_destroy(gv_spool *s); // accepts NULL

typedef struct gv_long_list {
    gv_spool *spool; // borrowed; NULL: the list stays in memory
    size_t item;     // bytes of one
    long count;      // of all items; read only, as all below
    long stored;     // of these in the file,
    int64_t *block;  // block by block: where each begins
    char *tail;      // the others
    long room, blocks_room;
} gv_long_list;

// n items at the end, NULL: zeros; false when memory is exhausted.
bool gv_long_list_add(gv_long_list *l, const void *items, long n);
// Every item in order into new memory, which is the caller's to free(); the list is left empty.
gv_status gv_long_list_gather(gv_long_list *l, void **items, gv_error *err);
void gv_long_list_clear(gv_long_list *l); // without items, memory is kept
void gv_long_list_free(gv_long_list *l);  // an empty list of the same spool
