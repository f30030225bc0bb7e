// Motion while it happens: every frame told once and in order, and sources that misbehave in every way.
#define _GNU_SOURCE
#include "folder.h"
#include "base/progress.h"
#include "clip.h"
#include "live/capture.h"
#include "live/output.h"
#include "motion/stepwise.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

static void nap(double seconds) {
    nanosleep(&(struct timespec){(time_t)seconds, (long)(fmod(seconds, 1) * 1e9)}, NULL);
}

// The lines of a file of JSON lines; each must parse.
static json_t *lines_of(const char *name) {
    json_t *all = json_array();
    FILE *f = fopen(in_dir(name), "r");
    assert_non_null(f);
    char *line = NULL;
    size_t room = 0;
    for (ssize_t n; (n = getline(&line, &room, f)) > 0;) {
        json_error_t e;
        assert_int_equal(line[n - 1], '\n');
        json_t *o = json_loads(line, 0, &e);
        if (!o) fail_msg("line %zu: %s", json_array_size(all) + 1, e.text);
        json_array_append_new(all, o);
    }
    free(line);
    fclose(f);
    return all;
}

static double number(const json_t *o, const char *key) {
    assert_true(json_is_number(json_object_get(o, key)));
    return json_number_value(json_object_get(o, key));
}

static int gaps_in(const json_t *lines, const char *words) {
    int n = 0;
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const char *gap = json_string_value(json_object_get(json_array_get(lines, i), "gap"));
        n += gap && strstr(gap, words);
    }
    return n;
}

// How many frames are told; each must come after the one before.
static int frames_in_order(const json_t *lines) {
    int last = -1, frames = 0;
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *l = json_array_get(lines, i);
        if (json_object_get(l, "gap")) continue;
        assert_true((int)number(l, "frame") > last);
        last = (int)number(l, "frame");
        frames++;
    }
    return frames;
}

static void check_person(const json_t *p) {
    static const struct {
        const char *key;
        size_t size;
    } arrays[] = {{"transl", 3},     {"global_orient", 3}, {"transl_incam", 3}, {"global_orient_incam", 3},
                  {"body_pose", 63}, {"betas", 10},        {"contacts", 6},     {"joints_world", 22}};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        assert_int_equal(json_array_size(json_object_get(p, arrays[i].key)), arrays[i].size);
    const json_t *joints = json_object_get(p, "joints_world");
    double lowest = 9, highest = -9;
    for (size_t j = 0; j < 22; j++) {
        double y = json_number_value(json_array_get(json_array_get(joints, j), 1));
        lowest = fmin(lowest, y);
        highest = fmax(highest, y);
    }
    if (!(lowest > -0.3 && lowest < 0.6 && highest > 0.4 && highest < 2.6)) // somebody on the ground
        fail_msg("heights from %.2f to %.2f m", lowest, highest);
    assert_true(json_number_value(json_array_get(json_object_get(p, "transl_incam"), 2)) > 0.5); // before the camera
}

static const json_t *person(const json_t *line, int id) {
    const json_t *people = json_object_get(line, "people");
    for (size_t k = 0; k < json_array_size(people); k++)
        if (json_integer_value(json_object_get(json_array_get(people, k), "id")) == id)
            return json_array_get(people, k);
    return NULL;
}

