// gvhmr run: the main job.
#include "cli.h"
#include "options.h"
#include "pipeline/run.h"

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
         "  -o, --output DIR         output folder, made if it is not there\n"
         "      --side-by-side       also side-by-side.mp4, overlay and world in one picture\n"
         "      --no-video           only the motion files and scene.json\n"
         "      --export LIST        files for other programs: glb,bvh (default), amass, trc, csv, pt, or none\n"
         "      --people N           at most N persons, most prominent first (default: everybody)\n"
         "      --landmarks MODEL    which of BlazePose's: lite, full (default) or heavy");
    gv_observe_help();
    puts("      --model FILE         network weights, checkpoint or safetensors (default: DIR's, or built in)\n"
         "      --heads N            attention heads of the network (default: as the file says, else 8)\n"
         "      --body-model FILE    SMPL-X .npz (default: DIR's, or the built-in mannequin)\n"
         "      --refine             draw the motion towards the keypoints, keep it on level ground (default, but not "
         "with\n"
         "                           the network of --weights)\n"
         "      --no-refinement      the reference's method as it is\n"
         "      --bf16               matrix products in bfloat16, of all networks\n"
         "      --verbose            store the network's raw outputs in the motion files (net/...)\n"
         "      --json               print scene.json on standard output\n"
         "  -q, --quiet              no progress line, no report\n"
         "      --threads N          processor threads (default: all cores)\n"
         "\n"
         "example: gvhmr run walk.mp4 -o walk --static-camera");
}

enum {
    OPT_SIDE = 1,
    OPT_NO_VIDEO,
    OPT_MODEL,
    OPT_HEADS,
    OPT_BODY,
    OPT_BF16,
    OPT_VERBOSE,
    OPT_JSON,
    OPT_NO_REFINE,
    OPT_REFINE,
    OPT_EXPORT
};

int gv_cmd_run(int argc, char **argv) {
    static const struct option options[] = {
        GV_OBSERVE_OPTIONS,
        {"output", required_argument, NULL, 'o'},
        {"side-by-side", no_argument, NULL, OPT_SIDE},
        {"no-video", no_argument, NULL, OPT_NO_VIDEO},
        {"model", required_argument, NULL, OPT_MODEL},
        {"heads", required_argument, NULL, OPT_HEADS},
        {"body-model", required_argument, NULL, OPT_BODY},
        {"bf16", no_argument, NULL, OPT_BF16},
        {"verbose", no_argument, NULL, OPT_VERBOSE},
        {"json", no_argument, NULL, OPT_JSON},
        {"refine", no_argument, NULL, OPT_REFINE},
        {"no-refinement", no_argument, NULL, OPT_NO_REFINE},
        {"export", required_argument, NULL, OPT_EXPORT},
        {0},
    };
    gv_run_options run = {.observe.want.landmarks = GV_BLAZE_FULL, .pictures = true};
    run.observe.note = gv_observe_note;
    run.observe.note_user = &run.observe;
    const char *folder = NULL;
    bool json = false;
    long n;
    int c;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "o:qh", options, NULL)) != -1) {
        switch (c) {
        case 'h':
            return help(), 0;
        case 'o':
            folder = optarg;
            break;
        case OPT_SIDE:
            run.side_by_side = true;
            break;
        case OPT_NO_VIDEO:
            run.pictures = false;
            break;
        case OPT_MODEL:
            run.observe.want.network = optarg;
            break;
        case OPT_HEADS:
            if (!gv_cli_int("run", "--heads", optarg, 1, 256, &n)) return 2;
            run.heads = (int)n;
            break;
        case OPT_BODY:
            run.observe.want.body = optarg;
            break;
        case OPT_BF16:
            run.precision = GV_PRECISION_BF16;
            break;
        case OPT_VERBOSE:
            run.verbose = true;
            break;
        case OPT_JSON:
            json = true;
            break;
        case OPT_EXPORT:
            run.exports = optarg;
            break;
        case OPT_REFINE:
            run.refinement = GV_REFINE_ON;
            break;
        case OPT_NO_REFINE:
            run.refinement = GV_REFINE_OFF;
            break;
        default:
            if (!gv_observe_option("run", c, argv, &run.observe)) return 2;
        }
    }
    if (optind + 1 != argc) return gv_cli_usage("run", optind == argc ? "no VIDEO given" : "more than one VIDEO given");
    if (!folder) return gv_cli_usage("run", "no output folder given (-o DIR)");
    gv_error err = {0};
    gv_run_result result;
    if (gv_run(argv[optind], folder, &run, &result, &err) != GV_OK) return gv_cli_fail(&err);
    if (json) puts(result.scene);
    if (!run.observe.quiet && isatty(STDERR_FILENO) && result.report) fputs(result.report, stderr);
    if (!run.observe.quiet && result.note) fprintf(stderr, "gvhmr: %s\n", result.note);
    gv_run_result_free(&result);
    return 0;
}
