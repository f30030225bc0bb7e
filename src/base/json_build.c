#include "base/json_build.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void gv_json_append(json_t **array, json_t *value) {
    if (json_array_append_new(*array, value) == 0) return;
    json_decref(*array);
    *array = NULL;
}

void gv_json_set(json_t **object, const char *key, json_t *value) {
    if (json_object_set_new(*object, key, value) == 0) return;
    json_decref(*object);
    *object = NULL;
}

json_t *gv_json_text(const char *bytes) {
    json_t *o = json_string(bytes);
    char plain[1024];
    size_t n = 0;
    bool ascii = true;
    if (o) return o;
    for (; bytes[n] && n < sizeof plain - 1; n++) {
        bool beyond = (unsigned char)bytes[n] >= 0x80;
        plain[n] = bytes[n];
        if (beyond) plain[n] = '?', ascii = false;
    }
    plain[n] = 0;
    return ascii ? NULL : json_string(plain);
}

typedef struct text {
    char *p;
    size_t size, capacity;
    bool failed;
} text;

static int write_piece(const char *piece, size_t size, void *data) {
    text *t = data;
    if (!t->failed && size >= t->capacity - t->size) {
        size_t capacity = 2 * t->capacity + size + 4096;
        char *grown = realloc(t->p, capacity);
        if (grown) t->p = grown, t->capacity = capacity;
        t->failed = !grown;
    }
    if (t->failed) return -1;
    memcpy(t->p + t->size, piece, size);
    t->size += size;
    return 0;
}

char *gv_json_dump(const json_t *root, size_t flags) {
    text t = {0};
    if (root && json_dump_callback(root, write_piece, &t, flags) == 0 && !t.failed && t.p) {
        t.p[t.size] = 0;
        return t.p;
    }
    free(t.p);
    return NULL;
}
