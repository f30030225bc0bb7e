// bench_body.c - how long a body takes: skeleton, keypoints, skinning with and without normals, exact evaluation.
//
//     bench_body [BODY.npz]      the mannequin without an argument; an SMPL-X file adds pose correctives
//
// Prints the minimum and median of many runs on one thread.
#include "base/memory.h"
#include "base/order.h"
#include "base/progress.h"
#include "body/body.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

enum { RUNS = 200 };
typedef struct scene {
    gv_body *body;
    gv_skin *skin;
    gv_points *points;
    float pose[63], betas[GV_BETAS], root[3], transl[3], S[66], G[264], keypoints[51];
    float *vertices, *normals;
} scene;

static void run_skeleton(scene *s) {
    gv_body_fk22(s->G, s->S, s->pose, s->root);
}
static void run_points(scene *s) {
    gv_points_pose(s->points, s->betas, s->pose, s->root, s->transl, s->keypoints, NULL);
}
static void run_skin(scene *s) {
    gv_skin_pose(s->skin, s->pose, s->root, s->transl, s->vertices, NULL);
}
static void run_normals(scene *s) {
    gv_skin_pose(s->skin, s->pose, s->root, s->transl, s->vertices, s->normals);
}
static void run_exact(scene *s) {
    gv_body_evaluate(s->body, s->betas, s->pose, s->root, s->transl, s->vertices, NULL);
}

static void measure(const char *name, scene *s, void (*run)(scene *)) {
    double t[RUNS];
    for (int i = 0; i < RUNS; i++) {
        double start = gv_now();
        run(s);
        t[i] = gv_now() - start;
    }
    gv_sort_doubles(t, RUNS);
    printf("%-28s %8.3f ms   median %8.3f ms\n", name, t[0] * 1e3, t[RUNS / 2] * 1e3);
}

int main(int argc, char **argv) {
    omp_set_num_threads(1);
    scene s = {.betas = {1, -1}, .transl = {0, 1, 3}};
    gv_error err = {0};
    if (gv_body_open(&s.body, argc > 1 ? argv[1] : NULL, &err) != GV_OK) {
        fprintf(stderr, "bench_body: %s\n", err.text);
        return 1;
    }
    for (int i = 0; i < 63; i++) s.pose[i] = 0.3f * (float)((i * 7) % 5 - 2);
    size_t n = (size_t)s.body->vertices * 3;
    s.vertices = gv_calloc2(n, sizeof(float));
    s.normals = gv_calloc2(n, sizeof(float));
    s.skin = gv_skin_create(s.body, s.betas);
    if (s.body->coco17) s.points = gv_points_create(s.body, s.body->coco17, GV_COCO17);
    gv_body_rest_joints(s.S, s.body, s.betas, 22);
    printf("%d vertices, %d triangles, %s pose correctives, one thread\n", s.body->vertices, s.body->triangles,
           s.body->posedirs ? "with" : "no");
    measure("skeleton of 22 joints", &s, run_skeleton);
    if (s.points) measure("17 keypoints", &s, run_points);
    measure("skinning", &s, run_skin);
    measure("skinning and normals", &s, run_normals);
    measure("exact evaluation", &s, run_exact);
    gv_points_destroy(s.points);
    gv_skin_destroy(s.skin);
    gv_body_close(s.body);
    free(s.vertices);
    free(s.normals);
    return 0;
}
