// The released perception's whole flow with small random networks: every mix of methods runs, results are kept, a
// run that is killed goes on where it was, and bad files are told of in one line.
#include "folder.h"
#include "base/progress.h"
#include "formats/motion_file.h"
#include "formats/observations.h"
#include "video/video.h"
#include "weights_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/wait.h>

enum { FRAMES = 16, RATE = 14 }; // a second and a bit: shorter tracks are dropped
static bool ready;

static void need_weights(void) {
    if (ready) return;
    printf("skipped: no recorded checkpoints or clips beside the project\n");
    skip();
}

// ---- running the program

static pid_t start(const char *const *argv) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fd = open(in_dir("stderr"), O_WRONLY | O_CREAT | O_TRUNC, 0644);
        dup2(fd, STDERR_FILENO);
        execv(GV_TEST_PROGRAM, (char *const *)argv);
        _exit(127);
    }
    return child;
}

static const char *said(void) { // what the last run wrote on stderr
    static unsigned char *text;
    size_t size;
    free(text);
    text = NULL;
    assert_int_equal(gv_file_read(in_dir("stderr"), 0, &text, &size, NULL), GV_OK);
    return (const char *)text;
}

static int finish(pid_t child) {
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#define run(...) finish(start((const char *const[]){"gvhmr", __VA_ARGS__, NULL}))
#define RUN      "run", in_dir("clip.mp4"), "--weights", in_dir("weights"), "--heads", "4", "--no-video", "--people", "3"
#define OBSERVE  "observe", in_dir("clip.mp4"), "--weights", in_dir("weights")

static void succeed(int status) {
    if (status) fail_msg("status %d: %s", status, said());
}

static void refused(int status, const char *must_name) {
    const char *text = said();
    const char *last = text; // remarks may come first
    for (const char *p = text; (p = strchr(p, '\n')) && p[1];) last = ++p;
    if (status == 0 || status >= 126 || !strstr(last, must_name))
        fail_msg("status %d, expected \"%s\" in: %s", status, must_name, text);
}

static void same_files(const char *a, const char *b) {
    unsigned char *x, *y;
    size_t n, m;
    assert_int_equal(gv_file_read(in_dir(a), 0, &x, &n, NULL), GV_OK);
    assert_int_equal(gv_file_read(in_dir(b), 0, &y, &m, NULL), GV_OK);
    if (n != m || memcmp(x, y, n)) fail_msg("%s and %s differ", a, b);
    free(x);
    free(y);
}

// The motions of everybody in two folders. How many the random weights see depends on the clip's last bit.
static void same_people(const char *a, const char *b) {
    char one[60], two[60];
    int n = 0;
    for (bool more = true; more; n += more) {
        snprintf(one, sizeof one, "%s/person-%d.npz", a, n + 1);
        snprintf(two, sizeof two, "%s/person-%d.npz", b, n + 1);
        more = access(in_dir(one), F_OK) == 0;
        assert_int_equal(access(in_dir(two), F_OK) == 0, more);
        if (more) same_files(one, two);
    }
    assert_true(n > 0);
}

// Frames of a stage in a scene.json's timings; 0 where it did not run.
static long worked(const char *folder, const char *stage) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s/scene.json", dir, folder);
    json_t *root = json_load_file(path, 0, NULL), *t;
    assert_non_null(root);
    long frames = 0;
    size_t i;
    json_array_foreach(json_object_get(root, "timings"), i, t) {
        if (!strcmp(json_string_value(json_object_get(t, "stage")), stage))
            frames = (long)json_integer_value(json_object_get(t, "frames"));
    }
    json_decref(root);
    return frames;
}

static long long cache_bytes(const char *folder) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s/cache", dir, folder);
    DIR *d = opendir(path);
    long long bytes = 0;
    struct stat st;
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.' && fstatat(dirfd(d), e->d_name, &st, 0) == 0) bytes += st.st_size;
    if (d) closedir(d);
    return bytes;
}

// ---- tests

