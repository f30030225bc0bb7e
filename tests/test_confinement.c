// Decoding without rights: what is forbidden fails, the frames are the same, and whatever happens to the process that
// decodes is one line.
#define _GNU_SOURCE
#include "base/confine.h"
#include "base/jail.h"
#include "base/progress.h"
#include "clip.h"
#include "folder.h"
#include "picture.h"
#include "video/video.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static gv_jail *jail;

static bool filtered(void) {
    if (!gv_confine_lack()) return true;
    printf("skipped: %s\n", gv_confine_lack());
    return false;
}

// ---- what a confined process may do

typedef int attempt(void); // 0: it was done, else errno

static int answer(long result) {
    return result < 0 ? errno : 0;
}

static int open_a_file(void) {
    return answer(open("/etc/passwd", O_RDONLY));
}

static int make_a_file(void) {
    return answer(open("/tmp/gvhmr-must-not-be-there", O_WRONLY | O_CREAT, 0600));
}

static int remove_a_file(void) {
    return answer(unlink("/tmp/gvhmr-not-there-either"));
}

static int make_code(void) {
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? errno : 0;
}

static int raise_a_limit(void) {
    struct rlimit {
        unsigned long now, most;
    } r = {64, 64};
    return answer(syscall(SYS_prlimit64, 0, 7, &r, NULL));
}

static int duplicate(void) {
    return answer(dup(0));
}

static int connect_somewhere(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    return answer(s < 0 ? s : connect(s, (struct sockaddr *)&to, sizeof to));
}

static int start_a_program(void) {
    return answer(execl("/bin/true", "true", (char *)NULL));
}

static int start_a_process(void) {
    pid_t p = fork();
    if (p == 0) _exit(0);
    return answer(p);
}

static int end_a_process(void) {
    return answer(kill(getppid(), SIGTERM));
}

static void *nothing(void *arg) {
    return arg;
}

static int compute(void) { // all that decoding needs
    pthread_t t;
    char *p = malloc(1 << 24), line[16];
    if (!p || pthread_create(&t, NULL, nothing, NULL) != 0 || pthread_join(t, NULL) != 0) return ENOMEM;
    memset(p, 1, 1 << 24);
    free(p);
    return pread(0, line, sizeof line, 0) < 0 && errno != ESPIPE ? errno : 0;
}

static int fall_over(void) {
    raise(SIGSEGV);
    return 0;
}

static int give_up(void) {
    abort();
}

static int take_all_memory(void) {
    for (size_t all = 0; all < (size_t)4 << 30; all += (size_t)64 << 20)
        if (!malloc((size_t)64 << 20)) return ENOMEM;
    return 0;
}

typedef struct task {
    attempt *what;
    size_t memory;
    bool hang;
} task;

static void attempt_it(int socket, const void *request, const int *fds) {
    const task *t = request;
    (void)fds;
    gv_confine(0, t->memory);
    if (t->hang)
        for (;;) pause();
    int result[4] = {t->what()};
    gv_jail_send(socket, result, sizeof result);
}

// Its answer, -1 where the process ended without one: err says how.
static int do_it(const task *t, gv_error *err) {
    int socket, result[4] = {0};
    size_t bytes = sizeof result;
    ok(gv_jail_start(jail, attempt_it, t, sizeof *t, NULL, 0, &socket, err), err);
    gv_jail_answer a = gv_jail_receive(socket, result, &bytes, 30, NULL, err);
    gv_jail_end(socket);
    return a == GV_JAIL_PACKET ? result[0] : -1;
}

