#include "exports/people.h"
#include "base/file.h"
#include "base/memory.h"
#include "exports/resample.h"
#include "geometry/rotation.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_PEOPLE = 10000, MOST_FRAMES = 50000000, PATH = 4096 };

static void free_camera(gv_export_camera *c) {
    free(c->time_sec);
    free(c->R_w2c);
    free(c->t_w2c);
    *c = (gv_export_camera){0};
}

void gv_export_free(gv_export_people *p) {
    for (int k = 0; p->motion && k < p->people; k++) gv_motion_free(p->motion + k);
    free(p->motion);
    free(p->number);
    free_camera(&p->camera);
    *p = (gv_export_people){0};
}

static gv_status alloc_camera(gv_export_camera *c, int frames, gv_error *err) {
    c->frames = frames;
    c->time_sec = gv_calloc2((size_t)frames, sizeof *c->time_sec);
    c->R_w2c = gv_calloc2((size_t)frames, 9 * sizeof *c->R_w2c);
    c->t_w2c = gv_calloc2((size_t)frames, 3 * sizeof *c->t_w2c);
    if (c->time_sec && c->R_w2c && c->t_w2c) return GV_OK;
    free_camera(c);
    return gv_fail(err, GV_ERR_MEMORY, "no memory for a camera path of %d frames", frames);
}

gv_status gv_export_camera_of(gv_export_camera *c, const gv_motion *m, gv_error *err) {
    *c = (gv_export_camera){0};
    if (!(m->K[0] > 0 && m->K[4] > 0)) return GV_OK; // no intrinsics: no camera
    gv_status status = alloc_camera(c, m->frames, err);
    if (status != GV_OK) return status;
    c->fx = (double)m->K[0];
    c->fy = (double)m->K[4];
    c->width = m->width > 0 ? m->width : (int)fmin(fmax(2 * (double)m->K[2], 0), 1e6); // or as the principal point says
    c->height = m->height > 0 ? m->height : (int)fmin(fmax(2 * (double)m->K[5], 0), 1e6);
    for (size_t t = 0; t < (size_t)m->frames; t++) {
        const float *world = m->joints_world + 3 * GV_MOTION_JOINTS * t,
                    *seen = m->joints_incam + 3 * GV_MOTION_JOINTS * t;
        float Rw[9], Rc[9], turned[3];
        gv_rot_from_aa(Rw, m->global_orient + 3 * t);
        gv_rot_from_aa(Rc, m->global_orient_incam + 3 * t);
        gv_mat3_mul_nt(c->R_w2c + 9 * t, Rc, Rw);
        gv_mat3_apply(turned, c->R_w2c + 9 * t, world);
        for (int i = 0; i < 3; i++) c->t_w2c[3 * t + i] = seen[i] - turned[i];
        c->time_sec[t] = m->time_sec[t];
    }
    return GV_OK;
}

// ---- scene.json

typedef struct scene_file {
    const char *path;
    json_t *root;
} scene_file;

static gv_status read_json(scene_file *s, gv_error *err) {
    unsigned char *text = NULL;
    size_t size;
    json_error_t e;
    gv_status status = gv_file_read(s->path, 0, &text, &size, err);
    if (status != GV_OK) return status;
    s->root = json_loadb((const char *)text, size, 0, &e);
    free(text);
    return s->root ? GV_OK : gv_fail(err, GV_ERR_FORMAT, "%s: line %d: %s", s->path, e.line, e.text);
}

// A JSON array of n finite numbers.
static bool read_numbers(float *out, const json_t *a, size_t n) {
    if (!json_is_array(a) || json_array_size(a) != n) return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(a, i);
        double x = json_number_value(v);
        if (!json_is_number(v) || !(fabs(x) < 1e9)) return false;
        out[i] = (float)x;
    }
    return true;
}

static double positive(const json_t *v) {
    double x = json_number_value(v);
    return x > 0 && x < 1e9 ? x : 0;
}

