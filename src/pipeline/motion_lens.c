#include "pipeline/motion_lens.h"

#include <math.h>
#include <string.h>

enum { COLUMNS = 1 + GV_LENS_COEFFICIENTS };
static const char name[] = "lens";

gv_status gv_motion_lens_keep(gv_motion *m, const gv_optics *o, gv_error *err) {
    const int rows = o->count > 1 ? m->frames : 1;
    bool bent = false;
    for (int t = 0; t < rows; t++) bent |= gv_optics_at(o, m->frame_index[t])->model != GV_LENS_PINHOLE;
    if (!bent) return GV_OK;
    float *to = gv_motion_extra(m, name, 2, (int[]){rows, COLUMNS});
    if (!to) return gv_fail(err, GV_ERR_MEMORY, "no memory for the lens of %d frames", rows);
    for (int t = 0; t < rows; t++, to += COLUMNS) {
        const gv_lens *l = gv_optics_at(o, m->frame_index[t]);
        to[0] = (float)l->model;
        for (int i = 0; i < GV_LENS_COEFFICIENTS; i++) to[1 + i] = (float)l->k[i];
    }
    return GV_OK;
}

bool gv_motion_lens(gv_lens *out, const gv_motion *m, int t) {
    const gv_named_array *a = NULL;
    for (int i = 0; i < m->extra_count && !a; i++)
        if (!strcmp(m->extra[i].name, name)) a = &m->extra[i];
    if (!a || a->ndim != 2 || a->shape[1] != COLUMNS || (a->shape[0] != 1 && a->shape[0] != m->frames)) return false;
    const float *v = a->data + (a->shape[0] > 1 ? (size_t)t * COLUMNS : 0), *K = m->K + 9 * (size_t)t;
    if (v[0] != GV_LENS_BROWN && v[0] != GV_LENS_FISHEYE) return false;
    *out = (gv_lens){.model = (gv_lens_model)v[0], .fx = K[0], .fy = K[4], .cx = K[2], .cy = K[5]};
    for (int i = 0; i < GV_LENS_COEFFICIENTS; i++) {
        if (!isfinite(v[1 + i])) return false;
        out->k[i] = (double)v[1 + i];
    }
    return K[0] > 0 && K[4] > 0;
}