static void every_frame_is_told_once_and_in_order(void **state) {
    (void)state;
    enum { FRAMES = 45 };
    char text[2048];
    make_clip(in_dir("clip.mp4"), FRAMES);
    int code = program("live", "clip.mp4 --as-fast-as-possible --landmarks lite --look-ahead 6 >a.jsonl", text);
    assert_int_equal(code, 0);
    json_t *lines = lines_of("a.jsonl");
    assert_int_equal(json_array_size(lines), FRAMES);
    int sightings = 0, highest = 0;
    for (size_t i = 0; i < FRAMES; i++) {
        const json_t *line = json_array_get(lines, i), *people = json_object_get(line, "people");
        assert_int_equal((int)number(line, "frame"), i);
        assert_true(fabs(number(line, "time_sec") - (double)i / 10) < 1e-3);
        assert_true(number(line, "latency_ms") >= 0);
        for (size_t k = 0; k < json_array_size(people); k++) {
            const json_t *p = json_array_get(people, k);
            check_person(p);
            int id = (int)number(p, "id");
            assert_true(k == 0 || id > (int)number(json_array_get(people, k - 1), "id"));
            highest = id > highest ? id : highest;
            sightings++;
            const json_t *before = i ? person(json_array_get(lines, i - 1), id) : NULL;
            for (size_t c = 0; before && c < 3; c++) { // the path goes on: nobody runs at 6 m/s here
                double a = json_number_value(json_array_get(json_object_get(before, "transl"), c));
                double b = json_number_value(json_array_get(json_object_get(p, "transl"), c));
                assert_true(fabs(a - b) < 0.6);
            }
        }
    }
    assert_true(sightings > 2 * FRAMES); // three people and more are in view
    assert_true(highest >= 2 && highest < 20);
    json_decref(lines);
}

// A file's clock, the number of threads and speed change nothing but latencies.
static void the_same_on_one_thread(void **state) {
    (void)state;
    char text[2048];
    make_clip(in_dir("clip.mp4"), 45);
    const char *arguments[2] = {"clip.mp4 --as-fast-as-possible --landmarks lite --format floats --threads 1 >b.bin",
                                "clip.mp4 --as-fast-as-possible --landmarks lite --format floats --threads 2 >c.bin"};
    float *r[2];
    long bytes[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(program("live", arguments[i], text), 0);
        FILE *f = fopen(in_dir(i ? "c.bin" : "b.bin"), "rb");
        assert_non_null(f);
        fseek(f, 0, SEEK_END);
        bytes[i] = ftell(f);
        rewind(f);
        r[i] = malloc((size_t)bytes[i]);
        assert_int_equal(fread(r[i], 1, (size_t)bytes[i], f), bytes[i]);
        fclose(f);
    }
    assert_int_equal(bytes[0], bytes[1]);
    assert_int_equal(bytes[0] % (GV_LIVE_FLOATS * 4), 0);
    long records = bytes[0] / (GV_LIVE_FLOATS * 4), people = 0;
    for (long i = 0; i < records; i++) {
        float *a = r[0] + i * GV_LIVE_FLOATS, *b = r[1] + i * GV_LIVE_FLOATS;
        a[3] = b[3] = 0; // latency
        assert_memory_equal(a, b, GV_LIVE_FLOATS * 4);
        assert_true(a[0] == 0 || a[0] == 1);
        people += a[0] == 1;
        assert_true((a[0] == 1) == (a[4] > 0) && (a[0] == 1) == (a[5] > 0));
    }
    assert_true(people > 45);
    free(r[0]);
    free(r[1]);
}

// ---- bad sources

static void noise_is_no_person(void **state) {
    (void)state;
    char line[1000], text[2048];
    snprintf(line, sizeof line,
             "cd %s && head -c 100000 /dev/urandom | '%s' live - --size 64x48 --as-fast-as-possible >noise.jsonl "
             "2>noise.txt",
             dir, GV_TEST_PROGRAM);
    assert_int_equal(system(line), 0);
    json_t *lines = lines_of("noise.jsonl"); // 100000 / 9216: ten frames and a part
    assert_int_equal(json_array_size(lines), 11);
    assert_int_equal(gaps_in(lines, "7840 of 9216 bytes"), 1);
    json_decref(lines);
    assert_int_equal(program("live", "- </dev/null", text), 2);
    assert_non_null(strstr(text, "--size"));
    assert_int_equal(program("live", "- --size 640x480 </dev/null", text), 1);
    assert_non_null(strstr(text, "no frame came"));
    assert_int_equal(program("live", "- --size 640x480x3 </dev/null", text), 2);
    write_text("text.mp4", "this is no video");
    assert_int_equal(program("live", "text.mp4", text), 1);
    assert_int_equal(program("live", "nowhere.mp4", text), 1);
    assert_non_null(strstr(text, "nowhere.mp4"));
    assert_int_equal(program("live", "udp://127.0.0.1:1 --timeout 0.2 --give-up 0.3", text), 1);
    assert_int_equal(program("live", "/dev/video77", text), 1);
    assert_non_null(strstr(text, "/dev/video77"));
    assert_int_equal(program("live", "a b", text), 2);
    assert_int_equal(program("live", "clip.mp4 --look-ahead 61", text), 2);
    assert_int_equal(program("live", "clip.mp4 --websocket 99999999", text), 1);
}

