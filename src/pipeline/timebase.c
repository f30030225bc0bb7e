#include "pipeline/timebase.h"

#include "base/memory.h"
#include "geometry/rotation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double RATE = 30, RATE_TOLERANCE = 0.002, JITTER_TOLERANCE = 0.1;
enum { KEYPOINTS = 17, FEATURE = 1024, SLOWEST = 60 }; // SLOWEST: network frames per video frame, i.e. 0.5 fps

bool gv_timebase_is_30fps(const gv_observations *o) {
    if (o->frames < 2) return true;
    double step = (o->time_sec[o->frames - 1] - o->time_sec[0]) / (o->frames - 1);
    if (!(fabs(1 / (step * RATE) - 1) <= RATE_TOLERANCE)) return false;
    for (int t = 0; t < o->frames; t++)
        if (!(fabs(o->time_sec[t] - o->time_sec[0] - t * step) <= JITTER_TOLERANCE * step)) return false;
    return true;
}

// Where a time lies among increasing times: between frames at and at + 1, `after` of the way. Walks on from
// the previous answer. Clamped at the ends; on a frame's own time `after` is 0.
typedef struct place {
    int at;
    double after;
} place;

static place locate(const double *times, int frames, double time, int from) {
    int i = from;
    while (i + 1 < frames && times[i + 1] <= time) i++;
    if (i + 1 >= frames) return (place){frames - 1, 0};
    double after = (time - times[i]) / (times[i + 1] - times[i]);
    return (place){i, after < 1e-6 ? 0 : after};
}

static void mix(float *out, const float *in, place p, int width) {
    const float *a = in + (size_t)p.at * width, *b = p.after > 0 ? a + width : a;
    for (int i = 0; i < width; i++) out[i] = (float)(a[i] + p.after * ((double)b[i] - a[i]));
}

static void mix_sure(float *out, const float *in, place p, int width) {
    const float *a = in + (size_t)p.at * width, *b = p.after > 0 ? a + width : a;
    mix(out, in, p, width);
    for (int j = 2; j < width; j += 3) out[j] = a[j] < b[j] ? a[j] : b[j];
}

// Points in space: nothing between frames of which one has none (all 0).
static void mix_points(float *out, const float *in, place p, int width) {
    const float *a = in + (size_t)p.at * width, *b = p.after > 0 ? a + width : a;
    bool in_a = false, in_b = false;
    for (int i = 0; i < width; i++) {
        in_a |= a[i] != 0;
        in_b |= b[i] != 0;
    }
    if (in_a && in_b)
        mix(out, in, p, width);
    else
        memset(out, 0, (size_t)width * sizeof *out);
}

static void mix_matrix(float *out, const float *in, place p, int width) {
    (void)width; // 9
    float a[4], b[4], q[4];
    if (p.after == 0) {
        memcpy(out, in + 9 * (size_t)p.at, 9 * sizeof *out);
        return;
    }
    gv_rot_to_quat(a, in + 9 * (size_t)p.at);
    gv_rot_to_quat(b, in + 9 * ((size_t)p.at + 1));
    gv_quat_slerp(q, a, b, (float)p.after);
    gv_rot_from_quat(out, q);
}

static void mix_axis_angle(float *out, const float *in, place p, int stride) {
    float a[4], b[4], q[4];
    const float *first = in + (size_t)p.at * stride;
    if (p.after == 0) {
        memcpy(out, first, 3 * sizeof *out);
        return;
    }
    gv_quat_from_aa(a, first);
    gv_quat_from_aa(b, first + stride);
    gv_quat_slerp(q, a, b, (float)p.after);
    if (q[0] < 0)
        for (int i = 0; i < 4; i++) q[i] = -q[i];
    gv_quat_to_aa(out, q);
}

// R_0 = I, R_{t+1} = A_t R_t from the camera's motion between frames, where no rotations are given.
static void integrate_rotations(float *R, const float *cam_angvel, int frames) {
    memcpy(R, (float[9]){1, 0, 0, 0, 1, 0, 0, 0, 1}, 9 * sizeof *R);
    for (int t = 0; t + 1 < frames; t++) {
        float A[9];
        gv_rot_from_6d(A, cam_angvel + 6 * (size_t)t);
        gv_mat3_mul(R + 9 * ((size_t)t + 1), A, R + 9 * (size_t)t);
    }
}

