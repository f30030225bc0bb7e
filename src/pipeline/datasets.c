// datasets.c - where each of the three data sets keeps what.
#include "pipeline/datasets.h"
#include "base/memory.h"
#include "camera/intrinsics.h"
#include "formats/tensors.h"
#include "network/network.h"
#include "pipeline/mirror.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES = 3, PATH = 4096, LONGEST = 1 << 20 };

struct gv_dataset {
    gv_dataset_kind kind;
    char folder[2048];
    gv_tensors *file[FILES]; // labels first
    const char **names;      // [count] point into the labels
    int count;
};

static const char *const files[][FILES] = {
    [GV_3DPW] = {"test_3dpw_gt_labels.pt", "preproc_test_bbx.pt", "preproc_test_kp2d_v0.pt"},
    [GV_EMDB1] = {"emdb_vit_v4.pt"},
    [GV_EMDB2] = {"emdb_vit_v4.pt"},
    [GV_RICH] = {"rich_test_labels.pt", "rich_test_preproc.pt", "cam2params.pt"}};

// The two splits of EMDB (Kaufmann et al. 2023, as GVHMR's hmr4d/dataset/emdb/utils.py lists them).
static const char *const emdb1[] = {"P1_14_outdoor_climb",
                                    "P2_23_outdoor_hug_tree",
                                    "P3_31_outdoor_workout",
                                    "P3_32_outdoor_soccer_warmup_a",
                                    "P3_33_outdoor_soccer_warmup_b",
                                    "P5_42_indoor_dancing",
                                    "P5_44_indoor_rom",
                                    "P6_49_outdoor_big_stairs_down",
                                    "P6_50_outdoor_workout",
                                    "P6_51_outdoor_dancing",
                                    "P7_57_outdoor_rock_chair",
                                    "P7_59_outdoor_rom",
                                    "P7_60_outdoor_workout",
                                    "P8_64_outdoor_skateboard",
                                    "P8_68_outdoor_handstand",
                                    "P8_69_outdoor_cartwheel",
                                    "P9_76_outdoor_sitting",
                                    NULL};
static const char *const emdb2[] = {"P0_09_outdoor_walk",
                                    "P2_19_indoor_walk_off_mvs",
                                    "P2_20_outdoor_walk",
                                    "P2_24_outdoor_long_walk",
                                    "P3_27_indoor_walk_off_mvs",
                                    "P3_28_outdoor_walk_lunges",
                                    "P3_29_outdoor_stairs_up",
                                    "P3_30_outdoor_stairs_down",
                                    "P4_35_indoor_walk",
                                    "P4_36_outdoor_long_walk",
                                    "P4_37_outdoor_run_circle",
                                    "P5_40_indoor_walk_big_circle",
                                    "P6_48_outdoor_walk_downhill",
                                    "P6_49_outdoor_big_stairs_down",
                                    "P7_55_outdoor_walk",
                                    "P7_56_outdoor_stairs_up_down",
                                    "P7_57_outdoor_rock_chair",
                                    "P7_58_outdoor_parcours",
                                    "P7_61_outdoor_sit_lie_walk",
                                    "P8_64_outdoor_skateboard",
                                    "P8_65_outdoor_walk_straight",
                                    "P9_77_outdoor_stairs_up",
                                    "P9_78_outdoor_stairs_up_down",
                                    "P9_79_outdoor_walk_rectangle",
                                    "P9_80_outdoor_walk_big_circle",
                                    NULL};

static bool belongs(gv_dataset_kind kind, const char *name) {
    const char *const *list = kind == GV_EMDB1 ? emdb1 : kind == GV_EMDB2 ? emdb2 : NULL;
    for (int i = 0; list && list[i]; i++)
        if (!strcmp(list[i], name)) return true;
    return !list;
}

gv_status gv_dataset_open(gv_dataset **out, gv_dataset_kind kind, const char *folder, gv_error *err) {
    gv_dataset *d = calloc(1, sizeof *d);
    *out = NULL;
    if (!d) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", folder);
    d->kind = kind;
    snprintf(d->folder, sizeof d->folder, "%s", folder);
    gv_status s = GV_OK;
    for (int i = 0; i < FILES && files[kind][i] && !s; i++) {
        char path[PATH];
        snprintf(path, sizeof path, "%s/%s", folder, files[kind][i]);
        s = gv_tensors_open_tree(&d->file[i], path, err);
    }
    int n = s ? 0 : gv_tensors_key_count(d->file[0]);
    if (!s && !(d->names = gv_calloc2((size_t)n, sizeof *d->names)))
        s = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %d names", folder, n);
    for (int i = 0; i < n && !s; i++) {
        const char *name = gv_tensors_key(d->file[0], i);
        if (belongs(kind, name)) d->names[d->count++] = name;
    }
    if (!s && !d->count)
        s = gv_fail(err, GV_ERR_EMPTY, "%s/%s: holds none of the data set's sequences", folder, files[kind][0]);
    if (s) {
        gv_dataset_close(d);
        return s;
    }
    *out = d;
    return GV_OK;
}

