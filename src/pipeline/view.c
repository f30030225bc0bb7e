#include "pipeline/view.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/progress.h"
#include "formats/npz.h"
#include "pipeline/copy.h"
#include "pipeline/feed.h"
#include "pipeline/judge.h"
#include "pipeline/motion_lens.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { J = GV_MOTION_JOINTS, MAX_PATH = 4096, MAX_PEOPLE = 1000, BUFFERS = 4 };
static const char template_name[] = "viewer-template.html", marker[] = "<!--gvhmr-data-->";
static const size_t usual_embed_bytes = (size_t)24 << 20;

typedef struct work {
    const gv_page *page;
    const double *times; // [frames] of the video: the page's or own_times
    double *own_times;
    long frames;
    const char *copy; // NULL: none
    gv_outfile out;
    char pack[MAX_PATH], own_copy[MAX_PATH], beside[MAX_PATH]; // temporary archive and video; where the video may stay
} work;

// ---- the archive

static int body_joint(int joint) {
    while (joint >= J) joint = gv_parents55[joint];
    return joint;
}

// The four largest bones of a vertex, those beyond the body's joints joined to what they hang on; weights sum to 255.
static void quantise_bones(uint8_t bones[4], uint8_t weights[4], const int *index, const float *weight) {
    int joint[4] = {0}, n = 0, sum = 0;
    float w[4] = {0};
    for (int i = 0; i < 4; i++) {
        int j = body_joint(index[i]), k = 0;
        while (k < n && joint[k] != j) k++;
        if (k == n) joint[n++] = j;
        w[k] += weight[i];
    }
    int largest = 0;
    for (int i = 0; i < 4; i++) {
        bones[i] = (uint8_t)joint[i];
        long v = lroundf(255 * w[i]);
        weights[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
        sum += weights[i];
        if (w[i] > w[largest]) largest = i;
    }
    weights[largest] = (uint8_t)(weights[largest] + 255 - sum);
}

static gv_status add_mesh(gv_npz_writer *z, const gv_body *b, gv_error *err) {
    size_t V = (size_t)b->vertices;
    uint8_t *bones = gv_calloc2(V, 4), *weights = gv_calloc2(V, 4);
    uint16_t *small = gv_calloc2((size_t)b->triangles, 3 * sizeof *small);
    gv_status status = GV_OK;
    if (!bones || !weights || !small) {
        status = gv_fail(err, GV_ERR_MEMORY, "no memory for a body of %d vertices", b->vertices);
    } else {
        for (size_t v = 0; v < V; v++)
            quantise_bones(bones + 4 * v, weights + 4 * v, b->bone_index + 4 * v, b->bone_weight + 4 * v);
        for (size_t i = 0; i < 3 * (size_t)b->triangles; i++) small[i] = (uint16_t)b->faces[i];
        if (V <= 65536)
            gv_npz_add(z, "faces", GV_U16, small, (int64_t[]){b->triangles, 3}, 2);
        else
            gv_npz_add_i32(z, "faces", b->faces, 2, b->triangles, 3);
        gv_npz_add(z, "bones", GV_U8, bones, (int64_t[]){b->vertices, 4}, 2);
        gv_npz_add(z, "weights", GV_U8, weights, (int64_t[]){b->vertices, 4}, 2);
    }
    free(bones);
    free(weights);
    free(small);
    return status;
}

static gv_status add_surface(gv_npz_writer *z, int person, const gv_motion *m, const gv_body *b, gv_error *err) {
    static const float rest_pose[63], upright[3];
    size_t n = (size_t)b->vertices * 3;
    gv_skin *skin = gv_skin_create(b, m->betas);
    float *x = gv_calloc2(n, sizeof *x), rest[3 * J];
    int16_t *q = gv_calloc2(n, sizeof *q);
    gv_status status = GV_OK;
    if (!skin || !x || !q) {
        status = gv_fail(err, GV_ERR_MEMORY, "no memory for the body of person %d", person);
    } else {
        char name[32];
        float largest = 1e-6f;
        gv_skin_pose(skin, rest_pose, upright, NULL, x, NULL);
        for (size_t i = 0; i < n; i++) largest = fmaxf(largest, fabsf(x[i]));
        double unit = (double)largest / 32767;
        for (size_t i = 0; i < n; i++) q[i] = (int16_t)lrint((double)x[i] / unit);
        snprintf(name, sizeof name, "%d/surface", person);
        gv_npz_add(z, name, GV_I16, q, (int64_t[]){b->vertices, 3}, 2);
        snprintf(name, sizeof name, "%d/unit", person);
        gv_npz_add_f64_scalar(z, name, unit);
        gv_body_rest_joints(rest, b, m->betas, J);
        snprintf(name, sizeof name, "%d/rest", person);
        gv_npz_add_f32(z, name, rest, 2, J, 3);
    }
    gv_skin_destroy(skin);
    free(x);
    free(q);
    return status;
}

// None where all rows are a pinhole's.
static gv_status add_lens(gv_npz_writer *z, int person, const gv_motion *m, gv_error *err) {
    enum { COLUMNS = 2 + GV_LENS_COEFFICIENTS };
    gv_lens l;
    bool bent = false;
    for (int t = 0; t < m->frames && !bent; t++) bent = gv_motion_lens(&l, m, t);
    if (!bent) return GV_OK;
    float *x = gv_calloc2((size_t)m->frames, COLUMNS * sizeof *x);
    if (!x) return gv_fail(err, GV_ERR_MEMORY, "no memory for the lens of %d frames", m->frames);
    for (int t = 0; t < m->frames; t++) {
        float *row = x + COLUMNS * (size_t)t;
        if (!gv_motion_lens(&l, m, t)) continue;
        row[0] = (float)l.model;
        for (int i = 0; i < GV_LENS_COEFFICIENTS; i++) row[1 + i] = (float)l.k[i];
        row[COLUMNS - 1] = (float)gv_lens_reach(&l, m->width, m->height);
    }
    char name[48];
    snprintf(name, sizeof name, "%d/lens", person);
    gv_npz_add_f32(z, name, x, 2, m->frames, COLUMNS);
    free(x);
    return GV_OK;
}

static gv_status add_motion(gv_npz_writer *z, int person, const gv_motion *m, const gv_body *b, gv_error *err) {
    const int L = m->frames;
    const struct {
        const char *name;
        const float *data;
        int columns; // 9: a matrix
    } arrays[] = {{"body_pose", m->body_pose, 63},
                  {"global_orient", m->global_orient, 3},
                  {"transl", m->transl, 3},
                  {"global_orient_incam", m->global_orient_incam, 3},
                  {"transl_incam", m->transl_incam, 3},
                  {"static_prob", m->static_prob, GV_STATIC_JOINTS},
                  {"bbx_xys", m->bbx_xys, 3},
                  {"K_fullimg", m->K, 9},
                  {"R_w2c", m->R_w2c, 9},
                  {"kp2d", m->kp2d, 51}};
    char name[48];
    gv_npz_borrow(z, true);
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        int c = arrays[i].columns;
        snprintf(name, sizeof name, "%d/%s", person, arrays[i].name);
        if (c == 9 || c == 51)
            gv_npz_add_f32(z, name, arrays[i].data, 3, L, c / 3, 3);
        else
            gv_npz_add_f32(z, name, arrays[i].data, 2, L, c);
    }
    snprintf(name, sizeof name, "%d/betas", person);
    gv_npz_add_f32(z, name, m->betas, 1, 10);
    snprintf(name, sizeof name, "%d/frame_index", person);
    gv_npz_add_i32(z, name, m->frame_index, 1, L);
    snprintf(name, sizeof name, "%d/time_sec", person);
    gv_npz_add(z, name, GV_F64, m->time_sec, (int64_t[]){L}, 1);
    snprintf(name, sizeof name, "%d/fps", person);
    gv_npz_add_f64_scalar(z, name, m->fps);
    snprintf(name, sizeof name, "%d/width", person);
    gv_npz_add_i32_scalar(z, name, m->width);
    snprintf(name, sizeof name, "%d/height", person);
    gv_npz_add_i32_scalar(z, name, m->height);
    gv_npz_borrow(z, false);
    gv_status lens = add_lens(z, person, m, err);
    if (lens != GV_OK) return lens;
    float *px = gv_calloc2((size_t)L, sizeof *px);
    if (!px) return gv_fail(err, GV_ERR_MEMORY, "no memory for %d frames", L);
    gv_status status = gv_reprojection_px(px, m, b, err);
    snprintf(name, sizeof name, "%d/reprojection_px", person);
    if (status == GV_OK) gv_npz_add_f32(z, name, px, 1, L);
    free(px);
    return status;
}

