#include "perception/people.h"

#include "base/memory.h"
#include "perception/assignment.h"
#include "perception/boxes.h"
#include "perception/figure.h"
#include "perception/history.h"
#include "perception/kalman.h"
#include "perception/cutout.h"
#include "perception/search.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Limits of a frame; what does not fit waits for the next one.
enum { MAX_TRACKS = 128, MAX_TILES = 80, MAX_FOUND = 256, MAX_CANDIDATES = 32, MAX_SETS = MAX_TRACKS + MAX_CANDIDATES };
enum { CONFIRM_FRAMES = 3, PROOFS = 15, MAX_FOCUS = 2, MAX_ROUNDS = 4, PER_TILE = 16 };
static const float MIN_PRESENCE = 0.5f, MIN_SCORE = 0.5f;
static const float DETECTOR_OVERLAP = 0.7f; // of faces; neighbours stay apart, `merge` joins readings of one body
static const float SAME_POSE = 0.6f;        // OKS of two readings of one person
static const float PART_SHARE = 0.6f;       // of a body's points on another body
static const float WILD_POSE = 0.2f;        // OKS of one person in two frames: below, and unclear, it is a scribble
static const float CLEAR = 0.6f, UNCLEAR = 0.4f; // quality that needs no support by the last pose; that starts no track
// Distance of looks: on vtest.avi 90 % of pairs of one person within 5 s lie below 0.38, of two persons 10 % below 0.22
// and half above 0.68.
static const float SAME_LOOK = 0.45f;
static const double LIVE_TILES = 4, LIVE_BURST = 6; // searches per second and at the start: no frame may take long
static const double FORGET_SEC = 3;                 // a longer absence makes another person
// Live, what is told once stays told. A reading that lies partly on somebody known is often of that person or of the
// ground at the feet: it must hold for so many looks before it is another person. (In taiji.mp4 with a third of the
// frames missing such readings hold for 11 looks at most.) So must one that is not clear; and while its limbs are read
// in another way each time it is a thing, like the red flask on the table in taiji.mp4: of 15 looks the mean quality of
// such was 0.77 at most and their points moved by 0.031 of the body's size or more a look, that of people in five clips
// 0.82 and more. And who was seen for less than FORGET_SEC is soon forgotten.
enum { CONFIRM_LATE_FRAMES = 15 };
static const float NEAR_SHARE = 0.2f, SURE_PERSON = 0.8f, RESTLESS = 0.03f;
static const double FORGET_LEAST_SEC = 0.3;
static const double RETRY_SEC = 0.3;        // the landmark network is tried this long where a lost person should be
static const double FOCUS_SEC = 0.5;        // the detector looks there ten times a second this long, then every
static const double FOCUS_EVERY_SEC = 0.25; // so often, and the landmark network with it
static const double COAST_SEC = 1.5;        // time constant of a lost person's velocity

typedef enum phase { TENTATIVE, FOLLOWED, LOST } phase;

typedef struct track {
    phase phase;
    int id;                  // given when first followed
    int streak;              // frames seen in a row
    int proofs;              // sightings that can't be of anybody else
    float clarity, restless; // running means of the last looks: quality; way of its points past the hips, of its size
    gv_history history;
    gv_kalman kalman; // hip x, y, size, size
    gv_kalman clean;  // the same when last nobody else was near
    int clean_frame;
    gv_blaze_smoother *smoother;
    gv_region region; // where the body is expected in this frame
    gv_figure figure; // last sighting
    gv_look look;     // running mean of clean sightings
    int looks;
    int seen_frame;
    double first_sec, seen_sec, focus_sec; // first and last sighting, last time the detector looked for it
} track;

typedef struct sighting { // a person read in this frame
    gv_figure figure;
    int source;   // track whose region it came from, -1 = search
    int owner;    // track it was given to, -1 = none
    bool crowded; // another person near
} sighting;

struct gv_people {
    gv_people_options opt;
    int width, height;
    long frames;           // given so far
    int frame;             // of those looked at, the present one
    double time, step_sec; // of this frame; since the last one
    gv_blazepose *pose;
    gv_search *search;
    gv_spool *spool;          // of the histories
    gv_cutout **canvas;       // [workers + 1] the picture with people painted out; the last is for the search
    gv_detection *detections; // [MAX_TILES, PER_TILE]
    track **tracks;           // [MAX_TRACKS]
    int count;
    gv_history *closed; // finished identities
    int closed_count, closed_room;
    sighting *sets;      // [MAX_SETS]
    int set_count, ids;  // identities given so far
    gv_landmarks *marks; // [MAX_SETS]
};

int gv_people_look_every(double fps) {
    return fps >= 60 * 0.995 && fps < 1e4 ? (int)(fps / (30 * 0.995)) : 1; // 59.94 counts as 60
}

// ------------------------------------------------------------------------------------------ life and death

