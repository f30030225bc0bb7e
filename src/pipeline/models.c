#include "pipeline/models.h"
#include "base/file.h"
#include "formats/tensors.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_PATH = 4096 };

// The layout of the reference's inputs/checkpoints. Where a folder has no file of that name, its only file with
// the ending is taken: yolov8n.pt, vitpose-b.pth.
typedef struct place {
    const char *folder, *name, *ending;
} place;
static const place places[GV_ROLES] = {
    [GV_ROLE_NETWORK] = {"gvhmr", "gvhmr_siga24_release.ckpt", ".ckpt"},
    [GV_ROLE_BODY] = {"body_models/smplx", "SMPLX_NEUTRAL.npz", NULL},
    [GV_ROLE_DETECTOR] = {"yolo", "yolov8x.pt", ".pt"},
    [GV_ROLE_KEYPOINTS] = {"vitpose", "vitpose-h-multi-coco.pth", ".pth"},
    [GV_ROLE_FEATURES] = {"hmr2", "epoch=10-step=25000.ckpt", ".ckpt"},
};

const char *gv_role_name(gv_role role) {
    static const char *const names[GV_ROLES] = {"network", "body", "detector", "keypoints", "features"};
    return names[role];
}

const char *gv_method_name(gv_method method) {
    static const char *const names[] = {"none", "file", "blazepose", "yolov8", "vitpose", "hmr2"};
    return names[method];
}

static bool is_file(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool ends_with(const char *name, const char *ending) {
    size_t n = strlen(name), k = strlen(ending);
    return n > k && !strcmp(name + n - k, ending);
}

static bool join(char *path, size_t size, const char *folder, const char *name) {
    int n = snprintf(path, size, "%s/%s", folder, name);
    return n > 0 && (size_t)n < size;
}

// The only file of a folder with an ending; false where there is none, or more than one.
static bool only_file(char *path, size_t size, const char *folder, const char *ending) {
    DIR *d = opendir(folder);
    int found = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.' && ends_with(e->d_name, ending) && join(path, size, folder, e->d_name)) found++;
    if (d) closedir(d);
    return found == 1 && is_file(path);
}

static bool in_folder(char *path, size_t size, const char *weights, gv_role role) {
    const place *p = &places[role];
    char folder[MAX_PATH];
    if (!join(folder, sizeof folder, weights, p->folder) || !join(path, size, folder, p->name)) return false;
    return is_file(path) || (p->ending && only_file(path, size, folder, p->ending));
}

static gv_status check_folder(const char *weights, gv_error *err) {
    struct stat st;
    if (strlen(weights) > MAX_PATH - 300 || stat(weights, &st) != 0 || !S_ISDIR(st.st_mode))
        return gv_fail(err, GV_ERR_IO, "%.900s: not a folder, expected one laid out like GVHMR's inputs/checkpoints",
                       weights);
    char path[MAX_PATH], list[600] = "";
    for (gv_role r = 0; r < GV_ROLES; r++) {
        if (in_folder(path, sizeof path, weights, r)) return GV_OK;
        size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%s/%s", r ? ", " : "", places[r].folder, places[r].name);
    }
    return gv_fail(err, GV_ERR_MISSING, "%.300s: has none of GVHMR's files; looked for %s", weights, list);
}

static gv_status set(gv_model_choice *c, gv_method method, const char *path, gv_error *err) {
    c->method = method;
    c->path = strdup(path);
    return c->path ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "%.900s: no memory", path);
}

static gv_status set_builtin(gv_model_choice *c, gv_method method, const char *name, gv_error *err) {
    c->method = method;
    c->path = gv_resource_find(name, err);
    return c->path ? GV_OK : GV_ERR_MISSING;
}

// Takes the weights folder's file of a role; *found says whether there was one.
static gv_status from_folder(gv_models *m, const char *weights, gv_role role, gv_method method, bool *found,
                             gv_error *err) {
    char path[MAX_PATH];
    *found = weights && in_folder(path, sizeof path, weights, role);
    if (!*found) return GV_OK;
    m->role[role].from_folder = true;
    return set(&m->role[role], method, path, err);
}

char *gv_network_find(const char *given, gv_error *err) {
    if (!given) return gv_resource_find("gvhmr-compact.safetensors", err);
    gv_error unused;
    char *own = is_file(given) || strchr(given, '/') ? NULL : gv_resource_find(given, &unused);
    char *path = own ? own : strdup(given);
    if (!path) gv_fail(err, GV_ERR_MEMORY, "%.900s: no memory", given);
    return path;
}

