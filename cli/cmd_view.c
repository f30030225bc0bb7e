// gvhmr view: the viewer page of a run's folder.
#include "base/jail.h"
#include "cli.h"
#include "pipeline/view.h"

#include <stdio.h>
#include <unistd.h>

static const char help[] =
    "gvhmr view DIR [-o FILE.html] - one page to look at a run's results in any browser, without a network\n\n"
    "DIR is a folder that `gvhmr run` has written (scene.json, person-1.npz, ...). The page holds the motions, the\n"
    "bodies and a small copy of the video; a copy of more than 24 MiB lies beside the page instead.\n\n"
    "  -o, --output FILE       the page (default: DIR/viewer.html)\n"
    "      --video VIDEO       the video (default: by its name in DIR, above DIR, or here)\n"
    "      --no-video          a page without the video\n"
    "      --fps F             the video's true frame rate, if it was given to `run`\n"
    "      --body-model FILE   SMPL-X .npz, if it was given to `run` (default: the built-in mannequin)\n"
    "      --no-confinement    decode the video in this process, not in one without rights\n"
    "  -q, --quiet             no progress line, no remarks\n\n"
    "example: gvhmr view walk --video walk.mp4\n";

int gv_cmd_view(int argc, char **argv) {
    enum { OPT_VIDEO = 1, OPT_NO_VIDEO, OPT_FPS, OPT_BODY, OPT_UNCONFINED };
    static const struct option options[] = {{"output", required_argument, NULL, 'o'},
                                            {"video", required_argument, NULL, OPT_VIDEO},
                                            {"no-video", no_argument, NULL, OPT_NO_VIDEO},
                                            {"fps", required_argument, NULL, OPT_FPS},
                                            {"body-model", required_argument, NULL, OPT_BODY},
                                            {"no-confinement", no_argument, NULL, OPT_UNCONFINED},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    gv_view_options view = {0};
    const char *out = NULL;
    bool unconfined = false;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "o:qh", options, NULL)) != -1;) {
        switch (c) {
        case 'h':
            return fputs(help, stdout), 0;
        case 'o':
            out = optarg;
            break;
        case 'q':
            view.quiet = true;
            break;
        case OPT_VIDEO:
            view.video = optarg;
            break;
        case OPT_NO_VIDEO:
            view.no_video = true;
            break;
        case OPT_FPS:
            if (!gv_cli_double("view", "--fps", optarg, 0.1, 10000, &view.fps)) return 2;
            break;
        case OPT_BODY:
            view.body_model = optarg;
            break;
        case OPT_UNCONFINED:
            unconfined = true;
            break;
        default:
            return gv_cli_usage("view", "\"%s\" is unknown or lacks its value", argv[optind - 1]);
        }
    }
    if (optind + 1 != argc) return gv_cli_usage("view", "expected one folder");
    gv_error err = {0};
    bool without_video;
    if (!unconfined && !view.no_video && gv_cli_jail(&view.jail, view.quiet) != 0) return 1;
    gv_status status = gv_view_folder(argv[optind], out, &view, &without_video, &err);
    gv_jail_destroy(view.jail);
    if (status != GV_OK) return gv_cli_fail(&err);
    if (without_video && !view.quiet)
        fputs("gvhmr: the video was not found, the page is without it; --video says where it is\n", stderr);
    return 0;
}