static void track_free(track *t) {
    if (!t) return;
    gv_history_free(&t->history);
    gv_blaze_smoother_destroy(t->smoother);
    free(t);
}

gv_status gv_people_create(gv_people **out, const gv_people_options *opt, int width, int height, gv_error *err) {
    *out = NULL;
    if (width < 1 || height < 1 || width > 1 << 16 || height > 1 << 16)
        return gv_fail(err, GV_ERR_ARGUMENT, "a picture of %d x %d cannot be searched for people", width, height);
    gv_people *p = gv_calloc2(1, sizeof *p);
    if (!p) return gv_fail(err, GV_ERR_MEMORY, "no memory to follow people");
    if (opt) p->opt = *opt;
    if (!(p->opt.min_seconds > 0)) p->opt.min_seconds = 1;
    if (p->opt.min_height_px <= 0) p->opt.min_height_px = 50;
    if (!(p->opt.detect_every_s > 0)) p->opt.detect_every_s = 0.5;
    if (p->opt.look_every < 1) p->opt.look_every = 1;
    p->width = width;
    p->height = height;
    p->frame = -1;
    gv_status status = gv_blazepose_open(&p->pose, p->opt.model, NULL, err);
    if (status != GV_OK) goto fail;
    gv_blazepose_set_mirror(p->pose, p->opt.mirror);
    p->search = gv_search_create(width, height, p->opt.min_height_px, p->opt.detect_every_s);
    if (p->search && p->opt.live) gv_search_limit(p->search, LIVE_TILES, LIVE_BURST);
    int workers = gv_blazepose_workers(p->pose);
    p->canvas = gv_calloc2((size_t)workers + 1, sizeof *p->canvas);
    for (int i = 0; p->canvas && i <= workers; i++) {
        p->canvas[i] = gv_cutout_create(width, height);
        if (!p->canvas[i]) status = GV_ERR_MEMORY;
    }
    p->spool = gv_spool_create();
    p->detections = gv_calloc2(MAX_TILES * PER_TILE, sizeof *p->detections);
    p->tracks = gv_calloc2(MAX_TRACKS, sizeof *p->tracks);
    p->sets = gv_calloc2(MAX_SETS, sizeof *p->sets);
    p->marks = gv_calloc2(MAX_SETS, sizeof *p->marks);
    if (status != GV_OK || !p->search || !p->spool || !p->canvas || !p->detections || !p->tracks || !p->sets ||
        !p->marks) {
        status = gv_fail(err, GV_ERR_MEMORY, "no memory to follow people");
        goto fail;
    }
    *out = p;
    return GV_OK;
fail:
    gv_people_destroy(p);
    return status;
}

void gv_people_destroy(gv_people *p) {
    if (!p) return;
    for (int i = 0; i < p->count; i++) track_free(p->tracks[i]);
    for (int i = 0; i < p->closed_count; i++) gv_history_free(&p->closed[i]);
    free(p->tracks);
    free(p->closed);
    free(p->sets);
    free(p->marks);
    free(p->detections);
    for (int i = 0; p->canvas && i <= gv_blazepose_workers(p->pose); i++) gv_cutout_destroy(p->canvas[i]);
    free(p->canvas);
    gv_spool_destroy(p->spool);
    gv_search_destroy(p->search);
    gv_blazepose_close(p->pose);
    free(p);
}

// Keeps the history if it is long enough and no mere string of glimpses (seen in half of its frames); frees the
// rest of the track.
static gv_status close_track(gv_people *p, track *t, gv_error *err) {
    gv_status status = GV_OK;
    bool keep = !p->opt.live && t->history.seen >= 2 && 2 * t->history.seen >= t->history.count &&
                gv_history_seconds(&t->history) >= p->opt.min_seconds - 1e-6;
    if (keep && p->closed_count == p->closed_room) {
        int room = p->closed_room ? 2 * p->closed_room : 16;
        gv_history *more = gv_calloc2((size_t)room, sizeof *more);
        if (more) {
            if (p->closed_count) memcpy(more, p->closed, (size_t)p->closed_count * sizeof *more);
            free(p->closed);
            p->closed = more;
            p->closed_room = room;
        } else {
            status = gv_fail(err, GV_ERR_MEMORY, "no memory for %d persons", room);
            keep = false;
        }
    }
    if (keep) {
        p->closed[p->closed_count++] = t->history;
        t->history = (gv_history){0};
    }
    track_free(t);
    return status;
}

// ---------------------------------------------------------------------------------------------- prediction

// Somebody out of sight keeps his size, and is ever less likely to go on as before.
static void predict(const gv_people *p, track *t) {
    if (t->phase == LOST) {
        t->kalman.x[6] = t->kalman.x[7] = 0;
        for (int c = 4; c < 6; c++) t->kalman.x[c] *= exp(-p->step_sec / COAST_SEC);
    }
    gv_kalman_predict(&t->kalman);
    t->region.cx = (float)t->kalman.x[0];
    t->region.cy = (float)t->kalman.x[1];
}

