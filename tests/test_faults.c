// Every command with one call failing: memory, reads, writes, opens, renames. Each run ends either with the files of
// an undisturbed one or with a non-zero status and one line; no signal, no hang, nothing half-written, no temporary
// file; and what a failed run leaves does not spoil the next.
//
//     test_faults [POINTS [PROCESSES [JOB...]]]     about that many points, spread over all commands (default: a
//                                                   sample); of these only some jobs'. Ends with a table
//     test_faults 0 PROCESSES JOB KIND FROM TO      every call of a kind from the FROM-th to the TO-th
#define _GNU_SOURCE // pipe2
#include "clip.h"
#include "faults.h"
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

typedef struct job {
    const char *name, *arguments; // run in a folder beside `in`, with the results in `out`
    int sample, share;            // points in the sample; share of a longer run, in thousandths
    int lines;                    // most lines of a failed run
} job;

static const job jobs[] = {
    {"predict", "predict ../in/obs.npz -o out/m.npz -q", 40, 120, 1},
    {"export-glb", "export ../in/m.npz -o out/m.glb", 30, 50, 1},
    {"export-bvh", "export ../in/m.npz -o out/m.bvh", 20, 30, 1},
    {"export-amass", "export ../in/m.npz -o out/m.amass.npz", 20, 30, 1},
    {"export-pt", "export ../in/m.npz -o out/m.pt", 20, 30, 1},
    {"convert", "convert ../in/net -o out/net.safetensors --dtype bf16", 26, 40, 1},
    {"info", "info --json ../in/m.npz ../in/obs.npz ../in/clip.mp4 ../in/net", 26, 40, 4},
    {"render", "render ../in/m.npz -o out/m.mp4 --size 160x120 -q", 6, 60, 1},
    {"view", "view ../in/run -o out/v.html --video ../in/clip.mp4 -q", 6, 60, 1},
    {"camera", "camera ../in/clip.mp4 -o out/cam.npz -q", 8, 70, 1},
    {"dataset", "dataset import ../in/m.amass.npz -o out/d.gvs", 16, 60, 2},
    {"train",
     "train --data ../in/d.gvs -o out --steps 2 --width 32 --layers 1 --heads 2 --batch 2 --frames 24 --surface 8 "
     "--validate-every 1000 --validation-batches 1 --quiet",
     12, 80, 2},
    {"eval", "eval motion ../in/m.npz ../in/m.npz --json out/e.json", 14, 40, 1},
    {"observe", "observe ../in/clip.mp4 -o out/obs.npz --landmarks lite -q", 4, 100, 1},
    {"live", "live ../in/clip.mp4 --as-fast-as-possible --landmarks lite --people 1 -q", 3, 70, 2},
    {"run", "run ../in/clip.mp4 -o out --people 1 --landmarks lite -q", 7, 200, 1},
    {"batch", "batch ../in/list.txt -o out --no-video --export none --landmarks lite --people 1 --retry", 3, 90, 4},
};
enum { JOBS = sizeof jobs / sizeof *jobs, TIMEOUT_S = 60, FILES = 64 };

// ---- the files of a run

typedef struct result {
    char name[160];
    unsigned char *data;
    size_t size;
    bool varies; // differs between undisturbed runs: times
} result;

typedef struct results {
    result file[FILES];
    int count;
} results;

static bool ends(const char *name, const char *ending) {
    size_t n = strlen(name), m = strlen(ending);
    return n >= m && !strcmp(name + n - m, ending);
}

static void add_file(results *r, const char *name, const char *path) {
    if (r->count == FILES) return;
    result *f = &r->file[r->count];
    struct stat st;
    FILE *in = fopen(path, "rb");
    if (!in || fstat(fileno(in), &st) != 0) fail_msg("%s: %s", path, strerror(errno));
    *f = (result){.data = malloc((size_t)st.st_size + 1)};
    snprintf(f->name, sizeof f->name, "%s", name);
    f->size = fread(f->data, 1, (size_t)st.st_size, in);
    fclose(in);
    r->count++;
}

