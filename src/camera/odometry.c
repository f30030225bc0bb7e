#include "camera/odometry.h"

#include "base/memory.h"
#include "base/spool.h"
#include "camera/calibrate.h"
#include "camera/path_smooth.h"
#include "camera/picture.h"
#include "camera/relative.h"
#include "camera/revisits.h"
#include "camera/rolling.h"
#include "camera/rotation_graph.h"
#include "camera/stillness.h"
#include "camera/tracks.h"
#include "camera/travel.h"
#include "camera/window.h"
#include "geometry/linalg.h"
#include "geometry/so3.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    REACH = 72,        // frames that a window spans at most
    DEFER = 6000,      // frames that wait for the focal length to be measured, at most
    FIRST_TRY = 300,   // frames after which it is tried for the first time; then after twice as many each
    SPAN = 5,          // frames between keyframes
    LEAST_TRACKS = 10, // fewer survivors: the frame is not linked
    TAIL = 22,         // frames at the end of the video that one window solves one by one
    MAX_BOXES = 64,
    CHAIN_DRAWS = 50,
    HOLD = 8, // frames that a lost picture is kept to link over a flash or an occlusion
    LARGEST_SIDE = 32768,
    CHUNK = 8,             // keyframes whose windows know each other
    BATCH = 64,            // keyframes that are solved side by side at most
    LOOK_BACK = 3,         // keyframes from one look for a view seen before to the next
    RECENT = DEFER + 1024, // frames whose results are in memory; more than ever wait for their windows
};
static const int lags[] = {2, 3, 4, 6, 8, 10, 12}; // keyframes ahead that join a window besides the next
static const double NOISE_PX = 0.05;               // least error of a track, reduced px
static const double SURER = 0.05;                  // gain in confidence for which a window replaces another
static const double SHORTEST = 0.28, LONGEST = 3;  // focal lengths that are thinkable, picture diagonals
static const double AT_ONCE = 0.01;      // standard deviation of a focal length with which nobody waits longer
static const double TRACK_RADIUS = 0.28; // mean distance of a picture's points from its middle, diagonals
static const float BOX_MARGIN = 0.06f;
static const double FOCAL_HARM = 0.007;      // rad, error of a step by the focal length that halves the confidence
static const float UNSURE = 0.2f;            // confidence below which a rotation counts as not known
static const double SYSTEMATIC = 3e-5;       // rad: what no number of tracks averages out of an edge
static const double SYSTEMATIC_AGAIN = 1e-4; // and out of one between a view and itself seen again: no rolling shutter
static const double SAME_VIEW = 0.6;         // least share of its matches that agree
static const double PLACE_CORRELATED = 4, PLACE_FLOOR = 0.005; // the same of places: factor; share of the way
static const double SURE_WAY = 0.3;   // least confidence of a rotation for which the way beside it counts,
static const double WAY_SHARE = 0.65; // and least share of the tracks that agree: somebody large may walk along

typedef struct keyframe {
    long frame;
    bool cut; // not linked to the keyframe before
    int boxes;
    float box[GV_GROUND_BOXES][4]; // people, normalised by the focal length believed at first
    bool has_next;
    double next[9], next_confidence; // rotation from here to the next keyframe, by the surest window
} keyframe;

typedef struct frame_result {
    bool solved;
    float R[9]; // from the keyframe at or before it; valid when solved
    float confidence;
    float noise;  // error of a track's coordinate, normalised
    float way[3]; // place relative to that keyframe, its axes, in the unit of a window:
    int window;   // 1 + its keyframe; 0: not known
    float place_confidence;
} frame_result;

typedef struct view { // a picture with its tracks
    gv_picture picture;
    gv_corners tracks;
    long frame;
    bool valid;
    double turned[9]; // from the first view, roughly
} view;

typedef struct window_plan {                            // what the poses of a window are
    long frame[GV_WINDOW_POSES], span[GV_WINDOW_POSES]; // frame, and the keyframe at or before it
    bool key[GV_WINDOW_POSES];
} window_plan;

typedef struct solution { // what the window of one keyframe found: poses from its anchor, up to scale
    int poses;            // 0: nothing
    bool moved;
    double sigma, place_sd; // place_sd: of a place's coordinate
    window_plan plan;
    int grounds;
    gv_ground_point ground[GV_GROUND_POINTS];
    struct {
        double R[9], t[3], info[9];
        int seen, inliers;
    } pose[GV_WINDOW_POSES];
} solution;

struct gv_odometry {
    gv_reducer reducer;
    const gv_optics *optics;         // borrowed
    double focal_px, focal_sd, unit; // believed, px and relative; unit: normalised size of one reduced px
    gv_focal_origin origin;
    bool measuring; // the focal length is still to be measured: windows wait
    long next_try;
    view slot[3], *held, *fresh, *spare; // held: last linked; fresh: a start of something new after a loss
    int lost;                            // frames since `held` was seen
    int keyframe_tracks;                 // tracks of the last keyframe
    bool finishing;
    int32_t next_id;
    long frames;
    gv_tracks_store tracks;
    gv_rolling rolling;
    long straight; // frames up to here were looked at for the rolling shutter
    gv_stillness stillness;
    solution *solved; // [BATCH]
    solution last;    // of the window before
    keyframe *keyframes;
    frame_result *results;    // of frames away.count, away.count + 1 ...
    gv_spool *spool;          // of the lists:
    gv_long_list away;        // results of the frames before those: nothing changes them any more
    gv_long_list edges, ways; // gv_graph_edge, gv_travel_edge
    gv_revisits *revisits;
    gv_long_list again;    // gv_revisit, of keyframes
    gv_long_list grounds;  // gv_ground_point: `frame` is the keyframe, depths are in its window's unit
    long nkeyframes, done; // done: keyframes whose window is solved
    size_t cap_keyframes, cap_results;
};

// --- life ----------------------------------------------------------------------------------------------

static gv_status check(int width, int height, const gv_optics *optics, gv_error *err) {
    if (width < 1 || height < 1 || width > LARGEST_SIDE || height > LARGEST_SIDE)
        return gv_fail(err, GV_ERR_ARGUMENT, "frames of %d x %d pixels, expected 1 to %d", width, height, LARGEST_SIDE);
    for (long i = 0; i < optics->count; i++) {
        const gv_lens *l = &optics->lens[i];
        if (!(l->fx > 0 && l->fy > 0) || !isfinite(l->fx + l->fy + l->cx + l->cy))
            return gv_fail(err, GV_ERR_ARGUMENT, "focal length %g, %g px, expected positive numbers", l->fx, l->fy);
    }
    return GV_OK;
}

static void believe(gv_odometry *o, double focal_px, double sd, gv_focal_origin origin) {
    o->focal_px = focal_px, o->focal_sd = sd, o->origin = origin;
    o->unit = 0.5 * (o->reducer.scale_x + o->reducer.scale_y) / focal_px;
}

