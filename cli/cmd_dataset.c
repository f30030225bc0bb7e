// cmd_dataset.c - `gvhmr dataset`: motion capture clips into a motion store.
#include "cli.h"
#include "training/import.h"
#include "training/sheet.h"
#include "training/store.h"

#include <stdio.h>
#include <string.h>

static void help(void) {
    puts(
        "usage: gvhmr dataset import [PATH ...] [--list CLIPS.csv --map JOINTS.json --root DIR] -o STORE [options]\n"
        "       gvhmr dataset info STORE\n"
        "       gvhmr dataset sheet STORE -o SHEET.png [--made] [--count N] [--only A,B] [--body-model FILE]\n\n"
        "import  writes one store of SMPL-X rotations at 30 fps; clips that are no good are named and left out. A PATH "
        "is\n"
        "        an AMASS file (.npz; SMPL-H or SMPL-X, any frame rate), one of the reference's packs (AMASS's\n"
        "        smplxpose_v2.pth, BEDLAM's smplpose_v2.pth, H36M's smplxpose_v1.pt, 3DPW's train_refit_smplx.pt), or "
        "a\n"
        "        folder that is searched for them: its first folders become source and category\n"
        "  --bodies DIR    folder with SMPLX_MALE.npz, SMPLX_FEMALE.npz, SMPLX_NEUTRAL.npz, for leg lengths [the "
        "mannequin]\n"
        "  --category NAME, --licence TEXT  of all PATHs\n"
        "  --list FILE     BVH clips (y up, centimetres, T-pose facing +z): CSV with the columns file, skeleton, "
        "subject,\n"
        "                  category, ground, archive\n"
        "  --map FILE      JSON: which joints of each skeleton carry the rotation of each SMPL-X joint\n"
        "  --root DIR      the folder that the list's files are relative to\n"
        "  --sources A,B   only these values of the column archive (default: all)\n"
        "  -o STORE        the store to write\n"
        "info    prints what a store holds\n"
        "sheet   draws skeletons of its clips, or of the sequences that training makes of them (--made), to look at;\n"
        "        --count N: how many (default 96), --only A,B: of these subjects\n\n"
        "examples: gvhmr dataset import --list clips.csv --map smplx_joint_map.json --root unpacked -o motions.gvs\n"
        "          gvhmr dataset import AMASS inputs/H36M/hmr4d_support --bodies body_models/smplx -o motions.gvs");
}

static void dropped(void *user, const char *message) {
    (void)user;
    fprintf(stderr, "gvhmr: left out: %s\n", message);
}

static int import(int argc, char **argv) {
    gv_import_options o = {.dropped = dropped};
    const char *out = NULL, **const text[] = {&o.list, &o.map, &o.root, &o.sources, &o.bodies, &o.category, &o.licence};
    static const struct option options[] = {{"list", 1, 0, 0},    {"map", 1, 0, 1},    {"root", 1, 0, 2},
                                            {"sources", 1, 0, 3}, {"bodies", 1, 0, 4}, {"category", 1, 0, 5},
                                            {"licence", 1, 0, 6}, {"help", 0, 0, 'h'}, {0}};
    for (int c; (c = getopt_long(argc, argv, "o:h", options, NULL)) != -1;) {
        if (c == 'h') return help(), 0;
        if (c == '?') return gv_cli_usage("dataset", "unknown option");
        *(c == 'o' ? &out : text[c]) = optarg;
    }
    o.paths = (const char *const *)argv + optind;
    o.path_count = argc - optind;
    if (!out || (!o.list && !o.path_count)) return gv_cli_usage("dataset", "import needs a PATH or --list, and -o");
    if (!o.list != !o.map || !o.list != !o.root)
        return gv_cli_usage("dataset", "--list, --map and --root belong together");
    gv_error err = {0};
    gv_import_report report;
    if (gv_import_clips(out, &o, &report, &err)) return gv_cli_fail(&err);
    printf("%s: %d clips, %.2f hours; %d left out\n", out, report.clips, report.hours, report.dropped);
    return 0;
}

