// The second pass over a video on the emulated device: frames that go there while the networks are at work.
#include "clip.h"
#include "emulated_device.h"
#include "folder.h"
#include "weights_folder.h"

#include "nn/kernels.h"
#include "pipeline/study.h"

enum { FRAMES = 40, PEOPLE = 2, FEATURE = 1024 };

// One after the other, a third beside the first; nobody in 20, 21 and 22.
static const struct { int first, frames; } spans[PEOPLE + 1] = {{0, 20}, {14, 3}, {23, 17}};

static float boxes[PEOPLE + 1][FRAMES][3];
static gv_person people[PEOPLE + 1];

static void place_people(void) {
    for (int i = 0; i <= PEOPLE; i++) {
        people[i] = (gv_person){.first = spans[i].first, .frames = spans[i].frames, .bbx_xys = boxes[i][0]};
        for (int t = 0; t < spans[i].frames; t++) {
            boxes[i][t][0] = 60 + 40 * (float)i + 2 * (float)t;
            boxes[i][t][1] = 90 + (float)t;
            boxes[i][t][2] = 120 + (float)(t % 7);
        }
    }
}

static gv_status study(gv_studied *s, gv_device *d, bool fast, gv_error *err) {
    static char video[600], vitpose[600], hmr2[600];
    snprintf(video, sizeof video, "%s", in_dir("clip.mp4"));
    snprintf(vitpose, sizeof vitpose, "%s", in_dir("vitpose.safetensors"));
    snprintf(hmr2, sizeof hmr2, "%s", in_dir("hmr2.safetensors"));
    make_part_of_clip(video, FRAMES, 200, 100, 320, 240);
    if (access(vitpose, R_OK)) write_small_vitpose(vitpose);
    if (access(hmr2, R_OK)) write_small_hmr2(hmr2);
    place_people();
    const gv_models models = {.role = {[GV_ROLE_KEYPOINTS] = {fast ? GV_METHOD_VITPOSE : GV_METHOD_NONE, vitpose},
                                       [GV_ROLE_FEATURES] = {GV_METHOD_HMR2, hmr2}}};
    const gv_key tracks = {0};
    gv_cache *cache = gv_cache_create(NULL, NULL, NULL);
    const gv_study_options o = {.video = video,
                                .frames = FRAMES,
                                .fps = 10,
                                .person = people,
                                .people = PEOPLE + 1,
                                .models = &models,
                                .device = d,
                                .fast = fast,
                                .quiet = true,
                                .cache = cache,
                                .tracks = &tracks};
    gv_status status = gv_study(s, &o, err);
    gv_cache_destroy(cache);
    return status;
}

static void check_same(const gv_studied *a, const gv_studied *b, double limit) {
    for (int i = 0; i <= PEOPLE; i++) {
        size_t n = (size_t)spans[i].frames;
        double off = max_abs_diff(a->features[i], b->features[i], n * FEATURE), most = 0;
        for (size_t k = 0; k < n * FEATURE; k++) most = fmax(most, fabsf(b->features[i][k]));
        if (!(off <= limit * most)) fail_msg("features of person %d are off by %g of %g", i, off, most);
        assert_int_equal(a->kp2d != NULL, b->kp2d != NULL);
        if (a->kp2d && !(max_abs_diff(a->kp2d[i], b->kp2d[i], n * 51) <= 1000 * limit))
            fail_msg("keypoints of person %d are off by %g px", i, max_abs_diff(a->kp2d[i], b->kp2d[i], n * 51));
    }
}

// On the emulated device, which does copies that go ahead as late as it may, and leaves NaN until then. `refused`: it
// has no memory for a piece of so many bytes.
static gv_studied on_emulated(bool fast, size_t refused, int *ahead) {
    gv_device *d = NULL;
    gv_studied s;
    gv_error err = {0};
    assert_int_equal(gv_device_wrap(&d, gv_emulated_ops(0, 0), &err), GV_OK);
    gv_emulated_late(true);
    gv_emulated_refuse(refused);
    if (study(&s, d, fast, &err)) fail_msg("%s", err.text);
    gv_emulated_refuse(0);
    if (refused) assert_true(gv_emulated_refusals() > 0);
    *ahead = gv_emulated_copies();
    gv_emulated_late(false);
    assert_int_equal(gv_emulated_bytes(), 0);
    gv_device_close(d);
    return s;
}