static void whole_flow_and_again(void **state) {
    (void)state;
    need_weights();
    succeed(run(RUN, "-o", in_dir("whole")));
    assert_non_null(strstr(said(), "detector yolov8 (yolov8x.pt), keypoints vitpose"));
    assert_int_equal(worked("whole", "people"), FRAMES);
    long crops = worked("whole", "keypoints");
    assert_true(crops > FRAMES);
    assert_int_equal(worked("whole", "features"), crops);
    rename(in_dir("whole/person-1.npz"), in_dir("first.npz"));
    succeed(run(RUN, "-o", in_dir("whole"))); // everything is known: nothing is looked at
    same_files("whole/person-1.npz", "first.npz");
    assert_int_equal(worked("whole", "people") + worked("whole", "keypoints") + worked("whole", "observe"), 0);
    succeed(run(RUN, "-o", in_dir("whole"), "--focal-length", "900")); // the camera alone is followed again
    assert_int_equal(worked("whole", "people") + worked("whole", "keypoints") + worked("whole", "features"), 0);
    assert_int_equal(worked("whole", "camera"), FRAMES);
    succeed(run(RUN, "-o", in_dir("plain"), "--no-cache"));
    same_files("plain/person-1.npz", "first.npz");
    assert_int_not_equal(access(in_dir("plain/cache"), F_OK), 0);
    succeed(run(RUN, "-o", in_dir("sparing"), "--low-memory")); // the same work, one network after the other
    same_people("sparing", "plain");
}

// Killed again and again, at every fifth of what the cache comes to hold: so in every stage.
static void killed_in_every_stage(void **state) {
    (void)state;
    need_weights();
    succeed(run(RUN, "-o", in_dir("calm"), "--quiet"));
    long long all = cache_bytes("calm");
    long crops = 0, looked = 0, kills = 0;
    for (int fifth = 0; fifth <= 5; fifth++) {
        pid_t child = start((const char *const[]){"gvhmr", RUN, "-o", in_dir("killed"), "--quiet", NULL});
        int status = 0;
        bool over = false;
        while (!(over = waitpid(child, &status, WNOHANG) == child) && cache_bytes("killed") <= all * fifth / 5)
            usleep(500);
        if (over) {
            assert_int_equal(status, 0);
            break;
        }
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        kills++;
    }
    succeed(run(RUN, "-o", in_dir("killed"), "--quiet"));
    assert_true(kills >= 4);
    crops = worked("killed", "keypoints"), looked = worked("killed", "people");
    assert_true(crops < worked("calm", "keypoints") && looked < FRAMES); // it did go on
    same_people("calm", "killed");
}

// Killed in the middle of the detector's and of the networks' work: what was done is not done again.
static void work_done_is_not_done_again(void **state) {
    (void)state;
    need_weights();
    static const struct {
        const char *stage, *timing;
        long whole; // frames, 0: crops
    } cases[] = {{"detections", "people", FRAMES}, {"keypoints", "keypoints", 0}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char folder[40], target[80];
        snprintf(folder, sizeof folder, "stop-%s", cases[k].stage);
        snprintf(target, sizeof target, "%s", in_dir(folder));
        pid_t child = start((const char *const[]){"gvhmr", RUN, "-o", target, "--quiet", NULL});
        off_t size = 0;
        while (size < 3000 && waitpid(child, NULL, WNOHANG) == 0) { // a record or more
            usleep(500);
            char path[300];
            snprintf(path, sizeof path, "%s/cache", target);
            DIR *d = opendir(path);
            struct stat st;
            for (struct dirent *e; d && (e = readdir(d));)
                if (!strncmp(e->d_name, cases[k].stage, strlen(cases[k].stage)) &&
                    fstatat(dirfd(d), e->d_name, &st, 0) == 0)
                    size = st.st_size;
            if (d) closedir(d);
        }
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        succeed(run(RUN, "-o", target, "--quiet"));
        long whole = cases[k].whole ? cases[k].whole : worked("calm", cases[k].timing);
        assert_true(worked(folder, cases[k].timing) < whole);
        char a[80];
        snprintf(a, sizeof a, "%s/person-1.npz", folder);
        same_files("calm/person-1.npz", a);
    }
}

