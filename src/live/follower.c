#include "live/follower.h"
#include "base/memory.h"
#include "camera/intrinsics.h"
#include "pipeline/camera_stage.h"
#include "network/inputs.h"
#include "perception/history.h"
#include "pipeline/refine.h"
#include "pipeline/settle_internal.h"
#include "pipeline/timebase.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RING = 256, WINDOW = 120, LEAST = 8, SOLES_EVERY = 30, ENOUGH = 6, CORRECTIONS = 16 };
static const double RATE = 30;
static const double lead_sec = 2 / 30.; // corrections are found so far ahead of their use
static const double turn_sec = 2 / 30., ray_sec = 1 / 30., depth_sec = 5 / 30.; // and smoothed over so long

typedef struct look {
    double time_sec;
    gv_sighting sighting;
    float R[9];
} look;

typedef struct correction { // towards the keypoints of one frame
    double time_sec;
    bool fitted;
    float d[GV_CORRECTION];
} correction;

struct gv_follower {
    gv_follower_settings set;
    correction correction[CORRECTIONS];
    long corrections; // ever
    look ring[RING];
    long looks; // ever
    gv_stepper stepper;
    double sole[GV_FEET];
    // of the present window
    gv_sighting item[RING];
    float K[9 * RING], R[9 * RING];
    int32_t index[RING];
    double time_sec[RING];
    float obs[51 * WINDOW], cliff[3 * WINDOW], angvel[6 * WINDOW];
    float pred_x[GV_PRED_X * WINDOW], pred_cam[3 * WINDOW], logits[6 * WINDOW];
};

gv_status gv_follower_create(gv_follower **out, const gv_follower_settings *s, gv_error *err) {
    gv_follower *f = *out = gv_calloc2(1, sizeof *f);
    if (!f) return gv_fail(err, GV_ERR_MEMORY, "no memory to follow another person");
    f->set = *s;
    return GV_OK;
}

void gv_follower_destroy(gv_follower *f) {
    free(f);
}

void gv_follower_look(gv_follower *f, double time_sec, const gv_presence *p, const float R_w2c[9]) {
    look *l = &f->ring[f->looks++ % RING];
    *l = (look){.time_sec = time_sec};
    memcpy(l->R, R_w2c, sizeof l->R);
    if (!p || !p->seen) return;
    memcpy(l->sighting.kp2d, p->kp2d, sizeof l->sighting.kp2d);
    memcpy(l->sighting.kp3d, p->kp3d, sizeof l->sighting.kp3d);
    memcpy(l->sighting.box, p->box, sizeof l->sighting.box);
    l->sighting.observed = 1;
}

// The looks that the network's frames lie between, oldest first; returns their number.
static int gather(gv_follower *f) {
    long n = f->looks < RING ? f->looks : RING, first = f->looks - n;
    double from = f->ring[(f->looks - 1) % RING].time_sec - (WINDOW - 1) / RATE - 1e-6;
    while (f->ring[first % RING].time_sec < from) first++;
    n = f->looks - first;
    for (long i = 0; i < n; i++) {
        const look *l = &f->ring[(first + i) % RING];
        f->item[i] = l->sighting;
        f->time_sec[i] = l->time_sec;
        f->index[i] = (int32_t)i;
        memcpy(f->R + 9 * i, l->R, sizeof l->R);
        gv_lens_matrix(&f->set.lens, f->K + 9 * i);
    }
    return (int)n;
}

// What was observed at the network's rate. `p` owns arrays of `seen`, which borrows; `resampled` owns its own.
static gv_status observe(gv_follower *f, int n, gv_person *p, gv_observations *seen, gv_observations *resampled,
                         gv_error *err) {
    gv_history h = {.count = n, .seen = n, .item = f->item};
    gv_status status = gv_history_finish(&h, f->set.width, f->set.height, p, err);
    if (status != GV_OK) return status;
    if (f->set.lens.model != GV_LENS_PINHOLE)
        for (int t = 0; t < n; t++)
            gv_camera_straighten(&f->set.lens, p->bbx_xys + 3 * t, p->kp2d + 51 * t, p->feet2d + 12 * t);
    *seen = (gv_observations){.frames = n,
                              .bbx_xys = p->bbx_xys,
                              .kp2d = p->kp2d,
                              .kp3d = p->kp3d,
                              .K = f->K,
                              .R_w2c = f->R,
                              .frame_index = f->index,
                              .time_sec = f->time_sec,
                              .fps = RATE,
                              .width = f->set.width,
                              .height = f->set.height,
                              .length = n};
    return gv_timebase_is_30fps(seen) ? GV_OK : gv_timebase_resample(resampled, seen, err);
}

