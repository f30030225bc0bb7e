// The program on bad input: one clear line that names the thing, a non-zero status, nothing half-written.
// On good input, from a video to the files, as a user would.
#include "base/file.h"
#include "clip.h"
#include "formats/motion_file.h"
#include "folder.h"
#include "video/video.h"

#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

typedef struct outcome {
    int status;
    char text[4096]; // of stderr
    int lines;
} outcome;

// Runs the program with a limit on the size of any file it writes (0: none).
static outcome run_limited(rlim_t file_bytes, const char *const *argv) {
    outcome o = {0};
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (file_bytes) {
            signal(SIGXFSZ, SIG_IGN); // writes fail with EFBIG, like a full disk with ENOSPC
            setrlimit(RLIMIT_FSIZE, &(struct rlimit){file_bytes, file_bytes});
        }
        dup2(fd[1], STDERR_FILENO);
        close(fd[0]);
        close(fd[1]);
        execv(GV_TEST_PROGRAM, (char *const *)argv);
        _exit(127);
    }
    close(fd[1]);
    size_t used = 0;
    ssize_t n;
    while ((n = read(fd[0], o.text + used, sizeof o.text - 1 - used)) > 0) used += (size_t)n;
    close(fd[0]);
    int status;
    waitpid(child, &status, 0);
    o.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    for (char *p = o.text; *p; p++) o.lines += *p == '\n';
    return o;
}

#define run(...) run_limited(0, (const char *const[]){"gvhmr", __VA_ARGS__, NULL})

static int entries(const char *path) {
    int n = 0;
    DIR *d = opendir(path);
    if (!d) return 0;
    for (struct dirent *e; (e = readdir(d));) n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    closedir(d);
    return n;
}

static void refused(outcome o, const char *must_name) {
    if (o.status == 0 || o.status >= 126 || o.lines != 1 || !strstr(o.text, must_name))
        fail_msg("status %d, %d lines, expected \"%s\" in: %s", o.status, o.lines, must_name, o.text);
    assert_int_equal(strncmp(o.text, "gvhmr", 5), 0);
    assert_int_equal(entries(in_dir("out")), 0);
}

static void make_video(const char *name, int width, int height, int frames, int grey) {
    gv_error err = {0};
    gv_video_writer *w = NULL;
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3);
    assert_non_null(rgb);
    memset(rgb, grey, (size_t)width * (size_t)height * 3);
    assert_int_equal(gv_video_create(&w, in_dir(name), width, height, 30, &err), GV_OK);
    for (int t = 0; t < frames; t++) assert_int_equal(gv_video_write(w, rgb, width * 3, t / 30.0, &err), GV_OK);
    assert_int_equal(gv_video_finish(w, &err), GV_OK);
    free(rgb);
}

static void make_sound(void) { // one second of silence: a valid WAV file without any picture
    unsigned char wav[44 + 8000] =
        "RIFF\x64\x1f\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x40\x1f\0";
    memset(wav + 44, 128, 8000);
    write_bytes("sound.mp4", wav, sizeof wav);
}

static void wrong_command_lines(void **state) {
    (void)state;
    refused(run("fly"), "fly");
    refused(run("run"), "VIDEO");
    refused(run("run", "a.mp4"), "-o");
    refused(run("run", "a.mp4", "b.mp4", "-o", in_dir("out")), "VIDEO");
    refused(run("run", "a.mp4", "-o", in_dir("out"), "--landmarks", "huge"), "huge");

    refused(run("run", "a.mp4", "-o", in_dir("out"), "--fps", "-3"), "-3");
    refused(run("run", "a.mp4", "-o", in_dir("out"), "--people", "0"), "0");
    refused(run("run", "a.mp4", "-o", in_dir("out"), "--no-such-option"), "--no-such-option");
    refused(run("predict", "a.npz"), "-o");
}

static void files_that_are_no_videos(void **state) {
    (void)state;
    refused(run("run", in_dir("absent.mp4"), "-o", in_dir("out")), "absent.mp4");
    write_text("text.mp4", "this is not a video\n");
    refused(run("run", in_dir("text.mp4"), "-o", in_dir("out")), "text.mp4");
    write_text("empty.mp4", "");
    refused(run("run", in_dir("empty.mp4"), "-o", in_dir("out")), "empty.mp4");
    make_sound();
    refused(run("run", in_dir("sound.mp4"), "-o", in_dir("out")), "sound.mp4");
    refused(run("run", dir, "-o", in_dir("out")), "folder");
}

static void videos_without_anybody(void **state) {
    (void)state;
    make_video("one.mp4", 320, 240, 1, 0);
    refused(run("run", in_dir("one.mp4"), "-o", in_dir("out")), "no person");
    make_video("dot.mp4", 1, 1, 3, 200);
    refused(run("run", in_dir("dot.mp4"), "-o", in_dir("out")), "no person");
    make_video("grey.mp4", 333, 251, 20, 128);
    refused(run("run", in_dir("grey.mp4"), "-o", in_dir("out")), "no person");
    refused(run("observe", in_dir("grey.mp4"), "-o", in_dir("obs.npz")), "no person");
    assert_int_not_equal(access(in_dir("obs.npz"), F_OK), 0);
}