static float expected_size(const track *t) {
    return (float)fmax(t->kalman.x[2], 1);
}

// -------------------------------------------------------------------------------------- reading landmarks

// Appends what is a person among the landmarks p->marks [n] to the sets. source [n], NULL = -1.
static void take_marks(gv_people *p, const gv_image *frame, const int *source, int n) {
    for (int i = 0; i < n && p->set_count < MAX_SETS; i++) {
        sighting *s = &p->sets[p->set_count];
        if (!gv_figure_from(&s->figure, &p->marks[i], frame, MIN_PRESENCE)) continue;
        if (s->figure.size < 0.6f * (float)p->opt.min_height_px) continue;
        s->source = source ? source[i] : -1;
        s->owner = -1;
        p->set_count++;
    }
}

// The last sighting where it is expected now.
static gv_moved_figure expected_figure(const track *t) {
    return (gv_moved_figure){&t->figure, (float)t->kalman.x[0] - t->figure.hip[0],
                             (float)t->kalman.x[1] - t->figure.hip[1]};
}

// What lies on somebody's body and is read with half a heart may be that body's legs or chest taken for a person. It is
// another person once it was seen apart, or clearly, in so many frames.
static bool is_proven(const track *t) {
    return t->proofs >= PROOFS;
}

// Another track that is followed right beside this one, so that landmarks could be drawn to it.
static bool beside(const gv_people *p, const track *t, const track *o) {
    if (o == t || o->seen_frame != p->frame - 1 || o->phase != FOLLOWED) return false;
    double d = hypot(o->kalman.x[0] - t->kalman.x[0], o->kalman.x[1] - t->kalman.x[1]);
    return d < 0.5 * (expected_size(t) + expected_size(o)) / 2 + 0.1 * expected_size(t);
}

typedef struct follow_context {
    gv_people *p;
    const gv_image *image;
    int source[MAX_TRACKS];
} follow_context;

// Whether o is to be painted out of the picture in which t is read, and whether wholly. Who isn't proven is read
// without whom he may be part of, and is painted out for nobody who is proven.
static bool is_painted(const gv_people *p, const track *t, const track *o, bool *whole) {
    if (!beside(p, t, o) || is_proven(t) > is_proven(o)) return false;
    *whole = is_proven(o) > is_proven(t);
    // a much smaller body hides little, and is often a wrong reading of this one
    return *whole || expected_size(o) >= 0.75f * expected_size(t);
}

// The frame, or where a track has neighbours a canvas on which they are painted out. Somebody nearer to the camera
// (feet lower in the picture) hides this body and is painted whole; one behind it only where this body is not.
static gv_image without_neighbours(void *context, int job, int worker) {
    const follow_context *c = context;
    const gv_people *p = c->p;
    const track *t = p->tracks[c->source[job]];
    gv_cutout *canvas = p->canvas[worker];
    bool any = false;
    float half = 0.8f * t->region.width + 4; // more than a turned square and the filter reach
    gv_moved_figure own = expected_figure(t);
    for (int i = 0; i < p->count; i++) {
        const track *o = p->tracks[i];
        bool whole;
        if (!is_painted(p, t, o, &whole)) continue;
        if (!any)
            gv_cutout_copy(canvas, c->image, t->region.cx - half, t->region.cy - half, t->region.cx + half,
                           t->region.cy + half);
        any = true;
        gv_moved_figure other = expected_figure(o);
        whole |= o->figure.box[3] + other.dy > t->figure.box[3] + own.dy;
        gv_cutout_paint_over(canvas, c->image, other, whole ? NULL : &own);
    }
    return any ? gv_cutout_image(canvas) : *c->image;
}

static gv_status follow(gv_people *p, const gv_image *image, gv_error *err) {
    gv_region regions[MAX_TRACKS];
    follow_context c = {.p = p, .image = image};
    int n = 0;
    for (int i = 0; i < p->count; i++) predict(p, p->tracks[i]);
    for (int i = 0; i < p->count; i++) {
        const track *t = p->tracks[i];
        bool due = p->time - t->seen_sec <= RETRY_SEC || p->time - t->focus_sec >= FOCUS_EVERY_SEC;
        if (t->phase == LOST && !due) continue;
        regions[n] = t->region;
        c.source[n++] = i;
    }
    if (n == 0) return GV_OK;
    gv_status status = gv_blazepose_landmarks_in(p->pose, without_neighbours, &c, regions, n, p->marks, err);
    if (status == GV_OK) take_marks(p, image, c.source, n);
    return status;
}

// ------------------------------------------------------------------------------------------------- search

typedef struct candidate {
    gv_region region;
    float score;
} candidate;