gv_status gv_odometry_create(gv_odometry **out, int width, int height, const gv_optics *optics, gv_error *err) {
    *out = NULL;
    gv_status s = check(width, height, optics, err);
    if (s != GV_OK) return s;
    gv_odometry *o = gv_calloc2(1, sizeof *o);
    if (!o) return gv_fail(err, GV_ERR_MEMORY, "no memory for the camera's state");
    o->optics = optics;
    o->measuring = optics->count == 1 && optics->lens[0].model == GV_LENS_PINHOLE && optics->origin < GV_FOCAL_MEASURED;
    o->next_try = FIRST_TRY;
    s = gv_reducer_init(&o->reducer, width, height, err);
    for (int i = 0; s == GV_OK && i < 3; i++) {
        s = gv_picture_alloc(&o->slot[i].picture, o->reducer.reduced_width, o->reducer.reduced_height, err);
        if (s == GV_OK)
            s = gv_corners_alloc(&o->slot[i].tracks, o->reducer.reduced_width, o->reducer.reduced_height, err);
        gv_so3_identity(o->slot[i].turned);
    }
    if (s == GV_OK) s = gv_revisits_create(&o->revisits, o->reducer.reduced_width, o->reducer.reduced_height, err);
    if (s == GV_OK) s = gv_stillness_alloc(&o->stillness, err);
    if (s == GV_OK) s = gv_tracks_store_alloc(&o->tracks, o->measuring ? DEFER : REACH + 4, err);
    believe(o, 0.5 * (optics->lens[0].fx + optics->lens[0].fy), optics->sd, optics->origin);
    o->rolling.rows = optics->lens[0].fy / height;
    o->held = &o->slot[0], o->fresh = &o->slot[1], o->spare = &o->slot[2];
    o->solved = gv_calloc2(BATCH, sizeof *o->solved);
    o->spool = gv_spool_create();
    o->away = (gv_long_list){.spool = o->spool, .item = sizeof(frame_result)};
    o->edges = (gv_long_list){.spool = o->spool, .item = sizeof(gv_graph_edge)};
    o->ways = (gv_long_list){.spool = o->spool, .item = sizeof(gv_travel_edge)};
    o->again = (gv_long_list){.spool = o->spool, .item = sizeof(gv_revisit)};
    o->grounds = (gv_long_list){.spool = o->spool, .item = sizeof(gv_ground_point)};
    if (s == GV_OK && (!o->solved || !o->spool)) s = gv_fail(err, GV_ERR_MEMORY, "no memory for the camera's tracks");
    if (s != GV_OK) {
        gv_odometry_destroy(o);
        return s;
    }
    *out = o;
    return GV_OK;
}

void gv_odometry_destroy(gv_odometry *o) {
    if (!o) return;
    for (int i = 0; i < 3; i++) gv_picture_free(&o->slot[i].picture), gv_corners_free(&o->slot[i].tracks);
    gv_reducer_free(&o->reducer);
    gv_stillness_free(&o->stillness);
    gv_tracks_store_free(&o->tracks);
    gv_long_list_free(&o->away), gv_long_list_free(&o->edges), gv_long_list_free(&o->ways);
    gv_long_list_free(&o->grounds), gv_long_list_free(&o->again);
    gv_revisits_destroy(o->revisits);
    gv_spool_destroy(o->spool);
    free(o->solved), free(o->keyframes), free(o->results);
    free(o);
}

static void forget_way(gv_camera_path *c) {
    free(c->position), free(c->position_confidence), free(c->stretch), free(c->position_metres_sd), free(c->ground);
    c->position = c->position_confidence = c->position_metres_sd = NULL, c->stretch = NULL, c->ground = NULL,
    c->ground_count = 0;
}

void gv_camera_path_free(gv_camera_path *c) {
    free(c->R_w2c);
    free(c->confidence);
    forget_way(c);
    *c = (gv_camera_path){0};
}

bool gv_camera_unsure(const gv_camera_path *c, int from, int *first, int *last) {
    while (from < c->frames && !(c->confidence[from] < UNSURE)) from++;
    if (from >= c->frames) return false;
    *first = *last = from;
    while (*last + 1 < c->frames && c->confidence[*last + 1] < UNSURE) ++*last;
    return true;
}

// Makes room for one more item.
static bool grow(void **items, size_t *capacity, size_t count, size_t size) {
    if (count < *capacity) return true;
    size_t want = *capacity ? *capacity * 2 : 256;
    void *p = want > GV_ALLOC_LIMIT / size ? NULL : realloc(*items, want * size);
    if (!p) return false;
    *items = p, *capacity = want;
    return true;
}

static frame_result *result_of(const gv_odometry *o, long frame) {
    return &o->results[frame - o->away.count];
}

// Results that no window will change go into the list: those before the first keyframe that is not solved.
static bool put_away(gv_odometry *o) {
    long kept = o->frames - o->away.count;
    long final = (o->done < o->nkeyframes ? o->keyframes[o->done].frame : o->frames - HOLD) - o->away.count;
    if (final <= 0) return true;
    if (!gv_long_list_add(&o->away, o->results, final)) return false;
    memmove(o->results, o->results + final, (size_t)(kept - final) * sizeof *o->results);
    return true;
}

static bool begin_result(gv_odometry *o) {
    if (o->frames - o->away.count >= RECENT && !put_away(o)) return false;
    if (!grow((void **)&o->results, &o->cap_results, (size_t)(o->frames - o->away.count), sizeof *o->results))
        return false;
    *result_of(o, o->frames) = (frame_result){0};
    return true;
}

// All results are in memory again.
static gv_status gather_results(gv_odometry *o, gv_error *err) {
    frame_result *all = NULL;
    if (!gv_long_list_add(&o->away, o->results, o->frames - o->away.count))
        return gv_fail(err, GV_ERR_MEMORY, "no memory for the rotations of %ld frames", o->frames);
    gv_status s = gv_long_list_gather(&o->away, (void **)&all, err);
    if (s != GV_OK) return s;
    free(o->results);
    o->results = all, o->cap_results = (size_t)o->frames;
    return GV_OK;
}

// --- one keyframe's window -----------------------------------------------------------------------------

static void observe(const gv_odometry *o, const gv_track_frame *anchor, const gv_track_frame *r, gv_window_pose *pose) {
    for (int i = 0; i < GV_WINDOW_POINTS; i++) pose->obs[0][i] = pose->obs[1][i] = NAN;
    for (int i = 0, j = 0; i < anchor->count && j < r->count;)
        if (anchor->id[i] == r->id[j]) {
            pose->obs[0][i] = r->x[j] * o->tracks.scale, pose->obs[1][i] = r->y[j] * o->tracks.scale;
            i++, j++;
        } else if (anchor->id[i] < r->id[j]) {
            i++;
        } else {
            j++;
        }
}

