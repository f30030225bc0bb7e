// The parts of following people that need no network: assignment, Kalman filter, box law, the reference's
// tracker, the search plan, histories.
#include "formats/npz.h"
#include "perception/assignment.h"
#include "perception/boxes.h"
#include "perception/detected.h"
#include "perception/history.h"
#include "perception/kalman.h"
#include "perception/search.h"
#include "perception/sides.h"
#include "perception/tracker.h"
#include "test.h"

#include <string.h>

static unsigned long long seed = 88172645463325252ull;
static double uniform(void) { // xorshift64
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (double)(seed >> 11) / 9007199254740992.0;
}

// Cheapest total by trying everything: pairs plus limit/2 for each one left alone.
static double brute_force(const double *cost, int rows, int cols, double limit, int row, unsigned used) {
    if (row == rows) return (cols - __builtin_popcount(used)) * limit / 2;
    double best = limit / 2 + brute_force(cost, rows, cols, limit, row + 1, used);
    for (int j = 0; j < cols; j++) {
        if (used >> j & 1) continue;
        double c = cost[row * cols + j] + brute_force(cost, rows, cols, limit, row + 1, used | 1u << j);
        if (c < best) best = c;
    }
    return best;
}

static void assignment_is_the_cheapest(void **state) {
    (void)state;
    for (int round = 0; round < 400; round++) {
        int rows = (int)(uniform() * 6), cols = (int)(uniform() * 6), match[6];
        double cost[36], limit = 0.3 + uniform();
        for (int i = 0; i < rows * cols; i++) cost[i] = uniform() < 0.2 ? INFINITY : uniform() * 1.5 - 0.2;
        gv_error err = {0};
        assert_int_equal(gv_assign(cost, rows, cols, limit, match, &err), GV_OK);
        double total = 0;
        unsigned used = 0;
        int pairs = 0;
        for (int i = 0; i < rows; i++) {
            if (match[i] < 0) continue;
            assert_true(match[i] < cols && !(used >> match[i] & 1));
            assert_true(cost[i * cols + match[i]] <= limit);
            used |= 1u << match[i];
            total += cost[i * cols + match[i]];
            pairs++;
        }
        total += (rows + cols - 2 * pairs) * limit / 2;
        assert_true(fabs(total - brute_force(cost, rows, cols, limit, 0, 0)) < 1e-12);
    }
}

static void kalman_learns_a_constant_velocity(void **state) {
    (void)state;
    gv_kalman k;
    gv_kalman_start(&k, (double[4]){100, 200, 40, 90});
    for (int i = 1; i <= 100; i++) {
        gv_kalman_predict(&k);
        gv_kalman_update(&k, (double[4]){100 + 3.0 * i, 200 - 2.0 * i, 40, 90});
    }
    assert_true(fabs(k.x[4] - 3) < 1e-3 && fabs(k.x[5] + 2) < 1e-3 && fabs(k.x[6]) < 1e-3);
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) assert_true(fabs(k.P[i][j] - k.P[j][i]) < 1e-9);
    gv_kalman turned = k; // a quarter turn and a shift act on place, size and velocities
    gv_kalman_warp(&turned, (double[2][3]){{0, -1, 7}, {1, 0, -5}});
    assert_true(fabs(turned.x[0] - (7 - k.x[1])) < 1e-9 && fabs(turned.x[1] - (k.x[0] - 5)) < 1e-9);
    assert_true(fabs(turned.x[4] + k.x[5]) < 1e-9 && fabs(turned.P[0][0] - k.P[1][1]) < 1e-9);
    gv_kalman_start(&k, (double[4]){0, 0, 0, 0}); // no size: stays finite
    gv_kalman_predict(&k);
    gv_kalman_update(&k, (double[4]){1, 1, 0, 0});
    for (int i = 0; i < 8; i++) assert_true(isfinite(k.x[i]));
}