// The last `count` frames from `first` on, as observations that borrow.
static gv_observations part_of(const gv_observations *o, int first, int count) {
    gv_observations p = *o;
    size_t at = (size_t)first;
    p.frames = p.length = count;
    p.bbx_xys += 3 * at;
    p.kp2d += 51 * at;
    p.kp3d += 51 * at;
    p.K += 9 * at;
    p.R_w2c += 9 * at;
    p.frame_index += at;
    p.time_sec += at;
    p.f_imgseq = p.cam_angvel = NULL;
    return p;
}

static gv_status predict(gv_follower *f, const gv_observations *o, gv_error *err) {
    gv_obs_from_keypoints(f->obs, o->kp2d, o->bbx_xys, o->frames);
    gv_cliff_from_boxes(f->cliff, o->bbx_xys, o->K, o->frames);
    gv_angvel_from_rotations(f->angvel, o->R_w2c, o->frames);
    const gv_network_input in = {.frames = o->frames,
                                 .length = o->frames,
                                 .obs = f->obs,
                                 .cliff = f->cliff,
                                 .cam_angvel = f->angvel,
                                 .kp3d = o->kp3d};
    const gv_network_output out = {.pred_x = f->pred_x, .pred_cam = f->pred_cam, .static_conf_logits = f->logits};
    if (gv_network_is_chained(f->set.network))
        return gv_fail(err, GV_ERR_ARGUMENT,
                       "a network without Gravity-View orientations is for predict and eval alone");
    gv_status status = gv_network_run(f->set.network, &in, &out, err);
    for (int i = 0; status == GV_OK && i < o->frames * GV_PRED_X; i++)
        if (!isfinite(f->pred_x[i])) status = gv_fail(err, GV_ERR_FORMAT, "the network's output is not finite");
    return status == GV_OK ? gv_smooth_prediction(f->pred_x, o->frames, NULL, err) : status;
}

typedef struct place { // between frames at and at + 1
    int at;
    float after;
} place;

static place locate(const gv_observations *o, double time_sec) {
    double x = (time_sec - o->time_sec[0]) * RATE;
    x = fmin(fmax(x, 0), o->frames - 1);
    int at = (int)x < o->frames - 1 ? (int)x : o->frames > 1 ? o->frames - 2 : 0;
    return (place){at, (float)(x - at)};
}

static void mix(float *out, const float *rows, place p, int frames, int width) {
    const float *a = rows + (size_t)p.at * width, *b = p.at + 1 < frames ? a + width : a;
    for (int i = 0; i < width; i++) out[i] = a[i] + p.after * (b[i] - a[i]);
}

static int visible(const float *kp) {
    int n = 0;
    for (int k = 0; k < 17; k++) n += kp[3 * k + 2] > 0.5f;
    return n;
}

// The correction of a frame a little after `time_sec` joins the others.
static void find_correction(gv_follower *f, const gv_observations *o, double time_sec) {
    correction *c = &f->correction[f->corrections++ % CORRECTIONS];
    double last = o->time_sec[o->frames - 1];
    c->time_sec = fmin(time_sec + lead_sec, last);
    place p = locate(o, c->time_sec);
    float row[GV_PRED_X], cam[3], box[3], kp[51];
    mix(row, f->pred_x, p, o->frames, GV_PRED_X);
    mix(cam, f->pred_cam, p, o->frames, 3);
    mix(box, o->bbx_xys, p, o->frames, 3);
    mix(kp, o->kp2d, p, o->frames, 51);
    c->fitted = gv_correction_fit(c->d, f->set.points, row, cam, kp, box, o->K + 9 * (size_t)p.at);
}