static int found(const solution *s, long frame) {
    for (int i = 0; i < s->poses; i++)
        if (s->plan.frame[i] == frame) return i;
    return -1;
}

// What the window before says about the way from one frame to another.
static void expect(const solution *s, long from, long to, gv_window_pose *p) {
    int a = found(s, from), b = found(s, to);
    p->predicted = a >= 0 && b >= 0;
    if (!p->predicted) return;
    double moved[3];
    gv_so3_mul_nt(p->expected_R, s->pose[b].R, s->pose[a].R);
    gv_so3_apply(moved, p->expected_R, s->pose[a].t);
    for (int i = 0; i < 3; i++) p->expected_t[i] = s->pose[b].t[i] - moved[i];
}

static void keep_solution(solution *s, const gv_window *w, const window_plan *plan) {
    double depths = 0; // what translations are determined by
    for (int i = 0; i < w->points; i++) depths += w->rho[i] > 0 ? w->rho[i] * w->rho[i] : 0;
    s->poses = w->poses, s->sigma = w->sigma, s->plan = *plan, s->moved = w->moved && depths > 0;
    s->place_sd = s->moved ? PLACE_CORRELATED * w->sigma / sqrt(depths) : 0;
    for (int j = 0; j < w->poses; j++) {
        const gv_window_pose *p = &w->pose[j];
        memcpy(s->pose[j].R, p->R, sizeof p->R), memcpy(s->pose[j].t, p->t, sizeof p->t);
        memcpy(s->pose[j].info, p->info, sizeof p->info);
        s->pose[j].seen = p->seen, s->pose[j].inliers = p->inliers;
    }
}

// Points of the ground at people's feet.
static void keep_ground(const gv_odometry *o, long k, const gv_window *w, solution *s) {
    const keyframe *key = &o->keyframes[k];
    float boxes[GV_GROUND_BOXES][4];
    int index[GV_GROUND_POINTS];
    for (int i = 0; i < key->boxes; i++)
        for (int c = 0; c < 4; c++) boxes[i][c] = key->box[i][c] * (float)o->tracks.scale;
    s->grounds =
        s->moved ? gv_ground_choose(index, w->a[0], w->a[1], w->rho, w->points, (const float(*)[4])boxes, key->boxes)
                 : 0;
    for (int i = 0; i < s->grounds; i++)
        s->ground[i] = (gv_ground_point){(int32_t)k, (float)w->a[0][index[i]], (float)w->a[1][index[i]],
                                         (float)(1 / w->rho[index[i]])};
}

// The frame after the last one that keyframe k's shot is known to have.
static long shot_end(const gv_odometry *o, long k) {
    for (long n = k + 1; n < o->nkeyframes; n++)
        if (o->keyframes[n].cut) return o->keyframes[n].frame;
    return o->finishing ? o->frames : o->frames + TAIL + 1; // more may come
}

// The frames up to the next keyframe one by one, then keyframes at growing distance. Near the end of a shot
// the last window that is long enough takes every frame that is left, so that these see a baseline.
static void fill_window(const gv_odometry *o, long k, const solution *before, gv_window *w, window_plan *plan) {
    const gv_track_frame *anchor = gv_tracks_store_at(&o->tracks, o->keyframes[k].frame);
    w->poses = 0, w->points = anchor->count;
    for (int i = 0; i < anchor->count; i++)
        w->a[0][i] = anchor->x[i] * o->tracks.scale, w->a[1][i] = anchor->y[i] * o->tracks.scale;
    bool tail = shot_end(o, k) - anchor->frame <= TAIL;
    int first_shared = 0;
    size_t next_lag = 0;
    long node = k;
    double R[9], C[9];
    gv_so3_identity(R);
    for (long f = anchor->frame + 1; f < o->frames && f - anchor->frame < REACH && w->poses < GV_WINDOW_POSES; f++) {
        const gv_track_frame *r = gv_tracks_store_at(&o->tracks, f);
        if (!r || !r->count) continue;
        bool key = node + 1 < o->nkeyframes && o->keyframes[node + 1].frame == f;
        if (key && o->keyframes[node + 1].cut) return;
        node += key;
        gv_so3_mul(C, r->chain, R), memcpy(R, C, sizeof R);
        bool own = node == k || (node == k + 1 && key), wanted = false;
        if (key && next_lag < sizeof lags / sizeof *lags && node - k >= lags[next_lag]) wanted = true, next_lag++;
        int shared = gv_tracks_shared(anchor, r);
        if (shared > first_shared) first_shared = shared;
        bool late = tail && shared >= 30 && shared >= 0.4 * first_shared;
        if (!(own || late || wanted) || shared < LEAST_TRACKS || (!own && (shared < 20 || shared < 0.2 * first_shared)))
            continue;
        observe(o, anchor, r, &w->pose[w->poses]);
        memcpy(w->pose[w->poses].R, R, sizeof R);
        expect(before, anchor->frame, f, &w->pose[w->poses]);
        plan->frame[w->poses] = f, plan->span[w->poses] = node, plan->key[w->poses++] = key;
    }
}

// Covariance = inverse information plus what never averages out.
static void temper(double out[9], const double info[9], double systematic) {
    double C[9];
    memset(out, 0, 9 * sizeof *out);
    if (!gv_inverse_sym3(C, info)) return;
    for (int i = 0; i < 3; i++) C[4 * i] += systematic * systematic;
    gv_inverse_sym3(out, C);
}

static double pose_confidence(const solution *s, int j) {
    double C[9];
    int seen = s->pose[j].seen, inliers = s->pose[j].inliers;
    if (seen < LEAST_TRACKS || !gv_inverse_sym3(C, s->pose[j].info)) return 0;
    double sd_deg = sqrt((C[0] + C[4] + C[8]) / 3) * 57.29578, share = (double)inliers / seen;
    return fmin(1, inliers / 40.) * fmin(1, 1.5 * share) / (1 + sd_deg * sd_deg / (0.1 * 0.1));
}

// Where pose j's view stood, in the anchor's axes.
static void place_of(const solution *s, int j, double c[3]) {
    gv_so3_apply_t(c, s->pose[j].R, s->pose[j].t);
    for (int i = 0; i < 3; i++) c[i] = -c[i];
}

static double place_error(const solution *s, const double way[3]) {
    return s->place_sd + PLACE_FLOOR * sqrt(gv_dot3(way, way));
}

