// render: motions to a video, in the world from a fixed outside view or over the original pictures.
#include "cli.h"

#include "base/jail.h"
#include "base/memory.h"
#include "base/progress.h"
#include "body/body.h"
#include "formats/motion_file.h"
#include "pipeline/feed.h"
#include "pipeline/stage.h"
#include "video/video.h"

#include <limits.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PEOPLE = 256, BUFFERS = 4 };

typedef struct options {
    const char *video, *output, *body;
    char **inputs;
    int ninputs;
    bool world, overlay, unconfined, quiet; // both: side by side
    bool follow;                            // the outside view goes with person 1
    double alpha, fps;
    long threads, width, height;
} options;

typedef struct show {
    const options *o;
    gv_body *body;
    gv_motion *motions;
    int n;
    gv_stage *stage;
    gv_canvas *world, *over;
    gv_view view;
    int left, width, height; // columns of the overlay, 0 without; of the whole
    uint8_t *rgb;            // [height, width, 3]; the overlay alone is drawn into the decoded picture instead
    gv_feed *feed;           // the video, decoded beside the drawing; NULL without one
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
         "      --view fixed|follow   the world from one place, or going with person 1 [fixed]\n"
         "      --size WxH        of the world view [1280x720; beside a video the height is the video's]\n"
         "      --fps R           the video's true frame rate, where its container is wrong\n"
         "      --body-model FILE SMPL-X body model, .npz [the built-in mannequin]\n"
         "      --no-confinement  decode the video in this process, not in one without rights\n"
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
    enum { VIDEO = 256, WORLD, OVERLAY, SIDE, ALPHA, SIZE, FPS, BODY, VIEW, THREADS, UNCONFINED };
    static const struct option table[] = {{"output", required_argument, NULL, 'o'},
                                          {"video", required_argument, NULL, VIDEO},
                                          {"world", no_argument, NULL, WORLD},
                                          {"overlay", no_argument, NULL, OVERLAY},
                                          {"side-by-side", no_argument, NULL, SIDE},
                                          {"alpha", required_argument, NULL, ALPHA},
                                          {"size", required_argument, NULL, SIZE},
                                          {"fps", required_argument, NULL, FPS},
                                          {"body-model", required_argument, NULL, BODY},
                                          {"view", required_argument, NULL, VIEW},
                                          {"threads", required_argument, NULL, THREADS},
                                          {"no-confinement", no_argument, NULL, UNCONFINED},
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
        case VIEW:
            o->follow = !strcmp(optarg, "follow");
            good = o->follow || !strcmp(optarg, "fixed");
            if (!good) gv_cli_usage("render", "--view: \"%s\", expected fixed or follow", optarg);
            break;
        case THREADS:
            good = gv_cli_int("render", "--threads", optarg, 1, 1024, &o->threads);
            break;
        case UNCONFINED:
            o->unconfined = true;
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
    gv_status status = GV_OK;
    s->motions = gv_calloc2((size_t)o->ninputs, sizeof *s->motions);
    if (!s->motions) return gv_fail(err, GV_ERR_MEMORY, "no memory for %d persons", o->ninputs);
    for (; s->n < o->ninputs && status == GV_OK; s->n += status == GV_OK)
        status = gv_motion_load(&s->motions[s->n], o->inputs[s->n], err);
    return status == GV_OK ? gv_stage_create(&s->stage, s->motions, s->n, s->body, err) : status;
}

static gv_status plan(show *s, gv_error *err) {
    const options *o = s->o;
    double fps = s->motions[0].fps > 0 ? s->motions[0].fps : 30;
    s->height = (int)(o->height ? o->height : 720);
    int world_width = (int)(o->width ? o->width : 1280);
    if (o->overlay) {
        const gv_video_info *info = gv_feed_info(s->feed);
        s->left = info->width;
        if (o->world && !o->width && info->height < 720) world_width = info->height * 16 / 9;
        s->height = info->height;
    }
    if (s->feed && gv_feed_info(s->feed)->fps > 0) fps = gv_feed_info(s->feed)->fps;
    s->width = s->left + (o->world ? world_width : 0);
    if (s->left) s->over = gv_canvas_create(s->left, s->height);
    if (o->world) s->world = gv_canvas_create(world_width, s->height);
    if (o->world) s->rgb = gv_calloc2((size_t)s->width * (size_t)s->height, 3);
    if ((s->left && !s->over) || (o->world && (!s->world || !s->rgb)))
        return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for pictures of %d x %d", o->output, s->width, s->height);
    s->view = gv_stage_view(s->stage, world_width, s->height);
    return gv_video_create(&s->writer, o->output, s->width, s->height, fps, err);
}

// seen: the video's picture, or NULL.
static gv_status draw(show *s, uint8_t *seen, long frame, double time_sec, gv_error *err) {
    gv_stage_pose(s->stage, frame);
    uint8_t *rgb = s->rgb ? s->rgb : seen;
    for (int y = 0; s->over && s->rgb && y < s->height; y++)
        memcpy(rgb + 3 * (ptrdiff_t)y * s->width, seen + 3 * (ptrdiff_t)y * s->left, 3 * (size_t)s->left);
    bool good = !s->over || gv_stage_draw_over(s->stage, s->over, rgb, s->left, 3 * s->width, (float)s->o->alpha);
    if (good && s->world) {
        if (s->o->follow) s->view = gv_stage_follow(s->stage, frame, s->width - s->left, s->height);
        good = gv_stage_draw_world(s->stage, s->world, s->rgb + 3 * s->left, 3 * s->width, &s->view);
        char label[64];
        snprintf(label, sizeof label, "%.2f s", time_sec);
        const int scale = s->height >= 600 ? 2 : 1;
        gv_draw_text(s->rgb, s->width, s->height, 3 * s->width, s->left + 8 * scale, s->height - 14 * scale, scale,
                     (const uint8_t[3]){50, 56, 64}, 0.7f, label);
    }
    if (!good) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory to draw frame %ld", s->o->output, frame);
    return gv_video_write(s->writer, rgb, 3 * s->width, time_sec, err);
}

// Frame by frame along the video.
static gv_status play_video(show *s, gv_progress *progress, gv_error *err) {
    gv_feed_frame *f;
    gv_status status;
    while ((status = gv_feed_next(s->feed, &f, err)) == GV_OK && f) {
        status = draw(s, f->rgb, f->index, f->time_sec, err);
        gv_progress_set(progress, f->index + 1);
        gv_feed_release(s->feed, f);
        if (status != GV_OK) break;
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
            const gv_motion *m = &s->motions[k];
            if (at[k] < m->frames && m->frame_index[at[k]] < frame)
                frame = m->frame_index[at[k]], time_sec = m->time_sec[at[k]];
        }
        if (frame == LONG_MAX) return GV_OK;
        for (int k = 0; k < s->n; k++)
            while (at[k] < s->motions[k].frames && s->motions[k].frame_index[at[k]] <= frame) at[k]++;
        if (isnan(first)) first = time_sec;
        gv_status status = draw(s, NULL, frame, time_sec - first, err);
        if (status != GV_OK) return status;
        gv_progress_set(progress, done + 1);
    }
}