static void a_stall_is_a_gap_and_the_rest_goes_on(void **state) {
    (void)state;
    char line[1000];
    snprintf(line, sizeof line,
             "cd %s && (head -c 27648 /dev/zero; sleep 4; head -c 27648 /dev/zero) | "
             "'%s' live - --size 64x48 --timeout 0.3 --as-fast-as-possible >stall.jsonl 2>stall.txt",
             dir, GV_TEST_PROGRAM);
    assert_int_equal(system(line), 0);
    json_t *lines = lines_of("stall.jsonl");
    assert_int_equal(json_array_size(lines), 7);
    assert_int_equal(gaps_in(lines, "no data for 0.3 s"), 1);
    assert_int_equal(frames_in_order(lines), 6);
    json_decref(lines);
}

// Whoever reads may go: no message, no error.
static void a_closed_pipe_ends_quietly(void **state) {
    (void)state;
    char line[1000], text[200] = "";
    make_clip(in_dir("clip.mp4"), 45);
    snprintf(line, sizeof line,
             "cd %s && ('%s' live clip.mp4 --as-fast-as-possible --landmarks lite 2>pipe.txt; echo $? >pipe.code) | "
             "head -n 2 >/dev/null",
             dir, GV_TEST_PROGRAM);
    assert_int_equal(system(line), 0);
    for (int i = 0; i < 100 && access(in_dir("pipe.code"), R_OK) != 0; i++) nap(0.1);
    nap(0.1);
    FILE *f = fopen(in_dir("pipe.code"), "r");
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof text, f));
    fclose(f);
    assert_string_equal(text, "0\n");
    struct stat st;
    assert_int_equal(stat(in_dir("pipe.txt"), &st), 0);
    assert_int_equal(st.st_size, 0);
}

static pid_t start(const char *out, const char *messages, const char *const *arguments) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0) return child;
    const char *argv[24] = {"gvhmr", "live"};
    int n = 2;
    for (; arguments[n - 2] && n < 23; n++) argv[n] = arguments[n - 2];
    dup2(open(in_dir(out), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
    dup2(open(in_dir(messages), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
    if (chdir(dir) == 0) execv(GV_TEST_PROGRAM, (char *const *)(uintptr_t)argv);
    _exit(127);
}

// Ends it; it must go within some seconds, without an error.
static void end_with(int number, pid_t child) {
    int status = 0;
    double since = gv_now();
    assert_int_equal(kill(child, number), 0);
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (gv_now() - since > 20) {
            kill(child, SIGKILL);
            fail_msg("it does not end");
        }
        nap(0.02);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status)) fail_msg("status %x, after signal %d", (unsigned)status, number);
}

static void interrupt(pid_t child) { // as Ctrl-C
    end_with(SIGINT, child);
}

static void ctrl_c_ends_it_cleanly(void **state) {
    (void)state;
    make_clip(in_dir("clip.mp4"), 45);
    struct stat st = {0};
    pid_t child = start("int.jsonl", "int.txt",
                        (const char *[]){"clip.mp4", "--fps", "2", "--landmarks", "lite", "--look-ahead", "0", NULL});
    for (int i = 0; i < 300 && st.st_size == 0; i++) {
        nap(0.05);
        stat(in_dir("int.jsonl"), &st);
    }
    nap(0.7);
    interrupt(child);
    json_t *lines = lines_of("int.jsonl"); // whole lines
    assert_true(json_array_size(lines) >= 1 && json_array_size(lines) < 45);
    json_decref(lines);
    assert_int_equal(stat(in_dir("int.txt"), &st), 0);
    assert_int_equal(st.st_size, 0);
}

// ---- stopped while nothing has come

// FFmpeg cancels its thread for UDP, at which the thread sanitizer ends the program.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UDP 0
#endif
#endif
#ifndef UDP
#define UDP 1
#endif

// Waits until `text` is in a file of the folder.
static void await_text(const char *name, const char *text) {
    char all[4096];
    for (double since = gv_now(); gv_now() - since < 60; nap(0.02)) {
        FILE *f = fopen(in_dir(name), "r");
        size_t n = f ? fread(all, 1, sizeof all - 1, f) : 0;
        if (f) fclose(f);
        all[n] = 0;
        if (strstr(all, text)) return;
    }
    fail_msg("%s does not say \"%s\"", name, text);
}

// A port that is free now, and that nobody sends to.
static int free_port(void) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof own;
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(s, (struct sockaddr *)&own, sizeof own), 0);
    assert_int_equal(getsockname(s, (struct sockaddr *)&own, &size), 0);
    close(s);
    return ntohs(own.sin_port);
}