// The way of pose j from the keyframe of its span, which stood at `from`, turned by `at`.
static void keep_way(frame_result *r, const solution *s, long k, int j, const double at[9], const double from[3]) {
    double to[3], turned[3];
    r->window = s->moved ? (int)k + 1 : 0;
    if (!s->moved) return;
    place_of(s, j, to);
    double e = s->place_sd, way2 = gv_dot3(to, to);
    r->place_confidence = r->confidence * (float)(way2 / (way2 + 100 * e * e)); // a half at a tenth
    for (int i = 0; i < 3; i++) to[i] -= from[i];
    gv_so3_apply(turned, at, to);
    for (int i = 0; i < 3; i++) r->way[i] = (float)turned[i];
}

// Hands the window's rotations to the frames between keyframes, each relative to its own keyframe, unless an
// earlier window was as sure; and to the keyframes the step to the next one.
static void keep_frames(gv_odometry *o, long k, const solution *s) {
    const window_plan *plan = &s->plan;
    double at[9], place[3] = {0}; // from the anchor to the keyframe of the span
    long at_node = k;
    gv_so3_identity(at);
    for (int j = 0; j < s->poses; j++) {
        double confidence = pose_confidence(s, j), R[9];
        frame_result *r = result_of(o, plan->frame[j]);
        gv_so3_mul_nt(R, s->pose[j].R, at);
        if (confidence >= (double)r->confidence) r->noise = (float)s->sigma;
        if (plan->key[j]) {
            keyframe *from = &o->keyframes[at_node];
            if (plan->span[j] == at_node + 1 && confidence > from->next_confidence + SURER * from->has_next) {
                memcpy(from->next, R, sizeof R);
                from->has_next = true, from->next_confidence = confidence, r->confidence = (float)confidence;
            }
            memcpy(at, s->pose[j].R, sizeof at), at_node = plan->span[j];
            place_of(s, j, place);
        } else if (plan->span[j] == at_node && confidence > r->confidence + SURER * r->solved) {
            for (int i = 0; i < 9; i++) r->R[i] = (float)R[i];
            r->solved = true, r->confidence = (float)confidence;
            keep_way(r, s, k, j, at, place);
        }
    }
}

// Keyframe k's window, knowing the one before.
static gv_status solve_keyframe(const gv_odometry *o, long k, const solution *before, gv_window *w, solution *out,
                                gv_error *err) {
    window_plan plan;
    out->poses = 0;
    if (!gv_tracks_store_at(&o->tracks, o->keyframes[k].frame)) return GV_OK;
    fill_window(o, k, before, w, &plan);
    gv_status s = w->poses ? gv_window_solve(w, NOISE_PX * o->unit, (unsigned)k + 1, err) : GV_OK;
    if (s == GV_OK) keep_solution(out, w, &plan), keep_ground(o, k, w, out);
    return s;
}

// Keyframes from .. to - 1, one after the other; a chunk starts without a window before.
static gv_status solve_chunk(gv_odometry *o, long from, long to, gv_error *err) {
    static const solution nothing;
    gv_window *w = gv_calloc2(1, sizeof *w);
    if (!w) return gv_fail(err, GV_ERR_MEMORY, "no memory for the camera's tracks");
    gv_status s = GV_OK;
    for (long k = from; s == GV_OK && k < to; k++) {
        const solution *before = k % CHUNK == 0 ? &nothing : k == o->done ? &o->last : &o->solved[k - 1 - o->done];
        s = solve_keyframe(o, k, before, w, &o->solved[k - o->done], err);
    }
    free(w);
    return s;
}

static gv_status keep_ways(gv_odometry *o, long k, const solution *s, gv_error *err) {
    double longest = 0;
    for (int j = 0; s->moved && j < s->poses; j++) {
        if (!s->plan.key[j] || pose_confidence(s, j) < SURE_WAY || s->pose[j].inliers < WAY_SHARE * s->pose[j].seen)
            continue;
        gv_travel_edge e = {.from = (int)k, .to = (int)s->plan.span[j]};
        place_of(s, j, e.way);
        e.sd = place_error(s, e.way);
        longest = fmax(longest, gv_dot3(e.way, e.way));
        if (!gv_long_list_add(&o->ways, &e, 1))
            return gv_fail(err, GV_ERR_MEMORY, "no memory for %ld places of the camera", o->ways.count);
    }
    if (longest > 0 && !gv_long_list_add(&o->grounds, s->ground, s->grounds))
        return gv_fail(err, GV_ERR_MEMORY, "no memory for %ld points of the ground", o->grounds.count);
    frame_result *r = result_of(o, o->keyframes[k].frame);
    r->place_confidence = longest > 0 ? (float)(longest / (longest + 100 * s->place_sd * s->place_sd)) : 0;
    return GV_OK;
}

static gv_status keep_window(gv_odometry *o, long k, const solution *s, gv_error *err) {
    keep_frames(o, k, s);
    gv_status status = keep_ways(o, k, s, err);
    if (status != GV_OK) return status;
    for (int j = 0; j < s->poses; j++) {
        if (!s->plan.key[j] || pose_confidence(s, j) <= 0) continue;
        gv_graph_edge e = {.from = (int)k, .to = (int)s->plan.span[j]};
        memcpy(e.R, s->pose[j].R, sizeof e.R);
        temper(e.info, s->pose[j].info, SYSTEMATIC);
        if (!gv_long_list_add(&o->edges, &e, 1))
            return gv_fail(err, GV_ERR_MEMORY, "no memory for %ld camera rotations", o->edges.count);
    }
    return GV_OK;
}

// Solves keyframes o->done .. end - 1; chunks of them side by side, with the same result in any case.
static gv_status solve_windows(gv_odometry *o, long end, gv_error *err) {
    while (o->done < end) {
        long first = o->done / CHUNK, stop = end < o->done + BATCH ? end : o->done + BATCH, chunks;
        chunks = (stop + CHUNK - 1) / CHUNK - first;
        gv_status status[BATCH / CHUNK + 1] = {GV_OK};
        gv_error errors[BATCH / CHUNK + 1] = {{0}};
#pragma omp parallel for schedule(dynamic, 1) if (chunks > 1)
        for (long c = 0; c < chunks; c++) {
            long from = (first + c) * CHUNK, to = from + CHUNK;
            status[c] = solve_chunk(o, from > o->done ? from : o->done, to < stop ? to : stop, &errors[c]);
        }
        for (long c = 0; c < chunks; c++)
            if (status[c] != GV_OK) return *err = errors[c], status[c];
        for (long k = o->done; k < stop; k++) {
            gv_status s = keep_window(o, k, &o->solved[k - o->done], err);
            if (s != GV_OK) return s;
        }
        o->last = o->solved[stop - 1 - o->done], o->done = stop;
    }
    return GV_OK;
}

