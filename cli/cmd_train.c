// cmd_train.c - `gvhmr train`: one table of options drives the command line, the configuration file and --help.
#include "cli.h"
#include "pipeline/curves.h"
#include "training/train.h"

#include <jansson.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile int stop;

static void on_signal(int signal) {
    (void)signal;
    stop = 1;
}

typedef enum kind { INT, LONG, REAL, TEXT } kind;
typedef struct option_row {
    const char *name;
    kind kind;
    size_t at;
    double lo, hi;
    const char *help;
} option_row;

#define AT(field) offsetof(gv_train_options, field)
static const option_row rows[] = {
    {"out", TEXT, AT(out), 0, 0, "folder for checkpoint.gvt, model.safetensors, log.jsonl and curves.png"},
    {"leave-out", TEXT, AT(leave_out), 0, 0, "subjects kept for validation, comma separated"},
    {"note", TEXT, AT(note), 0, 0, "a text for the model's metadata (data, licence)"},
    {"init", TEXT, AT(init), 0, 0, "model.safetensors to start from (a checkpoint in the folder goes first)"},
    {"points", INT, AT(points), 0, 1, "1: the network also sees the keypoint network's points in space"},
    {"rope", INT, AT(rope), 0, 1, "0: ablation, positions are added to the tokens instead"},
    {"window", INT, AT(window), 0, 1, "0: ablation, in use every frame sees all others (training always does)"},
    {"gravity-view", INT, AT(gravity_view), 0, 1,
     "0: ablation, the root's turns from frame to frame are predicted instead of Gravity-View orientations"},
    {"bf16", INT, AT(bf16), 0, 1, "1: matrix products in bfloat16, sums and weights in float32, where the machine can"},
    {"width", INT, AT(width), 8, 4096, "D, the network's width"},
    {"layers", INT, AT(layers), 1, 64, "N, transformer blocks"},
    {"heads", INT, AT(heads), 1, 64, "H, attention heads"},
    {"batch", INT, AT(batch), 1, 4096, "sequences per step"},
    {"frames", INT, AT(frames), 2, 120, "frames per sequence"},
    {"surface", INT, AT(surface), 1, 512, "surface points for the vertex losses and boxes"},
    {"dropout", REAL, AT(dropout), 0, 0.9, "dropout probability"},
    {"gate", REAL, AT(gate), 0, 1, "initial value of the residual gates"},
    {"steps", LONG, AT(steps), 1, 1e9, "steps in all, those before a restart included"},
    {"lr", REAL, AT(lr), 0, 1, "learning rate"},
    {"warmup", REAL, AT(warmup), 0, 1e6, "steps over which it rises from 0"},
    {"decay", REAL, AT(decay), 0, 1, "share of the steps, at the end, over which it falls to a fiftieth (cosine)"},
    {"weight-decay", REAL, AT(weight_decay), 0, 1, "AdamW's decay, all parameters"},
    {"clip", REAL, AT(clip), 0, 1e6, "largest norm of the gradient, 0 = none"},
    {"average", REAL, AT(average), 0, 0.99999, "decay of the running average of the weights, which the model is"},
    {"save-every", LONG, AT(save_every), 1, 1e9, "steps between checkpoints"},
    {"validate-every", LONG, AT(validate_every), 1, 1e9, "steps between validations"},
    {"log-every", LONG, AT(log_every), 1, 1e9, "steps between lines of the log"},
    {"validation-batches", INT, AT(validation_batches), 1, 10000, "batches per validation"},
    {"weight-simple", REAL, AT(weight[GV_LOSS_SIMPLE]), 0, 1e6, "weight of the loss simple"},
    {"weight-cr-j3d", REAL, AT(weight[GV_LOSS_CR_J3D]), 0, 1e6, "weight of the loss cr_j3d"},
    {"weight-transl-c", REAL, AT(weight[GV_LOSS_TRANSL_C]), 0, 1e6, "weight of the loss transl_c"},
    {"weight-cr-verts", REAL, AT(weight[GV_LOSS_CR_VERTS]), 0, 1e6, "weight of the loss cr_verts"},
    {"weight-j2d", REAL, AT(weight[GV_LOSS_J2D]), 0, 1e6, "weight of the loss j2d"},
    {"weight-verts2d", REAL, AT(weight[GV_LOSS_VERTS2D]), 0, 1e6, "weight of the loss verts2d"},
    {"weight-transl-w", REAL, AT(weight[GV_LOSS_TRANSL_W]), 0, 1e6, "weight of the loss transl_w"},
    {"weight-static", REAL, AT(weight[GV_LOSS_STATIC]), 0, 1e6, "weight of the loss static"},
    {"recombine", REAL, AT(sample.recombine), 0, 1,
     "share of sequences whose arms or upper body come from other clips"},
    {"bend", REAL, AT(sample.bend), 0, 1, "share bent at hips, knees and waist: squatting, sitting, kneeling, bowing"},
    {"lay", REAL, AT(sample.lay), 0, 1, "share laid on the ground"},
    {"perturb", REAL, AT(sample.perturb), 0, 1, "share of sequences with joint angles shifted"},
    {"slow", REAL, AT(sample.slow), 0, 1, "share played slower than others, down to a third"},
    {"surveillance", REAL, AT(sample.surveillance), 0, 1, "share seen by a high, far, static camera"},
    {"askew", REAL, AT(sample.askew), 0, 1, "share seen by a camera held askew, by 20 degrees or so"},
    {"wrong-focal", REAL, AT(sample.wrong_focal), 0, 1, "share whose focal length the network is told wrongly"},
    {"noise", REAL, AT(sample.noise), 0, 10, "scale of the keypoint noise"},
    {"points-seen", REAL, AT(sample.points), 0, 1, "share of sequences with points in space, given --points 1"},
    {"shapes", REAL, AT(sample.shapes), 0, 1, "share of sequences with their clip's shape; for an SMPL-X --body-model"},
    {"drop", REAL, AT(sample.drop), 0, 1, "probability that a frame's condition is dropped"},
};
enum { ROWS = sizeof rows / sizeof *rows };