void gv_dataset_close(gv_dataset *d) {
    if (!d) return;
    for (int i = 0; i < FILES; i++) gv_tensors_close(d->file[i]);
    free(d->names);
    free(d);
}

int gv_dataset_count(const gv_dataset *d) {
    return d->count;
}

const char *gv_dataset_name(const gv_dataset *d, int i) {
    return d->names[i];
}

void gv_dataset_sequence_free(gv_dataset_sequence *q) {
    gv_observations_free(&q->seen);
    gv_observations_free(&q->mirrored);
    free(q->counts);
    free(q->pose);
    free(q->orient);
    free(q->transl);
    free(q->betas);
    free(q->T_w2c);
    *q = (gv_dataset_sequence){0};
}

// ---- one sequence

// The tensor name|key of a file, or just `name` where key is NULL; every number must be finite.
static float *read(gv_tensors *w, const char *name, const char *key, const int64_t *shape, int ndim, gv_error *err) {
    char path[PATH];
    snprintf(path, sizeof path, "%s%s%s", name, key ? "|" : "", key ? key : "");
    float *x = gv_tensors_read_f32(w, path, shape, ndim, err);
    const gv_tensor *t = x ? gv_tensors_find(w, path) : NULL;
    for (int64_t i = 0; x && i < t->count; i++)
        if (!isfinite(x[i])) {
            gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" holds %g at %lld", gv_tensors_path(w), path, x[i], (long long)i);
            free(x);
            return NULL;
        }
    return x;
}

static const char *text_of(const gv_tensors *w, const char *name, const char *key) {
    char path[PATH];
    snprintf(path, sizeof path, "%s|%s", name, key);
    return gv_tensors_metadata(w, path);
}

static int64_t first_extent(const gv_tensors *w, const char *name, const char *key) {
    char path[PATH];
    snprintf(path, sizeof path, "%s|%s", name, key);
    const gv_tensor *t = gv_tensors_find(w, path);
    return t && t->ndim > 0 ? t->shape[0] : 0;
}

// Width and height, numbers or a tensor of two.
static gv_status read_size(gv_tensors *w, const char *name, gv_observations *o, gv_error *err) {
    const char *text = text_of(w, name, "img_wh");
    double size[2] = {0};
    if (text && sscanf(text, "%lf,%lf", &size[0], &size[1]) != 2) size[0] = 0;
    if (!text) {
        float *x = read(w, name, "img_wh", (int64_t[]){2}, 1, err);
        if (!x) return err->status;
        size[0] = x[0], size[1] = x[1];
        free(x);
    }
    if (!(size[0] >= 1 && size[0] < 1e5 && size[1] >= 1 && size[1] < 1e5))
        return gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" has no size of its pictures", gv_tensors_path(w), name);
    o->width = (int)size[0];
    o->height = (int)size[1];
    return GV_OK;
}

// Parameters of the body: three keys of a dictionary.
static gv_status read_truth(gv_dataset_sequence *q, gv_tensors *w, const char *group, gv_error *err) {
    char name[PATH], path[PATH + 20];
    int64_t L = q->frames;
    snprintf(name, sizeof name, "%s|%s", q->name, group);
    snprintf(path, sizeof path, "%s|body_pose", name);
    const gv_tensor *t = gv_tensors_find(w, path);
    int64_t columns = t && t->ndim == 2 && t->shape[1] == GV_TARGET_POSE ? GV_TARGET_POSE : 63;
    float *pose = read(w, name, "body_pose", (int64_t[]){L, columns}, 2, err);
    if (!pose) return err->status;
    q->pose = gv_calloc2((size_t)L, GV_TARGET_POSE * sizeof(float));
    for (int64_t i = 0; i < L && q->pose; i++)
        memcpy(q->pose + GV_TARGET_POSE * i, pose + columns * i, (size_t)columns * sizeof *pose);
    free(pose);
    if (!q->pose) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %lld frames", q->name, (long long)L);
    if (!(q->orient = read(w, name, "global_orient", (int64_t[]){L, 3}, 2, err)) ||
        !(q->transl = read(w, name, "transl", (int64_t[]){L, 3}, 2, err)) ||
        !(q->betas = read(w, name, "betas", (int64_t[]){L, 10}, 2, err)))
        return err->status;
    const char *gender = text_of(w, q->name, "gender");
    q->gender = !gender                            ? GV_NEUTRAL
                : *gender == 'm' || *gender == 'M' ? GV_MALE
                : *gender == 'f' || *gender == 'F' ? GV_FEMALE
                                                   : GV_NEUTRAL;
    return GV_OK;
}

