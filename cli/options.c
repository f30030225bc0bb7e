#include "options.h"
#include "cli.h"
#include "pipeline/run_options.h"

#include <omp.h>
#include <stdio.h>

void gv_observe_help(void) {
    puts(
        "      --weights DIR        folder of weights laid out like GVHMR's inputs/checkpoints; what it lacks comes "
        "from\n"
        "                           the built-in models\n"
        "      --detector WHAT      auto (default: the best that is there), blazepose, yolov8, or a checkpoint file\n"
        "      --keypoints WHAT     auto, blazepose, vitpose, a checkpoint file, or\n"
        "                           2D points made elsewhere: COCO JSON, OpenPose folder, .npz\n"
        "      --features WHAT      auto, none, hmr2, or a checkpoint file\n"
        "      --device WHERE       YOLOv8, ViTPose, HMR2.0 and the motion network on: cpu (default), cuda, or auto,\n"
        "                           which is cuda where it can be had; BlazePose stays on the processor\n"
        "      --fast               YOLOv8, ViTPose and HMR2.0 on every third or fourth frame where little moves,\n"
        "                           ViTPose and BlazePose without the mirrored copy\n"
        "      --low-memory         one of these networks at a time\n"
        "      --cache DIR          keep results of perception in DIR, for the next run and for one that is cut short\n"
        "                           (default: beside the output)\n"
        "      --no-cache           keep none\n"
        "      --static-camera      the camera does not move (default: measured)\n"
        "      --focal-length F     in pixels of the full picture, or as 35-mm equivalent with \"mm\": 1200, 26mm\n"
        "      --intrinsics FILE    .json or .npz with K and lens distortion (docs/camera.md)\n"
        "                           (default for both: what the video file says, else measured where the camera\n"
        "                           turns, else the image diagonal, or 30mm where it stands upright)\n"
        "      --gyro FILE          the camera's rotation from a gyroscope's log (.gcsv, .csv, a GoPro's own .mp4) or\n"
        "                           another tracker's rotations (.npz, TUM, COLMAP images.txt, matrices)\n"
        "      --fps F              the true frame rate where the file's is wrong\n"
        "      --no-confinement     decode in this process; without, videos are decoded by one without rights, so "
        "that\n"
        "                           a file made to do harm cannot");
}

void gv_observe_note(void *user, const char *text) {
    const gv_observe_options *o = user;
    if (!o->quiet) fprintf(stderr, "gvhmr: %s\n", text);
}

static const struct option observe_options[] = {GV_OBSERVE_OPTIONS, {0}};
static const struct option run_options[] = {GV_RUN_OPTIONS, {0}};

static const char *name_of(const struct option *table, int c) {
    for (const struct option *o = table; o->name; o++)
        if (o->val == c) return o->name;
    return NULL;
}

static bool unless_wrong(const char *command, gv_status status, const gv_error *err) {
    if (status != GV_OK) gv_cli_usage(command, "--%s", err->text);
    return status == GV_OK;
}

bool gv_observe_option(const char *command, int c, char **argv, gv_observe_options *o) {
    gv_error err = {0};
    const char *name = name_of(observe_options, c);
    long n;
    switch (name ? c : 0) {
    case 0:
        gv_cli_usage(command, "%s: unknown option or missing value", argv[optind - 1]);
        return false;
    case 'q':
        o->quiet = true;
        return true;
    case GV_OPT_NO_CONFINEMENT:
        o->unconfined = true;
        return true;
    case GV_OPT_THREADS:
        if (!gv_cli_int(command, "--threads", optarg, 1, 1024, &n)) return false;
        omp_set_num_threads((int)n);
        return true;
    default:
        return unless_wrong(command, gv_observe_option_set(o, name, optarg ? optarg : "yes", &err), &err);
    }
}

void gv_run_help(void) {
    puts("      --side-by-side       also side-by-side.mp4, overlay and world in one picture\n"
         "      --no-video           only the motion files and scene.json\n"
         "      --export LIST        files for other programs: glb,bvh (default), amass, trc, csv, pt, or none\n"
         "      --people N           at most N persons, most prominent first (default: everybody)\n"
         "      --landmarks MODEL    which of BlazePose's: lite, full (default) or heavy");
    gv_observe_help();
    puts("      --model FILE         network weights, checkpoint or safetensors (default: DIR's, or built in)\n"
         "      --heads N            attention heads of the network (default: as the file says, else 8)\n"
         "      --body-model FILE    SMPL-X .npz (default: DIR's, or the built-in mannequin)\n"
         "      --refine             draw the motion towards the keypoints, keep it on level ground (default, but not\n"
         "                           with the network of --weights)\n"
         "      --no-refinement      the reference's method as it is\n"
         "      --bf16               matrix products in bfloat16, of all networks\n"
         "      --verbose            store the network's raw outputs in the motion files (net/...)\n"
         "      --threads N          processor threads (default: all cores)");
}

bool gv_run_option(const char *command, int c, char **argv, gv_run_options *o) {
    gv_error err = {0};
    const char *name = name_of(run_options, c);
    if (!name) return gv_observe_option(command, c, argv, &o->observe);
    return unless_wrong(command, gv_run_option_set(o, name, optarg ? optarg : "yes", &err), &err);
}
