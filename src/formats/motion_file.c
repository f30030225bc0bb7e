#include "formats/motion_file.h"
#include "base/memory.h"
#include "formats/npz.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Source: SMPL-X's joint order (smplx package, joint_names), the first 22.
const char *const gv_joint_names[GV_MOTION_JOINTS] = {
    "pelvis",     "left_hip",    "right_hip",    "spine1",      "left_knee",     "right_knee",
    "spine2",     "left_ankle",  "right_ankle",  "spine3",      "left_foot",     "right_foot",
    "neck",       "left_collar", "right_collar", "head",        "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist",   "right_wrist",
};

// The float arrays of one value per frame: one table for allocating, loading, saving.
typedef struct field {
    const char *name;
    size_t offset; // of the pointer in gv_motion
    int ndim, shape[2];
    bool required;
} field;

#define FIELD(key, member, required, ...)                                                                              \
    { key, offsetof(gv_motion, member), (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), {__VA_ARGS__}, required }
static const field fields[] = {
    FIELD("body_pose", body_pose, true, 63),
    FIELD("global_orient", global_orient, true, 3),
    FIELD("transl", transl, true, 3),
    FIELD("global_orient_incam", global_orient_incam, true, 3),
    FIELD("transl_incam", transl_incam, true, 3),
    FIELD("joints_world", joints_world, true, GV_MOTION_JOINTS, 3),
    FIELD("joints_incam", joints_incam, true, GV_MOTION_JOINTS, 3),
    FIELD("static_prob", static_prob, false, GV_STATIC_JOINTS),
    FIELD("K_fullimg", K, false, 3, 3),
    FIELD("R_w2c", R_w2c, false, 3, 3),
    FIELD("bbx_xys", bbx_xys, false, 3),
    FIELD("kp2d", kp2d, false, 17, 3),
    FIELD("feet2d", feet2d, false, 4, 3),
};
enum { FIELDS = sizeof fields / sizeof *fields };

static float **slot(gv_motion *m, const field *f) {
    return (float **)(void *)((char *)m + f->offset);
}

static float *const_slot(const gv_motion *m, const field *f) {
    return *(float *const *)(const void *)((const char *)m + f->offset);
}

static size_t row_size(const field *f) {
    return (size_t)f->shape[0] * (size_t)(f->ndim > 1 ? f->shape[1] : 1);
}

gv_status gv_motion_complete(gv_motion *m, gv_error *err) {
    size_t L = (size_t)m->frames;
    bool ok = true;
    for (int i = 0; i < FIELDS; i++)
        if (!*slot(m, &fields[i]))
            ok = (*slot(m, &fields[i]) = gv_calloc2(L * row_size(&fields[i]), sizeof(float))) && ok;
    if (!m->frame_index) m->frame_index = gv_calloc2(L, sizeof *m->frame_index);
    if (!m->time_sec) m->time_sec = gv_calloc2(L, sizeof *m->time_sec);
    if (ok && m->frame_index && m->time_sec) return GV_OK;
    gv_status status = gv_fail(err, GV_ERR_MEMORY, "no memory for a motion of %d frames", m->frames);
    gv_motion_free(m);
    return status;
}

gv_status gv_motion_alloc(gv_motion *m, int frames, gv_error *err) {
    assert(frames >= 1);
    *m = (gv_motion){.frames = frames};
    return gv_motion_complete(m, err);
}

gv_status gv_motion_alloc_parameters(gv_motion *m, int frames, gv_error *err) {
    assert(frames >= 1);
    size_t L = (size_t)frames;
    *m = (gv_motion){.frames = frames,
                     .body_pose = gv_calloc2(L, 63 * sizeof(float)),
                     .global_orient = gv_calloc2(L, 3 * sizeof(float)),
                     .transl = gv_calloc2(L, 3 * sizeof(float)),
                     .global_orient_incam = gv_calloc2(L, 3 * sizeof(float)),
                     .transl_incam = gv_calloc2(L, 3 * sizeof(float)),
                     .static_prob = gv_calloc2(L, GV_STATIC_JOINTS * sizeof(float)),
                     .time_sec = gv_calloc2(L, sizeof(double))};
    if (m->body_pose && m->global_orient && m->transl && m->global_orient_incam && m->transl_incam && m->static_prob &&
        m->time_sec)
        return GV_OK;
    gv_motion_free(m);
    return gv_fail(err, GV_ERR_MEMORY, "no memory for a motion of %d frames", frames);
}

void gv_motion_free(gv_motion *m) {
    for (int i = 0; i < FIELDS; i++) free(*slot(m, &fields[i]));
    for (int i = 0; i < m->extra_count; i++) free(m->extra[i].data);
    free(m->extra);
    free(m->frame_index);
    free(m->time_sec);
    *m = (gv_motion){0};
}