static gv_status read_mask(gv_dataset_sequence *q, gv_tensors *w, const char *key, gv_error *err) {
    q->counts = gv_calloc2((size_t)q->frames, 1);
    if (!q->counts) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", q->name);
    if (!key) return memset(q->counts, 1, (size_t)q->frames), GV_OK;
    float *mask = read(w, q->name, key, (int64_t[]){q->frames}, 1, err);
    if (!mask) return err->status;
    for (int t = 0; t < q->frames; t++) q->counts[t] = mask[t] != 0;
    free(mask);
    return GV_OK;
}

// Moves a tensor of the sequence into an array of the observations.
static gv_status take(float *to, gv_tensors *w, const char *name, const char *key, int frames, int a, int b,
                      gv_error *err) {
    float *x = read(w, name, key, (int64_t[]){frames, a, b}, b ? 3 : 2, err);
    if (!x) return err->status;
    memcpy(to, x, sizeof *x * (size_t)frames * (size_t)a * (size_t)(b ? b : 1));
    free(x);
    return GV_OK;
}

// The camera of every frame: T [4, 4] one for all or [L, 4, 4], K [9].
static void set_camera(gv_dataset_sequence *q, const float *T, bool one, const float *K) {
    for (int t = 0; t < q->frames; t++) {
        const float *from = T + (one ? 0 : 16 * (size_t)t);
        memcpy(q->T_w2c + 16 * (size_t)t, from, sizeof(float[16]));
        for (int r = 0; r < 3; r++) memcpy(q->seen.R_w2c + 9 * (size_t)t + 3 * r, from + 4 * r, sizeof(float[3]));
        memcpy(q->seen.K + 9 * (size_t)t, K, sizeof(float[9]));
    }
}

static gv_status read_camera(gv_dataset_sequence *q, gv_dataset *d, gv_error *err) {
    gv_tensors *w = d->file[0];
    float *T = NULL, *K = NULL;
    gv_status s = GV_OK;
    if (d->kind == GV_RICH) { // "test/Gym_013_burpee4/cam_06": camera 6 of Gym
        char key[PATH];
        const char *scene = strchr(q->name, '/'), *camera = strrchr(q->name, '_');
        if (!scene || !camera) return gv_fail(err, GV_ERR_FORMAT, "%s: no scene and camera in the name", q->name);
        snprintf(key, sizeof key, "%.*s_%d", (int)strcspn(scene + 1, "_/"), scene + 1, atoi(camera + 1));
        T = read(d->file[2], key, "0", (int64_t[]){4, 4}, 2, err);
        K = T ? read(d->file[2], key, "1", (int64_t[]){3, 3}, 2, err) : NULL;
    } else {
        T = read(w, q->name, "T_w2c", (int64_t[]){q->frames, 4, 4}, 3, err);
        if (T && d->kind == GV_3DPW) K = read(w, q->name, "K_fullimg", (int64_t[]){3, 3}, 2, err);
        if (T && d->kind != GV_3DPW && !(K = gv_calloc2(9, sizeof *K)))
            gv_fail(err, GV_ERR_MEMORY, "%s: no memory", q->name);
        if (K && d->kind != GV_3DPW) { // EMDB's lens counts as unknown
            float f = (float)gv_focal_default(q->seen.width, q->seen.height);
            memcpy(K, (float[]){f, 0, (float)q->seen.width / 2, 0, f, (float)q->seen.height / 2, 0, 0, 1},
                   sizeof(float[9]));
        }
    }
    if (K)
        set_camera(q, T, d->kind == GV_RICH, K);
    else
        s = err->status;
    free(T);
    free(K);
    return s;
}