// Killed while it solves, writes, draws and makes the page: nothing half-written has a name that a user would take for
// a result, and the next run goes on from what perception left, to the same motion.
static void killed_after_perception(void **state) {
    (void)state;
    need_weights();
#define DRAWN                                                                                                          \
    "run", in_dir("clip.mp4"), "--weights", in_dir("weights"), "--heads", "4", "--people", "3", "-o", in_dir("drawn")
    succeed(run(DRAWN, "--quiet"));
    rename(in_dir("drawn/person-1.npz"), in_dir("drawn-1.npz"));
    static const char *const results[] = {"person-1.npz", "scene.json", "overlay.mp4", "world.mp4"};
    enum { RESULTS = sizeof results / sizeof *results, KILLS = 6 };
    long kills = 0;
    for (int k = 0; k < KILLS; k++) {
        char name[40];
        for (int i = 0; i < RESULTS; i++) snprintf(name, sizeof name, "drawn/%s", results[i]), unlink(in_dir(name));
        pid_t child = start((const char *const[]){"gvhmr", DRAWN, "--quiet", NULL});
        double begun = gv_now();
        while (access(in_dir("drawn/scene.json"), F_OK) && gv_now() - begun < 60) usleep(200); // then it draws
        usleep((useconds_t)(k * 80000));
        kill(child, SIGKILL);
        kills += finish(child) != 0;
        same_files("drawn/person-1.npz", "drawn-1.npz");
        for (int i = 2; i < RESULTS; i++) {
            snprintf(name, sizeof name, "drawn/%s", results[i]);
            if (access(in_dir(name), F_OK)) continue;
            gv_video *v = NULL;
            gv_frame f = {0};
            long frames = 0;
            assert_int_equal(gv_video_open(&v, in_dir(name), NULL, NULL), GV_OK);
            while (gv_video_next(v, &f, NULL) == GV_OK && f.rgb) frames++;
            gv_video_close(v);
            assert_int_equal(frames, FRAMES);
        }
    }
    assert_true(kills > 0);
    succeed(run(DRAWN, "--quiet"));
    assert_int_equal(worked("drawn", "people") + worked("drawn", "keypoints"), 0);
    same_files("drawn/person-1.npz", "drawn-1.npz");
    DIR *d = opendir(in_dir("drawn"));
    for (struct dirent *e; d && (e = readdir(d));)
        if (strstr(e->d_name, ".tmp")) fail_msg("%s was left behind", e->d_name);
    if (d) closedir(d);
#undef DRAWN
}

static void damaged_caches_are_made_again(void **state) {
    (void)state;
    need_weights();
    char path[300];
    snprintf(path, sizeof path, "%s/calm/cache", dir);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        int fd = openat(dirfd(d), e->d_name, O_RDWR);
        struct stat st;
        assert_true(fd >= 0 && fstat(fd, &st) == 0);
        char byte = 0x55;
        assert_int_equal(pwrite(fd, &byte, 1, st.st_size / 2), 1);
        close(fd);
    }
    closedir(d);
    rename(in_dir("calm/person-1.npz"), in_dir("before.npz"));
    succeed(run(RUN, "-o", in_dir("calm")));
    assert_non_null(strstr(said(), "damaged"));
    same_files("calm/person-1.npz", "before.npz");
}

static gv_observations observed(const char *name) {
    gv_observations o;
    gv_error err = {0};
    if (gv_observations_load(&o, in_dir(name), &err) != GV_OK) fail_msg("%s", err.text);
    return o;
}

