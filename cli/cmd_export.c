// gvhmr export: a motion file in another program's format.
#include "cli.h"
#include "formats/motion_export.h"

#include <stdio.h>
#include <string.h>

static const char help[] =
    "gvhmr export MOTION.npz -o FILE - write a motion for other programs, by FILE's ending\n\n"
    "  .pt    the reference's hmr4d_results.pt (smpl_params_global, smpl_params_incam, K_fullimg, net_outputs)\n"
    "  .bvh   skeleton of 22 joints, y up, cm\n"
    "  .trc   OpenSim markers: the joints, mm\n"
    "  .csv   joints in the world, m, one row per frame\n"
    "  .npz   the motion file again\n\n"
    "  -o, --output FILE   where to write (required)\n"
    "  -q, --quiet         no remarks on stderr\n\n"
    "example: gvhmr export out/person-1.npz -o walk.bvh\n";

static void remark(const gv_motion *m, const char *out) {
    const char *dot = strrchr(out, '.');
    bool even;
    double rate = gv_motion_mean_rate(m, &even);
    if (!even && dot && (!strcmp(dot, ".bvh") || !strcmp(dot, ".BVH")))
        fprintf(stderr,
                "gvhmr: the frames are not evenly spaced in time; %s plays them at their mean rate, %.3f per second\n",
                out, rate);
}

int gv_cmd_export(int argc, char **argv) {
    static const struct option options[] = {{"output", required_argument, NULL, 'o'},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *out = NULL;
    bool quiet = false;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "o:qh", options, NULL)) != -1;) {
        if (c == 'o')
            out = optarg;
        else if (c == 'q')
            quiet = true;
        else if (c == 'h')
            return fputs(help, stdout), 0;
        else
            return gv_cli_usage("export", "\"%s\" is unknown or lacks its value", argv[optind - 1]);
    }
    if (optind + 1 != argc) return gv_cli_usage("export", "expected one motion file");
    if (!out) return gv_cli_usage("export", "-o FILE is missing");
    gv_error err = {0};
    gv_motion m;
    if (gv_motion_load(&m, argv[optind], &err) != GV_OK) return gv_cli_fail(&err);
    gv_status status = gv_motion_export(&m, out, &err);
    if (status == GV_OK && !quiet) remark(&m, out);
    gv_motion_free(&m);
    return status == GV_OK ? 0 : gv_cli_fail(&err);
}
