#include "pipeline/pictures.h"
#include "base/memory.h"
#include "base/progress.h"
#include "geometry/rotation.h"
#include "pipeline/feed.h"
#include "rendering/render.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFERS = 4, MAX_SIDE = 1920, WORLD_WIDTH = 1280, WORLD_HEIGHT = 720 };
static const float opacity = 0.9f;
#define LARGEST_STAGE 14.0f // m, diagonal of the ground that the outside view shows at most, unless person 1 needs more

// One person's mesh, in the world and in the camera, for the current frame.
typedef struct actor {
    gv_skin *skin;
    float *world, *world_normal;   // [V, 3]
    float *camera, *camera_normal; // [V, 3]
} actor;

// One video that is being written.
typedef struct film {
    gv_video_writer *writer;
    gv_canvas *canvas;
    uint8_t *rgb; // [height, width, 3]; the overlay draws into the decoded picture instead
    int width, height;
    gv_view view;
} film;

typedef struct studio {
    const gv_scene *scene;
    const gv_body *body;
    actor *actors;
    gv_mesh *meshes, *seen; // [people] those in the current frame: in the world, in the camera
    gv_path *paths;         // [people]
    film overlay, world, side;
    uint8_t *sheet; // side by side: overlay and side.rgb
    int sheet_width;
} studio;

static gv_status build_actors(studio *s, gv_error *err) {
    int people = s->scene->people;
    size_t n = (size_t)s->body->vertices;
    s->actors = gv_calloc2((size_t)people, sizeof *s->actors);
    s->meshes = gv_calloc2((size_t)people, sizeof *s->meshes);
    s->seen = gv_calloc2((size_t)people, sizeof *s->seen);
    s->paths = gv_calloc2((size_t)people, sizeof *s->paths);
    if (!s->actors || !s->meshes || !s->seen || !s->paths)
        return gv_fail(err, GV_ERR_MEMORY, "no memory for %d bodies", people);
    for (int k = 0; k < people; k++) {
        actor *a = s->actors + k;
        a->skin = gv_skin_create(s->body, s->scene->motion[k].betas);
        a->world = gv_calloc2(n, 12);
        a->world_normal = gv_calloc2(n, 12);
        a->camera = gv_calloc2(n, 12);
        a->camera_normal = gv_calloc2(n, 12);
        if (!a->skin || !a->world || !a->world_normal || !a->camera || !a->camera_normal)
            return gv_fail(err, GV_ERR_MEMORY, "no memory for the body of person %d", k + 1);
    }
    return GV_OK;
}

// The world mesh moved rigidly into the camera: x_cam = R (x - pelvis_world) + pelvis_camera.
static void to_camera(actor *a, const gv_motion *m, int t, int vertices) {
    float Rw[9], Rc[9], R[9], shift[3], turned[3];
    const float *pw = m->joints_world + (size_t)t * GV_MOTION_JOINTS * 3,
                *pc = m->joints_incam + (size_t)t * GV_MOTION_JOINTS * 3;
    gv_rot_from_aa(Rw, m->global_orient + 3 * (size_t)t);
    gv_rot_from_aa(Rc, m->global_orient_incam + 3 * (size_t)t);
    gv_mat3_mul_nt(R, Rc, Rw);
    gv_mat3_apply(turned, R, pw);
    for (int i = 0; i < 3; i++) shift[i] = pc[i] - turned[i];
#pragma omp parallel for schedule(static)
    for (int v = 0; v < vertices; v++) {
        gv_mat3_apply(a->camera + 3 * v, R, a->world + 3 * v);
        for (int i = 0; i < 3; i++) a->camera[3 * v + i] += shift[i];
        gv_mat3_apply(a->camera_normal + 3 * v, R, a->world_normal + 3 * v);
    }
}

// Poses everybody who is in this frame. Returns how many.
static int pose_actors(studio *s, long frame) {
    int n = 0;
    for (int k = 0; k < s->scene->people; k++) {
        const gv_motion *m = s->scene->motion + k;
        long t = frame - m->frame_index[0];
        if (t < 0 || t >= m->frames) continue;
        actor *a = s->actors + k;
        gv_skin_pose(a->skin, m->body_pose + 63 * t, m->global_orient + 3 * t, m->transl + 3 * t, a->world,
                     a->world_normal);
        gv_mesh *mesh = s->meshes + n;
        *mesh = (gv_mesh){s->body->vertices, s->body->triangles, a->world, a->world_normal, s->body->faces, {0}};
        memcpy(mesh->colour, gv_palette(k), sizeof mesh->colour);
        s->seen[n] = *mesh;
        s->seen[n].position = a->camera;
        s->seen[n].normal = a->camera_normal;
        if (s->overlay.canvas) to_camera(a, m, (int)t, s->body->vertices);
        n++;
    }
    return n;
}

static void draw_overlay(studio *s, gv_feed_frame *p, int n) {
    const gv_motion *m = s->scene->motion;
    film *f = &s->overlay;
    f->view = (gv_view){.R = {1, 0, 0, 0, 1, 0, 0, 0, 1}};
    float scale = m->width > 0 ? (float)p->width / (float)m->width : 1;
    long t = p->index - m->frame_index[0];
    t = t < 0 ? 0 : t >= m->frames ? m->frames - 1 : t;
    for (int i = 0; i < 9; i++) f->view.K[i] = m->K[9 * t + i] * (i < 6 ? scale : 1);
    gv_render_over(f->canvas, p->rgb, p->width * 3, &f->view, s->seen, n, opacity);
}

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