// The features of a picture's crops, from a file of their own: its `features`, and its boxes where asked for.
static gv_status read_features(gv_observations *o, const gv_dataset *d, const char *folder, const char *name,
                               bool boxes, gv_error *err) {
    char path[PATH];
    gv_tensors *w = NULL;
    snprintf(path, sizeof path, "%s/imgfeats/%s/%s.pt", d->folder, folder, name);
    gv_status s = gv_tensors_open_tree(&w, path, err);
    if (s) return s;
    o->f_imgseq = read(w, "features", NULL, (int64_t[]){o->frames, GV_IMAGE_FEATURE}, 2, err);
    if (!o->f_imgseq) s = err->status;
    float *box = boxes && !s ? read(w, "bbx_xys", NULL, (int64_t[]){o->frames, 3}, 2, err) : NULL;
    if (box) memcpy(o->bbx_xys, box, (size_t)o->frames * sizeof(float[3]));
    if (boxes && !s && !box) s = err->status;
    free(box);
    gv_tensors_close(w);
    return s;
}

static gv_status read_seen(gv_dataset_sequence *q, gv_dataset *d, bool images, gv_error *err) {
    gv_observations *o = &q->seen;
    int L = q->frames;
    gv_status s = GV_OK;
    const char *features = NULL;
    gv_tensors *w = d->file[0];
    if (d->kind == GV_3DPW) {
        s = read_size(w, q->name, o, err);
        if (!s) s = take(o->bbx_xys, d->file[1], q->name, "bbx_xys", L, 3, 0, err);
        if (!s) s = take(o->kp2d, d->file[2], q->name, NULL, L, 17, 3, err);
        if (!s && images) s = read_features(o, d, "3dpw_test", q->name, false, err);
    } else if (d->kind == GV_RICH) {
        w = d->file[1];
        features = "f_imgseq";
        s = read_size(w, q->name, o, err);
    } else {
        features = "features";
        bool small = !strcmp(q->name, "P0_09_outdoor_walk"); // the only one of another size
        o->width = small ? 720 : 1440;
        o->height = small ? 960 : 1920;
    }
    if (!features || s) return s;
    s = take(o->bbx_xys, w, q->name, "bbx_xys", L, 3, 0, err);
    if (!s) s = take(o->kp2d, w, q->name, "kp2d", L, 17, 3, err);
    if (!s && images && !(o->f_imgseq = read(w, q->name, features, (int64_t[]){L, GV_IMAGE_FEATURE}, 2, err)))
        s = err->status;
    return s;
}

static void hide_uncounted(gv_observations *o, const unsigned char *counts) {
    for (int t = 0; t < o->frames; t++)
        for (int k = 0; k < 17 && !counts[t]; k++) o->kp2d[51 * (size_t)t + 3 * k + 2] = 0;
}

gv_status gv_dataset_read(gv_dataset_sequence *q, gv_dataset *d, int i, bool flip, bool images, gv_error *err) {
    static const char *const masks[] = {[GV_3DPW] = "mask_wham", [GV_EMDB1] = "mask", [GV_EMDB2] = "mask"};
    const char *mask = d->kind == GV_RICH ? NULL : masks[d->kind],
               *group = d->kind == GV_RICH ? "gt_smplx_params" : "smpl_params";
    *q = (gv_dataset_sequence){0};
    snprintf(q->name, sizeof q->name, "%s", d->names[i]);
    char where[64];
    snprintf(where, sizeof where, "%s|global_orient", group);
    int64_t L = first_extent(d->file[0], q->name, where);
    if (L < 4 || L > LONGEST)
        return gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\": %lld frames of the truth, expected 4 or more",
                       gv_tensors_path(d->file[0]), q->name, (long long)L);
    q->frames = (int)L;
    q->T_w2c = gv_calloc2((size_t)L, sizeof(float[16]));
    gv_status s = q->T_w2c ? gv_observations_alloc(&q->seen, q->frames, err)
                           : gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %lld frames", q->name, (long long)L);
    if (!s) s = read_truth(q, d->file[0], group, err);
    if (!s) s = read_mask(q, d->file[0], mask, err);
    if (!s) s = read_seen(q, d, images, err);
    if (!s) s = read_camera(q, d, err);
    if (!s) hide_uncounted(&q->seen, q->counts);
    if (!s && flip) s = gv_mirror_observations(&q->mirrored, &q->seen, err);
    if (!s && flip && images)
        s = read_features(&q->mirrored, d, d->kind == GV_3DPW ? "3dpw_test_flip" : "emdb_flip", q->name, true, err);
    if (s) gv_dataset_sequence_free(q);
    return s;
}
