// motions.c - the layouts.
#include "training/motions.h"
#include "base/memory.h"
#include "formats/npz.h"
#include "formats/tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NEUTRAL, MALE, FEMALE, GENDERS };

// ---- bodies ----

void gv_motion_bodies_close(gv_motion_bodies *b) {
    for (int i = 0; i < GENDERS; i++) gv_body_close(b->body[i]);
    *b = (gv_motion_bodies){0};
}

static gv_status body_of(const gv_body **out, gv_motion_bodies *b, int gender, gv_error *err) {
    static const char *const names[GENDERS] = {"NEUTRAL", "MALE", "FEMALE"};
    char path[4096];
    if (!b->folder) gender = NEUTRAL;
    snprintf(path, sizeof path, "%s/SMPLX_%s.npz", b->folder ? b->folder : "", names[gender]);
    gv_status s = GV_OK;
    if (!b->body[gender]) s = gv_body_open_skeleton(&b->body[gender], b->folder ? path : NULL, err);
    *out = b->body[gender];
    return s;
}

// Tells of one clip; passes on what ends the whole import.
static gv_status tell(gv_motion_reader *r, gv_status s, int frames, gv_error *why, gv_error *err) {
    if (s == GV_ERR_MEMORY) return gv_fail(err, s, "%s", why->text);
    r->done(r->user, frames, s ? why->text : NULL);
    return GV_OK;
}

static int frames_at_30(const gv_smpl_motion *m) {
    return (int)((m->frames - 1) / m->fps * 30 + 1e-6) + 1;
}

// ---- AMASS ----

static int gender_of(gv_npz *z) {
    const gv_array *a = gv_npz_find(z, "gender");
    int gender = NEUTRAL;
    int64_t count = 0;
    gv_error ignored;
    char **text = a && (a->dtype == GV_UNICODE || a->dtype == GV_BYTES) && a->count == 1
                      ? gv_npz_read_strings(z, "gender", &count, &ignored)
                      : NULL;
    if (text && count == 1) {
        const char *t = !strncmp(text[0], "b'", 2) ? text[0] + 2 : text[0]; // bytes that were printed as text
        gender = t[0] == 'm' || t[0] == 'M' ? MALE : t[0] == 'f' || t[0] == 'F' ? FEMALE : NEUTRAL;
    }
    free(text);
    return gender;
}

// [frames, 66]; *columns: of `poses`, 0 where root and body come apart.
static float *read_poses(gv_npz *z, int64_t *frames, int64_t *columns, gv_error *err) {
    const gv_array *a = gv_npz_find(z, "poses");
    int apart = gv_npz_find(z, "root_orient") && gv_npz_find(z, "pose_body");
    int64_t more = 0;
    *columns = a && a->ndim == 2 ? a->shape[1] : 0;
    if (!a && !apart) {
        gv_fail(err, GV_ERR_MISSING, "%s: has neither \"poses\" nor \"root_orient\" and \"pose_body\": no motion",
                gv_npz_path(z));
        return NULL;
    }
    if (a && *columns < GV_SMPL_POSE) {
        gv_fail(err, GV_ERR_FORMAT, "%s: \"poses\" has %lld columns, expected (T, 66) or more", gv_npz_path(z),
                (long long)*columns);
        return NULL;
    }
    float *first = a ? gv_npz_read_f32(z, "poses", (int64_t[]){-1, -1}, 2, frames, err)
                     : gv_npz_read_f32(z, "root_orient", (int64_t[]){-1, 3}, 2, frames, err);
    float *rest = a || !first ? NULL : gv_npz_read_f32(z, "pose_body", (int64_t[]){-1, 63}, 2, &more, err);
    float *out = NULL;
    if (!first || (!a && !rest)) goto done;
    if (!a && more != *frames) {
        gv_fail(err, GV_ERR_FORMAT, "%s: \"root_orient\" has %lld frames, \"pose_body\" %lld", gv_npz_path(z),
                (long long)*frames, (long long)more);
        goto done;
    }
    out = gv_calloc2((size_t)*frames, GV_SMPL_POSE * sizeof(float));
    if (!out) gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %lld frames", gv_npz_path(z), (long long)*frames);
    for (int64_t t = 0; t < *frames && out; t++) {
        float *p = out + t * GV_SMPL_POSE;
        memcpy(p, first + t * (a ? *columns : 3), sizeof(float) * (a ? GV_SMPL_POSE : 3));
        if (!a) memcpy(p + 3, rest + t * 63, sizeof(float[63]));
    }
done:
    free(first);
    free(rest);
    return out;
}

