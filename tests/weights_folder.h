// weights_folder.h - a folder laid out like GVHMR's inputs/checkpoints, with small random networks, for tests.
#pragma once
#include "base/file.h"
#include "base/memory.h"
#include "formats/tensors.h"
#include "test.h"
#include <string.h>
#include <sys/stat.h>

// Around which the random numbers of a tensor lie.
static inline float middle_of(const char *name) {
    if (strstr(name, "running_var")) return 0.5f;
    if (strstr(name, "norm1.weight") || strstr(name, "norm2.weight") || strstr(name, "norm.weight")) return 1;
    return strstr(name, "layers.1.weight") || strstr(name, "layers.4.weight") ? 1 : 0;
}

// Safetensors of these shapes, numbers in [-0.1, 0.1], but norms' weights around 1 and variances around one half.
static inline void write_random(const char *path, const gv_tensor_view *table, int n) {
    gv_tensor_view *view = gv_calloc2((size_t)n, sizeof *view);
    uint32_t seed = 1;
    gv_error err = {0};
    for (int i = 0; i < n; i++) {
        view[i] = table[i];
        size_t count = 1;
        for (int k = 0; k < view[i].ndim; k++) count *= (size_t)view[i].shape[k];
        float *data = gv_calloc2(count, sizeof *data), middle = middle_of(view[i].name);
        assert_non_null(data);
        for (size_t k = 0; k < count; k++)
            data[k] = (float)((seed = seed * 1664525u + 1013904223u) >> 8) / (float)(1 << 24) * 0.2f - 0.1f + middle;
        view[i].data = data;
    }
    if (gv_safetensors_write(path, view, n, GV_F32, NULL, &err) != GV_OK) fail_msg("%s", err.text);
    for (int i = 0; i < n; i++) free((float *)(uintptr_t)view[i].data);
    free(view);
}

// A random HMR2.0 that gives 1024 numbers (the recorded small one gives fewer): D = 64, one layer in each half.
static inline void write_small_hmr2(const char *path) {
    enum { D = 64, W = 1024, E = 64, H = 64 };
#define DECODER "smpl_head.transformer."
#define LAYER   DECODER "transformer.layers.0."
#define BLOCK   "backbone.blocks.0."
    static const gv_tensor_view table[] = {
        {"backbone.pos_embed", NULL, 3, {1, 193, D}},
        {"backbone.patch_embed.proj.weight", NULL, 4, {D, 3, 16, 16}},
        {"backbone.patch_embed.proj.bias", NULL, 1, {D}},
        {BLOCK "norm1.weight", NULL, 1, {D}},
        {BLOCK "norm1.bias", NULL, 1, {D}},
        {BLOCK "norm2.weight", NULL, 1, {D}},
        {BLOCK "norm2.bias", NULL, 1, {D}},
        {BLOCK "attn.qkv.weight", NULL, 2, {3 * D, D}},
        {BLOCK "attn.qkv.bias", NULL, 1, {3 * D}},
        {BLOCK "attn.proj.weight", NULL, 2, {D, D}},
        {BLOCK "attn.proj.bias", NULL, 1, {D}},
        {BLOCK "mlp.fc1.weight", NULL, 2, {4 * D, D}},
        {BLOCK "mlp.fc1.bias", NULL, 1, {4 * D}},
        {BLOCK "mlp.fc2.weight", NULL, 2, {D, 4 * D}},
        {BLOCK "mlp.fc2.bias", NULL, 1, {D}},
        {"backbone.last_norm.weight", NULL, 1, {D}},
        {"backbone.last_norm.bias", NULL, 1, {D}},
        {DECODER "to_token_embedding.weight", NULL, 2, {W, 1}},
        {DECODER "to_token_embedding.bias", NULL, 1, {W}},
        {DECODER "pos_embedding", NULL, 3, {1, 1, W}},
        {LAYER "0.norm.weight", NULL, 1, {W}},
        {LAYER "0.norm.bias", NULL, 1, {W}},
        {LAYER "1.norm.weight", NULL, 1, {W}},
        {LAYER "1.norm.bias", NULL, 1, {W}},
        {LAYER "2.norm.weight", NULL, 1, {W}},
        {LAYER "2.norm.bias", NULL, 1, {W}},
        {LAYER "0.fn.to_qkv.weight", NULL, 2, {3 * E, W}},
        {LAYER "0.fn.to_out.0.weight", NULL, 2, {W, E}},
        {LAYER "0.fn.to_out.0.bias", NULL, 1, {W}},
        {LAYER "1.fn.to_q.weight", NULL, 2, {E, W}},
        {LAYER "1.fn.to_kv.weight", NULL, 2, {2 * E, D}},
        {LAYER "1.fn.to_out.0.weight", NULL, 2, {W, E}},
        {LAYER "1.fn.to_out.0.bias", NULL, 1, {W}},
        {LAYER "2.fn.net.0.weight", NULL, 2, {H, W}},
        {LAYER "2.fn.net.0.bias", NULL, 1, {H}},
        {LAYER "2.fn.net.3.weight", NULL, 2, {W, H}},
        {LAYER "2.fn.net.3.bias", NULL, 1, {W}},
    };
#undef DECODER
#undef LAYER
#undef BLOCK
    write_random(path, table, sizeof table / sizeof *table);
}

