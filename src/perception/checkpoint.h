// checkpoint.h - weights of an image network out of its official checkpoint, each one checked (internal to the
// readers of ViTPose, HMR2.0 and YOLOv8).
//
//     gv_checkpoint *c = NULL;
//     gv_checkpoint_open(&c, path, "ViTPose", "keypoint_head.final_layer.weight", &err);
//     const float *w = gv_checkpoint_take(c, (int64_t[]){256, 3}, 2, "backbone.blocks.%d.norm1.weight", 7);
//     ... copy or pack w ...
//     gv_checkpoint_forget(c);                       // w is gone
//     gv_status s = gv_checkpoint_status(c);         // the first failure; after it every take returns NULL
//
// Weights are read where they lie in the mapped file where that is possible. Refused, with what was found and what
// was expected: another network's file, a tensor that is missing, of another shape, not float32 (unless allowed), or
// that holds anything but finite numbers.
#pragma once
#include "formats/tensors.h"

typedef struct gv_checkpoint gv_checkpoint;
// `network` names what is expected in messages; `landmark` is a tensor that only its files have.
gv_status gv_checkpoint_open(gv_checkpoint **out, const char *path, const char *network, const char *landmark,
                             gv_error *err);
void gv_checkpoint_close(gv_checkpoint *c);       // accepts NULL
void gv_checkpoint_allow_types(gv_checkpoint *c); // from here on float16 and the like are converted
gv_status gv_checkpoint_status(const gv_checkpoint *c);
gv_status gv_checkpoint_fail(gv_checkpoint *c, gv_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4))); // "path: ..."; keeps the first failure

// The tensor's shape, or NULL where there is none of that name.
const gv_tensor *gv_checkpoint_find(const gv_checkpoint *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// Valid until gv_checkpoint_forget. shape [ndim], -1 any extent.
const float *gv_checkpoint_take(gv_checkpoint *c, const int64_t *shape, int ndim, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// The same as a copy of the caller's, free() it.
float *gv_checkpoint_copy(gv_checkpoint *c, const int64_t *shape, int ndim, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void gv_checkpoint_forget(gv_checkpoint *c);
