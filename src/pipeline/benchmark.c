#include "pipeline/benchmark.h"
#include "base/memory.h"
#include "geometry/rotation.h"
#include "pipeline/common_gravity.h"
#include "pipeline/hold_to_way.h"
#include "pipeline/predict.h"
#include "pipeline/settle.h"
#include "pipeline/way_metres.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 300, SHORTEST = 60, J = 22, FEET = GV_FEET };
static const int pelvis[2] = {1, 2};

const char *const gv_stage_names[GV_STAGES] = {"network", "solved", "refined", "settled", "held"};

typedef struct bench {
    gv_network *net;
    const gv_body *body;
    const gv_store *store;
    gv_sampler sampler;
    gv_batch *batch; // one piece
    gv_sequence *sequence;
    float *feet[2], *roots[2], *camera_roots[2]; // [PIECE, 4, 3], [PIECE, 9] twice: predicted, true
} bench;

// What was observed of the batch's only sequence.
static gv_status observed(gv_observations *o, const gv_batch *b, bool points, gv_error *err) {
    int L = b->length[0];
    gv_status s = gv_observations_alloc(o, L, err);
    if (s) return s;
    memcpy(o->kp2d, b->kp2d, sizeof(float) * 51 * (size_t)L);
    memcpy(o->bbx_xys, b->y.box, sizeof(float) * 3 * (size_t)L);
    memcpy(o->R_w2c, b->R_w2c, sizeof(float) * 9 * (size_t)L);
    for (int t = 0; t < L; t++) {
        const float *k = b->y.K + 4 * t;
        const float K[9] = {k[0], 0, k[2], 0, k[1], k[3], 0, 0, 1};
        memcpy(o->K + 9 * t, K, sizeof K);
    }
    o->width = (int)(2 * b->y.K[2]), o->height = (int)(2 * b->y.K[3]);
    if (!points) return GV_OK;
    o->kp3d = gv_calloc2((size_t)L, sizeof(float[51]));
    if (!o->kp3d) {
        gv_observations_free(o);
        return gv_fail(err, GV_ERR_MEMORY, "no memory for %d frames", L);
    }
    for (int t = 0; t < L; t++) memcpy(o->kp3d + 51 * t, b->images + (size_t)GV_IMAGE_FEATURE * t, sizeof(float[51]));
    return GV_OK;
}

// orient, orient_incam [L, 3]: axis-angle of the root
static gv_status score(gv_score *s, bench *b, const float *world, const float *camera, const float *orient,
                       const float *orient_incam, gv_error *err) {
    const gv_batch *t = b->batch;
    int L = t->length[0];
    gv_score_feet(b->feet[0], world, L);
    gv_score_feet(b->feet[1], t->joints_w, L);
    for (int i = 0; i < L; i++) {
        gv_rot_from_aa(b->roots[0] + 9 * i, orient + 3 * i);
        gv_rot_from_aa(b->camera_roots[0] + 9 * i, orient_incam + 3 * i);
        gv_mat3_mul(b->camera_roots[1] + 9 * i, t->R_w2c + 9 * i, t->y.R_w + 9 * i);
    }
    gv_score_gravity(s, L, (gv_orients){b->roots[0], b->camera_roots[0]}, (gv_orients){t->y.R_w, b->camera_roots[1]});
    gv_points_pair w = {world, t->joints_w, J}, c = {camera, t->y.joints, J}, feet = {b->feet[0], b->feet[1], FEET};
    gv_status status = gv_score_world(s, L, w, feet, 30, err);
    return status ? status : gv_score_camera(s, L, c, (gv_points_pair){0}, pelvis, 30, err);
}

static const float *stage_array(const gv_motion *m, const char *name) {
    for (int i = 0; i < m->extra_count; i++)
        if (!strcmp(m->extra[i].name, name)) return m->extra[i].data;
    return NULL;
}

// A number from -1 to 1 that looks random.
static double noise_of(long i) {
    uint64_t x = (uint64_t)(i + 1) * 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 31)) * 0xBF58476D1CE4E5B9u;
    return (double)((x ^ (x >> 29)) >> 11) / 4503599627370496.0 - 1;
}

