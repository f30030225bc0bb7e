#include "formats/motion_export.h"
#include "base/file.h"
#include "base/memory.h"
#include "formats/npz.h"
#include "formats/torch_write.h"
#include "geometry/rotation.h"
#include "geometry/so3.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

// A file being written in text.
typedef struct page {
    FILE *f;
    const gv_motion *m;
    const char *path;
    double scale; // file units per metre
    bool z_up;
} page;

// World point of the motion, in the file's axes and unit.
static void place(const page *p, double out[3], const float *in) {
    double x = (double)in[0], y = (double)in[1], z = (double)in[2];
    out[0] = p->scale * x;
    out[1] = p->scale * (p->z_up ? -z : y);
    out[2] = p->scale * (p->z_up ? y : z);
}

// ---- tables of joints

static void write_joints(const page *p, int t, char separator, int digits) {
    for (int j = 0; j < J; j++) {
        double v[3];
        place(p, v, p->m->joints_world + ((size_t)t * J + (size_t)j) * 3);
        for (int k = 0; k < 3; k++) fprintf(p->f, "%c%.*f", separator, digits, v[k]);
    }
    fputc('\n', p->f);
}

static gv_status write_csv(const page *p, gv_error *err) {
    (void)err;
    fputs("frame,time_sec", p->f);
    for (int j = 0; j < J; j++)
        fprintf(p->f, ",%s_x,%s_y,%s_z", gv_joint_names[j], gv_joint_names[j], gv_joint_names[j]);
    fputc('\n', p->f);
    for (int t = 0; t < p->m->frames; t++) {
        fprintf(p->f, "%d,%.6f", p->m->frame_index[t], p->m->time_sec[t]);
        write_joints(p, t, ',', 6);
    }
    return GV_OK;
}

// Source: OpenSim documentation, "Marker (.trc) Files".
static gv_status write_trc(const page *p, gv_error *err) {
    const gv_motion *m = p->m;
    const char *slash = strrchr(p->path, '/');
    const char *unit = p->scale == 1000 ? "mm" : p->scale == 1 ? "m" : p->scale == 100 ? "cm" : NULL;
    if (!unit) return gv_fail(err, GV_ERR_ARGUMENT, "%s: the unit must be mm, cm or m", p->path);
    double rate = gv_motion_mean_rate(m, NULL);
    fprintf(p->f, "PathFileType\t4\t(X/Y/Z)\t%s\n", slash ? slash + 1 : p->path);
    fputs("DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames\n",
          p->f);
    fprintf(p->f, "%.6g\t%.6g\t%d\t%d\t%s\t%.6g\t1\t%d\nFrame#\tTime", rate, rate, m->frames, J, unit, rate, m->frames);
    for (int j = 0; j < J; j++) fprintf(p->f, "\t%s\t\t", gv_joint_names[j]);
    fputs("\n\t", p->f);
    for (int j = 1; j <= J; j++) fprintf(p->f, "\tX%d\tY%d\tZ%d", j, j, j);
    fputs("\n\n", p->f);
    for (int t = 0; t < m->frames; t++) {
        fprintf(p->f, "%d\t%.6f", t + 1, m->time_sec[t]);
        write_joints(p, t, '\t', p->scale == 1 ? 6 : 3);
    }
    return GV_OK;
}

// ---- the skeleton

