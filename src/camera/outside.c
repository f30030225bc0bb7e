#include "camera/outside.h"

#include "base/file.h"
#include "base/memory.h"
#include "camera/gyro_align.h"
#include "camera/rotation_list.h"
#include "geometry/so3.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t LARGEST_FILE = (size_t)1 << 30;

static gv_status use_list(gv_camera_path *path, gv_outside_report *r, gv_rotation_list *l, const char *file,
                          const double *time_sec, gv_error *err) {
    gv_status s = gv_rotation_list_apply(path, l, file, time_sec, err);
    r->source = "rotation file", r->agreement = 1, r->frames = l->count < path->frames ? (int)l->count : path->frames;
    gv_rotation_list_free(l);
    return s;
}

// A path with a wrong focal length turns about x and y by a wrong amount: the sensor knows the right one.
static void correct_focal(gv_camera_path *path, const gv_gyro_alignment *a) {
    double sd = 0.02 + 2 * sqrt(1 - fmin(1, a->agreement * a->agreement)) / sqrt(path->frames);
    if (path->focal_origin > GV_FOCAL_METADATA || sd > path->focal_sd) return;
    path->focal_px *= (float)a->tilt_scale, path->focal_sd = (float)sd, path->focal_origin = GV_FOCAL_GYROSCOPE;
}

static void tell(gv_outside_report *r, const gv_gyro *g, const gv_gyro_alignment *a, const gv_camera_path *path) {
    r->offset_sec = a->offset_sec, r->agreement = a->agreement;
    if (!a->found) {
        snprintf(r->note, sizeof r->note, "gyroscope not used: %s", a->why);
        return;
    }
    int n;
    r->source = g->of_picture ? "the camera's own orientation" : "gyroscope";
    if (g->of_picture)
        n = snprintf(r->note, sizeof r->note, "the camera's own orientation, agreement %.3f", a->agreement);
    else
        n = snprintf(r->note, sizeof r->note, "gyroscope: %.0f Hz, its clock %.4f s %s of the video's, agreement %.3f",
                     1 / g->interval_sec, fabs(a->offset_sec), a->offset_sec < 0 ? "behind" : "ahead", a->agreement);
    if (r->frames < path->frames - 1)
        n += snprintf(r->note + n, sizeof r->note - n, ", covers %d of %d steps", r->frames, path->frames - 1);
    if (g->out_of_order) snprintf(r->note + n, sizeof r->note - n, ", %ld samples out of order", g->out_of_order);
}

// Turns as the camera worked them out (`own`), or a gyroscope's. No orientation in the file, or one that does not fit,
// is no error: r->source stays NULL.
static gv_status use_turns(gv_camera_path *path, gv_outside_report *r, const char *file, bool own,
                           const double *time_sec, struct gv_jail *jail, gv_error *err) {
    gv_gyro g;
    gv_gyro_alignment a;
    gv_status s = own ? gv_gyro_load_own(&g, file, jail, NULL) : gv_gyro_load(&g, file, jail, err);
    if (s != GV_OK) return own && s != GV_ERR_MEMORY ? GV_OK : s;
    s = gv_gyro_align(&a, &g, time_sec, path, err);
    if (s != GV_OK) {
        s = gv_wrap(err, "%s", file);
    } else {
        if (a.found) r->frames = gv_gyro_apply(path, &g, &a, time_sec), correct_focal(path, &a);
        tell(r, &g, &a, path);
    }
    gv_gyro_free(&g);
    return s;
}

static gv_status read_outside(gv_camera_path *path, gv_outside_report *r, const char *file, const double *time_sec,
                              struct gv_jail *jail, gv_error *err) {
    *r = (gv_outside_report){0};
    size_t n = strlen(file), size;
    gv_rotation_list l;
    if (n > 4 && !strcmp(file + n - 4, ".npz")) {
        gv_status s = gv_rotation_list_load_npz(&l, file, err);
        return s == GV_OK ? use_list(path, r, &l, file, time_sec, err) : s;
    }
    unsigned char *text;
    FILE *f = fopen(file, "rb");
    char head[4096];
    size_t got = f ? fread(head, 1, sizeof head, f) : 0;
    if (f) fclose(f);
    if (!memchr(head, 0, got) && gv_rotation_list_is(head, got)) {
        gv_status s = gv_file_read(file, LARGEST_FILE, &text, &size, err);
        if (s != GV_OK) return s;
        s = gv_rotation_list_parse(&l, file, (const char *)text, size, err);
        free(text);
        return s == GV_OK ? use_list(path, r, &l, file, time_sec, err) : s;
    }
    gv_status s = use_turns(path, r, file, true, time_sec, jail, err);
    if (s != GV_OK || r->source) return s;
    bool tried = *r->note; // an orientation that did not fit
    s = use_turns(path, r, file, false, time_sec, jail, err);
    return tried && s == GV_ERR_MISSING ? GV_OK : s;
}

// A way is known by what its steps look like in the picture: they turn with it.
static void turn_way(gv_camera_path *path, const float *before) {
    double at[3] = {0};
    for (int f = 0; f < path->frames; f++) {
        float *p = path->position + 3 * (size_t)f;
        double step[3], seen[3], turned[3], V[9], N[9], here[3] = {p[0], p[1], p[2]};
        bool first = f == 0 || path->stretch[f] != path->stretch[f - 1];
        for (int i = 0; i < 9; i++) V[i] = before[9 * (size_t)f + i], N[i] = path->R_w2c[9 * (size_t)f + i];
        for (int i = 0; i < 3; i++) step[i] = here[i] - at[i];
        gv_so3_apply(seen, V, step);
        gv_so3_apply_t(turned, N, seen);
        for (int i = 0; i < 3; i++) p[i] = (float)(first ? here[i] : path->position[3 * (size_t)f - 3 + i] + turned[i]);
        memcpy(at, here, sizeof at);
    }
}

gv_status gv_outside_rotation(gv_camera_path *path, gv_outside_report *r, const char *file, const double *time_sec,
                              struct gv_jail *jail, gv_error *err) {
    size_t bytes = (size_t)path->frames * 9 * sizeof(float);
    float *before = path->position ? gv_calloc2(bytes, 1) : NULL;
    if (path->position && !before) return gv_fail(err, GV_ERR_MEMORY, "no memory for the camera's way");
    if (before) memcpy(before, path->R_w2c, bytes);
    gv_status s = read_outside(path, r, file, time_sec, jail, err);
    if (s == GV_OK && before) turn_way(path, before);
    free(before);
    return s;
}
