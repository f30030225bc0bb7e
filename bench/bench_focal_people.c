// bench_focal_people.c - the focal length from people (pipeline/focal_people.h), on motion capture before synthetic
// cameras that stand still, with noisy keypoints. The network is told
// a focal length as wrong as the diagonal is for lenses of 20 to 70 mm.
//
//     build/bench/bench_focal_people MOTIONS.gvs SUBJECT,SUBJECT... [BATCHES]
#include "base/order.h"
#include "camera/intrinsics.h"
#include "left_out.h"
#include "pipeline/focal_people.h"

#include <math.h>

enum { MOST = 4096 };

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: bench_focal_people MOTIONS.gvs SUBJECTS [BATCHES]\n"), 2;
    gv_error err = {0};
    left_out l;
    left_out_open(&l, argv[1], argv[2], GV_SAMPLE_STATIC);
    gv_batch *b = l.batch;
    static double off[MOST], pull[MOST], before[MOST];
    int n = 0, clips = 0;
    for (int k = 0; k < (argc > 3 ? atoi(argv[3]) : 8); k++) {
        gv_batch_fill(b, &l.sampler, 0x666f6361, (uint64_t)k);
        for (int row = 0; row < LEFT_OUT_ROWS && n < MOST; row++) {
            const float *K = b->y.K + 4 * (long)row * b->L;
            // where a lens of 20 to 70 mm is taken for the diagonal's 43.3
            double told = K[0] * 43.27 / (20 * pow(3.5, fmod(0.618034 * clips, 1)));
            gv_observations obs = left_out_observed(&l, row, told);
            gv_motion m;
            gv_people_focal f;
            if (gv_predict(&m, l.net, l.body, &obs, &(gv_predict_options){.static_camera = true}, NULL, &err))
                return fprintf(stderr, "%s\n", err.text), 1;
            gv_focal_from_people(&f, &m, 1, GV_FOCAL_DEFAULT_SD);
            double truth = K[0] / told;
            printf("clip %3d: %3d frames, told %+4.0f %%, found %+4.0f %% off, sd %3.0f %%%s\n", clips++, m.frames,
                   100 * (1 / truth - 1), 100 * (f.ratio / truth - 1), 100 * fmin(9, f.sd), f.found ? "  found" : "");
            if (f.found) off[n] = fabs(log(f.ratio / truth)), pull[n] = off[n] / f.sd, before[n++] = fabs(log(truth));
            gv_motion_free(&m), gv_observations_free(&obs);
        }
    }
    gv_sort_doubles(off, (size_t)n), gv_sort_doubles(pull, (size_t)n);
    gv_sort_doubles(before, (size_t)n);
    if (n)
        printf("%d of %d clips tell: error %.1f %% in the median, %.1f %% at 90 %%; what was told %.1f and %.1f %%; "
               "error over sd %.2f and %.2f\n",
               n, clips, 100 * off[n / 2], 100 * off[n * 9 / 10], 100 * before[n / 2], 100 * before[n * 9 / 10],
               pull[n / 2], pull[n * 9 / 10]);
    left_out_close(&l);
    return 0;
}
