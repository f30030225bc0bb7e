// bench_render.c - milliseconds per picture of the renderer; with a name, also writes what it drew as NAME-*.ppm.
//
//     OMP_NUM_THREADS=2 build/bench/bench_render [NAME]
#include "base/file.h"
#include "base/progress.h"
#include "figure.h"

#include <stdio.h>

enum { RUNS = 40 };

static int by_value(const void *a, const void *b) {
    double d = *(const double *)a - *(const double *)b;
    return (d > 0) - (d < 0);
}

static void report(const char *what, double *sec) {
    qsort(sec, RUNS, sizeof *sec, by_value);
    printf("%-58s min %6.2f ms  median %6.2f ms\n", what, 1e3 * sec[0], 1e3 * sec[RUNS / 2]);
}

static void save(const char *base, const char *name, const uint8_t *rgb, int w, int h) {
    char path[512];
    if (!base) return;
    snprintf(path, sizeof path, "%s-%s.ppm", base, name);
    FILE *f = fopen(path, "wb");
    if (!f) return;
    fprintf(f, "P6\n%d %d\n255\n", w, h);
    fwrite(rgb, 3, (size_t)w * (size_t)h, f);
    fclose(f);
}

static void bench_over(const char *base, const gv_mesh *meshes, int n) {
    enum { W = 812, H = 720 };
    gv_canvas *c = gv_canvas_create(W, H);
    uint8_t *rgb = malloc(3 * W * H);
    gv_view v = {.K = {900, 0, W / 2, 0, 900, H / 2, 0, 0, 1}, .R = {-1, 0, 0, 0, -1, 0, 0, 0, 1}, .t = {0, 0.9f, 2.6f}};
    double sec[RUNS];
    for (int i = 0; i < RUNS; i++) {
        for (int k = 0; k < W * H * 3; k++) rgb[k] = (uint8_t)(60 + k / (W * 3) / 8 + k % 3 * 10);
        double start = gv_now();
        gv_render_over(c, rgb, 3 * W, &v, meshes, n, 0.92f);
        sec[i] = gv_now() - start;
    }
    char what[100];
    snprintf(what, sizeof what, "over 812 x 720, %d people of %d triangles", n, meshes->triangles);
    report(what, sec);
    save(base, n == 1 ? "over" : "over-many", rgb, W, H);
    free(rgb);
    gv_canvas_destroy(c);
}

static void bench_world(const char *base, const gv_mesh *meshes, int n, bool moving) {
    enum { W = 1280, H = 720 };
    gv_canvas *c = gv_canvas_create(W, H);
    uint8_t *rgb = malloc(3 * W * H);
    const float lo[3] = {n > 1 ? -1.8f : -0.6f, 0, n > 1 ? -1 : -0.3f}, hi[3] = {n > 1 ? 1.8f : 0.6f, 1.75f, n > 1 ? 1 : 0.3f};
    float line[300];
    for (int i = 0; i < 100; i++) line[3 * i] = 1.5f * sinf(0.06f * (float)i), line[3 * i + 1] = 0, line[3 * i + 2] = 0.02f * (float)i - 1.2f;
    gv_path path = {.points = line, .n = 100};
    memcpy(path.colour, meshes->colour, sizeof path.colour);
    gv_view v = gv_view_outside(lo, hi, W, H);
    double sec[RUNS];
    for (int i = 0; i < RUNS; i++) {
        if (moving) v.t[0] += 0.001f;
        double start = gv_now();
        gv_render_world(c, rgb, 3 * W, &v, meshes, n, &path, 1);
        sec[i] = gv_now() - start;
    }
    gv_draw_text(rgb, W, H, 3 * W, 16, H - 30, 2, (const uint8_t[3]){40, 46, 54}, 0.8f, "12.34 s  frame 370  1: (0.42, 1.03)");
    char what[100];
    snprintf(what, sizeof what, "world 1280 x 720, %d people, %s view", n, moving ? "moving" : "fixed");
    report(what, sec);
    if (!moving) save(base, n == 1 ? "world" : "world-many", rgb, W, H);
    free(rgb);
    gv_canvas_destroy(c);
}

int main(int argc, char **argv) {
    const char *base = argc > 1 ? argv[1] : NULL;
    figure f[4];
    gv_mesh m[4];
    for (int i = 0; i < 4; i++) {
        f[i] = figure_create(i ? 0.9f * (float)i - 1.8f : 0, i ? 0.5f * (float)(i - 2) : 0, 36, 12, gv_palette(i));
        m[i] = f[i].mesh;
    }
    printf("%d vertices, %d triangles a person\n", m[0].vertices, m[0].triangles);
    bench_over(base, m, 1);
    bench_over(base, m + 1, 3);
    bench_world(base, m, 1, false);
    bench_world(base, m + 1, 3, false);
    bench_world(base, m, 1, true);
    for (int i = 0; i < 4; i++) figure_destroy(&f[i]);
    return 0;
}
