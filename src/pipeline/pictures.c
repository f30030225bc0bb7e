#include "pipeline/pictures.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/queue.h"
#include "pipeline/copy.h"
#include "pipeline/feed.h"
#include "pipeline/stage.h"

#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFERS = 4, AHEAD = 8, MAX_SIDE = 1920, WORLD_WIDTH = 1280, WORLD_HEIGHT = 720 };
static const float opacity = 0.9f;

// One video that is being written.
typedef struct film {
    gv_video_writer *writer;
    gv_canvas *canvas;
    uint8_t *rgb; // [height, width, 3]; the overlay draws into the decoded picture instead
    int width, height;
    gv_view view;
} film;

typedef struct moment { // a frame of the video
    long index;
    double time_sec;
} moment;

// The world view is drawn by a thread of its own: two pictures side by side wait less than two threads for each
// part of one.
typedef struct painter {
    film film;
    gv_stage *stage;
    gv_queue *moments;
    pthread_t thread;
    bool running;
    int threads;      // that it may use
    gv_status status; // of the thread, valid when it has ended
    gv_error err;
} painter;

typedef struct studio {
    gv_stage *stage; // of overlay and side
    film overlay, side;
    painter world;
    gv_copy *copy;
    uint8_t *sheet; // side by side: overlay and side.rgb
    int sheet_width;
} studio;

static gv_status open_film(film *f, const char *path, int width, int height, double fps, bool own_picture,
                           gv_error *err) {
    f->width = width;
    f->height = height;
    f->canvas = gv_canvas_create(width, height);
    if (own_picture) f->rgb = gv_calloc2((size_t)width * (size_t)height, 3);
    if (!f->canvas || (own_picture && !f->rgb))
        return gv_fail(err, GV_ERR_MEMORY, "no memory for a %d x %d picture", width, height);
    return path ? gv_video_create(&f->writer, path, width, height, fps, err) : GV_OK;
}

static void close_film(film *f) {
    gv_video_abandon(f->writer);
    gv_canvas_destroy(f->canvas);
    free(f->rgb);
}

static gv_status open_films(studio *s, const gv_video_info *info, double fps, const gv_pictures_options *opt,
                            gv_error *err) {
    gv_status status = GV_OK;
    if (opt->overlay || opt->side_by_side)
        status = open_film(&s->overlay, opt->overlay, info->width, info->height, fps, false, err);
    if (status == GV_OK && opt->world)
        status = open_film(&s->world.film, opt->world, WORLD_WIDTH, WORLD_HEIGHT, fps, true, err);
    if (status == GV_OK && opt->side_by_side) {
        int width = info->height * 4 / 3 < WORLD_WIDTH ? info->height * 4 / 3 : WORLD_WIDTH;
        s->sheet_width = info->width + width;
        s->sheet = gv_calloc2((size_t)s->sheet_width * (size_t)info->height, 3);
        if (!s->sheet) return gv_fail(err, GV_ERR_MEMORY, "no memory for a picture %d wide", s->sheet_width);
        status = open_film(&s->side, NULL, width, info->height, fps, true, err);
        if (status == GV_OK)
            status = gv_video_create(&s->side.writer, opt->side_by_side, s->sheet_width, info->height, fps, err);
    }
    if (status == GV_OK && opt->copy) status = gv_copy_create(&s->copy, opt->copy, info->width, info->height, fps, err);
    if (s->side.canvas) s->side.view = gv_stage_view(s->stage, s->side.width, s->side.height);
    return status;
}

static bool draw_world(gv_stage *stage, film *f) {
    return gv_stage_draw_world(stage, f->canvas, f->rgb, f->width * 3, &f->view);
}

static void *paint(void *context) {
    painter *p = context;
    film *f = &p->film;
    moment m;
    omp_set_num_threads(p->threads);
    while (p->status == GV_OK && gv_queue_pop(p->moments, &m)) {
        gv_stage_pose(p->stage, m.index);
        if (!draw_world(p->stage, f))
            p->status = gv_fail(&p->err, GV_ERR_MEMORY, "no memory to draw frame %ld", m.index);
        else
            p->status = gv_video_write(f->writer, f->rgb, f->width * 3, m.time_sec, &p->err);
    }
    gv_queue_close(p->moments);
    return NULL;
}

static gv_status start_painter(studio *s, const gv_scene *scene, const gv_body *body, gv_error *err) {
    painter *p = &s->world;
    gv_status status = gv_stage_create(&p->stage, scene->motion, scene->people, body, err);
    if (status != GV_OK) return status;
    p->film.view = gv_stage_view(p->stage, WORLD_WIDTH, WORLD_HEIGHT);
    p->moments = gv_queue_create(AHEAD, sizeof(moment));
    p->threads = omp_get_max_threads();
    if (s->overlay.canvas) p->threads = (p->threads + 1) / 2;
    p->running = p->moments && pthread_create(&p->thread, NULL, paint, p) == 0;
    return p->running ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory for a thread that draws");
}

