#include "pipeline/ground.h"
#include "base/memory.h"
#include "motion/smoothing.h"

#include <math.h>
#include <stdlib.h>

static const double window_sec = 0.6, smoothing_sec = 0.15;

static double lowest_joint(const gv_motion *m, int t) {
    double low = INFINITY;
    for (int j = 0; j < GV_MOTION_JOINTS; j++)
        low = fmin(low, m->joints_world[((size_t)t * GV_MOTION_JOINTS + j) * 3 + 1]);
    return low;
}

// out [L]: the smallest (sign -1) or largest (+1) of in [L] within the window about each frame.
static void extremes(double *out, const double *in, const gv_motion *m, int sign) {
    for (int t = 0, first = 0, last = 0; t < m->frames; t++) { // frames first .. last lie in the window
        while (m->time_sec[first] < m->time_sec[t] - window_sec) first++;
        while (last + 1 < m->frames && m->time_sec[last + 1] <= m->time_sec[t] + window_sec) last++;
        out[t] = in[first];
        for (int u = first + 1; u <= last; u++) out[t] = sign < 0 ? fmin(out[t], in[u]) : fmax(out[t], in[u]);
    }
}

gv_status gv_ground_motion(gv_motion *m, gv_error *err) {
    size_t L = (size_t)m->frames;
    double *low = gv_calloc2(L, sizeof *low), *ground = gv_calloc2(L, sizeof *ground),
           *scratch = gv_calloc2(L, sizeof *scratch);
    gv_status status = GV_OK;
    if (!low || !ground || !scratch) {
        status = gv_fail(err, GV_ERR_MEMORY, "no memory for the ground under %d frames", m->frames);
        goto done;
    }
    for (int t = 0; t < m->frames; t++) low[t] = lowest_joint(m, t);
    extremes(scratch, low, m, -1);   // an opening: what rises above its surroundings for a shorter time than the
    extremes(ground, scratch, m, 1); // window is cut off, and what rises for good, a drift, is followed
    double fps = m->fps > 0 ? m->fps : 30;
    gv_gaussian_smooth(ground, m->frames, 1, 0, 1, fmax(smoothing_sec * fps, 0.25), scratch);
    for (size_t t = 0; t < L; t++) {
        m->transl[3 * t + 1] -= (float)ground[t];
        for (int j = 0; j < GV_MOTION_JOINTS; j++)
            m->joints_world[(t * GV_MOTION_JOINTS + j) * 3 + 1] -= (float)ground[t];
    }
done:
    free(low);
    free(ground);
    free(scratch);
    return status;
}