// Times of the video's frames: the motions know those of the frames they have, the others lie at the mean rate beside
// the nearest known one before.
static void frame_times(double *time, int frames, double fps, const gv_export_people *p) {
    for (int f = 0; f < frames; f++) time[f] = NAN;
    for (int k = 0; k < p->people; k++)
        for (int t = 0; t < p->motion[k].frames; t++) {
            int f = p->motion[k].frame_index[t];
            if (f >= 0 && f < frames) time[f] = p->motion[k].time_sec[t];
        }
    int known = 0;
    while (known < frames && isnan(time[known])) known++;
    double base = known < frames ? time[known] - known / fps : 0;
    for (int f = 0; f < frames; f++) {
        if (isnan(time[f])) time[f] = f ? time[f - 1] + 1 / fps : base;
        if (f && time[f] <= time[f - 1]) time[f] = time[f - 1] + 1e-4; // a guess that overtook
    }
}

static gv_status read_camera(gv_export_people *p, const scene_file *s, gv_error *err) {
    const json_t *camera = json_object_get(s->root, "camera"), *video = json_object_get(s->root, "video");
    const json_t *R = json_object_get(camera, "R_w2c"), *t = json_object_get(camera, "t_w2c");
    gv_export_camera *c = &p->camera;
    size_t n = json_array_size(R);
    if (n < 1 || n > MOST_FRAMES || json_array_size(t) != n)
        return gv_fail(err, GV_ERR_FORMAT,
                       "%s: \"camera\" has %zu rotations and %zu places, expected one of each per frame", s->path, n,
                       json_array_size(t));
    gv_status status = alloc_camera(c, (int)n, err);
    if (status != GV_OK) return status;
    for (size_t f = 0; f < n; f++) {
        if (!read_numbers(c->R_w2c + 9 * f, json_array_get(R, f), 9) ||
            !read_numbers(c->t_w2c + 3 * f, json_array_get(t, f), 3))
            return gv_fail(err, GV_ERR_FORMAT, "%s: the camera of frame %zu is not 9 and 3 numbers", s->path, f);
        gv_rot_orthonormalise(c->R_w2c + 9 * f); // six digits in the file
    }
    c->fx = c->fy = positive(json_object_get(camera, "focal_px"));
    c->width = (int)positive(json_object_get(video, "width"));
    c->height = (int)positive(json_object_get(video, "height"));
    double fps = positive(json_object_get(video, "fps"));
    frame_times(c->time_sec, c->frames, fps > 0 ? fps : 30, p);
    if (!(c->fx > 0)) free_camera(c);
    return GV_OK;
}

static gv_status add_motion(gv_export_people *p, const char *path, int number, gv_error *err) {
    gv_status status = gv_motion_load(p->motion + p->people, path, err);
    if (status == GV_OK) p->number[p->people++] = number;
    return status;
}

static gv_status reserve(gv_export_people *p, size_t n, gv_error *err) {
    p->motion = gv_calloc2(n, sizeof *p->motion);
    p->number = gv_calloc2(n, sizeof *p->number);
    return p->motion && p->number ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory for %zu motions", n);
}

static gv_status load_listed(gv_export_people *p, const scene_file *s, const char *folder, int person, gv_error *err) {
    const json_t *people = json_object_get(s->root, "people");
    size_t n = json_array_size(people);
    if (n < 1 || n > MOST_PEOPLE)
        return gv_fail(err, n ? GV_ERR_FORMAT : GV_ERR_EMPTY, "%s: names %zu people, expected 1 to %d", s->path, n,
                       MOST_PEOPLE);
    if (person > (int)n) return gv_fail(err, GV_ERR_ARGUMENT, "%s: there is no person %d, only %zu", folder, person, n);
    gv_status status = reserve(p, n, err);
    for (size_t k = 0; k < n && status == GV_OK; k++) {
        if (person > 0 && (int)k + 1 != person) continue;
        const char *file = json_string_value(json_object_get(json_array_get(people, k), "file"));
        char path[PATH];
        if (!file || !*file || strchr(file, '/'))
            return gv_fail(err, GV_ERR_FORMAT, "%s: person %zu has no \"file\" in this folder", s->path, k + 1);
        if (snprintf(path, sizeof path, "%s/%s", folder, file) >= (int)sizeof path)
            return gv_fail(err, GV_ERR_ARGUMENT, "%s: too long a name", folder);
        status = add_motion(p, path, (int)k + 1, err);
    }
    return status;
}