static void help(void) {
    puts("usage: gvhmr train --data STORE -o DIR [--config FILE.json] [options]\n"
         "       gvhmr train --curves DIR\n\n"
         "Trains the motion network on a motion store (gvhmr dataset import) with synthetic cameras and noisy "
         "keypoints.\n"
         "A folder with a checkpoint is continued, to the bit. Ctrl-C saves and ends. --curves draws a folder's log to "
         "its\n"
         "curves.png, as training does after every validation.\n\n"
         "  --data FILE            the motion store\n"
         "  --body-model FILE      SMPL-X or mannequin file (default: the built-in mannequin)\n"
         "  --config FILE          JSON object with the options below by name; the command line wins\n"
         "  --seed N               (default 42)\n"
         "  --device WHERE         cpu (default), cuda, or auto, which is cuda where it can be had\n"
         "  --quiet                no line per log entry");
    for (int i = 0; i < ROWS; i++) {
        const char *p = (const char *)&gv_train_defaults + rows[i].at;
        printf("  --%-20s %s", rows[i].name, rows[i].help);
        if (rows[i].kind == INT)
            printf(" (default %d)\n", *(const int *)p);
        else if (rows[i].kind == LONG)
            printf(" (default %ld)\n", *(const long *)p);
        else if (rows[i].kind == REAL)
            printf(" (default %g)\n", *(const double *)p);
        else
            puts("");
    }
    puts("\nexample: gvhmr train --data motions.gvs -o run1 --leave-out cmu_85,cmu_xS2 --width 256 --layers 6");
}

static bool set(gv_train_options *o, const option_row *r, const char *text) {
    char *p = (char *)o + r->at;
    long n;
    if (r->kind == TEXT)
        *(const char **)p = text;
    else if (r->kind == REAL)
        return gv_cli_double("train", r->name, text, r->lo, r->hi, (double *)p);
    else if (!gv_cli_int("train", r->name, text, (long)r->lo, (long)r->hi, &n))
        return false;
    else if (r->kind == INT)
        *(int *)p = (int)n;
    else
        *(long *)p = n;
    return true;
}

static bool set_json(gv_train_options *o, json_t *config, const char *path) {
    const char *key;
    json_t *value;
    json_object_foreach(config, key, value) {
        char number[64];
        int i = 0;
        while (i < ROWS && strcmp(rows[i].name, key)) i++;
        if (i == ROWS && strcmp(key, "seed")) {
            gv_cli_usage("train", "%s: unknown key \"%s\"", path, key);
            return false;
        }
        const char *text = json_string_value(value);
        if (!text && json_is_integer(value))
            snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value)), text = number;
        else if (!text && json_is_real(value))
            snprintf(number, sizeof number, "%.17g", json_real_value(value)), text = number;
        if (!text) {
            gv_cli_usage("train", "%s: \"%s\" is neither a number nor a text", path, key);
            return false;
        }
        long seed;
        if (i == ROWS) {
            if (!gv_cli_int("train", "seed", text, 0, 1L << 60, &seed)) return false;
            o->seed = (uint64_t)seed;
        } else if (!set(o, &rows[i], text))
            return false;
    }
    return true;
}

static gv_status draw_curves(const char *folder, gv_error *err) {
    char log[4096], png[4096];
    snprintf(log, sizeof log, "%s/log.jsonl", folder);
    snprintf(png, sizeof png, "%s/curves.png", folder);
    return gv_curves_write(png, log, err);
}

typedef struct listener {
    const char *folder;
    bool quiet;
} listener;

