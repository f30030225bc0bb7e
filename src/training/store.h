// store.h - one compact file of motion clips, mapped into memory for training.
//
// 30 frames/s; the 22 body joints of SMPL-X as unit quaternions (w, x, y, z) rounded to 16 bits (error below
// 1e-4 rad); position of the middle of the two hip joints, metres, y up, ground at y = 0; how still the feet
// stand. Little-endian: header, clip table, then the arrays of all frames one after the other. Version 1, whose clips
// had no shape and 256 bytes each, is read as well.
#pragma once
#include "base/error.h"
#include <stdint.h>

enum { GV_STORE_JOINTS = 22, GV_STORE_FEET = 4, GV_CLIP_SHORTEST = 25, GV_CLIP_LONGEST = 4000000 };

typedef struct gv_clip { // 320 bytes, as in the file
    char name[96], subject[32], category[32], source[32], licence[32];
    uint64_t first; // index of its first frame
    uint32_t frames;
    uint32_t flat;       // 1: it stands on the plane y = 0
    float leg;           // length of thigh and shin of the captured skeleton, m
    uint32_t shaped;     // 1: betas are known
    uint32_t incam_only; // 1: neither its direction of gravity nor its way in the world is known
    uint32_t reserved;
    float betas[10]; // of the neutral SMPL-X
    uint32_t more[6];
} gv_clip;

typedef struct gv_store {
    int clip_count;
    uint64_t frame_count;
    const gv_clip *clips;
    const int16_t *rotation; // [frames, 22, 4] local quaternions times 32767; joint 0 in the world
    const float *hips;       // [frames, 3] m
    const uint8_t *still;    // [frames, 4] ankles and toes (joints 7, 10, 8, 11): 255 still, 0 moving
    void *map;
    uint64_t map_size;
    gv_clip *converted; // version 1's clip table, NULL otherwise
} gv_store;

gv_status gv_store_open(gv_store *s, const char *path, gv_error *err); // checks sizes, ranges and names
void gv_store_close(gv_store *s);                                      // accepts a zeroed struct

// A clip while it is made. Messages name it `what`.
typedef struct gv_clip_frames {
    int count;
    float *rotation, *hips; // [count, 22, 4] quaternions, [count, 3] m
    float *foot;            // [count, 4, 3] m, ankles and toes
    uint8_t *still;         // [count, 4]
} gv_clip_frames;
// Refuses clips of fewer than 25 frames or of more than a day, and legs outside 0.45 to 1.5 m; then nothing is held.
gv_status gv_clip_frames_alloc(gv_clip_frames *f, double count, float leg, const char *what, gv_error *err);
void gv_clip_frames_free(gv_clip_frames *f); // accepts a zeroed struct

// How still each of the feet's joints stands: 255 below 0.15 m/s, 0 above 0.35 m/s, by its speed towards the next
// frame, the last frame repeats. foot [frames, 4, 3] m, still [frames, 4]; frames >= 2.
void gv_store_stillness(uint8_t *still, const float *foot, int frames);

// Collects clips and writes them, whole or not at all. The builder owns copies.
typedef struct gv_store_builder gv_store_builder;
gv_store_builder *gv_store_builder_create(void); // NULL when memory is exhausted
// `first` is set. Quaternions float [frames, 22, 4].
gv_status gv_store_builder_add(gv_store_builder *b, const gv_clip *clip, const float *rotation, const float *hips,
                               const uint8_t *still, gv_error *err);
gv_status gv_store_builder_write(gv_store_builder *b, const char *path, gv_error *err);
void gv_store_builder_destroy(gv_store_builder *b); // accepts NULL
