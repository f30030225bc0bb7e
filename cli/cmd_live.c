// gvhmr live: motion while it happens.
#include "base/jail.h"
#include "cli.h"
#include "live/live.h"
#include "live/output.h"
#include "live/server.h"

#include <errno.h>
#include <omp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static void help(void) {
    puts("usage: gvhmr live SOURCE [options]\n"
         "\n"
         "Recovers everybody's motion while the source runs, one line of JSON a frame on standard output.\n"
         "\n"
         "SOURCE: a video file (at its own speed), /dev/videoN, a URL (rtsp://, udp://, ...), or - for raw RGB frames "
         "on\n"
         "standard input. When the machine is too slow frames are dropped, never queued. A source that stalls, changes "
         "its\n"
         "size, loses packets or goes away leaves a marked gap and a line on stderr, and what comes after it goes on.\n"
         "\n"
         "      --look-ahead N       frames at 30 fps that are waited for before a frame is told, 0..60 [10]: the "
         "more, the\n"
         "                           calmer; latency is this and up to 100 ms\n"
         "      --size WxH           of raw frames, 24-bit RGB\n"
         "      --fps F              of raw frames [30], or the true rate of a file\n"
         "      --format WHAT        json, or floats: 164 little-endian float32 a person and frame (docs/live.md)\n"
         "      --websocket WHERE    PORT or ADDRESS:PORT: a page that shows the motion, and the JSON by WebSocket "
         "(protocol\n"
         "                           gvhmr); nothing on standard output unless --format is given\n"
         "      --moving-camera      the camera moves: followed from frame to frame [it stands still]\n"
         "      --people N           at most so many at once\n"
         "      --landmarks WHAT     lite, full or heavy [full]\n"
         "      --focal-length F     in pixels, or as 35-mm equivalent with \"mm\" [image diagonal]\n"
         "      --intrinsics FILE    .json or .npz with K and lens distortion\n"
         "      --model FILE, --body-model FILE, --weights DIR, --heads N, --bf16\n"
         "      --no-refinement      do not draw the motion towards the keypoints\n"
         "      --every K            looks from one pass through the network to the next [1; 3 with a large network]\n"
         "      --timeout SEC        silence that counts as a stall [5]\n"
         "      --give-up SEC        a lost camera or URL is tried again for so long [60]\n"
         "      --as-fast-as-possible  a file or pipe without waiting and without dropping\n"
         "      --report             frames, drops and latencies as JSON on stderr at the end\n"
         "      --threads N          [all cores]\n"
         "      --no-confinement     decode in this process, not in one without rights\n"
         "  -q, --quiet              no remarks\n"
         "\n"
         "example: gvhmr live /dev/video0 --websocket 8080");
}

typedef struct job {
    gv_live_options live;
    const char *where;
    bool floats, text, report, quiet, unconfined;
    gv_server *server;
    gv_live_buffer buffer;
    long threads;
} job;

static atomic_bool stop; // set by signals

static void on_signal(int number) {
    (void)number;
    atomic_store(&stop, true);
}