static void progress(void *user, const gv_train_progress *p) {
    const listener *l = user;
    gv_error err = {0};
    if ((p->validation || p->step == p->steps) && draw_curves(l->folder, &err))
        fprintf(stderr, "gvhmr: %s\n", err.text); // no reason to end a training
    if (l->quiet) return;
    fprintf(stderr, "step %ld/%ld  loss %.3f  (", p->step, p->steps, p->loss.total);
    for (int i = 0; i < GV_LOSS_TERMS; i++)
        fprintf(stderr, "%s%s %.3g", i ? " " : "", gv_loss_names[i], p->loss.term[i]);
    fprintf(stderr, ")  norm %.2f  %.1f seq/s\n", p->norm, p->sequences_per_second);
    const gv_validation *v = p->validation;
    if (v)
        fprintf(stderr,
                "  held out: loss %.3f  MPJPE %.1f  PA %.1f  WA %.1f mm  gravity %.2f deg  velocity %.2f mm/frame  "
                "still %.3f\n",
                v->loss, v->mpjpe_mm, v->pa_mpjpe_mm, v->wa_mpjpe_mm, v->gravity_deg, v->velocity_mm,
                v->still_accuracy);
}

static void note(void *user, const char *text) {
    (void)user;
    fprintf(stderr, "gvhmr: %s\n", text);
}

static int train(gv_train_options *o, const char *data, const char *body_path, gv_device_choice where, bool quiet) {
    gv_error err = {0};
    gv_store store = {0};
    gv_body *body = NULL;
    gv_rig rig = {0};
    listener l = {o->out, quiet};
    gv_train_hooks hooks = {progress, &stop, &l, note};
    gv_status s = gv_cli_open_device(&o->device, where, quiet, &err);
    if (!s) s = gv_store_open(&store, data, &err);
    if (!s) s = gv_body_open(&body, body_path, &err);
    if (!s) s = gv_rig_from_body(&rig, body, o->surface, &err);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    if (!s) s = gv_train_run(o, &store, &rig, &hooks, &err);
    gv_rig_free(&rig);
    gv_body_close(body);
    gv_store_close(&store);
    gv_device_close(o->device);
    return s ? gv_cli_fail(&err) : 0;
}

int gv_cmd_train(int argc, char **argv) {
    enum { DATA = 1000, BODY, CONFIG, SEED, QUIET, CURVES, DEVICE, HELP, OWN = 8 };
    struct option options[ROWS + OWN + 1] = {
        {"data", 1, 0, DATA},   {"body-model", 1, 0, BODY}, {"config", 1, 0, CONFIG}, {"seed", 1, 0, SEED},
        {"quiet", 0, 0, QUIET}, {"help", 0, 0, HELP},       {"curves", 1, 0, CURVES}, {"device", 1, 0, DEVICE}};
    for (int i = 0; i < ROWS; i++) options[OWN + i] = (struct option){rows[i].name, 1, 0, i};
    gv_train_options o = gv_train_defaults;
    const char *data = NULL, *body = NULL, *path = NULL;
    gv_device_choice where = GV_DEVICE_CPU;
    bool quiet = false;
    json_t *config = NULL;
    int status = 2;
    for (int c; (c = getopt_long(argc, argv, "o:h", options, NULL)) != -1;) { // first pass: what to read
        if (c == CONFIG) path = optarg;
        if (c == HELP || c == 'h') return help(), 0;
        if (c == CURVES) {
            gv_error err = {0};
            return draw_curves(optarg, &err) ? gv_cli_fail(&err) : 0;
        }
        if (c == '?') return gv_cli_usage("train", "unknown option");
    }
    if (path) {
        json_error_t je;
        config = json_load_file(path, 0, &je);
        if (!json_is_object(config)) {
            gv_cli_usage("train", "%s: %s", path, config ? "not a JSON object" : je.text);
            goto done;
        }
        if (!set_json(&o, config, path)) goto done;
    }
    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "o:h", options, NULL)) != -1;) {
        long seed;
        if (c == DATA)
            data = optarg;
        else if (c == BODY)
            body = optarg;
        else if (c == QUIET)
            quiet = true;
        else if (c == 'o')
            o.out = optarg;
        else if (c == DEVICE && !gv_cli_device("train", optarg, &where))
            goto done;
        else if (c == SEED) {
            if (!gv_cli_int("train", "seed", optarg, 0, 1L << 60, &seed)) goto done;
            o.seed = (uint64_t)seed;
        } else if (c < ROWS && !set(&o, &rows[c], optarg))
            goto done;
    }
    if (!data || !o.out || optind != argc)
        gv_cli_usage("train", "--data STORE and -o DIR are needed");
    else
        status = train(&o, data, body, where, quiet);
done:
    json_decref(config);
    return status;
}
