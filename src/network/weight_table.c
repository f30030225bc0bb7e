// weight_table.c - the one table of the network's weights: names, shapes and order of the released file
// (SPEC.md 2). Loading, saving, counting and the gradients all walk it.
#include "network/network.h"

#include <stdarg.h>
#include <stdio.h>

enum { JOINTS = 17, JOINT_EMBEDDING = 32, IMAGE_FEATURE = 1024, CLIFF = 3, ANGVEL = 6, CAMERA = 3, STATIC = 6 };

typedef struct cursor {
    gv_weight_spec *table;
    int count, max;
} cursor;

__attribute__((format(printf, 5, 6))) static void add(cursor *c, int64_t d0, int64_t d1, int64_t d2, const char *format,
                                                      ...) {
    if (c->count < c->max) {
        gv_weight_spec *s = &c->table[c->count];
        *s = (gv_weight_spec){.ndim = d2 ? 3 : d1 ? 2 : 1, .shape = {d0, d1, d2}};
        va_list ap;
        va_start(ap, format);
        vsnprintf(s->name, sizeof s->name, format, ap);
        va_end(ap);
    }
    c->count++;
}

static void add_linear(cursor *c, const char *prefix, const char *name, int out, int in) {
    add(c, out, in, 0, "%s%s.weight", prefix, name);
    add(c, out, 0, 0, "%s%s.bias", prefix, name);
}

static void add_norm(cursor *c, const char *prefix, const char *name, int width) {
    add(c, width, 0, 0, "%s%s.weight", prefix, name);
    add(c, width, 0, 0, "%s%s.bias", prefix, name);
}

static void add_block(cursor *c, int index, int D) {
    char p[24];
    snprintf(p, sizeof p, "blocks.%d.", index);
    add(c, 1, 1, D, "%sgate_msa", p);
    add(c, 1, 1, D, "%sgate_mlp", p);
    add_norm(c, p, "norm1", D);
    add_linear(c, p, "attn.query", D, D);
    add_linear(c, p, "attn.key", D, D);
    add_linear(c, p, "attn.value", D, D);
    add_linear(c, p, "attn.proj", D, D);
    add_norm(c, p, "norm2", D);
    add_linear(c, p, "mlp.fc1", 4 * D, D);
    add_linear(c, p, "mlp.fc2", D, 4 * D);
}

int gv_network_weight_table(gv_weight_spec *table, int max, int width, int layers, int with_images) {
    cursor c = {table, 0, table ? max : 0};
    int D = width;
    add(&c, JOINTS, JOINT_EMBEDDING, 0, "learned_pos_params");
    add_linear(&c, "", "learned_pos_linear", JOINT_EMBEDDING, 2);
    add_linear(&c, "", "embed_noisyobs.fc1", 2 * D, JOINTS * JOINT_EMBEDDING);
    add_linear(&c, "", "embed_noisyobs.fc2", D, 2 * D);
    add_linear(&c, "", "cliffcam_embedder.0", D, CLIFF);
    add_linear(&c, "", "cliffcam_embedder.3", D, D);
    add_linear(&c, "", "cam_angvel_embedder.0", D, ANGVEL);
    add_linear(&c, "", "cam_angvel_embedder.3", D, D);
    if (with_images) {
        add_norm(&c, "", "imgseq_embedder.0", IMAGE_FEATURE);
        add_linear(&c, "", "imgseq_embedder.1", D, IMAGE_FEATURE);
    }
    for (int i = 0; i < layers; i++) add_block(&c, i, D);
    add_linear(&c, "", "final_layer.fc1", D, D);
    add_linear(&c, "", "final_layer.fc2", GV_PRED_X, D);
    add_linear(&c, "", "pred_cam_head.fc1", D, D);
    add_linear(&c, "", "pred_cam_head.fc2", CAMERA, D);
    add_linear(&c, "", "static_conf_head.fc1", D, D);
    add_linear(&c, "", "static_conf_head.fc2", STATIC, D);
    return c.count;
}
