// gvhmr info: what a file holds and what it is missing, in plain words or as JSON.
//
// One function per kind of file fills a report; printing comes last.
#include "cli.h"
#include "base/file.h"
#include "base/jail.h"
#include "base/json_build.h"
#include "formats/motion_export.h"
#include "formats/npz.h"
#include "formats/observations.h"
#include "formats/tensors.h"
#include "network/network.h"
#include "video/video.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "gvhmr info FILE... - say what files hold and what they are missing\n\n"
    "Checkpoints, safetensors, body models, observations, motions, other .npz files, tflite graphs, videos.\n\n"
    "      --all    list every tensor or array\n"
    "      --json   the same as JSON, one object per file\n"
    "      --no-confinement   decode videos in this process, not in one without rights\n\n"
    "example: gvhmr info gvhmr_siga24_release.ckpt\n";

typedef struct report {
    json_t *root, *holds, *missing, *items;
    bool unconfined; // decodes here
} report;

static void report_kind(report *r, const char *kind) {
    gv_json_set(&r->root, "kind", json_string(kind));
}

// Names come from the files: control characters and what is no UTF-8 become '?'.
static json_t *clean_text(const char *source) {
    char text[1024];
    snprintf(text, sizeof text, "%s", source);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
    return gv_json_text(text);
}

static void append_text(json_t **list, const char *format, va_list ap) {
    char text[512];
    vsnprintf(text, sizeof text, format, ap);
    gv_json_append(list, clean_text(text));
}

__attribute__((format(printf, 2, 3))) static void holds(report *r, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    append_text(&r->holds, format, ap);
    va_end(ap);
}

__attribute__((format(printf, 2, 3))) static void missing(report *r, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    append_text(&r->missing, format, ap);
    va_end(ap);
}

static void report_item(report *r, const char *name, gv_dtype dtype, const int64_t *shape, int ndim) {
    json_t *item = json_object(), *list = json_array();
    for (int i = 0; i < ndim; i++) gv_json_append(&list, json_integer(shape[i]));
    gv_json_set(&item, "name", clean_text(name));
    gv_json_set(&item, "type", json_string(gv_dtype_name(dtype)));
    gv_json_set(&item, "shape", list);
    gv_json_append(&r->items, item);
}

// ---- tensors

static bool starts(const char *text, const char *prefix) {
    return !strncmp(text, prefix, strlen(prefix));
}

static int count_prefix(const gv_tensors *w, const char *prefix) {
    int n = 0;
    for (int i = 0; i < gv_tensors_count(w); i++) n += starts(gv_tensors_at(w, i)->name, prefix);
    return n;
}

static const gv_tensor *find_with(const gv_tensors *w, const char *prefix, const char *name) {
    char full[256];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return gv_tensors_find(w, full);
}

static int count_layers(const gv_tensors *w, const char *prefix, const char *pattern_before, const char *after) {
    int n = 0;
    for (char name[96]; n < 999; n++) {
        snprintf(name, sizeof name, "%s%d%s", pattern_before, n, after);
        if (!find_with(w, prefix, name)) break;
    }
    return n;
}

static bool same_shape(const gv_tensor *t, const gv_weight_spec *s) {
    bool same = t->ndim == s->ndim;
    for (int d = 0; d < s->ndim && same; d++) same = t->shape[d] == s->shape[d];
    return same;
}

// Every weight of the network against the one table of names and shapes.
static void describe_network(report *r, const gv_tensors *w, const char *prefix) {
    const gv_tensor *width = find_with(w, prefix, "final_layer.fc1.weight");
    int D = width && width->ndim == 2 && width->shape[0] < 1 << 16 ? (int)width->shape[0] : 512;
    int layers = count_layers(w, prefix, "blocks.", ".norm1.weight"),
        images = find_with(w, prefix, "imgseq_embedder.1.weight") != NULL;
    int n = gv_network_weight_table(NULL, 0, D, layers, images), absent = 0, present = 0;
    gv_weight_spec *table = calloc((size_t)n, sizeof *table);
    if (!table) return;
    long long parameters = 0;
    gv_network_weight_table(table, n, D, layers, images);
    for (int i = 0; i < n; i++) {
        const gv_tensor *t = find_with(w, prefix, table[i].name);
        if (t && same_shape(t, &table[i])) {
            parameters += t->count;
            present++;
        } else if (absent++ < 5) {
            missing(r, "the weight %s%s", table[i].name, t ? ", which has another shape" : "");
        }
    }
    if (absent > 5) missing(r, "%d more weights", absent - 5);
    free(table);
    report_kind(r, "GVHMR network");
    holds(r, "the motion network: %d layers of width %d, %lld parameters in %d tensors", layers, D, parameters,
          present);
    if (!images) missing(r, "the image feature embedder: the network works from keypoints, boxes and camera alone");
    const char *heads = gv_tensors_metadata(w, "num_heads");
    if (heads)
        holds(r, "the number of attention heads: %s", heads);
    else
        missing(r, "the number of attention heads, which no checkpoint holds: 8 unless --heads says otherwise");
    if (gv_tensors_count(w) > present) holds(r, "%d other tensors, which are not used", gv_tensors_count(w) - present);
}

