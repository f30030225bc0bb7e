#include "pipeline/curves.h"
#include "base/file.h"
#include "base/memory.h"
#include "formats/png.h"
#include "rendering/render.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 5, CELL_W = 300, CELL_H = 190, LEFT = 12, RIGHT = 12, TOP = 34, BOTTOM = 24, COLOURS = 5 };
enum { WHITE, AXIS, TEXT, TRAINED, HELD_OUT };
static const uint8_t colours[COLOURS][3] = {
    {255, 255, 255}, {200, 200, 200}, {60, 60, 60}, {0, 80, 200}, {210, 40, 20}};

static const struct {
    const char *key, *title;
    int held_out; // it is in "validation"
} panels[] = {{"loss", "loss", 0},
              {"simple", "simple", 0},
              {"cr_j3d", "cr-j3d", 0},
              {"transl_c", "transl-c", 0},
              {"cr_verts", "cr-verts", 0},
              {"j2d", "j2d", 0},
              {"verts2d", "verts2d", 0},
              {"transl_w", "transl-w", 0},
              {"static_conf", "static", 0},
              {"grad_norm", "norm of gradient", 0},
              {"lr", "rate", 0},
              {"sequences_per_second", "sequences/s", 0},
              {"loss", "held out: loss", 1},
              {"mpjpe_mm", "held out: mpjpe mm", 1},
              {"pa_mpjpe_mm", "held out: pa-mpjpe mm", 1},
              {"wa_mpjpe_mm", "held out: wa-mpjpe mm", 1},
              {"gravity_deg", "held out: gravity deg", 1},
              {"velocity_mm_per_frame", "held out: mm/frame", 1},
              {"static_accuracy", "held out: still", 1}};
enum { PANELS = sizeof panels / sizeof *panels };

typedef struct entry { // one line of the log; NAN: not there
    double step, value[PANELS];
} entry;

typedef struct history {
    entry *entries;
    size_t count, room;
} history;

static gv_status add_line(history *h, const char *log, int line, const char *text, size_t size, gv_error *err) {
    json_error_t je;
    json_t *o = json_loadb(text, size, 0, &je), *step = json_object_get(o, "step");
    if (!json_is_number(step)) {
        json_decref(o);
        return gv_fail(err, GV_ERR_FORMAT, "%s: line %d: %s", log, line, o ? "has no step" : je.text);
    }
    double at = json_number_value(step);
    while (h->count && h->entries[h->count - 1].step >= at) h->count--; // the run went back
    if (h->count == h->room) {
        size_t room = h->room ? 2 * h->room : 256;
        entry *more = realloc(h->entries, room * sizeof *more);
        if (!more) {
            json_decref(o);
            return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %zu lines", log, room);
        }
        h->entries = more;
        h->room = room;
    }
    entry *e = &h->entries[h->count++];
    e->step = at;
    for (int i = 0; i < PANELS; i++) {
        json_t *from = panels[i].held_out ? json_object_get(o, "validation") : o,
               *v = json_object_get(from, panels[i].key);
        e->value[i] = json_is_number(v) ? json_number_value(v) : NAN;
    }
    json_decref(o);
    return GV_OK;
}

static gv_status read_log(history *h, const char *log, gv_error *err) {
    unsigned char *text = NULL;
    size_t size;
    gv_status s = gv_file_read(log, (size_t)256 << 20, &text, &size, err);
    int line = 0;
    for (char *p = (char *)text, *end; !s && (end = strchr(p, '\n')); p = end + 1)
        s = add_line(h, log, ++line, p, (size_t)(end - p), err);
    free(text);
    if (!s && !h->count) s = gv_fail(err, GV_ERR_EMPTY, "%s: holds no line of a training", log);
    return s;
}

typedef struct picture {
    uint8_t *rgb;
    int width, height;
} picture;

static void dot(const picture *p, double x, double y, int colour) {
    int a = (int)lrint(x), b = (int)lrint(y);
    if (a >= 0 && b >= 0 && a < p->width && b < p->height)
        memcpy(p->rgb + 3 * ((size_t)b * (size_t)p->width + (size_t)a), colours[colour], 3);
}

static void line(const picture *p, double x0, double y0, double x1, double y1, int colour) {
    int n = (int)fmax(fabs(x1 - x0), fabs(y1 - y0)) + 1;
    for (int i = 0; i <= n; i++) dot(p, x0 + (x1 - x0) * i / n, y0 + (y1 - y0) * i / n, colour);
}

