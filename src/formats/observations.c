#include "formats/observations.h"
#include "base/memory.h"
#include "formats/npz.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FEATURE = 1024, MAX_FRAMES = INT32_MAX / 2048 };
static const double rotation_tolerance = 1e-3;

gv_status gv_observations_alloc(gv_observations *o, int frames, gv_error *err) {
    assert(frames >= 1);
    size_t n = (size_t)frames;
    *o = (gv_observations){.frames = frames, .length = frames, .fps = 30};
    o->bbx_xys = gv_calloc2(n, 3 * sizeof(float));
    o->kp2d = gv_calloc2(n, 17 * 3 * sizeof(float));
    o->K = gv_calloc2(n, 9 * sizeof(float));
    o->R_w2c = gv_calloc2(n, 9 * sizeof(float));
    o->frame_index = gv_calloc2(n, sizeof *o->frame_index);
    o->time_sec = gv_calloc2(n, sizeof *o->time_sec);
    if (!o->bbx_xys || !o->kp2d || !o->K || !o->R_w2c || !o->frame_index || !o->time_sec) {
        gv_observations_free(o);
        return gv_fail(err, GV_ERR_MEMORY, "no memory for observations of %d frames", frames);
    }
    for (size_t t = 0; t < n; t++) {
        for (size_t i = 0; i < 3; i++) o->K[9 * t + 4 * i] = o->R_w2c[9 * t + 4 * i] = 1;
        o->frame_index[t] = (int32_t)t;
        o->time_sec[t] = (double)t / o->fps;
    }
    return GV_OK;
}

void gv_observations_free(gv_observations *o) {
    free(o->bbx_xys);
    free(o->kp2d);
    free(o->K);
    free(o->R_w2c);
    free(o->cam_angvel);
    free(o->f_imgseq);
    free(o->kp3d);
    free(o->feet2d);
    free(o->frame_index);
    free(o->time_sec);
    *o = (gv_observations){0};
}

// ---- checks

static gv_status check_finite(const char *path, const char *name, const float *x, int frames, int row, gv_error *err) {
    for (int t = 0; t < frames; t++)
        for (int i = 0; i < row; i++)
            if (!isfinite(x[(size_t)t * (size_t)row + (size_t)i]))
                return gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" is not finite in frame %d", path, name, t);
    return GV_OK;
}

// rows [n, 3]: unit and orthogonal; three rows also right-handed
static bool orthonormal(const float *r, int n) {
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) {
            double dot = 0;
            for (int k = 0; k < 3; k++) dot += (double)r[3 * i + k] * (double)r[3 * j + k];
            if (!(fabs(dot - (i == j)) <= rotation_tolerance)) return false;
        }
    if (n < 3) return true;
    double det = (double)r[0] * (r[4] * r[8] - r[5] * r[7]) - (double)r[1] * (r[3] * r[8] - r[5] * r[6]) +
                 (double)r[2] * (r[3] * r[7] - r[4] * r[6]);
    return det > 0;
}

static gv_status check_rotations(const char *path, const char *name, const float *x, int frames, int rows,
                                 gv_error *err) {
    for (int t = 0; t < frames; t++)
        if (!orthonormal(x + (size_t)t * (size_t)rows * 3, rows))
            return gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" is no rotation in frame %d", path, name, t);
    return GV_OK;
}

