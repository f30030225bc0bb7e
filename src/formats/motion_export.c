#include "formats/motion_export.h"
#include "base/file.h"
#include "base/memory.h"
#include "formats/torch_write.h"
#include "geometry/rotation.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { J = GV_MOTION_JOINTS };
static const double loose_joint_m = 0.02; // joints further than this from the skeleton are no skeleton

const int gv_motion_parents[GV_MOTION_JOINTS] = {-1, 0, 0, 0, 1,  2,  3,  4,  5,  6,  7,
                                                 8,  9, 9, 9, 12, 13, 14, 16, 17, 18, 19};

double gv_motion_mean_rate(const gv_motion *m, bool *even) {
    double mean = m->fps > 0 ? 1 / m->fps : 1.0 / 30;
    if (m->frames > 1) mean = (m->time_sec[m->frames - 1] - m->time_sec[0]) / (m->frames - 1);
    if (even) *even = true;
    for (int t = 1; even && t < m->frames; t++)
        if (fabs(m->time_sec[t] - m->time_sec[t - 1] - mean) > 0.02 * mean) *even = false;
    return 1 / mean;
}

// ---- tables of joints

static gv_status write_csv(FILE *f, const gv_motion *m, const char *path, gv_error *err) {
    (void)path, (void)err;
    fputs("frame,time_sec", f);
    for (int j = 0; j < J; j++) fprintf(f, ",%s_x,%s_y,%s_z", gv_joint_names[j], gv_joint_names[j], gv_joint_names[j]);
    fputc('\n', f);
    for (int t = 0; t < m->frames; t++) {
        fprintf(f, "%d,%.6f", m->frame_index[t], m->time_sec[t]);
        for (int i = 0; i < J * 3; i++) fprintf(f, ",%.6f", (double)m->joints_world[(size_t)t * J * 3 + (size_t)i]);
        fputc('\n', f);
    }
    return GV_OK;
}

// Source: OpenSim documentation, "Marker (.trc) Files".
static gv_status write_trc(FILE *f, const gv_motion *m, const char *path, gv_error *err) {
    (void)err;
    const char *slash = strrchr(path, '/');
    double rate = gv_motion_mean_rate(m, NULL);
    fprintf(f, "PathFileType\t4\t(X/Y/Z)\t%s\n", slash ? slash + 1 : path);
    fputs("DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames\n", f);
    fprintf(f, "%.6g\t%.6g\t%d\t%d\tmm\t%.6g\t1\t%d\nFrame#\tTime", rate, rate, m->frames, J, rate, m->frames);
    for (int j = 0; j < J; j++) fprintf(f, "\t%s\t\t", gv_joint_names[j]);
    fputs("\n\t", f);
    for (int j = 1; j <= J; j++) fprintf(f, "\tX%d\tY%d\tZ%d", j, j, j);
    fputs("\n\n", f);
    for (int t = 0; t < m->frames; t++) {
        fprintf(f, "%d\t%.6f", t + 1, m->time_sec[t]);
        for (int i = 0; i < J * 3; i++)
            fprintf(f, "\t%.3f", 1000 * (double)m->joints_world[(size_t)t * J * 3 + (size_t)i]);
        fputc('\n', f);
    }
    return GV_OK;
}

// ---- bvh

// Local rotations of one frame, and their products down the tree.
static void rotations(const gv_motion *m, int t, double local[J][9], double global[J][9]) {
    for (int j = 0; j < J; j++) {
        const float *aa = j ? m->body_pose + (size_t)t * 63 + 3 * (size_t)(j - 1) : m->global_orient + (size_t)t * 3;
        gv_rotd_from_aa(local[j], (double[]){(double)aa[0], (double)aa[1], (double)aa[2]});
        if (j)
            gv_mat3d_mul(global[j], global[gv_motion_parents[j]], local[j]);
        else
            memcpy(global[0], local[0], sizeof local[0]);
    }
}

// The bone that ends at joint j, turned back into the rest pose.
static void rest_bone(const gv_motion *m, int t, int j, const double parent[9], double out[3]) {
    const float *joint = m->joints_world + ((size_t)t * J + (size_t)j) * 3;
    const float *base = m->joints_world + ((size_t)t * J + (size_t)gv_motion_parents[j]) * 3;
    for (int r = 0; r < 3; r++) {
        out[r] = 0;
        for (int k = 0; k < 3; k++) out[r] += parent[3 * k + r] * ((double)joint[k] - (double)base[k]);
    }
}

