#include "base/queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct gv_queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t capacity, item_bytes, head, count;
    bool closed;
    unsigned char *items;
};

gv_queue *gv_queue_create(size_t capacity, size_t item_bytes) {
    gv_queue *q = calloc(1, sizeof *q);
    if (!q) return NULL;
    q->items = calloc(capacity, item_bytes);
    if (!q->items) {
        free(q);
        return NULL;
    }
    q->capacity = capacity;
    q->item_bytes = item_bytes;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->changed, NULL);
    return q;
}

void gv_queue_destroy(gv_queue *q) {
    if (!q) return;
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->changed);
    free(q->items);
    free(q);
}

bool gv_queue_push(gv_queue *q, const void *item) {
    pthread_mutex_lock(&q->lock);
    while (q->count == q->capacity && !q->closed) pthread_cond_wait(&q->changed, &q->lock);
    bool ok = !q->closed;
    if (ok) {
        memcpy(q->items + (q->head + q->count) % q->capacity * q->item_bytes, item, q->item_bytes);
        q->count++;
        pthread_cond_broadcast(&q->changed);
    }
    pthread_mutex_unlock(&q->lock);
    return ok;
}

bool gv_queue_pop(gv_queue *q, void *item) {
    pthread_mutex_lock(&q->lock);
    while (q->count == 0 && !q->closed) pthread_cond_wait(&q->changed, &q->lock);
    bool ok = q->count > 0;
    if (ok) {
        memcpy(item, q->items + q->head * q->item_bytes, q->item_bytes);
        q->head = (q->head + 1) % q->capacity;
        q->count--;
        pthread_cond_broadcast(&q->changed);
    }
    pthread_mutex_unlock(&q->lock);
    return ok;
}

void gv_queue_close(gv_queue *q) {
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}