static void close_show(show *s) {
    gv_stage_destroy(s->stage);
    for (int k = 0; s->motions && k < s->o->ninputs; k++) gv_motion_free(&s->motions[k]);
    free(s->motions);
    free(s->rgb);
    gv_canvas_destroy(s->world);
    gv_canvas_destroy(s->over);
    gv_video_abandon(s->writer);
    gv_feed_close(s->feed);
    gv_body_close(s->body);
}

static gv_status render(const options *o, gv_jail *jail, gv_error *err) {
    show s = {.o = o};
    gv_progress progress;
    gv_status status = gv_body_open(&s.body, o->body, err);
    if (!status) status = load_people(&s, err);
    if (!status && o->video)
        status = gv_feed_open(&s.feed, o->video, &(gv_video_options){.fps = o->fps, .jail = jail}, BUFFERS, err);
    if (!status) status = plan(&s, err);
    gv_progress_begin(&progress, "render",
                      status   ? 0
                      : s.feed ? gv_feed_info(s.feed)->frames
                               : s.motions[0].frames,
                      o->quiet, NULL);
    if (!status) status = s.feed ? play_video(&s, &progress, err) : play_motions(&s, &progress, err);
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
    gv_error err = {0};
    gv_jail *jail = NULL;
    if (o.video && !o.unconfined && gv_cli_jail(&jail, o.quiet) != 0) return 1;
    if (o.threads) omp_set_num_threads((int)o.threads);
    gv_status status = render(&o, jail, &err);
    gv_jail_destroy(jail);
    return status == GV_OK ? 0 : gv_cli_fail(&err);
}
