// Many videos: what is done is not done again, what fails costs only itself, and a kill at any moment loses nothing.
#include "folder.h"
#include "clip.h"
#include "formats/motion_file.h"
#include "base/file.h"
#include "pipeline/batch_list.h"
#include "pipeline/batch_lock.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static pid_t start(const char *list, const char *folder, const char *option) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, STDERR_FILENO);
        execl(GV_TEST_PROGRAM, "gvhmr", "batch", list, "-o", folder, "--no-video", "--export", "none", "--landmarks",
              "lite", option, NULL);
        _exit(127);
    }
    return child;
}

static int finish(pid_t child) {
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static json_t *report(const char *path, int count, int done, int failed) {
    json_t *o = json_load_file(path, 0, NULL);
    assert_non_null(o);
    assert_int_equal(json_integer_value(json_object_get(o, "count")), count);
    assert_int_equal(json_integer_value(json_object_get(o, "done")), done);
    assert_int_equal(json_integer_value(json_object_get(o, "failed")), failed);
    assert_int_equal(json_array_size(json_object_get(o, "videos")), count);
    return o;
}

static int temporaries(const char *folder) {
    int n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        struct stat st;
        n += !strncmp(e->d_name, ".tmp", 4);
        if (e->d_name[0] != '.' && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) n += temporaries(path);
    }
    closedir(d);
    return n;
}

static void lists_are_read(void **state) {
    (void)state;
    gv_batch_list l;
    gv_error err = {0};
    write_text("names.txt",
               "# a list\n\n  \nwalk.mp4 \r\n/far/walk.mov\nrun.x.mp4\tfirst\nfirst\n.hidden\n..mp4\n...mp4\nx/\n");
    if (gv_batch_list_read(&l, in_dir("names.txt"), "out", &err) != GV_OK) fail_msg("%s", err.text);
    static const char *const names[] = {"walk", "walk-2", "first", "first-2", ".hidden", "_", "__", "video"};
    assert_int_equal(l.count, 8);
    for (int i = 0; i < 8; i++) assert_string_equal(l.item[i].name, names[i]);
    assert_string_equal(l.item[0].video, in_dir("walk.mp4"));
    assert_string_equal(l.item[1].video, "/far/walk.mov");
    assert_string_equal(l.item[2].folder, "out/first");
    gv_batch_list_free(&l);
    write_text("bad.txt", "a.mp4\t../up\n");
    assert_int_equal(gv_batch_list_read(&l, in_dir("bad.txt"), "out", &err), GV_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "line 1"));
    write_text("bad.txt", "# nothing\n");
    assert_int_equal(gv_batch_list_read(&l, in_dir("bad.txt"), "out", &err), GV_ERR_EMPTY);
    assert_int_equal(gv_batch_list_read(&l, in_dir("none.txt"), "out", &err), GV_ERR_IO);
}

static void records_are_known_by_contents_and_options(void **state) {
    (void)state;
    gv_error err = {0};
    gv_batch_item item = {(char *)"v\xff.mp4", (char *)"v", dir};
    gv_batch_record r = {
        .state = GV_BATCH_FAILED, .fingerprint = "f", .options = "o", .reason = "torn \xff", .seconds = 2};
    assert_int_equal(gv_batch_record_write(&item, &r, &err), GV_OK);
    assert_int_equal(gv_batch_record_read(&item, "f", "o").state, GV_BATCH_FAILED);
    assert_string_equal(gv_batch_record_read(&item, "f", "o").reason, "torn ?");
    assert_int_equal(gv_batch_record_read(&item, "g", "o").state, GV_BATCH_OPEN);
    assert_int_equal(gv_batch_record_read(&item, "f", "p").state, GV_BATCH_OPEN);
    write_text("BATCH.json", "{\"state\": 1, \"fingerprint\": [");
    assert_int_equal(gv_batch_record_read(&item, "f", "o").state, GV_BATCH_OPEN);
    unlink(in_dir("BATCH.json"));
}

static void same_motion(const char *a, const char *b) {
    gv_motion x, y;
    gv_error err = {0};
    assert_int_equal(gv_motion_load(&x, a, &err), GV_OK);
    assert_int_equal(gv_motion_load(&y, b, &err), GV_OK);
    assert_int_equal(x.frames, y.frames);
    assert_memory_equal(x.joints_world, y.joints_world, (size_t)x.frames * 66 * sizeof(float));
    gv_motion_free(&x);
    gv_motion_free(&y);
}

