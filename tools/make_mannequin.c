// make_mannequin.c - makes the built-in body: make_mannequin OUT.npz
#include "make_mannequin.h"

#include "body/body.h"
#include "formats/npz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// First form: one small octahedron around every joint and keypoint, so that the skeleton, its shapes and the
// regressors are exact while the surface is being made.
enum { PARTS = JOINTS + KEYPOINTS, V = PARTS * 6, F = PARTS * 8 };

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: make_mannequin OUT.npz\n");
        return 1;
    }
    static skeleton s;
    make_skeleton(&s);
    static float v[V][3], shape[V][3][SHAPES], weights[V][JOINTS], J[JOINTS][V], coco[KEYPOINTS][V], hands[45];
    static int32_t faces[F][3], tree[2][JOINTS];
    for (int i = 0; i < PARTS; i++) {
        const double *c = i < JOINTS ? s.joint[i] : s.keypoint[i - JOINTS];
        int bone = i < JOINTS ? i : s.keypoint_bone[i - JOINTS];
        for (int k = 0; k < 6; k++) {
            int n = 6 * i + k;
            double p[3] = {c[0], c[1], c[2]};
            p[k / 2] += k % 2 ? -0.02 : 0.02;
            for (int a = 0; a < 3; a++) v[n][a] = (float)p[a];
            weights[n][bone] = 1;
            (i < JOINTS ? J[i] : coco[i - JOINTS])[n] = 1 / 6.0f;
            for (int b = 0; b < SHAPES; b++) {
                double d[3];
                bone_direction(d, &s, bone, b, c);
                for (int a = 0; a < 3; a++) shape[n][a][b] = (float)d[a];
            }
        }
        for (int k = 0; k < 8; k++) {
            int x = k & 1, y = 2 + (k >> 1 & 1), z = 4 + (k >> 2 & 1), odd = (k ^ k >> 1 ^ k >> 2) & 1;
            int32_t *f = faces[8 * i + k];
            f[0] = 6 * i + x, f[1] = 6 * i + (odd ? z : y), f[2] = 6 * i + (odd ? y : z);
        }
    }
    for (int j = 0; j < JOINTS; j++) tree[0][j] = gv_parents55[j], tree[1][j] = j;
    gv_error err = {0};
    gv_npz_writer *w = NULL;
    if (gv_npz_create(&w, argv[1], &err) == GV_OK) {
        gv_npz_add_f32(w, "v_template", &v[0][0], 2, V, 3);
        gv_npz_add_f32(w, "shapedirs", &shape[0][0][0], 3, V, 3, SHAPES);
        gv_npz_add_f32(w, "J_regressor", &J[0][0], 2, JOINTS, V);
        gv_npz_add_f32(w, "weights", &weights[0][0], 2, V, JOINTS);
        gv_npz_add_i32(w, "kintree_table", &tree[0][0], 2, 2, JOINTS);
        gv_npz_add_i32(w, "f", &faces[0][0], 2, F, 3);
        gv_npz_add_f32(w, "hands_meanl", hands, 1, 45);
        gv_npz_add_f32(w, "hands_meanr", hands, 1, 45);
        gv_npz_add_f32(w, "coco17_regressor", &coco[0][0], 2, KEYPOINTS, V);
        if (gv_npz_finish(w, &err) == GV_OK) return 0;
    }
    fprintf(stderr, "make_mannequin: %s\n", err.text);
    return 1;
}
