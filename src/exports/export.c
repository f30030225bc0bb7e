#include "exports/export.h"
#include "exports/resample.h"
#include "exports/retarget.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { PATH = 4096, GLB = 100, ROBOT_CSV, ROBOT_PICKLE };

static const struct {
    const char *name, *ending; // ending NULL: only by name
    int format;
    bool axes, even; // up and unit can be chosen; needs frames that are evenly spaced
} table[] = {{"bvh", ".bvh", GV_MOTION_BVH, true, true},      {"glb", ".glb", GLB, false, false},
             {"amass", ".npz", GV_MOTION_AMASS, false, true}, {"gmr", NULL, GV_MOTION_AMASS, false, true},
             {"motion", NULL, GV_MOTION_AGAIN, false, false}, {"pt", ".pt", GV_MOTION_PT, false, false},
             {"trc", ".trc", GV_MOTION_TRC, true, false},     {"csv", ".csv", GV_MOTION_CSV, true, false},
             {"robot-csv", NULL, ROBOT_CSV, false, true},     {"pkl", ".pkl", ROBOT_PICKLE, false, true}};
enum { FORMATS = sizeof table / sizeof *table };
const char *const gv_export_formats = "bvh, glb, amass, gmr, motion, pt, trc, csv, robot-csv, pkl";

static const char *ending_of(const char *path) {
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    return !dot || (slash && dot < slash) ? path + strlen(path) : dot;
}

// Row of the table, or -1 with an error.
static int row_of(const char *path, const gv_export_options *o, gv_error *err) {
    const char *ending = ending_of(path);
    for (int i = 0; i < FORMATS; i++) {
        bool it =
            o->format ? !strcasecmp(o->format, table[i].name) : table[i].ending && !strcasecmp(ending, table[i].ending);
        if (!it) continue;
        if (o->robot && table[i].format == GV_MOTION_CSV) continue; // a robot's .csv is further down
        if (o->robot && !o->format && table[i].format != ROBOT_PICKLE) continue;
        return i;
    }
    if (o->robot && (o->format ? !strcasecmp(o->format, "csv") : !strcasecmp(ending, ".csv")))
        for (int i = 0; i < FORMATS; i++)
            if (table[i].format == ROBOT_CSV) return i;
    if (o->format)
        gv_fail(err, GV_ERR_ARGUMENT, "\"%s\" is not a format; there are %s", o->format, gv_export_formats);
    else if (o->robot)
        gv_fail(err, GV_ERR_ARGUMENT, "%s: a robot's motion goes to .csv or .pkl, not \"%s\"", path, ending);
    else
        gv_fail(err, GV_ERR_ARGUMENT, "%s: the ending \"%s\" is none of .bvh .glb .npz .pt .trc .csv .pkl", path,
                ending);
    return -1;
}

gv_status gv_export_check(const char *path, const gv_export_options *o, bool *needs_body, gv_error *err) {
    int row = row_of(path, o, err);
    *needs_body = row >= 0 && table[row].format == GLB;
    if (row < 0) return GV_ERR_ARGUMENT;
    bool robot = table[row].format == ROBOT_CSV || table[row].format == ROBOT_PICKLE;
    if (robot && !o->robot)
        return gv_fail(err, GV_ERR_ARGUMENT, "%s: a robot's motion needs --robot with its URDF or MJCF file", path);
    if (!robot && o->robot)
        return gv_fail(err, GV_ERR_ARGUMENT, "%s: %s is not a robot's motion", path, table[row].name);
    if (o->up_given && !table[row].axes) {
        bool z_up = robot || table[row].format == GV_MOTION_AMASS;
        if (o->z_up != z_up)
            return gv_fail(err, GV_ERR_ARGUMENT, "%s: %s is always %c up", path, table[row].name, z_up ? 'z' : 'y');
    }
    if (o->unit_m > 0 && o->unit_m != 1 && !table[row].axes)
        return gv_fail(err, GV_ERR_ARGUMENT, "%s: %s is always in metres", path, table[row].name);
    return GV_OK;
}

gv_status gv_export_name(char *out, size_t size, const char *path, const gv_export_people *p, int k,
                         const gv_export_options *o, gv_error *err) {
    int row = row_of(path, o, err), n;
    if (row < 0) return GV_ERR_ARGUMENT;
    const char *ending = ending_of(path);
    if (p->people == 1 || table[row].format == GLB)
        n = snprintf(out, size, "%s", path);
    else
        n = snprintf(out, size, "%.*s-%d%s", (int)(ending - path), path, p->number[k], ending);
    return n < (int)size ? GV_OK : gv_fail(err, GV_ERR_ARGUMENT, "%.60s...: too long a name", path);
}

static gv_status export_robot(const gv_motion *m, const char *path, int format, const char *description,
                              gv_error *err) {
    gv_robot *robot = NULL;
    gv_robot_motion moved = {0};
    gv_status status = gv_robot_open(&robot, description, err);
    if (status == GV_OK) status = gv_robot_retarget(&moved, robot, m, description, err);
    if (status == GV_OK)
        status = format == ROBOT_CSV ? gv_robot_motion_csv(&moved, robot, path, err)
                                     : gv_robot_motion_pickle(&moved, path, err);
    gv_robot_motion_free(&moved);
    gv_robot_close(robot);
    return status;
}

static gv_status export_one(const gv_motion *m, const char *path, int row, const gv_export_options *o, gv_error *err) {
    gv_motion resampled = {0};
    bool even;
    double rate = gv_motion_mean_rate(m, &even);
    gv_status status = GV_OK;
    if (!even && table[row].even) {
        status = gv_motion_resample(&resampled, m, m->time_sec[0], rate, path, err);
        m = &resampled;
    }
    gv_motion_axes axes = {.z_up = o->z_up, .unit_m = o->unit_m};
    if (status == GV_OK)
        status = table[row].format >= ROBOT_CSV
                     ? export_robot(m, path, table[row].format, o->robot, err)
                     : gv_motion_export(m, (gv_motion_format)table[row].format, &axes, path, err);
    gv_motion_free(&resampled);
    return status;
}

gv_status gv_export(const gv_export_people *p, const gv_body *body, const char *path, const gv_export_options *o,
                    gv_error *err) {
    bool needs_body;
    gv_status status = gv_export_check(path, o, &needs_body, err);
    if (status != GV_OK) return status;
    if (needs_body) return gv_glb_write(p, body, path, err);
    int row = row_of(path, o, err);
    for (int k = 0; k < p->people && status == GV_OK; k++) {
        char name[PATH];
        status = gv_export_name(name, sizeof name, path, p, k, o, err);
        if (status == GV_OK) status = export_one(p->motion + k, name, row, o, err);
    }
    return status;
}
