// weights_folder.h - a folder laid out like GVHMR's inputs/checkpoints, with small random networks, for tests.
#pragma once
#include "base/file.h"
#include "base/memory.h"
#include "formats/tensors.h"
#include "test.h"
#include <string.h>
#include <sys/stat.h>

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
    enum { N = sizeof table / sizeof *table };
    gv_tensor_view view[N];
    uint32_t seed = 1;
    gv_error err = {0};
    for (int i = 0; i < N; i++) {
        view[i] = table[i];
        size_t count = 1;
        for (int k = 0; k < view[i].ndim; k++) count *= (size_t)view[i].shape[k];
        float *data = gv_calloc2(count, sizeof *data);
        assert_non_null(data);
        for (size_t k = 0; k < count; k++)
            data[k] = (float)((seed = seed * 1664525u + 1013904223u) >> 8) / (float)(1 << 24) * 0.2f - 0.1f;
        view[i].data = data;
    }
    if (gv_safetensors_write(path, view, N, GV_F32, NULL, &err) != GV_OK) fail_msg("%s", err.text);
    for (int i = 0; i < N; i++) free((float *)view[i].data);
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
