// cache.h - results of perception kept in a folder, so that a second run need not make them again.
//
//     gv_cache *c = gv_cache_create("out/cache", note, user);                 // NULL or "": nothing is kept
//     gv_key key = gv_key_make(&(gv_key_part[]){{"video", hex}, {"model", hex}, {NULL}});
//     gv_journal *j = gv_journal_open(c, "keypoints", &key);
//     while (gv_journal_next(j, &data, &size)) ...                            // what an earlier run has written
//     gv_journal_append(j, data, size);                                       // from there on
//     gv_journal_close(j);
//
// A file holds one stage's results for one key: everything that they depend on. A journal grows record by record, each
// with its length and checksum, written at once: a run that is killed loses at most the record under way, and the
// next one goes on behind the last whole record. A damaged file is told of through `note`, cut off where the damage
// begins, and what is missing is made again. Nothing here ever fails a run: where a file cannot be written, or
// another process is writing it, results are simply not kept.
#pragma once
#include "base/sha256.h"
#include <stdbool.h>
#include <stddef.h>

typedef void gv_note(void *user, const char *text); // one line for the user

typedef struct gv_key {
    char hex[65];
} gv_key;
typedef struct gv_key_part {
    const char *name, *value;
} gv_key_part;
gv_key gv_key_make(const gv_key_part *parts); // ends with name NULL; order counts

typedef struct gv_cache gv_cache;
// Makes the folder when the first result is written. NULL when memory is exhausted.
gv_cache *gv_cache_create(const char *folder, gv_note *note, void *user);
void gv_cache_destroy(gv_cache *c); // accepts NULL
bool gv_cache_is_on(const gv_cache *c);
// Removes every file of the cache, and its folder where nothing else is in it.
void gv_cache_remove(const gv_cache *c);

typedef struct gv_journal gv_journal;
gv_journal *gv_journal_open(gv_cache *c, const char *stage, const gv_key *key); // NULL when memory is exhausted
void gv_journal_close(gv_journal *j);                                           // accepts NULL
// The next whole record, valid until the next call; false behind the last one.
bool gv_journal_next(gv_journal *j, const void **data, size_t *size);
// What was read makes no sense to the caller: this record and all behind it are dropped.
void gv_journal_reject(gv_journal *j, const char *why);
// Writes a record behind the last one read; only after next has returned false, or reject.
void gv_journal_append(gv_journal *j, const void *data, size_t size);