// Rotation from the linked frame before by the tracks that both have.
static void chain_rotation(const gv_odometry *o, gv_track_frame *r) {
    const gv_track_frame *before = gv_tracks_store_at(&o->tracks, r->from);
    gv_match m[GV_CORNERS_MAX];
    gv_so3_identity(r->chain);
    int n = before ? gv_tracks_raw_match(before, r, o->tracks.scale, m) : 0;
    if (n >= 3) gv_relative_rotation(r->chain, m, n, 0.5 * o->unit, CHAIN_DRAWS, (uint32_t)r->frame + 1);
}

// What is known about the rolling shutter goes into the tracks, now and then before they are used.
static void straighten_rows(gv_odometry *o, bool all) {
    long first = o->frames > o->tracks.capacity ? o->frames - o->tracks.capacity : 0, known = o->frames - 3;
    double before = o->rolling.readout;
    if (all || o->frames - o->straight >= REACH) {
        gv_rolling_measure(&o->rolling, &o->tracks, o->straight > first ? o->straight : first, known);
        o->straight = o->frames;
    }
    // steps after the newest frames are not known yet: they come again
    if (o->rolling.readout == before && first < o->frames - 4) first = o->frames - 4;
    if (o->rolling.readout > 0 || before > 0)
        for (long f = first; f < o->frames; f++) gv_rolling_undo(&o->rolling, &o->tracks, f);
}

// The focal length from what has been seen. `last`: no more will be seen, so what is known must do.
static gv_status measure_focal(gv_odometry *o, bool last, gv_error *err) {
    long *frames = gv_calloc2((size_t)o->nkeyframes, sizeof *frames);
    if (!frames) return gv_fail(err, GV_ERR_MEMORY, "no memory for %ld keyframes", o->nkeyframes);
    for (long k = 0; k < o->nkeyframes; k++) frames[k] = o->keyframes[k].frame;
    double diagonal = gv_focal_default(o->reducer.width, o->reducer.height) / o->focal_px;
    gv_calibration c;
    gv_status s = gv_calibrate(&c, &o->tracks, frames, o->nkeyframes, o->unit, log(SHORTEST * diagonal),
                               log(LONGEST * diagonal), err);
    free(frames);
    if (s != GV_OK) return s;
    bool better = c.found && c.sd < o->focal_sd;
    o->next_try *= 2;
    if (!last && !(better && c.sd < AT_ONCE)) return GV_OK;
    o->measuring = false;
    if (!better) return GV_OK;
    believe(o, o->focal_px * exp(c.log_ratio), c.sd, GV_FOCAL_MEASURED);
    o->tracks.scale = exp(-c.log_ratio);
    for (long f = o->frames - o->tracks.capacity; f < o->frames; f++) {
        gv_track_frame *r = gv_tracks_store_at(&o->tracks, f);
        if (r) chain_rotation(o, r);
    }
    gv_revisits_refocus(o->revisits, exp(c.log_ratio));
    for (int i = 0; i < 3; i++) gv_revisits_refocus_rotation(o->slot[i].turned, exp(c.log_ratio));
    return GV_OK;
}

// Solves windows of keyframes that have seen all they can, or all of them. While the focal length is unknown they wait.
static gv_status solve_due(gv_odometry *o, bool all, gv_error *err) {
    gv_status s = GV_OK;
    bool full = o->frames >= DEFER - 1;
    straighten_rows(o, all);
    if (o->measuring && (all || full || o->frames >= o->next_try)) s = measure_focal(o, all || full, err);
    if (s != GV_OK || o->measuring) return s;
    long end = all ? o->nkeyframes : o->done;
    while (end < o->nkeyframes && o->frames - o->keyframes[end].frame >= REACH + 2) end++;
    return solve_windows(o, end, err);
}

// --- frames --------------------------------------------------------------------------------------------

static gv_status remember(gv_odometry *o, const gv_corners *t, long from, gv_error *err) {
    const gv_optics *p = o->optics;
    return gv_tracks_store_put(&o->tracks, t, o->reducer.scale_x, o->reducer.scale_y, gv_optics_at(p, o->frames), from,
                               err);
}

// People's boxes on the reduced picture, normalised.
static void keep_boxes(const gv_odometry *o, keyframe *k, const float (*boxes)[4], int n) {
    const gv_lens *l = gv_optics_at(o->optics, k->frame);
    k->boxes = gv_ground_boxes(k->box, boxes, n);
    for (int i = 0; i < k->boxes; i++)
        for (int c = 0; c < 4; c++)
            k->box[i][c] = c % 2 ? (float)(((double)k->box[i][c] * o->reducer.scale_y - l->cy) / l->fy)
                                 : (float)(((double)k->box[i][c] * o->reducer.scale_x - l->cx) / l->fx);
}

static gv_status add_keyframe(gv_odometry *o, long frame, bool cut, int tracks, const float (*boxes)[4], int nboxes,
                              gv_error *err) {
    if (!grow((void **)&o->keyframes, &o->cap_keyframes, o->nkeyframes, sizeof *o->keyframes))
        return gv_fail(err, GV_ERR_MEMORY, "no memory for %ld keyframes", o->nkeyframes);
    keyframe *k = &o->keyframes[o->nkeyframes++];
    *k = (keyframe){.frame = frame, .cut = cut};
    keep_boxes(o, k, boxes, nboxes);
    o->keyframe_tracks = tracks;
    return GV_OK;
}

static void swap(view **a, view **b) {
    view *t = *a;
    *a = *b, *b = t;
}

// People's boxes on the reduced picture, grown for what a box cuts off (arms, shadows, a frame's delay).
static void grow_boxes(const gv_odometry *o, const float (*boxes)[4], int n, float (*out)[4]) {
    for (int i = 0; i < n; i++) {
        float mx = BOX_MARGIN * (boxes[i][2] - boxes[i][0]), my = BOX_MARGIN * (boxes[i][3] - boxes[i][1]);
        out[i][0] = (boxes[i][0] - mx) / (float)o->reducer.scale_x,
        out[i][2] = (boxes[i][2] + mx) / (float)o->reducer.scale_x;
        out[i][1] = (boxes[i][1] - my) / (float)o->reducer.scale_y,
        out[i][3] = (boxes[i][3] + my) / (float)o->reducer.scale_y;
    }
}

// Follows the tracks of `from` into the spare view's picture; true when enough survive.
static bool link(gv_odometry *o, view *from, const float (*boxes)[4], int nboxes) {
    if (!from->valid) return false;
    gv_corners_follow(&from->tracks, &from->picture, &o->spare->picture, boxes, nboxes, &o->spare->tracks);
    int least = from->tracks.count / 8;
    return o->spare->tracks.count >= (least > LEAST_TRACKS ? least : LEAST_TRACKS);
}

static void detect(gv_odometry *o, view *v, const float (*boxes)[4], int nboxes) {
    v->tracks.next_id = o->next_id;
    gv_corners_detect(&v->tracks, &v->picture, boxes, nboxes);
    o->next_id = v->tracks.next_id;
}

