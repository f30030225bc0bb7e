#include "training/sheet.h"
#include "base/memory.h"
#include "body/body.h"
#include "formats/png.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CELL = GV_SHEET_CELL, J = 22, WHITE = 0, GROUND, LEFT, RIGHT, MIDDLE };
static const float scale = 65; // px per metre

typedef struct picture {
    uint8_t *pixels;
    int width, height;
} picture;

static void dot(picture *p, float x, float y, uint8_t colour) {
    for (int dy = 0; dy < 2; dy++)
        for (int dx = 0; dx < 2; dx++) {
            int a = (int)x + dx, b = (int)y + dy;
            if (a >= 0 && b >= 0 && a < p->width && b < p->height) p->pixels[(size_t)b * p->width + a] = colour;
        }
}

static void line(picture *p, const float a[2], const float b[2], uint8_t colour) {
    int n = (int)fmaxf(fabsf(b[0] - a[0]), fabsf(b[1] - a[1])) + 1;
    if (n > 4 * CELL) return; // not a bone
    for (int i = 0; i <= n; i++) {
        float w = (float)i / (float)n;
        dot(p, a[0] + w * (b[0] - a[0]), a[1] + w * (b[1] - a[1]), colour);
    }
}

static uint8_t side_of(int joint) {
    static const uint8_t side[J] = {MIDDLE, LEFT,   RIGHT, MIDDLE, LEFT,   RIGHT, MIDDLE, LEFT, RIGHT, MIDDLE, LEFT,
                                    RIGHT,  MIDDLE, LEFT,  RIGHT,  MIDDLE, LEFT,  RIGHT,  LEFT, RIGHT, LEFT,   RIGHT};
    return side[joint];
}

// Seen from ahead and a little aside; the ground at the foot of the cell.
static void skeleton(picture *p, const float joints[J][3], int row, int column) {
    float across = atan2f(joints[1][2] - joints[2][2], joints[1][0] - joints[2][0]) + 0.6f, at[J][2];
    float left = (float)(column * CELL), foot = (float)(row * CELL + CELL - 15);
    line(p, (float[2]){left + 15, foot}, (float[2]){left + CELL - 15, foot}, GROUND);
    for (int j = 0; j < J; j++) {
        float x = joints[j][0] - joints[0][0], z = joints[j][2] - joints[0][2];
        at[j][0] = left + CELL / 2 + scale * (cosf(across) * x + sinf(across) * z);
        at[j][1] = foot - scale * joints[j][1];
    }
    for (int j = 1; j < J; j++) line(p, at[gv_parents55[j]], at[j], side_of(j));
}

static const char *draw(gv_sequence *m, const gv_sampler *s, int number, int count, bool made, uint64_t seed) {
    gv_rng r = gv_rng_make(seed, 0x7368656574, (uint64_t)number);
    const char *name = "made";
    if (made) {
        gv_sequence_draw(m, s, &r, 120);
    } else {
        const gv_clip *c = &s->store->clips[s->clip[(int64_t)number * s->count / count]];
        int frames = c->frames < 3 ? (int)c->frames : 3;
        gv_sequence_read(m, s->store, c, ((int)c->frames - frames) / 2, frames, &r);
        memset(m->betas, 0, sizeof m->betas);
        name = c->name;
    }
    gv_sequence_place(m, s->rig, &r);
    return name;
}

gv_status gv_sheet_write(const char *path, const gv_sampler *s, int count, bool made, uint64_t seed,
                         void (*cell)(void *user, int row, int column, const char *name), void *user, gv_error *err) {
    static const uint8_t palette[256][3] = {[WHITE] = {255, 255, 255},
                                            [GROUND] = {190, 190, 190},
                                            [LEFT] = {0, 80, 200},
                                            [RIGHT] = {220, 0, 0},
                                            [MIDDLE] = {40, 40, 40}};
    if (!made && count > s->count) count = s->count;
    picture p = {.width = GV_SHEET_COLUMNS * CELL, .height = (count + GV_SHEET_COLUMNS - 1) / GV_SHEET_COLUMNS * CELL};
    p.pixels = gv_calloc2((size_t)p.width, (size_t)p.height);
    gv_sequence *m = malloc(sizeof *m);
    gv_status status = p.pixels && m ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "%s: no memory for the picture", path);
    for (int i = 0; i < count && !status; i++) {
        const char *name = draw(m, s, i, count, made, seed);
        skeleton(&p, (const float(*)[3])m->joints[m->frames / 2], i / GV_SHEET_COLUMNS, i % GV_SHEET_COLUMNS);
        if (cell) cell(user, i / GV_SHEET_COLUMNS, i % GV_SHEET_COLUMNS, name);
    }
    if (!status) status = gv_png_write(path, p.pixels, p.width, p.height, palette, err);
    free(p.pixels);
    free(m);
    return status;
}
