// bench_noise - how the points in space that training makes up are turned against the true ones, as bench/multiview.py
// measures it of BlazePose's.
//
//     bench_noise MOTIONS [sequences]       (a motion store, 640)
//
// Shoulders to ankles of sequences of 120 frames, with training's defaults, but upright cameras, upright people and
// nothing left out. Degrees in the camera: forwards, about the vertical, sideways. Of each sequence the mean over its
// frames (printed: the root mean square and the median of all sequences) and the standard deviation (the mean).
#include "body/body.h"
#include "evaluation/metrics.h"
#include "geometry/rotation.h"
#include "training/sample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { B = 32, L = 120, FIRST = 5, POINTS = 12, LEAST = 90 }; // of COCO-17; frames of a sequence that counts

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The true points as the estimator's crop shows them: it is told where in the picture it was half of the way.
static void seen_in_crop(float out[POINTS][3], const float coco[17][3]) {
    double hip[3], length = 0;
    for (int c = 0; c < 3; c++) hip[c] = 0.5 * (coco[11][c] + coco[12][c]);
    for (int c = 0; c < 3; c++) length += hip[c] * hip[c];
    double aside = hypot(hip[0], hip[1]), half = 0.5 * asin(aside / sqrt(length));
    float aa[3] = {0}, R[9];
    if (aside > 0) aa[0] = (float)(hip[1] / aside * half), aa[1] = (float)(-hip[0] / aside * half);
    gv_rot_from_aa(R, aa);
    for (int i = 0; i < POINTS; i++) gv_mat3_apply(out[i], R, coco[FIRST + i]);
}

// Mean and deviation over the frames that have a guess; false: too few, or taken for somebody who faces elsewhere.
static bool leans(double mean[3], double deviation[3], const gv_batch *b, int row) {
    double sum[3] = {0}, squares[3] = {0};
    int n = 0;
    for (int t = 0; t < b->length[row]; t++) {
        const size_t at = (size_t)row * L + (size_t)t;
        const float *guess = b->images + at * GV_IMAGE_FEATURE + 3 * FIRST;
        float truth[POINTS][3], R[9], aa[3];
        if (guess[0] == 0 && guess[1] == 0) continue;
        seen_in_crop(truth, (const float(*)[3])(b->y.coco + at * 51));
        gv_similarity a = gv_align(truth[0], guess, POINTS, 1);
        for (int i = 0; i < 9; i++) R[i] = (float)a.R[i];
        gv_rot_to_aa(aa, R);
        for (int c = 0; c < 3; c++) {
            double x = aa[c] * 57.29577951308232;
            if (fabs(x) > 60) return false;
            sum[c] += x, squares[c] += x * x;
        }
        n++;
    }
    for (int c = 0; c < 3 && n; c++) {
        mean[c] = sum[c] / n;
        deviation[c] = sqrt(fmax(0, squares[c] / n - mean[c] * mean[c]));
    }
    return n >= LEAST;
}

static void report(double *mean[3], const double deviation[3], int n) {
    double square[3] = {0};
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < n; i++) square[c] += mean[c][i] * mean[c][i] / n;
        for (int i = 0; i < n; i++) mean[c][i] = fabs(mean[c][i]);
        qsort(mean[c], (size_t)n, sizeof *mean[c], ascending);
    }
    printf("%d sequences: forwards, about the vertical, sideways\n", n);
    printf("  lean, root mean square  %5.1f %5.1f %5.1f\n", sqrt(square[0]), sqrt(square[1]), sqrt(square[2]));
    printf("  lean, median            %5.1f %5.1f %5.1f\n", mean[0][n / 2], mean[1][n / 2], mean[2][n / 2]);
    printf("  varies, mean            %5.1f %5.1f %5.1f\n", deviation[0] / n, deviation[1] / n, deviation[2] / n);
}

static gv_status measure(const char *path, int sequences, gv_error *err) {
    gv_store store = {0};
    gv_body *body = NULL;
    gv_rig rig = {0};
    gv_sampler sampler = {0};
    gv_batch *b = NULL;
    gv_sample_options o = gv_sample_defaults;
    o.points = 1;
    o.drop = o.lay = o.slow = o.surveillance = o.askew = o.wrong_focal = 0;
    gv_status s = gv_store_open(&store, path, err);
    if (!s) s = gv_body_open(&body, NULL, err);
    if (!s) s = gv_rig_from_body(&rig, body, 0, err);
    if (!s) s = gv_sampler_init(&sampler, &store, &rig, &o, err);
    double *mean[3] = {NULL}, sum[3] = {0}, one[3], deviation[3];
    bool room = true;
    for (int c = 0; c < 3; c++) room &= (mean[c] = calloc((size_t)sequences + B, sizeof **mean)) != NULL;
    if (!s && (!room || !(b = gv_batch_create(B, L, rig.surface.count))))
        s = gv_fail(err, GV_ERR_MEMORY, "no memory for %d sequences", sequences);
    int n = 0;
    for (int k = 0; k * B < sequences && !s; k++) {
        if (!gv_batch_fill(b, &sampler, 1, (uint64_t)k)) s = gv_fail(err, GV_ERR_MEMORY, "no memory for a sequence");
        for (int i = 0; i < B && !s; i++) {
            if (!leans(one, deviation, b, i)) continue;
            for (int c = 0; c < 3; c++) mean[c][n] = one[c], sum[c] += deviation[c];
            n++;
        }
    }
    if (!s && !n) s = gv_fail(err, GV_ERR_ARGUMENT, "%s: no sequence of %d frames", path, LEAST);
    if (!s) report(mean, sum, n);
    for (int c = 0; c < 3; c++) free(mean[c]);
    gv_batch_destroy(b);
    gv_sampler_free(&sampler);
    gv_rig_free(&rig);
    gv_body_close(body);
    gv_store_close(&store);
    return s;
}

int main(int argc, char **argv) {
    gv_error err = {0};
    int sequences = argc > 2 ? atoi(argv[2]) : 640;
    if (argc < 2 || sequences < 1 || sequences > 1000000)
        return fputs("usage: bench_noise MOTIONS [sequences]\n", stderr), 2;
    if (measure(argv[1], sequences, &err)) return fprintf(stderr, "bench_noise: %s\n", err.text), 1;
    return 0;
}
