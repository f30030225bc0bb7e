// cmd_camera.c - gvhmr camera: the camera's rotation in every frame of a video.
#include "cli.h"

#include "base/memory.h"
#include "base/progress.h"
#include "camera/choose_optics.h"
#include "camera/odometry.h"
#include "formats/npz.h"
#include "formats/observations.h"
#include "video/video.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PEOPLE_MAX = 32 };

static const char help[] =
    "usage: gvhmr camera VIDEO -o CAM.npz [options]\n\n"
    "Finds the camera's rotation in every frame from the picture alone. People and other moving things are\n"
    "ignored by themselves; --people makes it surer. A camera that stands still is recognised.\n\n"
    "  -o, --output FILE         where to write: R_w2c (F,3,3), confidence (F), K_fullimg (3,3), fps, width,\n"
    "                            height, is_static\n"
    "      --focal-length F      in pixels (1468.6) or millimetres of a full-frame lens (24mm)\n"
    "      --intrinsics FILE     .json or .npz with K and lens distortion (docs/intrinsics.md)\n"
    "                            default for both: what the video file says, else measured where the camera\n"
    "                            turns, else the picture's diagonal, which is often too long\n"
    "      --static-camera       the camera does not move: no measurement\n"
    "      --people OBS.npz      observations of a person to leave out; may be repeated\n"
    "      --threads N           for decoding (default: as many as there are processors)\n"
    "  -q, --quiet               no progress, no notes\n\n"
    "example: gvhmr camera walk.mp4 -o walk-camera.npz --focal-length 26mm\n";

typedef struct options {
    const char *video, *output;
    gv_optics_request optics;
    const char *people[PEOPLE_MAX];
    int npeople;
    long threads;
    bool is_static, quiet;
} options;

