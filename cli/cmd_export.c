// gvhmr export: motions in other programs' formats.
#include "cli.h"
#include "exports/export.h"

#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: gvhmr export MOTION.npz... | DIR -o FILE [options]\n\n"
    "Writes motions for other programs. DIR is a folder that `gvhmr run` wrote. By FILE's ending:\n\n"
    "  .bvh   skeleton of 22 joints with the person's own bones, T-pose at rest [cm, y up]\n"
    "  .glb   everybody as skinned, animated bodies, and the moving camera (metres, y up)\n"
    "  .npz   AMASS's keys, SMPL-H's and SMPL-X's (metres, z up); GMR's SMPL-X loader reads it\n"
    "  .trc   OpenSim markers: the joints [mm, y up]\n"
    "  .csv   joints in the world, one row per frame [m, y up]; with --robot its joints\n"
    "  .pkl   with --robot: the robot's motion as GMR stores it\n"
    "  .pt    the reference's hmr4d_results.pt\n\n"
    "  -o, --output FILE      where to write; with several people FILE-1, FILE-2 ... (.glb holds all)\n"
    "      --person N         only this one, 1 = most prominent or the first file\n"
    "      --fps R            frames per second [as they are]\n"
    "      --up y|z           which axis points up (.bvh .trc .csv)\n"
    "      --units m|cm|mm    unit of length (.bvh .trc .csv)\n"
    "      --format NAME      instead of the ending: bvh, glb, amass, gmr (the same), motion (the motion\n"
    "                         file again), pt, trc, csv, robot-csv, pkl\n"
    "      --robot FILE       a humanoid's URDF or MJCF: write its joint trajectories (z up, m, rad)\n"
    "      --body-model FILE  SMPL-X .npz that the motions were made with (.glb) [the built-in mannequin]\n"
    "  -q, --quiet            no remarks on stderr\n\n"
    "examples: gvhmr export out -o scene.glb\n"
    "          gvhmr export out/person-1.npz -o walk.bvh --up z --units m --fps 60\n"
    "          gvhmr export out --person 1 --robot g1_29dof.urdf --fps 50 -o walk.pkl\n";

typedef struct options {
    gv_export_options export;
    const char *out, *body;
    double fps;
    long person;
    bool quiet;
} options;

static bool set_units(options *o) {
    o->export.unit_m = !strcmp(optarg, "m") ? 1 : !strcmp(optarg, "cm") ? 0.01 : !strcmp(optarg, "mm") ? 0.001 : 0;
    if (o->export.unit_m == 0) gv_cli_usage("export", "--units: \"%s\", expected m, cm or mm", optarg);
    return o->export.unit_m > 0;
}

static bool set_up(options *o) {
    o->export.up_given = !strcmp(optarg, "y") || !strcmp(optarg, "z");
    o->export.z_up = *optarg == 'z';
    if (!o->export.up_given) gv_cli_usage("export", "--up: \"%s\", expected y or z", optarg);
    return o->export.up_given;
}

// Returns 0 to go on, else the exit status + 1.
static int parse(options *o, int argc, char **argv) {
    enum { PERSON = 256, FPS, UP, UNITS, FORMAT, ROBOT, BODY };
    static const struct option table[] = {{"output", required_argument, NULL, 'o'},
                                          {"person", required_argument, NULL, PERSON},
                                          {"fps", required_argument, NULL, FPS},
                                          {"up", required_argument, NULL, UP},
                                          {"units", required_argument, NULL, UNITS},
                                          {"format", required_argument, NULL, FORMAT},
                                          {"robot", required_argument, NULL, ROBOT},
                                          {"body-model", required_argument, NULL, BODY},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "o:qh", table, NULL)) != -1;) {
        bool good = true;
        if (c == 'o')
            o->out = optarg;
        else if (c == PERSON)
            good = gv_cli_int("export", "--person", optarg, 1, 100000, &o->person);
        else if (c == FPS)
            good = gv_cli_double("export", "--fps", optarg, 0.1, 10000, &o->fps);
        else if (c == UP)
            good = set_up(o);
        else if (c == UNITS)
            good = set_units(o);
        else if (c == FORMAT)
            o->export.format = optarg;
        else if (c == ROBOT)
            o->export.robot = optarg;
        else if (c == BODY)
            o->body = optarg;
        else if (c == 'q')
            o->quiet = true;
        else if (c == 'h')
            return fputs(help, stdout), 1;
        else
            return 1 + gv_cli_usage("export", "\"%s\" is unknown or lacks its value", argv[optind - 1]);
        if (!good) return 3;
    }
    if (optind == argc) return 1 + gv_cli_usage("export", "expected motion files or a folder of `gvhmr run`");
    if (!o->out) return 1 + gv_cli_usage("export", "-o FILE is missing");
    return 0;
}

// What a user would wonder about.
static void remark(const options *o, const gv_export_people *p, bool whole) {
    if (!whole && p->people > 1) {
        fprintf(stderr, "gvhmr: %d people, a file for each:", p->people);
        for (int k = 0; k < p->people; k++) {
            char name[4096];
            if (gv_export_name(name, sizeof name, o->out, p, k, &o->export, NULL) == GV_OK)
                fprintf(stderr, "%s %s", k ? "," : "", name);
        }
        fputc('\n', stderr);
    }
    for (int k = 0; k < p->people; k++) {
        bool even;
        double rate = gv_motion_mean_rate(p->motion + k, &even);
        if (even || whole) continue;
        fprintf(
            stderr,
            "gvhmr: the frames are not evenly spaced in time; formats without times of their own get %.3f per second\n",
            rate);
        return;
    }
}

int gv_cmd_export(int argc, char **argv) {
    options o = {0};
    int stop = parse(&o, argc, argv);
    if (stop) return stop - 1;
    gv_error err = {0};
    gv_export_people p = {0};
    gv_body *body = NULL;
    bool needs_body;
    gv_status status = gv_export_check(o.out, &o.export, &needs_body, &err);
    if (status == GV_OK && needs_body) status = gv_body_open(&body, o.body, &err);
    if (status == GV_OK) status = gv_export_load(&p, argv + optind, argc - optind, (int)o.person, &err);
    if (status == GV_OK && o.fps > 0) status = gv_export_resample(&p, o.fps, &err);
    if (status == GV_OK) status = gv_export(&p, body, o.out, &o.export, &err);
    if (status == GV_OK && !o.quiet) remark(&o, &p, needs_body);
    gv_export_free(&p);
    gv_body_close(body);
    return status == GV_OK ? 0 : gv_cli_fail(&err);
}