// Motion network and body: a given file, the folder's, the program's own.
static gv_status choose_file(gv_models *m, const gv_model_request *q, gv_role role, const char *given,
                             const char *builtin, gv_error *err) {
    if (given) {
        char *path = role == GV_ROLE_NETWORK ? gv_network_find(given, err) : strdup(given);
        m->role[role] = (gv_model_choice){.method = GV_METHOD_FILE, .path = path};
        return path ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "%.900s: no memory", given);
    }
    bool found;
    m->role[role].automatic = true;
    gv_status status = from_folder(m, q->weights, role, GV_METHOD_FILE, &found, err);
    return status != GV_OK || found ? status : set_builtin(&m->role[role], GV_METHOD_FILE, builtin, err);
}

static gv_status missing(const gv_model_request *q, gv_role role, const char *name, gv_error *err) {
    const place *p = &places[role];
    if (!q->weights)
        return gv_fail(err, GV_ERR_MISSING, "%s %s: needs its weights, as --%s FILE or in --weights DIR (%s/%s)",
                       gv_role_name(role), name, gv_role_name(role), p->folder, p->name);
    return gv_fail(err, GV_ERR_MISSING, "%s %s: %.600s has no %s/%s", gv_role_name(role), name, q->weights, p->folder,
                   p->name);
}

static const char *landmark_file(gv_blaze_model model) {
    static const char *const names[] = {"pose_landmark_lite.tflite", "pose_landmark_full.tflite",
                                        "pose_landmark_heavy.tflite"};
    return names[model];
}

static gv_status use_blazepose(gv_models *m, gv_role role, gv_error *err) {
    bool detector = role == GV_ROLE_DETECTOR;
    return set_builtin(&m->role[role], GV_METHOD_BLAZEPOSE,
                       detector ? "pose_solution_packed_assets.data" : landmark_file(m->landmarks), err);
}

static bool is_checkpoint(const char *path) {
    static const char *const endings[] = {".pt", ".pth", ".ckpt", ".safetensors"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends_with(path, endings[i])) return true;
    return false;
}

// Perception's roles: `released` is the reference's method, `own` what is there without its weights.
static gv_status choose_method(gv_models *m, const gv_model_request *q, gv_role role, const char *given,
                               gv_method released, gv_method own, gv_error *err) {
    gv_model_choice *c = &m->role[role];
    c->automatic = !given || !strcmp(given, "auto");
    bool found = false;
    if (c->automatic || !strcmp(given, gv_method_name(released))) {
        gv_status status = from_folder(m, q->weights, role, released, &found, err);
        if (status != GV_OK || found) return status;
        if (!c->automatic) return missing(q, role, given, err);
    } else if (strcmp(given, gv_method_name(own)) != 0) {
        struct stat st;
        if (stat(given, &st) != 0)
            return gv_fail(err, GV_ERR_MISSING, "--%s %.600s: no such file, expected auto, %s, %s or a file",
                           gv_role_name(role), given, gv_method_name(own), gv_method_name(released));
        bool points = role == GV_ROLE_KEYPOINTS && !is_checkpoint(given);
        return set(c, points ? GV_METHOD_FILE : released, given, err);
    }
    return own == GV_METHOD_BLAZEPOSE ? use_blazepose(m, role, err) : GV_OK;
}

// Keypoints made elsewhere say who is where: no detector is needed.
static gv_status find_by_points(gv_models *m, const gv_model_request *q, gv_error *err) {
    gv_model_choice *c = &m->role[GV_ROLE_DETECTOR];
    if (!c->automatic)
        return gv_fail(err, GV_ERR_ARGUMENT,
                       "--detector %.300s: the people are those of --keypoints %.500s; give one of them", q->detector,
                       q->keypoints);
    free(c->path);
    *c = (gv_model_choice){.automatic = true};
    return set(c, GV_METHOD_FILE, q->keypoints, err);
}

