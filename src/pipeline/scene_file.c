#include "pipeline/scene_file.h"
#include "base/json_build.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Numbers as people read them: six significant digits are far below what a video can tell.
static json_t *number(double v) {
    char text[32];
    snprintf(text, sizeof text, "%.6g", isfinite(v) ? v : 0.0);
    return json_real(strtod(text, NULL));
}

static json_t *numbers(const float *v, int n) {
    json_t *a = json_array();
    for (int i = 0; i < n; i++) gv_json_append(&a, number(v[i]));
    return a;
}

// null where the figure is not known
static json_t *known(double v) {
    return v >= 0 ? number(v) : json_null();
}

static json_t *quality_of(const gv_quality *q, const gv_motion *m) {
    json_t *stretches = json_array();
    for (int i = 0; i < q->stretches; i++) {
        const gv_stretch *s = q->stretch + i;
        gv_json_append(&stretches, json_pack("{s:i, s:i, s:s, s:s}", "first_frame", (int)m->frame_index[s->first],
                                             "last_frame", (int)m->frame_index[s->last], "reason",
                                             gv_doubt_name(s->why), "words", gv_doubt_words(s->why)));
    }
    char text[GV_QUALITY_TEXT];
    gv_quality_describe(text, sizeof text, q, m);
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:i, s:o, s:o}", "verdict",
                     gv_verdict_name(q->verdict), "words", text, "jitter", number(q->jitter), "foot_sliding_mm",
                     number(q->sliding_mm), "foot_sliding_worst_mm", number(q->worst_sliding_mm), "contact_share",
                     number(q->contact_share), "reprojection_px", known(q->reprojection_px), "reprojection_share",
                     known(q->reprojection_share), "confidence", number(q->confidence), "gaps", q->gaps,
                     "longest_gap_frames", q->longest_gap, "distrust_share", number(q->distrust_share), "distrust",
                     stretches);
}

static json_t *people_of(const gv_scene *scene, const gv_quality *quality) {
    json_t *people = json_array();
    for (int k = 0; k < scene->people; k++) {
        const gv_motion *m = scene->motion + k;
        char file[40];
        snprintf(file, sizeof file, "person-%d.npz", k + 1);
        int seen = 0;
        for (int t = 0; t < m->frames; t++) {
            float sum = 0;
            for (int j = 0; j < 17; j++) sum += m->kp2d[51 * (size_t)t + 3 * j + 2];
            seen += sum > 0;
        }
        gv_json_append(&people, json_pack("{s:i, s:s, s:i, s:i, s:i, s:i, s:o, s:o}", "id", k + 1, "file", file,
                                          "first_frame", (int)m->frame_index[0], "last_frame",
                                          (int)m->frame_index[m->frames - 1], "frames", m->frames, "frames_seen", seen,
                                          "betas", numbers(m->betas, 10), "quality", quality_of(quality + k, m)));
    }
    return people;
}

// [[first, last], ...] where the picture did not tell the rotation well.
static json_t *unsure_frames(const gv_camera_path *c) {
    json_t *a = json_array();
    int first, last;
    for (int f = 0; gv_camera_unsure(c, f, &first, &last); f = last + 1)
        gv_json_append(&a, json_pack("[i, i]", first, last));
    return a;
}

static const char *position_source(const gv_scene *scene, const gv_scene_observations *s) {
    return s->camera.is_static ? "people, static" : scene->unit_sd > 0 ? "people and visual odometry" : "people";
}

// The distortion of the first frame's lens; null for a pinhole.
static json_t *distortion_of(const gv_lens *l) {
    json_t *k = json_array();
    if (l->model == GV_LENS_PINHOLE) {
        json_decref(k);
        return json_null();
    }
    for (int i = 0; i < GV_LENS_COEFFICIENTS; i++) gv_json_append(&k, number(l->k[i]));
    return json_pack("{s:s, s:o}", "model", l->model == GV_LENS_FISHEYE ? "fisheye" : "brown", "coefficients", k);
}

