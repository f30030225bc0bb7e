#include "camera/stillness.h"

#include "base/memory.h"
#include "base/order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_VOTES = 12, PATIENCE = 60, RENEW_EVERY = 30, GIVE_UP = 30, LONGEST_MOVING = 3 };
static const float SIMILAR = 0.8f;
static const float NEAR = 0.35f;  // px of the reduced picture: a patch that stayed
static const float SHIFT = 0.12f; // px: the picture as a whole stayed (median of each coordinate)

gv_status gv_stillness_alloc(gv_stillness *s, gv_error *err) {
    *s = (gv_stillness){0};
    s->patch = gv_calloc2(GV_STILL_PATCHES, sizeof *s->patch);
    return s->patch ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory for %d patches", GV_STILL_PATCHES);
}

void gv_stillness_free(gv_stillness *s) {
    free(s->patch);
    *s = (gv_stillness){0};
}

// Puts patches of this frame's corners into empty slots, where none lies near already.
static void renew(gv_stillness *s, const gv_picture *picture, const gv_corners *corners) {
    int stride = corners->count > 2 * GV_STILL_PATCHES ? 2 : 1;
    for (int i = 0; i < corners->count && s->count < GV_STILL_PATCHES; i += stride) {
        float x = corners->track[i].x, y = corners->track[i].y;
        bool near = false;
        for (int k = 0; k < s->count && !near; k++) near = hypotf(s->x[k] - x, s->y[k] - y) < GV_PATCH;
        if (near || !gv_patch_make(&s->patch[s->count], &picture->level[0], x, y)) continue;
        s->x[s->count] = x, s->y[s->count] = y, s->misses[s->count++] = 0;
    }
}

static void drop_missing(gv_stillness *s) {
    int kept = 0;
    for (int i = 0; i < s->count; i++) {
        if (s->misses[i] > PATIENCE) continue;
        if (kept != i) s->patch[kept] = s->patch[i];
        s->x[kept] = s->x[i], s->y[kept] = s->y[i], s->misses[kept++] = s->misses[i];
    }
    s->count = kept;
}

static float median(float *v, int n) {
    gv_sort_floats(v, n);
    return v[n / 2];
}

static bool in_boxes(float x, float y, const float (*boxes)[4], int n) {
    for (int i = 0; i < n; i++)
        if (x >= boxes[i][0] && x <= boxes[i][2] && y >= boxes[i][1] && y <= boxes[i][3]) return true;
    return false;
}

void gv_stillness_frame(gv_stillness *s, const gv_picture *picture, const gv_corners *corners, const float (*boxes)[4],
                        int nboxes) {
    if (s->longest_run > GIVE_UP) return; // it moves; nothing more to learn
    float dx[GV_STILL_PATCHES], dy[GV_STILL_PATCHES];
    int votes = 0, near = 0;
    for (int i = 0; i < s->count; i++) {
        float x = s->x[i], y = s->y[i];
        if (in_boxes(x, y, boxes, nboxes)) continue;
        s->misses[i]++;
        if (!gv_patch_align(&s->patch[i], &picture->level[0], &x, &y) ||
            gv_patch_similarity(&s->patch[i], &picture->level[0], x, y) < SIMILAR)
            continue;
        s->misses[i] = 0;
        dx[votes] = x - s->x[i], dy[votes] = y - s->y[i];
        near += hypotf(dx[votes], dy[votes]) < NEAR, votes++;
    }
    if (s->count && votes >= LEAST_VOTES && votes * 8 >= s->count) {
        bool still = 2 * near > votes && hypotf(median(dx, votes), median(dy, votes)) < SHIFT;
        s->measured++, s->still += still;
        s->moving_run = still ? 0 : s->moving_run + 1;
    } else if (s->count >= LEAST_VOTES) {
        s->moving_run++; // nothing is where it was: moved, cut or covered
    }
    if (s->moving_run > s->longest_run) s->longest_run = s->moving_run;
    if (s->frames++ % RENEW_EVERY == 0 && s->moving_run == 0) {
        drop_missing(s);
        renew(s, picture, corners);
    }
}

bool gv_stillness_verdict(const gv_stillness *s) {
    return s->measured > 0 && 20 * s->still >= 19 * s->measured && s->longest_run <= LONGEST_MOVING;
}

void gv_stillness_restart(gv_stillness *s) {
    s->count = 0, s->frames = 0, s->moving_run = 0;
}