static void methods_mix(void **state) {
    (void)state;
    need_weights();
    static const char *const detectors[] = {"blazepose", "yolov8"}, *const points[] = {"blazepose", "vitpose"},
                             *const features[] = {"none", "hmr2"};
    for (int i = 0; i < 8; i++) {
        const char *out = in_dir("mix.npz");
        succeed(run(OBSERVE, "-o", out, "--cache", in_dir("mixes"), "--people", "2", "--detector", detectors[i & 1],
                    "--keypoints", points[i >> 1 & 1], "--features", features[i >> 2], i & 1 ? "--quiet" : "--fast"));
        gv_observations o = observed("mix.npz");
        assert_true(o.frames >= FRAMES / 2);
        assert_true((o.f_imgseq != NULL) == (i >= 4));
        double sure = 0;
        for (int k = 0; k < 17 * o.frames; k++) sure += o.kp2d[3 * k + 2] != 0;
        if (points[i >> 1 & 1][0] == 'v') assert_true(sure > 0); // random networks are never exactly unsure
        gv_observations_free(&o);
    }
}

static void predict_takes_the_folder(void **state) {
    (void)state;
    need_weights();
    succeed(run(OBSERVE, "-o", in_dir("obs.npz"), "--detector", "blazepose"));
    assert_int_equal(access(in_dir("obs.cache"), F_OK), 0);
    succeed(run("predict", in_dir("obs.npz"), "-o", in_dir("a.npz"), "--weights", in_dir("weights"), "--heads", "4"));
    assert_non_null(strstr(said(), "network gvhmr_siga24_release.ckpt, body SMPLX_NEUTRAL.npz"));
    succeed(run("predict", in_dir("obs.npz"), "-o", in_dir("b.npz"), "--model",
                in_dir("weights/gvhmr/gvhmr_siga24_release.ckpt"), "--body-model",
                in_dir("weights/body_models/smplx/SMPLX_NEUTRAL.npz"), "--heads", "4"));
    same_files("a.npz", "b.npz");
    succeed(run("predict", in_dir("obs.npz"), "-o", in_dir("c.npz"), "--heads", "4", "--quiet"));
    unsigned char *x, *y; // the folder did make a difference
    size_t n, m;
    gv_file_read(in_dir("a.npz"), 0, &x, &n, NULL);
    gv_file_read(in_dir("c.npz"), 0, &y, &m, NULL);
    assert_true(n != m || memcmp(x, y, n));
    free(x);
    free(y);
}

// Keypoints made elsewhere: our own, written down, come back as the same motion's input.
static void keypoints_of_others(void **state) {
    (void)state;
    need_weights();
    succeed(run(OBSERVE, "-o", in_dir("own.npz"), "--detector", "blazepose", "--keypoints", "blazepose", "--features",
                "none"));
    gv_observations own = observed("own.npz");
    FILE *f = fopen(in_dir("points.json"), "w");
    fprintf(f, "[");
    for (int t = 0; t < own.frames; t++) {
        fprintf(f, "%s{\"image_id\": %d, \"category_id\": 1, \"score\": 1, \"keypoints\": [", t ? "," : "",
                own.frame_index[t]);
        for (int i = 0; i < 51; i++) fprintf(f, "%s%.6g", i ? "," : "", (double)own.kp2d[51 * t + i]);
        fprintf(f, "]}");
    }
    fprintf(f, "]");
    fclose(f);
    succeed(run(OBSERVE, "-o", in_dir("theirs.npz"), "--keypoints", in_dir("points.json"), "--features", "hmr2"));
    assert_non_null(strstr(said(), "detector from keypoints, keypoints points.json"));
    gv_observations theirs = observed("theirs.npz");
    assert_true(theirs.frames > FRAMES / 2 && theirs.f_imgseq);
    int shift = theirs.frame_index[0] - own.frame_index[0], compared = 0;
    for (int t = 0; t < theirs.frames && t + shift < own.frames; t++)
        for (int j = 0; j < 17; j++) {
            const float *a = theirs.kp2d + 51 * t + 3 * j, *b = own.kp2d + 51 * (t + shift) + 3 * j;
            if (a[2] <= 0 || fabsf(a[2] - b[2]) > 1e-4f) continue; // distrusted or filled in on one side
            assert_true(fabsf(a[0] - b[0]) < 0.01f && fabsf(a[1] - b[1]) < 0.01f);
            compared++;
        }
    assert_true(compared > 10 * theirs.frames);
    gv_observations_free(&own);
    gv_observations_free(&theirs);
    refused(run(OBSERVE, "-o", in_dir("no.npz"), "--keypoints", in_dir("clip.mp4")), "clip.mp4");
    refused(run(OBSERVE, "-o", in_dir("no.npz"), "--keypoints", in_dir("points.json"), "--detector", "yolov8"),
            "give one of them");
}

