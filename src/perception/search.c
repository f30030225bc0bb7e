#include "perception/search.h"

#include "base/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CELL = 8, MAX_CELLS = 256, MAX_TILES = 1 << 16 };
static const double BURST = 64;         // tiles at once at the start and after a cut
static const double SCALE_STEP = 2.4;   // from one tile side to the next; 70 % / 25 % = 2.8 leaves some overlap
static const double TILES_PER_SEC = 16; // mean budget of seconds of video
static const double QUIET = 10;         // a quiet tile waits this many times longer
static const double MEMORY_SEC = 0.5;   // time constant of the brightness that a frame is compared with
static const float CHANGE = 6;          // grey levels of a cell's mean
static const float LIVELY = 0.008f;     // part of a tile's cells that must change
static const float CUT = 0.6f;          // part of all cells that change by CUT_LEVELS at a cut
static const float CUT_LEVELS = 12;

typedef struct tile {
    gv_tile at;
    int cx0, cy0, cx1, cy1; // cells
    double searched;        // s, -INFINITY = never
    float change;           // largest part of changed cells since then
} tile;

struct gv_search {
    int width, height, cell, cols, rows;
    double every_s, time, tokens, per_sec, burst;
    bool started;
    float *now, *memory; // [rows, cols] mean brightness
    int *sum;            // [rows + 1, cols + 1] integral image of the unexplained changes
    tile *tiles;         // large ones first
    int count;
};

static int steps(int length, double side) { // half-overlapping tiles along one axis
    return length <= side ? 1 : (int)ceil((length - side) / (side / 2)) + 1;
}

// Lays the tiles of one side; with `tiles` NULL only counts.
static int lay(const gv_search *s, double side, tile *tiles) {
    int nx = steps(s->width, side), ny = steps(s->height, side);
    if (!tiles || (double)nx * ny > MAX_TILES) return (double)nx * ny > MAX_TILES ? 0 : nx * ny;
    double w = fmin(side, s->width), h = fmin(side, s->height);
    for (int j = 0, k = 0; j < ny; j++)
        for (int i = 0; i < nx; i++, k++) {
            double x = nx > 1 ? (s->width - w) * i / (nx - 1) : 0, y = ny > 1 ? (s->height - h) * j / (ny - 1) : 0;
            tile *t = &tiles[k];
            t->at = (gv_tile){(float)x, (float)y, (float)w, (float)h};
            t->cx0 = (int)(x / s->cell);
            t->cy0 = (int)(y / s->cell);
            t->cx1 = (int)fmin(ceil((x + w) / s->cell), s->cols);
            t->cy1 = (int)fmin(ceil((y + h) / s->cell), s->rows);
            t->searched = -INFINITY;
        }
    return nx * ny;
}

gv_search *gv_search_create(int width, int height, int min_height, double every_s) {
    gv_search *s = gv_calloc2(1, sizeof *s);
    if (!s) return NULL;
    int longer = width > height ? width : height;
    s->width = width;
    s->height = height;
    s->every_s = every_s;
    s->per_sec = TILES_PER_SEC;
    s->burst = BURST;
    s->cell = longer > CELL * MAX_CELLS ? (longer + MAX_CELLS - 1) / MAX_CELLS : CELL;
    s->cols = (width + s->cell - 1) / s->cell;
    s->rows = (height + s->cell - 1) / s->cell;
    double sides[32];
    int levels = 0;
    for (double side = 4.0 * min_height; side < longer && levels < 31; side *= SCALE_STEP) sides[levels++] = side;
    if (levels && sides[levels - 1] > 0.8 * longer) levels--; // too near to the whole picture
    sides[levels++] = longer;
    for (int i = 0; i < levels; i++) s->count += lay(s, sides[i], NULL);
    size_t cells = (size_t)s->cols * (size_t)s->rows;
    s->now = gv_calloc2(cells, sizeof(float));
    s->memory = gv_calloc2(cells, sizeof(float));
    s->sum = gv_calloc2((size_t)(s->cols + 1) * (size_t)(s->rows + 1), sizeof(int));
    s->tiles = gv_calloc2((size_t)s->count, sizeof(tile));
    if (!s->now || !s->memory || !s->sum || !s->tiles) {
        gv_search_destroy(s);
        return NULL;
    }
    for (int i = levels - 1, k = 0; i >= 0; i--) k += lay(s, sides[i], s->tiles + k);
    return s;
}

void gv_search_limit(gv_search *s, double per_sec, double burst) {
    s->per_sec = per_sec;
    s->burst = burst;
}

void gv_search_destroy(gv_search *s) {
    if (!s) return;
    free(s->now);
    free(s->memory);
    free(s->sum);
    free(s->tiles);
    free(s);
}

int gv_search_count(const gv_search *s) {
    return s->count;
}