// All files under `folder`/`at` but the journals of the cache, which end anywhere and are checked when they are read,
// and the log of a training.
static void gather(results *r, const char *folder, const char *at) {
    char path[1024], name[512];
    snprintf(path, sizeof path, "%s/%s", folder, at);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        snprintf(name, sizeof name, "%s%s%.200s", at, *at ? "/" : "", e->d_name);
        snprintf(path, sizeof path, "%s/%s", folder, name);
        struct stat st;
        if (lstat(path, &st) != 0 || ends(name, ".journal") || !strcmp(name, "log.jsonl")) continue;
        if (S_ISDIR(st.st_mode))
            gather(r, folder, name);
        else
            add_file(r, name, path);
    }
    if (d) closedir(d);
}

static void release(results *r) {
    for (int i = 0; i < r->count; i++) free(r->file[i].data);
    r->count = 0;
}

static result *find(results *r, const char *name) {
    for (int i = 0; i < r->count; i++)
        if (!strcmp(r->file[i].name, name)) return &r->file[i];
    return NULL;
}

static bool same_bytes(const result *a, const result *b) {
    return a->size == b->size && !memcmp(a->data, b->data, a->size);
}

// Its JSON without the times of the work; NULL where it is none.
static json_t *timeless(const result *f) {
    json_t *o = json_loadb((char *)f->data, f->size, 0, NULL), *video;
    size_t i;
    json_object_del(o, "timings");
    json_object_del(o, "seconds");
    json_array_foreach(json_object_get(o, "videos"), i, video) json_object_del(video, "seconds");
    return o;
}

// The first member of a JSON object that is another than expected; nothing where there is none.
static void name_difference(char *out, size_t room, const result *f, const result *expected) {
    json_t *a = timeless(f), *b = timeless(expected), *value;
    const char *key;
    *out = 0;
    json_object_foreach(b, key, value) {
        char *is = json_dumps(json_object_get(a, key), JSON_ENCODE_ANY | JSON_COMPACT),
             *was = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        if (!*out && (!is || !was || strcmp(is, was) != 0))
            snprintf(out, room, ", \"%s\": %.300s, expected %.300s", key, is ? is : "nothing", was ? was : "nothing");
        free(is);
        free(was);
    }
    json_decref(a);
    json_decref(b);
}

// partial: of a run that failed, whose reports say something else
static bool whole(const result *f, const result *expected, bool partial) {
    if (!expected->varies) return same_bytes(f, expected);
    if (!ends(f->name, ".json")) return f->size > 0;
    json_t *a = timeless(f), *b = timeless(expected);
    bool same = a && (partial || json_equal(a, b));
    json_decref(a);
    json_decref(b);
    return same;
}

// ---- one server a job

typedef struct server {
    const job *job;
    char folder[300];
    pid_t pid;
    int in, out, messages;
    long kept; // allocations that an undisturbed run does not release
    faults_shared *shared;
    results expected;
} server;

static void in_own_process(const server *s, const char *shared_file, const int to[2], const int from[2]) {
    char *argv[32] = {(char *)"gvhmr"}, text[512];
    snprintf(text, sizeof text, "%s", s->job->arguments);
    int n = 1;
    for (char *w = strtok(text, " "); w && n < 31; w = strtok(NULL, " ")) argv[n++] = w;
    int output = open("stdout", O_RDWR | O_CREAT | O_APPEND, 0644), nowhere = open("/dev/null", O_RDONLY);
    dup2(nowhere, 0);
    dup2(output, 1);
    dup2(s->messages, 2);
    dup2(to[0], FAULTS_IN);
    dup2(from[1], FAULTS_OUT);
    for (int fd = 3; fd < FAULTS_IN; fd++) close(fd);
    setenv("FAULTS_SERVE", "1", 1);
    setenv("FAULTS_SHARED", shared_file, 1);
    setenv("OMP_WAIT_POLICY", "passive", 1);
    setenv("LD_PRELOAD", GV_TEST_FAULTS, 1);
    execv(GV_TEST_PROGRAM, argv);
    _exit(127);
}