static gv_status write_pack(work *w, gv_error *err) {
    const gv_page *p = w->page;
    gv_npz_writer *z = NULL;
    gv_status status = gv_npz_create(&z, w->pack, err);
    if (status != GV_OK) return status;
    gv_npz_add(z, "times", GV_F64, w->times, (int64_t[]){w->frames}, 1);
    status = add_mesh(z, p->body, err);
    for (int k = 0; status == GV_OK && k < p->people; k++) {
        status = add_surface(z, k + 1, &p->motion[k], p->body, err);
        if (status == GV_OK) status = add_motion(z, k + 1, &p->motion[k], p->body, err);
    }
    if (status == GV_OK) return gv_npz_finish(z, err);
    gv_npz_abandon(z);
    return status;
}

// ---- times and the copy of the video

// Every frame that somebody has at its own time, those between at even steps.
static gv_status times_from_motions(work *w, gv_error *err) {
    const gv_page *p = w->page;
    long frames = 1;
    for (int k = 0; k < p->people; k++) {
        long last = p->motion[k].frame_index[p->motion[k].frames - 1];
        if (last >= (1L << 26))
            return gv_fail(err, GV_ERR_FORMAT, "person %d: frame number %ld is too high", k + 1, last);
        if (last + 1 > frames) frames = last + 1;
    }
    double *times = w->own_times = gv_calloc2((size_t)frames, sizeof *times);
    if (!times) return gv_fail(err, GV_ERR_MEMORY, "no memory for the times of %ld frames", frames);
    w->times = times;
    w->frames = frames;
    for (long f = 0; f < frames; f++) times[f] = NAN;
    for (int k = 0; k < p->people; k++)
        for (int t = 0; t < p->motion[k].frames; t++)
            if (p->motion[k].frame_index[t] >= 0 && p->motion[k].frame_index[t] < frames)
                times[p->motion[k].frame_index[t]] = p->motion[k].time_sec[t];
    double step = p->motion[0].fps > 0 ? 1 / p->motion[0].fps : 1.0 / 30;
    for (long f = 0; f < frames; f++) {
        double before = f ? times[f - 1] : -step;
        if (!(times[f] > before)) times[f] = before + step;
    }
    return GV_OK;
}

