// Keypoints made elsewhere: every kind of file, linking, and files that do not fit the video.
#include "test.h"

#include "formats/keypoints_file.h"
#include "formats/npz.h"
#include "perception/detected.h"
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

enum { FRAMES = 60, W = 640, H = 480 };
static const gv_keypoints_video video = {W, H, FRAMES};
static char folder[64], path[128];

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/gv-test-keypoints-%d", (int)getpid());
    snprintf(path, sizeof path, "%s/file", folder);
    return mkdir(folder, 0700);
}

static int tear_down(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

// Two people: 0 walks right on the left side, 1 stands on the right; joint j is at its own height.
static float coordinate(int person, int frame, int j, int c) {
    if (c == 2) return 0.5f + 0.025f * (float)j;
    if (c == 1) return 100 + 10.25f * (float)j + (float)person;
    return (person ? 450.f : 60.f + (float)frame) + 3 * (float)(j % 5);
}

static void check(const gv_keypoints *k, bool ids) {
    assert_int_equal(k->count, 2 * FRAMES);
    assert_true(k->has_ids == ids);
    for (int i = 0; i < k->count; i++) {
        const gv_keypoints_person *p = &k->person[i];
        int person = p->point[0][0] > 300;
        assert_int_equal(p->frame, i / 2);
        if (ids) assert_int_equal(p->id, person);
        for (int j = 0; j < 17; j++)
            for (int c = 0; c < 3; c++) assert_true(fabsf(p->point[j][c] - coordinate(person, p->frame, j, c)) < 1e-3f);
    }
}

// Two tracks over the whole clip, the right points on each, confidence and all.
static void check_tracks(const gv_keypoints *k) {
    gv_error err = {0};
    gv_tracks t;
    double time_sec[FRAMES];
    for (int f = 0; f < FRAMES; f++) time_sec[f] = f / 30.0;
    if (gv_tracks_from_keypoints(&t, k, &video, time_sec, NULL, NULL, &err) != GV_OK) fail_msg("%s", err.text);
    assert_true(t.count == 2 && t.frames == FRAMES);
    for (int i = 0; i < 2; i++) {
        const gv_person *p = &t.person[i];
        assert_true(p->frames >= FRAMES - 1); // the tracker gives out a new track from its second frame on
        int person = p->kp2d[0] > 300;
        for (int f = 0; f < p->frames; f++)
            for (int j = 0; j < 17; j++)
                for (int c = 0; c < 3; c++)
                    assert_true(fabsf(p->kp2d[51 * f + 3 * j + c] - coordinate(person, p->first + f, j, c)) < 1e-3f);
        assert_true(fabsf(p->bbx_xys[1] - (100 + 10.25f * 8 + (float)person)) < 0.1f);
    }
    gv_tracks_free(&t);
}

static void expect_good(bool ids) {
    gv_error err = {0};
    gv_keypoints k;
    if (gv_keypoints_read(&k, path, &video, &err) != GV_OK) fail_msg("%s", err.text);
    check(&k, ids);
    check_tracks(&k);
    gv_keypoints_free(&k);
}

static void expect_error(const char *where, const char *says) {
    gv_error err = {0};
    gv_keypoints k;
    assert_int_not_equal(gv_keypoints_read(&k, where, &video, &err), GV_OK);
    assert_true(k.person == NULL && !strchr(err.text, '\n'));
    if (!strstr(err.text, says)) fail_msg("\"%s\" does not say \"%s\"", err.text, says);
    printf("%s\n", err.text);
}

// ---- JSON -----------------------------------------------------------------------------------------------

typedef struct style {
    bool nested, separate, wide; // lists per point; confidences apart; 133 points
} style;

static void print_points(FILE *f, int person, int frame, style s) {
    int points = s.wide ? 133 : 17;
    fprintf(f, "\"keypoints\": [");
    for (int j = 0; j < points; j++) {
        fprintf(f, "%s%s", j ? ", " : "", s.nested ? "[" : "");
        for (int c = 0; c < 3 - s.separate; c++)
            fprintf(f, "%s%.6g", c ? ", " : "", (double)coordinate(person, frame, j % 17, c));
        if (s.nested) fprintf(f, "]");
    }
    fprintf(f, "]");
    for (int j = 0; j < points && s.separate; j++)
        fprintf(f, "%s%.6g%s", j ? ", " : ", \"keypoint_scores\": [", (double)coordinate(person, frame, j % 17, 2),
                j == points - 1 ? "]" : "");
}

static void coco_lists(void **state) {
    (void)state;
    static const char *const ids[] = {"%d", "\"frames/%06d.jpg\"", "%d"};
    for (int kind = 0; kind < 3; kind++) { // numbers from 0; names from 1; from 1 with tracks
        FILE *f = fopen(path, "w");
        fprintf(f, "[");
        for (int i = 0; i < 2 * FRAMES; i++) {
            char id[64];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(id, sizeof id, ids[kind], i / 2 + (kind > 0));
#pragma GCC diagnostic pop
            fprintf(f, "%s{\"image_id\": %s, \"category_id\": 1, \"score\": 0.9, ", i ? ",\n" : "", id);
            if (kind == 2) fprintf(f, "\"idx\": %d, ", 10 * (i % 2) + 3);
            print_points(f, i % 2, i / 2, (style){0});
            fprintf(f, "}");
        }
        fprintf(f, "]");
        fclose(f);
        expect_good(kind == 2);
    }
}

static void write_coco_with_images(int width, int images) {
    FILE *f = fopen(path, "w");
    fprintf(f, "{\"images\": [");
    for (int i = images - 1; i >= 0; i--)
        fprintf(f, "{\"id\": %d, \"file_name\": \"%05d.png\", \"width\": %d, \"height\": 480}%s", 1000 - i, i, width,
                i ? "," : "");
    fprintf(f, "], \"annotations\": [");
    for (int i = 0; i < 2 * images; i++) {
        fprintf(f, "%s{\"id\": %d, \"image_id\": %d, \"track_id\": %d, ", i ? "," : "", i, 1000 - i / 2, i % 2);
        print_points(f, i % 2, i / 2, (style){0});
        fprintf(f, "}");
    }
    fprintf(f, "]}");
    fclose(f);
}

static void coco_with_images(void **state) {
    (void)state;
    write_coco_with_images(W, FRAMES);
    expect_good(true);
    write_coco_with_images(1920, FRAMES);
    expect_error(path, "made for pictures of 1920 x 480, the video has 640 x 480");
    write_coco_with_images(W, 40);
    expect_error(path, "has 40 frames, the video has 60");
}

static void write_mmpose(bool info, int from, int frames, style s) {
    FILE *f = fopen(path, "w");
    fprintf(f, info ? "{\"meta_info\": {\"dataset_name\": \"coco\"}, \"instance_info\": [" : "[");
    for (int t = 0; t < frames; t++) {
        fprintf(f, "%s{\"frame_id\": %d, \"instances\": [{", t ? ", " : "", t + from);
        print_points(f, 0, t, s);
        fprintf(f, ", \"bbox\": [[1, 2, 3, 4]], \"bbox_score\": 0.9}, {");
        print_points(f, 1, t, s);
        fprintf(f, "}]}");
    }
    fprintf(f, info ? "]}" : "]");
    fclose(f);
}

static void mmpose(void **state) {
    (void)state;
    write_mmpose(true, 1, FRAMES, (style){true, true, false});
    expect_good(false);
    write_mmpose(false, 0, FRAMES, (style){true, true, true});
    expect_good(false);
    write_mmpose(false, 0, FRAMES, (style){true, false, false});
    expect_good(false);
    write_mmpose(false, 0, FRAMES + 12, (style){true, true, false});
    expect_error(path, "has 72 frames, the video has 60");
}

static void lists_per_frame(void **state) {
    (void)state;
    FILE *f = fopen(path, "w");
    fprintf(f, "[");
    for (int t = 0; t < FRAMES; t++)
        for (int p = 0; p < 2; p++) {
            fprintf(f, p ? ", [" : t ? ", [[" : "[[");
            for (int j = 0; j < 17; j++)
                fprintf(f, "%s[%.6g, %.6g, %.6g]", j ? "," : "", (double)coordinate(p, t, j, 0),
                        (double)coordinate(p, t, j, 1), (double)coordinate(p, t, j, 2));
            fprintf(f, p ? "]]" : "]");
        }
    fprintf(f, "]");
    fclose(f);
    expect_good(false);
}

// ---- OpenPose -------------------------------------------------------------------------------------------

static void openpose_name(char *out, size_t n, int frame) {
    snprintf(out, n, "%s/clip_%012d_keypoints.json", folder, frame);
}

static void write_openpose(int points, int frames) {
    // where OpenPose has COCO's points, by their names in its documentation: R/L shoulder, elbow, wrist = 2 3 4, 5 6 7
    static const int body25[17] = {0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11};
    static const int coco18[17] = {0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10};
    for (int t = 0; t < frames; t++) {
        char name[160];
        openpose_name(name, sizeof name, t);
        FILE *f = fopen(name, "w");
        fprintf(f, "{\"version\": 1.3, \"people\": [");
        for (int p = 0; p < 2; p++) {
            fprintf(f, "%s{\"person_id\": [-1], \"pose_keypoints_2d\": [", p ? ", " : "");
            for (int j = 0; j < points; j++) {
                int from = -1;
                for (int k = 0; k < 17; k++)
                    if ((points == 25 ? body25 : coco18)[k] == j) from = k;
                for (int c = 0; c < 3; c++)
                    fprintf(f, "%s%.6g", j + c ? "," : "", from < 0 ? 0 : (double)coordinate(p, t, from, c));
            }
            fprintf(f, "]}");
        }
        fprintf(f, "]}");
        fclose(f);
    }
}

static void openpose(void **state) {
    (void)state;
    char name[160];
    gv_error err = {0};
    gv_keypoints k;
    for (int i = 0; i < 2; i++) {
        write_openpose(i ? 18 : 25, FRAMES);
        if (gv_keypoints_read(&k, folder, &video, &err) != GV_OK) fail_msg("%s", err.text);
        check(&k, false);
        check_tracks(&k);
        gv_keypoints_free(&k);
    }
    openpose_name(name, sizeof name, 17);
    unlink(name);
    expect_error(folder, "has 59 frames, the video has 60");
    write_openpose(21, 1);
    expect_error(folder, "63 numbers, expected 75 (BODY_25) or 54 (COCO)");
    for (int t = 0; t < FRAMES; t++) openpose_name(name, sizeof name, t), unlink(name);
    expect_error(folder, "a folder without");
}

// ---- npz ------------------------------------------------------------------------------------------------

static void write_npz(int people, int frames, int width, bool index, float spoil) {
    gv_error err = {0};
    gv_npz_writer *w = NULL;
    float *kp = calloc((size_t)frames * people, 51 * sizeof *kp);
    int32_t *number = calloc((size_t)frames, sizeof *number);
    for (int t = 0; t < frames; t++) {
        number[t] = t;
        for (int i = 0; i < people * 51; i++)
            kp[t * people * 51 + i] = coordinate(people == 1 ? 1 : i / 51, t, i % 51 / 3, i % 3);
    }
    kp[51 * people * 3 + 7] += spoil;
    assert_int_equal(gv_npz_create(&w, path, &err), GV_OK);
    if (people == 1)
        gv_npz_add_f32(w, "kp2d", kp, 3, frames, 17, 3);
    else
        gv_npz_add_f32(w, "kp2d", kp, 4, frames, people, 17, 3);
    if (index) gv_npz_add_i32(w, "frame_index", number, 1, frames);
    gv_npz_add_i32_scalar(w, "width", width);
    gv_npz_add_i32_scalar(w, "height", H);
    assert_int_equal(gv_npz_finish(w, &err), GV_OK);
    free(kp);
    free(number);
}

static void npz(void **state) {
    (void)state;
    gv_error err = {0};
    gv_keypoints k;
    write_npz(2, FRAMES, W, false, 0);
    expect_good(false);
    write_npz(2, FRAMES, W, true, 0);
    expect_good(false);
    write_npz(1, 30, W, true, 0); // half of the video
    if (gv_keypoints_read(&k, path, &video, &err) != GV_OK) fail_msg("%s", err.text);
    assert_true(k.count == 30 && k.has_ids && k.ids == 1 && k.person[29].frame == 29);
    gv_keypoints_free(&k);
    write_npz(1, 30, W, false, 0);
    expect_error(path, "has 30 frames, the video has 60");
    write_npz(1, 70, W, true, 0);
    expect_error(path, "has frame 69, the video has 60 frames");
    write_npz(1, FRAMES, 1280, true, 0);
    expect_error(path, "made for pictures of 1280 x 480, the video has 640 x 480");
    write_npz(1, FRAMES, W, true, NAN);
    expect_error(path, "frame 3, keypoint 2: y is nan");
}

// ---- What does not fit ----------------------------------------------------------------------------------

static void write_text(const char *text) {
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

// One person of which every number is v, in frame 0.
static void write_numbers(int numbers, const char *v) {
    FILE *f = fopen(path, "w");
    fprintf(f, "[{\"image_id\": 0, \"keypoints\": [");
    for (int i = 0; i < numbers; i++) fprintf(f, "%s%s", i ? "," : "", i % 3 == 2 ? "1" : v);
    fprintf(f, "]}]");
    fclose(f);
}

static void files_that_do_not_fit(void **state) {
    (void)state;
    write_numbers(51, "1700");
    expect_error(path, "points reach 1700, 1700; the video has 640 x 480");
    write_numbers(51, "0.25");
    expect_error(path, "points are fractions (up to 0.25, 0.25), expected pixels");
    write_numbers(63, "100");
    expect_error(path, "\"keypoints\" has 63 entries, expected COCO's 17 points");
    write_numbers(51, "NaN");
    expect_error(path, "no JSON, line 1");
    write_numbers(51, "1e30");
    expect_error(path, "frame 0, keypoint 0: x is 1e+30");
    write_numbers(51, "\"a\"");
    expect_error(path, "has 51 entries");
    write_text("[{\"image_id\": 77, \"keypoints\": [1,2]}]");
    expect_error(path, "\"keypoints\" has 2 entries");
    write_text("[{\"image_id\": \"first\", \"keypoints\": []}]");
    expect_error(path, "image_id is missing or names no frame");
    write_text("{\"people\": []}");
    expect_error(path, "one frame of OpenPose");
    write_text("{\"a\": 1}");
    expect_error(path, "JSON of another kind");
    write_text("[]");
    expect_error(path, "an empty list");
    write_text("x");
    expect_error(path, "no JSON");
    write_text("");
    expect_error(path, "no JSON");
    expect_error("/nonexistent", "no such file");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coco_lists),
        cmocka_unit_test(coco_with_images),
        cmocka_unit_test(mmpose),
        cmocka_unit_test(openpose),
        cmocka_unit_test(lists_per_frame),
        cmocka_unit_test(npz),
        cmocka_unit_test(files_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
