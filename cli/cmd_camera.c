// cmd_camera.c - gvhmr camera: the camera's rotation in every frame of a video.
#include "cli.h"

#include "base/jail.h"
#include "base/memory.h"
#include "base/progress.h"
#include "formats/npz.h"
#include "formats/observations.h"
#include "pipeline/camera_stage.h"
#include "pipeline/timebase.h"
#include "video/video.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PEOPLE_MAX = 32 };

static const char help[] =
    "usage: gvhmr camera VIDEO -o CAM.npz [options]\n\n"
    "Finds the camera's rotation in every frame, and its way up to scale, from the picture alone. People and other "
    "moving things are\n"
    "ignored by themselves; --people makes it surer. A camera that stands still is recognised.\n\n"
    "  -o, --output FILE         where to write: R_w2c (F,3,3), confidence (F), K_fullimg (3,3), fps, width,\n"
    "                            height, is_static, rotation_source, focal_source, focal_sd; where the camera went\n"
    "                            somewhere also camera_position (F,3) in the axes of frame 0, up to scale,\n"
    "                            position_confidence (F), position_stretch (F): a new unit in each, -1 not known\n"
    "      --focal-length F      in pixels (1468.6) or millimetres of a full-frame lens (24mm)\n"
    "      --intrinsics FILE     .json or .npz with K and lens distortion (docs/camera.md)\n"
    "                            default for both: what the video file says, else measured where the camera\n"
    "                            turns, else the picture's diagonal, which is often too long,\n"
    "                            or 30 mm where the picture stands upright, as phones' do\n"
    "      --gyro FILE           rotation from a gyroscope's log (.gcsv, .csv, a GoPro's own .mp4), laid against the\n"
    "                            picture's, or another tracker's (.npz, TUM, COLMAP images.txt, matrices)\n"
    "      --static-camera       the camera does not move: no measurement\n"
    "      --people OBS.npz      observations of a person to leave out; may be repeated\n"
    "      --no-confinement      decode in this process, not in one without rights\n"
    "      --threads N           for decoding (default: as many as there are processors)\n"
    "  -q, --quiet               no progress, no notes\n\n"
    "example: gvhmr camera walk.mp4 -o walk-camera.npz --focal-length 26mm\n";

typedef struct options {
    const char *video, *output;
    gv_optics_request optics;
    const char *gyro;
    const char *people[PEOPLE_MAX];
    int npeople;
    long threads;
    bool is_static, unconfined, quiet;
} options;

// 0: go on; otherwise 1 + exit status.
static int parse(options *o, int argc, char **argv) {
    static const struct option longs[] = {
        {"output", required_argument, 0, 'o'},
        {"focal-length", required_argument, 0, 'f'},
        {"intrinsics", required_argument, 0, 'i'},
        {"gyro", required_argument, 0, 'g'},
        {"static-camera", no_argument, 0, 's'},
        {"people", required_argument, 0, 'p'},
        {"no-confinement", no_argument, 0, 'u'},
        {"threads", required_argument, 0, 't'},
        {"quiet", no_argument, 0, 'q'},
        {"help", no_argument, 0, 'h'},
        {0},
    };
    *o = (options){0};
    optind = 1, opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "o:qh", longs, NULL)) != -1;) {
        if (c == 'o')
            o->output = optarg;
        else if (c == 'f')
            o->optics.focal_length = optarg;
        else if (c == 'g')
            o->gyro = optarg;
        else if (c == 'i')
            o->optics.intrinsics = optarg;
        else if (c == 's')
            o->is_static = true;
        else if (c == 'u')
            o->unconfined = true;
        else if (c == 'q')
            o->quiet = true;
        else if (c == 't' && !gv_cli_int("camera", "--threads", optarg, 1, 1024, &o->threads))
            return 1 + 2;
        else if (c == 'p' && o->npeople == PEOPLE_MAX)
            return 1 + gv_cli_usage("camera", "more than %d --people", PEOPLE_MAX);
        else if (c == 'p')
            o->people[o->npeople++] = optarg;
        else if (c == 'h')
            return fputs(help, stdout), 1;
        else if (c == '?')
            return 1 + gv_cli_usage("camera", "unknown option or missing value: %s", argv[optind - 1]);
    }
    if (optind != argc - 1) return 1 + gv_cli_usage("camera", "expected one VIDEO, found %d", argc - optind);
    if (!o->output) return 1 + gv_cli_usage("camera", "-o CAM.npz is missing");
    if (o->gyro && o->is_static) return 1 + gv_cli_usage("camera", "--gyro and --static-camera exclude each other");
    o->video = argv[optind];
    return 0;
}