static void catch_signals(void) {
    struct sigaction end = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}; // a second one ends at once
    sigaction(SIGINT, &end, NULL);
    sigaction(SIGTERM, &end, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void remark(void *user, const char *text) {
    const job *j = user;
    if (!j->quiet) fprintf(stderr, "gvhmr: %s\n", text);
}

static bool take(void *user, const gv_live_frame *f) {
    job *j = user;
    if (j->server) {
        if (!gv_live_json(&j->buffer, f)) return false;
        gv_server_send(j->server, j->buffer.data, j->buffer.size);
    }
    if (!j->text && !j->floats) return true;
    if (j->floats && !gv_live_floats(&j->buffer, f)) return false;
    if (j->text && !j->server && !gv_live_json(&j->buffer, f)) return false;
    if (fwrite(j->buffer.data, 1, j->buffer.size, stdout) == j->buffer.size && fflush(stdout) == 0) return true;
    // Whoever read is gone: the end, and no error. Anything else, such as a full disk, is told of when the program
    // ends.
    if (errno == EPIPE && !freopen("/dev/null", "w", stdout)) fclose(stdout);
    return false;
}

static void print_report(const gv_live_report *r) {
    fprintf(
        stderr,
        "{\"frames\": %ld, \"dropped\": %ld, \"told\": %ld, \"gaps\": %ld, \"people\": %d, \"seconds\": %.3f, "
        "\"frames_per_sec\": %.2f, \"source_sec\": %.3f, \"latency_ms\": {\"p50\": %.0f, \"p95\": %.0f, \"p99\": %.0f, "
        "\"max\": %.0f}, \"look_ms\": %.2f, \"solve_ms\": %.2f}\n",
        r->frames, r->dropped, r->told, r->gaps, r->people, r->seconds,
        r->seconds > 0 ? (double)r->frames / r->seconds : 0, r->source_sec, r->latency_ms[0], r->latency_ms[1],
        r->latency_ms[2], r->latency_ms[3], r->look_ms, r->solve_ms);
}

enum {
    LOOK_AHEAD = 256,
    SIZE,
    FPS,
    FORMAT,
    WEBSOCKET,
    MOVING,
    PEOPLE,
    LANDMARKS,
    FOCAL,
    INTRINSICS,
    MODEL,
    BODY,
    WEIGHTS,
    HEADS,
    BF16,
    NO_REFINE,
    EVERY,
    TIMEOUT,
    GIVE_UP,
    FAST,
    REPORT,
    THREADS,
    UNCONFINED
};

static bool take_size(gv_capture_options *c) {
    char rest;
    if (sscanf(optarg, "%dx%d%c", &c->width, &c->height, &rest) == 2 && c->width > 0 && c->height > 0) return true;
    gv_cli_usage("live", "--size: \"%s\", expected WIDTHxHEIGHT", optarg);
    return false;
}

static bool one_of(const char *option, const char *const *names, int count, int *out) {
    for (*out = 0; *out < count; ++*out)
        if (!strcmp(optarg, names[*out])) return true;
    gv_cli_usage("live", "%s: \"%s\" is not known; see `gvhmr live --help`", option, optarg);
    return false;
}

static bool take_int(const char *option, long lo, long hi, int *out) {
    long n;
    if (!gv_cli_int("live", option, optarg, lo, hi, &n)) return false;
    *out = (int)n;
    return true;
}

static bool take_option(job *j, int c) {
    static const char *const formats[] = {"json", "floats"}, *const marks[] = {"lite", "full", "heavy"};
    gv_live_options *o = &j->live;
    int which;
    switch (c) {
    case LOOK_AHEAD:
        return take_int("--look-ahead", 0, GV_LOOK_AHEAD_MAX, &o->look_ahead);
    case SIZE:
        return take_size(&o->capture);
    case FPS:
        return gv_cli_double("live", "--fps", optarg, 1, 1000, &o->capture.fps);
    case FORMAT:
        if (!one_of("--format", formats, 2, &which)) return false;
        j->text = which == 0;
        j->floats = which == 1;
        return true;
    case WEBSOCKET:
        j->where = optarg;
        return true;
    case MOVING:
        return o->moving_camera = true;
    case PEOPLE:
        return take_int("--people", 1, GV_LIVE_PEOPLE, &o->max_people);
    case LANDMARKS:
        if (!one_of("--landmarks", marks, 3, &which)) return false;
        o->want.landmarks = (gv_blaze_model)which;
        return true;
    case FOCAL:
        o->optics.focal_length = optarg;
        return true;
    case INTRINSICS:
        o->optics.intrinsics = optarg;
        return true;
    case MODEL:
        o->want.network = optarg;
        return true;
    case BODY:
        o->want.body = optarg;
        return true;
    case WEIGHTS:
        o->want.weights = optarg;
        return true;
    case HEADS:
        return take_int("--heads", 1, 512, &o->heads);
    case BF16:
        o->precision = GV_PRECISION_BF16;
        return true;
    case NO_REFINE:
        return o->no_refinement = true;
    case EVERY:
        return take_int("--every", 1, 15, &o->every);
    case TIMEOUT:
        return gv_cli_double("live", "--timeout", optarg, 0.1, 3600, &o->capture.patience_sec);
    case GIVE_UP:
        return gv_cli_double("live", "--give-up", optarg, 0, 1e6, &o->capture.give_up_sec);
    case FAST:
        return o->capture.every_frame = true;
    case REPORT:
        return j->report = true;
    case THREADS:
        return gv_cli_int("live", "--threads", optarg, 1, 1024, &j->threads);
    case UNCONFINED:
        return j->unconfined = true;
    case 'q':
        return j->quiet = true;
    default:
        gv_cli_usage("live", "an option is unknown or has no value");
        return false;
    }
}

// Returns 0 to go on, else the exit status + 1.
static int parse(job *j, int argc, char **argv) {
    static const struct option table[] = {{"look-ahead", required_argument, NULL, LOOK_AHEAD},
                                          {"size", required_argument, NULL, SIZE},
                                          {"fps", required_argument, NULL, FPS},
                                          {"format", required_argument, NULL, FORMAT},
                                          {"websocket", required_argument, NULL, WEBSOCKET},
                                          {"moving-camera", no_argument, NULL, MOVING},
                                          {"people", required_argument, NULL, PEOPLE},
                                          {"landmarks", required_argument, NULL, LANDMARKS},
                                          {"focal-length", required_argument, NULL, FOCAL},
                                          {"intrinsics", required_argument, NULL, INTRINSICS},
                                          {"model", required_argument, NULL, MODEL},
                                          {"body-model", required_argument, NULL, BODY},
                                          {"weights", required_argument, NULL, WEIGHTS},
                                          {"heads", required_argument, NULL, HEADS},
                                          {"bf16", no_argument, NULL, BF16},
                                          {"no-refinement", no_argument, NULL, NO_REFINE},
                                          {"every", required_argument, NULL, EVERY},
                                          {"timeout", required_argument, NULL, TIMEOUT},
                                          {"give-up", required_argument, NULL, GIVE_UP},
                                          {"as-fast-as-possible", no_argument, NULL, FAST},
                                          {"report", no_argument, NULL, REPORT},
                                          {"threads", required_argument, NULL, THREADS},
                                          {"no-confinement", no_argument, NULL, UNCONFINED},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "qh", table, NULL)) != -1;) {
        if (c == 'h') return help(), 1;
        if (!take_option(j, c)) return 3;
    }
    if (argc - optind != 1) return 1 + gv_cli_usage("live", "expected one SOURCE, found %d", argc - optind);
    j->live.capture.source = argv[optind];
    if (!strcmp(argv[optind], "-") && !j->live.capture.width)
        return 1 + gv_cli_usage("live", "raw frames on standard input need --size WxH");
    if (!j->where && !j->floats) j->text = true;
    return 0;
}

int gv_cmd_live(int argc, char **argv) {
    job j = {.live = {.look_ahead = 10,
                      .want.landmarks = GV_BLAZE_FULL,
                      .capture = {.patience_sec = 5, .give_up_sec = 60, .stop = &stop},
                      .note = remark}};
    j.live.note_user = &j;
    int over = parse(&j, argc, argv);
    if (over) return over - 1;
    catch_signals(); // early: a stop is an orderly end however little has been done
    if (!j.unconfined && strcmp(j.live.capture.source, "-") && gv_cli_jail(&j.live.capture.jail, j.quiet) != 0)
        return 1;
    if (j.threads) omp_set_num_threads((int)j.threads);
    gv_error err = {0};
    gv_live_report report = {0};
    gv_status status = j.where ? gv_server_open(&j.server, j.where, &err) : GV_OK;
    if (status == GV_OK) status = gv_live(&j.live, take, &j, &report, &err);
    gv_server_close(j.server);
    gv_live_buffer_free(&j.buffer);
    gv_jail_destroy(j.live.capture.jail);
    if (status != GV_OK) return gv_cli_fail(&err);
    if (j.report) print_report(&report);
    return 0;
}