static void what_is_forbidden_fails(void **state) {
    (void)state;
    static const struct {
        const char *name;
        attempt *what;
        int want; // errno, 0: done, -1: ended
        const char *words;
    } rows[] = {
        {"compute", compute, 0, ""},
        {"open a file", open_a_file, EPERM, ""},
        {"make a file", make_a_file, EPERM, ""},
        {"remove a file", remove_a_file, EPERM, ""},
        {"make code", make_code, EPERM, ""},
        {"raise a limit", raise_a_limit, EPERM, ""},
        {"duplicate a descriptor", duplicate, EPERM, ""},
        {"connect", connect_somewhere, -1, "no need of"},
        {"start a program", start_a_program, -1, "no need of"},
        {"start a process", start_a_process, -1, "no need of"},
        {"end a process", end_a_process, -1, "no need of"},
        {"fall over", fall_over, -1, "signal 11"},
        {"abort", give_up, -1, "signal 6"},
    };
    if (!filtered()) skip();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        gv_error err = {0};
        int got = do_it(&(task){rows[i].what, 0, false}, &err);
        if (got != rows[i].want || !strstr(err.text, rows[i].words))
            fail_msg("%s: %d (%s), expected %d", rows[i].name, got, got > 0 ? strerror(got) : err.text, rows[i].want);
    }
    assert_int_not_equal(access("/tmp/gvhmr-must-not-be-there", F_OK), 0);
}

static void memory_is_bounded(void **state) {
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip();
#endif
    gv_error err = {0};
    assert_int_equal(do_it(&(task){take_all_memory, (size_t)256 << 20, false}, &err), ENOMEM);
}

static void a_hanging_process_is_ended(void **state) {
    (void)state;
    gv_error err = {0};
    int socket;
    char data[16];
    size_t bytes = sizeof data;
    ok(gv_jail_start(jail, attempt_it, &(task){.hang = true}, sizeof(task), NULL, 0, &socket, &err), &err);
    assert_int_equal(gv_jail_receive(socket, data, &bytes, 0.5, NULL, &err), GV_JAIL_SILENT);
    double start = gv_now();
    gv_jail_end(socket);
    assert_true(gv_now() - start < 4);
}

// ---- video

// Processes of a name whose parent's parent is `ancestor`; the first one's id in *pid.
static int processes(const char *name, pid_t ancestor, pid_t *pid) {
    DIR *d = opendir("/proc");
    int count = 0;
    for (struct dirent *e; (e = readdir(d));) {
        int id = atoi(e->d_name), parent[3] = {id};
        char comm[64] = "", own[64] = "";
        for (int k = 0; id && k < 3; k++) { // decoder, guard, jail
            char path[40];
            snprintf(path, sizeof path, "/proc/%d/stat", parent[k]);
            FILE *f = fopen(path, "r");
            int up = 0;
            if (!f || fscanf(f, "%*d (%60[^)]) %*c %d", comm, &up) != 2) up = 0;
            if (f) fclose(f);
            if (k == 0) memcpy(own, comm, sizeof own);
            if (k < 2)
                parent[k + 1] = up;
            else if (up == ancestor && !strcmp(own, name)) {
                count++;
                *pid = id;
            }
        }
    }
    closedir(d);
    return count;
}

static void make_empty(const char *path, int frames) { // nobody is in it
    static uint8_t rgb[96][128 * 3];
    gv_video_writer *w;
    gv_error err = {0};
    ok(gv_video_create(&w, path, 128, 96, 30, &err), &err);
    for (int t = 0; t < frames; t++) {
        memset(rgb, t, sizeof rgb);
        ok(gv_video_write(w, rgb[0], sizeof rgb[0], t / 30.0, &err), &err);
    }
    ok(gv_video_finish(w, &err), &err);
}

static gv_video *open_clip(const char *path, gv_jail *where) {
    gv_video *v = NULL;
    gv_error err = {0};
    ok(gv_video_open(&v, path, &(gv_video_options){.jail = where}, &err), &err);
    return v;
}

