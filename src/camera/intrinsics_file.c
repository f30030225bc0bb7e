#include "camera/intrinsics_file.h"

#include "base/file.h"
#include "base/memory.h"
#include "formats/npz.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FRAMES = 10000000 };

typedef struct table {      // numbers as the file has them
    double *K, *distortion; // [frames, 9], [distortion_rows, coefficients]
    int64_t frames, distortion_rows;
    int coefficients;
    char model[16];
    double width, height; // 0 unknown
} table;

static const char *const K_KEYS[] = {"K", "K_fullimg", "camera_matrix", "intrinsics"};
static const char *const DISTORTION_KEYS[] = {"distortion", "dist", "dist_coeffs", "distortion_coefficients"};
enum { KEYS = 4 };

static void table_free(table *t) {
    free(t->K);
    free(t->distortion);
}

// --- JSON ----------------------------------------------------------------------------------------------

// All numbers of nested arrays in order; -1 where something else is among them or there are more than `most`.
static int64_t flatten(const json_t *a, double *out, int64_t n, int64_t most, int depth) {
    if (json_is_number(a)) {
        if (n >= most) return -1;
        if (out) out[n] = json_number_value(a);
        return n + 1;
    }
    if (!json_is_array(a) || depth > 3) return -1;
    size_t i;
    json_t *v;
    json_array_foreach(a, i, v) {
        if (json_is_array(v) != json_is_array(json_array_get(a, 0))) return -1;
        n = flatten(v, out, n, most, depth + 1);
        if (n < 0) return -1;
    }
    return n;
}

static double *numbers(const json_t *a, int64_t *n) {
    *n = flatten(a, NULL, 0, (int64_t)MOST_FRAMES * 9, 0);
    double *v = *n > 0 ? gv_calloc2((size_t)*n, sizeof *v) : NULL;
    if (v) flatten(a, v, 0, *n, 0);
    return v;
}

// OpenCV's writer puts matrices into an object with the key "data".
static const json_t *first_of(const json_t *root, const char *const *keys) {
    for (int i = 0; i < KEYS; i++) {
        const json_t *v = json_object_get(root, keys[i]);
        if (v) return json_is_object(v) ? json_object_get(v, "data") : v;
    }
    return NULL;
}

static gv_status read_json(table *t, const json_t *root, const char *path, gv_error *err) {
    const json_t *K = first_of(root, K_KEYS), *d = first_of(root, DISTORTION_KEYS), *size;
    int64_t n;
    if (K) {
        t->K = numbers(K, &n), t->frames = n / 9;
        if (!t->K || n % 9)
            return gv_fail(err, GV_ERR_FORMAT, "%s: \"K\" is no 3 x 3 matrix and no list of them", path);
    } else {
        double v[4];
        static const char *const names[] = {"fx", "fy", "cx", "cy"};
        for (int i = 0; i < 4; i++) {
            const json_t *j = json_object_get(root, names[i]);
            if (!json_is_number(j))
                return gv_fail(err, GV_ERR_MISSING, "%s: neither \"K\" nor a number \"%s\" in it", path, names[i]);
            v[i] = json_number_value(j);
        }
        t->K = gv_calloc2(9, sizeof(double)), t->frames = 1;
        if (!t->K) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
        t->K[0] = v[0], t->K[4] = v[1], t->K[2] = v[2], t->K[5] = v[3], t->K[8] = 1;
    }
    if (d && json_array_size(d) > 0) {
        t->distortion = numbers(d, &n);
        t->distortion_rows = json_is_array(json_array_get(d, 0)) ? (int64_t)json_array_size(d) : 1;
        if (!t->distortion || n % t->distortion_rows || n / t->distortion_rows > 64)
            return gv_fail(err, GV_ERR_FORMAT, "%s: \"distortion\" is no list of numbers", path);
        t->coefficients = (int)(n / t->distortion_rows);
    }
    const char *model = json_string_value(json_object_get(root, "model"));
    if (model) snprintf(t->model, sizeof t->model, "%s", model);
    if ((size = json_object_get(root, "image_size")) && json_array_size(size) == 2)
        t->width = json_number_value(json_array_get(size, 0)), t->height = json_number_value(json_array_get(size, 1));
    if ((size = json_object_get(root, "width"))) t->width = json_number_value(size);
    if ((size = json_object_get(root, "height"))) t->height = json_number_value(size);
    return GV_OK;
}