static gv_status copy_video(work *w, gv_error *err) {
    const gv_page *p = w->page;
    gv_feed *feed = NULL;
    gv_feed_frame *f;
    gv_copy *copy = NULL;
    gv_progress progress;
    gv_video_options options = {.fps = p->fps, .max_side = GV_COPY_SIDE, .jail = p->jail};
    gv_status status = gv_feed_open(&feed, p->video, &options, BUFFERS, err);
    if (status != GV_OK) return status;
    const gv_video_info *info = gv_feed_info(feed);
    gv_progress_begin(&progress, "viewer", info->frames, p->quiet, NULL);
    double fps = p->fps > 0 ? p->fps : info->fps;
    while (status == GV_OK && (status = gv_feed_next(feed, &f, err)) == GV_OK && f) {
        if (!copy) status = gv_copy_create(&copy, w->own_copy, f->width, f->height, fps, err);
        if (status == GV_OK) status = gv_copy_add(copy, f->rgb, f->width * 3, f->time_sec, err);
        gv_progress_set(&progress, f->index + 1);
        gv_feed_release(feed, f);
        if (status == GV_OK) status = gv_go_on(p->listener, err);
    }
    if (status == GV_OK && copy) {
        status = gv_copy_finish(copy, &w->own_times, &w->frames, err);
        copy = NULL;
        w->times = w->own_times;
        w->copy = w->own_copy;
    }
    gv_copy_abandon(copy);
    gv_feed_close(feed);
    gv_progress_end(&progress);
    return status;
}

