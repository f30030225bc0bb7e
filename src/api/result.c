// The public interface: results and their arrays.
#include "api/result.h"
#include "base/file.h"
#include "base/memory.h"
#include "pipeline/view.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_PATH = 4096 };

struct gvhmr_result {
    int people;
    gv_motion *motion; // [people]
    char *scene;       // NULL: of a motion file
    int camera_rows;
    float *R_w2c, *t_w2c; // [camera_rows, 3, 3], [camera_rows, 3]
};

// ---- the camera, out of scene.json

static gv_status read_row(float *out, const json_t *row, size_t n) {
    if (json_array_size(row) != n) return GV_ERR_FORMAT;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(row, i);
        if (!json_is_number(v)) return GV_ERR_FORMAT;
        out[i] = (float)json_number_value(v);
    }
    return GV_OK;
}

static gv_status read_camera(gvhmr_result *r, const json_t *scene, gv_error *err) {
    const json_t *camera = json_object_get(scene, "camera");
    const json_t *R = json_object_get(camera, "R_w2c"), *t = json_object_get(camera, "t_w2c");
    size_t rows = json_array_size(R);
    if (rows == 0 || rows > INT32_MAX / 9 || json_array_size(t) != rows)
        return gv_fail(err, GV_ERR_FORMAT, "scene.json: \"camera\" has %zu rows in R_w2c and %zu in t_w2c", rows,
                       json_array_size(t));
    r->R_w2c = gv_calloc2(rows, 9 * sizeof *r->R_w2c);
    r->t_w2c = gv_calloc2(rows, 3 * sizeof *r->t_w2c);
    if (!r->R_w2c || !r->t_w2c) return gv_fail(err, GV_ERR_MEMORY, "no memory for a camera path of %zu frames", rows);
    r->camera_rows = (int)rows;
    for (size_t i = 0; i < rows; i++)
        if (read_row(r->R_w2c + 9 * i, json_array_get(R, i), 9) || read_row(r->t_w2c + 3 * i, json_array_get(t, i), 3))
            return gv_fail(err, GV_ERR_FORMAT, "scene.json: row %zu of the camera is not 9 and 3 numbers", i);
    return GV_OK;
}

static gv_status parse_scene(gvhmr_result *r, gv_error *err) {
    json_error_t why;
    json_t *scene = json_loads(r->scene, 0, &why);
    gv_status status =
        scene ? read_camera(r, scene, err) : gv_fail(err, GV_ERR_FORMAT, "scene.json: line %d: %s", why.line, why.text);
    json_decref(scene);
    return status;
}

// ---- making results

gv_status gv_result_take(gvhmr_result **out, gv_run_result *run, gv_error *err) {
    gvhmr_result *r = gv_calloc2(1, sizeof *r);
    *out = NULL;
    if (!r) return gv_fail(err, GV_ERR_MEMORY, "no memory for the result");
    *r = (gvhmr_result){.people = run->people, .motion = run->motion, .scene = run->scene};
    run->people = 0;
    run->motion = NULL;
    run->scene = NULL;
    gv_status status = parse_scene(r, err);
    if (status == GV_OK)
        *out = r;
    else
        gvhmr_result_free(r);
    return status;
}

static gv_status make_room(gvhmr_result *r, const char *path, int people, gv_error *err) {
    r->motion = gv_calloc2((size_t)people, sizeof *r->motion);
    return r->motion ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "%.900s: no memory for %d motions", path, people);
}

// The motion counts once it is whole.
static gv_status load_motion(gvhmr_result *r, const char *path, gv_error *err) {
    gv_status status = gv_motion_load(&r->motion[r->people], path, err);
    if (status == GV_OK) r->people++;
    return status;
}