static void frames_are_the_same(void **state) {
    (void)state;
    make_part_of_clip(in_dir("clip.mp4"), 40, 0, 0, 640, 360);
    gv_video *a = open_clip(in_dir("clip.mp4"), NULL), *b = open_clip(in_dir("clip.mp4"), jail);
    const gv_video_info *i = gv_video_get_info(a), *j = gv_video_get_info(b);
    assert_true(i->width == j->width && i->height == j->height && i->fps == j->fps && i->frames == j->frames &&
                i->duration_sec == j->duration_sec && i->rotation == j->rotation);
    assert_string_equal(i->codec, j->codec);
    assert_string_equal(i->container, j->container);
    gv_frame f, g;
    gv_error err = {0};
    long n = 0;
    for (;; n++) {
        ok(gv_video_next(a, &f, &err), &err);
        ok(gv_video_next(b, &g, &err), &err);
        assert_int_equal(!f.rgb, !g.rgb);
        if (!f.rgb) break;
        assert_true(f.width == g.width && f.height == g.height && f.time_sec == g.time_sec && f.index == g.index &&
                    f.source_width == g.source_width && f.source_height == g.source_height);
        for (int y = 0; y < f.height; y++)
            assert_memory_equal(f.rgb + (ptrdiff_t)y * f.stride, g.rgb + (ptrdiff_t)y * g.stride, (size_t)f.width * 3);
    }
    assert_int_equal(n, 40);
    gv_video_close(a);
    gv_video_close(b);
}

static bool status_says(pid_t pid, const char *line) {
    char path[40], text[8192];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = 0;
    if (f) fclose(f);
    return strstr(text, line) != NULL;
}

static void a_decoder_has_no_rights(void **state) {
    (void)state;
    pid_t pid = 0;
    if (!filtered()) skip();
    make_empty(in_dir("rights.mp4"), 20);
    gv_video *v = open_clip(in_dir("rights.mp4"), jail);
    assert_int_equal(processes("gvhmr-decoder", getpid(), &pid), 1);
    assert_true(status_says(pid, "Seccomp:\t2") && status_says(pid, "NoNewPrivs:\t1") &&
                status_says(pid, "CapEff:\t0000000000000000"));
    gv_video_close(v);
    assert_int_equal(processes("gvhmr-decoder", getpid(), &pid), 0);
}

static void a_decoder_that_dies_is_one_line(void **state) {
    (void)state;
    static const int deaths[] = {SIGSEGV, SIGKILL, SIGSYS};
    static const char *const words[] = {"signal 11", "killed", "no need of"};
    make_empty(in_dir("dies.mp4"), 40);
    for (int k = 0; k < 3; k++) {
        gv_video *v = open_clip(in_dir("dies.mp4"), jail);
        gv_error err = {0};
        gv_frame f;
        pid_t pid = 0;
        ok(gv_video_next(v, &f, &err), &err);
        assert_int_equal(processes("gvhmr-decoder", getpid(), &pid), 1);
        kill(pid, deaths[k]);
        gv_status status = GV_OK;
        int n = 1;
        for (; status == GV_OK && n < 100; n++) status = gv_video_next(v, &f, &err);
        assert_true(n < 10); // what was decoded ahead, no more
        if (!strstr(err.text, words[k]) || !strstr(err.text, "dies.mp4")) fail_msg("%s", err.text);
        assert_int_equal(gv_video_next(v, &f, &err), status); // it stays so
        gv_video_close(v);
    }
    gv_video_close(open_clip(in_dir("dies.mp4"), jail)); // and the next one is fine
}

static const char *batch_said(void) {
    static char text[2048];
    FILE *f = fopen(in_dir("said"), "r");
    text[f ? fread(text, 1, sizeof text - 1, f) : 0] = 0;
    if (f) fclose(f);
    return text;
}