void gv_timebase_camera(float *R_w2c, const gv_observations *o) {
    if (o->R_w2c)
        memcpy(R_w2c, o->R_w2c, (size_t)o->frames * 9 * sizeof *R_w2c);
    else
        integrate_rotations(R_w2c, o->cam_angvel, o->frames);
}

gv_status gv_timebase_resample(gv_observations *out, const gv_observations *in, gv_error *err) {
    *out = (gv_observations){0};
    double span = in->time_sec[in->frames - 1] - in->time_sec[0];
    if (in->length != in->frames)
        return gv_fail(err, GV_ERR_ARGUMENT, "padded observations (%d of %d frames valid) must be at 30 fps",
                       in->length, in->frames);
    if (!(span * RATE <= (double)SLOWEST * in->frames))
        return gv_fail(err, GV_ERR_FORMAT, "%d frames last %g s: less than a frame every 2 s cannot be resampled",
                       in->frames, span);
    int frames = (int)ceil(span * RATE - 1e-6) + 1;
    float *camera = gv_calloc2((size_t)in->frames, 9 * sizeof *camera);
    gv_status s = camera ? gv_observations_alloc(out, frames, err)
                         : gv_fail(err, GV_ERR_MEMORY, "out of memory for %d frames", frames);
    if (!s && in->f_imgseq && !(out->f_imgseq = gv_calloc2((size_t)frames, FEATURE * sizeof *out->f_imgseq)))
        s = gv_fail(err, GV_ERR_MEMORY, "out of memory for the image features of %d frames", frames);
    if (!s && in->kp3d && !(out->kp3d = gv_calloc2((size_t)frames, KEYPOINTS * 3 * sizeof *out->kp3d)))
        s = gv_fail(err, GV_ERR_MEMORY, "out of memory for the points in space of %d frames", frames);
    if (s) goto done;
    gv_timebase_camera(camera, in);
    out->width = in->width;
    out->height = in->height;
    place p = {0};
    for (int k = 0; k < frames; k++) {
        out->time_sec[k] = in->time_sec[0] + k / RATE;
        p = locate(in->time_sec, in->frames, out->time_sec[k] + 1e-9, p.at);
        mix(out->bbx_xys + 3 * (size_t)k, in->bbx_xys, p, 3);
        mix_sure(out->kp2d + KEYPOINTS * 3 * (size_t)k, in->kp2d, p, KEYPOINTS * 3);
        mix(out->K + 9 * (size_t)k, in->K, p, 9);
        mix_matrix(out->R_w2c + 9 * (size_t)k, camera, p, 9);
        if (in->kp3d) mix_points(out->kp3d + KEYPOINTS * 3 * (size_t)k, in->kp3d, p, KEYPOINTS * 3);
        if (in->f_imgseq) mix(out->f_imgseq + FEATURE * (size_t)k, in->f_imgseq, p, FEATURE);
    }
done:
    free(camera);
    if (s) gv_observations_free(out);
    return s;
}

void gv_timebase_restore(gv_motion *m, const gv_motion *solved) {
    place p = {0};
    memcpy(m->betas, solved->betas, sizeof m->betas);
    for (int t = 0; t < m->frames; t++) {
        size_t i = (size_t)t;
        p = locate(solved->time_sec, solved->frames, m->time_sec[t] + 1e-9, p.at);
        for (int j = 0; j < 63; j += 3) mix_axis_angle(m->body_pose + 63 * i + j, solved->body_pose + j, p, 63);
        mix_axis_angle(m->global_orient + 3 * i, solved->global_orient, p, 3);
        mix_axis_angle(m->global_orient_incam + 3 * i, solved->global_orient_incam, p, 3);
        mix(m->transl + 3 * i, solved->transl, p, 3);
        mix(m->transl_incam + 3 * i, solved->transl_incam, p, 3);
        mix(m->static_prob + 6 * i, solved->static_prob, p, 6);
    }
}

// ---- frames that show pictures of other times

typedef struct pictures { // of the rows of one array
    int *row;             // [count] the row of each
    double *time;         // [count] when it was true
    int count;
} pictures;

typedef void mixer(float *out, const float *in, place p, int width);

