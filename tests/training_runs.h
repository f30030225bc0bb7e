// training_runs.h - a motion store, a body and folders made up for tests of training.
#pragma once
#include "base/file.h"
#include "geometry/rotation.h"
#include "test.h"
#include "training/rig.h"
#include "training/store.h"

#include <string.h>
#include <unistd.h>

static gv_error err;

static inline void make_store(const char *path) {
    gv_store_builder *b = gv_store_builder_create();
    assert_non_null(b);
    for (int k = 0; k < 4; k++) {
        gv_clip clip = {.frames = 70, .flat = 1, .leg = 0.8f};
        snprintf(clip.name, sizeof clip.name, "clip%d", k);
        snprintf(clip.subject, sizeof clip.subject, "person%d", k);
        snprintf(clip.category, sizeof clip.category, "%s", k % 2 ? "daily" : "locomotion");
        snprintf(clip.source, sizeof clip.source, "made");
        float *q = calloc(70 * 88, sizeof *q), *hips = calloc(70 * 3, sizeof *hips);
        uint8_t *still = calloc(70 * 4, 1);
        for (int t = 0; t < 70; t++) {
            for (int j = 0; j < 22; j++) {
                float aa[3] = {0.3f * sinf(0.1f * (float)(t + j + k)), 0.2f * cosf(0.07f * (float)(t * (k + 1))), 0};
                gv_quat_from_aa(q + (t * 22 + j) * 4, aa);
            }
            hips[3 * t] = 0.02f * (float)t;
            hips[3 * t + 1] = 0.8f;
            still[4 * t + k] = 255;
        }
        assert_int_equal(gv_store_builder_add(b, &clip, q, hips, still, &err), GV_OK);
        free(q);
        free(hips);
        free(still);
    }
    assert_int_equal(gv_store_builder_write(b, path, &err), GV_OK);
    gv_store_builder_destroy(b);
}

static inline void make_points(gv_rig_points *p, int count, const gv_rig *r) {
    p->count = count;
    p->first = calloc((size_t)count + 1, sizeof(int));
    p->part = calloc((size_t)count, sizeof *p->part);
    for (int i = 0; i < count; i++) {
        p->first[i + 1] = i + 1;
        p->part[i].bone = (i * 5 + 1) % 22;
        p->part[i].W = 1;
        for (int c = 0; c < 3; c++) p->part[i].Y[c] = r->S[p->part[i].bone][c] + (c == 2 ? 0.05f : 0);
    }
}

static inline void make_rig(gv_rig *r) {
    static const float place[22][3] = {
        {0, 0, 0},       {.1f, -.1f, 0},   {-.1f, -.1f, 0}, {0, .1f, 0},    {.1f, -.5f, 0},    {-.1f, -.5f, 0},
        {0, .2f, 0},     {.1f, -.9f, 0},   {-.1f, -.9f, 0}, {0, .3f, 0},    {.1f, -.95f, .1f}, {-.1f, -.95f, .1f},
        {0, .5f, 0},     {.05f, .4f, 0},   {-.05f, .4f, 0}, {0, .6f, 0},    {.2f, .45f, 0},    {-.2f, .45f, 0},
        {.45f, .45f, 0}, {-.45f, .45f, 0}, {.7f, .45f, 0},  {-.7f, .45f, 0}};
    *r = (gv_rig){0};
    memcpy(r->S, place, sizeof place);
    for (int j = 0; j < 22; j++) r->dirs[j][1][0] = 0.02f * place[j][1];
    make_points(&r->coco, GV_COCO, r);
    make_points(&r->surface, 8, r);
}

static inline void read_whole(const char *dir, const char *name, unsigned char **data, size_t *size) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(gv_file_read(path, 0, data, size, &err), GV_OK);
}

static inline void remove_run(const char *dir) {
    static const char *const names[] = {"checkpoint.gvt", "model.safetensors", "log.jsonl", "curves.png"};
    char path[256];
    for (int i = 0; i < 4; i++) snprintf(path, sizeof path, "%s/%s", dir, names[i]), unlink(path);
    rmdir(dir);
}

// A store, a rig, and folders for two runs.
typedef struct runs {
    char path[24], one[24], two[24];
    gv_store store;
    gv_rig rig;
} runs;

static inline void runs_begin(runs *r) {
    *r = (runs){.path = "/tmp/gv_store_XXXXXX", .one = "/tmp/gv_run_XXXXXX", .two = "/tmp/gv_run_XXXXXX"};
    close(mkstemp(r->path));
    make_store(r->path);
    assert_non_null(mkdtemp(r->one));
    assert_non_null(mkdtemp(r->two));
    make_rig(&r->rig);
    assert_int_equal(gv_store_open(&r->store, r->path, &err), GV_OK);
}

static inline void runs_end(runs *r) {
    gv_rig_free(&r->rig);
    gv_store_close(&r->store);
    unlink(r->path);
    remove_run(r->one);
    remove_run(r->two);
}
