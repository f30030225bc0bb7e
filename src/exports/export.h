// export.h - motions as files of other programs: which format a file name means, and one call that writes it.
//
//     gv_export_people p;
//     gv_export_load(&p, (char *[]){"out"}, 1, 0, &err);                 // a folder of `gvhmr run`
//     gv_export(&p, body, "scene.glb", &(gv_export_options){0}, &err);
#pragma once
#include "exports/glb.h"
#include "formats/motion_export.h"
#include <stddef.h>

typedef struct gv_export_options {
    const char *format; // NULL: by the ending; else one of gv_export_formats
    const char *robot;  // URDF or MJCF file: .csv and .pkl are its joint trajectories
    bool up_given, z_up;
    double unit_m; // 0 = the format's own
} gv_export_options;

extern const char *const gv_export_formats; // "bvh, glb, amass, ...": for messages

// Whether the options and the name go together; what is wrong is said in one line. *needs_body: a body is required.
gv_status gv_export_check(const char *path, const gv_export_options *o, bool *needs_body, gv_error *err);

// Writes one file, or, where there are several people and the format holds but one, a file for each with -N before the
// ending. Unevenly spaced frames are resampled at their mean rate for formats that know no times. body: for GLB,
// else NULL.
gv_status gv_export(const gv_export_people *p, const gv_body *body, const char *path, const gv_export_options *o,
                    gv_error *err);

// The file that the k-th person goes to.
gv_status gv_export_name(char *out, size_t size, const char *path, const gv_export_people *p, int k,
                         const gv_export_options *o, gv_error *err);