void gv_motion_rotations(const gv_motion *m, int t, double local[J][9], double global[J][9]) {
    for (int j = 0; j < J; j++) {
        const float *aa = j ? m->body_pose + (size_t)t * 63 + 3 * (size_t)(j - 1) : m->global_orient + (size_t)t * 3;
        gv_rotd_from_aa(local[j], (double[]){(double)aa[0], (double)aa[1], (double)aa[2]});
        if (j)
            gv_so3_mul(global[j], global[gv_motion_parents[j]], local[j]);
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

gv_status gv_motion_bones(const gv_motion *m, double offsets[J][3], const char *name, gv_error *err) {
    double local[J][9], global[J][9], bone[3];
    memset(offsets, 0, sizeof(double[J][3]));
    for (int t = 0; t < m->frames; t++) {
        gv_motion_rotations(m, t, local, global);
        for (int j = 1; j < J; j++) {
            rest_bone(m, t, j, global[gv_motion_parents[j]], bone);
            for (int r = 0; r < 3; r++) offsets[j][r] += bone[r] / m->frames;
        }
    }
    for (int t = 0; t < m->frames; t++) {
        gv_motion_rotations(m, t, local, global);
        for (int j = 1; j < J; j++) {
            rest_bone(m, t, j, global[gv_motion_parents[j]], bone);
            double d = hypot(hypot(bone[0] - offsets[j][0], bone[1] - offsets[j][1]), bone[2] - offsets[j][2]);
            if (!(d <= loose_joint_m))
                return gv_fail(err, GV_ERR_FORMAT,
                               "%s: joints_world and the pose disagree by %.0f mm at %s in frame %d", name, 1000 * d,
                               gv_joint_names[j], t);
        }
    }
    return GV_OK;
}

// ---- bvh

static void write_joint(const page *p, const double offsets[J][3], int j, int depth) {
    FILE *f = p->f;
    const float to[3] = {(float)offsets[j][0], (float)offsets[j][1], (float)offsets[j][2]};
    double o[3];
    place(p, o, to);
    fprintf(f, "%*s%s %s\n%*s{\n", depth, "", j ? "JOINT" : "ROOT", gv_joint_names[j], depth, "");
    fprintf(f, "%*sOFFSET %.6f %.6f %.6f\n", depth + 2, "", o[0], o[1], o[2]);
    fprintf(f, "%*sCHANNELS %s\n", depth + 2, "",
            j ? "3 Zrotation Xrotation Yrotation" : "6 Xposition Yposition Zposition Zrotation Xrotation Yrotation");
    bool leaf = true;
    for (int c = j + 1; c < J; c++)
        if (gv_motion_parents[c] == j) {
            leaf = false;
            write_joint(p, offsets, c, depth + 2);
        }
    if (leaf) // drawn as half of the bone before it
        fprintf(f, "%*sEnd Site\n%*s{\n%*sOFFSET %.6f %.6f %.6f\n%*s}\n", depth + 2, "", depth + 2, "", depth + 4, "",
                o[0] / 2, o[1] / 2, o[2] / 2, depth + 2, "");
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

// C R C^T with C: y up to z up, (x, y, z) -> (x, -z, y).
static void stand_up(double R[9]) {
    static const int from[3] = {0, 2, 1};
    static const double sign[3] = {1, -1, 1};
    double T[9];
    memcpy(T, R, sizeof T);
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++) R[3 * r + c] = sign[r] * sign[c] * T[3 * from[r] + from[c]];
}

// Source: Biovision's BVH as described in Lander, "Working with Motion Capture File Formats", 1998.
static gv_status write_bvh(const page *p, gv_error *err) {
    const gv_motion *m = p->m;
    double offsets[J][3], local[J][9], global[J][9], last[J][3] = {{0}};
    int order[J];
    gv_status status = gv_motion_bones(m, offsets, p->path, err);
    if (status != GV_OK) return status;
    list_joints(0, order, 0);
    fputs("HIERARCHY\n", p->f);
    write_joint(p, offsets, 0, 0);
    fprintf(p->f, "MOTION\nFrames: %d\nFrame Time: %.8f\n", m->frames, 1 / gv_motion_mean_rate(m, NULL));
    for (int t = 0; t < m->frames; t++) {
        double root[3];
        place(p, root, m->joints_world + (size_t)t * J * 3);
        gv_motion_rotations(m, t, local, global);
        fprintf(p->f, "%.6f %.6f %.6f", root[0], root[1], root[2]);
        for (int i = 0; i < J; i++) {
            double angle[3];
            int j = order[i];
            if (p->z_up) stand_up(local[j]);
            euler_zxy(local[j], angle);
            for (int k = 0; k < 3; k++) { // the turn nearest to the frame before
                if (t) angle[k] += 360 * round((last[j][k] - angle[k]) / 360);
                last[j][k] = angle[k];
                fprintf(p->f, " %.6f", angle[k]);
            }
        }
        fputc('\n', p->f);
    }
    return GV_OK;
}

static gv_status write_text(const gv_motion *m, const gv_motion_axes *axes, double own_unit_m, const char *path,
                            gv_status (*write)(const page *, gv_error *), gv_error *err) {
    gv_outfile out;
    gv_status status = gv_outfile_begin(&out, path, err);
    if (status != GV_OK) return status;
    double unit = axes && axes->unit_m > 0 ? axes->unit_m : own_unit_m;
    page p = {fopen(out.temporary, "w"), m, path, round(1e6 / unit) / 1e6, axes && axes->z_up};
    if (!p.f) {
        status = gv_fail(err, GV_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    } else {
        status = write(&p, err);
        int failed = ferror(p.f), saved = errno;
        if (fclose(p.f) != 0) failed = 1, saved = errno;
        if (failed && status == GV_OK)
            status = gv_fail(err, GV_ERR_IO, "%s: cannot write: %s", path, strerror(saved ? saved : EIO));
    }
    if (status == GV_OK) return gv_outfile_commit(&out, err);
    gv_outfile_abandon(&out);
    return status;
}

// ---- AMASS

// The root turned from y up to z up: X R with X = (x, y, z) -> (x, -z, y); and SMPL's transl for it: the pelvis, at
// rest + transl, goes to X (rest + transl).
static void root_z_up(float orient[3], float trans[3], const gv_motion *m, int t) {
    static const double X[9] = {1, 0, 0, 0, 0, -1, 0, 1, 0};
    const float *aa = m->global_orient + 3 * (size_t)t, *pelvis = m->joints_world + (size_t)t * J * 3,
                *transl = m->transl + 3 * (size_t)t;
    double R[9], XR[9], out[3];
    gv_rotd_from_aa(R, (double[]){(double)aa[0], (double)aa[1], (double)aa[2]});
    gv_so3_mul(XR, X, R);
    gv_rotd_to_aa(out, XR);
    const double at[3] = {(double)pelvis[0], -(double)pelvis[2], (double)pelvis[1]};
    for (int i = 0; i < 3; i++) {
        orient[i] = (float)out[i];
        trans[i] = (float)(at[i] - ((double)pelvis[i] - (double)transl[i]));
    }
}

static gv_status write_amass(const gv_motion *m, const char *path, gv_error *err) {
    enum { BODY_AND_HANDS = 156 };
    size_t L = (size_t)m->frames;
    float *poses = gv_calloc2(L, BODY_AND_HANDS * sizeof *poses), *root = gv_calloc2(L, 3 * sizeof *root),
          *trans = gv_calloc2(L, 3 * sizeof *trans), *none = gv_calloc2(L, 90 * sizeof *none), betas[16] = {0};
    gv_npz_writer *w = NULL;
    gv_status status = GV_OK;
    if (!poses || !root || !trans || !none) {
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
        goto done;
    }
    for (size_t t = 0; t < L; t++) {
        root_z_up(root + 3 * t, trans + 3 * t, m, (int)t);
        memcpy(poses + BODY_AND_HANDS * t, root + 3 * t, 3 * sizeof *root);
        memcpy(poses + BODY_AND_HANDS * t + 3, m->body_pose + 63 * t, 63 * sizeof *poses);
    }
    memcpy(betas, m->betas, sizeof m->betas);
    if ((status = gv_npz_create(&w, path, err)) != GV_OK) goto done;
    double rate = gv_motion_mean_rate(m, NULL);
    gv_npz_add_f32(w, "poses", poses, 2, m->frames, BODY_AND_HANDS);
    gv_npz_add_f32(w, "trans", trans, 2, m->frames, 3);
    gv_npz_add_f32(w, "betas", betas, 1, 16);
    gv_npz_add_f32(w, "dmpls", none, 2, m->frames, 8);
    gv_npz_add_f32(w, "root_orient", root, 2, m->frames, 3);
    gv_npz_add_f32(w, "pose_body", m->body_pose, 2, m->frames, 63);
    gv_npz_add_f32(w, "pose_hand", none, 2, m->frames, 90);
    gv_npz_add_f32(w, "pose_jaw", none, 2, m->frames, 3);
    gv_npz_add_f32(w, "pose_eye", none, 2, m->frames, 6);
    gv_npz_add_f64_scalar(w, "mocap_framerate", rate);
    gv_npz_add_f64_scalar(w, "mocap_frame_rate", rate);
    gv_npz_add_string(w, "gender", "neutral");
    gv_npz_add_string(w, "surface_model_type", "smplx");
    status = gv_npz_finish(w, err);
done:
    free(poses);
    free(root);
    free(trans);
    free(none);
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

gv_status gv_motion_export(const gv_motion *m, gv_motion_format format, const gv_motion_axes *axes, const char *path,
                           gv_error *err) {
    switch (format) {
    case GV_MOTION_PT:
        return write_pt(m, path, err);
    case GV_MOTION_AGAIN:
        return gv_motion_save(m, path, err);
    case GV_MOTION_AMASS:
        return write_amass(m, path, err);
    case GV_MOTION_CSV:
        return write_text(m, axes, 1, path, write_csv, err);
    case GV_MOTION_TRC:
        return write_text(m, axes, 0.001, path, write_trc, err);
    case GV_MOTION_BVH:
        return write_text(m, axes, 0.01, path, write_bvh, err);
    }
    return gv_fail(err, GV_ERR_ARGUMENT, "%s: unknown format", path);
}
