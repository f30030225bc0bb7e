// bench_keypoints.c - does a detector see the mannequin's keypoints where its regressor puts them?
//
//     bench_keypoints [FROM_DEGREES TO_DEGREES [PICTURES]]     turned by -25 .. 25 and 30 pictures without arguments
//
// Draws the mannequin in random standing and walking poses and shapes, 5 m from a camera of 1600 px focal length, runs
// BlazePose (heavy) around its known place and prints, per kind of keypoint, how far the detector's lie from the
// regressed ones: outward from the body's middle and up, mean and standard deviation, millimetres at the person's
// distance.
#include "base/memory.h"
#include "body/body.h"
#include "perception/blazepose.h"
#include "rendering/render.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 800 };
static const float focal_px = 1600, distance_m = 5, camera_height_m = 0.9f;

typedef struct scene {
    gv_body *body;
    gv_points *points;
    gv_blazepose *detector;
    gv_canvas *canvas;
    uint8_t *rgb;
    float *vertices, *normals;
} scene;

static float uniform(unsigned *seed, float a, float b) {
    *seed = *seed * 1664525u + 1013904223u;
    return a + (b - a) * (float)(*seed >> 8) / 16777216.0f;
}

static void turn(float *pose, int joint, float x, float y, float z) {
    const float degree = (float)M_PI / 180;
    float *p = pose + 3 * (joint - 1);
    p[0] = x * degree, p[1] = y * degree, p[2] = z * degree;
}

static void random_person(unsigned *seed, float pose[63], float betas[10]) {
    float stride = uniform(seed, -25, 25);
    memset(pose, 0, 63 * sizeof *pose);
    memset(betas, 0, 10 * sizeof *betas);
    for (int k = 0; k < 4; k++) betas[k] = uniform(seed, -1, 1);
    for (int side = 0; side < 2; side++) {
        float s = side ? -1 : 1;
        turn(pose, 16 + side, 0, 0, -s * uniform(seed, 50, 80));
        turn(pose, 18 + side, 0, -s * uniform(seed, 5, 60), 0);
        turn(pose, 1 + side, s * stride, 0, s * uniform(seed, 0, 8));
        turn(pose, 4 + side, uniform(seed, 0, 30), 0, 0);
    }
}

static void project(float uv[2], const float p[3]) {
    float z = distance_m - p[2];
    uv[0] = focal_px * p[0] / z + SIDE / 2, uv[1] = focal_px * (camera_height_m - p[1]) / z + SIDE / 2;
}

// One picture: regressed keypoints in px, and what the detector says.
static bool look(scene *s, const float *pose, const float *betas, float yaw, float wanted[17][2], gv_landmarks *l,
                 gv_error *err) {
    float root[3] = {0, yaw, 0}, transl[3] = {0, 1.308f, 0}, points[51];
    gv_skin *skin = gv_skin_create(s->body, betas);
    if (!skin) return false;
    gv_skin_pose(skin, pose, root, transl, s->vertices, s->normals);
    gv_skin_destroy(skin);
    gv_points_pose(s->points, betas, pose, root, transl, points, NULL);
    for (int k = 0; k < 17; k++) project(wanted[k], points + 3 * k);
    gv_mesh mesh = {s->body->vertices, s->body->triangles, s->vertices, s->normals,
                    s->body->faces,    {.55f, .36f, .27f}, NULL};
    gv_view view = {{focal_px, 0, SIDE / 2, 0, focal_px, SIDE / 2, 0, 0, 1},
                    {1, 0, 0, 0, -1, 0, 0, 0, -1},
                    {0, camera_height_m, distance_m}};
    gv_render_world(s->canvas, s->rgb, SIDE * 3, &view, &mesh, 1, NULL, 0);
    float centre[2] = {(wanted[11][0] + wanted[12][0]) / 2, (wanted[11][1] + wanted[12][1]) / 2},
          top[2] = {centre[0], centre[1] - 300};
    gv_region region = gv_blaze_region(centre, top);
    gv_image image = {s->rgb, SIDE, SIDE, SIDE * 3};
    for (int k = 0; k < 3; k++) { // the region settles as it does from frame to frame
        if (gv_blazepose_landmarks(s->detector, &image, &region, 1, l, err) != GV_OK) return false;
        region = gv_blaze_region_of_landmarks(l);
    }
    return true;
}