static void start(server *s, const job *j, const char *tag) {
    char path[400];
    *s = (server){.job = j};
    snprintf(s->folder, sizeof s->folder, "%s/%s%s", dir, j->name, tag);
    mkdir(s->folder, 0755);
    snprintf(path, sizeof path, "%s/shared", s->folder);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_int_equal(ftruncate(fd, sizeof *s->shared), 0);
    s->shared = mmap(NULL, sizeof *s->shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(s->shared != MAP_FAILED);
    close(fd);
    char messages[400];
    snprintf(messages, sizeof messages, "%s/messages", s->folder);
    s->messages = open(messages, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int to[2], from[2];
    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    fflush(NULL);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        if (chdir(s->folder) != 0) _exit(126);
        in_own_process(s, path, to, from);
    }
    close(to[0]);
    close(from[1]);
    s->in = to[1], s->out = from[0];
}

static void stop(server *s) {
    close(s->in);
    close(s->out);
    waitpid(s->pid, NULL, 0);
    close(s->messages);
    munmap(s->shared, sizeof *s->shared);
    release(&s->expected);
}

static void clear_folder(const server *s) {
    char command[700];
    snprintf(command, sizeof command, "cd '%s' && rm -rf out && mkdir out && : >stdout && : >messages", s->folder);
    assert_int_equal(system(command), 0);
}

// Somebody may have stopped the process for a while: that is no hang.
static bool is_stopped(int pid) {
    char path[40], state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%*d %*s %c", &state) != 1) state = 0;
    if (f) fclose(f);
    return state == 'T';
}

// Runs the job in what its folder holds; returns the status as of a shell, -1 where it hangs.
static int go(server *s, int kind, long at) {
    faults_point p = {kind, at};
    memset(s->shared, 0, sizeof *s->shared);
    int pid, status;
    assert_int_equal(write(s->in, &p, sizeof p), sizeof p);
    assert_int_equal(read(s->out, &pid, sizeof pid), sizeof pid);
    bool ended = false;
    for (int seconds = 0; !ended && seconds < TIMEOUT_S; seconds += !is_stopped(pid))
        ended = poll(&(struct pollfd){s->out, POLLIN, 0}, 1, 1000) == 1;
    bool hangs = !ended;
    if (hangs) kill(pid, SIGKILL);
    assert_int_equal(read(s->out, &status, sizeof status), sizeof status);
    return hangs ? -1 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void collect(const server *s, results *r) {
    char path[400];
    r->count = 0;
    snprintf(path, sizeof path, "%s/out", s->folder);
    gather(r, path, "");
    snprintf(path, sizeof path, "%s/stdout", s->folder);
    add_file(r, "stdout", path);
}

// Of the messages of the last run, which are in `text`.
static int count_lines(const server *s, char text[2048]) {
    ssize_t n = pread(s->messages, text, 2047, 0);
    text[n > 0 ? n : 0] = 0;
    int lines = 0;
    for (char *p = text; *p; p++) lines += *p == '\n';
    return lines;
}

// Counts the calls; notes which files are the same each time. False where the job fails without any fault.
static bool undisturbed(server *s, long count[FAULT_KINDS]) {
    results again;
    for (int k = 0; k < 2; k++) {
        clear_folder(s);
        int status = go(s, -1, 0);
        char text[2048];
        if (status) {
            count_lines(s, text);
            text[strcspn(text, "\n")] = 0;
            printf("%s: fails undisturbed, so nothing was tried: status %d: %s\n", s->job->name, status, text);
            return false;
        }
        collect(s, k ? &again : &s->expected);
    }
    assert_int_equal(again.count, s->expected.count);
    for (int i = 0; i < again.count; i++) {
        result *f = find(&again, s->expected.file[i].name);
        assert_non_null(f);
        s->expected.file[i].varies = !same_bytes(f, &s->expected.file[i]);
    }
    release(&again);
    memcpy(count, s->shared->count, sizeof s->shared->count);
    s->kept = s->shared->kept;
    if (s->kept) printf("%s: %ld allocations kept, undisturbed (0x%lx)\n", s->job->name, s->kept, s->shared->keeper);
    if (s->shared->unable) printf("%s: no seccomp filter: only memory is tried\n", s->job->name);
    return true;
}

// ---- what must hold

// NULL, or what is wrong.
static const char *judge(server *s, int status, char text[2048]) {
    static char words[1200];
    char more[800] = "";
    int lines = count_lines(s, text);
    if (status < 0) return "hangs";
    if (status > 125 || strstr(text, "by signal")) return "ended by a signal";
    if (status && (lines < 1 || lines > s->job->lines)) return "not one line";
    if (status && strncmp(text, "gvhmr", 5) != 0) return "the line does not begin with the program's name";
    if (s->shared->ended && s->shared->kept > s->kept) {
        snprintf(words, sizeof words, "%ld allocations kept (0x%lx)", s->shared->kept - s->kept, s->shared->keeper);
        return words;
    }
    results r;
    const char *wrong = NULL;
    collect(s, &r);
    for (int i = 0; i < r.count && !wrong; i++) {
        result *e = find(&s->expected, r.file[i].name);
        if (status && !strcmp(r.file[i].name, "stdout")) continue;
        if (!e)
            wrong = "unexpected file";
        else if (!whole(&r.file[i], e, status != 0))
            wrong = "file differs";
        if (wrong && e && ends(e->name, ".json")) name_difference(more, sizeof more, &r.file[i], e);
        if (wrong) snprintf(words, sizeof words, "%s: %s%s", wrong, r.file[i].name, more);
    }
    for (int i = 0; i < s->expected.count && !wrong && !status; i++)
        if (!find(&r, s->expected.file[i].name) && !(lines && !strcmp(s->expected.file[i].name, "curves.png"))) {
            // (a picture of a training's log is no reason to end it, but to say a line)
            wrong = "success without the file";
            snprintf(words, sizeof words, "%s %s", wrong, s->expected.file[i].name);
        }
    release(&r);
    return wrong ? words : NULL;
}

static bool try_point(server *s, int kind, long at, bool go_on) {
    char text[2048];
    clear_folder(s);
    int status = go(s, kind, at);
    unsigned long where = s->shared->where;
    const char *wrong = judge(s, status, text);
    if (!wrong && status && go_on) { // what is left does not spoil the next run
        char command[700];
        snprintf(command, sizeof command, "cd '%s' && : >stdout && : >messages", s->folder);
        assert_int_equal(system(command), 0);
        int next = go(s, -1, 0);
        wrong = judge(s, next, text);
        if (next && !wrong) wrong = "the next run fails";
    }
    if (wrong)
        printf("%s %s %ld: status %d: %s (at 0x%lx) %s\n", s->job->name, fault_names[kind], at, status, wrong, where,
               text);
    fflush(stdout);
    return !wrong;
}

static int only_kind = -1; // of these only the calls of one kind, in this range
static long only_from, only_to;

// Every part-th call of a range.
static int try_range(server *s, int part, int parts, int *tried) {
    int wrong = 0;
    for (long at = only_from + part; at <= only_to; at += parts) {
        wrong += !try_point(s, only_kind, at, false);
        ++*tried;
    }
    return wrong;
}

// How many points of each kind: equal shares; what a kind has too few calls for goes to the others.
static void share_points(long want[FAULT_KINDS], const long count[FAULT_KINDS], int points) {
    int kinds = 0;
    long left = points;
    for (int i = 0; i < FAULT_KINDS; i++) want[i] = 0, kinds += count[i] > 0;
    for (int round = 0; round < 8 && left > 0; round++)
        for (int i = 0; i < FAULT_KINDS; i++) {
            long more = (points + kinds * 8 - 1) / (kinds * 8) * (i < FAULT_LIBRARY ? 2 : 1);
            if (more > count[i] - want[i]) more = count[i] - want[i];
            if (more > left) more = left;
            want[i] += more, left -= more;
        }
}

// Every part-th point of a job, from the first-th on; returns how many were wrong, the number tried in *tried. One that
// fails undisturbed is wrong.
static int try_job(const job *j, int points, int part, int parts, int *tried) {
    server s;
    long count[FAULT_KINDS], want[FAULT_KINDS];
    char tag[20];
    snprintf(tag, sizeof tag, "-%d", part);
    start(&s, j, tag);
    if (!undisturbed(&s, count)) {
        stop(&s);
        return 1;
    }
    int wrong = only_kind >= 0 ? try_range(&s, part, parts, tried) : 0, k = 0;
    share_points(want, count, only_kind >= 0 ? 0 : points);
    for (int i = 0; i < FAULT_KINDS; i++)
        for (long n = 0; n < want[i]; n++, k++) {
            if (k % parts != part) continue;
            long at = 1 + (2 * n + 1) * count[i] / (2 * want[i]);
            wrong += !try_point(&s, i, at > count[i] ? count[i] : at, k % 4 == 0);
            if (++*tried % 50 == 0) printf("%s: %d points so far\n", j->name, *tried);
            fflush(stdout);
        }
    stop(&s);
    return wrong;
}

// ---- the inputs

static void quiet_program(const char *command, const char *arguments) {
    char text[2048];
    if (program(command, arguments, text) != 0) fail_msg("gvhmr %s %s: %s", command, arguments, text);
}

static void make_inputs(void) {
    mkdir(in_dir("in"), 0755);
    make_part_of_clip(in_dir("in/clip.mp4"), 12, 192, 144, 384, 288); // the middle of the picture, where somebody walks
    quiet_program("observe", "in/clip.mp4 -o in/obs.npz --landmarks lite --no-cache -q");
    quiet_program("predict", "in/obs.npz -o in/m.npz -q");
    quiet_program("export", "in/m.npz -o in/m.amass.npz");
    quiet_program("dataset", "import in/m.amass.npz -o in/d.gvs");
    quiet_program("run", "in/clip.mp4 -o in/run --no-video --export none --people 1 --landmarks lite -q --no-cache");
    write_text("in/list.txt", "clip.mp4\nclip.mp4\tagain\n");
    const char *net = shared_path("reference/motion/tiny.ckpt"); // a pickle where there is one, else the built-in one
    assert_int_equal(symlink(net ? net : GV_TEST_MODEL, in_dir("in/net")), 0);
}

static int asked_points, processes = 1;
static char **only; // these jobs
static int only_count;

typedef struct sums { // of one process and one job
    int tried, wrong;
    double seconds;
    bool begun, ended;
} sums;

static bool wanted(const job *j) {
    for (int i = 0; i < only_count; i++)
        if (!strcmp(only[i], j->name)) return true;
    return !only_count;
}

static void all_jobs(int part, sums *sum) {
    for (size_t i = 0; i < JOBS; i++) {
        struct timespec a, b;
        sums *s = &sum[i];
        if (!wanted(&jobs[i])) continue;
        s->begun = true;
        clock_gettime(CLOCK_MONOTONIC, &a);
        int points = asked_points ? (asked_points * jobs[i].share + 999) / 1000 : jobs[i].sample;
        s->wrong = try_job(&jobs[i], points, part, processes, &s->tried);
        clock_gettime(CLOCK_MONOTONIC, &b);
        s->seconds = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
        s->ended = true;
        printf("%s: %d points, %d wrong, %.1f s\n", jobs[i].name, s->tried, s->wrong, s->seconds);
        fflush(stdout);
    }
}

// A row a job; returns how many points were wrong, a process that did not come to the end of a job counted as one.
static int print_table(const sums (*sum)[JOBS]) {
    sums all = {0};
    printf("\n| command | points | wrong | seconds |\n|---|---|---|---|\n");
    for (size_t i = 0; i < JOBS; i++) {
        sums s = {0};
        for (int p = 0; p < processes; p++) {
            s.tried += sum[p][i].tried, s.wrong += sum[p][i].wrong, s.wrong += sum[p][i].begun && !sum[p][i].ended;
            s.seconds = s.seconds > sum[p][i].seconds ? s.seconds : sum[p][i].seconds;
        }
        if (!wanted(&jobs[i])) continue;
        printf("| %s | %d | %d | %.0f |\n", jobs[i].name, s.tried, s.wrong, s.seconds);
        all.tried += s.tried, all.wrong += s.wrong, all.seconds += s.seconds;
    }
    printf("| all | %d | %d | %.0f |\n", all.tried, all.wrong, all.seconds);
    return all.wrong;
}

static void whatever_fails(void **state) {
    (void)state;
    make_inputs();
    sums(*sum)[JOBS] = mmap(NULL, 64 * sizeof *sum, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(sum != MAP_FAILED);
    fflush(NULL);
    for (int p = 0; p < processes; p++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            setenv("CMOCKA_TEST_ABORT", "1", 1); // what fails here ends this process, not the test beside the others
            all_jobs(p, sum[p]);
            fflush(NULL);
            _exit(0);
        }
    }
    while (wait(NULL) > 0) continue;
    int wrong = print_table((const sums(*)[JOBS])sum);
    munmap(sum, 64 * sizeof *sum);
    assert_int_equal(wrong, 0);
}

int main(int argc, char **argv) {
    if (argc > 1) asked_points = atoi(argv[1]);
    if (argc > 2 && atoi(argv[2]) > 0 && atoi(argv[2]) <= 64) processes = atoi(argv[2]);
    if (argc > 3) only = argv + 3, only_count = argc - 3;
    for (int i = 0; i < FAULT_KINDS && argc == 7; i++)
        if (!strcmp(fault_names[i], argv[4]))
            only_kind = i, only_from = atol(argv[5]), only_to = atol(argv[6]), only_count = 1;
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {cmocka_unit_test(whatever_fails)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
