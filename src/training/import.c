// import.c - the list of clips, the joint map, forward kinematics of the captured skeleton; folders of other motions.
#include "training/import.h"
#include "base/file.h"
#include "base/memory.h"
#include "body/body.h"
#include "formats/motion_file.h"
#include "geometry/rotation.h"
#include "training/bvh.h"
#include "training/motions.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { J = GV_STORE_JOINTS, MAX_PRODUCT = 4, FIELDS = 64, FOLDERS = 16 };
// One line of a CSV text, split in place: quotes may hold commas, "" is a quote. Returns the field count.
static int csv_line(char **text, char **field, int max) {
    char *p = *text;
    int n = 0;
    while (*p && n < max) {
        char *to = field[n++] = p;
        int quoted = 0;
        for (; *p && (quoted || (*p != ',' && *p != '\n')); p++) {
            if (*p == '"' && quoted && p[1] == '"')
                *to++ = *p++;
            else if (*p == '"')
                quoted = !quoted;
            else if (*p != '\r')
                *to++ = *p;
        }
        char stop = *p;
        if (stop) p++;
        *to = 0;
        if (stop != ',') break;
    }
    *text = p;
    return n;
}

static int column(char **field, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (!strcmp(field[i], name)) return i;
    return -1;
}

typedef struct joint_map {
    int index[J][MAX_PRODUCT], count[J];
} joint_map;

static gv_status resolve(joint_map *m, const gv_bvh *b, json_t *skeleton, const char *path, gv_error *err) {
    *m = (joint_map){0};
    for (int j = 0; j < J; j++) {
        json_t *list = json_object_get(skeleton, gv_joint_names[j]);
        if (!json_is_array(list) || json_array_size(list) > MAX_PRODUCT)
            return gv_fail(err, GV_ERR_FORMAT, "%s: the joint map has no list for \"%s\"", path, gv_joint_names[j]);
        for (size_t i = 0; i < json_array_size(list); i++) {
            const char *name = json_string_value(json_array_get(list, i));
            int k = name ? gv_bvh_find(b, name) : -1;
            if (k < 0)
                return gv_fail(err, GV_ERR_FORMAT, "%s: no joint \"%s\" for \"%s\"", path, name ? name : "?",
                               gv_joint_names[j]);
            m->index[j][m->count[j]++] = k;
        }
    }
    for (int i = 0; i < GV_STORE_FEET; i++)
        if (!m->count[gv_foot_joints[i]]) return gv_fail(err, GV_ERR_FORMAT, "%s: a skeleton without feet", path);
    if (!m->count[0] || !m->count[1] || !m->count[2])
        return gv_fail(err, GV_ERR_FORMAT, "%s: a skeleton without hips", path);
    return GV_OK;
}

// World transforms of all joints in frame t: R [joints, 9], x [joints, 3] in cm.
static void kinematics(const gv_bvh *b, int t, float *local, float *R, float *x) {
    for (int j = 0; j < b->joint_count; j++) {
        float p[3];
        gv_bvh_local(b, t, j, local + 9 * j, p);
        int k = b->joints[j].parent;
        if (k < 0) {
            memcpy(R + 9 * j, local + 9 * j, sizeof(float[9]));
            memcpy(x + 3 * j, p, sizeof p);
            continue;
        }
        gv_mat3_mul(R + 9 * j, R + 9 * k, local + 9 * j);
        gv_mat3_apply(x + 3 * j, R + 9 * k, p);
        for (int c = 0; c < 3; c++) x[3 * j + c] += x[3 * k + c];
    }
}

