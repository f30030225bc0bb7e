// allocator.c - the memory of libgvhmr's own code, from whoever gvhmr_set_allocator names.
//
// The linker sends malloc, free and their relatives of all our objects here (--wrap, ../../meson.build), and of nobody
// else's: what a library below allocates, or the C library for itself, never passes. So memory that one side takes is
// given back by the same side, as long as none of our code frees what others return, or has others free what it took.
// tests/abi.sh holds the list of what would be such a thing.
//
// A piece from a hook has a head before it, which aligned_alloc (the hook has none) and free need. Without a hook
// nothing is added, and only the pieces are counted.
#include "gvhmr.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void __real_free(void *p);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void __wrap_free(void *p);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t most);

typedef struct head {
    void *base; // what the hook gave
    size_t size;
} head;
_Static_assert(sizeof(head) == _Alignof(max_align_t), "a piece after its head is as aligned as malloc's");

static gvhmr_allocator hook; // of the whole process, as malloc is; .malloc NULL: the C library's
static atomic_long alive;    // pieces

gvhmr_status gvhmr_set_allocator(const gvhmr_allocator *a) {
    if (a && (!a->malloc || !a->realloc || !a->free)) return GVHMR_ERR_ARGUMENT;
    if (atomic_load(&alive) != 0) return GVHMR_ERR_ARGUMENT;
    hook = a ? *a : (gvhmr_allocator){0};
    return GVHMR_OK;
}

static void *counted(void *p) {
    if (p) atomic_fetch_add_explicit(&alive, 1, memory_order_relaxed);
    return p;
}

static head *head_of(void *p) {
    return (head *)p - 1;
}

// align: a power of two
static void *take(size_t align, size_t size) {
    size_t more = sizeof(head) + (align > sizeof(head) ? align - sizeof(head) : 0);
    char *base = size > SIZE_MAX - more ? NULL : hook.malloc(hook.user, size + more);
    if (!base) {
        errno = ENOMEM;
        return NULL;
    }
    char *p = base + sizeof(head);
    p += -(uintptr_t)p & (align - 1);
    *head_of(p) = (head){base, size};
    return p;
}

void *__wrap_malloc(size_t size) {
    return counted(hook.malloc ? take(sizeof(head), size) : __real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size) {
    size_t all;
    if (!hook.malloc) return counted(__real_calloc(count, size));
    void *p = __builtin_mul_overflow(count, size, &all) ? NULL : take(sizeof(head), all);
    if (p) memset(p, 0, all);
    return counted(p);
}

void *__wrap_aligned_alloc(size_t align, size_t size) {
    return counted(hook.malloc ? take(align, size) : __real_aligned_alloc(align, size));
}

void __wrap_free(void *p) {
    if (!p) return;
    atomic_fetch_sub_explicit(&alive, 1, memory_order_relaxed);
    if (hook.malloc)
        hook.free(hook.user, head_of(p)->base);
    else
        __real_free(p);
}

static void *grow(void *p, size_t size) {
    head h = *head_of(p);
    if (h.base == head_of(p)) {
        head *moved = size > SIZE_MAX - sizeof h ? NULL : hook.realloc(hook.user, h.base, size + sizeof h);
        if (!moved) {
            errno = ENOMEM;
            return NULL;
        }
        *moved = (head){moved, size};
        return moved + 1;
    }
    void *q = take(sizeof h, size); // an aligned piece, which nobody asks to stay so
    if (q) {
        memcpy(q, p, h.size < size ? h.size : size);
        hook.free(hook.user, h.base);
    }
    return q;
}

void *__wrap_realloc(void *p, size_t size) {
    if (!p) return __wrap_malloc(size);
    if (size == 0) size = 1; // not a free, whatever the allocator below thinks of it
    return hook.malloc ? grow(p, size) : __real_realloc(p, size);
}

static char *copy(const char *s, size_t n) {
    char *p = __wrap_malloc(n + 1);
    if (p) memcpy(p, s, n), p[n] = 0;
    return p;
}

char *__wrap_strdup(const char *s) {
    return copy(s, strlen(s));
}

char *__wrap_strndup(const char *s, size_t most) {
    return copy(s, strnlen(s, most));
}