static void boxes_follow_the_law(void **state) {
    (void)state;
    const char *path = need_shared("reference/motion/exp_geometry.npz");
    gv_error err = {0};
    gv_npz *z = NULL;
    assert_int_equal(gv_npz_open(&z, path, &err), GV_OK);
    const int64_t n4[2] = {-1, 4}, n3[2] = {-1, 3}, n1[1] = {-1};
    int64_t n = 0;
    float *box = gv_npz_read_f32(z, "in_track_xyxy", n4, 2, &n, &err);
    float *filled = gv_npz_read_f32(z, "track_filled", n4, 2, NULL, &err);
    float *smooth = gv_npz_read_f32(z, "track_smoothed", n4, 2, NULL, &err);
    float *xys = gv_npz_read_f32(z, "track_bbx_xys", n3, 2, NULL, &err);
    int32_t *missing = gv_npz_read_i32(z, "in_track_missing", n1, 1, NULL, &err);
    assert_true(box && filled && smooth && xys && missing && n == 60);
    uint8_t observed[60];
    int gaps = 0;
    for (int i = 0; i < 60; i++) {
        observed[i] = !missing[i];
        gaps += missing[i] != 0;
        if (missing[i]) memset(box + 4 * i, 0, 4 * sizeof(float));
    }
    assert_true(gaps > 0);
    gv_box_fill_gaps(box, observed, 60);
    assert_true(max_abs_diff(box, filled, 240) < 1e-3); // coordinates reach 1000: a few units in the last place
    assert_int_equal(gv_box_smooth(box, 60, &err), GV_OK);
    assert_true(max_abs_diff(box, smooth, 240) < 1e-3);
    float mine[180];
    for (int i = 0; i < 60; i++) gv_box_square(mine + 3 * i, box + 4 * i);
    assert_true(max_abs_diff(mine, xys, 180) < 1e-3);
    free(box), free(filled), free(smooth), free(xys), free(missing);
    gv_npz_close(z);
}

static void one_track_follows_the_law(void **state) {
    (void)state;
    const char *path = need_shared("reference/perception/one-track.npz");
    gv_error err = {0};
    gv_npz *z = NULL;
    assert_int_equal(gv_npz_open(&z, path, &err), GV_OK);
    int64_t rows = 0, n = 0;
    float *h = gv_npz_read_f32(z, "history", (int64_t[]){-1, 6}, 2, &rows, &err);
    float *xyxy = gv_npz_read_f32(z, "bbx_xyxy", (int64_t[]){-1, 4}, 2, &n, &err);
    float *xys = gv_npz_read_f32(z, "bbx_xys", (int64_t[]){-1, 3}, 2, NULL, &err);
    assert_true(h && xyxy && xys && n == 80);
    double area[64] = {0};
    int best = 0;
    for (int r = 0; r < rows; r++) {
        int id = (int)h[r * 6 + 1];
        assert_true(id >= 0 && id < 64);
        area[id] += (double)(h[r * 6 + 4] - h[r * 6 + 2]) * (h[r * 6 + 5] - h[r * 6 + 3]);
    }
    for (int i = 1; i < 64; i++)
        if (area[i] > area[best]) best = i;
    float box[320] = {0}, mine[240];
    uint8_t observed[80] = {0};
    for (int r = 0; r < rows; r++) {
        int f = (int)h[r * 6];
        if ((int)h[r * 6 + 1] != best) continue;
        memcpy(box + 4 * f, h + r * 6 + 2, 4 * sizeof(float));
        observed[f] = 1;
    }
    gv_box_fill_gaps(box, observed, 80);
    assert_int_equal(gv_box_smooth(box, 80, &err), GV_OK);
    for (int i = 0; i < 80; i++) gv_box_square(mine + 3 * i, box + 4 * i);
    assert_true(max_abs_diff(box, xyxy, 320) < 1e-3);
    assert_true(max_abs_diff(mine, xys, 240) < 1e-3);
    free(h), free(xyxy), free(xys);
    gv_npz_close(z);
}