static gv_status load_folder(gvhmr_result *r, const char *folder, gv_error *err) {
    char path[MAX_PATH];
    size_t size;
    gv_scene_names names = {0};
    snprintf(path, sizeof path, "%s/scene.json", folder);
    gv_status status = gv_file_read(path, 0, (unsigned char **)&r->scene, &size, err);
    if (status != GV_OK) return status;
    status = gv_scene_names_read(&names, r->scene, err);
    if (status == GV_OK) status = parse_scene(r, err);
    if (status != GV_OK) status = gv_wrap(err, "%.900s", folder);
    if (status == GV_OK) status = make_room(r, folder, names.people, err);
    for (int k = 0; status == GV_OK && k < names.people; k++) {
        snprintf(path, sizeof path, "%s/%s", folder, names.file[k]);
        status = load_motion(r, path, err);
    }
    gv_scene_names_free(&names);
    return status;
}

gv_status gv_result_load(gvhmr_result **out, const char *path, gv_error *err) {
    struct stat st;
    *out = NULL;
    if (strlen(path) + 300 > MAX_PATH) return gv_fail(err, GV_ERR_ARGUMENT, "%.100s...: the name is too long", path);
    gvhmr_result *r = gv_calloc2(1, sizeof *r);
    if (!r) return gv_fail(err, GV_ERR_MEMORY, "%.900s: no memory for the result", path);
    bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    gv_status status = folder ? load_folder(r, path, err) : make_room(r, path, 1, err);
    if (status == GV_OK && !folder) status = load_motion(r, path, err);
    if (status == GV_OK)
        *out = r;
    else
        gvhmr_result_free(r);
    return status;
}

void gvhmr_result_free(gvhmr_result *r) {
    if (!r) return;
    for (int k = 0; k < r->people; k++) gv_motion_free(&r->motion[k]);
    free(r->motion);
    free(r->scene);
    free(r->R_w2c);
    free(r->t_w2c);
    free(r);
}

// ---- looking at them

int gvhmr_result_people(const gvhmr_result *r) {
    return r ? r->people : 0;
}

const char *gvhmr_result_scene(const gvhmr_result *r) {
    return r ? r->scene : NULL;
}

const char *gvhmr_joint_name(int i) {
    return i >= 0 && i < GV_MOTION_JOINTS ? gv_joint_names[i] : NULL;
}

static bool camera_array(const gvhmr_result *r, int i, gv_motion_array *out) {
    if (r->camera_rows == 0 || i < 0 || i > 1) return false;
    *out = i == 0 ? (gv_motion_array){"R_w2c", GV_F32, r->R_w2c, 3, {r->camera_rows, 3, 3}}
                  : (gv_motion_array){"t_w2c", GV_F32, r->t_w2c, 2, {r->camera_rows, 3}};
    return true;
}

static bool is_there(const gvhmr_result *r, int person) {
    return r && person >= GVHMR_CAMERA && person < r->people;
}

static bool array_at(const gvhmr_result *r, int person, int i, gv_motion_array *out) {
    return person == GVHMR_CAMERA ? camera_array(r, i, out) : gv_motion_array_at(&r->motion[person], i, out);
}

const char *gvhmr_result_key(const gvhmr_result *r, int person, int i) {
    gv_motion_array a;
    return is_there(r, person) && array_at(r, person, i, &a) ? a.name : NULL;
}

static void show(gvhmr_array *out, const gv_motion_array *a) {
    out->data = a->data;
    out->type = a->dtype == GV_F32 ? GVHMR_FLOAT32 : a->dtype == GV_F64 ? GVHMR_FLOAT64 : GVHMR_INT32;
    out->ndim = a->ndim;
    for (int i = 0; i < a->ndim; i++) out->shape[i] = a->shape[i];
}

gvhmr_status gvhmr_result_array(const gvhmr_result *r, int person, const char *key, gvhmr_array *out) {
    gv_motion_array a;
    if (!out) return GVHMR_ERR_ARGUMENT;
    *out = (gvhmr_array){0};
    if (!is_there(r, person) || !key) return GVHMR_ERR_ARGUMENT;
    for (int i = 0; array_at(r, person, i, &a); i++)
        if (!strcmp(a.name, key)) {
            show(out, &a);
            return GVHMR_OK;
        }
    return GVHMR_ERR_MISSING;
}
