// gvhmr eval: the field's measures, of motions against true motions and of the network on held-out motion capture.
#include "cli.h"
#include "eval.h"
#include "base/file.h"
#include "base/json_build.h"
#include "formats/motion_file.h"
#include "pipeline/benchmark.h"
#include "pipeline/models.h"
#include "geometry/rotation.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: gvhmr eval motion PRED.npz TRUTH.npz [PRED.npz TRUTH.npz ...] [--json FILE]\n"
    "       gvhmr eval mocap --data STORE [options]\n"
    "       gvhmr eval 3dpw|emdb1|emdb2|rich --data DIR --bodies DIR --regressors DIR --model FILE [options]\n\n"
    "Prints WA-MPJPE100, W-MPJPE100 (mm), RTE (%), jitter (10 m/s^3), foot sliding (mm), PA-MPJPE, MPJPE (mm),\n"
    "acceleration error (m/s^2), the error of gravity's direction in the camera (degrees; and its median) and that of "
    "the\n"
    "root's tilt against gravity: means over all frames.\n\n"
    "motion  compares motion files frame by frame, over their 22 joints; only frames of the same frame_index count.\n"
    "        Feet are ankles and toe joints\n"
    "mocap   the network on a motion store's clips with synthetic cameras and keypoint noise as in training: before\n"
    "        post-processing (network), after it (solved), drawn to the keypoints (refined), and settled as `run` "
    "does\n"
    "        it (settled)\n"
    "  --data FILE        the store (gvhmr dataset import)\n"
    "  --only A,B         only these subjects: those that were left out of the training\n"
    "  --source NAME      only this source\n"
    "  --model FILE       weights [gvhmr-compact.safetensors]\n"
    "  --body-model FILE  SMPL-X or mannequin file [the built-in mannequin]\n"
    "  --noise X          scale of the keypoint noise [1]\n"
    "  --no-points        without the keypoint network's points in space\n"
    "  --no-window        ablation: every frame sees all of its piece\n"
    "  --pieces N         at most so many pieces of up to 10 s, evenly chosen [all]\n"
    "  --seed N           [1]\n"
    "  --json FILE        every sequence and the totals\n"
    "3dpw    the field's protocol on GVHMR's test packs, which you need to have: pelvis, joints, masks and flip test "
    "as\n"
    "emdb1   there; the post-processing is the moving camera's\n"
    "emdb2   --data DIR         the data set's hmr4d_support folder (RICH: with cam2params.pt in it)\n"
    "rich    --bodies DIR       smplx/SMPLX_NEUTRAL.npz, ... and smpl/SMPL_MALE.pkl, ... "
    "(inputs/checkpoints/body_models)\n"
    "  --regressors DIR   smplx2smpl_sparse.pt and the joint regressors (hmr4d/utils/body_model)\n"
    "  --model FILE       the network [gvhmr-compact.safetensors]; --heads N where they are not in the file\n"
    "  --no-flip          without the flip test\n"
    "  --only A,B         only these sequences\n"
    "  --json FILE        every sequence and the totals\n\n"
    "example: gvhmr eval mocap --data motions.gvs --only cmu_85,cmu_xS2 --json eval.json\n";

// ---- tables

void gv_eval_header(const char *what) {
    printf("%-34s %7s", what, "frames");
    static const char *const short_names[GV_MEASURES] = {"WA",    "W",   "RTE",   "jitter",  "slide", "PA",
                                                         "MPJPE", "PVE", "accel", "gravity", "tilt"};
    for (int m = 0; m < GV_MEASURES; m++) printf(" %7s", short_names[m]);
    printf(" %7s\n", "grav.md");
}

void gv_eval_row(const char *name, const gv_score *s) {
    printf("%-34s %7ld", name, s->count[GV_PA_MPJPE]);
    for (int m = 0; m < GV_MEASURES; m++)
        if (s->count[m])
            printf(" %7.*f", m == GV_RTE || m == GV_ACCELERATION ? 2 : 1, gv_score_mean(s, (gv_measure)m));
        else
            printf(" %7s", "-");
    if (s->count[GV_GRAVITY])
        printf(" %7.1f\n", gv_score_median_gravity(s));
    else
        printf(" %7s\n", "-");
}