// 0: go on; otherwise 1 + exit status.
static int parse(options *o, int argc, char **argv) {
    static const struct option longs[] = {
        {"output", required_argument, 0, 'o'},
        {"focal-length", required_argument, 0, 'f'},
        {"intrinsics", required_argument, 0, 'i'},
        {"static-camera", no_argument, 0, 's'},
        {"people", required_argument, 0, 'p'},
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
        else if (c == 'i')
            o->optics.intrinsics = optarg;
        else if (c == 's')
            o->is_static = true;
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

static gv_status follow_camera(gv_video *video, gv_odometry *odometry, const gv_observations *people,
                               const options *opt, long *frames, gv_error *err) {
    gv_progress progress;
    gv_status s;
    gv_frame f;
    int cursor[PEOPLE_MAX] = {0};
    float boxes[PEOPLE_MAX][4];
    gv_progress_begin(&progress, "camera", gv_video_get_info(video)->frames, opt->quiet);
    *frames = 0;
    while ((s = gv_video_next(video, &f, err)) == GV_OK && f.rgb) {
        int n = boxes_at(people, opt->npeople, f.index, cursor, boxes);
        if (odometry && (s = gv_odometry_frame(odometry, f.rgb, f.stride, (const float(*)[4])boxes, n, err)) != GV_OK)
            break;
        gv_progress_set(&progress, ++*frames);
    }
    gv_progress_end(&progress);
    if (s == GV_OK && *frames == 0) s = gv_fail(err, GV_ERR_EMPTY, "no frames");
    return s;
}

static gv_status forced_static(gv_camera_path *c, long frames, const gv_optics *optics, gv_error *err) {
    *c = (gv_camera_path){.frames = (int)frames, .is_static = true};
    c->focal_px = (float)optics->lens->fx, c->focal_sd = (float)optics->sd, c->focal_origin = optics->origin;
    c->R_w2c = gv_calloc2(frames, 9 * sizeof(float)), c->confidence = gv_calloc2(frames, sizeof(float));
    if (!c->R_w2c || !c->confidence) return gv_fail(err, GV_ERR_MEMORY, "no memory for %ld frames", frames);
    for (long f = 0; f < frames; f++) {
        for (int i = 0; i < 9; i += 4) c->R_w2c[9 * f + i] = 1;
        c->confidence[f] = 1;
    }
    return GV_OK;
}

static gv_status save(const options *opt, const gv_camera_path *c, const gv_optics *optics, const gv_video_info *info,
                      gv_error *err) {
    const char *source = gv_focal_origin_text(c->focal_origin);
    bool zooms = optics->count > 1;
    float *K = gv_calloc2((size_t)(zooms ? c->frames : 1), 9 * sizeof *K);
    if (!K) return gv_fail(err, GV_ERR_MEMORY, "no memory for the lens of %d frames", c->frames);
    for (int f = 0; f < (zooms ? c->frames : 1); f++) gv_lens_matrix(gv_optics_at(optics, f), K + 9 * (size_t)f);
    if (c->focal_origin == GV_FOCAL_MEASURED) K[0] = K[4] = c->focal_px;
    gv_npz_writer *w = NULL;
    gv_status s = gv_npz_create(&w, opt->output, err);
    if (s != GV_OK) goto done;
    gv_npz_add_f32(w, "R_w2c", c->R_w2c, 3, c->frames, 3, 3);
    gv_npz_add_f32(w, "confidence", c->confidence, 1, c->frames);
    if (zooms)
        gv_npz_add_f32(w, "K_fullimg", K, 3, c->frames, 3, 3);
    else
        gv_npz_add_f32(w, "K_fullimg", K, 2, 3, 3);
    gv_npz_add_f64_scalar(w, "fps", info->fps);
    gv_npz_add_i32_scalar(w, "width", info->width);
    gv_npz_add_i32_scalar(w, "height", info->height);
    gv_npz_add_i32_scalar(w, "is_static", c->is_static);
    gv_npz_add_strings(w, "focal_source", &source, 1);
    gv_npz_add_f64_scalar(w, "focal_sd", c->focal_sd);
    s = gv_npz_finish(w, err);
done:
    free(K);
    return s;
}

// What the user should know, on stderr.
static void notes(const gv_camera_path *c, const gv_video_info *info) {
    fprintf(stderr, "camera: %d frames, focal length %.1f px (%.1f mm full-frame), from: %s", c->frames, c->focal_px,
            gv_focal_to_mm(c->focal_px, info->width, info->height), gv_focal_origin_text(c->focal_origin));
    if (c->focal_origin < GV_FOCAL_FILE) fprintf(stderr, ", sure to about %.0f %%", 100 * (double)c->focal_sd);
    if (c->focal_origin == GV_FOCAL_DIAGONAL) fprintf(stderr, "; give --focal-length when you know it");
    fputc('\n', stderr);
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
    gv_odometry *odometry = NULL;
    gv_camera_path path = {0};
    gv_observations people[PEOPLE_MAX] = {{0}};
    gv_optics optics = {0};
    long frames;
    if (opt.threads) omp_set_num_threads((int)opt.threads);
    gv_status s = gv_video_open(&video, opt.video, &(gv_video_options){.threads = (int)opt.threads}, &err);
    if (s != GV_OK) goto done;
    const gv_video_info *info = gv_video_get_info(video);
    if ((s = gv_optics_choose(&optics, &opt.optics, opt.video, info->width, info->height, &err)) != GV_OK) goto done;
    for (int i = 0; i < opt.npeople; i++)
        if ((s = gv_observations_load(&people[i], opt.people[i], &err)) != GV_OK) goto done;
    if (!opt.is_static && (s = gv_odometry_create(&odometry, info->width, info->height, &optics, &err)) != GV_OK)
        goto done;
    if ((s = follow_camera(video, odometry, people, &opt, &frames, &err)) != GV_OK) {
        s = gv_wrap(&err, "%s", opt.video);
        goto done;
    }
    s = opt.is_static ? forced_static(&path, frames, &optics, &err) : gv_odometry_finish(odometry, &path, &err);
    if (s == GV_OK) s = save(&opt, &path, &optics, info, &err);
    if (s == GV_OK && !opt.quiet) notes(&path, info);
done:
    gv_odometry_destroy(odometry);
    gv_optics_free(&optics);
    gv_camera_path_free(&path);
    for (int i = 0; i < opt.npeople; i++) gv_observations_free(&people[i]);
    gv_video_close(video);
    return s == GV_OK ? 0 : gv_cli_fail(&err);
}