// A point of the ground around somebody's feet in frame t, as seen with an error; false where it is behind the camera.
static bool ground_point(gv_ground_point *p, const gv_batch *b, int t, const double centre[3], double ground, long i) {
    const float *feet = b->joints_w + 3 * ((size_t)t * J + 7);
    bool stone = i % 10 == 0;
    float at[3] = {(float)(feet[0] + 0.8 * noise_of(4 * i) - centre[0]),
                   (float)(ground + (stone ? 0.5 : 0) - centre[1]),
                   (float)(feet[2] + 0.8 * noise_of(4 * i + 1) - centre[2])},
          seen[3];
    gv_mat3_apply(seen, b->R_w2c + 9 * (size_t)t, at);
    *p =
        (gv_ground_point){t, seen[0] / seen[2], seen[1] / seen[2], (float)(seen[2] * exp(0.087 * noise_of(4 * i + 2)))};
    return seen[2] > 0.1f;
}

// What a picture tells of the camera's way.
static gv_status way_of(gv_camera_path *c, const gv_batch *b, bool moving, gv_error *err) {
    enum { SPAN = 5 };
    const double unit = 0.37; // m
    int L = b->length[0];
    *c = (gv_camera_path){.frames = L, .is_static = !moving};
    if (!moving) return GV_OK;
    c->position = gv_calloc2((size_t)L, sizeof(float[3])), c->stretch = gv_calloc2((size_t)L, sizeof *c->stretch);
    c->position_metres_sd = gv_calloc2((size_t)L, sizeof(float));
    c->ground = gv_calloc2((size_t)(L / SPAN + 1), GV_GROUND_POINTS * sizeof *c->ground);
    if (!c->position || !c->stretch || !c->position_metres_sd || !c->ground) {
        gv_camera_path_free(c);
        return gv_fail(err, GV_ERR_MEMORY, "no memory for the camera's way over %d frames", L);
    }
    double ground = INFINITY;
    for (int i = 0; i < L * J; i++) ground = fmin(ground, (double)b->joints_w[3 * i + 1]);
    for (int t = 0; t < L; t++) {
        float away[3];
        double centre[3];
        gv_mat3_apply_t(away, b->R_w2c + 9 * t, b->y.joints + 3 * (size_t)t * J);
        for (int i = 0; i < 3; i++) {
            centre[i] = (double)b->joints_w[3 * (size_t)t * J + i] - (double)away[i];
            c->position[3 * t + i] = (float)(centre[i] / unit);
        }
        for (int k = 0; t % SPAN == 0 && k < GV_GROUND_POINTS; k++) {
            gv_ground_point *p = &c->ground[c->ground_count];
            if (!ground_point(p, b, t, centre, ground - 0.02, (long)t * GV_GROUND_POINTS + k)) continue;
            p->depth /= (float)unit;
            c->ground_count++;
        }
    }
    return GV_OK;
}

// As `run` does it.
static gv_status hold(gv_motion *m, const bench *b, bool moving, gv_error *err) {
    gv_camera_path way;
    gv_status s = way_of(&way, b->batch, moving, err);
    if (s) return s;
    s = gv_common_gravity(m, 1, !moving, err);
    if (!s) s = gv_way_to_metres(&way, m, 1, err);
    if (!s) s = gv_hold_to_way(m, &way, true, err);
    if (!s) s = gv_settle(m, b->body, false, NULL, err);
    gv_camera_path_free(&way);
    return s;
}

static gv_status run_piece(bench *b, gv_benchmark_piece *p, bool points, gv_error *err) {
    gv_observations o = {0};
    gv_status s = observed(&o, b->batch, points, err);
    for (int refined = 0; refined < 2 && !s; refined++) {
        gv_motion m = {0};
        gv_predict_options how = {.static_camera = !p->moving, .refine = refined, .verbose = !refined};
        s = gv_predict(&m, b->net, b->body, &o, &how, NULL, err);
        if (s) break;
        const float *w = stage_array(&m, "net/joints_w"), *c = stage_array(&m, "net/joints_c"),
                    *orient = stage_array(&m, "net/global_orient_w"),
                    *orient_c = stage_array(&m, "net/global_orient_c");
        if (!refined) s = score(&p->score[GV_STAGE_NETWORK], b, w, c, orient, orient_c, err);
        if (!s)
            s = score(&p->score[refined ? GV_STAGE_REFINED : GV_STAGE_SOLVED], b, m.joints_world, m.joints_incam,
                      m.global_orient, m.global_orient_incam, err);
        if (!s && refined) s = gv_settle(&m, b->body, false, NULL, err);
        if (!s && refined)
            s = score(&p->score[GV_STAGE_SETTLED], b, m.joints_world, m.joints_incam, m.global_orient,
                      m.global_orient_incam, err);
        gv_motion_free(&m);
        if (s || !refined) continue;
        s = gv_predict(&m, b->net, b->body, &o, &how, NULL, err);
        if (!s) s = hold(&m, b, p->moving, err);
        if (!s)
            s = score(&p->score[GV_STAGE_HELD], b, m.joints_world, m.joints_incam, m.global_orient,
                      m.global_orient_incam, err);
        gv_motion_free(&m);
    }
    gv_observations_free(&o);
    return s;
}

