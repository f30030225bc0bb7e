// bench_focal_people.c - the focal length from people (pipeline/focal_people.h), on motion capture before synthetic
// cameras that stand still, with noisy keypoints. The network is told
// a focal length as wrong as the diagonal is for lenses of 20 to 70 mm.
//
//     build/bench/bench_focal_people MOTIONS.gvs SUBJECT,SUBJECT... [BATCHES]
#include "base/file.h"
#include "camera/intrinsics.h"
#include "pipeline/focal_people.h"
#include "pipeline/predict.h"
#include "training/sample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 8, MOST = 4096 };

static gv_observations observed(const gv_batch *b, int row, double focal) {
    gv_observations o;
    if (gv_observations_alloc(&o, b->length[row], NULL) != GV_OK) exit(1);
    long first = (long)row * b->L;
    for (int t = 0; t < o.frames; t++) {
        const float *k = b->y.K + 4 * (first + t);
        memcpy(o.bbx_xys + 3 * t, b->y.box + 3 * (first + t), 3 * sizeof(float));
        memcpy(o.kp2d + 51 * t, b->kp2d + 51 * (first + t), 51 * sizeof(float));
        memcpy(o.R_w2c + 9 * t, b->R_w2c + 9 * (first + t), 9 * sizeof(float));
        memcpy(o.K + 9 * t, (float[9]){(float)focal, 0, k[2], 0, (float)focal, k[3], 0, 0, 1}, 9 * sizeof(float));
        o.time_sec[t] = t / 30.0;
    }
    o.fps = 30;
    o.width = (int)(2 * b->y.K[4 * first + 2]), o.height = (int)(2 * b->y.K[4 * first + 3]);
    return o;
}

static int by_value(const void *a, const void *b) {
    double d = *(const double *)a - *(const double *)b;
    return (d > 0) - (d < 0);
}

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: bench_focal_people MOTIONS.gvs SUBJECTS [BATCHES]\n"), 2;
    gv_error err = {0};
    gv_store store;
    gv_body *body = NULL;
    gv_network *net = NULL;
    gv_rig rig;
    gv_sampler sampler;
    gv_sample_options o = gv_sample_defaults;
    o.plain = true, o.only = argv[2], o.recombine = o.perturb = o.wrong_focal = 0, o.camera = GV_SAMPLE_STATIC;
    char *weights = gv_resource_find("gvhmr-compact.safetensors", &err);
    if (!weights || gv_store_open(&store, argv[1], &err) || gv_body_open(&body, NULL, &err) ||
        gv_network_open(&net, weights, 0, GV_PRECISION_F32, NULL, &err) || gv_rig_from_body(&rig, body, 48, &err) ||
        gv_sampler_init(&sampler, &store, &rig, &o, &err))
        return fprintf(stderr, "%s\n", err.text), 1;
    gv_batch *b = gv_batch_create(ROWS, GV_MAX_FRAMES, rig.surface.count);
    static double off[MOST], pull[MOST], before[MOST];
    int n = 0, clips = 0;
    for (int k = 0; b && k < (argc > 3 ? atoi(argv[3]) : 8); k++) {
        gv_batch_fill(b, &sampler, 0x666f6361, (uint64_t)k);
        for (int row = 0; row < ROWS && n < MOST; row++) {
            const float *K = b->y.K + 4 * (long)row * b->L;
            // where a lens of 20 to 70 mm is taken for the diagonal's 43.3
            double told = K[0] * 43.27 / (20 * pow(3.5, fmod(0.618034 * clips, 1)));
            gv_observations obs = observed(b, row, told);
            gv_motion m;
            gv_people_focal f;
            if (gv_predict(&m, net, body, &obs, &(gv_predict_options){.static_camera = true}, NULL, &err))
                return fprintf(stderr, "%s\n", err.text), 1;
            gv_focal_from_people(&f, &m, 1, GV_FOCAL_DEFAULT_SD);
            double truth = K[0] / told;
            printf("clip %3d: %3d frames, told %+4.0f %%, found %+4.0f %% off, sd %3.0f %%%s\n", clips++,
                   m.frames, 100 * (1 / truth - 1),
                   100 * (f.ratio / truth - 1), 100 * fmin(9, f.sd), f.found ? "  found" : "");
            if (f.found) off[n] = fabs(log(f.ratio / truth)), pull[n] = off[n] / f.sd, before[n++] = fabs(log(truth));
            gv_motion_free(&m), gv_observations_free(&obs);
        }
    }
    qsort(off, (size_t)n, sizeof *off, by_value), qsort(pull, (size_t)n, sizeof *pull, by_value);
    qsort(before, (size_t)n, sizeof *before, by_value);
    if (n)
        printf("%d of %d clips tell: error %.1f %% in the median, %.1f %% at 90 %%; what was told %.1f and %.1f %%; "
               "error over sd %.2f and %.2f\n",
               n, clips, 100 * off[n / 2], 100 * off[n * 9 / 10], 100 * before[n / 2], 100 * before[n * 9 / 10],
               pull[n / 2], pull[n * 9 / 10]);
    gv_batch_destroy(b), gv_sampler_free(&sampler), gv_rig_free(&rig), gv_network_close(net), gv_body_close(body);
    gv_store_close(&store), free(weights);
    return 0;
}
