// Everybody's way through a video, as a table: cc people.c $(pkg-config --cflags --libs gvhmr) -o people
// Ctrl-C ends the run early; nothing is written.
#include <gvhmr.h>
#include <signal.h>
#include <stdio.h>

static gvhmr *handle;

static void on_signal(int number) {
    (void)number;
    gvhmr_cancel(handle); // may be called by a signal handler
}

static int show_progress(void *user, const gvhmr_progress *p) {
    (void)user;
    fprintf(stderr, "\r\033[K%s %lld/%lld  %.1f/s", p->stage, (long long)p->done, (long long)p->total, p->per_second);
    return 0; // anything else would end the run
}

static void print_person(const gvhmr_result *r, int person) {
    gvhmr_array joints, times;
    if (gvhmr_result_array(r, person, "joints_world", &joints) || gvhmr_result_array(r, person, "time_sec", &times))
        return;
    const float *xyz = joints.data; // [frames, 22, 3]
    const double *t = times.data;
    printf("person %d\n   time      x      y      z  (m, pelvis)\n", person + 1);
    for (int64_t f = 0; f < joints.shape[0]; f += 5, xyz += 5 * 22 * 3)
        printf("%7.2f %6.2f %6.2f %6.2f\n", t[f], (double)xyz[0], (double)xyz[1], (double)xyz[2]);
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: people VIDEO [FOLDER]\n");
        return 2;
    }
    int failed = 1;
    gvhmr_result *r = NULL;
    handle = gvhmr_create();
    signal(SIGINT, on_signal);
    gvhmr_set(handle, "landmarks", "lite");
    gvhmr_on_progress(handle, show_progress, NULL);
    if (gvhmr_run(handle, argv[1], argc == 3 ? argv[2] : NULL, &r) != GVHMR_OK) {
        fprintf(stderr, "\r\033[K%s\n", gvhmr_error(handle));
    } else {
        fprintf(stderr, "\r\033[K");
        for (int k = 0; k < gvhmr_result_people(r); k++) print_person(r, k);
        failed = 0;
    }
    gvhmr_result_free(r);
    signal(SIGINT, SIG_DFL);
    gvhmr_destroy(handle);
    return failed;
}