// null where it is no number
static json_t *figure(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *gv_eval_json(const gv_score *s) {
    json_t *o = json_object();
    for (int m = 0; m < GV_MEASURES; m++)
        if (s->count[m]) gv_json_set(&o, gv_measure_names[m], figure(gv_score_mean(s, (gv_measure)m)));
    if (s->count[GV_GRAVITY]) gv_json_set(&o, "gravity_median", figure(gv_score_median_gravity(s)));
    gv_json_set(&o, "frames", json_integer(s->count[GV_PA_MPJPE]));
    return o;
}

gv_status gv_eval_write(const char *path, json_t *root, gv_error *err) {
    if (!path) return GV_OK;
    char *text = gv_json_dump(root, JSON_INDENT(1) | JSON_REAL_PRECISION(7));
    gv_status s = text ? gv_file_write(path, text, strlen(text), err)
                       : gv_fail(err, GV_ERR_MEMORY, "%s: no memory for the results", path);
    free(text);
    return s;
}

// ---- motion against motion

// Frames that both have, moved together; returns their number.
static int match_frames(gv_motion *a, gv_motion *b) {
    int n = 0, i = 0, k = 0;
    while (i < a->frames && k < b->frames) {
        if (a->frame_index[i] < b->frame_index[k])
            i++;
        else if (a->frame_index[i] > b->frame_index[k])
            k++;
        else {
            gv_motion *m[2] = {a, b};
            int at[2] = {i++, k++};
            for (int s = 0; s < 2; s++) {
                memmove(m[s]->joints_world + 66 * (size_t)n, m[s]->joints_world + 66 * (size_t)at[s],
                        sizeof(float[66]));
                memmove(m[s]->joints_incam + 66 * (size_t)n, m[s]->joints_incam + 66 * (size_t)at[s],
                        sizeof(float[66]));
                memmove(m[s]->global_orient + 3 * (size_t)n, m[s]->global_orient + 3 * (size_t)at[s], sizeof(float[3]));
                memmove(m[s]->global_orient_incam + 3 * (size_t)n, m[s]->global_orient_incam + 3 * (size_t)at[s],
                        sizeof(float[3]));
            }
            n++;
        }
    }
    return n;
}

static gv_status compare(gv_score *s, const char *pred_path, const char *truth_path, gv_error *err) {
    static const int pelvis[2] = {1, 2};
    gv_motion p = {0}, q = {0};
    float *feet[2] = {0}, *roots[2] = {0}; // roots: [2, n, 9], in the world, then in the camera
    gv_status status = gv_motion_load(&p, pred_path, err);
    if (!status) status = gv_motion_load(&q, truth_path, err);
    int n = status ? 0 : match_frames(&p, &q);
    if (!status && n == 0)
        status = gv_fail(err, GV_ERR_EMPTY, "%s and %s have no frame_index in common", pred_path, truth_path);
    for (int i = 0; i < 2 && !status; i++) {
        const gv_motion *m = i ? &q : &p;
        feet[i] = malloc(sizeof(float[3 * GV_FEET]) * (size_t)n);
        roots[i] = malloc(sizeof(float[18]) * (size_t)n);
        if (!feet[i] || !roots[i])
            status = gv_fail(err, GV_ERR_MEMORY, "no memory for %d frames", n);
        else
            gv_score_feet(feet[i], m->joints_world, n);
        for (int t = 0; t < n && !status; t++) {
            gv_rot_from_aa(roots[i] + 9 * (size_t)t, m->global_orient + 3 * t);
            gv_rot_from_aa(roots[i] + 9 * ((size_t)n + t), m->global_orient_incam + 3 * t);
        }
    }
    if (!status)
        status = gv_score_world(s, n, (gv_points_pair){p.joints_world, q.joints_world, 22},
                                (gv_points_pair){feet[0], feet[1], GV_FEET}, q.fps, err);
    if (!status)
        status = gv_score_camera(s, n, (gv_points_pair){p.joints_incam, q.joints_incam, 22}, (gv_points_pair){0},
                                 pelvis, q.fps, err);
    if (!status)
        gv_score_gravity(s, n, (gv_orients){roots[0], roots[0] + 9 * (size_t)n},
                         (gv_orients){roots[1], roots[1] + 9 * (size_t)n});
    for (int i = 0; i < 2; i++) {
        free(feet[i]);
        free(roots[i]);
    }
    gv_motion_free(&p);
    gv_motion_free(&q);
    return status;
}

static int eval_motion(int argc, char **argv) {
    static const struct option options[] = {{"json", 1, 0, 'j'}, {"help", 0, 0, 'h'}, {0}};
    const char *json = NULL;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;)
        if (c == 'j')
            json = optarg;
        else if (c == 'h')
            return fputs(help, stdout), 0;
        else
            return gv_cli_usage("eval", "\"%s\" is unknown or lacks its value", argv[optind - 1]);
    if (optind == argc || (argc - optind) % 2)
        return gv_cli_usage("eval", "motion needs pairs of files: PRED.npz TRUTH.npz");
    gv_error err = {0};
    gv_score total = {0};
    json_t *root = json_object(), *list = json_array();
    gv_status s = GV_OK;
    gv_eval_header("sequence");
    for (int i = optind; i < argc && !s; i += 2) {
        gv_score one = {0};
        if ((s = compare(&one, argv[i], argv[i + 1], &err))) break;
        gv_eval_row(argv[i], &one);
        gv_score_add(&total, &one);
        json_t *o = gv_eval_json(&one);
        gv_json_set(&o, "file", gv_json_text(argv[i]));
        gv_json_append(&list, o);
    }
    if (!s) gv_eval_row("all", &total);
    gv_json_set(&root, "sequences", list);
    gv_json_set(&root, "all", gv_eval_json(&total));
    if (!s) s = gv_eval_write(json, root, &err);
    json_decref(root);
    return s ? gv_cli_fail(&err) : 0;
}