// Rows of `tracks`: frame, x0 y0 x1 y1, id, score, detection. Order within a frame included.
static void compare_tracks(const char *path, const char *prefix) {
    gv_error err = {0};
    gv_npz *z = NULL;
    assert_int_equal(gv_npz_open(&z, path, &err), GV_OK);
    char name[64];
    int64_t dets = 0, frames = 0, rows = 0;
    snprintf(name, sizeof name, "%s_dets", prefix);
    float *d = gv_npz_read_f32(z, name, (int64_t[]){-1, 6}, 2, &dets, &err);
    snprintf(name, sizeof name, "%s_warps", prefix);
    double *warps = gv_npz_read_f64(z, name, (int64_t[]){-1, 2, 3}, 3, &frames, &err);
    snprintf(name, sizeof name, "%s_tracks", prefix);
    float *want = gv_npz_read_f32(z, name, (int64_t[]){-1, 8}, 2, &rows, &err);
    assert_true(d && warps && want && rows > 400);
    gv_tracker *t = gv_tracker_create();
    assert_non_null(t);
    int64_t at = 0, row = 0;
    for (int f = 0; f < frames; f++) {
        float boxes[64][4], scores[64];
        int n = 0, count = 0;
        for (; at < dets && (int)d[at * 6] == f; at++, n++) {
            memcpy(boxes[n], d + at * 6 + 1, sizeof boxes[n]);
            scores[n] = d[at * 6 + 5];
        }
        gv_track_box out[64];
        double warp[2][3];
        memcpy(warp, warps + 6 * f, sizeof warp);
        assert_int_equal(
            gv_tracker_step(t, (const float(*)[4])boxes, scores, n, (const double(*)[3])warp, out, &count, &err),
            GV_OK);
        for (int i = 0; i < count; i++, row++) {
            assert_true(row < rows);
            const float *w = want + row * 8;
            assert_int_equal((int)w[0], f);
            assert_true(max_abs_diff(out[i].box, w + 1, 4) < 1e-2);
            assert_int_equal(out[i].id, (int)w[5]);
            assert_true(out[i].score == w[6]);
            assert_int_equal(out[i].detection, (int)w[7]);
        }
    }
    assert_int_equal(row, rows);
    gv_tracker_destroy(t);
    free(d), free(warps), free(want);
    gv_npz_close(z);
}

static void tracker_equals_the_reference(void **state) {
    (void)state;
    const char *path = need_shared("reference/perception/botsort.npz");
    compare_tracks(path, "static");
    compare_tracks(path, "moving");
}

// The recorded tracks of one identity through the box law: what the whole flow must give.
static void expect_person(const gv_tracks *t, const float *rows, int64_t n, int id, bool whole, int frames) {
    gv_error err = {0};
    float *box = calloc((size_t)frames, 4 * sizeof *box), xys[3];
    uint8_t *observed = calloc((size_t)frames, 1);
    int first = -1, last = -1;
    for (int64_t r = 0; r < n; r++) {
        int f = (int)rows[8 * r];
        if ((int)rows[8 * r + 5] != id) continue;
        memcpy(box + 4 * f, rows + 8 * r + 1, 4 * sizeof *box);
        observed[last = f] = 1;
        if (first < 0) first = f;
    }
    if (whole) first = 0, last = frames - 1;
    int count = last - first + 1, k = 0;
    gv_box_fill_gaps(box + 4 * first, observed + first, count);
    assert_int_equal(gv_box_smooth(box + 4 * first, count, &err), GV_OK);
    for (; k < t->count; k++)
        if (t->person[k].first == first && t->person[k].frames == count &&
            max_abs_diff(t->person[k].bbx_xyxy, box + 4 * first, 4 * (size_t)count) < 1e-2)
            break;
    if (k == t->count) fail_msg("identity %d is missing or differs", id);
    for (int i = 0; i < count; i++) {
        gv_box_square(xys, box + 4 * (first + i));
        assert_true(max_abs_diff(t->person[k].bbx_xys + 3 * i, xys, 3) < 2e-2);
        assert_int_equal(t->person[k].observed[i], observed[first + i]);
    }
    free(box);
    free(observed);
}

