// tensor_table.h - inside of gv_tensors, shared by tensors.c and the readers of the containers.
#pragma once
#include "formats/tensors.h"

typedef struct gv_tensor_place {
    const unsigned char *data;  // element 0 of the storage
    int64_t elements;           // of the storage
    int64_t offset, stride[16]; // in elements
} gv_tensor_place;

struct gv_tensors {
    char *path;
    const unsigned char *data; // the mapped file
    size_t size;
    const char *container;
    gv_tensor *tensors;      // [count] in file order; names are owned
    gv_tensor_place *places; // [count]
    int count, capacity;
    int *order;  // [count] sorted by name
    char **keys; // [key_count] of a checkpoint's top level
    int key_count;
    char **metadata; // [2 * metadata_count] key, value
    int metadata_count;
    bool tree; // every tensor, text and number of nested dictionaries by its path, see gv_tensors_open_tree
};

// Adds one tensor after checking that it lies within its storage (sizes, strides and offset non-negative,
// the last element inside, and no more elements than a small multiple of the storage's). `t->name` is
// ignored, the name is copied from [name, length].
gv_status gv_tensor_table_add(gv_tensors *w, const char *name, size_t length, const gv_tensor *t,
                              const gv_tensor_place *place, gv_error *err);

gv_status gv_torch_zip_read(gv_tensors *w, gv_error *err);
gv_status gv_torch_legacy_read(gv_tensors *w, gv_error *err);
gv_status gv_safetensors_read(gv_tensors *w, gv_error *err);