static gv_status read_betas(gv_npz *z, float betas[GV_BETAS], gv_error *err) {
    int64_t n = 0;
    memset(betas, 0, sizeof(float[GV_BETAS]));
    if (!gv_npz_find(z, "betas")) return GV_OK;
    const gv_array *a = gv_npz_find(z, "betas");
    float *all = gv_npz_read_f32(z, "betas", NULL, -1, &n, err);
    if (!all) return err->status;
    memcpy(betas, all, sizeof(float) * (size_t)(a->count < GV_BETAS ? a->count : GV_BETAS));
    free(all);
    return GV_OK;
}

static gv_status add_npz(gv_motion_reader *r, gv_npz *z, const gv_clip *clip, int *frames, gv_error *err) {
    int64_t T = 0, columns, placed = 0;
    float betas[GV_BETAS], *transl = NULL;
    gv_smpl_motion m = {.axes = GV_SMPL_Z_UP};
    float *pose = read_poses(z, &T, &columns, err);
    gv_status s = pose ? GV_OK : err->status;
    if (!s && !(transl = gv_npz_read_f32(z, "trans", (int64_t[]){-1, 3}, 2, &placed, err))) s = err->status;
    if (!s) s = gv_npz_read_number(z, "mocap_framerate", 1, 1e4, &m.fps, err);
    if (!s && m.fps == 0) s = gv_npz_read_number(z, "mocap_frame_rate", 1, 1e4, &m.fps, err);
    if (!s && m.fps == 0) s = gv_fail(err, GV_ERR_MISSING, "%s: has no mocap_framerate", gv_npz_path(z));
    if (!s && placed != T)
        s = gv_fail(err, GV_ERR_FORMAT, "%s: \"trans\" has %lld frames, the poses %lld", gv_npz_path(z),
                    (long long)placed, (long long)T);
    if (!s && T > 1 << 30) s = gv_fail(err, GV_ERR_FORMAT, "%s: %lld frames", gv_npz_path(z), (long long)T);
    if (!s) s = read_betas(z, betas, err);
    int gender = s ? NEUTRAL : gender_of(z), smplx = columns == 165 || gv_npz_find(z, "surface_model_type");
    if (!s) s = body_of(&m.body, r->bodies, gender, err);
    if (!s) {
        m.frames = (int)T;
        m.pose = pose;
        m.transl = transl;
        if (smplx && r->bodies->folder) memcpy(m.body_betas, betas, sizeof betas);
        if (smplx && gender == NEUTRAL) m.neutral_betas = betas;
        s = gv_smpl_add(r->out, clip, &m, gv_npz_path(z), err);
        *frames = frames_at_30(&m);
    }
    free(pose);
    free(transl);
    return s;
}

gv_status gv_motion_read_npz(gv_motion_reader *r, const char *path, gv_error *err) {
    const gv_body *body;
    gv_status s = body_of(&body, r->bodies, NEUTRAL, err); // without bodies every file would be refused
    if (s) return s;
    gv_error why = {0};
    gv_npz *z = NULL;
    gv_clip clip = r->texts;
    const char *base = strrchr(path, '/');
    snprintf(clip.name, sizeof clip.name, "%s", base ? base + 1 : path);
    int frames = 0;
    s = gv_npz_open(&z, path, &why);
    if (!s) s = add_npz(r, z, &clip, &frames, &why);
    gv_npz_close(z);
    return tell(r, s, frames, &why, err);
}

// ---- GVHMR's packs ----

typedef struct pack {
    gv_motion_reader *r;
    gv_tensors *w;
    uint64_t *seen; // hashes of poses taken so far
    int seen_count;
} pack;

typedef struct sequence {                                       // one of the four layouts
    const char *source, *orient, *body, *pose, *transl, *betas; // pose: root and body together, else apart
    double fps;
    gv_smpl_axes axes;
} sequence;

static const sequence layouts[] = {
    {"H36M", "smpl_params_glob|global_orient", "smpl_params_glob|body_pose", NULL, "smpl_params_glob|transl",
     "smpl_params_glob|betas", 25, GV_SMPL_Z_UP},
    {"3DPW", "smplx_params_incam|global_orient", "smplx_params_incam|body_pose", NULL, "smplx_params_incam|transl",
     "smplx_params_incam|betas", 30, GV_SMPL_CAMERA},
    {"BEDLAM", "global_orient_incam", NULL, "pose", "trans", "beta", 30, GV_SMPL_Y_UP},
    {"AMASS", NULL, NULL, "pose", "trans", "beta", 30, GV_SMPL_Z_UP},
};