static json_t *camera_of(const gv_scene *scene, const gv_scene_observations *s) {
    json_t *R = json_array(), *t = json_array(), *confidence = json_array(), *known = json_array(), *way = json_array();
    bool told = scene->unit_sd > 0;
    long frames = s->camera.is_static ? 1 : scene->frames; // a static camera stands in one line
    for (long f = 0; f < frames; f++) {
        gv_json_append(&R, numbers(scene->R_w2c + 9 * f, 9));
        gv_json_append(&t, numbers(scene->t_w2c + 3 * f, 3));
        gv_json_append(&confidence, number(s->camera.confidence[f]));
        gv_json_append(&known, json_boolean(scene->camera_known[f]));
        if (told) gv_json_append(&way, number(scene->way_confidence[f]));
    }
    const gv_lens *lens = gv_optics_at(&s->optics, 0);
    const gv_outside_report *outside = &s->outside;
    return json_pack("{s:b, s:s, s:s*, s:o, s:s, s:o, s:[o,o], s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o}", "static",
                     (int)s->camera.is_static, "rotation_source", s->rotation_source, "rotation_note",
                     *outside->note ? outside->note : NULL, "focal_px", number(lens->fx), "focal_source",
                     s->focal_source, "focal_sd", number(s->optics.sd), "principal_point", number(lens->cx),
                     number(lens->cy), "distortion", distortion_of(lens), "unsure_frames",
                     unsure_frames(&s->camera), "R_w2c", R, "t_w2c", t,
                     "rotation_confidence", confidence, "position_known", known, "position_source", position_source(scene, s),
                     "position_confidence", way, "position_unit_sd", told ? number(scene->unit_sd) : json_null());
}

static json_t *timings_of(const gv_scene_observations *s) {
    json_t *timings = json_array();
    for (int i = 0; i < s->timings; i++) {
        const gv_timing *t = s->timing + i;
        gv_json_append(&timings, json_pack("{s:s, s:o, s:I, s:o}", "stage", t->stage, "seconds", number(t->seconds),
                                           "frames", (json_int_t)t->frames, "frames_per_second",
                                           number(t->seconds > 0 ? (double)t->frames / t->seconds : 0)));
    }
    return timings;
}

static json_t *models_of(const gv_model_used *models, int n) {
    json_t *a = json_array();
    for (int i = 0; i < n; i++) {
        const char *slash = strrchr(models[i].path, '/');
        json_t *file = gv_json_text(slash ? slash + 1 : models[i].path);
        gv_json_append(&a, json_pack("{s:s, s:s, s:o, s:s}", "role", models[i].role, "method", models[i].method, "file",
                                     file, "sha256", models[i].sha256));
    }
    return a;
}

gv_status gv_scene_json(char **text, const gv_scene *scene, const gv_scene_observations *s, const gv_quality *quality,
                        const char *video, const gv_model_used *models, int nmodels, gv_error *err) {
    const char *slash = strrchr(video, '/');
    json_t *name = gv_json_text(slash ? slash + 1 : video);
    json_t *root = json_pack("{s:s, s:s, s:{s:o, s:i, s:i, s:I, s:o, s:s, s:I, s:I, s:s*}, s:s, s:o, s:o, s:o, s:o}", "program",
                             "gvhmr.c", "version", GVHMR_VERSION, "video", "file", name, "width", s->width, "height",
                             s->height, "frames", (json_int_t)s->frames, "fps", number(s->fps), "codec", s->codec,
                             "damaged_packets", (json_int_t)s->damaged, "repeated_frames",
                             (json_int_t)(s->pictures.pictures ? s->frames - s->pictures.pictures : 0), "repeats",
                             *s->repeats ? s->repeats : NULL, "world",
                             "y up, ground at y = 0, metres; origin and heading of person 1; x_cam = R_w2c x + t_w2c",
                             "people", people_of(scene, quality), "camera", camera_of(scene, s), "models",
                             models_of(models, nmodels), "timings", timings_of(s));
    *text = gv_json_dump(root, JSON_INDENT(1) | JSON_REAL_PRECISION(7));
    json_decref(root);
    return *text ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory for scene.json");
}
