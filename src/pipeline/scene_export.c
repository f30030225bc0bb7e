#include "pipeline/scene_export.h"
#include "exports/export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PATH = 4096 };
static const char default_list[] = "glb,bvh";
static const struct {
    const char *name, *file; // file: with %d per person, else for everybody
} kinds[] = {{"glb", "scene.glb"},     {"bvh", "person-%d.bvh"}, {"amass", "person-%d-amass.npz"},
             {"trc", "person-%d.trc"}, {"csv", "person-%d.csv"}, {"pt", "person-%d.pt"}};
enum { KINDS = sizeof kinds / sizeof *kinds };

// The kind whose name begins at *list, which is moved behind it and its comma; -1: unknown.
static int next_kind(const char **list) {
    size_t n = strcspn(*list, ",");
    int found = -1;
    for (int i = 0; i < KINDS; i++)
        if (strlen(kinds[i].name) == n && !strncasecmp(*list, kinds[i].name, n)) found = i;
    *list += n;
    if (**list == ',') ++*list;
    return found;
}

gv_status gv_scene_export_check(const char *list, gv_error *err) {
    if (!list || !strcmp(list, "none")) return GV_OK;
    if (!*list)
        return gv_fail(err, GV_ERR_ARGUMENT, "no format to export given: glb, bvh, amass, trc, csv, pt or none");
    while (*list) {
        const char *word = list;
        if (next_kind(&list) < 0)
            return gv_fail(err, GV_ERR_ARGUMENT, "\"%.*s\" cannot be exported: glb, bvh, amass, trc, csv, pt or none",
                           (int)strcspn(word, ","), word);
    }
    return GV_OK;
}

static gv_status export_kind(const gv_export_people *p, const gv_body *body, int kind, const char *folder,
                             gv_error *err) {
    gv_export_options o = {.format = kinds[kind].name};
    gv_status status = GV_OK;
    bool whole = !strchr(kinds[kind].file, '%');
    for (int k = 0; k < (whole ? 1 : p->people) && status == GV_OK; k++) {
        gv_export_people one = {.people = 1, .motion = p->motion + k, .number = p->number + k};
        char path[PATH];
        int n = snprintf(path, sizeof path, "%s/", folder);
        if (whole)
            n += snprintf(path + n, sizeof path - (size_t)n, "%s", kinds[kind].file);
        else
            n += snprintf(path + n, sizeof path - (size_t)n, "person-%d%s", k + 1,
                          kinds[kind].file + strlen("person-%d"));
        if (n >= (int)sizeof path) return gv_fail(err, GV_ERR_ARGUMENT, "%.60s...: too long a name", folder);
        status = gv_export(whole ? p : &one, body, path, &o, err);
    }
    return status;
}

gv_status gv_scene_export(const gv_scene *scene, const gv_scene_observations *s, const gv_body *body, const char *list,
                          const char *folder, gv_error *err) {
    if (!list) list = default_list;
    if (!strcmp(list, "none")) return GV_OK;
    int *number = calloc((size_t)scene->people, sizeof *number);
    if (!number) return gv_fail(err, GV_ERR_MEMORY, "no memory for %d people", scene->people);
    for (int k = 0; k < scene->people; k++) number[k] = k + 1;
    gv_export_people p = {.people = scene->people,
                          .motion = scene->motion,
                          .number = number,
                          .camera = {.frames = s->camera.is_static ? 1 : (int)s->frames,
                                     .time_sec = s->time_sec,
                                     .R_w2c = scene->R_w2c,
                                     .t_w2c = scene->t_w2c,
                                     .fx = s->camera.focal_px,
                                     .fy = s->camera.focal_px,
                                     .width = s->width,
                                     .height = s->height}};
    gv_status status = GV_OK;
    while (*list && status == GV_OK) {
        int kind = next_kind(&list);
        if (kind >= 0) status = export_kind(&p, body, kind, folder, err);
    }
    free(number);
    return status;
}