static void detections_become_people(void **state) {
    (void)state;
    gv_error err = {0};
    gv_npz *z = NULL;
    assert_int_equal(gv_npz_open(&z, need_shared("reference/perception/botsort.npz"), &err), GV_OK);
    int64_t dets = 0, frames = 0, rows = 0;
    float *d = gv_npz_read_f32(z, "moving_dets", (int64_t[]){-1, 6}, 2, &dets, &err);
    double *warps = gv_npz_read_f64(z, "moving_warps", (int64_t[]){-1, 2, 3}, 3, &frames, &err);
    float *want = gv_npz_read_f32(z, "moving_tracks", (int64_t[]){-1, 8}, 2, &rows, &err);
    assert_true(d && warps && want);
    for (int whole = 0; whole < 2; whole++) {
        gv_detected *p = NULL;
        gv_tracks t;
        gv_detected_options opt = {.whole_video = whole, .min_seconds = 0.05f};
        assert_int_equal(gv_detected_create(&p, &opt, 1280, 720, &err), GV_OK);
        int64_t at = 0;
        for (int f = 0; f < frames; f++) {
            float boxes[64][4], scores[64];
            int n = 0;
            for (; at < dets && (int)d[at * 6] == f; at++, n++) {
                memcpy(boxes[n], d + at * 6 + 1, sizeof boxes[n]);
                scores[n] = d[at * 6 + 5];
            }
            assert_int_equal(gv_detected_frame(p, (const float(*)[4])boxes, scores, n, f / 30.0, &err), GV_OK);
            assert_int_equal(gv_detected_boxes(p, boxes, 2), n < 2 ? n : 2);
        }
        assert_int_equal(gv_detected_finish(p, (const double(*)[2][3])warps, &t, &err), GV_OK);
        assert_int_equal(t.frames, frames);
        int seen[64] = {0}, people = 0;
        for (int64_t r = 0; r < rows; r++) seen[(int)want[8 * r + 5]]++;
        for (int id = 0; id < 64; id++)
            if (seen[id] >= 2) expect_person(&t, want, rows, id, whole, (int)frames), people++;
        assert_int_equal(t.count, people);
        for (int i = 1; i < t.count; i++) assert_true(t.person[i - 1].prominence >= t.person[i].prominence);
        gv_tracks_free(&t);
        gv_detected_destroy(p);
    }
    free(d), free(warps), free(want);
    gv_npz_close(z);
}

static void few_or_no_detections(void **state) {
    (void)state;
    gv_error err = {0};
    gv_detected *p = NULL;
    gv_tracks t;
    assert_int_equal(gv_detected_create(&p, NULL, 640, 480, &err), GV_OK);
    assert_int_equal(gv_detected_finish(p, NULL, &t, &err), GV_OK);
    assert_true(t.count == 0 && t.frames == 0);
    gv_tracks_free(&t);
    gv_detected_destroy(p);
    assert_int_equal(gv_detected_create(&p, NULL, 640, 480, &err), GV_OK);
    for (int f = 0; f < 90; f++) { // one for half a second, one for two seconds, one never sure enough
        const float boxes[3][4] = {{0, 0, 40, 90}, {200, 100, 280, 300}, {400, 100, 480, 300}};
        const float scores[3] = {f < 15 ? 0.9f : 0.2f, f < 60 ? 0.8f : 0.4f, 0.5f};
        assert_int_equal(gv_detected_frame(p, boxes, scores, 3, f / 30.0, &err), GV_OK);
    }
    assert_int_equal(gv_detected_finish(p, NULL, &t, &err), GV_OK);
    assert_true(t.count == 1 && t.person[0].first == 0 && t.person[0].frames == 60 && t.frames == 90);
    assert_true(fabs(t.person[0].bbx_xys[0] - 240) < 0.5 && t.person[0].kp2d[2] == 0);
    gv_tracks_free(&t);
    gv_detected_destroy(p);
}

enum { W = 640, H = 480 };
static uint8_t picture[W * H * 3];

