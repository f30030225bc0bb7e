// The shared library from outside: bad calls, results in memory and on disk, cancelling, two handles at once.
#define _GNU_SOURCE // dladdr
#include "gvhmr.h"
#include "folder.h"
#include "clip.h"

#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(sizeof(gvhmr_array) == 80 && offsetof(gvhmr_array, shape) == 16, "what programs are compiled with");
_Static_assert(offsetof(gvhmr_progress, per_second) == 32, "fields are only added at the end");

// A handle for quick runs of the clip.
static gvhmr *quick(void) {
    gvhmr *g = gvhmr_create();
    assert_non_null(g);
    assert_int_equal(gvhmr_set(g, "landmarks", "lite"), GVHMR_OK);
    assert_int_equal(gvhmr_set(g, "no-video", "yes"), GVHMR_OK);
    assert_int_equal(gvhmr_set(g, "export", "none"), GVHMR_OK);
    return g;
}

static int files_like(const char *folder, const char *part) {
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) n += strstr(e->d_name, part) != NULL;
    if (d) closedir(d);
    return n;
}

static void this_is_the_shared_library(void **state) {
    (void)state;
    Dl_info info;
    assert_int_not_equal(dladdr((void *)(uintptr_t)gvhmr_run, &info), 0);
    assert_non_null(strstr(info.dli_fname, "libgvhmr.so"));
    assert_true(strlen(gvhmr_version()) > 0);
}

static void bad_calls_are_told(void **state) {
    (void)state;
    gvhmr_result *r = (gvhmr_result *)1;
    gvhmr_array a;
    gvhmr_destroy(NULL);
    gvhmr_cancel(NULL);
    gvhmr_result_free(NULL);
    assert_int_equal(gvhmr_set(NULL, "fps", "30"), GVHMR_ERR_ARGUMENT);
    assert_int_equal(gvhmr_on_log(NULL, NULL, NULL), GVHMR_ERR_ARGUMENT);
    assert_int_equal(gvhmr_on_progress(NULL, NULL, NULL), GVHMR_ERR_ARGUMENT);
    assert_int_equal(gvhmr_run(NULL, "v.mp4", "out", &r), GVHMR_ERR_ARGUMENT);
    assert_null(r);
    assert_int_equal(gvhmr_open(NULL, "out", &r), GVHMR_ERR_ARGUMENT);
    assert_true(strlen(gvhmr_error(NULL)) > 0);
    assert_int_equal(gvhmr_result_people(NULL), 0);
    assert_null(gvhmr_result_scene(NULL));
    assert_null(gvhmr_result_key(NULL, 0, 0));
    assert_int_equal(gvhmr_result_array(NULL, 0, "betas", &a), GVHMR_ERR_ARGUMENT);
    assert_int_equal(gvhmr_result_array(NULL, 0, "betas", NULL), GVHMR_ERR_ARGUMENT);

    gvhmr *g = gvhmr_create();
    static const struct {
        const char *name, *value, *says;
    } bad[] = {
        {NULL, "1", "NULL"},
        {"frobnicate", "1", "frobnicate"},
        {"people", "many", "many"},
        {"people", "0", "1 to 1000"},
        {"people", "", "people"},
        {"fps", "nan", "nan"},
        {"landmarks", "huge", "huge"},
        {"static-camera", "2", "yes or no"},
        {"threads", "-1", "threads"},
        {"cache", "", "empty"},
        {"heads", "99999999999999999999", "heads"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(gvhmr_set(g, bad[i].name, bad[i].value), GVHMR_ERR_ARGUMENT);
        if (!strstr(gvhmr_error(g), bad[i].says)) fail_msg("\"%s\" lacks \"%s\"", gvhmr_error(g), bad[i].says);
    }
    assert_int_equal(gvhmr_run(g, NULL, in_dir("out"), &r), GVHMR_ERR_ARGUMENT);
    assert_int_equal(gvhmr_run(g, "", in_dir("out"), &r), GVHMR_ERR_ARGUMENT);
    assert_int_equal(gvhmr_run(g, "v.mp4", NULL, NULL), GVHMR_ERR_ARGUMENT);
    assert_int_equal(gvhmr_run(g, in_dir("absent.mp4"), in_dir("out"), &r), GVHMR_ERR_IO);
    assert_non_null(strstr(gvhmr_error(g), "absent.mp4"));
    write_text("text.mp4", "not a video\n");
    assert_int_equal(gvhmr_run(g, in_dir("text.mp4"), in_dir("out"), &r), GVHMR_ERR_FORMAT);
    assert_int_equal(gvhmr_open(g, NULL, &r), GVHMR_ERR_ARGUMENT);
    assert_int_equal(gvhmr_open(g, dir, NULL), GVHMR_ERR_ARGUMENT);
    assert_int_equal(gvhmr_open(g, in_dir("absent"), &r), GVHMR_ERR_IO);
    assert_int_equal(gvhmr_open(g, dir, &r), GVHMR_ERR_IO); // without scene.json
    assert_int_not_equal(gvhmr_open(g, in_dir("text.mp4"), &r), GVHMR_OK);
    assert_null(r);
    assert_int_equal(access(in_dir("out"), F_OK), -1); // nothing was begun
    assert_int_equal(gvhmr_set(g, "fps", "30"), GVHMR_OK);
    assert_string_equal(gvhmr_error(g), "");
    gvhmr_destroy(g);
}

static void broken_folders_are_told(void **state) {
    (void)state;
    static const char *const scenes[] = {
        "",
        "{",
        "[]",
        "{\"people\": []}",
        "{\"people\": [{\"file\": \"../../etc/passwd\"}]}",
        "{\"people\": [{\"file\": \"person-1.npz\"}]}",
        "{\"people\": [{\"file\": \"p.npz\"}], \"camera\": {\"R_w2c\": [[1, 2]], \"t_w2c\": [[0, 0, 0]]}}",
        "{\"people\": [{\"file\": \"p.npz\"}], \"camera\": {\"R_w2c\": [[1,0,0,0,1,0,0,0,\"x\"]], \"t_w2c\": "
        "[[0,0,0]]}}",
        "{\"people\": [{\"file\": \"p.npz\"}], \"camera\": {\"R_w2c\": [[1,0,0,0,1,0,0,0,1]], \"t_w2c\": [[0,0,0]]}}",
    };
    gvhmr *g = gvhmr_create();
    gvhmr_result *r;
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        write_text("scene.json", scenes[i]);
        assert_int_not_equal(gvhmr_open(g, dir, &r), GVHMR_OK);
        assert_null(r);
        assert_true(strlen(gvhmr_error(g)) > 0);
    }
    unlink(in_dir("scene.json"));
    gvhmr_destroy(g);
}