gv_status gv_models_choose(gv_models *m, const gv_model_request *q, gv_error *err) {
    *m = (gv_models){.landmarks = q->landmarks};
    gv_status status = q->weights ? check_folder(q->weights, err) : GV_OK;
    if (status == GV_OK) status = choose_file(m, q, GV_ROLE_NETWORK, q->network, "gvhmr-compact.safetensors", err);
    if (status == GV_OK) status = choose_file(m, q, GV_ROLE_BODY, q->body, "mannequin.npz", err);
    if (q->motion_only) goto done;
    if (status == GV_OK)
        status = choose_method(m, q, GV_ROLE_DETECTOR, q->detector, GV_METHOD_YOLOV8, GV_METHOD_BLAZEPOSE, err);
    if (status == GV_OK)
        status = choose_method(m, q, GV_ROLE_KEYPOINTS, q->keypoints, GV_METHOD_VITPOSE, GV_METHOD_BLAZEPOSE, err);
    if (status == GV_OK)
        status = choose_method(m, q, GV_ROLE_FEATURES, q->features, GV_METHOD_HMR2, GV_METHOD_NONE, err);
    if (status == GV_OK && m->role[GV_ROLE_KEYPOINTS].method == GV_METHOD_FILE) status = find_by_points(m, q, err);
done:
    if (status != GV_OK) gv_models_free(m);
    return status;
}

static gv_status check_tensor(const char *path, const char *network, const char *name, const int64_t *shape, int ndim,
                              gv_error *err) {
    gv_tensors *w = NULL;
    gv_status status = gv_tensors_open(&w, path, err);
    if (status != GV_OK) return status;
    const gv_tensor *t = gv_tensors_find(w, name);
    if (!t)
        status =
            gv_fail(err, GV_ERR_FORMAT, "%.500s: has no tensor \"%s\": not a checkpoint of %s", path, name, network);
    else if (t->ndim != ndim || memcmp(t->shape, shape, (size_t)ndim * sizeof *shape) != 0)
        status = gv_fail(err, GV_ERR_FORMAT,
                         "%.500s: tensor \"%s\" has %d dimensions and ends in %lld, expected %d and %lld", path, name,
                         t->ndim, t->ndim ? (long long)t->shape[t->ndim - 1] : 0LL, ndim, (long long)shape[ndim - 1]);
    gv_tensors_close(w);
    return status;
}

gv_status gv_models_check(const gv_models *m, gv_error *err) {
    const gv_model_choice *k = &m->role[GV_ROLE_KEYPOINTS], *f = &m->role[GV_ROLE_FEATURES];
    gv_status status = GV_OK;
    if (k->method == GV_METHOD_VITPOSE)
        status = check_tensor(k->path, "ViTPose", "keypoint_head.final_layer.bias", (int64_t[]){17}, 1, err);
    if (status == GV_OK && f->method == GV_METHOD_HMR2)
        status = check_tensor(f->path, "HMR2.0 with features of 1024 numbers", "smpl_head.transformer.pos_embedding",
                              (int64_t[]){1, 1, 1024}, 3, err);
    return status;
}

void gv_models_free(gv_models *m) {
    for (int r = 0; r < GV_ROLES; r++) free(m->role[r].path);
    *m = (gv_models){0};
}

void gv_models_drop_features(gv_models *m) {
    gv_model_choice *c = &m->role[GV_ROLE_FEATURES];
    if (!c->automatic) return;
    free(c->path);
    *c = (gv_model_choice){.automatic = true};
}

void gv_models_describe(const gv_models *m, char *text, size_t size) {
    static const gv_role order[] = {GV_ROLE_DETECTOR, GV_ROLE_KEYPOINTS, GV_ROLE_FEATURES, GV_ROLE_NETWORK,
                                    GV_ROLE_BODY};
    size_t n = 0;
    int first = m->role[GV_ROLE_DETECTOR].method == GV_METHOD_NONE ? 3 : 0; // motion only
    for (int i = first; i < GV_ROLES && n < size; i++) {
        const gv_model_choice *c = &m->role[order[i]];
        const char *slash = c->path ? strrchr(c->path, '/') : NULL, *name = slash ? slash + 1 : c->path;
        n += (size_t)snprintf(text + n, size - n, "%s%s", i > first ? ", " : "", gv_role_name(order[i]));
        bool points = c->method == GV_METHOD_FILE && order[i] == GV_ROLE_DETECTOR;
        if (n < size && (c->method != GV_METHOD_FILE || points))
            n += (size_t)snprintf(text + n, size - n, " %s", points ? "from keypoints" : gv_method_name(c->method));
        if (points) continue;
        if (n < size && name)
            n += (size_t)snprintf(text + n, size - n, c->method == GV_METHOD_FILE ? " %s" : " (%s)", name);
    }
}