// Every spot is searched, biggest tiles first, within the budget; what moves is searched sooner.
static void search_covers_and_prefers_change(void **state) {
    (void)state;
    gv_search *s = gv_search_create(W, H, 30, 0.5);
    assert_non_null(s);
    assert_true(gv_search_count(s) > 64); // more than the first frame's budget
    const gv_image image = {picture, W, H, W * 3};
    memset(picture, 90, sizeof picture);
    gv_tile tiles[80];
    int covered = 0, later = 0, lively = 0, quiet = 0;
    static uint8_t seen[H][W];
    memset(seen, 0, sizeof seen);
    for (int f = 0; f < 240; f++) {
        for (int y = 200; y < 260; y++) // a bar that moves inside 300..340
            for (int x = 290; x < 350; x++) picture[(y * W + x) * 3 + 1] = f > 60 && (x + 2 * f) / 15 % 2 ? 250 : 90;
        gv_search_look(s, &image, f / 30.0, NULL, 0);
        int n = gv_search_pick(s, true, 0, tiles, 80);
        if (f == 0)
            assert_true(n == 64 && tiles[0].width == W && tiles[0].height == H);
        else
            assert_true(n <= 4);
        for (int i = 0; i < n; i++) {
            const gv_tile *t = &tiles[i];
            assert_true(t->x >= 0 && t->y >= 0 && t->x + t->width <= W + 0.01f && t->y + t->height <= H + 0.01f);
            if (t->width < 200)
                for (int y = (int)t->y; y < (int)(t->y + t->height); y++)
                    for (int x = (int)t->x; x < (int)(t->x + t->width); x++) seen[y][x] = 1;
            bool inside = t->x < 320 && t->x + t->width > 320 && t->y < 230 && t->y + t->height > 230;
            if (f > 75 && t->width < 200) *(inside ? &lively : &quiet) += 1;
            later += f > 0;
        }
    }
    for (int i = 0; i < W * H; i++) covered += seen[i / W][i % W];
    assert_int_equal(covered, W * H);
    assert_true(later <= 240 * 16 / 30 + 4);
    assert_true(lively >= 6 && lively * 60 > 4 * 4 * quiet); // some 4 tiles look at the bar, more than 60 do not
    gv_search_destroy(s);
}

static void search_of_tiny_and_huge_pictures(void **state) {
    (void)state;
    uint8_t dot[3] = {1, 2, 3};
    gv_search *s = gv_search_create(1, 1, 50, 0.5);
    assert_int_equal(gv_search_count(s), 1);
    gv_tile tiles[4];
    gv_search_look(s, &(gv_image){dot, 1, 1, 3}, 0, NULL, 0);
    assert_int_equal(gv_search_pick(s, false, 0, tiles, 4), 1);
    gv_search_destroy(s);
    s = gv_search_create(65536, 65536, 1, 0.5); // levels of too many tiles are left out
    assert_true(gv_search_count(s) > 1000 && gv_search_count(s) < 1 << 18);
    gv_search_destroy(s);
}

static void sight(gv_history *h, int frame, float x) {
    float kp[17][3], box[4] = {x, 100, x + 40, 200};
    for (int j = 0; j < 17; j++) {
        kp[j][0] = x + (j & 1 ? 5.f : 35.f);
        kp[j][1] = 100 + 6 * (float)j;
        kp[j][2] = 0.9f;
    }
    gv_error err = {0};
    float feet[4][3];
    memcpy(feet, kp[13], sizeof feet); // knees and ankles will do
    gv_seen_points seen = {(const float(*)[3])kp, (const float(*)[3])kp, (const float(*)[3])feet};
    assert_int_equal(gv_history_add(h, frame, frame / 30.0, &seen, box, &err), GV_OK);
}