static void options_are_listed_and_taken_back(void **state) {
    (void)state;
    gvhmr *g = gvhmr_create();
    int n = 0;
    for (const char *name; (name = gvhmr_option_name(n)); n++) assert_int_equal(gvhmr_set(g, name, NULL), GVHMR_OK);
    assert_true(n >= 26);
    assert_null(gvhmr_option_name(-1));
    assert_null(gvhmr_option_name(n + 1));
    gvhmr_destroy(g);
}

// ---- results

static gvhmr_array array_of(const gvhmr_result *r, int person, const char *key) {
    gvhmr_array a;
    assert_int_equal(gvhmr_result_array(r, person, key, &a), GVHMR_OK);
    return a;
}

static size_t bytes_of(const gvhmr_array *a) {
    size_t n = a->type == GVHMR_FLOAT64 ? 8 : 4;
    for (int i = 0; i < a->ndim; i++) n *= (size_t)a->shape[i];
    return n;
}

static void same_results(const gvhmr_result *a, const gvhmr_result *b, int people) {
    for (int k = 0; k < people; k++)
        for (int i = 0; gvhmr_result_key(a, k, i); i++) {
            const char *key = gvhmr_result_key(a, k, i);
            gvhmr_array x = array_of(a, k, key), y = array_of(b, k, key);
            assert_int_equal(x.type, y.type);
            assert_int_equal(x.ndim, y.ndim);
            assert_memory_equal(x.shape, y.shape, sizeof x.shape);
            if (memcmp(x.data, y.data, bytes_of(&x))) fail_msg("%s of person %d differs", key, k);
        }
}

typedef struct heard {
    int stages, lines;
    char last[64];
    bool open, backwards;
} heard;

static int follow(void *user, const gvhmr_progress *p) {
    heard *l = user;
    if (strcmp(l->last, p->stage) != 0) l->stages++;
    snprintf(l->last, sizeof l->last, "%s", p->stage);
    l->backwards |= p->done < 0 || p->seconds < 0 || (p->total && p->done > p->total);
    return 0;
}

static void listen_to(void *user, const char *line) {
    ((heard *)user)->lines += !strchr(line, '\n');
}

