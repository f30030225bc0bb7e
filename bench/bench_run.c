// bench_run VIDEO [RUNS [OPTION VALUE]...]: frames per second of every stage and of the whole of `gvhmr run`, median of
// RUNS (3), with options as the library takes them: device cuda, bf16 yes, no-video yes.
// The stages overlap: "people" and "camera" are the busy times of two threads inside "observe".
#include "base/order.h"
#include "pipeline/run.h"
#include "pipeline/run_options.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MAX_RUNS = 15 };

static void remove_results(const char *folder) {
    char command[1200];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0) fprintf(stderr, "cannot remove %s\n", folder);
}

int main(int argc, char **argv) {
    int runs = argc > 2 ? atoi(argv[2]) : 3;
    if (argc < 2 || runs < 1 || runs > MAX_RUNS) {
        fprintf(stderr, "usage: bench_run VIDEO [RUNS 1..%d [OPTION VALUE]...]\n", MAX_RUNS);
        return 2;
    }
    double seconds[GV_MAX_TIMINGS][MAX_RUNS];
    char stage[GV_MAX_TIMINGS][24];
    long frames[GV_MAX_TIMINGS];
    size_t stages = 0;
    for (int r = 0; r < runs; r++) {
        char folder[] = "/tmp/gvhmr-bench-XXXXXX";
        gv_error err = {0};
        gv_run_result result = {0};
        gv_run_options opt = {.observe = {.want.landmarks = GV_BLAZE_FULL, .cache = "", .quiet = true},
                              .pictures = true};
        gv_status set = GV_OK;
        for (int i = 3; i + 1 < argc && !set; i += 2) set = gv_run_option_set(&opt, argv[i], argv[i + 1], &err);
        if (set || !mkdtemp(folder) || gv_run(argv[1], folder, &opt, &result, &err) != GV_OK) {
            fprintf(stderr, "bench_run: %s\n", err.text);
            return 1;
        }
        json_t *root = json_loads(result.scene, 0, NULL), *timings = json_object_get(root, "timings"), *t;
        size_t i;
        stages = json_array_size(timings);
        json_array_foreach(timings, i, t) {
            snprintf(stage[i], sizeof stage[i], "%s", json_string_value(json_object_get(t, "stage")));
            frames[i] = (long)json_integer_value(json_object_get(t, "frames"));
            seconds[i][r] = json_number_value(json_object_get(t, "seconds"));
        }
        json_decref(root);
        gv_run_result_free(&result);
        remove_results(folder);
    }
    printf("%-10s %8s %10s %10s   (median of %d, %s)\n", "stage", "frames", "seconds", "frames/s", runs, argv[1]);
    for (size_t i = 0; i < stages; i++) {
        gv_sort_doubles(seconds[i], (size_t)runs);
        double s = seconds[i][runs / 2];
        printf("%-10s %8ld %10.2f %10.1f\n", stage[i], frames[i], s, s > 0 ? (double)frames[i] / s : 0);
    }
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    printf("peak memory %.0f MB\n", (double)use.ru_maxrss / 1024);
    return 0;
}