// Box (x1, y1, x2, y2) around a person's confident keypoints, or the middle of the square box without any.
static void person_box(const gv_observations *p, int i, float box[4]) {
    const float *b = p->bbx_xys + 3 * i, *kp = p->kp2d + 51 * i;
    float x1 = INFINITY, y1 = INFINITY, x2 = -INFINITY, y2 = -INFINITY;
    int n = 0;
    for (int k = 0; k < 17; k++) {
        if (kp[3 * k + 2] < 0.3f) continue;
        x1 = fminf(x1, kp[3 * k]), x2 = fmaxf(x2, kp[3 * k]), y1 = fminf(y1, kp[3 * k + 1]),
        y2 = fmaxf(y2, kp[3 * k + 1]), n++;
    }
    float margin = 0.06f * b[2];
    if (n >= 6)
        box[0] = x1 - margin, box[1] = y1 - margin, box[2] = x2 + margin, box[3] = y2 + margin;
    else
        box[0] = b[0] - 0.3f * b[2], box[1] = b[1] - 0.45f * b[2], box[2] = b[0] + 0.3f * b[2],
        box[3] = b[1] + 0.45f * b[2];
}

static int boxes_at(const gv_observations *people, int n, long frame, int *cursor, float (*boxes)[4]) {
    int count = 0;
    for (int k = 0; k < n; k++) { // frame_index ascends
        while (cursor[k] < people[k].frames && people[k].frame_index[cursor[k]] < frame) cursor[k]++;
        if (cursor[k] < people[k].frames && people[k].frame_index[cursor[k]] == frame)
            person_box(&people[k], cursor[k], boxes[count++]);
    }
    return count;
}

typedef struct shown { // what is known of every frame, beside its time
    gv_repeats *repeats;
    uint8_t *repeated; // [frames]
    long capacity;
} shown;

static gv_status keep_time(gv_scene_observations *s, shown *all, double t, bool repeated, gv_error *err) {
    if (s->frames == all->capacity) {
        long want = 2 * all->capacity + 1024;
        double *p = realloc(s->time_sec, (size_t)want * sizeof *p);
        if (p) s->time_sec = p;
        uint8_t *q = realloc(all->repeated, (size_t)want);
        if (q) all->repeated = q;
        if (!p || !q) return gv_fail(err, GV_ERR_MEMORY, "no memory for %ld time stamps", want);
        all->capacity = want;
    }
    all->repeated[s->frames] = repeated;
    s->time_sec[s->frames++] = t;
    return GV_OK;
}

static gv_status follow_camera(gv_scene_observations *scene, gv_video *video, gv_odometry *odometry,
                               const gv_observations *people, const options *opt, shown *all, gv_error *err) {
    gv_progress progress;
    gv_status s;
    gv_frame f;
    int cursor[PEOPLE_MAX] = {0};
    float boxes[PEOPLE_MAX][4];
    gv_progress_begin(&progress, "camera", gv_video_get_info(video)->frames, opt->quiet, NULL);
    while ((s = gv_video_next(video, &f, err)) == GV_OK && f.rgb) {
        int n = boxes_at(people, opt->npeople, f.index, cursor, boxes);
        bool again = odometry && gv_repeats_look(all->repeats, &(gv_image){f.rgb, f.width, f.height, f.stride});
        if ((s = keep_time(scene, all, f.time_sec, again, err)) != GV_OK) break;
        if (odometry && !again &&
            (s = gv_odometry_frame(odometry, f.rgb, f.stride, (const float(*)[4])boxes, n, err)) != GV_OK)
            break;
        gv_progress_set(&progress, scene->frames);
    }
    gv_progress_end(&progress);
    if (s == GV_OK && scene->frames == 0) s = gv_fail(err, GV_ERR_EMPTY, "no frames");
    return s;
}

// The camera of all frames, from the pictures that they show.
static gv_status conclude(gv_scene_observations *s, gv_odometry *odometry, const options *opt, const shown *all,
                          gv_error *err) {
    gv_status status = gv_camera_conclude(s, odometry, opt->is_static, s->frames, err);
    if (status != GV_OK || !odometry) return status;
    status = gv_camera_hold(&s->camera, all->repeated, s->frames, err);
    if (status == GV_OK) status = gv_picture_times_find(&s->pictures, all->repeated, s->time_sec, s->frames, err);
    if (status == GV_OK) status = gv_timebase_retime_camera(&s->camera, &s->pictures, s->time_sec, err);
    if (status == GV_OK) gv_picture_times_describe(s->repeats, sizeof s->repeats, &s->pictures, s->frames);
    return status;
}

