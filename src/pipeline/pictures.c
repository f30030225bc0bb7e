#include "pipeline/pictures.h"
#include "base/memory.h"
#include "base/progress.h"
#include "pipeline/feed.h"
#include "pipeline/stage.h"

#include <stdlib.h>
#include <string.h>

enum { BUFFERS = 4, MAX_SIDE = 1920, WORLD_WIDTH = 1280, WORLD_HEIGHT = 720 };
static const float opacity = 0.9f;

// One video that is being written.
typedef struct film {
    gv_video_writer *writer;
    gv_canvas *canvas;
    uint8_t *rgb; // [height, width, 3]; the overlay draws into the decoded picture instead
    int width, height;
    gv_view view;
} film;

typedef struct studio {
    gv_stage *stage;
    film overlay, world, side;
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
        status = open_film(&s->world, opt->world, WORLD_WIDTH, WORLD_HEIGHT, fps, true, err);
    if (status == GV_OK && opt->side_by_side) {
        int width = info->height * 4 / 3 < WORLD_WIDTH ? info->height * 4 / 3 : WORLD_WIDTH;
        s->sheet_width = info->width + width;
        s->sheet = gv_calloc2((size_t)s->sheet_width * (size_t)info->height, 3);
        if (!s->sheet) return gv_fail(err, GV_ERR_MEMORY, "no memory for a picture %d wide", s->sheet_width);
        status = open_film(&s->side, NULL, width, info->height, fps, true, err);
        if (status == GV_OK)
            status = gv_video_create(&s->side.writer, opt->side_by_side, s->sheet_width, info->height, fps, err);
    }
    s->world.view = gv_stage_view(s->stage, WORLD_WIDTH, WORLD_HEIGHT);
    if (s->side.canvas) s->side.view = gv_stage_view(s->stage, s->side.width, s->side.height);
    return status;
}

static bool draw_world(studio *s, film *f) {
    return gv_stage_draw_world(s->stage, f->canvas, f->rgb, f->width * 3, &f->view);
}

static gv_status draw_frame(studio *s, gv_feed_frame *p, gv_error *err) {
    gv_status status = GV_OK;
    gv_stage_pose(s->stage, p->index);
    bool good = !s->world.writer || draw_world(s, &s->world);
    if (good && s->side.writer) good = draw_world(s, &s->side);
    if (good && s->overlay.canvas)
        good = gv_stage_draw_over(s->stage, s->overlay.canvas, p->rgb, p->width, p->width * 3, opacity);
    if (!good) return gv_fail(err, GV_ERR_MEMORY, "no memory to draw frame %ld", p->index);
    if (s->world.writer) status = gv_video_write(s->world.writer, s->world.rgb, s->world.width * 3, p->time_sec, err);
    if (status == GV_OK && s->overlay.writer)
        status = gv_video_write(s->overlay.writer, p->rgb, p->width * 3, p->time_sec, err);
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

gv_status gv_draw_pictures(const gv_scene *scene, const char *video, const gv_body *body,
                           const gv_pictures_options *opt, double *seconds, gv_error *err) {
    studio s = {0};
    gv_feed *feed = NULL;
    gv_progress progress;
    gv_progress_begin(&progress, "draw", scene->frames, opt->quiet, opt->listener);
    gv_status status = gv_feed_open(
        &feed, video, &(gv_video_options){.fps = opt->fps, .max_side = MAX_SIDE, .jail = opt->jail}, BUFFERS, err);
    if (status == GV_OK) status = gv_stage_create(&s.stage, scene->motion, scene->people, body, err);
    if (status == GV_OK) status = open_films(&s, gv_feed_info(feed), scene->motion[0].fps, opt, err);
    gv_feed_frame *p;
    while (status == GV_OK && (status = gv_feed_next(feed, &p, err)) == GV_OK && p) {
        status = draw_frame(&s, p, err);
        gv_progress_set(&progress, p->index + 1);
        gv_feed_release(feed, p);
        if (status == GV_OK) status = gv_go_on(opt->listener, err);
    }
    if (status == GV_OK) status = finish_film(&s.overlay, err);
    if (status == GV_OK) status = finish_film(&s.world, err);
    if (status == GV_OK) status = finish_film(&s.side, err);
    close_film(&s.overlay);
    close_film(&s.world);
    close_film(&s.side);
    free(s.sheet);
    gv_stage_destroy(s.stage);
    gv_feed_close(feed);
    *seconds = gv_progress_end(&progress);
    return status;
}
