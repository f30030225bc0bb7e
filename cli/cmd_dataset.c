// cmd_dataset.c - `gvhmr dataset`: motion capture clips into a motion store.
#include "cli.h"
#include "training/import.h"
#include "training/store.h"

#include <stdio.h>
#include <string.h>

static void help(void) {
    puts("usage: gvhmr dataset import --list CLIPS.csv --map JOINTS.json --root DIR -o STORE [--sources A,B]\n"
         "       gvhmr dataset info STORE\n\n"
         "import  reads BVH clips (y up, centimetres, T-pose facing +z) and writes one store of SMPL-X rotations at 30 "
         "fps\n"
         "  --list FILE     CSV with the columns file, skeleton, subject, category, ground, archive\n"
         "  --map FILE      JSON: which joints of each skeleton carry the rotation of each SMPL-X joint\n"
         "  --root DIR      the folder that the list's files are relative to\n"
         "  --sources A,B   only these values of the column archive (default: all)\n"
         "  -o STORE        the store to write\n"
         "info    prints what a store holds\n\n"
         "example: gvhmr dataset import --list clips.csv --map smplx_joint_map.json --root unpacked -o motions.gvs");
}

static void dropped(void *user, const char *message) {
    (void)user;
    fprintf(stderr, "left out: %s\n", message);
}

static int import(int argc, char **argv) {
    static const struct option options[] = {{"list", 1, 0, 'l'},    {"map", 1, 0, 'm'},  {"root", 1, 0, 'r'},
                                            {"sources", 1, 0, 's'}, {"help", 0, 0, 'h'}, {0}};
    gv_import_options o = {.dropped = dropped};
    const char *out = NULL;
    for (int c; (c = getopt_long(argc, argv, "o:h", options, NULL)) != -1;) switch (c) {
        case 'l':
            o.list = optarg;
            break;
        case 'm':
            o.map = optarg;
            break;
        case 'r':
            o.root = optarg;
            break;
        case 's':
            o.sources = optarg;
            break;
        case 'o':
            out = optarg;
            break;
        case 'h':
            help();
            return 0;
        default:
            return gv_cli_usage("dataset", "unknown option");
        }
    if (!o.list || !o.map || !o.root || !out || optind != argc)
        return gv_cli_usage("dataset", "import needs --list, --map, --root and -o");
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

int gv_cmd_dataset(int argc, char **argv) {
    if (argc >= 2 && !strcmp(argv[1], "import")) return import(argc - 1, argv + 1);
    if (argc == 3 && !strcmp(argv[1], "info")) return info(argv[2]);
    if (argc >= 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        help();
        return 0;
    }
    return gv_cli_usage("dataset", "expected import or info");
}