static void describe_keys(report *r, const gv_tensors *w) {
    char list[400] = "";
    size_t n = 0;
    for (int i = 0; i < gv_tensors_key_count(w) && n < sizeof list - 1; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", gv_tensors_key(w, i));
    if (*list) holds(r, "at its top level: %s", list);
}

static void describe_tensors(report *r, const gv_tensors *w) {
    const char *prefix = find_with(w, "pipeline.denoiser3d.", "learned_pos_params") ? "pipeline.denoiser3d." : "";
    int vit = count_layers(w, "", "backbone.blocks.", ".norm1.weight");
    gv_json_set(&r->root, "container", json_string(gv_tensors_container(w)));
    if (find_with(w, prefix, "learned_pos_params")) {
        describe_network(r, w, prefix);
    } else if (vit && count_prefix(w, "keypoint_head.")) {
        report_kind(r, "ViTPose checkpoint");
        holds(r, "2D keypoint network: vision transformer of %d layers and a head of %d tensors", vit,
              count_prefix(w, "keypoint_head."));
    } else if (vit && count_prefix(w, "smpl_head.")) {
        report_kind(r, "HMR2 checkpoint");
        holds(r, "image feature network: vision transformer of %d layers and a decoder of %d tensors", vit,
              count_prefix(w, "smpl_head."));
    } else if (count_prefix(w, "model.") == gv_tensors_count(w)) {
        report_kind(r, "YOLO checkpoint");
        holds(r, "person detector: %d tensors", gv_tensors_count(w));
    } else if (find_with(w, "", "smpl_params_global.transl")) {
        const gv_tensor *t = find_with(w, "", "smpl_params_global.transl");
        report_kind(r, "GVHMR result");
        holds(r, "motion of one person, %lld frames, in the world and in the camera",
              (long long)(t->ndim ? t->shape[0] : 0));
    } else {
        report_kind(r, "weights of an unknown network");
        holds(r, "%d tensors, the first is %s", gv_tensors_count(w),
              gv_tensors_count(w) ? gv_tensors_at(w, 0)->name : "absent");
        missing(r, "names of any network that gvhmr knows");
    }
    describe_keys(r, w);
    for (int i = 0; i < gv_tensors_count(w); i++) {
        const gv_tensor *t = gv_tensors_at(w, i);
        report_item(r, t->name, t->dtype, t->shape, t->ndim);
    }
}

// ---- npz

static void check_members(report *r, const gv_npz *z, const char *const *names, const char *what) {
    for (; *names; names++)
        if (!gv_npz_find(z, *names)) missing(r, "%s%s", *names, what);
}

static void describe_body(report *r, gv_npz *z) {
    static const char *const needed[] = {"shapedirs", "J_regressor", "weights", "kintree_table", "f", NULL};
    const gv_array *v = gv_npz_find(z, "v_template"), *f = gv_npz_find(z, "f"), *s = gv_npz_find(z, "shapedirs");
    const gv_array *J = gv_npz_find(z, "J_regressor");
    report_kind(r, "body model");
    holds(r, "a mesh of %lld vertices and %lld triangles", (long long)(v->ndim ? v->shape[0] : 0),
          (long long)(f && f->ndim ? f->shape[0] : 0));
    if (J && J->ndim == 2)
        holds(r, "%lld joints%s", (long long)J->shape[0], J->shape[0] == 55 ? ", as SMPL-X has" : ", SMPL-X has 55");
    if (s && s->ndim == 3) holds(r, "%lld shape directions, of which the first 10 are used", (long long)s->shape[2]);
    check_members(r, z, needed, "");
    if (!gv_npz_find(z, "posedirs")) missing(r, "posedirs (pose correctives); the body is skinned without them");
    if (!gv_npz_find(z, "coco17_regressor"))
        missing(r, "coco17_regressor (where COCO's 17 keypoints lie on this body)");
}

static gv_status describe_observations(report *r, const char *path, gv_error *err) {
    gv_observations o;
    gv_status status = gv_observations_load(&o, path, err);
    if (status != GV_OK) return status;
    report_kind(r, "observations");
    double seen = 0;
    for (int t = 0; t < o.length; t++)
        for (int k = 0; k < 17; k++) seen += o.kp2d[51 * (size_t)t + 3 * (size_t)k + 2] > 0.5f;
    holds(r, "one person in %d frames from frame %d to %d, %.3f s at %.4g frames per second", o.length,
          o.frame_index[0], o.frame_index[o.length - 1], o.time_sec[o.length - 1] - o.time_sec[0], o.fps);
    holds(r, "boxes and 17 keypoints, %.0f %% of them with a confidence above 0.5", 100 * seen / (17.0 * o.length));
    holds(r, "focal length %.1f px in the first frame", (double)o.K[0]);
    if (o.R_w2c) holds(r, "camera rotation");
    if (o.cam_angvel) holds(r, "camera angular velocity");
    if (o.f_imgseq)
        holds(r, "image features");
    else
        missing(r, "f_imgseq (image features); the network is then told that there are none");
    if (!o.width) missing(r, "width and height of the picture");
    gv_observations_free(&o);
    return GV_OK;
}

static gv_status describe_motion(report *r, const char *path, gv_npz *z, gv_error *err) {
    static const char *const optional[] = {"static_prob", "K_fullimg",   "R_w2c",    "bbx_xys", "kp2d",
                                           "fps",         "frame_index", "time_sec", NULL};
    gv_motion m;
    gv_status status = gv_motion_load(&m, path, err);
    if (status != GV_OK) return status;
    report_kind(r, "motion");
    double way = 0;
    for (int t = 1; t < m.frames; t++) {
        const float *a = m.joints_world + 66 * (size_t)(t - 1), *b = a + 66;
        way += hypot((double)b[0] - (double)a[0], (double)b[2] - (double)a[2]);
    }
    bool even;
    double rate = gv_motion_mean_rate(&m, &even);
    holds(r, "one person in %d frames from frame %d to %d, %.3f s at %.4g frames per second%s", m.frames,
          m.frame_index[0], m.frame_index[m.frames - 1], m.time_sec[m.frames - 1] - m.time_sec[0], rate,
          even ? "" : " on average, unevenly spaced");
    holds(r, "pose of 21 joints, 10 shape values, orientation and position in the world and in the camera");
    holds(r, "a way of %.2f m over the ground", way);
    if (m.extra_count) holds(r, "%d arrays of raw network output", m.extra_count);
    check_members(r, z, optional, "");
    gv_motion_free(&m);
    return GV_OK;
}

static gv_status describe_npz(report *r, const char *path, gv_npz *z, bool pickled, gv_error *err) {
    gv_status status = GV_OK;
    if (gv_npz_find(z, "v_template") && gv_npz_find(z, "v_template")->ndim == 2) {
        describe_body(r, z);
    } else if (gv_npz_find(z, "body_pose") && gv_npz_find(z, "joints_world")) {
        status = describe_motion(r, path, z, err);
    } else if (gv_npz_find(z, "bbx_xys") && gv_npz_find(z, "kp2d")) {
        status = describe_observations(r, path, err);
    } else {
        report_kind(r, pickled ? "pickled arrays" : "NumPy archive");
        holds(r, "%d arrays", gv_npz_count(z));
        missing(r, "the members of a motion (body_pose, joints_world), of observations (bbx_xys, kp2d) or of a body "
                   "model (v_template)");
    }
    gv_json_set(&r->root, "container", json_string(pickled ? "pickle" : "npz"));
    for (int i = 0; i < gv_npz_count(z); i++) {
        const gv_array *a = gv_npz_at(z, i);
        report_item(r, a->name, a->dtype, a->shape, a->ndim);
    }
    return status;
}

// ---- which kind

static gv_status describe_video(report *r, const char *path, gv_error *err) {
    gv_video *v = NULL;
    gv_jail *jail = NULL;
    gv_status status = r->unconfined ? GV_OK : gv_jail_create(&jail, err);
    if (status == GV_OK) status = gv_video_open(&v, path, &(gv_video_options){.jail = jail}, err);
    if (status != GV_OK) {
        gv_jail_destroy(jail);
        return status != GV_ERR_FORMAT
                   ? status
                   : gv_fail(err, status, "%s: none of the files gvhmr knows: weights, .npz, .tflite or a video", path);
    }
    const gv_video_info *info = gv_video_get_info(v);
    report_kind(r, "video");
    holds(r, "%d x %d pixels, %s in %s", info->width, info->height, info->codec, info->container);
    if (info->fps > 0) holds(r, "%.4g frames per second, %.2f s", info->fps, info->duration_sec);
    holds(r, "what `gvhmr run %s -o DIR` takes", path);
    gv_video_close(v);
    gv_jail_destroy(jail);
    return GV_OK;
}

static bool looks_like_weights(const unsigned char *head, size_t n) {
    return (n >= 5 && head[0] == 0x80 && head[2] == 0x8a) || (n >= 9 && head[8] == '{');
}

static gv_status describe(report *r, const char *path, gv_error *err) {
    unsigned char head[16] = {0};
    FILE *f = fopen(path, "rb");
    if (!f) return gv_fail(err, GV_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    size_t n = fread(head, 1, sizeof head, f);
    fclose(f);
    if (n >= 8 && !memcmp(head + 4, "TFL3", 4)) {
        report_kind(r, "TensorFlow Lite graph");
        holds(r, "a network for perception, as in the package @mediapipe/pose");
        return GV_OK;
    }
    bool zip = n >= 4 && !memcmp(head, "PK\3\4", 4);
    bool pickle = n >= 3 && ((head[0] == 0x80 && head[1] <= 5 && head[2] != 0x8a) || !memcmp(head, "(d", 2));
    gv_npz *z = NULL;
    if ((zip || pickle) && gv_npz_open(&z, path, err) == GV_OK && gv_npz_count(z) > 0) {
        gv_status status = describe_npz(r, path, z, pickle, err);
        gv_npz_close(z);
        return status;
    }
    if (pickle) return err->status;
    bool arrays = zip && !z; // has .npy members that cannot be read, or is no zip archive
    gv_npz_close(z);
    if (!zip && !looks_like_weights(head, n)) return describe_video(r, path, err);
    gv_tensors *w = NULL;
    gv_error npz_error = *err;
    gv_status status = gv_tensors_open(&w, path, err);
    if (status == GV_OK)
        describe_tensors(r, w);
    else if (arrays && strstr(err->text, "data.pkl"))
        *err = npz_error;
    gv_tensors_close(w);
    return status;
}

static void print_plain(const char *path, const report *r, bool all) {
    size_t i;
    json_t *text;
    printf("%s: %s\n", path, json_string_value(json_object_get(r->root, "kind")));
    json_array_foreach(r->holds, i, text) printf("  holds    %s\n", json_string_value(text));
    json_array_foreach(r->missing, i, text) printf("  missing  %s\n", json_string_value(text));
    if (!all) return;
    json_array_foreach(r->items, i, text) {
        char *shape = gv_json_dump(json_object_get(text, "shape"), JSON_COMPACT);
        printf("  %-8s %s %s\n", json_string_value(json_object_get(text, "type")),
               json_string_value(json_object_get(text, "name")), shape ? shape : "");
        free(shape);
    }
}

static int info(const char *path, bool json, bool all, bool unconfined) {
    gv_error err = {0};
    report r = {json_object(), json_array(), json_array(), json_array(), unconfined};
    gv_json_set(&r.root, "file", clean_text(path));
    gv_json_set(&r.root, "holds", json_incref(r.holds));
    gv_json_set(&r.root, "missing", json_incref(r.missing));
    gv_status status = describe(&r, path, &err);
    if (all) gv_json_set(&r.root, "items", json_incref(r.items));
    char *text = status == GV_OK && json ? gv_json_dump(r.root, JSON_INDENT(1)) : NULL;
    if (status == GV_OK && (!r.root || !r.holds || !r.missing || !r.items || (json && !text)))
        status = gv_fail(&err, GV_ERR_MEMORY, "%s: no memory to describe it", path);
    if (status == GV_OK && json)
        puts(text);
    else if (status == GV_OK)
        print_plain(path, &r, all);
    free(text);
    json_decref(r.items);
    json_decref(r.missing);
    json_decref(r.holds);
    json_decref(r.root);
    return status == GV_OK ? 0 : gv_cli_fail(&err);
}

int gv_cmd_info(int argc, char **argv) {
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"all", no_argument, NULL, 'a'},
                                            {"no-confinement", no_argument, NULL, 'u'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    bool json = false, all = false, unconfined = false;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (c == 'j')
            json = true;
        else if (c == 'a')
            all = true;
        else if (c == 'u')
            unconfined = true;
        else if (c == 'h')
            return fputs(help, stdout), 0;
        else
            return gv_cli_usage("info", "\"%s\" is unknown", argv[optind - 1]);
    }
    if (optind == argc) return gv_cli_usage("info", "expected a file");
    int result = 0;
    for (; optind < argc; optind++)
        if (info(argv[optind], json, all, unconfined) != 0) result = 1;
    return result;
}
