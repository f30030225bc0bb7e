// test_training_devices.c - two ranks of MPI, each with an emulated device, train as one does with the whole batch:
// their gradients averaged on the devices (as NCCL does it) and in the program's memory.
//
// The program starts itself under mpirun: test_training_devices STORE FOLDER here|there.
#include "on_device.h"
#include "training/train.h"
#include "training_runs.h"

#include <math.h>
#include <mpi.h>

enum { STEPS = 5 };

static void mean(float *x, int64_t n, int count) {
    MPI_Allreduce(MPI_IN_PLACE, x, (int)n, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    for (int64_t i = 0; i < n; i++) x[i] *= 1.0f / (float)count;
}

static void note(void *user, const char *text) {
    (void)user;
    printf("note: %s\n", text);
}

static int rank(char **argv) {
    gv_train_options o = gv_train_defaults;
    gv_device *d;
    gv_store store;
    gv_rig rig;
    make_rig(&rig);
    bool there = !strcmp(argv[3], "there");
    gv_status s = gv_device_wrap(&d, gv_emulated_ops(0, 0), &err);
    if (!s) s = gv_store_open(&store, argv[1], &err);
    gv_emulated_group(there ? mean : NULL);
    o.width = 32, o.layers = 2, o.heads = 4, o.batch = 4, o.frames = 16, o.steps = STEPS, o.gate = 1, o.dropout = 0;
    o.decay = 0, o.warmup = 0, o.bf16 = 0, o.log_every = 1;
    o.out = argv[2];
    o.device = d;
    gv_train_hooks hooks = {.note = note};
    if (!s) s = gv_train_run(&o, &store, &rig, &hooks, &err);
    if (s) printf("failed: %s\n", err.text);
    if (!s) printf("means: %d, left: %zu\n", gv_emulated_means(), gv_emulated_bytes());
    gv_store_close(&store);
    gv_rig_free(&rig);
    gv_device_close(d);
    return s != GV_OK;
}

// What the run says; its losses, and its model.
static char *run(int ranks, const char *where, const char *store, double loss[STEPS], unsigned char **model,
                 size_t *n) {
    char dir[] = "/tmp/gv_run_XXXXXX", line[512], said[64];
    unsigned char *text, *log;
    size_t size;
    assert_non_null(mkdtemp(dir));
    snprintf(said, sizeof said, "%s/said", dir);
    snprintf(line, sizeof line,
             "ASAN_OPTIONS=detect_leaks=0 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1 "
             "%s /proc/%d/exe %s %s %s > %s 2>&1",
             ranks == 2 ? "mpirun --oversubscribe -n 2" : "", (int)getpid(), store, dir, where, said);
    int status = system(line);
    assert_int_equal(gv_file_read(said, 0, &text, &size, &err), GV_OK);
    unlink(said);
    if (status) fail_msg("%s", (char *)text);
    read_whole(dir, "log.jsonl", &log, &size);
    const char *p = (char *)log;
    for (int i = 0; i < STEPS; i++) {
        p = strstr(p, "\"loss\":");
        assert_non_null(p);
        loss[i] = atof(p += 7);
    }
    free(log);
    read_whole(dir, "model.safetensors", model, n);
    remove_run(dir);
    return (char *)text;
}

static void test_means(void **state) {
    (void)state;
    if (system("mpirun --version > /dev/null 2>&1")) {
        print_message("skipped: no mpirun\n");
        skip();
    }
    char path[] = "/tmp/gv_store_XXXXXX", *said[3];
    double loss[3][STEPS];
    unsigned char *model[3];
    size_t n[3];
    close(mkstemp(path));
    make_store(path);
    said[0] = run(1, "here", path, loss[0], &model[0], &n[0]);
    said[1] = run(2, "here", path, loss[1], &model[1], &n[1]);
    said[2] = run(2, "there", path, loss[2], &model[2], &n[2]);
    double worst = 0;
    for (int i = 0; i < STEPS; i++)
        for (int k = 1; k < 3; k++) worst = fmax(worst, fabs(loss[k][i] / loss[0][i] - 1));
    print_message("two ranks against one: losses off by %.2g\n%s", worst, said[2]);
    assert_true(worst < 1e-4);
    // the same sums in the same order
    assert_int_equal(n[1], n[2]);
    assert_memory_equal(model[1], model[2], n[1]);
    // the heads, two blocks, the embedders: four pieces a step
    assert_null(strstr(said[0], "note:"));
    assert_non_null(
        strstr(said[1], "note: gradients are averaged in the program's memory: the emulated device is alone"));
    assert_non_null(strstr(said[1], "means: 0, left: 0"));
    assert_null(strstr(said[2], "note:"));
    const char *one = strstr(said[2], "means: 20, left: 0");
    assert_non_null(one);
    assert_non_null(strstr(one + 1, "means: 20, left: 0"));
    for (int k = 0; k < 3; k++) free(said[k]), free(model[k]);
    unlink(path);
}

int main(int argc, char **argv) {
    if (argc == 4) return rank(argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_means)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