// The newest keyframe, if it is time to look: has its view been seen before?
static gv_status look_back(gv_odometry *o, view *v, gv_error *err) {
    gv_revisit found;
    const long k = o->nkeyframes - 1;
    if (k % LOOK_BACK ||
        !gv_revisits_look(o->revisits, k, o->frames, v->turned, 1 / o->unit, &v->picture, &v->tracks, &found))
        return GV_OK;
    if (gv_long_list_add(&o->again, &found, 1)) return GV_OK;
    return gv_fail(err, GV_ERR_MEMORY, "no memory for %ld views seen again", o->again.count);
}

// The frame in `spare` continues `from` and becomes `held`. A keyframe when it is time or tracks run out.
static gv_status accept(gv_odometry *o, view *from, const float (*boxes)[4], int nboxes, gv_error *err) {
    view *v = o->spare;
    gv_status s = GV_OK;
    long since = o->frames - o->keyframes[o->nkeyframes - 1].frame;
    const bool key = since >= SPAN || (since >= 2 && v->tracks.count < 0.6 * o->keyframe_tracks);
    if (key) {
        detect(o, v, boxes, nboxes);
        s = add_keyframe(o, o->frames, false, v->tracks.count, boxes, nboxes, err);
        if (s != GV_OK) return s;
    }
    s = remember(o, &v->tracks, from->frame, err);
    if (s != GV_OK) return s;
    gv_track_frame *r = gv_tracks_store_at(&o->tracks, o->frames);
    chain_rotation(o, r);
    gv_so3_mul(v->turned, r->chain, from->turned);
    if (key && (s = look_back(o, v, err)) != GV_OK) return s;
    gv_stillness_frame(&o->stillness, &v->picture, &v->tracks, boxes, nboxes);
    v->frame = o->frames, v->valid = true, o->fresh->valid = false, o->lost = 0;
    swap(&o->spare, &o->held);
    return GV_OK;
}

// Nothing continues into the frame in `spare`: it may be the start of something new.
static gv_status begin_afresh(gv_odometry *o, const float (*boxes)[4], int nboxes, gv_error *err) {
    view *v = o->spare;
    v->tracks.count = 0;
    detect(o, v, boxes, nboxes);
    v->valid = v->tracks.count >= LEAST_TRACKS;
    v->frame = o->frames;
    memcpy(v->turned, o->held->turned, sizeof v->turned); // as good a guess as any
    swap(&o->spare, &o->fresh);
    if (++o->lost > HOLD) o->held->valid = false;
    return remember(o, &v->tracks, -1, err);
}

gv_status gv_odometry_frame(gv_odometry *o, const uint8_t *rgb, int stride, const float (*boxes)[4], int nboxes,
                            gv_error *err) {
    float grown[MAX_BOXES][4];
    nboxes = nboxes < MAX_BOXES ? nboxes : MAX_BOXES;
    grow_boxes(o, boxes, nboxes, grown);
    boxes = (const float(*)[4])grown;
    if (!begin_result(o)) return gv_fail(err, GV_ERR_MEMORY, "no memory for %ld frames", o->frames);
    gv_status s = solve_due(o, false, err);
    if (s != GV_OK) return s;
    if (o->optics->count > 1 && o->frames >= o->optics->count)
        return gv_fail(err, GV_ERR_ARGUMENT, "intrinsics for %ld frames, but the video goes on", o->optics->count);
    gv_picture_fill(&o->spare->picture, &o->reducer, rgb, stride);
    if (link(o, o->held, boxes, nboxes)) {
        s = accept(o, o->held, boxes, nboxes, err);
    } else if (link(o, o->fresh, boxes, nboxes)) {
        s = add_keyframe(o, o->fresh->frame, true, o->fresh->tracks.count, boxes, nboxes, err);
        gv_stillness_restart(&o->stillness);
        gv_revisits_cut(o->revisits);
        if (s == GV_OK) gv_stillness_frame(&o->stillness, &o->fresh->picture, &o->fresh->tracks, boxes, nboxes);
        if (s == GV_OK) s = accept(o, o->fresh, boxes, nboxes, err);
    } else {
        s = begin_afresh(o, boxes, nboxes, err);
    }
    o->frames++;
    return s;
}

// --- the end -------------------------------------------------------------------------------------------

// The best guess across a cut is that the camera points where it did: at the last frame before that is known.
static void across_cut(const gv_odometry *o, long k, double R[9]) {
    gv_so3_identity(R);
    for (long f = o->keyframes[k].frame - 1; f > o->keyframes[k - 1].frame; f--)
        if (o->results[f].solved) {
            for (int i = 0; i < 9; i++) R[i] = o->results[f].R[i];
            gv_so3_orthonormalise(R);
            return;
        }
}

// The rotation between two keyframes that saw the same, as an edge of the graph; false where they do not agree on one.
static bool same_view(const gv_odometry *o, const gv_revisit *v, gv_window *w, gv_graph_edge *e, gv_status *status,
                      gv_error *err) {
    const gv_lens *lens[2] = {gv_optics_at(o->optics, o->keyframes[v->from].frame),
                              gv_optics_at(o->optics, o->keyframes[v->to].frame)};
    gv_match m[GV_REVISIT_MATCHES];
    gv_window_pose *p = &w->pose[0];
    int n = 0;
    for (int i = 0; i < v->count; i++) {
        const double sx = o->reducer.scale_x, sy = o->reducer.scale_y, k = o->tracks.scale;
        double a[2], b[2];
        if (!gv_lens_direction(lens[0], v->a[i][0] * sx, v->a[i][1] * sy, a) ||
            !gv_lens_direction(lens[1], v->b[i][0] * sx, v->b[i][1] * sy, b))
            continue;
        m[n++] = (gv_match){{k * a[0], k * a[1]}, {k * b[0], k * b[1]}};
    }
    *w = (gv_window){.points = n, .poses = 1};
    gv_so3_identity(p->R);
    gv_relative_rotation(p->R, m, n, 2 * o->unit, 4 * CHAIN_DRAWS, (uint32_t)v->to + 1);
    for (int i = 0; i < GV_WINDOW_POINTS; i++)
        for (int c = 0; c < 2; c++)
            if (i < n)
                w->a[c][i] = m[i].a[c], p->obs[c][i] = m[i].b[c];
            else
                p->obs[c][i] = NAN;
    *status = gv_window_solve(w, 2 * NOISE_PX * o->unit, (unsigned)v->to + 1, err);
    if (*status != GV_OK || p->inliers < LEAST_TRACKS || p->inliers < SAME_VIEW * p->seen) return false;
    *e = (gv_graph_edge){.from = (int)v->from, .to = (int)v->to};
    memcpy(e->R, p->R, sizeof e->R);
    temper(e->info, p->info, SYSTEMATIC_AGAIN);
    return true;
}