static void models_missing_or_damaged(void **state) {
    (void)state;
    make_video("short.mp4", 160, 120, 2, 90);
    write_bytes("bad.safetensors", "\x10\0\0\0\0\0\0\0{\"a\":0}", 15);
    refused(run("run", in_dir("short.mp4"), "-o", in_dir("out"), "--model", in_dir("bad.safetensors")),
            "bad.safetensors");
    refused(run("run", in_dir("short.mp4"), "-o", in_dir("out"), "--model", in_dir("none.ckpt")), "none.ckpt");
    refused(run("run", in_dir("short.mp4"), "-o", in_dir("out"), "--body-model", in_dir("text.mp4")), "text.mp4");
}

static void outputs_that_cannot_be(void **state) {
    (void)state;
    refused(run("run", in_dir("short.mp4"), "-o", in_dir("text.mp4/sub")), "text.mp4");
    refused(run("run", in_dir("short.mp4"), "-o", "/proc/nobody"), "/proc/nobody");
    refused(run("observe", in_dir("short.mp4"), "-o", "/nonexistent/obs.npz"), "/nonexistent");
    refused(run("run", in_dir("short.mp4"), "-o", in_dir("out"), "--focal-length", "wide"), "wide");
}

static const char *clip(void) {
    static char path[256];
    snprintf(path, sizeof path, "%s", in_dir("vtest30.mp4"));
    make_clip(path, 30);
    return path;
}

static long frames_of(const char *path) {
    gv_error err = {0};
    gv_video *v = NULL;
    gv_frame f = {0};
    long n = 0;
    assert_int_equal(gv_video_open(&v, path, NULL, &err), GV_OK);
    while (gv_video_next(v, &f, &err) == GV_OK && f.rgb) n++;
    gv_video_close(v);
    return n;
}

static void from_video_to_files(void **state) {
    (void)state;
    const char *video = clip();
    outcome o = run("run", video, "-o", in_dir("good"), "--side-by-side");
    if (o.status) fail_msg("%s", o.text);
    if (*o.text) { // quiet in a pipe, but for one line where the viewer has not been built
        assert_non_null(strstr(o.text, "viewer.html was left out"));
        assert_int_equal(o.lines, 1);
    } else {
        assert_int_equal(access(in_dir("good/viewer.html"), R_OK), 0);
    }
    gv_motion m;
    gv_error err = {0};
    assert_int_equal(gv_motion_load(&m, in_dir("good/person-1.npz"), &err), GV_OK);
    assert_true(m.frames >= 20 && m.frames <= 30);
    assert_float_equal(m.fps, 10, 0.01);
    for (int t = 0; t < m.frames; t++) { // a pedestrian: head above pelvis above ankles, on the ground
        const float *j = m.joints_world + t * 66;
        assert_true(j[3 * 15 + 1] > j[1] + 0.3f && j[1] > j[3 * 7 + 1] + 0.3f);
        assert_true(j[1] > 0.5f && j[1] < 1.3f);
    }
    gv_motion_free(&m);
    assert_int_equal(frames_of(in_dir("good/overlay.mp4")), 30);
    assert_int_equal(frames_of(in_dir("good/world.mp4")), 30);
    assert_int_equal(frames_of(in_dir("good/side-by-side.mp4")), 30);
    assert_int_equal(access(in_dir("good/scene.json"), R_OK), 0);
}

static void observe_and_predict_are_run(void **state) {
    (void)state;
    const char *video = clip();
    assert_int_equal(run("run", video, "-o", in_dir("plain"), "--no-refinement", "--no-video", "--people", "1").status,
                     0);
    assert_int_equal(run("observe", video, "-o", in_dir("obs.npz")).status, 0);
    outcome o = run("predict", in_dir("obs.npz"), "-o", in_dir("motion.npz"), "--static-camera");
    if (o.status) fail_msg("%s", o.text);
    gv_motion a, b;
    gv_error err = {0};
    assert_int_equal(gv_motion_load(&a, in_dir("motion.npz"), &err), GV_OK);
    assert_int_equal(gv_motion_load(&b, in_dir("plain/person-1.npz"), &err), GV_OK);
    assert_int_equal(a.frames, b.frames);
    assert_true(max_abs_diff(a.joints_world, b.joints_world, (size_t)a.frames * 66) < 1e-5);
    gv_motion_free(&a);
    gv_motion_free(&b);
}

static void full_disk(void **state) {
    (void)state;
    const char *video = clip();
    outcome o = run_limited(20000, (const char *const[]){"gvhmr", "run", video, "-o", in_dir("out"), NULL});
    assert_int_not_equal(o.status, 0);
    assert_true(o.status < 126);
    assert_int_equal(o.lines, 1);
    DIR *d = opendir(in_dir("out")); // what is there is whole; no temporary file is left
    for (struct dirent *e; d && (e = readdir(d));) assert_null(strstr(e->d_name, "tmp"));
    if (d) closedir(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_command_lines),
        cmocka_unit_test(files_that_are_no_videos),
        cmocka_unit_test(videos_without_anybody),
        cmocka_unit_test(models_missing_or_damaged),
        cmocka_unit_test(outputs_that_cannot_be),
        cmocka_unit_test(from_video_to_files),
        cmocka_unit_test(observe_and_predict_are_run),
        cmocka_unit_test(full_disk),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