// Spans in which 3DPW's refitted bodies are right, where not all of the sequence is: the reference's own list
// (GVHMR, hmr4d/dataset/threedpw/threedpw_motion_train.py).
static const struct {
    const char *name;
    int span[4];
} right_spans[] = {{"courtyard_basketball_00_1", {0, 300, 340, 468}},
                   {"courtyard_laceShoe_00_0", {0, 620, 780, 931}},
                   {"courtyard_rangeOfMotions_00_1", {0, 370, 410, 601}},
                   {"courtyard_shakeHands_00_1", {0, 100, 120, 391}}};

static const gv_tensor *member(const pack *p, const char *name, const char *key, char path[4096]) {
    snprintf(path, 4096, "%s|%s", name, key ? key : "");
    return key ? gv_tensors_find(p->w, path) : NULL;
}

static const sequence *layout_of(const pack *p, const char *name) {
    char path[4096];
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        const sequence *q = &layouts[i];
        if (member(p, name, q->pose ? q->pose : q->body, path) && member(p, name, q->transl, path) &&
            (!q->orient || member(p, name, q->orient, path)))
            return q;
    }
    return NULL;
}

static float *read_rows(const pack *p, const char *name, const char *key, int columns, int *frames, gv_error *err) {
    char path[4096];
    const gv_tensor *t = member(p, name, key, path);
    float *x = gv_tensors_read_f32(p->w, path, (int64_t[]){*frames > 0 ? *frames : -1, columns}, 2, err);
    if (!x) return NULL;
    if (t->shape[0] > 1 << 24) {
        free(x);
        gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" has %lld frames", gv_tensors_path(p->w), path, (long long)t->shape[0]);
        return NULL;
    }
    *frames = (int)t->shape[0];
    return x;
}

static float *read_pose(const pack *p, const char *name, const sequence *q, int *frames, gv_error *err) {
    *frames = 0;
    if (q->pose) return read_rows(p, name, q->pose, GV_SMPL_POSE, frames, err);
    float *body = read_rows(p, name, q->body, 63, frames, err), *out = NULL;
    float *orient = body ? read_rows(p, name, q->orient, 3, frames, err) : NULL;
    if (orient) out = gv_calloc2((size_t)*frames, GV_SMPL_POSE * sizeof(float));
    if (orient && !out) gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %d frames", name, *frames);
    for (int t = 0; t < *frames && out; t++) {
        memcpy(out + (size_t)t * GV_SMPL_POSE, orient + 3 * (size_t)t, sizeof(float[3]));
        memcpy(out + (size_t)t * GV_SMPL_POSE + 3, body + 63 * (size_t)t, sizeof(float[63]));
    }
    free(orient);
    free(body);
    return out;
}

// The first ten numbers, of the first frame where every frame has its own.
static gv_status read_shape(const pack *p, const char *name, const sequence *q, float betas[GV_BETAS], gv_error *err) {
    char path[4096];
    const gv_tensor *t = member(p, name, q->betas, path);
    float *all = gv_tensors_read_f32(p->w, path, NULL, -1, err);
    if (!all) return err->status;
    gv_status s = GV_OK;
    if (t->count < GV_BETAS)
        s = gv_fail(err, GV_ERR_FORMAT, "%s: \"%s\" has %lld numbers, expected 10", gv_tensors_path(p->w), path,
                    (long long)t->count);
    else
        memcpy(betas, all, sizeof(float[GV_BETAS]));
    free(all);
    return s;
}

static int known(pack *p, const float *pose, int frames) { // FNV-1a
    uint64_t h = 0xcbf29ce484222325ull;
    const unsigned char *b = (const unsigned char *)pose;
    for (size_t i = 0; i < (size_t)frames * GV_SMPL_POSE * sizeof *pose; i++) h = (h ^ b[i]) * 0x100000001b3ull;
    for (int i = 0; i < p->seen_count; i++)
        if (p->seen[i] == h) return 1;
    p->seen[p->seen_count++] = h;
    return 0;
}

// Pairs of first frame and end; at most 32 pairs. 3DPW says which frames are good, elsewhere all are.
static int spans_of(const pack *p, const char *name, int frames, int span[64]) {
    for (size_t i = 0; i < sizeof right_spans / sizeof *right_spans; i++)
        if (!strcmp(right_spans[i].name, name)) return memcpy(span, right_spans[i].span, sizeof right_spans[i].span), 2;
    char path[4096];
    member(p, name, "valid_range_list", path);
    const char *text = gv_tensors_metadata(p->w, path);
    int n = 0;
    for (char *end; text && *text && n < 64; text = *end ? end + 1 : end) {
        span[n++] = (int)strtol(text, &end, 10);
        if (end == text) return 0;
    }
    if (text) return n / 2;
    span[0] = 0, span[1] = frames;
    return 1;
}

