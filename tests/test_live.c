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
    int last = -1, frames = 0;
    for (size_t i = 0; i < 7; i++) {
        const json_t *l = json_array_get(lines, i);
        if (json_object_get(l, "gap")) continue;
        assert_true((int)number(l, "frame") > last);
        last = (int)number(l, "frame");
        frames++;
    }
    assert_int_equal(frames, 6);
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

// Ends it as Ctrl-C does; it must go within some seconds, without an error.
static void interrupt(pid_t child) {
    int status = 0;
    double since = gv_now();
    assert_int_equal(kill(child, SIGINT), 0);
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (gv_now() - since > 20) {
            kill(child, SIGKILL);
            fail_msg("it does not end");
        }
        nap(0.02);
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
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

// Streams that come and go by the clock: a machine that is busy with other tests misses them.
static bool over_network(void) {
    if (!getenv("GV_TEST_NETWORK"))
        printf("skipped: streams by UDP, which want an idle machine and GV_TEST_NETWORK=1\n");
    return getenv("GV_TEST_NETWORK") && system("command -v ffmpeg >/dev/null 2>&1") == 0;
}

static pid_t listen_to(const char *url, const char *lines, const char *words) {
    pid_t child = start(lines, words,
                        (const char *[]){url, "--timeout", "1", "--give-up", "30", "--landmarks", "lite",
                                         "--look-ahead", "0", NULL});
    nap(0.5);
    return child;
}

static void send_by_udp(const char *filter) {
    char line[1000];
    snprintf(line, sizeof line,
             "cd %s && ffmpeg -v error -re -i clip.mp4 -t 4 -vf %s -an -r 25 -c:v mpeg2video -g 5 -f mpegts "
             "'udp://127.0.0.1:23571?pkt_size=1316' </dev/null",
             dir, filter);
    assert_int_equal(system(line), 0);
}

// A stream that goes away and comes back in another size.
static void a_lost_stream_is_had_again(void **state) {
    (void)state;
    if (!over_network()) skip();
    make_clip(in_dir("clip.mp4"), 45);
    pid_t child = listen_to("udp://127.0.0.1:23571", "udp.jsonl", "udp.txt");
    send_by_udp("scale=384:288");
    nap(2.5);
    send_by_udp("scale=320:240");
    nap(0.5);
    interrupt(child);
    json_t *lines = lines_of("udp.jsonl");
    int before = 0, after = 0, last = -1;
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *l = json_array_get(lines, i);
        if (json_object_get(l, "gap")) continue;
        *(number(l, "time_sec") < 4.5 ? &before : &after) += 1;
        assert_true((int)number(l, "frame") > last);
        last = (int)number(l, "frame");
    }
    if (gaps_in(lines, "no data for 1.0 s") < 1) fail_msg("%d frames before, %d after, no gap", before, after);
    assert_true(gaps_in(lines, "from 384 x 288 to 320 x 240") == 1);
    assert_true(before >= 5 && after >= 5);
    json_decref(lines);
}

// A transport stream in datagrams as a bad network brings it: in the middle a tenth is lost, and noise comes in
// between.
static void send_damaged(const char *name) {
    enum { DATAGRAM = 1316, SECONDS = 8 }; // time enough for the program to start in the first half
    static char data[8 << 20], noise[DATAGRAM];
    FILE *f = fopen(in_dir(name), "rb");
    assert_non_null(f);
    long count = (long)fread(data, 1, sizeof data, f) / DATAGRAM;
    fclose(f);
    assert_true(count > 100);
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(23573)};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    for (long i = 0; i < count; i++) {
        bool bad = i > count / 2 && i < 7 * count / 12;
        for (int k = 0; k < DATAGRAM; k++) noise[k] = (char)(k * 7919 + i * 31);
        if (bad && i % 20 == 0) sendto(s, noise, sizeof noise, 0, (struct sockaddr *)&to, sizeof to);
        if (!bad) sendto(s, data + i * DATAGRAM, DATAGRAM, 0, (struct sockaddr *)&to, sizeof to);
        nap((double)SECONDS / (double)count);
    }
    close(s);
}

static void lost_packets_are_a_gap_and_the_rest_goes_on(void **state) {
    (void)state;
    char line[1000];
    if (!over_network()) skip();
    make_clip(in_dir("clip.mp4"), 45);
    snprintf(line, sizeof line,
             "cd %s && ffmpeg -v error -stream_loop 5 -i clip.mp4 -t 8 -vf scale=384:288 -an -r 25 -c:v mpeg2video "
             "-b:v 2M -g 5 -f mpegts loss.ts </dev/null",
             dir);
    assert_int_equal(system(line), 0);
    pid_t child = listen_to("udp://127.0.0.1:23573", "loss.jsonl", "loss.txt");
    send_damaged("loss.ts");
    nap(0.7);
    interrupt(child);
    json_t *lines = lines_of("loss.jsonl");
    int last = -1, frames = 0, after = 0;
    bool gap = false;
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *l = json_array_get(lines, i);
        const char *why = json_string_value(json_object_get(l, "gap"));
        gap |= why && strstr(why, "damaged or lost packets");
        if (why) continue;
        assert_true((int)number(l, "frame") > last);
        last = (int)number(l, "frame");
        frames++;
        after += gap;
    }
    if (!gap || after < 3 || frames - after < 3)
        fail_msg("%d frames, %d of them after the damage%s", frames, after, gap ? "" : ", of which nothing is said");
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
        cmocka_unit_test(a_lost_stream_is_had_again),
        cmocka_unit_test(lost_packets_are_a_gap_and_the_rest_goes_on),
        cmocka_unit_test(the_newest_frames_win),
#ifdef GV_HAVE_WEBSOCKETS
        cmocka_unit_test(browsers_get_page_and_motion),
#endif
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