// A source is silent, is told of as a gap, and is about to be opened again: the end all the same, and no error. It was
// one when the stop came between two attempts.
static void stop_while_silent(const char *source, const char *confinement, int number) {
    unlink(in_dir("silent.txt")); // of the time before
    pid_t child = start("silent.jsonl", "silent.txt",
                        (const char *[]){source, "--timeout", "0.1", "--look-ahead", "0", confinement, NULL});
    await_text("silent.txt", "no data for 0.1 s");
    end_with(number, child);
    json_t *lines = lines_of("silent.jsonl");
    assert_true(json_array_size(lines) >= 1);
    assert_int_equal(gaps_in(lines, "no data"), json_array_size(lines)); // and no frame
    json_decref(lines);
}

static void a_stop_while_nothing_comes_is_no_error(void **state) {
    (void)state;
    char url[64];
    snprintf(url, sizeof url, "udp://127.0.0.1:%d", free_port());
    assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
    for (int confined = 0; confined < 2; confined++) {
        if (UDP) stop_while_silent(url, confined ? NULL : "--no-confinement", confined ? SIGINT : SIGTERM);
        stop_while_silent("fifo", confined ? NULL : "--no-confinement", confined ? SIGTERM : SIGINT);
    }
}

// The thread that FFmpeg receives with may begin before or after its process has given up its rights: each time a
// stream is opened, not only when the machine is idle. Nobody sends; it was an error of reading.
static void silent_streams_can_be_opened(void **state) {
    (void)state;
    char line[600];
    for (int i = 0; i < 4 * UDP; i++) {
        snprintf(line, sizeof line,
                 "cd %s && '%s' live udp://127.0.0.1:%d --timeout 0.1 --give-up 0.2 >open.jsonl 2>open.txt", dir,
                 GV_TEST_PROGRAM, free_port());
        assert_int_equal(WEXITSTATUS(system(line)), 1);
        await_text("open.txt", "no data for 0.1 s");
    }
}

// A pipe is a source: what comes through is a video, and its writer may come late and go.
static void a_pipe_brings_a_video(void **state) {
    (void)state;
    char line[700];
    make_clip(in_dir("clip.mp4"), 45);
    if (system("command -v ffmpeg >/dev/null 2>&1") != 0) skip();
    snprintf(line, sizeof line,
             "cd %s && ffmpeg -v error -i clip.mp4 -c:v mpeg2video -r 25 -f mpegts pipe.ts </dev/null && "
             "mkfifo pipe && (sleep 1; cat pipe.ts >pipe) & cd %s; sleep 0.1; while [ ! -p pipe ]; do sleep 0.1; done; "
             "'%s' live pipe --as-fast-as-possible --landmarks lite --timeout 0.3 --give-up 3 >pipe.jsonl "
             "2>pipe.txt",
             dir, dir, GV_TEST_PROGRAM);
    assert_int_equal(WEXITSTATUS(system(line)), 0);
    json_t *lines = lines_of("pipe.jsonl");
    int frames = (int)json_array_size(lines) - gaps_in(lines, "");
    assert_int_equal(frames, 45);
    assert_int_equal(gaps_in(lines, "the source has ended"), 1);
    json_decref(lines);
}