static void texts_of(gv_clip *c, const sequence *q, const char *name) {
    if (!*c->category) snprintf(c->category, sizeof c->category, "mixed");
    snprintf(c->source, sizeof c->source, "%s", q->source);
    const char *slash = strrchr(name, '/'), *dash = strrchr(name, '-');
    int cut = slash ? (int)(slash - name) : (int)strcspn(name, "@_");
    if (!strcmp(q->source, "BEDLAM") && dash)
        snprintf(c->subject, sizeof c->subject, "%s", dash + 1);
    else if (!*c->subject)
        snprintf(c->subject, sizeof c->subject, "%.*s", cut < 31 ? cut : 31, name + (cut > 31 ? cut - 31 : 0));
}

static gv_status add_span(pack *p, const char *name, const sequence *q, gv_smpl_motion m, const int span[2],
                          gv_error *err) {
    char what[4400];
    int part = span[0] > 0 || span[1] < m.frames;
    gv_clip clip = p->r->texts;
    texts_of(&clip, q, name);
    size_t n = strlen(name), room = sizeof clip.name - 24;
    snprintf(clip.name, sizeof clip.name, "%s", n > room ? name + n - room : name);
    if (part) snprintf(clip.name + strlen(clip.name), 24, " %d-%d", span[0], span[1]);
    snprintf(what, sizeof what, "%s: %s", gv_tensors_path(p->w), name);
    gv_error why = {0};
    gv_status s = GV_OK;
    if (span[0] < 0 || span[1] > m.frames || span[0] >= span[1])
        s = gv_fail(&why, GV_ERR_FORMAT, "%s: frames %d to %d of %d", what, span[0], span[1], m.frames);
    else {
        m.pose += (size_t)span[0] * GV_SMPL_POSE;
        m.transl += (size_t)span[0] * 3;
        m.frames = span[1] - span[0];
        s = gv_smpl_add(p->r->out, &clip, &m, what, &why);
    }
    return tell(p->r, s, frames_at_30(&m), &why, err);
}

static gv_status add_sequence(pack *p, const char *name, gv_error *err) {
    const sequence *q = layout_of(p, name);
    gv_smpl_motion m = {0};
    gv_error why = {0};
    float *pose = NULL, *transl = NULL, betas[GV_BETAS];
    gv_status s = GV_OK;
    if (!q)
        s = gv_fail(&why, GV_ERR_FORMAT, "%s: %s: no layout that is known (AMASS, BEDLAM, H36M, 3DPW)",
                    gv_tensors_path(p->w), name);
    else if (strstr(name, "moyo_smplxn")) // not in AMASS's first release, which the reference trains on
        s = gv_fail(&why, GV_ERR_FORMAT, "%s: %s: MOYO's poses are left out, as the reference does",
                    gv_tensors_path(p->w), name);
    else if (!(pose = read_pose(p, name, q, &m.frames, &why)) ||
             !(transl = read_rows(p, name, q->transl, 3, &m.frames, &why)))
        s = why.status;
    if (!s) s = read_shape(p, name, q, betas, &why);
    if (!s && known(p, pose, m.frames))
        s = gv_fail(&why, GV_ERR_FORMAT, "%s: %s: the poses of a sequence before it", gv_tensors_path(p->w), name);
    if (s) {
        s = tell(p->r, s, 0, &why, err);
        goto done;
    }
    m.fps = q->fps;
    m.pose = pose;
    m.transl = transl;
    m.axes = q->axes;
    m.neutral_betas = betas;
    if (p->r->bodies->folder) memcpy(m.body_betas, betas, sizeof betas);
    s = body_of(&m.body, p->r->bodies, NEUTRAL, err);
    int span[64], spans = spans_of(p, name, m.frames, span);
    for (int i = 0; i < spans && !s; i++) s = add_span(p, name, q, m, span + 2 * i, err);
done:
    free(pose);
    free(transl);
    return s;
}

gv_status gv_motion_read_pack(gv_motion_reader *r, const char *path, gv_error *err) {
    pack p = {.r = r};
    gv_status s = gv_tensors_open_tree(&p.w, path, err);
    if (s) return s;
    int n = gv_tensors_key_count(p.w);
    p.seen = gv_calloc2((size_t)n, sizeof *p.seen);
    if (!p.seen) s = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %d sequences", path, n);
    for (int i = 0; i < n && !s; i++) s = add_sequence(&p, gv_tensors_key(p.w, i), err);
    free(p.seen);
    gv_tensors_close(p.w);
    return s;
}