static gv_status save(const options *opt, const gv_scene_observations *s, const gv_video_info *info, gv_error *err) {
    const gv_camera_path *c = &s->camera;
    int lenses = s->optics.count > 1 ? c->frames : 1;
    float *K = gv_calloc2((size_t)lenses, 9 * sizeof *K);
    if (!K) return gv_fail(err, GV_ERR_MEMORY, "no memory for the lens of %d frames", c->frames);
    for (int f = 0; f < lenses; f++) gv_lens_matrix(gv_optics_at(&s->optics, f), K + 9 * (size_t)f);
    gv_npz_writer *w = NULL;
    gv_status status = gv_npz_create(&w, opt->output, err);
    if (status != GV_OK) goto done;
    gv_npz_add_f32(w, "R_w2c", c->R_w2c, 3, c->frames, 3, 3);
    gv_npz_add_f32(w, "confidence", c->confidence, 1, c->frames);
    if (c->position) {
        gv_npz_add_f32(w, "camera_position", c->position, 2, c->frames, 3);
        gv_npz_add_f32(w, "position_confidence", c->position_confidence, 1, c->frames);
        gv_npz_add_i32(w, "position_stretch", c->stretch, 1, c->frames);
    }
    if (lenses > 1)
        gv_npz_add_f32(w, "K_fullimg", K, 3, lenses, 3, 3);
    else
        gv_npz_add_f32(w, "K_fullimg", K, 2, 3, 3);
    gv_npz_add_f64_scalar(w, "fps", info->fps);
    gv_npz_add_i32_scalar(w, "width", info->width);
    gv_npz_add_i32_scalar(w, "height", info->height);
    gv_npz_add_i32_scalar(w, "is_static", c->is_static);
    gv_npz_add_strings(w, "focal_source", &s->focal_source, 1);
    gv_npz_add_f64_scalar(w, "focal_sd", s->optics.sd);
    gv_npz_add_strings(w, "rotation_source", &s->rotation_source, 1);
    status = gv_npz_finish(w, err);
done:
    free(K);
    return status;
}

// What the user should know, on stderr.
static void notes(const gv_scene_observations *s, const gv_video_info *info) {
    const gv_camera_path *c = &s->camera;
    fprintf(stderr, "camera: %d frames, focal length %.1f px (%.1f mm full-frame), from: %s", c->frames, c->focal_px,
            gv_focal_to_mm(c->focal_px, info->width, info->height), gv_focal_origin_text(c->focal_origin));
    if (c->focal_origin < GV_FOCAL_FILE) fprintf(stderr, ", sure to about %.0f %%", 100 * (double)c->focal_sd);
    if (c->focal_origin <= GV_FOCAL_UPRIGHT) fprintf(stderr, "; give --focal-length when you know it");
    fputc('\n', stderr);
    if (*s->repeats) fprintf(stderr, "camera: %s\n", s->repeats);
    if (*s->outside.note) fprintf(stderr, "camera: %s\n", s->outside.note);
    if (c->is_static) {
        fprintf(stderr, "camera: it stands still\n");
        return;
    }
    int first, last, ranges = 0;
    for (int f = 0; gv_camera_unsure(c, f, &first, &last); f = last + 1) {
        if (++ranges > 10) {
            fprintf(stderr, "camera: and more frames like these\n");
            return;
        }
        fprintf(
            stderr,
            "camera: frames %d to %d: the picture does not tell the rotation well (a cut, no texture, or covered)\n",
            first, last);
    }
}

int gv_cmd_camera(int argc, char **argv) {
    options opt;
    int code = parse(&opt, argc, argv);
    if (code) return code - 1;
    gv_error err = {0};
    gv_video *video = NULL;
    gv_jail *jail = NULL;
    gv_odometry *odometry = NULL;
    gv_scene_observations scene = {0};
    gv_observations people[PEOPLE_MAX] = {{0}};
    shown all = {0};
    if (!opt.unconfined && gv_cli_jail(&jail, opt.quiet) != 0) return 1;
    if (opt.threads) omp_set_num_threads((int)opt.threads);
    gv_status s =
        gv_video_open(&video, opt.video, &(gv_video_options){.threads = (int)opt.threads, .jail = jail}, &err);
    if (s != GV_OK) goto done;
    const gv_video_info *info = gv_video_get_info(video);
    if ((s = gv_optics_choose(&scene.optics, &opt.optics, opt.video, info->width, info->height, jail, &err)) != GV_OK)
        goto done;
    for (int i = 0; i < opt.npeople; i++)
        if ((s = gv_observations_load(&people[i], opt.people[i], &err)) != GV_OK) goto done;
    if (!opt.is_static && (s = gv_odometry_create(&odometry, info->width, info->height, &scene.optics, &err)) != GV_OK)
        goto done;
    if (odometry && !(all.repeats = gv_repeats_create(info->width, info->height))) {
        s = gv_fail(&err, GV_ERR_MEMORY, "%s: no memory for its pictures", opt.video);
        goto done;
    }
    if ((s = follow_camera(&scene, video, odometry, people, &opt, &all, &err)) != GV_OK) {
        s = gv_wrap(&err, "%s", opt.video);
        goto done;
    }
    s = conclude(&scene, odometry, &opt, &all, &err);
    if (s == GV_OK) s = gv_camera_from_file(&scene, opt.gyro, scene.time_sec, jail, &err);
    if (s == GV_OK) s = save(&opt, &scene, info, &err);
    if (s == GV_OK && !opt.quiet) notes(&scene, info);
done:
    gv_odometry_destroy(odometry);
    gv_repeats_destroy(all.repeats);
    free(all.repeated);
    gv_scene_observations_free(&scene);
    for (int i = 0; i < opt.npeople; i++) gv_observations_free(&people[i]);
    gv_video_close(video);
    gv_jail_destroy(jail);
    return s == GV_OK ? 0 : gv_cli_fail(&err);
}