static gv_status prepare(bench *b, const gv_rig *rig, const gv_benchmark_options *o, gv_error *err) {
    gv_sample_options how = {.plain = true, .only = o->only, .noise = o->noise, .points = o->points};
    gv_status s = gv_sampler_init(&b->sampler, b->store, rig, &how, err);
    if (s) return s;
    b->batch = gv_batch_create(1, PIECE, rig->surface.count);
    b->sequence = malloc(sizeof *b->sequence);
    int ok = b->batch && b->sequence;
    for (int i = 0; i < 2 && ok; i++) {
        b->feet[i] = gv_calloc2(PIECE, sizeof(float[FEET * 3]));
        b->roots[i] = gv_calloc2(PIECE, sizeof(float[9]));
        b->camera_roots[i] = gv_calloc2(PIECE, sizeof(float[9]));
        ok = b->feet[i] && b->roots[i] && b->camera_roots[i];
    }
    return ok ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory for the benchmark");
}

static void release(bench *b) {
    gv_sampler_free(&b->sampler);
    gv_batch_destroy(b->batch);
    free(b->sequence);
    for (int i = 0; i < 2; i++) {
        free(b->feet[i]);
        free(b->roots[i]);
        free(b->camera_roots[i]);
    }
}

// Pieces of about equal length, none longer than PIECE.
static int pieces_of(const gv_clip *c) {
    return c->frames < SHORTEST ? 0 : ((int)c->frames + PIECE - 1) / PIECE;
}

static bool wanted(const gv_benchmark_options *o, const gv_clip *c, int number, int all) {
    if (o->source && strcmp(o->source, c->source)) return false;
    return !o->most || all <= o->most || (int64_t)(number + 1) * o->most / all > (int64_t)number * o->most / all;
}

gv_status gv_benchmark_run(gv_network *net, const gv_body *body, const gv_store *store, const gv_rig *rig,
                           const gv_benchmark_options *o, void (*done)(void *user, const gv_benchmark_piece *piece),
                           void *user, gv_error *err) {
    bench b = {.net = net, .body = body, .store = store};
    gv_status s = prepare(&b, rig, o, err);
    int all = 0, number = 0;
    for (int i = 0; i < b.sampler.count; i++) all += pieces_of(&store->clips[b.sampler.clip[i]]);
    for (int i = 0; i < b.sampler.count && !s; i++) {
        const gv_clip *c = &store->clips[b.sampler.clip[i]];
        int pieces = pieces_of(c);
        for (int k = 0; k < pieces && !s; k++, number++) {
            if (!wanted(o, c, number, all)) continue;
            int first = (int)((int64_t)c->frames * k / pieces), end = (int)((int64_t)c->frames * (k + 1) / pieces);
            for (int moving = 0; moving < 2 && !s; moving++) {
                gv_rng r = gv_rng_make(o->seed, (uint64_t)number, (uint64_t)moving);
                gv_benchmark_piece p = {.clip = c, .first = first, .frames = end - first, .moving = moving};
                gv_sequence_read(b.sequence, store, c, first, p.frames, &r);
                gv_sequence_place(b.sequence, rig, &r);
                b.sampler.options.camera = moving ? GV_SAMPLE_MOVING : GV_SAMPLE_STATIC;
                gv_sequence_observe(b.batch, 0, b.sequence, &b.sampler, &r);
                s = run_piece(&b, &p, o->points, err);
                if (!s) done(user, &p);
            }
        }
    }
    release(&b);
    return s;
}