// offsets [22, 3] m: mean over the frames; fails where the joints do not follow the pose.
static gv_status rest_offsets(const gv_motion *m, double offsets[J][3], const char *path, gv_error *err) {
    double local[J][9], global[J][9], bone[3];
    memset(offsets, 0, sizeof(double[J][3]));
    for (int t = 0; t < m->frames; t++) {
        rotations(m, t, local, global);
        for (int j = 1; j < J; j++) {
            rest_bone(m, t, j, global[gv_motion_parents[j]], bone);
            for (int r = 0; r < 3; r++) offsets[j][r] += bone[r] / m->frames;
        }
    }
    for (int t = 0; t < m->frames; t++) {
        rotations(m, t, local, global);
        for (int j = 1; j < J; j++) {
            rest_bone(m, t, j, global[gv_motion_parents[j]], bone);
            double d = hypot(hypot(bone[0] - offsets[j][0], bone[1] - offsets[j][1]), bone[2] - offsets[j][2]);
            if (!(d <= loose_joint_m))
                return gv_fail(err, GV_ERR_FORMAT,
                               "%s: joints_world and the pose disagree by %.0f mm at %s in frame %d", path, 1000 * d,
                               gv_joint_names[j], t);
        }
    }
    return GV_OK;
}

static void write_joint(FILE *f, const double offsets[J][3], int j, int depth) {
    fprintf(f, "%*s%s %s\n%*s{\n", depth, "", j ? "JOINT" : "ROOT", gv_joint_names[j], depth, "");
    fprintf(f, "%*sOFFSET %.6f %.6f %.6f\n", depth + 2, "", 100 * offsets[j][0], 100 * offsets[j][1],
            100 * offsets[j][2]);
    fprintf(f, "%*sCHANNELS %s\n", depth + 2, "",
            j ? "3 Zrotation Xrotation Yrotation" : "6 Xposition Yposition Zposition Zrotation Xrotation Yrotation");
    bool leaf = true;
    for (int c = j + 1; c < J; c++)
        if (gv_motion_parents[c] == j) {
            leaf = false;
            write_joint(f, offsets, c, depth + 2);
        }
    if (leaf) // drawn as half of the bone before it
        fprintf(f, "%*sEnd Site\n%*s{\n%*sOFFSET %.6f %.6f %.6f\n%*s}\n", depth + 2, "", depth + 2, "", depth + 4, "",
                50 * offsets[j][0], 50 * offsets[j][1], 50 * offsets[j][2], depth + 2, "");
    fprintf(f, "%*s}\n", depth, "");
}

// Joints in the order in which a file lists them: each followed by its children.
static int list_joints(int j, int *order, int n) {
    order[n++] = j;
    for (int c = j + 1; c < J; c++)
        if (gv_motion_parents[c] == j) n = list_joints(c, order, n);
    return n;
}

// R = Rz(a) Rx(b) Ry(c), degrees: R21 = sin b, R20 = -cos b sin c, R22 = cos b cos c, R01 = -sin a cos b,
// R11 = cos a cos b. At b = +-90 only a sum or difference of a and c is determined: c = 0.
static void euler_zxy(const double R[9], double out[3]) {
    double cos_b = hypot(R[6], R[8]), degrees = 180 / M_PI;
    out[1] = atan2(R[7], cos_b) * degrees;
    if (cos_b > 1e-7) {
        out[0] = atan2(-R[1], R[4]) * degrees;
        out[2] = atan2(-R[6], R[8]) * degrees;
    } else {
        out[0] = atan2(R[3], R[0]) * degrees;
        out[2] = 0;
    }
}