static void histories_fill_gaps_and_distrust_glitches(void **state) {
    (void)state;
    gv_history h = {0};
    for (int f = 7; f < 40; f++)
        if (f < 20 || f >= 25) sight(&h, f, (float)f * 2);
    assert_int_equal(gv_history_gather(&h, NULL), GV_OK);
    h.item[3].kp2d[9][0] += 60; // a wrist that jumps and comes back
    gv_person p = {0};
    gv_error err = {0};
    assert_int_equal(gv_history_finish(&h, 640, 480, &p, &err), GV_OK);
    assert_int_equal(p.first, 7);
    assert_int_equal(p.frames, 33);
    int weak = 0;
    for (int f = 0; f < 33; f++) {
        bool gap = f + 7 >= 20 && f + 7 < 25;
        assert_int_equal(p.observed[f], !gap);
        for (int j = 0; j < 17; j++) {
            float c = p.kp2d[(f * 17 + j) * 3 + 2];
            assert_true(gap ? c == 0 : c == 0.9f || c == 0.3f);
            weak += c == 0.3f;
        }
        for (int j = 0; j < 4; j++) { // heels and toes: seen where the person was
            float c = p.feet2d[(f * 4 + j) * 3 + 2];
            assert_true(c == (gap ? 0 : 0.9f));
        }
        // constant velocity: neither filling nor smoothing moves the box, but for the repeated ends
        if (f >= 4 && f < 29) assert_true(fabsf(p.bbx_xyxy[f * 4] - (float)(f + 7) * 2) < 1e-3f);
        assert_true(fabsf(p.bbx_xys[f * 3 + 2] - 120) < 1e-3f);
    }
    assert_int_equal(weak, 1);
    assert_true(fabs(p.prominence - 28 * 4000.0 / (640 * 480)) < 1e-9);
    gv_history_free(&h);
    gv_person_free(&p);
}

static void exchange(float (*points)[3], int a, int b) {
    float t[3];
    memcpy(t, points[a], sizeof t);
    memcpy(points[a], points[b], sizeof t);
    memcpy(points[b], t, sizeof t);
}

// Somebody who walks along the picture, turns once about himself meanwhile and swings arms and legs, so that left and
// right cross again and again.
static void walk(gv_history *h, int frames) {
    static const float side[17] = {0, 2, -2, 4, -4, 9, -9, 12, -12, 13, -13, 7, -7, 7, -7, 7, -7};
    static const float height[17] = {8, 6, 6, 7, 7, 20, 20, 35, 35, 50, 50, 52, 52, 74, 74, 97, 97};
    static const float swing[17] = {
        [7] = 4, [8] = -4, [9] = 10, [10] = -10, [13] = -8, [14] = 8, [15] = -16, [16] = 16};
    for (int f = 0; f < frames; f++) {
        float kp[17][3], feet[4][3], x = 100 + (float)f, box[4] = {x - 20, 100, x + 20, 200};
        for (int j = 0; j < 17; j++) {
            kp[j][0] = x + side[j] * cosf(0.05f * (float)f) + swing[j] * sinf(0.2f * (float)f);
            kp[j][1] = 100 + height[j];
            kp[j][2] = 0.9f;
        }
        for (int j = 0; j < 4; j++) memcpy(feet[j], kp[15 + j / 2], sizeof *feet);
        gv_seen_points seen = {(const float(*)[3])kp, (const float(*)[3])kp, (const float(*)[3])feet};
        gv_error err = {0};
        assert_int_equal(gv_history_add(h, f, f / 30.0, &seen, box, &err), GV_OK);
    }
}