// scratch [joints, 9 + 9 + 3]
static void convert_frame(gv_clip_frames *d, int t, const gv_bvh *b, const joint_map *m, int source, float *scratch) {
    float *local = scratch, *R = local + 9 * b->joint_count, *x = R + 9 * b->joint_count;
    kinematics(b, source, local, R, x);
    for (int j = 0; j < J; j++) {
        float A[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, P[9];
        for (int i = 0; i < m->count[j]; i++) {
            gv_mat3_mul(P, A, local + 9 * m->index[j][i]);
            memcpy(A, P, sizeof A);
        }
        gv_rot_to_quat(d->rotation + ((size_t)t * J + (size_t)j) * 4, A);
    }
    for (int c = 0; c < 3; c++) {
        d->hips[3 * t + c] = 0.005f * (x[3 * m->index[1][0] + c] + x[3 * m->index[2][0] + c]);
        for (int i = 0; i < GV_STORE_FEET; i++)
            d->foot[(t * GV_STORE_FEET + i) * 3 + c] = 0.01f * x[3 * m->index[gv_foot_joints[i]][0] + c];
    }
}

static float leg_length(const gv_bvh *b, const joint_map *m) { // m, mean of both sides
    double sum = 0;
    for (int j = 4; j <= 8; j++) {
        if (j == 6 || !m->count[j]) continue; // knees and ankles
        const float *o = b->joints[m->index[j][0]].offset;
        sum += 0.005 * sqrt((double)o[0] * o[0] + (double)o[1] * o[1] + (double)o[2] * o[2]);
    }
    return (float)sum;
}

// Where feet are, seen from the hips, in the rest pose: below them, or the file has another axis up.
static gv_status check_rest_pose(const gv_bvh *b, const joint_map *m, const char *path, gv_error *err) {
    double down[3] = {0};
    for (int j = 4; j <= 8; j++)
        for (int c = 0; c < 3 && j != 6 && m->count[j]; c++) down[c] += b->joints[m->index[j][0]].offset[c];
    int most = 0;
    for (int c = 1; c < 3; c++)
        if (fabs(down[c]) > fabs(down[most])) most = c;
    if (most == 1 && down[1] < 0) return GV_OK;
    return gv_fail(err, GV_ERR_FORMAT, "%s: in the rest pose the feet are at %c%c of the hips, expected -y (y up)",
                   path, down[most] < 0 ? '-' : '+', 'x' + most);
}

static gv_status import_clip(gv_store_builder *out, gv_clip *clip, const char *path, json_t *skeleton, gv_error *err) {
    gv_bvh b = {0};
    joint_map m;
    gv_clip_frames d = {0};
    float *scratch = NULL;
    gv_status s = gv_bvh_load(&b, path, err);
    if (s) return s;
    s = resolve(&m, &b, skeleton, path, err);
    if (s) goto done;
    clip->leg = leg_length(&b, &m);
    if ((s = check_rest_pose(&b, &m, path, err))) goto done;
    if ((s = gv_clip_frames_alloc(&d, rint((b.frames - 1) * b.frame_time * 30) + 1, clip->leg, path, err))) goto done;
    if (!(scratch = gv_calloc2((size_t)b.joint_count, sizeof(float[21]))))
        s = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %d joints", path, b.joint_count);
    for (int t = 0; t < d.count && !s; t++) {
        int source = (int)lrint(t / 30.0 / b.frame_time); // nearest: sources are 30 fps or multiples
        convert_frame(&d, t, &b, &m, source < b.frames ? source : b.frames - 1, scratch);
    }
    for (int i = 0; i < 3 * d.count && !s; i++)
        if (!(fabsf(d.hips[i]) < 1e3f)) s = gv_fail(err, GV_ERR_FORMAT, "%s: the hips are %g m away", path, d.hips[i]);
    if (!s) {
        gv_store_stillness(d.still, d.foot, d.count);
        clip->frames = (uint32_t)d.count;
        s = gv_store_builder_add(out, clip, d.rotation, d.hips, d.still, err);
    }
done:
    gv_clip_frames_free(&d);
    free(scratch);
    gv_bvh_free(&b);
    return s;
}

static int wanted(const char *sources, const char *source) {
    if (!sources) return 1;
    size_t n = strlen(source);
    for (const char *p = sources; (p = strstr(p, source)); p += n)
        if ((p == sources || p[-1] == ',') && (p[n] == 0 || p[n] == ',')) return 1;
    return 0;
}

static gv_status import_list(gv_store_builder *out, char *text, json_t *skeletons, const gv_import_options *o,
                             gv_import_report *report, gv_error *err) {
    char *field[FIELDS];
    int n = csv_line(&text, field, FIELDS);
    int file = column(field, n, "file"), skeleton = column(field, n, "skeleton"), subject = column(field, n, "subject"),
        category = column(field, n, "category"), ground = column(field, n, "ground"),
        archive = column(field, n, "archive");
    if (file < 0 || skeleton < 0 || subject < 0 || category < 0)
        return gv_fail(err, GV_ERR_FORMAT, "%s: columns file, skeleton, subject and category are needed", o->list);
    while (*text) {
        n = csv_line(&text, field, FIELDS);
        if (n <= file || n <= skeleton || n <= subject || n <= category) continue; // an empty line
        const char *source = archive >= 0 && n > archive ? field[archive] : "";
        if (!wanted(o->sources, source)) continue;
        gv_clip clip = {.flat = ground < 0 || n <= ground || !strcmp(field[ground], "flat")};
        const char *base = strrchr(field[file], '/');
        snprintf(clip.name, sizeof clip.name, "%s", base ? base + 1 : field[file]);
        snprintf(clip.subject, sizeof clip.subject, "%s", field[subject]);
        snprintf(clip.category, sizeof clip.category, "%s", field[category]);
        snprintf(clip.source, sizeof clip.source, "%s", source);
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", o->root, field[file]);
        gv_error why = {0};
        json_t *map = json_object_get(skeletons, field[skeleton]);
        gv_status s = map ? import_clip(out, &clip, path, map, &why)
                          : gv_fail(&why, GV_ERR_FORMAT, "%s: no joint map for skeleton \"%s\"", path, field[skeleton]);
        if (s == GV_ERR_MEMORY) return gv_fail(err, s, "%s", why.text);
        if (s && o->dropped) o->dropped(o->user, why.text);
        report->dropped += s != GV_OK;
        report->clips += s == GV_OK;
        report->hours += s ? 0 : clip.frames / 108000.0;
    }
    return GV_OK;
}

// ---- folders of motions ----

typedef struct import {
    const gv_import_options *o;
    gv_import_report *report;
    gv_motion_bodies bodies;
    gv_motion_reader reader;
} import;

static void count_clip(void *user, int frames, const char *why) {
    import *i = user;
    if (why && i->o->dropped) i->o->dropped(i->o->user, why);
    i->report->dropped += why != NULL;
    i->report->clips += why == NULL;
    i->report->hours += why ? 0 : frames / 108000.0;
}

static int ends_with(const char *name, const char *ending) {
    size_t n = strlen(name), k = strlen(ending);
    return n > k && !strcmp(name + n - k, ending);
}

static int is_pack(const char *name) { // as the reference calls them; other .pt files beside them are features
    static const char *const names[] = {"smplxpose_v2.pth", "smplpose_v2.pth", "smplxpose_v1.pt",
                                        "train_refit_smplx.pt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) return 1;
    return 0;
}

// `inside`: the folders between the one that was named and the file, "" for none.
static gv_status import_file(import *i, const char *path, const char *inside, gv_error *err) {
    gv_clip *c = &i->reader.texts;
    *c = (gv_clip){0};
    snprintf(c->category, sizeof c->category, "%s", i->o->category ? i->o->category : "");
    snprintf(c->licence, sizeof c->licence, "%s", i->o->licence ? i->o->licence : "");
    if (!ends_with(path, ".npz")) return gv_motion_read_pack(&i->reader, path, err);
    int first = (int)strcspn(inside, "/");
    snprintf(c->source, sizeof c->source, "%.*s", first && first < 31 ? first : 5, first ? inside : "AMASS");
    snprintf(c->subject, sizeof c->subject, "%.31s", *inside ? inside : "unknown");
    for (char *p = c->subject; *p; p++) *p = *p == '/' || *p == ',' ? '_' : *p;
    if (!*c->category) snprintf(c->category, sizeof c->category, "%.31s", first ? c->source : "mixed");
    return gv_motion_read_npz(&i->reader, path, err);
}

static gv_status import_folder(import *i, const char *path, const char *inside, int depth, gv_error *err) {
    char **names;
    gv_status s = gv_folder_list(&names, path, err);
    for (int k = 0; !s && names[k]; k++) {
        const char *name = names[k];
        char full[4096], within[4096];
        struct stat st;
        int fits = snprintf(full, sizeof full, "%s/%s", path, name) < (int)sizeof full &&
                   snprintf(within, sizeof within, "%s%s%s", inside, *inside ? "/" : "", name) < (int)sizeof within;
        if (name[0] == '.' || !fits || stat(full, &st)) continue;
        if (S_ISDIR(st.st_mode) && depth < FOLDERS)
            s = import_folder(i, full, within, depth + 1, err);
        else if (S_ISREG(st.st_mode) && (ends_with(name, ".npz") || is_pack(name)))
            s = import_file(i, full, inside, err);
    }
    free(names);
    return s;
}

static gv_status import_paths(gv_store_builder *out, const gv_import_options *o, gv_import_report *report,
                              gv_error *err) {
import i = {.o = o, .report = report, .bodies = {.folder = o->bodies } };
    i.reader = (gv_motion_reader){.out = out, .bodies = &i.bodies, .done = count_clip, .user = &i};
    gv_status s = GV_OK;
    for (int k = 0; k < o->path_count && !s; k++) {
        struct stat st;
        if (stat(o->paths[k], &st))
            s = gv_fail(err, GV_ERR_IO, "%s: cannot be read", o->paths[k]);
        else
            s = S_ISDIR(st.st_mode) ? import_folder(&i, o->paths[k], "", 0, err)
                                    : import_file(&i, o->paths[k], "", err);
    }
    gv_motion_bodies_close(&i.bodies);
    return s;
}

static gv_status import_bvh(gv_store_builder *out, const gv_import_options *o, gv_import_report *report,
                            gv_error *err) {
    unsigned char *text = NULL;
    size_t size;
    json_error_t je;
    gv_status s = gv_file_read(o->list, 0, &text, &size, err);
    if (s) return s;
    json_t *map = json_load_file(o->map, 0, &je), *skeletons = json_object_get(map, "skeletons");
    if (!json_is_object(skeletons))
        s = gv_fail(err, GV_ERR_FORMAT, "%s: no joint map: %s", o->map, map ? "\"skeletons\" is missing" : je.text);
    else
        s = import_list(out, (char *)text, skeletons, o, report, err);
    json_decref(map);
    free(text);
    return s;
}

gv_status gv_import_clips(const char *store_path, const gv_import_options *o, gv_import_report *report, gv_error *err) {
    *report = (gv_import_report){0};
    gv_store_builder *b = gv_store_builder_create();
    gv_status s = b ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory for the clips");
    if (!s && o->list) s = import_bvh(b, o, report, err);
    if (!s) s = import_paths(b, o, report, err);
    if (!s) s = gv_store_builder_write(b, store_path, err);
    gv_store_builder_destroy(b);
    return s;
}