// ---- the page

// JSON inside a script element: "<" only occurs in strings, where it may as well be written "\u003c".
static void put_json(FILE *f, const char *text) {
    for (const char *p = text; *p; p++) *p == '<' ? fputs("\\u003c", f) : fputc(*p, f);
}

static void put_base64(FILE *f, const unsigned char *data, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        unsigned v =
            (unsigned)data[i] << 16 | (left > 1 ? (unsigned)data[i + 1] << 8 : 0) | (left > 2 ? data[i + 2] : 0);
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], left > 1 ? digits[v >> 6 & 63] : '=',
                        left > 2 ? digits[v & 63] : '='};
        fwrite(four, 1, 4, f);
    }
}

static gv_status put_file(FILE *f, const char *path, gv_error *err) {
    unsigned char *data;
    size_t size;
    gv_status status = gv_file_read(path, 0, &data, &size, err);
    if (status == GV_OK) put_base64(f, data, size);
    free(data);
    return status;
}

static const char *last_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// Inside an attribute of the page.
static void put_attribute(FILE *f, const char *text) {
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        *p < ' ' || strchr("<>&\"'", *p) ? fprintf(f, "&#%d;", *p) : fputc(*p, f);
}

static gv_status put_video(work *w, FILE *f, gv_error *err) {
    struct stat st;
    if (!w->copy) return GV_OK;
    if (stat(w->copy, &st) != 0) return gv_fail(err, GV_ERR_IO, "%s: %s", w->copy, strerror(errno));
    size_t most = w->page->embed_bytes ? w->page->embed_bytes : usual_embed_bytes;
    if ((unsigned long long)st.st_size <= most) {
        fputs("<script id=\"video-data\" type=\"text/plain\">", f);
        gv_status status = put_file(f, w->copy, err);
        fputs("</script>\n", f);
        return status;
    }
    if (rename(w->copy, w->beside) != 0) return gv_fail(err, GV_ERR_IO, "%s: %s", w->beside, strerror(errno));
    fputs("<script id=\"video-data\" type=\"text/plain\" data-file=\"", f);
    put_attribute(f, last_name(w->beside));
    fputs("\"></script>\n", f);
    return GV_OK;
}

static gv_status put_page(work *w, FILE *f, const char *html, const char *at, gv_error *err) {
    fwrite(html, 1, (size_t)(at - html), f);
    fputs("<script id=\"scene-data\" type=\"application/json\">", f);
    put_json(f, w->page->scene);
    fputs("</script>\n<script id=\"pack-data\" type=\"text/plain\">", f);
    gv_status status = put_file(f, w->pack, err);
    fputs("</script>\n", f);
    if (status == GV_OK) status = put_video(w, f, err);
    fputs(at + strlen(marker), f);
    return status;
}

static gv_status write_page(work *w, const char *html, const char *at, gv_error *err) {
    FILE *f = fopen(w->out.temporary, "w");
    if (!f) return gv_fail(err, GV_ERR_IO, "%s: cannot write: %s", w->out.path, strerror(errno));
    gv_status status = put_page(w, f, html, at, err);
    bool failed = ferror(f);
    int code = errno;
    if (fclose(f) != 0) failed = true, code = errno;
    if (failed && status == GV_OK)
        status = gv_fail(err, GV_ERR_IO, "%s: cannot write: %s", w->out.path, strerror(code ? code : EIO));
    return status;
}

