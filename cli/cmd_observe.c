// gvhmr observe: what perception and camera see of each person, as files for `gvhmr predict`.
#include "base/file.h"
#include "base/jail.h"
#include "cli.h"
#include "options.h"
#include "pipeline/run_options.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static void help(void) {
    puts("usage: gvhmr observe VIDEO -o OBS.npz [options]\n"
         "\n"
         "Finds and follows the people in VIDEO and writes boxes, 2D keypoints and camera rotation of one\n"
         "of them, as input for `gvhmr predict`.\n"
         "\n"
         "  -o, --output FILE        .npz to write\n"
         "      --person N           which one, 1 = most prominent (default 1)\n"
         "      --landmarks MODEL    which of BlazePose's: lite, full (default) or heavy");
    gv_observe_help();
    puts("      --bf16               matrix products of the image networks in bfloat16\n"
         "  -q, --quiet              no progress line\n"
         "      --threads N          processor threads (default: all cores)\n"
         "\n"
         "example: gvhmr observe walk.mp4 -o obs.npz && gvhmr predict obs.npz -o motion.npz");
}

enum { OPT_PERSON = 1, OPT_BF16 };

// obs.npz keeps its results in obs.cache.
static void cache_beside(char *cache, size_t size, const char *output) {
    size_t n = strlen(output);
    if (n > 4 && !strcmp(output + n - 4, ".npz")) n -= 4;
    snprintf(cache, size, "%.*s.cache", (int)n, output);
}

int gv_cmd_observe(int argc, char **argv) {
    static const struct option options[] = {
        GV_OBSERVE_OPTIONS,
        {"output", required_argument, NULL, 'o'},
        {"bf16", no_argument, NULL, OPT_BF16},
        {"person", required_argument, NULL, OPT_PERSON},
        {0},
    };
    gv_observe_options observe = gv_run_options_default().observe;
    observe.note = gv_observe_note;
    observe.note_user = &observe;
    const char *output = NULL;
    long person = 1;
    int c;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "o:qh", options, NULL)) != -1) {
        switch (c) {
        case 'h':
            return help(), 0;
        case 'o':
            output = optarg;
            break;
        case OPT_BF16:
            observe.precision = GV_PRECISION_BF16;
            break;
        case OPT_PERSON:
            if (!gv_cli_int("observe", "--person", optarg, 1, 1000, &person)) return 2;
            break;
        default:
            if (!gv_observe_option("observe", c, argv, &observe)) return 2;
        }
    }
    if (optind + 1 != argc)
        return gv_cli_usage("observe", optind == argc ? "no VIDEO given" : "more than one VIDEO given");
    if (!output) return gv_cli_usage("observe", "no output file given (-o OBS.npz)");
    gv_error err = {0};
    gv_scene_observations s;
    char cache[PATH_MAX];
    if (!observe.cache) {
        cache_beside(cache, sizeof cache, output);
        observe.cache = cache;
    }
    gv_outfile trial; // that the file can be written is known before the long work
    gv_status status = gv_outfile_begin(&trial, output, &err);
    gv_outfile_abandon(&trial);
    if (status == GV_OK && !observe.unconfined && gv_cli_jail(&observe.jail, observe.quiet) != 0) return 1;
    if (status == GV_OK) status = gv_observe(&s, argv[optind], &observe, &err);
    gv_jail_destroy(observe.jail);
    if (status != GV_OK) return gv_cli_fail(&err);
    if (s.people == 0)
        status = gv_fail(&err, GV_ERR_EMPTY, "%s: no person found in %ld frames", argv[optind], s.frames);
    else if (s.people < person)
        status = gv_fail(&err, GV_ERR_EMPTY, "%s: there is no person %ld, only %d", argv[optind], person, s.people);
    if (status == GV_OK) status = gv_observations_save(&s.person[person - 1], output, &err);
    gv_scene_observations_free(&s);
    return status == GV_OK ? 0 : gv_cli_fail(&err);
}