// Streams by UDP. Nothing here goes by the clock: each step waits for what the program tells.
static bool over_network(void) {
    bool can = UDP && system("command -v ffmpeg >/dev/null 2>&1") == 0;
    if (!can) printf("skipped: streams by UDP, which want ffmpeg and no thread sanitizer\n");
    return can;
}

// Whether the program has told of `frames` frames after a gap with `words` in it and `skip` such before (words NULL: of
// so many at all).
static bool has_told(const char *name, const char *words, int skip, int frames) {
    FILE *f = fopen(in_dir(name), "r");
    char *line = NULL;
    size_t room = 0;
    int n = words ? -1 : 0; // -1: no such gap yet
    while (f && getline(&line, &room, f) > 0)
        if (strncmp(line, "{\"gap\"", 6) != 0)
            n += n >= 0;
        else if (words && n < 0 && strstr(line, words) && skip-- == 0)
            n = 0;
    free(line);
    if (f) fclose(f);
    return n >= frames;
}

// How many lines there are with `words` in them; NULL: at all.
static int lines_told(const char *name, const char *words) {
    FILE *f = fopen(in_dir(name), "r");
    char *line = NULL;
    size_t room = 0;
    int n = 0;
    while (f && getline(&line, &room, f) > 0) n += !words || strstr(line, words);
    free(line);
    if (f) fclose(f);
    return n;
}

static void await_frames(const char *name, const char *words, int frames) {
    for (double since = gv_now(); gv_now() - since < 120; nap(0.05))
        if (has_told(name, words, 0, frames)) return;
    fail_msg("%s: no %d frames after \"%s\"", name, frames, words ? words : "the beginning");
}

static pid_t listen_to(const char *url, const char *lines, const char *words, const char *timeout) {
    return start(lines, words,
                 (const char *[]){url, "--timeout", timeout, "--give-up", "100", "--landmarks", "lite", "--look-ahead",
                                  "0", NULL});
}

static pid_t send_by_udp(const char *filter, const char *url) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0) return child;
    if (chdir(dir) == 0)
        execlp("ffmpeg", "ffmpeg", "-nostdin", "-v", "quiet", "-re", "-stream_loop", "-1", "-i", "clip.mp4", "-vf",
               filter, "-an", "-r", "25", "-c:v", "mpeg2video", "-g", "5", "-f", "mpegts", url, (char *)NULL);
    _exit(127);
}