// Killed again and again, each time a little later, until it gets through: the results are those of a run undisturbed.
static void a_killed_batch_goes_on(void **state) {
    (void)state;
    make_clip(in_dir("walk.mp4"), 25);
    write_text("text.mp4", "not a video\n");
    write_text("list.txt", "walk.mp4\ntext.mp4\nmissing.mp4\nwalk.mp4\tagain\n");
    assert_int_equal(finish(start(in_dir("list.txt"), in_dir("calm"), "--quiet")), 1);
    json_decref(report(in_dir("calm/report.json"), 4, 2, 2));
    int kills = 0;
    for (long ms = 150;; ms = ms * 3 / 2, kills++) {
        pid_t child = start(in_dir("list.txt"), in_dir("wild"), "--quiet");
        nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
        int status;
        if (waitpid(child, &status, WNOHANG) == child) {
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
            break;
        }
        kill(child, SIGKILL);
        finish(child);
    }
    printf("killed %d times\n", kills);
    assert_true(kills > 0);
    json_t *o = report(in_dir("wild/report.json"), 4, 2, 2);
    json_t *text = json_array_get(json_object_get(o, "videos"), 1);
    assert_non_null(strstr(json_string_value(json_object_get(text, "reason")), "text.mp4"));
    json_decref(o);
    assert_int_equal(temporaries(in_dir("wild")), 0);
    same_motion(in_dir("calm/walk/person-1.npz"), in_dir("wild/walk/person-1.npz"));
    same_motion(in_dir("calm/walk/person-1.npz"), in_dir("wild/again/person-1.npz"));
    struct stat before, after;
    assert_int_equal(stat(in_dir("wild/walk/person-1.npz"), &before), 0);
    assert_int_equal(finish(start(in_dir("list.txt"), in_dir("wild"), "--report")), 1);
    assert_int_equal(finish(start(in_dir("list.txt"), in_dir("wild"), "--quiet")), 1); // nothing left to do
    assert_int_equal(stat(in_dir("wild/walk/person-1.npz"), &after), 0);
    assert_true(before.st_ino == after.st_ino && before.st_mtime == after.st_mtime);
}

// Shards of one number share a folder; whoever could do the same videos is kept out.
static void shards_share_a_folder(void **state) {
    (void)state;
    gv_error err = {0};
    gv_batch_lock whole, a, b, c;
    bool busy;
    for (int round = 0; round < 2; round++) { // the number of shards may be another one next time
        int n = 3 - round;
        assert_int_equal(gv_batch_lock_take(&a, dir, 1, n, &busy, &err), GV_OK);
        assert_int_equal(gv_batch_lock_take(&b, dir, 2, n, &busy, &err), GV_OK);
        assert_int_equal(gv_batch_lock_take(&c, dir, 2, n, &busy, &err), GV_ERR_ARGUMENT);
        assert_true(busy);
        assert_int_equal(gv_batch_lock_take(&c, dir, 1, n + 1, &busy, &err), GV_ERR_ARGUMENT);
        assert_true(busy);
        assert_int_equal(gv_batch_lock_take(&whole, dir, 0, 0, &busy, &err), GV_ERR_ARGUMENT);
        assert_true(busy);
        gv_batch_unlock(&a);
        gv_batch_unlock(&b);
        assert_int_equal(gv_batch_lock_take(&whole, dir, 0, 0, &busy, &err), GV_OK);
        assert_int_equal(gv_batch_lock_take(&c, dir, 1, n, &busy, &err), GV_ERR_ARGUMENT);
        assert_non_null(strstr(err.text, "another batch"));
        gv_batch_unlock(&whole);
    }
    assert_int_equal(gv_batch_lock_take(&a, in_dir("none"), 1, 2, &busy, &err), GV_ERR_IO);
}

// What one shard is writing is not another one's to tidy up.
static void only_ones_own_remains_are_removed(void **state) {
    (void)state;
    write_text(".tmp999999.0-report-1-of-2.json", "");
    write_text(".tmp999998.0-report-2-of-2.json", "");
    gv_folder_clean(dir, "report-1-of-2.json");
    assert_int_not_equal(access(in_dir(".tmp999999.0-report-1-of-2.json"), F_OK), 0);
    assert_int_equal(access(in_dir(".tmp999998.0-report-2-of-2.json"), F_OK), 0);
    gv_folder_clean(dir, NULL);
    assert_int_equal(temporaries(dir), 0);
}

static void two_batches_do_not_share_a_folder(void **state) {
    (void)state;
    make_clip(in_dir("walk.mp4"), 25);
    write_text("one.txt", "walk.mp4\n");
    pid_t first = start(in_dir("one.txt"), in_dir("shared"), "--quiet");
    while (access(in_dir("shared/walk"), F_OK) != 0) nanosleep(&(struct timespec){0, 5000000}, NULL);
    assert_int_equal(finish(start(in_dir("one.txt"), in_dir("shared"), "--quiet")), 75);
    assert_int_equal(finish(start(in_dir("one.txt"), in_dir("shared"), "--shard=2/2")), 75);
    assert_int_not_equal(access(in_dir("shared/report.json"), F_OK), 0); // and left the first one alone
    kill(first, SIGTERM);
    assert_int_equal(finish(first), 130);
    json_decref(report(in_dir("shared/report.json"), 1, 0, 0));
    assert_int_equal(temporaries(in_dir("shared")), 0);
    assert_int_equal(finish(start(in_dir("one.txt"), in_dir("x"), "--shard=3/2")), 2);
    assert_int_equal(finish(start(in_dir("one.txt"), in_dir("empty"), "--shard=2/2")),
                     0); // nothing of it is this part's
    json_decref(report(in_dir("empty/report-2-of-2.json"), 1, 0, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read),
        cmocka_unit_test(records_are_known_by_contents_and_options),
        cmocka_unit_test(a_killed_batch_goes_on),
        cmocka_unit_test(shards_share_a_folder),
        cmocka_unit_test(only_ones_own_remains_are_removed),
        cmocka_unit_test(two_batches_do_not_share_a_folder),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
