// The first pass over a video with YOLOv8 on the emulated device: frames that are looked at together, ahead of their
// turn, and what is found in them, each in its own frame.
#include "clip.h"
#include "emulated_device.h"
#include "folder.h"

#include "pipeline/watch.h"

enum { FRAMES = 21, WIDTH = 640, HEIGHT = 32 };

// Every fifth frame shows the picture before once more.
static const char *clip(void) {
    const char *path = in_dir("clip.mp4"), *all = in_dir("all.mp4");
    gv_error err = {0};
    gv_video *v = NULL;
    gv_video_writer *w = NULL;
    gv_frame f;
    make_part_of_clip(all, FRAMES, 64, 200, WIDTH, HEIGHT);
    if (access(path, R_OK) == 0) return path;
    assert_int_equal(gv_video_open(&v, all, NULL, &err), GV_OK);
    assert_int_equal(gv_video_create(&w, path, WIDTH, HEIGHT, 10, &err), GV_OK);
    for (int t = 0; t < FRAMES; t++) {
        if (t % 5 != 4) assert_int_equal(gv_video_next(v, &f, &err), GV_OK);
        assert_int_equal(gv_video_write(w, f.rgb, f.stride, t / 10.0, &err), GV_OK);
    }
    assert_int_equal(gv_video_finish(w, &err), GV_OK);
    gv_video_close(v);
    return path;
}

static gv_device *emulated(void) {
    gv_device *d = NULL;
    gv_error err = {0};
    assert_int_equal(gv_device_wrap(&d, gv_emulated_ops(0, 0), &err), GV_OK);
    return d;
}

typedef struct seen {
    gv_sightings s;
    long looked;
} seen;

static gv_finder *open_finder(gv_device *d, bool fast, gv_cache *cache, const gv_key *key) {
    const gv_models models = {
        .role = {[GV_ROLE_DETECTOR] = {GV_METHOD_YOLOV8, (char *)shared_path("reference/perception/ckpt/yolov8n.pt")}}};
    const gv_finder_options o = {
        .models = &models, .device = d, .fast = fast, .fps = fast ? 24 : 10, .cache = cache, .key = key};
    gv_finder *f = NULL;
    gv_error err = {0};
    if (gv_finder_create(&f, &o, WIDTH, HEIGHT, &err)) fail_msg("%s", err.text);
    return f;
}

// Frame by frame, nothing ahead of its turn.
static seen one_by_one(bool fast) {
    gv_device *d = emulated();
    gv_cache *cache = gv_cache_create(NULL, NULL, NULL);
    gv_finder *finder = open_finder(d, fast, cache, &(gv_key){0});
    gv_repeats *repeats = gv_repeats_create(WIDTH, HEIGHT);
    gv_video *v = NULL;
    gv_error err = {0};
    gv_frame f;
    seen y = {0};
    int masks = 0;
    y.s.masks = calloc(FRAMES, sizeof *y.s.masks);
    y.s.repeated = calloc(FRAMES, 1);
    y.s.mask = calloc(64 * FRAMES, sizeof *y.s.mask);
    assert_int_equal(gv_video_open(&v, clip(), NULL, &err), GV_OK);
    while (gv_video_next(v, &f, &err) == GV_OK && f.rgb) {
        const gv_image image = {f.rgb, f.width, f.height, f.stride};
        const long t = y.s.frames++;
        y.s.repeated[t] = gv_repeats_look(repeats, &image);
        if (!y.s.repeated[t] || !gv_finder_takes_pictures(finder))
            assert_int_equal(gv_finder_frame(finder, &image, f.time_sec, &err), GV_OK);
        masks += y.s.masks[t] = gv_finder_boxes(finder, y.s.mask + masks, 64);
    }
    assert_int_equal(gv_finder_finish(finder, &y.s.tracks, &err), GV_OK);
    if (gv_finder_takes_pictures(finder))
        assert_int_equal(gv_tracks_hold(&y.s.tracks, y.s.repeated, y.s.frames, &err), GV_OK);
    y.looked = gv_finder_looked(finder);
    gv_video_close(v);
    gv_repeats_destroy(repeats);
    gv_finder_destroy(finder);
    gv_cache_destroy(cache);
    gv_device_close(d);
    return y;
}

static gv_status watch(seen *y, gv_device *d, bool fast, gv_cache *cache, const gv_key *key, gv_error *err) {
    gv_watch_times times;
    gv_watch_options o = {.video = clip(), .quiet = true, .finder = open_finder(d, fast, cache, key)};
    *y = (seen){0};
    gv_status status = gv_watch(&y->s, &o, &times, err);
    y->looked = gv_finder_looked(o.finder);
    gv_finder_destroy(o.finder);
    return status;
}