static void stop_sending(pid_t child) {
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

// A stream that goes away and comes back in another size.
static void a_lost_stream_is_had_again(void **state) {
    (void)state;
    char url[64], to[100];
    if (!over_network()) skip();
    make_clip(in_dir("clip.mp4"), 45);
    snprintf(url, sizeof url, "udp://127.0.0.1:%d", free_port());
    snprintf(to, sizeof to, "%s?pkt_size=1316", url);
    pid_t child = listen_to(url, "udp.jsonl", "udp.txt", "1"), sender = send_by_udp("scale=384:288", to);
    await_frames("udp.jsonl", NULL, 5);
    stop_sending(sender);
    await_text("udp.txt", "no data for 1.0 s");
    sender = send_by_udp("scale=320:240", to);
    await_frames("udp.jsonl", "from 384 x 288 to 320 x 240", 5);
    stop_sending(sender);
    interrupt(child);
    json_t *lines = lines_of("udp.jsonl");
    frames_in_order(lines);
    assert_true(gaps_in(lines, "no data for 1.0 s") >= 1);
    assert_int_equal(gaps_in(lines, "from 384 x 288 to 320 x 240"), 1);
    json_decref(lines);
}

// A transport stream in datagrams. Damaged: most are lost, and noise comes in place of the rest.
enum { DATAGRAM = 1316, STREAM_SECONDS = 60, STREAM_FPS = 25 };
typedef struct stream {
    int socket;
    struct sockaddr_in to;
    const char *data;
    long count, at;
} stream;

static void send_on(stream *s, long many, bool damaged) {
    char noise[DATAGRAM];
    for (long end = s->at + many; s->at < end; s->at++) {
        const char *p = s->data + s->at * DATAGRAM;
        if (s->at == s->count)
            fail_msg("the stream has ended, and %s", damaged ? "the damage was not" : "too little was told");
        for (int k = 0; k < DATAGRAM; k++) noise[k] = (char)(k * 7919 + s->at * 31);
        if (!damaged || s->at % 20 == 0)
            sendto(s->socket, damaged ? noise : p, DATAGRAM, 0, (struct sockaddr *)&s->to, sizeof s->to);
    }
}

// Goes on until `frames` frames are told after `gaps` gaps. The next frame is sent when something more is told, or
// after a time: at first as the stream's own, then ever so patient. So a slow machine gets a slow stream.
static void send_until_told(stream *s, int gaps, int frames) {
    const long frame = s->count / (STREAM_SECONDS * STREAM_FPS);
    const char *words = "damaged or lost packets";
    for (int before = -1; !has_told("loss.jsonl", gaps ? words : NULL, gaps - 1, frames);) {
        double patience = s->at < s->count / 3 ? 1.0 / STREAM_FPS : 0.5;
        send_on(s, frame, false);
        for (double since = gv_now(); gv_now() - since < patience && lines_told("loss.jsonl", NULL) == before;)
            nap(0.01);
        before = lines_told("loss.jsonl", NULL);
    }
}

static void lost_packets_are_a_gap_and_the_rest_goes_on(void **state) {
    (void)state;
    static char data[10 << 20];
    char line[1000], url[64];
    if (!over_network()) skip();
    make_clip(in_dir("clip.mp4"), 45);
    snprintf(line, sizeof line,
             "cd %s && ffmpeg -nostdin -v error -stream_loop 20 -i clip.mp4 -t %d -vf scale=384:288 -an -r %d "
             "-c:v mpeg2video -b:v 1M -g 5 -f mpegts loss.ts",
             dir, STREAM_SECONDS, STREAM_FPS);
    assert_int_equal(system(line), 0);
    FILE *f = fopen(in_dir("loss.ts"), "rb");
    assert_non_null(f);
    int port = free_port();
    stream s = {socket(AF_INET, SOCK_DGRAM, 0),
                {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
                data,
                (long)fread(data, 1, sizeof data, f) / DATAGRAM,
                0};
    fclose(f);
    assert_true(s.count > STREAM_SECONDS * STREAM_FPS);
    snprintf(url, sizeof url, "udp://127.0.0.1:%d", port);
    pid_t child = listen_to(url, "loss.jsonl", "loss.txt", "60");
    send_until_told(&s, 0, 3);
    int gaps = lines_told("loss.jsonl", "damaged or lost packets"); // the stream may have been joined in the middle
    send_on(&s, s.count / STREAM_SECONDS * 2 / 3, true);
    send_until_told(&s, gaps + 1, 3);
    interrupt(child);
    close(s.socket);
    json_t *lines = lines_of("loss.jsonl");
    frames_in_order(lines);
    json_decref(lines);
}

// ---- the capture by itself: slow takers miss frames, and are never late

static void the_newest_frames_win(void **state) {
    (void)state;
    make_clip(in_dir("clip.mp4"), 45);
    gv_error err = {0};
    gv_capture *c = NULL;
    const gv_capture_options opt = {.source = in_dir("clip.mp4"), .fps = 60, .patience_sec = 5};
    if (gv_capture_open(&c, &opt, &err) != GV_OK) fail_msg("%s", err.text);
    gv_capture_frame f;
    int got = 0;
    long last = -1;
    while (gv_capture_next(c, &f, &err) == GV_OK && f.what != GV_CAPTURE_END) {
        assert_int_equal(f.what, GV_CAPTURE_FRAME);
        assert_true(f.index > last);
        assert_true(fabs(f.time_sec - (double)f.index / 60) < 1e-9);     // frames do not drift against time
        if (got > 1) assert_true(gv_now() - f.came_sec < 3 * 0.1 + 0.3); // three wait at most
        last = f.index;
        nap(0.1);
        gv_capture_release(c, &f);
        got++;
    }
    assert_true(gv_capture_dropped(c) > 10);
    assert_int_equal(got + gv_capture_dropped(c), 45);
    gv_capture_close(c);
}

// ---- the server

#ifdef GV_HAVE_WEBSOCKETS
static int connect_to(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    for (int i = 0; i < 200; i++) {
        int s = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(s, (struct sockaddr *)&to, sizeof to) == 0) return s;
        close(s);
        nap(0.05);
    }
    fail_msg("nobody listens");
    return -1;
}

// What comes back until `enough` is in it, or nothing more for five seconds.
static size_t ask(int s, const char *request, char *answer, size_t room, const char *enough) {
    size_t got = 0;
    assert_int_equal(send(s, request, strlen(request), 0), strlen(request));
    while (got + 1 < room && poll(&(struct pollfd){.fd = s, .events = POLLIN}, 1, 5000) > 0) {
        ssize_t r = recv(s, answer + got, room - 1 - got, 0);
        if (r <= 0) break;
        got += (size_t)r;
        if (memmem(answer, got, enough, strlen(enough))) break;
    }
    answer[got] = 0;
    close(s);
    return got;
}

static void browsers_get_page_and_motion(void **state) {
    (void)state;
    static char answer[1 << 16];
    make_clip(in_dir("clip.mp4"), 45);
    pid_t child =
        start("ws.jsonl", "ws.txt",
              (const char *[]){"clip.mp4", "--fps", "3", "--landmarks", "lite", "--websocket", "23572", NULL});
    ask(connect_to(23572), "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", answer, sizeof answer, "</html>");
    assert_non_null(strstr(answer, "200"));
    assert_non_null(strstr(answer, "gvhmr live"));
    ask(connect_to(23572), "GET /etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", answer, sizeof answer, "404");
    assert_non_null(strstr(answer, "404"));
    size_t n = ask(connect_to(23572),
                   "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Protocol: gvhmr\r\n\r\n",
                   answer, sizeof answer, "\"people\"");
    assert_non_null(strstr(answer, "101"));
    assert_non_null(strstr(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")); // RFC 6455, 1.3
    assert_non_null(memmem(answer, n, "{\"frame\":", 9));
    interrupt(child);
    struct stat st;
    assert_int_equal(stat(in_dir("ws.jsonl"), &st), 0);
    assert_int_equal(st.st_size, 0);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_is_told_once_and_in_order),
        cmocka_unit_test(the_same_on_one_thread),
        cmocka_unit_test(noise_is_no_person),
        cmocka_unit_test(a_stall_is_a_gap_and_the_rest_goes_on),
        cmocka_unit_test(a_closed_pipe_ends_quietly),
        cmocka_unit_test(ctrl_c_ends_it_cleanly),
        cmocka_unit_test(a_stop_while_nothing_comes_is_no_error),
        cmocka_unit_test(silent_streams_can_be_opened),
        cmocka_unit_test(a_pipe_brings_a_video),
        cmocka_unit_test(a_lost_stream_is_had_again),
        cmocka_unit_test(lost_packets_are_a_gap_and_the_rest_goes_on),
        cmocka_unit_test(the_newest_frames_win),
#ifdef GV_HAVE_WEBSOCKETS
        cmocka_unit_test(browsers_get_page_and_motion),
#endif
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
