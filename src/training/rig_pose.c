// rig_pose.c - forward kinematics of 22 joints and their points, for processor and device alike.
#include "training/rig.h"

#include <string.h>

GV_SHARED void gv_rig_shape(gv_rig_pose *p, const gv_rig *r, const gv_real betas[GV_BETAS]) {
    memcpy(p->betas, betas, sizeof p->betas);
    for (int j = 0; j < GV_RIG_JOINTS; j++)
        for (int c = 0; c < 3; c++) {
            gv_real s = r->S[j][c];
            for (int k = 0; k < GV_BETAS; k++) s += r->dirs[j][c][k] * betas[k];
            p->S[j][c] = s;
        }
}

GV_SHARED void gv_rig_fk(gv_rig_pose *p) {
    memcpy(p->R[0], p->local[0], sizeof p->R[0]);
    memcpy(p->t[0], p->S[0], sizeof p->t[0]);
    for (int j = 1; j < GV_RIG_JOINTS; j++) {
        int k = gv_parents55[j];
        gv_real o[3] = {p->S[j][0] - p->S[k][0], p->S[j][1] - p->S[k][1], p->S[j][2] - p->S[k][2]};
        gv_real_mul(p->R[j], p->R[k], p->local[j]);
        gv_real_apply(p->t[j], p->R[k], o);
        for (int c = 0; c < 3; c++) p->t[j][c] += p->t[k][c];
    }
}

GV_SHARED void gv_rig_offset(gv_real y[3], const gv_rig_part *q, const gv_rig_pose *p) { // Y - W S
    for (int c = 0; c < 3; c++) {
        gv_real v = q->Y[c] - q->W * p->S[q->bone][c];
        for (int k = 0; k < GV_BETAS; k++) v += q->dirs[c][k] * p->betas[k];
        y[c] = v;
    }
}

GV_SHARED void gv_rig_place(gv_real *out, const gv_rig_points *pts, const gv_rig_pose *p) {
    for (int i = 0; i < pts->count; i++) {
        gv_real *x = out + 3 * i;
        x[0] = x[1] = x[2] = 0;
        for (int k = pts->first[i]; k < pts->first[i + 1]; k++) {
            const gv_rig_part *q = &pts->part[k];
            gv_real y[3], z[3];
            gv_rig_offset(y, q, p);
            gv_real_apply(z, p->R[q->bone], y);
            for (int c = 0; c < 3; c++) x[c] += z[c] + q->W * p->t[q->bone][c];
        }
    }
}
