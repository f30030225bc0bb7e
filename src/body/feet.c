#include "body/feet.h"

#include <math.h>
#include <string.h>

static const float heel_depth = 0.015f, heel_height = 0.05f,
                   toe_depth = 0.02f; // m, of what counts as the end of a foot

// Whether vertex v is moved by the ankle or the foot of one side more than by anything else.
static bool of_foot(const gv_body *b, int v, int side) {
    const int j = b->bone_index[4 * (size_t)v];
    return j == 7 + side || j == 10 + side;
}

static bool at_end(const gv_body *b, int v, bool toes, const float lo[3], const float hi[3]) {
    const float *p = b->v_template + 3 * (size_t)v;
    return toes ? p[2] > hi[2] - toe_depth : p[2] < lo[2] + heel_depth && p[1] < lo[1] + heel_height;
}

bool gv_body_feet_rows(float *rows, const gv_body *b) {
    memset(rows, 0, (size_t)GV_BODY_FEET * (size_t)b->vertices * sizeof *rows);
    for (int k = 0; k < GV_BODY_FEET; k++) {
        const int side = k / 2;
        float lo[3] = {INFINITY, INFINITY, INFINITY}, hi[3] = {-INFINITY, -INFINITY, -INFINITY}, *row = rows;
        row += (size_t)k * (size_t)b->vertices;
        const float ankle = b->J_template[3 * (7 + side) + 1];
        int n = 0;
        for (int v = 0; v < b->vertices; v++) {
            const float *p = b->v_template + 3 * (size_t)v;
            if (!of_foot(b, v, side) || p[1] > ankle) continue;
            for (int i = 0; i < 3; i++) lo[i] = fminf(lo[i], p[i]), hi[i] = fmaxf(hi[i], p[i]);
        }
        for (int v = 0; v < b->vertices; v++) n += of_foot(b, v, side) && at_end(b, v, k & 1, lo, hi);
        if (!n) return false;
        for (int v = 0; v < b->vertices; v++)
            if (of_foot(b, v, side) && at_end(b, v, k & 1, lo, hi)) row[v] = 1 / (float)n;
    }
    return true;
}
