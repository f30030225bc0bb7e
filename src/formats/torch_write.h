// torch_write.h - writes dictionaries of float32 tensors as torch.save does (zip container, pickle protocol 2).
#pragma once
#include "base/error.h"
#include <stdint.h>

typedef struct gv_torch_item {
    const char *group; // the dictionary it is in, NULL: the top level
    const char *name;  // NULL: no tensor, the group alone (an empty dictionary)
    const float *data; // contiguous
    int ndim;
    int64_t shape[4];
} gv_torch_item;

// Items of a group stand together. Storages begin at multiples of 64 bytes. The file appears whole or not
// at all; 4 GiB is the limit.
gv_status gv_torch_write(const char *path, const gv_torch_item *items, int n, gv_error *err);
