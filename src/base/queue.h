// queue.h - a bounded queue of fixed-size items between two threads of a pipeline.
//
// push blocks while the queue is full, pop while it is empty. close (by either side) wakes both: after it,
// push returns false, and pop returns the items that are left, then false. Order is kept.
#pragma once
#include <stdbool.h>
#include <stddef.h>

typedef struct gv_queue gv_queue;
gv_queue *gv_queue_create(size_t capacity, size_t item_bytes); // NULL when memory is exhausted
void gv_queue_destroy(gv_queue *q);                            // accepts NULL; no thread may be using it
bool gv_queue_push(gv_queue *q, const void *item);
bool gv_queue_pop(gv_queue *q, void *item);
void gv_queue_close(gv_queue *q);
