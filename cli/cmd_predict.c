// predict: observations of one person to motion, the reference's method exactly.
#include "cli.h"

#include "base/progress.h"
#include "pipeline/models.h"
#include "pipeline/predict.h"
#include "pipeline/run_options.h"

#include <omp.h>
#include <stdio.h>

typedef struct options {
    const char *input, *output;
    gv_model_request want;
    long heads, threads;
    gv_device_choice where;
    bool bf16, quiet;
    gv_predict_options predict;
} options;

static void help(void) {
    puts("usage: gvhmr predict OBS.npz -o MOTION.npz [options]\n\n"
         "Recovers one person's motion from observations (boxes, 2D keypoints, camera), in the camera and in a\n"
         "world whose y is up.\n\n"
         "  -o, --output FILE     the motion (.npz)\n"
         "      --weights DIR     folder laid out like GVHMR's inputs/checkpoints: model and body from there\n"
         "      --model FILE      weights: GVHMR's checkpoint or our safetensors [gvhmr-compact.safetensors]\n"
         "      --body-model FILE SMPL-X body model, .npz [the built-in mannequin]\n"
         "      --static-camera   the camera stands still: hold the motion to where the camera sees it\n"
         "      --heads N         attention heads of a checkpoint [8; our own files state theirs]\n"
         "      --bf16            bfloat16 matrix products: faster, slightly less smooth (bench/README.md)\n"
         "      --device WHERE    the network on: cpu (default), cuda, or auto, which is cuda where it can be had\n"
         "      --verbose         also store every intermediate result, as net/...\n"
         "      --threads N       [all cores]\n"
         "  -q, --quiet           no summary line\n\n"
         "example: gvhmr predict person-1.obs.npz -o person-1.npz --static-camera");
}

// Returns 0 to go on, else the exit status + 1.
static int parse(options *o, int argc, char **argv) {
    enum { MODEL = 256, WEIGHTS, BODY, STATIC, HEADS, BF16, DEVICE, VERBOSE, THREADS };
    static const struct option table[] = {{"output", required_argument, NULL, 'o'},
                                          {"model", required_argument, NULL, MODEL},
                                          {"weights", required_argument, NULL, WEIGHTS},
                                          {"body-model", required_argument, NULL, BODY},
                                          {"static-camera", no_argument, NULL, STATIC},
                                          {"heads", required_argument, NULL, HEADS},
                                          {"bf16", no_argument, NULL, BF16},
                                          {"device", required_argument, NULL, DEVICE},
                                          {"verbose", no_argument, NULL, VERBOSE},
                                          {"threads", required_argument, NULL, THREADS},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    for (int c; (c = getopt_long(argc, argv, "o:qh", table, NULL)) != -1;) switch (c) {
        case 'o':
            o->output = optarg;
            break;
        case MODEL:
            o->want.network = optarg;
            break;
        case BODY:
            o->want.body = optarg;
            break;
        case WEIGHTS:
            o->want.weights = optarg;
            break;
        case STATIC:
            o->predict.static_camera = true;
            break;
        case BF16:
            o->bf16 = true;
            break;
        case DEVICE:
            if (!gv_cli_device("predict", optarg, &o->where)) return 3;
            break;
        case VERBOSE:
            o->predict.verbose = true;
            break;
        case 'q':
            o->quiet = true;
            break;
        case HEADS:
            if (!gv_cli_int("predict", "--heads", optarg, 1, 512, &o->heads)) return 3;
            break;
        case THREADS:
            if (!gv_cli_int("predict", "--threads", optarg, 1, 1024, &o->threads)) return 3;
            break;
        case 'h':
            help();
            return 1;
        default:
            return 3; // getopt has said what is wrong
        }
    if (argc - optind != 1)
        return 1 + gv_cli_usage("predict", "expected one observation file, found %d", argc - optind);
    if (!o->output) return 1 + gv_cli_usage("predict", "-o MOTION.npz is missing");
    o->input = argv[optind];
    return 0;
}

static gv_status predict(const options *o, gv_error *err) {
    gv_observations obs = {0};
    gv_motion motion = {0};
    gv_network *net = NULL;
    gv_device *device = NULL;
    gv_body *body = NULL;
    gv_predict_times times = {0};
    gv_models models = {0};
    double start = gv_now(), opened = start;
    gv_status s = gv_cli_open_device(&device, o->where, o->quiet, err);
    if (!s) s = gv_observations_load(&obs, o->input, err);
    if (!s) s = gv_models_choose(&models, &o->want, err);
    if (!s)
        s = gv_network_open(&net, models.role[GV_ROLE_NETWORK].path, (int)o->heads,
                            o->bf16 ? GV_PRECISION_BF16 : GV_PRECISION_F32, device, err);
    if (!s) s = gv_body_open_skeleton(&body, models.role[GV_ROLE_BODY].path, err);
    if (!s) {
        opened = gv_now();
        if ((s = gv_predict(&motion, net, body, &obs, &o->predict, &times, err))) gv_wrap(err, "%s", o->input);
    }
    if (!s) s = gv_motion_save(&motion, o->output, err);
    if (!s && !o->quiet && o->want.weights) {
        char choice[600];
        gv_models_describe(&models, choice, sizeof choice);
        fprintf(stderr, "gvhmr: %s\n", choice);
    }
    if (!s && !o->quiet)
        fprintf(stderr, "%d frames: start %.2f s, network %.3f s, motion %.3f s, all %.2f s\n", obs.frames,
                opened - start, times.network, times.solver, gv_now() - start);
    gv_models_free(&models);
    gv_motion_free(&motion);
    gv_body_close(body);
    gv_network_close(net);
    gv_device_close(device);
    gv_observations_free(&obs);
    return s;
}

int gv_cmd_predict(int argc, char **argv) {
    options o = {.want.motion_only = true};
    int stop = parse(&o, argc, argv);
    if (stop) return stop - 1;
    if (o.threads) omp_set_num_threads((int)o.threads);
    gv_error err = {0};
    return predict(&o, &err) ? gv_cli_fail(&err) : 0;
}
