// pack.h - writes PyTorch files of nested dictionaries for tests (the legacy container, pickle protocol 2).
//
//     pack p = pack_begin();
//     pack_open(&p, "sequence");  pack_tensor(&p, "pose", pose, 2, (int[]){F, 66});  pack_close(&p);
//     pack_write(&p, in_dir("x.pth"));                            // frees it; pack_store for what is no dictionary
#pragma once
#include "test.h"
#include <string.h>

typedef struct pack {
    unsigned char *object;
    size_t size;
    struct pack_storage {
        const void *data;
        int64_t count;
        int width; // bytes per element
    } storage[4096];
    int storages;
} pack;

static inline void pack_bytes(pack *p, const void *data, size_t n) {
    p->object = realloc(p->object, p->size + n);
    assert_non_null(p->object);
    memcpy(p->object + p->size, data, n);
    p->size += n;
}

static inline void pack_ascii(pack *p, const char *text) {
    pack_bytes(p, text, strlen(text));
}

static inline void pack_string(pack *p, const char *text) {
    uint32_t n = (uint32_t)strlen(text);
    pack_ascii(p, "X");
    pack_bytes(p, &n, 4);
    pack_bytes(p, text, n);
}

static inline void pack_int(pack *p, int32_t value) {
    pack_ascii(p, "J");
    pack_bytes(p, &value, 4);
}

static inline pack pack_begin(void) {
    pack p = {0};
    pack_bytes(&p, "\x80\x02}(", 4);
    return p;
}

static inline void pack_open(pack *p, const char *key) {
    pack_string(p, key);
    pack_ascii(p, "}(");
}

static inline void pack_close(pack *p) {
    pack_ascii(p, "u");
}

static inline void pack_text(pack *p, const char *key, const char *text) {
    pack_string(p, key);
    pack_string(p, text);
}

// A list of pairs.
static inline void pack_pairs(pack *p, const char *key, const int32_t *values, int pairs) {
    pack_string(p, key);
    pack_ascii(p, "](");
    for (int i = 0; i < pairs; i++) {
        pack_int(p, values[2 * i]);
        pack_int(p, values[2 * i + 1]);
        pack_bytes(p, "\x86", 1);
    }
    pack_ascii(p, "e");
}

// The tensor alone, as a value. The data must stay until pack_write. width 4: float32, 1: bool.
static inline void pack_value(pack *p, const void *data, int width, int ndim, const int *shape) {
    char key[16];
    int32_t stride[8], count = 1;
    for (int i = ndim - 1; i >= 0; i--) {
        stride[i] = count;
        count *= shape[i];
    }
    snprintf(key, sizeof key, "%d", p->storages);
    assert_true(p->storages < 4096);
    p->storage[p->storages++] = (struct pack_storage){data, count, width};
    pack_ascii(p, "ctorch._utils\n_rebuild_tensor_v2\n((");
    pack_string(p, "storage");
    pack_ascii(p, width == 4 ? "ctorch\nFloatStorage\n" : "ctorch\nBoolStorage\n");
    pack_string(p, key);
    pack_string(p, "cpu");
    pack_int(p, count);
    pack_ascii(p, "NtQ");
    pack_int(p, 0);
    pack_ascii(p, "(");
    for (int i = 0; i < ndim; i++) pack_int(p, shape[i]);
    pack_ascii(p, "t(");
    for (int i = 0; i < ndim; i++) pack_int(p, stride[i]);
    pack_ascii(p, "t");
    pack_bytes(p, "\x89}tR", 4);
}

static inline void pack_tensor(pack *p, const char *key, const float *data, int ndim, const int *shape) {
    pack_string(p, key);
    pack_value(p, data, 4, ndim, shape);
}

static inline void pack_mask(pack *p, const char *key, const unsigned char *data, int count) {
    pack_string(p, key);
    pack_value(p, data, 1, 1, &count);
}

// A sparse tensor alone, as the reference keeps its regressors: weight[i] in row[i], column[i].
static inline void pack_sparse(pack *p, const float *row_then_column, const float *weight, int n) {
    pack_bytes(p, "\x80\x02", 2);
    pack_ascii(p, "ctorch._utils\n_rebuild_sparse_tensor\n(N(");
    pack_value(p, row_then_column, 4, 2, (int[]){2, n});
    pack_value(p, weight, 4, 1, &n);
    pack_ascii(p, "NttR.");
}

static inline void pack_store(pack *p, const char *path);
static inline void pack_write(pack *p, const char *path) {
    pack_ascii(p, "u.");
    pack_store(p, path);
}

static inline void pack_store(pack *p, const char *path) {
    static const unsigned char begin[] = {0x80, 2,    0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50,
                                          0x19, 0x2e, 0x80, 2,  'M',  0xe9, 3,    '.',  0x80, 2,    '}',  '.'};
    pack keys = {0};
    pack_bytes(&keys, "\x80\x02](", 4);
    for (int i = 0; i < p->storages; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        pack_string(&keys, key);
    }
    pack_ascii(&keys, "e.");
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(begin, 1, sizeof begin, f);
    fwrite(p->object, 1, p->size, f);
    fwrite(keys.object, 1, keys.size, f);
    for (int i = 0; i < p->storages; i++) {
        fwrite(&p->storage[i].count, 8, 1, f);
        fwrite(p->storage[i].data, (size_t)p->storage[i].width, (size_t)p->storage[i].count, f);
    }
    assert_int_equal(fclose(f), 0);
    free(keys.object);
    free(p->object);
    *p = (pack){0};
}