static bool same_body(const gv_region *a, float x, float y, float width, float near) {
    float smaller = fminf(a->width, width);
    return hypotf(a->cx - x, a->cy - y) < near * smaller && fmaxf(a->width, width) < 1.7f * smaller;
}

// Adds a detection unless a better one of the same body is there; replaces a worse one.
static void merge(candidate *list, int *count, const candidate *c) {
    for (int i = 0; i < *count; i++) {
        if (!same_body(&list[i].region, c->region.cx, c->region.cy, c->region.width, 0.15f)) continue;
        if (list[i].score < c->score) list[i] = *c;
        return;
    }
    if (*count < MAX_FOUND) list[(*count)++] = *c;
}

static int by_score(const void *a, const void *b) {
    float x = ((const candidate *)a)->score, y = ((const candidate *)b)->score;
    return (x < y) - (x > y);
}

static bool already_read(const gv_people *p, const gv_region *r) {
    for (int i = 0; i < p->set_count; i++) {
        const gv_figure *f = &p->sets[i].figure;
        if (same_body(r, f->hip[0], f->hip[1], f->size * 1.25f, 0.12f)) return true;
    }
    return false;
}

// Tiles around lost people who are due to be looked for, the latest loss first.
static int focus_tiles(gv_people *p, gv_tile *tiles) {
    int n = 0;
    for (int i = 0; i < p->count && n < MAX_FOCUS; i++) {
        track *t = p->tracks[i];
        bool read = t->seen_frame == p->frame; // not yet assigned: look at the sets
        for (int k = 0; k < p->set_count && !read; k++) read = p->sets[k].source == i;
        double wait = p->time - t->seen_sec > FOCUS_SEC ? FOCUS_EVERY_SEC : 0.09;
        if (read || t->phase == TENTATIVE || p->time - t->focus_sec < wait) continue;
        float side = 2 * expected_size(t), x = (float)t->kalman.x[0], y = (float)t->kalman.x[1];
        if (x < 0 || y < 0 || x > (float)p->width || y > (float)p->height) continue;
        t->focus_sec = p->time;
        tiles[n++] = (gv_tile){x - side / 2, y - side / 2, side, side};
    }
    return n;
}

static bool one_person(const gv_figure *a, const gv_figure *b) {
    if (gv_figure_oks(a, b) > SAME_POSE) return true;
    float smaller = fminf(a->size, b->size);
    return hypotf(a->hip[0] - b->hip[0], a->hip[1] - b->hip[1]) < 0.15f * smaller &&
           fmaxf(a->size, b->size) < 1.4f * smaller && gv_box_iou(a->box, b->box) > 0.5f;
}

static bool is_sure(const gv_people *p, const sighting *s) {
    return s->source >= 0 && is_proven(p->tracks[s->source]);
}

// How much a reading is worth beside another of the same person: some favour for the one that a track led to.
static float worth(const gv_people *p, const sighting *s) {
    return s->figure.quality * (is_sure(p, s) ? 1.5f : s->source >= 0 ? 1.25f : 1);
}

// Two readings of one person: the better one stays.
static void drop_duplicates(gv_people *p) {
    for (int i = 0; i < p->set_count; i++)
        for (int j = i + 1; j < p->set_count; j++) {
            sighting *a = &p->sets[i], *b = &p->sets[j];
            if (!one_person(&a->figure, &b->figure)) continue;
            if (worth(p, b) > worth(p, a)) *a = *b;
            *b = p->sets[--p->set_count];
            j = i; // the new a, and the one that moved up, are to be compared with all
        }
}

// Drops what somebody who isn't proven consists of for the greater part of one who is: chest or legs taken for a
// person, or the paint over him.
static void drop_parts(gv_people *p) {
    for (int i = 0; i < p->set_count; i++) {
        bool part = false;
        for (int j = 0; j < p->set_count && !is_sure(p, &p->sets[i]) && !part; j++)
            part = is_sure(p, &p->sets[j]) && gv_cutout_share(&p->sets[i].figure, &p->sets[j].figure) > PART_SHARE;
        if (part) p->sets[i--] = p->sets[--p->set_count];
    }
}