static void memory_and_disk_agree(void **state) {
    (void)state;
    make_clip(in_dir("walk.mp4"), 25);
    gvhmr *g = quick();
    gvhmr_result *in_memory, *written, *loaded, *single;
    heard l = {0};
    gvhmr_on_progress(g, follow, &l);
    gvhmr_on_log(g, listen_to, &l);
    if (gvhmr_run(g, in_dir("walk.mp4"), NULL, &in_memory)) fail_msg("%s", gvhmr_error(g));
    assert_true(l.stages >= 2 && !l.backwards);
    assert_int_equal(gvhmr_set(g, "detector", "auto"), GVHMR_OK); // who asks for models is told which
    if (gvhmr_run(g, in_dir("walk.mp4"), in_dir("walk"), &written)) fail_msg("%s", gvhmr_error(g));
    assert_int_equal(l.lines, 1);
    if (gvhmr_open(g, in_dir("walk"), &loaded)) fail_msg("%s", gvhmr_error(g));
    if (gvhmr_open(g, in_dir("walk/person-1.npz"), &single)) fail_msg("%s", gvhmr_error(g));
    gvhmr_destroy(g); // results live on
    int people = gvhmr_result_people(in_memory);
    assert_true(people >= 1);
    assert_int_equal(gvhmr_result_people(written), people);
    assert_int_equal(gvhmr_result_people(loaded), people);
    assert_int_equal(gvhmr_result_people(single), 1);
    same_results(in_memory, written, people);
    same_results(in_memory, loaded, people);
    same_results(in_memory, single, 1);
    same_results(written, loaded, people);
    gvhmr_array joints = array_of(loaded, 0, "joints_world"), betas = array_of(loaded, 0, "betas"),
                times = array_of(loaded, 0, "time_sec"), index = array_of(loaded, 0, "frame_index"), none;
    assert_int_equal(joints.ndim, 3);
    assert_int_equal(joints.shape[1], 22);
    assert_int_equal(betas.shape[0], 10);
    assert_int_equal(times.type, GVHMR_FLOAT64);
    assert_int_equal(index.type, GVHMR_INT32);
    assert_int_equal(joints.shape[0], times.shape[0]);
    gvhmr_array R = array_of(loaded, GVHMR_CAMERA, "R_w2c"), t = array_of(loaded, GVHMR_CAMERA, "t_w2c");
    assert_true(R.ndim == 3 && R.shape[0] == t.shape[0] && (R.shape[0] == 1 || R.shape[0] == 25));
    assert_int_equal(gvhmr_result_array(single, GVHMR_CAMERA, "R_w2c", &none), GVHMR_ERR_MISSING);
    assert_int_equal(gvhmr_result_array(loaded, people, "betas", &none), GVHMR_ERR_ARGUMENT);
    assert_int_equal(gvhmr_result_array(loaded, 0, "beta", &none), GVHMR_ERR_MISSING);
    assert_null(none.data);
    assert_int_equal(gvhmr_result_array(loaded, 0, NULL, &none), GVHMR_ERR_ARGUMENT);
    assert_non_null(strstr(gvhmr_result_scene(loaded), "\"people\""));
    assert_null(gvhmr_result_scene(single));
    assert_string_equal(gvhmr_joint_name(0), "pelvis");
    assert_null(gvhmr_joint_name(22));
    gvhmr_result_free(in_memory);
    gvhmr_result_free(written);
    gvhmr_result_free(loaded);
    gvhmr_result_free(single);
}

// ---- two at once

typedef struct worker {
    const char *video, *landmarks;
    gvhmr_result *result;
    gvhmr_status status;
} worker;

static void *work(void *context) {
    worker *w = context;
    gvhmr *g = quick();
    gvhmr_set(g, "landmarks", w->landmarks);
    w->status = gvhmr_run(g, w->video, NULL, &w->result);
    gvhmr_destroy(g);
    return NULL;
}

static void two_handles_are_two_runs(void **state) {
    (void)state;
    make_clip(in_dir("walk.mp4"), 25);
    make_clip(in_dir("short.mp4"), 18);
    worker alone[2] = {{in_dir("walk.mp4"), "lite", NULL, 0}, {in_dir("short.mp4"), "full", NULL, 0}}, both[2];
    memcpy(both, alone, sizeof both);
    for (int i = 0; i < 2; i++) work(&alone[i]);
    pthread_t thread[2];
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&thread[i], NULL, work, &both[i]), 0);
    for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(alone[i].status, GVHMR_OK);
        assert_int_equal(both[i].status, GVHMR_OK);
        int people = gvhmr_result_people(alone[i].result);
        assert_int_equal(gvhmr_result_people(both[i].result), people);
        same_results(alone[i].result, both[i].result, people);
        gvhmr_result_free(alone[i].result);
        gvhmr_result_free(both[i].result);
    }
}