float *gv_motion_extra(gv_motion *m, const char *name, int ndim, const int *shape) {
    gv_named_array a = {.ndim = ndim};
    size_t count = 1;
    assert(ndim >= 0 && ndim <= 4 && strlen(name) < sizeof a.name);
    snprintf(a.name, sizeof a.name, "%s", name);
    for (int i = 0; i < ndim; i++) {
        assert(shape[i] >= 0);
        a.shape[i] = shape[i];
        if (__builtin_mul_overflow(count, (size_t)shape[i], &count)) return NULL;
    }
    gv_named_array *grown = realloc(m->extra, (size_t)(m->extra_count + 1) * sizeof *grown);
    if (!grown) return NULL;
    m->extra = grown;
    if (!(a.data = gv_calloc2(count, sizeof(float)))) return NULL;
    m->extra[m->extra_count++] = a;
    return a.data;
}

// ---- loading

static gv_status check_finite(const char *path, const char *name, const float *x, size_t n, size_t row, gv_error *err) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" is not finite in frame %zu", path, name, i / row);
    return GV_OK;
}

static gv_status load_field(gv_motion *m, gv_npz *z, const field *f, gv_error *err) {
    if (!f->required && !gv_npz_find(z, f->name)) return GV_OK;
    int64_t shape[3] = {m->frames, f->shape[0], f->shape[1]};
    float *x = gv_npz_read_f32(z, f->name, shape, f->ndim + 1, NULL, err);
    if (!x) return err->status;
    free(*slot(m, f));
    *slot(m, f) = x;
    return check_finite(gv_npz_path(z), f->name, x, (size_t)m->frames * row_size(f), row_size(f), err);
}

static gv_status load_times(gv_motion *m, gv_npz *z, gv_error *err) {
    const char *path = gv_npz_path(z);
    m->fps = 30;
    gv_status status = gv_npz_read_number(z, "fps", 1e-3, 1e5, &m->fps, err);
    if (status != GV_OK) return status;
    for (int t = 0; t < m->frames; t++) m->frame_index[t] = t;
    if (gv_npz_find(z, "frame_index")) {
        free(m->frame_index);
        if (!(m->frame_index = gv_npz_read_i32(z, "frame_index", (int64_t[]){m->frames}, 1, NULL, err)))
            return err->status;
    }
    for (int t = 0; t < m->frames; t++) m->time_sec[t] = m->frame_index[t] / m->fps;
    if (gv_npz_find(z, "time_sec")) {
        free(m->time_sec);
        if (!(m->time_sec = gv_npz_read_f64(z, "time_sec", (int64_t[]){m->frames}, 1, NULL, err))) return err->status;
    }
    for (int t = 0; t < m->frames; t++)
        if (!isfinite(m->time_sec[t]) || (t && m->time_sec[t] <= m->time_sec[t - 1]))
            return gv_fail(err, GV_ERR_FORMAT, "%s: times do not increase at frame %d", path, t);
    return GV_OK;
}

static gv_status load_picture_size(gv_motion *m, gv_npz *z, gv_error *err) {
    double width = 0, height = 0;
    gv_status status = gv_npz_read_number(z, "width", 0, 1 << 20, &width, err);
    if (status == GV_OK) status = gv_npz_read_number(z, "height", 0, 1 << 20, &height, err);
    m->width = (int)width;
    m->height = (int)height;
    return status;
}

static gv_status check_names(gv_npz *z, gv_error *err) {
    if (!gv_npz_find(z, "joint_names")) return GV_OK;
    int64_t n = 0;
    gv_status status = GV_OK;
    char **names = gv_npz_read_strings(z, "joint_names", &n, err);
    if (!names) return err->status;
    if (n != GV_MOTION_JOINTS)
        status = gv_fail(err, GV_ERR_FORMAT, "%s: %lld joint names, expected %d", gv_npz_path(z), (long long)n,
                         GV_MOTION_JOINTS);
    for (int i = 0; i < GV_MOTION_JOINTS && status == GV_OK; i++)
        if (strcmp(names[i], gv_joint_names[i]))
            status = gv_fail(err, GV_ERR_FORMAT, "%s: joint %d is \"%.40s\", expected \"%s\"", gv_npz_path(z), i,
                             names[i], gv_joint_names[i]);
    free(names);
    return status;
}