enum { AHEAD_BYTES = 24 * 160 * 120 * 3, CONTEXT_BYTES = 16 * 192 * 128 * 4 };

// Chunks of 16 crops or more: frames 0 ... 14 come as they are needed, all others with somebody in them go ahead.
static void test_ahead(void **state) {
    (void)state;
    gv_studied expected, found;
    gv_error err = {0};
    int ahead;
    if (study(&expected, NULL, false, &err)) fail_msg("%s", err.text);
    found = on_emulated(false, 0, &ahead);
    check_same(&found, &expected, 1e-5);
    assert_int_equal(ahead, FRAMES - 15 - 3);
    gv_studied again = on_emulated(false, AHEAD_BYTES, &ahead);
    assert_int_equal(ahead, 0); // no memory for that: as they are needed
    check_same(&again, &found, 0);
    gv_studied_free(&again);
    again = on_emulated(false, CONTEXT_BYTES, &ahead); // the networks have to halve their batches beside it
    assert_int_equal(ahead, FRAMES - 15 - 3);
    check_same(&again, &found, 1e-6);
    gv_studied_free(&again);
    gv_studied_free(&found);
    gv_studied_free(&expected);
}

// Two networks, and frames that are looked at after others: the same as with nothing ahead.
static void test_sparing(void **state) {
    (void)state;
    int ahead;
    gv_studied found = on_emulated(true, 0, &ahead);
    assert_int_equal(ahead, FRAMES - 37); // chunks are of 37 frames
    gv_studied plain = on_emulated(true, AHEAD_BYTES, &ahead);
    assert_int_equal(ahead, 0);
    check_same(&found, &plain, 0);
    gv_studied_free(&found);
    gv_studied_free(&plain);
}

// Wherever memory runs out once, the pass fails and says so, or goes on without losing or repeating a crop.
static void test_starving(void **state) {
    (void)state;
    gv_studied expected;
    int ahead, failed = 0, went_on = 0;
    expected = on_emulated(false, 0, &ahead);
    for (int after = 8;; after += 19) {
        gv_device *d = NULL;
        gv_studied s;
        gv_error err = {0};
        assert_int_equal(gv_device_wrap(&d, gv_emulated_ops(0, 0), &err), GV_OK);
        gv_emulated_late(true);
        gv_emulated_starve(after);
        gv_status status = study(&s, d, false, &err);
        const bool starved = gv_emulated_starved();
        gv_emulated_starve(0);
        gv_emulated_late(false);
        if (status == GV_OK) check_same(&s, &expected, 1e-6);
        if (status == GV_OK) gv_studied_free(&s);
        if (status != GV_OK) assert_int_equal(status, GV_ERR_MEMORY);
        failed += status != GV_OK;
        went_on += starved && status == GV_OK;
        assert_int_equal(gv_emulated_bytes(), 0);
        gv_device_close(d);
        if (!starved) break;
    }
    printf("failed %d times, went on %d times\n", failed, went_on);
    assert_true(failed > 0 && went_on > 0);
    gv_studied_free(&expected);
}

// Whatever fails is told, and nothing is kept.
static void test_breaking(void **state) {
    (void)state;
    gv_device *d = NULL;
    gv_studied s;
    gv_error err = {0};
    int broken = 0;
    assert_int_equal(gv_device_wrap(&d, gv_emulated_ops(0, 0), &err), GV_OK);
    for (int after = 60;; after += 61) {
        gv_emulated_break(after);
        gv_status status = study(&s, d, false, &err);
        gv_emulated_break(0);
        if (status == GV_OK) break;
        assert_int_equal(gv_emulated_bytes(), 0);
        assert_string_equal(err.text, "the emulated device broke");
        broken++;
    }
    gv_studied_free(&s);
    assert_int_equal(gv_emulated_bytes(), 0);
    assert_true(broken > 2);
    gv_device_close(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ahead),
        cmocka_unit_test(test_sparing),
        cmocka_unit_test(test_starving),
        cmocka_unit_test(test_breaking),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