static gv_status check_values(const gv_observations *o, const char *path, gv_error *err) {
    int n = o->frames;
    gv_status s = check_finite(path, "bbx_xys", o->bbx_xys, n, 3, err);
    if (s == GV_OK) s = check_finite(path, "kp2d", o->kp2d, n, 51, err);
    if (s == GV_OK) s = check_finite(path, "K_fullimg", o->K, n, 9, err);
    if (s == GV_OK && o->f_imgseq) s = check_finite(path, "f_imgseq", o->f_imgseq, n, FEATURE, err);
    if (s == GV_OK && o->kp3d) s = check_finite(path, "kp3d", o->kp3d, n, 51, err);
    if (s == GV_OK && o->feet2d) s = check_finite(path, "feet2d", o->feet2d, n, 12, err);
    if (s == GV_OK && o->R_w2c) s = check_rotations(path, "R_w2c", o->R_w2c, o->length, 3, err);
    if (s == GV_OK && o->cam_angvel) s = check_rotations(path, "cam_angvel", o->cam_angvel, o->length, 2, err);
    for (int t = 0; t < o->length && s == GV_OK; t++) {
        const float *K = o->K + 9 * (size_t)t;
        if (K[0] <= 0 || K[4] <= 0)
            s = gv_fail(err, GV_ERR_FORMAT,
                        "%s: \"K_fullimg\" has focal lengths %g and %g in frame %d, expected more than 0", path,
                        (double)K[0], (double)K[4], t);
        else if (o->bbx_xys[3 * (size_t)t + 2] <= 0)
            s = gv_fail(err, GV_ERR_FORMAT, "%s: \"bbx_xys\" has a side of %g px in frame %d, expected more than 0",
                        path, (double)o->bbx_xys[3 * (size_t)t + 2], t);
    }
    for (int t = 0; t < n && s == GV_OK; t++)
        if (!isfinite(o->time_sec[t]) || (t && o->time_sec[t] <= o->time_sec[t - 1]) ||
            (t && o->frame_index[t] <= o->frame_index[t - 1]))
            s = gv_fail(err, GV_ERR_FORMAT, "%s: frame numbers or times do not increase at frame %d", path, t);
    return s;
}

// ---- loading

// Replaces *slot by the member, when it is there or required.
static gv_status load_f32(gv_npz *z, const char *name, bool required, const int64_t *shape, int ndim, float **slot,
                          gv_error *err) {
    if (!required && !gv_npz_find(z, name)) return GV_OK;
    float *x = gv_npz_read_f32(z, name, shape, ndim, NULL, err);
    if (!x) return err->status;
    free(*slot);
    *slot = x;
    return GV_OK;
}

static gv_status load_intrinsics(gv_observations *o, gv_npz *z, gv_error *err) {
    const gv_array *a = gv_npz_find(z, "K_fullimg");
    if (!a || a->ndim != 2) return load_f32(z, "K_fullimg", true, (int64_t[]){o->frames, 3, 3}, 3, &o->K, err);
    float *K = gv_npz_read_f32(z, "K_fullimg", (int64_t[]){3, 3}, 2, NULL, err);
    if (!K) return err->status;
    for (int t = 0; t < o->frames; t++) memcpy(o->K + 9 * (size_t)t, K, 9 * sizeof *K);
    free(K);
    return GV_OK;
}

static gv_status load_times(gv_observations *o, gv_npz *z, gv_error *err) {
    double width = 0, height = 0, length = o->frames;
    gv_status s = gv_npz_read_number(z, "fps", 1e-3, 1e5, &o->fps, err);
    if (s == GV_OK) s = gv_npz_read_number(z, "width", 0, 1 << 20, &width, err);
    if (s == GV_OK) s = gv_npz_read_number(z, "height", 0, 1 << 20, &height, err);
    if (s == GV_OK) s = gv_npz_read_number(z, "length", 1, o->frames, &length, err);
    o->width = (int)width;
    o->height = (int)height;
    o->length = (int)length;
    if (s == GV_OK && gv_npz_find(z, "frame_index")) {
        free(o->frame_index);
        o->frame_index = gv_npz_read_i32(z, "frame_index", (int64_t[]){o->frames}, 1, NULL, err);
        if (!o->frame_index) return err->status;
    }
    for (int t = 0; s == GV_OK && t < o->frames; t++) o->time_sec[t] = o->frame_index[t] / o->fps;
    if (s == GV_OK && gv_npz_find(z, "time_sec")) {
        free(o->time_sec);
        o->time_sec = gv_npz_read_f64(z, "time_sec", (int64_t[]){o->frames}, 1, NULL, err);
        if (!o->time_sec) return err->status;
    }
    return s;
}

static gv_status load_camera(gv_observations *o, gv_npz *z, gv_error *err) {
    bool rotation = gv_npz_find(z, "R_w2c") != NULL, velocity = gv_npz_find(z, "cam_angvel") != NULL;
    if (!rotation && !velocity)
        return gv_fail(
            err, GV_ERR_MISSING,
            "%s: has neither \"R_w2c\" nor \"cam_angvel\"; for a camera that stands still give R_w2c = identity",
            gv_npz_path(z));
    if (!rotation) {
        free(o->R_w2c);
        o->R_w2c = NULL;
    }
    gv_status s = load_f32(z, "R_w2c", false, (int64_t[]){o->frames, 3, 3}, 3, &o->R_w2c, err);
    return s == GV_OK ? load_f32(z, "cam_angvel", false, (int64_t[]){o->frames, 6}, 2, &o->cam_angvel, err) : s;
}