static void exchanged_sides_are_mended(void **state) {
    (void)state;
    enum { N = 125 };
    gv_history truth = {0}, h = {0};
    walk(&truth, N);
    walk(&h, N);
    assert_int_equal(gv_history_gather(&h, NULL), GV_OK);
    assert_int_equal(gv_history_gather(&truth, NULL), GV_OK);
    assert_int_equal(gv_history_mend_sides(&h), 0); // crossing arms and legs and a turn are left alone
    assert_memory_equal(h.item, truth.item, N * sizeof *h.item);
    for (int f = 0; f < N; f++) {
        gv_sighting *s = &h.item[f];
        bool all = f < 9 || (f >= 50 && f < 75) || f >= N - 3, legs = f == 20 || (f >= 40 && f < 44), arms = f == 100;
        for (int j = 1; all && j < 17; j += 2) exchange(s->kp2d, j, j + 1);
        for (int j = 13; legs && j < 17; j += 2) exchange(s->kp2d, j, j + 1);
        for (int j = 7; arms && j < 11; j += 2) exchange(s->kp2d, j, j + 1);
        for (int j = 0; (all || legs) && j < 2; j++) exchange(s->feet, j, j + 2);
        if (all || legs || arms) memset(truth.item[f].kp3d, 0, sizeof s->kp3d);
    }
    assert_int_equal(gv_history_mend_sides(&h), 9 + 25 + 3 + 5 + 1);
    assert_memory_equal(h.item, truth.item, N * sizeof *h.item);
    gv_history_free(&h);
    assert_int_equal(gv_history_mend_sides(&h), 0);
    gv_history_free(&truth);
}

// Looks at every second frame of seven: frames 0, 2, 4, 6; seen in the first two looks and the last.
static void faster_video_is_interpolated_between_looks(void **state) {
    (void)state;
    assert_int_equal(gv_people_look_every(0), 1);
    assert_int_equal(gv_people_look_every(50), 1);
    assert_int_equal(gv_people_look_every(59.94), 2);
    assert_int_equal(gv_people_look_every(60), 2);
    assert_int_equal(gv_people_look_every(240), 8);
    gv_error err = {0};
    gv_history h = {0};
    gv_person p = {0};
    static const int seen[] = {0, 1, 3};
    for (int i = 0; i < 3; i++) {
        float kp[17][3], x = (float)(10 * seen[i]), box[4] = {x + 100, 100, x + 150, 300};
        for (int j = 0; j < 17; j++) kp[j][0] = x + (float)j, kp[j][1] = 200, kp[j][2] = i == 1 ? 0.5f : 0.9f;
        gv_seen_points points = {(const float(*)[3])kp, NULL, NULL};
        assert_int_equal(gv_history_add(&h, seen[i], seen[i] / 30.0, &points, box, &err), GV_OK);
    }
    assert_int_equal(gv_history_finish(&h, 640, 480, &p, &err), GV_OK);
    gv_history_free(&h);
    assert_int_equal(gv_person_spread(&p, 2, 8, &err), GV_OK);
    assert_non_null(p.kp3d);
    assert_int_equal(p.first, 0);
    assert_int_equal(p.frames, 8);
    static const float x[] = {0, 5, 10, 15, 20, 25, 30, 30}, confidence[] = {0.9f, 0.5f, 0.5f, 0, 0, 0, 0.9f, 0};
    static const int observed[] = {1, 1, 1, 0, 0, 0, 1, 0};
    for (int t = 0; t < 8; t++) {
        assert_true(fabsf(p.kp2d[51 * t] - x[t]) < 1e-4f);
        assert_true(fabsf(p.kp2d[51 * t + 2] - confidence[t]) < 1e-6f);
        assert_int_equal(p.observed[t], observed[t]);
        assert_true(fabsf(p.bbx_xys[3 * t] - (p.bbx_xyxy[4 * t] + p.bbx_xyxy[4 * t + 2]) / 2) < 1e-3f);
    }
    gv_person_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(assignment_is_the_cheapest),
        cmocka_unit_test(kalman_learns_a_constant_velocity),
        cmocka_unit_test(boxes_follow_the_law),
        cmocka_unit_test(one_track_follows_the_law),
        cmocka_unit_test(tracker_equals_the_reference),
        cmocka_unit_test(detections_become_people),
        cmocka_unit_test(few_or_no_detections),
        cmocka_unit_test(search_covers_and_prefers_change),
        cmocka_unit_test(search_of_tiny_and_huge_pictures),
        cmocka_unit_test(histories_fill_gaps_and_distrust_glitches),
        cmocka_unit_test(exchanged_sides_are_mended),
        cmocka_unit_test(faster_video_is_interpolated_between_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