static gv_status load_folder(gv_export_people *p, const char *folder, int person, gv_error *err) {
    char path[PATH];
    if (snprintf(path, sizeof path, "%s/scene.json", folder) >= (int)sizeof path)
        return gv_fail(err, GV_ERR_ARGUMENT, "%s: too long a name", folder);
    scene_file s = {.path = path};
    gv_status status = read_json(&s, err);
    if (status == GV_OK) status = load_listed(p, &s, folder, person, err);
    if (status == GV_OK) status = read_camera(p, &s, err);
    json_decref(s.root);
    return status;
}

gv_status gv_export_load(gv_export_people *out, char *const *paths, int n, int person, gv_error *err) {
    *out = (gv_export_people){0};
    struct stat st;
    gv_status status;
    if (n == 1 && stat(paths[0], &st) == 0 && S_ISDIR(st.st_mode)) {
        status = load_folder(out, paths[0], person, err);
    } else if (person > n) {
        status = gv_fail(err, GV_ERR_ARGUMENT, "there is no person %d, only %d motion files", person, n);
    } else {
        status = reserve(out, (size_t)n, err);
        for (int k = 0; k < n && status == GV_OK; k++)
            if (person <= 0 || k + 1 == person) status = add_motion(out, paths[k], k + 1, err);
        if (status == GV_OK) status = gv_export_camera_of(&out->camera, out->motion, err);
    }
    if (status != GV_OK) gv_export_free(out);
    return status;
}

// ---- another rate

static gv_status resample_camera(gv_export_camera *c, double first, double fps, gv_error *err) {
    if (c->frames <= 1) return GV_OK;
    gv_export_camera out = *c;
    double length = c->time_sec[c->frames - 1] - fmax(first, c->time_sec[0]);
    int frames = (int)fmin(fmax(floor(length * fps + 1e-6), 0), MOST_FRAMES) + 1;
    double begin = first + ceil((fmax(first, c->time_sec[0]) - first) * fps - 1e-6) / fps;
    gv_status status = alloc_camera(&out, frames, err);
    if (status != GV_OK) return status;
    for (int k = 0, t = 0; k < frames; k++) {
        double at = begin + k / fps;
        while (t + 2 < c->frames && c->time_sec[t + 1] <= at) t++;
        double s = fmin(fmax((at - c->time_sec[t]) / (c->time_sec[t + 1] - c->time_sec[t]), 0), 1);
        const float *Ra = c->R_w2c + 9 * (size_t)t, *ta = c->t_w2c + 3 * (size_t)t;
        float qa[4], qb[4], q[4], ca[3], cb[3], centre[3], moved[3], *R = out.R_w2c + 9 * (size_t)k;
        gv_rot_to_quat(qa, Ra);
        gv_rot_to_quat(qb, Ra + 9);
        gv_quat_slerp(q, qa, qb, (float)s);
        gv_rot_from_quat(R, q);
        gv_mat3_apply_t(ca, Ra, ta);
        gv_mat3_apply_t(cb, Ra + 9, ta + 3);
        for (int i = 0; i < 3; i++) centre[i] = (float)((1 - s) * (double)ca[i] + s * (double)cb[i]); // negative centre
        gv_mat3_apply(moved, R, centre);
        memcpy(out.t_w2c + 3 * (size_t)k, moved, sizeof moved);
        out.time_sec[k] = at;
    }
    free_camera(c);
    *c = out;
    return GV_OK;
}

gv_status gv_export_resample(gv_export_people *p, double fps, gv_error *err) {
    double first = INFINITY;
    for (int k = 0; k < p->people; k++) first = fmin(first, p->motion[k].time_sec[0]);
    for (int k = 0; k < p->people; k++) {
        gv_motion m;
        char name[32];
        snprintf(name, sizeof name, "person %d", p->number[k]);
        gv_status status = gv_motion_resample(&m, p->motion + k, first, fps, name, err);
        if (status != GV_OK) return status;
        gv_motion_free(p->motion + k);
        p->motion[k] = m;
    }
    return resample_camera(&p->camera, first, fps, err);
}
