// gvhmr batch: many videos.
#include "cli.h"
#include "options.h"
#include "pipeline/batch.h"
#include "pipeline/run_options.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void help(void) {
    puts(
        "usage: gvhmr batch LIST -o DIR [options]\n"
        "\n"
        "Does `gvhmr run` for every video of LIST, a text file with one path a line (a tab and a name after it "
        "chooses\n"
        "the folder below DIR; lines with # are left out). The models are loaded once. What is done already, with the\n"
        "same contents and options, is not done again; a video that fails costs only itself and is listed with its\n"
        "reason. Stopped at any moment, the same command goes on where it was.\n"
        "\n"
        "  -o, --output DIR         results in DIR/NAME, and DIR/report.json\n"
        "      --shard I/N          only every N-th video, beginning with the I-th (several machines on one DIR); the "
        "table\n"
        "                           is then DIR/report-I-of-N.json\n"
        "      --report             run nothing; write report.json from what all shards have done, with their other "
        "options\n"
        "      --retry              try videos again that failed before");
    gv_run_help();
    puts("  -q, --quiet              no progress line, and failures only in the report\n"
         "\n"
         "The exit status is 0 when every video of this part is done, 1 when some have failed (with --report also: when\n"
         "some have not been tried), 75 when another batch is at work in DIR and nothing was done.\n"
         "\n"
         "example: ls *.mp4 > list.txt; gvhmr batch list.txt -o results --no-video");
}

enum { OPT_SHARD = 1, OPT_REPORT, OPT_RETRY, MAX_TEXT = 16384, BUSY = 75 }; // EX_TEMPFAIL of sysexits.h

static volatile bool stop;
static void on_signal(int signal) {
    (void)signal;
    stop = true;
}

static void catch_signals(void) {
    struct sigaction a = {.sa_handler = on_signal}; // not restarting: a wait for the worker ends
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void failed(const char *video, const char *reason, void *user) {
    const gv_batch_options *o = user;
    if (o->quiet) return;
    if (!strncmp(reason, video, strlen(video)))
        fprintf(stderr, "gvhmr: %s\n", reason);
    else
        fprintf(stderr, "gvhmr: %s: %s\n", video, reason);
}

static bool shard(const char *text, gv_batch_options *o) {
    char rest;
    if (sscanf(text, "%d/%d%c", &o->shard, &o->shards, &rest) == 2 && o->shard >= 1 && o->shard <= o->shards)
        return true;
    gv_cli_usage("batch", "--shard \"%s\": expected I/N with I from 1 to N, for instance 2/8", text);
    return false;
}

// What the results depend on: the program's version and all options but those of how the work is done.
static void remember(char *text, int c) {
    size_t n = strlen(text);
    snprintf(text + n, MAX_TEXT - n, " %d=%s", c, optarg ? optarg : "");
}

int gv_cmd_batch(int argc, char **argv) {
    static const struct option options[] = {
        GV_OBSERVE_OPTIONS,
        GV_RUN_OPTIONS,
        {"output", required_argument, NULL, 'o'},
        {"shard", required_argument, NULL, OPT_SHARD},
        {"report", no_argument, NULL, OPT_REPORT},
        {"retry", no_argument, NULL, OPT_RETRY},
        {0},
    };
    gv_batch_options o = {.run = gv_run_options_default(), .stop = &stop, .failed = failed};
    o.user = &o;
    const char *folder = NULL;
    static char text[MAX_TEXT] = GVHMR_VERSION;
    int c;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "o:qh", options, NULL)) != -1) {
        switch (c) {
        case 'h':
            return help(), 0;
        case 'o':
            folder = optarg;
            break;
        case 'q':
            o.quiet = true;
            break;
        case OPT_SHARD:
            if (!shard(optarg, &o)) return 2;
            break;
        case OPT_REPORT:
            o.report_only = true;
            break;
        case OPT_RETRY:
            o.retry = true;
            break;
        default:
            if (!gv_run_option("batch", c, argv, &o.run)) return 2;
            if (c != GV_OPT_THREADS && c != GV_OPT_CACHE && c != GV_OPT_NO_CACHE && c != GV_OPT_NO_CONFINEMENT)
                remember(text, c);
        }
    }
    if (optind + 1 != argc) return gv_cli_usage("batch", optind == argc ? "no LIST given" : "more than one LIST given");
    if (!folder) return gv_cli_usage("batch", "no output folder given (-o DIR)");
    o.options_text = text;
    catch_signals();
    gv_error err = {0};
    gv_batch_summary s;
    if (gv_batch_run(&s, argv[optind], folder, &o, &err) != GV_OK) {
        int code = gv_cli_fail(&err);
        return s.busy ? BUSY : code;
    }
    if (!o.quiet)
        fprintf(stderr, "gvhmr: %d videos: %d done, %d failed, %d not tried\n", s.videos, s.done, s.failed, s.open);
    if (stop) return 130;
    return s.failed || (o.report_only && s.open) ? 1 : 0;
}
