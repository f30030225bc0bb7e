// gvhmr run: the main job.
#include "base/jail.h"
#include "cli.h"
#include "options.h"
#include "pipeline/run_options.h"

#include <stdio.h>
#include <unistd.h>

static void help(void) {
    puts("usage: gvhmr run VIDEO -o DIR [options]\n"
         "\n"
         "Recovers everybody's motion in one gravity-aligned world and writes into DIR:\n"
         "  person-1.npz ...  motion of each person, 1 = most prominent (SMPL-X parameters, joints)\n"
         "  scene.json        people, camera path, quality, timings, versions, model hashes\n"
         "  scene.glb         everybody as animated bodies, and the camera; person-N.bvh: skeletons\n"
         "  overlay.mp4       the bodies over the video\n"
         "  world.mp4         the bodies in the world, from a fixed outside view\n"
         "  viewer.html       everything as one page for the browser, without a network\n"
         "\n"
         "  -o, --output DIR         output folder, made if it is not there");
    gv_run_help();
    puts("      --json               print scene.json on standard output\n"
         "  -q, --quiet              no progress line, no report\n"
         "\n"
         "example: gvhmr run walk.mp4 -o walk --static-camera");
}

enum { OPT_JSON = 1 };

int gv_cmd_run(int argc, char **argv) {
    static const struct option options[] = {
        GV_OBSERVE_OPTIONS,
        GV_RUN_OPTIONS,
        {"output", required_argument, NULL, 'o'},
        {"json", no_argument, NULL, OPT_JSON},
        {0},
    };
    gv_run_options run = gv_run_options_default();
    run.observe.note = gv_observe_note;
    run.observe.note_user = &run.observe;
    const char *folder = NULL;
    bool json = false;
    int c;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "o:qh", options, NULL)) != -1) {
        switch (c) {
        case 'h':
            return help(), 0;
        case 'o':
            folder = optarg;
            break;
        case OPT_JSON:
            json = true;
            break;
        default:
            if (!gv_run_option("run", c, argv, &run)) return 2;
        }
    }
    if (optind + 1 != argc) return gv_cli_usage("run", optind == argc ? "no VIDEO given" : "more than one VIDEO given");
    if (!folder) return gv_cli_usage("run", "no output folder given (-o DIR)");
    gv_error err = {0};
    gv_run_result result;
    if (!run.observe.unconfined && gv_cli_jail(&run.observe.jail, run.observe.quiet) != 0) return 1;
    gv_status status = gv_run(argv[optind], folder, &run, &result, &err);
    gv_jail_destroy(run.observe.jail);
    if (status != GV_OK) return gv_cli_fail(&err);
    if (json) puts(result.scene);
    if (!run.observe.quiet && isatty(STDERR_FILENO) && result.report) fputs(result.report, stderr);
    if (!run.observe.quiet && result.note) fprintf(stderr, "gvhmr: %s\n", result.note);
    gv_run_result_free(&result);
    return 0;
}