// ---- held-out motion capture

enum { MAX_KINDS = 64 };
typedef struct tally {
    char kind[MAX_KINDS][32]; // of motion
    gv_score of_kind[MAX_KINDS][2][GV_STAGES], all[2][GV_STAGES];
    int kinds;
    json_t *list;
} tally;

static void count_piece(void *user, const gv_benchmark_piece *p) {
    tally *t = user;
    int k = 0;
    while (k < t->kinds && strcmp(t->kind[k], p->clip->category)) k++;
    if (k == t->kinds && k < MAX_KINDS) snprintf(t->kind[t->kinds++], sizeof t->kind[0], "%s", p->clip->category);
    json_t *o = json_object();
    gv_json_set(&o, "clip", gv_json_text(p->clip->name));
    gv_json_set(&o, "category", gv_json_text(p->clip->category));
    gv_json_set(&o, "first", json_integer(p->first));
    gv_json_set(&o, "camera", json_string(p->moving ? "moving" : "static"));
    for (int s = 0; s < GV_STAGES; s++) {
        if (k < MAX_KINDS) gv_score_add(&t->of_kind[k][p->moving][s], &p->score[s]);
        gv_score_add(&t->all[p->moving][s], &p->score[s]);
        gv_json_set(&o, gv_stage_names[s], gv_eval_json(&p->score[s]));
    }
    gv_json_append(&t->list, o);
}

static json_t *print_group(const char *name, gv_score of[2][GV_STAGES]) {
    json_t *o = json_object();
    for (int moving = 0; moving < 2; moving++)
        for (int s = 0; s < GV_STAGES; s++) {
            char row[80];
            const char *camera = moving ? "moving" : "static";
            snprintf(row, sizeof row, "%s, %s, %s", name, camera, gv_stage_names[s]);
            gv_eval_row(row, &of[moving][s]);
            snprintf(row, sizeof row, "%s_%s", camera, gv_stage_names[s]);
            gv_json_set(&o, row, gv_eval_json(&of[moving][s]));
        }
    return o;
}

static gv_status finish_tally(tally *t, const char *json, gv_error *err) {
    json_t *root = json_object(), *kinds = json_object();
    gv_eval_header("kind of motion, camera, stage");
    for (int k = 0; k < t->kinds; k++) gv_json_set(&kinds, t->kind[k], print_group(t->kind[k], t->of_kind[k]));
    gv_json_set(&root, "all", print_group("all", t->all));
    gv_json_set(&root, "kinds", kinds);
    gv_json_set(&root, "sequences", json_incref(t->list));
    gv_status s = gv_eval_write(json, root, err);
    json_decref(root);
    return s;
}

typedef struct mocap_options {
    const char *data, *model, *body, *json;
    bool no_window;
    gv_benchmark_options bench;
} mocap_options;