static int info(const char *path) {
    gv_error err = {0};
    gv_store s;
    if (gv_store_open(&s, path, &err)) return gv_cli_fail(&err);
    printf("%s: %d clips, %llu frames, %.2f hours\n", path, s.clip_count, (unsigned long long)s.frame_count,
           (double)s.frame_count / 108000);
    for (int i = 0; i < s.clip_count; i++) {
        const gv_clip *c = &s.clips[i];
        int seen = 0;
        double minutes = 0;
        for (int k = 0; k < s.clip_count; k++) {
            const gv_clip *e = &s.clips[k];
            if (strcmp(c->source, e->source) || strcmp(c->subject, e->subject) || strcmp(c->category, e->category))
                continue;
            seen |= k < i;
            minutes += e->frames / 1800.0;
        }
        if (!seen) printf("  %-14s %-10s %-14s %7.2f min\n", c->source, c->subject, c->category, minutes);
    }
    gv_store_close(&s);
    return 0;
}

static void print_cell(void *user, int row, int column, const char *name) {
    (void)user;
    printf("row %d column %d: %s\n", row + 1, column + 1, name);
}

typedef struct sheet_options {
    const char *store, *out, *body;
    gv_sample_options sample;
    long count;
    bool made;
} sheet_options;

static gv_status write_sheet(const sheet_options *o, gv_error *err) {
    gv_store store = {0};
    gv_body *body = NULL;
    gv_rig rig = {0};
    gv_sampler sampler = {0};
    gv_status s = gv_store_open(&store, o->store, err);
    if (!s) s = gv_body_open(&body, o->body, err);
    if (!s) s = gv_rig_from_body(&rig, body, 8, err);
    if (!s) s = gv_sampler_init(&sampler, &store, &rig, &o->sample, err);
    if (!s) s = gv_sheet_write(o->out, &sampler, (int)o->count, o->made, 1, o->made ? NULL : print_cell, NULL, err);
    gv_sampler_free(&sampler);
    gv_rig_free(&rig);
    gv_body_close(body);
    gv_store_close(&store);
    return s;
}

static int sheet(int argc, char **argv) {
    static const struct option options[] = {{"made", 0, 0, 'm'}, {"count", 1, 0, 'c'},      {"only", 1, 0, 's'},
                                            {"help", 0, 0, 'h'}, {"body-model", 1, 0, 'b'}, {0}};
    sheet_options o = {.count = 96, .sample = gv_sample_defaults};
    for (int c; (c = getopt_long(argc, argv, "o:h", options, NULL)) != -1;) {
        if (c == 'h') return help(), 0;
        if (c == '?') return gv_cli_usage("dataset", "unknown option");
        if (c == 'c' && !gv_cli_int("dataset", "--count", optarg, 1, 1200, &o.count)) return 2;
        if (c == 'm') o.made = true;
        if (c == 's') o.sample.only = optarg;
        if (c == 'b') o.body = optarg;
        if (c == 'o') o.out = optarg;
    }
    if (!o.out || optind + 1 != argc) return gv_cli_usage("dataset", "sheet needs a STORE and -o SHEET.png");
    o.store = argv[optind];
    gv_error err = {0};
    return write_sheet(&o, &err) ? gv_cli_fail(&err) : 0;
}

int gv_cmd_dataset(int argc, char **argv) {
    if (argc >= 2 && !strcmp(argv[1], "import")) return import(argc - 1, argv + 1);
    if (argc >= 2 && !strcmp(argv[1], "sheet")) return sheet(argc - 1, argv + 1);
    if (argc == 3 && !strcmp(argv[1], "info")) return info(argv[2]);
    if (argc >= 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) return help(), 0;
    return gv_cli_usage("dataset", "expected import, info or sheet");
}