// Looks at tiles in which everybody already read is painted out, and reads the landmarks of those found.
static gv_status search_tiles(gv_people *p, const gv_image *image, const gv_tile *tiles, int n, gv_error *err) {
    gv_cutout *search = p->canvas[gv_blazepose_workers(p->pose)];
    gv_cutout_copy(search, image, 0, 0, (float)p->width, (float)p->height); // whole: regions may lie anywhere
    for (int i = 0; i < p->set_count; i++)
        gv_cutout_paint_over(search, image, (gv_moved_figure){&p->sets[i].figure, 0, 0}, NULL);
    gv_image canvas = gv_cutout_image(search);
    int got[MAX_TILES], count = 0, m = 0;
    gv_status status = gv_blazepose_detect_tiles(p->pose, &canvas, tiles, n, MIN_SCORE, DETECTOR_OVERLAP, p->detections,
                                                 PER_TILE, got, err);
    if (status != GV_OK) return status;
    candidate found[MAX_FOUND];
    for (int i = 0; i < n; i++)
        for (int k = 0; k < got[i]; k++) {
            const gv_detection *d = &p->detections[i * PER_TILE + k];
            candidate c = {gv_blaze_region_of_detection(d), d->score};
            if (isfinite(c.region.cx + c.region.cy + c.region.width)) merge(found, &count, &c);
        }
    qsort(found, (size_t)count, sizeof *found, by_score);
    gv_region regions[MAX_CANDIDATES];
    for (int i = 0; i < count && m < MAX_CANDIDATES; i++)
        if (!already_read(p, &found[i].region)) regions[m++] = found[i].region;
    if (m == 0) return GV_OK;
    status = gv_blazepose_landmarks(p->pose, &canvas, regions, m, p->marks, err);
    if (status == GV_OK) take_marks(p, image, NULL, m);
    return status;
}

// Who stands beside somebody shows only when that one is painted out: where somebody new was found, look again.
static gv_status search(gv_people *p, const gv_image *image, gv_error *err) {
    float boxes[MAX_SETS][4];
    for (int i = 0; i < p->set_count; i++) memcpy(boxes[i], p->sets[i].figure.box, sizeof boxes[i]);
    gv_search_look(p->search, image, p->time, (const float(*)[4])boxes, p->set_count);
    gv_tile tiles[MAX_TILES];
    int n = focus_tiles(p, tiles);
    n += gv_search_pick(p->search, p->set_count > 0, n, tiles + n, MAX_TILES - n);
    for (int round = 0; n > 0 && round < MAX_ROUNDS; round++) {
        int before = p->set_count;
        gv_status status = search_tiles(p, image, tiles, n, err);
        if (status != GV_OK) return status;
        drop_duplicates(p);
        drop_parts(p);
        n = 0;
        for (int i = before; i < p->set_count && n < MAX_TILES; i++) {
            const gv_figure *f = &p->sets[i].figure;
            tiles[n++] = (gv_tile){f->hip[0] - f->size, f->hip[1] - f->size, 2 * f->size, 2 * f->size};
        }
    }
    return GV_OK;
}

// --------------------------------------------------------------------------------------------- assignment

static void mark_crowded(gv_people *p) {
    for (int i = 0; i < p->set_count; i++) {
        sighting *a = &p->sets[i];
        a->crowded = false;
        for (int j = 0; j < p->set_count; j++)
            if (j != i) a->crowded |= gv_box_iou(a->figure.box, p->sets[j].figure.box) > 0.1f;
    }
}

// Cost 0..1 of giving a sighting to a track, INFINITY where it cannot be the same person: distance from the predicted
// place and size, colours, and for one seen just now the pose.
static double cost_of(const gv_people *p, const track *t, int index, const sighting *s) {
    const gv_figure *f = &s->figure;
    float size = sqrtf(expected_size(t) * f->size), away = (float)(p->time - t->seen_sec);
    bool fresh = t->phase != LOST;
    if (fresh) away = 0;
    float place = hypotf(f->hip[0] - (float)t->kalman.x[0], f->hip[1] - (float)t->kalman.x[1]) / size;
    float place_limit = 0.35f + 0.6f * away;
    float growth = fabsf(logf(f->size / expected_size(t))), growth_limit = 0.5f + 0.1f * away;
    if (place > place_limit || growth > growth_limit) return INFINITY;
    float look = SAME_LOOK / 2;
    if (t->looks) look = fminf(gv_look_distance(&t->look, &f->look), gv_look_distance(&t->figure.look, &f->look));
    float dx = (float)t->kalman.x[0] - t->figure.hip[0], dy = (float)t->kalman.x[1] - t->figure.hip[1];
    float same = fresh ? gv_figure_oks_moved(f, &t->figure, dx, dy) : 0.5f;
    if (fresh && same < WILD_POSE && (f->quality < CLEAR || t->phase == TENTATIVE)) return INFINITY;
    if (fresh && same < 2 * WILD_POSE && look > 2 * SAME_LOOK) return INFINITY;
    if (!fresh && (f->quality < UNCLEAR || look > (place < 0.2f ? 2 : 1) * SAME_LOOK)) return INFINITY;
    double cost =
        0.35 * place / place_limit + 0.1 * growth / growth_limit + 0.35 * fminf(look / SAME_LOOK, 1) + 0.2 * (1 - same);
    return s->source == index ? 0.8 * cost : cost;
}