static gv_status load_json(table *t, const char *path, gv_error *err) {
    unsigned char *text;
    size_t size;
    gv_status s = gv_file_read(path, (size_t)1 << 28, &text, &size, err);
    if (s != GV_OK) return s;
    json_error_t where;
    json_t *root = json_loadb((const char *)text, size, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        s = gv_fail(err, GV_ERR_FORMAT, "%s: neither JSON nor .npz: line %d: %s", path, where.line, where.text);
    else if (!json_is_object(root))
        s = gv_fail(err, GV_ERR_FORMAT, "%s: expected a JSON object with the key \"K\"", path);
    else
        s = read_json(t, root, path, err);
    json_decref(root);
    free(text);
    return s;
}

// --- npz -----------------------------------------------------------------------------------------------

static const gv_array *member(gv_npz *z, const char *const *keys) {
    for (int i = 0; i < KEYS; i++) {
        const gv_array *a = gv_npz_find(z, keys[i]);
        if (a) return a;
    }
    return NULL;
}

static gv_status read_size(table *t, gv_npz *z, gv_error *err) {
    gv_status s = gv_npz_read_number(z, "width", 1, 1e6, &t->width, err);
    if (s == GV_OK) s = gv_npz_read_number(z, "height", 1, 1e6, &t->height, err);
    if (s != GV_OK || t->width > 0 || !gv_npz_find(z, "image_size")) return s;
    int32_t *wh = gv_npz_read_i32(z, "image_size", (int64_t[]){2}, 1, NULL, err);
    if (!wh) return err->status;
    t->width = wh[0], t->height = wh[1];
    free(wh);
    return GV_OK;
}

static gv_status load_npz(table *t, const char *path, gv_error *err) {
    gv_npz *z = NULL;
    gv_status s = gv_npz_open(&z, path, err);
    if (s != GV_OK) return s;
    const gv_array *K = member(z, K_KEYS), *d = member(z, DISTORTION_KEYS);
    if (!K) {
        s = gv_fail(err, GV_ERR_MISSING, "%s: no member \"K\" in it", path);
        goto done;
    }
    t->K = gv_npz_read_f64(z, K->name, (int64_t[]){-1, 3, 3}, K->ndim, &t->frames, err);
    if (K->ndim == 2) {
        free(t->K);
        t->K = gv_npz_read_f64(z, K->name, (int64_t[]){3, 3}, 2, NULL, err), t->frames = 1;
    }
    if (!t->K || t->frames < 1) {
        s = t->K ? gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" is empty", path, K->name) : err->status;
        goto done;
    }
    if (d && d->count > 0 && d->ndim <= 2) {
        int64_t last = d->shape[d->ndim - 1], rows = d->count / last;
        if (d->ndim == 2 && last == 1) last = d->count, rows = 1; // OpenCV's column
        t->distortion = gv_npz_read_f64(z, d->name, NULL, -1, NULL, err);
        if (!t->distortion) {
            s = err->status;
            goto done;
        }
        t->distortion_rows = rows, t->coefficients = last <= 64 ? (int)last : 65;
    }
    if (gv_npz_find(z, "model")) {
        int64_t n;
        char **text = gv_npz_read_strings(z, "model", &n, err);
        if (text && n == 1) snprintf(t->model, sizeof t->model, "%s", text[0]);
        free(text);
    }
    s = read_size(t, z, err);
done:
    gv_npz_close(z);
    return s;
}

// --- to lenses -----------------------------------------------------------------------------------------

static gv_status choose_model(gv_lens_model *m, const table *t, const char *path, gv_error *err) {
    bool distorted = false;
    for (int64_t i = 0; i < t->distortion_rows * t->coefficients && t->distortion; i++)
        distorted |= t->distortion[i] != 0;
    if (!strcmp(t->model, "fisheye") || !strcmp(t->model, "opencv_fisheye"))
        *m = GV_LENS_FISHEYE;
    else if (!*t->model || !strcmp(t->model, "brown") || !strcmp(t->model, "opencv") || !strcmp(t->model, "pinhole"))
        *m = distorted ? GV_LENS_BROWN : GV_LENS_PINHOLE;
    else
        return gv_fail(err, GV_ERR_FORMAT, "%s: \"model\" is \"%s\", expected pinhole, brown or fisheye", path,
                       t->model);
    if (!strcmp(t->model, "pinhole") && distorted)
        return gv_fail(err, GV_ERR_FORMAT, "%s: a pinhole has no \"distortion\"", path);
    int n = t->coefficients;
    bool fits = *m == GV_LENS_FISHEYE ? n == 0 || n == 4 : *m == GV_LENS_PINHOLE || n == 4 || n == 5 || n == 8;
    for (int64_t r = 0; r < t->distortion_rows && !fits && *m == GV_LENS_BROWN && n > 8 && n <= 14; r++) {
        fits = true; // OpenCV's longer vectors, as long as prism and tilt are zero
        for (int i = 8; i < n; i++) fits &= t->distortion[r * n + i] == 0;
    }
    if (fits) return GV_OK;
    return gv_fail(err, GV_ERR_FORMAT, "%s: %d distortion coefficients, expected %s", path, n,
                   *m == GV_LENS_FISHEYE ? "4" : "4, 5 or 8 (k1 k2 p1 p2 k3 k4 k5 k6)");
}