static gv_status run_mocap(const mocap_options *o, gv_error *err) {
    gv_store store = {0};
    gv_body *body = NULL;
    gv_rig rig = {0};
    gv_network *net = NULL;
    char *found = NULL;
    tally *t = calloc(1, sizeof *t);
    gv_status s = t ? gv_store_open(&store, o->data, err) : gv_fail(err, GV_ERR_MEMORY, "no memory for the results");
    if (!s && !(found = gv_network_find(o->model, err))) s = GV_ERR_MISSING;
    if (!s) s = gv_body_open(&body, o->body, err);
    if (!s) s = gv_rig_from_body(&rig, body, 96, err);
    if (!s) s = gv_network_open(&net, found, 0, GV_PRECISION_F32, NULL, err);
    if (!s) {
        t->list = json_array();
        if (o->no_window) gv_network_set_window(net, false);
        s = gv_benchmark_run(net, body, &store, &rig, &o->bench, count_piece, t, err);
        if (!s) s = finish_tally(t, o->json, err);
        json_decref(t->list);
    }
    free(t);
    free(found);
    gv_network_close(net);
    gv_rig_free(&rig);
    gv_body_close(body);
    gv_store_close(&store);
    return s;
}

static int eval_mocap(int argc, char **argv) {
    enum { DATA = 256, ONLY, SOURCE, MODEL, BODY, NOISE, NO_POINTS, NO_WINDOW, PIECES, SEED, JSON };
    static const struct option options[] = {{"data", 1, 0, DATA},
                                            {"only", 1, 0, ONLY},
                                            {"source", 1, 0, SOURCE},
                                            {"model", 1, 0, MODEL},
                                            {"body-model", 1, 0, BODY},
                                            {"noise", 1, 0, NOISE},
                                            {"no-points", 0, 0, NO_POINTS},
                                            {"no-window", 0, 0, NO_WINDOW},
                                            {"pieces", 1, 0, PIECES},
                                            {"seed", 1, 0, SEED},
                                            {"json", 1, 0, JSON},
                                            {"help", 0, 0, 'h'},
                                            {0}};
    mocap_options o = {.bench = {.noise = 1, .points = true, .seed = 1}};
    long n;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) switch (c) {
        case DATA:
            o.data = optarg;
            break;
        case ONLY:
            o.bench.only = optarg;
            break;
        case SOURCE:
            o.bench.source = optarg;
            break;
        case MODEL:
            o.model = optarg;
            break;
        case BODY:
            o.body = optarg;
            break;
        case NOISE:
            if (!gv_cli_double("eval", "--noise", optarg, 0, 10, &o.bench.noise)) return 2;
            break;
        case NO_POINTS:
            o.bench.points = false;
            break;
        case NO_WINDOW:
            o.no_window = true;
            break;
        case PIECES:
            if (!gv_cli_int("eval", "--pieces", optarg, 1, 1 << 30, &n)) return 2;
            o.bench.most = (int)n;
            break;
        case SEED:
            if (!gv_cli_int("eval", "--seed", optarg, 0, 1L << 60, &n)) return 2;
            o.bench.seed = (uint64_t)n;
            break;
        case JSON:
            o.json = optarg;
            break;
        case 'h':
            return fputs(help, stdout), 0;
        default:
            return gv_cli_usage("eval", "\"%s\" is unknown or lacks its value", argv[optind - 1]);
        }
    if (!o.data || optind != argc) return gv_cli_usage("eval", "mocap needs --data STORE and nothing else");
    gv_error err = {0};
    return run_mocap(&o, &err) ? gv_cli_fail(&err) : 0;
}

int gv_cmd_eval(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "motion")) return eval_motion(argc - 1, argv + 1);
    if (argc > 1 && !strcmp(argv[1], "mocap")) return eval_mocap(argc - 1, argv + 1);
    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) return fputs(help, stdout), 0;
    if (argc > 1 && (!strcmp(argv[1], "3dpw") || !strcmp(argv[1], "emdb1") || !strcmp(argv[1], "emdb2") ||
                     !strcmp(argv[1], "rich"))) {
        for (int i = 2; i < argc; i++)
            if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return fputs(help, stdout), 0;
        return gv_eval_data_set(argc - 1, argv + 1);
    }
    return gv_cli_usage("eval", "expected motion, mocap, 3dpw, emdb1, emdb2 or rich");
}