static gv_status join_painter(painter *p, gv_error *err) {
    if (p->running) {
        gv_queue_close(p->moments);
        pthread_join(p->thread, NULL);
    }
    p->running = false;
    if (p->status != GV_OK && err) *err = p->err;
    return p->status;
}

static gv_status draw_frame(studio *s, gv_feed_frame *p, gv_error *err) {
    gv_status status = s->copy ? gv_copy_add(s->copy, p->rgb, p->width * 3, p->time_sec, err) : GV_OK;
    if (status != GV_OK) return status;
    if (s->world.running && !gv_queue_push(s->world.moments, &(moment){p->index, p->time_sec}))
        return join_painter(&s->world, err);
    bool good = true;
    if (s->stage) gv_stage_pose(s->stage, p->index);
    if (s->side.writer) good = draw_world(s->stage, &s->side);
    if (good && s->overlay.canvas)
        good = gv_stage_draw_over(s->stage, s->overlay.canvas, p->rgb, p->width, p->width * 3, opacity);
    if (!good) return gv_fail(err, GV_ERR_MEMORY, "no memory to draw frame %ld", p->index);
    if (s->overlay.writer) status = gv_video_write(s->overlay.writer, p->rgb, p->width * 3, p->time_sec, err);
    if (status == GV_OK && s->side.writer) {
        gv_compose_side_by_side(s->sheet, s->sheet_width * 3, p->rgb, p->width, p->width * 3, s->side.rgb,
                                s->side.width, s->side.width * 3, p->height);
        status = gv_video_write(s->side.writer, s->sheet, s->sheet_width * 3, p->time_sec, err);
    }
    return status;
}

static gv_status finish_film(film *f, gv_error *err) {
    if (!f->writer) return GV_OK;
    gv_status status = gv_video_finish(f->writer, err);
    f->writer = NULL;
    return status;
}

gv_status gv_draw_pictures(gv_pictures *out, const gv_scene *scene, const char *video, const gv_body *body,
                           const gv_pictures_options *opt, gv_error *err) {
    studio s = {0};
    const int threads = omp_get_max_threads(); // of the caller
    *out = (gv_pictures){0};
    gv_feed *feed = NULL;
    gv_progress progress;
    gv_progress_begin(&progress, "draw", scene->frames, opt->quiet, opt->listener);
    gv_status status = gv_feed_open(
        &feed, video, &(gv_video_options){.fps = opt->fps, .max_side = MAX_SIDE, .jail = opt->jail}, BUFFERS, err);
    if (status == GV_OK && (opt->overlay || opt->side_by_side))
        status = gv_stage_create(&s.stage, scene->motion, scene->people, body, err);
    if (status == GV_OK) status = open_films(&s, gv_feed_info(feed), scene->motion[0].fps, opt, err);
    if (status == GV_OK && opt->world) status = start_painter(&s, scene, body, err);
    if (s.world.running && s.stage) omp_set_num_threads(threads - s.world.threads > 0 ? threads - s.world.threads : 1);
    gv_feed_frame *p;
    while (status == GV_OK && (status = gv_feed_next(feed, &p, err)) == GV_OK && p) {
        status = draw_frame(&s, p, err);
        gv_progress_set(&progress, p->index + 1);
        gv_feed_release(feed, p);
        if (status == GV_OK) status = gv_go_on(opt->listener, err);
    }
    if (status == GV_OK) status = finish_film(&s.overlay, err);
    gv_status painted = join_painter(&s.world, status == GV_OK ? err : NULL);
    if (status == GV_OK) status = painted;
    omp_set_num_threads(threads);
    if (status == GV_OK) status = finish_film(&s.world.film, err);
    if (status == GV_OK) status = finish_film(&s.side, err);
    if (status == GV_OK && s.copy) {
        status = gv_copy_finish(s.copy, &out->times, &out->frames, err);
        s.copy = NULL;
    }
    gv_copy_abandon(s.copy);
    close_film(&s.overlay);
    close_film(&s.world.film);
    close_film(&s.side);
    free(s.sheet);
    gv_stage_destroy(s.stage);
    gv_stage_destroy(s.world.stage);
    gv_queue_destroy(s.world.moments);
    gv_feed_close(feed);
    out->seconds = gv_progress_end(&progress);
    return status;
}

void gv_pictures_free(gv_pictures *p) {
    free(p->times);
    *p = (gv_pictures){0};
}