static gv_status close_loops(gv_odometry *o, gv_error *err) {
    const long n = o->again.count;
    if (!n || o->rolling.readout > 0) return GV_OK;
    gv_revisit *again = NULL;
    gv_window *w = gv_calloc2(1, sizeof *w);
    gv_status s = w ? gv_long_list_gather(&o->again, (void **)&again, err)
                    : gv_fail(err, GV_ERR_MEMORY, "no memory for the camera's tracks");
    for (long i = 0; s == GV_OK && i < n; i++) {
        gv_graph_edge e;
        if (same_view(o, &again[i], w, &e, &s, err) && !gv_long_list_add(&o->edges, &e, 1))
            s = gv_fail(err, GV_ERR_MEMORY, "no memory for %ld camera rotations", o->edges.count);
    }
    free(again), free(w);
    return s;
}

// Rotations of all keyframes: chained over neighbours, then averaged over every edge.
static gv_status solve_graph(gv_odometry *o, double (*node)[9], gv_error *err) {
    long n = o->nkeyframes;
    if (n) gv_so3_identity(node[0]);
    for (long k = 1; k < n; k++) {
        keyframe *before = &o->keyframes[k - 1];
        gv_graph_edge e = {.from = (int)k - 1, .to = (int)k, .info = {[0] = 1, [4] = 1, [8] = 1}};
        if (before->has_next)
            memcpy(e.R, before->next, sizeof e.R);
        else
            across_cut(o, k, e.R);
        gv_so3_mul(node[k], e.R, node[k - 1]);
        if (before->has_next) continue;          // its window gave the edge
        if (!gv_long_list_add(&o->edges, &e, 1)) // weak: 1 rad
            return gv_fail(err, GV_ERR_MEMORY, "no memory for %ld camera rotations", o->edges.count);
    }
    gv_graph_edge *edges = NULL;
    gv_status s = close_loops(o, err);
    const long nedges = o->edges.count;
    if (s == GV_OK) s = gv_long_list_gather(&o->edges, (void **)&edges, err);
    if (s == GV_OK) s = gv_rotation_graph_solve(node, (int)n, edges, nedges, err);
    free(edges);
    return s;
}

// Frames of keyframe k's span; what the average changed at the next keyframe is spread over them evenly.
static void place_span(gv_odometry *o, long k, double (*node)[9], double (*R)[9], bool *known) {
    const keyframe *a = &o->keyframes[k];
    long end = k + 1 < o->nkeyframes ? o->keyframes[k + 1].frame : o->frames;
    double change[3] = {0}, predicted[9], D[9];
    if (a->has_next && k + 1 < o->nkeyframes) {
        gv_so3_mul(predicted, a->next, node[k]);
        gv_so3_mul_nt(D, node[k + 1], predicted);
        gv_so3_log(change, D);
    }
    memcpy(R[a->frame], node[k], sizeof *R), known[a->frame] = true;
    for (long f = a->frame + 1; f < end; f++) {
        const frame_result *r = &o->results[f];
        if (!r->solved) continue;
        double s = (double)(f - a->frame) / (double)(end - a->frame),
               w[3] = {s * change[0], s * change[1], s * change[2]}, Q[9];
        for (int i = 0; i < 9; i++) Q[i] = r->R[i];
        gv_so3_orthonormalise(Q);
        gv_so3_mul(R[f], Q, node[k]);
        gv_so3_update(R[f], w), known[f] = true;
    }
}

// Frames without a rotation of their own lie evenly between their known neighbours.
static void fill_gaps(double (*R)[9], const bool *known, long n) {
    long last = -1;
    for (long f = 0; f <= n; f++) {
        if (f < n && !known[f]) continue;
        for (long g = last + 1; g < f; g++) {
            if (last < 0 && f == n)
                gv_so3_identity(R[g]);
            else if (last < 0)
                memcpy(R[g], R[f], sizeof *R);
            else if (f == n)
                memcpy(R[g], R[last], sizeof *R);
            else
                gv_so3_interpolate(R[g], R[last], R[f], (double)(g - last) / (double)(f - last));
        }
        last = f;
    }
}

// Places of the frames of keyframe k's span, in its stretch's unit and origin; what the average changed at the next
// keyframe is spread over them. Of the ways, those of k's window begin at `ways`.
static void place_ways(const gv_odometry *o, long k, const gv_travel_edge *ways, const gv_travel_edge *end_of_ways,
                       const gv_travel_node *node, double (*R)[9], gv_camera_path *out) {
    const keyframe *a = &o->keyframes[k];
    bool joined = k + 1 < o->nkeyframes && node[k + 1].stretch == node[k].stretch;
    long end = k + 1 < o->nkeyframes ? o->keyframes[k + 1].frame : o->frames;
    double change[3] = {0};
    for (const gv_travel_edge *e = ways; joined && node[k].unit > 0 && e < end_of_ways && e->from == k; e++) {
        if (e->to != k + 1) continue;
        for (int c = 0; c < 3; c++) change[c] = node[k + 1].place[c] - node[k].place[c] - node[k].unit * e->way[c];
    }
    for (long f = a->frame; f < end; f++) {
        const frame_result *r = &o->results[f];
        const gv_travel_node *unit = r->window ? &node[r->window - 1] : NULL;
        double way[3] = {r->way[0], r->way[1], r->way[2]}, there[3], d[3] = {0},
               s = (double)(f - a->frame) / (double)(end - a->frame);
        bool key = f == a->frame;
        if (!key && !(unit && unit->unit > 0 && unit->stretch == node[k].stretch)) continue;
        if (!key) gv_so3_apply_t(there, R[a->frame], way), gv_so3_apply(d, R[0], there);
        for (int c = 0; c < 3; c++)
            out->position[3 * f + c] =
                (float)(node[k].place[c] + (key ? 0 : unit->unit * d[c] + (unit == &node[k] ? s * change[c] : 0)));
        out->stretch[f] = node[k].stretch, out->position_confidence[f] = r->place_confidence;
    }
}

// Frames between two known ones of a stretch lie evenly between them; no farther apart than keyframes are.
static void fill_ways(gv_camera_path *out, long n) {
    long last = -1;
    for (long f = 0; f < n; f++) {
        if (out->stretch[f] < 0) continue;
        if (last >= 0 && out->stretch[f] == out->stretch[last] && f - last <= 2 * SPAN)
            for (long g = last + 1; g < f; g++) {
                float k = (float)(g - last) / (float)(f - last), sure = out->position_confidence[f];
                for (int c = 0; c < 3; c++)
                    out->position[3 * g + c] =
                        out->position[3 * last + c] + k * (out->position[3 * f + c] - out->position[3 * last + c]);
                out->stretch[g] = out->stretch[f];
                out->position_confidence[g] = 0.5f * fminf(sure, out->position_confidence[last]);
            }
        last = f;
    }
}