static gv_status assign(gv_people *p, gv_error *err) {
    double *cost = gv_calloc2((size_t)p->count * (size_t)p->set_count, sizeof *cost);
    int match[MAX_TRACKS];
    if (!cost) return gv_fail(err, GV_ERR_MEMORY, "no memory to tell %d people apart", p->count);
    for (int i = 0; i < p->count; i++)
        for (int j = 0; j < p->set_count; j++)
            cost[(size_t)i * p->set_count + j] = cost_of(p, p->tracks[i], i, &p->sets[j]);
    gv_status status = gv_assign(cost, p->count, p->set_count, 1, match, err);
    free(cost);
    if (status != GV_OK) return status;
    for (int i = 0; i < p->count; i++)
        if (match[i] >= 0) p->sets[match[i]].owner = i;
    return GV_OK;
}

// ------------------------------------------------------------------------------------------------- update

static bool near_known(const gv_people *p, const sighting *s) {
    const float *a = s->figure.box;
    float area = (a[2] - a[0]) * (a[3] - a[1]);
    for (int i = 0; i < p->set_count; i++) {
        const sighting *o = &p->sets[i];
        const float *b = o->figure.box;
        if (o == s || o->owner < 0 || !p->tracks[o->owner]->id) continue;
        float w = fminf(a[2], b[2]) - fmaxf(a[0], b[0]), h = fminf(a[3], b[3]) - fmaxf(a[1], b[1]);
        if (w > 0 && h > 0 && w * h > NEAR_SHARE * area) return true;
    }
    return false;
}

// Running means over CONFIRM_LATE_FRAMES looks, before t->figure becomes f. Points that are not visible are anywhere.
static void judge_calm(track *t, const gv_figure *f) {
    float weight = 1 / fminf((float)t->streak, CONFIRM_LATE_FRAMES), way = 0;
    t->clarity += weight * (f->quality - t->clarity);
    if (t->streak < 2) {
        t->restless = 0;
        return;
    }
    int seen = 0;
    for (int i = 0; i < GV_BODY_POINTS; i++) {
        const float *a = t->figure.marks.point[GV_BODY_POINT[i]], *b = f->marks.point[GV_BODY_POINT[i]];
        if (fminf(a[3], b[3]) < 0.5f) continue;
        way += hypotf(b[0] - f->hip[0] - a[0] + t->figure.hip[0], b[1] - f->hip[1] - a[1] + t->figure.hip[1]);
        seen++;
    }
    weight = 1 / fminf((float)t->streak - 1, CONFIRM_LATE_FRAMES);
    t->restless += weight * ((seen ? way / ((float)seen * f->size) : 0) - t->restless);
}

// Whether a newcomer has been seen for long enough, in a row, to be somebody.
static bool is_somebody(const gv_people *p, const track *t, const sighting *s) {
    if (!p->opt.live) return t->streak >= CONFIRM_FRAMES;
    bool clear = t->clarity >= SURE_PERSON;
    return t->streak >= (clear && !near_known(p, s) ? CONFIRM_FRAMES : CONFIRM_LATE_FRAMES) &&
           (clear || t->restless < RESTLESS);
}

static double forget_sec(const gv_people *p, const track *t) {
    return p->opt.live ? fmin(fmax(t->seen_sec - t->first_sec, FORGET_LEAST_SEC), FORGET_SEC) : FORGET_SEC;
}

static gv_status see(gv_people *p, track *t, const sighting *s, gv_error *err) {
    const gv_figure *f = &s->figure;
    double z[4] = {f->hip[0], f->hip[1], f->size, f->size};
    if (t->history.count == 0)
        gv_kalman_start(&t->kalman, z);
    else
        gv_kalman_update(&t->kalman, z);
    if (t->seen_frame != p->frame - 1) {
        gv_blaze_smoother_reset(t->smoother);
        t->streak = 0;
    }
    t->streak++;
    judge_calm(t, f);
    if (t->phase == LOST || (t->phase == TENTATIVE && is_somebody(p, t, s))) t->phase = FOLLOWED;
    if (t->phase == FOLLOWED && !t->id) t->id = ++p->ids;
    gv_landmarks smooth = f->marks;
    gv_blaze_smoother_apply(t->smoother, &smooth, (int64_t)(p->time * 1e6) + 1, false);
    t->region = gv_blaze_region(smooth.point[33], smooth.point[34]);
    t->figure = *f;
    t->seen_frame = p->frame;
    t->seen_sec = p->time;
    if (!s->crowded || t->looks == 0) {
        t->looks++;
        gv_look_blend(&t->look, &f->look, fmaxf(1.0f / (float)t->looks, 0.05f));
    }
    t->proofs += !s->crowded || f->quality > CLEAR;
    if (!s->crowded) {
        t->clean = t->kalman;
        t->clean_frame = p->frame;
    }
    float kp[17][3], space[17][3], feet[GV_FEET_POINTS][3];
    gv_blaze_to_coco17(kp, &f->marks, p->opt.model);
    gv_blaze_world_coco17(space, &f->marks);
    gv_blaze_feet(feet, &f->marks, p->opt.model);
    if (p->opt.live) t->history.count = 0; // the last sighting alone
    gv_seen_points seen = {(const float(*)[3])kp, (const float(*)[3])space, (const float(*)[3])feet};
    return gv_history_add(&t->history, p->frame, p->time, &seen, f->box, err);
}