gv_status gv_page_check(gv_error *err) {
    char *path = gv_resource_find(template_name, err);
    free(path);
    return path ? GV_OK
                : gv_fail(err, GV_ERR_MISSING,
                          "viewer.html was left out: %s is not there; it is built where Node is, after `make setup`",
                          template_name);
}

static gv_status read_template(char **html, char **at, gv_error *err) {
    unsigned char *data;
    size_t size;
    *html = NULL;
    gv_status status = gv_page_check(err);
    if (status != GV_OK) return status;
    char *path = gv_resource_find(template_name, err);
    if (!path) return GV_ERR_MISSING;
    status = gv_file_read(path, (size_t)64 << 20, &data, &size, err);
    if (status == GV_OK) {
        *html = (char *)data;
        *at = strstr(*html, marker);
        if (!*at) status = gv_fail(err, GV_ERR_FORMAT, "%s: not a viewer: has no \"%s\"", path, marker);
    }
    free(path);
    return status;
}

static gv_status name_files(work *w, const char *path, gv_error *err) {
    const char *dot = strrchr(last_name(path), '.');
    int stem = (int)(dot && dot > last_name(path) ? dot - path : (ptrdiff_t)strlen(path));
    if (strlen(path) + 64 > MAX_PATH) return gv_fail(err, GV_ERR_ARGUMENT, "%.100s...: the name is too long", path);
    gv_status status = gv_outfile_begin(&w->out, path, err);
    if (status != GV_OK) return status;
    snprintf(w->pack, sizeof w->pack, "%s.npz", w->out.temporary);
    snprintf(w->own_copy, sizeof w->own_copy, "%s.mp4", w->out.temporary);
    snprintf(w->beside, sizeof w->beside, "%.*s.mp4", stem, path);
    return GV_OK;
}

gv_status gv_page_write(const char *path, const gv_page *page, gv_error *err) {
    work w = {.page = page, .copy = page->copy, .times = page->times, .frames = page->copy ? page->frames : 0};
    char *html = NULL, *at = NULL;
    gv_status status = page->people > 0 ? GV_OK : gv_fail(err, GV_ERR_EMPTY, "%s: nobody to show", path);
    if (status == GV_OK) status = read_template(&html, &at, err);
    if (status == GV_OK) status = name_files(&w, path, err);
    if (status == GV_OK) status = page->video && !w.copy ? copy_video(&w, err) : GV_OK;
    if (status == GV_OK && !w.frames) status = times_from_motions(&w, err);
    if (status == GV_OK) status = write_pack(&w, err);
    if (status == GV_OK) status = write_page(&w, html, at, err);
    if (status == GV_OK) status = gv_outfile_commit(&w.out, err);
    if (*w.pack) unlink(w.pack);
    if (*w.own_copy) unlink(w.own_copy);
    gv_outfile_abandon(&w.out);
    free(w.own_times);
    free(html);
    return status;
}

// ---- a folder

static bool plain_name(char out[256], const char *text) {
    if (!text || !*text || *text == '.' || strchr(text, '/') || strlen(text) >= 256) return false;
    snprintf(out, 256, "%s", text);
    return true;
}