// Source: Biovision's BVH as described in Lander, "Working with Motion Capture File Formats", 1998.
static gv_status write_bvh(FILE *f, const gv_motion *m, const char *path, gv_error *err) {
    double offsets[J][3], local[J][9], global[J][9], last[J][3] = {{0}};
    int order[J];
    gv_status status = rest_offsets(m, offsets, path, err);
    if (status != GV_OK) return status;
    list_joints(0, order, 0);
    fputs("HIERARCHY\n", f);
    write_joint(f, offsets, 0, 0);
    fprintf(f, "MOTION\nFrames: %d\nFrame Time: %.8f\n", m->frames, 1 / gv_motion_mean_rate(m, NULL));
    for (int t = 0; t < m->frames; t++) {
        const float *root = m->joints_world + (size_t)t * J * 3;
        rotations(m, t, local, global);
        fprintf(f, "%.5f %.5f %.5f", 100 * (double)root[0], 100 * (double)root[1], 100 * (double)root[2]);
        for (int i = 0; i < J; i++) {
            double angle[3];
            int j = order[i];
            euler_zxy(local[j], angle);
            for (int k = 0; k < 3; k++) { // the turn nearest to the frame before
                if (t) angle[k] += 360 * round((last[j][k] - angle[k]) / 360);
                last[j][k] = angle[k];
                fprintf(f, " %.6f", angle[k]);
            }
        }
        fputc('\n', f);
    }
    return GV_OK;
}

static gv_status write_text(const gv_motion *m, const char *path,
                            gv_status (*write)(FILE *, const gv_motion *, const char *, gv_error *), gv_error *err) {
    gv_outfile out;
    gv_status status = gv_outfile_begin(&out, path, err);
    if (status != GV_OK) return status;
    FILE *f = fopen(out.temporary, "w");
    if (!f) {
        status = gv_fail(err, GV_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    } else {
        status = write(f, m, path, err);
        int failed = ferror(f), saved = errno;
        if (fclose(f) != 0) failed = 1, saved = errno;
        if (failed && status == GV_OK)
            status = gv_fail(err, GV_ERR_IO, "%s: cannot write: %s", path, strerror(saved ? saved : EIO));
    }
    if (status == GV_OK) return gv_outfile_commit(&out, err);
    gv_outfile_abandon(&out);
    return status;
}

// ---- the reference's result file

static gv_status write_pt(const gv_motion *m, const char *path, gv_error *err) {
    int64_t L = m->frames;
    float *betas = gv_calloc2((size_t)m->frames, sizeof m->betas);
    gv_torch_item *items = gv_calloc2((size_t)m->extra_count + 10, sizeof *items);
    gv_status status = GV_OK;
    int n = 0;
    if (!betas || !items) {
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    } else {
        for (int t = 0; t < m->frames; t++) memcpy(betas + 10 * (size_t)t, m->betas, sizeof m->betas);
        const gv_torch_item fixed[] = {
            {"smpl_params_global", "body_pose", m->body_pose, 2, {L, 63}},
            {"smpl_params_global", "betas", betas, 2, {L, 10}},
            {"smpl_params_global", "global_orient", m->global_orient, 2, {L, 3}},
            {"smpl_params_global", "transl", m->transl, 2, {L, 3}},
            {"smpl_params_incam", "body_pose", m->body_pose, 2, {L, 63}},
            {"smpl_params_incam", "betas", betas, 2, {L, 10}},
            {"smpl_params_incam", "global_orient", m->global_orient_incam, 2, {L, 3}},
            {"smpl_params_incam", "transl", m->transl_incam, 2, {L, 3}},
            {NULL, "K_fullimg", m->K, 3, {L, 3, 3}},
        };
        for (; n < 9; n++) items[n] = fixed[n];
        for (int i = 0; i < m->extra_count; i++) {
            const gv_named_array *a = &m->extra[i];
            if (strncmp(a->name, "net/", 4)) continue;
            items[n++] = (gv_torch_item){
                "net_outputs", a->name + 4, a->data, a->ndim, {a->shape[0], a->shape[1], a->shape[2], a->shape[3]}};
        }
        if (n == 9) items[n++] = (gv_torch_item){.group = "net_outputs"};
        status = gv_torch_write(path, items, n, err);
    }
    free(betas);
    free(items);
    return status;
}

gv_status gv_motion_export(const gv_motion *m, const char *path, gv_error *err) {
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    if (!dot || (slash && dot < slash)) dot = "";
    if (!strcasecmp(dot, ".pt")) return write_pt(m, path, err);
    if (!strcasecmp(dot, ".npz")) return gv_motion_save(m, path, err);
    if (!strcasecmp(dot, ".csv")) return write_text(m, path, write_csv, err);
    if (!strcasecmp(dot, ".trc")) return write_text(m, path, write_trc, err);
    if (!strcasecmp(dot, ".bvh")) return write_text(m, path, write_bvh, err);
    return gv_fail(err, GV_ERR_ARGUMENT, "%s: the ending \"%s\" is not one of .pt .npz .csv .trc .bvh", path, dot);
}