gv_status gv_observations_load(gv_observations *o, const char *path, gv_error *err) {
    *o = (gv_observations){0};
    gv_error local = {0};
    if (!err) err = &local;
    gv_npz *z = NULL;
    gv_status s = gv_npz_open(&z, path, err);
    if (s != GV_OK) return s;
    const gv_array *box = gv_npz_find(z, "bbx_xys");
    if (!box)
        s = gv_fail(err, GV_ERR_MISSING, "%s: not an observation file: has no \"bbx_xys\"", path);
    else if (box->ndim != 2 || box->shape[1] != 3)
        s = gv_fail(err, GV_ERR_FORMAT, "%s: \"bbx_xys\" has %d axes, expected (frames, 3)", path, box->ndim);
    else if (box->shape[0] < 1 || box->shape[0] > MAX_FRAMES)
        s = gv_fail(err, GV_ERR_EMPTY, "%s: %lld frames, expected 1 to %d", path, (long long)box->shape[0], MAX_FRAMES);
    else
        s = gv_observations_alloc(o, (int)box->shape[0], err);
    int64_t n = o->frames;
    if (s == GV_OK) s = load_f32(z, "bbx_xys", true, (int64_t[]){n, 3}, 2, &o->bbx_xys, err);
    if (s == GV_OK) s = load_f32(z, "kp2d", true, (int64_t[]){n, 17, 3}, 3, &o->kp2d, err);
    if (s == GV_OK) s = load_intrinsics(o, z, err);
    if (s == GV_OK) s = load_camera(o, z, err);
    if (s == GV_OK) s = load_f32(z, "f_imgseq", false, (int64_t[]){n, FEATURE}, 2, &o->f_imgseq, err);
    if (s == GV_OK) s = load_f32(z, "kp3d", false, (int64_t[]){n, 17, 3}, 3, &o->kp3d, err);
    if (s == GV_OK) s = load_f32(z, "feet2d", false, (int64_t[]){n, 4, 3}, 3, &o->feet2d, err);
    if (s == GV_OK) s = load_times(o, z, err);
    if (s == GV_OK) s = check_values(o, path, err);
    gv_npz_close(z);
    if (s != GV_OK) gv_observations_free(o);
    return s;
}

gv_status gv_observations_save(const gv_observations *o, const char *path, gv_error *err) {
    gv_npz_writer *w = NULL;
    gv_status s = gv_npz_create(&w, path, err);
    if (s != GV_OK) return s;
    gv_npz_borrow(w, true);
    int n = o->frames;
    gv_npz_add_f32(w, "bbx_xys", o->bbx_xys, 2, n, 3);
    gv_npz_add_f32(w, "kp2d", o->kp2d, 3, n, 17, 3);
    gv_npz_add_f32(w, "K_fullimg", o->K, 3, n, 3, 3);
    if (o->R_w2c) gv_npz_add_f32(w, "R_w2c", o->R_w2c, 3, n, 3, 3);
    if (o->cam_angvel) gv_npz_add_f32(w, "cam_angvel", o->cam_angvel, 2, n, 6);
    if (o->f_imgseq) gv_npz_add_f32(w, "f_imgseq", o->f_imgseq, 2, n, FEATURE);
    if (o->kp3d) gv_npz_add_f32(w, "kp3d", o->kp3d, 3, n, 17, 3);
    if (o->feet2d) gv_npz_add_f32(w, "feet2d", o->feet2d, 3, n, 4, 3);
    gv_npz_add_f64_scalar(w, "fps", o->fps);
    gv_npz_add_i32(w, "frame_index", o->frame_index, 1, n);
    gv_npz_add(w, "time_sec", GV_F64, o->time_sec, (int64_t[]){n}, 1);
    if (o->width > 0 && o->height > 0) {
        gv_npz_add_i32_scalar(w, "width", o->width);
        gv_npz_add_i32_scalar(w, "height", o->height);
    }
    if (o->length > 0 && o->length < n) gv_npz_add_i32_scalar(w, "length", o->length);
    return gv_npz_finish(w, err);
}
