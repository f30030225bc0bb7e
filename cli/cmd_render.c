// render: motions to a video, in the world from a fixed outside view or over the original pictures.
#include "cli.h"

#include "base/memory.h"
#include "base/progress.h"
#include "body/body.h"
#include "formats/motion_file.h"
#include "rendering/render.h"
#include "video/video.h"

#include <limits.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PEOPLE = 256 };

typedef struct options {
    const char *video, *output, *body;
    char **inputs;
    int ninputs;
    bool world, overlay, quiet; // both: side by side
    double alpha, fps;
    long threads, width, height;
} options;

typedef struct person {
    gv_motion motion;
    gv_skin *skin;
    float *vertices, *normals, *trace; // [V, 3] twice, [L, 3]
} person;

typedef struct show {
    const options *o;
    gv_body *body;
    person *people;
    gv_mesh *meshes;
    gv_path *paths;
    int n;
    gv_canvas *world, *over;
    gv_view view;
    int left, width, height; // columns of the overlay, 0 without; of the whole
    uint8_t *rgb;            // [height, width, 3]
    gv_video *video;
    gv_video_writer *writer;
} show;

static void help(void) {
    puts("usage: gvhmr render MOTION.npz... -o FILE.mp4 [options]\n\n"
         "Shows the motion of one or more persons as a video (H.264 in MP4).\n\n"
         "  -o, --output FILE     the video\n"
         "      --video VIDEO     the original video: draw over it, and take times from it\n"
         "      --world           the world from a fixed outside view [where no --video is given]\n"
         "      --overlay         the bodies over the original video [with --video]\n"
         "      --side-by-side    both, the world on the right\n"
         "      --alpha A         opacity of bodies over the video, 0 to 1 [0.92]\n"
         "      --size WxH        of the world view [1280x720; beside a video the height is the video's]\n"
         "      --fps R           the video's true frame rate, where its container is wrong\n"
         "      --body-model FILE SMPL-X body model, .npz [the built-in mannequin]\n"
         "      --threads N       [all cores]\n"
         "  -q, --quiet           no progress line\n\n"
         "example: gvhmr render person-1.npz person-2.npz --video clip.mp4 --side-by-side -o both.mp4");
}

static bool parse_size(options *o, const char *text) {
    int used = 0;
    if (sscanf(text, "%ldx%ld%n", &o->width, &o->height, &used) == 2 && !text[used] && o->width >= 16 &&
        o->width <= 8192 && o->height >= 16 && o->height <= 8192)
        return true;
    gv_cli_usage("render", "--size: \"%s\" is not WIDTHxHEIGHT, each from 16 to 8192", text);
    return false;
}