// A random ViTPose, D = 256 (heads of 16), two layers.
static inline void write_small_vitpose(const char *path) {
    enum { D = 256, F = 24 };
#define LAYER(i)                                                                                                       \
    {"backbone.blocks." #i ".norm1.weight", NULL, 1, {D}}, {"backbone.blocks." #i ".norm1.bias", NULL, 1, {D}},        \
        {"backbone.blocks." #i ".norm2.weight", NULL, 1, {D}}, {"backbone.blocks." #i ".norm2.bias", NULL, 1, {D}},    \
        {"backbone.blocks." #i ".attn.qkv.weight", NULL, 2, {3 * D, D}},                                               \
        {"backbone.blocks." #i ".attn.qkv.bias", NULL, 1, {3 * D}},                                                    \
        {"backbone.blocks." #i ".attn.proj.weight", NULL, 2, {D, D}},                                                  \
        {"backbone.blocks." #i ".attn.proj.bias", NULL, 1, {D}},                                                       \
        {"backbone.blocks." #i ".mlp.fc1.weight", NULL, 2, {4 * D, D}},                                                \
        {"backbone.blocks." #i ".mlp.fc1.bias", NULL, 1, {4 * D}},                                                     \
        {"backbone.blocks." #i ".mlp.fc2.weight", NULL, 2, {D, 4 * D}}, {                                              \
        "backbone.blocks." #i ".mlp.fc2.bias", NULL, 1, {                                                              \
            D                                                                                                          \
        }                                                                                                              \
    }
#define HEAD "keypoint_head.deconv_layers."
    static const gv_tensor_view table[] = {
        {"backbone.pos_embed", NULL, 3, {1, 193, D}},
        {"backbone.patch_embed.proj.weight", NULL, 4, {D, 3, 16, 16}},
        {"backbone.patch_embed.proj.bias", NULL, 1, {D}},
        LAYER(0),
        LAYER(1),
        {"backbone.last_norm.weight", NULL, 1, {D}},
        {"backbone.last_norm.bias", NULL, 1, {D}},
        {HEAD "0.weight", NULL, 4, {D, F, 4, 4}},
        {HEAD "1.weight", NULL, 1, {F}},
        {HEAD "1.bias", NULL, 1, {F}},
        {HEAD "1.running_mean", NULL, 1, {F}},
        {HEAD "1.running_var", NULL, 1, {F}},
        {HEAD "3.weight", NULL, 4, {F, F, 4, 4}},
        {HEAD "4.weight", NULL, 1, {F}},
        {HEAD "4.bias", NULL, 1, {F}},
        {HEAD "4.running_mean", NULL, 1, {F}},
        {HEAD "4.running_var", NULL, 1, {F}},
        {"keypoint_head.final_layer.weight", NULL, 4, {17, F, 1, 1}},
        {"keypoint_head.final_layer.bias", NULL, 1, {17}},
    };
#undef LAYER
#undef HEAD
    write_random(path, table, sizeof table / sizeof *table);
}

static inline void copy_shared(const char *name, const char *to) {
    unsigned char *data;
    size_t size;
    gv_error err = {0};
    if (gv_file_read(shared_path(name), 0, &data, &size, &err) != GV_OK || gv_file_write(to, data, size, &err) != GV_OK)
        fail_msg("%s", err.text);
    free(data);
}

// Fills `folder` (made here); false where the recorded checkpoints are not beside the project.
static inline bool make_weights_folder(const char *folder) {
    static const char *const parts[][3] = {
        {"gvhmr", "gvhmr_siga24_release.ckpt", "reference/motion/tiny.ckpt"},
        {"vitpose", "vitpose-h-multi-coco.pth", "reference/perception/ckpt/vitpose-tiny.pth"},
        {"yolo", "yolov8x.pt", "reference/perception/ckpt/yolov8n.pt"},
        {"body_models", NULL, NULL},
        {"body_models/smplx", "SMPLX_NEUTRAL.npz", "reference/motion/SMPLX_NEUTRAL.npz"},
        {"hmr2", NULL, NULL},
    };
    char path[600];
    mkdir(folder, 0755);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, parts[i][0]);
        mkdir(path, 0755);
        if (!parts[i][1]) continue;
        if (!shared_path(parts[i][2])) return false;
        snprintf(path, sizeof path, "%s/%s/%s", folder, parts[i][0], parts[i][1]);
        copy_shared(parts[i][2], path);
    }
    snprintf(path, sizeof path, "%s/hmr2/epoch=10-step=25000.ckpt", folder);
    write_small_hmr2(path);
    return true;
}