static void check_same(const seen *a, const seen *b) {
    const gv_sightings *x = &a->s, *y = &b->s;
    int masks = 0;
    assert_int_equal(x->frames, FRAMES);
    assert_int_equal(y->frames, FRAMES);
    assert_memory_equal(x->repeated, y->repeated, FRAMES);
    assert_memory_equal(x->masks, y->masks, FRAMES * sizeof *x->masks);
    for (int t = 0; t < FRAMES; t++) masks += x->masks[t];
    assert_true(masks > 0);
    assert_memory_equal(x->mask, y->mask, (size_t)masks * sizeof *x->mask);
    assert_int_equal(x->tracks.count, y->tracks.count);
    for (int i = 0; i < x->tracks.count; i++) {
        const gv_person *p = &x->tracks.person[i], *q = &y->tracks.person[i];
        assert_int_equal(p->first, q->first);
        assert_int_equal(p->frames, q->frames);
        assert_memory_equal(p->bbx_xyxy, q->bbx_xyxy, (size_t)p->frames * 4 * sizeof *p->bbx_xyxy);
    }
}

static int repeats_in(const gv_sightings *s) {
    int n = 0;
    for (int t = 0; t < s->frames; t++) n += s->repeated[t];
    return n;
}

// All frames, or a part of them; copied as late as may be; with room for all pictures and for half of them.
static void test_together(void **state) {
    (void)state;
    need_shared("reference/perception/ckpt/yolov8n.pt");
    for (int fast = 0; fast < 2; fast++) {
        seen expected = one_by_one(fast), found; // fast: every third frame, and the last
        assert_int_equal(expected.looked, fast ? FRAMES / 3 + 1 : FRAMES - repeats_in(&expected.s));
        if (!fast) assert_true(repeats_in(&expected.s) > 0);
        for (int little = 0; little < 2 - fast; little++) {
            gv_device *d = emulated();
            gv_error err = {0};
            gv_cache *cache = gv_cache_create(NULL, NULL, NULL);
            gv_emulated_late(true);
            if (little) gv_emulated_refuse(4 * 3 * WIDTH * HEIGHT);
            if (watch(&found, d, fast, cache, &(gv_key){0}, &err)) fail_msg("%s", err.text);
            gv_emulated_refuse(0);
            assert_int_equal(gv_emulated_refusals(), little);
            assert_int_equal(gv_emulated_copies(), expected.looked);
            gv_emulated_late(false);
            assert_int_equal(found.looked, expected.looked);
            check_same(&found, &expected);
            assert_int_equal(gv_emulated_bytes(), 0);
            gv_sightings_free(&found.s);
            gv_cache_destroy(cache);
            gv_device_close(d);
        }
        gv_sightings_free(&expected.s);
    }
}

// Where the device breaks, what was found before is kept, and the next run goes on behind it: every frame is looked at
// once.
static void test_breaking(void **state) {
    (void)state;
    need_shared("reference/perception/ckpt/yolov8n.pt");
    seen expected = one_by_one(false), found;
    int broken = 0;
    long most = 0;
    for (int after = 700;; after += 1500) {
        char folder[40];
        gv_error err = {0};
        snprintf(folder, sizeof folder, "cache%d", after);
        gv_cache *cache = gv_cache_create(in_dir(folder), NULL, NULL);
        const gv_key key = gv_key_make((gv_key_part[]){{"video", "clip"}, {0}});
        gv_device *d = emulated();
        gv_emulated_break(after);
        gv_status status = watch(&found, d, false, cache, &key, &err);
        gv_emulated_break(0);
        const long before = found.looked;
        assert_int_equal(gv_emulated_bytes(), 0);
        gv_sightings_free(&found.s);
        if (status != GV_OK) {
            assert_string_equal(err.text, "the emulated device broke");
            assert_true(before >= most);
            most = before;
            broken++;
            if (watch(&found, d, false, cache, &key, &err)) fail_msg("%s", err.text);
            assert_int_equal(before + found.looked, expected.looked);
            check_same(&found, &expected);
            gv_sightings_free(&found.s);
        }
        gv_cache_destroy(cache);
        gv_device_close(d);
        if (status == GV_OK) break;
    }
    assert_true(broken > 1 && most > 4);
    gv_sightings_free(&expected.s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_together),
        cmocka_unit_test(test_breaking),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