static gv_status make_lens(gv_lens *l, const table *t, int64_t i, double sx, double sy, const char *path,
                           gv_error *err) {
    const double *K = t->K + 9 * i;
    l->fx = K[0] * sx, l->fy = K[4] * sy, l->cx = K[2] * sx, l->cy = K[5] * sy;
    for (int k = 0; k < 9; k++)
        if (!isfinite(K[k])) return gv_fail(err, GV_ERR_FORMAT, "%s: \"K\" is not finite in frame %ld", path, (long)i);
    if (!(K[0] > 0 && K[4] > 0 && K[0] < 1e7 && K[4] < 1e7) || fabs(K[1]) > 1e-3 * K[0] || K[3] != 0 || K[6] != 0 ||
        K[7] != 0 || fabs(K[8] - 1) > 1e-6)
        return gv_fail(err, GV_ERR_FORMAT, "%s: \"K\" is not [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in frame %ld", path,
                       (long)i);
    for (int k = 0; k < t->coefficients && k < GV_LENS_COEFFICIENTS; k++) {
        l->k[k] = t->distortion[(t->distortion_rows == 1 ? 0 : i) * t->coefficients + k];
        if (!isfinite(l->k[k]) || fabs(l->k[k]) > 1e3)
            return gv_fail(err, GV_ERR_FORMAT, "%s: \"distortion\" holds %g", path, l->k[k]);
    }
    return GV_OK;
}

static gv_status make_optics(gv_optics *o, const table *t, const char *path, int width, int height, gv_error *err) {
    gv_lens_model model = GV_LENS_PINHOLE;
    gv_status s = choose_model(&model, t, path, err);
    if (s != GV_OK) return s;
    if (t->frames > MOST_FRAMES || (t->distortion_rows > 1 && t->distortion_rows != t->frames))
        return gv_fail(err, GV_ERR_FORMAT, "%s: \"distortion\" has %ld rows, \"K\" %ld matrices", path,
                       (long)t->distortion_rows, (long)t->frames);
    double sx = t->width > 0 ? width / t->width : 1, sy = t->height > 0 ? height / t->height : 1;
    if (fabs(sx / sy - 1) > 0.02)
        return gv_fail(err, GV_ERR_FORMAT, "%s: made for %g x %g pixels, but the video has %d x %d", path, t->width,
                       t->height, width, height);
    *o = (gv_optics){.count = t->frames, .origin = GV_FOCAL_FILE};
    o->lens = gv_calloc2((size_t)t->frames, sizeof *o->lens);
    if (!o->lens) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %ld lenses", path, (long)t->frames);
    double largest = fmax(width, height);
    for (int64_t i = 0; i < t->frames && s == GV_OK; i++) {
        gv_lens *l = &o->lens[i];
        l->model = model;
        s = make_lens(l, t, i, sx, sy, path, err);
        if (s == GV_OK && !(l->fx > 0.05 * largest && l->fx < 200 * largest && fabs(l->cx - width / 2.) < width &&
                            fabs(l->cy - height / 2.) < height))
            s = gv_fail(err, GV_ERR_FORMAT,
                        "%s: focal length %g px and principal point %g, %g do not belong to pictures of %d x %d", path,
                        l->fx, l->cx, l->cy, width, height);
    }
    if (s != GV_OK) gv_optics_free(o);
    return s;
}

gv_status gv_optics_load(gv_optics *o, const char *path, int width, int height, gv_error *err) {
    *o = (gv_optics){0};
    gv_error own = {0};
    if (!err) err = &own;
    table t = {0};
    size_t n = strlen(path);
    gv_status s = n > 4 && !strcmp(path + n - 4, ".npz") ? load_npz(&t, path, err) : load_json(&t, path, err);
    if (s == GV_OK) s = make_optics(o, &t, path, width, height, err);
    table_free(&t);
    return s;
}
