#include "network/weights.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LAYERS = 256, MAX_WIDTH = 16384 };

struct gv_weights {
    gv_tensors *file;           // NULL: from memory
    const float *const *memory; // in the table's order
    const char *prefix;
    int width, layers, with_images, with_points, heads;
    gv_weight_spec *table;
    int count;
};

static const char release_prefix[] = "pipeline.denoiser3d.";

static const gv_tensor *find(const gv_weights *w, const char *name) {
    char full[128];
    snprintf(full, sizeof full, "%s%s", w->prefix, name);
    return gv_tensors_find(w->file, full);
}

static gv_status make_table(gv_weights *w, gv_error *err) {
    w->count = gv_network_weight_table(NULL, 0, w->width, w->layers, w->with_images);
    w->table = gv_calloc2((size_t)w->count, sizeof *w->table);
    if (!w->table) return gv_fail(err, GV_ERR_MEMORY, "out of memory for the network");
    gv_network_weight_table(w->table, w->count, w->width, w->layers, w->with_images);
    return GV_OK;
}

static gv_status read_sizes(gv_weights *w, gv_error *err) {
    const gv_tensor *t = NULL;
    const char *const prefixes[] = {release_prefix, ""};
    for (int i = 0; i < 2 && !t; i++) {
        w->prefix = prefixes[i];
        t = find(w, "embed_noisyobs.fc2.weight");
    }
    if (!t)
        return gv_fail(err, GV_ERR_MISSING,
                       "no tensor \"%sembed_noisyobs.fc2.weight\" (nor without the prefix): not a GVHMR motion network",
                       release_prefix);
    if (t->ndim != 2 || t->shape[0] < 1 || t->shape[0] > MAX_WIDTH || t->shape[1] != 2 * t->shape[0])
        return gv_fail(err, GV_ERR_FORMAT, "tensor \"%s\" is not [D, 2D] with D up to %d", t->name, MAX_WIDTH);
    w->width = (int)t->shape[0];
    char name[64];
    do snprintf(name, sizeof name, "blocks.%d.norm1.weight", w->layers);
    while (find(w, name) && ++w->layers < MAX_LAYERS);
    if (w->layers < 1) return gv_fail(err, GV_ERR_MISSING, "no tensor \"%sblocks.0.norm1.weight\"", w->prefix);
    w->with_images = find(w, "imgseq_embedder.1.weight") != NULL;
    const char *heads = gv_tensors_metadata(w->file, "num_heads"), *features = gv_tensors_metadata(w->file, "features");
    w->with_points = w->with_images && features && !strcmp(features, "kp3d");
    w->heads = heads ? atoi(heads) : 8;
    return GV_OK;
}

gv_status gv_weights_open(gv_weights **out, const char *path, gv_error *err) {
    gv_weights *w = calloc(1, sizeof *w);
    *out = w;
    if (!w) return gv_fail(err, GV_ERR_MEMORY, "out of memory for the network");
    gv_status s = gv_tensors_open(&w->file, path, err);
    if (!s && (s = read_sizes(w, err))) gv_wrap(err, "%s", path);
    if (!s) s = make_table(w, err);
    if (!s) return GV_OK;
    gv_weights_close(w);
    *out = NULL;
    return s;
}

gv_status gv_weights_wrap(gv_weights **out, const float *const *weights, int width, int layers, int with_images,
                          gv_error *err) {
    gv_weights *w = calloc(1, sizeof *w);
    *out = w;
    if (!w) return gv_fail(err, GV_ERR_MEMORY, "out of memory for the network");
    *w = (gv_weights){.memory = weights, .width = width, .layers = layers, .with_images = with_images, .heads = 8};
    gv_status s = make_table(w, err);
    if (!s) return GV_OK;
    gv_weights_close(w);
    *out = NULL;
    return s;
}

void gv_weights_close(gv_weights *w) {
    if (!w) return;
    gv_tensors_close(w->file);
    free(w->table);
    free(w);
}

int gv_weights_width(const gv_weights *w) {
    return w->width;
}
int gv_weights_layers(const gv_weights *w) {
    return w->layers;
}
int gv_weights_with_images(const gv_weights *w) {
    return w->with_images;
}
int gv_weights_with_points(const gv_weights *w) {
    return w->with_points;
}
int gv_weights_heads(const gv_weights *w) {
    return w->heads;
}

bool gv_weights_says(const gv_weights *w, const char *key, const char *value) {
    const char *text = w->file ? gv_tensors_metadata(w->file, key) : NULL;
    return text && !strcmp(text, value);
}

gv_status gv_weights_take(float **out, gv_weights *w, gv_error *err, const char *name_format, int index) {
    char name[64], full[128];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(name, sizeof name, name_format, index);
#pragma GCC diagnostic pop
    int i = 0;
    while (i < w->count && strcmp(w->table[i].name, name)) i++;
    if (i == w->count) return gv_fail(err, GV_ERR_INTERNAL, "the network has no weight \"%s\"", name);
    const gv_weight_spec *s = &w->table[i];
    if (w->file) {
        snprintf(full, sizeof full, "%s%s", w->prefix, name);
        *out = gv_tensors_read_f32(w->file, full, s->shape, s->ndim, err);
        return *out ? GV_OK : err ? err->status : GV_ERR_FORMAT;
    }
    size_t count = 1;
    for (int k = 0; k < s->ndim; k++) count *= (size_t)s->shape[k];
    *out = gv_calloc2(count, sizeof **out);
    if (!*out) return gv_fail(err, GV_ERR_MEMORY, "out of memory for the network");
    memcpy(*out, w->memory[i], count * sizeof **out);
    return GV_OK;
}