gv_status gv_scene_names_read(gv_scene_names *n, const char *text, gv_error *err) {
    *n = (gv_scene_names){0};
    json_error_t why;
    json_t *root = json_loads(text, 0, &why);
    json_t *people = json_object_get(root, "people");
    size_t count = json_array_size(people);
    gv_status status = GV_OK;
    if (!root) {
        status = gv_fail(err, GV_ERR_FORMAT, "line %d: %s", why.line, why.text);
    } else if (count < 1 || count > MAX_PEOPLE) {
        status = gv_fail(err, GV_ERR_FORMAT, "\"people\" has %zu entries, expected 1 to %d", count, MAX_PEOPLE);
    } else if (!(n->file = gv_calloc2(count, sizeof *n->file))) {
        status = gv_fail(err, GV_ERR_MEMORY, "no memory for %zu persons", count);
    }
    for (size_t k = 0; status == GV_OK && k < count; k++) {
        const char *file = json_string_value(json_object_get(json_array_get(people, k), "file"));
        if (!plain_name(n->file[k], file))
            status = gv_fail(err, GV_ERR_FORMAT,
                             "\"file\" of person %zu is \"%.60s\", expected the name of a file beside it", k + 1,
                             file ? file : "");
        else
            n->people++;
    }
    if (status == GV_OK)
        plain_name(n->video, json_string_value(json_object_get(json_object_get(root, "video"), "file")));
    json_decref(root);
    if (status != GV_OK) gv_scene_names_free(n);
    return status;
}

void gv_scene_names_free(gv_scene_names *n) {
    free(n->file);
    *n = (gv_scene_names){0};
}

// Where the video of a folder may be: in it, above it, here. An empty text where it is nowhere.
static void find_video(char path[MAX_PATH], const char *folder, const char *name) {
    const char *const places[] = {"%s/%s", "%s/../%s"};
    for (int i = 0; *name && i < 2; i++) {
        snprintf(path, MAX_PATH, places[i], folder, name);
        if (access(path, R_OK) == 0) return;
    }
    snprintf(path, MAX_PATH, "%s", name);
    if (!*name || access(path, R_OK) != 0) *path = 0;
}

static gv_status load_motions(gv_motion *motions, const char *folder, const gv_scene_names *names, gv_error *err) {
    for (int k = 0; k < names->people; k++) {
        char path[MAX_PATH];
        snprintf(path, sizeof path, "%s/%s", folder, names->file[k]);
        gv_status status = gv_motion_load(&motions[k], path, err);
        if (status != GV_OK) return status;
    }
    return GV_OK;
}

gv_status gv_view_folder(const char *folder, const char *out, const gv_view_options *opt, bool *without_video,
                         gv_error *err) {
    char path[MAX_PATH], video[MAX_PATH] = "";
    unsigned char *text = NULL;
    size_t size;
    gv_scene_names names = {0};
    gv_motion *motions = NULL;
    gv_body *body = NULL;
    if (strlen(folder) + 300 > MAX_PATH)
        return gv_fail(err, GV_ERR_ARGUMENT, "%.100s...: the name is too long", folder);
    snprintf(path, sizeof path, "%s/scene.json", folder);
    gv_status status = gv_file_read(path, 0, &text, &size, err);
    if (status == GV_OK && (status = gv_scene_names_read(&names, (char *)text, err)) != GV_OK) gv_wrap(err, "%s", path);
    if (status == GV_OK && !(motions = gv_calloc2((size_t)names.people, sizeof *motions)))
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %d motions", path, names.people);
    if (status == GV_OK) status = load_motions(motions, folder, &names, err);
    if (status == GV_OK) status = gv_body_open(&body, opt->body_model, err);
    if (status == GV_OK && !opt->no_video && !opt->video) find_video(video, folder, names.video);
    const char *source = opt->no_video ? NULL : opt->video ? opt->video : *video ? video : NULL;
    if (without_video) *without_video = !source && !opt->no_video;
    snprintf(path, sizeof path, "%s/viewer.html", folder);
    const gv_page page = {.scene = (char *)text,
                          .people = names.people,
                          .motion = motions,
                          .body = body,
                          .video = source,
                          .fps = opt->fps,
                          .jail = opt->jail,
                          .quiet = opt->quiet};
    if (status == GV_OK) status = gv_page_write(out ? out : path, &page, err);
    for (int k = 0; motions && k < names.people; k++) gv_motion_free(&motions[k]);
    free(motions);
    free(text);
    gv_scene_names_free(&names);
    gv_body_close(body);
    return status;
}