// rows [frames, width] at times [frames], in place: of the pictures around a row only two are still needed, and no
// picture is true by so much before the frame that shows it that its row is another by then.
static void retime(float *rows, int width, mixer *between, const pictures *p, const double *times, int frames,
                   float *pair) {
    place at = {0};
    float *second = pair + width;
    size_t bytes = (size_t)width * sizeof *rows;
    int held = 0, next = p->count > 1;
    memcpy(pair, rows + (size_t)p->row[0] * width, bytes);
    memcpy(second, rows + (size_t)p->row[next] * width, bytes);
    for (int t = 0; t < frames; t++) {
        at = locate(p->time, p->count, times[t] + 1e-9, at.at);
        while (held < at.at) {
            memcpy(pair, second, bytes);
            held++;
            if (held + 1 < p->count) memcpy(second, rows + (size_t)p->row[held + 1] * width, bytes);
        }
        between(rows + (size_t)t * width, pair, (place){0, at.after}, width);
    }
}

// The pictures among the rows first, first + 1 ..., of the video's frames. A first row that repeats one from before is
// a picture of its own. False when memory is exhausted.
static bool pictures_of(pictures *out, const gv_picture_times *p, const double *times, int first, int frames) {
    int k = 0;
    *out = (pictures){.row = gv_calloc2((size_t)frames, sizeof *out->row),
                      .time = gv_calloc2((size_t)frames, sizeof *out->time)};
    if (!out->row || !out->time) return false;
    while (k < p->pictures && p->frame[k] < first) k++;
    if (k == p->pictures || p->frame[k] > first) {
        double next = k < p->pictures ? p->time_sec[k] - 1e-3 : times[0];
        out->time[out->count++] = times[0] < next ? times[0] : next;
    }
    for (; k < p->pictures && p->frame[k] < first + frames; k++) {
        out->row[out->count] = p->frame[k] - first;
        out->time[out->count++] = p->time_sec[k];
    }
    return true;
}

gv_status gv_timebase_retime(gv_observations *o, const gv_picture_times *p, gv_error *err) {
    pictures mine = {0};
    float *pair = gv_calloc2(2 * FEATURE, sizeof *pair);
    gv_status s = GV_OK;
    if (!pair || !pictures_of(&mine, p, o->time_sec, o->frame_index[0], o->frames))
        s = gv_fail(err, GV_ERR_MEMORY, "no memory for the pictures of %d frames", o->frames);
    if (s == GV_OK && mine.count < o->frames) {
        struct {
            float *rows;
            int width;
            mixer *between;
        } all[] = {{o->bbx_xys, 3, mix},
                   {o->kp2d, KEYPOINTS * 3, mix_sure},
                   {o->feet2d, GV_FEET_POINTS * 3, mix_sure},
                   {o->kp3d, KEYPOINTS * 3, mix_points},
                   {o->f_imgseq, FEATURE, mix}};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            if (all[i].rows) retime(all[i].rows, all[i].width, all[i].between, &mine, o->time_sec, o->frames, pair);
    }
    free(mine.row);
    free(mine.time);
    free(pair);
    return s;
}

// Places between two stretches are those of the one before.
static void mix_place(float *out, const float *in, place p, int width) { // x, y, z, stretch
    bool one = p.after > 0 && in[3] == in[width + 3];
    if (one)
        mix(out, in, p, width);
    else
        memcpy(out, in, (size_t)width * sizeof *out);
}

gv_status gv_timebase_retime_camera(gv_camera_path *c, const gv_picture_times *p, const double *time_sec,
                                    gv_error *err) {
    pictures all = {0};
    float pair[18], *places = c->position ? gv_calloc2((size_t)c->frames, 4 * sizeof *places) : NULL;
    gv_status s = GV_OK;
    if ((c->position && !places) || !pictures_of(&all, p, time_sec, 0, c->frames))
        s = gv_fail(err, GV_ERR_MEMORY, "no memory for the pictures of %d frames", c->frames);
    if (s == GV_OK && all.count < c->frames && !c->is_static)
        retime(c->R_w2c, 9, mix_matrix, &all, time_sec, c->frames, pair);
    for (int t = 0; places && s == GV_OK && t < c->frames; t++) {
        memcpy(places + 4 * (size_t)t, c->position + 3 * (size_t)t, 3 * sizeof *places);
        places[4 * (size_t)t + 3] = (float)c->stretch[t];
    }
    if (places && s == GV_OK && all.count < c->frames)
        retime(places, 4, mix_place, &all, time_sec, c->frames, pair);
    for (int t = 0; places && s == GV_OK && t < c->frames; t++) {
        memcpy(c->position + 3 * (size_t)t, places + 4 * (size_t)t, 3 * sizeof *places);
        c->stretch[t] = (int32_t)places[4 * (size_t)t + 3];
    }
    free(places);
    free(all.row);
    free(all.time);
    return s;
}