// ---- cancelling

typedef struct stopper {
    gvhmr *g;
    const char *stage;
    bool reached;
    int later; // reports after the wish
} stopper;

static int stop_at(void *user, const gvhmr_progress *p) {
    stopper *s = user;
    s->later += s->reached;
    if (strcmp(p->stage, s->stage) != 0 || s->reached) return 0;
    // within a callback the handle is busy
    assert_int_equal(gvhmr_set(s->g, "fps", "30"), GVHMR_ERR_ARGUMENT);
    assert_int_equal(gvhmr_run(s->g, "a", "b", NULL), GVHMR_ERR_ARGUMENT);
    s->reached = true;
    return 1;
}

static void a_cancelled_run_leaves_nothing_half(void **state) {
    (void)state;
    make_clip(in_dir("walk.mp4"), 25);
    static const char *const stages[] = {"observe", "predict", "draw"};
    gvhmr *g = quick();
    gvhmr_set(g, "no-video", NULL);
    for (int i = 0; i < 3; i++) {
        stopper s = {.g = g, .stage = stages[i]};
        gvhmr_result *r = NULL;
        gvhmr_on_progress(g, stop_at, &s);
        assert_int_equal(gvhmr_run(g, in_dir("walk.mp4"), in_dir("stopped"), &r), GVHMR_ERR_CANCELLED);
        assert_string_equal(gvhmr_error(g), "cancelled");
        assert_null(r);
        assert_true(s.reached && s.later <= 2); // the stage's end may be reported
        assert_int_equal(files_like(in_dir("stopped"), ".tmp"), 0);
        assert_int_equal(files_like(in_dir("stopped"), ".mp4"), 0);
        assert_int_equal(files_like(in_dir("stopped"), "scene.json"), i == 2); // written before the pictures
    }
    gvhmr_on_progress(g, NULL, NULL);
    gvhmr_set(g, "no-video", "yes");
    gvhmr_cancel(g); // nothing is under way
    gvhmr_result *r;
    if (gvhmr_run(g, in_dir("walk.mp4"), in_dir("stopped"), &r)) fail_msg("%s", gvhmr_error(g));
    assert_true(gvhmr_result_people(r) >= 1);
    gvhmr_result_free(r);
    gvhmr_destroy(g);
}

static void outputs_that_cannot_be(void **state) {
    (void)state;
    make_clip(in_dir("walk.mp4"), 25);
    gvhmr *g = quick();
    write_text("file", "");
    assert_int_equal(gvhmr_run(g, in_dir("walk.mp4"), in_dir("file"), NULL), GVHMR_ERR_IO);
    assert_int_equal(gvhmr_run(g, in_dir("walk.mp4"), in_dir("file/below"), NULL), GVHMR_ERR_IO);
    assert_int_equal(gvhmr_run(g, in_dir("walk.mp4"), "/proc/none", NULL), GVHMR_ERR_IO);
    static const struct {
        const char *name, *value;
    } bad[] = {{"export", "docx"},      {"model", "/dev/null"}, {"body-model", "/nowhere"},
               {"weights", "/nowhere"}, {"gyro", "/nowhere"},   {"intrinsics", "/nowhere"},
               {"focal-length", "-3"},  {"detector", "nobody"}, {"keypoints", "none"},
               {"heads", "7"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(gvhmr_set(g, bad[i].name, bad[i].value), GVHMR_OK);
        assert_int_not_equal(gvhmr_run(g, in_dir("walk.mp4"), in_dir("bad"), NULL), GVHMR_OK);
        assert_true(strlen(gvhmr_error(g)) > 10);
        assert_int_equal(gvhmr_set(g, bad[i].name, NULL), GVHMR_OK);
    }
    assert_int_equal(files_like(in_dir("bad"), "person"), 0);
    assert_int_equal(files_like(in_dir("bad"), ".tmp"), 0);
    gvhmr_destroy(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_is_the_shared_library),
        cmocka_unit_test(bad_calls_are_told),
        cmocka_unit_test(broken_folders_are_told),
        cmocka_unit_test(options_are_listed_and_taken_back),
        cmocka_unit_test(memory_and_disk_agree),
        cmocka_unit_test(two_handles_are_two_runs),
        cmocka_unit_test(a_cancelled_run_leaves_nothing_half),
        cmocka_unit_test(outputs_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