// Mean of (R + 2 G + B) / 4 per cell, every second pixel of every second row.
static void measure(gv_search *s, const gv_image *image) {
#pragma omp parallel for schedule(static)
    for (int cy = 0; cy < s->rows; cy++)
        for (int cx = 0; cx < s->cols; cx++) {
            int x1 = (cx + 1) * s->cell, y1 = (cy + 1) * s->cell, sum = 0, n = 0;
            if (x1 > image->width) x1 = image->width;
            if (y1 > image->height) y1 = image->height;
            for (int y = cy * s->cell; y < y1; y += 2)
                for (int x = cx * s->cell; x < x1; x += 2, n++) {
                    const uint8_t *p = image->rgb + (size_t)y * image->stride + 3 * (size_t)x;
                    sum += p[0] + 2 * p[1] + p[2];
                }
            s->now[cy * s->cols + cx] = n ? (float)sum / (4 * (float)n) : 0;
        }
}

// Marks changed cells in s->sum (shifted by one row and column); returns how many changed as at a cut.
static int mark_changes(gv_search *s, float blend) {
    int w = s->cols + 1, strong = 0;
    for (int cy = 0; cy < s->rows; cy++)
        for (int cx = 0; cx < s->cols; cx++) {
            int i = cy * s->cols + cx;
            float d = fabsf(s->now[i] - s->memory[i]);
            s->sum[(cy + 1) * w + cx + 1] = d > CHANGE;
            strong += d > CUT_LEVELS;
            s->memory[i] += blend * (s->now[i] - s->memory[i]);
        }
    return strong;
}

static void explain(gv_search *s, const float box[4]) {
    int w = s->cols + 1;
    double cell = s->cell;
    int x0 = (int)floor(fmax(box[0], 0) / cell), y0 = (int)floor(fmax(box[1], 0) / cell);
    int x1 = (int)ceil(fmin(box[2], s->width) / cell), y1 = (int)ceil(fmin(box[3], s->height) / cell);
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++) s->sum[(y + 1) * w + x + 1] = 0;
}

static void integrate(gv_search *s) {
    int w = s->cols + 1;
    for (int y = 1; y <= s->rows; y++)
        for (int x = 1; x <= s->cols; x++)
            s->sum[y * w + x] += s->sum[(y - 1) * w + x] + s->sum[y * w + x - 1] - s->sum[(y - 1) * w + x - 1];
}

void gv_search_look(gv_search *s, const gv_image *image, double time_sec, const float (*boxes)[4], int n) {
    double dt = s->started ? time_sec - s->time : 0;
    if (!(dt >= 0 && dt < 10)) dt = 0;
    measure(s, image);
    int strong = mark_changes(s, s->started ? (float)(1 - exp(-dt / MEMORY_SEC)) : 1);
    if (s->started && (float)strong > CUT * (float)(s->cols * s->rows)) {
        memcpy(s->memory, s->now, (size_t)s->cols * (size_t)s->rows * sizeof(float));
        s->started = false;
    }
    s->tokens = fmin(s->tokens + dt * s->per_sec, fmax(3, dt * s->per_sec));
    if (!s->started) {
        s->tokens = s->burst;
        for (int i = 0; i < s->count; i++) s->tiles[i].searched = -INFINITY;
    }
    s->started = true;
    s->time = time_sec;
    for (int i = 0; i < n; i++) explain(s, boxes[i]);
    integrate(s);
    for (int i = 0, w = s->cols + 1; i < s->count; i++) {
        tile *t = &s->tiles[i];
        int changed = s->sum[t->cy1 * w + t->cx1] - s->sum[t->cy0 * w + t->cx1] - s->sum[t->cy1 * w + t->cx0] +
                      s->sum[t->cy0 * w + t->cx0];
        int cells = (t->cx1 - t->cx0) * (t->cy1 - t->cy0);
        t->change = fmaxf(t->change, cells ? (float)changed / (float)cells : 0);
    }
}

int gv_search_pick(gv_search *s, bool anybody, int reserved, gv_tile *tiles, int max) {
    int n = 0;
    for (s->tokens = fmax(s->tokens - reserved, -4); n < max && s->tokens >= 1; s->tokens -= 1) {
        tile *best = NULL;
        double urgency = 1; // 1 = due now
        for (int i = 0; i < s->count; i++) {
            tile *t = &s->tiles[i];
            double due = s->every_s * (t->change > LIVELY || i == 0 ? 1 : QUIET) * (anybody ? 1 : 0.5);
            double u = due > 0 ? (s->time - t->searched) / due : INFINITY;
            if (u < urgency || t->searched == s->time) continue;
            if (best && u <= urgency) continue;
            best = t;
            urgency = u;
        }
        if (!best) break;
        best->searched = s->time;
        best->change = 0;
        tiles[n++] = best->at;
    }
    return n;
}