// A batch whose decoder is shot costs that video alone. Videos are opened more than once, only to look at their size
// first: shooting goes on until one shot tells, half a second apart.
static void a_batch_goes_on(void **state) {
    (void)state;
    make_empty(in_dir("long.mp4"), 1200);
    write_text("list.txt", "long.mp4\nlong.mp4\tagain\n");
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen(in_dir("said"), "w", stderr)) _exit(126);
        execl(GV_TEST_PROGRAM, "gvhmr", "batch", in_dir("list.txt"), "-o", in_dir("out"), "--no-video", "--landmarks",
              "lite", "--no-cache", (char *)NULL);
        _exit(127);
    }
    bool ended = false;
    for (int i = 0, wait = 0; i < 4000 && !ended && !strstr(batch_said(), "signal 11"); i++, wait -= wait > 0) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", child, child);
        FILE *f = fopen(path, "r");
        int worker = 0; // the batch's own
        pid_t decoder = 0;
        if (wait == 0 && f && fscanf(f, "%d", &worker) == 1 && processes("gvhmr-decoder", worker, &decoder) > 0 &&
            status_says(decoder, "Seccomp:\t2") && kill(decoder, SIGSEGV) == 0)
            wait = 50;
        if (f) fclose(f);
        usleep(10000);
        siginfo_t end = {0};
        ended = waitid(P_PID, (id_t)child, &end, WEXITED | WNOHANG | WNOWAIT) != 0 || end.si_pid == child;
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(WEXITSTATUS(status), 1); // nobody is in the second one, or was
    const char *text = batch_said();
    if (!strstr(text, "long.mp4: the process that decodes it was ended by signal 11") || !strstr(text, "no person") ||
        !strstr(text, "2 videos: 0 done, 2 failed"))
        fail_msg("%s", text);
}

// Every command that takes a video: whatever FFmpeg opens is opened by a process without rights, and by the program
// where it is told to.
static void every_command_decodes_without_rights(void **state) {
    (void)state;
    static const struct {
        const char *name, *arguments;
        int status;
        bool both; // with and without
    } rows[] = {
        {"run", "m.mp4 -o run --landmarks lite --no-video --export none --no-cache -q", 0, false},
        {"observe", "m.mp4 -o obs.npz --landmarks lite --no-cache -q", 0, false},
        {"batch", "videos.txt -o batch --landmarks lite --no-video --export none --no-cache -q", 0, false},
        {"live", "m.mp4 --as-fast-as-possible --landmarks lite -q", 0, true},
        {"camera", "m.mp4 -o cam.npz -q", 0, true},
        {"camera", "m.mp4 --gyro m.mp4 -o cam.npz -q", 1, true},
        {"render", "run/person-1.npz --video m.mp4 --size 160x120 -o over.mp4 -q", 0, true},
        {"view", "run --video m.mp4 -q", 0, true},
        {"info", "m.mp4", 0, true},
    };
    if (!filtered()) skip();
    make_part_of_clip(in_dir("m.mp4"), 12, 192, 144, 384, 288);
    write_text("videos.txt", "m.mp4\n");
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        char text[2048], arguments[512];
        bool free = i % 2;
        if (free && !rows[i / 2].both) continue;
        snprintf(arguments, sizeof arguments, "%s%s%s", rows[i / 2].arguments, free ? " --no-confinement" : "",
                 !strcmp(rows[i / 2].name, "live") ? " 2>&1 >told #" : ""); // its words, not what it tells
        setenv("LD_PRELOAD", GV_TEST_OPENED, 1);
        int status = program(rows[i / 2].name, arguments, text);
        unsetenv("LD_PRELOAD");
        bool with = strstr(text, "opened with rights"), without = strstr(text, "opened without rights");
        if (status != rows[i / 2].status || with != free || without == free)
            fail_msg("gvhmr %s %s: status %d, %s", rows[i / 2].name, arguments, status, text);
    }
}

int main(void) {
    gv_error err = {0};
    ok(gv_jail_create(&jail, &err), &err);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_forbidden_fails),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(a_hanging_process_is_ended),
        cmocka_unit_test(frames_are_the_same),
        cmocka_unit_test(a_decoder_has_no_rights),
        cmocka_unit_test(a_decoder_that_dies_is_one_line),
        cmocka_unit_test(a_batch_goes_on),
        cmocka_unit_test(every_command_decodes_without_rights),
    };
    int failed = cmocka_run_group_tests(tests, make_dir, remove_dir);
    gv_jail_destroy(jail);
    return failed;
}