// Raw network output and the lens are kept, so that loading and saving loses nothing of ours; other unknown keys are not.
static gv_status load_extra(gv_motion *m, gv_npz *z, gv_error *err) {
    for (int i = 0; i < gv_npz_count(z); i++) {
        const gv_array *a = gv_npz_at(z, i);
        if ((strncmp(a->name, "net/", 4) && strcmp(a->name, "lens")) || !gv_dtype_size(a->dtype)) continue;
        if (a->ndim > 4 || strlen(a->name) >= sizeof m->extra->name || a->count > INT32_MAX)
            return gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" has too long a name or too many axes", gv_npz_path(z),
                           a->name);
        int shape[4] = {0};
        for (int d = 0; d < a->ndim; d++) {
            if (a->shape[d] > INT32_MAX)
                return gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" is too large", gv_npz_path(z), a->name);
            shape[d] = (int)a->shape[d];
        }
        float *x = gv_npz_read_f32(z, a->name, NULL, -1, NULL, err);
        if (!x) return err->status;
        float *place = gv_motion_extra(m, a->name, a->ndim, shape);
        if (place) memcpy(place, x, (size_t)a->count * sizeof *x);
        free(x);
        if (!place) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", gv_npz_path(z));
    }
    return GV_OK;
}

static gv_status load_betas(gv_motion *m, gv_npz *z, gv_error *err) {
    float *betas = gv_npz_read_f32(z, "betas", (int64_t[]){10}, 1, NULL, err);
    if (!betas) return err->status;
    memcpy(m->betas, betas, sizeof m->betas);
    free(betas);
    return check_finite(gv_npz_path(z), "betas", m->betas, 10, 10, err);
}

gv_status gv_motion_load(gv_motion *m, const char *path, gv_error *err) {
    *m = (gv_motion){0};
    gv_error local = {0};
    if (!err) err = &local;
    gv_npz *z = NULL;
    gv_status status = gv_npz_open(&z, path, err);
    if (status != GV_OK) return status;
    const gv_array *pose = gv_npz_find(z, "body_pose");
    if (!pose) {
        status = gv_fail(err, GV_ERR_MISSING, "%s: not a motion file: has no \"body_pose\"", path);
    } else if (pose->ndim != 2 || pose->shape[1] != 63 || pose->shape[0] < 1 || pose->shape[0] > INT32_MAX / 1024) {
        status = gv_fail(err, GV_ERR_FORMAT, "%s: \"body_pose\" has %d axes and %lld rows, expected (frames, 63)", path,
                         pose->ndim, (long long)(pose->ndim ? pose->shape[0] : 0));
    } else {
        status = gv_motion_alloc(m, (int)pose->shape[0], err);
    }
    for (int i = 0; i < FIELDS && status == GV_OK; i++) status = load_field(m, z, &fields[i], err);
    if (status == GV_OK) status = load_betas(m, z, err);
    if (status == GV_OK) status = load_times(m, z, err);
    if (status == GV_OK) status = load_picture_size(m, z, err);
    if (status == GV_OK) status = check_names(z, err);
    if (status == GV_OK) status = load_extra(m, z, err);
    for (int t = 0; status == GV_OK && !gv_npz_find(z, "R_w2c") && t < m->frames; t++)
        for (int i = 0; i < 3; i++) m->R_w2c[9 * t + 4 * i] = 1;
    gv_npz_close(z);
    if (status != GV_OK) gv_motion_free(m);
    return status;
}

// ---- all arrays

bool gv_motion_array_at(const gv_motion *m, int i, gv_motion_array *out) {
    if (i < 0 || i >= FIELDS + 3 + m->extra_count) return false;
    if (i < FIELDS) {
        const field *f = &fields[i];
        *out = (gv_motion_array){f->name, GV_F32, const_slot(m, f), f->ndim + 1, {m->frames, f->shape[0], f->shape[1]}};
    } else if (i == FIELDS) {
        *out = (gv_motion_array){"betas", GV_F32, m->betas, 1, {10}};
    } else if (i == FIELDS + 1) {
        *out = (gv_motion_array){"frame_index", GV_I32, m->frame_index, 1, {m->frames}};
    } else if (i == FIELDS + 2) {
        *out = (gv_motion_array){"time_sec", GV_F64, m->time_sec, 1, {m->frames}};
    } else {
        const gv_named_array *a = &m->extra[i - FIELDS - 3];
        *out =
            (gv_motion_array){a->name, GV_F32, a->data, a->ndim, {a->shape[0], a->shape[1], a->shape[2], a->shape[3]}};
    }
    return true;
}

// ---- saving

gv_status gv_motion_save(const gv_motion *m, const char *path, gv_error *err) {
    gv_npz_writer *w = NULL;
    gv_status status = gv_npz_create(&w, path, err);
    if (status != GV_OK) return status;
    gv_npz_borrow(w, true);
    gv_motion_array a;
    for (int i = 0; gv_motion_array_at(m, i, &a); i++) gv_npz_add(w, a.name, a.dtype, a.data, a.shape, a.ndim);
    gv_npz_add_strings(w, "joint_names", gv_joint_names, GV_MOTION_JOINTS);
    gv_npz_add_f64_scalar(w, "fps", m->fps);
    if (m->width > 0 && m->height > 0) {
        gv_npz_add_i32_scalar(w, "width", m->width);
        gv_npz_add_i32_scalar(w, "height", m->height);
    }
    return gv_npz_finish(w, err);
}