static int run(scene *s, float from, float to, int pictures, gv_error *err) {
    static const char *const names[9] = {"nose",   "eyes", "ears",  "shoulders", "elbows",
                                         "wrists", "hips", "knees", "ankles"};
    double sum[9][2] = {0}, square[9][2] = {0};
    int count[9] = {0}, seen = 0;
    unsigned seed = 1;
    for (int i = 0; i < pictures; i++) {
        float pose[63], betas[10], wanted[17][2], got[17][3], yaw = uniform(&seed, from, to) * (float)M_PI / 180;
        gv_landmarks l;
        random_person(&seed, pose, betas);
        if (!look(s, pose, betas, yaw, wanted, &l, err)) return 1;
        if (l.presence < 0.5f) continue;
        seen++;
        gv_blaze_to_coco17(got, &l, GV_BLAZE_HEAVY);
        for (int k = 0; k < 17; k++) {
            int g = (k + 1) / 2;
            double mm = 1e3 * distance_m / focal_px, outward = (k % 2 || !k ? 1 : -1) * (cosf(yaw) > 0 ? 1 : -1);
            double d[2] = {outward * mm * (got[k][0] - wanted[k][0]), -mm * (got[k][1] - wanted[k][1])};
            for (int c = 0; c < 2; c++) sum[g][c] += d[c], square[g][c] += d[c] * d[c];
            count[g]++;
        }
    }
    printf("a person seen in %d of %d pictures\n%-12s outward mm        up mm\n", seen, pictures, "");
    for (int g = 0; g < 9 && seen; g++) {
        double m[2], sd[2];
        for (int c = 0; c < 2; c++)
            m[c] = sum[g][c] / count[g], sd[c] = sqrt(fmax(square[g][c] / count[g] - m[c] * m[c], 0));
        printf("%-12s %6.1f +- %4.1f   %6.1f +- %4.1f\n", names[g], m[0], sd[0], m[1], sd[1]);
    }
    return 0;
}

int main(int argc, char **argv) {
    scene s = {0};
    gv_error err = {0};
    int failed = 1;
    if (gv_body_open(&s.body, NULL, &err) == GV_OK &&
        gv_blazepose_open(&s.detector, GV_BLAZE_HEAVY, NULL, &err) == GV_OK) {
        s.points = gv_points_create(s.body, s.body->coco17, 17);
        s.canvas = gv_canvas_create(SIDE, SIDE);
        s.rgb = gv_calloc2(SIDE * SIDE, 3);
        s.vertices = gv_calloc2((size_t)s.body->vertices, 3 * sizeof(float));
        s.normals = gv_calloc2((size_t)s.body->vertices, 3 * sizeof(float));
        if (!s.points || !s.canvas || !s.rgb || !s.vertices || !s.normals)
            gv_fail(&err, GV_ERR_MEMORY, "no memory");
        else
            failed = run(&s, argc > 2 ? strtof(argv[1], NULL) : -25, argc > 2 ? strtof(argv[2], NULL) : 25,
                         argc > 3 ? atoi(argv[3]) : 30, &err);
    }
    if (failed) fprintf(stderr, "bench_keypoints: %s\n", err.text);
    gv_points_destroy(s.points);
    gv_canvas_destroy(s.canvas);
    gv_blazepose_close(s.detector);
    gv_body_close(s.body);
    free(s.rgb);
    free(s.vertices);
    free(s.normals);
    return failed;
}