// The ground's points with depths in their stretches' units.
static gv_status place_ground(gv_odometry *o, const gv_travel_node *node, gv_camera_path *out, gv_error *err) {
    long n = o->grounds.count;
    gv_status s = gv_long_list_gather(&o->grounds, (void **)&out->ground, err);
    for (long i = 0; s == GV_OK && i < n; i++) {
        gv_ground_point p = out->ground[i];
        const gv_travel_node *k = &node[p.frame];
        if (k->stretch < 0 || !(k->unit > 0)) continue;
        p.frame = (int32_t)o->keyframes[p.frame].frame, p.depth *= (float)k->unit;
        out->ground[out->ground_count++] = p;
    }
    return s;
}

// Positions in the axes of frame 0 where windows tell of a way.
static gv_status travel(gv_odometry *o, double (*R)[9], gv_camera_path *out, gv_error *err) {
    const long nways = o->ways.count;
    if (out->is_static || !nways) return GV_OK;
    gv_travel_node *node = gv_calloc2((size_t)o->nkeyframes, sizeof *node);
    out->position = gv_calloc2((size_t)o->frames, 3 * sizeof(float));
    out->position_confidence = gv_calloc2((size_t)o->frames, sizeof(float));
    out->stretch = gv_calloc2((size_t)o->frames, sizeof *out->stretch);
    out->position_metres_sd = gv_calloc2((size_t)o->frames, sizeof(float));
    gv_travel_edge *ways = NULL;
    gv_status s = gv_long_list_gather(&o->ways, (void **)&ways, err);
    if (s != GV_OK) goto done;
    if (!node || !out->position || !out->position_confidence || !out->stretch || !out->position_metres_sd) {
        s = gv_fail(err, GV_ERR_MEMORY, "no memory for the camera's way over %ld keyframes", o->nkeyframes);
        goto done;
    }
    for (long f = 0; f < o->frames; f++) out->stretch[f] = -1;
    for (long i = 0; i < nways; i++) {
        double turned[3], there[3];
        gv_travel_edge *e = &ways[i];
        gv_so3_apply_t(there, R[o->keyframes[e->from].frame], e->way);
        gv_so3_apply(turned, R[0], there);
        memcpy(e->way, turned, sizeof turned);
    }
    s = gv_travel_solve(node, (int)o->nkeyframes, ways, nways, err);
    if (s != GV_OK) goto done;
    bool any = false;
    for (long k = 0, at = 0; k < o->nkeyframes; k++) {
        while (at < nways && ways[at].from < k) at++;
        if (node[k].stretch >= 0) place_ways(o, k, ways + at, ways + nways, node, R, out), any = true;
    }
    fill_ways(out, o->frames);
    if (any) s = place_ground(o, node, out, err);
    if (!any) forget_way(out);
done:
    free(ways);
    free(node);
    return s;
}

// What a wrong focal length leaves of the confidence in a step: turns about the camera's x and y are as wrong as it is.
static double despite_focal(const gv_odometry *o, const double now[9], const double before[9]) {
    double D[9], w[3], off;
    gv_so3_mul_nt(D, now, before);
    gv_so3_log(w, D);
    off = o->focal_sd * hypot(w[0], w[1]) / FOCAL_HARM;
    return 1 / (1 + off * off);
}

static void write_path(const gv_odometry *o, double (*R)[9], gv_camera_path *out) {
    for (long f = 0; f < o->frames; f++) {
        double Q[9];
        gv_so3_mul_nt(Q, R[f], R[0]);
        if (out->is_static || f == 0) gv_so3_identity(Q);
        for (int i = 0; i < 9; i++) out->R_w2c[9 * f + i] = (float)Q[i];
        out->confidence[f] = out->is_static ? 1 : o->results[f].confidence;
        if (f && !out->is_static) out->confidence[f] *= (float)despite_focal(o, R[f], R[f - 1]);
    }
    if (o->frames > 1)
        out->confidence[0] = out->confidence[1]; // the first frame has no step of its own
    else
        out->confidence[0] = 1;
}

static gv_status smooth(const gv_odometry *o, double (*R)[9], gv_error *err) {
    float *noise = gv_calloc2((size_t)o->frames, sizeof *noise);
    if (!noise) return gv_fail(err, GV_ERR_MEMORY, "no memory to smooth %ld rotations", o->frames);
    for (long f = 1; f < o->frames; f++) noise[f] = o->results[f].confidence >= UNSURE ? o->results[f].noise : -1;
    noise[0] = o->frames > 1 ? noise[1] : 0;
    double radius = TRACK_RADIUS * hypot(o->reducer.width, o->reducer.height) / o->focal_px;
    gv_status s = gv_path_smooth(R, noise, radius, o->frames, err);
    free(noise);
    return s;
}

gv_status gv_odometry_finish(gv_odometry *o, gv_camera_path *out, gv_error *err) {
    *out = (gv_camera_path){0};
    if (!o->frames) return gv_fail(err, GV_ERR_EMPTY, "no frame to find the camera's rotation in");
    long n = o->frames;
    double(*node)[9] = gv_calloc2(o->nkeyframes, sizeof *node), (*R)[9] = gv_calloc2(n, sizeof *R);
    bool *known = gv_calloc2(n, 1);
    out->R_w2c = gv_calloc2(n, 9 * sizeof(float)), out->confidence = gv_calloc2(n, sizeof(float));
    gv_status s = GV_OK;
    if (!node || !R || !known || !out->R_w2c || !out->confidence) {
        s = gv_fail(err, GV_ERR_MEMORY, "no memory for the rotations of %ld frames", n);
        goto done;
    }
    o->finishing = true;
    out->is_static = gv_stillness_verdict(&o->stillness);
    if (!out->is_static && (s = solve_due(o, true, err)) != GV_OK) goto done;
    if ((s = gather_results(o, err)) != GV_OK) goto done;
    if (o->nkeyframes && (s = solve_graph(o, node, err)) != GV_OK) goto done;
    for (long k = 0; k < o->nkeyframes; k++) place_span(o, k, node, R, known);
    fill_gaps(R, known, n);
    if (!out->is_static && (s = smooth(o, R, err)) != GV_OK) goto done;
    out->frames = (int)n, out->focal_px = (float)o->focal_px, out->focal_sd = (float)o->focal_sd;
    out->focal_origin = o->origin;
    write_path(o, R, out);
    s = travel(o, R, out, err);
done:
    free(node), free(R), free(known);
    if (s != GV_OK) gv_camera_path_free(out);
    return s;
}