// Gaussian means of what is known, each unknown over its own time.
static void smooth_correction(float d[GV_CORRECTION], const gv_follower *f, double time_sec) {
    double sum[GV_CORRECTION] = {0}, total[GV_CORRECTION] = {0};
    for (int i = 0; i < CORRECTIONS && i < f->corrections; i++) {
        const correction *c = &f->correction[i];
        double away = c->time_sec - time_sec;
        if (!c->fitted) continue;
        for (int u = 0; u < GV_CORRECTION; u++) {
            double sd = u < GV_CORRECTION_TURNS ? turn_sec : u < GV_CORRECTION - 1 ? ray_sec : depth_sec;
            double w = exp(-away * away / (2 * sd * sd));
            sum[u] += w * (double)c->d[u];
            total[u] += w;
        }
    }
    for (int u = 0; u < GV_CORRECTION; u++) d[u] = (float)(sum[u] / fmax(total[u], 0.1)); // fades where nobody was seen
}

static gv_status step(gv_follower *f, gv_world_view *world, const gv_observations *o, double time_sec,
                      gv_step_output *out, gv_error *err) {
    place p = locate(o, time_sec);
    float row[GV_PRED_X], cam[3], logits[6], box[3];
    int nearest = p.after > 0.5f && p.at + 1 < o->frames ? p.at + 1 : p.at, n = visible(o->kp2d + 51 * (size_t)nearest);
    mix(row, f->pred_x, p, o->frames, GV_PRED_X);
    mix(cam, f->pred_cam, p, o->frames, 3);
    mix(logits, f->logits, p, o->frames, 6);
    mix(box, o->bbx_xys, p, o->frames, 3);
    const float *K = o->K + 9 * (size_t)nearest;
    if (f->set.points) {
        float d[GV_CORRECTION];
        find_correction(f, o, time_sec);
        smooth_correction(d, f, time_sec);
        gv_correction_apply(row, cam, d, box, K);
    }
    const gv_step_input in = {.pred_x = row,
                              .pred_cam = cam,
                              .logits = logits,
                              .box = box,
                              .K = K,
                              .R_w2c = o->R_w2c + 9 * (size_t)nearest,
                              .time_sec = time_sec,
                              .body = f->set.body,
                              .sole = f->sole,
                              .static_camera = f->set.static_camera};
    double down[3];
    gv_step_down(down, row, in.R_w2c);
    if (n >= ENOUGH || world->weight == 0) gv_world_look(world, down, n > 0 ? n / 17.0 : 0.05);
    if (f->stepper.frames % SOLES_EVERY == 0) {
        float betas[GV_BETAS] = {0};
        if (f->stepper.frames) memcpy(betas, out->betas, sizeof betas);
        gv_status status = gv_sole_heights(f->sole, f->set.body, betas, err);
        if (status != GV_OK) return status;
    }
    gv_step(out, &f->stepper, world, &in);
    return GV_OK;
}

gv_status gv_follower_solve(gv_follower *f, gv_world_view *world, const double *times, int n, gv_step_output *out,
                            int *got, gv_error *err) {
    *got = 0;
    int looks = f->looks > 0 ? gather(f) : 0, first = 0;
    if (looks < LEAST) return GV_OK;
    while (first < n && times[first] < f->time_sec[0] - 1e-9) first++;
    if (first == n) return GV_OK;
    gv_person person = {0};
    gv_observations seen = {0}, resampled = {0};
    gv_status status = observe(f, looks, &person, &seen, &resampled, err);
    if (status != GV_OK) goto done;
    const gv_observations *all = resampled.frames ? &resampled : &seen;
    int frames = all->frames < WINDOW ? all->frames : WINDOW;
    gv_observations o = part_of(all, all->frames - frames, frames);
    status = predict(f, &o, err);
    for (int i = first; i < n && status == GV_OK; i++) {
        memcpy(out[i].betas, i > first ? out[i - 1].betas : out[first].betas, sizeof out->betas);
        status = step(f, world, &o, times[i], &out[i], err);
        *got += status == GV_OK;
    }
done:
    gv_person_free(&person);
    gv_observations_free(&resampled);
    return status;
}
