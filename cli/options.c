#include "options.h"
#include "cli.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

void gv_observe_help(void) {
    puts(
        "      --weights DIR        folder of weights laid out like GVHMR's inputs/checkpoints; what it lacks comes "
        "from\n"
        "                           the built-in models\n"
        "      --detector WHAT      auto (default: the best that is there), blazepose, yolov8, or a checkpoint file\n"
        "      --keypoints WHAT     auto, blazepose, vitpose, a checkpoint file, or\n"
        "                           2D points made elsewhere: COCO JSON, OpenPose folder, .npz\n"
        "      --features WHAT      auto, none, hmr2, or a checkpoint file\n"
        "      --fast               YOLOv8, ViTPose and HMR2.0 on every third frame where little moves, ViTPose "
        "without\n"
        "                           the mirrored copy\n"
        "      --low-memory         one of these networks at a time\n"
        "      --cache DIR          keep results of perception in DIR, for the next run and for one that is cut short\n"
        "                           (default: beside the output)\n"
        "      --no-cache           keep none\n"
        "      --static-camera      the camera does not move (default: measured)\n"
        "      --focal-length F     in pixels of the full picture, or as 35-mm equivalent with \"mm\": 1200, 26mm\n"
        "      --intrinsics FILE    .json or .npz with K and lens distortion (docs/camera.md)\n"
        "                           (default for both: what the video file says, else measured where the camera\n"
        "                           turns, else the image diagonal)\n"
        "      --gyro FILE          the camera's rotation from a gyroscope's log (.gcsv, .csv, a GoPro's own .mp4) or\n"
        "                           another tracker's rotations (.npz, TUM, COLMAP images.txt, matrices)\n"
        "      --fps F              the true frame rate where the file's is wrong");
}

void gv_observe_note(void *user, const char *text) {
    const gv_observe_options *o = user;
    if (!o->quiet) fprintf(stderr, "gvhmr: %s\n", text);
}

static bool landmarks(const char *command, gv_blaze_model *model) {
    static const char *const names[] = {"lite", "full", "heavy"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(optarg, names[i])) {
            *model = (gv_blaze_model)i;
            return true;
        }
    gv_cli_usage(command, "--landmarks: \"%s\", expected lite, full or heavy", optarg);
    return false;
}

bool gv_observe_option(const char *command, int c, char **argv, gv_observe_options *o) {
    long n;
    switch (c) {
    case 'q':
        o->quiet = true;
        return true;
    case GV_OPT_STATIC:
        o->static_camera = true;
        return true;
    case GV_OPT_FOCAL:
        o->optics.focal_length = optarg;
        return true;
    case GV_OPT_GYRO:
        o->gyro = optarg;
        return true;
    case GV_OPT_INTRINSICS:
        o->optics.intrinsics = optarg;
        return true;
    case GV_OPT_FPS:
        return gv_cli_double(command, "--fps", optarg, 0.1, 10000, &o->fps);
    case GV_OPT_LANDMARKS:
        return landmarks(command, &o->want.landmarks);
    case GV_OPT_WEIGHTS:
        o->want.weights = optarg;
        return true;
    case GV_OPT_DETECTOR:
        o->want.detector = optarg;
        return true;
    case GV_OPT_KEYPOINTS:
        o->want.keypoints = optarg;
        return true;
    case GV_OPT_FEATURES:
        o->want.features = optarg;
        return true;
    case GV_OPT_FAST:
        o->fast = true;
        return true;
    case GV_OPT_LOW_MEMORY:
        o->low_memory = true;
        return true;
    case GV_OPT_CACHE:
        if (!*optarg) return gv_cli_usage(command, "--cache: an empty name, expected a folder") == 0;
        o->cache = optarg;
        return true;
    case GV_OPT_NO_CACHE:
        o->cache = "";
        return true;
    case GV_OPT_PEOPLE:
        if (!gv_cli_int(command, "--people", optarg, 1, 1000, &n)) return false;
        o->max_people = (int)n;
        return true;
    case GV_OPT_THREADS:
        if (!gv_cli_int(command, "--threads", optarg, 1, 1024, &n)) return false;
        omp_set_num_threads((int)n);
        return true;
    default:
        gv_cli_usage(command, "%s: unknown option or missing value", argv[optind - 1]);
        return false;
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
    long n;
    switch (c) {
    case GV_OPT_SIDE:
        o->side_by_side = true;
        return true;
    case GV_OPT_NO_VIDEO:
        o->pictures = false;
        return true;
    case GV_OPT_MODEL:
        o->observe.want.network = optarg;
        return true;
    case GV_OPT_HEADS:
        if (!gv_cli_int(command, "--heads", optarg, 1, 256, &n)) return false;
        o->heads = (int)n;
        return true;
    case GV_OPT_BODY:
        o->observe.want.body = optarg;
        return true;
    case GV_OPT_BF16:
        o->precision = GV_PRECISION_BF16;
        return true;
    case GV_OPT_VERBOSE:
        o->verbose = true;
        return true;
    case GV_OPT_EXPORT:
        o->exports = optarg;
        return true;
    case GV_OPT_REFINE:
        o->refinement = GV_REFINE_ON;
        return true;
    case GV_OPT_NO_REFINE:
        o->refinement = GV_REFINE_OFF;
        return true;
    default:
        return gv_observe_option(command, c, argv, &o->observe);
    }
}
