// What `gvhmr run` adds to the reference's method, measured on motion capture that was left out of training, with
// synthetic cameras and noisy keypoints: 3D errors, foot sliding, jitter, peak speeds of the wrists, speed.
//
//     bench_refinement MOTIONS.gvs SUBJECT,SUBJECT... [BATCHES]
#include "base/order.h"
#include "base/progress.h"
#include "evaluation/metrics.h"
#include "left_out.h"
#include "pipeline/settle.h"

#include <math.h>

enum { J = GV_MOTION_JOINTS, WAYS = 3, FEET = 4 };
static const char *const ways[WAYS] = {"the reference's method", "drawn to the keypoints", "and settled"};

typedef struct sums {
    double mpjpe, pa, wa, w, root, sliding, jitter, seconds;
    long frames, slides, sequences;
    double *speed; // of both wrists in every frame, m/s
    long speeds;
} sums;

static double mean(const float *x, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)x[i];
    return sum;
}

static void feet_of(float *out, const float *joints, int frames) {
    static const int feet[FEET] = {7, 10, 8, 11};
    for (int t = 0; t < frames; t++)
        for (int f = 0; f < FEET; f++)
            memcpy(out + 3 * (FEET * t + f), joints + 3 * (J * t + feet[f]), 3 * sizeof(float));
}

static void wrists(sums *s, const float *joints, int frames) {
    s->speed = realloc(s->speed, (size_t)(s->speeds + 2 * frames) * sizeof *s->speed);
    if (!s->speed) exit(1);
    for (int t = 1; t < frames; t++)
        for (int j = 20; j < 22; j++) {
            const float *a = joints + 3 * (J * t + j), *b = a - 3 * J;
            s->speed[s->speeds++] = 30 * sqrt(pow((double)(a[0] - b[0]), 2) + pow((double)(a[1] - b[1]), 2) +
                                              pow((double)(a[2] - b[2]), 2));
        }
}

static void score(sums *s, const gv_motion *m, const gv_batch *b, int row) {
    static const int hips[2] = {1, 2};
    int L = m->frames;
    long first = (long)row * b->L;
    float e[4 * GV_MAX_FRAMES], a[3 * FEET * GV_MAX_FRAMES], c[3 * FEET * GV_MAX_FRAMES];
    float root[3 * GV_MAX_FRAMES], true_root[3 * GV_MAX_FRAMES];
    const float *truth = b->joints_w + first * J * 3;
    gv_mpjpe(e, m->joints_incam, b->y.joints + first * J * 3, L, J, hips);
    s->mpjpe += mean(e, L);
    gv_pa_mpjpe(e, m->joints_incam, b->y.joints + first * J * 3, L, J);
    s->pa += mean(e, L);
    gv_wa_mpjpe(e, m->joints_world, truth, L, J, 100);
    s->wa += mean(e, L);
    gv_w_mpjpe(e, m->joints_world, truth, L, J, 100);
    s->w += mean(e, L);
    for (int t = 0; t < L; t++) {
        memcpy(root + 3 * t, m->joints_world + 3 * J * t, 3 * sizeof(float));
        memcpy(true_root + 3 * t, truth + 3 * J * t, 3 * sizeof(float));
    }
    gv_rte(e, root, true_root, L);
    s->root += mean(e, L);
    gv_jitter(e, m->joints_world, L, J, 30);
    s->jitter += mean(e, L - 3) * L / (L - 3);
    feet_of(a, m->joints_world, L);
    feet_of(c, truth, L);
    int n = gv_foot_sliding(e, a, c, L, FEET);
    s->sliding += mean(e, n);
    s->slides += n;
    s->frames += L;
    wrists(s, m->joints_world, L);
}

static double fastest(sums *s) { // mean of the fastest hundredth
    gv_sort_doubles(s->speed, (size_t)s->speeds);
    long n = s->speeds / 100 + 1;
    double sum = 0;
    for (long i = s->speeds - n; i < s->speeds; i++) sum += s->speed[i];
    return sum / (double)n;
}

static void run_row(sums *s, const left_out *l, int row) {
    const gv_batch *b = l->batch;
    if (b->length[row] < 100) return; // WA- and W-MPJPE are of a hundred frames
    gv_observations o = left_out_observed(l, row, 0);
    gv_error err = {0};
    for (int way = 0; way < WAYS; way++) {
        gv_motion m;
        double start = gv_now();
        gv_predict_options opt = {.refine = way > 0};
        gv_status status = gv_predict(&m, l->net, l->body, &o, &opt, NULL, &err);
        if (status == GV_OK && way == 2) status = gv_settle(&m, l->body, false, NULL, &err);
        if (status != GV_OK) exit((fprintf(stderr, "%s\n", err.text), 1));
        s[way].seconds += gv_now() - start;
        score(&s[way], &m, b, row);
        gv_motion_free(&m);
    }
    wrists(&s[WAYS], b->joints_w + (long)row * b->L * J * 3, b->length[row]);
    gv_observations_free(&o);
}

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: bench_refinement MOTIONS.gvs SUBJECTS [BATCHES]\n"), 2;
    left_out l;
    left_out_open(&l, argv[1], argv[2], gv_sample_defaults.camera);
    sums s[WAYS + 1] = {{0}};
    int batches = argc > 3 ? atoi(argv[3]) : 8;
    for (int k = 0; k < batches; k++) {
        gv_batch_fill(l.batch, &l.sampler, 0x72656669, (uint64_t)k);
        for (int row = 0; row < LEFT_OUT_ROWS; row++) run_row(s, &l, row);
    }
    double truth = fastest(&s[WAYS]);
    printf("%ld frames; mm, %%, 10 m/s^3, %% of the true wrists' fastest hundredth, frames/s\n", s[0].frames);
    printf("%-24s %7s %7s %7s %7s %7s %8s %7s %7s %7s\n", "", "MPJPE", "PA", "WA", "W", "RTE", "sliding", "jitter",
           "wrists", "speed");
    for (int i = 0; i < WAYS; i++) {
        double n = (double)s[i].frames;
        printf("%-24s %7.1f %7.1f %7.1f %7.1f %7.2f %8.2f %7.2f %7.1f %7.0f\n", ways[i], s[i].mpjpe / n, s[i].pa / n,
               s[i].wa / n, s[i].w / n, s[i].root / n, s[i].sliding / (double)s[i].slides, s[i].jitter / n,
               100 * fastest(&s[i]) / truth, n / s[i].seconds);
        free(s[i].speed);
    }
    free(s[WAYS].speed);
    left_out_close(&l);
    return 0;
}
