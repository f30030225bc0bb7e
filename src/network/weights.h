// weights.h - the network's weights by name, from a file or from memory (internal to the network).
#pragma once
#include "network/network.h"

typedef struct gv_weights gv_weights;
gv_status gv_weights_open(gv_weights **out, const char *path, gv_error *err); // sizes from the tensors' shapes
gv_status gv_weights_wrap(gv_weights **out, const float *const *weights, int width, int layers, int with_images,
                          gv_error *err); // pointers in the table's order; they stay the caller's
void gv_weights_close(gv_weights *w);     // accepts NULL

int gv_weights_width(const gv_weights *w);
int gv_weights_layers(const gv_weights *w);
int gv_weights_with_images(const gv_weights *w);
int gv_weights_with_points(const gv_weights *w); // metadata "features" is "kp3d": the image features are points
int gv_weights_heads(const gv_weights *w);       // the file's metadata "num_heads", else 8

// Whether the file's metadata says so; false from memory.
bool gv_weights_says(const gv_weights *w, const char *key, const char *value);

// A float32 copy of one weight, free() it. The name is a format with at most one %d.
gv_status gv_weights_take(float **out, gv_weights *w, gv_error *err, const char *name_format, int index);