static void text(const picture *p, int x, int y, const char *words, int right) {
    gv_draw_text(p->rgb, p->width, p->height, 3 * p->width, right ? x - gv_text_width(1, words) : x, y, 1,
                 colours[TEXT], 1, words);
}

// Least and largest value of panel k; false where there is none.
static bool range_of(const history *h, int k, double *lo, double *hi, double *last) {
    *lo = INFINITY, *hi = -INFINITY;
    for (size_t i = 0; i < h->count; i++) {
        double v = h->entries[i].value[k];
        if (!isfinite(v)) continue;
        *lo = fmin(*lo, v), *hi = fmax(*hi, v), *last = v;
    }
    return *lo <= *hi;
}

static void draw_panel(const picture *p, const history *h, int k, int cell) {
    int x0 = cell % COLUMNS * CELL_W + LEFT, y0 = cell / COLUMNS * CELL_H + TOP, w = CELL_W - LEFT - RIGHT,
        height = CELL_H - TOP - BOTTOM;
    double lo, hi, last = NAN, before[2] = {NAN, NAN}, end = h->entries[h->count - 1].step;
    char words[80];
    range_of(h, k, &lo, &hi, &last);
    bool logarithmic = lo > 0 && hi > 10 * lo;
    double a = logarithmic ? log(lo) : lo, b = logarithmic ? log(hi) : hi, span = b > a ? b - a : 1;
    for (int c = 0; c < 2; c++) {
        line(p, x0, y0 + c * height, x0 + w, y0 + c * height, AXIS);
        line(p, x0 + c * w, y0, x0 + c * w, y0 + height, AXIS);
    }
    snprintf(words, sizeof words, "%s = %.4g", panels[k].title, last);
    text(p, x0, y0 - 24, words, 0);
    snprintf(words, sizeof words, "%.4g%s", hi, logarithmic ? " (log)" : "");
    text(p, x0, y0 - 11, words, 0);
    snprintf(words, sizeof words, "%.4g", lo);
    text(p, x0, y0 + height + 6, words, 0);
    snprintf(words, sizeof words, "%.0f steps", end);
    text(p, x0 + w, y0 + height + 6, words, 1);
    for (size_t i = 0; i < h->count; i++) {
        double v = h->entries[i].value[k];
        if (!isfinite(v)) continue;
        double x = x0 + w * (end > 0 ? h->entries[i].step / end : 0),
               y = y0 + height * (1 - ((logarithmic ? log(v) : v) - a) / span);
        int colour = panels[k].held_out ? HELD_OUT : TRAINED;
        if (!isnan(before[0])) line(p, before[0], before[1], x, y, colour);
        for (int c = 0; c < 9 && panels[k].held_out; c++) dot(p, x + c % 3 - 1, y + c / 3 - 1, colour);
        before[0] = x, before[1] = y;
    }
}

// The picture has no other colours than ours.
static gv_status write_picture(const char *png, const picture *p, gv_error *err) {
    size_t n = (size_t)p->width * (size_t)p->height;
    static const uint8_t black[256 - COLOURS][3];
    uint8_t palette[256][3];
    memcpy(palette, colours, sizeof colours);
    memcpy(palette + COLOURS, black, sizeof black);
    for (size_t i = 0; i < n; i++) { // in place: one byte a pixel
        int k = 0;
        while (k + 1 < COLOURS && memcmp(p->rgb + 3 * i, colours[k], 3)) k++;
        p->rgb[i] = (uint8_t)k;
    }
    return gv_png_write(png, p->rgb, p->width, p->height, palette, err);
}

gv_status gv_curves_write(const char *png, const char *log, gv_error *err) {
    history h = {0};
    picture p = {.width = COLUMNS * CELL_W};
    gv_status s = read_log(&h, log, err);
    int used[PANELS], n = 0;
    for (int k = 0; k < PANELS && !s; k++) {
        double lo, hi, last;
        if (range_of(&h, k, &lo, &hi, &last)) used[n++] = k;
    }
    if (!s && !n) s = gv_fail(err, GV_ERR_EMPTY, "%s: has nothing to draw", log);
    p.height = (n + COLUMNS - 1) / COLUMNS * CELL_H;
    if (!s && !(p.rgb = gv_calloc2((size_t)p.width * (size_t)p.height, 3)))
        s = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for the picture", png);
    if (!s) {
        memset(p.rgb, 255, (size_t)p.width * (size_t)p.height * 3);
        for (int i = 0; i < n; i++) draw_panel(&p, &h, used[i], i);
        s = write_picture(png, &p, err);
    }
    free(p.rgb);
    free(h.entries);
    return s;
}