// ---- bad files

static void bad_weights_are_told_of_first(void **state) {
    (void)state;
    need_weights();
    const char *out = in_dir("refused");
    const char *vit = in_dir("weights/vitpose/vitpose-h-multi-coco.pth");
    const char *hmr = in_dir("weights/hmr2/epoch=10-step=25000.ckpt");
    const char *yolo = in_dir("weights/yolo/yolov8x.pt");
    refused(run(RUN, "-o", out, "--keypoints", hmr), "not a checkpoint of ViTPose");
    refused(run(RUN, "-o", out, "--features", vit), "not a checkpoint of HMR2.0");
    refused(run(RUN, "-o", out, "--detector", vit), "vitpose-h-multi-coco.pth");
    copy_shared("reference/perception/ckpt/hmr2-tiny.ckpt", in_dir("narrow.ckpt")); // 64 numbers per token
    refused(run(RUN, "-o", out, "--features", in_dir("narrow.ckpt")), "narrow.ckpt");
    unsigned char *data;
    size_t size;
    gv_error err = {0};
    const char *const files[] = {vit, hmr, yolo}, *const options[] = {"--keypoints", "--features", "--detector"};
    for (int i = 0; i < 3; i++) { // cut in two
        assert_int_equal(gv_file_read(files[i], 0, &data, &size, &err), GV_OK);
        const char *half = in_dir(i == 2 ? "half.pt" : "half.pth");
        assert_int_equal(gv_file_write(half, data, size / 2, &err), GV_OK);
        free(data);
        refused(run(RUN, "-o", out, options[i], half), "half.pt");
    }
    refused(run(RUN, "-o", out, "--weights", dir), "has none of GVHMR's files");
    assert_int_not_equal(access(in_dir("refused/scene.json"), F_OK), 0);
}

// ---- set up

static void make_clip(const char *from) {
    gv_error err = {0};
    gv_video *v = NULL;
    gv_video_writer *w = NULL;
    gv_frame f;
    assert_int_equal(gv_video_open(&v, from, &(gv_video_options){.max_side = 240}, &err), GV_OK);
    const gv_video_info *info = gv_video_get_info(v);
    assert_int_equal(gv_video_create(&w, in_dir("clip.mp4"), info->width, info->height, RATE, &err), GV_OK);
    for (int t = 0; t < FRAMES; t++) {
        assert_int_equal(gv_video_next(v, &f, &err), GV_OK);
        assert_int_equal(gv_video_write(w, f.rgb, f.stride, (double)t / RATE, &err), GV_OK);
    }
    assert_int_equal(gv_video_finish(w, &err), GV_OK);
    gv_video_close(v);
}

static int set_up(void **state) {
    if (make_dir(state) != 0) return -1;
    ready = shared_path("data/videos/tennis.mp4") && make_weights_folder(in_dir("weights"));
    if (ready) make_clip(shared_path("data/videos/tennis.mp4"));
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_flow_and_again),          cmocka_unit_test(killed_in_every_stage),
        cmocka_unit_test(work_done_is_not_done_again),   cmocka_unit_test(killed_after_perception),
        cmocka_unit_test(damaged_caches_are_made_again), cmocka_unit_test(methods_mix),
        cmocka_unit_test(predict_takes_the_folder),      cmocka_unit_test(keypoints_of_others),
        cmocka_unit_test(bad_weights_are_told_of_first),
    };
    return cmocka_run_group_tests(tests, set_up, remove_dir);
}