static void include(const gv_motion *m, float lo[3], float hi[3]) {
    for (size_t j = 0; j < (size_t)m->frames * GV_MOTION_JOINTS; j++)
        for (int i = 0; i < 3; i++) {
            lo[i] = fminf(lo[i], m->joints_world[3 * j + i]);
            hi[i] = fmaxf(hi[i], m->joints_world[3 * j + i]);
        }
}

// The box that the outside view shows: person 1, and the others, most prominent first, while it stays small
// enough for people to be seen. Somebody far in the background is drawn where the view happens to reach.
static void bounds(const gv_scene *scene, float lo[3], float hi[3]) {
    for (int i = 0; i < 3; i++) lo[i] = 1e9f, hi[i] = -1e9f;
    include(scene->motion, lo, hi);
    float limit = fmaxf(LARGEST_STAGE, 1.5f * hypotf(hi[0] - lo[0], hi[2] - lo[2]));
    for (int k = 1; k < scene->people; k++) {
        float l[3], h[3];
        memcpy(l, lo, sizeof l);
        memcpy(h, hi, sizeof h);
        include(scene->motion + k, l, h);
        if (hypotf(h[0] - l[0], h[2] - l[2]) > limit) continue;
        memcpy(lo, l, sizeof l);
        memcpy(hi, h, sizeof h);
    }
}

static gv_status open_films(studio *s, const gv_video_info *info, double fps, const gv_pictures_options *opt,
                            gv_error *err) {
    float lo[3], hi[3];
    bounds(s->scene, lo, hi);
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
    s->world.view = gv_view_outside(lo, hi, WORLD_WIDTH, WORLD_HEIGHT);
    if (s->side.canvas) s->side.view = gv_view_outside(lo, hi, s->side.width, s->side.height);
    return status;
}

static void draw_world(studio *s, film *f, int n) {
    gv_render_world(f->canvas, f->rgb, f->width * 3, &f->view, s->meshes, n, s->paths, s->scene->people);
}

static gv_status draw_frame(studio *s, gv_feed_frame *p, gv_error *err) {
    gv_status status = GV_OK;
    int n = pose_actors(s, p->index);
    if (s->world.writer) {
        draw_world(s, &s->world, n);
        status = gv_video_write(s->world.writer, s->world.rgb, s->world.width * 3, p->time_sec, err);
    }
    if (status == GV_OK && s->side.writer) draw_world(s, &s->side, n);
    if (status == GV_OK && s->overlay.canvas) draw_overlay(s, p, n);
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

// The pelvis' way over the ground, as a line.
static gv_status trace_paths(studio *s, float **points, gv_error *err) {
    size_t total = 0;
    for (int k = 0; k < s->scene->people; k++) total += (size_t)s->scene->motion[k].frames;
    float *p = *points = gv_calloc2(total, 3 * sizeof(float));
    if (!p) return gv_fail(err, GV_ERR_MEMORY, "no memory for paths of %zu points", total);
    for (int k = 0; k < s->scene->people; k++) {
        const gv_motion *m = s->scene->motion + k;
        s->paths[k] = (gv_path){.points = p, .n = m->frames};
        memcpy(s->paths[k].colour, gv_palette(k), sizeof s->paths[k].colour);
        for (int t = 0; t < m->frames; t++, p += 3) {
            const float *root = m->joints_world + (size_t)t * GV_MOTION_JOINTS * 3;
            p[0] = root[0];
            p[2] = root[2];
        }
    }
    return GV_OK;
}

gv_status gv_draw_pictures(const gv_scene *scene, const char *video, const gv_body *body,
                           const gv_pictures_options *opt, double *seconds, gv_error *err) {
    studio s = {.scene = scene, .body = body};
    gv_feed *feed = NULL;
    float *points = NULL;
    gv_progress progress;
    gv_progress_begin(&progress, "draw", scene->frames, opt->quiet);
    gv_status status =
        gv_feed_open(&feed, video, &(gv_video_options){.fps = opt->fps, .max_side = MAX_SIDE}, BUFFERS, err);
    if (status == GV_OK) status = build_actors(&s, err);
    if (status == GV_OK) status = trace_paths(&s, &points, err);
    if (status == GV_OK) status = open_films(&s, gv_feed_info(feed), scene->motion[0].fps, opt, err);
    gv_feed_frame *p;
    while (status == GV_OK && (status = gv_feed_next(feed, &p, err)) == GV_OK && p) {
        status = draw_frame(&s, p, err);
        gv_progress_set(&progress, p->index + 1);
        gv_feed_release(feed, p);
    }
    if (status == GV_OK) status = finish_film(&s.overlay, err);
    if (status == GV_OK) status = finish_film(&s.world, err);
    if (status == GV_OK) status = finish_film(&s.side, err);
    close_film(&s.overlay);
    close_film(&s.world);
    close_film(&s.side);
    for (int k = 0; s.actors && k < scene->people; k++) {
        actor *a = s.actors + k;
        gv_skin_destroy(a->skin);
        free(a->world);
        free(a->world_normal);
        free(a->camera);
        free(a->camera_normal);
    }
    free(s.actors);
    free(s.meshes);
    free(s.seen);
    free(s.paths);
    free(s.sheet);
    free(points);
    gv_feed_close(feed);
    *seconds = gv_progress_end(&progress);
    return status;
}