// Where somebody vanishes behind another person the last readings were already drawn towards that one:
// go on from the last state that was free of it.
static void miss(gv_people *p, track *t) {
    t->streak = 0;
    if (t->phase != FOLLOWED) return;
    t->phase = LOST;
    int steps = p->frame - t->clean_frame;
    if (t->looks < 2 || steps < 2 || steps > 20) return;
    t->kalman = t->clean;
    for (int i = 0; i < steps; i++) gv_kalman_predict(&t->kalman);
    t->region.cx = (float)t->kalman.x[0];
    t->region.cy = (float)t->kalman.x[1];
}

static bool stands_alone(const gv_people *p, const sighting *s) {
    for (int i = 0; i < p->set_count; i++) {
        const sighting *o = &p->sets[i];
        if (o == s || o->owner < 0) continue;
        float d = hypotf(o->figure.hip[0] - s->figure.hip[0], o->figure.hip[1] - s->figure.hip[1]);
        if (d < 0.1f * fmaxf(o->figure.size, s->figure.size) || gv_box_iou(o->figure.box, s->figure.box) > 0.7f)
            return false;
    }
    return true;
}

static gv_status begin(gv_people *p, sighting *s, gv_error *err) {
    if (p->count == MAX_TRACKS) return GV_OK;
    track *t = gv_calloc2(1, sizeof *t);
    if (t) t->smoother = gv_blaze_smoother_create();
    if (!t || !t->smoother) {
        track_free(t);
        return gv_fail(err, GV_ERR_MEMORY, "no memory for another person");
    }
    t->history.list.spool = p->spool;
    t->seen_frame = -2;
    t->first_sec = p->time;
    p->tracks[p->count] = t;
    s->owner = p->count++;
    return see(p, t, s, err);
}

static gv_status update(gv_people *p, gv_error *err) {
    gv_status status = GV_OK;
    for (int i = 0; i < p->set_count && status == GV_OK; i++)
        if (p->sets[i].owner >= 0) status = see(p, p->tracks[p->sets[i].owner], &p->sets[i], err);
    if (status != GV_OK) return status;
    int n = 0;
    for (int i = 0; i < p->count; i++) {
        track *t = p->tracks[i];
        if (t->seen_frame != p->frame) miss(p, t);
        bool over = t->seen_frame != p->frame && (t->phase == TENTATIVE || p->time - t->seen_sec > forget_sec(p, t));
        if (!over)
            p->tracks[n++] = t;
        else if (close_track(p, t, err) != GV_OK)
            status = GV_ERR_MEMORY;
    }
    p->count = n;
    for (int i = 0; i < p->set_count && status == GV_OK; i++)
        if (p->sets[i].owner < 0 && p->sets[i].figure.quality > UNCLEAR && stands_alone(p, &p->sets[i]))
            status = begin(p, &p->sets[i], err);
    return status;
}

gv_status gv_people_frame(gv_people *p, const gv_image *image, double time_sec, gv_error *err) {
    assert(image->rgb);
    if (image->width != p->width || image->height != p->height)
        return gv_fail(err, GV_ERR_ARGUMENT, "frame %ld is %d x %d, expected %d x %d", p->frames, image->width,
                       image->height, p->width, p->height);
    if (p->frames++ % p->opt.look_every != 0) return GV_OK;
    p->frame++;
    p->step_sec = p->frame > 0 ? fmax(time_sec - p->time, 0) : 0;
    p->time = time_sec;
    p->set_count = 0;
    gv_status status = follow(p, image, err);
    if (status == GV_OK) status = search(p, image, err);
    if (status != GV_OK) return status;
    drop_duplicates(p);
    drop_parts(p);
    mark_crowded(p);
    status = assign(p, err);
    return status == GV_OK ? update(p, err) : status;
}

int gv_people_boxes(const gv_people *p, float (*boxes)[4], int max) {
    int n = 0;
    for (int i = 0; i < p->count && n < max; i++)
        if (p->tracks[i]->seen_frame == p->frame) memcpy(boxes[n++], p->tracks[i]->figure.box, sizeof *boxes);
    return n;
}

int gv_people_present(const gv_people *p, gv_presence *out, int max) {
    int n = 0;
    for (int i = 0; i < p->count && n < max; i++) {
        const track *t = p->tracks[i];
        if (!t->id) continue;
        gv_presence *o = &out[n++];
        *o = (gv_presence){.id = t->id, .seen = t->seen_frame == p->frame};
        gv_blaze_to_coco17(o->kp2d, &t->figure.marks, p->opt.model);
        gv_blaze_world_coco17(o->kp3d, &t->figure.marks);
        memcpy(o->box, t->figure.box, sizeof o->box);
    }
    return n;
}