// Returns 0 to go on, else the exit status + 1.
static int parse(options *o, int argc, char **argv) {
    enum { VIDEO = 256, WORLD, OVERLAY, SIDE, ALPHA, SIZE, FPS, BODY, THREADS };
    static const struct option table[] = {{"output", required_argument, NULL, 'o'},
                                          {"video", required_argument, NULL, VIDEO},
                                          {"world", no_argument, NULL, WORLD},
                                          {"overlay", no_argument, NULL, OVERLAY},
                                          {"side-by-side", no_argument, NULL, SIDE},
                                          {"alpha", required_argument, NULL, ALPHA},
                                          {"size", required_argument, NULL, SIZE},
                                          {"fps", required_argument, NULL, FPS},
                                          {"body-model", required_argument, NULL, BODY},
                                          {"threads", required_argument, NULL, THREADS},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    for (int c; (c = getopt_long(argc, argv, "o:qh", table, NULL)) != -1;) {
        bool good = true;
        switch (c) {
        case 'o':
            o->output = optarg;
            break;
        case VIDEO:
            o->video = optarg;
            break;
        case WORLD:
            o->world = true;
            break;
        case OVERLAY:
            o->overlay = true;
            break;
        case SIDE:
            o->world = o->overlay = true;
            break;
        case ALPHA:
            good = gv_cli_double("render", "--alpha", optarg, 0, 1, &o->alpha);
            break;
        case SIZE:
            good = parse_size(o, optarg);
            break;
        case FPS:
            good = gv_cli_double("render", "--fps", optarg, 0.1, 1000, &o->fps);
            break;
        case BODY:
            o->body = optarg;
            break;
        case THREADS:
            good = gv_cli_int("render", "--threads", optarg, 1, 1024, &o->threads);
            break;
        case 'q':
            o->quiet = true;
            break;
        case 'h':
            help();
            return 1;
        default:
            good = false; // getopt has said what is wrong
        }
        if (!good) return 3;
    }
    o->inputs = argv + optind;
    o->ninputs = argc - optind;
    if (o->ninputs < 1 || o->ninputs > MOST_PEOPLE)
        return 1 + gv_cli_usage("render", "expected 1 to %d motion files, found %d", MOST_PEOPLE, o->ninputs);
    if (!o->output) return 1 + gv_cli_usage("render", "-o FILE.mp4 is missing");
    if (o->overlay && !o->video) return 1 + gv_cli_usage("render", "--overlay and --side-by-side need --video");
    if (!o->world && !o->overlay) o->video ? (o->overlay = true) : (o->world = true);
    return 0;
}

static gv_status load_people(show *s, gv_error *err) {
    const options *o = s->o;
    s->people = gv_calloc2((size_t)o->ninputs, sizeof *s->people);
    s->meshes = gv_calloc2((size_t)o->ninputs, sizeof *s->meshes);
    s->paths = gv_calloc2((size_t)o->ninputs, sizeof *s->paths);
    if (!s->people || !s->meshes || !s->paths)
        return gv_fail(err, GV_ERR_MEMORY, "no memory for %d persons", o->ninputs);
    for (; s->n < o->ninputs; s->n++) {
        person *p = &s->people[s->n];
        gv_status status = gv_motion_load(&p->motion, o->inputs[s->n], err);
        if (status != GV_OK) return status;
        p->skin = gv_skin_create(s->body, p->motion.betas);
        p->vertices = gv_calloc2((size_t)s->body->vertices, 12);
        p->normals = gv_calloc2((size_t)s->body->vertices, 12);
        p->trace = gv_calloc2((size_t)p->motion.frames, 12);
        if (!p->skin || !p->vertices || !p->normals || !p->trace)
            return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for the body", o->inputs[s->n]);
        for (int t = 0; t < p->motion.frames; t++) // the pelvis' way over the ground
            for (int i = 0; i < 3; i += 2)
                p->trace[3 * t + i] = p->motion.joints_world[3 * GV_MOTION_JOINTS * (ptrdiff_t)t + i];
        s->paths[s->n] = (gv_path){.points = p->trace, .n = p->motion.frames};
        memcpy(s->paths[s->n].colour, gv_palette(s->n), sizeof s->paths[s->n].colour);
    }
    return GV_OK;
}

// Row of a person's motion for a frame of the video; -1 where there is none.
static int row_of(const gv_motion *m, long frame) {
    int lo = 0, hi = m->frames;
    while (lo < hi) {
        int middle = (lo + hi) / 2;
        if (m->frame_index[middle] < frame)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo < m->frames && m->frame_index[lo] == frame ? lo : -1;
}

// Poses everybody who is there at `frame`, in the world or the camera. Returns their number; *K is a camera
// of theirs.
static int pose(show *s, long frame, bool world, const gv_motion **owner, int *row) {
    int n = 0;
    for (int k = 0; k < s->n; k++) {
        const person *p = &s->people[k];
        const gv_motion *m = &p->motion;
        const int t = row_of(m, frame);
        if (t < 0) continue;
        gv_skin_pose(p->skin, m->body_pose + 63 * (ptrdiff_t)t,
                     (world ? m->global_orient : m->global_orient_incam) + 3 * (ptrdiff_t)t,
                     (world ? m->transl : m->transl_incam) + 3 * (ptrdiff_t)t, p->vertices, p->normals);
        s->meshes[n] = (gv_mesh){s->body->vertices, s->body->triangles, p->vertices, p->normals, s->body->faces, {0}};
        memcpy(s->meshes[n++].colour, gv_palette(k), sizeof s->meshes->colour);
        *owner = m;
        *row = t;
    }
    return n;
}

static gv_status plan(show *s, gv_error *err) {
    const options *o = s->o;
    double fps = s->people[0].motion.fps > 0 ? s->people[0].motion.fps : 30;
    s->height = (int)(o->height ? o->height : 720);
    int world_width = (int)(o->width ? o->width : 1280);
    if (o->overlay) {
        const gv_video_info *info = gv_video_get_info(s->video);
        s->left = info->width;
        if (o->world && !o->width && info->height < 720) world_width = info->height * 16 / 9;
        s->height = info->height;
    }
    if (s->video && gv_video_get_info(s->video)->fps > 0) fps = gv_video_get_info(s->video)->fps;
    s->width = s->left + (o->world ? world_width : 0);
    if (s->left) s->over = gv_canvas_create(s->left, s->height);
    if (o->world) s->world = gv_canvas_create(world_width, s->height);
    s->rgb = gv_calloc2((size_t)s->width * (size_t)s->height, 3);
    if ((s->left && !s->over) || (o->world && !s->world) || !s->rgb)
        return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for pictures of %d x %d", o->output, s->width, s->height);
    float lo[3] = {INFINITY, INFINITY, INFINITY}, hi[3] = {-INFINITY, -INFINITY, -INFINITY};
    for (int k = 0; k < s->n; k++)
        for (ptrdiff_t j = 0; j < (ptrdiff_t)s->people[k].motion.frames * GV_MOTION_JOINTS; j++)
            for (int i = 0; i < 3; i++) {
                lo[i] = fminf(lo[i], s->people[k].motion.joints_world[3 * j + i]);
                hi[i] = fmaxf(hi[i], s->people[k].motion.joints_world[3 * j + i]);
            }
    if (!(lo[0] <= hi[0])) return gv_fail(err, GV_ERR_EMPTY, "%s: not a single frame", o->inputs[0]);
    s->view = gv_view_outside(lo, hi, world_width, s->height);
    return gv_video_create(&s->writer, o->output, s->width, s->height, fps, err);
}

static bool draw_over(show *s, const gv_frame *f) {
    for (int y = 0; y < s->height; y++)
        memcpy(s->rgb + 3 * (ptrdiff_t)y * s->width, f->rgb + (ptrdiff_t)y * f->stride, 3 * (size_t)s->left);
    const gv_motion *m = NULL;
    int t = 0, n = pose(s, f->index, false, &m, &t);
    if (!n) return true;
    gv_view v = {.R = {1, 0, 0, 0, 1, 0, 0, 0, 1}};
    const float scale = m->width > 0 ? (float)s->left / (float)m->width : 1;
    for (int i = 0; i < 9; i++) v.K[i] = m->K[9 * (ptrdiff_t)t + i] * (i < 6 ? scale : 1);
    return gv_render_over(s->over, s->rgb, 3 * s->width, &v, s->meshes, n, (float)s->o->alpha);
}

static gv_status draw(show *s, const gv_frame *f, long frame, double time_sec, gv_error *err) {
    bool good = true;
    if (s->over) good = draw_over(s, f);
    if (good && s->world) {
        const gv_motion *m;
        int t, n = pose(s, frame, true, &m, &t);
        good = gv_render_world(s->world, s->rgb + 3 * s->left, 3 * s->width, &s->view, s->meshes, n, s->paths, s->n);
        char label[64];
        snprintf(label, sizeof label, "%.2f s", time_sec);
        const int scale = s->height >= 600 ? 2 : 1;
        gv_draw_text(s->rgb, s->width, s->height, 3 * s->width, s->left + 8 * scale, s->height - 14 * scale, scale,
                     (const uint8_t[3]){50, 56, 64}, 0.7f, label);
    }
    if (!good) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory to draw frame %ld", s->o->output, frame);
    return gv_video_write(s->writer, s->rgb, 3 * s->width, time_sec, err);
}

// Frame by frame along the video.
static gv_status play_video(show *s, gv_progress *progress, gv_error *err) {
    gv_frame f;
    gv_status status;
    while ((status = gv_video_next(s->video, &f, err)) == GV_OK && f.rgb) {
        if ((status = draw(s, &f, f.index, f.time_sec, err)) != GV_OK) break;
        gv_progress_set(progress, f.index + 1);
    }
    return status;
}

// Without a video: every frame that somebody has, at its own time, the first at 0.
static gv_status play_motions(show *s, gv_progress *progress, gv_error *err) {
    int at[MOST_PEOPLE] = {0};
    double first = NAN;
    for (long done = 0;; done++) {
        long frame = LONG_MAX;
        double time_sec = 0;
        for (int k = 0; k < s->n; k++) {
            const gv_motion *m = &s->people[k].motion;
            if (at[k] < m->frames && m->frame_index[at[k]] < frame)
                frame = m->frame_index[at[k]], time_sec = m->time_sec[at[k]];
        }
        if (frame == LONG_MAX) return GV_OK;
        for (int k = 0; k < s->n; k++)
            while (at[k] < s->people[k].motion.frames && s->people[k].motion.frame_index[at[k]] <= frame) at[k]++;
        if (isnan(first)) first = time_sec;
        gv_status status = draw(s, NULL, frame, time_sec - first, err);
        if (status != GV_OK) return status;
        gv_progress_set(progress, done + 1);
    }
}

static void close_show(show *s) {
    for (int k = 0; s->people && k < s->o->ninputs; k++) {
        gv_motion_free(&s->people[k].motion);
        gv_skin_destroy(s->people[k].skin);
        free(s->people[k].vertices);
        free(s->people[k].normals);
        free(s->people[k].trace);
    }
    free(s->people);
    free(s->meshes);
    free(s->paths);
    free(s->rgb);
    gv_canvas_destroy(s->world);
    gv_canvas_destroy(s->over);
    gv_video_abandon(s->writer);
    gv_video_close(s->video);
    gv_body_close(s->body);
}

static gv_status render(const options *o, gv_error *err) {
    show s = {.o = o};
    gv_progress progress;
    gv_status status = gv_body_open(&s.body, o->body, err);
    if (!status) status = load_people(&s, err);
    if (!status && o->video) status = gv_video_open(&s.video, o->video, &(gv_video_options){.fps = o->fps}, err);
    if (!status) status = plan(&s, err);
    gv_progress_begin(&progress, "render",
                      status    ? 0
                      : s.video ? gv_video_get_info(s.video)->frames
                                : s.people[0].motion.frames,
                      o->quiet);
    if (!status) status = s.video ? play_video(&s, &progress, err) : play_motions(&s, &progress, err);
    gv_progress_end(&progress);
    if (!status) {
        status = gv_video_finish(s.writer, err);
        s.writer = NULL;
    }
    close_show(&s);
    return status;
}

int gv_cmd_render(int argc, char **argv) {
    options o = {.alpha = 0.92};
    int stop = parse(&o, argc, argv);
    if (stop) return stop - 1;
    if (o.threads) omp_set_num_threads((int)o.threads);
    gv_error err = {0};
    return render(&o, &err) ? gv_cli_fail(&err) : 0;
}
