// main.c - the table of subcommands.
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const gv_command commands[] = {
    {"run", "a video to everybody's motion in one world, and pictures of it", gv_cmd_run},
    {"batch", "many videos, with the models loaded once and nothing done twice", gv_cmd_batch},
    {"live", "everybody's motion while a camera, stream or video runs", gv_cmd_live},
    {"observe", "a video to one person's boxes, 2D keypoints and camera rotation", gv_cmd_observe},
    {"camera", "the camera's rotation in every frame of a video", gv_cmd_camera},
    {"render", "motions as a video: in the world, or over the original", gv_cmd_render},
    {"view", "a page to look at a run's results in a browser", gv_cmd_view},
    {"predict", "observations of one person to motion", gv_cmd_predict},
    {"export", "motions for other programs and robots: .bvh .glb .npz .trc .csv .pt .pkl", gv_cmd_export},
    {"convert", "a checkpoint to a small safetensors file", gv_cmd_convert},
    {"info", "what a file holds and what it is missing", gv_cmd_info},
    {"train", "train the motion network on motion capture", gv_cmd_train},
    {"eval", "the field's measures: of motions, and of the network on motion capture", gv_cmd_eval},
    {"dataset", "motion capture clips into a motion store", gv_cmd_dataset},
    {0},
};

static void usage(FILE *f) {
    fprintf(f, "gvhmr " GVHMR_VERSION " - world-grounded human motion from one ordinary video\n\n"
               "usage: gvhmr COMMAND [options]     (gvhmr COMMAND --help for the options)\n\n");
    for (const gv_command *c = commands; c->name; c++) fprintf(f, "  %-9s %s\n", c->name, c->help);
    fprintf(f, "\nexample: gvhmr run video.mp4 -o out\n");
}

// OpenMP's threads wait for work by spinning, which takes the cores from the threads that decode, follow the
// camera and encode. The policy is read when the library is loaded, before main: so start once more with it set.
static void start_with_sleeping_threads(char **argv) {
    if (getenv("OMP_WAIT_POLICY") || setenv("OMP_WAIT_POLICY", "passive", 1) != 0) return;
    char path[4096]; // under its own name, so that ps shows it
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0) return;
    path[n] = 0;
    execv(path, argv); // where that fails, work goes on as it is
}

// A full disk must not pass for success where the results go to standard output.
static int written(int status) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    if (status == 0) fprintf(stderr, "gvhmr: standard output: cannot write: %s\n", strerror(errno ? errno : EIO));
    return status ? status : 1;
}

int main(int argc, char **argv) {
    start_with_sleeping_threads(argv);
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        usage(stdout);
        return 0;
    }
    if (!strcmp(argv[1], "--version")) {
        puts("gvhmr " GVHMR_VERSION);
        return 0;
    }
    for (const gv_command *c = commands; c->name; c++)
        if (!strcmp(c->name, argv[1])) return written(c->run(argc - 1, argv + 1));
    fprintf(stderr, "gvhmr: \"%s\" is not a command; see `gvhmr --help`\n", argv[1]);
    return 2;
}