// ------------------------------------------------------------------------------------------------- finish

// The share of a's box that lies in b's, 0 where b is not there; mean over the frames in which a was seen.
static double share_inside(const gv_person *a, const gv_person *b) {
    double sum = 0, seen = 0;
    for (int t = 0; t < a->frames; t++) {
        int u = a->first + t - b->first;
        if (!a->observed[t]) continue;
        seen++;
        if (u < 0 || u >= b->frames) continue;
        const float *x = a->bbx_xyxy + 4 * (size_t)t, *y = b->bbx_xyxy + 4 * (size_t)u;
        double w = fmin(x[2], y[2]) - fmax(x[0], y[0]), h = fmin(x[3], y[3]) - fmax(x[1], y[1]);
        double area = ((double)x[2] - x[0]) * ((double)x[3] - x[1]);
        if (w > 0 && h > 0 && area > 0) sum += w * h / area;
    }
    return seen > 0 ? sum / seen : 0;
}

// Shoulders below the hips in most of the frames seen: a shadow or a reflection on the ground, or a gymnast.
static bool is_upside_down(const gv_person *p) {
    int seen = 0, inverted = 0;
    for (int t = 0; t < p->frames; t++) {
        const float *kp = p->kp2d + 51 * (size_t)t;
        if (!p->observed[t]) continue;
        seen++;
        inverted += kp[3 * 5 + 1] + kp[3 * 6 + 1] > kp[3 * 11 + 1] + kp[3 * 12 + 1];
    }
    return 2 * inverted > seen;
}

// A thing that is now and then taken for a person: it stays in one place to a few pixels, is seen in some frames only,
// and yet its limbs are read in another way each time. Somebody who sits is seen all the time, and calmly.
static bool is_a_thing(const gv_person *p) {
    enum { SHORTEST = 30 };
    const double seen_share = 0.85, place = 0.1, restless = 0.02; // of the frames; of the box's longer side
    double hip[2] = {0}, size = 0, way = 0;
    int seen = 0, pairs = 0, still = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int t = 0; t < p->frames; t++) {
            const float *kp = p->kp2d + 51 * (size_t)t, *box = p->bbx_xyxy + 4 * (size_t)t;
            if (!p->observed[t]) continue;
            double x = (kp[33] + kp[36]) / 2, y = (kp[34] + kp[37]) / 2; // hips
            if (pass == 1) {
                still += hypot(x - hip[0] / seen, y - hip[1] / seen) < place * size / seen;
                continue;
            }
            seen++, hip[0] += x, hip[1] += y, size += (double)fmaxf(box[3] - box[1], box[2] - box[0]);
            if (t == 0 || !p->observed[t - 1]) continue;
            for (int k = 0; k < 17; k++) way += hypotf(kp[3 * k] - kp[3 * k - 51], kp[3 * k + 1] - kp[3 * k - 50]) / 17;
            pairs++;
        }
    return p->frames >= SHORTEST && seen < seen_share * p->frames && still > 0.95 * seen && pairs > 0 &&
           way / pairs > restless * size / seen;
}

// Not somebody else: a sighting that never leaves a much more prominent person's box is a second reading of that
// person, and a much less prominent one upside down is a shadow. Persons come most prominent first.
static void drop_second_readings(gv_tracks *t) {
    int kept = 0;
    for (int i = 0; i < t->count; i++) {
        const gv_person *p = &t->person[i];
        bool second = kept > 0 && p->prominence < 0.5 * t->person[0].prominence && is_upside_down(p);
        second |= is_a_thing(p);
        for (int k = 0; k < kept && !second; k++)
            second = p->prominence < 0.5 * t->person[k].prominence && share_inside(p, &t->person[k]) > 0.75;
        if (second)
            gv_person_free(&t->person[i]);
        else
            t->person[kept++] = t->person[i];
    }
    t->count = kept;
}

gv_status gv_people_finish(gv_people *p, gv_tracks *out, gv_error *err) {
    *out = (gv_tracks){.frames = p->frames};
    gv_status status = GV_OK;
    for (int i = 0; i < p->count; i++) {
        gv_status s = close_track(p, p->tracks[i], err);
        if (s != GV_OK) status = s;
    }
    p->count = 0;
    if (status != GV_OK) return status;
    status = gv_histories_finish(p->closed, p->closed_count, p->width, p->height, out, err);
    for (int i = 0; i < out->count && status == GV_OK; i++)
        status = gv_person_spread(&out->person[i], p->opt.look_every, p->frames, err);
    if (status != GV_OK) {
        gv_tracks_free(out);
        return status;
    }
    drop_second_readings(out);
    p->closed_count = 0;
    while (p->opt.max_people > 0 && out->count > p->opt.max_people) gv_person_free(&out->person[--out->count]);
    return GV_OK;
}
