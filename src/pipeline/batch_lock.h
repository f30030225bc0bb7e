// batch_lock.h - who may work in a batch's folder (internal to batch.c).
//
// The locks are the kernel's (flock, which NFS knows, too): they go with the process, however that ends. A whole batch
// holds folder/.batch.lock alone. A shard shares it with the other shards of as many, whose number it says, and holds
// folder/.batch-I-of-N.lock alone.
#pragma once
#include "base/error.h"
#include <stdbool.h>

typedef struct gv_batch_lock {
    int folder, part; // file descriptors, -1: none
} gv_batch_lock;
#define GV_BATCH_UNLOCKED ((gv_batch_lock){-1, -1})

// shards < 2: the whole batch. *busy: the error is that somebody else is at work.
gv_status gv_batch_lock_take(gv_batch_lock *out, const char *folder, int shard, int shards, bool *busy, gv_error *err);
void gv_batch_unlock(gv_batch_lock *l); // closes; accepts GV_BATCH_UNLOCKED
