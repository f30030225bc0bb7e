// bench_render.c - milliseconds per picture of the renderer; with a name, also writes what it drew as
// NAME-*.ppm. "cpu" is the processor time of all threads together, which a busy machine does not spoil.
//
//     OMP_NUM_THREADS=2 build/bench/bench_render [NAME]
#include "base/order.h"
#include "base/progress.h"
#include "body/body.h"
#include "figure.h"

#include <stdio.h>
#include <time.h>

enum { RUNS = 40 };

typedef struct timing {
    double wall[RUNS], cpu[RUNS];
} timing;

static double cpu_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void report(const char *what, timing *t) {
    gv_sort_doubles(t->wall, RUNS);
    gv_sort_doubles(t->cpu, RUNS);
    printf("%-50s min %6.2f  median %6.2f ms   cpu min %6.2f  median %6.2f ms\n", what, 1e3 * t->wall[0],
           1e3 * t->wall[RUNS / 2], 1e3 * t->cpu[0], 1e3 * t->cpu[RUNS / 2]);
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
    gv_view v = {
        .K = {900, 0, W / 2, 0, 900, H / 2, 0, 0, 1}, .R = {-1, 0, 0, 0, -1, 0, 0, 0, 1}, .t = {0, 0.9f, 2.4f}};
    timing t;
    for (int i = 0; i < RUNS; i++) {
        for (int k = 0; k < W * H * 3; k++) rgb[k] = (uint8_t)(60 + k / (W * 3) / 8 + k % 3 * 10);
        double start = gv_now(), cpu = cpu_now();
        gv_render_over(c, rgb, 3 * W, &v, meshes, n, 0.92f);
        t.wall[i] = gv_now() - start;
        t.cpu[i] = cpu_now() - cpu;
    }
    char what[100];
    snprintf(what, sizeof what, "over 812 x 720, %d people of %d triangles", n, meshes->triangles);
    report(what, &t);
    save(base, n == 1 ? "over" : "over-many", rgb, W, H);
    free(rgb);
    gv_canvas_destroy(c);
}

static void bench_world(const char *base, const gv_mesh *meshes, int n, bool moving) {
    enum { W = 1280, H = 720 };
    gv_canvas *c = gv_canvas_create(W, H);
    uint8_t *rgb = malloc(3 * W * H);
    const float lo[3] = {n > 1 ? -1.8f : -0.6f, 0, n > 1 ? -1 : -0.3f},
                hi[3] = {n > 1 ? 1.8f : 0.6f, 1.75f, n > 1 ? 1 : 0.3f};
    float line[300];
    for (int i = 0; i < 100; i++)
        line[3 * i] = 1.5f * sinf(0.06f * (float)i), line[3 * i + 1] = 0, line[3 * i + 2] = 0.02f * (float)i - 1.2f;
    gv_path path = {.points = line, .n = 100};
    memcpy(path.colour, meshes->colour, sizeof path.colour);
    gv_view v = gv_view_outside(lo, hi, W, H);
    timing t;
    for (int i = 0; i < RUNS; i++) {
        if (moving) v.t[0] += 0.001f;
        double start = gv_now(), cpu = cpu_now();
        gv_render_world(c, rgb, 3 * W, &v, meshes, n, &path, 1);
        t.wall[i] = gv_now() - start;
        t.cpu[i] = cpu_now() - cpu;
    }
    gv_draw_text(rgb, W, H, 3 * W, 16, H - 30, 2, (const uint8_t[3]){40, 46, 54}, 0.8f,
                 "12.34 s  frame 370  1: (0.42, 1.03)");
    char what[100];
    snprintf(what, sizeof what, "world 1280 x 720, %d people, %s view", n, moving ? "moving" : "fixed");
    report(what, &t);
    if (!moving) save(base, n == 1 ? "world" : "world-many", rgb, W, H);
    free(rgb);
    gv_canvas_destroy(c);
}

// The mannequin in a walking pose, person i of a row; capsules where there is no mannequin.
static figure person(const gv_body *body, int i) {
    const float x = i ? 0.9f * (float)i - 1.8f : 0, z = i ? 0.5f * (float)(i - 2) : 0;
    if (!body) return figure_create(x, z, 36, 12, gv_palette(i));
    figure f = {.position = calloc((size_t)body->vertices, 12),
                .normal = calloc((size_t)body->vertices, 12),
                .face = malloc((size_t)body->triangles * 12)};
    float pose[63] = {0}, betas[GV_BETAS] = {0}, lowest = 0;
    const float way = i & 1 ? -1 : 1;
    static const struct {
        int joint, axis;
        float angle;
    } bend[] = {{1, 0, -0.45f}, {4, 0, 0.35f},   {2, 0, 0.30f},  {5, 0, 0.45f},   {8, 0, 0.25f},
                {3, 1, 0.12f},  {16, 2, -1.15f}, {17, 2, 1.15f}, {16, 1, -0.45f}, {17, 1, -0.35f},
                {18, 1, -0.7f}, {19, 1, 0.6f},   {15, 1, 0.3f}};
    for (size_t k = 0; k < sizeof bend / sizeof *bend; k++)
        pose[3 * (bend[k].joint - 1) + bend[k].axis] = bend[k].angle;
    gv_skin *skin = gv_skin_create(body, betas);
    gv_skin_pose(skin, pose, (const float[3]){0, 0.4f * way * (float)(i > 0), 0}, (const float[3]){x, 0, z}, f.position,
                 f.normal);
    gv_skin_destroy(skin);
    for (int k = 0; k < body->vertices; k++) lowest = fminf(lowest, f.position[3 * k + 1]);
    for (int k = 0; k < body->vertices; k++) f.position[3 * k + 1] -= lowest;
    memcpy(f.face, body->faces, (size_t)body->triangles * 12);
    f.mesh = (gv_mesh){body->vertices, body->triangles, f.position, f.normal, f.face, {0}, NULL};
    memcpy(f.mesh.colour, gv_palette(i), sizeof f.mesh.colour);
    return f;
}

int main(int argc, char **argv) {
    const char *base = argc > 1 ? argv[1] : NULL;
    figure f[4];
    gv_mesh m[4];
    gv_body *body = NULL;
    gv_body_open(&body, NULL, NULL);
    for (int i = 0; i < 4; i++) {
        f[i] = person(body, i);
        m[i] = f[i].mesh;
    }
    gv_body_close(body);
    printf("%s: %d vertices, %d triangles a person\n", body ? "mannequin" : "capsules", m[0].vertices, m[0].triangles);
    bench_over(base, m, 1);
    bench_over(base, m + 1, 3);
    bench_world(base, m, 1, false);
    bench_world(base, m + 1, 3, false);
    bench_world(base, m, 1, true);
    for (int i = 0; i < 4; i++) figure_destroy(&f[i]);
    return 0;
}
